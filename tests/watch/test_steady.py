"""A clock that leaps must not take the tripwires with it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from console.tripwires.rules import DAY, SECOND, SLACK
from console.watching.steady import Steady
from data.clock import ManualClock

T0 = 1_764_000_000 * SECOND


class Machine:
    """A machine whose clock is off by `off`, and whose uptime is right."""

    def __init__(self) -> None:
        self.passed = 0
        self.clock = ManualClock(T0)
        self.steady = Steady(self.clock, lambda: self.passed)
        self.off = 0

    def go(self, passed: int, off: int) -> int:
        """Let time pass and the clock be off by `off`; return what the steady clock says."""
        self.clock.advance(passed + off - self.off)
        self.passed, self.off = self.passed + passed, off
        return self.steady.now()


def test_a_day_ahead_and_back_is_not_believed_and_said() -> None:
    machine = Machine()
    assert machine.go(60 * SECOND, 0) == T0 + 60 * SECOND
    assert machine.go(SECOND, DAY) == T0 + 61 * SECOND
    assert "leapt 86,400 s ahead" in machine.steady.trouble
    assert machine.go(3600 * SECOND, DAY) == T0 + 3661 * SECOND
    assert machine.go(SECOND, 0) == T0 + 3662 * SECOND
    assert machine.steady.trouble == ""
    machine.go(SECOND, -DAY)
    assert "leapt 86,400 s back" in machine.steady.trouble


def test_small_corrections_are_followed() -> None:
    machine = Machine()
    assert machine.go(SECOND, SLACK) == T0 + SECOND + SLACK
    assert machine.go(SECOND, 0) == T0 + 2 * SECOND
    assert machine.steady.trouble == ""


@given(st.lists(st.tuples(st.integers(0, 3 * DAY), st.one_of(st.just(0), st.integers(SLACK + 1, 400 * DAY)))))
def test_whatever_leaps_ahead_and_back_the_time_is_right(steps: list[tuple[int, int]]) -> None:
    machine = Machine()
    for passed, off in steps:
        assert machine.go(passed, off) == T0 + machine.passed
