"""What detection does when the disk or the record fails: it takes nothing, or forgets nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from console.config import inventory as declared
from console.config import rules
from console.telemetry.action import Action
from console.tripwires.agent import Agent
from console.tripwires.alert import Closed, Moved, Opened
from console.tripwires.engine import Engine
from console.tripwires.inventory import Inventory
from console.watching.baselines import Baselines, Saved
from console.watching.detection import TOLD_EVERY, Overloaded, alert_entry
from console.watching.journal import Journal
from console.watching.status import Senders
from tests.watch.conftest import T0, Bench


def test_a_failing_record_forgets_nothing(bench: Bench) -> None:
    bench.case.broken = True
    for number in range(5):
        bench.take(number)
    bench.detection.settle(save=True)
    assert bench.baselines.load() is None  # a snapshot would let the journal forget what is not on the record
    bench.case.broken = False
    bench.detection.settle()
    assert bench.detection.wait(30)
    assert len(bench.opened()) == len(set(bench.opened())) == 5
    bench.detection.settle(save=True)
    assert bench.baselines.load() is not None
    assert bench.journal.bytes == 0


def test_a_restart_says_the_same_alerts_under_the_same_keys(bench: Bench) -> None:
    for number in range(3):
        bench.take(number)
    assert bench.detection.wait(30)
    before = bench.opened()
    bench.detection = bench.start()  # as after a kill: no snapshot
    assert bench.detection.wait(30)
    assert bench.opened() == before * 2  # the record drops what it has already
    bench.detection.settle(save=True)
    bench.detection = bench.start()
    assert bench.opened() == before * 2


def test_what_cannot_be_kept_is_not_taken(bench: Bench) -> None:
    (bench.path / "journal" / "00000001.jsonl").symlink_to("/dev/full")
    with pytest.raises(Overloaded, match="cannot be kept"):
        bench.take(1)
    assert bench.sender.accepted == 0
    assert bench.detection.engine.counters["actions"] == 0
    (bench.path / "journal" / "00000001.jsonl").unlink()
    bench.detection = bench.start()
    bench.take(1)
    assert bench.sender.accepted == 1


def test_a_record_that_stays_broken_stops_the_intake(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.watching.detection.UNRECORDED_LIMIT", 3)
    bench.case.broken = True
    for number in range(4):
        bench.take(number)
    with pytest.raises(Overloaded, match="record"):
        bench.take(4)
    bench.case.broken = False
    bench.detection.settle()
    assert bench.detection.wait(30)
    bench.take(20)


def test_a_mistake_in_the_tripwires_is_said_and_ends_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise TypeError("a mistake")

    with monkeypatch.context() as patched:
        patched.setattr(bench.detection.engine, "feed", broken)
        bench.take(1)
        assert any("failed on 1 of 1 actions" in sentence for sentence in bench.detection.trouble())
    bench.take(2)
    assert bench.detection.wait(30)
    assert len(bench.opened()) == 1
    with monkeypatch.context() as patched:
        patched.setattr(Engine, "feed", broken)
        bench.detection = bench.start()
    assert any("failed" in sentence for sentence in bench.detection.trouble())


def test_a_mistake_in_one_tripwire_leaves_the_others_and_is_said(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a mistake")

    day = 24 * 3600 * 1_000_000_000
    call = Action(at=T0 - 2 * day, agent="a", id="1", endpoint="GET x /old")
    odd = Action(at=T0, agent="a", id="2", kind="tool", tool="undeclared", endpoint="GET x /new")
    with monkeypatch.context() as patched:
        patched.setattr(Inventory, "verdict", broken)
        bench.detection.take(bench.sender, [call, odd], journal=True, received_at=T0)
    assert bench.detection.wait(30)
    assert len(bench.opened()) == 1, "the new endpoint"
    (sentence,) = bench.detection.trouble()
    assert "tripwire authorisation failed 1 times, last with KeyError: 'a mistake'" in sentence
    bench.take(3)
    assert bench.detection.wait(30)
    assert len(bench.opened()) == 2, "it was tried again"


def test_a_mistake_about_one_action_costs_no_other(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    meet = Engine._meet

    def broken(engine: Engine, action: Action) -> Agent:
        if action.agent == "odd":
            raise KeyError("a mistake")
        return meet(engine, action)

    monkeypatch.setattr(Engine, "_meet", broken)
    agents = ("a", "odd", "b")
    calls = [Action(at=T0, agent=agent, id="1", kind="tool", tool="undeclared") for agent in agents]
    bench.detection.take(bench.sender, calls, journal=True, received_at=T0)
    assert bench.detection.wait(30)
    assert len(bench.opened()) == 2, "one before and one behind it"
    assert any("failed on 1 of 3 actions (KeyError" in sentence for sentence in bench.detection.trouble())


def test_mistakes_while_time_passes_or_in_a_snapshot_end_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OverflowError("a mistake")

    with monkeypatch.context() as patched:
        patched.setattr(bench.detection.engine, "advance", broken)
        patched.setattr(bench.detection.engine, "snapshot", broken)
        bench.detection.advance()
        bench.detection.settle(save=True)
        said = bench.detection.trouble()
        assert any("as time passed" in sentence for sentence in said)
        assert any("cannot be written (OverflowError" in sentence for sentence in said)
    bench.take(2)
    assert bench.detection.wait(30)


def test_refusals_are_told_once_and_then_by_the_hour(bench: Bench) -> None:
    def told() -> list[int]:
        bench.detection.settle()
        return [int(each.body.split(b'"count":')[1].split(b",")[0]) for each in bench.case.said]

    for _ in range(7):
        bench.detection.refuse(bench.sender, "it is not JSON: at byte 1")
    assert told() == [7]
    for _ in range(9):
        bench.detection.refuse(bench.sender, "it is not JSON: at byte 2")
        assert told() == [7]
    bench.clock.advance(TOLD_EVERY)
    assert told() == [7, 9]
    assert bench.sender.refused == {"it is not JSON": 16}


def test_an_alert_of_hostile_text_fits_the_record(bench: Bench) -> None:
    action = Action(
        at=T0,
        agent="\u202e\x1b[2J" * 60,
        id="\x9b" + "x" * 400,
        kind="tool",
        tool="t" * 512,
        tenant="\x00" * 512,
    )
    changes = Engine(rules(bench.config), declared(bench.config)).feed([action], T0)
    (opened,) = [change for change in changes if isinstance(change, Opened)]
    keys = set()
    for change in (opened, Moved(opened.alert), Closed(opened.alert), Closed(opened.alert, "withdrawn")):
        made = alert_entry(change)
        bench.case.case.append(made).result(30)
        keys.add(made.key)
    assert len(keys) == 3
    assert b"Withdrawn" in alert_entry(Closed(opened.alert, "withdrawn")).body


def test_a_torn_line_of_the_journal_is_skipped(tmp_path: Path) -> None:
    first = Journal(tmp_path, 1)
    first.append(T0, "s", [Action(at=T0, agent="a")])
    first.close()
    with (tmp_path / "00000001.jsonl").open("ab") as file:
        file.write(b'{"received_at": 17, "sen')
    second = Journal(tmp_path, 1)
    second.append(T0 + 1, "s", [Action(at=T0 + 1, agent="b")])
    assert [line.actions[0].agent for line in second.replay()] == ["a"]
    assert second.damaged == 1
    second.close()
    third = Journal(tmp_path, 1)
    assert [line.actions[0].agent for line in third.replay()] == ["a", "b"]
    third.forget(2)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["00000002.jsonl"]
    assert Journal(tmp_path, 3).bytes == 0
    assert list(tmp_path.iterdir()) == []


def test_snapshots_are_whole(tmp_path: Path) -> None:
    one = Baselines(tmp_path / "b.db")
    saved = Saved(T0, b"engine", b"attribution", 7, {"file": b"position"})
    one.save(saved)
    one.close()
    assert Baselines(tmp_path / "b.db").load() == saved
    assert (tmp_path / "b.db").stat().st_mode & 0o777 == 0o600


def test_senders_are_bounded() -> None:
    senders = Senders()
    for number in range(2_000):
        senders.of("otlp", f"service-{number}").accepted += 1
    assert len(senders.all()) <= 501
    assert sum(sender.accepted for sender in senders.all()) == 2_000


def test_baselines_that_cannot_be_opened_now_stay_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "baselines.db"
    learnt = Saved(1, b"weeks of work", b"", 1, {})
    baselines = Baselines(path)
    baselines.save(learnt)
    baselines.close()

    def full(*_: object, **__: object) -> sqlite3.Connection:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as disk:
        disk.setattr(sqlite3, "connect", full)
        with pytest.raises(sqlite3.OperationalError):
            Baselines(path)
    again = Baselines(path)
    assert (again.load(), again.damaged) == (learnt, "")
    again.close()
