"""What one record of OTLP must be to count, whatever it was encoded in."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from console.telemetry.action import EARLIEST, LATEST
from console.telemetry.dialects import Scalar, Span

Signal = Literal["traces", "logs"]

ATTRIBUTE_LIMIT = 1_000
"""Attributes looked at on one record."""
EVENT_LIMIT = 128
"""Span events looked at on one span."""
RECORD_LIMIT = 50_000
"""Records taken from one body; a client's batch is 512."""

OWN_EVENTS = "warroom."
"""Log records and span events with such a name carry an action; the rest of the name is its kind."""


class Undecodable(Exception):
    """The body is not what its content type says; sending it again will not help."""


class Rejected(NamedTuple):
    """One record that cannot be used: why, in plain words, and the start of its bytes."""

    reason: str
    raw: bytes


class Decoded(NamedTuple):
    """One body: the usable records, and the others."""

    spans: list[Span]
    rejected: list[Rejected]


def span_flaw(trace: str, span: str, end: int) -> str:
    """Return why a span cannot be used, or ''."""
    if len(trace) != 32 or not trace.strip("0"):
        return "its trace id is not 16 bytes, or is all zeros"
    if len(span) != 16 or not span.strip("0"):
        return "its span id is not 8 bytes, or is all zeros"
    return time_flaw(end)


def time_flaw(at: int) -> str:
    """Return why a time cannot be used, or ''."""
    if at == 0:
        return "it has no end time: only finished operations are counted"
    if not EARLIEST <= at <= LATEST:
        return f"its time {at} is not in nanoseconds since 1970"
    return ""


def sampled(trace_state: str) -> bool:
    """Return whether the trace state says that only a part of the traces is kept (a threshold above 0)."""
    if "th:" not in trace_state:
        return False
    _, _, threshold = trace_state.partition("th:")
    return bool(threshold[:14].partition(";")[0].partition(",")[0].strip("0 "))


def event_span(carrier: Span, index: int, name: str, at: int, attributes: dict[str, Scalar]) -> Span:
    """Return a span event or log record of our own as a record that stands alone."""
    if name.startswith(OWN_EVENTS):
        attributes.setdefault("warroom.kind", name.removeprefix(OWN_EVENTS))
    if carrier.span and index >= 0:
        attributes.setdefault("warroom.id", f"{carrier.trace}-{carrier.span}-{index}")
    # It lies below its span in the trace; having no span id of its own, it is known by its id or its content.
    return Span(
        carrier.trace,
        "",
        carrier.span,
        name,
        0,
        at,
        at,
        carrier.error,
        carrier.sampled,
        attributes,
        carrier.resource,
    )


TOO_MANY = f"a record was left out: more than {RECORD_LIMIT} in one request"


def log_span(
    trace: str,
    span: str,
    name: str,
    at: int,
    attributes: dict[str, Scalar],
    resource: dict[str, Any],
) -> Span | None:
    """Return a log record as a span, or None when it is about no action.

    Raises:
        ValueError: why it cannot be used.
    """
    if not name.startswith(OWN_EVENTS) and "warroom.kind" not in attributes:
        return None
    if flaw := time_flaw(at):
        raise ValueError(flaw)
    known = len(trace) == 32 and len(span) == 16 and trace.strip("0") and span.strip("0")
    carrier = Span(
        trace if known else "", span if known else "", "", name, 0, at, at, False, False, {}, resource
    )
    return event_span(carrier, -1, name, at, attributes)
