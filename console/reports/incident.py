"""The report of an incident, as Markdown: made from the events alone, so that it can be made anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from console.containment import verdict
from console.events import EntryAmended, EntryReinstated, EntryRetracted, read
from console.incident import Incident, fold
from console.reports.markdown import inert, table
from console.rollback.state import Rollback
from console.roster import roster
from console.routing import escalations, limits
from console.timeline import BACKDATED, CORRECTED, DISPUTED, RETRACTED, project
from data.clock import iso
from data.envelope import Event, short
from data.line import editor
from data.view import SYSTEM, Patch, Put

SECOND = 1_000_000_000
DETECT_WITHIN = 4 * 3600
"""Seconds from an agent's action to a person working on it (S003-DET-1)."""
TOLD = 200
"""Targets of one order that are told one by one, those first that need somebody."""


@dataclass
class Entry:
    """One line of the timeline with its history: the versions before the one that counts, and who wrote them.

    `counts`: whether who wrote it is on the roster. `editor`: who corrected it last, unless that is who wrote it.
    """

    event: Event
    put: Put
    text: str
    flags: int
    earlier: list[tuple[str, str]]
    counts: bool
    editor: str = ""


def timeline(events: Iterable[Event]) -> list[Entry]:
    """Return the timeline that `events` make, in event-time order.

    As in the view, what a console wrote that does not count is shown and changes nothing.
    """
    entries: dict[str, Entry] = {}
    ordered = sorted(events, key=lambda event: event.order)
    counts = roster((event, read(event)) for event in ordered).counts
    changes: list[tuple[Event, Patch]] = []
    flags: dict[str, int] = {}
    for event in ordered:
        for ask in project(event):
            if isinstance(ask, Put):
                entries[event.hash] = Entry(event, ask, ask.text, ask.flags, [], counts(event))
            elif counts(event):
                changes.append((event, ask))
                if not ask.unless:
                    flags[ask.target] = flags.get(ask.target, 0) & ~ask.clear_flags | ask.set_flags
    for event, change in changes:
        entry = entries.get(change.target)
        if entry is None or change.unless & flags.get(event.hash, 0):
            continue
        if change.text is not None:
            entry.earlier.append((entry.text, entry.editor))
            entry.text = change.text
        if change.author is not None:
            entry.editor = editor(change.author, (entry.event.actor, entry.event.rep))
        entry.flags = entry.flags & ~change.clear_flags | change.set_flags
    return sorted(entries.values(), key=lambda entry: (entry.event.at, entry.event.order))


def report(events: Sequence[Event], made_at: int, sound: str = "") -> Iterator[str]:
    """Yield the lines of the report.

    Args:
        events: every event of the incident's record.
        made_at: when the report was made, ns UTC.
        sound: what `verify` said of the record, one sentence.
    """
    state = fold(events)
    drill = "DRILL: not a real incident. " if state.mode == "drill" else ""
    yield f"# {drill}[{inert(state.label)}] {inert(state.title)}"
    yield ""
    if drill:
        yield "**DRILL.** This report is about a rehearsal; nothing in it happened."
        yield ""
    yield from _head(state, events, made_at, sound)
    yield from _triage(state)
    yield from _forms(state)
    yield from _alerts(state)
    yield from _containment(state)
    yield from _held(state)
    yield "## Timeline"
    yield ""
    yield "Times are UTC: when it happened. A line that was typed for an earlier time says so."
    yield ""
    yield from _timeline(events)
    yield from _corrections(events, state)
    yield from _checklist(state)
    yield from _rollback(state)
    yield from _evidence(state)


def _containment(state: Incident) -> Iterator[str]:
    """The receipts: what was stopped and let go on, and what proves it."""
    orders = list(state.moves.orders.values())
    if not orders:
        return
    yield "## Containment"
    yield ""
    yield "Times of a target are seconds since the order. Only what was verified, or has no leave to act any more, is held."
    yield ""
    for order in orders:
        body = order.body
        yield f"### {inert(verdict.title(order))}"
        yield ""
        facts = [
            ("Order", body.order),
            ("Given", f"{iso(order.at, 3)} by {inert(order.by)}"),
            ("Scope", body.scope or "none"),
            ("Reason", inert(body.reason) or "none was given"),
            ("Advice", inert(body.advice)),
            ("Takes back", body.lifts),
            ("Taken back by", order.lifted),
            ("Epoch", str(order.epoch or "")),
            ("Verdict", verdict.spoken(order)),
            ("At last", "" if body.dry else verdict.summary(order)),
        ]
        yield from table(("", ""), [(name, value) for name, value in facts if value])
        told = verdict.rows(order)
        lines = [(inert(each.target), each.state, each.when, inert(each.said)) for each in told[:TOLD]]
        yield from table(("Target", "State", "When", "What is known"), lines)
        if len(told) > TOLD:
            yield f"{len(told) - TOLD:,} further targets are in the same states; `warroom containment {body.order}` lists all."
            yield ""


def _held(state: Incident) -> Iterator[str]:
    """The actions that were held, and what was decided about each."""
    held = list(state.quarantine.actions.values())
    if not held:
        return
    yield "## Held actions"
    yield ""
    rows = [
        (
            inert(each.id),
            inert(each.action.what),
            inert(each.action.agent),
            each.state,
            f"{each.word} by {inert(each.by)}: {inert(each.reason)}" if each.word else "",
            inert(each.note),
        )
        for each in held[:TOLD]
    ]
    yield from table(("Action", "What it would do", "Agent", "State", "Decided", "Note"), rows)
    if len(held) > TOLD:
        yield f"{len(held) - TOLD:,} further ones are on the record."
        yield ""


def _head(state: Incident, events: Sequence[Event], made_at: int, sound: str) -> Iterator[str]:
    closed = f"closed {iso(state.closed_at, 0)}" if state.closed_at else "open"
    facts = [
        ("Incident", state.code),
        ("Case", state.case),
        ("State", closed),
        ("Severity", f"{state.severity} ({inert(state.label)})"),
        ("Scope", inert(state.scope) or "not stated"),
        ("Impact", inert(state.impact) or "not stated"),
        ("Declared", f"{iso(state.declared_at, 0)} by {inert(state.declared_by)}"),
        ("Next update", _next_update(state)),
        ("Report made", iso(made_at, 0)),
        ("Record", f"{len(events)} events, the last one {events[-1].hash if events else 'none'}"),
    ]
    if sound:
        facts.append(("Verified", inert(sound)))
    yield from table(("", ""), [(name, value) for name, value in facts])
    yield "## Roles"
    yield ""
    roles = [(inert(role), ", ".join(map(inert, people))) for role, people in state.roles.items()]
    yield from table(("Role", "Person"), roles)
    yield "## Clocks"
    yield ""
    stamps = [
        (name.replace("_", " "), iso(stamp.at, 0), stamp.confidence, inert(stamp.source))
        for name, stamp in sorted(state.stamps.items(), key=lambda item: item[1].at)
    ]
    yield from table(("Moment", "UTC", "How sure", "Source"), stamps)
    for name in ("page", "acknowledgement"):
        if {"action", name} <= state.stamps.keys():
            span = (state.stamps[name].at - state.stamps["action"].at) // SECOND
            # The target is judged on the acknowledgement.
            target = f", {'within' if span <= DETECT_WITHIN else 'LATER THAN'} the target of 4 h"
            took = f"{span // 3600}:{span // 60 % 60:02}:{span % 60:02}"
            yield f"Action to {name}: {took}{target if name == 'acknowledgement' else ''}."
            yield ""
    contained = (
        f"{iso(state.contained_at, 0)}: {inert(state.contained_how)}"
        if state.contained_at
        else "not confirmed"
    )
    yield f"Containment: {contained}"
    yield ""


def _next_update(state: Incident) -> str:
    if state.next_update_due is None:
        return "none is due"
    return iso(state.next_update_due, 0) + (f" on {inert(state.channel)}" if state.channel else "")


def _triage(state: Incident) -> Iterator[str]:
    """What kind of incident it was taken for, who had to be told, and who led."""
    triage = state.triage
    tags = ", ".join(f"{inert(axis)}: {inert(tag)}" for axis, tags in triage.tags.items() for tag in tags)
    if tags:
        yield f"Tags: {tags}"
        yield ""
    if triage.led is not None:
        by = f"{iso(triage.led.at, 0)} by {inert(triage.led.by)}"
        yield f"Led by security since {by}, for responders only: {inert(triage.led.body.reason)}"
        yield ""
    found = [(each.who, each.title, each.since, each.told, each.waived) for each in escalations(state)]
    found += [
        (each.clock.id, f"{each.clock.regime} {each.clock.article}", each.since, each.told, each.waived)
        for each in limits(state)
    ]
    rows = []
    for who, title, since, told, waived in found:
        if told is not None:
            how = f"{iso(told.at, 0)} by {inert(told.by)}: {inert(told.body.how)}"
        else:
            how = f"need not be: {inert(waived.reason)}" if waived is not None else "NOT TOLD"
        rows.append((inert(who), inert(title), iso(since, 0), how))
    if rows:
        yield "## Who had to be told"
        yield ""
        yield from table(("Who", "", "Since", "Told"), rows)


def _forms(state: Incident) -> Iterator[str]:
    """What was answered to each form, as it stands now."""
    for name, answered in state.triage.forms.items():
        yield f"## Form {inert(name)}"
        yield ""
        decided = f"; decided {inert(answered.body.decided)}" if answered.body.decided else ""
        proposed = f"; proposed {inert(answered.body.proposal)}" if answered.body.proposal else ""
        yield f"Answered {iso(answered.at, 0)} by {inert(answered.by)}{proposed}{decided}"
        yield ""
        yield from table(
            ("Question", "Answer"), [(inert(each), inert(text)) for each, text in answered.answers.items()]
        )


def _alerts(state: Incident) -> Iterator[str]:
    yield "## Alerts"
    yield ""
    rows = [
        (
            inert(facts.opened_at),
            inert(facts.rule),
            inert(facts.agent),
            inert(facts.sentence),
            "acknowledged" if name in state.acknowledged else "NOT acknowledged",
            "over" if name in state.ended else "goes on",
        )
        for name, facts in state.alerts.items()
    ]
    yield from table(("Opened", "Rule", "Agent", "What", "", ""), rows)


def _timeline(events: Sequence[Event]) -> Iterator[str]:
    rows: list[tuple[str, ...]] = []
    for entry in timeline(events):
        if entry.flags & SYSTEM:
            continue
        text = inert(entry.text)
        if entry.flags & DISPUTED:
            text = f"DISPUTED: {text}"
        if not entry.counts:
            text = f"NOT ON THE ROSTER, does not count: {text}"
        if entry.flags & RETRACTED:
            text = f"RETRACTED: ~~{text}~~"
        if entry.flags & CORRECTED:
            by = f" by {inert(entry.editor)}" if entry.editor else ""
            before = (inert(said) + (f" (by {inert(who)})" if who else "") for said, who in entry.earlier)
            text += f" (CORRECTED{by}; before: {'; '.join(before)})"
        if entry.flags & BACKDATED:
            text += f" (written {iso(entry.event.wall, 0)})"
        role = f" ({inert(entry.event.role)})" if entry.event.role else ""
        mark = inert(entry.put.mark.strip())
        rows.append((iso(entry.event.at, 0), entry.event.short, inert(entry.event.actor) + role, mark, text))
    yield from table(("UTC", "Entry", "Who", "", "What"), rows)


DEEDS = {
    EntryAmended: "corrected",
    EntryRetracted: "retracted",
    EntryReinstated: "reinstated",
}


def _corrections(events: Sequence[Event], state: Incident) -> Iterator[str]:
    yield "## Corrections and retractions"
    yield ""
    said = {
        event.hash: change.text for event in events for change in project(event) if isinstance(change, Put)
    }
    rows: list[tuple[str, ...]] = []
    for event in sorted(events, key=lambda event: event.order):
        body = read(event)
        if not isinstance(body, EntryAmended | EntryRetracted | EntryReinstated):
            continue
        deed = DEEDS[type(body)]
        if not state.roster.counts(event):
            deed += ", NOT COUNTED: not on the roster"
        what = inert(said.get(body.target, ""))
        if isinstance(body, EntryAmended):
            what += f" → {inert(body.text)}"
            if state.roster.counts(event):
                said[body.target] = body.text
        role = f" ({inert(event.role)})" if event.role else ""
        rows.append(
            (
                iso(event.wall, 0),
                short(body.target),
                deed,
                inert(event.actor) + role,
                inert(body.reason) or "no reason given",
                what,
            )
        )
    yield from table(("UTC", "Entry", "Was", "By", "Why", "What it said"), rows)


def _checklist(state: Incident) -> Iterator[str]:
    yield f"## Checklist ({state.checked} of {len(state.checklist)})"
    yield ""
    rows = [
        (
            check.state.replace("_", " "),
            inert(check.item.text),
            inert(check.by),
            iso(check.at, 0) if check.at else "",
            inert(check.reason or check.evidence),
            " ".join(map(inert, check.item.sources)),
        )
        for check in state.checklist.values()
    ]
    yield from table(("State", "Item", "Who", "UTC", "Reason or evidence", "Sources"), rows)


def _rollback(state: Incident) -> Iterator[str]:
    yield "## Rollback of effects"
    yield ""
    rows = [
        (
            inert(row.action_class.name),
            row.state,
            "not counted" if row.effects is None else str(row.effects),
            _how_far(state, row),
            "; ".join(_clocks(state, row)),
            inert(row.note),
        )
        for row in state.rollback.values()
    ]
    yield from table(("Class", "State", "Effects", "How far", "Clocks from containment", "Note"), rows)
    yield from _audits(state)


def _how_far(state: Incident, row: Rollback) -> str:
    tally = state.ledger.tally(row.action_class.id)
    if tally is None:
        return ""
    names = ("open", "reversing", "reversed", "substituted", "verified", "waived")
    counts = [f"{count:,} {name}" for name in names if (count := getattr(tally, name))]
    counts += [f"{tally.nothing:,} nothing to undo"] if tally.nothing else []
    return ", ".join(counts) + (f"; of {tally.unclear:,} nobody knows" if tally.unclear else "")


def _audits(state: Incident) -> Iterator[str]:
    """The audits that followed, and how far the incident was found to reach."""
    rows = [
        (
            inert(row.action_class.name),
            inert(each.name),
            iso(audit.opened_at, 0),
            iso(audit.closed_at, 0) if audit.closed_at else "open",
            inert(audit.evidence),
        )
        for row in state.rollback.values()
        for each in row.action_class.budgets
        if (audit := row.audits.get(each.id)) is not None
    ]
    if rows:
        yield from table(("Class", "Audit", "Opened, UTC", "Closed, UTC", "Evidence"), rows)
    for extension in state.ledger.extensions:
        agents = ", ".join(inert(each.agent) for each in extension.suspects)
        yield f"- Extended{' to ' + agents if agents else ''}: {inert(extension.reason)}"
    if state.ledger.extensions:
        yield ""


TRACED = ("trace_id", "session_id", "run_id", "approval_id")
"""What a ticket names of the evidence, so that it is found elsewhere again."""


def _evidence(state: Incident) -> Iterator[str]:
    yield "## Evidence kept"
    yield ""
    rows = []
    for each in state.exhibits:
        fields = {known.name: known.value for known in (*each.body.ids, *each.body.fields)}
        named = "; ".join(f"{name} {fields[name]}" for name in TRACED if fields.get(name))
        rows.append(
            (
                short(each.hash),
                f"{each.body.what}: {inert(each.body.title)}",
                inert(named),
                f"{inert(each.by)} {iso(each.at, 0)}",
                inert(each.body.reason),
                ", ".join(ref.sha256 for ref in each.refs),
            )
        )
    yield from table(("Exhibit", "What", "Found again by", "Kept by, UTC", "Why", "SHA-256"), rows)


def _clocks(state: Incident, row: Rollback) -> Iterator[str]:
    for budget in row.action_class.budgets:
        due = state.deadline(budget)
        ends = f"due {iso(due, 0)}" if due is not None else _lasting(budget.seconds)
        met = f", finished {iso(row.met[budget.id], 0)}" if budget.id in row.met else ""
        yield f"{inert(budget.name)}: {ends}{met}"


def _lasting(seconds: int) -> str:
    """Return a duration in the largest unit that says it without a remainder, as in `4 h`."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
