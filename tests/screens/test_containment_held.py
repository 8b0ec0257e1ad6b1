"""Held actions, coverage and live fire on the containment screen, and how it looks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from textual.pilot import Pilot

from console.config import Config, Point
from console.containment.ordering import Containing
from console.containment.points import Points
from console.desk import Desk
from console.events import MoveAnswered, MoveJudged, MoveOrdered, MoveSeen, Seen, Target
from data.clock import ManualClock
from data.home import Home
from data.identity import Identity, keep
from screens.containment import ContainmentScreen
from screens.dialogs.form import Form
from screens.dialogs.halt import Halt
from screens.widgets.timeline import Timeline
from tests.moves.conftest import System, both
from tests.moves.test_quarantine import HOLDS, Payouts, payment
from tests.screens.stage import NOW, app, incident, ready, until
from tests.screens.test_containment import Halting
from tests.screens.test_room import Opened

SIZES = ((80, 24), (120, 40), (200, 50))


def reaching(**systems: System) -> Callable[[Desk], Containing]:
    """Return what makes the console's, with a point of each name; `canary...` is one."""
    points = tuple(
        Point(name, "fake", kind="queue", queue="payouts")
        if isinstance(system, Payouts)
        else Point(name, "fake", agent=name, canary=name.startswith("canary"))
        for name, system in systems.items()
    )

    def made(desk: Desk) -> Containing:
        known = Points(Config(points=points), lambda point, _: systems[point.name], mode=desk.home.mode)
        return Containing(known, actor=desk.actor, clock=desk.clock)

    return made


@pytest.mark.req("S003-KS-8", "X-8")
async def test_held_actions_are_released_and_dropped_marked_or_one_by_one(tmp_path: Path) -> None:
    queue = Payouts(HOLDS, waiting={id: payment(id) for id in ("p1", "p2", "p3")})
    async with Opened(tmp_path, containing=reaching(approvals=queue)) as stage:
        halt = Halting(stage)
        await halt.shown()
        await halt.until(lambda: "HELD ACTIONS  3" in halt.headings, str(halt.headings))
        await stage.press("g")
        await halt.until(lambda: halt.screen.selected is not None and halt.screen.selected.kind == "held")
        assert any("pay 40 EUR" in para.text for para in halt.screen.paragraphs())
        await stage.press("space", "space", "d", "enter")
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        await stage.type("booked twice")
        await stage.press("enter")
        await halt.until(lambda: sorted(queue.thrown) == ["p1", "p2"])
        await halt.until(lambda: "HELD ACTIONS  1" in halt.headings, str(halt.headings))
        await stage.press("g", "l")
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        await stage.type("finance confirmed it")
        await stage.press("enter")
        await halt.until(lambda: queue.paid == ["p3"])
        await halt.until_said("1 action: release")


@pytest.mark.req("S003-DR-2")
async def test_coverage_names_what_has_no_working_stop_and_live_fire_proves_a_canary(tmp_path: Path) -> None:
    halts = both("halt_agent")
    real, canary = System(halts), System(halts)
    async with Opened(tmp_path, containing=reaching(planner=real, canary=canary)) as stage:
        halt = Halting(stage)
        await halt.shown()
        await halt.until(lambda: "POINTS  2" in halt.headings, str(halt.headings))
        assert any(each.startswith("COVERAGE  1 of 1 agents") for each in halt.headings), halt.headings
        await halt.until(lambda: any(row.id == "canary" for row in halt.rows))
        names = [row.id for row in halt.rows]
        halt.screen.rows.go(names.index("planner"))
        await stage.press("f")
        await halt.until_said("This works on a point that is a canary.")
        halt.screen.rows.go(names.index("canary"))
        await stage.press("f")
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        await stage.press("enter")
        await halt.until_said("canary canary holds: halt_agent: PASS")
        assert [call.verb for call in canary.told] == ["halt_agent", "restore_agent"]
        assert not real.told
        await halt.until(
            lambda: any(row.point is not None and row.point.state == "proven" for row in halt.rows),
            "it is proven",
        )


# -- how it looks -------------------------------------------------------------------------------------------


@pytest.fixture
def fixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home whose incident has a halt with its verdict, written by a console that is gone."""
    (tmp_path / "home").mkdir()
    keep(tmp_path / "home", Identity(Ed25519PrivateKey.from_private_bytes(bytes(32))))
    opened = Home.open(tmp_path / "home", "live", ManualClock(NOW))
    with monkeypatch.context() as patch:
        patch.setattr(os, "urandom", bytes)
        asyncio.run(incident(opened))
        asyncio.run(halted(opened))
    return opened


async def halted(opened: Home) -> None:
    """Put an order on the record."""
    desk = await Desk.open(opened, "ana")
    try:
        room = await desk.enter()
        names = ("planner-3", "etl-7", "buyer-1", "triage-2", "mailer-1", "docs-4")
        targets = tuple(Target(f"fleet/{name}", "fleet", name, "wire") for name in names)
        states = (
            (0, "accepted", 120), (0, "verified", 900), (1, "effective", 80), (1, "leaking", 4200), (2, "unreachable", 2000),
            (3, "verified", 1100), (4, "lease_expired", 13_000), (5, "refused", 90),
        )  # fmt: skip
        seen = tuple(Seen(at, state, ms, "as it said") for at, state, ms in states)  # type: ignore[arg-type]
        open_ = ("fleet/etl-7", "fleet/buyer-1", "fleet/docs-4")
        await room.record(
            MoveOrdered(
                "ab" * 8,
                "halt_all",
                "all",
                targets=targets,
                reason="refunds in a loop",
                advice="all (rule unclear)",
            ),
            MoveSeen("ab" * 8, seen),
            MoveJudged("ab" * 8, "fail", 29_800, 6, 3, open_),
            MoveAnswered("ab" * 8, "fleet/docs-4", "its host was switched off", "ticket 7"),
        )
    finally:
        await desk.close()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("view", ["containment", "halt"])
def test_looks(
    fixed: Home,
    snap_compare: Callable[..., bool],
    view: Literal["containment", "halt"],
    size: tuple[int, int],
) -> None:
    def made(desk: Desk) -> Containing:
        # Of another mode: it carries nothing on, and what is on the record stays as it is.
        known = Points(
            Config(points=(Point("fleet", "fake", targets=("planner-3", "etl-7")),)),
            lambda point, _: System(both("halt_agent")),
            mode="drill",
        )
        return Containing(known, actor=desk.actor, clock=desk.clock)

    async def arrange(pilot: Pilot[Any]) -> None:
        console = await ready(pilot)
        await until(pilot, lambda: console.screen.query_one(Timeline).selected is not None)
        await until(pilot, lambda: console.stopping.known is not None)
        await pilot.press("0" if view == "containment" else "f9")
        if view == "containment":
            await until(pilot, lambda: isinstance(console.screen, ContainmentScreen))
            screen = console.screen
            assert isinstance(screen, ContainmentScreen)
            await until(pilot, lambda: screen._survey is not None and screen._offers is not None)
            await until(pilot, lambda: any(row.kind == "point" for row in screen.rows.all_rows))
            screen.say("")
        else:
            await until(
                pilot, lambda: isinstance(console.screen, Halt) and console.screen.proposal is not None
            )
            await pilot.press("2")
            await until(pilot, lambda: "reaches" in str(console.screen.query_one("#reach")._lines))  # type: ignore[attr-defined]
        await pilot.pause()

    assert snap_compare(app(fixed, containing=made), terminal_size=size, run_before=arrange)
