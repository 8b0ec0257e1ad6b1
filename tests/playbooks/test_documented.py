"""docs/playbooks.md names every kind of document and everything that a playbook can say."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from playbooks.library import KINDS, Library
from playbooks.response import Command, Decision, Http, Option, Playbook, Section, Step, Trigger, Value, Wait
from playbooks.schema import Document
from playbooks.undoing import Clock, Reversal, RollbackClass, Sign
from tests.playbooks.documents import put

TEXT = (Path(__file__).parents[2] / "docs" / "playbooks.md").read_text()


def test_every_kind_is_in_the_table_with_its_place_and_its_key() -> None:
    for kind in KINDS.values():
        where = f"{kind.name}.yaml" if kind.parts else f"{kind.name}/*.yaml"
        assert f"| `{kind.name}` | `{where}` | `{kind.sign}` |" in TEXT


@pytest.mark.parametrize(
    "model",
    [
        Document, Playbook, Trigger, Section, Step, Value, Command, Http, Decision, Option, Wait,
        RollbackClass, Clock, Sign, Reversal,
    ],
)  # fmt: skip
def test_every_key_of_a_playbook_is_named(model: type[BaseModel]) -> None:
    assert [name for name in model.model_fields if f"`{name}`" not in TEXT] == []


def test_the_short_form_that_is_shown_can_be_read(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```yaml\n(containment_playbook:.*?)```", TEXT, re.DOTALL)
    put(tmp_path, "shown.yaml", shown)
    library = Library(tmp_path)
    assert library.problems == ()
    verbs = [step.action.verb for step in library.named(Playbook, "shown").steps() if step.action]
    assert len(verbs) == 4
    assert set(verbs) <= library.moves().keys()
