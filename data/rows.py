"""The rows of a log, each checked against itself and the one before it; large logs by two processes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from hashlib import sha256
from operator import lt
from pathlib import Path

import msgspec

from data import record
from data.canonical import MAX_BYTES, NotCanonical, check_all, decode
from data.envelope import DOMAIN, VERSION, Header, Ref, commitment, decode_header, encode_header
from data.helper import Helper, Pipes
from data.log import connect

MOST = 1000
"""Damages that one part lists."""

TOGETHER = 100
"""Rows that are looked at together: enough that calls cost little, and what they hold fits into the cache."""

PIECE = 10_000
"""Rows that one of two processes takes on at a time, about 60 ms: so much later than the other it may be done."""

_decode_headers = msgspec.json.Decoder(Header, strict=True).decode_lines
_encode_headers = msgspec.json.Encoder().encode_lines


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


Row = tuple[int, int, int, bytes, str, bytes, bytes | None, bytes | None]


class _Scan:
    """Looks at some rows together, which says whether all are sound; if not, at each, which says what is wrong."""

    def __init__(self, case: str, strands: dict[int, tuple[str, int]]) -> None:
        self.part = Part()
        self._case = case
        self._strands = strands
        self._expected = 0
        self._ends: dict[int, tuple[int, int, str, str]] = {}
        """Of each strand, what comes next must follow: number, number in the strand, own hash, clock."""
        self._refs: dict[tuple[Ref, int], Place] = {}

    def damaged(self, kind: str, n: int, rep: str, what: str) -> None:
        if len(self.part.damage) < MOST:
            self.part.damage.append(Damage(kind, n, rep, what))

    def run(self, db: sqlite3.Connection, first: int, last: int) -> Part:
        part = self.part
        cursor = db.execute(
            "SELECT n, strand, seq, hash, kind, head, salt, body FROM events WHERE n BETWEEN ? AND ? ORDER BY n",
            (first, last),
        )
        while rows := cursor.fetchmany(TOGETHER):
            if not part.count:
                part.first = self._expected = rows[0][0]
            part.count += len(rows)
            if not self._together(rows):
                for row in rows:
                    self._alone(*row)
        part.last = self._expected - 1 if part.count else first - 1
        part.ends = {
            strand: Link(n, seq, own, None, hlc) for strand, (n, seq, own, hlc) in self._ends.items()
        }
        part.refs = [(ref, place) for (ref, _), place in self._refs.items()]
        return part

    def _together(self, rows: list[Row]) -> bool:
        """Whether each of these rows passes every check of `_alone`; only then are they taken in."""
        numbers, strands, seqs, digests, kinds, heads, salts, bodies = zip(*rows, strict=True)
        try:
            lengths = list(map(len, bodies))
            if sum(lengths) + sum(map(len, heads)) > MAX_BYTES:
                return False  # one by one they take less memory, and no more time
            text = b"\n".join(heads)
            headers = _decode_headers(text)
            # Encoded headers hold no line break, so what is equal as a whole is equal line by line.
            if len(headers) != len(rows) or _encode_headers(headers) != text + b"\n":
                return False
            hashes = [sha256(DOMAIN + head).hexdigest() for head in heads]
            commitments = [sha256(salt + body).hexdigest() for salt, body in zip(salts, bodies, strict=True)]
            if (
                numbers != tuple(range(self._expected, self._expected + len(rows)))
                or [digest.hex() for digest in digests] != hashes
                or [header.seq for header in headers] != list(seqs)
                or [header.kind for header in headers] != list(kinds)
                or [header.body_len for header in headers] != lengths
                or [header.body_h for header in headers] != commitments
            ):
                return False
            check_all(bodies)
        except (msgspec.MsgspecError, ValueError, TypeError, AttributeError, RecursionError):
            return False
        runs: dict[int, tuple[Sequence[int], Sequence[str], Sequence[Header]]]
        runs = {strands[0]: (numbers, hashes, headers)}
        if len(set(strands)) > 1:
            every = list(zip(strands, numbers, hashes, headers, strict=True))
            for strand in set(strands):
                _, *run = zip(*(each for each in every if each[0] == strand), strict=True)
                runs[strand] = (run[0], run[1], run[2])
        if not all(self._goes_on(strand, run[1], run[2]) for strand, run in runs.items()):
            return False
        for strand, (places, names, mine) in runs.items():
            if strand not in self.part.links:
                self.part.links[strand] = Link(places[0], mine[0].seq, names[0], mine[0].prev, mine[0].hlc)
            self._ends[strand] = (places[-1], mine[-1].seq, names[-1], mine[-1].hlc)
        self._expected += len(rows)
        if record.CHECKPOINT in kinds or any(header.refs for header in headers):
            for row, header in zip(rows, headers, strict=True):
                self._speaks_of(row[0], row[1], header.kind, header, row[7])
        return True

    def _goes_on(self, strand: int, hashes: Sequence[str], headers: Sequence[Header]) -> bool:
        """Whether these are the next events of their strand, as those before them and this case know it."""
        first = headers[0]
        _, seq, prev, hlc = self._ends.get(strand, (0, first.seq - 1, first.prev, ""))
        clocks = [hlc, *[header.hlc for header in headers]]
        return (
            [header.seq for header in headers] == list(range(seq + 1, seq + 1 + len(headers)))
            and [header.prev for header in headers] == [prev, *hashes[:-1]]
            and all(map(lt, clocks, clocks[1:]))
            and {(header.rep, header.inc, header.case, header.v) for header in headers}
            == {(*self._strands.get(strand, ("", 0)), self._case, VERSION)}
        )

    def _alone(
        self,
        n: int,
        strand: int,
        seq: int,
        digest: bytes,
        kind: str,
        head: bytes,
        salt: bytes | None,
        body: bytes | None,
    ) -> None:
        part, damaged = self.part, self.damaged
        rep, inc = self._strands.get(strand, ("", 0))
        if n != self._expected:
            damaged("number", n, rep, f"events {self._expected} to {n - 1} are missing from the file")
        self._expected = n + 1
        own = digest.hex()
        header = self._header(n, head, rep)
        before = self._ends.get(strand)
        if header is None:
            # The columns carry the chain on, so that what comes after is not blamed for it.
            self._ends[strand] = (n, seq, own, before[3] if before else "")
            part.links.setdefault(strand, Link(n, seq, own, None, ""))
            return
        if sha256(DOMAIN + head).digest() != digest:
            damaged("hash", n, rep, "the header is not the one that its hash was made of")
        link = Link(n, header.seq, own, header.prev, header.hlc)
        if before is None:
            part.links.setdefault(strand, link)
        else:
            part.damage += link.follows(Link(before[0], before[1], "", before[2], before[3]), rep)
        # The stored hash and not the computed one: a single damage is then named once.
        self._ends[strand] = (n, header.seq, own, header.hlc)
        if header.case != self._case and (n != 1 or header.case is not None):
            damaged("case", n, rep, "it belongs to another case")
        if seq != header.seq or kind != header.kind or header.rep != rep or header.inc != inc:
            damaged("columns", n, rep, "the columns beside the header contradict it")
        if salt is None or body is None:
            part.bare.append((n, rep, own))
        elif len(body) != header.body_len or commitment(salt, body) != header.body_h:
            damaged("body", n, rep, "the body is not the one that its header vouches for")
        else:
            try:
                decode(body)
            except NotCanonical as error:
                damaged("body", n, rep, f"the body is not in canonical form: {error}")
        self._speaks_of(n, strand, kind, header, body)

    def _speaks_of(self, n: int, strand: int, kind: str, header: Header, body: bytes | None) -> None:
        """Gather what an event says of other strands and of blobs."""
        rep, _ = self._strands.get(strand, ("", 0))
        if kind == record.CHECKPOINT and (checkpoint := record.read_checkpoint(body)) is not None:
            self.part.checkpoints.append((n, rep, checkpoint))
        for ref in header.refs:
            self._refs.setdefault((ref, strand), (n, rep, strand))

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


class Job(msgspec.Struct, frozen=True, array_like=True):
    """What two processes share out among themselves; see `scan`.

    Attributes:
        path: The log.
        immutable: Whether nobody writes it.
        case: Case id.
        strands: Replica and incarnation of each strand.
        last: The last number.
        pieces: Into how many runs the rows are cut, at most 256.
        open: The reading end of a pipe that holds a byte for each piece nobody has taken on yet.
    """

    path: str
    immutable: bool
    case: str
    strands: dict[int, tuple[str, int]]
    last: int
    pieces: int
    open: int

    def check(self, db: sqlite3.Connection, piece: int) -> Part:
        """Check one piece."""
        first, after = (self.last * each // self.pieces + 1 for each in (piece, piece + 1))
        return scan(db, self.case, self.strands, first, after - 1)

    def share(self, db: sqlite3.Connection) -> Iterator[tuple[int, Part]]:
        """Take on pieces and check them while there are any."""
        while piece := os.read(self.open, 1):
            yield piece[0], self.check(db, piece[0])


def scan_in_two(
    db: sqlite3.Connection,
    path: Path,
    immutable: bool,
    case: str,
    strands: dict[int, tuple[str, int]],
    last: int,
) -> list[Part]:
    """Check all rows up to `last` together with a second process; see `scan`.

    It takes a while to start, and either may have to share its processor: whoever is done with a piece takes the next.
    """
    unclaimed, pieces = os.pipe()
    try:
        job = Job(str(path), immutable, case, strands, last, min(256, max(2, last // PIECE)), unclaimed)
        os.write(pieces, bytes(range(job.pieces)))
        os.close(pieces)
        with Helper("data.rows", [unclaimed]) as helper:
            try:
                helper.send(msgspec.msgpack.encode(job))
            except EOFError:
                pass  # the answer will be missing too
            parts = dict(job.share(db))
            try:
                parts |= msgspec.msgpack.decode(helper.receive(), type=dict[int, Part])
            except (EOFError, msgspec.MsgspecError):
                pass
    finally:
        os.close(unclaimed)
    # What the other one took on and did not bring back: it died, or found what it could not tell.
    return [parts.get(piece) or job.check(db, piece) for piece in range(job.pieces)]


def serve(pipes: Pipes) -> None:
    """Share one job."""
    job = msgspec.msgpack.decode(pipes.receive(), type=Job)
    db = connect(Path(job.path), immutable=job.immutable)
    parts = {}
    try:
        for piece, part in job.share(db):
            parts[piece] = part
    except (sqlite3.Error, TypeError, ValueError, AttributeError):
        pass  # whoever asked finds it again, and says it
    finally:
        db.close()
    pipes.send(msgspec.msgpack.encode(parts))
