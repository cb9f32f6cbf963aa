"""The list of scenarios, and how one is run and told of."""

import http.client
import re
import sys
import time
import traceback
from dataclasses import dataclass
from typing import Callable

from . import setup, system

JOURNAL_LINES = 40

# What must stand in no journal, whatever the scenario was about.
ALARMS = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:|SIGSEGV|SIGABRT|status=11/SEGV"
                    r"|status=6/ABRT|start request repeated too quickly", re.I)


@dataclass
class Scenario:
    name: str
    function: Callable[..., None]
    arguments: tuple
    fresh: bool  # begins with reset() and ends with a look at the units


_all: list[Scenario] = []


def scenario(name: str, *arguments: object, fresh: bool = True) -> Callable:
    """Makes the function below a scenario; more than once with different arguments if need be."""
    def add(function: Callable[..., None]) -> Callable[..., None]:
        _all.append(Scenario(name, function, arguments, fresh))
        return function
    return add


def say(text: str) -> None:
    """A line of figures below the scenario's own."""
    print(f"    {text}", flush=True)


def chosen(names: list[str]) -> list[Scenario]:
    """All, or those whose name contains one of the names."""
    found = [one for one in _all if not names or any(name in one.name for name in names)]
    # Without the package nothing can run, so its installation is always among them.
    first = [one for one in _all if one.name == "package-installs" and one not in found]
    return first + found if found else []


def _check_units() -> None:
    failed = [name for name in system.failed_units() if name.startswith("dockwake")]
    system.want(not failed, f"failed units at the end: {' '.join(failed)}")


def _run_one(one: Scenario) -> str:
    """Returns the reason for which it failed, or nothing."""
    try:
        if one.fresh:
            setup.reset()
        one.function(*one.arguments)
        if one.fresh:
            _check_units()
        return ""
    except (system.Wrong, OSError, http.client.HTTPException) as wrong:
        place = traceback.extract_tb(wrong.__traceback__)
        lines = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}: " for frame in place
                 if "/scenarios/" in frame.filename]
        text = str(wrong) if isinstance(wrong, system.Wrong) else repr(wrong)
        return "".join(lines[-1:]) + text.strip()
    except Exception:
        return traceback.format_exc().strip()


def run_all(names: list[str]) -> int:
    """Runs them, prints a line for each and the sum. Returns the exit status."""
    passed = failed = 0
    wanted = chosen(names)
    for one in wanted:
        cursor = system.journal_cursor()
        begin = time.monotonic()
        reason = _run_one(one)
        seconds = time.monotonic() - begin
        journal = system.journal_since(cursor)
        alarms = [line for line in journal.splitlines() if ALARMS.search(line)]
        if not reason and alarms:
            reason = "the journal has an alarm: " + alarms[0]
        if not reason:
            passed += 1
            print(f"ok {one.name} ({seconds:.1f} s)", flush=True)
            continue
        failed += 1
        print(f"not ok {one.name} ({seconds:.1f} s)")
        print("    " + reason.replace("\n", "\n    "))
        own = [line for line in journal.splitlines() if re.search(r"dockwake", line)]
        for line in own[-JOURNAL_LINES:]:
            print(f"    | {line}")
        sys.stdout.flush()
        if one.name == "package-installs":
            break
    if not wanted:
        print("no scenario is called so")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 0 if passed and not failed else 1
