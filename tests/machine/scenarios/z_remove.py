"""Runs last: the package goes and leaves nothing behind."""

import os

from lib import docker
from lib.client import want_hello
from lib.scenario import scenario
from lib.setup import enable, write_app
from lib.system import failed_units, processes, run, wait_no_process, want


@scenario("package-reinstalls-and-purges")
def purges() -> None:
    """With everything awake: a reinstallation keeps the ports open, a purge leaves nothing."""
    docker.create("blog")
    write_app("blog", app={"idle_timeout": "1h"})
    enable()
    want_hello("blog.test", "blog")

    run("apt-get", "install", "-y", "--reinstall", os.environ["PACKAGE"],
        timeout=300)
    want_hello("blog.test", "blog")

    run("apt-get", "purge", "-y", "dockwake", timeout=300)
    wait_no_process()
    want(not processes(), f"still runs: {processes()}")
    want(not [name for name in failed_units() if "dockwake" in name], "a unit failed on removal")
    want(not os.path.exists("/run/dockwake/engine.sock"), "engine.sock is still there")
    left = run("systemctl", "list-units", "--plain", "--no-legend", "dockwake*").stdout.strip()
    want(not left, f"units are left: {left}")
    want(docker.status("blog") == "running", "the purge touched the container")
