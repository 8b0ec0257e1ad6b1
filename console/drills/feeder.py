"""Writes what simulated agents do into a file, each action when the drill's clock reaches it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Event, Thread

import msgspec

from console.telemetry.action import Action
from data.clock import Clock

SECOND = 1_000_000_000
STEP = 0.05
"""Real seconds between two looks at the clock."""


def write(path: Path, actions: Iterable[Action]) -> int:
    """Write `actions` as JSON lines into a new file that only its owner can read. Returns how many."""
    encode = msgspec.json.Encoder().encode
    count = 0
    path.touch(0o600)
    with path.open("wb") as file:
        for action in actions:
            file.write(encode(action) + b"\n")
            count += 1
    return count


class Feeder:
    """Appends `actions` to a file as their time comes, on a thread of its own.

    Args:
        path: the file, which a watcher follows.
        actions: in the order of time.
        clock: the drill's clock.
    """

    def __init__(self, path: Path, actions: Iterator[Action], clock: Clock) -> None:
        self._path, self._actions, self._clock = path, actions, clock
        self._stop = Event()
        self._thread = Thread(target=self._run, name="feeder", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the line that is being written."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        encode = msgspec.json.Encoder().encode
        waiting = next(self._actions, None)
        with self._path.open("ab", buffering=0) as file:
            while waiting is not None and not self._stop.is_set():
                now = self._clock.now()
                due = bytearray()
                while waiting is not None and waiting.at <= now:
                    due += encode(waiting) + b"\n"
                    waiting = next(self._actions, None)
                if due:
                    file.write(due)
                self._stop.wait(STEP)
