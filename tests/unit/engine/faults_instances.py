"""Cases of faults.py: groups, templates and their instances."""

import os
import signal
import time

from engine_bench import (APP, AWAKE, END, FAILED, GONE, LEASE, LIST, READY, RELEASE, SLEEP,
                          STARTING, STATUS, WAIT, WAKE, Bench, bench)
from tap import case

INSTANCES_MAX = 1024  # src/engine/table.h


def template(b: Bench, keys: str = "idle_timeout = 1h\n", name: str = "session"):
    b.app(f"{name}@", f"container = minion-%i\n{keys}[route]\npath = /{name}/%i\n", container="")


def minion(b: Bench, instance: str, label: str | None = "session", **more):
    labels = {"some": "other"} | ({"dockwake.app": label} if label else {})
    return b.docker.add(f"minion-{instance}", labels=labels, **more)


@case
def an_instance_is_made_woken_and_forgotten():
    with bench() as b:
        template(b, "idle_timeout = 200ms\n")
        one = minion(b, "1")
        minion(b, "2")
        b.start()
        front = b.front()
        front.lease("session@1", 5)
        answer = front.expect(STARTING, READY)
        assert (answer["app"], answer["serial"], answer["port"]) == ("session@1", 5, one.port)
        assert b.states() == {"session@1": "ready"}
        assert b.states(STATUS, "session") == {"session@1": "ready"}
        front.lease("session@1", 5, opcode=RELEASE)
        b.docker.wait("stopped minion-1")
        b.wait_log("session@1: freed")
        assert b.states() == {}
        assert b.docker.count("start minion-2") == 0
        front.close()
        assert b.wait_exit() == 0 and not os.path.exists(f"{b.folder}/awake")


@case
def a_container_without_the_label_is_not_touched():
    with bench() as b:
        template(b)
        minion(b, "1", None)
        minion(b, "2", "sessions")
        minion(b, "3", "sessio")
        minion(b, "4", "session@4")
        minion(b, "5", None, status="running")
        minion(b, "6", "other", status="paused")
        b.start()
        front = b.front()
        for serial, instance in enumerate("123456", 1):
            front.lease(f"session@{instance}", serial)
            answer = front.expect(STARTING, FAILED)
            assert answer["failure"] == "foreign" and answer["serial"] == serial, answer
            assert "label" in answer["text"], answer
            front.lease(f"session@{instance}", serial, flags=AWAKE)
            assert front.expect(FAILED)["failure"] == "asleep"
        answer = b.status("session@5")
        assert (answer["state"], answer["failure"]) == ("failed", "foreign"), answer
        b.ask(SLEEP, "session@5")
        b.ask(SLEEP, "session")
        apps, end = b.ask(WAKE, "session@6", WAIT)
        assert end["result"] != 0 and apps[-1]["failure"] == "foreign", (apps, end)
        touched = [c for c in b.docker.calls if c.split()[0] in ("start", "stop", "unpause")]
        assert touched == [], touched
        b.ask_exit()


@case
def an_instance_without_a_container():
    with bench() as b:
        template(b)
        b.start()
        front = b.front()
        front.lease("session@ghost", 1)
        answer = front.expect(STARTING, FAILED)
        assert answer["failure"] == "missing" and "minion-ghost" in answer["text"], answer
        front.lease("session@ghost", 2)  # and once more
        assert front.expect(STARTING, FAILED)["failure"] == "missing"
        assert b.status("session@ghost")["state"] == "missing"
        assert b.states() == {}
        minion(b, "ghost")
        front.lease("session@ghost", 3)
        front.expect(STARTING, READY)
        b.ask_exit()


@case
def the_label_is_looked_at_before_each_start():
    with bench() as b:
        template(b)
        one = minion(b, "1")
        b.start()
        front = b.front()
        front.lease("session@1", 1)
        front.expect(STARTING, READY)
        b.docker.set("minion-1", "exited", "die", exit_code=0)
        front.expect(GONE)
        one.labels = {}  # another one of its name, and not a word about it
        front.lease("session@1", 2)
        assert front.expect(STARTING, FAILED)["failure"] == "foreign"
        one.labels = {"dockwake.app": "session"}
        front.lease("session@1", 3)
        front.expect(STARTING, READY)
        # One that is made anew while it is used.
        one.labels = {}
        b.docker.emit("start", "minion-1")
        front.expect(GONE)
        front.lease("session@1", 4)
        assert front.expect(STARTING, FAILED)["failure"] == "foreign"
        assert b.docker.count("start minion-1") == 2
        b.ask_exit()


@case
def a_paused_instance_is_unpaused():
    with bench() as b:
        template(b)
        minion(b, "1", status="paused").listen()
        b.start()
        front = b.front()
        front.lease("session@1")
        front.expect(STARTING, READY)
        assert b.docker.count("unpause minion-1") == 1 and b.docker.count("start minion-1") == 0
        b.ask_exit()


@case
def an_instance_that_runs_already_is_joined():
    with bench() as b:
        template(b)
        minion(b, "1", status="running")
        b.start()
        front = b.front()
        front.lease("session@1", 1, flags=AWAKE)  # nobody has looked yet
        assert front.expect(FAILED)["failure"] == "asleep"
        assert b.docker.calls == []
        front.lease("session@1", 2)
        front.expect(STARTING, READY)
        assert b.docker.count("start minion-1") == 0
        b.ask_exit()


@case
def names_that_strangers_make_up_cost_nothing_lasting():
    with bench() as b:
        template(b)
        b.start()
        front = b.front()
        for i in range(3000):
            front.lease(f"session@nobody{i}", i)
            assert front.expect(STARTING, FAILED)["failure"] == "missing"
        assert b.states() == {}
        front.lease("session@nobody0", 1, flags=AWAKE)
        assert front.expect(FAILED)["failure"] == "asleep"
        b.ask_exit()


@case
def instances_have_a_bound():
    with bench() as b:
        template(b)
        b.app("one")
        minion(b, "1")
        gate = []
        b.docker.faults["inspect"] = lambda handler: [time.sleep(0.01) for _ in range(6000)
                                                      if not gate] and False
        b.start()
        front = b.front()
        for i in range(INSTANCES_MAX):
            front.lease(f"session@{i:04}", i)
            front.expect(STARTING)
        front.lease("session@1", 5000)
        answer = front.expect(FAILED)
        assert answer["serial"] == 5000 and "too many instances" in answer["text"], answer
        apps, end = b.ask(WAKE, "session@1")
        assert apps == [] and "too many instances" in end["text"], end
        front.lease("one", 5001)
        front.expect(STARTING)
        gate.append(1)
        told = {}
        while len(told) < INSTANCES_MAX or told.get(5001) != READY:
            answer = front.receive_news()
            told[answer["serial"]] = answer["op"]
        front.lease("session@1", 5002)
        front.expect(STARTING, READY)
        b.ask_exit()


@case
def names_that_no_instance_may_have_cut_off():
    with bench() as b:
        template(b)
        b.app("group", "containers = a, b\n", container="")
        b.app("one")
        b.start()
        keeper = b.front()
        for name in ("session", "session@", "session@a/b", "session@..", "session@-x", "one@1", "@",
                     "@1", "group", "group@0", "group@3", "group@01", "nobody@1", "session@1@2",
                     "session@" + "x" * 64, ""):
            for flags in (0, AWAKE):
                front = b.front()
                front.lease(name, 1, flags=flags)
                assert front.expect(FAILED)["failure"] == "unknown_app", name
                assert front.is_cut_off(), name
                front.close()
            for opcode in (STATUS, WAKE, SLEEP):
                if name not in ("session", "group"):
                    apps, end = b.ask(opcode, name)
                    assert apps == [] and end["result"] == 2, (name, end)
        assert b.docker.count("inspect one") == 0
        keeper.close()
        assert b.wait_exit() == 0


@case
def the_instance_of_a_broken_template():
    with bench() as b:
        template(b, "nonsense = 1\n")
        minion(b, "1")
        b.start()
        front = b.front()
        for flags in (0, AWAKE):
            front.lease("session@1", 1, flags=flags)
            assert front.expect(FAILED)["failure"] == "broken_app"
        assert b.states() == {"session": "failed"} or b.states() == {"session": "missing"}
        b.ask_exit()


@case
def a_group():
    with bench() as b:
        for name in "abc":
            b.docker.add(name)
        b.app("web", "containers = a, b, c\nidle_timeout = 1h\n", container="")
        b.start()
        front = b.front()
        names = ["web@1", "web@2", "web@3"]
        assert b.states() == dict.fromkeys(names, "asleep")
        front.lease("web@2", 2)
        assert front.expect(STARTING, READY)["port"] == b.docker.containers["b"].port
        assert b.states() == {"web@1": "asleep", "web@2": "ready", "web@3": "asleep"}
        assert b.docker.count("start a") == b.docker.count("start c") == 0
        apps, end = b.ask(WAKE, "web", WAIT)
        assert end["result"] == 0 and end["text"] == "", end
        assert {a["app"]: a["state"] for a in apps} == dict.fromkeys(names, "ready"), apps
        assert [a["app"] for a in apps] == sorted(a["app"] for a in apps)
        assert b.states(STATUS, "web") == dict.fromkeys(names, "ready")
        assert b.states(STATUS, "web@3") == {"web@3": "ready"}
        apps, end = b.ask(SLEEP, "web")
        assert [a["app"] for a in apps] == names and end["result"] == 0
        front.expect(GONE)
        for name in "abc":
            b.docker.wait(f"stopped {name}")
        b.ask_exit()


@case
def a_group_of_which_one_does_not_wake():
    with bench() as b:
        b.docker.add("a")
        b.docker.add("c")
        b.app("web", "containers = a, b, c\n", container="")
        b.start()
        apps, end = b.ask(WAKE, "web", WAIT)
        assert end["result"] == 5 and "not become ready" in end["text"], end
        last = {a["app"]: a["state"] for a in apps}
        assert last == {"web@1": "ready", "web@2": "missing", "web@3": "ready"}, last
        b.ask_exit()


@case
def orders_about_a_template():
    with bench() as b:
        template(b)
        minion(b, "1")
        minion(b, "2")
        b.start()
        keeper = b.front()  # without anybody it would leave
        apps, end = b.ask(WAKE, "session")
        assert apps == [] and end["result"] == 22 and "NAME@INSTANCE" in end["text"], end
        assert b.ask(STATUS, "session") == ([], {"op": END, "result": 0, "text": ""})
        assert b.ask(SLEEP, "session") == ([], {"op": END, "result": 0, "text": ""})
        apps, end = b.ask(WAKE, "session@2", WAIT)
        assert apps[-1]["state"] == "ready" and end["result"] == 0
        apps, end = b.ask(WAKE, "session@1")
        assert len(apps) == 1 and end["result"] == 0
        b.wait_state("session@1", "ready")
        apps, end = b.ask(SLEEP, "session")
        assert [a["app"] for a in apps] == ["session@1", "session@2"] and end["result"] == 0
        b.docker.wait("stopped minion-1")
        b.docker.wait("stopped minion-2")
        assert b.status("session@1")["state"] == "asleep"
        assert b.states() == {}
        keeper.close()
        assert b.wait_exit() == 0


@case
def an_engine_that_was_killed_finds_its_instances():
    with bench() as b:
        template(b, "idle_timeout = 500ms\n")
        b.app("web", "containers = a, b\nidle_timeout = 500ms\n", container="")
        b.docker.add("a")
        b.docker.add("b")
        minion(b, "1")
        minion(b, "2")
        minion(b, "3", None, status="running")
        b.docker.add("minion-", labels={"dockwake.app": "session"}, status="running")
        b.docker.add("other-1", labels={"dockwake.app": "session"}, status="running")
        b.docker.add("minion-9", labels={"dockwake.app": "web"}, status="running")
        b.start()
        front = b.front()
        for serial, name in enumerate(("session@1", "web@2"), 1):
            front.lease(name, serial)
            front.expect(STARTING, READY)
        b.process.kill()
        b.process.wait()
        front.close()
        assert os.path.exists(f"{b.folder}/awake")
        b.start()
        b.docker.wait("stopped minion-1")
        b.docker.wait("stopped b")
        assert b.wait_exit() == 0
        stopped = sorted(c for c in b.docker.calls if c.startswith("stopped"))
        assert stopped == ["stopped b", "stopped minion-1"], stopped
        assert not os.path.exists(f"{b.folder}/awake")


@case
def an_instance_that_others_start_is_looked_after():
    with bench() as b:
        template(b, "idle_timeout = 300ms\n")
        b.app("one", "idle_timeout = 1h\n", status="running")
        minion(b, "1")
        b.start()
        assert b.states() == {"one": "ready"} or b.states()
        b.docker.set("minion-1", "running", "start")
        b.docker.wait("stopped minion-1")
        b.wait_log("session@1: freed")
        assert b.docker.count("stop one") == 0
        b.ask_exit()


@case
def a_docker_that_is_away_when_an_instance_is_asked_for():
    with bench() as b:
        template(b, "start_timeout = 10min\n")
        minion(b, "1")
        b.docker.down()
        b.start()
        front = b.front()
        front.lease("session@1", 1)
        front.expect(STARTING)
        assert front.is_silent(0.3)
        b.docker.up()
        front.expect(READY)
        front.lease("session@1", 1, opcode=RELEASE)
        b.ask(SLEEP, "session@1")
        b.docker.wait("stopped minion-1")
        b.wait_log("session@1: freed")
        b.ask_exit()


@case
def a_docker_that_stays_away_when_an_instance_is_asked_for():
    with bench() as b:
        template(b, "start_timeout = 10min\n")
        minion(b, "1")
        b.docker.down()
        b.start()
        front = b.front()
        front.lease("session@1", 2)
        front.expect(STARTING)
        answer = front.expect(FAILED, seconds=25)
        assert answer["failure"] == "docker" and "cannot be reached" in answer["text"], answer
        b.docker.up()
        front.lease("session@1", 3)
        front.expect(STARTING, READY)
        b.ask_exit()


@case
def an_instance_during_the_stop_of_its_container():
    with bench() as b:
        template(b, "idle_timeout = 100ms\n")
        minion(b, "1", stop_seconds=0.5)
        b.start()
        front = b.front()
        front.lease("session@1", 1)
        front.expect(STARTING, READY)
        front.lease("session@1", 1, opcode=RELEASE)
        b.docker.wait("stop minion-1")
        front.lease("session@1", 2)
        assert front.expect(STARTING, READY)["serial"] == 2
        order = [c for c in b.docker.calls if c.split()[0] in ("start", "stop", "stopped")]
        assert order == ["start minion-1", "stop minion-1", "stopped minion-1",
                         "start minion-1"], order
        b.ask_exit()


@case
def an_app_and_an_instance_share_a_container():
    with bench() as b:
        template(b)
        one = minion(b, "1", None)
        b.app("plain", "container = minion-1\nidle_timeout = 300ms\n", container="")
        b.start()
        front = b.front()
        front.lease("plain", 1)
        front.expect(STARTING, READY)
        front.lease("session@1", 2)
        assert front.expect(STARTING, FAILED)["failure"] == "foreign"
        b.ask(SLEEP, "session@1")
        assert b.states() == {"plain": "ready"}
        # Its own clock decides: the other one is no user of the container.
        front.lease("plain", 1, opcode=RELEASE)
        b.docker.wait("stopped minion-1")
        one.labels = {"dockwake.app": "session"}
        front.lease("plain", 3)
        front.expect(STARTING, READY)
        b.wait_state("session@1", "ready")  # by its label
        front.lease("session@1", 4)
        front.expect(READY)
        front.lease("plain", 3, opcode=RELEASE)
        time.sleep(0.5)
        assert b.states() == {"plain": "ready", "session@1": "ready"}
        b.ask_exit()


@case
def an_app_and_an_instance_share_a_container_that_is_missing():
    with bench() as b:
        template(b)
        b.app("plain", "container = minion-1\n", container="")
        b.start()
        front = b.front()
        front.lease("plain", 1)
        assert front.expect(STARTING, FAILED)["failure"] == "missing"
        front.lease("session@1", 2)
        assert front.expect(STARTING, FAILED)["failure"] == "missing"
        minion(b, "1")
        front.lease("session@1", 3)
        front.expect(STARTING, READY)
        front.lease("plain", 4)
        front.expect(READY)
        b.ask_exit()


@case
def instances_and_another_configuration():
    with bench() as b:
        template(b)
        b.app("web", "containers = a, b\nidle_timeout = 1h\n", container="")
        b.docker.add("a")
        b.docker.add("b")
        minion(b, "1")
        b.docker.add("other-1", labels={"dockwake.app": "session"})
        b.start()
        front = b.front()
        for serial, name in enumerate(("session@1", "web@1", "web@2"), 1):
            front.lease(name, serial)
            front.expect(STARTING, READY)

        def reload(apps: int):
            b.process.send_signal(signal.SIGHUP)
            b.wait_log(f"configuration read, {apps} apps")

        # What stays keeps its lease; the last member of the group goes.
        b.app("web", "containers = a\nidle_timeout = 1h\n", container="")
        template(b, "idle_timeout = 2h\n")
        reload(2)
        answer = front.expect(GONE)
        assert answer["app"] == "web@2" and front.is_silent(0.1)
        assert b.states() == {"session@1": "ready", "web@1": "ready"}
        # The template's containers are others now.
        b.app("session@", "container = other-%i\n[route]\npath = /session/%i\n", container="")
        b.app("more", container="")
        reload(3)
        assert front.expect(GONE)["app"] == "session@1"
        front.lease("session@1", 9)
        assert front.expect(STARTING, READY)["port"] == b.docker.containers["other-1"].port
        # And then there is no such template.
        os.unlink(f"{b.folder}/apps.d/session@.ini")
        os.unlink(f"{b.folder}/apps.d/more.ini")
        b.app("last1", container="")
        b.app("last2", container="")
        b.app("last3", container="")
        reload(4)
        assert front.expect(GONE)["app"] == "session@1"
        assert b.docker.count("stop minion-1") == b.docker.count("stop b") == 0
        front.lease("session@1", 10)
        assert front.expect(FAILED)["failure"] == "unknown_app"
        b.ask_exit()


@case
def an_instance_that_is_taken_away_while_it_is_asked_for():
    with bench() as b:
        template(b)
        b.docker.faults["list"] = lambda handler: time.sleep(0.5)
        b.start()
        admins = [b.admin() for _ in range(2)]
        admins[0].request(STATUS, "session@1")
        admins[1].request(SLEEP, "session")
        b.docker.wait("list")
        os.unlink(f"{b.folder}/apps.d/session@.ini")
        b.process.send_signal(signal.SIGHUP)
        for admin in admins:
            answer = admin.expect(END)
            assert answer["result"] != 0 and "no such app" in answer["text"], answer
        b.ask_exit()


@case
def an_order_to_sleep_waits_for_docker():
    with bench() as b:
        b.app("one", "idle_timeout = 1h\n", status="running")
        b.start()
        apps, end = b.ask(SLEEP, "one")  # the first thing that this engine hears
        assert end["result"] == 0 and apps[0]["state"] == "stopping", (apps, end)
        b.docker.wait("stopped one")
        b.ask_exit()
