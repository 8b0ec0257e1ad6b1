"""The board: every alert on the watcher's case, and what people did about each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from msgspec import structs

from console.events import (
    AlertAcknowledged,
    AlertClosed,
    AlertFacts,
    AlertMoved,
    AlertOpened,
    AlertSilenced,
    IntakeRefused,
    Unknown,
    WatchStarted,
    WatchStopped,
    instant,
    read,
)
from data.envelope import Event

AlertState = Literal["firing", "acknowledged", "silenced", "ended"]


@dataclass(slots=True)
class Alert:
    """One alert and what people did about it. Times are nanoseconds UTC, 0 = not yet."""

    facts: AlertFacts
    """Without the ids of its actions, up to a thousand for each: `Desk.whole` reads them from the record."""
    event: str
    """Hash of the event that opened it."""
    told: str = ""
    """Hash of the event that told these facts."""
    ended: bool = False
    acknowledged_by: str = ""
    acknowledged_at: int = 0
    acknowledged_note: str = ""
    silenced_by: str = ""
    silenced_until: int | None = None
    """None = not silenced; 0 = until it ends."""
    silenced_reason: str = ""

    @property
    def id(self) -> str:
        """The alert's identity in short form."""
        return self.facts.id

    @property
    def opened_at(self) -> int:
        """When the rule was first violated, in event time."""
        return instant(self.facts.opened_at) or 0

    @property
    def last_at(self) -> int:
        """When the rule was last violated, in event time."""
        return instant(self.facts.last_at) or self.opened_at

    def state(self, now: int) -> AlertState:
        """Return what the alert asks of people at `now` (ns UTC).

        An acknowledged alert stays on the board until its episode is over.
        """
        if self.acknowledged_at:
            return "ended" if self.ended else "acknowledged"
        if self.silenced_until is not None and (self.silenced_until == 0 or now < self.silenced_until):
            return "ended" if self.ended else "silenced"
        return "ended" if self.ended else "firing"

    def asks(self, now: int) -> bool:
        """Return whether nobody has dealt with the alert yet: firing, or ended without an acknowledgement."""
        if self.acknowledged_at:
            return False
        return self.silenced_until is None or (self.silenced_until != 0 and now >= self.silenced_until)


@dataclass(slots=True)
class Board:
    """All alerts of the watcher's case, by id, in the order in which they opened."""

    alerts: dict[str, Alert] = field(default_factory=dict)
    started_at: int = 0
    stopped_at: int = 0
    rules: str = ""
    sources: tuple[str, ...] = ()
    refused: dict[str, int] = field(default_factory=dict)
    """Source to the number of records it sent that could not be taken in."""
    unknown: dict[str, int] = field(default_factory=dict)

    def add(self, events: Iterable[Event]) -> set[str]:
        """Take in more events, in the order of the log. Returns the ids of the alerts that changed."""
        changed: set[str] = set()
        for event in events:
            body = read(event)
            match body:
                case AlertOpened(alert=facts) | AlertMoved(alert=facts) | AlertClosed(alert=facts):
                    facts = structs.replace(facts, actions=())
                    alert = self.alerts.get(facts.id)
                    if alert is None:
                        alert = self.alerts[facts.id] = Alert(facts, event.hash, event.hash)
                    alert.facts, alert.told = facts, event.hash
                    alert.ended = isinstance(body, AlertClosed)
                    changed.add(facts.id)
                case AlertAcknowledged() if body.alert in self.alerts:
                    alert = self.alerts[body.alert]
                    if not alert.acknowledged_at:
                        alert.acknowledged_by, alert.acknowledged_at = event.actor, event.at
                    alert.acknowledged_note = body.note or alert.acknowledged_note
                    changed.add(body.alert)
                case AlertSilenced() if body.alert in self.alerts:
                    alert = self.alerts[body.alert]
                    alert.silenced_by, alert.silenced_reason = event.actor, body.reason
                    alert.silenced_until = instant(body.until) or 0
                    changed.add(body.alert)
                case WatchStarted():
                    self.started_at, self.stopped_at = event.at, 0
                    self.rules, self.sources = body.rules, body.sources
                case WatchStopped():
                    self.stopped_at = event.at
                case IntakeRefused():
                    self.refused[body.source] = self.refused.get(body.source, 0) + body.count
                case Unknown():
                    self.unknown[body.kind] = self.unknown.get(body.kind, 0) + 1
                case _:
                    pass
        return changed

    def newest(self) -> list[Alert]:
        """Return all alerts, the newest first."""
        return _newest_first(self.alerts.values())

    def asking(self, now: int) -> list[Alert]:
        """Return the alerts that nobody has dealt with, the newest first."""
        return _newest_first(alert for alert in self.alerts.values() if alert.asks(now))


def measured(facts: AlertFacts) -> str:
    """How much it was against which limits, in words; empty where there is nothing to measure."""
    if not facts.limit:
        return ""

    def say(value: int) -> str:
        return f"{value / 10**9:,.2f} USD" if facts.unit == "nano-usd" else f"{value:,} {facts.unit}".strip()

    return (
        f"{say(facts.value)} when it opened, {say(facts.peak)} at most so far;"
        f" limit {say(facts.limit)}, pages at {say(facts.page_limit)}"
    )


def _newest_first(alerts: Iterable[Alert]) -> list[Alert]:
    # Moments are text of one form, which sorts as their times do and need not be read for it.
    return sorted(alerts, key=lambda alert: (alert.facts.opened_at, alert.id), reverse=True)
