"""Local servers that behave like the systems that are stopped, and misbehave when they are told to."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
from aiohttp import web

from console.containment.actuator import Actuator, Call, Declined, Unreachable
from console.containment.actuators.registry import make

SECRET = "s3cr3t-0123456789abcdef"
ENVIRONMENT = {"TEST_TOKEN": SECRET, "TEST_KEY": "k3y-fedcba9876543210"}
MIB = 1 << 20

TROUBLES: dict[str, type[Exception] | None] = {
    "refused": Unreachable,
    "hangs": Unreachable,
    "drips": Unreachable,
    "breaks": Unreachable,
    "500": Unreachable,
    "429": Unreachable,
    "401": Declined,
    "403": Declined,
    "404": Declined,
    "redirects": Declined,
    "floods": None,
    "garbage": None,
}
"""What a system may do instead of its duty, and what that is called. None: its status says that it was taken."""


class Seen(NamedTuple):
    """A request as the server saw it; `path` is as it was sent, with its query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body)


class Site:
    """A server on a free port. A system is a subclass with its state and an `answer`."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.trouble = ""
        self.flooded = 0
        self.url = ""
        self.port = 0
        self._over = asyncio.Event()
        self._runner: web.ServerRunner | None = None

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=tls).start()
        self.port = self._runner.addresses[0][1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    async def close(self) -> None:
        self._over.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def answer(self, request: Seen) -> web.Response:
        """Do what the system does."""
        raise NotImplementedError

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        seen = Seen(request.method, request.raw_path, dict(request.headers), await request.read())
        self.seen.append(seen)
        match self.trouble:
            case "":
                return await self.answer(seen)
            case "hangs":
                await self._over.wait()
            case "breaks":
                assert request.transport is not None
                request.transport.abort()
            case "drips" | "floods":
                return await self._endless(request)
            case "redirects":
                return web.Response(status=302, headers={"Location": "http://127.0.0.1:9/elsewhere"})
            case "garbage":
                return web.Response(body=b'\x1b[31m{"truncated": ' + b"[" * 20_000)
            case "429":
                return web.Response(status=429, headers={"Retry-After": "7"}, text="slow down")
            case status:
                said = f"no: {seen.headers.get('Authorization', '')}"
                return web.Response(status=int(status), text=said)
        return web.Response()

    async def _endless(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            while not self._over.is_set() and self.flooded < 100 * MIB:
                if self.trouble == "drips":
                    await response.write(b"x")
                    await asyncio.sleep(0.02)
                else:
                    await response.write(bytes(MIB))
                    self.flooded += MIB
        return response


def said(value: Any, status: int = 200, kind: str = "application/json") -> web.Response:
    """A JSON answer."""
    return web.Response(status=status, body=json.dumps(value).encode(), content_type=kind)


def call(verb: str = "halt_agent", target: str = "refunds", **more: Any) -> Call:
    """A call with everything that it may need."""
    known: dict[str, Any] = {
        "order": "00112233445566aa",
        "agent": "refunds",
        "epoch": 7,
        "timeout": 5.0,
        "reason": "double refunds",
    }
    return Call(verb=verb, target=target, **(known | more))


S = TypeVar("S", bound=Site)
Start = Callable[[S], Awaitable[S]]
Make = Callable[..., Actuator]


@pytest.fixture
async def start() -> AsyncIterator[Callable[[S], Awaitable[S]]]:
    """Start a server; it ends with the test."""
    sites: list[Site] = []

    async def started(site: S) -> S:
        await site.start()
        sites.append(site)
        return site

    yield started
    for site in sites:
        await site.close()


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Make]:
    """Make an actuator; it is closed with the test."""
    actuators: list[Actuator] = []

    def make_one(kind: str, options: Mapping[str, object], **secrets: str) -> Actuator:
        actuators.append(make(kind, options, secrets=ENVIRONMENT | secrets, config_dir=tmp_path))
        return actuators[-1]

    yield make_one
    for each in actuators:
        await each.close()


async def survives(trouble: str, site: Site, actuator: Actuator, what: Call) -> None:
    """Show that an actuator says what is wrong, in time, without its secret, and takes nothing for proof."""
    expected = TROUBLES[trouble]
    late = what.timeout + 10
    if trouble == "refused":
        await site.close()
    site.trouble = trouble
    problem = ""
    async with asyncio.timeout(late):
        if expected is None:
            with suppress(Unreachable, Declined):
                answer = await actuator.apply(what)
                problem = answer.note
                assert not answer.effective
        else:
            with pytest.raises(expected) as caught:
                await actuator.apply(what)
            problem = str(caught.value)
            assert problem
            if trouble == "429":
                assert isinstance(caught.value, Unreachable)
                assert caught.value.after == 7
    async with asyncio.timeout(late):
        reading = await actuator.probe(what)
    assert reading.observed == "unknown", reading
    assert reading.note
    for text in (problem, reading.note):
        assert SECRET not in text
        assert text.isprintable()
        assert len(text) < 600
    assert site.flooded <= 40 * MIB
