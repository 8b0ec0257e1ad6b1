"""Refused records: counted exactly, kept in part, never fatal."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from console.telemetry.refused import KEPT_LIMIT, KEPT_PER_FLUSH, KINDS_LIMIT, RAW_LIMIT, RefusedStore


def test_counts_are_exact_and_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "refused.db"
    told: list[tuple[str, str, int]] = []
    store = RefusedStore(path, lambda *each: told.append(each))
    for n in range(1_000):
        store.add(n, "file", f"it is not JSON: at byte {n}", b"x" * 10_000)
    store.add(5, "file", "too large")
    store.flush()
    store.flush()
    assert told == [("file", "it is not JSON", 1_000), ("file", "too large", 1)]
    assert len(store.recent(10_000)) == KEPT_PER_FLUSH + 1
    assert max(len(kept.raw) for kept in store.recent()) == RAW_LIMIT
    store.close()
    again = RefusedStore(path)
    again.add(2_000, "file", "it is not JSON: again", b"last")
    again.flush()
    tally = again.tallies()[0]
    assert (tally.source, tally.reason, tally.times, tally.first, tally.last) == (
        "file",
        "it is not JSON",
        1_001,
        0,
        2_000,
    )
    assert again.recent(1)[0].raw == b"last"
    again.close()


def test_a_flood_is_bounded(tmp_path: Path) -> None:
    store = RefusedStore(tmp_path / "refused.db")
    for n in range(KINDS_LIMIT + 500):
        store.add(n, f"source {n}", "reason")
        if n % 5 == 0:
            store.flush()
    for flush in range(KEPT_LIMIT // KEPT_PER_FLUSH + 10):
        for _ in range(KEPT_PER_FLUSH + 5):
            store.add(flush, "flood", "reason", b"x")
        store.flush()
    assert len(store.tallies()) <= KINDS_LIMIT + 1
    assert sum(tally.times for tally in store.tallies()) == store.total
    store.close()
    (count,) = sqlite3.connect(tmp_path / "refused.db").execute("SELECT count(*) FROM kept").fetchone()
    assert count == KEPT_LIMIT


def test_without_a_disk_it_still_counts(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    store = RefusedStore(blocked / "refused.db")
    store.add(1, "a", "b", b"raw")
    store.flush()
    assert store.total == 1
    assert store.trouble
    store.close()


@given(st.text(), st.text(), st.binary(max_size=100))
def test_any_text_can_be_counted(source: str, reason: str, raw: bytes) -> None:
    store = RefusedStore(None)
    store.add(1, source, reason, raw)
    store.flush()
    assert store.tallies()[0].times == 1
