"""Agents on a loopback port that really take orders, each as badly as it is told, and the way to them."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from console.containment.actuator import Answer, Call, Declined, Reading, Unreachable

Manner = Literal["good", "hangs", "refuses", "lies", "slow", "revives", "dead", "forbids"]
SLOW = 0.7


@dataclass
class Agent:
    """One agent. `asked`: the verbs that came, with the order they came under."""

    manner: Manner = "good"
    running: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)


class Fleet:
    """A server on which `/VERB/AGENT/ORDER` stops or restores, and `/look/AGENT` tells whether it runs."""

    def __init__(self, manners: Iterable[Manner]) -> None:
        self.agents = {f"a{at}": Agent(manner) for at, manner in enumerate(manners)}
        self.first = 0.0
        self.open = self.most = 0
        self.counts: Counter[str] = Counter()
        self.log: list[tuple[str, str]] = []
        self.before: Callable[[], object] = lambda: None
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait()

    def close(self) -> None:
        """End it, with the requests that hang."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _run(self) -> None:
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._over = asyncio.Event()
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0, backlog=4096)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        import time

        self.open += 1
        self.most = max(self.most, self.open)
        try:
            line = await reader.readline()
            self.first = self.first or time.monotonic()
            status, said = await self._said(line.decode().split()[1].strip("/").split("/"))
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(said)}\r\n\r\n{said}".encode())
            await writer.drain()
        except (IndexError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _said(self, path: list[str]) -> tuple[int, str]:
        verb, name, *rest = path
        self.before()
        self.counts[verb] += 1
        self.log.append((verb, name))
        agent = self.agents.get(name)
        if agent is None:
            return 404, ""
        if agent.manner in ("hangs", "dead"):
            await asyncio.sleep(3600)
        if verb == "look":
            return 200, "running" if agent.running else "stopped"
        agent.asked.append((verb, rest[0] if rest else ""))
        match agent.manner:
            case "refuses":
                return 500, ""
            case "forbids":
                return 401, ""
            case "lies":
                return 200, ""
            case "slow":
                await asyncio.sleep(SLOW)
        agent.running = verb.startswith("restore")
        return 200, ""


class Wire:
    """The actuator for them: a connection for each request, nothing shared."""

    verbs = frozenset({"halt_all", "halt_agent", "restore_agent"})

    def __init__(self, port: int) -> None:
        self.port = port
        self.closed = False

    def plan(self, call: Call) -> str:
        return f"GET /{call.verb}/{call.target}/{call.order}"

    async def apply(self, call: Call) -> Answer:
        status, _ = await self._get(f"/{call.verb}/{call.target}/{call.order}", call.timeout)
        if status == 401:
            raise Declined("wrong credentials (401)")
        if status != 200:
            raise Declined(f"it answered {status}")
        return Answer(effective=True, note="it says so")

    async def probe(self, call: Call) -> Reading:
        try:
            status, said = await self._get(f"/look/{call.target}", call.timeout)
        except Unreachable as error:
            return Reading("unknown", str(error))
        if status == 200 and said in ("running", "stopped"):
            return Reading("running" if said == "running" else "stopped", f"it is {said}")
        return Reading("unknown", f"it answered {status}")

    async def close(self) -> None:
        self.closed = True

    async def _get(self, path: str, seconds: float) -> tuple[int, str]:
        writer = None
        try:
            async with asyncio.timeout(seconds):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())
                raw = await reader.read()
        except TimeoutError:
            raise Unreachable(f"no answer within {seconds:g} s") from None
        except OSError as error:
            raise Unreachable(error.strerror or "no connection") from None
        finally:
            if writer is not None:
                writer.close()
        head, _, body = raw.partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()
