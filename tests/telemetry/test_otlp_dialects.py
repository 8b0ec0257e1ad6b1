"""What each instrumentation sends, as it was seen on the wire, and what it must count as."""

from __future__ import annotations

from typing import Any

import pytest

from console.telemetry.action import Action
from console.telemetry.attribution import Attribution
from console.telemetry.dialects import nano_usd, read
from console.telemetry.endpoint import endpoint
from console.telemetry.otlp import decode
from tests.telemetry.otlp_bodies import as_json, as_protobuf, span

Row = tuple[str, dict[str, Any], dict[str, Any]]

CALLS: dict[str, Row] = {
    "current conventions": (
        "chat gpt-5-mini",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-5-mini",
            "gen_ai.response.model": "gpt-5-mini-2026-08-01",
            "gen_ai.response.id": "chatcmpl-1",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": 1200,
            "gen_ai.usage.output_tokens": 80,
            "gen_ai.usage.cache_read.input_tokens": 1024,
            "gen_ai.usage.reasoning.output_tokens": 64,
            "gen_ai.conversation.id": "conv-7",
            "gen_ai.agent.id": "support-agent",
            "server.address": "api.openai.com",
        },
        {
            "kind": "model",
            "model": "gpt-5-mini-2026-08-01",
            "tokens_in": 1200,
            "tokens_out": 80,
            "tokens_cached": 1024,
            "tokens_reasoning": 64,
            "session": "conv-7",
            "agent": "support-agent",
            "cost": None,
        },
    ),
    "conventions before 1.37": (
        "chat gpt-4o",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.prompt_tokens": 300,
            "gen_ai.usage.completion_tokens": 12,
        },
        {"kind": "model", "model": "gpt-4o", "tokens_in": 300, "tokens_out": 12, "attributed": "provisional"},
    ),
    "embeddings": (
        "embeddings text-embedding-3-small",
        {
            "gen_ai.operation.name": "embeddings",
            "gen_ai.request.model": "text-embedding-3-small",
            "gen_ai.usage.input_tokens": 9,
        },
        {"kind": "model", "tokens_in": 9, "tokens_out": 0},
    ),
    "OpenLLMetry chat": (
        "openai.chat",
        {
            "llm.request.type": "chat",
            "gen_ai.system": "OpenAI",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.response.model": "gpt-4o-2024-08-06",
            "gen_ai.usage.input_tokens": 900,
            "gen_ai.usage.output_tokens": 40,
            "gen_ai.usage.cache_read_input_tokens": 512,
            "gen_ai.usage.reasoning_tokens": 8,
            "gen_ai.prompt.0.content": "secret",
            "traceloop.association.properties.session_id": "s-1",
        },
        {"kind": "model", "tokens_in": 900, "tokens_cached": 512, "tokens_reasoning": 8, "session": "s-1"},
    ),
    "OpenLLMetry tool": (
        "refund.tool",
        {"traceloop.span.kind": "tool", "traceloop.entity.name": "refund", "traceloop.entity.input": "{}"},
        {"kind": "tool", "tool": "refund"},
    ),
    "OpenInference LLM": (
        "ChatCompletion",
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt-4o",
            "llm.provider": "openai",
            "llm.token_count.prompt": 2000,
            "llm.token_count.completion": 100,
            "llm.token_count.total": 2100,
            "llm.token_count.prompt_details.cache_read": 1536,
            "llm.token_count.completion_details.reasoning": 32,
            "llm.cost.total": 0.00375,
            "session.id": "s-2",
            "input.value": "secret",
        },
        {
            "kind": "model",
            "model": "gpt-4o",
            "tokens_in": 2000,
            "tokens_cached": 1536,
            "tokens_reasoning": 32,
            "cost": 3_750_000,
            "session": "s-2",
        },
    ),
    "OpenInference tool": (
        "refund",
        {"openinference.span.kind": "TOOL", "tool.name": "refund", "tool.parameters": "{}"},
        {"kind": "tool", "tool": "refund"},
    ),
    "Vercel AI step": (
        "ai.generateText.doGenerate",
        {
            "operation.name": "ai.generateText.doGenerate support",
            "ai.operationId": "ai.generateText.doGenerate",
            "ai.telemetry.functionId": "support",
            "ai.model.id": "gpt-4o",
            "ai.response.model": "gpt-4o-2024-08-06",
            "ai.usage.inputTokens": 500,
            "ai.usage.outputTokens": 50,
            "ai.usage.cachedInputTokens": 256,
            "ai.usage.reasoningTokens": 16,
            "gen_ai.system": "openai.responses",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.input_tokens": 500,
            "gen_ai.usage.output_tokens": 50,
        },
        {
            "kind": "model",
            "agent": "support",
            "attributed": "exact",
            "model": "gpt-4o-2024-08-06",
            "tokens_in": 500,
            "tokens_cached": 256,
            "tokens_reasoning": 16,
        },
    ),
    "Vercel AI before 5": (
        "ai.streamText.doStream",
        {
            "ai.operationId": "ai.streamText.doStream",
            "ai.model.id": "gpt-4o",
            "ai.usage.promptTokens": 7,
            "ai.usage.completionTokens": 3,
        },
        {"kind": "model", "tokens_in": 7, "tokens_out": 3},
    ),
    "Vercel AI tool": (
        "ai.toolCall",
        {
            "ai.operationId": "ai.toolCall",
            "ai.toolCall.name": "refund",
            "ai.toolCall.id": "call_1",
            "ai.telemetry.functionId": "support",
        },
        {"kind": "tool", "tool": "refund", "agent": "support"},
    ),
    "Langfuse generation": (
        "llm",
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "claude-sonnet",
            "langfuse.observation.usage_details": '{"input": 120, "output": 30, "input_cached_tokens": 900}',
            "langfuse.observation.cost_details": '{"input": 0.0003, "output": 0.00045, "total": 0.00075}',
            "langfuse.observation.input": "secret",
            "session.id": "s-3",
        },
        {
            "kind": "model",
            "model": "claude-sonnet",
            "tokens_in": 1020,
            "tokens_out": 30,
            "tokens_cached": 900,
            "cost": 750_000,
            "session": "s-3",
        },
    ),
    "Langfuse cost in parts": (
        "llm",
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.cost_details": '{"input": 0.1, "output": 0.2}',
        },
        {"kind": "model", "cost": 300_000_000},
    ),
    "LiteLLM": (
        "litellm_request",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.input_tokens": 1100,
            "gen_ai.usage.output_tokens": 20,
            "gen_ai.cost.total_cost": 0.0000275,
            "metadata.usage_object": "{'prompt_tokens_details': {'cached_tokens': 1024, 'audio': None}}",
        },
        {"kind": "model", "tokens_in": 1100, "tokens_cached": 1024, "cost": 27_500},
    ),
    "Pydantic AI": (
        "chat gpt-4o",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.agent.name": "refund_agent",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.details.cache_read_tokens": 1,
            "operation.cost": 0.1 + 0.2,
        },
        {"kind": "model", "agent": "refund_agent", "cost": 300_000_000},
    ),
    "Pydantic AI tool, older": (
        "running tool: refund",
        {"gen_ai.tool.name": "refund", "gen_ai.tool.call.id": "call_9", "agent_name": "refund_agent"},
        {"kind": "tool", "tool": "refund", "agent": "refund_agent"},
    ),
    "cost as proposed": (
        "chat m",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.usage.cost.amount": "0.0021",
            "gen_ai.usage.cost.currency": "USD",
        },
        {"cost": 2_100_000},
    ),
    "cost in another currency is unknown": (
        "chat m",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.usage.cost.amount": 0.0021,
            "gen_ai.usage.cost.currency": "EUR",
        },
        {"cost": None},
    ),
    "tool by the conventions": (
        "execute_tool refund",
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "refund",
            "gen_ai.tool.call.id": "call_1",
            "error.type": "timeout",
        },
        {"kind": "tool", "tool": "refund", "status": "error"},
    ),
    "MCP client": (
        "tools/call get-weather",
        {"mcp.method.name": "tools/call", "mcp.session.id": "x", "warroom.mcp.server": "meteo"},
        {"kind": "tool", "tool": "meteo/get-weather"},
    ),
    "HTTP": (
        "POST",
        {
            "http.request.method": "POST",
            "url.full": "https://u:p@api.example.com/v1/orders/991/refund?token=abc",
            "server.address": "api.example.com",
        },
        {"kind": "api", "endpoint": "POST api.example.com /v1/orders/{id}/refund"},
    ),
    "HTTP before 1.20": (
        "HTTP GET",
        {"http.method": "GET", "http.url": "https://api.example.com/v1/customers/cus_9s6XKzkNRiz8i3"},
        {"kind": "api", "endpoint": "GET api.example.com /v1/customers/{id}"},
    ),
    "our own": (
        "anything",
        {
            "warroom.kind": "tool",
            "warroom.agent": "billing",
            "warroom.tenant": "acme",
            "warroom.tool": "pay/refund",
            "warroom.cost.nano_usd": 1_234_567_890_123,
            "warroom.principal": "jo",
            "warroom.approval": "ap-1",
            "warroom.bundle": "b1",
            "warroom.wave": "canary",
            "warroom.change": "CHG-1",
            "warroom.agent.version": "3.1",
            "warroom.side_effect": "done",
            "warroom.action_class": 2,
            "warroom.idempotency_key": "k1",
            "warroom.amount": "120.00 EUR",
        },
        {
            "kind": "tool",
            "agent": "billing",
            "tenant": "acme",
            "tool": "pay/refund",
            "cost": 1_234_567_890_123,
            "principal": "jo",
            "approval": "ap-1",
            "bundle": "b1",
            "wave": "canary",
            "change": "CHG-1",
            "agent_version": "3.1",
            "side_effect": "done",
            "action_class": 2,
            "idempotency_key": "k1",
            "amount": "120.00 EUR",
        },
    ),
    "our own review": (
        "anything",
        {
            "warroom.kind": "review",
            "warroom.agent": "billing",
            "warroom.artifact.id": "mail-1",
            "warroom.artifact.content_hash": "abc",
            "warroom.review.decision": "approved",
            "warroom.review.presented_at": "2026-11-18T11:06:00Z",
            "warroom.review.reviewer": "kim",
        },
        {
            "kind": "review",
            "artifact": "mail-1",
            "content_hash": "abc",
            "decision": "approved",
            "presented_at": 1_794_999_960_000_000_000,
            "reviewer": "kim",
        },
    ),
    "our own artifact": (
        "anything",
        {
            "warroom.kind": "artifact",
            "warroom.artifact.id": "mail-1",
            "warroom.artifact.type": "email",
            "warroom.artifact.customer_visible": "true",
        },
        {"kind": "artifact", "artifact": "mail-1", "artifact_type": "email", "customer_visible": True},
    ),
}

NOT_CALLS: dict[str, tuple[str, dict[str, Any], int]] = {
    "agent span with totals": (
        "invoke_agent support",
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 15_100},
        1,
    ),
    "workflow": ("invoke_workflow w", {"gen_ai.operation.name": "invoke_workflow"}, 1),
    "Vercel wrapper with totals": (
        "ai.generateText",
        {"ai.operationId": "ai.generateText", "ai.usage.inputTokens": 900, "ai.model.id": "m"},
        1,
    ),
    "OpenInference chain": ("chain", {"openinference.span.kind": "CHAIN"}, 1),
    "OpenInference agent": ("agent", {"openinference.span.kind": "AGENT", "llm.token_count.prompt": 5}, 1),
    "OpenLLMetry workflow": ("w.workflow", {"traceloop.span.kind": "workflow"}, 1),
    "Langfuse span": ("s", {"langfuse.observation.type": "span"}, 1),
    "LiteLLM's child": (
        "raw_gen_ai_request",
        {"gen_ai.operation.name": "chat", "llm.request.type": "chat"},
        3,
    ),
    "MCP initialize": ("initialize", {"mcp.method.name": "initialize"}, 3),
    "HTTP server side": ("GET /", {"http.request.method": "GET", "url.path": "/"}, 2),
    "database": ("SELECT", {"db.system.name": "postgresql", "server.address": "db"}, 3),
    "aggregated usage": ("agent run", {"gen_ai.aggregated_usage.input_tokens": 900}, 1),
}


def actions(name: str, attributes: dict[str, Any], kind: int = 3, **resource: Any) -> list[Action]:
    """Take one span through both encodings, which must agree, and return its actions."""
    one = span(attributes, name=name, kind=kind)
    answers = []
    for body, content in ((as_json([one], **resource), "json"), (as_protobuf([one], **resource), "protobuf")):
        spans = decode(body, "traces", content).spans  # type: ignore[arg-type]
        answers.append(Attribution().actions([(each, read(each)) for each in spans]))
    assert answers[0] == answers[1]
    return answers[0]


@pytest.mark.parametrize("dialect", CALLS)
def test_each_dialect_counts_once_with_its_facts(dialect: str) -> None:
    name, attributes, expected = CALLS[dialect]
    (action,) = actions(name, attributes, service_name="shop")
    assert {field: getattr(action, field) for field in expected} == expected
    assert "secret" not in repr(action)


@pytest.mark.parametrize("what", NOT_CALLS)
def test_what_is_no_call_is_not_counted(what: str) -> None:
    name, attributes, kind = NOT_CALLS[what]
    assert actions(name, attributes, kind) == []


def test_a_call_that_leaves_an_artifact_is_both() -> None:
    call, artifact = actions(
        "execute_tool send_mail",
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "send_mail",
            "operation.cost": 0.5,
            "warroom.artifact.id": "mail-1",
            "warroom.artifact.customer_visible": True,
        },
    )
    assert (call.kind, call.tool, call.cost) == ("tool", "send_mail", 500_000_000)
    assert (artifact.kind, artifact.artifact, artifact.cost) == ("artifact", "mail-1", None)
    assert (call.trace, call.span) != (artifact.trace, artifact.span)


@pytest.mark.parametrize(
    ("sent", "nano"),
    [
        (0.1, 100_000_000),
        (0.1 + 0.2, 300_000_000),
        (1e-9, 1),
        (5e-10, 0),
        (1.5e-9, 2),
        ("0.000000001", 1),
        (-3, -3_000_000_000),
        (0, 0),
        (float("nan"), None),
        (float("inf"), None),
        (1e300, None),
        ("1e999999999", None),
        ("free", None),
        ("", None),
        (True, None),
    ],
)
def test_money_is_exact_or_unknown(sent: Any, nano: int | None) -> None:
    assert nano_usd(sent) == nano


@pytest.mark.parametrize("wrong", ["abc", -5, 1.5, True, 2**63 - 1, "9" * 400, float("nan"), "--5", "-", "٣"])
def test_unusable_numbers_are_unknown(wrong: Any) -> None:
    (action,) = actions(
        "chat",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.usage.input_tokens": wrong,
            "warroom.cost.nano_usd": wrong if wrong != -5 else "x",
            "warroom.action_class": wrong,
            "warroom.review.presented_at": wrong,
            "langfuse.observation.cost_details": "{broken" if isinstance(wrong, str) else "[1]",
            "langfuse.observation.usage_details": '{"input": 1e400, "output": "x"}',
        },
    )
    assert (action.tokens_in, action.cost, action.action_class, action.presented_at) == (0, None, None, None)


def test_what_a_span_says_outranks_its_resource() -> None:
    own: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.agent.name": "a"}
    inherited: dict[str, Any] = {"warroom_agent": "resource"}
    (action,) = actions("chat", own, **inherited)
    assert action.agent == "resource"  # an id outranks a name
    (action,) = actions("chat", own | {"warroom.agent": "span"}, **inherited)
    assert action.agent == "span"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.b/v1/orders/12/items/7", "GET a.b /v1/orders/{id}/items/{id}"),
        ("https://a.b/users/jo@example.com", "GET a.b /users/{id}"),
        ("https://a.b/x/018f2c3e-7b1a-7c2d-9e4f-aaaaaaaaaaaa", "GET a.b /x/{id}"),
        ("https://a.b/c/9fceb02d0ae598e95dc970b74767f19372d61af8", "GET a.b /c/{id}"),
        ("https://a.b/t/01ARZ3NDEKTSV4RRFFQ69G5FAV", "GET a.b /t/{id}"),
        ("https://a.b/browse/OPS-123?q=secret#frag", "GET a.b /browse/{id}"),
        ("https://a.b/v1/chat/completions", "GET a.b /v1/chat/completions"),
        ("https://a.b/v2/feedback", "GET a.b /v2/feedback"),
        ("https://a.b/deadline", "GET a.b /deadline"),
        ("https://A.B:8443/", "GET a.b /"),
        ("https://a.b/" + "/".join("abcdefghijklmnop"), "GET a.b /a/b/c/d/e/f/g/h/{more}"),
        ("http://[::1", ""),
    ],
)
def test_endpoints_are_templates(url: str, expected: str) -> None:
    assert endpoint("get", url=url) == expected


def test_an_endpoint_reads_back_as_itself() -> None:
    once = endpoint("POST", url="https://api.example.com/v1/orders/12/refund")
    method, host, path = once.split(" ")
    assert endpoint(method, host=host, path=path) == once
