"""WebSocket (RFC 6455) as a client speaks it, frame by frame."""

import base64
import hashlib
import os
import struct

from .system import want
from .wire import Wire, request

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class WebSocket(Wire):
    def __init__(self, host: str, path: str = "/ws", **options: object) -> None:
        super().__init__(**options)
        key = base64.b64encode(os.urandom(16)).decode()
        self.send(request(path, host, "Upgrade: websocket", "Connection: Upgrade",
                          "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"))
        self.answer = self.reply()
        want(self.answer.status == 101, f"no upgrade: {self.answer}")
        right = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        want(self.answer.get("Sec-WebSocket-Accept") == right, f"accepted: {self.answer.fields}")
        want(self.answer.get("Upgrade").lower() == "websocket", f"accepted: {self.answer.fields}")

    def frame(self, opcode: int, data: bytes = b"") -> None:
        mask = os.urandom(4)
        length = len(data)
        extended = (b"" if length < 126 else struct.pack(">H", length) if length < 65536
                    else struct.pack(">Q", length))
        short = length if length < 126 else 126 if length < 65536 else 127
        key = int.from_bytes((mask * (length // 4 + 1))[:length], "big")
        masked = (int.from_bytes(data, "big") ^ key).to_bytes(length, "big")
        self.send(bytes([0x80 | opcode, 0x80 | short]) + extended + mask + masked)

    def take(self) -> tuple[int, bytes]:
        first, second = self.exactly(2)
        want(first & 0x80 and not second & 0x80, f"a frame that begins {first:02x} {second:02x}")
        length = second
        if length == 126:
            length = struct.unpack(">H", self.exactly(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self.exactly(8))[0]
        return first & 0xf, self.exactly(length)

    def echo(self, data: bytes, opcode: int = BINARY) -> None:
        self.frame(opcode, data)
        want(self.take() == (opcode, data), f"a frame of {len(data)} bytes came back wrong")

    def say_goodbye(self) -> None:
        """The closing handshake (7.1.2): a Close each way, then the server ends the connection."""
        self.frame(CLOSE, struct.pack(">H", 1000))
        want(self.take() == (CLOSE, struct.pack(">H", 1000)), "the Close came back wrong")
        self.wait_end()
