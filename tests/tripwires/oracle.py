"""What the tripwires should say, computed the slow and obvious way from all actions at once.

Written from the definitions and sharing nothing with the engine but the action, the rules and the inventory.
It sorts, compares every call with every other, and uses fractions.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from console.telemetry.action import Action
from console.tripwires.inventory import Inventory
from console.tripwires.rules import Rules

HOUR = 3600 * 10**9
WEEK = 168


class Expected(NamedTuple):
    """What must be the same however the actions arrive."""

    rule: str
    tenant: str
    agent: str
    subject: str
    opened_at: int
    last_at: int
    value: int
    limit: int
    page_limit: int
    peak: int
    reason: str
    page_at: int | None


class Violation(NamedTuple):
    at: int
    value: int
    limit: int
    page_limit: int
    pages: bool
    reason: str


def expect(actions: Iterable[Action], rules: Rules, inventory: Inventory | None) -> list[Expected]:
    """Return the alerts of `actions`, sorted."""
    unique: dict[Any, Action] = {}
    for action in actions:
        if action.trace and action.span:
            unique.setdefault((action.tenant, action.trace, action.span), action)
        elif action.id:
            unique.setdefault((action.tenant, action.agent, action.id), action)
        else:
            unique.setdefault(tuple(getattr(action, f) for f in action.__struct_fields__), action)
    agents: dict[tuple[str, str], list[Action]] = defaultdict(list)
    for action in sorted(unique.values(), key=lambda a: a.at):
        agents[action.tenant, action.agent].append(action)
    found: list[Expected] = []
    for (tenant, agent), history in agents.items():
        calls = [a for a in history if a.kind in ("model", "tool", "api")]
        for rule in ("cost-rate", "action-rate"):
            violations = rates(rule, calls, rules, inventory)
            found += episodes(rule, tenant, agent, "", violations, counted=False)
        for endpoint, violations in endpoints(calls, rules).items():
            found += episodes("new-endpoint", tenant, agent, endpoint, violations, counted=True)
        if inventory is not None:
            for tool in {a.tool for a in calls if a.tool}:
                verdicts = [
                    (a.at, inventory.verdict(tenant, agent, tool, a.at).reason)
                    for a in calls
                    if a.tool == tool
                ]
                strikes = [Violation(at, 1, 0, 0, True, reason) for at, reason in verdicts if reason]
                found += episodes("authorisation", tenant, agent, tool, strikes, counted=True)
    approvals: dict[tuple[str, str], list[Action]] = defaultdict(list)
    for action in unique.values():
        if action.kind == "review" and action.decision == "approved" and action.artifact:
            approvals[action.tenant, action.artifact].append(action)
    published: dict[tuple[str, str, str], list[Violation]] = defaultdict(list)
    for action in sorted(unique.values(), key=lambda a: a.at):
        if action.kind == "artifact" and action.customer_visible:
            reason = outcome(action, approvals[action.tenant, action.artifact], rules)
            if reason:
                published[action.tenant, action.agent, action.artifact].append(
                    Violation(action.at, 1, 0, 0, True, reason)
                )
    for (tenant, agent, artifact), violations in published.items():
        found += episodes("outcome", tenant, agent, artifact, sorted(violations), counted=True)
    return sorted(found)


def rates(rule: str, calls: Sequence[Action], rules: Rules, inventory: Inventory | None) -> list[Violation]:
    cost = rule == "cost-rate"

    def amount(action: Action) -> int:
        return (action.cost or 0) if cost else 1

    violations = []
    for at in sorted({a.at for a in calls}):
        value = sum(amount(a) for a in calls if at - HOUR < a.at <= at)
        hour = at // HOUR
        sums: dict[int, int] = defaultdict(int)
        for a in calls:
            if hour - WEEK <= a.at // HOUR < hour:
                sums[a.at // HOUR] += amount(a)
        sample = sorted(sums.values())
        known = calls[0].at // HOUR <= hour - WEEK
        literal = guarded = None
        if len(sample) >= (rules.armed_hours_old if known else rules.armed_hours):
            factor = Fraction(str(rules.cost_factor if cost else rules.calls_factor))
            floor = Fraction(rules.cost_floor if cost else rules.calls_floor)
            literal = max(factor * quantile(sample, Fraction(1, 2)), floor)
            guard = Fraction(str(rules.guard))
            guarded = max(literal, guard * quantile(sample, Fraction(95, 100))) if guard else literal
        ceiling = None
        if inventory is not None:
            declared = inventory.ceilings(calls[0].tenant, calls[0].agent, hour * HOUR)
            ceiling = declared.cost if cost else declared.calls
        reason = ""
        if ceiling is not None and (literal is None or ceiling <= int(literal // 1)):
            reason = "ceiling"
        if ceiling is not None:
            literal = Fraction(ceiling) if literal is None else min(literal, Fraction(ceiling))
            guarded = Fraction(ceiling) if guarded is None else min(guarded, Fraction(ceiling))
        if literal is None or guarded is None or value <= literal:
            continue
        pages = value > guarded or rules.page_at == "literal"
        violations.append(Violation(at, value, int(literal // 1), int(guarded // 1), pages, reason))
    return violations


def quantile(sample: Sequence[int], q: Fraction) -> Fraction:
    """Linear interpolation between the two nearest of a sorted sample."""
    place = q * (len(sample) - 1)
    low = int(place)
    high = min(low + 1, len(sample) - 1)
    return sample[low] + (place - low) * (sample[high] - sample[low])


def endpoints(calls: Sequence[Action], rules: Rules) -> dict[str, list[Violation]]:
    found: dict[str, list[Violation]] = defaultdict(list)
    for call in calls:
        if not call.endpoint:
            continue
        before = [a.at for a in calls if a.endpoint == call.endpoint and a.at < call.at]
        first = min(a.at for a in calls)
        if before and call.at - max(before) <= rules.endpoint_memory:
            continue
        if call.at - first >= rules.endpoint_age and not any(v.at == call.at for v in found[call.endpoint]):
            found[call.endpoint].append(Violation(call.at, 1, 0, 0, True, "new"))
    return found


def outcome(published: Action, approvals: Sequence[Action], rules: Rules) -> str:
    before = [a for a in approvals if a.at <= published.at]
    if not before or not published.artifact:
        return "bypassed"
    last = max(before, key=lambda a: (a.at, a.presented_at or 0, a.reviewer, a.content_hash))
    if last.presented_at is not None and last.at - last.presented_at < rules.review_minimum:
        return "too-fast"
    if last.reviewer and last.reviewer in (published.principal, published.agent):
        return "self-review"
    if last.content_hash and published.content_hash and last.content_hash != published.content_hash:
        return "content-changed"
    return ""


def episodes(
    rule: str, tenant: str, agent: str, subject: str, violations: Sequence[Violation], *, counted: bool
) -> list[Expected]:
    """Gaps and islands: violations no more than an hour apart are one alert."""
    islands: list[list[Violation]] = []
    for violation in violations:
        if islands and violation.at - islands[-1][-1].at <= HOUR:
            islands[-1].append(violation)
        else:
            islands.append([violation])
    return [
        Expected(
            rule,
            tenant,
            agent,
            subject,
            island[0].at,
            island[-1].at,
            island[0].value,
            island[0].limit,
            island[0].page_limit,
            len(island) if counted else max(v.value for v in island),
            island[0].reason,
            next((v.at for v in island if v.pages), None),
        )
        for island in islands
    ]
