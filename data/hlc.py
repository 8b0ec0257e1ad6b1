"""Hybrid logical clock: wall time that never runs backwards, so that it can order events."""

MAX_AHEAD_MS = 366 * 86_400_000
"""How far another console's clock may pull ours. What is written after something was seen must come after it,
however wrong the other's clock is; beyond a year it is no clock, and whoever may write to a remote could use the
numbers up."""

_LAST = 2**64 - 1


class HybridClock:
    """48 bits of milliseconds and a 16-bit counter, written as 16 hex digits.

    When the wall clock stands still or jumps back the counter moves on (and overflows into the
    milliseconds), so each reading is greater than all before it.

    Args:
        last: The greatest reading already on the record, 16 hex digits.
    """

    def __init__(self, last: str = "0" * 16) -> None:
        self._last = int(last, 16)

    @property
    def last(self) -> str:
        """The greatest reading so far."""
        return f"{self._last:016x}"

    def tick(self, wall_ns: int) -> str:
        """A reading greater than every one before.

        Args:
            wall_ns: What the wall clock says, nanoseconds UTC.
        """
        self._last = min(max(self._last + 1, (max(wall_ns, 0) // 1_000_000) << 16), _LAST)
        return f"{self._last:016x}"

    def observe(self, foreign: str, wall_ns: int) -> bool:
        """Take note of another replica's reading, so that what we write next comes after it.

        Args:
            foreign: The other's reading, 16 hex digits.
            wall_ns: What our wall clock says, nanoseconds UTC.

        Returns:
            False if it is more than `MAX_AHEAD_MS` ahead of our wall clock; it is then ignored.
        """
        reading = int(foreign, 16)
        if (reading >> 16) > max(wall_ns, 0) // 1_000_000 + MAX_AHEAD_MS:
            return False
        self._last = max(self._last, reading)
        return True


def milliseconds(reading: str) -> int:
    """The wall-clock part of a reading: milliseconds UTC."""
    return int(reading, 16) >> 16
