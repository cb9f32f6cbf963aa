"""An app that speaks WebSocket through a real library: peers/ws_server.py in a container.

Its image is made of the machine's own Python; there is no registry to take one from.
"""

import glob
import os
import re
import subprocess
import sys
import sysconfig
import tempfile

from . import docker
from .peers import SCRIPTS
from .system import run

IMAGE = "ws-app"

# Parts of the standard library that no server needs; they are most of its size.
WITHOUT = ("test", "idlelib", "lib2to3", "ensurepip", "pydoc_data", "tkinter", "turtledemo",
           "distutils", "config-*")


def import_image() -> None:
    """Once; later calls find it there."""
    if any(f"{IMAGE}:latest" in (image["RepoTags"] or [])
           for image in docker.request("GET", "/images/json")):
        return
    python = os.path.realpath(sys.executable)
    library = sysconfig.get_path("stdlib")
    modules = glob.glob(f"{library}/lib-dynload/*.so")
    libraries = set(re.findall(r"(/\S+) \(0x", run("ldd", python, *modules).stdout))
    parts = [python, library, "/usr/lib/python3/dist-packages/websockets", *libraries]
    with tempfile.TemporaryDirectory() as folder:
        archive = os.path.join(folder, "image.tar")
        exclude = [f"--exclude={library[1:]}/{name}" for name in WITHOUT]
        subprocess.run(["tar", "-C", "/", "-chf", archive, *exclude,
                        *(part[1:] for part in parts)], check=True)
        subprocess.run(["tar", "-C", SCRIPTS, "-rf", archive, "ws_server.py"], check=True)
        subprocess.run(["docker", "import", "-c", f'CMD ["{python}", "/ws_server.py"]',
                        "-c", "EXPOSE 8080", archive, IMAGE], check=True,
                       stdout=subprocess.DEVNULL)


def create(name: str) -> None:
    import_image()
    docker.create(name, IMAGE)
