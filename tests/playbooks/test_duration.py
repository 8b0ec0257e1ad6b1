"""Durations as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playbooks import duration


@given(st.integers(0, 10**8), st.sampled_from(["ms", "s", "min", "h", "d"]))
def test_what_is_said_is_read_back(number: int, unit: str) -> None:
    ns = duration.parse(f"{number} {unit}")
    assert duration.parse(duration.say(ns)) == ns


@pytest.mark.parametrize("text", ["", "10", "1.5 h", "-5 s", "5 weeks", "5  s", "٥ s x"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="whole number and a unit"):
        duration.parse(text)
