"""Who must be told, with keys, on a real record."""

from __future__ import annotations

from pathlib import Path

import pytest

from screens.dialogs.escalation import Escalations, ToldLines, told_rows
from screens.dialogs.form import Form
from screens.room import RoomScreen
from screens.widgets.header import Header
from screens.widgets.sheet import Sheet
from tests.screens.stage import MINUTE
from tests.screens.test_evidence import painted
from tests.screens.test_looks import SIZES
from tests.screens.test_room import Opened, Stage


async def opened(stage: Stage) -> ToldLines:
    """Open the list."""
    await stage.press("W")
    await stage.until(lambda: isinstance(stage.console.screen, Escalations))
    lines = stage.console.screen.query_one(ToldLines)
    await stage.until(lambda: lines.count > 0)
    return lines


def header(stage: Stage) -> str:
    return stage.screen.query_one(Header).words


async def form(stage: Stage) -> None:
    await stage.until(lambda: isinstance(stage.console.screen, Form), "a form")


async def listed(stage: Stage) -> None:
    await stage.until(lambda: isinstance(stage.console.screen, Escalations), "the list again")


@pytest.mark.req("S002-USE-2")
async def test_the_header_counts_who_waits_until_each_was_told_or_need_not_be(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        stage.desk.contacts = {"owner": ("kim", "lee")}
        waiting = len(told_rows(stage.room.incident, {}, stage.room.clock.now()))
        assert f"tell {waiting}  " in header(stage)
        lines = await opened(stage)
        assert "Owner of the agent (kim, lee)" in painted(lines)
        while lines.selected is None or lines.selected.id != "owner":
            await stage.press("down")
        why = stage.console.screen.query_one("#why", Sheet)
        await stage.until(lambda: "reason to spend this much" in painted(why))
        place = lines.cursor
        await stage.press("t")
        await form(stage)
        await stage.press("enter")
        assert isinstance(stage.console.screen, Form), "how is for a person to say"
        await stage.press("c", "enter")
        await listed(stage)
        (told,) = stage.room.incident.triage.told["owner"]
        assert (told.body.how, told.body.person, told.by) == ("called", "kim", "ana")
        assert lines.all_rows[place].mark == "[x]", "it stays where it was"
        assert lines.cursor != place, "the next one is who still waits"
        assert lines.selected is not None
        assert lines.selected.mark == "[ ]"
        waived = lines.selected.id
        await stage.press("w")
        await form(stage)
        await stage.press("enter")
        assert isinstance(stage.console.screen, Form), "a reason is needed"
        await stage.press(*"same")
        await stage.press("enter")
        await listed(stage)
        assert stage.room.incident.triage.waived[waived].reason == "same"
        await stage.press("escape")
        await stage.until(lambda: isinstance(stage.console.screen, RoomScreen))
        assert waiting > 2
        await stage.until(lambda: f"tell {waiting - 2}  " in header(stage))


async def test_whoever_was_told_cannot_be_left_out_afterwards(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.room.tell("on-call", "called", "ana")
        lines = await opened(stage)
        while lines.selected is None or lines.selected.id != "on-call":
            await stage.press("down")
        await stage.press("w")
        await form(stage)
        await stage.press(*"no")
        await stage.press("enter")
        await stage.until(
            lambda: "was told already" in stage.console.screen.query_one("#form-says").words  # type: ignore[attr-defined]
        )
        assert stage.room.incident.triage.waived == {}


@pytest.mark.req("S000-CL-4", "X-29")
@pytest.mark.parametrize("size", SIZES)
async def test_security_leads_is_in_the_header_with_the_legal_clock_that_ends_first(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with Opened(tmp_path, size=size) as stage:
        assert "SECURITY LEADS" not in header(stage)
        stage.room.regimes = ("gdpr",)
        await stage.room.tag("data-breach")
        await stage.until(lambda: "SECURITY LEADS" in stage.screen.query_one(Header).render_line(0).text)
        clocks = stage.screen.query_one(Header).render_line(1).text
        assert "tell " in clocks
        assert "gdpr-33 72 h left" in clocks
        lines = await opened(stage)
        rows = {row.id: row for row in lines.all_rows}
        assert {"security", "legal-privacy", "gdpr-33"} <= set(rows)
        assert rows["gdpr-33"].standing.endswith("h left")
        title = str(stage.console.screen.query_one("#told").border_title)
        assert "SECURITY LEADS, for responders only" in title
        while lines.selected is None or lines.selected.id != "security":
            await stage.press("down")
        why = stage.console.screen.query_one("#why", Sheet)
        await stage.until(lambda: "nobody is security lead yet" in " ".join(painted(why).split()))


async def test_what_somebody_else_told_is_shown_without_a_key(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        lines = await opened(stage)
        screen = stage.console.screen
        assert isinstance(screen, Escalations)
        await stage.room.tell("on-call", "called", "ana")
        screen._show()
        assert [row.mark for row in lines.all_rows if row.id == "on-call"] == ["[x]"]


async def test_how_long_somebody_waits_grows_with_the_clock(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        state, now = stage.room.incident, stage.room.clock.now()
        before = {row.id: row.standing for row in told_rows(state, {}, now)}
        after = {row.id: row.standing for row in told_rows(state, {}, now + 7 * MINUTE)}
        assert before["on-call"].endswith("waits 0 min")
        assert after["on-call"].endswith("waits 7 min")
