"""A team's documents over the shipped ones, and that a broken one of theirs changes nothing."""

from pathlib import Path

import pytest

from playbooks import library, load
from playbooks.guidance import Moves, Tags
from playbooks.library import KINDS, SHIPPED, Library, placed, signed
from playbooks.reading import tree
from playbooks.response import Playbook, Value
from playbooks.schema import Checklist, Roles
from playbooks.undoing import RollbackClass
from tests.playbooks.documents import playbook, put

SHORT = """\
containment_playbook:
  trigger: mcp_or_a2a_compromise
  steps:
    - disable_mcp_server: files-prod
    - revoke_token_audience: mcp://files-prod
    - block_a2a_peer:
        agent_card_url: https://peer.example/card.json
        reason: webhook_ssrf_attempt
    - rotate_webhook_secret: push
    - set_runtime_mode: read_only
    - preserve_evidence:
        - trace_id
        - approval_id
"""
FLAT = "".join(f"{line.strip()}\n" for line in SHORT.splitlines())
SHAPES = {
    "as it stands": SHORT,
    "with its indentation lost": FLAT,
    "with the dashes of its list lost too": FLAT.replace("- trace_id", "trace_id").replace(
        "- approval", "approval"
    ),
}
VERBS = [
    ("disable_mcp_server", {"server": "files-prod"}),
    ("revoke_token_audience", {"audience": "mcp://files-prod"}),
    (
        "block_a2a_peer",
        {"agent_card_url": "https://peer.example/card.json", "reason": "webhook_ssrf_attempt"},
    ),
    ("rotate_webhook_secret", {"target": "push"}),
    ("set_runtime_mode", {"mode": "read_only"}),
    ("preserve_evidence", {"items": "trace_id, approval_id"}),
]


def test_every_shipped_document_is_of_the_kind_of_its_place_and_of_its_content() -> None:
    paths = sorted(SHIPPED.rglob("*.yaml"))
    assert paths
    for path in paths:
        kind = placed(path)
        assert kind is not None, path
        assert signed(tree(path)) is kind, path
    shipped = Library()
    assert sum(len(shipped.entries(kind)) for kind in KINDS) == len(paths)


def test_a_document_with_the_id_of_a_shipped_one_stands_in_its_place_and_others_are_added(
    tmp_path: Path,
) -> None:
    shipped = Library()
    put(tmp_path, "responses/ours.yaml", playbook("default", ("kind: scenario", "kind: default")))
    put(tmp_path, "anywhere.yml", playbook("checkout-down"))
    ours = Library(tmp_path)
    assert ours.problems == ()
    assert ours.named(Playbook, "default").title == "Checkout is down"
    assert ours.named(Playbook, "checkout-down").owner == "the checkout team"
    ids = [each.id for each in shipped.documents(Playbook)]
    assert [each.id for each in ours.documents(Playbook)] == [*ids, "checkout-down"]
    (entry,) = ours.find("responses/default")
    assert (entry.own, entry.replaces) == (True, shipped.named(Playbook, "default"))
    with pytest.raises(KeyError):
        shipped.named(Playbook, "checkout-down")


def test_of_two_directories_the_later_one_counts(tmp_path: Path) -> None:
    for name in ("a", "b"):
        put(tmp_path / name, "x.yaml", playbook("checkout-down", ("Checkout is down", f"of {name}")))
    both = Library(tmp_path / "a", tmp_path / "b")
    assert both.named(Playbook, "checkout-down").title == "of b"


@pytest.mark.parametrize("text", ["summary: [", "summary: x\nid: default\n", "\x00"])
def test_a_broken_document_leaves_the_shipped_one_in_force_and_is_named(tmp_path: Path, text: str) -> None:
    path = put(tmp_path, "responses/default.yaml", text)
    ours = Library(tmp_path)
    assert ours.documents(Playbook) == Library().documents(Playbook)
    assert {problem.file for problem in ours.problems} == {str(path)}
    assert ours.problems_of("responses", "default") == ours.problems
    assert ours.problems_of("responses", "other") == ()


def test_an_action_class_with_a_number_that_is_taken_is_left_out(tmp_path: Path) -> None:
    source = (SHIPPED / "rollback" / "1-database-writes.yaml").read_text()
    clash = put(tmp_path, "rollback/a.yaml", source.replace("id: database-writes", "id: ours"))
    fine = put(tmp_path, "rollback/b.yaml", source.replace("number: 1", "number: 41"))
    ours = Library(tmp_path)
    assert [each.number for each in load.rollback_classes(ours)] == [2, 3, 4, 5, 6, 7, 41]
    assert [each.id for each in ours.documents(RollbackClass)].count("database-writes") == 1
    (problem,) = ours.problems
    assert (problem.file, "share the number 1" in problem.what) == (str(clash), True)
    assert fine.exists()


def test_two_documents_of_a_team_with_one_id_are_a_mistake(tmp_path: Path) -> None:
    put(tmp_path, "responses/a.yaml", playbook("x", ("Checkout is down", "the first")))
    second = put(tmp_path, "responses/b.yaml", playbook("x", ("Checkout is down", "the second")))
    ours = Library(tmp_path)
    assert ours.named(Playbook, "x").title == "the first"
    (problem,) = ours.problems
    assert (problem.file, problem.line) == (str(second), 1)


def test_a_team_adds_to_the_catalogue_and_to_an_axis_without_a_copy(tmp_path: Path) -> None:
    front = playbook().partition("references")[0]
    put(
        tmp_path,
        "moves.yaml",
        f"{front}moves:\n  - {{verb: unplug, title: Unplug, family: contain, target: host,"
        " expect: x, verify: x, sources: [OPS-1]}\n",
    )
    put(tmp_path, "tags.yaml", f"{front}axes:\n  - {{id: ours, title: Ours, tags: [{{id: a, title: A}}]}}\n")
    ours, shipped = Library(tmp_path), Library()
    assert ours.problems == ()
    assert [move.verb for move in ours.only(Moves).moves] == [
        *(move.verb for move in shipped.only(Moves).moves),
        "unplug",
    ]
    assert {axis.id for axis in ours.only(Tags).axes} == {
        "ours",
        *(axis.id for axis in shipped.only(Tags).axes),
    }


def test_a_teams_checklist_need_not_know_our_profiles(tmp_path: Path) -> None:
    source = (SHIPPED / "checklists" / "first-response.yaml").read_text()
    before, _, rest = source.partition("profiles:\n")
    items = rest[rest.index("items:") :]
    put(tmp_path, "checklists/first-response.yaml", f"{before}profiles: {{}}\n{items}")
    ours = Library(tmp_path)
    for profile in load.PROFILES:
        assert load.checklist(profile, ours).items == ours.named(Checklist, "first-response").items


def test_what_is_in_force_is_read_when_it_is_first_needed(tmp_path: Path) -> None:
    put(tmp_path, "roles.yaml", (SHIPPED / "roles.yaml").read_text().replace("short: IC", "short: BOSS"))
    asked = []

    def where() -> tuple[Path, ...]:
        asked.append(True)
        return (tmp_path,)

    library.overlay_by(where)
    assert asked == []
    assert "BOSS" in {role.short for role in load.roles()}
    load.checklist()
    assert asked == [True]


@pytest.mark.req("X-23")
def test_a_playbook_takes_over_the_sections_that_it_leaves_empty(tmp_path: Path) -> None:
    put(tmp_path, "x.yaml", playbook())
    library.overlay_by(lambda: (tmp_path,))
    whole, default = load.playbook("checkout-down"), load.playbook("default")
    assert (whole.triage, whole.post) == (default.triage, default.post)
    assert [step.id for step in whole.mitigation.steps] == ["copy", "undo"]
    used = {name for step in whole.steps() for name in step.placeholders()}
    assert {value.name for value in whole.values} == used | {"service"}


@pytest.mark.req("S000-CP-1")
@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES)
def test_a_containment_playbook_is_read_as_it_stands(tmp_path: Path, text: str) -> None:
    path = put(tmp_path, "MCP server.yaml", text)
    ours = Library(tmp_path)
    assert ours.problems == ()
    read = ours.named(Playbook, "mcp-server")
    assert (read.kind, [trigger.text for trigger in read.triggers]) == ("path", ["mcp or a2a compromise"])
    steps = read.mitigation.steps
    assert [(step.action.verb, step.action.args) for step in steps if step.action] == VERBS
    assert read.steps() == steps
    assert all(step.kind == "action" and step.expect and step.verify for step in steps)
    (entry,) = ours.find("mcp-server")
    for at, (verb, _) in enumerate(VERBS):
        assert verb in path.read_text().splitlines()[entry.tree.line(("mitigation", "steps", at)) - 1]


@pytest.mark.req("S000-CP-1", "X-17")
def test_a_containment_playbook_that_preserves_first_has_its_copy(tmp_path: Path) -> None:
    moves = Library().moves()
    assert moves["rotate_webhook_secret"].destroys_evidence
    text = "containment_playbook:\n  trigger: x\n  steps:\n"
    steps = ["    - preserve_evidence: [trace_id]\n", "    - rotate_webhook_secret: push\n"]
    put(tmp_path / "a", "a.yaml", text + "".join(steps))
    put(tmp_path / "b", "b.yaml", text + "".join(reversed(steps)))
    assert [s.snapshot for s in Library(tmp_path / "a").named(Playbook, "a").steps()] == [
        None,
        "1-preserve-evidence",
    ]
    assert [s.snapshot for s in Library(tmp_path / "b").named(Playbook, "b").steps()] == [None, None]


@pytest.mark.req("S000-CP-1")
def test_a_containment_playbook_may_have_front_matter_and_nothing_else(tmp_path: Path) -> None:
    front = playbook("ours").partition("references")[0]
    put(tmp_path, "a.yaml", front + SHORT)
    assert Library(tmp_path).named(Playbook, "ours").owner == "the checkout team"
    put(tmp_path, "a.yaml", SHORT + "  hat: yes\n")
    (problem,) = Library(tmp_path).problems
    assert "hat" in problem.what


@pytest.mark.parametrize(
    ("pattern", "text", "accepted"),
    [
        ("", "one line", True),
        ("", "two\nlines", False),
        ("[a-z]+", "abc", True),
        ("[a-z]+", "abc1", False),
        ("a|b", "ab", False),
        ("[a-z]+", "abc\n", False),
    ],
)
def test_a_value_takes_what_its_pattern_matches_as_a_whole(pattern: str, text: str, accepted: bool) -> None:
    assert Value(name="x", ask="x", pattern=pattern).accepts(text) is accepted


@pytest.mark.parametrize("pattern", ["(", "a)|(b", "(?=a)"])
def test_a_pattern_that_cannot_be_read_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="not a regular expression"):
        Value(name="x", ask="x", pattern=pattern)


def test_the_shipped_roles_are_untouched_by_a_library_of_nothing(tmp_path: Path) -> None:
    assert Library(tmp_path).only(Roles) == Library().only(Roles)
