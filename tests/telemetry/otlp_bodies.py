"""OTLP bodies for tests, built by the official encoder or by hand."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

T0 = 1_795_000_000_000_000_000
"""A November afternoon of 2026, nanoseconds UTC."""
SECOND = 1_000_000_000
TRACE = "5b8efff798038103d269b633813fc60c"

_numbers = itertools.count(2**40)


def span(
    attributes: Mapping[str, Any] | None = None,
    *,
    name: str = "span",
    trace: str = TRACE,
    span_id: str = "",
    parent: str = "",
    kind: int = 3,
    end: int = T0,
    **more: Any,
) -> dict[str, Any]:
    """Return one span as OTLP JSON writes it."""
    return {
        "traceId": trace,
        "spanId": span_id or f"{next(_numbers):016x}",
        "parentSpanId": parent,
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(end - SECOND),
        "endTimeUnixNano": str(end),
        "attributes": pairs(attributes or {}),
        **more,
    }


def pairs(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return attributes as OTLP JSON writes them."""
    return [{"key": key, "value": value(each)} for key, each in attributes.items()]


def value(each: Any) -> dict[str, Any]:
    """Return one attribute value as OTLP JSON writes it."""
    if isinstance(each, bool):
        return {"boolValue": each}
    if isinstance(each, int):
        return {"intValue": str(each)}
    if isinstance(each, float):
        return {"doubleValue": each if math.isfinite(each) else {"nan": "NaN"}.get(str(each), "Infinity")}
    if isinstance(each, list | tuple):
        return {"arrayValue": {"values": [value(inner) for inner in each]}}
    return {"stringValue": each}


def request(spans: Iterable[dict[str, Any]], **resource: Any) -> dict[str, Any]:
    """Return a traces request of one resource; keywords are its attributes, `_` for `.`."""
    attributes = {key.replace("_", "."): each for key, each in resource.items()}
    return {
        "resourceSpans": [
            {"resource": {"attributes": pairs(attributes)}, "scopeSpans": [{"spans": list(spans)}]}
        ]
    }


def as_json(spans: Iterable[dict[str, Any]], **resource: Any) -> bytes:
    """Return a traces request as a JSON body."""
    return json.dumps(request(spans, **resource)).encode()


def as_protobuf(spans: Iterable[dict[str, Any]], **resource: Any) -> bytes:
    """Return the same request as a protobuf body."""
    built = ExportTraceServiceRequest()
    for group in request(spans, **resource)["resourceSpans"]:
        into = built.resource_spans.add()
        into.resource.attributes.extend(_proto_pairs(group["resource"]["attributes"]))
        scope = into.scope_spans.add()
        for each in group["scopeSpans"][0]["spans"]:
            one = scope.spans.add(
                trace_id=bytes.fromhex(each["traceId"]),
                span_id=bytes.fromhex(each["spanId"]),
                parent_span_id=bytes.fromhex(each["parentSpanId"]),
                trace_state=each.get("traceState", ""),
                name=each["name"],
                kind=each["kind"],
                start_time_unix_nano=int(each["startTimeUnixNano"]),
                end_time_unix_nano=int(each["endTimeUnixNano"]),
                attributes=_proto_pairs(each["attributes"]),
            )
            one.status.code = each.get("status", {}).get("code", 0)
            for event in each.get("events", ()):
                one.events.add(
                    name=event["name"],
                    time_unix_nano=int(event["timeUnixNano"]),
                    attributes=_proto_pairs(event["attributes"]),
                )
    return bytes(built.SerializeToString())


def _proto_pairs(attributes: Iterable[dict[str, Any]]) -> list[KeyValue]:
    return [KeyValue(key=each["key"], value=_proto_value(each["value"])) for each in attributes]


def _proto_value(each: dict[str, Any]) -> AnyValue:
    built = AnyValue()
    for kind, inner in each.items():
        if kind == "stringValue":
            built.string_value = inner
        elif kind == "intValue":
            built.int_value = int(inner)
        elif kind == "doubleValue":
            built.double_value = float(inner)
        elif kind == "boolValue":
            built.bool_value = inner
        else:
            built.array_value.values.extend(_proto_value(item) for item in inner["values"])
    return built
