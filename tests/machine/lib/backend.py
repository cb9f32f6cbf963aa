"""A backend in the scenario's own process: it writes down what reaches it, and answers as told.

An app points there with `address = 127.0.0.1:PORT`; its container is woken all the same.
"""

import socket
import threading
from typing import Callable

from .system import eventually

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


def take(peer: socket.socket, seen: bytearray, until: bytes = b"\r\n\r\n") -> bool:
    """Receives until all that came has this in it; false at the end."""
    while until not in seen:
        data = peer.recv(65536)
        if not data:
            return False
        seen += data
    return True


def answer_once(peer: socket.socket, seen: bytearray) -> None:
    """One answer, and then a look at each byte that still comes."""
    if take(peer, seen):
        peer.sendall(OK)
        peer.shutdown(socket.SHUT_WR)
        while data := peer.recv(65536):
            seen += data


class Backend:
    """Listens as long as the context lasts. seen has the bytes of each connection, in order."""

    def __init__(self, serve: Callable[[socket.socket, bytearray], None] = answer_once) -> None:
        self._serve = serve
        self._change = threading.Condition()
        self._peers: list[socket.socket] = []
        self.seen: list[bytearray] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self._listener.getsockname()[1]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> "Backend":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._change:
            for peer in self._peers:
                try:
                    peer.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            seen = bytearray()
            with self._change:
                self._peers.append(peer)
                self.seen.append(seen)
            threading.Thread(target=self._run, args=(peer, seen), daemon=True).start()

    def _run(self, peer: socket.socket, seen: bytearray) -> None:
        with peer:
            try:
                self._serve(peer, seen)
            except OSError:
                pass
            with self._change:
                self._peers.remove(peer)

    def taken(self) -> list[bytes]:
        """All that came since the last call, by connection, once nobody is connected any more."""
        eventually(lambda: not self._peers, 10, "somebody stays connected to the backend")
        data = [bytes(seen) for seen in self.seen if seen]
        del self.seen[:]
        return data
