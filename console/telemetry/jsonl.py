"""Actions as lines of JSON: a file read to its end, a file that is still being written, standard input.

A line that cannot be read is refused with the reason and costs the others nothing. Blank lines are nothing,
fields nobody knows are ignored, `null` is a field that was not given, and where a key occurs twice in one
object the last one counts.
"""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from msgspec import Struct

from console.refusal import Refused
from console.telemetry.action import EARLIEST, LATEST, Action

CHUNK = 1 << 18
"""Bytes read at a time."""
LINE = 1 << 20
"""Bytes of the longest line that is looked at."""
RAW = 4096
"""Bytes kept of a refused line."""
REFUSALS = 1_000
"""Refusals kept of one batch; all are counted."""
_HEAD = 256
_BOM = b"\xef\xbb\xbf"

_decoder = msgspec.json.Decoder(Action)
_anything = msgspec.json.Decoder()
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Refusal(Struct, frozen=True):
    """A record that could not be taken in.

    Attributes:
        source: where it came from.
        offset: its first byte in the source.
        line: its line, from 1; 0 = not known.
        reason: why, in plain words; may quote the record and must be cleaned before it is shown.
        raw: its first bytes, at most 4096.
    """

    source: str
    offset: int
    line: int
    reason: str
    raw: bytes


class Position(Struct, frozen=True):
    """How far a source has been read; whoever keeps it can go on there after a restart.

    Attributes:
        offset: bytes taken in: at the end of a line, or within one that is too long to be looked at.
        line: lines taken in.
        file: device and inode of the file, empty for a stream.
        head: hash of the file's first bytes, to tell a file that was rewritten in place.
        size: bytes that the file had then.
    """

    offset: int = 0
    line: int = 0
    file: str = ""
    head: str = ""
    size: int = 0


class Batch(Struct, frozen=True):
    """What one read gave: actions in order, refusals, and the position after both.

    `refused` counts all refusals, of which the first thousand are listed. `more` says that there may be more.
    """

    actions: list[Action]
    refusals: list[Refusal]
    refused: int
    position: Position
    more: bool


class _Lines:
    """Bytes in, actions out; keeps the line that is not complete yet."""

    def __init__(self, source: str, offset: int = 0, line: int = 0) -> None:
        self.source = source
        self.offset = offset
        self.line = line
        self.rest = b""
        self.skipping = False
        self._clear()

    def _clear(self) -> None:
        self.actions: list[Action] = []
        self.refusals: list[Refusal] = []
        self.refused = 0

    def take(self, data: bytes) -> None:
        """Decode all lines that `data` completes."""
        if self.skipping:
            end = data.find(b"\n") + 1
            self.offset += end or len(data)
            if not end:
                return
            self.skipping = False
            self.line += 1
            data = data[end:]
        if self.rest:
            data = self.rest + data
        cut = data.rfind(b"\n") + 1
        self.rest = data[cut:]
        if cut:
            self._complete(data if cut == len(data) else data[:cut])
        if len(self.rest) > LINE:
            self._refuse(self.rest, "it is longer than 1 MiB")
            self.offset += len(self.rest)
            self.rest = b""
            self.skipping = True

    def end(self) -> None:
        """Take what is left as the last line."""
        if self.rest:
            self._one(self.rest)
            self.offset += len(self.rest)
            self.rest = b""
        self.skipping = False

    def restart(self) -> None:
        """Go back to the beginning of a source that was emptied."""
        if self.rest:
            self._refuse(self.rest, "the file was emptied before this line was complete")
        self.offset = self.line = 0
        self.rest = b""
        self.skipping = False

    def _complete(self, data: bytes) -> None:
        lines = data.split(b"\n")
        lines.pop()
        if len(lines[0]) <= LINE:
            # Not `decode_lines`: that reads objects, wherever the line feeds are.
            try:
                self.actions += list(map(_decoder.decode, lines))
            except _UNREADABLE:
                pass
            else:
                self.offset += len(data)
                self.line += len(lines)
                return
        for line in lines:
            self._one(line)
            self.offset += len(line) + 1

    def _one(self, line: bytes) -> None:
        if self.offset == 0 and line.startswith(_BOM):
            line = line[len(_BOM) :]
        if len(line) > LINE:
            self._refuse(line, "it is longer than 1 MiB")
        elif line and not line.isspace():
            try:
                self.actions.append(_decoder.decode(line))
            except _UNREADABLE as error:
                found = read(line, error)
                if isinstance(found, Action):
                    self.actions.append(found)
                else:
                    self._refuse(line, found)
        self.line += 1

    def _refuse(self, line: bytes, reason: str) -> None:
        self.refused += 1
        if len(self.refusals) < REFUSALS:
            self.refusals.append(Refusal(self.source, self.offset, self.line + 1, reason, line[:RAW]))

    def batch(self, file: str = "", head: str = "", size: int = 0, *, more: bool = True) -> Batch:
        """Return what was decoded since the last batch."""
        position = Position(self.offset, self.line, file, head, size)
        batch = Batch(self.actions, self.refusals, self.refused, position, more)
        self._clear()
        return batch


def read(line: bytes, error: Exception) -> Action | str:
    """Look again at a line that did not decode because of `error`: an action after all, or why not."""
    try:
        # Padded: the decoder calls half a character close to the end "truncated".
        found = _anything.decode(line + b"     ")
    except UnicodeDecodeError:
        return "it is not UTF-8 text"
    except RecursionError:
        return "it is nested too deeply"
    except msgspec.MsgspecError as malformed:
        if "surrogate" in str(malformed):
            return "it holds half a character: a lone surrogate (`\\ud800` to `\\udfff`)"
        if "truncated" in str(malformed):
            return "it is not complete JSON"
        return "it is not JSON" + str(malformed).removeprefix("JSON is malformed")
    if not isinstance(found, dict):
        return "it is not a JSON object"
    return check(found, error)


def check(record: dict[str, Any], error: Exception | None = None) -> Action | str:
    """Return the action that a decoded record is, or why it is none, in plain words."""
    if record.get("at") is None:
        return "it has no `at`, the time at which the action was over"
    if reason := _time("at", record["at"]) or _time("presented_at", record.get("presented_at")):
        return reason
    if record.get("agent") in (None, ""):
        return "it has no `agent`, the name of the agent that acted"
    try:
        return msgspec.convert({k: v for k, v in record.items() if v is not None}, Action)
    except msgspec.ValidationError as invalid:
        what, _, where = str(invalid).partition(" - at `$.")
        return f"`{where.rstrip('`')}`: {what[:1].lower()}{what[1:]}" if where else str(error or invalid)


def _time(name: str, value: Any) -> str:
    """Say what is wrong with a time; the unit is guessed from its size, and never converted in silence."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"`{name}` must be whole nanoseconds since 1970 UTC, and is not a number"
    if EARLIEST <= value <= LATEST:
        if isinstance(value, float):
            return f"`{name}` must be whole nanoseconds since 1970 UTC, and has a fraction or exponent"
        return ""
    for unit, factor in (("seconds", 10**9), ("milliseconds", 10**6), ("microseconds", 10**3)):
        if EARLIEST / factor <= value <= LATEST / factor:
            return f"`{name}` looks like {unit}; it must be whole nanoseconds since 1970 UTC"
    return f"`{name}` is not a time between 2000 and 2100 in nanoseconds since 1970 UTC"


def stream(source: BinaryIO, name: str) -> Iterator[Batch]:
    """Read standard input or another pipe until it ends.

    Yields:
        a batch for every piece that arrives; waits for the next piece in between.
    """
    lines = _Lines(name)
    take = getattr(source, "read1", source.read)
    while data := take(CHUNK):
        lines.take(data)
        yield lines.batch()
    lines.end()
    yield lines.batch(more=False)


def whole(path: Path) -> Iterator[Batch]:
    """Read a file to its end.

    A last line without a line feed counts as a line.

    Raises:
        Refused: the file cannot be read.
    """
    with Follower(path) as follower:
        file = follower.open()
        if file is None:
            raise Refused(f"There is no file {path}.", "Check the path.")
        while (batch := follower.take(file)).more:
            yield batch
        yield follower.finish()


class Follower:
    """Reads a file that is still being written, across rotation, truncation and replacement.

    Never waits: `poll` returns what there is, and the caller decides when to ask again. A last line without a
    line feed is not taken before it is complete or its file has been replaced.

    A file that was rotated away since `position` is looked for beside its path and read to its end first, and
    after it what was rotated away since.

    Args:
        path: the file; it need not exist yet.
        position: where to go on.

    Attributes:
        lost: one sentence about what was rotated away and cannot be read any more, else empty.
    """

    def __init__(self, path: Path, position: Position | None = None) -> None:
        self.path = path
        self.lost = ""
        self._resume = position
        # Files to be read before the one at the path, the oldest first.
        self._earlier: list[Path] = []
        self._sought = False
        self._file: BinaryIO | None = None
        self._identity = ""
        self._head = b""
        self._lines = _Lines(str(path))

    def __enter__(self) -> "Follower":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the position of the last batch stays good."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def open(self) -> BinaryIO | None:
        """Open the file if it is not open; return it, or None while there is none.

        Raises:
            Refused: it is not a file, or may not be read.
        """
        if self._file is not None:
            return self._file
        start = self._start()
        path = self._earlier.pop(0) if self._earlier else self.path
        try:
            # Without O_NONBLOCK opening a named pipe would wait for its writer.
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Refused(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from error
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            os.close(handle)
            raise Refused(f"{path} is not a regular file.", "Name a file, or pipe into standard input.")
        file = self._file = os.fdopen(handle, "rb", buffering=0)
        self._identity = _identity(status)
        self._resume = None
        self._head = os.pread(handle, min(_HEAD, start.offset), 0)
        file.seek(start.offset)
        self._lines = _Lines(str(path), start.offset, start.line)
        return file

    def _start(self) -> Position:
        """Return where to begin in the file to be opened next, having looked for what was rotated away."""
        resume = self._resume
        if resume is None or _fits(self.path, resume):
            return resume or Position()
        there = self.path.exists()
        if there or not self._sought:
            self._sought = True
            self._earlier, lost = _rotated(self.path, resume)
            # What is not there at all may come back.
            self.lost = lost if there or self._earlier else ""
        return resume if self._earlier else Position()

    def poll(self) -> Batch:
        """Return what has been written since the last poll, up to 256 KiB, without waiting.

        Raises:
            Refused: what is at the path now cannot be read.
        """
        file = self.open()
        if file is None:
            return self._lines.batch(more=False)
        # Asked before the last read: what the writer adds before it moves on must not be missed.
        replaced = self._replaced()
        batch = self.take(file)
        if not replaced or batch.more:
            return batch
        self.close()
        return self.finish(more=True)

    def take(self, file: BinaryIO) -> Batch:
        """Read once from the open file; `more` is false at its end."""
        self._check_rewritten(file)
        data = file.read(CHUNK) or b""
        if len(self._head) < _HEAD:
            self._head += data[: _HEAD - len(self._head)]
        self._lines.take(data)
        return self._batch(more=bool(data))

    def finish(self, *, more: bool = False) -> Batch:
        """Take a last line without a line feed as complete."""
        self._lines.end()
        return self._batch(more=more)

    def _batch(self, *, more: bool) -> Batch:
        head = _hash(self._head[: min(_HEAD, self._lines.offset)])
        size = self._lines.offset + len(self._lines.rest)
        return self._lines.batch(self._identity, head, size, more=more)

    def _check_rewritten(self, file: BinaryIO) -> None:
        """Begin again if the file was truncated, also when it has grown past the old place since."""
        handle = file.fileno()
        shrunk = os.fstat(handle).st_size < file.tell()
        if not shrunk and os.pread(handle, len(self._head), 0) == self._head:
            return
        file.seek(0)
        self._head = b""
        self._lines.restart()

    def _replaced(self) -> bool:
        """Whether another file has taken the path; one that is gone may still be written to."""
        if self._earlier:
            return True
        try:
            return _identity(self.path.stat()) != self._identity
        except OSError:
            return False


_TURN = r"[.\-_]\d[\dTZ:.\-_]*"
"""What rotation puts behind the name of a file or before its suffix: `.1`, `-20261121`."""
_PACKED = r"\.(gz|bz2|xz|zst|lz4)"
_BESIDE = 10_000
"""Files in the directory of a followed file that are looked at."""


def _fits(path: Path, position: Position, *, copied: bool = False) -> bool:
    """Return whether the file at `path` is the one that was read up to `position`, or a copy of it."""
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or position.offset > status.st_size:
                return False
            known = position.offset > 0 if copied else _identity(status) == position.file
            return known and _hash(file.read(min(_HEAD, position.offset))) == position.head
    except OSError:
        return False


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK)


def _rotated(path: Path, position: Position) -> tuple[list[Path], str]:
    """Find what was rotated away from `path` since `position`, the oldest first, and say what is missing."""
    written: dict[Path, int] = {}
    for each in islice(path.parent.iterdir(), _BESIDE):
        with suppress(OSError):
            written[each] = each.stat().st_mtime_ns
    newest = sorted(written, key=lambda each: -written[each])
    stem, suffix = re.escape(path.stem), re.escape(path.suffix)
    turned = f"(?:{stem}{suffix}{_TURN}|{stem}{_TURN}{suffix})"
    named = [each for each in newest if re.fullmatch(turned, each.name)]
    # By inode whatever it is called by now; by its beginning only where it is called as rotation does.
    first = next((each for each in newest if _fits(each, position)), None)
    first = first or next((each for each in named if _fits(each, position, copied=True)), None)
    if first is None:
        if _fits(path, position, copied=True):
            return [], ""
        least = position.size - position.offset
        much = f"at least {least:,} bytes" if least > 0 else "nobody knows how much"
        return [], (
            f"{path} was replaced while nobody watched, and what it was is not beside it: what came behind byte"
            f" {position.offset:,}, {much}, was never read."
        )
    later = [each for each in newest if written[each] > written[first]]
    packed = [each.name for each in later if re.fullmatch(turned + _PACKED, each.name)]
    lost = (
        f"Rotated while nobody watched, compressed, and never read: {', '.join(packed[:10])}."
        if packed
        else ""
    )
    return [first, *(each for each in reversed(later) if each in named)], lost


def _identity(status: os.stat_result) -> str:
    return f"{status.st_dev}:{status.st_ino}"


def _hash(head: bytes) -> str:
    return sha256(head).hexdigest()[:16]
