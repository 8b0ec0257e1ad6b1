"""Stored files to their end, as it happened: would it have fired, and when.

Every action counts as received when it was over, so the answer does not depend on when or how often one asks.
No home is needed, nothing is written but the answer, unless a home is given to put the alerts on its record.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import merge
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.json import encode

from console.config import Config, inventory, rules
from console.refusal import Refused
from console.telemetry.action import Action
from console.telemetry.jsonl import Batch, Refusal, stream, whole
from console.tripwires.alert import Alert, Change, Closed, Opened
from console.tripwires.engine import Engine
from console.tripwires.rules import DAY, HOUR, SLACK
from console.watching.garbage import seldom
from data.clock import iso
from data.home import Home

STDIN = Path("-")
LEAP = DAY
CONVINCING = 100
"""So many actions in a row that are dated more than `LEAP` ahead show that time has gone on."""
CHUNK = 5_000
"""Actions given to the tripwires at once when several files are merged by time."""
SETTLED = HOUR + 2 * SLACK
"""After this much event time nothing late can change a closed alert any more."""


class Summary(NamedTuple):
    """What a replay went through: actions, refused records, actions too late for their hour, alerts."""

    actions: int
    refused: int
    duplicates: int
    late: int
    alerts: int
    blind: dict[str, str]


def watch_until_end(
    home: Home | None,
    paths: Sequence[Path],
    config: Config,
    emit: Callable[[dict[str, Any]], None],
    refuse: Callable[[Refusal], None] | None = None,
) -> Summary:
    """Run the tripwires over files of actions, to the end.

    Args:
        home: where to put the alerts on the watcher's record; None records nothing.
        paths: JSONL files; `-` is standard input. Several are read as one, by the time of their actions.
        config: rules and inventory.
        emit: given each alert in its final state, once, in the order in which they opened.
        refuse: given each record that could not be read.

    Raises:
        Refused: a file cannot be opened, or a watcher runs on `home`.
        StoreTrouble: the record of `home` cannot be written.
    """
    seldom()
    engine = Engine(rules(config), inventory(config))
    kept: list[Change] = []
    final = _Final(emit, kept.append if home is not None else None)
    counts = _Counts(refuse)
    files = [
        counts.batches(stream(sys.stdin.buffer, "standard input"), "standard input")
        if path == STDIN
        else counts.batches(whole(path), str(path))
        for path in paths
    ]
    for actions in files[0] if len(files) == 1 else _merged(files):
        final.take(engine.feed(actions))
        final.take(engine.advance(engine.clock))
        final.emit_settled(engine.clock - SETTLED)
    final.take(engine.finish())
    final.emit_all()
    if home is not None:
        _record(home, kept)
    return Summary(
        engine.counters["actions"],
        counts.refused,
        engine.counters["duplicate"],
        sum(agent.late for agent in engine.watched.values()),
        final.count,
        engine.blind,
    )


def as_line(alert: Alert) -> dict[str, Any]:
    """Return an alert as one line of the answer: times in ISO 8601, money in nano-USD."""
    return {
        "id": alert.id,
        "rule": alert.rule,
        "version": alert.version,
        "tenant": alert.tenant,
        "agent": alert.agent,
        "subject": alert.subject,
        "opened_at": iso(alert.opened_at, 9),
        "last_at": iso(alert.last_at, 9),
        "value": alert.value,
        "limit": alert.limit,
        "page_limit": alert.page_limit,
        "peak": alert.peak,
        "unit": alert.unit,
        "reason": alert.reason,
        "pages": alert.pages,
        "route": list(alert.route),
        "sentence": alert.sentence,
        "count": alert.count,
        "actions": list(alert.actions),
    }


class _Counts:
    """Takes the refusals out of batches."""

    def __init__(self, refuse: Callable[[Refusal], None] | None) -> None:
        self.refused = 0
        self._refuse = refuse

    def batches(self, batches: Iterable[Batch], name: str) -> Iterator[list[Action]]:
        leaps = _Leaps()
        for batch in batches:
            self.refused += batch.refused
            if self._refuse is not None:
                for refusal in batch.refusals:
                    self._refuse(refusal)
            if actions := leaps.take(batch.actions):
                yield actions
            for action in leaps.refused:
                self.refused += 1
                if self._refuse is not None:
                    reason = f"it is dated {iso(action.at, 0)}, more than a day ahead of those around it"
                    self._refuse(Refusal(name, 0, 0, reason, encode(action)))
            leaps.refused.clear()
        if leaps.held:
            yield leaps.held


class _Leaps:
    """Holds back what is dated more than a day ahead of the actions before it, until the next ones tell.

    One action dated a year ahead would make its agent's whole baseline old, and all that follows late.
    """

    def __init__(self) -> None:
        self.held: list[Action] = []
        self.refused: list[Action] = []
        """What turned out not to belong where it is dated, as those behind it fell back."""
        self._latest: int | None = None

    def take(self, actions: Iterable[Action]) -> list[Action]:
        """Return the actions that count by now."""
        counting: list[Action] = []
        for action in actions:
            at = action.at
            if self._latest is None:
                self._latest = at
            if self.held:
                self.refused += [held for held in self.held if held.at > at + LEAP]
                self.held = [held for held in self.held if held.at <= at + LEAP]
            if at > self._latest + LEAP:
                self.held.append(action)
                if len(self.held) < CONVINCING:
                    continue
                self._latest = max(held.at for held in self.held)
            else:
                counting.append(action)
                self._latest = max(at, self._latest)
            if self.held:
                near = self._latest + LEAP
                counting += [held for held in self.held if held.at <= near]
                self.held = [held for held in self.held if held.at > near]
        return counting


def _merged(files: Sequence[Iterator[list[Action]]]) -> Iterator[list[Action]]:
    chunk: list[Action] = []
    for action in merge(*(_flat(file) for file in files), key=lambda action: action.at):
        chunk.append(action)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _flat(batches: Iterator[list[Action]]) -> Iterator[Action]:
    for actions in batches:
        yield from actions


class _Final:
    """Alerts on their way to their final state, emitted in the order in which they opened."""

    def __init__(self, emit: Callable[[dict[str, Any]], None], keep: Callable[[Change], None] | None) -> None:
        self._emit = emit
        self._keep = keep
        self._alerts: dict[str, tuple[Alert, bool]] = {}
        self.count = 0

    def take(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if isinstance(change, Closed) and change.why != "over":
                self._alerts.pop(change.alert.id, None)
            else:
                self._alerts[change.alert.id] = (change.alert, isinstance(change, Closed))

    def emit_settled(self, before: int) -> None:
        """Emit what opened before anything that may still change; `before`: ns UTC of the last violation."""
        if not any(closed for _, closed in self._alerts.values()):
            return
        for alert, closed in sorted(self._alerts.values(), key=_by_opening):
            if not closed or alert.last_at > before:
                return
            self._say(alert)

    def emit_all(self) -> None:
        for alert, _ in sorted(self._alerts.values(), key=_by_opening):
            self._say(alert)

    def _say(self, alert: Alert) -> None:
        del self._alerts[alert.id]
        self.count += 1
        self._emit(as_line(alert))
        if self._keep is not None:
            self._keep(Opened(alert))
            self._keep(Closed(alert))


def _by_opening(held: tuple[Alert, bool]) -> tuple[int, str]:
    return held[0].opened_at, held[0].id


def _record(home: Home, changes: Sequence[Change]) -> None:
    from console.events import WatchFounded, entry
    from console.timeline import project
    from console.watching.detection import ACTOR, GROUP, alert_entry
    from console.watching.status import LOCK
    from data.case import found
    from data.lock import Lock

    case = found(home, entry(WatchFounded(home.mode), ACTOR), project, directory=home.watch_dir)
    try:
        lock = Lock.take(home.watch_dir / LOCK)
        if lock is None:
            raise Refused(
                f"A watcher runs on {home.path}, and alerts of a replay would mix with its own.",
                "Stop it first, or replay without recording.",
            )
        try:
            for start in range(0, len(changes), GROUP):
                case.append(*(alert_entry(change) for change in changes[start : start + GROUP])).result()
        finally:
            lock.release()
    finally:
        case.close()
