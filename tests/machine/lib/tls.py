"""TLS: an image whose server ends it itself, and clients that send their hello as they like."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
from typing import Iterable

from .client import HOST
from .system import run

IMAGE = "tls"
PORT = 8443
FOLDER = "/run/tls"

ALERT = 0x15
UNRECOGNIZED_NAME = bytes([2, 112])  # fatal (RFC 6066 3)


def import_image(*names: str) -> None:
    """The machine's own openssl with its libraries, and a certificate for each name."""
    os.makedirs(FOLDER, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        program = shutil.which("openssl")
        libraries = re.findall(r"(/\S+) \(0x", run("ldd", program).stdout)
        for file in [program, *libraries]:
            place = folder + file
            os.makedirs(os.path.dirname(place), exist_ok=True)
            shutil.copyfile(os.path.realpath(file), place)
            os.chmod(place, 0o755)
        for name in names:
            run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem",
                "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}")
            shutil.copyfile(f"{folder}/{name}.pem", certificate(name))
        with open(f"{folder}/hello", "w") as file:
            file.write("hello over TLS\n")
        archive = f"{folder}/image.tar"
        subprocess.run(["tar", "-C", folder, "--exclude=image.tar", "-cf", archive, "."], check=True)
        subprocess.run(["docker", "import", "-c", f"EXPOSE {PORT}", "-c",
                        "ENV OPENSSL_CONF=/dev/null", archive, IMAGE],
                       check=True, stdout=subprocess.DEVNULL)


def certificate(name: str) -> str:
    return f"{FOLDER}/{name}.pem"


def server(name: str) -> list[str]:
    """The command of a container that is called by name."""
    return ["/usr/bin/openssl", "s_server", "-accept", str(PORT), "-cert", f"/{name}.pem",
            "-key", f"/{name}.key", "-WWW", "-quiet"]


class Hello:
    """A handshake by hand: what TLS wants to send passes through here."""

    def __init__(self, name: str | None, trust: str) -> None:
        context = ssl.create_default_context(cafile=certificate(trust))
        if name is None:
            context.check_hostname = False
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=name)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        self.data = self._out.read()

    def in_records(self, size: int) -> bytes:
        """The hello split over records of so many bytes (RFC 8446 5.1)."""
        body = self.data[5:]
        return b"".join(self.data[:3] + len(part).to_bytes(2, "big") + part for part in
                        (body[at:at + size] for at in range(0, len(body), size)))

    def talk(self, sock: socket.socket, first: Iterable[bytes], request: bytes) -> bytes:
        """Sends first, each in a packet of its own, then goes on. Returns what is answered."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in first:
            sock.send(part)

        def until(step):
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    if pending := self._out.read():
                        sock.sendall(pending)
                    data = sock.recv(65536)
                    if not data:
                        self._in.write_eof()
                    self._in.write(data) if data else None

        until(self._tls.do_handshake)
        self._tls.write(request)
        sock.sendall(self._out.read())
        parts = []
        try:
            while part := until(lambda: self._tls.read(65536)):
                parts.append(part)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            pass
        return b"".join(parts)


def get(name: str, port: int, source: str = "", trust: str = "", pieces: int = 0,
        records: int = 0) -> bytes:
    """GET /hello over TLS from the server of that name, whose certificate must be its own."""
    hello = Hello(name, trust or name)
    data = hello.in_records(records) if records else hello.data
    first = [data[at:at + pieces] for at in range(0, len(data), pieces)] if pieces else [data]
    with socket.create_connection((HOST, port), 30, (source, 0) if source else None) as sock:
        return hello.talk(sock, first, b"GET /hello HTTP/1.0\r\n\r\n")
