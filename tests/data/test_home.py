import json
from pathlib import Path

import pytest

from data.case import Case
from data.clock import ManualClock, ScaledClock, SystemClock
from data.home import Home
from data.trouble import StoreTrouble


def test_a_home_stays_the_same(tmp_path: Path) -> None:
    first, second = Home.open(tmp_path / "a" / "b"), Home.open(tmp_path / "a" / "b")
    assert first.replica == second.replica
    assert len(first.replica) == 32
    assert first.replica != Home.open(tmp_path / "c").replica
    assert isinstance(first.clock, SystemClock)


def test_processes_of_a_drill_share_one_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Home.open(tmp_path, "drill", ScaledClock(1_000, 2_000, 60.0))
    for clock in (None, ScaledClock(5, 6, 7)):
        opened = Home.open(tmp_path, "drill", clock).clock
        assert isinstance(opened, ScaledClock)
        assert vars(opened) == vars(made.clock)
    assert isinstance(Home.open(tmp_path, "drill", ManualClock(1)).clock, ManualClock)


def test_a_drill_is_never_live_and_the_other_way_round(tmp_path: Path) -> None:
    Home.open(tmp_path / "drill", "drill")
    Home.open(tmp_path / "live")
    with pytest.raises(StoreTrouble, match="for drills, and was opened for real"):
        Home.open(tmp_path / "drill")
    with pytest.raises(StoreTrouble, match="for real incidents, and was opened for drills"):
        Home.open(tmp_path / "live", "drill")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"v":2,"mode":"live","replica":"%s"}' % (b"0" * 32),
        b'{"v":1,"mode":"live","replica":"../.."}',
        b'{"v":1,"mode":"party","replica":"%s"}' % (b"0" * 32),
        b'{"v":1,"mode":"drill","replica":"%s","clock":{"start":"x","anchor":"y","speed":1}}' % (b"0" * 32),
        b"[" * 70_000,
    ],
)
def test_a_damaged_home_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "home.json").write_bytes(content)
    with pytest.raises(StoreTrouble, match=r"home\.json"):
        Home.open(tmp_path)
    assert (tmp_path / "home.json").read_bytes() == content


def test_cases_are_those_with_a_log(case: Case, home: Home) -> None:
    (home.path / "cases" / ("a" * 26)).mkdir()
    (home.path / "cases" / "notes").mkdir()
    assert home.cases() == [case.id]
    assert home.case_dir(case.id) == case.directory
    for name in ("..", "../../etc", "A" * 26, ""):
        with pytest.raises(ValueError, match="case id"):
            home.case_dir(name)


def test_home_json_is_readable_by_people(tmp_path: Path) -> None:
    Home.open(tmp_path, "drill", ScaledClock(0, 10**9, 2.0))
    said = json.loads((tmp_path / "home.json").read_text())
    assert said["clock"] == {
        "start": "1970-01-01T00:00:00.000000000Z",
        "anchor": "1970-01-01T00:00:01.000000000Z",
        "speed": 2.0,
    }
