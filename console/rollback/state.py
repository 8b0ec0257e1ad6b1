"""Where undoing the effects of one action class stands: its state, its clocks, and the audits that follow."""

from __future__ import annotations

from dataclasses import dataclass, field

from console.events import ActionClass, AuditClosed, AuditOpened, Budget, RollbackMoved, RollbackState
from console.rollback.ledger import Tally
from data.envelope import Event

DONE: frozenset[RollbackState] = frozenset({"verified", "waived", "clear"})
"""States of a class in which nothing is left to undo or to check."""
UNDONE: frozenset[RollbackState] = frozenset({"reversed", "substituted", "verified"})
"""States in which something was undone, so that the audits of the class begin."""


@dataclass(slots=True)
class Audit:
    """An audit that follows the reversal of a class. Times are ns UTC; 0 = not yet. `evidence`: what closed it."""

    opened_at: int
    closed_at: int = 0
    by: str = ""
    evidence: str = ""
    note: str = ""


@dataclass(slots=True)
class Rollback:
    """An action class and where undoing its effects stands.

    Where the ledger has effects of the class its state follows from them, unless somebody holds it; else it is what
    people said.
    """

    action_class: ActionClass
    state: RollbackState = "untouched"
    effects: int | None = None
    note: str = ""
    by: str = ""
    at: int = 0
    met: dict[str, int] = field(default_factory=dict)
    """Budget id to when its work was finished, ns UTC."""
    audits: dict[str, Audit] = field(default_factory=dict)
    """Audits that were opened, by the id of their clock."""

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do for this class."""
        return self.state in DONE and not self.open_audits

    @property
    def first(self) -> str:
        """The clock that stops by itself once every effect is undone, "" if the class has none."""
        return next((each.id for each in self.action_class.budgets if not each.audit), "")

    @property
    def open_audits(self) -> list[Budget]:
        """The audits that are open: nobody closed them with evidence."""
        return [
            each
            for each in self.action_class.budgets
            if each.id in self.audits and not self.audits[each.id].closed_at and each.id not in self.met
        ]

    def running(self) -> list[Budget]:
        """Return the budgets whose clocks run, shortest first: those of an opened class, at its end the open audits."""
        if self.state == "untouched":
            return []
        if self.state in DONE:
            return sorted(self.open_audits, key=lambda b: b.seconds)
        return sorted((b for b in self.action_class.budgets if b.id not in self.met), key=lambda b: b.seconds)

    def move(self, event: Event, body: RollbackMoved, tally: Tally | None) -> None:
        """Take in what somebody says of the class; where it has effects, only holding it is theirs to say."""
        self.note, self.by, self.at = body.note, event.actor, event.at
        if tally is None:
            self.state = body.state
            self.effects = self.effects if body.effects is None else body.effects
            self._open_audits(event)
        elif body.state == "held":
            self.state = "held"
        else:
            self.state = state_of(tally)

    def follow(self, event: Event, tally: Tally | None) -> None:
        """Follow the effects of the class, which `event` changed."""
        if tally is None:
            return
        self.state, self.effects = state_of(tally), tally.total
        self.by, self.at = event.actor, event.at
        if tally.left:
            self.met.pop(self.first, None)
        elif self.first and tally.undone:
            self.met.setdefault(self.first, event.at)
        self._open_audits(event)

    def open_audit(self, event: Event, body: AuditOpened) -> None:
        """Open an audit on somebody's word, before everything is undone."""
        if body.audit in {each.id for each in self.action_class.budgets if each.audit}:
            audit = self.audits.setdefault(body.audit, Audit(event.at))
            audit.note = audit.note or body.note

    def close_audit(self, event: Event, body: AuditClosed) -> None:
        """Close an audit with what shows that it is complete."""
        audit = self.audits.get(body.audit)
        if audit is None or audit.closed_at:
            return
        audit.closed_at, audit.by = event.at, event.actor
        audit.evidence, audit.note = body.evidence, body.note or audit.note
        self.met.setdefault(body.audit, event.at)

    def _open_audits(self, event: Event) -> None:
        if self.state in UNDONE:
            for each in self.action_class.budgets:
                if each.audit:
                    self.audits.setdefault(each.id, Audit(event.at))


def state_of(tally: Tally) -> RollbackState:
    """Return the state of a class with these effects."""
    if tally.left:
        return "reversing" if tally.reversing or tally.undone else "open"
    if tally.reversed:
        return "reversed"
    if tally.substituted:
        return "substituted"
    if tally.verified:
        return "verified"
    return "waived" if tally.waived else "clear"
