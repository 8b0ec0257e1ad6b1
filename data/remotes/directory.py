"""A directory as a remote: a USB stick, a network share, a synchronised folder.

Files are whole or absent: a temporary file, fsync, a name that replaces nothing, fsync of the directory.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from data.remotes import MAX_NAMES, Findings, RemoteTrouble, files, limit, proper, troubles
from data.remotes.probing import probe


class Directory:
    """A directory, which must be there already.

    A stick that is not plugged in would otherwise be "found" as an empty directory on the disk below it.

    Args:
        path: The directory.
        url: How to call it.
    """

    def __init__(self, path: Path, url: str = "") -> None:
        self.url = url or f"dir:{path}"
        self._root = path

    @classmethod
    def open(cls, url: str, options: Mapping[str, str]) -> Directory:
        """Open `dir:/path` or `/path`. It has no options."""
        path = Path(url.removeprefix("dir:"))
        if not path.is_absolute():
            raise troubles.misconfigured(
                url, "its path is not absolute", "Give the whole path: dir:/media/stick/warroom."
            )
        if options:
            raise troubles.misconfigured(url, "a directory has no options", "Leave the options out.")
        return cls(path, f"dir:{path}")

    def put(self, name: str, data: bytes) -> bool:
        """Create an object; False if there is one."""
        path = self._path(name)
        try:
            self._within(path.parent, create=True)
            if path.exists():  # spares the writing; what counts is how the name is given below
                return False
            return files.publish(files.write(path.parent, data), path)
        except OSError as error:
            raise self._trouble(error) from None

    def get(self, name: str) -> bytes:
        """Read an object, from the medium where the system lets us ask for that."""
        path, bound = self._path(name), limit(name)
        try:
            self._within(path.parent)
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as file:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise troubles.nonsense(self.url, f"{name} is no file")
                if hasattr(os, "posix_fadvise"):
                    # Drops what the system remembers of the file, so that reading back asks the medium.
                    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
                data = file.read(bound + 1)
        except (FileNotFoundError, NotADirectoryError):
            self._there()
            raise troubles.absent(self.url, name) from None
        except OSError as error:
            trouble = self._trouble(error)
            if trouble.passing and self._answers():
                # Only this one: whoever takes it for the whole stick never comes to the others.
                raise troubles.broken(self.url, name, os.strerror(error.errno or errno.EIO)) from None
            raise trouble from None
        if len(data) > bound:
            raise troubles.too_big(self.url, name, bound)
        return data

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """Names in order. Files of other programs are passed over, and so are links."""
        self._there()
        folder = prefix.rpartition("/")[0]
        if folder and not (proper(folder) and self._inside(self._root / folder)):
            return  # nothing of ours can be there, and `..` or a link leads out
        count = 0
        try:
            for name in self._walk(f"{folder}/" if folder else "", after):
                if name > after and name.startswith(prefix):
                    count += 1
                    if count > MAX_NAMES:
                        raise troubles.too_many(self.url)
                    yield name
        except OSError as error:
            raise self._trouble(error) from None

    def probe(self) -> Findings:
        """Find out whether creating is atomic here, and what the directory stands on."""
        self._there()
        warnings = []
        if os.path.ismount(self._root):
            warnings.append(
                "It is a mount point: when nothing is mounted, entries go to the disk below; use a directory on it."
            )
        if self._beside_home():
            warnings.append(
                "It is on the same file system as your home: what takes that disk takes this copy too."
            )

        def now() -> int:
            path = files.write(self._root, b"")
            try:
                return path.stat().st_mtime_ns
            finally:
                path.unlink()

        try:
            return probe(
                self, clock=now, durable="every file and directory is synced", warnings=tuple(warnings)
            )
        except OSError as error:
            raise self._trouble(error) from None

    def close(self) -> None:
        """Nothing is held open."""

    def _path(self, name: str) -> Path:
        if not proper(name):
            raise ValueError(f"{name!r} cannot be the name of an object")
        return self._root / name

    def _there(self) -> None:
        if not self._root.is_dir():
            raise self._trouble(FileNotFoundError(errno.ENOENT, "it is not there"))

    def _answers(self) -> bool:
        try:
            with os.scandir(self._root) as found:
                next(found, None)
        except OSError:
            return False
        return True

    def _beside_home(self) -> bool:
        try:
            return self._root.stat().st_dev == Path.home().stat().st_dev
        except (OSError, RuntimeError):  # a service may run as somebody without a home
            return False

    def _within(self, folder: Path, *, create: bool = False) -> None:
        """Make sure that no link leads out of the directory; then make the folder if asked to."""
        if not self._inside(folder):
            raise troubles.nonsense(self.url, "a link leads out of it")
        if create and not folder.is_dir():
            self._there()
            missing = [folder]
            while missing[-1].parent != self._root and not missing[-1].parent.is_dir():
                missing.append(missing[-1].parent)
            for each in reversed(missing):
                each.mkdir(files.DIRECTORY_MODE, exist_ok=True)
                files.sync(each.parent)

    def _inside(self, folder: Path) -> bool:
        return folder.resolve().is_relative_to(self._root.resolve())

    def _walk(self, folder: str, after: str) -> Iterator[str]:
        entries = []
        with (
            contextlib.suppress(FileNotFoundError, NotADirectoryError),
            os.scandir(self._root / folder) as found,
        ):
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    entries.append(f"{folder}{entry.name}/")
                elif entry.is_file(follow_symlinks=False):
                    entries.append(f"{folder}{entry.name}")
        for name in sorted(entries):
            if not proper(name.removesuffix("/")):
                continue
            if not name.endswith("/"):
                yield name
            elif name >= after[: len(name)]:  # else all that it holds sorts before
                yield from self._walk(name, after)

    def _trouble(self, error: OSError) -> RemoteTrouble:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return RemoteTrouble(
                f"{self.url} is full.", troubles.KEPT, "Free some space on it, or add another remote."
            )
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return troubles.denied(
                self.url, os.strerror(error.errno), "Give this user the right to write to the directory."
            )
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ENXIO):
            return RemoteTrouble(
                f"{self.url} is not there.",
                troubles.KEPT,
                "Plug it in or mount it; a new one needs its directory made first (mkdir).",
            )
        return RemoteTrouble(
            f"{self.url} reported an error ({os.strerror(error.errno or errno.EIO)}).",
            troubles.KEPT,
            "Check the stick or the share; take another one if it stays so.",
        )
