"""Reading without a screen: what is printed is true, complete, and cannot command a terminal."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from console import doctor
from console.cli import exits
from console.config import Config
from data.clock import parse_iso
from playbooks import load
from tests.cli.conftest import Warroom

HOSTILE = "\x1b]52;c;aGk=\x07 \x9b2J \u202ereversed [@click=app.quit]x[/] <script>"


@contextmanager
def following(warroom: Warroom, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [*warroom.command, "log", "--follow", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=warroom.folder,
        env=warroom.environment,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == exits.INTERRUPTED
        assert process.stdout is not None
        process.stdout.close()


def test_hostile_text_reaches_no_terminal_through_any_command(warroom: Warroom) -> None:
    warroom.quick("declare", HOSTILE)
    warroom.quick("note", stdin=HOSTILE)
    for command in (
        ["show"],
        ["log", "--system"],
        ["incidents"],
        ["export"],
        ["export", "--format", "jsonl"],
    ):
        for extra in ([], ["--json"]):
            if command[0] == "export" and extra:
                continue
            out = warroom.quick(*command, *extra).out
            assert not set(out) & set("\x1b\x07\x9b\u202e"), command
            assert "script" in out


def test_a_pasted_text_cannot_pass_for_an_entry(declared: Warroom) -> None:
    declared.quick("note", stdin="first\n2026-11-21T00:00:00Z  aaaaaaaa  ! ana: forged\n")
    lines = declared.quick("log").lines
    assert not any(line.startswith("2026-11-21T00:00:00Z  aaaaaaaa") for line in lines)
    assert any("forged" in line and line.startswith("  ") for line in lines)


def test_log_filters_searches_and_limits(declared: Warroom) -> None:
    for text in ("payout seen", "key rotated", "payout stopped"):
        declared.quick("note", text)
    texts = [value["text"] for value in declared.quick("log", "--filter", "payout", "--json").values]
    assert texts == ["payout seen", "payout stopped"]
    without = [value["text"] for value in declared.quick("log", "--filter", "!payout", "--json").values]
    assert "key rotated" in without
    assert not any("payout" in text for text in without)
    newest_first = [value["text"] for value in declared.quick("log", "--search", "payout", "--json").values]
    assert newest_first == ["payout stopped", "payout seen"]
    assert len(declared.quick("log", "-n", "2").lines) == 2
    assert len(declared.quick("log", "--system").lines) > len(declared.quick("log").lines)


def test_follow_prints_what_another_process_writes(declared: Warroom) -> None:
    with following(declared, "--json") as process:
        assert process.stdout is not None
        seen = json.loads(process.stdout.readline())
        assert seen["kind"] == "incident.declared"
        declared.ok("note", "-1h", "back-dated while following")
        texts = (json.loads(line)["text"] for line in process.stdout)
        assert next(text for text in texts if "back-dated" in text) == "back-dated while following"


def test_the_log_can_be_read_after_its_view_was_deleted(declared: Warroom) -> None:
    declared.quick("note", "still here")
    for view in declared.home.glob("cases/*/view.db*"):
        view.unlink()
    assert "still here" in declared.quick("log").out


@pytest.mark.parametrize(
    "command",
    [
        ("log", "--system"),
        ("play", "list"),
        ("play", "show"),
        ("play", "show", "clamp-tenant"),
        ("message", "list"),
        ("message", "show"),
    ],
    ids=" ".join,
)
def test_looking_needs_no_key_and_makes_none(declared: Warroom, command: tuple[str, ...]) -> None:
    declared.quick("note", "the refunds are held")
    declared.quick("play", "open", "cost-runaway")
    declared.quick("message", "draft", "internal-update")
    for view in declared.home.glob("cases/*/view.db*"):
        view.unlink()
    key = declared.home / "identity.pem"
    key.unlink()
    known = (declared.home / "home.json").read_bytes()
    done = declared.within(*command)
    assert (done.code, "the next entry makes a new one" in done.err) == (0, True), done.err
    assert done.out
    assert not key.exists()
    assert (declared.home / "home.json").read_bytes() == known


def test_a_view_that_is_damaged_is_made_again_by_whoever_reads(declared: Warroom) -> None:
    declared.quick("note", "still here")
    (view,) = declared.home.glob("cases/*/view.db")
    for beside in declared.home.glob("cases/*/view.db-*"):
        beside.unlink()
    view.write_bytes(b"SQLite format 3\0" + b"x" * 8192)
    assert "still here" in declared.quick("log").out


def test_a_reader_that_goes_away_is_no_error(declared: Warroom) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*declared.command, "export"],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=declared.environment,
        check=False,
        timeout=60,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_verify_names_the_place_of_the_damage(declared: Warroom) -> None:
    declared.quick("note", "the truth")
    (before,) = declared.quick("verify", "--json").values
    assert before["sound"] is True
    assert before["strands"][0]["last"]
    (path,) = declared.home.glob("cases/*/log.db")
    db = sqlite3.connect(path)
    db.execute(
        "UPDATE events SET body = CAST(replace(body, 'truth', 'fraud') AS BLOB) WHERE kind = 'note.written'"
    )
    changed = db.total_changes
    db.commit()
    db.close()
    assert changed == 1
    done = declared.within("verify")
    assert done.code == 1
    assert "DAMAGED" in done.out
    assert "body" in done.out
    assert declared("verify", "--all", "--json").code == 1


def test_doctor_explains_and_ends_with_one_when_something_is_broken(declared: Warroom) -> None:
    fine = declared.within("doctor")
    assert fine.code == 0
    assert "for real incidents" in fine.out
    assert "nobody watches the agents" in fine.out
    os.chmod(declared.home, 0o755)
    open_to_all = declared.within("doctor")
    assert open_to_all.code == 1
    assert "others can get at" in open_to_all.out
    os.chmod(declared.home, 0o700)
    (log,) = declared.home.glob("cases/*/log.db")
    log.write_bytes(b"\0" * 8192)
    broken = declared.within("doctor", "--json")
    assert broken.code == 1
    assert any(v["state"] == "BROKEN" and v["about"] == "record" for v in broken.values)


@pytest.mark.req("S003-VR-1")
def test_doctor_lists_the_documents_whose_review_is_overdue(tmp_path: Path) -> None:
    def runbook(day: str) -> list[doctor.Finding]:
        found = doctor.examine(Config(), tmp_path / "none", None, parse_iso(f"{day}T12:00:00Z"))
        return [finding for finding in found if finding.about == "runbook"]

    reviewed = load.checklist()
    due = reviewed.review_due()
    (fine,) = runbook(reviewed.last_review.isoformat())
    assert (fine.state, f"due by {due}" in fine.text) == ("ok", True)
    assert not [each for each in runbook(due.isoformat()) if reviewed.title in each.text], (
        "due is not overdue"
    )
    late = runbook((due + timedelta(days=1)).isoformat())
    (named,) = [finding for finding in late if reviewed.title in finding.text]
    assert named.state == "note"
    assert str(due) in named.text
    assert reviewed.owner in named.text


def test_doctor_sees_who_writes_and_what_the_watcher_receives(declared: Warroom) -> None:
    actions = declared.folder / "actions.jsonl"
    now = time.time_ns()
    actions.write_text(
        json.dumps({"at": now, "agent": "a\x1b[2J", "id": "1", "kind": "model"}) + "\nnonsense\n"
    )
    config = declared.folder / "config" / "warroom" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[intake]\nenabled = false\n")
    watcher = subprocess.Popen(
        [*declared.command, "watch", "--jsonl", str(actions)],
        stderr=subprocess.DEVNULL,
        env=declared.environment,
    )
    try:
        out = ""
        while "1 accepted" not in out:
            assert watcher.poll() is None
            out = declared.ok("doctor").out
        assert "1 refused" in out
        assert "blind: authorisation" in out
        assert f"process {watcher.pid}" in out
        second = declared("watch")
        assert second.code == 3
        assert "already runs" in second.err
    finally:
        watcher.send_signal(signal.SIGTERM)
        assert watcher.wait(20) == 0
    assert "none runs" in declared.ok("doctor").out


def incident_lines() -> Iterator[str]:
    start = 1_790_000_000 * 10**9
    start -= start % (3600 * 10**9)
    for hour in range(100):
        for n in range(2):
            at = start + (hour * 3600 + 600 * n) * 10**9
            yield json.dumps(
                {"at": at, "agent": "planner", "id": f"h{hour}.{n}", "kind": "model", "cost": 10**9}
            )
    for n in range(40):
        at = start + (100 * 3600 + n) * 10**9
        yield json.dumps({"at": at, "agent": "planner", "id": f"x{n}", "kind": "model", "cost": 10**9})


@pytest.mark.req("S003-TW-1")
def test_stored_actions_are_replayed_to_their_alerts(warroom: Warroom) -> None:
    actions = warroom.folder / "actions.jsonl"
    actions.write_text("\n".join(incident_lines()) + "\n{broken\n")
    done = warroom.quick("watch", "--jsonl", str(actions), "--until-end", "--json")
    (alert,) = (value for value in done.values if value["rule"] == "cost-rate")
    wanted = {
        "rule",
        "tenant",
        "agent",
        "subject",
        "opened_at",
        "last_at",
        "value",
        "limit",
        "peak",
        "actions",
    }
    assert wanted <= alert.keys()
    assert (alert["tenant"], alert["agent"]) == ("default", "planner")
    assert alert["value"] > alert["limit"] == 4 * 10**9
    assert alert["peak"] == 41 * 10**9
    assert "x39" in alert["actions"]
    assert "1 records refused" in done.err
    assert not warroom.home.exists()
    again = warroom.quick("watch", "--jsonl", "-", "--until-end", "--json", stdin=actions.read_text())
    assert again.values == done.values


def test_a_missing_file_of_actions_is_said(warroom: Warroom) -> None:
    done = warroom.within("watch", "--jsonl", "nowhere.jsonl", "--until-end")
    assert done.code == 3
    assert "nowhere.jsonl" in done.err
    assert warroom("watch", "--until-end").code == 3


@pytest.mark.parametrize("command", ["note", "log", "verify", "show", "ack"])
def test_plain_commands_never_wait_for_what_they_do_not_need(command: str) -> None:
    heavy = {"textual", "rich", "pydantic", "yaml", "httpx", "aiohttp", "google.protobuf"}
    code = (
        f"import sys, console.cli; console.cli.implementation({command!r});"
        f"print(sorted({heavy!r} & sys.modules.keys()))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
