"""blobs/: big material under the name of its SHA-256."""

import os
import sqlite3
from collections.abc import Set
from hashlib import sha256
from pathlib import Path

from data.durable import make_directory, publish, replace, sync_directory, write_temporary
from data.envelope import Ref, decode_header
from data.trouble import StoreTrouble, explain

NAME = "blobs"
MAX_BYTES = 256 * 1024 * 1024


class Blobs:
    """The blobs of one case.

    Args:
        directory: The case directory.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / NAME

    def path(self, sha256_hex: str) -> Path:
        """Where a blob lies, whether or not it is there."""
        return self._path / sha256_hex[:2] / sha256_hex

    def put(self, data: bytes, media: str = "application/octet-stream") -> Ref:
        """Store a blob, whole or not at all; what is there already is not written again.

        Args:
            data: At most 256 MiB.
            media: Its media type.

        Returns:
            What an event says to speak of it.

        Raises:
            ValueError: If it is too large.
            StoreTrouble: If it cannot be written.
        """
        if len(data) > MAX_BYTES:
            raise ValueError(f"a blob has at most {MAX_BYTES} bytes, this has {len(data)}")
        digest = sha256(data).hexdigest()
        target = self.path(digest)
        try:
            if target.exists():
                if not _holds(target, digest, len(data)):
                    replace(target, data)
            else:
                make_directory(target.parent)
                publish(write_temporary(target.parent, data), target)
        except OSError as error:
            raise explain(error, target) from error
        return Ref(media=media, sha256=digest, size=len(data))

    def remove(self, sha256_hex: str) -> bool:
        """Delete a blob for good; whether there was one.

        Raises:
            StoreTrouble: If it cannot be deleted.
        """
        path = self.path(sha256_hex)
        try:
            path.unlink()
            sync_directory(path.parent)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise explain(error, path) from error
        return True

    def read(self, ref: Ref) -> bytes:
        """The bytes of a blob, checked against its hash and size.

        Raises:
            StoreTrouble: If it is missing, damaged or larger than 256 MiB.
        """
        path = self.path(ref.sha256)
        try:
            data = _read(path, min(ref.size, MAX_BYTES))
        except FileNotFoundError:
            raise StoreTrouble(
                f"The file {path} is missing.",
                "The entry that speaks of it is intact, but not what it speaks of.",
                "Look for the file in another copy of this case; its name is its SHA-256.",
            ) from None
        except OSError as error:
            raise explain(error, path) from error
        if len(data) != ref.size or sha256(data).hexdigest() != ref.sha256:
            raise StoreTrouble(
                f"The file {path} is not what was stored.",
                "It was changed or damaged; it is not shown, so that nobody takes it for the original.",
                "Take the file from another copy of this case; its name is its SHA-256.",
            )
        return data


def only_of(db: sqlite3.Connection, gone: Set[str]) -> frozenset[str]:
    """The blobs that only these events of a log speak of (hashes, 64 hex digits)."""
    if not gone:
        return frozenset()
    theirs: set[str] = set()
    others: set[str] = set()
    for digest, head in db.execute("SELECT hash, head FROM events WHERE instr(head, ?) = 0", (b'"refs":[]',)):
        refs = {ref.sha256 for ref in decode_header(head).refs}
        (theirs if digest.hex() in gone else others).update(refs)
    return frozenset(theirs - others)


def _read(path: Path, size: int) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        return file.read(size + 1)


def _holds(path: Path, digest: str, size: int) -> bool:
    try:
        return sha256(_read(path, size)).hexdigest() == digest
    except OSError:
        return False
