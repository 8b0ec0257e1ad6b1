"""Every event as one line of JSON: lossless, with the hashes, so that nothing of the record stays behind."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec

from data.clock import iso
from data.envelope import Event


def value(event: Event) -> dict[str, Any]:
    """Return an event as plain values.

    `body` is null when it was erased. Bodies are canonical JSON: the bytes that the hash vouches for are its
    RFC 8785 encoding. One that a damage made unreadable comes as `body_base64`.
    """
    body: Any = None
    unreadable = {}
    if event.body is not None:
        try:
            body = msgspec.json.decode(event.body)
        except (msgspec.DecodeError, RecursionError):
            unreadable = {"body_base64": b64encode(event.body).decode()}
    return {
        "n": event.n,
        "case": event.case,
        "rep": event.rep,
        "inc": event.inc,
        "seq": event.seq,
        "hlc": event.hlc,
        "at": iso(event.at, 9),
        "wall": iso(event.wall, 9),
        "clk": event.clk,
        "actor": event.actor,
        "role": event.role,
        "kind": event.kind,
        "prev": event.prev,
        "hash": event.hash,
        "refs": [msgspec.to_builtins(ref) for ref in event.refs],
        "body": body,
        **unreadable,
    }
