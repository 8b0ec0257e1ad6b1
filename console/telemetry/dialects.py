"""What the instrumentations of agents mean: one table per dialect, one reading for all.

Each table says under which attribute a dialect sends a fact. The tables are merged once, in order of trust:
where two dialects on one span contradict each other, the earlier table wins. Attributes that no table names
are not decoded, and message content is in no table, so it goes no further than the body it came in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, NamedTuple

import msgspec

from console.telemetry.endpoint import endpoint
from data.clock import parse_iso

Scalar = str | int | float | bool
Role = Literal["model", "tool", "api", "artifact", "review", "run", "agent", "none"]
"""What a span is. Only model, tool and api are calls; `agent` encloses calls; `none` is about no action."""

OWN = {
    "kind": "warroom.kind",
    "id": "warroom.id",
    "agent_id": "warroom.agent",
    "tenant": "warroom.tenant",
    "session": "warroom.session",
    "tool": "warroom.tool",
    "endpoint": "warroom.endpoint",
    "model": "warroom.model",
    "cost_nano": "warroom.cost.nano_usd",
    "cost": "warroom.cost.usd",
    "artifact": "warroom.artifact.id",
    "artifact_type": "warroom.artifact.type",
    "customer_visible": "warroom.artifact.customer_visible",
    "content_hash": "warroom.artifact.content_hash",
    "decision": "warroom.review.decision",
    "presented_at": "warroom.review.presented_at",
    "reviewer": "warroom.review.reviewer",
    "principal": "warroom.principal",
    "approval": "warroom.approval",
    "agent_version": "warroom.agent.version",
    "bundle": "warroom.bundle",
    "wave": "warroom.wave",
    "change": "warroom.change",
    "side_effect": "warroom.side_effect",
    "action_class": "warroom.action_class",
    "idempotency_key": "warroom.idempotency_key",
    "amount": "warroom.amount",
    "mcp_server": "warroom.mcp.server",
}
GEN_AI = {
    "operation": "gen_ai.operation.name",
    "agent_id": "gen_ai.agent.id",
    "agent_name": "gen_ai.agent.name",
    "agent_version": "gen_ai.agent.version",
    "session": "gen_ai.conversation.id",
    "tool": "gen_ai.tool.name",
    "tool_call": "gen_ai.tool.call.id",
    "model": "gen_ai.response.model",
    "request_model": "gen_ai.request.model",
    "tokens_in": "gen_ai.usage.input_tokens",
    "tokens_out": "gen_ai.usage.output_tokens",
    "tokens_cached": "gen_ai.usage.cache_read.input_tokens",
    "tokens_created": "gen_ai.usage.cache_creation.input_tokens",
    "tokens_reasoning": "gen_ai.usage.reasoning.output_tokens",
    "cost_amount": "gen_ai.usage.cost.amount",
    "cost_currency": "gen_ai.usage.cost.currency",
    "mcp_method": "mcp.method.name",
    "mcp_session": "mcp.session.id",
    "error": "error.type",
}
OLD_GEN_AI = {
    "tokens_in": "gen_ai.usage.prompt_tokens",
    "tokens_out": "gen_ai.usage.completion_tokens",
}
PYDANTIC_AI = {
    "cost": "operation.cost",
    "agent_name": "agent_name",
}
OPENLLMETRY = {
    "traceloop_kind": "traceloop.span.kind",
    "traceloop_name": "traceloop.entity.name",
    "request_type": "llm.request.type",
    "session": "traceloop.association.properties.session_id",
    "tokens_cached": "gen_ai.usage.cache_read_input_tokens",
    "tokens_created": "gen_ai.usage.cache_creation_input_tokens",
    "tokens_reasoning": "gen_ai.usage.reasoning_tokens",
}
OPENINFERENCE = {
    "openinference_kind": "openinference.span.kind",
    "agent_name": "agent.name",
    "session": "session.id",
    "tool": "tool.name",
    "tool_call": "tool_call.id",
    "model": "llm.model_name",
    "request_model": "embedding.model_name",
    "tokens_in": "llm.token_count.prompt",
    "tokens_out": "llm.token_count.completion",
    "tokens_cached": "llm.token_count.prompt_details.cache_read",
    "tokens_created": "llm.token_count.prompt_details.cache_write",
    "tokens_reasoning": "llm.token_count.completion_details.reasoning",
    "cost": "llm.cost.total",
}
VERCEL_AI = {
    "vercel_operation": "ai.operationId",
    "agent_name": "ai.telemetry.metadata.agent",
    "function": "ai.telemetry.functionId",
    "session": "ai.telemetry.metadata.sessionId",
    "tool": "ai.toolCall.name",
    "tool_call": "ai.toolCall.id",
    "model": "ai.response.model",
    "request_model": "ai.model.id",
    "tokens_in": "ai.usage.inputTokens",
    "tokens_out": "ai.usage.outputTokens",
    "tokens_cached": "ai.usage.cachedInputTokens",
    "tokens_reasoning": "ai.usage.reasoningTokens",
}
OLD_VERCEL_AI = {
    "tokens_in": "ai.usage.promptTokens",
    "tokens_out": "ai.usage.completionTokens",
}
LANGFUSE = {
    "langfuse_type": "langfuse.observation.type",
    "session": "langfuse.session.id",
    "model": "langfuse.observation.model.name",
    "usage_json": "langfuse.observation.usage_details",
    "cost_json": "langfuse.observation.cost_details",
}
LITELLM = {
    "cost": "gen_ai.cost.total_cost",
    "usage_text": "metadata.usage_object",
    "tokens_cached": "gen_ai.usage.cached_tokens",
}
HTTP = {
    "http_method": "http.request.method",
    "http_template": "url.template",
    "http_url": "url.full",
    "host": "server.address",
    "path": "url.path",
}
OLD_HTTP = {
    "http_method": "http.method",
    "http_url": "http.url",
    "host": "net.peer.name",
    "path": "http.target",
}
RESOURCE = {
    "service": "service.name",
    "instance": "service.instance.id",
}

DIALECTS: tuple[tuple[str, dict[str, str]], ...] = (
    ("warroom", OWN),
    ("gen_ai", GEN_AI),
    ("gen_ai before 1.37", OLD_GEN_AI),
    ("Pydantic AI", PYDANTIC_AI),
    ("LiteLLM", LITELLM),
    ("Langfuse", LANGFUSE),
    ("OpenLLMetry", OPENLLMETRY),
    ("OpenInference", OPENINFERENCE),
    ("Vercel AI", VERCEL_AI),
    ("Vercel AI before 5", OLD_VERCEL_AI),
    ("HTTP", HTTP),
    ("HTTP before 1.20", OLD_HTTP),
    ("resource", RESOURCE),
)
ATTRIBUTES: dict[str, tuple[str, int]] = {
    attribute: (fact, rank)
    for rank, (_, table) in reversed(tuple(enumerate(DIALECTS)))
    for fact, attribute in table.items()
}
"""Every attribute that is read: its fact and the rank of its dialect (lower wins)."""

TEXT_LIMIT = 512
JSON_TEXT_LIMIT = 4096
LONG_TEXT = frozenset({LANGFUSE["usage_json"], LANGFUSE["cost_json"], LITELLM["usage_text"]})
LARGEST = 2**53 - 1

CLIENT = 3
"""OTLP's number for a span that calls out."""


class Span(NamedTuple):
    """One span or log record, decoded: ids in lower-case hex ('' = none), times in nanoseconds UTC.

    `attributes` hold only what `ATTRIBUTES` names, as scalars; `resource` holds the facts of the resource.
    """

    trace: str
    span: str
    parent: str
    name: str
    kind: int
    start: int
    end: int
    error: bool
    sampled: bool
    attributes: Mapping[str, Scalar]
    resource: Mapping[str, Any]


class Reading(NamedTuple):
    """What a span means: its role, and its facts under the names of the tables."""

    role: Role
    facts: dict[str, Any]


def facts_of(attributes: Mapping[str, Scalar]) -> dict[str, Any]:
    """Return the facts in attributes; of two dialects that contradict each other, the more trusted wins."""
    facts: dict[str, Any] = {}
    ranks: dict[str, int] = {}
    for attribute, value in attributes.items():
        fact, rank = ATTRIBUTES[attribute]
        if fact not in facts or rank < ranks[fact]:
            facts[fact] = value
            ranks[fact] = rank
    return facts


def read(span: Span) -> Reading:
    """Return what `span` means. Total: whatever is unusable in it is left out, nothing raises."""
    # What the span says of itself outranks its resource, whatever the dialect.
    facts = {**span.resource, **facts_of(span.attributes)}
    role = _role(span, facts)
    if role == "tool":
        _tool(span, facts)
    elif role == "agent":
        _agent(span, facts)
    elif role == "api":
        facts["endpoint"] = facts.get("endpoint") or _endpoint(facts)
        if not facts["endpoint"]:
            role = "none"
    if role in _SPENDS:
        _usage(facts)
    if "agent_name" not in facts and "function" in facts:
        facts["agent_name"] = facts["function"]
    return Reading(role, facts)


_SPENDS = frozenset({"model", "tool", "api", "agent"})
_MODEL_OPERATIONS = frozenset(
    {"chat", "generate_content", "text_completion", "embeddings", "completion", "responses"}
)
_AGENT_OPERATIONS = frozenset({"invoke_agent", "create_agent", "invoke_workflow", "plan"})
_OPENINFERENCE_ROLES: dict[str, Role] = {
    "LLM": "model",
    "EMBEDDING": "model",
    "TOOL": "tool",
    "AGENT": "agent",
}
_LANGFUSE_ROLES: dict[str, Role] = {
    "generation": "model",
    "embedding": "model",
    "tool": "tool",
    "agent": "agent",
}
_OWN_ROLES = frozenset({"model", "tool", "api", "artifact", "review", "run", "agent", "none"})


def _role(span: Span, facts: dict[str, Any]) -> Role:
    kind = facts.get("kind")
    if kind in _OWN_ROLES:
        return kind  # type: ignore[no-any-return]
    if span.name == "raw_gen_ai_request":
        return "none"  # LiteLLM's child of the call that was already reported
    operation = facts.get("operation")
    if operation in _MODEL_OPERATIONS:
        return "model"
    if operation == "execute_tool":
        return "tool"
    if operation in _AGENT_OPERATIONS:
        return "agent"
    if (method := facts.get("mcp_method")) is not None:
        return "tool" if method == "tools/call" else "none"
    if (kind := facts.get("openinference_kind")) is not None:
        return _OPENINFERENCE_ROLES.get(str(kind).upper(), "none")
    if (vercel := facts.get("vercel_operation")) is not None:
        if vercel == "ai.toolCall":
            return "tool"
        # ai.generateText encloses its steps and repeats their totals; the steps are the calls
        return "model" if str(vercel).partition(".do")[1] else "none"
    if (kind := facts.get("langfuse_type")) is not None:
        return _LANGFUSE_ROLES.get(str(kind), "none")
    if (kind := facts.get("traceloop_kind")) is not None:
        return "tool" if kind == "tool" else "agent" if kind == "agent" else "none"
    if facts.get("request_type") in ("chat", "completion", "embedding"):
        return "model"
    if "tool" in facts and ("tool_call" in facts or span.name.startswith(("running tool", "execute_tool"))):
        return "tool"
    if span.kind == CLIENT:
        if ("model" in facts or "request_model" in facts) and "tokens_in" in facts:
            return "model"
        if "http_method" in facts:
            return "api"
    return "none"


def _tool(span: Span, facts: dict[str, Any]) -> None:
    tool = facts.get("tool") or facts.get("traceloop_name")
    if not tool:
        head, _, rest = span.name.partition(" ")
        tool = rest if head in ("tools/call", "execute_tool") and rest else span.name
    server = facts.get("mcp_server")
    facts["tool"] = f"{server}/{tool}" if server and "/" not in str(tool) else tool


def _agent(span: Span, facts: dict[str, Any]) -> None:
    if "agent_name" in facts:
        return
    if facts.get("traceloop_kind") == "agent" and "traceloop_name" in facts:
        facts["agent_name"] = facts["traceloop_name"]
    elif facts.get("langfuse_type") == "agent" and span.name:
        facts["agent_name"] = span.name
    elif span.name.startswith("invoke_agent "):
        facts["agent_name"] = span.name.removeprefix("invoke_agent ")


def _endpoint(facts: dict[str, Any]) -> str:
    return endpoint(
        str(facts["http_method"]),
        url=str(facts.get("http_url", "")),
        host=str(facts.get("host", "")),
        path=str(facts.get("path", "")),
        template=str(facts.get("http_template", "")),
    )


_TOKENS = ("tokens_in", "tokens_out", "tokens_cached", "tokens_created", "tokens_reasoning")
_COSTS = ("cost_nano", "cost", "cost_amount", "cost_json", "usage_json", "usage_text")
_USAGE = frozenset((*_TOKENS, *_COSTS))
_CACHED_IN_TEXT = re.compile(r"['\"]cached_tokens['\"]:\s*(\d{1,15})")


def _usage(facts: dict[str, Any]) -> None:
    """Bring tokens and cost to one meaning: input includes cached tokens, cost is whole nano-USD or None."""
    if _USAGE.isdisjoint(facts):
        return
    if (text := facts.get("usage_json")) is not None:
        for name, value in _json_numbers(text).items():
            _langfuse_tokens(facts, name, value)
    text = facts.get("usage_text")
    if "tokens_cached" not in facts and text is not None and (found := _CACHED_IN_TEXT.search(str(text))):
        facts["tokens_cached"] = int(found[1])
    for fact in _TOKENS:
        if fact in facts:
            count = whole(facts[fact])
            if count is not None and count >= 0:
                facts[fact] = count
            else:
                del facts[fact]
    aside = facts.get("tokens_cached", 0) + facts.get("tokens_created", 0)
    if "tokens_in" in facts and aside > facts["tokens_in"]:
        facts["tokens_in"] += aside  # a part cannot exceed the whole: this sender counts cached tokens apart
    cost = whole(facts["cost_nano"]) if "cost_nano" in facts else None
    if cost is None and "cost" in facts:
        cost = nano_usd(facts["cost"])
    if cost is None and "cost_amount" in facts and str(facts.get("cost_currency", "USD")).upper() == "USD":
        cost = nano_usd(facts["cost_amount"])
    if cost is None and (text := facts.get("cost_json")) is not None:
        parts = _json_numbers(text)
        total = parts.get("total", sum(parts.values(), Decimal(0)) if parts else None)
        cost = None if total is None else nano_usd(total)
    facts["nano_usd"] = cost


_LANGFUSE_TOKENS = {
    "input": "tokens_in",
    "prompt_tokens": "tokens_in",
    "input_tokens": "tokens_in",
    "output": "tokens_out",
    "completion_tokens": "tokens_out",
    "output_tokens": "tokens_out",
    "input_cached_tokens": "tokens_cached",
    "input_cache_read": "tokens_cached",
    "cache_read_input_tokens": "tokens_cached",
    "input_cache_creation": "tokens_created",
    "cache_creation_input_tokens": "tokens_created",
    "output_reasoning_tokens": "tokens_reasoning",
}


def _langfuse_tokens(facts: dict[str, Any], name: str, value: Decimal) -> None:
    fact = _LANGFUSE_TOKENS.get(name)
    if fact is not None:
        facts.setdefault(fact, int(value))


_NUMBERS = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


def _json_numbers(text: Any) -> dict[str, Decimal]:
    """Return the numbers of a JSON object sent as text; an unreadable one has none."""
    try:
        values = _NUMBERS.decode(str(text))
    except (msgspec.DecodeError, RecursionError, InvalidOperation):
        return {}
    numbers = {}
    for name, value in values.items():
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            number = Decimal(value)
            if number.is_finite() and abs(number) < 10**15:
                numbers[name] = number
    return numbers


def whole(value: Any) -> int | None:
    """Return `value` as an integer within 2^53-1, or None when it is no whole number."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        if not (len(value) <= 17 and value.lstrip("-").isdecimal() and value.isascii()):
            return None
        value = int(value) if value.count("-") <= 1 else None
    elif isinstance(value, float):
        value = int(value) if value.is_integer() else None
    return value if isinstance(value, int) and -LARGEST <= value <= LARGEST else None


def nano_usd(value: Any) -> int | None:
    """Return an amount in USD as whole nano-USD, rounded half to even; None when it is no usable amount.

    A float is taken as the decimal number that its sender wrote: the shortest one that reads back as it.
    """
    if isinstance(value, bool):
        return None
    try:
        amount = Decimal(repr(value) if isinstance(value, float) else str(value)[:64])
        if not amount.is_finite() or amount.adjusted() > 9:
            return None
        nano = int(amount.scaleb(9).to_integral_value())
    except (InvalidOperation, ValueError, OverflowError):
        return None
    return nano if abs(nano) <= LARGEST else None


def moment(value: Any) -> int | None:
    """Return a time sent as nanoseconds or ISO 8601 as nanoseconds UTC, or None when it is neither."""
    if isinstance(value, str) and not value.isdecimal():
        try:
            return parse_iso(value)
        except ValueError:
            return None
    if isinstance(value, str):
        value = int(value) if len(value) <= 19 else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63 else None


def truth(value: Any) -> bool:
    """Return whether an attribute says yes; exporters without booleans send text."""
    return value is True or str(value).lower() in ("true", "1", "yes")
