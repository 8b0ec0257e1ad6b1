"""What leaves: the report is inert, complete and marks what was corrected; the JSONL is the whole record."""

import json
import os
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from console.plain import visible
from console.reports.markdown import inert, row
from tests.cli.conftest import Warroom

PARSER = MarkdownIt("gfm-like")


def flat(tokens: list[Token]) -> list[Token]:
    return [each for token in tokens for each in (token, *flat(token.children or []))]


@given(st.text(st.characters()))
@example("# heading")
@example("| a | b |")
@example("[click](http://evil.example) <script>alert(1)</script> ![x](y)")
@example("https://evil.example www.evil.example mailto:a@evil.example a@evil.example ftp://evil.example")
@example("~~gone~~ **bold** `code` $x$ &lt; \\")
@example("two\nlines\r\n\n# and a heading")
def test_foreign_text_is_shown_as_written_and_does_nothing(raw: str) -> None:
    document = f"{row('who', 'what')}\n{row('---', '---')}\n{row('ana', inert(raw))}\n"
    tokens = flat(PARSER.parse(document))
    kinds = {token.type for token in tokens}
    assert kinds <= {
        *(
            f"{part}_{end}"
            for part in ("table", "thead", "tbody", "tr", "th", "td")
            for end in ("open", "close")
        ),
        "inline",
        "text",
        "text_special",
    }
    cells = [token for token in tokens if token.type == "inline"]
    assert len(cells) == 4
    shown = "".join(each.content for each in cells[3].children or [])
    assert shown.split() == visible(raw, 20_000).split()


def written(warroom: Warroom) -> Warroom:
    run = warroom.quick
    run("declare", "refunds | in a *loop* <b>", "--severity", "P1")
    run("--as", "dee", "note", "-10m", "first refund seen [x](http://evil.example)")
    (note,) = run("note", "agent planner-3", "--json").values
    run("--as", "dee", "amend", note["id"], "agent planner-4", "--reason", "misread")
    run("amend", note["id"], "agent planner-4, tenant acme")
    (wrong,) = run("note", "other incident", "--json").values
    run("retract", wrong["id"], "not ours")
    run("tick", "stop-harm", "--evidence", "gateway log")
    run("contain", "tool disabled")
    run("rollback", "external-calls", "open", "payouts", "--effects", "91")
    return warroom


def test_the_report_holds_the_incident_and_marks_what_changed(warroom: Warroom) -> None:
    report = written(warroom).quick("export").out
    for heading in (
        "## Roles",
        "## Clocks",
        "## Alerts",
        "## Timeline",
        "## Checklist (1 of ",
        "## Rollback",
    ):
        assert heading in report
    lines = {
        key: next(line for line in report.splitlines() if key in line)
        for key in ("planner-4", "other incident")
    }
    assert "CORRECTED; before: agent planner-3" in lines["planner-4"]
    assert "RETRACTED: ~~other incident~~" in lines["other incident"]
    changed = report.split("## Corrections and retractions")[1].split("## ")[0].splitlines()
    corrected, again, retracted = (line.split(" | ") for line in changed if line.startswith("| 2"))
    assert corrected[2:] == ["corrected", "dee", "misread", "agent planner-3 → agent planner-4 |"]
    assert again[2] == "corrected"
    assert again[4:] == ["no reason given", "agent planner-4 → agent planner-4, tenant acme |"]
    assert retracted[2] == "retracted"
    assert retracted[3].endswith(" (ic)")
    assert retracted[4:] == ["not ours", "other incident |"]
    first = next(line for line in report.splitlines() if "first refund" in line)
    assert "(written 20" in first
    timeline = report.split("## Timeline")[1].split("## ")[0]
    times = [line.split()[1] for line in timeline.splitlines() if line.startswith("| 2")]
    assert times == sorted(times)
    assert "finished" not in report
    assert "due 20" in report
    assert "S001\\-CK\\-2" in report or "S001-CK-2" in report
    kinds = {token.type for token in flat(PARSER.parse(report))}
    assert not kinds & {"link_open", "html_inline", "html_block", "image", "em_open", "strong_open"}


@pytest.mark.req("S002-TK-1", "S002-TK-4", "S002-TK-5", "S002-TK-8")
def test_the_report_begins_as_a_ticket(warroom: Warroom) -> None:
    run = warroom.quick
    run(
        "declare",
        "refunds in a loop",
        "--severity",
        "P0",
        "--scope",
        "tenant | acme",
        "--impact",
        "5 % of traffic",
    )
    run("scope", "tenants acme and", "beta, EU")
    run("updates", "--next", "15min", "--channel", "status page")
    (now,) = run("show", "--json").values
    report = run("export").lines
    assert report[0] == "# [SEV-1] refunds in a loop"
    cells = (line.split(" | ") for line in report if line.startswith("| "))
    facts = {row[0].strip("| "): row[1].strip("| ") for row in cells if len(row) == 2}
    assert facts["Incident"] == now["incident"]
    assert facts["Scope"] == "tenants acme and beta, EU"
    assert facts["Impact"] == "5 % of traffic"
    assert facts["Next update"] == f"{now['next_update_due'][:19]}Z on status page"
    assert (now["scope"], now["impact"]) == ("tenants acme and beta, EU", "5 % of traffic")
    shown = run("show").out
    assert "scope       tenants acme and beta, EU" in shown
    assert "impact      5 % of traffic" in shown
    assert r"scope: tenant \| acme" in "\n".join(report), "what was said before stays in the timeline"


def test_the_export_of_events_is_the_whole_record(warroom: Warroom) -> None:
    (verdict,) = written(warroom).quick("verify", "--json").values
    events = [json.loads(line) for line in warroom.quick("export", "--format", "jsonl").lines]
    assert [event["n"] for event in events] == list(range(1, len(events) + 1))
    assert len(events) == verdict["events"]
    assert events[-1]["hash"] == verdict["strands"][0]["last"]
    for before, event in pairwise(events):
        assert event["prev"] == before["hash"]
    assert {"incident.declared", "entry.amended", "entry.retracted"} <= {event["kind"] for event in events}
    assert all(event["body"] is not None for event in events)


def test_an_export_overwrites_nothing_and_is_private(declared: Warroom) -> None:
    target = declared.folder / "report.md"
    declared.quick("export", "-o", str(target))
    assert target.read_text().startswith("# [SEV-2] refunds in a loop\n")
    assert target.stat().st_mode & 0o077 == 0
    digest = sha256(target.read_bytes()).digest()
    again = declared.within("export", "-o", str(target))
    assert again.code == 3
    assert again.err == f"warroom: {target} exists already. Name another file, or replace it with --force.\n"
    assert sha256(target.read_bytes()).digest() == digest
    trap = declared.folder / "trap"
    os.symlink(declared.folder / "elsewhere", trap)
    assert declared.within("export", "-o", str(trap)).code == 3
    assert not (declared.folder / "elsewhere").exists()


def test_an_export_replaces_a_file_only_when_told_to_and_never_something_else(declared: Warroom) -> None:
    target = declared.folder / "report.md"
    target.write_text("of yesterday")
    declared.quick("export", "--force", "-o", str(target))
    assert "refunds in a loop" in target.read_text()
    assert target.stat().st_mode & 0o077 == 0
    for place in (declared.folder, declared.folder / "nowhere" / "report.md"):
        refused = declared.within("export", "--force", "-o", str(place))
        assert refused.code == 3, refused
        assert str(place) in refused.err
    assert [path.name for path in declared.folder.iterdir() if path.name.startswith(".tmp-")] == []
    assert declared.quick("export", "-o", "-").out.startswith("# [SEV-2]")


@pytest.mark.parametrize("text", ["SEV-2 at 13:50:00, 91 payouts (of 120)", "plain words"])
def test_ordinary_text_stays_readable_in_the_source(text: str) -> None:
    assert inert(text) == text
