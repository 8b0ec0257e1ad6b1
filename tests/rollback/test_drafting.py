"""Where effects are read from, whose they are, and which class a sign gives them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import events as ev
from console.desk import Desk
from console.evidence import capture
from console.evidence.search import During
from console.evidence.window import Window
from console.refusal import Refused
from console.rollback.drafting import Drafted, draft, of_incident
from console.rollback.signs import Rules, Sign, effect, identity, rules, unsaid
from console.telemetry.action import Action
from data.clock import ManualClock
from data.home import Home
from tests.room.strand import SECOND, T0
from tests.room.test_incident import facts

MINUTE = 60 * SECOND
RULES = rules()


def action(**fields: object) -> Action:
    plain: dict[str, object] = {"at": T0, "agent": "support-1", "kind": "tool", "side_effect": "done"}
    return Action(**(plain | fields))  # type: ignore[arg-type]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = await Desk.open(Home.open(tmp_path / "home", clock=ManualClock(T0)), "ana")
    yield desk
    await desk.close()


def fill(desk: Desk, *actions: Action) -> Path:
    place = capture.window_of(desk.home)
    window = Window(place, desk.home.clock, most=2**29, keep=10**18)
    window.append(actions)
    window.close()
    return place


async def drafted(desk: Desk, place: Path, *spans: During) -> Drafted:
    assert desk.room is not None
    return await draft(desk.room, place, spans=spans, known=RULES)


async def test_the_agents_of_the_alerts_from_an_hour_before_each(desk: Desk) -> None:
    room = await desk.declare("refunds", 2)
    with pytest.raises(Refused, match="names no agent"):
        await drafted(desk, Path("nowhere"))
    await room.record(ev.AlertLinked(facts()))  # opened at 13:50
    opened = T0 - 10 * MINUTE
    assert of_incident(room.incident, T0) == [During("default", "support-1", opened - 60 * MINUTE, T0)]
    place = fill(
        desk,
        action(id="before", at=opened - 61 * MINUTE),
        action(id="in", at=opened - 59 * MINUTE),
        action(id="now", at=T0),
        action(id="tenant", at=T0, tenant="acme"),
    )
    told = await drafted(desk, place)
    assert (told.found, told.new, told.answer.actions, told.answer.looked) == (2, 2, 2, 4)
    assert sorted(each.action for each in room.incident.ledger.rows.values()) == ["in", "now"]


async def test_what_was_captured_is_read_when_the_window_has_rolled_over(desk: Desk) -> None:
    room = await desk.declare("refunds", 2)
    await room.record(ev.AlertLinked(facts()))
    place = fill(desk, action(id="a1", at=T0 - MINUTE))
    request = await capture.preserve(room, [("agent_id", "support-1")])
    assert await capture.finish(room, desk.home, request.hash) == ""
    for each in place.iterdir():
        each.unlink()
    told = await drafted(desk, place)
    assert (told.new, told.answer.begins) == (1, 0)


async def test_torn_and_hostile_lines_cost_nothing_else(desk: Desk) -> None:
    await desk.declare("refunds", 2)
    place = fill(desk, action(id="a1", at=T0 - MINUTE))
    (place / f"{T0 + 5:020d}.jsonl").write_bytes(
        b'{"at": 1\n\xff\xfe\n[]\n{"at":"x","agent":5}\n'
        + b'{"at":'
        + b"9" * 400
        + b"}\n"
        + b"{" * 1000
        + b"\n"
        b'{"at":%d,"agent":"support-1","kind":"tool","id":"a2","side_effect":"done"}\n{"at":%d,"agent":"supp'
        % (T0, T0)
    )
    told = await drafted(desk, place, During("default", "support-1", 0, T0))
    assert (told.new, told.answer.damaged) == (2, 6)


async def test_what_is_too_large_for_one_entry_goes_into_several(desk: Desk) -> None:
    room = await desk.declare("refunds", 2)
    wide = "\u00e4" * 500
    fields = dict.fromkeys(("tool", "endpoint", "artifact", "principal", "approval", "amount", "trace"), wide)
    place = fill(desk, *(action(id=str(number), at=T0 - number, **fields) for number in range(1200)))
    told = await drafted(desk, place, During("default", "support-1", 0, T0))
    assert told.new == len(room.incident.ledger) == 1200
    assert (await drafted(desk, place, During("default", "support-1", 0, T0))).new == 0


async def test_a_class_that_was_added_since_is_adopted_with_its_effects(desk: Desk) -> None:
    room = await desk.declare("refunds", 2)
    classes = tuple(row.action_class for row in room.incident.rollback.values())
    await room.record(ev.RollbackAdopted("1", tuple(each for each in classes if each.id != "code")))
    assert "code" not in room.incident.rollback
    place = fill(desk, action(id="a1", action_class=5))
    await drafted(desk, place, During("default", "support-1", 0, T0))
    assert (room.incident.rollback["code"].state, room.incident.rollback["code"].effects) == ("open", 1)
    assert len(room.incident.rollback) == len(classes)


def test_a_call_that_was_repeated_under_its_key_is_one_effect() -> None:
    once = action(idempotency_key="k", tool="pay", span="1", trace="t")
    assert identity(once) == identity(action(idempotency_key="k", tool="pay", span="2", trace="t", at=T0 + 1))
    for other in (
        {"agent": "b"},
        {"tenant": "x"},
        {"tool": "y"},
        {"artifact": "z"},
        {"idempotency_key": "l"},
    ):
        assert identity(action(**({"idempotency_key": "k", "tool": "pay"} | other))) != identity(once)


@given(
    st.builds(
        action,
        id=st.text(max_size=5),
        trace=st.text(max_size=5),
        span=st.text(max_size=5),
        artifact=st.text(),
    )
)
def test_every_effect_of_whatever_text_can_stand_on_the_record(made: Action) -> None:
    row = effect(made, RULES)
    assert row is not None
    ev.entry(ev.EffectsListed((row,)), "ana")


@pytest.mark.parametrize(
    ("fields", "name", "state"),
    [
        ({"action_class": 3, "tool": "payments/refund"}, "customer-messages", "done"),
        ({"tool": "payments/refund"}, "external-calls", "done"),
        ({"tool": "PAYMENTS/Refund"}, "external-calls", "done"),
        ({"tool": "git/push"}, "code", "done"),
        ({"tool": "kb/upsert", "side_effect": "unknown"}, "knowledge", "unknown"),
        ({"kind": "artifact", "artifact_type": "email", "side_effect": "unknown"}, "customer-messages", "done"),
        ({"kind": "artifact", "artifact_type": "email", "side_effect": "unknown", "status": "error"}, "customer-messages", "unknown"),
        ({"tool": "never/heard"}, "", "done"),
    ],
)  # fmt: skip
def test_the_class_is_what_telemetry_says_else_what_a_sign_says(
    fields: dict[str, object], name: str, state: str
) -> None:
    row = effect(action(**fields), RULES)
    assert row is not None
    assert (row.action_class, row.state) == (name, state)


@pytest.mark.parametrize(
    "fields",
    [
        {"side_effect": "none", "tool": "payments/refund"},
        {"side_effect": "unknown", "tool": "payments/list", "endpoint": "GET payments.example/v1"},
        {"side_effect": "unknown", "kind": "model", "model": "m"},
        {"side_effect": "unknown", "tool": "never/heard"},
        {"kind": "review"},
        {"kind": "run"},
    ],
)
def test_what_had_no_effect_is_not_listed(fields: dict[str, object]) -> None:
    made = action(**fields)
    assert effect(made, RULES) is None
    assert unsaid(made) == (fields.get("tool") == "never/heard")


def test_of_several_signs_the_most_particular_counts() -> None:
    signs = [
        Sign("first", tool="pay*"),
        Sign("second", tool="pay/void*", reversible="no"),
        Sign("third", endpoint="x"),
    ]
    known = Rules({}, {"first": "yes"}, sorted(signs, key=lambda each: -each.weight))
    found = [effect(action(tool=tool), known) for tool in ("pay/void", "pay/out", "[pay")]
    assert [(row.action_class, row.reversible) for row in found if row] == [
        ("second", "no"),
        ("first", "yes"),
        ("", "unknown"),
    ]
