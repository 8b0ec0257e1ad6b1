"""The console's own watcher: a child process, started when nobody watches, ended with the console."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from console.watching.status import running
from data.home import Home

LOG = "watcher.log"
"""What the child says, in the watch directory; only of the last start."""
PATIENCE = 10
"""Seconds that a child is given to finish before it is ended by force."""


class Child:
    """At most one watcher process, restarted by `ensure` when it died.

    The child holds one end of a pipe and leaves when the other end is closed: by `close`, or by the kernel
    when this process is killed. So a console never leaves a watcher behind, and never ends one that it did
    not start.

    Args:
        home: what to watch.
        config: path of the configuration, empty for the usual place.
        files: files of actions to follow, beside those of the configuration.
    """

    def __init__(self, home: Home, *, config: str = "", files: Sequence[Path] = ()) -> None:
        self._home, self._config, self._files = home, config, tuple(files)
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe = -1
        self.failures = 0
        """How often a child ended by itself with an error since one last ran well."""

    def ensure(self) -> str:
        """Start a watcher if nobody watches. Blocks for milliseconds; call it off the event loop.

        Returns:
            Empty, or one sentence for people: a child could not be started, or keeps dying.
        """
        if self._process is not None and self._process.poll() is not None:
            self.failures += 1 if self._process.returncode else 0
            self._let_go()
        if running(self._home.watch_dir) is not None:
            self.failures = 0
            return ""
        if self._process is not None:
            return ""  # started a moment ago, and not yet at its lock
        if self.failures >= 3:
            return f"The watcher keeps ending: {self.last_words()} Nothing is being watched."
        try:
            self._start()
        except OSError as error:
            return f"No watcher could be started ({error.strerror or error}): nothing is being watched."
        return ""

    def last_words(self) -> str:
        """Return the last line that the child said, as it stands in its log (not yet safe for a terminal)."""
        try:
            lines = (self._home.watch_dir / LOG).read_text("utf-8", "replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1][-500:] if lines else ""

    def close(self) -> None:
        """End the child that this object started, if any, and wait for it."""
        process = self._process
        if process is None:
            return
        os.close(self._pipe)
        self._pipe = -1
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._process = None

    def _start(self) -> None:
        directory = self._home.watch_dir
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = [sys.executable, "-m", "console.watch", str(self._home.path)]
        if self._home.mode == "drill":
            command.append("--drill")
        if self._config:
            command += ["--config", self._config]
        for file in self._files:
            command += ["--jsonl", str(file)]
        theirs, ours = os.pipe()
        try:
            with (directory / LOG).open("wb") as log:
                self._process = subprocess.Popen(
                    [*command, "--child-of-fd", str(theirs)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(theirs,),
                    start_new_session=True,  # Ctrl+C in the console's terminal is not meant for the watcher
                )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        self._pipe = ours

    def _let_go(self) -> None:
        self._process = None
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
