"""Row P1: HTTP/1.1 through the front, with the app asleep and awake."""

import gzip
import hashlib
import os
import socket
import threading
import zlib

from lib import apps
from lib.apps import app, in_both_states
from lib.backend import Backend, take
from lib.client import HOST, PORT, pattern
from lib.scenario import say, scenario
from lib.setup import EACH, FRONT, enable, write_config
from lib.system import main_pid, user_memory, want
from lib.wire import Reply, Wire, chunk, request

MIB = 1 << 20
BLOG = "blog.test"


def good(reply: Reply, status: int = 200) -> Reply:
    want(reply.status == status and reply.server == "blog",
         f"{reply.status} from {reply.server or 'the front'}: {reply.text[:200]}")
    return reply


@scenario("http-keep-alive")
def keep_alive() -> None:
    """Many requests on one connection, and one connection to the app for them."""
    def case() -> None:
        with Wire() as wire:
            seen = [good(wire.ask("/connection", BLOG)).text.split() for _ in range(10)]
            want(len({words[1] for words in seen}) == 1, f"connections to the app: {seen}")
            first = int(seen[0][3])
            want([int(words[3]) for words in seen] == list(range(first, first + 10)),
                 f"requests: {seen}")
            reply = good(wire.ask("/", BLOG, "Connection: close"))
            want(reply.get("Connection").lower() == "close", f"fields: {reply.fields}")
            wire.wait_end()
    apps.blog(case)


@scenario("http-chunked-both-ways-each", EACH)
@scenario("http-chunked-both-ways", FRONT)
def chunked(entry: str) -> None:
    """Chunks of all sizes there and back, with their trailers."""
    parts = [os.urandom(size) for size in (1, 70000, 3, MIB, 17, 16384)]
    whole = b"".join(parts)
    head = request("/echo", BLOG, "Transfer-Encoding: chunked", "Trailer: X-Sum, X-Empty",
                   "TE: trailers", "Connection: TE", method="POST")
    digest = hashlib.sha256(whole).hexdigest()
    tail = f"0\r\nX-Sum: {digest}\r\nX-Empty:\r\n\r\n".encode()
    data = head + b"".join(chunk(part) for part in parts) + tail

    def case() -> None:
        with Wire() as wire:
            sender = threading.Thread(target=wire.send, args=(data,))
            sender.start()
            reply = good(wire.reply())
            sender.join()
        want(hashlib.sha256(reply.body).hexdigest() == digest,
             f"{len(reply.body)} of {len(whole)} bytes came back, or others")
        want(reply.trailers == [("X-Sum", digest), ("X-Empty", "")], f"trailers: {reply.trailers}")
    apps.blog(case, entry)


@scenario("http-chunked-byte-by-byte")
def chunked_bytes() -> None:
    """Each byte of head, sizes, data and trailers in a packet of its own."""
    def case() -> None:
        with Wire() as wire:
            for byte in (request("/echo", BLOG, "Transfer-Encoding: chunked", method="POST")
                         + b"5;ext=\"a;b\"\r\nhello\r\n01\r\n!\r\n0\r\nX-T: 1\r\n\r\n"):
                wire.send(bytes([byte]))
            reply = good(wire.reply())
            want(reply.body == b"hello!" and reply.trailers == [("X-T", "1")], f"{reply}")
    apps.blog(case)


@scenario("http-expect-continue-each", EACH)
@scenario("http-expect-continue", FRONT)
def expect_continue(entry: str) -> None:
    """100 comes once, when the app asks for the body, and not before it is awake."""
    body = os.urandom(200000)

    def case() -> None:
        with Wire() as wire:
            wire.send(request("/sum", BLOG, "Expect: 100-continue", f"Content-Length: {len(body)}",
                              method="POST"))
            head = wire.head()
            want(head.status == 100, f"told {head.status} ahead of the body")
            wire.send(body)
            reply = good(wire.reply())
            want(reply.text == f"adler32={zlib.adler32(body):08x} length={len(body)}", reply.text)
            want(not reply.interim, "100 came again")
    apps.blog(case, entry)


@scenario("http-expect-refused")
def expect_refused() -> None:
    """An app that answers without asking for the body: the client need not send it."""
    def case() -> None:
        with Wire() as wire:
            wire.send(request("/early", BLOG, "Expect: 100-continue", "Content-Length: 1000000",
                              method="POST"))
            good(wire.reply(), 413)
            wire.wait_end()
    apps.blog(case)


@scenario("http-answers-without-a-body")
def bodyless() -> None:
    """HEAD, 204 and 304, and what follows them on the connection is read right."""
    def case() -> None:
        with Wire() as wire:
            reply = good(wire.ask("/download?bytes=12345", BLOG, method="HEAD"))
            want(reply.get("Content-Length") == "12345", f"fields: {reply.fields}")
            good(wire.ask("/download?bytes=5&chunked=1", BLOG, method="HEAD"))
            for code in (204, 304):
                reply = wire.ask(f"/status?code={code}", BLOG)
                want(reply.status == code and reply.get("ETag") == '"blog"', f"{reply}")
            for code in (201, 299, 404, 500, 503):
                good(wire.ask(f"/status?code={code}", BLOG), code)
            want(good(wire.ask("/", BLOG)).text == "hello from blog", "not the next answer")
            # All of them in one go.
            wire.send(b"".join((request("/", BLOG, method="HEAD"),
                                request("/status?code=204", BLOG),
                                request("/status?code=304", BLOG), request("/", BLOG))))
            statuses = [wire.reply("HEAD" if number == 0 else "GET").status for number in range(4)]
            want(statuses == [200, 204, 304, 200], f"{statuses}")
    apps.blog(case)


@scenario("http-early-answer-each", EACH)
@scenario("http-early-answer", FRONT)
def early_answer(entry: str) -> None:
    """413 while the body is still coming: the client gets it, though the app has hung up."""
    def case() -> None:
        with Wire() as wire:
            wire.send(request("/early", BLOG, f"Content-Length: {200 * MIB}", method="POST"))
            over = threading.Event()

            def send() -> None:
                try:
                    while not over.is_set():
                        wire.send(bytes(65536))
                except OSError:
                    pass  # as it should be, sooner or later
            sender = threading.Thread(target=send)
            sender.start()
            try:
                reply = good(wire.reply(), 413)
                want(reply.text == "too much for blog", reply.text)
            finally:
                over.set()
                sender.join()
    apps.blog(case, entry)


@scenario("http-1.0-each", EACH)
@scenario("http-1.0", FRONT)
def old_version(entry: str) -> None:
    """HTTP/1.0: closed unless asked to stay, and never a chunk, whatever the app sends."""
    def case() -> None:
        with Wire() as wire:
            want(good(wire.ask("/", BLOG, version="1.0")).text == "hello from blog", "no hello")
            wire.wait_end()
        with Wire() as wire:
            reply = good(wire.ask("/download?bytes=100000&chunked=1", BLOG, version="1.0"))
            want(reply.framing == "close" and reply.body == pattern(100000),
                 f"{reply.framing}, {len(reply.body)} bytes")
        with Wire() as wire:
            wire.send(b"GET / HTTP/1.0\r\n\r\n")  # no host: no app
            want(wire.reply().status in (400, 404), "a request without a host is answered")
        if entry == FRONT:
            with Wire() as wire:
                for _ in range(3):
                    reply = good(wire.ask("/", BLOG, "Connection: keep-alive", version="1.0"))
                    want(reply.get("Connection").lower() == "keep-alive", f"{reply.fields}")
                good(wire.ask("/", BLOG, version="1.0"))
                wire.wait_end()
    apps.blog(case, entry)


@scenario("http-absolute-form")
def absolute_form() -> None:
    """The target decides, not the Host field; the app gets the origin form and the one Host."""
    def case() -> None:
        with Wire() as wire:
            for target, path in (("http://blog.test/headers?a=b", "/headers?a=b"),
                                 ("HTTP://BLOG.test:80/headers", "/headers")):
                lines = good(wire.ask(target, "nobody.test")).text.splitlines()
                want(lines[0] == f"GET {path} HTTP/1.1", f"seen as {lines[0]!r}")
                hosts = [line for line in lines if line.lower().startswith("host:")]
                want(len(hosts) == 1 and hosts[0].lower().startswith("host: blog.test"),
                     f"hosts: {hosts}")
            good(wire.ask("http://blog.test", BLOG))
            want(wire.ask("http://nobody.test/", BLOG).status == 404, "the Host field decided")
    apps.blog(case)


@scenario("http-upgrade-to-anything-each", EACH)
@scenario("http-upgrade-to-anything", FRONT)
def upgrade(entry: str) -> None:
    """101 to a protocol that nobody knows, bytes both ways, and the client ends its side first."""
    data = os.urandom(MIB)

    def case() -> None:
        with Wire() as wire:
            # The first bytes of the new protocol come along with the request.
            wire.send(request("/upgrade", BLOG, "Upgrade: mystery/2", "Connection: Upgrade")
                      + b"at once")
            reply = wire.reply()
            want(reply.status == 101 and reply.get("Upgrade") == "mystery/2", f"{reply}")
            want(wire.exactly(7) == b"at once", "what came along was lost")

            def send() -> None:
                wire.send(data)
                wire.end()
            sender = threading.Thread(target=send)
            sender.start()
            back = wire.stream.read()
            sender.join()
            want(back == data + b"the end from blog\n", f"{len(back)} bytes came back, or others")
        with Wire() as wire:  # an app that does not want to
            good(wire.ask("/", BLOG, "Upgrade: mystery/2", "Connection: Upgrade"))
            if entry == FRONT:
                good(wire.ask("/", BLOG))
    apps.blog(case, entry)


@scenario("http-interim-and-encoded")
def interim() -> None:
    """103 passes ahead of the answer; a compressed body passes untouched."""
    def case() -> None:
        with Wire() as wire:
            for _ in range(2):
                reply = good(wire.ask("/hints", BLOG))
                want([one.status for one in reply.interim] == [103], f"interim: {reply.interim}")
                want(reply.interim[0].get("Link") == "</style.css>; rel=preload", "no Link")
            reply = good(wire.ask("/gzip", BLOG, "Accept-Encoding: gzip"))
            want(reply.get("Content-Encoding") == "gzip", f"fields: {reply.fields}")
            want(gzip.decompress(reply.body) == b"hello\n", f"{reply.body!r}")
        with Wire() as wire:  # HTTP/1.0 knows no interim answers
            reply = good(wire.ask("/hints", BLOG, version="1.0"))
            want(not reply.interim, f"interim: {reply.interim}")
    apps.blog(case)


@scenario("http-fields-of-the-hop")
def hop_fields() -> None:
    """What concerned the hop before does not pass, and all else does."""
    def case() -> None:
        with Wire() as wire:
            lines = good(wire.ask(
                "/headers", BLOG, "Connection: keep-alive, X-Hop, close", "X-Hop: 1",
                "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "TE: gzip",
                "X-End: a, b", "X-End: c", "Accept: */*", "Upgrade: h2c",
                "HTTP2-Settings: AAMAAABkAAQAAP__")).text.lower().splitlines()
        for name in ("x-hop", "keep-alive", "proxy-connection", "te", "upgrade", "http2-settings"):
            want(not any(line.startswith(name + ":") for line in lines), f"{name} passes: {lines}")
        for line in ("x-end: a, b", "x-end: c", "accept: */*"):
            want(line in lines, f"{line} is missing: {lines}")
    apps.blog(case)


@scenario("http-too-long")
def too_long() -> None:
    """431 for a huge head, 414 for a long target, and what is just allowed passes."""
    def case() -> None:
        with Wire() as wire:
            good(wire.ask("/" + "x" * 8000, BLOG))
            good(wire.ask("/", BLOG, *(f"X-{number}: {'y' * 100}" for number in range(80))))
        for data, status in ((request("/" + "x" * 20000, BLOG), 414),
                             (request("/", BLOG, "X: " + "x" * 20000), 431),
                             (request("/", BLOG, *(f"X-{i}: 1" for i in range(200))), 431)):
            with Wire() as wire:
                wire.send(data)
                reply = wire.reply()
                want(reply.status == status and not reply.server, f"{reply.status}, not {status}")
                wire.wait_end()
    apps.blog(case)


@scenario("http-pipelined-after-a-body")
def pipelined() -> None:
    """GET, POST, POST, GET in one go: bodies end where they end, answers come in order."""
    body = os.urandom(50000)
    parts = [body[at:at + 7000] for at in range(0, len(body), 7000)]

    def case() -> None:
        with Wire() as wire:
            wire.send(request("/", BLOG) + request("/sum", BLOG, method="POST", body=body)
                      + request("/sum", BLOG, "Transfer-Encoding: chunked", method="POST")
                      + b"".join(chunk(part) for part in parts) + b"0\r\nX-T: 1\r\n\r\n"
                      + request("/sum", BLOG, method="PUT", body=b"")
                      + request("/connection", BLOG))
            want(good(wire.reply()).text == "hello from blog", "the first answer")
            for what in ("the body", "the chunked body"):
                want(good(wire.reply()).text == f"adler32={zlib.adler32(body):08x} length=50000",
                     what)
            want(good(wire.reply()).text == "adler32=00000001 length=0", "the empty body")
            want(good(wire.reply()).text.startswith("connection "), "the last answer")
    apps.blog(case)


class Peak(threading.Thread):
    """The most memory that the front had while the block ran."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._over = threading.Event()
        self.bytes = 0

    def run(self) -> None:
        while not self._over.wait(0.02):
            try:
                self.bytes = max(self.bytes, user_memory(main_pid("dockwake.service")))
            except OSError:
                pass  # not started yet

    def __enter__(self) -> "Peak":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


@scenario("http-64-mib-up-and-down")
def both_ways() -> None:
    """64 MiB up and down at once, with and without chunks, in little memory."""
    size = 64 * MIB
    block = os.urandom(MIB)
    heads = (request("/echo", BLOG, f"Content-Length: {size}", method="POST"),
             request("/echo", BLOG, "Transfer-Encoding: chunked", method="POST"))
    most = 0

    def case() -> None:
        nonlocal most
        for head in heads:
            in_chunks = b"chunked" in head
            with Wire() as wire, Peak() as peak:
                def send() -> None:
                    wire.send(head)
                    for _ in range(size // MIB):
                        wire.send(chunk(block) if in_chunks else block)
                    if in_chunks:
                        wire.send(b"0\r\n\r\n")
                sender = threading.Thread(target=send)
                sender.start()
                reply = good(wire.head())
                came, sum_ = 0, 1
                while part := (wire.next_chunk(reply) if in_chunks
                               else wire.stream.read(min(MIB, size - came))):
                    came += len(part)
                    sum_ = zlib.adler32(part, sum_)
                sender.join()
            want(came == size and sum_ == whole, f"{came} of {size} bytes came back, or others")
            most = max(most, peak.bytes)
    whole = 1
    for _ in range(size // MIB):
        whole = zlib.adler32(block, whole)
    apps.blog(case)
    want(0 < most < 8 * MIB, f"the front held {most / MIB:.1f} MiB")
    say(f"the front held at most {most / MIB:.1f} MiB")


@scenario("http-slow-reader-harms-nobody")
def slow_reader() -> None:
    """Clients that do not read their 64 MiB: others are served, and the front holds little."""
    app("blog")
    enable()

    def case() -> None:
        slow = []
        try:
            for _ in range(10):
                sock = socket.socket()
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
                sock.settimeout(30)
                sock.connect((HOST, PORT))
                wire = Wire(sock=sock)
                slow.append(wire)
                wire.send(request(f"/download?bytes={64 * MIB}", BLOG))
                good(wire.head())
            with Wire() as wire:
                for _ in range(200):
                    good(wire.ask("/", BLOG))
            memory = user_memory(main_pid("dockwake.service"))
            want(memory < 8 * MIB, f"the front holds {memory / MIB:.1f} MiB")
        finally:
            for wire in slow:
                wire.close()
    in_both_states(case, "blog")


@scenario("http-answers-of-all-kinds")
def odd_backends() -> None:
    """Answers that end with the connection, that break off, and that make no sense."""
    cases = {
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end": (200, b"until the end"),
        b"HTTP/1.0 200 OK\nContent-Length: 3\n\nold": (200, b"old"),
        b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok": (200, b"ok"),
        b"nonsense\r\n\r\n": (502, None),
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc": (502, None),
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":
            (502, None),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx": (502, None),
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100000 + b"\r\n\r\n": (502, None),
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n": (502, None),
        b"": (502, None),
    }
    answers = iter(cases)

    def serve(peer: socket.socket, seen: bytearray) -> None:
        if take(peer, seen):
            peer.sendall(next(answers))

    with Backend(serve) as backend:
        app("blog", {"app": {"address": backend.address}})
        enable()
        for answer, (status, body) in cases.items():
            with Wire() as wire:
                wire.send(request("/", BLOG, method="POST", body=b"not to be sent twice"))
                reply = wire.reply()
                want(reply.status == status and (body is None or reply.body == body),
                     f"{answer[:80]!r}: {reply.status} {reply.body[:80]!r}")


@scenario("http-cut-answer-is-not-whole")
def cut_answer() -> None:
    """An answer that breaks off before its end must not look complete."""
    cases = iter((b"Content-Length: 100\r\n\r\npart",
                  b"Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
                  b"Transfer-Encoding: chunked\r\n\r\n4\r\npartXX5\r\n"))

    def serve(peer: socket.socket, seen: bytearray) -> None:
        if take(peer, seen):
            peer.sendall(b"HTTP/1.1 200 OK\r\n" + next(cases))

    with Backend(serve) as backend:
        app("blog", {"app": {"address": backend.address}})
        enable()
        for framing in ("length", "chunked", "chunked"):
            with Wire() as wire:
                wire.send(request("/", BLOG))
                reply = wire.head()
                if reply.status == 502:
                    continue  # what is wrong with it was seen before anything was passed on
                want(reply.status == 200 and reply.framing == framing, f"{reply}")
                try:
                    data = wire.stream.read()
                except ConnectionResetError:
                    data = b""
                want(b"0\r\n\r\n" not in data and len(data) < 100, f"made whole: {data!r}")


@scenario("http-all-methods")
def methods() -> None:
    """Any method passes, OPTIONS * and one that nobody knows among them; CONNECT does not."""
    def case() -> None:
        with Wire() as wire:
            for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "REPORT", "M-SEARCH"):
                body = b"x" if method in ("POST", "PUT", "PATCH") else None
                reply = good(wire.ask("/headers", BLOG, method=method, body=body))
                want(reply.text.startswith(f"{method} /headers HTTP/1.1"), reply.text[:60])
            good(wire.ask("*", BLOG, method="OPTIONS"))
        with Wire() as wire:
            reply = wire.ask("blog.test:80", BLOG, method="CONNECT")
            want(reply.status in (400, 405, 501) and not reply.server, f"CONNECT: {reply.status}")
    apps.blog(case)


@scenario("http-workers-one-start", 1)
@scenario("http-workers-one-start-of-four", 4)
def workers(number: int) -> None:
    """Requests at once, spread over the workers: one start, and each is answered."""
    write_config({"front": {"workers": number, "exit_idle": "1h"}})
    app("blog", START_DELAY=200)
    enable()
    with apps.Events("blog") as events:
        wires = [Wire() for _ in range(40)]
        for wire in wires:
            wire.send(request("/", BLOG))
        for wire in wires:
            good(wire.reply())
            wire.close()
        want(events.count("start") == 1, f"events: {events.seen()}")
    with open(f"/proc/{main_pid('dockwake.service')}/status") as file:
        threads = [line.split()[1] for line in file if line.startswith("Threads:")]
    want(threads == [str(number)], f"{threads} threads for {number} workers")
