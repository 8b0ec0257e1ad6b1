"""The effect ledger: every side effect of the agents of an incident, and what became of each (S003-RB-0)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from console.events.body import Body, Count, Moment, Name, Short, Text, kind
from console.events.playbooks import RunId, RunOutcome

EffectId = Annotated[str, Meta(pattern="^[a-z2-7]{16}$")]
Progress = Literal["open", "reversing", "reversed", "substituted", "verified", "nothing", "waived"]
"""How far undoing one effect is. `nothing`: there is nothing to undo. `substituted`: something else was done instead."""
Deed = Literal["reverse", "verify"]
Ids = Annotated[tuple[EffectId, ...], Meta(min_length=1, max_length=1000)]


class Effect(Struct, frozen=True, omit_defaults=True, gc=False):
    """One side effect, as telemetry tells of it. Everything in here was written by an agent or its telemetry.

    Attributes:
        id: made from the action, so that the same one is listed once, whoever drafts it.
        action_class: id of the action class; "": no rule says which.
        at: when the action was over.
        agent: who did it.
        what: what it did, in words.
        tenant: whose agent it is.
        state: whether it took effect. `unknown`: the request left, and nobody knows; it must not be repeated or
            reversed before somebody looked (S004-DU-3).
        reversible: whether it can be undone at all.
        principal: on whose behalf.
        approval: which approval covered it.
        tool: the tool that was called.
        target: what was changed: an artifact, a change, else the endpoint.
        key: the idempotency key under which it was done.
        amount: what it moved, as its telemetry says.
        trace: trace id of the action.
        action: the sender's own id of the action.
    """

    id: EffectId
    action_class: Name
    at: Moment
    agent: Short
    what: Short
    tenant: Short = "default"
    state: Literal["none", "done", "unknown"] = "done"
    reversible: Literal["yes", "no", "unknown"] = "unknown"
    principal: Short = ""
    approval: Short = ""
    tool: Short = ""
    target: Short = ""
    key: Short = ""
    amount: Short = ""
    trace: Short = ""
    action: Short = ""


class Result(Struct, frozen=True, omit_defaults=True, gc=False):
    """What a reversal or a check came to for one effect."""

    effect: EffectId
    outcome: RunOutcome
    note: Short = ""
    exit: int | None = None
    status: Count = 0
    milliseconds: Count = 0


class Suspect(Struct, frozen=True, omit_defaults=True):
    """An agent that belongs to the incident, and since when (`until` empty: still)."""

    tenant: Short
    agent: Short
    since: Moment
    until: Moment = ""


@kind("effects.listed")
class EffectsListed(Body, frozen=True):
    """Effects that came to be known. `why`: drafted from telemetry, found downstream of others, or written down by hand."""

    rows: Annotated[tuple[Effect, ...], Meta(max_length=500)]
    why: Literal["drafted", "downstream", "added"] = "drafted"
    source: Short = ""


@kind("effects.classed")
class EffectsClassed(Body, frozen=True):
    """Effects belong to another class than was thought."""

    ids: Ids
    action_class: Name
    note: Text = ""


@kind("effects.moved")
class EffectsMoved(Body, frozen=True):
    """Somebody says how far effects of one class are. `substitute`: what was done instead of undoing them."""

    action_class: Name
    ids: Ids
    state: Progress
    note: Text = ""
    evidence: Short = ""
    substitute: Short = ""


@kind("effect.reconciled")
class EffectReconciled(Body, frozen=True):
    """Somebody looked whether something happened of which nobody knew: the effect itself, or its reversal."""

    effect: EffectId
    happened: bool
    how: Text
    about: Literal["effect", "reversal"] = "effect"


@kind("effects.started")
class EffectsStarted(Body, frozen=True):
    """A reversal or a check of effects begins; on the disk before anything leaves. `what`: the template, secrets masked."""

    run: RunId
    action_class: Name
    deed: Deed
    ids: Annotated[tuple[EffectId, ...], Meta(min_length=1, max_length=500)]
    what: Annotated[tuple[Short, ...], Meta(max_length=100)] = ()
    dry: bool = False
    reason: Text = ""


@kind("effects.ended")
class EffectsEnded(Body, frozen=True):
    """What became of each; those of the run that no result names were not begun."""

    run: RunId
    results: Annotated[tuple[Result, ...], Meta(max_length=500)]
    note: Text = ""


@kind("audit.opened")
class AuditOpened(Body, frozen=True):
    """The audit that follows the reversal of a class is open. `audit`: the id of its clock."""

    action_class: Name
    audit: Name
    note: Text = ""


@kind("audit.closed")
class AuditClosed(Body, frozen=True):
    """Somebody closed an audit, with what shows that it is complete."""

    action_class: Name
    audit: Name
    evidence: Short
    note: Text = ""


@kind("incident.extended")
class IncidentExtended(Body, frozen=True):
    """The incident reaches further than was known: what the named agents did is part of it (S003-RB-6a)."""

    reason: Text
    suspects: Annotated[tuple[Suspect, ...], Meta(max_length=100)] = ()
    action_class: Name = ""
    audit: Name = ""
