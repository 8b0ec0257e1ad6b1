"""What a killed console leaves behind, and what the next one says of it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from console.desk import Desk
from console.refusal import Refused
from console.runner import processes
from console.runner.player import Player
from console.runner.refusal import Hindered
from data.home import Home
from playbooks.response import Playbook
from tests.cli.conftest import Warroom
from tests.runner.conftest import book, command, shell, step, until
from tests.runner.test_run import alive, pid_in, standing


async def prepared(home: Path, playbook: Playbook) -> None:
    """An incident with an open playbook, and nobody in it."""
    desk = await Desk.open(Home.open(home), "ana")
    room = await desk.declare("refunds in a loop", 2)
    await Player(room, desk.home.replica).open(playbook)
    await desk.close()


def started(warroom: Warroom) -> subprocess.Popen[bytes]:
    """A console of its own that runs the step `act`."""
    return subprocess.Popen(
        [*warroom.command, "play", "run", "act", "--for-real"],
        env=warroom.environment,
        cwd=warroom.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.req("S000-PD-2")
async def test_after_kill_9_a_run_is_unknown_and_is_not_repeated_without_a_word(warroom: Warroom) -> None:
    ran, mark = warroom.folder / "ran", warroom.folder / "pid"
    act = shell("act", f"echo half of it; echo once >> {ran}; echo $$ > {mark}; sleep 600")
    await prepared(warroom.home, book(act, command("other", "true")))
    console = started(warroom)
    pid = await pid_in(mark)
    runs = next((warroom.home / "cases").iterdir()) / "runs"
    await until(lambda: any(b"half of it" in file.read_bytes() for file in runs.glob("*.stdout")))
    os.kill(console.pid, signal.SIGKILL)
    console.wait()
    assert alive(pid), "the program of a killed console goes on; nobody ended it"

    refused = await asyncio.to_thread(warroom, "play", "run", "act", "--for-real")
    assert refused.code == 3
    assert "abandoned" in refused.err
    assert "settle act" in refused.err
    assert ran.read_text() == "once\n", "nothing was repeated"
    (shown,) = (await asyncio.to_thread(warroom.ok, "play", "show", "act", "--json")).values
    assert shown["standing"] == "unclear"
    (run,) = shown["runs"]
    assert run["outcome"] == "unknown"
    assert "still run" in run["note"]
    assert len(run["blobs"]) == 1
    exhibits = (await asyncio.to_thread(warroom.ok, "evidence")).out
    assert f"run {run['run']} (stdout)" in exhibits, "what it had printed is kept"
    assert [file.name for file in runs.iterdir() if not file.name.endswith(".lock")] == []

    stopped = await asyncio.to_thread(warroom.ok, "play", "stop", run["run"])
    assert run["run"] in stopped.out
    assert not alive(pid)
    assert processes.members(run["run"]) == set()
    assert [name for name in os.listdir(tempfile.gettempdir()) if run["run"] in name] == []

    await asyncio.to_thread(
        warroom.ok, "play", "settle", "act", "repeat", "--reason", "it had not begun to act"
    )
    mark.unlink()
    again = started(warroom)
    await pid_in(mark)
    assert ran.read_text() == "once\nonce\n"
    again.send_signal(signal.SIGTERM)
    assert again.wait() != 0
    (shown,) = (await asyncio.to_thread(warroom.ok, "play", "show", "act", "--json")).values
    assert [each["outcome"] for each in shown["runs"]] == ["unknown", "cancelled"]


async def test_a_run_that_another_process_attends_is_not_called_lost_and_can_be_stopped(
    player: Player, tmp_path: Path
) -> None:
    mark = tmp_path / "pid"
    await player.open(book(shell("long", f"echo $$ > {mark}; sleep 600")))
    going = asyncio.ensure_future(player.run("long", real=True))
    pid = await pid_in(mark)
    desk = await Desk.open(Home.open(tmp_path / "home"), "ben")
    try:
        room = await desk.enter(player.room.case.id)
        other = Player(room, desk.home.replica)
        assert await other.lost() == []
        with pytest.raises(Refused, match="still goes on"):
            await other.settle("long", "not", "it looks so")
        with pytest.raises(Hindered, match="runs already"):
            await other.run("long", real=True)
        await other.stop(other.run_named("long"), "seen from the other shell")
        run = await going
        assert run.outcome == "cancelled"
        assert not alive(pid)
        while other.plays.runs[run.id].running:
            await room.refresh()
        assert other.plays.runs[run.id].outcome == "cancelled"
    finally:
        await desk.close()


async def test_another_consoles_run_is_left_to_it_and_settled_by_a_word(player: Player) -> None:
    await player.open(book(command("act", "true")))
    mine = player.replica
    player.replica = "f" * 32
    from console.events import StepStarted

    await player.room.record(StepStarted("test", "act", "0123456789abcdef", dry=False))
    assert [run.id for run in await player.lost()] == [], "its console knows; this one does not"
    player.replica = mine
    player.plays.runs["0123456789abcdef"].rep = "e" * 32
    assert await player.lost() == []
    await player.settle("act", "happened", "ben says that it went through")
    assert standing(player, "act") == "done"


@pytest.mark.parametrize(("word", "after"), [("happened", "done"), ("not", "open"), ("repeat", "open")])
async def test_a_word_settles_what_nobody_knew(player: Player, word: str, after: str) -> None:
    await player.open(book(shell("slow", "sleep 600", timeout="1 s")))
    await player.run("slow", real=True)
    with pytest.raises(Refused, match="Say what you saw"):
        await player.settle("slow", word, " ")  # type: ignore[arg-type]
    await player.settle("slow", word, "looked at the cluster")  # type: ignore[arg-type]
    assert standing(player, "slow") == after
    with pytest.raises(Refused, match="Nothing is unknown"):
        await player.settle("slow", "not", "again")


async def test_what_ran_cannot_be_taken_back(player: Player) -> None:
    await player.open(book(command("act", "true")))
    await player.run("act", real=True)
    for kind in ("step.started", "step.finished", "playbook.opened"):
        hashes = [kept[1].hash for kept in player.room._fold._kept if kept[1].kind == kind]
        with pytest.raises(Refused, match="What ran, ran"):
            await player.room.retract(hashes[0], "oops")
    assert standing(player, "act") == "done"


async def test_a_step_that_only_looks_is_never_in_doubt(player: Player) -> None:
    await player.open(book(shell("look", "sleep 600", timeout="1 s", reach="nothing"), step("hand")))
    run = await player.run("look", real=True)
    assert run.outcome == "timed_out"
    assert player.hindrances(*player.step("look")) == []
