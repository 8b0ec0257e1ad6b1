"""Reading while things go on: freeze, marks, and the time of now put into an entry."""

from __future__ import annotations

from pathlib import Path

from screens.widgets.alerts import Alerts
from tests.screens.stage import facts, watch
from tests.screens.test_room import Opened


async def test_the_time_is_stamped_into_an_empty_entry_and_says_when_it_happened(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("f2")
        assert stage.writer.text == "14:02:31 "
        assert stage.writer.box.has_focus
        stage.desk.clock.advance(5_000_000_000)  # type: ignore[attr-defined]
        await stage.type("first refund seen")
        await stage.press("enter")
        await stage.until_said("first refund seen")
        (line,) = await stage.room.lines.search("refund seen")
        assert line.text == "first refund seen"
        assert line.at // 1_000_000_000 % 60 == 31


async def test_the_time_is_stamped_in_the_middle_of_an_entry(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("i")
        await stage.type("called kim at ")
        await stage.press("ctrl+t")
        await stage.type("no answer")
        assert stage.writer.text == "called kim at 14:02:31 no answer"


async def test_a_frozen_timeline_stays_and_counts(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("2", "f")
        await stage.until(lambda: "FROZEN" in str(stage.timeline.border_title))
        selected, top = stage.timeline.selected, stage.timeline.top
        for number in range(60):
            await stage.room.note(f"noise {number}")
        await stage.until(lambda: "60 new" in str(stage.timeline.border_subtitle))
        assert (stage.timeline.selected, stage.timeline.top) == (selected, top)
        await stage.press("j", "j")
        assert not stage.timeline.following
        await stage.press("f")
        await stage.until(lambda: stage.timeline.following)
        await stage.until(
            lambda: stage.timeline.selected is not None and stage.timeline.selected.text == "noise 59"
        )
        assert "FROZEN" not in str(stage.timeline.border_title)


async def test_frozen_alerts_keep_their_rows_and_show_what_becomes_of_them(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        alerts = stage.screen.query_one(Alerts)
        await stage.until(lambda: alerts.count == 5)
        await stage.press("1", "f")
        before = [row.id for row in alerts.all_rows]
        watch(stage.desk.home, facts(0, pages=True), facts(6))
        await stage.until(lambda: "2 new" in str(alerts.border_subtitle))
        assert "FROZEN" in str(alerts.border_title)
        assert "6 unacked" in str(alerts.border_title)
        assert [row.id for row in alerts.all_rows] == before
        await stage.press("a")
        await stage.until(lambda: alerts.all_rows[0].state == "ack ana")
        assert [row.id for row in alerts.all_rows] == before
        await stage.press("f")
        await stage.until(lambda: alerts.count == 7)
        assert "FROZEN" not in str(alerts.border_title)


async def test_freezing_elsewhere_says_where_it_works(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("3", "f")
        await stage.until_said("press 1 or 2 first")


async def test_marks_are_visible_and_visited_in_turn(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("2", "apostrophe")
        await stage.until_said("No entry is marked")
        await stage.press("m", "k", "k", "m")
        marked = stage.timeline.selected
        assert marked is not None
        assert "*" in stage.timeline.render_line(stage.timeline.cursor - stage.timeline.top).text
        await stage.press("g", "apostrophe")
        await stage.until(lambda: stage.timeline.selected == marked, "the first mark")
        await stage.press("apostrophe")
        await stage.until(lambda: stage.timeline.cursor == stage.timeline.count - 1, "the second")
        await stage.press("apostrophe")
        await stage.until(lambda: stage.timeline.selected == marked, "the first again")
        await stage.press("m")
        assert "*" not in stage.timeline.render_line(stage.timeline.cursor - stage.timeline.top).text
