"""Every playbook of the library, opened and gone through in dry run: what it would run can be filled in and shown."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from console.room import Room
from console.runner.fill import fill, fill_check
from console.runner.player import Player
from playbooks import library
from playbooks.response import Playbook

BOOKS = {book.id: book for book in library.Library().documents(Playbook)}
DEFAULT = next(book for book in BOOKS.values() if book.kind == "default")
FITTING = {"": "x", "[a-z]+": "acme"}


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-ins for every program that a playbook names: they write down how they were called."""
    calls = tmp_path / "calls"
    folder = tmp_path / "bin"
    folder.mkdir()
    commands = (
        command
        for book in BOOKS.values()
        for step in book.steps()
        for command in (step.command, step.wait.check if step.wait else None)
    )
    for name in {argv[0] for each in commands if (argv := getattr(each, "argv", ()))}:
        program = folder / name
        program.write_text(
            f"#!{sys.executable}\nimport sys\nopen({str(calls)!r}, 'a').write(repr(sys.argv) + '\\n')\n"
        )
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return calls


def calls_in(programs: Path) -> list[str]:
    """How the programs were called, one line each."""
    return programs.read_text().splitlines() if programs.exists() else []


@pytest.mark.req("S002-SN-16", "S000-PD-2")
@pytest.mark.parametrize("id", sorted(BOOKS))
async def test_every_step_of_the_library_can_be_rehearsed(
    player: Player, room: Room, programs: Path, id: str
) -> None:
    play = await player.open(BOOKS[id].completed(DEFAULT))
    known = player.values(play)
    for value in play.document.values:
        if value.name not in known:
            example = value.example or FITTING.get(value.pattern, "")
            assert example, f"{value.name} has a pattern and no example"
            await player.fill(value.name, example, play.id)
    play = room.incident.plays.opened[id]
    for name, state in play.steps.items():
        found = [each.code for each in player.hindrances(play, state, real=False)]
        if state.step.kind in ("manual", "decision"):
            assert found in (["manual"], ["decision"])
            continue
        assert set(found) <= {"actuator"}, (name, player.hindrances(play, state, real=False))
        if not found:
            run = await player.run(name, id)
            assert (run.dry, run.outcome) == (True, "done"), (name, run.note)
        known = player.values(room.incident.plays.opened[id])
        made = fill(state.step, play, known) or fill_check(state.step, play, known)
        assert made is None or not any("{" + value.name + "}" in made.text for value in play.document.values)
    play = room.incident.plays.opened[id]
    assert play.done == 0, "a dry run settles nothing"
    called = calls_in(programs)
    rehearsing = [step for step in play.steps.values() if step.step.command and step.step.command.dry_run]
    assert len(called) == len(rehearsing)


def test_the_library_names_no_placeholder_for_the_program() -> None:
    for book in BOOKS.values():
        for step in book.steps():
            assert step.command is None or "{" not in step.command.argv[0], step.id
