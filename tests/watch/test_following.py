"""A source that fails stays alone with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from console.telemetry.action import Action
from console.telemetry.jsonl import Batch, Position
from console.watching.following import LONGEST, Failing, Following
from console.watching.sources import StdinSource
from tests.watch.conftest import T0, Bench
from tests.watch.process import Watching, board, until


class Scripted:
    """A source that does what it was told to, in turn, and then ends."""

    kind = "jsonl"
    rereadable = True
    lost = ""

    def __init__(self, *turns: Exception | int) -> None:
        self.name = "scripted"
        self.turns = list(turns)
        self.reopened = 0
        self.ended = False

    def next(self) -> Batch:
        turn = self.turns.pop(0)
        self.ended = not self.turns
        if isinstance(turn, Exception):
            raise turn
        return Batch([Action(at=T0 + turn, agent="a")], [], 0, Position(turn), not self.ended)

    def reopen(self) -> None:
        self.reopened += 1

    def close(self) -> None:
        pass


async def at_once(work: Callable[[], bool]) -> bool:
    return work()


async def follow(bench: Bench, source: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Following, list[float]]:
    """Follow a source to its end without waiting; return the pauses."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    following = Following(source, bench.sender, bench.detection, bench.clock, at_once)
    await following.run()
    return following, pauses


async def test_a_source_that_fails_is_tried_again_ever_later_and_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistakes = [KeyError("a mistake") for _ in range(4)]
    source = Scripted(1, *mistakes, 2, 3)
    following, pauses = await follow(bench, source, monkeypatch)
    assert bench.sender.accepted == 3
    assert bench.sender.refused == {"the source failed": 4}
    assert [pause for pause in pauses if pause >= 1] == [1, 2, 4, 8]
    assert source.reopened == 4
    assert following.trouble() == [], "it works again"


async def test_what_goes_on_failing_is_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    following, pauses = await follow(bench, Scripted(*[KeyError("a mistake")] * 20), monkeypatch)
    assert max(pauses) == LONGEST
    (sentence,) = following.trouble()
    assert "20 times in a row (KeyError: 'a mistake')" in sentence
    assert not following.behind, "a source that does not work must not stop time for the others"


def test_standard_input_that_cannot_be_read_ends_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError("a mistake")

    monkeypatch.setattr("console.watching.sources.stream", broken)
    source = StdinSource()
    with pytest.raises(OSError, match="a mistake"):
        until(lambda: source.next().more, "the failure came")
    assert source.ended


def test_failures_are_forgotten_once_it_works() -> None:
    failing = Failing("it")
    assert [failing.failed(ValueError("x")) for _ in range(3)] == [1, 2, 4]
    failing.worked()
    assert not failing.trouble
    assert failing.failed(ValueError("x")) == 1


async def test_one_file_that_fails_leaves_the_others_and_is_shown(tmp_path: Path) -> None:
    """A real watcher: one file becomes a directory, which is refused; the other one is watched on."""
    home, good, bad = tmp_path / "home", tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    bad.mkdir()
    good.write_text("")
    with Watching(home, "--jsonl", str(bad), "--jsonl", str(good)) as watching:
        watching.ready()
        good.write_text('{"at": 1764000000000000000, "agent": "a"}\n')
        until(lambda: watching.accepted() == 1, "the good file was read")

        def shown() -> bool:
            said = watching.status()
            return said is not None and any("is not a regular file" in each for each in said.trouble)

        until(shown, "the status says what is wrong")
        bad.rmdir()
        bad.write_text('{"at": 1764000000000000001, "agent": "a"}\n')
        until(lambda: watching.accepted() == 2, "it was tried again")
        until(lambda: not shown(), "the status forgets what is mended")
        watching.end()
    assert not (await board(home)).alerts
