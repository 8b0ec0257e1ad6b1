"""OTLP protobuf, gzip, through attribution and tripwires, against a bare walk over the attributes."""

from __future__ import annotations

import asyncio
import gzip
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from console.telemetry.attribution import Attribution
from console.telemetry.dialects import read
from console.telemetry.otlp import decode
from console.tripwires.engine import Engine
from console.tripwires.rules import Rules
from console.watching import status
from console.watching.garbage import seldom
from data.clock import SystemClock
from tests.bench.report import Report
from tests.telemetry.otlp_bodies import as_protobuf, span

NAME = "otlp"
ROUNDS = 5
SPANS = 512
BODIES = 16


def bodies(start: int) -> list[bytes]:
    """Return requests of 512 spans from `start` (ns UTC): agent runs with model calls, tools, content."""
    made = []
    number = 2**50
    for body in range(BODIES):
        spans = []
        for run in range(SPANS // 8):
            trace = f"{body * 1000 + run + 1:032x}"
            at = start + (body * SPANS + run * 8) * 1_000_000
            number += 8
            parent = f"{number:016x}"
            for call in range(4):
                chat = {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-5-mini",
                    "gen_ai.response.model": "gpt-5-mini-2026-08-01",
                    "gen_ai.response.id": "chatcmpl-123456789",
                    "gen_ai.usage.input_tokens": 1200,
                    "gen_ai.usage.output_tokens": 80,
                    "operation.cost": 0.00123,
                    "gen_ai.input.messages": "[{'role': 'user', 'content': '" + "word " * 40 + "'}]",
                    "server.address": "api.openai.com",
                }
                spans.append(
                    span(chat, trace=trace, span_id=f"{number + 1 + call:016x}", parent=parent, end=at)
                )
            for call in range(3):
                tool = {
                    "gen_ai.operation.name": "execute_tool",
                    "gen_ai.tool.name": "search",
                    "gen_ai.tool.call.id": f"call_{number + call}",
                }
                spans.append(
                    span(
                        tool, trace=trace, span_id=f"{number + 5 + call:016x}", parent=parent, kind=1, end=at
                    )
                )
            agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": f"agent-{run % 50}"}
            spans.append(span(agent, trace=trace, span_id=parent, kind=1, end=at))
        made.append(as_protobuf(spans, service_name="shop"))
    return made


def walk(body: bytes) -> int:
    """Decode a body and look at the key and value of every attribute, which is the least anybody can do."""
    seen = 0
    request = ExportTraceServiceRequest.FromString(body)
    for group in request.resource_spans:
        for scope in group.scope_spans:
            for item in scope.spans:
                for pair in item.attributes:
                    if pair.key and pair.value.WhichOneof("value"):
                        seen += 1
    return seen


def rate(work: float) -> float:
    """Spans a second."""
    return BODIES * SPANS / work


def run(report: Report) -> None:
    """Interleave rounds of the bare walk and of the whole pipeline, then measure over a socket."""
    now = SystemClock().now()
    seldom()  # as the watcher does; both sides run under it
    bare: list[float] = []
    ours: list[float] = []
    for _ in range(ROUNDS):
        made = [gzip.compress(body, 1) for body in bodies(now)]
        begin = time.process_time()
        assert all(walk(gzip.decompress(body)) for body in made)
        bare.append(time.process_time() - begin)
        known, engine = Attribution(), Engine(Rules(), None)
        begin = time.process_time()
        for body in made:
            spans = decode(gzip.decompress(body), "traces", "protobuf").spans
            engine.feed(known.actions([(each, read(each)) for each in spans]), now)
        ours.append(time.process_time() - begin)
        assert engine.counters["actions"] == BODIES * SPANS * 7 // 8
    bound, value = rate(statistics.median(bare)), rate(statistics.median(ours))
    report(
        "spans/s of CPU through the tripwires",
        value,
        "bare attribute walk",
        bound,
        bound / value,
        "100,000/s",
    )
    over_http, late = asyncio.run(_http(now))
    report("spans/s over HTTP, gzip", over_http, "bare attribute walk", bound, bound / over_http, "100,000/s")
    report("p99 of a POST of 512 spans, ms", late * 1000, "", "", None, "50 ms at half the rate")


async def _http(now: int) -> tuple[float, float]:
    """Return spans a second that a watcher takes over four connections, and the p99 of a POST in seconds."""
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory) / "home"
        config = Path(directory) / "config.toml"
        config.write_text("[intake]\nport = 0\n")
        command = [sys.executable, "-m", "console.watch", str(home), "--config", str(config)]
        watcher = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: ASYNC220
        try:
            # A process that has not started yet has nothing to wait on.
            while (said := status.read(home / "watch")) is None or not said.addresses:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            headers = {
                "Authorization": f"Bearer {(home / 'watch' / 'token').read_text().strip()}",
                "Content-Type": "application/x-protobuf",
                "Content-Encoding": "gzip",
            }
            made = [gzip.compress(body, 1) for body in bodies(now)]
            times: list[float] = []

            async def send(client: aiohttp.ClientSession, queue: list[bytes], pause: float) -> None:
                while queue:
                    body = queue.pop()
                    begin = time.perf_counter()
                    async with client.post(
                        said.addresses[0] + "/v1/traces", data=body, headers=headers
                    ) as answer:
                        assert answer.status == 200, await answer.text()
                    times.append(time.perf_counter() - begin)
                    await asyncio.sleep(pause)

            async with aiohttp.ClientSession() as client:
                await send(client, made[:2], 0)
                queue = [body for start in range(4) for body in bodies_packed(now + start)]
                count = len(queue)
                begin = time.perf_counter()
                await asyncio.gather(*(send(client, queue, 0) for _ in range(4)))
                took = time.perf_counter() - begin
                times.clear()
                queue = bodies_packed(now + 9)
                await asyncio.gather(*(send(client, queue, 2 * took / count * 4) for _ in range(4)))
            return count * SPANS / took, sorted(times)[int(len(times) * 0.99)]
        finally:
            watcher.terminate()
            watcher.wait()


def bodies_packed(start: int) -> list[bytes]:
    """Return the requests, compressed."""
    return [gzip.compress(body, 1) for body in bodies(start)]
