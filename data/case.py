"""A case: one directory with the evidence of one incident, and the right way to add to it."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Lock as Mutex
from typing import TypeVar

from data import lock, quarantine
from data.envelope import Entry, Sealed, case_id, check_group, seal
from data.follower import PATIENCE_SECONDS, Follower
from data.handoff import Handoff
from data.hlc import HybridClock
from data.home import Home
from data.inbox import Answer
from data.line import Projector
from data.log import NAME, connect, found_log, founding_hash
from data.projection import NAME as VIEW
from data.projection import remove
from data.projector import ProjectorThread
from data.reader import CaseReader
from data.record import Reason
from data.segment import Parcel
from data.strands import FIRST, Log, Merged
from data.trouble import StoreTrouble, explain
from data.writer import Writer

__all__ = ["Case", "CaseReader", "adopt", "found"]

T = TypeVar("T")


def reading_only() -> StoreTrouble:
    """Why nothing can be written by whoever asked to read only."""
    return StoreTrouble(
        "This was opened for reading only.",
        "Nothing can be changed from here.",
        "Open it without --read-only to write.",
    )


class Case:
    """A case that can be added to, opened by `Case.open` or `found`.

    The first process to take the lock writes the log; others hand it their entries through the disk,
    and the first of them that finds the writer gone takes its place. Callers see no difference.

    Attributes:
        id: 26 base32 characters.
        directory: Where it lies.
        read_only: Whether it was opened for reading only.
    """

    def __init__(
        self, directory: Path, home: Home, project: Projector, patience: float, read_only: bool
    ) -> None:
        self.directory = directory
        self.read_only = read_only
        self._home = home
        self._project = project
        self._mutex = Mutex()
        self._closed = False
        self._lock: lock.Lock | None = None
        self._writer: Writer | None = None
        self._projector: ProjectorThread | None = None
        self._follower: Follower | None = None
        self._trouble = ""
        self._patience = patience
        db = connect(directory / NAME)
        try:
            self.id = case_id(founding_hash(db, directory / NAME))
        finally:
            db.close()
        if not read_only:
            self._step_up()

    @classmethod
    def open(
        cls,
        directory: Path,
        home: Home,
        project: Projector,
        *,
        patience: float = PATIENCE_SECONDS,
        read_only: bool = False,
    ) -> "Case":
        """Open an existing case for adding.

        Args:
            directory: The case directory.
            home: Says who writes and what time it is.
            project: Keeps view.db up to date while this process writes.
            patience: Seconds until an entry that another process does not take is reported as waiting.
            read_only: Take no lock, change no file, and refuse every entry.

        Raises:
            StoreTrouble: If there is no log, or it is damaged or of another format. If it can be read but
                not written, the case opens and `trouble` says so.
        """
        return cls(directory, home, project, patience, read_only)

    @property
    def writer(self) -> bool:
        """Whether this process writes the log."""
        return self._writer is not None

    @property
    def trouble(self) -> str:
        """What is wrong with the record, in plain words; "" if nothing is."""
        writer, projector = self._writer, self._projector
        return (writer.trouble if writer else "") or self._trouble or (projector.trouble if projector else "")

    def refused(self) -> list[str]:
        """Names of the files in handoff/ that were not entries and were set aside."""
        return Handoff(self.directory, 0).refused()

    def append(self, *entries: Entry) -> Answer:
        """Add entries to the record, all or none; returns at once.

        Returns:
            A future of the events, in the order of the entries, resolved when they are on the disk. An
            entry whose key the log knows already gives the event that it became then. The future fails
            with `StoreTrouble` if they are not on the record; it cannot be cancelled.

        Raises:
            BadEntry: If an entry must not reach the record.
            StoreTrouble: If the case was opened for reading only.
            RuntimeError: If the case was closed.
        """
        check_group(entries)
        if self.read_only:
            raise reading_only()
        with self._mutex:
            if self._closed:
                raise RuntimeError("the case is closed")
            if self._writer is not None:
                return self._writer.submit(entries)
            if self._follower is None:
                self._follower = Follower(self.directory, self._home.clock, self._step_up, self._patience)
            return self._follower.submit(entries)

    def merge(self, parcel: Parcel) -> Future[Merged]:
        """Take in events that other consoles wrote; repeats change nothing.

        Raises:
            StoreTrouble: If another process writes this case; that one also merges.
        """
        return self._run(lambda log: self._merged(log.merge([parcel]))[0])

    def merge_all(self, parcels: Sequence[Parcel]) -> Future[list[Merged]]:
        """The same with several, in order, all in one commit. Who appends waits for it: at most some thousand events.

        Raises:
            StoreTrouble: As from `merge`.
        """
        return self._run(lambda log: self._merged(log.merge(parcels)))

    def witness(self, reason: Reason) -> Future[bool]:
        """Write a checkpoint, unless nothing happened since the last. Returns a future of whether.

        Raises:
            StoreTrouble: If another process writes this case; that one also witnesses.
        """
        with self._mutex:
            return self._own_writer().witness(reason)

    def erase(self, hashes: Sequence[bytes]) -> Future[int]:
        """Take away the bodies of events for good; a future of how many went. See `Log.erase`.

        Raises:
            StoreTrouble: If another process writes this case.
        """
        return self._run(lambda log: self._erased(log.erase(hashes)))

    def _merged(self, merged: list[Merged]) -> list[Merged]:
        if any(each.refilled for each in merged):
            self._forget_view()
        return merged

    def _erased(self, count: int) -> int:
        if count:
            self._forget_view()
        return count

    def _forget_view(self) -> None:
        """The view shows events as they were; it is made again from the log."""
        remove(self.directory / VIEW)

    def _run(self, work: Callable[[Log], T]) -> Future[T]:
        with self._mutex:
            return self._own_writer().run(work)

    def _own_writer(self) -> Writer:
        if self._closed:
            raise RuntimeError("the case is closed")
        if self._writer is None:
            raise StoreTrouble(
                "Another process on this machine writes this case.",
                "Only one may, and it also exchanges events with the remotes.",
                "Let it go on, or close it and try again.",
            )
        return self._writer

    def close(self) -> None:
        """Finish what was begun and let another process write."""
        with self._mutex:
            self._closed = True
        if self._follower is not None:
            self._follower.close()
        if self._writer is not None:
            self._writer.close()
        if self._projector is not None:
            self._projector.close()
        if self._lock is not None:
            self._lock.release()

    def take_over(self) -> bool:
        """Become the writer if nobody is, without waiting for something to write. Returns whether this one is."""
        with self._mutex:
            if not self._closed and not self.read_only:
                self._step_up()
        return self.writer

    def _step_up(self) -> StoreTrouble | None:
        """Become the writer if nobody is. Returns what keeps this process from it although nobody writes."""
        if self._writer is not None:
            return None
        try:
            taken = lock.Lock.take(self.directory / lock.NAME)
        except OSError as error:
            obstacle = explain(error, self.directory / NAME)
            self._trouble = str(obstacle)
            return obstacle
        if taken is None:
            return None
        try:
            writer = Writer(self.directory, self._home.identity, self._home.clock, self._grown)
        except StoreTrouble as trouble:
            taken.release()
            self._trouble = str(trouble)
            return trouble
        self._trouble = ""
        self._lock = taken
        self._projector = ProjectorThread(self.directory, self._project, lambda: writer.busy)
        self._writer = writer
        return None

    def _grown(self) -> None:
        if self._projector is not None:
            self._projector.wake()


def found(home: Home, entry: Entry, project: Projector, *, directory: Path | None = None) -> Case:
    """Found a case: its first event is its identity.

    Args:
        home: Where, by whom and when.
        entry: The founding entry.
        project: As in `Case.open`.
        directory: Elsewhere than under the home's cases, such as `home.watch_dir`. If there is a case
            already, that one is opened and the entry is dropped.

    Raises:
        BadEntry: If the entry must not reach the record.
        StoreTrouble: If the case cannot be written.
    """
    check_group((entry,))
    wall = home.clock.now()
    founding, _ = seal(
        entry,
        case=None,
        rep=home.identity.replica,
        inc=FIRST,
        seq=1,
        hlc=HybridClock().tick(wall),
        wall=wall,
        clk=home.clock.quality,
        prev=None,
    )
    target = directory or home.case_dir(case_id(founding.hash))
    _make_log(target, founding, home.identity.public, home.identity.sign(founding.hash))
    return Case.open(target, home, project)


def adopt(home: Home, parcel: Parcel) -> Path:
    """Make the directory of a case that another console founded, with its first event.

    Args:
        home: Where.
        parcel: Begins with the founding event; what else it holds is to be merged.

    Returns:
        The directory. If it is there already it is left alone.

    Raises:
        ValueError: If the parcel does not begin with the founding event.
        StoreTrouble: If it cannot be written.
    """
    founding = parcel.events[0]
    if founding.header.case is not None:
        raise ValueError("the parcel does not begin with the founding event")
    directory = home.case_dir(parcel.case)
    # A signature holds for the event that it was made over, the last one of the parcel.
    signature = parcel.signature if len(parcel.events) == 1 else None
    _make_log(directory, founding, parcel.public, signature, ours=False)
    return directory


def _make_log(
    directory: Path, founding: Sealed, public: bytes, signature: bytes | None, *, ours: bool = True
) -> None:
    """Make log.db, unless it is there; what a lost one left beside it must not get into it."""
    path = directory / NAME
    wal, shm = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))
    if path.exists() or not (wal.exists() or shm.exists()):
        found_log(directory, founding, public, signature, ours=ours)
        return
    try:
        taken = lock.Lock.take(directory / lock.NAME)
        if taken is None:
            raise StoreTrouble(
                f"{path} is gone, and a process that had it open still runs.",
                "What was recorded there and never shared can be had from that process only.",
                "Close every console that has this incident open, then try again.",
            )
        try:
            if not path.exists():
                if wal.exists():
                    quarantine.set_aside(wal)
                shm.unlink(missing_ok=True)  # only an index of the other
            found_log(directory, founding, public, signature, ours=ours)
        finally:
            taken.release()
    except OSError as error:
        raise explain(error, path) from error
