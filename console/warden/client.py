"""The console's side of the warden: halt, resume, and who stands where."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from console.config import Config
from console.containment.actuator import Declined, Unreachable
from console.events import HaltScope
from console.refusal import Refused
from console.warden.protocol import GuardStanding, Order, Resume, Saw, Seen, Settled, Standing
from console.warden.settings import ADDRESS, TOKEN, directory

if TYPE_CHECKING:
    import aiohttp

MOST = 32 * 2**20
"""Bytes of an answer: that is some 100,000 guards."""
S = TypeVar("S")


class Warden:
    """A warden somewhere else. Made on an event loop, and used there only.

    Args:
        url: where it is, as in `http://127.0.0.1:4320`.
        token: its control token.
        timeout: seconds for one request.
    """

    def __init__(self, url: str, token: str, *, timeout: float = 5.0) -> None:
        self._url, self._token, self._timeout = url.rstrip("/"), token, timeout
        self._session: aiohttp.ClientSession | None = None
        self.trouble = ""
        """What is wrong with the last thing that was done, in a sentence: such as that it is not on the disk."""

    @classmethod
    def configured(cls, config: Config, home: str = "") -> Warden | None:
        """Return the warden of the configuration; None if there is none. `home`: as given on the command line.

        Raises:
            Refused: its token cannot be read.
        """
        settings = config.warden
        if not settings.url:
            return None
        named = settings.token_file
        return cls(
            settings.url, read_token(Path(named).expanduser() if named else directory(config, home) / TOKEN)
        )

    @classmethod
    def here(cls, config: Config, home: str = "") -> Warden | None:
        """Return the warden that ran last in its directory on this machine; None if none ever did. See `configured`."""
        place = directory(config, home)
        try:
            url = (place / ADDRESS).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
        return cls(url, read_token(place / TOKEN))

    async def raise_epoch(self, scope: HaltScope, subject: str, order: str, reason: str) -> int:
        """Halt, and return the epoch of it. It is in force when this returns; the same order again changes nothing.

        Args:
            scope: all, agent, tool or queue.
            subject: which one; empty for all.
            order: 16 hex digits.
            reason: why; kept by the warden, not shown to agents.

        Raises:
            Unreachable: the warden did not answer; whether it got it is not known, and a repeat is harmless.
            Declined: it answered that it will not, such as when the order was taken back since.
        """
        settled = await self._post("/halt", Order(scope, order, subject, reason[:2000]), Settled)
        self.trouble = (
            ""
            if settled.durable
            else "The warden could not write the halt down: its restart would forget it."
        )
        return settled.epoch

    async def resume(self, scope: HaltScope, subject: str, epoch: int, reason: str) -> int:
        """Take a halt back, and return the epoch of that. An agent may be resumed out of a halt of all.

        Args:
            scope: of what is to go on.
            subject: which one; empty for all.
            epoch: of the halt that is meant.
            reason: why.

        Raises:
            Unreachable: as for `raise_epoch`.
            Declined: something was halted after that epoch, or the disk did not take it.
        """
        return (await self._post("/resume", Resume(scope, epoch, subject, reason[:2000]), Settled)).epoch

    async def saw(self, agent: str, epoch: int, state: Saw, guard: str = "") -> None:
        """Tell the warden what somebody else saw of a halted agent: that it stands still, or that it acts.

        Raises:
            Unreachable: as for `raise_epoch`.
            Declined: as for `raise_epoch`.
        """
        await self._post("/seen", Seen(agent, state, epoch, guard), dict[str, int])

    async def standing(self) -> list[GuardStanding]:
        """Return how far every guard is.

        Raises:
            Unreachable: as for `raise_epoch`.
            Declined: as for `raise_epoch`.
        """
        return (await self.report()).guards

    async def report(self) -> Standing:
        """Return what is halted, how far every guard is, and what is wrong with the warden.

        Raises:
            Unreachable: as for `raise_epoch`.
            Declined: as for `raise_epoch`.
        """
        return await self._ask("GET", "/standing", b"", Standing)

    async def close(self) -> None:
        """Let go of the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post(self, path: str, body: msgspec.Struct, kind: type[S]) -> S:
        return await self._ask("POST", path, msgspec.json.encode(body), kind)

    async def _ask(self, method: str, path: str, body: bytes, kind: type[S]) -> S:
        import aiohttp

        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=self._timeout)
            self._session = aiohttp.ClientSession(timeout=timeout, auto_decompress=False, trust_env=False)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        try:
            async with self._session.request(
                method, self._url + path, data=body or None, headers=headers, allow_redirects=False
            ) as answer:
                raw = await _bounded(answer.content)
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            said = "no answer in time" if isinstance(error, TimeoutError) else str(error)[:200] or "no answer"
            raise Unreachable(f"the warden at {self._url} cannot be reached: {said}") from None
        if status >= 400:
            raise Declined(f"the warden refused: {_why(raw) or f'status {status}'}")
        try:
            return msgspec.json.decode(raw, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Declined(f"what answers at {self._url} is no warden") from None


def read_token(path: Path) -> str:
    """Return the token in a file that only its owner reads.

    Raises:
        Refused: there is none, or others can read it.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(
            f"The warden's token cannot be read ({error.strerror}): {path}.",
            "Set `warden.token_file`, or start the warden: it makes one.",
        ) from None
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077:
            raise Refused(f"Others can read {path}.", f"As in: chmod 600 {path}.")
        text = file.read(1024).decode("ascii", "replace").strip()
    if not text or not text.isprintable():
        raise Refused(f"{path} holds no token.", "Put it there once more.")
    return text


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    raw = bytearray()
    async for part in content.iter_any():
        raw += part
        if len(raw) > MOST:
            raise ValueError("its answer has no end")
    return bytes(raw)


def _why(raw: bytes) -> str:
    try:
        said = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return str(said.get("error", ""))[:300] if isinstance(said, dict) else ""
