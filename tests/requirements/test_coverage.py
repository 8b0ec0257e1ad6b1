"""No requirement of the runbook is lost: each has something that carries it and a test that proves it."""

from pathlib import Path

import pytest

from playbooks.requirements import Requirement
from tests.requirements import coverage
from tests.requirements.coverage import Carrier, Row

AGAIN = "run `python -m tests.requirements.coverage`"


@pytest.fixture(scope="module")
def rows(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """The rows of all tests: of this run if it has every test file, else of a collection of its own."""
    items = request.session.items
    if set((coverage.ROOT / "tests").rglob("test_*.py")) <= {item.path for item in items}:
        return coverage.rows(coverage.marked(items))
    return coverage.rows(coverage.collected(tmp_path_factory.mktemp("collected") / "proofs.json"))


def test_no_requirement_is_lost(rows: list[Row]) -> None:
    waiting = coverage.waiting()
    lost = {row.requirement.id: row.missing for row in rows if row.missing}
    assert {id: what for id, what in lost.items() if id not in waiting} == {}


def test_what_is_covered_waits_no_longer(rows: list[Row]) -> None:
    covered = {row.requirement.id for row in rows if not row.missing}
    assert [id for id in coverage.waiting() if id in covered] == [], AGAIN


def test_the_list_of_what_is_open_names_requirements_in_scope_once() -> None:
    waiting = coverage.waiting()
    scope = [each.id for each in coverage.in_scope()]
    assert len(waiting) == len(set(waiting))
    assert [id for id in waiting if id not in scope] == []


def test_the_page_is_up_to_date(rows: list[Row]) -> None:
    assert coverage.PAGE.read_text() == coverage.page(rows), AGAIN


@pytest.mark.parametrize("carrier", list(coverage.code()), ids=lambda each: f"{each.id} {each.part}")
def test_what_is_said_to_carry_a_requirement_is_there(carrier: Carrier) -> None:
    assert carrier.part in (coverage.ROOT / carrier.file).read_text()


TWO = Requirement("S002-PB1-R", "A", "PLAY", 2)
DOCUMENT = "playbooks/responses/a.yaml"


@pytest.mark.parametrize(
    ("carried", "proofs", "missing"),
    [
        ([], ["t"], "nothing carries it"),
        (["S002-PB1-R.1"], ["t"], "nothing carries S002-PB1-R.2"),
        (["S002-PB1-R.1", "S002-PB1-R.2"], [], "no test proves it"),
        (["S002-PB1-R.1", "S002-PB1-R.2"], ["t"], ""),
        (["S002-PB1-R"], ["t"], ""),
    ],
)
def test_a_row_says_what_it_lacks(carried: list[str], proofs: list[str], missing: str) -> None:
    row = Row(TWO, [Carrier(id, DOCUMENT, "step") for id in carried], proofs)
    assert row.missing == missing
    assert (f"**{missing}**" in coverage.page([row])) is ("carries" in missing)


def test_a_part_of_a_document_is_named_by_the_element_that_carries_it() -> None:
    found = [each for each in coverage.documents() if each.id == "S003-KS-1"]
    assert Carrier("S003-KS-1", "playbooks/checklists/first-response.yaml", "stop-harm") in found


def test_the_list_gets_shorter_and_never_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_, page = tmp_path / "open.txt", tmp_path / "coverage.md"
    open_.write_text(coverage.open_page(["S002-PB1-R", "S002-PB2-R"]))
    found = [
        Row(TWO, [], []),
        Row(TWO._replace(id="S002-PB2-R", parts=1), [Carrier("S002-PB2-R", DOCUMENT)], ["t"]),
        Row(TWO._replace(id="S002-PB8-R"), [], []),
    ]
    monkeypatch.setattr(coverage, "OPEN", open_)
    monkeypatch.setattr(coverage, "PAGE", page)
    monkeypatch.setattr(coverage, "collected", lambda _: {})
    monkeypatch.setattr(coverage, "rows", lambda _: found)
    monkeypatch.setattr("sys.argv", ["coverage"])
    coverage.main()
    assert coverage.waiting() == ["S002-PB1-R"]
    assert "1 of 3 are covered" in page.read_text()
