"""A fleet starts quickly, ends as a whole, and leaves no process behind, whatever ends it."""

import signal
import sys
import time

import pytest

from tests.fleet.conftest import Start, alive, until


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_is_left_whatever_ends_the_parent(start: Start, number: signal.Signals) -> None:
    fleet = start("--agents", "6", "--rate", "5", "--hang", "1")
    children = fleet.processes
    assert len(children) >= 6
    assert all(map(alive, children))
    said = fleet.end(number)
    until(lambda: not any(map(alive, children)), "processes were left behind")
    assert fleet.process.returncode == (-9 if number == signal.SIGKILL else 0), said
    again = start("--agents", "2", "--rate", "5")
    assert len(again.agents) == 2, "the directory can be used again"


def test_one_fleet_for_each_directory(start: Start) -> None:
    fleet = start("--agents", "2")
    second = fleet.warroom("fleet", "start", "--dir", str(fleet.root))
    assert second.code == 3
    assert "runs in" in second.err
    status = fleet.warroom.ok("fleet", "status", "--dir", str(fleet.root), "--json")
    assert status.values[0]["agents"] == 2
    assert {each["name"] for each in status.values[1:]} == {each["name"] for each in fleet.agents}
    fleet.warroom.ok("fleet", "stop", "--dir", str(fleet.root))
    assert fleet.process.wait(30) == 0
    assert fleet.warroom("fleet", "status", "--dir", str(fleet.root)).code == 3


def test_a_detached_fleet_goes_on_until_it_is_stopped(start: Start) -> None:
    other = start("--agents", "1")
    root = str(other.root.parent / "detached")
    done = other.warroom("fleet", "start", "--dir", root, "--agents", "3", "--detach")
    try:
        assert done.code == 0, done
        assert "3 agents act" in done.err
        assert other.warroom.within("fleet", "--dir", root, "--json").values[0]["running"] == 3
    finally:
        assert other.warroom("fleet", "stop", "--dir", root).code == 0


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("start", "--agents", "3", "--lie", "4"), "More agents would misbehave"),
        (("start", "--hang", "half"), "half is no number of agents"),
        (("undo", "8", "billing-001.1.1"), "Which effect?"),
        (("undo", "2", "../token"), "not the id of an effect"),
        (("stop",), "No fleet runs"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(start: Start, options: tuple[str, ...], why: str) -> None:
    fleet = start("--agents", "1", name="other")
    done = fleet.warroom.within(
        "fleet", *options, "--dir", str(fleet.root if "undo" in options else fleet.root / "x")
    )
    assert done.code == 3
    assert why in done.err


def test_a_directory_with_something_else_in_it_is_left_alone(start: Start) -> None:
    fleet = start("--agents", "1")
    folder = fleet.root.parent / "mine"
    folder.mkdir()
    (folder / "letter.txt").write_text("dear")
    done = fleet.warroom("fleet", "start", "--dir", str(folder))
    assert done.code == 3
    assert [path.name for path in folder.iterdir()] == ["letter.txt"]


def test_two_hundred_agents_start_act_and_end(start: Start) -> None:
    begun = time.monotonic()
    fleet = start("--agents", "200")
    assert time.monotonic() - begun < 60, "5 s on two quiet cores"
    assert len(set(fleet.processes)) >= 200
    until(lambda: sum(each["calls"] > 0 for each in fleet.get("/agents")["agents"].values()) > 20)
    if sys.platform == "linux":
        memory = 0
        for pid in fleet.processes:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                memory += next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        assert memory < 3_000_000, "KiB of all together, what they share counted once"
    children = fleet.processes
    fleet.end()
    assert not any(map(alive, children))
