"""The machine's clock without its leaps: what the tripwires go by.

A clock that is a day ahead for a minute would make every agent a day older, and all that follows late for a
day. Small corrections are followed; after a leap, time goes on at the pace of the machine's uptime.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from console.tripwires.rules import SLACK
from data.clock import SECOND, Clock


def uptime() -> int:
    """Nanoseconds since the machine started, time asleep included; nobody can set them."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Steady:
    """A clock that does not leap by more than the slack of the tripwires.

    Args:
        clock: the clock that it follows.
        elapsed: counts nanoseconds and never leaps.
    """

    def __init__(self, clock: Clock, elapsed: Callable[[], int] = uptime) -> None:
        self._clock = clock
        self._elapsed = elapsed
        # One tuple, since two threads ask: the last time that was believed, and the uptime at that moment.
        self._believed = clock.now(), elapsed()
        self._leap = 0

    @property
    def quality(self) -> str:
        """That of the clock it follows."""
        return self._clock.quality

    def now(self) -> int:
        """The time in nanoseconds UTC."""
        wall, elapsed = self._clock.now(), self._elapsed()
        at, since = self._believed
        expected = at + elapsed - since
        if abs(wall - expected) <= SLACK:
            self._believed, self._leap = (wall, elapsed), 0
            return wall
        self._leap = wall - expected
        return expected

    @property
    def trouble(self) -> str:
        """One sentence while the clock that is followed is not believed, else empty."""
        if not self._leap:
            return ""
        way = "ahead" if self._leap > 0 else "back"
        return (
            f"The machine's clock leapt {abs(self._leap) // SECOND:,} s {way}: the tripwires go by the time that"
            " passed since. If the clock is right now, restart the watcher."
        )
