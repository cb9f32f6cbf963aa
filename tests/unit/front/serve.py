#!/usr/bin/env python3
"""The front from outside: clients, an engine and backends over loopback. Output: TAP.

Each case runs the sanitized front (DOCKWAKE_FRONT) with sockets passed as systemd or inetd would.
Arguments choose cases by name.
"""

import contextlib
import hashlib
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fakes import (DOCKER, DOUBT, FAILED, GONE, LEASE, RELEASE, STARTING, TIMEOUT,  # noqa: E402
                   Backend, FakeEngine, free_port, read_all, read_exactly, read_until)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
FRONT = os.environ.get("DOCKWAKE_FRONT", os.path.join(ROOT, "build/check/bin/dockwake-front"))

CASES = []


def case(function):
    CASES.append(function)
    return function


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

    def app(self, name: str, handler=None, app: str = "", ready: bool = True):
        """An HTTP app NAME.test whose backend is handler(socket)."""
        self.ini(name, f"[app]\n{app}\n[route]\nhost = {name}.test\n")
        return self._backend(name, handler, ready)

    def tcp_app(self, name: str, handler=None, ready: bool = True):
        """An app with a port of its own. Returns its backend and the front's port."""
        listener = self._listen()
        self.sockets.append(listener)
        port = listener.getsockname()[1]
        self.ini(name, f"[app]\n[route]\nport = {port}\n")
        return self._backend(name, handler, ready), port

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
        """Sends and returns everything that comes until the end."""
        with self.connect() as client:
            client.sendall(request)
            return read_all(client)

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


# --- requests -----------------------------------------------------------------------------------

@case
def a_request_reaches_its_app_rewritten():
    with bench() as b:
        b.app("one", echo_head)
        b.start()
        head = b.ask(b"GET http://one.test/a?b HTTP/1.1\r\nHost: other.test\r\n"
                     b"Connection: keep-alive, X-Hop\r\nKeep-Alive: 5\r\nX-Hop: 1\r\n"
                     b"X-End: 2\r\n\r\n").split(b"\r\n\r\n", 1)[1]
        assert head == (b"GET /a?b HTTP/1.1\r\nHost: one.test\r\nConnection: close\r\n"
                        b"X-End: 2\r\n\r\n"), head
        head = b.ask(b"GET / HTTP/1.0\r\nHost: ONE.test:80\r\n\r\n").split(b"\r\n\r\n", 1)[1]
        assert head == (b"GET / HTTP/1.0\r\nHost: ONE.test:80\r\nConnection: close\r\n\r\n"), head
        b.ask_exit()


@case
def bodies_end_where_they_end():
    got = []

    def backend(peer):
        data = read_until(peer, b"END")
        peer.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            data = read_all(peer, data)
        got.append(data.split(b"\r\n\r\n", 1)[1])
        ok(peer)

    with bench() as b:
        b.app("one", backend)
        b.start()
        head = b"POST / HTTP/1.1\r\nHost: one.test\r\n"
        smuggled = b"GET /other HTTP/1.1\r\nHost: one.test\r\n\r\n"
        chunked = b"5;x=y\r\nhello\r\n003\r\nEND\r\n0\r\nT: u\r\n\r\n"
        for fields, body in ((b"Content-Length: 8\r\n", b"helloEND"),
                             (b"Transfer-Encoding: chunked\r\n", chunked)):
            answer = b.ask(head + fields + b"\r\n" + body + smuggled)
            assert answer.count(b"HTTP/1.1") == 1 and b" 200 " in answer, answer
            assert got[-1] == body, got
            # The same in pieces of one byte.
            with b.connect() as client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for byte in head + fields + b"\r\n" + body + smuggled:
                    client.send(bytes([byte]))
                answer = read_all(client)
            assert answer.count(b"HTTP/1.1") == 1 and b" 200 " in answer, answer
            assert got[-1] == body, got
        b.ask_exit()


@case
def a_malformed_chunk_never_passes():
    got = []

    def backend(peer):
        got.append(read_all(peer))

    with bench() as b:
        b.app("one", backend)
        b.start()
        answer = b.ask(b"POST / HTTP/1.1\r\nHost: one.test\r\nTransfer-Encoding: chunked\r\n\r\n"
                       b"5\r\nhelloGET / HTTP/1.1\r\n\r\n")
        assert b"400 Bad Request" in answer, answer
        b.ask_exit()
        assert b"GET" not in got[0], got


@case
def a_large_upload_to_a_sleeping_app_is_held_back_and_whole():
    size = 24 << 20
    body = os.urandom(1 << 20) * 24

    def backend(peer):
        head, data = read_until(peer, b"\r\n\r\n").split(b"\r\n\r\n", 1)
        digest = hashlib.sha256(data)
        n = len(data)
        while n < size:
            piece = peer.recv(1 << 20)
            digest.update(piece)
            n += len(piece)
        ok(peer, digest.hexdigest().encode())

    with bench() as b:
        one = b.app("one", backend, ready=False)
        b.start()
        with b.connect() as client:
            sent = []

            def send():
                client.sendall(b"POST / HTTP/1.1\r\nHost: one.test\r\n"
                               b"Content-Length: %d\r\n\r\n" % size)
                client.sendall(body)
                sent.append(time.monotonic())

            sender = threading.Thread(target=send)
            sender.start()
            b.engine.wait(LEASE, "one")
            b.assert_quiet()
            assert not sent, "all was taken before there was a backend"
            b.engine.answer("one", one.port)
            answer = read_all(client)
            sender.join()
        assert hashlib.sha256(body).hexdigest().encode() in answer, answer
        b.ask_exit()


@case
def expect_100_continue_passes():
    def backend(peer):
        read_until(peer, b"\r\n\r\n")
        peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        ok(peer, read_exactly(peer, 5))

    with bench() as b:
        b.app("one", backend)
        b.start()
        with b.connect() as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: one.test\r\nContent-Length: 5\r\n"
                           b"Expect: 100-continue\r\n\r\n")
            assert read_until(client, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(b"hello")
            assert read_all(client).endswith(b"\r\n\r\nhello")
        b.ask_exit()


@case
def an_early_answer_to_an_upload_arrives():
    def backend(peer):
        read_until(peer, b"\r\n\r\n")
        peer.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
        # Closes with unread bytes, so the kernel resets the connection.

    with bench() as b:
        b.app("one", backend)
        b.start()
        for _ in range(20):
            with b.connect() as client:
                with contextlib.suppress(OSError):
                    client.sendall(b"POST / HTTP/1.1\r\nHost: one.test\r\n"
                                   b"Content-Length: 4000000\r\n\r\n" + bytes(3000000))
                assert read_until(client, b"\r\n\r\n").startswith(b"HTTP/1.1 413")
        b.ask_exit()


@case
def a_body_cut_short_is_not_passed_on_as_whole():
    def backend(peer):
        data = read_all(peer)
        ok(peer, b"saw the end" if data.endswith(b"hel") else data)

    with bench() as b:
        b.app("one", backend)
        b.start()
        with b.connect() as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: one.test\r\nContent-Length: 5\r\n\r\nhel")
            client.shutdown(socket.SHUT_WR)
            assert read_all(client).endswith(b"saw the end")
        b.ask_exit()


@case
def a_client_that_ends_its_sending_is_served():
    with bench() as b:
        one = b.app("one", hello, ready=False)
        b.start()
        with b.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
            client.shutdown(socket.SHUT_WR)
            b.engine.wait(LEASE, "one")
            b.assert_quiet(0.2)
            b.engine.answer("one", one.port)
            assert read_all(client).endswith(b"hello\n")
        b.ask_exit()


# --- upgrades and TCP ---------------------------------------------------------------------------

UPGRADE = b"GET /ws HTTP/1.1\r\nHost: one.test\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"


@case
def an_upgrade_becomes_a_tunnel():
    early = []

    def backend(peer):
        head = read_until(peer, b"\r\n\r\n")
        assert b"Connection: upgrade\r\n" in head and b"Upgrade: x\r\n" in head, head
        ready, _, _ = select.select([peer], [], [], 0.3)
        early.append((head, ready))
        peer.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: <>\r\n\r\n" + SWITCH[:11])
        time.sleep(0.05)
        peer.sendall(SWITCH[11:] + b"first ")
        echo(peer)
        peer.sendall(b"last")

    with bench() as b:
        b.app("one", backend)
        b.start()
        with b.connect() as client:
            client.sendall(UPGRADE + b"ahead ")
            read_until(client, b"first ahead ")
            client.sendall(b"more ")
            read_until(client, b"more ")
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b"last"
        assert early[0][0].endswith(b"\r\n\r\n") and not early[0][1], early
        b.ask_exit()


@case
def an_upgrade_that_is_refused_lets_nothing_more_through():
    got = []

    def backend(peer):
        data = read_until(peer, b"\r\n\r\n")
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
        peer.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            data = read_all(peer, data)
        got.append(data)

    with bench() as b:
        b.app("one", backend)
        b.start()
        assert b.ask(UPGRADE + b"GET /smuggled HTTP/1.1\r\n\r\n").endswith(b"no")
        assert b"smuggled" not in got[0], got
        b.ask_exit()


@case
def tcp_is_relayed_with_half_close():
    def backend(peer):
        data = read_all(peer)
        peer.sendall(hashlib.sha256(data).hexdigest().encode())

    with bench() as b:
        tcp, port = b.tcp_app("tcp", backend, ready=False)
        b.start()
        data = os.urandom(3 << 20)
        with b.connect(port) as client:
            client.sendall(data[:1000])
            b.engine.wait(LEASE, "tcp")
            b.assert_quiet(0.2)
            b.engine.answer("tcp", tcp.port)
            client.sendall(data[1000:])
            client.shutdown(socket.SHUT_WR)
            assert read_all(client).decode() == hashlib.sha256(data).hexdigest()
        b.ask_exit()


@case
def either_side_may_speak_first_and_end_first():
    def backend(peer):
        peer.sendall(b"banner\n")
        peer.shutdown(socket.SHUT_WR)
        got.append(read_all(peer))

    got = []
    with bench() as b:
        _, port = b.tcp_app("tcp", backend)
        b.start()
        with b.connect(port) as client:
            assert read_all(client) == b"banner\n"
            client.sendall(b"late")
        b.ask_exit()
        assert got == [b"late"], got


@case
def a_reset_stays_a_reset():
    with bench() as b:
        tcp, port = b.tcp_app("tcp", lambda peer: (peer.recv(10), reset(peer)))
        b.start()
        with b.connect(port) as client:
            client.sendall(b"x")
            try:
                assert client.recv(1), "an orderly end"
                raise AssertionError("bytes")
            except ConnectionResetError:
                pass
        b.ask_exit()


@case
def a_slow_reader_stops_a_fast_writer():
    sent = []

    def backend(peer):
        read_until(peer, b"\r\n\r\n")
        peer.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        block = bytes(range(256)) * 256
        for _ in range(1024):  # 64 MiB
            peer.sendall(block)
            sent.append(1)

    with bench() as b:
        b.app("one", backend)
        b.start()
        with b.connect(buffer=65536) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
            read_until(client, b"\r\n\r\n")
            n = -1
            while n != len(sent):  # until everything between is full
                n = len(sent)
                time.sleep(0.3)
            assert n < 800, n
            b.assert_quiet()
            with open(f"/proc/{b.process.pid}/status") as file:
                rss = [line for line in file if line.startswith("VmRSS")][0]
            total = 0
            while piece := client.recv(1 << 20):
                total += len(piece)
            assert total >= (64 << 20) - 65536, total
            assert int(rss.split()[1]) < 64 << 10, rss
        b.ask_exit()


# --- waiting ------------------------------------------------------------------------------------

@case
def a_thousand_arrive_at_a_sleeping_app():
    with bench() as b:
        one = b.app("one", hello, ready=False)
        b.start()
        clients = [b.connect() for _ in range(1000)]
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
        b.engine.wait(LEASE, "one")
        b.engine.say(STARTING, "one")
        # The last of them is looked at after all others.
        assert b.get("nobody").startswith(b"HTTP/1.1 404")
        b.assert_quiet()
        b.engine.answer("one", one.port)
        for client in clients:
            assert read_all(client).endswith(b"hello\n")
            client.close()
        assert b.engine.count(LEASE, "one") == 1
        b.engine.wait(RELEASE, "one")
        b.ask_exit()


@case
def who_resets_is_no_longer_waited_for():
    with bench() as b:
        one = b.app("one", hello, ready=False)
        b.start()
        leaver, stayer = b.connect(), b.connect()
        leaver.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
        b.engine.wait(LEASE, "one")
        stayer.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
        reset(leaver)
        assert b.get("nobody").startswith(b"HTTP/1.1 404")
        b.engine.answer("one", one.port)
        assert read_all(stayer).endswith(b"hello\n")
        assert one.accepted == 1 and b.engine.count(LEASE, "one") == 1
        # The last one to leave gives the lease back.
        b.engine.apps["one"] = None
        b.engine.wait(RELEASE, "one")
        leaver = b.connect()
        leaver.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
        b.engine.wait(LEASE, "one", 2)
        reset(leaver)
        b.engine.wait(RELEASE, "one", 2)
        stayer.close()
        b.ask_exit()


@case
def a_warm_app_is_not_asked_for():
    with bench() as b:
        b.app("one", hello)
        b.start()
        for _ in range(50):
            assert b.get("one").endswith(b"hello\n")
        assert b.engine.count(LEASE, "one") == 1
        b.engine.wait(RELEASE, "one")
        assert b.get("one").endswith(b"hello\n")
        assert b.engine.count(LEASE, "one") == 2
        b.ask_exit()


@case
def a_failed_wake_is_told_with_its_reason():
    with bench() as b:
        b.app("one")
        b.app("two")
        b.engine.apps["one"] = (TIMEOUT, "not ready within 3 s")
        b.engine.apps["two"] = (DOCKER, "the daemon\r\nX: y cannot be reached")
        b.start()
        answer = b.get("one")
        assert answer.startswith(b"HTTP/1.1 504 ") and b"one: not ready within 3 s" in answer
        answer = b.get("two")
        assert answer.startswith(b"HTTP/1.1 503 ") and b"two: the daemon  X: y" in answer, answer
        assert b"Retry-After: " in answer and b"Cache-Control: no-store" in answer
        b.ask_exit()
        assert b.read_log().count("one: not woken") == 1, b.read_log()


@case
def a_refused_address_is_doubted_once_for_all():
    with bench() as b:
        one = b.app("one", hello, ready=False)
        b.engine.apps["one"] = None
        b.start()
        clients = [b.connect() for _ in range(50)]
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
        b.engine.wait(LEASE, "one")
        assert b.get("nobody").startswith(b"HTTP/1.1 404")
        b.engine.answer("one", free_port())
        b.engine.wait(LEASE, "one", 2)
        assert b.engine.count(LEASE, "one", DOUBT) == 1
        b.engine.answer("one", one.port)
        for client in clients:
            assert read_all(client).endswith(b"hello\n")
            client.close()
        assert b.engine.count(LEASE, "one") == 2 and b.engine.count(RELEASE, "one") <= 1
        b.ask_exit()


@case
def an_address_that_always_refuses_ends_in_502():
    with bench() as b:
        b.app("one")
        b.engine.apps["one"] = free_port()
        b.start()
        answer = b.get("one")
        assert answer.startswith(b"HTTP/1.1 502 ") and b"Connection refused" in answer, answer
        assert b.engine.count(LEASE, "one", DOUBT) == 4, b.engine.seen
        b.ask_exit()
        assert b.read_log().count("one: ") == 1, b.read_log()


@case
def a_backend_that_vanishes_before_its_answer_is_asked_again():
    seen = []

    def backend(peer):
        seen.append(read_until(peer, b"\r\n\r\n"))
        if len(seen) % 2 == 0:
            ok(peer)

    with bench() as b:
        b.app("one", backend)
        b.start()
        assert b.get("one").endswith(b"hello\n")
        assert len(seen) == 2 and seen[0] == seen[1] and b.engine.count(LEASE, "one", DOUBT) == 1
        # What may have had an effect is not repeated.
        answer = b.ask(b"POST / HTTP/1.1\r\nHost: one.test\r\nContent-Length: 0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 502 "), answer
        assert len(seen) == 3
        b.ask_exit()


@case
def gone_takes_the_lease_anew():
    with bench() as b:
        one = b.app("one", hello)
        tcp, port = b.tcp_app("tcp", echo)
        b.start()
        with b.connect(port) as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            b.engine.say(GONE, "tcp")
            assert b.get("one").endswith(b"hello\n")  # by now it was heard
            client.sendall(b"y")
            assert client.recv(1) == b"y", "an open connection is not touched"
            with b.connect(port) as second:
                second.sendall(b"z")
                assert second.recv(1) == b"z"
            assert b.engine.count(LEASE, "tcp") == 2
        # One that crosses a doubt leaves waiters behind, and they are asked for again.
        b.engine.wait(RELEASE, "one")
        b.engine.apps["one"] = free_port()
        with b.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
            b.engine.wait(LEASE, "one", 2)
            b.engine.apps["one"] = None
            b.engine.wait(LEASE, "one", 3)
            b.engine.apps["one"] = one.port
            b.engine.say(GONE, "one")
            assert read_all(client).endswith(b"hello\n")
        b.ask_exit()


@case
def stale_answers_are_dropped():
    with bench() as b:
        one = b.app("one", hello, ready=False)
        b.start()
        with b.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
            b.engine.wait(LEASE, "one")
            serial = b.engine.serial("one")
            b.engine.answer("one", (TIMEOUT, "an older one"), serial - 1)
            b.engine.answer("one", free_port(), serial + 1)
            b.engine.say(GONE, "one", serial - 1)
            b.engine.answer("nobody", 1, serial)
            b.engine.answer("one", one.port)
            assert read_all(client).endswith(b"hello\n")
        assert b.engine.count(LEASE, "one") == 1
        b.ask_exit()


@case
def the_engine_may_restart_at_any_time():
    with bench() as b:
        one = b.app("one", hello, ready=False)
        tcp, port = b.tcp_app("tcp", echo)
        b.start()
        open_one = b.connect(port)
        open_one.sendall(b"x")
        assert open_one.recv(1) == b"x"
        waiting = b.connect()
        waiting.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
        b.engine.wait(LEASE, "one")

        b.engine.go_away()
        open_one.sendall(b"y")
        assert open_one.recv(1) == b"y"
        with b.connect(port) as client:  # the address it knows still serves
            client.sendall(b"z")
            assert client.recv(1) == b"z"
        b.assert_quiet(0.3, wakes=10)  # it looks for the engine, less and less often
        b.engine.listen()
        b.engine.wait(LEASE, "one", 2)
        b.engine.wait(LEASE, "tcp", 2)
        b.engine.answer("one", one.port)
        assert read_all(waiting).endswith(b"hello\n")

        # A socket of systemd's stays: the next engine is there at once.
        b.engine.apps["one"] = one.port
        b.engine.go_away(keep_socket=True)
        assert b.get("one").endswith(b"hello\n")
        b.engine.wait(LEASE, "tcp", 3)
        open_one.close()
        waiting.close()
        b.ask_exit()


@case
def an_engine_that_sends_nonsense_is_left():
    with bench() as b:
        one = b.app("one", hello, ready=False)
        b.start()
        with b.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
            b.engine.wait(LEASE, "one")
            b.engine.fronts[0].send(b"nonsense")
            b.engine.wait(LEASE, "one", 2)
            b.engine.answer("one", one.port)
            assert read_all(client).endswith(b"hello\n")
        b.ask_exit()


@case
def an_engine_that_leaves_is_not_called_back():
    with bench() as b:
        b.app("one", hello)
        b.start()
        assert b.get("one").endswith(b"hello\n")
        b.engine.wait(RELEASE, "one")
        b.engine.go_away(keep_socket=True)
        b.assert_quiet(0.3)
        assert not b.engine.fronts
        assert b.get("one").endswith(b"hello\n")
        b.ask_exit()


# --- answers of its own -------------------------------------------------------------------------

@case
def bad_requests_get_their_status():
    with bench() as b:
        b.conf("head_limit = 1K\nhead_timeout = 500ms\n")
        b.app("one", hello)
        b.ini("broken", "[app]\nnonsense = 1\n[route]\nhost = broken.test\n")
        b.start()
        for status, request in (
                (400, b"\x16\x03\x01\x02\x00\x01\x00"),
                (400, b"GET / HTTP/1.1\r\n\r\n"),
                (400, b"GET / HTTP/1.1\nHost: one.test\n\n"),
                (404, b"GET / HTTP/1.1\r\nHost: nobody.test\r\n\r\n"),
                (404, b"GET / HTTP/1.0\r\n\r\n"),
                (408, b"GET / HTTP/1.1\r\nHost: one"),
                (414, b"GET /" + b"a" * 2000),
                (431, b"GET / HTTP/1.1\r\nHost: one.test\r\nA: " + b"a" * 2000),
                (501, b"CONNECT a:1 HTTP/1.1\r\nHost: one.test\r\n\r\n"),
                (503, b"GET / HTTP/1.1\r\nHost: broken.test\r\n\r\n"),
                (505, b"GET / HTTP/2.0\r\nHost: one.test\r\n\r\n")):
            assert b.status(request) == status, (status, request)
        head = b.ask(b"HEAD / HTTP/1.1\r\nHost: nobody.test\r\n\r\n")
        assert head.endswith(b"\r\n\r\n") and b"Content-Length: 41" in head, head
        # Nothing was asked, nothing is answered.
        assert b.ask(b"") == b""
        with b.connect() as client:
            client.sendall(b"GET / HT")
            client.shutdown(socket.SHUT_WR)
            assert read_all(client).startswith(b"HTTP/1.1 400")
        with b.connect() as client:
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b""
        assert not b.engine.seen
        b.ask_exit()


@case
def an_incomplete_head_costs_nothing():
    with bench() as b:
        b.app("one", hello)
        b.start()
        clients = [b.connect() for _ in range(20)]
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nHo")
        assert b.get("one").endswith(b"hello\n")
        b.engine.wait(RELEASE, "one")
        b.assert_quiet()
        for client in clients:
            client.sendall(b"st: one.test\r\n\r\n")
            assert read_all(client).endswith(b"hello\n")
            client.close()
        b.ask_exit()


@case
def an_answer_survives_what_the_client_still_sends():
    with bench() as b:
        b.start()
        for _ in range(20):
            with b.connect() as client:
                client.sendall(b"POST / HTTP/1.1\r\nHost: nobody.test\r\n"
                               b"Content-Length: 2000000\r\n\r\n" + bytes(2000000))
                assert read_all(client).startswith(b"HTTP/1.1 404")
        b.ask_exit()


@case
def too_many_connections_are_told_so():
    with bench() as b:
        b.conf("max_connections = 10\n")
        b.app("one", hello)
        tcp, port = b.tcp_app("tcp", echo)
        b.start()
        held = [b.connect(port) for _ in range(10)]
        for client in held:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
        for _ in range(400):
            answer = b.get("one")
            assert answer.startswith(b"HTTP/1.1 503 ") and b"too many" in answer, answer
        with b.connect(port) as client:
            assert client.recv(1) == b""
        held.pop().close()
        end = time.monotonic() + 10
        while not b.get("one").endswith(b"hello\n"):
            assert time.monotonic() < end
        for client in held:
            client.close()
        b.ask_exit()


@case
def without_descriptors_it_pauses_and_goes_on():
    with bench() as b:
        b.app("one", hello)
        tcp, port = b.tcp_app("tcp", echo)
        b.start(limit=24)
        clients = []
        for _ in range(30):
            client = b.connect(port)
            client.sendall(b"x")
            clients.append(client)
        b.wait_log("accepting pauses")
        before = b.cpu()
        time.sleep(0.5)
        after = b.cpu()
        assert after[0] - before[0] <= 2 and after[1] - before[1] < 40, (before, after)
        for client in clients:
            client.close()
        end = time.monotonic() + 10
        while not b.get("one").endswith(b"hello\n"):
            assert time.monotonic() < end
        b.ask_exit()


# --- coming and going ---------------------------------------------------------------------------

@case
def it_leaves_when_idle_and_the_backlog_stays():
    with bench() as b:
        b.conf("exit_idle = 200ms\n")
        b.app("one", hello)
        for _ in range(5):
            b.start()
            assert b.get("one").endswith(b"hello\n")
            b.wait_exit()
        with b.connect() as client:  # nobody is there
            client.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
            b.start()
            assert read_all(client).endswith(b"hello\n")
        b.wait_exit()


@case
def one_connection_from_systemd_or_inetd():
    with bench() as b:
        b.app("one", hello)
        tcp, port = b.tcp_app("tcp", echo)
        for i in range(4):
            listener = b.sockets[i % 2]
            with b.connect(listener.getsockname()[1]) as client:
                accepted, _ = listener.accept()
                if i < 2:
                    b.start([accepted])
                else:
                    b.start([], accepted)
                accepted.close()
                if i % 2 == 0:
                    client.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
                    assert read_all(client).endswith(b"hello\n")
                else:
                    client.sendall(b"x")
                    assert client.recv(1) == b"x"
            b.wait_exit()


@case
def a_unix_listener_speaks_http():
    with bench() as b:
        b.app("one", hello)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{b.folder}/http")
        listener.listen()
        b.sockets = [listener]
        b.start()
        for half_close in (False, True):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(10)
                client.connect(f"{b.folder}/http")
                client.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
                if half_close:
                    client.shutdown(socket.SHUT_WR)
                assert read_all(client).endswith(b"hello\n")
        b.ask_exit()


@case
def without_a_socket_it_says_so():
    with bench() as b:
        b.start([])
        assert b.process.wait(10) == 1
        assert "No socket" in b.read_log()


@case
def a_reload_takes_the_new_table_or_keeps_the_old():
    with bench() as b:
        b.app("one", hello)
        b.start()
        assert b.get("one").endswith(b"hello\n")
        b.app("two", hello)
        assert b.get("two").startswith(b"HTTP/1.1 404")
        b.process.send_signal(signal.SIGHUP)
        b.wait_log("read anew")
        assert b.get("two").endswith(b"hello\n")
        b.ini("two", "[app]\nnonsense = 1\n")
        b.ini("three", "[app]\nfurther = 2\n")
        b.process.send_signal(signal.SIGHUP)
        b.wait_log("the old one stays")
        log = b.read_log()
        assert "two.ini:2: " in log and "three.ini:2: " in log, log
        assert b.get("two").endswith(b"hello\n")
        b.ask_exit()


@case
def a_broken_table_answers_everybody():
    with bench() as b:
        b.conf("nonsense = 1\nexit_idle = 200ms\n")
        b.app("one", hello)
        b.start()
        answer = b.get("one")
        assert answer.startswith(b"HTTP/1.1 503 ") and b"misconfigured" in answer, answer
        b.ask_exit()


@case
def a_stop_lets_open_connections_finish():
    with bench() as b:
        one = b.app("one", hello, ready=False)
        tcp, port = b.tcp_app("tcp", echo)
        b.start()
        with b.connect(port) as client, b.connect() as waiting:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            waiting.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
            b.engine.wait(LEASE, "one")
            b.process.send_signal(signal.SIGTERM)
            client.sendall(b"y")
            assert client.recv(1) == b"y"
            b.engine.answer("one", one.port)
            assert read_all(waiting).endswith(b"hello\n")
            with b.connect() as late:  # stays in the backlog for the next front
                late.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
                client.close()
                b.wait_exit()
                b.start()
                b.engine.wait(LEASE, "one", 2)
                b.engine.answer("one", one.port)
                assert read_all(late).endswith(b"hello\n")
        b.ask_exit()


def main() -> int:
    chosen = [c for c in CASES if not sys.argv[1:] or c.__name__ in sys.argv[1:]]
    failed = 0
    print(f"1..{len(chosen)}")
    for i, function in enumerate(chosen, 1):
        began = time.monotonic()
        try:
            function()
            print(f"ok {i} - {function.__name__} ({time.monotonic() - began:.1f} s)")
        except Exception:
            failed += 1
            print("".join("# " + line for line in traceback.format_exc().splitlines(True)))
            print(f"not ok {i} - {function.__name__}")
        sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    sys.exit(main())
