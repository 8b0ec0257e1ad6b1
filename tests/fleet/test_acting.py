"""A small fleet that really acts in all seven classes, and whose telemetry warroom takes in."""

import json
from typing import Any

import pytest

from console.fleet import http
from tests.fleet.conftest import Fleet, Start, until


def effects(fleet: Fleet, **fields: Any) -> list[dict[str, Any]]:
    return [
        each
        for each in fleet.actions()
        if each.get("action_class") and all(each.get(name) == value for name, value in fields.items())
    ]


@pytest.mark.req("S003-RB-0", "S003-DR-2")
def test_five_agents_act_in_all_seven_classes_and_all_of_it_can_be_undone(start: Start) -> None:
    fleet = start("--agents", "5", "--rate", "8")

    def by_class() -> dict[int, dict[str, Any]]:
        return {each["action_class"]: each for each in effects(fleet, side_effect="done")}

    until(lambda: len(by_class()) == 7)
    for number, action in sorted(by_class().items()):
        assert {"agent", "tenant", "tool", "endpoint", "principal", "idempotency_key"} <= action.keys()
        assert ("approval" in action) == (number in (2, 6))
        id = action["id"]
        assert fleet.get(f"/effects/{number}/{id}")["state"] == "standing"
        if number % 2:
            done = fleet.warroom.within("fleet", "undo", str(number), id, "--dir", str(fleet.root))
            assert done.code == 0, done
        else:
            fleet.post(f"/effects/{number}/{id}/undo")
        left = fleet.get(f"/effects/{number}/{id}")
        assert left["state"] == ("substituted" if number == 3 else "undone")
    document = by_class()[4]["id"]
    fleet.post(f"/effects/4/{document}/undo")
    with pytest.raises(http.Refusal) as gone:
        fleet.get(f"/public/{document}")
    assert gone.value.status == 410


def test_what_the_tools_counted_is_what_the_systems_hold_and_what_was_told(start: Start) -> None:
    fleet = start("--agents", "4", "--rate", "8")
    until(lambda: len(effects(fleet, side_effect="done")) > 30)
    fleet.end()
    told = effects(fleet)
    assert len({each["id"] for each in told}) == len(told)
    for each in told:
        checked = fleet.warroom.within(
            "fleet", "check", str(each["action_class"]), each["id"], "--dir", str(fleet.root), "--json"
        )
        state = json.loads(checked.out)["state"]
        assert (each["side_effect"], state) in {
            ("done", "standing"),
            ("unknown", "standing"),
            ("unknown", "absent"),
        }


def test_warroom_takes_the_telemetry_in_and_finds_nothing_wrong_with_a_fleet_at_rest(start: Start) -> None:
    fleet = start("--agents", "7", "--rate", "5")
    until(lambda: len(fleet.actions()) > 200)
    fleet.end()
    environment = {"WARROOM_CONFIG": str(fleet.root / "config.toml")}
    done = fleet.warroom.within(
        "watch", "--jsonl", str(fleet.root / "actions.jsonl"), "--until-end", "--json", more=environment
    )
    assert done.code == 0, done
    assert done.values == []
    assert "0 alerts; 0 records refused, 0 duplicates" in done.err


def test_an_agent_that_runs_away_trips_every_wire(start: Start) -> None:
    # Seed 9 lets a `refunds` agent run away, which mails customers.
    fleet = start("--agents", "7", "--rate", "0.001", "--rogue", "1", "--rogue-after", "0", "--seed", "9")
    rogue = next(each for each in fleet.agents if each["rogue"])
    assert 3 in rogue["classes"]

    def mails() -> bool:
        return any(each.get("artifact_type") == "email" for each in fleet.actions())

    until(lambda: len(fleet.actions()) > 120 and mails())
    fleet.end()
    # Time goes on: a review may be late for a minute.
    later = fleet.actions()[-1] | {
        "at": fleet.actions()[-1]["at"] + 120 * 10**9,
        "id": "later",
        "kind": "run",
    }
    with (fleet.root / "actions.jsonl").open("a") as file:
        file.write(json.dumps(later) + "\n")
    environment = {"WARROOM_CONFIG": str(fleet.root / "config.toml")}
    done = fleet.warroom.within(
        "watch", "--jsonl", str(fleet.root / "actions.jsonl"), "--until-end", "--json", more=environment
    )
    rules = {alert["rule"] for alert in done.values}
    assert rules == {"cost-rate", "action-rate", "new-endpoint", "outcome", "authorisation"}
    assert {alert["agent"] for alert in done.values} == {rogue["name"]}


@pytest.mark.req("S003-KS-8")
def test_payments_that_wait_are_held_released_and_dropped(start: Start) -> None:
    fleet = start("--agents", "5", "--rate", "10", "--queue-wait", "2")
    assert fleet.post("/queue/hold")["held"]
    until(lambda: fleet.get("/queue")["count"] > 2)
    pending = fleet.get("/queue")["pending"]
    first, second, third = (each["id"] for each in pending[:3])
    assert pending[0]["what"].startswith("pay ")
    assert fleet.get(f"/effects/2/{first}")["state"] == "absent"
    for _ in range(2):
        assert fleet.post(f"/queue/{first}/release")["fate"] == "carried out"
        assert fleet.post(f"/queue/{second}/drop")["fate"] == "dropped"
    with pytest.raises(http.Refusal) as decided:
        fleet.post(f"/queue/{second}/release")
    assert decided.value.status == 409
    assert fleet.get(f"/effects/2/{first}")["state"] == "standing"
    assert fleet.get(f"/effects/2/{second}")["state"] == "absent"
    assert len(effects(fleet, id=first, side_effect="done")) == 1
    assert not fleet.post("/queue/open")["held"]
    until(lambda: fleet.get(f"/effects/2/{third}")["state"] == "standing")
    assert fleet.get(f"/effects/2/{second}")["state"] == "absent", "what was dropped never happens"
