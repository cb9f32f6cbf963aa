#!/usr/bin/env python3
"""What the front does with requests, upgrades and raw TCP, and what it answers itself. TAP."""

import contextlib
import hashlib
import os
import select
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from bench import bench, echo, echo_head, hello, ok, reset  # noqa: E402
from fakes import LEASE, RELEASE, read_all, read_answer, read_exactly, read_until  # noqa: E402
from tap import case, main  # noqa: E402


# --- requests -----------------------------------------------------------------------------------

@case
def a_request_reaches_its_app_rewritten():
    with bench() as b:
        b.app("one", echo_head)
        b.start()
        head = b.ask(b"GET http://one.test/a?b HTTP/1.1\r\nHost: other.test\r\n"
                     b"Connection: keep-alive, X-Hop\r\nKeep-Alive: 5\r\nX-Hop: 1\r\n"
                     b"X-Forwarded-For: 9.9.9.9\r\nX-End: 2\r\n\r\n").split(b"\r\n\r\n", 1)[1]
        line, *fields = head.split(b"\r\n")[:-2]
        assert line == b"GET /a?b HTTP/1.1", head
        assert sorted(fields) == [
            b"Forwarded: for=127.0.0.1;host=one.test;proto=http", b"Host: one.test", b"X-End: 2",
            b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-Host: one.test",
            b"X-Forwarded-Proto: http"], head
        head = b.ask(b"GET / HTTP/1.0\r\nHost: ONE.test:80\r\n\r\n").split(b"\r\n\r\n", 1)[1]
        assert head.startswith(b"GET / HTTP/1.1\r\nHost: ONE.test:80\r\n"), head
        b.ask_exit()


@case
def bodies_end_where_they_end():
    got = []

    def backend(peer):
        data = read_until(peer, b"END")
        peer.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            data = read_all(peer, data)
        got.append(data.split(b"\r\n\r\n", 1)[1])
        ok(peer)

    with bench() as b:
        b.app("one", backend)
        b.start()
        head = b"POST / HTTP/1.1\r\nHost: one.test\r\n"
        other = b"GET /other HTTP/1.1\r\nHost: nobody.test\r\n\r\n"
        chunked = b"5;x=y\r\nhello\r\n003\r\nEND\r\n0\r\nT: u\r\n\r\n"
        for fields, body in ((b"Content-Length: 8\r\n", b"helloEND"),
                             (b"Transfer-Encoding: chunked\r\n", chunked)):
            for size in (10000, 1):  # in one piece, in pieces of one byte
                with b.connect() as client:
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    data = head + fields + b"\r\n" + body + other
                    for at in range(0, len(data), size):
                        client.send(data[at:at + size])
                    answer = read_answer(client)
                    assert b" 200 " in answer, answer
                    assert got[-1] == body, got
                    assert read_answer(client).startswith(b"HTTP/1.1 404")
        b.ask_exit()


@case
def a_malformed_chunk_never_passes():
    got = []

    def backend(peer):
        got.append(read_all(peer))

    with bench() as b:
        b.app("one", backend)
        b.start()
        answer = b.ask(b"POST / HTTP/1.1\r\nHost: one.test\r\nTransfer-Encoding: chunked\r\n\r\n"
                       b"5\r\nhelloGET / HTTP/1.1\r\n\r\n")
        assert b"400 Bad Request" in answer, answer
        b.ask_exit()
        b.until(lambda: got)
        assert b"GET" not in got[0], got


@case
def a_large_upload_to_a_sleeping_app_is_held_back_and_whole():
    size = 24 << 20
    body = os.urandom(1 << 20) * 24

    def backend(peer):
        head, data = read_until(peer, b"\r\n\r\n").split(b"\r\n\r\n", 1)
        digest = hashlib.sha256(data)
        n = len(data)
        while n < size:
            piece = peer.recv(1 << 20)
            digest.update(piece)
            n += len(piece)
        ok(peer, digest.hexdigest().encode())

    with bench() as b:
        one = b.app("one", backend, ready=False)
        b.start()
        with b.connect() as client:
            sent = []

            def send():
                client.sendall(b"POST / HTTP/1.1\r\nHost: one.test\r\n"
                               b"Content-Length: %d\r\n\r\n" % size)
                client.sendall(body)
                sent.append(time.monotonic())

            sender = threading.Thread(target=send)
            sender.start()
            b.engine.wait(LEASE, "one")
            b.assert_quiet()
            assert not sent, "all was taken before there was a backend"
            b.engine.answer("one", one.port)
            answer = read_answer(client)
            sender.join()
        assert hashlib.sha256(body).hexdigest().encode() in answer, answer
        b.ask_exit()


@case
def expect_100_continue_passes():
    def backend(peer):
        read_until(peer, b"\r\n\r\n")
        peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        ok(peer, read_exactly(peer, 5))

    with bench() as b:
        b.app("one", backend)
        b.start()
        with b.connect() as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: one.test\r\nContent-Length: 5\r\n"
                           b"Expect: 100-continue\r\n\r\n")
            assert read_until(client, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(b"hello")
            assert read_answer(client).endswith(b"\r\n\r\nhello")
        b.ask_exit()


@case
def an_early_answer_to_an_upload_arrives():
    def backend(peer):
        read_until(peer, b"\r\n\r\n")
        peer.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
        # Closes with unread bytes, so the kernel resets the connection.

    with bench() as b:
        b.app("one", backend)
        b.start()
        for _ in range(20):
            with b.connect() as client:
                with contextlib.suppress(OSError):
                    client.sendall(b"POST / HTTP/1.1\r\nHost: one.test\r\n"
                                   b"Content-Length: 4000000\r\n\r\n" + bytes(3000000))
                assert read_until(client, b"\r\n\r\n").startswith(b"HTTP/1.1 413")
        b.ask_exit()


@case
def a_body_cut_short_is_not_passed_on_as_whole():
    def backend(peer):
        data = read_all(peer)
        ok(peer, b"saw the end" if data.endswith(b"hel") else data)

    with bench() as b:
        b.app("one", backend)
        b.start()
        with b.connect() as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: one.test\r\nContent-Length: 5\r\n\r\nhel")
            client.shutdown(socket.SHUT_WR)
            assert read_all(client).endswith(b"saw the end")
        b.ask_exit()


@case
def a_client_that_ends_its_sending_is_served():
    with bench() as b:
        one = b.app("one", hello, ready=False)
        b.start()
        with b.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
            client.shutdown(socket.SHUT_WR)
            b.engine.wait(LEASE, "one")
            b.assert_quiet(0.2)
            b.engine.answer("one", one.port)
            assert read_answer(client).endswith(b"hello\n")
        b.ask_exit()


# --- upgrades and TCP ---------------------------------------------------------------------------

UPGRADE = b"GET /ws HTTP/1.1\r\nHost: one.test\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"


@case
def an_upgrade_becomes_a_tunnel():
    early = []

    def backend(peer):
        head = read_until(peer, b"\r\n\r\n")
        assert b"Connection: upgrade\r\n" in head and b"Upgrade: x\r\n" in head, head
        ready, _, _ = select.select([peer], [], [], 0.3)
        early.append((head, ready))
        peer.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: <>\r\n\r\n" + SWITCH[:11])
        time.sleep(0.05)
        peer.sendall(SWITCH[11:] + b"first ")
        echo(peer)
        peer.sendall(b"last")

    with bench() as b:
        b.app("one", backend)
        b.start()
        with b.connect() as client:
            client.sendall(UPGRADE + b"ahead ")
            read_until(client, b"first ahead ")
            client.sendall(b"more ")
            read_until(client, b"more ")
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b"last"
        assert early[0][0].endswith(b"\r\n\r\n") and not early[0][1], early
        b.ask_exit()


@case
def an_upgrade_that_is_refused_lets_nothing_more_through():
    got = []

    def backend(peer):
        data = read_until(peer, b"\r\n\r\n")
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
        peer.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            data = read_all(peer, data)
        got.append(data)

    with bench() as b:
        b.app("one", backend)
        b.start()
        with b.connect() as client:
            client.sendall(UPGRADE + b"GET /smuggled HTTP/1.1\r\n\r\n")
            assert read_answer(client).endswith(b"no")
            assert read_answer(client).startswith(b"HTTP/1.1 400")
        b.until(lambda: got)
        assert b"smuggled" not in got[0], got
        b.ask_exit()


@case
def tcp_is_relayed_with_half_close():
    def backend(peer):
        data = read_all(peer)
        peer.sendall(hashlib.sha256(data).hexdigest().encode())

    with bench() as b:
        tcp, port = b.tcp_app("tcp", backend, ready=False)
        b.start()
        data = os.urandom(3 << 20)
        with b.connect(port) as client:
            client.sendall(data[:1000])
            b.engine.wait(LEASE, "tcp")
            b.assert_quiet(0.2)
            b.engine.answer("tcp", tcp.port)
            client.sendall(data[1000:])
            client.shutdown(socket.SHUT_WR)
            assert read_all(client).decode() == hashlib.sha256(data).hexdigest()
        b.ask_exit()


@case
def either_side_may_speak_first_and_end_first():
    def backend(peer):
        peer.sendall(b"banner\n")
        peer.shutdown(socket.SHUT_WR)
        got.append(read_all(peer))

    got = []
    with bench() as b:
        _, port = b.tcp_app("tcp", backend)
        b.start()
        with b.connect(port) as client:
            assert read_all(client) == b"banner\n"
            client.sendall(b"late")
        b.ask_exit()
        assert got == [b"late"], got


@case
def a_reset_stays_a_reset():
    with bench() as b:
        tcp, port = b.tcp_app("tcp", lambda peer: (peer.recv(10), reset(peer)))
        b.start()
        with b.connect(port) as client:
            client.sendall(b"x")
            try:
                assert client.recv(1), "an orderly end"
                raise AssertionError("bytes")
            except ConnectionResetError:
                pass
        b.ask_exit()


@case
def a_slow_reader_stops_a_fast_writer():
    sent = []

    def backend(peer):
        read_until(peer, b"\r\n\r\n")
        peer.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        block = bytes(range(256)) * 256
        for _ in range(1024):  # 64 MiB
            peer.sendall(block)
            sent.append(1)

    with bench() as b:
        b.app("one", backend)
        b.start()
        with b.connect(buffer=65536) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
            read_until(client, b"\r\n\r\n")
            n = -1
            while n != len(sent):  # until everything between is full
                n = len(sent)
                time.sleep(0.3)
            assert n < 800, n
            b.assert_quiet()
            with open(f"/proc/{b.process.pid}/status") as file:
                rss = [line for line in file if line.startswith("VmRSS")][0]
            total = 0
            while piece := client.recv(1 << 20):
                total += len(piece)
            assert total >= (64 << 20) - 65536, total
            assert int(rss.split()[1]) < 64 << 10, rss
        b.ask_exit()


# --- answers of its own -------------------------------------------------------------------------

@case
def bad_requests_get_their_status():
    with bench() as b:
        b.conf("head_limit = 1K\nhead_timeout = 500ms\n")
        b.app("one", hello)
        b.ini("broken", "[app]\nnonsense = 1\n[route]\nhost = broken.test\n")
        b.start()
        for status, request in (
                (400, b"\x17\x03\x01\x02\x00\x01\x00"),
                (400, b"GET / HTTP/1.1\r\n\r\n"),
                (400, b"GET / HTTP/1.1\nHost: one.test\n\n"),
                (404, b"GET / HTTP/1.1\r\nHost: nobody.test\r\n\r\n"),
                (404, b"GET / HTTP/1.0\r\n\r\n"),
                (408, b"GET / HTTP/1.1\r\nHost: one"),
                (414, b"GET /" + b"a" * 2000),
                (431, b"GET / HTTP/1.1\r\nHost: one.test\r\nA: " + b"a" * 2000),
                (501, b"CONNECT a:1 HTTP/1.1\r\nHost: one.test\r\n\r\n"),
                (503, b"GET / HTTP/1.1\r\nHost: broken.test\r\n\r\n"),
                (505, b"GET / HTTP/2.0\r\nHost: one.test\r\n\r\n")):
            assert b.status(request) == status, (status, request)
        head = b.ask(b"HEAD / HTTP/1.1\r\nHost: nobody.test\r\n\r\n")
        assert head.endswith(b"\r\n\r\n") and b"Content-Length: " in head, head
        # Nothing was asked, nothing is answered.
        assert b.ask(b"") == b""
        with b.connect() as client:
            client.sendall(b"GET / HT")
            client.shutdown(socket.SHUT_WR)
            assert read_all(client).startswith(b"HTTP/1.1 400")
        with b.connect() as client:
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b""
        assert not b.engine.seen
        b.ask_exit()


@case
def an_incomplete_head_costs_nothing():
    with bench() as b:
        b.app("one", hello)
        b.start()
        clients = [b.connect() for _ in range(20)]
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nHo")
        assert b.get("one").endswith(b"hello\n")
        b.engine.wait(RELEASE, "one")
        b.assert_quiet()
        for client in clients:
            client.sendall(b"st: one.test\r\n\r\n")
            assert read_answer(client).endswith(b"hello\n")
            client.close()
        b.ask_exit()


@case
def an_answer_survives_what_the_client_still_sends():
    with bench() as b:
        b.start()
        for _ in range(20):
            with b.connect() as client:
                client.sendall(b"POST / HTTP/1.1\r\nHost: nobody.test\r\n"
                               b"Content-Length: 2000000\r\n\r\n" + bytes(2000000))
                assert read_all(client).startswith(b"HTTP/1.1 404")
        b.ask_exit()


@case
def too_many_connections_are_told_so():
    with bench() as b:
        b.conf("max_connections = 10\n")
        b.app("one", hello)
        tcp, port = b.tcp_app("tcp", echo)
        b.start()
        held = [b.connect(port) for _ in range(10)]
        for client in held:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
        for _ in range(400):
            answer = b.get("one")
            assert answer.startswith(b"HTTP/1.1 503 ") and b"too many" in answer, answer
        with b.connect(port) as client:
            assert client.recv(1) == b""
        held.pop().close()
        end = time.monotonic() + 10
        while not b.get("one").endswith(b"hello\n"):
            assert time.monotonic() < end
        for client in held:
            client.close()
        b.ask_exit()


@case
def without_descriptors_it_pauses_and_goes_on():
    with bench() as b:
        b.app("one", hello)
        tcp, port = b.tcp_app("tcp", echo)
        b.start(limit=24)
        clients = []
        for _ in range(30):
            client = b.connect(port)
            client.sendall(b"x")
            clients.append(client)
        b.wait_log("accepting pauses")
        before = b.cpu()
        time.sleep(0.5)
        after = b.cpu()
        assert after[0] - before[0] <= 2 and after[1] - before[1] < 40, (before, after)
        for client in clients:
            client.close()
        end = time.monotonic() + 10
        while not b.get("one").endswith(b"hello\n"):
            assert time.monotonic() < end
        b.ask_exit()


if __name__ == "__main__":
    sys.exit(main())
