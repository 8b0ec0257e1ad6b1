"""The lock of a case: who may write it."""

import fcntl
import json
import os
from pathlib import Path
from time import sleep
from typing import NamedTuple

NAME = "lock"
LOOKS = 100


class Holder(NamedTuple):
    """The process that has a lock: its id, and the boot of the machine it belongs to."""

    pid: int
    boot: str


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class Lock:
    """A lock file held by this process; the system takes it away when the process dies."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    @classmethod
    def take(cls, path: Path) -> "Lock | None":
        """Take the lock if nobody has it.

        Args:
            path: The lock file, created if it is not there.

        Returns:
            None if another holder has it.

        Raises:
            OSError: If the file cannot be opened for writing.
        """
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            for attempt in range(LOOKS):
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    # Perhaps nobody has it, and somebody only looks (see `holder`): a look is over at once.
                    if attempt == LOOKS - 1 or holder(path) is not None:
                        raise
                    sleep(0.001)
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps(Holder(os.getpid(), _boot())._asdict()).encode(), 0)
        except BlockingIOError:
            os.close(handle)
            return None
        except BaseException:
            os.close(handle)
            raise
        return cls(handle)

    def release(self) -> None:
        """Give the lock back."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def holder(path: Path) -> Holder | None:
    """Who holds a lock now; None if nobody does. The pid is 0 while the holder has not written it."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            said = json.loads(os.pread(handle, 400, 0))
            return Holder(int(said["pid"]), str(said["boot"]))
        except (ValueError, KeyError, TypeError):
            return Holder(0, "")
    else:
        return None
    finally:
        os.close(handle)
