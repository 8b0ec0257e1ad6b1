"""The readiness screen: the same questions as on the command line, each answered with one key."""

from pathlib import Path

import pytest
from textual.pilot import Pilot

from console.config import Config
from console.desk import Desk
from screens.dialogs.form import Form
from screens.dialogs.page import Page
from screens.home import HomeScreen
from screens.readiness import Questions, ReadinessScreen
from screens.warroom import WarRoomApp
from screens.widgets.sheet import Sheet
from screens.widgets.strips import StripLines
from tests.readiness.conftest import rows_of
from tests.screens.stage import app, home, ready, staged, until

SIZES = [(80, 24), (120, 40), (200, 50), (40, 10)]
FIRST = "containment-prepared/disable-tool"
SECOND = "containment-prepared/force-approval"


@pytest.fixture(autouse=True)
def no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WARROOM_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


async def opened(pilot: Pilot[None]) -> ReadinessScreen:
    """Press 9 and wait for the questions."""
    await ready(pilot, room=False)
    await pilot.press("9")
    await until(pilot, lambda: isinstance(pilot.app.screen, ReadinessScreen), "the screen is open")
    screen = pilot.app.screen
    assert isinstance(screen, ReadinessScreen)
    await until(pilot, lambda: screen.query_one(Questions).count > 0, "the questions are there")
    return screen


def here(screen: ReadinessScreen) -> str:
    line = screen.query_one(Questions).selected
    assert line is not None
    assert line.row is not None
    return line.row.id


def said(screen: ReadinessScreen) -> str:
    return screen.query_one("#readiness-says", StripLines).words


def told(screen: ReadinessScreen) -> str:
    """The detail of what is selected."""
    return " ".join(f"{line.label} {line.text}" for line in screen.query_one("#about", Sheet).all_rows)


async def recorded(pilot: Pilot[None], screen: ReadinessScreen, said_: str) -> None:
    await until(pilot, lambda: said_ in said(screen), said_)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.req("S004-RD-8")
async def test_every_question_is_there_with_its_answer_at_any_size(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    home_ = home(tmp_path)
    async with app(home_).run_test(size=size) as pilot:
        screen = await opened(pilot)
        shown = {line.row.id: line.row.answer for line in screen.query_one(Questions).all_rows if line.row}
        rows = await rows_of(Config(), home_, home_.clock.now())
        assert shown == {row.id: row.answer for row in rows.values()}
        words = screen.query_one(Questions).border_title
        assert "OWNED BY NOBODY" in str(words)
        assert "%" not in str(words)
        strip = screen.query_one(Questions).render_line(1)
        assert "unknown" in strip.text


async def test_one_key_answers_and_the_next_key_is_for_the_next_question(tmp_path: Path) -> None:
    home_ = home(tmp_path)
    async with app(home_).run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        assert here(screen) == FIRST
        await pilot.press("y", "u")
        await recorded(pilot, screen, f"{SECOND}: unknown")
        rows = await rows_of(Config(), home_, home_.clock.now())
        assert (rows[FIRST].answer, rows[SECOND].answer) == ("yes", "unknown")
        first, second = rows[FIRST].given, rows[SECOND].given
        assert first is not None
        assert second is not None
        assert (first.by, second.by) == ("ana", "ana")


@pytest.mark.req("S001-RV-6")
async def test_a_no_asks_who_closes_the_gap_and_shows_it_while_nobody_does(tmp_path: Path) -> None:
    home_ = home(tmp_path)
    async with app(home_).run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(pilot.app.screen, Form), "the form is open")
        await pilot.press("enter")
        await recorded(pilot, screen, f"{FIRST}: no")
        for words in ("nobody", "no wider rollout", "Shrink the pilot"):
            await until(pilot, lambda words=words: words in " ".join(told(screen).split()), words)  # type: ignore[misc]
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Form), "the form is open again")
        await pilot.press("tab", *"ben", "tab", *"in March", "enter")
        await until(pilot, lambda: "ben" in told(screen), "the owner stands there")
        row = (await rows_of(Config(), home_, home_.clock.now()))[FIRST]
        assert row.given is not None
        assert (row.answer, row.owner, row.given.body.note) == ("no", "ben", "in March")


async def test_yes_to_what_is_checked_as_no_is_refused_with_the_reason(tmp_path: Path) -> None:
    home_ = home(tmp_path)
    async with app(home_).run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot)
        rows = screen.query_one(Questions)
        place = next(i for i, line in enumerate(rows.all_rows) if line.row and line.row.id == "set-up/agents")
        rows.go(place)
        await pilot.press("y")
        await recorded(pilot, screen, "set-up/agents is checked, and the answer is no")
        assert (await rows_of(Config(), home_, home_.clock.now()))["set-up/agents"].given is None


async def test_left_and_right_go_from_review_to_review(tmp_path: Path) -> None:
    async with app(home(tmp_path)).run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("right")
        assert here(screen) == "control-review/purpose"
        await pilot.press("down", "left")
        assert here(screen) == "control-review/purpose"
        await pilot.press("left")
        assert here(screen) == FIRST


async def test_esc_goes_back_to_where_it_was_opened(tmp_path: Path) -> None:
    async with app(home(tmp_path)).run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, HomeScreen), "the list of incidents")


async def test_what_was_opened_for_reading_takes_no_answer(tmp_path: Path) -> None:
    home_ = home(tmp_path)
    console = WarRoomApp(lambda: Desk.open(home_, "ana", read_only=True))
    async with console.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("y")
        await recorded(pilot, screen, "reading only")
        assert not (home_.path / "readiness").exists()


async def test_a_drill_says_that_it_has_none(tmp_path: Path) -> None:
    async with app(staged(tmp_path, "drill")).run_test(size=(80, 24)) as pilot:
        console = await ready(pilot)
        await pilot.press("9")
        line = console.screen.query_one("#said", StripLines)
        await until(pilot, lambda: "A drill has no readiness" in line.words, "it is said")


async def test_links_and_contacts_are_shown_on_request(tmp_path: Path) -> None:
    path = tmp_path / "config" / "warroom" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(
        '[contacts]\non-call = ["https://rota"]\n[organisation]\ndashboards = ["https://g\\u202e"]\n'
    )
    async with app(staged(tmp_path)).run_test(size=(80, 24)) as pilot:
        console = await ready(pilot)
        await pilot.press("8")
        await until(pilot, lambda: isinstance(console.screen, Page), "the page is open")
        text = " ".join(line.text for line in console.screen.query_one(Sheet).all_rows)
        assert "On-call engineer: https://rota" in text
        assert "dashboards: https://g" in text
        assert "\u202e" not in console.screen.query_one(Sheet).render_line(3).text


async def test_where_nothing_is_filled_in_the_page_says_how(tmp_path: Path) -> None:
    async with app(home(tmp_path)).run_test(size=(80, 24)) as pilot:
        console = await ready(pilot, room=False)
        await pilot.press("8")
        await until(pilot, lambda: isinstance(console.screen, Page), "the page is open")
        assert "warroom init" in " ".join(line.text for line in console.screen.query_one(Sheet).all_rows)
