"""Timelines of other tools, both ways: Timesketch (JSONL and CSV) and DFIR-IRIS (CSV).

Out: every line of the timeline with the time at which it happened and the time at which it was recorded.
In: every row becomes a back-dated line, and the file itself is kept as evidence, so that nothing that the row said is
lost. A row that cannot be understood is counted and named by its line; it is in the file that was kept.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal

from console.events import EvidenceCaptured, Known, NoteWritten, entry, moment
from console.evidence import schema
from console.evidence.capture import brief, host, tool
from console.plain import visible
from console.refusal import Refused
from console.reports.incident import Entry, timeline
from console.timeline import BACKDATED, CORRECTED, DISPUTED, RETRACTED
from data.blobs import MAX_BYTES, Blobs
from data.clock import MAX_NS, SECOND, iso, parse_iso

if TYPE_CHECKING:
    from console.room import Room
    from data.envelope import Event

Format = Literal["timesketch", "iris"]

MAX_ROWS = 100_000
BATCH = 500
LONGEST = 16_000
"""Characters of a line; of a longer one the rest stands in the file that was kept."""
MAX_TAGS = 20

TIMESKETCH = (
    "message", "datetime", "timestamp", "timestamp_desc", "recorded_datetime", "recorded_timestamp", "data_type",
    "actor", "role", "kind", "tag", "incident", "case", "event_hash", "corrected", "retracted", "backdated",
    "disputed", "corrected_by", "counts",
)  # fmt: skip
IRIS = (
    "event_date", "event_tz", "event_title", "event_category", "event_content", "event_raw", "event_source",
    "event_assets", "event_iocs", "event_tags",
)  # fmt: skip


# -- out -------------------------------------------------------------------------------------------------------


def timesketch(events: Sequence[Event], code: str) -> Iterator[dict[str, Any]]:
    """Yield the lines of a timeline as Timesketch takes them; `timestamp` is in microseconds."""
    for line in timeline(events):
        event = line.event
        yield {
            "message": _said(line),
            "datetime": _utc(event.at),
            "timestamp": event.at // 1000,
            "timestamp_desc": "Event Time",
            "recorded_datetime": _utc(event.wall),
            "recorded_timestamp": event.wall // 1000,
            "data_type": "warroom:timeline:entry",
            "actor": event.actor,
            "role": event.role,
            "kind": event.kind,
            "tag": _tags(line),
            "incident": code,
            "case": event.case,
            "event_hash": event.hash,
            "corrected": bool(line.flags & CORRECTED),
            "retracted": bool(line.flags & RETRACTED),
            "backdated": bool(line.flags & BACKDATED),
            "disputed": bool(line.flags & DISPUTED),
            "corrected_by": line.editor,
            "counts": line.counts,
        }


def timesketch_jsonl(events: Sequence[Event], code: str) -> Iterator[str]:
    """Yield the lines of a file for Timesketch."""
    for row in timesketch(events, code):
        yield json.dumps(row, ensure_ascii=True, separators=(",", ":"))


def timesketch_csv(events: Sequence[Event], code: str) -> Iterator[str]:
    """Yield the lines of the same as CSV."""
    rows = ({**row, "tag": ",".join(row["tag"])} for row in timesketch(events, code))
    yield from _csv(TIMESKETCH, rows)


def iris_csv(events: Sequence[Event], code: str) -> Iterator[str]:
    """Yield the lines of a file for the timeline of DFIR-IRIS.

    It cuts the file into lines before it reads the CSV, so that no field may hold a line break; and it knows
    assets, indicators and categories only if they exist there, so that these stay empty.
    """
    yield from _csv(
        IRIS,
        (
            {
                "event_date": iso(line.event.at, 6).removesuffix("Z"),
                "event_tz": "+00:00",
                "event_title": visible(_said(line), 200) or line.event.kind,
                "event_category": "",
                "event_content": visible(_said(line), 40_000),
                "event_raw": json.dumps(
                    {
                        "actor": line.event.actor,
                        "event_hash": line.event.hash,
                        "kind": line.event.kind,
                        "recorded": iso(line.event.wall, 9),
                        "retracted": bool(line.flags & RETRACTED),
                        "disputed": bool(line.flags & DISPUTED),
                        "corrected_by": line.editor,
                        "counts": line.counts,
                    },
                    ensure_ascii=True,
                ),
                "event_source": f"warroom {code}",
                "event_assets": "",
                "event_iocs": "",
                "event_tags": "|".join(tag.replace("|", "/") for tag in _tags(line)),
            }
            for line in timeline(events)
        ),
    )


def _utc(ns: int) -> str:
    return iso(ns, 6).removesuffix("Z") + "+00:00"


def _said(line: Entry) -> str:
    """What a line says; whose words it has now stands before them, where the name beside it is another one."""
    off = "[OFF ROSTER: does not count] " if not line.counts else ""
    return off + (f"[corrected by {line.editor}] " if line.editor else "") + line.text


def _tags(line: Entry) -> list[str]:
    own = [visible(tag.lstrip("#"), 128) for tag in line.put.tags.split()]
    return own + ["off-roster"] * (not line.counts) + ["disputed"] * bool(line.flags & DISPUTED)


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, quoting=csv.QUOTE_ALL, lineterminator="")
    writer.writerow(dict(zip(columns, columns, strict=True)))
    yield out.getvalue()
    for row in rows:
        out.seek(0)
        out.truncate()
        writer.writerow(row)
        yield out.getvalue()


# -- in --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One row of a timeline: where it stood, when it happened and was recorded (ns UTC), and what it says."""

    line: int
    at: int
    text: str
    recorded: int | None = None
    what: str = ""
    tags: tuple[str, ...] = ()


@dataclass
class Rows:
    """A timeline that was read.

    Attributes:
        format: Which tool's.
        good: What could be understood.
        bad: Line and reason of what could not.
        naive: How many times had no offset and were taken as UTC.
        known: What the rows name of the evidence schema, by its names, each value once.
    """

    format: Format
    good: list[Row] = field(default_factory=list)
    bad: list[tuple[int, str]] = field(default_factory=list)
    naive: int = 0
    known: dict[str, dict[str, None]] = field(default_factory=dict)

    def take(self, row: Row, cells: Mapping[str, Any], *, naive: bool) -> None:
        """Keep a row, and under the schema's names whatever it calls by any other name."""
        self._count()
        self.good.append(row)
        self.naive += naive
        for name, value in schema.take_in(cells)[0].items():
            text = "" if isinstance(value, dict | list | None) else visible(_unicode(str(value).strip()), 480)
            if text:
                self.known.setdefault(name, {})[text] = None

    def refuse(self, line: int, why: str) -> None:
        """Note a row that could not be understood."""
        self._count()
        self.bad.append((line, why))

    def _count(self) -> None:
        if len(self.good) + len(self.bad) >= MAX_ROWS:
            raise Refused(f"There are more than {MAX_ROWS:,} rows.", "Split the file, and import the parts.")


@dataclass(frozen=True)
class Imported:
    """What an import did: the exhibit that keeps the file, and what was read."""

    exhibit: Event
    rows: Rows
    again: bool


async def take_timeline(room: Room, data: bytes, name: str, reason: str = "") -> Imported:
    """Bring the timeline of another tool into an incident; the same file again changes nothing.

    Args:
        room: The incident.
        data: The file.
        name: What it is called, for people.
        reason: Why.

    Raises:
        Refused: It is too large, of no format that is known, or no row of it can be understood.
    """
    if len(data) > MAX_BYTES:
        raise Refused(f"{name} has more than {MAX_BYTES // 2**20} MiB.", "Split it, and import the parts.")
    rows = await asyncio.to_thread(read_rows, data, name)
    if not rows.good:
        line, why = rows.bad[0] if rows.bad else (0, "it holds no row")
        where = f"line {line}: {why}" if line else why
        raise Refused(f"Nothing in {name} could be understood: {where}.", "Nothing was written.")
    digest = sha256(data).hexdigest()
    media = "application/jsonl" if data[:1] == b"{" else "text/csv"
    ref = await asyncio.to_thread(Blobs(room.case.directory).put, data, media)
    times = [row.at for row in rows.good]
    said = [reason.strip(), _bad(rows)]
    if rows.naive:
        said.append(f"{rows.naive} times had no offset and were taken as UTC.")
    body = EvidenceCaptured(
        "import",
        visible(name, 400),
        fields=tuple(Known(name, brief(list(values), 0)) for name, values in rows.known.items()),
        count=len(rows.good),
        since=moment(min(times)),
        until=moment(max(times)),
        source=f"{rows.format}, on {host()}"[:512],
        tool=tool(),
        reason=" ".join(filter(None, said))[:LONGEST],
    )
    known = {kept.hash for kept in room.incident.exhibits}
    (exhibit,) = await room.append(
        entry(body, room.actor, role=room.role, refs=(ref,), key=f"import:{digest}")
    )
    now = moment(room.clock.now())
    source = visible(PurePath(name).name, 120)
    for start in range(0, len(rows.good), BATCH):
        lines = [
            entry(
                NoteWritten(_text(row, rows.format, source), tags=("imported", *row.tags), typed=now),
                room.actor,
                role=room.role,
                at=row.at,
                key=f"import:{digest}:{row.line}",
            )
            for row in rows.good[start : start + BATCH]
        ]
        await room.append(*lines)
    return Imported(exhibit, rows, again=exhibit.hash in known)


def _text(row: Row, form: Format, source: str) -> str:
    what = f"{row.what}, " if row.what else ""
    recorded = f", recorded {iso(row.recorded, 6)}" if row.recorded is not None else ""
    text = row.text if len(row.text) <= LONGEST else row.text[:LONGEST] + " (cut; whole in the file)"
    return f"{text} [{form}: {what}{source}:{row.line}{recorded}]"


def _bad(rows: Rows) -> str:
    if not rows.bad:
        return ""
    shown = "; ".join(f"line {line}: {why}" for line, why in rows.bad[:100])
    more = f"; and {len(rows.bad) - 100:,} more" if len(rows.bad) > 100 else ""
    return f"{len(rows.bad):,} rows were not understood and stand in the file only: {shown}{more}."


def read_rows(data: bytes, name: str = "this file") -> Rows:
    """Read a timeline of Timesketch (JSONL or CSV) or of DFIR-IRIS (CSV), whichever it is.

    Raises:
        Refused: It is none of them, or has too many rows.
    """
    text = data.decode("utf-8-sig", errors="surrogateescape")
    if text.lstrip()[:1] == "{":
        rows = Rows("timesketch")
        _read(rows, _json_lines(text, rows))
        return rows
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [column.strip().lower() for column in next(reader, [])]
    except csv.Error:
        header = []
    if "event_date" in header and "event_title" in header:
        rows = Rows("iris")
    elif "message" in header and ("datetime" in header or "timestamp" in header):
        rows = Rows("timesketch")
    else:
        raise Refused(
            f"{name} is no timeline that is known here.",
            "Timesketch files have the columns message, datetime and timestamp_desc; those of DFIR-IRIS begin with"
            " event_date,event_tz,event_title.",
        )
    _read(rows, _csv_lines(reader, header, rows))
    return rows


def _json_lines(text: str, rows: Rows) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            rows.refuse(number, "it is no JSON")
            continue
        if isinstance(value, dict):
            yield number, value
        else:
            rows.refuse(number, "it is no JSON object")


def _csv_lines(reader: Any, header: list[str], rows: Rows) -> Iterator[tuple[int, dict[str, Any]]]:
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            rows.refuse(number, str(error))
            continue
        if cells is None:
            return
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            rows.refuse(number, f"it has {len(cells)} fields where the first line has {len(header)}")
            continue
        yield number, dict(zip(header, cells, strict=True))


def _read(rows: Rows, lines: Iterable[tuple[int, dict[str, Any]]]) -> None:
    for number, cells in lines:
        try:
            row, naive = (_iris if rows.format == "iris" else _timesketch)(number, cells)
        except ValueError as error:
            rows.refuse(number, visible(str(error), 120))
            continue
        rows.take(row, cells, naive=naive)


def _timesketch(number: int, cells: Mapping[str, Any]) -> tuple[Row, bool]:
    at, naive = when(_cell(cells, "datetime"), _cell(cells, "timestamp"))
    recorded = _cell(cells, "recorded_datetime")
    tags = cells.get("tag") or ()
    tags = tags if isinstance(tags, list) else str(tags).strip("[]").replace("'", "").split(",")
    row = Row(
        number,
        at,
        _message(_cell(cells, "message")),
        when(recorded)[0] if recorded else None,
        visible(_cell(cells, "timestamp_desc"), 100),
        _clean(tags),
    )
    return row, naive


def _iris(number: int, cells: Mapping[str, Any]) -> tuple[Row, bool]:
    date, zone = _cell(cells, "event_date"), _cell(cells, "event_tz")
    at, naive = when(date, zone=zone)
    title, content = _cell(cells, "event_title"), _cell(cells, "event_content")
    text = content if content.startswith(title.rstrip("…")) else f"{title}: {content}".rstrip(": ")
    row = Row(
        number,
        at,
        _message(text),
        _recorded(_cell(cells, "event_raw")),
        visible(_cell(cells, "event_source"), 100),
        _clean(_cell(cells, "event_tags").split("|")),
    )
    return row, naive


def _recorded(raw: str) -> int | None:
    """When a row that we wrote was recorded."""
    try:
        return parse_iso(json.loads(raw)["recorded"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _cell(cells: Mapping[str, Any], name: str) -> str:
    value = cells.get(name)
    return "" if value is None else str(value).strip()


def _message(text: str) -> str:
    if not text:
        raise ValueError("it has no message")
    return _unicode(text)


def _unicode(text: str) -> str:
    """What is no Unicode cannot stand on the record; the bytes are in the file that is kept."""
    return text.encode(errors="backslashreplace").decode()


def _clean(tags: Iterable[Any]) -> tuple[str, ...]:
    words = (re.sub(r"\s+", "-", visible(str(tag).strip(), 64)) for tag in tags)
    return tuple(dict.fromkeys(word for word in words if word))[:MAX_TAGS]


_UNITS = (SECOND, 1_000_000, 1_000, 1)
_ZONED = re.compile(r"(?:[Zz]|[+-]\d\d:?\d\d|[+-]\d\d)$")
_NUMBER = re.compile(r"-?\d{1,20}(?:\.\d{1,12})?", re.ASCII).fullmatch


def when(text: str, stamp: str = "", zone: str = "") -> tuple[int, bool]:
    """Return a time of another tool as ns UTC, and whether it had no offset and was taken as UTC.

    Args:
        text: ISO 8601, or seconds, milliseconds, microseconds or nanoseconds since 1970; may be empty.
        stamp: The same moment as a number, in whichever of these units; may be empty.
        zone: Offset of `text` where it has none itself.

    Raises:
        ValueError: There is no time, it cannot be read, or the two contradict each other.
    """
    text, naive = text.strip(), False
    if not text and not stamp:
        raise ValueError("it has no time")
    if not text or _NUMBER(text):
        at = _since_1970(text or stamp)
    else:
        if not _ZONED.search(text[10:]):
            naive = not zone.strip()
            text += zone.strip() or "Z"
        at = parse_iso(text)
        if stamp:
            at = _agreeing(at, stamp)
    if not 0 <= at <= MAX_NS:
        raise ValueError("its time lies outside the years 1970 to 2262")
    return at, naive


def _since_1970(text: str) -> int:
    """A number alone: its size tells the unit, for any time from 1973 to 5138."""
    value = _decimal(text)
    for limit, unit in ((10**11, SECOND), (10**14, 1_000_000), (10**17, 1_000)):
        if abs(value) < limit:
            return int(value * unit)
    return int(value)


def _agreeing(at: int, stamp: str) -> int:
    """The moment that a written time and a number mean: the number in the unit in which the two agree."""
    value = _decimal(stamp)
    for unit in _UNITS:
        exact = int(value * unit)
        if abs(exact - at) < SECOND:
            # Of two that agree, the one that says more: either may be cut to whole seconds.
            return max(at, exact, key=lambda ns: len(str(ns).rstrip("0")))
    raise ValueError("its timestamp contradicts its datetime")


def _decimal(text: str) -> Decimal:
    if not _NUMBER(text):
        raise ValueError(f"{text[:40]} is no time")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text[:40]} is no time") from None
