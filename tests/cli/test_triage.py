"""Triage from a shell: forms, severity, tags, escalation, who leads, handover, who can, the checklist."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Warroom


def state(warroom: Warroom) -> dict[str, object]:
    (value,) = warroom.quick("show", "--json").values
    return value


@pytest.mark.req("S002-SEV-7", "S001-SEV-1", "X-1")
def test_severity_is_suggested_with_its_rule_and_nothing_changes(declared: Warroom) -> None:
    text = declared.quick("severity", "suggest").out
    assert "suggested: SEV-2 (severity 2)" in text
    assert "rule unsure-data-security" in text
    (value,) = declared.quick("severity", "suggest", "--answer", "harm=yes", "--json").values
    assert (value["severity"], value["rule"]) == (1, "harm")
    assert state(declared)["severity"] == 2
    refused = declared.within("severity", "suggest", "--answer", "harm=maybe")
    assert (refused.code, "`harm` takes yes, no or unknown" in refused.err) == (3, True)
    refused = declared.within("severity", "3", "--answer", "harm=no")
    assert (refused.code, "severity suggest" in refused.err) == (3, True)


def test_a_form_is_answered_in_pieces_and_decided(declared: Warroom) -> None:
    run = declared.quick
    assert "severity-form" in run("form").out
    text = run("form", "severity", "--answer", "data-security=no", "--answer", "harm=no").out
    assert "Nobody has decided" in text
    (value,) = run("form", "severity", "--answer", "type=cost-spike", "--json").values
    assert (value["answers"]["harm"], value["proposal"], value["rule"]) == ("no", "2", "cost")
    refused = declared.within("form", "severity", "--decide", "4")
    assert (refused.code, "Say why in one line" in refused.err) == (3, True)
    run("form", "severity", "--decide", "P3", "--reason", "the limit held")
    assert state(declared)["severity"] == 4
    run("form", "severity", "--accept")
    assert state(declared)["severity"] == 2
    lines = run("log").out
    assert "form severity-form proposes 2 by rule cost" in lines
    assert "decided 4: the limit held" in lines
    report = run("export").out.split("## Form severity-form")[1].split("##")[0]
    assert "decided 2" in report
    assert "| type | cost-spike |" in report, "what was answered stands there, not only what was proposed"


@pytest.mark.req("S000-CL-4", "X-29")
def test_a_data_security_incident_is_handed_over_and_back(declared: Warroom, tmp_path: Path) -> None:
    config = tmp_path / "legal.toml"
    config.write_text('regulation = ["gdpr"]\n[contacts]\nsecurity = ["sec on-call"]\n')
    more = {"WARROOM_CONFIG": str(config)}

    def run(*arguments: str) -> str:
        done = declared.within(*arguments, more=more)
        assert done.code == 0, done
        return done.out + done.err

    run("tag", "data-breach")
    said = run("escalate")
    assert "security (sec on-call)" in said
    assert "gdpr-33: GDPR Article 33(1)" in said
    assert "nobody is security lead" in said
    assert "SECURITY LEADS, for responders only" in run("show")
    run("assign", "security", "sam")
    refused = declared.within("--as", "ana", "lead", "commander", "no leak", more=more)
    assert (refused.code, "sam (security) can" in refused.err) == (3, True)
    run("--as", "sam", "lead", "commander", "nothing was read")
    assert state(declared)["security_led"] is False


@pytest.mark.req("X-28")
def test_who_was_told_is_on_the_record_and_who_waits_is_listed(declared: Warroom) -> None:
    run = declared.quick
    assert state(declared)["to_tell"] == ["on-call", "support", "executives"]
    run("escalate", "on-call", "paged,", "acknowledged", "--person", "kim")
    run("escalate", "executives", "--waive", "they", "are", "on", "the", "bridge")
    rows = {value["who"]: value for value in run("escalate", "--json").values}
    assert rows["on-call"]["told"]["person"] == "kim"
    assert rows["executives"]["waived"]["reason"] == "they are on the bridge"
    assert (rows["support"]["outstanding"], rows["support"]["outstanding_seconds"] >= 0) == (True, True)
    assert rows["support"]["reasons"] == ["customers ask support first; it needs the macro before they do"]
    assert "told on-call (kim): paged, acknowledged" in run("log").out
    report = run("export").out.split("## Who had to be told")[1].split("##")[0]
    assert all("NOT TOLD" in line for line in report.splitlines() if "| support" in line)
    assert "| support" in report
    assert "need not be: they are on the bridge" in report


@pytest.mark.req("X-24")
def test_tags_are_listed_proposed_set_and_taken_off(declared: Warroom) -> None:
    run = declared.quick
    assert "nothing speaks for one" in run("tag").out
    assert "code:agentic_misalignment" in run("tag", "--list").out
    run("impact", "the spike in cost goes on")
    assert "type:cost-spike  proposed, the incident says" in run("tag").out
    run("tag", "type:cost-spike", "policy_bypass", "--reason", "finance saw it")
    assert state(declared)["tags"] == {"type": ["cost-spike"], "code": ["policy_bypass"]}
    run("tag", "cost-spike", "--remove")
    assert state(declared)["tags"] == {"code": ["policy_bypass"]}


@pytest.mark.req("X-13", "S003-KS-3")
def test_who_can_and_doctor_say_who_holds_what(declared: Warroom, tmp_path: Path) -> None:
    config = tmp_path / "people.toml"
    config.write_text(
        '[authority]\nhalt-all = ["ben", "dee", "kim"]\nhalt-agent = ["ben"]\nnonsense = ["x"]\n'
    )
    more = {"WARROOM_CONFIG": str(config)}
    done = declared.within("--as", "ana", "who-can", "halt_all", more=more)
    assert "ben (named for it), dee (named for it), kim (named for it) can" in done.out
    assert "As ana, you can not." in done.out
    assert "nonsense, which is no authority" in done.err
    listed = declared.within("who-can", "--json", more=more).values
    assert {"halt_all", "restore_all"} <= {value.get("verb") for value in listed}
    found = declared.within("doctor", more=more).out
    assert "halt-agent: 1 of at least 3 holders named (ben)" in found
    assert "halt-all:" not in found
    unknown = declared.within("who-can", "fly", more=more)
    assert (unknown.code, "Nothing is called fly" in unknown.err) == (3, True)


@pytest.mark.req("X-13")
def test_who_holds_what_is_said_without_an_incident_too(warroom: Warroom) -> None:
    assert "halt-all" in warroom.quick("who-can", "halt_all").out
    assert warroom.within("who-can", "halt_all", "--incident", "nope").code == 3


@pytest.mark.req("X-13")
def test_a_handover_is_shown_and_recorded_only_with_a_word(declared: Warroom, tmp_path: Path) -> None:
    run = declared.quick
    done = run("handover", "ic", "ben")
    assert "NOT CONTAINED." in done.out
    assert "nothing is handed over yet" in done.err
    assert state(declared)["roles"] == {"ic": ["ana"]}
    run("handover", "ic", "ben", "--yes", "--reason", "shift ends")
    assert state(declared)["roles"] == {"ic": ["ben"]}
    assert "ana hands ic over to ben: shift ends" in run("log").out
    run("handover", "ic", "dee", "--summary", "-", stdin="watch the queue\nask finance\n")
    assert "ask finance" in run("log").out
    assert run("handover", "ops", "olga", "--json").values[0]["recorded"] is False


def test_a_handover_is_edited_first_and_given_back_when_it_is_refused(
    declared: Warroom, tmp_path: Path
) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf "words of the editor\\n" > "$1.new" && mv "$1.new" "$1"\n')
    editor.chmod(0o755)
    more = {"EDITOR": str(editor), "VISUAL": "", "PATH": os.environ["PATH"]}
    done = declared.within("handover", "ic", "ana", "--edit", "--yes", more=more)
    assert (done.code, "ana is ic already" in done.err) == (3, True)
    assert "words of the editor" in done.err, "nothing that was typed is lost"
    assert declared.within("handover", "ic", "ben", "--edit", "--yes", more=more).code == 0
    assert "words of the editor" in declared.quick("log").out
    broken = declared.within("handover", "ic", "dee", "--edit", more={**more, "EDITOR": "/nonsense"})
    assert (broken.code, "--summary FILE" in broken.err) == (3, True)


@pytest.mark.req("X-5", "S002-CK-9")
def test_the_checklist_shows_what_is_asked_for_and_changes_its_profile(declared: Warroom) -> None:
    run = declared.quick
    refused = declared.within("tick", "stop-harm")
    assert (refused.code, "asks for evidence" in refused.err, "--evidence" in refused.err) == (3, True, True)
    run("tick", "stop-harm", "--evidence", "gateway log")
    rows = {value["id"]: value for value in run("checklist", "--json").values}
    assert (rows["stop-harm"]["state"], rows["stop-harm"]["evidence"]) == ("done", "gateway log")
    assert {source[:4] for source in rows["severity"]["sources"]} >= {"S001", "S002"}
    run("checklist", "profile", "s002-ics-15min")
    sheet = run("checklist", "print").out.splitlines()
    assert sheet[0].startswith("# INC-")
    assert len(sheet) < 66, "one sheet of paper"
    assert not any("stop-harm" in line for line in sheet)
    run("checklist", "profile", "merged")
    assert "[x] stop-harm [ops]" in run("checklist", "print").out
    assert declared.within("checklist", "profile", "mine").code == 3
