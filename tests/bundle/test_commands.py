"""The command line of bundles, imports, holds, erasure and masks, as somebody types it."""

import io
import json
import os
import re
import tarfile
from pathlib import Path

import pytest

from tests.bundle.conftest import bytes_of
from tests.cli.conftest import Warroom

SECRET = "api_key=9f8a7b6c5d4e"


@pytest.fixture
def warroom(tmp_path: Path) -> Warroom:
    made = Warroom(tmp_path)
    made.quick("--as", "ana", "declare", "refunds in a loop")
    made.quick("--as", "ana", "note", f"the agent printed {SECRET}")
    return made


def named(warroom: Warroom, text: str) -> str:
    (line,) = (line for line in warroom.quick("log", "--all", "--json").values if text in line["text"])
    return str(line["id"])


def kinds(warroom: Warroom) -> list[str]:
    lines = warroom.quick("export", "--format", "jsonl", "--policy", "none").lines
    return [json.loads(line)["kind"] for line in lines]


def kinds_masked(warroom: Warroom) -> list[str]:
    """The same with the policy of the configuration, which leaves no entry on a terminal."""
    return [json.loads(line)["kind"] for line in warroom.quick("export", "--format", "jsonl").lines]


def elsewhere(warroom: Warroom, name: str) -> Warroom:
    """The same person with another home."""
    (warroom.folder / name).mkdir()
    return Warroom(warroom.folder / name)


def test_a_bundle_goes_out_is_checked_and_comes_back_in(warroom: Warroom) -> None:
    target = warroom.folder / "a.tar"
    (sealed,) = warroom.quick("export", "--bundle", "-o", str(target), "--json").values
    assert (sealed["policy"], sealed["withheld"]) == ("secrets", 1)
    assert SECRET.encode() not in target.read_bytes()
    assert b"[masked password]" in target.read_bytes()
    assert "evidence.exported" in kinds(warroom)
    checked = warroom.quick("verify", str(target))
    assert "sound. What this proves:" in checked.out
    assert "What it does not prove:" in checked.out
    assert warroom.within("export", "--bundle", "-o", str(target)).code == 3
    assert warroom.within("export", "--bundle").code == 3
    assert warroom.within("export", "--to", "age1x").code == 3

    other = elsewhere(warroom, "ben")
    (told,) = other.quick("import", str(target), "--json").values
    assert (told["sound"], told["withheld"], told["founded"]) == (True, 1, True)
    assert "refunds in a loop" in other.quick("log").out
    (verdict,) = other.quick("verify", "--json").values
    assert (verdict["sound"], verdict["withheld"]) == (True, 1)

    damaged = bytearray(target.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    target.write_bytes(damaged)
    third = elsewhere(warroom, "cem")
    refused = third.within("import", str(target))
    assert refused.code in (1, 4)
    assert warroom.within("verify", str(target)).code in (1, 4)
    assert not (third.home / "cases").exists()


def test_the_archive_is_one_that_tar_reads(warroom: Warroom) -> None:
    target = warroom.folder / "a.tar"
    warroom.quick("export", "--bundle", "-o", str(target))
    with tarfile.open(target) as tar:
        names = {member.name.partition("/")[2] for member in tar}
        assert all(member.isreg() and member.mode == 0o644 and member.uid == 0 for member in tar)
        readme = tar.extractfile(next(m for m in tar if m.name.endswith("README.txt")))
        assert readme is not None
        text = readme.read().decode()
    assert {"README.txt", "verify.py", "manifest.json", "report.md", "certificate.md", "roster.json"} <= names
    assert "python3 verify.py" in text
    assert "the text of 1 entry and 0 files (1 password)" in text


def test_recipients_open_it_with_their_key(warroom: Warroom) -> None:
    age = pytest.importorskip("pyrage")
    key = age.x25519.Identity.generate()
    target, secret = warroom.folder / "a.tar.age", warroom.folder / "key.txt"
    secret.write_text(f"# created: today\n{key}\n")
    warroom.quick("export", "--bundle", "-o", str(target), "--to", str(key.to_public()))
    other = elsewhere(warroom, "ben")
    assert other.within("import", str(target)).code == 3
    other.quick("import", str(target), "--identity", str(secret))
    assert [path for path in other.home.iterdir() if path.name.startswith(".tmp-")] == []


def test_what_is_masked_is_masked_everywhere_and_looking_is_recorded(warroom: Warroom) -> None:
    name = named(warroom, "the agent printed")
    for command in (
        ("log",),
        ("log", "--json"),
        ("log", "--history", name),
        ("export",),
        ("export", "--format", "jsonl"),
        ("export", "--format", "timesketch"),
        ("export", "--format", "iris"),
    ):
        out = warroom.quick(*command).out
        assert SECRET not in out, command
        assert "[masked password]" in re.sub(r"\\([\[\]])", r"\1", out), command
    (line,) = (
        each for each in warroom.quick("export", "--format", "jsonl").values if each["kind"] == "note.written"
    )
    assert line["withheld"] == [{"field": "text", "kind": "password"}]
    assert SECRET in warroom.quick("export", "--format", "jsonl", "--policy", "none").out
    assert SECRET in warroom.quick("unmask", name, "the vendor asked").out
    assert "evidence.unmasked" in kinds(warroom)
    config = warroom.folder / "config" / "warroom"
    config.mkdir(parents=True)
    (config / "config.toml").write_text('[redaction]\npolicy = "none"\nextra = ["THE AGENT"]\n')
    assert f"[masked listed] printed {SECRET}" in warroom.quick("log").out


@pytest.mark.req("S002-PB3-F.2")
def test_no_command_shows_a_secret(warroom: Warroom, tmp_path: Path) -> None:
    token = "ghp_" + "a7" * 18
    warroom.quick("title", f"leak of {token}")
    warroom.quick("note", f"two lines\n{SECRET}\n-----BEGIN PRIVATE KEY-----\nMIIEabcdefabcdefabcdef")
    warroom.quick("--as", f"eve {SECRET}", "note", "who am I")
    warroom.quick("scope", f"the tenant of {token}")
    warroom.quick("hold", f"lawsuit about {token}")
    file = tmp_path / "a.txt"
    file.write_text(
        f"x\n-----BEGIN PRIVATE KEY-----\nMIIEabcdefabcdefabcdef\n-----END PRIVATE KEY-----\n{SECRET}\n"
    )
    warroom.quick("attach", str(file), "--reason", f"has {SECRET}", "--title", f"printout {token}")
    (exhibit,) = (each["exhibits"] for each in warroom.quick("evidence", "--json").values)
    shown = str(exhibit[0]["id"])
    for command in (
        ("show",),
        ("incidents",),
        ("log", "--all", "--system"),
        ("log", "--search", "9f8a7b6c5d4e"),
        ("log", "--history", named(warroom, "two lines")),
        ("evidence",),
        ("evidence", "show", shown),
        ("hold", "--list"),
        ("roster",),
    ):
        for form in ((), ("--json",)):
            done = warroom.quick(*command, *form)
            assert done.lines, command
            for secret in (token, token[:10], "9f8a7b6c5d4e", "MIIEabc"):
                assert secret not in done.out + done.err, command
    assert "[masked github token]" in warroom.quick("show").out
    assert warroom.quick("evidence", "show", shown).out.count("[masked private key]") == 3
    # The record itself is not touched by any of this.
    whole = warroom.quick("export", "--format", "jsonl", "--policy", "none").out
    assert all(secret in whole for secret in (token, SECRET, "MIIEabc"))
    assert warroom.quick("verify", "--json").values[0]["sound"]


def test_the_original_of_an_exhibit_leaves_on_the_record_and_a_bundle_that_lacks_only_it_is_sound(
    warroom: Warroom, tmp_path: Path
) -> None:
    file, target = tmp_path / "a.txt", warroom.folder / "a.tar"
    file.write_text(f"first line\n{SECRET}\n")
    warroom.quick("attach", str(file), "--reason", "what it printed")
    (kept,) = warroom.quick("evidence", "--json").values
    exhibit = str(kept["exhibits"][0]["id"])
    assert SECRET not in warroom.quick("evidence", "show", exhibit).out
    warroom.quick("evidence", "show", exhibit, "--raw", str(tmp_path / "b.txt"))
    assert (tmp_path / "b.txt").read_bytes() == file.read_bytes()
    assert "exported exhibit" in warroom.quick("log").out
    name = named(warroom, "the agent printed")
    warroom.quick("--as", "ana", "erase", name, "--reason", "a", "--authority", "b")

    (sealed,) = warroom.quick("export", "--bundle", "-o", str(target), "--json").values
    assert (sealed["withheld"], sealed["withheld_blobs"]) == (0, 1)
    other = elsewhere(warroom, "ben")
    other.quick("import", str(target))
    assert other.quick("verify", "--json").values[0]["sound"]


def test_a_looser_policy_on_a_terminal_stands_on_the_record(
    warroom: Warroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("io.StringIO", Terminal)
    warroom.quick("export", "--format", "jsonl")
    warroom.quick("export", "--format", "jsonl", "--policy", "secrets+personal")
    assert "evidence.exported" not in kinds_masked(warroom)
    assert SECRET in warroom.quick("export", "--format", "md", "--policy", "none").out.replace("\\", "")
    assert kinds_masked(warroom).count("evidence.exported") == 1


def test_a_masked_remote_is_set_up_counted_and_lifted(warroom: Warroom) -> None:
    share = warroom.folder / "share"
    share.mkdir()
    warroom.quick("remote", "add", "team", f"dir:{share}", "--mask", "secrets")
    assert "withholds 1 text by policy" in warroom.quick("sync").out
    assert "masked by secrets, no full copy: withholds 1 text" in warroom.quick("remote").out
    other = elsewhere(warroom, "ben")
    other.quick("remote", "add", "team", f"dir:{share}")
    other.quick("sync")
    (verdict,) = other.quick("verify", "--json").values
    assert (verdict["sound"], verdict["withheld"]) == (True, 1)
    assert "withheld from remote team (secrets): 1 text with password" in other.quick("log").out
    assert not any(SECRET.encode() in path.read_bytes() for path in share.rglob("*") if path.is_file())
    warroom.quick("remote", "remove", "team")
    warroom.quick("remote", "add", "team", f"dir:{share}")
    warroom.quick("sync")
    other.quick("sync")
    (verdict,) = other.quick("verify", "--json").values
    assert (verdict["sound"], verdict["withheld"]) == (True, 0)


def test_holds_and_erasure(warroom: Warroom) -> None:
    name = named(warroom, "the agent printed")
    (hold,) = warroom.quick("hold", "lawsuit", "12", "--subject", "the agent", "--json").values
    assert "lawsuit 12" in warroom.quick("hold", "--list").out
    erase = ("erase", name, "--reason", "asked", "--authority", "GDPR Art. 17")
    refused = warroom.within("--as", "ana", *erase)
    assert refused.code == 3
    assert f"hold --lift {hold['id']}" in refused.err
    warroom.quick("--as", "ana", "hold", "--lift", hold["id"], "settled")
    assert "no holds" in warroom.quick("hold", "--list").out
    done = warroom.quick("--as", "ana", *erase)
    assert "the text of 1 entry" in done.out
    assert "cannot be recalled" in done.err
    assert SECRET.encode() not in bytes_of(warroom.home)
    (verdict,) = warroom.quick("verify", "--json").values
    assert (verdict["sound"], verdict["erased"]) == (True, 1)
    assert "(erased)" in warroom.quick("log").out


def test_a_timeline_comes_in_with_its_bad_rows_named(warroom: Warroom) -> None:
    path = warroom.folder / "t.csv"
    path.write_text(
        "message,timestamp,datetime,timestamp_desc\nlogin,1795271815684439,2026-11-21T14:36:55Z,Logon\nx,,,\n"
    )
    done = warroom.quick("import", str(path), "--reason", "forensics")
    assert "1 line of timesketch" in done.out
    assert "t.csv:3: it has no time; it stands in the exhibit only." in done.err
    (line,) = (line for line in warroom.quick("log", "--json").values if "login" in line["text"])
    assert (line["at"], line["backdated"]) == ("2026-11-21T14:36:55.684439000Z", True)
    assert "all known already" in warroom.quick("import", str(path)).out


def test_what_cannot_be_imported_is_one_sentence(warroom: Warroom) -> None:
    os.mkfifo(warroom.folder / "fifo")
    (warroom.folder / "empty").touch()
    for name in ("fifo", "empty", "nowhere", "."):
        done = warroom.within("import", str(warroom.folder / name))
        assert done.code == 3, done
        assert len(done.err.splitlines()) == 1


def test_an_export_that_cannot_be_recorded_is_made_and_that_is_said(warroom: Warroom) -> None:
    (warroom.home / "identity.pem").write_bytes(b"no key")
    done = warroom.within("export")
    assert done.code == 0
    assert done.out.startswith("# [SEV-2]")
    assert "is not on the record" in done.err
