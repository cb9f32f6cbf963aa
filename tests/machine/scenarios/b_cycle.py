"""Items 1 and 2: asleep, awake, asleep again, and nothing that stays."""

from lib import docker
from lib.client import crowd, want_hello
from lib.docker import Events
from lib.scenario import say, scenario
from lib.setup import EACH, FRONT, enable, write_app, write_config
from lib.system import (cpu_seconds, eventually, failed_units, main_pid, processes, run, systemctl,
                        unit, user_memory, wait_no_process, want)

CYCLES = 50
CROWD = 1000


def curl(host: str) -> None:
    done = run("curl", "--silent", "--show-error", "--max-time", "30", "--header", f"Host: {host}",
               "--write-out", "%{http_code}", "http://127.0.0.1/")
    want(done.stdout == "hello from blog\n200", f"curl said {done.stdout!r}")


@scenario("cold-warm-asleep-again-each", EACH)
@scenario("cold-warm-asleep-again", FRONT)
def cold_warm_asleep(entry: str) -> None:
    docker.create("blog")
    write_app("blog")
    enable(entry)
    want(not processes(), f"enabled, and not asleep: {processes()}")
    with Events("blog") as events:
        curl("blog.test")
        want(events.wait("start"), "never")
        want(processes(), "awake without any process of dockwake")
        curl("blog.test")
        events.wait("die")
        want(docker.status("blog") == "exited", f"blog is {docker.status('blog')}")
        want(events.count("start") == 1, f"events: {events.seen()}")
        wait_no_process()
        curl("blog.test")
        events.wait("start")
        events.wait("die")
        wait_no_process()


@scenario("ten-cycles-each", EACH, CYCLES // 5)
@scenario("fifty-cycles", FRONT, CYCLES)
def many_cycles(entry: str, cycles: int) -> None:
    docker.create("blog")
    write_app("blog")
    enable(entry)
    with Events("blog") as events:
        for cycle in range(cycles):
            want_hello("blog.test", "blog")
            events.wait("die")
            wait_no_process()
            want(not failed_units(), f"cycle {cycle}: failed units: {failed_units()}")
        want(events.count("start") == cycles,
             f"{events.count('start')} starts in {cycles} cycles")
    want(unit(entry, "ActiveState") == "active", f"{entry} is no longer active")


@scenario("no-timeout-stays-awake")
def no_timeout() -> None:
    """idle_timeout = 0: never put to sleep; the front leaves all the same."""
    docker.create("blog")
    write_app("blog", app={"idle_timeout": "0"})
    enable()
    want_hello("blog.test", "blog")
    front = main_pid("dockwake.service")
    eventually(lambda: main_pid("dockwake.service") != front, 10, "the front does not leave")
    want(docker.status("blog") == "running", f"blog is {docker.status('blog')}")
    want_hello("blog.test", "blog")


@scenario("started-by-others-sleeps")
def started_by_others() -> None:
    """The timer's service finds a container that something else has started, and it sleeps."""
    docker.create("blog")
    write_app("blog")
    enable()
    want(unit("dockwake-idle.timer", "ActiveState") == "active", "the timer does not run")
    with Events("blog") as events:
        docker.start("blog")
        events.wait("start")
        systemctl("start", unit("dockwake-idle.timer", "Unit"))
        events.wait("die")
    wait_no_process()


@scenario("strangers-are-left-alone")
def strangers() -> None:
    """A container that no file names is not touched."""
    docker.create("blog")
    docker.create("stranger")
    docker.start("stranger")
    write_app("blog")
    enable()
    with Events("blog") as events:
        want_hello("blog.test", "blog")
        events.wait("die")
    wait_no_process()
    want(docker.status("stranger") == "running", "the stranger was stopped")


def check_crowd(host: str, name: str, number: int) -> None:
    came = crowd(host, number, timeout=180)
    right = f"hello from {name}\n".encode()
    wrong = [answer for answer in came.answers
             if not (answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(right))]
    want(not wrong, f"{len(wrong)} of {number} answers are wrong, one: {wrong[:1]}")
    want(came.connect_seconds < 1, f"the client took {came.connect_seconds:.2f} s to connect")


@scenario("crowd-of-1000")
def crowd_of_1000() -> None:
    docker.create("blog")
    write_app("blog", app={"idle_timeout": "1s"})
    enable()
    with Events("blog") as events:
        check_crowd("blog.test", "blog", CROWD)
        events.wait("die")
        want(events.count("start") == 1, f"events: {events.seen()}")
    wait_no_process()


@scenario("crowd-each")
def crowd_each() -> None:
    """A process for each connection: as many as its socket unit lets in at a time."""
    number = min(int(unit(EACH, "MaxConnections")), CROWD)
    docker.create("blog")
    # systemd takes seconds to start them all, and not evenly: no pause of its own is to be an idle one.
    write_app("blog", app={"idle_timeout": "10s"})
    enable(EACH)
    with Events("blog") as events:
        check_crowd("blog.test", "blog", number)
        events.wait("die", seconds=40)
        want(events.count("start") == 1, f"events: {events.seen()}")
    wait_no_process()
    say(f"{number} connections, a process each")


@scenario("two-apps-side-by-side")
def two_apps() -> None:
    """Each connection reaches its own app, and the apps sleep apart."""
    for name in ("blog", "wiki"):
        docker.create(name)
    write_app("blog")
    write_app("wiki", app={"idle_timeout": "1h"}, route={"host": "wiki.test www.wiki.test"})
    enable()
    with Events("blog") as events:
        want_hello("blog.test", "blog")
        want_hello("WWW.wiki.test:80", "wiki")
        want_hello("wiki.test.", "wiki")
        events.wait("die")
        want(docker.status("wiki") == "running", "wiki fell asleep with blog")


@scenario("small-when-awake")
def small_when_awake() -> None:
    """Awake with one app and no traffic: little memory, and next to no time on the processor."""
    docker.create("blog")
    write_config({"front": {"exit_idle": "1h"}, "defaults": {"idle_timeout": "1h"}})
    write_app("blog")
    enable()
    want_hello("blog.test", "blog")
    pids = [main_pid(name) for name in ("dockwake.service", "dockwake-engine.service")]
    want(all(pids), f"no front or engine: {pids}")
    memory = sum(user_memory(pid) for pid in pids)
    # The goal is 8 MiB. libcurl with the libraries it drags along is 7 of them, which differ between
    # releases: what has to be noticed here is memory of our own.
    want(memory < 9 << 20, f"front and engine hold {memory / (1 << 20):.1f} MiB")
    before = sum(cpu_seconds(pid) for pid in pids)
    docker.create("pace", NAME="pace")
    docker.start("pace")  # two seconds that pass as a real program's do
    run("curl", "--silent", f"http://{docker.address('pace')}:8080/slow?ms=2000")
    spent = sum(cpu_seconds(pid) for pid in pids) - before
    want(spent < 0.1, f"front and engine spent {spent:.2f} s of 2 s without traffic")
    say(f"front and engine: {memory / (1 << 20):.1f} MiB of PSS")
