"""Item 5: what dockwake adds to the time that Docker and the app need anyway.

Bare: POST /containers/ID/start, inspect for the address, connect until it is taken, GET.

Dockwake: the same GET at the sleeping app's listener. Both until the first byte, in turns, from one
process, with one clock.
"""

import gc
import json
import socket
import statistics
import time
from typing import Callable

from lib import docker
from lib.client import HOST, PORT
from lib.docker import Events
from lib.scenario import say, scenario
from lib.setup import enable, write_app, write_config
from lib.system import eventually, main_pid, run, wait_no_process, want

ROUNDS = 20
ADDED_MS = 10
# With nothing running systemd has to start two processes first, which takes it more than ADDED_MS
# even for programs that do nothing; what that costs here is printed, and only its order is required.
ACTIVATION_MS = 60

REQUEST = b"GET / HTTP/1.1\r\nHost: blog.test\r\nConnection: close\r\n\r\n"


def connect(address: tuple[str, int]) -> socket.socket:
    """A tight loop: as soon as the port is open."""
    while True:
        sock = socket.socket()
        try:
            sock.connect(address)
            return sock
        except ConnectionRefusedError:
            sock.close()


def first_byte(sock: socket.socket) -> None:
    sock.sendall(REQUEST)
    want(sock.recv(65536).startswith(b"HTTP/1.1 200 "), "not answered with 200")
    sock.close()


def bare(container: str) -> float:
    """Milliseconds."""
    api = docker.Connection()
    begin = time.monotonic_ns()
    api.request("POST", f"/{docker.api_version()}/containers/{container}/start")
    api.getresponse().read()
    api.request("GET", f"/{docker.api_version()}/containers/{container}/json")
    networks = json.loads(api.getresponse().read())["NetworkSettings"]["Networks"]
    address = next(iter(networks.values()))["IPAddress"]
    first_byte(connect((address, docker.SAMPLE_PORT)))
    spent = (time.monotonic_ns() - begin) / 1e6
    api.close()
    docker.stop(container)
    return spent


def state(app: str) -> str:
    return json.loads(run("dockwake", "status", app, "--json").stdout)["state"]


def through_dockwake() -> float:
    begin = time.monotonic_ns()
    first_byte(connect((HOST, PORT)))
    return (time.monotonic_ns() - begin) / 1e6


def tell(what: str, values: list[float]) -> float:
    median = statistics.median(values)
    p90 = statistics.quantiles(values, n=10, method="inclusive")[-1]
    say(f"{what:<34} median {median:6.1f} ms   p90 {p90:6.1f} ms")
    return median


def prepare(exit_idle: str) -> None:
    docker.create("blog")
    docker.create("bare", NAME="blog")
    write_config({"front": {"exit_idle": exit_idle}})
    write_app("blog", app={"idle_timeout": "100ms"})
    enable()


def compare(what: str, settle: Callable[[], None]) -> float:
    """
    ROUNDS of each in turns, each from a settled state. Returns the median of their differences, less
    twice its standard error (for a median 1.25 sigma / sqrt(n), sigma from the median deviation): a
    machine that is busy with something else is no reason to fail.
    """
    bares, wakes = [], []
    gc.disable()
    try:
        with Events("blog") as events:
            for _ in range(ROUNDS):
                settle()
                bares.append(bare("bare"))
                settle()
                wakes.append(through_dockwake())
                events.wait("die")
                # What Docker still does for the stop is not to be counted for the next start.
                eventually(lambda: state("blog") == "asleep", 20, "blog does not fall asleep")
    finally:
        gc.enable()
    tell(what, wakes)
    tell("bare start and connect loop", bares)
    # Of each round by itself: the machine's speed drifts from round to round.
    added = [wake - bare_ for wake, bare_ in zip(wakes, bares)]
    median = tell("added", added)
    sigma = 1.48 * statistics.median(abs(value - median) for value in added)
    return median - 2 * 1.25 * sigma / len(added) ** 0.5


@scenario("added-time-all-asleep")
def all_asleep() -> None:
    """No process of dockwake: systemd starts the front and the engine too."""
    prepare("100ms")
    added = compare("dockwake, nothing running", wait_no_process)
    want(added <= ACTIVATION_MS, f"at least {added:.1f} ms are added, allowed are {ACTIVATION_MS} ms")


@scenario("added-time-front-running")
def front_running() -> None:
    """The app sleeps; front and engine are there, for an earlier connection or for another app."""
    prepare("1h")
    processes = set()

    def settle() -> None:
        if not processes:
            start_front()
        processes.add((main_pid("dockwake.service"), main_pid("dockwake-engine.service")))
        want(len(processes) == 1 and 0 not in next(iter(processes)),
             f"front and engine did not stay: {processes}")

    added = compare("dockwake, front running", settle)
    want(added <= ADDED_MS, f"at least {added:.1f} ms are added, allowed are {ADDED_MS} ms")


def start_front() -> None:
    """A connection that starts the front and wakes nothing."""
    sock = connect((HOST, PORT))
    sock.sendall(b"GET / HTTP/1.1\r\nHost: nobody.test\r\nConnection: close\r\n\r\n")
    want(sock.recv(65536).startswith(b"HTTP/1.1 404 "), "not answered with 404")
    sock.close()
