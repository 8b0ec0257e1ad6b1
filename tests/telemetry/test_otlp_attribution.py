"""Whose call it was, and what counts once."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from console.telemetry.action import Action
from console.telemetry.attribution import UNATTRIBUTED, Attribution
from console.telemetry.dialects import read
from console.telemetry.otlp import decode
from tests.telemetry.otlp_bodies import TRACE, as_json, span

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 100}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "refund"}
MCP = {"mcp.method.name": "tools/call", "gen_ai.tool.name": "refund"}
HTTP = {"http.request.method": "POST", "url.full": "https://api.openai.com/v1/chat/completions"}


def agent(name: str, **more: Any) -> dict[str, Any]:
    """The attributes of an agent span."""
    return {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name} | more


def take(attribution: Attribution, *spans: dict[str, Any], **resource: Any) -> list[Action]:
    """Give one request to an attribution."""
    decoded = decode(as_json(spans, **resource), "traces", "json").spans
    return attribution.actions([(each, read(each)) for each in decoded])


def who(actions: list[Action]) -> list[tuple[str, str]]:
    """Return agent and certainty of each action."""
    return [(action.agent, action.attributed) for action in actions]


def number(value: int) -> str:
    """Return a span id."""
    return f"{value:016x}"


def test_the_order_of_knowledge() -> None:
    known = Attribution({"mapped-service": "mapped-agent", "pod-7": "agent-of-pod"})
    parent, child, grandchild = number(1), number(2), number(3)
    # nothing names an agent: the map by instance, the map by service, the service, nothing
    assert who(take(known, span(CHAT), service_name="x", service_instance_id="pod-7")) == [
        ("agent-of-pod", "provisional")
    ]
    assert who(take(known, span(CHAT), service_name="mapped-service")) == [("mapped-agent", "provisional")]
    assert who(take(known, span(CHAT), service_name="shop")) == [("shop", "provisional")]
    assert who(take(known, span(CHAT))) == [(UNATTRIBUTED, "provisional")]
    assert who(take(known, span(CHAT), service_name="unknown_service:python")) == [
        (UNATTRIBUTED, "provisional")
    ]
    assert known.unattributed == 2
    # a conversation whose agent was seen
    take(known, span(CHAT | {"gen_ai.agent.name": "talker", "gen_ai.conversation.id": "c1"}, trace="1" * 32))
    conversation = span(CHAT | {"gen_ai.conversation.id": "c1"}, trace="2" * 32)
    assert who(take(known, conversation, service_name="shop")) == [("talker", "provisional")]
    # the trace, where the enclosing agent is not known
    take(known, span(agent("runner"), span_id=parent))
    assert who(take(known, span(CHAT, parent=number(99)), service_name="shop")) == [("runner", "provisional")]
    # the nearest enclosing agent
    take(known, span(agent("inner"), span_id=child, parent=parent))
    take(known, span({}, span_id=grandchild, parent=child))
    assert who(take(known, span(CHAT, parent=grandchild))) == [("inner", "exact")]
    # the span itself: name, then id
    assert who(take(known, span(CHAT | {"gen_ai.agent.name": "own"}, parent=child))) == [("own", "exact")]
    both = CHAT | {"gen_ai.agent.name": "own", "gen_ai.agent.id": "agent-17"}
    assert who(take(known, span(both, parent=child))) == [("agent-17", "exact")]


def test_within_one_request_the_parent_may_come_after_its_children() -> None:
    spans = [
        span(CHAT, parent=number(1)),
        span(TOOL, parent=number(1)),
        span(agent("support"), span_id=number(1)),
    ]
    assert who(take(Attribution(), *spans)) == [("support", "exact")] * 2


def test_a_late_parent_serves_what_comes_after_it() -> None:
    known = Attribution()
    assert who(take(known, span(CHAT, parent=number(1)), service_name="shop")) == [("shop", "provisional")]
    take(known, span(agent("support"), span_id=number(1)))
    assert who(take(known, span(CHAT, parent=number(1)), service_name="shop")) == [("support", "exact")]
    assert known.provisional == 1


def test_a_name_alone_means_the_agent_known_to_bear_it() -> None:
    known = Attribution()
    first = span(CHAT | {"gen_ai.agent.name": "support"}, trace="1" * 32)
    assert who(take(known, first)) == [("support", "exact")]
    take(known, span(agent("support", **{"gen_ai.agent.id": "agent-17"}), trace="1" * 32))
    second = span(CHAT | {"gen_ai.agent.name": "support"}, trace="2" * 32)
    assert who(take(known, second)) == [("agent-17", "exact")]


def test_ids_that_change_with_every_run_are_no_agents() -> None:
    known = Attribution(ids_per_name=5)
    seen = []
    for run in range(30):
        one = CHAT | {"gen_ai.agent.name": "support", "gen_ai.agent.id": f"run-{run}"}
        seen += [action.agent for action in take(known, span(one, trace=f"{run + 1:032x}"))]
    assert seen[5:] == ["support"] * 25
    assert known.run_ids == {"support"}


def test_one_tool_call_of_three_services_counts_once_whatever_comes_first() -> None:
    execute = span(TOOL, span_id=number(1), parent=number(9))
    client = span(MCP, span_id=number(2), parent=number(1))
    http = span({}, span_id=number(3), parent=number(2))
    server = span(MCP, span_id=number(4), parent=number(3), kind=2)
    for order in (
        [execute, client, http, server],
        [server, http, client, execute],
        [client, execute, http, server],
    ):
        together, apart = Attribution(), Attribution()
        assert len(take(together, *order)) == 1
        assert sum(len(take(apart, each)) for each in order) == 1
        assert together.echoes == apart.echoes == 2
    assert take(Attribution(), execute, client, server)[0].span == number(1)


def test_two_calls_of_one_tool_are_two() -> None:
    known = Attribution()
    assert len(take(known, span(TOOL, parent=number(1)), span(TOOL, parent=number(1)))) == 2
    nested = span(TOOL | {"gen_ai.tool.name": "other"}, span_id=number(70), parent=number(1))
    assert len(take(known, nested, span(TOOL, parent=number(70)))) == 2


def test_the_id_of_a_tool_call_collapses_what_no_link_connects() -> None:
    known = Attribution()
    one = span(TOOL | {"gen_ai.tool.call.id": "call_1"})
    other = span(MCP | {"gen_ai.tool.call.id": "call_1"}, parent=number(123))
    third = span(TOOL | {"gen_ai.tool.call.id": "call_2"})
    assert len(take(known, one)) + len(take(known, other)) + len(take(known, third)) == 2
    assert len(take(known, one)) == 1  # sent again: the tripwires drop it, and count it as a duplicate


def test_what_encloses_a_model_call_is_not_a_second_one() -> None:
    known = Attribution()
    inner = span(CHAT, span_id=number(2), parent=number(1))
    outer = span(CHAT, span_id=number(1))
    assert [action.span for action in take(known, inner, outer)] == [number(2)]
    later = Attribution()
    assert len(take(later, inner)) + len(take(later, outer)) == 1


def test_the_http_request_of_a_model_call_is_not_a_call_of_its_own() -> None:
    known = Attribution()
    model = span(CHAT, span_id=number(1))
    assert [a.kind for a in take(known, span(HTTP, parent=number(1)), model)] == ["model"]
    assert [a.kind for a in take(known, span(HTTP, parent=number(77)))] == ["api"]


def test_a_remote_agent_counts_only_when_nothing_else_reports_its_spending() -> None:
    totals = agent("remote", **{"gen_ai.usage.input_tokens": 15_100, "operation.cost": 0.02})
    (action,) = take(Attribution(), span(totals, kind=3))
    assert (action.kind, action.agent, action.tokens_in, action.cost) == (
        "model",
        "remote",
        15_100,
        20_000_000,
    )
    assert take(Attribution(), span(totals, kind=1)) == []
    known = Attribution()
    assert len(take(known, span(CHAT, parent=number(1)), span(totals, span_id=number(1), kind=3))) == 1


def test_our_own_log_records_know_their_agent_by_trace() -> None:
    known = Attribution()
    take(known, span(agent("support"), span_id=number(1)))
    body = (
        '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"warroom.artifact","timeUnixNano":'
        f'"1795000000000000000","traceId":"{TRACE}","spanId":"{number(1)}","attributes":[]}}]}}]}}]}}'
    )
    decoded = decode(body.encode(), "logs", "json").spans
    (action,) = known.actions([(each, read(each)) for each in decoded])
    assert (action.kind, action.agent, action.attributed) == ("artifact", "support", "exact")


def test_memory_is_bounded_and_an_endless_trace_goes_on() -> None:
    known = Attribution(spans=200, conversations=10)
    for n in range(1, 1_000):
        one = CHAT | {"gen_ai.conversation.id": f"c{n}", "gen_ai.agent.name": f"a{n}"}
        take(known, span(one, trace=f"{n:032x}"))
    assert len(known._traces) <= 201
    assert len(known._conversations) <= 10
    take(known, span(agent("endless"), trace="f" * 32))
    for n in range(1_000):
        (action,) = take(known, span(CHAT, trace="f" * 32, parent=number(10**6 + n)), service_name="shop")
        assert action.agent == "endless"
    assert known._spans <= 201


def test_cycles_and_deep_chains_end() -> None:
    known = Attribution()
    take(
        known,
        span(TOOL, span_id=number(1), parent=number(2)),
        span(TOOL, span_id=number(2), parent=number(1)),
    )
    take(known, span(TOOL, span_id=number(5), parent=number(5)))
    chain = [span(TOOL, span_id=number(n), parent=number(n - 1)) for n in range(10, 3_000)]
    assert len(take(known, *chain)) >= 1


@given(
    st.permutations(range(6)),
    st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_any_order_and_any_split_into_requests_counts_the_same_calls(
    order: list[int], cuts: list[bool]
) -> None:
    tree = [
        span(agent("support"), span_id=number(1)),
        span(CHAT, span_id=number(2), parent=number(1)),
        span(TOOL, span_id=number(3), parent=number(1)),
        span(MCP, span_id=number(4), parent=number(3)),
        span(MCP, span_id=number(5), parent=number(4), kind=2),
        span(CHAT, span_id=number(6), parent=number(1)),
    ]
    known = Attribution()
    counted: list[Action] = []
    request: list[dict[str, Any]] = []
    for index, cut in zip(order, cuts, strict=True):
        request.append(tree[index])
        if cut:
            counted += take(known, *request)
            request = []
    counted += take(known, *request)
    # The middle of a tool's chain may come last; until then nothing connects its ends.
    middle_last = counted and len([a for a in counted if a.kind == "tool"]) == 2
    assert sorted(a.kind for a in counted) == ["model", "model", "tool"] + ["tool"] * bool(middle_last)
    if middle_last:
        assert order.index(3) > max(order.index(2), order.index(4))


def test_a_restart_keeps_conversations_and_ids() -> None:
    before, after = Attribution(), Attribution()
    named = {"gen_ai.agent.name": "support", "gen_ai.agent.id": "agent-17", "gen_ai.conversation.id": "c1"}
    take(before, span(CHAT | named))
    after.load(before.save())
    after.load(b"of another version")
    assert who(take(after, span(CHAT | {"gen_ai.conversation.id": "c1"}, trace="2" * 32))) == [
        ("agent-17", "provisional")
    ]
    assert who(take(after, span(CHAT | {"gen_ai.agent.name": "support"}, trace="3" * 32))) == [
        ("agent-17", "exact")
    ]
