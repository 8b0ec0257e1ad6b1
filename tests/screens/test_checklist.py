"""The checklist: what is overdue cannot be missed and calls once, and what asks for evidence gets an exhibit."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Label

from console.events import EvidenceCaptured, ItemSet
from data.clock import ManualClock
from data.envelope import short
from screens.attention import QUIET, Attention
from screens.dialogs.form import Form
from screens.room import RoomScreen
from screens.widgets.checklist import Checklist, check_rows
from screens.widgets.header import Header
from screens.widgets.sheet import Sheet
from screens.widgets.strips import StripLines
from tests.screens.stage import MINUTE
from tests.screens.test_evidence import painted
from tests.screens.test_looks import SIZES
from tests.screens.test_room import Opened, Stage


def pass_time(stage: Stage, minutes: int) -> None:
    """Let time pass for the console."""
    clock = stage.desk.clock
    assert isinstance(clock, ManualClock)
    clock.advance(minutes * MINUTE)
    stage.screen.show_state()


async def choose(stage: Stage, item: str) -> None:
    """Put the cursor on an item."""
    checklist = stage.screen.query_one(Checklist)
    await stage.press("3", "home")
    for _ in range(checklist.count):
        if checklist.selected is not None and checklist.selected.id == item:
            return
        await stage.press("down")
    raise AssertionError(f"no item {item}")


@pytest.mark.parametrize("size", SIZES)
async def test_what_is_overdue_is_counted_in_the_header_and_marked_on_its_row(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with Opened(tmp_path, size=size) as stage:
        header = stage.screen.query_one(Header)
        assert "overdue" not in header.words
        pass_time(stage, 20)
        state, now = stage.room.incident, stage.room.clock.now()
        late = [check.item.id for check in state.overdue(now)]
        assert len(late) > 1
        assert f"{len(late)} overdue" in header.render_line(1).text
        assert [row.id for row in check_rows(state, now) if row.box == "[!]"] == [
            check.item.id for check in state.checklist.values() if check.item.id in late
        ]
        await stage.press("3")
        pane = stage.screen.query_one(Checklist)
        await stage.until(lambda: "[!]" in painted(pane))
        marked = [line for line in painted(pane).splitlines() if "[!]" in line]
        assert all("LATE" in line for line in marked), "the word has room at every width"
        assert f"{len(late)} OVERDUE" in str(pane.border_title)
        await stage.room.record(*(ItemSet(each, "waived", "not now") for each in late[1:]))
        await stage.until(lambda: "1 overdue" in header.words)
        await stage.room.end("over")
        await stage.until(lambda: "overdue" not in header.words, "nothing is due after the end")
        assert "[!]" not in painted(pane)


async def test_an_overdue_item_is_not_counted_twice_when_somebody_works_on_it(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        pass_time(stage, 20)
        first = stage.room.incident.overdue(stage.room.clock.now())[0].item
        await stage.room.claim(first.id, "ben")
        row = next(
            row for row in check_rows(stage.room.incident, stage.room.clock.now()) if row.id == first.id
        )
        assert row.box == "[!]"
        assert row.right.startswith("LATE")
        assert "ben" in row.right


async def test_done_with_evidence_takes_an_exhibit_by_its_digit(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        item = next(
            c.item for c in stage.room.incident.checklist.values() if c.item.evidence and c.state == "open"
        )
        await choose(stage, item.id)
        await stage.press("space")
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        assert "[ ]*" in painted(stage.screen.query_one(Checklist))
        assert "No exhibit is kept yet" in words(stage)
        await stage.press("enter")
        says = stage.console.screen.query_one("#form-says", StripLines)
        await stage.until(lambda: "Say what shows" in says.words)
        await stage.press("escape")
        await stage.until(lambda: isinstance(stage.console.screen, RoomScreen))
        assert stage.room.incident.checklist[item.id].state == "open"
        for title in ("the first trace", "the second trace"):
            await stage.room.record(EvidenceCaptured("telemetry", title))
        await stage.press("space")
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        assert words(stage).index("the second trace") < words(stage).index("the first trace")
        await stage.press("2", "enter")
        await stage.until(lambda: stage.room.incident.checklist[item.id].state == "done")
        exhibit = stage.room.incident.exhibits[0]
        assert stage.room.incident.checklist[item.id].evidence == short(exhibit.hash)


async def test_done_with_evidence_takes_words_as_they_are(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        item = next(
            c.item for c in stage.room.incident.checklist.values() if c.item.evidence and c.state == "open"
        )
        await choose(stage, item.id)
        await stage.press("space")
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        await stage.type("graph 12")
        await stage.press("enter")
        await stage.until(lambda: stage.room.incident.checklist[item.id].evidence == "graph 12")


def words(stage: Stage) -> str:
    """What the form says above its questions."""
    return " ".join(str(label.content) for label in stage.console.screen.query(Label))


async def test_the_page_of_an_item_names_who_owns_it_here(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        item = next(c.item for c in stage.room.incident.checklist.values() if c.item.role == "scribe")
        await choose(stage, item.id)
        await stage.press("enter")
        await stage.until(lambda: stage.console.screen.query(Sheet).first().count > 0)
        sheet = stage.console.screen.query(Sheet).first()
        await stage.until(lambda: "scribe: dee" in painted(sheet))


def test_each_overdue_item_calls_once_and_what_was_late_before_does_not() -> None:
    attention = Attention(True, {})

    def look(now: int, *late: str, case: str = "a", focused: bool = False) -> str:
        return attention.look(
            frozenset(), "room", now, focused=focused, case=case, late=frozenset(late)
        ).removeprefix("\x1b]2;room\x07")

    assert look(0, "one") == "", "late already when the incident was opened"
    assert look(QUIET, "one", "two") == "\x07\x1b]9;warroom: 2 checklist items are overdue\x07"
    assert look(3 * QUIET, "one", "two") == "", "it does not nag"
    assert look(4 * QUIET, "one") == ""
    assert look(5 * QUIET, "one", "two") == "", "opened again it is the same item"
    assert look(6 * QUIET, "one", "three", focused=True) == "\x07"
    assert look(7 * QUIET, "x", case="b") == "", "another incident begins anew"
    assert look(8 * QUIET, "one", "three", case="a") == ""
    assert "1 checklist item is overdue" in look(9 * QUIET, "new", case="b")


def test_one_that_is_ticked_before_its_turn_calls_nobody() -> None:
    attention = Attention(True, {})
    attention.look(frozenset(), "room", 0, focused=False, case="a")
    assert "\x07" in attention.look(frozenset("p"), "room", 1, focused=False, case="a")[-60:]
    attention.look(frozenset("p"), "room", 2, focused=False, case="a", late=frozenset({"one"}))
    assert attention.look(frozenset("p"), "room", 2 * QUIET, focused=False, case="a") == ""
