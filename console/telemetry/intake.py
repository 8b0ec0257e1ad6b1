"""The OTLP/HTTP door: loopback only, a token always, and a budget for everything.

The server reads and unpacks a body within its budgets and gives it to a `Sink`, which says what became of
it. A request is answered only then: what was accepted is safe, and of the rest the sender is told in the
terms of the protocol: send it again (503), never again (400, 413, 415), or which part was rejected (200).

Metrics are answered with 200 and every data point rejected: the tripwires do not use them, and a sender
should neither retry nor believe that they were taken.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import socket
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Literal, NamedTuple

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from console.telemetry.otlp import Content, data_points
from console.telemetry.otlp_record import Signal, Undecodable

PORT = 4318
"""OTLP/HTTP's registered port: senders find it without configuration, and it survives a restart."""

CONTENT_TYPES: dict[str, Content] = {"application/x-protobuf": "protobuf", "application/json": "json"}


class Limits(NamedTuple):
    """Budgets of the door: bytes and seconds."""

    wire: int = 16 * 2**20
    """Bytes of one body as sent."""
    body: int = 64 * 2**20
    """Bytes of one body after decompression."""
    in_flight: int = 192 * 2**20
    """Bytes of all bodies that are read or waiting for detection."""
    waiting: int = 256
    """Requests that are read or waiting for detection."""
    connections: int = 512
    idle: float = 30.0
    """Seconds until a connection that has not finished sending its headers is closed."""
    read: float = 20.0
    """Seconds for one body."""


class Taken(NamedTuple):
    """What became of a body: records rejected, and why (one sentence, or '')."""

    rejected: int = 0
    message: str = ""


class Busy(Exception):
    """The body was not taken and may be sent again in `retry_after` seconds."""

    def __init__(self, reason: str, retry_after: int = 1) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


Sink = Callable[[bytes, Signal, Content], Awaitable[Taken]]
"""Takes an unpacked body. Raises Undecodable or Busy; having returned, the records are safe."""
Refuse = Callable[[str, bytes], None]
"""Told of everything turned away at the door: the reason, and the start of what came."""


class Intake:
    """The server. `start()` listens, `addresses` says where, `close()` ends it.

    Args:
        sink: takes bodies.
        refuse: counts what is turned away.
        token: what senders must show as `Authorization: Bearer`.
        paths: the signal each path takes.
        limits: the budgets.
    """

    def __init__(
        self,
        sink: Sink,
        refuse: Refuse,
        token: str,
        *,
        paths: dict[str, Signal | Literal["metrics"]] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._sink = sink
        self._refuse = refuse
        self._token = token.encode()
        self._paths = {**PATHS, **(paths or {})}
        self._limits = limits or Limits()
        self._hosts: frozenset[str] = frozenset()
        self._servers: list[asyncio.Server] = []
        self._web: web.Server | None = None
        self._in_flight = 0
        self._waiting = 0
        self.addresses: list[str] = []
        """URLs that it listens on, without path."""
        self.port = 0

    async def start(self, ports: Iterable[int] = (PORT, 0)) -> None:
        """Listen on 127.0.0.1, and on ::1 where there is one, at the first free of `ports` (0 = any).

        Raises:
            OSError: none of the ports is free on 127.0.0.1.
        """
        loop = asyncio.get_running_loop()
        self._web = web.Server(self._handle)
        error: OSError | None = None
        for port in ports:
            try:
                four = socket.create_server(("127.0.0.1", port), backlog=256)
                break
            except OSError as failed:
                error = failed
        else:
            raise error or OSError("no port was given")
        self.port = four.getsockname()[1]
        sockets = [four]
        self.addresses = [f"http://127.0.0.1:{self.port}"]
        if socket.has_ipv6:
            try:
                sockets.append(socket.create_server(("::1", self.port), family=socket.AF_INET6, backlog=256))
                self.addresses.append(f"http://[::1]:{self.port}")
            except OSError:
                pass  # a machine without IPv6, or someone else's port there: 127.0.0.1 is enough
        self._hosts = frozenset(f"{host}:{self.port}" for host in ("127.0.0.1", "[::1]", "localhost"))
        for listening in sockets:
            self._servers.append(await loop.create_server(self._protocol, sock=listening))

    async def close(self) -> None:
        """Stop listening, let requests that are being answered finish (2 s at most), close the rest."""
        for server in self._servers:
            server.close()
        if self._web is not None:
            self._web.pre_shutdown()
            await self._web.shutdown(2.0)
        for server in self._servers:
            await server.wait_closed()

    def _protocol(self) -> asyncio.Protocol:
        if self._web is None:
            return _Closed()
        if len(self._web.connections) >= self._limits.connections:
            self._refuse("too many connections at once", b"")
            return _Closed()
        return _Connection(
            self._web,
            self._refuse,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=self._limits.idle,
            auto_decompress=False,
            access_log=None,
            logger=_SILENT,
            max_headers=64,
            lingering_time=2.0,
        )

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        content = CONTENT_TYPES.get(request.content_type)
        try:
            signal = self._check(request, content)
            if content is None:
                raise _Turned(415, _CONTENT_TYPE)
            if self._waiting >= self._limits.waiting:
                raise _Turned(503, "too many requests are waiting for detection", retry_after=1)
            self._waiting += 1
            held = _Held(self)
            try:
                body = await self._read(request, held)
                if signal == "metrics":
                    return _answer(signal, content, _metrics(body, content, self._refuse))
                return _answer(signal, content, await self._sink(body, signal, content))
            except Undecodable as error:
                self._refuse(f"undecodable body: {error}", body[:4096])
                return _status(400, str(error), content)
            except Busy as error:
                raise _Turned(503, str(error), retry_after=error.retry_after) from None
            finally:
                self._waiting -= 1
                held.release()
        except _Turned as turned:
            self._refuse(turned.reason, turned.raw or _head(request))
            return _status(turned.status, turned.reason, content, turned.retry_after)

    def _check(self, request: web.BaseRequest, content: Content | None) -> Signal | Literal["metrics"]:
        """Return what the request carries, or raise what is wrong with its head."""
        headers = request.headers
        if [host.lower() for host in headers.getall("Host", [])] not in [[host] for host in self._hosts]:
            raise _Turned(403, "wrong Host header: only this machine's loopback addresses are served")
        if "Origin" in headers or "Sec-Fetch-Site" in headers:
            raise _Turned(403, "a web page's request: browsers are not served")
        signal = self._paths.get(request.path)
        if signal is None:
            raise _Turned(404, f"no such path: telemetry goes to {', '.join(sorted(self._paths))}")
        if request.method != "POST":
            raise _Turned(405, "wrong method: telemetry is sent with POST")
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        right = hmac.compare_digest(token.strip().encode("utf-8", "surrogateescape"), self._token)
        if scheme.lower() != "bearer" or not right:
            raise _Turned(401, "no valid token: send Authorization: Bearer with the watcher's token")
        if content is None:
            raise _Turned(415, _CONTENT_TYPE)
        if request.headers.get("Content-Encoding", "identity").strip().lower() not in _ENCODINGS:
            raise _Turned(415, "unknown content encoding: gzip, deflate and identity are understood")
        if (request.content_length or 0) > self._limits.wire:
            raise _Turned(413, f"too large: a body may have {self._limits.wire} bytes")
        return signal

    async def _read(self, request: web.BaseRequest, held: _Held) -> bytes:
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._limits.read):
                async for part in self._unpacked(request):
                    parts.append(part)
                    size += len(part)
                    held.add(len(part))
                    if size > self._limits.body:
                        raise _Turned(413, f"too large: a body may unpack to {self._limits.body} bytes")
        except TimeoutError:
            raise _Turned(408, f"too slow: a body has {self._limits.read:g} seconds to arrive") from None
        return b"".join(parts)

    async def _unpacked(self, request: web.BaseRequest) -> AsyncIterator[bytes]:
        """Yield the decompressed body in pieces of bounded size."""
        encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
        wbits = _ENCODINGS[encoding]
        unpack = zlib.decompressobj(wbits) if wbits else None
        wire = 0
        start = b""
        async for chunk in request.content.iter_any():
            wire += len(chunk)
            start = start or chunk[:4096]
            if wire > self._limits.wire:
                raise _Turned(413, f"too large: a body may have {self._limits.wire} bytes", raw=start)
            if unpack is None:
                yield chunk
                continue
            try:
                while chunk:
                    if unpack.eof:  # gzip files may be several in a row
                        unpack = zlib.decompressobj(wbits)
                    piece = unpack.decompress(chunk, _PIECE)
                    yield piece
                    chunk = unpack.unconsumed_tail or unpack.unused_data
                    await asyncio.sleep(0)
            except zlib.error as error:
                raise _Turned(400, f"undecodable body: not {encoding}: {error}", raw=start) from None
        if unpack is not None and not unpack.eof and wire:
            raise _Turned(400, f"undecodable body: the {encoding} data is cut off", raw=start)


PATHS: dict[str, Signal | Literal["metrics"]] = {
    "/v1/traces": "traces",
    "/v1/logs": "logs",
    "/v1/metrics": "metrics",
}
_ENCODINGS = {"identity": 0, "": 0, "gzip": 31, "deflate": 15}
_CONTENT_TYPE = "wrong content type: application/x-protobuf and application/json are understood"
_PIECE = 256 * 1024
_SILENT = logging.getLogger("warroom.intake")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


class _Turned(Exception):
    """A request that is turned away, with what its sender is told."""

    def __init__(self, status: int, reason: str, *, retry_after: int = 0, raw: bytes = b"") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after
        self.raw = raw


class _Held:
    """The bytes of one request that count against everybody's budget."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._bytes = 0

    def add(self, count: int) -> None:
        intake = self._intake
        if intake._in_flight + count > intake._limits.in_flight:
            raise _Turned(503, "too much telemetry is waiting for detection", retry_after=2)
        intake._in_flight += count
        self._bytes += count

    def release(self) -> None:
        self._intake._in_flight -= self._bytes
        self._bytes = 0


class _Connection(RequestHandler):
    """aiohttp's connection, which also counts requests that are no HTTP."""

    __slots__ = ("_refuse",)

    def __init__(self, manager: web.Server, refuse: Refuse, **options: Any) -> None:
        super().__init__(manager, **options)
        self._refuse = refuse

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Count the request and answer it without details of the program."""
        broken = status >= 500
        said = f"{type(exc).__name__}: {exc}" if broken else message or ""
        self._refuse("the intake failed" if broken else "not a valid HTTP request", said.encode()[:4096])
        response = _status(status, "internal error" if broken else "not a valid request", None)
        response.force_close()
        return response


class _Closed(asyncio.Protocol):
    """A connection too many: closed at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def _head(request: web.BaseRequest) -> bytes:
    """Return what identifies a request that was not read; never its token."""
    shown = (
        "Host",
        "Origin",
        "Sec-Fetch-Site",
        "User-Agent",
        "Content-Type",
        "Content-Encoding",
        "Content-Length",
    )
    lines = [f"{request.method} {request.path[:512]}"]
    lines += [f"{name}: {request.headers[name][:256]}" for name in shown if name in request.headers]
    return "\n".join(lines).encode("utf-8", "backslashreplace")


def _metrics(body: bytes, content: Content, refuse: Refuse) -> Taken:
    points = data_points(body, content)
    if not points:
        return Taken()
    refuse("metrics are not used", b"")
    return Taken(points, "metrics are not used by the tripwires; send traces and logs only")


_RESPONSES: dict[str, tuple[type[Any], str]] = {
    "traces": (ExportTraceServiceResponse, "rejected_spans"),
    "logs": (ExportLogsServiceResponse, "rejected_log_records"),
    "metrics": (ExportMetricsServiceResponse, "rejected_data_points"),
}
_JSON_COUNTS = {"traces": "rejectedSpans", "logs": "rejectedLogRecords", "metrics": "rejectedDataPoints"}


def _answer(signal: str, content: Content, taken: Taken) -> web.Response:
    if content == "json":
        partial = {
            "partialSuccess": {_JSON_COUNTS[signal]: str(taken.rejected), "errorMessage": taken.message}
        }
        return web.json_response(partial if taken.rejected else {})
    message, field = _RESPONSES[signal]
    response = message()
    if taken.rejected:
        setattr(response.partial_success, field, taken.rejected)
        response.partial_success.error_message = taken.message
    return web.Response(body=response.SerializeToString(), content_type="application/x-protobuf")


_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 408: 4, 413: 8, 415: 3, 503: 14}


def _status(status: int, reason: str, content: Content | None, retry_after: int = 0) -> web.Response:
    """Return a google.rpc.Status in the type of the request."""
    headers = {"Retry-After": str(retry_after)} if retry_after else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    code = _CODES.get(status, 2)
    reason = reason[:512]
    if content == "protobuf":
        text = reason.encode("utf-8", "replace")
        # Status { int32 code = 1; string message = 2; }: two fields do not need a dependency.
        body = bytes((0x08, code, 0x12)) + _varint(len(text)) + text
        response = web.Response(
            status=status, body=body, headers=headers, content_type="application/x-protobuf"
        )
    else:
        response = web.json_response({"code": code, "message": reason}, status=status, headers=headers)
    if status not in (400, 503):
        response.force_close()
    return response


def _varint(number: int) -> bytes:
    return bytes((number,)) if number < 0x80 else bytes((number & 0x7F | 0x80,)) + _varint(number >> 7)
