"""Refused records: counted exactly, kept in part, never fatal."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from console.telemetry.refused import KEPT_LIMIT, KEPT_PER_FLUSH, KINDS_LIMIT, RAW_LIMIT, RefusedStore


def kept(path: Path) -> list[tuple[str, bytes]]:
    """What the store holds: source and raw bytes, oldest first."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT source, raw FROM kept ORDER BY id").fetchall()


def test_counts_are_exact_and_a_part_is_kept_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "refused.db"
    told: list[tuple[str, str, int]] = []
    store = RefusedStore(path, lambda *each: told.append(each))
    for n in range(1_000):
        store.add(n, "file", f"it is not JSON: at byte {n}", b"x" * 10_000)
    store.add(5, "file", "too large")
    store.flush()
    store.flush()
    assert told == [("file", "it is not JSON", 1_000), ("file", "too large", 1)]
    store.close()
    assert len(kept(path)) == KEPT_PER_FLUSH + 1
    assert max(len(raw) for _, raw in kept(path)) == RAW_LIMIT
    again = RefusedStore(path)
    again.add(2_000, "file", "it is not JSON: again", b"last")
    again.close()
    assert kept(path)[-1] == ("file", b"last")


def test_a_flood_is_bounded(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    store = RefusedStore(tmp_path / "refused.db", lambda source, _, count: counts.update({source: count}))
    for n in range(KINDS_LIMIT + 500):
        store.add(n, f"source {n}", "reason")
    store.flush()
    assert len(counts) == KINDS_LIMIT + 1
    for flush in range(KEPT_LIMIT // KEPT_PER_FLUSH + 10):
        for _ in range(KEPT_PER_FLUSH + 5):
            store.add(flush, "flood", "reason", b"x")
        store.flush()
    assert counts.total() == KINDS_LIMIT + 500 + (KEPT_LIMIT // KEPT_PER_FLUSH + 10) * (KEPT_PER_FLUSH + 5)
    store.close()
    assert len(kept(tmp_path / "refused.db")) == KEPT_LIMIT


def test_without_a_disk_it_still_counts(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    told: list[int] = []
    store = RefusedStore(blocked / "refused.db", lambda _, __, count: told.append(count))
    store.add(1, "a", "b", b"raw")
    store.flush()
    assert told == [1]
    assert store.trouble
    store.close()


@given(st.text(), st.text(), st.binary(max_size=100))
def test_any_text_can_be_counted(source: str, reason: str, raw: bytes) -> None:
    told: list[int] = []
    store = RefusedStore(None, lambda _, __, count: told.append(count))
    store.add(1, source, reason, raw)
    store.flush()
    assert told == [1]
