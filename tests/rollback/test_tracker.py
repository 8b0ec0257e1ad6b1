"""The tracker: counts, the worst clock with the share of it that is used, and what to do next."""

from __future__ import annotations

import pytest

from console import events as ev
from console.rollback.tracker import ClassStanding, standing, summary
from tests.rollback.test_ledger import IDS, effect, state_after
from tests.room.strand import SECOND, T0

CONTAINED = ev.ContainmentConfirmed("stopped")
LISTED = ev.EffectsListed(
    (effect(IDS[0]), effect(IDS[1], state="unknown"), effect(IDS[2], "mail"), effect(IDS[3], ""))
)


def at(seconds: int, name: str, *bodies: ev.Body) -> ClassStanding:
    """The class `name`, `seconds` after containment."""
    state = state_after(*bodies)
    began = state.contained_at if state.contained_at is not None else T0
    found = summary(state, name, began + seconds * SECOND)
    assert found is not None
    return found


@pytest.mark.req("S003-KS-9")
def test_a_clock_is_at_risk_at_half_at_four_fifths_and_past_its_end() -> None:
    for seconds, level, share in ((0, "fresh", 0), (899, "fresh", 49), (900, "half", 50), (1440, "near", 80)):
        clock = at(seconds, "code", CONTAINED, LISTED).clock
        assert clock is not None
        assert (clock.id, clock.level, clock.share) == ("revert", level, share)
    clock = at(3600, "code", CONTAINED, LISTED).clock
    assert clock is not None
    assert (clock.id, clock.level, clock.share) == ("revert", "past", 200)
    waits = at(0, "code", LISTED).clock
    assert waits is not None
    assert (waits.level, waits.share, waits.deadline) == ("waits", None, None)


def test_what_to_do_next_follows_from_the_effects() -> None:
    both = (IDS[0], IDS[1])
    assert "reconcile" in at(0, "code", LISTED).next
    seen = ev.EffectReconciled(IDS[1], True, "their list")
    assert at(0, "code", LISTED, seen).next.startswith("Undo 2 effects")
    assert "cannot be undone" in at(0, "mail", LISTED).next
    undone = ev.EffectsMoved("code", both, "reversed")
    assert at(0, "code", LISTED, seen, undone).next.startswith("Check 2 effects")
    verified = ev.EffectsMoved("code", both, "verified")
    code = at(0, "code", LISTED, seen, undone, verified)
    assert code.next == "Close the audit with what shows that it is complete: systems audited."
    assert [each.id for each in code.audits] == ["audit"]
    code = at(0, "code", LISTED, seen, undone, verified, ev.AuditClosed("code", "audit", "report 7"))
    assert (code.next, code.clock, code.finished) == ("", None, True)


def test_every_class_is_there_also_that_of_effects_without_one() -> None:
    found = standing(state_after(CONTAINED, LISTED), T0)
    assert [(each.id, each.effects) for each in found] == [("code", 2), ("mail", 1), ("", 1)]
    assert found[-1].next.startswith("Say to which class 1 effect")
    assert found[0].tally.unclear == 1
    empty = standing(state_after(), T0)
    assert [(each.state, each.effects) for each in empty] == [("untouched", None), ("untouched", None)]
    assert all("draft" in each.next for each in empty)
    only = ev.EffectsListed((effect(IDS[0]),))
    assert "say that it is clear" in at(0, "mail", only).next
