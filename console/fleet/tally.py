"""Counters of what the tools really did, in memory that all processes of the fleet share.

The tools count, not the agents: whatever an agent answers when it is asked, here stands whether it acts.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from time import monotonic_ns
from typing import Literal

FILE = "tally"
_ROW = struct.Struct("<QQQQ8Q")

State = Literal["absent", "running", "halted", "ended"]
STATES: tuple[State, ...] = ("absent", "running", "halted", "ended")


@dataclass(frozen=True, slots=True)
class Row:
    """One agent. `at`: monotonic ns of its last call; 0 = none yet. `tools`: calls by class; 0 is calls without effect."""

    pid: int
    state: State
    calls: int
    at: int
    tools: tuple[int, ...]


class Tally:
    """The counters of a fleet; each row is written by one process only.

    Args:
        path: the file behind the memory.
        rows: how many agents; None = as many as the file has.
    """

    def __init__(self, path: Path, rows: int | None = None) -> None:
        if rows is not None:
            path.write_bytes(bytes(rows * _ROW.size))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)
        self.rows = len(self._memory) // _ROW.size

    def __getitem__(self, row: int) -> Row:
        pid, state, calls, at, *tools = _ROW.unpack_from(self._memory, row * _ROW.size)
        return Row(pid, STATES[state], calls, at, tuple(tools))

    def born(self, row: int, pid: int) -> None:
        """Say that an agent runs."""
        self._set(row, 0, pid)
        self.move(row, "running")

    def move(self, row: int, state: State) -> None:
        """Say in which state an agent really is."""
        self._set(row, 1, STATES.index(state))

    def count(self, row: int, number: int) -> None:
        """Count a call of the tool of class `number`, 0 for one without effect."""
        before = self[row]
        self._set(row, 3, monotonic_ns())
        self._set(row, 4 + number, before.tools[number] + 1)
        self._set(row, 2, before.calls + 1)

    def _set(self, row: int, place: int, value: int) -> None:
        struct.pack_into("<Q", self._memory, row * _ROW.size + place * 8, value)
