"""The playbooks of an incident, with keys, on a real record and with real programs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Label

from console.desk import Desk
from console.runner.player import Player
from console.runner.state import Run, StepState
from data.home import Home
from playbooks.response import Playbook
from screens.dialogs.form import Form
from screens.home import HomeScreen
from screens.room import RoomScreen
from screens.widgets.playbook import PlaybookPane
from screens.widgets.sheet import Sheet
from screens.widgets.strips import StripLines
from screens.widgets.timeline import Timeline
from tests.runner.conftest import book, command, step
from tests.screens.stage import HOSTILE, app, ready, until
from tests.screens.test_evidence import form, page_says, painted
from tests.screens.test_looks import SIZES, fixed  # noqa: F401 - a fixture
from tests.screens.test_room import Opened, Stage

VALUES = ({"name": "flag", "ask": "Which flag?", "pattern": "[a-z]+", "example": "refunds"},)


def program(script: str, *more: str) -> tuple[str, ...]:
    """A program of our own."""
    return (sys.executable, "-c", script, *more)


class Plays:
    """The playbook pane of a stage, and what a test asks of it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    @property
    def pane(self) -> PlaybookPane:
        return self.stage.screen.query_one(PlaybookPane)

    @property
    def player(self) -> Player:
        return self.stage.console.playing.player(self.stage.room)

    def state(self, step: str) -> StepState:
        found = self.stage.room.incident.plays.step("test", step)
        assert found is not None
        return found

    @property
    def here(self) -> str:
        """The step under the cursor."""
        return self.pane.selected.step if self.pane.selected is not None else ""

    async def choose(self, step: str) -> None:
        await self.stage.until(lambda: self.pane.choose("test", step), f"{step} is on the pane")

    async def until(self, condition: Any, what: str = "") -> None:
        await self.stage.until(condition, what)


async def opened(stage: Stage, *steps: dict[str, Any], **more: Any) -> Plays:
    """Open a playbook with these steps of mitigation."""
    books: tuple[Playbook, ...] = (book(*steps, **more), book(step("other"), id="second"))
    stage.console.playing._library = books
    plays = Plays(stage)
    await stage.press("6")
    await stage.until(lambda: plays.pane.choose("test"), "the library")
    await stage.press("O")
    await stage.until(lambda: any(row.kind == "step" for row in plays.pane.all_rows), "the playbook is open")
    return plays


async def shown(stage: Stage) -> str:
    """Return what a form shows before it asks."""
    await form(stage)
    sheet = stage.console.screen.query_one("#form-shown", Sheet)
    await stage.until(lambda: sheet.count > 0)
    return " ".join(f"{line.label} {line.text}" for line in sheet.all_rows)


async def closed(stage: Stage) -> None:
    await stage.until(lambda: isinstance(stage.console.screen, RoomScreen), "the dialog is gone")


async def test_the_shipped_library_is_offered_what_fits_first_with_the_reason(tmp_path: Path) -> None:
    async with Opened(tmp_path, size=(120, 50)) as stage:
        await stage.press("6")
        pane = Plays(stage).pane
        await stage.until(lambda: any(row.kind == "book" for row in pane.all_rows), "the library")
        headings = [row.text for row in pane.all_rows if row.kind == "heading"]
        assert headings == ["PROPOSED", "LIBRARY"]
        proposed = next(row for row in pane.all_rows if row.kind == "book")
        assert "tripwire" in proposed.text
        assert "fired" in proposed.text or "trigger" in proposed.text
        await stage.press("enter")
        await page_says(stage, "proposed", "O opens it")
        await stage.press("O")
        await stage.until(lambda: proposed.playbook in stage.room.incident.plays.opened)
        assert stage.room.incident.plays.opened[proposed.playbook].why in proposed.text


async def test_a_playbook_is_worked_through_beside_the_timeline(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        plays = await opened(
            stage, step("look", verify="The graph is flat"), step("mend"), post=[step("learn")]
        )
        text = painted(plays.pane)
        for words in ("Playbook test", "MITIGATION", "POST", "[ ] →1 Do look", "[ ]  2 Do mend", "0/3"):
            assert words in text
        assert stage.timeline.is_on_screen
        assert plays.here == "look"
        await stage.press("space")
        assert "The graph is flat" in await shown(stage)
        await stage.type("graph 12")
        await stage.press("enter")
        await closed(stage)
        await plays.until(lambda: plays.state("look").standing == "done")
        assert plays.state("look").evidence == "graph 12"
        await plays.choose("mend")
        await stage.press("minus")
        await form(stage)
        await stage.type("another team")
        await stage.press("enter")
        await closed(stage)
        await plays.until(lambda: plays.state("mend").standing == "not_applicable")
        await plays.choose("learn")
        await stage.press("w")
        await form(stage)
        await stage.press("enter")
        assert isinstance(stage.console.screen, Form), "a reason is needed"
        await stage.type("no time")
        await stage.press("enter")
        await closed(stage)
        await plays.until(lambda: plays.state("learn").standing == "waived")
        await plays.until(lambda: "[w]" in painted(plays.pane) and "3/3" in painted(plays.pane))
        await stage.press("space")
        await plays.until(lambda: plays.state("learn").standing == "open", "open again")
        await stage.press("2")
        assert plays.pane.is_on_screen, "the timeline has the keys, and the playbook stays beside it"
        await stage.press("1")
        await plays.until(lambda: not plays.pane.is_on_screen)


@pytest.mark.req("S002-SN-16")
async def test_nothing_runs_before_its_values_are_there_and_it_was_confirmed(tmp_path: Path) -> None:
    script = "import sys; open(sys.argv[1], 'w').write(sys.argv[2]); print('turned', sys.argv[2])"
    target = tmp_path / "flag"
    flip = command(
        "flip", *program(script, str(target), "{flag}"), dry=program("print('would turn {flag}')"),
        expect="The flag is off", verify="It reads off", text="Turn {flag} off",
    )  # fmt: skip
    async with Opened(tmp_path) as stage:
        plays = await opened(stage, flip, values=VALUES)
        assert "values missing" in painted(plays.pane)
        await stage.press("greater_than_sign")
        await stage.until_said("flag is not filled in. = fills in")
        assert isinstance(stage.console.screen, RoomScreen)
        await stage.press("equals_sign")
        await form(stage)
        await stage.type("Refunds")
        await stage.press("enter")
        await stage.until(lambda: "no flag" in stage.console.screen.query_one("#form-says", StripLines).words)
        await stage.press(*["backspace"] * 7)
        await stage.type("refunds")
        await stage.press("enter")
        await closed(stage)
        await plays.until(lambda: "Turn refunds off" in painted(plays.pane))
        await stage.press("p")
        await plays.until(lambda: plays.state("flip").rehearsed is not None, "the dry run")
        assert not target.exists()
        await stage.until(lambda: not stage.console.playing.busy)
        await stage.press("greater_than_sign")
        text = await shown(stage)
        for words in ("refunds", "The flag is off", "It reads off", "one tenant"):
            assert words in text
        assert not target.exists()
        await stage.press("escape")
        await closed(stage)
        assert not target.exists()
        await stage.press("greater_than_sign")
        await form(stage)
        await stage.press("enter")
        await closed(stage)
        await plays.until(lambda: plays.state("flip").standing == "done", "the run")
        assert target.read_text() == "refunds"
        await stage.until_said("for real done, exit 0")
        await stage.press("enter")
        await page_says(stage, "turned refunds", "for real", "exit 0")


async def test_what_a_program_prints_is_shown_as_it_comes_and_is_inert(tmp_path: Path) -> None:
    go = tmp_path / "go"
    words = "\n".join(HOSTILE[name] for name in ("sgr", "title", "markup", "bidi"))
    script = (
        "import os, sys, time\nprint(sys.argv[2], flush=True)\n"
        "while not os.path.exists(sys.argv[1]): time.sleep(0.01)\nprint('over')"
    )
    async with Opened(tmp_path) as stage:
        plays = await opened(stage, command("print", *program(script, str(go), words)))
        await stage.press("greater_than_sign")
        await form(stage)
        await stage.press("enter")
        await closed(stage)
        sheet = stage.screen.query_one("#step", Sheet)
        await stage.until(
            lambda: any(line.text.startswith("│ ␛[41mred") for line in sheet.all_rows), "it prints"
        )
        await plays.until(lambda: "RUNS" in painted(plays.pane))
        assert "\x1b" not in painted(sheet)
        assert "1 running" in str(plays.pane.border_subtitle)
        await stage.press("i", *"free", "enter")
        await stage.until_said("free")
        go.touch()
        await plays.until(lambda: plays.state("print").standing == "done", "the run")


async def test_a_run_goes_on_when_the_screen_and_the_incident_are_left(tmp_path: Path) -> None:
    go = tmp_path / "go"
    script = "import os, sys, time\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)"
    async with Opened(tmp_path) as stage:
        await opened(stage, command("slow", *program(script, str(go))))
        first = stage.room.code
        await stage.press("greater_than_sign")
        await form(stage)
        await stage.press("enter")
        await closed(stage)
        await stage.until(lambda: stage.room.incident.plays.step("test", "slow").running is not None)  # type: ignore[union-attr]
        await stage.press("less_than_sign")
        await stage.until(lambda: isinstance(stage.console.screen, HomeScreen))
        await stage.desk.declare("another one", 3)
        assert stage.room.code != first
        assert stage.console.playing.busy
        go.touch()
        await stage.until(lambda: not stage.console.playing.busy, "it ended")
        room = await stage.desk.enter(first)
        state = room.incident.plays.step("test", "slow")
        assert state is not None
        assert state.standing == "done"


async def test_a_run_is_stopped_with_one_key_and_what_became_of_it_is_asked(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        plays = await opened(stage, command("long", *program("import time; time.sleep(60)")))
        await stage.press("greater_than_sign")
        await form(stage)
        await stage.press("enter")
        await closed(stage)
        await plays.until(lambda: plays.state("long").running is not None, "it runs")
        await stage.press("T")
        await plays.until(lambda: plays.state("long").standing == "unclear", "it was stopped")
        await plays.until(lambda: "UNKNOWN EFFECT" in painted(plays.pane))
        await stage.press("greater_than_sign")
        assert isinstance(stage.console.screen, RoomScreen), "it does not run again before a person looked"
        await stage.press("u")
        await form(stage)
        await stage.press("n", "tab")
        await stage.type("still on")
        await stage.press("enter")
        await closed(stage)
        await plays.until(lambda: plays.state("long").standing not in ("unclear", "running"))
        assert plays.state("long").runs[-1].word == "not"


@pytest.mark.req("X-17")
async def test_what_destroys_evidence_asks_for_its_snapshot_and_then_for_its_name(tmp_path: Path) -> None:
    wipe = command("wipe", "true", destroys_evidence=True, snapshot="copy")
    async with Opened(tmp_path) as stage:
        plays = await opened(stage, command("copy", "true"), wipe)
        await plays.choose("wipe")
        assert "snapshot first: 1" in painted(plays.pane)
        await stage.press("greater_than_sign")
        await stage.until_said("Snapshot first: step 1")
        await plays.choose("copy")
        await stage.press("greater_than_sign")
        await form(stage)
        await stage.press("enter")
        await closed(stage)
        await plays.until(lambda: plays.state("copy").standing == "done", "the copy")
        await plays.choose("wipe")
        await stage.press("greater_than_sign")
        assert "gone for good" in await shown(stage)
        await stage.type("wip")
        await stage.press("enter")
        await stage.until(
            lambda: "Type wipe" in stage.console.screen.query_one("#form-says", StripLines).words
        )
        assert not plays.state("wipe").runs
        await stage.type("e")
        await stage.press("enter")
        await closed(stage)
        await plays.until(lambda: plays.state("wipe").standing == "done", "the wipe")


async def test_a_step_that_needs_approval_says_who_can_and_runs_once_it_is_there(tmp_path: Path) -> None:
    ask = command("restart", "true", approval=[1], approvers=["ic"])
    async with Opened(tmp_path) as stage:
        plays = await opened(stage, ask)
        assert "needs approval" in painted(plays.pane)
        await stage.press("greater_than_sign")
        await stage.until_said("needs approval at SEV-1 by ic. ana (ic) can. Y approves.")
        await stage.press("Y")
        assert "true" in await shown(stage)
        await stage.press("enter")
        await closed(stage)
        await plays.until(lambda: len(plays.state("restart").approvals) == 1)
        await plays.until(lambda: "needs approval" not in painted(plays.pane))
        await stage.press("greater_than_sign")
        await form(stage)
        await stage.press("enter")
        await closed(stage)
        await plays.until(lambda: plays.state("restart").standing == "done")


async def test_a_decision_is_answered_with_a_reason_and_nothing_is_chosen_by_accident(tmp_path: Path) -> None:
    options = [{"id": "yes", "text": "Go on"}, {"id": "no", "text": "Turn round", "then": "last"}]
    which = step("which", decision={"question": "Is it contained?", "options": options})
    async with Opened(tmp_path) as stage:
        plays = await opened(stage, which, step("skipped"), step("last"))
        await stage.press("greater_than_sign")
        await stage.until_said("This step runs nothing: Q decides.")
        await stage.press("space")
        asked = await form(stage)
        assert asked.values["option"] == ""
        await stage.press("tab")
        await stage.type("still rising")
        await stage.press("enter")
        assert isinstance(stage.console.screen, Form), "nothing was chosen"
        assert asked.focused is asked.query_one("#field-option")
        await stage.press("enter")
        await stage.until(lambda: "Choose one" in asked.query_one("#form-says", StripLines).words)
        await stage.press("2", "enter")
        await closed(stage)
        await plays.until(lambda: plays.state("which").option == "no")
        assert plays.state("which").reason == "still rising"
        await stage.until_said("decided: Turn round")
        assert plays.here == "last", "the cursor goes on where the answer leads"


async def test_what_was_said_about_a_step_is_in_words_and_the_cursor_goes_on(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        plays = await opened(stage, step("look", text="Look at the rate"), command("mend", "true"))
        await stage.until_said("Playbook test is open")
        await stage.press("space")
        await form(stage)
        await stage.press("enter")
        await closed(stage)
        await stage.until_said("step 1, Look at the rate: done")
        assert plays.here == "mend"
        await plays.choose("look")
        await stage.press("n")
        assert plays.here == "mend"
        await stage.press("greater_than_sign")
        await form(stage)
        await stage.press("enter")
        await closed(stage)
        await plays.until(lambda: plays.state("mend").standing == "done", "the run")
        assert plays.here == "mend", "what it printed stays in sight"
        await stage.press("n")
        await stage.until_said("Nothing is left to do in Playbook test")


async def test_a_step_that_is_worked_out_of_turn_leads_to_the_one_below_it(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        plays = await opened(stage, step("first"), step("second"), step("third"))
        await plays.choose("second")
        await stage.press("space")
        await form(stage)
        await stage.press("enter")
        await closed(stage)
        await stage.until_said("step 2, Do second: done")
        assert plays.here == "third"
        await plays.choose("second")
        await stage.press("n")
        assert plays.here == "third", "n goes on below what is settled"
        await stage.press("n")
        assert plays.here == "first", "and from an open one to what is due"
        await plays.choose("third")
        await stage.press("space")
        await form(stage)
        await stage.press("enter")
        await closed(stage)
        await stage.until_said("step 3, Do third: done")
        assert plays.here == "first", "past the last, what was left open is due"


@pytest.mark.parametrize("size", SIZES)
async def test_what_a_run_came_to_is_read_in_the_narrowest_room(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with Opened(tmp_path, size=size) as stage:
        words = "Ask the gateway for each of the keys that the agent may hold, one by one"
        await opened(stage, command("ask", "false", text=words))
        await stage.press("greater_than_sign")
        await form(stage)
        await stage.press("enter")
        await closed(stage)
        await stage.until_said("for real failed, exit 1")
        assert "for real failed, exit 1" in stage.screen.query_one("#said", StripLines).render_line(0).text


async def test_what_the_engine_refuses_is_said_with_keys(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        plays = await opened(
            stage, command("wipe", "true", destroys_evidence=True, snapshot="copy"), step("copy")
        )
        await stage.press("space")
        asked = await form(stage)
        await stage.press("enter")
        await stage.until(lambda: "w there waives it" in asked.query_one("#form-says", StripLines).words)
        assert "warroom" not in asked.query_one("#form-says", StripLines).words
        await stage.press("escape")
        await closed(stage)
        assert plays.state("wipe").standing == "open"


async def test_a_fault_in_a_run_is_said_and_its_effect_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from console.runner import run

    async def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("no such luck")

    async with Opened(tmp_path) as stage:
        plays = await opened(stage, command("mend", "true"))
        monkeypatch.setattr(run, "command", broken)
        await stage.press("greater_than_sign")
        await form(stage)
        await stage.press("enter")
        await closed(stage)
        await plays.until(lambda: plays.state("mend").standing == "unclear", "nobody knows")
        await stage.until_said("UNKNOWN EFFECT: step 1, Do mend")
        assert not stage.console.playing.busy


async def test_a_run_whose_effect_nobody_knows_is_the_first_thing_one_sees(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        plays = await opened(stage, step("look"), command("cut", "true"))
        from console.events import StepStarted

        await stage.room.record(StepStarted("test", "cut", "f00d" * 4, 1, False, False, ("true",)))
        code = stage.room.code
        await stage.desk.declare("another one", 3)
        await stage.desk.enter(code)
        stage.screen.show_state()
        await plays.until(lambda: plays.state("cut").standing == "unclear", "it was found")
        await stage.until_said("UNKNOWN EFFECT: step 2, Do cut")
        assert plays.here == "cut"
        assert plays.pane.has_focus
        assert "1 UNKNOWN" in painted(plays.pane)


async def test_only_lines_in_sight_ask_what_is_in_the_way_and_they_follow_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [command(f"act-{place}", "echo", "{flag}") for place in range(60)]
    async with Opened(tmp_path) as stage:
        plays = await opened(stage, *steps, values=VALUES)
        await plays.until(lambda: "values missing" in painted(plays.pane))
        asked: list[str] = []
        hindrances = Player.hindrances

        def counted(self: Player, play: Any, state: StepState, **how: Any) -> Any:
            asked.append(state.step.id)
            return hindrances(self, play, state, **how)

        monkeypatch.setattr(Player, "hindrances", counted)
        stage.screen.show_state()
        assert 0 < len(set(asked)) <= plays.pane.height + 1
        await stage.console.playing.player(stage.room).fill("flag", "refunds")
        await plays.until(lambda: "values missing" not in painted(plays.pane), "the lines in sight follow")
        await plays.choose("act-59")
        await plays.until(
            lambda: "ops command" in painted(plays.pane).splitlines()[-1], "and those that come"
        )


@pytest.mark.parametrize(
    ("size", "beside", "detail"),
    [((80, 24), False, "#step"), ((120, 40), True, "#step"), ((200, 50), True, "#detail")],
)
async def test_the_pane_fits_every_size(
    tmp_path: Path, size: tuple[int, int], beside: bool, detail: str
) -> None:
    async with Opened(tmp_path, size=size) as stage:
        plays = await opened(stage, step("look"), command("mend", "true"))
        await plays.until(lambda: plays.pane.is_on_screen)
        assert stage.timeline.is_on_screen == beside
        sheet = stage.screen.query_one(detail, Sheet)
        await plays.until(lambda: sheet.is_on_screen and "Do look" in painted(sheet), "what the step says")
        for name in ("header", "box", "hints"):
            assert stage.screen.query_one(f"#{name}").is_on_screen
        row = next(place for place, each in enumerate(plays.pane.all_rows) if each.step == "mend")
        await stage.pilot.click(plays.pane, offset=(8, row - plays.pane.top + 1))
        await plays.until(lambda: plays.pane.selected is not None and plays.here == "mend")
        await stage.pilot.click(plays.pane, offset=(8, row - plays.pane.top + 1))
        await page_says(stage, "for real", "true")


async def test_leaving_the_console_ends_what_runs_and_records_its_end(tmp_path: Path) -> None:
    place = Opened(tmp_path)
    async with place as stage:
        plays = await opened(stage, command("long", *program("import time; time.sleep(60)")))
        await stage.press("greater_than_sign")
        await form(stage)
        await stage.press("enter")
        await closed(stage)
        await plays.until(lambda: plays.state("long").running is not None, "it runs")
        await stage.press("ctrl+q")
        assert "runs on this console" in str((await form(stage)).query(Label).first().content)
        await stage.press("escape")
        await closed(stage)
        room = stage.room
    desk = await Desk.open(place.home, "ana")
    try:
        again = await desk.enter(room.code)
        state = again.incident.plays.step("test", "long")
        assert state is not None
        assert state.runs[-1].outcome == "cancelled"
        assert state.standing == "unclear"
    finally:
        await desk.close()


async def test_a_wait_is_attended_again_when_the_incident_is_opened_again(tmp_path: Path) -> None:
    go = tmp_path / "go"
    check = {"argv": ["test", "-e", str(go)]}
    calm = step("calm", wait={"until": "it is calm", "every": "1 s", "check": check})
    place = Opened(tmp_path)
    async with place as stage:
        plays = await opened(stage, calm)
        await stage.press("greater_than_sign")
        await form(stage)
        await stage.press("enter")
        await closed(stage)
        await plays.until(lambda: plays.state("calm").running is not None, "it waits")
    async with app(place.home).run_test(size=(120, 40)) as pilot:
        stage = Stage(pilot, await ready(pilot))
        assert Plays(stage).state("calm").running is not None, "leaving ends no wait"
        await until(pilot, lambda: stage.console.playing.busy, "it is attended again")
        assert stage.console.playing.unattended(stage.room) == []
        go.touch()
        await until(pilot, lambda: Plays(stage).state("calm").standing == "done", "it is over")


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("view", ["playbook"])
def test_looks(
    fixed: Home,  # noqa: F811 - the fixture
    snap_compare: Callable[..., bool],
    view: str,
    size: tuple[int, int],
) -> None:
    async def arrange(pilot: Pilot[Any]) -> None:
        console = await ready(pilot)
        await until(pilot, lambda: console.screen.query_one(Timeline).selected is not None)
        stage = Stage(pilot, console)
        wipe = command("wipe", "true", destroys_evidence=True, snapshot="copy", text="Empty the queue")
        plays = await opened(
            stage,
            step("look", text="Look at the rate of refunds", verify="Twice the usual rate"),
            command("flip", "flags", "off", "{flag}", text="Turn {flag} off", expect="No refund goes out"),
            command("copy", "true", role="scribe", text="Keep a copy of the queue"),
            wipe,
            values=VALUES,
        )
        assert stage.console.desk is not None
        await stage.console.playing.player(stage.room).mark("look", "done", evidence="graph 12")
        await plays.until(lambda: "[x]" in painted(plays.pane))
        await plays.choose("flip")
        stage.screen.say("")
        await pilot.pause()

    assert snap_compare(app(fixed), terminal_size=size, run_before=arrange)


async def test_what_a_step_does_on_the_record_needs_the_same_authority_as_by_hand(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        plays = await opened(stage, step("freeze", role="comms", action={"verb": "freeze_changes"}))
        stage.room.actor, stage.room.authority = "dee", {"change-freeze": ("olga",)}
        over: list[Exception | Run] = []
        stage.console.playing.run(stage.desk.home, stage.room, "test", "freeze", over.append, real=True)
        await stage.until(lambda: bool(over), "it is over")
        await plays.until(lambda: not plays.state("freeze").runs[-1].running)
        (run,) = plays.state("freeze").runs
        assert (run.outcome, stage.room.incident.plays.freezes) == ("failed", {})
        assert "olga" in run.note


async def test_a_screen_that_waits_for_a_dialog_to_close_takes_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("S")
        await form(stage)
        console, asked = stage.console, list[int]()
        show = console._show

        def counted(kind: type[HomeScreen]) -> None:
            asked.append(1)
            show(kind)

        monkeypatch.setattr(console, "_show", counted)
        console.show_home()
        for _ in range(20):
            await stage.pilot.pause()
        assert len(asked) == 1
        await stage.press("escape")
        await stage.until(
            lambda: isinstance(console.screen, HomeScreen), "it is shown once the dialog is gone"
        )
