#!/usr/bin/env python3
"""The engine against a Docker that misbehaves, and against clients that do. Output: TAP.

Each case runs the sanitized engine (DOCKWAKE_ENGINE) in a folder of its own, with its two sockets
passed as systemd would, and a fake Docker (fake_docker.py). Arguments choose cases by name. More
cases are in faults_*.py.
"""

import os
import signal
import socket
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
from engine_bench import (APP, DOUBT, END, FAILED, GONE, HEADER, LEASE, LIST, READY, RELEASE,  # noqa: E402
                          SLEEP, STARTING, STATUS, WAIT, WAKE, bench)
from tap import case, main  # noqa: E402

# --- the cases ----------------------------------------------------------------------------------

@case
def a_lease_wakes_and_the_end_of_it_lets_sleep():
    with bench() as b:
        one = b.app("one", "idle_timeout = 200ms\n")
        b.start()
        front = b.front()
        front.lease("one", 7)
        answer = front.expect(STARTING, READY)
        assert (answer["serial"], answer["ip"], answer["port"]) == (7, "127.0.0.1", one.port)
        front.lease("one", 7, opcode=RELEASE)
        b.docker.wait("stopped one")
        front.close()
        assert b.wait_exit() == 0
        assert b.docker.count("start one") == 1
        assert not os.path.exists(f"{b.folder}/awake")


@case
def a_held_lease_keeps_awake():
    with bench() as b:
        b.app("one", "idle_timeout = 100ms\n")
        b.app("two", "idle_timeout = 100ms\n")
        b.start()
        front = b.front()
        front.lease("one")
        front.expect(STARTING, READY)
        front.lease("two")
        front.expect(STARTING, READY)
        front.lease("two", opcode=RELEASE)
        b.docker.wait("stopped two")  # whose clock began later and has ended
        assert b.docker.count("stop one") == 0
        b.ask_exit()


@case
def docker_is_not_asked_before_somebody_wants_something():
    with bench() as b:
        b.app("one")
        front = b.front()  # waits in the queue when the engine starts
        b.start()
        # Cut off for an app that does not exist: by then the engine has been through its loop.
        front.lease("nobody")
        assert front.expect(FAILED)["failure"] == "unknown_app"
        assert front.is_cut_off()
        assert b.wait_exit() == 0
        assert b.docker.calls == [], b.docker.calls


@case
def many_leases_start_once():
    with bench() as b:
        b.app("one", start_seconds=0.3)
        b.start()
        fronts = [b.front() for _ in range(300)]
        for front in fronts:
            front.lease("one")
        for front in fronts:
            front.expect(STARTING, READY)
        assert b.docker.count("start one") == 1
        b.ask_exit()


@case
def a_start_that_hangs_fails_in_time_and_harms_nobody():
    with bench() as b:
        b.app("slow", "start_timeout = 1s\n", start_seconds=3)
        b.app("good")
        b.start()
        front = b.front()
        began = time.monotonic()
        front.lease("slow", 1)
        front.expect(STARTING)
        front.lease("good", 2)
        assert front.expect(STARTING, READY)["serial"] == 2
        answer = front.expect(FAILED)
        assert answer["failure"] == "timeout" and "Docker has not started it yet" in answer["text"]
        assert 0.9 < time.monotonic() - began < 2
        b.docker.wait("stopped slow")  # as soon as Docker lets go of it
        b.ask_exit()


@case
def a_refused_start_gives_dockers_reason():
    with bench() as b:
        b.app("one")
        b.docker.faults["start"] = lambda h: h.answer(
            500, {"message": "driver failed: port is already allocated"}) or True
        b.start()
        front = b.front()
        front.lease("one")
        answer = front.expect(STARTING, FAILED)
        assert answer["failure"] == "docker", answer
        assert "port is already allocated" in answer["text"], answer
        del b.docker.faults["start"]
        front.lease("one", 2)  # and is tried again
        assert front.expect(STARTING, READY)["serial"] == 2
        b.ask_exit()


@case
def a_missing_container_is_said_to_be_missing():
    with bench() as b:
        b.app("ghost", container="")
        b.start()
        front = b.front()
        front.lease("ghost")
        answer = front.expect(STARTING, FAILED)
        assert answer["failure"] == "missing" and "'ghost'" in answer["text"], answer
        assert b.status("ghost")["state"] == "missing"
        b.docker.add("ghost")
        front.lease("ghost", 2)
        front.expect(STARTING, READY)
        b.ask_exit()


@case
def an_answer_cut_off_in_the_middle_is_asked_for_again():
    with bench() as b:
        b.app("one")
        cut = []

        def fault(handler):
            cut.append(1)
            if len(cut) > 2:
                return False
            handler.send_response(200)
            handler.send_header("Content-Length", "5000")
            handler.end_headers()
            handler.wfile.write(b'{"Id": "abc", "State"')
            handler.wfile.flush()
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
            return True

        b.docker.faults["inspect"] = fault
        b.start()
        front = b.front()
        front.lease("one")
        front.expect(STARTING, READY)
        assert len(cut) > 2
        b.ask_exit()


@case
def an_answer_that_is_no_json_fails_in_time():
    with bench() as b:
        b.app("one", "start_timeout = 1s\n")

        def fault(handler):
            handler.send_response(200)
            handler.send_header("Content-Length", "9")
            handler.end_headers()
            handler.wfile.write(b"{'broken'")
            return True

        b.docker.faults["inspect"] = fault
        b.start()
        front = b.front()
        front.lease("one")
        answer = front.expect(STARTING, FAILED)
        assert answer["failure"] == "timeout" and "cannot be understood" in answer["text"], answer
        b.ask_exit()


@case
def a_docker_that_is_away_for_a_while_delays_a_wake():
    with bench() as b:
        b.app("one", "start_timeout = 20s\n")
        b.docker.down()
        b.start()
        front = b.front()
        front.lease("one")
        front.expect(STARTING)
        assert front.is_silent(0.3)
        b.docker.up()
        front.expect(READY)
        b.ask_exit()


@case
def a_docker_that_stays_away_fails_the_wake_in_time():
    with bench() as b:
        b.app("one", "start_timeout = 1s\n")
        b.docker.down()
        b.start()
        front = b.front()
        front.lease("one")
        answer = front.expect(STARTING, FAILED)
        assert answer["failure"] == "timeout" and "cannot be reached" in answer["text"], answer
        b.docker.up()
        b.ask_exit()


@case
def a_docker_that_is_not_there_is_not_waited_for_until_the_end():
    with bench() as b:
        b.app("one", "start_timeout = 10min\n")
        b.docker.down()
        b.start()
        front = b.front()
        front.lease("one")
        front.expect(STARTING)
        answer = front.expect(FAILED, seconds=25)
        assert answer["failure"] == "docker" and "cannot be reached" in answer["text"], answer
        b.docker.up()
        front.lease("one", 2)
        front.expect(STARTING, READY)
        b.ask_exit()


@case
def a_restarted_docker_is_listed_again():
    with bench() as b:
        b.app("one", "idle_timeout = 300ms\n")
        b.start()
        front = b.front()
        front.lease("one")
        front.expect(STARTING, READY)
        b.docker.down()
        one = b.docker.containers["one"]
        one.status, one.exit_code = "exited", 137
        one.unlisten()
        b.docker.up()
        front.expect(GONE)
        front.lease("one", 2)
        assert front.expect(STARTING, READY)["serial"] == 2
        b.ask_exit()


@case
def a_broken_stream_of_events_is_opened_again():
    with bench() as b:
        b.app("one")
        b.start()
        front = b.front()
        front.lease("one")
        front.expect(STARTING, READY)
        b.docker.emit_raw("this is no JSON\n")
        b.docker.wait("events", 2)
        b.docker.emit_raw("x" * 300000)
        b.docker.wait("events", 3)
        b.docker.wait("list", 3)
        b.docker.set("one", "exited", "die", exit_code=1)
        front.expect(GONE)
        b.ask_exit()


@case
def a_paused_container_is_unpaused():
    with bench() as b:
        b.app("one", status="paused").listen()
        b.start()
        front = b.front()
        front.lease("one")
        front.expect(STARTING, READY)
        assert b.docker.count("unpause one") == 1
        b.ask_exit()


@case
def a_wake_during_the_stop_waits_for_it():
    with bench() as b:
        b.app("one", "idle_timeout = 100ms\n", stop_seconds=0.5)
        b.start()
        front = b.front()
        front.lease("one", 1)
        front.expect(STARTING, READY)
        front.lease("one", 1, opcode=RELEASE)
        b.docker.wait("stop one")
        front.lease("one", 2)
        assert front.expect(STARTING, READY)["serial"] == 2
        order = [c for c in b.docker.calls if c in ("start one", "stop one", "stopped one")]
        assert order == ["start one", "stop one", "stopped one", "start one"], order
        b.ask_exit()


@case
def a_stop_that_docker_refuses_is_tried_again():
    with bench() as b:
        b.app("one", "idle_timeout = 100ms\n")
        refused = []

        def fault(handler):
            refused.append(1)
            if len(refused) > 1:
                return False
            handler.answer(500, {"message": "tried to kill container, but did not receive an exit"})
            return True

        b.docker.faults["stop"] = fault
        b.start()
        front = b.front()
        front.lease("one")
        front.expect(STARTING, READY)
        front.close()
        b.docker.wait("stopped one")
        assert b.wait_exit() == 0


@case
def an_engine_that_was_killed_takes_up_its_work_again():
    with bench() as b:
        b.app("one", "idle_timeout = 300ms\n")
        b.start()
        front = b.front()
        front.lease("one")
        front.expect(STARTING, READY)
        b.process.kill()
        b.process.wait()
        assert front.is_cut_off()
        front.close()
        assert os.path.exists(f"{b.folder}/awake")
        b.start()
        b.docker.wait("stopped one")
        assert b.wait_exit() == 0
        assert b.docker.count("start one") == 1
        assert not os.path.exists(f"{b.folder}/awake")


@case
def an_engine_that_nobody_asks_leaves_docker_alone():
    with bench() as b:
        b.app("one", status="running")
        b.start()
        assert b.wait_exit() == 0
        assert b.docker.calls == [], b.docker.calls


@case
def an_engine_that_finds_its_marker_looks_at_once():
    with bench() as b:
        b.app("one", status="exited")
        open(f"{b.folder}/awake", "w").close()
        b.start()
        assert b.wait_exit() == 0
        assert b.docker.count("list") == 1 and not os.path.exists(f"{b.folder}/awake")


@case
def containers_that_others_started_are_put_to_sleep():
    with bench() as b:
        b.app("one", "idle_timeout = 200ms\n", status="running")
        b.start()
        b.status("one")
        b.docker.wait("stopped one")
        assert b.wait_exit() == 0


@case
def an_app_that_never_sleeps_does_not_hold_the_engine():
    with bench() as b:
        b.app("one", "idle_timeout = 0\n", status="running")
        b.start()
        b.status("one")
        assert b.wait_exit() == 0
        assert b.docker.count("stop one") == 0


@case
def a_container_that_ends_while_starting_fails_at_once():
    with bench() as b:
        b.app("one", "start_timeout = 20s\n", listens=False)
        b.start()
        front = b.front()
        front.lease("one")
        front.expect(STARTING)
        b.docker.wait("inspect one")
        began = time.monotonic()
        b.docker.set("one", "exited", "die", exit_code=3)
        answer = front.expect(FAILED)
        assert answer["failure"] == "exited" and "status 3" in answer["text"], answer
        assert time.monotonic() - began < 2
        b.ask_exit()


@case
def a_restart_policy_is_waited_for():
    with bench() as b:
        b.app("one", listens=False)
        b.start()
        front = b.front()
        front.lease("one")
        front.expect(STARTING)
        b.docker.wait("inspect one")
        b.docker.set("one", "restarting", "die", exit_code=1)
        b.docker.wait("inspect one", 2)
        b.docker.set("one", "running", "start", listens=True)
        front.expect(READY)
        b.ask_exit()


@case
def a_container_that_never_listens_is_stopped_again():
    with bench() as b:
        b.app("one", "start_timeout = 1s\n", listens=False)
        b.start()
        front = b.front()
        front.lease("one")
        answer = front.expect(STARTING, FAILED)
        assert answer["failure"] == "timeout" and "connection refused at 127.0.0.1" in answer["text"]
        b.docker.wait("stopped one")
        b.wait_state("one", "failed")
        b.ask_exit()


@case
def on_failure_leave_leaves_it():
    with bench() as b:
        b.app("one", "start_timeout = 1s\non_failure = leave\nidle_timeout = 0\n", listens=False)
        b.start()
        front = b.front()
        front.lease("one")
        front.expect(STARTING, FAILED)
        assert b.status("one")["state"] == "failed"
        assert b.docker.count("stop one") == 0
        b.ask_exit()


@case
def health_is_dockers_before_it_is_ours():
    with bench() as b:
        b.app("one", health="starting")
        b.start()
        front = b.front()
        front.lease("one")
        front.expect(STARTING)
        b.docker.wait("inspect one")
        assert front.is_silent(0.2)  # it listens, and is not healthy
        b.docker.set("one", "running", "health_status: healthy", health="healthy")
        front.expect(READY)
        b.ask_exit()


@case
def a_doubted_address_is_looked_at_again():
    with bench() as b:
        one = b.app("one")
        b.start()
        front = b.front()
        front.lease("one", 4)
        front.expect(STARTING, READY)
        b.docker.containers["one"].unlisten()
        front.lease("one", 4, flags=DOUBT)
        front.expect(STARTING)
        one.listen()
        assert front.expect(READY)["serial"] == 4
        # One that has ended without a word is started again, and nobody has failed.
        one.unlisten()
        one.status, one.exit_code = "exited", 0
        front.lease("one", 4, flags=DOUBT)
        front.expect(STARTING, READY)
        assert b.docker.count("start one") == 2
        b.ask_exit()


@case
def a_container_that_stops_by_itself_is_asleep():
    with bench() as b:
        b.app("one")
        b.start()
        front = b.front()
        front.lease("one", 1)
        front.expect(STARTING, READY)
        b.docker.set("one", "exited", "die", exit_code=0)
        assert front.expect(GONE)["serial"] == 1
        assert b.status("one")["state"] == "asleep"
        front.lease("one", 2)
        front.expect(STARTING, READY)
        b.ask_exit()


@case
def another_container_of_the_name_is_another_address():
    with bench() as b:
        b.app("one", "port = 9\naddress = auto\n[health]\ncheck = none\ngrace = 1ms\n")
        b.start()
        front = b.front()
        front.lease("one", 1)
        assert front.expect(STARTING, READY)["ip"] == "127.0.0.1"
        b.docker.containers["one"].ip = "127.0.0.2"
        b.docker.emit("start", "one")
        front.expect(GONE)
        front.lease("one", 2)
        answer = front.receive_news()
        if answer["op"] == STARTING:
            answer = front.receive_news()
        assert answer["op"] == READY and answer["ip"] == "127.0.0.2", answer
        b.ask_exit()


@case
def two_apps_share_a_container():
    with bench() as b:
        c = b.app("web", "idle_timeout = 150ms\n")
        b.app("ssh", f"container = web\nport = {c.port}\nidle_timeout = 150ms\n", container="web")
        b.start()
        front = b.front()
        front.lease("web", 1)
        front.expect(STARTING, READY)
        front.lease("ssh", 2)
        answer = front.receive_news()
        if answer["op"] == STARTING:
            answer = front.receive_news()
        assert answer["op"] == READY
        front.lease("web", 1, opcode=RELEASE)
        assert b.docker.count("start web") == 1
        # web's clock ends, ssh's lease holds: a status well after that says so.
        time.sleep(0.4)
        assert b.status("web")["state"] == "ready" and b.docker.count("stop web") == 0
        front.lease("ssh", 2, opcode=RELEASE)
        b.docker.wait("stopped web")
        assert b.docker.count("stop web") == 1
        b.ask_exit()


@case
def orders_of_the_administrator():
    with bench() as b:
        b.app("one", "idle_timeout = 1h\n")
        b.app("two")
        b.start()
        admin = b.admin()
        admin.request(LIST)
        apps = [admin.expect(APP), admin.expect(APP)]
        assert [(a["app"], a["state"]) for a in apps] == [("one", "asleep"), ("two", "asleep")]
        assert admin.expect(END)["result"] == 0
        admin.request(WAKE, "one", WAIT)
        states = []
        while (answer := admin.receive())["op"] == APP:
            states.append(answer["state"])
        assert answer["result"] == 0 and states[-1] == "ready", (states, answer)
        front = b.front()
        front.lease("one")
        front.expect(READY)
        assert b.status("one")["leases"] == 1
        admin.request(SLEEP, "one")
        admin.expect(APP, END)
        front.expect(GONE)
        b.docker.wait("stopped one")
        admin.request(WAKE, "nobody")
        assert admin.expect(END)["result"] != 0
        b.ask_exit()


@case
def an_order_to_sleep_ends_a_wake():
    with bench() as b:
        b.app("one", start_seconds=0.5)
        b.start()
        front = b.front()
        front.lease("one", 1)
        front.expect(STARTING)
        b.docker.wait("start one")
        admin = b.admin()
        admin.request(SLEEP, "one")
        admin.expect(APP, END)
        assert front.expect(FAILED)["failure"] == "stopped"
        b.docker.wait("stopped one")
        b.wait_state("one", "failed")
        b.ask_exit()


@case
def nobody_is_started_for_one_who_has_given_up():
    with bench() as b:
        b.app("one", "start_timeout = 1s\nidle_timeout = 100ms\non_failure = leave\n",
              stop_seconds=1.5)
        b.start()
        front = b.front()
        front.lease("one", 1)
        front.expect(STARTING, READY)
        front.lease("one", 1, opcode=RELEASE)
        b.docker.wait("stop one")
        front.lease("one", 2)
        answer = front.expect(STARTING, FAILED)
        assert "still being stopped" in answer["text"], answer
        b.docker.wait("stopped one")
        front.close()
        assert b.wait_exit() == 0
        assert b.docker.count("start one") == 1


@case
def an_app_that_is_taken_away_while_it_is_asked_for():
    with bench() as b:
        b.app("one")
        b.app("two")
        waiting = []
        b.docker.faults["list"] = lambda handler: waiting.append(1) or time.sleep(0.5)
        b.start()
        admin = b.admin()
        admin.request(STATUS, "one")
        b.docker.wait("list")
        os.unlink(f"{b.folder}/apps.d/one.ini")
        b.process.send_signal(signal.SIGHUP)
        answer = admin.expect(END)
        assert answer["result"] != 0 and "no such app" in answer["text"], answer
        b.ask_exit()


@case
def what_is_not_permitted_cuts_off():
    with bench() as b:
        b.app("one")
        b.start()
        keeper = b.front()
        keeper.lease("one")
        keeper.expect(STARTING, READY)
        pid = b.process.pid

        def packet(version, opcode, size, body):
            return lambda peer: peer.socket.send(HEADER.pack(version, opcode, size) + body)

        lease = struct.pack("=II128s", 1, 0, b"one")
        bad = [
            lambda peer: peer.request(SLEEP, "one"),
            lambda peer: peer.request(WAKE, "one"),
            lambda peer: peer.request(LIST),
            lambda peer: peer.lease("one", opcode=READY),
            lambda peer: peer.lease("one", flags=4),
            lambda peer: peer.lease("f" * 127),
            lambda peer: (peer.lease("one"), peer.lease("one", 2)),
            packet(2, LEASE, 144, lease),
            packet(1, LEASE, 143, lease),
            packet(1, LEASE, 144, lease[:-1]),
            packet(1, LEASE, 145, lease + b"x"),
            packet(1, 0, 8, b""),
            packet(1, 99, 8, b""),
            packet(1, LEASE, 144, struct.pack("=II128s", 1, 0, b"x" * 128)),
            lambda peer: peer.socket.send(b"x"),
            lambda peer: peer.socket.send(os.urandom(3000)),
            lambda peer: peer.socket.send(b"\0" * 100000),
            lambda peer: socket.send_fds(peer.socket, [HEADER.pack(1, LEASE, 144) + lease], [0, 1]),
        ]
        for i, send in enumerate(bad):
            peer = b.front()
            send(peer)
            assert peer.is_cut_off(), f"request {i} was not cut off"
            peer.close()
        for send in (lambda peer: peer.lease("one"), packet(1, STATUS, 140, b"\0" * 132 + b"x"),
                     lambda peer: (peer.request(WAKE, "one", WAIT), peer.request(LIST, ""),
                                   peer.request(LIST, ""), peer.request(STATUS, "one", 4))):
            peer = b.admin()
            send(peer)
            assert peer.is_cut_off(), "an administrator was not cut off"
            peer.close()
        assert b.status("one")["leases"] == 1 and b.process.pid == pid
        b.ask_exit()


@case
def a_reader_that_does_not_read_stops_nobody():
    with bench() as b:
        for i in range(40):
            b.app(f"app{i:02}", status="running")
        b.start()
        deaf = b.front()
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        for serial in range(400):
            for i in range(40):
                try:
                    deaf.socket.settimeout(0.2)
                    deaf.lease(f"app{i:02}", serial)
                    deaf.lease(f"app{i:02}", serial, opcode=RELEASE)
                except TimeoutError:
                    break
            else:
                continue
            break
        admins = [b.admin() for _ in range(8)]
        for admin in admins:
            admin.request(LIST)
        assert b.status("app07")["state"] in ("ready", "probing")
        for admin in admins:
            for _ in range(40):
                admin.expect(APP)
            admin.expect(END)
        b.ask_exit()


@case
def a_table_is_reloaded():
    with bench() as b:
        b.app("one", "idle_timeout = 1h\n")
        b.start()
        front = b.front()
        front.lease("one", 1)
        front.expect(STARTING, READY)
        b.app("two")
        with open(f"{b.folder}/apps.d/bad.ini", "w") as ini:
            ini.write("[app]\nnonsense = 1\n")
        b.process.send_signal(signal.SIGHUP)
        b.wait_log("the old one stays")
        assert b.status("one")["leases"] == 1
        peer = b.admin()
        peer.request(STATUS, "two")
        assert peer.expect(END)["result"] != 0
        os.unlink(f"{b.folder}/apps.d/bad.ini")
        b.process.send_signal(signal.SIGHUP)
        b.wait_log("configuration read, 2 apps")
        assert b.status("one")["leases"] == 1 and b.status("two")["state"] == "asleep"
        os.unlink(f"{b.folder}/apps.d/one.ini")
        b.process.send_signal(signal.SIGHUP)
        front.expect(GONE)
        assert b.docker.count("stop one") == 0
        b.ask_exit()


@case
def an_app_that_a_reload_puts_on_a_container_that_runs():
    with bench() as b:
        b.app("one", "idle_timeout = 1h\n")
        b.start()
        front = b.front()
        front.lease("one", 1)
        front.expect(STARTING, READY)
        b.docker.faults["list"] = lambda handler: time.sleep(1)
        b.app("two", "container = one\n", container="one")
        b.process.send_signal(signal.SIGHUP)
        b.wait_log("configuration read, 2 apps")
        front.lease("two", 2)  # before Docker is known to have said anything about it
        front.expect(STARTING, READY)
        assert b.docker.count("start one") == 1
        b.ask_exit()


@case
def api_versions():
    for api, good in (("1.24", False), ("1.41", True), ("1.52", True), ("1.99", True)):
        with bench(api=api) as b:
            b.app("one", "start_timeout = 5s\n")
            b.start()
            front = b.front()
            front.lease("one")
            answer = front.expect(STARTING, READY if good else FAILED)
            assert good or "1.24" in answer["text"], answer
            b.ask_exit()


import faults_awake  # noqa: E402, F401 (its cases are ours)
import faults_instances  # noqa: E402, F401
import faults_logs  # noqa: E402, F401

if __name__ == "__main__":
    sys.exit(main())
