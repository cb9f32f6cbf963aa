"""A WebSocket server as people write one, with the websockets library; PID 1 of its container.

What a message asks for:

    tick N MS     N messages "tick 1" to "tick N", MS milliseconds apart
    quiet ...     no answer
    count         how many quiet ones came on this connection
    anything else "NAME: " and the message; bytes come back as they are
"""

import asyncio
import os
import resource
import signal

import websockets

NAME = os.environ.get("NAME", "?")


async def serve(connection) -> None:
    quiet = 0
    async for message in connection:
        if isinstance(message, bytes):
            await connection.send(message)
        elif message.startswith("tick "):
            count, pause = (int(word) for word in message.split()[1:])
            for number in range(1, count + 1):
                await asyncio.sleep(pause / 1000)
                await connection.send(f"tick {number}")
        elif message.startswith("quiet"):
            quiet += 1
        elif message == "count":
            await connection.send(str(quiet))
        else:
            await connection.send(f"{NAME}: {message}")


async def main() -> None:
    # PID 1 ignores what it has no handler for.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, os._exit, 0)
    async with websockets.serve(serve, "0.0.0.0", 8080, backlog=4096, max_size=None,
                                ping_interval=None):
        await asyncio.Future()


hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
asyncio.run(main())
