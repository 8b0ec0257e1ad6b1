"""JSON lines: what is taken, what is refused and why, and files that change under the reader."""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.refusal import Refused
from console.telemetry import jsonl
from console.telemetry.action import Action
from console.telemetry.jsonl import Batch, Follower, Position, stream, whole

AT = 1_764_000_000_000_000_000


def line(n: int = 0, **fields: Any) -> bytes:
    return json.dumps({"at": AT + n, "agent": "a", "id": f"n{n}", **fields}).encode() + b"\n"


def everything(batches: Any) -> tuple[list[Action], list[jsonl.Refusal], Position]:
    actions: list[Action] = []
    refusals: list[jsonl.Refusal] = []
    position = Position()
    for batch in batches:
        actions += batch.actions
        refusals += batch.refusals
        position = batch.position
    return actions, refusals, position


def drain(follower: Follower) -> Batch:
    """Everything that is there now, as one batch."""
    batches = [follower.poll()]
    while batches[-1].more:
        batches.append(follower.poll())
    actions, refusals, position = everything(batches)
    return Batch(actions, refusals, len(refusals), position, False)


def ids(batch: Batch) -> list[str]:
    return [action.id for action in batch.actions]


SECONDS = AT // 10**9


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b'{"at": 1764000000000000000, "agent"', "it is not complete JSON"),
        (b'{"id": "\\ud800"}', "it holds half a character: a lone surrogate (`\\ud800` to `\\udfff`)"),
        (b'{"\\udc00": 1}', "it holds half a character: a lone surrogate (`\\ud800` to `\\udfff`)"),
        (b"hello", "it is not JSON: invalid character (byte 0)"),
        (b"[]", "it is not a JSON object"),
        (b"42", "it is not a JSON object"),
        (b"{}", "it has no `at`, the time at which the action was over"),
        (line(agent=""), "it has no `agent`, the name of the agent that acted"),
        (line(at=None), "it has no `at`, the time at which the action was over"),
        (line(at=SECONDS), "`at` looks like seconds; it must be whole nanoseconds since 1970 UTC"),
        (line(at=SECONDS + 0.5), "`at` looks like seconds; it must be whole nanoseconds since 1970 UTC"),
        (
            line(at=SECONDS * 1000),
            "`at` looks like milliseconds; it must be whole nanoseconds since 1970 UTC",
        ),
        (
            line(at=SECONDS * 10**6),
            "`at` looks like microseconds; it must be whole nanoseconds since 1970 UTC",
        ),
        (
            line(presented_at=SECONDS),
            "`presented_at` looks like seconds; it must be whole nanoseconds since 1970 UTC",
        ),
        (
            line(at="2025-11-24T16:00:00Z"),
            "`at` must be whole nanoseconds since 1970 UTC, and is not a number",
        ),
        (line(at=True), "`at` must be whole nanoseconds since 1970 UTC, and is not a number"),
        (line(at=-1), "`at` is not a time between 2000 and 2100 in nanoseconds since 1970 UTC"),
        (line(at=10**30), "`at` is not a time between 2000 and 2100 in nanoseconds since 1970 UTC"),
        (line(cost=0.5), "`cost`: expected `int | null`, got `float`"),
        (line(cost=10**15 + 1), "`cost`: expected `int` <= 1000000000000000"),
        (line(tokens_in=-1), "`tokens_in`: expected `int` >= 0"),
        (line(kind="poem"), "`kind`: invalid enum value 'poem'"),
        (line(agent="x" * 513), "`agent`: expected `str` of length <= 512"),
        (line(tool=7), "`tool`: expected `str`, got `int`"),
        (
            b'{"at": 1764000000000000000, "agent": "a", "cost": NaN}',
            "it is not JSON: invalid character (byte 50)",
        ),
        (b'{"at": 1764000000000000000, "agent": "\xff"}', "it is not UTF-8 text"),
        (b'{"at": 1764000000000000000, "agent": "a", "x": ' + b"[" * 9999, "it is nested too deeply"),
        (line()[:-1] + line(), "it is not JSON: trailing characters (byte 54)"),
        (b"\x00", "it is not JSON: invalid character (byte 0)"),
    ],
)
def test_a_bad_line_is_refused_in_plain_words_and_costs_the_others_nothing(bad: bytes, reason: str) -> None:
    data = line(1) + bad.rstrip(b"\n") + b"\n" + line(2)
    actions, refusals, position = everything(stream(io.BytesIO(data), "standard input"))
    assert [a.id for a in actions] == ["n1", "n2"]
    (refusal,) = refusals
    assert refusal.reason == reason
    assert (refusal.line, refusal.offset) == (2, len(line(1)))
    assert refusal.raw == bad.rstrip(b"\n")[:4096]
    assert (position.line, position.offset) == (3, len(data))


@pytest.mark.parametrize(
    "good",
    [
        line(session=None, cost=None, presented_at=None),
        line(unknown={"deep": [1, 2.5, None]}),
        b'{"at": 1, "agent": "b", "at": 1764000000000000000, "agent": "a", "id": "n0"}\n',
        line().replace(b"\n", b"\r\n"),
        b"\n  \n" + line() + b"\n",
        b"\xef\xbb\xbf" + line(),
        line().rstrip(b"\n"),
    ],
    ids=["null", "unknown-field", "duplicate-key", "crlf", "blank", "byte-order-mark", "no-line-feed"],
)
def test_what_is_taken(good: bytes) -> None:
    actions, refusals, _ = everything(stream(io.BytesIO(good), "x"))
    assert [(a.at, a.agent, a.id) for a in actions] == [(AT, "a", "n0")]
    assert refusals == []


def test_a_huge_line_is_skipped_without_being_kept(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(line(1) + line(2, tool="x" * (3 << 20)) + line(3) + b" " * (1 << 20) + line(4) + line(5))
    actions, refusals, position = everything(whole(path))
    assert [a.id for a in actions] == ["n1", "n3", "n5"]
    assert [(r.line, r.reason, len(r.raw)) for r in refusals] == [
        (2, "it is longer than 1 MiB", 4096),
        (4, "it is longer than 1 MiB", 4096),
    ]
    assert (position.line, position.offset) == (5, path.stat().st_size)


def test_refusals_are_counted_and_only_some_are_kept() -> None:
    (batch, _) = stream(io.BytesIO(b"x\n" * 5000), "x")
    assert (batch.refused, len(batch.refusals)) == (5000, jsonl.REFUSALS)


LINES = st.sampled_from(
    [
        line(1),
        line(2),
        line(3, kind="tool"),
        b"\n",
        b"bad\n",
        b"{\n",
        b'{"at": 1764000000000000009,\n',
        b'"agent": "a"}\n',
        line(4)[:-1] + line(5),
    ]
)


@given(st.lists(LINES, max_size=12), st.lists(st.integers(1, 80), min_size=1, max_size=30))
def test_the_answer_does_not_depend_on_how_the_bytes_arrive(pieces: list[bytes], sizes: list[int]) -> None:
    data = b"".join(pieces)

    class Trickle(io.RawIOBase):
        def __init__(self) -> None:
            self.at = 0
            self.turn = 0

        def read(self, _: int = -1) -> bytes:
            size = sizes[self.turn % len(sizes)]
            self.turn += 1
            self.at += size
            return data[self.at - size : self.at]

    at_once = everything(stream(io.BytesIO(data), "x"))
    assert everything(stream(Trickle(), "x")) == at_once  # type: ignore[arg-type]


def test_follows_what_is_appended_and_waits_for_complete_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with Follower(path) as follower:
        assert drain(follower).actions == []
        path.write_bytes(line(1) + line(2)[:10])
        assert ids(drain(follower)) == ["n1"]
        with path.open("ab") as file:
            file.write(line(2)[10:] + line(3))
        assert ids(drain(follower)) == ["n2", "n3"]
        assert ids(drain(follower)) == []


def test_rotation_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(line(1))
    with Follower(path) as follower:
        assert ids(drain(follower)) == ["n1"]
        path.rename(tmp_path / "log.1")
        with (tmp_path / "log.1").open("ab") as file:
            file.write(line(2))
        assert ids(drain(follower)) == ["n2"]
        with (tmp_path / "log.1").open("ab") as file:
            file.write(line(3).rstrip())
        path.write_bytes(line(4))
        assert ids(drain(follower)) == ["n3", "n4"]
        assert drain(follower).position.line == 1


@pytest.mark.parametrize("after", [[4], [4, 5, 6, 7, 8]], ids=["shorter", "longer-than-before"])
def test_truncation_begins_again(tmp_path: Path, after: list[int]) -> None:
    path = tmp_path / "log"
    path.write_bytes(line(1) + line(2) + line(3)[:-1])
    with Follower(path) as follower:
        assert ids(drain(follower)) == ["n1", "n2"]
        path.write_bytes(b"".join(line(n) for n in after))
        batch = drain(follower)
        assert ids(batch) == [f"n{n}" for n in after]
        assert [r.reason for r in batch.refusals] == ["the file was emptied before this line was complete"]


def test_a_restart_resumes(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(line(1) + line(2) + line(3)[:10])
    with Follower(path) as follower:
        position = drain(follower).position
    path.write_bytes(line(1) + line(2) + line(3) + b"bad\n")
    with Follower(path, position) as follower:
        batch = drain(follower)
    assert ids(batch) == ["n3"]
    assert [(r.line, r.offset) for r in batch.refusals] == [(4, len(line(1) * 3))]


def resumed(path: Path, position: Position) -> tuple[list[str], Batch, str]:
    """Read on at `position`: the ids, the last batch, and what was lost."""
    with Follower(path, position) as follower:
        found: list[str] = []
        while (batch := follower.poll()).more:
            found += ids(batch)
        return found + ids(batch), batch, follower.lost


def read_up_to_now(path: Path) -> Position:
    """Where a follower that ended now stands."""
    with Follower(path) as follower:
        return drain(follower).position


def test_a_restart_does_not_resume_in_another_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(line(1) + line(2))
    position = read_up_to_now(path)
    path.write_bytes(line(3) + line(4) + line(5))
    found, batch, lost = resumed(path, position)
    assert found == ["n3", "n4", "n5"]
    assert "never read" in lost
    other = tmp_path / "other"
    other.write_bytes(line(3) + line(4))
    other.rename(path)
    assert resumed(path, batch.position)[0] == ["n3", "n4"]


@pytest.mark.parametrize("name", ["log.1", "log-20261121", "log.2026-11-21T14:00:00Z", "log.old"])
def test_what_was_rotated_away_while_nobody_watched_is_finished_first(tmp_path: Path, name: str) -> None:
    path = tmp_path / "log"
    path.write_bytes(line(1) + line(2)[:9])
    position = read_up_to_now(path)
    path.write_bytes(line(1) + line(2) + line(3))
    path.rename(tmp_path / name)
    assert resumed(path, position)[0] == ["n2", "n3"], "also before the new file is there"
    path.write_bytes(line(4))
    found, batch, lost = resumed(path, position)
    assert (found, lost) == (["n2", "n3", "n4"], "")
    assert resumed(path, batch.position)[0] == []


def test_what_was_rotated_twice_comes_in_order(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(line(1))
    position = read_up_to_now(path)
    for number, name in ((0, "log.3"), (1, "log.2"), (3, "log.1"), (4, "log.1.gz"), (3, "log.lock")):
        if name == "log.2":
            path.write_bytes(line(1) + line(2))
            path.rename(tmp_path / name)
        else:
            (tmp_path / name).write_bytes(line(number))
        os.utime(tmp_path / name, ns=(number * 10**9, number * 10**9))
    path.write_bytes(line(9))
    found, _, lost = resumed(path, position)
    assert found == ["n2", "n3", "n9"]
    assert "log.1.gz" in lost


def test_what_was_copied_away_and_truncated_is_finished_first(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(line(1))
    position = read_up_to_now(path)
    (tmp_path / "log.1").write_bytes(line(1) + line(2))
    path.write_bytes(line(3) + line(4) + line(5))
    assert resumed(path, position)[0] == ["n2", "n3", "n4", "n5"]


def test_what_cannot_be_found_is_said_with_what_is_known_of_its_size(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(line(1) + line(2)[:20])
    position = read_up_to_now(path)
    (tmp_path / "elsewhere").mkdir()
    path.rename(tmp_path / "elsewhere" / "log")
    path.write_bytes(line(3))
    found, _, lost = resumed(path, position)
    assert found == ["n3"]
    assert f"behind byte {len(line(1))}, at least 20 bytes, was never read" in lost


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="There is no file"):
        list(whole(tmp_path / "missing"))
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(Refused, match="not a regular file"):
            Follower(path).poll()
