"""One agent as the tripwires see it: its last hour call by call, its baseline, its endpoints, its wires."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from msgspec import Struct

from console.tripwires.baseline import LEARNING, NEVER, Bucket, Hours, Limiter, Limits
from console.tripwires.episode import Wire
from console.tripwires.inventory import BEGINNING, END, Ceilings, Inventory, Verdict
from console.tripwires.rules import HISTORY, HOUR, SLACK

NONE_YET = -(1 << 63)
_COMPACT = 64
_ROOM = 1024
_VERDICTS = 1_000
_KEEP = HOUR + SLACK
_UNASKED = Ceilings(None, None, END, END)


class Status(Struct, frozen=True):
    """One agent for display. Times ns UTC, money nano-USD; limits are None while it is learning."""

    tenant: str
    agent: str
    state: str
    spend: int
    calls: int
    cost_limit: int | None
    cost_page: int | None
    calls_limit: int | None
    calls_page: int | None
    active_hours: int
    first_at: int
    last_at: int
    unknown_cost: int
    late: int
    skewed: int
    sampled: int
    provisional: int


# A sum may exceed 64 bits, which a snapshot cannot hold as a number.
Sum = int | str


class SavedAgent(Struct, frozen=True, array_like=True):
    """One agent in a snapshot; what follows from the rest (limits, window sums) is derived again."""

    tenant: str
    name: str
    first: int
    mark: int
    hour: int
    late_cost: Sum
    late_calls: int
    past: list[tuple[int, Sum, int]]
    spare: tuple[int, Sum, int] | None
    times: bytes
    costs: bytes
    head: int
    refunds: bool
    endpoints: dict[str, int]
    fresh: dict[str, tuple[int, int | None]]
    wires: list[Wire]
    late: int
    skewed: int
    unknown_cost: int
    sampled: int
    provisional: int


class Agent:
    """State of one (tenant, agent). Times are nanoseconds UTC, money nano-USD.

    `times` and `costs` hold the calls of the last hour and of the slack before it, sorted by time, 16 bytes a
    call; those before `head` have left the window that ends at `mark`, the latest event time so far.
    """

    __slots__ = (
        "allowed",
        "ceilings",
        "costs",
        "endpoints",
        "first",
        "fresh",
        "head",
        "hour",
        "hour_end",
        "hours",
        "late",
        "late_calls",
        "late_cost",
        "limits",
        "mark",
        "max_cost",
        "max_length",
        "name",
        "provisional",
        "refunds",
        "sampled",
        "skewed",
        "spend",
        "tenant",
        "times",
        "unknown_cost",
        "verdicts",
        "wires",
    )

    def __init__(self, tenant: str, name: str) -> None:
        self.tenant = tenant
        self.name = name
        self.first = NONE_YET
        self.mark = NONE_YET
        self.hour = 0
        self.hour_end = NONE_YET
        # Calls of the running hour that came too late for the window.
        self.late_cost = 0
        self.late_calls = 0
        self.hours = Hours()
        self.times = array("q")
        self.costs = array("q")
        self.head = 0
        self.spend = 0
        self.refunds = False
        self.limits: Limits = LEARNING
        self.max_cost = LEARNING.cost
        self.max_length = _ROOM
        self.ceilings = _UNASKED
        self.endpoints: dict[str, int] = {}
        # Endpoint -> (when its alert opened, when it was called before): late calls may correct it.
        self.fresh: dict[str, tuple[int, int | None]] = {}
        self.verdicts: dict[str, Verdict] = {}
        # Tools that are allowed at any time.
        self.allowed: set[str] = set()
        self.wires: dict[tuple[str, str], Wire] = {}
        self.late = 0
        self.skewed = 0
        self.unknown_cost = 0
        self.sampled = 0
        self.provisional = 0

    def roll(self, at: int, limiter: Limiter, inventory: Inventory | None) -> None:
        """Begin the clock hour of event time `at`, which lies after the running one."""
        hour = at // HOUR
        if self.mark == NONE_YET:
            if self.first == NONE_YET:
                self.first = at
        else:
            start = bisect_left(self.times, self.hour_end - HOUR)
            cost = self.late_cost + sum(self.costs[start:])
            calls = self.late_calls + len(self.times) - start
            self.hours.close(Bucket(self.hour, cost, calls), hour)
            self._trim()
        self.hour = hour
        self.hour_end = (hour + 1) * HOUR
        self.late_cost = self.late_calls = 0
        self.set_limits(limiter, inventory)

    def set_limits(self, limiter: Limiter, inventory: Inventory | None) -> None:
        """Derive the limits of the running hour."""
        self.limits = self._limits(self.hours, self.hour, limiter, inventory)
        self.max_cost = self.limits.cost
        self._set_length()

    def _limits(self, hours: Hours, hour: int, limiter: Limiter, inventory: Inventory | None) -> Limits:
        start = hour * HOUR
        if inventory is not None and not self.ceilings.start <= start < self.ceilings.end:
            self.ceilings = inventory.ceilings(self.tenant, self.name, start)
        return limiter.limits(hours, self.known_for(hour), self.ceilings)

    def keep(self, tool: str, verdict: Verdict) -> None:
        """Remember a verdict about a tool."""
        if len(self.verdicts) + len(self.allowed) >= _VERDICTS:
            self.verdicts.clear()
            self.allowed.clear()
        if verdict == ("", BEGINNING, END):
            self.allowed.add(tool)
        else:
            self.verdicts[tool] = verdict

    def known_for(self, hour: int) -> bool:
        """Return whether the agent had been seen when the history before `hour` began."""
        return self.first // HOUR <= hour - HISTORY

    def call(self, at: int, cost: int) -> bool:
        """Count a call at or after `mark`, within the running hour; return whether a limit is exceeded.

        What has left the window is only taken off when the sum with it exceeds a limit: then in one step for
        many calls. Until then `spend` is too high at most, unless refunds leave the window.
        """
        self.mark = at
        self.times.append(at)
        self.costs.append(cost)
        self.spend = spend = self.spend + cost
        if spend <= self.max_cost and len(self.times) <= self.max_length and not self.refunds:
            return False
        self.tighten()
        return self.spend > self.limits.cost or len(self.times) - self.head > self.limits.calls

    def tighten(self) -> None:
        """Take off what has left the window that ends at `mark`."""
        self._trim()
        self._set_length()

    def _trim(self) -> None:
        times, costs = self.times, self.costs
        head = bisect_right(times, self.mark - HOUR, self.head)
        self.spend -= sum(costs[self.head : head])
        if head >= _COMPACT:
            cut = bisect_left(times, self.mark - _KEEP)
            del times[:cut], costs[:cut]
            head -= cut
        self.head = head

    def _set_length(self) -> None:
        # An agent without a limit must not keep calls for longer than others do.
        room = max(_ROOM, (len(self.times) - self.head) * 3 // 2)
        self.max_length = self.head + min(self.limits.calls, room)

    def insert(self, at: int, cost: int, limiter: Limiter, inventory: Inventory | None) -> bool:
        """Count a call that belongs before `mark`, by no more than the slack.

        Returns:
            whether the evaluations from `at` on may have changed, so that they must be made again.
        """
        index = bisect_right(self.times, at)
        start = bisect_right(self.times, at - HOUR)
        # No window that ends in [at, mark] holds more than everything between its earliest start and mark.
        before = sum(self.costs[start : self.head])
        self.times.insert(index, at)
        self.costs.insert(index, cost)
        self.spend += cost
        self.first = min(self.first, at)
        hour = at // HOUR
        if hour != self.hour:
            self.hours.add(hour, cost, self.hour)
            self.set_limits(limiter, inventory)
            return True
        if cost < 0 or self.refunds:
            return True
        return self.spend + before > self.max_cost or len(self.times) - start > self.limits.calls

    def count_late(self, at: int, cost: int, limiter: Limiter, inventory: Inventory | None) -> None:
        """Count a call that came too late for the window in the sums of its hour."""
        self.late += 1
        self.first = min(self.first, at)
        hour = at // HOUR
        if hour == self.hour:
            self.late_cost += cost
            self.late_calls += 1
        else:
            self.hours.add(hour, cost, self.hour)
            self.set_limits(limiter, inventory)

    def evaluate(
        self, start: int, limiter: Limiter, inventory: Inventory | None
    ) -> Iterator[tuple[int, int, int, Limits]]:
        """Yield (time, spend, calls, limits) for every distinct event time from `start` on."""
        times, costs = self.times, self.costs
        i, n = bisect_left(times, start), len(times)
        if i == n:
            return
        head = bisect_right(times, times[i] - HOUR)
        spend = sum(costs[head:i])
        hour_start = self.hour_end - HOUR
        earlier = None
        while i < n:
            at = times[i]
            while i < n and times[i] == at:
                spend += costs[i]
                i += 1
            edge = at - HOUR
            while times[head] <= edge:
                spend -= costs[head]
                head += 1
            limits = self.limits
            if at < hour_start:
                if earlier is None:
                    hour = at // HOUR
                    earlier = self._limits(self.hours.before(hour), hour, limiter, inventory)
                limits = earlier
            yield at, spend, i - head, limits

    def window(self, now: int) -> tuple[int, int]:
        """Return spend and calls of the hour that ends at `now`, which is not before `mark`."""
        head = bisect_right(self.times, now - HOUR)
        return sum(self.costs[head:]), len(self.times) - head

    def status(self, now: int, limiter: Limiter) -> Status:
        """Return the agent for display, with the window that ends at `now` (ns UTC)."""
        spend, calls = self.window(max(now, self.mark))
        limits = self.limits
        armed = limiter.armed(self.hours, self.known_for(self.hour))
        firing = any(not f.closed for wire in self.wires.values() for f in wire.firings.values())
        return Status(
            self.tenant,
            self.name,
            "firing" if firing else "armed" if armed else "learning",
            spend,
            calls,
            _known(limits.cost),
            _known(limits.cost_page),
            _known(limits.calls),
            _known(limits.calls_page),
            len(self.hours.past),
            self.first,
            self.mark,
            self.unknown_cost,
            self.late,
            self.skewed,
            self.sampled,
            self.provisional,
        )

    def save(self) -> SavedAgent:
        """Return the agent for a snapshot."""
        return SavedAgent(
            self.tenant,
            self.name,
            self.first,
            self.mark,
            self.hour,
            _sum(self.late_cost),
            self.late_calls,
            [_bucket(b) for b in self.hours.past],
            None if self.hours.spare is None else _bucket(self.hours.spare),
            self.times.tobytes(),
            self.costs.tobytes(),
            self.head,
            self.refunds,
            self.endpoints,
            self.fresh,
            list(self.wires.values()),
            self.late,
            self.skewed,
            self.unknown_cost,
            self.sampled,
            self.provisional,
        )

    @classmethod
    def load(cls, saved: SavedAgent) -> "Agent":
        """Return the agent that was saved, its limits still to be set."""
        agent = cls(saved.tenant, saved.name)
        agent.first, agent.mark, agent.hour = saved.first, saved.mark, saved.hour
        agent.hour_end = (saved.hour + 1) * HOUR
        agent.late_cost, agent.late_calls = int(saved.late_cost), saved.late_calls
        spare = saved.spare
        agent.hours = Hours(
            [Bucket(hour, int(cost), calls) for hour, cost, calls in saved.past],
            None if spare is None else Bucket(spare[0], int(spare[1]), spare[2]),
        )
        agent.times, agent.costs = array("q", saved.times), array("q", saved.costs)
        agent.head = saved.head
        agent.spend = sum(agent.costs[agent.head :])
        agent.refunds = saved.refunds
        agent.endpoints, agent.fresh = saved.endpoints, saved.fresh
        agent.late, agent.skewed, agent.unknown_cost = saved.late, saved.skewed, saved.unknown_cost
        agent.sampled, agent.provisional = saved.sampled, saved.provisional
        agent.wires = {(wire.rule, wire.subject): wire for wire in saved.wires}
        return agent


def _known(limit: int) -> int | None:
    return None if limit >= NEVER else limit


def _sum(value: int) -> Sum:
    return value if -(1 << 63) <= value < 1 << 63 else str(value)


def _bucket(bucket: Bucket) -> tuple[int, Sum, int]:
    return bucket.hour, _sum(bucket.cost), bucket.calls
