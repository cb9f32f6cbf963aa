#!/usr/bin/env python3
"""What waiting clients are given: pages, events, redirects, logs, and what failed ones are. TAP."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from bench import bench, get, post, server  # noqa: E402
from fakes import (EXITED, LEASE, RELEASE, STARTING, STATE_PROBING,  # noqa: E402
                   STATE_STARTING, TIMEOUT, read_all, read_answer, read_until)
from tap import case, main  # noqa: E402

BROWSER = b"Accept: text/html,*/*;q=0.8\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"


def is_page(answer: bytes) -> bool:
    return (b"Content-Type: text/html" in answer and b"Retry-After: " in answer and
            b"Cache-Control: no-store" in answer and b"Content-Security-Policy: " in answer)


@case
def a_page_at_once_for_people_and_a_hold_for_all_others():
    with bench() as b:
        one = b.app("one", server(), ready=False, more="[wait]\nmode = page\ntitle = A <b> title\n")
        b.start()
        with b.connect() as person, b.connect() as program:
            person.sendall(get(b"/deep?link", fields=BROWSER))
            program.sendall(post(b"/api", b"body"))
            b.engine.wait(LEASE, "one")
            b.engine.say(STARTING, "one")
            answer = read_answer(person)
            assert answer.startswith(b"HTTP/1.1 503 ") and is_page(answer), answer
            assert b"A &lt;b&gt; title" in answer and b"A <b> title" not in answer
            b.engine.apps["one"] = one.port
            b.engine.answer_all("one", one.port)
            assert read_answer(program).endswith(b"one /api body")
            person.sendall(get(b"/deep?link", fields=BROWSER))  # the same connection
            assert read_answer(person).endswith(b"one /deep?link ")
        b.ask_exit()


@case
def an_app_that_is_awake_has_no_page():
    with bench() as b:
        b.app("one", server(), more="[wait]\nmode = page\n")
        b.start()
        assert b.ask(get(b"/", fields=BROWSER)).endswith(b"one / ")
        b.ask_exit()


@case
def auto_holds_for_a_while():
    with bench() as b:
        one = b.app("one", server(), ready=False, more="[wait]\npage_after = 300ms\n")
        b.app("two", server(b"two"), ready=False)
        b.start()
        with b.connect() as person, b.connect() as program, b.connect() as quick:
            person.sendall(get(b"/", fields=BROWSER))
            program.sendall(get(b"/"))
            quick.sendall(get(b"/", b"two.test", BROWSER))
            b.engine.wait(LEASE, "two")
            b.engine.answer_all("two", b.backends[1].port)
            assert read_answer(quick).endswith(b"two / ")  # within page_after
            assert is_page(read_answer(person))
            b.engine.answer_all("one", one.port)
            assert read_answer(program).endswith(b"one / ")
        b.ask_exit()


@case
def events_tell_each_state_and_the_end():
    with bench() as b:
        one = b.app("one", server(), ready=False)
        b.start()
        with b.connect() as client:
            client.sendall(get(b"/_dockwake/events?for=%2Fdeep"))
            b.engine.wait(LEASE, "one")
            head = read_until(client, b"\r\n\r\n")
            assert b" 200 " in head and b"Content-Type: text/event-stream\r\n" in head, head
            b.engine.say(STARTING, "one")
            data = read_until(client, b"starting", head)
            b.engine.progress("one", STATE_PROBING)
            data = read_until(client, b"probing", data)
            b.engine.answer_all("one", one.port)
            assert b"event: ready" in read_all(client, data)
        b.engine.apps["one"] = one.port
        with b.connect() as client:  # ready already: told so at once
            client.sendall(get(b"/_dockwake/events?for=/"))
            assert b"event: ready" in read_all(client)
        b.engine.wait(RELEASE, "one")
        assert STATE_STARTING
        b.ask_exit()


@case
def a_failure_is_shown_and_a_refresh_does_not_wake_again():
    with bench() as b:
        b.app("one", server())
        b.engine.apps["one"] = (EXITED, 'it ended: "<script>"')
        b.start()
        answer = b.ask(get(b"/", fields=BROWSER))
        assert is_page(answer) and b"it ended" in answer and b'"<script>"' not in answer, answer
        for _ in range(3):
            answer = b.ask(get(b"/", fields=BROWSER))
            assert is_page(answer) and b"it ended" in answer, answer
        assert b"event: failed" in b.ask(get(b"/_dockwake/events?for=/"))
        assert b.engine.count(LEASE, "one", 0) == 1, b.engine.seen
        assert b"it ended" in b.get("one")  # programs ask anew
        assert b.engine.count(LEASE, "one", 0) == 2
        b.ask_exit()


@case
def a_failure_is_remembered_though_nobody_waits_any_more():
    with bench() as b:
        b.conf("workers = 1\n")
        b.app("one", server(), ready=False, more="[wait]\nmode = page\n")
        b.start()
        with b.connect() as client:
            client.sendall(get(b"/", fields=BROWSER))
            b.engine.wait(LEASE, "one")
            b.engine.say(STARTING, "one")
            assert is_page(read_answer(client))
        assert is_page(b.ask(get(b"/", fields=BROWSER)))  # it joins the wake, and waits for nothing
        b.assert_quiet(0.3, wakes=10)
        assert b.engine.count(RELEASE, "one") == 0, "the wake is not followed to its end"
        b.engine.answer("one", (EXITED, "it ended"))
        b.until(lambda: b"it ended" in b.ask(get(b"/", fields=BROWSER)))
        assert b.engine.count(LEASE, "one", 0) == 1, b.engine.seen
        b.ask_exit()


@case
def failures_have_their_status():
    with bench() as b:
        b.app("one")
        b.engine.apps["one"] = (TIMEOUT, "not ready within 3 s")
        b.start()
        answer = b.ask(get(b"/", fields=BROWSER))
        assert answer.startswith(b"HTTP/1.1 504 ") and is_page(answer), answer
        assert b"Dockwake-State: failed\r\n" in answer, answer
        b.ask_exit()


@case
def a_redirect_after_waking_only():
    with bench() as b:
        one = b.app("one", server(), ready=False,
                    more="[wait]\nmode = redirect\nredirect_path = /start\n")
        b.start()
        with b.connect() as client:
            client.sendall(get(b"/deep"))
            b.engine.wait(LEASE, "one")
            b.engine.say(STARTING, "one")
            b.engine.answer_all("one", one.port)
            answer = read_answer(client)
            assert answer.startswith(b"HTTP/1.1 302 ") and b"Location: /start\r\n" in answer
            client.sendall(get(b"/deep"))
            assert read_answer(client).endswith(b"one /deep ")
        b.ask_exit()


@case
def an_own_page_is_sent():
    with bench() as b:
        with open(f"{b.folder}/own.html", "w") as file:
            file.write("<!DOCTYPE html><p>own page of {{app}}: {{title}}")
        b.app("one", server(), ready=False,
              more="[wait]\nmode = page\npage = own.html\ntitle = <T>\n")
        b.start()
        with b.connect() as client:
            client.sendall(get(b"/", fields=BROWSER))
            b.engine.wait(LEASE, "one")
            b.engine.say(STARTING, "one")
            assert b"own page of one: &lt;T&gt;" in read_answer(client)
        b.ask_exit()


@case
def logs_only_where_they_are_shown():
    with bench() as b:
        b.app("one", server(), more="[wait]\nshow_logs = yes\n")
        b.app("two", server())
        b.engine.logs["one"] = b.engine.logs["two"] = [b"first", b"\x1b[31msecond <b>\x1b[0m"]
        b.start()
        answer = b.ask(get(b"/_dockwake/logs?for=/"))
        assert b"Content-Type: text/plain" in answer, answer
        assert answer.endswith(b"first\n [31msecond <b> [0m\n"), answer
        assert b.ask(get(b"/_dockwake/logs?for=/", b"two.test")).startswith(b"HTTP/1.1 404")
        assert b.ask(get(b"/_dockwake/logs")).startswith(b"HTTP/1.1 400")
        b.ask_exit()


@case
def own_endpoints_wake_nobody_and_have_a_rate():
    with bench() as b:
        b.app("one", server(), ready=False)
        b.start()
        statuses = [b.status(get(b"/_dockwake/health", b"nobody.test")) for _ in range(80)]
        assert statuses[0] == 200 and statuses[-1] == 429, statuses
        assert not b.engine.seen
        b.ask_exit()


if __name__ == "__main__":
    sys.exit(main())
