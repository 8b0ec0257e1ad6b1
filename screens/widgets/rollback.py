"""The rollback pane: every class of agent actions, where undoing it stands, and which clock runs."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from screens.display import fit
from screens.times import DAY, HOUR, MINUTE
from screens.widgets.rows import Cells, ListRows

if TYPE_CHECKING:
    from console.incident import Incident
    from console.rollback.state import Rollback

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


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One action class as it is drawn."""

    id: str
    name: str
    effects: str
    state: str
    tone: str
    clock: str
    clock_tone: str


def class_rows(state: Incident, now: int) -> list[ClassRow]:
    """Return the action classes of `state` at `now` (ns UTC)."""
    return [_row(state, row, now) for row in state.rollback.values()]


def _row(state: Incident, row: Rollback, now: int) -> ClassRow:
    words, tone = STATE_WORDS[row.state]
    clock, clock_tone = "", "quiet"
    if row.running():
        if (worst := state.worst(row)) is None:
            clock = "waits for containment"
        else:
            budget, deadline = worst
            clock, clock_tone = left(deadline - now), ("crit" if deadline < now else "")
            clock = f"{clock} {budget.name}"
    effects = "?" if row.effects is None else f"{row.effects:,}"
    return ClassRow(row.action_class.id, row.action_class.name, effects, words, tone, clock, clock_tone)


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

    def key(self, row: ClassRow) -> Hashable:
        """Return the class's id."""
        return row.id

    def empty(self) -> str:
        """Return what an empty pane says."""
        return "No action classes were adopted."

    def update(self, state: Incident, now: int) -> None:
        """Show the classes of `state` at `now` (ns UTC)."""
        rows = class_rows(state, now)
        finished = sum(row.finished for row in state.rollback.values())
        self.title(
            f"4 Rollback  {finished}/{len(rows)} finished",
            "" if state.contained_at is not None else "clocks start at containment: C",
        )
        if rows != self._rows:
            self.show(rows)

    def paint(self, row: ClassRow, width: int) -> Cells:
        """Return the line of one class."""
        clock = width - 62 if width >= 80 else 16 if width >= 58 else 9
        states = 24 if width >= 70 else 13
        name = max(width - 7 - states - clock - 2, 6)
        return [
            (fit(row.name, name), ""),
            (fit(row.effects, 6, right=True) + " ", "quiet" if row.effects == "?" else "strong"),
            (fit(row.state, states) + " ", row.tone),
            (fit(row.clock, clock, right=True), row.clock_tone),
        ]
