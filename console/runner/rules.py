"""What is in the way of a step. Pure: the state, who asks, and the time decide; nothing else is looked at."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from console.runner.document import LIMITED, Step
from console.runner.fill import Unfilled, fill, fill_check, values
from console.runner.refusal import Code, Refusal

if TYPE_CHECKING:
    from console.incident import Incident
    from console.runner.state import Play, StepState

COMMANDER = "ic"
BY_ITSELF = ("triage", "mitigation", "recovery")
"""Sections of which steps may run by themselves; what is said to people and what is learnt never does."""


class Asked(NamedTuple):
    """How a step is meant to run, and who asks.

    Attributes:
        roles: what the actor holds in this incident.
        real: whether it is to take effect.
        automatic: whether it runs by itself.
        confirmed: the id of the step, typed once more, where something is destroyed.
        two_persons: whether recovery is approved by somebody else than who runs it.
        verbs: the actions that something here can carry out.
        constants: values that are the same in every incident, by name.
    """

    actor: str
    roles: Collection[str] = ()
    real: bool = False
    automatic: bool = False
    confirmed: str = ""
    two_persons: bool = False
    verbs: Collection[str] = ()
    constants: Mapping[str, str] = {}


def obstacles(play: Play, state: StepState, incident: Incident, asked: Asked, now: int) -> list[Refusal]:
    """Return everything that is in the way of a step; empty: it may run. A dry run asks for less."""
    return list(_obstacles(play, state, incident, asked, now))


def approvers(step: Step, section: str, severity: int) -> tuple[str, ...]:
    """Return the roles of which one must approve a step at a severity; empty: it needs no approval."""
    # What brings a system back in the worst of incidents is always a person's word (S000-AR-2, X-12).
    worst = severity <= 1 and section == "recovery" and step.acts
    if not worst and severity not in step.approval:
        return ()
    return step.approvers or (COMMANDER,)


def snapshot_missing(play: Play, state: StepState) -> Refusal | None:
    """Return what is in the way of destroying evidence: its copy was neither kept nor waived (X-17)."""
    step = state.step
    if not step.destroys_evidence:
        return None
    copy = play.steps.get(step.snapshot or "")
    if copy is None:
        return Refusal(
            "snapshot_none", f"{step.id} destroys evidence, and the playbook names no step that keeps a copy."
        )
    if copy.standing == "done" or (copy.standing == "waived" and copy.reason):
        return None
    return Refusal(
        "snapshot",
        f"{step.id} destroys evidence, and {copy.step.id} has not kept a copy.",
        about=copy.step.id,
    )


def frozen(play: Play, state: StepState, incident: Incident) -> Refusal | None:
    """Return the change freeze that is in the way of a step, if one is (X-18)."""
    step, plays = state.step, incident.plays
    changes = step.command is not None or step.http is not None
    if not plays.freezes or not changes or step.reach == "nothing" or state.section in ("triage", "comms"):
        return None
    if step.freeze_exempt or (play.id, step.id) in plays.exempted:
        return None
    why = next(iter(plays.freezes.values())).reason
    return Refusal("freeze", f"Changes are frozen in {incident.code}: {why.rstrip('.')}.", about=step.id)


def by_itself(play: Play, state: StepState, incident: Incident, now: int) -> Refusal | None:
    """Return why a step must not run by itself, if it must not (S000-AR-1, S000-AR-2, X-12)."""
    step = state.step
    if not step.automatic:
        return Refusal(
            "automatic", f"The playbook does not let {step.id} run by itself.", "A person runs it."
        )
    if step.reach not in LIMITED:
        return Refusal("automatic", f"{step.id} may touch everything.", "A person runs it.")
    if step.destroys_evidence:
        return Refusal("automatic", f"{step.id} destroys evidence.", "A person runs it.")
    if state.section not in BY_ITSELF or not step.acts:
        return Refusal("automatic", f"Steps of {state.section} never run by themselves.", "A person does it.")
    if state.section == "recovery" and incident.severity <= 1:
        return Refusal("automatic", f"Recovery at {incident.label or 'SEV-1'} waits for a person.", "Run it.")
    if incident.plays.grant(play, step, now) is None:
        return Refusal(
            "grant",
            f"Nobody granted that {step.id} runs by itself, or the time is over.",
            about=step.id,
        )
    if any(not run.dry for run in state.runs):
        return Refusal(
            "automatic", f"{step.id} ran already; nothing repeats itself.", "A person runs it again."
        )
    return None


def who(incident: Incident, roles: Iterable[str]) -> tuple[str, str]:
    """Return who holds one of `roles`, for people: `ana (ic) can.`; and a role to assign when nobody holds any."""
    roles = tuple(dict.fromkeys(roles))
    held = [f"{person} ({role})" for role in roles for person in incident.roles.get(role, ())]
    if held:
        return f"{', '.join(held)} can.", ""
    return (f"Nobody is {' or '.join(roles)}.", roles[0]) if roles else ("", "")


def _obstacles(play: Play, state: StepState, incident: Incident, asked: Asked, now: int) -> Iterator[Refusal]:
    step = state.step
    if step.kind in ("manual", "decision"):
        code: Code = "decision" if step.decision else "manual"
        yield Refusal(code, f"{step.id} is done by a person.", about=step.id)
        return
    if not play.open:
        yield Refusal("closed", f"Playbook {play.id} is closed.", about=play.id)
    if (running := state.running) is not None and step.kind != "wait":
        what = f"{step.id} runs already ({running.id}, by {running.by})."
        yield Refusal("running", what, about=running.id)
    yield from _unfilled(play, step, incident, asked, now)
    if step.action is not None and step.action.verb not in asked.verbs:
        yield Refusal(
            "actuator",
            f"No actuator is configured for {step.action.verb}.",
            about=step.id,
        )
    if not asked.real:
        return
    if incident.closed_at and state.section != "post":
        yield Refusal("over", f"{incident.code} is closed.")
    yield from _again(state)
    if asked.automatic:
        if (refusal := by_itself(play, state, incident, now)) is not None:
            yield refusal
    elif (refusal := _not_yours(step, incident, asked)) is not None:
        yield refusal
    if (refusal := snapshot_missing(play, state)) is not None:
        yield refusal
    if step.destroys_evidence and not asked.automatic and asked.confirmed != step.id:
        yield Refusal("confirm", f"{step.id} destroys something for good.", about=step.id)
    if (refusal := frozen(play, state, incident)) is not None:
        yield refusal
    if (refusal := _unapproved(play, state, incident, asked, now)) is not None:
        yield refusal


def _unfilled(play: Play, step: Step, incident: Incident, asked: Asked, now: int) -> Iterator[Refusal]:
    known = values(play, incident, now, asked.constants)
    try:
        fill(step, play, known)
        fill_check(step, play, known)
        if not asked.real:
            fill(step, play, known, dry=True)
    except Unfilled as unfilled:
        yield from unfilled.refusals


def _again(state: StepState) -> Iterator[Refusal]:
    step, real = state.step, state.real
    if state.standing == "unclear" and real is not None:
        yield Refusal(
            "unclear",
            f"Nobody knows whether run {real.id} of {step.id} took effect ({real.outcome.replace('_', ' ')}).",
            about=step.id,
        )
    elif state.settled:
        yield Refusal("settled", f"{step.id} is {state.standing.replace('_', ' ')} already.", about=step.id)


def _not_yours(step: Step, incident: Incident, asked: Asked) -> Refusal | None:
    held = incident.roles.get(step.role, ())
    mine = {step.role, COMMANDER, *step.approvers}.intersection(asked.roles)
    # With nobody in the role whoever is there acts: waiting for an assignment would stop nothing.
    if not held or asked.actor in held or mine:
        return None
    can, vacant = who(incident, (step.role, COMMANDER))
    return Refusal("role", f"{step.id} belongs to {step.role}.", can, step.id, vacant)


def _unapproved(play: Play, state: StepState, incident: Incident, asked: Asked, now: int) -> Refusal | None:
    step = state.step
    roles = approvers(step, state.section, incident.severity)
    if not roles:
        return None
    try:
        filled = fill(step, play, values(play, incident, now, asked.constants))
    except Unfilled:
        return None  # said already, and nobody can approve it before
    if filled is None:
        return None  # a wait: it changes nothing
    digest = filled.digest
    good = [each for each in state.approvals if each.digest == digest and each.role in roles]
    two = asked.two_persons and state.section == "recovery"
    if any(not two or each.by != asked.actor for each in good):
        return None
    label = incident.label or f"SEV-{incident.severity}"
    if good:
        what = f"{step.id} needs two persons: {good[0].by} approved it and does not run it."
    elif state.approvals:
        what = f"{step.id} was approved with other values, or by a role that may not."
    else:
        what = f"{step.id} needs approval at {label} by {' or '.join(roles)}."
    can, vacant = who(incident, roles)
    return Refusal("approval", what, can, step.id, vacant)
