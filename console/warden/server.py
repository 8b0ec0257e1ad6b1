"""What the warden answers over HTTP; docs/warden.md has the protocol.

A halt counts in memory before anything else: no lease is given from then on. It is told to others once it is on the
disk. A disk that hangs or is full does not keep it from them: after `PATIENCE` it is told anyway, and that is said.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct

from console.events import HaltScope
from console.refusal import Refused
from console.warden import flags
from console.warden.epochs import Epochs, Stale, Word
from console.warden.guards import Guards
from console.warden.leases import Signer, notice
from console.warden.protocol import Ack, Ask, Lease, Order, Resume, Seen, Settled, Standing
from console.warden.settings import Limits
from console.warden.streams import Streams
from data.clock import Clock

PATIENCE = 2.0
"""Seconds that the disk has to take a halt."""
BODY = 64 * 1024
OFREP = "/ofrep/v1/evaluate/flags"

Say = Callable[[str], None]
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
S = TypeVar("S", bound=Struct)


class Server:
    """The answers, by `handle`.

    Args:
        epochs: what is halted.
        signer: the key.
        limits: see `Limits`.
        flag_file: where flagd reads.
        tokens: that of control, and that of guards; an empty one of guards: they need none.
        clock: time for people.
        say: takes what operators should know, one line each.
        now: monotonic seconds.
    """

    def __init__(
        self,
        epochs: Epochs,
        signer: Signer,
        limits: Limits,
        flag_file: Path,
        tokens: tuple[str, str],
        clock: Clock,
        say: Say,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._epochs, self._signer, self._limits = epochs, signer, limits
        self._flag_file, self._clock, self._say = flag_file, clock, say
        self._control, self._guard_token = (token.encode() for token in tokens)
        self.guards = Guards(epochs, now, limits.lease)
        self._now = now
        self._strangers = now() + max(limits.lease, *limits.longer.values(), 0) if epochs.restarted else 0.0
        self._disk = asyncio.Lock()
        self._lost = False
        self._changed = asyncio.Event()
        self._trouble: dict[str, str] = {}
        self.streams = Streams(limits.streams)
        self._routes: dict[tuple[str, str], Handler] = {
            ("POST", "/lease"): self._guarded(self._lease),
            ("POST", "/ack"): self._guarded(self._ack),
            ("GET", "/stream"): self._guarded(self._stream),
            ("POST", OFREP): self._guarded(self._evaluate_all),
            ("POST", "/halt"): self._controlled(self._halt),
            ("POST", "/resume"): self._controlled(self._resume),
            ("POST", "/seen"): self._controlled(self._seen),
            ("GET", "/standing"): self._controlled(self._standing),
            ("GET", "/key"): self._key,
        }
        self._flag = self._guarded(self._evaluate)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; browsers are turned away, and what goes wrong is said as JSON."""
        try:
            if "Origin" in request.headers or "Sec-Fetch-Site" in request.headers:
                raise _Answer(403, "a web page's request: browsers are not served")
            if (request.content_length or 0) > BODY:
                raise _Answer(413, f"a body may have {BODY} bytes")
            route = self._routes.get((request.method, request.path))
            if route is None and request.method == "POST" and request.path.startswith(f"{OFREP}/"):
                route = self._flag
            if route is None:
                raise _Answer(404, "there is nothing here; docs/warden.md has the protocol")
            return await route(request)
        except _Answer as answer:
            status, error = answer.status, answer.error
        except (Stale, Refused) as refused:
            status, error = 409, str(refused)
        except web.HTTPException as failed:
            status, error = failed.status, failed.reason
        return _json(msgspec.json.encode({"error": error}), status)

    # What guards ask.

    async def _lease(self, request: web.BaseRequest) -> web.StreamResponse:
        ask = _read(await request.read(), Ask)
        if not self.guards.asked(ask):
            raise _Answer(503, "too many guards")
        word = self._epochs.stopped(ask.agent)
        if word is not None:
            if word.epoch > self._epochs.written:
                raise _Answer(503, "a halt is being written down")
            return _json(self._signer.sign(notice(word)))
        if not flags.known(ask.agent, self._limits.agents):
            raise _Answer(
                403, "this agent may not run: [warden] agents of the configuration does not name it"
            )
        valid = self._limits.longer.get(ask.agent, self._limits.lease)
        lease = Lease(
            ask.agent,
            ask.guard,
            ask.nonce,
            self._epochs.written,
            round(valid * 1000),
            tuple(each for each in ask.tools if self._epochs.closed("tool", each) is None),
            tuple(each for each in ask.queues if self._epochs.closed("queue", each) is None),
        )
        self.guards.granted(ask, valid)
        return _json(self._signer.sign(lease))

    async def _ack(self, request: web.BaseRequest) -> web.StreamResponse:
        ack = _read(await request.read(), Ack)
        if not self.guards.acked(ack.agent, ack.guard, ack.epoch):
            raise _Answer(404, "no such guard: it has to ask for a lease first")
        return _json(b"{}")

    async def _stream(self, request: web.BaseRequest) -> web.StreamResponse:
        said = {name: request.query.get(name, "") for name in ("agent", "guard")}
        who = _read(msgspec.json.encode({**said, "epoch": 0}), Ack)
        if self.streams.full or not self.guards.stream(who.agent, who.guard, 1):
            raise _Answer(503, "too many streams")
        try:
            return await self.streams.hold(request, who.agent, lambda: self._words_for(who.agent))
        finally:
            self.guards.stream(who.agent, who.guard, -1)

    def _words_for(self, agent: str) -> bytes:
        words = [
            word
            for word in self._epochs.in_force
            if word.epoch <= self._epochs.written and (word.scope != "agent" or word.subject == agent)
        ]
        return b"".join(self._signer.sign(notice(word)) + b"\n" for word in words)

    async def _evaluate(self, request: web.BaseRequest) -> web.StreamResponse:
        key = request.path.removeprefix(f"{OFREP}/")[:256]
        try:
            context = _context(await request.read())
        except ValueError as error:
            said = {"key": key[:128], "errorCode": "PARSE_ERROR", "errorDetails": str(error)}
            return _json(msgspec.json.encode(said), 400)
        found = flags.evaluate(key, context, self._epochs, self._limits.agents)
        return _json(msgspec.json.encode(found.body), found.status)

    async def _evaluate_all(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            context = _context(await request.read())
        except ValueError as error:
            said = {"errorCode": "PARSE_ERROR", "errorDetails": str(error)}
            return _json(msgspec.json.encode(said), 400)
        found, tag = flags.bulk(context, self._epochs, self._limits.agents)
        if tag and tag in [each.strip() for each in request.headers.get("If-None-Match", "").split(",")]:
            return web.Response(status=304, headers={"ETag": tag})
        answer = _json(msgspec.json.encode(found.body), found.status)
        if tag:
            answer.headers["ETag"] = tag
        return answer

    async def _key(self, request: web.BaseRequest) -> web.StreamResponse:
        return _json(msgspec.json.encode({"key": self._signer.public}))

    # What whoever holds the control token asks.

    async def _halt(self, request: web.BaseRequest) -> web.StreamResponse:
        order = _read(await request.read(), Order)
        _fits(order.scope, order.subject)
        word = self._epochs.halt(order.scope, order.subject, order.order, order.reason, self._clock.now())
        if word.epoch > self._epochs.written:
            # From here on nobody gets a lease for it; a repeat only waits for the disk.
            self.guards.halted(word)
        durable = await self._keep(word.epoch)
        self._send(word)
        what = f"{word.scope} {word.subject}".strip()
        self._say(f"halted {what}, epoch {word.epoch}, order {word.order}")
        return _json(msgspec.json.encode(Settled(word.epoch, durable, len(self.guards))))

    async def _resume(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = _read(await request.read(), Resume)
        _fits(asked.scope, asked.subject)
        word = self._epochs.resumed(asked.scope, asked.subject, asked.epoch, asked.reason, self._clock.now())
        if word.epoch > self._epochs.written:
            try:
                async with self._disk:
                    await asyncio.to_thread(self._epochs.write, self._epochs.snapshot(word))
            except OSError as error:
                raise _Answer(
                    507, f"the disk did not take it ({error.strerror}): nothing was resumed"
                ) from None
            self._epochs.apply(word)
            self.guards.resumed(word)
            self._send(word)
            what = f"{word.scope} {word.subject}".strip()
            self._say(f"resumed {what}, epoch {word.epoch}")
        return _json(msgspec.json.encode(Settled(word.epoch, True, len(self.guards))))

    async def _seen(self, request: web.BaseRequest) -> web.StreamResponse:
        seen = _read(await request.read(), Seen)
        count = self.guards.saw(seen.agent, seen.guard, seen.epoch, seen.state)
        return _json(msgspec.json.encode({"guards": count}))

    async def _standing(self, request: web.BaseRequest) -> web.StreamResponse:
        found = self.guards.standing(self._limits.longer.__contains__)
        trouble = list(self._trouble.values())
        if (left := self._strangers - self._now()) > 0:
            trouble.append(
                f"It started a moment ago: guards that it does not know yet may hold leases for {left:.0f} s more."
            )
        standing = Standing(self._epochs.written, self._epochs.in_force, found, trouble)
        return _json(msgspec.json.encode(standing))

    # How a word gets out.

    async def _keep(self, epoch: int) -> bool:
        """Write down what is in force. Returns False if the disk did not take it in time: it is told all the same."""
        try:
            async with asyncio.timeout(PATIENCE):
                async with self._disk:
                    if self._lost or self._epochs.written < epoch:
                        await asyncio.to_thread(self._epochs.write, self._epochs.snapshot())
        except (OSError, TimeoutError) as error:
            self._unwritten(error)
            self._epochs.written = max(self._epochs.written, epoch)
            return False
        self._lost = False
        self._trouble.pop("epochs", None)
        return True

    async def again(self) -> None:
        """Try to write down what the disk did not take."""
        if not self._lost:
            return
        with suppress(OSError):
            async with self._disk:
                await asyncio.to_thread(self._epochs.write, self._epochs.snapshot())
            self._lost = False
            self._trouble.pop("epochs", None)
            self._say("what is halted is on the disk again")

    def _unwritten(self, error: Exception) -> None:
        why = (error.strerror if isinstance(error, OSError) else "") or "it does not answer"
        said = (
            f"The disk takes nothing ({why}): a restart of the warden would not know what was halted since."
        )
        self._lost = True
        self._trouble["epochs"] = said
        self._say(said)

    def _send(self, word: Word) -> None:
        line = self._signer.sign(notice(word)) + b"\n"
        self.streams.tell(line, word.subject if word.scope == "agent" else "")
        self._changed.set()

    async def writing_flags(self) -> None:
        """Write flagd's file now, and again after every change, until cancelled. Nothing waits for it."""
        while True:
            self._changed.clear()
            document = flags.document(self._epochs, self._limits.agents)
            try:
                await asyncio.to_thread(flags.write, self._flag_file, document)
                self._trouble.pop("flags", None)
            except OSError as error:
                self._trouble["flags"] = f"{self._flag_file} could not be written ({error.strerror})."
                self._say(self._trouble["flags"])
            await self._changed.wait()

    # Who may ask.

    def _guarded(self, handler: Handler) -> Handler:
        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            if self._guard_token and not _shows(request, self._guard_token, self._control):
                raise _Answer(401, "no valid token: guards show theirs as Authorization: Bearer")
            return await handler(request)

        return answer

    def _controlled(self, handler: Handler) -> Handler:
        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            if not _shows(request, self._control):
                raise _Answer(
                    401, "no valid token: send Authorization: Bearer with the warden's control token"
                )
            return await handler(request)

        return answer


class _Answer(Exception):
    """An answer that is not what was asked for."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status, self.error = status, error


def _json(raw: bytes, status: int = 200) -> web.Response:
    return web.Response(body=raw, status=status, content_type="application/json")


def _read(raw: bytes, kind: type[S]) -> S:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _Answer(400, f"not what is understood here: {error}"[:300]) from None


def _context(raw: bytes) -> Any:
    """Return the context of an OFREP request. Raises ValueError where it is none."""
    try:
        said = msgspec.json.decode(raw or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("the body is not JSON") from None
    if not isinstance(said, dict):
        raise ValueError("the body is no object")
    return said.get("context", {})


def _fits(scope: HaltScope, subject: str) -> None:
    if (scope == "all") == bool(subject):
        raise _Answer(400, "all has no subject, and every other scope has one")


def _shows(request: web.BaseRequest, *tokens: bytes) -> bool:
    scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        shown = request.headers.get("X-API-Key", "")
    given = shown.strip().encode("utf-8", "surrogateescape")
    return any(hmac.compare_digest(given, token) for token in tokens)
