import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import BinaryIO

import pytest

from data.case import Case, found
from data.home import Home
from tests.data.sample import FOUNDING, project

ROOT = Path(__file__).parents[2]


class Worker:
    """A process that reports through a pipe and can be killed."""

    def __init__(self, pid: int, pipe: BinaryIO) -> None:
        self.pid = pid
        self._pipe = pipe
        self.said: list[str] = []

    def hear(self, lines: int) -> bool:
        """Wait for so many lines; False if the process ended before."""
        for _ in range(lines):
            line = self._pipe.readline()
            if not line.endswith(b"\n"):
                return False
            self.said.append(line.decode().rstrip("\n"))
        return True

    def hear_all(self) -> list[str]:
        """Wait for its end, and give all that it said."""
        while self.hear(1):
            pass
        self._pipe.close()
        return self.said

    def kill(self) -> list[str]:
        """Kill it at once, and give all that it had said."""
        os.kill(self.pid, signal.SIGKILL)
        return self.hear_all()


class Nursery:
    """Starts workers."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = count()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.child"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, deed: str, *args: object) -> Worker:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        pipe = self._directory / f"pipe-{next(self._numbers)}"
        os.mkfifo(pipe)
        print(json.dumps({"do": deed, "pipe": str(pipe), "args": args}), file=self._process.stdin, flush=True)
        pid = int(self._process.stdout.readline())
        return Worker(pid, pipe.open("rb"))

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    nursery = Nursery(tmp_path)
    yield nursery
    nursery.close()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "home")


@pytest.fixture
def record(home: Home) -> Path:
    """The directory of a closed case with nothing but its founding event."""
    case: Case = found(home, FOUNDING, project)
    case.close()
    return case.directory
