"""The one thread that writes a case's log."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from time import monotonic

from data.clock import Clock
from data.envelope import Entry, Event
from data.handoff import Handoff
from data.inbox import Answer, Inbox
from data.log import NAME, Log
from data.trouble import StoreTrouble, explain

POLL_SECONDS = 0.03
"""How often handoff/ is looked at."""
MAX_BATCH = 4000
"""Entries in one transaction; more wait for the next, so that nobody waits for a giant one."""
CHECKPOINT_BYTES = 16 * 1024 * 1024
IDLE_SECONDS = 1.0


class Writer(Inbox):
    """Appends groups to the log in the order in which they come.

    Closing appends what is queued or handed over, then closes the log.

    Everything that waits goes into one transaction (group commit), so a hundred callers share one
    fsync; their futures are resolved after COMMIT has returned. After an error the log is opened
    again and its end checked before anything is acknowledged: what the failed commit left behind
    is looked up, never assumed.

    Args:
        directory: The case directory, whose lock this process holds.
        replica: Who writes, 32 hex digits.
        clock: Gives the wall time.
        committed: Called on this thread after each commit; must return at once.

    Raises:
        StoreTrouble: If the log cannot be opened for writing.
    """

    def __init__(self, directory: Path, replica: str, clock: Clock, committed: Callable[[], None]) -> None:
        super().__init__()
        self._path = directory / NAME
        self._replica = replica
        self._clock = clock
        self._committed = committed
        self._log: Log | None = Log(self._path, replica, clock)
        self.case = self._log.case
        self.trouble = ""
        self._handoff = Handoff(directory, clock.now())
        self._writing = False
        self._unmoved = 0
        self._thread = Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether somebody waits for an answer."""
        return bool(self._queue) or self._writing

    def _run(self) -> None:
        looked = idle_since = monotonic()
        while True:
            with self._wake:
                if not self._queue and not self._closing:
                    self._wake.wait(POLL_SECONDS)
                closing = self._closing
                batch = self._take()
            self._append(batch)
            now = monotonic()
            if closing or now - looked >= POLL_SECONDS:
                looked = now
                self._append_handed()
            if batch:
                idle_since = now
            self._move_pages(idle=now - idle_since > IDLE_SECONDS)
            if closing and not self._queue:
                break
        if self._log is not None:
            self._log.close()

    def _take(self) -> list[tuple[tuple[Entry, ...], Answer]]:
        batch, size = [], 0
        while self._queue and size < MAX_BATCH:
            batch.append(self._queue.popleft())
            size += len(batch[-1][0])
        return batch

    def _append(self, batch: list[tuple[tuple[Entry, ...], Answer]]) -> None:
        if not batch:
            return
        self._writing = True
        result = self._write([entries for entries, _ in batch])
        for index, (_, answer) in enumerate(batch):
            if isinstance(result, StoreTrouble):
                answer.set_exception(result)
            else:
                answer.set_result(result[index])
        self._writing = False

    def _append_handed(self) -> None:
        try:
            for path, entries in self._handoff.waiting():
                if isinstance(self._write([entries]), StoreTrouble):
                    return
                path.unlink(missing_ok=True)
        except OSError as error:
            self.trouble = str(explain(error, self._handoff.path))

    def _write(self, groups: list[tuple[Entry, ...]]) -> list[tuple[Event, ...]] | StoreTrouble:
        try:
            if self._log is None:
                self._log = Log(self._path, self._replica, self._clock)
            staged = self._log.stage(groups)
            try:
                self._log.commit(staged)
            except sqlite3.Error:
                self._log.close()
                self._log = None
                self._log = Log(self._path, self._replica, self._clock)
                if not self._log.holds(staged):
                    raise
        except (sqlite3.Error, OSError) as error:
            return self._fail(explain(error, self._path))
        except StoreTrouble as trouble:
            return self._fail(trouble)
        except Exception as error:
            # Whatever it is, nobody may wait for ever for an answer from a thread that has died.
            return self._fail(_unforeseen(error))
        self.trouble = ""
        self._unmoved += sum(len(sealed.head) + len(sealed.body) + 400 for sealed in staged.sealed)
        self._committed()
        return staged.answers

    def _fail(self, trouble: StoreTrouble) -> StoreTrouble:
        self.trouble = str(trouble)
        return trouble

    def _move_pages(self, *, idle: bool) -> None:
        if self._log is None or not (self._unmoved > CHECKPOINT_BYTES or (idle and self._unmoved)):
            return
        self._unmoved = 0
        try:
            self._log.checkpoint()
        except sqlite3.Error as error:
            # Nothing is lost: the pages stay in the write-ahead log. But the disk may be failing.
            self.trouble = str(explain(error, self._path))
            self._log.close()
            self._log = None


def _unforeseen(error: Exception) -> StoreTrouble:
    return StoreTrouble(
        f"The entry could not be written ({error!r}).",
        "It is not on the record; what was confirmed before is.",
        "Try once more; if it fails again, report this as a fault of the program.",
    )
