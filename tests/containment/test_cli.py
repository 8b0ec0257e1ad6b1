"""Halts from any shell, against agents that really take orders."""

from __future__ import annotations

import json

import pytest

from data.home import Home
from tests.cli.conftest import Warroom
from tests.containment.conftest import Made
from tests.containment.fleet import Fleet
from tests.screens.stage import facts, watch


@pytest.fixture
def configured(warroom: Warroom) -> Warroom:
    warroom.environment["WARROOM_CONFIG"] = str(warroom.folder / "config.toml")
    return warroom


def configure(warroom: Warroom, fleet: Fleet, more: str = "") -> None:
    """One HTTP point with every agent of a fleet."""
    url = f"http://127.0.0.1:{fleet.port}"
    (warroom.folder / "config.toml").write_text(
        f"""
[[points]]
name = "fleet"
actuator = "http"
targets = {json.dumps(list(fleet.agents))}
{more}
[points.options.stop]
url = "{url}/halt/{{target}}/{{order}}"
effective = true
[points.options.restore]
url = "{url}/restore/{{target}}/{{order}}"
[points.options.probe]
url = "{url}/look/{{target}}"
stopped = {{ contains = "stopped" }}
running = {{ contains = "running" }}
"""
    )


@pytest.mark.req("S003-KS-1")
def test_a_halt_with_no_incident_open_declares_one_and_says_its_verdict(
    configured: Warroom, fleet: Made
) -> None:
    agents = fleet("good", "good")
    configure(configured, agents)
    done = configured("halt", "--yes", "--reason", "refunds in a loop", "--as", "ana")
    assert done.code == 0, done
    assert done.out.startswith("PASS after ")
    assert "2 of 2 held" in done.out
    assert "declared INC-" in done.err
    assert not any(each.running for each in agents.agents.values())
    (incident,) = configured("incidents", "--json").values
    assert incident["title"] == "Halt of all agents"
    assert incident["label"].startswith("SEV-1")
    (order,) = configured("containment", "--json").values
    shown = configured.ok("containment", order["order"][:6]).out
    assert "by ana" in shown
    assert "refunds in a loop" in shown
    assert "fleet/a1: verified" in shown


def test_what_a_halt_declares_is_about_the_alerts_of_what_it_stops(configured: Warroom, fleet: Made) -> None:
    configure(configured, fleet("good"))
    watch(Home.open(configured.home), facts(1, agent="a0", pages=True), facts(2, agent="other"))
    assert configured("halt", "agent", "a0", "--yes").code == 0
    linked = {each["agent"]: each["state"] for each in configured("alerts", "--json").values}
    assert linked == {"a0": "acknowledged", "other": "firing"}
    assert "a0" in configured.ok("show", "--json").out


def test_what_is_open_is_named_answered_and_let_go_on(configured: Warroom, fleet: Made) -> None:
    agents = fleet("good", "forbids")
    configure(configured, agents)
    configured.quick("declare", "refunds in a loop")
    refused = configured.within("halt", "agent", "a1", "--reason", "it pays twice")
    assert (refused.code, agents.log) == (3, []), "without a terminal it is said with --yes"
    dry = configured.quick("halt", "--dry-run")
    assert f"http://127.0.0.1:{agents.port}/halt/a1/" in dry.out
    assert agents.log == []
    done = configured.within("halt", "agent", "a0", "--yes", "--reason", "it pays twice", "--json")
    assert done.code == 0, done
    (first,) = done.values
    assert (first["verdict"], first["scope"], first["subject"]) == ("pass", "agent", "a0")
    assert agents.agents["a1"].running

    back = configured.within("restore", first["order"], "--reason", "it was another one", "--yes")
    assert back.code == 0, back
    assert agents.agents["a0"].running
    assert configured.within("restore", first["order"], "--reason", "again", "--yes").code == 3

    unknown = configured.within("halt", "agent", "--yes")
    assert "Which agent?" in unknown.err
    assert configured.within("halt", "all", "a0", "--yes").code == 3
    assert configured.within("move", "disable_mcp_srever", "crm", "--yes").code == 3
    moves = configured.quick("move").out
    assert "halt_all" in moves
    assert "by hand" in moves


def test_a_fail_is_an_exit_code_and_an_answer_closes_it(
    configured: Warroom, fleet: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    from console.containment import ordering

    order_ = ordering.Containing.order

    def hurried(*args: object, **more: object) -> object:
        return order_(*args, **more, budget=2)  # type: ignore[arg-type]

    monkeypatch.setattr(ordering.Containing, "order", hurried)
    agents = fleet("forbids")
    configure(configured, agents)
    done = configured.within("halt", "--yes", "--reason", "refunds in a loop")
    assert done.code == 1, done
    assert "FAIL after" in done.out
    assert "fleet/a0: REFUSED" in done.out
    assert configured.within("containment").code == 1
    (order,) = configured.within("containment", "--json").values
    configured.quick(
        "containment", order["order"], "--answer", "fleet/a0", "--how", "its host is off", "--evidence", "no ping"
    )  # fmt: skip
    assert configured.within("containment").code == 0
    assert "its host is off (no ping)" in configured.quick("containment", order["order"]).out


def test_a_halt_goes_out_where_nothing_can_be_written(configured: Warroom, fleet: Made) -> None:
    agents = fleet("good")
    configure(configured, agents)
    configured.home.write_text("no directory")
    done = configured.within("halt", "--yes", "--reason", "refunds in a loop")
    assert done.code == 4, done
    assert "PASS" in done.out
    assert "no record" in done.err
    assert not agents.agents["a0"].running
