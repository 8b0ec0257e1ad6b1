"""Does the record hold together? Reads a case directory and names every damage it finds."""

import os
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import msgspec

from data import blobs, log, record
from data.canonical import NotCanonical, decode
from data.envelope import DOMAIN, VERSION, Header, Ref, case_id, decode_header, encode_header
from data.identity import replica_id, signed_by
from data.log import connect, has_wal
from data.trouble import explain

MAX_DAMAGE = 1000
"""Damages that are listed; a record that is rotten all through needs no longer list."""

TAIL = (
    "What was cut off at the end, or rewritten with the key by whoever wrote it, shows only against a"
    " checkpoint that another console or a remote holds."
)

_HEX64 = re.compile(r"[0-9a-f]{64}", re.ASCII).fullmatch


@dataclass(frozen=True)
class Damage:
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
        missing: Events that other consoles have seen and that are not here yet.
        damage: What is wrong, in order of arrival; empty if the record holds together.
        note: What this check cannot see.
    """

    events: int = 0
    strands: list[Strand] = field(default_factory=list)
    blobs: int = 0
    erased: int = 0
    missing: int = 0
    damage: list[Damage] = field(default_factory=list)
    note: str = TAIL

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.damage


def verify(directory: Path) -> Verdict:
    """Check every byte of a case: canonical form, hashes, chains, numbers, clocks, bodies and blobs.

    Writes nothing. The record may be in use; what is appended meanwhile is not looked at.

    Args:
        directory: The case directory, or a copy of one.

    Raises:
        StoreTrouble: If there is no log that can be opened at all.
    """
    path = directory / log.NAME
    # Without a write-ahead log beside it the file is complete, and reading need not make side files.
    alone = not has_wal(path)
    verdict = _check(directory, path, immutable=alone)
    if alone and verdict.damage and has_wal(path):
        verdict = _check(directory, path, immutable=False)  # a writer has started in between
    return verdict


def _check(directory: Path, path: Path, *, immutable: bool) -> Verdict:
    db = connect(path, immutable=immutable)
    try:
        db.execute("BEGIN")
        checker = _Checker()
        try:
            checker.events(db)
        except sqlite3.DatabaseError as error:
            checker.add("file", 0, "", f"{explain(error, path).what} ({error})")
        except (TypeError, ValueError, AttributeError) as error:
            checker.add("file", 0, "", f"a column holds what no version of this program writes ({error})")
        checker.blobs(directory)
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

    def start(self, db: sqlite3.Connection, header: Header) -> None:
        """Begin a branch where it left its strand."""
        if header.prev is None:
            return
        row = db.execute(
            "SELECT e.seq, e.head FROM events e JOIN strands s ON s.id = e.strand"
            " WHERE e.hash = ? AND s.rep = ? AND s.inc = ?",
            (bytes.fromhex(header.prev), self.rep, self.inc),
        ).fetchone()
        if row is not None:
            self.at, self.prev, self.hlc = row[0], header.prev, decode_header(row[1]).hlc


class _Checker:
    def __init__(self) -> None:
        self.verdict = Verdict()
        self._refs: dict[Ref, tuple[int, str]] = {}
        self._bare: list[tuple[int, str, str]] = []
        self._erased: set[str] = set()
        self._checkpoints: list[tuple[int, str, record.Checkpoint]] = []

    def add(self, kind: str, n: int, rep: str, what: str) -> None:
        if len(self.verdict.damage) < MAX_DAMAGE:
            self.verdict.damage.append(Damage(kind, n, rep, what))

    def events(self, db: sqlite3.Connection) -> None:
        ends = {
            row[0]: _End(*row[1:]) for row in db.execute("SELECT id, rep, inc, root, seq, hash FROM strands")
        }
        founding = db.execute("SELECT hash FROM events WHERE n = 1").fetchone()
        case = case_id(bytes(founding[0])) if founding else ""
        nowhere = _End("", 0, b"", 0, b"")
        expected = 0
        for n, strand, seq, digest, kind, head, salt, body in db.execute(
            "SELECT n, strand, seq, hash, kind, head, salt, body FROM events ORDER BY n"
        ):
            expected += 1
            end = ends.get(strand, nowhere)
            rep = end.rep
            if n != expected:
                self.add("number", n, rep, f"events {expected} to {n - 1} are missing from the file")
                expected = n
            header = self._header(n, head, rep)
            if header is None:
                # The columns carry the chain on, so that what comes after is not blamed for it.
                end.at, end.prev = seq, digest.hex()
                continue
            if sha256(DOMAIN + head).digest() != digest:
                self.add("hash", n, rep, "the header is not the one that its hash was made of")
            if end.root and not end.at:
                end.start(db, header)
            if header.seq != end.at + 1:
                self.add("gap", n, rep, f"number {header.seq} of its strand follows number {end.at}")
            elif header.prev != end.prev:
                self.add("chain", n, rep, "it does not hold on to the event before it in its strand")
            if header.hlc <= end.hlc:
                self.add("clock", n, rep, "its hybrid clock does not go forward")
            # The stored hash and not the computed one: a single damage is then named once.
            end.at, end.prev, end.hlc = header.seq, digest.hex(), header.hlc
            if header.case != case and (n != 1 or header.case is not None):
                self.add("case", n, rep, "it belongs to another case")
            if seq != header.seq or kind != header.kind or header.rep != rep or header.inc != end.inc:
                self.add("columns", n, rep, "the columns beside the header contradict it")
            if salt is None or body is None:
                self._bare.append((n, rep, digest.hex()))
            elif len(body) != header.body_len or sha256(salt + body).hexdigest() != header.body_h:
                self.add("body", n, rep, "the body is not the one that its header vouches for")
            else:
                try:
                    decode(body)
                except NotCanonical as error:
                    self.add("body", n, rep, f"the body is not in canonical form: {error}")
            if kind == record.CHECKPOINT and (checkpoint := record.read_checkpoint(body)) is not None:
                self._checkpoints.append((n, rep, checkpoint))
            elif kind == record.ERASED and (erased := record.read_erased(body)) is not None:
                self._erased.update(erased.targets)
            for ref in header.refs:
                self._refs.setdefault(ref, (n, rep))
        self.verdict.events = expected
        for strand, end in ends.items():
            if (end.at, end.prev) != (end.seq, bytes(end.hash).hex()):
                self.add("strand", 0, end.rep, "its last event is not the one the file says it ends with")
            self._signature(db, strand, end)
        for n, rep, digest in self._bare:
            if digest not in self._erased:
                self.add("body", n, rep, "its body is missing, and no entry says that it was erased")
        self.verdict.erased = len(self._bare)
        self._witnesses(db, ends)
        self.verdict.strands = [
            Strand(end.rep, end.inc, end.at, end.prev or "", end.sealed, bool(end.root))
            for end in ends.values()
        ]

    def _signature(self, db: sqlite3.Connection, strand: int, end: "_End") -> None:
        """Check the newest signature of a strand: over the last hash, it vouches for all before it."""
        key = db.execute("SELECT public FROM keys WHERE rep = ?", (end.rep,)).fetchone()
        if key is None or replica_id(key[0]) != end.rep:
            self.add("key", 0, end.rep, "there is no public key that belongs to this replica")
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
            self.add("signature", 0, end.rep, f"the signature over event {seq} of its strand is not valid")
        if signed != end.at:
            self.add("signature", 0, end.rep, f"after event {signed} of its strand nothing is signed")

    def _witnesses(self, db: sqlite3.Connection, ends: "dict[int, _End]") -> None:
        """Compare with what every checkpoint saw."""
        writes = set(db.execute("SELECT rep, inc FROM writes"))
        missing: dict[tuple[str, int], int] = {}
        for n, witness, checkpoint in self._checkpoints:
            for head in checkpoint.heads:
                seen = db.execute(
                    "SELECT e.strand FROM events e JOIN strands s ON s.id = e.strand"
                    " WHERE e.hash = ? AND e.seq = ? AND s.rep = ? AND s.inc = ?",
                    (bytes.fromhex(head.hash), head.seq, head.rep, head.inc),
                ).fetchone()
                if seen is not None:
                    if head.rep != witness:
                        end = ends[seen[0]]
                        end.sealed = max(end.sealed, head.seq)
                    continue
                reached = max(
                    (e.seq for e in ends.values() if (e.rep, e.inc) == (head.rep, head.inc)), default=0
                )
                who = f"{witness[:8]} saw event {head.seq} of {head.rep[:8]}.{head.inc}"
                if reached >= head.seq:
                    self.add("witness", n, head.rep, f"{who} as another one than the one that is here")
                elif head.rep == witness or (head.rep, head.inc) in writes:
                    self.add("cut", n, head.rep, f"{who}, and here the strand ends with {reached}")
                else:
                    key = (head.rep, head.inc)
                    missing[key] = max(missing.get(key, 0), head.seq - reached)
        self.verdict.missing = sum(missing.values())

    def _header(self, n: int, head: bytes, rep: str) -> Header | None:
        try:
            header = decode_header(head)
            if encode_header(header) != head:
                raise ValueError("it is not in canonical form")
            if header.v != VERSION:
                raise ValueError(f"its version is {header.v}")
        except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
            self.add("header", n, rep, f"the header cannot be read: {error}")
            return None
        return header

    def blobs(self, directory: Path) -> None:
        store = blobs.Blobs(directory)
        self.verdict.blobs = len({ref.sha256 for ref in self._refs})
        for ref, (n, rep) in self._refs.items():
            problem = (
                "its name is not a hash" if not _HEX64(ref.sha256) else _blob(store.path(ref.sha256), ref)
            )
            if problem:
                self.add("blob", n, rep, f"blob {ref.sha256[:64]}: {problem}")


def _blob(path: Path, ref: Ref) -> str:
    try:
        size, digest = 0, sha256()
        for piece in _pieces(path):
            size += len(piece)
            digest.update(piece)
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return "" if (size, digest.hexdigest()) == (ref.size, ref.sha256) else "it is not what was stored"


def _pieces(path: Path) -> Iterator[bytes]:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        while piece := file.read(1024 * 1024):
            yield piece
