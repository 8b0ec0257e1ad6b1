"""Checking: what must not go out as it is, and what may not be taken for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.comms.check import Finding, check, standing, vague_words
from console.comms.messenger import templates, vague_phrases
from console.comms.state import Message
from console.events import Audience, Lack
from data.clock import parse_iso

NOW = parse_iso("2026-11-21T14:00:00Z")
HALF = 1800 * 1_000_000_000
SIX = (
    Lack("workflow", "Affected workflow", "Affected workflow"),
    Lack("impact", "Impact", "Known impact on users"),
    Lack("contained", "Contained", "Contained"),
    Lack("investigating", "Investigated", "Still being investigated"),
    Lack("decision_owner", "Owner", "Next decision"),
    Lack("next_update", "Next", "Next update"),
)
GOOD = """Affected workflow: refunds
Known impact on users: 3 % of checkouts are charged twice
Contained: the refund tool is blocked
Still being investigated: why the key is cached
Next decision: ana
Next update: 14:30 UTC"""
PHRASES = vague_phrases()


def message(
    body: str = GOOD,
    *,
    audience: Audience = "internal",
    subject: str = "refunds issued twice",
    needs: tuple[Lack, ...] = SIX,
    promises: int | None = NOW + HALF,
) -> Message:
    return Message(
        "0" * 16,
        "internal-update",
        "Factual update",
        audience,
        "",
        subject,
        body,
        promises,
        needs,
        {},
        "ana",
        NOW,
    )


def codes(made: Message) -> list[str]:
    return [each.code for each in check(made, NOW, PHRASES)]


@pytest.mark.req("S001-CM-0")
def test_a_short_factual_update_passes() -> None:
    assert codes(message()) == []


@pytest.mark.req("S001-CM-0")
@pytest.mark.parametrize("phrase", PHRASES)
def test_each_phrase_that_says_nothing_is_named_with_what_to_say_instead(phrase: str) -> None:
    made = message(GOOD.replace("the refund tool is blocked", f"the agent: {phrase.upper()}, 3 errors"))
    found = check(made, NOW, PHRASES)
    assert f"vague:{phrase}" in {each.code for each in found}
    assert all("observed" in each.fix for each in found if each.code.startswith("vague"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It is acting\n  strangely again", ["acting strangely"]),
        ("sooner or later", []),
        ("soon-to-be closed", []),
        ("back soon.", ["soon"]),
        ("some issues, some issuesque", ["some issues"]),
        ("a glitchy page", []),
        ("SHORTLY", ["shortly"]),
        ("misbehaving", ["misbehaving"]),
        ("", []),
    ],
)
def test_only_whole_words_count(text: str, found: list[str]) -> None:
    assert [phrase for phrase, _ in vague_words(text, PHRASES)] == found


@given(st.text(max_size=200), st.sampled_from(PHRASES), st.text(max_size=200))
def test_a_phrase_between_blanks_is_found_wherever_it_stands(before: str, phrase: str, after: str) -> None:
    text = f"{before}. {phrase} .{after}"
    spans = [(at, at + len(each)) for each, at in vague_words(text, PHRASES)]
    at = len(before) + 2
    # Perhaps within a longer one that begins before it.
    assert any(start <= at < end or start == at for start, end in spans)


@pytest.mark.req("S001-CM-0", "S001-CM-1", "S001-CM-2", "S001-CM-3", "S001-CM-4", "S001-CM-5", "S001-CM-6")
@pytest.mark.parametrize("need", SIX, ids=lambda need: need.name)
def test_each_of_the_six_facts_is_missed_when_its_line_is_gone_empty_or_a_gap(need: Lack) -> None:
    line = next(each for each in GOOD.splitlines() if each.startswith(need.label))
    for instead in ("", f"{need.label}:", f"{need.label}: [missing: {need.name}]"):
        found = check(message(GOOD.replace(line, instead)), NOW, PHRASES)
        missed = [each for each in found if each.code == f"missing:{need.name}"]
        assert len(missed) == 1, instead
        assert "--set" in missed[0].fix


@pytest.mark.req("S001-CM-0")
def test_a_failure_that_anybody_can_observe_is_named() -> None:
    vague = GOOD.replace("3 % of checkouts are charged twice", "users notice it").replace(
        "blocked", "in hand"
    )
    assert codes(message(vague, subject="refunds")) == ["failure"]
    for said in (
        "timeouts",
        "HTTP 503",
        "answers are wrong",
        "double charges",
        "spend over its limit exceeded",
    ):
        assert codes(message(vague.replace("users notice it", said), subject="refunds")) == []
    japanese = "影響: 返金処理が二回行われました。次の更新は 14:30 UTC です。"
    needs = (Lack("impact", "Impact"),)
    assert codes(message(japanese, subject="返金", needs=needs)) == []


@pytest.mark.req("S001-CM-6")
def test_the_promise_of_the_next_update_is_in_the_text_in_utc_and_still_to_come() -> None:
    assert codes(message(promises=NOW - 1)) == ["promise"]
    assert codes(message(promises=NOW + HALF + HALF)) == ["promise"]
    late = GOOD.replace("14:30 UTC", "14:30")
    assert "zone" in codes(message(late))
    assert "missing:next_update" in codes(message(late, needs=(Lack("next_update", "Next"),)))


def test_secrets_never_leave_and_personal_data_only_with_a_reason() -> None:
    key = "sk-ant-api03-abcdefghij0123456789"
    text = f"Checkout fails. Token {key}. Write to help@example.com."
    made = message(text, audience="customers", needs=(), promises=None)
    found = {each.code: each for each in check(made, NOW, PHRASES)}
    assert not found["secret"].waivable
    assert key not in str(found["secret"])
    assert "help@example.com" not in str(found["personal:email"])
    made.waived = {"secret": "please", "personal:email": "readers are to write there"}
    assert [each.code for each in standing(made, found.values())] == ["secret"]
    assert codes(message(text, needs=(), promises=None)) == [], "inside it is masked on its way"


def test_a_waiver_holds_for_its_finding_alone() -> None:
    made = message(GOOD + "\nIt will be fixed soon, or shortly.")
    made.waived = {"vague:soon": "quoted from the customer"}
    left = standing(made, check(made, NOW, PHRASES))
    assert [each.code for each in left] == ["vague:shortly"]


def test_nothing_and_too_much_are_refused() -> None:
    assert codes(message(" ", needs=(), promises=None))[0] == "empty"
    found = check(message("error " * 3000, needs=(), promises=None), NOW, PHRASES)
    assert found[0].code == "long"
    assert not found[0].waivable
    assert "{x}" in str(next(f for f in check(message("error {x}", needs=()), NOW) if f.code == "place"))


@given(st.text(max_size=300), st.sampled_from(["internal", "customers", "status-page"]))
def test_checking_takes_whatever_people_write(text: str, audience: Audience) -> None:
    for each in check(message(text, audience=audience), NOW, PHRASES):
        assert isinstance(each, Finding)
        assert each.what
        assert each.fix


def test_the_shipped_templates_hold_no_vague_word() -> None:
    for each in templates():
        assert vague_words(f"{each.subject} {each.body}", PHRASES) == [], each.id
