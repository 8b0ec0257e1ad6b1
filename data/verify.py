"""Does the record hold together? Reads a case directory and names every damage it finds."""

import os
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from data import blobs, log
from data.canonical import NotCanonical, decode
from data.envelope import DOMAIN, VERSION, Header, Ref, case_id, decode_header, encode_header
from data.log import connect, has_wal
from data.trouble import explain

MAX_DAMAGE = 1000
"""Damages that are listed; a record that is rotten all through needs no longer list."""

TAIL = (
    "Whether events were cut off at the end cannot be seen from this file alone:"
    " compare the last hash of each strand with one that was kept elsewhere."
)

_HEX64 = re.compile(r"[0-9a-f]{64}", re.ASCII).fullmatch


@dataclass(frozen=True)
class Damage:
    """One thing that is wrong.

    Attributes:
        kind: One word: `header`, `hash`, `chain`, `gap`, `clock`, `columns`, `case`, `body`, `blob`,
            `number`, `strand` or `file`.
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
    """The events of one incarnation of one replica: how many, and the hash of the last (64 hex digits)."""

    rep: str
    inc: int
    seq: int = 0
    last: str = ""


@dataclass
class Verdict:
    """What was found.

    Attributes:
        events: Events read.
        strands: The strands and where they end.
        blobs: Distinct blobs that events speak of.
        damage: What is wrong, in order of arrival; empty if the record holds together.
        note: What this check cannot see.
    """

    events: int = 0
    strands: list[Strand] = field(default_factory=list)
    blobs: int = 0
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


class _Checker:
    def __init__(self) -> None:
        self.verdict = Verdict()
        self._refs: dict[Ref, tuple[int, str]] = {}

    def add(self, kind: str, n: int, rep: str, what: str) -> None:
        if len(self.verdict.damage) < MAX_DAMAGE:
            self.verdict.damage.append(Damage(kind, n, rep, what))

    def events(self, db: sqlite3.Connection) -> None:
        strands: dict[tuple[str, int], list[Any]] = {}
        ids = {row[0]: row[1:] for row in db.execute("SELECT id, rep, inc, seq, hash FROM strands")}
        founding = db.execute("SELECT hash FROM events WHERE n = 1").fetchone()
        case = case_id(bytes(founding[0])) if founding else ""
        writers = {strand: row[:2] for strand, row in ids.items()}
        expected = 0
        for n, strand, seq, digest, kind, head, salt, body in db.execute(
            "SELECT n, strand, seq, hash, kind, head, salt, body FROM events ORDER BY n"
        ):
            expected += 1
            who = writers.get(strand, ("", 0))
            rep = who[0]
            if n != expected:
                self.add("number", n, rep, f"events {expected} to {n - 1} are missing from the file")
                expected = n
            state = strands.get(who)
            if state is None:
                state = strands[who] = [0, None, ""]
            header = self._header(n, head, rep)
            if header is None:
                # The columns carry the chain on, so that what comes after is not blamed for it.
                state[0], state[1] = seq, digest.hex()
                continue
            if sha256(DOMAIN + head).digest() != digest:
                self.add("hash", n, rep, "the header is not the one that its hash was made of")
            if header.seq != state[0] + 1:
                self.add("gap", n, rep, f"number {header.seq} of its strand follows number {state[0]}")
            elif header.prev != state[1]:
                self.add("chain", n, rep, "it does not hold on to the event before it in its strand")
            if header.hlc <= state[2]:
                self.add("clock", n, rep, "its hybrid clock does not go forward")
            # The stored hash and not the computed one: a single damage is then named once.
            state[0], state[1], state[2] = header.seq, digest.hex(), header.hlc
            if header.case != case and (n != 1 or header.case is not None):
                self.add("case", n, rep, "it belongs to another case")
            if seq != header.seq or kind != header.kind or header.rep != rep or header.inc != who[1]:
                self.add("columns", n, rep, "the columns beside the header contradict it")
            if salt is None or body is None:
                self.add("body", n, rep, "its body is missing, and no entry says that it was erased")
            elif len(body) != header.body_len or sha256(salt + body).hexdigest() != header.body_h:
                self.add("body", n, rep, "the body is not the one that its header vouches for")
            else:
                try:
                    decode(body)
                except NotCanonical as error:
                    self.add("body", n, rep, f"the body is not in canonical form: {error}")
            for ref in header.refs:
                self._refs.setdefault(ref, (n, rep))
        self.verdict.events = expected
        for (rep, inc), (seq, last, _) in strands.items():
            self.verdict.strands.append(Strand(rep, inc, seq, last or ""))
        ends = {(rep, inc): (seq, bytes(last).hex()) for rep, inc, seq, last in ids.values()}
        for key in ends.keys() | strands.keys():
            if ends.get(key) != (tuple(strands[key][:2]) if key in strands else None):
                self.add("strand", 0, key[0], "its last event is not the one the file says it ends with")

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
