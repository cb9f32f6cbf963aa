"""Item 3: bodies, long transfers, raw TCP, and a reader that is slow."""

import os
import socket
import threading
import time
import zlib

from lib import docker
from lib.client import HOST, PORT, get, pattern, receive_all, want_hello
from lib.docker import Events
from lib.scenario import say, scenario
from lib.setup import EACH, FRONT, enable, listen_also, write_app
from lib.system import (cpu_seconds, eventually, main_pid, user_memory, wait_no_process, want)

MIB = 1 << 20
TCP_PORT = 7007
IDLE = 0.3  # seconds, as in setup.WHOLE


@scenario("upload-64-mib-each", EACH)
@scenario("upload-64-mib", FRONT)
def upload(entry: str) -> None:
    docker.create("blog")
    write_app("blog")
    enable(entry)
    data = os.urandom(MIB) * 64
    answer = get("blog.test", "/sum", method="POST", body=data)
    want(answer.status == 200, f"status {answer.status}: {answer.text}")
    right = f"adler32={zlib.adler32(data):08x} length={len(data)}"
    want(answer.text == right, f"sent {right}, the app saw {answer.text}")
    say(f"64 MiB at a sleeping app: {answer.seconds:.2f} s")


@scenario("upload-chunked")
def upload_chunked() -> None:
    """Chunked both ways, echoed whole."""
    docker.create("blog")
    write_app("blog")
    enable()
    parts = [os.urandom(size) for size in (1, 70000, 3, MIB, 17)]
    whole = b"".join(parts)
    answer = get("blog.test", "/echo", method="POST", body=iter(parts))
    want(answer.status == 200 and answer.body == whole,
         f"status {answer.status}, {len(answer.body)} of {len(whole)} bytes")


@scenario("long-download-each", EACH)
@scenario("long-download", FRONT)
def long_download(entry: str) -> None:
    """Ten times idle_timeout, in small pieces: an open connection keeps the app awake."""
    size = 60000
    docker.create("blog")
    write_app("blog")
    enable(entry)
    with Events("blog") as events:
        answer = get("blog.test", f"/download?bytes={size}&rate={int(size / (10 * IDLE))}")
        want(answer.status == 200 and answer.body == pattern(size),
             f"status {answer.status}, {len(answer.body)} of {size} bytes")
        want(answer.seconds > 9 * IDLE, f"took only {answer.seconds:.1f} s")
        want(events.count("die") == 0, f"the container went down meanwhile: {events.seen()}")
        events.wait("die")
    wait_no_process()


@scenario("silent-connection-counts")
def silent_connection() -> None:
    """A request that is long in answering is no reason to sleep either, unless `silence` says so."""
    docker.create("blog")
    write_app("blog", idle={"silence": "0"})
    enable()
    with Events("blog") as events:
        answer = get("blog.test", f"/slow?ms={int(10 * IDLE * 1000)}")
        want(answer.status == 200, f"status {answer.status}: {answer.text}")
        want(events.count("die") == 0, f"the container went down meanwhile: {events.seen()}")


def tcp_app(entry: str, **environment: object) -> None:
    docker.create("echo", TCP_PORT=9000, **environment)
    write_app("echo", app={"port": 9000}, route={"port": TCP_PORT}, idle={"silence": "0"})
    listen_also(entry, TCP_PORT)
    enable(entry)


@scenario("tcp-half-close-each", EACH)
@scenario("tcp-half-close", FRONT)
def tcp_half_close(entry: str) -> None:
    """The client ends its side first; what is still on its way back arrives whole."""
    tcp_app(entry)
    data = os.urandom(5 * MIB)
    with socket.create_connection((HOST, TCP_PORT), 30) as sock:
        def send() -> None:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
        sender = threading.Thread(target=send)
        sender.start()
        back = receive_all(sock)
        sender.join()
    want(back == data, f"{len(back)} of {len(data)} bytes came back, or others")


@scenario("tcp-close-at-once")
def tcp_close_at_once() -> None:
    """A few bytes and the end, all before the app is awake."""
    tcp_app(FRONT)
    with socket.create_connection((HOST, TCP_PORT), 30) as sock:
        sock.sendall(b"all there is\n")
        sock.shutdown(socket.SHUT_WR)
        back = receive_all(sock)
    want(back == b"all there is\n", f"came back: {back!r}")


@scenario("tcp-server-speaks-first-each", EACH)
@scenario("tcp-server-speaks-first", FRONT)
def tcp_greeting(entry: str) -> None:
    """A client that waits for the greeting wakes the app by connecting alone."""
    tcp_app(entry, TCP_GREETING="ready when you are")
    with socket.create_connection((HOST, TCP_PORT), 30) as sock:
        greeting = sock.recv(100)
        want(greeting == b"ready when you are", f"greeted with {greeting!r}")
        sock.sendall(b"ping")
        want(sock.recv(100) == b"ping", "no echo")


@scenario("tcp-keeps-awake")
def tcp_keeps_awake() -> None:
    """An open TCP connection without a byte on it counts; once it is closed the app sleeps."""
    tcp_app(FRONT, TCP_GREETING="hello")
    with Events("echo") as events:
        with socket.create_connection((HOST, TCP_PORT), 30) as sock:
            sock.recv(100)
            get_slow = time.monotonic() + 5 * IDLE
            sock.settimeout(5 * IDLE)
            try:
                want(sock.recv(1) != b"", "the connection was closed")
            except TimeoutError:
                pass  # as it should be: nothing came, and nothing ended
            want(time.monotonic() >= get_slow - 0.05, "something came")
            want(events.count("die") == 0, f"asleep under an open connection: {events.seen()}")
        events.wait("die")
    wait_no_process()


@scenario("slow-reader-stops-the-writer")
def slow_reader() -> None:
    """A client that does not read: the front holds little, does not spin, and loses nothing."""
    size = 64 * MIB
    docker.create("blog")
    write_app("blog", app={"idle_timeout": "1h"})
    enable()
    want_hello("blog.test", "blog")
    front = main_pid("dockwake.service")
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.settimeout(30)
        sock.connect((HOST, PORT))
        sock.sendall(f"GET /download?bytes={size} HTTP/1.1\r\nHost: blog.test\r\n"
                     "Connection: close\r\n\r\n".encode())
        sock.recv(1, socket.MSG_PEEK)
        # The writer has stopped once the front takes no more time on the processor; it may spend a
        # tick for the last bytes of what the kernel still takes.
        last = [cpu_seconds(front), time.monotonic()]

        def rests() -> bool:
            now = cpu_seconds(front)
            if now > last[0] + 0.011:
                last[:] = [now, time.monotonic()]
            return time.monotonic() - last[1] > 1
        eventually(rests, 15, "the front spins while the client does not read")
        memory = user_memory(front)
        want(memory < 8 * MIB, f"the front holds {memory / MIB:.1f} MiB for one slow reader")
        data = receive_all(sock)
    want(data.endswith(pattern(size)), f"{len(data)} bytes of {size} and a head, or others")


@scenario("slow-app-stops-the-writer")
def slow_app() -> None:
    """A client that sends on and on to an app that never becomes ready: bounded, and an answer."""
    docker.create("blog", NEVER=1)
    write_app("blog", app={"start_timeout": "2s"})
    enable()
    with socket.create_connection((HOST, PORT), 30) as sock:
        sock.sendall(b"POST /sum HTTP/1.1\r\nHost: blog.test\r\nContent-Length: 1000000000\r\n\r\n")
        sock.settimeout(0.5)
        sent = 0
        try:
            while sent < 64 * MIB:
                sent += sock.send(bytes(MIB))
        except TimeoutError:
            pass
        want(sent < 32 * MIB, f"{sent / MIB:.0f} MiB were taken for a sleeping app")
        memory = user_memory(main_pid("dockwake.service"))
        want(memory < 8 * MIB, f"the front holds {memory / MIB:.1f} MiB")
        sock.settimeout(30)
        answer = sock.recv(65536)
    want(answer.startswith(b"HTTP/1.1 504 "), f"answered {answer[:200]!r}")


@scenario("many-requests-one-connection")
def one_connection() -> None:
    """No request reaches another app by way of a kept connection."""
    for name in ("blog", "wiki"):
        docker.create(name)
        write_app(name)
    enable()
    with socket.create_connection((HOST, PORT), 30) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: blog.test\r\n\r\n"
                     b"GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        data = receive_all(sock)
    want(data.count(b"HTTP/1.1 200 OK") == 2, f"answers: {data!r}")
    want(0 < data.find(b"hello from blog") < data.find(b"hello from wiki"), f"answers: {data!r}")
