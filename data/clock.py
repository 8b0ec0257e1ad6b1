"""The clocks: code is given one and asks it; times are whole nanoseconds UTC."""

import re
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol

SECOND = 1_000_000_000
MAX_NS = 2**63 - 1
"""The last time that a record can carry (a day in April 2262): SQLite integers have 63 bits."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,18}))?)?\s?([Zz]|[+-]\d\d(?::?\d\d)?)",
    re.ASCII,
)


class Clock(Protocol):
    """What tells the time."""

    @property
    def quality(self) -> str:
        """How far the time can be trusted, a word that is written beside it on the record."""

    def now(self) -> int:
        """The time in nanoseconds since 1970, UTC."""


class SystemClock:
    """The clock of this machine, which nobody here has compared with another."""

    quality = "system"

    def now(self) -> int:
        """The machine's time in nanoseconds UTC."""
        return time.time_ns()


class ScaledClock:
    """Drill time: starts at a given moment and runs faster or slower than the machine's clock.

    Args:
        start_ns: The drill's time at the anchor, nanoseconds UTC.
        anchor_ns: The machine's time at which the drill started, nanoseconds UTC.
        speed: Drill seconds for each real second, more than 0.

    Raises:
        ValueError: If the speed is not more than 0 and at most 1,000,000.
    """

    quality = "drill"

    def __init__(self, start_ns: int, anchor_ns: int, speed: float) -> None:
        if not 0 < speed <= 1_000_000:
            raise ValueError(f"a clock cannot run at {speed} times real time")
        self.start_ns = start_ns
        self.anchor_ns = anchor_ns
        self.speed = speed

    def now(self) -> int:
        """The drill's time in nanoseconds UTC."""
        return self.start_ns + int((time.time_ns() - self.anchor_ns) * self.speed)


class ManualClock:
    """A clock that stands still until it is moved; for tests and for replaying a record."""

    quality = "manual"

    def __init__(self, now_ns: int) -> None:
        self._now = now_ns

    def now(self) -> int:
        """The time it was last moved to, nanoseconds UTC."""
        return self._now

    def advance(self, ns: int) -> None:
        """Move by so many nanoseconds; negative moves back, as real clocks sometimes do."""
        self._now += ns


@lru_cache(maxsize=8192)
def _to_second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")


@lru_cache(maxsize=8192)
def _from_second(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC) - _EPOCH
    return moment.days * 86_400 + moment.seconds


def iso(ns: int, places: int = 6) -> str:
    """Write a time as ISO 8601 with `Z`.

    Args:
        ns: Nanoseconds UTC.
        places: Digits after the second, 0 to 9; what does not fit is cut off, not rounded.

    Raises:
        ValueError: If the time lies outside the years 1 to 9999.
    """
    seconds, rest = divmod(ns, SECOND)
    try:
        text = _to_second(seconds)
    except OverflowError:
        raise ValueError(f"{ns} ns lies outside the years 1 to 9999") from None
    if places == 9:
        return f"{text}.{rest:09d}Z"
    return f"{text}.{rest:09d}"[: 20 + places] + "Z" if places else text + "Z"


def parse_iso(text: str) -> int:
    """Read an ISO 8601 time with any offset.

    Args:
        text: Such as `2026-11-21T14:02:31.5Z` or `2026-11-21 15:02+01:00`; the offset must be there.

    Returns:
        Nanoseconds UTC; digits beyond the ninth are dropped; a leap second counts as the next second.

    Raises:
        ValueError: If this is not such a time.
    """
    if len(text) == 30 and text[19] == "." and text[29] == "Z":  # as it stands in every header
        rest = text[20:29]
        if rest.isdecimal() and text.isascii():
            return _from_second(text[:19]) * SECOND + int(rest)
    match = _MOMENT.fullmatch(text.strip()) if len(text) <= 64 else None
    if match is None:
        raise ValueError(f"not a time with an offset: {text[:64]!r}; write it like 2026-11-21T14:02:31Z")
    day, hour, minute, second, fraction, offset = match.groups()
    leap = second == "60"
    seconds = _from_second(f"{day}T{hour}:{minute}:{'59' if leap else second or '00'}") + leap
    if offset not in "Zz":
        hours, minutes = int(offset[1:3]), int(offset[3:].lstrip(":") or 0)
        if hours > 23 or minutes > 59:
            raise ValueError(f"no such offset from UTC: {offset}")
        seconds -= (hours * 3600 + minutes * 60) * (-1 if offset[0] == "-" else 1)
    return seconds * SECOND + int((fraction or "")[:9].ljust(9, "0"))
