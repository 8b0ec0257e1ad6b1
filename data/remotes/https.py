"""An HTTPS service as a remote; `server.py` is one.

PUT  ADDRESS/NAME  with If-None-Match: *    201 created, 412 there is one of that name
GET  ADDRESS/NAME                           200 with the bytes, 404 there is none, 410 it cannot be read any more
GET  ADDRESS/?list=PREFIX&after=NAME        200, the names that follow, sorted, one a line; none: the end
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from data.clock import SECOND
from data.remotes import MAX_NAMES, Findings, limit, pacing, proper, troubles
from data.remotes.probing import probe

if TYPE_CHECKING:
    from httpx import AsyncClient

LOOPBACK = ("127.0.0.1", "::1", "localhost")
MAX_PAGE = 4 * 1024 * 1024
CHUNK = 256 * 1024

_OPTIONS = {"ca", "cert", "key", "timeout", "token"}
_CREATED, _TAKEN = (200, 201, 204), (409, 412)


class Https:
    """A service that speaks the three requests above.

    Args:
        url: `https://host/path`; `http` on loopback only.
        options: `token` (sent as bearer); `cert` and `key` (files) for a service that asks for a certificate; `ca` (a
            file) for one that has its own; `timeout`.
    """

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        self.url = url.rstrip("/")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise troubles.misconfigured(
                url, "it is not encrypted", "Use https; http is for this machine only."
            )
        if unknown := sorted(set(options) - _OPTIONS):
            raise troubles.misconfigured(url, f"it has no option {unknown[0]}", "See docs/remotes/https.md.")
        if not options.get("token", "").isascii() or not options.get("token", "").isprintable():
            raise troubles.misconfigured(url, "its token holds strange characters", "Copy the token again.")
        self._options = options
        self._local = parts.hostname in LOOPBACK
        self._hidden = troubles.secrets(options)
        self._patience = pacing.seconds(url, options)
        self._loop = pacing.Loop()
        self._client: AsyncClient | None = None
        self._date = ""

    @classmethod
    def open(cls, url: str, options: Mapping[str, str]) -> Https:
        """Open a service by its address."""
        return cls(url, options)

    def put(self, name: str, data: bytes) -> bool:
        """Create an object."""
        headers = {"If-None-Match": "*", "Content-Length": str(len(data))}

        async def send() -> AsyncIterator[bytes]:
            for start in range(0, len(data), CHUNK):
                yield data[start : start + CHUNK]

        status, _ = self._ask(
            "PUT", self._address(name), 64 * 1024, headers, send() if data else None, len(data)
        )
        if status in _CREATED:
            return True
        if status in _TAKEN:
            return False
        raise troubles.nonsense(self.url, f"status {status} to a create")

    def get(self, name: str) -> bytes:
        """Read an object."""
        status, data = self._ask("GET", self._address(name), limit(name))
        if status == 404:
            raise troubles.absent(self.url, name)
        if status == 410:
            raise troubles.broken(self.url, name, "status 410")
        if status != 200:
            raise troubles.nonsense(self.url, f"status {status} to a read")
        return data

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """Names in order, a page at a time."""
        count = 0
        while True:
            query = f"?list={quote(prefix, safe='')}&after={quote(after, safe='')}"
            status, data = self._ask("GET", f"{self.url}/{query}", MAX_PAGE)
            if status != 200:
                raise troubles.nonsense(self.url, f"status {status} to a listing")
            page = data.decode("ascii", "replace").split()
            count += len(page)
            if not page:
                return
            if max(page) <= after or count > MAX_NAMES:
                raise troubles.too_many(self.url)
            yield from (name for name in page if name > after and name.startswith(prefix) and proper(name))
            after = max(page)

    def probe(self) -> Findings:
        """Find out what the service does."""
        return probe(self, clock=self._now)

    def close(self) -> None:
        """Let go of connections."""
        client, self._client = self._client, None
        if client is not None:
            self._loop.run(lambda _: client.aclose(), self._patience)
        self._loop.close()

    def _address(self, name: str) -> str:
        if not proper(name):
            raise ValueError(f"{name!r} cannot be the name of an object")
        return f"{self.url}/{name}"

    def _now(self) -> int | None:
        try:
            return int(parsedate_to_datetime(self._date).timestamp()) * SECOND + SECOND // 2
        except (ValueError, OverflowError):
            return None

    def _ask(
        self,
        method: str,
        address: str,
        bound: int,
        headers: Mapping[str, str] | None = None,
        body: AsyncIterator[bytes] | None = None,
        size: int = 0,
    ) -> tuple[int, bytes]:
        """Make one request and read at most `bound` bytes of the answer; redirects are not followed."""
        import httpx

        allowed = self._patience + size / pacing.RATE

        async def request(pace: pacing.Pace) -> tuple[int, bytes]:
            if self._client is None:
                self._client = self._connect()
            data = bytearray()
            async with self._client.stream(method, address, headers=headers, content=body) as answer:
                self._date = answer.headers.get("date", "")
                async for chunk in answer.aiter_raw():
                    data += chunk
                    if len(data) > bound:
                        break
                    pace.came(len(data))
                return answer.status_code, bytes(data)

        try:
            status, data = self._loop.run(request, allowed)
        except TimeoutError:
            raise troubles.slow(self.url, allowed) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise troubles.unreachable(self.url, troubles.reason(error, self._hidden)) from None
        if len(data) > bound:
            raise troubles.too_big(self.url, address.removeprefix(self.url), bound)
        if status in (401, 403):
            raise troubles.denied(
                self.url, f"status {status}", "Check the token or the certificate in the options."
            )
        if status in (408, 429) or status >= 500:
            raise troubles.unreachable(self.url, f"status {status}")
        return status, data

    def _connect(self) -> AsyncClient:
        import httpx

        context = ssl.create_default_context(cafile=self._options.get("ca"))
        if "cert" in self._options:
            context.load_cert_chain(self._options["cert"], self._options.get("key"))
        headers = {"Accept-Encoding": "identity", "User-Agent": "warroom"}
        if "token" in self._options:
            headers["Authorization"] = f"Bearer {self._options['token']}"
        return httpx.AsyncClient(
            headers=headers,
            verify=context,
            timeout=httpx.Timeout(None),  # the limit is on the whole request, see `pacing`
            trust_env=not self._local,  # a proxy has no business between two programs of one machine
        )
