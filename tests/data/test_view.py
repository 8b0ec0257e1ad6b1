import asyncio
import random
import re
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import projection
from data.canonical import decode
from data.case import Case, CaseReader, found
from data.clock import ManualClock
from data.envelope import Entry, Event
from data.home import Home
from data.line import SYSTEM, Patch, Put
from data.log import connect, events_after
from data.projection import Projection
from data.query import condition, match
from data.strands import Log
from data.view import ALL, Filter, Line, Lines
from tests.data.sample import FOUNDING, START, correction, note, project

T = TypeVar("T")
MS = 1_000_000


def fold(events: Sequence[Event]) -> list[Line]:
    """The timeline the slow and plain way: patches in total order, lines in timeline order."""
    by_hash = {event.hash: event for event in events}
    lines: dict[str, dict[str, Any]] = {}
    patches: list[tuple[Event, int, Patch]] = []
    for event in events:
        for i, ask in enumerate(project(event)):
            if isinstance(ask, Put):
                lines[event.hash] = {"at": event.at, **{f: getattr(ask, f) for f in Put.__struct_fields__}}
            else:
                patches.append((event, i, ask))
    for _, _, patch in sorted(patches, key=lambda item: (item[0].order[:4], item[1])):
        line = lines.get(patch.target)
        if line is None:
            continue
        line["flags"] = line["flags"] & ~patch.clear_flags | patch.set_flags
        line.update(
            {f: v for f in ("text", "mark", "level", "tags", "at") if (v := getattr(patch, f)) is not None}
        )
    made = [
        Line(
            by_hash[h].n, line["at"], h, by_hash[h].kind, by_hash[h].actor,
            line["mark"], line["level"], line["flags"], line["text"], line["tags"],
            by_hash[h].rep, by_hash[h].hlc,
        )
        for h, line in lines.items()
    ]  # fmt: skip
    return sorted(made, key=lambda line: (line.at, *by_hash[line.hash].order[:4]))


def fits(line: Line, flt: Filter) -> bool:
    words = [re.findall(r"[a-z0-9]+", field.lower()) for field in (line.text, line.tags, line.actor)]
    parts = []
    if match(flt.text):
        *whole, last = re.findall(r"[a-z0-9]+", flt.text.lower())
        parts.append(
            all(any(word in field for field in words) for word in whole)
            and any(word.startswith(last) for field in words for word in field)
        )
    elif flt.text.strip():
        parts.append(flt.text.strip().lower() in f"{line.text} {line.tags} {line.actor}".lower())
    if flt.marks:
        parts.append(line.mark in flt.marks)
    if flt.actor:
        parts.append(line.actor == flt.actor)
    if flt.tag:
        parts.append(flt.tag in line.tags.split(" "))
    shown = all(parts) != (flt.inverse and bool(parts))
    return shown and (flt.system or not line.flags & SYSTEM)


def with_lines(directory: Path, use: Callable[[Lines], Awaitable[T]]) -> T:
    async def run() -> T:
        lines = await Lines.open(directory)
        try:
            return await use(lines)
        finally:
            await lines.close()

    return asyncio.run(run())


async def agree(lines: Lines, model: list[Line], flt: Filter) -> None:
    """Every answer of the reader equals that of the plain list."""
    shown = [line for line in model if fits(line, flt)]
    assert await lines.count(flt) == len(shown)
    assert await lines.window(0, 10_000, flt) == shown
    for start in {0, 1, len(shown) // 2, max(len(shown) - 3, 0), len(shown), len(shown) + 5}:
        assert await lines.window(start, 4, flt) == shown[start : start + 4]
    for at in {0, START, *(line.at + d for line in model[::5] for d in (-1, 0, 1))}:
        assert await lines.position(at, flt) == sum(line.at < at for line in shown)
    for line in model:
        expected = shown.index(line) if line in shown else None
        assert await lines.index_of(line.hash, flt) == expected


texts = st.sampled_from(
    ["refund loop", "paid twice", "Refund sent", "50% off_er", "spend: $4,817", "übermut", "a"]
)
times = st.none() | st.integers(-50, 50).map(lambda ms: START + ms * MS)
puts = st.builds(
    note,
    texts,
    at=times,
    actor=st.sampled_from(["mira", "jon doe"]),
    mark=st.sampled_from("-!"),
    tags=st.sampled_from(["", "sev1", "sev1 money", "money"]),
)
patches = st.fixed_dictionaries(
    {"target": st.integers(0, 30)},
    optional={
        "text": texts,
        "mark": st.sampled_from("-!x"),
        "tags": st.sampled_from(["", "money"]),
        "at": st.integers(-50, 50),
        "set": st.sampled_from([0, SYSTEM, 4]),
        "clear": st.sampled_from([0, SYSTEM, 4]),
    },
)
steps = st.lists(st.lists(puts | patches, min_size=1, max_size=6), min_size=1, max_size=8)
filters = st.builds(
    Filter,
    text=st.sampled_from(["", "", "ref", "refund lo", "LOOP", "%", "_", "a", '"', "NOT x", "paid*", "money"]),
    marks=st.frozensets(st.sampled_from("-!x*"), max_size=2),
    actor=st.sampled_from(["", "", "mira"]),
    tag=st.sampled_from(["", "", "money", "mon"]),
    inverse=st.booleans(),
    system=st.booleans(),
)


def grow(log: Log, events: list[Event], asked: Sequence[Entry | dict[str, Any]]) -> None:
    """Append notes and corrections; a correction names its target by position among what is there."""
    entries = []
    for ask in asked:
        if isinstance(ask, dict):
            target = events[ask["target"] % len(events)].hash
            ask = correction(target, **{part: value for part, value in ask.items() if part != "target"})
        entries.append(ask)
    staged = log.stage([entries])
    log.commit(staged)
    events.extend(staged.answers[0])


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(steps, st.lists(filters, min_size=1, max_size=3), st.integers(2, 5))
def test_the_view_is_the_fold_step_by_step_and_made_again(
    tmp_path_factory: pytest.TempPathFactory, asked: list[list[Any]], wanted: list[Filter], block: int
) -> None:
    directory = tmp_path_factory.mktemp("view")
    home = Home.open(directory / "home", clock=ManualClock(START))
    case = found(home, FOUNDING, lambda event: ())
    case.close()
    path = case.directory / projection.NAME
    projection.remove(path)
    writer = Log(case.directory / "log.db", home.identity, home.clock)
    reading = connect(case.directory / "log.db")
    events = list(events_after(reading, 0, 10))
    old_block, projection.BLOCK = projection.BLOCK, block
    try:
        view = Projection(path, reading, project)

        async def follow(lines: Lines) -> None:
            for group in asked:
                grow(writer, events, group)
                while view.follow(3):
                    pass
                model = fold(events)
                for flt in (ALL, *wanted):
                    await agree(lines, model, flt)

        with_lines(case.directory, follow)
        view.close()
        projection.remove(path)
        again = Projection(path, reading, project)
        while again.follow(1000):
            pass
        again.close()

        async def compare(lines: Lines) -> None:
            for flt in (ALL, *wanted):
                await agree(lines, fold(events), flt)

        with_lines(case.directory, compare)
    finally:
        projection.BLOCK = old_block
        reading.close()
        writer.close()


def test_patches_take_effect_in_total_order_however_they_arrive(case: Case, tmp_path: Path) -> None:
    """The same events in any order of arrival give the same lines."""
    target = case.append(note("first")).result(10)[0]
    case.append(correction(target.hash, text="second", at=30)).result(10)
    case.append(correction(target.hash, text="third", set=4)).result(10)
    case.append(correction(target.hash, mark="x"), note("other", at=START + 10 * MS)).result(10)
    case.close()
    reading = connect(case.directory / "log.db")
    events = list(events_after(reading, 0, 100))
    reading.close()
    model = {line.hash: line[1:] for line in fold(events)}
    source = sqlite3.connect(case.directory / "log.db")
    rows = {row[3]: row for row in source.execute("SELECT * FROM events")}
    source.close()
    for seed in range(12):
        directory = tmp_path / str(seed)
        directory.mkdir()
        (directory / "log.db").write_bytes((case.directory / "log.db").read_bytes())
        shuffled = events[1:]
        random.Random(seed).shuffle(shuffled)
        db = sqlite3.connect(directory / "log.db", isolation_level=None)
        db.execute("DELETE FROM events WHERE n > 1")
        for n, event in enumerate(shuffled, 2):
            row = rows[bytes.fromhex(event.hash)]
            db.execute(f"INSERT INTO events VALUES ({', '.join('?' * len(row))})", (n, *row[1:]))
        db.close()
        log = connect(directory / "log.db")
        view = Projection(directory / "view.db", log, project)
        while view.follow(1 + seed % 3):
            pass
        view.close()
        log.close()
        lines = with_lines(directory, lambda lines: lines.window(0, 100))
        assert {line.hash: line[1:] for line in lines} == model
        assert [line.at for line in lines] == sorted(line.at for line in lines)


async def settled(lines: Lines, upto: int) -> None:
    async with asyncio.timeout(20):
        while await lines.upto() < upto:
            await asyncio.sleep(0.005)
            await lines.changed()


async def test_the_view_follows_the_log_by_itself(case: Case) -> None:
    reader = await CaseReader.open(case.directory)
    event = case.append(note("arrived")).result(10)[0]
    await settled(reader.lines, event.n)
    assert [line.text for line in await reader.lines.window(0, 9)] == ["founded", "arrived"]
    await reader.close()


@pytest.mark.parametrize("how", ["deleted", "garbage", "emptied", "foreign", "table gone", "page zeroed"])
def test_a_lost_view_is_made_again(case: Case, home: Home, how: str) -> None:
    case.append(*(note(f"line {i}") for i in range(300))).result(10)
    case.close()
    before = with_lines(case.directory, lambda lines: lines.window(0, 1000))
    assert len(before) == 301
    path = case.directory / "view.db"
    if how == "deleted":
        path.unlink()
    elif how == "garbage":
        path.write_bytes(b"not a database at all" * 1000)
    elif how == "emptied":
        path.write_bytes(b"")
    elif how == "page zeroed":
        raw = path.read_bytes()
        path.write_bytes(raw[: 4096 * 3] + bytes(4096 * 6) + raw[4096 * 9 :])
    else:
        db = sqlite3.connect(path)
        db.execute("UPDATE built SET hash = x'00'" if how == "foreign" else "DROP TABLE blocks")
        db.commit()
        db.close()
    Case.open(case.directory, home, project).close()
    again = Case.open(case.directory, home, project)

    async def same(lines: Lines) -> None:
        async with asyncio.timeout(20):
            while await lines.window(0, 1000) != before:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    with_lines(case.directory, same)
    assert again.trouble == ""
    again.close()


async def test_a_view_deleted_in_use_comes_back_to_the_same_reader(case: Case) -> None:
    reader = await CaseReader.open(case.directory)
    await settled(reader.lines, case.append(note("one")).result(10)[0].n)
    (case.directory / "view.db").unlink()
    await settled(reader.lines, case.append(note("two")).result(10)[0].n)
    assert await reader.lines.count() == 3
    await reader.close()


async def test_many_who_ask_at_once_open_a_new_view_once_and_a_closed_one_never(case: Case) -> None:
    case.close()
    view = case.directory / "view.db"
    aside = view.rename(view.with_name("aside"))
    before = set(threading.enumerate())
    lines = await Lines.open(case.directory)
    aside.rename(view)
    asked = [lines.count(), lines.position(0), lines.count(Filter(text="x")), lines.changed(), lines.upto()]
    assert (await asyncio.gather(*asked))[0] == 1
    opened = set(threading.enumerate()) - before
    assert len(opened) == 1
    await asyncio.gather(lines.close(), lines.window(0, 5))
    assert await lines.window(0, 5) == []
    # A reader's thread that is left behind would keep the whole program from ending.
    for thread in opened:
        thread.join(10)
    assert not set(threading.enumerate()) - before


def test_another_projection_makes_another_view(case: Case, home: Home) -> None:
    case.append(note("as it was")).result(10)
    case.close()

    class Shouting:
        version = 7

        def __call__(self, event: Event) -> Sequence[Put | Patch]:
            return (Put(event.kind.upper()),)

    Case.open(case.directory, home, Shouting()).close()
    assert [line.text for line in with_lines(case.directory, lambda lines: lines.window(0, 9))] == [
        "FOUNDED",
        "NOTE",
    ]


def test_an_event_that_cannot_be_shown_does_not_stop_the_timeline(home: Home) -> None:
    def picky(event: Event) -> Sequence[Put | Patch]:
        if b"bad" in (event.body or b""):
            raise KeyError("no such thing")
        return (Put(str(decode(event.body or b"{}").get("text", ""))),)

    case = found(home, FOUNDING, picky)
    case.append(note("good"), note("bad"), note("good again")).result(10)
    case.close()
    texts = [line.text for line in with_lines(case.directory, lambda lines: lines.window(0, 9))]
    assert texts == ["", "good", "note: this entry cannot be shown", "good again"]
    assert "event 3" in case.trouble


def test_search_is_newest_first_and_takes_any_text(case: Case) -> None:
    case.append(*(note(f"refund {i} paid", at=START + i * MS) for i in range(40))).result(10)
    case.append(
        note("refund of long ago", at=5), note("100% of spend_limit"), note("ÜBERMUT tut selten gut")
    ).result(10)
    case.close()

    async def ask(lines: Lines) -> None:
        hits = await lines.search("refund")
        assert len(hits) == 41
        assert [line.at for line in hits] == sorted((line.at for line in hits), reverse=True)
        assert [line.text for line in await lines.search("refund pai", 2)] == [
            "refund 39 paid",
            "refund 38 paid",
        ]
        assert [line.text for line in await lines.search("100%")] == ["100% of spend_limit"]
        assert [line.text for line in await lines.search("%")] == ["100% of spend_limit"]
        assert [line.text for line in await lines.search("_")] == ["100% of spend_limit"]
        assert [line.text for line in await lines.search("spend_limit")] == ["100% of spend_limit"]
        assert [line.text for line in await lines.search("übermut")] == ["ÜBERMUT tut selten gut"]
        assert len(await lines.search("mira")) == 44
        assert await lines.search("") == await lines.search("   ") == []

    with_lines(case.directory, ask)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.text(max_size=30) | st.text('"*^:()-+ANDORTE', max_size=20))
def test_no_text_is_taken_for_a_command(view_of_one: Path, query: str) -> None:
    db = sqlite3.connect(view_of_one)
    try:
        sql, values = condition(Filter(text=query))
        db.execute(f"SELECT count(*) FROM lines WHERE {sql}", values).fetchall()
    finally:
        db.close()


@pytest.fixture
def view_of_one(case: Case) -> Path:
    case.close()
    return case.directory / "view.db"


def test_a_reader_without_a_view_shows_nothing_and_makes_nothing(case: Case) -> None:
    case.close()
    projection.remove(case.directory / "view.db")

    async def ask(lines: Lines) -> None:
        assert (await lines.count(), await lines.window(0, 5), await lines.search("x")) == (0, [], [])
        assert (await lines.position(0), await lines.index_of("0" * 64)) == (0, None)
        assert (await lines.count(Filter(text="x")), await lines.upto()) == (0, 0)

    with_lines(case.directory, ask)
    assert not (case.directory / "view.db").exists()
