"""Groups of entries that wait for the thread that sees to them."""

from collections import deque
from concurrent.futures import Future
from threading import Condition, Thread

from data.envelope import Entry, Event

Answer = Future[tuple[Event, ...]]


class Inbox:
    """What a writer and a follower share: callers put groups in, one thread takes them out.

    Subclasses make `_thread` and start it once all that it needs is there.
    """

    _thread: Thread

    def __init__(self) -> None:
        self._queue: deque[tuple[tuple[Entry, ...], Answer]] = deque()
        self._wake = Condition()
        self._closing = False

    def submit(self, entries: tuple[Entry, ...]) -> Answer:
        """Queue a checked group.

        Returns:
            A future of its events, resolved when they are on the record. It cannot be cancelled: a group
            that is on its way is on its way.

        Raises:
            RuntimeError: If the case was closed.
        """
        answer: Answer = Future()
        answer.set_running_or_notify_cancel()
        with self._wake:
            if self._closing:
                raise RuntimeError("the case is closed")
            self._queue.append((entries, answer))
            self._wake.notify()
        return answer

    def close(self) -> None:
        """See to what is queued, then end the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()
