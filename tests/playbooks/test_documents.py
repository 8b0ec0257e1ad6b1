"""The shipped documents: they load, and profiles and names lead to the right one.

What the requirements ask of them is in tests/requirements/.
"""

import subprocess
import sys
from dataclasses import dataclass

import pytest

from playbooks import load


def test_importing_the_package_brings_no_dependency_with_it() -> None:
    code = "import sys, playbooks; print(sorted({'yaml', 'pydantic'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


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


@dataclass(frozen=True)
class Meant:
    text: str
    profile: str
    severity: int


@pytest.mark.req("X-1")
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


def test_an_unknown_profile_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        load.checklist("s999")


def test_an_unknown_severity_has_no_level() -> None:
    assert load.level("SEV-9") is None
