"""Cases of faults.py: logs, of containers that behave and of a Docker that does not."""

import os
import socket
import time

from engine_bench import FAILED, LOGS_END, READY, STARTING, bench
from fake_docker import frame
from tap import case

EPERM, ENOENT, EIO, EBUSY = 1, 2, 5, 16
SHOW = "[wait]\nshow_logs = yes\n"


@case
def the_last_lines_are_read():
    with bench() as b:
        b.app("one", SHOW, started="2026-11-23T03:40:50.5Z",
              log=frame(b"first\nsecond\r\n") + frame(b"oh ", 2) + frame(b"th\xffird\n") +
              frame(b"no\n\nlast without end", 2))
        b.start()
        front = b.front()
        front.logs("one", 20)
        assert front.read_logs() == ([b"first", b"second", b"th\xffird", b"E:oh no", b"E:",
                                      b"E:last without end"], 0)
        # A second before the start that Docker says.
        b.docker.wait("logs?stdout=1&stderr=1&timestamps=0&tail=20&since=1795405249.500000")
        front.logs("one", 2, serial=9)
        assert front.receive()["serial"] == 9
        assert front.read_logs() == ([b"E:last without end"], 0)
        assert not [c for c in b.docker.calls if c.startswith("start")]
        b.ask_exit()


@case
def a_terminal_has_no_frames():
    with bench() as b:
        b.app("one", SHOW, tty=True, started="2026-11-23T03:40:50Z", log=b"one\r\n\x1b[1mtwo\r\n")
        b.start()
        front = b.front()
        front.logs("one")
        assert front.read_logs() == ([b"one", b"\x1b[1mtwo"], 0)
        b.ask_exit()


@case
def a_wake_that_failed_can_be_read_about():
    with bench() as b:
        one = b.app("one", "start_timeout = 20s\n" + SHOW, listens=False)
        b.start()
        front = b.front()
        front.lease("one")
        front.expect(STARTING)
        b.docker.wait("inspect one")
        one.log = frame(b"cannot open the database\n", 2)
        b.docker.set("one", "exited", "die", exit_code=3)
        assert front.expect(FAILED)["failure"] == "exited"
        front.logs("one", 5)
        assert front.read_logs() == ([b"E:cannot open the database"], 0)
        b.ask_exit()


@case
def logs_that_are_not_to_be_read():
    with bench() as b:
        b.app("mute", "", started="2026-11-23T03:40:50Z", log=frame(b"secret\n"))
        b.app("ghost", SHOW, container="")
        b.app("new", SHOW, log=frame(b"of another life\n"))
        b.app("session@", "container = minion-%i\n" + SHOW + "[route]\npath = /s/%i\n", container="")
        b.app("web", "containers = mute, new\n" + SHOW, container="")
        b.docker.add("minion-1", started="2026-11-23T03:40:50Z", log=frame(b"secret\n"))
        b.docker.add("minion-2", labels={"dockwake.app": "session"}, log=frame(b"hello\n"),
                     started="2026-11-23T03:40:50Z")
        with open(f"{b.folder}/apps.d/broken.ini", "w") as ini:
            ini.write("[app]\nnonsense = 1\n" + SHOW)
        b.start()
        front = b.front()
        for name, lines, result in (("mute", [], EPERM), ("ghost", [], ENOENT), ("new", [], 0),
                                    ("nobody", [], ENOENT), ("session", [], ENOENT),
                                    ("session@1", [], EPERM), ("session@2", [b"hello"], 0),
                                    ("session@3", [], ENOENT), ("session@a/b", [], ENOENT),
                                    ("web", [], ENOENT), ("web@1", [b"secret"], 0),
                                    ("web@3", [], ENOENT), ("broken", [], EPERM)):
            front.logs(name)
            got = front.read_logs()
            assert got == (lines, result), (name, got)
        assert b.docker.count("list") == 0  # no state is needed for it
        b.ask_exit()


@case
def logs_one_at_a_time():
    with bench() as b:
        b.app("one", SHOW, started="2026-11-23T03:40:50Z", log=frame(b"one\n"))
        b.app("two", SHOW, started="2026-11-23T03:40:50Z", log=frame(b"two\n"))
        slow = [1]
        b.docker.faults["logs"] = lambda handler: [time.sleep(0.01) for _ in range(1000)
                                                   if slow] and False
        b.start()
        front, other = b.front(), b.front()
        front.logs("one", serial=1)
        front.logs("one", serial=2)
        assert front.receive() == {"op": LOGS_END, "serial": 2, "app": "one", "result": EBUSY}
        front.logs("two", serial=3)
        other.logs("one", serial=4)
        gone = b.front()
        gone.logs("one")
        gone.close()
        slow.clear()
        ends = {}
        while len(ends) < 2:
            answer = front.receive()
            if answer["op"] == LOGS_END:
                ends[answer["serial"]] = answer["result"]
        assert ends == {1: 0, 3: 0}, ends
        assert other.read_logs() == ([b"one"], 0)
        front.logs("one", serial=5)
        assert front.read_logs() == ([b"one"], 0)
        b.ask_exit()


@case
def logs_have_a_bound():
    """So many for all fronts; and one that asks without end and does not read is cut off."""
    with bench() as b:
        for i in range(80):
            b.app(f"app{i:02}", SHOW, started="2026-11-23T03:40:50Z", log=frame(b"x\n"))
        slow = [1]
        b.docker.faults["logs"] = lambda handler: [time.sleep(0.01) for _ in range(1000)
                                                   if slow] and False
        b.start()
        front = b.front()
        for i in range(80):
            front.logs(f"app{i:02}", serial=i)
        for i in range(64, 80):
            answer = front.receive()
            assert (answer["serial"], answer["result"]) == (i, EBUSY), answer
        slow.clear()
        done = 0
        while done < 64:
            answer = front.receive()
            done += answer["op"] == LOGS_END
        front.socket.settimeout(5)
        try:
            for i in range(100000):
                front.logs("nobody", serial=i)
            raise AssertionError("it was not cut off")
        except (BrokenPipeError, ConnectionResetError):
            pass
        b.ask_exit()


@case
def a_log_without_end():
    with bench() as b:
        b.app("one", SHOW, started="2026-11-23T03:40:50Z")
        sent = []

        def endless(handler):
            handler.send_response(200)
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            try:
                for i in range(1 << 20):
                    handler.chunk(frame(b"line %d\n" % i) * 100)
                    sent.append(1)
            except OSError:
                sent.append("end")
            handler.close_connection = True
            return True

        b.docker.faults["logs"] = endless
        b.start()
        front = b.front()
        front.logs("one", 3)
        lines, result = front.read_logs()
        assert result == EIO and len(lines) == 3 and lines[-1].startswith(b"line "), lines
        for _ in range(1000):
            if sent[-1] == "end":
                break
            time.sleep(0.01)
        assert sent[-1] == "end" and len(sent) < 60000  # 4 MiB, and what was in buffers
        b.ask_exit()


@case
def a_log_that_does_not_come():
    with bench() as b:
        b.app("one", SHOW, started="2026-11-23T03:40:50Z")
        b.docker.faults["logs"] = lambda handler: time.sleep(12) or False
        b.start()
        front = b.front()
        began = time.monotonic()
        front.logs("one", 3)
        answer = front.receive(15)
        assert answer["op"] == LOGS_END and answer["result"] == EIO, answer
        assert 9 < time.monotonic() - began < 14
        b.ask_exit()


@case
def logs_that_are_hostile():
    long = b"x" * (1 << 20)
    cut = b"x" * 511
    cases = [
        (frame(long + b"\n") + frame(b"short\n"), [cut, b"short"], 0),
        (b"".join(frame(long[:1000]) for _ in range(1000)) + frame(b"\nend\n"), [cut, b"end"], 0),
        (frame(b"good\n") + b"\x07\0\0\0\0\0\0\x02x\n", [b"good"], EIO),
        (frame(b"good\n") + b"HTTP/1.1 200 OK\r\n\r\n", [b"good"], EIO),
        (frame(b"good\nhalf")[:-2], [b"good", b"ha"], EIO),
        (frame(b"good\n") + b"\1\0\0", [b"good"], EIO),
        (b"\1\0\0\0\xff\xff\xff\xffgood\n", [b"good"], EIO),
        (frame(b""), [], 0),
        (frame(b"a\0b\0\n"), [b"ab"], 0),
        (frame(b"\n" * 1000), [b""] * 20, 0),
        (b"".join(frame(b"%d\n" % i, 1 + i % 2) for i in range(1000)),
         [(b"E:" if i % 2 else b"") + b"%d" % i for i in range(980, 1000)], 0),
        (os.urandom(100000)[1:].replace(b"\0", b"\1"), None, EIO),
    ]
    with bench() as b:
        one = b.app("one", SHOW, started="2026-11-23T03:40:50Z")
        b.start()
        front = b.front()
        for log, lines, result in cases:
            one.log = log
            front.logs("one")
            got = front.read_logs()
            assert got[1] == result and lines in (None, got[0]), (log[:50], got)

        def reset(handler):
            handler.send_response(200)
            handler.send_header("Content-Length", "5000")
            handler.end_headers()
            handler.wfile.write(frame(b"cut off\nhere"))
            handler.wfile.flush()
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
            return True

        b.docker.faults["logs"] = reset
        front.logs("one")
        assert front.read_logs() == ([b"cut off", b"here"], EIO)
        b.docker.faults["logs"] = lambda handler: handler.answer(
            501, {"message": "configured logging driver does not support reading"}) or True
        front.logs("one")
        assert front.read_logs() == ([], EIO)
        b.docker.faults["inspect"] = lambda handler: handler.answer(200, ["nonsense"]) or True
        front.logs("one")
        assert front.read_logs() == ([], EIO)
        bad = b.front()
        bad.logs("one", lines=0)
        assert bad.is_cut_off()
        bad = b.front()
        bad.logs("one", lines=101)
        assert bad.is_cut_off()
        admin = b.admin()
        admin.logs("one")
        assert admin.is_cut_off()
        b.ask_exit()


@case
def a_reader_of_logs_that_does_not_read():
    with bench() as b:
        log = b"".join(frame(b"y" * 400 + b"\n") for _ in range(100))
        for i in range(50):
            b.app(f"app{i:02}", SHOW, started="2026-11-23T03:40:50Z", log=log)
        b.app("one")
        b.start()
        deaf = b.front()
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        for i in range(50):
            deaf.logs(f"app{i:02}", 100, serial=i)
        front = b.front()
        front.lease("one")
        front.expect(STARTING, READY)
        lines, ends = [0] * 50, {}
        while len(ends) < 50:  # all of them are still there
            answer = deaf.receive()
            if answer["op"] == LOGS_END:
                ends[answer["serial"]] = answer["result"]
            else:
                assert answer["serial"] not in ends
                lines[answer["serial"]] += 1
        assert lines == [100] * 50 and set(ends.values()) == {0}, (lines, ends)
        b.ask_exit()
