"""The front from outside, for serve.py and wake.py: clients, an engine and backends over loopback.

Each case runs the sanitized front (DOCKWAKE_FRONT) with sockets passed as systemd or inetd would.
"""

import contextlib
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
from fakes import Backend, FakeEngine, read_answer, read_exactly, read_until  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
FRONT = os.environ.get("DOCKWAKE_FRONT", os.path.join(ROOT, "build/check/bin/dockwake-front"))

# A thousand clients, their backends and an engine are all held here.
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


class Bench:
    """A folder with a configuration, a fake engine, and the front with its sockets."""

    def __init__(self, folder: str):
        self.folder = folder
        self.engine = FakeEngine(f"{folder}/engine")
        self.http = self._listen()
        self.sockets = [self.http]
        self.process = None
        self.log = open(f"{folder}/log", "w+")
        self.backends = []
        os.mkdir(f"{folder}/apps.d")
        self.conf("")

    @staticmethod
    def _listen() -> socket.socket:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(4096)  # blocking, as systemd's are
        return listener

    def conf(self, keys: str) -> None:
        with open(f"{self.folder}/dockwake.conf", "w") as file:
            file.write("[front]\n" + keys)

    def ini(self, name: str, text: str) -> None:
        with open(f"{self.folder}/apps.d/{name}.ini", "w") as file:
            file.write(text)

    def app(self, name: str, handler=None, app: str = "", ready: bool = True, more: str = ""):
        """An HTTP app NAME.test whose backend is handler(socket). app, more: of its file."""
        self.ini(name, f"[app]\n{app}\n[route]\nhost = {name}.test\n{more}")
        return self._backend(name, handler, ready)

    def tcp_app(self, name: str, handler=None, ready: bool = True, more: str = ""):
        """An app with a port of its own. Returns its backend and the front's port."""
        listener = self._listen()
        self.sockets.append(listener)
        port = listener.getsockname()[1]
        self.ini(name, f"[app]\n[route]\nport = {port}\n{more}")
        return self._backend(name, handler, ready), port

    def serve(self, name: str, handler):
        """The backend of an app or instance that has a file already."""
        return self._backend(name, handler, True)

    def _backend(self, name, handler, ready):
        if handler is None:
            return None
        backend = Backend(handler)
        self.backends.append(backend)
        if ready:
            self.engine.apps[name] = backend.port
        return backend

    def start(self, sockets=None, stdin=None, limit: int = 0) -> None:
        fds = [s.fileno() for s in (self.sockets if sockets is None else sockets)]

        def pass_sockets():
            # As sd_listen_fds(3) wants them: from 3 on, without close-on-exec.
            high = [os.dup2(fd, 100 + i) for i, fd in enumerate(fds)]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i)
            os.closerange(3 + len(fds), 100 + len(fds) + 100)
            if limit:
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

        passed = f"LISTEN_PID=$$ LISTEN_FDS={len(fds)}" if fds else ""
        command = (f"{passed} exec {FRONT} --config-dir {self.folder} "
                   f"--engine-socket {self.folder}/engine")
        self.process = subprocess.Popen(["sh", "-c", command], preexec_fn=pass_sockets,
                                        close_fds=False, stderr=self.log,
                                        stdin=stdin or subprocess.DEVNULL)

    def connect(self, port: int = 0, buffer: int = 0) -> socket.socket:
        client = socket.socket()
        if buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        client.settimeout(20)
        client.connect(("127.0.0.1", port or self.http.getsockname()[1]))
        return client

    def ask(self, request: bytes) -> bytes:
        """Sends and returns the answer."""
        with self.connect() as client:
            client.sendall(request)
            if not request:
                client.shutdown(socket.SHUT_WR)
            return read_answer(client, request.startswith(b"HEAD "))

    def get(self, name: str, path: str = "/") -> bytes:
        return self.ask(f"GET {path} HTTP/1.1\r\nHost: {name}.test\r\n\r\n".encode())

    def status(self, request: bytes) -> int:
        answer = self.ask(request)
        assert answer.startswith(b"HTTP/1.1 "), answer
        return int(answer.split()[1])

    def cpu(self) -> tuple[int, int]:
        """Ticks of CPU used, and times that it slept."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        with open(f"/proc/{self.process.pid}/status") as file:
            sleeps = [line for line in file if line.startswith("voluntary_ctxt")][0]
        return int(fields[11]) + int(fields[12]), int(sleeps.split()[1])

    def assert_quiet(self, seconds: float = 0.5, wakes: int = 5) -> None:
        """It neither runs nor wakes up; the one place where time itself is what is tested."""
        before = self.cpu()
        time.sleep(seconds)
        after = self.cpu()
        assert after[0] - before[0] <= 1 and after[1] - before[1] <= wakes, (before, after)

    def wait_exit(self, seconds: float = 20) -> None:
        status = self.process.wait(seconds)
        assert status == 0, f"exit status {status}"

    def ask_exit(self) -> None:
        """It lives, and ends properly when told to: leaks are reported then."""
        assert self.process.poll() is None, f"the front has ended: {self.process.returncode}"
        self.process.send_signal(signal.SIGTERM)
        self.wait_exit()

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.engine.close()
        for s in self.sockets + self.backends:
            s.close()

    @staticmethod
    def has(client: socket.socket) -> bool:
        """Whether there is anything to be read from it."""
        return bool(select.select([client], [], [], 0)[0])

    @staticmethod
    def until(condition, seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "did not come true in time"
            time.sleep(0.01)

    def read_log(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def wait_log(self, text: str, seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while text not in self.read_log():
            assert time.monotonic() < end, f"not logged: {text}"
            time.sleep(0.01)


@contextlib.contextmanager
def bench():
    with tempfile.TemporaryDirectory() as folder:
        b = Bench(folder)
        try:
            yield b
        except BaseException:
            print("".join("# " + line for line in b.read_log().splitlines(True)[-60:]))
            raise
        finally:
            b.close()


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def ok(peer: socket.socket, body: bytes = b"hello\n") -> None:
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
                 % (len(body), body))


def hello(peer: socket.socket) -> None:
    read_until(peer, b"\r\n\r\n")
    ok(peer)


def echo_head(peer: socket.socket) -> None:
    ok(peer, read_until(peer, b"\r\n\r\n"))


def echo(peer: socket.socket) -> None:
    while piece := peer.recv(65536):
        peer.sendall(piece)


def server(name: bytes = b"one", seen: list | None = None, limit: int = 0):
    """Answers request after request on each connection with NAME PATH, `limit` of them if given."""
    def handler(peer):
        data, n = b"", 0
        while True:
            data = read_until(peer, b"\r\n\r\n", data)
            if not data:
                return
            head, data = data.split(b"\r\n\r\n", 1)
            if seen is not None:
                seen.append(head)
            path = head.split()[1]
            length = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n")
                      if line.startswith(b"content-length:")]
            body = b""
            if length:
                data = read_exactly(peer, length[0], data)
                body, data = data[:length[0]], data[length[0]:]
            text = name + b" " + path + b" " + body
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
            n += 1
            if n == limit:
                return
    return handler


def get(path: bytes, host: bytes = b"one.test", fields: bytes = b"") -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\n" + fields + b"\r\n"


def post(path: bytes, body: bytes, host: bytes = b"one.test") -> bytes:
    return (b"POST " + path + b" HTTP/1.1\r\nHost: " + host +
            b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
