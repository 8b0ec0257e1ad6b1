"""A timeline of a million lines: what a reader waits for, against bare range reads of the same file."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import statistics
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from data.projection import LINE_COLUMNS
from data.view import Filter, Line, Lines
from tests.bench.million import EVENTS, case
from tests.bench.report import Report

NAME = "timeline"
ROUNDS = 41

PAGE = f"SELECT {LINE_COLUMNS} FROM lines WHERE ord >= ? ORDER BY ord LIMIT 100"
LAST = f"SELECT {LINE_COLUMNS} FROM lines ORDER BY ord DESC LIMIT 100"
FOUND = (
    f"SELECT {LINE_COLUMNS} FROM lines WHERE id IN"
    " (SELECT rowid FROM search WHERE search MATCH ? ORDER BY rowid DESC LIMIT 200) ORDER BY ord DESC"
)
READ = """
import asyncio, re, sys
from pathlib import Path
from data.view import Filter, Lines
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
async def main():
    lines = await Lines.open(Path(sys.argv[1]))
    start = peak()
    count = await lines.count()
    for position in range(0, count, max(count // 200, 1)):
        await lines.window(position, 100)
    await lines.search("acct")
    plain = peak()
    await lines.count(Filter(text="refund"))
    await lines.close()
    print(plain - start, peak() - start)
asyncio.run(main())
"""


def made(rows: Sequence[Any]) -> list[Line]:
    """The same work on the other side: rows become lines."""
    return [
        Line._make((row[0], row[1], row[2].hex(), *row[3:10], row[10][8:].hex(), row[10][:8].hex()))
        for row in rows
    ]


def run(report: Report) -> None:
    """Interleave our reads with bare ones, and compare the answers."""
    directory = case()
    asyncio.run(_run(report, directory))
    _memory(report, directory)


async def _run(report: Report, directory: Path) -> None:
    bare = sqlite3.connect(f"{(directory / 'view.db').as_uri()}?mode=ro", uri=True)
    moments = random.Random(1)
    chance = [moments.randrange(EVENTS - 200) for _ in range(ROUNDS)]
    lines = await Lines.open(directory)
    pages = [(await lines.window(position, 1))[0] for position in chance]
    keys = [bare.execute("SELECT ord FROM lines WHERE id = ?", (line.id,)).fetchone()[0] for line in pages]

    async def measure(
        name: str,
        goal: str,
        bound: str,
        ours: Callable[[int], Awaitable[object]],
        theirs: Callable[[int], object],
    ) -> None:
        mine, other = [], []
        for i in range(ROUNDS):
            start = perf_counter()
            answer = await ours(i)
            middle = perf_counter()
            expected = theirs(i)
            end = perf_counter()
            if answer != expected:
                raise AssertionError(f"{name}: the two sides disagree")
            mine.append(middle - start)
            other.append(end - middle)
        a, b = statistics.median(mine), statistics.median(other)
        report(
            f"{name} of {EVENTS:,} lines",
            f"{1000 * a:.2f} ms ({1000 * min(mine):.2f} to {1000 * max(mine):.2f})",
            bound,
            f"{1000 * b:.2f} ms",
            a / b,
            goal,
        )

    async def opened(_: int) -> object:
        fresh = await Lines.open(directory)
        count = await fresh.count()
        last = await fresh.window(count - 100, 100)
        await fresh.close()
        return last

    def opened_bare(_: int) -> object:
        db = sqlite3.connect(f"{(directory / 'view.db').as_uri()}?mode=ro", uri=True)
        rows = made(db.execute(LAST).fetchall())[::-1]
        db.close()
        return rows

    await measure("open and last 100", "<= 150 ms", "connect, range read", opened, opened_bare)
    await measure(
        "page of 100",
        "<= 25 ms",
        "range read from a known key",
        lambda i: lines.window(chance[i], 100),
        lambda i: made(bare.execute(PAGE, (keys[i],)).fetchall()),
    )

    async def jump(i: int) -> object:
        return await lines.window(await lines.position(pages[i].at), 100)

    await measure(
        "jump to a time",
        "<= 25 ms",
        "range read from a known key",
        jump,
        lambda i: made(bare.execute(PAGE, (pages[i].at.to_bytes(8, "big"),)).fetchall()),
    )
    # The last two words stand in many lines, and never in the same one: the dearest question there is.
    expressions = {"acct": '"acct"', "loop escalate": '"loop" "escalate"', "refund loop": '"refund" "loop"'}
    for query, expression in expressions.items():
        await measure(
            f"search newest {query!r}",
            "<= 50 ms",
            "the same full-text query",
            lambda _, q=query: lines.search(q),  # type: ignore[misc]
            lambda _, e=expression: made(bare.execute(FOUND, (e,)).fetchall()),  # type: ignore[misc]
        )
    flt = Filter(text="refund", marks=frozenset("!"))
    start = perf_counter()
    count = await lines.count(flt)
    first = perf_counter() - start
    start = perf_counter()
    await lines.window(count // 2, 100, flt)
    report("filter: first count", f"{1000 * first:.0f} ms", "", "", None, "")
    report("filter: page after that", f"{1000 * (perf_counter() - start):.2f} ms", "", "", None, "<= 25 ms")
    await lines.close()
    bare.close()


def _memory(report: Report, directory: Path) -> None:
    """Peak memory of a process of its own that does nothing but read; only Linux says it so."""
    if not Path("/proc/self/status").exists():
        return
    plain, filtered = subprocess.run(
        [sys.executable, "-c", READ, str(directory)], check=True, capture_output=True, text=True
    ).stdout.split()
    report("memory of 200 pages and a search", f"{int(plain) / 1024:.1f} MB", "", "", None, "<= 30 MB")
    report("memory with a filtered view", f"{int(filtered) / 1024:.1f} MB", "", "", None, "<= 30 MB")
