"""An alert: what a tripwire says, once, for one agent, with everything that it rests on."""

from base64 import b32encode
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from msgspec import Struct
from msgspec.json import encode

from console.plain import visible
from console.telemetry.action import Action
from console.tripwires.rules import (
    ACTION_RATE,
    AUTHORISATION,
    COST_RATE,
    NEW_ENDPOINT,
    OUTCOME,
    SECOND,
)

ACTIONS = 1_000
"""Ids that an alert carries, the most recent ones."""
SAMPLE = 20
"""Actions that an alert shows."""
MOST = 2**53 - 1
"""The evidence log keeps whole numbers exactly up to here; greater ones are shown as this."""

UNITS = {
    COST_RATE: "nano-usd",
    ACTION_RATE: "calls",
    NEW_ENDPOINT: "endpoint",
    OUTCOME: "artifact",
    AUTHORISATION: "tool",
}
Reasons = dict[str, str]
_OUTCOMES: Reasons = {
    "bypassed": "without an approved review",
    "too-fast": "after a review too fast to be one",
    "self-review": "after a review by itself or its principal",
    "content-changed": "with other content than was approved",
}
_CALLS: Reasons = {
    "no-entry": "but the inventory has no entry for the agent",
    "undeclared": "which its inventory entry does not allow",
    "denied": "which its inventory entry denies",
    "expired": "for which its inventory entry has expired",
    "not-yet-valid": "for which its inventory entry is not valid yet",
}


class Alert(Struct, frozen=True):
    """One episode of one rule for one agent and subject. Times are nanoseconds UTC, money nano-USD.

    Attributes:
        id: 8 base32 characters of the SHA-256 of (rule, version, tenant, agent, subject, opened_at).
        rule: id of the rule.
        version: version of the rules.
        tenant: tenant of the agent.
        agent: agent.
        subject: the endpoint, tool or artifact; empty for the rates.
        opened_at: event time of the first violation.
        last_at: event time of the last violation so far.
        detected_at: when the engine could know, by the receiver's clock.
        received_at: when the action arrived that made it knowable, by the receiver's clock.
        value: the hour's spend or calls at `opened_at`; 1 for the other rules.
        limit: the literal limit that was exceeded.
        page_limit: the guarded limit.
        unit: what the numbers count: nano-usd, calls, endpoint, artifact or tool.
        peak: the largest value in the episode; for the other rules, how many violations.
        reason: why, for outcome and authorisation; `ceiling` where a rate exceeds the declared ceiling; `new`
            for an endpoint.
        pages: whether somebody is to be paged.
        page_at: event time at which the page was due, or None.
        route: whom it pages; `owner:NAME` where the inventory names the owner.
        sentence: one sentence for people, safe to show.
        count: how many actions it rests on.
        actions: ids of the most recent of them.
        sample: some of them, for display: id, at, kind, name, cost, status, side_effect. The texts are the
            agent's and must be cleaned before they are shown.
    """

    id: str
    rule: str
    version: str
    tenant: str
    agent: str
    subject: str
    opened_at: int
    last_at: int
    detected_at: int
    received_at: int
    value: int
    limit: int
    page_limit: int
    unit: str
    peak: int
    reason: str
    pages: bool
    page_at: int | None
    route: tuple[str, ...]
    sentence: str
    count: int
    actions: tuple[str, ...]
    sample: tuple[dict[str, Any], ...]


class Opened(Struct, frozen=True, tag="opened"):
    """A new alert. `replaces` names the alert that late telemetry proved to have begun at another time."""

    alert: Alert
    replaces: str = ""


class Moved(Struct, frozen=True, tag="moved"):
    """An alert went on, pages now, or was corrected; after `Closed`, late telemetry continued the episode."""

    alert: Alert


class Closed(Struct, frozen=True, tag="closed"):
    """An alert ended.

    `why` is `over` (nothing more for an hour), `superseded` (an `Opened` that replaces it follows) or
    `withdrawn` (late telemetry proved that there was no violation).
    """

    alert: Alert
    why: str = "over"


Change = Opened | Moved | Closed


def identify(rule: str, version: str, tenant: str, agent: str, subject: str, opened_at: int) -> str:
    """Return the alert's id: 8 lower-case base32 characters."""
    digest = sha256(encode([rule, version, tenant, agent, subject, opened_at])).digest()
    return b32encode(digest[:5]).decode().lower()


def name_of(action: Action) -> str:
    """Return an id of the action for people and joins: its own, else trace and span."""
    return action.id or (f"{action.trace}:{action.span}" if action.span else action.trace)


def show(action: Action) -> dict[str, Any]:
    """Return what a list of actions shows of one."""
    return {
        "id": name_of(action),
        "at": action.at,
        "kind": action.kind,
        "name": action.tool or action.endpoint or action.artifact or action.model,
        "cost": action.cost,
        "status": action.status,
        "side_effect": action.side_effect,
    }


def usd(nano: int) -> str:
    """Return nano-USD as people write money: cents, and more digits below a dollar."""
    places = 2 if abs(nano) >= SECOND else 4
    unit = 10 ** (9 - places)
    whole, rest = divmod(abs(nano) // unit, 10**places)
    return f"{'-' if nano < 0 else ''}{whole:,}.{rest:0{places}d} USD"


def tell(
    rule: str,
    tenant: str,
    agent: str,
    subject: str,
    opened_at: int,
    peak: int,
    limit: int,
    page_limit: int,
    reason: str,
    pages: bool,
    route: tuple[str, ...],
) -> str:
    """Say an alert in one sentence: who, what, how much against which limit, since when, whom it pages."""
    who = visible(agent, 80) + ("" if tenant == "default" else f" (tenant {visible(tenant, 60)})")
    what = visible(subject, 160)
    since = datetime.fromtimestamp(opened_at // SECOND, UTC).strftime("since %Y-%m-%dT%H:%M:%SZ")
    page = "pages " + " and ".join(_recipient(r) for r in route)
    times = f", {peak:,} times" if peak > 1 else ""
    if rule in (COST_RATE, ACTION_RATE):
        money = rule == COST_RATE
        did = f"spent {usd(peak)}" if money else f"made {peak:,} calls"
        bound = "its declared ceiling" if reason == "ceiling" else "its limit"
        if not pages:
            page = f"pages nobody up to {usd(page_limit) if money else f'{page_limit:,}'}"
        amount = usd(limit) if money else f"{limit:,}"
        return f"{who} {did} in one hour, more than {bound} of {amount}, {since}; {page}."
    if rule == NEW_ENDPOINT:
        if subject == "*":
            what = "more endpoints than are kept apart"
        return f"{who} called {what}, which it had not used before, {since}; {page}."
    if rule == OUTCOME:
        return f"{who} published {what or 'an artifact'} {_OUTCOMES[reason]}{times}, {since}; {page}."
    if subject == "*":
        what = "more tools than are kept apart"
    return f"{who} called {what}, {_CALLS[reason]}{times}, {since}; {page}."


def _recipient(route: str) -> str:
    if route == "owner":
        return "the agent owner (nobody is declared)"
    if route.startswith("owner:"):
        return f"the agent owner {visible(route[6:], 60)}"
    return {"operations": "the operations queue", "security": "security"}.get(route, visible(route, 60))
