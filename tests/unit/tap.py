"""Cases in Python for tests/unit/run: functions marked with @case, run in order. Output: TAP."""

import sys
import time
import traceback

CASES = []


def case(function):
    CASES.append(function)
    return function


def main() -> int:
    """Runs the cases, or those named as arguments. Returns the exit status."""
    chosen = [c for c in CASES if not sys.argv[1:] or c.__name__ in sys.argv[1:]]
    failed = 0
    print(f"1..{len(chosen)}")
    for i, function in enumerate(chosen, 1):
        began = time.monotonic()
        try:
            function()
            print(f"ok {i} - {function.__name__} ({time.monotonic() - began:.1f} s)")
        except Exception:
            failed += 1
            print("".join("# " + line for line in traceback.format_exc().splitlines(True)))
            print(f"not ok {i} - {function.__name__}")
        sys.stdout.flush()
    return 1 if failed else 0
