"""The one evidence schema: what an incident's evidence should name, under one name for each thing.

Playbooks, trackers and post-mortems call the same thing by several names. Here each has one, every other name
that is in use is accepted when material comes in, and shown beside it when material goes out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

VERSION = "1"


class Field(NamedTuple):
    """One thing that the evidence should name.

    Attributes:
        name: the name on record.
        meaning: what it is, for people.
        sources: the requirements that ask for it.
        aliases: the other names that it goes by.
        needed: `always`, or only where the incident has such a thing.
        searched: the fields of an action that hold its value; () = telemetry does not carry it.
    """

    name: str
    meaning: str
    sources: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    needed: Literal["always", "where it applies"] = "always"
    searched: tuple[str, ...] = ()


_APPLIES: Literal["where it applies"] = "where it applies"

FIELDS: tuple[Field, ...] = (
    Field("incident_id", "the incident", ("S001-EV-1",), ("incident ID", "incident", "case_id")),
    Field(
        "alert_id", "the alert that it began with", ("S001-EV-0",), ("alert", "alert ID"), _APPLIES
    ),
    Field(
        "run_id", "one invocation of the agent; where nothing names it, its trace or session",
        ("S001-EV-2", "X-25"), ("run IDs", "run_ids", "run", "invocation_id"), searched=("trace", "session", "id"),
    ),
    Field(
        "trace_id", "the distributed trace", ("S004-PR-1", "S004-DU-2", "S000-CP-7", "S000-CO-5", "X-25"),
        ("trace", "trace ID", "traceId"), searched=("trace",),
    ),
    Field(
        "session_id", "the conversation or session", ("S004-PR-2", "S004-DU-2", "X-25"),
        ("session", "session ID", "conversation_id", "gen_ai.conversation.id", "session.id"), searched=("session",),
    ),
    Field("agent_id", "the agent", ("S004-PR-3",), ("agent", "agent name", "gen_ai.agent.name"), searched=("agent",)),
    Field("workflow", "the affected workflow", ("S001-EV-3",), ("affected workflow", "workflow class")),
    Field(
        "agent_version", "the release of the agent or of the skill it ran", ("S001-EV-4", "S000-PM-5", "X-25"),
        ("agent version", "skill version", "skill_version", "gen_ai.agent.version", "release"),
        searched=("agent_version",),
    ),
    Field(
        "bundle_id", "the bundle of prompt, tools and policies", ("S004-PR-6", "S004-DU-2", "X-25"),
        ("bundle", "active bundle", "policy_bundle"), searched=("bundle",),
    ),
    Field("model_lane", "the model, and the lane it was served in", ("S001-EV-5",), ("model lane", "model", "gen_ai.response.model")),
    Field("tool_configuration", "which tools it had, and how they were set up", ("S001-EV-6",), ("tool configuration", "tool config")),
    Field(
        "approval_policy", "which actions needed whose approval", ("S001-EV-7", "X-25"), ("approval policy",)
    ),
    Field(
        "approval_id", "the approval that covered an action", ("S004-PR-5", "S004-DU-2", "S000-CP-7", "S000-CO-5", "X-25"),
        ("approval", "approval ID", "approval evidence"), _APPLIES, searched=("approval",),
    ),
    Field("approval_decisions", "who approved or rejected what, and when", ("S004-PR-10",), ("approval decision events", "approval decisions")),
    Field("policy_decisions", "what the guardrails and policies decided", ("S004-PR-9",), ("policy decision events", "policy decisions")),
    Field("reviewer_labels", "what reviewers said of the output", ("S001-EV-10",), ("reviewer labels", "review labels")),
    Field("user_visible_output", "what customers got to see", ("S001-EV-8",), ("user-visible output", "output"), searched=("artifact",)),
    Field("tool_calls", "what it called", ("S001-EV-9", "S001-PRI-3"), ("tool calls", "tool calls and side effects")),
    Field("side_effects", "what it changed outside", ("S001-EV-9",), ("side effects", "side_effect")),
    Field("tool_principal", "on whose behalf it acted", ("S004-PR-4", "S004-DU-2"), ("principal", "tool principal"), searched=("principal",)),
    Field("idempotency_key", "the key under which an operation can be repeated safely", ("S004-DU-2",),
          ("idempotency key", "Idempotency-Key"), _APPLIES, searched=("idempotency_key",)),
    Field("cost", "what it spent", ("S001-EV-11",), ("cost and latency", "spend")),
    Field("dashboards", "where latency, error rate, availability, token usage, cost for each request and model quality are shown",
          ("S002-SLO-2",), ("dashboard links", "telemetry links"), _APPLIES),  # the checklist asks for them already
    Field("latency", "how long its calls took", ("S001-EV-11",), ("duration", "latency_ms")),
    Field("containment_action", "what contains it now", ("S001-EV-12",), ("current containment action", "containment")),
    Field("change_id", "the change or deployment", ("S004-PR-7",), ("change", "deployment_id", "change ID"), searched=("change",)),
    Field("rollout_wave", "the wave of the rollout", ("S004-PR-8", "S004-DU-2"), ("wave", "rollout wave"), searched=("wave",)),
    Field("memory_records", "what it read from its memory, or changed there", ("S004-PR-11",), ("memory records",)),
    Field("allowed_egress", "where it was allowed to connect", ("S004-PR-12",), ("allowed egress", "allowed_egress data")),
    Field("network_path", "where it did connect", ("S004-PR-12", "S001-PRI-3"), ("actual network path", "network path", "egress"), searched=("endpoint",)),
    Field("mcp_server_logs", "what its MCP servers logged", ("S000-CP-7",), ("MCP server logs",), _APPLIES),
    Field("mcp_server_id", "its MCP servers", ("S000-PM-5",), ("MCP server ID", "mcp_server"), _APPLIES),
    Field("webhook_request_headers", "the headers of the webhook calls that reached it", ("S000-CP-7",), ("webhook request headers",), _APPLIES),
    Field("retrieved_context", "what was retrieved into its context", ("S001-PRI-3",), ("retrieval", "retrieved context"), _APPLIES),
    Field("workflow_branches", "which branches of the workflow it took", ("S001-PRI-3",), ("workflow branches",), _APPLIES),
    Field("human_handoffs", "where people took over from it, or it from them", ("S001-PRI-3",), ("human handoffs", "handoffs"), _APPLIES),
    Field("tool_call_id", "one action, as its sender named it", ("S001-EV-9",), ("tool call ID", "action_id", "gen_ai.tool.call.id"), _APPLIES, searched=("id", "span")),
)  # fmt: skip

BY_NAME = {field.name: field for field in FIELDS}


def _plain(name: str) -> str:
    return re.sub(r"[\s_.-]+", "", name).lower()


_NAMES = {_plain(name): field for field in FIELDS for name in (field.name, *field.aliases)}


@lru_cache(1024)  # a timeline that comes in asks for the same names in each of its rows
def field(name: str) -> Field | None:
    """The field that a name means, whichever it is written by; case, blanks, `_`, `-` and `.` do not matter."""
    return _NAMES.get(_plain(name))


def take_in(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sort foreign values by the names on record.

    Args:
        values: under whatever names they came.

    Returns:
        what the schema knows, under its names, and what it does not, as it was. Where one thing came under
        several names with different values, its own name wins, and the others are among the second.
    """
    known: dict[str, Any] = {}
    unknown: dict[str, Any] = {}
    for name, value in sorted(values.items(), key=lambda item: (item[0] not in BY_NAME, item[0])):
        meant = field(name)
        if meant is None or (meant.name in known and known[meant.name] != value):
            unknown[name] = value
        else:
            known[meant.name] = value
    return known, unknown


def give_out(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the schema knows of `values`, each under its name and under every other that it goes by."""
    shown: dict[str, Any] = {}
    for name, value in values.items():
        meant = BY_NAME.get(name)
        shown.update(dict.fromkeys((name, *(meant.aliases if meant else ())), value))
    return shown


def missing(present: Iterable[str], wanted: Iterable[str] = ()) -> tuple[str, ...]:
    """The fields that the evidence should name and does not: those always needed, and those asked for."""
    there, asked = set(present), set(wanted)
    return tuple(
        each.name
        for each in FIELDS
        if each.name not in there and (each.needed == "always" or each.name in asked)
    )
