"""Damage in one file stops nothing that does not need that file, and is said where it matters."""

from pathlib import Path

import pytest

from console.cli import exits
from tests.cli.conftest import Warroom

JUNK = {"short": b"junk", "long": b"not a database. " * 5000, "empty": b""}


def junk(path: Path, content: bytes) -> None:
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.write_bytes(content)


def incident(warroom: Warroom) -> Path:
    (directory,) = warroom.home.glob("cases/*")
    return directory


WORK = (
    ["note", "still works"],
    ["tick", "declare"],
    ["show"],
    ["log"],
    ["incidents"],
    ["export"],
    ["verify"],
    ["declare", "another one"],
)


@pytest.mark.parametrize("content", JUNK.values(), ids=JUNK)
def test_a_broken_alert_board_blocks_no_incident_and_is_said(declared: Warroom, content: bytes) -> None:
    (declared.home / "watch").mkdir(exist_ok=True)
    junk(declared.home / "watch" / "log.db", content)
    for command in WORK:
        done = declared.within(*command)
        assert done.code == 0, done
    for command in (["alerts"], ["ack"]):
        done = declared.within(*command)
        assert done.code == 4, done
        assert len(done.err.splitlines()) == 1
    doctor = declared.within("doctor")
    assert doctor.code == 1
    assert "the watcher's record: " in doctor.out


@pytest.mark.parametrize("content", JUNK.values(), ids=JUNK)
def test_a_broken_view_is_made_again(declared: Warroom, content: bytes) -> None:
    declared.quick("note", "before the damage")
    junk(incident(declared) / "view.db", content)
    for command in ("log", "show", "export"):
        done = declared.quick(command)
        assert "before the damage" in done.out or command == "show"
        assert done.err == ""
    declared.quick("note", "after it")
    assert [line["text"] for line in declared.quick("log", "--json").values][-1] == "after it"


def test_a_view_that_is_damaged_inside_is_made_again(declared: Warroom) -> None:
    for n in range(0, 60, 20):
        declared.quick("note", f"line {n} " + "x" * 2000)
    view = incident(declared) / "view.db"
    whole = view.read_bytes()
    for start in range(4096, len(whole), 4096):
        junk(view, whole[:start] + b"\xa5" * 4096 + whole[start + 4096 :])
        done = declared.within("log")
        assert (done.code, done.err) == (0, ""), (start, done)
        assert "line 40" in done.out


def test_what_is_broken_in_one_incident_hides_no_other(declared: Warroom) -> None:
    broken = incident(declared)
    declared.quick("declare", "the sound one")
    junk(broken / "view.db", JUNK["long"])
    junk(broken / "log.db", JUNK["long"])
    for command in (*WORK[:4], *WORK[5:7]):
        done = declared.within(*command)
        assert done.code == 0, done
        # Which incident is the newest open one cannot be told for sure, and that is said.
        assert done.err.splitlines()[0].startswith(f"warroom: INC-{broken.name[:4].upper()} is left out:")
    named = declared.quick("show", "--incident", next(c.name for c in broken.parent.iterdir() if c != broken))
    assert named.err == ""
    listed = declared.within("incidents")
    assert listed.code == 0
    assert "the sound one" in listed.out
    assert "is left out: log.db" in listed.err


def test_doctor_notices_damage_inside_a_record(declared: Warroom) -> None:
    log = incident(declared) / "log.db"
    for n in range(3):
        declared.quick("note", f"{n} " + "x" * 3000)
    assert declared.within("doctor").code == 0
    whole = log.read_bytes()
    junk(log, whole[: 2 * 4096] + b"\xa5" * 4096 + whole[3 * 4096 :])
    done = declared.within("doctor")
    assert done.code == 1
    assert "log.db is damaged" in done.out
    assert "warroom verify --all" in done.out


def test_a_case_directory_without_its_log_is_said_and_a_remote_restores_it(
    declared: Warroom, tmp_path: Path
) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    declared.quick("note", "before the loss")
    declared.quick("remote", "add", "team", f"dir:{shelf}")
    declared.quick("sync")
    (code,) = [line.split()[0] for line in declared.quick("incidents").lines]
    for log in declared.home.glob("cases/*/log.db*"):
        log.unlink()
    listed = declared.quick("incidents")
    assert (code in listed.err, "case directory without its log" in listed.err) == (True, True)
    for arguments in (("verify", "--all"), ("verify", "--incident", code)):
        checked = declared.within(*arguments)
        assert (checked.code, f"{code}: NOT HERE" in checked.out) == (exits.FAILED, True)
        assert "warroom sync" in checked.out
    examined = declared.within("doctor")
    assert (examined.code, "case directory without its log" in examined.out) == (exits.FAILED, True)
    declared.quick("sync")
    assert "before the loss" in declared.quick("log").out
    assert declared.within("verify", "--all").code == exits.OK
    assert declared.quick("incidents").err == ""


def test_reading_makes_no_new_key_writing_does_and_the_lost_one_can_be_put_back(declared: Warroom) -> None:
    key = declared.home / "identity.pem"
    old, replica = key.read_bytes(), declared.quick("identity", "--json").values[0]["replica"]
    key.unlink()
    for reading in ("show", "log", "incidents", "verify", "identity", "roster"):
        assert "makes a new one" in declared.quick(reading).err
    assert "makes a new key" in declared.within("doctor").out
    assert not key.exists(), "reading makes no key: the old one may still be put back"
    told = declared.quick("note", "who am I?")
    assert "makes a new one" in told.err
    assert f"put the old identity.pem back into {declared.home}" in told.err
    assert "this console is not on the roster" in told.err
    assert "a new one" not in declared.quick("note", "and now?").err
    key.write_bytes(old)
    assert "roster" not in declared.quick("note", "I am back").err
    assert declared.quick("identity", "--json").values[0]["replica"] == replica
    said = {value["text"]: value["counts"] for value in declared.quick("log", "--json").values}
    assert (said["who am I?"], said["I am back"]) == (False, True)
    assert declared.within("verify", "--all").code == exits.OK
