"""A halt of 10,000 targets of which some hang and some refuse, beside a bare client that asks and looks the same."""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from console.config import Config, Point
from console.containment import fanout
from console.containment.ordering import Containing
from console.containment.points import Points
from console.containment.state import Order
from console.desk import Desk
from console.room import Room
from data.home import Home
from tests.bench.report import Report

NAME = "halt"
COUNT = 10_000
KEYS = 100
TICK = 0.005


def served(pipe: Connection, hang: float, refuse: float) -> None:
    """Serve agents on one loopback port, in a process of its own: `POST /halt/N` stops, `GET /look/N` tells."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    stopped: set[int] = set()
    acks: list[float] = []
    hangs, refuses = int(COUNT * hang), int(COUNT * refuse)

    def manner(number: int) -> str:
        place = number * 7919 % COUNT  # spread over the list
        return "hangs" if place < hangs else "refuses" if place < hangs + refuses else "good"

    class Agent(asyncio.Protocol):
        transport: asyncio.Transport

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            try:
                _, path, _ = data.split(b" ", 2)
                _, verb, name, *_ = path.split(b"/")
                number = int(name)
            except ValueError:
                self.transport.close()
                return
            how = manner(number)
            if how == "hangs":
                return
            body = b""
            status = b"200 OK"
            if verb == b"look":
                body = b"stopped" if number in stopped else b"running"
            elif how == "refuses":
                status = b"500 No"
            else:
                if number not in stopped:
                    acks.append(time.monotonic())
                stopped.add(number)
            self.transport.write(
                b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
                % (status, len(body), body)
            )
            self.transport.close()

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Agent, "127.0.0.1", 0, backlog=16_384)
        pipe.send(server.sockets[0].getsockname()[1])
        while True:
            asked = await asyncio.to_thread(pipe.recv)
            if asked == "end":
                return
            if asked == "acks":
                pipe.send((len(acks), min(acks, default=0.0), max(acks, default=0.0)))
            stopped.clear()
            acks.clear()

    asyncio.run(serve())


class Agents:
    """The process with the agents."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.port: int = pipe.recv()

    def acks(self) -> tuple[int, float, float]:
        """How many stopped since the last time, and when the first and the last did; monotonic seconds."""
        self._pipe.send("acks")
        count, first, last = self._pipe.recv()
        return int(count), float(first), float(last)


@contextmanager
def agents(hang: float, refuse: float) -> Iterator[Agents]:
    """Start the agents, and end them."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=served, args=(theirs, hang, refuse))
    process.start()
    try:
        yield Agents(ours)
    finally:
        ours.send("end")
        process.join(5)
        process.kill()


async def bare(port: int, count: int) -> float:
    """Ask and look with nothing but asyncio streams, three attempts of two seconds; returns the seconds it took."""
    began = time.monotonic()
    gate = asyncio.Semaphore(fanout.width(count))

    async def ask(path: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"POST {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            return await reader.read()
        finally:
            writer.close()

    async def one(number: int, attempt: int) -> bool:
        async with gate:
            try:
                async with asyncio.timeout(fanout.ATTEMPT):
                    if b" 200 " not in await ask(f"/halt/{number}"):
                        return False
                    return b"stopped" in await ask(f"/look/{number}")
            except (TimeoutError, OSError):
                return False

    left = list(range(count))
    for attempt in range(fanout.ATTEMPTS):
        ends = await asyncio.gather(*(one(number, attempt) for number in left))
        left = [number for number, good in zip(left, ends, strict=True) if not good]
    return time.monotonic() - began


def configured(port: int, count: int) -> Config:
    """One HTTP point with all of them."""
    url = f"http://127.0.0.1:{port}"
    options = {
        "stop": {"url": f"{url}/halt/{{target}}", "effective": True},
        "probe": {
            "method": "GET",
            "url": f"{url}/look/{{target}}",
            "stopped": {"contains": "stopped"},
            "running": {"contains": "running"},
        },
    }
    return Config(points=(Point("fleet", "http", targets=tuple(map(str, range(count))), options=options),))


def unsettled(order: Order) -> bool:
    """Whether a target is neither proven to stand nor given up after its quick attempts."""
    given_up = f"(attempt {fanout.ATTEMPTS})"
    return any(not each.held and given_up not in each.note for each in order.targets)


async def halted(room: Room, config: Config) -> tuple[Order, float, float]:
    """Halt all; returns the order, how late the loop was at worst (s), and when the last target was settled."""
    containing = Containing(Points(config))
    await containing.prepare()
    late = [0.0]

    async def ticking() -> None:
        while True:
            due = time.monotonic() + TICK
            await asyncio.sleep(TICK)
            late.append(time.monotonic() - due)

    ticker = asyncio.create_task(ticking())
    name = await containing.order(room, "halt_all", reason="benchmark")
    order = containing.under_way(name)
    assert order is not None
    last = 99.0
    began = time.monotonic()
    while not order.judged:
        await asyncio.sleep(0.05)
        if last == 99.0 and not unsettled(order):
            last = time.monotonic() - began
    ticker.cancel()
    await containing.finished(name)
    await containing.close()
    return order, max(late), last


async def keys(room: Room, config: Config, reach: Agents) -> list[float]:
    """Seconds from an order to its first request, one after the other."""
    took = []
    for _ in range(KEYS):
        # A console of its own each time: whatever holds is looked at again and again.
        containing = Containing(Points(config))
        await containing.prepare()
        reach.acks()
        began = time.monotonic()
        name = await containing.order(room, "halt_all", reason="benchmark", budget=5)
        await containing.finished(name)
        _, first, _ = reach.acks()
        took.append(first - began)
        await containing.close()
    return took


async def main(report: Report, directory: Path) -> None:
    """Measure."""
    desk = await Desk.open(Home.open(directory / "home"), "ana")
    room = await desk.declare("benchmark", 1)
    with agents(0.05, 0.05) as reach:
        bound = await bare(reach.port, COUNT)
        reach.acks()
        began = time.monotonic()
        order, late, last = await halted(room, configured(reach.port, COUNT))
        count, _, end = reach.acks()
        report(
            f"{COUNT:,} targets, 5 % hang, 5 % refuse: last ack of {count:,}, s",
            end - began,
            "",
            "",
            None,
            "<= 3 s",
        )
        report(
            "the same: everything settled, s",
            last,
            "bare asyncio client",
            bound,
            last / bound,
            "<= 10 s, <= 1.5x",
        )
        report("the same: the loop of the screen late, worst, ms", late * 1000, "", "", None, "<= 50 ms")
    with agents(0.3, 0.0) as reach:
        order, late, last = await halted(room, configured(reach.port, COUNT))
        verdict = order.judged.ms / 1000 if order.judged is not None else 99.0
        report(f"{COUNT:,} targets, 30 % hang: everything settled, s", last, "", "", None, "<= 25 s")
        report("the same: the verdict, s", verdict, "", "", None, "<= 30 s")
    with agents(0.0, 0.0) as reach:
        took = sorted(await keys(room, configured(reach.port, 20), reach))
        report(
            f"from the order to its first request at the target, p99 of {KEYS}, ms",
            took[int(len(took) * 0.99)] * 1000, "median", statistics.median(took) * 1000, None, "<= 50 ms",
        )  # fmt: skip
    await desk.close()


def run(report: Report) -> None:
    """Run it in a home of its own."""
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(main(report, Path(directory)))
