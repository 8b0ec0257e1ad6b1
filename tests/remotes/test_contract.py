"""What every remote does, whatever stands behind it."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from data.remotes import AT_ONCE, Absent, Remote, RemoteTrouble, proper

RACY = {"directory-plain", "s3-unconditional"}
"""Remotes that cannot tell in a race who was first."""
IMPROPER = (
    "", "/", "../secret", "a/../b", "/etc/passwd", "a//b", "A", "a b", "a:b", ".tmp-1", "a/", "a.", "ü", "a\n", "a\x1b[m",
    "x" * 241, "a*", "a>", "1/2/3/4/5/6/7/8/9",
)  # fmt: skip


def test_what_was_created_is_read_back_and_never_replaced(remote: Remote, case: str) -> None:
    name = f"{case}/0123.1/000000000001-000000000009-{'ab' * 32}.seg"
    assert remote.put(name, b"first\n\x00\xff") is True
    assert remote.put(name, b"second") is False
    assert remote.get(name) == b"first\n\x00\xff"


def test_an_absent_object_is_absent(remote: Remote, case: str) -> None:
    with pytest.raises(Absent) as caught:
        remote.get(f"{case}/nothing")
    assert f"{case}/nothing" in caught.value.what
    assert all(
        part.endswith(".") for part in (caught.value.what, caught.value.meaning, caught.value.next_step)
    )


@pytest.mark.parametrize("size", [0, 1, 700_000, 3_500_000])
def test_objects_of_any_size_come_back_whole(remote: Remote, case: str, size: int) -> None:
    data = os.urandom(size)
    assert remote.put(f"{case}/object", data)
    assert remote.get(f"{case}/object") == data
    assert not remote.put(f"{case}/object", data)
    assert list(remote.list(f"{case}/")) == [f"{case}/object"]


def test_a_listing_is_by_prefix_and_after_a_name(remote: Remote, case: str) -> None:
    ends = ["a", "a-b/c", "a.b/c", "a/b", "a/b.1/x", "a/b.10/x", "a/b.2/x", "a/c", "ab", "b/0", "b/00"]
    names = [f"{case}/{end}" for end in ends if end != "a"]
    for name in names:
        remote.put(name, b"x")
    outside = f"{case}x/a"
    remote.put(outside, b"x")
    for prefix in ("", "a", "a/", "a/b", "a/b.", "a/b.1/", "b/", "nothing/", "a/b.1/x"):
        for after in ("", f"{case}/a/b.1/x", f"{case}/a/c", f"{case}/zz", names[0], "0"):
            wanted = sorted(name for name in names if name.startswith(f"{case}/{prefix}") and name > after)
            assert sorted(remote.list(f"{case}/{prefix}", after)) == wanted, (prefix, after)
    assert {*names, outside} <= set(remote.list(""))
    assert {*names, outside} <= set(remote.list(case))
    assert outside not in set(remote.list("", outside))


def test_several_are_created_at_once_and_each_gets_its_own_answer(remote: Remote, case: str) -> None:
    remote.put(f"{case}/05", b"mine")
    objects = [(f"{case}/{i:02}", bytes([i]) * 1000) for i in range(20)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert list(pool.map(lambda each: remote.put(*each), objects)) == [i != 5 for i in range(20)]
        assert not any(pool.map(lambda each: remote.put(*each), objects))
    assert [remote.get(name) for name, _ in objects] == [
        b"mine" if i == 5 else data for i, (_, data) in enumerate(objects)
    ]


def test_one_of_many_rivals_wins_and_its_bytes_stay(remote: Remote, case: str, kind: str) -> None:
    bids = [bytes([i]) * 10_000 for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        won = [
            i
            for i, created in enumerate(pool.map(lambda bid: remote.put(f"{case}/race", bid), bids))
            if created
        ]
    kept = remote.get(f"{case}/race")
    assert kept in bids, "torn"
    if kind not in RACY:
        assert len(won) == 1
        assert kept == bids[won[0]]


def test_several_threads_use_one_remote(remote: Remote, case: str) -> None:
    def work(i: int) -> bool:
        name, data = f"{case}/{i}", os.urandom(20_000)
        return remote.put(name, data) and remote.get(name) == data and name in set(remote.list(f"{case}/"))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(24)))


def test_somebody_else_finds_what_was_created(reopen: Callable[[], Remote], case: str) -> None:
    mine, theirs = reopen(), reopen()
    mine.put(f"{case}/a", b"1")
    mine.close()
    assert theirs.get(f"{case}/a") == b"1"
    assert theirs.put(f"{case}/a", b"2") is False
    mine.put(f"{case}/b", b"2")
    assert set(theirs.list(f"{case}/")) == {f"{case}/a", f"{case}/b"}


@pytest.mark.parametrize("name", IMPROPER)
def test_improper_names_are_refused_before_anything_is_sent(remote: Remote, name: str) -> None:
    assert not proper(name)
    for attempt in (
        lambda: remote.put(name, b""),
        lambda: remote.get(name),
    ):
        with pytest.raises(ValueError, match="cannot be the name"):
            attempt()


def test_an_object_beyond_the_bound_is_not_handed_out(
    remote: Remote, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote.put(f"{case}/big.seg", b"x" * 2001)
    remote.put(f"{case}/fits.seg", b"x" * 2000)
    monkeypatch.setattr("data.segment.MAX_BYTES", 2000)
    assert len(remote.get(f"{case}/fits.seg")) == 2000
    with pytest.raises(RemoteTrouble, match="more than the 2000 bytes"):
        remote.get(f"{case}/big.seg")


def test_the_probe_finds_what_is_so(remote: Remote, kind: str) -> None:
    found = remote.probe()
    assert found.create in ({"sequential", "atomic"} if kind in RACY else {"atomic"})
    assert found.reads_back
    assert found.lists
    assert found.skew_ms is None or abs(found.skew_ms) < 60_000
    assert all(warning.endswith((".", ":")) for warning in found.warnings)
    assert (found.skew_ms is None) == (kind in ("memory", "faulty"))
