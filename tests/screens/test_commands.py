"""One object per command: keys, palette, hints, help and documents cannot disagree."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import screens.deeds  # noqa: F401 - registers the deeds
from screens.commands import BY_ID, BY_NAME, COMMANDS, SCREENS, commands_for
from screens.console_screen import DEEDS
from screens.help import keys_document
from screens.keymap import FORBIDDEN, default_keys, resolve, shown
from screens.widgets.hints import ALWAYS, ORDER

DOCUMENT = Path(__file__).parents[2] / "docs" / "keys.md"


def test_every_command_does_something_and_nothing_else_does() -> None:
    assert set(DEEDS) == set(BY_ID)


def test_ids_names_and_default_keys_are_unique() -> None:
    assert len(BY_ID) == len(COMMANDS)
    assert len(BY_NAME) == sum(bool(command.name) for command in COMMANDS)
    for place in SCREENS:
        keys = Counter(key for command in commands_for(place) for key in default_keys(command))
        assert [key for key, count in keys.items() if count > 1] == [], place
        assert not set(keys) & set(FORBIDDEN)


def test_every_command_can_be_reached() -> None:
    assert [command.id for command in COMMANDS if not command.keys and not command.name] == []


def test_hints_name_commands() -> None:
    assert {name for names in ORDER.values() for name in names} | set(ALWAYS) <= set(BY_ID)


def test_the_document_of_keys_is_current() -> None:
    assert DOCUMENT.read_text() == keys_document(), "renew it: python -m screens.help > docs/keys.md"


def test_defaults_are_a_keymap_without_problems() -> None:
    keymap, problems = resolve({})
    assert problems == []
    assert keymap["alert.ack"] == ("a",)


def test_an_override_replaces_the_keys() -> None:
    keymap, problems = resolve({"alert.ack": "ctrl+g, F7", "help": ""})
    assert problems == []
    assert keymap["alert.ack"] == ("ctrl+g", "f7")
    assert keymap["help"] == ()


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"alert.akc": "k"}, "there is no command 'alert.akc'"),
        ({"alert.ack": "s"}, "s already belongs to alert.silence"),
        ({"alert.ack": "ctrl+b"}, "prefix of tmux"),
        ({"alert.ack": "j"}, "it moves in every list"),
        ({"alert.ack": "hyper+q"}, "is not the name of a key"),
        ({"alert.ack": "ctrl+enter"}, "does not arrive"),
        ({"alert.ack": "%", "help": "%"}, "already belongs to"),
    ],
)
def test_a_wrong_override_is_refused_by_name_and_changes_nothing(
    overrides: dict[str, str], says: str
) -> None:
    keymap, problems = resolve(overrides)
    assert any(says in problem for problem in problems)
    assert keymap["alert.ack"] in (("a",), ("percent_sign",))
    assert keymap["alert.silence"] == ("s",)


def test_two_commands_may_swap_keys() -> None:
    keymap, problems = resolve({"alert.ack": "s", "alert.silence": "a"})
    assert problems == []
    assert (keymap["alert.ack"], keymap["alert.silence"]) == (("s",), ("a",))


@given(
    st.dictionaries(
        st.one_of(st.sampled_from(sorted(BY_ID)), st.text(max_size=20)), st.text(max_size=12), max_size=6
    )
)
def test_whatever_the_configuration_says_no_key_means_two_things_on_one_screen(
    overrides: dict[str, str],
) -> None:
    keymap, _ = resolve(overrides)
    for place in SCREENS:
        keys = Counter(key for command in commands_for(place) for key in keymap[command.id])
        assert all(count == 1 for count in keys.values())
    assert set(keymap) == set(BY_ID)


def test_a_fallback_takes_its_own_keys_back() -> None:
    keymap, problems = resolve({"alert.ack": "?", "help": "ctrl+p"})
    assert len(problems) == 2
    assert (keymap["help"], keymap["alert.ack"]) == (("question_mark", "f1"), ("a",))


def test_keys_are_written_as_people_write_them() -> None:
    assert [shown(key) for key in ("a", "A", "f1", "ctrl+p", "question_mark", "plus", "alt+up")] == [
        "a",
        "A",
        "F1",
        "Ctrl+P",
        "?",
        "+",
        "Alt+↑",
    ]
