"""Searching the window: everything that fits, nothing else, once each, whatever the order and the files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.evidence import search
from console.evidence.search import During, Found, Query
from console.evidence.window import Window
from console.telemetry.action import Action
from console.tripwires.alert import name_of
from data.clock import ManualClock
from data.envelope import Ref

T0 = 1_795_000_000_000_000_000
FEW = st.sampled_from(["", "x", "y", "z"])
ACTIONS = st.lists(
    st.builds(
        Action,
        at=st.integers(T0, T0 + 50),
        agent=st.sampled_from(["a", "b", "c"]),
        tenant=st.sampled_from(["default", "t"]),
        id=st.sampled_from(["", *"123456789"]),
        trace=FEW,
        session=FEW,
        span=st.sampled_from(["", "p"]),
        approval=FEW,
        kind=st.sampled_from(["tool", "model", "run", "review"]),
        cost=st.none() | st.integers(-5, 5),
    ),
    max_size=30,
)
QUERIES = st.builds(
    Query,
    values=st.dictionaries(
        st.sampled_from(["trace", "session", "agent", "approval", "id"]),
        st.lists(st.sampled_from(["x", "y", "a", "1", "2"]), min_size=1, max_size=2),
        max_size=2,
    ),
    named=st.lists(
        st.tuples(st.just("default"), st.sampled_from(["a", "b"]), st.sampled_from(["3", "x:p", "y"])),
        max_size=2,
    ),
    during=st.lists(
        st.builds(During, st.just("t"), st.just("c"), st.just(T0 + 10), st.just(T0 + 20)), max_size=1
    ),
    depth=st.integers(0, 3),
)


class Kept:
    """Stands for the blobs of a case."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def __call__(self, data: bytes) -> Ref:
        self.parts.append(data)
        return Ref(media="", sha256=f"{len(self.parts):064x}", size=len(data))

    @property
    def actions(self) -> list[Action]:
        return [msgspec.json.decode(line, type=Action) for part in self.parts for line in part.splitlines()]


def fill(directory: Path, batches: list[list[Action]]) -> None:
    """A window in which each batch has a file of its own."""
    clock = ManualClock(T0)
    for batch in batches:
        window = Window(directory, clock, most=2**29, keep=10**18)
        window.append(batch)
        window.close()
        clock.advance(1)


def oracle(actions: list[Action], query: Query) -> list[Action]:
    """What fits, slowly and obviously: all pairs, once for each step of the descent."""

    def asked(action: Action) -> bool:
        return (
            any(getattr(action, name) in values for name, values in query.values.items())
            or (action.tenant, action.agent, name_of(action)) in query.named
            or any(
                (each.tenant, each.agent) == (action.tenant, action.agent) and each.since <= action.at <= each.until
                for each in query.during
            )
        )  # fmt: skip

    found = [action for action in actions if asked(action)]
    for _ in range(query.depth):
        found = [
            action
            for action in actions
            if action in found
            or any(
                (action.trace and action.trace == other.trace)
                or (action.session and action.session == other.session)
                for other in found
            )
        ]
    once: list[Action] = []
    return [action for action in found if action not in once and not once.append(action)]  # type: ignore[func-returns-value]


@pytest.mark.req("S001-EV-0", "S001-PRI-3")
@given(batches=st.lists(ACTIONS, max_size=4), query=QUERIES)
def test_everything_that_fits_is_kept_and_nothing_else(batches: list[list[Action]], query: Query) -> None:
    everything = [action for batch in batches for action in batch]
    with tempfile.TemporaryDirectory() as directory:
        fill(Path(directory) / "window", batches)
        kept = Kept()
        found = search.search(Path(directory) / "window", query, kept)
    expected = oracle(everything, query)
    assert kept.actions == expected
    assert found.count == len(expected)
    assert found.looked == len(everything)
    assert (found.since, found.until) == (
        (min(each.at for each in expected), max(each.at for each in expected)) if expected else (0, 0)
    )


def run(tmp_path: Path, actions: list[Action], query: Query) -> tuple[Found, Kept]:
    """Search a window that holds `actions`."""
    fill(tmp_path / "window", [actions])
    kept = Kept()
    return search.search(tmp_path / "window", query, kept), kept


@pytest.mark.req("S001-PRI-3")
def test_sub_agents_are_found_through_what_they_share(tmp_path: Path) -> None:
    main = Action(at=T0, agent="planner", trace="t1", session="s1", id="m")
    sub = Action(at=T0 + 1, agent="payer", trace="t1", session="s2", id="s")
    sub_sub = Action(at=T0 + 2, agent="mailer", trace="t2", session="s2", id="ss")
    stranger = Action(at=T0 + 3, agent="other", trace="t9", session="s9", id="no")
    found, kept = run(tmp_path, [stranger, sub_sub, sub, main], Query({"agent": ["planner"]}))
    assert {each.agent for each in kept.actions} == {"planner", "payer", "mailer"}
    assert found.links == 4
    found, kept = run(
        tmp_path / "flat", [stranger, sub_sub, sub, main], Query({"agent": ["planner"]}, depth=0)
    )
    assert kept.actions == [main]


def test_there_is_a_bound_on_what_is_followed_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "LINKS", 3)
    many = [Action(at=T0 + n, agent="a", trace=f"t{n}", id=f"{n}") for n in range(9)]
    more = [Action(at=T0 + n, agent="b", trace=f"t{n}", id=f"{n}") for n in range(9)]
    found, kept = run(tmp_path, many + more, Query({"agent": ["a"]}))
    assert len(kept.actions) == 9 + 3
    assert "were not followed" in found.notes[0]


def test_a_large_find_is_split_into_parts_that_follow_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "PART", 2_000)
    actions = [Action(at=T0 + n, agent="a", id=f"{n}") for n in range(300)]
    found, kept = run(tmp_path, actions, Query({"agent": ["a"]}))
    assert len(found.blobs) > 5
    assert sum(blob.records for blob in found.blobs) == 300
    assert [blob.size for blob in found.blobs] == [len(part) for part in kept.parts]
    assert kept.actions == actions
    monkeypatch.setattr(search, "PARTS", 2)
    found, kept = run(tmp_path, actions, Query({"agent": ["a"]}))
    assert len(kept.parts) == 2
    assert "not kept" in found.notes[0]


def test_damage_costs_what_is_damaged_and_is_counted(tmp_path: Path) -> None:
    fill(tmp_path / "window", [[Action(at=T0, agent="a", id="1")], [Action(at=T0, agent="a", id="2")]])
    first, second = sorted((tmp_path / "window").iterdir())
    first.write_bytes(first.read_bytes()[:-9] + b"\0" * 9)
    torn = b'{"at":%d,"agent":"a","id":"3"}' % T0
    bad = [b'{"at":1,"ag', b"not json", torn, b'{"at":5,"agent":"a"}', torn[:-9]]
    (tmp_path / "window" / f"{T0 + 9:020d}.jsonl").write_bytes(b"\n".join(bad))
    kept = Kept()
    found = search.search(tmp_path / "window", Query({"agent": ["a"]}), kept)
    assert [each.id for each in kept.actions] == ["2", "3"]
    assert found.damaged == 4  # a file, two lines that are no JSON, and one that is no action
    assert "could not be read" in found.notes[0]
    assert second.exists()


def test_a_window_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert search.search(tmp_path / "none", Query({"agent": ["a"]}), Kept()) == Found()


def test_progress_comes_to_its_end(tmp_path: Path) -> None:
    fill(tmp_path / "window", [[Action(at=T0, agent="a", trace=f"{n}")] for n in range(4)])
    seen: list[search.Progress] = []
    search.search(tmp_path / "window", Query({"agent": ["a"]}), Kept(), seen.append)
    assert [each.done for each in seen] == sorted(each.done for each in seen)
    assert all(each.done < each.total for each in seen)
