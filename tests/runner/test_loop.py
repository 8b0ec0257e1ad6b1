"""The whole loop as a person at the console has it: an alert, its incident, who is told, what runs, who agrees."""

from __future__ import annotations

from pathlib import Path

import pytest

from console import routing, tagging
from screens.home import HomeScreen
from screens.room import RoomScreen
from screens.widgets.alerts import Alerts
from screens.widgets.strips import StripLines
from tests.runner.conftest import Server, book, command
from tests.screens.stage import app, facts, home, ready, watch
from tests.screens.test_escalation import opened as escalation
from tests.screens.test_evidence import form, painted
from tests.screens.test_playbook import Plays, closed
from tests.screens.test_playbook_automatic import clock_of, granted, header
from tests.screens.test_room import Stage

SECOND = 1_000_000_000
ALERT = facts(1, pages=True, rule="cost-rate", route=("owner:support team",))
BOOK, STEP = "cost-runaway", "clamp-tenant"
BACK = book(recovery=[command("back", "true", automatic=True)], id="back")
"""No shipped playbook lets recovery run by itself; one of a team's own may."""


async def declared(stage: Stage) -> None:
    """Declare from the alert on the board, with its keys."""
    console = stage.console
    await stage.until(lambda: isinstance(console.screen, HomeScreen), "the board")
    await stage.until(lambda: console.screen.query_one(Alerts).count == 1, "the alert")
    await stage.press("1", "D")
    await form(stage)
    await stage.press("2", "enter")
    await stage.until(lambda: isinstance(console.screen, RoomScreen), "the room")
    await stage.until(lambda: ALERT.id in stage.room.incident.alerts, "the alert is of the incident")


async def told(stage: Stage) -> str:
    """Return what the list of who must be told shows, with the reason of each, and leave it."""
    lines = await escalation(stage)
    shown = painted(lines)
    await stage.press("escape")
    await closed(stage)
    return shown


@pytest.mark.req("S000-PD-5.1", "S000-PD-5.2", "S000-PD-3")
async def test_signal_playbook_boundary_and_escalation_are_one_loop_in_which_people_decide(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARROOM_POLICY_TOKEN", "secret")
    home_ = home(tmp_path)
    watch(home_, ALERT)
    async with app(home_, expect_room=False).run_test(size=(120, 50)) as pilot:
        stage = Stage(pilot, await ready(pilot, room=False))

        # The signal: one alert, and the incident that a person declares from it.
        await declared(stage)
        incident = stage.room.incident
        assert (incident.severity, incident.roles["ic"]) == (2, ["ana"])

        # What it may be, with the rule that fired as the reason; nothing of it is taken by itself.
        reasons = {(each.axis, each.tag): each.reason for each in tagging.proposals(incident)}
        assert reasons["type", "cost-spike"] == "tripwire cost-rate fired"
        assert reasons["playbook", BOOK] == "tripwire cost-rate is one of its triggers"
        assert not any(incident.triage.tags.values())
        await stage.press("6")
        plays = Plays(stage)
        await stage.until(lambda: plays.pane.choose(BOOK), "the playbook is offered")
        row = plays.pane.selected
        assert row is not None
        assert "tripwire cost-rate" in row.text

        # Who must be told, and why; the type that a person confirms brings its people.
        assert "Owner of the agent (support team)" in await told(stage)
        await stage.room.tag("cost-spike")
        who = {each.who: each for each in routing.escalations(stage.room.incident)}
        assert {"on-call", "owner", "finance", "platform"} <= set(who)
        for name in ("finance", "platform"):
            assert who[name].page
            assert who[name].outstanding
            assert any("finance says what can be borne" in reason for reason in who[name].reasons)
        assert "Finance" in await told(stage)

        # The playbook runs nothing before somebody granted it; then what it may, announced, and once.
        await stage.press("6")
        await stage.until(lambda: plays.pane.choose(BOOK), "the library again")
        await stage.press("O")
        await stage.until(lambda: BOOK in stage.room.incident.plays.opened, "the playbook is open")
        await plays.player.fill("policy_url", server.url)
        assert plays.player.values(plays.player.play())["tenant"] == "acme", "the alert says which tenant"
        await stage.until(lambda: plays.pane.choose(BOOK, STEP), "the step")

        clock_of(stage).advance(60 * SECOND)
        assert not stage.console.playing._tended, "without a grant nobody looks"
        await granted(stage)
        await stage.until_said("BY ITSELF in 30 s: ")
        await stage.until(lambda: "BY ITSELF in 00:00:30, T stops" in header(stage), "the countdown")
        assert server.taken == []
        clock_of(stage).advance(30 * SECOND)
        await stage.until(lambda: plays.player.step(STEP, BOOK)[1].standing == "done", "it ran")
        assert [(each.method, each.path) for each in server.taken] == [
            ("PUT", "/v1/tenants/acme/psu_daily_cap")
        ]
        (run,) = plays.player.step(STEP, BOOK)[1].runs
        assert (run.automatic, run.by, run.outcome) == (True, "automation", "done")

        # The boundary: recovery that was granted and announced waits for a person once it is the worst of levels.
        await plays.player.open(BACK)
        await stage.until(lambda: plays.pane.choose("back", "back"), "a way back")
        await granted(stage)
        await stage.until(
            lambda: plays.player.step("back", "back")[1].announced is not None, "it is announced"
        )
        assert not who["executives"].page
        await stage.room.set_severity(1, "SEV-1", "every tenant is hit")
        who = {each.who: each for each in routing.escalations(stage.room.incident)}
        assert who["executives"].page, "the worst level wakes them"
        (automation,) = stage.console.playing._automatic
        looks = 0
        look = automation.tend

        async def counted() -> None:
            nonlocal looks
            await look()
            looks += 1

        monkeypatch.setattr(automation, "tend", counted)
        clock_of(stage).advance(30 * SECOND)
        await stage.until(lambda: looks >= 3, "it was due, and looked at")
        assert plays.player.step("back", "back")[1].runs == []
        await stage.until(lambda: "BY ITSELF" not in header(stage), "and nothing claims that it comes")
        await stage.room.assign("ic", "ben")
        await stage.press("greater_than_sign")
        await stage.until_said("needs approval at SEV-1 by ic. ben (ic) can.")
        assert plays.player.step("back", "back")[1].runs == []
        await stage.press("J")
        asked = await form(stage)
        await stage.press("tab", *"night", "enter")
        await stage.until(
            lambda: "at SEV-1 that waits for a person" in asked.query_one("#form-says", StripLines).words
        )
        assert len(server.taken) == 1, "and what ran by itself before ran once"
