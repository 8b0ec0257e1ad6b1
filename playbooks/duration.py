"""Durations as people write them: `30 s`, `10 min`, `4 h`, `7 d`."""

from __future__ import annotations

import re

SECOND = 1_000_000_000
UNITS = {"ms": SECOND // 1000, "s": SECOND, "min": 60 * SECOND, "h": 3600 * SECOND, "d": 86_400 * SECOND}
_SHAPE = re.compile(r"(\d{1,9}) ?(ms|s|min|m|h|d)")


def parse(text: str) -> int:
    """Return the nanoseconds of a duration such as `10 min`.

    Raises:
        ValueError: the text is not a whole number with one of the units ms, s, min (m), h, d.
    """
    match = _SHAPE.fullmatch(text.strip())
    if match is None:
        raise ValueError("a duration is a whole number and a unit (ms, s, min, h, d), such as `10 min`")
    number, unit = match.groups()
    return int(number) * UNITS["min" if unit == "m" else unit]


def say(ns: int) -> str:
    """Write nanoseconds in the largest unit that keeps the number whole; the reverse of `parse`."""
    for unit in ("d", "h", "min", "s"):
        if ns and ns % UNITS[unit] == 0:
            return f"{ns // UNITS[unit]} {unit}"
    return f"{ns // UNITS['ms']} ms"
