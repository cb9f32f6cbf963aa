"""A fake Docker engine, for what a real one will not do on demand.

It speaks enough of the API over a Unix socket: /_ping, list, inspect, start, stop, unpause, logs
and events. A container is a dict; one that runs listens on its port of 127.0.0.1 as a real program
would. faults maps a verb ("start", "inspect", ...) to a function that is called with the handler in
place of the answer; it returns True when it has dealt with the request.
"""

import json
import os
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingMixIn, UnixStreamServer


def frame(data: bytes, stream: int = 1) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


class Container:
    def __init__(self, name: str, **more):
        self.name = name
        self.status = "exited"
        self.exit_code = 0
        self.oom = False
        self.health = None
        self.ip = "127.0.0.1"
        self.listens = True
        self.start_seconds = 0.0
        self.stop_seconds = 0.0
        self.listener = None
        self.labels = {}
        self.tty = False
        self.started = "0001-01-01T00:00:00Z"
        self.log = b""  # as it is sent: see frame()
        with socket.socket() as probe:  # a free port of its own
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.__dict__.update(more)

    def listen(self) -> None:
        if self.listens and not self.listener:
            self.listener = socket.create_server(("127.0.0.1", self.port), reuse_port=True)

    def unlisten(self) -> None:
        if self.listener:
            self.listener.close()
            self.listener = None

    def inspect(self) -> dict:
        state = {"Status": self.status, "ExitCode": self.exit_code, "OOMKilled": self.oom,
                 "StartedAt": self.started}
        if self.health:
            state["Health"] = {"Status": self.health}
        networks = {"bridge": {"IPAddress": self.ip if self.status == "running" else ""}}
        return {
            "Id": "f" * 64,
            "State": state,
            "Config": {"ExposedPorts": {f"{self.port}/tcp": {}}, "Labels": self.labels,
                       "Tty": self.tty},
            "HostConfig": {"NetworkMode": "default"},
            "NetworkSettings": {"Networks": networks, "Ports": {}},
        }


class FakeDocker:
    def __init__(self, path: str, api: str = "1.41"):
        self.path = path
        self.api = api
        self.containers: dict[str, Container] = {}
        self.calls: list[str] = []  # "start NAME", in the order of arrival
        self.faults = {}
        self.streams: list[BaseHTTPRequestHandler] = []
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.server = None
        self.up()

    def add(self, name: str, **more) -> Container:
        container = self.containers[name] = Container(name, **more)
        if container.status == "running":
            container.listen()
        return container

    # --- the daemon's own life ---

    def up(self) -> None:
        fake = self

        class Server(ThreadingMixIn, UnixStreamServer):
            daemon_threads = True
            request_queue_size = 1024

            def handle_error(self, request, client_address):
                pass  # a client that went away

        class Handler(_Handler):
            docker = fake

        self.server = Server(self.path, Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def down(self) -> None:
        """Nobody listens any more and every stream ends."""
        self.server.shutdown()
        self.server.server_close()
        os.unlink(self.path)
        with self.lock:
            for stream in self.streams:
                try:
                    stream.connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            self.streams.clear()

    def close(self) -> None:
        self.down()
        for container in self.containers.values():
            container.unlisten()

    # --- events ---

    def emit(self, action: str, name: str) -> None:
        labels = self.containers[name].labels if name in self.containers else {}
        event = {"Type": "container", "Action": action,
                 "Actor": {"ID": "f" * 64, "Attributes": {**labels, "name": name}}}
        self.emit_raw(json.dumps(event) + "\n")

    def emit_raw(self, text: str) -> None:
        with self.lock:
            for stream in list(self.streams):
                try:
                    stream.chunk(text.encode())
                except (OSError, ValueError):  # the engine was quicker to close it
                    if stream in self.streams:
                        self.streams.remove(stream)

    def set(self, name: str, status: str, action: str, **more) -> None:
        """Something happens to a container by itself."""
        container = self.containers[name]
        container.__dict__.update(more)
        container.status = status
        if status == "running":
            container.started = "2026-11-23T03:40:50.5Z"
            container.listen()
        elif status in ("exited", "dead"):
            container.unlisten()
        self.emit(action, name)

    # --- what the tests ask ---

    def note(self, call: str) -> None:
        with self.lock:
            self.calls.append(call)
            self.changed.notify_all()

    def count(self, call: str) -> int:
        with self.lock:
            return self.calls.count(call)

    def wait(self, call: str, n: int = 1, seconds: float = 10) -> None:
        with self.lock:
            if not self.changed.wait_for(lambda: self.calls.count(call) >= n, seconds):
                raise AssertionError(f"no '{call}' within {seconds} s: {self.calls}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    docker: FakeDocker

    def address_string(self):
        return ""

    def log_message(self, *args):
        pass

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def answer(self, status: int, body=None) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Api-Version", self.docker.api)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def answer_raw(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.docker.raw-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for at in range(0, len(data), 1 << 16):
            self.chunk(data[at:at + (1 << 16)])
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def handle_one(self, verb: str, container: Container | None) -> None:
        docker = self.docker
        fault = docker.faults.get(verb)
        if fault and fault(self):
            return
        if verb == "ping":
            self.answer(200)
        elif verb == "list":
            self.answer(200, [{"Id": "f" * 64, "Names": ["/" + c.name], "State": c.status,
                               "Labels": c.labels}
                              for c in docker.containers.values()])
        elif verb == "events":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.flush()
            with docker.lock:
                docker.streams.append(self)
            docker.note("events")
            self.connection.recv(1)  # until somebody ends it
            self.close_connection = True
        elif container is None:
            self.answer(404, {"message": "No such container"})
        elif verb == "inspect":
            self.answer(200, container.inspect())
        elif verb == "start":
            if container.status == "paused":
                self.answer(409, {"message": "cannot start a paused container, try unpause instead"})
            elif container.status == "running":
                self.answer(304)
            else:
                time.sleep(container.start_seconds)
                docker.set(container.name, "running", "start")
                self.answer(204)
        elif verb == "unpause":
            docker.set(container.name, "running", "unpause")
            self.answer(204)
        elif verb == "logs":
            docker.note("logs?" + self.path.split("?")[1])
            self.answer_raw(container.log)
        elif verb == "stop":
            time.sleep(container.stop_seconds)
            docker.set(container.name, "exited", "die", exit_code=0)
            docker.note(f"stopped {container.name}")
            self.answer(204)

    def do(self) -> None:
        path = self.path.split("?")[0].strip("/").split("/")
        if path[-1] == "_ping":
            verb, name = "ping", ""
        elif path[1] == "events":
            verb, name = "events", ""
        elif path[2] == "json":
            verb, name = "list", ""
        else:
            verb, name = ("inspect" if path[3] == "json" else path[3]), path[2]
        if verb != "events":
            self.docker.note(f"{verb} {name}".strip())
        self.handle_one(verb, self.docker.containers.get(name))

    do_GET = do_POST = do
