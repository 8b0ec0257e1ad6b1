"""OTLP/HTTP bodies, decoded to spans: protobuf here, JSON beside; traces and logs.

Attributes are walked once, and only those that a dialect reads are decoded; everything else, message content
included, is passed over. A record that cannot be used is reported beside the good ones; only a body that
cannot be read at all is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Literal

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from console.telemetry import otlp_json
from console.telemetry.dialects import TEXT_LIMIT, Scalar, Span, facts_of
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
from console.telemetry.otlp_wire import DecodeError, Logs, Traces, attribute, event_name

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


def _attributes(pairs: Iterable[bytes]) -> dict[str, Scalar]:
    found: dict[str, Scalar] = {}
    for raw in islice(pairs, ATTRIBUTE_LIMIT):
        if (known := attribute(raw)) is not None:
            found[known[0]] = known[1]
    return found


def _resource(group: Any) -> dict[str, Any]:
    try:
        return facts_of(_attributes(group.resource.attributes))
    except DecodeError as error:
        raise Undecodable(f"the body has a resource that cannot be read: {error}") from None


def _protobuf_traces(body: bytes) -> Decoded:
    decoded = Decoded([], [])
    for group in _parse(Traces(), body).resource_spans:
        resource = _resource(group)
        for scope in group.scope_spans:
            for item in scope.spans:
                _take(item, resource, decoded, _span, "span")
    return decoded


def _protobuf_logs(body: bytes) -> Decoded:
    decoded = Decoded([], [])
    for group in _parse(Logs(), body).resource_logs:
        resource = _resource(group)
        for scope in group.scope_logs:
            for item in scope.log_records:
                _take(item, resource, decoded, _log, "log record")
    return decoded


Reader = Callable[[Any, dict[str, Any], Decoded], None]


def _take(item: Any, resource: dict[str, Any], decoded: Decoded, read: Reader, what: str) -> None:
    if len(decoded.spans) + len(decoded.rejected) >= RECORD_LIMIT:
        decoded.rejected.append(Rejected(TOO_MANY, b""))
        return
    try:
        read(item, resource, decoded)
    except (DecodeError, ValueError) as error:
        decoded.rejected.append(
            Rejected(f"a {what} was left out: {error}"[:300], item.SerializeToString()[:4096])
        )


def _span(item: Any, resource: dict[str, Any], decoded: Decoded) -> None:
    trace = item.trace_id.hex()
    span = item.span_id.hex()
    end = item.end_time_unix_nano
    if flaw := span_flaw(trace, span, end):
        raise ValueError(flaw)
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
    decoded.spans.append(carrier)
    for index, event in enumerate(islice(item.events, EVENT_LIMIT)):
        if not event.name.startswith(OWN_EVENTS):
            continue
        try:
            if flaw := time_flaw(event.time_unix_nano):
                raise ValueError(flaw)
            own = _attributes(event.attributes)
        except (DecodeError, ValueError) as error:
            reason = f"a span event was left out: {error}"[:300]
            decoded.rejected.append(Rejected(reason, event.SerializeToString()[:4096]))
        else:
            decoded.spans.append(event_span(carrier, index, event.name[:64], event.time_unix_nano, own))


def _log(item: Any, resource: dict[str, Any], decoded: Decoded) -> None:
    name = item.event_name
    if not name:
        pairs = islice(item.attributes, ATTRIBUTE_LIMIT)
        name = next((name for pair in pairs if (name := event_name(pair))), "")
    at = item.time_unix_nano or item.observed_time_unix_nano
    trace, span = item.trace_id.hex(), item.span_id.hex()
    record = log_span(trace, span, name[:64], at, _attributes(item.attributes), resource)
    if record is not None:
        decoded.spans.append(record)


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
