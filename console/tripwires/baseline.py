"""What an agent usually does in an hour: its active hours of the last seven days, and their limits."""

from bisect import bisect_left, insort
from typing import NamedTuple

from console.tripwires.inventory import Ceilings
from console.tripwires.rules import HISTORY, Rules, exact

NEVER = 1 << 100
"""A limit that nothing exceeds: the agent is still learning."""


class Limits(NamedTuple):
    """Limits for one hour, rounded down to whole units, which changes nothing for whole values.

    `cost` and `calls` open an alert; `cost_page` and `calls_page` are the guarded limits.
    """

    cost: int
    cost_page: int
    calls: int
    calls_page: int


LEARNING = Limits(NEVER, NEVER, NEVER, NEVER)


class Bucket(NamedTuple):
    """The sums of one clock hour; `hour` counts hours since 1970, UTC."""

    hour: int
    cost: int
    calls: int


class Hours:
    """The closed active hours of one agent, oldest first, and their sums in order of size.

    Both orders are kept up to date, since sorting 168 sums for every agent and hour would cost more than
    everything else the engine does.
    """

    __slots__ = ("calls", "costs", "past", "spare")

    def __init__(self, past: list[Bucket] | None = None, spare: Bucket | None = None) -> None:
        self.past: list[Bucket] = past or []
        # The hour that left last: a late action may still ask for the limits of the hour before.
        self.spare = spare
        self.costs = sorted(b.cost for b in self.past)
        self.calls = sorted(b.calls for b in self.past)

    def close(self, bucket: Bucket, now: int) -> None:
        """Take in the hour that ended because hour `now` began, and let go what is older than the history."""
        self.past.append(bucket)
        insort(self.costs, bucket.cost)
        insort(self.calls, bucket.calls)
        first = now - HISTORY
        past = self.past
        gone = 0
        while gone < len(past) and past[gone].hour < first:
            self._drop(past[gone])
            gone += 1
        self.spare = None
        if gone:
            if past[gone - 1].hour == first - 1:
                self.spare = past[gone - 1]
            del past[:gone]

    def _drop(self, bucket: Bucket) -> None:
        del self.costs[bisect_left(self.costs, bucket.cost)]
        del self.calls[bisect_left(self.calls, bucket.calls)]

    def add(self, hour: int, cost: int, now: int) -> None:
        """Count one late call in closed hour `hour`, unless that is before the history of hour `now`."""
        if hour < now - HISTORY:
            return
        at = bisect_left(self.past, (hour,))
        bucket = Bucket(hour, cost, 1)
        if at < len(self.past) and self.past[at].hour == hour:
            old = self.past[at]
            self._drop(old)
            bucket = Bucket(hour, old.cost + cost, old.calls + 1)
            self.past[at] = bucket
        else:
            self.past.insert(at, bucket)
        insort(self.costs, bucket.cost)
        insort(self.calls, bucket.calls)

    def before(self, hour: int) -> "Hours":
        """Return the sample of `hour`, the one before the running hour, with the hour that left since."""
        past = [b for b in self.past if b.hour < hour]
        if self.spare is not None and self.spare.hour >= hour - HISTORY:
            past.insert(0, self.spare)
        return Hours(past)


class Limiter:
    """Turns a baseline into limits, in exact integer arithmetic."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._cost = exact(rules.cost_factor)
        self._calls = exact(rules.calls_factor)
        self._guard = exact(rules.guard)

    def armed(self, hours: Hours, old: bool) -> bool:
        """Return whether the baseline says enough; `old` is an agent known for the whole history."""
        return len(hours.past) >= (self.rules.armed_hours_old if old else self.rules.armed_hours)

    def limits(self, hours: Hours, old: bool, ceilings: Ceilings) -> Limits:
        """Return the limits after `hours`: from the baseline when it is armed, and never above a ceiling."""
        limits = LEARNING
        if self.armed(hours, old):
            cost, cost_page = self._pair(hours.costs, self._cost, self.rules.cost_floor)
            calls, calls_page = self._pair(hours.calls, self._calls, self.rules.calls_floor)
            limits = Limits(cost, cost_page, calls, calls_page)
        if ceilings.cost is not None:
            most = ceilings.cost
            limits = limits._replace(cost=min(limits.cost, most), cost_page=min(limits.cost_page, most))
        if ceilings.calls is not None:
            most = ceilings.calls
            limits = limits._replace(calls=min(limits.calls, most), calls_page=min(limits.calls_page, most))
        return limits

    def _pair(self, sums: list[int], factor: tuple[int, int], floor: int) -> tuple[int, int]:
        n = len(sums)
        up, down = factor
        literal = max(floor, up * (sums[(n - 1) // 2] + sums[n // 2]) // (2 * down))
        up, down = self._guard
        if not up:
            return literal, literal
        i, twentieths = divmod(19 * (n - 1), 20)
        p95 = 20 * sums[i]
        if twentieths:
            p95 += twentieths * (sums[i + 1] - sums[i])
        return literal, max(literal, up * p95 // (20 * down))
