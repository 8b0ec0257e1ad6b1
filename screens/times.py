"""Times for people: always UTC, always the same width."""

from __future__ import annotations

import time

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def hms(ns: int) -> str:
    """Return the time of day of `ns` (nanoseconds UTC) as `14:02:31`."""
    seconds = ns // SECOND % 86_400
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def day_hms(ns: int, now: int) -> str:
    """Return the time of day of `ns` as `hms` does, with the date before it unless it is that of `now`."""
    return hms(ns) if ns // DAY == now // DAY else f"{stamp(ns)[:10]} {hms(ns)}"


def hm(ns: int) -> str:
    """Return the time of day of `ns` (nanoseconds UTC) as `14:02`."""
    return hms(ns)[:5]


def stamp(ns: int) -> str:
    """Return `ns` (nanoseconds UTC) in full: `2026-11-21T14:02:31Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ns // SECOND))


def clock(ns: int) -> str:
    """Return a duration in nanoseconds as a running clock, `00:42:17`; days in front when there are any."""
    seconds = abs(ns) // SECOND
    days, rest = divmod(seconds, 86_400)
    text = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{'-' if ns < 0 else ''}{f'{days}d ' if days else ''}{text}"


def age(ns: int) -> str:
    """Return a duration in nanoseconds roughly, in at most four cells: `<1m`, `7m`, `3h`, `12d`.

    Whole minutes at the finest, so that a list at rest repaints once a minute and not every second.
    """
    if ns < MINUTE:
        return "<1m"
    if ns < HOUR:
        return f"{ns // MINUTE}m"
    if ns < 2 * DAY:
        return f"{ns // HOUR}h"
    return f"{min(ns // DAY, 999)}d"
