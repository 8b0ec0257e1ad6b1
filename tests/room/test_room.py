"""The desk and the room on a real store: what people do, and what is on the record afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Container
from pathlib import Path

import pytest

from console import events as ev
from console.alerts import Alert
from console.desk import Desk
from console.refusal import Refused
from console.room import Room
from console.runner.player import Player
from console.timeline import CORRECTED, RETRACTED, project
from data.case import Case, found
from data.clock import ManualClock
from data.envelope import Event
from data.handoff import Handoff
from data.home import Home
from data.line import Line
from data.lock import Lock
from data.reader import CaseReader
from data.trouble import StoreTrouble
from data.verify import verify
from tests.room.strand import SECOND, T0
from tests.room.test_incident import facts
from tests.runner.conftest import book, step


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T0)


@pytest.fixture
def home(tmp_path: Path, clock: ManualClock) -> Home:
    return Home.open(tmp_path / "home", clock=clock)


@pytest.fixture
async def desk(home: Home) -> AsyncIterator[Desk]:
    opened = await Desk.open(home, "ana")
    yield opened
    await opened.close()


def alert(home: Home, *bodies: ev.Body) -> None:
    """Append to the watcher's case as the watcher would."""
    case = found(home, ev.entry(ev.WatchFounded(), "watcher"), project, directory=home.watch_dir)
    case.append(*(ev.entry(body, "watcher") for body in bodies)).result()
    case.close()


async def until(room: Room, fits: Callable[[list[Line]], bool]) -> list[Line]:
    """Return the timeline once it `fits`; the view follows the log a moment later."""
    for _ in range(400):
        lines = await room.lines.window(0, 1000)
        if fits(lines):
            return lines
        await asyncio.sleep(0.01)
    raise AssertionError([line.text for line in lines])


def state(room: Room, item: str) -> str:
    """Return where a checklist item stands."""
    return room.incident.checklist[item].state


@pytest.mark.req("S002-CK-2")
async def test_declaring_founds_a_case_with_commander_checklist_classes_and_cadence(
    desk: Desk, home: Home
) -> None:
    room = await desk.declare("refunds in a loop", 1)
    state = room.incident
    assert (state.title, state.severity, state.roles) == ("refunds in a loop", 1, {"ic": ["ana"]})
    assert state.next_update_due == state.declared_at + 1800 * SECOND
    assert len(state.rollback) == 7
    assert state.checklist
    assert verify(home.case_dir(state.case)).damage == []


@pytest.mark.req("S002-CK-1", "S002-USE-3")
async def test_a_declared_incident_takes_commander_scribe_and_the_other_roles(desk: Desk) -> None:
    room = await desk.declare("refunds in a loop", 2, commander="dee")
    for role, person in (("scribe", "chi"), ("ops", "ben"), ("comms", "ben"), ("security", "eve")):
        await room.assign(role, person)
    assert room.incident.roles == {
        "ic": ["dee"],
        "scribe": ["chi"],
        "ops": ["ben"],
        "comms": ["ben"],
        "security": ["eve"],
    }


@pytest.mark.req("S002-CK-2")
@pytest.mark.parametrize(("severity", "minutes"), [(1, 30), (2, 30), (3, None), (5, None)])
async def test_severity_decides_how_often_updates_go_out_and_a_person_may_change_it(
    desk: Desk, severity: int, minutes: int | None
) -> None:
    room = await desk.declare("t", severity)
    declared = room.incident.declared_at
    assert room.incident.next_update_due == (None if minutes is None else declared + minutes * 60 * SECOND)
    await room.set_cadence(900, "status page")
    assert room.incident.next_update_due == declared + 900 * SECOND


async def test_a_corrected_line_shows_its_newest_version_and_keeps_every_other(desk: Desk) -> None:
    room = await desk.declare("t")
    note = await room.note("agent is etl-1")
    await room.amend(note.hash, "agent is etl-7", "misread")
    await room.amend(note.hash, "agents are etl-7 and etl-8", "one more")
    await until(room, lambda lines: any("etl-8" in line.text and line.flags & CORRECTED for line in lines))
    texts = [body.text for body in map(ev.read, await room.history(note.hash)) if hasattr(body, "text")]
    assert texts == ["agent is etl-1", "agent is etl-7", "agents are etl-7 and etl-8"]


async def test_retracting_a_tick_reopens_the_item_and_the_line_stays(desk: Desk) -> None:
    room = await desk.declare("t")
    await room.tick("declare")
    assert state(room, "declare") == "done"
    event, _ = await room.undo()
    assert state(room, "declare") == "open"
    lines = await until(room, lambda lines: any(line.flags & RETRACTED for line in lines))
    assert next(line for line in lines if line.hash == event.hash).text == "checklist declare done"
    await room.reinstate(event.hash, "it was right")
    assert state(room, "declare") == "done"


async def test_undo_takes_back_only_what_one_did_oneself(desk: Desk, home: Home) -> None:
    room = await desk.declare("t")
    other = await Desk.open(home, "ben")
    with pytest.raises(Refused):
        await (await other.enter(room.code)).undo()
    await other.close()


@pytest.mark.parametrize(
    "deed",
    [
        lambda room: room.note("   "),
        lambda room: room.tick("no-such-item"),
        lambda room: room.tick("declare", "waived"),
        lambda room: room.tick("declare", "open"),
        lambda room: room.contain(" "),
        lambda room: room.contain("frozen", at=T0 + 3600 * SECOND),
        lambda room: room.move_rollback("nothing", "open"),
        lambda room: room.move_rollback("database-writes", "verified", "looked"),
        lambda room: room.move_rollback("database-writes", "waived"),
        lambda room: room.meet_budget("database-writes", "nothing"),
        lambda room: room.set_severity(6, "SEV-6"),
        lambda room: room.assign("ic", " "),
        lambda room: room.assign("ic\x1b[41m", "ben"),
        lambda room: room.assign("ic", "ben\nana"),
        lambda room: room.release("ic", "ben"),
        lambda room: room.amend("0" * 64, "x", "y"),
        lambda room: room.promise_update(T0 - SECOND),
        lambda room: room.reopen("it is open"),
        lambda room: room.end(""),
    ],
)
async def test_what_cannot_be_is_refused_in_words_and_writes_nothing(
    desk: Desk, deed: Callable[[Room], object]
) -> None:
    room = await desk.declare("t")
    reader = room._reader
    before = await reader.last()
    with pytest.raises(Refused) as refused:
        await deed(room)  # type: ignore[misc]
    assert refused.value.what.endswith(".")
    assert await reader.last() == before


async def test_undo_says_what_it_takes_back_and_leaves_the_declaration(desk: Desk) -> None:
    room = await desk.declare("loop")
    before = room.incident
    assert room.undoable is None, "what the declaration set is not a change that came after it"
    with pytest.raises(Refused, match="nothing of yours"):
        await room.undo()
    await room.end("over")
    event, said = await room.undo()
    assert (event.kind, said) == ("incident.closed", "closed: over; the incident is open again")
    assert room.incident.open
    assert room.incident.roles == before.roles == {"ic": ["ana"]}


@pytest.mark.req("S002-TK-4", "S002-TK-5")
async def test_scope_and_impact_are_stated_one_at_a_time(desk: Desk) -> None:
    room = await desk.declare("loop")
    await room.state_impact(scope="tenant acme; refunds")
    await room.state_impact(impact="3 % of checkouts fail")
    assert (room.incident.scope, room.incident.impact) == ("tenant acme; refunds", "3 % of checkouts fail")
    with pytest.raises(Refused, match="Nothing was said"):
        await room.state_impact(" ", "")
    lines = await until(room, lambda lines: any("impact: 3 %" in line.text for line in lines))
    assert any(line.text == "scope: tenant acme; refunds" for line in lines)


async def test_what_is_unfinished_is_listed_and_closing_is_possible(desk: Desk) -> None:
    room = await desk.declare("loop")
    assert [text.split()[0] for text in room.unfinished()] == ["Containment", "3", "25", "7"]
    await room.contain("key revoked")
    for item in room.incident.checklist:
        await room.tick(item, evidence="gateway log")
    for each in ("on-call", "support", "executives"):
        await room.tell(each, "called")
    for name in list(room.incident.rollback)[1:]:
        await room.move_rollback(name, "clear")
    first = next(iter(room.incident.rollback))
    await room.move_rollback(first, "open")
    assert len(room.unfinished()) == 1
    assert room.unfinished()[0].endswith("is open.")
    await room.move_rollback(first, "clear")
    player = Player(room, room.replica)
    await player.open(book(step("look"), step("call")))
    await player.open(book(step("mend"), id="other"))
    await player.mark("look", "done", playbook="test")
    await player.close("other", "it is another one")
    assert room.unfinished() == ["Playbook test is open, 1 of 2 steps done."]
    await player.close("test", "over")
    assert room.unfinished() == []


async def test_containment_does_not_hold_before_the_harm(desk: Desk, clock: ManualClock) -> None:
    room = await desk.declare("loop")
    await room.state_moment("action", clock.now() - 600 * SECOND)
    with pytest.raises(Refused, match="before the first harmful action"):
        await room.contain("stopped", clock.now() - 700 * SECOND)
    await room.contain("stopped", clock.now() - 500 * SECOND)
    assert room.incident.contained_at == clock.now() - 500 * SECOND


async def test_a_second_console_hands_its_events_to_the_first(desk: Desk, home: Home) -> None:
    room = await desk.declare("t")
    other = await Desk.open(home, "ben")
    theirs = await other.enter(room.code)
    assert not theirs.case.writer
    await asyncio.gather(
        *(theirs.note(f"from ben {n}") for n in range(20)), *(room.note(f"from ana {n}") for n in range(20))
    )
    lines = await until(room, lambda lines: sum("from " in line.text for line in lines) == 40)
    assert {line.actor for line in lines if "from ben" in line.text} == {"ben"}
    await other.close()
    assert verify(home.case_dir(room.case.id)).damage == []


async def test_an_incident_declared_from_an_alert_takes_it_in_and_follows_it(desk: Desk, home: Home) -> None:
    alert(home, ev.WatchStarted("1"), ev.AlertOpened(facts()))
    await desk.refresh()
    room = await desk.declare("spend", 2, alerts=["aaaa"])
    assert list(room.incident.alerts) == ["aaaa2222"]
    assert desk.board.alerts["aaaa2222"].acknowledged_by == "ana"
    assert room.incident.stamps["acknowledgement"].at == desk.board.alerts["aaaa2222"].acknowledged_at
    # A later alert of the same agent joins by itself, one of another agent or tenant does not.
    alert(
        home,
        ev.AlertOpened(facts(id="bbbb", rule="outcome")),
        ev.AlertOpened(facts(id="cccc", agent="other")),
        ev.AlertOpened(facts(id="dddd", tenant="other")),
        ev.AlertClosed(facts(peak=99)),
    )
    await desk.refresh()
    await desk.refresh()
    assert set(room.incident.alerts) == {"aaaa2222", "bbbb"}
    assert room.incident.alerts["aaaa2222"].peak == 99
    joined = [event for event in await room._reader.since(0) if event.kind == "alert.linked"]
    assert len(joined) == 4, "joined, acknowledged, joined, ended: once each however often it is refreshed"


async def test_the_board_is_light_and_the_incident_holds_every_action_id(desk: Desk, home: Home) -> None:
    ids = tuple(f"action-{n}" for n in range(1000))
    alert(home, ev.AlertOpened(facts(actions=ids[:1])), ev.AlertMoved(facts(peak=9, actions=ids)))
    await desk.refresh()
    shown = desk.board.alerts["aaaa2222"]
    assert shown.facts.actions == ()
    assert (await desk.whole(shown)).facts.actions == ids
    room = await desk.declare("Agent mails customers", alerts=["aaaa2222"])
    linked = [ev.read(event) for event in await room._reader.since(0) if event.kind == "alert.linked"]
    assert linked
    assert all(isinstance(each, ev.AlertLinked) and each.alert.actions == ids for each in linked)


async def test_alerts_that_came_while_no_console_was_open_join_when_one_opens(home: Home) -> None:
    alert(home, ev.AlertOpened(facts()))
    first = await Desk.open(home, "ana")
    code = (await first.declare("spend", alerts=["aaaa2222"])).code
    await first.close()
    alert(home, ev.AlertOpened(facts(id="bbbb")))
    second = await Desk.open(home, "ben")
    assert set((await second.enter(code)).incident.alerts) == {"aaaa2222", "bbbb"}
    await second.close()


async def test_an_acknowledgement_is_refused_twice_and_a_silence_needs_a_reason(
    desk: Desk, home: Home
) -> None:
    alert(home, ev.AlertOpened(facts()))
    await desk.refresh()
    await desk.acknowledge("aaaa2222", "mine")
    with pytest.raises(Refused, match="ana acknowledged"):
        await desk.acknowledge("aaaa2222")
    with pytest.raises(Refused):
        await desk.silence("aaaa2222", None, " ")
    with pytest.raises(Refused):
        await desk.acknowledge("zzzz")


async def test_alerts_that_ended_unseen_are_acknowledged_together(desk: Desk, home: Home) -> None:
    alert(home, *(ev.AlertOpened(facts(id=f"a{n}")) for n in range(50)), ev.AlertOpened(facts(id="on")))
    alert(home, *(ev.AlertClosed(facts(id=f"a{n}")) for n in range(50)))
    await desk.refresh()
    with pytest.raises(Refused, match="needs a note"):
        await desk.acknowledge_ended(" ")
    assert await desk.acknowledge_ended("history of the first day") == 50
    assert [each.id for each in desk.board.asking(T0)] == ["on"]
    with pytest.raises(Refused, match="No ended alert"):
        await desk.acknowledge_ended("again")


async def test_an_incident_is_found_by_code_prefix_or_as_the_newest_open_one(
    desk: Desk, clock: ManualClock
) -> None:
    first = await desk.declare("first")
    case = first.case.id
    clock.advance(SECOND)
    second = await desk.declare("second")
    assert (await desk.find("")).title == "second"
    assert (await desk.find(case[:6].upper())).title == "first"
    await second.end("over")
    assert (await desk.find("")).title == "first"
    assert [state.title for state in await desk.incidents()] == ["first", "second"]
    with pytest.raises(Refused):
        await desk.find("INC-")
    with pytest.raises(Refused):
        await desk.find("zzzzzz")


async def test_a_declaration_cut_short_is_completed_by_whoever_opens_the_room(home: Home) -> None:
    case: Case = found(home, ev.entry(ev.Declared("cut short", 2, "SEV-2"), "ana"), project)
    case.close()
    desk = await Desk.open(home, "ben")
    room = await desk.enter()
    assert room.incident.checklist
    assert len(room.incident.rollback) == 7
    await desk.close()


async def test_a_cancelled_command_is_whole_or_absent(desk: Desk, home: Home) -> None:
    room = await desk.declare("t")
    tasks = [asyncio.ensure_future(room.note(f"line {n}")) for n in range(50)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    acknowledged = {event.hash for event in done if isinstance(event, Event)}
    assert len(acknowledged) == 25
    await room.note("and on")
    on_record = {event.hash for event in await room._reader.since(0)}
    assert acknowledged <= on_record
    assert verify(home.case_dir(room.case.id)).damage == []


async def test_an_incident_that_cannot_be_read_hides_no_other(desk: Desk, home: Home) -> None:
    broken, whole = await desk.declare("broken", 2), await desk.declare("whole", 2)
    await desk.leave()
    (broken.case.directory / "log.db").write_bytes(b"garbage!" * 4096)
    assert [state.title for state in await desk.incidents()] == ["whole"]
    assert list(desk.unreadable) == [broken.case.id]
    assert (await desk.enter()).case.id == whole.case.id
    with pytest.raises(StoreTrouble, match="damaged"):
        await desk.enter(broken.case.id)


async def test_a_board_that_cannot_be_read_keeps_no_incident_closed(desk: Desk, home: Home) -> None:
    await desk.declare("still here", 2)
    await desk.leave()
    alert(home, ev.AlertOpened(facts()))
    for suffix in ("-wal", "-shm"):
        (home.watch_dir / f"log.db{suffix}").unlink(missing_ok=True)
    (home.watch_dir / "log.db").write_bytes(b"garbage!" * 4096)
    second = await Desk.open(home, "ben")
    assert second.board_trouble is not None
    assert (await second.enter()).incident.title == "still here"
    with pytest.raises(StoreTrouble, match="damaged"):
        second.alert("a")
    await second.close()


async def test_a_room_that_cannot_be_written_can_be_read(
    desk: Desk, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert(home, ev.AlertOpened(facts()))
    await desk.refresh()
    await desk.declare("read me", 2, alerts=[facts().id])
    await desk.leave()
    alert(home, ev.AlertClosed(facts()))

    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Lock, "take", forbidden)
    monkeypatch.setattr(Handoff, "leave", forbidden)
    await desk.refresh()
    room = await desk.enter()
    assert room.incident.title == "read me"
    assert "cannot be written" in room.trouble
    assert "not saved" in room.drafts.trouble
    with monkeypatch.context() as disk:
        disk.setattr("data.drafts._connect", forbidden)
        assert room.drafts.orphans() == []
    with pytest.raises(StoreTrouble):
        await room.note("kept")


async def test_a_refresh_looks_at_what_is_new_and_takes_it_in_once(
    desk: Desk, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [facts(id=f"alert{n}", agent="planner" if n < 50 else f"other{n}") for n in range(100)]
    alert(home, *(ev.AlertOpened(each) for each in many))
    await desk.refresh()
    room = await desk.declare("many", 2, alerts=["alert0"])
    await desk.refresh()
    assert len(room.incident.alerts) == 50
    looked: list[str] = []
    concerns = Room.concerns

    def counted(self: Room, each: Alert, agents: Container[tuple[str, str]]) -> bool:
        looked.append(each.id)
        return concerns(self, each, agents)

    monkeypatch.setattr(Room, "concerns", counted)
    alert(home, ev.AlertClosed(many[7]), ev.IntakeRefused("otlp", "bad", 3))
    await asyncio.gather(desk.refresh(), desk.refresh(), desk.poll())
    assert looked == ["alert7"]
    assert desk.board.refused == {"otlp": 3}
    assert room.incident.ended == {"alert7"}


async def test_an_incident_stands_when_its_alert_could_not_be_told(
    desk: Desk, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert(home, ev.AlertOpened(facts()))
    await desk.refresh()

    async def hangs(self: Desk, *_: ev.Body) -> None:
        raise StoreTrouble("The watcher hangs.", "Nothing is lost.", "Look at it.")

    monkeypatch.setattr(Desk, "_tell_watch", hangs)
    room = await desk.declare("loop", 2, alerts=[facts().id])
    assert desk.room is room
    assert set(room.incident.alerts) == {facts().id}


async def test_who_still_reads_a_room_that_was_left_is_told_so(desk: Desk) -> None:
    room = await desk.declare("left", 2)
    event = await room.note("x")
    await desk.leave()
    with pytest.raises(StoreTrouble, match="closed"):
        await room.event(event.hash)
    assert await room.lines.window(0, 5) == []


async def test_an_incident_that_nobody_touched_is_read_once(
    desk: Desk, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.declare("quiet", 2)
    await desk.leave()
    assert len(await desk.incidents()) == 1
    with monkeypatch.context() as closed:
        closed.setattr(CaseReader, "open", None)
        assert len(await desk.incidents()) == 1
    await (await desk.enter()).retitle("changed")
    await desk.leave()
    assert [state.title for state in await desk.incidents()] == ["changed"]


async def test_an_incident_that_another_process_declares_is_news_for_whoever_looks_at_the_list(
    desk: Desk, home: Home
) -> None:
    await desk.poll()
    other = await Desk.open(home, "ben")
    room = await other.declare("from a shell")
    await news(desk)
    assert [state.title for state in await desk.incidents()] == ["from a shell"]
    await room.end("over")
    await news(desk)
    assert [state.open for state in await desk.incidents()] == [False]
    await other.close()


async def news(desk: Desk) -> None:
    for _ in range(400):
        if await desk.poll():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("nothing new was noticed")
