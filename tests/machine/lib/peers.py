"""Other people's programs around dockwake: proxies in front of it, and clients.

A proxy is a context; it keeps its connections to dockwake, and retries nothing that dockwake has
taken. A client asks several apps, and gives the number of answers, each of which it has found to be
from the right app and to the request that was asked.

The apps are sample apps: Server has their name, /headers gives back the request's line.
"""

import concurrent.futures
import http.client
import json
import os
import subprocess
import tempfile

from .system import Wrong, eventually, run, want

HOST = "127.0.0.1"
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SCRIPTS = os.path.join(HERE, "peers")

PORTS = {"direct": 80, "nginx": 8081, "haproxy": 8082, "caddy": 8083}

NGINX = """
daemon off; worker_processes 2; pid {folder}/nginx.pid; error_log stderr error; user root;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    upstream dockwake {{ server 127.0.0.1:80; keepalive 16; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://dockwake;
            proxy_http_version 1.1;
            proxy_next_upstream off;
            proxy_pass_header Server;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
}}
"""

HAPROXY = """
global
    nbthread 2
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend web
    bind 127.0.0.1:{port}
    {forwarded}
    default_backend dockwake
backend dockwake
    http-reuse always
    server dockwake 127.0.0.1:80 {extra}
"""

# Caddy adds the forwarded fields by itself.
CADDY = """
{{
    admin off
    auto_https off
}}
http://:{port} {{
    bind 127.0.0.1
    reverse_proxy 127.0.0.1:80
}}
"""


def _command(kind: str, path: str) -> list[str]:
    return {
        "nginx": ["nginx", "-c", path],
        "haproxy": ["haproxy", "-db", "-q", "-f", path],
        "caddy": ["caddy", "run", "--adapter", "caddyfile", "--config", path],
    }[kind]


class Proxy:
    """nginx, haproxy or caddy on PORTS[kind], with dockwake on port 80 behind it.

    proxy_header: HAProxy's option that sends one, in place of forwarded fields.
    """

    def __init__(self, kind: str, proxy_header: str = "") -> None:
        self.kind = kind
        self.port = PORTS[kind]
        self._folder = tempfile.TemporaryDirectory()
        template = {"nginx": NGINX, "haproxy": HAPROXY, "caddy": CADDY}[kind]
        self._config = os.path.join(self._folder.name, "config")
        with open(self._config, "w") as file:
            file.write(template.format(
                folder=self._folder.name, port=self.port, extra=proxy_header,
                forwarded="" if proxy_header else "option forwardfor"))

    def __enter__(self) -> "Proxy":
        self._log = open(os.path.join(self._folder.name, "log"), "w+")
        self._process = subprocess.Popen(
            _command(self.kind, self._config), stdin=subprocess.DEVNULL, stdout=self._log,
            stderr=self._log, env=dict(os.environ, HOME=self._folder.name))
        try:
            eventually(self._listens, 20, f"{self.kind} does not listen")
        except Wrong as wrong:
            self.__exit__()
            raise wrong
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        self._folder.cleanup()

    def _listens(self) -> bool:
        if self._process.poll() is not None:
            self._log.seek(0)
            raise Wrong(f"{self.kind} has ended: {self._log.read()[-1000:]}")
        return run("ss", "-Hltn", f"sport = :{self.port}").stdout.strip() != ""

    def kept(self) -> int:
        """Connections to dockwake that it keeps while nobody asks for anything."""
        lines = run("ss", "-Htn", "state", "established", "dport = :80").stdout
        return len(lines.splitlines())


def names_of(apps: list[str]) -> None:
    """Lets the apps' host names lead to this machine, for clients that insist on a name."""
    with open("/etc/hosts", "w") as file:
        file.write("127.0.0.1 localhost\n")
        file.write("".join(f"127.0.0.1 {app}.test\n" for app in apps))


# --- clients -------------------------------------------------------------------------------------

def _check(app: str, number: str, status: int, server: str, text: str) -> None:
    """server: all that came as Server; proxies like to add their own name."""
    line = f"GET /headers?id={number} HTTP/1.1"
    want(status == 200 and app in server.replace(",", " ").split() and text.startswith(line + "\n"),
         f"{app}, request {number}: {status}, from {server!r}: {text[:200]!r}")


def by_http_client(port: int, apps: list[str], count: int, threads: int = 4) -> int:
    """Python's http.client: one kept connection for each thread, the apps in turn on it."""
    def one(thread: int) -> int:
        connection = http.client.HTTPConnection(HOST, port, timeout=60)
        for number in range(count):
            app = apps[(thread + number) % len(apps)]
            own = f"client-{thread}-{number}"
            connection.request("GET", f"/headers?id={own}", headers={"Host": f"{app}.test"})
            answer = connection.getresponse()
            server = ",".join(answer.headers.get_all("Server", []))
            _check(app, own, answer.status, server, answer.read().decode())
        connection.close()
        return count

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(one, range(threads)))


def by_curl(port: int, apps: list[str], count: int) -> int:
    """One curl for all: it keeps a connection for each name."""
    asked = [(apps[number % len(apps)], f"curl-{number}") for number in range(count)]
    mark = "%{http_code} end of one\\n"
    with tempfile.NamedTemporaryFile("w", suffix=".curlrc") as file:
        file.write("".join(f'url = "http://{app}.test:{port}/headers?id={own}"\n'
                           for app, own in asked))
        file.flush()
        done = run("curl", "--silent", "--show-error", "--include", "--max-time", "60",
                   "--write-out", mark, "--config", file.name)
    answers = done.stdout.split(" end of one\n")[:-1]
    want(len(answers) == count, f"{len(answers)} answers to {count} requests: {done.stderr[:500]}")
    for (app, own), answer in zip(asked, answers):
        head, _, text = answer.replace("\r", "").partition("\n\n")
        servers = [line.partition(":")[2] for line in head.split("\n")
                   if line.lower().startswith("server:")]
        _check(app, own, int(answer[-3:]), ",".join(servers), text)
    return count


def by_fetch(port: int, apps: list[str], count: int) -> int:
    """node's fetch, 16 at a time."""
    urls = [f"http://{app}.test:{port}/headers?id=ID" for app in apps]
    done = run("node", "--no-warnings", f"{SCRIPTS}/fetch.mjs", str(count // len(apps)), *urls)
    seen = set()
    for line in done.stdout.splitlines():
        told = json.loads(line)
        app = told["url"].removeprefix("http://").partition(".")[0]
        _check(app, told["url"].partition("id=")[2], told["status"], told["server"] or "",
               told["text"])
        seen.add(told["url"])
    want(len(seen) == count // len(apps) * len(apps), f"fetch: {len(seen)} of {count} answers")
    return len(seen)


def by_wrk(port: int, apps: list[str], seconds: int, connections: int = 32) -> int:
    """wrk: as many requests as go in that time."""
    done = run("env", f"APPS={' '.join(apps)}", "wrk", "-t2", f"-c{connections}", f"-d{seconds}s",
               "--timeout", "30s", "-s", f"{SCRIPTS}/two_apps.lua", f"http://{HOST}:{port}/")
    marks = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    want(marks, f"wrk: {done.stdout[-500:]}")
    _, right, wrong, lost, example = marks[0].split(" ", 4)
    want(int(wrong) == 0 and int(lost) == 0 and int(right) > 0,
         f"wrk: {right} right, {wrong} wrong, {lost} lost: {example}")
    return int(right)
