"""Legal hold and erasure: what must not go, what has to go, and doing it on every console that learns of it.

An erasure is first an entry on the record, then the deletion of body, salt and blobs; headers, hashes and chain
stay. Each console carries it out for itself, when it has taken the entry in, unless a hold that it knows of
stands in the way. Copies beyond our reach (a remote's objects, bundles, backups, paper) cannot be recalled.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from console.events import (
    Declared,
    EntryAmended,
    EntryReinstated,
    EntryRetracted,
    Erased,
    Exported,
    HoldLifted,
    HoldSet,
    RoleAssigned,
    RoleReleased,
    Unmasked,
    read,
)
from console.incident import Incident, apply
from console.refusal import Refused
from console.roster import ROSTER, roster
from data import quarantine, record
from data.blobs import Blobs, only_of
from data.case import Case
from data.envelope import Event, Ref, short
from data.log import EVENT_COLUMNS, connect, read_row
from data.log import NAME as LOG
from data.shared import holding_objects
from data.trouble import StoreTrouble, explain

if TYPE_CHECKING:
    from console.room import Room

Scope = Literal["case", "event", "subject"]

AUTHORISED = frozenset({"ic", "security", "legal", "privacy"})
"""Roles that may erase and lift holds, once the record assigns them; everybody who counts may set one."""
ROLES = (Declared, RoleAssigned, RoleReleased)
"""What says who has which role."""
LASTING = (
    "record.",
    "roster.",
    "hold.",
    "remote.withheld",
    "evidence.exported",
    "evidence.unmasked",
    "watch.",
)
"""Kinds that are never erased: without them nobody could tell what counts, what is held and what was erased."""
MAX_TARGETS = 1000


@dataclass(frozen=True)
class Erasure:
    """An entry that has bodies erased: its hash, what it names, and why."""

    hash: str
    body: Erased


@dataclass
class Ledger:
    """What stands in one incident: holds by the hash of their event, and erasures that count."""

    holds: dict[str, HoldSet] = field(default_factory=dict)
    erasures: list[Erasure] = field(default_factory=list)


@dataclass
class Carried:
    """What carrying erasures out did.

    Attributes:
        bodies: Bodies that went now.
        blobs: Blobs that went now.
        waiting: Event that is to be erased and is held, to the holds.
        refused: Events that no entry can erase.
    """

    bodies: int = 0
    blobs: int = 0
    waiting: dict[str, list[str]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """What `erase` did.

    Attributes:
        event: The entry.
        targets: The events that it names, corrections of them included.
        carried: What was done here; None while another process, which writes this case, has yet to do it.
        elsewhere: Objects at remotes that still hold the text, by remote.
        kept: Those of the targets whose text is still in this log although the erasure was carried out here.
    """

    event: Event
    targets: tuple[str, ...]
    carried: Carried | None
    elsewhere: dict[str, list[str]]
    kept: tuple[str, ...] = ()


# -- holds -----------------------------------------------------------------------------------------------------


async def hold(room: Room, scope: Scope, target: str, reason: str, authority: str = "") -> Event:
    """Set a legal hold: nothing that it covers is erased on any console that knows of it.

    Args:
        room: The incident.
        scope: All of it, one event, or everything that speaks of a subject.
        target: The event's id, or the subject in the words that stand on the record; empty for a case.
        reason: Why.
        authority: Who asks for it, such as a court and its reference.

    Raises:
        Refused: There is no reason, no such event, a target that does not go with the scope, or this console is
            not on the roster, so that nobody would obey.
    """
    _counts(room, "hold")
    if not reason.strip():
        raise Refused("A hold needs a reason.", "Say in one line what it is for.")
    target = target.strip()
    if (scope == "case") != (not target):
        raise Refused(
            "A hold on the incident names no target." if target else f"Which {scope} is to be held?",
            "As in: hold, hold --event ID, or hold --subject WORDS.",
        )
    if scope == "event":
        target = (await room.event(target)).hash
    return (await room.record(HoldSet(scope, reason.strip(), target, authority.strip())))[0]


async def lift(room: Room, name: str, reason: str) -> Event:
    """End a hold.

    Args:
        room: The incident.
        name: Id of the event that set it.
        reason: Why it is over.

    Raises:
        Refused: There is no such hold, no reason, this console is not on the roster, or the actor has no role
            that may lift one.
    """
    if not reason.strip():
        raise Refused("Lifting a hold needs a reason.", "Say in one line why it is over.")
    _authorised(room, "lift a hold")
    event = await room.event(name)
    if event.hash not in (await asyncio.to_thread(ledger, room.case.directory)).holds:
        raise Refused(f"{event.short} is no hold that stands.", "`warroom hold --list` lists them.")
    return (await room.record(HoldLifted(event.hash, reason.strip())))[0]


async def unmask(room: Room, target: str, reason: str) -> Event:
    """Put on the record that somebody looks at what the policy masks, and return the event as it is.

    Raises:
        Refused: There is no such event, or no reason.
    """
    if not reason.strip():
        raise Refused("Looking at masked text needs a reason.", "Say in one line what for.")
    event = await room.event(target)
    await room.record(Unmasked(event.hash, reason.strip()))
    return event


async def copied(room: Room, ref: Ref) -> str:
    """Put on the record that a file of an exhibit left as it is, without masks.

    Returns:
        Why that is not on the record; "" if it is. The copy is there all the same.
    """
    try:
        await room.record(Exported("exhibit", ref.sha256, ref.size, "none"))
    except (StoreTrouble, Refused) as trouble:
        return f"this copy is not on the record: {trouble}"
    return ""


def _counts(room: Room, what: str) -> None:
    """Refuse what no console would obey, this one included."""
    members = room.incident.roster.members
    standing = {
        replica: member
        for replica, member in members.items()
        if member.left is None and member.revoked is None
    }
    if room.replica in standing:
        return
    who = ", ".join(f"{member.person or 'console'} ({replica[:8]})" for replica, member in standing.items())
    known = room.replica in members
    raise Refused(
        f"This console ({room.replica[:8]}) is {'no longer' if known else 'not'} on the roster of {room.code}:"
        f" nobody would obey what it says here.",
        f"{who or 'Nobody else'} can {what}"
        + (
            "."
            if known
            else f", or puts this console on the roster first: warroom roster add {room.replica[:8]}."
        ),
    )


def _authorised(room: Room, what: str) -> None:
    """Refuse what the record gives the actor no role for; a role that is only named with `--role` gives none."""
    _counts(room, what)
    roles = room.incident.roles
    if may(roles, room.actor):
        return
    able = dict.fromkeys(
        f"{person} ({role})" for role in sorted(AUTHORISED) for person in roles.get(role, ())
    )
    raise Refused(
        f"{room.actor} is none of {', '.join(sorted(AUTHORISED))} in {room.code}, and may not {what}.",
        (f"{', '.join(able)} can. " if able else "")
        + f"To take a role on the record: warroom assign privacy {room.actor}.",
    )


def may(roles: Mapping[str, Sequence[str]], person: str) -> bool:
    """Whether a person has one of the roles that may erase and lift holds."""
    return any(person in roles.get(role, ()) for role in AUTHORISED)


# -- erasing ---------------------------------------------------------------------------------------------------


async def erase(room: Room, names: Sequence[str], reason: str, authority: str) -> Outcome:
    """Erase the text of entries, with the corrections of it and the blobs that only they speak of.

    Args:
        room: The incident.
        names: Ids of the entries.
        reason: Why, without repeating what is to go.
        authority: By which right or duty.

    Raises:
        Refused: A hold stands in the way, the actor has no role for it, this console is not on the roster, an
            entry cannot be erased, or reason or authority are missing. Nothing was erased.
    """
    if not reason.strip() or not authority.strip():
        raise Refused(
            "Erasing needs a reason and an authority.", "Say why, and by which right or duty (--authority)."
        )
    _authorised(room, "erase")
    if not 0 < len(names) <= MAX_TARGETS:
        raise Refused(f"From 1 to {MAX_TARGETS} entries can be erased at once.", "Name them by their ids.")
    wanted: dict[str, Event] = {}
    for name in names:
        event = await room.event(name)
        if event.body is None:
            raise Refused(f"The text of {event.short} is gone already.")
        if not erasable(event):
            raise Refused(
                f"{event.short} ({event.kind}) cannot be erased: the record would lose its meaning without it.",
                "Erase the lines around it, or correct it.",
            )
        wanted[event.hash] = event
    directory = room.case.directory
    wanted |= await asyncio.to_thread(_corrections, directory, wanted.keys())
    known = await asyncio.to_thread(ledger, directory)
    for event in wanted.values():
        for held in await asyncio.to_thread(holds_on, known, event, directory):
            raise Refused(
                f"A legal hold stands in the way of erasing {event.short}: {known.holds[held].reason}.",
                f'Nothing was erased. Whoever may lift it does so with: warroom hold --lift {short(held)} "why it is over".',
            )
    targets = tuple(sorted(wanted))
    (event,) = await room.record(Erased(targets, reason.strip(), authority.strip()))
    carried = await asyncio.to_thread(carry_out, room.case) if room.case.writer else None
    elsewhere = await asyncio.to_thread(holding_objects, directory, list(wanted.values()))
    kept = () if carried is None else await asyncio.to_thread(_still_here, directory, targets)
    return Outcome(event, targets, carried, elsewhere, kept)


def _still_here(directory: Path, targets: Iterable[str]) -> tuple[str, ...]:
    with _log(directory) as db:
        return tuple(event.hash for event in _events(db, targets) if event.body is not None)


def erasable(event: Event) -> bool:
    """Whether an entry may erase this event at all."""
    return not event.kind.startswith(LASTING) and event.kind != Declared.kind and event.seq > 0


def carry_out(case: Case) -> Carried:
    """Do what the erasures on the record of a case ask for; repeats are harmless. Blocks.

    Only the process that writes the case can; in another one this does nothing.

    Raises:
        StoreTrouble: The store does not do it; it is tried again at the next occasion.
    """
    carried = Carried()
    if not case.writer or not _any(case.directory):
        return carried
    known = ledger(case.directory)
    targets = {target for erasure in known.erasures for target in erasure.body.targets}
    now: list[bytes] = []
    with _log(case.directory) as db:
        for event in _events(db, targets):
            if event.body is None:
                continue
            if not erasable(event):
                carried.refused.append(event.hash)
            elif holds := list(holds_on(known, event, case.directory)):
                carried.waiting[event.hash] = holds
            else:
                now.append(bytes.fromhex(event.hash))
    if now:
        carried.bodies = case.erase(now).result()
    with _log(case.directory) as db:
        # Asked anew each time: a crash may have come between the bodies and the blobs.
        gone = {event.hash for event in _events(db, targets) if event.body is None}
        store = Blobs(case.directory)
        carried.blobs = sum(store.remove(digest) for digest in only_of(db, gone))
    quarantine.empty(case.directory)
    return carried


def waiting(directory: Path) -> dict[str, list[str]]:
    """The events that are to be erased and are held, with the holds. Writes nothing."""
    known = ledger(directory)
    targets = {target for erasure in known.erasures for target in erasure.body.targets}
    with _log(directory) as db:
        return {
            event.hash: holds
            for event in _events(db, targets)
            if event.body is not None and (holds := list(holds_on(known, event, directory)))
        }


# -- what stands -----------------------------------------------------------------------------------------------


def ledger(directory: Path) -> Ledger:
    """Read from a case what is held and what is to be erased, as far as it counts.

    A hold ends only by being lifted: retracting its entry does not end it. An erasure counts when the key that
    wrote it is on the roster, and whoever it names as its author had, at its place in the total order, a role
    that may erase. The role that an entry claims for itself is a word that anybody may write.
    """
    read_here = (HoldSet, HoldLifted, Erased, *ROLES, EntryRetracted, EntryReinstated, *ROSTER)
    kinds = tuple(body.kind for body in read_here)
    marks = ", ".join("?" * len(kinds))
    query = f"SELECT {EVENT_COLUMNS} FROM events WHERE n = 1 OR kind IN ({marks})"  # noqa: S608
    with _log(directory) as db:
        events = sorted((read_row(row) for row in db.execute(query, kinds)), key=lambda event: event.order)
    bodies = [(event, read(event)) for event in events]
    members = roster(bodies)
    counting = [(event, body) for event, body in bodies if members.counts(event)]
    withdrawn: dict[str, bool] = {}
    for _, body in counting:
        if isinstance(body, EntryRetracted | EntryReinstated):
            withdrawn[body.target] = isinstance(body, EntryRetracted)
    found, state = Ledger(), Incident()
    for event, body in counting:
        match body:
            case HoldSet():
                found.holds[event.hash] = body
            case HoldLifted() if may(state.roles, event.actor):
                found.holds.pop(body.hold, None)
            case Erased() if may(state.roles, event.actor):
                found.erasures.append(Erasure(event.hash, body))
            case Declared() | RoleAssigned() | RoleReleased():
                # As the fold does it: what was taken back gives nothing, and a declaration is not taken back.
                if isinstance(body, Declared) or not withdrawn.get(event.hash):
                    apply(state, event, body)
            case _:
                pass
    return found


def holds_on(known: Ledger, event: Event, directory: Path) -> Iterator[str]:
    """Yield the holds that cover an event."""
    for name, held in known.holds.items():
        match held.scope:
            case "case":
                yield name
            case "event" if held.target in (event.hash, _corrects(event)):
                yield name
            case "subject" if _speaks_of(event, held.target, Blobs(directory)):
                yield name


def _corrects(event: Event) -> str:
    body = read(event)
    return body.target if isinstance(body, EntryAmended) else ""


def _speaks_of(event: Event, subject: str, store: Blobs) -> bool:
    """Whether a subject occurs in an event; in doubt it does, since what is erased does not come back."""
    wanted = subject.casefold()
    try:
        texts = [event.actor, *_texts(msgspec.json.decode(event.body or b"{}"))]
    except (ValueError, RecursionError):
        return True
    if any(wanted in text.casefold() for text in texts):
        return True
    return any(_blob_speaks_of(ref, wanted, store) for ref in event.refs)


def _blob_speaks_of(ref: Ref, wanted: str, store: Blobs) -> bool:
    try:
        return wanted in store.read(ref).decode(errors="replace").casefold()
    except StoreTrouble:
        return store.path(ref.sha256).exists()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _corrections(directory: Path, targets: Set[str]) -> dict[str, Event]:
    """The corrections of entries, which repeat what they correct."""
    query = f"SELECT {EVENT_COLUMNS} FROM events WHERE kind = ? AND body IS NOT NULL"  # noqa: S608
    with _log(directory) as db:
        events = map(read_row, db.execute(query, (EntryAmended.kind,)))
        return {event.hash: event for event in events if _corrects(event) in targets}


@contextmanager
def _log(directory: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(directory / LOG)) as db:
        try:
            yield db
        except sqlite3.Error as error:
            raise explain(error, directory / LOG) from error


def _any(directory: Path) -> bool:
    with _log(directory) as db:
        return (
            db.execute("SELECT 1 FROM events WHERE kind = ? LIMIT 1", (record.ERASED,)).fetchone() is not None
        )


def _events(db: sqlite3.Connection, hashes: Iterable[str]) -> Iterator[Event]:
    query = f"SELECT {EVENT_COLUMNS} FROM events WHERE hash = ?"  # noqa: S608
    for each in sorted(hashes):
        row = db.execute(query, (bytes.fromhex(each),)).fetchone()
        if row is not None:
            yield read_row(row)
