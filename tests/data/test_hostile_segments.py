"""What somebody sends who has a key of their own, or may write to the remote: refused, or put right."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from console.events import Declared
from console.events import entry as on_record
from console.incident import fold
from console.reports.incident import timeline
from console.timeline import project as shown
from data import record
from data.blobs import Blobs
from data.case import Case, adopt, found
from data.clock import ManualClock, iso
from data.envelope import Entry, Ref, Sealed, encode_header, event_hash, seal
from data.home import Home
from data.identity import Identity
from data.line import Trust
from data.log import EVENT_COLUMNS, connect, read_row
from data.parcels import parcels, spans
from data.segment import BadSegment, Parcel, pack, unpack
from data.strands import Log
from data.trouble import StoreTrouble
from data.verify import verify
from data.view import Lines
from tests.data.sample import START, note, project
from tests.data.test_merge import hashes, shipped
from tests.room.strand import event

MALLORY = Identity.make()


def forge(
    case: str,
    *entries: Entry,
    key: Identity = MALLORY,
    inc: int = 1,
    first: int = 1,
    prev: bytes | None = None,
    hlc: int = START // 1_000_000 << 16,
) -> Parcel:
    """A parcel that is in order by itself, signed with any key."""
    events: list[Sealed] = []
    for seq, entry in enumerate(entries, first):
        sealed, _ = seal(
            entry, case=case, rep=key.replica, inc=inc, seq=seq, hlc=f"{hlc + seq:016x}", wall=START,
            clk="manual", prev=events[-1].hash if events else prev,
        )  # fmt: skip
        events.append(sealed)
    return Parcel(case, key.replica, inc, key.public, key.sign(events[-1].hash), events)


def through(parcel: Parcel) -> Parcel:
    return unpack(*pack(parcel))


def last(case: Case) -> tuple[bytes, int]:
    db = connect(case.directory / "log.db")
    (row,) = db.execute("SELECT hash, seq FROM events ORDER BY n DESC LIMIT 1")
    db.close()
    return row[0], row[1]


def test_nobody_goes_on_in_the_strand_of_another(case: Case) -> None:
    case.append(note("ours")).result(10)
    before, seq = last(case)
    parcel = through(forge(case.id, note("theirs"), first=seq + 1, prev=before, hlc=2**60))
    merged = case.merge(parcel).result(10)
    assert merged.refused
    assert not merged.added
    assert case.append(note("ours again")).result(10)[0].seq == seq + 1
    assert case.trouble == ""
    assert verify(case.directory).sound


def test_a_strand_goes_on_with_the_next_number_and_a_later_time(case: Case) -> None:
    first = forge(case.id, note("1"))
    assert case.merge(through(first)).result(10).added == 1
    (event,) = first.events
    early = forge(case.id, note("2"), first=2, prev=event.hash, hlc=0)
    assert case.merge(through(early)).result(10).refused
    gap = forge(case.id, note("3"), first=3, prev=event.hash)
    assert case.merge(through(gap)).result(10).refused
    elsewhere = forge(case.id, note("2"), first=2, inc=2, prev=event.hash)
    assert case.merge(through(elsewhere)).result(10).refused
    assert case.merge(through(forge(case.id, note("2"), first=2, prev=event.hash))).result(10).added == 1
    assert verify(case.directory).sound


def test_events_of_another_case_are_refused(case: Case) -> None:
    assert case.merge(through(forge("a" * 26, note("x")))).result(10).refused
    assert verify(case.directory).events == 1


def resealed(parcel: Parcel, **changes: object) -> Parcel:
    """The same parcel with other words in the header of its only event, signed anew."""
    (event,) = parcel.events
    header = msgspec.structs.replace(event.header, **changes)
    head = encode_header(header)
    event = Sealed(header.seq, header.kind, event_hash(head), head, event.salt, event.body)
    return Parcel(
        parcel.case, parcel.rep, header.inc, parcel.public, MALLORY.sign(event.hash), [event]
    )  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"wall": "2026-11-21 14:00:00Z"},
        {"at": "2026-11-21T14:00:00+00:00"},
        {"wall": iso(-(10**18), 9)},
        {"clk": "\x1b]0;owned\x07"},
        {"clk": "x" * 65},
        {"inc": 2**32},
        {"hlc": "0" * 15 + "G"},
        {"hlc": "1"},
        {"actor": "a\nb"},
        {"kind": "Note"},
        {"case": "b" * 26},
        {"prev": "0" * 64},
        {"v": 2},
        {"body_h": "0" * 63},
        {"body_h": "A" * 64},
        {"body_len": -1},
        {"body_len": 2**64},
        {"role": "x" * 65},
        {"refs": (Ref(media="text/plain", sha256="A" * 64, size=1),)},
        {"refs": (Ref(media="text/plain", sha256="a" * 64, size=-1),)},
        {"refs": (Ref(media="text/plain", sha256="a" * 64, size=2**53),)},
        {"refs": (Ref(media="a\nb", sha256="a" * 64, size=1),)},
        {"refs": (Ref(media="", sha256="../" * 21 + "a", size=1),)},
    ],
)
def test_a_header_that_no_console_writes_is_refused(case: Case, changes: dict[str, object]) -> None:
    good = forge(case.id, note("x"))
    assert through(good)
    with pytest.raises(BadSegment):
        through(resealed(good, **changes))


@pytest.mark.parametrize("changes", [{"body_h": "zz"}, {"body_len": -1}, {"body_len": 2**64}])
def test_a_header_without_its_body_cannot_say_just_anything_of_it(changes: dict[str, object]) -> None:
    with pytest.raises(BadSegment):
        through(bare(resealed(forge("a" * 26, note("x")), **changes)))


@pytest.mark.parametrize("spelled", ["zz", "", "{upper}", " {lower}", "{lower} ", "{lower}00", None])
def test_what_an_event_follows_is_spelled_in_one_way(case: Case, spelled: str | None) -> None:
    """Any other spelling would be stored, pushed on, and then not fit the chain for good."""
    first = forge(case.id, note("1"))
    assert case.merge(through(first)).result(10).added == 1
    digest = first.events[0].hash
    good = forge(case.id, note("2"), first=2, prev=digest)
    prev = None if spelled is None else spelled.format(upper=digest.hex().upper(), lower=digest.hex())
    with pytest.raises(BadSegment):
        through(resealed(good, prev=prev))
    assert case.merge(through(good)).result(10).added == 1
    assert verify(case.directory).sound


def test_no_strand_begins_before_its_first_event() -> None:
    with pytest.raises(BadSegment, match="numbered"):
        through(forge("a" * 26, note("x"), first=0, prev=b"\0" * 32))


def test_nobody_becomes_the_founder_by_a_first_event_that_sorts_before_the_true_one(
    home: Home, tmp_path: Path
) -> None:
    case = found(home, on_record(Declared("refunds", 2, "SEV-2"), "ana"), shown)
    try:
        forged = forge(case.id, on_record(Declared("nothing to see", 5, "SEV-5"), "eve"), hlc=-1)
        assert forged.events[0].header.hlc == "0" * 16
        assert case.merge(through(forged)).result(10).added == 1
        events = [read_row(row) for row in rows_of(case)]
    finally:
        case.close()
    for arrival in (events, events[::-1]):
        state = fold(arrival)
        assert (state.title, state.severity, state.declared_by) == ("refunds", 2, "ana")
        assert {rep: each.how for rep, each in state.roster.members.items()} == {home.replica: "founder"}
        assert set(state.strangers) == {MALLORY.replica}
    assert [each.counts for each in timeline(events)] == [False, True]


def test_a_member_who_declares_again_changes_nothing() -> None:
    first = event(Declared("refunds", 2, "SEV-2"), 1)
    again = event(Declared("nothing to see", 5, "SEV-5"), 2)
    assert fold([first, again]).title == "refunds"


FOUNDER_ONLY = Trust(
    frozenset({"founded"}), lambda deciding: lambda event: event.rep in {each.rep for each in deciding}
)
"""A roster that holds whoever founded the case, and nobody else."""


def cut_out(case: Case, digest: str) -> None:
    """Take the text of an event out by hand, as whoever can write to the file may."""
    db = sqlite3.connect(case.directory / "log.db")
    db.execute("UPDATE events SET salt = NULL, body = NULL WHERE hash = ?", (bytes.fromhex(digest),))
    db.commit()
    db.close()


@pytest.mark.parametrize("seq", [1, 2, 10**6])
def test_the_checkpoint_of_a_stranger_is_no_proof_of_damage(case: Case, seq: int) -> None:
    (mine,) = case.append(note("mine")).result(10)
    lie = record.checkpoint([record.Head(mine.rep, mine.inc, seq, "e" * 64)], "asked")
    true = record.checkpoint([record.Head(mine.rep, mine.inc, mine.seq, mine.hash)], "asked")
    case.merge(through(forge(case.id, lie, true))).result(10)
    assert verify(case.directory).damage, "as long as everybody's word is believed"
    verdict = verify(case.directory, trust=FOUNDER_ONLY)
    assert (verdict.damage, verdict.missing) == ([], 0)
    assert f"{MALLORY.replica[:8]} says that it saw events that are not here (1)" in verdict.note
    assert [each.sealed for each in verdict.strands] == [0, 0], "nor does it seal anything"


@pytest.mark.parametrize("kind", [record.ERASED, record.WITHHELD])
def test_what_a_stranger_says_of_a_missing_text_excuses_nothing(case: Case, kind: str) -> None:
    (mine,) = case.append(note("against me")).result(10)
    lies = {
        record.ERASED: record.Erased((mine.hash,), "by right"),
        record.WITHHELD: record.Withheld("team", "secrets", (mine.hash,)),
    }
    case.merge(through(forge(case.id, record.entry(kind, lies[kind])))).result(10)
    cut_out(case, mine.hash)
    assert verify(case.directory).sound, "as long as everybody's word is believed"
    verdict = verify(case.directory, trust=FOUNDER_ONLY)
    assert [(each.kind, each.n) for each in verdict.damage] == [("body", mine.n)]
    assert (verdict.erased, verdict.withheld) == (0, 0)


def test_what_a_stranger_leaves_out_of_its_own_events_is_no_damage(case: Case) -> None:
    case.merge(through(bare(forge(case.id, note("x"), note("y"))))).result(10)
    verdict = verify(case.directory, trust=FOUNDER_ONLY)
    assert verdict.damage == []
    assert f"{MALLORY.replica[:8]} left out the text of its own events (2)" in verdict.note


def test_a_size_that_a_file_does_not_have_says_nothing_of_the_file(case: Case) -> None:
    ref = Blobs(case.directory).put(b"transcript", "text/plain")
    wrong = msgspec.structs.replace(ref, size=0)
    case.merge(through(forge(case.id, Entry("note", note("x").body, "eve", refs=(wrong,))))).result(10)
    case.append(Entry("note", note("y").body, "mira", refs=(ref,))).result(10)
    verdict = verify(case.directory)
    assert (verdict.damage, verdict.blobs) == ([], 1)
    assert f"{MALLORY.replica[:8]} gives files another size than they have (1)" in verdict.note
    Blobs(case.directory).path(ref.sha256).write_bytes(b"transcripT")
    assert [each.kind for each in verify(case.directory).damage] == ["blob"]


def test_a_file_that_has_not_come_yet_is_missing_and_no_damage(case: Case) -> None:
    ref = Ref(media="text/plain", sha256="a" * 64, size=3)
    case.merge(through(forge(case.id, Entry("note", note("x").body, "eve", refs=(ref,))))).result(10)
    verdict = verify(case.directory)
    assert (verdict.damage, verdict.missing_blobs) == ([], 1)
    case.append(Entry("note", note("y").body, "mira", refs=(ref,))).result(10)
    assert [each.kind for each in verify(case.directory).damage] == ["blob"], "we had it, and it is gone"


def rows_of(case: Case) -> list[Any]:
    with closing(connect(case.directory / "log.db")) as db:
        return db.execute(f"SELECT {EVENT_COLUMNS} FROM events ORDER BY n").fetchall()


def bare(parcel: Parcel) -> Parcel:
    events = [msgspec.structs.replace(each, salt=b"", body=b"") for each in parcel.events]
    return Parcel(parcel.case, parcel.rep, parcel.inc, parcel.public, parcel.signature, events)


def test_bodies_that_somebody_left_out_are_put_back(case: Case, tmp_path: Path) -> None:
    case.append(note("the whole story")).result(10)
    ben = Home.open(tmp_path / "ben", clock=ManualClock(START))
    two = Case.open(adopt(ben, bare(shipped(case)[0])), ben, project)
    try:
        assert two.merge(through(bare(shipped(case)[0]))).result(10).bare == 2
        assert [each.kind for each in verify(two.directory).damage] == ["body", "body"]
        merged = two.merge(shipped(case)[0]).result(10)
        assert (merged.added, merged.refilled, merged.bare) == (0, 2, 0)
        assert verify(two.directory).sound
        asyncio.run(comes_to_show(two.directory, ["founded", "the whole story"]))
    finally:
        two.close()


async def comes_to_show(directory: Path, texts: list[str]) -> None:
    lines = await Lines.open(directory)
    try:
        async with asyncio.timeout(30):
            while [line.text for line in await lines.window(0, 100)] != texts:
                await asyncio.sleep(0.01)
                await lines.changed()
    finally:
        await lines.close()


def test_an_identity_without_its_log_starts_anew_when_its_own_past_comes(case: Case, tmp_path: Path) -> None:
    """Ben wrote in a case that Ana founded, and lost his disk but not his key."""
    ben = Home.open(tmp_path / "ben", clock=ManualClock(START))
    two = Case.open(adopt(ben, shipped(case)[0]), ben, project)
    two.append(note("before")).result(10)
    past = [parcel for parcel in shipped(two) if parcel.rep == ben.replica]
    two.close()
    for file in two.directory.iterdir():
        if file.is_file():
            file.unlink()
    again = Case.open(adopt(ben, shipped(case)[0]), ben, project)
    try:
        assert [again.merge(parcel).result(10).forked for parcel in past] == [True]
        (event,) = again.append(note("after")).result(10)
        assert event.inc != 1
        assert verify(again.directory).sound
    finally:
        again.close()


def test_a_copy_that_alone_went_on_learns_that_it_is_a_copy(case: Case, home: Home, tmp_path: Path) -> None:
    """The original has seen it and gone away; the copy goes away too, from a strand that both began."""
    case.append(note("common")).result(10)
    inc, seq, prev = 1, 2, last(case)[0]
    theirs = forge(case.id, note("by the copy"), key=home.identity, first=seq + 1, prev=prev, hlc=2**60)
    other = forge(
        case.id,
        record.entry(record.FORKED, record.Forked(inc, seq + 1, theirs.events[0].hash.hex())),
        key=home.identity,
        inc=77,
    )
    # Here we are the copy: what `theirs` says of us we wrote ourselves, and `other` comes from the original.
    assert case.merge(through(other)).result(10).forked
    assert case.append(note("on")).result(10)[0].inc not in {1, 77}
    assert verify(case.directory).sound


def test_two_writers_on_one_log_are_noticed_when_writing(home: Home, case: Case) -> None:
    """A lock that does not lock, such as on some network file systems."""
    case.append(note("first")).result(10)
    other = Log(case.directory / "log.db", home.identity, home.clock)
    other.commit(other.stage([[note("by another process")]]))
    other.close()
    with pytest.raises(StoreTrouble):
        case.append(note("in the same place")).result(10)
    (event,) = case.append(note("after that")).result(10)
    assert (event.inc != 1, event.seq) == (True, 2)
    db = connect(case.directory / "log.db")
    kinds = [row[0] for row in db.execute("SELECT kind FROM events ORDER BY n")]
    db.close()
    assert kinds[-2:] == [record.FORKED, "note"]
    assert verify(case.directory).sound


def test_a_commit_whose_answer_was_lost_is_no_fork(
    home: Home, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, opened = Log.commit, Log.__init__
    failing: list[str] = ["commit", "open"]

    def landed(log: Log, staged: object) -> None:
        commit(log, staged)  # type: ignore[arg-type]
        if "commit" in failing:
            failing.remove("commit")
            raise sqlite3.OperationalError("disk I/O error")

    def shut(log: Log, *rest: object) -> None:
        if "commit" not in failing and "open" in failing:
            failing.remove("open")
            raise StoreTrouble("The disk is away.", "", "")
        opened(log, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Log, "commit", landed)
    monkeypatch.setattr(Log, "__init__", shut)
    with pytest.raises(StoreTrouble):
        case.append(note("in doubt")).result(10)
    (event,) = case.append(note("next")).result(10)
    assert (failing, event.inc, event.seq) == ([], 1, 3)


def test_more_strands_than_a_checkpoint_holds_do_not_stop_it(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "MAX_HEADS", 5)
    for inc in range(1, 9):
        case.merge(through(forge(case.id, note("flood"), inc=inc))).result(10)
    case.append(note("ours")).result(10)
    assert case.witness("asked").result(10)
    db = connect(case.directory / "log.db")
    (body,) = db.execute("SELECT body FROM events WHERE kind = ?", (record.CHECKPOINT,)).fetchone()
    db.close()
    checkpoint = record.read_checkpoint(body)
    assert checkpoint is not None
    assert len(checkpoint.heads) == 5
    assert any(head.rep != MALLORY.replica for head in checkpoint.heads)


def test_the_largest_checkpoint_fits_into_an_event() -> None:
    head = record.Head("f" * 32, 2**53 - 1, 2**53 - 1, "f" * 64)
    assert record.checkpoint([head] * record.MAX_HEADS, "handover").body


def test_a_batch_of_large_bodies_can_leave(case: Case) -> None:
    texts = [f"{i}" + "x" * 900_000 for i in range(80)]
    answers = [case.append(*map(note, texts[i : i + 40])) for i in (0, 40)]
    for answer in answers:
        answer.result(60)
    db = connect(case.directory / "log.db")
    (span,) = spans(db)
    sent = sum(len(unpack(*pack(parcel)).events) for parcel in parcels(db, span))
    db.close()
    assert sent == 81


def test_a_segment_of_nothing_but_line_breaks_costs_nothing(case: Case) -> None:
    name, raw = pack(shipped(case)[0])
    bad = raw[: raw.index(b"\n")] + b"\n" * 1_000_000
    with pytest.raises(BadSegment):
        unpack(name, bad)
    assert hashes(case)


def test_the_founder_can_be_taken_over_only_with_the_founding_event(case: Case, tmp_path: Path) -> None:
    ben = Home.open(tmp_path / "ben", clock=ManualClock(START))
    with pytest.raises(ValueError, match="founding"):
        adopt(ben, through(forge(case.id, note("x"))))
    one = found(ben, note("another case"), project)
    one.close()
    assert one.id != case.id
