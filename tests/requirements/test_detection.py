"""What tripwires need, that they tell agents apart, and whom they page."""

from pathlib import Path
from typing import Any

import pytest

from console import config
from console.telemetry.action import Action
from console.telemetry.attribution import Attribution
from console.telemetry.dialects import read
from console.telemetry.otlp import decode
from console.tripwires.alert import Alert
from console.tripwires.engine import Engine
from console.tripwires.inventory import Entry, Inventory
from console.tripwires.rules import DAY, RULES, SECOND, Rules
from tests.telemetry.otlp_bodies import as_protobuf, span
from tests.tripwires.story import MINUTE, USD, H, act, final, history, play, spend


def sent(at: int, number: int, **attributes: Any) -> list[Action]:
    """What the intake makes of one span."""
    one = span(
        {f"warroom.{name.replace('__', '.')}": value for name, value in attributes.items()},
        span_id=f"{number:016x}",
        end=at,
    )
    spans = decode(as_protobuf([one]), "traces", "protobuf").spans
    return Attribution().actions([(each, read(each)) for each in spans])


@pytest.mark.req("S003-TW-6")
def test_the_data_that_tripwires_need_arrive_and_are_used() -> None:
    """Identity, spend, calls, endpoints, reviews with their duration, inventory: from a wire to the rules."""
    engine = Engine(Rules(), Inventory((Entry(agent="mailer", allow=("mail/*",), owner="kim"),)))
    who = {"agent": "mailer", "tenant": "acme"}
    letter = {"artifact__id": "m1", "artifact__type": "email", "artifact__customer_visible": True}
    verdict = {"review__decision": "approved", "review__reviewer": "ann"}
    actions = [
        *sent(H - 2 * DAY, 1, kind="api", endpoint="GET crm.example /a", cost__nano_usd=USD, **who),
        *sent(H, 2, kind="tool", tool="mail/send", cost__nano_usd=2 * USD, **who),
        *sent(H + 1, 3, kind="tool", tool="shell", **who),
        *sent(H + 2, 4, kind="api", endpoint="POST crm.example /b", **who),
        *sent(
            H + 9 * SECOND,
            5,
            kind="review",
            review__presented_at=H + 4 * SECOND,
            **letter,
            **verdict,
            **who,
        ),
        *sent(H + 10 * SECOND, 6, kind="artifact", **letter, **who),
    ]
    alerts = final([*engine.feed(actions), *engine.finish()])
    (status,) = engine.agents()
    assert (status.tenant, status.agent, status.calls, status.spend) == ("acme", "mailer", 3, 2 * USD)
    assert {(alert.rule, alert.subject, alert.reason) for alert in alerts} == {
        ("authorisation", "shell", "undeclared"),
        ("new-endpoint", "POST crm.example /b", "new"),
        ("outcome", "m1", "too-fast"),
    }
    assert engine.blind == {}


@pytest.mark.req("S003-DET-2")
def test_one_agent_among_many_is_told_by_its_own_past() -> None:
    """Every call is one that the agent may make, and the fleet spends hardly more than on any other day."""
    fleet = [f"agent-{n:02}" for n in range(40)]
    past = sorted((each for name in fleet for each in history(24, 10, agent=name)), key=lambda each: each.at)
    hour = [spend(1 + n, 10, agent=name, tool="crm/search") for n, name in enumerate(fleet)]
    more = [spend(50, 25, agent="agent-07", tool="crm/search")]
    (alert,) = play([*past, *hour, *more], Inventory((Entry(agent="*", allow=("crm/*",)),)))
    assert (alert.rule, alert.agent, alert.value) == ("cost-rate", "agent-07", 35 * USD)


@pytest.mark.req("S003-TW-4")
@pytest.mark.parametrize("artifact", ["email", "document", "ticket"])
@pytest.mark.parametrize(("took", "reason"), [(None, "bypassed"), (29, "too-fast"), (30, "")])
def test_whatever_customers_see_needs_a_review_that_took_its_time(
    artifact: str, took: int | None, reason: str
) -> None:
    out = act(
        H + MINUTE, kind="artifact", artifact="x-1", artifact_type=artifact, customer_visible=True, agent="a"
    )
    decided: dict[str, Any] = {"artifact": "x-1", "decision": "approved", "reviewer": "ann", "agent": "a"}
    reviews = [act(H, kind="review", presented_at=H - took * SECOND, **decided)] if took else []
    alerts = play([*reviews, out])
    assert [(alert.reason, alert.pages, alert.route) for alert in alerts] == (
        [(reason, True, ("operations",))] if reason else []
    )


def one_of_each(rules: Rules) -> dict[str, Alert]:
    """One alert of every rule."""
    inventory = Inventory((Entry(agent="a", allow=("crm/*",), owner="kim"),))
    past = [
        act(each.at + n, cost=USD // 10, endpoint="GET crm.example /a")
        for each in history(24, 1)
        for n in range(10)
    ]
    now = [act(H + n, cost=USD, endpoint="POST crm.example /b") for n in range(100)]
    rest = [
        act(H + MINUTE, kind="tool", tool="shell"),
        act(H + MINUTE, kind="artifact", artifact="m1", customer_visible=True),
    ]
    engine = Engine(rules, inventory)
    return {alert.rule: alert for alert in final([*engine.feed([*past, *now, *rest]), *engine.finish()])}


@pytest.mark.req("X-28")
def test_each_tripwire_pages_its_own_recipients_and_others_are_added_in_the_configuration(
    tmp_path: Path,
) -> None:
    usual = {rule: alert.route for rule, alert in one_of_each(Rules()).items()}
    assert usual == {
        "cost-rate": ("owner:kim",),
        "action-rate": ("owner:kim",),
        "new-endpoint": ("owner:kim",),
        "outcome": ("operations",),
        "authorisation": ("security",),
    }
    assert set(usual) == set(RULES)
    path = tmp_path / "config.toml"
    path.write_text('[routes]\ncost-rate = ["owner", "finance", "platform"]\n')
    alerts = one_of_each(config.rules(config.load(path)))
    assert alerts["cost-rate"].pages
    assert alerts["cost-rate"].route == ("owner:kim", "finance", "platform")
    assert alerts["cost-rate"].sentence.endswith("pages the agent owner kim and finance and platform.")
    assert {rule: alert.route for rule, alert in alerts.items() if rule != "cost-rate"} == {
        rule: route for rule, route in usual.items() if rule != "cost-rate"
    }
