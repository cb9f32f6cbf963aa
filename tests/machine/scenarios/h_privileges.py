"""Item 9: what the front may not do, and what the engine lets nobody do on the front's socket."""

import array
import errno
import os
import re
import socket
import struct
from contextlib import contextmanager
from typing import Iterator

from lib import docker
from lib.client import want_hello
from lib.docker import Events
from lib.scenario import say, scenario
from lib.setup import enable, write_app, write_config
from lib.system import journal_cursor, journal_since, main_pid, run, systemctl, wait_no_process, want

ENGINE_SOCKET = "/run/dockwake/engine.sock"
ADMIN_SOCKET = "/run/dockwake/admin.sock"
SERVICE = "dockwake-engine.service"

# src/base/proto.h
VERSION = 1
(LEASE, RELEASE, STARTING, READY, FAILED, GONE, LIST, STATUS, WAKE, SLEEP, APP, END, PROGRESS, LOGS,
 LOG, LOGS_END) = range(1, 17)
NAME_MAX = 128
HEADER = struct.Struct("=HHI")
LEASE_BODY = struct.Struct(f"=II{NAME_MAX}s")
REQUEST_BODY = struct.Struct(f"=I{NAME_MAX}s")
LOGS_END_BODY = struct.Struct(f"=II{NAME_MAX}s")

PATIENCE = 10


def packet(opcode: int, body: bytes = b"", version: int = VERSION,
           size: int | None = None) -> bytes:
    whole = HEADER.size + len(body)
    return HEADER.pack(version, opcode, whole if size is None else size) + body


def lease(app: str, serial: int = 1, opcode: int = LEASE) -> bytes:
    return packet(opcode, LEASE_BODY.pack(serial, 0, app.encode()))


def request(opcode: int, app: str) -> bytes:
    return packet(opcode, REQUEST_BODY.pack(0, app.encode()))


@contextmanager
def as_user(name: str) -> Iterator[None]:
    """In the block this process has the user's and its group's rights, and no other's."""
    uid, gid = (int(run("id", option, name).stdout) for option in ("-u", "-g"))
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def front_socket() -> socket.socket:
    """As the front connects: with its user."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.settimeout(PATIENCE)
    with as_user("dockwake"):
        sock.connect(ENGINE_SOCKET)
    return sock


def cut_off(sock: socket.socket) -> bool:
    """Whether the other side ends the connection, whatever it says before."""
    try:
        while sock.recv(65536):
            pass
        return True
    except (ConnectionResetError, BrokenPipeError):
        return True
    except TimeoutError:
        return False


def awake_engine() -> int:
    """The engine stays, since an app is awake. Returns its process."""
    docker.create("blog")
    docker.create("wiki")
    write_app("blog", app={"idle_timeout": "1h"})
    write_app("wiki", app={"idle_timeout": "1h"})
    enable()
    want_hello("blog.test", "blog")
    return main_pid(SERVICE)


@scenario("front-socket-permit-table")
def permit_table() -> None:
    """Whatever is not LEASE, RELEASE or LOGS, exact and whole, ends the connection and nothing else."""
    engine = awake_engine()
    good = lease("blog")
    unended = packet(LEASE, LEASE_BODY.pack(1, 0, b"x" * NAME_MAX))
    bad = {
        "SLEEP": request(SLEEP, "blog"),
        "WAKE": request(WAKE, "wiki"),
        "STATUS": request(STATUS, "blog"),
        "LIST": packet(LIST),
        **{f"an answer, opcode {opcode}": lease("blog", opcode=opcode)
           for opcode in (STARTING, READY, FAILED, GONE, APP, END, PROGRESS, LOG, LOGS_END)},
        "opcode 0": packet(0, good[HEADER.size:]),
        "opcode 17": packet(17, good[HEADER.size:]),
        "opcode 65535": packet(65535, good[HEADER.size:]),
        "version 0": packet(LEASE, good[HEADER.size:], version=0),
        "version 2": packet(LEASE, good[HEADER.size:], version=2),
        "one byte": b"\x01",
        "half a header": good[:4],
        "a header alone": good[:HEADER.size],
        "one byte short": good[:-1],
        "one byte more": good + b"\0",
        "a size that says less": packet(LEASE, good[HEADER.size:], size=len(good) - 1),
        "a size that says more": packet(LEASE, good[HEADER.size:], size=len(good) + 1),
        "size 0": packet(LEASE, good[HEADER.size:], size=0),
        "size 4 GiB": packet(LEASE, good[HEADER.size:], size=0xffffffff),
        "a name without an end": unended,
        "text": b"GET /containers/json HTTP/1.1\r\nHost: docker\r\n\r\n",
        "zeros": bytes(len(good)),
        "64 KiB": os.urandom(65536),
        "180 KiB": good + os.urandom(180000),
    }
    with Events("blog") as blog, Events("wiki") as wiki:
        for what, data in bad.items():
            with front_socket() as sock:
                sock.send(data)
                want(cut_off(sock), f"{what}: the engine keeps the connection")
            want(main_pid(SERVICE) == engine, f"{what}: the engine died")
        want(not wiki.seen() and not blog.seen(), f"Docker was asked: {blog.seen()} {wiki.seen()}")
    want_hello("blog.test", "blog")
    say(f"{len(bad)} packets, each cut off")


@scenario("front-socket-random-packets")
def random_packets() -> None:
    """A thousand packets of chance, most of them close to a right one."""
    engine = awake_engine()
    good = bytearray(lease("blog", 7))
    sent = 0
    for number in range(1000):
        chance = os.urandom(8)
        data = bytearray(good)
        for place, value in zip(chance[:4], chance[4:]):
            data[place % len(data)] = value
        if chance[0] < 64:
            data = data[:chance[1] % len(data)] or data
        with front_socket() as sock:
            sock.settimeout(0)
            try:
                sock.send(bytes(data))
                sent += 1
            except OSError:
                pass
    want(main_pid(SERVICE) == engine, "the engine died")
    want_hello("blog.test", "blog")
    want(sent == 1000, f"only {sent} were taken")


@scenario("front-socket-descriptors")
def descriptors() -> None:
    """A packet that brings descriptors is refused, and they are closed."""
    engine = awake_engine()
    before = len(os.listdir(f"/proc/{engine}/fd"))
    for number in (1, 3, 200):
        with front_socket() as sock:
            fds = array.array("i", [os.open("/dev/null", os.O_RDONLY) for _ in range(number)])
            sock.sendmsg([lease("blog")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
            for fd in fds:
                os.close(fd)
            want(cut_off(sock), f"{number} descriptors: the engine keeps the connection")
    # One honest connection after them: what was handled before it has been handled whole.
    with front_socket() as sock:
        sock.send(lease("blog"))
        want(sock.recv(65536), "an honest lease is not answered")
    with front_socket() as sock:
        sock.send(packet(0))
        want(cut_off(sock), "not cut off")
    after = len(os.listdir(f"/proc/{engine}/fd"))
    want(after <= before, f"the engine had {before} descriptors and has {after}")
    want(main_pid(SERVICE) == engine, "the engine died")


@scenario("front-socket-unknown-app")
def unknown_app() -> None:
    """A name that is no app, a container's that no file names among them: FAILED or cut off."""
    engine = awake_engine()
    docker.create("stranger")
    docker.create("page-stranger")
    write_app("page@", app={"container": "page-%i"}, route={"host": "%i.test"})
    systemctl("reload", SERVICE)
    number = docker.request("GET", "/containers/stranger/json")["Id"]
    with Events() as events:
        for name in ("stranger", number[:63], number, "../blog", "/containers/stranger",
                     "blog/../stranger", "", "BLOG", "blog@one", "blog@", "@", "page@", "page",
                     "page@../blog", "page@stranger", "page@-x", "page@a@b", "page@" + "x" * 64,
                     "page@%i"):
            with front_socket() as sock:
                sock.send(lease(name))
                answer = sock.recv(65536)
                while answer and HEADER.unpack_from(answer)[1] in (STARTING, PROGRESS):
                    answer = sock.recv(65536)
                want(not answer or HEADER.unpack_from(answer)[1] == FAILED,
                     f"{name!r} is answered with {answer[:16]!r}")
        want(not events.seen(), f"Docker was asked: {events.seen()}")
    want(main_pid(SERVICE) == engine, "the engine died")


@scenario("front-socket-logs")
def logs_of_others() -> None:
    """A log is told only of an app whose file allows it, at most so many lines, one at a time."""
    docker.create("open", LOG="the open one's line")
    write_app("open", app={"idle_timeout": "1h"}, wait={"show_logs": "yes"})
    engine = awake_engine()
    want_hello("open.test", "open")

    def ask(app: str, lines: int) -> tuple[list[bytes], int]:
        with front_socket() as sock:
            sock.send(packet(LOGS, LEASE_BODY.pack(7, lines, app.encode())))
            texts = []
            while True:
                answer = sock.recv(65536)
                want(answer, f"{app}, {lines} lines: the engine hangs up")
                if HEADER.unpack_from(answer)[1] == LOGS_END:
                    return texts, LOGS_END_BODY.unpack_from(answer, HEADER.size)[1]
                texts.append(answer)

    texts, error = ask("open", 20)
    want(error == 0 and any(b"the open one's line" in text for text in texts), f"{texts} {error}")
    for app in ("blog", "wiki"):
        want(ask(app, 20) == ([], errno.EPERM), f"{app}: {ask(app, 20)}")
    for app in ("nobody", "stranger", "../open", "open@x"):
        texts, error = ask(app, 20)
        want(not texts and error in (errno.EPERM, errno.ENOENT), f"{app}: {texts} {error}")
    want(main_pid(SERVICE) == engine, "the engine died")


@scenario("front-socket-many-leases")
def many_leases() -> None:
    """The same lease over and over, given back or not: bounded, and the end of it ends them all."""
    docker.create("blog")
    write_app("blog")
    enable()
    with Events("blog") as events:
        want_hello("blog.test", "blog")
        engine = main_pid(SERVICE)
        with front_socket() as sock:
            sock.settimeout(0.2)
            try:
                for serial in range(20000):
                    sock.send(lease("blog", serial))
            except (TimeoutError, BrokenPipeError, ConnectionResetError):
                pass  # it is free to hang up, or to take no more until it is read from
        want(main_pid(SERVICE) == engine, "the engine died")
        events.wait("die")
    wait_no_process()


@scenario("sockets-are-closed-to-others")
def closed_to_others() -> None:
    """The front's user reaches neither the administrator's socket nor Docker's; nobody, neither."""
    awake_engine()
    for user, path, kind in (("dockwake", ADMIN_SOCKET, socket.SOCK_SEQPACKET),
                             ("dockwake", docker.SOCKET, socket.SOCK_STREAM),
                             ("nobody", ADMIN_SOCKET, socket.SOCK_SEQPACKET),
                             ("nobody", ENGINE_SOCKET, socket.SOCK_SEQPACKET)):
        with socket.socket(socket.AF_UNIX, kind) as sock, as_user(user):
            try:
                sock.connect(path)
            except PermissionError:
                continue
        want(False, f"{user} can connect to {path}")


def want_landlock(cursor: str) -> None:
    """The machine has it, so nobody may go without it; there is no other sign of it."""
    said = [line for line in journal_since(cursor).splitlines() if "Landlock" in line]
    want(not said, f"{said}")


def in_sandbox(pid: int, *command: str):
    """Runs a command where the front is: its mounts, its user, its group."""
    uid, gid = (run("id", option, "dockwake").stdout.strip() for option in ("-u", "-g"))
    return run("nsenter", f"--target={pid}", "--mount", "--", "setpriv", f"--reuid={uid}",
               f"--regid={gid}", "--clear-groups", "--no-new-privs", "--bounding-set=-all",
               "--inh-caps=-all", *command, check=False)


@scenario("front-cannot-open-docker")
def front_sandbox() -> None:
    """What the kernel says of the running front, and what its user reaches from where it runs."""
    write_config({"front": {"exit_idle": "1h"}})
    cursor = journal_cursor()
    awake_engine()
    want_landlock(cursor)
    front = main_pid("dockwake.service")
    with open(f"/proc/{front}/status") as file:
        status = file.read()
    want(re.search(r"^CapEff:\s0+$", status, re.M), "the front has capabilities")
    want(re.search(r"^CapBnd:\s0+$", status, re.M), "the front could get capabilities")
    want(re.search(r"^NoNewPrivs:\s1$", status, re.M), "the front could get privileges")
    want(re.search(r"^Seccomp:\s2$", status, re.M), "the front has no system call filter")
    uid, gid = (run("id", option, "dockwake").stdout.strip() for option in ("-u", "-g"))
    want(re.search(rf"^Uid:\s{uid}\s{uid}\s{uid}\s", status, re.M), "the front is another user")
    groups = re.search(r"^Groups:(.*)$", status, re.M)[1].split()
    want(set(groups) <= {gid}, f"the front is in the groups {groups}")

    for path in ("/run/docker.sock", "/var/run/docker.sock", ADMIN_SOCKET):
        done = in_sandbox(front, "curl", "--silent", "--show-error", "--max-time", "5",
                          "--unix-socket", path, "http://docker/_ping")
        want(done.returncode != 0 and "OK" not in done.stdout, f"{path}: {done.stdout}")
    # The other way round: from outside it answers, so the test itself can tell.
    plain = run("curl", "--silent", "--unix-socket", docker.SOCKET, "http://docker/_ping")
    want("OK" in plain.stdout, f"Docker does not answer at all: {plain.stdout}")

    for name in os.listdir(f"/proc/{front}/fd"):
        target = os.readlink(f"/proc/{front}/fd/{name}")
        want("docker" not in target, f"the front holds {target}")


@scenario("engine-is-confined")
def engine_sandbox() -> None:
    """Root without capabilities, under a filter, and with Unix sockets and the probes' alone."""
    cursor = journal_cursor()
    engine = awake_engine()
    want_landlock(cursor)
    with open(f"/proc/{engine}/status") as file:
        status = file.read()
    want(re.search(r"^CapEff:\s0+$", status, re.M), "the engine has capabilities")
    want(re.search(r"^NoNewPrivs:\s1$", status, re.M), "the engine could get privileges")
    want(re.search(r"^Seccomp:\s2$", status, re.M), "the engine has no system call filter")
