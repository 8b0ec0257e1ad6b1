"""What the warden signs: leases for guards, and notices of halts and resumes. The formats are in docs/warden.md.

A lease answers one question of one guard, and names its nonce: it cannot be used twice, nor by somebody else, and no
clock has to agree with another. Its time runs from the moment the guard asked, on the guard's own clock.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from msgspec import Meta, Struct

from console.events import HaltScope
from console.refusal import Refused
from console.warden.epochs import Word
from data import durable

DOMAIN = b"warroom-warden-1\n"
"""Stands before everything that is signed: this key's signatures mean nothing elsewhere."""
KEY = "key.pem"
PUBLIC = "key.pub"

Named = Annotated[str, Meta(pattern="^[^\\x00-\\x1f\\x7f-\\x9f]{1,128}$")]
"""A name that an agent may have: bounded, and printable as far as that goes; clean it before it is shown."""
Hex = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
Number = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class Ask(Struct, frozen=True, forbid_unknown_fields=True):
    """A guard asks for a lease, or for the next one.

    Attributes:
        agent: for whom it stands.
        guard: its own random id; one for each process.
        nonce: fresh for every question.
        tools: those for which it asks.
        queues: the same for queues of actions.
        epoch: the highest that it obeys, which acknowledges every halt up to there.
    """

    agent: Named
    guard: Hex
    nonce: Hex
    tools: Annotated[tuple[Named, ...], Meta(max_length=256)] = ()
    queues: Annotated[tuple[Named, ...], Meta(max_length=64)] = ()
    epoch: Number = 0


class Lease(Struct, frozen=True, tag="lease", tag_field="kind"):
    """Leave to act for `valid_ms` from when it was asked for, with these tools and queues and no others."""

    agent: str
    guard: str
    nonce: str
    epoch: int
    valid_ms: int
    tools: tuple[str, ...]
    queues: tuple[str, ...]


class Notice(Struct, frozen=True):
    """A halt or a resume. A resume gives no leave: it is a reason to ask."""

    kind: Literal["halt", "resume"]
    scope: HaltScope
    subject: str
    epoch: int


class Signed(Struct, frozen=True):
    """What travels: the exact text that was signed, and the signature in hex."""

    signed: str
    signature: str


def notice(word: Word) -> Notice:
    """Return what guards are told of a word: not who ordered it, nor why."""
    return Notice("halt" if word.halted else "resume", word.scope, word.subject, word.epoch)


class Signer:
    """The key of a warden. `public`: its other half, 64 hex digits, which guards are given."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw().hex()

    @classmethod
    def open(cls, directory: Path) -> tuple[Signer, bool]:
        """Return the signer of a directory, and whether its key was made just now.

        Raises:
            Refused: there is a key, and others can read it, or it is none.
            OSError: it cannot be read or written.
        """
        path = directory / KEY
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            made = Ed25519PrivateKey.generate()
            pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            durable.publish(durable.write_temporary(directory, pem), path)
            signer, _ = cls.open(directory)  # whoever was first
            return signer, True
        with os.fdopen(handle, "rb") as file:
            if stat.S_IMODE(os.fstat(handle).st_mode) & 0o077:
                raise Refused(f"Others can read {path}, the warden's key.", f"As in: chmod 600 {path}.")
            raw = file.read(4096)
        try:
            key = load_pem_private_key(raw, None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise Refused(
                f"{path} holds no Ed25519 key.", "Put the right one back, or delete it and re-key all guards."
            )
        return cls(key), False

    def sign(self, what: Lease | Notice) -> bytes:
        """Return `what` as the JSON of a `Signed`."""
        raw = msgspec.json.encode(what)
        return msgspec.json.encode(Signed(raw.decode(), self._key.sign(DOMAIN + raw).hex()))
