"""What runs by itself: within a grant, announced, stoppable, and never in the worst recovery."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from console.desk import Desk
from console.refusal import Refused
from console.room import Room
from console.runner.automatic import Automation
from console.runner.player import SECOND, Player, Settings
from data.clock import ManualClock
from data.home import Home
from tests.room.strand import T0
from tests.runner.conftest import Server, book, command, shell, step, until
from tests.runner.test_run import alive, pid_in, standing

HOUR = 3600 * SECOND


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T0)


@pytest.fixture
async def desk(tmp_path: Path, clock: ManualClock) -> Any:
    opened = await Desk.open(Home.open(tmp_path / "home", clock=clock), "ana")
    yield opened
    await opened.close()


@pytest.fixture
def player(room: Room, desk: Desk) -> Player:
    return Player(room, desk.home.replica, Settings(announce=30 * SECOND))


def announced_at(player: Player, name: str) -> int | None:
    """When a step will run by itself, ns UTC."""
    announced = player.step(name)[1].announced
    return announced[0] if announced is not None else None


async def tended(automation: Automation, player: Player, name: str, wanted: str) -> None:
    """Look again and again, as a console does, until a step stands as wanted."""
    while standing(player, name) != wanted:
        await automation.tend()
        await asyncio.sleep(0.01)


@pytest.mark.req("S000-AR-1", "X-12", "S000-PD-2")
async def test_a_granted_step_is_announced_then_runs_once_then_is_recorded(
    player: Player, clock: ManualClock, room: Room
) -> None:
    await player.open(book(command("contain", "echo", "contained", automatic=True)))
    automation = Automation(player)
    await automation.tend()
    assert announced_at(player, "contain") is None, "without a grant nothing happens"
    await player.grant(["contain"], T0 + HOUR, "one tenant loops at night")
    await automation.tend()
    assert announced_at(player, "contain") == T0 + 30 * SECOND
    clock.advance(29 * SECOND)
    await automation.tend()
    assert player.plays.runs == {}
    clock.advance(SECOND)
    await tended(automation, player, "contain", "done")
    (run,) = player.plays.runs.values()
    assert (run.automatic, run.by, run.outcome) == (True, "automation", "done")
    assert len(room.incident.exhibits) == 1
    await player.mark("contain", "open")
    await automation.tend()
    assert len(player.plays.runs) == 1, "nothing repeats itself"
    await automation.leave()


@pytest.mark.req("X-12")
async def test_it_is_stopped_until_it_begins_and_while_it_runs(
    player: Player, clock: ManualClock, tmp_path: Path
) -> None:
    mark = tmp_path / "pid"
    await player.open(book(shell("contain", f"echo $$ > {mark}; sleep 600", automatic=True)))
    automation = Automation(player)
    await player.grant(["contain"], T0 + HOUR, "night")
    await automation.tend()
    await player.withdraw()
    clock.advance(60 * SECOND)
    await automation.tend()
    assert player.plays.runs == {}
    await player.grant(["contain"], T0 + HOUR, "night, again")
    await automation.tend()
    clock.advance(30 * SECOND)
    await automation.tend()
    pid = await pid_in(mark)
    await player.withdraw(reason="that is the wrong tenant")
    await until(lambda: not automation.busy)
    (run,) = player.plays.runs.values()
    assert run.outcome == "cancelled"
    assert "withdrawn" in run.note
    assert not alive(pid)
    await automation.leave()


@pytest.mark.req("S000-AR-2", "X-12")
async def test_recovery_at_sev_1_never_runs_by_itself_even_if_it_was_granted_before(
    player: Player, clock: ManualClock, room: Room
) -> None:
    await player.open(book(recovery=[command("fallback", "true", automatic=True)]))
    automation = Automation(player)
    await player.grant(["fallback"], T0 + HOUR, "lighter model")
    await automation.tend()
    await room.set_severity(1, "SEV-1")
    clock.advance(30 * SECOND)
    await automation.tend()
    assert player.plays.runs == {}
    with pytest.raises(Refused, match="waits for a person"):
        await player.grant(["fallback"], T0 + HOUR, "lighter model")
    await automation.leave()


@pytest.mark.req("S000-AR-1")
@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({}, "needs a person"),
        ({"automatic": True, "destroys_evidence": True}, "destroys evidence"),
    ],
)
async def test_what_must_not_run_by_itself_is_not_granted(
    player: Player, more: dict[str, Any], why: str
) -> None:
    await player.open(book(command("act", "true", **more)))
    with pytest.raises(Refused, match=why):
        await player.grant(["act"], T0 + HOUR, "night")


@pytest.mark.req("S000-AR-1")
async def test_a_document_that_reaches_everything_is_not_believed(player: Player, room: Room) -> None:
    """The library refuses such a step; a record from outside may hold one."""
    from console import events as ev
    from console.runner.document import digest_of, text_of

    text = text_of(book(command("act", "true", automatic=True))).replace('"one tenant"', '"everything"')
    await room.record(ev.PlaybookOpened("test", "t", "1", digest_of(text), text))
    with pytest.raises(Refused, match="reaches everything"):
        await player.grant(["act"], T0 + HOUR, "night")


async def test_a_grant_ends_and_holds_on_one_console_and_in_one_process(
    player: Player, clock: ManualClock, tmp_path: Path
) -> None:
    await player.open(book(command("act", "true", automatic=True)))
    with pytest.raises(Refused, match="up to a day"):
        await player.grant(["act"], T0 + 25 * HOUR, "for ever")
    await player.grant(["act"], T0 + HOUR, "night")
    first, second = Automation(player), Automation(player)
    await first.tend()
    await second.tend()
    clock.advance(30 * SECOND)
    await second.tend()
    assert not second.busy, "another process of this console sees to it"
    other = Automation(Player(player.room, "f" * 32))
    assert not other.waiting, "another console has no grant"
    clock.advance(HOUR)
    await first.tend()
    assert player.plays.runs == {}, "its time is over"
    await first.leave()


async def test_an_announcement_that_nobody_remembers_is_made_again(
    player: Player, clock: ManualClock
) -> None:
    await player.open(book(command("act", "true", automatic=True)))
    await player.grant(["act"], T0 + HOUR, "night")
    automation = Automation(player)
    await automation.tend()
    clock.advance(600 * SECOND)
    await automation.tend()
    assert player.plays.runs == {}
    assert announced_at(player, "act") == T0 + 630 * SECOND
    await automation.leave()


async def test_what_is_in_the_way_is_said(player: Player, clock: ManualClock) -> None:
    values = ({"name": "who", "ask": "Who?"},)
    await player.open(book(command("act", "echo", "{who}", automatic=True), values=values))
    await player.grant(["act"], T0 + HOUR, "night")
    automation = Automation(player)
    await automation.tend()
    assert "act does not run by itself: who is not filled in" in str(automation.trouble)
    await automation.leave()


async def test_what_cannot_begin_when_it_is_due_is_said_once_and_runs_when_it_can(
    player: Player, clock: ManualClock, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLAG_TOKEN", raising=False)
    http = {"method": "POST", "url": f"{server.url}/off", "headers": {"Authorization": "env:FLAG_TOKEN"}}
    await player.open(book(step("flip", http=http, automatic=True)))
    await player.grant(["flip"], T0 + HOUR, "night")
    automation = Automation(player)
    said: list[str] = []
    attending = asyncio.ensure_future(automation.attend(lambda trouble: said.append(str(trouble or ""))))
    await until(lambda: announced_at(player, "flip") is not None)
    clock.advance(30 * SECOND)
    await until(lambda: bool(said))
    assert "flip does not run by itself: The header Authorization needs FLAG_TOKEN" in said[0]
    tends = 0
    tend = automation.tend

    async def counted() -> None:
        nonlocal tends
        await tend()
        tends += 1

    monkeypatch.setattr(automation, "tend", counted)
    await until(lambda: tends >= 3)
    assert len(said) == 1, "it is tried again, and not said again"
    assert player.plays.runs == {}
    monkeypatch.setenv("FLAG_TOKEN", "secret")
    await until(lambda: standing(player, "flip") == "done")
    assert [taken.path for taken in server.taken] == ["/off"]
    await player.withdraw()
    await attending
    assert said[1:] in ([], [""])
    await automation.leave()


async def test_what_an_earlier_process_announced_is_announced_again_before_it_runs(
    player: Player, clock: ManualClock
) -> None:
    """Whoever ends a console while it counts down, and opens it again, must be able to stop what comes."""
    await player.open(book(command("act", "true", automatic=True)))
    await player.grant(["act"], T0 + HOUR, "night")
    gone = Automation(player)
    await gone.tend()
    await gone.leave()
    clock.advance(31 * SECOND)
    automation = Automation(player)
    await automation.tend()
    assert not automation.busy
    assert announced_at(player, "act") == T0 + 61 * SECOND
    clock.advance(30 * SECOND)
    await tended(automation, player, "act", "done")
    await automation.leave()


@pytest.mark.req("X-12")
async def test_what_was_announced_before_the_machine_slept_is_announced_again_when_it_wakes(
    player: Player, clock: ManualClock
) -> None:
    """The countdown went on while the screen was dark: whoever opens the lid must be able to stop what comes."""
    machine = ManualClock(T0)
    await player.open(book(command("act", "true", automatic=True)))
    await player.grant(["act"], T0 + HOUR, "night")
    automation = Automation(player, machine=machine)
    await automation.tend()
    for each in (clock, machine):
        each.advance(35 * SECOND)
    await automation.tend()
    assert not automation.busy
    assert player.plays.runs == {}
    assert announced_at(player, "act") == T0 + 65 * SECOND
    clock.advance(30 * SECOND)
    await tended(automation, player, "act", "done")
    await automation.leave()
