"""What the events about held actions add up to: which wait, what was decided about each, and what came of it.

`Quarantine.apply` is pure and total, like the fold of the incident that calls it: what does not fit changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

from console.events import (
    Body,
    HeldAction,
    HeldWord,
    QuarantineCarriedOut,
    QuarantineDecided,
    QuarantineListed,
    Unknown,
)
from data.envelope import Event

HeldState = Literal["held", "deciding", "released", "dropped", "refused", "unknown", "gone"]
"""How an action stands. `deciding`: decided, and not known to be carried out. `refused`: its queue did not take the
decision. `unknown`: the answer got lost. `gone`: it left its queue, and nobody here decided that."""
MOST = 10_000
"""Held actions that are kept; further ones stay in their queue until there is room."""
OPEN: frozenset[HeldState] = frozenset({"held", "deciding", "refused", "unknown"})


@dataclass(slots=True)
class Held:
    """One action of a queue. Times are ns UTC; 0 = not yet.

    Attributes:
        word: what was decided last; "" = nothing.
        outcome: what came of it.
        back: how often it was in its queue again after a decision had been carried out.
    """

    action: HeldAction
    point: str
    queue: str
    at: int
    word: HeldWord | Literal[""] = ""
    reason: str = ""
    by: str = ""
    decided_at: int = 0
    outcome: Literal["", "done", "refused", "unknown"] = ""
    note: str = ""
    done_at: int = 0
    left: bool = False
    back: int = 0

    @property
    def id(self) -> str:
        """Its name for people: ids of two queues may be the same."""
        return f"{self.queue}/{self.action.id}"

    @property
    def place(self) -> tuple[str, str, str]:
        """Where it stands in `Quarantine.actions`."""
        return self.point, self.queue, self.action.id

    @property
    def state(self) -> HeldState:
        """How it stands."""
        if self.outcome == "done":
            return "dropped" if self.word == "drop" else "released"
        if self.left:
            return "gone"
        if self.word in ("", "hold"):
            return "held"
        return self.outcome or "deciding"

    @property
    def open(self) -> bool:
        """Whether it still waits, as far as anybody knows."""
        return self.state in OPEN

    def key(self, case: str, word: HeldWord) -> str:
        """Return what makes a repeat of this decision harmless: 16 hex digits, the same on every console."""
        what = "\0".join((case, self.point, self.queue, self.action.id, word, str(self.back)))
        return sha256(what.encode("utf-8", "backslashreplace")).hexdigest()[:16]


@dataclass(slots=True)
class Quarantine:
    """All held actions of an incident by point, queue and id, in the order in which they were seen."""

    actions: dict[tuple[str, str, str], Held] = field(default_factory=dict)

    @property
    def waiting(self) -> list[Held]:
        """Those that somebody has to decide about, or see to that a decision takes effect."""
        return [each for each in self.actions.values() if each.open]

    def apply(self, event: Event, body: Body | Unknown) -> None:
        """Take one event in."""
        match body:
            case QuarantineListed():
                self._list(event, body)
            case QuarantineDecided():
                for name in body.actions:
                    held = self.actions.get((body.point, body.queue, name))
                    if held is None or held.outcome == "done":
                        continue  # what was carried out is over, whoever decided otherwise meanwhile
                    held.word, held.reason = body.word, body.reason
                    held.by, held.decided_at = event.actor, event.at
                    held.outcome, held.note = "", ""
            case QuarantineCarriedOut():
                for result in body.results:
                    held = self.actions.get((body.point, body.queue, result.id))
                    if held is None or held.word != body.word or held.outcome == "done":
                        continue
                    held.outcome, held.note, held.done_at = result.outcome, result.note, event.at
            case _:
                pass

    def _list(self, event: Event, body: QuarantineListed) -> None:
        for action in body.actions:
            name = (body.point, body.queue, action.id)
            held = self.actions.get(name)
            if held is None:
                if len(self.actions) < MOST:
                    self.actions[name] = Held(action, body.point, body.queue, event.at)
                continue
            held.action, held.left = action, False
            if held.outcome == "unknown" and event.at > held.done_at:
                held.outcome, held.note = "", "it still waits: the decision did not take effect"
            if held.outcome == "done" and event.at > held.done_at:
                # It waits again: what was carried out did not hold, or somebody put it there once more.
                held.back += 1
                held.word, held.outcome, held.reason = "", "", ""
                held.note = "it was decided, and is in its queue again"
        for gone in body.gone:
            if (held := self.actions.get((body.point, body.queue, gone))) is not None:
                held.left = held.outcome != "done"
