"""Row P1, the kept connections: reused when clean, left when stale, never a lost answer."""

import os
import signal
import socket
import threading

from lib import docker
from lib.apps import app, in_both_states, sleep
from lib.backend import Backend, take
from lib.docker import Events
from lib.scenario import scenario
from lib.setup import enable, write_app, write_config
from lib.system import eventually, main_pid, systemctl, wait_ended, want
from lib.wire import Wire, ask, request

BLOG = "blog.test"
SERVICE = "dockwake.service"


def one_worker() -> None:
    write_config({"front": {"workers": 1, "exit_idle": "1h"}})


@scenario("kept-connection-serves-other-clients")
def shared() -> None:
    """One client after the other: the same connection to the app."""
    one_worker()
    app("blog")
    enable()

    def case() -> None:
        words = [ask("/connection", BLOG).text.split() for _ in range(5)]
        want(len({word[1] for word in words}) == 1, f"connections to the app: {words}")
    in_both_states(case, "blog")


@scenario("kept-connection-after-a-restart")
def restarted() -> None:
    """The app restarts between two requests of a client: the second one is answered."""
    app("blog")
    enable()
    with Wire() as wire:
        want(wire.ask("/", BLOG).server == "blog", "not answered")
        for _ in range(3):
            docker.request("POST", "/containers/blog/restart?t=0")
            reply = wire.ask("/", BLOG)
            want(reply.status == 200 and reply.server == "blog", f"{reply.status}: {reply.text}")
        sleep("blog")
        reply = wire.ask("/", BLOG)
        want(reply.status == 200 and reply.server == "blog", f"asleep: {reply.status}: {reply.text}")


@scenario("kept-connection-that-dies-with-the-request")
def stale() -> None:
    """The backend closes as the request arrives: GET is sent again, POST is not served twice."""
    taken = []

    def serve(peer: socket.socket, seen: bytearray) -> None:
        """Each connection answers once, and closes when the second request is there."""
        if not take(peer, seen):
            return
        taken.append(bytes(seen).split(b" ")[0])
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        del seen[:]
        if take(peer, seen):
            taken.append(b"late " + bytes(seen).split(b" ")[0])

    one_worker()
    with Backend(serve) as backend:
        app("blog", {"app": {"address": backend.address}})
        enable()
        with Wire() as wire:
            for number in range(5):
                reply = wire.ask(f"/{number}", BLOG)
                want(reply.status == 200, f"GET {number}: {reply.status}: {reply.text}")
        del taken[:]
        with Wire() as wire:
            wire.ask("/", BLOG)
            reply = wire.ask("/", BLOG, method="POST", body=b"once")
            posts = [one for one in taken if one.endswith(b"POST")]
            want(reply.status == 200 or (reply.status == 502 and len(posts) == 1),
                 f"{reply.status}, the backend saw {taken}")
            want(len(posts) == 1, f"the POST was sent {len(posts)} times")


@scenario("kept-connection-that-speaks-unasked")
def unasked() -> None:
    """Bytes behind an answer, or between two: nobody is given them."""
    def serve(peer: socket.socket, seen: bytearray) -> None:
        if take(peer, seen):
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                         b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
            while peer.recv(65536):
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL")

    one_worker()
    with Backend(serve) as backend:
        app("blog", {"app": {"address": backend.address}})
        enable()
        for _ in range(3):
            with Wire() as wire:
                for _ in range(3):
                    reply = wire.ask("/", BLOG)
                    want(reply.body == b"ok", f"{reply.status} {reply.body!r}")


@scenario("reload-with-open-connections")
def reload() -> None:
    """A new table while clients are connected and connections are kept: nobody notices."""
    write_config({"front": {"exit_idle": "1h"}})
    app("blog")
    app("wiki")
    enable()
    front = 0
    with Wire() as kept, Wire() as busy:
        for turn in range(2):
            want(kept.ask("/", BLOG).server == "blog", "not answered")
            front = front or main_pid(SERVICE)
            busy.send(request("/download?bytes=200000&rate=400000", BLOG))
            head = busy.head()
            write_app("wiki", app={"idle_timeout": "1h"}, route={"host": f"wiki-{turn}.test"})
            systemctl("reload", SERVICE)
            eventually(lambda: ask("/", f"wiki-{turn}.test").status == 200, 5,
                       "the new name is not known")
            want(kept.ask("/", BLOG).server == "blog", "the kept connection does not go on")
            want(kept.ask("/", f"wiki-{turn}.test").server == "wiki",
                 "the kept connection does not know the new name")
            want(kept.ask("/", f"wiki-{turn - 1}.test").status == 404, "the old name is known")
            busy.exactly(int(head.get("Content-Length")))
        want(main_pid(SERVICE) == front, "the front was restarted")


@scenario("reload-takes-an-app-away")
def taken_away() -> None:
    """An app that is no more in the table, under an open WebSocket and a kept connection."""
    app("blog")
    app("wiki")
    enable()
    with Wire() as wire, Wire() as busy:
        want(wire.ask("/", "wiki.test").server == "wiki", "not answered")
        busy.send(request("/download?bytes=200000&rate=200000", "wiki.test"))
        head = busy.head()
        os.unlink("/etc/dockwake/apps.d/wiki.ini")
        systemctl("reload", SERVICE)
        eventually(lambda: ask("/", "wiki.test").status == 404, 5, "the old name is known")
        want(wire.ask("/", "wiki.test").status == 404, "the kept connection knows the old name")
        want(wire.ask("/", BLOG).server == "blog", "not answered")
        busy.exactly(int(head.get("Content-Length")))


@scenario("front-killed-with-kept-connections")
def killed() -> None:
    """SIGKILL while connections are kept on both sides: the next request is answered at once."""
    app("blog")
    enable()
    with Events("blog") as events:
        for _ in range(3):
            wires = [Wire() for _ in range(20)]
            for wire in wires:
                want(wire.ask("/", BLOG).server == "blog", "not answered")
            front = main_pid(SERVICE)
            os.kill(front, signal.SIGKILL)
            want(wait_ended(front, 5), "the front survived SIGKILL")
            reply = ask("/", BLOG)
            want(reply.status == 200, f"{reply.status}: {reply.text}")
            for wire in wires:
                wire.wait_end()
                wire.close()
        want(events.count("start") == 1, f"events: {events.seen()}")


@scenario("front-stops-with-open-connections")
def stops() -> None:
    """systemctl stop: what is being answered is answered, who only waits is let go."""
    app("blog")
    enable()
    with Wire() as kept, Wire() as busy:
        want(kept.ask("/", BLOG).server == "blog", "not answered")
        busy.send(request("/download?bytes=100000&rate=200000", BLOG))
        head = busy.head()
        stopper = threading.Thread(target=systemctl, args=("stop", SERVICE))
        stopper.start()
        kept.wait_end()
        busy.exactly(int(head.get("Content-Length")))
        stopper.join()
        reply = ask("/", BLOG)  # systemd holds the port all the time
        want(reply.status == 200, f"{reply.status}: {reply.text}")
