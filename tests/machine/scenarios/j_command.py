"""The dockwake command: list, status, wake, sleep, check, --json, and its exit statuses."""

import json

from lib import docker
from lib.client import want_hello
from lib.docker import Events
from lib.scenario import scenario
from lib.setup import enable, write_app
from lib.system import eventually, run, systemctl, wait_no_process, want

KEYS = {"app", "container", "state", "since", "leases", "address", "sleeps_in_seconds",
        "last_wake_seconds", "failure", "reason"}

FAILED, USAGE, NO_ENGINE, NO_APP = 1, 2, 3, 4


def dockwake(*words: str, status: int = 0) -> str:
    done = run("dockwake", *words, check=False)
    want(done.returncode == status, f"dockwake {' '.join(words)}: exit status {done.returncode}, "
         f"not {status}: {done.stdout}{done.stderr}")
    want(status == 0 or done.stderr or done.stdout, f"dockwake {' '.join(words)} says nothing")
    return done.stdout


def one(name: str) -> dict:
    said = json.loads(dockwake("status", name, "--json"))
    said = said[0] if isinstance(said, list) else said
    want(set(said) >= KEYS, f"missing: {KEYS - set(said)}")
    return said


@scenario("command-list-and-status")
def list_and_status() -> None:
    docker.create("blog")
    docker.create("wiki")
    write_app("blog", app={"idle_timeout": "1h"})
    write_app("wiki")
    enable()
    said = json.loads(dockwake("list", "--json"))
    want([app["app"] for app in said] == ["blog", "wiki"], f"list says {said}")
    want(all(app["state"] == "asleep" for app in said), f"list says {said}")
    wait_no_process()  # to have been asked is no reason to stay

    want_hello("blog.test", "blog")
    # The front gives the lease back a moment after its last connection: then the clock runs.
    eventually(lambda: one("blog")["sleeps_in_seconds"], 5, "the idle clock does not run")
    said = one("blog")
    want(said["state"] == "ready" and said["container"] == "blog", f"status says {said}")
    want(said["address"] == f"{docker.address('blog')}:8080", f"address: {said}")
    want(0 < said["sleeps_in_seconds"] <= 3600, f"sleeps_in_seconds: {said}")
    want(0 < said["last_wake_seconds"] < 10, f"last_wake_seconds: {said}")
    for words, part in ((["list"], "blog"), (["status"], "1 ready"), (["status", "blog"], "blog")):
        text = dockwake(*words)
        want(part in text and "ready" in text, f"{words} prints {text!r}")


@scenario("command-wake-and-sleep")
def wake_and_sleep() -> None:
    docker.create("blog", START_DELAY=500)
    write_app("blog", app={"idle_timeout": "1h"})
    enable()
    with Events("blog") as events:
        dockwake("wake", "blog", "--wait")
        events.wait("start")
        want(one("blog")["state"] == "ready", f"after wake --wait: {one('blog')}")
        dockwake("wake", "blog")
        want(events.count("start") == 1, "woken twice")
        dockwake("sleep", "blog")
        events.wait("die")
        wait_no_process()
        want(one("blog")["state"] == "asleep", f"after sleep: {one('blog')}")
        dockwake("wake", "blog")
        events.wait("start")


@scenario("command-wake-of-what-fails")
def wake_fails() -> None:
    docker.create("blog", NEVER=1)
    write_app("blog", app={"start_timeout": "1s"})
    enable()
    dockwake("wake", "blog", "--wait", status=FAILED)
    said = one("blog")
    want(said["failure"] in ("timeout", None), f"status says {said}")


@scenario("command-exit-statuses")
def exit_statuses() -> None:
    write_app("blog")
    enable()
    dockwake("status", "nobody", status=NO_APP)
    dockwake("wake", "nobody", status=NO_APP)
    dockwake("sleep", "nobody", status=NO_APP)
    dockwake(status=USAGE)
    dockwake("dance", status=USAGE)
    dockwake("wake", status=USAGE)
    dockwake("list", "--nonsense", status=USAGE)
    want("dockwake" in dockwake("--help"), "--help says nothing")
    want(dockwake("--version").split(), "--version says nothing")
    systemctl("stop", "dockwake-engine.socket", "dockwake-engine-admin.socket",
              "dockwake-engine.service")
    dockwake("list", status=NO_ENGINE)
    dockwake("check")  # asks nobody


@scenario("command-under-load")
def sleep_under_traffic() -> None:
    """`sleep` puts an app to sleep that somebody holds; who comes next wakes it."""
    docker.create("blog")
    write_app("blog", app={"idle_timeout": "1h"})
    enable()
    with Events("blog") as events:
        want_hello("blog.test", "blog")
        dockwake("sleep", "blog")
        events.wait("die")
        want_hello("blog.test", "blog")
        want(events.count("start") == 2, f"events: {events.seen()}")
