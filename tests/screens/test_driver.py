"""What the terminal sends, as keys."""

from __future__ import annotations

import pytest
from textual import events

from screens.driver import _Keyboard


def keys(text: str) -> list[tuple[str, str | None]]:
    parser = _Keyboard()
    found = list(parser.feed(text + "\x1b\x1b"))
    return [(event.key, event.character) for event in found if isinstance(event, events.Key)][:-1]


@pytest.mark.parametrize("char", [*"0123456789-=:/azAZé!"])
def test_escape_and_a_character_in_one_go_are_two_keys(char: str) -> None:
    escape, key = keys("\x1b" + char)
    assert escape == ("escape", "\x1b")
    assert key[1] == char


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ("\x1b[A", "up"),
        ("\x1b[1;3A", "alt+up"),
        ("\x1bOP", "f1"),
        ("\x1bf", "ctrl+right"),
        ("\x1b\x7f", "ctrl+w"),
    ],
)
def test_sequences_stay_what_they_are(sent: str, key: str) -> None:
    assert [name for name, _ in keys(sent)] == [key]
