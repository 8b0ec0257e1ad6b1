"""The faulty remote does what it says: tests of synchronisation rest on it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import cast

import pytest

from data.remotes import Absent, RemoteTrouble
from tests.remotes.faulty import Fault, Faulty, Memory


def faulty(**rates: float) -> Faulty:
    return Faulty(Memory(), _named(rates), random.Random(7))


def _named(rates: Mapping[str, float]) -> dict[Fault, float]:
    """Rates by keyword: `lost_answer` for `lost answer`."""
    return {cast("Fault", key.replace("_", " ")): rate for key, rate in rates.items()}


def test_down() -> None:
    remote = faulty(down=1)
    for request in (lambda: remote.put("a", b"x"), lambda: remote.get("a"), lambda: remote.list("")):
        with pytest.raises(RemoteTrouble):
            request()
    remote.rates = {}
    assert list(remote.list("")) == []


def test_a_lost_answer_leaves_the_object() -> None:
    remote = faulty(lost_answer=1)
    with pytest.raises(RemoteTrouble):
        remote.put("a", b"x")
    assert remote.get("a") == b"x"


def test_lying_and_conflict_leave_nothing() -> None:
    for rates, said in (({"lying": 1.0}, True), ({"conflict": 1.0}, False)):
        remote = faulty(**rates)
        assert remote.put("a", b"x") is said
        with pytest.raises(Absent):
            remote.get("a")


def test_overwriting_is_what_the_probe_calls_none() -> None:
    remote = faulty(overwriting=1)
    remote.put("a", b"1")
    assert remote.put("a", b"2")
    assert remote.get("a") == b"2"
    assert remote.probe().create == "none"


def test_torn_flipped_and_other_bytes() -> None:
    data = b"0123456789"
    for fault in ("torn", "flipped", "other"):
        remote = faulty()
        remote.put("a", data)
        remote.put("b", b"of b")
        remote.rates = _named({fault: 1})
        got = remote.get("a")
        assert got != data
        assert {"torn": data.startswith(got), "flipped": len(got) == len(data), "other": got == b"of b"}[
            fault
        ]
        remote.rates = {}
        assert remote.get("a") == data


def test_stale_shuffled_and_invented_listings() -> None:
    remote = faulty()
    names = [f"a/{i:02}" for i in range(20)]
    for name in names:
        remote.put(name, b"x")
    remote.rates = {"stale": 1}
    assert list(remote.list("a/")) == names[:16]
    remote.rates = {"shuffled": 1}
    got = list(remote.list("a/"))
    assert got != sorted(got)
    assert len(got) > len(set(got)) == 20
    remote.rates = {"invented": 1}
    assert set(remote.list("a/")) > set(names)


def test_lost_objects_can_be_created_again() -> None:
    remote = faulty()
    remote.put("a", b"x")
    remote.lose("a")
    assert list(remote.list("")) == []
    with pytest.raises(Absent):
        remote.get("a")
    assert remote.put("a", b"x")
    assert remote.get("a") == b"x"
    assert list(remote.list("")) == ["a"]


def test_a_seed_repeats_a_run() -> None:
    def run() -> list[tuple[Fault, str]]:
        remote = faulty(down=0.3, lying=0.3, torn=0.5, stale=0.5)
        for i in range(50):
            for request in (
                lambda i=i: remote.put(f"n{i}", b"xyz"),
                lambda i=i: remote.get(f"n{i}"),
                lambda: remote.list(""),
            ):
                try:
                    request()
                except RemoteTrouble:
                    pass
        return remote.happened

    assert run() == run()
    assert {fault for fault, _ in run()} == {"down", "lying", "torn", "stale"}
