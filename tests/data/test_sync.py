"""Sync against a remote in memory that can be made to do anything."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import count, pairwise
from pathlib import Path
from threading import Condition

import msgspec
import pytest

from data.blobs import Blobs
from data.case import Case, adopt
from data.clock import ManualClock
from data.envelope import Entry, Ref, Sealed
from data.home import Home
from data.remotes import Absent, Findings, RemoteTrouble
from data.segment import Parcel, pack
from data.sync import CASES, MANY, Sync, cases, founding, unseen
from data.unpacking import Unpacker
from data.verify import verify
from data.withholding import Rendering
from tests.data.sample import START, note, project
from tests.data.test_hostile_segments import bare
from tests.data.test_merge import hashes, shipped


class Remote:
    """Keeps what it is given; tests reach into `objects`."""

    url = "memory:"

    @property
    def segments(self) -> list[str]:
        return sorted(name for name in self.objects if name.endswith(".seg"))

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.endless: set[str] = set()
        self.torn = 0

    def put(self, name: str, data: bytes) -> bool:
        if name in self.objects:
            return False
        if self.torn:
            self.torn -= 1
            data = data[: len(data) // 2]
        self.objects[name] = data
        return True

    def get(self, name: str) -> bytes:
        if name in self.endless:
            raise RemoteTrouble("It has no end.", "", "", passing=False)
        if name not in self.objects:
            raise Absent("It is not there.", "", "")
        return self.objects[name]

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        return iter([name for name in self.objects if name.startswith(prefix) and name > after])

    def probe(self) -> Findings:
        raise NotImplementedError

    def close(self) -> None:
        pass


@pytest.fixture
def remote() -> Remote:
    return Remote()


@pytest.fixture
def ours(case: Case, home: Home, remote: Remote) -> Sync:
    case.append(note("one")).result(10)
    return Sync(case, remote, "shelf", home.replica)


@pytest.fixture
def theirs(ours: Sync, remote: Remote, tmp_path: Path) -> Iterator[Sync]:
    """Another console, which knows of the case only what the remote has."""
    ours.turn()
    ben = Home.open(tmp_path / "ben", clock=ManualClock(START))
    parcel = founding(remote, ours.case.id)
    assert parcel is not None
    case = Case.open(adopt(ben, parcel), ben, project)
    yield Sync(case, remote, "shelf", ben.replica)
    case.close()


def same(one: Sync, two: Sync) -> bool:
    return hashes(one.case) == hashes(two.case)


def test_both_hold_the_same_and_know_that_it_is_shared(ours: Sync, theirs: Sync) -> None:
    assert theirs.turn().pulled
    theirs.case.append(note("two")).result(10)
    assert theirs.outbox().pending == 1
    theirs.turn()
    ours.turn()
    assert same(ours, theirs)
    assert (ours.outbox().pending, theirs.outbox().pending) == (0, 0)
    assert ours.turn().idle
    assert verify(theirs.case.directory).sound


def test_an_object_that_was_lost_and_came_back_torn_is_put_again(
    ours: Sync, theirs: Sync, remote: Remote
) -> None:
    (name,) = remote.segments
    del remote.objects[name]
    remote.torn = 1
    assert name in ours.turn().bad
    assert len(remote.segments) == 2
    # Were the torn one still counted on, nothing would bring back what only the other one holds.
    del remote.objects[remote.segments[0 if remote.segments[1] == name else 1]]
    ours.turn()
    theirs.turn()
    assert len(remote.segments) > 1
    assert same(ours, theirs)


def test_what_was_lost_does_not_count_as_shared(ours: Sync, remote: Remote) -> None:
    ours.turn()
    remote.objects.clear()
    remote.torn = 10
    with pytest.raises(RemoteTrouble):
        ours.turn()
    assert ours.outbox().pending == 2
    remote.torn = 0
    ours.turn()
    assert ours.outbox().pending == 0


def test_an_object_that_was_changed_later_is_found_by_an_audit(
    ours: Sync, theirs: Sync, remote: Remote
) -> None:
    (name,) = remote.segments
    remote.objects[name] = b"something else"
    assert ours.turn().idle, "nobody reads everything in each turn"
    assert ours.audit() == [name]
    assert not ours.turn().idle
    theirs.turn()
    assert same(ours, theirs)
    assert ours.audit() == []


def test_a_log_from_a_backup_beside_newer_notes_of_what_was_seen(
    ours: Sync, theirs: Sync, tmp_path: Path
) -> None:
    theirs.turn()
    directory = theirs.case.directory
    theirs.case.close()
    shutil.copy(directory / "log.db", tmp_path / "backup")
    ours.case.append(note("two")).result(10)
    ours.turn()
    ben = Home.open(tmp_path / "ben", clock=ManualClock(START))
    case = Case.open(directory, ben, project)
    Sync(case, ours.remote, "shelf", ben.replica).turn()
    case.close()
    shutil.copy(tmp_path / "backup", directory / "log.db")
    case = Case.open(directory, ben, project)
    again = Sync(case, ours.remote, "shelf", ben.replica)
    again.turn()
    ours.turn()
    assert hashes(case) >= hashes(ours.case)
    case.close()


def test_a_copy_without_bodies_counts_for_nothing(ours: Sync, theirs: Sync, remote: Remote) -> None:
    theirs.turn()
    remote.objects.clear()
    name, raw = pack(bare(shipped(ours.case)[0]))
    remote.objects[name] = raw
    ours.turn()
    theirs.turn()
    assert len(remote.segments) > 1
    assert verify(theirs.case.directory).sound


def test_an_object_that_cannot_be_had_does_not_keep_the_others_away(
    ours: Sync, theirs: Sync, remote: Remote
) -> None:
    for i in range(9):
        name = f"{ours.case.id}/{'0' * 31}{i}.1/{1:012d}-{1:012d}-{'0' * 64}.seg"
        remote.objects[name] = b"x"
        remote.endless.add(name)
    turn = theirs.turn()
    assert turn.pulled
    assert len(turn.bad) == 9
    assert same(ours, theirs)
    for _ in range(3):
        theirs.turn()
    assert not theirs.turn().bad, "after some tries they are left alone"


def test_a_blob_travels_and_a_torn_one_is_replaced(ours: Sync, theirs: Sync, remote: Remote) -> None:
    ref = Blobs(ours.case.directory).put(b"transcript", "text/plain")
    at = f"{ours.case.id}/blobs/{ref.sha256}"
    remote.objects[at] = b"tra"
    ours.case.append(Entry("note", note("with a blob").body, "mira", refs=(ref,))).result(10)
    assert ours.turn().blobs == 1
    assert theirs.turn().blobs == 1
    assert Blobs(theirs.case.directory).read(ref) == b"transcript"
    assert remote.objects[at] == b"tra"
    assert ours.turn().blobs == theirs.turn().blobs == 0


def test_a_remote_that_lost_everything_has_the_case_announced_again_at_once(
    ours: Sync, remote: Remote
) -> None:
    ours.turn()
    remote.objects.clear()
    ours.turn()
    assert cases(remote) == [ours.case.id]
    assert founding(remote, ours.case.id) is not None


def test_a_case_is_announced_again_where_that_was_lost(ours: Sync, home: Home, remote: Remote) -> None:
    ours.turn()
    assert cases(remote) == [ours.case.id]
    for name in list(remote.list(CASES)):
        del remote.objects[name]
    Sync(ours.case, remote, "shelf", home.replica).turn()
    assert cases(remote) == [ours.case.id]


def test_what_a_remote_has_for_a_closed_case(ours: Sync, remote: Remote) -> None:
    ours.turn()
    directory, name = ours.case.directory, remote.segments[0]
    assert not unseen(remote, directory, "shelf", ours.case.id)
    assert unseen(remote, directory, "another", ours.case.id)
    raw = remote.objects.pop(name)
    ours.turn()
    remote.objects = {name: raw}
    ours.turn()
    assert not unseen(remote, directory, "shelf", ours.case.id)


@pytest.mark.parametrize("dies", [False, True])
def test_many_objects_are_checked_by_another_process(
    ours: Sync, theirs: Sync, remote: Remote, monkeypatch: pytest.MonkeyPatch, dies: bool
) -> None:
    if dies:
        parcel = Unpacker.parcel

        def after_death(helper: Unpacker) -> Parcel:
            helper.process.kill()
            helper.process.wait()
            return parcel(helper)

        monkeypatch.setattr(Unpacker, "parcel", after_death)
    else:
        monkeypatch.setattr("data.unpacking.unpack", lambda *_: pytest.fail("it was checked here"))
    for i in range(MANY + 5):
        ours.case.append(note(str(i))).result(10)
        ours.turn()
    torn, absent = remote.segments[3], remote.segments[4]
    whole = dict(remote.objects)
    remote.objects[torn] = remote.objects[torn][:-1]
    remote.objects[absent] = b""
    turn = theirs.turn()
    assert set(turn.bad) == {torn, absent}
    assert turn.waiting > 0
    remote.objects = whole
    theirs.turn()
    assert same(ours, theirs)
    assert verify(theirs.case.directory).sound


@pytest.mark.parametrize("end", ["the line is cut", "somebody stops it"])
def test_what_came_before_the_end_of_a_turn_is_kept(
    ours: Sync, theirs: Sync, remote: Remote, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Else a line that never holds for long would never bring anything."""
    for i in range(5):
        ours.case.append(note(str(i))).result(10)
        ours.turn()
    get, got = remote.get, list[str]()

    def cut(name: str) -> bytes:
        if len(got) == 3 and end == "the line is cut":
            raise RemoteTrouble("The line was cut.", "", "")
        got.append(name)
        return get(name)

    monkeypatch.setattr(remote, "get", cut)
    if end == "the line is cut":
        with pytest.raises(RemoteTrouble, match="cut"):
            theirs.turn()
        assert len(got) == 3
    else:
        theirs.turn(lambda: len(got) > 3)
        assert len(got) == 4, "what is on its way when it is stopped comes again"
    assert theirs.shared.names == set(got[:3])
    monkeypatch.undo()
    theirs.turn()
    assert same(ours, theirs)


def test_what_came_is_not_held_back_for_long_by_what_comes_slowly(
    ours: Sync, theirs: Sync, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(4):
        ours.case.append(note(str(i))).result(10)
        ours.turn()
    get, held, before = remote.get, list[int](), len(hashes(theirs.case))

    def slow(name: str) -> bytes:
        theirs.case.merge_all([]).result(10)  # whatever was begun before this is done now
        held.append(len(hashes(theirs.case)) - before)
        return get(name)

    monkeypatch.setattr(remote, "get", slow)
    monkeypatch.setattr("data.sync.monotonic", count().__next__)  # each look takes a second
    theirs.turn()
    assert len(held) > 4
    assert held[0] == 0
    assert all(earlier < later for earlier, later in pairwise(held[1:])), (
        "each came in before the next was fetched"
    )
    assert same(ours, theirs)


def test_an_endless_object_keeps_no_case_from_being_found(ours: Sync, remote: Remote) -> None:
    ours.turn()
    (whole,) = remote.segments
    endless = whole.replace(whole.rpartition("-")[2], f"{'0' * 64}.seg")
    remote.objects[endless] = b""
    remote.endless.add(endless)
    parcel = founding(remote, ours.case.id)
    assert parcel is not None
    assert parcel.case == ours.case.id


def test_a_ref_with_a_wrong_size_keeps_nobody_from_the_blob(ours: Sync, theirs: Sync, remote: Remote) -> None:
    """Its hash can be copied from a header by whoever may write there, who needs no blob for that."""
    blobs = Blobs(ours.case.directory)
    ref = blobs.put(b"a screenshot", "image/png")
    for size in (0, ref.size + 1, ref.size):
        claimed = Ref(media=ref.media, sha256=ref.sha256, size=size)
        ours.case.append(msgspec.structs.replace(note(f"of {size} bytes"), refs=(claimed,))).result(10)
    turn = ours.turn()
    assert (turn.blobs, turn.bad) == (1, {})
    for _ in range(4):  # more often than a bad object is tried
        assert not theirs.turn().bad
    assert Blobs(theirs.case.directory).read(ref) == b"a screenshot"


@pytest.fixture
def parcels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each commit leaves as a parcel of its own."""
    monkeypatch.setattr("data.parcels.MAX_EVENTS", 1)


@pytest.mark.usefixtures("parcels")
def test_several_parcels_are_on_their_way_at_once(
    ours: Sync, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other each would wait for two answers of a slow line, and they may be thousands."""
    put, begun, another = remote.put, set[str](), Condition()

    def slow(name: str, data: bytes) -> bool:
        with another:
            begun.add(name)
            another.notify_all()
            assert not name.endswith(".seg") or another.wait_for(lambda: len(begun) > 2, 30), "it waits alone"
        return put(name, data)

    monkeypatch.setattr(remote, "put", slow)
    assert ours.turn().pushed == 3
    assert ours.outbox().pending == 0


@pytest.mark.usefixtures("parcels")
def test_what_came_back_counts_although_others_did_not(
    ours: Sync, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours.case.append(note("two")).result(10)
    get, away = remote.get, set[str]()

    def cut(name: str) -> bytes:
        if "000000000002-" in name:
            away.add(name)
            raise RemoteTrouble("The line was cut.", "", "")
        return get(name)

    monkeypatch.setattr(remote, "get", cut)
    with pytest.raises(RemoteTrouble, match="cut"):
        ours.turn()
    monkeypatch.undo()
    (missing,) = away
    assert ours.shared.names == set(remote.segments) - {missing}
    assert len(remote.segments) > 2
    before = dict(remote.objects)
    ours.turn()
    assert ours.outbox().pending == 0
    assert remote.objects == before, "it was read again, and no other was put"


def test_an_unreadable_object_in_the_way_is_put_under_another_name(
    ours: Sync, home: Home, remote: Remote
) -> None:
    ours.turn()
    (broken,) = remote.segments
    remote.endless.add(broken)
    assert ours.audit() == [broken]
    turn = ours.turn()
    assert set(turn.bad) == {broken}
    assert not turn.kept
    assert len(remote.segments) == 2
    assert ours.outbox().pending == 0
    again = Sync(ours.case, remote, "another", home.replica)
    again.turn()
    assert again.outbox().pending == 0
    assert len(remote.segments) == 2


class Policy:
    """Keeps back what holds a secret; notes what it was asked."""

    name = id = "policy-1"

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def event(self, event: Sealed) -> Rendering | None:
        return None

    def blob(self, ref: Ref, data: bytes) -> Rendering | None:
        self.asked.append(data)
        return Rendering(b"***", [(ref.sha256, "secret")]) if b"secret" in data else None

    def apart(self) -> AbstractContextManager[Policy]:
        return nullcontext(self)


def with_blobs(case: Case, *texts: bytes) -> list[Ref]:
    refs = [Blobs(case.directory).put(text, "text/plain") for text in texts]
    for ref in refs:
        case.append(msgspec.structs.replace(note("a file"), refs=(ref,))).result(10)
    return refs


def test_what_is_withheld_is_known_after_a_restart(ours: Sync, home: Home, remote: Remote) -> None:
    """Looking into a big file takes long, and nothing has changed."""
    refs = with_blobs(ours.case, b"a secret", b"harmless")
    for _ in range(2):
        policy = Policy()
        sync = Sync(ours.case, remote, "shelf", home.replica, policy)
        sync.turn()
        assert sync.blobs_withheld == {refs[0].sha256: ["secret"]}
    assert policy.asked == []
    assert f"{ours.case.id}/blobs/{refs[0].sha256}" not in remote.objects
    another = Policy()
    another.id = "policy-2"
    Sync(ours.case, remote, "shelf", home.replica, another).turn()
    assert another.asked == [b"a secret"]
    Sync(ours.case, remote, "shelf", home.replica).turn()
    assert remote.objects[f"{ours.case.id}/blobs/{refs[0].sha256}"] == b"a secret"


def test_events_do_not_wait_until_all_files_were_looked_into(
    ours: Sync, home: Home, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_blobs(ours.case, b"one", b"a secret", b"three")
    policy = Policy()
    monkeypatch.setattr("data.sync.monotonic", count().__next__)  # each look takes a second
    monkeypatch.setattr("data.sync.MASKING", 0.5)
    sync = Sync(ours.case, remote, "shelf", home.replica, policy)
    turns = [sync.turn()]
    assert sync.outbox().pending == 0
    turns += [sync.turn() for _ in range(2)]
    assert [turn.later for turn in turns] == [True, True, False]
    assert policy.asked == [b"one", b"a secret", b"three"]
    assert [turn.blobs for turn in turns] == [1, 0, 1]
