"""One thing an agent did: the record that every source of telemetry is turned into."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

EARLIEST = 946_684_800_000_000_000
"""2000-01-01T00:00:00Z: a smaller time was not given in nanoseconds."""
LATEST = 4_102_444_800_000_000_000
"""2100-01-01T00:00:00Z."""
COST_MOST = 10**15
"""One action may cost, or give back, up to a million USD."""

Text = Annotated[str, Meta(max_length=512)]
Name = Annotated[str, Meta(min_length=1, max_length=512)]
Time = Annotated[int, Meta(ge=EARLIEST, le=LATEST)]
Tokens = Annotated[int, Meta(ge=0, le=10**12)]
Cost = Annotated[int, Meta(ge=-COST_MOST, le=COST_MOST)]
Kind = Literal["model", "tool", "api", "artifact", "review", "run"]

CALLS: frozenset[str] = frozenset({"model", "tool", "api"})
"""The kinds that count as calls; artifacts, reviews and runs do not."""


class Action(Struct, frozen=True, gc=False, omit_defaults=True):
    """What an agent did, at the moment it was over.

    Strings hold up to 512 characters and are empty when unknown. Everything in here was written by an agent
    or its telemetry: it is data, and must be cleaned before it is shown.

    Attributes:
        at: end of the operation, nanoseconds UTC.
        agent: stable name of the agent.
        id: the sender's own id of this action.
        tenant: whose agent it is; the same name in two tenants is two agents.
        session: conversation or session.
        trace: trace id, hex.
        span: span id, hex; with `trace` the identity against duplicates.
        kind: model, tool and api are calls; artifact is something made; review a human's verdict; run one
            whole invocation of the agent, whose totals repeat those of its calls and are not counted.
        tool: tool name, as `server/tool` where the server is known.
        endpoint: `METHOD host path`.
        model: model that answered.
        tokens_in: input tokens, including cached ones.
        tokens_out: output tokens, including reasoning.
        tokens_cached: input tokens read from a cache.
        tokens_reasoning: output tokens spent on reasoning.
        cost: nano-USD; None is unknown, never zero; negative is a refund.
        artifact: id of the artifact made or reviewed.
        artifact_type: such as email, document, ticket.
        customer_visible: whether a customer sees the artifact.
        content_hash: hash of the content that was published or approved.
        decision: verdict of a review, or empty.
        presented_at: when the reviewer got to see it, nanoseconds UTC.
        reviewer: who reviewed.
        principal: on whose behalf the agent acts.
        approval: id of the approval that covers the action.
        agent_version: release of the agent.
        bundle: prompt, tool and policy bundle it ran with.
        wave: rollout wave.
        change: change or deployment it belongs to.
        side_effect: whether something outside was changed.
        action_class: rollback class, 1 to 7.
        idempotency_key: key under which the operation can be repeated safely.
        status: how it ended; attempts that failed count too.
        attributed: whether `agent` is certain or the best guess so far.
        sampled: whether the sender drops part of its telemetry, so that sums are too low.
        amount: what it moved, with its unit, as in `120.00 EUR`; never what the call itself cost.
    """

    at: Time
    agent: Name
    id: Text = ""
    tenant: Name = "default"
    session: Text = ""
    trace: Text = ""
    span: Text = ""
    kind: Kind = "api"
    tool: Text = ""
    endpoint: Text = ""
    model: Text = ""
    tokens_in: Tokens = 0
    tokens_out: Tokens = 0
    tokens_cached: Tokens = 0
    tokens_reasoning: Tokens = 0
    cost: Cost | None = None
    artifact: Text = ""
    artifact_type: Text = ""
    customer_visible: bool = False
    content_hash: Text = ""
    decision: Literal["", "approved", "rejected"] = ""
    presented_at: Time | None = None
    reviewer: Text = ""
    principal: Text = ""
    approval: Text = ""
    agent_version: Text = ""
    bundle: Text = ""
    wave: Text = ""
    change: Text = ""
    side_effect: Literal["none", "done", "unknown"] = "unknown"
    action_class: Annotated[int, Meta(ge=1, le=7)] | None = None
    idempotency_key: Text = ""
    status: Literal["ok", "error"] = "ok"
    attributed: Literal["exact", "provisional"] = "exact"
    sampled: bool = False
    amount: Text = ""
