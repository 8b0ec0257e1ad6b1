"""The open streams: each guard holds one, and a halt goes into all of them at once.

A word is framed once and given to every connection as it is, without waking a task for each: that is what makes
10,000 of them quick.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

from aiohttp import web

LOOK = 1.0
"""Seconds between looks for connections that have gone."""
BEATS = 10
"""Looks between signs of life."""
BEHIND = 64 * 1024
"""Bytes that a connection may lag behind before it is closed; the guard then opens another."""
DEAD = 20_000
"""Milliseconds after which a connection whose other end answers nothing is given up."""
SLICE = 500


class Streams:
    """The streams by connection. `most`: how many there may be."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[asyncio.Transport, tuple[str, asyncio.Future[None]]] = {}
        self._closing = False

    @property
    def full(self) -> bool:
        """Whether there are too many already."""
        return len(self._open) >= self._most or self._closing

    async def hold(
        self, request: web.BaseRequest, agent: str, first: Callable[[], bytes]
    ) -> web.StreamResponse:
        """Answer with a stream, and return when it is over.

        Args:
            request: what is answered.
            agent: for whom the stream is; it gets what is for all, and what is for this agent.
            first: makes the lines that it gets at once.
        """
        head = {"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"}
        response = web.StreamResponse(headers=head)
        response.enable_chunked_encoding()
        transport = request.transport
        if transport is None:
            return response
        _notice_death(transport)
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            await response.prepare(request)
            # Nothing is said between these two lines: whatever comes is behind the first words, and is not lost.
            self._open[transport] = agent, gone
            await response.write(first() or b"\n")
            await gone
        except ConnectionError:
            pass
        finally:
            self._open.pop(transport, None)
        return response

    def tell(self, line: bytes, agent: str = "") -> None:
        """Say a line to every stream, or to those of one agent."""
        frame = b"%x\r\n%s\r\n" % (len(line), line)
        for transport, (name, _) in list(self._open.items()):
            if agent in ("", name):
                self._write(transport, frame)

    async def watch(self) -> None:
        """Let go of connections that have gone, and show the others that somebody is there; until cancelled."""
        looks = 0
        while True:
            await asyncio.sleep(LOOK)
            looks += 1
            for at, (transport, (_, gone)) in enumerate(list(self._open.items())):
                if transport.is_closing():
                    _over(gone)
                elif looks % BEATS == 0:
                    self._write(transport, b"1\r\n\n\r\n")
                    if at % SLICE == SLICE - 1:
                        await asyncio.sleep(0)

    def close(self) -> None:
        """End all of them."""
        self._closing = True
        for _, gone in list(self._open.values()):
            _over(gone)

    def _write(self, transport: asyncio.Transport, frame: bytes) -> None:
        if transport.get_write_buffer_size() > BEHIND:
            transport.abort()
        else:
            transport.write(frame)


def _over(gone: asyncio.Future[None]) -> None:
    if not gone.done():
        gone.set_result(None)


def _notice_death(transport: asyncio.Transport) -> None:
    """A machine that lost its power closes nothing: let the system give its connection up."""
    held = transport.get_extra_info("socket")
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if held is not None and option is not None:
        with suppress(OSError):
            held.setsockopt(socket.IPPROTO_TCP, option, DEAD)
