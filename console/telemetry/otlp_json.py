"""OTLP in JSON: hexadecimal ids, 64-bit integers as text or numbers, unknown fields ignored."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from console.telemetry.dialects import (
    ATTRIBUTES,
    JSON_TEXT_LIMIT,
    LONG_TEXT,
    TEXT_LIMIT,
    Scalar,
    Span,
    facts_of,
)
from console.telemetry.otlp_record import (
    ATTRIBUTE_LIMIT,
    EVENT_LIMIT,
    OWN_EVENTS,
    RECORD_LIMIT,
    TOO_MANY,
    Decoded,
    Rejected,
    Signal,
    Undecodable,
    event_span,
    log_span,
    sampled,
    span_flaw,
    time_flaw,
)


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


class _Span(msgspec.Struct, rename="camel"):
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


class _Log(msgspec.Struct, rename="camel"):
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
_SPAN = msgspec.json.Decoder(_Span)
_LOG = msgspec.json.Decoder(_Log)


def decode(body: bytes, signal: Signal) -> Decoded:
    """Return the records of a JSON body.

    Raises:
        Undecodable: the body is no OTLP request of this kind.
    """
    try:
        request = _REQUEST.decode(body)
    except RecursionError:
        raise Undecodable("the body is nested more deeply than any telemetry is") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Undecodable(f"the body is not the JSON that was announced: {error}") from None
    traces = signal == "traces"
    what = "span" if traces else "log record"
    groups = request.resource_spans if traces else request.resource_logs
    _check_repeats(body, groups, signal)
    spans: list[Span] = []
    rejected: list[Rejected] = []
    for group in groups:
        try:
            resource = facts_of(_attributes(group.resource.attributes)) if group.resource else {}
        except ValueError as error:
            raise Undecodable(f"the attributes of a resource cannot be read: {error}") from None
        for scope in group.scope_spans if traces else group.scope_logs:
            for raw in scope.spans if traces else scope.log_records:
                if len(spans) + len(rejected) >= RECORD_LIMIT:
                    rejected.append(Rejected(TOO_MANY, b""))
                    continue
                try:
                    found, flawed = _span(raw, resource) if traces else (_log(raw, resource), ())
                except (msgspec.DecodeError, ValueError, RecursionError) as error:
                    rejected.append(Rejected(f"a {what} was left out: {error}"[:300], bytes(raw)[:4096]))
                    continue
                spans.extend(found)
                rejected.extend(flawed)
    return Decoded(spans, rejected)


def _check_repeats(body: bytes, groups: Sequence[_Group], signal: Signal) -> None:
    """Refuse a body in which a key that holds records is repeated in one object: only the last would count.

    Raises:
        Undecodable: there is such a key.
    """
    traces = signal == "traces"
    scopes = sum(len(group.scope_spans if traces else group.scope_logs) for group in groups)
    keys = _HOLDERS[signal]
    # In text the quotes are escaped, so that what is found with its colon is a key, if perhaps another object's.
    found = (len(re.findall(f'"{key}"[ \t\r\n]*:'.encode(), body)) for key in keys)
    if any(count > most for count, most in zip(found, (1, len(groups), scopes), strict=True)):
        json.loads(body, object_pairs_hook=lambda pairs: _once([key for key, _ in pairs if key in keys]))


def _once(keys: list[str]) -> None:
    for key in keys:
        if keys.count(key) > 1:
            raise Undecodable(
                f"the body has the key `{key}` twice in one object, and which of them counts is not said"
            )


_HOLDERS: dict[Signal, tuple[str, str, str]] = {
    "traces": ("resourceSpans", "scopeSpans", "spans"),
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
}


def _span(raw: msgspec.Raw, resource: dict[str, Any]) -> tuple[list[Span], list[Rejected]]:
    item = _SPAN.decode(raw)
    trace, span = item.trace_id.lower(), item.span_id.lower()
    end = _integer(item.end_time_unix_nano)
    _check_hex(trace, span, item.parent_span_id)
    if flaw := span_flaw(trace, span, end):
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
        sampled(item.trace_state),
        _attributes(item.attributes),
        resource,
    )
    records = [carrier]
    rejected = []
    for index, event in enumerate(item.events[:EVENT_LIMIT]):
        if not event.name.startswith(OWN_EVENTS):
            continue
        at = _integer(event.time_unix_nano)
        if flaw := time_flaw(at):
            rejected.append(Rejected(f"a span event was left out: {flaw}", bytes(raw)[:4096]))
        else:
            own = _attributes(event.attributes)
            records.append(event_span(carrier, index, event.name[:64], at, own))
    return records, rejected


def _log(raw: msgspec.Raw, resource: dict[str, Any]) -> Sequence[Span]:
    item = _LOG.decode(raw)
    name = item.event_name
    if not name:
        pairs = (p for p in item.attributes[:ATTRIBUTE_LIMIT] if p.key == "event.name" and p.value)
        name = next((p.value.string_value or "" for p in pairs if p.value), "")
    at = _integer(item.time_unix_nano) or _integer(item.observed_time_unix_nano)
    attributes = _attributes(item.attributes)
    _check_hex(item.trace_id, item.span_id)
    record = log_span(item.trace_id.lower(), item.span_id.lower(), name[:64], at, attributes, resource)
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


def _attributes(pairs: Sequence[_Pair]) -> dict[str, Scalar]:
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


class _Points(msgspec.Struct, rename="camel"):
    data_points: list[msgspec.Raw] = []


class _Metric(msgspec.Struct, rename="camel"):
    gauge: _Points | None = None
    sum: _Points | None = None
    histogram: _Points | None = None
    exponential_histogram: _Points | None = None
    summary: _Points | None = None


class _ScopeMetrics(msgspec.Struct):
    metrics: list[_Metric] = []


class _ResourceMetrics(msgspec.Struct, rename="camel"):
    scope_metrics: list[_ScopeMetrics] = []


class _Metrics(msgspec.Struct, rename="camel"):
    resource_metrics: list[_ResourceMetrics] = []


_METRICS = msgspec.json.Decoder(_Metrics)


def metrics(body: bytes) -> Any:
    """Return a metrics body with the field names of its protobuf message.

    Raises:
        Undecodable: the body is no OTLP metrics request.
    """
    try:
        return _METRICS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Undecodable(f"the body is not the JSON that was announced: {error}") from None
