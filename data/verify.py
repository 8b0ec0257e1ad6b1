"""Does the record hold together? Reads a case directory and names every damage it finds."""

import os
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from data import blobs, log, record
from data.envelope import Event, case_id, decode_header
from data.identity import replica_id, signed_by
from data.line import Counts, Trust
from data.log import EVENT_COLUMNS, connect, has_wal, read_row
from data.rows import Damage, Link, Part, Place, scan, scan_in_two
from data.trouble import explain

__all__ = ["MAX_DAMAGE", "TAIL", "Damage", "Sighting", "Strand", "Verdict", "judged", "verify"]

MAX_DAMAGE = 1000
"""Damages that are listed; a record that is rotten all through needs no longer list."""

TAIL = (
    "What was cut off at the end, or rewritten with the key by whoever wrote it, shows only against a"
    " checkpoint that another console or a remote holds."
)

NAMED = 5
"""Consoles whose claims are told apart; there is no limit to the keys that somebody can make."""

IN_TWO = 50_000
"""From so many events on, a second process takes a share of them: starting it takes as long as 20,000."""

_CASE = re.compile(r"[a-z2-7]{26}", re.ASCII).fullmatch
_HEX64 = re.compile(r"[0-9a-f]{64}", re.ASCII).fullmatch


@dataclass
class Strand:
    """The events of one incarnation of one replica, or of a branch that left them.

    Attributes:
        rep: Who wrote them, 32 hex digits.
        inc: In which incarnation.
        seq: Number of the last.
        last: Hash of the last, 64 hex digits.
        sealed: Up to which number a checkpoint of another replica vouches for them.
        branch: Whether it left a strand that goes on elsewhere: a fork.
    """

    rep: str
    inc: int
    seq: int = 0
    last: str = ""
    sealed: int = 0
    branch: bool = False


@dataclass
class Verdict:
    """What was found.

    Attributes:
        events: Events read.
        strands: The strands and where they end.
        blobs: Distinct blobs that events speak of.
        erased: Bodies that are gone, as an entry says.
        withheld: Bodies that were kept back from this console, as the signed manifest of a bundle says, or another
            console on the record of what it keeps from a remote.
        missing: Events that other consoles have seen and that are not here yet.
        missing_blobs: Blobs that only events from elsewhere speak of and that are not here (yet).
        damage: What is wrong, in order of arrival; empty if the record holds together.
        note: What this check cannot see, and what was left aside as who says so does not count.
    """

    events: int = 0
    strands: list[Strand] = field(default_factory=list)
    blobs: int = 0
    erased: int = 0
    withheld: int = 0
    missing: int = 0
    missing_blobs: int = 0
    damage: list[Damage] = field(default_factory=list)
    note: str = TAIL

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.damage


class Sighting(NamedTuple):
    """What a console says that it saw: `counts` says whether that console is believed."""

    witness: str
    checkpoint: record.Checkpoint
    counts: bool = True


def judged(db: sqlite3.Connection, trust: Trust | None) -> Counts:
    """What says whether an event of a log counts; without `trust`, every one does."""
    if trust is None:
        return lambda _: True
    marks = ", ".join("?" * len(trust.kinds))
    query = f"SELECT {EVENT_COLUMNS} FROM events WHERE kind IN ({marks})"  # noqa: S608
    deciding = map(read_row, db.execute(query, sorted(trust.kinds)))
    return trust.judge(sorted(deciding, key=lambda event: event.order))


def verify(
    directory: Path,
    held: Iterable[record.Checkpoint] = (),
    trust: Trust | None = None,
    sightings: Iterable[Sighting] = (),
) -> Verdict:
    """Check every byte of a case: canonical form, hashes, chains, signatures, clocks, bodies and blobs.

    Writes nothing. The record may be in use; what is appended meanwhile is not looked at.

    Args:
        directory: The case directory, or a copy of one.
        held: Checkpoints from elsewhere, such as from another console or from paper. Whoever changed this
            copy could not change those.
        trust: Whose word is believed. What others say they saw, erased or withheld is no proof of damage and no
            excuse for what is missing: anybody who may write to a remote can say so. Without it, everybody's is.
        sightings: What consoles say, elsewhere, that they saw.

    Raises:
        StoreTrouble: If there is no log that can be opened at all.
    """
    path = directory / log.NAME
    said = (*(Sighting("", each) for each in held), *sightings)
    # Without a write-ahead log beside it the file is complete, and reading need not make side files.
    alone = not has_wal(path)
    verdict = _check(directory, path, said, trust, immutable=alone)
    if alone and verdict.damage and has_wal(path):
        verdict = _check(directory, path, said, trust, immutable=False)  # a writer has started in between
    return verdict


def _check(
    directory: Path, path: Path, held: tuple[Sighting, ...], trust: Trust | None, *, immutable: bool
) -> Verdict:
    db = connect(path, immutable=immutable)
    try:
        db.execute("BEGIN")
        checker = _Checker(trust)
        try:
            checker.events(db, directory, path, held, immutable)
        except sqlite3.DatabaseError as error:
            checker.damaged("file", 0, "", f"{explain(error, path).what} ({error})")
        except (TypeError, ValueError, AttributeError) as error:
            checker.damaged("file", 0, "", f"a column holds what no version of this program writes ({error})")
        checker.blobs(directory)
        checker.note()
        del checker.verdict.damage[MAX_DAMAGE:]
        return checker.verdict
    finally:
        db.close()


@dataclass
class _End:
    """A strand as the file says it ends (`rep` to `hash`), and how far its events were followed."""

    rep: str
    inc: int
    root: bytes
    seq: int
    hash: bytes
    at: int = 0
    prev: str | None = None
    hlc: str = ""
    sealed: int = 0

    def start(self, db: sqlite3.Connection, first: Link) -> None:
        """Begin a branch where it left its strand."""
        if first.prev is None:
            return
        row = db.execute(
            "SELECT e.seq, e.head FROM events e JOIN strands s ON s.id = e.strand"
            " WHERE e.hash = ? AND s.rep = ? AND s.inc = ?",
            (bytes.fromhex(first.prev), self.rep, self.inc),
        ).fetchone()
        if row is not None:
            self.at, self.prev, self.hlc = row[0], first.prev, decode_header(row[1]).hlc


class _Checker:
    def __init__(self, trust: Trust | None) -> None:
        self.verdict = Verdict()
        self.refs: dict[str, list[tuple[int, Place]]] = {}
        """Blob to the sizes that events give it, and where: nobody can make another blob of the same name."""
        self.ours: set[int] = set()
        """Strands that this file writes."""
        self.claims: Counter[tuple[str, str]] = Counter()
        """Who says what and does not count, and how often."""
        self._trust = trust
        self.spared: frozenset[str] = frozenset()
        """Blobs that may be missing: withheld from here, or only of events that were erased."""

    def damaged(self, kind: str, n: int, rep: str, what: str) -> None:
        self.verdict.damage.append(Damage(kind, n, rep, what))

    def events(
        self,
        db: sqlite3.Connection,
        directory: Path,
        path: Path,
        held: tuple[Sighting, ...],
        immutable: bool,
    ) -> None:
        ends = {
            row[0]: _End(*row[1:]) for row in db.execute("SELECT id, rep, inc, root, seq, hash FROM strands")
        }
        strands = {id: (end.rep, end.inc) for id, end in ends.items()}
        writes = set(db.execute("SELECT rep, inc FROM writes"))
        self.ours = {id for id, strand in strands.items() if strand in writes}
        counts = judged(db, self._trust)
        founding = db.execute("SELECT hash, strand FROM events WHERE n = 1").fetchone()
        case = case_id(bytes(founding[0])) if founding else ""
        if founding and _CASE(directory.name) and case != directory.name:
            rep = strands.get(founding[1], ("", 0))[0]
            self.damaged(
                "case", 1, rep, "its founding event is not the one that the directory is named after"
            )
        last = db.execute("SELECT max(n) FROM events").fetchone()[0] or 0
        if last < IN_TWO:
            parts = [scan(db, case, strands, 1, last)]
        else:
            parts = scan_in_two(db, path, immutable, case, strands, last)
        self._join(db, ends, parts)
        for strand, end in ends.items():
            if (end.at, end.prev) != (end.seq, bytes(end.hash).hex()):
                self.damaged("strand", 0, end.rep, "its last event is not the one the file says it ends with")
            self._signature(db, strand, end)
        self.verdict.events = last
        bare = [each for part in parts for each in part.bare]
        if bare or self._lacks_blobs(directory):
            from data.bundle import withheld_here  # most records lack nothing

            withheld = withheld_here(directory, counts)
            erased, kept_back = _erased(db, counts), _kept_back(db, counts)
            for n, rep, digest in bare:
                if digest in erased:
                    self.verdict.erased += 1
                elif digest in withheld.events or digest in kept_back:
                    self.verdict.withheld += 1
                elif not counts(_event(db, n)):
                    self.claims[rep, "left out the text of its own events"] += 1
                else:
                    what = (
                        "its body is missing, and no entry of a console that counts says that it was erased"
                    )
                    self.damaged("body", n, rep, what)
            gone = {digest for _, _, digest in bare} & erased
            self.spared = withheld.blobs | kept_back | blobs.only_of(db, gone)
        seen = [
            (n, Sighting(rep, checkpoint, counts(_event(db, n))))
            for part in parts
            for n, rep, checkpoint in part.checkpoints
        ]
        self._witnesses(db, ends, writes, [*seen, *((0, each) for each in held)])
        self.verdict.strands = [
            Strand(end.rep, end.inc, end.at, end.prev or "", end.sealed, bool(end.root))
            for end in ends.values()
        ]

    def _join(self, db: sqlite3.Connection, ends: dict[int, _End], parts: list[Part]) -> None:
        """Let each part hold on to the ones before it, and gather what they found."""
        expected = 1
        refs: dict[tuple[str, int, int], Place] = {}
        for part in parts:
            if part.count and part.first != expected:
                what = f"events {expected} to {part.first - 1} are missing from the file"
                self.damaged("number", part.first, "", what)
            expected = part.last + 1
            for strand, link in part.links.items():
                end = ends.get(strand)
                if end is None:
                    continue
                if end.root and not end.at:
                    if link.hash != end.root.hex():
                        self.damaged(
                            "strand", link.n, end.rep, "it is not what the branch is said to begin with"
                        )
                    end.start(db, link)
                before = Link(0, end.at, "", end.prev, end.hlc)
                self.verdict.damage += link.follows(before, end.rep)
                to = part.ends[strand]
                end.at, end.prev, end.hlc = to.seq, to.hash, to.hlc or end.hlc
            self.verdict.damage += part.damage
            for ref, place in part.refs:
                refs.setdefault((ref.sha256, ref.size, place[2]), place)
        for (digest, size, _), place in refs.items():
            self.refs.setdefault(digest, []).append((size, place))
        self.verdict.damage.sort(key=lambda each: each.n)

    def _signature(self, db: sqlite3.Connection, strand: int, end: _End) -> None:
        """Check the newest signature of a strand: over the last hash, it vouches for all before it."""
        key = db.execute("SELECT public FROM keys WHERE rep = ?", (end.rep,)).fetchone()
        if key is None or replica_id(key[0]) != end.rep:
            self.damaged("key", 0, end.rep, "there is no public key that belongs to this replica")
            return
        signed = 0
        for seq, signature, digest in db.execute(
            "SELECT g.seq, g.signature, e.hash FROM signatures g"
            " JOIN events e ON e.strand = g.strand AND e.seq = g.seq"
            " WHERE g.strand = ? ORDER BY g.seq DESC",
            (strand,),
        ):
            if signed_by(key[0], digest, signature):
                signed = seq
                break
            if len(self.verdict.damage) > MAX_DAMAGE:
                break
            self.damaged(
                "signature", 0, end.rep, f"the signature over event {seq} of its strand is not valid"
            )
        if signed != end.at:
            self.damaged("signature", 0, end.rep, f"after event {signed} of its strand nothing is signed")

    def _witnesses(
        self,
        db: sqlite3.Connection,
        ends: dict[int, _End],
        writes: set[tuple[str, int]],
        sightings: list[tuple[int, Sighting]],
    ) -> None:
        """Compare with what every console says that it saw: on the record in event `n`, or elsewhere (0)."""
        reached: dict[tuple[str, int], int] = {}
        for end in ends.values():
            reached[end.rep, end.inc] = max(end.seq, reached.get((end.rep, end.inc), 0))
        missing: dict[tuple[str, int], int] = {}
        told: set[record.Head] = set()
        for n, (witness, checkpoint, counts) in sightings:
            for head in checkpoint.heads:
                row = db.execute(
                    "SELECT e.strand FROM events e JOIN strands s ON s.id = e.strand"
                    " WHERE e.hash = ? AND e.seq = ? AND s.rep = ? AND s.inc = ?",
                    (bytes.fromhex(head.hash), head.seq, head.rep, head.inc),
                ).fetchone()
                if not counts:
                    if row is None:
                        self.claims[witness, "says that it saw events that are not here"] += 1
                    continue
                if row is not None:
                    if head.rep != witness:
                        end = ends[row[0]]
                        end.sealed = max(end.sealed, head.seq)
                    continue
                here = reached.get((head.rep, head.inc), 0)
                who = witness[:8] if witness else "a checkpoint from elsewhere"
                saw = f"{who} saw event {head.seq} of {head.rep[:8]}.{head.inc}"
                if here >= head.seq:
                    kind, what = "witness", f"{saw} as another one than the one that is here"
                elif not n or head.rep == witness or (head.rep, head.inc) in writes:
                    kind, what = "cut", f"{saw}, and here the strand ends with {here}"
                else:
                    key = (head.rep, head.inc)
                    missing[key] = max(missing.get(key, 0), head.seq - here)
                    continue
                if head not in told:
                    told.add(head)
                    self.damaged(kind, n, head.rep, what)
        self.verdict.missing = sum(missing.values())

    def _lacks_blobs(self, directory: Path) -> bool:
        store = blobs.Blobs(directory)
        return any(_HEX64(digest) and not store.path(digest).exists() for digest in self.refs)

    def blobs(self, directory: Path) -> None:
        """Check every file that events speak of."""
        store = blobs.Blobs(directory)
        self.verdict.blobs = len(self.refs)
        for digest, refs in self.refs.items():
            n, rep, _ = refs[0][1]
            if not _HEX64(digest):
                self.damaged("blob", n, rep, f"blob {digest[:64]}: its name is not a hash")
                continue
            try:
                size, found = _measure(store.path(digest))
            except FileNotFoundError:
                own = next((place for _, place in refs if place[2] in self.ours), None)
                if digest in self.spared:
                    continue
                if own is None:
                    # Events travel before the files they speak of.
                    self.verdict.missing_blobs += 1
                else:
                    self.damaged("blob", own[0], own[1], f"blob {digest}: it is missing")
            except OSError as error:
                self.damaged("blob", n, rep, f"blob {digest}: it cannot be read ({error.strerror})")
            else:
                if found != digest:
                    self.damaged("blob", n, rep, f"blob {digest}: it is not what was stored")
                for told, (_, who, _) in refs:
                    if found == digest and told != size:
                        self.claims[who, "gives files another size than they have"] += 1

    def note(self) -> None:
        """Say what was left aside."""
        if not self.claims:
            return
        said = [f"{who[:8]} {what} ({count:,})" for (who, what), count in self.claims.most_common(NAMED)]
        said += [f"{len(self.claims) - NAMED:,} more claims"] if len(self.claims) > NAMED else []
        self.verdict.note += f" Left aside, as it proves nothing: {'; '.join(said)}."


def _event(db: sqlite3.Connection, n: int) -> Event:
    return read_row(db.execute(f"SELECT {EVENT_COLUMNS} FROM events WHERE n = ?", (n,)).fetchone())  # noqa: S608


def _of(db: sqlite3.Connection, kind: str, counts: Counts) -> Iterator[Event]:
    rows = db.execute(f"SELECT {EVENT_COLUMNS} FROM events WHERE kind = ?", (kind,))  # noqa: S608
    return (event for event in map(read_row, rows) if counts(event))


def _erased(db: sqlite3.Connection, counts: Counts) -> frozenset[str]:
    """Events that entries say were erased."""
    said = (record.read_erased(event.body) for event in _of(db, record.ERASED, counts))
    return frozenset(target for one in said if one is not None for target in one.targets)


def _kept_back(db: sqlite3.Connection, counts: Counts) -> frozenset[str]:
    """Events and blobs that other consoles say they kept from a remote; what we keep back is still here."""
    here = {rep for (rep,) in db.execute("SELECT rep FROM writes")}
    entries = (event for event in _of(db, record.WITHHELD, counts) if event.rep not in here)
    said = (record.read_withheld(event.body) for event in entries)
    return frozenset(each for one in said if one is not None for each in (*one.events, *one.blobs))


def _measure(path: Path) -> tuple[int, str]:
    """The size of a file and its SHA-256."""
    size, digest = 0, sha256()
    for piece in _pieces(path):
        size += len(piece)
        digest.update(piece)
    return size, digest.hexdigest()


def _pieces(path: Path) -> Iterator[bytes]:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        while piece := file.read(1024 * 1024):
            yield piece
