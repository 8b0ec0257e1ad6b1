"""`warroom verify --against`: a record is held against what lies elsewhere, as an auditor would do it."""

import json
import shutil
import signal
import socket
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from mnemonic import Mnemonic

from data.against import in_remote
from data.home import Home
from data.remotes import RemoteTrouble
from tests.cli.conftest import Done, Warroom
from tests.data.test_tamper import chain, rewrite


@pytest.fixture
def warroom(tmp_path: Path) -> Warroom:
    made = Warroom(tmp_path)
    made.quick("--as", "ana", "declare", "refunds in a loop")
    made.quick("--as", "ana", "note", "the agent was stopped at once")
    return made


def case_dir(warroom: Warroom) -> Path:
    (directory,) = (warroom.home / "cases").iterdir()
    return directory


def words(warroom: Warroom) -> str:
    (value,) = warroom.quick("verify", "--json").values
    assert value["root"]["words"] in warroom.quick("verify").out
    return str(value["root"]["words"])


def against(warroom: Warroom, what: str) -> tuple[int, dict[str, object]]:
    done = warroom.within("verify", "--against", what, "--json")
    assert done.err == "", done
    value = json.loads(done.out)
    return done.code, value["against"]


def shared(warroom: Warroom) -> str:
    share = warroom.folder / "share"
    share.mkdir()
    warroom.quick("remote", "add", "team", f"dir:{share}")
    warroom.quick("sync")
    return "team"


def sources(warroom: Warroom) -> dict[str, str]:
    """Everything that a record can be held against, made of the record as it is now."""
    root = words(warroom)
    remote = shared(warroom)
    bundle, copy = warroom.folder / "incident.tar", warroom.folder / "copy"
    warroom.quick("export", "--bundle", "-o", str(bundle))
    shutil.copytree(warroom.home, copy)
    (value,) = warroom.quick("verify", "--json").values
    return {
        "remote": remote,
        "address": f"dir:{warroom.folder / 'share'}",
        "bundle": str(bundle),
        "home": str(copy),
        "case directory": str(copy / "cases" / case_dir(warroom).name),
        "log": str(copy / "cases" / case_dir(warroom).name / "log.db"),
        "words": root.upper().replace(" ", ", "),
        "hash": value["root"]["hash"],
    }


def test_a_record_that_grew_agrees_with_everything_it_was_held_in(warroom: Warroom) -> None:
    places = sources(warroom)
    warroom.quick("--as", "ana", "note", "written after that")
    for place, what in places.items():
        code, found = against(warroom, what)
        assert (code, found["agrees"], found["differences"]) == (0, True, []), place
        assert found["covers"], place
    text = warroom.quick("verify", "--against", places["bundle"]).out
    assert "agrees with" in text
    assert "it knows nothing of the other" in text


def test_an_older_copy_that_was_put_back_is_found(warroom: Warroom) -> None:
    older = warroom.folder / "older"
    shutil.copytree(case_dir(warroom), older)
    warroom.quick("--as", "ana", "note", "ana approved the refunds herself")
    places = sources(warroom)
    shutil.rmtree(case_dir(warroom))
    shutil.copytree(older, warroom.home / "cases" / Path(places["case directory"]).name)
    assert warroom.within("verify").code == 0  # alone with the file, nobody can tell
    for place, what in places.items():
        code, found = against(warroom, what)
        assert (code, found["agrees"]) == (1, False), place
    told = warroom.within("verify", "--against", "team")
    assert told.code == 1
    assert "DOES NOT AGREE with team" in told.out
    assert "`warroom sync` brings it" in told.out
    # It says the truth: synced, the record is whole again.
    warroom.quick("sync")
    assert against(warroom, "team")[0] == 0


def test_history_that_was_rewritten_with_the_key_is_found(warroom: Warroom) -> None:
    older = warroom.folder / "older"
    shutil.copytree(case_dir(warroom), older)
    places = sources(warroom)
    identity = Home.open(warroom.home).identity
    shutil.rmtree(case_dir(warroom))
    shutil.copytree(older, warroom.home / "cases" / Path(places["case directory"]).name)
    with closing(sqlite3.connect(case_dir(warroom) / "log.db", isolation_level=None)) as db:
        (seq,) = db.execute("SELECT max(seq) FROM events WHERE kind = 'note.written'").fetchone()
        rewrite(db, seq, "the agent was stopped after an hour")
        chain(db, seq, identity)
    for number in range(5):
        warroom.quick("--as", "ana", "note", f"and the record goes on {number}")
    assert warroom.within("verify").code == 0
    for place, what in places.items():
        code, found = against(warroom, what)
        assert (code, found["agrees"]) == (1, False), place
        if place not in ("words", "hash"):
            assert {each["kind"] for each in found["differences"]} == {"witness"}, place  # type: ignore[attr-defined]
    assert "rewritten with that console's key" in " ".join(
        warroom.within("verify", "--against", "team").out.split()
    )


def refused(done: Done) -> str:
    assert (done.out, len(done.err.splitlines())) == ("", 1), done
    assert done.code in (3, 4), done
    return done.err


def test_what_cannot_be_compared_is_one_sentence(warroom: Warroom) -> None:
    root = words(warroom).split()
    book = Mnemonic("english")
    misheard = next(word for word in book.wordlist if not book.check(" ".join([word, *root[1:]])))
    share = warroom.folder / "empty"
    share.mkdir()
    torn = warroom.folder / "torn.tar"
    torn.write_bytes(b"torn")
    other = Warroom(warroom.folder / "other")
    other.folder.mkdir()
    other.quick("declare", "another one")
    for what, why in {
        "nowhere": "no remote, no file and no directory nowhere",
        f"dir:{share}": "holds nothing of",
        f"dir:{share / 'gone'}": "is not there",
        str(torn): "no bundle that can be read",
        str(other.home): "holds nothing of",
        str(case_dir(other)): "is about INC-",
        str(warroom.home): "the home of this very record",
        " ".join(root[:11]): "these are 11 words",
        " ".join([*root[:11], "hullo"]): "`hullo` is none of the words",
        " ".join([misheard, *root[1:]]): "one of the words is another one",
    }.items():
        assert why in refused(warroom.within("verify", "--against", what))
    assert "One record at a time" in refused(warroom.within("verify", "--all", "--against", str(torn)))


def test_a_copy_that_does_not_hold_together_proves_nothing(warroom: Warroom) -> None:
    copy = warroom.folder / "copy"
    shutil.copytree(case_dir(warroom), copy)
    with closing(sqlite3.connect(copy / "log.db", isolation_level=None)) as db:
        db.execute("UPDATE events SET body = x'7b7d' WHERE n = 2")
    assert "does not hold together itself" in refused(warroom.within("verify", "--against", str(copy)))


def test_a_copy_of_an_open_record_on_a_protected_medium_is_read(
    warroom: Warroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = warroom.folder / "copy"
    copy.mkdir()
    with closing(sqlite3.connect(case_dir(warroom) / "log.db", isolation_level=None)) as db:
        db.execute("CREATE TABLE beside (a)")
        db.execute("DROP TABLE beside")
        for name in ("log.db", "log.db-wal"):
            shutil.copy(case_dir(warroom) / name, copy / name)
    assert (copy / "log.db-wal").stat().st_size
    # Whoever runs this may be root, whom no mode keeps from writing.
    monkeypatch.setattr("data.against.os.access", lambda path, *_, **__: Path(path) != copy)
    code, found = against(warroom, str(copy))
    assert (code, found["agrees"]) == (0, True)
    assert sorted(each.name for each in copy.iterdir()) == ["log.db", "log.db-wal"]


def test_objects_of_a_remote_that_are_not_what_they_say_are_named_and_left_out(warroom: Warroom) -> None:
    remote = shared(warroom)
    warroom.quick("note", "more")
    warroom.quick("sync")
    (first, *_) = sorted((warroom.folder / "share").rglob("*.seg"))
    first.write_bytes(first.read_bytes() + b"x")
    done = warroom.within("verify", "--against", remote)
    assert done.code == 0
    assert "left out there:" in done.out


class OneTooLarge:
    """A remote with a segment that cannot be had."""

    def __init__(self, *, passing: bool) -> None:
        self.name = f"{'a' * 26}/{'b' * 32}.1/{1:012d}-{1:012d}-{'c' * 64}.seg"
        self._passing = passing

    def list(self, prefix: str) -> list[str]:
        return [self.name]

    def get(self, name: str) -> bytes:
        raise RemoteTrouble("It has too many bytes.", "", "", passing=self._passing)


def test_an_object_that_nobody_can_have_is_named_and_keeps_nothing_back() -> None:
    remote: Any = OneTooLarge(passing=False)
    assert in_remote(remote, "a" * 26).bad == (f"{remote.name}: It has too many bytes.",)
    silent: Any = OneTooLarge(passing=True)
    with pytest.raises(RemoteTrouble):
        in_remote(silent, "a" * 26)


def test_what_another_console_saw_counts_where_the_segments_themselves_are_gone(warroom: Warroom) -> None:
    """Ana takes her own segments off the remote and puts back an older copy; Ben's checkpoint there saw more."""
    code, found, replica, _ = rolled_back(warroom, on_the_roster=True)
    assert (code, found["agrees"]) == (1, False)
    assert replica in {each["rep"] for each in found["differences"]}  # type: ignore[attr-defined]


def test_what_a_console_says_it_saw_that_is_not_on_the_roster_is_named_and_no_proof(warroom: Warroom) -> None:
    """The same, and to her record Ben is a stranger: so is anybody who may write to the remote."""
    code, found, _, ben = rolled_back(warroom, on_the_roster=False)
    assert (code, found["agrees"]) == (1, False), "what Ben wrote himself is signed, and is not here"
    assert {each["rep"] for each in found["differences"]} == {ben}  # type: ignore[attr-defined]
    said = warroom.within("verify", "--against", "team").out
    assert f"{ben[:8]} says that it saw" in said


def rolled_back(warroom: Warroom, *, on_the_roster: bool) -> tuple[int, dict[str, object], str, str]:
    share = warroom.folder / "share"
    shared(warroom)
    ben = Warroom(warroom.folder / "ben")
    ben.folder.mkdir()
    ben.quick("remote", "add", "team", f"dir:{share}")
    ben.quick("sync")
    ben.quick("--as", "ben", "note", "here I am")
    ben.quick("sync")
    rep = Home.open(ben.home).replica
    if on_the_roster:
        warroom.quick("sync")
        warroom.quick("--as", "ana", "roster", "add", rep)
    older = warroom.folder / "older"
    shutil.copytree(case_dir(warroom), older)
    warroom.quick("--as", "ana", "note", "ana approved the refunds herself")
    warroom.quick("sync")
    ben.quick("sync")
    ben.quick("--as", "ben", "note", "I read all that")
    ben.quick("sync")
    replica = Home.open(warroom.home).replica
    mine = [each for each in share.rglob("*.seg") if each.parent.name.startswith(replica)]
    assert mine
    for each in mine:
        each.unlink()
    there = case_dir(warroom)
    shutil.rmtree(there)
    shutil.copytree(older, there)
    assert warroom.within("verify").code == 0
    return *against(warroom, "team"), replica, rep


class Several:
    """A remote with some segments that are none, and that answers only once two are asked for together."""

    def __init__(self) -> None:
        self.names = [f"{'a' * 26}/{'b' * 32}.1/{n:012d}-{n:012d}-{'c' * 64}.seg" for n in range(1, 11)]
        self.two = Barrier(2, timeout=30)

    def list(self, prefix: str) -> list[str]:
        return self.names

    def get(self, name: str) -> bytes:
        self.two.wait()
        return b""


def test_a_remote_is_asked_for_the_next_objects_while_one_is_on_its_way() -> None:
    remote: Any = Several()
    shown: list[tuple[int, int]] = []
    found = in_remote(remote, "a" * 26, progress=lambda done, total: shown.append((done, total)))
    assert [each.split(":")[0] for each in found.bad] == remote.names
    assert shown == [(done, 10) for done in range(10)]


def test_ctrl_c_ends_it_while_a_remote_does_not_answer(warroom: Warroom) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        options = f'endpoint = "{endpoint}", access_key_id = "a", secret_access_key = "b", timeout = "60"'
        config = warroom.folder / "config" / "warroom" / "config.toml"
        config.parent.mkdir(parents=True)
        config.write_text(f'[[remote]]\nname = "team"\nurl = "s3://evidence"\noptions = {{{options}}}\n')
        command = [*warroom.command, "verify", "--against", "team"]
        process = subprocess.Popen(
            command,
            env=warroom.environment,
            cwd=warroom.folder,
            stderr=subprocess.PIPE,
            # A shell that runs the tests in the background has it ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            asked, _ = silent.accept()
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)
            asked.close()
        finally:
            process.kill()
            process.wait()
    assert (process.returncode, err) == (130, b"")
