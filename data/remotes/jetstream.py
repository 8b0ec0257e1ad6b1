"""The few requests to a JetStream server that a remote needs, with typed answers."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec

from data.remotes import troubles

if TYPE_CHECKING:
    from nats.aio.client import Client

NO_MESSAGE, NO_STREAM, TAKEN = 10037, 10059, (10071, 10077)
"""Error codes of the server; `TAKEN`: there is a message of that subject already."""


class _Error(msgspec.Struct):
    err_code: int = 0
    description: str = ""


class Config(msgspec.Struct):
    """How a stream is set up."""

    num_replicas: int = 1
    storage: str = ""
    deny_delete: bool = False
    deny_purge: bool = False
    max_age: int = 0
    max_msgs: int = -1
    max_bytes: int = -1


class _State(msgspec.Struct):
    subjects: dict[str, int] | None = None


class Message(msgspec.Struct):
    """A stored message, and when the server stored it."""

    data: bytes = b""
    hdrs: bytes = b""
    time: str = ""


class Answer(msgspec.Struct):
    """What we read of the server's answers, whichever it is."""

    error: _Error | None = None
    config: Config = msgspec.field(default_factory=Config)
    state: _State = msgspec.field(default_factory=_State)
    message: Message = msgspec.field(default_factory=Message)
    total: int = 0
    stream: str = ""
    duplicate: bool = False


class Refused(Exception):
    """The server answered with an error; `code` is its own."""

    def __init__(self, error: _Error) -> None:
        super().__init__(error.description)
        self.code = error.err_code


class JetStream:
    """A stream on a server. Made and used on one event loop.

    Args:
        nats: The module.
        url: How to call the remote.
        server: Where it is.
        stream: What it is called; made if there is none.
        options: See `data.remotes.nats.Nats`.
        patience: Seconds for connecting, and for one answer.
    """

    def __init__(
        self,
        nats: ModuleType,
        url: str,
        server: str,
        stream: str,
        options: Mapping[str, str],
        patience: float,
    ) -> None:
        self._nats = nats
        self._url = url
        self._server = server
        self._stream = stream
        self._options = options
        self._patience = patience
        self._client: Client | None = None
        self._connecting = asyncio.Lock()

    async def connected(self) -> Client:
        """The connection; a new one if the last has ended."""
        async with self._connecting:
            if self._client is None or self._client.is_closed:
                self._client = await self._connect()
            return self._client

    async def close(self) -> None:
        """Hang up."""
        if self._client is not None:
            await self._client.close()

    async def create(self, subject: str, data: bytes, headers: Mapping[str, str]) -> bool:
        """Publish unless the subject has a message: by the headers alone, however the stream is set up."""
        marks = {"Nats-Msg-Id": subject, "Nats-Expected-Last-Subject-Sequence": "0"}
        try:
            answer = await self._ask(await self.connected(), subject, data, {**marks, **headers})
        except Refused as error:
            if error.code in TAKEN:
                return False
            raise
        if answer.stream != self._stream:
            raise troubles.nonsense(self._url, "another stream took what was sent")
        return not answer.duplicate

    async def message(self, subject: str) -> Message | None:
        """The message of a subject, from the leader of the stream; None if there is none."""
        try:
            answer = await self._api(
                await self.connected(), f"STREAM.MSG.GET.{self._stream}", {"last_by_subj": subject}
            )
        except Refused as error:
            if error.code == NO_MESSAGE:
                return None
            raise
        return answer.message

    async def info(self, subjects: str = "", offset: int = 0) -> Answer:
        """How the stream is set up, and its subjects, some at a time."""
        wanted = {"subjects_filter": subjects, "offset": offset} if subjects else {}
        return await self._api(await self.connected(), f"STREAM.INFO.{self._stream}", wanted)

    async def _connect(self) -> Client:
        keys = {"user": "user", "password": "password", "token": "token", "creds": "user_credentials"}
        given: dict[str, Any] = {keys[key]: value for key, value in self._options.items() if key in keys}
        failures: list[Exception] = []

        async def note(error: Exception) -> None:  # the library would print it
            failures.append(error)

        try:
            client = await self._open(note, given)
        except self._nats.errors.NoServersError as error:
            raise (failures or [error])[0] from None  # why, instead of that there is none
        try:
            await self._api(client, f"STREAM.INFO.{self._stream}", {})
        except Refused as error:
            if error.code != NO_STREAM:
                await client.close()
                raise
            await self._api(client, f"STREAM.CREATE.{self._stream}", self._config())
        except BaseException:
            await client.close()
            raise
        return client

    async def _open(self, note: Callable[[Exception], Awaitable[None]], given: Mapping[str, Any]) -> Client:
        client: Client = self._nats.NATS()
        try:
            await client.connect(
                self._server,
                name="warroom",
                allow_reconnect=False,  # the next request connects again; nothing is queued behind our back
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=max(1, round(self._patience)),
                error_cb=note,
                tls=self._tls(),
                **given,
            )
        except BaseException:
            # Given up in the middle, the library leaves its socket open.
            with suppress(Exception):
                async with asyncio.timeout(1):
                    await client.close()
            raise
        return client

    def _config(self) -> dict[str, object]:
        return {
            "name": self._stream,
            "subjects": [f"{self._stream}.o.>", f"{self._stream}.p.*"],
            "storage": "file",
            "retention": "limits",
            "discard": "new",
            "discard_new_per_subject": True,
            "max_msgs_per_subject": 1,
            "deny_delete": True,
            "deny_purge": True,
            "num_replicas": int(self._options.get("replicas", "1")),
        }

    def _tls(self) -> ssl.SSLContext | None:
        if not {"ca", "cert"} & set(self._options) and not self._server.startswith("tls:"):
            return None
        context = ssl.create_default_context(cafile=self._options.get("ca"))
        if "cert" in self._options:
            context.load_cert_chain(self._options["cert"], self._options.get("key"))
        return context

    async def _api(self, client: Client, method: str, request: Mapping[str, object]) -> Answer:
        return await self._ask(client, f"$JS.API.{method}", json.dumps(request).encode() if request else b"")

    async def _ask(
        self, client: Client, subject: str, data: bytes, headers: Mapping[str, str] | None = None
    ) -> Answer:
        # The limit that counts is that of the whole request, see `pacing`.
        reply = await client.request(subject, data, timeout=3600, headers=dict(headers) if headers else None)
        try:
            answer = msgspec.json.decode(reply.data, type=Answer)
        except (msgspec.MsgspecError, RecursionError):
            raise troubles.nonsense(self._url, "that is no answer of JetStream") from None
        if answer.error is not None:
            if answer.error.err_code == NO_STREAM and client is self._client:
                await client.close()  # it was there and is gone: whoever connects next makes it anew
            raise Refused(answer.error)
        return answer


class _Storage(msgspec.Struct):
    sync_interval: int = 0
    sync_always: bool = False


class _Monitor(msgspec.Struct):
    config: _Storage


async def synced_always(monitor: str) -> bool | None:
    """Whether the server syncs before it answers; None if its monitor does not say."""
    import httpx

    data = bytearray()
    try:
        async with (
            httpx.AsyncClient() as client,
            client.stream("GET", f"{monitor}/jsz?config=true") as answer,
        ):
            async for chunk in answer.aiter_raw():
                data += chunk
                if len(data) > 1024 * 1024:
                    return None
        return msgspec.json.decode(data, type=_Monitor).config.sync_always
    except (httpx.HTTPError, httpx.InvalidURL, msgspec.MsgspecError, ValueError):
        return None
