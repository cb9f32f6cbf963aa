"""Apps in both states: asleep, when a request has to wake them, and awake."""

import contextlib
import os
import signal
from typing import Callable, Iterator

from . import docker
from .docker import Events
from .setup import FRONT, enable, write_app
from .system import Wrong, eventually, main_pid, run, want

# No app falls asleep by itself while a case runs; sleep() does it.
STAYS = {"idle_timeout": "1h"}

STATES = ("asleep", "awake")


def app(name: str, sections: dict[str, dict[str, object]] | None = None, image: str = "sample-app",
        labels: dict[str, str] | None = None, container: str = "", **environment: object) -> None:
    """A container and its file, with what the sections say beside STAYS."""
    docker.create(container or name, image, labels, **environment)
    sections = dict(sections or {})
    sections["app"] = {**STAYS, **sections.get("app", {})}
    write_app(name, **sections)


def sleep(name: str, container: str = "") -> None:
    """Puts it to sleep; returns when Docker says that it is down."""
    container = container or name
    if docker.status(container) not in ("running", "paused"):
        return
    run("dockwake", "sleep", name)
    eventually(lambda: docker.status(container) in ("exited", "created"), 20,
               f"{container} does not sleep")


def in_both_states(case: Callable[[], None], *names: str) -> None:
    """The case with all of these apps asleep, and again with them awake. It has to wake them."""
    for name in names:
        sleep(name)
    for state in STATES:
        try:
            case()
        except Wrong as wrong:
            raise Wrong(f"{state} at first: {wrong}") from wrong
        except OSError as error:
            raise Wrong(f"{state} at first: {error!r}") from error
        for name in names:
            want(docker.status(name) == "running", f"{state} at first: {name} does not run")


def blog(case: Callable[[], None], entry: str = FRONT,
         sections: dict[str, dict[str, object]] | None = None, **environment: object) -> None:
    """One app of that name, and the case in both states."""
    app("blog", sections, **environment)
    enable(entry)
    in_both_states(case, "blog")


@contextlib.contextmanager
def untouched() -> Iterator[None]:
    """Nothing happens to any container in the block."""
    with Events() as events:
        yield
        want(not events.seen(), f"Docker was asked: {events.seen()}")


@contextlib.contextmanager
def docker_frozen() -> Iterator[None]:
    """Whoever asks Docker in the block gets no answer, not even to a question."""
    pid = main_pid("docker.service")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
