"""An agent that acts all the time under a guard: `python -m tests.warden.agent FORM URL KEY LOG`.

It writes a line for everything it tries: `acted` or `halted`, and when, in seconds of the monotonic clock, which all
processes of a machine share. FORM: decorator, asgi, or clock (a decorator, and the wall clock leaps all the time).
The form `mcp` is the server behind `console.guard.mcp`: it acts for every call that reaches it.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from console.guard import Guard, Halted
from console.guard.asgi import Guarded

PAUSE = 0.02


def main(form: str, url: str, key: str, log: str) -> None:
    """Act until killed."""
    with Path(log).open("a", buffering=1) as lines:

        def note(what: str) -> None:
            lines.write(f"{what} {time.monotonic()}\n")

        if form == "mcp":
            serve(note)
            return
        guard = Guard(url, "refunds", key)
        if form == "asgi":
            asyncio.run(answer(guard, note))

        @guard.tool("refund")
        def act() -> None:
            note("acted")

        while True:
            if form == "clock":
                leap()
            try:
                act()
            except Halted:
                note("halted")
            time.sleep(PAUSE)


def leap() -> None:
    """Let the wall clock show a year ago, or ten years on."""
    shift = 315_360_000 if time.time_ns() < 2 * 10**18 else -31_536_000
    now = time.monotonic_ns() + 1_760_000_000 * 10**9
    time.time = lambda: now / 10**9 + shift
    time.time_ns = lambda: now + shift * 10**9


async def answer(guard: Guard, note: Callable[[str], None]) -> None:
    """Be an ASGI application that gets a request all the time."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        note("acted")

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message.get("status") == 503:
            note("halted")

    guarded = Guarded(app, guard, tool="refund")
    while True:
        await guarded({"type": "http", "path": "/refund"}, receive, send)
        await asyncio.sleep(PAUSE)


def serve(note: Callable[[str], None]) -> None:
    """Be an MCP server."""
    for line in sys.stdin:
        message = json.loads(line)
        if message.get("method") == "tools/call":
            note("acted")
        if "id" in message:
            print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": {"content": []}}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
