"""From violations to alerts: those no more than an hour apart are one episode, in whatever order they come.

A wire is one rule for one agent and one subject. It keeps the violations of the last minutes one by one, so
that an action that arrives late is put in its place and the episodes come out as if everything had arrived in
order. What was told before and turns out different is corrected with changes, never silently.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from console.telemetry.action import Action
from console.tripwires.alert import (
    ACTIONS,
    SAMPLE,
    UNITS,
    Alert,
    Change,
    Closed,
    Moved,
    Opened,
    identify,
    name_of,
    show,
    tell,
)
from console.tripwires.rules import ACTION_RATE, COST_RATE, DAY, HOUR, SLACK

_LOOSE = 512
"""Violations kept one by one before those that can no longer change are folded into one."""


class Point(Struct, frozen=True):
    """One violation at event time `at`; `pages` when it is beyond the limit that pages."""

    at: int
    value: int
    limit: int
    page_limit: int
    pages: bool
    reason: str = ""


class Span(Struct):
    """An episode: violations with no gap of more than an hour."""

    opened_at: int
    last_at: int
    value: int
    limit: int
    page_limit: int
    peak: int
    page_at: int | None
    reason: str
    count: int


class Firing(Struct):
    """An episode that has been told: what was known when, and the actions behind it."""

    span: Span
    detected_at: int
    received_at: int
    moved_at: int
    ids: list[str] = field(default_factory=list)
    count: int = 0
    told: int = 0
    sample: list[Action] = field(default_factory=list)
    closed: bool = False


class Evidence(NamedTuple):
    """What stands behind a violation.

    Attributes:
        action: the action that made it known.
        total: how many actions it rests on.
        received_at: when the action arrived, ns UTC.
        detected_at: when the violation was certain, ns UTC.
        before: finds the actions that led to it; asked when an alert opens.
    """

    action: Action
    total: int
    received_at: int
    detected_at: int
    before: Callable[[], Sequence[Action]] = tuple


class Wire(Struct):
    """One rule, one agent, one subject: its recent violations and the alerts they make.

    Attributes:
        rule: id of the rule.
        version: version of the rules when the wire first fired.
        tenant: tenant of the agent.
        agent: agent.
        subject: endpoint, tool, artifact or empty.
        route: whom it pages.
        moved_every: shortest time between two reports of an alert that goes on, ns of event time.
        base: what the violations that are no longer in `points` add up to.
        points: violations that late actions may still change, by time.
        firings: alerts by the time they opened.
        scheduled: whether somebody will ask for the end of an open alert.
    """

    rule: str
    version: str
    tenant: str
    agent: str
    subject: str
    route: tuple[str, ...]
    moved_every: int
    base: Span | None = None
    points: list[Point] = field(default_factory=list)
    firings: dict[int, Firing] = field(default_factory=dict)
    scheduled: bool = False

    @property
    def rate(self) -> bool:
        """Whether the wire compares sums; the others count violations."""
        return self.rule in (COST_RATE, ACTION_RATE)

    def latest(self) -> Firing | None:
        """Return the alert that opened last."""
        return self.firings[max(self.firings)] if self.firings else None

    def last_at(self) -> int:
        """Return the event time of the last violation, ns UTC; 0 if all were withdrawn."""
        return max((f.span.last_at for f in self.firings.values()), default=0)

    def add(
        self,
        point: Point,
        evidence: Evidence,
        out: list[Change],
    ) -> None:
        """Take in a violation.

        Args:
            point: the violation.
            evidence: the action behind it.
            out: changes are appended here.
        """
        firing = self.latest()
        if firing is None or point.at - firing.span.last_at > HOUR:
            self._keep(point, out)
            if firing is not None:
                self._close(firing, "over", out)
            span = _begin(point)
            firing = Firing(span, evidence.detected_at, evidence.received_at, point.at)
            self.firings[point.at] = firing
            _begin_with(firing, evidence)
            out.append(Opened(self.alert(firing)))
            return
        if point.at < firing.span.last_at:
            self._insert(point, evidence, out)
            return
        self._keep(point, out)
        span = firing.span
        paged = span.page_at is not None
        if self.rate and point.at == span.last_at and point.at == span.opened_at:
            span.value = point.value
        _extend(span, point)
        _note(firing, evidence.action)
        if (
            (span.page_at is not None) != paged
            or firing.closed
            or point.at - firing.moved_at >= self.moved_every
        ):
            self._move(firing, out)

    def _keep(self, point: Point, out: list[Change]) -> None:
        points = self.points
        if self.rate and points and points[-1].at == point.at:
            points[-1] = point
        else:
            points.append(point)
        if len(points) > _LOOSE and points[0].at < point.at - SLACK:
            self._settle(point.at - SLACK, out)

    def _settle(self, horizon: int, out: list[Change]) -> None:
        """Fold the violations before `horizon`, which no action can change any more."""
        settled = 0
        points = self.points
        base = self.base
        while settled < len(points) and points[settled].at < horizon:
            point = points[settled]
            if base is None or point.at - base.last_at > HOUR:
                base = _begin(point)
            else:
                _extend(base, point)
            settled += 1
        self.base = base
        del points[:settled]
        if base is not None:
            for opened_at in [t for t in self.firings if t < base.opened_at]:
                self._close(self.firings.pop(opened_at), "over", out)

    def _insert(
        self,
        point: Point,
        evidence: Evidence,
        out: list[Change],
    ) -> None:
        """Take in a violation that lies before the last one."""
        if self.base is not None and point.at < self.base.last_at:
            # Too late to be put in its place: it counts, but moves nothing.
            firing = self.firings.get(self.base.opened_at)
            self.base.count += 1
            if firing is not None:
                firing.span.count += 1
                _note(firing, evidence.action)
            return
        at = len(self.points)
        while at and self.points[at - 1].at > point.at:
            at -= 1
        self._revise([*self.points[:at], point, *self.points[at:]], evidence, out)

    def revise(
        self,
        start: int,
        points: Sequence[Point],
        evidence: Evidence,
        out: list[Change],
        end: int | None = None,
    ) -> None:
        """Replace the violations from event time `start` up to `end` inclusive, and correct what was told."""
        kept = [p for p in self.points if p.at < start]
        rest = [p for p in self.points if end is not None and p.at > end]
        self._revise([*kept, *points, *rest], evidence, out)

    def _revise(
        self,
        points: list[Point],
        evidence: Evidence,
        out: list[Change],
    ) -> None:
        self.points = points
        spans = [replace(self.base)] if self.base is not None else []
        for point in points:
            if spans and point.at - spans[-1].last_at <= HOUR:
                _extend(spans[-1], point)
            else:
                spans.append(_begin(point))
        first = self.base.opened_at if self.base is not None else None
        new = {span.opened_at: span for span in spans}
        gone = [t for t in sorted(self.firings) if t not in new and (first is None or t >= first)]
        for span in spans:
            firing = self.firings.get(span.opened_at)
            if firing is None:
                self._open(span, gone, evidence, out)
            elif firing.span != span:
                before = firing.span
                firing.span = span
                _note(firing, evidence.action)
                told = (before.page_at is None, before.value, before.limit, before.reason)
                now = (span.page_at is None, span.value, span.limit, span.reason)
                late = span.last_at - firing.moved_at >= self.moved_every
                if told != now or late or (firing.closed and span.last_at != before.last_at):
                    self._move(firing, out)
        for opened_at in gone:
            self._close(self.firings.pop(opened_at), "withdrawn", out)

    def _open(
        self,
        span: Span,
        gone: list[int],
        evidence: Evidence,
        out: list[Change],
    ) -> None:
        """Open an alert in the place of one that turned out to begin at another time, if there is one."""
        firing = Firing(span, evidence.detected_at, evidence.received_at, span.last_at)
        replaces = ""
        for opened_at in gone:
            old = self.firings[opened_at]
            if span.opened_at <= old.span.last_at and opened_at <= span.last_at + HOUR:
                gone.remove(opened_at)
                del self.firings[opened_at]
                replaces = self._identity(opened_at)
                self._close(old, "superseded", out)
                firing = Firing(span, old.detected_at, old.received_at, span.last_at, old.ids, old.count)
                firing.sample = old.sample
                _note(firing, evidence.action)
                break
        else:
            _begin_with(firing, evidence)
        self.firings[span.opened_at] = firing
        out.append(Opened(self.alert(firing), replaces))

    def expire(self, now: int, out: list[Change]) -> int | None:
        """Close alerts that nothing can continue by `now` (ns UTC).

        It waits for the slack as well, and remembers the wire for a day: telemetry may be under way.

        Returns:
            when to ask again, ns UTC; None = the wire may be forgotten.
        """
        for firing in self.firings.values():
            if not firing.closed and now > firing.span.last_at + HOUR + SLACK:
                self._close(firing, "over", out)
        last_at = self.last_at()
        if now > last_at + DAY:
            return None
        self.scheduled = any(not firing.closed for firing in self.firings.values())
        return last_at + (HOUR + SLACK if self.scheduled else DAY) + 1

    def flush(self, out: list[Change], now: int | None = None) -> None:
        """Report what has not been reported yet because it moved a moment ago.

        Without this an alert would show for as long as nothing more happens how far it had come at its last
        report, such as the first of a thousand calls. `now`: ns UTC, leave out what was reported less than
        `moved_every` ago; None = leave out nothing.
        """
        for firing in self.firings.values():
            waited = now is None or now - firing.moved_at >= self.moved_every
            if waited and not firing.closed and firing.told != firing.count:
                self._move(firing, out)

    def _move(self, firing: Firing, out: list[Change]) -> None:
        firing.closed = False
        firing.moved_at = firing.span.last_at
        out.append(Moved(self.alert(firing)))

    def _close(self, firing: Firing, why: str, out: list[Change]) -> None:
        if firing.closed and why == "over":
            return
        firing.closed = True
        out.append(Closed(self.alert(firing), why))

    def _identity(self, opened_at: int) -> str:
        return identify(self.rule, self.version, self.tenant, self.agent, self.subject, opened_at)

    def alert(self, firing: Firing) -> Alert:
        """Return the alert as it stands, and take note that it has been told."""
        span = firing.span
        firing.told = firing.count
        pages = span.page_at is not None
        peak = span.peak if self.rate else span.count
        return Alert(
            id=self._identity(span.opened_at),
            rule=self.rule,
            version=self.version,
            tenant=self.tenant,
            agent=self.agent,
            subject=self.subject,
            opened_at=span.opened_at,
            last_at=span.last_at,
            detected_at=firing.detected_at,
            received_at=firing.received_at,
            value=span.value,
            limit=span.limit,
            page_limit=span.page_limit,
            unit=UNITS[self.rule],
            peak=peak,
            reason=span.reason,
            pages=pages,
            page_at=span.page_at,
            route=self.route,
            sentence=tell(
                self.rule,
                self.tenant,
                self.agent,
                self.subject,
                span.opened_at,
                peak,
                span.limit,
                span.page_limit,
                span.reason,
                pages,
                self.route,
            ),
            count=firing.count,
            actions=tuple(firing.ids[-ACTIONS:]),
            sample=tuple(show(a) for a in firing.sample),
        )


def _begin(point: Point) -> Span:
    return Span(
        point.at,
        point.at,
        point.value,
        point.limit,
        point.page_limit,
        point.value,
        point.at if point.pages else None,
        point.reason,
        1,
    )


def _extend(span: Span, point: Point) -> None:
    # A violation too late for its place counts, but an episode does not shrink.
    span.last_at = max(span.last_at, point.at)
    span.count += 1
    if point.value > span.peak:
        span.peak = point.value
    if point.pages and span.page_at is None:
        span.page_at = point.at


def _begin_with(firing: Firing, evidence: Evidence) -> None:
    for action in evidence.before():
        _note(firing, action)
    _note(firing, evidence.action)
    firing.count = evidence.total


def _note(firing: Firing, action: Action) -> None:
    firing.count += 1
    firing.ids.append(name_of(action))
    if len(firing.sample) < SAMPLE:
        firing.sample.append(action)
    if len(firing.ids) >= 2 * ACTIONS:
        del firing.ids[:-ACTIONS]
