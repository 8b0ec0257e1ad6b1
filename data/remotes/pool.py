"""Connections to a database that threads borrow, and a limit on how long it may take to answer."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Lock, Timer
from typing import TYPE_CHECKING

from data.remotes import AT_ONCE

if TYPE_CHECKING:
    from psycopg import Connection


class Pool:
    """Connections that nobody uses just now; more are made as needed."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._idle: list[Connection] = []
        self._lock = Lock()

    @contextmanager
    def lend(self) -> Iterator[Connection]:
        """A connection that nobody else uses meanwhile."""
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._connect()
        try:
            yield connection
        except BaseException:
            # Whatever state it is in, the next one is fresh: what broke this one may have broken those that wait,
            # and each of them would cost a try of its own.
            connection.close()
            self.close()
            raise
        with self._lock:
            keep = len(self._idle) < AT_ONCE
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()

    def close(self) -> None:
        """Close what nobody uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


@contextmanager
def limited(connection: Connection, seconds: float) -> Iterator[None]:
    """Hang up on a server that does not answer in time: the driver itself would wait for ever.

    Raises:
        TimeoutError: We did.
    """
    late = Event()
    with socket.socket(fileno=os.dup(connection.fileno())) as line:

        def hang_up() -> None:
            late.set()
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

        timer = Timer(seconds, hang_up)
        timer.start()
        try:
            yield
        except Exception:
            if late.is_set():
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()
            timer.join()
