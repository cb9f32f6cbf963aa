"""Row W11: who may wake an app. Whoever may not is told that it sleeps, and Docker is not asked."""

import time

from lib import apps
from lib.apps import app, docker_frozen, sleep, untouched
from lib.docker import Events
from lib.scenario import scenario
from lib.setup import EACH, FRONT, enable, listen_also, write_config
from lib.system import journal_cursor, journal_events, want
from lib.wire import Reply, Wire, ask

BLOG = "blog.test"
FRIEND, STRANGER, PROXY = "127.0.0.2", "127.0.0.3", "127.0.0.4"
TCP_PORT = 7007


def want_asleep(reply: Reply, status: int = 503) -> None:
    want(reply.status == status and not reply.server,
         f"{reply.status} from {reply.server or 'the front'}, not {status}: {reply.text[:200]}")
    want(reply.get("Dockwake-State") == "asleep", f"fields: {reply.fields}")


def want_served(reply: Reply) -> None:
    want(reply.status == 200 and reply.server == "blog",
         f"{reply.status} from {reply.server or 'the front'}: {reply.text[:200]}")
    want(not reply.get("Dockwake-State"), f"fields: {reply.fields}")


class Ask:
    """A request to be made: what of it matters, and the rest as usual."""

    def __init__(self, target: str = "/", *fields: str, source: str = "",
                 method: str = "GET") -> None:
        self.target, self.fields, self.source, self.method = target, fields, source, method

    def __call__(self) -> Reply:
        return ask(self.target, BLOG, *self.fields, source=self.source, method=self.method)

    def __str__(self) -> str:
        return f"{self.method} {self.target} {' '.join(self.fields)} {self.source}".strip()


# Rule: what the file says, who may not wake the app, who may.
RULES = {
    "allow_from": ({"allow_from": f"{FRIEND}/32 10.0.0.0/8"},
                   [Ask(), Ask(source=STRANGER), Ask("/", f"X-Forwarded-For: {FRIEND}")],
                   Ask(source=FRIEND)),
    "deny_from": ({"deny_from": f"{STRANGER} 192.168.0.0/16"},
                  [Ask(source=STRANGER)], Ask(source=FRIEND)),
    "methods": ({"methods": "GET, POST"},
                [Ask(method="HEAD"), Ask(method="OPTIONS"), Ask(method="get")], Ask(method="POST")),
    "deny_user_agent": ({"deny_user_agent": "bot, uptime"},
                        [Ask("/", "User-Agent: Mozilla/5.0 (compatible; GoogleBot/2.1)"),
                         Ask("/", "User-Agent: UptimeRobot/2.0")],
                        Ask("/", "User-Agent: curl/8")),
    "deny_path": ({"deny_path": "/robots.txt, /wp-admin, /.env"},
                  [Ask("/robots.txt"), Ask("/wp-admin/x?y"), Ask("/%77p-admin"), Ask("/.env")],
                  Ask("/wp-administrators")),
}


@scenario("policy-each-rule-each", EACH)
@scenario("policy-each-rule", FRONT)
def each_rule(entry: str) -> None:
    """Refused while it sleeps, by the rule that the journal names; served once it is awake."""
    hosts = {}
    for rule, (wake, _, _) in RULES.items():
        host = rule.replace("_", "-")
        hosts[rule] = host
        app(host, {"wake": wake, "route": {"host": f"{host}.test"}})
    app("keeper")  # awake, so that the engine is there and has asked Docker all it has to
    enable(entry)
    want(ask("/", "keeper.test").status == 200, "keeper does not wake")
    for rule, (_, refused, allowed) in RULES.items():
        name = hosts[rule]

        def go(one: Ask) -> Reply:
            return ask(one.target, f"{name}.test", *one.fields, source=one.source,
                       method=one.method)
        cursor = journal_cursor()
        with untouched(), docker_frozen():
            for one in refused:
                begin = time.monotonic()
                want_asleep(go(one))
                want(time.monotonic() - begin < 2, f"{one}: not told at once")
        told = journal_events(cursor, DOCKWAKE_APP=name)
        # Several workers have written it, each in its own time.
        want(sorted((event["DOCKWAKE_RULE"], event["DOCKWAKE_CLIENT"]) for event in told)
             == sorted((rule, one.source or "127.0.0.1") for one in refused),
             f"{rule}: {[event['MESSAGE'] for event in told]}")

        cursor = journal_cursor()
        reply = go(allowed)
        want(reply.status == 200 and reply.server == name, f"{rule}: {allowed}: {reply}")
        told = [event for event in journal_events(cursor, DOCKWAKE_APP=name)
                if "DOCKWAKE_CLIENT" in event]
        want([(event["DOCKWAKE_CLIENT"], event["DOCKWAKE_RULE"]) for event in told]
             == [(allowed.source or "127.0.0.1", "none")], f"{rule}: who woke it: {[event['MESSAGE'] for event in told]}")
        for one in refused:  # awake it is open to everybody
            reply = go(one)
            want(reply.server == name and not reply.get("Dockwake-State"), f"{one}: {reply}")


@scenario("policy-order-of-rules")
def together() -> None:
    """Several rules: any of them refuses; deny counts before what is allowed."""
    app("blog", {"wake": {"allow_from": "127.0.0.0/8", "deny_from": STRANGER, "methods": "GET",
                          "deny_path": "/metrics"}})
    enable()
    with untouched():
        want_asleep(Ask(source=STRANGER)())
        want_asleep(Ask(method="POST")())
        want_asleep(Ask("/metrics/x")())
    want_served(Ask()())


@scenario("policy-asleep-status", 200)
@scenario("policy-asleep-status-404", 404)
def asleep_status(status: int) -> None:
    """What an uptime monitor is told is the administrator's choice; the header says the truth."""
    app("blog", {"wake": {"deny_user_agent": "monitor", "asleep_status": status}})
    enable()
    monitor = ("User-Agent: Monitor/1.0",)
    with untouched(), Wire() as wire:
        for method in ("GET", "HEAD", "GET"):
            want_asleep(wire.ask("/", BLOG, *monitor, method=method), status)
    want_served(ask("/", BLOG))
    want_served(ask("/", BLOG, *monitor))
    sleep("blog")
    with untouched():
        want_asleep(ask("/", BLOG, *monitor), status)


@scenario("policy-rate")
def rate() -> None:
    """Wakes asked for by one address: so many, then it is told that the app sleeps."""
    write_config({"front": {"exit_idle": "1h"}})
    app("blog", {"wake": {"rate": "2/1h"}})
    enable()
    for _ in range(2):
        want_served(Ask(source=FRIEND)())
        for _ in range(5):  # requests to an app that is awake are no wakes
            want_served(Ask(source=FRIEND)())
        sleep("blog")
    cursor = journal_cursor()
    with untouched():
        want_asleep(Ask(source=FRIEND)())
    told = journal_events(cursor, DOCKWAKE_APP="blog", DOCKWAKE_RULE="rate")
    want([event["DOCKWAKE_CLIENT"] for event in told] == [FRIEND], f"{told}")
    want_served(Ask(source=STRANGER)())
    want_served(Ask(source=FRIEND)())


@scenario("policy-behind-a-proxy")
def behind_a_proxy() -> None:
    """The client that counts is the one whom a trusted proxy names, and nobody else's word does."""
    write_config({"front": {"trusted_proxies": PROXY, "workers": 1}})
    app("blog", {"wake": {"allow_from": "192.0.2.0/24"}})
    enable()
    cursor = journal_cursor()
    with untouched():
        for fields, source in (((), PROXY), (("X-Forwarded-For: 198.51.100.1",), PROXY),
                               (("X-Forwarded-For: 192.0.2.7",), STRANGER),
                               (("X-Forwarded-For: 192.0.2.7, 198.51.100.1",), PROXY),
                               (("X-Forwarded-For: 192.0.2.7", "X-Forwarded-For: 203.0.113.5"),
                                PROXY)):
            want_asleep(ask("/", BLOG, *fields, source=source))
    clients = [event["DOCKWAKE_CLIENT"] for event in journal_events(cursor, DOCKWAKE_APP="blog")]
    want(clients == [PROXY, "198.51.100.1", STRANGER, "198.51.100.1", "203.0.113.5"], f"{clients}")
    cursor = journal_cursor()
    want_served(ask("/", BLOG, f"X-Forwarded-For: 10.9.9.9, 192.0.2.7, {PROXY}", source=PROXY))
    clients = [event["DOCKWAKE_CLIENT"] for event in journal_events(cursor, DOCKWAKE_RULE="none")]
    want(clients == ["192.0.2.7"], f"{clients}")


@scenario("policy-tcp")
def tcp() -> None:
    """A TCP client that may not wake the app is let go; awake it is served."""
    apps.docker.create("echo", TCP_PORT=9000)
    apps.write_app("echo", app={**apps.STAYS, "port": 9000}, route={"port": TCP_PORT},
                   wake={"allow_from": FRIEND})
    listen_also(FRONT, TCP_PORT)
    enable()

    def echoed(source: str) -> bool:
        with Wire(TCP_PORT, source) as wire:
            try:
                wire.send(b"hello")
                return wire.stream.read(5) == b"hello"
            except OSError:
                return False
    with untouched():
        want(not echoed(STRANGER), "a stranger is served")
    want(echoed(FRIEND), "the friend is not served")
    want(echoed(STRANGER), "awake, and the stranger is not served")


@scenario("policy-page-and-events")
def page_and_events() -> None:
    """The ways round: a page, its events, an upgrade, another spelling. None wakes the app."""
    app("blog", {"wake": {"allow_from": FRIEND, "deny_path": "/admin"}, "wait": {"mode": "page"}})
    enable()
    with untouched():
        want_asleep(ask("/", BLOG, "Accept: text/html"))
        reply = ask("/_dockwake/events?for=/", BLOG)
        want(not reply.server and reply.get("Dockwake-State") in ("", "asleep"), f"{reply}")
        want_asleep(ask("/ws", BLOG, "Upgrade: websocket", "Connection: Upgrade",
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
        for target in ("/admin", "/admin/", "/%61dmin", "/admin?x", "http://blog.test/admin"):
            want_asleep(ask(target, BLOG, source=FRIEND))
    with Events("blog") as events:
        ask("/_dockwake/events?for=/", BLOG, source=FRIEND)
        want_served(ask("/", BLOG, source=FRIEND))
        want(events.count("start") == 1, f"events: {events.seen()}")
