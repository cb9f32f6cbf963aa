"""Item 4: when an app counts as ready, and what happens when it never does."""

import json
import time

from lib import docker
from lib.client import get, want_hello
from lib.docker import Events
from lib.scenario import say, scenario
from lib.setup import EACH, FRONT, enable, write_app
from lib.system import run, wait_no_process, want


def status(name: str) -> dict:
    """What the command says of one app."""
    said = json.loads(run("dockwake", "status", name, "--json").stdout)
    return said[0] if isinstance(said, list) else said


def cold(name: str, at_least: float, at_most: float) -> float:
    """The first request is answered by the app, and not before it was ready."""
    answer = want_hello(f"{name}.test", name)
    want(answer.seconds >= at_least, f"answered after {answer.seconds:.2f} s of {at_least} s")
    want(answer.seconds <= at_most, f"answered only after {answer.seconds:.2f} s")
    return answer.seconds


@scenario("ready-by-healthcheck-each", EACH)
@scenario("ready-by-healthcheck", FRONT)
def healthcheck(entry: str) -> None:
    """It answers at once, but its own HEALTHCHECK says healthy only later: that is waited for."""
    docker.create("blog", image="sample-health", HEALTH_DELAY=1500)
    write_app("blog")
    enable(entry)
    with Events("blog") as events:
        seconds = cold("blog", 1.5, 5)
        events.wait("health_status: healthy")
        events.wait("die")
    say(f"healthy at 1.5 s, looked at each second, answered at {seconds:.2f} s")


@scenario("ready-by-http-each", EACH)
@scenario("ready-by-http", FRONT)
def http(entry: str) -> None:
    docker.create("blog", HEALTH_DELAY=3000)
    write_app("blog", health={"check": "http", "path": "/health", "expect": "200"})
    enable(entry)
    seconds = cold("blog", 3, 4.5)
    say(f"healthy at 3 s, answered at {seconds:.2f} s")


@scenario("ready-by-tcp-each", EACH)
@scenario("ready-by-tcp", FRONT)
def tcp(entry: str) -> None:
    docker.create("blog", START_DELAY=1000)
    write_app("blog", health={"check": "tcp"})
    enable(entry)
    seconds = cold("blog", 1, 2.5)
    say(f"listens at 1 s, answered at {seconds:.2f} s")


@scenario("ready-by-grace-each", EACH)
@scenario("ready-by-grace", FRONT)
def grace(entry: str) -> None:
    docker.create("blog")
    write_app("blog", health={"check": "none", "grace": "700ms"})
    enable(entry)
    cold("blog", 0.7, 2)


@scenario("ready-on-another-port")
def another_port() -> None:
    """The health is asked on one port, the app is served on another; no port is exposed."""
    docker.create("blog", image="sample-bare", TCP_PORT=9000)
    write_app("blog", app={"port": 8080}, health={"check": "tcp", "port": 9000})
    enable()
    cold("blog", 0, 3)


@scenario("never-ready-each", EACH)
@scenario("never-ready", FRONT)
def never_ready(entry: str) -> None:
    """504 with the reason after start_timeout; the container is put back to sleep."""
    docker.create("blog", NEVER=1)
    write_app("blog", app={"start_timeout": "2s"})
    enable(entry)
    with Events("blog") as events:
        answer = get("blog.test")
        want(answer.status == 504, f"status {answer.status}: {answer.text}")
        want(1.9 < answer.seconds < 3.5, f"answered after {answer.seconds:.2f} s of 2 s")
        want("ready" in answer.text or "2s" in answer.text or "2 s" in answer.text,
             f"no reason in the answer: {answer.text!r}")
        events.wait("die")
        want(events.count("start") == 1, f"events: {events.seen()}")
    want(docker.status("blog") == "exited", f"blog is {docker.status('blog')}")
    wait_no_process()


@scenario("never-ready-then-mended")
def mended() -> None:
    """After a failure the next request simply tries again."""
    docker.create("blog", NEVER=1)
    write_app("blog", app={"start_timeout": "1s"})
    enable()
    with Events("blog") as events:
        want(get("blog.test").status == 504, "not 504")
        events.wait("die")
    wait_no_process()
    docker.remove_all()
    docker.create("blog")
    want_hello("blog.test", "blog")


@scenario("failed-start-leaves-container")
def leave() -> None:
    """on_failure = leave: it runs on, to be looked at."""
    docker.create("blog", NEVER=1)
    write_app("blog", app={"start_timeout": "1s", "on_failure": "leave", "idle_timeout": "1h"})
    enable()
    want(get("blog.test").status == 504, "not 504")
    want(docker.status("blog") == "running", f"blog is {docker.status('blog')}")
    said = status("blog")
    want(said["state"] == "failed" and said["failure"] == "timeout" and said["reason"],
         f"status says {said}")


@scenario("ends-while-starting")
def ends_while_starting() -> None:
    """A program that ends before it is ready: told at once, not after start_timeout."""
    docker.create("blog", NEVER=1, EXIT_AFTER=300, EXIT_STATUS=3)
    write_app("blog", app={"start_timeout": "20s"})
    enable()
    answer = get("blog.test")
    want(answer.status in (502, 503), f"status {answer.status}: {answer.text}")
    want(answer.seconds < 5, f"told only after {answer.seconds:.1f} s")
    want(answer.text, "no reason in the answer")
    wait_no_process()


@scenario("no-such-container")
def no_container() -> None:
    write_app("blog")
    enable()
    answer = get("blog.test")
    want(answer.status in (502, 503), f"status {answer.status}: {answer.text}")
    want(answer.text, "no reason in the answer")
    wait_no_process()


@scenario("paused-is-unpaused")
def paused() -> None:
    docker.create("blog")
    docker.start("blog")
    docker.pause("blog")
    write_app("blog")
    enable()
    with Events("blog") as events:
        want_hello("blog.test", "blog")
        events.wait("unpause")
        want(events.count("start") == 0, f"events: {events.seen()}")
        events.wait("die")
    wait_no_process()


@scenario("running-already")
def running_already() -> None:
    """Started by somebody else: used as it is, and put to sleep like any other."""
    docker.create("blog")
    docker.start("blog")
    write_app("blog")
    enable()
    with Events("blog") as events:
        want_hello("blog.test", "blog")
        events.wait("die")
        want(events.count("start") == 0, f"events: {events.seen()}")
    wait_no_process()


@scenario("ends-by-itself-is-asleep")
def ends_by_itself() -> None:
    docker.create("blog", IDLE=1)
    write_app("blog", app={"idle_timeout": "1h"})
    enable()
    with Events("blog") as events:
        want_hello("blog.test", "blog")
        events.wait("die")
        wait_no_process()  # nothing is awake, so nobody stays
        said = status("blog")
        want(said["state"] == "asleep" and not said["failure"], f"status says {said}")
        want_hello("blog.test", "blog")
        want(events.count("stop") == 0, f"stopped by somebody: {events.seen()}")


@scenario("stopped-by-hand-is-asleep")
def stopped_by_hand() -> None:
    docker.create("blog")
    write_app("blog", app={"idle_timeout": "1h"})
    enable()
    with Events("blog") as events:
        want_hello("blog.test", "blog")
        docker.stop("blog")
        events.wait("die")
        want_hello("blog.test", "blog")
        events.wait("start")
        events.wait("start")
        want(events.count("start") == 2, f"events: {events.seen()}")


@scenario("restarted-by-hand-moves-along")
def restarted_by_hand() -> None:
    """The container comes back with another address while the front knows the old one."""
    docker.create("blog")
    docker.create("other")
    write_app("blog", app={"idle_timeout": "1h"})
    enable()
    want_hello("blog.test", "blog")
    old = docker.address("blog")
    docker.stop("blog")
    docker.start("other")  # takes the address that has become free
    docker.start("blog")
    want(docker.address("blog") != old, "the address is the same; this shows nothing")
    begin = time.monotonic()
    want_hello("blog.test", "blog")
    want(time.monotonic() - begin < 5, "slow after the move")
