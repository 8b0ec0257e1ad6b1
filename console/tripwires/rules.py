"""The rules as data: what counts as too much, for whom, and whom it pages."""

from fractions import Fraction
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
HISTORY = 168
"""Hours of the baseline: the seven days before the running hour."""
SLACK = 300 * SECOND
"""How late, or how far ahead of the receiver's clock, an action may be and still be put in its place."""

COST_RATE = "cost-rate"
ACTION_RATE = "action-rate"
NEW_ENDPOINT = "new-endpoint"
OUTCOME = "outcome"
AUTHORISATION = "authorisation"
RULES = (COST_RATE, ACTION_RATE, NEW_ENDPOINT, OUTCOME, AUTHORISATION)

Factor = Annotated[float, Meta(ge=0, le=1_000)]
Duration = Annotated[int, Meta(ge=0, le=366 * DAY)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]


def _routes() -> dict[str, tuple[str, ...]]:
    return {
        COST_RATE: ("owner",),
        ACTION_RATE: ("owner",),
        NEW_ENDPOINT: ("owner",),
        OUTCOME: ("operations",),
        AUTHORISATION: ("security",),
    }


class Rules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Thresholds of the tripwires. Durations are nanoseconds, money nano-USD.

    Attributes:
        version: named on every alert; part of an alert's identity.
        cost_factor: the spend of an hour may be this many times the median active hour.
        calls_factor: the same for calls.
        guard: the page waits for this many times the 95th percentile as well; 0 pages at the literal limit.
        page_at: `guarded` pages at the guarded limit, `literal` at the literal one.
        cost_floor: no limit on spend is below this, per hour.
        calls_floor: no limit on calls is below this, per hour.
        armed_hours: active hours that a baseline needs.
        armed_hours_old: active hours that suffice for an agent known for the whole history.
        endpoint_memory: an endpoint unused for longer is new again.
        endpoint_age: for how long an agent must be known before a new endpoint means anything.
        endpoint_cap: endpoints kept for one agent; further ones count as one, named `*`.
        review_minimum: a review decided faster than this was no review.
        review_grace: how long an approval may be in flight before its absence is called a bypass.
        subject_cap: subjects of one agent and rule with an alert of their own; further ones share `*`.
        agent_cap: agents watched on their own; further ones are counted together as agent `*`.
        moved_every: an alert that goes on is reported again at most this often.
        routes: whom each rule pages; `owner` is the owner that the inventory names.
    """

    version: str = "1"
    cost_factor: Factor = 2.0
    calls_factor: Factor = 3.0
    guard: Factor = 1.5
    page_at: Literal["guarded", "literal"] = "guarded"
    cost_floor: Annotated[int, Meta(ge=0, le=10**18)] = SECOND
    calls_floor: Annotated[int, Meta(ge=0, le=10**12)] = 30
    armed_hours: Annotated[int, Meta(ge=1, le=HISTORY)] = 12
    armed_hours_old: Annotated[int, Meta(ge=1, le=HISTORY)] = 5
    endpoint_memory: Duration = 30 * DAY
    endpoint_age: Duration = DAY
    endpoint_cap: Count = 200
    review_minimum: Duration = 30 * SECOND
    review_grace: Duration = 60 * SECOND
    subject_cap: Count = 100
    agent_cap: Count = 200_000
    moved_every: Duration = 60 * SECOND
    routes: dict[str, tuple[str, ...]] = field(default_factory=_routes)

    def route(self, rule: str) -> tuple[str, ...]:
        """Return whom `rule` pages; the default route where none was configured."""
        return self.routes.get(rule) or _routes()[rule]


def exact(factor: float) -> tuple[int, int]:
    """Return a factor as numerator and denominator of the decimal number that was written."""
    return Fraction(str(factor)).as_integer_ratio()
