#!/usr/bin/env python3
"""Makes the seeds that no editor can: ClientHellos of the OpenSSL that is here, and PROXY headers.

tests/fuzz/make_seeds.py writes them below tests/fuzz/seeds/. It is run by hand when one is to be
added; the seeds themselves are in the tree, as another OpenSSL sends other ones.
"""

import os
import socket
import ssl
import struct
import subprocess

SEEDS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "seeds")
FEW = "ECDHE+AESGCM"  # cipher suites


def write(target: str, name: str, data: bytes) -> None:
    os.makedirs(os.path.join(SEEDS, target), exist_ok=True)
    with open(os.path.join(SEEDS, target, name), "wb") as file:
        file.write(data)


# --- ClientHellos --------------------------------------------------------------------------------
def hello(name, low=None, high=None, ciphers=FEW, alpn=()) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers(ciphers)
    context.minimum_version = low or ssl.TLSVersion.TLSv1_2
    if high:
        context.maximum_version = high
    if alpn:
        context.set_alpn_protocols(alpn)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def s_client(*options: str) -> bytes:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *options],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        peer, _ = listener.accept()
        with peer:
            data = peer.recv(65536)
        process.kill()
        process.wait()
    return data


def vector(width: int, data: bytes) -> bytes:
    return struct.pack(">I", len(data))[4 - width:] + data


def extension(kind: int, data: bytes) -> bytes:
    return struct.pack(">H", kind) + vector(2, data)


def browser(name: str) -> bytes:
    """As today's browsers send them: GREASE, an outer name with ECH, X25519MLKEM768. By hand, as
    not every OpenSSL knows them; in two records, as it is longer than a packet."""
    kem = bytes(i * 7 & 255 for i in range(1184 + 32))
    shares = (struct.pack(">H", 0x1a1a) + vector(2, b"\0") +
              struct.pack(">H", 0x11ec) + vector(2, kem) +
              struct.pack(">H", 0x001d) + vector(2, bytes(range(32))))
    extensions = (extension(0x4a4a, b"") +
                  extension(0xfe0d, b"\0\0\1\0\1\x2a" + vector(2, bytes(range(32))) +
                            vector(2, bytes(144))) +
                  extension(0x002b, vector(1, b"\x5a\x5a\3\4\3\3")) +
                  extension(0x0010, vector(2, b"\2h2\x08http/1.1")) +
                  extension(0x0000, vector(2, b"\0" + vector(2, name.encode()))) +
                  extension(0x000a, vector(2, b"\x1a\x1a\x11\xec\0\x1d\0\x17\0\x18")) +
                  extension(0x0033, vector(2, shares)) +
                  extension(0x6a6a, b"\0"))
    body = (b"\3\3" + bytes(range(32)) + vector(1, bytes(range(32))) +
            vector(2, b"\x2a\x2a\x13\1\x13\2\x13\3\xc0\x2b\xc0\x2f") + vector(1, b"\0") +
            vector(2, extensions))
    message = b"\1" + vector(3, body)
    return b"".join(b"\x16\3\1" + vector(2, message[at:at + 1300])
                    for at in range(0, len(message), 1300))


def client_hellos() -> None:
    tls = ssl.TLSVersion
    write("sni", "tls13", hello("tls13.example.com", low=tls.TLSv1_3))
    write("sni", "tls12", hello("tls12.example.com", high=tls.TLSv1_2))
    write("sni", "alpn", hello("alpn.example.com", alpn=["h2", "http/1.1"]))
    write("sni", "ciphers", hello("ciphers.example.com", ciphers="ALL:@SECLEVEL=0"))
    write("sni", "nobody", hello(None))
    write("sni", "s_client", s_client("-servername", "s-client.example.com"))
    write("sni", "tls11", s_client("-servername", "tls11.example.com", "-tls1_1", "-cipher",
                                   "ALL:@SECLEVEL=0"))
    write("sni", "browser", browser("browser.example.com"))
    write("sni", "slash", hello("slash.example.com").replace(b"slash.", b"slash/"))
    write("sni", "alert", b"\x15\3\3\0\2\2\x70")


# --- PROXY headers -------------------------------------------------------------------------------
def crc32c(data: bytes) -> int:
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def version_2(command: int, family: int, block: bytes) -> bytes:
    return b"\r\n\r\n\0\r\nQUIT\n" + bytes([command, family]) + vector(2, block)


def proxy_headers() -> None:
    ipv4 = socket.inet_aton("192.0.2.1") + socket.inet_aton("198.51.100.2") + b"\x30\x39\0\x50"
    ipv6 = (socket.inet_pton(socket.AF_INET6, "2001:db8::1") +
            socket.inet_pton(socket.AF_INET6, "2001:db8::2") + b"\x30\x39\0\x50")
    write("proxy", "v1_tcp4", b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 80\r\nGET /")
    write("proxy", "v1_tcp6", b"PROXY TCP6 2001:db8::1 ::ffff:198.51.100.2 12345 80\r\n")
    write("proxy", "v1_unknown", b"PROXY UNKNOWN what ever\r\n")
    write("proxy", "v2_tcp4", version_2(0x21, 0x11, ipv4) + b"GET /")
    write("proxy", "v2_tcp6", version_2(0x21, 0x21, ipv6))
    write("proxy", "v2_unix", version_2(0x21, 0x31, b"/run/a".ljust(108, b"\0") * 2))
    write("proxy", "v2_local", version_2(0x20, 0, b""))
    write("proxy", "v2_tlvs", version_2(0x21, 0x11, ipv4 + b"\2\0\6a.test\4\0\0\x20\0\5\1\0\0\0\0"))
    checked = version_2(0x21, 0x21, ipv6 + b"\5\0\3abc\3\0\4\0\0\0\0")
    write("proxy", "v2_crc32c", checked[:-4] + struct.pack(">I", crc32c(checked)))


if __name__ == "__main__":
    client_hellos()
    proxy_headers()
