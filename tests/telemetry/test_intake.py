"""The door: what each kind of sender sees, and what is counted."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from console.telemetry.intake import Busy, Intake, Limits, Taken
from console.telemetry.otlp import Content, decode
from console.telemetry.otlp_record import Signal, Undecodable
from tests.telemetry.otlp_bodies import as_json, as_protobuf, span

TOKEN = "a-token-of-some-length"
SMALL = Limits(wire=200_000, body=400_000, in_flight=1_000_000, waiting=4, connections=8, idle=0.5, read=0.5)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that other tasks bring about; give up after half a minute."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - the server has nothing to wait on
            await asyncio.sleep(0.01)


@dataclass
class Door:
    """A running intake, what it took, and what it turned away."""

    intake: Intake
    client: aiohttp.ClientSession
    taken: list[tuple[bytes, Signal, Content]] = field(default_factory=list)
    refused: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where traces go."""
        return self.intake.addresses[0] + "/v1/traces"

    async def post(
        self, body: Any = b"{}", *, url: str = "", content: str = "application/json", **headers: str | None
    ) -> tuple[int, bytes, dict[str, str]]:
        """Post as a proper sender; a header of None is left out."""
        sent = {"Authorization": f"Bearer {TOKEN}", "Content-Type": content}
        for name, value in headers.items():
            if value is None:
                sent.pop(name.replace("_", "-"))
            else:
                sent[name.replace("_", "-")] = value
        async with self.client.post(url or self.url, data=body, headers=sent) as answer:
            return answer.status, await answer.read(), dict(answer.headers)


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    """An intake with small budgets; a body of `busy` is not taken, `flawed` is taken in part."""

    async def sink(body: bytes, signal: Signal, content: Content) -> Taken:
        if body == b"busy":
            raise Busy("detection is behind", 7)
        if body == b"flawed":
            return Taken(3, "three spans have no end")
        decode(body, signal, content)
        opened.taken.append((body, signal, content))
        return Taken()

    intake = Intake(
        sink,
        lambda reason, raw: opened.refused.append((reason, raw)),
        TOKEN,
        paths={"/api/public/otel/v1/traces": "traces"},
        limits=SMALL,
    )
    await intake.start([0])
    async with aiohttp.ClientSession() as client:
        opened = Door(intake, client)
        yield opened
    await intake.close()


async def test_what_is_accepted_is_answered_in_its_own_type(door: Door) -> None:
    spans = [span({"gen_ai.operation.name": "chat"})]
    for body, content in (
        (as_json(spans), "application/json"),
        (as_protobuf(spans), "application/x-protobuf"),
    ):
        for encoding, packed in (
            (None, body),
            ("gzip", gzip.compress(body)),
            ("deflate", zlib.compress(body)),
            ("gzip", gzip.compress(body[:9]) + gzip.compress(body[9:])),
        ):
            headers = {"Content_Encoding": encoding} if encoding else {}
            code, answer, said = await door.post(packed, content=content, **headers)
            assert (code, answer in (b"", b"{}"), said["Content-Type"].split(";")[0]) == (200, True, content)
            assert door.taken[-1][0] == body
    assert door.refused == []
    assert {taken[2] for taken in door.taken} == {"json", "protobuf"}


async def test_paths_say_what_is_sent(door: Door) -> None:
    base = door.intake.addresses[0]
    for path, signal in (("/v1/logs", "logs"), ("/api/public/otel/v1/traces", "traces")):
        assert (await door.post(url=base + path))[0] == 200
        assert door.taken[-1][1] == signal
    assert (await door.post(b"", content="application/x-protobuf"))[0] == 200  # an empty request is a success


async def test_chunked_bodies_need_no_length(door: Door) -> None:
    body = as_json([span()] * 50)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 1000):
            yield body[start : start + 1000]

    assert (await door.post(pieces()))[0] == 200
    assert door.taken[-1][0] == body


async def test_partial_success(door: Door) -> None:
    code, answer, _ = await door.post(b"flawed", content="application/x-protobuf")
    partial = ExportTraceServiceResponse.FromString(answer).partial_success
    assert (code, partial.rejected_spans, partial.error_message) == (200, 3, "three spans have no end")
    code, answer, _ = await door.post(b"flawed")
    assert json.loads(answer) == {
        "partialSuccess": {"rejectedSpans": "3", "errorMessage": "three spans have no end"}
    }


async def test_metrics_are_answered_with_the_truth(door: Door) -> None:
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add().metrics.add().gauge.data_points.add()
    url = door.intake.addresses[0] + "/v1/metrics"
    code, answer, _ = await door.post(request.SerializeToString(), url=url, content="application/x-protobuf")
    partial = ExportMetricsServiceResponse.FromString(answer).partial_success
    assert (code, partial.rejected_data_points) == (200, 1)
    assert "not used" in partial.error_message
    assert [reason for reason, _ in door.refused] == ["metrics are not used"]
    assert door.taken == []


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"Authorization": None}, 401, "no valid token"),
        ({"Authorization": "Bearer "}, 401, "no valid token"),
        ({"Authorization": f"Bearer {TOKEN}x"}, 401, "no valid token"),
        ({"Authorization": f"Basic {TOKEN}"}, 401, "no valid token"),
        ({"Authorization": "Bearer \udcff"}, 401, "no valid token"),
        ({"Host": "evil.example"}, 403, "wrong Host"),
        ({"Host": "localhost"}, 403, "wrong Host"),
        ({"Host": "127.0.0.1:1"}, 403, "wrong Host"),
        ({"Host": ""}, 403, "wrong Host"),
        ({"Host": "127.0.0.1.evil.example:{port}"}, 403, "wrong Host"),
        ({"Origin": "http://localhost:{port}"}, 403, "web page"),
        ({"Origin": "null"}, 403, "web page"),
        ({"Sec_Fetch_Site": "same-origin"}, 403, "web page"),
        ({"content": "text/plain"}, 415, "wrong content type"),
        ({"content": "application/x-www-form-urlencoded"}, 415, "wrong content type"),
        ({"Content_Encoding": "zstd"}, 415, "unknown content encoding"),
        ({"Content_Encoding": "gzip, gzip"}, 415, "unknown content encoding"),
        ({"Content_Encoding": "gzip", "body": b"no gzip"}, 400, "undecodable body"),
        ({"Content_Encoding": "gzip", "body": gzip.compress(b"{}" * 99)[:-5]}, 400, "undecodable body"),
        ({"Content_Encoding": "deflate", "body": gzip.compress(b"{}")}, 400, "undecodable body"),
        ({"body": b"{"}, 400, "undecodable body"),
        ({"body": b"\xff" * 50, "content": "application/x-protobuf"}, 400, "undecodable body"),
        ({"body": b"[" * 150_000}, 400, "undecodable body"),
        ({"body": b" " * 200_001}, 413, "too large"),
        ({"body": gzip.compress(b" " * 400_001), "Content_Encoding": "gzip"}, 413, "too large"),
        ({"body": gzip.compress(b"\0" * 2**27), "Content_Encoding": "gzip"}, 413, "too large"),
    ],
)
async def test_every_refusal_is_answered_and_counted(
    door: Door, change: dict[str, Any], status: int, reason: str
) -> None:
    port = str(door.intake.port)
    change = {k: v.replace("{port}", port) if isinstance(v, str) else v for k, v in change.items()}
    code, answer, said = await door.post(**change)
    assert code == status
    assert "Retry-After" not in said
    assert not [name for name in said if name.lower().startswith("access-control")]
    ((counted, raw),) = door.refused
    assert reason in counted
    assert TOKEN.encode() not in raw
    assert len(raw) <= 4096
    if change.get("content") == "application/x-protobuf":
        assert answer[:1] == b"\x08"  # Status { code ... }
        assert b"protobuf" in answer
    else:
        assert counted.removeprefix("undecodable body: ")[:60] in json.loads(answer)["message"]
    assert door.taken == []
    assert (await door.post())[0] == 200  # the next one is served


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "PUT", "DELETE"])
async def test_other_methods_and_paths(door: Door, method: str) -> None:
    async with door.client.request(method, door.url, headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
        assert answer.status == 405
    async with door.client.request(method, door.intake.addresses[0] + "/../etc/passwd") as answer:
        assert answer.status == 404
    assert len(door.refused) == 2


async def test_a_chunked_body_is_bounded_too(door: Door) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 10_000

    try:
        code, _, _ = await door.post(endless())
        assert code == 413
    except aiohttp.ClientError:
        pass  # the door was shut while the client was still pushing
    assert [reason.partition(":")[0] for reason, _ in door.refused] == ["too large"]


async def test_a_stalled_body_is_given_up(door: Door) -> None:
    async def stalls() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    code, _, _ = await door.post(stalls())
    assert code == 408
    assert "too slow" in door.refused[0][0]


async def test_unfinished_headers_are_given_up(door: Door) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.intake.port)
    writer.write(b"POST /v1/traces HTTP/1.1\r\nHost: ")
    async with asyncio.timeout(30):
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\n" + b"X: a\r\n" * 200 + b"\r\n",
        b"POST /v1/traces HTTP/1.0\r\n\r\n",
    ],
)
async def test_what_is_no_proper_http_is_refused_and_counted(door: Door, raw: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.intake.port)
    writer.write(raw)
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.split(b" ")[1] in (b"400", b"403", b"404"), answer
    assert b"Traceback" not in answer
    assert len(door.refused) == 1
    assert (await door.post())[0] == 200


async def test_when_detection_is_behind_senders_are_told_to_retry(door: Door) -> None:
    for body, seconds in ((b"busy", "7"),):
        code, _, said = await door.post(body)
        assert (code, said["Retry-After"]) == (503, seconds)
    assert door.refused[0][0] == "detection is behind"


async def test_more_requests_than_may_wait_are_told_to_retry() -> None:
    release = asyncio.Event()

    async def stuck(body: bytes, signal: Signal, content: Content) -> Taken:
        await release.wait()
        return Taken()

    refused: list[str] = []
    limits = Limits(waiting=2)
    intake = Intake(stuck, lambda reason, raw: refused.append(reason), TOKEN, limits=limits)
    await intake.start([0])
    async with aiohttp.ClientSession() as client:
        door = Door(intake, client)
        codes = [asyncio.create_task(door.post()) for _ in range(6)]
        await until(lambda: len(refused) == 4)
        release.set()
        answers = await asyncio.gather(*codes)
    assert sorted(code for code, _, _ in answers) == [200, 200, 503, 503, 503, 503]
    assert all("Retry-After" in said for code, _, said in answers if code == 503)
    await intake.close()


async def test_bodies_in_flight_share_one_budget() -> None:
    release = asyncio.Event()

    async def stuck(body: bytes, signal: Signal, content: Content) -> Taken:
        await release.wait()
        return Taken()

    refused: list[str] = []
    limits = Limits(in_flight=150_000)
    intake = Intake(stuck, lambda reason, raw: refused.append(reason), TOKEN, limits=limits)
    await intake.start([0])
    async with aiohttp.ClientSession() as client:
        door = Door(intake, client)
        first = asyncio.create_task(door.post(b" " * 100_000))
        await until(lambda: intake._in_flight == 100_000)
        code, _, _ = await door.post(b" " * 100_000)
        assert code == 503
        release.set()
        assert (await first)[0] == 200
        assert (await door.post(b" " * 100_000))[0] == 200
    assert intake._in_flight == 0
    await intake.close()


async def test_a_failing_sink_is_no_traceback(door: Door) -> None:
    async def broken(body: bytes, signal: Signal, content: Content) -> Taken:
        raise RuntimeError("secret detail")

    refused: list[tuple[str, bytes]] = []
    intake = Intake(broken, lambda *told: refused.append(told), TOKEN)
    await intake.start([0])
    async with aiohttp.ClientSession() as client:
        code, answer, _ = await Door(intake, client).post()
    assert code == 500
    assert b"secret" not in answer
    assert refused[0][0] == "the intake failed"
    await intake.close()


async def test_too_many_connections_are_closed(door: Door) -> None:
    pairs = []
    for _ in range(12):
        pairs.append(await asyncio.open_connection("127.0.0.1", door.intake.port))
    await until(lambda: len(door.refused) >= 4)
    assert {reason for reason, _ in door.refused} == {"too many connections at once"}
    for _, writer in pairs:
        writer.close()
        await writer.wait_closed()


async def test_ipv6_where_there_is_one(door: Door) -> None:
    if len(door.intake.addresses) == 1:
        pytest.skip("this machine has no ::1")
    assert door.intake.addresses[1] == f"http://[::1]:{door.intake.port}"
    assert (await door.post(url=door.intake.addresses[1] + "/v1/traces"))[0] == 200
    assert (await door.post(Host=f"localhost:{door.intake.port}"))[0] == 200


async def test_undecodable_is_what_the_sink_says(door: Door) -> None:
    with pytest.raises(Undecodable):
        decode(b"{", "traces", "json")
    assert (await door.post(b"{"))[0] == 400
    assert door.refused[0][1] == b"{"
