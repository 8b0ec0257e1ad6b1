"""`warroom readiness`, and what `doctor` and `verify` say of it."""

import pytest

from tests.cli.conftest import Warroom


@pytest.mark.req("S004-RD-8", "S001-RV-6")
def test_every_no_and_every_unknown_is_listed_by_name_with_its_owner(warroom: Warroom) -> None:
    every = {value["question"]: value for value in warroom.within("readiness", "--json").values}
    done = warroom.within("readiness")
    gaps = [name for name, value in every.items() if value["answer"] != "yes"]
    assert len(gaps) > 20
    assert [name for name in gaps if f" {name}\n" not in done.out] == []
    assert "%" not in done.out
    assert done.out.count("owner: NOBODY") == sum(value["unowned"] for value in every.values())
    for words in ("no wider rollout", "Shrink the pilot", "sharpen the gate", "measure first"):
        assert words in done.out


def test_an_answer_is_taken_by_name_and_stands_there(warroom: Warroom) -> None:
    done = warroom.within(
        "readiness", "answer", "memory-pause", "no", "--owner", "ben", "--note", "Q1", "--as", "ana"
    )
    assert (done.code, done.err) == (0, "")
    assert "owner: ben" in done.out
    (value,) = (
        v for v in warroom.within("readiness", "--json").values if v["question"] == "readiness/memory-pause"
    )
    assert (value["answer"], value["by"], value["note"], value["owner"]) == ("no", "ana", "Q1", "ben")
    alone = warroom.within("readiness", "answer", "memory-pause", "no", "--json")
    assert alone.values[0]["owner"] == "ben"


def test_a_no_without_an_owner_is_taken_and_said_to_be_unowned(warroom: Warroom) -> None:
    done = warroom.within("readiness", "answer", "memory-pause", "no")
    assert done.code == 0
    assert "nobody owns this gap" in done.err
    assert "no wider rollout" in done.err


@pytest.mark.parametrize(
    "words",
    [
        ("answer",),
        ("answer", "memory-pause"),
        ("answer", "set-up/agents", "yes"),
        ("answer", "no-such", "yes"),
        ("answer", "memory-pause", "no", "--owner", "x" * 200),
        ("answer", "memory-pause", "no", "--note", "x" * 20_000),
    ],
)
def test_what_cannot_be_answered_is_refused_in_a_sentence(warroom: Warroom, words: tuple[str, ...]) -> None:
    done = warroom.within("readiness", *words)
    assert (done.code, done.out) == (3, "")
    assert "Traceback" not in done.err
    assert done.err.startswith("warroom: ")


def test_what_people_typed_obeys_the_gate(warroom: Warroom) -> None:
    warroom.within("readiness", "answer", "memory-pause", "no", "--note", "\x1b[2Jgone\x9b")
    done = warroom.within("readiness")
    assert "gone" in done.out
    assert "\x1b" not in done.out
    assert "\x9b" not in done.out


def test_reading_makes_no_home(warroom: Warroom) -> None:
    assert warroom.within("readiness").code == 0
    assert not warroom.home.exists()


@pytest.mark.req("S000-BL-1", "S003-VR-1", "S004-RD-8")
def test_doctor_names_each_gap_its_owner_and_what_is_overdue(warroom: Warroom) -> None:
    warroom.within("readiness", "answer", "memory-pause", "no", "--owner", "ben")
    said = warroom.within("doctor").out
    assert "readiness/memory-pause (owner ben)" in said
    assert "set-up/agents (owner NOBODY)" in said
    unknown = [
        v["question"] for v in warroom.within("readiness", "--json").values if v["answer"] == "unknown"
    ]
    assert unknown
    assert [name for name in unknown if name not in said] == []


def test_verify_reads_the_record_of_the_answers_too(warroom: Warroom) -> None:
    warroom.within("readiness", "answer", "memory-pause", "yes")
    assert "readiness: sound, 2 events" in warroom.within("verify", "--all").out


def test_answers_are_no_incident_and_go_to_no_remote(warroom: Warroom) -> None:
    warroom.within("readiness", "answer", "memory-pause", "yes")
    assert "readiness" not in warroom.within("incidents").out
    assert not (warroom.home / "cases").exists()


@pytest.mark.req("S002-FI-1", "S002-FI-2", "S002-FI-5", "S002-FI-6")
def test_what_was_filled_in_is_found_at_night(warroom: Warroom) -> None:
    assert "`warroom init` asks for it" in warroom.within("contacts").out
    lines = "https://rota\nhttps://status\nl@x\nhttps://g; https://h\n"
    warroom.within("init", "on-call", "status-page", "legal-contacts", "dashboards", stdin=lines)
    shown = {value["name"]: value["value"] for value in warroom.within("contacts", "--json").values}
    assert shown == {
        "On-call engineer": "https://rota",
        "Legal and privacy": "l@x",
        "status-page": "https://status",
        "dashboards": "https://g, https://h",
    }
    warroom.within("declare", "refunds in a loop", "--severity", "1")
    assert "https://rota" in warroom.within("escalate").out, "beside whom must be told"
