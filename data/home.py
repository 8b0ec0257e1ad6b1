"""The home directory: whose console this is, whether it is real or a drill, and where the cases are."""

import os
import re
import sqlite3
from contextlib import closing, suppress
from functools import cached_property
from pathlib import Path
from typing import Literal

import msgspec

from data import identity as keys
from data import keychain
from data.clock import Clock, ScaledClock, SystemClock, iso, parse_iso
from data.durable import TEMPORARY, make_directory, publish, replace, write_temporary
from data.identity import Identity
from data.log import NAME as LOG
from data.log import connect
from data.trouble import StoreTrouble, explain

Mode = Literal["live", "drill"]
Place = Literal["file", "keyring"]
"""Where the key of a console is: in `identity.pem`, or in the keyring of the operating system."""
PASSPHRASE = "WARROOM_PASSPHRASE"  # noqa: S105 - the name of the variable
FILE = "home.json"
MAX_FILE_BYTES = 64 * 1024

_CASE = re.compile(r"[a-z2-7]{26}", re.ASCII)
_REPLICA = re.compile(r"[0-9a-f]{32}", re.ASCII)


class _Clock(msgspec.Struct, frozen=True):
    start: str
    anchor: str
    speed: float


class _Home(msgspec.Struct, frozen=True):
    v: int
    mode: Mode
    replica: str
    clock: _Clock | None = None
    key: Place = "file"


class Home:
    """A home directory, opened by `Home.open`.

    Attributes:
        path: The directory.
        mode: "live" or "drill"; fixed when the directory was made.
        replica: What writes here, 32 hex digits; follows from the key.
        clock: The time that everything in this home goes by.
        place: Where the key is.
        former: What wrote here until the key was found to be lost; "" if it is there. The first that is
            written makes a new key, and reading makes none: the old one may still be put back.
    """

    def __init__(
        self, path: Path, mode: Mode, replica: str, clock: Clock, place: Place = "file", former: str = ""
    ) -> None:
        self.path = path
        self.mode = mode
        self.replica = replica
        self.clock = clock
        self.place = place
        self.former = former

    @classmethod
    def open(cls, path: Path, mode: Mode = "live", clock: Clock | None = None) -> "Home":
        """Open a home directory, or make one.

        Args:
            path: The directory.
            mode: Must be what it was made as.
            clock: Goes before the machine's time. A `ScaledClock` is written into a new drill home, and
                every process that opens that home later goes by the one that is written there.

        Raises:
            StoreTrouble: If it is a home of the other mode, damaged, or cannot be made.
        """
        path = path.absolute()
        file = path / FILE
        try:
            make_directory(path)
            if not file.exists():
                replica = _new_key(path)
                home = _Home(1, mode, replica, _written(mode, clock))
                publish(write_temporary(path, msgspec.json.encode(home)), file)
            home = _read(file)
        except OSError as error:
            raise explain(error, file) from error
        if home.mode != mode:
            kinds = {"live": "for real incidents", "drill": "for drills"}
            raise StoreTrouble(
                f"{path} is a home {kinds[home.mode]}, and was opened {kinds[mode]}.",
                "The two never share a directory, so that a drill cannot touch a real incident.",
                "Name another directory with --home.",
            )
        if home.clock is not None and (clock is None or isinstance(clock, ScaledClock)):
            clock = ScaledClock(parse_iso(home.clock.start), parse_iso(home.clock.anchor), home.clock.speed)
        lost = home.key == "file" and not (path / keys.FILE).exists()
        return cls(
            path, home.mode, home.replica, clock or SystemClock(), home.key, home.replica if lost else ""
        )

    @cached_property
    def identity(self) -> Identity:
        """The key of this console, read when it is first needed.

        Raises:
            identity.Locked: It needs a passphrase: `WARROOM_PASSPHRASE`, or `unlock`.
            StoreTrouble: It cannot be read, or is not the one this home was made with.
        """
        return self._load(os.environ.get(PASSPHRASE, ""))

    def unlock(self, passphrase: str) -> None:
        """Read the key with a passphrase that somebody typed.

        Raises:
            identity.Locked: It is the wrong one.
            StoreTrouble: The key cannot be read.
        """
        self.__dict__["identity"] = self._load(passphrase)

    def keep_key(self, place: Place, passphrase: str = "") -> None:
        """Move the key to another place, or give its file another passphrase; an empty one takes it off.

        At every moment one of the two places holds it. What a backup holds of the old file is beyond reach.

        Raises:
            identity.Locked: It cannot be read now.
            StoreTrouble: It cannot be written there; nothing has changed then.
        """
        identity, file = self.identity, self.path / FILE
        try:
            if place == "keyring":
                keychain.put(identity)
            else:
                keys.lock(self.path, identity, passphrase)
            replace(file, msgspec.json.encode(msgspec.structs.replace(_read(file), key=place)))
            if place == "keyring":
                (self.path / keys.FILE).unlink(missing_ok=True)
            elif self.place == "keyring":
                keychain.forget(self.replica)
        except OSError as error:
            raise explain(error, file) from error
        self.place = place

    def _load(self, passphrase: str) -> Identity:
        if self.former:
            self._renew()
        if self.place == "keyring":
            found = keychain.get(self.replica)
        else:
            found = keys.load(self.path, passphrase)
        if found.replica != self.replica and self.place == "file" and self._wrote(found.replica):
            # The key that was lost is back.
            file = self.path / FILE
            try:
                replace(
                    file, msgspec.json.encode(msgspec.structs.replace(_read(file), replica=found.replica))
                )
            except OSError as error:
                raise explain(error, file) from error
            self.replica = found.replica
        if found.replica != self.replica:
            raise StoreTrouble(
                f"The key in {self.path / keys.FILE} is not the one that {FILE} names.",
                "One of the two files came from another console; nothing is written in a doubtful name.",
                f"Put back the right file; or, to take the key as it is, delete {FILE}.",
            )
        return found

    def _renew(self) -> None:
        """Become somebody else, unless the key is back, or another process did so first."""
        file = self.path / FILE
        try:
            kept = _read(file)
            if kept.replica == self.former and not (self.path / keys.FILE).exists():
                kept = msgspec.structs.replace(kept, replica=_new_key(self.path))
                replace(file, msgspec.json.encode(kept))
        except OSError as error:
            raise explain(error, file) from error
        self.replica = kept.replica

    def _wrote(self, replica: str) -> bool:
        """Whether a record here was written by that replica in this place, and did not only come from it."""
        for directory in (*map(self.case_dir, self.cases()), self.watch_dir):
            # A record that cannot be read tells nothing.
            with suppress(StoreTrouble, sqlite3.Error), closing(connect(directory / LOG)) as db:
                if db.execute("SELECT 1 FROM writes WHERE rep = ?", (replica,)).fetchone():
                    return True
        return False

    def cases(self) -> list[str]:
        """The ids of all cases, in no order that means anything."""
        return [entry.name for entry in self._directories() if (entry / LOG).is_file()]

    def lost(self) -> dict[str, StoreTrouble]:
        """The cases whose directory is there without its log, and what that means."""
        return {entry.name: _lost(entry) for entry in self._directories() if _has_lost(entry)}

    def _directories(self) -> list[Path]:
        try:
            return sorted(entry for entry in (self.path / "cases").iterdir() if _CASE.fullmatch(entry.name))
        except FileNotFoundError:
            return []

    def case_dir(self, case_id: str) -> Path:
        """The directory of a case, which need not exist.

        Raises:
            ValueError: If this is not a case id.
        """
        if not _CASE.fullmatch(case_id):
            raise ValueError(f"not a case id: {case_id[:80]!r}")
        return self.path / "cases" / case_id

    @property
    def watch_dir(self) -> Path:
        """The directory of the watcher's own case."""
        return self.path / "watch"


def _has_lost(directory: Path) -> bool:
    """Whether there was a log once: what a process leaves that was killed while it made one is no loss."""
    try:
        names = [entry.name for entry in directory.iterdir()]
    except OSError:
        return False
    return LOG not in names and any(not name.startswith(TEMPORARY) for name in names)


def _lost(directory: Path) -> StoreTrouble:
    return StoreTrouble(
        f"{directory} is a case directory without its log: {LOG} is gone.",
        "What was recorded there and never shared is lost unless a backup has it.",
        f"Put {LOG} back from a backup, or run `warroom sync`: a remote that has the incident restores it.",
    )


def _new_key(path: Path) -> str:
    made = Identity.make()
    return made.replica if keys.keep(path, made) else keys.load(path).replica


def _written(mode: Mode, clock: Clock | None) -> _Clock | None:
    if mode == "live":
        return None
    if not isinstance(clock, ScaledClock):
        now = SystemClock().now()
        clock = ScaledClock(now, now, 1)
    return _Clock(iso(clock.start_ns, 9), iso(clock.anchor_ns, 9), clock.speed)


def _read(file: Path) -> _Home:
    with file.open("rb") as stream:
        raw = stream.read(MAX_FILE_BYTES)
    try:
        home = msgspec.json.decode(raw, type=_Home)
        if home.v != 1 or not _REPLICA.fullmatch(home.replica):
            raise ValueError("its version or replica is not one this program knows")
        if home.clock is not None:
            ScaledClock(parse_iso(home.clock.start), parse_iso(home.clock.anchor), home.clock.speed)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise StoreTrouble(
            f"{file} cannot be read ({error}).",
            "It says who writes here; the incidents beside it are not affected.",
            "Put the file back from a backup, or start with another directory by --home.",
        ) from None
    return home
