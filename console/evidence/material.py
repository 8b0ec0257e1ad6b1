"""What an exhibit holds, read in pieces: checked against its hash as a whole, then shown a screen at a time."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from console.refusal import Refused
from data.blobs import MAX_BYTES, Blobs
from data.durable import sync_directory
from data.envelope import Ref
from data.trouble import StoreTrouble, explain

PIECE = 64 * 1024
"""Bytes between two entries of the index, and the most that is read for one line."""
LINE = 4096
"""Bytes of a line that are shown in the list of lines."""
HEAD = 8192
"""Bytes that decide whether it is text."""
ROW = 16
"""Bytes on one line of what is not text."""


class Material:
    """One blob of a case. `open` first; nothing is shown of what is not what was stored.

    Args:
        directory: the case directory.
        ref: which blob.

    Attributes:
        count: lines, or rows of 16 bytes when it is not text.
        text: whether it is text.
    """

    def __init__(self, directory: Path, ref: Ref) -> None:
        self.ref = ref
        self.path = Blobs(directory).path(ref.sha256)
        self.count = 0
        self.text = True
        self._before: list[int] = []
        self._piece = lru_cache(maxsize=8)(self._read)

    @property
    def here(self) -> bool:
        """Whether the file is here: of an exhibit of another console it may still be on its way."""
        return self.path.is_file()

    def open(self, told: Callable[[int], bool] = lambda _: True) -> None:
        """Check it byte by byte, and learn where its lines are. Blocks: for a thread.

        Args:
            told: is given how many bytes are read, and returns whether to go on.

        Raises:
            StoreTrouble: it is missing, cannot be read, or is not what was stored.
            Refused: it was to end.
        """
        digest, size, lines, last = sha256(), 0, 0, b""
        self._before = []
        try:
            handle = self._open()
            with os.fdopen(handle, "rb") as file:
                while piece := file.read(PIECE):
                    digest.update(piece)
                    if not size:
                        self.text = _is_text(piece[:HEAD])
                    self._before.append(lines)
                    lines += piece.count(b"\n")
                    size += len(piece)
                    last = piece[-1:]
                    if size > min(self.ref.size, MAX_BYTES):
                        break
                    if size % (16 * PIECE) == 0 and not told(size):
                        raise Refused("The check was ended.", "Open it again to check it.")
        except FileNotFoundError:
            raise StoreTrouble(
                "The file of this exhibit is not here.",
                "The entry that speaks of it is intact; the file may be on its way from the console that has it.",
                f"Look again after the next exchange, or look for {self.ref.sha256} in another copy of this case.",
            ) from None
        except OSError as error:
            raise explain(error, self.path) from error
        if size != self.ref.size or digest.hexdigest() != self.ref.sha256:
            raise StoreTrouble(
                "The file of this exhibit is not what was stored.",
                "It was changed or damaged; it is not shown, so that nobody takes it for the original.",
                f"Take the file {self.ref.sha256} from another copy of this case.",
            )
        self.count = lines + (last not in (b"", b"\n")) if self.text else -(-size // ROW)

    def rows(self, start: int, count: int) -> list[str]:
        """Return lines, at most 4 KiB of each; of what is not text, rows of 16 bytes. Blocks: for a thread.

        Raises:
            StoreTrouble: it cannot be read any more.
        """
        try:
            return [
                self._line(index, LINE) if self.text else self._row(index)
                for index in range(max(start, 0), min(start + count, self.count))
            ]
        except OSError as error:
            raise explain(error, self.path) from error

    def whole(self, index: int) -> str:
        """Return one line, at most 64 KiB of it."""
        try:
            return self._line(index, PIECE) if self.text else self._row(index)
        except OSError as error:
            raise explain(error, self.path) from error

    def save(self, target: Path) -> None:
        """Copy it to a new file, and check the copy. Blocks: for a thread.

        Raises:
            Refused: there is a file of that name already, or it cannot be written there.
            StoreTrouble: it is not what was stored; nothing is left at `target`.
        """
        target = target.expanduser()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            handle = os.open(target, flags, 0o600)
        except FileExistsError:
            raise Refused(
                f"There is a file {target} already.", "Give another name; it is left as it is."
            ) from None
        except (OSError, ValueError) as error:
            raise Refused(f"{target} cannot be written ({_why(error)}).", "Give another place.") from None
        try:
            digest, size = sha256(), 0
            with os.fdopen(handle, "wb") as copy, os.fdopen(self._open(), "rb") as file:
                while piece := file.read(1 << 20):
                    digest.update(piece)
                    size += len(piece)
                    copy.write(piece)
                    if size > self.ref.size:
                        break
                copy.flush()
                os.fsync(copy.fileno())
            if size != self.ref.size or digest.hexdigest() != self.ref.sha256:
                raise StoreTrouble(
                    "The file of this exhibit is not what was stored.",
                    "Nothing was saved of it.",
                    f"Take the file {self.ref.sha256} from another copy of this case.",
                )
            sync_directory(target.parent)
        except OSError as error:
            target.unlink(missing_ok=True)
            raise Refused(
                f"{target} could not be written ({_why(error)}).", "Nothing is left there."
            ) from None
        except BaseException:
            target.unlink(missing_ok=True)
            raise

    def _open(self) -> int:
        return os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)

    def _read(self, number: int) -> bytes:
        handle = self._open()
        try:
            return os.pread(handle, PIECE, number * PIECE)
        finally:
            os.close(handle)

    def _begin(self, index: int) -> int:
        """Where a line begins: behind as many line feeds as there are lines before it."""
        if index <= 0:
            return 0
        if index >= self.count:
            return self.ref.size
        number = bisect_left(self._before, index) - 1
        piece, at = self._piece(number), -1
        for _ in range(index - self._before[number]):
            at = piece.find(b"\n", at + 1)
        return number * PIECE + at + 1

    def _line(self, index: int, most: int) -> str:
        begin, end = self._begin(index), self._begin(index + 1)
        raw = self._span(begin, min(end - begin, most))
        shown = raw.rstrip(b"\r\n").decode("utf-8", "backslashreplace")
        left = end - begin - len(raw)
        return f"{shown} … {left:,} more bytes" if left else shown

    def _row(self, index: int) -> str:
        raw = self._span(index * ROW, ROW)
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in raw)
        return f"{index * ROW:08x}  {raw.hex(' '):<{3 * ROW}} {text}"

    def _span(self, begin: int, size: int) -> bytes:
        first = begin // PIECE
        joined = self._piece(first)
        if begin + size > (first + 1) * PIECE:
            joined += self._piece(first + 1)
        return joined[begin - first * PIECE :][:size]


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.end >= len(head) - 3 and error.reason == "unexpected end of data"
    return True


def _why(error: OSError | ValueError) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
