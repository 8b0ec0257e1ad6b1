"""Captures on a real store: asked for, carried out, interrupted, resumed; what is missing is found."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from console import events as ev
from console.desk import Desk
from console.evidence import capture, schema, search
from console.evidence.capture import CONTAINED, ENDED, JOINED, Capture
from console.evidence.window import Window
from console.incident import Exhibit, Incident
from console.refusal import Refused
from console.room import Room
from console.telemetry.action import Action
from data.blobs import Blobs
from data.clock import ManualClock
from data.envelope import short
from data.home import Home
from data.lock import Lock
from data.trouble import StoreTrouble
from data.verify import verify
from tests.room.strand import SECOND, T0
from tests.room.test_incident import facts
from tests.room.test_room import alert
from tests.room.test_room import until as on_timeline

AGENT = facts().agent
TENANT = facts().tenant


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T0)


@pytest.fixture
def home(tmp_path: Path, clock: ManualClock) -> Home:
    return Home.open(tmp_path / "home", clock=clock)


@pytest.fixture
async def desk(home: Home) -> AsyncIterator[Desk]:
    """A desk whose requests nobody carries out by itself."""
    opened = await Desk.open(home, "ana")
    yield opened
    await opened.close()


def fill(home: Home, *actions: Action) -> None:
    """What the watcher would have in its window."""
    window = Window(capture.window_of(home), home.clock, most=2**29, keep=10**18)
    window.append(actions)
    window.close()


def action(number: int, **fields: object) -> Action:
    """One call of the alert's agent, a moment before now."""
    given = {
        "at": T0 - SECOND + number,
        "agent": AGENT,
        "tenant": TENANT,
        "id": f"a{number}",
        "trace": "t1",
    } | fields
    return msgspec.convert(given, Action)


def kept(room: Room, exhibit: Exhibit) -> list[Action]:
    """The records of an exhibit, read back from its blobs with their hashes checked."""
    blobs = Blobs(room.case.directory)
    return [
        msgspec.json.decode(line, type=Action)
        for ref in exhibit.refs
        if ref.media == search.MEDIA
        for line in blobs.read(ref).splitlines()
    ]


def index(room: Room, exhibit: Exhibit) -> dict[str, object]:
    """The index of an exhibit."""
    assert exhibit.refs[0].media == capture.INDEX
    read: dict[str, object] = json.loads(Blobs(room.case.directory).read(exhibit.refs[0]))
    return read


async def until(desk: Desk, fits: Callable[[Incident], bool]) -> Incident:
    """The state of the incident once it `fits`."""
    for _ in range(1_200):
        await desk.refresh()
        assert desk.room is not None
        if fits(desk.room.incident):
            return desk.room.incident
        await asyncio.sleep(0.05)
    raise AssertionError(f"never happened; {desk.capture and desk.capture.trouble}")


@pytest.mark.req("S000-CO-5", "S004-PR-1", "S004-PR-5", "S001-EV-0")
async def test_what_is_asked_for_is_kept_with_custody(desk: Desk, home: Home) -> None:
    wanted = [
        action(n, approval="ap-1", principal="kim", cost=2 * SECOND, kind="model", model="large")
        for n in range(3)
    ]
    fill(home, *wanted, action(9, trace="t9"))
    room = await desk.declare("refunds")
    asked = await capture.preserve(room, [("run", "t1"), ("approval ID", "ap-1")], "for the customer")
    assert await capture.finish(room, home, asked.hash) == ""
    (exhibit,) = room.incident.exhibits
    body = exhibit.body
    assert kept(room, exhibit) == wanted
    assert (body.what, body.count, body.request) == ("telemetry", 3, asked.hash)
    assert body.ids == (ev.Known("run_id", "t1"), ev.Known("approval_id", "ap-1"))
    assert (body.since, body.until) == (ev.moment(wanted[0].at), ev.moment(wanted[-1].at))
    assert body.reason == "for the customer"
    assert body.tool.startswith("warroom")
    assert body.source.startswith(capture.host())
    shown = {known.name: known.value for known in body.fields}
    assert shown["incident_id"] == room.code
    assert shown["tool_principal"] == "kim"
    assert shown["model_lane"] == "large"
    assert shown["cost"].startswith("6.000000000 USD in 3 calls")
    assert room.incident.requests[asked.hash].done
    assert verify(room.case.directory).sound
    assert verify(room.case.directory).blobs == 2


def _done(state: Incident) -> bool:
    return all(each.done for each in state.requests.values())


@pytest.mark.req("X-25")
async def test_the_index_names_every_field_under_all_its_names(desk: Desk, home: Home) -> None:
    fill(home, *(action(n, agent_version=f"v{n % 3}", session="s") for n in range(10)))
    room = await desk.declare("refunds")
    asked = await capture.preserve(room, [("trace", "t1")])
    await capture.finish(room, home, asked.hash)
    read = index(room, room.incident.exhibits[0])
    fields = {each["name"]: each for each in read["fields"]}  # type: ignore[attr-defined]
    assert list(fields) == [field.name for field in schema.fields()]
    assert fields["agent_version"]["values"] == ["v0", "v1", "v2"]
    assert "skill version" in fields["agent_version"]["aliases"]
    assert read["missing"] == list(room.incident.exhibits[0].body.missing)
    assert read["records"] == 10
    given = {field: each["values"] for field, each in fields.items() if each["values"]}
    assert schema.take_in(schema.give_out(given)) == (given, {})


@pytest.mark.req("S001-RV-6")
async def test_each_gap_is_found_once_and_can_be_given_an_owner(desk: Desk, home: Home) -> None:
    fill(home, action(1))
    room = await desk.declare("refunds")
    for number in (2, 3):
        fill(home, action(number))
        asked = await capture.preserve(room, [("trace", "t1")])
        await capture.finish(room, home, asked.hash)
    missing = room.incident.exhibits[0].body.missing
    assert {"approval_policy", "memory_records", "allowed_egress", "workflow"} <= set(missing)
    assert not {"trace_id", "agent_id", "incident_id", "mcp_server_logs"} & set(missing)
    assert len(room.incident.findings) == len(missing)
    assert set(room.incident.gaps) == set(missing)
    assert set(room.incident.gaps.values()) == {""}
    # On the timeline one line counts them, instead of a dozen that push away what people wrote.
    lines = await on_timeline(room, lambda lines: sum("kept telemetry" in each.text for each in lines) == 2)
    assert f"{len(missing)} fields not recorded" in lines[-1].text
    assert not [each for each in lines if "is in no telemetry" in each.text]
    await room.record(ev.ObservabilityFound("recorded from now on", "workflow", "kim"))
    assert room.incident.gaps["workflow"] == "kim"


@pytest.mark.req("S000-CP-7")
async def test_a_list_of_fields_alone_is_about_the_alerts_of_the_incident(desk: Desk, home: Home) -> None:
    fill(home, action(1))
    alert(home, ev.AlertOpened(facts()))
    await desk.refresh()
    room = await desk.declare("refunds", alerts=["aaaa2222"])
    names = ("trace_id", "approval_id", "mcp_server_logs", "webhook_request_headers")
    asked = await capture.preserve(room, [(name, "") for name in names])
    await capture.finish(room, home, asked.hash)
    body = room.incident.exhibits[0].body
    assert ev.Known("alert_id", "aaaa2222") in body.ids
    assert {"approval_id", "mcp_server_logs", "webhook_request_headers"} <= set(body.missing)


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        ([("colour", "red")], "no colour"),
        ([("alert", "zzz")], "No alerts"),
        ([("workflow", "refunds")], "cannot be searched for"),
        ([("trace", "  ")], "no alerts"),
        ([], "no alerts"),
        ([("trace", f"{n}") for n in range(201)], "201 ids"),
    ],
)
async def test_what_makes_no_sense_is_refused_before_anything_is_written(
    desk: Desk, ids: list[tuple[str, str]], says: str
) -> None:
    room = await desk.declare("refunds")
    with pytest.raises(Refused, match=says):
        await capture.preserve(room, ids)
    assert room.incident.requests == {}


@pytest.mark.parametrize(
    ("filled", "says"), [(False, "holds no telemetry at all"), (True, "none of the 1 records")]
)
async def test_nothing_found_is_said_and_is_a_finding(
    desk: Desk, home: Home, *, filled: bool, says: str
) -> None:
    if filled:
        fill(home, action(1))
    room = await desk.declare("refunds")
    asked = await capture.preserve(room, [("trace", "t-unknown")])
    assert says in await capture.finish(room, home, asked.hash)
    assert says in room.incident.requests[asked.hash].failed
    assert any(says in finding for finding in room.incident.findings)
    assert room.incident.exhibits == []


async def test_a_window_that_rolled_over_says_so(desk: Desk, home: Home, clock: ManualClock) -> None:
    alert(home, ev.AlertOpened(facts()))
    await desk.refresh()
    room = await desk.declare("refunds", alerts=["aaaa2222"])
    clock.advance(5 * 3600 * SECOND)
    fill(home, action(1, at=clock.now(), agent="another"))
    asked = await capture.preserve(room, [])
    assert "rolled over" in await capture.finish(room, home, asked.hash)


async def test_an_alert_stands_for_its_actions_and_for_what_its_agent_did_around_it(
    desk: Desk, home: Home
) -> None:
    opened = ev.instant(facts().opened_at) or 0
    named = action(1, at=opened - 9 * 3600 * SECOND, trace="old")
    before = action(2, at=opened - 1800 * SECOND, trace="")
    early = action(3, at=opened - 7200 * SECOND, trace="")
    other = action(4, at=opened, agent="someone-else", trace="")
    sub = action(5, at=opened - 9 * 3600 * SECOND, agent="sub", trace="old")
    tenant = action(6, at=opened, tenant="another", trace="")
    fill(home, named, before, early, other, sub, tenant)
    alert(home, ev.AlertOpened(facts(actions=("a1",), count=1)))
    await desk.refresh()
    room = await desk.declare("refunds", alerts=["aaaa2222"])
    asked = await capture.preserve(room, [("alert", "aaaa")])
    assert await capture.finish(room, home, asked.hash) == ""
    assert {each.id for each in kept(room, room.incident.exhibits[0])} == {"a1", "a2", "a5"}


# -- by itself -----------------------------------------------------------------------------------------


@pytest.mark.req("S000-CO-5", "S001-EV-0")
async def test_it_begins_by_itself_when_an_alert_becomes_an_incident(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "PAUSE", 0.05)
    fill(home, action(1), action(2, agent="unrelated", trace="x"))
    alert(home, ev.AlertOpened(facts()))
    desk = await Desk.open(home, "ana", capture=Capture(home))
    room = await desk.declare("refunds", alerts=["aaaa2222"])
    assert room.incident.exhibits == []  # the declaration did not wait for it
    state = await until(desk, lambda state: bool(state.exhibits))
    assert [each.id for each in kept(room, state.exhibits[0])] == ["a1"]
    (request,) = state.requests.values()
    assert (request.body.reason, request.by) == (JOINED, "warroom")
    # Another alert joins, then one ends, then the harm is contained.
    alert(home, ev.AlertOpened(facts(id="bbbb2222")))
    state = await until(desk, lambda state: len(state.exhibits) == 2)
    await room.contain("switched off")
    state = await until(desk, lambda state: len(state.exhibits) == 3)
    alert(home, ev.AlertClosed(facts(id="bbbb2222")))
    state = await until(desk, lambda state: len(state.requests) == 4 and _done(state))
    assert len(state.exhibits) == 3, "the last one found what is kept"
    assert [each.body.reason for each in state.requests.values()] == [JOINED, JOINED, CONTAINED, ENDED]
    shown = {known.name: known.value for known in state.exhibits[2].body.fields}
    assert shown["containment_action"] == "switched off"
    await desk.close()
    # Opened again, nothing is asked for twice.
    desk = await Desk.open(home, "ana", capture=Capture(home))
    room = await desk.enter(room.code)
    assert len(room.incident.requests) == 4
    assert desk.capture is not None
    assert desk.capture._task is None
    await desk.close()


@pytest.mark.req("S000-CO-5")
async def test_looking_again_adds_what_is_new_and_nothing_twice(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "PAUSE", 0.05)
    fill(home, action(1), action(2))
    alert(home, ev.AlertOpened(facts()))
    desk = await Desk.open(home, "ana", capture=Capture(home))
    room = await desk.declare("refunds", alerts=["aaaa2222"])
    state = await until(desk, lambda state: bool(state.exhibits))
    (exhibit,) = state.exhibits
    await room.contain("switched off")
    state = await until(desk, lambda state: len(state.requests) == 2 and _done(state))
    assert state.exhibits == [exhibit]
    _, again = state.requests.values()
    assert (again.body.reason, again.same) == (CONTAINED, exhibit.hash)
    await on_timeline(room, lambda lines: any(exhibit_name(exhibit) in line.text for line in lines))
    # What has come since is not what is kept.
    fill(home, action(1), action(2), action(3))
    alert(home, ev.AlertClosed(facts()))
    state = await until(desk, lambda state: len(state.exhibits) == 2)
    assert [each.id for each in kept(room, state.exhibits[1])] == ["a1", "a2", "a3"]
    # Neither is the same under another name: whoever asks for it finds it under what was asked for.
    asked = await capture.preserve(room, [("trace", "t1")])
    assert await capture.finish(room, home, asked.hash) == ""
    assert room.incident.exhibits[-1].body.request == asked.hash
    await desk.close()


def exhibit_name(exhibit: Exhibit) -> str:
    return f"looked for evidence again: exhibit {short(exhibit.hash)}"


async def test_without_a_window_nothing_begins_by_itself(home: Home) -> None:
    alert(home, ev.AlertOpened(facts()))
    desk = await Desk.open(home, "ana", capture=Capture(home))
    room = await desk.declare("refunds", alerts=["aaaa2222"])
    assert desk.capture is not None
    assert desk.capture._task is None
    assert room.incident.requests == {}
    await desk.close()


async def test_what_was_interrupted_goes_on_when_the_room_is_opened_again(
    desk: Desk, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(home, action(1))
    room = await desk.declare("refunds")
    asked = await capture.preserve(room, [("trace", "t1")])
    code = room.code
    await desk.close()  # the request stands, and whoever wrote it is gone
    again = await Desk.open(home, "ben", capture=Capture(home))
    await again.enter(code)
    state = await until(again, lambda state: bool(state.exhibits))
    assert state.exhibits[0].body.request == asked.hash
    await again.close()


async def test_a_search_that_is_killed_is_begun_again_and_kept_once(
    desk: Desk, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(home, *(action(n) for n in range(1_000)))
    room = await desk.declare("refunds")
    asked = await capture.preserve(room, [("trace", "t1")])
    begin = asyncio.create_subprocess_exec
    killed: list[int] = []

    async def begin_and_kill(*argv: str, **options: object) -> asyncio.subprocess.Process:
        process = await begin(*argv, **options)  # type: ignore[arg-type]
        if len(killed) < 2:
            os.kill(process.pid, signal.SIGKILL)
            killed.append(process.pid)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", begin_and_kill)
    assert await capture.finish(room, home, asked.hash) == ""
    assert len(killed) == 2
    assert len(room.incident.exhibits) == 1
    assert len(kept(room, room.incident.exhibits[0])) == 1_000


async def test_a_search_that_is_always_killed_leaves_the_request_open(
    desk: Desk, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(home, action(1))
    room = await desk.declare("refunds")
    asked = await capture.preserve(room, [("trace", "t1")])
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(Refused, match="ended from outside"):
        await capture.finish(room, home, asked.hash)
    assert await capture.unfinished(room, home) == [asked.hash]
    monkeypatch.undo()
    assert await capture.finish(room, home, asked.hash) == ""


async def test_what_cannot_be_stored_leaves_the_request_open(desk: Desk, home: Home) -> None:
    fill(home, action(1))
    room = await desk.declare("refunds")
    asked = await capture.preserve(room, [("trace", "t1")])
    (room.case.directory / "blobs").write_text("in the way")
    with pytest.raises(StoreTrouble, match="could not be kept"):
        await capture.finish(room, home, asked.hash)
    assert await capture.unfinished(room, home) == [asked.hash]


async def test_two_that_carry_out_one_request_keep_it_once(desk: Desk, home: Home) -> None:
    fill(home, action(1))
    room = await desk.declare("refunds")
    asked = await capture.preserve(room, [("trace", "t1")])
    both = await asyncio.gather(*(capture.finish(room, home, asked.hash) for _ in range(2)))
    assert both == ["", ""]
    assert len(room.incident.exhibits) == 1


async def test_leaving_the_room_does_not_wait_for_a_capture(home: Home) -> None:
    fill(home, action(1))
    desk = await Desk.open(home, "ana", capture=Capture(home))
    room = await desk.declare("refunds")
    busy = Lock.take(room.case.directory / capture.LOCK)  # another process is at it, for ever
    assert busy is not None
    await capture.preserve(room, [("trace", "t1")])
    await desk.refresh()
    assert desk.capture is not None
    desk.capture.tend(room, {})
    await asyncio.sleep(0)
    await desk.leave()
    busy.release()
    await desk.close()


async def test_another_console_s_request_is_left_to_it(desk: Desk, home: Home) -> None:
    fill(home, action(1))
    room = await desk.declare("refunds")
    asked = await capture.preserve(room, [("trace", "t1")])
    home.replica = "f" * 32
    assert await capture.unfinished(room, home) == []
    assert asked.hash in room.incident.requests
