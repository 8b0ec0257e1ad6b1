"""Files that are whole or absent after a power cut: temporary file, fsync, publish, fsync the directory."""

import os
import secrets
from pathlib import Path

TEMPORARY = ".tmp-"
"""Names that start like this are unfinished and mean nothing."""


def make_directory(path: Path) -> None:
    """Create a directory (and its parents) that only its owner can enter, and make its name durable."""
    missing: list[Path] = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for directory in reversed(missing):
        directory.mkdir(mode=0o700, exist_ok=True)
        sync_directory(directory.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_temporary(directory: Path, data: bytes, mode: int = 0o600) -> Path:
    """Write a file of `mode` (less the umask) under a temporary name and make its bytes durable.

    Raises:
        OSError: If it cannot be written; nothing is left behind.
    """
    path = directory / f"{TEMPORARY}{secrets.token_hex(8)}"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def publish(temporary: Path, target: Path) -> bool:
    """Give a finished file its name, without replacing what has that name already.

    Returns:
        False if the name was taken; the temporary file is gone in any case.
    """
    try:
        os.link(temporary, target)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    sync_directory(target.parent)
    return True


def replace(target: Path, data: bytes) -> None:
    """Write a file in one step, in place of what was there.

    Raises:
        OSError: If it cannot be written; the old file is then untouched.
    """
    temporary = write_temporary(target.parent, data)
    os.replace(temporary, target)
    sync_directory(target.parent)
