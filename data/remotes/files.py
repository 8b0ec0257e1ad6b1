"""Files on whatever a directory remote stands on: FAT has no hard links, shares cannot sync directories.

Unlike `data.durable`, which writes where it knows its way around.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path

from data.durable import write_temporary

FILE_MODE, DIRECTORY_MODE = 0o660, 0o770
"""Less what the umask takes away: a share serves a group, and evidence is nobody else's business."""

_AT_FDCWD, _RENAME_NOREPLACE = -100, 1
_CANNOT = {
    errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EMLINK, errno.EXDEV,
}  # fmt: skip
"""How file systems say that they have no such operation, or no more of it."""


def write(folder: Path, data: bytes) -> Path:
    """Write a file for a group under a temporary name and make its bytes durable; nothing is left if that fails."""
    return write_temporary(folder, data, FILE_MODE)


def publish(temporary: Path, path: Path) -> bool:
    """Give a finished file its name, without replacing: False if the name is taken."""
    try:
        for give in (os.link, _rename_noreplace):
            try:
                give(temporary, path)
                break
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _CANNOT:
                    raise
        else:
            # Neither way exists here (FAT outside Linux, some shares): not atomic against a rival, as the probe
            # finds out. A rival for this name has the same bytes.
            if path.exists():
                return False
            temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)
    return True


def _rename_noreplace(source: Path, target: Path) -> None:
    """Rename unless the target exists: on Linux, FAT and exFAT can do that, and have no hard links."""
    if not sys.platform.startswith("linux"):
        raise OSError(errno.ENOSYS, "not on this system")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANNOT:  # some shares cannot sync a directory; they do it by themselves
            raise
    finally:
        os.close(handle)
