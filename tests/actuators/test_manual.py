"""A step by hand: it says what to do, and claims nothing."""

from __future__ import annotations

import pytest

from console.containment.actuator import Declined
from console.refusal import Refused
from tests.actuators.conftest import Make, call

STOP = "Turn the key of {target} at the panel to OFF.\nRead the lamp aloud."


async def test_it_says_what_to_do_and_claims_nothing(made: Make) -> None:
    actuator = made("manual", {"stop": STOP, "restore": "Turn the key to ON."})
    assert actuator.plan(call()).splitlines() == [
        "Turn the key of refunds at the panel to OFF.",
        "Read the lamp aloud.",
    ]
    answer = await actuator.apply(call())
    assert not answer.effective
    assert "somebody confirms" in answer.note
    assert answer.note.isprintable()
    assert (await actuator.probe(call())).observed == "unknown"
    assert actuator.plan(call("restore_agent")) == "Turn the key to ON."


async def test_without_a_way_back_it_says_so(made: Make) -> None:
    actuator = made("manual", {"stop": STOP})
    assert "restore_agent" not in actuator.verbs
    with pytest.raises(Declined, match="restore_agent"):
        await actuator.apply(call("restore_agent"))
    assert "Nothing is sent" in actuator.plan(call("restore_agent"))


def test_what_agents_are_called_draws_nothing(made: Make) -> None:
    assert made("manual", {"stop": "Stop {agent}."}).plan(call(agent="a\x1b[31m\nb")) == "Stop a [31m b."


def test_more_than_two_lines_are_no_instruction_for_a_hurry(made: Make) -> None:
    with pytest.raises(Refused, match="3 lines"):
        made("manual", {"stop": "a\nb\nc"})
    with pytest.raises(Refused, match="`stop` is missing"):
        made("manual", {})
