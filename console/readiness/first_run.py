"""The first run: what is asked, what is left, and how long it took. What is answered stands in the configuration."""

from __future__ import annotations

from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from console.readiness.fill_ins import CONTACTS, DECISION_OWNERS, RUNBOOK_LINKS, containments, halts, held
from console.readiness.observed import Seen, Use
from data import durable
from data.clock import iso

if TYPE_CHECKING:
    from console.config import Config
    from playbooks.guidance import FillIn
    from playbooks.library import Library

BUDGET = (60, 90)
"""Minutes that a team should plan to baseline the runbook against its own stack (S003-FR-3)."""
MINUTE = 60_000_000_000
NAME = "first-run.json"
THRESHOLDS = "thresholds"
LONGEST = 128
"""Characters of a name that can be declared."""


class Progress(msgspec.Struct):
    """What the configuration cannot tell: the time spent (ns), and what was left open on purpose."""

    v: int = 1
    spent: int = 0
    passed: list[str] = []


def progress(home: Path) -> Progress:
    """How far an earlier run came; a file that cannot be read costs the time and what was left open."""
    try:
        with (home / NAME).open("rb") as file:
            return msgspec.json.decode(file.read(1 << 16), type=Progress)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return Progress()


def keep(home: Path, made: Progress) -> None:
    """Write down how far this run came (raises OSError)."""
    durable.replace(home / NAME, msgspec.json.encode(made))


def left(config: Config, library: Library, made: Progress) -> list[FillIn]:
    """What is still to be asked, in order: not complete, and not left open on purpose."""
    return [
        each
        for each in asked(library)
        if each.id not in made.passed and not complete(config, library, each.id)
    ]


def complete(config: Config, library: Library, fill_in: str) -> bool:
    """Whether the configuration answers all of it. Limits have defaults: only asking tells."""
    if fill_in == THRESHOLDS:
        return False
    return all(held(config, library, fill_in).values())


def asked(library: Library) -> tuple[FillIn, ...]:
    """Everything that is asked."""
    from playbooks.guidance import Organisation

    return library.only(Organisation).fill_ins


class Slot(NamedTuple):
    """One line to ask for: what it is called, and where in the configuration its answer goes.

    Attributes:
        label: what it is about, where a question has several.
        paths: the keys under which it stands; the same answer under each.
        apart: characters that separate the values on one line; empty: the line is one value.
        listed: whether the setting is a list, even of one.
    """

    label: str
    paths: tuple[tuple[str, ...], ...]
    apart: str = ""
    listed: bool = True

    def value(self, line: str) -> str | list[str]:
        """What a line means as a setting."""
        if not self.listed:
            return line.strip()
        for separator in self.apart:
            line = line.replace(separator, "\n")
        return [part.strip() for part in line.split("\n") if part.strip()]


def slots(library: Library, fill_in: FillIn) -> list[Slot]:
    """What is asked for a fill-in, line by line; agents, inventories and limits have a dialogue of their own."""
    apart = {"contacts": ",;", "list": ";"}.get(fill_in.answer, "")
    match fill_in.id:
        case "halt-holders":
            return [Slot("", tuple(("authority", each.id) for each in halts(library)), apart)]
        case "contain-holders":
            return [Slot(each.title, (("authority", each.id),), apart) for each in containments(library)]
        case "on-call" | "legal-contacts":
            return [Slot("", (("contacts", CONTACTS[fill_in.id]),), apart)]
        case "decision-owners":
            return [Slot(name, (("contacts", name),), apart) for name in DECISION_OWNERS]
        case "runbook-links":
            return [Slot(name, (("playbooks", "links", name),), listed=False) for name in RUNBOOK_LINKS]
        case _:
            return [Slot("", (("organisation", fill_in.id),), apart)]


def clock(spent: int, minutes_left: int) -> str:
    """The time spent against the time that was planned. `spent`: ns."""
    low, high = BUDGET
    minutes = spent // MINUTE
    over = f"; over {high}: leave the rest for another day" if minutes > high else ""
    return f"{minutes} min of {low} to {high} spent, about {minutes_left} to go{over}"


def seen_line(name: str, use: Use) -> str:
    """A name with how often it was seen, and from when to when."""
    first, last = iso(use.first, 0)[:16], iso(use.last, 0)[:16]
    return f"{name}  once, {last}Z" if use.count == 1 else f"{name}  {use.count:,} times, {first}Z to {last}Z"


def declarable(name: str, most: int = LONGEST) -> str:
    """A name that was seen, as the glob that means it and nothing else; empty where it cannot be declared."""
    glob = escape(name)
    return glob if name.isprintable() and len(glob) <= most else ""


def drafted(seen: Seen) -> tuple[list[tuple[str, Use]], list[tuple[str, Use]]]:
    """The tools and the endpoints that an agent used, most used first."""
    tools = sorted(seen.tools.items(), key=lambda each: -each[1].count)
    return tools, sorted(seen.endpoints.items(), key=lambda each: -each[1].count)


def chosen(text: str, count: int) -> list[int]:
    """Places (from 0) that somebody chose by number: `1 3-5`, `all`, or nothing.

    Raises:
        ValueError: it names no numbers of the list.
    """
    if text.strip().lower() in ("", "none", "no", "n"):
        return []
    if text.strip().lower() == "all":
        return list(range(count))
    picked: dict[int, None] = {}
    for word in text.replace(",", " ").split():
        low, dash, high = word.partition("-")
        if not low.isascii() or not low.isdigit() or (dash and not (high.isascii() and high.isdigit())):
            raise ValueError(f"{word} is no number of the list")
        first, last = int(low), int(high or low)
        if not 1 <= first <= last <= count:
            raise ValueError(f"{word} is not between 1 and {count}")
        picked.update(dict.fromkeys(range(first - 1, last)))
    return list(picked)
