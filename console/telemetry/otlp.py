"""OTLP/HTTP bodies, decoded to spans: protobuf here, JSON beside; traces and logs.

Attributes are walked once, and only those that a dialect reads are decoded; everything else, message content
included, is passed over. A record that cannot be used is reported beside the good ones; only a body that
cannot be read at all is an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any, Literal

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from console.telemetry import otlp_json
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

Content = Literal["protobuf", "json"]


def decode(body: bytes, signal: Signal, content: Content) -> Decoded:
    """Return the records of an uncompressed OTLP body.

    Raises:
        Undecodable: the body is no OTLP request of this kind.
    """
    if content == "protobuf":
        return _protobuf_traces(body) if signal == "traces" else _protobuf_logs(body)
    return otlp_json.decode(body, signal)


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
        resource = facts_of(_attributes(group.resource.attributes))
        for scope in group.scope_spans:
            for item in scope.spans:
                if len(spans) + len(rejected) >= RECORD_LIMIT:
                    rejected.append(Rejected(TOO_MANY, b""))
                    continue
                trace = item.trace_id.hex()
                span = item.span_id.hex()
                end = item.end_time_unix_nano
                if flaw := span_flaw(trace, span, end):
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
                    sampled(state) if state else False,
                    _attributes(item.attributes),
                    resource,
                )
                spans.append(carrier)
                for index, event in enumerate(islice(item.events, EVENT_LIMIT)):
                    if not event.name.startswith(OWN_EVENTS):
                        continue
                    if flaw := time_flaw(event.time_unix_nano):
                        rejected.append(
                            Rejected(f"a span event was left out: {flaw}", event.SerializeToString()[:4096])
                        )
                        continue
                    own = _attributes(event.attributes)
                    spans.append(event_span(carrier, index, event.name[:64], event.time_unix_nano, own))
    return Decoded(spans, rejected)


def _protobuf_logs(body: bytes) -> Decoded:
    spans: list[Span] = []
    rejected: list[Rejected] = []
    for group in _parse(ExportLogsServiceRequest(), body).resource_logs:
        resource = facts_of(_attributes(group.resource.attributes))
        for scope in group.scope_logs:
            for item in scope.log_records:
                name = item.event_name
                if not name:
                    name = next((p.value.string_value for p in item.attributes if p.key == "event.name"), "")
                trace = item.trace_id.hex()
                span = item.span_id.hex()
                at = item.time_unix_nano or item.observed_time_unix_nano
                attributes = _attributes(item.attributes)
                record = log_span(
                    trace, span, name[:64], at, attributes, resource, len(spans) + len(rejected)
                )
                if isinstance(record, str):
                    rejected.append(Rejected(record, item.SerializeToString()[:4096]))
                elif record is not None:
                    spans.append(record)
    return Decoded(spans, rejected)


_SHAPES = ("gauge", "sum", "histogram", "exponential_histogram", "summary")


def data_points(body: bytes, content: Content) -> int:
    """Return how many data points a metrics body holds.

    Raises:
        Undecodable: the body is no OTLP metrics request.
    """
    protobuf = content == "protobuf"
    request = _parse(ExportMetricsServiceRequest(), body) if protobuf else otlp_json.metrics(body)
    return sum(
        len(shape.data_points)
        for group in request.resource_metrics
        for scope in group.scope_metrics
        for metric in scope.metrics
        for name in _SHAPES
        if (shape := getattr(metric, name)) is not None
    )
