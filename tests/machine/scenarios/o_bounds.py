"""The bounds against the open internet: each is reached, told honestly, and harms nobody else."""

import contextlib
import os
import resource
import socket
import statistics
import subprocess
import threading
import time
from typing import Iterator

from lib import apps
from lib.apps import app, in_both_states
from lib.client import HOST, PORT
from lib.scenario import say, scenario
from lib.setup import EACH, enable, write_config
from lib.system import eventually, main_pid, user_memory, want
from lib.wire import Wire, ask, request

BLOG = "blog.test"
KIB, MIB = 1 << 10, 1 << 20
SERVICE = "dockwake.service"

IDLE_CONNECTIONS = 10000
TUNNELS = 2000  # the app has a thread for each
IDLE_BYTES = 12 * KIB


def bounded(**front: object) -> None:
    """An app behind a front with these limits."""
    write_config({"front": {"exit_idle": "1h", **front}})
    app("blog")
    enable()


def want_503(wire: Wire) -> None:
    """At once, whole, and the connection ends."""
    begin = time.monotonic()
    reply = wire.reply()
    want(reply.status == 503 and not reply.server, f"{reply.status} from {reply.server}")
    want(reply.get("Retry-After").isdigit() and reply.text, f"{reply}")
    want(time.monotonic() - begin < 1, "not told at once")
    wire.wait_end()


@scenario("bound-max-connections")
def max_connections() -> None:
    """One more than may be served is told so; it is served once another one has gone."""
    bounded(max_connections=5)

    def case() -> None:
        wires = [Wire() for _ in range(5)]
        for wire in wires:
            want(wire.ask("/", BLOG).status == 200, "not served")
        for _ in range(3):
            with Wire() as one_more:
                one_more.send(request("/", BLOG))
                want_503(one_more)
        want(wires[0].ask("/", BLOG).status == 200, "those within the bound are hurt")
        for wire in wires:
            wire.close()
        eventually(lambda: ask("/", BLOG).status == 200, 5, "no room again")
    in_both_states(case, "blog")


@scenario("bound-max-per-address")
def max_per_address() -> None:
    """One address takes no more than its part; the others are served."""
    bounded(max_per_address=3)

    def case() -> None:
        wires = [Wire(source="127.0.0.2") for _ in range(3)]
        for wire in wires:
            want(wire.ask("/", BLOG).status == 200, "not served")
        with Wire(source="127.0.0.2") as one_more:
            one_more.send(request("/", BLOG))
            want_503(one_more)
        with Wire(source="127.0.0.3") as other:
            want(other.ask("/", BLOG).status == 200, "another address is not served")
        wires[0].close()
        eventually(lambda: ask("/", BLOG, source="127.0.0.2").status == 200, 5, "no room again")
        for wire in wires:
            wire.close()
        eventually(lambda: ask("/", BLOG, source="127.0.0.2").status == 200, 5, "no room again")
    in_both_states(case, "blog")


def ends_after(wire: Wire, seconds: float, status: int = 0) -> None:
    """The front ends it after that time, with that answer if any."""
    begin = time.monotonic()
    if status:
        reply = wire.reply()
        want(reply.status == status and not reply.server, f"{reply.status} from {reply.server}")
    wire.wait_end()
    spent = time.monotonic() - begin
    want(seconds * 0.8 < spent < seconds + 2, f"ended after {spent:.2f} s of {seconds:g} s")


@scenario("bound-head-timeout")
def head_timeout() -> None:
    """Half a head, a byte now and then, a second request's half: 408 after head_timeout."""
    bounded(head_timeout="500ms")

    def case() -> None:
        with Wire() as wire:
            wire.send(b"GET / HTTP/1.1\r\nHost: blog")
            ends_after(wire, 0.5, 408)
        with Wire() as wire:
            wire.send(request("/", BLOG) + b"GET /")
            want(wire.reply().status == 200, "not served")
            reply = wire.reply()
            want(reply.status == 408, f"{reply.status}")
        with Wire() as wire:  # who never asked is not told anything
            ends_after(wire, 0.5)
        with Wire() as wire:
            over = threading.Event()

            def drip() -> None:
                with contextlib.suppress(OSError):
                    while not over.wait(0.1):
                        wire.send(b"X")
            dripper = threading.Thread(target=drip)
            wire.send(b"GET / HTTP/1.1\r\n")
            dripper.start()
            try:
                reply = wire.reply()
                want(reply.status == 408, f"{reply.status}")
            finally:
                over.set()
                dripper.join()
    in_both_states(case, "blog")


@scenario("bound-keepalive-timeout")
def keepalive_timeout() -> None:
    """A connection between two requests is closed after keepalive_timeout, and not before."""
    bounded(keepalive_timeout="1s")

    def case() -> None:
        with Wire() as wire:
            for _ in range(2):
                want(wire.ask("/", BLOG).status == 200, "not served")
                want(wire.quiet(0.7), "closed too early")
            want(wire.ask("/", BLOG).status == 200, "not served")
            ends_after(wire, 1)
    in_both_states(case, "blog")


@scenario("bound-stall-timeout")
def stall_timeout() -> None:
    """A body that does not come: 408. A client that takes nothing: cut off. Slow ones: served."""
    bounded(stall_timeout="1s")

    def case() -> None:
        with Wire() as body, Wire() as chunks, small_window() as reader:
            body.send(request("/sum", BLOG, "Content-Length: 100", method="POST") + b"x")
            chunks.send(request("/sum", BLOG, "Transfer-Encoding: chunked", method="POST")
                        + b"5\r\nab")
            reader.send(request(f"/download?bytes={256 * MIB}", BLOG))
            ends_after(body, 1, 408)
            want(chunks.reply().status == 408, "no 408 for chunks that do not come")
            # The rest of what the kernel had taken comes, and then a reset.
            eventually(lambda: is_reset(reader), 5, "a client that reads nothing is kept")
    in_both_states(case, "blog")


@scenario("bound-slow-is-no-stall")
def slow_is_no_stall() -> None:
    """A byte of the body now and then, and an app that takes its time, are served."""
    bounded(stall_timeout="1s")
    with Wire() as body, Wire() as answer:
        body.send(request("/sum", BLOG, "Content-Length: 4", method="POST"))
        answer.send(request("/slow?ms=1500", BLOG))
        for _ in range(4):
            want(body.quiet(0.5), "cut off although it sends")
            body.send(b"x")
        want(body.reply().status == 200, "not served")
        want(answer.reply().status == 200, "not served")


@contextlib.contextmanager
def small_window() -> Iterator[Wire]:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    sock.settimeout(30)
    sock.connect((HOST, PORT))
    with Wire(sock=sock) as wire:
        yield wire


def is_reset(wire: Wire) -> bool:
    """Without reading: TCP_INFO's state is not ESTABLISHED any more."""
    return wire.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != 1


@scenario("bound-websocket-may-stand-still")
def tunnels_stand_still() -> None:
    """No timeout is for tunnels."""
    bounded(stall_timeout="1s", head_timeout="500ms", keepalive_timeout="1s")
    with Wire() as wire:
        wire.send(request("/upgrade", BLOG, "Upgrade: x", "Connection: Upgrade"))
        want(wire.reply().status == 101, "no upgrade")
        want(wire.quiet(1.5), "cut off")
        wire.send(b"still here")
        want(wire.exactly(10) == b"still here", "no echo")


@scenario("bound-head-limit")
def head_limit() -> None:
    """The limit is where the file says."""
    bounded(head_limit="2K")

    def case() -> None:
        for size, status in ((1800, 200), (2100, 431)):
            with Wire() as wire:
                wire.send(request("/", BLOG, "X: " + "x" * (size - 60)))
                want(wire.reply().status == status, f"{size} bytes: not {status}")
        with Wire() as wire:
            wire.send(request("/" + "x" * 3000, BLOG))
            want(wire.reply().status == 414, "not 414")
    in_both_states(case, "blog")


# --- many, and hostile ---------------------------------------------------------------------------

class Bystander(threading.Thread):
    """A client that asks on and on while the block runs; each must be answered right."""

    def __init__(self, pause: float = 0.01) -> None:
        super().__init__(daemon=True)
        self._over, self._pause = threading.Event(), pause
        self.times: list[float] = []
        self.errors: list[str] = []

    def run(self) -> None:
        while not self._over.wait(self._pause):
            begin = time.monotonic()
            try:
                reply = ask("/", BLOG, source="127.0.0.9", timeout=10)
                if reply.status != 200 or reply.server != "blog":
                    self.errors.append(f"{reply.status}: {reply.text[:100]}")
            except Exception as error:  # any is a client that was not served
                self.errors.append(repr(error))
            self.times.append(time.monotonic() - begin)

    def __enter__(self) -> "Bystander":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def tell(self, what: str, p99_at_most: float) -> None:
        want(not self.errors,
             f"{len(self.errors)} of {len(self.times)} not served: {self.errors[:3]}")
        want(len(self.times) >= 20, f"only {len(self.times)} requests")
        p99 = statistics.quantiles(self.times, n=100, method="inclusive")[-1]
        say(f"{what}: {len(self.times)} other requests, median "
            f"{statistics.median(self.times) * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms")
        want(p99 < p99_at_most, f"p99 {p99:.2f} s")


@scenario("bound-10000-idle-connections")
def idle_connections() -> None:
    """10,000 kept connections, each served once: little memory for each, and others are served."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[1], 20000), max(limits[1], 20000)))
    bounded(max_connections=20000, max_per_address=0, keepalive_timeout="10min",
            head_timeout="10min")
    want(ask("/", BLOG).status == 200, "not served")
    front = main_pid(SERVICE)
    before = user_memory(front)
    wires: list[socket.socket] = []
    data = request("/", BLOG)
    try:
        for at in range(0, IDLE_CONNECTIONS, 500):
            batch = [socket.create_connection((HOST, PORT), 30) for _ in range(500)]
            for sock in batch:
                sock.sendall(data)
            for sock in batch:
                want(sock.recv(4096).startswith(b"HTTP/1.1 200 "), "not served")
            wires += batch
        memory = user_memory(front) - before
        say(f"{memory / IDLE_CONNECTIONS / KIB:.2f} KiB of user memory for each of "
            f"{IDLE_CONNECTIONS} connections")
        want(memory / IDLE_CONNECTIONS < IDLE_BYTES, f"{memory / IDLE_CONNECTIONS:.0f} bytes each")
        with Bystander(0.001) as others:
            eventually(lambda: len(others.times) >= 300, 20, "others are not served")
        others.tell("10,000 idle connections", 0.25)
        for sock in wires[::997]:  # they are alive
            sock.sendall(data)
            want(sock.recv(4096).startswith(b"HTTP/1.1 200 "), "not served")
    finally:
        for sock in wires:
            sock.close()
    # What is given back is given back.
    eventually(lambda: len(os.listdir(f"/proc/{front}/fd")) < 200, 10, "descriptors are left open")


@scenario("bound-2000-open-tunnels")
def open_tunnels() -> None:
    """Connections that are being relayed: as little for each."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[1], 20000), max(limits[1], 20000)))
    bounded(max_per_address=0)
    want(ask("/", BLOG).status == 200, "not served")
    front = main_pid(SERVICE)
    before = user_memory(front)
    data = request("/upgrade", BLOG, "Upgrade: x", "Connection: Upgrade")
    wires: list[socket.socket] = []
    try:
        for at in range(0, TUNNELS, 250):
            batch = [socket.create_connection((HOST, PORT), 30) for _ in range(250)]
            for sock in batch:
                sock.sendall(data)
            for sock in batch:
                want(sock.recv(4096).startswith(b"HTTP/1.1 101 "), "no upgrade")
            wires += batch
        memory = (user_memory(front) - before) / TUNNELS
        say(f"{memory / KIB:.2f} KiB of user memory for each of {TUNNELS} open tunnels")
        want(memory < IDLE_BYTES, f"{memory:.0f} bytes each")
        for sock in wires[::97]:
            sock.sendall(b"alive")
            want(sock.recv(100) == b"alive", "no echo")
    finally:
        for sock in wires:
            sock.close()


SLOW_SECONDS = 4
SLOW = {
    "slow headers": ["-H", "-i", "1", "-x", "24"],
    "slow body": ["-B", "-i", "1", "-s", "8192", "-x", "10"],
    "range": ["-R", "-a", "10", "-b", "3000", "-t", "HEAD"],
    "slow read": ["-X", "-w", "512", "-y", "1024", "-n", "1", "-z", "32", "-k", "3"],
}


@scenario("bound-slowhttptest")
def slow_attacks() -> None:
    """Its four modes, 1,000 connections each from one address, while another address is served."""
    bounded(head_timeout="3s", stall_timeout="3s", keepalive_timeout="3s", max_per_address=500)
    with open("/etc/hosts", "a") as file:
        file.write(f"127.0.0.1 {BLOG}\n")
    want(ask("/", BLOG).status == 200, "not served")
    front = main_pid(SERVICE)
    for what, words in SLOW.items():
        url = f"http://{BLOG}/" + ("download?bytes=1000000" if what == "slow read" else "sum")
        with Bystander() as others:
            done = subprocess.run(["slowhttptest", "-c", "1000", "-r", "500", "-l",
                                   str(SLOW_SECONDS), "-p", "3", "-u", url, *words],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=60)
        want(b"slow HTTP test" in done.stdout or done.returncode == 0,
             f"slowhttptest: {done.stdout[-300:]!r}")
        others.tell(what, 1)
        want(main_pid(SERVICE) == front, "the front died")
        memory = user_memory(front)
        want(memory < 32 * MIB, f"the front holds {memory / MIB:.1f} MiB")


@scenario("bound-each-is-one-connection", EACH)
def one_connection(entry: str) -> None:
    """The timeouts of a process for one connection are the same."""
    write_config({"front": {"head_timeout": "500ms", "keepalive_timeout": "1s"}})
    apps.app("blog")
    enable(entry)

    def case() -> None:
        with Wire() as wire:
            want(wire.ask("/", BLOG).status == 200, "not served")
            ends_after(wire, 1)
        with Wire() as wire:
            wire.send(b"GET /")
            ends_after(wire, 0.5, 408)
    in_both_states(case, "blog")
