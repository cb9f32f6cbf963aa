"""Clients and proxies as people have them, on both sides of dockwake: no wrong app, no lost answer."""

import concurrent.futures
import http.client

from lib import docker
from lib.docker import Events
from lib.peers import (HOST, PORTS, Proxy, by_curl, by_fetch, by_http_client, by_wrk, names_of)
from lib.scenario import say, scenario
from lib.setup import enable, write_app, write_config
from lib.system import run, want

APPS = ["blog", "wiki"]
TRUSTED = "127.0.0.1"
STRANGER = "127.0.0.7"  # a client's address, other than the proxy's


def two_apps(**front: str) -> None:
    """blog is awake, wiki asleep."""
    for app in APPS:
        docker.create(app)
        write_app(app)
    write_config({"front": {"exit_idle": "200ms", **front}, "defaults": {"idle_timeout": "1h"}})
    names_of(APPS)
    enable()
    run("dockwake", "wake", "blog", "--wait")


def ask_from_all_sides(port: int) -> dict[str, int]:
    """All clients at once, so that the proxy's connections to dockwake carry all of them mixed."""
    jobs = {
        "http.client": lambda: by_http_client(port, APPS, 250),
        "curl": lambda: by_curl(port, APPS, 400),
        "fetch": lambda: by_fetch(port, APPS, 1000),
        "wrk": lambda: by_wrk(port, APPS, 2),
    }
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        running = {name: pool.submit(job) for name, job in jobs.items()}
        return {name: job.result() for name, job in running.items()}


def mixed(port: int) -> None:
    with Events("wiki") as events:
        answered = ask_from_all_sides(port)
        want(events.count("start") == 1, f"wiki was not woken once: {events.seen()}")
    say(", ".join(f"{name} {count}" for name, count in answered.items()) + " right answers")


@scenario("peers-direct")
def direct() -> None:
    """The clients themselves, nothing in between."""
    two_apps()
    mixed(PORTS["direct"])


@scenario("peers-behind-caddy", "caddy")
@scenario("peers-behind-haproxy", "haproxy")
@scenario("peers-behind-nginx", "nginx")
def behind(kind: str) -> None:
    """Both apps on the few connections that the proxy keeps to dockwake."""
    two_apps(trusted_proxies=TRUSTED)
    with Proxy(kind) as proxy:
        mixed(proxy.port)
        want(proxy.kept() > 0, f"{kind} keeps no connection to dockwake")
        want(client_seen(proxy.port) == [STRANGER, TRUSTED], "the client's address was lost")


def client_seen(port: int, claims: str = "") -> list[str]:
    """X-Forwarded-For as the app saw it, of a client at STRANGER."""
    connection = http.client.HTTPConnection(HOST, port, 20, source_address=(STRANGER, 0))
    headers = {"Host": "blog.test"}
    if claims:
        headers["X-Forwarded-For"] = claims
    connection.request("GET", "/headers", headers=headers)
    text = connection.getresponse().read().decode()
    connection.close()
    fields = [line.partition(":")[2].replace(" ", "") for line in text.splitlines()
              if line.lower().startswith("x-forwarded-for:")]
    return ",".join(fields).split(",")


@scenario("peers-untrusted-proxy")
def untrusted() -> None:
    """A proxy that is not named as trusted is a stranger: what it says of others is dropped."""
    two_apps()
    with Proxy("haproxy") as proxy:
        want(client_seen(proxy.port) == [TRUSTED], f"seen: {client_seen(proxy.port)}")
    want(client_seen(PORTS["direct"], claims="10.1.1.1") == [STRANGER], "a stranger was believed")


@scenario("peers-proxy-protocol-v2", "send-proxy-v2")
@scenario("peers-proxy-protocol-v1", "send-proxy")
def proxy_protocol(option: str) -> None:
    """HAProxy's own PROXY headers, which alone say who the client is."""
    two_apps(trusted_proxies=TRUSTED, proxy_protocol="yes")
    with Proxy("haproxy", option) as proxy:
        want(client_seen(proxy.port) == [STRANGER], f"seen: {client_seen(proxy.port)}")
        by_http_client(proxy.port, APPS, 100)
    want(client_seen(PORTS["direct"], claims="10.1.1.1") == [STRANGER], "a stranger was believed")
