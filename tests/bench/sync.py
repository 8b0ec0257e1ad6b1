"""Sharing 100,000 events through a remote in memory, and how late a screen draws meanwhile."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from functools import partial
from hashlib import sha256
from pathlib import Path
from threading import Thread
from time import perf_counter, sleep

from textual.app import App, ComposeResult
from textual.widgets import Static

from data.case import Case, adopt, found
from data.home import Home
from data.log import connect
from data.parcels import parcels, spans
from data.segment import unpack
from data.sync import Sync, founding
from data.verify import verify
from tests.bench.append import quantile
from tests.bench.report import Report
from tests.data.sample import FOUNDING, note, project
from tests.data.test_sync import Remote

NAME = "sync"
EVENTS = 100_000
BATCH = 1000
FRAME = 1 / 60
QUIET_SECONDS = 5.0


class Screen(App[None]):
    """Something to draw: a page of text that changes with every frame."""

    def compose(self) -> ComposeResult:
        """One widget."""
        yield Static("", markup=False)

    async def frames(self, going_on: Callable[[], bool]) -> list[float]:
        """Draw until it is over; how late each frame came, in milliseconds."""
        late, page = [], self.query_one(Static)
        due = perf_counter()
        while going_on():
            due = max(due + FRAME, perf_counter())
            await asyncio.sleep(due - perf_counter())
            late.append(1000 * (perf_counter() - due))
            page.update(f"frame {len(late)}\n" * 30)
        return late


async def _drawn(work: Callable[[], object]) -> tuple[float, list[float]]:
    """Do something on a thread beside a screen; the seconds, and how late the frames came."""
    app = Screen()
    async with app.run_test(size=(120, 40)):
        thread = Thread(target=work)
        start = perf_counter()
        thread.start()
        late = await app.frames(thread.is_alive)
        return perf_counter() - start, late


def run(report: Report) -> None:
    """Push, then catch up beside a screen."""
    with tempfile.TemporaryDirectory(prefix="warroom-bench-") as root:
        ana, ben = Home.open(Path(root) / "ana"), Home.open(Path(root) / "ben")
        case, remote = found(ana, FOUNDING, project), Remote()
        answers = [
            case.append(*(note(f"refund {i} sent") for i in range(first, first + BATCH)))
            for first in range(0, EVENTS, BATCH)
        ]
        for answer in answers:
            answer.result(60)
        with closing(connect(case.directory / "log.db")) as db:
            start = perf_counter()
            for head, salt, body in db.execute("SELECT head, salt, body FROM events ORDER BY n"):
                sha256(head + salt + body).digest()
            floor = perf_counter() - start
        start = perf_counter()
        Sync(case, remote, "shelf", ana.replica).turn()
        seconds = perf_counter() - start
        what = f"push {EVENTS:,} events to memory"
        report(what, f"{seconds:.2f} s", "read, SHA-256", f"{floor:.2f} s", seconds / floor, "<= 1.5 s")
        case.close()

        start = perf_counter()
        for name in remote.segments:
            unpack(name, remote.objects[name])
        alone = perf_counter() - start
        parcel = founding(remote, case.id)
        assert parcel is not None
        two = Case.open(adopt(ben, parcel), ben, project)
        sync = Sync(two, remote, "shelf", ben.replica)
        interval = sys.getswitchinterval()
        sys.setswitchinterval(0.001)
        try:
            _, quiet = asyncio.run(_drawn(partial(sleep, QUIET_SECONDS)))
            seconds, late = asyncio.run(_drawn(sync.turn))
        finally:
            sys.setswitchinterval(interval)
        two.close()
        if verify(two.directory).damage or _count(two) < EVENTS:
            raise AssertionError("the console that caught up does not hold everything")
        what = f"catch up {EVENTS:,} events beside a screen"
        bound = "checking the segments, alone"
        report(what, f"{seconds:.2f} s", bound, f"{alone:.2f} s", seconds / alone, "<= 3 s")
        for share in (0.5, 0.99):
            ours, theirs = quantile(late, share), quantile(quiet, share)
            report(
                f"frames late meanwhile, p{100 * share:.0f}", f"{ours:.1f} ms", "the same screen, quiet",
                f"{theirs:.1f} ms", ours / theirs, "<= 10 ms" if share > 0.9 else "",
            )  # fmt: skip


def _count(case: Case) -> int:
    with closing(connect(case.directory / "log.db")) as db:
        return sum(len(parcel.events) for span in spans(db) for parcel in parcels(db, span))
