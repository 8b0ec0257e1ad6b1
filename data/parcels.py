"""Out of the log: the parcels that a strand is cut into on its way to other consoles."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from data.envelope import SALT_BYTES, Sealed, case_id
from data.segment import MAX_BYTES, MAX_EVENTS, Parcel

HEADER_BYTES = 4096
"""Room for the first line of a segment."""


@dataclass(frozen=True)
class Span:
    """A strand, or a branch of one, as it lies in a log: `first` to `last`, by number in the strand."""

    id: int
    rep: str
    inc: int
    first: int
    last: int
    branch: bool


def spans(db: sqlite3.Connection) -> list[Span]:
    """Return every strand and branch that a log holds."""
    return [
        Span(row[0], row[1], row[2], row[4], row[3], bool(row[5]))
        for row in db.execute(
            "SELECT s.id, s.rep, s.inc, s.seq,"
            " (SELECT min(seq) FROM events e WHERE e.strand = s.id), s.root <> x'' FROM strands s ORDER BY s.id"
        )
    ]


def parcels(db: sqlite3.Connection, span: Span, after: int = 0) -> Iterator[Parcel]:
    """Cut what a strand holds after number `after` into parcels, each ending where a signature is.

    What is not signed yet does not leave: it will be, with the commit that it belongs to.
    """
    founding = db.execute("SELECT hash FROM events WHERE n = 1").fetchone()
    case = case_id(bytes(founding[0]))
    key = db.execute("SELECT public FROM keys WHERE rep = ?", (span.rep,)).fetchone()
    if key is None:
        return
    while True:
        rows: list[Sealed] = []
        size = 0
        for seq, kind, digest, head, salt, body in db.execute(
            "SELECT seq, kind, hash, head, salt, body FROM events WHERE strand = ? AND seq > ? ORDER BY seq LIMIT ?",
            (span.id, after, MAX_EVENTS),
        ):
            size += len(head) + len(body or b"") + 2 * SALT_BYTES + 3
            if size > MAX_BYTES - HEADER_BYTES and rows:
                break
            rows.append(Sealed(seq, kind, digest, head, salt or b"", body or b""))
        if not rows:
            return
        signed = db.execute(
            "SELECT seq, signature FROM signatures WHERE strand = ? AND seq > ? AND seq <= ?"
            " ORDER BY seq DESC LIMIT 1",
            (span.id, after, rows[-1].seq),
        ).fetchone()
        if signed is None:
            return
        last, signature = signed
        events = [row for row in rows if row.seq <= last]
        yield Parcel(case, span.rep, span.inc, key[0], signature, events)
        after = last
