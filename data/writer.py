"""The one thread that writes a case's log."""

import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import TypeVar

from data import record
from data.clock import Clock
from data.envelope import Entry, Event
from data.handoff import Handoff
from data.identity import Signer
from data.inbox import Answer, Inbox
from data.log import NAME
from data.strands import Log, Staged
from data.trouble import StoreTrouble, explain

POLL_SECONDS = 0.03
"""How often handoff/ is looked at."""
MAX_BATCH = 4000
"""Entries in one transaction; more wait for the next, so that nobody waits for a giant one."""
CHECKPOINT_BYTES = 16 * 1024 * 1024
IDLE_SECONDS = 1.0

T = TypeVar("T")


class Writer(Inbox):
    """Appends groups to the log in the order in which they come.

    Closing appends what is queued or handed over, then closes the log.

    Everything that waits goes into one transaction (group commit), so a hundred callers share one
    fsync; their futures are resolved after COMMIT has returned. After an error the log is opened
    again and its end checked before anything is acknowledged: what the failed commit left behind
    is looked up, never assumed.

    Args:
        directory: The case directory, whose lock this process holds.
        signer: Who writes.
        clock: Gives the wall time.
        committed: Called on this thread after each commit; must return at once.

    Raises:
        StoreTrouble: If the log cannot be opened for writing.
    """

    def __init__(self, directory: Path, signer: Signer, clock: Clock, committed: Callable[[], None]) -> None:
        super().__init__()
        self._path = directory / NAME
        self._signer = signer
        self._clock = clock
        self._committed = committed
        self._log: Log | None = Log(self._path, signer, clock)
        self._end = self._log.end
        self._doubt: Staged | None = None
        self._witnessed = monotonic()
        self._tasks: deque[Callable[[], None]] = deque()
        self.case = self._log.case
        self.trouble = ""
        self._handoff = Handoff(directory, clock.now())
        self._writing = False
        self._thread = Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether somebody waits for an answer."""
        return bool(self._queue or self._tasks) or self._writing

    def run(self, work: Callable[[Log], T]) -> Future[T]:
        """Run `work` on the log between two batches, on the one thread that may.

        Returns:
            A future of what it returns. It fails with `StoreTrouble` where the store does.

        Raises:
            RuntimeError: If the writer was closed.
        """
        answer: Future[T] = Future()
        answer.set_running_or_notify_cancel()

        def task() -> None:
            try:
                log = self._opened()
                try:
                    result = work(log)
                except BaseException:
                    # What it noted in memory may not be what is in the file.
                    self._let_go()
                    raise
                self._end = log.end
            except (sqlite3.Error, OSError) as error:
                answer.set_exception(self._fail(explain(error, self._path)))
            except StoreTrouble as trouble:
                answer.set_exception(self._fail(trouble))
            except Exception as error:
                answer.set_exception(self._fail(_unforeseen(error)))
            else:
                self.trouble = ""
                self._committed()
                answer.set_result(result)

        self._enqueue(task)
        return answer

    def _enqueue(self, task: Callable[[], None]) -> None:
        with self._wake:
            if self._closing:
                raise RuntimeError("the case is closed")
            self._tasks.append(task)
            self._wake.notify()

    def witness(self, reason: record.Reason) -> Future[bool]:
        """Write a checkpoint over every strand seen, unless nothing happened since the last.

        Returns:
            A future of whether one was written.
        """
        answer: Future[bool] = Future()
        answer.set_running_or_notify_cancel()

        def task() -> None:
            result = self._witness(reason)
            if isinstance(result, StoreTrouble):
                answer.set_exception(result)
            else:
                answer.set_result(result)

        self._enqueue(task)
        return answer

    def _witness(self, reason: record.Reason) -> bool | StoreTrouble:
        try:
            log = self._opened()
            if not log.unwitnessed:
                return False
            checkpoint = record.checkpoint(log.heads(), reason)
        except (sqlite3.Error, OSError) as error:
            self._let_go()
            return self._fail(explain(error, self._path))
        except StoreTrouble as trouble:
            return self._fail(trouble)
        result = self._write([(checkpoint,)])
        return result if isinstance(result, StoreTrouble) else True

    def _run(self) -> None:
        looked = idle_since = monotonic()
        while True:
            with self._wake:
                if not self._queue and not self._tasks and not self._closing:
                    self._wake.wait(POLL_SECONDS)
                closing = self._closing
                batch = self._take()
            self._append(batch)
            worked = bool(batch or self._tasks)
            while self._tasks:
                self._writing = True
                self._tasks.popleft()()
            self._writing = False
            self._bear_witness()
            now = monotonic()
            if closing or now - looked >= POLL_SECONDS:
                looked = now
                self._append_handed()
            if worked:
                idle_since = now
            self._move_pages(idle=now - idle_since > IDLE_SECONDS)
            if closing and not self._queue and not self._tasks:
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
            log = self._opened()
            staged = log.stage(groups)
            try:
                log.commit(staged)
            except sqlite3.Error:
                self._let_go()
                self._doubt = staged
                log = self._opened()
                if not log.holds(staged):
                    raise
            self._end = log.end
        except (sqlite3.Error, OSError) as error:
            return self._fail(explain(error, self._path))
        except StoreTrouble as trouble:
            return self._fail(trouble)
        except Exception as error:
            # Whatever it is, nobody may wait for ever for an answer from a thread that has died.
            self._let_go()
            return self._fail(_unforeseen(error))
        self.trouble = ""
        self._committed()
        return staged.answers

    def _opened(self) -> Log:
        """The log, opened again if need be."""
        if self._log is None:
            log = Log(self._path, self._signer, self._clock)
            doubt, self._doubt = self._doubt, None
            if doubt is None or not doubt.sealed or log.end[2] != doubt.sealed[-1].hash:
                log.continued_by(self._end)
            self._log = log
        return self._log

    def _let_go(self) -> None:
        log, self._log = self._log, None
        if log is not None:
            log.close()

    def _bear_witness(self) -> None:
        log = self._log
        if log is None or not log.unwitnessed:
            return
        due = monotonic() - self._witnessed >= record.CHECKPOINT_SECONDS
        # While the disk does not take it, once in a while is often enough to try.
        if due or (log.unwitnessed >= record.CHECKPOINT_EVENTS and not self.trouble):
            self._witnessed = monotonic()
            self._witness("time" if due else "count")

    def _fail(self, trouble: StoreTrouble) -> StoreTrouble:
        self.trouble = str(trouble)
        return trouble

    def _move_pages(self, *, idle: bool) -> None:
        if self._log is None:
            return
        unmoved = self._log.unmoved
        if not (unmoved > CHECKPOINT_BYTES or (idle and (unmoved or self._log.unwiped))):
            return
        try:
            self._log.checkpoint()
        except sqlite3.Error as error:
            # Nothing is lost: the pages stay in the write-ahead log. But the disk may be failing.
            self.trouble = str(explain(error, self._path))
            self._let_go()


def _unforeseen(error: Exception) -> StoreTrouble:
    return StoreTrouble(
        f"The entry could not be written ({error!r}).",
        "It is not on the record; what was confirmed before is.",
        "Try once more; if it fails again, report this as a fault of the program.",
    )
