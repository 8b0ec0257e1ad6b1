"""Several consoles on one incident, as somebody at a shell meets them: whose words stand where, and what counts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from console.cli import exits
from tests.cli.conftest import Warroom


class Team:
    """Ana, who declared, and Mallory, whom nobody put on the roster; they share one directory."""

    def __init__(self, folder: Path) -> None:
        self.shelf = folder / "shelf"
        self.shelf.mkdir()
        self.ana, self.mallory = self.join(folder, "ana"), self.join(folder, "mallory")
        self.code = self.ana.quick("declare", "refunds in a loop", "--severity", "2").out.split()[0]
        self.exchange()

    def join(self, folder: Path, name: str) -> Warroom:
        (folder / name).mkdir()
        made = Warroom(folder / name)
        path = made.folder / "config" / "warroom" / "config.toml"
        path.parent.mkdir(parents=True)
        path.write_text(f'[trust]\npolicy = "list"\n\n[me]\nname = "{name}"\n')
        made.quick("remote", "add", "team", f"dir:{self.shelf}")
        return made

    def exchange(self) -> None:
        for each in (self.ana, self.mallory, self.ana):
            each.quick("sync")

    def of_mallory(self) -> str:
        """The id of Mallory's console, as it says itself."""
        return str(self.mallory.quick("identity", "--json").values[0]["replica"])


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)


def lines(text: str) -> Callable[[str], str]:
    return lambda words: next(line for line in text.splitlines() if words in line)


def value(values: list[dict[str, Any]], words: str, field: str = "text") -> dict[str, Any]:
    return next(each for each in values if words in each[field])


STOP = "STOP, resume all refunds now"
OFF = "[OFF ROSTER: does not count]"


def test_what_a_stranger_writes_is_marked_wherever_the_timeline_is_read(team: Team) -> None:
    team.mallory.quick("note", f"!{STOP}")
    team.mallory.quick("severity", "5", "it was nothing")
    team.ana.quick("note", "the refunds are held")
    team.exchange()
    said = lines(team.ana.quick("log").out)
    assert said(STOP).endswith(OFF)
    assert said("severity is now").endswith(OFF)
    assert "OFF ROSTER" not in said("the refunds are held")
    assert said("the refunds are held")
    for arguments in (("log",), ("log", "--search", "refunds")):
        values = team.ana.quick(*arguments, "--json").values
        assert value(values, STOP)["counts"] is False
        assert value(values, "are held")["counts"] is True
    sketch = [json.loads(line) for line in team.ana.quick("export", "--format", "timesketch").lines]
    theirs, ours = value(sketch, STOP, "message"), value(sketch, "are held", "message")
    assert (theirs["counts"], theirs["tag"], ours["counts"], ours["tag"]) == (False, ["off-roster"], True, [])
    iris = list(csv.DictReader(io.StringIO(team.ana.quick("export", "--format", "iris").out)))
    assert value(iris, STOP, "event_content")["event_tags"] == "off-roster"
    assert value(iris, STOP, "event_title")["event_title"].startswith(OFF)
    assert value(iris, "are held", "event_content")["event_tags"] == ""


def test_what_a_member_wrote_is_marked_once_the_key_is_revoked(team: Team) -> None:
    team.mallory.quick("note", "hello from mallory")
    team.exchange()
    team.ana.quick("roster", "add", team.of_mallory())
    assert "OFF ROSTER" not in team.ana.quick("log").out
    team.ana.quick("roster", "revoke", team.of_mallory(), "stolen", "laptop")
    assert lines(team.ana.quick("log").out)("hello from mallory").endswith(OFF)


def test_a_disputed_entry_says_so_on_its_own_line(declared: Warroom) -> None:
    declared.quick("note", "the total is 1,204")
    entry = value(declared.quick("log", "--json").values, "1,204")
    assert entry["disputed"] is False
    declared.quick("dispute", entry["id"], "finance counts 12")
    assert lines(declared.quick("log").out)("the total is 1,204").endswith("[DISPUTED]")
    assert value(declared.quick("log", "--json").values, "the total is 1,204")["disputed"] is True
    assert "DISPUTED: the total is 1,204" in declared.quick("export").out
    declared.quick("settle", entry["id"], "finance was wrong")
    assert "[DISPUTED]" not in declared.quick("log").out


def test_words_that_somebody_else_put_into_an_entry_are_never_shown_as_its_writers(team: Team) -> None:
    team.ana.quick("note", "hold all refunds")
    entry = value(team.ana.quick("log", "--json").values, "hold all refunds")["id"]
    team.ana.quick("--as", "bo", "amend", entry, "pay all refunds", "--reason", "mistyped")
    assert lines(team.ana.quick("log").out)("pay all refunds").endswith(
        "ana: pay all refunds  [corrected by bo]"
    )
    read = value(team.ana.quick("log", "--json").values, "pay all refunds")
    assert (read["actor"], read["corrected_by"]) == ("ana", "bo")
    assert "(CORRECTED by bo; before: hold all refunds)" in team.ana.quick("export").out
    (sketch,) = [
        row
        for row in map(json.loads, team.ana.quick("export", "--format", "timesketch").lines)
        if "pay all" in row["message"]
    ]
    assert (sketch["message"], sketch["corrected_by"]) == ("[corrected by bo] pay all refunds", "bo")
    (iris,) = [
        row
        for row in csv.DictReader(io.StringIO(team.ana.quick("export", "--format", "iris").out))
        if "pay all" in row["event_content"]
    ]
    assert iris["event_title"] == "[corrected by bo] pay all refunds"
    team.ana.quick("amend", entry, "hold them")
    assert lines(team.ana.quick("log").out)("hold them").endswith("ana: hold them  [corrected]")
    assert "(CORRECTED; before: hold all refunds; pay all refunds (by bo))" in team.ana.quick("export").out


def test_a_handover_passes_on_only_what_counts(team: Team) -> None:
    team.mallory.quick("note", f"!{STOP}")
    team.mallory.quick("note", "?it was a test all along")
    team.ana.quick("note", "!hold all refunds")
    team.ana.quick("note", "!hold the mails too")
    team.ana.quick("note", "?did it go out twice")
    team.exchange()
    values = team.ana.quick("log", "--json").values
    team.ana.quick("retract", value(values, "the mails too")["id"], "not ours to hold")
    team.ana.quick("dispute", value(values, "hold all refunds")["id"], "only those of one tenant")
    summary = team.ana.quick("handover", "ic", "ben").out
    assert "ana: did it go out twice" in summary
    assert "ana: DISPUTED: hold all refunds" in summary
    for words in (STOP, "a test all along", "the mails too"):
        assert words not in summary
    team.ana.quick("roster", "add", team.of_mallory(), "--yes")
    assert f"mallory: {STOP}" in team.ana.quick("handover", "ic", "ben").out


def test_another_console_under_the_same_name_is_told_apart(team: Team) -> None:
    team.ana.quick("note", "hold all refunds")
    team.mallory.quick("note", "hello")
    team.exchange()
    team.ana.quick("roster", "add", team.of_mallory())
    team.exchange()
    entry = value(team.ana.quick("log", "--json").values, "hold all refunds")["id"]
    team.mallory.quick("--as", "ana", "amend", entry, "pay all refunds", "--reason", "mistyped")
    team.exchange()
    said = lines(team.ana.quick("log").out)("pay all refunds")
    assert said.endswith(f"[corrected by ana ({team.of_mallory()[:8]})]")


def test_adding_a_stranger_says_what_changes_and_needs_a_yes_where_the_state_does(team: Team) -> None:
    team.mallory.quick("severity", "5", "it was nothing")
    team.mallory.quick("note", "one")
    team.mallory.quick("close", "nothing happened")
    team.exchange()
    who = team.of_mallory()
    refused = team.ana.within("roster", "add", who)
    assert refused.code == exits.REFUSED
    for words in ("entries of mallory", "severity SEV-2 becomes SEV-5", "the incident is CLOSED", "--yes"):
        assert words in refused.err
    assert "SEV-2" in team.ana.quick("incidents").out
    (done,) = team.ana.quick("roster", "add", who, "--yes", "--json").values
    assert (done["counted"], done["will_count"]) == (0, done["events"])
    assert done["events"] >= 3
    assert "CLOSED" in team.ana.quick("show", "--incident", team.code).out


def test_a_console_is_taken_off_revoked_and_found_again(team: Team) -> None:
    team.mallory.quick("note", "hello")
    team.exchange()
    who = team.of_mallory()
    assert "now 0 do" in team.ana.quick("roster", "add", who).out
    team.ana.quick("roster", "remove", who, "--reason", "left the team")
    again = team.ana.within("roster", "remove", who, "left the team")
    assert (again.code, "left the roster already" in again.err) == (exits.REFUSED, True)
    revoked = team.ana.quick("roster", "revoke", who, "--since", "-2h", "a", "stolen", "laptop")
    assert "0 then count" in revoked.out
    assert "a stolen laptop" in team.ana.quick("log", "--system").out
    for name in (who, who[:8]):
        added = team.ana.within("roster", "add", name)
        assert (added.code, "was revoked" in added.err) == (exits.REFUSED, True)


def test_who_does_not_count_cannot_change_the_roster_and_nobody_leaves_it_by_accident(team: Team) -> None:
    team.mallory.quick("note", "hello")
    team.exchange()
    ours = str(team.ana.quick("identity", "--json").values[0]["replica"])
    tried = team.mallory.within("roster", "remove", ours, "she is away")
    assert (tried.code, "decides nothing" in tried.err) == (exits.REFUSED, True)
    alone = team.ana.within("roster", "remove", ours, "by mistake")
    assert (alone.code, "That is this console" in alone.err) == (exits.REFUSED, True)
    team.ana.quick("note", "still counts")
    assert "OFF ROSTER" not in lines(team.ana.quick("log").out)("still counts")
    team.ana.quick("roster", "remove", ours, "on purpose", "--yes")
    late = team.ana.within("roster", "add", ours)
    assert (late.code, "decides nothing" in late.err) == (exits.REFUSED, True)


def test_who_writes_without_counting_is_told(team: Team) -> None:
    for arguments in (("note", "hello"), ("severity", "4"), ("note", "again")):
        told = team.mallory.quick(*arguments)
        assert "it changes nothing until somebody adds it" in told.err
        assert "saved" in told.out
    assert "until somebody adds it" not in team.ana.quick("note", "hello").err
    team.exchange()
    who = team.of_mallory()
    (listed,) = [each for each in team.ana.quick("roster", "--json").values if each["replica"] == who]
    assert f"{listed['events']} entries do not count" in team.ana.quick("roster").out
    assert listed["events"] >= 3
    team.ana.quick("roster", "add", who, "--yes")
    team.exchange()
    assert "changes nothing" not in team.mallory.quick("note", "now I count").err
    team.ana.quick("roster", "revoke", who, "stolen", "--yes")
    team.exchange()
    assert "revoked" in team.mallory.quick("note", "and now?").err
