"""A guard around an ASGI application: while the agent is halted it answers 503, and acts no more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from console.guard.guard import Guard, Halted

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Guarded:
    """An application that acts only under a lease.

    Args:
        app: what is guarded.
        guard: whose leave it needs.
        tool: the tool that every request of it is.
        open_paths: answered also while it is halted, such as health checks and the operators' own door. Exact paths.
    """

    def __init__(self, app: App, guard: Guard, *, tool: str = "", open_paths: Iterable[str] = ()) -> None:
        self._app, self._guard, self._tool, self._open = app, guard, tool, frozenset(open_paths)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] not in ("http", "websocket") or scope.get("path") in self._open:
            await self._app(scope, receive, send)
            return
        try:
            if self._guard.covers(self._tool):
                self._guard.check(self._tool)
            else:  # asks the warden first, which must not hold the event loop up
                await asyncio.to_thread(self._guard.check, self._tool)
        except Halted as halted:
            await _refuse(scope, halted, send)
        else:
            await self._app(scope, receive, send)


async def _refuse(scope: Message, halted: Halted, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1013, "reason": "halted"})  # try again later
        return
    body = json.dumps({"error": "halted", "why": str(halted), "epoch": halted.epoch}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"retry-after", b"10"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
