"""An incident of a real fleet, from the alert to the verified rollback of all seven classes, as people run it."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.fleet.configuration import CLASSES
from tests.cli.conftest import Done, Warroom
from tests.fleet.conftest import Fleet, Start, until


def values(done: Done) -> list[dict[str, Any]]:
    assert done.code == 0, done
    return done.values


class Console:
    """Commands with the configuration that comes with the fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.more = {"WARROOM_CONFIG": str(fleet.root / "config.toml")}

    def __call__(self, *words: str) -> Done:
        return self.fleet.warroom.within(*words, more=self.more)

    def alone(self, *words: str) -> Done:
        """Run it in a process of its own: some leave one behind that captures evidence."""
        return self.fleet.warroom(*words, more=self.more)

    def values(self, *words: str) -> list[dict[str, Any]]:
        return values(self(*words, "--json"))

    def ok(self, *words: str) -> str:
        done = self(*words)
        assert done.code == 0, done
        return done.out


@pytest.fixture
def warden(tmp_path: Path) -> Iterator[Path]:
    """A warden in a process of its own, with leases of 3 s; its directory."""
    place, config = tmp_path / "warden", tmp_path / "warden.toml"
    config.write_text(f'[warden]\ndirectory = "{place}"\nport = 0\nlease = "3 s"\n')
    warroom = Warroom(tmp_path)
    process = subprocess.Popen(
        [*warroom.command, "warden", "run"],
        env={**warroom.environment, "WARROOM_CONFIG": str(config)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: process.poll() is not None or (place / "address").exists())
        assert process.poll() is None, process.communicate()
        yield place
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.mark.req("S003-KS-1", "S003-KS-5", "S003-KS-2")
def test_a_halt_holds_those_whom_nobody_reaches_and_names_those_that_lie(start: Start, warden: Path) -> None:
    fleet = start(
        "--agents", "20", "--rate", "2", "--warden", str(warden), "--lie", "2", "--deaf", "2", "--hang", "1"
    )  # fmt: skip
    console = Console(fleet)
    assert console("config", "check").code == 0
    # Everybody acts, so that everybody has a lease.
    until(lambda: all(each["calls"] for each in fleet.get("/agents")["agents"].values()))
    halted = console.alone("halt", "all", "--yes", "--reason", "refunds in a loop", "--json")
    assert halted.code == 1, "two agents go on: that is no PASS"
    order = halted.values[-1]
    assert (order["verdict"], order["scope"]) == ("fail", "all")
    assert order["ms"] <= 30_500, "the verdict is there at 30 s, whatever is open"
    behaviour = {each["name"]: each["behaviour"] for each in fleet.agents}
    points = {each["agent"]: each for each in order["targets"] if each["target"].startswith("agents/")}
    assert points.keys() == behaviour.keys()
    for agent, target in points.items():
        match behaviour[agent]:
            case "lie":
                assert target["state"] == "leaking"
                assert target["open"]
            case "deaf" | "hang":
                assert {"unreachable", "lease_expired"} <= target["times"].keys()
                assert target["times"]["lease_expired"] < 10_000
                assert target["state"] in ("lease_expired", "verified")
            case _:
                assert target["state"] == "verified", target
    receipt = console.ok("containment", order["order"])
    liars = [agent for agent, how in behaviour.items() if how == "lie"]
    assert all(f"! agents/{agent}: LEAKING" in receipt for agent in liars)
    assert "FAIL after" in receipt
    calls = {agent: fleet.calls(agent) for agent in behaviour}
    until(lambda: all(fleet.calls(agent) > calls[agent] for agent in liars))
    moved = {agent for agent, count in calls.items() if fleet.calls(agent) > count}
    assert moved == set(liars), "everybody else stands still"

    one = next(agent for agent, how in behaviour.items() if how == "obey")
    only = ("--only", f"agents/{one}")
    assert console("restore", order["order"], *only, "--yes", "--reason", "it is not in the loop").code == 0
    until(lambda: fleet.calls(one) > calls[one])


@pytest.mark.req("S003-DR-2")
def test_a_drill_stops_its_own_fleet(start: Start) -> None:
    fleet = start("--agents", "4", "--rate", "4", "--drill")
    until(lambda: all(each["calls"] for each in fleet.get("/agents")["agents"].values()))
    # No configuration is named: a drill has the one in its home.
    halted = fleet.warroom("--home", str(fleet.root), "halt", "all", "--yes", "--reason", "a drill", "--json")
    assert halted.code == 0, halted
    assert "DRILL - not a real incident" in halted.err
    assert {each["agent"] for each in halted.values[-1]["targets"] if each["agent"]} == {
        each["name"] for each in fleet.agents
    }
    assert {each["state"] for each in fleet.get("/agents")["agents"].values()} == {"halted"}


@pytest.mark.req("S003-KS-8")
def test_payments_that_wait_are_decided_one_by_one(start: Start) -> None:
    fleet = start("--agents", "5", "--rate", "8", "--drill")
    console = Console(fleet)

    def decide(*words: str) -> Done:
        return fleet.warroom("--home", str(fleet.root), *words)

    until(lambda: fleet.get("/queue")["count"] > 1)
    assert decide("halt", "queue", "payments", "--yes", "--reason", "who asked for these?").code == 0
    assert fleet.get("/queue")["held"]
    first, second = (each["id"] for each in fleet.get("/queue")["pending"][:2])
    listed = decide("quarantine")
    assert first in listed.out
    assert "USD to" in listed.out
    assert decide("quarantine", "release", first, "--reason", "the customer is right").code == 0
    assert decide("quarantine", "drop", second, "--reason", "nobody knows this customer").code == 0
    assert fleet.get(f"/effects/2/{first}")["state"] == "standing"
    assert decide("quarantine", "release", second, "--reason", "or do they?").code == 3
    assert console("fleet", "check", "2", second, "--dir", str(fleet.root)).out.count("absent") == 1


@pytest.fixture
def incident(start: Start) -> Iterator[Console]:
    """A fleet of which `refunds-005` runs away (seed 9), halted and contained in an incident about its alert."""
    fleet = start("--agents", "7", "--rate", "1", "--rogue", "1", "--rogue-after", "5", "--seed", "9")
    console = Console(fleet)
    watcher = subprocess.Popen(
        [*fleet.warroom.command, "watch"],
        env={**fleet.warroom.environment, **console.more},
        stderr=subprocess.DEVNULL,
    )
    try:
        until((fleet.warroom.home / "home.json").exists)
        alert = until(lambda: next(iter(console.values("alerts")), None))
        assert alert["agent"] == "refunds-005"
        until(lambda: {each.get("action_class") for each in done_by(fleet)} >= set(CLASSES))
        assert console.alone("declare", "an agent runs away", "--alert", alert["id"]).code == 0
        assert console.alone("halt", "all", "--yes", "--reason", "payouts that nobody declared").code == 0
        console.ok("contain", "every agent was seen standing still")
        told = len(fleet.actions())
        until(lambda: watched(fleet) >= told)
        yield console
    finally:
        watcher.terminate()
        watcher.wait(30)


@pytest.mark.req("S003-RB-0", "S003-RB-00", "S003-KS-9", "S003-DR-2")
def test_from_the_alert_to_the_verified_rollback_of_all_seven_classes(incident: Console) -> None:
    console, fleet = incident, incident.fleet
    console.ok("effects", "draft")
    for agent in fleet.agents:
        if agent["name"] != "refunds-005":
            tenant = ("--tenant", agent["tenant"])
            console.ok(
                "effects", "extend", "it took orders from the other", "--agent", agent["name"], *tenant
            )
    console.ok("effects", "draft")
    drafted = console.values("effects", "list", "--all")
    told = {each["id"] for each in done_by(fleet)}
    assert {each["key"] for each in drafted} >= told, "the ledger has every effect that took place"

    for row in (each for each in drafted if each["unclear"]):
        happened = console("fleet", "check", "2", row["key"], "--dir", str(fleet.root), "--json").values[0]
        word = "no" if happened["state"] == "absent" else "yes"
        console.ok(
            "effects", "reconcile", word, row["effect"], "--how", f"the payment service: {happened['note']}"
        )
    for name in CLASSES.values():
        if name != "customer-messages":
            console.ok("effects", "reverse", "--all", "--class", name, "--for-real", "--confirm", name)
    mails = console.values("effects", "list", "--all", "--class", "customer-messages")
    for row in mails:
        console.ok("fleet", "undo", "3", row["key"], "--dir", str(fleet.root))
    instead = ("--instead", "a follow-up mail to each reader")
    console.ok("effects", "move", "substituted", "--all", "--class", "customer-messages", *instead)
    for name in CLASSES.values():
        console.ok("effects", "verify", "--all", "--class", name)

    for state in console.values("effects", "classes"):
        assert (state["class"], state["state"]) == (state["class"], "verified")
    for row in console.values("effects", "list", "--all"):
        number = next(number for number, name in CLASSES.items() if name == row["class"])
        left = fleet.get(f"/effects/{number}/{row['key']}")["state"]
        assert left in ("undone", "substituted", "absent"), row
    audits = {each["class"]: each for each in console.values("effects", "audit")}
    assert {name for name, each in audits.items() if each["state"] == "open"} == {
        "code",
        "access",
        "knowledge",
    }
    for name, audit in audits.items():
        console.ok(
            "effects", "audit", "close", name, audit["audit"], "--evidence", "what `fleet check` names"
        )
    report = console.ok("export")
    assert "refunds-005" in report


def done_by(fleet: Fleet) -> list[dict[str, Any]]:
    return [each for each in fleet.actions() if each.get("action_class") and each["side_effect"] == "done"]


def watched(fleet: Fleet) -> int:
    """How many lines the watcher has taken in."""
    try:
        senders = json.loads((fleet.warroom.home / "watch" / "intake.json").read_text())["senders"]
    except (OSError, ValueError):
        return 0
    return sum(int(each["accepted"]) for each in senders)
