"""A store that does not take it: nothing runs that is not on the record, and no end gets lost silently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from console.room import Room
from console.runner.player import Player
from data.blobs import Blobs
from data.trouble import StoreTrouble
from tests.runner.conftest import book, command, shell
from tests.runner.test_run import standing

FULL = StoreTrouble("The disk is full.", "Nothing was written.", "Make room.")


@pytest.mark.req("S000-PD-2")
async def test_without_its_start_on_the_record_nothing_runs(
    player: Player, room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    await player.open(book(command("act", "touch", str(mark))))

    def full(*_: Any) -> Any:
        raise FULL

    with monkeypatch.context() as patch:
        patch.setattr(room.case, "append", full)
        with pytest.raises(StoreTrouble):
            await player.run("act", real=True)
    assert not mark.exists()
    assert (await player.run("act", real=True)).outcome == "done"


@pytest.mark.req("S000-PD-2")
async def test_an_end_that_cannot_be_recorded_leaves_the_step_in_doubt(
    player: Player, room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    await player.open(book(command("act", "touch", str(mark))))
    append = room.case.append

    def later_full(*entries: Any) -> Any:
        if any(entry.kind == "step.finished" for entry in entries):
            raise FULL
        return append(*entries)

    with monkeypatch.context() as patch:
        patch.setattr(room.case, "append", later_full)
        with pytest.raises(StoreTrouble):
            await player.run("act", real=True)
    assert mark.exists()
    (lost,) = await player.lost()
    assert lost.outcome == "unknown"
    assert standing(player, "act") == "unclear"


async def test_output_that_cannot_be_kept_does_not_keep_the_end_back(
    player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    await player.open(book(shell("act", "echo hello")))

    def full(*_: Any) -> Any:
        raise FULL

    monkeypatch.setattr(Blobs, "put", full)
    run = await player.run("act", real=True)
    assert (run.outcome, run.refs) == ("done", ())
    assert "could not be kept: The disk is full" in run.note


async def test_whoever_only_reads_runs_nothing(player: Player, monkeypatch: pytest.MonkeyPatch) -> None:
    await player.open(book(command("act", "true")))
    monkeypatch.setattr(Room, "read_only", property(lambda _: True))
    with pytest.raises(StoreTrouble):
        await player.run("act", real=True)
    with pytest.raises(StoreTrouble):
        await player.mark("act", "done")
    assert await player.lost() == []
