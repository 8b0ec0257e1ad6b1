"""Alerts: written by the watcher into its own case, and copied into incidents."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from console.events.body import Body, Count, Mode, Moment, Name, Short, Text, Whole, kind


class SampledAction(Struct, frozen=True, omit_defaults=True):
    """One action behind an alert, for people: enough to recognise it, never its content."""

    id: Short
    at: Moment
    kind: Name = ""
    name: Short = ""
    """The tool, endpoint, artefact or model, whichever the action is about."""
    cost: Whole | None = None
    status: Name = ""
    side_effect: Name = ""


class AlertFacts(Struct, frozen=True, omit_defaults=True):
    """What a tripwire saw. Money in nano-USD.

    `limit` is the literal limit that opened the alert, `page_limit` the one that pages.
    """

    id: Name
    rule: Name
    version: Name
    tenant: Name
    agent: Name
    opened_at: Moment
    last_at: Moment
    detected_at: Moment
    received_at: Moment
    sentence: Text
    subject: Short = ""
    value: Whole = 0
    limit: Whole = 0
    page_limit: Whole = 0
    peak: Whole = 0
    unit: Name = ""
    reason: Name = ""
    pages: bool = False
    paged_at: Moment = ""
    route: tuple[Name, ...] = ()
    count: Count = 0
    actions: Annotated[tuple[Short, ...], Meta(max_length=1000)] = ()
    sample: Annotated[tuple[SampledAction, ...], Meta(max_length=20)] = ()


@kind("watch.founded")
class WatchFounded(Body, frozen=True):
    """Founds the watcher's own case."""

    mode: Mode = "live"


@kind("watch.started")
class WatchStarted(Body, frozen=True):
    """A watcher takes over: which rules, which sources, since when its baselines reach back."""

    rules: Name
    sources: tuple[Short, ...] = ()
    note: Text = ""


@kind("watch.stopped")
class WatchStopped(Body, frozen=True):
    """A watcher ended in good order; its absence after a start means that it died."""

    reason: Short = ""


@kind("intake.refused")
class IntakeRefused(Body, frozen=True):
    """Records that could not be taken in: kept in the store of refused records, counted here."""

    source: Short
    reason: Short
    count: Count
    since: Moment = ""


@kind("alert.opened")
class AlertOpened(Body, frozen=True):
    """A tripwire fired."""

    alert: AlertFacts


@kind("alert.moved")
class AlertMoved(Body, frozen=True):
    """An open alert went on: later `last_at`, higher `peak`, or it now pages."""

    alert: AlertFacts


@kind("alert.closed")
class AlertClosed(Body, frozen=True):
    """The episode is over: nothing violated the rule for its episode time."""

    alert: AlertFacts


@kind("alert.acknowledged")
class AlertAcknowledged(Body, frozen=True):
    """A person works on the alert; closes the detection chain (S003-MT-5)."""

    alert: Name
    note: Text = ""


@kind("alert.silenced")
class AlertSilenced(Body, frozen=True):
    """The alert asks for no attention until `until`; empty = until it closes."""

    alert: Name
    until: Moment = ""
    reason: Text = ""


@kind("alert.linked")
class AlertLinked(Body, frozen=True):
    """An alert belongs to this incident: a copy, so that the incident's record stands alone.

    `why` says what is new: it joined, it now pages, somebody acknowledged it, its episode ended.
    """

    alert: AlertFacts
    why: Literal["joined", "paged", "acknowledged", "ended"] = "joined"
    acknowledged_at: Moment = ""
    acknowledged_by: Name = ""
