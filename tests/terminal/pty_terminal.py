"""A real terminal for tests: a pseudo terminal, a program on it, and an emulator that says what a person sees."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import pyte

SAVED = re.compile(r"saved \d\d:\d\d:\d\d")
PATIENCE = 60.0
"""Seconds until a condition that does not come about fails the test; no test waits for time to pass."""


class Terminal:
    """A program on a terminal of `columns` x `rows`.

    Attributes:
        raw: every byte that the program has written.
        screen: what the terminal shows.
        emulate: whether `screen` is kept up; measuring turns it off, since it takes the time of what is measured.
    """

    def __init__(self, argv: Sequence[str], columns: int = 120, rows: int = 40, **environment: str) -> None:
        self._master, slave = pty.openpty()
        self.resize(columns, rows, tell=False)
        self.before = termios.tcgetattr(slave)
        self._slave = slave
        # A size in the environment goes before that of the terminal.
        inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        variables = {**inherited, "TERM": "xterm-256color", "COLORTERM": "truecolor", **environment}
        self.process = subprocess.Popen(
            argv,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=variables,
            start_new_session=True,
            preexec_fn=_own_terminal,
        )
        self.raw = bytearray()
        self.emulate = True
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._news = threading.Condition()
        self._stop = os.pipe()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            readable, _, _ = select.select([self._master, self._stop[0]], [], [])
            if self._stop[0] in readable:
                return
            try:
                chunk = os.read(self._master, 65_536)
            except OSError:
                chunk = b""
            with self._news:
                self.raw += chunk
                # Modes the emulator does not know arrive with private markers that it takes for text.
                if self.emulate:
                    self._stream.feed(_plain(chunk))
                self._news.notify_all()
            if not chunk:
                return

    @property
    def text(self) -> str:
        """What the terminal shows, line by line."""
        # Not `screen.display`: it fails on half of a wide character that was written over.
        lines = (self.screen.buffer[row] for row in range(self.screen.lines))
        return "\n".join(
            "".join(line[column].data for column in range(self.screen.columns)) for line in lines
        )

    def until(self, condition: Callable[[], bool], what: str = "") -> None:
        """Wait until `condition` holds; it is asked again whenever the program writes something."""
        with self._news:
            if not self._news.wait_for(condition, PATIENCE):
                raise AssertionError(f"never came about: {what or condition}\n{self.text}")

    def until_shows(self, words: str) -> None:
        """Wait until `words` are on the screen."""
        self.until(lambda: words in self.text, f"{words!r} on the screen")

    def until_saved(self) -> None:
        """Wait until the write bar says when an entry was saved; the header says `saved` of the record all the time."""
        self.until(lambda: SAVED.search(self.text) is not None, "an entry is saved")

    def until_gone(self, words: str) -> None:
        """Wait until `words` are no longer on the screen."""
        self.until(lambda: words not in self.text, f"{words!r} gone")

    def send(self, keys: str | bytes) -> None:
        """Type."""
        data = keys.encode() if isinstance(keys, str) else keys
        while data:
            data = data[os.write(self._master, data[:1024]) :]

    def resize(self, columns: int, rows: int, *, tell: bool = True) -> None:
        """Change the size of the terminal, as its window does."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if tell:
            with self._news:
                self.screen.resize(rows, columns)
            os.kill(self.process.pid, signal.SIGWINCH)

    def settings(self) -> list[object]:
        """Return the settings of the terminal line."""
        return list(termios.tcgetattr(self._slave))

    def wait(self) -> int:
        """Wait until the program has ended. Returns its exit status, negative for a signal."""
        return self.process.wait(PATIENCE)

    def vanish(self) -> None:
        """Take the terminal away, as a dropped connection does."""
        # Not while the reader waits in the kernel: its reference would keep the terminal alive.
        os.write(self._stop[1], b"x")
        self._reader.join(PATIENCE)
        for descriptor in (self._slave, self._master):
            os.close(descriptor)
        self._slave = self._master = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self._master >= 0:
            self.vanish()
        for descriptor in self._stop:
            os.close(descriptor)


def _own_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _plain(chunk: bytes) -> bytes:
    for noise in (b"\x1b[>25u", b"\x1b[<u", b"\x1b[?2026$p", b"\x1b[?2048$p", b"\x1b[22;2t", b"\x1b[23;2t"):
        chunk = chunk.replace(noise, b"")
    # The emulator drops the rest of a line at a mark without a combining class; terminals do not.
    for mark in ("\u0489", "\u20dd"):
        chunk = chunk.replace(mark.encode(), b"")
    return chunk
