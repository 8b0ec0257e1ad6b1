"""What the events about playbooks add up to: which are open, and how far each step is.

`Plays.apply` is pure and total, like the fold of the incident that calls it: what does not fit changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from console.events import (
    AutomationAnnounced,
    AutomationGranted,
    AutomationWithdrawn,
    Body,
    FreezeExempted,
    FreezeLifted,
    FreezeSet,
    PlaybookClosed,
    PlaybookOpened,
    RunOutcome,
    StepApproved,
    StepDecided,
    StepFinished,
    StepMark,
    StepSet,
    StepSettled,
    StepStarted,
    StopAsked,
    Unknown,
    ValueFilled,
    instant,
)
from console.runner.document import Document, Step, document
from data.envelope import Event, Ref

Standing = Literal["open", "running", "unclear", "failed", "done", "not_applicable", "waived"]
NEEDS_A_WORD: frozenset[str] = frozenset({"unknown", "timed_out", "cancelled"})
"""Ends of a run after which nobody can say whether it took effect, until a person looked."""
SETTLED: frozenset[str] = frozenset({"done", "not_applicable", "waived"})


@dataclass(slots=True)
class Run:
    """One run of a step. `outcome` is "" while nobody said that it ended; times are ns UTC."""

    id: str
    playbook: str
    step: str
    attempt: int
    dry: bool
    automatic: bool
    what: tuple[str, ...]
    by: str
    rep: str
    at: int
    outcome: RunOutcome | Literal[""] = ""
    exit: int | None = None
    status: int = 0
    milliseconds: int = 0
    note: str = ""
    ended_at: int = 0
    refs: tuple[Ref, ...] = ()
    stop: str | None = None
    """Why somebody asked for its end; None: nobody did."""
    word: Literal["", "happened", "not", "repeat"] = ""
    """What a person said became of it."""

    @property
    def running(self) -> bool:
        """Whether it may still go on."""
        return not self.outcome and not self.word

    @property
    def unclear(self) -> bool:
        """Whether it may have taken effect, and nobody knows."""
        return not self.dry and self.outcome in NEEDS_A_WORD and not self.word


@dataclass(slots=True)
class Approval:
    """A person let a step run, as it then would have."""

    digest: str
    by: str
    role: str
    at: int


@dataclass(slots=True)
class StepState:
    """A step and how far it is. `mark`: what people said; `runs`: what ran, the oldest first."""

    step: Step
    section: str
    mark: StepMark = "open"
    by: str = ""
    at: int = 0
    reason: str = ""
    evidence: str = ""
    option: str = ""
    """What was decided."""
    runs: list[Run] = field(default_factory=list)
    approvals: list[Approval] = field(default_factory=list)
    announced: tuple[int, str] | None = None
    """When it will run by itself (ns UTC), and under which grant."""

    @property
    def real(self) -> Run | None:
        """The newest run that was meant to take effect."""
        return next((run for run in reversed(self.runs) if not run.dry), None)

    @property
    def rehearsed(self) -> Run | None:
        """The newest dry run that ended well."""
        return next((run for run in reversed(self.runs) if run.dry and run.outcome == "done"), None)

    @property
    def running(self) -> Run | None:
        """The run that goes on, dry or not."""
        return next((run for run in reversed(self.runs) if run.running), None)

    @property
    def standing(self) -> Standing:
        """How far it is, in one word."""
        real = self.real
        if self.running is not None:
            return "running"
        if real is not None and real.unclear and self.touches and not self._marked_since(real):
            return "unclear"
        if self.mark == "open" and real is not None and real.outcome not in ("", "done") and not real.word:
            return "failed"
        return self.mark

    @property
    def touches(self) -> bool:
        """Whether it may have an effect at all: what only looks is never in doubt."""
        return self.step.reach != "nothing" and self.step.wait is None

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do."""
        return self.standing in SETTLED

    def _marked_since(self, run: Run) -> bool:
        return self.mark in SETTLED and self.at > run.at


@dataclass(slots=True)
class Play:
    """A playbook that was opened in this incident. Times are ns UTC."""

    document: Document
    digest: str
    opened_at: int
    opened_by: str
    why: str
    closed_at: int = 0
    values: dict[str, str] = field(default_factory=dict)
    steps: dict[str, StepState] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The id of the document."""
        return self.document.id

    @property
    def open(self) -> bool:
        """Whether somebody works through it."""
        return not self.closed_at

    @property
    def done(self) -> int:
        """How many steps are settled."""
        return sum(state.settled for state in self.steps.values())

    @property
    def next(self) -> StepState | None:
        """The step that is due: the first open one on the way that the decisions took."""
        return next((state for state in self.way() if not state.settled), None)

    def after(self, step: str) -> StepState | None:
        """Return the first open step on the way behind `step`; past the last, the one that is due."""
        way = list(self.way())
        place = next((index for index, state in enumerate(way) if state.step.id == step), -1)
        return next((state for state in way[place + 1 :] if not state.settled), self.next)

    def way(self) -> Iterator[StepState]:
        """The steps in the order in which they are worked; what follows a branch is past the others; never in a circle."""
        states = list(self.steps.values())
        place = {state.step.id: index for index, state in enumerate(states)}
        index, seen = 0, set[int]()
        while index < len(states) and index not in seen:
            seen.add(index)
            state = states[index]
            yield state
            then = _then(state)
            index = place[then] if then in place else index + 1


def _then(state: StepState) -> str | None:
    if state.step.decision is None:
        return state.step.then
    if not state.option or not state.settled:
        return None
    return next((each.then for each in state.step.decision.options if each.id == state.option), None)


@dataclass(slots=True)
class Grant:
    """Steps may run by themselves on console `rep`, until `until` (ns UTC)."""

    body: AutomationGranted
    rep: str
    by: str
    until: int


@dataclass(slots=True)
class Plays:
    """Everything about playbooks in one incident. Freezes and grants go by the event that set them."""

    opened: dict[str, Play] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    freezes: dict[str, FreezeSet] = field(default_factory=dict)
    exempted: dict[tuple[str, str], str] = field(default_factory=dict)
    """Playbook and step that the freeze lets through, and why."""
    grants: dict[str, Grant] = field(default_factory=dict)

    def step(self, playbook: str, step: str) -> StepState | None:
        """A step of an opened playbook."""
        play = self.opened.get(playbook)
        return play.steps.get(step) if play is not None else None

    def grant(self, play: Play, step: Step, now: int) -> tuple[str, Grant] | None:
        """The grant under which a step may run by itself at `now`, with its event."""
        for name, grant in self.grants.items():
            body = grant.body
            covers = (
                body.playbook == play.id and step.id in body.steps and step.reach in (body.scope, "nothing")
            )
            if covers and now < grant.until:
                return name, grant
        return None

    @property
    def coming(self) -> tuple[int, Play, StepState] | None:
        """The step that will run by itself next, and when (ns UTC); what runs by itself already is due now."""
        found = [
            (
                run.at if run is not None else state.announced[0] if state.announced is not None else 0,
                play,
                state,
            )
            for play in self.opened.values()
            if play.open
            for state in play.steps.values()
            if ((run := state.running) is not None and run.automatic)
            or (state.announced is not None and run is None and not state.settled)
        ]
        return min(found, key=lambda each: each[0]) if found else None

    def stoppable(self, now: int) -> bool:
        """Whether something runs, or may begin by itself at `now` (ns UTC)."""
        states = (state for play in self.opened.values() if play.open for state in play.steps.values())
        granted = any(now < grant.until for grant in self.grants.values())
        return granted or any(state.running is not None for state in states)

    def hold_recovery(self) -> None:
        """Take back what was announced of recovery: at SEV-1 it waits for a person, and nothing may say that it comes."""
        for play in self.opened.values():
            for state in play.steps.values():
                if state.section == "recovery":
                    state.announced = None

    def apply(self, event: Event, body: Body | Unknown) -> None:
        """Change the state by one event that counts."""
        match body:
            case PlaybookOpened():
                self._open(event, body)
            case PlaybookClosed():
                if (play := self.opened.get(body.playbook)) is not None:
                    play.closed_at = event.at
            case ValueFilled():
                play = self.opened.get(body.playbook)
                if play is not None and any(each.name == body.name for each in play.document.values):
                    play.values.pop(body.name, None)
                    if body.value:
                        play.values[body.name] = body.value
            case StepStarted():
                self._start(event, body)
            case StepFinished():
                self._finish(event, body)
            case StopAsked():
                if (run := self.runs.get(body.run)) is not None and run.running:
                    run.stop = body.reason
            case AutomationGranted():
                if (until := instant(body.until)) is not None:
                    self.grants[event.hash] = Grant(body, event.rep, event.actor, until)
            case AutomationWithdrawn():
                self._withdraw(body.grant)
            case FreezeSet():
                self.freezes[event.hash] = body
            case FreezeLifted():
                self.freezes.pop(body.freeze, None)
            case FreezeExempted():
                self.exempted[body.playbook, body.step] = body.reason
            case StepApproved() | StepSettled() | StepSet() | StepDecided() | AutomationAnnounced():
                if (state := self.step(body.playbook, body.step)) is not None:
                    self._move(state, event, body)
            case _:
                pass

    def _open(self, event: Event, body: PlaybookOpened) -> None:
        read = document(body.document)
        if read is None or read.id != body.id:
            return
        # Opened again, perhaps in a newer version: what was done with it counts.
        known = self.opened.get(body.id)
        play = Play(read, body.digest, event.at, event.actor, body.why)
        names = {each.name for each in read.values}
        if known is not None:
            play.values = {name: value for name, value in known.values.items() if name in names}
        for section, content in read.sections():
            for step in content.steps:
                state = known.steps.get(step.id) if known is not None else None
                if state is None:
                    state = StepState(step, section)
                state.step, state.section = step, section
                play.steps[step.id] = state
        self.opened[body.id] = play

    def _start(self, event: Event, body: StepStarted) -> None:
        state = self.step(body.playbook, body.step)
        if state is None or body.run in self.runs:
            return
        run = Run(
            body.run, body.playbook, body.step, body.attempt, body.dry, body.automatic, body.what,
            event.actor, event.rep, event.at,
        )  # fmt: skip
        self.runs[body.run] = run
        state.runs.append(run)
        if not run.dry:
            # An approval is for one run; an announcement has come true, or somebody was faster.
            state.approvals.clear()
            state.announced = None

    def _finish(self, event: Event, body: StepFinished) -> None:
        run = self.runs.get(body.run)
        # Whoever saw it end knows better than whoever found it abandoned.
        if run is None or run.outcome not in ("", "unknown") or (run.outcome and body.outcome == "unknown"):
            return
        run.outcome, run.exit, run.status, run.note = body.outcome, body.exit, body.status, body.note
        run.milliseconds, run.ended_at, run.refs = body.milliseconds, event.at, event.refs
        state = self.step(run.playbook, run.step)
        if state is not None and not run.dry and body.outcome == "done":
            state.mark, state.by, state.at, state.reason = "done", run.by, event.at, ""

    def _withdraw(self, grant: str) -> None:
        for name in [grant] if grant else list(self.grants):
            self.grants.pop(name, None)
        for play in self.opened.values():
            for state in play.steps.values():
                if state.announced is not None and state.announced[1] not in self.grants:
                    state.announced = None

    def _move(
        self,
        state: StepState,
        event: Event,
        body: StepApproved | StepSettled | StepSet | StepDecided | AutomationAnnounced,
    ) -> None:
        match body:
            case StepApproved():
                state.approvals.append(Approval(body.digest, event.actor, body.role, event.at))
            case StepSettled():
                run = self.runs.get(body.run)
                if run is None or run.step != body.step or run.playbook != body.playbook:
                    return
                run.word = body.word
                if body.word == "happened":
                    state.mark, state.by, state.at, state.reason = "done", event.actor, event.at, body.reason
            case StepSet():
                state.mark, state.by, state.at = body.state, event.actor, event.at
                state.reason, state.evidence = body.reason, body.evidence
                if body.state == "open":
                    state.option = ""
            case StepDecided():
                if state.step.decision is None or body.option not in {
                    o.id for o in state.step.decision.options
                }:
                    return
                state.option, state.mark, state.reason = body.option, "done", body.reason
                state.by, state.at = event.actor, event.at
            case AutomationAnnounced():
                at = instant(body.at)
                if at is not None and body.grant in self.grants:
                    state.announced = at, body.grant
