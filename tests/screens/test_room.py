"""The flows of the room, with keys, on a real record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Label

from console.desk import Desk
from console.events import CheckState
from console.refusal import Refused
from console.room import Room
from data.trouble import StoreTrouble
from playbooks.load import PlaybookTrouble
from screens.dialogs.command_line import CommandLine
from screens.dialogs.form import Form
from screens.dialogs.page import Page
from screens.dialogs.search import Search
from screens.home import HomeScreen, Incidents
from screens.room import RoomScreen
from screens.times import stamp
from screens.warroom import WarRoomApp
from screens.widgets.alerts import Alerts
from screens.widgets.checklist import Checklist
from screens.widgets.header import Header
from screens.widgets.hints import Hints
from screens.widgets.rollback import RollbackTracker
from screens.widgets.sheet import Sheet
from screens.widgets.strips import StripLines
from screens.widgets.timeline import Timeline
from screens.widgets.writer import Writer
from tests.screens.stage import ALERTS, MINUTE, NOW, app, facts, home, ready, staged, until, watch

SIZE = (120, 40)


class Stage:
    """A console on a record, and what a test asks of it."""

    def __init__(self, pilot: Pilot[Any], console: WarRoomApp) -> None:
        self.pilot, self.console = pilot, console

    @property
    def screen(self) -> RoomScreen:
        base = self.console.base
        assert isinstance(base, RoomScreen)
        return base

    @property
    def desk(self) -> Desk:
        assert self.console.desk is not None
        return self.console.desk

    @property
    def room(self) -> Room:
        assert self.desk.room is not None
        return self.desk.room

    @property
    def said(self) -> str:
        return self.screen.query_one("#said", StripLines).words

    @property
    def timeline(self) -> Timeline:
        return self.screen.query_one(Timeline)

    @property
    def writer(self) -> Writer:
        return self.screen.query_one(Writer)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        await self.pilot.press(*(("space" if char == " " else char) for char in text))

    async def until(self, condition: Any, what: str = "") -> None:
        await until(self.pilot, condition, what)

    async def until_said(self, words: str) -> None:
        await self.until(lambda: words in self.said, f"{words!r} is said, not {self.said!r}")


class Opened:
    """`async with Opened(path) as stage:` a room that is under way."""

    def __init__(self, path: Path, size: tuple[int, int] = SIZE, **options: Any) -> None:
        self.home = staged(path)
        self._size, self._options = size, options

    async def __aenter__(self) -> Stage:
        self._test = app(self.home, **self._options).run_test(size=self._size)
        pilot = await self._test.__aenter__()
        stage = Stage(pilot, await ready(pilot))
        await until(
            pilot, lambda: stage.timeline.count > 0 and stage.timeline.selected is not None, "the timeline"
        )
        await until(pilot, lambda: stage.screen.query_one(Checklist).count > 0, "the checklist")
        return stage

    async def __aexit__(self, *error: Any) -> None:
        await self._test.__aexit__(*error)


async def test_the_room_shows_severity_roles_clocks_and_record(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        words = stage.screen.query_one(Header).words
        for expected in (
            stage.room.code,
            "SEV1",
            "LIVE",
            "refund agent books twice",
            "IC ana",
            "scribe dee",
            "declared 00:00:00",
            "action 00:07:00",
            "contained",
            "rollback in 04:00:00",
            "update in",
            "4 unacked",
            "saved here only",
            "watching",
        ):
            assert expected in words


async def test_the_palette_opens_in_a_room_and_lists_every_key(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("ctrl+p")
        await stage.until(lambda: type(stage.pilot.app.screen).__name__ == "CommandPalette")
        await stage.type("filter")
        await stage.pilot.pause(0.3)
        await stage.press("escape", "escape")
        await stage.until(lambda: type(stage.pilot.app.screen).__name__ != "CommandPalette")


async def test_a_key_that_repeats_on_a_page_acts_once(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("1", "enter")
        await stage.until(lambda: type(stage.pilot.app.screen).__name__ == "Page")
        page = stage.pilot.app.screen
        page._leave("")  # type: ignore[attr-defined]
        page._leave("")  # type: ignore[attr-defined]
        await stage.until(lambda: type(stage.pilot.app.screen).__name__ == "RoomScreen")


async def test_silence_without_a_watcher_is_said(tmp_path: Path) -> None:
    async with Opened(tmp_path, watched=False) as stage:
        assert "NOT WATCHING" in stage.screen.query_one(Header).words


async def test_confirmed_harm_starts_the_clock_to_containment(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.room.retract((await stage.room.lines.search("CONTAINED"))[0].hash, "wrong")
        await stage.press("H")
        await stage.type("-40s customers are charged twice")
        await stage.press("enter")
        await stage.until(
            lambda: "NOT CONTAINED, harm 00:00:40 > 30 s" in stage.screen.query_one(Header).words
        )


@pytest.mark.req("S003-MT-5")
async def test_acknowledge_is_one_key(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        row = stage.screen.query_one(Alerts).selected
        assert row is not None
        assert row.asks
        await stage.press("a")
        await stage.until(lambda: stage.desk.board.alerts[row.id].acknowledged_by == "ana")
        await stage.until_said("acknowledged")
        await stage.until(lambda: "3 unacked" in stage.screen.query_one(Header).words)


async def test_acknowledging_twice_says_who_did(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("G", "a")
        await stage.until_said("ana acknowledged")


async def test_silence_asks_for_a_reason(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        row = stage.screen.query_one(Alerts).selected
        assert row is not None
        await stage.press("s", "2", "enter")
        await stage.press("enter")
        await stage.until(lambda: "reason" in stage.console.screen.query_one("#form-says", StripLines).words)
        await stage.type("known batch job")
        await stage.press("enter")
        await stage.until(lambda: stage.desk.board.alerts[row.id].silenced_until == NOW + 60 * MINUTE)
        await stage.until_said("silenced until 15:02")


@pytest.mark.req("S002-ROL-4")
async def test_an_entry_is_saved_with_the_time_of_its_first_key(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        count = await stage.room.lines.count()
        await stage.press("i", "!")
        clock = stage.room.clock
        clock.advance(3 * MINUTE)  # type: ignore[attr-defined]
        await stage.type("hold pay.refund #refund")
        assert "DECISION" in stage.said
        await stage.press("enter")
        await stage.until_said("saved 14:05:31")
        await stage.until(lambda: stage.timeline.count > count)
        line = (await stage.room.lines.search("hold pay.refund"))[0]
        assert (line.at, line.mark, line.text) == (NOW, "!", "hold pay.refund #refund")
        assert stage.room.drafts.get("write") is None


async def test_a_time_of_another_day_is_shown_with_its_date(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:  # it is 14:02:31
        count = await stage.room.lines.count()
        await stage.press("i")
        await stage.type("14:30 seen first")
        assert "at 2026-11-20 14:30:00Z, back-dated" in stage.said
        await stage.press("enter")
        await stage.until_said("saved 14:02:31  at 2026-11-20 14:30:00Z")
        await stage.type("14:05 seen ahead")
        assert "at 14:05:00Z, ahead of this console's clock" in stage.said
        await stage.press("enter")
        await stage.until(lambda: stage.timeline.count > count + 1)
        line = (await stage.room.lines.search("seen ahead"))[0]
        assert stamp(line.at) == "2026-11-21T14:05:00Z"


@pytest.mark.parametrize(
    ("typed", "at"),
    [
        ("13:50 seen first", NOW - 12 * MINUTE - 31_000_000_000),
        ("-5m seen first", NOW - 5 * MINUTE),
        ("-5min seen first", NOW - 5 * MINUTE),
        ("-5 minutes seen first", NOW - 5 * MINUTE),
    ],
)
async def test_back_dating_is_shown_before_and_after_saving(tmp_path: Path, typed: str, at: int) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("i")
        await stage.type(typed)
        assert "back-dated" in stage.said
        await stage.press("enter")
        await stage.until_said("saved")
        line = (await stage.room.lines.search("seen first"))[0]
        assert line.at == at


async def test_what_is_not_read_as_a_time_is_said_and_kept(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("i")
        await stage.type("-5x seen first")
        assert "-5x is not read as a time" in stage.said
        await stage.press("enter")
        await stage.until_said("saved")
        assert (await stage.room.lines.search("seen first"))[0].text == "-5x seen first"


async def test_escape_leaves_the_write_bar_and_keeps_the_draft(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("2", "i")
        await stage.type("half a thought")
        await stage.press("escape")
        assert stage.timeline.has_focus
        assert stage.writer.text == "half a thought"
        draft = stage.room.drafts.get("write")
        assert draft is not None
        assert (draft.text, draft.started_at) == ("half a thought", NOW)


async def test_typing_does_not_wait_for_the_record(tmp_path: Path) -> None:
    import asyncio

    home_ = staged(tmp_path)
    gate = asyncio.Event()

    async def slowly() -> Desk:
        await gate.wait()
        return await Desk.open(home_, "ana")

    async with WarRoomApp(slowly).run_test(size=SIZE) as pilot:
        await pilot.press("a", "i", *"early", "enter", "!")
        console = pilot.app
        assert isinstance(console, WarRoomApp)
        stage = Stage(pilot, console)
        await stage.until(lambda: stage.writer.text == "early!")
        gate.set()
        await ready(pilot)
        await stage.until(lambda: stage.room.drafts.get("write") is not None)
        await stage.press("enter")
        await stage.until_said("saved")
        line = (await stage.room.lines.search("early"))[0]
        assert line.at == NOW


async def burst(stage: Stage, *keys: str) -> None:
    """Press keys faster than anything can be drawn between them."""
    from textual import events
    from textual.keys import _character_to_key

    for key in keys:
        name = key if len(key) > 1 else _character_to_key(key)
        stage.console.post_message(events.Key(name, key if len(key) == 1 else None))
    await stage.pilot.pause()


async def test_whoever_types_ahead_is_not_misunderstood(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        alerts = stage.screen.query_one(Alerts)
        second = alerts.all_rows[1].id
        await burst(stage, "j", "a")
        await stage.until(lambda: stage.desk.board.alerts[second].acknowledged_by == "ana")
        assert sum(bool(alert.acknowledged_at) for alert in stage.desk.board.alerts.values()) == 2
        await burst(stage, "i", *"sat down", "enter", *"next")
        await stage.until_said("NOTE")
        assert stage.writer.text == "next"
        await stage.until(lambda: not stage.room.pending)
        assert [line.text for line in await stage.room.lines.search("sat down")] == ["sat down"]
        await burst(stage, "escape", "S", "3", "enter", *"fewer", "enter")
        await stage.until(lambda: stage.room.incident.severity == 3)


@pytest.mark.parametrize(
    "emptied", [["backspace", "backspace"], ["ctrl+u"], ["ctrl+z"], ["ctrl+z", "ctrl+y", "ctrl+z"]]
)
async def test_an_entry_begun_anew_has_the_time_of_its_own_first_key(
    tmp_path: Path, emptied: list[str]
) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("i", "n", "o", *emptied)
        assert not stage.writer.text
        stage.room.clock.advance(3 * MINUTE)  # type: ignore[attr-defined]
        await stage.type("seen now")
        await stage.press("enter")
        await stage.until_said("saved 14:05:31")
        assert (await stage.room.lines.search("seen now"))[0].at == NOW + 3 * MINUTE


async def test_what_follows_tab_and_enter_in_a_dialog_belongs_to_the_next_field(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await burst(stage, "R", "4", "tab", *["backspace"] * 3, *"chi", "tab", *"hand", "enter", "3", "space")
        await stage.until(lambda: stage.room.incident.roles.get("comms") == ["chi"])
        await stage.until(lambda: stage.screen.pane == "checklist")
        await burst(stage, "S", "3", "enter", *"fewer", "enter", "i", *"next")
        await stage.until(lambda: stage.room.incident.severity == 3)
        await stage.until(lambda: stage.writer.text == "next")


async def test_keys_that_edit_keep_their_place_among_the_letters(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await burst(stage, "i", *"stopq", "backspace", *"ped", "home", *"it ", "end", *" now")
        await stage.until(lambda: stage.writer.text == "it stopped now")


async def test_tab_leads_to_the_next_pane_before_the_next_key(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await burst(stage, "tab", "space")
        await stage.until(lambda: stage.room.incident.checked == 2)


async def test_quit_in_a_dialog_asks_and_keeps_what_was_typed(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("C", "escape", "S")
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        await stage.press("tab")
        await stage.type("one tenant")
        await stage.press("ctrl+q")
        await stage.until(lambda: stage.console.screen.id == "quit")
        await stage.press("escape")
        await stage.until(lambda: stage.console.screen.id != "quit")
        await stage.press("ctrl+q")
        await stage.until(lambda: stage.console.screen.id == "quit")
        await stage.press("q", "enter")
        await stage.until(lambda: not stage.console.is_running)
    async with app(home(tmp_path)).run_test(size=SIZE) as pilot:
        again = Stage(pilot, await ready(pilot))
        await again.until(lambda: again.writer.text == "one tenant")


async def test_quit_in_a_dialog_in_which_nothing_was_typed_quits(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("question_mark")
        await stage.until(lambda: isinstance(stage.console.screen, Page))
        await stage.press("ctrl+q")
        await stage.until(lambda: not stage.console.is_running)


async def test_letters_typed_into_the_write_bar_are_no_commands(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("i")
        await stage.type("asDqxw12:?")
        assert stage.writer.text == "asDqxw12:?"
        assert stage.console.screen is stage.screen


async def test_an_entry_that_cannot_be_saved_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Opened(tmp_path) as stage:

        async def full(*_: Any, **__: Any) -> None:
            raise StoreTrouble("The disk is full.", "Nothing was written.", "Free some space.")

        monkeypatch.setattr(stage.room, "note", full)
        await stage.press("i")
        await stage.type("precious words")
        await stage.press("enter")
        await stage.until_said("NOT SAVED: The disk is full.")
        assert stage.writer.text == "precious words"
        assert stage.writer.typed == NOW
        assert stage.writer.box.has_focus


@pytest.mark.parametrize(
    "trouble", [PlaybookTrouble([]), StoreTrouble("The disk is full.", "", ""), Refused("No.")]
)
async def test_every_refusal_reaches_the_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    async with Opened(tmp_path) as stage:

        async def refuse(*_: Any, **__: Any) -> None:
            raise trouble

        said = "runbook" if isinstance(trouble, PlaybookTrouble) else str(trouble).strip()
        monkeypatch.setattr(stage.room, "tick", refuse)
        await stage.press("3", "space")
        await stage.until_said(said)
        monkeypatch.setattr(stage.room, "set_severity", refuse)
        await stage.press("S", "3", "tab", "x", "enter")
        await stage.until(lambda: said in stage.console.screen.query_one("#form-says", StripLines).words)


async def test_a_refused_entry_comes_back_with_the_reason(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("i")
        await stage.type("25:99 nonsense")
        assert "is not a time of day" in stage.said
        await stage.press("enter")
        await stage.until_said("NOT SAVED")
        assert stage.writer.text == "25:99 nonsense"


async def test_a_paste_keeps_its_lines_as_one_entry_or_one_per_line(tmp_path: Path) -> None:
    from textual import events

    async with Opened(tmp_path) as stage:
        count = await stage.room.lines.count()
        await stage.press("i")
        stage.console.post_message(events.Paste("one\r\ntwo\nthree"))
        await stage.until(lambda: stage.writer.text == "one\ntwo\nthree")
        assert "3 lines" in stage.said
        await stage.press("f6")
        await stage.until(lambda: stage.timeline.count == count + 3)
        texts = [line.text for line in await stage.room.lines.window(0, 1000)]
        assert {"one", "two", "three"} <= set(texts)


async def test_a_paste_that_is_too_long_is_cut_and_says_so(tmp_path: Path) -> None:
    from textual import events

    async with Opened(tmp_path) as stage:
        await stage.press("i")
        stage.console.post_message(events.Paste("x" * 1_000_000))
        await stage.until_said("16,384 of 1,000,000 characters kept")
        assert len(stage.writer.text) == 16_384


async def test_correct_and_retract_keep_the_history(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.room.note("agent is etl-1")
        await stage.until(lambda: getattr(stage.timeline.selected, "text", "") == "agent is etl-1")
        line = stage.timeline.selected
        assert line is not None
        await stage.press("2", "c")
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        await stage.press("backspace", "7", "enter")
        await stage.type("misread the log")
        await stage.press("enter")
        await stage.until_said("corrected")
        await stage.until(lambda: getattr(stage.timeline.selected, "text", "") == "agent is etl-7")
        await stage.press("t")
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        await stage.type("said twice")
        await stage.press("enter")
        await stage.until_said("retracted")
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.console.screen, Page))
        page = " ".join(row.text for row in stage.console.screen.query_one(Sheet).all_rows)
        for expected in (
            "agent is etl-1",
            "agent is etl-7",
            "misread the log",
            "said twice",
            "RETRACTED by ana",
        ):
            assert expected in page
        await stage.press("escape", "t")
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        await stage.type("it was right")
        await stage.press("enter")
        await stage.until_said("counts again")


async def test_amend_last_finds_my_own_entry(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("f4")
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        assert stage.console.screen.query_one("#field-text").text == "status page says identified"  # type: ignore[attr-defined]


async def test_only_words_of_people_can_be_corrected(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("2", "G", "c")
        await stage.until_said("Only entries that a person wrote")


async def test_filter_hides_and_says_how_much(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        count = stage.timeline.count
        await stage.press("slash")
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        await stage.type(":decision")
        await stage.press("enter")
        await stage.until(lambda: stage.timeline.count == 1)
        assert f"1 of {count} · {count - 1} hidden by filter" in str(stage.timeline.border_title)
        await stage.press("escape")
        await stage.until(lambda: stage.timeline.count == count)


async def test_a_filter_with_an_unknown_style_is_refused(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("slash")
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        await stage.type(":nonsense")
        await stage.press("enter")
        await stage.until(
            lambda: "no style" in stage.console.screen.query_one("#form-says", StripLines).words
        )


async def test_search_jumps_to_the_entry(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("f5")
        await stage.until(lambda: isinstance(stage.console.screen, Search))
        await stage.type("egress")
        await stage.until(lambda: stage.console.screen.query_one("#hits").count == 1)  # type: ignore[attr-defined]
        await stage.press("enter")
        await stage.until(lambda: "egress token" in getattr(stage.timeline.selected, "text", ""))
        assert not stage.timeline.following


async def test_checklist_tick_claim_skip_and_waive(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        checklist = stage.screen.query_one(Checklist)

        def state(item: str) -> CheckState:
            return stage.room.incident.checklist[item].state

        await stage.press("3")
        first = checklist.selected
        assert first is not None
        await stage.press("space")
        await stage.until(lambda: state(first.id) == "done")
        await stage.press("space")
        await stage.until(lambda: state(first.id) == "open")
        await stage.press("j", "b")
        second = checklist.selected
        assert second is not None
        await stage.until(lambda: stage.room.incident.checklist[second.id].claimed == "ana")
        await stage.press("minus", "enter")
        await stage.until(lambda: "reason" in stage.console.screen.query_one("#form-says", StripLines).words)
        await stage.type("no such thing here")
        await stage.press("enter")
        await stage.until(lambda: state(second.id) == "not_applicable")
        await stage.press("j", "w")
        third = checklist.selected
        assert third is not None
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        await stage.type("legal accepts")
        await stage.press("enter")
        await stage.until(lambda: state(third.id) == "waived")


async def test_undo_takes_the_last_tick_back(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("3")
        row = stage.screen.query_one(Checklist).selected
        assert row is not None
        await stage.press("space")
        await stage.until(lambda: stage.room.incident.checklist[row.id].state == "done")
        await stage.press("z")
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        assert f"checklist {row.id} done" in str(stage.console.screen.query_one(".about", Label).content)
        assert stage.room.incident.checklist[row.id].state == "done"
        await stage.press("enter")
        await stage.until(lambda: stage.room.incident.checklist[row.id].state == "open")
        await stage.until_said("undone")


async def test_closing_lists_what_is_unfinished_and_closes_all_the_same(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await burst(stage, "colon", *"close", "enter")
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        about = str(stage.console.screen.query_one(".about", Label).content)
        for left in stage.room.unfinished():
            assert left in about
        assert stage.room.incident.open
        await stage.type("moved to another one")
        await stage.press("enter")
        await stage.until(lambda: not stage.room.incident.open)


async def test_a_command_with_its_words_is_done_at_once(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await burst(stage, "colon", *"cadence 15", "enter")
        await stage.until(lambda: stage.room.incident.cadence == 15 * 60)
        await burst(stage, "colon", *"cadence soon", "enter")
        await stage.until_said("soon is not a number of minutes")


async def test_the_alert_just_acknowledged_is_the_one_that_declares(tmp_path: Path) -> None:
    home_ = home(tmp_path)
    watch(home_, *ALERTS)
    async with app(home_, expect_room=False).run_test(size=SIZE) as pilot:
        console = await ready(pilot, room=False)
        alerts = console.screen.query_one(Alerts)
        await until(pilot, lambda: alerts.count == len(ALERTS))
        await pilot.press("1", "j")
        chosen = alerts.selected
        assert chosen is not None
        await pilot.press("a")
        await until(pilot, lambda: any(row.id == chosen.id and not row.asks for row in alerts.all_rows))
        assert alerts.selected is not None
        assert (alerts.selected.id, alerts.cursor) == (chosen.id, 1)
        await pilot.press("D")
        await until(pilot, lambda: isinstance(console.screen, Form))
        await pilot.press("2", "enter")
        await until(pilot, lambda: console.desk is not None and console.desk.room is not None)
        desk = console.desk
        assert desk is not None
        assert desk.room is not None
        await until(pilot, lambda: set(desk.room.incident.alerts) == {chosen.id})  # type: ignore[union-attr]


async def test_the_most_urgent_alert_stays_selected_when_it_is_acknowledged(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        alerts = stage.screen.query_one(Alerts)
        await stage.until(lambda: alerts.has_focus)
        chosen = alerts.selected
        assert chosen is not None
        await stage.press("a")
        await stage.until(lambda: any(row.id == chosen.id and not row.asks for row in alerts.all_rows))
        assert alerts.selected is not None
        assert (alerts.selected.id, alerts.cursor) == (chosen.id, 0)


async def test_rollback_moves_through_its_states(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        tracker = stage.screen.query_one(RollbackTracker)
        await stage.press("4")
        row = tracker.selected
        assert row is not None
        await stage.press("v")
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        await stage.type("counted")
        await stage.press("enter")
        await stage.until(
            lambda: "nothing to verify" in stage.console.screen.query_one("#form-says", StripLines).words
        )
        await stage.press("escape", "r")
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        await stage.press("3", "enter")
        await stage.until(lambda: stage.room.incident.rollback[row.id].state == "reversed")
        await stage.press("v")
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        await stage.type("row counts match")
        await stage.press("enter")
        await stage.until(lambda: stage.room.incident.rollback[row.id].state == "verified")
        await stage.until(
            lambda: "1/7 finished" in str(tracker.border_title), "drawn a moment after the fold"
        )


@pytest.mark.parametrize("way", ["typed", "pasted"])
async def test_words_meant_for_no_choice_go_where_none_are_yet(tmp_path: Path, way: str) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("4", "r")
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        form = stage.console.screen
        assert isinstance(form, Form)
        if way == "typed":
            await stage.type("put back")
        else:
            form.post_message(events.Paste("put back"))
        await stage.until(lambda: form.values["note"] == "put back", "required or not")
        await stage.press("enter")
        await stage.until(
            lambda: any(row.note == "put back" for row in stage.room.incident.rollback.values())
        )


async def test_waiving_a_class_asks_for_its_name(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("4", "w")
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        row = stage.screen.query_one(RollbackTracker).selected
        assert row is not None
        await stage.type("wrong")
        await stage.press("tab")
        await stage.type("too small to matter")
        await stage.press("enter")
        await stage.until(
            lambda: "to waive it" in stage.console.screen.query_one("#form-says", StripLines).words
        )
        assert stage.room.incident.rollback[row.id].state == "open"
        await stage.press("shift+tab", *["backspace"] * 5)
        await stage.type(row.id)
        await stage.press("enter")
        await stage.until(lambda: stage.room.incident.rollback[row.id].state == "waived")


@pytest.mark.req("S002-USE-3")
async def test_severity_and_roles(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("S", "3", "enter")
        await stage.type("one tenant only")
        await stage.press("enter")
        await stage.until(lambda: stage.room.incident.severity == 3)
        await stage.press("R", "4", "tab", *["backspace"] * 3)
        await stage.type("chi")
        await stage.press("enter")
        await stage.until(lambda: stage.room.incident.roles.get("comms") == ["chi"])
        await stage.press("R", "4", "tab", *["backspace"] * 3)
        await stage.type("-chi")
        await stage.press("enter")
        await stage.until(lambda: "comms" not in stage.room.incident.roles)


@pytest.mark.req("S003-KS-9")
async def test_containment_is_confirmed_once(tmp_path: Path) -> None:
    home_ = home(tmp_path)
    watch(home_)
    desk = await Desk.open(home_, "ana")
    await desk.declare("loop", 2)
    await desk.close()
    async with app(home_).run_test(size=SIZE) as pilot:
        stage = Stage(pilot, await ready(pilot))
        await stage.until(lambda: "NOT CONTAINED" in stage.screen.query_one(Header).words)
        await stage.press("C")
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        await stage.press("enter")
        await stage.until(
            lambda: "needs the how" in stage.console.screen.query_one("#form-says", StripLines).words
        )
        await stage.type("-1m token revoked")
        await stage.press("enter")
        await stage.until(lambda: stage.room.incident.contained_at == NOW - MINUTE)
        await stage.until_said("contained at 14:01:31Z")
        await stage.press("C")
        await stage.until_said("already confirmed")
        await stage.room.move_rollback("database-writes", "open", "", 3)
        await stage.until(lambda: "rollback in 03:59:00" in stage.screen.query_one(Header).words)


async def test_a_command_that_is_not_possible_says_why(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("v")
        await stage.until_said("press 4 first")
        await stage.press("space")
        await stage.until_said("press 3 first")


async def test_hints_hold_only_what_is_possible(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.until(lambda: "a ack" in stage.screen.query_one(Hints).words)
        assert "verify" not in stage.screen.query_one(Hints).words
        await stage.press("4")
        await stage.until(lambda: "v verify" in stage.screen.query_one(Hints).words)
        assert "a ack" not in stage.screen.query_one(Hints).words


async def test_new_alerts_queue_below_the_row_in_use(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        alerts = stage.screen.query_one(Alerts)
        await stage.press("j")
        before = [row.id for row in alerts.all_rows]
        chosen, place = alerts.selected, alerts.cursor
        assert chosen is not None
        watch(stage.desk.home, facts(0, id="beef", pages=True))
        await stage.until(lambda: len(alerts.all_rows) == len(before) + 1)
        assert [row.id for row in alerts.all_rows][: len(before)] == before
        assert alerts.selected is not None
        assert (alerts.selected.id, alerts.cursor) == (chosen.id, place)
        assert "▼ 1 new" in str(alerts.border_subtitle)
        await stage.press("g")
        assert alerts.all_rows[0].id == "beef"


async def test_a_reader_of_the_timeline_is_not_moved(tmp_path: Path) -> None:
    async with Opened(tmp_path, (120, 24)) as stage:
        await stage.press("2", "g")
        line, top = stage.timeline.selected, stage.timeline.top
        assert line is not None
        count = stage.timeline.count
        await stage.room.note("something new")
        await stage.room.note("-3h something old that is found out now")
        await stage.until(lambda: stage.timeline.count == count + 2)
        assert stage.timeline.selected is not None
        assert stage.timeline.selected.hash == line.hash
        assert stage.timeline.cursor - stage.timeline.top == 0 - top + 0
        assert "▼ 2 new" in str(stage.timeline.border_subtitle)
        await stage.press("G")
        assert stage.timeline.following
        await stage.room.note("the newest")
        await stage.until(lambda: getattr(stage.timeline.selected, "text", "") == "the newest")


async def test_moving_in_time(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("2", "E")
        await stage.until(lambda: getattr(stage.timeline.selected, "mark", "") in ("✖", "▲"))
        alert = stage.timeline.selected
        assert alert is not None
        await stage.press("colon")
        await stage.until(lambda: isinstance(stage.console.screen, CommandLine))
        await stage.type("at 13:50")
        await stage.press("enter")
        await stage.until(lambda: "books refunds twice" in getattr(stage.timeline.selected, "text", ""))
        await stage.press("right_curly_bracket")
        await stage.until(lambda: getattr(stage.timeline.selected, "at", 0) == alert.at)


async def test_the_command_line_completes_and_refuses(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("colon")
        await stage.until(lambda: isinstance(stage.console.screen, CommandLine))
        await stage.type("nonsense")
        await stage.press("enter")
        await stage.until_said("There is no command nonsense")
        await stage.press("colon")
        await stage.until(lambda: isinstance(stage.console.screen, CommandLine))
        await stage.type("sev")
        await stage.press("tab")
        await stage.type("2 fewer tenants")
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        await stage.press("enter")
        await stage.until(lambda: stage.room.incident.severity == 2)


async def test_zoom_by_pressing_the_number_again_and_escape_leaves_it(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("2", "2")
        await stage.until(lambda: stage.timeline.outer_size.width == 120)
        assert not stage.screen.query_one(Alerts).is_on_screen
        await stage.press("escape")
        await stage.until(lambda: stage.screen.query_one(Alerts).is_on_screen)


async def test_every_pane_opens_a_page_and_escape_closes_it(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        for pane in "1234":
            await stage.press(pane, "enter")
            await stage.until(lambda: isinstance(stage.console.screen, Page), f"the page of pane {pane}")
            await stage.until(lambda: stage.console.screen.query_one(Sheet).count > 3)
            await stage.press("escape")
            await stage.until(lambda: stage.console.screen is stage.screen)


async def test_a_command_from_the_page_works_on_its_row(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        row = stage.screen.query_one(Alerts).selected
        assert row is not None
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.console.screen, Page))
        await stage.press("a")
        await stage.until(lambda: stage.desk.board.alerts[row.id].acknowledged_by == "ana")


async def test_the_mouse_selects_opens_and_scrolls(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.pilot.click(Alerts, offset=(10, 3))
        alerts = stage.screen.query_one(Alerts)
        await stage.until(lambda: alerts.cursor == 2)
        await stage.pilot.click(Alerts, offset=(10, 3))
        await stage.until(lambda: isinstance(stage.console.screen, Page))


async def test_quit_asks_when_a_draft_exists(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("i")
        await stage.type("not saved")
        await stage.press("ctrl+q")
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        await stage.press("s", "enter")
        await stage.until(lambda: stage.console.screen is stage.screen)
        assert stage.writer.box.has_focus
        await stage.press("ctrl+q")
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        await stage.press("q", "enter")
        await stage.until(lambda: not stage.console.is_running)


async def test_the_incident_that_was_on_the_screen_is_opened_again(tmp_path: Path) -> None:
    home_ = staged(tmp_path)
    async with app(home_).run_test(size=SIZE) as pilot:
        stage = Stage(pilot, await ready(pilot))
        first = stage.room.case.id
        await stage.until(lambda: (home_.path / "last-viewed").read_text() == first)
    home_.clock.advance(MINUTE)  # type: ignore[attr-defined]
    desk = await Desk.open(home_, "ben")
    newer = (await desk.declare("a newer one", 2)).code
    await desk.close()
    async with app(home_).run_test(size=SIZE) as pilot:
        stage = Stage(pilot, await ready(pilot))
        assert stage.room.case.id == first
        await stage.until_said(f"open too: {newer}")
        await stage.room.end("over")
    async with app(home_).run_test(size=SIZE) as pilot:
        stage = Stage(pilot, await ready(pilot))
        assert stage.room.code == newer


async def test_home_and_back(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("less_than_sign")
        await stage.until(lambda: isinstance(stage.console.screen, HomeScreen))
        listing = stage.console.screen.query_one(Incidents)
        await stage.until(lambda: listing.count == 1)
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.console.screen, RoomScreen))
        await stage.until(lambda: stage.timeline.count > 0)


async def test_declare_from_an_alert_is_three_keys(tmp_path: Path) -> None:
    home_ = home(tmp_path)
    watch(home_, facts(1, pages=True))
    async with app(home_, expect_room=False).run_test(size=SIZE) as pilot:
        console = await ready(pilot, room=False)
        await until(pilot, lambda: console.screen.query_one(Alerts).count == 1)
        await pilot.press("1")
        await until(pilot, lambda: console.screen.query_one(Alerts).has_focus)
        await pilot.press("D")
        await until(pilot, lambda: isinstance(console.screen, Form))
        await pilot.press("2", "enter")
        await until(pilot, lambda: isinstance(console.screen, RoomScreen))
        desk = console.desk
        assert desk is not None
        assert desk.room is not None
        assert desk.room.incident.severity == 2
        assert desk.room.incident.title.startswith("spent $41.20")
        assert set(desk.room.incident.alerts) == {"0001c0de"}


async def test_declare_without_an_alert_asks_for_a_title(tmp_path: Path) -> None:
    home_ = home(tmp_path)
    async with app(home_, expect_room=False).run_test(size=SIZE) as pilot:
        console = await ready(pilot, room=False)
        await until(
            pilot,
            lambda: isinstance(console.screen, HomeScreen) and console.screen.query_one(Incidents).loaded,
        )
        await pilot.press("D")
        await until(pilot, lambda: isinstance(console.screen, Form))
        await pilot.press("1", "enter", "enter")
        await until(
            pilot, lambda: "needs a title" in console.screen.query_one("#form-says", StripLines).words
        )
        await pilot.press(*"loop", "enter")
        await until(pilot, lambda: console.desk is not None and console.desk.room is not None)


@pytest.mark.parametrize(
    ("typed", "title", "severity"),
    [
        ("jakGk loop", "jakGk loop", 2),
        ("1refunds", "refunds", 1),
        ("3 customers", "3 customers", 2),
        ("40% of 5", "40% of 5", 2),
        ("12 tenants", "12 tenants", 2),
        ("5xx storm", "5xx storm", 2),
    ],
)
async def test_a_title_typed_before_the_severity_is_the_title(
    tmp_path: Path, typed: str, title: str, severity: int
) -> None:
    home_ = home(tmp_path)
    async with app(home_, expect_room=False).run_test(size=SIZE) as pilot:
        console = await ready(pilot, room=False)
        await until(
            pilot,
            lambda: isinstance(console.screen, HomeScreen) and console.screen.query_one(Incidents).loaded,
        )
        await pilot.press("D", *typed, "enter")
        await until(pilot, lambda: console.desk is not None and console.desk.room is not None)
        assert console.desk is not None
        assert console.desk.room is not None
        incident = console.desk.room.incident
        assert (incident.title, incident.severity) == (title, severity)


async def test_a_drill_says_so_in_the_header(tmp_path: Path) -> None:
    home_ = staged(tmp_path, "drill")
    async with app(home_).run_test(size=(80, 24)) as pilot:
        console = await ready(pilot)
        await until(pilot, lambda: "DRILL" in console.screen.query_one(Header).words)
        await pilot.press("less_than_sign")
        await until(pilot, lambda: "DRILL" in console.screen.query_one("#header", StripLines).words)


async def test_a_wrong_keymap_is_said_and_the_defaults_work(tmp_path: Path) -> None:
    home_ = staged(tmp_path)
    async with app(home_, keys={"alert.ack": "s"}, theme="pink").run_test(size=SIZE) as pilot:
        stage = Stage(pilot, await ready(pilot))
        await stage.until_said("already belongs to alert.silence")
        assert "no theme 'pink'" in stage.said


async def test_a_remapped_key_works_and_the_hints_show_it(tmp_path: Path) -> None:
    home_ = staged(tmp_path)
    async with app(home_, keys={"alert.ack": "ctrl+g"}).run_test(size=SIZE) as pilot:
        stage = Stage(pilot, await ready(pilot))
        await stage.until(lambda: "Ctrl+G ack" in stage.screen.query_one(Hints).words)
        await stage.press("a")
        assert sum(bool(alert.acknowledged_at) for alert in stage.desk.board.alerts.values()) == 1
        await stage.press("ctrl+g")
        await stage.until(
            lambda: sum(bool(alert.acknowledged_at) for alert in stage.desk.board.alerts.values()) == 2
        )
