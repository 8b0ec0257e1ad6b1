"""The text gate: whatever comes in, only drawable characters come out."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcswidth

from console.plain import many, show, visible

HOSTILE = {
    "clear screen": ("\x1b[2J", "␛[2J"),
    "clipboard": ("\x1b]52;c;aGk=\x07", "␛]52;c;aGk=␇"),
    "C1 CSI": ("\x9b31m", "\\u{9b}31m"),
    "overwrite": ("ok\rBAD", "ok␍BAD"),
    "backspace": ("a\x08b", "a␈b"),
    "delete": ("a\x7f", "a␡"),
    "right-to-left override": ("\u202egnp.exe", "\\u{202e}gnp.exe"),
    "zero width": ("ad\u200bmin", "ad\\u{200b}min"),
    "tag characters": ("hi\U000e0041", "hi\\u{e0041}"),
    "variation selector payload": ("a\U000e0101", "a\\u{e0101}"),
    "line separator": ("a\u2028b", "a\\u{2028}b"),
    "private use": ("\ue000", "\\u{e000}"),
    "lone surrogate": ("\ud800", "\\u{d800}"),
    "hangul filler": ("a\u3164b", "a\\u{3164}b"),
    "line feed": ("a\nb", "a␊b"),
}


@pytest.mark.parametrize(("raw", "shown"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_characters_are_shown_as_marks(raw: str, shown: str) -> None:
    assert visible(raw) == shown
    assert show(raw).escaped >= 1


@given(st.text(st.characters()), st.integers(1, 60))
def test_only_drawable_text_comes_out_and_it_fits(raw: str, limit: int) -> None:
    text, _, cut = show(raw, limit)
    assert text.isprintable()
    assert 0 <= wcswidth(text) <= limit
    assert cut == text.endswith("…") or raw.endswith("…")
    assert not any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co"} for char in text)


@given(st.text(st.characters()))
def test_lines_are_kept_only_when_asked_for(raw: str) -> None:
    kept = visible(raw, 10_000_000, lines=True)
    assert kept.count("\n") == raw.count("\n")
    assert "\n" not in visible(raw, 10_000_000)


def test_plain_text_passes_untouched() -> None:
    assert show("refund of 40 EUR, naïve café, 日本") == ("refund of 40 EUR, naïve café, 日本", 0, False)


def test_floods_of_combining_marks_are_folded_open() -> None:
    text = visible("a" + "\u0301" * 50)
    assert text.count("\u0301") == 2
    assert "\\u{301}" in text


def test_tabs_become_spaces_at_their_stops() -> None:
    assert visible("a\tb") == "a   b"


def test_a_wide_character_is_not_cut_in_half() -> None:
    assert visible("日本語", 4) == "日…"


@pytest.mark.parametrize(
    ("count", "thing", "said"),
    [
        (0, "event", "0 events"),
        (1, "event", "1 event"),
        (1204, "event", "1,204 events"),
        (1, "entry", "1 entry"),
        (2, "entry", "2 entries"),
    ],
)
def test_counts_stand_beside_the_right_word(count: int, thing: str, said: str) -> None:
    assert many(count, thing) == said
