"""From real senders through a real watcher into the window, and out of it into an incident's record."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from console.evidence import search
from console.evidence.capture import window_of
from console.evidence.window import READING, Window
from console.telemetry.action import Action
from data.clock import SystemClock
from data.home import Home
from tests.cli.conftest import Warroom
from tests.evidence.test_search import Kept
from tests.telemetry.otlp_bodies import as_json
from tests.watch.process import Watching, until
from tests.watch.test_watcher import INVENTORY, line, now, post, tool_call

SECRET = "the customer's whole letter"


def found(home: Path, **values: list[str]) -> list[Action]:
    """What a search of the home's window keeps."""
    kept = Kept()
    search.search(home / "watch" / "window", search.Query(dict(values), depth=0), kept)
    return kept.actions


@pytest.mark.req("S001-EV-0", "S004-PR-3")
def test_lines_and_spans_are_in_the_window_once_whatever_was_killed(tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "actions.jsonl"
    start, sent = now(), 0
    file.write_text("".join(line(start + n, n, session="from-file", content=SECRET) for n in range(50)))
    for _ in range(3):
        with Watching(home, "--jsonl", str(file), config=INVENTORY) as watching:
            watching.ready()
            calls = [
                tool_call(
                    "search",
                    start + sent + n,
                    sent + n,
                    **{"gen_ai.input.messages": SECRET, "gen_ai.conversation.id": "over-otlp"},
                )
                for n in range(10)
            ]
            answer, _ = post(watching, as_json(calls, service_name="shop"))
            assert answer == 200
            sent += 10
            until(lambda: len(found(home, session=["from-file"])) == 50, "the file was read as well")
            watching.kill()  # no snapshot: the next one reads the file and the journal again
    with Watching(home, "--jsonl", str(file), config=INVENTORY) as watching:
        watching.ready()
        until(lambda: watching.accepted() >= 50, "the file was read again")
        watching.end()
    from_file = found(home, session=["from-file"])
    assert sorted(each.id for each in from_file) == sorted(f"a{n}" for n in range(50))
    assert len(found(home, session=["over-otlp"])) == sent
    for each in (home / "watch" / "window").iterdir():
        raw = each.read_bytes()
        assert SECRET.encode() not in (gzip.decompress(raw) if each.suffix == ".gz" else raw)


def test_the_window_can_be_switched_off(tmp_path: Path) -> None:
    with Watching(tmp_path / "home", config="[window]\nenabled = false\n") as watching:
        answer, _ = post(watching, as_json([tool_call("search", now(), 1)], service_name="shop"))
        assert answer == 200
        watching.end()
    assert not (tmp_path / "home" / "watch" / "window").exists()


def test_what_an_incident_needs_is_captured_behind_a_declaration_on_the_command_line(
    warroom: Warroom,
) -> None:
    file = warroom.folder / "actions.jsonl"
    start = now()
    calls: list[dict[str, Any]] = [{"trace": f"{n % 5}", "tool": "search"} for n in range(100)]
    calls.append({"trace": "3", "tool": "payments/refund"})
    file.write_text("".join(line(start + n, n, **each) for n, each in enumerate(calls)))
    with Watching(warroom.home, "--jsonl", str(file), config=INVENTORY) as watching:
        watching.ready()
        until(lambda: warroom.within("alerts").out.count("payments/refund"), "it alerted")
        (alert,) = warroom.quick("alerts", "--json").values
        warroom.ok("declare", "refund", "--alert", alert["id"])
        until(lambda: warroom.quick("evidence", "--json").values[0]["exhibits"], "it was captured")
        watching.end()
    (shown,) = warroom.quick("evidence", "--json").values
    (exhibit,) = shown["exhibits"]
    assert exhibit["count"] == 101
    assert exhibit["fields"]["agent_id"] == exhibit["fields"]["agent name"] == "support"
    assert [each["state"] for each in shown["requests"]] == ["done"]
    until(lambda: warroom.quick("verify").code == 0, "the record is whole")


def test_killed_in_the_middle_of_a_capture_it_is_taken_up_again(declared: Warroom) -> None:
    """SIGKILL while the window is being read; what was asked for stands, and is then kept once."""
    home = Home.open(declared.home)
    window = Window(window_of(home), SystemClock(), most=2**30, keep=10**18)
    for start in range(0, 60_000, 1_000):
        window.append(
            [Action(at=now(), agent="bot", id=f"{n}", trace="t") for n in range(start, start + 1_000)]
        )
    window.close()
    command = [sys.executable, "-m", "console.cli", "preserve", "--trace", "t", "--reason", "why not"]
    for _ in range(2):
        asked = subprocess.Popen(
            command, env=declared.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        until(lambda: list(window_of(home).glob(f"{READING}*")), "the search reads")
        asked.kill()
        asked.communicate()
        (shown,) = declared.quick("evidence", "--json").values
        assert shown["exhibits"] == []
        assert {each["state"] for each in shown["requests"]} == {"open"}
        # The search that nobody waits for ends by itself.
        until(lambda: not list(window_of(home).glob(f"{READING}*")), "the search ended")
    assert len(shown["requests"]) == 2
    done = declared.quick("preserve", "--open", "--json")
    kept, again = done.values
    assert kept["count"] == 60_000
    (shown,) = declared.quick("evidence", "--json").values
    assert {each["state"] for each in shown["requests"]} == {"done"}
    # What the second request found is kept already, and said to be.
    (exhibit,) = shown["exhibits"]
    assert again["same"] == exhibit["hash"]
    assert declared.quick("preserve", "--open").out == ""
    raw = declared.folder / "kept.jsonl"
    declared.quick("evidence", "show", shown["exhibits"][0]["id"], "--part", "2", "--raw", str(raw))
    assert len(msgspec.json.Decoder(Action).decode_lines(raw.read_bytes())) == 60_000
    declared.quick("verify")


def test_what_was_captured_can_be_put_to_the_tripwires_again(declared: Warroom) -> None:
    home = Home.open(declared.home)
    window = Window(window_of(home), SystemClock(), most=2**30, keep=10**18)
    window.append([Action(at=now(), agent="bot", id="1", trace="t", kind="tool", tool="drop/table")])
    window.close()
    (kept,) = declared.quick("preserve", "--agent", "bot", "--json").values
    declared.quick(
        "evidence", "show", kept["id"], "--part", "2", "--raw", str(declared.folder / "again.jsonl")
    )
    config = declared.folder / "c.toml"
    config.write_text(INVENTORY)
    replay = ["watch", "--jsonl", str(declared.folder / "again.jsonl"), "--until-end", "--json"]
    (alert,) = declared.within(*replay, more={"WARROOM_CONFIG": str(config)}).values
    assert alert["subject"] == "drop/table"
