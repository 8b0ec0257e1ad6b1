"""OTLP bodies become records; whatever is wrong in them is reported, and costs nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from console.telemetry import otlp_record
from console.telemetry.otlp import Content, data_points, decode
from console.telemetry.otlp_record import Undecodable
from console.telemetry.otlp_wire import attribute
from tests.telemetry.otlp_bodies import SECOND, T0, TRACE, as_json, as_protobuf, request, span

SPANS: list[dict[str, Any]] = [
    span(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.usage.input_tokens": 120,
            "operation.cost": 0.0042,
            "warroom.artifact.customer_visible": True,
            "gen_ai.input.messages": "[{'role': 'user', 'content': 'secret'}]",
            "gen_ai.response.finish_reasons": ["stop"],
        },
        name="chat m",
        span_id="00000000000000aa",
        parent="00000000000000ab",
        status={"code": 2},
    ),
    span({"gen_ai.tool.name": "refund"}, name="execute_tool refund", kind=1, end=T0 + SECOND),
]


def test_protobuf_and_json_say_the_same() -> None:
    json_spans = decode(as_json(SPANS, service_name="support"), "traces", "json")
    protobuf_spans = decode(as_protobuf(SPANS, service_name="support"), "traces", "protobuf")
    assert json_spans == protobuf_spans
    first = json_spans.spans[0]
    assert (first.trace, first.span, first.parent) == (TRACE, "00000000000000aa", "00000000000000ab")
    assert (first.start, first.end, first.error, first.kind) == (T0 - SECOND, T0, True, 3)
    assert first.resource == {"service": "support"}


def test_message_content_is_never_decoded() -> None:
    for body, content in ((as_json(SPANS), "json"), (as_protobuf(SPANS), "protobuf")):
        spans = decode(body, "traces", content).spans  # type: ignore[arg-type]
        assert "secret" not in repr(spans)
        assert spans[0].attributes["gen_ai.usage.input_tokens"] == 120


def test_json_ids_are_hex_of_either_case_and_numbers_may_be_text() -> None:
    one = span({"gen_ai.usage.input_tokens": 7}, trace=TRACE.upper(), span_id="00000000000000AA")
    other = json.loads(json.dumps(one).replace('"intValue": "7"', '"intValue": 7'))
    other["endTimeUnixNano"] = T0
    other["someday"] = {"a": [1, 2]}
    assert decode(as_json([one]), "traces", "json") == decode(as_json([other]), "traces", "json")
    assert decode(as_json([one]), "traces", "json").spans[0].trace == TRACE


def test_of_a_key_that_occurs_twice_the_last_counts() -> None:
    twice = span({"gen_ai.tool.name": "first"})
    twice["attributes"] += span({"gen_ai.tool.name": "last"})["attributes"]
    for body, content in ((as_json([twice]), "json"), (as_protobuf([twice]), "protobuf")):
        (only,) = decode(body, "traces", content).spans  # type: ignore[arg-type]
        assert only.attributes == {"gen_ai.tool.name": "last"}
    body = as_json([span(name="first")]).replace(b'"name": "first"', b'"name": "first", "name": "last"')
    assert [each.name for each in decode(body, "traces", "json").spans] == ["last"]


@pytest.mark.parametrize(
    ("flaw", "reason"),
    [
        ({"traceId": ""}, "trace id is not 16 bytes"),
        ({"traceId": "0" * 32}, "all zeros"),
        ({"traceId": "xyz"}, "not hexadecimal"),
        ({"spanId": "00" * 8}, "span id"),
        ({"spanId": "aa" * 9}, "span id"),
        ({"endTimeUnixNano": "0"}, "no end time"),
        ({"endTimeUnixNano": "1795000000"}, "not in nanoseconds"),
        ({"endTimeUnixNano": "-5"}, "not in nanoseconds"),
        ({"endTimeUnixNano": "1e18"}, "no integer"),
        ({"endTimeUnixNano": 1.5}, "endTimeUnixNano"),
        ({"attributes": "many"}, "attributes"),
        ({"attributes": [{"key": 5}]}, "key"),
        ({"name": 5}, "name"),
        ({"kind": "SPAN_KIND_CLIENT"}, "kind"),
        (
            {"events": [{"name": "warroom.artifact", "timeUnixNano": "7", "attributes": []}]},
            "span event was left out",
        ),
    ],
)
def test_a_flawed_span_is_rejected_with_its_reason_and_spares_the_others(
    flaw: dict[str, Any], reason: str
) -> None:
    bad = span() | flaw
    decoded = decode(as_json([span(), bad, span()]), "traces", "json")
    assert len(decoded.spans) in (2, 3)
    assert [reason in each.reason for each in decoded.rejected] == [True], decoded.rejected
    assert decoded.rejected[0].raw.startswith(b"{")


def test_invalid_text_costs_its_span_only() -> None:
    body = as_json([span(name="good"), span(name="odd")]).replace(b'"odd"', b'"\xff\xed\xa0\x80"')
    decoded = decode(body, "traces", "json")
    assert [each.name for each in decoded.spans] == ["good"]
    assert len(decoded.rejected) == 1


def test_a_flawed_protobuf_span_is_rejected_alone() -> None:
    bad = span() | {"endTimeUnixNano": "0"}
    short = span() | {"traceId": "aabb"}
    decoded = decode(as_protobuf([span(), bad, short]), "traces", "protobuf")
    assert len(decoded.spans) == 1
    assert ["no end time" in decoded.rejected[0].reason, "16 bytes" in decoded.rejected[1].reason] == [
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("body", "content"),
    [
        (b"\x0a\xff\xff", "protobuf"),
        (as_protobuf(SPANS)[:-7], "protobuf"),
        (b"\xff" * 100, "protobuf"),
        (b"{", "json"),
        (b"[]", "json"),
        (b'{"resourceSpans": {}}', "json"),
        (b'{"resourceSpans": [{"scopeSpans": "x"}]}', "json"),
        (as_json(SPANS)[:-9], "json"),
        (b'{"a":' + b"[" * 500_000 + b"]" * 500_000 + b"}", "json"),
    ],
)
def test_what_is_no_request_is_undecodable(body: bytes, content: Content) -> None:
    with pytest.raises(Undecodable) as caught:
        decode(body, "traces", content)
    assert "the body" in str(caught.value)


def test_deep_nesting_below_an_attribute_that_nobody_reads_is_not_looked_at() -> None:
    def field(number: int, inner: bytes) -> bytes:
        size, length = len(inner), b""
        while size > 127:
            length += bytes((size & 127 | 128,))
            size >>= 7
        return bytes((number << 3 | 2,)) + length + bytes((size,)) + inner

    nested = field(1, b"x")
    for _ in range(2_000):
        nested = field(5, field(1, nested))  # AnyValue { array_value { values { ... } } }
    pair = field(1, b"x") + field(2, nested)
    deep = field(1, field(2, field(2, field(6, pair))))
    assert decode(deep, "logs", "protobuf") == ([], [])
    with pytest.raises(DecodeError):  # which is what looking into it would give
        ExportLogsServiceRequest.FromString(deep)


def test_an_attribute_that_cannot_be_read_costs_its_span_only() -> None:
    body = as_protobuf([span(name="good"), span({"gen_ai.tool.name": "refund"})])
    decoded = decode(body.replace(b"refund", b"ref\xff\xfed"), "traces", "protobuf")
    assert [each.name for each in decoded.spans] == ["good"]
    assert [each.reason.startswith("a span was left out: ") for each in decoded.rejected] == [True]


@pytest.mark.parametrize("key", [b"gen_ai.tool.name", b"x.unread"])
def test_an_attribute_written_in_another_order_means_the_same(key: bytes) -> None:
    """Encoders write the key first; a body that does not, or repeats itself, is read the long way."""
    name = b"\x0a" + bytes((len(key),)) + key
    value = b"\x12\x03\x0a\x01a"
    expected = {"gen_ai.tool.name": "a"} if key.startswith(b"gen") else {}
    for raw in (name + value, value + name, b"\x0a\x01x" + name + value):
        assert attribute(raw) == (next(iter(expected.items())) if expected else None)
        assert KeyValue.FromString(raw).key.encode() == key


@pytest.mark.parametrize("key", ["resourceSpans", "scopeSpans", "spans"])
def test_a_repeated_key_that_holds_spans_is_refused_and_never_drops_the_first(key: str) -> None:
    body = as_json([span({"gen_ai.input.messages": f'say "{key}": twice'})])
    assert len(decode(body, "traces", "json").spans) == 1
    body = body.replace(f'"{key}": ['.encode(), f'"{key}": [], "{key}" : ['.encode(), 1)
    with pytest.raises(Undecodable, match=f"`{key}` twice"):
        decode(body, "traces", "json")


def test_a_key_like_one_that_holds_spans_elsewhere_is_no_repeat() -> None:
    elsewhere = b'{"unknown": {"spans": 1, "more": {"spans": [2]}}, "resourceSpans"'
    body = as_json([span()]).replace(b'{"resourceSpans"', elsewhere)
    assert len(decode(body, "traces", "json").spans) == 1


def test_empty_requests_are_fine() -> None:
    assert decode(b"", "traces", "protobuf") == ([], [])
    assert decode(b"{}", "traces", "json") == ([], [])
    assert decode(b"{}", "logs", "json") == ([], [])


def test_attributes_and_records_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    long = span({f"x{n}": 1 for n in range(otlp_record.ATTRIBUTE_LIMIT)} | {"gen_ai.tool.name": "late"})
    long["attributes"][0] = {"key": "gen_ai.agent.name", "value": {"stringValue": "a" * 100_000}}
    for body, content in ((as_json([long]), "json"), (as_protobuf([long]), "protobuf")):
        (only,) = decode(body, "traces", content).spans  # type: ignore[arg-type]
        assert only.attributes == {"gen_ai.agent.name": "a" * 512}
    for module in ("console.telemetry.otlp", "console.telemetry.otlp_json"):
        monkeypatch.setattr(f"{module}.RECORD_LIMIT", 3)
    for body, content in ((as_json([span()] * 5), "json"), (as_protobuf([span()] * 5), "protobuf")):
        decoded = decode(body, "traces", content)  # type: ignore[arg-type]
        assert len(decoded.spans) == 3
        assert len(decoded.rejected) == 2


def test_logs_carry_our_own_events_only() -> None:
    def log(**fields: Any) -> dict[str, Any]:
        return {"timeUnixNano": str(T0), "attributes": [], "body": {"stringValue": "text"}} | fields

    body = {
        "resourceLogs": [
            {
                "scopeLogs": [
                    {
                        "logRecords": [
                            log(eventName="warroom.review", traceId=TRACE, spanId="00000000000000aa"),
                            log(
                                attributes=[
                                    {"key": "event.name", "value": {"stringValue": "warroom.artifact"}}
                                ]
                            ),
                            log(eventName="gen_ai.evaluation.result"),
                            log(),
                            log(eventName="warroom.review", timeUnixNano="12"),
                        ]
                    }
                ]
            }
        ]
    }
    raw = json.dumps(body).encode()
    decoded = decode(raw, "logs", "json")
    assert [each.attributes["warroom.kind"] for each in decoded.spans] == ["review", "artifact"]
    assert decoded.spans[0].trace == TRACE
    assert decoded.spans[0].parent == "00000000000000aa"
    assert ["nanoseconds" in each.reason for each in decoded.rejected] == [True]

    proto = ExportLogsServiceRequest()
    record = proto.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=T0)
    record.event_name = "warroom.artifact"
    record.attributes.append(KeyValue(key="warroom.artifact.id", value=AnyValue(string_value="mail-1")))
    (only,) = decode(proto.SerializeToString(), "logs", "protobuf").spans
    assert only.attributes == {"warroom.kind": "artifact", "warroom.artifact.id": "mail-1"}


def test_span_events_of_our_own_stand_beside_their_span() -> None:
    event = {"name": "warroom.artifact", "timeUnixNano": str(T0 + 5), "attributes": []}
    other = {"name": "exception", "timeUnixNano": str(T0), "attributes": []}
    one = span(span_id="00000000000000aa", events=[other, event])
    for body, content in ((as_json([one]), "json"), (as_protobuf([one]), "protobuf")):
        carrier, record = decode(body, "traces", content).spans  # type: ignore[arg-type]
        assert (record.end, record.parent, record.span) == (T0 + 5, carrier.span, "")
        assert record.attributes == {"warroom.kind": "artifact", "warroom.id": f"{TRACE}-00000000000000aa-1"}


@pytest.mark.parametrize(
    ("state", "sampled"),
    [("", False), ("ot=th:0", False), ("ot=th:c", True), ("ot=th:8;rv:123,x=y", True), ("x=y", False)],
)
def test_sampling_is_noticed(state: str, sampled: bool) -> None:
    (only,) = decode(as_json([span(traceState=state)]), "traces", "json").spans
    assert only.sampled is sampled


def test_data_points_are_counted() -> None:
    proto = ExportMetricsServiceRequest()
    metric = proto.resource_metrics.add().scope_metrics.add().metrics.add()
    metric.sum.data_points.add()
    metric.sum.data_points.add()
    assert data_points(proto.SerializeToString(), "protobuf") == 2
    body = b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"histogram":{"dataPoints":[{},{},{}]}}]}]}]}'
    assert data_points(body, "json") == 3
    with pytest.raises(Undecodable):
        data_points(b"nonsense", "json")


@given(st.binary(max_size=300))
def test_no_bytes_get_further_than_undecodable(body: bytes) -> None:
    for signal in ("traces", "logs"):
        for content in ("protobuf", "json"):
            try:
                decode(body, signal, content)
            except Undecodable:
                pass


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@given(field=st.sampled_from([*span(), "events", "status", "traceState"]), wrong=JSON)
def test_any_json_in_any_field_costs_that_span_at_most(field: str, wrong: Any) -> None:
    good = span()
    decoded = decode(json.dumps(request([good, span() | {field: wrong}])).encode(), "traces", "json")
    assert decoded.spans[0].span == good["spanId"]
    assert len(decoded.spans) + len(decoded.rejected) == 2
