"""Commands, units, processes and the journal of the machine."""

import json
import os
import select
import subprocess
import time
from typing import Callable

UNITS = ("dockwake.socket", "dockwake-conn.socket", "dockwake-idle.timer", "dockwake-idle.service",
         "dockwake.service", "dockwake-conn@*.service", "dockwake-engine.socket",
         "dockwake-engine-admin.socket", "dockwake-engine.service")


class Wrong(AssertionError):
    """What a scenario found not to be as it should; the text is the reason that is printed."""


def want(holds: object, reason: str) -> None:
    if not holds:
        raise Wrong(reason)


def run(*command: str, check: bool = True,
        timeout: float = 60) -> subprocess.CompletedProcess:
    """Runs a command and gives its output as text."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise Wrong(f"{' '.join(command)}: not done after {timeout:g} s") from None
    if check and done.returncode != 0:
        raise Wrong(f"{' '.join(command)}: exit status {done.returncode}: "
                    f"{(done.stderr or done.stdout).strip()}")
    return done


def eventually(holds: Callable[[], object], seconds: float, reason: str) -> object:
    """Waits for what nothing tells of. Returns what holds() returned."""
    until = time.monotonic() + seconds
    while True:
        value = holds()
        if value:
            return value
        want(time.monotonic() < until, f"{reason} (waited {seconds:g} s)")
        time.sleep(0.005)


# --- units ---------------------------------------------------------------------------------------

def systemctl(*words: str, check: bool = True, timeout: float = 60) -> str:
    return run("systemctl", *words, check=check, timeout=timeout).stdout.strip()


def unit(name: str, key: str) -> str:
    return systemctl("show", "--value", "--property", key, name)


def main_pid(name: str) -> int:
    return int(unit(name, "MainPID") or 0)


def failed_units() -> list[str]:
    lines = systemctl("list-units", "--failed", "--plain", "--no-legend").splitlines()
    return [line.split()[0] for line in lines if line]


def drop_in(name: str, text: str) -> None:
    folder = f"/etc/systemd/system/{name}.d"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/test.conf", "w") as file:
        file.write(text)
    systemctl("daemon-reload")


def socket_listens(name: str) -> bool:
    return unit(name, "SubState") in ("listening", "running")


# --- processes -----------------------------------------------------------------------------------

def processes() -> dict[int, str]:
    """dockwake's processes: number -> program."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                program = os.readlink(f"/proc/{entry}/exe")
            except OSError:
                continue
            if os.path.basename(program.removesuffix(" (deleted)")).startswith("dockwake"):
                found[int(entry)] = os.path.basename(program)
    return found


def wait_ended(pid: int, seconds: float) -> bool:
    """Waits until a process has ended; false when it has not."""
    try:
        end = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([end], [], [], max(seconds, 0))[0])
    finally:
        os.close(end)


def wait_no_process(seconds: float = 20) -> None:
    """Waits until no dockwake process is left."""
    until = time.monotonic() + seconds
    while alive := processes():
        for pid, program in alive.items():
            want(wait_ended(pid, until - time.monotonic()),
                 f"{program} still runs after {seconds:g} s")


def user_memory(pid: int) -> int:
    """The proportional set size of a process in bytes."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    raise Wrong(f"process {pid} has no Pss")


def cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- the journal ---------------------------------------------------------------------------------

def journal_cursor() -> str:
    run("journalctl", "--sync", check=False)
    out = run("journalctl", "--quiet", "--lines=0", "--show-cursor", check=False).stdout
    return out.rpartition("-- cursor: ")[2].strip()


def journal_since(cursor: str, *words: str) -> str:
    after = [f"--after-cursor={cursor}"] if cursor else []
    run("journalctl", "--sync", check=False)
    return run("journalctl", "--quiet", "--no-pager", "--output=short-precise", *after, *words,
               check=False).stdout


def journal_events(cursor: str, **fields: str) -> list[dict[str, object]]:
    """The entries since then that have these fields, each as all of its fields."""
    # journalctl would apply them to the cursor's own entry too, and then leave the first one out.
    lines = journal_since(cursor, "--output=json").splitlines()
    entries = [json.loads(line) for line in lines if line.startswith("{")]
    return [entry for entry in entries
            if all(entry.get(name) == value for name, value in fields.items())]
