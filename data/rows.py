"""The rows of a log, each checked against itself and the one before it; large logs by two processes."""

from __future__ import annotations

import sqlite3
from hashlib import sha256
from pathlib import Path

import msgspec

from data import record
from data.canonical import NotCanonical, decode
from data.envelope import DOMAIN, VERSION, Header, Ref, decode_header, encode_header
from data.helper import Helper, Pipes
from data.log import connect

MOST = 1000
"""Damages that one part lists."""


class Damage(msgspec.Struct, frozen=True, array_like=True):
    """One thing that is wrong.

    Attributes:
        kind: One word: `header`, `hash`, `chain`, `gap`, `clock`, `columns`, `case`, `body`, `blob`,
            `number`, `strand`, `key`, `signature`, `witness` (a checkpoint saw another history), `cut`
            (a checkpoint saw more than is here) or `file`.
        n: Arrival number of the event, 0 if it is not about one event.
        rep: The replica that wrote it, "" if unknown.
        what: One sentence for people.
    """

    kind: str
    n: int
    rep: str
    what: str


class Link(msgspec.Struct, frozen=True, array_like=True):
    """An event as its neighbours in the strand see it: `hash` is its own, `prev` the one it says it follows."""

    n: int
    seq: int
    hash: str
    prev: str | None
    hlc: str

    def follows(self, before: Link, rep: str) -> list[Damage]:
        """What is wrong with this one as the next after `before`, whose own hash stands in `prev`."""
        found = []
        if self.seq != before.seq + 1:
            what = f"number {self.seq} of its strand follows number {before.seq}"
            found.append(Damage("gap", self.n, rep, what))
        elif self.prev != before.prev:
            what = "it does not hold on to the event before it in its strand"
            found.append(Damage("chain", self.n, rep, what))
        if self.hlc <= before.hlc:
            found.append(Damage("clock", self.n, rep, "its hybrid clock does not go forward"))
        return found


Place = tuple[int, str, int]
"""Where an event is: number, replica, strand."""


class Part(msgspec.Struct, array_like=True):
    """What was found in a run of rows.

    Attributes:
        first: Arrival number of the first row.
        last: Arrival number of the last row.
        count: How many rows.
        links: Of each strand, its first event in this run that could be read.
        ends: Of each strand, its last event in this run.
        damage: What is wrong within the run.
        bare: Events without a body: number, replica, hash.
        checkpoints: Number, replica and content.
        refs: Blobs, each with the first event of each strand that speaks of it: number, replica, strand.
    """

    first: int = 0
    last: int = 0
    count: int = 0
    links: dict[int, Link] = {}
    ends: dict[int, Link] = {}
    damage: list[Damage] = []
    bare: list[tuple[int, str, str]] = []
    checkpoints: list[tuple[int, str, record.Checkpoint]] = []
    refs: list[tuple[Ref, Place]] = []


class _Scan:
    def __init__(self, case: str, strands: dict[int, tuple[str, int]]) -> None:
        self.part = Part()
        self._case = case
        self._strands = strands

    def damaged(self, kind: str, n: int, rep: str, what: str) -> None:
        if len(self.part.damage) < MOST:
            self.part.damage.append(Damage(kind, n, rep, what))

    def run(self, db: sqlite3.Connection, first: int, last: int) -> Part:
        part, case, strands, damaged = self.part, self._case, self._strands, self.damaged
        refs: dict[tuple[Ref, int], Place] = {}
        # Of each strand, what comes next must follow: number, own hash, clock.
        ends: dict[int, tuple[int, int, str, str]] = {}
        links: dict[int, Link] = part.links
        expected = 0
        for n, strand, seq, digest, kind, head, salt, body in db.execute(
            "SELECT n, strand, seq, hash, kind, head, salt, body FROM events WHERE n BETWEEN ? AND ? ORDER BY n",
            (first, last),
        ):
            part.count += 1
            rep, inc = strands.get(strand, ("", 0))
            if not expected:
                part.first = n
            elif n != expected:
                damaged("number", n, rep, f"events {expected} to {n - 1} are missing from the file")
            expected = n + 1
            own = digest.hex()
            header = self._header(n, head, rep)
            before = ends.get(strand)
            if header is None:
                # The columns carry the chain on, so that what comes after is not blamed for it.
                ends[strand] = (n, seq, own, before[3] if before else "")
                links.setdefault(strand, Link(n, seq, own, None, ""))
                continue
            if sha256(DOMAIN + head).digest() != digest:
                damaged("hash", n, rep, "the header is not the one that its hash was made of")
            if before is None:
                if strand not in links:
                    links[strand] = Link(n, header.seq, own, header.prev, header.hlc)
            elif header.seq != before[1] + 1 or header.prev != before[2] or header.hlc <= before[3]:
                link = Link(n, header.seq, own, header.prev, header.hlc)
                part.damage += link.follows(Link(before[0], before[1], "", before[2], before[3]), rep)
            # The stored hash and not the computed one: a single damage is then named once.
            ends[strand] = (n, header.seq, own, header.hlc)
            if header.case != case and (n != 1 or header.case is not None):
                damaged("case", n, rep, "it belongs to another case")
            if seq != header.seq or kind != header.kind or header.rep != rep or header.inc != inc:
                damaged("columns", n, rep, "the columns beside the header contradict it")
            if salt is None or body is None:
                part.bare.append((n, rep, own))
            elif len(body) != header.body_len or sha256(salt + body).hexdigest() != header.body_h:
                damaged("body", n, rep, "the body is not the one that its header vouches for")
            else:
                try:
                    decode(body)
                except NotCanonical as error:
                    damaged("body", n, rep, f"the body is not in canonical form: {error}")
            if kind == record.CHECKPOINT and (checkpoint := record.read_checkpoint(body)) is not None:
                part.checkpoints.append((n, rep, checkpoint))
            for ref in header.refs:
                refs.setdefault((ref, strand), (n, rep, strand))
        part.last = expected - 1 if expected else first - 1
        part.ends = {strand: Link(n, seq, own, None, hlc) for strand, (n, seq, own, hlc) in ends.items()}
        part.refs = [(ref, place) for (ref, _), place in refs.items()]
        return part

    def _header(self, n: int, head: bytes, rep: str) -> Header | None:
        try:
            header = decode_header(head)
            if encode_header(header) != head:
                raise ValueError("it is not in canonical form")
            if header.v != VERSION:
                raise ValueError(f"its version is {header.v}")
        except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
            self.damaged("header", n, rep, f"the header cannot be read: {error}")
            return None
        return header


def scan(
    db: sqlite3.Connection, case: str, strands: dict[int, tuple[str, int]], first: int, last: int
) -> Part:
    """Check the rows with arrival numbers `first` to `last`.

    Args:
        db: The log.
        case: Case id.
        strands: Replica and incarnation of each strand.
        first: The first number, whether or not it is there.
        last: The last number.

    Raises:
        sqlite3.Error: If the file is damaged.
    """
    return _Scan(case, strands).run(db, first, last)


def scan_in_two(
    db: sqlite3.Connection,
    path: Path,
    immutable: bool,
    case: str,
    strands: dict[int, tuple[str, int]],
    last: int,
) -> list[Part]:
    """Check all rows up to `last`, the second half in a process of its own; see `scan`."""
    middle = last // 2
    with Helper("data.rows") as helper:
        job = Job(str(path), immutable, case, strands, middle + 1, last)
        try:
            helper.send(msgspec.msgpack.encode(job))
        except EOFError:
            pass  # the answer will be missing too
        parts = [scan(db, case, strands, 1, middle)]
        try:
            parts.append(msgspec.msgpack.decode(helper.receive(), type=Part))
        except (EOFError, msgspec.MsgspecError):
            # It died, or found what it could not tell.
            parts.append(scan(db, case, strands, middle + 1, last))
    return parts


class Job(msgspec.Struct, frozen=True, array_like=True):
    """What the second process is to look at; see `scan`."""

    path: str
    immutable: bool
    case: str
    strands: dict[int, tuple[str, int]]
    first: int
    last: int


def serve(pipes: Pipes) -> None:
    """Do one job."""
    job = msgspec.msgpack.decode(pipes.receive(), type=Job)
    db = connect(Path(job.path), immutable=job.immutable)
    try:
        part = scan(db, job.case, job.strands, job.first, job.last)
    except (sqlite3.Error, TypeError, ValueError, AttributeError):
        return  # whoever asked finds it again, and says it
    finally:
        db.close()
    pipes.send(msgspec.msgpack.encode(part))
