"""Who a console is: an Ed25519 key, the replica id that follows from it, and words to read it aloud."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from data.durable import publish, replace, write_temporary
from data.trouble import StoreTrouble, explain

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# The cryptography package takes 20 ms to import: whoever only reads never pays for it.

FILE = "identity.pem"
MAX_FILE_BYTES = 16 * 1024
DOMAIN = b"warroom strand 1\n"
"""Put before what is signed, so that a signature means nothing in another place."""
WORDS = 8
"""Words of 11 bits each: 88 bits, more than anybody can search for a look-alike."""


class Locked(StoreTrouble):
    """The key is protected by a passphrase that was not given, or was wrong."""


def replica_id(public: bytes) -> str:
    """The replica that a public key (32 bytes) stands for: 32 hex digits of its SHA-256."""
    return sha256(public).hexdigest()[:32]


def fingerprint(public: bytes) -> tuple[str, ...]:
    """Eight words that two people can read to each other to see that they mean the same key (32 bytes)."""
    from mnemonic import Mnemonic

    number = int.from_bytes(sha256(public).digest())
    words = Mnemonic("english").wordlist
    return tuple(words[number >> (256 - 11 * (i + 1)) & 2047] for i in range(WORDS))


def signed_by(public: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) over an event's hash was made with the key behind `public` (32 bytes)."""
    return signed(public, DOMAIN + digest, signature)


def signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) over exactly these bytes was made with the key behind `public` (32 bytes)."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


class Identity:
    """A console's key.

    Attributes:
        public: The public key, 32 bytes.
        replica: 32 hex digits; what stands on every event written with it.
    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw()
        self.replica = replica_id(self.public)

    @classmethod
    def make(cls) -> Identity:
        """A new key."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(Ed25519PrivateKey.generate())

    def sign(self, digest: bytes) -> bytes:
        """The signature (64 bytes) over an event's hash (32 bytes), and so over the whole strand up to it."""
        return self._key.sign(DOMAIN + digest)

    def state(self, kind: str, body: bytes) -> bytes:
        """The signature (64 bytes) over a statement that is no event, such as the manifest of a bundle (DSSE)."""
        from data.standalone_verify import pae  # only whoever exports needs it

        return self._key.sign(pae(kind, body))

    def pem(self, passphrase: str = "") -> bytes:
        """The key as PKCS #8 in PEM, encrypted when a passphrase is given; OpenSSL reads it too."""
        from cryptography.hazmat.primitives import serialization as to

        lock = to.BestAvailableEncryption(passphrase.encode()) if passphrase else to.NoEncryption()
        return self._key.private_bytes(to.Encoding.PEM, to.PrivateFormat.PKCS8, lock)

    @classmethod
    def from_pem(cls, pem: bytes, passphrase: str = "") -> Identity:
        """Read what `pem` wrote.

        Raises:
            Locked: It needs a passphrase, or this one is wrong.
            ValueError: It is no Ed25519 key.
        """
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        encrypted = b"ENCRYPTED" in pem
        if encrypted and not passphrase:
            raise _locked("needs its passphrase")
        try:
            key = serialization.load_pem_private_key(pem, passphrase.encode() if encrypted else None)
        except (ValueError, TypeError) as error:
            if encrypted:
                raise _locked("does not open with this passphrase") from None
            raise ValueError(f"it holds no key ({error})") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("it holds a key of another kind than Ed25519")
        return cls(key)


def _locked(problem: str) -> Locked:
    return Locked(
        f"The key of this console {problem}.",
        "Without it nothing can be signed, so nothing is written; everything can be read.",
        "Give it in WARROOM_PASSPHRASE, or open the console, which asks.",
    )


def keep(directory: Path, identity: Identity, passphrase: str = "") -> bool:
    """Write a new key to `directory`, readable by its owner only. False if there is one; it is left alone."""
    return publish(write_temporary(directory, identity.pem(passphrase)), directory / FILE)


def lock(directory: Path, identity: Identity, passphrase: str) -> None:
    """Write the key again under another passphrase; an empty one takes the protection off."""
    replace(directory / FILE, identity.pem(passphrase))


def load(directory: Path, passphrase: str = "") -> Identity:
    """Read the key of a home directory.

    Raises:
        Locked: It needs a passphrase, or this one is wrong.
        StoreTrouble: It is missing, readable by others, or no key.
    """
    path = directory / FILE
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            mode = os.fstat(handle).st_mode
            pem = file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise explain(error, path) from error
    if mode & 0o077:
        raise StoreTrouble(
            f"{path} can be read by others than its owner.",
            "Whoever copied it can write in this console's name.",
            f"Run `chmod 600 {path}`; if somebody may have copied it, make a new identity.",
        )
    try:
        return Identity.from_pem(pem, passphrase)
    except ValueError as error:
        raise StoreTrouble(
            f"{path} is not the key of a console: {error}.",
            "Nothing can be signed without it; what is on the record stays readable.",
            "Put the file back from a backup, or move it away: a new identity is then made.",
        ) from None


class Signer(Protocol):
    """What a writer needs of an identity."""

    public: bytes
    replica: str

    def sign(self, digest: bytes) -> bytes:
        """Sign an event's hash."""
        ...
