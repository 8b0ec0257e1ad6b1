"""What a remote garbled is kept, until an erasure reaches it."""

from __future__ import annotations

import pytest

from data import quarantine
from data.case import Case
from data.quarantine import empty, keep
from data.segment import pack
from tests.data.sample import note
from tests.data.test_merge import shipped

SECRET = b"card 4111"


@pytest.fixture
def torn(case: Case) -> bytes:
    """A segment whose end is missing, with what is to be erased in it."""
    case.append(note(SECRET.decode()), note("harmless")).result(10)
    (raw,) = (raw for _, raw in map(pack, shipped(case)) if SECRET in raw)
    return raw[:-5]


def erase(case: Case, text: bytes = SECRET) -> None:
    (event,) = (each for parcel in shipped(case) for each in parcel.events if text in each.body)
    assert case.erase([event.hash]).result(10) == 1


def kept(case: Case) -> bytes:
    return b"".join(path.read_bytes() for path in (case.directory / quarantine.NAME).iterdir())


def flipped(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def test_an_erasure_reaches_what_was_kept_and_nothing_else(case: Case, torn: bytes) -> None:
    promise = torn.index(b'"body_h":"', torn.rindex(b"\n", 0, torn.index(SECRET)))
    follows = torn.index(b'"prev":"', promise)
    for raw in (torn, flipped(torn, promise + 20), flipped(torn, follows + 20), b"somebody's garbage"):
        assert keep(case.directory, raw)
    assert kept(case).count(SECRET) == 3
    erase(case)
    assert empty(case.directory) == 3
    assert SECRET not in kept(case)
    assert b"somebody's garbage" in kept(case)
    assert len(list((case.directory / quarantine.NAME).glob("?" * 64))) == 4, "that there was something stays"
    assert empty(case.directory) == 0


def test_what_was_erased_is_not_kept_when_it_comes_later(case: Case, torn: bytes) -> None:
    assert keep(case.directory, torn)
    erase(case)
    empty(case.directory)
    for raw in (torn, torn[:-1]):
        assert not keep(case.directory, raw)
    assert keep(case.directory, b"somebody's garbage")
    assert SECRET not in kept(case)


def test_a_later_erasure_reaches_it_too(case: Case, torn: bytes) -> None:
    keep(case.directory, torn[: torn.index(b"\n", torn.index(SECRET))])
    erase(case, b"harmless")
    assert empty(case.directory) == 0
    assert SECRET in kept(case)
    erase(case)
    assert empty(case.directory) == 1
    assert SECRET not in kept(case)


def test_there_is_an_end_to_it(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MAX_FILES", 2)
    assert [keep(case.directory, bytes([i])) for i in range(3)] == [True, True, False]
