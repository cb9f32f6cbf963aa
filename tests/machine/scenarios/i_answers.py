"""The front's own answers: short, correct HTTP with a reason, and Docker is not asked."""

import socket

from lib import docker
from lib.client import HOST, PORT, raw, receive_all, want_hello
from lib.docker import Events
from lib.scenario import scenario
from lib.setup import EACH, FRONT, enable, write_app, write_config
from lib.system import systemctl, wait_no_process, want


def status_of(answer: bytes) -> int:
    want(answer.startswith(b"HTTP/1.1 "), f"no HTTP: {answer[:100]!r}")
    head, _, body = answer.partition(b"\r\n\r\n")
    want(body.strip(), f"no reason: {answer!r}")
    want(f"\r\ncontent-length: {len(body)}\r\n".encode() in head.lower() + b"\r\n",
         f"no length, or another than {len(body)}: {head!r}")
    want(b"\r\nconnection: close" in head.lower(), f"left open: {head!r}")
    return int(answer.split()[1])


@scenario("own-answers-each", EACH)
@scenario("own-answers", FRONT)
def own_answers(entry: str) -> None:
    docker.create("blog")
    write_app("blog")
    enable(entry)
    cases = {
        b"GET / HTTP/1.1\r\nHost: nobody.test\r\nConnection: close\r\n\r\n": (404,),
        b"GET / HTTP/1.1\r\n\r\n": (400,),
        b"GET / HTTP/1.1\r\nHost: blog.test\r\nHost: blog.test\r\n\r\n": (400,),
        b"GET / HTTP/1.1\r\nHost : blog.test\r\n\r\n": (400,),
        b"GET / HTTP/1.1\r\nHost: bl og.test\r\n\r\n": (400,),
        b"GET /\r\n\r\n": (400,),
        b"\x15\x03\x01\x00\x02 a TLS alert\r\n\r\n": (400,),
        b"nonsense\r\n\r\n": (400,),
        b"GET / HTTP/2.0\r\nHost: blog.test\r\n\r\n": (400, 505),
        b"GET / HTTP/1.1\r\nHost: blog.test\r\nX: " + b"x" * 40000 + b"\r\n\r\n": (431,),
        b"GET /" + b"x" * 40000 + b" HTTP/1.1\r\nHost: blog.test\r\n\r\n": (414,),
    }
    with Events("blog") as events:
        for request, right in cases.items():
            status = status_of(raw(request))
            want(status in right, f"{request[:60]!r}: {status}")
        want(not events.seen(), f"Docker was asked: {events.seen()}")
    wait_no_process()


@scenario("head-too-slow")
def head_too_slow() -> None:
    """408 after head_timeout, with half a head and with none; nothing is woken."""
    write_config({"front": {"exit_idle": "200ms", "head_timeout": "500ms"}})
    docker.create("blog")
    write_app("blog")
    enable()
    with Events("blog") as events:
        status = status_of(raw(b"GET / HTTP/1.1\r\nHost: blog.test\r\n"))
        want(status == 408, f"half a head: {status}")
        silent = raw(b"")
        want(not silent or status_of(silent) == 408, f"no byte at all: {silent!r}")
        want(not events.seen(), f"Docker was asked: {events.seen()}")
    wait_no_process()


@scenario("head-in-pieces")
def head_in_pieces() -> None:
    """Byte by byte, each in a packet of its own."""
    docker.create("blog")
    write_app("blog")
    enable()
    with socket.create_connection((HOST, PORT), 30) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET / HTTP/1.1\r\nHost: blog.test\r\nConnection: close\r\n\r\n":
            sock.send(bytes([byte]))
        data = receive_all(sock)
    want(data.endswith(b"hello from blog\n"), f"answered {data[:200]!r}")


@scenario("head-arrives-unchanged")
def head_unchanged() -> None:
    """What the app sees is what the client sent."""
    docker.create("blog")
    write_app("blog")
    enable()
    head = (b"GET /headers HTTP/1.1\r\nHost: blog.test\r\nX-Odd:  two  spaces\r\n"
            b"Cookie: a=b; c=d\r\nConnection: close\r\n\r\n")
    data = raw(head)
    want(b"X-Odd:  two  spaces\n" in data or b"X-Odd: two  spaces\n" in data,
         f"the app saw {data!r}")
    want(b"Cookie: a=b; c=d\n" in data, f"the app saw {data!r}")


@scenario("inetd")
def inetd() -> None:
    """The connection on standard input, as any inetd hands it over."""
    docker.create("blog")
    write_app("blog")
    enable()
    # The unit of one's own: a port, Accept=yes, and the program with its connection on stdin.
    port = 8099
    with open("/run/systemd/system/by-inetd.socket", "w") as file:
        file.write(f"[Socket]\nListenStream={port}\nAccept=yes\n")
    with open("/run/systemd/system/by-inetd@.service", "w") as file:
        file.write("[Unit]\nCollectMode=inactive-or-failed\n[Service]\nUser=dockwake\n"
                   "StandardInput=socket\nStandardOutput=socket\nStandardError=journal\n"
                   "ExecStart=/usr/lib/dockwake/dockwake-front\n")
    systemctl("daemon-reload")
    try:
        systemctl("start", "by-inetd.socket")
        want_hello("blog.test", "blog", port=port)
    finally:
        systemctl("stop", "by-inetd.socket")


@scenario("keeps-own-address-when-conn-replaces-front")
def switch_entries() -> None:
    """From one way of accepting to the other and back, with nothing in the way."""
    docker.create("blog")
    write_app("blog")
    enable(FRONT)
    want_hello("blog.test", "blog")
    systemctl("disable", "--now", "--quiet", FRONT)
    enable(EACH)
    want_hello("blog.test", "blog")
    systemctl("disable", "--now", "--quiet", EACH)
    enable(FRONT)
    want_hello("blog.test", "blog")
