"""Requirement ids: those on tests and those in documents are ids that exist."""

import re

import pytest

from playbooks import load, requirements, yaml

SHAPE = re.compile(r"(S\d{3}-[A-Z0-9]+(-[0-9A-Za-z]+)?|X-\d{1,2})(\.\d{1,2})?")
KINDS = set("RDFTCAGLME")
HOMES = {
    *("TRIP", "KILL", "ROLL", "CHK", "PLAY", "TIME", "EVID", "COMM", "POST"),
    *("DRILL", "SEV", "ROLE", "CONF", "AUTO"),
}


def named(value: object) -> set[str]:
    """The ids under `requirements` and `sources`, anywhere in a document."""
    if isinstance(value, list):
        return set().union(*map(named, value))
    if not isinstance(value, dict):
        return set()
    own = {each for key in ("requirements", "sources") for each in value.get(key) or ()}
    return own.union(*map(named, value.values()))


def test_the_list_names_each_id_once_with_its_kind_and_home() -> None:
    lines = [line.split() for line in requirements.LIST.read_text().splitlines() if line[0] != "#"]
    ids = [id for id, *_ in lines]
    assert len(ids) == len(set(ids)) == len(requirements.known())
    assert [each for each in ids if not SHAPE.fullmatch(each)] == []
    for each in requirements.known().values():
        assert (each.kind in KINDS and each.home in HOMES) or (each.id[0] == "X" and not each.home), each


@pytest.mark.parametrize(
    ("id", "exists"),
    [
        ("S002-PB1-T", True),
        ("S002-PB1-T.3", True),
        ("S002-PB1-T.4", False),
        ("S002-PB1-T.0", False),
        ("S002-PB12-T.1", True),
        ("S002-PB12-T.2", False),
        ("S002-PB13-T", False),
        ("X-30.1", True),
        ("X-31", False),
        ("OPS-12", False),
    ],
)
def test_an_id_is_wrong_unless_it_is_in_the_list(id: str, exists: bool) -> None:
    assert (requirements.wrong(id) == "") is exists


def test_a_team_may_name_its_own_requirements_but_none_of_ours_that_there_is_not() -> None:
    assert requirements.wrong("OPS-12", own=True) == ""
    assert requirements.wrong("S002-PB13-T", own=True)


def test_every_marker_names_a_requirement(request: pytest.FixtureRequest) -> None:
    """Looks at the tests of this run: in a full run, at all of them."""
    wrong = []
    for item in request.session.items:
        for marker in item.iter_markers("req"):
            ids = [each for each in marker.args if isinstance(each, str)]
            if marker.kwargs or not ids or len(ids) != len(marker.args):
                wrong.append(f"{item.nodeid}: a marker takes ids and nothing else")
            wrong += [f"{item.nodeid}: {each}" for each in ids if requirements.wrong(each)]
    assert wrong == []


def test_every_id_in_a_document_is_a_requirement() -> None:
    wrong = []
    documents = sorted(load.LIBRARY.rglob("*.yaml"))
    assert documents
    for path in documents:
        found = named(yaml.read(path.read_bytes()).value)
        assert found, f"{path.name} says for no requirement what it is there for"
        wrong += [f"{path.name}: {each}" for each in sorted(found) if requirements.wrong(each)]
    assert wrong == []
