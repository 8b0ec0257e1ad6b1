"""Disks that are full, read-only or damaged: said in plain words, and nothing on the record is lost."""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from data.case import Case, found
from data.clock import ManualClock
from data.envelope import Event
from data.home import Home
from data.log import connect, events_after
from data.strands import Log
from data.trouble import StoreTrouble
from data.verify import verify
from tests.data.sample import FOUNDING, START, note, project
from tests.faults.conftest import ROOT, Nursery
from tests.faults.test_power import strace


def test_a_full_disk_is_told_and_the_record_goes_on_when_there_is_room(nursery: Nursery, home: Home) -> None:
    worker = nursery.start("fill", str(home.path), 400_000)
    identity, *refusals, after = worker.hear_all()
    first, last = json.loads(refusals[0]), json.loads(refusals[-1])
    assert len(refusals) == 3
    assert "log.db" in first["what"]
    assert first["shown"]
    assert first["saved"] > 5
    assert json.loads(after)["n"] == last["saved"] + 1
    assert json.loads(after)["shown"] == ""
    verdict = verify(home.case_dir(identity))
    assert (verdict.events, verdict.damage) == (last["saved"] + 1, [])


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A directory that other users can reach, unlike those of the test runner."""
    with tempfile.TemporaryDirectory(prefix="warroom-") as directory:
        os.chmod(directory, 0o755)
        yield Path(directory)


def test_who_may_only_read_is_told_so(nursery: Nursery, open_to_all: Path) -> None:
    home = Home.open(open_to_all / "home")
    case = found(home, FOUNDING, project)
    case.close()
    record = case.directory
    directories = (home.path, record.parent, record)
    for directory in directories:
        directory.chmod(0o555)
    for file in (record / "log.db", record / "lock", record / "view.db", home.path / "home.json"):
        file.chmod(0o444)
    step, lines, answer = nursery.start("only_read", str(home.path), record.name).hear_all()
    for directory in directories:
        directory.chmod(0o755)
    assert lines == "1"
    failed, trouble = json.loads(answer)
    assert failed
    assert "cannot be written by this user" in trouble
    assert "write access" in step


def open_and_append(record: Path, home: Home) -> None:
    case = Case.open(record, home, project, patience=0.1)
    try:
        assert case.trouble
        case.append(note("x")).result(10)
    finally:
        case.close()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda raw: b"", "not an evidence log"),
        (lambda raw: b"\0" * len(raw), "damaged|not an evidence log"),
        (lambda raw: b"garbage!" * 4096, "damaged"),
        (lambda raw: raw[:60] + (99).to_bytes(4, "big") + raw[64:], "format 99"),
        (lambda raw: raw[:68] + b"\0\0\0\0" + raw[72:], "not an evidence log"),
        (lambda raw: raw[:4096] + b"\0" * (len(raw) - 4096), "damaged|end|founding"),
    ],
)
def test_a_damaged_or_foreign_file_is_named_and_left_alone(
    home: Home, record: Path, damage: Callable[[bytes], bytes], words: str
) -> None:
    path = record / "log.db"
    raw = damage(path.read_bytes())
    path.write_bytes(raw)
    with pytest.raises(StoreTrouble, match=words) as caught:
        open_and_append(record, home)
    assert caught.value.next_step
    assert path.read_bytes() == raw


def test_a_missing_file_is_not_made(home: Home) -> None:
    with pytest.raises(StoreTrouble, match="no evidence log"):
        Case.open(home.case_dir("a" * 26), home, project)
    assert not home.case_dir("a" * 26).exists()


def test_nothing_is_written_after_an_end_that_does_not_hold(home: Home, record: Path) -> None:
    Case.open(record, home, project).close()
    db = sqlite3.connect(record / "log.db")
    db.execute("UPDATE strands SET hash = zeroblob(32)")
    db.commit()
    db.close()
    case = Case.open(record, home, project)
    assert not case.writer
    assert "does not hold together" in case.trouble
    case.close()
    assert verify(record).events == 1


class Failing:
    """Makes one commit fail, before or after it has reached the disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: bool) -> None:
        self.armed = False
        commit = Log.commit

        def failing(log: Log, staged: object) -> None:
            if not self.armed:
                return commit(log, staged)  # type: ignore[arg-type]
            self.armed = False
            if after:
                commit(log, staged)  # type: ignore[arg-type]
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error

        monkeypatch.setattr(Log, "commit", failing)


@pytest.mark.parametrize("after", [False, True])
def test_after_an_error_the_disk_is_asked_what_became_of_it(
    home: Home, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    failing = Failing(monkeypatch, after)
    case = found(home, FOUNDING, project)
    failing.armed = True
    answer = case.append(note("in doubt"), note("both"))
    if after:
        assert [event.n for event in answer.result(10)] == [2, 3]
    else:
        with pytest.raises(StoreTrouble, match="reported an error"):
            answer.result(10)
        assert "reported an error" in case.trouble
    events: tuple[Event, ...] = case.append(note("next")).result(10)
    assert events[0].n == (4 if after else 2)
    assert case.trouble == ""
    case.close()
    assert verify(case.directory).damage == []


def test_a_caller_is_answered_whatever_goes_wrong(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    case = found(home, FOUNDING, project)
    with monkeypatch.context() as broken:
        broken.setattr(Log, "stage", lambda *_: 1 // 0)
        with pytest.raises(StoreTrouble, match="not on the record"):
            case.append(note("x")).result(10)
    assert case.append(note("y")).result(10)[0].n == 2
    case.close()


def test_handed_entries_survive_a_writer_that_fails(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = Failing(monkeypatch, after=False)
    case = found(home, FOUNDING, project)
    other = Case.open(case.directory, home, project)
    failing.armed = True
    assert other.append(note("kept")).result(10)[0].n == 2
    other.close()
    case.close()
    assert verify(case.directory).events == 2


def test_a_copy_of_a_case_in_use_holds_what_was_acknowledged(home: Home, tmp_path: Path) -> None:
    case = found(home, FOUNDING, project)
    for i in range(20):
        case.append(note(str(i))).result(10)
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("log.db", "log.db-wal"):
        shutil.copy(case.directory / name, copy / name)
    case.close()
    assert (verify(copy).events, verify(copy).damage) == (21, [])
    assert os.listdir(copy)


@pytest.mark.parametrize("when", ["12", "13", "12..15", "12+3"])
def test_a_disk_that_fails_to_sync_loses_nothing_that_was_acknowledged(tmp_path: Path, when: str) -> None:
    """fdatasync answers EIO (counted for each thread; founding takes less); what was written may or may not be there, and only what is counts."""
    inject = ["-e", "trace=fdatasync", "-e", f"inject=fdatasync:error=EIO:when={when}"]
    worker = [sys.executable, "-m", "tests.faults.recorded", str(tmp_path / "home"), "20"]
    ran = subprocess.run(
        [strace(), "-f", "-o", str(tmp_path / "trace"), *inject, *worker],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "INJECTED" in (tmp_path / "trace").read_text()
    refused, _, trouble = ran.stdout.strip().partition(" ")
    (case,) = (tmp_path / "home" / "cases").iterdir()
    said = (tmp_path / "said").read_text().split()
    assert said
    db = connect(case / "log.db")
    there = {row[0].hex() for row in db.execute("SELECT hash FROM events")}
    forked = db.execute("SELECT count(*) FROM events WHERE kind = 'record.forked'").fetchone()[0]
    db.close()
    assert set(said) <= there
    assert not forked, "nobody else wrote here"
    assert verify(case).damage == []
    if when == "12..15":
        assert int(refused) > 0
        assert trouble == "", "it went on when the disk did"


def test_a_flipped_bit_is_found_or_changes_nothing(home: Home, record: Path) -> None:
    """Anywhere in the file; and whatever can still be read is read."""
    case = Case.open(record, home, project)
    case.append(*(note(f"line {i} " + "x" * 50) for i in range(60))).result(10)
    case.close()
    path, chance = record / "log.db", random.Random(5)
    raw = path.read_bytes()
    whole = list(_events(record))
    unseen = readable = 0
    for _ in range(250):
        at = chance.randrange(len(raw))
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1 << chance.randrange(8)]) + raw[at + 1 :])
        try:
            sound = verify(record).sound
        except StoreTrouble:
            continue
        try:
            found = list(_events(record))
        except (sqlite3.DatabaseError, StoreTrouble):
            assert not sound, at
            continue
        if sound:
            unseen += 1
            assert found == whole, at
        else:
            readable += 1
    assert readable > 50
    assert unseen < 150
    path.write_bytes(raw)
    assert verify(record).sound


def _events(record: Path) -> list[Event]:
    db = connect(record / "log.db")
    try:
        return list(events_after(db, 0, 1000))
    finally:
        db.close()


@pytest.mark.parametrize("jump", [86_400 * 10**9, -86_400 * 10**9])
def test_a_clock_that_jumps_a_day_keeps_the_order(tmp_path: Path, jump: int) -> None:
    clock = ManualClock(START)
    case = found(Home.open(tmp_path / "home", clock=clock), FOUNDING, project)
    (before,) = case.append(note("before")).result(10)
    clock.advance(jump)
    (after,) = case.append(note("after")).result(10)
    clock.advance(-jump)
    (back,) = case.append(note("back")).result(10)
    case.close()
    assert before.order < after.order < back.order
    assert after.wall - before.wall == jump, "the claimed time stands beside the order"
    assert verify(case.directory).damage == []
