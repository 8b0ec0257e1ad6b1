"""Queues of real systems: an HTTP API and programs, from the configuration to what was carried out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.containment.actuator import Call, Declined, Unreachable
from console.containment.actuators.registry import make
from console.containment.review import Queue
from console.events import HeldAction
from tests.cli.conftest import Warroom
from tests.moves.gateway import Gateway


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway()
    made.held = {
        f"p{n}": {"id": f"p{n}", "summary": "pay", "amount": n * 10, "by": "refunds", "tool": "pay.refund"}
        for n in (1, 2, 3)
    }
    yield made
    made.close()


def options(gateway: Gateway, **fields: object) -> dict[str, object]:
    url = gateway.url
    return {
        "stop": {"url": f"{url}/stop/{{target}}"},
        "list": {"url": f"{url}/held"},
        "release": {"url": f"{url}/held/{{target}}/release"},
        "drop": {"url": f"{url}/held/{{target}}/drop"},
        "fields": {"items": "items", "what": ["summary", "amount"], "agent": "by"} | fields,
    }


def queue(given: dict[str, object], place: Path, kind: str = "http-queue") -> Queue:
    made = make(kind, given, secrets={}, config_dir=place)
    assert isinstance(made, Queue)
    return made


CALL = Call("0123456789abcdef", "quarantine_actions", "payouts")


@pytest.mark.req("S003-KS-8")
async def test_what_waits_behind_an_api_is_read_field_by_field(gateway: Gateway, tmp_path: Path) -> None:
    held = await queue(options(gateway), tmp_path).queued(CALL)
    assert held[0] == HeldAction("p1", "pay 10", "refunds", "pay.refund")
    assert [each.id for each in held] == ["p1", "p2", "p3"]


@pytest.mark.req("S003-KS-8", "X-8")
async def test_a_decision_under_the_same_key_is_carried_out_once(gateway: Gateway, tmp_path: Path) -> None:
    made = queue(options(gateway), tmp_path)
    gateway.loses = {"p1"}
    with pytest.raises(Unreachable):
        await made.decide(CALL, "p1", "release")
    await made.decide(CALL, "p1", "release")
    assert gateway.paid == ["p1"]
    with pytest.raises(Declined, match="404"):
        await made.decide(CALL, "p9", "drop")


async def test_what_is_no_list_and_an_action_without_a_name_are_said(
    gateway: Gateway, tmp_path: Path
) -> None:
    with pytest.raises(Declined, match="has no list at things"):
        await queue(options(gateway, items="things"), tmp_path).queued(CALL)
    for wrong in ("", "x" * 129, "a\nb", None):
        gateway.held["p2"]["id"] = wrong
        with pytest.raises(Declined, match="One of 3 held actions has no usable id"):
            await queue(options(gateway), tmp_path).queued(CALL)


async def test_an_id_never_leads_elsewhere(gateway: Gateway, tmp_path: Path) -> None:
    made = queue(options(gateway), tmp_path)
    gateway.held["../../stop/mail"] = {"id": "x"}
    with pytest.raises(Declined, match="cannot be a part of an address"):
        await made.decide(CALL, "../../stop/mail", "release")
    assert not [each for each in gateway.asked if "mail" in each]


PROGRAM = """
import json, pathlib, sys
place = pathlib.Path({place!r})
held = json.loads(place.read_text())
match sys.argv[1:]:
    case ["list", "tickets"]:
        print(json.dumps(held["waiting"]))
    case [("release" | "drop") as word, "tickets", id, key]:
        if key not in held["keys"]:
            held["keys"].append(key)
            held["waiting"] = [each for each in held["waiting"] if each["id"] != id]
            held[word].append(id)
            place.write_text(json.dumps(held))
    case _:
        sys.exit("no such ticket")
"""


@pytest.mark.req("S003-KS-8")
async def test_programs_list_and_decide_too(tmp_path: Path) -> None:
    state, program = tmp_path / "state", tmp_path / "program"
    waiting = [{"id": "t1", "what": "close the account"}, {"id": "t2", "what": "send \u001b[2J"}]
    state.write_text(json.dumps({"waiting": waiting, "keys": [], "release": [], "drop": []}))
    program.write_text(PROGRAM.format(place=str(state)))
    run = [sys.executable, str(program)]
    made = queue(
        {
            "stop": [*run, "hold", "{target}"],
            "list": [*run, "list", "{target}"],
            "release": [*run, "release", "{workflow}", "{target}", "{order}"],
            "drop": [*run, "drop", "{workflow}", "{target}", "{order}"],
        },
        tmp_path,
        "command-queue",
    )
    call = Call("0123456789abcdef", "quarantine_actions", "tickets", timeout=10)
    assert [(each.id, each.what) for each in await made.queued(call)] == [
        ("t1", "close the account"),
        ("t2", "send \x1b[2J"),
    ]
    for _ in range(2):
        await made.decide(call, "t1", "drop")
    assert json.loads(state.read_text())["drop"] == ["t1"]
    with pytest.raises(Declined, match="no such ticket"):
        await made.queued(Call("0123456789abcdef", "quarantine_actions", "else", timeout=10))


@pytest.mark.req("S003-KS-8", "X-8")
def test_from_the_shell_held_actions_are_listed_and_decided(warroom: Warroom, gateway: Gateway) -> None:
    url = gateway.url
    config = warroom.folder / "config" / "warroom" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(
        f"""
[[points]]
name = "approvals"
actuator = "http-queue"
kind = "queue"
targets = ["payouts"]
[points.options.fields]
items = "items"
what = ["summary", "amount"]
agent = "by"
[points.options.stop]
url = "{url}/stop/{{target}}"
[points.options.list]
url = "{url}/held"
[points.options.release]
url = "{url}/held/{{target}}/release"
[points.options.drop]
url = "{url}/held/{{target}}/drop"
"""
    )
    warroom.quick("declare", "refunds in a loop", "--as", "ana")
    gateway.held["p3"]["summary"] = "pay \x1b[2J all"
    shown = warroom.within("quarantine")
    assert shown.code == 0, shown
    assert "payouts/p1  held: pay 10 by refunds (pay.refund)" in shown.out
    assert "\x1b" not in shown.out
    assert warroom.within("quarantine", "release", "p1").code == 3
    assert gateway.paid == []
    done = warroom.within("quarantine", "release", "p1", "--reason", "the customer is right", "--as", "ben")
    assert (done.code, gateway.paid) == (0, ["p1"]), done
    assert "payouts/p1  released" in done.out
    assert "ben decided to release at" in done.out
    rest = warroom.within("quarantine", "drop", "--agent", "refunds", "--reason", "a loop made them")
    assert (rest.code, sorted(gateway.thrown)) == (0, ["p2", "p3"]), rest
    again = warroom.within("quarantine", "drop", "p2", "--reason", "x")
    assert (again.code, "is dropped by" in again.err) == (3, True)
    gateway.held["p4"] = {"id": "p4", "summary": "pay", "by": "mail"}
    values = warroom.quick("quarantine", "--json").values
    assert [(each["id"], each["state"], each["agent"]) for each in values] == [("payouts/p4", "held", "mail")]
    gateway.silent = True
    silent = warroom.within("quarantine")
    assert (silent.code, "payouts/p4" in silent.out, "was not asked" in silent.err) == (1, True, True)
    timeline = warroom.quick("log").out
    assert "decided to release p1 of payouts: the customer is right" in timeline
    assert "held actions of payouts: 2 dropped" in timeline
    report = warroom.quick("export").out
    assert "## Held actions" in report
    assert "release by ben: the customer is right" in report
