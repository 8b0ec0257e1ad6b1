"""What people say about effects and audits: the commands of the ledger, each refused in words where it makes no sense."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from console.events import (
    AuditClosed,
    AuditOpened,
    Effect,
    EffectReconciled,
    EffectsClassed,
    EffectsListed,
    EffectsMoved,
    IncidentExtended,
    Progress,
    Suspect,
    entry,
    moment,
)
from console.refusal import Refused
from console.rollback.signs import LONGEST
from data.envelope import base32
from data.record import ACTOR

if TYPE_CHECKING:
    from console.incident import Incident
    from console.room import Room

MOST = 1000
"""Effects of one event."""
GROUP = 500
"""Events of one transaction, at most."""
FROM: Mapping[Progress, frozenset[Progress]] = {
    "open": frozenset({"reversing", "reversed", "substituted", "verified", "nothing", "waived"}),
    "reversing": frozenset({"open"}),
    "reversed": frozenset({"open", "reversing"}),
    "substituted": frozenset({"open", "reversing", "reversed"}),
    "verified": frozenset({"reversed", "substituted"}),
    "nothing": frozenset({"open"}),
    "waived": frozenset({"open", "reversing", "reversed", "substituted"}),
}
"""By the state to which an effect may move: from which."""
NEEDS: Mapping[Progress, str] = {
    "open": "Say why it is open again.",
    "substituted": "Say what was done instead: a compensating action, a notice to the customer, a disclosure.",
    "verified": "Say how it was checked, or name the evidence.",
    "nothing": "Say how it is known that there is nothing to undo.",
    "waived": "Say why it is left as it is.",
}
"""States that need a word, and which."""


def find(incident: Incident, names: Iterable[str]) -> list[str]:
    """Return the ids of the effects that are meant, by the beginnings of their ids.

    Raises:
        Refused: a name fits none or several.
    """
    rows, found = incident.ledger.rows, []
    for name in names:
        fits = [name] if name in rows else [each for each in rows if name and each.startswith(name.lower())]
        if len(fits) != 1:
            raise Refused(
                f"{len(fits) or 'No'} effects of {incident.code} begin with {name[:40]}.",
                "`warroom effects` lists them.",
            )
        found += fits
    return list(dict.fromkeys(found))


async def move(
    room: Room,
    ids: Collection[str],
    state: Progress,
    note: str = "",
    *,
    evidence: str = "",
    instead: str = "",
) -> int:
    """Bring effects into a state; all of them or none. Returns how many.

    Args:
        room: the incident.
        ids: whole ids of effects.
        state: where to.
        note: why, or how it was checked.
        evidence: what shows it.
        instead: what was done instead of undoing them.

    Raises:
        Refused: none is named, the state cannot follow the one they are in, a word is missing, or nobody knows yet
            whether one of them happened; nothing was written.
    """
    incident = room.incident
    if not ids:
        raise Refused("No effect is named.", "`warroom effects` lists them.")
    said = note.strip() or evidence.strip() or instead.strip()
    if state in NEEDS and not said:
        raise Refused(f"Marking effects {_word(state)} needs a note.", NEEDS[state])
    if state in ("reversing", "reversed"):
        certain(incident, ids)
    ledger = incident.ledger
    wrong = [each for each in ids if ledger.state(each) not in FROM[state]]
    if wrong:
        first = _word(ledger.state(wrong[0]))
        what = f"{_these(wrong)} {'is' if len(wrong) == 1 else 'are'} {first}"
        raise Refused(f"{what}, so {_word(state)} makes no sense.", "Nothing was written.")
    if state == "substituted":
        instead = instead.strip() or note.strip()
    bodies = [
        EffectsMoved(name, group, state, note.strip(), evidence.strip()[:LONGEST], instead[:LONGEST])
        for name, group in _grouped(incident, ids)
    ]
    await _record(room, bodies)
    return len(ids)


def certain(incident: Incident, ids: Iterable[str]) -> None:
    """Refuse to repeat or to reverse what may or may not have happened (S004-DU-3).

    Raises:
        Refused: nobody knows whether one of the effects happened; its key is shown.
    """
    ledger = incident.ledger
    for each in ids:
        if not ledger.unclear(each):
            continue
        row, mark = ledger.rows[each], ledger.marks.get(each)
        what = "a reversal of it was begun, and nobody knows whether it took effect"
        if mark is None or not mark.doubt:
            what = "nobody knows whether it happened"
        key = f"its key is {row.key}" if row.key else "it has no idempotency key"
        raise Refused(
            f"Effect {each[:8]} is neither repeated nor reversed: {what}; {key}.",
            f"Look at the other side, then: warroom effects reconcile {each[:8]} yes|no --how WHAT-YOU-SAW.",
        )


async def reconcile(room: Room, ids: Collection[str], happened: bool, how: str) -> int:
    """Say of effects, or of reversals of which nobody knew, whether they happened. Returns how many.

    Raises:
        Refused: none is named, or nothing says how it was seen.
    """
    if not ids:
        raise Refused("No effect is named.", "`warroom effects --unclear` lists those of which nobody knows.")
    if not how.strip():
        raise Refused("Say how it was seen.", "As in --how 'the provider lists the payment under its key'.")
    marks = room.incident.ledger.marks
    bodies = [
        EffectReconciled(
            each, happened, how.strip(), "reversal" if (mark := marks.get(each)) and mark.doubt else "effect"
        )
        for each in ids
    ]
    await _record(room, bodies)
    return len(ids)


async def classify(room: Room, ids: Collection[str], action_class: str, note: str = "") -> int:
    """Put effects into a class. Returns how many.

    Raises:
        Refused: none is named, or there is no such class.
    """
    if action_class not in room.incident.rollback:
        known = ", ".join(room.incident.rollback)
        raise Refused(f"There is no action class {action_class[:80]}.", f"There are {known}.")
    if not ids:
        raise Refused("No effect is named.", "`warroom effects` lists them.")
    named = list(ids)
    await _record(
        room,
        [
            EffectsClassed(tuple(named[start : start + MOST]), action_class, note.strip())
            for start in range(0, len(named), MOST)
        ],
    )
    return len(named)


async def add(
    room: Room,
    action_class: str,
    what: str,
    *,
    agent: str = "",
    target: str = "",
    key: str = "",
    at: int | None = None,
) -> str:
    """Write an effect down that no telemetry tells of, such as one that an audit found. Returns its id.

    Args:
        room: the incident.
        action_class: id of its class.
        what: what was done, in words.
        agent: by whom; "" = not known.
        target: what was changed.
        key: the idempotency key, where there is one.
        at: when, ns UTC; None = now.

    Raises:
        Refused: there is no such class, or nothing says what it was.
    """
    from hashlib import sha256

    if action_class not in room.incident.rollback:
        known = ", ".join(room.incident.rollback)
        raise Refused(f"There is no action class {action_class[:80]}.", f"There are {known}.")
    if not what.strip():
        raise Refused("An effect needs its words.", "Say in one line what was done.")
    when = moment(room.clock.now() if at is None else at)
    parts = ("by hand", action_class, what.strip(), agent, target, key)
    id = base32(sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest(), 16)
    if id in room.incident.ledger.rows:
        raise Refused(f"That effect is in the ledger already, as {id[:8]}.")
    row = Effect(
        id, action_class, when, agent[:LONGEST] or "not known", what.strip()[:LONGEST], target=target[:LONGEST],
        key=key[:LONGEST],
    )  # fmt: skip
    await room.record(EffectsListed((row,), "added"))
    return id


async def open_audit(room: Room, action_class: str, audit: str, note: str = "") -> None:
    """Open an audit before every effect of its class is undone; later it opens by itself.

    Raises:
        Refused: there is no such audit, or it is open.
    """
    row = room.incident.rollback.get(action_class)
    names = [each.id for each in row.action_class.budgets if each.audit] if row is not None else []
    if row is None or audit not in names:
        raise Refused(
            f"{action_class[:80]} has no audit {audit[:80]}.", f"It has {', '.join(names) or 'none'}."
        )
    if audit in row.audits:
        raise Refused(f"The audit {audit} of {action_class} was opened already.")
    await room.record(AuditOpened(action_class, audit, note.strip()))


async def close_audit(room: Room, action_class: str, audit: str, evidence: str, note: str = "") -> None:
    """Close an audit with what shows that it is complete.

    Raises:
        Refused: it is not open, or nothing shows that it is complete.
    """
    row = room.incident.rollback.get(action_class)
    if row is None or audit not in {each.id for each in row.open_audits}:
        opened = ", ".join(each.id for each in row.open_audits) if row is not None else ""
        raise Refused(f"{action_class[:80]} has no open audit {audit[:80]}.", f"Open: {opened or 'none'}.")
    if not evidence.strip():
        raise Refused(
            f"Closing the audit {audit} of {action_class} needs evidence.",
            "Name the exhibit, the report or the query that shows that it is complete.",
        )
    await room.record(AuditClosed(action_class, audit, evidence.strip()[:LONGEST], note.strip()))


async def extend(
    room: Room,
    reason: str,
    agents: Collection[tuple[str, str]] = (),
    *,
    since: int | None = None,
    action_class: str = "",
    audit: str = "",
) -> IncidentExtended:
    """Extend the incident to further agents: the next draft lists what they did too.

    Args:
        room: the incident.
        reason: what was found.
        agents: tenant and name of each.
        since: from when on they belong to it, ns UTC; None = an hour before the incident was declared.
        action_class: the class whose audit found it.
        audit: that audit.

    Raises:
        Refused: nothing says why.
    """
    if not reason.strip():
        raise Refused("Extending the incident needs a reason.", "Say in one line what was found.")
    began = room.incident.declared_at - HOUR if since is None else since
    suspects = tuple(Suspect(tenant, agent, moment(began)) for tenant, agent in dict.fromkeys(agents))
    body = IncidentExtended(reason.strip(), suspects[:100], action_class, audit)
    await room.record(body)
    return body


HOUR = 3600 * 1_000_000_000


async def announce(room: Room) -> None:
    """Put it on the timeline that audits opened by themselves; each is said once, by whichever console."""
    case, opened = room.case.id, []
    for row in room.incident.rollback.values():
        for audit in row.open_audits:
            if not row.audits[audit.id].note:
                body = AuditOpened(row.action_class.id, audit.id, "the effects of the class are undone")
                opened.append(entry(body, ACTOR, key=f"audit:{case}:{row.action_class.id}:{audit.id}"))
    if opened:
        await room.append(*opened)


async def _record(
    room: Room, bodies: list[EffectsMoved] | list[EffectReconciled] | list[EffectsClassed]
) -> None:
    before = _audits(room.incident)
    for start in range(0, len(bodies), GROUP):
        await room.record(*bodies[start : start + GROUP])
    if _audits(room.incident) - before:
        await announce(room)


def _audits(incident: Incident) -> set[tuple[str, str]]:
    return {(name, audit) for name, row in incident.rollback.items() for audit in row.audits}


def _grouped(incident: Incident, ids: Iterable[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Effects by class, as many together as one event holds."""
    classes: dict[str, list[str]] = {}
    for each in ids:
        classes.setdefault(incident.ledger.class_of(each), []).append(each)
    return [
        (name, tuple(found[start : start + MOST]))
        for name, found in classes.items()
        for start in range(0, len(found), MOST)
    ]


def _word(state: Progress) -> str:
    return "nothing to undo" if state == "nothing" else state


def _these(ids: list[str]) -> str:
    named = ", ".join(each[:8] for each in ids[:3])
    return (
        f"Effect {named}"
        if len(ids) == 1
        else f"{len(ids):,} effects ({named}{', ...' if len(ids) > 3 else ''})"
    )
