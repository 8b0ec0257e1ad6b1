"""The desk: the alerts, the incidents, and the way into each; every window acts through it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from console import runbook
from console.alerts import Alert, Board
from console.child import Child
from console.events import (
    AlertAcknowledged,
    AlertClosed,
    AlertMoved,
    AlertOpened,
    AlertSilenced,
    Body,
    Declared,
    entry,
    moment,
    read,
)
from console.evidence.holding import carry_out
from console.incident import Fold, Incident
from console.refusal import Refused
from console.room import NARRATIVE, Room
from console.sharing import Meeting, Sharing, Standing
from console.timeline import project
from console.watching.status import running
from data.case import Case, found, reading_only
from data.clock import iso
from data.home import Home
from data.reader import CaseReader
from data.trouble import StoreTrouble

if TYPE_CHECKING:
    from console.comms.outbox import Outbox
    from console.config import Config
    from console.evidence.capture import Capture

TEND_SECONDS = 2.0
"""How often a desk looks whether somebody watches."""


class Desk:
    """Everything on one home: `board` (alerts), `incidents()`, and `room`, the incident on the screen if any.

    Args:
        home: the store, live or drill.
        actor: who acts here; stands on every event.
        role: what stands beside it in an incident where the actor holds no role.
        child: starts a watcher when nobody watches; None = somebody else sees to that.
        profile: which checklist and which names of severities a new incident takes.
        read_only: change nothing; whatever would write is refused.
        meeting: where the incidents are shared, and how far a new console is trusted; None = nowhere.
        capture: copies what the incident needs out of the watcher's window, in the background; None = nobody.
        outbox: sends messages, in the background; None = they wait for another console on this home.

    Attributes:
        watch_trouble: one sentence when nobody watches and no watcher can be started, else empty.
        board_trouble: why the board is not up to date, None when it is.
        unreadable: case id to what is wrong with it, of those that `incidents` had to leave out.
        regimes: legal regimes whose clocks run once an incident is known to be one of data security.
        contacts: who a contact of the routing table is, by name.
        authority: who holds a standing authority, by its id.
        links: where documents of the organisation are, by name.
    """

    def __init__(
        self,
        home: Home,
        actor: str,
        role: str = "",
        child: Child | None = None,
        profile: str = "merged",
        *,
        read_only: bool = False,
        meeting: Meeting | None = None,
        capture: Capture | None = None,
        outbox: Outbox | None = None,
    ) -> None:
        self.home, self.actor, self.role, self.clock = home, actor, role, home.clock
        self.profile = profile
        self.read_only = read_only
        self.regimes: tuple[str, ...] = ()
        self.contacts: Mapping[str, tuple[str, ...]] = {}
        self.authority: Mapping[str, tuple[str, ...]] = {}
        self.links: Mapping[str, str] = {}
        self.watch_trouble = ""
        self.board_trouble: StoreTrouble | None = None
        self.unreadable: dict[str, StoreTrouble] = {}
        # Two readings at once would count the same events twice; and a room is not closed under a reading.
        self._turn = asyncio.Lock()
        self._news: set[str] = set()
        self._linked: object = None
        self._child = child
        self._tended = float("-inf")
        self._marks: list[tuple[object, ...]] = []
        self._polled = self._glanced = float("-inf")
        self._cases: dict[str, tuple[object, ...]] = {}
        self.board = Board()
        self.room: Room | None = None
        self._watch: CaseReader | None = None
        self._watch_read = 0
        self._glances: dict[str, tuple[object, Fold, int]] = {}
        """Case to what it was read from, its fold, and how far that was."""
        self._listeners: list[Callable[[], None]] = []
        self.capture = capture
        self.outbox = outbox
        self._trusting = meeting is not None and meeting.policy == "first-use"
        self._shared_anew = True
        self.sharing = (
            None
            if meeting is None or read_only
            else Sharing(home, meeting.remotes, self._came, meeting.masks)
        )

    def _came(self) -> None:
        # From the thread of a remote: the next poll looks, which is never more than a moment away.
        self._shared_anew = True

    @property
    def standings(self) -> list[Standing]:
        """How the record stands with each remote."""
        return [] if self.sharing is None else list(self.sharing.standings.values())

    @classmethod
    async def open(
        cls,
        home: Home,
        actor: str,
        role: str = "",
        child: Child | None = None,
        profile: str = "merged",
        *,
        read_only: bool = False,
        meeting: Meeting | None = None,
        capture: Capture | None = None,
        outbox: Outbox | None = None,
    ) -> Desk:
        """Open the desk of `home` and read its board. The arguments are those of the class.

        A board that cannot be read is no reason to keep the incidents closed: `board_trouble` says so.
        """
        desk = cls(
            home, actor, role, child, profile,
            read_only=read_only, meeting=meeting, capture=capture, outbox=outbox,
        )  # fmt: skip
        with suppress(StoreTrouble):
            await desk.refresh()
        return desk

    def organise(self, config: Config) -> None:
        """Take over what the configuration names: regimes, contacts, holders of authorities, links."""
        self.regimes, self.contacts, self.authority = config.regulation, config.contacts, config.authority
        self.links = config.playbooks.links

    async def close(self) -> None:
        """Leave the room and let go of everything."""
        await self.leave()
        if self.sharing is not None:
            await asyncio.to_thread(self.sharing.close)
        if self.outbox is not None:
            await asyncio.to_thread(self.outbox.close)
        if self._watch is not None:
            await self._watch.close()
        if self._child is not None:
            await asyncio.to_thread(self._child.close)

    @property
    def watched(self) -> bool:
        """Whether a watcher runs on this home now."""
        return running(self.home.watch_dir) is not None

    async def _tend(self) -> bool:
        """See to it that somebody watches. Returns whether there is news about that."""
        now = asyncio.get_running_loop().time()
        if self._child is None or now - self._tended < TEND_SECONDS:
            return False
        self._tended = now
        before, self.watch_trouble = self.watch_trouble, await asyncio.to_thread(self._child.ensure)
        return before != self.watch_trouble

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` on the event loop after every change of the board or of the room."""
        self._listeners.append(listener)
        if self.room is not None:
            self.room.listen(listener)

    async def poll(self) -> bool:
        """Refresh if a file was written since the last time, and once a second in any case.

        For whoever asks ten times a second: a glance at the files costs microseconds, asking SQLite
        wakes two threads. Returns whether anything changed.
        """
        now = asyncio.get_running_loop().time()
        if self.room is None and now - self._glanced >= 1.0:
            # Nobody reads the incidents for the list of them: another process may have declared one.
            self._glanced = now
            cases = {case: _mark(self.home.case_dir(case)) for case in self.home.cases()}
            self._shared_anew = self._shared_anew or cases != self._cases
            self._cases = cases
        marks = [_mark(self.home.watch_dir)]
        if self.room is not None:
            marks.append(_mark(self.room.case.directory))
        # Two commits within one tick of the file system's clock look like one: hence the look every second.
        if marks == self._marks and now - self._polled < 1.0 and not self._shared_anew:
            return False
        self._marks, self._polled = marks, now
        return await self.refresh()

    async def refresh(self) -> bool:
        """Read what others appended since the last time. Returns whether there was anything.

        Raises:
            StoreTrouble: the board or the room cannot be read; the other one was.
        """
        async with self._turn:
            changed, self._shared_anew = await self._tend() or self._shared_anew, False
            try:
                changed = await self._refresh_board() or changed
                self.board_trouble = None
            except StoreTrouble as trouble:
                self.board_trouble = trouble
            if self.room is not None:
                changed = await self.room.refresh() or changed
                if changed:
                    await self._link(self.room)
                    if self._trusting:
                        await self.trust(self.room)
        if changed:
            for listener in self._listeners:
                listener()
        if self.board_trouble is not None:
            raise self.board_trouble
        return changed

    async def _refresh_board(self) -> bool:
        if self._watch is None:
            if not (self.home.watch_dir / "log.db").exists():
                return False
            self._watch = await CaseReader.open(self.home.watch_dir)
        elif not await self._watch.changed():
            return False
        changed = False
        # An alert may carry a thousand ids of actions: few at a time.
        while events := await self._watch.since(self._watch_read, limit=500):
            self._news |= self.board.add(events)
            self._watch_read = events[-1].n
            changed = True
        return changed

    async def _link(self, room: Room) -> None:
        """Copy into the room what is new on the board: all that is on it when other agents matter now."""
        agents = room.agents
        wanted = room.incident.open, agents
        alerts = self.board.alerts
        news, self._news = self._news, set()
        fresh = [alerts[name] for name in news] if wanted == self._linked else list(alerts.values())
        try:
            await room.link(alert for alert in fresh if room.concerns(alert, agents))
            self._linked = wanted
        except StoreTrouble:
            # The room can be read all the same, and says what is wrong; the next change offers all of them.
            self._linked = None
        with suppress(StoreTrouble):  # tried again at the next change
            await asyncio.to_thread(carry_out, room.case)
        if self.capture is not None:
            self.capture.tend(room, alerts)

    async def trust(self, room: Room) -> None:
        """Put consoles that appear for the first time on the roster, if this one is on it itself."""
        if self.home.replica not in room.incident.roster.members:
            return
        for replica, stranger in list(room.incident.strangers.items()):
            # Until it has said whose it is, nobody could tell whom the roster names.
            if replica not in room.incident.roster.members and stranger.actor:
                with suppress(StoreTrouble, Refused):
                    await room.admit(replica, how="first-use")

    # -- incidents ---------------------------------------------------------------------------------------

    async def incidents(self, beginning: str = "") -> list[Incident]:
        """Return the state of every incident, open ones first, then the newest first.

        `beginning`: only of those whose case id begins so; the others are not read.

        One that cannot be read must not hide the others: it goes to `unreadable`.
        """
        states: list[Incident] = []
        unreadable = {
            case: trouble for case, trouble in self.home.lost().items() if case.startswith(beginning)
        }
        for case in (case for case in self.home.cases() if case.startswith(beginning)):
            try:
                state = await self._glance(case)
            except StoreTrouble as trouble:
                unreadable[case] = trouble
            else:
                states += [state] if state.declared_at else []
        self.unreadable = unreadable
        return sorted(states, key=lambda state: (not state.open, -state.declared_at))

    async def _glance(self, case: str) -> Incident:
        if self.room is not None and self.room.case.id == case:
            return self.room.incident
        directory = self.home.case_dir(case)
        mark = _mark(directory)
        seen = self._glances.get(case)
        if seen is not None and seen[0] == mark:
            return seen[1].incident
        reader = await CaseReader.open(directory)
        try:
            fold, read = Fold(), 0
            while events := await reader.since(read, limit=5000, skip=NARRATIVE):
                fold.add(events)
                read = events[-1].n
        finally:
            await reader.close()
        self._glances[case] = (mark, fold, read)
        return fold.incident

    async def find(self, name: str = "") -> Incident:
        """Return the incident that `name` means: its code or the beginning of its case id.

        Nothing means the newest open one.

        Raises:
            Refused: none or several fit.
            StoreTrouble: the one that fits cannot be read.
        """
        wanted = name.removeprefix("INC-").removeprefix("inc-").lower()
        incidents = await self.incidents(wanted)
        if not name:
            first = next((state for state in incidents if state.open), None)
            if first is None:
                for trouble in self.unreadable.values():
                    raise trouble
                if incidents:
                    raise Refused(
                        f"There is no open incident; {incidents[0].code} was closed.",
                        f"To read that one: --incident {incidents[0].code} (`warroom incidents --all` lists all of"
                        ' them). A new one: warroom declare "what is wrong" --severity 2.',
                    )
                raise Refused(
                    "There is no open incident.",
                    'Declare one: warroom declare "what is wrong" --severity 2.',
                )
            return first
        fits = incidents if wanted else []
        if len(fits) != 1:
            for trouble in self.unreadable.values():
                if wanted and not fits:
                    raise trouble
            raise Refused(
                f"{len(fits) or 'No'} incidents begin with {name}."
                if fits
                else f"There is no incident {name}.",
                "`warroom incidents` lists them.",
            )
        return fits[0]

    async def enter(self, name: str = "") -> Room:
        """Open the room of an incident (see `find`), leaving the one that is open."""
        state = await self.find(name)
        if self.room is not None and self.room.case.id == state.case:
            return self.room
        directory = self.home.case_dir(state.case)
        # What was read to find it need not be read again. Gone from here: the room goes on with it.
        seen = self._glances.pop(state.case, None)
        begun = (seen[1], seen[2]) if seen is not None and seen[0] == _mark(directory) else None
        case = await asyncio.to_thread(Case.open, directory, self.home, project, read_only=self.read_only)
        room = await self._occupy(case, begun)
        missing = await asyncio.to_thread(_missing, room.incident)
        if missing:
            # Killed between the declaration and its checklist: the next to open the room completes it. Where
            # nothing can be written the room says so, and what is on the record can still be read.
            with suppress(StoreTrouble):
                await room.record(*missing)
        await self._link(room)
        return room

    async def _occupy(self, case: Case, begun: tuple[Fold, int] | None = None) -> Room:
        try:
            await self.leave()
        except BaseException:
            await asyncio.to_thread(case.close)
            raise
        room = await Room.open(self.home, case, self.actor, self.role, begun)
        room.whole = self.whole
        room.regimes, room.authority, room.links = self.regimes, self.authority, self.links
        for listener in self._listeners:
            room.listen(listener)
        self.room, self._linked = room, None
        if self.sharing is not None:
            self.sharing.serve(case)
            room.listen(self._nudge(room))
        if self.outbox is not None:
            outbox = self.outbox
            room.listen(lambda: outbox.tend(room))
            outbox.tend(room)
        return room

    def _nudge(self, room: Room) -> Callable[[], None]:
        """A listener that has what was written here shared at once."""
        saved = room.saved_at

        def nudge() -> None:
            nonlocal saved
            if self.sharing is not None and room.saved_at != saved:
                saved = room.saved_at
                self.sharing.nudge()

        return nudge

    async def leave(self) -> None:
        """Close the room, if one is open."""
        async with self._turn:
            room, self.room = self.room, None
            if room is not None:
                if self.capture is not None:
                    await self.capture.leave()
                if self.sharing is not None:
                    await asyncio.to_thread(self.sharing.leave)
                if self.outbox is not None:
                    await asyncio.to_thread(self.outbox.leave)
                await room.close()

    async def declare(
        self,
        title: str,
        severity: int = 2,
        *,
        alerts: Iterable[str] = (),
        reason: str = "",
        commander: str = "",
    ) -> Room:
        """Declare an incident and open its room. Its alerts are acknowledged by that.

        Args:
            title: what is wrong, one line.
            severity: 1 (worst) to 5; when unsure, 2 (S002-SEV-7).
            alerts: ids of alerts on the board that it is about.
            reason: why this severity.
            commander: who commands; empty = whoever declares.

        Raises:
            Refused: no title, no such severity or no such alert; nothing was written.
        """
        if self.read_only:
            raise reading_only()
        title = " ".join(title.split())
        if not title:
            raise Refused(
                "An incident needs a title.", "Say what is wrong in one line; it can be changed later."
            )
        if severity not in range(1, 6):
            raise Refused(
                f"There is no severity {severity}.", "Severities go from 1 (worst) to 5; when unsure, 2."
            )
        chosen = [self.alert(alert) for alert in alerts]
        label = await asyncio.to_thread(runbook.label, severity, self.profile)
        founding = Declared(
            title[:200], severity, label, self.profile, self.home.mode,
            reason=reason, commander=commander or self.actor, cadence=runbook.CADENCE.get(severity, 0),
        )  # fmt: skip
        case = await asyncio.to_thread(found, self.home, entry(founding, self.actor), project)
        room = await self._occupy(case)
        await room.record(*_missing(room.incident))
        await room.link(chosen)
        note = f"declared {room.code}"
        if told := [AlertAcknowledged(alert.id, note) for alert in chosen if not alert.acknowledged_at]:
            # The incident stands by now. An alert that could not be told goes on asking, on every screen.
            with suppress(StoreTrouble):
                await self._tell_watch(*told)
        await self._link(room)
        return room

    # -- alerts ------------------------------------------------------------------------------------------

    def halted(self, scope: str, subject: str) -> list[str]:
        """Return the ids of the alerts for which somebody halts: those that still fire of the agents that it stops.

        An incident that a halt opens is about them. A tool or a queue is no agent: for those a person links.

        Args:
            scope: of the halt: all, agent, tool or queue.
            subject: the agent, when it is one.
        """
        now = self.clock.now()
        return [
            alert.id
            for alert in self.board.alerts.values()
            if alert.state(now) == "firing"
            and (scope == "all" or (scope, subject) == ("agent", alert.facts.agent))
        ]

    def alert(self, name: str) -> Alert:
        """Return the alert with id `name` or an unambiguous beginning of it.

        Raises:
            Refused: none or several fit.
        """
        fits = [alert for alert in self.board.alerts.values() if name and alert.id.startswith(name.lower())]
        if not fits and self.board_trouble is not None:
            raise self.board_trouble
        if len(fits) != 1:
            raise Refused(
                f"Several alerts begin with {name}." if fits else f"There is no alert {name}.",
                "`warroom alerts` lists them.",
            )
        return fits[0]

    async def whole(self, alert: Alert) -> Alert:
        """Return an alert of the board with the ids of its actions, read from the record.

        Raises:
            StoreTrouble: the record cannot be read.
        """
        event = await self._watch.event(alert.told) if self._watch is not None and alert.told else None
        body = read(event) if event is not None else None
        if isinstance(body, AlertOpened | AlertMoved | AlertClosed):
            return replace(alert, facts=body.alert)
        return alert

    async def acknowledge(self, name: str, note: str = "") -> Alert:
        """Record that this desk's actor works on an alert."""
        alert = self.alert(name)
        if alert.acknowledged_at:
            raise Refused(
                f"{alert.acknowledged_by} acknowledged {alert.id} at {iso(alert.acknowledged_at, 0)}."
            )
        await self._tell_watch(AlertAcknowledged(alert.id, note))
        return alert

    async def acknowledge_ended(self, note: str) -> int:
        """Acknowledge every alert that ended before anybody saw it, with one note. Returns how many.

        Raises:
            Refused: there is none, or the note is empty.
        """
        ended = [alert for alert in self.board.asking(self.clock.now()) if alert.ended]
        if not ended:
            raise Refused("No ended alert waits for an acknowledgement.")
        if not note.strip():
            raise Refused("Acknowledging them together needs a note.", "Say in one line who looked at them.")
        await self._tell_watch(*(AlertAcknowledged(alert.id, note.strip()) for alert in ended[:5000]))
        return len(ended[:5000])

    async def silence(self, name: str, until: int | None, reason: str) -> Alert:
        """Ask for no attention until `until` (ns UTC; None = until the alert ends). Needs a reason."""
        if not reason.strip():
            raise Refused("Silencing needs a reason.", "Say in one line why nobody needs to look.")
        alert = self.alert(name)
        await self._tell_watch(
            AlertSilenced(alert.id, moment(until) if until is not None else "", reason.strip())
        )
        return alert

    async def _tell_watch(self, *bodies: Body) -> None:
        """Append to the watcher's case: through the watcher when one runs, else directly."""
        role = self.room.role if self.room is not None else self.role
        told = [entry(body, self.actor, role=role) for body in bodies]

        def tell() -> None:
            # Opened for one append only: the lock of this case belongs to the watcher.
            case = Case.open(self.home.watch_dir, self.home, project, read_only=self.read_only)
            try:
                case.append(*told).result()
            finally:
                case.close()

        await asyncio.to_thread(tell)
        await self.refresh()


def _missing(state: Incident) -> list[Body]:
    missing: list[Body] = []
    if not state.checklist_version:
        missing.append(runbook.checklist(state.profile or "merged"))
    if not state.rollback:
        missing.append(runbook.rollback_classes())
    if state.triage.routing is None and state.open:
        missing.append(runbook.routing())
    return missing


def _mark(directory: Path) -> tuple[object, ...]:
    """Return something that changes when the log or the view in `directory` does."""
    marks: list[object] = []
    for name in ("log.db", "log.db-wal", "view.db-wal"):
        try:
            stat = (directory / name).stat()
            # Reading leaves an empty write-ahead log behind, which says no more than none.
            marks.append((stat.st_mtime_ns, stat.st_size) if stat.st_size else None)
        except OSError:
            marks.append(None)
    return tuple(marks)
