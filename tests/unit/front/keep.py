#!/usr/bin/env python3
"""Many requests over one connection, and backend connections that serve many. TAP."""

import os
import socket
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from bench import bench, get, post, server  # noqa: E402
from fakes import (LEASE, RELEASE, read_all, read_answer, read_exactly,  # noqa: E402
                   read_until)
from tap import case, main  # noqa: E402


def read_line(peer: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\r\n"):
        line += read_exactly(peer, 1)
    return line[:-2]


@case
def one_backend_connection_serves_many_requests():
    with bench() as b:
        one = b.app("one", server())
        b.conf("workers = 1\n")
        b.start()
        with b.connect() as client:
            for i in range(50):
                client.sendall(get(b"/%d" % i) if i % 3 else post(b"/%d" % i, b"body"))
                answer = read_answer(client)
                assert answer.endswith(b"one /%d %s" % (i, b"" if i % 3 else b"body")), answer
        for i in range(20):  # other clients, the same backend connection
            assert b.get("one", f"/{i}").endswith(b"one /%d " % i)
        assert one.accepted == 1, one.accepted
        b.ask_exit()


@case
def pipelined_requests_of_two_hosts_are_answered_in_order():
    with bench() as b:
        b.app("one", server(b"one"))
        two = b.app("two", server(b"two"), ready=False)
        b.start()
        with b.connect() as client:
            client.sendall(b"".join(get(b"/%d" % i, b"one.test" if i % 2 else b"two.test")
                                    for i in range(100)))
            b.engine.wait(LEASE, "two")
            b.engine.answer("two", two.port)
            b.engine.apps["two"] = two.port
            for i in range(100):
                answer = read_answer(client)
                assert answer.endswith(b"%s /%d " % (b"one" if i % 2 else b"two", i)), (i, answer)
        b.ask_exit()


@case
def pipelined_bodies_keep_their_bounds():
    with bench() as b:
        b.app("one", server())
        b.start()
        requests = b"".join(post(b"/%d" % i, b"GET /smuggled%d HTTP/1.1\r\n\r\n" % i) +
                            get(b"/get%d" % i) for i in range(30))
        for size in (len(requests), 7):
            with b.connect() as client:
                thread = threading.Thread(target=lambda c=client, n=size: [
                    c.sendall(requests[at:at + n]) for at in range(0, len(requests), n)])
                thread.start()
                for i in range(30):
                    answer = read_answer(client)
                    assert answer.endswith(b"one /%d GET /smuggled%d HTTP/1.1\r\n\r\n" % (i, i))
                    assert read_answer(client).endswith(b"one /get%d " % i)
                thread.join()
        b.ask_exit()


@case
def a_backend_that_closes_between_requests_costs_nothing():
    with bench() as b:
        one = b.app("one", server(limit=1))
        b.conf("workers = 1\n")
        b.start()
        with b.connect() as client:
            for i in range(30):
                request = get(b"/%d" % i) if i % 2 else post(b"/%d" % i, b"x")
                client.sendall(request)
                assert b" 200 " in read_answer(client), i
        assert one.accepted == 30, one.accepted
        b.ask_exit()


@case
def a_stale_connection_is_replaced_once_for_what_may_be_repeated():
    seen = []

    def backend(peer):  # serves two requests, and hangs up on the third as it comes
        for _ in range(2):
            seen.append(read_until(peer, b"\r\n\r\n").split()[0])
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        seen.append(read_until(peer, b"\r\n\r\n").split()[0] + b" stale")

    with bench() as b:
        b.app("one", backend)
        b.conf("workers = 1\n")
        b.start()
        with b.connect() as client:
            for _ in range(6):
                client.sendall(get(b"/"))
                assert read_answer(client).endswith(b"ok")
            assert seen.count(b"GET stale") == 2, seen
            client.sendall(post(b"/", b"x"))
            assert read_answer(client).startswith(b"HTTP/1.1 502")
        assert seen.count(b"POST stale") == 1 and seen.count(b"POST") == 0, seen
        b.ask_exit()


@case
def what_is_behind_an_answer_is_nobodys():
    def backend(peer):
        read_until(peer, b"\r\n\r\n")
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                     b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        read_all(peer)

    with bench() as b:
        one = b.app("one", backend)
        b.start()
        with b.connect() as client:
            for i in range(10):
                client.sendall(get(b"/"))
                answer = read_answer(client)
                assert answer.endswith(b"ok"), answer
        assert one.accepted == 10, one.accepted
        b.ask_exit()


@case
def unasked_words_of_an_idle_backend_end_it():
    gate = threading.Event()

    def backend(peer):
        read_until(peer, b"\r\n\r\n")
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        if not gate.is_set():
            gate.set()
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
            try:
                ended.append(read_all(peer))
            except ConnectionResetError:  # what it said was thrown away unread
                ended.append(b"")
            done.set()

    ended, done = [], threading.Event()
    with bench() as b:
        b.app("one", backend)
        b.start()
        assert b.get("one").endswith(b"ok")
        assert done.wait(10) and ended == [b""], ended
        assert b.get("one").endswith(b"ok")
        b.ask_exit()


@case
def an_answer_may_come_in_pieces_of_one_byte():
    parts = (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
             b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: X-Hop\r\nX-Hop: 1\r\n"
             b"X-End: 1\r\n\r\n5\r\nhello\r\n1;x\r\n!\r\n0\r\nTrailer: t\r\n\r\n")

    def backend(peer):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(3):
            if not read_until(peer, b"\r\n\r\n"):
                return
            for byte in parts[0] + parts[1]:
                peer.send(bytes([byte]))

    with bench() as b:
        one = b.app("one", backend)
        b.conf("workers = 1\n")
        b.start()
        with b.connect() as client:
            for _ in range(3):
                client.sendall(get(b"/"))
                answer = read_until(client, b"Trailer: t\r\n\r\n")
                assert answer.startswith(parts[0]), answer
                final = answer[len(parts[0]):]
                assert b"X-Hop" not in final and b"X-End: 1\r\n" in final, final
                assert final.endswith(b"\r\n\r\n5\r\nhello\r\n1;x\r\n!\r\n0\r\nTrailer: t\r\n\r\n")
        assert one.accepted == 1
        b.ask_exit()


@case
def http_1_0_gets_no_chunks_and_no_interim_answers():
    def backend(peer):
        while read_until(peer, b"\r\n\r\n"):
            peer.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n"
                         b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            peer.sendall(b"3\r\n, w\r\n4\r\norld\r\n0\r\n\r\n")

    with bench() as b:
        one = b.app("one", backend)
        b.app("two", server(b"two"))
        b.conf("workers = 1\n")
        b.start()
        for _ in range(2):
            with b.connect() as client:
                client.sendall(b"GET / HTTP/1.0\r\nHost: one.test\r\nConnection: keep-alive\r\n\r\n")
                answer = read_all(client)
                assert answer.endswith(b"\r\n\r\nhello, world"), answer
                assert b"chunked" not in answer and b" 103 " not in answer, answer
        assert one.accepted == 1
        with b.connect() as client:  # a known length leaves the connection open, if asked to
            for i in range(3):
                client.sendall(b"GET /%d HTTP/1.0\r\nHost: two.test\r\n"
                               b"Connection: keep-alive\r\n\r\n" % i)
                answer = read_answer(client)
                assert answer.endswith(b"two /%d " % i) and b"Connection: keep-alive" in answer
            client.sendall(b"GET /last HTTP/1.0\r\nHost: two.test\r\n\r\n")
            assert read_all(client).endswith(b"two /last ")
        b.ask_exit()


@case
def bodyless_answers_end_with_their_head():
    def backend(peer):
        data = b""
        while data := read_until(peer, b"\r\n\r\n", data):
            head, data = data.split(b"\r\n\r\n", 1)
            status = {b"/204": b"204 No Content", b"/304": b"304 Not Modified"}.get(
                head.split()[1], b"200 OK")
            length = b"" if b"204" in status else b"Content-Length: 1000\r\n"
            peer.sendall(b"HTTP/1.1 " + status + b"\r\n" + length + b"\r\n")

    with bench() as b:
        one = b.app("one", backend)
        b.conf("workers = 1\n")
        b.start()
        with b.connect() as client:
            for _ in range(3):
                for request in (get(b"/204"), get(b"/304"),
                                b"HEAD / HTTP/1.1\r\nHost: one.test\r\n\r\n"):
                    client.sendall(request)
                    answer = read_answer(client, to_head=True)
                    assert answer.endswith(b"\r\n\r\n"), answer
                    assert (b"Content-Length: 1000" in answer) == (b"204" not in answer), answer
        assert one.accepted == 1
        b.ask_exit()


@case
def an_answer_without_length_ends_with_the_connection():
    def backend(peer):
        read_until(peer, b"\r\n\r\n")
        peer.sendall(b"HTTP/1.0 200 OK\r\n\r\nall ")
        peer.sendall(b"of it")

    with bench() as b:
        b.app("one", backend)
        b.start()
        with b.connect() as client:
            client.sendall(get(b"/"))
            answer = read_all(client)
            assert b"Connection: close\r\n" in answer and answer.endswith(b"\r\n\r\nall of it")
        b.ask_exit()


@case
def a_reset_behind_such_an_answer_is_its_end_if_there_was_a_body():
    def backend(peer):
        peer.recv(10)
        peer.sendall(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        # Closes with unread bytes, so the kernel resets the connection.

    with bench() as b:
        b.app("one", backend)
        b.start()
        for _ in range(20):
            with b.connect() as client:
                client.sendall(post(b"/", b"not read"))
                assert read_all(client).endswith(b"\r\n\r\nall of it")
        b.ask_exit()


@case
def a_bad_answer_is_a_502_and_its_connection_ends():
    bad = [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
           b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
           b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
           b"SSH-2.0-nothing\r\n", b"HTTP/1.1 200 OK\r\n" + b"A: " + b"a" * 60000 + b"\r\n\r\n",
           b"HTTP/1.1 100 Continue\r\n\r\n" * 100]
    todo = list(bad)

    def backend(peer):
        read_until(peer, b"\r\n\r\n")
        peer.sendall(todo.pop(0))
        read_all(peer)

    with bench() as b:
        one = b.app("one", backend)
        b.start()
        for text in bad:
            answer = b.get("one")
            assert b"HTTP/1.1 502 " in answer, (text[:80], answer)
        assert one.accepted == len(bad)
        b.ask_exit()


@case
def a_truncated_answer_is_not_passed_on_as_whole():
    def backend(peer):
        head = read_until(peer, b"\r\n\r\n")
        if b"/length" in head:
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        else:
            peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")

    with bench() as b:
        b.app("one", backend)
        b.start()
        for path in (b"/length", b"/chunked"):
            with b.connect() as client:
                client.sendall(get(path))
                answer = read_all(client)
                assert answer.endswith((b"hello", b"hello\r\n")), answer
        b.ask_exit()


@case
def both_ways_at_once_and_an_early_answer():
    def backend(peer):
        head, data = read_until(peer, b"\r\n\r\n").split(b"\r\n\r\n", 1)
        peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        left = 4 << 20
        while left:
            data = data or peer.recv(65536)
            peer.sendall(b"%x\r\n%s\r\n" % (len(data), data))
            left -= len(data)
            data = b""
        peer.sendall(b"0\r\n\r\n")

    with bench() as b:
        b.app("one", backend)
        b.start()
        body = os.urandom(4 << 20)
        with b.connect() as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: one.test\r\nContent-Length: %d\r\n\r\n"
                           % len(body))
            assert b" 200 " in read_until(client, b"\r\n\r\n")
            sender = threading.Thread(target=client.sendall, args=(body,))
            sender.start()
            got = b""
            while size := int(read_line(client), 16):
                got += read_exactly(client, size + 2)[:-2]
            assert read_line(client) == b""
            sender.join()
            client.sendall(get(b"/", b"nobody.test"))  # both ended, so it goes on
            assert read_answer(client).startswith(b"HTTP/1.1 404")
        assert got == body
        b.ask_exit()


@case
def answers_of_its_own_leave_the_connection_open():
    with bench() as b:
        b.app("one", server())
        b.start()
        with b.connect() as client:
            for i in range(20):
                client.sendall(get(b"/", b"nobody.test") + get(b"/%d" % i))
                assert read_answer(client).startswith(b"HTTP/1.1 404")
                assert read_answer(client).endswith(b"one /%d " % i)
            client.sendall(get(b"/", fields=b"Connection: close\r\n") + get(b"/ignored"))
            answer = read_all(client)
            assert answer.endswith(b"one / ") and b"Connection: close\r\n" in answer, answer
        b.ask_exit()


@case
def a_quiet_connection_is_closed_after_its_time():
    with bench() as b:
        b.conf("keepalive_timeout = 1s\n")
        b.app("one", server())
        b.start()
        with b.connect() as client:
            client.sendall(get(b"/"))
            assert read_answer(client).endswith(b"one / ")
            assert read_all(client) == b""
        b.ask_exit()


@case
def a_stop_closes_quiet_connections_at_once():
    with bench() as b:
        b.app("one", server())
        b.start()
        with b.connect() as client:
            client.sendall(get(b"/"))
            read_answer(client)
            b.ask_exit()
            assert read_all(client) == b""


@case
def a_quiet_connection_holds_no_lease():
    with bench() as b:
        b.app("one", server())
        b.conf("workers = 1\n")
        b.start()
        with b.connect() as client:
            client.sendall(get(b"/"))
            read_answer(client)
            b.engine.wait(RELEASE, "one")
            client.sendall(get(b"/again"))
            assert read_answer(client).endswith(b"one /again ")
            b.engine.wait(LEASE, "one", 2)
        b.ask_exit()


@case
def who_owes_a_body_or_takes_no_answer_is_cut_off():
    def backend(peer):
        if (data := read_until(peer, b"\r\n\r\n")).startswith(b"POST"):
            ended.append(read_all(peer, data).split(b"\r\n\r\n")[1])
            return
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n")
        for _ in range(900):
            peer.sendall(bytes(100000))

    ended = []
    with bench() as b:
        b.conf("stall_timeout = 1s\n")
        b.app("one", backend)
        b.start()
        with b.connect() as client, b.connect(buffer=4096) as reader:
            client.sendall(b"POST / HTTP/1.1\r\nHost: one.test\r\nContent-Length: 5\r\n\r\nhel")
            reader.sendall(get(b"/"))
            assert read_answer(client).startswith(b"HTTP/1.1 408")
            try:
                assert len(read_all(reader)) < 90000000
            except ConnectionResetError:
                pass
        b.ask_exit()
    assert ended == [b"hel"], ended


@case
def a_silent_tunnel_gives_its_lease_back_until_it_speaks():
    def backend(peer):
        while data := peer.recv(100):
            peer.sendall(data)

    with bench() as b:
        tcp, port = b.tcp_app("tcp", backend, more="[idle]\nsilence = 1s\n")
        b.start()
        with b.connect(port) as client:
            for i in range(3):
                client.sendall(b"x")
                assert client.recv(1) == b"x"
                b.engine.wait(LEASE, "tcp", i + 1)
                b.engine.wait(RELEASE, "tcp", i + 1)
        b.ask_exit()


if __name__ == "__main__":
    sys.exit(main())
