import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.canonical import MAX_BYTES, MAX_DEPTH, MAX_INT, NotCanonical, check_all, decode, encode
from data.envelope import Header, Ref, decode_header, encode_header

text = st.text(st.characters(exclude_categories=["Cs"]))
ascii_text = st.text(st.characters(max_codepoint=127))
leaves = st.none() | st.booleans() | st.integers(-MAX_INT, MAX_INT) | text
values = st.recursive(leaves, lambda v: st.lists(v) | st.dictionaries(ascii_text, v), max_leaves=20)


def jcs(value: Any) -> bytes:
    """RFC 8785 written out by hand, for values without floats."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return b"{" + b",".join(jcs(key) + b":" + jcs(value[key]) for key in keys) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(jcs, value)) + b"]"
    return json.dumps(value, ensure_ascii=False).encode()


@given(values)
def test_encoding_is_jcs_and_comes_back(value: Any) -> None:
    raw = encode(value)
    assert raw == jcs(value)
    assert decode(raw) == value


@given(values, st.data())
def test_any_other_spelling_is_refused(value: Any, data: st.DataObject) -> None:
    raw = encode(value)
    spelling = data.draw(
        st.sampled_from(
            [
                json.dumps(value).encode(),
                json.dumps(value, indent=1).encode(),
                raw + b" ",
                b"\n" + raw,
                json.dumps(value, separators=(",", ":")).encode(),
            ]
        )
    )
    if spelling == raw:
        assert decode(spelling) == value
    else:
        with pytest.raises(NotCanonical):
            decode(spelling)


@given(st.binary(max_size=60))
def test_any_bytes_are_decoded_or_refused(raw: bytes) -> None:
    try:
        value = decode(raw)
    except NotCanonical:
        return
    assert encode(value) == raw


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b'{"a": 1}',
        b"1.0",
        b"-0",
        b"1e3",
        b"100.0",
        b"9007199254740992",
        b"-9007199254740992",
        b"NaN",
        b"Infinity",
        b'"\\u0041"',
        b'"\\/"',
        b'"\\ud800"',
        b'"\\uD83D\\uDE00"',
        b'"\xed\xa0\x80"',
        b'"\xff"',
        b'{"\xc3\xa9":1}',
        b"",
        b"nul",
        b"[1,]",
        b"[" * 33 + b"]" * 33,
        b"[" * 100_000,
        b'"' + b"x" * MAX_BYTES + b'"',
    ],
)
def test_the_door_is_shut_to(raw: bytes) -> None:
    with pytest.raises(NotCanonical):
        decode(raw)


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        float("nan"),
        {"cost": [1, 2.0]},
        2**53,
        {"é": 1},
        {1: 1},
        "\ud800",
        {"\ud800": 1},
        b"bytes",
        object(),
        {1, 2},
        "x" * MAX_BYTES,
    ],
)
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(NotCanonical):
        encode(value)


def test_depth_is_bounded_on_both_sides() -> None:
    value: Any = 1
    for _ in range(MAX_DEPTH):
        value = [value]
    assert decode(encode(value)) == value
    with pytest.raises(NotCanonical, match="levels"):
        encode([value])
    with pytest.raises(NotCanonical, match="levels"):
        decode(b"[" + encode(value) + b"]")


def test_a_refusal_names_the_place() -> None:
    with pytest.raises(NotCanonical, match=r"\.alerts\[1\]\.cost"):
        encode({"alerts": [{}, {"cost": 0.1}]})


refs = st.lists(st.builds(Ref, media=text, sha256=text, size=st.integers(0, 9))).map(tuple)
headers = st.builds(
    Header,
    **dict.fromkeys(["actor", "at", "body_h", "clk", "hlc", "kind", "rep", "role", "wall"], text),
    **dict.fromkeys(["body_len", "inc", "seq", "v"], st.integers(0, MAX_INT)),
    **dict.fromkeys(["case", "prev"], st.none() | text),
    refs=refs,
)


@given(headers)
def test_headers_are_encoded_canonically(header: Header) -> None:
    raw = encode_header(header)
    assert raw == encode(decode(raw))
    assert decode_header(raw) == header


DEEP = b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)


@pytest.mark.parametrize("others", [b"1", b"[]", b'{"a":[]}', '"ä"'.encode()])
@pytest.mark.parametrize(
    "bad", [DEEP, b'{"a": 1}', b"1.0", '{"ä":1}'.encode(), b"", b"1,2", b'"' + b"a" * MAX_BYTES + b'"']
)
def test_one_that_is_not_canonical_is_found_among_others(bad: bytes, others: bytes) -> None:
    around = [others] * 50
    check_all([*around, DEEP[1:-1], *around])
    with pytest.raises(NotCanonical):
        check_all([*around, bad, *around])
