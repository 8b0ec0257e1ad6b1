from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.clock import MAX_NS, ManualClock, ScaledClock, iso, parse_iso
from data.hlc import MAX_AHEAD_MS, HybridClock, milliseconds

DAY = 86_400 * 10**9


@given(st.integers(0, MAX_NS))
def test_nine_places_keep_every_nanosecond(ns: int) -> None:
    assert parse_iso(iso(ns, 9)) == ns


@given(st.integers(0, MAX_NS), st.integers(0, 9))
def test_fewer_places_cut_off(ns: int, places: int) -> None:
    assert parse_iso(iso(ns, places)) == ns - ns % 10 ** (9 - places)


@given(
    st.integers(10**15, 7 * 10**15).map(lambda us: datetime.fromtimestamp(us // 10**6, UTC)),
    st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
def test_any_offset_gives_the_same_moment(moment: datetime, zone: timezone) -> None:
    written = moment.replace(tzinfo=zone).isoformat()
    since = moment.replace(tzinfo=zone) - datetime(1970, 1, 1, tzinfo=UTC)
    assert parse_iso(written) == (since // timedelta(microseconds=1)) * 1000


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-11-21T14:02:31Z", "2026-11-21T14:02:31.000000000Z"),
        ("2026-11-21 15:02:31,5+01:00", "2026-11-21T14:02:31.5Z"),
        ("2026-11-21T14:02z", "2026-11-21T14:02:00Z"),
        ("2026-11-21T09:32:31-0430", "2026-11-21T14:02:31Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("2026-11-21T14:02:31.1234567899Z", "2026-11-21T14:02:31.123456789Z"),
    ],
)
def test_spellings(text: str, same: str) -> None:
    assert parse_iso(text) == parse_iso(same)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-21T14:02:31",
        "2026-13-21T14:02:31Z",
        "2026-11-21T24:02:31Z",
        "2026-11-21T14:02:31+24:00",
        "2026-11-21T14:02:31+01:60",
        "٢٠٢٦-11-21T14:02:31Z",
        "2026-11-21T14:02:31.Z",
        "2026-11-21T14:02:31." + "1" * 5000 + "Z",
        "0000-11-21T14:02:31.000000000Z",
    ],
)
def test_what_is_not_a_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_iso(text)


def test_a_time_beyond_the_calendar_is_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        iso(10**30)


def test_scaled_clock_runs_at_its_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.clock.time.time_ns", lambda: 5_000)
    assert ScaledClock(start_ns=100, anchor_ns=4_000, speed=60).now() == 100 + 60_000
    with pytest.raises(ValueError, match="times real time"):
        ScaledClock(0, 0, 0)


@given(st.lists(st.integers(-2 * DAY, 2 * DAY), min_size=1, max_size=200))
def test_hybrid_clock_goes_forward_whatever_the_wall_clock_does(jumps: list[int]) -> None:
    wall, clock = ManualClock(DAY * 20_000), HybridClock()
    readings = []
    for jump in jumps:
        wall.advance(jump)
        readings.append(clock.tick(wall.now()))
    assert readings == sorted(set(readings))
    assert all(len(reading) == 16 for reading in readings)


def test_hybrid_clock_overflows_its_counter_into_the_milliseconds() -> None:
    clock = HybridClock()
    readings = [clock.tick(5_000_000) for _ in range(70_000)]
    assert readings == sorted(set(readings))
    assert milliseconds(readings[-1]) == 6


@given(st.integers(-(10**12), 10**12) | st.integers(-(10**7), 10**7))
def test_what_is_written_after_a_foreign_reading_comes_after_it_unless_that_is_no_clock(
    ahead_ms: int,
) -> None:
    wall = DAY * 20_000
    ours = HybridClock()
    ours.tick(wall)
    theirs = HybridClock().tick(wall + ahead_ms * 1_000_000)
    taken = ours.observe(theirs, wall)
    assert taken == (ahead_ms <= MAX_AHEAD_MS)
    after = ours.tick(wall)
    assert milliseconds(after) <= wall // 1_000_000 + MAX_AHEAD_MS
    assert not taken or after > theirs
