"""`warroom playbook`: lists, shows, prints, begins and checks documents."""

from pathlib import Path
from unittest import mock

import pytest

from console.cli import demo
from playbooks import library
from playbooks.library import KINDS, Library
from playbooks.page import LINES, WIDTH
from tests.cli.conftest import Warroom
from tests.playbooks.documents import playbook, put


def configure(warroom: Warroom, text: str) -> None:
    put(warroom.folder / "config" / "warroom", "config.toml", text)


def test_list_shows_every_document_and_where_it_comes_from(warroom: Warroom, tmp_path: Path) -> None:
    put(tmp_path / "ours", "a.yaml", playbook())
    put(tmp_path / "ours", "responses/default.yaml", playbook("default", ("kind: scenario", "kind: default")))
    listed = warroom.within("playbook", "list", "--playbooks", str(tmp_path / "ours"), "--json").values
    origins = {f"{value['kind']}/{value['id']}": value["origin"] for value in listed}
    assert len(origins) == len(listed) == 1 + sum(len(Library().entries(kind)) for kind in KINDS)
    assert origins["responses/checkout-down"] == "yours"
    assert origins["responses/default"] == "replaces shipped"
    assert origins["roles/roles"] == "shipped"
    only = warroom.within("playbook", "list", "--kind", "roles")
    assert [line.split()[0] for line in only.lines] == ["roles/roles"]
    assert "Kinds: responses" in warroom.within("playbook", "list", "--kind", "role").err


def test_the_home_the_configuration_and_the_option_lie_over_each_other(
    warroom: Warroom, tmp_path: Path
) -> None:
    def title() -> str:
        shown = warroom.within("playbook", "show", "checkout-down", *option)
        return shown.out.partition("# ")[2].splitlines()[0] if shown.code == 0 else shown.err

    option: tuple[str, ...] = ()
    assert "There is no document" in title()
    for name in ("home", "config", "option"):
        text = playbook("checkout-down", ("Checkout is down", f"from the {name}"))
        put(warroom.home / "playbooks" if name == "home" else tmp_path / name, "a.yaml", text)
    assert title() == "from the home"
    configure(warroom, f'[playbooks]\ndirectory = "{tmp_path / "config"}"\n')
    assert title() == "from the config"
    option = ("--playbooks", str(tmp_path / "option"))
    assert title() == "from the option"


def test_a_broken_document_of_a_team_breaks_no_command_and_is_named(warroom: Warroom, tmp_path: Path) -> None:
    for name in ("checklists/first-response", "responses/default", "roles", "moves", "severity/merged"):
        put(tmp_path, f"{name}.yaml", "id: [\n")
    configure(warroom, f'[playbooks]\ndirectory = "{tmp_path}"\n')
    declared = warroom.within("declare", "x", "--severity", "SEV-1")
    assert declared.code == 0, declared
    assert "stop-harm" in warroom.within("show").out
    shown = warroom.within("playbook", "show", "responses/default")
    assert shown.lines[0].startswith("! your version is broken, this is the shipped one: ")
    assert str(tmp_path / "responses" / "default.yaml") in shown.lines[0]
    assert "# Any incident" in shown.lines
    found = warroom.within("doctor", "--json")
    broken = [value for value in found.values if value["about"] == "runbook" and value["state"] == "BROKEN"]
    assert (found.code, len(broken)) == (1, 5)
    assert "5 of your documents are broken" in warroom.within("playbook").err
    configure(warroom, f'[playbooks]\ndirectory = "{tmp_path / "nowhere"}"\n')
    assert warroom.within("playbook", "show", "roles").code == 0
    assert "cannot be listed" in warroom.within("doctor").out


def test_a_broken_document_that_replaces_none_is_said_to_be_broken(warroom: Warroom, tmp_path: Path) -> None:
    path = put(tmp_path, "responses/ours.yaml", "id: [\n")
    shown = warroom.within("playbook", "show", "ours", "--playbooks", str(tmp_path))
    assert (shown.code, f"`ours` is broken and not in force. {path}:" in shown.err) == (3, True), shown


def test_lint_says_file_line_and_fix_and_ends_with_its_code(warroom: Warroom, tmp_path: Path) -> None:
    good = put(tmp_path, "good.yaml", playbook())
    bad = put(tmp_path, "bad.yaml", playbook("bad", ("role: ops", "role: opps")))
    clean = warroom.within("playbook", "lint", str(good))
    assert clean.code == 0
    assert clean.lines[-1] == "4 notes"
    wrong = warroom.within("playbook", "lint", str(bad))
    line = next(n for n, text in enumerate(bad.read_text().splitlines(), 1) if "opps" in text)
    assert f"{bad}:{line}: error: `opps` is not a role" in wrong.lines
    assert "    -> Did you mean `ops`?" in wrong.lines
    assert (wrong.code, wrong.lines[-1]) == (1, "1 error, 4 notes")
    values = warroom.within("playbook", "lint", str(tmp_path), "--json").values
    (error,) = [value for value in values if value["level"] == "error"]
    assert (error["file"], error["line"], error["rule"]) == (str(bad), line, "name")
    assert warroom.within("playbook", "lint", str(tmp_path / "nowhere")).code == 1


def test_lint_shows_no_control_characters(warroom: Warroom, tmp_path: Path) -> None:
    bad = put(tmp_path, "bad.yaml", playbook("bad", ("role: ops", 'role: "o\\e[2Jps"')))
    wrong = warroom.within("playbook", "lint", str(bad))
    assert wrong.code == 1
    assert "\x1b" not in wrong.out + wrong.err


def test_show_prints_all_or_one_section(warroom: Warroom, tmp_path: Path) -> None:
    text = playbook("a", ("references: []", "references: ['org:slos', 'org:model-card']"))
    put(tmp_path, "a.yaml", text)
    configure(
        warroom, f'[playbooks]\ndirectory = "{tmp_path}"\nlinks = {{slos = "https://wiki.example/slos"}}\n'
    )
    whole = warroom.within("playbook", "show", "a").out
    assert "- slos: https://wiki.example/slos" in whole
    assert "- model-card: missing" in whole
    for part in (
        "## Triggers",
        "nobody pays",
        "$ kubectl rollout undo 'deployment/{service}'",
        "## Triage (from default)",
    ):
        assert part in whole
    one = warroom.within("playbook", "show", "a", "--section", "mitigation").out
    assert "Undo the release" in one
    assert "## Triage" not in one
    assert "no part `x`" in warroom.within("playbook", "show", "a", "--section", "x").err
    missing = warroom.within("playbook", "show", "aa")
    assert (missing.code, "`playbook list`" in missing.err or "Did you mean" in missing.err) == (3, True)


@pytest.mark.req("S002-CK-9")
@pytest.mark.parametrize("profile", ["merged", "s004-bundle"])
def test_the_checklist_prints_on_one_page_with_a_box_for_each_item(warroom: Warroom, profile: str) -> None:
    from playbooks import load

    configure(warroom, f'profile = "{profile}"\n')
    printed = warroom.within("playbook", "print", "checklists/first-response").lines
    assert [line for line in printed if line.startswith("[ ] ")] != []
    items = load.checklist(profile).items
    assert sum(line.startswith("[ ] ") for line in printed) == len(items)
    joined = " ".join(" ".join(printed).split())
    assert [item.text for item in items if " ".join(item.text.split()) not in joined] == []
    assert len(printed) <= LINES
    assert max(map(len, printed)) <= WIDTH
    assert "next by" in joined


def test_a_playbook_prints_every_step_and_every_command(warroom: Warroom) -> None:
    from playbooks import load

    for each in load.playbooks():
        printed = warroom.within("playbook", "print", f"responses/{each.id}").lines
        joined = " ".join(" ".join(printed).split())
        assert [step.text for step in each.steps() if " ".join(step.text.split()) not in joined] == []
        assert sum(line.startswith("[ ] ") for line in printed) >= len(each.steps())
        assert sum("$ " in line for line in printed) >= sum(step.kind == "command" for step in each.steps())


def test_new_begins_a_valid_document_whose_gaps_lint_names(warroom: Warroom) -> None:
    made = warroom.within("playbook", "new", "checkout-down")
    path = warroom.home / "playbooks" / "responses" / "checkout-down.yaml"
    assert made.lines[0] == str(path)
    gaps = sum("TODO" in line for line in path.read_text().splitlines())
    values = warroom.within("playbook", "lint", str(path), "--json").values
    errors = [value for value in values if value["level"] == "error"]
    assert len(errors) == gaps > 0
    assert {value["rule"] for value in errors} == {"placeholder"}
    shown = warroom.within("playbook", "show", "checkout-down")
    assert (shown.code, f"! yours: {path}" in shown.lines) == (0, True)
    kept = path.read_text()
    again = warroom.within("playbook", "new", "checkout-down")
    assert (again.code, "exists" in again.err) == (3, True)
    assert path.read_text() == kept


@pytest.mark.parametrize("kind", KINDS)
def test_new_like_a_document_is_valid_for_every_kind(warroom: Warroom, kind: str) -> None:
    like = Library().entries(kind)[0].document
    made = warroom.within("playbook", "new", like.id, "--like", f"{kind}/{like.id}")
    assert made.code == 0, made
    path = Path(made.lines[0])
    values = warroom.within("playbook", "lint", str(path), "--json").values
    errors = [value for value in values if value["level"] == "error"]
    assert [value["what"] for value in errors] == ["`TODO` is still to be filled in"]
    (mine,) = [
        value
        for value in warroom.within("playbook", "list", "--kind", kind, "--json").values
        if value["id"] == like.id
    ]
    assert (mine["origin"], mine["file"], mine["version"]) == ("replaces shipped", str(path), "0.1")


@pytest.mark.parametrize(("own", "rehearsed"), [(False, False), (True, True)])
def test_a_scripted_drill_goes_by_the_documents_that_its_script_knows(
    warroom: Warroom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: bool, rehearsed: bool
) -> None:
    put(tmp_path, "a.yaml", playbook())
    if own:
        text = (library.SHIPPED / "scenarios" / "refund-loop.yaml").read_text()
        put(tmp_path, "scenarios/refund-loop.yaml", text)
    configure(warroom, f'[playbooks]\ndirectory = "{tmp_path}"\n')
    seen = []

    def plain(*_: object) -> int:
        seen.append(bool(library.in_force().find("checkout-down")))
        return 0

    monkeypatch.setattr("console.drills.demo.Drill", mock.MagicMock())
    monkeypatch.setattr(demo, "_plain", plain)
    assert warroom.within("demo", "--headless").code == 0
    assert seen == [rehearsed]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("checklists/first-response", ("items:", "items: []\nignored:")),
        ("severity/merged", ("profiles: [", "profiles: [s004-bundle] # [")),
    ],
)
def test_a_teams_document_that_leaves_something_out_breaks_no_declaration(
    warroom: Warroom, tmp_path: Path, name: str, change: tuple[str, str]
) -> None:
    source = (library.SHIPPED / f"{name}.yaml").read_text()
    assert change[0] in source
    put(tmp_path, f"{name}.yaml", source.replace(*change))
    declared = warroom.within("declare", "x", "--severity", "SEV-3", "--playbooks", str(tmp_path))
    assert (declared.code, "SEV-3" in declared.out) == (0, True), declared


@pytest.mark.parametrize("id", ["../x", "A", "", "x/y", "-x", "a" * 65])
def test_new_refuses_what_is_no_id(warroom: Warroom, id: str) -> None:
    refused = warroom.within("playbook", "new", "--", id)
    assert refused.code in (2, 3)
    assert not (warroom.home / "playbooks").exists()
    assert not (warroom.home / "x.yaml").exists()
