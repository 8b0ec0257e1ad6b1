"""The twelve scenario playbooks, each in a drill from its trigger to the last step after the incident.

The first and the last are worked through with keys on the screen; the ten between them through the player that the
screen uses, since every key waits for a frame. What would reach a system is rehearsed and ticked, what only
changes the record of the drill runs; in the first playbook a flag, a request and a rollout are for real, against
a server and a program of this test.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from console.desk import Desk
from console.runner.player import Player
from console.runner.state import Play, StepState
from data.clock import ManualClock
from data.home import Home
from playbooks import library
from playbooks.response import Playbook
from screens.playbook import Playing
from screens.room import RoomScreen
from screens.widgets.header import Header
from screens.widgets.playbook import PlaybookPane
from tests.runner.conftest import Server, server  # noqa: F401 - a fixture
from tests.screens.stage import NOW, app, facts, ready, until, watch
from tests.screens.test_evidence import form
from tests.screens.test_playbook import closed
from tests.screens.test_room import Stage

SECOND = 1_000_000_000
BOOKS = {book.number: book for book in library.Library().documents(Playbook) if book.kind == "scenario"}
"""By their number."""
DEFAULT = next(book for book in library.Library().documents(Playbook) if book.kind == "default")
REAL = frozenset({"roll-back-deployment", "rolled-back", "circuit-breakers", "rate-limits"})
"""Steps of the first playbook that run against what this test starts."""
PICK = {"how-to-roll-back": "kubernetes"}
KUBECTL = """#!/bin/sh
case "$*" in
*--dry-run=server*) echo "would: $*" ;;
*"rollout undo"*) echo undone >>"$(dirname "$0")/rollouts" ;;
*"rollout status"*) test -e "$(dirname "$0")/rollouts" ;;
esac
"""


def test_there_are_twelve() -> None:
    assert sorted(BOOKS) == list(range(1, 13))


class Worker(Protocol):
    """Does what the step asks of a person, one way or another."""

    clock: ManualClock

    @property
    def player(self) -> Player: ...
    async def run(self, play: Play, state: StepState) -> None: ...
    async def rehearse(self, play: Play, state: StepState) -> None: ...
    async def tick(self, play: Play, state: StepState) -> None: ...
    async def decide(self, play: Play, state: StepState, place: int) -> None: ...


class ByPlayer:
    """Through the player alone."""

    def __init__(self, player: Player, clock: ManualClock) -> None:
        self._player, self.clock = player, clock

    @property
    def player(self) -> Player:
        return self._player

    async def run(self, play: Play, state: StepState) -> None:
        name = state.step.id
        if any(each.code == "approval" for each in self.player.hindrances(play, state)):
            await self.player.approve(name, play.id)
        await self.player.run(name, play.id, real=True)

    async def rehearse(self, play: Play, state: StepState) -> None:
        await self.player.run(state.step.id, play.id)

    async def tick(self, play: Play, state: StepState) -> None:
        await self.player.mark(state.step.id, "done", "drill", "", play.id)

    async def decide(self, play: Play, state: StepState, place: int) -> None:
        assert state.step.decision is not None
        option = state.step.decision.options[place]
        await self.player.decide(state.step.id, option.id, "drill", play.id)


class ByKeys:
    """With keys, as a person at the screen does."""

    def __init__(self, stage: Stage, clock: ManualClock) -> None:
        self.stage, self.clock = stage, clock

    @property
    def player(self) -> Player:
        return self.stage.console.playing.player(self.stage.room)

    @property
    def pane(self) -> PlaybookPane:
        return self.stage.screen.query_one(PlaybookPane)

    def _now(self, play: Play, state: StepState) -> StepState:
        return self.player.plays.opened[play.id].steps[state.step.id]

    async def _on(self, play: Play, state: StepState) -> None:
        if self.pane.selected is None or self.pane.selected.step != state.step.id:
            await self.stage.press("n")
        assert self.pane.selected is not None
        assert self.pane.selected.step == state.step.id, "n goes to the step that is due"

    async def _confirm(self, key: str, *more: str) -> None:
        await self.stage.press(key)
        await form(self.stage)
        await self.stage.press(*more, "enter")
        await closed(self.stage)

    async def run(self, play: Play, state: StepState) -> None:
        await self._on(play, state)
        if any(each.code == "approval" for each in self.player.hindrances(play, state)):
            await self._confirm("Y")
            await self.stage.until(lambda: bool(self._now(play, state).approvals), "it is approved")
        await self._confirm("greater_than_sign")
        waits = state.step.wait is not None and state.step.wait.check is None
        await self.stage.until(
            lambda: (
                (self._now(play, state).running is not None)
                if waits
                else (self._now(play, state).settled and not self.stage.console.playing.busy)
            ),
            f"{state.step.id} ran",
        )

    async def rehearse(self, play: Play, state: StepState) -> None:
        await self._on(play, state)
        await self.stage.press("p")
        await self.stage.until(
            lambda: self._now(play, state).rehearsed is not None and not self.stage.console.playing.busy,
            f"{state.step.id} is rehearsed",
        )

    async def tick(self, play: Play, state: StepState) -> None:
        await self._on(play, state)
        await self._confirm("space")

    async def decide(self, play: Play, state: StepState, place: int) -> None:
        await self._on(play, state)
        await self._confirm("Q", str(place + 1), "tab", *"drill")


async def worked(
    worker: Worker, id: str, *, last: bool = False, real: frozenset[str] = frozenset()
) -> list[str]:
    """Do every step that is due until none is, and return the way that was gone.

    Args:
        worker: does what a step asks of a person.
        id: the playbook.
        last: whether decisions take their last way.
        real: what runs for real although it reaches a system.
    """
    way: list[str] = []
    while (due := worker.player.plays.opened[id].next) is not None:
        play, step = worker.player.plays.opened[id], due.step
        assert step.id not in way, "the way goes in a circle"
        way.append(step.id)
        if step.decision is not None:
            names = [option.id for option in step.decision.options]
            await worker.decide(play, due, names.index(PICK.get(step.id, names[-1 if last else 0])))
        elif step.wait is not None:
            await worker.run(play, due)
            worker.clock.advance((step.wait.least or 0) * SECOND)
            if not worker.player.plays.opened[id].steps[step.id].settled:
                await worker.tick(play, due)
        elif step.id in real or (step.action is not None and step.action.verb in worker.player.verbs):
            await worker.run(play, due)
        else:
            if step.command is not None or step.http is not None:
                await worker.rehearse(play, due)
            await worker.tick(play, due)
        state = worker.player.plays.opened[id].steps[step.id]
        assert state.standing == "done", (step.id, state.standing, state.runs[-1:])
    return way


def whole(play: Play, way: list[str], real: frozenset[str] = frozenset()) -> None:
    """Every section was worked, up to the last step; whatever can run was rehearsed or ran."""
    steps = list(play.steps.values())
    assert way[-1] == steps[-1].step.id
    assert steps[-1].section == "post"
    assert {play.steps[name].section for name in way} == {"triage", "mitigation", "recovery", "comms", "post"}
    for name in way:
        state = play.steps[name]
        if state.step.command is not None or state.step.http is not None:
            assert any(run.outcome == "done" and run.dry == (name not in real) for run in state.runs), name
    # What is not on the way stands where a decision led past it.
    led_past = {name for name in play.steps if name not in way}
    assert not led_past or any(play.steps[name].step.decision for name in way)


def constants(book: Playbook, **more: str) -> dict[str, str]:
    """What the organisation of the drill always says."""
    return {each.name: each.example for each in book.values if each.example and not each.known} | more


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kubectl that rolls back, and stand-ins for every other program that a playbook rehearses."""
    folder = tmp_path / "bin"
    folder.mkdir()
    names = {step.command.argv[0] for book in BOOKS.values() for step in book.steps() if step.command}
    for name in names | {"kubectl"}:
        (folder / name).write_text(KUBECTL if name == "kubectl" else "#!/bin/sh\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("WARROOM_FLAGS_TOKEN", "flags-token")
    monkeypatch.setenv("WARROOM_POLICY_TOKEN", "policy-token")
    return folder


@asynccontextmanager
async def on_screen(home: Home, book: Playbook, severity: int, **more: str) -> AsyncIterator[ByKeys]:
    """Declare an incident with what gives the playbook away, find it proposed, open it."""
    assert isinstance(home.clock, ManualClock)
    known = constants(book.completed(DEFAULT), **more)
    async with app(home, expect_room=False, constants=known).run_test(size=(120, 40)) as pilot:
        stage = Stage(pilot, await ready(pilot, room=False))
        await stage.press("D")
        await form(stage)
        await stage.press(str(severity), "tab")
        await stage.type(book.title)
        await stage.press("enter")
        await until(pilot, lambda: isinstance(stage.console.screen, RoomScreen), "the room")
        await stage.until(lambda: "DRILL" in stage.screen.query_one(Header).words)
        keys = ByKeys(stage, home.clock)
        await stage.press("6")
        await stage.until(lambda: any(row.kind == "book" for row in keys.pane.all_rows), "the library")
        proposed = next(row for row in keys.pane.all_rows if row.kind == "book")
        assert (proposed.playbook, "the incident says" in proposed.text) == (book.id, True)
        await stage.press("O")
        await stage.until(lambda: book.id in stage.room.incident.plays.opened, "it is open")
        await stage.until_said("is open")
        yield keys


@pytest.mark.req("S002-PB-0", "S002-SN-16")
async def test_the_first_from_its_trigger_to_its_end_with_keys_and_three_effects_for_real(
    tmp_path: Path,
    clock: ManualClock,
    programs: Path,
    server: Server,  # noqa: F811 - the fixture
) -> None:
    home, book = Home.open(tmp_path / "home", "drill", clock), BOOKS[1]
    async with on_screen(home, book, 1, flags_url=server.url, policy_url=server.url) as keys:
        way = await worked(keys, book.id, real=REAL)
        whole(keys.player.plays.opened[book.id], way, REAL)
        assert (programs / "rollouts").read_text() == "undone\n", (
            "it was undone once; a dry run undoes nothing"
        )
        flag, limit = server.taken
        assert (flag.method, flag.path) == (
            "POST",
            "/api/admin/projects/default/features/resilience.circuit_breakers/environments/production/on",
        )
        assert flag.headers["Authorization"] == "flags-token"
        assert (limit.method, limit.path, limit.body) == (
            "PUT",
            "/v1/tenants/*/rate_limit",
            b'{"value": "low"}',
        )
        assert limit.headers["Authorization"] == "Bearer policy-token"
        await keys.stage.until(lambda: "n goes on" in keys.stage.said or "Nothing is left" in keys.stage.said)
        await keys.stage.press("n", "colon")
        await keys.stage.type("closeplaybook")
        await keys.stage.press("enter")
        await form(keys.stage)
        await keys.stage.type("over")
        await keys.stage.press("enter")
        await closed(keys.stage)
        await keys.stage.until(lambda: not keys.player.plays.opened[book.id].open, "it is closed")


@pytest.mark.req("S002-PB-0", "S002-SN-16")
async def test_the_last_from_its_trigger_to_its_end_with_keys(
    tmp_path: Path, clock: ManualClock, programs: Path
) -> None:
    home, book = Home.open(tmp_path / "home", "drill", clock), BOOKS[12]
    async with on_screen(home, book, 2) as keys:
        whole(keys.player.plays.opened[book.id], await worked(keys, book.id))


@pytest.mark.req("S002-PB-0", "S002-SN-16")
@pytest.mark.parametrize("last", [False, True], ids=["first-way", "last-way"])
@pytest.mark.parametrize("number", range(2, 12))
async def test_the_others_from_their_trigger_to_their_end(
    tmp_path: Path, clock: ManualClock, programs: Path, number: int, *, last: bool
) -> None:
    home, book = Home.open(tmp_path / "home", "drill", clock), BOOKS[number]
    wire = next((trigger.tripwire for trigger in book.triggers if trigger.tripwire), "")
    alert = facts(1, pages=True, rule=wire) if wire else None
    if alert is not None:
        watch(home, alert)
    desk = await Desk.open(home, "ana")
    try:
        title = "it does what it never declared" if wire else book.title
        room = await desk.declare(title, 1, alerts=[alert.id] if alert is not None else [])
        playing = Playing(constants=constants(book.completed(DEFAULT)))
        await playing.read_library()
        offered = {each.id: each.reason for each in playing.books(room.incident) or ()}
        assert (f"tripwire {wire}" if wire else "the incident says") in offered[book.id]
        player = playing.player(room)
        await player.open(playing.book(book.id), offered[book.id])
        play = player.plays.opened[book.id]
        for value in play.document.values:
            if value.name not in player.values(play):
                await player.fill(value.name, value.example, book.id)
        way = await worked(ByPlayer(player, clock), book.id, last=last)
        whole(player.plays.opened[book.id], way)
        await player.close(book.id, "over")
    finally:
        await desk.close()
