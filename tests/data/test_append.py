import asyncio
import os
import sqlite3
import stat
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import Barrier, Thread
from time import monotonic, sleep

import pytest

from data.case import Case, CaseReader, found
from data.clock import ManualClock
from data.envelope import BadEntry, Entry, Event, Ref, commitment, event_hash
from data.home import Home
from data.log import connect
from data.strands import Log
from data.trouble import StoreTrouble
from data.verify import verify
from tests.data.sample import FOUNDING, START, note, project


async def test_what_is_acknowledged_can_be_read(case: Case) -> None:
    (event,) = case.append(note("refunds are looping", at=START - 5)).result(10)
    reader = await CaseReader.open(case.directory)
    assert await reader.since(1) == [event]
    assert await reader.event(event.hash) == event
    assert await reader.event(event.short.upper()) == event
    assert await reader.event("nothing") is None
    assert await reader.event("ff" * 32) is None
    assert await reader.last() == 2
    assert reader.id == case.id == event.case
    assert (event.at, event.wall, event.seq, event.role) == (START - 5, START, 2, "")
    await reader.close()


async def test_a_reader_sees_change_and_quiet(case: Case) -> None:
    reader = await CaseReader.open(case.directory)
    await reader.changed()
    case.append(note("one")).result(10)
    assert await reader.changed()
    await reader.close()


async def test_a_reader_makes_no_files(home: Home, tmp_path: Path) -> None:
    with pytest.raises(StoreTrouble, match="no evidence log"):
        await CaseReader.open(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_the_chain_holds(case: Case) -> None:
    events = [case.append(note(str(i))).result(10)[0] for i in range(5)]
    assert [e.prev for e in events[1:]] == [e.hash for e in events[:-1]]
    assert [e.seq for e in events] == [2, 3, 4, 5, 6]
    assert [e.hlc for e in events] == sorted({e.hlc for e in events})


def test_the_hashes_are_those_of_the_stored_bytes(case: Case) -> None:
    (event,) = case.append(note("x")).result(10)
    db = sqlite3.connect(case.directory / "log.db")
    head, salt, body = db.execute("SELECT head, salt, body FROM events WHERE n = 2").fetchone()
    db.close()
    assert event_hash(head).hex() == event.hash
    assert f'"body_h":"{commitment(salt, body)}"'.encode() in head
    assert body == event.body
    assert len(salt) == 16


def test_the_record_goes_on_after_reopening(case: Case, reopen: Callable[[], Case]) -> None:
    before = case.append(note("before")).result(10)[0]
    case.close()
    after = reopen().append(note("after")).result(10)[0]
    assert (after.prev, after.seq, after.hlc > before.hlc) == (before.hash, before.seq + 1, True)


def test_the_clock_of_the_record_goes_forward_when_the_wall_clock_jumps_back(
    case: Case, reopen: Callable[[], Case], ticking: ManualClock
) -> None:
    before = case.append(note("before")).result(10)[0]
    ticking.advance(-86_400 * 10**9)
    same = case.append(note("a day earlier, says the clock")).result(10)[0]
    case.close()
    after = reopen().append(note("after")).result(10)[0]
    assert before.hlc < same.hlc < after.hlc
    assert same.wall < before.wall


def test_a_group_is_all_or_nothing_and_in_order(case: Case) -> None:
    with pytest.raises(BadEntry):
        case.append(note("good"), Entry("note", b"{ }", "mira"))
    events = case.append(*(note(str(i)) for i in range(50))).result(10)
    assert [e.n for e in events] == list(range(2, 52))


def test_callers_share_commits_and_keep_their_own_answers(case: Case) -> None:
    callers, each = 16, 20
    start = Barrier(callers)
    answers: list[list[Future[tuple[Event, ...]]]] = [[] for _ in range(callers)]

    def call(me: int) -> None:
        start.wait()
        answers[me] = [case.append(note(f"{me}/{i}"), note(f"{me}/{i}+")) for i in range(each)]

    threads = [Thread(target=call, args=(me,)) for me in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = []
    for me in range(callers):
        for i, answer in enumerate(answers[me]):
            first, second = answer.result(10)
            assert first.body == note(f"{me}/{i}").body
            assert second.n == first.n + 1
            numbers += [first.n, second.n]
    assert sorted(numbers) == list(range(2, 2 + 2 * callers * each))
    case.close()
    assert verify(case.directory).sound


def test_a_key_makes_a_repeat_harmless(case: Case, reopen: Callable[[], Case]) -> None:
    first = case.append(note("once", key="alert-1")).result(10)
    again, other = case.append(note("twice?", key="alert-1"), note("new")).result(10)
    in_one_group = case.append(note("a", key="k"), note("b", key="k")).result(10)
    case.close()
    after = reopen().append(note("thrice?", key="alert-1")).result(10)
    assert first == (again,) == after
    assert other.n == 3
    assert in_one_group[0] is in_one_group[1] or in_one_group[0] == in_one_group[1]


async def test_a_cancelled_caller_changes_nothing(case: Case) -> None:
    async def call(i: int) -> None:
        await asyncio.wrap_future(case.append(note(str(i)), note(f"{i}+")))

    tasks = [asyncio.create_task(call(i)) for i in range(200)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert any(isinstance(result, asyncio.CancelledError) for result in results)
    last = case.append(note("still alive")).result(10)[0]
    # Groups that had been submitted are whole; cancelling took none apart.
    assert (last.n - 2) % 2 == 0
    case.close()
    assert verify(case.directory).sound


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (Entry("Note", b"{}", "mira"), "kind"),
        (Entry("", b"{}", "mira"), "kind"),
        (Entry("n" * 65, b"{}", "mira"), "kind"),
        (Entry("note", b"{}", ""), "actor"),
        (Entry("note", b"{}", "m" * 129), "actor"),
        (Entry("note", b"{}", "mira\x1b]52;c;\x07"), "control"),
        (Entry("note", b"{}", "mira\nIC"), "control"),
        (Entry("note", b"{}", "mira\u2028"), "control"),
        (Entry("note", b"{}", "\ud800"), "control"),
        (Entry("note", b"{}", "mira", role="\x00"), "control"),
        (Entry("note", b"{}", "mira", at=-1), "at"),
        (Entry("note", b"{}", "mira", at=2**63), "at"),
        (Entry("note", b"{}", "mira", key="k" * 201), "key"),
        (Entry("note", b'{"cost":1.5}', "mira"), "body"),
        (Entry("note", b'{"a":1,"a":2}', "mira"), "body"),
        (Entry("note", b'"' + b"x" * 2**20 + b'"', "mira"), "body"),
        (Entry("note", b"{}", "mira", refs=(Ref(sha256="../../etc", size=1, media=""),)), "refs"),
        (Entry("note", b"{}", "mira", refs=(Ref(sha256="0" * 64, size=-1, media=""),)), "refs"),
    ],
)
def test_what_must_not_reach_the_record_is_refused_at_once(case: Case, entry: Entry, reason: str) -> None:
    with pytest.raises(BadEntry, match=reason):
        case.append(entry)
    with pytest.raises(BadEntry, match="1 to"):
        case.append()
    assert case.append(note("next")).result(10)[0].n == 2


def test_a_closed_case_takes_nothing(case: Case) -> None:
    case.close()
    with pytest.raises(RuntimeError, match="closed"):
        case.append(note("late"))
    case.close()


def test_closing_keeps_what_was_queued(case: Case) -> None:
    answers = [case.append(note(str(i))) for i in range(500)]
    case.close()
    assert answers[-1].result(0)[0].n == 501


def test_a_case_founded_in_a_place_is_founded_once(home: Home) -> None:
    first = found(home, FOUNDING, project, directory=home.watch_dir)
    first.close()
    second = found(home, FOUNDING, project, directory=home.watch_dir)
    assert (second.id, second.append(note("x")).result(10)[0].n) == (first.id, 2)
    second.close()
    assert home.cases() == []


def test_files_belong_to_their_owner_alone(case: Case) -> None:
    case.append(note("secret")).result(10)
    case.close()
    for path in [case.directory, *case.directory.rglob("*")]:
        assert stat.S_IMODE(os.stat(path).st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_an_unreadable_event_does_not_hide_the_others(case: Case) -> None:
    case.append(note("a"), note("b"), note("c")).result(10)
    case.close()
    db = sqlite3.connect(case.directory / "log.db")
    db.execute("UPDATE events SET head = x'00' WHERE n = 3")
    db.commit()
    db.close()

    async def kinds() -> list[str]:
        reader = await CaseReader.open(case.directory)
        try:
            return [event.kind for event in await reader.since(0)]
        finally:
            await reader.close()

    assert asyncio.run(kinds()) == ["founded", "note", "unreadable", "note"]


def test_staging_again_repeats_nothing_that_was_not_committed(case: Case, home: Home) -> None:
    case.close()
    log = Log(case.directory / "log.db", home.identity, home.clock)
    dropped = log.stage([[note("dropped", key="k")]])
    assert not log.holds(dropped)
    kept = log.stage([[note("kept", key="k")]])
    log.commit(kept)
    assert log.holds(kept)
    assert kept.answers[0][0].seq == 2
    log.close()
    assert verify(case.directory).sound


def test_what_was_erased_leaves_the_file_once_no_reader_holds_it(case: Case) -> None:
    event = case.append(note("the customer's passport number 0077")).result(30)[0]
    reader = connect(case.directory / "log.db")
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM events").fetchone()
    assert case.erase([bytes.fromhex(event.hash)]).result(30) == 1

    def lies_somewhere() -> bool:
        return any(b"passport number 0077" in path.read_bytes() for path in case.directory.glob("log.db*"))

    assert lies_somewhere()
    # While the reader stands in the way, nobody waits for it.
    case.append(note("afterwards")).result(30)
    reader.close()
    deadline = monotonic() + 30
    while lies_somewhere():
        assert monotonic() < deadline
        sleep(0.02)
