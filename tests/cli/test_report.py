"""The report says how long detection took, phase by phase, and judges it by the target."""

import pytest

from console import events as ev
from console.reports.incident import report
from tests.room.strand import T0, strand

CHAIN: tuple[ev.MomentName, ...] = ("action", "signal", "trigger", "page", "acknowledgement")


def clocks(**moments: str) -> list[str]:
    """The section of the report about the clocks, of an incident with these moments stated."""
    stated = [ev.MomentRecorded(name, f"2026-11-21T{at}.000000000Z") for name, at in moments.items()]  # type: ignore[arg-type]
    lines = list(report(strand(ev.Declared("refunds in a loop", 2, "SEV-2"), *stated), T0))
    start = lines.index("## Clocks")
    return lines[start : lines.index("## Alerts")]


@pytest.mark.req("S003-MT-1", "S003-MT-2", "S003-MT-3", "S003-MT-4", "S003-MT-5")
def test_every_phase_of_the_chain_stands_in_the_report_in_order() -> None:
    hours = dict(zip(CHAIN, ("09:00:00", "09:01:00", "09:02:30", "09:03:00", "09:10:00"), strict=True))
    rows = [line.strip("| ").split(" | ") for line in clocks(**hours) if line.startswith("| ")]
    assert [(row[0], row[1]) for row in rows if row[0] in CHAIN] == [
        (name, f"2026-11-21T{at}Z") for name, at in hours.items()
    ]


@pytest.mark.req("S003-DET-1", "S003-MT-6.1", "X-10.1", "X-10.2")
@pytest.mark.parametrize(
    ("acknowledged", "says"),
    [
        ("12:59:59", "3:59:59, within the target of 4 h"),
        ("13:00:00", "4:00:00, within the target of 4 h"),
        ("13:00:01", "4:00:01, LATER THAN the target of 4 h"),
    ],
)
def test_the_target_is_judged_from_the_action_to_the_acknowledgement(acknowledged: str, says: str) -> None:
    lines = clocks(action="09:00:00", page="09:20:00", acknowledgement=acknowledged)
    assert f"Action to acknowledgement: {says}." in lines
    assert "Action to page: 0:20:00." in lines, "a page alone is no awareness: it has no verdict"


@pytest.mark.req("S003-DET-1")
def test_without_an_acknowledgement_there_is_no_verdict() -> None:
    lines = clocks(action="09:00:00", page="09:20:00")
    assert "Action to page: 0:20:00." in lines
    assert not any("target" in line for line in lines)
    assert not any(line.startswith("Action to") for line in clocks(page="09:20:00"))
