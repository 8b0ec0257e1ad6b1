"""The first-response checklist carries every item that a source asks for, in time, and with its meaning."""

from pathlib import Path
from typing import NamedTuple

import pytest
from _pytest.mark import ParameterSet

from console.desk import Desk
from console.refusal import Refused
from data.clock import ManualClock
from data.home import Home
from playbooks import load
from playbooks.schema import Checklist, Item
from tests.cli.conftest import Warroom

ITEMS = load.checklist().items


class Asked(NamedTuple):
    """What one requirement asks of the list: an item with these words in it.

    Attributes:
        requirement: its id.
        words: all of them occur in one item that names the requirement, in its text or its help.
        role: who owns that item, where the requirement leaves no doubt.
    """

    requirement: str
    words: tuple[str, ...]
    role: str = ""


ASKED = [
    Asked("S001-FT-1", ("workflow",)),
    Asked("S001-FT-2", ("severity",)),
    Asked("S001-FT-3", ("users", "customers", "right now")),
    Asked("S001-FT-4", ("recent", "releases", "configuration")),
    Asked("S001-FT-5", ("tools", "still", "side effects")),
    Asked("S001-FT-6", ("approval boundaries",)),
    Asked("S001-FT-7", ("safer fallback",)),
    Asked("S001-CK-1", ("workflow",)),
    Asked("S001-CK-1", ("severity",)),
    Asked("S001-CK-1", ("assign",)),
    Asked("S001-CK-2", ("stop or narrow",)),
    Asked("S001-CK-3", ("preserve", "run", "release")),
    Asked("S001-CK-4", ("rollback", "restriction", "fallback", "continued monitoring")),
    Asked("S001-CK-5", ("facts", "impact", "containment", "owner", "next")),
    Asked("S001-CK-6", ("evals", "alerts", "log", "release gates")),
    Asked("S001-PRI-1", ("stopped", "narrowed", "rolled back", "safely", "before more damage")),
    Asked("S001-PRI-2", ("containment comes before", "prompts")),
    Asked(
        "S001-PRI-3",
        ("tool calls", "approvals", "retrieval", "outside systems", "branches", "versions", "handovers"),
    ),
    Asked("S002-USE-1", ("decide the severity",), "ic"),
    Asked("S002-USE-2", ("declare", "ticket", "page on-call"), "ic"),
    Asked("S002-USE-3", ("assign", "roles"), "ic"),
    Asked("S002-USE-4", ("playbook",)),
    Asked("S002-USE-5", ("stabilise", "mitigate", "recover", "review", "updates")),
    Asked("S002-CK-1", ("declare",), "ic"),
    Asked("S002-CK-1", ("incident commander", "scribe"), "ic"),
    Asked("S002-CK-2", ("how often updates", "30 min"), "ic"),
    Asked("S002-CK-3", ("freeze deployments",), "ops"),
    Asked("S002-CK-4", ("dashboards", "traces", "logs")),
    Asked("S002-CK-5", ("blast radius", "tenants", "regions", "endpoints")),
    Asked("S002-CK-6", ("playbook", "begin", "mitigation")),
    Asked("S002-CK-7", ("channel", "bridge")),
    Asked("S002-CK-8", ("draft", "status page", "support", "executives"), "comms"),
    Asked("S003-FR-2", ("detection", "when the agent acted")),
    Asked("S003-FR-2", ("stop or narrow",)),
    Asked("S003-FR-2", ("rollback", "action class", "clocks run from containment")),
    Asked("S003-FR-2", ("post-mortem",)),
    Asked("S004-M15-1", ("stop or narrow", "path")),
    Asked("S004-M15-2", ("trace", "session")),
    Asked("S004-M15-3", ("outside side effect", "already happened")),
    Asked("S004-M15-4", ("capability", "principal", "connector", "disabled")),
    Asked("S004-M15-5", ("active bundle", "rollout wave")),
]

WINDOWS = {"S001-FT": 600, "S002-CK": 900, "S004-M15": 900}
"""Seconds from the declaration that a source gives its items."""
OTHER_CLOCK = {"S004-M15-1"}
"""On the list, but its only clock waits for confirmed harm: no proof of its window."""


def rows() -> list[ParameterSet]:
    return [
        pytest.param(
            each,
            id=each.requirement,
            marks=() if each.requirement in OTHER_CLOCK else pytest.mark.req(each.requirement),
        )
        for each in ASKED
    ]


def said(item: Item) -> str:
    return f"{item.text} {item.help}".lower()


@pytest.mark.parametrize("asked", rows())
def test_each_item_that_a_source_asks_for_is_on_the_list_and_due_in_its_window(asked: Asked) -> None:
    carrying = [item for item in ITEMS if asked.requirement in item.sources]
    item = next((item for item in carrying if all(word in said(item) for word in asked.words)), None)
    assert item is not None, [said(each) for each in carrying]
    assert asked.role in ("", item.role)
    window = WINDOWS.get(asked.requirement.rpartition("-")[0])
    if window is not None and asked.requirement not in OTHER_CLOCK:
        assert item.since == "declared"
        assert item.due is not None
        assert item.due <= window, "merged with an item that is due sooner, never with one that is due later"


SECOND = 1_000_000_000
RULES = {"S001-PRI-1", "S001-PRI-2", "S001-PRI-3", "S002-USE-5", "S003-FR-2"}
"""How to go about it; an item reminds of it, and to tick that proves nothing."""


@pytest.mark.parametrize(
    "requirement",
    [
        pytest.param(id, marks=() if id in RULES else pytest.mark.req(id))
        for id in {a.requirement: 0 for a in ASKED}
    ],
)
async def test_an_item_is_overdue_in_an_incident_until_it_is_done_or_left_out_with_a_reason(
    tmp_path: Path, requirement: str
) -> None:
    desk = await Desk.open(Home.open(tmp_path / "home", clock=ManualClock(1_795_262_400_000_000_000)), "ana")
    try:
        room = await desk.declare("refunds in a loop", 1)
        state = room.incident
        names = [name for name, check in state.checklist.items() if requirement in check.item.sources]
        assert names

        def late(seconds: int) -> set[str]:
            found = room.incident.overdue(state.declared_at + seconds * SECOND)
            return {check.item.id for check in found}.intersection(names)

        window = WINDOWS.get(requirement.rpartition("-")[0])
        clocks = {name for name in names if state.checklist[name].item.due}
        assert late(0) == set()
        assert late(900 + 1) == clocks
        if window is not None:
            assert late(window + 1) == set(names)
        for name in names:
            with pytest.raises(Refused, match="needs a reason"):
                await room.tick(name, "waived")
            await room.tick(name, "waived", "another team has it")
            assert room.incident.checklist[name].reason == "another team has it"
            await room.tick(name, "open")
            if state.checklist[name].item.evidence:
                with pytest.raises(Refused, match="asks for evidence"):
                    await room.tick(name)
            await room.tick(name, evidence="change 4711")
            check = room.incident.checklist[name]
            assert (check.state, check.evidence) == ("done", "change 4711")
        assert late(24 * 3600) == set()
    finally:
        await desk.close()


@pytest.mark.req("S001-FT-0")
def test_seven_facts_are_due_in_ten_minutes_of_the_declaration() -> None:
    facts = [item for item in ITEMS if any(source.startswith("S001-FT-") for source in item.sources)]
    assert {source for item in facts for source in item.sources if "-FT-" in source} == {
        f"S001-FT-{n}" for n in range(1, 8)
    }
    assert [(item.due, item.since) for item in facts] == [(600, "declared")] * 7
    assert {item.phase for item in facts} == {"assess", "declare"}, "facts to establish, nothing to diagnose"


@pytest.mark.req("X-5")
def test_one_list_holds_all_windows_and_keeps_every_source_of_a_merged_item() -> None:
    items = {item.id: item for item in ITEMS}
    assert len(items) == len(ITEMS)
    first = items["stop-harm"]
    assert (first.due, first.since) == (30, "harm_confirmed")
    assert {source[:4] for source in first.sources} == {"S001", "S003", "S004"}
    assert {item.due for item in ITEMS} == {30, 600, 900, None}
    roles = {role.id for role in load.roles()}
    assert [item.id for item in ITEMS if item.role not in roles or not item.sources] == []
    named = [source for item in ITEMS for source in item.sources]
    assert {asked.requirement for asked in ASKED} <= set(named)


@pytest.mark.parametrize(
    "requirement", [pytest.param(id, marks=pytest.mark.req(id)) for id in ("S001-CK-3", "S002-CK-4")]
)
def test_what_is_to_be_kept_is_done_with_what_shows_that_it_was(requirement: str) -> None:
    assert [item.evidence for item in ITEMS if requirement in item.sources] == [True]


@pytest.mark.req("S001-PRI-2")
def test_containment_is_the_first_thing_to_do() -> None:
    assert (ITEMS[0].id, ITEMS[0].phase) == ("stop-harm", "contain")


@pytest.mark.req("S003-FR-2")
def test_the_overlay_shows_one_item_for_each_of_its_four_phases() -> None:
    overlay = load.checklist("s003-overlay").items
    assert [item.id for item in overlay] == ["stop-harm", "declare", "side-effects-done", "learn"]


SHEET = {
    "S002-QS-1": ("declare", "roles", "freeze deployments"),
    "S002-QS-2": ("blast radius", "playbook"),
    "S002-QS-3": ("roll back", "scale", "clamp", "disable"),
    "S002-QS-4": ("recover", "monitor", "updates in the rhythm"),
    "S002-QS-5": ("post-mortem", "preventive action", "owner"),
}


@pytest.mark.parametrize(
    ("number", "words"),
    [
        pytest.param(n, words, id=key, marks=pytest.mark.req(key))
        for n, (key, words) in enumerate(SHEET.items())
    ],
)
def test_the_one_page_sheet_has_its_five_lines_in_order(number: int, words: tuple[str, ...]) -> None:
    sheet = load.document(load.LIBRARY / "checklists" / "one-page.yaml", Checklist)
    assert len(sheet.items) == 5
    text = sheet.items[number].text.lower()
    places = [text.find(word) for word in words]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.req("S002-CK-9")
def test_the_checklist_prints_as_plain_text(declared: Warroom) -> None:
    """Without a terminal, as on its way to a printer: every item with its box, and nothing but text."""
    declared.quick("tick", "severity")
    shown = declared.quick("show").out
    assert shown.replace("\n", "").isprintable()
    rows = {line.split("] ")[1].split()[0]: line for line in shown.splitlines() if line.startswith("  [")}
    assert list(rows) == [item.id for item in ITEMS]
    assert [item.id for item in ITEMS if item.text not in rows[item.id]] == []
    assert [name for name, line in rows.items() if line.startswith("  [x]")] == ["severity"]
