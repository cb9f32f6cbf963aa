"""WebSocket through a real library on both ends (python3-websockets), as apps and browsers use it."""

import asyncio
import contextlib
import os
import time
from typing import Awaitable, Callable

from lib import ws_app
from lib.docker import Events
from lib.peers import names_of
from lib.scenario import say, scenario
from lib.setup import enable, write_app, write_config
from lib.system import main_pid, user_memory, wait_no_process, want

with contextlib.suppress(ImportError):  # where the scenarios are only named it need not be
    import websockets

URL = "ws://chat.test/room?of=all"
MANY = 1000
OPENING = 100  # handshakes that are under way at a time

IDLE = 0.3     # seconds after which an app without connections sleeps
SILENCE = 1.0  # and after which a silent one counts no more


def chat(idle_timeout: str = "300ms") -> None:
    ws_app.create("chat")
    write_config({"front": {"exit_idle": "200ms"}})
    write_app("chat", app={"idle_timeout": idle_timeout}, idle={"silence": "1s"})
    names_of(["chat"])
    enable()


def connect(**options: object) -> Awaitable:
    return websockets.connect(URL, open_timeout=60, ping_interval=None, max_size=None, **options)


def run(story: Callable[[], Awaitable[None]], seconds: float = 120) -> None:
    async def within() -> None:
        await asyncio.wait_for(story(), seconds)

    try:
        asyncio.run(within())
    except (websockets.exceptions.WebSocketException, TimeoutError, asyncio.TimeoutError) as error:
        want(False, f"{type(error).__name__}: {error}")


async def want_echo(connection, text: str) -> None:
    await connection.send(text)
    answer = await connection.recv()
    want(answer == f"chat: {text}", f"sent {text!r}, got {answer!r}")


async def want_ticks(connection, count: int, ms: int) -> None:
    await connection.send(f"tick {count} {ms}")
    for number in range(1, count + 1):
        answer = await connection.recv()
        want(answer == f"tick {number}", f"waited for tick {number}, got {answer!r}")


async def whole_story() -> None:
    """What the protocol has: both kinds of messages, large ones, fragments, pings, the closing."""
    big = os.urandom(1 << 20)
    async with connect() as connection:
        await want_echo(connection, "hello")
        await connection.send(big)
        want(await connection.recv() == big, "a large message came back changed")
        await connection.send(["in ", "three ", "fragments"])
        want(await connection.recv() == "chat: in three fragments", "the fragments were lost")
        await (await connection.ping())
        await want_echo(connection, "é" * 5000)
        await connection.close(code=1000, reason="done")
        want(connection.close_code == 1000, f"closed with {connection.close_code}")


@scenario("websocket-library")
def library() -> None:
    chat(idle_timeout="1h")
    with Events("chat") as events:
        run(whole_story)
        run(whole_story)
        want(events.count("start") == 1 and events.count("die") == 0, f"events: {events.seen()}")


@scenario("websocket-active-is-never-cut")
def active() -> None:
    """Several times idle_timeout and silence, with traffic to one side alone, then to the other."""
    chat()

    async def story() -> None:
        async with connect() as connection:
            await want_ticks(connection, count=30, ms=100)
            for number in range(30):
                await connection.send(f"quiet {number}")
                await asyncio.sleep(0.1)  # the pace at which this client has something to say
            await connection.send("count")
            want(await connection.recv() == "30", "messages were lost")

    with Events("chat") as events:
        run(story)
        want(events.count("die") == 0, f"events: {events.seen()}")
        events.wait("die")
    wait_no_process()


@scenario("websocket-silent-stops-counting")
def silent() -> None:
    """After its silence a connection keeps nothing awake, and comes to its end with the container."""
    chat()

    async def story() -> None:
        async with connect() as connection:
            await want_echo(connection, "last words")
            spoken = time.monotonic()
            died = await asyncio.to_thread(events.wait, "die")
            want(died - spoken >= SILENCE, f"asleep {died - spoken:.2f} s after the last message")
            say(f"asleep {died - spoken:.2f} s after the last message; "
                f"silence {SILENCE} s, idle_timeout {IDLE} s")
            try:
                await connection.recv()
                want(False, "a message from a container that is down")
            except websockets.exceptions.ConnectionClosed:
                pass
        async with connect() as connection:
            await want_echo(connection, "awake again")

    with Events("chat") as events:
        run(story)
    wait_no_process()


@scenario("websocket-1000")
def many() -> None:
    """All at a sleeping app; then one of them is active and all others silent; then all are silent."""
    chat(idle_timeout="1s")

    async def one(gate: asyncio.Semaphore, number: int):
        async with gate:
            connection = await connect()
        await want_echo(connection, f"I am {number}")
        return connection

    async def story() -> None:
        begin = time.monotonic()
        gate = asyncio.Semaphore(OPENING)
        open_ones = await asyncio.gather(*(one(gate, number) for number in range(MANY)))
        opened = time.monotonic() - begin
        memory = user_memory(main_pid("dockwake.service"))
        await asyncio.gather(*(want_echo(connection, f"still {number}")
                               for number, connection in reversed(list(enumerate(open_ones)))))
        await want_ticks(open_ones[0], count=40, ms=100)
        want(events.count("die") == 0, f"asleep under an active one: {events.seen()}")
        await asyncio.gather(*(want_echo(connection, f"and still {number}")
                               for number, connection in enumerate(open_ones)))
        spoken = time.monotonic()
        died = await asyncio.to_thread(events.wait, "die", 60)
        say(f"{MANY} open after {opened:.1f} s; the front had {memory / (1 << 20):.1f} MiB of PSS; "
            f"asleep {died - spoken:.1f} s after the last message")
        await asyncio.gather(*(connection.wait_closed() for connection in open_ones))

    with Events("chat") as events:
        run(story)
        want(events.count("start") == 1, f"events: {events.seen()}")
    wait_no_process()
