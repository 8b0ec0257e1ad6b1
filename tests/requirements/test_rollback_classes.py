"""The seven action classes: every clock as the source sets it, and what it asks to be written down."""

import pytest

from playbooks import load
from playbooks.undoing import RollbackClass

CLASSES = {each.number: each for each in load.rollback_classes()}
MINUTE, HOUR, DAY = 60, 3600, 86_400

BUDGETS = {
    "S003-RB-1c": (1, [("undone", 4 * HOUR)]),
    "S003-RB-2c": (2, [("reversed", 24 * HOUR)]),
    "S003-RB-3b": (3, [("follow-up sent", 4 * HOUR)]),
    "S003-RB-4c": (4, [("unpublished", HOUR), ("search engines", 24 * HOUR)]),
    "S003-RB-5b": (5, [("reverted", 30 * MINUTE), ("audited", 4 * HOUR)]),
    "S003-RB-6b": (6, [("revoked", 30 * MINUTE), ("audited", 24 * HOUR)]),
    "S003-RB-7b": (7, [("deleted", 4 * HOUR), ("downstream", 7 * DAY)]),
}


@pytest.mark.parametrize(
    ("number", "clocks"),
    [pytest.param(*value, id=key, marks=pytest.mark.req(key)) for key, value in BUDGETS.items()],
)
def test_every_clock_of_a_class_is_that_of_the_source(number: int, clocks: list[tuple[str, int]]) -> None:
    found = CLASSES[number].clocks
    assert [clock.budget for clock in found] == [budget for _, budget in clocks]
    for clock, (word, _) in zip(found, clocks, strict=True):
        assert word in clock.name


@pytest.mark.req("X-22")
def test_seven_classes_and_no_clock_beside_those() -> None:
    assert sorted(CLASSES) == [1, 2, 3, 4, 5, 6, 7]
    assert sum(len(each.clocks) for each in CLASSES.values()) == 11


PROCEDURES = {
    "S003-RB-1a": (1, "procedure", ["roll the transactions back where the database supports it"]),
    "S003-RB-1a-else": (1, "procedure", ["otherwise", "compensating writes"]),
    "S003-RB-1b": (1, "needs", ["the schema", "operator who may authorise"]),
    "S003-RB-2a": (2, "procedure", ["reverse through the provider", "refund, cancel", "never repeat a call"]),
    "S003-RB-2b": (2, "needs", ["template for telling", "reserve that absorbs"]),
    "S003-RB-3a": (
        3,
        "needs",
        ["follow-up template", "how long legal review", "extracts affected customers"],
    ),
    "S003-RB-4a": (4, "procedure", ["internal", "delete the document or mark it superseded"]),
    "S003-RB-4b": (4, "procedure", ["unpublish first", "links", "410", "301", "corrections"]),
    "S003-RB-5a": (5, "procedure", ["not deployed: revert", "roll the release back", "every system"]),
    "S003-RB-6a": (6, "procedure", ["deprovision", "access log query", "extend the incident"]),
    "S003-RB-7a": (7, "procedure", ["delete them", "other agents retrieved"]),
}


@pytest.mark.parametrize(
    ("number", "part", "words"),
    [
        pytest.param(*value, id=key, marks=pytest.mark.req(key.removesuffix("-else")))
        for key, value in PROCEDURES.items()
    ],
)
def test_a_class_says_what_the_source_asks_for(number: int, part: str, words: list[str]) -> None:
    text = " ".join(getattr(CLASSES[number], part)).lower()
    assert [word for word in words if word not in text] == []


@pytest.mark.req("S003-RB-0")
@pytest.mark.parametrize("each", CLASSES.values(), ids=lambda each: str(each.id))
def test_each_class_says_how_who_how_long_what_instead_and_how_it_is_shown(each: RollbackClass) -> None:
    assert each.procedure
    assert each.operator
    assert each.clocks
    assert each.verification
    assert each.substitute


@pytest.mark.req("S003-RB-00")
def test_where_reversal_is_impossible_the_substitute_is_one_of_three() -> None:
    """A compensating action, telling the customer, or disclosure to the regulator."""
    assert "compensating writes" in CLASSES[1].substitute[0].lower()
    assert CLASSES[3].reversible == "no"
    assert "the follow-up is the substitute" in CLASSES[3].substitute[0]
    partly = " ".join(CLASSES[2].substitute).lower()
    assert CLASSES[2].reversible == "partly"
    assert all(word in partly for word in ("tell the customer", "reserve", "regulator"))
