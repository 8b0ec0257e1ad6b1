"""Who acts although it is halted."""

from hypothesis import given
from hypothesis import strategies as st

from console.telemetry.action import Action
from console.warden.leaks import IN_FLIGHT, leaks
from console.warden.protocol import GuardStanding

AT = 1_764_000_000_000_000_000
SECOND = 10**9


def guard(agent: str, **other: object) -> GuardStanding:
    values = {"state": "requested", "scope": "all", "epoch": 7, "at": AT, "valid_ms": 10_000, **other}
    return GuardStanding(agent, "0" * 32, **values)  # type: ignore[arg-type]


def act(agent: str, seconds: float, **other: object) -> Action:
    values = {"kind": "tool", "tool": "crm/refund", **other}
    return Action(AT + int(seconds * SECOND), agent, **values)  # type: ignore[arg-type]


def test_only_who_acts_after_its_grace_leaks() -> None:
    standing = [
        guard("cut-off"),
        guard("told", times={"acked": 500}),
        guard("free", state="running", scope="", epoch=0),
    ]
    actions = [
        act("cut-off", 11.9),
        act("cut-off", 12.1),
        act("told", 2.4),
        act("told", 2.6),
        act("told", 9.0, tool=""),
        act("free", 60.0),
        act("stranger", 60.0),
        act("cut-off", 60.0, kind="review"),
    ]
    told, cut = leaks(standing, actions)
    assert (told.agent, told.actions, told.first, told.tool) == ("told", 2, actions[3].at, "crm/refund")
    assert (cut.agent, cut.actions, cut.epoch) == ("cut-off", 1, 7)


def test_an_agent_with_several_processes_has_the_grace_of_the_last() -> None:
    standing = [guard("refunds", times={"acked": 100}), guard("refunds", times={"lease_expired": 8000})]
    assert leaks(standing, [act("refunds", 9.9)]) == []
    assert [leak.actions for leak in leaks(standing, [act("refunds", 10.1)])] == [1]


def test_of_a_halted_tool_only_its_calls_leak() -> None:
    standing = [guard("refunds", scope="tool", subject="crm/refund", times={"acked": 0})]
    assert leaks(standing, [act("refunds", 5.0, tool="crm/read")]) == []
    assert len(leaks(standing, [act("refunds", 5.0)])) == 1


@given(st.permutations([act("refunds", seconds) for seconds in (1.0, 12.5, 13.0, 14.0)]))
def test_the_order_of_what_arrives_does_not_matter(actions: list[Action]) -> None:
    (leak,) = leaks([guard("refunds")], actions)
    assert (leak.actions, leak.first) == (3, AT + 12_500_000_000)
    assert leak.grace == AT + 10 * SECOND + IN_FLIGHT
