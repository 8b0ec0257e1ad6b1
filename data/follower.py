"""What a process does that has something for the record while another one writes it."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from time import monotonic

import msgspec

from data.clock import Clock
from data.envelope import Entry, Event
from data.handoff import Handoff
from data.inbox import Answer, Inbox
from data.log import EVENT_COLUMNS, NAME, connect, read_row
from data.trouble import StoreTrouble, explain

POLL_SECONDS = 0.03
PATIENCE_SECONDS = 5.0


@dataclass
class _Pending:
    path: Path
    keys: list[str]
    answer: Answer
    deadline: float


class Follower(Inbox):
    """Hands groups to the writer through the disk and sees them arrive in the log.

    Args:
        directory: The case directory.
        clock: Says when an entry without a time happened.
        step_up: Tries to take over from a writer that is gone, and says what is in the way; called on this
            thread.
        patience: Seconds until a group that did not arrive is reported as waiting, also when closing.
    """

    def __init__(
        self,
        directory: Path,
        clock: Clock,
        step_up: Callable[[], StoreTrouble | None],
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        super().__init__()
        self._path = directory / NAME
        self._clock = clock
        self._step_up = step_up
        self._patience = patience
        self._handoff = Handoff(directory, clock.now())
        self._pending: list[_Pending] = []
        self._db: sqlite3.Connection | None = None
        self._thread = Thread(target=self._run, name="log-follower", daemon=True)
        self._thread.start()

    def submit(self, entries: tuple[Entry, ...]) -> Answer:
        """Queue a checked group for handing over; an entry without a time happened now."""
        now = self._clock.now()
        return super().submit(
            tuple(e if e.at is not None else msgspec.structs.replace(e, at=now) for e in entries)
        )

    def _run(self) -> None:
        while True:
            with self._wake:
                if not self._queue and not self._closing:
                    self._wake.wait(POLL_SECONDS if self._pending else None)
                queued = list(self._queue)
                self._queue.clear()
            for entries, answer in queued:
                self._leave(entries, answer)
            if self._pending:
                self._look(self._step_up())
            with self._wake:
                if self._closing and not self._queue:
                    if not self._pending:
                        break
                    self._wake.wait(POLL_SECONDS)
        if self._db is not None:
            self._db.close()

    def _leave(self, entries: tuple[Entry, ...], answer: Answer) -> None:
        try:
            path, keys = self._handoff.leave(entries)
        except OSError as error:
            answer.set_exception(explain(error, self._handoff.path))
        else:
            self._pending.append(_Pending(path, keys, answer, monotonic() + self._patience))

    def _look(self, obstacle: StoreTrouble | None) -> None:
        still: list[_Pending] = []
        problem = ""
        for pending in self._pending:
            events: list[Event] = []
            try:
                if self._db is None:
                    self._db = connect(self._path)
                for key in pending.keys:
                    row = self._db.execute(
                        f"SELECT {EVENT_COLUMNS} FROM events"  # noqa: S608
                        " WHERE n = (SELECT n FROM handed WHERE key = ?)",
                        (key,),
                    ).fetchone()
                    if row is None:
                        break
                    events.append(read_row(row))
            except sqlite3.Error as error:
                problem = str(explain(error, self._path))
            except StoreTrouble as trouble:
                problem = str(trouble)
            if len(events) == len(pending.keys):
                pending.answer.set_result(tuple(events))
            elif obstacle is not None:
                # Nobody writes, and neither can we: waiting would only put off saying why.
                pending.answer.set_exception(
                    StoreTrouble(obstacle.what, _SAFE.format(pending.path), obstacle.next_step)
                )
            elif monotonic() > pending.deadline:
                pending.answer.set_exception(_waiting(pending.path, problem))
            else:
                still.append(pending)
        self._pending = still


_SAFE = "The entry is safe on this disk in {} and will be appended by the next writer: do not enter it again."


def _waiting(path: Path, problem: str) -> StoreTrouble:
    return StoreTrouble(
        f"The process that writes this case has not taken the entry yet. {problem}".strip(),
        _SAFE.format(path),
        "See whether the other war room on this machine hangs (`warroom doctor`).",
    )
