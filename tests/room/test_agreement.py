"""What the timeline shows, what the report says and what the state of the incident is: one truth, whoever wrote when."""

import asyncio
import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from console import events as ev
from console.desk import Desk
from console.events import Body, entry, read
from console.incident import Fold
from console.reports.incident import timeline
from console.room import Room
from console.timeline import CORRECTED, DISPUTED, RETRACTED, project
from data.case import Case, adopt
from data.clock import ManualClock, iso
from data.envelope import Event, Header, case_id, encode_header
from data.home import Home
from data.line import Put
from data.log import connect, read_row
from data.parcels import parcels, spans
from data.projection import Projection
from data.segment import Parcel, pack, unpack
from tests.room.strand import SECOND, T0
from tests.room.test_incident import DECLARED

CONSOLES = ["a" * 32, "b" * 32, "c" * 32, "e" * 32]
"""The first founds the incident; the others are strangers until somebody adds them."""

Row = tuple[int, bytes, str, bytes, bytes]


class Writers:
    """Consoles that write one record, each by a clock of its own."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.events: list[Event] = []
        self._skew = {rep: self.dice.randint(-3, 3) * SECOND for rep in CONSOLES[1:]}
        self._ends: dict[str, tuple[int, int]] = {}
        self.rows: list[Row] = []
        self.write(CONSOLES[0], DECLARED)
        # Who counts changes all the time, or never: what follows from it makes every line again.
        self._settled = self.dice.random() < 0.5
        for rep in CONSOLES[1:] if self._settled else ():
            self.write(CONSOLES[0], ev.RosterAdded(rep, "ben", "compared"))

    def write(self, rep: str, body: Body) -> Event:
        seq, before = self._ends.get(rep, (0, 0))
        wall = max(T0 + len(self.rows) * SECOND + self._skew.get(rep, 0), before + 1_000_000)
        self._ends[rep] = seq + 1, wall
        made = entry(body, rep[:1])
        case = case_id(bytes.fromhex(self.events[0].hash)) if self.events else None
        head = encode_header(
            Header(
                actor=rep[:1],
                at=iso(wall, 9),
                body_h="",
                body_len=len(made.body),
                case=case,
                clk="",
                hlc=f"{(wall // 1_000_000) << 16:016x}",
                inc=1,
                kind=made.kind,
                prev="0" * 64 if seq else None,
                refs=(),
                rep=rep,
                role="",
                seq=seq + 1,
                v=1,
                wall=iso(wall, 9),
            )
        )
        digest = sha256(head + made.body).digest()
        self.rows.append((len(self.rows) + 1, digest, made.kind, head, made.body))
        self.events.append(read_row((len(self.rows), digest, head, made.body)))
        return self.events[-1]

    def body(self) -> Body:
        dice = self.dice
        target = dice.choice([*self.events[-4:], *self.events[:5]])
        known = [event.hash for event in self.events if getattr(read(event), "target", "") == target.hash]
        over = tuple(sorted(dice.sample(known, dice.randint(0, min(len(known), 2)))))
        other = dice.choice(CONSOLES)
        since = ev.moment(T0 + dice.randrange(len(self.rows) + 1) * SECOND)
        corrections: list[Body] = [
            ev.NoteWritten(f"note {len(self.rows)}"),
            ev.EntryAmended(target.hash, f"text {len(self.rows)}", "typo", over),
            ev.EntryRetracted(target.hash, "wrong"),
            ev.EntryReinstated(target.hash, "right"),
            ev.EntryDisputed(target.hash, "not so"),
            ev.EntrySettled(target.hash, "so"),
            ev.Erased((target.hash,), "asked to"),
        ]
        admissions: list[Body] = [
            ev.RosterAdded(other, "ben", "first-use"),
            ev.RosterRemoved(other, "left"),
            ev.RosterRevoked(other, since, "stolen"),
            ev.RosterRotated(other, "new key"),
        ]
        return dice.choice(admissions if dice.random() < 0.3 and not self._settled else corrections)


def shown(path: Path) -> dict[str, tuple[str, int]]:
    """Text and flags of each line as a reader of the view gets them."""
    with closing(sqlite3.connect(path)) as db:
        return {
            digest.hex(): (text, flags)
            for digest, text, flags in db.execute("SELECT hash, text, flags FROM lines")
        }


def editors(path: Path) -> dict[str, str]:
    """Who corrected each line, as a reader of the view gets it."""
    with closing(sqlite3.connect(path)) as db:
        return {digest.hex(): name for digest, name in db.execute("SELECT hash, editor FROM lines")}


def folded(fold: Fold, events: Sequence[Event]) -> dict[str, tuple[str, int]]:
    """The same as the state of the incident has it."""
    state = fold.incident
    by_hash = {event.hash: event for event in events}
    lines = {}
    for event in events:
        put = next((ask for ask in project(event) if isinstance(ask, Put)), None)
        if put is None:
            continue
        texts = [(by_hash[one].order, read(by_hash[one]).text) for one in state.versions.get(event.hash, ())]  # type: ignore[union-attr]
        texts += [
            (other.order, "(erased)")
            for other in events
            if event.hash in getattr(read(other), "targets", ()) and state.roster.counts(other)
        ]
        flags = (
            put.flags
            | CORRECTED * (event.hash in state.versions)
            | DISPUTED * (event.hash in state.disputed)
            | RETRACTED * fold._withdrawn.get(event.hash, False)
        )
        lines[event.hash] = (max(texts)[1] if texts else put.text, flags)
    return lines


def agree(directory: Path, writers: Writers, arrival: Sequence[int]) -> None:
    """Let the events arrive in that order, and compare after every few."""
    with closing(sqlite3.connect(directory / "log.db", isolation_level=None)) as log:
        log.execute("CREATE TABLE events (n INTEGER PRIMARY KEY, hash BLOB, kind TEXT, head BLOB, body BLOB)")
        view = Projection(directory / "view.db", log, project)
        fold, here = Fold(), list[Event]()
        for number, index in enumerate(arrival, 1):
            _, digest, kind, head, body = writers.rows[index]
            log.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?)", (number, digest, kind, head, body))
            here.append(read_row((number, digest, head, body)))
            if number % 3 and number < len(arrival):
                continue
            if number % 2:  # sometimes by a process that has just been started
                view.close()
                view = Projection(directory / "view.db", log, project)
            fold.add(here[-3:])
            view.follow(1000)
            truth = folded(fold, here)
            assert shown(directory / "view.db") == truth
            assert {line.event.hash: (line.text, line.flags) for line in timeline(here)} == truth
            assert editors(directory / "view.db") == {line.event.hash: line.editor for line in timeline(here)}
        assert not view.misfit
        view.close()


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.integers(1, 40))
def test_timeline_report_and_state_agree_whoever_counts_and_whatever_arrives_when(
    tmp_path_factory: pytest.TempPathFactory, seed: int, length: int
) -> None:
    writers = Writers(seed)
    for _ in range(length):
        writers.write(writers.dice.choice(CONSOLES), writers.body())
    arrival = list(range(1, len(writers.rows)))
    if writers.dice.random() < 0.5:
        writers.dice.shuffle(arrival)
    agree(tmp_path_factory.mktemp("agreement"), writers, [0, *arrival])


def sent(directory: Path) -> list[Parcel]:
    """All that a case holds, through the bytes that would travel."""
    with closing(connect(directory / "log.db")) as db:
        return [unpack(*pack(parcel)) for span in spans(db) for parcel in parcels(db, span)]


def bare(parcel: Parcel, hashes: Sequence[str]) -> Parcel:
    """The same as a remote gives it back that some texts are withheld from."""
    withheld = [
        replace(each, salt=b"", body=b"") if each.hash.hex() in hashes else each for each in parcel.events
    ]
    return Parcel(parcel.case, parcel.rep, parcel.inc, parcel.public, parcel.signature, withheld)


async def said(room: Room, parcels: Sequence[Parcel] = ()) -> list[tuple[str, int]]:
    """The notes on the timeline of a room, once it has taken in what another console sent."""
    for parcel in parcels:
        await asyncio.wrap_future(room.case.merge(parcel))
    await room.refresh()
    while await room.lines.upto() < await room._reader.last():
        await asyncio.sleep(0.02)
        await room.refresh()
    lines = await room.lines.window(0, 500)
    return [
        (line.text, line.flags & (CORRECTED | RETRACTED)) for line in lines if line.kind == "note.written"
    ]


async def test_a_strangers_corrections_wait_for_the_roster_and_end_with_it(tmp_path: Path) -> None:
    ana = await Desk.open(Home.open(tmp_path / "ana", clock=ManualClock(T0)), "ana")
    clock = ManualClock(T0 + SECOND)
    home = Home.open(tmp_path / "eve", clock=clock)
    eve = await Desk.open(home, "eve")
    try:
        room = await ana.declare("refunds in a loop", 2)
        hold, agent = await room.note("hold the refunds"), await room.note("agent is etl-7")
        first, *_ = brought = sent(room.case.directory)
        case = Case.open(adopt(home, first), home, project)
        await asyncio.gather(*(asyncio.wrap_future(case.merge(parcel)) for parcel in brought))
        await asyncio.to_thread(case.close)
        there = await eve.enter(room.code)
        await there.retract(hold.hash, "not needed")
        await there.amend(agent.hash, "agent is nobody", "wrong")
        as_written = [("hold the refunds", 0), ("agent is etl-7", 0)]
        as_eve_says = [("hold the refunds", RETRACTED), ("agent is nobody", CORRECTED)]
        assert await said(room, sent(there.case.directory)) == as_written
        await room.admit(home.replica)
        assert await said(room) == as_eve_says
        await room.expel(home.replica, "a laptop was stolen")
        clock.advance(SECOND)
        await there.reinstate(hold.hash, "needed after all")
        assert await said(room, sent(there.case.directory)) == as_eve_says
        await room.revoke(home.replica, T0, "stolen before the incident began")
        assert await said(room) == as_written
    finally:
        await ana.close()
        await eve.close()


async def test_texts_that_come_later_are_seen_in_rooms_that_are_open(tmp_path: Path) -> None:
    ana = await Desk.open(Home.open(tmp_path / "ana", clock=ManualClock(T0)), "ana")
    home = Home.open(tmp_path / "ben", clock=ManualClock(T0 + SECOND))
    ben, beside = await Desk.open(home, "ben"), await Desk.open(home, "ben")
    try:
        room = await ana.declare("refunds in a loop", 2)
        note = await room.note("the customer is acme")
        (titled,) = await room.record(ev.Titled("refunds of acme in a loop"))
        whole = sent(room.case.directory)
        withheld = [bare(parcel, (note.hash, titled.hash)) for parcel in whole]
        case = Case.open(adopt(home, withheld[0]), home, project)
        for parcel in withheld:
            await asyncio.wrap_future(case.merge(parcel))
        await asyncio.to_thread(case.close)
        # The second looks at what the first one writes, as another process does.
        rooms = [await ben.enter(room.code), await beside.enter(room.code)]
        for there in rooms:
            assert await said(there) == [("note.written: its text is not here", 0)]
            assert there.incident.title == "refunds in a loop"
        mine = await rooms[0].note("from ben")
        assert (await said(rooms[0], whole))[0] == ("the customer is acme", 0)
        for there in rooms:
            assert ("the customer is acme", 0) in await said(there)
            assert there.incident.title == "refunds of acme in a loop"
            assert (await there.event(mine.hash)).actor == "ben"
    finally:
        for desk in (ana, ben, beside):
            await desk.close()
