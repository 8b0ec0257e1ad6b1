"""Every size: what leaves first, what never leaves, and a storm of resizes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from textual.screen import Screen

from console.room import Room
from screens.room import RoomScreen
from screens.widgets.header import Header
from screens.widgets.strips import StripLines
from screens.widgets.writer import Writer
from tests.screens.stage import app, ready, staged, until


def on_screen(screen: Screen[object], name: str) -> bool:
    return screen.query_one(f"#{name}").is_on_screen


@pytest.mark.parametrize(
    ("size", "shown", "hidden"),
    [
        ((200, 50), "alerts timeline checklist rollback detail box hints header", "tabs too-small"),
        ((120, 40), "alerts timeline checklist rollback box hints header", "tabs detail too-small"),
        ((80, 24), "alerts detail tabs box hints header", "timeline checklist rollback too-small"),
        ((80, 20), "alerts tabs box hints header", "timeline checklist rollback detail too-small"),
        ((80, 11), "alerts box header", "timeline hints tabs detail too-small"),
        ((20, 5), "box too-small", "alerts timeline hints tabs header detail"),
    ],
)
async def test_what_each_size_shows(tmp_path: Path, size: tuple[int, int], shown: str, hidden: str) -> None:
    home_ = staged(tmp_path)
    async with app(home_).run_test(size=size) as pilot:
        console = await ready(pilot)
        screen = console.screen
        for name in shown.split():
            await until(pilot, partial(on_screen, screen, name), f"{name} at {size}")
        for name in hidden.split():
            assert not screen.query_one(f"#{name}").is_on_screen, name


async def test_the_write_bar_works_where_nothing_else_fits(tmp_path: Path) -> None:
    home_ = staged(tmp_path)
    async with app(home_).run_test(size=(20, 5)) as pilot:
        console = await ready(pilot)
        assert console.desk is not None
        room = console.desk.room
        assert room is not None
        await pilot.press("i", *"small", "enter")
        await until(pilot, lambda: bool(room.saved_at))
        assert [line.text for line in await room.lines.search("small")] == ["small"]


async def test_typing_survives_a_storm_of_resizes(tmp_path: Path) -> None:
    home_ = staged(tmp_path)
    sizes = [
        (80, 24),
        (40, 10),
        (3, 2),
        (1, 1),
        (300, 100),
        (200, 50),
        (20, 5),
        (120, 40),
        (100, 12),
        (99, 23),
        (160, 24),
    ]
    async with app(home_).run_test(size=(120, 40)) as pilot:
        console = await ready(pilot)
        screen = console.base
        assert isinstance(screen, RoomScreen)
        await pilot.press("i")
        for size in sizes:
            await pilot.resize_terminal(*size)
            await pilot.press("x", "escape", "2", "j", "3", "k", "i")
        assert screen.query_one(Writer).text == "x" * len(sizes)
        await pilot.resize_terminal(120, 40)
        await pilot.press("escape", "4", "r")
        for size in sizes:
            await pilot.resize_terminal(*size)
        await pilot.press("escape")
        await until(pilot, lambda: console.screen is screen)


words = st.text(st.characters(codec=None), max_size=30)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    left=st.lists(st.tuples(words, st.just(""), st.integers(-1, 5)), max_size=8),
    right=st.lists(st.tuples(words, st.just(""), st.integers(-1, 5)), max_size=4),
    width=st.integers(1, 200),
)
def test_a_strip_never_exceeds_its_line_unless_nothing_may_leave(
    left: list[tuple[str, str, int]], right: list[tuple[str, str, int]], width: int
) -> None:
    from screens.display import fit
    from screens.widgets.strips import _fitting

    def clean(pieces: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
        return [(fit(text, len(text)), tone, rank) for text, tone, rank in pieces]

    kept_left, kept_right = _fitting(clean(left), clean(right), width)
    kept = [*kept_left, *kept_right]
    ranks_kept = {rank for _, _, rank in kept}
    if ranks_kept - {0, -1}:
        from rich.cells import cell_len

        assert sum(cell_len(text) + 2 for text, _, rank in kept if rank != -1) <= width


@pytest.mark.parametrize("width", [80, 100, 120, 200])
async def test_not_watching_and_not_saved_are_both_said_at_every_width(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    home_ = staged(tmp_path)
    async with app(home_, watched=False).run_test(size=(width, 24)) as pilot:
        console = await ready(pilot)
        screen = console.screen
        assert isinstance(screen, RoomScreen)
        trouble = "The disk is full, and nothing that is typed can be kept there"
        monkeypatch.setattr(Room, "trouble", trouble)
        screen.show_clocks()
        header = screen.query_one(Header)
        await until(pilot, lambda: "NOT SAVED" in header.words and header.size.width == width)
        line = header.render_line(0).text
        for words in ("  LIVE  ", "  NOT WATCHING  ", " unacked  NOT SAVED  The disk is full"):
            assert words in line


def test_a_strip_says_all_it_can() -> None:
    strip = StripLines()
    strip.show(([("code", "", 0), ("title", "", 3)], [("saved", "", 0)]))
    assert strip.words == "code  title  saved"
