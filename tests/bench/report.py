"""What the bench tells: medians and ratios as Markdown, everything as JSON."""

import json
import os
import platform
import re
import statistics
import subprocess

from targets import BULK_BYTES, BenchError, find

# How each says which version it is, where a plain --version is not the way.
VERSIONS = {"haproxy": "-v", "nginx": "-v", "wrk": "--version", "systemd-socket-proxyd": "--version"}


def machine() -> dict[str, object]:
    model = platform.processor() or platform.machine()
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    versions = {}
    for name, flag in VERSIONS.items():
        try:
            done = subprocess.run([find(name), flag], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, check=False)
        except BenchError:
            continue
        number = re.search(r"\d+(\.\d+)+|\bsystemd \d+", done.stdout)
        versions[name] = number[0] if number else "?"
    return {"processor": model, "processors": len(os.sched_getaffinity(0)),
            "kernel": platform.release(), "versions": versions}


def _time(usec: float) -> str:
    return f"{usec / 1000:.2f} ms" if usec < 1e6 else f"{usec / 1e6:.2f} s"


class Report:
    """results: mode -> target -> a list of what load() returned, one for each round."""

    def __init__(self, settings: dict, modes: dict, results: dict, goals: list) -> None:
        self.settings = settings
        self.modes = modes
        self.results = results
        self.machine = machine()
        self.goals = [{"mode": mode, "of": of, "to": to, "at_least": least,
                       "is": self.ratio(mode, of, to)} for mode, of, to, least in goals]

    def median(self, mode: str, target: str, key: str) -> float:
        return statistics.median(one[key] for one in self.results[mode][target])

    def ratio(self, mode: str, of: str, to: str) -> float:
        """The median over the rounds of each round's own ratio: drift between rounds falls out."""
        pairs = zip(self.results[mode][of], self.results[mode][to])
        return statistics.median(a["per_second"] / b["per_second"] for a, b in pairs)

    def faults(self, mode: str, target: str, key: str) -> int:
        return sum(one[key] for one in self.results[mode][target])

    def all_well(self) -> bool:
        own = [(mode, target) for mode in self.results for target in self.results[mode]
               if target not in ("direct", "haproxy", "nginx", "socket-proxyd")]
        right = all(self.faults(*one, "lost") + self.faults(*one, "wrong") == 0 for one in own)
        return right and all(goal["is"] >= goal["at_least"] for goal in self.goals)

    # --- as text ---------------------------------------------------------------------------------

    def _row(self, mode: str, target: str) -> str:
        kind = self.modes[mode]
        first = next(iter(self.results[mode]))
        if kind.bulk:
            speed = f"{self.median(mode, target, 'bytes_per_second') / (1 << 20):,.0f} MiB/s"
        else:
            speed = f"{self.median(mode, target, 'per_second'):,.0f}/s"
        proxy = target != "direct"
        return " | ".join([
            f"| {target}", speed,
            f"{self.ratio(mode, target, first):.2f}" if target != first else "",
            f"{self._ours_to(mode, target):.2f}" if self._ours_to(mode, target) else "",
            _time(self.median(mode, target, "p50_usec")),
            _time(self.median(mode, target, "p99_usec")),
            f"{self._cost(mode, target):.3f} s" if proxy else "",
            f"{self.median(mode, target, 'memory') / (1 << 20):.1f} MiB" if proxy else "",
            f"{self.faults(mode, target, 'lost')}, {self.faults(mode, target, 'wrong')} |",
        ])

    def _cost(self, mode: str, target: str) -> float:
        """Seconds of the processors for 1,000 requests, or for a GiB."""
        cost = self.median(mode, target, "cpu_per_1000")
        return cost * (1 << 30) / BULK_BYTES / 1000 if self.modes[mode].bulk else cost

    def _ours_to(self, mode: str, target: str) -> float:
        ours = "dockwake" in self.results[mode] and target not in ("direct", "dockwake")
        return self.ratio(mode, "dockwake", target) if ours else 0

    def markdown(self) -> str:
        versions = ", ".join(f"{name} {text}" for name, text in self.machine["versions"].items())
        lines = [
            f"{self.machine['processor']}, {self.machine['processors']} processors, "
            f"Linux {self.machine['kernel']}; {versions}.",
            f"{self.settings['threads']} threads each, {self.settings['connections']} connections "
            f"({self.settings['bulk_connections']} for 16 MiB); medians of "
            f"{self.settings['rounds']} rounds of {self.settings['seconds']} s.",
        ]
        for mode in self.results:
            first = next(iter(self.results[mode]))
            lines += [
                "", f"**{self.modes[mode].text}**", "",
                f"| | speed | of {first} | dockwake to it | p50 | p99 "
                f"| CPU for {'1 GiB' if self.modes[mode].bulk else '1,000'} | PSS "
                "| lost, wrong |",
                "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
                *(self._row(mode, target) for target in self.results[mode]),
            ]
        if self.goals:
            lines += ["", "| goal | at least | is | |", "| --- | ---: | ---: | --- |"]
        for goal in self.goals:
            met = "met" if goal["is"] >= goal["at_least"] else "missed"
            lines.append(f"| {goal['mode']}: {goal['of']} to {goal['to']} | {goal['at_least']:.2f} "
                         f"| {goal['is']:.2f} | {met} |")
        return "\n".join(lines)

    def write(self, folder: str) -> None:
        with open(os.path.join(folder, "bench.md"), "w") as file:
            file.write(self.markdown() + "\n")
        with open(os.path.join(folder, "bench.json"), "w") as file:
            json.dump({"machine": self.machine, "settings": self.settings,
                       "results": self.results, "goals": self.goals}, file, indent=1)
            file.write("\n")
