#!/usr/bin/env python3
"""The demonstration: one real container, from asleep to asleep, as a person would see it."""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lib import docker, setup, system  # noqa: E402  (they are found through the line above)

INI = "[route]\nhost = blog.example.com\n\n[app]\nidle_timeout = 3s\n"

_begin = time.monotonic()


def tell(text: str) -> None:
    print(f"{time.monotonic() - _begin:6.2f} s  {text}", flush=True)


def show(text: str) -> None:
    for line in text.rstrip().splitlines():
        print(f"          | {line}", flush=True)


def processes() -> str:
    return ", ".join(sorted(system.processes().values())) or "none"


def curl() -> str:
    """What curl got and how long it took."""
    done = system.run("curl", "--silent", "--header", "Host: blog.example.com", "--write-out",
                      "%{http_code} %{time_total}", "http://127.0.0.1/")
    text, _, figures = done.stdout.rpartition("\n")
    status, seconds = figures.split()
    return f"{status} {text!r} after {float(seconds) * 1000:.0f} ms"


def state() -> str:
    return f"container {docker.status('blog')}, dockwake processes: {processes()}"


def main() -> int:
    docker.import_images()
    system.run("apt-get", "install", "-y", os.environ["PACKAGE"], timeout=300)
    tell(f"installed {os.path.basename(os.environ['PACKAGE'])}")
    docker.create("blog")
    tell("docker create --name blog sample-app")
    setup.write_config({"front": {"exit_idle": "2s"}})
    setup.write_app_text("blog", INI)
    show(f"/etc/dockwake/apps.d/blog.ini:\n{INI}")
    system.run("systemctl", "enable", "--now", "--quiet", "dockwake.socket")
    tell("systemctl enable --now dockwake.socket")
    tell(f"asleep:   {state()}")
    with docker.Events("blog") as events:
        tell(f"cold:     curl: {curl()}")
        tell(f"awake:    {state()}")
        tell(f"warm:     curl: {curl()}")
        show(system.run("dockwake", "list").stdout)
        tell("nobody connects...")
        events.wait("die", 30)
        tell("asleep:   docker has stopped the container")
        system.wait_no_process(30)
        tell(f"asleep:   {state()}")
        tell(f"again:    curl: {curl()}")
    tell(f"awake:    {state()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
