"""What may happen while effects are reversed: a kill, Ctrl+C, two at once, a drill; and what it must never be taken for."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import console.rollback
from console import events as ev
from console.config import Config
from console.config import load as read_config
from console.containment.state import Moves
from console.desk import Desk
from console.refusal import Refused
from console.rollback import deeds
from console.rollback.reversal import BATCH, Reversing
from data.home import Home
from playbooks import load
from playbooks.undoing import Reversal
from tests.cli.conftest import Warroom
from tests.rollback.conftest import Payments, action, configure, fill
from tests.rollback.test_ledger import IDS, effect, state_after

SLOW = """
[[reversal]]
class = "documents"
command = ["sh", "-c", 'echo "$1" >> "$2"; [ "$1" = slow ] && sleep 300; true', "undo", "{target}", "RAN"]
width = 1
"""


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for a condition, and fail when it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def listed(warroom: Warroom) -> dict[str, dict[str, Any]]:
    return {each["target"]: each for each in warroom.quick("effects", "list", "--json").values}


def begun(warroom: Warroom, targets: tuple[str, ...]) -> tuple[subprocess.Popen[bytes], Path]:
    """A console of its own that reverses effects on these targets, one after the other, and hangs at `slow`."""
    ran = warroom.folder / "ran"
    configure(warroom, SLOW.replace("RAN", str(ran)))
    fill(warroom, *(action(4, artifact=each, ago=len(targets) - at) for at, each in enumerate(targets)))
    warroom.quick("effects", "draft", "--agent", "bot")
    console_ = subprocess.Popen(
        [*warroom.command, "effects", "reverse", "--all", "--for-real"],
        env=warroom.environment,
        cwd=warroom.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: ran.exists() and "slow" in ran.read_text())
    return console_, ran


@pytest.mark.req("S004-DU-3")
def test_after_kill_9_nobody_knows_and_nothing_is_repeated_before_a_word(declared: Warroom) -> None:
    console_, ran = begun(declared, ("first", "slow", "last"))
    os.kill(console_.pid, signal.SIGKILL)
    console_.wait()
    assert {each["unclear"] for each in listed(declared).values()} == {True}
    done = declared.within("effects", "reverse", "--all", "--for-real")
    assert (done.code, "abandoned" in done.err) == (3, True)
    rows = listed(declared)
    assert "The console that ran it is gone" in rows["first"]["note"]
    assert declared.within("effects", "reverse", rows["first"]["effect"], "--for-real").code == 3
    for target, word in (("first", "yes"), ("slow", "no"), ("last", "no")):
        declared.quick("effects", "reconcile", rows[target]["effect"], word, "--how", "looked at the pages")
    states = {target: each["progress"] for target, each in listed(declared).items()}
    assert states == {"first": "reversed", "slow": "open", "last": "open"}
    assert ran.read_text().split() == ["first", "slow"]


def test_ctrl_c_ends_what_goes_on_and_begins_nothing_more(declared: Warroom) -> None:
    console_, ran = begun(declared, ("first", "slow", "last"))
    console_.send_signal(signal.SIGINT)
    assert console_.wait(30) == 130
    rows = listed(declared)
    assert rows["first"]["progress"] == "reversed"
    assert (rows["slow"]["progress"], rows["slow"]["unclear"]) == ("reversing", True), "it had begun"
    assert (rows["last"]["progress"], rows["last"]["unclear"]) == ("open", False), "it had not"
    assert ran.read_text().split() == ["first", "slow"]


def test_two_at_once_the_second_is_refused_and_nothing_is_done_twice(declared: Warroom) -> None:
    console_, ran = begun(declared, ("slow",))
    try:
        fill(declared, action(4, artifact="other"))
        declared.quick("effects", "draft", "--agent", "bot")
        done = declared.within("effects", "reverse", listed(declared)["other"]["effect"], "--for-real")
        assert done.code == 3
        assert "being reversed here already" in done.err
    finally:
        console_.send_signal(signal.SIGINT)
        console_.wait(30)
    assert ran.read_text().split() == ["slow"]


def test_a_kill_leaves_at_most_one_batch_in_doubt(declared: Warroom) -> None:
    targets = (
        *(f"page-{number}" for number in range(BATCH)),
        "slow",
        *(f"more-{number}" for number in range(9)),
    )
    console_, _ = begun(declared, targets)
    os.kill(console_.pid, signal.SIGKILL)
    console_.wait()
    rows = listed(declared)
    assert {rows[f"page-{number}"]["progress"] for number in range(BATCH)} == {"reversed"}
    assert sum(each["unclear"] for each in rows.values()) == 10


async def test_a_drill_reverses_with_its_own_configuration_only(tmp_path: Path, payments: Payments) -> None:
    home = Home.open(tmp_path / "drill", "drill")
    desk = await Desk.open(home, "ana")
    room = await desk.declare("a drill", 2)
    try:
        await room.record(ev.EffectsListed((effect(IDS[0], "external-calls", key="pay-1"),)))
        outside = tmp_path / "config.toml"
        outside.write_text(payments.configuration)
        config = read_config(outside)
        assert config.reversal
        with pytest.raises(Refused, match="Nothing says how"):
            await Reversing(room, home, config).reverse([IDS[0]], real=True, confirm="external-calls")
        assert payments.asked == {}
        (home.path / "config.toml").write_text(payments.configuration)
        outcome = await Reversing(room, home, Config()).reverse([IDS[0]], real=True, confirm="external-calls")
        assert outcome.well
        live = Home.open(tmp_path / "live")
        with pytest.raises(Refused, match="no real system"):
            await Reversing(room, live, config).verify([IDS[0]])
    finally:
        await desk.close()


@pytest.mark.req("X-9")
def test_rolling_a_release_back_and_undoing_effects_are_two_things() -> None:
    """Neither can be reached by way of the other: not by a verb, not by a document, not by an event."""
    move = load.moves()["roll_back_release"]
    assert "release-rollback" in move.authority
    assert not any(each.startswith("rollback-") for each in move.authority)
    # What reverses an effect is a program or a request; a verb of the catalogue has no place in it.
    assert not {"verb", "action", "args"} & Reversal.model_fields.keys()
    sources = [each.read_text() for each in Path(console.rollback.__file__).parent.glob("*.py")]
    assert len(sources) > 8
    assert not any(
        "roll_back" in text or "MoveOrdered" in text or "console.containment" in text for text in sources
    )
    containment = Path(console.rollback.__file__).parents[1] / "containment"
    for each in containment.rglob("*.py"):
        assert "console.rollback" not in each.read_text(), each
    # An order of that verb moves no effect, and effects that move give no order.
    listed_ = ev.EffectsListed((effect(IDS[0]),))
    ordered = ev.MoveOrdered("0" * 16, "roll_back_release", subject="checkout")
    state = state_after(listed_, ordered)
    assert (state.ledger.state(IDS[0]), state.rollback["code"].state) == ("open", "open")
    assert state_after(listed_, ev.EffectsMoved("code", (IDS[0],), "reversed")).moves == Moves()


async def test_a_move_of_many_moves_all_of_them_or_none(tmp_path: Path) -> None:
    desk = await Desk.open(Home.open(tmp_path / "home"), "ana")
    room = await desk.declare("commits", 2)
    try:
        rows = tuple(effect(id_of(number)) for number in range(1500))
        for start in range(0, len(rows), 500):
            await room.record(ev.EffectsListed(rows[start : start + 500]))
        ids = [each.id for each in rows]
        await deeds.move(room, ids[:1], "reversed")
        with pytest.raises(Refused, match="is reversed, so reversed makes no sense"):
            await deeds.move(room, ids, "reversed")
        tally = room.incident.ledger.tally("code")
        assert tally is not None
        assert (tally.open, tally.reversed) == (1499, 1)
        assert await deeds.move(room, ids[1:], "reversed") == 1499
        assert room.incident.rollback["code"].state == "reversed"
        await room.undo()
        tally = room.incident.ledger.tally("code")
        assert tally is not None
        assert tally.open > 0, "the last thing that was said is taken back"
    finally:
        await desk.close()


def id_of(number: int) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    return "".join(letters[number >> 5 * place & 31] for place in range(16))
