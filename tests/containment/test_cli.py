"""Halts from any shell, against agents that really take orders."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Warroom
from tests.containment.conftest import Made
from tests.containment.fleet import Fleet


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
