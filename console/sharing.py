"""Sharing: keeps the incidents here and those at the remotes the same, a thread for each remote.

Nothing waits for it. A remote that is down for a week only makes `Standing.pending` grow; what it says of
itself is probed, written on the record, and never believed beyond that.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from console.config import Config
from console.events import Body, Declared, RemoteAlarmed, RemoteProbed, RemoteWithheld, entry, read
from console.evidence.holding import carry_out
from console.evidence.redaction import Redaction
from console.timeline import project
from data.case import Case, adopt
from data.clock import iso
from data.envelope import MAX_GROUP
from data.home import Home
from data.log import EVENT_COLUMNS, connect, read_row
from data.log import NAME as LOG
from data.record import ACTOR, MAX_WITHHELD, WITHHELD, read_withheld
from data.remotes import Findings, Remote, RemoteTrouble
from data.segment import Parcel
from data.sync import Sync, Turn, cases, founding, unseen
from data.trouble import StoreTrouble

PAUSE = 3.0
"""Seconds between two turns when nothing happens."""
LOOK_AROUND = 20.0
"""Seconds between two looks for incidents that other consoles declared, and for what waits in others here."""
PATIENCE = 30.0
"""Seconds between two tries at most, with a remote that does not answer: a try costs little, and whoever waits for
it to come back sees that soon."""
LEAVE = 1.0
"""Seconds for which a turn is waited for when somebody leaves."""
MAX_ALARMS = 100
"""Objects of one turn that are named in the record one by one; the others are counted."""
RECENT_DAYS = 14
"""Incidents declared longer ago than that are fetched only when somebody asks for them."""
DAY = 86_400_000_000_000


@dataclass(frozen=True)
class Standing:
    """How the record stands with one remote.

    Attributes:
        name: What the remote is called here.
        url: Where it is, without secrets.
        pending: Own events of the open incident that are not known to be there.
        oldest: When the oldest of them was written, ns UTC; None if there is none.
        shared: Up to which number our strand was read back from there.
        turned: When the last turn with the open incident came to its end, ns UTC; 0 = none yet.
        error: What went wrong last, in plain words; "" when the last turn went well.
        working: Whether a turn is under way.
        policy: By which policy it does not get everything; "" if it does: only then it can hold a full copy.
        withheld: Texts and files of the open incident that it does not get by that policy.
    """

    name: str
    url: str
    pending: int = 0
    oldest: int | None = None
    shared: int = 0
    turned: int = 0
    error: str = ""
    working: bool = False
    policy: str = ""
    withheld: int = 0


Opener = Callable[[], Remote]


@dataclass(frozen=True)
class Meeting:
    """Where consoles meet: name, place and way to open each remote, and how far a new console is trusted.

    `masks`: what remotes do not get, by name; those that are not in it get everything.
    """

    remotes: tuple[tuple[str, str, Opener], ...]
    policy: Literal["first-use", "list"] = "first-use"
    masks: Mapping[str, Redaction] = field(default_factory=dict)


def meeting(config: Config, home: Home) -> Meeting | None:
    """Where the incidents of `home` are shared. A drill's never leave it: no remote of the settings is its own."""
    if home.mode == "drill" or not config.remote:
        return None
    return Meeting(
        tuple((each.name, each.url, partial(_open, each.url, each.options)) for each in config.remote),
        config.trust.policy,
        {
            each.name: Redaction(each.mask, config.redaction.extra)
            for each in config.remote
            if each.mask != "none"
        },
    )


def _open(url: str, options: dict[str, str]) -> Remote:
    from data.remotes.opening import open_remote  # its clients are imported when one is used

    return open_remote(url, options)


class Sharing:
    """Exchanges events with every remote until it is closed.

    Args:
        home: Whose incidents.
        remotes: Name and a function that opens the remote; it may raise `RemoteTrouble`.
        changed: Called on any thread whenever a standing changed or something came in; must return at once.
        masks: What remotes do not get, by name.
    """

    def __init__(
        self,
        home: Home,
        remotes: Iterable[tuple[str, str, Opener]],
        changed: Callable[[], None],
        masks: Mapping[str, Redaction] = MappingProxyType({}),
    ) -> None:
        self._masks = masks
        self._home = home
        self._changed = changed
        self._stop = threading.Event()
        self._showing = threading.RLock()
        self._case: Case | None = None
        # A case is let go only between two turns; a turn asks whether it should end.
        remotes = list(remotes)
        self._turns = {name: threading.Lock() for name, _, _ in remotes}
        self._wakes = {name: threading.Event() for name, _, _ in remotes}
        self.standings = {
            name: Standing(name, url, policy=masks[name].name if name in masks else "")
            for name, url, _ in remotes
        }
        self._threads = [
            threading.Thread(target=self._run, args=(name, opener), name=f"remote-{name}", daemon=True)
            for name, _, opener in remotes
        ]
        for thread in self._threads:
            thread.start()

    def serve(self, case: Case) -> None:
        """Share the incident that is open now, before all others."""
        with self._showing:
            self._case = case
            for name in self.standings:
                # What was counted in another incident says nothing of this one.
                self._show(name, pending=0, oldest=None, shared=0, turned=0, withheld=0)
        self.nudge()

    def leave(self) -> None:
        """Let go of the open incident, and see the turns that use it end.

        One that hangs in a request is not waited for: it finds the case closed, and nothing is lost by that.
        """
        self._case = None
        for lock in [lock for lock in self._turns.values() if lock.acquire(timeout=LEAVE)]:
            lock.release()

    def nudge(self) -> None:
        """Something was written: take the next turn now."""
        for wake in self._wakes.values():
            wake.set()

    def close(self) -> None:
        """End all turns; what is not shared yet waits for the next start."""
        self._stop.set()
        self.nudge()
        for thread in self._threads:
            thread.join(LEAVE)

    # -- on the thread of one remote ---------------------------------------------------------------------

    def _run(self, name: str, opener: Opener) -> None:
        remote: Remote | None = None
        serving: Case | None = None

        def halted() -> bool:
            return self._stop.is_set() or self._case is not serving

        exchange = _Exchange(self._home, name, halted, self._masks.get(name))
        failures, looked = 0, 0.0
        wake = self._wakes[name]
        while not self._stop.is_set():
            self._show(name, working=True)
            try:
                if remote is None:
                    remote = opener()
                case = serving = self._case
                exchanged = case is None
                # The one that wrote it may be gone, such as our own look around that came a moment before.
                if case is not None and case.take_over():
                    with self._turns[name]:
                        if self._case is case:
                            turn = exchange.turn(remote, case)
                            self._count(name, case, exchange.sync(remote, case))
                            exchanged = True
                            if turn.pulled:
                                self._changed()
                looked += PAUSE
                if looked >= LOOK_AROUND or case is None:
                    looked = 0.0
                    with self._turns[name]:
                        if exchange.look_around(remote, None if case is None else case.id):
                            self._changed()
                failures = 0
                self._show(name, working=False, error="")
                if exchanged:
                    self._tell(name, case, turned=self._home.clock.now())
            except StoreTrouble as trouble:
                if self._case is not serving:
                    continue  # it was let go meanwhile
                failures += 1
                self._show(name, working=False, error=str(trouble))
                self._recount(name, exchange, remote)
                if isinstance(trouble, RemoteTrouble) and remote is not None and failures % 5 == 0:
                    remote.close()  # a connection that never comes back is made anew
                    remote = None
            except Exception as error:  # a fault of ours must not end the sharing of everything else
                if self._case is not serving:
                    continue
                failures += 1
                self._show(name, working=False, error=f"An unforeseen error: {error!r}. It is tried again.")
            # Jitter, so that consoles that lost a remote together do not come back to it together.
            pause = min(PAUSE * 2**failures, PATIENCE) * random.uniform(0.7, 1.3)  # noqa: S311
            wake.wait(pause)
            if failures:
                self._stop.wait(0.5)
            wake.clear()
        if remote is not None:
            remote.close()

    def _recount(self, name: str, exchange: _Exchange, remote: Remote | None) -> None:
        """Count what waits while the remote does not answer; nobody needs to be asked for that."""
        case = self._case
        with self._turns[name], suppress(StoreTrouble):
            if remote is not None and case is not None and case is self._case and case.writer:
                self._count(name, case, exchange.sync(remote, case))

    def _count(self, name: str, case: Case, sync: Sync) -> None:
        outbox = sync.outbox()
        self._tell(
            name,
            case,
            pending=outbox.pending,
            oldest=outbox.oldest,
            shared=outbox.shared,
            withheld=len(sync.shared.withheld) + len(sync.blobs_withheld),
        )

    def _tell(self, name: str, case: Case | None, **changes: Any) -> None:
        """Show what is true of one incident, if that is the open one."""
        with self._showing:
            if case is self._case:
                self._show(name, **changes)

    def _show(self, name: str, **changes: Any) -> None:
        with self._showing:
            before = self.standings[name]
            after = replace(before, **changes)
            if after != before:
                self.standings[name] = after
                self._changed()


class _Exchange:
    """The turns with one remote, for whichever case."""

    def __init__(
        self, home: Home, name: str, halted: Callable[[], bool], mask: Redaction | None = None
    ) -> None:
        self._home, self._name, self._halted, self._mask = home, name, halted, mask
        self._sync: Sync | None = None
        self._probed: dict[str, int] = {}
        self._findings: Findings | None = None
        self._found_at = 0
        self._told: dict[str, set[str]] = {}
        self._foreign: set[str] = set()
        self._marks: dict[str, int] = {}
        self._announced: set[str] = set()

    def sync(self, remote: Remote, case: Case) -> Sync:
        """What keeps `case` and the remote the same."""
        if self._sync is None or self._sync.case is not case or self._sync.remote is not remote:
            self._sync = Sync(case, remote, self._name, self._home.replica, self._mask)
        return self._sync

    def turn(self, remote: Remote, case: Case) -> Turn:
        """Take one turn; what the remote does and did is put on the record of the case."""
        alarms: list[Body] = []
        now = self._home.clock.now()
        probed = self._probed.get(case.id)
        if probed is None or now - probed >= DAY:
            case.append(entry(self._probe(remote, now), ACTOR)).result()
            self._probed[case.id] = now
            if probed is not None:
                # Once a day: what counts as shared may be gone or changed by now, and this turn puts it anew.
                alarms += [
                    RemoteAlarmed(
                        self._name, name[-512:], "It is gone, or no longer what was put; it is put again."
                    )
                    for name in self.sync(remote, case).audit(self._halted)
                ]
        turn = exchange(self.sync(remote, case), self._name, self._mask, self._halted)
        if turn.bad and case.id not in self._told:
            self._told[case.id] = _alarmed(case, self._name)
        fresh = [name for name in turn.bad if name[-512:] not in self._told[case.id]]
        alarms += [
            RemoteAlarmed(self._name, name[-512:], turn.bad[name][:512], name in turn.kept)
            for name in fresh[:MAX_ALARMS]
        ]
        if len(fresh) > MAX_ALARMS:
            rest = f"{len(fresh) - MAX_ALARMS:,} more objects"
            alarms.append(RemoteAlarmed(self._name, rest, "They are not what their names say either."))
        if alarms:
            case.append(*(entry(body, ACTOR) for body in alarms[:MAX_GROUP])).result()
        if fresh:
            self._told[case.id].update(name[-512:] for name in fresh)
        return turn

    def _probe(self, remote: Remote, now: int) -> RemoteProbed:
        if self._findings is None or now - self._found_at >= DAY:
            self._findings, self._found_at = remote.probe(), now
        found = self._findings
        return RemoteProbed(
            self._name,
            remote.url[:512],
            found.create,
            found.reads_back,
            found.lists,
            found.skew_ms,
            found.durable[:512],
            found.locked[:512],
            tuple(warning[:512] for warning in found.warnings[:20]),
        )

    def look_around(self, remote: Remote, but: str | None) -> bool:
        """Found here what others declared, and exchange what waits in incidents that nobody has open.

        Returns:
            Whether anything came in.
        """
        since = iso(max(self._home.clock.now() - RECENT_DAYS * DAY, 0), 0).replace(":", "")
        here = set(self._home.cases())
        announced = cases(remote, since)
        for case_id in self._announced - set(announced):
            self._marks.pop(case_id, None)  # it was lost there, and perhaps all of it
        self._announced = set(announced)
        came = False
        obstacle: StoreTrouble | None = None  # one record that cannot be written keeps back no other
        for case_id in announced:
            if case_id not in here and case_id not in self._foreign and not self._halted():
                parcel = founding(remote, case_id)
                if parcel is not None and not _belongs(parcel, self._home):
                    self._foreign.add(case_id)
                elif parcel is not None:
                    try:
                        adopt(self._home, parcel)
                    except StoreTrouble as trouble:
                        obstacle = obstacle or trouble
                        continue
                    here.add(case_id)
                    came = True
        for case_id in here - {but}:
            if self._halted():
                break
            try:
                came = self._exchange(remote, case_id, case_id in announced) or came
            except RemoteTrouble:
                raise
            except StoreTrouble as trouble:
                obstacle = obstacle or trouble
        if obstacle is not None and not came:  # else what came is shown first, and this at the next look
            raise obstacle
        return came

    def _exchange(self, remote: Remote, case_id: str, recent: bool) -> bool:
        directory = self._home.case_dir(case_id)
        if self._marks.get(case_id) == _mark(directory) and not (
            recent and unseen(remote, directory, self._name, case_id)
        ):
            return False
        case = Case.open(directory, self._home, project)
        try:
            if case.trouble and not case.writer:
                raise StoreTrouble(
                    f"INC-{case_id[:4].upper()} is not shared.",
                    "What was written there lies here only.",
                    case.trouble,
                )
            if not case.writer:
                return False  # another war room here has it open, and shares it
            sync = Sync(case, remote, self._name, self._home.replica, self._mask)
            turn = exchange(sync, self._name, self._mask, self._halted)
            carry_out(case)
        finally:
            case.close()
        if not (turn.waiting or turn.later):
            self._marks[case_id] = _mark(directory)
        return turn.pulled > 0


def exchange(
    sync: Sync, name: str, mask: Redaction | None, halted: Callable[[], bool] = lambda: False
) -> Turn:
    """Take one turn. What a policy keeps from the remote is put on the record, and that goes there with it.

    Without the entry a console that reads there could not tell a text that was kept back from one that was lost.
    """
    turn = sync.turn(halted)
    if mask is None:
        return turn
    found = sync.shared.withheld | sync.blobs_withheld
    if sync.said is None:
        sync.said = _said(sync.case, name)
    events = [each for each in sync.shared.withheld if each not in sync.said]
    blobs = [each for each in sync.blobs_withheld if each not in sync.said]
    if not events and not blobs:
        return turn
    for at in range(0, max(len(events), len(blobs)), MAX_WITHHELD):
        some, files = events[at : at + MAX_WITHHELD], blobs[at : at + MAX_WITHHELD]
        kinds = Counter(kind for each in (*some, *files) for kind in found[each])
        body = RemoteWithheld(name, mask.name, tuple(some), tuple(files), dict(sorted(kinds.items())))
        sync.case.append(entry(body, ACTOR)).result()
        sync.said.update(some, files)
    turn.add(sync.turn(halted))
    return turn


def _said(case: Case, name: str) -> set[str]:
    """What the record says already is kept from a remote of this name."""
    with closing(connect(case.directory / LOG)) as db:
        bodies = [
            read_withheld(body)
            for (body,) in db.execute("SELECT body FROM events WHERE kind = ?", (WITHHELD,))
        ]
    return {
        each
        for body in bodies
        if body is not None and body.remote == name
        for each in (*body.events, *body.blobs)
    }


def _alarmed(case: Case, name: str) -> set[str]:
    """The objects of a remote about which the record has an alarm already."""
    with closing(connect(case.directory / LOG)) as db:
        query = f"SELECT {EVENT_COLUMNS} FROM events WHERE kind = ?"  # noqa: S608
        bodies = [read(read_row(row)) for row in db.execute(query, (RemoteAlarmed.kind,))]
    return {body.name for body in bodies if isinstance(body, RemoteAlarmed) and body.remote == name}


def _belongs(parcel: Parcel, home: Home) -> bool:
    """Whether an announced case may be founded here: a drill stays out of a home for real incidents.

    One whose declaration is withheld from the remote says nothing of that, and may.
    """
    body = read(parcel.events[0].event(1)) if parcel.events[0].salt else None
    return body is None or (isinstance(body, Declared) and body.mode == home.mode)


def _mark(directory: Path) -> int:
    try:
        return int((directory / "log.db").stat().st_mtime_ns)
    except OSError:
        return 0
