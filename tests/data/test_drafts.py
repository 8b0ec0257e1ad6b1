import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import pytest

from data.clock import ManualClock
from data.drafts import MAX_CHARACTERS, Drafts
from tests.data.sample import START


def until(condition: Callable[[], object]) -> None:
    deadline = monotonic() + 10
    while not condition():
        assert monotonic() < deadline
        sleep(0.002)


@pytest.fixture
def drafts(tmp_path: Path, ticking: ManualClock) -> Drafts:
    return Drafts.open(tmp_path, ticking)


def test_a_draft_is_there_at_once_and_saved_soon(drafts: Drafts) -> None:
    drafts.put("note", "the refu", START - 3)
    draft = drafts.get("note")
    assert draft is not None
    assert (draft.text, draft.started_at) == ("the refu", START - 3)
    until(lambda: drafts.saved_at("note") == START)
    drafts.close()


def test_only_what_is_on_the_disk_counts_as_saved(drafts: Drafts, tmp_path: Path) -> None:
    drafts.put("note", "a", START)
    until(lambda: drafts.saved_at("note"))
    blocker = sqlite3.connect(tmp_path / "drafts.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    drafts.put("note", "ab", START)
    assert drafts.saved_at("note") == 0
    blocker.execute("ROLLBACK")
    blocker.close()
    until(lambda: drafts.saved_at("note"))
    drafts.close()


def test_the_newest_text_wins(drafts: Drafts, tmp_path: Path, ticking: ManualClock) -> None:
    for i in range(500):
        drafts.put("note", "x" * i, START)
        drafts.put("declare", str(i), START + i)
    drafts.clear("declare")
    drafts.close()
    again = Drafts.open(tmp_path, ticking)
    assert [(draft.box, len(draft.text)) for draft in again.orphans()] == [("note", 499)]
    again.close()


def test_drafts_of_the_living_are_nobody_elses(drafts: Drafts, tmp_path: Path, ticking: ManualClock) -> None:
    other = Drafts.open(tmp_path, ticking)
    drafts.put("note", "mine", START)
    until(lambda: drafts.saved_at("note"))
    assert other.orphans() == []
    drafts.close()
    (orphan,) = other.orphans()
    assert other.adopt(orphan)
    assert other.get("note") is not None
    assert other.orphans() == []
    assert not other.adopt(orphan)
    other.close()
    third = Drafts.open(tmp_path, ticking)
    assert [draft.text for draft in third.orphans()] == ["mine"]
    third.discard(third.orphans()[0])
    assert third.orphans() == []
    third.close()


def test_an_orphan_is_adopted_once_and_never_over_a_draft(
    drafts: Drafts, tmp_path: Path, ticking: ManualClock
) -> None:
    drafts.put("note", "orphan", START)
    drafts.close()
    one, two = Drafts.open(tmp_path, ticking), Drafts.open(tmp_path, ticking)
    (orphan,) = one.orphans()
    two.put("note", "my own", START)
    assert not two.adopt(orphan)
    assert one.adopt(orphan)
    two.clear("note")
    assert not two.adopt(orphan)
    one.close()
    two.close()


def test_a_damaged_file_is_set_aside(tmp_path: Path, ticking: ManualClock) -> None:
    (tmp_path / "drafts.db").write_bytes(b"garbage" * 1000)
    drafts = Drafts.open(tmp_path, ticking)
    drafts.put("note", "still typing", START)
    until(lambda: drafts.saved_at("note"))
    assert drafts.trouble == ""
    assert (tmp_path / "drafts.db.damaged").read_bytes() == b"garbage" * 1000
    drafts.close()


def test_trouble_is_told_and_passes(drafts: Drafts, tmp_path: Path) -> None:
    (tmp_path / "drafts.db").mkdir()
    drafts.put("note", "a", START)
    until(lambda: drafts.trouble)
    assert drafts.saved_at("note") == 0
    (tmp_path / "drafts.db").rmdir()
    drafts.put("note", "ab", START)
    until(lambda: drafts.saved_at("note"))
    assert drafts.trouble == ""
    drafts.close()


def test_any_text_is_kept_within_bounds(drafts: Drafts) -> None:
    drafts.put("note", "\x00\ud800'; DROP TABLE drafts --", START)
    until(lambda: drafts.saved_at("note"))
    with pytest.raises(ValueError, match="at most"):
        drafts.put("note", "x" * (MAX_CHARACTERS + 1), START)
    drafts.close()


def test_signs_of_life_that_a_kill_left_behind_are_removed(tmp_path: Path, ticking: ManualClock) -> None:
    living = Drafts.open(tmp_path, ticking)
    (alive,) = tmp_path.glob(".tmp-draft-*")
    left, fresh = tmp_path / ".tmp-draft-killed", tmp_path / ".tmp-draft-fresh"
    left.touch()
    fresh.touch()
    for path in (alive, left):
        os.utime(path, (START // 10**9, START // 10**9))
    second = Drafts.open(tmp_path, ticking)
    assert not left.exists()
    assert alive.exists()
    assert fresh.exists()  # another process may be about to lock it
    living.put("note", "still mine", START)
    until(lambda: living.saved_at("note"))
    assert second.orphans() == []
    second.close()
    living.close()


def test_closing_leaves_no_sign_of_life(drafts: Drafts, tmp_path: Path) -> None:
    drafts.close()
    drafts.close()
    assert [name for name in os.listdir(tmp_path) if name.startswith(".")] == []
