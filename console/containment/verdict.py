"""The verdict and the receipt: what an order came to, in the words that go on the record and to others."""

from __future__ import annotations

from typing import NamedTuple

from console.containment.state import Order, Standing
from console.events import MoveJudged, Reached
from console.plain import many
from data.clock import iso

NAMED = 100
"""Targets that a verdict names."""
ORDER: tuple[Reached, ...] = (
    "leaking", "unreachable", "refused", "requested", "accepted", "effective", "lease_expired", "verified",
)  # fmt: skip
"""States, the one first that needs somebody most."""
WORDS: dict[Reached, str] = {
    "requested": "asked, no answer yet",
    "accepted": "took the order",
    "effective": "says that it has happened",
    "verified": "seen by an independent probe",
    "lease_expired": "its leave to act has run out",
    "refused": "refuses",
    "unreachable": "cannot be reached",
    "leaking": "ACTS ALTHOUGH STOPPED",
}
"""What each state means, for whoever has never seen it."""


def judge(order: Order, ms: int) -> MoveJudged:
    """Return the verdict `ms` milliseconds after the order: pass when everything is proven, in time.

    Only what somebody else saw, or what has no leave to act any more, counts; a word of the target does not.
    """
    still = [each.target.id for each in order.open]
    passed = order.settled and ms <= order.body.budget * 1000
    return MoveJudged(
        order.body.order,
        "pass" if passed else "fail",
        ms,
        len(order.targets),
        order.held,
        tuple(still[:NAMED]),
    )


def summary(order: Order) -> str:
    """Return how many targets are how far, as in `812 verified, 3 unreachable`; what needs somebody comes first."""
    states = order.states
    return ", ".join(
        f"{states[state]:,} {'LEAKING' if state == 'leaking' else state.replace('_', ' ')}"
        for state in ORDER
        if states[state]
    )


def title(order: Order) -> str:
    """Return what was ordered, in a few words."""
    body = order.body
    subject = body.subject or {"all": "all agents"}.get(body.scope, "")
    return f"{body.verb.replace('_', ' ')} {subject if body.subject else ''}".strip() or subject


def spoken(order: Order) -> str:
    """Return the verdict as one sentence; what is open still is said while there is none."""
    judged = order.judged
    if order.body.dry:
        return f"DRY RUN: {many(len(order.targets), 'target')} would be reached, nothing was sent"
    if judged is None:
        return f"no verdict yet: {order.held:,} of {len(order.targets):,} held; {summary(order)}"
    return (
        f"{judged.verdict.upper()} after {_seconds(judged.ms)}: {judged.held:,} of {judged.targets:,} held"
        + (f", {judged.targets - judged.held:,} open" if judged.held < judged.targets else "")
    )


def receipt(order: Order) -> str:
    """Return who ordered what and why, how far each target got and when, and the verdict, as plain lines.

    What agents and systems said in it is shown as they said it: whoever prints it makes it visible first.
    """
    body = order.body
    verb = "let go on" if body.lifts else "ordered"
    lines = [
        f"RECEIPT of order {body.order}",
        f"  what:     {title(order)}" + (f" (scope: {body.scope})" if body.scope else ""),
        f"  {verb + ':':<9} {iso(order.at, 3)} by {order.by}",
        f"  reason:   {body.reason or 'none was given'}",
    ]
    if body.advice:
        lines.append(f"  advice:   {body.advice}")
    if body.lifts:
        lines.append(f"  lifts:    order {body.lifts}")
    if order.lifted:
        lines.append(f"  lifted:   by order {order.lifted}")
    if order.epoch:
        lines.append(f"  epoch:    {order.epoch}")
    lines.append(f"  verdict:  {spoken(order)}")
    if not body.dry:
        lines.append(f"  now:      {summary(order)}")
    for each in rows(order):
        said = f" - {each.said}" if each.said else ""
        lines.append(f"  {'!' if each.open else ' '} {each.target}: {each.state} ({each.when}){said}")
    return "\n".join(lines)


class Line(NamedTuple):
    """One target in words. `when`: each state with its seconds since the order. `said`: what is known beside."""

    target: str
    state: str
    when: str
    said: str
    open: bool


def rows(order: Order) -> list[Line]:
    """Return the targets of an order in words, those first that need somebody."""
    ranks = {state: place for place, state in enumerate(ORDER)}
    return [
        _line(each) for each in sorted(order.targets, key=lambda each: (not each.open, ranks[each.state]))
    ]


def _line(standing: Standing) -> Line:
    when = sorted((ms, state) for state, ms in standing.times.items())
    steps = ", ".join(f"{state.replace('_', ' ')} {_seconds(ms)}" for ms, state in when)
    said = [standing.note]
    if standing.answered is not None:
        shown = f" ({standing.answered.evidence})" if standing.answered.evidence else ""
        said.append(f"dealt with: {standing.answered.how}{shown}")
    if standing.lifted:
        said.append(f"let go on by order {standing.lifted}")
    state = standing.state.replace("_", " ")
    return Line(
        standing.target.id,
        state.upper() if standing.open else state,
        steps or standing.state,
        "; ".join(filter(None, said)),
        standing.open,
    )


def _seconds(ms: int) -> str:
    return f"{ms / 1000:.2f} s"
