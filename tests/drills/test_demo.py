"""The demo as a user runs it without a terminal, and the wall between drills and real incidents."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest

from console.cli import demo as command
from console.drills import demo
from console.drills import scenario as traffic
from console.drills.feeder import write
from console.refusal import Refused
from data.clock import SECOND, ScaledClock, SystemClock, parse_iso
from data.home import Home
from playbooks import load
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
    assert done.err.endswith("warroom: the drill's store is removed; `--keep DIR` would keep it.\n")


def test_a_kept_drill_is_a_drill_to_whoever_opens_it(warroom: Warroom) -> None:
    kept = warroom.folder / "drill"
    mine = warroom.folder / "config" / "warroom" / "config.toml"
    mine.parent.mkdir(parents=True)
    mine.write_text('[[agent]]\nname = "real-agent"\ntools = ["x"]\n[[source]]\npath = "real.jsonl"\n')
    scenario = load.scenario("refund-loop")
    kept.mkdir()
    now = SystemClock().now()
    home = Home.open(kept, "drill", ScaledClock(traffic.start(scenario), now, 1))
    (kept / demo.CONFIG).write_text(demo._configuration(scenario))
    write(kept / demo.ACTIONS, islice(traffic.history(scenario), 50))
    (mine.parent.parent.parent / "real.jsonl").write_text("")
    watcher = subprocess.Popen(
        [*warroom.command, "--home", str(kept), "watch"],
        cwd=warroom.folder,
        env=warroom.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        found = ""
        while " accepted" not in found:
            assert watcher.poll() is None, watcher.communicate()
            found = warroom("--home", str(home.path), "doctor").out
        assert "for DRILLS only" in found
        assert "no OTLP" in found, "the port of the real intake is left alone"
        assert "blind" not in found, "the scenario's agents are declared"
        assert f"{kept / demo.ACTIONS}: " in found
        assert "real.jsonl" not in found
    finally:
        watcher.terminate()
        _, said = watcher.communicate(timeout=30)
    assert said.startswith("warroom: DRILL - not a real incident\n")


def test_what_is_typed_while_the_drill_is_made_waits_for_the_screen(
    warroom: Warroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Making it takes half a second: the terminal must not echo the keys, or take Ctrl+Q for itself."""
    waits: list[bool] = []

    class NoDrill:
        def __init__(self, *_: object) -> None:
            raise Refused(f"the keys wait: {waits}")

    @contextmanager
    def keys_wait() -> Iterator[None]:
        waits.append(True)
        try:
            yield
        finally:
            waits.clear()

    monkeypatch.setattr(command, "keys_wait", keys_wait)
    monkeypatch.setattr(command, "terminal", lambda: True)
    monkeypatch.setattr(demo, "Drill", NoDrill)
    assert "the keys wait: [True]" in warroom.within("demo").err
    assert waits == [], "and the terminal is given back"
    assert "the keys wait: []" in warroom.within("demo", "--headless").err, "nobody types there"


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
