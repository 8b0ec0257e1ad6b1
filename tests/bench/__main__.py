"""`python -m tests.bench [NAME ...]`: runs the benchmarks and prints one table.

A benchmark is a module of this package with `NAME` and `run(report)`. A run of all of them writes
docs/benchmarks.md; a run of some only prints.
"""

from __future__ import annotations

import datetime as dt
import importlib
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

import tests.bench
from tests.bench.report import Report, machine

TABLE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
INTRODUCTION = """# Benchmarks

Written by `make bench`. Every figure stands beside a bound that was measured in the same run: the bare
library call, the floor of the toolkit, or what one would use instead. The ratio matters, since absolute times
depend on the machine and on who shares it. Nothing in the test suite asserts a time.

"""


def benchmarks() -> dict[str, ModuleType]:
    """Return the benchmark modules by name, in the order of their names."""
    found = {}
    for each in pkgutil.iter_modules(tests.bench.__path__):
        if each.name not in {"__main__", "report"} and not each.name.startswith("test_"):
            module = importlib.import_module(f"tests.bench.{each.name}")
            if hasattr(module, "NAME") and hasattr(module, "run"):
                found[module.NAME] = module
    return dict(sorted(found.items()))


def main(names: list[str]) -> int:
    """Run the benchmarks called `names`, or all of them. Returns the exit code."""
    known = benchmarks()
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"There is no benchmark {', '.join(unknown)}. Known: {', '.join(known)}.", file=sys.stderr)
        return 2
    report = Report()
    failed = []
    for name, module in known.items():
        if names and name not in names:
            continue
        report.bench = name
        print(f"-- {name}", file=sys.stderr, flush=True)
        try:
            module.run(report)
        except Exception as error:  # one broken benchmark must not cost the others
            failed.append(name)
            print(f"{name} failed: {error!r}", file=sys.stderr)
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%MZ")
    table = report.markdown(f"{now}, {machine()}")
    if not names and not failed:
        TABLE.write_text(INTRODUCTION + table)
    print("\n" + table)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
