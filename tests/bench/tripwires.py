"""JSON lines to alerts, all tripwires, against typed decoding alone; growth with agents and days; memory."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from console.telemetry.action import Action
from console.telemetry.jsonl import CHUNK, whole
from console.tripwires.engine import Engine
from console.tripwires.rules import Rules
from console.watching.garbage import seldom
from tests.bench.report import Report
from tests.workload import INVENTORY, write

NAME = "tripwires"
ROUNDS = 3
ACTIONS = 1_000_000
"""With a tenth of the agents this is as dense as ten million actions of a thousand agents over eight days."""


def decode(path: Path) -> int:
    """Decode a file and do nothing with it: the bound. Returns how many actions it holds."""
    decoder = msgspec.json.Decoder(Action)
    count, rest = 0, b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            chunk = rest + chunk
            cut = chunk.rfind(b"\n") + 1
            rest = chunk[cut:]
            count += len(decoder.decode_lines(chunk[:cut]))
    return count


def watch(path: Path) -> int:
    """Take a file to its alerts as the watcher does. Returns how many actions the engine was given."""
    seldom()
    engine = Engine(Rules(), INVENTORY)
    for batch in whole(path):
        engine.feed(batch.actions)
        engine.advance(engine.clock)
    engine.finish()
    return engine.counters["actions"]


def measure(path: Path, rounds: int = ROUNDS) -> tuple[float, float, float]:
    """Return CPU microseconds an action of the engine and of the bound, and the ratio; medians of rounds."""
    ours, bound, ratios = [], [], []
    for _ in range(rounds):
        start = time.process_time()
        count = decode(path)
        middle = time.process_time()
        if watch(path) != count:
            raise AssertionError("the engine was not given what the bound decoded")
        end = time.process_time()
        bound.append((middle - start) / count * 1e6)
        ours.append((end - middle) / count * 1e6)
        ratios.append(ours[-1] / bound[-1])
    return statistics.median(ours), statistics.median(bound), statistics.median(ratios)


def resident(path: Path) -> float:
    """Return the peak resident memory in MB of a process that takes the file to its alerts."""
    code = (
        "import resource, sys; from pathlib import Path; from tests.bench.tripwires import watch;"
        "watch(Path(sys.argv[1])); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True)
    return float(done.stdout)


def run(report: Report) -> None:
    """Measure the engine on workloads written for the run."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "actions.jsonl"

        def workload(actions: int, agents: int, days: int) -> Path:
            write(path, actions, agents, days)
            return path

        ours, bound, ratio = measure(workload(ACTIONS, 100, 8))
        report(
            "JSON lines to alerts, us CPU an action",
            ours,
            "msgspec typed decode",
            bound,
            ratio,
            "<= 6x, then 4x",
        )
        report(
            "its memory, MB", resident(path), "", "", None, "<= 300 for 10,000,000 actions of 1,000 agents"
        )
        few, _, _ = measure(workload(ACTIONS, 1_000, 8), 1)
        many, _, _ = measure(workload(ACTIONS, 100_000, 8), 1)
        report("100,000 agents, us CPU an action", many, "1,000 agents", few, many / few, "<= 2x")
        short, _, _ = measure(workload(ACTIONS // 2, 50, 1), 1)
        long, _, _ = measure(workload(ACTIONS // 2, 50, 28), 1)
        report("28 days, us CPU an action", long, "1 day", short, long / short, "<= 1.25x")
