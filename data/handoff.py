"""handoff/: entries from processes that may not write the log, waiting on disk for the one that may."""

import errno
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import msgspec

from data.clock import iso, parse_iso
from data.durable import make_directory, publish, sync_directory, write_temporary
from data.envelope import MAX_GROUP_BYTES, BadEntry, Entry, Ref, check_group

NAME = "handoff"
REFUSED = ".refused"
MAX_FILE_BYTES = MAX_GROUP_BYTES + 16 * 1024 * 1024
MAX_FILES_A_TURN = 200

_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors that say nothing about the file."""

_FILE = re.compile(r"[0-9a-f]{16}-[0-9a-f]{16}-[0-9a-f]{8}\.json", re.ASCII)


class _Handed(msgspec.Struct, forbid_unknown_fields=True):
    kind: str
    body: msgspec.Raw
    actor: str
    role: str
    at: str
    refs: tuple[Ref, ...]
    key: str


class _Group(msgspec.Struct, forbid_unknown_fields=True):
    v: int
    entries: tuple[_Handed, ...]


_decode = msgspec.json.Decoder(_Group).decode


class Handoff:
    """One directory of handed entries.

    Files from one process sort in the order in which they were left. Each entry gets a key, so the
    writer can append a file again after a crash without doubling what is in it.

    Args:
        directory: The case directory.
        now_ns: Nanoseconds UTC, so that the files of a later process sort after those of an earlier one.
    """

    def __init__(self, directory: Path, now_ns: int) -> None:
        self.path = directory / NAME
        self._prefix = f"{max(now_ns, 0):016x}-{secrets.token_hex(8)}"
        self._numbers = count()

    def leave(self, entries: Sequence[Entry]) -> tuple[Path, list[str]]:
        """Write a checked group to disk, whole or not at all.

        Args:
            entries: All with a time of their own.

        Returns:
            The file, and the key of each entry.

        Raises:
            OSError: If it cannot be written.
        """
        name = f"{self._prefix}-{next(self._numbers):08x}"
        keys = [entry.key or f"hand:{name}:{index}" for index, entry in enumerate(entries)]
        group = _Group(
            1,
            tuple(
                _Handed(e.kind, msgspec.Raw(e.body), e.actor, e.role, iso(e.at or 0, 9), e.refs, key)
                for e, key in zip(entries, keys, strict=True)
            ),
        )
        make_directory(self.path)
        target = self.path / f"{name}.json"
        publish(write_temporary(self.path, msgspec.json.encode(group)), target)
        return target, keys

    def waiting(self) -> Iterator[tuple[Path, tuple[Entry, ...]]]:
        """The groups that wait, oldest first; what is not a group is set aside under another name.

        Raises:
            OSError: If this process cannot read files at the moment; none was touched.
        """
        try:
            names = sorted(filter(_FILE.fullmatch, os.listdir(self.path)))
        except FileNotFoundError:
            return
        for name in names[:MAX_FILES_A_TURN]:
            path = self.path / name
            try:
                yield path, _read(path)
            except FileNotFoundError:
                continue
            except (ValueError, OSError) as error:
                if getattr(error, "errno", None) in _PASSING:
                    raise
                os.replace(path, path.with_name(name + REFUSED))
                sync_directory(self.path)

    def refused(self) -> list[str]:
        """Names of the files that were set aside."""
        try:
            return sorted(name for name in os.listdir(self.path) if name.endswith(REFUSED))
        except FileNotFoundError:
            return []


def _read(path: Path) -> tuple[Entry, ...]:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        raw = file.read(MAX_FILE_BYTES + 1)
    if len(raw) > MAX_FILE_BYTES:
        raise BadEntry("the file is too large")
    try:
        group = _decode(raw)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadEntry(str(error)) from None
    if group.v != 1:
        raise BadEntry("the file is of another format")
    entries = tuple(
        Entry(h.kind, bytes(h.body), h.actor, h.role, parse_iso(h.at), h.refs, h.key) for h in group.entries
    )
    check_group(entries)
    if not all(entry.key for entry in entries):
        raise BadEntry("an entry has no key")
    return entries
