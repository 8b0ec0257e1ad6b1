"""Random schedules: consoles write, meet, part, break, are copied and restored; in the end all is told.

Real logs, real merging, real sync and the real fold of the console, with a remote in memory.
After everything has come together again no console may hold anything else than the others, nothing that was
acknowledged on a disk that still exists may be gone, and nobody may go on in a strand that somebody else wrote.

`WARROOM_SCHEDULES=100000 pytest -n 2 tests/faults/test_schedules.py` runs more of them.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from pathlib import Path
from typing import ClassVar, TypeVar
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from console.events import (
    Body,
    Declared,
    EntryAmended,
    EntryReinstated,
    EntryRetracted,
    NoteWritten,
    RoleAssigned,
    RoleReleased,
    SeveritySet,
    Titled,
    entry,
)
from console.incident import Fold, fold
from console.timeline import project
from data import record
from data.clock import ManualClock
from data.envelope import Event, seal
from data.hlc import HybridClock
from data.identity import Identity
from data.log import connect, events_after, found_log
from data.parcels import parcels, spans
from data.projection import LINE_COLUMNS, Projection
from data.remotes import Absent, Findings, RemoteTrouble
from data.segment import Parcel
from data.strands import FIRST, Log, Merged
from data.sync import Sync, founding
from data.trouble import StoreTrouble
from data.verify import verify
from tests.data.sample import START

SCHEDULES = int(os.environ.get("WARROOM_SCHEDULES", "5000" if os.environ.get("CI") else "400"))
CHUNKS = max(10, SCHEDULES // 500)
STEPS = 20
DAY = 86_400 * 10**9
SHELF = Path("/dev/shm")

T = TypeVar("T")


def done(value: T) -> Future[T]:
    future: Future[T] = Future()
    future.set_result(value)
    return future


class Remote:
    """A remote in memory that is slow to tell, forgets, tears and goes away."""

    def __init__(self, chance: random.Random) -> None:
        self.url = "memory:"
        self.objects: dict[str, bytes] = {}
        self.down = False
        self.fickle = True
        self.changes = 0
        self._chance = chance
        self._old: list[str] = []

    def put(self, name: str, data: bytes) -> bool:
        self._answer()
        if name in self.objects:
            return False
        torn = self.fickle and self._chance.random() < 0.03
        lost = self.fickle and self._chance.random() < 0.03
        self.changes += 1
        if not lost:
            self.objects[name] = data[: self._chance.randrange(len(data))] if torn else data
        if self.fickle and self._chance.random() < 0.03:
            raise self._trouble()  # it arrived, and the answer did not
        return True

    def get(self, name: str) -> bytes:
        self._answer()
        raw = self.objects.get(name)
        if raw is None:
            raise Absent("There is no such object.", "", "")
        if self.fickle and self._chance.random() < 0.02:
            return raw[: len(raw) // 2]
        return raw

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        self._answer()
        if not self.fickle or self._chance.random() < 0.8:
            self._old = list(self.objects)
        names = [name for name in self._old if name.startswith(prefix) and name > after]
        self._chance.shuffle(names)
        return iter(names)

    def lose(self) -> None:
        if self.objects:
            del self.objects[self._chance.choice(list(self.objects))]

    def probe(self) -> Findings:
        raise NotImplementedError

    def close(self) -> None:
        pass

    def _answer(self) -> None:
        if self.down or (self.fickle and self._chance.random() < 0.01):
            raise self._trouble()

    def _trouble(self) -> RemoteTrouble:
        return RemoteTrouble("The remote does not answer.", "", "")


class Kept:
    """A connection that stays open: opening one takes as long as half a turn."""

    open: ClassVar[dict[Path, Kept]] = {}

    def __init__(self, path: Path) -> None:
        self.db = connect(path)
        self.execute = self.db.execute
        self.open[path] = self

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.sync.connect", Kept.open.__getitem__)


class Console:
    """A console with a disk: what `Case` and `Writer` do with a log, on the caller's thread.

    Attributes:
        lineage: Hashes of what it wrote itself, and of what it had written when it was copied.
        held: Hashes of all that it ever had acknowledged or taken in, on the disk that it has now.
    """

    def __init__(self, world: World, key: Identity, directory: Path, clock: ManualClock) -> None:
        self.world, self.key, self.directory, self.clock = world, key, directory, clock
        self.id = world.case
        self.remotes = world.remotes
        self.lineage: set[bytes] = set()
        self.held: set[bytes] = set()
        self.fold, self.read = Fold(), 0

    def refresh(self) -> None:
        if self.log.last > self.read:
            fresh = list(events_after(self.reader, self.read, 10_000))
            self.read = fresh[-1].n
            self.fold.add(fresh)
            self.held.update(bytes.fromhex(event.hash) for event in fresh)

    def start(self) -> None:
        self.log = Log(self.directory / "log.db", self.key, self.clock)
        self.reader = Kept(self.directory / "log.db").db
        self.rested: dict[int, tuple[int, int]] = {}
        self.syncs = [Sync(self, remote, f"r{i}", self.key.replica) for i, remote in self.remotes]  # type: ignore[arg-type]

    def stop(self) -> None:
        self.reader.close()
        del Kept.open[self.directory / "log.db"]
        self.log.close()

    def write(self, *entries: object) -> None:
        end = self.log.end
        try:
            staged = self.log.stage([entries])  # type: ignore[list-item]
            self.log.commit(staged)
        except sqlite3.Error:
            self.log.close()
            self.log = Log(self.directory / "log.db", self.key, self.clock)
            self.log.continued_by(end)
            staged = self.log.stage([entries])  # type: ignore[list-item]
            self.log.commit(staged)
        self.lineage.update(each.hash for each in staged.sealed)

    def merge_all(self, parcels: Sequence[Parcel]) -> Future[list[Merged]]:
        merged = self.log.merge(parcels)
        if any(each.forked for each in merged) and self.log.end[2] is not None:
            self.lineage.add(self.log.end[2])
        return done(merged)

    def witness(self, reason: record.Reason) -> Future[bool]:
        if not self.log.unwitnessed:
            return done(False)
        self.write(record.checkpoint(self.log.heads(), reason))
        return done(True)

    def turn(self) -> bool:
        """Sync with every remote; whether nothing was left to do."""
        idle = True
        for (i, remote), sync in zip(self.remotes, self.syncs, strict=True):
            # Nothing new on either side since the last turn that found nothing to do.
            if not remote.fickle and self.rested.get(i) == (remote.changes, self.log.last):
                continue
            try:
                turn = sync.turn()
            except RemoteTrouble:
                idle = False
                continue
            if turn.idle:
                self.rested[i] = (remote.changes, self.log.last)
            idle = idle and turn.idle
        self.refresh()
        return idle


class World:
    """Everything in one schedule."""

    def __init__(self, seed: int, directory: Path) -> None:
        self.chance = random.Random(seed)
        self.directory = directory
        self.names = iter(range(1_000_000))
        self.seed = seed
        key = self.key()
        first, _ = seal(
            entry(Declared("refunds", 2, "SEV-2"), "ana"), case=None, rep=key.replica, inc=FIRST, seq=1,
            hlc=HybridClock().tick(START), wall=START, clk="manual", prev=None,
        )  # fmt: skip
        at = self.place()
        found_log(at, first, key.public, key.sign(first.hash))
        self.remotes: list[tuple[int, Remote]] = [
            (i, Remote(self.chance)) for i in range(self.chance.choice((1, 1, 2)))
        ]
        with closing(connect(at / "log.db")) as db:
            (parcel,) = parcels(db, spans(db)[0])
        self.case = parcel.case
        self.consoles = [Console(self, key, at, ManualClock(START))]
        self.consoles[0].lineage.add(first.hash)
        for _ in range(self.chance.choice((1, 2, 2))):
            at, other = self.place(), self.key()
            found_log(at, first, key.public, parcel.signature, ours=False)
            skew = self.chance.choice((0, 0, 10**9, -60 * 10**9, DAY))
            self.consoles.append(Console(self, other, at, ManualClock(START + skew)))
            if len(self.remotes) == 2:
                self.consoles[-1].remotes = self.chance.choice(
                    (self.remotes, self.remotes[:1], self.remotes[1:])
                )
        for console in self.consoles:
            console.start()
            console.refresh()
        self.backups: list[tuple[Console, Path, set[bytes]]] = []
        self.copied = 0

    def key(self) -> Identity:
        return Identity(Ed25519PrivateKey.from_private_bytes(self.chance.randbytes(32)))

    def place(self) -> Path:
        return self.directory / str(next(self.names))

    def run(self) -> None:
        chance = self.chance
        deeds = {
            self.write: 9, self.sync: 7, self.correct: 3, self.restart: 1, self.jump: 1, self.cut: 1,
            self.lose: 1, self.witness: 1, self.back_up: 0.7, self.copy: 0.25, self.restore: 0.3, self.forget: 0.1,
        }  # fmt: skip
        for deed in chance.choices(list(deeds), list(deeds.values()), k=STEPS):
            console = chance.choice(self.consoles)
            console.clock.advance(chance.randrange(3 * 10**9))
            deed(console)
            console.refresh()

    # -- what happens --------------------------------------------------------------------------------------

    def write(self, console: Console) -> None:
        chance = self.chance
        bodies: list[Body] = [
            NoteWritten(f"seen {chance.random()}"),
            SeveritySet(chance.randint(1, 5), "SEV"),
            RoleAssigned(chance.choice(("ic", "scribe")), chance.choice(("ana", "ben"))),
            RoleReleased("scribe", "ben"),
            Titled(f"title {chance.randrange(100)}"),
        ]
        console.write(*(entry(chance.choice(bodies), "ana") for _ in range(chance.choice((1, 1, 1, 2, 12)))))

    def correct(self, console: Console) -> None:
        target = self.chance.choice(sorted(console.held)).hex()
        kinds: list[Body] = [
            EntryAmended(target, f"again {self.chance.random()}"),
            EntryRetracted(target),
            EntryReinstated(target),
        ]
        console.write(entry(self.chance.choice(kinds), "ben"))

    def sync(self, console: Console) -> None:
        console.turn()

    def witness(self, console: Console) -> None:
        console.witness("time")

    def restart(self, console: Console) -> None:
        console.stop()
        console.start()

    def jump(self, console: Console) -> None:
        console.clock.advance(self.chance.choice((-DAY, DAY, -3600 * 10**9, 90 * 10**9)))

    def cut(self, console: Console) -> None:
        _, remote = self.chance.choice(self.remotes)
        remote.down = not remote.down

    def lose(self, console: Console) -> None:
        self.chance.choice(self.remotes)[1].lose()

    def duplicate(self, console: Console) -> Path:
        at = self.place()
        console.log.checkpoint()
        shutil.copytree(console.directory, at)
        return at

    def copy(self, console: Console) -> None:
        """Two consoles with one identity from now on."""
        if len(self.consoles) >= 4:
            return
        twin = Console(self, console.key, self.duplicate(console), ManualClock(console.clock.now() + 10**7))
        twin.lineage = set(console.lineage)
        twin.remotes = console.remotes
        twin.start()
        twin.refresh()
        self.consoles.append(twin)
        self.copied += 1

    def back_up(self, console: Console) -> None:
        self.backups.append((console, self.duplicate(console), set(console.lineage)))

    def restore(self, console: Console) -> None:
        """The disk is put back to what it was."""
        mine = [backup for backup in self.backups if backup[0] is console]
        if not mine:
            return
        _, backup, lineage = self.chance.choice(mine)
        console.stop()
        console.directory = self.place()
        shutil.copytree(backup, console.directory)
        console.start()
        console.lineage, console.held, console.fold, console.read = set(lineage), set(), Fold(), 0
        self.copied += 1

    def forget(self, console: Console) -> None:
        """The case is lost and fetched again, with the same identity."""
        try:
            parcel = next((found for _, r in console.remotes if (found := founding(r, self.case))), None)
        except RemoteTrouble:
            return
        if parcel is None:
            return
        console.stop()
        console.directory = self.place()
        signature = parcel.signature if len(parcel.events) == 1 else None
        found_log(console.directory, parcel.events[0], parcel.public, signature, ours=False)
        console.start()
        console.lineage, console.held, console.fold, console.read = set(), set(), Fold(), 0
        self.copied += 1

    # -- what must come of it ------------------------------------------------------------------------------

    def settle(self) -> None:
        for _ in range(30):
            idle = [console.turn() for console in self.consoles]
            if all(idle):
                return
        raise AssertionError("it does not come to rest")

    def finish(self) -> list[str]:
        """Bring everything together, and say what is wrong."""
        for _, remote in self.remotes:
            remote.down = remote.fickle = False
        for console in self.consoles:
            self.restart(console)
        self.settle()
        # Copies that were idle give themselves away when they write.
        for console in self.consoles:
            console.write(entry(NoteWritten("all write"), "ana"))
        self.settle()
        wrong = self.compare()
        for console in self.consoles:
            console.write(entry(NoteWritten("all write again"), "ana"))
        return wrong + self.strands()

    def compare(self) -> list[str]:
        wrong = []
        kept = set().union(*(console.held for console in self.consoles))
        events: dict[str, Event] = {}
        for console in self.consoles:
            here = {event.hash: event for event in events_after(console.reader, 0, 100_000)}
            events |= here
            if console.held != kept:
                wrong.append("diverged: hashes")
            if not console.held >= {bytes.fromhex(digest) for digest in here} >= console.held:
                wrong.append("lost: what was acknowledged")
            if console.fold.incident != self.consoles[0].fold.incident:
                wrong.append("diverged: fold")
        if fold(events.values()) != self.consoles[0].fold.incident:
            wrong.append("diverged: full fold")
        after: defaultdict[tuple[str, int, str], int] = defaultdict(int)
        told = set()
        for event in events.values():
            after[event.rep, event.inc, event.prev] += 1
            if event.kind == record.FORKED and (said := record.read_forked(event.body)) is not None:
                told.add((event.rep, said.inc))
        if any(count > 1 and (rep, inc) not in told for (rep, inc, _), count in after.items()):
            wrong.append("missed: a clone that nobody told")
        if self.seed % 10 == 0:
            for console in self.consoles:
                wrong += [f"damage: {each.kind}" for each in verify(console.directory).damage]
            if len({self.lines(console) for console in self.consoles}) > 1:
                wrong.append("diverged: lines")
        return wrong

    def lines(self, console: Console) -> str:
        with closing(connect(console.directory / "log.db")) as log:
            view = Projection(console.directory / "view.db", log, project)
            while view.follow(500):
                pass
            view.close()
        columns = LINE_COLUMNS.removeprefix("id, ")
        with closing(sqlite3.connect(console.directory / "view.db")) as db:
            return repr(db.execute(f"SELECT {columns} FROM lines ORDER BY ord").fetchall())

    def strands(self) -> list[str]:
        """Nobody may go on where somebody else wrote."""
        everywhere: dict[bytes, tuple[str, int]] = {}
        for console in self.consoles:
            for digest, rep, inc in console.reader.execute(
                "SELECT e.hash, s.rep, s.inc FROM events e JOIN strands s ON s.id = e.strand"
            ):
                everywhere[digest] = (rep, inc)
        wrong = []
        for console in self.consoles:
            ours = (console.key.replica, console.log.inc)
            if any(who == ours and digest not in console.lineage for digest, who in everywhere.items()):
                wrong.append("missed: goes on in a strand that somebody else wrote")
        return wrong

    def close(self) -> None:
        for console in self.consoles:
            console.stop()


def schedule(seed: int) -> tuple[list[str], int]:
    """Run one; what is wrong, and how often something was copied. The same seed does the same again."""
    shelf = SHELF if SHELF.is_dir() and os.access(SHELF, os.W_OK) else None
    dice = random.Random(-1 - seed)
    with (
        tempfile.TemporaryDirectory(prefix="warroom-", dir=shelf) as directory,
        patch("os.urandom", dice.randbytes),
        patch("secrets.randbelow", dice.randrange),
        patch("data.sync.AT_ONCE", 1),  # which of two threads is first no seed repeats
    ):
        world = World(seed, Path(directory))
        try:
            world.run()
            return world.finish(), world.copied
        finally:
            world.close()


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_whatever_happens_all_consoles_come_to_hold_the_same(chunk: int) -> None:
    copied = 0
    for seed in range(chunk, SCHEDULES, CHUNKS):
        wrong, copies = schedule(seed)
        copied += copies
        assert not wrong, f"schedule {seed}: {wrong}"
    assert copied


def faults(seeds: range) -> Counter[str]:
    found: Counter[str] = Counter()
    for seed in seeds:
        with suppress(AssertionError, StoreTrouble):
            found.update(schedule(seed)[0])
    return found


def test_without_the_check_when_merging_copies_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: these schedules find a log that only looks when it writes."""
    monkeypatch.setattr(Log, "_fork_by", lambda *_: None)
    found = faults(range(150))
    assert any(what.startswith("missed") for what in found), found
