"""What actuators of systems with an HTTP API of their own have in common: they send requests, and read a state back.

Reading back says what the system believes. `canary` asks besides whether it is so: both must have seen it stopped.
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote, urlsplit

from console.containment.actuator import Answer, Call, Declined, Reading, Unreachable
from console.containment.actuators import catalogue
from console.containment.actuators.canary import Canary, Probe, both
from console.containment.actuators.client import Client, Reply, Request, observing, planning
from console.containment.actuators.options import Access, Setting, Url
from console.refusal import Refused

_PLAIN = re.compile(r"[^\x00-\x20\x7f-\x9f]{1,200}")


class Watched(Access, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`url`: where its API begins. `canary`: a request as in `http.probe`, sent without the secret."""

    url: Url
    canary: Probe | None = None


def base(option: str, url: str) -> str:
    """Return an address to which paths are added (raises Refused)."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        fits = False
    if not fits or "@" in url or "?" in url or "#" in url or any(char <= " " for char in url):
        raise Refused(f"The option `{option}` is no address.", "As in https://flags.example.com.")
    return url.rstrip("/")


def segment(name: str) -> str:
    """Return a name as one part of an address (raises Declined)."""
    if not _PLAIN.fullmatch(name) or any(part in (".", "..") for part in re.split(r"[/\\]", name)):
        raise Declined(f"{name[:100]!r} is no name there.")
    try:
        return quote(name, safe="", errors="strict")
    except UnicodeEncodeError:
        raise Declined(f"{name[:100]!r} is no text.") from None


@asynccontextmanager
async def within(call: Call) -> AsyncIterator[None]:
    """Let several requests together take no longer than a call."""
    try:
        async with asyncio.timeout(call.timeout):
            yield
    except TimeoutError:
        raise Unreachable(f"It was not done within {call.timeout:g} s.") from None


class Api(ABC):
    """One system.

    Args:
        options: address, secret and canary.
        setting: where it is made.
        scheme: what stands before the secret.
    """

    def __init__(self, options: Watched, setting: Setting, *, scheme: str = "Bearer ") -> None:
        self.url = base("url", options.url)
        self.client = Client(options, setting, scheme=scheme, marked=False)
        if not self.client.secured:
            raise Refused("The option `token_env` is missing.", "Name the variable that holds the secret.")
        self.client.check(self.url)
        self._canary = (
            Canary("canary", options.canary, self.client, setting, secured=False) if options.canary else None
        )
        self._lifting = catalogue.lifting()
        self.verbs = catalogue.stopping() | self._lifting

    def lifts(self, call: Call) -> bool:
        """Return whether a call lets something go on."""
        return call.verb in self._lifting

    @abstractmethod
    def requests(self, call: Call) -> list[Request]:
        """Return what is sent (raises Declined)."""

    @abstractmethod
    async def read(self, call: Call) -> Reading:
        """Read the state back (raises Unreachable, Declined)."""

    @planning
    def plan(self, call: Call) -> str:
        """Return what would be sent, with secrets by their names."""
        return self.client.plan(*self.requests(call))

    async def apply(self, call: Call) -> Answer:
        """Send it, one after the other."""
        replies: list[Reply] = []
        async with within(call):
            for request in self.requests(call):
                replies.append(await self.send(call, request))
        return Answer(False, f"It answered {replies[-1].status}.")

    async def send(self, call: Call, request: Request) -> Reply:
        """Make a request that must be taken (raises Unreachable, Declined)."""
        return await self.client.send(call, request)

    @observing
    async def probe(self, call: Call) -> Reading:
        """Read the state back, and let the canary look too."""
        async with within(call):
            if self._canary is None:
                return await self.read(call)
            return both(*await asyncio.gather(self._read(call), self._canary.look(call)))

    @observing
    async def _read(self, call: Call) -> Reading:
        return await self.read(call)

    async def close(self) -> None:
        """Let go of connections."""
        await self.client.close()
