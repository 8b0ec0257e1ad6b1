"""`warroom remote` and `warroom sync`: set up, look, exchange, and let go."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.cli import exits
from tests.cli.conftest import Warroom


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    return shelf


def configuration(warroom: Warroom) -> str:
    return (warroom.folder / "config" / "warroom" / "config.toml").read_text()


def test_what_waits_is_listed_by_incident_until_it_is_shared(warroom: Warroom, shelf: Path) -> None:
    assert "stays on this machine" in warroom("remote").out.replace("stay on", "stays on")
    added = warroom("remote", "add", "team", f"dir:{shelf}")
    assert (added.code, "team is set up" in added.out) == (exits.OK, True)
    code = warroom("declare", "refunds in a loop").out.split()[0]
    assert f"{code}  3 not shared" in warroom("remote").out
    assert "0 events in, 4 out" in warroom("sync").out
    assert "everything written here is shared" in warroom("remote").out
    assert warroom("remote", "--json").values == [
        {
            "name": "team",
            "url": f"dir:{shelf}",
            "mask": "none",
            "incidents": [{"incident": code, "pending": 0, "oldest": ""}],
        }
    ]
    warroom("note", "one more")
    (listed,) = warroom("remote", "--json").values
    assert listed["incidents"][0]["pending"] == 1
    assert listed["incidents"][0]["oldest"].endswith("Z")


def test_two_homes_come_to_hold_the_same_by_hand(warroom: Warroom, shelf: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ben"
    folder.mkdir()
    other = Warroom(folder)
    for each in (warroom, other):
        assert each("remote", "add", "team", f"dir:{shelf}").code == exits.OK
    code = warroom("declare", "refunds in a loop").out.split()[0]
    for each in (warroom, other):
        assert each("sync").code == exits.OK
    assert other("note", "seen from ben's console", "--incident", code).code == exits.OK
    for each in (other, warroom):
        assert each("sync").code == exits.OK
    assert "seen from ben's console" in warroom("log").out
    for each in (warroom, other):
        assert each("verify", "--all").code == exits.OK


def test_a_remote_that_cannot_be_reached_is_not_set_up_unless_asked_for(
    warroom: Warroom, shelf: Path
) -> None:
    gone = shelf / "not mounted"
    refused = warroom("remote", "add", "stick", f"dir:{gone}")
    assert refused.code != exits.OK
    assert "is not there" in refused.err
    assert "No remote is set up" in warroom("remote").out
    assert warroom("remote", "add", "stick", f"dir:{gone}", "--no-probe").code == exits.OK
    warroom("declare", "refunds in a loop")
    failed = warroom("sync")
    assert failed.code == exits.FAILED
    assert "Nothing is lost" in failed.out
    gone.mkdir()
    assert warroom("sync").code == exits.OK


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "team"), "Where is it?"),
        (("add", "team", "gopher://nowhere"), "gopher"),
        (("add", "../team", "dir:/tmp"), "name"),
        (("remove", "nobody"), "no remote nobody"),
        (("probe", "nobody"), "no remote nobody"),
        (("add",), "Which remote?"),
    ],
)
def test_a_mistake_changes_nothing(warroom: Warroom, arguments: tuple[str, ...], said: str) -> None:
    done = warroom("remote", *arguments)
    assert done.code != exits.OK
    assert said in done.err
    assert "Traceback" not in done.err
    assert "No remote is set up" in warroom("remote").out


def test_removing_keeps_what_a_person_wrote_in_the_configuration(warroom: Warroom, shelf: Path) -> None:
    warroom("remote", "add", "team", f"dir:{shelf}")
    path = warroom.folder / "config" / "warroom" / "config.toml"
    path.write_text("# ours\n" + path.read_text())
    assert warroom("remote", "add", "team", f"dir:{shelf}").code != exits.OK
    assert warroom("remote", "probe", "team").code == exits.OK
    assert warroom("remote", "remove", "team").code == exits.OK
    assert "# ours" in configuration(warroom)
    assert "[[remote]]" not in configuration(warroom)


def test_a_correction_by_a_console_that_is_not_on_the_roster_says_that_it_has_no_effect(
    warroom: Warroom, shelf: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "ben"
    folder.mkdir()
    other = Warroom(folder)
    for each in (warroom, other):
        path = each.folder / "config" / "warroom" / "config.toml"
        path.parent.mkdir(parents=True)
        path.write_text('[trust]\npolicy = "list"\n')
        each.ok("remote", "add", "team", f"dir:{shelf}")
    warroom.ok("declare", "refunds in a loop")
    warroom.ok("note", "the total is 1,204")
    (said,) = [line for line in warroom("log", "--json").values if line["text"] == "the total is 1,204"]
    for each in (warroom, other):
        each.ok("sync")
    other.ok("amend", said["id"], "the total is 12", "miscounted")
    for each in (other, warroom):
        each.ok("sync")
    assert "the total is 1,204" in warroom("log").out
    history = warroom("log", "--history", said["id"], "--json").values
    assert [each.get("counts", True) for each in history] == [True, False]
    assert "without effect: its console is not on the roster" in warroom("log", "--history", said["id"]).out
    (stranger,) = [each["replica"] for each in warroom("roster", "--json").values if not each["how"]]
    warroom.ok("roster", "add", stranger)
    history = warroom("log", "--history", said["id"], "--json").values
    assert [each.get("counts", True) for each in history] == [True, True]
