#!/usr/bin/env python3
"""Which app a request, a ClientHello or a connection goes to, by whom, and who may wake it. TAP."""

import contextlib
import os
import socket
import ssl
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from bench import bench, echo_head, get, hello, ok, server  # noqa: E402
from fakes import (ASLEEP, AWAKE, EXITED, LEASE, MISSING, STARTING,  # noqa: E402
                   read_all, read_answer, read_exactly, read_until)
from tap import case, main  # noqa: E402

V2 = b"\r\n\r\n\0\r\nQUIT\n"


def ask(b, path: bytes, host: bytes = b"one.test", fields: bytes = b"") -> bytes:
    return b.ask(get(path, host, fields))


# --- routes -------------------------------------------------------------------------------------

@case
def paths_are_prefixes_and_may_be_left_out():
    with bench() as b:
        for name, keys in (("root", "host = one.test"), ("kept", "host = one.test\npath = /app"),
                           ("gone", "host = one.test\npath = /app/x\nstrip_path = yes"),
                           ("any", "path = /any")):
            b.ini(name, f"[route]\n{keys}\n")
            b.serve(name, server(name.encode()))
        b.start()
        for path, want in ((b"/", b"root /"), (b"/apple", b"root /apple"), (b"/app", b"kept /app"),
                           (b"/app/y?z", b"kept /app/y?z"), (b"/app/x", b"gone /"),
                           (b"/app/x/y/?z", b"gone /y/?z"), (b"/%61pp/x/y", b"gone /y"),
                           (b"/any/x", b"root /any/x")):
            answer = ask(b, path)
            assert answer.endswith(want + b" "), (path, answer)
        assert ask(b, b"/app/../x").startswith(b"HTTP/1.1 400")
        assert ask(b, b"/app/%2e%2E/x").startswith(b"HTTP/1.1 400")
        assert ask(b, b"/any", b"other.test").endswith(b"any /any ")
        assert ask(b, b"/", b"other.test").startswith(b"HTTP/1.1 404")
        b.ask_exit()


@case
def the_prefix_that_was_left_out_is_told():
    with bench() as b:
        b.ini("one", "[route]\nhost = one.test\npath = /a/b\nstrip_path = yes\n")
        b.serve("one", echo_head)
        b.start()
        head = ask(b, b"/a/b/c")
        assert b"GET /c HTTP/1.1\r\n" in head and b"\r\nX-Forwarded-Prefix: /a/b\r\n" in head, head
        b.ask_exit()


@case
def cookies_choose_and_others_fall_back():
    with bench() as b:
        b.ini("home", "[route]\nhost = one.test\npath = /home\n")
        b.ini("blue", "[route]\nhost = one.test\ncookie = colour=blue\nfallback = /home\n")
        b.ini("minion@", "[app]\ncontainer = minion-%i\n"
                         "[route]\nhost = one.test\ncookie = instance=%i\n")
        for name in ("home", "blue", "minion@1"):
            b.serve(name, server(name.encode()))
        b.engine.apps["minion@nobody"] = (MISSING, "no such container")
        b.start()
        assert ask(b, b"/", fields=b"Cookie: colour=blue\r\n").endswith(b"blue / ")
        assert ask(b, b"/", fields=b"Cookie: a=b; instance=1\r\n").endswith(b"minion@1 / ")
        for cookie in (b"", b"Cookie: colour=red\r\n", b"Cookie: instance=../x\r\n"):
            answer = ask(b, b"/", fields=cookie)
            assert answer.startswith(b"HTTP/1.1 302 ") and b"Location: /home\r\n" in answer, answer
        assert ask(b, b"/home").endswith(b"home /home ")
        assert ask(b, b"/", fields=b"Cookie: instance=nobody\r\n").startswith(b"HTTP/1.1 404")
        b.ask_exit()


@case
def a_cookie_of_an_instance_that_is_not_there_falls_back_too():
    with bench() as b:
        b.ini("minion@", "[app]\ncontainer = minion-%i\n"
                         "[route]\nhost = one.test\ncookie = instance=%i\nfallback = /home\n")
        b.ini("home", "[route]\nhost = one.test\npath = /home\n")
        b.engine.apps["minion@x"] = (MISSING, "no such container")
        b.start()
        answer = ask(b, b"/", fields=b"Cookie: instance=x\r\n")
        assert answer.startswith(b"HTTP/1.1 302 ") and b"Location: /home\r\n" in answer, answer
        b.ask_exit()


@case
def templates_wildcards_and_a_default():
    with bench() as b:
        b.ini("pr@", "[app]\ncontainer = pr-%i\n[route]\nhost = pr-%i.example.test\n")
        b.ini("session@", "[app]\ncontainer = s-%i\n[route]\npath = /session/%i\nstrip_path = yes\n")
        b.ini("wild", "[route]\nhost = *.example.test\n")
        b.ini("other", "[route]\ndefault = yes\n")
        for name in ("pr@7", "session@a-b", "wild", "other"):
            b.serve(name, server(name.encode()))
        b.start()
        for host, path, want in ((b"pr-7.example.test", b"/", b"pr@7 /"),
                                 (b"a.b.example.test", b"/", b"wild /"),
                                 (b"x.test", b"/session/a-b/c", b"session@a-b /c"),
                                 (b"example.test", b"/", b"other /"),
                                 (b"x.test", b"/session", b"other /session")):
            answer = ask(b, path, host)
            assert answer.endswith(want + b" "), (host, path, answer)
        b.ask_exit()


@case
def a_group_takes_turns_and_leaves_out_who_fails():
    with bench() as b:
        b.conf("workers = 1\n")
        b.ini("web", "[app]\ncontainers = a, b, c\n[route]\nhost = one.test\n")
        for i in (1, 2, 3):
            b.serve(f"web@{i}", server(b"%d" % i))
        b.start()
        got = [ask(b, b"/").rsplit(b"\r\n", 1)[1][:1] for _ in range(30)]
        assert [got.count(x) for x in (b"1", b"2", b"3")] == [10, 10, 10], got
        b.engine.wait(LEASE, "web@2")
        b.engine.apps["web@2"] = (EXITED, "it ended")
        b.engine.say(6, "web@2")  # GONE
        got = [ask(b, b"/").rsplit(b"\r\n", 1)[1][:1] for _ in range(30)]
        assert got.count(b"2") <= 1 and got.count(b"1") >= 14 and got.count(b"3") >= 14, got
        b.ask_exit()


# --- TLS ----------------------------------------------------------------------------------------

def hello_for(name: str) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    out = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


@case
def tls_goes_by_its_server_name_untouched():
    def backend(name):
        def handler(peer):
            peer.sendall(name + peer.recv(1 << 16))
        return handler

    with bench() as b:
        b.ini("one", "[route]\nsni = one.test\n")
        b.ini("two", "[route]\nsni = *.two.test\n")
        b.app("web", hello)
        b.serve("one", backend(b"one"))
        b.serve("two", backend(b"two"))
        b.start()
        for name, want in (("one.test", b"one"), ("a.two.test", b"two"), ("ONE.test", b"one")):
            data = hello_for(name)
            for size in (len(data), 1):
                with b.connect() as client:
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    for at in range(0, len(data), size):
                        client.send(data[at:at + size])
                    assert read_exactly(client, 3 + len(data)) == want + data
        with b.connect() as client:
            client.sendall(hello_for("three.test"))
            answer = read_all(client)
            assert len(answer) == 7 and answer[0] == 0x15 and answer[-2:] == b"\x02\x70", answer
        assert b.get("web").endswith(b"hello\n")
        b.ask_exit()


# --- who asks -----------------------------------------------------------------------------------

@case
def a_trusted_proxy_is_believed_and_a_stranger_is_not():
    fields = (b"X-Forwarded-For: 203.0.113.9, 127.0.0.7\r\nX-Forwarded-Proto: https\r\n"
              b"X-Forwarded-Host: outside.test\r\nForwarded: for=203.0.113.9\r\n"
              b"X-Real-IP: 203.0.113.9\r\nX_Forwarded_For: 1.2.3.4\r\n")
    with bench() as b:
        b.app("one", echo_head)
        b.app("two", hello, more="[wake]\ndeny_from = 203.0.113.0/24\n", ready=False)
        b.start()
        head = ask(b, b"/", fields=fields)
        assert b"203.0.113.9" not in head and b"https" not in head and b"1.2.3.4" not in head, head
        b.ask_exit()
        b.conf("trusted_proxies = 127.0.0.0/8\n")
        b.start()
        head = ask(b, b"/", fields=fields)
        assert b"X-Forwarded-For: 203.0.113.9, 127.0.0.7, 127.0.0.1\r\n" in head, head
        assert b"X-Forwarded-Proto: https\r\n" in head and b"1.2.3.4" not in head, head
        answer = ask(b, b"/", b"two.test", fields)
        assert answer.startswith(b"HTTP/1.1 503 ") and b"Dockwake-State: asleep\r\n" in answer
        assert b.engine.count(LEASE, "two", 0) == 0
        b.ask_exit()


@case
def a_proxy_header_tells_the_client():
    v1 = b"PROXY TCP4 203.0.113.9 192.0.2.1 56324 443\r\n"
    v2 = (V2 + b"\x21\x11" + struct.pack("!H", 12) + socket.inet_aton("203.0.113.9") +
          socket.inet_aton("192.0.2.1") + struct.pack("!HH", 56324, 443))
    local = V2 + b"\x20\x00\x00\x00"
    with bench() as b:
        b.conf("trusted_proxies = 127.0.0.1\nproxy_protocol = yes\n")
        b.app("one", echo_head)
        tcp, port = b.tcp_app("tcp", lambda peer: peer.sendall(b"<" + peer.recv(100)))
        b.start()
        for header, client in ((v1, b"203.0.113.9"), (v2, b"203.0.113.9"), (local, b"127.0.0.1")):
            answer = b.ask(header + get(b"/"))
            assert b"X-Forwarded-For: " + client + b"\r\n" in answer, answer
        with b.connect() as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in v2 + get(b"/"):
                client.send(bytes([byte]))
            assert b"X-Forwarded-For: 203.0.113.9\r\n" in read_answer(client)
            client.sendall(get(b"/"))
            assert b"X-Forwarded-For: 203.0.113.9\r\n" in read_answer(client)
        with b.connect(port) as client:
            client.sendall(v1 + b"data")
            assert read_all(client) == b"<data"
        with b.connect() as client:  # without one it is no client of ours
            client.sendall(get(b"/"))
            with contextlib.suppress(ConnectionResetError):
                assert read_all(client) == b""
        b.ask_exit()


@case
def backends_are_told_by_a_proxy_header():
    got = []

    def backend(peer):
        head = read_until(peer, b"\r\n")
        got.append(head.split(b"\r\n")[0])
        data = head.split(b"\r\n", 1)[1]
        while data := read_until(peer, b"\r\n\r\n", data):
            data = data.split(b"\r\n\r\n", 1)[1]
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with bench() as b:
        b.conf("workers = 1\n")
        b.app("one", backend, more="[handoff]\nproxy_protocol = v1\n")
        tcp, port = b.tcp_app("tcp", lambda peer: peer.sendall(b"<" + read_exactly(peer, 30)),
                              more="[handoff]\nproxy_protocol = v2\n")
        b.start()
        for _ in range(2):
            with b.connect() as client:
                for _ in range(3):
                    client.sendall(get(b"/"))
                    assert read_answer(client).endswith(b"ok")
                mine = client.getsockname()[1]
            assert got[-1] == b"PROXY TCP4 127.0.0.1 127.0.0.1 %d %d" % (
                mine, b.http.getsockname()[1]), got
        assert len(got) == 2, got  # one connection for each client, and none shared
        with b.connect(port) as client:
            client.sendall(b"xx")
            header = read_exactly(client, 31)
            assert header == (b"<" + V2 + b"\x21\x11\0\x0c" + bytes([127, 0, 0, 1] * 2) +
                              struct.pack("!HH", client.getsockname()[1], port) + b"xx"), header
        b.ask_exit()


# --- who may wake -------------------------------------------------------------------------------

@case
def who_may_not_wake_is_told_that_it_sleeps():
    policies = {
        "from": ("allow_from = 10.0.0.0/8", b""), "deny": ("deny_from = 127.0.0.1", b""),
        "method": ("methods = POST", b""), "path": ("deny_path = /robots.txt, /x", b""),
        "agent": ("deny_user_agent = UptimeRobot", b"User-Agent: uptimerobot/2.0\r\n"),
        "status": ("methods = POST\nasleep_status = 204", b"")}
    with bench() as b:
        for name, (keys, _) in policies.items():
            b.app(name, server(name.encode()), more=f"[wake]\n{keys}\n", ready=False)
        b.start()
        for name, (_, fields) in policies.items():
            answer = ask(b, b"/x/y", f"{name}.test".encode(), fields)
            status = b"204" if name == "status" else b"503"
            assert answer.startswith(b"HTTP/1.1 " + status), (name, answer)
            assert b"Dockwake-State: asleep\r\n" in answer, answer
            assert b.engine.count(LEASE, name, 0) == 0
            assert b.engine.count(LEASE, name, AWAKE) == 1
        for name, backend in zip(policies, b.backends):  # awake: it is for everybody
            b.engine.apps[name] = backend.port
            fields = policies[name][1]
            answer = ask(b, b"/x/y", f"{name}.test".encode(), fields)
            assert answer.endswith(name.encode() + b" /x/y "), answer
        b.ask_exit()
        log = b.read_log()
        assert "from: not woken by 127.0.0.1: allow_from" in log, log
        assert "agent: not woken by 127.0.0.1: deny_user_agent" in log, log


@case
def wakes_have_a_rate_and_warm_requests_do_not():
    with bench() as b:
        b.conf("workers = 1\n")
        one = b.app("one", server(), more="[wake]\nrate = 2/h\n")
        b.engine.apps["one"] = (EXITED, "it ended")
        b.start()
        for _ in range(2):
            answer = b.get("one")
            assert b"it ended" in answer, answer
        answer = b.get("one")
        assert b"Dockwake-State: asleep\r\n" in answer, answer
        assert b.engine.count(LEASE, "one", 0) == 2
        b.engine.apps["one"] = one.port
        for _ in range(10):
            assert b.get("one").endswith(b"one / ")
        b.ask_exit()
        assert "one: not woken by 127.0.0.1: rate" in b.read_log()


@case
def the_log_tells_who_woke_it():
    with bench() as b:
        one = b.app("one", hello, ready=False)
        b.start()
        with b.connect() as client:
            client.sendall(get(b"/"))
            b.engine.wait(LEASE, "one")
            b.engine.say(STARTING, "one")
            b.engine.answer("one", one.port)
            assert read_answer(client).endswith(b"hello\n")
        b.ask_exit()
        assert "one: woken by 127.0.0.1" in b.read_log()


@case
def a_sleeping_tcp_app_closes_on_who_may_not_wake_it():
    with bench() as b:
        tcp, port = b.tcp_app("tcp", lambda peer: ok(peer), ready=False,
                              more="[wake]\ndeny_from = 127.0.0.0/8\n")
        b.start()
        with b.connect(port) as client:
            assert read_all(client) == b""
        assert b.engine.count(LEASE, "tcp", AWAKE) == 1 and b.engine.count(LEASE, "tcp", 0) == 0
        assert ASLEEP
        b.ask_exit()


# --- counts -------------------------------------------------------------------------------------

@case
def one_address_has_so_many_connections():
    with bench() as b:
        b.conf("max_per_address = 5\n")
        b.app("one", server())
        b.start()
        clients = [b.connect() for _ in range(5)]
        for client in clients:
            client.sendall(get(b"/"))
            assert read_answer(client).endswith(b"one / ")
        with b.connect() as client:
            answer = read_all(client)
            assert answer.startswith(b"HTTP/1.1 503 ") and b"from this address" in answer, answer
        with socket.socket() as other:
            other.bind(("127.0.0.2", 0))
            other.connect(b.http.getsockname())
            other.sendall(get(b"/"))
            assert read_answer(other).endswith(b"one / ")
        clients.pop().close()
        b.until(lambda: b.get("one").endswith(b"one / "))
        b.ask_exit()


@case
def an_app_has_so_many_waiting_clients():
    with bench() as b:
        one = b.app("one", server(), ready=False, more="[wait]\nmax_waiting = 3\n")
        b.start()
        clients = [b.connect() for _ in range(4)]
        for client in clients:
            client.sendall(get(b"/"))
        b.engine.wait(LEASE, "one")
        refused = []
        b.until(lambda: [refused.append(c) for c in clients if c not in refused and b.has(c)] or
                refused)
        assert len(refused) == 1 and b"too many clients" in read_answer(refused[0])
        clients.remove(refused[0])
        b.engine.answer_all("one", one.port)
        for client in clients:
            assert read_answer(client).endswith(b"one / ")
        b.ask_exit()


if __name__ == "__main__":
    sys.exit(main())
