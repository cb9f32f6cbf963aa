"""Docker as its API shows it, without a client in between: requests, containers, events."""

import collections
import http.client
import json
import os
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse

from .system import Wrong, want

SOCKET = "/run/docker.sock"

SAMPLE = "/opt/sample-app/sample-app"
SAMPLE_PORT = 8080


class Connection(http.client.HTTPConnection):
    def __init__(self, timeout: float = 60) -> None:
        super().__init__("docker", timeout=timeout)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(SOCKET)


_version = ""


def api_version() -> str:
    """The version in the path: the newest that the daemon speaks."""
    global _version
    if not _version:
        connection = Connection()
        connection.request("GET", "/_ping")
        answer = connection.getresponse()
        answer.read()
        _version = "v" + answer.headers["Api-Version"]
        connection.close()
    return _version


def request(method: str, path: str, body: object = None, ok: tuple[int, ...] = (200, 201, 204, 304),
            timeout: float = 60) -> object:
    connection = Connection(timeout)
    data = None if body is None else json.dumps(body)
    headers = {} if body is None else {"Content-Type": "application/json"}
    connection.request(method, f"/{api_version()}{path}", data, headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    want(answer.status in ok, f"docker: {method} {path}: {answer.status} {text.decode()}")
    return json.loads(text) if text.strip().startswith((b"{", b"[")) else None


# --- images and containers -----------------------------------------------------------------------

def import_images() -> None:
    """sample-app; sample-health with a HEALTHCHECK; sample-bare that exposes no port."""
    with tempfile.TemporaryDirectory() as folder:
        archive = os.path.join(folder, "image.tar")
        subprocess.run(["tar", "-C", os.path.dirname(SAMPLE), "-cf", archive, "sample-app"],
                       check=True)
        start = ["-c", 'CMD ["/sample-app"]']
        expose = ["-c", f"EXPOSE {SAMPLE_PORT}"]
        health = ["-c", 'HEALTHCHECK --interval=1s CMD ["/sample-app","probe","/health"]']
        for name, changes in (("sample-app", start + expose), ("sample-bare", start),
                              ("sample-health", start + expose + health)):
            subprocess.run(["docker", "import", *changes, archive, name], check=True,
                           stdout=subprocess.DEVNULL)


def create(name: str, image: str = "sample-app", labels: dict[str, str] | None = None,
           command: list[str] | None = None, **environment: object) -> None:
    """A stopped container; its NAME is the container's, so that answers tell who answered."""
    environment.setdefault("NAME", name)
    request("POST", f"/containers/create?name={name}", {
        "Image": image,
        "Cmd": command,
        "Labels": labels or {},
        "Env": [f"{key}={value}" for key, value in environment.items()],
    })


def start(name: str) -> None:
    request("POST", f"/containers/{name}/start")


def stop(name: str) -> None:
    request("POST", f"/containers/{name}/stop?t=0")


def pause(name: str) -> None:
    request("POST", f"/containers/{name}/pause")


def status(name: str) -> str:
    """created, running, paused, exited..."""
    return request("GET", f"/containers/{name}/json")["State"]["Status"]


def address(name: str) -> str:
    networks = request("GET", f"/containers/{name}/json")["NetworkSettings"]["Networks"]
    return next(iter(networks.values()))["IPAddress"]


def remove_all() -> None:
    for container in request("GET", "/containers/json?all=1"):
        request("DELETE", f"/containers/{container['Id']}?force=1&v=1", ok=(200, 204, 404, 409))


# --- events --------------------------------------------------------------------------------------

class Events:
    """What happens to one container from now on, or to any, as a context."""

    def __init__(self, container: str = "") -> None:
        self.container = container
        self._seen: list[str] = []
        self._times: dict[str, float] = {}
        self._taken: collections.Counter[str] = collections.Counter()
        self._change = threading.Condition()
        self._over = False

    def __enter__(self) -> "Events":
        # since: the daemon sends the answer's head before it subscribes.
        filters = {"container": [self.container]} if self.container else {"type": ["container"]}
        filters = urllib.parse.quote(json.dumps(filters))
        since = f"{time.time():.9f}"
        self._connection = Connection(timeout=600)
        self._connection.request("GET", f"/{api_version()}/events?since={since}&filters={filters}")
        self._socket = self._connection.sock
        self._answer = self._connection.getresponse()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._thread.join()
        self._answer.close()
        self._connection.close()

    def _follow(self) -> None:
        try:
            for line in self._answer:
                if line.strip():
                    action = json.loads(line)["Action"]
                    with self._change:
                        self._seen.append(action)
                        self._times[action] = time.monotonic()
                        self._change.notify_all()
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass  # closed by __exit__, or by a docker that is being restarted
        with self._change:
            self._over = True
            self._change.notify_all()

    def seen(self) -> list[str]:
        with self._change:
            return [action for action in self._seen if not action.startswith("exec_")]

    def count(self, action: str) -> int:
        return self.seen().count(action)

    def wait(self, action: str, seconds: float = 20) -> float:
        """Waits for the next action not yet waited for; returns when the last one was seen."""
        with self._change:
            number = self._taken[action] + 1
            came = self._change.wait_for(
                lambda: self._seen.count(action) >= number or self._over, seconds)
            if not came or self._seen.count(action) < number:
                raise Wrong(f"{self.container}: no {action} within {seconds:g} s; "
                            f"seen: {' '.join(self._seen) or 'nothing'}")
            self._taken[action] = number
            return self._times[action]
