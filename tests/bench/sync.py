"""Sharing 100,000 events through a remote in memory, and how late a screen draws meanwhile."""

from __future__ import annotations

import asyncio
import gc
import resource
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from functools import partial
from hashlib import sha256
from pathlib import Path
from threading import Thread
from time import perf_counter, sleep, thread_time

from textual.app import App, ComposeResult
from textual.widgets import Static

from data.case import Case, adopt, found
from data.home import Home
from data.log import connect
from data.parcels import parcels, spans
from data.projection import NAME as VIEW
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
SCHEDULED = Path("/proc/thread-self/schedstat")
"""On Linux: how long this thread ran, and how long it could have run and had no processor, in nanoseconds."""


class Screen(App[None]):
    """Something to draw: a page of text that changes with every frame."""

    def compose(self) -> ComposeResult:
        """One widget."""
        yield Static("", markup=False)

    async def frames(self, going_on: Callable[[], bool]) -> tuple[list[float], list[float]]:
        """Draw until it is over.

        Returns:
            How late each frame came, in milliseconds, and how late less the time in which other processes had
            the processor.
        """
        late, own, page = [], [], self.query_one(Static)
        due = perf_counter()
        while going_on():
            due = max(due + FRAME, perf_counter())
            waited = _waited()
            await asyncio.sleep(due - perf_counter())
            late.append(1000 * (perf_counter() - due))
            own.append(max(0.0, late[-1] - (_waited() - waited)))
            page.update(f"frame {len(late)}\n" * 30)
        return late, own


def _waited() -> float:
    """Milliseconds that this thread has waited for a processor; 0 where nobody counts them."""
    try:
        return int(SCHEDULED.read_bytes().split()[1]) / 1e6
    except OSError:
        return 0.0


def _spent() -> float:
    """Processor seconds of this process, and of those that it started and that have ended."""
    used = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


async def _drawn(work: Callable[[], object]) -> tuple[float, tuple[list[float], list[float]]]:
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
        del answers
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

        start, busy = perf_counter(), thread_time()
        for name in remote.segments:
            unpack(name, remote.objects[name])
        alone, busy = perf_counter() - start, thread_time() - busy
        parcel = founding(remote, case.id)
        assert parcel is not None
        two = Case.open(adopt(ben, parcel), ben, project)
        sync = Sync(two, remote, "shelf", ben.replica)
        interval = sys.getswitchinterval()
        # As in the console, which looks for cycles only among what came after its start.
        sys.setswitchinterval(0.001)
        gc.freeze()
        try:
            _, quiet = asyncio.run(_drawn(partial(sleep, QUIET_SECONDS)))
            before, start = _spent(), perf_counter()
            seconds, late = asyncio.run(_drawn(sync.turn))
            shown = _shown(two) - start
        finally:
            sys.setswitchinterval(interval)
            gc.unfreeze()
        two.close()
        spent = _spent() - before
        if verify(two.directory).damage or _count(two) < EVENTS:
            raise AssertionError("the console that caught up does not hold everything")
        what = f"catch up {EVENTS:,} events beside a screen"
        bound = "checking the segments, alone"
        report(what, f"{seconds:.2f} s", bound, f"{alone:.2f} s", seconds / alone, "<= 3 s")
        report(
            "the same, until the timeline has them",
            f"{shown:.2f} s",
            bound,
            f"{alone:.2f} s",
            shown / alone,
            "",
        )
        what = "the same, processor time of all of it"
        report(what, f"{spent:.2f} s", bound, f"{busy:.2f} s", spent / busy, "")
        for which, name in enumerate(("frames late meanwhile", "frames late by the console itself")):
            for share in (0.5, 0.99):
                ours, theirs = quantile(late[which], share), quantile(quiet[which], share)
                report(
                    f"{name}, p{100 * share:.0f}", f"{ours:.1f} ms", "the same screen, quiet",
                    f"{theirs:.1f} ms", ours / theirs if theirs else None, "<= 10 ms" if share > 0.9 else "",
                )  # fmt: skip


def _shown(case: Case) -> float:
    """Wait until the timeline has everything; when that was."""
    with closing(connect(case.directory / "log.db")) as log, closing(_view(case)) as view:
        while (
            view.execute("SELECT upto FROM built").fetchone()
            < log.execute("SELECT max(n) FROM events").fetchone()
        ):
            sleep(0.01)
    return perf_counter()


def _view(case: Case) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{case.directory / VIEW}?mode=ro", uri=True)


def _count(case: Case) -> int:
    with closing(connect(case.directory / "log.db")) as db:
        return sum(len(parcel.events) for span in spans(db) for parcel in parcels(db, span))
