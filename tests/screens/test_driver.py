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


@pytest.mark.parametrize("step", [1, 5, 7, 4096])
def test_a_paste_with_escape_sequences_is_one_text_in_order(step: int) -> None:
    sent = "a\x1b[200~Q3 ERROR \x1b[1mboom\x1b[m\r\x1b[200~\x1b tail\x1b\x1b[201~\rb\x1b[200~two\x1b[201~c"
    parser = _Keyboard()
    found = [event for at in range(0, len(sent), step) for event in parser.feed(sent[at : at + step])]
    assert [getattr(event, "text", None) or getattr(event, "key", event) for event in found] == [
        "a",
        "Q3 ERROR ␛[1mboom␛[m\r␛[200~␛ tail␛",
        "enter",
        "b",
        "two",
        "c",
    ]


def test_the_beginning_of_a_paste_is_none_when_its_escape_was_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    parser = _Keyboard()
    assert not list(parser.feed("\x1b"))
    monkeypatch.setattr("textual._parser.get_time", lambda: float("inf"))
    found = [*parser.tick(), *parser.feed("[200~x")]
    assert [event.key for event in found if isinstance(event, events.Key)][-1] == "x"


def test_half_a_character_is_not_the_end_of_the_keyboard() -> None:
    parser = _Keyboard()
    assert not list(parser.feed(""))
    assert [event.key for event in parser.feed("x") if isinstance(event, events.Key)] == ["x"]
