"""Filling in: hostile values change nothing but the place that they stand in, or are refused."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.incident import fold
from console.runner.document import document, text_of
from console.runner.fill import Filled, Unfilled, check, fill, values
from console.runner.state import Play
from tests.room.strand import T0, strand
from tests.room.test_incident import DECLARED, facts
from tests.runner.conftest import book, command, step

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=60)


def play(*steps: dict[str, Any], values: tuple[dict[str, Any], ...] = ()) -> Play:
    """An opened playbook without an incident."""
    read = document(text_of(book(*steps, values=values)))
    assert read is not None
    from console.runner.state import StepState

    made = Play(read, "", 0, "ana", "")
    made.steps = {each.id: StepState(each, "mitigation") for each in read.mitigation.steps}
    return made


def filled(opened: Play, **known: str) -> Filled:
    (state,) = opened.steps.values()
    made = fill(state.step, opened, known)
    assert made is not None
    return made


X = ({"name": "x", "ask": "What?"},)


@pytest.mark.req("S002-SN-16")
@given(TEXTS)
def test_one_element_stays_one_element_whatever_the_value(text: str) -> None:
    opened = play(command("a", "echo", "--name={x}", "{x}"), values=X)
    try:
        argv = filled(opened, x=text).argv
    except Unfilled:
        assert text.startswith("-")
        return
    assert argv == ("echo", f"--name={text}", text)


@pytest.mark.req("S002-SN-16")
@pytest.mark.parametrize(
    "text", ["a\nb", "a\0b", "a\rb", "\x1b[2J", "a\u2028b", "", "x" * 2001, "-rf", "--all"]
)
def test_what_could_be_taken_for_something_else_is_refused(text: str) -> None:
    opened = play(command("a", "rm", "{x}"), values=X)
    with pytest.raises(Unfilled):
        filled(opened, x=text)


def test_a_value_in_the_middle_of_an_argument_may_begin_with_a_dash() -> None:
    assert filled(play(command("a", "f", "--by={x}"), values=X), x="-1").argv == ("f", "--by=-1")


def test_a_pattern_decides_and_only_one_that_names_the_dash_lets_it_through() -> None:
    loose = ({"name": "x", "ask": "?", "pattern": "(?s).+"},)
    strict = ({"name": "x", "ask": "?", "pattern": "-?[0-9]+"},)
    assert filled(play(command("a", "f", "{x}"), values=loose), x="a\nb").argv == ("f", "a\nb")
    with pytest.raises(Unfilled, match="dash"):
        filled(play(command("a", "f", "{x}"), values=loose), x="-rf")
    assert filled(play(command("a", "f", "{x}"), values=strict), x="-5").argv == ("f", "-5")
    with pytest.raises(Unfilled, match="does not match"):
        filled(play(command("a", "f", "{x}"), values=strict), x="5\n")


def test_a_value_without_a_pattern_does_not_choose_the_program() -> None:
    with pytest.raises(Unfilled, match="chooses the program"):
        filled(play(command("a", "{x}"), values=X), x="rm")


@given(TEXTS)
def test_a_part_of_a_url_stays_that_part(text: str) -> None:
    opened = play(step("a", http={"method": "GET", "url": "https://h.example/a/{x}?q={x}"}), values=X)
    try:
        made = filled(opened, x=text).http
    except Unfilled:
        assert text in (".", "..")
        return
    assert made is not None
    parts = urlsplit(made.url)
    assert parts.netloc == "h.example"
    assert unquote(parts.path) == f"/a/{text}"
    assert parts.path.count("/") == 2
    assert unquote(parts.query) == f"q={text}"
    assert parts.fragment == ""


@pytest.mark.parametrize("text", ["evil.example/x", "a@b", "h:1:2", "h?x", "h#x", "..", "h h"])
def test_a_host_is_only_a_host(text: str) -> None:
    opened = play(step("a", http={"method": "GET", "url": "https://{x}/a"}), values=X)
    with pytest.raises(Unfilled):
        filled(opened, x=text)


@pytest.mark.parametrize(
    "text", ["ftp://h", "file:///etc/passwd", "https://u:p@h", "javascript:x", "https://h/../x"]
)
def test_the_beginning_of_a_url_is_http_and_nothing_hidden(text: str) -> None:
    opened = play(step("a", http={"method": "GET", "url": "{x}/a"}), values=X)
    with pytest.raises(Unfilled):
        filled(opened, x=text)
    made = filled(opened, x="https://h.example:8443/api/").http
    assert made is not None
    assert made.url == "https://h.example:8443/api/a"


@given(TEXTS)
def test_a_text_of_a_json_body_stays_one_text(text: str) -> None:
    body = '{"on": false, "tags": ["{x}", "a\\"{x}"], "{x}": 1}'
    made = filled(
        play(step("a", http={"method": "POST", "url": "https://h/", "body": body}), values=X), x=text
    ).http
    assert made is not None
    assert json.loads(made.body) == {"on": False, "tags": [text, f'a"{text}'], text: 1}


def test_a_bare_place_in_a_json_body_takes_only_a_number_or_a_word_of_json() -> None:
    opened = play(step("a", http={"method": "POST", "url": "https://h/", "body": '{"cap": {x}}'}), values=X)
    made = filled(opened, x="0").http
    assert made is not None
    assert json.loads(made.body) == {"cap": 0}
    for text in ('0, "admin": true', '"a"', "[]", "01", "NaN"):
        with pytest.raises(Unfilled, match="number"):
            filled(opened, x=text)


def test_a_form_body_is_encoded() -> None:
    http = {
        "method": "POST",
        "url": "https://h/",
        "headers": {"Content-Type": "application/x-www-form-urlencoded"},
        "body": "a={x}&b=1",
    }
    made = filled(play(step("a", http=http), values=X), x="1&b=2").http
    assert made is not None
    assert made.body == "a=1%26b%3D2&b=1"


def test_a_value_never_reads_the_environment_and_never_begins_another_header() -> None:
    pattern = ({"name": "x", "ask": "?", "pattern": "(?s).*"},)
    opened = play(
        step("a", http={"method": "GET", "url": "https://h/", "headers": {"X-A": "{x}"}}), values=pattern
    )
    for text in ("env:HOME", "Bearer env:HOME", "a\r\nX-B: 1", "é"):
        with pytest.raises(Unfilled):
            filled(opened, x=text)


def test_the_digest_changes_with_whatever_would_run_differently() -> None:
    opened = play(command("a", "f", "{x}", "b"), values=X)
    digests = {filled(opened, x=text).digest for text in ("1", "2", "1 b")}
    assert len(digests) == 3


def test_what_the_incident_knows_is_filled_in_and_never_guessed() -> None:
    known = ("incident", "title", "severity", "agent", "tenant", "commander", "now")
    asked = tuple({"name": name, "ask": "?", "known": name} for name in known)
    opened = play(step("a"), values=asked)
    from console import events as ev

    one = [DECLARED, ev.RoleAssigned("ic", "ana"), ev.AlertLinked(facts())]
    made = values(opened, fold(strand(*one)), T0)
    assert made == {
        "incident": "INC-7QF2",
        "title": "refund loop",
        "severity": "1",
        "agent": "support-1",
        "tenant": "default",
        "commander": "ana",
        "now": "2026-11-21T14:00:00Z",
    }
    two = fold(strand(*one, ev.AlertLinked(facts(id="b", agent="support-2"))))
    assert "agent" not in values(opened, two, T0), "of two agents the console chooses none"
    opened.values["agent"] = "support-2"
    assert values(opened, two, T0)["agent"] == "support-2"


def test_a_missing_value_says_what_to_fill_in() -> None:
    opened = play(command("a", "f", "{x}"), values=X)
    with pytest.raises(Unfilled) as missing:
        filled(opened)
    (refusal,) = missing.value.refusals
    assert (refusal.code, refusal.about) == ("values", "x")
    assert refusal.what == "x is not filled in."


def test_check_says_the_example() -> None:
    read = document(
        text_of(book(step("a"), values=({"name": "x", "ask": "?", "pattern": "[a-z]+", "example": "abc"},)))
    )
    assert read is not None
    with pytest.raises(Exception, match="As in abc"):
        check(read.values[0], "ABC")


@pytest.mark.req("S002-SN-16")
@pytest.mark.parametrize("text", ["$(touch pwned)", "`id`", "a b", "*", "a'b\"c", "; ls", "é\u202e"])
def test_a_program_gets_exactly_the_value(text: str) -> None:
    """The text for people, copied into a shell, does the same as what runs."""
    opened = play(command("a", sys.executable, "-c", "import sys; print(sys.argv[1:])", "{x}"), values=X)
    made = filled(opened, x=text)
    direct = subprocess.run(made.argv, capture_output=True, text=True, check=True).stdout
    copied = subprocess.run(["/bin/sh", "-c", made.text], capture_output=True, text=True, check=True).stdout
    assert direct == copied == f"{[text]!r}\n"
