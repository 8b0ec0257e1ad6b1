"""What there is to read about one thing: an alert, an entry and its history, a checklist item, an action class."""

from __future__ import annotations

from collections.abc import Sequence

from console.alerts import Alert
from console.events import (
    AlertFacts,
    EntryAmended,
    EntryReinstated,
    EntryRetracted,
    NoteWritten,
    Unknown,
    instant,
    read,
)
from console.incident import Check, Incident, Rollback
from console.timeline import project
from data.envelope import Event
from data.view import Put
from screens.display import many
from screens.times import SECOND, clock, stamp
from screens.widgets.rollback import STATE_WORDS, left
from screens.widgets.sheet import Para


def _when(text: str) -> str:
    at = instant(text)
    return stamp(at) if at is not None else "-"


def about_alert(alert: Alert, now: int) -> list[Para]:
    """Return everything about an alert; what an agent could have written is in blocks of its own."""
    facts = alert.facts
    state = alert.state(now)
    words = {
        "firing": "FIRING: nobody has it",
        "acknowledged": f"acknowledged by {alert.acknowledged_by} {stamp(alert.acknowledged_at)} {alert.acknowledged_note}",
        "silenced": f"silenced by {alert.silenced_by}: {alert.silenced_reason}",
        "ended": "ended"
        + (
            f", acknowledged by {alert.acknowledged_by}"
            if alert.acknowledged_at
            else ", nobody acknowledged it"
        ),
    }[state]
    paras = [
        Para(words, "state", "crit" if state == "firing" else ""),
        *_facts(facts),
    ]
    if alert.silenced_by:
        until = stamp(alert.silenced_until) if alert.silenced_until else "it ends"
        paras.append(Para(f"by {alert.silenced_by} until {until}: {alert.silenced_reason}", "silence"))
    paras.append(Para(alert.event, "evidence", "quiet"))
    return paras


def _facts(facts: AlertFacts) -> list[Para]:
    paras = [
        Para(f"{facts.rule}  {facts.version}", "tripwire", "strong"),
        Para(f"{facts.agent}  of {facts.tenant or '-'}", "agent"),
        Para(
            "pages " + ", ".join(facts.route)
            if facts.pages
            else "does not page: only the literal limit was crossed",
            "attention",
        ),
        Para(f"first {_when(facts.opened_at)}   last {_when(facts.last_at)}", "acted"),
        Para(f"detected {_when(facts.detected_at)}   paged {_when(facts.paged_at)}", "seen"),
        Para(_measure(facts), "measure"),
        Para(facts.sentence, "what the tripwire saw", agent=True),
    ]
    if facts.subject:
        paras.append(Para(facts.subject, "subject", agent=True))
    if facts.sample:
        lines = [
            f"{_when(action.at)}  {action.kind}  {action.name}  {action.status}"
            + (f"  {_money(action.cost)}" if action.cost is not None else "")
            for action in facts.sample
        ]
        paras.append(Para("\n".join(lines), f"actions ({len(facts.sample)} of {facts.count:,})", agent=True))
    return paras


def _measure(facts: AlertFacts) -> str:
    if not facts.limit:
        return many(facts.count, "action")
    show = _money if facts.unit == "nano-usd" else lambda value: f"{value:,} {facts.unit}".strip()
    return f"{show(facts.value)} when it opened, {show(facts.peak)} at most so far; limit {show(facts.limit)}, pages at {show(facts.page_limit)}; {many(facts.count, 'action')}"


def _money(nano: int) -> str:
    return f"{nano / 1_000_000_000:,.2f} USD"


def about_entry(events: Sequence[Event]) -> list[Para]:
    """Return an entry with its whole history, the newest version first. `events`: the entry, then its corrections."""
    first = events[0]
    body = read(first)
    versions = [(first, body.text if isinstance(body, NoteWritten) else _projected(first), "")]
    log: list[Para] = []
    retracted = ""
    for event in events[1:]:
        match read(event):
            case EntryAmended(text=text, reason=reason):
                versions.append((event, text, reason))
                log.append(
                    Para(
                        f"{stamp(event.wall)} {event.actor} corrected it: {reason or 'no reason given'}",
                        "history",
                    )
                )
            case EntryRetracted(reason=reason):
                retracted = f"RETRACTED by {event.actor}: {reason or 'no reason given'}"
                log.append(
                    Para(
                        f"{stamp(event.wall)} {event.actor} retracted it: {reason or 'no reason given'}",
                        "history",
                    )
                )
            case EntryReinstated(reason=reason):
                retracted = ""
                log.append(
                    Para(
                        f"{stamp(event.wall)} {event.actor} reinstated it: {reason or 'no reason given'}",
                        "history",
                    )
                )
            case _:
                pass
    paras = [Para(retracted, "state", "med")] if retracted else []
    paras.append(
        Para(
            versions[-1][1],
            f"version {len(versions)} of {len(versions)}" if len(versions) > 1 else "text",
            agent=True,
        )
    )
    for number in range(len(versions) - 1, 0, -1):
        paras.append(Para(versions[number - 1][1], f"version {number}", agent=True))
    if isinstance(body, NoteWritten):
        paras.append(Para(body.style, "kind"))
        typed = instant(body.typed)
        if typed is not None and typed != first.at:
            paras.append(
                Para(f"{stamp(first.at)}, given by {first.actor}; typed {stamp(typed)}", "happened", "info")
            )
        else:
            paras.append(Para(stamp(first.at), "happened"))
    else:
        paras.append(Para(first.kind + (f" ({body.why})" if isinstance(body, Unknown) else ""), "kind"))
        paras.append(Para(stamp(first.at), "happened"))
    paras += [
        Para(stamp(first.wall), "recorded"),
        Para(first.actor + (f" as {first.role}" if first.role else ""), "by"),
        *log,
        Para(f"{first.short}   number {first.n} of this record", "id"),
        Para(first.hash, "hash", "quiet"),
    ]
    return paras


def _projected(event: Event) -> str:
    return next((change.text for change in project(event) if isinstance(change, Put)), event.kind)


def about_item(check: Check, state: Incident, now: int) -> list[Para]:
    """Return everything about a checklist item."""
    item = check.item
    due = state.due_at(check)
    paras = [Para(item.text, "item", "strong"), Para(check.state.replace("_", " "), "state")]
    if item.help:
        paras.append(Para(item.help, "how"))
    if check.state != "open":
        paras.append(Para(f"{check.by} {stamp(check.at)} {check.reason}", "settled"))
    if check.claimed:
        paras.append(Para(check.claimed, "works on it"))
    if due is not None:
        paras.append(
            Para(
                f"{stamp(due)}, {'late by ' if due < now else 'in '}{clock(abs(due - now))}",
                "due",
                "crit" if due < now else "",
            )
        )
    paras += [
        Para(item.phase or "-", "phase"),
        Para(item.role or "anybody", "role"),
        Para("needs evidence" if item.evidence else "no evidence asked", "evidence"),
        Para(" ".join(item.sources) or "-", "from", "quiet"),
        Para(item.id, "id", "quiet"),
    ]
    return paras


def about_class(row: Rollback, state: Incident, now: int) -> list[Para]:
    """Return everything about an action class and how to undo its effects."""
    kind = row.action_class
    paras = [
        Para(kind.name, "class", "strong"),
        Para(
            STATE_WORDS[row.state][0] + (f", {row.note}" if row.note else ""),
            "state",
            STATE_WORDS[row.state][1],
        ),
        Para("not counted yet" if row.effects is None else f"{row.effects:,}", "effects"),
    ]
    if row.by:
        paras.append(Para(f"{row.by} {stamp(row.at)}", "moved by"))
    for budget in kind.budgets:
        deadline = state.deadline(budget)
        if budget.id in row.met:
            words, tone = f"finished {stamp(row.met[budget.id])}", "ok"
        elif deadline is None:
            words, tone = f"{clock(budget.seconds * SECOND)} from containment, which is not confirmed", ""
        else:
            words, tone = (
                f"{left(deadline - now)} (until {stamp(deadline)})",
                "crit" if deadline < now else "",
            )
        paras.append(Para(f"{budget.name}: {words}", "clock", tone))
    for label, steps in (
        ("procedure", kind.procedure),
        ("instead", kind.substitute),
        ("verify by", kind.verification),
    ):
        paras += [Para(f"{number}. {step}", label) for number, step in enumerate(steps, 1)]
    paras += [
        Para(kind.operator or "-", "who may"),
        Para({"yes": "yes", "partly": "partly", "no": "no: see instead"}[kind.reversible], "reversible"),
        Para(", ".join(kind.examples) or "-", "such as"),
        Para(" ".join(kind.sources) or "-", "from", "quiet"),
        Para(kind.id, "id", "quiet"),
    ]
    return paras
