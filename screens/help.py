"""The help page and docs/keys.md, both written from the commands."""

from __future__ import annotations

from collections.abc import Mapping

from screens.commands import COMMANDS, Place, Situation, commands_for, reason
from screens.keymap import FORBIDDEN, resolve, shown
from screens.widgets.sheet import Para

GRAMMAR: tuple[tuple[str, str], ...] = (
    ("text", "a note; its time is when you began to type"),
    ("!text", "a decision"),
    ("?text", "a hypothesis"),
    (">text", "an action taken"),
    ("+text", "a communication; restarts the update clock"),
    ("14:05 text", "happened at the last 14:05 UTC"),
    ("-5m text", "happened 5 minutes ago (s, m, h, d)"),
    ("@name #tag", "mentions a person or role, tags the entry"),
    ("\\!text", "a note that begins with a mark"),
)
MOVES: tuple[tuple[str, str], ...] = (
    ("Up Down j k", "move"),
    ("PgUp PgDn", "a screen at a time"),
    ("g G", "to the top; to the end, where the timeline follows"),
    ("Tab Shift+Tab", "next pane, previous pane"),
    ("Esc", "one step back; never quits"),
    ("mouse", "click selects, a second click opens, the wheel scrolls"),
)


def keys_of(name: str, keymap: Mapping[str, tuple[str, ...]]) -> str:
    """Return the keys of a command as people write them, or an empty string."""
    return " ".join(shown(key) for key in keymap[name])


def paragraphs(place: Place, now: Situation, keymap: Mapping[str, tuple[str, ...]]) -> list[Para]:
    """Return the help for `place`; what is not possible now says why."""
    paras = [Para("Keys that work here now", tone="strong")]
    later = [Para(""), Para("Not now", tone="strong")]
    for command in commands_for(place):
        keys = keys_of(command.id, keymap) or f":{command.name}"
        why = reason(command, now)
        if why:
            later.append(Para(f"{command.title}. {why}", keys, "quiet"))
        else:
            paras.append(Para(f"{command.title}. {command.help}", keys))
    paras += [Para(""), Para("Moving", tone="strong"), *(Para(text, keys) for keys, text in MOVES)]
    paras += [Para(""), Para("Writing", tone="strong"), *(Para(text, what) for what, text in GRAMMAR)]
    return paras + later if len(later) > 2 else paras


def keys_document() -> str:
    """Return docs/keys.md."""
    keymap, _ = resolve({})
    lines = [
        "# Keys and commands",
        "",
        "Written from the commands themselves; `python -m screens.help > docs/keys.md` renews it.",
        "Every id can be given other keys in the configuration, under `keys`. Single letters work outside text boxes.",
        "",
        "| key | command line | id | what it does |",
        "| --- | --- | --- | --- |",
    ]
    for command in COMMANDS:
        keys = " ".join(f"`{shown(key)}`" for key in keymap[command.id])
        name = f"`:{command.name}`" if command.name else ""
        lines.append(f"| {keys} | {name} | `{command.id}` | {command.title}. {command.help} |")
    lines += ["", "## Moving", "", "| key | what it does |", "| --- | --- |"]
    lines += [f"| `{keys}` | {text} |" for keys, text in MOVES]
    lines += ["", "## Writing", "", "| typed | means |", "| --- | --- |"]
    lines += [f"| `{what}` | {text} |" for what, text in GRAMMAR]
    lines += ["", "## Keys that cannot be given away", "", "| key | why |", "| --- | --- |"]
    lines += [f"| `{shown(key)}` | {why} |" for key, why in FORBIDDEN.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(keys_document(), end="")
