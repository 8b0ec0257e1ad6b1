"""Roles with their duties, and severities with their criteria, as the sources have them."""

import pytest

from playbooks import load
from tests.cli.conftest import Warroom

ROLES = {role.id: role for role in load.roles()}

DUTIES = {
    "S002-ROL-1": ("ic", "commander", ["decisions", "severity", "updates"]),
    "S002-ROL-2": ("ops", "operations lead", ["mitigation", "rollback", "scaling", "infrastructure"]),
    "S002-ROL-3": ("security", "security lead", ["forensics", "breach", "notifications"]),
    "S002-ROL-4": ("scribe", "scribe", ["exact timeline", "utc"]),
    "S002-ROL-5": ("comms", "communications lead", ["status page", "support macros", "stakeholders"]),
}


@pytest.mark.parametrize(
    ("role", "title", "duties"),
    [pytest.param(*value, id=key, marks=pytest.mark.req(key)) for key, value in DUTIES.items()],
)
def test_a_role_has_the_duties_of_the_source(role: str, title: str, duties: list[str]) -> None:
    assert title in ROLES[role].title.lower()
    text = " ".join(ROLES[role].duties).lower()
    assert [duty for duty in duties if duty not in text] == []


def test_there_are_five_roles_and_security_comes_when_needed() -> None:
    assert list(ROLES) == ["ic", "ops", "security", "scribe", "comms"]
    assert ROLES["security"].needed == "as-needed"
    assert {ROLES["ic"].needed, ROLES["scribe"].needed} == {"always"}


MATRIX = {
    "S002-SEV-1": (1, ["outage", "data"], ["regions", "many tenants"], ["50 %", "isolation", "breach"]),
    "S002-SEV-2": (2, ["major"], ["one region", "many users"], ["provider", "failover", "cost runaway"]),
    "S002-SEV-3": (
        3,
        ["partial"],
        ["one feature", "one tenant"],
        ["tool registry", "queue backlog", "prompt injection attempt"],
    ),
    "S002-SEV-4": (4, ["minor"], ["workaround"], ["one component"]),
    "S002-SEV-5": (5, ["cosmetic"], ["none"], ["user interface", "document"]),
}
SLO = {1: "breached, or certain", 2: "likely", 3: "may be", 4: "not breached", 5: "not breached"}


@pytest.mark.parametrize("profile", ["merged", "s002-ics-15min"])
@pytest.mark.parametrize(
    ("number", "impact", "scope", "examples"),
    [pytest.param(*value, id=key, marks=pytest.mark.req(key)) for key, value in MATRIX.items()],
)
def test_a_level_of_the_matrix(
    number: int, impact: list[str], scope: list[str], examples: list[str], profile: str
) -> None:
    level = load.severities(profile)[number - 1]
    assert level.severity == number
    for words, text in ((impact, level.impact), (scope, level.scope), (examples, " ".join(level.examples))):
        assert [word for word in words if word not in text] == []
    assert SLO[number] in level.slo


@pytest.mark.req("S002-SEV-6")
@pytest.mark.parametrize("profile", ["merged", "s002-ics-15min"])
def test_every_level_has_all_columns_and_its_p_alias(profile: str) -> None:
    for number, level in enumerate(load.severities(profile), 1):
        assert (level.label, f"P{number - 1}" in level.aliases) == (f"SEV-{number}", True)
        assert all((level.impact, level.scope, level.slo, level.examples))


HARM = {
    "S001-SEV-1": (1, ["harm", "unsafe", "unauthorised", "destructive", "regulated", "high-value"]),
    "S001-SEV-2": (2, ["wrong outcomes", "major workflow", "rescue", "trust"]),
    "S001-SEV-3": (3, ["quality regression", "citation", "formatting", "low-risk workflow"]),
}


@pytest.mark.parametrize(
    ("number", "kinds"),
    [pytest.param(*value, id=key, marks=pytest.mark.req(key)) for key, value in HARM.items()],
)
def test_every_kind_of_harm_has_its_level(number: int, kinds: list[str]) -> None:
    """On one of the two scales; formatting alone is one level lower on the merged one."""
    requirement = f"S001-SEV-{number}"
    (mine,) = (level for level in load.severities("s001-10min") if level.severity == number)
    assert mine.label == f"S{number}"
    levels = [mine, *(level for level in load.severities() if requirement in level.sources)]
    text = " ".join(f"{level.impact} {' '.join(level.criteria)}" for level in levels)
    assert [kind for kind in kinds if kind not in text] == []


@pytest.mark.req("S002-SEV-7")
def test_unsure_is_the_second_level_and_can_be_adjusted(warroom: Warroom) -> None:
    assert {load.severity_scale(profile).unsure for profile in load.PROFILES} == {2}
    (value,) = warroom.quick("declare", "something is wrong", "--json").values
    assert (value["severity"], value["label"]) == (2, "SEV-2")
    warroom.quick("severity", "4", "one component, with a workaround")
    (state,) = warroom.quick("show", "--json").values
    assert (state["severity"], state["label"]) == (4, "SEV-4")
