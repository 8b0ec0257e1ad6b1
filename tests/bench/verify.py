"""Verifying a million events, all checks, against reading and hashing the same rows with as many processes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from time import perf_counter, process_time

from data.envelope import DOMAIN
from data.verify import verify
from tests.bench.million import EVENTS, case
from tests.bench.report import Report

NAME = "verify"
PROCESSES = 2
ROUNDS = 3


def hashed(path: Path, first: int, last: int) -> float:
    """Read rows and hash what is hashed of them, nothing else; processor seconds."""
    start = process_time()
    db = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
    rows = db.execute(
        "SELECT hash, head, salt, body FROM events WHERE n BETWEEN ? AND ? ORDER BY n", (first, last)
    )
    for digest, head, salt, body in rows:
        if sha256(DOMAIN + head).digest() != digest:
            raise AssertionError("a hash is wrong")
        sha256(salt + body).digest()
    db.close()
    return process_time() - start


def used() -> float:
    """Processor seconds of this process and of those that it has waited for."""
    return sum(each.ru_utime + each.ru_stime for each in map(getrusage, (RUSAGE_SELF, RUSAGE_CHILDREN)))


def run(report: Report) -> None:
    """Rounds of both in turn; the fastest of each counts."""
    directory = case()

    def ours() -> float:
        before = used()
        verdict = verify(directory)
        if verdict.damage or verdict.events != EVENTS + 1:
            raise AssertionError("the record that was just written does not verify")
        return used() - before

    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:

        def bound() -> float:
            half = (EVENTS + 1) // 2
            shares = ((1, half), (half + 1, EVENTS + 1))
            return sum(
                [
                    each.result()
                    for each in [pool.submit(hashed, directory / "log.db", *share) for share in shares]
                ]
            )

        bound()  # the processes start, and the file is in memory for both
        rounds = [(*timed(bound), *timed(ours)) for _ in range(ROUNDS)]
    floor, floor_cpu, seconds, cpu = (min(each) for each in zip(*rounds, strict=True))
    what, against = f"verify {EVENTS:,} events, all checks", f"read, SHA-256, {PROCESSES} processes"
    report(what, f"{seconds:.2f} s", against, f"{floor:.2f} s", seconds / floor, "<= 3 s on 2 cores")
    report(f"{what}, CPU", f"{cpu:.2f} s", f"{against}, CPU", f"{floor_cpu:.2f} s", cpu / floor_cpu, "")


def timed(work: Callable[[], float]) -> tuple[float, float]:
    """The seconds that something takes, and its processor seconds as it tells them."""
    start = perf_counter()
    cpu = work()
    return perf_counter() - start, cpu
