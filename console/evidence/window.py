"""The rolling window: what agents did, as it came in, until it is captured or too old.

Files of native JSON lines (docs/telemetry-jsonl.md), so that `zcat` and `warroom watch --jsonl` read them too.
A new file is begun at every start and after `SEGMENT` bytes; a finished one is compressed, and whole files go
when the window holds too many bytes or reaches back too far. Each is named by the moment it was begun.

It is no evidence and makes no promise to any sender: when the disk refuses, detection goes on without it. A
watcher that was killed reads some telemetry again, so an action may stand here twice.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from console.telemetry.action import Action
from data.clock import Clock, iso
from data.durable import TEMPORARY, publish, write_temporary

NAME = "window"
SEGMENT = 8 * 2**20
READING = "reading-"
"""Folders that hold on to the files while a capture reads them; the pid follows."""
PLAIN, PACKED = ".jsonl", ".jsonl.gz"

_ENCODER = msgspec.json.Encoder()


class Segment(NamedTuple):
    """One file: when it was begun (ns UTC), and where it is."""

    start: int
    path: Path


class Window:
    """The window, as the watcher writes it. One thread at a time; compression has one of its own.

    Args:
        directory: made when something is first written.
        clock: by which files are begun and grow old.
        most: bytes on disk.
        keep: nanoseconds that it reaches back.

    Attributes:
        trouble: one sentence while telemetry passes without being kept here, else empty.
    """

    def __init__(self, directory: Path, clock: Clock, *, most: int, keep: int) -> None:
        self.trouble = ""
        self._directory = directory
        self._clock = clock
        self._most, self._keep = most, keep
        # What is begun and what is being compressed must fit in as well.
        self._segment = max(min(SEGMENT, most // 8), 1)
        self._file: BinaryIO | None = None
        self._begun = self._size = self._look = 0
        self._ended = clock.now()
        self._packer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="window", initializer=_yield_to)
        self._lost = 0
        self._gone: set[int] = set()
        with suppress(OSError):
            self._take_over()

    def append(self, actions: Sequence[Action]) -> None:
        """Write down what came in. Never raises for the disk: see `trouble`."""
        if not actions:
            return
        raw = _ENCODER.encode_lines(actions)
        try:
            if self._file is None:
                self._begin()
            self._write(raw)
        except OSError as error:
            self._lost += len(actions)
            self.trouble = (
                f"Telemetry passes without being kept for evidence ({error.strerror or error}):"
                f" {self._lost:,} actions so far. The tripwires go on."
            )
            return
        self.trouble = ""
        if self._size >= self._segment:
            self._finish()

    def settle(self) -> None:
        """Finish a file that has grown old, and let go of what is beyond the bounds."""
        now = self._clock.now()
        if self._file is not None and now - self._begun > self._keep // 14:
            self._finish()
        if now < self._look:
            return
        self._look = now + self._keep // 10_000
        try:
            self._forget()
        except OSError as error:
            self.trouble = f"The window of telemetry cannot be bounded ({error.strerror or error})."

    def close(self) -> None:
        """Finish what is begun."""
        self._finish()
        self._packer.shutdown()

    def _begin(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        last = max((each.start for each in segments(self._directory)), default=0)
        # The clock may have gone back, and names say the order.
        self._begun = max(self._clock.now(), last + 1)
        handle = os.open(
            self._directory / f"{self._begun:020d}{PLAIN}",
            os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW,
            0o600,
        )
        self._file, self._size = os.fdopen(handle, "wb", buffering=0), 0

    def _write(self, raw: bytes) -> None:
        file = self._file
        assert file is not None  # noqa: S101 - `append` has begun one
        try:
            if file.write(raw) != len(raw):
                raise OSError("the disk took only a part")
        except OSError:
            # A torn line would swallow the next one.
            os.ftruncate(file.fileno(), self._size)
            raise
        self._size += len(raw)

    def _finish(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            self._ended, self._look = self._clock.now(), 0
            path = self._directory / f"{self._begun:020d}{PLAIN}"
            self._packer.submit(self._pack, Segment(self._begun, path))

    def _take_over(self) -> None:
        """Compress what an earlier watcher left, and clear away what was not finished."""
        for path in self._directory.glob(f"{TEMPORARY}*"):
            path.unlink(missing_ok=True)
        for path in self._directory.glob(f"{READING}*"):
            if not _alive(path.name.removeprefix(READING).partition("-")[0]):
                shutil.rmtree(path, ignore_errors=True)
        for each in segments(self._directory):
            if each.path.name.endswith(PLAIN):
                self._packer.submit(self._pack, each)

    def _forget(self) -> None:
        held = [each for each in segments(self._directory) if self._file is None or each.start != self._begun]
        oldest = self._clock.now() - self._keep
        sizes = {each: _size(each.path) for each in held}
        total = sum(sizes.values()) + (self._size if self._file is not None else 0)
        # All of a file is at least as old as the beginning of the next one.
        ends = [*(each.start for each in held[1:]), self._begun if self._file is not None else self._ended]
        for each, end in zip(held, ends, strict=False):
            if total <= self._most - 2 * self._segment and end > oldest:
                break
            self._gone.add(each.start)
            for suffix in (PLAIN, PACKED):
                (self._directory / f"{each.start:020d}{suffix}").unlink(missing_ok=True)
            total -= sizes[each]

    def _pack(self, segment: Segment) -> None:
        """Put a compressed file in the place of a finished one. Left as it is where that cannot be done."""
        import gzip

        plain, packed = segment.path, segment.path.with_name(f"{segment.start:020d}{PACKED}")
        with suppress(OSError):
            publish(write_temporary(self._directory, gzip.compress(plain.read_bytes(), 1, mtime=0)), packed)
            plain.unlink(missing_ok=True)
        if segment.start in self._gone:
            # Let go of meanwhile: it must not come back.
            packed.unlink(missing_ok=True)


def segments(directory: Path) -> list[Segment]:
    """The files of a window, the oldest first; one that is there in both forms is taken compressed."""
    found: dict[int, Path] = {}
    for path in directory.glob(f"*{PLAIN}*"):
        start = path.name.partition(".")[0]
        packed = path.name.endswith(PACKED)
        # Of two forms the compressed one is whole: it got its name when it was finished.
        if start.isdecimal() and (packed or (path.name.endswith(PLAIN) and int(start) not in found)):
            found[int(start)] = path
    return [Segment(start, found[start]) for start in sorted(found)]


@contextmanager
def held(directory: Path) -> Iterator[list[Segment]]:
    """The files of a window as they are now; none of them goes while they are being read."""
    folder = directory / f"{READING}{os.getpid()}-{threading.get_ident()}"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        kept: list[Segment] = []
        for each in segments(directory):
            folder.mkdir(mode=0o700, exist_ok=True)
            if linked := _hold(each, folder):
                kept.append(linked)
        yield kept
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def reach(directory: Path) -> str:
    """Since when a window holds telemetry, in words for people; empty when it holds none."""
    present = segments(directory)
    return iso(present[0].start, 0) if present else ""


def _hold(segment: Segment, folder: Path) -> Segment | None:
    # It may be compressed between the look and the link.
    for path in (segment.path, segment.path.with_name(f"{segment.start:020d}{PACKED}")):
        target = folder / path.name
        with suppress(FileNotFoundError):
            os.link(path, target)
            return Segment(segment.start, target)
    return None


def _yield_to() -> None:
    """Compression takes the processor only when nobody else wants it."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 15)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
