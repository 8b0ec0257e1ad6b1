"""The keymap: which key does what, with the overrides of the configuration checked by name.

The toolkit drops a binding without a word when another one takes its key, so every clash is found here.
"""

from __future__ import annotations

from collections.abc import Mapping

from textual.keys import _character_to_key, format_key

from screens.commands import BY_ID, COMMANDS, Command, meet

FORBIDDEN: dict[str, str] = {
    "ctrl+a": "it is the prefix of screen and the start of the line in a text box",
    "ctrl+b": "it is the prefix of tmux",
    "ctrl+c": "it copies",
    "ctrl+d": "it deletes in a text box",
    "ctrl+e": "it is the end of the line in a text box",
    "ctrl+h": "terminals send it for Backspace",
    "ctrl+i": "terminals send it for Tab",
    "ctrl+j": "terminals send it for Enter",
    "ctrl+k": "it deletes in a text box",
    "ctrl+m": "terminals send it for Enter",
    "ctrl+s": "it stops the output of some terminals",
    "ctrl+u": "it deletes in a text box",
    "ctrl+w": "it deletes in a text box",
    "ctrl+z": "it suspends the program or undoes typing",
    "escape": "it always goes one step back",
    "tab": "it goes to the next pane",
    "shift+tab": "it goes to the previous pane",
    "up": "it moves in every list",
    "down": "it moves in every list",
    "j": "it moves in every list",
    "k": "it moves in every list",
    "g": "it goes to the top of every list",
    "G": "it goes to the end of every list",
}

NAMED = frozenset(
    [
        "enter",
        "escape",
        "tab",
        "space",
        "up",
        "down",
        "left",
        "right",
        "home",
        "end",
        "pageup",
        "pagedown",
        "backspace",
        "delete",
        "insert",
    ]
    + [f"f{number}" for number in range(1, 25)]
)


def default_keys(command: Command) -> tuple[str, ...]:
    """Return the keys of `command` in the toolkit's names."""
    return tuple(filter(None, command.keys.split(",")))


def resolve(overrides: Mapping[str, str]) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Return the keys of every command, and what is wrong with `overrides`, one sentence each.

    Args:
        overrides: command id to keys separated by commas, as in the configuration; an empty string takes the key away.

    An override that is wrong is left out, so that the console always opens with keys that work.
    """
    problems: list[str] = []
    wanted: dict[str, tuple[str, ...]] = {}
    for name, value in overrides.items():
        if name not in BY_ID:
            problems.append(f"keys: there is no command {name[:64]!r}; docs/keys.md lists them.")
            continue
        keys = tuple(_toolkit_name(key.strip()) for key in value.split(",") if key.strip())
        wrong = [fault for key in keys if (fault := _fault(key))]
        if wrong:
            problems += [f"keys: {name}: {fault}." for fault in wrong]
            continue
        wanted[name] = keys
    keymap = {command.id: wanted.get(command.id, default_keys(command)) for command in COMMANDS}
    # A command that falls back to its own keys may meet one that took them: look again until nobody falls back.
    while clash := _clash(keymap, wanted):
        name, key, rival = clash
        problems.append(
            f"keys: {name}: {shown(key)} already belongs to {rival}; give that one other keys too."
        )
        del wanted[name]
        keymap[name] = default_keys(BY_ID[name])
    return keymap, problems


def _clash(
    keymap: Mapping[str, tuple[str, ...]], wanted: Mapping[str, object]
) -> tuple[str, str, str] | None:
    """Return an overridden command, its key that another command has too where it exists, and that command."""
    for name in sorted(wanted):
        for key in keymap[name]:
            for other, keys in keymap.items():
                if other != name and key in keys and meet(BY_ID[name], BY_ID[other]):
                    return name, key, other
    return None


def shown(key: str) -> str:
    """Return `key` as people write it: `a`, `A`, `?`, `F1`, `Ctrl+P`."""
    *modifiers, last = key.split("+") if key != "+" else ["+"]
    last = {"enter": "Enter", "space": "Space", "escape": "Esc", "tab": "Tab", "plus": "+"}.get(
        last
    ) or format_key(last)
    if len(last) > 1 and last[0] == "f" and last[1:].isdigit():
        last = last.upper()
    if modifiers and len(last) == 1:
        last = last.upper()
    return "+".join([modifier.capitalize() for modifier in modifiers] + [last])


def _toolkit_name(key: str) -> str:
    return _character_to_key(key) if len(key) == 1 else key.lower()


def _fault(key: str) -> str:
    """Return why `key` cannot be used, or an empty string."""
    if key in FORBIDDEN:
        return f"{shown(key)} is taken: {FORBIDDEN[key]}"
    *modifiers, last = key.split("+")
    known = last in NAMED or len(last) == 1 or last in _PUNCTUATION
    if not known or any(modifier not in ("ctrl", "alt", "shift") for modifier in modifiers):
        return f"{key[:32]!r} is not the name of a key"
    if "alt" in modifiers and (len(last) == 1 or last in _PUNCTUATION):
        return f"{shown(key)} arrives as Esc and then {shown(last)} from most terminals"
    if last in ("enter", "backspace") and modifiers:
        return f"{shown(key)} does not arrive from most terminals"
    return ""


_PUNCTUATION = frozenset(_character_to_key(char) for char in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
