"""Events without a store: enough of an envelope for the folds to work on."""

from __future__ import annotations

from base64 import b32decode
from hashlib import sha256

from console.events import Body, entry
from console.incident import Fold, Incident
from data.clock import parse_iso
from data.envelope import Event

T0 = parse_iso("2026-11-21T14:00:00Z")
SECOND = 1_000_000_000
CASE = "7qf2" + "a" * 22
FOUNDER = "a" * 32


def event(body: Body, n: int, *, actor: str = "ana", rep: str = FOUNDER, at: int | None = None) -> Event:
    """Return `body` as the `n`-th event of a strand, one second after the one before."""
    written = entry(body, actor)
    digest = sha256(f"{rep}{n}".encode() + written.body).digest()
    if n == 1 and rep == FOUNDER:
        # A case is named after the event that founded it.
        digest = b32decode(CASE.upper() + "A" * 6) + digest[:12]
    wall = T0 + n * SECOND
    return Event(
        n=n,
        case=CASE,
        rep=rep,
        inc=1,
        seq=n,
        hlc=f"{(wall // 1_000_000) << 16:016x}",
        at=wall if at is None else at,
        wall=wall,
        actor=actor,
        role="",
        kind=written.kind,
        prev="" if n == 1 else "0" * 64,
        hash=digest.hex(),
        body=written.body,
    )


def strand(*bodies: Body, actor: str = "ana") -> list[Event]:
    """Return `bodies` as consecutive events."""
    return [event(body, n, actor=actor) for n, body in enumerate(bodies, 1)]


def in_pieces(arrival: list[Event], size: int) -> Incident:
    """Return what events add up to that arrive `size` at a time."""
    fold = Fold()
    for start in range(0, len(arrival), size):
        fold.add(arrival[start : start + size])
    return fold.incident
