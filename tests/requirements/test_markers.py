"""Requirement ids: those on tests and those in documents are ids that exist.

`ids.txt` lists them, one family a line. `X-30.1` is the first part of a requirement that has several.
"""

import re
from pathlib import Path

import pytest

from playbooks import load, yaml

SHAPE = re.compile(r"(S\d{3}-[A-Z0-9]+(-[0-9A-Za-z]+)?|X-\d{1,2})(\.\d{1,2})?")
FAMILIES = [line.split() for line in (Path(__file__).parent / "ids.txt").read_text().splitlines()]
KNOWN = {f"{family}-{number}" for family, *numbers in FAMILIES for number in numbers}


def whole(requirement: str) -> str:
    """The requirement that an id, perhaps of a part, belongs to."""
    return requirement.partition(".")[0]


def named(value: object) -> set[str]:
    """The ids under `requirements` and `sources`, anywhere in a document."""
    if isinstance(value, list):
        return set().union(*map(named, value))
    if not isinstance(value, dict):
        return set()
    own = {each for key in ("requirements", "sources") for each in value.get(key) or ()}
    return own.union(*map(named, value.values()))


def test_the_list_names_each_id_once() -> None:
    listed = [f"{family}-{number}" for family, *numbers in FAMILIES for number in numbers]
    assert len(listed) == len(set(listed))
    assert [each for each in listed if not SHAPE.fullmatch(each)] == []


def test_every_marker_names_a_requirement(request: pytest.FixtureRequest) -> None:
    """Looks at the tests of this run: in a full run, at all of them."""
    wrong = []
    for item in request.session.items:
        for marker in item.iter_markers("req"):
            ids = [each for each in marker.args if isinstance(each, str)]
            if marker.kwargs or not ids or len(ids) != len(marker.args):
                wrong.append(f"{item.nodeid}: a marker takes ids and nothing else")
            wrong += [
                f"{item.nodeid}: {each}"
                for each in ids
                if not SHAPE.fullmatch(each) or whole(each) not in KNOWN
            ]
    assert wrong == []


def test_every_id_in_a_document_is_a_requirement() -> None:
    wrong = []
    documents = sorted(load.LIBRARY.rglob("*.yaml"))
    assert documents
    for path in documents:
        found = named(yaml.read(path.read_bytes()).value)
        assert found, f"{path.name} says for no requirement what it is there for"
        wrong += [f"{path.name}: {each}" for each in sorted(found) if whole(each) not in KNOWN]
    assert wrong == []
