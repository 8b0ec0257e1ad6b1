"""Timelines of other tools: what we write they read, what they write we read, and no time is off by a unit."""

import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.desk import Desk
from console.events import NoteWritten, read
from console.evidence.exchange import (
    IRIS,
    Rows,
    iris_csv,
    read_rows,
    take_timeline,
    timesketch_csv,
    timesketch_jsonl,
    when,
)
from console.refusal import Refused
from console.room import Room
from data.blobs import Blobs
from data.clock import iso, parse_iso
from data.envelope import Event
from data.home import Home

MOMENT = parse_iso("2015-07-24T19:01:01.276340Z")


@pytest.mark.parametrize(
    ("text", "stamp", "zone"),
    [
        ("2015-07-24T19:01:01.276340+00:00", "", ""),
        ("2015-07-24 21:01:01.276340+02:00", "", ""),
        ("2015-07-24T21:01:01.276340", "", "+02:00"),
        ("2015-07-24T21:01:01.276340", "", "+0200"),
        ("", "1437764461.276340", ""),
        ("", "1437764461276.340", ""),
        ("", "1437764461276340", ""),
        ("", "1437764461276340000", ""),
        ("1437764461276340", "", ""),
        ("2015-07-24T19:01:01+00:00", "1437764461276340", ""),
        ("2015-07-24T19:01:01.276340+00:00", "1437764461", ""),
        ("2015-07-24T19:01:01.276340+00:00", "1437764461276", ""),
    ],
)
def test_seconds_milliseconds_and_microseconds_are_told_apart(text: str, stamp: str, zone: str) -> None:
    assert when(text, stamp, zone) == (MOMENT, False)


def test_a_time_without_an_offset_is_utc_and_said_to_be() -> None:
    assert when("2015-07-24T19:01:01.276340") == (MOMENT, True)


@pytest.mark.parametrize(
    ("text", "stamp"),
    [
        ("", ""),
        ("yesterday", ""),
        ("2015-13-24T19:01:01Z", ""),
        ("2015-07-24T19:01:01+00:00", "1437764561276340"),
        ("2015-07-24T19:01:01+00:00", "123456789"),
        ("", "nan"),
        ("", "9" * 20),
        ("1960-01-01T00:00:00Z", ""),
    ],
)
def test_what_is_no_time_or_two_times_is_refused(text: str, stamp: str) -> None:
    with pytest.raises(ValueError, match=r"time|month"):
        when(text, stamp)


@given(st.integers(parse_iso("1973-04-01T00:00:00Z"), parse_iso("2262-01-01T00:00:00Z")))
def test_any_moment_survives_in_any_unit(ns: int) -> None:
    for unit in (10**9, 10**6, 10**3, 1):
        assert when("", str(ns // unit)) == (ns // unit * unit, False)
        assert abs(when(iso(ns, 3), str(ns // unit))[0] - ns) < max(unit, 10**6)


@given(st.binary())
def test_any_file_is_read_or_refused(data: bytes) -> None:
    for head in (b"", b'{"message":"', b"message,datetime\n", (",".join(IRIS) + "\n").encode()):
        try:
            rows = read_rows(head + data)
        except Refused:
            continue
        assert isinstance(rows, Rows)
        for row in rows.good:
            row.text.encode()


@pytest.fixture
async def told(home: Home) -> AsyncIterator[tuple[Room, list[Event]]]:
    desk = await Desk.open(home, "ana")
    try:
        room = await desk.declare("refunds, in a loop", 2)
        await room.note('-5m first "refund" seen, 3 payouts #payouts')
        await room.note("two\nlines\u2028and \x1b[31mcolour")
        wrong = await room.note("=cmd|' /C calc'!A0")
        await room.retract(wrong.hash, "no")
        yield room, await room._reader.since(0, 1000)
    finally:
        await desk.close()


def test_timesketch_takes_what_we_write(told: tuple[Room, list[Event]]) -> None:
    room, events = told
    rows = [json.loads(line) for line in timesketch_jsonl(events, room.code)]
    assert len(rows) >= 3
    for row in rows:
        assert row.keys() >= {"message", "datetime", "timestamp_desc", "timestamp"}
        assert row["message"]
        # In microseconds, and the same moment as the text.
        assert parse_iso(row["datetime"]) // 1000 == row["timestamp"]
        assert parse_iso(row["recorded_datetime"]) // 1000 == row["recorded_timestamp"]
    early = next(row for row in rows if "first" in row["message"])
    assert row_span(early) == 300
    assert early["tag"] == ["payouts"]
    assert [row["retracted"] for row in rows if row["message"].startswith("=cmd")] == [True]
    table = list(csv.DictReader(io.StringIO("\n".join(timesketch_csv(events, room.code)))))
    assert [row["message"] for row in table] == [row["message"] for row in rows]


def row_span(row: dict[str, int]) -> int:
    return (row["recorded_timestamp"] - row["timestamp"]) // 10**6


def test_iris_takes_what_we_write(told: tuple[Room, list[Event]]) -> None:
    room, events = told
    text = "\n".join(iris_csv(events, room.code))
    # As its server does it: cut into lines first.
    rows = list(csv.DictReader(text.splitlines(), delimiter=","))
    assert len(rows) == len(list(timesketch_jsonl(events, room.code)))
    for row in rows:
        assert tuple(row) == IRIS
        assert row["event_title"]
        assert row["event_assets"] == row["event_iocs"] == row["event_category"] == ""
        assert row["event_tz"] == "+00:00"
        parse_iso(row["event_date"] + "Z")
        assert "recorded" in json.loads(row["event_raw"])
    assert any("first" in row["event_content"] and row["event_tags"] == "payouts" for row in rows)


@pytest.mark.parametrize("form", [timesketch_jsonl, timesketch_csv, iris_csv])
def test_what_we_write_we_read(told: tuple[Room, list[Event]], form: type) -> None:
    room, events = told
    rows = read_rows("\n".join(form(events, room.code)).encode())
    wanted = [json.loads(line) for line in timesketch_jsonl(events, room.code)]
    assert rows.bad == []
    assert rows.naive == 0
    assert [row.at // 1000 for row in rows.good] == [row["timestamp"] for row in wanted]
    assert [(row.recorded or 0) // 1000 for row in rows.good] == [row["recorded_timestamp"] for row in wanted]
    assert [row.text[:3] for row in rows.good] == [row["message"][:3] for row in wanted]


FILE = b"""\
{"message": "login", "timestamp": 1437764461276340, "datetime": "2015-07-24T19:01:01+00:00", "timestamp_desc": "Logon", "tag": ["a b"]}
{"message": "no time"}
nonsense
[1]
{"message": "naive", "datetime": "2015-07-24T19:01:02", "timestamp_desc": "x"}
{"message": "torn", "datetime": "2015-07-24T19:01:02+00:00", "timestamp": 1, "timestamp_desc": "x"}
"""


async def test_a_timeline_becomes_lines_and_an_exhibit(room: Room) -> None:
    done = await take_timeline(room, FILE, "plaso.jsonl", "from the forensics team")
    assert [line for line, _ in done.rows.bad] == [2, 3, 4, 6]
    assert (len(done.rows.good), done.rows.naive, done.again) == (2, 1, False)
    (exhibit,) = room.incident.exhibits
    assert (exhibit.body.what, exhibit.body.count) == ("import", 2)
    assert Blobs(room.case.directory).read(exhibit.refs[0]) == FILE
    for said in ("from the forensics team", "4 rows", "line 2: it has no time", "line 6:", "UTC"):
        assert said in exhibit.body.reason
    events = await room._reader.since(0, 1000)
    lines = [(event, body) for event in events if isinstance(body := read(event), NoteWritten)]
    assert [event.at for event, _ in lines] == [MOMENT, MOMENT // 10**9 * 10**9 + 10**9]
    assert lines[0][1].text == "login [timesketch: Logon, plaso.jsonl:1]"
    assert lines[0][1].tags == ("imported", "a-b")
    assert lines[0][0].wall > MOMENT
    again = await take_timeline(room, FILE, "plaso.jsonl")
    assert again.again
    assert len(await room._reader.since(0, 1000)) == len(events)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a,b\n1,2\n",
        b"\x00\xff" * 50,
        b"message,datetime\n",
        b'{"message": 1}',
        b"message,datetime\nx\n",
    ],
)
async def test_what_is_no_timeline_is_refused_and_leaves_nothing(room: Room, data: bytes) -> None:
    before = len(await room._reader.since(0, 1000))
    with pytest.raises(Refused):
        await take_timeline(room, data, "file.csv")
    assert len(await room._reader.since(0, 1000)) == before
    assert room.incident.exhibits == []


async def test_rows_with_breaks_wrong_widths_and_huge_fields(room: Room, tmp_path: Path) -> None:
    data = (
        "message,timestamp,datetime,timestamp_desc\n"
        '"two\nlines",,2015-07-24T19:01:01Z,x\n'
        "short,1\n"
        f'"{"x" * 200_000}",,2015-07-24T19:01:01Z,x\n'
        f'"{"y" * 50_000}",,2015-07-24T19:01:01Z,x\n'
    ).encode()
    done = await take_timeline(room, data, "t.csv")
    assert [line for line, _ in done.rows.bad] == [4, 5]
    assert [row.line for row in done.rows.good] == [2, 6]
    assert done.rows.good[0].text == "two\nlines"
