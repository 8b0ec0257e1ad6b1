"""The room: one incident, as commands in and state out. Screens, CLI and tests all act through it.

Every command appends events and returns once they are on the record. What a person may not do raises
`Refused`; what the store cannot do raises `StoreTrouble`. In both cases nothing was written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Literal, NamedTuple

from console.alerts import Alert
from console.events import (
    AlertLinked,
    Body,
    BudgetMet,
    CadenceSet,
    CheckState,
    Closed,
    Confidence,
    ContainmentConfirmed,
    EntryAmended,
    EntryDisputed,
    EntryReinstated,
    EntryRetracted,
    EntrySettled,
    EscalationTold,
    EscalationWaived,
    FormAnswered,
    ImpactStated,
    ItemClaimed,
    ItemSet,
    MomentName,
    MomentRecorded,
    NoteWritten,
    Reopened,
    RoleAssigned,
    RoleReleased,
    RollbackMoved,
    RollbackState,
    RosterAdded,
    RosterAsked,
    RosterRemoved,
    RosterRevoked,
    SecurityLedSet,
    SeveritySet,
    TagRemoved,
    TagSet,
    Titled,
    UpdatePromised,
    entry,
    moment,
    read,
)
from console.incident import COMMANDER, LASTING, Fold, Incident
from console.refusal import Refused
from console.routing import outstanding
from console.scribe import AHEAD, Written, parse
from console.security import SIGNS, switches
from console.timeline import RETRACTED, sentence
from data.case import Case
from data.clock import Clock, iso
from data.drafts import Drafts
from data.envelope import Entry, Event
from data.home import Home
from data.identity import fingerprint
from data.line import Line
from data.reader import CaseReader
from data.record import Reason
from data.trouble import StoreTrouble
from data.view import Lines

NARRATIVE = frozenset({NoteWritten.kind})
"""Kinds that change no state and are therefore not read to open a room."""

DAY = 86_400_000_000_000
POLL, PATIENCE = 0.02, 150
"""Seconds between looks at the timeline, and how many looks, before one goes on with what it has."""


async def _as_it_is(alert: Alert) -> Alert:
    return alert


class Foreseen(NamedTuple):
    """What a change of the roster would do.

    Attributes:
        events: how many entries of that console are here.
        counted: how many of them count now.
        will_count: how many would count.
        changes: what of the incident would change, a phrase each.
    """

    events: int
    counted: int
    will_count: int
    changes: tuple[str, ...]


def _differences(before: Incident, after: Incident) -> Iterator[str]:
    if (before.severity, before.label) != (after.severity, after.label):
        yield f"severity {before.label} becomes {after.label}"
    if before.open != after.open:
        yield "the incident is OPEN again" if after.open else "the incident is CLOSED"
    if (before.contained_at is None) != (after.contained_at is None):
        yield (
            "containment counts as confirmed"
            if after.contained_at
            else "containment is NOT CONFIRMED any more"
        )
    if before.title != after.title:
        yield f"the title becomes: {after.title}"
    for role in dict.fromkeys((*before.roles, *after.roles)):
        now, then = before.roles.get(role, []), after.roles.get(role, [])
        if now != then:
            yield f"{role}: {', '.join(now) or 'nobody'} becomes {', '.join(then) or 'nobody'}"
    ticks = sum(each != after.checklist.get(name) for name, each in before.checklist.items())
    if ticks:
        yield f"{ticks} checklist {'item changes' if ticks == 1 else 'items change'}"
    classes = sum(each != after.rollback.get(name) for name, each in before.rollback.items())
    if classes:
        yield f"{classes} rollback {'class changes' if classes == 1 else 'classes change'}"


class Room:
    """One incident, open. Made by `Desk.declare` and `Desk.enter`; close it with `close`.

    Attributes:
        incident: the state, always the fold of everything read so far.
        lines: the timeline, by position, in event-time order.
        drafts: what is being typed, durable within 50 ms.
        saved_at: when the last own event was known to be on disk, ns UTC; 0 = nothing yet.
        pending: own events handed to the writer and not yet on disk.
        replica: which console this is.
    """

    def __init__(
        self,
        case: Case,
        reader: CaseReader,
        drafts: Drafts,
        clock: Clock,
        actor: str,
        role: str,
        replica: str,
    ) -> None:
        self.case, self.drafts, self.clock, self.actor = case, drafts, clock, actor
        self.lines: Lines = reader.lines
        self.saved_at = 0
        self.pending = 0
        self._usual_role = role
        self.replica = replica
        self._reader = reader
        self._fold = Fold()
        self._read = 0
        self._looked = False
        self._openings = 0
        self._listeners: list[Callable[[], None]] = []
        self.whole: Callable[[Alert], Awaitable[Alert]] = _as_it_is
        """Given an alert of the board, returns it with the ids of its actions."""
        self.regimes: tuple[str, ...] = ()
        """Legal regimes whose clocks run once a data security incident is known."""
        self.authority: Mapping[str, tuple[str, ...]] = {}
        """Who holds a standing authority, by its id."""
        self.links: Mapping[str, str] = {}
        """Where documents of the organisation are, by name; messages name them."""
        self._close: Callable[[], Awaitable[None]] = reader.close

    @classmethod
    async def open(
        cls, home: Home, case: Case, actor: str, role: str = "", begun: tuple[Fold, int] | None = None
    ) -> Room:
        """Open the room of `case`, reading its state. Takes over `case`, and closes it when this fails.

        `begun`: the fold of its events up to that arrival number, which is then its own and not read again.
        """
        async with AsyncExitStack() as undo:
            undo.push_async_callback(asyncio.to_thread, case.close)
            reader = await CaseReader.open(case.directory)
            undo.push_async_callback(reader.close)
            drafts = await asyncio.to_thread(
                Drafts.open, case.directory, home.clock, read_only=case.read_only
            )
            undo.push_async_callback(asyncio.to_thread, drafts.close)
            room = cls(case, reader, drafts, home.clock, actor, role, home.replica)
            if begun is not None:
                room._fold, room._read = begun
            await room.refresh()
            room._close = undo.pop_all().aclose
        return room

    async def close(self) -> None:
        """Finish what is pending and let go of the case."""
        await self._close()

    # -- state out ---------------------------------------------------------------------------------------

    @property
    def incident(self) -> Incident:
        """The state of the incident."""
        return self._fold.incident

    @property
    def code(self) -> str:
        """The incident's name for people, as in `INC-7QF2`."""
        return self.incident.code

    @property
    def trouble(self) -> str:
        """What is wrong with the record, in plain words; empty when nothing is."""
        return self.case.trouble

    @property
    def read_only(self) -> bool:
        """Whether it was opened for reading only."""
        return self.case.read_only

    @property
    def role(self) -> str:
        """The first role that this room's actor holds in the incident, else the usual one, or nothing."""
        held = (role for role, people in self.incident.roles.items() if self.actor in people)
        return next(held, self._usual_role)

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` on the event loop after every change of state or of the timeline."""
        self._listeners.append(listener)

    async def refresh(self) -> bool:
        """Read what was appended since the last time, by whomever. Returns whether there was anything."""
        if self._looked and not await self._reader.changed():
            return False
        self._looked = True
        before, self._openings = self._openings, self.lines.openings
        if before not in (0, self._openings):
            await self._read_again()
        while events := await self._reader.since(self._read, limit=5000, skip=NARRATIVE):
            self._fold.add(events)
            self._read = events[-1].n
        self._tell()
        return True

    async def _read_again(self) -> None:
        """Fold everything anew: texts that were missing may have come, and others may have been erased."""
        fold, read = Fold(), 0
        while events := await self._reader.since(read, limit=5000, skip=NARRATIVE):
            fold.add(events)
            read = events[-1].n
        self._fold, self._read = fold, read

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    async def event(self, hash_or_short: str) -> Event:
        """Return one event of the record by its hash or its short form.

        Raises:
            Refused: there is no such event, or more than one fits.
        """
        event = await self._reader.event(hash_or_short)
        if event is None:
            raise Refused(
                f"{self.code} has no entry {hash_or_short}.",
                "`warroom log` lists the entries with their ids.",
            )
        return event

    async def history(self, target: str) -> list[Event]:
        """Return the event `target` and every correction of it, in the order of the log."""
        return [await self.event(target), *await self._reader.about(target)]

    async def caught_up(self) -> None:
        """Wait until `lines` has all that is on the record, which takes it a moment after each event."""
        last = await self._reader.last()
        for _ in range(PATIENCE):
            if self.trouble or await self.lines.upto() >= last:
                return
            await asyncio.sleep(POLL)

    async def counting(self, lines: Sequence[Line]) -> list[Line]:
        """Return those of `lines` that count: nobody took them back, and their consoles are on the roster."""
        known = self.incident.roster
        # Most consoles are members who never left: whatever those wrote counts and need not be read again.
        members = {rep for rep, each in known.members.items() if each.left is None and each.revoked is None}
        doubtful = [line.id for line in lines if line.rep not in members]
        out = {event.hash for event in await self._reader.numbered(doubtful) if not known.counts(event)}
        return [line for line in lines if line.hash not in out and not line.flags & RETRACTED]

    # -- commands in -------------------------------------------------------------------------------------

    async def record(self, *bodies: Body, at: int | None = None) -> tuple[Event, ...]:
        """Append `bodies` as one transaction; returns once they are durable. `at`: when it happened, ns UTC.

        What makes the incident one of data security brings the switch to the security lead with it.

        Raises:
            Refused: the organisation names others for one of them.
            StoreTrouble: the store did not take them; the message says where they are now.
        """
        await self._authorise(bodies)
        bodies += await self._security_switch(bodies)
        return await self._append([entry(body, self.actor, role=self.role, at=at) for body in bodies])

    async def _authorise(self, bodies: Sequence[Body]) -> None:
        """Refuse what the organisation names others for, saying who can instead (X-13)."""
        for body in bodies if self.authority else ():
            from console import authority

            needed, said = authority.asked_for(body, self.incident)
            if self.authority.get(needed):
                known = await asyncio.to_thread(authority.standing, self.authority)
                authority.refuse(needed, self.actor, self.incident, known, said)

    async def _security_switch(self, bodies: Sequence[Body]) -> tuple[Body, ...]:
        """Return what hands the incident to the security lead at once (S000-CL-4), if one of `bodies` asks for it."""
        if self.incident.triage.led is not None or not any(isinstance(body, SIGNS) for body in bodies):
            return ()
        why = next(filter(None, await asyncio.to_thread(lambda: [*map(switches, bodies)])), "")
        if not why:
            return ()
        # A severity that a person decided in the same breath stands.
        worst = not any(
            isinstance(body, SeveritySet) or (isinstance(body, FormAnswered) and body.decided)
            for body in bodies
        )
        return await self._security_process(why, worst=worst)

    async def append(self, *entries: Entry) -> tuple[Event, ...]:
        """Append entries that are made already, as one transaction: with blobs, a key, or in another name."""
        return await self._append(entries)

    async def _append(self, entries: Sequence[Entry]) -> tuple[Event, ...]:
        asking = self._asking()
        entries = [*asking, *entries]
        self.pending += len(entries)
        try:
            # Shielded: a cancelled screen task must not leave anybody in doubt about what the writer does.
            events = await asyncio.shield(asyncio.wrap_future(self.case.append(*entries)))
        finally:
            self.pending -= len(entries)
        self.saved_at = self.clock.now()
        self._fold.add(events)
        self._tell()
        return events[len(asking) :]

    def _asking(self) -> list[Entry]:
        """What a console says before the first thing that it writes in somebody else's incident."""
        state = self.incident
        known = state.strangers.get(self.replica)
        said = known is not None and known.actor  # a probe of a remote says nothing of whose it is
        if self.replica in state.roster.members or said or not state.declared_at:
            return []
        return [entry(RosterAsked(self.actor), self.actor, role=self.role)]

    async def note(self, line: str, typed: int | None = None) -> Event:
        """Write a line of the scribe (grammar: console/scribe.py). `typed`: when typing began, ns UTC."""
        now = self.clock.now()
        return await self.write(parse(line, now if typed is None else typed, now, AHEAD))

    async def write(self, written: Written) -> Event:
        """Append a parsed line."""
        return (await self.record(written.note, at=written.at))[0]

    async def amend(self, target: str, text: str, reason: str) -> Event:
        """Give the line `target` a new version; the old ones stay readable.

        Raises:
            Refused: the event is not a line that people write, or the text is empty.
        """
        event = await self.event(target)
        body = read(event)
        if not isinstance(body, NoteWritten):
            raise Refused(
                "Only lines that people wrote can be corrected.",
                "Retract this one and record what is right instead.",
            )
        if not text.strip():
            raise Refused("A correction needs the right text.", "To take the line back, retract it.")
        # Over every version that stands: of two that were written apart, the record then knows which holds.
        over = tuple(sorted(self.incident.versions.get(event.hash, ())))
        return (await self.record(EntryAmended(event.hash, text.strip(), reason, over)))[0]

    async def retract(self, target: str, reason: str) -> Event:
        """Take an event back: it stays on the record, struck through, and no longer counts."""
        event = await self.event(target)
        if event.seq == 1 and event.prev == "":
            raise Refused("The declaration can't be taken back.", "Close the incident, with the reason.")
        if isinstance(read(event), LASTING):
            raise Refused(
                "What ran, ran: that can't be taken back.", "Write what is wrong with it as a note."
            )
        return (await self.record(EntryRetracted(event.hash, reason)))[0]

    async def reinstate(self, target: str, reason: str) -> Event:
        """Let a retracted event count again."""
        return (await self.record(EntryReinstated((await self.event(target)).hash, reason)))[0]

    async def dispute(self, target: str, reason: str) -> Event:
        """Say that an event is not so; it goes on counting, with a badge, until that is settled."""
        if not reason.strip():
            raise Refused("A dispute needs a reason.", "Say in one line what is not so.")
        return (await self.record(EntryDisputed((await self.event(target)).hash, reason.strip())))[0]

    async def settle(self, target: str, reason: str) -> Event:
        """End the dispute about an event.

        Raises:
            Refused: nobody disputes it, or there is no reason.
        """
        event = await self.event(target)
        if event.hash not in self.incident.disputed:
            raise Refused(f"Nobody disputes entry {event.short}.")
        if not reason.strip():
            raise Refused("Settling needs a reason.", "Say in one line what was found.")
        return (await self.record(EntrySettled(event.hash, reason.strip())))[0]

    @property
    def undoable(self) -> tuple[Event, str] | None:
        """The newest change of state by this room's actor that still counts, and what it says; None = none."""
        latest = self._fold.latest(self.actor)
        # Of a handover the first line: its summary would fill the screen.
        return latest and (latest[0], sentence(latest[1]).partition("\n")[0])

    async def undo(self) -> tuple[Event, str]:
        """Retract the newest change of state that this room's actor made. Returns it and what it said.

        Lines that people wrote are not undone but retracted or corrected; the declaration stays.

        Raises:
            Refused: there is none.
        """
        undoable = self.undoable
        if undoable is None:
            raise Refused(
                "There is nothing of yours to undo here.",
                "Lines of the timeline are retracted or corrected one by one.",
            )
        was_open = self.incident.open
        await self.record(EntryRetracted(undoable[0].hash, "undone"))
        if self.incident.open == was_open:
            return undoable
        event, said = undoable
        return event, f"{said}; the incident is {'open' if self.incident.open else 'closed'} again"

    async def retitle(self, title: str) -> None:
        """Give the incident a better title."""
        if not title.strip():
            raise Refused("An incident needs a title.")
        await self.record(Titled(title.strip()[:200]))

    async def state_impact(self, scope: str = "", impact: str = "") -> None:
        """Say whom it reaches (tenants, regions, features) or what they see; empty = as before.

        Raises:
            Refused: both are empty.
        """
        if not scope.strip() and not impact.strip():
            raise Refused(
                "Nothing was said about the scope or the impact.", "As in: impact 3 % of checkouts fail."
            )
        await self.record(ImpactStated(scope.strip(), impact.strip()))

    async def set_severity(self, severity: int, label: str, reason: str = "") -> None:
        """Set the severity, 1 (worst) to 5; `label` as the profile names it."""
        if severity not in range(1, 6):
            raise Refused(f"There is no severity {severity}.", "Severities go from 1 (worst) to 5.")
        await self.record(SeveritySet(severity, label, reason))

    async def assign(self, role: str, person: str, reason: str = "") -> None:
        """Give a role to a person; command moves, other roles may be shared."""
        if not role.strip() or not person.strip():
            raise Refused("A role needs a person.", "As in: ic ana.")
        if not (role.strip().isprintable() and person.strip().isprintable()):
            raise Refused("Names of roles and people are one line of printable text.", "Type them again.")
        await self.record(RoleAssigned(role.strip(), person.strip(), reason))
        if role.strip() == COMMANDER:
            await self.witness("handover")

    async def hand_over(self, role: str, person: str, summary: str, reason: str = "") -> Event:
        """Hand a role over, with what whoever takes it needs to know (see console/handover.py).

        Of a role that several hold, the one who hands over gives it up: the room's actor, else the first of them.

        Raises:
            Refused: there is no summary, or the person has the role already.
        """
        role, person = role.strip(), person.strip()
        held = self.incident.roles.get(role, [])
        if not role or not person or not (role.isprintable() and person.isprintable()):
            raise Refused("A handover needs a role and a person.", "As in: handover ic ben.")
        if not summary.strip():
            raise Refused("A handover needs a summary.", "Say what the next one must know.")
        if person in held:
            raise Refused(f"{person} is {role} already.")
        previous = self.actor if self.actor in held else held[0] if held else ""
        body = RoleAssigned(role, person, reason.strip(), previous, summary.strip())
        (event,) = await self.record(body)
        await self.witness("handover")
        return event

    async def release(self, role: str, person: str, reason: str = "") -> None:
        """Take a role from a person."""
        if person not in self.incident.roles.get(role, ()):
            raise Refused(f"{person} is not {role} in {self.code}.")
        await self.record(RoleReleased(role, person, reason))

    async def state_moment(
        self, name: MomentName, at: int, confidence: Confidence = "claimed", source: str = ""
    ) -> None:
        """Record one time of the detection chain or the response, ns UTC."""
        await self.record(MomentRecorded(name, moment(at), confidence, source))

    async def contain(self, how: str, at: int | None = None) -> Event:
        """Confirm that the harm is contained, which starts the rollback clocks (S003-KS-9).

        `at`: since when it holds, ns UTC; None = now.

        Raises:
            Refused: it is confirmed already, `how` is empty, or `at` lies in the future or before the harm.
        """
        state = self.incident
        if state.contained_at is not None:
            raise Refused(
                f"Containment was confirmed at {iso(state.contained_at, 0)}.",
                "Retract that entry first if it was wrong.",
            )
        if not how.strip():
            raise Refused("Containment needs the how.", "Say what was stopped and how you know, in one line.")
        if at is not None and at > self.clock.now():
            raise Refused(f"{iso(at, 0)} lies in the future.", "Containment is confirmed once it holds.")
        harm = state.stamps.get("action")
        if at is not None and harm is not None and at < harm.at:
            raise Refused(
                f"{iso(at, 0)} is before the first harmful action, {iso(harm.at, 0)}.",
                "Give the time from which it held, or state the time of the action anew first.",
            )
        return (await self.record(ContainmentConfirmed(how.strip()), at=at))[0]

    async def set_cadence(self, seconds: int, channel: str = "") -> None:
        """Say how often updates go out; 0 stops the clock."""
        await self.record(CadenceSet(seconds, channel))

    async def promise_update(self, due: int, channel: str = "") -> None:
        """Record when the next update was promised for, ns UTC."""
        if due <= self.clock.now():
            raise Refused(f"{iso(due, 0)} has passed.", "Promise a time that is still to come.")
        await self.record(UpdatePromised(moment(due), channel))

    async def tick(self, item: str, state: CheckState = "done", reason: str = "", evidence: str = "") -> None:
        """Settle a checklist item, or open it again. `evidence`: what shows it, such as the id of an exhibit.

        Raises:
            Refused: there is no such item, nothing would change, waiving and not-applicable lack a reason, or
                an item that asks for evidence is to be done without it.
        """
        check = self.incident.checklist.get(item)
        if check is None:
            raise Refused(f"The checklist has no item {item}.", "`warroom show` lists the items.")
        if state in ("waived", "not_applicable") and not reason.strip():
            raise Refused(f"Marking {item} {state.replace('_', ' ')} needs a reason.", "Say why in one line.")
        if check.state == state:
            raise Refused(f"{item} is {state.replace('_', ' ')} already.")
        if state == "done" and check.item.evidence and not evidence.strip():
            raise Refused(
                f"{item} asks for evidence.",
                "Name an exhibit, an entry or a link (--evidence; `warroom attach` keeps one), or waive it with a reason.",
            )
        await self.record(ItemSet(item, state, reason.strip(), " ".join(evidence.split())[:512]))

    async def adopt_profile(self, profile: str) -> None:
        """Show the checklist items of another profile; what was done stays done, also while it is not shown.

        Raises:
            Refused: there is no such profile, or it is in use.
        """
        from console import runbook
        from playbooks.load import PROFILES

        if profile not in PROFILES:
            raise Refused(f"There is no profile {profile}.", f"Profiles: {', '.join(PROFILES)}.")
        adopted = await asyncio.to_thread(runbook.checklist, profile)
        if self.incident.checklist_version == f"{adopted.profile} {adopted.version}":
            raise Refused(f"The checklist is that of {profile} already.")
        await self.record(adopted)

    async def claim(self, item: str, person: str = "") -> None:
        """Take an item on, or give it back with an empty person."""
        if item not in self.incident.checklist:
            raise Refused(f"The checklist has no item {item}.")
        await self.record(ItemClaimed(item, person))

    # -- triage ------------------------------------------------------------------------------------------

    async def tag(self, tag: str, axis: str = "", reason: str = "") -> None:
        """Confirm a tag.

        Raises:
            Refused: there is no such tag, several axes have it, or the incident has it already.
        """
        from console import tagging

        axis, tag = await asyncio.to_thread(tagging.checked, axis, tag)
        if tag in self.incident.triage.tags.get(axis, ()):
            raise Refused(f"{self.code} is tagged {axis}:{tag} already.")
        await self.record(TagSet(axis, tag, reason.strip()))

    async def untag(self, tag: str, axis: str = "", reason: str = "") -> None:
        """Take a tag off.

        Raises:
            Refused: the incident does not have it.
        """
        has = self.incident.triage.tags
        fits = [name for name, tags in has.items() if tag in tags and axis in ("", name)]
        if len(fits) != 1:
            tags = ", ".join(f"{name}:{each}" for name, tags in has.items() for each in tags)
            raise Refused(f"{self.code} has no tag {tag}." if not fits else f"Which {tag}?", f"Tags: {tags}.")
        await self.record(TagRemoved(fits[0], tag, reason.strip()))

    async def tell(self, who: str, how: str, person: str = "", reason: str = "") -> None:
        """Record that a contact, a role or an authority was told, and how.

        Raises:
            Refused: nobody is called so, or it is not said how.
        """
        self._known_contact(who)
        if not how.strip():
            raise Refused(f"How was {who} told?", "As in: paged, called, in the channel.")
        await self.record(EscalationTold(who, " ".join(how.split())[:512], person.strip(), reason.strip()))

    async def waive_telling(self, who: str, reason: str) -> None:
        """Record that somebody who was to be told need not be.

        Raises:
            Refused: nobody is called so, or there is no reason.
        """
        self._known_contact(who)
        if not reason.strip():
            raise Refused(f"Leaving {who} out needs a reason.", "Say why in one line.")
        await self.record(EscalationWaived(who, reason.strip()))

    def _known_contact(self, who: str) -> None:
        triage = self.incident.triage
        contacts = [contact.id for contact in triage.routing.contacts] if triage.routing else []
        told = [name for route in (triage.routing.routes if triage.routing else ()) for name in route.tell]
        clocks = [clock.id for clock in triage.led.clocks] if triage.led else []
        known = dict.fromkeys([*contacts, *told, *self.incident.roles, *clocks])
        if who not in known:
            raise Refused(f"Nobody is called {who} here.", f"Known: {', '.join(known)}.")

    async def _security_process(self, reason: str, *, worst: bool = True) -> tuple[Body, ...]:
        """Return what hands the incident to the security lead (S000-CL-4, X-29), to be recorded in one go.

        Args:
            reason: why.
            worst: whether it becomes SEV-1 by that.
        """
        from console import runbook

        clocks = await asyncio.to_thread(runbook.legal_clocks, self.regimes) if self.regimes else ()
        bodies: list[Body] = [SecurityLedSet(reason, True, moment(self.clock.now()), clocks)]
        if worst and self.incident.severity != 1:
            label = await asyncio.to_thread(runbook.label, 1, self.incident.profile or "merged")
            bodies.append(SeveritySet(1, label, f"every data security incident is {label}"))
        return tuple(bodies)

    async def lead_by_security(self, reason: str) -> None:
        """Hand the incident to the security lead.

        Raises:
            Refused: there is no reason, or security leads already.
        """
        if not reason.strip():
            raise Refused("The switch needs a reason.", "Say in one line what may be exposed.")
        if self.incident.triage.led is not None:
            raise Refused(f"Security leads {self.code} already.")
        await self.record(*await self._security_process(reason.strip()))

    async def lead_by_commander(self, reason: str) -> None:
        """Hand the incident back to the commander; the legal clocks stop by that, so it needs their word.

        Raises:
            Refused: security does not lead, there is no reason, or somebody else has to say so.
        """
        state = self.incident
        if state.triage.led is None:
            raise Refused(f"The commander leads {self.code} already.")
        if not reason.strip():
            raise Refused(
                "The switch needs a reason.", "Say in one line how it is known that no data is exposed."
            )
        may = state.roles.get(state.lead, [])
        if may and self.actor not in may:
            raise Refused(
                f"{self.actor} does not lead {self.code}.", f"{' or '.join(may)} ({state.lead}) can."
            )
        await self.record(SecurityLedSet(reason.strip(), False))

    async def move_rollback(
        self, action_class: str, state: RollbackState, note: str = "", effects: int | None = None
    ) -> None:
        """Bring an action class into `state`. `effects`: how many actions need undoing, None = as before.

        Raises:
            Refused: no such class; `verified` before anything was undone; `waived`, `held`, `substituted` or
                `verified` without a note that says why or how; the ledger has effects of it, which say the rest.
        """
        row = self.incident.rollback.get(action_class)
        if row is None:
            raise Refused(f"There is no action class {action_class}.", "`warroom show` lists the classes.")
        tally = self.incident.ledger.tally(action_class)
        if tally is not None and state not in ("open", "held"):
            raise Refused(
                f"{action_class} has {tally.total:,} effects in the ledger, and its state follows from them.",
                f"Move those: `warroom effects move {state} --class {action_class}`.",
            )
        if state in ("waived", "held", "substituted", "verified") and not note.strip():
            raise Refused(
                f"Marking {action_class} {state} needs a note.",
                "Say why, or how it was checked, in one line.",
            )
        if state == "verified" and row.state not in ("reversed", "substituted", "verified"):
            raise Refused(
                f"{action_class} is {row.state}: there is nothing to verify yet.",
                "Mark it reversed or substituted first, or clear when the agent did nothing in this class.",
            )
        await self.record(RollbackMoved(action_class, state, effects, note.strip()))
        if self.incident.rollback[action_class].open_audits:
            from console.rollback import deeds

            await deeds.announce(self)

    async def meet_budget(self, action_class: str, budget: str, note: str = "") -> None:
        """Record that the work behind one clock of a class is finished; of an audit `note` is what shows it.

        Raises:
            Refused: there is no such clock, or it was finished; it is that of an audit and nothing shows that it is
                complete; it is the first one, and effects of the class are still to be undone.
        """
        row = self.incident.rollback.get(action_class)
        if row is None or budget not in {b.id for b in row.action_class.budgets}:
            raise Refused(f"{action_class} has no clock {budget}.")
        if budget in row.met:
            raise Refused(f"{budget} of {action_class} was finished at {iso(row.met[budget], 0)}.")
        if budget in row.audits:
            from console.rollback import deeds

            await deeds.close_audit(self, action_class, budget, note)
            return
        tally = self.incident.ledger.tally(action_class)
        if tally is not None and tally.left and budget == row.first:
            raise Refused(
                f"{tally.left:,} effects of {action_class} are still to be undone.",
                "This clock stops by itself when they are.",
            )
        await self.record(BudgetMet(action_class, budget, note))

    def unfinished(self) -> list[str]:
        """Return what is still to be done, one sentence each; closing is possible all the same."""
        state = self.incident
        left: list[str] = []
        if state.contained_at is None:
            left.append("Containment is not confirmed: no rollback clock has started.")
        if untold := outstanding(state):
            left.append(f"{len(untold)} still have to be told: {', '.join(each.who for each in untold)}.")
        if items := len(state.checklist) - state.checked:
            left.append(f"{items} of {len(state.checklist)} checklist items are open.")
        for play in state.plays.opened.values():
            if play.open:
                left.append(f"Playbook {play.id} is open, {play.done} of {len(play.steps)} steps done.")
        untouched = [row for row in state.rollback.values() if row.state == "untouched"]
        working = [row for row in state.rollback.values() if not row.finished and row not in untouched]
        if untouched:
            left.append(f"{len(untouched)} of {len(state.rollback)} rollback classes were never looked at.")
        for row in working:
            audits = ", ".join(each.name for each in row.open_audits)
            also = f"; still open: {audits}" if audits else ""
            left.append(f"Rollback of {row.action_class.name} is {row.state}{also}.")
        if waiting := state.messages.outstanding + state.messages.unknown:
            left.append(f"Of {waiting} messages nobody knows yet that they went out.")
        if running := len(state.alerts.keys() - state.ended):
            left.append(f"{running} of its alerts {'goes' if running == 1 else 'go'} on.")
        return left

    async def end(self, reason: str) -> None:
        """Close the incident. `unfinished` lists what whoever closes it should know."""
        if not self.incident.open:
            raise Refused(f"{self.code} is closed already.")
        if not reason.strip():
            raise Refused("Closing needs a reason.", "Say in one line why the incident is over.")
        await self.record(Closed(reason.strip()))
        await self.witness("close")

    async def reopen(self, reason: str) -> None:
        """Go on with a closed incident."""
        if self.incident.open:
            raise Refused(f"{self.code} is open.")
        await self.record(Reopened(reason))

    # -- who may write -----------------------------------------------------------------------------------

    async def witness(self, reason: Reason = "asked") -> bool:
        """Write a checkpoint over all that was seen; False if there is nothing new, or another process writes."""
        try:
            written = await asyncio.shield(asyncio.wrap_future(self.case.witness(reason)))
        except StoreTrouble:
            return False
        if written:
            self.saved_at = self.clock.now()
        return written

    async def key_words(self, replica: str) -> tuple[str, ...]:
        """Return eight words that stand for the key of a console, to be read to each other; () = unknown."""
        public = await self._reader.key(replica)
        return () if public is None else await asyncio.to_thread(fingerprint, public)

    @property
    def counts(self) -> bool:
        """Whether what this console writes now counts."""
        return self.incident.roster.counts(self._next(RosterAsked(self.actor)))

    @property
    def unheard(self) -> str:
        """Why nothing that this console writes counts, one sentence; empty when it does."""
        if self.counts:
            return ""
        member = self.incident.roster.members.get(self.replica)
        if member is not None and member.revoked is not None:
            return "saved here, but the key of this console was revoked: it changes nothing. Go on with a new identity."
        return "saved here, but this console is not on the roster: it changes nothing until somebody adds it."

    def _next(self, body: Body) -> Event:
        """`body` as the event that this console would write now, after everything that it knows."""
        written, now = entry(body, self.actor), self.clock.now()
        return Event(
            0, self.case.id, self.replica, 0, 0, "f" * 16, now, now, self.actor, "", written.kind,
            "", "f" * 64, written.body,
        )  # fmt: skip

    async def written_by(self, replica: str) -> int:
        """Return how many entries of a console are here."""
        return len(await self._reader.by(replica))

    async def foresee(self, change: RosterAdded | RosterRemoved | RosterRevoked) -> Foreseen:
        """Return what a change of the roster would do, here and now; nothing is written."""
        before, after = self.incident, self._fold.foresee(self._next(change))
        theirs = await self._reader.by(change.replica)
        counted, will = (sum(map(roster.counts, theirs)) for roster in (before.roster, after.roster))
        return Foreseen(len(theirs), counted, will, tuple(_differences(before, after)))

    async def admit(
        self, replica: str, person: str = "", how: Literal["first-use", "compared", "list"] = "compared"
    ) -> None:
        """Put a console on the roster: its events count, the earlier ones too.

        Raises:
            Refused: it is not one that wrote here, it counts already, its key was revoked, or this console does
                not count itself.
        """
        await self.record(self.admission(replica, person, how))

    def admission(
        self, replica: str, person: str = "", how: Literal["first-use", "compared", "list"] = "compared"
    ) -> RosterAdded:
        """Return what `admit` would write; raises what it raises."""
        self._may_decide()
        replica = self._one_replica(replica, (*self.incident.strangers, *self.incident.roster.members))
        member = self.incident.roster.members.get(replica)
        if member is not None and member.revoked is not None:
            raise Refused(
                f"The key of console {replica[:8]} was revoked.", "Its owner needs a new identity to go on."
            )
        trusted = member is not None and member.how == "first-use" and how == "compared"
        if member is not None and member.left is None and not trusted:
            raise Refused(f"Console {replica[:8]} is on the roster already.")
        stranger = self.incident.strangers.get(replica)
        return RosterAdded(replica, person or (stranger.actor if stranger else ""), how)

    async def expel(self, replica: str, reason: str) -> None:
        """Take a console off the roster: what it writes from now on does not count.

        Raises:
            Refused: it is not on it, there is no reason, or this console does not count itself.
        """
        await self.record(self.removal(replica, reason))

    def removal(self, replica: str, reason: str) -> RosterRemoved:
        """Return what `expel` would write; raises what it raises."""
        self._may_decide()
        replica = self._one_replica(replica, self.incident.roster.members)
        if self.incident.roster.members[replica].left is not None:
            raise Refused(f"Console {replica[:8]} left the roster already.", "Nothing would change by it.")
        if not reason.strip():
            raise Refused("Taking a console off the roster needs a reason.", "Say why in one line.")
        return RosterRemoved(replica, reason.strip())

    async def revoke(self, replica: str, since: int, reason: str) -> None:
        """Say that a key is not its owner's alone since `since` (ns UTC): nothing counts that it wrote from then.

        Raises:
            Refused: it is not on the roster, there is no reason, or this console does not count itself.
        """
        await self.record(self.revocation(replica, since, reason))

    def revocation(self, replica: str, since: int, reason: str) -> RosterRevoked:
        """Return what `revoke` would write; raises what it raises."""
        self._may_decide()
        replica = self._one_replica(replica, self.incident.roster.members)
        if not reason.strip():
            raise Refused("Revoking a key needs a reason.", "Say why in one line.")
        return RosterRevoked(replica, moment(since), reason.strip())

    def _may_decide(self) -> None:
        if not self.counts:
            raise Refused(
                f"This console ({self.replica[:8]}) does not count here, so it decides nothing about the roster.",
                "Somebody on the roster can: `warroom roster` lists them.",
            )

    def _one_replica(self, beginning: str, known: Iterable[str]) -> str:
        # Who was taken off the roster may stand there twice: as a member, and with what has not counted since.
        fits = [each for each in dict.fromkeys(known) if beginning and each.startswith(beginning.lower())]
        if len(fits) != 1:
            raise Refused(
                f"{len(fits) or 'No'} consoles here begin with {beginning}.",
                "`warroom roster` lists them.",
            )
        return fits[0]

    # -- alerts ------------------------------------------------------------------------------------------

    async def link(self, alerts: Iterable[Alert]) -> None:
        """Copy into the incident what is new about `alerts`. Repeats are harmless, from whichever process."""
        entries: list[Entry] = []
        for alert in alerts:
            if self._news(alert):
                entries += self._news(await self.whole(alert))
            if len(entries) >= 100:
                # Each may carry a thousand ids of actions.
                await self._append(entries)
                entries = []
        if entries:
            await self._append(entries)

    def _news(self, alert: Alert) -> list[Entry]:
        facts, known = alert.facts, self.incident.alerts.get(alert.id)
        acknowledged = moment(alert.acknowledged_at) if alert.acknowledged_at else ""
        news: list[AlertLinked] = []
        if known is None:
            news.append(AlertLinked(facts, "joined"))
        elif facts.paged_at and not known.paged_at:
            news.append(AlertLinked(facts, "paged"))
        if acknowledged and alert.id not in self.incident.acknowledged:
            news.append(AlertLinked(facts, "acknowledged", acknowledged, alert.acknowledged_by))
        if alert.ended and alert.id not in self.incident.ended:
            news.append(AlertLinked(facts, "ended", acknowledged, alert.acknowledged_by))
        return [
            entry(
                linked,
                "watcher",
                at=self._when(linked, alert),
                key=f"link:{self.case.id}:{alert.id}:{linked.why}",
            )
            for linked in news
        ]

    def _when(self, linked: AlertLinked, alert: Alert) -> int | None:
        """Return the event time of a linked line: a joined alert stands where the agent acted."""
        if linked.why == "joined":
            return min(alert.opened_at, self.clock.now())
        return alert.acknowledged_at if linked.why == "acknowledged" else None

    @property
    def agents(self) -> set[tuple[str, str]]:
        """The agents that this incident is about: tenant and name of every linked alert's."""
        return {(facts.tenant, facts.agent) for facts in self.incident.alerts.values()}

    def concerns(self, alert: Alert, agents: Container[tuple[str, str]]) -> bool:
        """Return whether `alert` belongs here: known already, or by one of `agents` (those of the room)."""
        if alert.id in self.incident.alerts:
            return True
        if not self.incident.open or alert.last_at < self.incident.declared_at - DAY:
            return False
        return (alert.facts.tenant, alert.facts.agent) in agents
