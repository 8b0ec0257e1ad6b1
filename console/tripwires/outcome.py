"""The outcome wire: what a customer sees needs an approval that came before it and was a real one."""

from bisect import bisect_right, insort
from heapq import heappop, heappush

from msgspec import Struct, field

from console.telemetry.action import Action
from console.tripwires.rules import SLACK, Rules

_APPROVALS = 16
"""Approvals kept of one artifact, the latest."""
_ARTIFACTS = 100_000
"""Artifacts whose approvals are kept, the ones approved last."""


class Approval(Struct, frozen=True):
    """A human's approval of an artifact at event time `at`."""

    at: int
    presented_at: int | None
    reviewer: str
    content_hash: str


class Publication(Struct):
    """An artifact that went out, and what was found about it so far."""

    action: Action
    at: int
    received_at: int
    reason: str
    waiting: bool


class Ruling(Struct, frozen=True):
    """What is now held against an agent's publications of one artifact at one moment; perhaps nothing."""

    publication: Publication
    reasons: tuple[str, ...]
    detected_at: int


class Outcome(Struct):
    """Approvals, publications that can still be judged anew, and those waiting for an approval in flight."""

    approvals: dict[str, list[Approval]] = field(default_factory=dict)
    recent: dict[str, dict[int, Publication]] = field(default_factory=dict)
    deadlines: list[tuple[int, int, str]] = field(default_factory=list)
    serial: int = 0

    def publish(self, action: Action, at: int, now: int, rules: Rules) -> Ruling | None:
        """Judge a publication at event time `at`, received at `now`; None = nothing to say, or not yet."""
        key = _key(action)
        publication = Publication(action, at, now, "", False)
        publication.reason = self._judge(publication, rules)
        self.serial += 1
        self.recent.setdefault(key, {})[self.serial] = publication
        bypassed = publication.reason == "bypassed"
        publication.waiting = bypassed
        # One queue for both: the end of the grace period, and the time from which nothing is judged anew.
        if bypassed:
            heappush(self.deadlines, (now + rules.review_grace, self.serial, key))
        heappush(self.deadlines, (now + max(SLACK, rules.review_grace) + 1, -self.serial, key))
        return None if bypassed or not publication.reason else self._rule(publication, now)

    def review(self, action: Action, at: int, now: int, rules: Rules) -> list[Ruling]:
        """Take in a review decided at event time `at`; return what it changes about recent publications."""
        if action.decision != "approved" or not action.artifact:
            return []
        key = _key(action)
        approvals = self.approvals.pop(key, [])
        insort(approvals, Approval(at, action.presented_at, action.reviewer, action.content_hash), key=_order)
        del approvals[:-_APPROVALS]
        self.approvals[key] = approvals
        if len(self.approvals) > _ARTIFACTS:
            del self.approvals[next(iter(self.approvals))]
        changed = []
        for publication in self.recent.get(key, {}).values():
            reason = self._judge(publication, rules)
            if reason == publication.reason:
                continue
            publication.reason = reason
            publication.waiting = False
            changed.append(publication)
        return [self._rule(publication, now) for publication in changed]

    def due(self, now: int) -> list[Ruling]:
        """Return the publications whose grace period has passed by `now` without an approval."""
        overdue = []
        while self.deadlines and self.deadlines[0][0] <= now:
            deadline, serial, key = heappop(self.deadlines)
            publications = self.recent[key]
            publication = publications[abs(serial)]
            if serial > 0 and publication.waiting:
                publication.waiting = False
                overdue.append(self._rule(publication, deadline))
            elif serial < 0:
                del publications[-serial]
                if not publications:
                    del self.recent[key]
        return overdue

    def _rule(self, publication: Publication, detected_at: int) -> Ruling:
        moment = publication.action.agent, publication.at
        same = self.recent[_key(publication.action)].values()
        held = (p for p in same if (p.action.agent, p.at) == moment and not p.waiting)
        return Ruling(publication, tuple(sorted(p.reason for p in held if p.reason)), detected_at)

    def _judge(self, publication: Publication, rules: Rules) -> str:
        action = publication.action
        approvals = self.approvals.get(_key(action), ()) if action.artifact else ()
        at = bisect_right([a.at for a in approvals], publication.at)
        if not at:
            return "bypassed"
        approval = approvals[at - 1]
        if approval.presented_at is not None and approval.at - approval.presented_at < rules.review_minimum:
            return "too-fast"
        if approval.reviewer and approval.reviewer in (action.principal, action.agent):
            return "self-review"
        if approval.content_hash and action.content_hash and approval.content_hash != action.content_hash:
            return "content-changed"
        return ""


def _key(action: Action) -> str:
    return f"{action.tenant}\0{action.artifact}"


def _order(approval: Approval) -> tuple[int, int, str, str]:
    return approval.at, approval.presented_at or 0, approval.reviewer, approval.content_hash
