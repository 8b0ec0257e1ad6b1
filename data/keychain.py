"""The key of a console in the keyring of the operating system, instead of in a file."""

from __future__ import annotations

from types import ModuleType

from data.identity import Identity
from data.trouble import StoreTrouble

SERVICE = "warroom"


def put(identity: Identity) -> None:
    """Store a key under its replica, and see that it comes back.

    Raises:
        StoreTrouble: There is no keyring, or it does not keep what it is given.
    """
    keyring = _keyring()
    try:
        keyring.set_password(SERVICE, identity.replica, identity.pem().decode())
    except Exception as error:  # each system's keyring has errors of its own
        raise _failed(error) from None
    if get(identity.replica).public != identity.public:
        raise _failed("it gives back another key")


def get(replica: str) -> Identity:
    """Fetch the key of a replica (32 hex digits).

    Raises:
        StoreTrouble: There is no keyring, it is locked, or it holds no such key.
    """
    keyring = _keyring()
    try:
        pem = keyring.get_password(SERVICE, replica)
    except Exception as error:
        raise _failed(error) from None
    if not pem:
        raise StoreTrouble(
            f"The keyring of this system holds no key for {replica[:8]}, the console that this home belongs to.",
            "Nothing can be signed without it; what is on the record stays readable.",
            "Log in as the user who stored it; if it is lost, move home.json away: a new identity is then made.",
        )
    try:
        return Identity.from_pem(pem.encode())
    except ValueError as error:
        raise _failed(error) from None


def forget(replica: str) -> None:
    """Take a key out of the keyring, if it is there."""
    try:
        _keyring().delete_password(SERVICE, replica)
    except StoreTrouble:
        raise
    except Exception:  # noqa: S110 - it is not there, or the keyring keeps it: its owner decides
        pass


def _keyring() -> ModuleType:
    try:
        import keyring
    except ImportError:
        raise StoreTrouble(
            "The package `keyring` is not installed, and the key of this console is to be kept with it.",
            "Without its key this console can read everything and write nothing.",
            "Run `pip install 'warroom[keyring]'`.",
        ) from None
    return keyring


def _failed(error: object) -> StoreTrouble:
    return StoreTrouble(
        f"The keyring of this system cannot be used ({str(error) or type(error).__name__}).",
        "Without its key this console can read everything and write nothing.",
        "Unlock the keyring; on a machine without a desktop keep the key in a file with a passphrase instead.",
    )
