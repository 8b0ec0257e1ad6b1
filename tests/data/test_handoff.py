import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from threading import Event as Signal

import pytest

from data import lock
from data.case import Case
from data.envelope import BadEntry
from data.handoff import Handoff
from data.home import Home
from data.trouble import StoreTrouble
from data.verify import verify
from tests.data.sample import START, note, project


def test_who_cannot_write_hands_over(case: Case, reopen: Callable[[], Case]) -> None:
    other = reopen()
    assert (case.writer, other.writer) == (True, False)
    first = other.append(note("handed"), note("over", at=START - 7)).result(10)
    assert [(event.n, event.at) for event in first] == [(2, START), (3, START - 7)]
    assert case.append(note("own")).result(10)[0].n == 4
    assert other.append(note("third", key="k")).result(10) == case.append(note("again", key="k")).result(10)
    assert list((case.directory / "handoff").iterdir()) == []


def test_entries_keep_the_order_in_which_one_process_left_them(
    case: Case, reopen: Callable[[], Case]
) -> None:
    other = reopen()
    answers = [other.append(note(str(i))) for i in range(60)]
    assert [answer.result(20)[0].n for answer in answers] == list(range(2, 62))


def test_who_waits_takes_over_when_the_writer_is_gone(case: Case, reopen: Callable[[], Case]) -> None:
    other = reopen()
    case.close()
    event = other.append(note("nobody is there")).result(10)[0]
    assert other.writer
    assert other.append(note("and on")).result(10)[0].n == event.n + 1


def test_the_lock_says_who_has_it(case: Case) -> None:
    path = case.directory / lock.NAME
    holder = lock.holder(path)
    assert holder is not None
    assert holder.pid == os.getpid()
    case.close()
    assert lock.holder(path) is None
    assert lock.holder(case.directory / "no such file") is None


def test_an_entry_that_nobody_takes_is_reported_as_waiting_and_comes_later(
    case: Case, home: Home, reopen: Callable[[], Case]
) -> None:
    case.close()
    deaf = lock.Lock.take(case.directory / lock.NAME)
    assert deaf is not None
    waiting = Case.open(case.directory, home, project, patience=0.1)
    answer = waiting.append(note("left behind"))
    with pytest.raises(StoreTrouble, match="safe on this disk"):
        answer.result(10)
    waiting.close()
    deaf.release()
    later = reopen()
    assert (
        later.append(note("later")).result(10)[0].n == 2 or later.append(note("latest")).result(10)[0].n == 4
    )
    later.close()
    assert verify(case.directory).events >= 3
    assert list((case.directory / "handoff").glob("*.json")) == []


def test_a_file_that_was_appended_before_a_crash_is_not_appended_again(
    case: Case, reopen: Callable[[], Case]
) -> None:
    path, keys = Handoff(case.directory, START).leave([note("once", at=START)])
    content = path.read_bytes()
    first = case.append(note("sync", key=keys[0])).result(10)[0]
    case.close()
    path.write_bytes(content)  # as if the writer had died before it could delete the file
    again = reopen()
    assert again.append(note("x", key=keys[0])).result(10)[0] == first
    again.close()
    assert not path.exists()


HOSTILE = {
    "not json": b"\x00\xff",
    "empty": b"",
    "other version": b'{"v":2,"entries":[]}',
    "no entries": b'{"v":1,"entries":[]}',
    "unknown field": b'{"v":1,"entries":[],"run":"rm"}',
    "deep": b'{"v":1,"entries":' + b"[" * 5000,
}
FIELDS = {
    "kind": "note",
    "body": {},
    "actor": "m",
    "role": "",
    "at": "2026-11-21T10:00:00Z",
    "refs": [],
    "key": "k",
}
for part, value in {
    "kind": "../x",
    "body": 1.5,
    "actor": "m\x1b[2J",
    "role": "r" * 65,
    "at": "soon",
    "key": "",
    "refs": [{"sha256": "..", "size": 1, "media": ""}],
}.items():
    HOSTILE[part] = json.dumps({"v": 1, "entries": [FIELDS, {**FIELDS, "key": "k2", part: value}]}).encode()


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_file_is_set_aside_whole(case: Case, reopen: Callable[[], Case], content: bytes) -> None:
    name = f"{0:016x}-{0:016x}-{0:08x}.json"
    directory = case.directory / "handoff"
    directory.mkdir(exist_ok=True)
    (directory / ".tmp-x").write_bytes(content)
    os.replace(directory / ".tmp-x", directory / name)
    good = reopen().append(note("good")).result(10)[0]
    assert good.n == 2
    assert case.refused() == [name + ".refused"]
    assert (directory / (name + ".refused")).read_bytes() == content


def test_links_pipes_and_other_names_are_not_read(
    case: Case, reopen: Callable[[], Case], tmp_path: Path
) -> None:
    directory = case.directory / "handoff"
    directory.mkdir(exist_ok=True)
    real = tmp_path / "real"
    real.write_bytes(json.dumps({"v": 1, "entries": [FIELDS]}).encode())
    (directory / f"{0:016x}-{0:016x}-{0:08x}.json").symlink_to(real)
    os.mkfifo(directory / f"{0:016x}-{0:016x}-{1:08x}.json")
    (directory / "entry.json").write_bytes(real.read_bytes())
    assert reopen().append(note("good")).result(10)[0].n == 2
    assert len(case.refused()) == 2
    assert (directory / "entry.json").exists()


def test_who_has_no_file_handles_left_sets_nothing_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handoff = Handoff(tmp_path, START)
    path, _ = handoff.leave([note("kept", at=START)])

    def exhausted(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as limits:
        limits.setattr(os, "open", exhausted)
        with pytest.raises(OSError, match="Too many"):
            list(handoff.waiting())
    assert ([waiting for waiting, _ in handoff.waiting()], handoff.refused()) == ([path], [])


def test_the_smallest_well_formed_file_is_taken(case: Case, reopen: Callable[[], Case]) -> None:
    """The control for the hostile ones: what they spoil is otherwise accepted."""
    directory = case.directory / "handoff"
    directory.mkdir(exist_ok=True)
    (directory / ".tmp-x").write_bytes(json.dumps({"v": 1, "entries": [FIELDS]}).encode())
    os.replace(directory / ".tmp-x", directory / f"{0:016x}-{0:016x}-{0:08x}.json")
    assert reopen().append(note("good")).result(10)[0].n == 3
    assert case.refused() == []


def test_a_bad_entry_is_refused_before_it_is_handed_over(case: Case, reopen: Callable[[], Case]) -> None:
    with pytest.raises(BadEntry):
        reopen().append(note("x", actor="\x00"))
    assert not (case.directory / "handoff").exists()


def test_closing_waits_for_what_is_on_its_way(case: Case, reopen: Callable[[], Case]) -> None:
    other = reopen()
    answer = other.append(note("last words"))
    other.close()
    assert answer.result(0)[0].n == 2


def test_callbacks_run_when_the_entry_is_on_the_record(case: Case, reopen: Callable[[], Case]) -> None:
    called = Signal()
    reopen().append(note("x")).add_done_callback(lambda _: called.set())
    assert called.wait(10)
