"""The shipped documents: they load, and they hold what the requirements ask for."""

import subprocess
import sys
from dataclasses import dataclass

import pytest

from playbooks import load

HOUR = 3600


def test_importing_the_package_brings_no_dependency_with_it() -> None:
    code = "import sys, playbooks; print(sorted({'yaml', 'pydantic'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.req("S001-FT-0", "S004-M15-1", "X-5")
def test_every_first_response_item_of_every_source_is_on_the_merged_list() -> None:
    wanted = {f"S001-FT-{n}" for n in range(1, 8)} | {f"S001-CK-{n}" for n in range(1, 7)}
    wanted |= {f"S002-CK-{n}" for n in range(1, 9)} | {f"S002-USE-{n}" for n in range(1, 6)}
    wanted |= {f"S004-M15-{n}" for n in range(1, 6)} | {"S003-KS-1"}
    covered = {source for item in load.checklist().items for source in item.sources}
    assert wanted - covered == set()


@pytest.mark.req("X-5")
def test_due_times_are_those_of_the_sources() -> None:
    items = {item.id: item for item in load.checklist().items}
    assert (items["stop-harm"].due, items["stop-harm"].since) == (30, "harm_confirmed")
    facts = [item for item in items.values() if any(source.startswith("S001-FT-") for source in item.sources)]
    assert len(facts) == 7
    assert {item.due for item in facts} == {600}
    for item in items.values():
        assert item.due in {30, 600, 900, None}
        if any(source.startswith(("S002-CK-", "S004-M15-")) for source in item.sources):
            assert item.due is not None
            assert item.due <= 900


@pytest.mark.req("X-5")
def test_a_profile_shows_its_own_part_of_the_one_list() -> None:
    merged = load.checklist().items
    for profile in load.PROFILES:
        items = load.checklist(profile).items
        assert [item for item in merged if item in items] == list(items)
    assert all(
        any(s.startswith("S001-") for s in item.sources) for item in load.checklist("s001-10min").items
    )
    assert len(load.checklist("s004-bundle").items) == 5


@pytest.mark.req("S002-ROL-1", "S002-ROL-2", "S002-ROL-3", "S002-ROL-4", "S002-ROL-5")
def test_items_belong_to_the_five_roles() -> None:
    roles = {role.id for role in load.roles()}
    assert roles == {"ic", "ops", "security", "scribe", "comms"}
    assert {item.role for item in load.checklist().items} <= roles


@pytest.mark.req("X-22", "S003-RB-1c", "S003-RB-2c", "S003-RB-3b", "S003-RB-4c", "S003-RB-5b", "S003-RB-6b")
@pytest.mark.req("S003-RB-7b")
def test_the_seven_classes_carry_every_clock() -> None:
    clocks = {each.number: [clock.budget for clock in each.clocks] for each in load.rollback_classes()}
    assert clocks == {
        1: [4 * HOUR],
        2: [24 * HOUR],
        3: [4 * HOUR],
        4: [1 * HOUR, 24 * HOUR],
        5: [HOUR // 2, 4 * HOUR],
        6: [HOUR // 2, 24 * HOUR],
        7: [4 * HOUR, 7 * 24 * HOUR],
    }


@pytest.mark.req("S003-RB-0", "S003-RB-00")
def test_each_class_says_how_who_what_instead_and_how_it_is_shown() -> None:
    for each in load.rollback_classes():
        assert each.procedure
        assert each.operator
        assert each.substitute
        assert each.verification


@dataclass(frozen=True)
class Meant:
    text: str
    profile: str
    severity: int


@pytest.mark.req("X-1", "S002-SEV-6", "S001-SEV-1", "S001-SEV-2", "S001-SEV-3")
@pytest.mark.parametrize(
    "meant",
    [Meant(f"P{n - 1}", "merged", n) for n in range(1, 6)]
    + [Meant(f"sev {n}", "s002-ics-15min", n) for n in range(1, 6)]
    + [Meant(f"S{n}", profile, n) for n in range(1, 4) for profile in ("merged", "s001-10min")]
    + [Meant("2", "s003-overlay", 2)],
    ids=str,
)
def test_every_name_of_a_severity_maps_to_the_canonical_number(meant: Meant) -> None:
    level = load.level(meant.text, meant.profile)
    assert level is not None
    assert level.severity == meant.severity


@pytest.mark.req("S002-SEV-7")
def test_unsure_pages_at_the_second_level() -> None:
    assert load.severity_scale().unsure == 2
    assert load.level("SEV-9") is None


@pytest.mark.req("S002-META-1", "S003-VR-1", "S003-VR-2")
def test_every_document_says_who_owns_it_and_when_it_is_read_again() -> None:
    documents = [load.checklist(), *load.rollback_classes(), *map(load.severity_scale, load.PROFILES)]
    for each in documents:
        assert each.owner
        assert each.audience
        assert each.corrections
        assert (each.review_due() - each.last_review).days == 60


def test_an_unknown_profile_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        load.checklist("s999")
