"""The window of telemetry: whole files, bounded, and what a kill leaves of it."""

from __future__ import annotations

import errno
import gzip
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from console.evidence.window import SEGMENT, Window, held, segments
from console.telemetry.action import Action
from console.telemetry.jsonl import whole
from data.clock import ManualClock

T0 = 1_795_000_000_000_000_000
HOUR = 3600 * 1_000_000_000
DAY = 24 * HOUR
MIB = 2**20


def actions(count: int, start: int = 0) -> list[Action]:
    """Actions with ids that no two of them share, and text that compresses badly."""
    return [
        Action(at=T0 + number, agent="bot", id=f"a{number}", trace=f"{number * 2654435761 % 2**64:032x}")
        for number in range(start, start + count)
    ]


def ids(directory: Path) -> list[str]:
    """The ids of all records, the oldest file first."""
    found: list[str] = []
    for each in segments(directory):
        raw = each.path.read_bytes()
        raw = gzip.decompress(raw) if each.path.suffix == ".gz" else raw
        found += (json.loads(line)["id"] for line in raw.split(b"\n")[:-1])
    return found


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T0)


@pytest.fixture
def window(tmp_path: Path, clock: ManualClock) -> Iterator[Window]:
    made = Window(tmp_path / "window", clock, most=512 * MIB, keep=7 * DAY)
    yield made
    made.close()


@pytest.mark.req("S001-EV-0")
def test_what_came_in_is_there_in_order_and_the_tripwires_can_read_it_again(
    tmp_path: Path, window: Window
) -> None:
    given = actions(3_000)
    for start in range(0, 3_000, 1_000):
        window.append(given[start : start + 1_000])
    # While it is written, before anything is closed: a capture does not wait for the end of a file.
    assert ids(tmp_path / "window") == [each.id for each in given]
    (segment,) = segments(tmp_path / "window")
    assert [action for batch in whole(segment.path) for action in batch.actions] == given
    assert segment.path.stat().st_mode & 0o777 == 0o600


def test_a_finished_file_is_compressed_and_nothing_of_it_is_lost(tmp_path: Path, clock: ManualClock) -> None:
    window = Window(tmp_path / "window", clock, most=32 * MIB, keep=7 * DAY)
    given = actions(60_000)
    window.append(given[:50_000])  # more than one file takes
    window.append(given[50_000:])
    window.close()
    assert [each.path.name.endswith(".gz") for each in segments(tmp_path / "window")] == [True, True]
    assert ids(tmp_path / "window") == [each.id for each in given]


def held_bytes(directory: Path) -> int:
    """Bytes on disk; the compressing thread takes files away while they are counted."""
    total = 0
    for path in directory.iterdir():
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def test_it_never_holds_more_bytes_than_it_may(tmp_path: Path, clock: ManualClock) -> None:
    directory, most = tmp_path / "window", 1 * MIB
    window = Window(directory, clock, most=most, keep=7 * DAY)
    for start in range(0, 60_000, 500):
        window.append(actions(500, start))
        window.settle()
        clock.advance(1_000_000_000)
        assert held_bytes(directory) <= most
    window.close()
    kept = ids(directory)
    assert kept == [f"a{number}" for number in range(60_000 - len(kept), 60_000)]
    assert 500 <= len(kept) < 60_000


def test_what_is_too_old_goes_a_file_at_a_time(tmp_path: Path, clock: ManualClock) -> None:
    directory = tmp_path / "window"
    window = Window(directory, clock, most=512 * MIB, keep=7 * DAY)
    for day in range(20):
        window.append(actions(10, 10 * day))
        clock.advance(DAY)
        window.settle()
    window.close()
    assert ids(directory) == [f"a{number}" for number in range(130, 200)]


def test_the_line_that_a_kill_tore_is_all_that_is_missing(tmp_path: Path, clock: ManualClock) -> None:
    directory = tmp_path / "window"
    killed = Window(directory, clock, most=512 * MIB, keep=7 * DAY)
    killed.append(actions(10))
    (segment,) = segments(directory)
    with segment.path.open("ab") as file:
        file.write(b'{"at":17950000000000000')  # and here the machine took it away
    clock.advance(1)
    after = Window(directory, clock, most=512 * MIB, keep=7 * DAY)
    after.append(actions(5, 100))
    after.close()
    killed.close()
    assert ids(directory) == [f"a{number}" for number in (*range(10), *range(100, 105))]


def test_a_clock_that_goes_back_changes_no_order(tmp_path: Path, clock: ManualClock) -> None:
    directory = tmp_path / "window"
    for start in (0, 10, 20):
        window = Window(directory, clock, most=512 * MIB, keep=7 * DAY)
        window.append(actions(10, start))
        window.close()
        clock.advance(-HOUR)
    assert ids(directory) == [f"a{number}" for number in range(30)]


def test_a_disk_that_refuses_is_said_and_the_next_line_is_whole(
    tmp_path: Path, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.append(actions(10))
    file = window._file

    class Full:
        """Takes half of what it is given, as a full disk does."""

        def write(self, raw: bytes) -> int:
            assert file is not None
            file.write(raw[: len(raw) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")

        def fileno(self) -> int:
            assert file is not None
            return file.fileno()

    monkeypatch.setattr(window, "_file", Full())
    window.append(actions(10, 10))
    assert "10 actions" in window.trouble
    assert "No space left" in window.trouble
    monkeypatch.setattr(window, "_file", file)
    window.append(actions(10, 20))
    assert window.trouble == ""
    assert ids(tmp_path / "window") == [f"a{number}" for number in (*range(10), *range(20, 30))]


def test_what_is_too_old_goes_also_when_nothing_comes_in_any_more(tmp_path: Path, clock: ManualClock) -> None:
    window = Window(tmp_path / "window", clock, most=512 * MIB, keep=DAY)
    window.append(actions(10))
    for _ in range(4):
        clock.advance(DAY)
        window.settle()
    window.close()
    assert ids(tmp_path / "window") == []


def test_what_is_being_read_does_not_go(tmp_path: Path, clock: ManualClock) -> None:
    directory = tmp_path / "window"
    window = Window(directory, clock, most=512 * MIB, keep=DAY)
    window.append(actions(10))
    with held(directory) as files:
        clock.advance(DAY)
        window.settle()  # finishes the file
        window.append(actions(10, 10))
        clock.advance(DAY)
        window.settle()  # lets go of it
        window.close()
        assert ids(directory) == [f"a{number}" for number in range(10, 20)]
        (file,) = files
        raw = file.path.read_bytes()
        assert len((gzip.decompress(raw) if file.path.suffix == ".gz" else raw).splitlines()) == 10
    assert [path.name for path in directory.iterdir() if path.is_dir()] == []


def test_the_hold_of_a_search_that_was_killed_ends_with_the_next_start(
    tmp_path: Path, clock: ManualClock
) -> None:
    directory = tmp_path / "window"
    left = directory / "reading-999999999-1"
    left.mkdir(parents=True)
    (left / "x.jsonl").write_text("{}\n")
    Window(directory, clock, most=512 * MIB, keep=DAY).close()
    assert not left.exists()


def test_every_field_of_an_action_is_kept_and_nothing_else(tmp_path: Path, window: Window) -> None:
    full = Action(
        at=T0, agent="bot", id="i", tenant="t", session="s", trace="tr", span="sp", kind="tool", tool="a/b",
        endpoint="GET x /", model="m", tokens_in=1, tokens_out=2, tokens_cached=3, tokens_reasoning=4, cost=5,
        artifact="ar", artifact_type="email", customer_visible=True, content_hash="h", decision="approved",
        presented_at=T0, reviewer="r", principal="p", approval="ap", agent_version="v", bundle="b", wave="w",
        change="c", side_effect="done", action_class=3, idempotency_key="k", amount="1 EUR", status="error",
        attributed="provisional", sampled=True,
    )  # fmt: skip
    window.append([full])
    (segment,) = segments(tmp_path / "window")
    line = segment.path.read_bytes()
    assert json.loads(line).keys() == set(Action.__struct_fields__)
    assert msgspec.json.decode(line, type=Action) == full


def test_a_segment_is_bounded() -> None:
    """Capturing holds one file in memory at most in compressed form, and compression reads one whole."""
    assert SEGMENT <= 16 * MIB
