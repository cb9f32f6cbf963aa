"""Items 6 and 7: restarts, kills in the middle of things, and the very moment of the stop."""

import os
import signal
import socket
import threading
import time

from lib import docker
from lib.client import HOST, PORT, get, pattern, receive_all, want_hello
from lib.docker import Events
from lib.scenario import say, scenario
from lib.setup import EACH, FRONT, enable, write_app
from lib.system import eventually, failed_units, main_pid, systemctl, wait_ended, wait_no_process, want

ENGINE = "dockwake-engine.service"
SERVICE = "dockwake.service"


class Download:
    """A slow download in the background, from its first byte on."""

    def __init__(self, host: str, size: int, rate: int) -> None:
        self.size = size
        self.error = ""
        self.data = b""
        self._sock = socket.create_connection((HOST, PORT), 60)
        self._sock.sendall(f"GET /download?bytes={size}&rate={rate} HTTP/1.1\r\nHost: {host}\r\n"
                           "Connection: close\r\n\r\n".encode())
        self._sock.recv(1, socket.MSG_PEEK)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        try:
            self.data = receive_all(self._sock)
        except OSError as error:
            self.error = repr(error)
        self._sock.close()

    def finish(self) -> bool:
        """Whether all of it came."""
        self._thread.join()
        return self.data.endswith(pattern(self.size))


def want_whole(download: Download) -> None:
    want(download.finish(),
         f"the download was cut: {len(download.data)} bytes {download.error}")


def kill(name: str) -> None:
    """SIGKILL, and the process is gone."""
    pid = main_pid(name)
    want(pid, f"{name} does not run")
    os.kill(pid, signal.SIGKILL)
    want(wait_ended(pid, 5), f"{name} survived SIGKILL")


def usual(entry: str = FRONT, **app: object) -> None:
    docker.create("blog", **app)
    write_app("blog", app={"idle_timeout": "1s"})
    enable(entry)


def sleeps_at_last(events: Events) -> None:
    """The end of each of these: asleep as if nothing had happened."""
    events.wait("die", 30)
    wait_no_process()
    want(not [name for name in failed_units() if "dockwake" in name],
         f"failed units: {failed_units()}")


@scenario("engine-restarts")
def engine_restarts() -> None:
    """Under traffic: the running download is not hurt, new connections work, it sleeps later."""
    usual()
    with Events("blog") as events:
        download = Download("blog.test", 40000, 20000)
        systemctl("restart", ENGINE)
        want_hello("blog.test", "blog")
        want(events.count("die") == 0, f"events: {events.seen()}")
        want_whole(download)
        want(events.count("die") == 0, f"asleep under a download: {events.seen()}")
        want(events.count("start") == 1, f"events: {events.seen()}")
        sleeps_at_last(events)


@scenario("engine-killed-in-traffic")
def engine_killed() -> None:
    usual()
    with Events("blog") as events:
        download = Download("blog.test", 40000, 20000)
        kill(ENGINE)
        want_hello("blog.test", "blog")
        want_whole(download)
        want(events.count("die") == 0 and events.count("start") == 1, f"events: {events.seen()}")
        sleeps_at_last(events)


@scenario("engine-killed-when-awake-and-quiet")
def engine_killed_quiet() -> None:
    """Nobody is connected when it dies: the container must not stay awake for ever."""
    docker.create("blog")
    write_app("blog", app={"idle_timeout": "2s"})
    enable()
    with Events("blog") as events:
        want_hello("blog.test", "blog")
        wait_front_gone()
        kill(ENGINE)
        sleeps_at_last(events)


def wait_front_gone() -> None:
    pid = main_pid(SERVICE)
    want(not pid or wait_ended(pid, 10), "the front does not leave")


@scenario("engine-killed-in-a-wake")
def engine_killed_in_wake() -> None:
    """The waiter is served all the same, by one start."""
    usual(START_DELAY=1000)
    with Events("blog") as events:
        answers = []
        waiter = threading.Thread(target=lambda: answers.append(get("blog.test")))
        waiter.start()
        events.wait("start")
        kill(ENGINE)
        waiter.join()
        want(answers and answers[0].status == 200, f"the waiter got {answers}")
        want(events.count("start") == 1, f"events: {events.seen()}")
        sleeps_at_last(events)


@scenario("front-killed-in-traffic")
def front_killed() -> None:
    """Its connections end with it; the next one is served at once by a new one."""
    usual()
    with Events("blog") as events:
        download = Download("blog.test", 400000, 20000)
        kill(SERVICE)
        answer = want_hello("blog.test", "blog")
        want(answer.seconds < 2, f"the next answer took {answer.seconds:.1f} s")
        want(not download.finish(), "the download went on without a front")
        want(events.count("start") == 1, f"events: {events.seen()}")
        sleeps_at_last(events)


@scenario("front-killed-in-a-wake")
def front_killed_in_wake() -> None:
    """The wake goes on, and a connection that comes meanwhile joins it."""
    usual(START_DELAY=1000)
    with Events("blog") as events:
        with socket.create_connection((HOST, PORT), 30) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: blog.test\r\n\r\n")
            events.wait("start")
            kill(SERVICE)
            want_hello("blog.test", "blog")
        want(events.count("start") == 1, f"events: {events.seen()}")
        sleeps_at_last(events)


def is_stopped(pid: int) -> bool:
    """Whether the stop has reached each thread: until then one of them may still accept."""
    states = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/stat") as file:
            states.append(file.read().rsplit(")", 1)[1].split()[0])
    return set(states) == {"T"}


@scenario("front-killed-with-connections-waiting-in-the-socket")
def front_killed_backlog() -> None:
    """What the front had not yet accepted is not lost with it: systemd holds the listener."""
    usual()
    want_hello("blog.test", "blog")
    front = main_pid(SERVICE)
    os.kill(front, signal.SIGSTOP)
    eventually(lambda: is_stopped(front), 10, "the front has not stopped")
    sock = socket.create_connection((HOST, PORT), 30)
    sock.sendall(b"GET / HTTP/1.1\r\nHost: blog.test\r\nConnection: close\r\n\r\n")
    os.kill(front, signal.SIGKILL)
    data = receive_all(sock)
    sock.close()
    want(data.endswith(b"hello from blog\n"), f"answered {data[:200]!r}")


@scenario("both-killed-again-and-again")
def both_killed() -> None:
    """Ten times in a row, with no pause: no start limit is in the way."""
    usual()
    with Events("blog") as events:
        for _ in range(10):
            want_hello("blog.test", "blog")
            kill(SERVICE)
            kill(ENGINE)
        want_hello("blog.test", "blog")
        want(events.count("start") == 1, f"events: {events.seen()}")
        sleeps_at_last(events)


@scenario("client-leaves-while-waiting")
def client_leaves() -> None:
    """The wake goes on for the next one; the app sleeps again when nobody comes."""
    usual(START_DELAY=700)
    with Events("blog") as events:
        with socket.create_connection((HOST, PORT), 30) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: blog.test\r\n\r\n")
            events.wait("start")
        want_hello("blog.test", "blog")
        want(events.count("start") == 1, f"events: {events.seen()}")
        sleeps_at_last(events)


@scenario("docker-restarts")
def docker_restarts() -> None:
    """All containers go down with it; the next connection wakes the app in the new Docker."""
    usual()
    want_hello("blog.test", "blog")
    systemctl("restart", "docker.service")
    with Events("blog") as events:
        want_hello("blog.test", "blog")
        sleeps_at_last(events)


@scenario("docker-restarts-in-a-wake")
def docker_restarts_in_wake() -> None:
    """The waiter gets an answer of one kind or the other, and the next one is served."""
    usual(START_DELAY=1500)
    with Events("blog") as events:
        answers = []
        waiter = threading.Thread(target=lambda: answers.append(get("blog.test")))
        waiter.start()
        events.wait("start")
        systemctl("restart", "docker.service")
        waiter.join()
    want(answers and answers[0].status in (200, 502, 503, 504), f"the waiter got {answers}")
    with Events("blog") as events:
        want_hello("blog.test", "blog")
        sleeps_at_last(events)
    say(f"the waiter was told {answers[0].status} after {answers[0].seconds:.1f} s")


@scenario("docker-is-away")
def docker_away() -> None:
    """No Docker: an answer with the reason, within a bounded time; all is well once it is back."""
    docker.create("blog")
    write_app("blog", app={"start_timeout": "3s"})
    enable()
    systemctl("stop", "docker.socket", "docker.service")
    try:
        answer = get("blog.test")
        want(answer.status in (502, 503, 504), f"status {answer.status}: {answer.text}")
        want("ocker" in answer.text, f"no reason in the answer: {answer.text!r}")
        want(answer.seconds < 15, f"told only after {answer.seconds:.1f} s")
    finally:
        systemctl("start", "docker.socket", "docker.service")
    with Events("blog") as events:
        want_hello("blog.test", "blog")
        sleeps_at_last(events)


@scenario("docker-hangs")
def docker_hangs() -> None:
    """A Docker that takes connections and says nothing: the waiter is told within start_timeout."""
    docker.create("blog")
    write_app("blog", app={"start_timeout": "2s"})
    enable()
    pid = main_pid("docker.service")
    os.kill(pid, signal.SIGSTOP)
    try:
        answer = get("blog.test")
        want(answer.status in (502, 503, 504), f"status {answer.status}: {answer.text}")
        want(answer.seconds < 15, f"told only after {answer.seconds:.1f} s")
    finally:
        os.kill(pid, signal.SIGCONT)
    with Events("blog") as events:
        want_hello("blog.test", "blog")
        sleeps_at_last(events)


# --- the moment of the stop ----------------------------------------------------------------------

@scenario("moment-of-the-stop")
def moment_of_stop() -> None:
    """60 offsets around the end of the idle clock, 5 ms apart: all are answered right."""
    docker.create("blog")
    write_app("blog", app={"idle_timeout": "100ms"})
    enable()
    with Events("blog") as events:
        for step in range(60):
            want_hello("blog.test", "blog")
            time.sleep(0.05 + 0.005 * step)  # the offset is what is being tried
            want_hello("blog.test", "blog")
        sleeps_at_last(events)
        say(f"{events.count('start')} starts in 120 requests")


@scenario("while-it-stops-each", EACH)
@scenario("while-it-stops", FRONT)
def while_it_stops(entry: str) -> None:
    """An app that takes 200 ms to stop, and that still answers meanwhile: connections from the
    signal on, 10 ms apart. Each is answered by the container that is started afterwards."""
    docker.create("blog", STOP_DELAY=200)
    write_app("blog", app={"idle_timeout": "100ms"})
    enable(entry)
    with Events("blog") as events:
        for step in range(30):
            want_hello("blog.test", "blog")
            events.wait("kill")
            time.sleep(0.01 * step)  # the offset is what is being tried
            want_hello("blog.test", "blog")
            for action in ("die", "kill", "die"):
                events.wait(action)
            want(events.count("start") == 2 * (step + 1),
                 f"step {step}: {events.count('start')} starts")
    wait_no_process()
