"""Several consoles on one case: what one writes another takes in, whole, once, and never over something else."""

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from data import quarantine
from data.case import Case, adopt, found
from data.clock import ManualClock
from data.home import Home
from data.lock import Lock
from data.log import connect
from data.parcels import parcels, spans
from data.segment import BadSegment, Parcel, pack, unpack
from data.strands import Log
from data.trouble import StoreTrouble
from data.verify import verify
from tests.data.sample import FOUNDING, START, note, project


def shipped(case: Case) -> list[Parcel]:
    """Everything a case holds, through the bytes that would travel."""
    db = connect(case.directory / "log.db")
    try:
        return [unpack(*pack(parcel)) for span in spans(db) for parcel in parcels(db, span)]
    finally:
        db.close()


def carry(source: Case, target: Case) -> bool:
    """Merge all that `source` has into `target`; whether a fork came to light."""
    waiting, forked = shipped(source), False
    while waiting:
        later = []
        for parcel in waiting:
            merged = target.merge(parcel).result(10)
            forked |= merged.forked
            if merged.after is not None:
                later.append(parcel)
        assert len(later) < len(waiting), "what is missing never comes"
        waiting = later
    return forked


def hashes(case: Case) -> set[bytes]:
    db = connect(case.directory / "log.db")
    try:
        return {row[0] for row in db.execute("SELECT hash FROM events")}
    finally:
        db.close()


@pytest.fixture
def cases() -> Iterator[list[Case]]:
    opened: list[Case] = []
    yield opened
    for case in opened:
        case.close()


def join(cases: list[Case], home: Home) -> Case:
    directory = adopt(home, shipped(cases[0])[0])
    cases.append(Case.open(directory, home, project))
    return cases[-1]


def test_two_consoles_come_to_hold_the_same(cases: list[Case], tmp_path: Path) -> None:
    ana = Home.open(tmp_path / "ana", clock=ManualClock(START))
    ben = Home.open(tmp_path / "ben", clock=ManualClock(START + 10**9))
    one = found(ana, FOUNDING, project)
    cases.append(one)
    one.append(*(note(str(i)) for i in range(2500))).result(10)
    two = join(cases, ben)
    assert not carry(one, two)
    two.append(note("from ben")).result(10)
    assert two.witness("push").result(10)
    assert not carry(two, one)
    assert not carry(one, two)
    assert hashes(one) == hashes(two)
    verdict = verify(one.directory)
    assert verdict.sound, verdict.damage
    ours = next(strand for strand in verdict.strands if strand.rep == ana.replica)
    assert ours.sealed >= 2500, "ben's checkpoint vouches for what ana wrote"
    assert verify(two.directory).sound


def test_a_copied_console_is_noticed_and_both_branches_are_kept(cases: list[Case], tmp_path: Path) -> None:
    ana = Home.open(tmp_path / "ana", clock=ManualClock(START))
    one = found(ana, FOUNDING, project)
    cases.append(one)
    one.append(note("common")).result(10)
    one.close()
    cases.clear()
    shutil.copytree(tmp_path / "ana", tmp_path / "copy")
    copy = Home.open(tmp_path / "copy", clock=ManualClock(START + 10**9))
    one = Case.open(one.directory, ana, project)
    two = Case.open(copy.case_dir(one.id), copy, project)
    cases.extend((one, two))
    one.append(note("left")).result(10)
    two.append(note("right")).result(10)
    assert carry(one, two)
    assert carry(two, one)
    carry(one, two)
    carry(two, one)
    assert hashes(one) == hashes(two)
    for case in (one, two):
        verdict = verify(case.directory)
        assert verdict.sound, verdict.damage
        assert [strand.branch for strand in verdict.strands].count(True) == 1
        (after,) = case.append(note("on")).result(10)
        assert after.inc != 1, "nobody goes on in the strand that two wrote"


def test_a_restored_backup_starts_anew(cases: list[Case], tmp_path: Path) -> None:
    ana = Home.open(tmp_path / "ana", clock=ManualClock(START))
    one = found(ana, FOUNDING, project)
    cases.append(one)
    one.append(note("kept in the backup")).result(10)
    one.close()
    cases.clear()
    shutil.copytree(tmp_path / "ana", tmp_path / "backup")
    one = Case.open(one.directory, ana, project)
    cases.append(one)
    (lost,) = one.append(note("written after it")).result(10)
    later = shipped(one)
    restored = Home.open(tmp_path / "backup", clock=ManualClock(START + 10**12))
    back = Case.open(restored.case_dir(one.id), restored, project)
    cases.append(back)
    assert any(back.merge(parcel).result(10).forked for parcel in later)
    assert bytes.fromhex(lost.hash) in hashes(back)
    (event,) = back.append(note("on")).result(10)
    assert event.inc != 1
    assert verify(back.directory).sound


def test_a_case_that_was_lost_and_fetched_again_starts_anew(cases: list[Case], tmp_path: Path) -> None:
    ana = Home.open(tmp_path / "ana", clock=ManualClock(START))
    one = found(ana, FOUNDING, project)
    one.append(note("shared")).result(10)
    elsewhere = shipped(one)
    one.close()
    shutil.rmtree(one.directory)
    directory = adopt(ana, elsewhere[0])
    again = Case.open(directory, ana, project)
    cases.append(again)
    for parcel in elsewhere:
        again.merge(parcel).result(10)
    (event,) = again.append(note("on")).result(10)
    assert event.inc != 1
    assert verify(directory).sound


@pytest.mark.parametrize("checkpointed", [False, True])
def test_what_a_lost_log_left_beside_it_does_not_get_into_the_one_that_is_fetched(
    cases: list[Case], tmp_path: Path, checkpointed: bool
) -> None:
    ana = Home.open(tmp_path / "ana", clock=ManualClock(START))
    one = found(ana, FOUNDING, project)
    one.append(*(note(f"{i} {'x' * 300}") for i in range(50))).result(10)
    elsewhere = shipped(one)
    log, wal = one.directory / "log.db", one.directory / "log.db-wal"
    if checkpointed:
        # What is written from here on overwrites the beginning of the write-ahead log: it is no whole copy any more.
        with closing(sqlite3.connect(log)) as db:
            assert db.execute("PRAGMA wal_checkpoint").fetchone()[0] == 0
    one.append(*(note(f"never shared {i}") for i in range(5))).result(10)
    left = wal.read_bytes()
    one.close()
    log.unlink()
    wal.write_bytes(left)

    held = Lock.take(one.directory / "lock")
    assert held is not None
    with pytest.raises(StoreTrouble, match="still runs"):
        adopt(ana, elsewhere[0])
    assert wal.read_bytes() == left
    held.release()

    again = Case.open(adopt(ana, elsewhere[0]), ana, project)
    cases.append(again)
    for parcel in elsewhere:
        again.merge(parcel).result(10)
    again.append(note("on")).result(10)
    verdict = verify(again.directory)
    assert verdict.sound, verdict.damage
    assert not any(b"never shared" in each.body for parcel in shipped(again) for each in parcel.events)
    (kept,) = (again.directory / quarantine.NAME).iterdir()
    assert kept.read_bytes() == left


def test_parcels_wait_for_what_comes_before_them(cases: list[Case], tmp_path: Path) -> None:
    ana = Home.open(tmp_path / "ana", clock=ManualClock(START))
    ben = Home.open(tmp_path / "ben", clock=ManualClock(START))
    one = found(ana, FOUNDING, project)
    cases.append(one)
    one.append(*(note(str(i)) for i in range(3500))).result(10)
    two = join(cases, ben)
    whole = shipped(one)
    assert len(whole) == 4
    merged = two.merge(whole[3]).result(10)
    assert (merged.added, merged.after) == (0, whole[2].events[-1].hash)
    shuffled = whole * 2
    random.Random(4).shuffle(shuffled)
    for _ in range(4):
        for parcel in shuffled:
            two.merge(parcel).result(10)
    assert {each.hash for parcel in whole for each in parcel.events} <= hashes(two)
    assert verify(two.directory).sound


def test_several_parcels_in_one_commit_are_taken_in_as_one_by_one(cases: list[Case], tmp_path: Path) -> None:
    ana = Home.open(tmp_path / "ana", clock=ManualClock(START))
    one = found(ana, FOUNDING, project)
    cases.append(one)
    one.append(*(note(str(i)) for i in range(3500))).result(10)
    whole = shipped(one)
    order = [whole[2], *whole[:2], whole[1], *whole[2:], whole[0]]
    together = join(cases, Home.open(tmp_path / "ben", clock=ManualClock(START)))
    single = join(cases, Home.open(tmp_path / "eve", clock=ManualClock(START)))
    merged = together.merge_all(order).result(10)
    assert merged == [single.merge(parcel).result(10) for parcel in order]
    assert merged[0].after == whole[1].events[-1].hash
    first, *others = (len(parcel.events) for parcel in whole)
    assert [each.added for each in merged] == [0, first - 1, others[0], 0, *others[1:], 0]
    assert {each.hash for parcel in whole for each in parcel.events} <= hashes(together)
    assert verify(together.directory).sound


def test_a_commit_that_fails_leaves_none_of_its_parcels(
    cases: list[Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = Home.open(tmp_path / "ana", clock=ManualClock(START))
    one = found(ana, FOUNDING, project)
    cases.append(one)
    one.append(*(note(str(i)) for i in range(3500))).result(10)
    two = join(cases, Home.open(tmp_path / "ben", clock=ManualClock(START)))
    whole, before = shipped(one), hashes(two)
    write, done = Log._write_fresh, list[object]()

    def full(*given: Any) -> int:
        done.append(given)
        if len(done) == 3:
            raise sqlite3.OperationalError("database or disk is full")
        return write(*given)

    monkeypatch.setattr(Log, "_write_fresh", full)
    with pytest.raises(StoreTrouble):
        two.merge_all(whole).result(10)
    assert len(done) == 3
    assert hashes(two) == before
    two.append(note("meanwhile")).result(10)
    two.merge_all(whole).result(10)
    assert {each.hash for parcel in whole for each in parcel.events} <= hashes(two)
    assert verify(two.directory).sound


def test_what_was_taken_in_does_not_stay_in_the_write_ahead_log(
    cases: list[Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would grow with everything that others write, on a console where nobody writes anything."""
    ana = Home.open(tmp_path / "ana", clock=ManualClock(START))
    one = found(ana, FOUNDING, project)
    cases.append(one)
    one.append(*(note(str(i)) for i in range(500))).result(10)
    monkeypatch.setattr("data.writer.CHECKPOINT_BYTES", 1000)
    two = join(cases, Home.open(tmp_path / "ben", clock=ManualClock(START)))
    two.merge_all(shipped(one)).result(10)
    two.append(note("the task after that")).result(10)
    with closing(connect(two.directory / "log.db", immutable=True)) as db:
        assert db.execute("SELECT count(*) FROM events").fetchone()[0] > 500


def test_an_erased_body_stays_away_wherever_it_comes_from(cases: list[Case], tmp_path: Path) -> None:
    ana = Home.open(tmp_path / "ana", clock=ManualClock(START))
    ben = Home.open(tmp_path / "ben", clock=ManualClock(START))
    one = found(ana, FOUNDING, project)
    cases.append(one)
    (secret,) = one.append(note("a name that must go")).result(10)
    two = join(cases, ben)
    two.erase([bytes.fromhex(secret.hash)]).result(10)
    carry(one, two)
    db = connect(two.directory / "log.db")
    assert db.execute("SELECT body, salt FROM events WHERE n = 2").fetchone() == (None, None)
    db.close()
    assert [damage.kind for damage in verify(two.directory).damage] == ["body"], "nobody said why"


@pytest.mark.parametrize("where", range(0, 4000, 97))
def test_a_changed_byte_of_a_segment_is_refused(tmp_path: Path, where: int) -> None:
    ana = Home.open(tmp_path / "ana", clock=ManualClock(START))
    case = found(ana, FOUNDING, project)
    case.append(*(note(str(i)) for i in range(5))).result(10)
    case.close()
    name, raw = pack(shipped(case)[0])
    at = where % len(raw)
    with pytest.raises(BadSegment):
        unpack(name, raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
    with pytest.raises(BadSegment):
        unpack(name, raw[:at])
