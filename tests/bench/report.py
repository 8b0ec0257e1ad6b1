"""The table of a benchmark run: each figure beside a bound measured in the same run."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import NamedTuple

Value = float | str


class Row(NamedTuple):
    """One figure. `ratio` is ours to the bound, None where there is no bound."""

    bench: str
    name: str
    ours: Value
    bound_name: str
    bound: Value
    ratio: float | None
    goal: str


class Report:
    """Collects the rows of a run; hand it to a benchmark's `run`."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.bench = ""

    def __call__(
        self, name: str, ours: Value, bound_name: str, bound: Value, ratio: float | None, goal: str
    ) -> None:
        """Note one figure, and print it at once."""
        row = Row(self.bench, name, ours, bound_name, bound, ratio, goal)
        self.rows.append(row)
        print("  ".join(_cells(row)), flush=True)

    def markdown(self, heading: str) -> str:
        """Return the rows as a Markdown table under a heading."""
        head = ("benchmark", "figure", "ours", "bound", "its value", "ratio", "goal")
        lines = [
            f"## {heading}",
            "",
            f"| {' | '.join(head)} |",
            "| --- | --- | ---: | --- | ---: | ---: | --- |",
        ]
        lines += [f"| {' | '.join(cell.replace('|', '/') for cell in _cells(row))} |" for row in self.rows]
        return "\n".join(lines) + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "–" if row.ratio is None else f"{row.ratio:.2f}x"
    return row.bench, row.name, _say(row.ours), row.bound_name or "–", _say(row.bound), ratio, row.goal


def _say(value: Value) -> str:
    if isinstance(value, str):
        return value or "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def machine() -> str:
    """Return the kind of machine, without its name or any path."""
    model = platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    return f"{os.cpu_count()} x {model}, {platform.system()}, Python {platform.python_version()}"
