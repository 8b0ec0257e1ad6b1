"""What the record of an incident holds: the ticket, the timeline, and what there is of evidence."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from console import events as ev
from console.desk import Desk
from console.reports.incident import report
from console.timeline import MARKS, project
from data.case import found
from data.clock import ManualClock
from data.envelope import Event
from data.home import Home
from data.line import Filter
from tests.room.strand import SECOND, T0
from tests.room.test_incident import facts
from tests.room.test_room import until

UTC = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
SAMPLE = ev.SampledAction(
    id="a1",
    at="2026-11-21T13:50:00.000000000Z",
    kind="tool",
    name="payments/payout",
    cost=12_000_000,
    status="ok",
    side_effect="done",
)


class Worked:
    """An incident that was declared from an alert and worked on for some minutes."""

    def __init__(self, path: Path) -> None:
        self.clock = ManualClock(T0)
        self.home = Home.open(path / "home", clock=self.clock)

    async def work(self) -> None:
        paging = facts(pages=True, paged_at="2026-11-21T13:51:01.000000000Z", actions=("a1",), count=1)
        alert = ev.AlertOpened(msgspec.structs.replace(paging, sample=(SAMPLE,)))
        case = found(
            self.home, ev.entry(ev.WatchFounded(), "watcher"), project, directory=self.home.watch_dir
        )
        case.append(ev.entry(alert, "watcher")).result()
        case.close()
        desk = await Desk.open(self.home, "ana")
        room = await desk.declare("refunds in a loop", 1, alerts=["aaaa"])
        await room.assign("scribe", "dee")
        for line in (">disabled the tool", "?the retry queue", "-5m >held the mails", "?an old key", "seen"):
            self.clock.advance(SECOND)
            await room.note(line)
        self.clock.advance(60 * SECOND)
        await room.contain("tool denied at the gateway")
        await until(room, lambda lines: any(line.text.startswith("CONTAINED") for line in lines))
        self.hypotheses = [
            line.text
            for line in await room.lines.window(0, 100, Filter(marks=frozenset(MARKS["hypothesis"])))
        ]
        self.events: list[Event] = await room._reader.since(0)
        self.code, self.case = room.code, room.incident.case
        await desk.close()
        self.report = list(report(self.events, self.clock.now()))

    def section(self, name: str) -> list[str]:
        text = "\n".join(self.report).split(f"## {name}")[1].split("\n## ")[0]
        return [line for line in text.splitlines() if line.startswith("|")]


@pytest.fixture
async def worked(tmp_path: Path) -> Worked:
    made = Worked(tmp_path)
    await made.work()
    return made


@pytest.mark.req("S002-TK-2", "S002-ROL-4")
def test_every_time_is_iso_8601_in_utc(worked: Worked) -> None:
    (declared,) = [line for line in worked.report if line.startswith("| Declared")]
    assert re.search(rf"{UTC} by ana", declared)
    rows = worked.section("Timeline")[2:]
    assert len(rows) >= 9
    assert [row for row in rows if not re.match(rf"\| {UTC} \|", row)] == []
    times = [row.split()[1] for row in rows]
    assert times == sorted(times), "a back-dated line stands where it happened"


@pytest.mark.req("S002-TK-3")
def test_commander_and_scribe_are_named(worked: Worked) -> None:
    assert {"| ic | ana |", "| scribe | dee |"} <= set(worked.section("Roles"))


@pytest.mark.req("S002-TK-6")
def test_the_hypotheses_are_a_list_of_their_own(worked: Worked) -> None:
    assert worked.hypotheses == ["the retry queue", "an old key"]


@pytest.mark.req("S002-TK-7")
def test_actions_taken_are_marked_lines_with_their_times(worked: Worked) -> None:
    rows = [row.split(" | ") for row in worked.section("Timeline") if "disabled" in row or "held the" in row]
    marks = [(row[0].strip("| "), row[3].strip("\\ ")) for row in rows]
    assert marks == [("2026-11-21T13:55:03Z", ">"), ("2026-11-21T14:00:01Z", ">")]


@pytest.mark.req("S002-PM-2")
def test_the_timeline_tells_detection_declaration_and_command(worked: Worked) -> None:
    rows = worked.section("Timeline")
    detected, declared, commander = (
        next(n for n, row in enumerate(rows) if words in row)
        for words in ("support-1 spent too much", "declared SEV-1: refunds in a loop", "ana is ic")
    )
    assert detected < declared <= commander, "a declaration says who commands"
    first = json.loads(next(event.body or b"" for event in worked.events if event.kind == "alert.linked"))
    assert first["alert"]["id"] == "aaaa2222", "the line links to its alert"


@pytest.mark.req("S001-EV-1")
def test_everything_kept_bears_the_incident_id(worked: Worked) -> None:
    assert {event.case for event in worked.events} == {worked.case}
    assert worked.code == f"INC-{worked.case[:4].upper()}"
    assert f"| Case | {worked.case} |" in worked.report


@pytest.mark.req("S001-EV-9")
def test_tool_calls_and_side_effects_behind_the_alert_are_on_the_incidents_record(worked: Worked) -> None:
    """A copy in the incident's own case: it needs neither the watcher's record nor the telemetry."""
    joined = next(event for event in worked.events if event.kind == "alert.linked")
    kept = json.loads(joined.body or b"")["alert"]
    assert kept["actions"] == ["a1"]
    (action,) = kept["sample"]
    assert (action["kind"], action["name"], action["side_effect"]) == ("tool", "payments/payout", "done")


@pytest.mark.req("S001-EV-12")
def test_the_containment_in_force_is_on_the_record(worked: Worked) -> None:
    assert "Containment: 2026-11-21T14:01:05Z: tool denied at the gateway" in worked.report
    assert [json.loads(e.body or b"") for e in worked.events if e.kind == "containment.confirmed"] == [
        {"how": "tool denied at the gateway"}
    ]
