"""Rows W3 to W5, W8 and O6: what a client is given while its app wakes, and when it fails to."""

import os
import re
import threading
import time
import zlib

from lib import apps, docker
from lib.apps import STAYS, app, in_both_states, sleep
from lib.client import want_hello
from lib.docker import Events
from lib.events import Stream
from lib.scenario import scenario
from lib.setup import EACH, FRONT, enable, write_app, write_config
from lib.system import wait_no_process, want
from lib.websocket import WebSocket
from lib.wire import Reply, Wire, ask, chunk, request

BLOG = "blog.test"
DEEP = "/a/headers?x=1&y=%20z"

BROWSER = ("Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "Sec-Fetch-Mode: navigate",
           "Sec-Fetch-Dest: document")
OLD_BROWSER = ("Accept: text/html",)
CALLS = (("Accept: */*",), (), ("Accept: application/json",),
         ("Accept: text/html", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"),
         ("Accept: text/html", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"))


def want_page(reply: Reply, status: int = 503) -> str:
    """The waiting page, and its text."""
    want(reply.status == status and not reply.server,
         f"no page: {reply.status} from {reply.server or 'the front'}: {reply.text[:200]}")
    want(reply.get("Content-Type").lower() == "text/html; charset=utf-8", f"{reply.fields}")
    want(reply.get("Retry-After").isdigit(), f"Retry-After: {reply.fields}")
    want(reply.get("Cache-Control") == "no-store", f"Cache-Control: {reply.fields}")
    want("default-src 'none'" in reply.get("Content-Security-Policy"), f"CSP: {reply.fields}")
    text = reply.body.decode()
    want(text.lower().startswith("<!doctype html>"), f"no page: {text[:100]}")
    elsewhere = re.findall(r"(?:src|href|action|url)\s*[=(]\s*[\"']?\s*(?:https?:)?//[^\"' )]*", text)
    want(not elsewhere, f"the page asks elsewhere: {elsewhere}")
    return text


def served(reply: Reply) -> Reply:
    want(reply.status == 200 and reply.server == "blog",
         f"{reply.status} from {reply.server or 'the front'}: {reply.text[:200]}")
    return reply


def slow_blog(wait: dict[str, object], entry: str = FRONT, delay: int = 700,
              **sections: dict[str, object]) -> None:
    app("blog", {"wait": wait, **sections}, START_DELAY=delay)
    enable(entry)


@scenario("wait-page-each", EACH)
@scenario("wait-page", FRONT)
def page(entry: str) -> None:
    """W3: the page at once, while the container starts; the same address leads to the app then."""
    slow_blog({"mode": "page"}, entry)
    for fields in (BROWSER, OLD_BROWSER):
        with Events("blog") as events:
            begin = time.monotonic()
            text = want_page(ask(DEEP, BLOG, *fields))
            want(time.monotonic() - begin < 0.65, "the page came only with the app")
            want(re.search(r"<meta[^>]*http-equiv=.?refresh", text), "no refresh without scripts")
            with Stream(BLOG, "/a/headers") as stream:
                want(stream.rest(), "no event")
            lines = served(ask(DEEP, BLOG, *fields)).text.splitlines()
            want(lines[0] == f"GET {DEEP} HTTP/1.1", f"the app saw {lines[0]}")
            want(events.count("start") == 1, f"events: {events.seen()}")
            sleep("blog")


@scenario("wait-page-for-browsers-alone")
def page_for_whom() -> None:
    """W3, W4: calls, uploads and HEAD are held where a person gets the page."""
    slow_blog({"mode": "page"})
    body = os.urandom(300000)
    replies = {}

    def call(key: object, *fields: str, method: str = "GET", body: bytes | None = None) -> None:
        replies[key] = ask("/sum" if body else "/", BLOG, *fields, method=method, body=body)

    def case() -> None:
        replies.clear()
        calls = [threading.Thread(target=call, args=(fields, *fields)) for fields in CALLS]
        calls.append(threading.Thread(target=call, args=("POST", *BROWSER),
                                      kwargs={"method": "POST", "body": body}))
        for thread in calls:
            thread.start()
        for thread in calls:
            thread.join()
        want(len(replies) == len(calls), f"answered: {list(replies)}")
        for reply in replies.values():
            served(reply)
        want(replies["POST"].text == f"adler32={zlib.adler32(body):08x} length={len(body)}",
             f"the body: {replies['POST'].text}")
    in_both_states(case, "blog")
    sleep("blog")
    with Wire() as wire:  # what comes behind a page on the connection
        wire.send(request("/", BLOG, *BROWSER) + request("/", BLOG))
        want_page(wire.reply())
        served(wire.reply())


@scenario("wait-auto")
def auto() -> None:
    """W3, W4: held for page_after, then a page for a person; all others are held on."""
    slow_blog({"mode": "auto", "page_after": "200ms"})
    begin = time.monotonic()
    want_page(ask(DEEP, BLOG, *BROWSER))
    spent = time.monotonic() - begin
    want(0.2 <= spent < 0.7, f"the page came after {spent:.2f} s")
    served(ask("/", BLOG))
    begin = time.monotonic()
    served(ask("/", BLOG, *BROWSER))
    want(time.monotonic() - begin < 0.2, "slow although awake")


@scenario("wait-auto-is-the-default")
def auto_default() -> None:
    """W4: an app that is quick to wake never shows a page."""
    apps.blog(lambda: served(ask(DEEP, BLOG, *BROWSER)) and None)


@scenario("wait-hold")
def hold() -> None:
    """W4: a person is held too, where that is asked for."""
    slow_blog({"mode": "hold"})
    in_both_states(lambda: served(ask(DEEP, BLOG, *BROWSER)) and None, "blog")


@scenario("wait-redirect-each", EACH)
@scenario("wait-redirect", FRONT)
def redirect(entry: str) -> None:
    """W5: who had to wait is sent to the configured path; who had not is served."""
    slow_blog({"mode": "redirect", "redirect_path": "/welcome?from=sleep"}, entry, delay=200)
    for _ in range(2):
        reply = ask(DEEP, BLOG, *BROWSER)
        want(reply.status == 302 and reply.get("Location") == "/welcome?from=sleep", f"{reply}")
        served(ask("/welcome?from=sleep", BLOG, *BROWSER))
        served(ask(DEEP, BLOG, *BROWSER))
        sleep("blog")


@scenario("wait-upload-websocket-events-held-each", EACH)
@scenario("wait-upload-websocket-events-held", FRONT)
def held(entry: str) -> None:
    """W4: a chunked upload, a WebSocket and an event stream at a sleeping app are all served."""
    for name in ("one", "two", "three"):
        app(name, {"wait": {"page_after": "50ms"}}, START_DELAY=400)
    enable(entry)
    body = os.urandom(2 << 20)

    def case() -> None:
        with Wire() as wire:
            wire.send(request("/sum", "one.test", "Transfer-Encoding: chunked", *BROWSER,
                              method="POST")
                      + b"".join(chunk(body[at:at + 9999]) for at in range(0, len(body), 9999))
                      + b"0\r\n\r\n")
            want(wire.reply().text == f"adler32={zlib.adler32(body):08x} length={len(body)}", "sum")
        with WebSocket("two.test") as ws:
            ws.echo(b"hello")
            ws.say_goodbye()
        with Wire() as wire:
            wire.send(request("/events?n=2&ms=1", "three.test", "Accept: text/event-stream"))
            head = wire.head()
            want([wire.next_chunk(head) for _ in range(2)] == [b"data: 0\n\n", b"data: 1\n\n"],
                 "events of the app")
            wire.leave()
    in_both_states(case, "one", "two", "three")


# --- events --------------------------------------------------------------------------------------

STATES = ["unknown", "asleep", "starting", "probing", "ready"]


@scenario("wait-events-each", EACH)
@scenario("wait-events", FRONT)
def events_of_a_wake(entry: str) -> None:
    """W3: the stream tells each state as it comes, and its end is the app's readiness."""
    slow_blog({"mode": "page"}, entry, health={"check": "tcp"})
    want_page(ask(DEEP, BLOG, *BROWSER))
    with Stream(BLOG, "/a/headers") as stream:
        first = stream.next()
        want(first, "no event")
        begin = time.monotonic()
        told = [first, *stream.rest()]
        want(time.monotonic() - begin > 0.1, "all events came at once: that is no stream")
    states = [data["state"] for _, data in told]
    want(states[-1] == "ready", f"states: {states}")
    order = [STATES.index(state) for state in states]
    want(order == sorted(order) and len(set(states)) >= 2, f"states: {states}")
    with Stream(BLOG, "/") as stream:  # awake: told at once
        states = [data["state"] for _, data in stream.rest()]
        want(states[-1:] == ["ready"] and states[:-1] in ([], ["unknown"]), f"states: {states}")


@scenario("wait-failure-each", EACH)
@scenario("wait-failure", FRONT)
def failure(entry: str) -> None:
    """W8: the reason in the stream, on the page, and for a call; the container is put to sleep."""
    docker.create("blog", NEVER=1)
    write_app("blog", app={"start_timeout": "1s"}, wait={"mode": "page"})
    enable(entry)
    with Events("blog") as events:
        want_page(ask(DEEP, BLOG, *BROWSER))
        with Stream(BLOG, "/a") as stream:
            told = stream.rest()
        want(told[-1][1]["state"] == "failed", f"events: {told}")
        want(told[-1][1]["reason"], f"no reason: {told[-1]}")
        events.wait("die")
        want(events.count("start") == 1, f"events: {events.seen()}")
        reply = ask("/", BLOG)
        want(reply.status == 504 and "Retry-After" in dict(reply.fields), f"{reply}")
        events.wait("die")
    if entry == FRONT:
        # A page that refreshes itself right afterwards shows the reason, and wakes nobody.
        with apps.untouched():
            text = want_page(ask(DEEP, BLOG, *BROWSER), status=504)
        want("<button" in text or "<form" in text, "no way to try again")
    wait_no_process()


@scenario("wait-failure-on-the-page")
def failure_in_auto() -> None:
    """W8: one who is still held when it fails is told on a page; a call in plain text."""
    docker.create("blog", NEVER=1, EXIT_AFTER=100, EXIT_STATUS=7)
    write_app("blog", wait={"page_after": "10s"})
    enable()
    reply = ask(DEEP, BLOG, *BROWSER)
    want(reply.status in (502, 503), f"{reply.status}")
    want_page(reply, status=reply.status)
    reply = ask(DEEP, BLOG)
    want(reply.status in (502, 503) and reply.get("Content-Type").startswith("text/plain"),
         f"{reply}")
    # Mended, a call is served at once, and so is the person.
    docker.remove_all()
    docker.create("blog")
    served(ask(DEEP, BLOG))
    served(ask(DEEP, BLOG, *BROWSER))


# --- logs ----------------------------------------------------------------------------------------

EVIL = "<script>alert(1)</script> & \x1b[31mred\x1b[0m"


@scenario("wait-logs")
def logs() -> None:
    """W8: the last lines where allowed, as plain text, and nowhere else."""
    for name, wait in (("blog", {"show_logs": "yes"}), ("shy", {})):
        app(name, {"wait": {"mode": "page", **wait}}, START_DELAY=600, LOG=EVIL)
    enable()
    want("/_dockwake/logs" in want_page(ask("/", BLOG, *BROWSER)), "the page knows of no log")
    text = want_page(ask("/", "shy.test", *BROWSER))
    want("/_dockwake/logs" not in text, "the page asks for a log that it may not see")

    def case() -> None:
        reply = ask("/_dockwake/logs?for=/", BLOG)
        want(reply.status == 200 and reply.get("Content-Type").startswith("text/plain"), f"{reply}")
        want(reply.get("X-Content-Type-Options") == "nosniff", f"{reply.fields}")
        want("<script>alert(1)</script> &" in reply.text and "\x1b" not in reply.text,
             f"{reply.text!r}")
        reply = ask("/_dockwake/logs?for=/", "shy.test")
        want(reply.status in (403, 404) and "script" not in reply.text, f"{reply}")

    def wait_logged() -> None:
        with Stream(BLOG, "/") as stream:
            stream.rest()
    wait_logged()
    case()
    for name in ("blog", "shy"):
        sleep(name)
    case()  # what a container that is down has written
    want(docker.status("blog") == "exited", "to look at the log woke it")


# --- own page and title --------------------------------------------------------------------------

@scenario("wait-title-is-escaped")
def title() -> None:
    slow_blog({"mode": "page", "title": 'Tom & "Jerry" <b>'})
    text = want_page(ask("/", BLOG, *BROWSER))
    want("Tom &amp; " in text and "<b>" not in text, "the title is not escaped")


@scenario("wait-own-page")
def own_page() -> None:
    """An own HTML file is what the client gets, with what makes a waiting page of it."""
    place = "/etc/dockwake/own.html"
    with open(place, "w") as file:
        file.write("<!doctype html><title>mine</title><p>my own page\n")
    try:
        slow_blog({"mode": "page", "page": "own.html"})
        want("my own page" in want_page(ask("/", BLOG, *BROWSER)), "not the own page")
    finally:
        os.unlink(place)


# --- bounds --------------------------------------------------------------------------------------

@scenario("wait-max-waiting")
def max_waiting() -> None:
    """As many as may wait are served; who comes then is told so at once, and others' apps wake."""
    slow_blog({"max_waiting": 3})
    app("wiki")
    wires = [Wire() for _ in range(3)]
    with Events("blog") as events:
        for wire in wires:
            wire.send(request("/", BLOG))
        events.wait("start")
        begin = time.monotonic()
        reply = ask("/", BLOG)
        want(reply.status == 503 and reply.get("Retry-After").isdigit(), f"{reply}")
        want(time.monotonic() - begin < 0.5, "not told at once")
        want_hello("wiki.test", "wiki")
        for wire in wires:
            served(wire.reply())
            wire.close()
    served(ask("/", BLOG))


@scenario("wait-leaver-makes-room")
def leaver() -> None:
    """Who leaves while waiting counts no more."""
    slow_blog({"max_waiting": 1})
    with Events("blog") as events:
        with Wire() as wire:
            wire.send(request("/", BLOG))
            events.wait("start")
            want(ask("/", BLOG).status == 503, "a second one waits")
            wire.leave()
        served(wait_served())
        want(events.count("start") == 1, f"events: {events.seen()}")


def wait_served() -> Reply:
    """The front hears of a reset a moment after it was sent."""
    until = time.monotonic() + 5
    while True:
        reply = ask("/", BLOG)
        if reply.status != 503 or time.monotonic() > until:
            return reply


@scenario("wait-timeout-of-calls")
def timeout() -> None:
    """W4: a call at an app that is never ready gets 504 after start_timeout; the upload too."""
    docker.create("blog", NEVER=1)
    write_app("blog", app={"start_timeout": "1s"}, wait={"page_after": "50ms"})
    enable()
    for options in ({}, {"method": "POST", "body": bytes(1 << 20)}):
        begin = time.monotonic()
        reply = ask("/", BLOG, **options)
        want(reply.status == 504 and reply.get("Dockwake-State") == "failed", f"{reply}")
        want(0.9 < time.monotonic() - begin < 3, f"after {time.monotonic() - begin:.1f} s")


# --- own endpoints -------------------------------------------------------------------------------

@scenario("own-endpoints")
def own_endpoints() -> None:
    """O6: health wakes nobody; what is unknown is 404; the app never sees any of them."""
    app("blog")
    enable()

    def case() -> None:
        for host in (BLOG, "nobody.test"):
            with Wire() as wire:
                reply = wire.ask("/_dockwake/health", host)
                want(reply.status == 200 and not reply.server, f"{reply}")
                for target, status in (("/_dockwake/nothing", 404), ("/_dockwake/", 404),
                                       ("/_dockwake/events", 400), ("/_dockwake/logs?for=x", 400)):
                    reply = wire.ask(target, host)
                    want(reply.status == status and not reply.server, f"{target}: {reply}")
                reply = wire.ask("/_dockwake/health", host, method="POST", body=b"")
                want(reply.status == 405, f"POST: {reply}")
        want(ask("/_dockwake/logs?for=/", "nobody.test").status == 404, "not 404")
    with apps.untouched():
        case()
    served(ask("/_dockwakes", BLOG))
    case()


@scenario("own-endpoints-rate-each", EACH)
@scenario("own-endpoints-rate", FRONT)
def rate(entry: str) -> None:
    """O6: too many from one address get 429 and when to come again; other addresses do not."""
    write_config({"front": {"exit_idle": "1h"}})
    app("blog", {"app": STAYS})
    enable(entry)
    if entry == EACH:
        # A process for each connection knows of no other; within one it counts.
        with Wire() as wire:
            statuses = [wire.ask("/_dockwake/health", BLOG).status for _ in range(80)]
    else:
        statuses = [ask("/_dockwake/health", BLOG).status for _ in range(80)]
    want(statuses[:50] == [200] * 50 and statuses[-1] == 429, f"{statuses}")
    if entry == FRONT:
        reply = ask("/_dockwake/health", BLOG)
        want(reply.status == 429 and int(reply.get("Retry-After")) >= 1, f"{reply}")
        want(ask("/_dockwake/health", BLOG, source="127.0.0.2").status == 200, "another address")
        served(ask("/", BLOG))
