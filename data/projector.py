"""The thread that keeps view.db up with the log, after each commit and never in its transaction."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from math import inf
from pathlib import Path
from threading import Event as Signal
from threading import Thread
from time import monotonic, sleep

from data import lock, projection
from data.line import Projector
from data.lock import Lock
from data.log import NAME, connect
from data.projecting import FAR, Elsewhere, can_be_named
from data.projection import Projection
from data.trouble import StoreTrouble, explain

BATCH = 500
LOOK_SECONDS = 1.0
"""How often to see whether somebody deleted the file."""

GIVE_WAY_SECONDS = 0.05
"""How long lines wait for acknowledgements at most, each time."""
GIVE_WAY_LONGER = 0.25
"""The same once lines come faster than they can be shown anyway."""

CLOSE_SECONDS = 2.0
SHARE_SECONDS = 0.5
"""How long a process that only reads holds up whoever wants to write."""

_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT)


def bring_on(directory: Path, project: Projector, seconds: float = SHARE_SECONDS) -> None:
    """Bring the view of a case that no process writes nearer to its log. Nothing is signed: no key is needed.

    Args:
        directory: The case directory.
        project: Turns one event into what it asks of the timeline.
        seconds: How long at most; whoever wants to write waits meanwhile.

    Raises:
        StoreTrouble: The view cannot be written.
    """
    until = monotonic() + seconds
    path = directory / projection.NAME
    try:
        writer = Lock.take(directory / lock.NAME)
        if writer is None:
            return  # it keeps the view up itself
        try:
            with closing(connect(directory / NAME)) as log:
                view = Projection(path, log, project)
                try:
                    while view.follow(BATCH) and monotonic() < until:
                        pass
                finally:
                    view.close()
        except sqlite3.Error as error:
            if not _damaged(error):
                raise
            projection.remove(path)  # the next turn makes it again
        finally:
            writer.release()
    except (sqlite3.Error, OSError) as error:
        raise explain(error, path) from error


class ProjectorThread:
    """Follows the log of one case while this process writes it.

    Args:
        directory: The case directory.
        project: Turns one event into what it asks of the timeline.
        busy: Whether somebody waits for the writer, to whom this thread then gives way for a moment.
    """

    def __init__(self, directory: Path, project: Projector, busy: Callable[[], bool]) -> None:
        self._busy = busy
        self._log = directory / NAME
        self._path = directory / projection.NAME
        self._project = project
        self._wake = Signal()
        self._closing = False
        self._until = inf
        self._elsewhere: Elsewhere | None = None
        self._may_leave = can_be_named(project)
        self.trouble = ""
        self._thread = Thread(target=self._run, name="view-projector", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Say that the log has grown."""
        self._wake.set()

    def close(self) -> None:
        """Bring the view up to the log if that is soon done, then stop; the next writer goes on."""
        self._until = monotonic() + CLOSE_SECONDS
        self._closing = True
        if self._elsewhere is not None:
            self._elsewhere.end()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        log: sqlite3.Connection | None = None
        view: Projection | None = None
        checked = remade = lost = False
        while True:
            self._wake.clear()
            try:
                if log is None:
                    log = connect(self._log)
                if view is not None and self._gone(view):
                    view.close()
                    view, lost = None, True
                if lost:
                    projection.remove(self._path)
                    lost = False
                if view is None:
                    view = Projection(self._path, log, self._project)
                self._give_way(GIVE_WAY_SECONDS)
                while (count := view.follow(BATCH)) and monotonic() < self._until:
                    if self._far(view, log):
                        # One file has one writer.
                        view.close()
                        view = None
                        self._catch_up()
                        view = Projection(self._path, log, self._project)
                    self._give_way(GIVE_WAY_SECONDS if count < BATCH else GIVE_WAY_LONGER)
                self.trouble = view.misfit
                remade = False
                if not checked and not self._closing:
                    checked = True
                    if not view.sound():
                        view.close()
                        view, lost = None, True
                        continue
            except (sqlite3.Error, OSError) as error:
                if view is not None:
                    view.close()
                    view = None
                if _damaged(error) and not remade:
                    remade = lost = True
                    continue
                self.trouble = _behind(explain(error, self._path).what)
            except StoreTrouble as trouble:
                self.trouble = str(trouble)
            except Exception as error:
                # A projection that fails here would otherwise end the thread, and the timeline in silence.
                if view is not None:
                    view.close()
                    view = None
                self.trouble = (
                    f"The timeline is not up to date ({error!r}). The evidence log is not affected."
                )
            if self._closing:
                break
            self._wake.wait(LOOK_SECONDS)
        if view is not None:
            view.close()
        if log is not None:
            log.close()

    def _give_way(self, seconds: float) -> None:
        # Both threads share one interpreter: what is acknowledged late because of a line is late for nothing.
        until = monotonic() + seconds
        while self._busy() and not self._closing and monotonic() < until:
            sleep(GIVE_WAY_SECONDS / 10)

    def _far(self, view: Projection, log: sqlite3.Connection) -> bool:
        (last,) = log.execute("SELECT max(n) FROM events").fetchone()
        return self._may_leave and not self._closing and bool(last - view.upto > FAR)

    def _catch_up(self) -> None:
        with Elsewhere() as elsewhere:
            self._elsewhere = elsewhere
            # `close` may have come before there was anything to end.
            if not self._closing:
                # What one process could not do is done here, where it is told what is wrong.
                self._may_leave = elsewhere.project(self._path.parent, self._project)
            self._elsewhere = None

    def _gone(self, view: Projection) -> bool:
        try:
            return os.stat(self._path).st_ino != view.inode
        except FileNotFoundError:
            return True


def _damaged(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", None) or 0
    return isinstance(error, sqlite3.Error) and code & 0xFF in _DAMAGE


def _behind(why: str) -> str:
    return f"The timeline lags behind: {why} It will catch up; the evidence log is not affected."
