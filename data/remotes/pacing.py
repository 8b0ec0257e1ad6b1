"""Time limits that hold.

Libraries limit each read of a socket, so a server that sends one byte every nine seconds holds them for ever. Here
the limit is on the whole request: some seconds, plus what its bytes take on a slow line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from threading import Lock, Thread
from typing import TypeVar

from data.remotes import troubles

SECONDS = 10.0
RATE = 64 * 1024
"""Bytes a second that a line must carry at least, or we hang up."""

T = TypeVar("T")


def seconds(url: str, options: Mapping[str, str]) -> float:
    """How long a request may take before its bytes count: the option `timeout`."""
    try:
        value = float(options.get("timeout", SECONDS))
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 60:
        raise troubles.misconfigured(
            url, "its timeout is no number of seconds from 0.1 to 60", "Correct the timeout, or leave it out."
        )
    return value


class Pace:
    """The time limit of a request, which moves on while bytes come."""

    def __init__(self, timeout: asyncio.Timeout, allowed: float) -> None:
        self._timeout = timeout
        self._end = asyncio.get_running_loop().time() + allowed

    def came(self, size: int) -> None:
        """So many bytes have come by now, in all."""
        self._timeout.reschedule(self._end + size / RATE)


class Loop:
    """An event loop on a thread of its own, started when it is first needed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None

    def run(self, request: Callable[[Pace], Awaitable[T]], allowed: float) -> T:
        """Make a request and wait for it.

        Args:
            request: Called on the loop, with its time limit.
            allowed: Seconds until it is given up.

        Raises:
            TimeoutError: If it took longer.
        """

        async def limited() -> T:
            async with asyncio.timeout(allowed) as timeout:
                return await request(Pace(timeout, allowed))

        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = Thread(target=self._loop.run_forever, name="remote", daemon=True)
                self._thread.start()
            future = asyncio.run_coroutine_threadsafe(limited(), self._loop)
        try:
            return future.result()
        finally:
            future.cancel()

    def close(self) -> None:
        """Stop the thread; a later request starts another."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None:
            return

        async def end() -> None:
            rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
