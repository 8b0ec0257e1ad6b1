"""The evidence schema: one name for each thing, every other name taken in and given out."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.evidence import schema
from console.evidence.search import SEARCHED
from console.telemetry.action import Action
from playbooks.guidance import Searched

EVERY_NAME = [(name, field.name) for field in schema.fields() for name in (field.name, *field.aliases)]

NAMED = {
    "S001-EV-1": "incident_id", "S001-EV-2": "run_id", "S001-EV-3": "workflow", "S001-EV-4": "agent_version",
    "S001-EV-5": "model_lane", "S001-EV-6": "tool_configuration", "S001-EV-7": "approval_policy",
    "S001-EV-8": "user_visible_output", "S001-EV-10": "reviewer_labels", "S001-EV-12": "containment_action",
    "S004-PR-1": "trace_id", "S004-PR-2": "session_id", "S004-PR-3": "agent_id", "S004-PR-4": "tool_principal",
    "S004-PR-5": "approval_id", "S004-PR-6": "bundle_id", "S004-PR-7": "change_id", "S004-PR-8": "rollout_wave",
    "S004-PR-9": "policy_decisions", "S004-PR-10": "approval_decisions", "S004-PR-11": "memory_records",
}  # fmt: skip


@pytest.mark.parametrize(("requirement", "name"), NAMED.items())
def test_each_field_that_is_asked_for_has_a_name(requirement: str, name: str) -> None:
    assert requirement in schema.by_name()[name].sources


@pytest.mark.parametrize(
    ("requirement", "names"),
    [
        ("S001-EV-9", {"tool_calls", "side_effects", "tool_call_id"}),
        ("S001-EV-11", {"cost", "latency"}),
        ("S004-PR-12", {"allowed_egress", "network_path"}),
        (
            "S004-DU-2",
            {
                "trace_id",
                "session_id",
                "approval_id",
                "tool_principal",
                "idempotency_key",
                "bundle_id",
                "rollout_wave",
            },
        ),
        ("S000-CP-7", {"trace_id", "approval_id", "mcp_server_logs", "webhook_request_headers"}),
    ],
)
def test_lists_of_fields_are_there_whole(requirement: str, names: set[str]) -> None:
    assert {field.name for field in schema.fields() if requirement in field.sources} == names


def test_no_name_means_two_things() -> None:
    for name, meant in EVERY_NAME:
        found = schema.field(name)
        assert found is not None
        assert found.name == meant


@pytest.mark.req("X-25")
@pytest.mark.parametrize(("name", "meant"), EVERY_NAME)
def test_every_name_is_accepted_and_shown_again(name: str, meant: str) -> None:
    known, unknown = schema.take_in({name: "v"})
    assert (known, unknown) == ({meant: "v"}, {})
    shown = schema.give_out(known)
    assert shown[name] == "v"
    assert schema.take_in(shown) == (known, {})


@pytest.mark.req("X-25")
@given(st.dictionaries(st.sampled_from([field.name for field in schema.fields()]), st.text()))
def test_what_was_given_out_is_taken_in_as_it_was(values: dict[str, str]) -> None:
    assert schema.take_in(schema.give_out(values)) == (values, {})


def test_what_contradicts_is_not_dropped() -> None:
    known, unknown = schema.take_in({"trace": "b", "trace_id": "a", "Trace ID": "a", "colour": "red"})
    assert known == {"trace_id": "a"}
    assert unknown == {"trace": "b", "colour": "red"}


def test_names_are_read_as_people_write_them() -> None:
    for written in ("TRACE ID", "trace-id", "Trace.Id", "traceId", " trace_id "):
        field = schema.field(written)
        assert field is not None, written
        assert field.name == "trace_id"
    assert schema.field("colour") is None


@pytest.mark.req("S002-SLO-2")
def test_links_that_the_checklist_asks_for_are_no_gap_of_every_incident() -> None:
    assert "dashboards" not in schema.missing(())
    assert set(schema.missing((), ["dashboards"])) - set(schema.missing(())) == {"dashboards"}


@pytest.mark.req("S004-PR-5")
def test_what_only_some_incidents_have_is_missing_only_when_asked_for() -> None:
    always = {field.name for field in schema.fields() if field.needed == "always"}
    assert set(schema.missing(())) == always
    assert "approval_id" not in schema.missing(())
    assert "approval_id" in schema.missing((), ["approval_id"])
    assert "approval_id" not in schema.missing(["approval_id"], ["approval_id"])
    assert schema.missing(always) == ()


def test_the_documentation_lists_it_as_it_is() -> None:
    text = (Path(__file__).parents[2] / "docs" / "capture.md").read_text()
    for each in schema.fields():
        row = f"| `{each.name}` | {each.meaning} | {', '.join(each.aliases)} | {each.needed} | {', '.join(each.sources)} |"
        assert row in text


def test_what_can_be_searched_for_is_looked_at_and_is_part_of_an_action() -> None:
    for field in schema.fields():
        assert set(field.searched) <= set(SEARCHED) <= set(Action.__struct_fields__)
    assert set(get_args(Searched)) == set(SEARCHED)
