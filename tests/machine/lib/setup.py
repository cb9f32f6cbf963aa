"""The state in which a scenario begins, and the configuration that it writes."""

import glob
import os
import shutil

from . import docker
from .system import UNITS, Wrong, eventually, run, socket_listens, systemctl

CONFIG = "/etc/dockwake/dockwake.conf"
APPS = "/etc/dockwake/apps.d"

FRONT = "dockwake.socket"      # one front for all connections
EACH = "dockwake-conn.socket"  # Accept=yes: one process for each connection

# Short, so that scenarios need not wait long; a scenario that wants other times writes its own.
WHOLE = {"front": {"exit_idle": "200ms"}, "defaults": {"idle_timeout": "300ms"}}


def _text(sections: dict[str, dict[str, object]]) -> str:
    lines = []
    for section, keys in sections.items():
        lines += [f"[{section}]", *(f"{key} = {value}" for key, value in keys.items()), ""]
    return "\n".join(lines)


def write_config(sections: dict[str, dict[str, object]]) -> None:
    with open(CONFIG, "w") as file:
        file.write(_text(sections))


def write_app(name: str, **sections: dict[str, object]) -> None:
    """apps.d/NAME.ini; without a route of its own the app gets NAME.test as its host."""
    if not sections.get("route"):
        sections["route"] = {"host": f"{name}.test"}
    with open(f"{APPS}/{name}.ini", "w") as file:
        file.write(_text(sections))


def write_app_text(name: str, text: str) -> None:
    with open(f"{APPS}/{name}.ini", "w") as file:
        file.write(text)


def reset() -> None:
    """No container, no app, no unit of dockwake that runs, no drop-in. Docker runs."""
    try:
        systemctl("stop", *UNITS, check=False, timeout=20)
    except Wrong:  # what an earlier scenario has left hanging is not this one's matter
        systemctl("kill", "--signal=KILL", *UNITS, check=False)
        systemctl("stop", *UNITS, check=False)
    # Disabling a unit reloads systemd, as the drop-ins that go need too.
    for folder in glob.glob("/etc/systemd/system/dockwake*.d"):
        shutil.rmtree(folder)
    systemctl("disable", "--quiet", FRONT, EACH, check=False)
    systemctl("daemon-reload")
    systemctl("reset-failed")
    systemctl("start", "docker.service")
    docker.remove_all()
    os.makedirs(APPS, exist_ok=True)
    for file in glob.glob(f"{APPS}/*.ini"):
        os.unlink(file)
    write_config(WHOLE)


def enable(entry: str = FRONT) -> None:
    """What the administrator does, once."""
    run("systemctl", "enable", "--now", "--quiet", entry)
    eventually(lambda: socket_listens(entry), 5, f"{entry} does not listen")


def listen_also(entry: str, port: int) -> None:
    """A TCP port of an app; before enable()."""
    folder = f"/etc/systemd/system/{entry}.d"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/port-{port}.conf", "w") as file:
        file.write(f"[Socket]\nListenStream={port}\n")
    systemctl("daemon-reload")
