"""What the plain commands cost to start: the CPU time of their imports, against an empty interpreter."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

from tests.bench.report import Report

NAME = "imports"
ROUNDS = 11
COMMANDS = ("note", "log", "verify")
FLOOR = "import argparse, asyncio, aiosqlite, msgspec"
"""What every one of them stands on; our own modules can only add to it."""


def once(code: str) -> float:
    """Return the CPU seconds that an interpreter takes to run `code`; waiting for others does not count."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run(report: Report) -> None:
    """Measure interleaved rounds of each command's import against `pass`, and against what it is built on."""
    codes = {"pass": "pass", "floor": FLOOR}
    codes |= {name: f"import console.cli; console.cli.implementation({name!r})" for name in COMMANDS}
    for code in codes.values():
        once(code)
    times: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(ROUNDS):
        for name, code in codes.items():
            times[name].append(once(code))
    middle = {name: statistics.median(each) for name, each in times.items()}
    for name in ("floor", *COMMANDS):
        said = (
            f"{1000 * middle[name]:.0f} ms ({1000 * min(times[name]):.0f} to {1000 * max(times[name]):.0f})"
        )
        what = FLOOR if name == "floor" else f"import of `warroom {name}`"
        ratio = middle[name] / middle["pass"]
        report(
            what,
            said,
            "python -c pass",
            f"{1000 * middle['pass']:.0f} ms",
            ratio,
            "" if name == "floor" else "<= 4x",
        )
    for name in COMMANDS:
        ratio = middle[name] / middle["floor"]
        floor = f"{1000 * middle['floor']:.0f} ms"
        report(f"import of `warroom {name}`", f"{1000 * middle[name]:.0f} ms", FLOOR, floor, ratio, "")
