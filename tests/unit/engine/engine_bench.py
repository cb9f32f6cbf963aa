"""The sanitized engine in a folder of its own, with a fake Docker, and clients that speak its protocol."""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import tempfile
import time

from fake_docker import FakeDocker

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
ENGINE = os.environ.get("DOCKWAKE_ENGINE", os.path.join(ROOT, "build/check/bin/dockwake-engine"))

# src/base/proto.h
(LEASE, RELEASE, STARTING, READY, FAILED, GONE, LIST, STATUS, WAKE, SLEEP, APP, END, PROGRESS, LOGS,
 LOG, LOGS_END) = range(1, 17)
DOUBT = 1
AWAKE = 2
WAIT = 1
STATES = ("unknown missing asleep paused starting probing ready stopping failed").split()
FAILURES = ("none timeout unknown_app broken_app missing docker exited no_address stopped asleep "
            "foreign").split()
HEADER = struct.Struct("=HHI")


def text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode()


class Peer:
    """One connection to the engine."""

    def __init__(self, path: str):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(path)
        self.socket.settimeout(10)

    def send(self, opcode: int, body: bytes) -> None:
        self.socket.send(HEADER.pack(1, opcode, HEADER.size + len(body)) + body)

    def lease(self, app: str, serial: int = 1, flags: int = 0, opcode: int = LEASE) -> None:
        self.send(opcode, struct.pack("=II128s", serial, flags, app.encode()))

    def request(self, opcode: int, app: str = "", flags: int = 0) -> None:
        self.send(opcode, b"" if opcode == LIST else struct.pack("=I128s", flags, app.encode()))

    def receive(self, seconds: float = 10) -> dict:
        self.socket.settimeout(seconds)
        packet = self.socket.recv(4096)
        if not packet:
            raise EOFError
        version, opcode, size = HEADER.unpack_from(packet)
        body = packet[HEADER.size:]
        assert version == 1 and size == len(packet), packet
        if opcode in (STARTING, GONE):
            serial, _, app = struct.unpack("=II128s", body)
            return {"op": opcode, "serial": serial, "app": text(app)}
        if opcode == READY:
            serial, _, port, ip, app = struct.unpack("=IHH16s128s", body)
            return {"op": opcode, "serial": serial, "app": text(app),
                    "port": socket.ntohs(port), "ip": socket.inet_ntoa(ip[:4])}
        if opcode == FAILED:
            serial, failure, app, why = struct.unpack("=II128s256s", body)
            return {"op": opcode, "serial": serial, "app": text(app),
                    "failure": FAILURES[failure], "text": text(why)}
        if opcode == APP:
            state, failure, leases = struct.unpack_from("=III", body)
            app = body[-(128 + 256 + 256):]
            return {"op": opcode, "state": STATES[state], "failure": FAILURES[failure],
                    "leases": leases, "app": text(app[:128]), "text": text(app[384:])}
        if opcode == PROGRESS:
            serial, state, app = struct.unpack("=II128s", body)
            return {"op": opcode, "serial": serial, "app": text(app), "state": STATES[state]}
        if opcode == LOG:
            serial, is_error, app, line = struct.unpack("=II128s512s", body)
            return {"op": opcode, "serial": serial, "app": text(app), "is_error": bool(is_error),
                    "text": line.split(b"\0")[0]}
        if opcode == LOGS_END:
            serial, result, app = struct.unpack("=II128s", body)
            return {"op": opcode, "serial": serial, "app": text(app), "result": result}
        assert opcode == END, opcode
        result, why = struct.unpack("=I256s", body)
        return {"op": opcode, "result": result, "text": text(why)}

    def logs(self, app: str, lines: int = 20, serial: int = 1) -> None:
        self.send(LOGS, struct.pack("=II128s", serial, lines, app.encode()))

    def read_logs(self) -> tuple[list, int]:
        """The lines, with "E:" before those of the standard error, and the result."""
        lines = []
        while (answer := self.receive())["op"] == LOG:
            lines.append((b"E:" if answer["is_error"] else b"") + answer["text"])
        assert answer["op"] == LOGS_END, answer
        return lines, answer["result"]

    def receive_news(self, seconds: float = 10) -> dict:
        """The next packet that is no PROGRESS: how a wake goes on matters to few cases."""
        while (answer := self.receive(seconds))["op"] == PROGRESS:
            pass
        return answer

    def expect(self, *ops: int, seconds: float = 10) -> dict:
        answer = {}
        for op in ops:
            answer = self.receive(seconds) if PROGRESS in ops else self.receive_news(seconds)
            assert answer["op"] == op, f"expected {op}, got {answer}"
        return answer

    def is_silent(self, seconds: float, progress: bool = True) -> bool:
        """Nothing comes for so long, but PROGRESS if that may."""
        try:
            self.receive_news(seconds) if progress else self.receive(seconds)
            return False
        except TimeoutError:
            return True

    def is_cut_off(self) -> bool:
        self.socket.settimeout(10)
        try:
            while self.socket.recv(4096):
                pass
            return True
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def close(self) -> None:
        self.socket.close()


class Bench:
    """A folder with a configuration, a fake Docker and the engine's two sockets."""

    def __init__(self, folder: str, api: str = "1.41"):
        self.folder = folder
        os.mkdir(f"{folder}/apps.d")
        self.docker = FakeDocker(f"{folder}/docker.sock", api)
        with open(f"{folder}/dockwake.conf", "w") as conf:
            conf.write(f"[engine]\ndocker = {folder}/docker.sock\n")
        self.listeners = [self._listen("front"), self._listen("admin")]
        self.process = None
        self.log = open(f"{folder}/log", "w+")

    def _listen(self, name: str) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(f"{self.folder}/{name}")
        listener.listen(1024)  # blocking, as systemd's are
        return listener

    def app(self, name: str, keys: str = "", container: str | None = None, **more):
        with open(f"{self.folder}/apps.d/{name}.ini", "w") as ini:
            ini.write("[app]\n" + keys)
        if container is None:
            return self.docker.add(name, **more)

    def start(self) -> None:
        fds = [listener.fileno() for listener in self.listeners]

        def pass_sockets():
            # As sd_listen_fds(3) wants them: from 3 on, without close-on-exec.
            high = [os.dup2(fd, 100 + i) for i, fd in enumerate(fds)]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i)

        command = (f'LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=front:admin exec {ENGINE} '
                   f'--debug --config-dir {self.folder} --marker {self.folder}/awake')
        self.process = subprocess.Popen(["sh", "-c", command], preexec_fn=pass_sockets,
                                        close_fds=False, stderr=self.log)

    def front(self) -> Peer:
        return Peer(f"{self.folder}/front")

    def admin(self) -> Peer:
        return Peer(f"{self.folder}/admin")

    def ask(self, opcode: int, app: str = "", flags: int = 0) -> tuple[list, dict]:
        """The administrator's request: its APPs and its END."""
        peer = self.admin()
        peer.request(opcode, app, flags)
        apps = []
        while (answer := peer.receive())["op"] == APP:
            apps.append(answer)
        peer.close()
        return apps, answer

    def states(self, opcode: int = LIST, app: str = "") -> dict:
        apps, end = self.ask(opcode, app)
        assert end["result"] == 0, end
        return {a["app"]: a["state"] for a in apps}

    def status(self, app: str) -> dict:
        apps, end = self.ask(STATUS, app)
        assert len(apps) == 1 and end["result"] == 0, (apps, end)
        return apps[0]

    def wait_state(self, app: str, state: str, seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while (seen := self.status(app)["state"]) != state:
            assert time.monotonic() < end, f"{app} is {seen}, not {state}"

    def wait_exit(self, seconds: float = 10) -> int:
        return self.process.wait(seconds)

    def ask_exit(self) -> None:
        """The engine lives, and ends properly when told to: leaks are reported then."""
        assert self.process.poll() is None, f"the engine has ended: {self.process.returncode}"
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(10)
        assert status == 0, f"exit status {status}"

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.docker.close()
        for listener in self.listeners:
            listener.close()

    def read_log(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def wait_log(self, words: str, seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while words not in self.read_log():
            assert time.monotonic() < end, f"'{words}' was not logged"
            time.sleep(0.01)


@contextlib.contextmanager
def bench(**more):
    with tempfile.TemporaryDirectory() as folder:
        b = Bench(folder, **more)
        try:
            yield b
        except BaseException:
            print("".join("# " + line for line in b.read_log().splitlines(True)[-40:]))
            raise
        finally:
            b.close()
