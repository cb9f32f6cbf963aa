"""HTTP/1.1 on a bare connection, read to the letter: what a client library would smooth over shows.

Each answer is read by its own framing and no byte further, so that an answer too many, too short or
out of turn makes the next one wrong.
"""

import socket
import struct
from dataclasses import dataclass, field

from .client import HOST, PORT
from .system import Wrong, want

BODYLESS = (204, 304)


@dataclass
class Reply:
    status: int
    version: str
    fields: list[tuple[str, str]]
    framing: str  # none, length, chunked, close
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)
    interim: list["Reply"] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name: str) -> str:
        """The value of a field that comes once; "" when it does not come."""
        values = self.all(name)
        want(len(values) <= 1, f"{name} comes {len(values)} times: {values}")
        return values[0] if values else ""

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace").strip()

    @property
    def server(self) -> str:
        """The app that answered; "" for the front itself."""
        return self.get("Server")


def request(target: str, host: str, *fields: str, method: str = "GET", body: bytes | None = None,
            version: str = "1.1") -> bytes:
    lines = [f"{method} {target} HTTP/{version}", f"Host: {host}", *fields]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Wire:
    """A client's connection, as a context."""

    def __init__(self, port: int = PORT, source: str = "", timeout: float = 30,
                 sock: socket.socket | None = None) -> None:
        if sock is None:
            sock = socket.create_connection((HOST, port), timeout,
                                            (source, 0) if source else None)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.stream = sock.makefile("rb")

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.stream.close()
        self.sock.close()

    def leave(self) -> None:
        """Closes it with a reset: an end alone may mean that the client still listens."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def end(self) -> None:
        """No more is sent; what comes is still read."""
        self.sock.shutdown(socket.SHUT_WR)

    def ask(self, target: str, host: str, *fields: str, method: str = "GET",
            body: bytes | None = None, version: str = "1.1") -> Reply:
        """One request and its answer."""
        self.send(request(target, host, *fields, method=method, body=body, version=version))
        return self.reply(method)

    def line(self) -> str:
        data = self.stream.readline(65536)
        want(data, "the connection ended where an answer was to come")
        want(data.endswith(b"\r\n"), f"a line without its end: {data[:100]!r}")
        return data[:-2].decode("latin-1")

    def lines(self) -> list[tuple[str, str]]:
        """Fields up to the empty line."""
        fields = []
        while line := self.line():
            name, colon, value = line.partition(":")
            want(colon, f"no field: {line!r}")
            fields.append((name, value.strip()))
        return fields

    def exactly(self, size: int) -> bytes:
        data = self.stream.read(size)
        want(len(data) == size, f"{len(data)} of {size} bytes came")
        return data

    def head(self, method: str = "GET") -> Reply:
        """A head; its framing says what is to follow."""
        line = self.line()
        parts = line.split(" ", 2)
        want(len(parts) == 3 and parts[0].startswith("HTTP/1."), f"no answer: {line[:100]!r}")
        reply = Reply(int(parts[1]), parts[0], self.lines(), "close")
        codings, lengths = reply.all("Transfer-Encoding"), reply.all("Content-Length")
        want(len(codings) + len(lengths) <= 1, f"two framings: {reply.fields}")
        if method == "HEAD" or reply.status in BODYLESS or reply.status < 200:
            reply.framing = "none"
        elif codings:
            want(codings[0].lower() == "chunked", f"coding {codings}")
            reply.framing = "chunked"
        elif lengths:
            reply.framing = "length"
        return reply

    def next_chunk(self, reply: Reply) -> bytes:
        """b"" for the last one; the trailers are read then."""
        size = int(self.line().partition(";")[0], 16)
        if size == 0:
            reply.trailers = self.lines()
            return b""
        data = self.exactly(size)
        want(self.line() == "", "no line end behind a chunk")
        return data

    def reply(self, method: str = "GET") -> Reply:
        """A whole answer, with the interim ones ahead of it."""
        interim = []
        reply = self.head(method)
        while 100 <= reply.status < 200 and reply.status != 101:
            interim.append(reply)
            reply = self.head(method)
        reply.interim = interim
        if reply.framing == "length":
            reply.body = self.exactly(int(reply.get("Content-Length")))
        elif reply.framing == "chunked":
            while part := self.next_chunk(reply):
                reply.body += part
        elif reply.framing == "close":
            reply.body = self.stream.read()
        return reply

    def wait_end(self) -> None:
        """The other side ends it, and nothing more comes."""
        try:
            data = self.stream.read(200)
        except ConnectionResetError:
            return
        except TimeoutError:
            raise Wrong("the connection stays open") from None
        want(not data, f"more came: {data!r}")

    def quiet(self, seconds: float) -> bool:
        """Whether neither a byte nor the end comes in this time. Nothing may be buffered."""
        old = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            self.sock.recv(1, socket.MSG_PEEK)
            return False
        except TimeoutError:
            return True
        except ConnectionResetError:
            return False
        finally:
            self.sock.settimeout(old)


def ask(target: str, host: str, *fields: str, method: str = "GET", body: bytes | None = None,
        source: str = "", port: int = PORT, timeout: float = 30) -> Reply:
    """One request on a connection of its own."""
    with Wire(port, source, timeout) as wire:
        return wire.ask(target, host, *fields, method=method, body=body)
