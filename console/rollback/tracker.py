"""The tracker: for every class how many effects are how far, which clock is worst, and what to do next. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from console.events import Budget, RollbackState
from console.rollback.ledger import Tally
from console.rollback.state import DONE, Rollback

if TYPE_CHECKING:
    from console.incident import Incident

SECOND = 1_000_000_000
HALF, NEAR = 50, 80
"""Percent of a budget from which people are told that it is at risk."""
Level = Literal["waits", "fresh", "half", "near", "past", "met", "met late"]
_WORST: tuple[Level, ...] = ("past", "near", "half", "fresh", "waits", "met late", "met")


class Clock(NamedTuple):
    """One clock of a class; all of them run from containment (X-22).

    Attributes:
        id: id of the budget.
        name: what has to be finished by then.
        seconds: how long it lasts.
        deadline: when it ends, ns UTC; None before containment.
        share: percent of it that is used, 100 and more past its end; None before containment. Of a clock that was
            met it is what had been used then.
        level: how bad that is; `waits`: containment is not confirmed.
        audit: whether it is the clock of an audit.
        open: of an audit: whether it was opened and nobody closed it.
    """

    id: str
    name: str
    seconds: int
    deadline: int | None
    share: int | None
    level: Level
    audit: bool
    open: bool


class ClassStanding(NamedTuple):
    """One class of the tracker.

    Attributes:
        id: id of the class; "" for effects of which no rule says the class.
        name: the same for people.
        number: its place in the table; 0 = none.
        state: as in `Rollback.state`.
        effects: how many effects the ledger has; None = nobody listed any, `said` may be a person's count.
        said: how many effects people counted, where the ledger has none.
        tally: how many are how far.
        clocks: every clock of the class, in the order of its document.
        clock: the worst that runs; None: none runs.
        note: the last note about the class.
        next: what to do next, one sentence; "" when nothing is left.
    """

    id: str
    name: str
    number: int
    state: RollbackState
    effects: int | None
    said: int | None
    tally: Tally
    clocks: tuple[Clock, ...]
    clock: Clock | None
    note: str
    next: str

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.state in DONE and not any(each.audit and each.open for each in self.clocks)

    @property
    def audits(self) -> tuple[Clock, ...]:
        """The audits that wait for somebody to close them with evidence."""
        return tuple(each for each in self.clocks if each.audit and each.open)


def standing(incident: Incident, now: int) -> list[ClassStanding]:
    """Return every class of an incident at `now` (ns UTC), in the order of the classes.

    Effects that no rule gives a class come last, under the id "".
    """
    found = [_class(incident, row, now) for row in incident.rollback.values()]
    loose = [name for name in incident.ledger.tallies if name not in incident.rollback]
    return [*found, *filter(None, (_loose(incident, name) for name in sorted(loose)))]


def summary(incident: Incident, action_class: str, now: int) -> ClassStanding | None:
    """Return one class at `now` (ns UTC); None when the incident has none of that id."""
    row = incident.rollback.get(action_class)
    return _class(incident, row, now) if row is not None else _loose(incident, action_class)


def _class(incident: Incident, row: Rollback, now: int) -> ClassStanding:
    kind = row.action_class
    tally = incident.ledger.tally(kind.id)
    running = {each.id for each in row.running()}
    clocks = tuple(_clock(incident, row, each, now) for each in kind.budgets)
    worst = min(
        (each for each in clocks if each.id in running),
        key=lambda each: (_WORST.index(each.level), each.deadline or each.seconds),
        default=None,
    )
    return ClassStanding(
        kind.id, kind.name, kind.number, row.state, tally.total if tally is not None else None, row.effects,
        tally or Tally(), clocks, worst, row.note, _next(incident, row, tally),
    )  # fmt: skip


def _loose(incident: Incident, name: str) -> ClassStanding | None:
    tally = incident.ledger.tally(name)
    if tally is None:
        return None
    left = f"Say to which class {_are(tally.total, 'effect')} of no class belong." if tally.left else ""
    state: RollbackState = "open" if tally.left else "clear"
    return ClassStanding(
        name, name or "no class yet", 0, state, tally.total, None, tally, (), None, "", left
    )  # fmt: skip


def _clock(incident: Incident, row: Rollback, budget: Budget, now: int) -> Clock:
    met = row.met.get(budget.id)
    audit = row.audits.get(budget.id)
    opened = audit is not None and not audit.closed_at and met is None
    deadline, share = incident.deadline(budget), None
    level: Level = "waits" if met is None else "met"
    if incident.contained_at is not None and deadline is not None:
        used = (now if met is None else met) - incident.contained_at
        share = max(0, used * 100 // (budget.seconds * SECOND)) if budget.seconds else 100
        if met is None:
            level = (
                "past" if share >= 100 else "near" if share >= NEAR else "half" if share >= HALF else "fresh"
            )
        else:
            level = "met late" if met > deadline else "met"
    return Clock(budget.id, budget.name, budget.seconds, deadline, share, level, budget.audit, opened)


def _next(incident: Incident, row: Rollback, tally: Tally | None) -> str:
    """What to do next about a class, one sentence."""
    if row.state == "held":
        return "Held: take it up again, or say what it waits for."
    if tally is None:
        return _next_unlisted(row, drafted=bool(incident.ledger.rows))
    if tally.unclear:
        what = _are(tally.unclear, "effect")
        return f"Look whether {what} happened before anything is repeated or reversed (reconcile)."
    if tally.open:
        if row.action_class.reversible == "no":
            return f"{_are(tally.open, 'effect')} cannot be undone: {_first(row.action_class.substitute)}"
        return f"Undo {_are(tally.open, 'effect')}: {_first(row.action_class.procedure)}"
    if tally.reversing:
        return f"{_are(tally.reversing, 'effect')} being undone: say what came of it."
    if tally.reversed or tally.substituted:
        what = _are(tally.reversed + tally.substituted, "effect")
        return f"Check {what}: {_first(row.action_class.verification)}"
    return _next_audit(row)


def _next_unlisted(row: Rollback, *, drafted: bool) -> str:
    match row.state:
        case "untouched" if drafted:
            return "No effect of it is known: say that it is clear, or add what telemetry does not tell."
        case "untouched":
            return "List its effects (draft), or say that there are none."
        case "open" | "reversing":
            return f"Undo them: {_first(row.action_class.procedure)}"
        case "reversed" | "substituted":
            return f"Check it: {_first(row.action_class.verification)}"
        case _:
            return _next_audit(row)


def _next_audit(row: Rollback) -> str:
    left = row.open_audits
    return f"Close the audit with what shows that it is complete: {left[0].name}." if left else ""


def _first(lines: tuple[str, ...]) -> str:
    return lines[0] if lines else "the class's document says nothing of it."


def _are(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
