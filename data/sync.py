"""Sync: one case and one remote come to hold the same, in turns, whatever happened in between.

A turn lists what the remote has, takes in what is new here, and puts what is missing there: our own events,
and anybody's that the remote lost or never had. There is no cursor to get out of step: what was seen is
remembered only so that it need not be fetched again, and forgetting it costs a replay.

What was put is read back and compared before it counts as shared. Object names hold the SHA-256 of their
bytes, so a remote that lies, loses, cuts or mixes up objects is found out, and never believed.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from threading import Thread
from time import monotonic

from data import quarantine
from data.blobs import Blobs, only_of
from data.case import Case
from data.clock import iso, parse_iso
from data.envelope import Ref, decode_header
from data.log import NAME as LOG
from data.log import connect
from data.parcels import Span, parcels
from data.remotes import AT_ONCE, Absent, Remote, RemoteTrouble
from data.segment import MAX_BYTES, BadSegment, Name, Parcel, pack, prefix, unpack
from data.shared import Outbox, Shared
from data.strands import Merged
from data.trouble import StoreTrouble
from data.unpacking import Unpacker
from data.withholding import Mask, Policy, Rendering, withhold

CASES = "cases/"
MAX_NAMES = 1_000_000
MAX_CASES = 10_000
TRIES = 3
"""How often an object that is not what its name says is fetched again before it is left alone until the next
start: some remotes serve a torn object for a while."""

MASKING = 5.0
"""Seconds for which a turn looks into blobs; what is left then waits for the next, and events do not."""

MANY = 20
"""From so many new objects on they are checked in a process of their own."""

GROUP_EVENTS = 4000
"""So many are taken in with one commit, for which whoever appends has to wait."""
GROUP_BYTES = 8 * 1024 * 1024
GROUP_SECONDS = 0.5
"""So long what was fetched waits at most for more, and then for what is being fetched."""

Stop = Callable[[], bool]


@dataclass
class Turn:
    """What one turn did.

    Attributes:
        pulled: Events that were new here.
        pushed: Events that were put and read back.
        blobs: Blobs that went or came.
        bad: Objects that are not what their names say, with the reason.
        kept: Those of them whose bytes are in quarantine.
        later: Whether blobs are left for the next turn, so that events need not wait for them.
        forked: Whether somebody was found to write in our name.
        waiting: Objects whose predecessors are not to be had yet.
    """

    pulled: int = 0
    pushed: int = 0
    blobs: int = 0
    bad: dict[str, str] = field(default_factory=dict)
    forked: bool = False
    waiting: int = 0
    kept: set[str] = field(default_factory=set)
    later: bool = False

    def add(self, more: Turn) -> None:
        """Count what the next turn did with this one."""
        self.pulled += more.pulled
        self.pushed += more.pushed
        self.blobs += more.blobs
        self.bad |= more.bad
        self.kept |= more.kept
        self.forked |= more.forked
        self.waiting, self.later = more.waiting, more.later

    @property
    def idle(self) -> bool:
        """Whether there was nothing to do."""
        return not (self.pulled or self.pushed or self.blobs)


class Sync:
    """One case and one remote.

    Used by one thread at a time, which may be any. The case must be open for writing in this process.

    Args:
        case: The case.
        remote: The remote.
        name: What the remote is called here: letters, digits and `-`.
        replica: Who we are, 32 hex digits.
        mask: What the remote does not get; None = it gets everything.
    """

    def __init__(
        self, case: Case, remote: Remote, name: str, replica: str, mask: Policy | None = None
    ) -> None:
        self.case = case
        self.remote = remote
        self._replica = replica
        self.shared = Shared(case.directory, name)
        self._tries: dict[str, int] = {}
        self._waits: dict[str, bytes] = {}
        self._announced = self._compared = False
        self._refs: dict[tuple[str, int], Ref] = {}
        self._blobs_seen: set[str] = set()
        self._scanned = 0
        self._mask = mask
        self.blobs_withheld = self.shared.withheld_blobs(mask.id) if mask is not None else {}
        """Blobs that the remote does not get, with the kinds of what is masked in them."""
        self.said: set[str] | None = None
        """What of that stands on the record, for whoever puts it there; None = not looked up."""
        self.shared.forget_masked(mask.id if mask is not None else None)

    def turn(self, stop: Stop = lambda: False) -> Turn:
        """Take in what is new there and put what is missing there.

        Args:
            stop: Asked between objects; when it says yes the turn ends early, with nothing lost.

        Raises:
            RemoteTrouble: The remote did not do its part; what was done before counts.
            StoreTrouble: The store here did not.
        """
        turn = Turn()
        with closing(connect(self.case.directory / LOG)) as db:
            if not self._compared:
                self.shared.compare(db)
                self._compared = True
            listed = self._listed()
            for name in self.shared.names - listed:
                self.shared.forget(name)
                self._announced = False  # what lost this may have lost that as well
            self._pull(db, listed, turn, stop)
            self._push(db, listed, turn, stop)
            with nullcontext() if self._mask is None else self._mask.apart() as mask:
                self._blobs(db, turn, stop, mask)
        return turn

    def audit(self, stop: Stop = lambda: False) -> list[str]:
        """Read again all that counts as shared; what is not what it was is put anew by the next turn.

        Costs as much as fetching everything: for once a day.

        Returns:
            The names of the objects that were gone or changed.

        Raises:
            RemoteTrouble: The remote did not answer.
        """
        changed = []
        for name in sorted(self.shared.names):
            if stop():
                break
            named = Name.read(name)
            try:
                raw = self.remote.get(name)
            except RemoteTrouble as trouble:
                if trouble.passing and not isinstance(trouble, Absent):
                    raise
                raw = b""
            if named is None or sha256(raw).hexdigest() != named.sha256:
                self.shared.forget(name)
                changed.append(name)
        return changed

    def outbox(self) -> Outbox:
        """How our own events stand with the remote, as far as is known here; asks nobody."""
        return self.shared.outbox(self._replica)

    # -- in ----------------------------------------------------------------------------------------------

    def _listed(self) -> set[str]:
        names: set[str] = set()
        for name in self.remote.list(prefix(self.case.id)):
            if Name.read(name) is not None and name.startswith(prefix(self.case.id)):
                names.add(name)
                if len(names) > MAX_NAMES:
                    raise RemoteTrouble(
                        f"{self.remote.url} lists more than {MAX_NAMES:,} objects for this case.",
                        "No case is that large: somebody fills the remote with names.",
                        "Look at what is stored there, and who may write there.",
                        passing=False,
                    )
        return names

    def _pull(self, db: sqlite3.Connection, listed: set[str], turn: Turn, stop: Stop) -> None:
        new = dict.fromkeys(sorted(listed - self.shared.names, key=_in_order))
        progress = True
        while new and progress:
            progress = False
            for name, parcel, merged in self._merged(self._fetched(db, list(new), turn), new, stop):
                turn.forked |= merged.forked
                if merged.after is not None:
                    self._waits[name] = merged.after
                    continue
                del new[name]
                if merged.refused:
                    self._tries[name] = TRIES
                    turn.bad[name] = merged.refused
                    continue
                turn.pulled += merged.added
                self.shared.remember(name, parcel, whole=not merged.bare, withheld={})
                progress = True
            if stop():
                return
        turn.waiting = len(new)

    def _merged(
        self, fetched: Iterator[tuple[str, Parcel | None]], new: dict[str, None], stop: Stop
    ) -> Iterator[tuple[str, Parcel, Merged]]:
        """Take parcels in, several with one commit while they come fast; others are fetched and checked meanwhile.

        A commit rewrites most pages of the index over the hashes, whether it brings few events or many.
        """
        under_way, group = _Group(), _Group()
        trouble: RemoteTrouble | None = None
        try:
            for name, parcel in fetched:
                if stop():
                    break
                if parcel is None:
                    del new[name]
                    continue
                group.add(name, parcel)
                if group.full:
                    group.merge(self.case)
                    yield from under_way.merged()
                    under_way, group = group, _Group()
        except RemoteTrouble as error:
            trouble = error  # what came before it counts
        if group.parcels:
            group.merge(self.case)
        yield from under_way.merged()
        yield from group.merged()
        if trouble is not None:
            raise trouble

    def _waits_still(self, db: sqlite3.Connection, name: str) -> bool:
        """Whether an object that was fetched before still cannot be taken in."""
        before = self._waits.get(name)
        if before is None:
            return False
        if db.execute("SELECT 1 FROM events WHERE hash = ?", (before,)).fetchone() is None:
            return True
        del self._waits[name]
        return False

    def _fetched(
        self, db: sqlite3.Connection, names: list[str], turn: Turn
    ) -> Iterator[tuple[str, Parcel | None]]:
        """Fetch and check objects, in order; None for what is not to be had. What still waits is left out."""
        if len(names) < MANY:
            for name in names:
                if not self._waits_still(db, name):
                    raw = self._fetch(name, turn)
                    yield (
                        name,
                        None if raw is None else self._checked(name, raw, turn, partial(unpack, name, raw)),
                    )
            return
        with Unpacker() as helper:
            before: tuple[str, bytes] | None = None
            for name in names:
                if self._waits_still(db, name):
                    continue
                raw = self._fetch(name, turn)
                ready = None if before is None else (before[0], self._checked(*before, turn, helper.parcel))
                before = None
                if raw is not None:
                    # It is checked while the one before is merged.
                    helper.begin(name, raw)
                    before = name, raw
                if ready is not None:
                    yield ready
                if raw is None:
                    yield name, None
            if before is not None:
                yield before[0], self._checked(*before, turn, helper.parcel)

    def _fetch(self, name: str, turn: Turn) -> bytes | None:
        if self._tries.get(name, 0) >= TRIES:
            return None
        try:
            return self.remote.get(name)
        except Absent:
            return None
        except RemoteTrouble as trouble:
            if trouble.passing:
                raise
            # One object that cannot be had, such as one without end, must not keep the others away.
            self._tries[name] = self._tries.get(name, 0) + 1
            turn.bad[name] = trouble.what
            return None

    def _checked(self, name: str, raw: bytes, turn: Turn, check: Callable[[], Parcel]) -> Parcel | None:
        try:
            return check()
        except BadSegment as bad:
            self._tries[name] = self._tries.get(name, 0) + 1
            turn.bad[name] = str(bad)
            self._quarantine(name, raw, turn)
            return None

    def _quarantine(self, name: str, raw: bytes, turn: Turn) -> None:
        if quarantine.keep(self.case.directory, raw):
            turn.kept.add(name)

    # -- out ---------------------------------------------------------------------------------------------

    def _push(self, db: sqlite3.Connection, listed: set[str], turn: Turn, stop: Stop) -> None:
        self._announce(db)
        missing = list(self.shared.missing(db, listed))
        # A checkpoint goes with what it covers.
        if any(span.rep == self._replica for span, _ in missing) and self.case.witness("push").result():
            missing = list(self.shared.missing(db, listed))
        errands: deque[_Errand] = deque()
        failed: list[Exception] = []
        for parcel in _cut(db, missing):
            if failed or stop():
                break
            errands.append(_Errand(self.remote, *withhold(parcel, self._mask)))
            errands[-1].start()
            while len(errands) >= AT_ONCE or sum(each.size for each in errands) > MAX_BYTES:
                self._settle(errands.popleft(), turn, failed)
        for errand in errands:
            self._settle(errand, turn, failed)
        if failed:
            raise failed[0]

    def _settle(self, errand: _Errand, turn: Turn, failed: list[Exception]) -> None:
        """Wait for what was put, and count on it from now on. What failed keeps the others from nothing."""
        errand.join()
        for name, (reason, back) in errand.bad.items():
            turn.bad[name] = reason
            self.shared.forget(name)
            if back is not None:
                self._quarantine(name, back, turn)
        if errand.failed is not None:
            failed.append(errand.failed)
        else:
            mask = self._mask.id if self._mask is not None else ""
            self.shared.remember(errand.good, errand.parcel, withheld=errand.withheld, mask=mask)
            turn.pushed += len(errand.parcel.events)

    def _announce(self, db: sqlite3.Connection) -> None:
        """Let consoles that look for cases find this one: a name with its time, pointing nowhere else.

        Done at every start, and when anything was lost: a remote that lost it alone does not show that.
        """
        if self._announced:
            return
        (head,) = db.execute("SELECT head FROM events WHERE n = 1").fetchone()
        self.remote.put(f"{CASES}{iso(_wall(head), 0).replace(':', '').lower()}-{self.case.id}", b"\n")
        self._announced = True

    # -- blobs -------------------------------------------------------------------------------------------

    def _blobs(self, db: sqlite3.Connection, turn: Turn, stop: Stop, mask: Mask | None) -> None:
        self._find_refs(db)
        if not self._refs:
            return
        at = f"{self.case.id}/blobs/"
        there: dict[str, list[str]] = {}
        for name in self.remote.list(at):
            there.setdefault(name.removeprefix(at).partition(".")[0], []).append(name)
        blobs = Blobs(self.case.directory)
        erased = only_of(db, {digest.hex() for (digest,) in db.execute("SELECT hash FROM erased")})
        spent = 0.0
        for (digest, size), ref in self._refs.items():
            if stop():
                return
            if digest in erased:
                self.blobs_withheld.pop(digest, None)
                continue
            names = sorted(there.get(digest, []))[:TRIES]
            path = blobs.path(digest)
            if not path.exists():
                raw = self._fetch_blob(ref, names, turn)
                if raw is not None:
                    blobs.put(raw, ref.media)
                    turn.blobs += 1
            elif path.stat().st_size != size:
                continue  # its hash and another size: whoever wrote that had not the blob
            elif digest not in self.blobs_withheld and not any(name in self._blobs_seen for name in names):
                try:
                    raw = blobs.read(ref)
                except StoreTrouble as trouble:
                    turn.bad[at + digest] = trouble.what
                    continue
                # What lies there already may be torn: whoever has the blob looks once.
                if self._fetch_blob(ref, names, turn) is None:
                    if mask is not None and spent > MASKING:
                        turn.later = True
                        return
                    begun = monotonic()
                    found = None if mask is None else mask.blob(ref, raw)
                    spent += monotonic() - begun
                    if mask is not None and found is not None:
                        kinds = sorted({kind for _, kind in found.withheld})
                        self.blobs_withheld[digest] = kinds
                        self.shared.withhold_blob(digest, mask.id, kinds)
                        continue
                    self._put_blob(at + digest, raw)
                    turn.blobs += 1

    def _fetch_blob(self, ref: Ref, names: Iterable[str], turn: Turn) -> bytes | None:
        for name in names:
            if self._tries.get(name, 0) >= TRIES:
                continue
            try:
                raw = self.remote.get(name)
            except Absent:
                continue
            except RemoteTrouble as trouble:
                if trouble.passing:
                    raise
                raw = b""
            if sha256(raw).hexdigest() == ref.sha256:
                self._blobs_seen.add(name)
                return raw if len(raw) == ref.size else None
            self._tries[name] = self._tries.get(name, 0) + 1
            turn.bad[name] = "it is not the blob that its name says"
        return None

    def _put_blob(self, name: str, raw: bytes) -> None:
        for again in range(TRIES):
            at = f"{name}.{again}" if again else name
            self.remote.put(at, raw)
            try:
                if self.remote.get(at) == raw:
                    self._blobs_seen.add(at)
                    return
            except RemoteTrouble as trouble:
                if trouble.passing and not isinstance(trouble, Absent):
                    raise
        raise _unreturned(self.remote)

    def _find_refs(self, db: sqlite3.Connection) -> None:
        """Find the blobs that new events speak of. Few events do, and the header says so in plain bytes."""
        for n, head in db.execute(
            "SELECT n, iif(instr(head, ?) = 0, head, NULL) FROM events WHERE n > ? ORDER BY n",
            (b'"refs":[]', self._scanned),
        ):
            self._scanned = n
            for ref in decode_header(head).refs if head else ():
                # A size that does not fit disqualifies who claims it, and not the blob.
                self._refs.setdefault((ref.sha256, ref.size), ref)


def cases(remote: Remote, since: str = "") -> list[str]:
    """Ids of the cases that a remote announces, oldest first; at most `MAX_CASES`, the newest.

    Args:
        remote: The remote.
        since: Leave out what was founded before this time, `YYYY-MM-DDThhmmss`; "" for all.
    """
    found: dict[str, None] = {}
    for name in sorted(remote.list(CASES, f"{CASES}{since.lower()}" if since else "")):
        case = name.rpartition("-")[2]
        if len(case) == 26 and case.isascii() and case.isalnum():
            found.setdefault(case)
    return list(found)[-MAX_CASES:]


def unseen(remote: Remote, directory: Path, name: str, case: str) -> bool:
    """Whether a remote has something of a case that was not taken in yet; opens nothing.

    Args:
        remote: The remote.
        directory: The case directory.
        name: What the remote is called here.
        case: Case id.
    """
    good = Shared(directory, name).names
    return any(each not in good and Name.read(each) is not None for each in remote.list(prefix(case)))


def founding(remote: Remote, case: str) -> Parcel | None:
    """Fetch the beginning of a case, to found it here; None if no object there holds it.

    Raises:
        RemoteTrouble: The remote does not answer.
    """
    bare = None
    for name in sorted(remote.list(prefix(case))):
        named = Name.read(name)
        if named is None or named.case != case or named.first != 1:
            continue
        try:
            parcel = unpack(name, remote.get(name))
        except (BadSegment, Absent):
            continue
        except RemoteTrouble as trouble:
            if trouble.passing:
                raise
            continue  # one object that cannot be had must not keep all other cases away
        if parcel.events[0].header.case is None:
            if parcel.events[0].salt:
                return parcel
            bare = parcel
    return bare


class _Group:
    """Parcels that are taken in with one commit."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.parcels: list[Parcel] = []
        self._events = self._size = 0
        self._begun = monotonic()
        self._answer: Future[list[Merged]] | None = None

    def add(self, name: str, parcel: Parcel) -> None:
        """Add one. Whatever it goes on from was added before it."""
        self.names.append(name)
        self.parcels.append(parcel)
        self._events += len(parcel.events)
        self._size += sum(len(event.body) for event in parcel.events)

    @property
    def full(self) -> bool:
        """Whether it is large enough, or the first has waited long enough for others."""
        return (
            self._events >= GROUP_EVENTS
            or self._size >= GROUP_BYTES
            or monotonic() - self._begun > GROUP_SECONDS
        )

    def merge(self, case: Case) -> None:
        """Begin to take them in."""
        self._answer = case.merge_all(self.parcels)

    def merged(self) -> Iterator[tuple[str, Parcel, Merged]]:
        """Wait until they are in, and say what came of each; nothing if that was not begun."""
        if self._answer is not None:
            yield from zip(self.names, self.parcels, self._answer.result(), strict=True)


class _Errand(Thread):
    """A parcel on its way to a remote: put, read back, and put under another name if something else came back.

    A daemon: whoever ends the program does not wait for a remote that hangs.

    Args:
        remote: The remote.
        parcel: What to put there.
        renderings: What was kept back from it.

    Attributes:
        good: The name under which it came back.
        bad: Names under which it did not, each with the reason and, if any came, the bytes.
        failed: What went wrong; None if it came back.
    """

    def __init__(self, remote: Remote, parcel: Parcel, renderings: Mapping[str, Rendering]) -> None:
        super().__init__(name="push", daemon=True)
        self._remote, self.parcel = remote, parcel
        self.size = sum(len(event.head) + len(event.body) for event in parcel.events)
        self.withheld = {
            event: sorted({kind for _, kind in each.withheld}) for event, each in renderings.items()
        }
        self.good = ""
        self.bad: dict[str, tuple[str, bytes | None]] = {}
        self.failed: Exception | None = None

    def run(self) -> None:
        """Do it."""
        try:
            self.good = self._put()
        except Exception as error:  # it is for whoever waits
            self.failed = error

    def _put(self) -> str:
        again = 0
        for attempt in range(1, TRIES + 1):
            name, raw = pack(self.parcel, again)
            created = self._remote.put(name, raw)
            again = secrets.randbelow(2**31)
            # Whatever the remote said: only what comes back counts.
            try:
                back = self._remote.get(name)
            except Absent:
                continue
            except RemoteTrouble as trouble:
                if created or trouble.passing:
                    raise
                # One that was there already cannot be read. By the same names again: a remote that lets nobody
                # read must not fill up.
                self.bad[name], again = (trouble.what, None), attempt
                continue
            if back == raw:
                return name
            self.bad[name] = "what came back is not what was put", back
        raise _unreturned(self._remote)


def _cut(db: sqlite3.Connection, missing: Iterable[tuple[Span, list[tuple[int, int]]]]) -> Iterator[Parcel]:
    for span, rest in missing:
        for after, upto in rest:
            for parcel in parcels(db, span, after):
                # A parcel may reach into what is there already: twice is harmless, a gap is not.
                if parcel.events[0].seq > upto:
                    break
                yield parcel


def _unreturned(remote: Remote) -> RemoteTrouble:
    return RemoteTrouble(
        f"{remote.url} does not give back what was put there.",
        "It is safe here, but it is not shared through this remote.",
        "Check the remote; if somebody else may write there, look at what it holds.",
    )


def _in_order(name: str) -> tuple[str, int, int]:
    named = Name.read(name)
    return (named.rep, named.inc, named.first) if named else ("", 0, 0)


def _wall(head: bytes) -> int:
    return parse_iso(decode_header(head).wall)
