"""A view that is far behind is brought up by a process of its own, and by the writer's if that one dies."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from time import sleep

import pytest

from data import projector
from data.case import Case
from data.home import Home
from data.line import Line
from data.projecting import Elsewhere, can_be_named
from data.view import Lines
from tests.data.sample import correction, note, project

EVENTS = 3000


async def whole(directory: Path, count: int) -> list[Line]:
    lines = await Lines.open(directory)
    try:
        async with asyncio.timeout(60):
            while await lines.upto() < count:
                await asyncio.sleep(0.01)
                await lines.changed()
        return await lines.window(0, 2 * EVENTS)
    finally:
        await lines.close()


@pytest.mark.parametrize("fate", ["lives", "is killed", "never starts"])
def test_a_view_that_is_far_behind_comes_to_hold_the_same(
    case: Case, home: Home, monkeypatch: pytest.MonkeyPatch, fate: str
) -> None:
    target = case.append(note("one")).result(30)[0]
    case.append(*(note(f"line {number}") for number in range(EVENTS))).result(30)
    # Checkpoints come in between, so the number of the last one is not known beforehand.
    last = case.append(correction(target.hash, text="one, corrected")).result(30)[0].n
    before = asyncio.run(whole(case.directory, last))
    case.close()
    (case.directory / "view.db").unlink()

    began: list[int] = []
    begin = Elsewhere.__init__

    def begun(self: Elsewhere) -> None:
        begin(self)
        began.append(self.process.pid)
        if fate == "is killed":
            os.kill(self.process.pid, signal.SIGKILL)
        elif fate == "never starts":
            self.process.kill()
            self.process.wait()

    monkeypatch.setattr(Elsewhere, "__init__", begun)
    monkeypatch.setattr(projector, "FAR", 1000)
    again = Case.open(case.directory, home, project)
    try:
        assert asyncio.run(whole(case.directory, last)) == before
        assert began
        assert len(began) == 1
        # The thread goes on where the process ended.
        (event,) = again.append(note("afterwards")).result(30)
        assert asyncio.run(whole(case.directory, event.n))[-1].text == "afterwards"
        assert again.trouble == ""
    finally:
        again.close()


def test_closing_does_not_wait_for_the_process(
    case: Case, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.append(*(note(f"line {number}") for number in range(EVENTS))).result(30)
    case.close()
    (case.directory / "view.db").unlink()
    monkeypatch.setattr(projector, "FAR", 1000)
    stopped: list[Elsewhere] = []
    begin = Elsewhere.__init__

    def stop(self: Elsewhere) -> None:
        begin(self)
        os.kill(self.process.pid, signal.SIGSTOP)
        stopped.append(self)

    monkeypatch.setattr(Elsewhere, "__init__", stop)
    again = Case.open(case.directory, home, project)
    while not stopped:
        sleep(0.01)
    again.close()
    assert stopped[0].process.poll() is not None


def test_only_what_another_process_can_import_is_projected_there() -> None:
    assert can_be_named(project)
    assert not can_be_named(lambda _: ())
