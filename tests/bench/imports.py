"""What the plain commands cost to start: their imports, against an empty interpreter."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from tests.bench.report import Report

NAME = "imports"
ROUNDS = 15
COMMANDS = ("note", "log", "verify")


def once(code: str) -> float:
    """Seconds that one interpreter takes to run `code`."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def run(report: Report) -> None:
    """Measure interleaved rounds of each command's import against `pass`."""
    codes = {name: f"import console.cli; console.cli.implementation({name!r})" for name in COMMANDS}
    times: dict[str, list[float]] = {name: [] for name in ("pass", *COMMANDS)}
    for code in ("pass", *codes.values()):
        once(code)
    for _ in range(ROUNDS):
        times["pass"].append(once("pass"))
        for name, code in codes.items():
            times[name].append(once(code))
    bound = statistics.median(times["pass"])
    for name in COMMANDS:
        ours = times[name]
        middle = statistics.median(ours)
        said = f"{1000 * middle:.0f} ms ({1000 * min(ours):.0f} to {1000 * max(ours):.0f})"
        report(
            f"import of `warroom {name}`",
            said,
            "python -c pass",
            f"{1000 * bound:.0f} ms",
            middle / bound,
            "<= 4x",
        )
