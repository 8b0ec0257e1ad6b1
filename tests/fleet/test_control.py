"""Halting agents, on good days and on bad ones."""

import json
import threading
import time
from functools import partial

import pytest

from console.fleet import http
from tests.fleet.conftest import Fleet, Start, until


@pytest.fixture
def bad_day(start: Start) -> Fleet:
    kinds = ("hang", "refuse", "lie", "slow", "revive", "late", "deaf")
    fleet = start("--agents", "9", "--rate", "5", *(word for kind in kinds for word in (f"--{kind}", "1")))
    until(lambda: sum(each["calls"] > 0 for each in fleet.get("/agents")["agents"].values()) >= 8)
    return fleet


def sees(fleet: Fleet, agent: str, wanted: str) -> bool:
    return fleet.seen(agent) == wanted


def really_stopped(fleet: Fleet, agent: str) -> bool:
    before = fleet.calls(agent)
    time.sleep(1.0)  # five intervals of an agent: that nothing happens can only be seen by waiting
    return fleet.calls(agent) == before


@pytest.mark.req("S003-KS-1", "S003-KS-2", "S003-KS-6")
def test_agents_stop_lie_refuse_hang_come_back_and_come_late(bad_day: Fleet) -> None:
    fleet = bad_day
    good, liar, slow, back = (fleet.named(kind) for kind in ("obey", "lie", "slow", "revive"))
    late = fleet.named("late")
    assert late not in (fleet.root / "agents.targets").read_text()
    assert fleet.seen(good, "0") == "running"

    begun = time.monotonic()
    answered: list[float] = []

    def halt_slow() -> None:
        assert fleet.halt(slow)["state"] == "halted"
        answered.append(time.monotonic() - begun)

    waiting = threading.Thread(target=halt_slow)
    waiting.start()
    for agent in (good, liar, back):
        assert fleet.halt(agent)["state"] == "halted", "what it says"
    with pytest.raises(http.Refusal) as refused:
        fleet.halt(fleet.named("refuse"))
    assert refused.value.status == 403
    with pytest.raises(http.Refusal) as deaf:
        fleet.halt(fleet.named("deaf"))
    assert deaf.value.status == 504
    with pytest.raises(OSError, match="timed out"):
        fleet.halt(fleet.named("hang"), timeout=0.3)

    until(lambda: fleet.seen(good) == "stopped")
    until(lambda: fleet.seen(slow) == "stopped")
    assert really_stopped(fleet, good)
    for agent in map(fleet.named, ("lie", "refuse", "hang", "deaf")):
        until(partial(sees, fleet, agent, "running"))
    assert fleet.get(f"/agents/{liar}/state")["state"] == "halted", "it goes on saying so"
    until(lambda: fleet.seen(back) == "running")
    until(lambda: late in (fleet.root / "agents.targets").read_text())
    until(lambda: fleet.seen(late) == "running")
    fleet.halt(late)
    until(lambda: fleet.seen(late) == "stopped")
    waiting.join()
    assert answered[0] >= 3
    assert fleet.seen(good) == "stopped"

    fleet.post(f"/agents/{good}/resume", {"order": "00000000000000bb"})
    until(lambda: fleet.seen(good, "00000000000000bb") == "running")


def test_who_shows_no_token_or_an_old_epoch_changes_nothing(start: Start) -> None:
    fleet = start("--agents", "1", "--rate", "5")
    (agent,) = (each["name"] for each in fleet.agents)
    for path in (
        f"/agents/{agent}/halt",
        "/tools/mail%2Fsend/halt",
        "/queue/hold",
        "/effects/1/a-001.1.1/undo",
    ):
        with pytest.raises(http.Refusal) as stranger:
            http.call(fleet.host, fleet.port, "POST", path, {}, token="wrong")
        assert stranger.value.status == 401
    assert fleet.halt(agent, order="aa", epoch=7) == {
        "agent": agent,
        "state": "halted",
        "order": "aa",
        "epoch": 7,
    }
    with pytest.raises(http.Refusal) as late:
        fleet.post(f"/agents/{agent}/resume", {"order": "00", "epoch": 6})
    assert late.value.status == 409
    assert fleet.get(f"/agents/{agent}/state")["state"] == "halted"
    assert fleet.post(f"/agents/{agent}/resume", {"order": "bb", "epoch": 8})["state"] == "running"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/agents/nobody-001/state", 404),
        ("GET", "/effects/8/billing-001.1.1", 404),
        ("GET", "/effects/1/..%2F..%2Fetc", 400),
        ("GET", "/public/..%2Ftoken", 400),
        ("POST", "/queue", 400),
        ("POST", "/payments", 400),
        ("POST", "/nowhere", 404),
    ],
)
def test_nonsense_is_refused(small: Fleet, method: str, path: str, status: int) -> None:
    with pytest.raises(http.Refusal) as refused:
        http.call(small.host, small.port, method, path, {"agent": 1}, token=small.token)
    assert refused.value.status == status


@pytest.fixture
def small(start: Start) -> Fleet:
    return start("--agents", "1")


@pytest.mark.req("S003-KS-7")
def test_a_halted_tool_is_refused_to_every_agent_and_others_go_on(start: Start) -> None:
    fleet = start("--agents", "4", "--rate", "8", "--lie", "2")

    def searches() -> int:
        return int(fleet.get("/tools/memory%2Fsearch")["calls"])

    assert fleet.post("/tools/orders%2Fwrite/halt")["observed"] == "stopped"
    before = searches()
    until(lambda: searches() > before + 2)  # whoever was in a call is out of it
    calls = fleet.get("/tools/orders%2Fwrite")["calls"]
    until(lambda: searches() > before + 8)
    assert fleet.get("/tools/orders%2Fwrite") == {
        "tool": "orders/write",
        "observed": "stopped",
        "calls": calls,
    }
    fleet.post("/tools/orders%2Fwrite/resume")
    until(lambda: fleet.get("/tools/orders%2Fwrite")["calls"] > calls)


def test_with_ports_each_agent_answers_at_its_own(start: Start) -> None:
    fleet = start("--agents", "3", "--rate", "5", "--ports", "--deaf", "1")
    lines = [line.split() for line in (fleet.root / "agents.targets").read_text().splitlines()]
    assert {agent for _, agent in lines} == {
        each["name"] for each in fleet.agents if each["behaviour"] != "deaf"
    }
    for address, agent in lines:
        host, port = address.split(":")
        answer = http.call(host, int(port), "POST", "/halt", {"order": "aa"}, token=fleet.token)
        assert (answer["agent"], answer["state"]) == (agent, "halted")
        until(partial(sees, fleet, agent, "stopped"))
    assert json.loads((fleet.root / "ports.json").read_text()).keys() == {agent for _, agent in lines}
