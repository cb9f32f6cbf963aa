"""Who is measured: the backend itself, dockwake-front, and the programs it is compared with.

All run on loopback from one temporary folder, with as many threads (HAProxy, dockwake) or processes
(nginx) as asked for, logs off, forwarded fields added, and connections to the backend kept: what
somebody who cares for speed would set. systemd-socket-proxyd has neither threads nor a choice.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
# The engine's side of src/base/proto.h in Python is written once, for the front's tests.
sys.path.insert(0, os.path.join(ROOT, "tests/unit/front"))
from fakes import FakeEngine  # noqa: E402  (it is found through the line above)

ADDRESS = "127.0.0.1"
HOST = "h0.test"
BACKLOG = 4096
PORTS = range(20000, 32000)
START_SECONDS = 20
STOP_SECONDS = 10

BULK_BYTES = 16 << 20

BACKEND = """
daemon off; worker_processes 1; pid {folder}/backend.pid; error_log stderr crit; {user}
events {{ worker_connections 8192; }}
http {{
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
    client_max_body_size 0; client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen {address}:{port} backlog={backlog};
        default_type text/plain;
        location / {{ return 200 "hello\\n"; }}
        location /bulk {{ root {folder}/files; }}
        location /upload/ {{ root {folder}/files; dav_methods PUT; }}
    }}
}}
"""

# proxy_request_buffering: as the others, it passes an upload on while it comes.
NGINX = """
daemon off; worker_processes {threads}; pid {folder}/nginx.pid; error_log stderr crit; {user}
events {{ worker_connections 8192; }}
http {{
    access_log off; keepalive_requests 1000000000; client_max_body_size 0;
    client_body_temp_path {folder}/nginx-body; proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi; uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    upstream app {{
        server {address}:{backend}; keepalive 64; keepalive_requests 1000000000;
    }}
    server {{
        listen {address}:{port} backlog={backlog};
        server_name {host};
        location / {{
            proxy_pass http://app; proxy_http_version 1.1;
            proxy_set_header Connection ""; proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_request_buffering off; proxy_max_temp_file_size 0;
        }}
    }}
}}
"""

# http-reuse always: its default opens a connection for each client's first request.
HAPROXY = """
global
    nbthread {threads}
    maxconn 2048
defaults
    timeout connect 10s
    timeout client 60s
    timeout server 60s
frontend http
    mode http
    bind {address}:{port} backlog {backlog}
    option forwardfor
    http-request set-header X-Forwarded-Proto http
    use_backend app if {{ hdr(host) -i {host} }}
backend app
    mode http
    http-reuse always
    server app {address}:{backend}
frontend tcp
    mode tcp
    bind {address}:{tcp_port} backlog {backlog}
    default_backend tcp_app
backend tcp_app
    mode tcp
    server app {address}:{backend}
"""


class BenchError(Exception):
    pass


def find(program: str) -> str:
    """Where a program is; also where only the administrator's PATH would have it."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/lib/systemd:/lib/systemd"
    found = shutil.which(program, path=path)
    if found is None:
        raise BenchError(f"there is no {program}; packaging/deps bench installs it")
    return found


def free_port() -> int:
    """Below those that the kernel gives to connections, of which the load makes many."""
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as sock:
            try:
                sock.bind((ADDRESS, port))
                return port
            except OSError:
                continue
    raise BenchError("no port is free")


def listener() -> socket.socket:
    """As systemd makes them for dockwake.socket."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((ADDRESS, 0))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.listen(BACKLOG)
    return sock


def port_of(sock: socket.socket) -> int:
    return sock.getsockname()[1]


# --- processes -----------------------------------------------------------------------------------

class Process:
    """A program with all that it forks, until close(). When the bench dies it is told to end too."""

    def __init__(self, folder: str, name: str, command: list[str],
                 sockets: list[socket.socket] = ()) -> None:
        self.name = name
        self.log = os.path.join(folder, f"{name}.log")
        fds = [sock.fileno() for sock in sockets]

        def pass_sockets() -> None:
            """sd_listen_fds(3): from 3 on, not close-on-exec."""
            high = [os.dup2(fd, 1000 + number) for number, fd in enumerate(fds)]
            for number, fd in enumerate(high):
                os.dup2(fd, 3 + number)
                os.set_inheritable(3 + number, True)
            os.closerange(3 + len(fds), 1000 + len(fds))

        words = ["setpriv", "--pdeathsig", "TERM", *command]
        if fds:
            # exec keeps the number that the shell knows as its own.
            words = ["sh", "-c", f'LISTEN_PID=$$ LISTEN_FDS={len(fds)} exec "$@"', "sh", *words]
        with open(self.log, "w") as log:
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder,
                close_fds=not fds, preexec_fn=pass_sockets if fds else None)

    def wait_listens(self, port: int) -> None:
        """Nothing tells of it, so it is tried."""
        until = time.monotonic() + START_SECONDS
        while True:
            with socket.socket() as sock:
                if sock.connect_ex((ADDRESS, port)) == 0:
                    return
            if self._process.poll() is not None or time.monotonic() > until:
                with open(self.log) as log:
                    raise BenchError(f"{self.name} does not listen: {log.read()[-2000:]}")
            time.sleep(0.005)

    def pids(self) -> list[int]:
        pid = self._process.pid
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [pid, *(int(word) for word in file.read().split())]

    def cpu_seconds(self) -> float:
        """User and system time of all its processes, as proc(5) tells it in stat."""
        ticks = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """The proportional set size of all its processes in bytes."""
        total = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/smaps_rollup") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        return total * 1024

    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        if self.alive():
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


# --- targets -------------------------------------------------------------------------------------

class Target:
    """Something that requests are sent to. Ports that it has not are 0."""

    def __init__(self, name: str, process: Process | None, http: int = 0, tcp: int = 0) -> None:
        self.name = name
        self.process = process
        self.http = http
        self.tcp = tcp

    def port(self, kind: str) -> int:
        return self.http if kind == "http" else self.tcp


class Targets:
    """Everything that runs during the bench, as a context."""

    def __init__(self, folder: str, threads: int, front: str) -> None:
        self.folder = folder
        self.threads = threads
        self.front = front
        self._open: list = []  # closed in the reverse order

    def __enter__(self) -> "Targets":
        return self

    def __exit__(self, *_: object) -> None:
        for one in reversed(self._open):
            one.close()
        self._open.clear()

    def _keep(self, one):
        self._open.append(one)
        return one

    def _start(self, name: str, command: list[str], sockets: list = ()) -> Process:
        return self._keep(Process(self.folder, name, command, sockets))

    def _write(self, name: str, template: str, **values: object) -> str:
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(template.format(
                folder=self.folder, address=ADDRESS, backlog=BACKLOG, host=HOST,
                threads=self.threads, user="user root;" if os.geteuid() == 0 else "", **values))
        return path

    def backend(self) -> Target:
        """nginx with one worker: a short answer, a file of BULK_BYTES, and a place for uploads."""
        port = free_port()
        for name in ("bulk", "upload"):
            os.makedirs(os.path.join(self.folder, "files", name))
        with open(os.path.join(self.folder, "files/bulk/file"), "wb") as file:
            for _ in range(BULK_BYTES >> 20):
                file.write(os.urandom(1 << 20))
        path = self._write("backend.conf", BACKEND, port=port)
        process = self._start("backend", [find("nginx"), "-c", path])
        process.wait_listens(port)
        return Target("direct", process, port, port)

    def nginx(self, backend: int) -> Target:
        port = free_port()
        path = self._write("nginx.conf", NGINX, port=port, backend=backend)
        process = self._start("nginx", [find("nginx"), "-c", path])
        process.wait_listens(port)
        return Target("nginx", process, http=port)

    def haproxy(self, backend: int) -> Target:
        port, tcp_port = free_port(), free_port()
        path = self._write("haproxy.cfg", HAPROXY, port=port, tcp_port=tcp_port, backend=backend)
        process = self._start("haproxy", [find("haproxy"), "-db", "-q", "-f", path])
        process.wait_listens(port)
        return Target("haproxy", process, port, tcp_port)

    def socket_proxyd(self, backend: int) -> Target:
        sock = self._keep(listener())
        process = self._start("socket-proxyd", [find("systemd-socket-proxyd"),
                                                "--connections-max=4096", f"{ADDRESS}:{backend}"],
                              [sock])
        return Target("socket-proxyd", process, tcp=port_of(sock))

    def dockwake(self, backend: int, apps: int = 1, name: str = "dockwake") -> Target:
        """The front without systemd and Docker: hNUMBER.test for each app, and one TCP port.

        A stand-in for the engine says of each app that it is awake, at the backend's port.
        """
        folder = os.path.join(self.folder, name)
        os.makedirs(os.path.join(folder, "apps.d"))
        engine = self._keep(FakeEngine(os.path.join(folder, "engine")))
        http, tcp = self._keep(listener()), self._keep(listener())
        with open(os.path.join(folder, "dockwake.conf"), "w") as file:
            file.write(f"[front]\nexit_idle = 1h\nworkers = {self.threads}\n")
        for number in range(apps):
            self._app(folder, f"h{number}", f"host = h{number}.test")
            engine.apps[f"h{number}"] = backend
        self._app(folder, "tcp", f"port = {port_of(tcp)}")
        engine.apps["tcp"] = backend
        process = self._start(name, [self.front, "--config-dir", folder, "--engine-socket",
                                     os.path.join(folder, "engine")], [http, tcp])
        return Target(name, process, port_of(http), port_of(tcp))

    @staticmethod
    def _app(folder: str, name: str, route: str) -> None:
        with open(os.path.join(folder, "apps.d", f"{name}.ini"), "w") as file:
            file.write(f"[route]\n{route}\n")
