"""`warroom preserve`, `attach` and `evidence` as people type them."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from console.cli import exits
from console.evidence.capture import window_of
from console.evidence.window import Window
from console.scribe import LONGEST
from console.telemetry.action import Action
from data.clock import SystemClock
from data.home import Home
from tests.cli.conftest import Warroom


def fill(warroom: Warroom, *actions: Action) -> None:
    home = Home.open(warroom.home)
    window = Window(window_of(home), SystemClock(), most=2**29, keep=10**18)
    window.append(actions)
    window.close()


def action(**fields: str) -> Action:
    return Action(at=SystemClock().now(), agent="bot", **fields)  # type: ignore[arg-type]


def test_preserve_by_each_kind_of_id(declared: Warroom) -> None:
    fill(
        declared,
        action(trace="t1"),
        action(session="s1"),
        action(approval="p1"),
        action(id="r1", kind="run"),
        action(bundle="b1"),
    )
    for option, value in (("trace", "t1"), ("session", "s1"), ("approval", "p1"), ("run", "r1")):
        (kept,) = declared.quick("preserve", f"--{option}", value, "--reason", "why", "--json").values
        assert (kept["count"], kept["reason"]) == (1, "why")
    (kept,) = declared.quick(
        "preserve", "--id", "active bundle=b1", "--id", "webhook request headers", "--json"
    ).values
    assert kept["count"] == 1
    assert "webhook_request_headers" in kept["missing"]
    assert declared.quick("preserve", "--agent", "bot", "--json").values[0]["count"] == 5


def test_preserve_says_why_nothing_was_kept(declared: Warroom) -> None:
    done = declared.within("preserve", "--trace", "t1")
    assert done.code == 1
    assert "holds no telemetry at all" in done.out
    done = declared.within("preserve")
    assert done.code == 3
    assert "has no alerts" in done.err
    done = declared.within("preserve", "--id", "colour=red")
    assert done.code == 3
    assert "evidence --schema" in done.err


def test_what_the_evidence_should_name_and_nothing_does_is_listed_also_when_nothing_was_kept(
    declared: Warroom,
) -> None:
    (told,) = declared.within("preserve", "--id", "mcp_server_logs", "--json").values
    assert "mcp_server_logs came without a value" in told["failed"]
    gaps = {gap["name"]: gap for gap in declared.quick("evidence", "--json").values[0]["missing"]}
    assert gaps.keys() >= {"mcp_server_logs", "trace_id", "agent_version", "approval_policy"}
    assert "incident_id" not in gaps
    declared.quick("attach", "-", "--field", "mcp_server_logs", stdin="what they logged")
    assert "mcp_server_logs" not in declared.quick("evidence").out.partition("Not recorded")[2]
    # Asked again, nothing is found out twice.
    declared.within("preserve", "--trace", "t1")
    listed = [gap["name"] for gap in declared.quick("evidence", "--json").values[0]["missing"]]
    assert len(listed) == len(set(listed)) == len(gaps) - 1


def test_a_gap_is_listed_owned_and_closed(declared: Warroom) -> None:
    fill(declared, action(trace="t1"))
    declared.quick("preserve", "--trace", "t1")
    listed = declared.quick("evidence").out
    assert "approval_policy" in listed
    assert "no owner yet" in listed
    declared.quick("evidence", "own", "approval policy", "kim")
    gaps = {each["name"]: each for each in declared.quick("evidence", "--json").values[0]["missing"]}
    assert gaps["approval_policy"]["owner"] == "kim"
    policy = declared.folder / "policy.toml"
    policy.write_text("refunds = 'two people'\n")
    declared.quick("attach", str(policy), "--field", "approval policy")
    names = [each["name"] for each in declared.quick("evidence", "--json").values[0]["missing"]]
    assert "approval_policy" not in names
    assert "memory_records" in names
    assert declared.within("evidence", "own", "colour", "kim").code == 3


def test_hostile_bytes_are_shown_and_never_sent(declared: Warroom) -> None:
    raw = b"ok\n\x1b]52;c;ZXZpbA==\x07\x1b[2J\xff\x9b31m\nend\n"
    file = declared.folder / "evil.log"
    file.write_bytes(raw)
    (kept,) = declared.quick("attach", str(file), "--json").values
    shown = declared.quick("evidence", "show", kept["id"]).out
    assert "␛]52;c;" in shown
    assert "end" in shown
    assert not [char for char in shown if char != "\n" and not char.isprintable()]
    target = declared.folder / "copy"
    declared.quick("evidence", "show", kept["id"], "--raw", str(target))
    assert target.read_bytes() == raw
    assert target.stat().st_mode & 0o777 == 0o600
    assert declared.within("evidence", "show", kept["id"], "--raw", str(target)).code == 3
    assert declared.within("evidence", "show", kept["id"], "--raw", "-").code == 3
    assert declared.within("evidence", "show", "zzzz").code == 3


def test_a_damaged_exhibit_is_not_shown(declared: Warroom) -> None:
    (kept,) = declared.quick("attach", "-", "--title", "chat", "--json", stdin="what they wrote\n").values
    (blob,) = declared.home.glob("cases/*/blobs/*/*")
    blob.write_bytes(b"what they wrotE\n")
    done = declared.within("evidence", "show", kept["id"])
    assert done.code == 4
    assert "wrotE" not in done.out


def test_a_command_and_standard_input_are_attached(declared: Warroom) -> None:
    done = declared.ok(
        "attach", "--reason", "who is logged in", "--command", "--", "printf", "%s", "-x --json"
    )
    assert "exit code 0" in done.out
    declared.quick("attach", "-", stdin="pasted\n")
    (listed,) = declared.quick("evidence", "--json").values
    command, paste = listed["exhibits"]
    assert command["command"] == ["printf", "%s", "-x --json"]
    assert command["blobs"][0]["size"] == len("-x --json")
    assert (paste["what"], paste["title"]) == ("paste", "pasted")
    assert declared.within("attach", "a", "b").code == 3
    assert declared.within("attach").code == 2


@pytest.mark.parametrize("way", ["full", "field", "no incident"])
def test_a_paste_that_cannot_be_kept_is_given_back(
    declared: Warroom, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    def full(*_: object) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    pasted = "".join(f"line {number} of the chat\n" for number in range(10_000))
    assert len(pasted) > 8 * LONGEST
    more = {"full": (), "field": ("--field", "colour"), "no incident": ("--incident", "INC-ZZZZ")}[way]
    if way == "full":
        monkeypatch.setattr("data.blobs.write_temporary", full)
    done = declared.within("attach", "-", *more, stdin=pasted)
    assert done.code == (exits.STORE if way == "full" else exits.REFUSED)
    assert f"this is not on the record:\n{pasted}" in done.err
    assert done.out == ""
    monkeypatch.undo()
    kept = declared.within("attach", "-", stdin=pasted)
    assert (kept.code, "line 1 of" in kept.err) == (exits.OK, False)


def test_a_key_that_was_revoked_without_a_time_counts_for_nothing_and_no_year_is_made_up(
    declared: Warroom, tmp_path: Path
) -> None:
    (tmp_path / "shelf").mkdir()
    (tmp_path / "ben").mkdir()
    other = Warroom(tmp_path / "ben")
    for each in (declared, other):
        each.quick("remote", "add", "team", f"dir:{tmp_path / 'shelf'}")
        each.quick("sync")
    other.quick("note", "seen from ben's console")
    for each in (other, declared):
        each.quick("sync")
    ben = next(
        each["replica"] for each in declared.quick("roster", "--json").values if each["how"] != "founder"
    )
    declared.quick("roster", "revoke", ben, "stolen")
    shown = declared.quick("roster").out
    assert "REVOKED, nothing of it counts" in shown
    assert f"nothing console {ben[:8]} ever wrote counts: stolen" in declared.quick("log").out
    assert "1970" not in shown + declared.quick("log").out + declared.quick("export").out
    (told,) = [each for each in declared.quick("roster", "--json").values if each["replica"] == ben]
    assert told["revoked"] == "1970-01-01T00:00:00.000000000Z"


def test_the_schema_is_listed(warroom: Warroom) -> None:
    values = {each["name"]: each for each in warroom.quick("evidence", "--schema", "--json").values}
    assert "run IDs" in values["run_id"]["aliases"]
    assert not values["memory_records"]["searchable"]
