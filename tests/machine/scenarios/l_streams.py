"""Rows P2, P4 and S2 as far as an open connection counts: WebSockets, streams, and silence."""

import contextlib
import os
import threading
import time

from lib import apps, docker
from lib.apps import in_both_states
from lib.client import pattern, want_hello
from lib.docker import Events
from lib.scenario import say, scenario
from lib.setup import EACH, FRONT, enable, listen_also, write_app, write_config
from lib.system import main_pid, user_memory, wait_no_process, want
from lib.websocket import PING, PONG, TEXT, WebSocket
from lib.wire import Wire, request

BLOG = "blog.test"
IDLE = 0.3  # seconds, as in setup.WHOLE
PACE = IDLE / 3
LONG = 6 * IDLE
PIECES = int(LONG / PACE)
MIB = 1 << 20
TCP_PORT = 7007


@scenario("websocket-both-ways-each", EACH)
@scenario("websocket-both-ways", FRONT)
def both_ways(entry: str) -> None:
    """P2: frames of all sizes, a ping, many at once in both directions, and the closing handshake."""
    def case() -> None:
        with WebSocket(BLOG) as ws:
            want(ws.answer.server in ("", "blog"), f"answered by {ws.answer.server}")
            ws.echo("häll\u00f6".encode(), TEXT)
            for size in (0, 1, 125, 126, 65535, 65536, MIB):
                ws.echo(os.urandom(size))
            ws.frame(PING, b"are you there")
            want(ws.take() == (PONG, b"are you there"), "no pong")
            data = [os.urandom(20000) for _ in range(200)]

            def send() -> None:
                for part in data:
                    ws.frame(2, part)
            sender = threading.Thread(target=send)
            sender.start()
            for number, part in enumerate(data):
                want(ws.take() == (2, part), f"frame {number} came back wrong")
            sender.join()
            ws.say_goodbye()
    apps.blog(case, entry)


@scenario("websocket-half-close")
def half_close() -> None:
    """P2: the client ends its side behind its last frame, and still gets all that comes back."""
    data = os.urandom(5 * MIB)

    def case() -> None:
        with WebSocket(BLOG) as ws:
            def send() -> None:
                ws.frame(2, data)
                ws.end()
            sender = threading.Thread(target=send)
            sender.start()
            want(ws.take() == (2, data), "the frame came back wrong")
            sender.join()
            ws.wait_end()
    apps.blog(case)


@scenario("websocket-first-frame-at-once")
def at_once() -> None:
    """P2: frames that are sent before 101 has come are not lost."""
    def case() -> None:
        with Wire() as wire:
            wire.send(request("/ws", BLOG, "Upgrade: websocket", "Connection: keep-alive, Upgrade",
                              "Sec-WebSocket-Version: 13",
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
                      + b"\x81\x85\0\0\0\0hello")
            reply = wire.reply()
            want(reply.status == 101, f"{reply}")
            want(reply.get("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", f"{reply}")
            want(wire.exactly(7) == b"\x81\x05hello", "the frame came back wrong")
    apps.blog(case)


@scenario("websocket-refused-keeps-the-connection")
def refused() -> None:
    """P2: an app that does not want to upgrade answers, and the connection goes on."""
    def case() -> None:
        with Wire() as wire:
            reply = wire.ask("/ws", BLOG, "Upgrade: websocket", "Connection: Upgrade")
            want(reply.status == 426 and reply.server == "blog", f"{reply}")
            want(wire.ask("/", BLOG).server == "blog", "not answered behind a refused upgrade")
    apps.blog(case)


@scenario("websockets-1000")
def thousand() -> None:
    """P2: 1,000 open at once, all alive."""
    apps.app("blog")
    write_config({"front": {"exit_idle": "200ms"}})
    enable()

    def case() -> None:
        sockets = []
        try:
            for _ in range(1000):
                sockets.append(WebSocket(BLOG))
            for number, ws in enumerate(sockets):
                ws.frame(TEXT, str(number).encode())
            for number, ws in enumerate(sockets):
                want(ws.take() == (TEXT, str(number).encode()), f"frame {number} came back wrong")
            say(f"the front holds {user_memory(main_pid('dockwake.service')) / MIB:.1f} MiB")
        finally:
            for ws in sockets:
                ws.close()
    in_both_states(case, "blog")


# --- longer than idle_timeout --------------------------------------------------------------------

def slow_upload(host: str) -> None:
    with Wire() as wire:
        wire.send(request("/sum", host, f"Content-Length: {PIECES}", method="POST"))
        for _ in range(PIECES):
            wire.send(b"x")
            time.sleep(PACE)  # the pace is what is being tried
        want(wire.reply().text.endswith(f"length={PIECES}"), "the upload did not arrive whole")


def slow_download(host: str) -> None:
    size = 30000
    with Wire() as wire:
        reply = wire.ask(f"/download?bytes={size}&rate={int(size / LONG)}", host)
    want(reply.body == pattern(size), f"{len(reply.body)} of {size} bytes")


def slow_events(host: str) -> None:
    with Wire() as wire:
        wire.send(request(f"/events?n={PIECES}&ms={int(PACE * 1000)}", host))
        reply = wire.head()
        for i in range(PIECES):
            want(wire.next_chunk(reply) == f"data: {i}\n\n".encode(), f"event {i}")
        wire.leave()


def slow_websocket(host: str) -> None:
    with WebSocket(host) as ws:
        for i in range(PIECES):
            ws.echo(str(i).encode())
            time.sleep(PACE)  # the pace is what is being tried
        ws.say_goodbye()


STREAMS = {"download": slow_download, "upload": slow_upload, "events": slow_events,
           "websocket": slow_websocket}


@scenario("slow-streams-are-never-cut", False)
@scenario("slow-streams-are-never-cut-warm", True)
def never_cut(warm: bool) -> None:
    """P4, S2: each of them much longer than idle_timeout and silence, each with an app of its own."""
    for name in STREAMS:
        docker.create(name)
        write_app(name, route={"host": f"{name}.test"})
    enable()
    errors = {}

    def run(name: str) -> None:
        try:
            if warm:
                want_hello(f"{name}.test", name)
            STREAMS[name](f"{name}.test")
        except Exception as error:  # told of below, with whose it was
            errors[name] = error

    with Events() as events:
        threads = [threading.Thread(target=run, args=(name,)) for name in STREAMS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        want(not errors, f"{errors}")
        want(events.count("start") == len(STREAMS), f"events: {events.seen()}")
        for _ in STREAMS:
            events.wait("die")
    wait_no_process()


# --- silence -------------------------------------------------------------------------------------

def silent_download(host: str) -> Wire:
    """The client reads nothing."""
    wire = Wire()
    wire.send(request(f"/download?bytes={1 << 30}", host))
    wire.head()
    return wire


def silent_upload(host: str) -> Wire:
    """The client sends half of it."""
    wire = Wire()
    wire.send(request("/sum", host, "Content-Length: 2000", method="POST") + bytes(1000))
    return wire


def silent_events(host: str) -> Wire:
    """The app has nothing more to say."""
    wire = Wire()
    wire.send(request("/events?n=1&ms=0", host))
    want(wire.next_chunk(wire.head()) == b"data: 0\n\n", "no event")
    return wire


def silent_websocket(host: str) -> Wire:
    ws = WebSocket(host)
    ws.echo(b"the last word")
    return ws


def silent_tcp(_: str) -> Wire:
    wire = Wire(TCP_PORT)
    want(wire.exactly(6) == b"hello\n", "no greeting")
    return wire


SILENT = {"download": silent_download, "upload": silent_upload, "events": silent_events,
          "websocket": silent_websocket, "tcp": silent_tcp}


def silent_apps(**idle: object) -> None:
    for name in SILENT:
        docker.create(name, TCP_PORT=9000, TCP_GREETING="hello\n")
        tcp = name == "tcp"
        write_app(name, app={"port": 9000 if tcp else 8080}, idle=idle,
                  route={"port": TCP_PORT} if tcp else {"host": f"{name}.test"})
    listen_also(FRONT, TCP_PORT)
    write_config({"front": {"exit_idle": "200ms"}, "defaults": {"idle_timeout": "300ms"}})
    enable()


@scenario("silent-streams-stop-counting", False)
@scenario("silent-streams-stop-counting-warm", True)
def stop_counting(warm: bool) -> None:
    """S2: open, and silent for longer than `silence`: the app sleeps, and wakes for the next one."""
    silent_apps(silence="500ms")
    with Events() as events:
        wires = []
        for name, silent in SILENT.items():
            if warm and name != "tcp":
                want_hello(f"{name}.test", name)
            wires.append(silent(f"{name}.test"))
        for _ in SILENT:
            events.wait("die")
        for wire in wires[1:]:  # the first has more to read than one would like
            with contextlib.suppress(ConnectionResetError):
                wire.stream.read()
        wires[0].leave()
        want_hello("websocket.test", "websocket")
        for wire in wires[1:]:
            wire.close()
        events.wait("die")
        wait_no_process()
        # Nobody else has come: the end of its connections is no reason to wake an app.
        want(events.count("start") == len(SILENT) + 1, f"events: {events.seen()}")


@scenario("silence-0-counts-for-ever")
def counts_for_ever() -> None:
    """S2: without a limit an open connection counts, however silent."""
    silent_apps(silence="0")
    with Events() as events:
        wires = [silent(f"{name}.test") for name, silent in SILENT.items()]
        want(wires[-1].quiet(5 * IDLE), "something came, or the end")
        want(events.count("die") == 0, f"events: {events.seen()}")
        for wire in wires:
            wire.leave()
        for _ in SILENT:
            events.wait("die")
    wait_no_process()


@scenario("silence-ends-with-a-byte")
def byte_counts_again() -> None:
    """S2: a byte now and then, each within `silence`, keeps the app awake; then it may sleep."""
    docker.create("blog")
    write_app("blog", idle={"silence": "600ms"})
    enable()
    with Events("blog") as events, WebSocket(BLOG) as ws:
        for _ in range(4):
            want(ws.quiet(0.4), "something came, or the end")
            ws.echo(b"still here")
        want(events.count("die") == 0, f"events: {events.seen()}")
        events.wait("die")
    wait_no_process()
