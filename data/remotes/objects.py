"""Object stores as remotes: S3 and what speaks like it, Google Cloud Storage, Azure, all through obstore.

Objects are written in one request each, never in parts, and only ever created. What a store answers to a create
of a taken name differs; nothing here rests on it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from data.remotes import MAX_NAMES, Findings, RemoteTrouble, headers, limit, pacing, proper, troubles
from data.remotes.probing import probe

if TYPE_CHECKING:
    from obstore.store import ObjectStore

T = TypeVar("T")

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT")
_CREDENTIALS = (
    "Check its credentials (options, or the usual environment), and that they may list, read and write."
)
_CODE = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")
_NOISE = re.compile(r"^Generic \w+ error: |Error performing \w+ \S+ in \S+?(?:, after \d+ retries.*?)? - ")
# obstore has a class for each, and does not use it for listings.
_DENIED = (
    "AccessDenied", "AuthenticationFailed", "AuthorizationFailure", "ExpiredToken", "InvalidAccessKeyId",
    "InvalidToken", "SignatureDoesNotMatch",
)  # fmt: skip
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound")


class Objects:
    """A bucket or container, or the objects under a prefix of one.

    Args:
        url: `s3://bucket/prefix`, `gs://…` or `az://…`.
        options: Any configuration key of obstore for that kind of store, such as `endpoint` or `region`, and
            `timeout` and `allow_http`. What is not given comes from the usual environment.
    """

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        try:
            from obstore import exceptions, store
        except ImportError:
            raise troubles.not_installed("object storage", "s3") from None
        self.url = url
        self._hidden = troubles.secrets(options)
        self._patience = pacing.seconds(url, options)
        self._loop = pacing.Loop()
        self._conditional = True
        parts = urlsplit(url)
        kinds: dict[str, Any] = {
            "s3": store.S3Store, "gs": store.GCSStore, "az": store.AzureStore,
        }  # fmt: skip
        config: dict[str, Any] = {k: v for k, v in options.items() if k not in ("timeout", "allow_http")}
        if parts.scheme == "s3":
            config.setdefault("checksum_algorithm", "sha256")  # buckets with object lock demand a checksum
        endpoint = config.get("endpoint") or next((os.environ[e] for e in _ENDPOINTS if e in os.environ), "")
        loopback = urlsplit(endpoint).hostname in ("127.0.0.1", "::1", "localhost")
        if endpoint.startswith("http:") and not (loopback or options.get("allow_http") == "true"):
            raise troubles.misconfigured(
                url,
                "its endpoint is not encrypted",
                "Use https, or set the option allow_http to true if the network is trusted.",
            )
        longest = self._patience + limit("") / pacing.RATE
        try:
            self._store: ObjectStore = kinds[parts.scheme](
                parts.netloc,
                prefix=parts.path.strip("/") or None,
                config=config,
                client_options={
                    "allow_http": endpoint.startswith("http:"),
                    "connect_timeout": timedelta(seconds=min(5.0, self._patience)),
                    "timeout": timedelta(seconds=longest),  # the limit that counts is ours, see `pacing`
                },
                retry_config={
                    "max_retries": 2,
                    "retry_timeout": timedelta(seconds=self._patience * 0.8),
                    "backoff": {
                        "init_backoff": timedelta(milliseconds=100),
                        "max_backoff": timedelta(seconds=1),
                        "base": 2,
                    },
                },
            )
        except (exceptions.BaseError, ValueError, TypeError) as error:
            raise troubles.misconfigured(
                url, troubles.reason(error, self._hidden).rstrip("."), "Correct the address or the options."
            ) from None

    @classmethod
    def open(cls, url: str, options: Mapping[str, str]) -> Objects:
        """Open a bucket by its address."""
        return cls(url, options)

    def put(self, name: str, data: bytes) -> bool:
        """Create an object; False if the store says that there is one, or that it cannot tell just now."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, GenericError, NotSupportedError

        _check(name)
        allowed = self._patience + len(data) / pacing.RATE
        if self._conditional:
            try:
                self._run(
                    lambda _: obstore.put_async(self._store, name, data, mode="create", use_multipart=False),
                    allowed,
                    (AlreadyExistsError, GenericError, NotSupportedError),
                )
                return True
            except AlreadyExistsError:
                return False
            except (GenericError, NotSupportedError) as error:
                # Some stores do not know `If-None-Match` and say so, with 501.
                if not isinstance(error, NotSupportedError) and "NotImplemented" not in str(error):
                    raise self._trouble(error) from None
                self._conditional = False
        try:
            self._run(lambda _: obstore.head_async(self._store, name), self._patience, (FileNotFoundError,))
            return False
        except FileNotFoundError:
            self._run(
                lambda _: obstore.put_async(self._store, name, data, mode="overwrite", use_multipart=False),
                allowed,
            )
            return True

    def get(self, name: str) -> bytes:
        """Read an object."""
        import obstore

        _check(name)
        bound = limit(name)

        async def read(pace: pacing.Pace) -> bytes:
            result = await obstore.get_async(self._store, name)
            data = bytearray()
            async for chunk in result.stream(min_chunk_size=1024 * 1024):
                data += chunk
                if len(data) > bound:
                    raise troubles.too_big(self.url, name, bound)
                pace.came(len(data))
            return bytes(data)

        try:
            return self._run(read, self._patience, (FileNotFoundError,))
        except FileNotFoundError as error:
            if any(code in str(error) for code in _NO_BUCKET):
                raise self._trouble(error) from None
            raise troubles.absent(self.url, name) from None

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """Names, as the store lists them."""
        import obstore

        count = 0
        stream = obstore.list(
            self._store, prefix.rpartition("/")[0] or None, offset=after or None, chunk_size=1000
        )
        while chunk := self._run(lambda _: _next(stream), self._patience):
            count += len(chunk)
            if count > MAX_NAMES:
                raise troubles.too_many(self.url)
            for each in chunk:
                name = each["path"]
                if name.startswith(prefix) and name > after and proper(name):
                    yield name

    def probe(self) -> Findings:
        """Find out what the store does, and what a fresh object says of clocks, versions and locks."""
        name = f"probe/clock/{os.urandom(8).hex()}"
        self.put(name, b"warroom")
        said: list[str] = []

        def now() -> int | None:
            seconds, locked = self._run(lambda _: headers.ask(self._store, name), self._patience)
            said.extend(locked)
            return seconds

        findings = probe(self, clock=now)
        return replace(findings, locked=", ".join(said))

    def close(self) -> None:
        """Stop the thread of the requests."""
        self._loop.close()

    def _run(
        self,
        request: Callable[[pacing.Pace], Coroutine[Any, Any, T]],
        allowed: float,
        expected: tuple[type[Exception], ...] = (),
    ) -> T:
        from obstore.exceptions import BaseError

        try:
            return self._loop.run(request, allowed)
        except TimeoutError:
            raise troubles.slow(self.url, allowed) from None
        except expected:
            raise
        except (BaseError, OSError, ValueError) as error:
            raise self._trouble(error) from None

    def _trouble(self, error: Exception) -> RemoteTrouble:
        from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

        code = _CODE.search(str(error))
        why = code[1] if code else troubles.reason(ValueError(_NOISE.sub("", str(error))), self._hidden)

        if isinstance(error, PermissionDeniedError | UnauthenticatedError) or why in _DENIED:
            return troubles.denied(self.url, why, _CREDENTIALS)
        if isinstance(error, FileNotFoundError | ValueError) or why in _NO_BUCKET:
            return troubles.denied(self.url, why, "Make the bucket first, or correct its name.")
        return troubles.unreachable(self.url, why)


async def _next(stream: Any) -> Any:
    try:
        return await anext(stream)
    except StopAsyncIteration:
        return ()


def _check(name: str) -> None:
    if not proper(name):
        raise ValueError(f"{name!r} cannot be the name of an object")
