"""The HTTP client of actuators: one connection for each request, shared with nothing else.

It follows no redirect, trusts no certificate that the system does not, and reads no answer beyond a bound. A pool
would let the targets that hang keep the others waiting; how many requests are under way at once is the caller's affair.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import json
import re
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from console import secret, shown
from console.containment.actuator import Call, Declined, Reading, Unreachable
from console.containment.actuators.options import Access, Setting
from console.containment.actuators.template import idempotency_key
from console.refusal import Refused

if TYPE_CHECKING:
    import ssl

    from aiohttp import ClientSession

MOST = 1 << 20
"""Bytes of an answer that are read."""
FRESH = 5.0
"""Seconds for which a secret of a file is not read again; tokens are changed while a console is open."""
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_RETRY = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")

A = TypeVar("A")


class Request(NamedTuple):
    """One request, filled in. What it carries of secrets is added by the client."""

    method: str
    url: str
    headers: Mapping[str, str] = {}
    body: str = ""


class Reply(NamedTuple):
    """What was answered. `cut`: there was more than is read."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool = False

    @property
    def value(self) -> Any:
        """The body as JSON; None if it is none."""
        if self.cut:
            return None
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")


def field(value: Any, path: str) -> Any:
    """Return what stands at a path of dots in a JSON value, such as `status.replicas`; None: nothing."""
    for part in path.split("."):
        if isinstance(value, list) and part.isascii() and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict):
            value = value.get(part)
        else:
            return None
    return value


def planning(plan: Callable[[A, Call], str]) -> Callable[[A, Call], str]:
    """Let a dry run of what would be declined say so, instead of raising."""

    @functools.wraps(plan)
    def planned(self: A, call: Call) -> str:
        try:
            return plan(self, call)
        except Declined as error:
            return f"Nothing is sent: {error}"

    return planned


def observing(probe: Callable[[A, Call], Awaitable[Reading]]) -> Callable[[A, Call], Awaitable[Reading]]:
    """Let a probe that gets no answer say that it saw nothing, instead of raising."""

    @functools.wraps(probe)
    async def observed(self: A, call: Call) -> Reading:
        try:
            return await probe(self, call)
        except (Unreachable, Declined) as error:
            return Reading("unknown", str(error))

    return observed


class Client:
    """The way to one system.

    Args:
        access: its secret and its authority.
        setting: where it is made.
        scheme: what stands before the secret in the header `Authorization`.
        marked: whether requests carry the order, for systems of which somebody wrote the other side.

    Raises:
        Refused: the secret or the file of authorities cannot be read.
    """

    def __init__(
        self, access: Access, setting: Setting, *, scheme: str = "Bearer ", marked: bool = True
    ) -> None:
        self._access, self._setting, self._scheme, self._marked = access, setting, scheme, marked
        if access.token_env and access.token_file:
            raise Refused("The options `token_env` and `token_file` are both set.", "One of them is enough.")
        self._tls = _tls(access, setting)
        self._token, self._read = "", 0.0
        # The first request of a halt must not wait for this.
        importlib.import_module("aiohttp")
        self._session: ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.token()

    @property
    def secured(self) -> bool:
        """Whether it has a secret."""
        return bool(self._access.token_env or self._access.token_file)

    def token(self) -> str:
        """Return the secret, as the environment or its file has it now; empty: it has none (raises Refused)."""
        if self._access.token_env:
            return secret.of_environment(self._access.token_env, "actuator", self._setting.secrets)
        now = time.monotonic()
        if self._access.token_file and (not self._token or now - self._read > FRESH):
            self._token = secret.of_file(self._setting.path(self._access.token_file), "actuator")
            self._read = now
        return self._token

    def check(self, url: str, *, secured: bool | None = None) -> None:
        """Refuse an address to which a secret would go in the clear; `secured`: whether one goes there (raises Refused)."""
        goes = self.secured if secured is None else secured
        if url.startswith("https://") or not goes or self._access.cleartext:
            return
        parts = urlsplit(url)
        if "{" not in parts.netloc and parts.hostname not in LOOPBACK:
            raise Refused(
                f"The secret would go to {parts.hostname} in the clear.",
                "Use https://, or say that this is wanted: cleartext = true.",
            )

    def plan(self, *requests: Request, secured: bool = True) -> str:
        """Return what would be sent, secrets masked; `secured`: whether the secret goes along."""
        lines: list[str] = []
        for each in requests:
            headers = dict(each.headers)
            if secured and self.secured:
                name = self._access.token_env or self._access.token_file
                headers["Authorization"] = f"{self._scheme}[secret of {name}]"
            lines += [f"{each.method} {each.url}", *(f"{key}: {value}" for key, value in headers.items())]
            lines += [each.body] if each.body else []
        return "\n".join(shown.rows(lines))

    async def send(
        self,
        call: Call,
        request: Request,
        took: Collection[int] = (200, 201, 202, 204),
        *,
        secured: bool = True,
    ) -> Reply:
        """Make a request that must be taken.

        Args:
            call: for which; its time is the bound.
            request: what is sent.
            took: what the system answers when it took it.
            secured: whether the secret goes along.

        Raises:
            Unreachable: there was no answer, or one that says: later.
            Declined: it answered otherwise.
        """
        reply = await self.ask(call, request, secured=secured)
        if reply.status in took:
            return reply
        raise self.trouble(request.url, reply)

    async def ask(self, call: Call, request: Request, *, secured: bool = True) -> Reply:
        """Make a request and return whatever is answered.

        Args:
            call: for which; its time is the bound.
            request: what is sent.
            secured: whether the secret goes along.

        Raises:
            Unreachable: there was no answer.
            Declined: it could not even be sent.
        """
        import aiohttp
        from yarl import URL

        headers = {"User-Agent": "warroom", "Accept-Encoding": "identity"}
        if self._marked:
            headers |= {
                "Idempotency-Key": idempotency_key(call),
                "X-Warroom-Order": call.order,
                "X-Warroom-Epoch": str(call.epoch),
            }
        if secured and self.secured:
            try:
                headers["Authorization"] = self._scheme + self.token()
                self.check(request.url)
            except Refused as refused:
                raise Declined(str(refused)) from None
        headers |= request.headers
        try:
            # As it is written: no part of an address is quoted, unquoted or resolved once more.
            url = URL(request.url, encoded=True)
            async with (
                asyncio.timeout(call.timeout),
                self._open().request(
                    request.method,
                    url,
                    headers=headers,
                    data=request.body.encode() or None,
                    allow_redirects=False,
                ) as response,
            ):
                taken = bytearray()
                async for chunk in response.content.iter_any():
                    taken += chunk
                    if len(taken) > MOST:
                        response.close()
                        break
                return Reply(response.status, response.headers, bytes(taken[:MOST]), len(taken) > MOST)
        except TimeoutError:
            raise Unreachable(f"{_host(request)} gave no whole answer within {call.timeout:g} s.") from None
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError):
            raise Unreachable(f"The certificate of {_host(request)} is not trusted.") from None
        except aiohttp.ClientConnectorError as error:
            raise Unreachable(f"There is no connection to {_host(request)}: {_why(error)}.") from None
        except (aiohttp.InvalidURL, ValueError):
            raise Declined("The address, as it is filled in, is none.") from None
        except (aiohttp.ClientError, OSError) as error:
            # Only its kind: the text may hold the address.
            raise Unreachable(
                f"The connection to {_host(request)} broke off ({type(error).__name__})."
            ) from None

    def trouble(self, url: str, reply: Reply) -> Unreachable | Declined:
        """Return what an answer means that was not expected."""
        host, said = urlsplit(url).netloc, self.said(reply)
        match reply.status:
            case 429 | 503:
                after = reply.headers.get("Retry-After", "")
                wait = min(float(after), 3600.0) if _RETRY.fullmatch(after) else 0.0
                asks = f" and asks to wait {wait:g} s" if wait else ""
                return Unreachable(f"{host} is busy: it answered {reply.status}{asks}{said}.", after=wait)
            case status if status >= 500 or status in (408, 409, 425):  # 409: somebody changes it just now
                return Unreachable(f"{host} answered {status}{said}.")
            case status if 300 <= status < 400:
                return Declined(f"{host} points elsewhere ({status}); redirects are not followed.")
            case 401 | 403:
                return Declined(f"{host} refused with {reply.status}: check the secret and its rights{said}.")
            case 404:
                return Declined(f"{host} answered 404: there is no such thing there{said}.")
            case status:
                return Declined(f"{host} answered {status}, which was not expected{said}.")

    def said(self, reply: Reply) -> str:
        """Return the beginning of what was answered, for people, without secrets."""
        text = reply.body[:2000].decode("utf-8", "replace")
        if self._token or self._access.token_env:
            text = text.replace(self.token(), "[secret]")
        text = shown.visible(" ".join(text.split()), 160)
        return f": {text}" if text else ""

    async def close(self) -> None:
        """Let go of connections."""
        session, self._session = self._session, None
        if session is not None and self._loop is asyncio.get_running_loop():
            await session.close()

    def _open(self) -> ClientSession:
        import aiohttp

        loop = asyncio.get_running_loop()
        if self._session is None or self._loop is not loop:
            self._session, self._loop = (
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(limit=0, force_close=True, ssl=self._tls),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    timeout=aiohttp.ClientTimeout(total=None),
                    auto_decompress=False,
                    trust_env=False,
                ),
                loop,
            )
        return self._session


def _tls(access: Access, setting: Setting) -> ssl.SSLContext | bool:
    if not access.ca_file:
        return True
    import ssl

    path = setting.path(access.ca_file)
    try:
        return ssl.create_default_context(cafile=str(path))
    except (OSError, ssl.SSLError) as error:
        said = getattr(error, "strerror", None) or "it holds no certificate"
        raise Refused(f"The option `ca_file`: {path} cannot be used ({said}).") from None


def _host(request: Request) -> str:
    return urlsplit(request.url).netloc


def _why(error: OSError) -> str:
    import os

    return os.strerror(error.errno).lower() if error.errno and error.errno > 0 else "its name is not known"
