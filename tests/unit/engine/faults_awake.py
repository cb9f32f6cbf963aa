"""Cases of faults.py: fronts that may not wake, and fronts that see how a wake goes on."""

import time

from engine_bench import (AWAKE, DOUBT, END, FAILED, GONE, LEASE, PROGRESS, READY, RELEASE, SLEEP,
                          STARTING, bench)
from tap import case


@case
def who_may_not_wake_wakes_nobody():
    with bench() as b:
        b.app("one", "idle_timeout = 200ms\n")
        b.start()
        front = b.front()
        for serial in (1, 2, 3):
            front.lease("one", serial, flags=AWAKE)
            answer = front.expect(FAILED)
            assert answer["failure"] == "asleep" and answer["serial"] == serial, answer
        assert b.docker.calls == [], b.docker.calls
        waker = b.front()
        waker.lease("one", 1)
        waker.expect(STARTING, READY)
        calls = list(b.docker.calls)
        front.lease("one", 4, flags=AWAKE)
        assert front.expect(READY)["serial"] == 4
        assert b.docker.calls == calls, b.docker.calls
        # What it holds is a lease like any other.
        waker.lease("one", 1, opcode=RELEASE)
        time.sleep(0.4)
        assert b.status("one")["leases"] == 1 and b.docker.count("stop one") == 0
        front.lease("one", 4, opcode=RELEASE)
        b.docker.wait("stopped one")
        b.wait_state("one", "asleep")
        front.lease("one", 5, flags=AWAKE)
        assert front.expect(FAILED)["failure"] == "asleep"
        assert b.docker.count("start one") == 1
        b.ask_exit()


@case
def who_may_not_wake_joins_an_app_that_runs():
    with bench() as b:
        one = b.app("one", "on_failure = stop\nidle_timeout = 1h\n", listens=False, status="running")
        b.start()
        b.wait_state("one", "probing")
        front = b.front()
        front.lease("one", 1, flags=AWAKE)
        front.expect(STARTING)
        one.listens = True
        one.listen()
        assert front.expect(READY)["port"] == one.port
        assert b.docker.count("start one") == 0
        b.ask_exit()


@case
def a_start_is_not_what_who_may_not_wake_waits_for():
    with bench() as b:
        b.app("one", start_seconds=0.5)
        b.start()
        waker, front = b.front(), b.front()
        waker.lease("one", 1)
        waker.expect(STARTING)
        b.docker.wait("start one")
        front.lease("one", 1, flags=AWAKE)
        assert front.expect(FAILED)["failure"] == "asleep"
        waker.expect(READY)
        b.ask_exit()


@case
def the_doubt_of_one_who_may_not_wake_starts_nobody():
    with bench() as b:
        one = b.app("one", "on_failure = stop\n")
        b.start()
        waker, front = b.front(), b.front()
        waker.lease("one", 1)
        waker.expect(STARTING, READY)
        front.lease("one", 1, flags=AWAKE)
        front.expect(READY)
        waker.close()
        one.unlisten()
        one.status, one.exit_code = "exited", 0  # without a word
        front.lease("one", 1, flags=AWAKE | DOUBT)
        assert front.expect(STARTING, FAILED)["failure"] == "asleep"
        assert b.status("one")["state"] == "asleep"
        assert b.docker.count("start one") == 1
        # With one who may it is started, though the other one asked first.
        waker = b.front()
        waker.lease("one", 1)
        waker.expect(STARTING, READY)
        front.lease("one", 2, flags=AWAKE)
        front.expect(READY)
        one.unlisten()
        one.status = "exited"
        b.docker.faults["inspect"] = lambda handler: time.sleep(0.3)
        front.lease("one", 2, flags=AWAKE | DOUBT)
        front.expect(STARTING)
        waker.lease("one", 1, flags=DOUBT)
        waker.expect(STARTING, READY)
        front.expect(READY)
        assert b.docker.count("start one") == 3
        b.ask_exit()


@case
def a_container_is_not_stopped_for_who_may_not_wake():
    with bench() as b:
        one = b.app("one", "start_timeout = 1s\non_failure = stop\nidle_timeout = 1h\n",
                    status="running")
        b.start()
        b.wait_state("one", "ready")
        front = b.front()
        front.lease("one", 1, flags=AWAKE)
        front.expect(READY)
        one.unlisten()
        front.lease("one", 1, flags=AWAKE | DOUBT)
        assert front.expect(STARTING, FAILED)["failure"] == "timeout"
        assert b.status("one")["state"] == "failed" and b.docker.count("stop one") == 0
        front.lease("one", 2, flags=AWAKE)
        assert front.expect(FAILED)["failure"] == "asleep"
        b.ask_exit()


@case
def a_wake_is_followed():
    with bench() as b:
        one = b.app("one", "idle_timeout = 1h\n", listens=False, start_seconds=0.2, stop_seconds=0.5)
        b.start()
        front, late = b.front(), b.front()
        front.lease("one", 7)
        assert front.receive()["op"] == STARTING  # which says "starting" itself
        assert front.receive() == {"op": PROGRESS, "serial": 7, "app": "one", "state": "probing"}
        late.lease("one", 8)
        assert late.receive()["op"] == STARTING
        assert late.receive()["state"] == "probing"
        one.listens = True
        one.listen()
        assert front.receive()["op"] == READY
        assert late.receive()["op"] == READY

        # Through a stop, and only for those who wait.
        b.ask(SLEEP, "one")
        assert front.receive()["op"] == GONE and late.receive()["op"] == GONE
        front.lease("one", 9)
        seen = []
        while (answer := front.receive())["op"] != READY:
            assert answer["serial"] == 9
            seen.append(answer["state"] if answer["op"] == PROGRESS else answer["op"])
        assert seen == [STARTING, "stopping", "starting", "probing"], seen
        late.lease("one", 9)
        assert late.receive()["op"] == READY
        # One front's doubt is no news to another that goes on.
        front.lease("one", 9, flags=DOUBT)
        front.expect(STARTING, READY)
        assert front.is_silent(0.1, progress=False)
        assert late.is_silent(0.1, progress=False)
        b.ask_exit()


@case
def progress_behind_a_full_socket():
    """Whoever does not read gets what holds in the end, in the right order."""
    with bench() as b:
        for i in range(300):
            b.app(f"app{i:03}", start_seconds=0.2)
        b.start()
        front = b.front()
        for i in range(300):
            front.lease(f"app{i:03}", i)
        for i in range(300):
            b.wait_state(f"app{i:03}", "ready", 30)
        said = {}
        while sum(READY in ops for ops in said.values()) < 300:
            answer = front.receive()
            said.setdefault(answer["serial"], []).append(answer["op"])
        for ops in said.values():
            assert ops[-1] == READY and ops.count(READY) == 1, ops
            assert PROGRESS not in ops or ops[0] == STARTING, ops
        b.ask_exit()
