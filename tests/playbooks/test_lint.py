"""The linter: what it finds, where it says that it is, and that good documents pass."""

import datetime as dt
import os
from pathlib import Path

import pytest

from console.tripwires.rules import RULES
from playbooks import yaml
from playbooks.library import Library
from playbooks.lint import Finding, lint, shell
from tests.playbooks.documents import FRONT, playbook, put, step

REVIEWED = dt.date(2026, 11, 22)
SHIPPED = Library()


def found(path: Path, today: dt.date = REVIEWED) -> list[Finding]:
    """What is found besides sections that are taken over."""
    findings = lint(SHIPPED, [path], today=today, tripwires=RULES)
    return [each for each in findings if each.level != "note"]


def line_of(path: Path, text: str) -> int:
    return next(number for number, line in enumerate(path.read_text().splitlines(), 1) if text in line)


def test_the_shipped_library_lints_clean() -> None:
    findings = lint(Library(), today=REVIEWED, tripwires=RULES)
    # The dates of external baselines are those of the sources; that they are over is no mistake of the text.
    wrong = [each for each in findings if each.level != "note" and each.file != "baselines.yaml"]
    assert list(map(str, wrong)) == []


def test_a_good_document_lints_clean(tmp_path: Path) -> None:
    assert found(put(tmp_path, "responses/a.yaml", playbook())) == []


@pytest.mark.parametrize(
    ("text", "at", "rule", "what", "fix"),
    [
        (playbook("a", ("role: ops", "role: opps")), "role: opps", "name", "`opps` is not a role", "`ops`"),
        (playbook("a", ("OPS-1", "S002-PB1-T.9")), "S002-PB1-T.9", "requirement", "does not have", "OPS-12"),
        (playbook("a", ("OPS-1", "S009-PB1-T")), "S009-PB1-T", "requirement", "not in the list", "OPS-12"),
        (playbook("a", ("nobody pays", "TODO")), "TODO", "placeholder", "still to be filled in", "{placeholder}"),
        (playbook("a", ("nobody pays", "see <dashboard>")), "<dash", "placeholder", "`<dashboard>`", "{placeholder}"),
        (playbook("a", ("{service}", "it")), "name: service", "placeholder", "nothing uses", "remove"),
        (playbook("a", ("references: []", "references: [./b.yaml]")), "./b.yaml", "reference", "leads nowhere", "kind/id"),
        (playbook("a", ("references: []", "references: [responses/b]")), "responses/b", "reference", "nowhere", "kind/id"),
        (playbook("a", ("references: []", "references: ['ftp://x']")), "ftp", "reference", "no", "https://"),
        (playbook("a", ("kind: scenario", "types: [cost-spik]\nkind: scenario")), "cost-spik", "name", "type", "`cost-spike`"),
        (playbook("a", ("kind: scenario", "codes: [nope]\nkind: scenario")), "nope", "name", "triage code", "There are"),
        (playbook("a", ("kind: scenario", "classes: [acess]\nkind: scenario")), "acess", "name", "class", "`access`"),
        (playbook("a", ("proposes: 2,", "proposes: 2, tripwire: cost-rat,")), "cost-rat", "name", "tripwire", "`cost-rate`"),
        (playbook("a", ("expect: The last good release runs.", "help: It is safe.")), "id: undo", "step", "`expect`", "Say"),
        (playbook("a", ('pattern: "[a-z-]+", ', ""), ("deployment/{service}", "{service}")), "argv", "placeholder", "any text", "pattern"),
        (playbook("a", ("last_review: \"2026-11-21\"", "last_review: \"2030-01-01\"")), "2030", "review", "yet to come", "day"),
    ],
)  # fmt: skip
def test_a_mistake_is_found_at_its_line_with_what_to_do(
    tmp_path: Path, text: str, at: str, rule: str, what: str, fix: str
) -> None:
    path = put(tmp_path, "responses/a.yaml", text)
    findings = [each for each in found(path) if each.rule == rule]
    assert findings
    assert {each.line for each in findings} >= {line_of(path, at)}
    assert all(what in each.what and fix in each.fix for each in findings), findings


@pytest.mark.parametrize(
    ("more", "rule", "what"),
    [
        ("text: Act\nrole: ops\nsources: [OPS-1]\naction: {verb: no_such}", "verb", "is not a verb"),
        ("text: Act\nrole: ops\nsources: [OPS-1]\naction: {verb: set_runtime_mode}", "verb", "does not say `mode`"),
        (
            "text: Act\nrole: ops\nsources: [OPS-1]\naction: {verb: set_runtime_mode, args: {mode: a, moda: b}}",
            "verb",
            "`moda` is not an argument",
        ),
        ("text: Act\nrole: ops\nsources: [OPS-1]\nexpect: x\nverify: x\ncommand: {argv: [sh, -c, ls]}", "shell", "a shell"),
        (
            "text: Act\nrole: ops\nsources: [OPS-1]\nwait: {until: x, check: {argv: [ls, '|', wc]}}",
            "shell",
            "only a shell",
        ),
        ("text: Act\nrole: ops\nsources: [OPS-1]\nexpect: x\nverify: x\ncommand: {argv: [redis-cli, FLUSHDB]}", "evidence", "does not say"),
        ("text: Act\nrole: ops\nsources: [OPS-1]\ndestroys_evidence: true", "evidence", "nothing keeps a copy"),
        ("text: Act\nrole: ops\nsources: [OPS-1]\nautomatic: true\nreach: one agent", "automatic", "by itself at SEV-1"),
    ],
)  # fmt: skip
def test_a_step_that_will_not_do_is_found(tmp_path: Path, more: str, rule: str, what: str) -> None:
    text = step(more)
    if rule == "automatic":
        text = text.replace("severity: 2", "severity: 1").replace("mitigation:", "recovery:")
    path = put(tmp_path, "responses/a.yaml", text)
    (finding,) = found(path)
    assert (finding.rule, what in finding.what) == (rule, True), finding
    assert finding.line >= line_of(path, "id: more")
    assert finding.fix


@pytest.mark.req("X-17")
def test_a_copy_that_comes_after_the_evidence_is_destroyed_is_none(tmp_path: Path) -> None:
    after = step("text: Purge\nrole: ops\nsources: [OPS-1]\ndestroys_evidence: true\nsnapshot: copy")
    path = put(tmp_path, "responses/a.yaml", after)
    assert found(path) == []
    moved = after.replace("mitigation:", "recovery:").replace(
        "    - id: more", "mitigation:\n  steps:\n    - id: more"
    )
    path.write_text(moved)
    (finding,) = found(path)
    assert finding.level == "error"
    assert "before `copy` keeps a copy" in finding.what
    assert finding.line == line_of(path, "snapshot: copy")


def test_every_placeholder_that_nobody_asks_for_is_named_at_its_line(tmp_path: Path) -> None:
    text = playbook("a", ("Keep a copy", "Keep {one} copy"), ("The error rate falls.", "The {two} falls."))
    path = put(tmp_path, "responses/a.yaml", text)
    findings = found(path)
    assert {(each.line, each.rule) for each in findings} == {
        (line_of(path, "{one}"), "placeholder"),
        (line_of(path, "{two}"), "placeholder"),
    }
    assert "name: one" in findings[0].fix


def test_a_template_that_says_what_nobody_asks_for_or_asks_for_what_it_does_not_say_is_found(
    tmp_path: Path,
) -> None:
    text = (SHIPPED.root / "messages" / "status-page.yaml").read_text()
    text = text.replace("id: status-page", "id: ours", 1).replace("{symptom} in {services}.", "{sympton}.", 1)
    text = text.replace("needs: [services, symptom, next_update]", "needs: [services, symptom, region]", 1)
    path = put(tmp_path, "messages/ours.yaml", text)
    findings = [each for each in found(path) if each.rule == "placeholder"]
    assert [(each.line, each.level) for each in findings] == [
        (line_of(path, "body: >-"), "error"),
        (line_of(path, "region]"), "error"),
        (line_of(path, "name: services"), "warning"),
        (line_of(path, "name: symptom"), "warning"),
    ]
    assert "uses {sympton}" in findings[0].what
    assert "name: region" in findings[1].fix


def test_a_placeholder_of_the_short_form_is_named_by_its_verb(tmp_path: Path) -> None:
    text = 'containment_playbook:\n  trigger: x\n  steps:\n    - disable_mcp_server: "{server}"\n'
    path = put(tmp_path, "responses/a.yaml", text)
    assert [(each.line, each.what) for each in found(path)] == [
        (4, "step `disable_mcp_server` uses {server}, which `values` does not ask for")
    ]


@pytest.mark.parametrize(
    ("front", "said"),
    [
        ("", "it names no owner and no day of review"),
        ("owner: payments\n", "it names no day of review"),
        ("last_review: 2026-11-01\n", "it names no owner"),
        ("owner: payments\nlast_review: 2026-06-01\n", "its review was due by 2026-07-31"),
    ],
)
def test_a_short_form_without_a_day_of_review_is_not_called_overdue(
    tmp_path: Path, front: str, said: str
) -> None:
    steps = "steps:\n    - preserve_evidence: [trace_id]\n"
    path = put(tmp_path, "responses/a.yaml", f"{front}containment_playbook:\n  trigger: x\n  {steps}")
    warnings = [each.what for each in found(path) if each.level == "warning"]
    assert [each for each in warnings if "review" in each or "owner" in each] == [said]


@pytest.mark.req("S000-CP-7")
def test_what_a_step_preserves_goes_by_a_name_of_the_evidence_schema(tmp_path: Path) -> None:
    text = "containment_playbook:\n  trigger: x\n  steps:\n    - preserve_evidence: [trace ID, tarce_id]\n"
    wrong = [
        each for each in found(put(tmp_path, "responses/a.yaml", text)) if "evidence schema" in each.what
    ]
    assert [(each.line, each.level) for each in wrong] == [(4, "error")]
    assert "tarce_id" in wrong[0].what
    assert "trace_id" in wrong[0].fix
    row = "evidence:\n  - {name: tarce_id, meaning: ours, sources: [OPS-1]}\n"
    put(tmp_path, "evidence.yaml", FRONT.format(id="names-of-ours") + row)
    assert not [each for each in lint(Library(tmp_path), today=REVIEWED) if "evidence schema" in each.what]


def test_a_name_of_the_evidence_schema_means_one_thing(tmp_path: Path) -> None:
    rows = (
        "evidence:\n  - {name: run_id, meaning: a run, aliases: [Run], sources: [OPS-1]}\n"
        "  - {name: walk_id, meaning: a walk, aliases: [r-u-n], sources: [OPS-1]}\n"
    )
    path = put(tmp_path, "evidence.yaml", FRONT.format(id="evidence") + rows)
    assert any("`r-u-n` means `run_id` and `walk_id`" in each.what for each in found(path))


@pytest.mark.req("X-23")
def test_every_section_that_is_taken_over_is_listed(tmp_path: Path) -> None:
    path = put(tmp_path, "responses/a.yaml", playbook())
    notes = lint(SHIPPED, [path], today=REVIEWED)
    assert {each.what for each in notes} == {
        f"`{name}` is taken over from `default`" for name in ("triage", "recovery", "comms", "post")
    }
    assert {each.level for each in notes} == {"note"}


@pytest.mark.req("X-23")
def test_a_section_that_nothing_can_be_taken_over_for_is_missing(tmp_path: Path) -> None:
    put(tmp_path, "responses/default.yaml", playbook("default", ("kind: scenario", "kind: default")))
    path = put(tmp_path, "responses/a.yaml", playbook("a"))
    (triage,) = [
        each
        for each in lint(SHIPPED, [tmp_path], today=REVIEWED)
        if each.file == str(path) and "triage" in each.what
    ]
    assert triage.level == "warning"
    assert "none to take over" in triage.what


@pytest.mark.req("S003-VR-1", "S000-BL-1")
def test_reviews_and_baselines_are_overdue_the_day_after(tmp_path: Path) -> None:
    path = put(tmp_path, "responses/a.yaml", playbook())
    due = dt.date(2026, 11, 21) + dt.timedelta(days=60)
    assert found(path, due) == []
    (late,) = found(path, due + dt.timedelta(days=1))
    assert (late.level, late.line, str(due) in late.what) == ("warning", line_of(path, "last_review"), True)
    assert "The checkout team" in late.fix
    path.write_text(playbook("a", ("status: reviewed", "status: retired")))
    assert found(path, due + dt.timedelta(days=1)) == []
    recheck = dt.date(2026, 6, 16)

    def rechecks(today: dt.date) -> set[str]:
        return {each.what for each in lint(SHIPPED, today=today) if "baseline" in each.what}

    assert rechecks(recheck) == set()
    assert len(rechecks(recheck + dt.timedelta(days=1))) == 3


@pytest.mark.req("S002-XR-1")
def test_a_document_of_the_organisation_is_shown_as_missing_until_it_is_known_where_it_is(
    tmp_path: Path,
) -> None:
    text = playbook("a", ("references: []", "references: ['org:slos', 'https://x.example/y', ../roles.yaml]"))
    path = put(tmp_path, "responses/a.yaml", text)

    def references(*links: str) -> list[Finding]:
        return [
            each for each in lint(SHIPPED, [path], today=REVIEWED, links=links) if each.rule == "reference"
        ]

    (missing,) = references()
    assert (missing.level, "`org:slos` is missing" in missing.what) == ("note", True)
    assert "playbooks.links.slos" in missing.fix
    assert references("slos") == []


def test_a_route_to_nobody_and_an_authority_that_there_is_not_are_found(tmp_path: Path) -> None:
    front = playbook().partition("references")[0].replace("checkout-down", "ours")
    put(
        tmp_path,
        "routing.yaml",
        f"{front}contacts: [{{id: pay, title: Pay}}]\nroutes:\n"
        "  - {id: r, types: [cost-spike], tell: [pay, ic, payy], reason: x, sources: [OPS-1]}\n",
    )
    put(
        tmp_path,
        "moves.yaml",
        f"{front}moves:\n  - {{verb: unplug, title: Unplug, family: contain, target: host, authority: [halt-al],"
        " expect: x, verify: x, sources: [OPS-1]}\n",
    )
    findings = found(tmp_path)
    assert [each.what for each in findings] == [
        "`halt-al` is not a standing authority",
        "`payy` is not a contact or a role",
    ]
    assert "`halt-all`" in findings[0].fix


def test_scenarios_do_not_share_a_number(tmp_path: Path) -> None:
    for name in ("a", "b"):
        put(
            tmp_path,
            f"responses/{name}.yaml",
            playbook(name, ("kind: scenario", "number: 77\nkind: scenario")),
        )
    assert [each.what for each in found(tmp_path)] == [
        "the number 77 is that of `b` too",
        "the number 77 is that of `a` too",
    ]


@pytest.mark.parametrize(
    "argv",
    [
        ("bash", "-c", "ls"),
        ("/bin/sh", "-ec", "ls"),
        ("bash", "script.sh"),
        ("sudo", "sh", "-c", "x"),
        ("kubectl", "exec", "pod", "--", "sh", "-c", "x"),
        ("kubectl get pods",),
        ("ls", "|", "wc"),
        ("echo", "$(id)"),
        ("echo", "`id`"),
        ("{program}", "x"),
        ("cmd.exe", "/c", "dir"),
    ],
)
def test_a_command_for_a_shell_is_known(argv: tuple[str, ...]) -> None:
    assert shell(argv)


@pytest.mark.parametrize(
    "argv",
    [
        ("kubectl", "get", "pods", "-o", "jsonpath={.items[*].metadata.name}"),
        ("jq", ".a | .b", "file"),
        ("grep", "-c", "sh", "file"),
        ("git", "commit", "-m", "a; b"),
        ("psql", "-c", "select 1"),
    ],
)
def test_a_command_for_no_shell_is_let_through(argv: tuple[str, ...]) -> None:
    assert shell(argv) == ""


HOSTILE = {
    "anchors": b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "not UTF-8": b"id: \xff\n",
    "wrong types": b"id: [1]\nkind: {}\nsteps: 7\nsummary: 3\n",
    "no mapping": b"- a\n- b\n",
    "deep": b"[" * 100_000,
    "keys": b"? " * 200_000,
    "text": b"just words\n",
    "empty": b"",
    "a flat form of nothing": b"containment_playbook:\ntrigger:\nsteps:\n",
    "a form of the wrong types": b"containment_playbook:\n  trigger: [1]\n  steps: {a: 1}\n",
    "a form of lists": b"containment_playbook: [1, 2]\n",
    "a slow pattern": playbook(
        "a", ('"[a-z-]+"', '"(a+)+b"'), ("example: checkout", f"example: {'a' * 190}")
    ).encode(),
    "mistakes": b"summary: x\nmitigation:\n  steps:\n" + b"    - {}\n" * 30_000,
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_document_is_an_error_at_a_line_and_changes_nothing(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "responses" / "a.yaml"
    path.parent.mkdir()
    path.write_bytes(raw)
    findings = found(tmp_path)
    assert [each.level for each in findings if each.level == "error"]
    assert len(findings) <= 101
    assert {each.file for each in findings} == {str(path)}
    assert all(1 <= each.line <= raw.count(b"\n") + 1 for each in findings)
    assert path.read_bytes() == raw


def test_what_is_no_file_and_what_is_too_large_are_errors_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "responses"
    folder.mkdir()
    os.mkfifo(folder / "fifo.yaml")
    (folder / "device.yaml").symlink_to("/dev/zero")
    (folder / "dead.yaml").symlink_to(tmp_path / "nowhere")
    with (folder / "huge.yaml").open("wb") as stream:
        stream.truncate(100_000_000)
    said = {Path(each.file).name: each.what for each in found(tmp_path)}
    assert said == {
        "fifo.yaml": "cannot be read: it is not a regular file",
        "device.yaml": "cannot be read: it is not a regular file",
        "dead.yaml": "cannot be read: No such file or directory",
        "huge.yaml": f"the document is larger than {yaml.MAX_BYTES // 1024} KiB",
    }
    (missing,) = found(tmp_path / "nowhere")
    assert "cannot be listed" in missing.what


def test_a_directory_that_is_no_library_is_refused(tmp_path: Path) -> None:
    for number in range(1001):
        (tmp_path / f"{number}.yaml").touch()
    (finding,) = found(tmp_path)
    assert "more than 1000 files" in finding.what


def test_documents_that_are_too_much_to_read_together_are_refused(tmp_path: Path) -> None:
    for number in range(17):
        put(tmp_path, f"{number}.yaml", "#" * 1_000_000)
    (finding,) = found(tmp_path)
    assert "more than 16 MiB" in finding.what
