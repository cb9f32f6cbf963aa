#!/usr/bin/env python3
"""The ClientHellos of the OpenSSL that is here, whatever its version, and what it makes of our alert."""

import os
import socket
import ssl
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from tap import case, main

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
OURS = os.environ.get("DOCKWAKE_TLS_HELLO", os.path.join(ROOT, "build/check/front/test_tls_hello"))
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def ours(argument: str, stdin: bytes = b"") -> bytes:
    return subprocess.run([OURS, argument], input=stdin, stdout=subprocess.PIPE, check=True,
                          timeout=20).stdout


class Client:
    """A TLS client that has said hello to nobody yet."""

    def __init__(self, name, version, alpn=(), ciphers=""):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
        if alpn:
            context.set_alpn_protocols(alpn)
        if ciphers:
            context.set_ciphers(ciphers)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        self.hello = self.outgoing.read()


@case
def names():
    for version in VERSIONS:
        for name in ("a.test", "xn--4ca.example.com", "n" * 63 + ".example", None):
            for alpn in ((), ("h2", "http/1.1")):
                for ciphers in ("", "ALL:@SECLEVEL=0"):
                    client = Client(name, version, alpn, ciphers)
                    read = ours("read", client.hello).decode().strip()
                    assert read == (name or ""), (version, name, read)


@case
def cut():
    hello = Client("a.test", VERSIONS[-1]).hello
    assert ours("read", hello[:-1]) == b"(cut)\n"
    assert ours("read", hello[:5] + b"\2" + hello[6:]) == b"(bad)\n"


@case
def alert():
    """Who gets it is told which alert it is, whatever version it wants."""
    for version in VERSIONS:
        client = Client("a.test", version)
        client.incoming.write(ours("alert"))
        try:
            client.tls.do_handshake()
            raise AssertionError("the handshake has ended well")
        except ssl.SSLError as error:
            assert "UNRECOGNIZED_NAME" in error.reason, error


@case
def s_client():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        process = subprocess.Popen(
            ["openssl", "s_client", "-servername", "a.test", "-connect",
             f"127.0.0.1:{listener.getsockname()[1]}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        peer, _ = listener.accept()
        with peer:
            read = subprocess.run([OURS, "read"], stdin=peer, stdout=subprocess.PIPE, check=True,
                                  timeout=20).stdout
            assert read == b"a.test\n", read
            peer.sendall(ours("alert"))
            _, errors = process.communicate(timeout=20)
    assert b"unrecognized name" in errors, errors


if __name__ == "__main__":
    sys.exit(main())
