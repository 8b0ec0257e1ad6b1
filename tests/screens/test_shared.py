"""Two consoles that meet at a directory: what the screens say while events travel, stop, and travel again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from console.desk import Desk
from console.sharing import Meeting
from console.timeline import project
from data.case import Case
from data.clock import ManualClock
from data.home import Home
from data.remotes.opening import open_remote
from screens.widgets.header import Header
from tests.screens.stage import NOW, app, ready, staged
from tests.screens.test_evidence import opened, page_says, painted
from tests.screens.test_room import Opened, Stage

SECOND = 1_000_000_000


def meeting(path: Path) -> Meeting:
    """Return a remote that is a directory; it is made."""
    path.mkdir(exist_ok=True)
    url = f"dir:{path}"
    return Meeting((("usb", url, partial(open_remote, url, {})),))


def header(stage: Stage) -> str:
    base = stage.console.base
    assert base is not None
    return base.query_one(Header).words


async def turning(stage: Stage, condition: Callable[[], object], what: str = "", *others: Desk) -> None:
    """Wait until `condition` holds, with one turn after the other: the clock of these homes stands still by itself."""

    def look() -> bool:
        for desk in (stage.desk, *others):
            assert isinstance(desk.clock, ManualClock)
            desk.clock.advance(SECOND // 20)
            if desk.sharing is not None:
                desk.sharing.nudge()
        return bool(condition())

    await stage.until(look, what)


async def test_an_entry_is_called_shared_when_it_was_read_back_and_not_before(tmp_path: Path) -> None:
    async with Opened(tmp_path, meeting=meeting(tmp_path / "usb")) as stage:
        await turning(stage, lambda: "shared to usb" in header(stage), "shared")
        await stage.press("i")
        await stage.type("one more")
        await stage.press("enter")
        await stage.until_said("saved 14:0")
        stage.screen.show_clocks()
        stage.console.sight.look(stage.room, stage.desk.standings)
        stage.screen.show_clocks()
        assert "shared to usb" not in header(stage)
        await turning(stage, lambda: "shared to usb" in header(stage), "shared again")
        await stage.press("escape", "2", "enter")
        await page_says(stage, "shared to usb (1 of 1 remote)")


async def test_when_the_war_room_that_shares_it_closes_this_one_goes_on(tmp_path: Path) -> None:
    home = staged(tmp_path)
    first = Case.open(home.case_dir(home.cases()[0]), home, project)
    try:
        async with app(home, meeting=meeting(tmp_path / "usb")).run_test(size=(120, 40)) as pilot:
            stage = Stage(pilot, await ready(pilot))
            await turning(stage, lambda: "another war room here shares it" in header(stage), "it is known")
            first.close()
            await turning(stage, lambda: "shared to usb" in header(stage), "shared")
    finally:
        first.close()


async def test_a_second_console_joins_is_introduced_and_seals(tmp_path: Path) -> None:
    place = meeting(tmp_path / "usb")
    async with Opened(tmp_path, meeting=place) as stage:
        ben = await Desk.open(Home.open(tmp_path / "ben", clock=ManualClock(NOW)), "ben", meeting=place)
        try:
            await turning(stage, lambda: stage.room.case.id in ben.home.cases(), "the incident is there", ben)
            room = await ben.enter(stage.room.code)
            await room.note("ben here")
            await turning(stage, lambda: "New console ben" in stage.said, "the introduction", ben)
            member = stage.room.incident.roster.members[ben.home.replica]
            assert (member.person, member.how) == ("ben", "first-use")
            assert " ".join(await stage.room.key_words(ben.home.replica)) in stage.said
            await turning(stage, lambda: "ben here" in painted(stage.timeline), "its line", ben)
            assert "ROSTER" not in painted(stage.timeline)
            await ben.refresh()
            assert await room.witness()
            evidence = await opened(stage)
            sealed = "by ben"
            await turning(
                stage, lambda: any(sealed in name for name in evidence.names("strand")), "the seal", ben
            )
            assert any("nobody compared" in name for name in evidence.names("member"))
        finally:
            await ben.close()


async def test_a_stick_that_is_pulled_out_is_said_and_counted_and_comes_back(tmp_path: Path) -> None:
    place = tmp_path / "usb"
    async with Opened(tmp_path, meeting=meeting(place)) as stage:
        await turning(stage, lambda: "shared to usb" in header(stage), "shared")
        place.rename(tmp_path / "pulled")
        await stage.room.note("while it is gone")
        await turning(stage, lambda: "1+ not shared" in header(stage), "what waits is counted")
        assert "usb SILENT since 14:0" in header(stage)
        evidence = await opened(stage)
        await evidence.choose("remote")
        await stage.press("enter")
        await page_says(stage, "no exchange since 14:0", "last error")
        await stage.press("escape", "colon", *"share", "enter")
        await evidence.until_said("asking 1 remote now")
        (tmp_path / "pulled").rename(place)
        await turning(stage, lambda: "shared to usb" in header(stage), "shared again")
        await evidence.until(lambda: "has everything of ours" in " ".join(evidence.names("remote")))
