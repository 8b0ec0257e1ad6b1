"""`warroom remote` and `warroom sync`: set up, look, exchange, and let go."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from console.cli import exits
from console.timeline import project
from data.case import Case
from data.home import Home
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
    (listed,) = warroom("remote", "--json").values
    waits = listed["incidents"][0]["pending"]
    assert waits > 0
    assert f"{code}  {waits} not shared" in warroom("remote").out
    # One more than was counted: the checkpoint that goes with each push.
    assert f"0 events in, {waits + 1} out" in warroom("sync").out
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


def test_a_record_that_cannot_be_written_is_said_to_be_so_and_keeps_no_other_back(
    warroom: Warroom, shelf: Path
) -> None:
    warroom.quick("remote", "add", "team", f"dir:{shelf}")
    torn, sound = (warroom.quick("declare", title).out.split()[0] for title in ("one", "two"))
    (directory,) = [
        path for path in (warroom.home / "cases").iterdir() if torn == f"INC-{path.name[:4].upper()}"
    ]
    log = directory / "log.db"
    whole = log.read_bytes()
    log.write_bytes(b"no database" * 1000)
    done = warroom.within("sync")
    assert done.code == exits.FAILED
    assert f"{torn} with team: NOT SHARED: log.db is damaged." in done.out
    (told,) = [each for each in warroom.within("sync", "--json").values if each["incident"] == sound]
    assert (told["pending"], "trouble" in told) == (0, False)
    log.write_bytes(whole)
    # Behind a passphrase that nobody gave, nothing can be signed.
    warroom.within("identity", "passphrase", more={"WARROOM_NEW_PASSPHRASE": "a long one"})
    locked = warroom.within("sync")
    assert locked.code == exits.FAILED
    assert locked.out.count("NOT SHARED: ") == 2
    assert locked.out.count("needs its passphrase") == 2
    assert "another war room" not in locked.out
    (told, _) = warroom.within("sync", "--json").values
    assert "passphrase" in told["trouble"]
    unlocked = warroom.within("sync", more={"WARROOM_PASSPHRASE": "a long one"})
    assert (unlocked.code, "NOT SHARED" in unlocked.out) == (exits.OK, False)


def test_a_war_room_that_has_an_incident_open_is_no_failure(declared: Warroom, shelf: Path) -> None:
    declared.quick("remote", "add", "team", f"dir:{shelf}")
    home = Home.open(declared.home)
    with closing(Case.open(home.case_dir(home.cases()[0]), home, project)) as case:
        assert case.writer
        done = declared.quick("sync")
    assert "another war room on this machine has it open, and shares it" in done.out


def test_a_remote_that_is_mistyped_is_named_and_nothing_is_exchanged(declared: Warroom, shelf: Path) -> None:
    declared.quick("remote", "add", "team", f"dir:{shelf}")
    for name, said in (("taem", "Did you mean team?"), ("xyz", "`warroom remote` lists them.")):
        done = declared.within("sync", name)
        assert done.code == exits.REFUSED
        assert f"There is no remote {name}. {said}" in done.err
        assert done.out == ""
    assert not any(path.is_file() for path in shelf.rglob("*/segments/*"))
    assert declared.quick("sync", "team", "--json").values[0]["pushed"] > 0


@pytest.mark.parametrize("text", [b"[me\n", b"\xff\xfe", b"remote = 1\n[me]\nname = "])
def test_a_configuration_that_is_no_toml_is_named_and_left_as_it_is(
    warroom: Warroom, shelf: Path, text: bytes
) -> None:
    path = warroom.folder / "config" / "warroom" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_bytes(text)
    for command in (("add", "team", f"dir:{shelf}"), ("remove", "team")):
        done = warroom.within("remote", *command)
        assert done.code == exits.REFUSED
        assert f"{path} is not TOML" in done.err
    assert path.read_bytes() == text
    assert list(shelf.iterdir()) == [], "nothing is probed for a remote that cannot be set up"


def test_a_configuration_behind_a_link_is_changed_where_it_lies(warroom: Warroom, shelf: Path) -> None:
    path, dotfiles = warroom.folder / "config" / "warroom" / "config.toml", warroom.folder / "dotfiles"
    path.parent.mkdir(parents=True)
    dotfiles.mkdir()
    (dotfiles / "warroom.toml").write_text("# ours\n")
    path.symlink_to("../../dotfiles/warroom.toml")
    warroom.quick("remote", "add", "team", f"dir:{shelf}")
    assert path.is_symlink()
    assert (dotfiles / "warroom.toml").read_text().startswith("# ours\n")
    assert "[[remote]]" in (dotfiles / "warroom.toml").read_text()
    warroom.quick("remote", "remove", "team")
    assert (path.is_symlink(), (dotfiles / "warroom.toml").read_text().rstrip()) == (True, "# ours")


def test_a_configuration_that_was_named_and_is_made_by_this_is_no_mistake(
    warroom: Warroom, shelf: Path, tmp_path: Path
) -> None:
    named = {"WARROOM_CONFIG": str(tmp_path / "elsewhere" / "config.toml")}
    assert "does not exist" in warroom.within("config", "check", more=named).out
    added = warroom.within("remote", "add", "team", f"dir:{shelf}", more=named)
    assert (added.code, added.err) == (exits.OK, "")
    assert warroom.within("remote", "--json", more=named).values[0]["name"] == "team"


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
