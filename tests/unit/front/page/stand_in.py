"""A stand-in for the front: serves what page.c makes, and tells what the test tells it to tell."""

import contextlib
import os
import queue
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Iterator

RENDER = os.environ.get("RENDER", "build/check/page-render")
EVENTS = "/_dockwake/events"
LOGS = "/_dockwake/logs"


def render(what: str, *arguments: bytes | str, **values: object) -> bytes:
    """What page.c makes of these values; its program is tests/unit/front/page/render.c."""
    return subprocess.run([RENDER, what, *(f"{key}={value}" for key, value in values.items()),
                           *arguments], check=True, stdout=subprocess.PIPE).stdout


class StandIn:
    """One app, awake or not. Everything here may be changed while it serves."""

    def __init__(self) -> None:
        self.page: dict[str, object] | None = {"state": "asleep"}  # None: the app is awake
        self.app_page = b"<!DOCTYPE html><title>app</title><h1>the app</h1>"
        self.events = "serve"                     # or "refuse", "hang"
        self.log = b""
        self.asked: list[str] = []                # targets, in order
        self.statuses: list[int] = []             # of the documents
        self.change = threading.Condition()
        self._streams: list[queue.Queue[bytes | None]] = []
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with contextlib.suppress(ConnectionError):
                    stand_in.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.end_streams()
        self._server.shutdown()
        self._server.server_close()

    # --- what the test says ----------------------------------------------------------------------

    def tell(self, **values: object) -> None:
        """To all who follow, and in the page from now on."""
        self.page = {**(self.page or {}), **values}
        self.send(render("event", **values))

    def wake_up(self) -> None:
        self.page = None
        self.send(render("ready"))
        self.end_streams()

    def send(self, data: bytes | None) -> None:
        with self.change:
            for stream in self._streams:
                stream.put(data)

    def end_streams(self) -> None:
        self.send(None)

    def wait(self, holds: object, seconds: float = 20) -> None:
        with self.change:
            assert self.change.wait_for(holds, seconds), (self.asked, self.statuses)

    def wait_follower(self) -> None:
        self.wait(lambda: self._streams)

    # --- what it answers -------------------------------------------------------------------------

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        with self.change:
            self.asked.append(request.path)
            self.change.notify_all()
        if path == EVENTS:
            self._answer_events(request)
        elif path == LOGS:
            self._send(request, 200, "text/plain; charset=utf-8", self.log)
        else:
            self._answer_document(request)

    def _answer_document(self, request: BaseHTTPRequestHandler) -> None:
        page = self.page
        with self.change:
            self.statuses.append(503 if page is not None else 200)
            self.change.notify_all()
        if page is None:
            self._send(request, 200, "text/html; charset=utf-8", self.app_page)
            return
        fields = render("fields", **page).decode().strip().split("\r\n")
        self._send(request, 503, "text/html; charset=utf-8", render("page", **page),
                   *(tuple(field.split(": ", 1)) for field in fields))

    def _answer_events(self, request: BaseHTTPRequestHandler) -> None:
        if self.events == "refuse":
            self._send(request, 429, "text/plain", b"no")
            return
        stream: queue.Queue[bytes | None] = queue.Queue()
        if self.events == "serve":
            request.send_response(200)
            request.send_header("Content-Type", "text/event-stream")
            request.send_header("Cache-Control", "no-store")
            request.send_header("Connection", "close")
            request.end_headers()
        with self.change:
            self._streams.append(stream)
            self.change.notify_all()
        try:
            while (data := stream.get()) is not None:
                if self.events == "serve":
                    request.wfile.write(data)
        finally:
            with self.change:
                self._streams.remove(stream)
            request.close_connection = True

    @staticmethod
    def _send(request: BaseHTTPRequestHandler, status: int, kind: str, body: bytes,
              *fields: tuple[str, str]) -> None:
        request.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(body))),
                            ("Cache-Control", "no-store"), *fields):
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)


@contextlib.contextmanager
def stand_in(**page: object) -> Iterator[StandIn]:
    server = StandIn()
    server.page = {"state": "asleep", "title": "Our blog", **page}
    try:
        yield server
    finally:
        server.close()
