"""A second process for work that would keep the interpreter from everybody else.

Not `multiprocessing`: it hands the file number of `sys.stderr` to its children, and under a screen there is
none. Nor a fork: the caller has threads, a terminal and open databases.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Collection
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import IO, Self

# -P: where the process happens to be started, nobody may put a module in our place.
_START = "import sys; sys.path.insert(0, sys.argv[1]); from data.helper import main; main(sys.argv[2])"
_LENGTH = struct.Struct(">Q")


class Helper:
    """A process that runs `serve(pipes)` of a module; to be used in a `with` statement, by one thread.

    One message is under way at a time: two ends that both write while neither reads would stand still.

    Args:
        module: Name of a module of this package.
        files: Open files that it gets too, under the same numbers.
    """

    def __init__(self, module: str, files: Collection[int] = ()) -> None:
        root = str(Path(__file__).absolute().parents[1])
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, root, module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=files,
            # Ctrl+C at the terminal is for whoever has the screen.
            start_new_session=True,
        )
        assert self.process.stdin is not None  # noqa: S101 - both were asked for
        assert self.process.stdout is not None  # noqa: S101
        self._pipes = Pipes(self.process.stdout, self.process.stdin)

    def send(self, data: bytes) -> None:
        """Hand over a message. Raises `EOFError` if the process has died."""
        self._pipes.send(data)

    def receive(self) -> bytes:
        """Wait for an answer. Raises `EOFError` if the process has died."""
        return self._pipes.receive()

    def end(self) -> None:
        """End the process from another thread; who waits for an answer gets `EOFError`."""
        self.process.kill()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """End the process."""
        self.end()
        self._pipes.close()
        self.process.wait()


class Pipes:
    """Two pipes with messages, each behind its length."""

    def __init__(self, inward: IO[bytes], outward: IO[bytes]) -> None:
        self._in = inward
        self._out = outward

    def send(self, data: bytes) -> None:
        """Write a message. Raises `EOFError` if nobody reads."""
        try:
            self._out.write(_LENGTH.pack(len(data)))
            self._out.write(data)
            self._out.flush()
        except OSError as error:
            raise EOFError from error

    def receive(self) -> bytes:
        """Read a message. Raises `EOFError` if there is none, or no whole one."""
        head = self._in.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            raise EOFError
        (length,) = _LENGTH.unpack(head)
        data = self._in.read(length)
        if len(data) < length:
            raise EOFError
        return data

    def close(self) -> None:
        """Close both; what was not written yet is dropped."""
        for pipe in (self._in, self._out):
            try:
                pipe.close()
            except OSError:
                pass


def main(module: str) -> None:
    """Serve until the other end is closed."""
    pipes = Pipes(os.fdopen(0, "rb"), os.fdopen(os.dup(1), "wb"))
    # Whatever is printed by mistake must not get between the messages.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        import_module(module).serve(pipes)
    except (EOFError, KeyboardInterrupt):
        pass
