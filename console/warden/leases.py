"""What the warden signs with: its key, which says of a lease or a notice that it is the warden's word."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from console.refusal import Refused
from console.warden.epochs import Word
from console.warden.protocol import Lease, Notice, Signed
from data import durable

DOMAIN = b"warroom-warden-1\n"
"""Stands before everything that is signed: this key's signatures mean nothing elsewhere."""
KEY = "key.pem"
PUBLIC = "key.pub"


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
