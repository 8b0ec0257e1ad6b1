"""One source of the watcher, read for ever; what goes wrong with it stays with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from console.refusal import Refused
from console.telemetry.jsonl import Batch
from console.watching.detection import Detection, Overloaded, said
from console.watching.sources import Source, pack
from console.watching.status import Sender, refuse
from data.clock import Clock

TICK = 1.0
IDLE = 0.05
"""Seconds until a source without news is asked again."""
LONGEST = 60.0
"""Seconds between two tries of a part that goes on failing, at most."""


class Failing:
    """How often one part of the watcher failed since it last worked, and what is said about it."""

    def __init__(self, part: str) -> None:
        self._part = part
        self._in_a_row = 0
        self.trouble = ""
        """One sentence while the part does not work, else empty."""

    def failed(self, error: Exception) -> float:
        """Take note of a failure; return after how many seconds to try again."""
        pause = min(TICK * (1 << min(self._in_a_row, 8)), LONGEST)
        self._in_a_row += 1
        times = "once" if self._in_a_row == 1 else f"{self._in_a_row:,} times in a row"
        self.trouble = (
            f"{self._part} failed {times} ({said(error)}); it is tried again every {pause:.0f} s,"
            " and everything else goes on. Report this."
        )
        return pause

    def worked(self) -> None:
        """Forget the failures."""
        self._in_a_row, self.trouble = 0, ""


class Following:
    """Reads one source.

    Args:
        source: what is read.
        sender: its counters.
        detection: where its actions go.
        clock: by which they are received.
        in_detection: runs work on the detection thread.
    """

    def __init__(
        self,
        source: Source,
        sender: Sender,
        detection: Detection,
        clock: Clock,
        in_detection: Callable[[Callable[[], bool]], Awaitable[Any]],
    ) -> None:
        self.source = source
        self.behind = False
        """Whether there is more to read at once, so that time must not pass for the tripwires yet."""
        self._sender = sender
        self._detection = detection
        self._clock = clock
        self._in_detection = in_detection
        self._held: Batch | None = None
        self._told_lost = False
        self._unreadable = ""
        self._failing = Failing(source.name)

    def trouble(self) -> list[str]:
        """Return what is wrong with the source, one sentence each."""
        return [each for each in (self._failing.trouble, self._unreadable, self.source.lost) if each]

    async def run(self) -> None:
        """Read for ever, or to the end that the source has."""
        while not self.source.ended:
            pause = IDLE
            try:
                self.behind = await self._in_detection(self._take)
                self._failing.worked()
                self._unreadable = ""
                pause = 0 if self.behind else IDLE
            except Overloaded:
                pause = TICK
            except Refused as refused:
                self._unreadable, self.behind = str(refused), False
            except Exception as error:  # whatever it is: the other sources must not end with this one
                refuse(self._sender, "the source failed")
                pause, self.behind = self._failing.failed(error), False
                self._held = None
                self.source.reopen()
            await asyncio.sleep(pause)
        self.behind = False

    def _take(self) -> bool:
        """Read one batch. Returns whether there is more to be had at once."""
        detection, source = self._detection, self.source
        detection.check()
        batch, self._held = self._held or source.next(), None
        if batch.actions or batch.refused:
            now = self._clock.now()
            try:
                detection.take(self._sender, batch.actions, journal=not source.rereadable, received_at=now)
            except Overloaded:
                self._held = batch
                raise
            if source.rereadable:
                detection.positions[source.name] = pack(batch.position)
        if source.lost and not self._told_lost:
            self._told_lost = True
            detection.refuse(self._sender, f"rotated away unread: {source.lost}")
        for refusal in batch.refusals:
            detection.refuse(self._sender, refusal.reason, refusal.raw)
        if batch.refused > len(batch.refusals):
            detection.refuse(self._sender, "more of the same", count=batch.refused - len(batch.refusals))
        return batch.more
