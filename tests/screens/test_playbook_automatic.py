"""Steps that run by themselves in an open console: granted, announced with a countdown, stopped with one key."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from console.runner.automatic import Automation
from data.case import Case
from data.clock import ManualClock
from data.trouble import StoreTrouble
from screens.home import HomeScreen
from screens.widgets.header import Header
from screens.widgets.strips import StripLines
from tests.runner.conftest import command, step
from tests.screens.stage import home
from tests.screens.test_evidence import form, painted
from tests.screens.test_playbook import Plays, closed, opened
from tests.screens.test_room import Opened, Stage

SECOND = 1_000_000_000


def clock_of(stage: Stage) -> ManualClock:
    clock = stage.desk.home.clock
    assert isinstance(clock, ManualClock)
    return clock


async def granted(stage: Stage) -> None:
    """Let the selected step run by itself, with keys."""
    await stage.press("J")
    await form(stage)
    await stage.press("tab")
    await stage.type("night")
    await stage.press("enter")
    await closed(stage)


async def announced(stage: Stage, plays: Plays, name: str) -> None:
    await plays.until(lambda: plays.state(name).announced is not None, f"{name} is announced")


def header(stage: Stage) -> str:
    stage.screen.show_clocks()
    return stage.screen.query_one(Header).words


@pytest.mark.req("S000-AR-1", "X-12")
async def test_it_is_announced_with_a_countdown_and_runs_once_its_time_is_over(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    async with Opened(tmp_path) as stage:
        plays = await opened(
            stage, command("clamp", "touch", str(mark), text="Clamp the tenant", automatic=True)
        )
        await granted(stage)
        await announced(stage, plays, "clamp")
        await stage.until_said("BY ITSELF in 30 s: step 1, Clamp the tenant. T stops it.")
        await stage.until(lambda: "BY ITSELF in 00:00:30, T stops" in header(stage), "the countdown")
        clock_of(stage).advance(12 * SECOND)
        assert "BY ITSELF in 00:00:18" in header(stage)
        assert not mark.exists()
        clock_of(stage).advance(18 * SECOND)
        await plays.until(lambda: plays.state("clamp").standing == "done", "it ran")
        assert mark.exists()
        (run,) = plays.state("clamp").runs
        assert (run.automatic, run.by) == (True, "automation")
        await stage.until(lambda: "BY ITSELF" not in header(stage))


@pytest.mark.req("X-12")
@pytest.mark.parametrize("typing", [False, True], ids=["T", "F12-while-typing"])
async def test_one_key_stops_it_before_it_begins(tmp_path: Path, *, typing: bool) -> None:
    mark = tmp_path / "mark"
    async with Opened(tmp_path) as stage:
        plays = await opened(stage, command("clamp", "touch", str(mark), automatic=True), step("look"))
        await granted(stage)
        await announced(stage, plays, "clamp")
        await plays.choose("look")
        if typing:
            await stage.press("i", *"no", "f12")
        else:
            await stage.press("T")
        if not typing:
            await stage.until_said("does not run by itself: step 1, Do clamp")
        await plays.until(lambda: plays.state("clamp").announced is None)
        await stage.until(lambda: "BY ITSELF" not in header(stage))
        clock_of(stage).advance(60 * SECOND)
        await stage.until(lambda: not stage.console.playing._tended, "nobody tends it any more")
        assert plays.state("clamp").runs == []
        assert not mark.exists()


@pytest.mark.req("S000-AR-2", "X-12")
async def test_recovery_at_sev_1_waits_for_a_person(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        assert stage.room.incident.severity == 1
        plays = await opened(stage, step("look"), recovery=[command("back", "true", automatic=True)])
        await plays.choose("back")
        await stage.press("J")
        asked = await form(stage)
        await stage.press("tab")
        await stage.type("night")
        await stage.press("enter")
        await stage.until(lambda: "waits for a person" in asked.query_one("#form-says", StripLines).words)
        assert plays.player.plays.grants == {}


async def test_what_the_playbook_does_not_let_run_by_itself_is_not_granted(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await opened(stage, command("clamp", "true"))
        await stage.press("J")
        await stage.until_said("The playbook does not let this step run by itself.")


async def test_it_goes_on_when_the_incident_is_left_and_is_announced_there_too(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    async with Opened(tmp_path) as stage:
        plays = await opened(stage, command("clamp", "touch", str(mark), automatic=True))
        code, clock = stage.room.code, clock_of(stage)
        await granted(stage)
        await announced(stage, plays, "clamp")
        await stage.press("less_than_sign")
        await stage.until(lambda: isinstance(stage.console.screen, HomeScreen))
        clock.advance(31 * SECOND)
        await stage.until(mark.exists, "it ran")
        await stage.until(lambda: not stage.console.playing.busy)
        room = await stage.desk.enter(code)
        await room.refresh()
        state = room.incident.plays.step("test", "clamp")
        assert state is not None
        assert state.standing == "done"


async def test_what_is_in_the_way_is_said_once_in_words_and_it_runs_when_that_is_gone(tmp_path: Path) -> None:
    values = ({"name": "who", "ask": "Who?"},)
    async with Opened(tmp_path) as stage:
        plays = await opened(stage, command("clamp", "echo", "{who}", automatic=True), values=values)
        await granted(stage)
        await stage.until_said("step 1, Do clamp does not run by itself: who is not filled in.")
        await plays.player.fill("who", "acme")
        await announced(stage, plays, "clamp")
        assert "BY ITSELF" in painted(plays.pane) or header(stage)


async def test_another_process_that_sees_to_it_is_left_alone(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        plays = await opened(stage, command("clamp", "true", automatic=True))
        other = Automation(plays.player)
        await plays.player.grant(["clamp"], clock_of(stage).now() + 3600 * SECOND, "night")
        await other.tend()
        await announced(stage, plays, "clamp")
        clock_of(stage).advance(30 * SECOND)
        await stage.until(lambda: bool(stage.console.playing._tended), "the screen looks too")
        await other.tend()
        await plays.until(lambda: plays.state("clamp").standing == "done")
        assert len(plays.state("clamp").runs) == 1
        await other.leave()


async def test_leaving_the_console_ends_what_runs_by_itself_and_records_its_end(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    place = Opened(tmp_path)
    async with place as stage:
        script = f"echo $$ > {mark}; exec sleep 600"
        plays = await opened(stage, command("clamp", "/bin/sh", "-c", script, automatic=True))
        await granted(stage)
        await announced(stage, plays, "clamp")
        clock_of(stage).advance(30 * SECOND)
        await stage.until(lambda: mark.exists() and bool(mark.read_text().strip()), "it runs")
        await stage.until(lambda: "BY ITSELF, T stops" in header(stage))
        pid = int(mark.read_text())
        code = stage.room.code
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    from console.desk import Desk

    desk = await Desk.open(home(tmp_path), "ana")
    try:
        state = (await desk.enter(code)).incident.plays.step("test", "clamp")
        assert state is not None
        assert [run.outcome for run in state.runs] == ["cancelled"]
    finally:
        await desk.close()


async def test_what_keeps_it_from_running_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = 0

    def full(*_: object, **__: object) -> Case:
        nonlocal tried
        tried += 1
        raise StoreTrouble("The disk is full.", "Nothing is lost.", "Make room.")

    async with Opened(tmp_path) as stage:
        plays = await opened(stage, command("clamp", "true", automatic=True))
        with monkeypatch.context() as broken:
            broken.setattr(Case, "open", full)
            await granted(stage)
            await stage.until_said("Nothing runs by itself: The disk is full.")
            stage.screen.say("read and understood")
            first = tried
            for number in range(3):
                await stage.room.note(f"note {number}")
            await stage.until(lambda: tried > first, "it is tried again")
            await stage.pilot.pause()
            assert stage.said == "read and understood"
        await stage.room.note("there is room again")
        await announced(stage, plays, "clamp")
