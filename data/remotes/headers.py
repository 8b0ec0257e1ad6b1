"""What an object store says in headers that obstore does not hand on: its time, versions, locks."""

from __future__ import annotations

from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from data.clock import SECOND

_LOCKS = {
    "x-amz-object-lock-retain-until-date": "object lock until",
    "x-amz-object-lock-legal-hold": "legal hold",
    "x-goog-retention-expiration": "retained until",
    "x-ms-immutability-policy-until-date": "immutable until",
}


async def ask(store: Any, name: str) -> tuple[int | None, tuple[str, ...]]:
    """Ask for the headers of an object, with a signed address. Returns the time there (nanoseconds), and what it says."""
    import httpx
    import obstore
    from obstore.exceptions import BaseError

    try:
        address = await obstore.sign_async(store, "HEAD", name, timedelta(minutes=1))
        async with httpx.AsyncClient(timeout=httpx.Timeout(None)) as client:  # the caller limits the whole
            headers = (await client.head(address)).headers
        said = [f"{text} {headers[key][:40]}" for key, text in _LOCKS.items() if key in headers]
        if any(key in headers for key in ("x-amz-version-id", "x-ms-version-id")):
            said.append("versions are kept")
        # The header counts whole seconds: half a second more is right on average.
        return int(parsedate_to_datetime(headers["date"]).timestamp()) * SECOND + SECOND // 2, tuple(said)
    except (BaseError, httpx.HTTPError, httpx.InvalidURL, KeyError, ValueError):  # it does not sign
        return None, ()
