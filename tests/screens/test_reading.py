"""What a page says about a thing."""

from __future__ import annotations

from console.alerts import Alert
from console.cli.show import detail
from screens.reading import about_alert
from tests.screens.stage import NOW, facts


def test_money_is_shown_in_dollars_and_calls_as_calls() -> None:
    spent = facts(
        1,
        unit="nano-usd",
        value=41_200_000_000,
        peak=50_000_000_000,
        limit=13_000_000_000,
        page_limit=20_000_000_000,
    )
    words = " ".join(para.text for para in about_alert(Alert(spent, "0" * 64), NOW))
    assert "41.20 USD when it opened, 50.00 USD at most so far; limit 13.00 USD, pages at 20.00 USD" in words
    called = facts(2, unit="calls", value=940, peak=940, limit=300, page_limit=450)
    words = " ".join(para.text for para in about_alert(Alert(called, "0" * 64), NOW))
    assert "940 calls when it opened" in words


def test_a_screen_and_a_command_say_an_alert_in_the_same_words() -> None:
    spent = facts(1, unit="nano-usd", value=41_200_000_000, peak=50_000_000_000, limit=13 * 10**9)
    said = "\n".join(detail(Alert(spent, "0" * 64), NOW))
    assert "measured    41.20 USD when it opened, 50.00 USD at most so far; limit 13.00 USD" in said
    assert "nano" not in said
    found = facts(3, unit="tool", value=1, peak=3, limit=0, page_limit=0)
    assert "measured" not in "\n".join(detail(Alert(found, "0" * 64), NOW))
