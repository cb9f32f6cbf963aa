"""An engine and backends that do what a case wants, for serve.py."""

import contextlib
import os
import socket
import struct
import threading

# src/base/proto.h
(LEASE, RELEASE, STARTING, READY, FAILED, GONE) = range(1, 7)
(PROGRESS, LOGS, LOG, LOGS_END) = range(13, 17)
DOUBT, AWAKE = 1, 2
(TIMEOUT, UNKNOWN_APP, BROKEN_APP, MISSING, DOCKER, EXITED, NO_ADDRESS, STOPPED, ASLEEP,
 FOREIGN) = range(1, 11)
(STATE_STARTING, STATE_PROBING) = (4, 5)
NAME = 128
HEADER = struct.Struct("=HHI")
ADDRESS = struct.Struct("=H2s16s")


class FakeEngine:
    """Answers each LEASE with what `apps` says: a port, None (later), or (failure, text)."""

    def __init__(self, path: str):
        self.path = path
        self.apps = {}
        self.logs = {}  # lines of bytes
        self.seen = []  # (opcode, app, serial, flags)
        self.changed = threading.Condition()
        self.listener = None
        self.fronts = []
        self.listen()

    def listen(self) -> None:
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.path)
        self.listener.listen(128)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                front, _ = listener.accept()
            except OSError:
                return
            with self.changed:
                self.fronts.append(front)
            threading.Thread(target=self._serve, args=(front,), daemon=True).start()

    def _serve(self, front: socket.socket) -> None:
        while True:
            try:
                packet = front.recv(4096)
            except OSError:
                packet = b""
            if not packet:
                with self.changed:
                    if front in self.fronts:
                        self.fronts.remove(front)
                    self.changed.notify_all()
                front.close()
                return
            version, opcode, size = HEADER.unpack_from(packet)
            serial, flags, app = struct.unpack(f"=II{NAME}s", packet[HEADER.size:])
            assert version == 1 and size == len(packet)
            name = app.split(b"\0")[0].decode()
            with self.changed:
                self.seen.append((opcode, name, serial, flags))
                answer = self.apps.get(name)
                if opcode == LOGS:
                    self._logs(name, serial, front)
                elif opcode == LEASE and flags & AWAKE and not isinstance(answer, int):
                    self.answer(name, (ASLEEP, ""), serial, front)
                elif opcode == LEASE and answer is not None:
                    self.answer(name, answer, serial, front)
                self.changed.notify_all()

    def _send(self, opcode: int, body: bytes, front: socket.socket | None = None) -> None:
        for peer in [front] if front else list(self.fronts):
            with contextlib.suppress(OSError):  # it may have left a moment ago
                peer.send(HEADER.pack(1, opcode, HEADER.size + len(body)) + body)

    def answer(self, name: str, answer, serial: int | None = None, front=None) -> None:
        serial = self.serial(name) if serial is None else serial
        if isinstance(answer, int):
            ip = ADDRESS.pack(socket.AF_INET, answer.to_bytes(2, "big"),
                              socket.inet_aton("127.0.0.1"))
            self._send(READY, struct.pack("=I", serial) + ip + name.encode().ljust(NAME, b"\0"),
                       front)
        else:
            failure, text = answer
            self._send(FAILED, struct.pack(f"=II{NAME}s256s", serial, failure, name.encode(),
                                           text.encode()), front)

    def answer_all(self, name: str, answer) -> None:
        """Every front's (every worker's) latest lease, and those to come."""
        self.apps[name] = answer
        with self.changed:
            serials = {s for (op, app, s, _) in self.seen if op == LEASE and app == name}
        for serial in serials:
            self.answer(name, answer, serial)

    def say(self, opcode: int, name: str, serial: int | None = None) -> None:
        serial = self.serial(name) if serial is None else serial
        self._send(opcode, struct.pack(f"=II{NAME}s", serial, 0, name.encode()))

    def progress(self, name: str, state: int) -> None:
        self._send(PROGRESS, struct.pack(f"=II{NAME}s", self.serial(name), state, name.encode()))

    def _logs(self, name: str, serial: int, front: socket.socket) -> None:
        for line in self.logs.get(name, []):
            self._send(LOG, struct.pack(f"=II{NAME}s512s", serial, 0, name.encode(), line), front)
        self._send(LOGS_END, struct.pack(f"=II{NAME}s", serial, 0, name.encode()), front)

    def serial(self, name: str) -> int:
        with self.changed:
            return [s for (op, app, s, _) in self.seen if op == LEASE and app == name][-1]

    def count(self, opcode: int, name: str, flags: int | None = None) -> int:
        with self.changed:
            return len([1 for (op, app, _, f) in self.seen
                        if op == opcode and app == name and (flags is None or f == flags)])

    def wait(self, opcode: int, name: str, n: int = 1, seconds: float = 10) -> None:
        with self.changed:
            ok = self.changed.wait_for(lambda: self.count(opcode, name) >= n, seconds)
        assert ok, f"opcode {opcode} for {name} did not come {n} times: {self.seen}"

    def wait_fronts(self, n: int, seconds: float = 10) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.fronts) == n, seconds), self.fronts

    def go_away(self, keep_socket: bool = False) -> None:
        """As an engine that was killed: its connections end. keep_socket: as systemd's socket."""
        if not keep_socket:
            os.unlink(self.path)
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
        with self.changed:
            for front in self.fronts:
                front.shutdown(socket.SHUT_RDWR)
            self.fronts.clear()

    def close(self) -> None:
        if os.path.exists(self.path):
            self.go_away()


class Backend:
    """A TCP server that calls handler(socket) in a thread for each connection."""

    def __init__(self, handler, port: int = 0, backlog: int = 1024):
        self.handler = handler
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", port))
        self.listener.listen(backlog)
        self.port = self.listener.getsockname()[1]
        self.changed = threading.Condition()
        self.accepted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with self.changed:
                self.accepted += 1
                self.changed.notify_all()
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        try:
            self.handler(peer)
        except OSError:
            pass
        finally:
            peer.close()

    def wait(self, n: int, seconds: float = 10) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.accepted >= n, seconds), self.accepted

    def close(self) -> None:
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def read_until(peer: socket.socket, mark: bytes, data: bytes = b"") -> bytes:
    while mark not in data:
        piece = peer.recv(65536)
        if not piece:
            break
        data += piece
    return data


def read_all(peer: socket.socket, data: bytes = b"") -> bytes:
    while piece := peer.recv(1 << 20):
        data += piece
    return data


def read_exactly(peer: socket.socket, size: int, data: bytes = b"") -> bytes:
    while len(data) < size:
        piece = peer.recv(size - len(data))
        if not piece:
            raise EOFError(data)
        data += piece
    return data


def read_answer(peer: socket.socket, to_head: bool = False) -> bytes:
    """One whole answer, with the interim ones before it; what comes behind stays unread."""
    answer = b""
    while True:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = peer.recv(1)
            if not byte:
                return answer + head
            head += byte
        answer += head
        status = int(head.split()[1])
        if status >= 200 or status == 101:
            break
    fields = {name.lower(): value.strip() for name, value in
              (line.split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)}
    if to_head or status in (101, 204, 304):
        return answer
    if b"content-length" in fields:
        return answer + read_exactly(peer, int(fields[b"content-length"]))
    if fields.get(b"transfer-encoding") == b"chunked":
        while not answer.endswith(b"0\r\n\r\n"):
            answer += read_exactly(peer, 1)
        return answer
    return read_all(peer, answer)
