"""A real watcher process, and what it left on the record."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from console.alerts import Board
from console.events import read
from console.watching import status
from console.watching.status import Status
from data.case import CaseReader
from data.envelope import Event

T = TypeVar("T")
PATIENCE = 60.0


def until(condition: Callable[[], T | None], what: str) -> T:
    """Return the first true value of `condition`; give up after a minute."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.02)
    return value


class Watching:
    """`python -m console.watch` on a home, with port 0 unless told otherwise."""

    def __init__(self, home: Path, *arguments: str, config: str = "", child: bool = False) -> None:
        self.home = home
        self.watch = home / "watch"
        self.arguments = arguments
        self.child = child
        self.parent_end = -1
        self.config = home.parent / f"{home.name}.toml"
        self.config.write_text("[intake]\nport = 0\n" + config)

    def __enter__(self) -> Watching:
        pipe = os.pipe() if self.child else (-1, -1)
        self.parent_end = pipe[1]
        command = [sys.executable, "-m", "console.watch", str(self.home), "--config", str(self.config)]
        if self.child:
            command += ["--child-of-fd", str(pipe[0])]
        self.process = subprocess.Popen(
            [*command, *self.arguments],
            pass_fds=pipe[:1] if self.child else (),
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if self.child:
            os.close(pipe[0])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.errors()
        if self.parent_end >= 0:
            os.close(self.parent_end)
            self.parent_end = -1

    def ready(self) -> Status:
        """Wait until it says that it runs, and return what it says."""

        def up() -> Status | None:
            assert self.process.poll() is None, self.errors()
            return self.status()

        return until(up, "the watcher started")

    def status(self) -> Status | None:
        """What this process, and no earlier one, says of itself."""
        said = status.read(self.watch)
        return said if said is not None and said.pid == self.process.pid else None

    def accepted(self) -> int:
        """How many actions it has taken since it started."""
        said = self.status()
        return sum(sender.accepted for sender in said.senders) if said else 0

    def token(self) -> str:
        """What senders must show."""
        return (self.watch / "token").read_text().strip()

    def kill(self) -> None:
        """Take it away, as a machine out of memory does."""
        self.process.kill()
        self.process.wait()

    def end(self) -> str:
        """Ask it to end, and return what it said."""
        self.process.terminate()
        said = self.errors()
        assert self.process.returncode == 0, said
        return said

    def errors(self) -> str:
        """Wait for its end and return what it said."""
        if not hasattr(self, "_said"):
            self._said = self.process.communicate(timeout=PATIENCE)[1]
        return self._said


async def events(home: Path) -> list[Event]:
    """Every event on the watcher's case."""
    if not (home / "watch" / "log.db").exists():
        return []
    reader = await CaseReader.open(home / "watch")
    try:
        found: list[Event] = []
        while more := await reader.since(found[-1].n if found else 0):
            found += more
        return found
    finally:
        await reader.close()


async def board(home: Path) -> Board:
    """The board that a console would draw."""
    drawn = Board()
    drawn.add(await events(home))
    return drawn


async def kinds(home: Path) -> list[str]:
    """The kinds of all events, in order; every one of them must be readable."""
    found = await events(home)
    assert not [event for event in found if type(read(event)).__name__ == "Unknown"]
    return [event.kind for event in found]
