"""Detection: everything between a decoded record and an alert on the watcher's case, on one thread.

The order of steps is what makes a kill at any moment harmless. Accepted telemetry is journalled, then given
to the tripwires; what they say is appended to the case under keys that name the alert, so that saying it
again after a restart changes nothing; a snapshot is taken only when all of it is on the record, and only then
is the journal forgotten.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from hashlib import sha256
from time import monotonic

from console.events import (
    LARGEST,
    AlertClosed,
    AlertFacts,
    AlertMoved,
    AlertOpened,
    IntakeRefused,
    SampledAction,
    entry,
    held,
    moment,
)
from console.evidence.window import Window
from console.telemetry.action import Action
from console.telemetry.attribution import Attribution
from console.telemetry.refused import RefusedStore
from console.tripwires.alert import Alert, Change, Closed, Opened
from console.tripwires.engine import Engine
from console.tripwires.rules import SLACK
from console.watching.baselines import Baselines, Saved
from console.watching.journal import Journal
from console.watching.status import Sender, refuse
from data.case import Case
from data.clock import Clock
from data.envelope import BadEntry, Entry, Event
from data.trouble import StoreTrouble

ACTOR = "watcher"
SAVE_EVERY = 30.0
"""Real seconds between snapshots, at least; a large state is written less often."""
JOURNAL_LIMIT = 512 * 2**20
GROUP = 100
"""Changes appended together: even the largest alerts then fit into what the record takes at once."""
UNRECORDED_LIMIT = 10_000
TOLD_EVERY = 3_600_000_000_000
"""After the first refusal of a kind, the record is told the sum of an hour."""


class Overloaded(Exception):
    """Telemetry cannot be taken now, because what follows from it could not be kept."""


class Detection:
    """The tripwires with their memory and their record. One thread at a time.

    Args:
        engine: the tripwires, restored from the last snapshot.
        case: the watcher's own case.
        clock: the home's clock.
        journal: what was accepted since the snapshot; replayed by `recover`.
        baselines: where snapshots go.
        refused: where refused records go.
        attribution: the memory of whose calls they are, kept in the snapshot.
        window: keeps what comes in for a while, so that evidence can be captured from it; None keeps nothing.
    """

    def __init__(
        self,
        engine: Engine,
        case: Case,
        clock: Clock,
        journal: Journal,
        baselines: Baselines,
        refused: RefusedStore,
        attribution: Attribution,
        window: Window | None = None,
    ) -> None:
        self.engine = engine
        self.positions: dict[str, bytes] = {}
        self.attribution = attribution
        self.saved_at = 0
        self._case = case
        self._clock = clock
        self._journal = journal
        self._baselines = baselines
        self._refused = refused
        self._window = window
        self._told: dict[tuple[str, str], _Told] = {}
        self._unrecorded: deque[tuple[tuple[Entry, ...], Future[tuple[Event, ...]] | None]] = deque()
        self._save_after = monotonic() + SAVE_EVERY
        self._trouble = ""
        self._failed = ""

    @property
    def journal_bytes(self) -> int:
        """What a restart would read again."""
        return self._journal.bytes

    def recover(self) -> int:
        """Feed what earlier processes accepted and no snapshot holds. Returns the number of actions."""
        count = 0
        for line in self._journal.replay():
            count += len(line.actions)
            self._keep(line.actions)
            self._record(self._feed(line.actions, line.received_at))
        if self._journal.damaged:
            self._refused.add(self._clock.now(), "journal", "a line was cut off when the watcher was killed")
        return count

    def take(self, sender: Sender, actions: Sequence[Action], *, journal: bool, received_at: int) -> None:
        """Give actions to the tripwires; having returned, they survive a kill.

        Args:
            sender: whose counters move.
            actions: in the order of arrival.
            journal: whether they must be written down, or can be read again from their source.
            received_at: nanoseconds UTC.

        Raises:
            Overloaded: nothing was taken.
        """
        self.check()
        if journal and actions:
            try:
                self._journal.append(received_at, sender.name, list(actions))
            except OSError as error:
                raise Overloaded(f"accepted telemetry cannot be kept: {error.strerror or error}") from None
        # Before the tripwires: what an alert rests on must not be missing when it is captured.
        self._keep(actions)
        engine = self.engine
        duplicates = engine.counters["duplicate"]
        keys = {(action.tenant, action.agent) for action in actions}
        late = self._late(keys)
        changes = self._feed(actions, received_at)
        sender.accepted += len(actions)
        sender.last_seen = received_at
        sender.duplicate += engine.counters["duplicate"] - duplicates
        sender.late += self._late(keys) - late
        ahead = received_at + SLACK
        for action in actions:
            if action.at > ahead:
                sender.skewed += 1
            if action.cost is None and action.kind == "model":
                sender.unknown_cost += 1
            if action.attributed == "provisional":
                sender.provisional += 1
        self._record(changes)

    def check(self) -> None:
        """Make sure that what follows from more telemetry could be kept.

        Raises:
            Overloaded: it could not.
        """
        if len(self._unrecorded) > UNRECORDED_LIMIT or self._journal.bytes > JOURNAL_LIMIT:
            raise Overloaded("alerts cannot be put on the record; see the watcher's messages")

    def advance(self) -> None:
        """Let time pass to now: grace periods end, episodes close. Only when every source is caught up."""
        try:
            changes = self.engine.advance(self._clock.now())
        except Exception as error:
            self._failed = (
                f"The tripwires failed as time passed ({said(error)}): alerts may not close, and some may be"
                " missing. Look at the agents by hand, and report this."
            )
        else:
            self._record(changes)

    def settle(self, *, save: bool = False) -> None:
        """Do what is due: entries that failed are tried again, refusals are told, a snapshot is written.

        Args:
            save: write the snapshot now.
        """
        self._refused.flush()
        if self._window is not None:
            self._window.settle()
        self._tell_sums()
        self._settle_entries()
        large = self._journal.bytes > JOURNAL_LIMIT // 2
        if (save or large or monotonic() >= self._save_after) and not self._unrecorded:
            self._save(self._clock.now())

    def wait(self, seconds: float) -> bool:
        """Wait until all that was said is on the record. Returns whether it is."""
        for _ in range(3):
            for _, future in tuple(self._unrecorded):
                if future is not None:
                    try:
                        future.result(seconds)
                    except (StoreTrouble, TimeoutError):
                        break
            self._settle_entries()
            if not self._unrecorded:
                return True
        return False

    def refuse(self, sender: Sender, reason: str, raw: bytes = b"", count: int = 1) -> None:
        """Count and keep what could not be taken in."""
        refuse(sender, reason, count)
        self._refused.add(self._clock.now(), f"{sender.kind} {sender.name}".strip(), reason, raw, count)

    def close(self) -> None:
        """Close the journal and the window; what they hold stays for the next start."""
        self._journal.close()
        if self._window is not None:
            self._window.close()

    def trouble(self) -> list[str]:
        """Return what is wrong, one sentence each."""
        troubles = [
            self._failed,
            self._case.trouble,
            self._trouble,
            self._refused.trouble,
            self._window.trouble if self._window is not None else "",
            *self.engine.trouble(),
        ]
        if len(self._unrecorded) > 100:
            troubles.append(f"{len(self._unrecorded)} alerts wait to be put on the record.")
        return [sentence for sentence in troubles if sentence]

    def told(self, source: str, reason: str, count: int) -> None:
        """Put refusals on the record: the first of a kind at once, then the sum of every hour."""
        now = self._clock.now()
        told = self._told.get((source, reason))
        if told is None:
            if len(self._told) >= 1_000:
                return  # a thousand kinds are on the record; the store of refused records counts the rest
            self._told[source, reason] = _Told(now)
            self._say_refused(source, reason, count, now)
        else:
            told.count += count

    def _keep(self, actions: Sequence[Action]) -> None:
        if self._window is not None:
            self._window.append(actions)

    def _feed(self, actions: Sequence[Action], received_at: int) -> list[Change]:
        """Give actions to the tripwires. A mistake in there must not end the watch, nor every restart."""
        try:
            return self.engine.feed(actions, received_at)
        except Exception as error:
            changes, failures = self._one_by_one(actions, received_at)
            failures = min(failures + 1, len(actions))
            self._failed = (
                f"The tripwires failed on {failures} of {len(actions)} actions ({said(error)}): alerts about"
                " them may be missing. Look at these agents by hand, and report this."
            )
            self._refused.add(
                received_at, "tripwires", f"the tripwires failed: {said(error)}", count=failures
            )
            return changes

    def _one_by_one(self, actions: Sequence[Action], received_at: int) -> tuple[list[Change], int]:
        """Feed a batch that failed again; what was taken in already is a duplicate by now."""
        changes: list[Change] = []
        failures = 0
        for action in actions:
            try:
                changes += self.engine.feed([action], received_at)
            except Exception:
                failures += 1
        return changes, failures

    def _late(self, keys: Iterable[tuple[str, str]]) -> int:
        watched = self.engine.watched
        return sum(agent.late for key in keys if (agent := watched.get(key)) is not None)

    def _tell_sums(self) -> None:
        now = self._clock.now()
        for (source, reason), told in self._told.items():
            if told.count and now - told.at >= TOLD_EVERY:
                self._say_refused(source, reason, told.count, told.at)
                told.count, told.at = 0, now

    def _say_refused(self, source: str, reason: str, count: int, since: int) -> None:
        body = IntakeRefused(_plain(source), _plain(reason), min(count, LARGEST), moment(since))
        kind = sha256(f"{source}\n{reason}".encode("utf-8", "replace")).hexdigest()[:16]
        self._append((entry(body, ACTOR, key=f"refused:{since}:{kind}"),))

    def _record(self, changes: Sequence[Change]) -> None:
        if changes:
            for start in range(0, len(changes), GROUP):
                self._append(tuple(alert_entry(change) for change in changes[start : start + GROUP]))

    def _append(self, entries: tuple[Entry, ...]) -> None:
        self._unrecorded.append((entries, self._submit(entries)))

    def _submit(self, entries: tuple[Entry, ...]) -> Future[tuple[Event, ...]] | None:
        try:
            return self._case.append(*entries)
        except StoreTrouble:
            return None
        except BadEntry as error:
            # Bounded above, so this is a mistake of ours; it must not take the other alerts down with it.
            self._trouble = f"An alert could not be put on the record: {error}."
            nothing: Future[tuple[Event, ...]] = Future()
            nothing.set_result(())
            return nothing

    def _settle_entries(self) -> None:
        for _ in range(len(self._unrecorded)):
            entries, future = self._unrecorded.popleft()
            if future is None:
                self._unrecorded.append((entries, self._submit(entries)))
            elif not future.done():
                self._unrecorded.append((entries, future))
            elif future.exception() is not None:
                self._unrecorded.append((entries, None))

    def _save(self, now: int) -> None:
        started = monotonic()
        try:
            number = self._journal.rotate()
            self._baselines.save(
                Saved(now, self.engine.snapshot(), self.attribution.save(), number, dict(self.positions))
            )
            self._journal.forget(number)
        except Exception as error:  # whatever it is, to go on watching matters more than to remember
            self._trouble = (
                f"The baselines cannot be written ({said(error)}); a restart will read more again."
            )
            self._save_after = started + SAVE_EVERY
            return
        self._trouble = ""
        self.saved_at = now
        ended = monotonic()
        self._save_after = ended + max(SAVE_EVERY, 20 * (ended - started))


def said(error: Exception) -> str:
    """Return an unexpected error in a few words."""
    return f"{type(error).__name__}: {error}"[:300]


class _Told:
    """How often a kind of refusal came since the record was last told, at `at` (ns UTC)."""

    __slots__ = ("at", "count")

    def __init__(self, at: int) -> None:
        self.at = at
        self.count = 0


def alert_entry(change: Change) -> Entry:
    """Return a change as an entry whose key makes it harmless to say twice."""
    alert = change.alert
    facts = alert_facts(alert)
    if isinstance(change, Opened):
        return entry(AlertOpened(facts), ACTOR, key=f"alert:{alert.id}:opened")
    progress = f"{alert.last_at}:{alert.count}:{held(alert.peak)}:{int(alert.pages)}"
    if isinstance(change, Closed):
        if change.why != "over":
            facts = alert_facts(alert, f" {_WHY.get(change.why, change.why)}")
        return entry(AlertClosed(facts), ACTOR, key=f"alert:{alert.id}:closed:{progress}")
    return entry(AlertMoved(facts), ACTOR, key=f"alert:{alert.id}:moved:{progress}")


_WHY = {
    "withdrawn": "Withdrawn: late telemetry proved that there was no violation.",
    "superseded": "Superseded: late telemetry proved that it had begun at another time.",
}


def alert_facts(alert: Alert, more: str = "") -> AlertFacts:
    """Return an alert as it stands on the record: bounded, and moments as text."""
    return AlertFacts(
        id=alert.id,
        rule=alert.rule,
        version=alert.version,
        tenant=_plain(alert.tenant, 128),
        agent=_plain(alert.agent, 128),
        opened_at=moment(alert.opened_at),
        last_at=moment(alert.last_at),
        detected_at=moment(alert.detected_at),
        received_at=moment(alert.received_at),
        sentence=alert.sentence + more,
        subject=_plain(alert.subject),
        value=held(alert.value),
        limit=held(alert.limit),
        page_limit=held(alert.page_limit),
        peak=held(alert.peak),
        unit=alert.unit,
        reason=alert.reason,
        pages=alert.pages,
        # Nobody can be paged before it is known: late telemetry pages when it arrives (S003-MT-4).
        paged_at=moment(max(alert.page_at, alert.detected_at)) if alert.page_at is not None else "",
        route=tuple(_plain(route, 128) for route in alert.route),
        count=alert.count,
        actions=tuple(_plain(action, 128) for action in alert.actions),
        sample=tuple(
            SampledAction(
                id=_plain(shown["id"]),
                at=moment(shown["at"]),
                kind=shown["kind"],
                name=_plain(shown["name"]),
                cost=None if shown["cost"] is None else held(shown["cost"]),
                status=shown["status"],
                side_effect=shown["side_effect"],
            )
            for shown in alert.sample
        ),
    )


def _plain(text: str, limit: int = 512) -> str:
    """Return `text` within `limit`, a cut marked, without lone surrogates, which the record cannot hold."""
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= limit else text[: limit - 1] + "…"
