"""Where readiness stands: people's answers, their owners, and how long they hold."""

import asyncio
from pathlib import Path

import pytest

from console.config import Config, Remote
from console.events import Declared, ReadinessAnswered, RemoteProbed, entry
from console.readiness import answers
from console.readiness.answers import give
from console.readiness.standing import GAPS_OWNED, answer, find, standing
from console.refusal import Refused
from console.timeline import project
from data.case import found
from data.clock import ManualClock, parse_iso
from data.home import Home
from playbooks import load
from playbooks.guidance import Review
from tests.readiness.conftest import DAY, NOON, rows_of

CYCLE = 60 * DAY
NONE = Config()


async def say(home: Home, question: str, word: str, **more: str) -> None:
    row = find(await standing(NONE, home, home.clock.now()), question)
    await answer(home, row, word, actor="ana", **more)


@pytest.mark.req("S004-RD-8")
async def test_every_question_of_every_review_stands_there_by_name_and_none_is_yes_by_default(
    home: Home,
) -> None:
    found = await rows_of(NONE, home)
    asked = {f"{review.id}/{ask.id}" for review in load.documents(Review) for ask in review.questions}
    assert set(found) == asked
    nobody = [row for row in found.values() if row.checked is None]
    assert len(nobody) > 20
    assert {row.answer for row in nobody} == {"unknown"}
    assert found["health/options"].because == "nobody has answered it"
    assert found["health/options"].remedy


async def test_an_answer_says_who_gave_it_when_and_what_it_rests_on(home: Home) -> None:
    await say(home, "health/options", "yes", note="wiki/rollback, tried in March")
    row = (await rows_of(NONE, home))["health/options"]
    assert (row.answer, row.gap) == ("yes", False)
    assert row.because == "ana says yes, 2026-11-21: wiki/rollback, tried in March"


@pytest.mark.req("S001-RV-6", "S004-RD-8")
async def test_a_no_is_a_gap_of_its_owner_and_without_one_it_is_shown_as_unowned(home: Home) -> None:
    await say(home, "health/options", "no")
    found = await rows_of(NONE, home)
    assert found["health/options"].unowned
    assert "health/options" in found[GAPS_OWNED].because
    await say(home, "health/options", "no", owner="ben")
    found = await rows_of(NONE, home)
    assert (found["health/options"].owner, found["health/options"].unowned) == ("ben", False)
    assert "health/options" not in found[GAPS_OWNED].because


async def test_who_owns_a_gap_owns_it_until_it_is_closed(home: Home) -> None:
    await say(home, "health/options", "no", owner="ben")
    await say(home, "health/options", "unknown", note="ben is on leave")
    assert (await rows_of(NONE, home))["health/options"].owner == "ben"
    await say(home, "health/options", "yes")
    assert (await rows_of(NONE, home))["health/options"].owner == ""
    await say(home, "health/options", "no")
    assert (await rows_of(NONE, home))["health/options"].owner == "", "a new gap"


@pytest.mark.req("S003-VR-1")
async def test_a_yes_is_unknown_again_after_the_cycle_of_its_document_and_a_no_stays(
    home: Home, clock: ManualClock
) -> None:
    await say(home, "health/options", "yes")
    await say(home, "health/failure-classes", "no", owner="ben")
    clock.advance(CYCLE)
    found = await rows_of(NONE, home, clock.now())
    assert (found["health/options"].answer, found["health/options"].stale) == ("yes", "")
    clock.advance(1)
    found = await rows_of(NONE, home, clock.now())
    assert found["health/options"].answer == "unknown"
    assert "ana said yes on 2026-11-21; due again since 2027-01-20" in found["health/options"].because
    assert (found["health/failure-classes"].answer, found["health/failure-classes"].owner) == ("no", "ben")
    assert found["health/failure-classes"].stale
    await say(home, "health/options", "yes")
    assert (await rows_of(NONE, home, clock.now()))["health/options"].answer == "yes"


@pytest.mark.req("X-16")
async def test_each_answer_holds_as_long_as_its_question_or_its_document_says(
    home: Home, clock: ManualClock
) -> None:
    """60 days for the runbook, 91 for the drill; external baselines have a day of their own."""
    await say(home, "runbook-review/drill", "yes", note="refund loop, in March")
    await say(home, "runbook-review/classes", "yes")
    start = clock.now()
    for days, drill, classes in (
        (60, "yes", "yes"),
        (61, "yes", "unknown"),
        (91, "yes", "unknown"),
        (92, "unknown", "unknown"),
    ):
        found = await rows_of(NONE, home, start + days * DAY)
        assert (found["runbook-review/drill"].answer, found["runbook-review/classes"].answer) == (
            drill,
            classes,
        )


async def test_an_answer_to_another_wording_of_the_question_holds_no_more(home: Home) -> None:
    body = ReadinessAnswered("health/options", "Is something else written down?", "yes")
    await give(home, body, "ana")
    row = (await rows_of(NONE, home))["health/options"]
    assert (row.answer, row.stale) == ("unknown", "the question is another one by now")


async def test_nobody_says_yes_where_a_check_says_no_but_can_own_it(home: Home) -> None:
    with pytest.raises(Refused, match=r"is checked, and the answer is no: no \[\[agent\]\]"):
        await say(home, "set-up/agents", "yes")
    assert not answers.directory(home).exists(), "nothing was written"
    await say(home, "set-up/agents", "no", owner="ben")
    row = (await rows_of(NONE, home))["set-up/agents"]
    assert (row.answer, row.owner) == ("no", "ben")


async def test_who_is_there_knows_better_than_a_check_that_says_yes(home: Home) -> None:
    before = (await rows_of(NONE, home))["runbook-review/front-matter"]
    assert before.answer == "yes"
    await say(home, "runbook-review/front-matter", "no", note="our own pages have none", owner="ben")
    row = (await rows_of(NONE, home))["runbook-review/front-matter"]
    assert row.answer == "no"
    assert "our own pages have none" in row.because


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("feedback", "Several questions are called feedback.*health/feedback, readiness/feedback"),
        ("health/autority", "Did you mean health/authority"),
        ("zzz", "readiness --list"),
    ],
)
async def test_a_name_that_means_none_or_several_is_refused(home: Home, name: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        find(await standing(NONE, home, NOON), name)


async def test_the_end_of_a_name_is_enough_where_only_one_ends_so(home: Home) -> None:
    assert find(await standing(NONE, home, NOON), "memory-pause").id == "readiness/memory-pause"


async def test_a_drill_has_no_readiness_of_its_own(tmp_path: Path) -> None:
    drill = Home.open(tmp_path / "drill", "drill")
    with pytest.raises(Refused, match="for drills"):
        await say(drill, "health/options", "yes")


async def test_reading_makes_no_record(home: Home) -> None:
    before = sorted(home.path.rglob("*"))
    await rows_of(NONE, home)
    assert sorted(home.path.rglob("*")) == before


async def test_two_who_answer_at_once_are_both_on_the_record(home: Home) -> None:
    names = ["health/options", "health/failure-classes", "readiness/feedback", "review-inputs/logs"]
    for name in names[:1]:
        await say(home, name, "yes")
    await asyncio.gather(*(say(home, name, "yes") for name in names[1:]))
    found = await rows_of(NONE, home)
    assert [found[name].answer for name in names] == ["yes"] * 4


# -- a remote that showed what it can --------------------------------------------------------------------------


def probed(home: Home, url: str, works: bool) -> None:
    case = found(home, entry(Declared("refunds in a loop", 2, "SEV-2"), "ana"), project)
    body = RemoteProbed("team", url, "atomic", works, works)
    try:
        case.append(entry(body, "warroom")).result()
    finally:
        case.close()


REMOTE = Config(remote=(Remote("team", "dir:/mnt/team"),))


@pytest.mark.parametrize(
    ("url", "works", "expected"),
    [
        ("dir:/mnt/team", True, "yes"),
        ("dir:/mnt/team", False, "no"),
        ("dir:/mnt/other", True, "unknown"),
    ],
)
async def test_a_remote_counts_when_it_gave_back_what_was_written_there(
    home: Home, url: str, works: bool, expected: str
) -> None:
    probed(home, url, works)
    assert (await rows_of(REMOTE, home))["set-up/remote"].answer == expected


async def test_a_probe_of_last_season_says_nothing(home: Home) -> None:
    probed(home, "dir:/mnt/team", True)
    assert (await rows_of(REMOTE, home, NOON + 31 * DAY))["set-up/remote"].answer == "unknown"


async def test_no_remote_is_a_no(home: Home) -> None:
    assert (await rows_of(NONE, home))["set-up/remote"].answer == "no"


def test_noon_is_the_day_of_the_reviews() -> None:
    assert parse_iso("2026-11-21T12:00:00Z") == NOON
