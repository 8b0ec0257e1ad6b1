"""Timelines that come in: what they name of the evidence schema, by whatever name, and how much of them is taken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from console.evidence import exchange, schema
from console.evidence.exchange import read_rows
from console.refusal import Refused
from tests.cli.conftest import Warroom

GOOD = {"message": "refund", "datetime": "2026-11-21T14:36:55Z", "timestamp_desc": "Event Time"}
HEADER = b"message,datetime,timestamp_desc\n"


@pytest.mark.parametrize(
    ("data", "bad"),
    [(b"{}\n", b"{no json\n"), (b"{}\n", b"[]\n"), (HEADER, b"one cell\n"), (HEADER, b"refund,never,\n")],
    ids=["no JSON", "no object", "too few fields", "no time"],
)
def test_rows_that_cannot_be_understood_count_as_rows(
    data: bytes, bad: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound is on what is kept in memory, whatever came of it."""
    monkeypatch.setattr(exchange, "MAX_ROWS", 20)
    assert len(read_rows(data + bad * 19).bad) in (19, 20)
    with pytest.raises(Refused, match="more than 20 rows"):
        read_rows(data + bad * 21)


@pytest.mark.req("X-25")
@pytest.mark.parametrize("name", [name for each in schema.fields() for name in (each.name, *each.aliases)])
def test_every_name_that_a_source_uses_is_a_column_that_is_understood(name: str) -> None:
    meant = schema.field(name)
    assert meant is not None
    rows = read_rows(f"message,datetime,timestamp_desc,{name}\nrefund,2026-11-21T14:36:55Z,x,v-1\n".encode())
    assert {key: list(values) for key, values in rows.known.items()} == {meant.name: ["v-1"]}


@pytest.mark.req("X-25")
def test_what_a_timeline_names_closes_the_gap_and_is_shown_under_every_name(
    declared: Warroom, tmp_path: Path
) -> None:
    declared.quick("attach", "-", "--field", "approval policy", stdin="two people\n")
    path = tmp_path / "timeline.jsonl"
    lines = [
        GOOD | {"traceId": "t-1", "colour": "red", "session.id": None, "run": ["a"]},
        GOOD | {"Trace ID": "t-2", "release": "3.1"},
        GOOD | {"trace": "t-1", "release": "\x1b[31m\ud800"},
    ]
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    done = declared.quick("import", str(path))
    assert "it names trace_id, agent_version" in done.out
    exhibit = declared.quick("evidence", "--json").values[0]["exhibits"][-1]
    for name in ("trace_id", "trace", "traceId", "trace ID"):
        assert exhibit["fields"][name] == "t-1, t-2"
    assert exhibit["fields"]["skill_version"].startswith("3.1, ")
    assert "\x1b" not in exhibit["fields"]["skill_version"]
    assert not {"colour", "session_id", "run_id"} & exhibit["fields"].keys()
    (again,) = declared.quick("import", str(path), "--json").values
    assert (again["again"], again["fields"]["traceId"]) == (True, ["t-1", "t-2"])
    assert declared.quick("verify").code == 0
