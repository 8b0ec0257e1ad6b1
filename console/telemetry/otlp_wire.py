"""The messages of OTLP as far as they are used, with every attribute left as its bytes.

Walking attributes through the official classes costs more than everything else between a body and an alert.
Most attributes are read by no dialect, and those that are repeat: here an attribute is looked up as a whole
first, and only decoded when it was not seen before. What is not declared below is passed over by the parser,
so message content and log bodies are never looked at.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from console.telemetry.dialects import ATTRIBUTES, JSON_TEXT_LIMIT, LONG_TEXT, TEXT_LIMIT, Scalar

_BYTES, _STRING, _MESSAGE, _FIXED64, _INT = 12, 9, 11, 6, 5
_REPEATED = 3

# Message -> field -> (number, type or name of a message, whether it is repeated).
_MESSAGES: dict[str, dict[str, tuple[int, int | str, bool]]] = {
    "Traces": {"resource_spans": (1, "ResourceSpans", True)},
    "ResourceSpans": {"resource": (1, "Resource", False), "scope_spans": (2, "ScopeSpans", True)},
    "ScopeSpans": {"spans": (2, "Span", True)},
    "Span": {
        "trace_id": (1, _BYTES, False),
        "span_id": (2, _BYTES, False),
        "trace_state": (3, _STRING, False),
        "parent_span_id": (4, _BYTES, False),
        "name": (5, _STRING, False),
        "kind": (6, _INT, False),
        "start_time_unix_nano": (7, _FIXED64, False),
        "end_time_unix_nano": (8, _FIXED64, False),
        "attributes": (9, _BYTES, True),
        "events": (11, "Event", True),
        "status": (15, "Status", False),
    },
    "Event": {
        "time_unix_nano": (1, _FIXED64, False),
        "name": (2, _STRING, False),
        "attributes": (3, _BYTES, True),
    },
    "Status": {"code": (3, _INT, False)},
    "Resource": {"attributes": (1, _BYTES, True)},
    "Logs": {"resource_logs": (1, "ResourceLogs", True)},
    "ResourceLogs": {"resource": (1, "Resource", False), "scope_logs": (2, "ScopeLogs", True)},
    "ScopeLogs": {"log_records": (2, "LogRecord", True)},
    "LogRecord": {
        "time_unix_nano": (1, _FIXED64, False),
        "attributes": (6, _BYTES, True),
        "trace_id": (9, _BYTES, False),
        "span_id": (10, _BYTES, False),
        "observed_time_unix_nano": (11, _FIXED64, False),
        "event_name": (12, _STRING, False),
    },
}


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="warroom/otlp.proto", package="warroom", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, repeated) in fields.items():
            made = message.field.add(name=field, number=number, label=_REPEATED if repeated else 1)
            if isinstance(kind, str):
                made.type, made.type_name = _MESSAGE, f".warroom.{kind}"
            else:
                made.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClassesForFiles([file.name], pool)  # type: ignore[no-any-return]


_CLASSES = _classes()
Traces: Any = _CLASSES["warroom.Traces"]
Logs: Any = _CLASSES["warroom.Logs"]

Known = tuple[str, Scalar] | None
"""An attribute that a dialect reads, cut to its limit; None = one that none reads."""
_SHORT = 192
"""Bytes of the longest attribute that is remembered."""
_MOST = 20_000
"""Attributes that are remembered."""
_KEYS = frozenset(key.encode() for key in ATTRIBUTES)
_known: dict[bytes, Known] = {}


def attribute(raw: bytes) -> Known:
    """Return what an encoded attribute says.

    Raises:
        DecodeError: the bytes are no attribute.
    """
    if len(raw) > _SHORT:
        return _decoded(raw)
    try:
        return _known[raw]
    except KeyError:
        pass
    if len(_known) >= _MOST:
        _known.clear()
    found = _known[raw] = _decoded(raw)
    return found


def _decoded(raw: bytes) -> Known:
    # The key comes first, as every encoder writes it; whatever is written otherwise takes the long way.
    if len(raw) > 2 and raw[0] == 0x0A and raw[1] < 0x80:
        end = 2 + raw[1]
        if raw[2:end] not in _KEYS and raw[end : end + 1] == b"\x12":
            return None
    pair = KeyValue.FromString(raw)
    key, value = pair.key, pair.value
    if key not in ATTRIBUTES:
        return None
    which = value.WhichOneof("value")
    if which == "string_value":
        return key, value.string_value[: JSON_TEXT_LIMIT if key in LONG_TEXT else TEXT_LIMIT]
    if which in ("int_value", "double_value", "bool_value"):
        return key, getattr(value, which)
    return None


def event_name(raw: bytes) -> str:
    """Return the value of an encoded attribute that is `event.name`, '' for any other.

    Raises:
        DecodeError: the bytes are no attribute.
    """
    pair = KeyValue.FromString(raw) if b"event.name" in raw[:32] else None
    return pair.value.string_value if pair is not None and pair.key == "event.name" else ""


__all__ = ["DecodeError", "Known", "Logs", "Traces", "attribute", "event_name"]
