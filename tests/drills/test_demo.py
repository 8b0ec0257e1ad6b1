"""The demo as a user runs it without a terminal, and the wall between drills and real incidents."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from data.clock import SECOND, parse_iso
from tests.cli.conftest import Warroom


@pytest.fixture
def warroom(tmp_path: Path) -> Warroom:
    return Warroom(tmp_path)


@pytest.mark.req("S003-MT-1", "S003-MT-2", "S003-MT-3", "S003-MT-5", "S003-KS-9")
def test_a_headless_drill_plays_the_incident_and_its_response(warroom: Warroom) -> None:
    kept = warroom.folder / "drill"
    done = warroom.ok("demo", "--keep", str(kept))
    assert done.lines[0].startswith("DRILL - not a real incident")
    for rule in (
        "spent",
        "calls in one hour",
        "had not used before",
        "without an approved review",
        "inventory entry",
    ):
        assert any("ALERT" in line and "PAGES" in line and rule in line for line in done.lines), rule
    assert "CONTAINED" in done.out
    assert done.out.count(": sound, ") == 2
    assert done.lines[-1].startswith("DRILL over")
    assert not warroom.home.exists()

    def kept_drill(*arguments: str) -> str:
        asked = warroom.ok("--home", str(kept), *arguments)
        assert "DRILL - not a real incident" in asked.err
        return asked.out

    (state,) = map(json.loads, kept_drill("show", "--json").splitlines())
    assert state["mode"] == "drill"
    assert state["contained_at"].startswith("2026-11-18T13:5")
    assert {row["id"]: row["state"] for row in state["rollback"]}["external-calls"] == "verified"
    chain = [state["chain"][name] for name in ("action", "signal", "trigger", "page", "acknowledgement")]
    assert chain[0] <= chain[1] <= chain[2] <= chain[4]
    assert chain[0] <= chain[3] <= chain[4]
    clocks = {clock["id"]: clock for row in state["rollback"] for clock in row["clocks"]}
    contained = parse_iso(state["contained_at"])
    assert parse_iso(clocks["reverse"]["due"]) - contained == 24 * 3600 * SECOND
    assert parse_iso(clocks["follow-up"]["due"]) - contained == 4 * 3600 * SECOND
    assert {alert["rule"] for alert in state["alerts"]} >= {"cost-rate", "authorisation"}
    alert = next(alert for alert in state["alerts"] if alert["rule"] == "authorisation")
    detail = kept_drill("alerts", alert["id"])
    assert "payments/payout" in detail
    assert "support-refunds.loop." in detail
    report = kept_drill("export")
    assert report.startswith("# DRILL: not a real incident. [SEV-2] ")
    assert "2026-11-18T13:50:2" in report


def test_a_drill_never_touches_a_home_for_real_incidents(warroom: Warroom) -> None:
    warroom.ok("declare", "a real one")
    before = sorted(path.name for path in warroom.home.iterdir())
    done = warroom("demo", "--headless", "--keep", str(warroom.home))
    assert done.code == 3
    assert "not empty" in done.err
    assert sorted(path.name for path in warroom.home.iterdir()) == before


def test_a_drill_without_keep_leaves_nothing_behind(warroom: Warroom) -> None:
    temporary = warroom.folder / "tmp"
    temporary.mkdir()
    done = warroom("demo", "--headless", "--speed", "200", more={"TMPDIR": str(temporary)})
    assert done.code == 0, done
    assert list(temporary.iterdir()) == []


def test_an_unknown_scenario_is_refused(warroom: Warroom) -> None:
    done = warroom("demo", "--scenario", "../roles")
    assert done.code == 3
    assert "refund-loop" in done.err


def test_make_demo_needs_no_terminal() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    assert "$(BIN)/warroom demo $(DEMO_ARGS)" in makefile
    script = Path(sys.executable).parent / "warroom"
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("warroom ")
