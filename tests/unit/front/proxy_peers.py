#!/usr/bin/env python3
"""The PROXY protocol with another implementation on the wire: HAProxy reads what we write, and we
read what it writes, in both versions and for both families.

What HAProxy was told by one header it says in the next one: it stands in between, and what comes out
on its other side is what it has understood.
"""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from tap import case, main

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
OURS = os.environ.get("DOCKWAKE_PROXY_HEADER",
                      os.path.join(ROOT, "build/check/front/test_proxy_header"))
CONFIG = """
global
    stats socket {folder}/stats
defaults
    mode tcp
    timeout connect 10s
    timeout client 10s
    timeout server 10s
listen proxy
    bind {folder}/in accept-proxy
    server out {folder}/out {send}
"""

IPV4 = ("192.0.2.1:12345", "198.51.100.2:80")
IPV6 = ("[2001:db8::1]:12345", "[2001:db8:0:1::2]:80")
MAPPED = ("[::ffff:192.0.2.1]:1", "[2001:db8::]:65535")


def ours(*arguments: str, stdin=subprocess.DEVNULL) -> bytes:
    return subprocess.run([OURS, *arguments], stdin=stdin, stdout=subprocess.PIPE, check=True,
                          timeout=20).stdout


@contextlib.contextmanager
def haproxy(send: str):
    """It runs, and passes on what comes on FOLDER/in to the listener that is yielded with FOLDER."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/out")
        listener.listen()
        listener.settimeout(20)
        with open(f"{folder}/config", "w") as file:
            file.write(CONFIG.format(folder=folder, send=send))
        process = subprocess.Popen(["haproxy", "-db", "-f", f"{folder}/config"])
        try:
            yield folder, listener
        finally:
            process.kill()
            process.wait()


def connect(path: str) -> socket.socket:
    end = time.monotonic() + 20
    while True:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(20)
        try:
            client.connect(path)
            return client
        except OSError:
            client.close()
            assert time.monotonic() < end, f"nobody listens on {path}"
            time.sleep(0.01)


def both_ways(send: str, version: int) -> None:
    with haproxy(send) as (folder, listener):
        for client_text, server_text in (IPV4, IPV6, MAPPED):
            header = ours("write", str(version), client_text, server_text)
            with connect(f"{folder}/in") as client:
                client.sendall(header + b"hello")
                peer, _ = listener.accept()
                with peer:
                    peer.settimeout(20)
                    read = ours("read", stdin=peer).decode().split()
                    assert read == [client_text, server_text], read
                    # The header was all that was taken.
                    assert peer.recv(100) == b"hello"


@case
def version_1():
    both_ways("send-proxy", 1)


@case
def version_2():
    both_ways("send-proxy-v2", 2)


@case
def version_1_to_2():
    both_ways("send-proxy-v2", 1)


@case
def version_2_to_1():
    both_ways("send-proxy", 2)


@case
def version_2_with_tlvs():
    both_ways("send-proxy-v2 proxy-v2-options crc32c,unique-id,authority", 2)


@case
def without_addresses():
    """UNKNOWN and LOCAL are taken for what they are: HAProxy counts its own connection then."""
    for version in (1, 2):
        with haproxy("send-proxy-v2 proxy-v2-options crc32c") as (folder, listener):
            with connect(f"{folder}/in") as client:
                client.sendall(ours("write", str(version), "-", "-") + b"hello")
                peer, _ = listener.accept()
                with peer:
                    peer.settimeout(20)
                    # That is a Unix socket, which has none to say.
                    assert ours("read", stdin=peer).decode().split() == ["-", "-"]
                    assert peer.recv(100) == b"hello"


if __name__ == "__main__":
    sys.exit(main())
