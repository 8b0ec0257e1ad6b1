"""Halting from the screen, with keys, against agents that really take orders."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from console.config import Config, Point
from console.containment.ordering import Containing
from console.containment.points import Points
from console.desk import Desk
from console.events import AlertFacts
from console.refusal import Refused
from screens.containment import ContainmentScreen
from screens.dialogs.form import Form, Text
from screens.dialogs.halt import Halt
from screens.home import HomeScreen
from screens.room import RoomScreen
from screens.widgets.containment import HoldRow
from screens.widgets.header import Header
from screens.widgets.strips import StripLines
from tests.containment.fleet import Fleet, Manner, Wire
from tests.screens.stage import app, facts, home, ready, until
from tests.screens.test_room import Opened, Stage

Made = Callable[..., Fleet]


@pytest.fixture
def fleet() -> Iterator[Made]:
    fleets: list[Fleet] = []

    def make(*manners: Manner) -> Fleet:
        fleets.append(Fleet(manners))
        return fleets[-1]

    yield make
    for each in fleets:
        each.close()


def containing(fleet: Fleet, *names: str) -> Callable[[Desk], Containing]:
    """Return what makes the console's: one point through which the agents are reached. `names`: what they are called."""
    lines = tuple(
        f"{agent} {name}".strip()
        for agent, name in zip(fleet.agents, [*names, *[""] * len(fleet.agents)], strict=False)
    )

    def made(desk: Desk) -> Containing:
        setting = Point("fleet", "wire", targets=lines)
        known = Points(
            Config(points=(setting,)), lambda point, directory: Wire(fleet.port), mode=desk.home.mode
        )
        return Containing(known, actor=desk.actor, clock=desk.clock)

    return made


class Halting:
    """A stage, and what a test asks of the halt."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    @property
    def dialog(self) -> Halt:
        screen = self.stage.console.screen
        assert isinstance(screen, Halt)
        return screen

    @property
    def screen(self) -> ContainmentScreen:
        base = self.stage.console.base
        assert isinstance(base, ContainmentScreen)
        return base

    @property
    def reach(self) -> str:
        return self.dialog.query_one("#reach", StripLines).words

    @property
    def rows(self) -> list[HoldRow]:
        return list(self.screen.rows.all_rows)

    @property
    def verdict(self) -> str:
        return self.screen.query_one("#verdict", StripLines).words

    @property
    def said(self) -> str:
        base = self.stage.console.base
        assert base is not None
        return base.query_one("#said", StripLines).words

    @property
    def headings(self) -> list[str]:
        return [row.text.strip() for row in self.rows if row.kind == "heading"]

    def targets(self) -> list[str]:
        return [row.id for row in self.rows if row.kind == "target"]

    async def until(self, condition: Any, what: str = "") -> None:
        await until(self.stage.pilot, condition, what)

    async def until_said(self, words: str) -> None:
        await self.until(lambda: words in self.said, f"{words!r} is said, not {self.said!r}")

    async def asked(self) -> None:
        """Wait until the dialog is there and knows what it would reach."""
        await self.until(lambda: isinstance(self.stage.console.screen, Halt), "the dialog")
        await self.until(lambda: self.dialog.proposal is not None, "the decision aid")

    async def shown(self) -> None:
        await self.stage.press("0")
        await self.until(lambda: bool(self.rows), "the containment screen")

    async def choose(self, name: str) -> None:
        """Put the cursor on a row by its id."""
        await self.until(
            lambda: name in [row.id for row in self.rows if row.kind in ("target", "order", "move")], name
        )
        place = next(at for at, row in enumerate(self.rows) if row.id == name and row.kind != "heading")
        self.screen.rows.go(place)


def halting(path: Path, fleet: Fleet, *names: str, **options: Any) -> Opened:
    """Return a room that is under way, on a console that reaches a fleet."""
    return Opened(path, containing=containing(fleet, *names), **options)


def stopped(fleet: Fleet) -> list[bool]:
    return [not agent.running for agent in fleet.agents.values()]


# -- the key ------------------------------------------------------------------------------------------------


@pytest.mark.req("S003-KS-1", "S003-KS-5")
async def test_f9_a_digit_and_enter_stop_all_agents_and_the_verdict_is_said(
    tmp_path: Path, fleet: Made
) -> None:
    agents = fleet(*["good"] * 5)
    async with halting(tmp_path, agents) as stage:
        halt = Halting(stage)
        await stage.press("f9", "1", "enter")
        await halt.until(lambda: all(stopped(agents)), "every agent stands still")
        await halt.until_said("PASS, HALT all agents after")
        (order,) = stage.room.incident.moves.orders.values()
        assert (order.body.verb, order.body.scope, order.by, order.held) == ("halt_all", "all", "ana", 5)
        await halt.until(lambda: "HALT PASS 5/5" in stage.screen.query_one(Header).words)
        assert isinstance(stage.console.screen, RoomScreen)


async def test_f9_works_while_typing_and_what_is_typed_stays(tmp_path: Path, fleet: Made) -> None:
    agents = fleet("good", "good")
    async with halting(tmp_path, agents) as stage:
        halt = Halting(stage)
        await stage.press("i", *"exit ", "f9", "1", "enter", *"x")
        await halt.until(lambda: all(stopped(agents)), "every agent stands still")
        await halt.until(
            lambda: stage.writer.text == "exit x", "the words stay, and the next key belongs to them"
        )


async def test_x_halts_outside_text_only(tmp_path: Path, fleet: Made) -> None:
    async with halting(tmp_path, fleet("good")) as stage:
        await stage.press("x")
        await stage.until(lambda: isinstance(stage.console.screen, Halt))
        await stage.press("escape")
        assert isinstance(stage.console.screen, RoomScreen)
        assert not stage.room.incident.moves.orders


async def test_it_opens_over_a_dialog_whose_words_stay(tmp_path: Path, fleet: Made) -> None:
    agents = fleet("good")
    async with halting(tmp_path, agents) as stage:
        halt = Halting(stage)
        await stage.press("S", "3", "tab", *"because")
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        form = stage.console.screen
        await stage.press("f9", "1", "enter")
        await halt.until(lambda: all(stopped(agents)))
        await stage.until(lambda: stage.console.screen is form)
        assert isinstance(form, Form)
        assert form.values["reason"] == "because"


async def test_a_dialog_that_waits_for_the_record_does_not_keep_it_waiting(
    tmp_path: Path, fleet: Made
) -> None:
    agents = fleet("good")
    never = asyncio.Event()
    async with halting(tmp_path, agents) as stage:
        halt = Halting(stage)

        async def submit(_: object) -> None:
            await never.wait()
            raise Refused("The disk is full.")

        form = Form("Slow", (Text("why", "Why"),), submit)
        stage.console.push_screen(form)
        await stage.until(lambda: stage.console.screen is form and stage.console._held is None)
        await stage.press("a", "enter", "b", "f9", "1", "enter")
        await halt.until(lambda: all(stopped(agents)), "it stops them while the form waits")
        await stage.until(lambda: stage.console.screen is form)
        never.set()
        await stage.until(lambda: form.values["why"] == "ab", "the key before it went where it was meant to")


@pytest.mark.req("S003-KS-1")
async def test_with_no_incident_open_it_opens_one(tmp_path: Path, fleet: Made) -> None:
    agents = fleet("good", "good")
    console = app(home(tmp_path), containing=containing(agents), expect_room=False)
    async with console.run_test(size=(120, 40)) as pilot:
        await ready(pilot, room=False)
        await until(pilot, lambda: isinstance(console.base, HomeScreen))
        await pilot.press("f9", "1", "enter")
        await until(pilot, lambda: all(stopped(agents)), "every agent stands still")
        await until(pilot, lambda: isinstance(console.screen, RoomScreen), "the room of the new incident")
        assert console.desk is not None
        room = console.desk.room
        assert room is not None
        assert (room.incident.title, room.incident.severity) == ("Halt of all agents", 1)
        await until(pilot, lambda: any(o.judged for o in room.incident.moves.orders.values()), "the verdict")


async def test_enter_alone_stops_nothing(tmp_path: Path, fleet: Made) -> None:
    agents = fleet("good")
    async with halting(tmp_path, agents) as stage:
        halt = Halting(stage)
        await stage.press("f9", "enter")
        await halt.asked()
        await stage.press("2", "escape")
        await stage.until(lambda: isinstance(stage.console.screen, RoomScreen))
        assert not stage.room.incident.moves.orders
        assert stopped(agents) == [False]


# -- how much -----------------------------------------------------------------------------------------------


def alert(number: int, agent: str) -> AlertFacts:
    return facts(number, agent=agent, pages=True)


@pytest.mark.req("S003-KS-6")
async def test_the_agents_of_the_alerts_come_first_and_a_digit_picks_one(tmp_path: Path, fleet: Made) -> None:
    agents = fleet("good", "good", "good")
    async with halting(tmp_path, agents, "buyer-1", "planner-3", "etl-7") as stage:
        halt = Halting(stage)
        await stage.press("f9")
        await halt.asked()
        await stage.press("2")
        await halt.until(lambda: halt.dialog.shown[0] == "planner-3", "the incident is about this one")
        assert set(halt.dialog.shown) == {"planner-3", "buyer-1", "etl-7"}
        place = halt.dialog.shown.index("etl-7") + 1
        await stage.press(str(place))
        assert halt.dialog.subject == "etl-7"
        await halt.until(lambda: "reaches 1 target" in halt.reach)
        await stage.press("enter")
        await halt.until(lambda: stopped(agents) == [False, False, True])
        (order,) = stage.room.incident.moves.orders.values()
        assert (order.body.scope, order.body.subject) == ("agent", "etl-7")


async def test_a_name_is_typed_and_a_reason_too(tmp_path: Path, fleet: Made) -> None:
    agents = fleet("good", "good")
    async with halting(tmp_path, agents, "buyer-1", "mailer-9") as stage:
        halt = Halting(stage)
        await stage.press("f9")
        await halt.asked()
        await stage.press("2", *"mail")
        assert halt.dialog.subject == "mailer-9"
        await stage.press("tab", *"why not 7", "enter")
        await halt.until(lambda: stopped(agents) == [False, True])
        (order,) = stage.room.incident.moves.orders.values()
        assert order.body.reason == "why not 7"


@pytest.mark.req("X-7", "S003-KS-5")
async def test_it_says_what_it_reaches_and_what_not_and_the_aid_is_on_the_record(
    tmp_path: Path, fleet: Made
) -> None:
    agents = fleet(*["good"] * 3)
    async with halting(tmp_path, agents, "buyer-1", "etl-7", "mailer-1") as stage:
        halt = Halting(stage)
        await stage.press("f9")
        await halt.asked()
        assert halt.dialog.proposal is not None
        assert halt.dialog.proposal.scope == "all"
        assert "proposed: " in halt.dialog.query_one("#advice", StripLines).words
        await stage.press("1")
        await halt.until(lambda: "reaches 3 targets" in halt.reach)
        assert "through fleet 3" in halt.reach
        assert "NOT REACHED, 1:  planner-3" in halt.reach
        assert "fleet: GET /halt_agent/a0/" in halt.reach
        assert not any(stopped(agents)), "a dry plan sends nothing"
        await stage.press("enter")
        await halt.until(lambda: bool(stage.room.incident.moves.orders))
        (order,) = stage.room.incident.moves.orders.values()
        assert order.body.advice.startswith("all (rule ")
