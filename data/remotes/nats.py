"""NATS JetStream as a remote: a stream that keeps one message for each object, and deletes none.

A message may have a megabyte on a usual server, so bigger objects are cut: their parts go first, under the SHA-256
of each, and then one message with the list of them under the object's name. Whoever finds it finds all parts.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from secrets import token_hex
from typing import TypeVar
from urllib.parse import urlsplit

from data.clock import parse_iso
from data.remotes import MAX_NAMES, Findings, RemoteTrouble, limit, pacing, proper, troubles
from data.remotes.jetstream import Answer, JetStream, Refused, synced_always
from data.remotes.probing import probe

T = TypeVar("T")

PART_BYTES = 1024 * 1024
PARTS = "Warroom-Parts"

_STREAM = re.compile("[A-Za-z0-9_-]{1,64}")
_OPTIONS = {"ca", "cert", "creds", "key", "monitor", "password", "replicas", "timeout", "token", "user"}
_NOT_SYNCED = (
    "It answers before its disk does (sync_interval is not always, and there are fewer than 3 replicas): a power cut"
    " there can lose what was shared. It carries entries to the others; it does not prove that they are kept."
)


class Nats:
    """A stream of a NATS server.

    Args:
        url: `nats://host:port/stream`, or `tls://…`.
        options: `creds` (a file), `token`, or `user` and `password`; `ca`, `cert`, `key` (files) for TLS; `replicas`
            for a stream that is made here; `monitor` (the server's monitoring address); `timeout`.
    """

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        try:
            import nats
        except ImportError:
            raise troubles.not_installed("NATS", "nats") from None
        self.url = url
        parts = urlsplit(url)
        self._stream = parts.path.strip("/") or "warroom"
        if not _STREAM.fullmatch(self._stream):
            raise troubles.misconfigured(
                url, "a stream cannot be called that", "Use letters, digits, - and _."
            )
        if unknown := sorted(set(options) - _OPTIONS):
            raise troubles.misconfigured(url, f"it has no option {unknown[0]}", "See docs/remotes/nats.md.")
        if options.get("replicas", "1") not in ("1", "3", "5"):
            raise troubles.misconfigured(url, "replicas can be 1, 3 or 5", "Correct the option.")
        if "creds" in options and find_spec("nkeys") is None:
            raise troubles.misconfigured(
                url, "the package nkeys, which reads creds, is missing", "Run: pip install nkeys"
            )
        self._nats = nats
        self._hidden = troubles.secrets(options)
        self._monitor = options.get("monitor", "")
        self._patience = pacing.seconds(url, options)
        self._loop = pacing.Loop()
        self._server = JetStream(
            nats, url, f"{parts.scheme}://{parts.netloc}", self._stream, options, self._patience
        )

    @classmethod
    def open(cls, url: str, options: Mapping[str, str]) -> Nats:
        """Open a stream by its address."""
        return cls(url, options)

    def put(self, name: str, data: bytes) -> bool:
        """Create an object; acknowledged by the stream, which may be before its disk."""
        subject = self._subject(name)

        async def write(_: pacing.Pace) -> bool:
            size = min(PART_BYTES, (await self._server.connected()).max_payload) - 4096
            if len(data) <= size:
                return await self._server.create(subject, data, {})
            listed = []
            for start in range(0, len(data), size):
                part = data[start : start + size]
                listed.append(sha256(part).hexdigest())
                await self._server.create(self._part(listed[-1]), part, {})
            return await self._server.create(subject, "\n".join(listed).encode(), {PARTS: str(len(listed))})

        return self._run(write, self._patience + len(data) / pacing.RATE)

    def get(self, name: str) -> bytes:
        """Read an object, from the leader of the stream."""
        subject, bound = self._subject(name), limit(name)

        async def read(pace: pacing.Pace) -> bytes:
            message = await self._server.message(subject)
            if message is None:
                raise troubles.absent(self.url, name)
            if f"\r\n{PARTS}:".encode() not in message.hdrs:
                return message.data
            data = bytearray()
            for digest in message.data.split(b"\n"):
                if not re.fullmatch(b"[0-9a-f]{64}", digest):
                    raise troubles.nonsense(self.url, f"{name} has parts without a name")
                part = await self._server.message(self._part(digest.decode()))
                if part is None or sha256(part.data).hexdigest().encode() != digest:
                    raise troubles.nonsense(self.url, f"a part of {name} is missing, or is another")
                data += part.data
                if len(data) > bound:
                    break
                pace.came(len(data))
            return bytes(data)

        data = self._run(read, self._patience)
        if len(data) > bound:
            raise troubles.too_big(self.url, name, bound)
        return data

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """Names, as the server counts its subjects."""
        head = f"{self._stream}.o."
        folder = prefix.rpartition("/")[0]
        wanted = f"{self._subject(folder)}.>" if folder else f"{head}>"
        count = 0
        while True:
            answer = self._run(partial(self._page, wanted, count), self._patience)
            subjects = answer.state.subjects or {}
            for subject in subjects:
                name = subject.removeprefix(head).replace(".", "/").replace("=", ".")
                if name.startswith(prefix) and name > after and proper(name):
                    yield name
            count += len(subjects)
            if count > MAX_NAMES:
                raise troubles.too_many(self.url)
            if not subjects or count >= answer.total:
                return

    def probe(self) -> Findings:
        """Find out what the stream does, and what stands behind its acknowledgements."""
        config = self._run(lambda _: self._server.info(), self._patience).config
        synced = self._run(lambda _: synced_always(self._monitor), self._patience) if self._monitor else None
        warnings = []
        if synced is not True and config.num_replicas < 3:
            warnings.append(_NOT_SYNCED)
        if config.storage != "file":
            warnings.append("The stream is in memory: a restart of the server loses all of it.")
        if config.max_age or config.max_msgs > 0 or config.max_bytes > 0:
            warnings.append("The stream has a limit of age or size: it may drop, or refuse, what is shared.")
        kept = config.deny_delete and config.deny_purge
        if not kept:
            warnings.append("Messages of the stream can be deleted; set deny_delete and deny_purge.")
        said = {True: "synced always", False: "synced now and then", None: "nobody says how it syncs"}[synced]
        return probe(
            self,
            clock=self._now,
            durable=f"transport; replicas: {config.num_replicas}; {said}",
            locked="messages cannot be deleted" if kept else "",
            warnings=tuple(warnings),
        )

    def close(self) -> None:
        """Hang up."""
        with suppress(RemoteTrouble):
            self._run(lambda _: self._server.close(), self._patience)
        self._loop.close()

    def _now(self) -> int | None:
        """The server's time: that of a message which it stores now."""
        subject = self._subject(f"probe/clock/{token_hex(8)}")

        async def store(_: pacing.Pace) -> int | None:
            await self._server.create(subject, b"", {})
            message = await self._server.message(subject)
            with suppress(ValueError):
                return parse_iso(message.time) if message else None
            return None

        return self._run(store, self._patience)

    async def _page(self, subjects: str, offset: int, _: pacing.Pace) -> Answer:
        return await self._server.info(subjects, offset)

    def _subject(self, name: str) -> str:
        if not proper(name):
            raise ValueError(f"{name!r} cannot be the name of an object")
        return f"{self._stream}.o.{name.replace('.', '=').replace('/', '.')}"

    def _part(self, digest: str) -> str:
        return f"{self._stream}.p.{digest}"

    def _run(self, request: Callable[[pacing.Pace], Awaitable[T]], allowed: float) -> T:
        errors = self._nats.errors
        try:
            return self._loop.run(request, allowed)
        except TimeoutError:
            raise troubles.slow(self.url, allowed) from None
        except Refused as error:
            why = troubles.reason(error, self._hidden)
            raise troubles.denied(
                self.url, why, "Check the stream and what this user may do with it."
            ) from None
        except errors.NoRespondersError:
            hint = "Switch JetStream on in the server, or check what this user may do."
            raise troubles.denied(self.url, "JetStream does not answer", hint) from None
        except (errors.Error, OSError, ValueError, EOFError) as error:
            why = troubles.reason(error, self._hidden)
            if "auth" in why.lower():  # the library has a class for it, and does not always use it
                raise troubles.denied(self.url, why, "Check the credentials in the options.") from None
            raise troubles.unreachable(self.url, why) from None
