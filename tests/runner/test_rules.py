"""What is in the way of a step, and who can instead."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any, get_args

import pytest

import console.runner
from console import events as ev
from console.cli.play import NEXT
from console.refusal import Refused
from console.room import Room
from console.runner.player import Player, Settings
from console.runner.refusal import Code, Hindered, Refusal
from screens.reading_playbook import KEYS
from tests.runner.conftest import book, command, shell, step
from tests.runner.test_run import standing


def codes(player: Player, name: str, **asked: Any) -> list[str]:
    """What is in the way of a step, for programs."""
    return [each.code for each in player.hindrances(*player.step(name), **asked)]


def one(player: Player, name: str, code: str) -> Refusal:
    (found,) = (each for each in player.hindrances(*player.step(name)) if each.code == code)
    return found


async def as_(room: Room, person: str) -> None:
    """Somebody else sits down at the console."""
    room.actor = person


@pytest.mark.req("S000-AR-2", "X-12")
async def test_recovery_in_the_worst_incident_waits_for_a_person_and_containing_does_not(
    player: Player, room: Room
) -> None:
    await player.open(book(command("stop", "true"), recovery=[command("restore", "true")]))
    assert codes(player, "restore") == []
    await room.set_severity(1, "SEV-1")
    assert codes(player, "stop") == [], "one person stops it"
    refusal = one(player, "restore", "approval")
    assert "SEV-1" in refusal.what
    assert "ana (ic) can" in refusal.instead
    assert codes(player, "restore", real=False) == [], "rehearsing needs no approval"
    await player.approve("restore")
    assert codes(player, "restore") == []
    assert (await player.run("restore", real=True)).outcome == "done"
    await player.mark("restore", "open")
    assert codes(player, "restore") == ["approval"], "an approval is for one run"


@pytest.mark.req("X-12", "X-13")
async def test_an_approval_is_by_role_and_for_exactly_what_runs(player: Player, room: Room) -> None:
    values = ({"name": "who", "ask": "Who?"},)
    await player.open(
        book(command("purge", "echo", "{who}", approval=[1, 2], approvers=["security"]), values=values)
    )
    await room.assign("security", "ana")
    with pytest.raises(Refused, match="not filled in"):
        await player.approve("purge")
    await room.release("security", "ana")
    await player.fill("who", "acme")
    with pytest.raises(Refused, match="which ana is not"):
        await player.approve("purge")
    assert one(player, "purge", "approval").vacant == "security"
    await room.assign("security", "ben")
    assert one(player, "purge", "approval").instead == "ben (security) can."
    assert one(player, "purge", "approval").vacant == ""
    await as_(room, "ben")
    await player.approve("purge")
    assert codes(player, "purge") == []
    await player.fill("who", "globex")
    assert "other values" in one(player, "purge", "approval").what
    await player.fill("who", "acme")
    assert codes(player, "purge") == []
    await room.undo()
    await room.undo()
    await room.undo()
    assert codes(player, "purge") == ["approval"], "an approval can be taken back until it runs"
    await room.set_severity(3, "SEV-3")
    assert codes(player, "purge") == [], "the document asks for it at 1 and 2 only"


@pytest.mark.req("X-12")
async def test_two_persons_for_recovery_where_the_team_wants_it_and_never_to_stop(
    player: Player, room: Room
) -> None:
    player.settings = Settings(two_persons=True)
    both: dict[str, Any] = {"approval": [1], "approvers": ["ic"]}
    await player.open(book(command("stop", "true", **both), recovery=[command("restore", "true", **both)]))
    await room.set_severity(1, "SEV-1")
    await player.approve("stop")
    await player.approve("restore")
    assert codes(player, "stop") == []
    assert "two persons" in one(player, "restore", "approval").what
    await as_(room, "ben")
    await room.assign("ops", "ben")
    assert codes(player, "restore") == []


@pytest.mark.req("X-17", "S002-SN-13", "S002-SN-11")
async def test_evidence_is_kept_before_it_is_destroyed_or_that_is_waived_with_a_reason(
    player: Player, room: Room
) -> None:
    purge = command("purge", "true", destroys_evidence=True, snapshot="copy")
    await player.open(book(command("copy", "echo", "tasks"), purge))
    assert codes(player, "purge") == ["snapshot", "confirm"]
    with pytest.raises(Refused, match="destroys evidence, and copy has not kept a copy"):
        await player.mark("purge", "done")
    await player.run("copy")
    assert codes(player, "purge") == ["snapshot", "confirm"], "a dry run keeps nothing"
    with pytest.raises(Refused, match="reason"):
        await player.mark("copy", "waived")
    await player.mark("copy", "not_applicable", "there is no queue")
    assert codes(player, "purge") == ["snapshot", "confirm"], "then nothing is there to destroy either"
    await player.mark("copy", "waived", "the queue holds no customer data")
    assert codes(player, "purge") == ["confirm"]
    await player.mark("copy", "open")
    await player.run("copy", real=True)
    assert codes(player, "purge") == ["confirm"]
    with pytest.raises(Hindered, match="purge destroys something for good"):
        await player.run("purge", real=True, confirm="yes")
    assert (await player.run("purge", real=True, confirm="purge")).outcome == "done"


@pytest.mark.req("X-18")
async def test_a_change_freeze_lets_the_incidents_own_change_through(player: Player, room: Room) -> None:
    await player.open(
        book(
            command("undo", "true", freeze_exempt=True),
            command("scale", "true"),
            command("look", "true", reach="nothing"),
            triage=[command("logs", "true")],
        )
    )
    freeze = await player.freeze("outage")
    assert codes(player, "undo") == []
    assert codes(player, "look") == []
    assert codes(player, "logs") == []
    assert room.code in one(player, "scale", "freeze").what
    with pytest.raises(Refused, match="reason"):
        await player.exempt("scale", "")
    await player.exempt("scale", "the old replicas hold the bad configuration")
    assert codes(player, "scale") == []
    await room.undo()
    assert codes(player, "scale") == ["freeze"]
    await room.retract(freeze.hash, "the wrong incident")
    assert codes(player, "scale") == []
    await player.freeze("again")
    assert (await player.run("undo", real=True)).outcome == "done"
    assert room.code in room.incident.plays.exempted["test", "undo"], "the record ties it to the incident"
    await player.lift("stable")
    assert codes(player, "scale") == []


async def test_a_step_belongs_to_whoever_holds_its_role_and_to_whoever_is_there_otherwise(
    player: Player, room: Room
) -> None:
    await player.open(book(command("act", "true")))
    await as_(room, "eve")
    assert codes(player, "act") == [], "nobody is ops: whoever is there acts"
    await room.assign("ops", "ben")
    refusal = one(player, "act", "role")
    assert "ben (ops), ana (ic) can" in refusal.instead
    assert codes(player, "act", real=False) == []
    await as_(room, "ana")
    assert codes(player, "act") == []


async def test_a_step_that_is_done_is_not_done_twice_by_accident(player: Player) -> None:
    await player.open(book(command("act", "true"), step("hand")))
    await player.run("act", real=True)
    assert codes(player, "act") == ["settled"]
    await player.mark("act", "open")
    assert codes(player, "act") == []
    assert codes(player, "hand") == ["manual"]
    await player.close()
    with pytest.raises(Refused, match="No playbook is open"):
        await player.run("act", real=True)


async def test_a_decision_is_answered_with_a_reason_and_leads_on(player: Player, room: Room) -> None:
    options = [{"id": "back", "text": "Roll back", "then": "after"}, {"id": "stay", "text": "Restrict"}]
    await player.open(
        book(
            step("choose", decision={"question": "Which?", "options": options}),
            step("restrict"),
            step("after"),
        )
    )
    play = room.incident.plays.opened["test"]
    with pytest.raises(Refused, match="no option"):
        await player.decide("choose", "maybe", "x")
    with pytest.raises(Refused, match="needs a reason"):
        await player.decide("choose", "back", "")
    with pytest.raises(Refused, match="is a decision"):
        await player.mark("choose", "done")
    await player.decide("choose", "back", "the last revision was good")
    play = room.incident.plays.opened["test"]
    assert play.next is not None
    assert play.next.step.id == "after"
    await room.undo()
    play = room.incident.plays.opened["test"]
    assert play.next is not None
    assert play.next.step.id == "choose"
    await player.decide("choose", "stay", "no good revision")
    play = room.incident.plays.opened["test"]
    assert play.next is not None
    assert play.next.step.id == "restrict"


async def test_values_of_another_console_are_checked_again_before_they_run(
    player: Player, room: Room
) -> None:
    await player.open(
        book(command("act", "echo", "{who}"), values=({"name": "who", "ask": "Who?", "pattern": "[a-z]+"},))
    )
    with pytest.raises(Refused, match="does not match"):
        await player.fill("who", "--all")
    await room.record(ev.ValueFilled("test", "who", "--all"))
    assert codes(player, "act") == ["values"]
    assert codes(player, "act", real=False) == ["values"]


async def test_what_is_the_same_in_every_incident_comes_from_the_configuration_and_is_checked(
    player: Player,
) -> None:
    asked = (
        {"name": "region", "ask": "Where?", "pattern": "[a-z]+"},
        {"name": "zone", "ask": "Where?", "pattern": "[a-z]+"},
        {"name": "incident", "ask": "Which?", "known": "incident"},
    )
    constants = {"region": "west", "zone": "West; ls", "incident": "INC-0", "nobody": "asks"}
    player.settings = Settings(constants=constants)
    await player.open(
        book(command("act", "echo", "{region}", "{incident}"), command("bad", "echo", "{zone}"), values=asked)
    )
    given = player.given(player.play())
    assert given["region"] == ("west", "from the configuration")
    assert given["incident"] == (player.room.code, "from the incident"), "the incident knows better"
    assert "nobody" not in given
    assert (await player.run("act", real=True)).what == ("echo", "west", player.room.code)
    assert one(player, "bad", "values").about == "zone"
    await player.fill("region", "east")
    assert player.given(player.play())["region"] == ("east", "filled in"), "and a person knows best"
    await player.fill("region", "")
    assert player.values(player.play())["region"] == "west"


async def test_a_newer_version_of_a_playbook_keeps_what_was_done(player: Player, room: Room) -> None:
    await player.open(book(command("act", "true"), step("hand")))
    with pytest.raises(Refused, match="open already"):
        await player.open(book(command("act", "true"), step("hand")))
    await player.mark("hand", "done")
    await player.open(book(command("act", "echo", "better"), step("hand"), step("more")))
    assert [standing(player, name) for name in ("act", "hand", "more")] == ["open", "done", "open"]
    assert "better" in (await player.run("act", real=True)).what


async def test_of_several_playbooks_one_is_named(player: Player) -> None:
    await player.open(book(step("a"), step("shared"), id="first"))
    await player.open(book(step("b"), step("shared"), id="second"))
    await player.mark("a", "done")
    await player.mark("b", "done")
    with pytest.raises(Refused, match="Several playbooks"):
        await player.mark("shared", "done")
    await player.mark("shared", "done", playbook="second")
    assert player.play("first").steps["shared"].standing == "open"


def test_the_engine_says_no_command_and_no_key_and_each_front_end_has_its_own_for_everything() -> None:
    assert set(NEXT) == set(KEYS) == set(get_args(Code))
    assert not any("warroom" in words or "--" in words for words in KEYS.values())
    for module in Path(console.runner.__path__[0]).glob("*.py"):
        found = re.search(r"`warroom |[ `]--[a-z]+", module.read_text())
        assert found is None, (module.name, found)


async def test_two_runs_at_once_of_one_step_are_one(player: Player) -> None:
    await player.open(book(shell("act", "sleep 0.3; echo x")))
    done = await asyncio.gather(
        player.run("act", real=True), player.run("act", real=True), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in done) == ["Hindered", "Run"]
