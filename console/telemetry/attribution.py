"""Whose call was it, and is it a call at all: what only the trace around a span can say.

Instrumentations put the agent on an enclosing span that is exported after its children, often in another
request and sometimes much later. A call is therefore attributed with what is known when it arrives, in this
order: the agent on the span; the nearest enclosing agent seen so far; the agent of its trace or conversation;
the configured map of services; the service itself. The last three are guesses and marked `provisional`. What
is learned later holds from then on; calls already counted are not moved.

The same memory tells one call from its echoes: a tool call reported by executor, MCP client and MCP server is
one call, the span that encloses a model call is not a second one, and neither is the HTTP request beneath it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from console.telemetry.action import CALLS, COST_MOST, EARLIEST, LATEST, Action
from console.telemetry.dialects import CLIENT, Reading, Span, moment, truth, whole

UNATTRIBUTED = "unattributed"


class _Trace:
    """What is remembered of one trace: links, agents by span, and which calls lie below which span."""

    __slots__ = ("agent", "agents", "below", "calls", "parents", "tool_calls")

    def __init__(self) -> None:
        self.parents: dict[str, str] = {}
        self.agents: dict[str, str] = {}
        self.below: dict[str, set[str]] = {}
        self.calls: dict[str, str] = {}
        self.tool_calls: dict[str, str] = {}
        self.agent = ""


class Attribution:
    """Turns readings into actions, in the order of arrival. Not thread-safe.

    Args:
        services: agent by `service.name` or `service.instance.id`, from the configuration.
        spans: how many spans are remembered over all traces; the traces touched longest ago go first.
        conversations: how many conversations are remembered.
        ids_per_name: how many agent ids may share one agent name within a service. More of them are ids of
            runs, not of agents, and the name is used instead.
    """

    def __init__(
        self,
        services: Mapping[str, str] | None = None,
        *,
        spans: int = 100_000,
        conversations: int = 20_000,
        ids_per_name: int = 20,
    ) -> None:
        self._services = dict(services or {})
        self._span_limit = spans
        self._conversation_limit = conversations
        self._ids_per_name = ids_per_name
        self._traces: OrderedDict[str, _Trace] = OrderedDict()
        self._spans = 0
        self._conversations: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._ids: OrderedDict[tuple[str, str, str], dict[str, None]] = OrderedDict()
        self.unattributed = 0
        """Calls for which nothing named an agent, not even the service."""
        self.provisional = 0
        """Calls whose agent is a guess."""
        self.echoes = 0
        """Spans that repeat a call already counted."""
        self.run_ids: set[str] = set()
        """Agent names whose ids change with every run; at most 100 are kept."""

    def actions(self, batch: Iterable[tuple[Span, Reading]]) -> list[Action]:
        """Return the actions of one request, calls reported twice taken once."""
        known = [(span, reading, *self._learn(span, reading)) for span, reading in batch]
        actions: list[Action] = []
        for span, reading, trace, own in known:
            role, facts = reading
            if role == "none":
                continue
            if role == "agent":
                if not self._remote_agent(span, facts, trace):
                    continue
                role = "model"
            elif trace is not None and role in CALLS and self._echo(span, role, facts, trace):
                self.echoes += 1
                continue
            agent, certain = (own, True) if own else self._guess(span, facts, trace)
            if not certain:
                self.provisional += 1
            actions.append(_action(span, role, facts, agent, certain))
            if role in CALLS and "artifact" in facts:
                actions.append(_action(span, "artifact", facts, agent, certain))
        return actions

    def save(self) -> bytes:
        """Return what a restart must not forget: agents of conversations, and ids behind names.

        Traces are left out: they are large and soon over, and their agents are mostly known by conversation
        or by name as well.
        """
        ids = [(*key, list(ids)) for key, ids in self._ids.items()]
        return msgspec.msgpack.encode((list(self._conversations.items()), ids))

    def load(self, saved: bytes) -> None:
        """Take up what `save` returned; bytes of another version are ignored."""
        try:
            conversations, ids = msgspec.msgpack.decode(saved, type=_Saved)
        except msgspec.DecodeError:
            return
        self._conversations.update(conversations)
        self._ids.update(
            {(tenant, service, name): dict.fromkeys(known) for tenant, service, name, known in ids}
        )

    def _learn(self, span: Span, reading: Reading) -> tuple[_Trace | None, str]:
        """Remember what the span says about its trace; return the trace and the agent that the span names."""
        role, facts = reading
        own = self._own_agent(facts)
        if own and (session := facts.get("session")):
            self._conversations[_tenant(facts), str(session)] = own
            self._conversations.move_to_end((_tenant(facts), str(session)))
            if len(self._conversations) > self._conversation_limit:
                self._conversations.popitem(last=False)
        if not span.trace:
            return None, own
        trace = self._traces.get(span.trace)
        if trace is None:
            trace = self._traces[span.trace] = _Trace()
        self._traces.move_to_end(span.trace)
        if not span.span:
            return trace, own
        if span.span not in trace.parents:
            trace.parents[span.span] = span.parent
            self._spans += 1
            if waiting := trace.below.get(span.span):
                for what in waiting:
                    _climb(trace, span.parent, what)
        if own:
            trace.agents[span.span] = own
            trace.agent = trace.agent or own
        if role == "model":
            _climb(trace, span.parent, "model")
        if role in ("model", "tool"):
            trace.calls[span.span] = _what(role, facts)
        while self._spans > self._span_limit and len(self._traces) > 1:
            _, oldest = self._traces.popitem(last=False)
            self._spans -= len(oldest.parents)
        if self._spans > self._span_limit:
            # One endless trace: it starts afresh, and until its agent shows again its calls are provisional.
            agent = trace.agent
            self._traces[span.trace] = trace = _Trace()
            trace.agent = agent
            self._spans = 0
        return trace, own

    def _own_agent(self, facts: Mapping[str, Any]) -> str:
        """Return the agent that the span itself names, by stable id where it has one."""
        name = _text(facts.get("agent_name"))
        agent_id = _text(facts.get("agent_id"))
        if not name:
            return agent_id
        key = (_tenant(facts), _text(facts.get("service")), name)
        ids = self._ids.get(key)
        if ids is None:
            if not agent_id:
                return name
            ids = self._ids[key] = {}
            if len(self._ids) > self._conversation_limit:
                self._ids.popitem(last=False)
        if agent_id and len(ids) <= self._ids_per_name:
            ids[agent_id] = None
        if len(ids) > self._ids_per_name:
            if len(self.run_ids) < 100:
                self.run_ids.add(name)
            return name
        # A span that knows only the name means the one agent that is known to bear it.
        return agent_id or (next(iter(ids)) if len(ids) == 1 else name)

    def _guess(self, span: Span, facts: Mapping[str, Any], trace: _Trace | None) -> tuple[str, bool]:
        """Return the agent of a span that names none, and whether that is certain."""
        if trace is not None:
            for ancestor in _ancestors(trace, span):
                if agent := trace.agents.get(ancestor):
                    return agent, True
            if trace.agent:
                return trace.agent, False
        session = facts.get("session")
        if session and (agent := self._conversations.get((_tenant(facts), str(session)), "")):
            return agent, False
        for fact in ("instance", "service"):
            if mapped := self._services.get(_text(facts.get(fact))):
                return mapped, False
        service = _text(facts.get("service"))
        if service and not service.startswith("unknown_service"):
            return service, False
        self.unattributed += 1
        return UNATTRIBUTED, False

    def _echo(self, span: Span, role: str, facts: Mapping[str, Any], trace: _Trace) -> bool:
        what = _what(role, facts)
        if role == "model":
            return what in trace.below.get(span.span, ())  # what encloses a model call is a wrapper of it
        if role == "api":
            return any(trace.calls.get(ancestor) == "model" for ancestor in _ancestors(trace, span))
        if call := facts.get("tool_call"):
            first = trace.tool_calls.setdefault(f"{call} {what}", span.span)
            if first != span.span:
                return True
        if what in trace.below.get(span.span, ()):
            return True
        if any(trace.calls.get(ancestor) == what for ancestor in _ancestors(trace, span)):
            return True
        _climb(trace, span.parent, what)
        return False

    def _remote_agent(self, span: Span, facts: Mapping[str, Any], trace: _Trace | None) -> bool:
        """Return whether an agent span is the only report of what a remote agent spent."""
        if span.kind != CLIENT or not ("tokens_in" in facts or facts.get("nano_usd") is not None):
            return False
        return trace is None or "model" not in trace.below.get(span.span, ())


_Saved = tuple[list[tuple[tuple[str, str], str]], list[tuple[str, str, str, list[str]]]]

DEPTH = 64
"""How far up a trace is looked; a deeper one is either broken or hostile."""


def _what(role: str, facts: Mapping[str, Any]) -> str:
    """Return what makes two reports the same call: tools by name without their server, models as such."""
    return f"tool {str(facts['tool']).rpartition('/')[2]}" if role == "tool" else role


def _ancestors(trace: _Trace, span: Span) -> Iterator[str]:
    ancestor = span.parent
    for _ in range(DEPTH):
        if not ancestor:
            return
        yield ancestor
        ancestor = trace.parents.get(ancestor, "")


def _climb(trace: _Trace, span: str, what: str) -> None:
    """Note on `span` and what is known above it that `what` lies below."""
    for _ in range(DEPTH):
        if not span:
            return
        below = trace.below.setdefault(span, set())
        if what in below:
            return
        below.add(what)
        span = trace.parents.get(span, "")


def _tenant(facts: Mapping[str, Any]) -> str:
    return _text(facts.get("tenant")) or "default"


def _text(value: Any) -> str:
    return "" if value is None else str(value)[:512]


def _time(value: Any) -> int | None:
    at = moment(value) if value is not None else None
    return at if at is not None and EARLIEST <= at <= LATEST else None


_TEXTS = frozenset(
    {
        "id",
        "session",
        "tool",
        "endpoint",
        "model",
        "artifact",
        "artifact_type",
        "content_hash",
        "reviewer",
        "principal",
        "approval",
        "agent_version",
        "bundle",
        "wave",
        "change",
        "idempotency_key",
        "amount",
    }
)
_WORDS = {"decision": ("approved", "rejected"), "side_effect": ("none", "done")}
_HOW = {
    **dict.fromkeys(_TEXTS, "text"),
    **dict.fromkeys(("tokens_in", "tokens_out", "tokens_cached", "tokens_reasoning"), "count"),
    **dict.fromkeys(_WORDS, "word"),
    "nano_usd": "cost",
    "customer_visible": "truth",
    "presented_at": "time",
    "action_class": "class",
    "request_model": "request model",
}
"""How a fact becomes a field of an action; other facts become none."""


def _action(span: Span, role: str, facts: Mapping[str, Any], agent: str, certain: bool) -> Action:
    # What a call left behind is an action of its own, which must not pass for a repeat of the call.
    made = role == "artifact" and facts.get("kind") != "artifact"
    call = role in CALLS
    fields: dict[str, Any] = {}
    for fact, value in facts.items():
        how = _HOW.get(fact)
        if how is None:
            continue
        if how == "text":
            fields[fact] = value if type(value) is str and len(value) <= 512 else _text(value)
        elif how == "count":
            if call:
                fields[fact] = min(value, 10**12)
        elif how == "cost":
            if call and value is not None and abs(value) <= COST_MOST:
                fields["cost"] = value
        elif how == "word":
            if (word := str(value).lower()) in _WORDS[fact]:
                fields[fact] = word
        elif how == "truth":
            fields[fact] = truth(value)
        elif how == "time":
            fields[fact] = _time(value)
        elif how == "class":
            number = whole(value)
            fields[fact] = number if number is not None and 1 <= number <= 7 else None
        else:
            fields.setdefault("model", _text(value))
    if made:
        fields["id"] = f"{span.trace}-{span.span}-artifact"
    return Action(
        at=span.end,
        agent=agent,
        tenant=_tenant(facts),
        trace="" if made else span.trace,
        span="" if made else span.span,
        kind=role,  # type: ignore[arg-type]
        status="error" if span.error or "error" in facts else "ok",
        attributed="exact" if certain else "provisional",
        sampled=span.sampled,
        **fields,
    )
