"""The board: alerts and what people did about them."""

from __future__ import annotations

import pytest

from console import events as ev
from console.alerts import Board
from tests.room.strand import SECOND, T0, event, strand
from tests.room.test_incident import facts

NOW = T0 + 3600 * SECOND


def board(*bodies: ev.Body) -> Board:
    made = Board()
    made.add(strand(ev.WatchFounded(), ev.WatchStarted("rules 1"), *bodies))
    return made


def test_an_episode_moves_and_ends_as_one_alert() -> None:
    made = board(ev.AlertOpened(facts(peak=5)), ev.AlertMoved(facts(peak=9)), ev.AlertClosed(facts(peak=9)))
    (alert,) = made.newest()
    assert alert.facts.peak == 9
    assert alert.state(NOW) == "ended"
    assert alert.asks(NOW), "nobody acknowledged it: it ended, but somebody has yet to look"


@pytest.mark.req("S003-MT-5")
def test_the_first_acknowledgement_stands() -> None:
    made = board(ev.AlertOpened(facts()), ev.AlertAcknowledged("aaaa2222"))
    made.add([event(ev.AlertAcknowledged("aaaa2222", "me too"), 5, actor="ben")])
    (alert,) = made.newest()
    assert (alert.acknowledged_by, alert.acknowledged_at) == ("ana", T0 + 4 * SECOND)
    assert alert.state(NOW) == "acknowledged"
    assert not alert.asks(NOW)


def test_a_silence_ends_and_the_alert_asks_again() -> None:
    until = ev.moment(T0 + 900 * SECOND)
    (alert,) = board(ev.AlertOpened(facts()), ev.AlertSilenced("aaaa2222", until, "known batch")).newest()
    assert alert.state(T0 + 899 * SECOND) == "silenced"
    assert not alert.asks(T0 + 899 * SECOND)
    assert alert.state(T0 + 900 * SECOND) == "firing"
    assert alert.asks(T0 + 900 * SECOND)
    (alert,) = board(ev.AlertOpened(facts()), ev.AlertSilenced("aaaa2222", "", "until it ends")).newest()
    assert alert.state(NOW) == "silenced"


def test_an_alert_that_moves_before_it_was_seen_to_open_is_still_shown() -> None:
    made = board(
        ev.AlertMoved(facts()), ev.AlertAcknowledged("zzzz"), ev.IntakeRefused("otlp", "not JSON", 7)
    )
    assert [alert.id for alert in made.newest()] == ["aaaa2222"]
    assert made.refused == {"otlp": 7}
