"""A record held against what lies elsewhere: a bundle, another copy, a remote, or words that were read aloud.

Whoever changed this copy could not change those. What comes out is where strands ended there, and `verify` looks
whether the record here still holds just that.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import NamedTuple

from data import log
from data.envelope import case_id
from data.line import Counts, Trust
from data.log import EVENT_COLUMNS, connect, has_wal, read_row
from data.record import CHECKPOINT, Checkpoint, Head, read_checkpoint
from data.remotes import Absent, Remote, RemoteTrouble
from data.segment import BadSegment, Name, prefix, unpack
from data.trouble import StoreTrouble
from data.verify import Sighting, judged, verify

ROOT_BYTES = 16
"""How much of a hash is read aloud: 12 words hold 128 bits, and a checksum that finds most slips."""

AHEAD = 4
"""Objects of a remote that are asked for while one is checked: a line may be slow, and each may have 64 MiB."""

_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII).fullmatch


class Root(NamedTuple):
    """What a record can be held against later: the hash of one event, which stands for all before it.

    Attributes:
        words: Twelve words for reading aloud, or for paper.
        hash: The event, 64 hex digits.
        covers: How many events cannot change without changing it.
    """

    words: str
    hash: str
    covers: int


@dataclass(frozen=True)
class Elsewhere:
    """What lies elsewhere of one case.

    Attributes:
        heads: Where strands ended there.
        bad: What there could not be used, in plain words.
        seen: Where those who wrote there say that strands ended, and whether their word counts.
    """

    heads: frozenset[Head]
    bad: tuple[str, ...] = ()
    seen: tuple[Sighting, ...] = ()

    @property
    def vouched(self) -> frozenset[Head]:
        """All that is vouched for by what lies there and by those whose word counts."""
        return self.heads.union(*(each.checkpoint.heads for each in self.seen if each.counts))


def in_bundle(path: Path) -> tuple[str, Elsewhere]:
    """The case of a bundle, and where its strands end.

    Raises:
        StoreTrouble: It is none, or does not hold together.
    """
    from data.bundle import check

    found = check(path)
    if not found.sound:
        raise _unsound(path, found.problems[0])
    heads = (Head(each.rep, each.inc, each.seq, each.hash) for each in found.strands)
    return found.case, Elsewhere(frozenset(heads))


def in_directory(directory: Path, trust: Trust | None = None) -> tuple[str, Elsewhere]:
    """The case of another copy of a case directory, and where its strands end. Its blobs need not be there.

    Args:
        directory: The copy.
        trust: Whose word is believed when that copy is checked; see `data.verify.verify`.

    Raises:
        StoreTrouble: There is none, or it does not hold together.
    """
    path = directory / log.NAME
    if not has_wal(path) or os.access(directory, os.W_OK):
        return _in_directory(directory, directory, trust)
    # Copied from a war room that was open, onto a medium that is write-protected: SQLite wants to write beside it.
    with TemporaryDirectory() as scratch:
        for name in (path.name, f"{path.name}-wal"):
            shutil.copyfile(path.with_name(name), Path(scratch) / name)
        return _in_directory(Path(scratch), directory, trust)


def _in_directory(directory: Path, called: Path, trust: Trust | None) -> tuple[str, Elsewhere]:
    verdict = verify(directory, trust=trust)
    wrong = next((each for each in verdict.damage if each.kind != "blob"), None)
    if wrong is not None:
        raise _unsound(called, wrong.what)
    with closing(_open(directory)) as db:
        founding = db.execute("SELECT hash FROM events WHERE n = 1").fetchone()
    if founding is None:
        raise _unsound(called, "it is empty")
    heads = (Head(each.rep, each.inc, each.seq, each.last) for each in verdict.strands)
    return case_id(bytes(founding[0])), Elsewhere(frozenset(heads))


def in_remote(
    remote: Remote,
    case: str,
    counts: Counts = lambda _: True,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Elsewhere:
    """Where the segments of a case end that a remote holds, and what the checkpoints in them saw.

    Reads all of them: an older one may hold what was rewritten since. A segment is signed by whoever wrote what is in
    it; a checkpoint speaks of others, and whoever may write to a remote can invent one.

    Args:
        remote: Where to look.
        case: Case id.
        counts: Whether the word of an event counts.
        progress: Called with how many segments were read, and of how many.

    Raises:
        RemoteTrouble: It did not answer.
    """
    heads: set[Head] = set()
    seen: dict[tuple[str, bool], set[Head]] = {}
    bad: list[str] = []
    names = [name for name in sorted(remote.list(prefix(case))) if Name.read(name) is not None]
    for done, (name, request) in enumerate(_ahead(remote, names)):
        progress(done, len(names))
        try:
            parcel = unpack(name, request.answer())
        except Absent:
            continue
        except BadSegment as wrong:
            bad.append(f"{name}: {wrong}")
            continue
        except RemoteTrouble as trouble:
            if trouble.passing:
                raise
            bad.append(
                f"{name}: {trouble.what}"
            )  # one object that nobody can have keeps none of the others back
            continue
        last = parcel.events[-1]
        heads.add(Head(parcel.rep, parcel.inc, last.seq, last.hash.hex()))
        for event in parcel.events:
            if event.kind == CHECKPOINT and (read := read_checkpoint(event.body)) is not None:
                seen.setdefault((parcel.rep, counts(event.event(0))), set()).update(read.heads)
    sightings = (Sighting(rep, Checkpoint(tuple(sorted(saw))), ok) for (rep, ok), saw in seen.items())
    return Elsewhere(frozenset(heads), tuple(bad), tuple(sightings))


class _Request(Thread):
    """An object on its way. A daemon: whoever ends the program does not wait for a remote that hangs."""

    def __init__(self, remote: Remote, name: str) -> None:
        super().__init__(name="fetch", daemon=True)
        self._remote = remote
        self._object = name
        self._raw = b""
        self._failed: Exception | None = None
        self.start()

    def run(self) -> None:
        """Fetch it."""
        try:
            self._raw = self._remote.get(self._object)
        except Exception as error:
            self._failed = error

    def answer(self) -> bytes:
        """Wait for it, and raise what came instead of it."""
        self.join()
        if self._failed is not None:
            raise self._failed
        return self._raw


def _ahead(remote: Remote, names: Iterable[str]) -> Iterator[tuple[str, _Request]]:
    """Ask for objects, some before they are needed; in order."""
    requests: deque[tuple[str, _Request]] = deque()
    for name in names:
        requests.append((name, _Request(remote, name)))
        if len(requests) > AHEAD:
            yield requests.popleft()
    yield from requests


def counting(directory: Path, trust: Trust) -> Counts:
    """What says whether the word of an event counts, by the roster of the record here."""
    with closing(_open(directory)) as db:
        return judged(db, trust)


def digest(text: str) -> bytes | None:
    """What twelve words, or the hash of an event, stand for: the first bytes of that hash; None if it is neither.

    Raises:
        ValueError: They are meant as words and are not right; the message says which.
    """
    words = text.lower().replace(",", " ").split()
    if len(words) == 1 and _HASH(words[0]):
        return bytes.fromhex(words[0])
    if len(words) < 2:
        return None
    from mnemonic import Mnemonic

    book = Mnemonic("english")
    unknown = [word for word in words if word not in book.wordlist]
    if unknown:
        raise ValueError(f"`{unknown[0][:40]}` is none of the words in use")
    if len(words) != 12:
        raise ValueError(f"these are {len(words)} words, and a root has 12")
    if not book.check(" ".join(words)):
        raise ValueError("one of the words is another one, or two changed places")
    return bytes(book.to_entropy(words))


def behind(directory: Path, start: bytes, trust: Trust | None = None) -> Elsewhere | None:
    """The event whose hash begins so, and what the newest checkpoint before it in its strand saw; None if there is none.

    Of a console whose word does not count (see `data.verify.verify`), only the event itself.
    """
    with closing(_open(directory)) as db:
        row = db.execute(
            "SELECT strand, seq, hash FROM events WHERE hash BETWEEN ? AND ?",
            (start, start + b"\xff" * (32 - len(start))),
        ).fetchone()
        return None if row is None else Elsewhere(frozenset(_seen(db, judged(db, trust), *row)))


def root(directory: Path, trust: Trust | None = None) -> Root | None:
    """What to read aloud or print of a sound record: the newest event written here, or else the newest of all.

    It covers what its strand holds, and what a checkpoint there saw, if the console's word counts.
    """
    with closing(_open(directory)) as db:
        row = (
            db.execute(
                "SELECT s.id, s.seq, s.hash FROM strands s JOIN writes w ON w.rep = s.rep AND w.inc = s.inc"
                " ORDER BY s.seq DESC LIMIT 1"
            ).fetchone()
            or db.execute("SELECT strand, seq, hash FROM events ORDER BY n DESC LIMIT 1").fetchone()
        )
        if row is None:
            return None
        covers = _covered(db, _seen(db, judged(db, trust), *row))
    from mnemonic import Mnemonic

    return Root(Mnemonic("english").to_mnemonic(row[2][:ROOT_BYTES]), row[2].hex(), covers)


def covered(directory: Path, heads: Iterable[Head]) -> int:
    """How many events of a record these vouch for."""
    with closing(_open(directory)) as db:
        return _covered(db, heads)


def _seen(db: sqlite3.Connection, counts: Counts, strand: int, seq: int, hashed: bytes) -> set[Head]:
    rep, inc = db.execute("SELECT rep, inc FROM strands WHERE id = ?", (strand,)).fetchone()
    row = db.execute(
        f"SELECT {EVENT_COLUMNS} FROM events WHERE strand = ? AND seq <= ? AND kind = ?"  # noqa: S608
        " ORDER BY seq DESC LIMIT 1",
        (strand, seq, CHECKPOINT),
    ).fetchone()
    event = read_row(row) if row else None
    before = read_checkpoint(event.body) if event is not None and counts(event) else None
    return {Head(rep, inc, seq, bytes(hashed).hex()), *(before.heads if before else ())}


def _covered(db: sqlite3.Connection, heads: Iterable[Head]) -> int:
    upto: dict[int, int] = {}
    for head in heads:
        row = db.execute(
            "SELECT strand, seq FROM events WHERE hash = ?",
            (bytes.fromhex(head.hash),),
        ).fetchone()
        if row is not None:
            upto[row[0]] = max(row[1], upto.get(row[0], 0))
    count = "SELECT count(*) FROM events WHERE strand = ? AND seq <= ?"
    return sum(int(db.execute(count, each).fetchone()[0]) for each in upto.items())


def _open(directory: Path) -> sqlite3.Connection:
    path = directory / log.NAME
    return connect(path, immutable=not has_wal(path))


def _unsound(path: Path, why: str) -> StoreTrouble:
    return StoreTrouble(
        f"{path} does not hold together itself: {why}.",
        "Nothing follows from comparing a record with it.",
        f"Look at it by itself (`warroom verify {path}` for a bundle), and hold the record against another copy.",
    )
