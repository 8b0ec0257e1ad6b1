"""The effect ledger as a fold: which effects there are, and how far undoing each is.

`Ledger.apply` is pure and total: what does not fit changes nothing. A row costs its struct and its strings; what
people and runs did to it is kept only for rows that somebody touched, and the counts are kept up to date with
every event, so that a ledger of a hundred thousand effects is never counted again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from console.events import (
    Body,
    Effect,
    EffectReconciled,
    EffectsClassed,
    EffectsEnded,
    EffectsListed,
    EffectsMoved,
    EffectsStarted,
    IncidentExtended,
    Progress,
    Result,
    Unknown,
)
from data.envelope import Event, Ref


@dataclass(slots=True)
class Mark:
    """What people and runs did about one effect. `at`: ns UTC; `run`: the run that is at it, "" = none.

    `happened`: what somebody found who looked whether the effect took place, and `seen` how; None: nobody did.
    `doubt`: a reversal was begun and nobody knows what became of it. `tries`: reversals begun.
    """

    state: Progress
    by: str = ""
    at: int = 0
    note: str = ""
    evidence: str = ""
    substitute: str = ""
    happened: bool | None = None
    seen: str = ""
    run: str = ""
    doubt: bool = False
    tries: int = 0


@dataclass(slots=True)
class Tally:
    """How many effects of a class are how far. `unclear`: of which somebody has to look first whether they happened."""

    open: int = 0
    reversing: int = 0
    reversed: int = 0
    substituted: int = 0
    verified: int = 0
    nothing: int = 0
    waived: int = 0
    unclear: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.left + self.undone + self.nothing + self.waived

    @property
    def left(self) -> int:
        """How many have to be undone still."""
        return self.open + self.reversing

    @property
    def undone(self) -> int:
        """For how many something was done."""
        return self.reversed + self.substituted + self.verified

    def count(self, state: Progress, by: int) -> None:
        """Count `by` more effects in a state."""
        setattr(self, state, getattr(self, state) + by)


@dataclass(slots=True)
class Attempt:
    """One run of reversals or checks. Times are ns UTC; `ended_at` is 0 while nobody said that it ended."""

    body: EffectsStarted
    by: str
    rep: str
    at: int
    ended_at: int = 0
    results: tuple[Result, ...] = ()
    note: str = ""
    refs: tuple[Ref, ...] = ()


@dataclass(slots=True)
class Ledger:
    """All effects of an incident by their id, in the order in which they came to be known."""

    rows: dict[str, Effect] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)
    classed: dict[str, str] = field(default_factory=dict)
    """Effect to the class that somebody gave it."""
    downstream: set[str] = field(default_factory=set)
    """Effects that were found to follow from others."""
    tallies: dict[str, Tally] = field(default_factory=dict)
    attempts: dict[str, Attempt] = field(default_factory=dict)
    extensions: list[IncidentExtended] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)

    def class_of(self, effect: str) -> str:
        """Return the id of an effect's class; "" when nobody knows it."""
        return self.classed.get(effect) or self.rows[effect].action_class

    def state(self, effect: str) -> Progress:
        """Return how far an effect is."""
        mark = self.marks.get(effect)
        return mark.state if mark is not None else _fresh(self.rows[effect])

    def unclear(self, effect: str) -> bool:
        """Return whether somebody has to look first: it may or may not have happened, or been reversed."""
        mark = self.marks.get(effect)
        if mark is None:
            return self.rows[effect].state == "unknown"
        if mark.state not in ("open", "reversing"):
            return False
        return mark.doubt or (mark.happened is None and self.rows[effect].state == "unknown")

    def of_class(self, action_class: str) -> Iterator[str]:
        """The ids of a class's effects."""
        return (each for each in self.rows if self.class_of(each) == action_class)

    def tally(self, action_class: str) -> Tally | None:
        """Return the counts of a class; None when it has no effects."""
        found = self.tallies.get(action_class)
        return found if found is not None and found.total else None

    @property
    def running(self) -> list[Attempt]:
        """The runs of which nobody said that they ended, the oldest first."""
        return [each for each in self.attempts.values() if not each.ended_at]

    def apply(self, event: Event, body: Body | Unknown) -> set[str]:
        """Take one event in. Returns the ids of the classes whose effects it changed."""
        match body:
            case EffectsListed():
                return self._list(body)
            case EffectsClassed():
                return self._class(body)
            case EffectsMoved():
                return self._move(event, body)
            case EffectReconciled():
                return self._reconcile(event, body)
            case EffectsStarted():
                return self._start(event, body)
            case EffectsEnded():
                return self._end(event, body)
            case IncidentExtended():
                self.extensions.append(body)
            case _:
                pass
        return set()

    def _list(self, body: EffectsListed) -> set[str]:
        rows, fresh = self.rows, Counter[tuple[str, str]]()
        for row in body.rows:
            if row.id not in rows:
                rows[row.id] = row
                fresh[row.action_class, row.state] += 1
                if body.why == "downstream":
                    self.downstream.add(row.id)
        # A row that nobody touched is as its telemetry says, so that they are counted together.
        for (name, state), count in fresh.items():
            tally = self.tallies.setdefault(name, Tally())
            tally.count("nothing" if state == "none" else "open", count)
            tally.unclear += count if state == "unknown" else 0
        return {name for name, _ in fresh}

    def _class(self, body: EffectsClassed) -> set[str]:
        touched = {body.action_class}
        for each in self._known(body.ids):
            touched.add(self.class_of(each))
            self._count(each, -1)
            self.classed[each] = body.action_class
            self._count(each, 1)
        return touched

    def _move(self, event: Event, body: EffectsMoved) -> set[str]:
        touched = set()
        for each in self._known(body.ids):
            mark = self._changed(each, event)
            mark.state, mark.note, mark.run = body.state, body.note, ""
            # A doubt outlasts being put aside: taken up again, somebody has to look first all the same.
            mark.doubt = mark.doubt and body.state in ("open", "reversing", "waived", "substituted")
            mark.evidence = body.evidence or mark.evidence
            mark.substitute = body.substitute or mark.substitute
            self._count(each, 1)
            touched.add(self.class_of(each))
        return touched

    def _reconcile(self, event: Event, body: EffectReconciled) -> set[str]:
        if body.effect not in self.rows:
            return set()
        mark = self._changed(body.effect, event)
        if body.about == "reversal":
            mark.state, mark.note = ("reversed" if body.happened else "open"), body.how
            mark.doubt, mark.run = False, ""
        else:
            mark.happened, mark.seen = body.happened, body.how
            if not body.happened:
                mark.state = "nothing"
            elif mark.state == "nothing":
                mark.state = "open"
        self._count(body.effect, 1)
        return {self.class_of(body.effect)}

    def _start(self, event: Event, body: EffectsStarted) -> set[str]:
        if body.run in self.attempts:
            return set()
        self.attempts[body.run] = Attempt(body, event.actor, event.rep, event.at)
        if body.dry or body.deed != "reverse":
            return set()
        touched = set()
        for each in self._known(body.ids):
            mark = self._changed(each, event)
            mark.state, mark.run, mark.doubt, mark.note = "reversing", body.run, True, ""
            mark.tries += 1
            self._count(each, 1)
            touched.add(self.class_of(each))
        return touched

    def _end(self, event: Event, body: EffectsEnded) -> set[str]:
        attempt = self.attempts.get(body.run)
        if attempt is None or attempt.ended_at:
            return set()
        attempt.ended_at, attempt.results = event.at, body.results
        attempt.note, attempt.refs = body.note, event.refs
        if attempt.body.dry:
            return set()
        results = {each.effect: each for each in body.results}
        touched = set()
        for each in self._known(attempt.body.ids):
            # Whoever looked in the meantime, or moved it, knows better than the run.
            known = self.marks.get(each)
            if attempt.body.deed == "reverse" and (known is None or known.run != body.run):
                continue
            mark = self._changed(each, event)
            _take(mark, attempt, results.get(each))
            self._count(each, 1)
            touched.add(self.class_of(each))
        return touched

    def _known(self, ids: Iterable[str]) -> Iterator[str]:
        return (each for each in dict.fromkeys(ids) if each in self.rows)

    def _changed(self, effect: str, event: Event) -> Mark:
        """Return the mark of an effect, which is about to change: it is not counted until `_count` counts it again."""
        self._count(effect, -1)
        mark = self.marks.get(effect)
        if mark is None:
            mark = self.marks[effect] = Mark(_fresh(self.rows[effect]))
        mark.by, mark.at = event.actor, event.at
        return mark

    def _count(self, effect: str, by: int) -> None:
        name = self.class_of(effect)
        tally = self.tallies.get(name)
        if tally is None:
            tally = self.tallies[name] = Tally()
        tally.count(self.state(effect), by)
        if self.unclear(effect):
            tally.unclear += by


def _fresh(row: Effect) -> Progress:
    return "nothing" if row.state == "none" else "open"


def _take(mark: Mark, attempt: Attempt, result: Result | None) -> None:
    """Note what a run came to for one effect; None: it was not begun."""
    if attempt.body.deed == "verify":
        if result is not None:
            if result.outcome == "done" and mark.state in ("reversed", "substituted"):
                mark.state, mark.evidence = "verified", f"run {attempt.body.run}"
            mark.note = result.note
        return
    if result is None:
        mark.state, mark.doubt, mark.run, mark.note = "open", False, "", "not begun"
        return
    mark.note = result.note
    if result.outcome == "done":
        mark.state, mark.doubt = "reversed", False
        mark.evidence = f"run {attempt.body.run}"
    elif result.outcome == "failed":
        mark.state, mark.doubt = "open", False
    mark.run = ""
