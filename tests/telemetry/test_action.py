"""The action and its document."""

import re
from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from console.telemetry.action import CALLS, Action, Kind
from console.telemetry.jsonl import read

DOCUMENT = Path(__file__).parents[2] / "docs" / "telemetry-jsonl.md"
AT = 1_764_000_000_000_000_000


def test_the_document_lists_every_field_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", DOCUMENT.read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(Action.__struct_fields__)


def test_the_examples_of_the_document_are_actions() -> None:
    (examples,) = re.findall(r"```json\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    actions = [msgspec.json.decode(line, type=Action) for line in examples.splitlines()]
    assert {a.kind for a in actions} == {"model", "tool", "artifact", "review"}


def test_only_time_and_agent_are_required() -> None:
    action = Action(at=AT, agent="a")
    assert msgspec.json.decode(msgspec.json.encode(action), type=Action) == action
    assert msgspec.json.encode(action) == b'{"at":1764000000000000000,"agent":"a"}'
    assert (action.tenant, action.cost, action.kind in CALLS) == ("default", None, True)


def test_calls_are_kinds() -> None:
    assert set(Kind.__args__) > CALLS  # type: ignore[attr-defined]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(Action.__struct_fields__), JSON), st.booleans())
def test_any_record_is_taken_or_refused_in_words(record: dict[str, object], whole: bool) -> None:
    if whole:
        record = {**record, "at": AT, "agent": "a"}
    line = msgspec.json.encode(record)
    try:
        found: Action | str = msgspec.json.decode(line, type=Action)
    except msgspec.ValidationError as error:
        found = read(line, error)
    if isinstance(found, Action):
        assert all(len(v) <= 512 for v in msgspec.structs.astuple(found) if isinstance(v, str))
        assert msgspec.json.decode(msgspec.json.encode(found), type=Action) == found
    else:
        assert found
        assert "\n" not in found


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_words(line: bytes) -> None:
    found = read(line, ValueError())
    assert isinstance(found, Action) or found
