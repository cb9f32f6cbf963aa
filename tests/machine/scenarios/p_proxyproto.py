"""Row P3: who is behind the connection: forwarded fields and the PROXY protocol, in and out."""

import socket
import struct

from lib import docker
from lib.apps import STAYS, app, in_both_states
from lib.scenario import scenario
from lib.setup import EACH, FRONT, enable, listen_also, write_app, write_config
from lib.system import run, want
from lib.wire import Reply, Wire, request

BLOG = "blog.test"
PROXY, STRANGER = "127.0.0.4", "127.0.0.5"
TCP_PORT = 7007

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
FIELDS = ("forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")


def seen(reply: Reply) -> dict[str, str]:
    """The fields that the app got; one that comes more than once joined by commas."""
    want(reply.status == 200 and reply.server == "blog", f"{reply.status}: {reply.text[:200]}")
    fields: dict[str, str] = {}
    for line in reply.text.splitlines()[1:]:
        name, _, value = line.partition(": ")
        name = name.lower()
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def via(source: str, *fields: str, host: str = BLOG, ahead: bytes = b"") -> dict[str, str]:
    with Wire(source=source) as wire:
        if ahead:
            wire.send(ahead)
        return seen(wire.ask("/headers", host, *fields))


LIES = ("X-Forwarded-For: 10.1.1.1", "X-Forwarded-For: 10.2.2.2", "x-forwarded-PROTO: https",
        "X-Forwarded-Host: evil.test", 'Forwarded: for=10.3.3.3;proto=https;host="evil.test"',
        "X-Forwarded-Port: 443", "X-Real-IP: 10.4.4.4", "X_Forwarded_For: 10.5.5.5",
        "X-Forwarded-Prefix: /evil", "X_Forwarded_Host: evil.test")


@scenario("forwarded-of-strangers-each", EACH)
@scenario("forwarded-of-strangers", FRONT)
def strangers(entry: str) -> None:
    """What a stranger says of others is dropped; what is known of it is told."""
    app("blog")
    enable(entry)

    def case() -> None:
        for fields in ((), LIES):
            told = via(STRANGER, *fields)
            want(told["x-forwarded-for"] == STRANGER, f"{told}")
            want(told["x-forwarded-proto"] == "http", f"{told}")
            want(told["x-forwarded-host"] == BLOG, f"{told}")
            forwarded = told["forwarded"].lower().replace('"', "")
            want(f"for={STRANGER}" in forwarded and "proto=http" in forwarded
                 and f"host={BLOG}" in forwarded, f"{told}")
            text = " ".join(f"{name}: {value}" for name, value in told.items())
            want("10." not in text and "evil" not in text and "https" not in text,
                 f"a lie passes: {text}")
    in_both_states(case, "blog")


@scenario("forwarded-of-trusted-proxies")
def trusted() -> None:
    """What a trusted proxy says is kept and added to; one that is not in the list is a stranger."""
    write_config({"front": {"trusted_proxies": f"{PROXY}/32 ::1"}})
    app("blog")
    enable()

    def case() -> None:
        told = via(PROXY, "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https",
                   "X-Forwarded-Host: shop.test", "Forwarded: for=192.0.2.1;proto=https")
        want(told["x-forwarded-for"].replace(" ", "") == f"192.0.2.1,{PROXY}", f"{told}")
        want(told["x-forwarded-proto"] == "https", f"{told}")
        want(told["x-forwarded-host"] == "shop.test", f"{told}")
        want(told["forwarded"].startswith("for=192.0.2.1;proto=https,"), f"{told}")
        want(f"for={PROXY}" in told["forwarded"].replace('"', ""), f"{told}")
        told = via(PROXY)
        want((told["x-forwarded-for"], told["x-forwarded-proto"]) == (PROXY, "http"), f"{told}")
        told = via(STRANGER, *LIES)
        want(told["x-forwarded-for"] == STRANGER and told["x-forwarded-proto"] == "http", f"{told}")
    in_both_states(case, "blog")


# --- the PROXY protocol, in ----------------------------------------------------------------------

def v1(client: str, server: str = "198.51.100.9", family: str = "TCP4") -> bytes:
    return f"PROXY {family} {client} {server} 5555 443\r\n".encode()


def v2(client: str, server: str = "198.51.100.9", more: bytes = b"") -> bytes:
    family = socket.AF_INET6 if ":" in client else socket.AF_INET
    body = (socket.inet_pton(family, client) + socket.inet_pton(family, server)
            + struct.pack(">HH", 5555, 443) + more)
    kind = 0x21 if family == socket.AF_INET6 else 0x11
    return SIGNATURE + struct.pack(">BBH", 0x21, kind, len(body)) + body


V2_LOCAL = SIGNATURE + struct.pack(">BBH", 0x20, 0, 0)
TLV = b"\x04\x00\x05hello"


def proxied(entry: str = FRONT, **front: object) -> None:
    write_config({"front": {"trusted_proxies": PROXY, "proxy_protocol": "yes", **front}})
    app("blog")
    enable(entry)


@scenario("proxy-in-each", EACH)
@scenario("proxy-in", FRONT)
def proxy_in(entry: str) -> None:
    """Both versions, both families, LOCAL and UNKNOWN, with TLVs, at once and byte by byte."""
    proxied(entry)

    def case() -> None:
        for header, client in ((v1("192.0.2.1"), "192.0.2.1"),
                               (v1("2001:db8::1", "2001:db8::2", "TCP6"), "2001:db8::1"),
                               (b"PROXY UNKNOWN\r\n", PROXY),
                               (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", PROXY),
                               (v2("192.0.2.1"), "192.0.2.1"),
                               (v2("192.0.2.1", more=TLV), "192.0.2.1"),
                               (v2("2001:db8::1", "2001:db8::2"), "2001:db8::1"),
                               (V2_LOCAL, PROXY)):
            told = via(PROXY, *LIES, ahead=header)
            want(told["x-forwarded-for"].split(", ")[-1] == client, f"{header!r}: {told}")
        for header in (v1("192.0.2.1"), v2("192.0.2.1")):
            with Wire(source=PROXY) as wire:
                for byte in header + request("/headers", BLOG):
                    wire.send(bytes([byte]))
                want(seen(wire.reply())["x-forwarded-for"] == "192.0.2.1", "byte by byte")
            if entry == FRONT:
                with Wire(source=PROXY) as wire:  # it is the connection's, not the request's
                    wire.send(header)
                    for _ in range(3):
                        told = seen(wire.ask("/headers", BLOG))
                        want(told["x-forwarded-for"] == "192.0.2.1", f"{told}")
    in_both_states(case, "blog")


@scenario("proxy-in-from-strangers")
def proxy_from_strangers() -> None:
    """A stranger's header is no header but nonsense, and wakes nobody; its request is served."""
    proxied()

    def refused(source: str, data: bytes) -> None:
        with Wire(source=source) as wire:
            wire.send(data)
            try:
                answer = wire.stream.read()
            except ConnectionResetError:
                answer = b""
        want(not answer or answer.startswith(b"HTTP/1.1 400 "), f"{data[:40]!r}: {answer[:100]!r}")

    def case() -> None:
        ask = request("/headers", BLOG)
        for header in (v1("192.0.2.1"), v2("192.0.2.1")):
            refused(STRANGER, header + ask)
        # From the proxy itself it must come, and be right.
        for data in (ask, b"PROXY TCP4 192.0.2.1\r\n" + ask,
                     b"PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n" + ask,
                     b"PROXY TCP4 1.2.3.4 1.2.3.4 99999 2\r\n" + ask, b"PROXY " + b"x" * 200 + ask,
                     SIGNATURE + struct.pack(">BBH", 0x31, 0x11, 12) + bytes(12) + ask,
                     SIGNATURE + struct.pack(">BBH", 0x21, 0x11, 4) + bytes(4) + ask,
                     SIGNATURE + struct.pack(">BBH", 0x21, 0x11, 65535) + bytes(65535) + ask):
            refused(PROXY, data)
        want(via(STRANGER)["x-forwarded-for"] == STRANGER, "a stranger is not served")
    in_both_states(case, "blog")


@scenario("proxy-in-off")
def proxy_off() -> None:
    """Not asked for: a header is nonsense from anybody. And asked for without proxies: an error."""
    write_config({"front": {"trusted_proxies": PROXY}})
    app("blog")
    enable()
    with Wire(source=PROXY) as wire:
        wire.send(v1("192.0.2.1") + request("/", BLOG))
        want(wire.reply().status == 400, "taken although not asked for")
    write_config({"front": {"proxy_protocol": "yes"}})
    done = run("dockwake", "check", check=False)
    want(done.returncode != 0 and "proxy" in done.stdout + done.stderr,
         f"no error: {done.stdout}{done.stderr}")


@scenario("proxy-in-names-who-may-wake")
def proxy_and_policy() -> None:
    """The wake policy is about the client, not about the proxy."""
    write_config({"front": {"trusted_proxies": PROXY, "proxy_protocol": "yes"}})
    app("blog", {"wake": {"allow_from": "192.0.2.0/24"}})
    enable()
    with Wire(source=PROXY) as wire:
        wire.send(v1("198.51.100.1") + request("/", BLOG))
        reply = wire.reply()
        want(reply.get("Dockwake-State") == "asleep", f"{reply}")
    want(docker.status("blog") == "created", "woken by one who may not")
    want(via(PROXY, ahead=v2("192.0.2.3"))["x-forwarded-for"] == "192.0.2.3", "not served")


# --- the PROXY protocol, out ---------------------------------------------------------------------

@scenario("proxy-out-each", EACH)
@scenario("proxy-out", FRONT)
def proxy_out(entry: str) -> None:
    """The app is told of the client in the version that it asks for; each client by its own word."""
    for version in ("v1", "v2"):
        docker.create(version)
        write_app(version, app=STAYS, handoff={"proxy_protocol": version})
        docker.create(f"{version}-tcp", TCP_PORT=9000)
        port = TCP_PORT + int(version[1])
        write_app(f"{version}-tcp", app={**STAYS, "port": 9000}, route={"port": port},
                  handoff={"proxy_protocol": version})
        listen_also(entry, port)
    enable(entry)

    def case() -> None:
        for version in ("v1", "v2"):
            for source in ("127.0.0.7", "127.0.0.8", "127.0.0.7"):
                with Wire(source=source) as wire:
                    port = wire.sock.getsockname()[1]
                    # Kept for no other client: the app would take one for the other.
                    for _ in range(1 if entry == EACH else 3):
                        told = wire.ask("/peer", f"{version}.test").text
                        want(told == f"{version} TCP4 {source} 127.0.0.1 {port} 80",
                             f"told {told!r} of {source}:{port}")
            with Wire(TCP_PORT + int(version[1]), "127.0.0.7") as wire:
                port = wire.sock.getsockname()[1]
                wire.send(b"hello")
                wire.end()
                back = wire.stream.read()
            want(back.endswith(b"hello"), f"echoed {back!r}")
            if version == "v1":
                line = f"PROXY TCP4 127.0.0.7 127.0.0.1 {port} {TCP_PORT + 1}\r\n".encode()
                want(back == line + b"hello", f"echoed {back!r}")
            else:
                want(back.startswith(SIGNATURE + b"\x21\x11\x00\x0c"), f"echoed {back!r}")
                want(back[16:20] == socket.inet_aton("127.0.0.7"), f"echoed {back!r}")
    in_both_states(case, "v1", "v2", "v1-tcp", "v2-tcp")


@scenario("proxy-in-and-out")
def in_and_out() -> None:
    """The client that a trusted proxy names is the one that the app is told of."""
    write_config({"front": {"trusted_proxies": PROXY, "proxy_protocol": "yes"}})
    app("blog", {"handoff": {"proxy_protocol": "v2"}})
    enable()

    def case() -> None:
        for header in (v1("192.0.2.77"), v2("192.0.2.77")):
            with Wire(source=PROXY) as wire:
                wire.send(header)
                told = wire.ask("/peer", BLOG).text.split()
            want(told[:3] == ["v2", "TCP4", "192.0.2.77"] and told[4] == "5555", f"told {told}")
    in_both_states(case, "blog")
