"""kill -9 of console and watcher together, while somebody types and agents act: what counted as saved is there."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import sqlite3
import sys
import threading
import urllib.request
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from typing import Any

from console.events import NoteWritten, read
from console.watching import status
from console.watching.status import Status
from data.clock import SystemClock
from data.home import Home
from data.reader import CaseReader
from data.verify import verify
from tests.telemetry.otlp_bodies import as_json
from tests.terminal.pty_terminal import Terminal
from tests.terminal.test_terminal import ROOT, record
from tests.watch.process import until
from tests.watch.test_watcher import INVENTORY, tool_call

KILLS = int(os.environ.get("WARROOM_KILLS", "3"))
WHOLE = 6
ON_RECORD = re.compile(r" ana +(line \d+ )")
"""A line as the timeline shows it; the write bar has no name before it."""


class Intake:
    """The watcher that listens on `home`, as senders see it."""

    def __init__(self, home: Path) -> None:
        self._watch = home / "watch"
        said = until(self.status, "the watcher listens")
        self.pid, self._address = said.pid, said.addresses[0]
        self._token = (self._watch / "token").read_text().strip()

    def status(self) -> Status | None:
        """What it says of itself, once it listens."""
        holder, said = status.running(self._watch), status.read(self._watch)
        return said if holder and said and said.addresses and said.pid == holder.pid else None

    def duplicates(self) -> int:
        """How many actions it had been given before."""
        said = self.status()
        return sum(sender.duplicate for sender in said.senders) if said else 0

    def send(self, calls: list[Any]) -> None:
        """Hand over `calls`; returns once the watcher has said that it has them."""
        body = as_json(calls, service_name="shop")
        request = urllib.request.Request(self._address + "/v1/traces", body, method="POST")
        request.add_header("Content-Type", "application/json")
        request.add_header("Authorization", f"Bearer {self._token}")
        with urllib.request.urlopen(request, timeout=60):
            return


class Agent:
    """Calls tools that nobody declared, as fast as the watcher takes it, until nobody listens any more.

    Attributes:
        taken: calls that the watcher said it has.
    """

    def __init__(self, intake: Intake, first: int) -> None:
        self._intake, self._first = intake, first
        self.taken: list[Any] = []
        self._thread = threading.Thread(target=self._act, daemon=True)
        self._thread.start()

    def _act(self) -> None:
        with suppress(OSError):
            for number in count(self._first):
                call = tool_call(f"tool-{number}", SystemClock().now(), number)
                self._intake.send([call])
                self.taken.append(call)

    def join(self) -> None:
        """Wait until the agent has noticed that nobody listens any more."""
        self._thread.join(60)
        assert not self._thread.is_alive()


def room(home: Path, config: Path) -> Terminal:
    """Return the console as the command line opens it, with a watcher of its own."""
    command = [sys.executable, "-m", "console.cli", "--home", str(home), "--as", "ana"]
    return Terminal(command, 200, 50, PYTHONPATH=str(ROOT), WARROOM_CONFIG=str(config))


def typist(terminal: Terminal, keys: str) -> threading.Thread:
    """Type `keys` whatever happens meanwhile, also after the console is gone."""

    def type_on() -> None:
        for at in range(0, len(keys), 7):
            with suppress(OSError):
                terminal.send(keys[at : at + 7])

    thread = threading.Thread(target=type_on, daemon=True)
    thread.start()
    return thread


async def written(case: Path) -> list[str]:
    """Return every line that ana wrote, entries of several lines taken apart."""
    reader = await CaseReader.open(case)
    try:
        bodies = [read(event) for event in await reader.since(0, limit=100_000)]
    finally:
        await reader.close()
    return [line for body in bodies if isinstance(body, NoteWritten) for line in body.text.splitlines()]


def drafted(case: Path) -> str:
    """Return every draft that is on the disk."""
    with closing(sqlite3.connect(case / "drafts.db")) as db:
        return "\n".join(text for (text,) in db.execute("SELECT text FROM drafts"))


def killed(home: Path, config: Path, case: Path, keys: str, safe: str, calls: int) -> tuple[Agent, set[str]]:
    """Type `keys` until `safe` is on the disk, then kill everything. Returns the agent and what was on the record."""
    with room(home, config) as terminal:
        terminal.until_shows("unacked")
        intake = Intake(home)
        agent = Agent(intake, calls)
        terminal.send("i")
        terminal.until_shows("Esc  leave")
        typing = typist(terminal, keys)
        until(lambda: len(agent.taken) > 5, "the agent acts")
        until(lambda: safe in drafted(case), "half a line is on the disk")
        seen = set(ON_RECORD.findall(terminal.text))
        os.kill(intake.pid, signal.SIGKILL)
        terminal.process.kill()
        terminal.wait()
        agent.join()
        typing.join()
    return agent, seen


def test_killed_together_under_load_nothing_that_counted_as_saved_is_lost(tmp_path: Path) -> None:
    home, config = record(tmp_path), tmp_path / "config.toml"
    config.write_text("[intake]\nport = 0\n" + INVENTORY)
    case = Home.open(home).case_dir(Home.open(home).cases()[0])
    moments = random.Random(11)
    calls: list[Any] = []
    acknowledged: set[str] = set()
    for kill in range(KILLS):
        lines = [f"line {kill * WHOLE + i} {'word ' * moments.randint(1, 8)}end" for i in range(WHOLE)]
        half = " ".join(f"{kill}w{i:03}" for i in range(400))
        safe = f"{kill}w{moments.choice((0, 1, 5, 30, 60)):03}"
        agent, seen = killed(home, config, case, "\r".join([*lines, half]), safe, kill * 1_000_000)
        calls += agent.taken
        acknowledged |= seen
        there = asyncio.run(written(case))
        assert [line for line in acknowledged if not any(each.startswith(line) for each in there)] == []
        with room(home, config) as terminal:
            terminal.until_shows("is back")
            terminal.send("\r")
            terminal.until_shows("Enter again saves it")
            terminal.send("\r")
            terminal.until_saved()
            terminal.send(b"\x11")
            assert terminal.wait() == 0, terminal.text
        there = asyncio.run(written(case))
        assert [line for line in lines if line not in there] == []
        assert safe in there[-1], "what was on the disk came back"
        assert half.startswith(there[-1]), "what came back is what was typed, up to some key"
    assert acknowledged
    with room(home, config) as terminal:
        terminal.until_shows("unacked")
        intake = Intake(home)
        intake.send(calls)
        until(lambda: intake.duplicates() == len(calls), "the watcher knows every call that it had taken")
    assert verify(case).damage == verify(home / "watch").damage == []
