"""Verifying a million events, all checks, against SHA-256 of the stored bytes."""

from __future__ import annotations

import sqlite3
from hashlib import sha256
from time import perf_counter

from data.verify import verify
from tests.bench.million import EVENTS, case
from tests.bench.report import Report

NAME = "verify"


def run(report: Report) -> None:
    """One round each of reading and hashing, before and after ours; the faster one counts."""
    directory = case()

    def bound() -> float:
        db = sqlite3.connect(f"{(directory / 'log.db').as_uri()}?mode=ro", uri=True)
        start = perf_counter()
        for head, salt, body in db.execute("SELECT head, salt, body FROM events ORDER BY n"):
            sha256(head).digest()
            sha256(salt + body).digest()
        seconds = perf_counter() - start
        db.close()
        return seconds

    before = bound()
    start = perf_counter()
    verdict = verify(directory)
    ours = perf_counter() - start
    floor = min(before, bound())
    if verdict.damage or verdict.events != EVENTS + 1:
        raise AssertionError("the record that was just written does not verify")
    report(
        f"verify {EVENTS:,} events, all checks",
        f"{ours:.2f} s",
        "read, SHA-256",
        f"{floor:.2f} s",
        ours / floor,
        "<= 3x",
    )
