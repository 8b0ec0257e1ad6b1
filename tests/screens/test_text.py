"""Both text gates: nothing that a terminal obeys passes, nothing is lost without a mark."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from screens.display import block, content, fit
from screens.gate import Printable
from tests.screens.stage import HOSTILE

anything = st.text(st.characters(codec=None), max_size=300)


@given(anything, st.integers(1, 120))
def test_fit_is_printable_and_as_wide_as_asked(text: str, cells: int) -> None:
    shown = fit(text, cells)
    assert shown.isprintable()
    assert cell_len(shown) >= cells
    assert len(shown) <= 4 * cells


@given(st.text(st.characters(max_codepoint=0x24F), max_size=300), st.integers(1, 120))
def test_fit_of_latin_text_has_exactly_the_width(text: str, cells: int) -> None:
    assert cell_len(fit(text, cells)) == cells


@given(anything, st.integers(1, 100), st.integers(1, 30))
def test_block_keeps_every_line_within_its_width(text: str, width: int, rows: int) -> None:
    lines, _ = block(text, width, rows)
    assert 1 <= len(lines) <= rows
    assert all(line.isprintable() for line in lines)
    assert all(cell_len(line) <= max(width, 2) for line in lines)


@pytest.mark.parametrize("width", [0, -1, -12])
def test_block_comes_to_an_end_where_there_is_no_room(width: int) -> None:
    assert block("a word", width) == block("a word", 1)
    assert block("", width) == ([""], 0)


def test_block_says_what_it_leaves_out() -> None:
    lines, escaped = block("\n".join(["\x1bx"] * 50), 40, 10)
    assert lines[-1] == "… 41 more lines"
    assert escaped == 50


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_content_is_never_markup(text: str) -> None:
    shown = content(text)
    assert shown.plain.isprintable()
    assert not shown.spans


@given(st.lists(anything, max_size=8))
def test_gate_two_lets_only_printable_text_through(texts: list[str]) -> None:
    segments = [Segment(text, Style.null()) for text in texts]
    passed = Printable().apply(segments, Color(0, 0, 0))
    assert all(segment.text.isprintable() for segment in passed)
    assert sum(s.cell_length for s in passed) == sum(s.cell_length for s in segments)


def test_gate_two_passes_clean_segments_on_untouched() -> None:
    segments = [Segment("clean"), Segment("漢字 ✖")]
    assert Printable().apply(segments, Color(0, 0, 0)) is segments
