"""OTLP/HTTP bodies, decoded to spans: protobuf and JSON, traces and logs.

Attributes are walked once, and only those that a dialect reads are decoded; everything else, message content
included, is passed over. A record that cannot be used is reported beside the good ones; only a body that
cannot be read at all is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Literal, NamedTuple

import msgspec
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from console.telemetry.action import EARLIEST, LATEST
from console.telemetry.dialects import ATTRIBUTES, JSON_TEXT_LIMIT, LONG_TEXT, TEXT_LIMIT, Scalar, Span

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


def decode(body: bytes, signal: Signal, content: Literal["protobuf", "json"]) -> Decoded:
    """Return the records of an uncompressed OTLP body.

    Raises:
        Undecodable: the body is no OTLP request of this kind.
    """
    if content == "protobuf":
        return _protobuf_traces(body) if signal == "traces" else _protobuf_logs(body)
    return _json(body, signal)


# -- both ----------------------------------------------------------------------------------------------


def _flaw(trace: str, span: str, end: int) -> str:
    """Return why a span cannot be used, or ''."""
    if len(trace) != 32 or not trace.strip("0"):
        return "its trace id is not 16 bytes, or is all zeros"
    if len(span) != 16 or not span.strip("0"):
        return "its span id is not 8 bytes, or is all zeros"
    return _time_flaw(end)


def _time_flaw(at: int) -> str:
    if at == 0:
        return "it has no end time: only finished operations are counted"
    if not EARLIEST <= at <= LATEST:
        return f"its time {at} is not in nanoseconds since 1970"
    return ""


def _sampled(trace_state: str) -> bool:
    """Return whether the trace state says that only a part of the traces is kept (a threshold above 0)."""
    if "th:" not in trace_state:
        return False
    _, _, threshold = trace_state.partition("th:")
    return bool(threshold[:14].partition(";")[0].partition(",")[0].strip("0 "))


def _event_span(carrier: Span, index: int, name: str, at: int, attributes: dict[str, Scalar]) -> Span:
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


# -- protobuf ------------------------------------------------------------------------------------------


def _parse(message: Any, body: bytes) -> Any:
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise Undecodable(f"the body is not the protobuf message that was announced: {error}") from None
    return message


def _attributes(pairs: Iterable[Any]) -> dict[str, Scalar]:
    found: dict[str, Scalar] = {}
    for pair in islice(pairs, ATTRIBUTE_LIMIT):
        key = pair.key
        if key in ATTRIBUTES:
            value = pair.value
            which = value.WhichOneof("value")
            if which == "string_value":
                found[key] = value.string_value[: JSON_TEXT_LIMIT if key in LONG_TEXT else TEXT_LIMIT]
            elif which == "int_value":
                found[key] = value.int_value
            elif which == "double_value":
                found[key] = value.double_value
            elif which == "bool_value":
                found[key] = value.bool_value
    return found


def _protobuf_traces(body: bytes) -> Decoded:
    spans: list[Span] = []
    rejected: list[Rejected] = []
    for group in _parse(ExportTraceServiceRequest(), body).resource_spans:
        resource = _attributes(group.resource.attributes)
        for scope in group.scope_spans:
            for item in scope.spans:
                if len(spans) + len(rejected) >= RECORD_LIMIT:
                    rejected.append(Rejected(_TOO_MANY, b""))
                    continue
                trace = item.trace_id.hex()
                span = item.span_id.hex()
                end = item.end_time_unix_nano
                if flaw := _flaw(trace, span, end):
                    rejected.append(Rejected(f"a span was left out: {flaw}", item.SerializeToString()[:4096]))
                    continue
                state = item.trace_state
                carrier = Span(
                    trace,
                    span,
                    item.parent_span_id.hex(),
                    item.name[:TEXT_LIMIT],
                    item.kind,
                    item.start_time_unix_nano,
                    end,
                    item.status.code == 2,
                    _sampled(state) if state else False,
                    _attributes(item.attributes),
                    resource,
                )
                spans.append(carrier)
                for index, event in enumerate(item.events[:EVENT_LIMIT]):
                    if event.name.startswith(OWN_EVENTS) and not _time_flaw(event.time_unix_nano):
                        own = _attributes(event.attributes)
                        spans.append(_event_span(carrier, index, event.name[:64], event.time_unix_nano, own))
    return Decoded(spans, rejected)


def _protobuf_logs(body: bytes) -> Decoded:
    spans: list[Span] = []
    rejected: list[Rejected] = []
    for group in _parse(ExportLogsServiceRequest(), body).resource_logs:
        resource = _attributes(group.resource.attributes)
        for scope in group.scope_logs:
            for item in scope.log_records:
                name = item.event_name
                if not name:
                    name = next((p.value.string_value for p in item.attributes if p.key == "event.name"), "")
                trace = item.trace_id.hex()
                span = item.span_id.hex()
                at = item.time_unix_nano or item.observed_time_unix_nano
                attributes = _attributes(item.attributes)
                record = _log(trace, span, name[:64], at, attributes, resource, len(spans) + len(rejected))
                if isinstance(record, str):
                    rejected.append(Rejected(record, item.SerializeToString()[:4096]))
                elif record is not None:
                    spans.append(record)
    return Decoded(spans, rejected)


_TOO_MANY = f"a record was left out: more than {RECORD_LIMIT} in one request"


def _log(
    trace: str,
    span: str,
    name: str,
    at: int,
    attributes: dict[str, Scalar],
    resource: dict[str, Scalar],
    before: int,
) -> Span | str | None:
    """Return a log record as a span, why it cannot be used, or None when it is about no action."""
    if not name.startswith(OWN_EVENTS) and "warroom.kind" not in attributes:
        return None
    if before >= RECORD_LIMIT:
        return _TOO_MANY
    if flaw := _time_flaw(at):
        return f"a log record was left out: {flaw}"
    known = len(trace) == 32 and len(span) == 16 and trace.strip("0") and span.strip("0")
    carrier = Span(
        trace if known else "", span if known else "", "", name, 0, at, at, False, False, {}, resource
    )
    return _event_span(carrier, -1, name, at, attributes)


# -- JSON ----------------------------------------------------------------------------------------------


class _Value(msgspec.Struct, rename="camel", gc=False):
    string_value: str | None = None
    int_value: int | str | None = None
    double_value: float | str | None = None
    bool_value: bool | None = None


class _Pair(msgspec.Struct, gc=False):
    key: str = ""
    value: _Value | None = None


class _Resource(msgspec.Struct):
    attributes: list[_Pair] = []


class _Status(msgspec.Struct, gc=False):
    code: int | None = None


class _Event(msgspec.Struct, rename="camel"):
    time_unix_nano: int | str = 0
    name: str = ""
    attributes: list[_Pair] = []


class _JsonSpan(msgspec.Struct, rename="camel"):
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    trace_state: str = ""
    name: str = ""
    kind: int = 0
    start_time_unix_nano: int | str = 0
    end_time_unix_nano: int | str = 0
    attributes: list[_Pair] = []
    events: list[_Event] = []
    status: _Status | None = None


class _JsonLog(msgspec.Struct, rename="camel"):
    trace_id: str = ""
    span_id: str = ""
    time_unix_nano: int | str = 0
    observed_time_unix_nano: int | str = 0
    event_name: str = ""
    attributes: list[_Pair] = []


class _Scope(msgspec.Struct, rename="camel"):
    spans: list[msgspec.Raw] = []
    log_records: list[msgspec.Raw] = []


class _Group(msgspec.Struct, rename="camel"):
    resource: _Resource | None = None
    scope_spans: list[_Scope] = []
    scope_logs: list[_Scope] = []


class _Request(msgspec.Struct, rename="camel"):
    resource_spans: list[_Group] = []
    resource_logs: list[_Group] = []


_HEX = frozenset("0123456789abcdefABCDEF")
_REQUEST = msgspec.json.Decoder(_Request)
_SPAN = msgspec.json.Decoder(_JsonSpan)
_LOG = msgspec.json.Decoder(_JsonLog)


def _json(body: bytes, signal: Signal) -> Decoded:
    try:
        request = _REQUEST.decode(body)
    except RecursionError:
        raise Undecodable("the body is nested more deeply than any telemetry is") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Undecodable(f"the body is not the JSON that was announced: {error}") from None
    spans: list[Span] = []
    rejected: list[Rejected] = []
    for group in request.resource_spans if signal == "traces" else request.resource_logs:
        try:
            resource = _json_attributes(group.resource.attributes) if group.resource else {}
        except ValueError as error:
            raise Undecodable(f"the attributes of a resource cannot be read: {error}") from None
        for scope in group.scope_spans if signal == "traces" else group.scope_logs:
            for raw in scope.spans if signal == "traces" else scope.log_records:
                if len(spans) + len(rejected) >= RECORD_LIMIT:
                    rejected.append(Rejected(_TOO_MANY, b""))
                    continue
                try:
                    records = _json_span(raw, resource) if signal == "traces" else _json_log(raw, resource)
                except (msgspec.DecodeError, ValueError, RecursionError) as error:
                    what = "span" if signal == "traces" else "log record"
                    rejected.append(Rejected(f"a {what} was left out: {error}"[:300], bytes(raw)[:4096]))
                    continue
                spans.extend(records)
    return Decoded(spans, rejected)


def _json_span(raw: msgspec.Raw, resource: dict[str, Scalar]) -> Sequence[Span]:
    item = _SPAN.decode(raw)
    trace, span = item.trace_id.lower(), item.span_id.lower()
    end = _integer(item.end_time_unix_nano)
    _check_hex(trace, span, item.parent_span_id)
    if flaw := _flaw(trace, span, end):
        raise ValueError(flaw)
    carrier = Span(
        trace,
        span,
        item.parent_span_id.lower(),
        item.name[:TEXT_LIMIT],
        item.kind,
        _integer(item.start_time_unix_nano),
        end,
        item.status is not None and item.status.code == 2,
        _sampled(item.trace_state),
        _json_attributes(item.attributes),
        resource,
    )
    records = [carrier]
    for index, event in enumerate(item.events[:EVENT_LIMIT]):
        if event.name.startswith(OWN_EVENTS):
            at = _integer(event.time_unix_nano)
            if not _time_flaw(at):
                own = _json_attributes(event.attributes)
                records.append(_event_span(carrier, index, event.name[:64], at, own))
    return records


def _json_log(raw: msgspec.Raw, resource: dict[str, Scalar]) -> Sequence[Span]:
    item = _LOG.decode(raw)
    name = item.event_name
    if not name:
        pairs = (p for p in item.attributes[:ATTRIBUTE_LIMIT] if p.key == "event.name" and p.value)
        name = next((p.value.string_value or "" for p in pairs if p.value), "")
    at = _integer(item.time_unix_nano) or _integer(item.observed_time_unix_nano)
    attributes = _json_attributes(item.attributes)
    _check_hex(item.trace_id, item.span_id)
    record = _log(item.trace_id.lower(), item.span_id.lower(), name[:64], at, attributes, resource, 0)
    if isinstance(record, str):
        raise ValueError(record.removeprefix("a log record was left out: "))
    return () if record is None else (record,)


def _check_hex(*ids: str) -> None:
    for text in ids:
        if len(text) > 32 or not _HEX.issuperset(text):
            raise ValueError("an id is not hexadecimal")


def _integer(value: int | str) -> int:
    """Return a 64-bit integer that JSON may carry as text."""
    if isinstance(value, int):
        return value
    if value.isascii() and value.lstrip("-").isdecimal() and len(value) <= 20:
        return int(value)
    raise ValueError("a number is no integer")


def _json_attributes(pairs: Sequence[_Pair]) -> dict[str, Scalar]:
    found: dict[str, Scalar] = {}
    for pair in pairs[:ATTRIBUTE_LIMIT]:
        key, value = pair.key, pair.value
        if key not in ATTRIBUTES or value is None:
            continue
        if value.string_value is not None:
            found[key] = value.string_value[: JSON_TEXT_LIMIT if key in LONG_TEXT else TEXT_LIMIT]
        elif value.int_value is not None:
            found[key] = _integer(value.int_value)
        elif value.double_value is not None:
            double = value.double_value
            found[key] = double if isinstance(double, float) else float(double[:32])
        elif value.bool_value is not None:
            found[key] = value.bool_value
    return found
