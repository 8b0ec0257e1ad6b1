"""What reports and lines say of orders."""

from __future__ import annotations

from console import events as ev
from console.reports.incident import report
from console.timeline import project
from data.line import Put
from tests.room.strand import T0, strand
from tests.room.test_incident import DECLARED

NAME = "0" * 16
HOSTILE = "fleet/[bold]|x\x1b[2J"


def test_the_report_holds_the_receipt_of_every_order() -> None:
    targets = (ev.Target("fleet/a", "fleet", "a", "http"), ev.Target(HOSTILE, "fleet", "b", "http"))
    events = strand(
        DECLARED,
        ev.MoveOrdered(NAME, "halt_all", "all", reason="refunds in a loop", targets=targets, epoch=7),
        ev.MoveSeen(
            NAME, (ev.Seen(0, "effective", 90), ev.Seen(0, "verified", 120), ev.Seen(1, "refused", 80, "401"))
        ),
        ev.MoveJudged(NAME, "fail", 29_800, 2, 1, (HOSTILE,)),
        ev.MoveAnswered(NAME, HOSTILE, "its host is off", "no ping"),
    )
    text = "\n".join(report(events, T0))
    part = text.split("## Containment")[1].split("## Timeline")[0]
    assert "FAIL after 29.80 s: 1 of 2 held, 1 open" in part
    assert "effective 0.09 s, verified 0.12 s" in part
    assert "its host is off" in part
    assert "refunds in a loop" in part
    assert "\x1b" not in part


def test_a_halt_makes_few_lines_and_a_leak_makes_one() -> None:
    target = ev.Target("fleet/a", "fleet", "a", "http")
    events = strand(
        DECLARED,
        ev.MoveOrdered(NAME, "halt_agent", "agent", "a", reason="it pays twice", targets=(target,)),
        ev.MoveExtended(NAME, (), 7),
        *[ev.MoveSeen(NAME, (ev.Seen(0, "effective", at),)) for at in range(50)],
        ev.MoveJudged(NAME, "pass", 900, 1, 1),
        ev.MoveSeen(NAME, (ev.Seen(0, "leaking", 60_000),)),
    )
    lines = [put.text for each in events[1:] for put in project(each) if isinstance(put, Put)]
    assert lines == [
        f"HALT AGENT a: it pays twice; order {NAME}",
        f"PASS of order {NAME} after 0.9 s: 1 of 1 target held",
        f"LEAKING: 1 target of order {NAME} acts although stopped",
    ]
