"""The YAML door: hostile documents are refused at the right line, good ones mean what they say."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playbooks import yaml
from playbooks.library import Library
from playbooks.load import PlaybookTrouble, document, rollback_classes
from playbooks.schema import Roles

REFUSED = {
    "alias": (b"a: &x 1\nb: *x\n", 1),
    "anchor on a key": (b"&x a: 1\n", 1),
    "billion laughs": (b"a: 1\nb: &b [x, x]\nc: [*b, *b]\n", 2),
    "object tag": (b"a: !!python/object/apply:os.system ['true']\n", 1),
    "custom tag": (b"a: 1\nb: !secret x\n", 2),
    "duplicate key": (b"a: 1\nb: 2\na: 3\n", 3),
    "merge key": (b"<<: {a: 1}\n", 1),
    "list as a key": (b"? [a]\n: 1\n", 1),
    "deep": (b"\n" + b"[" * 40 + b"]" * 40, 2),
    "too large": (b"#" * (yaml.MAX_BYTES + 1), 1),
    "not UTF-8": (b"a: 1\nb: \xff\n", 2),
    "escape character": (b"a: \x1b[2J\n", 1),
    "two documents": (b"a: 1\n---\nb: 2\n", 2),
    "empty": (b"# nothing\n", 1),
    "broken": (b"a: 1\nb: [1,\n", 3),
}


@pytest.mark.parametrize(("raw", "line"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_allowed_is_refused_with_its_line(raw: bytes, line: int) -> None:
    with pytest.raises(yaml.BadYaml) as caught:
        yaml.read(raw)
    assert caught.value.line == line
    assert caught.value.what


def test_plain_values_are_text_numbers_and_truth_only() -> None:
    raw = b"{a: 10, b: yes, c: true, d: 2026-11-21, e: 1.50, f: ~, g: '7', h: 12:30, i: 010}"
    expected = {"a": 10, "b": "yes", "c": True, "d": "2026-11-21", "e": "1.50", "f": None, "g": "7"}
    assert yaml.read(raw).value == expected | {"h": "12:30", "i": "010"}


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        tree = yaml.read(raw)
    except yaml.BadYaml:
        return
    assert tree.line(()) >= 1


ROLES = """id: roles
title: Roles
owner: us
audience: us
corrections: us
version: "1.0"
last_review: "2026-11-21"
review_every_days: 60
status: template
roles:
  - id: ic
    title: Commander
    short: IC
    duties: [decide]
    needed: sometimes
    sources: [S002-ROL-1]
    hat: yes
"""


def test_a_broken_model_names_file_line_and_field(tmp_path: Path) -> None:
    path = tmp_path / "roles.yaml"
    path.write_text(ROLES)
    with pytest.raises(PlaybookTrouble) as caught:
        document(path, Roles)
    assert {(problem.file, problem.line) for problem in caught.value.problems} == {
        ("roles.yaml", 15),
        ("roles.yaml", 17),
    }


def test_a_missing_document_is_trouble_and_not_a_traceback(tmp_path: Path) -> None:
    with pytest.raises(PlaybookTrouble, match="cannot be read"):
        document(tmp_path / "roles.yaml", Roles)


NEW_CLASS = """id: code-execution
title: Undo what executed code did
owner: us
audience: us
corrections: us
version: "0.1"
last_review: "2026-11-21"
review_every_days: 60
status: template
number: 8
name: Code execution
examples: [a script run in production]
reversible: partly
clocks: [{id: stop, name: stopped, budget: 30 min}]
procedure: [Stop it.]
operator: platform owner
needs: []
substitute: [Rebuild the host.]
verification: [The process is gone.]
"""


@pytest.mark.req("S003-RB-8")
def test_a_new_action_class_is_a_new_file_and_clashes_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "rollback"
    folder.mkdir()
    (folder / "8-code-execution.yaml").write_text(NEW_CLASS)
    assert [(each.id, each.clocks[0].budget) for each in rollback_classes(Library(root=tmp_path))] == [
        ("code-execution", 1800)
    ]
    other = tmp_path / "other"
    (other / "rollback").mkdir(parents=True)
    (other / "rollback" / "a.yaml").write_text(NEW_CLASS)
    (other / "rollback" / "b.yaml").write_text(NEW_CLASS.replace("id: code-execution", "id: other"))
    with pytest.raises(PlaybookTrouble, match="share the number 8"):
        rollback_classes(Library(root=other))
