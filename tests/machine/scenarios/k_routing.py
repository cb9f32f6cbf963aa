"""Rows R1 to R7: which app a request, a name or a port leads to, with the app asleep and awake."""

import socket
import time
from urllib.parse import unquote

from lib import docker, tls
from lib.apps import STAYS, app, docker_frozen, in_both_states, sleep, untouched
from lib.client import want_hello
from lib.docker import Events
from lib.scenario import say, scenario
from lib.setup import EACH, FRONT, enable, listen_also, write_app, write_config
from lib.system import want
from lib.wire import Reply, Wire, ask, request

TLS_PORT = 4430
LABEL = "dockwake.app"


def from_app(name: str, host: str, target: str = "/", *fields: str) -> Reply:
    """The app's answer, and no other's."""
    reply = ask(target, host, *fields)
    want(reply.status == 200 and reply.server == name,
         f"{host}{target} {' '.join(fields)}: {reply.status} from {reply.server or 'the front'}, "
         f"not from {name}: {reply.text}")
    return reply


def refused(host: str, target: str = "/", *fields: str, status: tuple[int, ...] = (404,)) -> Reply:
    """The front's own answer, at once."""
    begin = time.monotonic()
    reply = ask(target, host, *fields)
    want(reply.status in status and not reply.server,
         f"{host}{target}: {reply.status} from {reply.server or 'the front'}: {reply.text}")
    want(time.monotonic() - begin < 2, f"{host}{target}: not answered at once")
    return reply


@scenario("route-unknown-host-each", EACH)
@scenario("route-unknown-host", FRONT)
def unknown_host(entry: str) -> None:
    """R1: 404 for a host that nobody has, and Docker is not asked, whoever else is awake."""
    app("blog")
    enable(entry)
    with untouched(), docker_frozen():
        for host in ("nobody.test", "xblog.test", "blog.test.evil", "test", "[::1]", "127.0.0.1"):
            refused(host)
    from_app("blog", "blog.test")
    with untouched(), docker_frozen():
        refused("nobody.test")
        from_app("blog", "BLOG.test.:80")
    if entry == FRONT:
        with Wire() as wire:  # what is refused does not take the connection with it
            want(wire.ask("/", "nobody.test").status == 404, "not 404")
            want(wire.ask("/", "blog.test").server == "blog", "not answered behind a 404")


@scenario("route-wildcards")
def wildcards() -> None:
    """R2: wildcards of two depths, a template host beside one, an exact name, and the default."""
    app("deep", {"route": {"host": "*.example.test"}})
    app("deeper", {"route": {"host": "*.dev.example.test"}})
    app("exact", {"route": {"host": "www.example.test"}})
    app("pages", {"route": {"host": "*.pages.test"}})
    app("rest", {"route": {"default": "yes"}})
    docker.create("tenant-one", labels={LABEL: "tenant"})
    write_app("tenant@", app={**STAYS, "container": "tenant-%i"}, route={"host": "%i.pages.test"})
    enable()

    def case() -> None:
        for host, name in (("a.example.test", "deep"), ("a.b.example.test", "deep"),
                           ("dev.example.test", "deep"), ("x.dev.example.test", "deeper"),
                           ("y.x.dev.example.test", "deeper"), ("www.example.test", "exact"),
                           ("x.www.example.test", "deep"), ("example.test", "rest"),
                           ("one.pages.test", "tenant-one"), ("a.one.pages.test", "pages"),
                           ("pages.test", "rest"), ("elsewhere.test", "rest")):
            from_app(name, host)
    in_both_states(case, "deep", "deeper", "exact", "pages", "rest")


@scenario("route-paths")
def paths() -> None:
    """R3: prefixes in whole segments, the longest first, kept and stripped."""
    for name, route in (("home", {}), ("wiki", {"path": "/wiki"}),
                        ("app", {"path": "/app", "strip_path": "yes"}),
                        ("admin", {"path": "/app/admin/", "strip_path": "yes"})):
        app(name, {"route": {"host": "one.test", **route}})
    enable()

    def case() -> None:
        for target, name, seen, prefix in (
                ("/headers?q=1", "home", "/headers?q=1", ""),
                ("/wiki/headers", "wiki", "/wiki/headers", ""),
                ("/app/headers?a=/b", "app", "/headers?a=/b", "/app"),
                ("/apple/headers", "home", "/apple/headers", ""),
                ("/App/headers", "home", "/App/headers", ""),
                ("/%61pp/headers", "app", "/headers", "/app"),
                ("/app%2Fheaders", "home", "", ""),
                ("/app/x/headers", "app", "/x/headers", "/app"),
                ("/app/administer/headers", "app", "/administer/headers", "/app"),
                ("/app/admin/headers", "admin", "/headers", "/app/admin")):
            reply = from_app(name, "one.test", target)
            lines = reply.text.splitlines()
            want(not seen or lines[0] == f"GET {seen} HTTP/1.1", f"{target}: seen as {lines[0]!r}")
            told = [line for line in lines if line.lower().startswith("x-forwarded-prefix:")]
            told = [unquote(line.partition(": ")[2]) for line in told]
            want(told == ([prefix] if prefix else []), f"{target}: told {told}, not {prefix!r}")
        for target, name in (("/wiki", "wiki"), ("/app", "app"), ("/app?x", "app"), ("/", "home")):
            from_app(name, "one.test", target)
        for target in ("/app/../wiki", "/app/%2e%2E/wiki", "/./app", "/app/%zz"):
            refused("one.test", target, status=(400,))
        told = ask("/app/headers", "one.test", "X-Forwarded-Prefix: /evil").text
        want("/evil" not in told, f"a stranger's prefix passes: {told}")
    in_both_states(case, "home", "wiki", "app", "admin")


@scenario("route-path-without-host")
def path_alone() -> None:
    """R3: a path under any host comes behind the hosts, and nothing else is known there."""
    app("blog")
    app("tool", {"route": {"path": "/tool"}})
    enable()

    def case() -> None:
        from_app("tool", "any.test", "/tool/x")
        from_app("blog", "blog.test", "/tool")
        refused("any.test", "/toolbox")
    in_both_states(case, "blog", "tool")


def redirected(host: str, to: str, *fields: str, target: str = "/deep?x=1") -> None:
    reply = refused(host, target, *fields, status=(302,))
    want(reply.get("Location") == to, f"{fields}: sent to {reply.get('Location')!r}")


@scenario("route-cookies")
def cookies() -> None:
    """R4: the cookie leads to the container; without it, or with a wrong one, to the fallback."""
    app("home", {"route": {"host": "lab.test", "path": "/home"}})
    for name in ("minion-1", "minion-2"):
        app(name, {"route": {"host": "lab.test", "cookie": f"instance={name}",
                             "fallback": "/home"}})
    enable()

    def case() -> None:
        for cookie, name in (("instance=minion-1", "minion-1"), ("instance=minion-2", "minion-2"),
                             ("a=b; instance=minion-1; c=d", "minion-1"),
                             ('instance="minion-2"', "minion-2"),
                             ("instance=minion-2; instance=minion-1", "minion-2")):
            from_app(name, "lab.test", "/deep?x=1", f"Cookie: {cookie}")
        from_app("minion-2", "lab.test", "/", "Cookie: a=b", "Cookie: instance=minion-2")
        from_app("home", "lab.test", "/home", "Cookie: instance=minion-1")
        for cookie in ("instance=minion-3", "instance=", "xinstance=minion-1", "Instance=minion-1",
                       "instance=minion-1x", "a=instance=minion-1"):
            redirected("lab.test", "/home", f"Cookie: {cookie}")
        redirected("lab.test", "/home")
    in_both_states(case, "home", "minion-1", "minion-2")


@scenario("route-template-cookie")
def template_cookie() -> None:
    """R4, R5: a file for each value of the cookie; a value that nobody has goes to the fallback."""
    docker.create("minion-a", labels={LABEL: "minion"})
    docker.create("minion-b", labels={LABEL: "minion"})
    docker.create("minion-x")  # without the label: not the template's
    write_app("minion@", app={**STAYS, "container": "minion-%i"},
              route={"host": "lab.test", "cookie": "session=%i",
                     "fallback": "https://login.test/?from=lab"})
    enable()

    def case() -> None:
        from_app("minion-a", "lab.test", "/", "Cookie: session=a")
        from_app("minion-b", "lab.test", "/", "Cookie: session=b")
        for value in ("nobody", "x", "../a", "a/b", "", "-a", "a" * 64, "%61", "a\tb"):
            redirected("lab.test", "https://login.test/?from=lab", f"Cookie: session={value}")
        redirected("lab.test", "https://login.test/?from=lab")
    with Events("minion-x") as events:
        case()
        case()
        want(events.count("start") == 0, "the stranger was started")


HOSTILE = ("..%2f..%2fetc", "%2e%2e", "..", ".", "a%00b", "a%2fb", "a%20b", "-a", "_a", "a.b", "a;b",
           "a%0d%0ab", "", "%ff", "a:b", "A" * 64, "a$b", "{a}", "a%252fb")


@scenario("route-template-path")
def template_path() -> None:
    """R5: /session/NAME serves the container of that name that bears the label, and no other."""
    docker.create("box-one", labels={LABEL: "session"})
    docker.create("box-2", labels={LABEL: "session"})
    docker.create("box-bare")
    docker.create("box-other", labels={LABEL: "other"})
    write_app("session@", app={**STAYS, "container": "box-%i"},
              route={"path": "/session/%i", "strip_path": "yes"})
    enable()

    def case() -> None:
        for name in ("one", "2"):
            reply = from_app(f"box-{name}", "any.test", f"/session/{name}/headers")
            want(reply.text.startswith("GET /headers HTTP/1.1"), f"seen as {reply.text}")
            want(f"X-Forwarded-Prefix: /session/{name}" in reply.text, f"seen as {reply.text}")
    case()
    case()
    with untouched():
        for name in ("bare", "other", "nobody"):
            refused("any.test", f"/session/{name}/", status=(403, 404, 502, 503))
    with untouched(), docker_frozen():
        for name in HOSTILE:
            refused("any.test", f"/session/{name}/x", status=(400, 404))
        refused("any.test", "/session", status=(404,))
    for name in ("box-bare", "box-other"):
        want(docker.status(name) == "created", f"{name} is {docker.status(name)}")


@scenario("route-template-host")
def template_host() -> None:
    """R5: NAME.pages.test; each instance sleeps and wakes by itself."""
    for name in ("one", "two"):
        docker.create(f"page-{name}", labels={LABEL: "page"})
    docker.create("page-bare")
    write_app("page@", app={"container": "page-%i"}, route={"host": "%i.pages.test"})
    enable()
    with Events("page-one") as one, Events("page-two") as two, Events("page-bare") as bare:
        from_app("page-one", "one.pages.test")
        want(not two.seen(), "the other one was woken too")
        one.wait("die")
        from_app("page-two", "two.pages.test")
        from_app("page-one", "ONE.pages.test.")
        from_app("page-one", "one.pages.test")
        two.wait("die")
        one.wait("die")
        refused("bare.pages.test", status=(403, 404, 502, 503))
        want(not bare.seen(), f"the one without a label: {bare.seen()}")
    with untouched(), docker_frozen():
        for host in ("a.one.pages.test", "pages.test", "-x.pages.test"):
            refused(host)


MEMBERS = ["anna", "ben", "carl"]


def group(balance: str, **third: object) -> None:
    write_config({"front": {"workers": 1, "exit_idle": "1h"}})
    for name in MEMBERS[:2]:
        docker.create(name)
    docker.create(MEMBERS[2], **third)
    write_app("trio", app={**STAYS, "containers": ", ".join(MEMBERS), "balance": balance,
                           "start_timeout": "10s"})
    enable()


@scenario("group-round-robin")
def round_robin() -> None:
    """R6: each member in turn, and each is woken by its own first request."""
    group("round_robin")
    with Events() as events:
        served = [ask("/", "trio.test").server for _ in range(9)]
        want(sorted(served) == sorted(MEMBERS * 3), f"served by {served}")
        want(served[:3] == served[3:6] == served[6:], f"out of turn: {served}")
        want(events.count("start") == 3, f"events: {events.seen()}")
    with Wire() as wire:  # requests of one connection are dealt out too
        served = [wire.ask("/", "trio.test").server for _ in range(6)]
        want(sorted(served) == sorted(MEMBERS * 2), f"served by {served} on one connection")


@scenario("group-least-connections")
def least_connections() -> None:
    """R6: who has the fewest is next."""
    group("least_connections")
    busy = []
    try:
        for _ in range(2):
            wire = Wire()
            busy.append(wire)
            wire.send(request("/events?n=1&ms=0", "trio.test"))
            wire.server = wire.head().server
        want(busy[0].server != busy[1].server, f"both are held by {busy[0].server}")
        free = (set(MEMBERS) - {wire.server for wire in busy}).pop()
        served = [ask("/", "trio.test").server for _ in range(4)]
        want(served == [free] * 4, f"busy are {[wire.server for wire in busy]}, served by {served}")
    finally:
        for wire in busy:
            wire.leave()


@scenario("group-member-fails")
def member_fails() -> None:
    """R6: a member that does not start takes nobody's answer away, cold or warm."""
    group("round_robin", NEVER=1, EXIT_AFTER=20, EXIT_STATUS=1)
    for turn in ("cold", "warm"):
        served = [ask("/", "trio.test") for _ in range(9)]
        want(all(reply.status == 200 for reply in served),
             f"{turn}: {[(reply.status, reply.text) for reply in served if reply.status != 200]}")
        want({reply.server for reply in served} == set(MEMBERS[:2]),
             f"{turn}: served by {[reply.server for reply in served]}")


# --- TLS -----------------------------------------------------------------------------------------

NAMES = ("one.tls.test", "two.tls.test")


def tls_apps(entry: str) -> None:
    tls.import_image(*NAMES)
    for name in NAMES:
        app_name = name.partition(".")[0]
        docker.create(app_name, tls.IMAGE, command=tls.server(name))
        # As PID 1 it hears no signal, so there is nothing to wait for when it is stopped.
        write_app(app_name, app={**STAYS, "port": tls.PORT, "stop_timeout": 0},
                  route={"sni": name})
    app("blog")
    listen_also(entry, TLS_PORT)
    enable(entry)


def want_alert(data: bytes, port: int) -> None:
    with Wire(port) as wire:
        wire.send(data)
        answer = wire.stream.read()
    want(len(answer) == 7 and answer[0] == tls.ALERT and answer[5:] == tls.UNRECOGNIZED_NAME,
         f"answered with {answer!r}")


@scenario("tls-by-name-each", EACH)
@scenario("tls-by-name", FRONT)
def tls_by_name(entry: str) -> None:
    """R7: each client is handed to the server whose certificate has its name, undisturbed."""
    tls_apps(entry)

    def case() -> None:
        for name in NAMES:
            want_served(name)
        want_hello("blog.test", "blog", port=TLS_PORT)
    in_both_states(case, "one", "two")


def want_served(name: str, **how: int) -> None:
    answer = tls.get(name, TLS_PORT, **how)
    want(answer.endswith(b"hello over TLS\n"), f"{name} {how}: {answer!r}")


@scenario("tls-hello-in-pieces")
def tls_pieces() -> None:
    """R7: a hello in packets of one byte, over many records, and both."""
    tls_apps(FRONT)
    for how in ({"pieces": 1}, {"records": 30}, {"records": 1, "pieces": 7}):
        sleep("one")
        want_served(NAMES[0], **how)
        want_served(NAMES[0], **how)


@scenario("tls-unknown-name")
def tls_unknown() -> None:
    """R7: an unknown name, and none at all, get the alert and wake nobody."""
    tls_apps(FRONT)

    def case() -> None:
        with untouched(), docker_frozen():
            for name in ("three.tls.test", "tls.test", "one.tls.test.evil", None):
                hello = tls.Hello(name, NAMES[0])
                want_alert(hello.data, TLS_PORT)
                want_alert(hello.in_records(20), TLS_PORT)
            with Wire(TLS_PORT) as wire:  # no TLS at all behind a first byte that says so
                wire.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 no hello\r\n\r\n" * 40)
                answer = wire.stream.read() if not reset(wire) else b""
                want(not answer.startswith(b"HTTP"), f"answered with {answer!r}")
    case()
    tls.get(NAMES[0], TLS_PORT)
    case()


def reset(wire: Wire) -> bool:
    """Whether the connection has been reset; waits until something is known of it."""
    try:
        wire.sock.recv(1, socket.MSG_PEEK)
        return False
    except ConnectionResetError:
        return True


@scenario("tcp-by-port")
def tcp_by_port() -> None:
    """R7: a port leads to one app, whatever is said on it; two ports to two apps."""
    ports = {"left": 7001, "right": 7002}
    said = request("/", "left.test")
    for name, port in ports.items():
        app(name, {"app": {"port": 9000}, "route": {"port": port}}, TCP_PORT=9000,
            TCP_GREETING=f"this is {name}\n")
        listen_also(FRONT, port)
    enable()

    def case() -> None:
        for name, port in ports.items():
            with Wire(port) as wire:
                wire.send(said)
                wire.end()
                answer = wire.stream.read()
            want(answer == f"this is {name}\n".encode() + said, f"port {port} answered {answer!r}")
    in_both_states(case, *ports)


# --- several apps on one connection --------------------------------------------------------------

@scenario("two-hosts-one-connection", "wiki")
@scenario("two-hosts-one-connection-all-asleep", "")
def two_hosts(asleep: str) -> None:
    """100 requests in one go, for two hosts in turn: each answer from the right app, in order."""
    for name in ("blog", "wiki"):
        app(name, START_DELAY=300 if name == "wiki" else 0)
    enable()
    if asleep:
        want_hello("blog.test", "blog")
    hosts = ["blog", "wiki"] * 50
    for turn in range(2):
        with Wire() as wire, Events("wiki") as events:
            wire.send(b"".join(request(f"/headers?{number}", f"{name}.test")
                               for number, name in enumerate(hosts)))
            for number, name in enumerate(hosts):
                reply = wire.reply()
                want(reply.status == 200 and reply.server == name
                     and reply.text.startswith(f"GET /headers?{number} HTTP/1.1"),
                     f"answer {number}: {reply.status} from {reply.server}, not from {name}")
            want(events.count("start") == 1 - turn, f"events of wiki: {events.seen()}")
            want(wire.quiet(0.05), "more came behind the last answer")


@scenario("route-lookup-many-apps")
def many_apps() -> None:
    """R1: 10,000 hosts in the table, and the last one answers as the first."""
    number = 10000
    for name in ("first", "last"):
        app(name)
    hosts = [f"host-{i}.many.test" for i in range(number)]
    for at in range(0, number, 50):
        write_app(f"many-{at}", app={"container": "first"},
                  route={"host": " ".join(hosts[at:at + 50])})
    enable()
    from_app("last", "last.test")
    from_app("first", hosts[0])
    times = {}
    for host in (hosts[0], hosts[number // 2], hosts[-1]):
        with Wire() as wire:
            wire.ask("/", host)
            begin = time.monotonic()
            for _ in range(200):
                want(wire.ask("/", host).server == "first", f"{host}: not the first")
            times[host] = (time.monotonic() - begin) / 200 * 1e6
    say(", ".join(f"{host} {value:.0f} us" for host, value in times.items()))
