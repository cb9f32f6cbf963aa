"""Clients of the front: one request, many at once, raw connections."""

import asyncio
import http.client
import socket
import time
from dataclasses import dataclass

from .system import want

HOST = "127.0.0.1"
PORT = 80


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes
    seconds: float  # from before the connect to the last byte

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace").strip()


def get(host: str, path: str = "/", port: int = PORT, timeout: float = 60, method: str = "GET",
        body: object = None, headers: dict[str, str] | None = None) -> Answer:
    begin = time.monotonic()
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
    try:
        connection.request(method, path, body, {"Host": host, **(headers or {})})
        answer = connection.getresponse()
        data = answer.read()
        return Answer(answer.status, answer.headers, data, time.monotonic() - begin)
    finally:
        connection.close()


def want_hello(host: str, name: str, path: str = "/", **options) -> Answer:
    """The sample app's own answer, and no other's."""
    answer = get(host, path, **options)
    want(answer.status == 200, f"{host}{path}: status {answer.status}: {answer.text}")
    want(answer.text == f"hello from {name}", f"{host}{path}: answered {answer.text!r}")
    return answer


def raw(data: bytes, port: int = PORT, timeout: float = 30) -> bytes:
    """Sends data, and gives all that comes until the other side closes."""
    with socket.create_connection((HOST, port), timeout) as sock:
        sock.sendall(data)
        return receive_all(sock)


def receive_all(sock: socket.socket) -> bytes:
    parts = []
    while part := sock.recv(65536):
        parts.append(part)
    return b"".join(parts)


def pattern(size: int) -> bytes:
    """What the sample app's /download sends."""
    period = bytes(range(251))
    return (period * (size // 251 + 1))[:size]


@dataclass
class Crowd:
    answers: list[bytes]
    connect_seconds: float  # until the last one was connected


def crowd(host: str, number: int, port: int = PORT, timeout: float = 60) -> Crowd:
    """That many connections at once, each with one request. An error stands as its text."""
    request = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    begin = time.monotonic()
    connected = 0.0

    async def one() -> bytes:
        nonlocal connected
        try:
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(request)
            await writer.drain()
            connected = max(connected, time.monotonic() - begin)
            data = await reader.read()
            writer.close()
            return data
        except OSError as error:
            return repr(error).encode()

    async def all_of_them() -> list[bytes]:
        return await asyncio.wait_for(asyncio.gather(*(one() for _ in range(number))), timeout)

    return Crowd(asyncio.run(all_of_them()), connected)
