"""A command beside an open console: the entry goes through the process that writes, and nobody notices."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.cli.conftest import Warroom

CONSOLE = """
import asyncio, sys
from pathlib import Path
from console.desk import Desk
from data.home import Home

async def main():
    desk = await Desk.open(Home.open(Path(sys.argv[1])), "ana")
    room = await desk.enter()
    assert room.case.writer
    print("open", flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        await desk.refresh()
        print(room.incident.title, "|", await room.lines.count(), flush=True)
    await desk.close()

asyncio.run(main())
"""


@pytest.fixture
def console(declared: Warroom) -> Iterator["subprocess.Popen[str]"]:
    """A process that has the incident open and writes its record, as the console does."""
    process = subprocess.Popen(
        [sys.executable, "-c", CONSOLE, str(declared.home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=declared.environment,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    yield process
    process.stdin.close()
    assert process.wait(20) == 0
    process.stdout.close()


def test_what_a_command_writes_the_open_console_sees(
    declared: Warroom, console: "subprocess.Popen[str]"
) -> None:
    assert console.stdin is not None
    assert console.stdout is not None
    assert "is written by process" in declared.ok("doctor").out
    (value,) = declared.ok("--as", "dee", "note", "-5m", "seen from another shell", "--json").values
    declared.ok("title", "payouts in a loop")
    console.stdin.write("\n")
    console.stdin.flush()
    assert console.stdout.readline().startswith("payouts in a loop | ")
    lines = declared.ok("log", "--json").values
    assert [line["actor"] for line in lines if line["id"] == value["id"]] == ["dee"]
    assert "sound" in declared.ok("verify").out


def test_entries_survive_the_death_of_the_console(
    declared: Warroom, console: "subprocess.Popen[str]"
) -> None:
    declared.ok("note", "before the crash")
    console.kill()
    console.wait(20)
    declared.ok("note", "after the crash")
    texts = [line["text"] for line in declared.ok("log", "--json").values]
    assert [text for text in texts if "the crash" in text] == ["before the crash", "after the crash"]
    # The fixture expects an orderly end, which a killed process cannot give.
    console.returncode = 0
