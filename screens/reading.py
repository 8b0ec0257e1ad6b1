"""What there is to read about one thing: an alert, an entry and its history, a checklist item, an action class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from console.alerts import Alert, measured
from console.events import (
    AlertFacts,
    Body,
    EntryAmended,
    EntryDisputed,
    EntryReinstated,
    EntryRetracted,
    EntrySettled,
    Erased,
    NoteWritten,
    Unknown,
    instant,
    read,
)
from console.incident import Check, Incident
from console.rollback.state import Rollback
from console.timeline import project
from data.envelope import Event
from data.view import Put
from screens.display import many
from screens.times import SECOND, clock, stamp
from screens.widgets.rollback import STATE_WORDS, at_risk
from screens.widgets.sheet import Para

if TYPE_CHECKING:
    from console.rollback.ledger import Tally
    from console.rollback.tracker import Clock


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
    return "; ".join(filter(None, (measured(facts), many(facts.count, "action"))))


def _money(nano: int) -> str:
    return f"{nano / 1_000_000_000:,.2f} USD"


class Standing(NamedTuple):
    """What is known of an entry besides its events.

    Attributes:
        kept: its state, as `screens.kept` says it.
        by: the console that wrote it.
        how: how that console came to the roster, or that it is not on it.
        counts: says of an event whether it counts.
        versions: the corrections that stand side by side; fewer than two = not contested.
    """

    kept: str
    by: str
    how: str
    counts: Callable[[Event], bool] = lambda _: True
    versions: frozenset[str] = frozenset()


def about_entry(events: Sequence[Event], standing: Standing) -> list[Para]:
    """Return an entry with its whole history, the newest version first. `events`: the entry, then its corrections."""
    first = events[0]
    body = read(first)
    erased = isinstance(body, Unknown) and first.body is None
    versions = [(first, body.text if isinstance(body, NoteWritten) else _projected(first))]
    log: list[Para] = []
    retracted = disputed = ""
    gone = False
    for event in events[1:]:
        about = read(event)
        because = f"{event.actor}: {getattr(about, 'reason', '') or 'no reason given'}"
        if not standing.counts(event):
            log.append(Para(f"{stamp(event.wall)} {event.kind}, NOT COUNTED, by {because}", "history", "med"))
            continue
        match about:
            case EntryAmended(text=text):
                versions.append((event, text))
                did = "corrected it"
            case EntryRetracted():
                retracted, did = f"RETRACTED by {because}", "retracted it"
            case EntryReinstated():
                retracted, did = "", "reinstated it"
            case EntryDisputed():
                disputed, did = f"DISPUTED by {because}", "disputed it"
            case EntrySettled():
                disputed, did = "", "settled the dispute"
            case Erased():
                gone, did = True, "erased its text"
            case _ if event.body is None:
                did = "corrected it; that text is not here"
            case _:
                continue
        log.append(Para(f"{stamp(event.wall)} {event.actor} {did}: {because.partition(': ')[2]}", "history"))
    paras = [Para(said, "state", "med") for said in (retracted, disputed) if said]
    if first.body is None and not gone:
        paras.append(
            Para(
                "WITHHELD: its text is not here, and no entry erased it. A policy keeps it from the remote or the bundle"
                " that the entry came with, or it was lost here: V tells which. The console that wrote it has it.",
                "state",
                "med",
            )
        )
    if gone:
        paras.append(
            Para(
                "ERASED: its text is gone for good. Header, hash and place in the chain stay, so that the record"
                " can be checked as before."
                + (
                    "" if erased else " This console has not carried it out yet, or a hold stands in the way."
                ),
                "state",
                "med",
            )
        )
    if not standing.counts(first):
        paras.append(Para(f"DOES NOT COUNT: {standing.how}", "state", "med"))
    rivals = [(event, text) for event, text in versions if event.hash in standing.versions]
    if len(rivals) > 1:
        paras.append(
            Para(
                f"CONTESTED: {len(rivals)} corrections were written apart, and none over the others. The timeline"
                " shows the last. Settling writes one over all of them.",
                "state",
                "med",
            )
        )
        for left, right in zip(rivals[::2], rivals[1::2], strict=False):
            paras.append(_rival(*left)._replace(beside=_rival(*right)[:2]))
        if len(rivals) % 2:
            paras.append(_rival(*rivals[-1]))
    else:
        last, text = versions[-1]
        label = f"version {len(versions)} of {len(versions)}{_by(last)}" if len(versions) > 1 else "text"
        paras.append(Para(text, label, agent=True))
    rest = versions[:-1] if len(rivals) < 2 else [each for each in versions if each not in rivals]
    for event, text in reversed(rest):
        paras.append(Para(text, f"version {versions.index((event, text)) + 1}{_by(event)}", agent=True))
    paras += _written(first, body)
    paras += [
        Para(stamp(first.wall), "recorded"),
        Para(first.actor + (f" as {first.role}" if first.role else ""), "by"),
        Para(f"{standing.by}, {standing.how}", "console"),
        Para(standing.kept, "kept"),
        *log,
        Para(f"{first.short}   number {first.n} of this record", "id"),
        Para(first.hash, "hash", "quiet"),
    ]
    return paras


def _by(event: Event) -> str:
    """Whose words they are: anybody may correct an entry, and another console may use the same name."""
    return f" by {event.actor} ({event.rep[:8]}) {stamp(event.wall)}"


def _rival(event: Event, text: str) -> Para:
    return Para(text, f"{event.actor} {stamp(event.wall)} {event.short}", agent=True)


def _written(first: Event, body: Body | Unknown) -> list[Para]:
    """Return what kind of entry it is, and when what it says happened."""
    if not isinstance(body, NoteWritten):
        kind = first.kind + (f" ({body.why})" if isinstance(body, Unknown) else "")
        return [Para(kind, "kind"), Para(stamp(first.at), "happened")]
    typed = instant(body.typed)
    if typed is not None and typed != first.at:
        happened = f"{stamp(first.at)}, given by {first.actor}; typed {stamp(typed)}"
        return [Para(body.style, "kind"), Para(happened, "happened", "info")]
    return [Para(body.style, "kind"), Para(stamp(first.at), "happened")]


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
        waits, late = check.state == "open" and state.open, due < now
        paras.append(
            Para(
                stamp(due) + (f", {'late by' if late else 'in'} {clock(abs(due - now))}" if waits else ""),
                "due",
                "crit" if waits and late else "",
            )
        )
    paras += [
        Para(item.phase or "-", "phase"),
        Para(
            f"{item.role}: {', '.join(state.roles.get(item.role, ())) or 'nobody yet'}"
            if item.role
            else "anybody",
            "role",
        ),
        Para(check.evidence or ("needed to be done" if item.evidence else "not asked for"), "evidence"),
        Para(" ".join(item.sources) or "-", "from", "quiet"),
        Para(item.id, "id", "quiet"),
    ]
    return paras


def about_class(name: str, state: Incident, now: int) -> list[Para]:
    """Return everything about an action class, by its id, and how to undo its effects; "" = effects of no class."""
    from console.rollback.tracker import summary

    standing, row = summary(state, name, now), state.rollback.get(name)
    if standing is None:
        return []
    words, tone = STATE_WORDS[standing.state]
    paras = [Para(standing.name, "class", "strong")]
    if standing.next:
        paras.append(Para(standing.next, "next"))
    paras.append(Para(words + (f", {standing.note}" if standing.note else ""), "state", tone))
    if standing.effects is None:
        paras.append(
            Para(
                "not counted yet" if standing.said is None else f"{standing.said:,}, as people say", "effects"
            )
        )
    else:
        paras.append(Para(tallied(standing.tally), "effects", "high" if standing.tally.unclear else ""))
    if row is None:
        return paras
    kind = row.action_class
    if row.by:
        paras.append(Para(f"{row.by} {stamp(row.at)}", "moved by"))
    for clock_ in standing.clocks:
        text, tone = _clock(clock_, row, now)
        paras.append(Para(f"{clock_.name}: {text}", "audit" if clock_.audit else "clock", tone))
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


def tallied(tally: Tally) -> str:
    """Return how many effects of a class are how far, in words."""
    counts = [
        (tally.unclear, "of which nobody knows whether they happened"), (tally.open, "open"),
        (tally.reversing, "being undone"), (tally.reversed, "reversed, to be checked"),
        (tally.substituted, "substituted, to be checked"), (tally.verified, "verified"),
        (tally.nothing, "with nothing to undo"), (tally.waived, "waived"),
    ]  # fmt: skip
    return f"{tally.total:,}: " + ", ".join(f"{count:,} {word}" for count, word in counts if count)


def _clock(known: Clock, row: Rollback, now: int) -> tuple[str, str]:
    """What a clock of a class says, and its tone."""
    audit = row.audits.get(known.id)
    shown = f", shown by {audit.evidence}" if audit is not None and audit.evidence else ""
    if known.id in row.met:
        return f"finished {stamp(row.met[known.id])}{shown}", "high" if known.level == "met late" else "ok"
    waits = ", opens once everything is undone" if known.audit and not known.open else ""
    if known.deadline is None:
        return f"{clock(known.seconds * SECOND)} from containment, which is not confirmed{waits}", ""
    text, tone = at_risk(known, now)
    text = text.removesuffix(known.name).strip()
    return f"{text} (until {stamp(known.deadline)}){waits}", tone
