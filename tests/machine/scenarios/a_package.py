"""The package, installed as a user would; all other scenarios stand on it."""

import os

from lib.scenario import scenario
from lib.setup import FRONT
from lib.system import UNITS, processes, run, want


def installed_files() -> list[str]:
    return run("dpkg-query", "--listfiles", "dockwake").stdout.split()


@scenario("package-installs", fresh=False)
def installs() -> None:
    run("apt-get", "install", "-y", os.environ["PACKAGE"], timeout=300)
    files = installed_files()
    for name in UNITS:
        want(any(file.endswith("/" + name.replace("*", "")) for file in files),
             f"{name} is not in the package")
    # A package must not open a port by itself: enabling the socket is the administrator's step.
    want(not os.path.exists(f"/etc/systemd/system/sockets.target.wants/{FRONT}"),
         f"{FRONT} was enabled by the installation")
    for name in ("dockwake", "dockwake-admin"):
        want(run("getent", "group", name, check=False).returncode == 0, f"no group {name}")
    want(run("getent", "passwd", "dockwake", check=False).returncode == 0, "no user dockwake")
    want(not processes(), f"runs after the installation: {processes()}")


@scenario("package-units-verify")
def units_verify() -> None:
    """systemd itself finds nothing to say about the units."""
    files = [file for file in installed_files()
             if "/systemd/system/" in file and "dockwake" in os.path.basename(file)
             and not os.path.isdir(file)]
    done = run("systemd-analyze", "verify", "--man=no", *files, check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if "dockwake" in line]
    want(done.returncode == 0 and not said, "systemd-analyze verify: " + " / ".join(said))


@scenario("package-hardening")
def hardening() -> None:
    """The exposure that systemd itself computes, of 10, stays low."""
    for name, limit in (("dockwake.service", 4.0), ("dockwake-engine.service", 4.0)):
        done = run("systemd-analyze", "security", "--no-pager",
                   f"--threshold={int(limit * 10)}", name, check=False)
        overall = [line for line in done.stdout.splitlines() if "Overall exposure" in line]
        want(done.returncode == 0, f"{name}: {overall}")
