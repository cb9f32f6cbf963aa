#!/usr/bin/env python3
"""How the front waits for apps, lives with engines that come and go, and comes and goes. TAP."""

import os
import signal
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from bench import bench, echo, hello, ok, reset  # noqa: E402
from fakes import (DOCKER, DOUBT, GONE, LEASE, RELEASE, STARTING,  # noqa: E402
                   TIMEOUT, free_port, read_answer, read_until)
from tap import case, main  # noqa: E402


# --- waiting ------------------------------------------------------------------------------------

@case
def a_thousand_arrive_at_a_sleeping_app():
    with bench() as b:
        b.conf("workers = 1\n")
        one = b.app("one", hello, ready=False)
        b.start()
        clients = [b.connect() for _ in range(1000)]
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
        b.engine.wait(LEASE, "one")
        b.engine.say(STARTING, "one")
        # The last of them is looked at after all others.
        assert b.get("nobody").startswith(b"HTTP/1.1 404")
        b.assert_quiet()
        b.engine.answer("one", one.port)
        for client in clients:
            assert read_answer(client).endswith(b"hello\n")
            client.close()
        assert b.engine.count(LEASE, "one") == 1
        b.engine.wait(RELEASE, "one")
        b.ask_exit()


@case
def who_resets_is_no_longer_waited_for():
    with bench() as b:
        b.conf("workers = 1\n")
        one = b.app("one", hello, ready=False)
        b.start()
        leaver, stayer = b.connect(), b.connect()
        leaver.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
        b.engine.wait(LEASE, "one")
        stayer.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
        reset(leaver)
        assert b.get("nobody").startswith(b"HTTP/1.1 404")
        b.engine.answer("one", one.port)
        assert read_answer(stayer).endswith(b"hello\n")
        assert one.accepted == 1 and b.engine.count(LEASE, "one") == 1
        # The last one to leave gives the lease back.
        b.engine.apps["one"] = None
        b.engine.wait(RELEASE, "one")
        leaver = b.connect()
        leaver.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
        b.engine.wait(LEASE, "one", 2)
        reset(leaver)
        b.engine.wait(RELEASE, "one", 2)
        stayer.close()
        b.ask_exit()


@case
def a_warm_app_is_not_asked_for():
    with bench() as b:
        b.conf("workers = 1\n")
        b.app("one", hello)
        b.start()
        for _ in range(50):
            assert b.get("one").endswith(b"hello\n")
        assert b.engine.count(LEASE, "one") == 1
        b.engine.wait(RELEASE, "one")
        assert b.get("one").endswith(b"hello\n")
        assert b.engine.count(LEASE, "one") == 2
        b.ask_exit()


@case
def a_failed_wake_is_told_with_its_reason():
    with bench() as b:
        b.app("one")
        b.app("two")
        b.engine.apps["one"] = (TIMEOUT, "not ready within 3 s")
        b.engine.apps["two"] = (DOCKER, "the daemon\r\nX: y cannot be reached")
        b.start()
        answer = b.get("one")
        assert answer.startswith(b"HTTP/1.1 504 ") and b"one: not ready within 3 s" in answer
        answer = b.get("two")
        assert answer.startswith(b"HTTP/1.1 503 ") and b"two: the daemon  X: y" in answer, answer
        assert b"Retry-After: " in answer and b"Cache-Control: no-store" in answer
        b.ask_exit()
        assert b.read_log().count("one: not woken") == 1, b.read_log()


@case
def a_refused_address_is_doubted_once_for_all():
    with bench() as b:
        b.conf("workers = 1\n")
        one = b.app("one", hello, ready=False)
        b.engine.apps["one"] = None
        b.start()
        clients = [b.connect() for _ in range(50)]
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
        b.engine.wait(LEASE, "one")
        assert b.get("nobody").startswith(b"HTTP/1.1 404")
        b.engine.answer("one", free_port())
        b.engine.wait(LEASE, "one", 2)
        assert b.engine.count(LEASE, "one", DOUBT) == 1
        b.engine.answer("one", one.port)
        for client in clients:
            assert read_answer(client).endswith(b"hello\n")
            client.close()
        assert b.engine.count(LEASE, "one") == 2 and b.engine.count(RELEASE, "one") <= 1
        b.ask_exit()


@case
def an_address_that_always_refuses_ends_in_502():
    with bench() as b:
        b.app("one")
        b.engine.apps["one"] = free_port()
        b.start()
        answer = b.get("one")
        assert answer.startswith(b"HTTP/1.1 502 ") and b"Connection refused" in answer, answer
        assert b.engine.count(LEASE, "one", DOUBT) == 4, b.engine.seen
        b.ask_exit()
        assert b.read_log().count("one: ") == 1, b.read_log()


@case
def a_backend_that_vanishes_before_its_answer_is_asked_again():
    seen = []

    def backend(peer):
        seen.append(read_until(peer, b"\r\n\r\n"))
        if len(seen) % 2 == 0:
            ok(peer)

    with bench() as b:
        b.app("one", backend)
        b.start()
        assert b.get("one").endswith(b"hello\n")
        assert len(seen) == 2 and seen[0] == seen[1] and b.engine.count(LEASE, "one", DOUBT) == 1
        # What may have had an effect is not repeated.
        answer = b.ask(b"POST / HTTP/1.1\r\nHost: one.test\r\nContent-Length: 0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 502 "), answer
        assert len(seen) == 3
        b.ask_exit()


@case
def gone_takes_the_lease_anew():
    with bench() as b:
        b.conf("workers = 1\n")
        one = b.app("one", hello)
        tcp, port = b.tcp_app("tcp", echo)
        b.start()
        with b.connect(port) as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            b.engine.say(GONE, "tcp")
            assert b.get("one").endswith(b"hello\n")  # by now it was heard
            client.sendall(b"y")
            assert client.recv(1) == b"y", "an open connection is not touched"
            with b.connect(port) as second:
                second.sendall(b"z")
                assert second.recv(1) == b"z"
            assert b.engine.count(LEASE, "tcp") == 2
        # One that crosses a doubt leaves waiters behind, and they are asked for again.
        b.engine.wait(RELEASE, "one")
        b.engine.apps["one"] = free_port()
        with b.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
            b.engine.wait(LEASE, "one", 2)
            b.engine.apps["one"] = None
            b.engine.wait(LEASE, "one", 3)
            b.engine.apps["one"] = one.port
            b.engine.say(GONE, "one")
            assert read_answer(client).endswith(b"hello\n")
        b.ask_exit()


@case
def stale_answers_are_dropped():
    with bench() as b:
        one = b.app("one", hello, ready=False)
        b.start()
        with b.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
            b.engine.wait(LEASE, "one")
            serial = b.engine.serial("one")
            b.engine.answer("one", (TIMEOUT, "an older one"), serial - 1)
            b.engine.answer("one", free_port(), serial + 1)
            b.engine.say(GONE, "one", serial - 1)
            b.engine.answer("nobody", 1, serial)
            b.engine.answer("one", one.port)
            assert read_answer(client).endswith(b"hello\n")
        assert b.engine.count(LEASE, "one") == 1
        b.ask_exit()


@case
def the_engine_may_restart_at_any_time():
    with bench() as b:
        b.conf("workers = 1\n")
        one = b.app("one", hello, ready=False)
        tcp, port = b.tcp_app("tcp", echo)
        b.start()
        open_one = b.connect(port)
        open_one.sendall(b"x")
        assert open_one.recv(1) == b"x"
        waiting = b.connect()
        waiting.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
        b.engine.wait(LEASE, "one")

        b.engine.go_away()
        open_one.sendall(b"y")
        assert open_one.recv(1) == b"y"
        with b.connect(port) as client:  # the address it knows still serves
            client.sendall(b"z")
            assert client.recv(1) == b"z"
        b.assert_quiet(0.3, wakes=10)  # it looks for the engine, less and less often
        b.engine.listen()
        b.engine.wait(LEASE, "one", 2)
        b.engine.wait(LEASE, "tcp", 2)
        b.engine.answer("one", one.port)
        assert read_answer(waiting).endswith(b"hello\n")

        # A socket of systemd's stays: the next engine is there at once.
        b.engine.apps["one"] = one.port
        b.engine.go_away(keep_socket=True)
        assert b.get("one").endswith(b"hello\n")
        b.engine.wait(LEASE, "tcp", 3)
        open_one.close()
        waiting.close()
        b.ask_exit()


@case
def an_engine_that_sends_nonsense_is_left():
    with bench() as b:
        one = b.app("one", hello, ready=False)
        b.start()
        with b.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
            b.engine.wait(LEASE, "one")
            b.engine.fronts[0].send(b"nonsense")
            b.engine.wait(LEASE, "one", 2)
            b.engine.answer("one", one.port)
            assert read_answer(client).endswith(b"hello\n")
        b.ask_exit()


@case
def an_engine_that_leaves_is_not_called_back():
    with bench() as b:
        b.app("one", hello)
        b.start()
        assert b.get("one").endswith(b"hello\n")
        b.engine.wait(RELEASE, "one")
        b.engine.go_away(keep_socket=True)
        b.assert_quiet(0.3)
        assert not b.engine.fronts
        assert b.get("one").endswith(b"hello\n")
        b.ask_exit()


# --- coming and going ---------------------------------------------------------------------------

@case
def it_leaves_when_idle_and_the_backlog_stays():
    with bench() as b:
        b.conf("exit_idle = 200ms\n")
        b.app("one", hello)
        for _ in range(5):
            b.start()
            assert b.get("one").endswith(b"hello\n")
            b.wait_exit()
        with b.connect() as client:  # nobody is there
            client.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
            b.start()
            assert read_answer(client).endswith(b"hello\n")
        b.wait_exit()


@case
def one_connection_from_systemd_or_inetd():
    with bench() as b:
        b.app("one", hello)
        tcp, port = b.tcp_app("tcp", echo)
        for i in range(4):
            listener = b.sockets[i % 2]
            with b.connect(listener.getsockname()[1]) as client:
                accepted, _ = listener.accept()
                if i < 2:
                    b.start([accepted])
                else:
                    b.start([], accepted)
                accepted.close()
                if i % 2 == 0:
                    client.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
                    assert read_answer(client).endswith(b"hello\n")
                else:
                    client.sendall(b"x")
                    assert client.recv(1) == b"x"
            b.wait_exit()


@case
def a_unix_listener_speaks_http():
    with bench() as b:
        b.app("one", hello)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{b.folder}/http")
        listener.listen()
        b.sockets = [listener]
        b.start()
        for half_close in (False, True):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(10)
                client.connect(f"{b.folder}/http")
                client.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
                if half_close:
                    client.shutdown(socket.SHUT_WR)
                assert read_answer(client).endswith(b"hello\n")
        b.ask_exit()


@case
def without_a_socket_it_says_so():
    with bench() as b:
        b.start([])
        assert b.process.wait(10) == 1
        assert "No socket" in b.read_log()


@case
def a_reload_takes_the_new_table_or_keeps_the_old():
    with bench() as b:
        b.app("one", hello)
        b.start()
        assert b.get("one").endswith(b"hello\n")
        b.app("two", hello)
        assert b.get("two").startswith(b"HTTP/1.1 404")
        b.process.send_signal(signal.SIGHUP)
        b.wait_log("read anew")
        assert b.get("two").endswith(b"hello\n")
        b.ini("two", "[app]\nnonsense = 1\n")
        b.ini("three", "[app]\nfurther = 2\n")
        b.process.send_signal(signal.SIGHUP)
        b.wait_log("the old one stays")
        log = b.read_log()
        assert "two.ini:2: " in log and "three.ini:2: " in log, log
        assert b.get("two").endswith(b"hello\n")
        b.ask_exit()


@case
def a_broken_table_answers_everybody():
    with bench() as b:
        b.conf("nonsense = 1\nexit_idle = 200ms\n")
        b.app("one", hello)
        b.start()
        answer = b.get("one")
        assert answer.startswith(b"HTTP/1.1 503 ") and b"misconfigured" in answer, answer
        b.ask_exit()


@case
def a_stop_lets_open_connections_finish():
    with bench() as b:
        one = b.app("one", hello, ready=False)
        tcp, port = b.tcp_app("tcp", echo)
        b.start()
        with b.connect(port) as client, b.connect() as waiting:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            waiting.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
            b.engine.wait(LEASE, "one")
            b.process.send_signal(signal.SIGTERM)
            client.sendall(b"y")
            assert client.recv(1) == b"y"
            b.engine.answer("one", one.port)
            assert read_answer(waiting).endswith(b"hello\n")
            with b.connect() as late:  # stays in the backlog for the next front
                late.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
                client.close()
                b.wait_exit()
                b.start()
                b.engine.wait(LEASE, "one", 2)
                b.engine.answer("one", one.port)
                assert read_answer(late).endswith(b"hello\n")
        b.ask_exit()


if __name__ == "__main__":
    sys.exit(main())
