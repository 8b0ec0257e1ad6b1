"""What can go wrong with a store, in words for the person who is on call."""

import errno
import sqlite3
from pathlib import Path


class StoreTrouble(Exception):
    """A store cannot do what it was asked.

    Args:
        what: What happened, one sentence.
        meaning: What that means for the record, one sentence.
        next_step: What to do now, one sentence.
    """

    def __init__(self, what: str, meaning: str, next_step: str) -> None:
        super().__init__(f"{what} {meaning} {next_step}")
        self.what = what
        self.meaning = meaning
        self.next_step = next_step


def explain(error: sqlite3.Error | OSError, path: Path) -> StoreTrouble:
    """Say in plain words what an error of the database means for the record."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if code is not None else None
    name = path.name
    safe = "Nothing that was confirmed as saved is lost, but nothing new is saved now."
    if primary == sqlite3.SQLITE_FULL or getattr(error, "errno", None) in (28, 122):
        return StoreTrouble(
            f"The disk is full: {name} could not be written.", safe, f"Free some space on the disk of {path}."
        )
    forbidden = isinstance(error, PermissionError) or getattr(error, "errno", None) == errno.EROFS
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM) or forbidden:
        return StoreTrouble(
            f"{name} cannot be written by this user.",
            "The record can be read, but nothing new can be saved.",
            f"Give this user write access to {path.parent}, or run as the user who owns it.",
        )
    if primary == sqlite3.SQLITE_CANTOPEN or isinstance(error, FileNotFoundError):
        return StoreTrouble(
            f"{name} cannot be opened.", safe, f"Check that {path} exists and may be read by this user."
        )
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreTrouble(
            f"{name} is damaged.",
            "Some of what it holds may not be readable; nothing more is written to it.",
            f"Copy {path.parent} to a safe place first, then run `warroom verify` on the copy.",
        )
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreTrouble(
            f"Another program holds {name} locked.", safe, "Close other database tools that have it open."
        )
    return StoreTrouble(
        f"The disk reported an error while {name} was in use ({error}).",
        safe,
        f"Check the disk that holds {path}; enter again what the timeline does not show.",
    )
