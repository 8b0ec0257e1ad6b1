"""quarantine/: bytes that a remote gave back and that are not what their names say, for whoever wants to know.

What a lost log left behind comes here too: beside a new log SQLite would take it for a part of that.

They may hold what a case said, torn or changed, so an erasure reaches them too.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from data.durable import make_directory, publish, replace, sync_directory, write_temporary
from data.envelope import decode_header
from data.log import NAME as LOG
from data.log import connect
from data.trouble import explain

NAME = "quarantine"
MAX_FILES = 1000
_DONE = ".erased"
"""Says of how many erased events the files are free."""


def keep(directory: Path, raw: bytes) -> bool:
    """Keep bytes beside a case; False if there is no room, or they hold what was erased.

    Args:
        directory: The case directory.
        raw: The bytes.

    Raises:
        StoreTrouble: If that is not possible.
    """
    place = directory / NAME
    path = place / sha256(raw).hexdigest()
    try:
        make_directory(place)
        if len(os.listdir(place)) >= MAX_FILES:
            return False
        publish(write_temporary(place, raw), path)
        # Asked when it has its name: an erasure that comes later finds it.
        return not _emptied(path, _traces(directory)) and path.stat().st_size == len(raw)
    except (OSError, sqlite3.Error) as error:
        raise explain(error, place) from error


def set_aside(path: Path) -> None:
    """Move a file of a case directory here, whole.

    Raises:
        OSError: If that is not possible; the file is then where it was.
    """
    place = path.parent / NAME
    make_directory(place)
    (place / _DONE).unlink(missing_ok=True)  # nobody has looked into this one yet
    os.rename(path, place / secrets.token_hex(32))
    sync_directory(place)
    sync_directory(path.parent)


def empty(directory: Path) -> int:
    """Take the bytes out of files that hold anything of an erased event; returns of how many. Repeats cost little.

    Args:
        directory: The case directory.

    Raises:
        StoreTrouble: If that is not possible; it can be tried again.
    """
    place = directory / NAME
    done = place / _DONE
    try:
        if not place.is_dir():
            return 0
        traces = _traces(directory)
        if not traces or (done.exists() and done.read_text() == str(len(traces))):
            return 0
        count = sum(_emptied(path, traces) for path in sorted(place.iterdir()) if path != done)
        replace(done, str(len(traces)).encode())
    except (OSError, sqlite3.Error) as error:
        raise explain(error, place) from error
    return count


def _traces(directory: Path) -> list[tuple[bytes, ...]]:
    """What stands before the text of each erased event wherever it travels: what it promises, and what it follows.

    Either is enough: the other may be what is broken.
    """
    query = "SELECT head FROM events WHERE hash IN (SELECT hash FROM erased)"
    with closing(connect(directory / LOG)) as db:
        headers = [decode_header(head) for (head,) in db.execute(query)]
    return [tuple(each.encode() for each in (header.body_h, header.prev or "") if each) for header in headers]


def _emptied(path: Path, traces: list[tuple[bytes, ...]]) -> bool:
    if not traces:
        return False
    data = path.read_bytes()
    if not any(trace in data for each in traces for trace in each):
        return False
    replace(path, b"")  # its name goes on saying that there was something
    return True
