"""What customers see, and the reviews that should come before."""

from typing import Any

import pytest

from console.telemetry.action import Action
from console.tripwires.alert import Closed, Moved
from console.tripwires.rules import SECOND
from tests.tripwires.story import H, act, engine, final, play


def publish(at: int = H, **fields: Any) -> Action:
    fields = {"artifact": "mail-1", "artifact_type": "email", "customer_visible": True, **fields}
    return act(at, kind="artifact", **fields)


def review(at: int, took: int | None = 60, **fields: Any) -> Action:
    fields = {"artifact": "mail-1", "decision": "approved", "reviewer": "bob", **fields}
    presented = None if took is None else at - took * SECOND
    return act(at, kind="review", presented_at=presented, **fields)


EARLY = H - 60 * SECOND


@pytest.mark.req("S003-TW-4")
@pytest.mark.parametrize(
    ("reviews", "published", "reason"),
    [
        pytest.param([review(EARLY)], publish(), "", id="approved"),
        pytest.param([review(H)], publish(), "", id="approved-at-that-moment"),
        pytest.param([], publish(), "bypassed", id="no-review"),
        pytest.param([review(EARLY, decision="rejected")], publish(), "bypassed", id="rejected"),
        pytest.param([review(EARLY, artifact="mail-2")], publish(), "bypassed", id="other-artifact"),
        pytest.param([review(EARLY, tenant="x")], publish(), "bypassed", id="other-tenant"),
        pytest.param([review(H + 1)], publish(), "bypassed", id="approved-after-the-fact"),
        pytest.param([], publish(customer_visible=False), "", id="internal"),
        pytest.param([review(EARLY, 29)], publish(), "too-fast", id="29-seconds"),
        pytest.param([review(EARLY, 30)], publish(), "", id="30-seconds"),
        pytest.param([review(EARLY, None)], publish(), "", id="unknown-duration"),
        pytest.param([review(EARLY, 5), review(EARLY + 1, 60)], publish(), "", id="latest-counts"),
        pytest.param([review(EARLY, 60), review(EARLY + 1, 5)], publish(), "too-fast", id="latest-too-fast"),
        pytest.param([review(EARLY)], publish(principal="bob"), "self-review", id="principal"),
        pytest.param([review(EARLY, reviewer="a")], publish(), "self-review", id="agent-itself"),
        pytest.param(
            [review(EARLY, content_hash="1")], publish(content_hash="2"), "content-changed", id="changed"
        ),
        pytest.param([review(EARLY, content_hash="1")], publish(content_hash="1"), "", id="same-content"),
    ],
)
def test_outcome(reviews: list[Action], published: Action, reason: str) -> None:
    actions = sorted([*reviews, published], key=lambda a: a.at)
    alerts = play(actions)
    assert [a.reason for a in alerts] == ([reason] if reason else [])
    for alert in alerts:
        assert (alert.rule, alert.subject, alert.opened_at) == ("outcome", "mail-1", H)
        assert alert.route == ("operations",)
        assert alert.pages


@pytest.mark.req("S003-TW-4")
def test_a_bypass_is_said_after_the_grace_period() -> None:
    tripwires = engine()
    assert tripwires.feed([publish()], H + SECOND) == []
    assert tripwires.advance(H + 61 * SECOND - 1) == []
    (opened,) = tripwires.advance(H + 90 * SECOND)
    assert opened.alert.received_at == H + SECOND
    assert opened.alert.detected_at == H + 61 * SECOND
    assert opened.alert.sentence == (
        "a published mail-1 without an approved review, since 2025-11-24T16:00:00Z; "
        "pages the operations queue."
    )


@pytest.mark.req("S003-TW-4")
def test_an_approval_in_flight_keeps_it_quiet() -> None:
    tripwires = engine()
    tripwires.feed([publish()], H)
    assert tripwires.feed([review(EARLY)], H + 59 * SECOND) == []
    assert [*tripwires.advance(H + 3600 * SECOND), *tripwires.finish()] == []


@pytest.mark.req("S003-TW-4")
def test_an_approval_that_arrives_after_the_alert_withdraws_it() -> None:
    tripwires = engine()
    tripwires.feed([publish()], H)
    (opened,) = tripwires.advance(H + 60 * SECOND)
    (closed,) = tripwires.feed([review(EARLY)], H + 300 * SECOND)
    assert isinstance(closed, Closed)
    assert (closed.why, closed.alert.id) == ("withdrawn", opened.alert.id)


@pytest.mark.req("S003-TW-4")
def test_an_approval_that_arrives_too_late_changes_nothing() -> None:
    tripwires = engine()
    tripwires.feed([publish()], H)
    tripwires.advance(H + 60 * SECOND)
    assert tripwires.feed([review(EARLY)], H + 301 * SECOND) == []


@pytest.mark.req("S003-TW-4")
def test_a_later_review_corrects_the_reason() -> None:
    tripwires = engine()
    tripwires.feed([publish()], H)
    (opened,) = tripwires.advance(H + 60 * SECOND)
    (moved,) = tripwires.feed([review(EARLY, 3)], H + 70 * SECOND)
    assert isinstance(moved, Moved)
    assert (moved.alert.id, moved.alert.reason) == (opened.alert.id, "too-fast")


@pytest.mark.req("S003-TW-4")
def test_artifacts_are_judged_one_by_one() -> None:
    actions = [publish(H + n, artifact=f"m{n}") for n in range(3)]
    alerts = play([review(EARLY, artifact="m1"), *actions])
    assert [a.subject for a in alerts] == ["m0", "m2"]


@pytest.mark.req("S003-TW-4")
def test_an_artifact_without_id_cannot_have_been_approved() -> None:
    (alert,) = play([review(EARLY, artifact=""), publish(artifact="")])
    assert (alert.subject, alert.reason) == ("email", "bypassed")


def test_nothing_is_kept_of_what_can_no_longer_change() -> None:
    tripwires = engine()
    tripwires.feed([publish(H + n, artifact=f"m{n}") for n in range(50)])
    assert len(final(tripwires.advance(H + 3600 * SECOND))) == 50
    assert not tripwires.outcome.recent
    assert not tripwires.outcome.deadlines
