"""The rollback pane: every class of agent actions, how far its effects are, and which clock is worst."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from screens.display import fit
from screens.times import DAY, HOUR, MINUTE
from screens.widgets.rows import Cells, ListRows

if TYPE_CHECKING:
    from console.incident import Incident
    from console.rollback.ledger import Tally
    from console.rollback.tracker import ClassStanding, Clock

STATE_WORDS: dict[str, tuple[str, str]] = {
    "untouched": ("not looked at", "high"),
    "open": ("OPEN", "crit"),
    "reversing": ("REVERSING", "high"),
    "reversed": ("REVERSED, unverified", "med"),
    "substituted": ("SUBSTITUTED, unverified", "med"),
    "verified": ("VERIFIED", "ok"),
    "held": ("HELD", "held"),
    "waived": ("WAIVED", "held"),
    "clear": ("clear", "ok"),
}
SHORT = (("unclear", "?"), ("left", "open"), ("reversed", "rev"), ("substituted", "sub"), ("verified", "ver"))
"""Counts of a class in a line, the most urgent first; the page of the class has them in words."""


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One action class as it is drawn. `counts`: of its effects, where the ledger has any; `next`: what to do, a sentence."""

    id: str
    name: str
    effects: str
    state: str
    tone: str
    counts: str
    clock: str
    clock_tone: str
    next: str


def class_rows(state: Incident, now: int) -> list[ClassRow]:
    """Return the action classes of `state` at `now` (ns UTC)."""
    from console.rollback.tracker import standing  # not needed for the first frame

    return [_row(each, now) for each in standing(state, now)]


def _row(each: ClassStanding, now: int) -> ClassRow:
    words, tone = STATE_WORDS[each.state]
    count = each.said if each.effects is None else each.effects
    clock, clock_tone = at_risk(each.clock, now) if each.clock is not None else ("", "quiet")
    return ClassRow(
        each.id, each.name, "?" if count is None else f"{count:,}", words, tone,
        counted(each.tally) if each.effects is not None and not each.finished else "",
        clock, clock_tone, each.next,
    )  # fmt: skip


def counted(tally: Tally) -> str:
    """Return how many effects are how far, in few cells; what there is none of is left out."""
    found = ((getattr(tally, name), word) for name, word in SHORT)
    return " ".join(f"{count:,}{'' if word == '?' else ' '}{word}" for count, word in found if count)


def at_risk(clock: Clock, now: int) -> tuple[str, str]:
    """Return what is left of a budget, and its tone: from half of it on with how much is used, past it by how much."""
    if clock.deadline is None or clock.share is None:
        return "waits for containment", "quiet"
    text = left(clock.deadline - now)
    match clock.level:
        case "past":
            return f"{text} {clock.name}", "crit"
        case "near":
            return f"{clock.share}%! {text} {clock.name}", "high"
        case "half":
            return f"{clock.share}% {text} {clock.name}", "med"
        case _:
            return f"{text} {clock.name}", ""


def left(ns: int) -> str:
    """Return the time left on a budget, or by how much it is overrun, to the minute."""
    late, ns = ns < 0, abs(ns)
    if ns >= DAY:
        text = f"{ns // DAY}d{ns % DAY // HOUR:02}h"
    elif ns >= HOUR:
        text = f"{ns // HOUR}h{ns % HOUR // MINUTE:02}m"
    else:
        text = f"{ns // MINUTE}m" if ns >= MINUTE else "<1m"
    return f"OVER {text}" if late else text


class RollbackTracker(ListRows[ClassRow]):
    """The action classes of the incident."""

    def __init__(self) -> None:
        super().__init__(id="rollback")
        self._title, self._waits = "4 Rollback", ""

    def key(self, row: ClassRow) -> Hashable:
        """Return the class's id."""
        return row.id

    def empty(self) -> str:
        """Return what an empty pane says."""
        return "No action classes were adopted."

    def update(self, state: Incident, now: int) -> None:
        """Show the classes of `state` at `now` (ns UTC)."""
        from console.rollback.tracker import standing

        found = standing(state, now)
        rows = [_row(each, now) for each in found]
        levels = [each.clock.level for each in found if each.clock is not None]
        risks = (("past", "over"), ("near", "near their end"))
        risk = "".join(f" · {levels.count(level)} {word}" for level, word in risks if level in levels)
        self._title = f"4 Rollback  {sum(each.finished for each in found)}/{len(rows)} finished{risk}"
        self._waits = "" if state.contained_at is not None else "clocks start at containment: C"
        if rows != self._rows:
            self.show(rows)
        self._say_next()

    def go(self, index: int, *, step: int = 1) -> None:
        """Select a class, and say what is next for it."""
        super().go(index, step=step)
        self._say_next()

    def _say_next(self) -> None:
        row = self.selected
        said = row.next if row is not None and row.effects not in ("?", "0") else ""
        self.title(self._title, self._waits or fit(said, max(self.size.width - 4, 10)).rstrip())

    def paint(self, row: ClassRow, width: int) -> Cells:
        """Return the line of one class."""
        clock = width - 62 if width >= 80 else 16 if width >= 58 else 10
        states = 24 if width >= 70 else 18 if width >= 48 and row.counts else 13
        name = max(width - 7 - states - clock - 2, 6)
        return [
            (fit(row.name, name), ""),
            (fit(row.effects, 6, right=True) + " ", "quiet" if row.effects == "?" else "strong"),
            (fit(row.counts or row.state, states) + " ", row.tone),
            (fit(row.clock, clock, right=True), row.clock_tone),
        ]
