"""The scribe's grammar: what one typed line means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.events import NoteWritten, UpdateSent, instant
from console.refusal import Refused
from console.scribe import AHEAD, DAY, LONGEST, parse
from data.clock import parse_iso

SECOND = 1_000_000_000
TYPED = parse_iso("2026-11-21T14:02:31Z")
NOW = TYPED + 20 * SECOND


@pytest.mark.parametrize(
    ("line", "style", "text"),
    [
        ("first refund seen", "note", "first refund seen"),
        ("!hold the refunds", "decision", "hold the refunds"),
        ("! hold", "decision", "hold"),
        ("?the old key", "hypothesis", "the old key"),
        (">revoked the token", "action", "revoked the token"),
        ("+status page updated", "comms", "status page updated"),
        ("\\!starts with a bang", "note", "!starts with a bang"),
        ("\\-5m is what it said", "note", "-5m is what it said"),
        ("\\14:05 is in the log", "note", "14:05 is in the log"),
        ("14:01 \\!starts with a bang", "note", "!starts with a bang"),
        ("  padded  ", "note", "padded"),
        ("14:01 !hold", "decision", "hold"),
        ("!14:01 hold", "decision", "hold"),
    ],
)
def test_sigils(line: str, style: str, text: str) -> None:
    written = parse(line, TYPED, NOW)
    assert (written.note.style, written.note.text) == (style, text)
    assert isinstance(written.note, UpdateSent) == (style == "comms")


@pytest.mark.parametrize(
    ("line", "at"),
    [
        ("now", "2026-11-21T14:02:31Z"),
        ("14:01 seen", "2026-11-21T14:01:00Z"),
        ("14:01:20 seen", "2026-11-21T14:01:20Z"),
        ("9:05 seen", "2026-11-21T09:05:00Z"),
        ("23:58 seen", "2026-11-20T23:58:00Z"),
        ("-5m seen", "2026-11-21T13:57:31Z"),
        ("-90s seen", "2026-11-21T14:01:01Z"),
        ("-2h seen", "2026-11-21T12:02:31Z"),
        ("-5min seen", "2026-11-21T13:57:31Z"),
        ("-5 Mins seen", "2026-11-21T13:57:31Z"),
        ("-2 hours seen", "2026-11-21T12:02:31Z"),
        ("2026-11-20T23:50Z seen", "2026-11-20T23:50:00Z"),
        ("2026-11-21T15:00+02:00 seen", "2026-11-21T13:00:00Z"),
    ],
)
def test_backdating(line: str, at: str) -> None:
    written = parse(line, TYPED, NOW)
    assert written.at == parse_iso(at)
    assert instant(written.note.typed) == TYPED
    assert written.backdated == (line != "now")


@pytest.mark.parametrize(
    ("typed", "line", "at"),
    [
        ("2026-11-21T14:03:00Z", "14:05 seen", "2026-11-21T14:05:00Z"),
        ("2026-11-21T14:03:00Z", "14:08 seen", "2026-11-21T14:08:00Z"),
        ("2026-11-21T14:03:00Z", "14:09 seen", "2026-11-20T14:09:00Z"),
        ("2026-11-21T23:58:00Z", "00:01 seen", "2026-11-22T00:01:00Z"),
        ("2026-11-21T23:50:00Z", "00:01 seen", "2026-11-21T00:01:00Z"),
        ("2026-11-21T00:02:00Z", "23:58 seen", "2026-11-20T23:58:00Z"),
    ],
)
def test_a_scribe_whose_clock_is_some_minutes_ahead_means_this_day(typed: str, line: str, at: str) -> None:
    began = parse_iso(typed)
    assert parse(line, began, began + SECOND, AHEAD).at == parse_iso(at)


def test_what_must_have_happened_is_never_ahead() -> None:
    assert parse("14:03 seen", TYPED, NOW).at == parse_iso("2026-11-20T14:03:00Z")


def test_a_line_that_was_begun_the_day_before_means_that_day() -> None:
    assert parse("14:00 seen", TYPED, TYPED + DAY, AHEAD).at == parse_iso("2026-11-21T14:00:00Z")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "   ",
        "!",
        "25:00 x",
        "14:61 x",
        "2026-13-01T00:00Z x",
        "2027-01-01T00:00Z x",
        "-999999d x",
        "x" * (LONGEST + 1),
    ],
)
def test_refused_with_a_next_step(line: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(line, TYPED, NOW)
    assert refused.value.what
    assert refused.value.next_step


@pytest.mark.parametrize("line", ["14:05", "-5m", "-5mx later", "14:5 x", "10:00am maybe", "-5x ago"])
def test_what_only_looks_like_a_time_stays_text(line: str) -> None:
    written = parse(line, TYPED, NOW)
    assert (written.note.text, written.at) == (line, TYPED)


def test_tags_and_mentions_stay_in_the_text() -> None:
    note = parse("ask @ben about #refund and #refund, not a@b.c or #", TYPED, NOW).note
    assert note.tags == ("refund",)
    assert note.mentions == ("ben",)
    assert note.text == "ask @ben about #refund and #refund, not a@b.c or #"


@given(st.text(max_size=300))
def test_whatever_is_typed_is_written_or_refused_in_words(line: str) -> None:
    try:
        written = parse(line, TYPED, NOW)
    except Refused:
        return
    assert isinstance(written.note, NoteWritten)
    assert written.note.text
    assert written.note.text in line
    assert written.at <= NOW
