"""Handover: what somebody who takes a role over needs to know, from the state. Shown and edited before it is recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from console import routing
from console.timeline import BOOKKEEPING, DISPUTED, HIGH, MARKS
from data.clock import iso
from data.line import Filter

if TYPE_CHECKING:
    from console.incident import Check, Incident
    from console.room import Room
    from data.line import Line

SECOND = 1_000_000_000
MOST = 8
"""Entries of one section; what there is beyond them is counted."""
ENOUGH, PAGE = 200, 1000
"""Lines of one kind that are counted, and how many are read at once."""
WIDTH = 160
LONGEST = 12_000
"""Characters of a summary, well within what the record takes."""


class Recent(NamedTuple):
    """What the timeline says since the last handover of the role, or since the declaration.

    Attributes:
        since: ns UTC.
        entries: how many lines there are since then.
        decisions: what was decided, by people and about the state, the oldest first.
        questions: lines that ask, or suppose, something; the newest of them.
    """

    since: int
    entries: int
    decisions: Sequence[str] = ()
    questions: Sequence[str] = ()


async def recent(room: Room, role: str) -> Recent:
    """Read what the timeline says since the role was last handed over."""
    await room.caught_up()
    since = last(room.incident, role)
    start, end = await room.lines.position(since), await room.lines.count()
    decided: list[Line] = []
    for mark in (MARKS["decision"], BOOKKEEPING):
        decided += await newest(room, Filter(marks=frozenset({mark}), system=False), since, HIGH)
    decided.sort(key=lambda line: line.at)
    asked = await newest(room, Filter(marks=frozenset({MARKS["question"]})), since)
    return Recent(
        since,
        max(end - start, 0),
        [_line(line) for line in decided],
        [_line(line) for line in asked[-MOST:]],
    )


def last(incident: Incident, role: str) -> int:
    """When the role was last handed over, else when the incident was declared; ns UTC."""
    times = [each.at for each in incident.triage.handovers if each.body.role == role]
    return times[-1] if times else incident.declared_at


def summary(incident: Incident, role: str, now: int, recent: Recent) -> str:
    """Return the summary: bounded, in plain lines, and true of the state at `now` (ns UTC)."""
    lines = list(_lines(incident, role, now, recent))
    text = "\n".join(lines)
    return text if len(text) <= LONGEST else text[: LONGEST - 2] + " …"


def _lines(incident: Incident, role: str, now: int, recent: Recent) -> Iterator[str]:
    over = "" if incident.open else f", CLOSED {iso(incident.closed_at, 0)}"
    yield f"{incident.code} [{incident.label}] {_short(incident.title)}{over}"
    yield f"Handover of {role} at {iso(now, 0)}, {routing.minutes(now - incident.declared_at)} after the declaration."
    for name, text in (("Scope", incident.scope), ("Impact", incident.impact)):
        yield f"{name}: {_short(text) if text else 'not stated'}"
    roles = ", ".join(f"{name} {' and '.join(people)}" for name, people in incident.roles.items())
    yield f"Roles: {_short(roles) or 'nobody'}"
    if led := incident.triage.led:
        yield f"SECURITY LEADS since {iso(led.at, 0)}, for responders only: {_short(led.body.reason)}"
    tags = ", ".join(f"{axis}:{tag}" for axis, tags in incident.triage.tags.items() for tag in tags)
    if tags:
        yield f"Tags: {_short(tags)}"
    if incident.contained_at is None:
        yield "NOT CONTAINED."
    else:
        yield f"Contained {iso(incident.contained_at, 0)}: {_short(incident.contained_how)}"
    yield from _section("Clocks", _clocks(incident, now))
    yield from _section("Still to be told", _waiting(incident, now))
    yield from _section("Checklist, overdue", [_check(each, incident, now) for each in incident.overdue(now)])
    late = {check.item.id for check in incident.overdue(now)}
    still = [
        each for each in incident.checklist.values() if each.state == "open" and each.item.id not in late
    ]
    yield from _section("Checklist, open", [_check(each, incident, now) for each in still])
    yield from _section("Playbooks", _plays(incident))
    yield from _section("Rollback", _rollback(incident))
    going = [facts.sentence for name, facts in incident.alerts.items() if name not in incident.ended]
    yield from _section("Alerts that go on", going)
    yield from _section("Unanswered questions", [*_unanswered(incident), *recent.questions])
    since = f"since {iso(recent.since, 0)}, {recent.entries:,} entries"
    yield from _section(f"Changed {since}", recent.decisions, newest=True)


def _section(title: str, entries: Sequence[str] | Iterator[str], *, newest: bool = False) -> Iterator[str]:
    entries = list(entries)
    if not entries:
        return
    shown = entries[-MOST:] if newest else entries[:MOST]
    more = len(entries) - len(shown)
    yield f"{title}:" + (f" ({more} more)" if more else "")
    for entry in shown:
        yield f"- {_short(entry)}"


def _clocks(incident: Incident, now: int) -> Iterator[str]:
    due = incident.next_update_due
    if due is not None:
        channel = f" on {incident.channel}" if incident.channel else ""
        yield f"next update{channel} due {iso(due, 0)}, {_left(due, now)}"
    elif incident.open:
        yield "no next update is promised"
    for limit in routing.limits(incident):
        if limit.outstanding:
            when = (
                "without delay" if limit.due is None else f"by {iso(limit.due, 0)}, {_left(limit.due, now)}"
            )
            yield f"{limit.clock.regime} {limit.clock.article}: tell {limit.clock.tell} {when}"
    for row in incident.rollback.values():
        worst = incident.worst(row)
        if worst is not None:
            yield f"rollback {row.action_class.id} {worst[0].id} ends {iso(worst[1], 0)}, {_left(worst[1], now)}"


def _left(due: int, now: int) -> str:
    left = due - now
    return f"in {routing.minutes(left)}" if left >= 0 else f"LATE by {routing.minutes(-left)}"


def _waiting(incident: Incident, now: int) -> Iterator[str]:
    for each in routing.outstanding(incident):
        how = "page" if each.page else "tell"
        yield f"{how} {each.who}, for {routing.minutes(now - each.since)}: {each.reasons[0]}"


def _check(check: Check, incident: Incident, now: int) -> str:
    due = incident.due_at(check)
    taken = f", taken by {check.claimed}" if check.claimed else ""
    when = f", {_left(due, now)}" if due is not None else ""
    return f"{check.item.id} ({check.item.role}{taken}{when}): {check.item.text}"


def _plays(incident: Incident) -> Iterator[str]:
    for play in incident.plays.opened.values():
        if play.open:
            ahead = f", next {play.next.step.id}" if play.next else ""
            yield f"{play.id}: {play.done} of {len(play.steps)} steps done{ahead}"
            for state in play.steps.values():
                if state.standing in ("running", "unclear", "failed"):
                    yield f"{play.id}: {state.step.id} is {state.standing}"


def _rollback(incident: Incident) -> Iterator[str]:
    untouched = [row.action_class.id for row in incident.rollback.values() if row.state == "untouched"]
    for row in incident.rollback.values():
        if row.state != "untouched" and not row.finished:
            effects = "" if row.effects is None else f", {row.effects:,} effects"
            yield f"{row.action_class.id} is {row.state}{effects}: {row.note}"
    if untouched:
        yield f"never looked at: {', '.join(untouched)}"


def _unanswered(incident: Incident) -> Iterator[str]:
    for name, answered in incident.triage.forms.items():
        open_ = [question for question, text in answered.answers.items() if text == "unknown"]
        if open_:
            yield f"form {name}: {', '.join(open_)}"
        if answered.body.proposal and not answered.body.decided:
            yield f"form {name} proposes {answered.body.proposal}; nobody decided"


async def newest(room: Room, flt: Filter, since: int, level: int = 0) -> list[Line]:
    """The newest lines of a kind since then that count, the oldest of them first."""
    start, end = await room.lines.position(since, flt), await room.lines.count(flt)
    found: list[Line] = []
    # However many others a console writes that is not on the roster, these are found.
    while end > start and len(found) < ENOUGH:
        first = max(start, end - PAGE)
        lines = await room.lines.window(first, end - first, flt)
        found = await room.counting([line for line in lines if line.level >= level]) + found
        end = first
    return found[-ENOUGH:]


def _line(line: Line) -> str:
    by = f" (corrected by {line.editor})" if line.editor else ""
    disputed = "DISPUTED: " if line.flags & DISPUTED else ""
    return f"{iso(line.at, 0)} {line.actor}{by}: {disputed}{line.text.splitlines()[0] if line.text else ''}"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"
