"""Questions of readiness, external baselines, what an organisation fills in, and legal clocks."""

import datetime as dt
import re
from pathlib import Path

import pytest

from console.config import Config
from console.readiness.standing import GAPS_OWNED, answer, find, standing
from console.refusal import Refused
from data.clock import ManualClock
from data.home import Home
from playbooks import load
from playbooks.guidance import Baselines, Organisation, Regulation, RegulatoryClock, Review

REVIEWS = {
    document.id: document
    for document in (
        load.document(path, Review) for path in sorted((load.LIBRARY / "reviews").glob("*.yaml"))
    )
}
ASKS = [ask for review in REVIEWS.values() for ask in review.questions]

ASKED = {
    "S001-HC-1": ("health", ("before an incident", "who may contain")),
    "S001-HC-2": ("health", ("roll back", "restrict", "written down")),
    "S001-HC-3": ("health", ("evidence of a run", "by its id")),
    "S001-HC-4": ("health", ("failed approval", "urgent")),
    "S001-HC-5": ("health", ("updates name a failure", "observe")),
    "S001-HC-6": ("health", ("evals", "alerts", "release gates")),
    "S001-RV-2": ("control-review", ("risk", "dashboard")),
    "S001-RV-3": ("control-review", ("impact on users", "safety", "cost", "risk of a release")),
    "S001-RV-4": ("control-review", ("know what to do when it fires",)),
    "S001-RV-5": ("control-review", ("tune", "retire", "escalate", "noisy")),
    "S001-RV-6": ("control-review", ("gap", "owner")),
    "S001-RV-7": ("control-review", ("approve", "measure", "route", "buy", "log", "refuse to automate")),
    "S004-RD-1": ("readiness", ("one capability", "quickly")),
    "S004-RD-2": ("readiness", ("trace", "session", "bundle", "wave")),
    "S004-RD-3": ("readiness", ("principal executed",)),
    "S004-RD-4": ("readiness", ("path of an approval", "decision")),
    "S004-RD-5": ("readiness", ("pause writes to memory",)),
    "S004-RD-6": ("readiness", ("containment action", "owns")),
    "S004-RD-7": ("readiness", ("evals and gates",)),
    "S003-VR-1": ("runbook-review", ("reviewed within its cycle",)),
    "S003-VR-2": ("runbook-review", ("version", "last review", "for whom", "corrections")),
    "S000-BL-1": ("runbook-review", ("external baseline", "by its day")),
    "S003-KS-3": (
        "containment-prepared",
        ("three roles", "on-call engineer", "security on-call", "business owner"),
    ),
}


@pytest.mark.parametrize(
    ("requirement", "review", "words"),
    [pytest.param(key, *value, id=key, marks=pytest.mark.req(key)) for key, value in ASKED.items()],
)
def test_a_question_of_the_source_is_asked_with_a_way_out(
    requirement: str, review: str, words: tuple[str, ...]
) -> None:
    texts = [ask for ask in REVIEWS[review].questions if requirement in ask.sources]
    assert any(all(word in ask.text.lower() for word in words) for ask in texts)
    assert all(ask.remedy for ask in texts)


ANSWERED = {
    **{key: (f"{review}/", 1) for key, (review, _) in ASKED.items()},
    "S001-RV-1": ("review-inputs/", 7),
    "S001-CO-0": ("containment-prepared/", 7),
    "S003-FR-1": ("containment-prepared/", 4),
}
"""Requirement to the review that asks for it, and by how many questions at least."""


@pytest.mark.parametrize(
    ("requirement", "review", "least"),
    [pytest.param(key, *value, id=key, marks=pytest.mark.req(key)) for key, value in ANSWERED.items()],
)
async def test_a_question_of_the_source_is_answered_and_a_no_is_listed_with_its_owner(
    tmp_path: Path, requirement: str, review: str, least: int
) -> None:
    """On an empty machine, where no question is a yes because nobody looked."""
    home = Home.open(tmp_path / "home", clock=ManualClock(1_795_262_400_000_000_000))
    asked = {f"{r.id}/{ask.id}": ask for r in REVIEWS.values() for ask in r.questions}
    names = [name for name, ask in asked.items() if name.startswith(review) and requirement in ask.sources]
    assert len(names) >= least
    for name in names:
        before = find(await standing(Config(), home, home.clock.now()), name)
        assert (before.text, before.remedy) == (asked[name].text, asked[name].remedy)
        assert before.answer == (before.checked.answer if before.checked else "unknown")
        await answer(home, before, "no", actor="ana")
        rows = {row.id: row for row in await standing(Config(), home, home.clock.now())}
        assert rows[name].answer == "no"
        if name != GAPS_OWNED:
            assert rows[name].unowned
            assert rows[GAPS_OWNED].answer == "no", "a gap that nobody owns is one itself"
        await answer(home, rows[name], "no", actor="ana", owner="ben", note="in March")
        row = find(await standing(Config(), home, home.clock.now()), name)
        assert (row.answer, row.gap, row.owner, row.unowned) == ("no", True, "ben", False)
        assert "in March" in row.because
        if row.checked is not None and row.checked.answer == "no":
            with pytest.raises(Refused, match="is checked, and the answer is no"):
                await answer(home, row, "yes", actor="ana")
        else:
            await answer(home, row, "yes", actor="ana")
            row = find(await standing(Config(), home, home.clock.now()), name)
            assert (row.answer, row.gap, row.owner) == ("yes", False, "")


@pytest.mark.req("S001-RV-1")
def test_seven_inputs_are_brought_to_a_review() -> None:
    asked = [ask.text for ask in REVIEWS["review-inputs"].questions]
    inputs = ("incidents", "traces", "logs", "alerts", "releases", "ownership", "recovery")
    assert len(asked) == 7
    texts = [text.replace("the record of releases", "releases") for text in asked]
    assert [word for word, text in zip(inputs, texts, strict=True) if word not in text] == []


@pytest.mark.req("S001-RV-6")
def test_a_gap_without_an_owner_never_leads_to_a_wider_rollout() -> None:
    (owner,) = (ask for ask in REVIEWS["control-review"].questions if ask.id == "owner")
    assert all(
        words in owner.remedy
        for words in ("shrink the pilot", "sharpen the gate", "measure first", "no wider rollout")
    )


@pytest.mark.req("S001-CO-0")
def test_each_move_of_containment_is_asked_for_before_launch() -> None:
    questions = REVIEWS["containment-prepared"].questions
    moves = {source for ask in questions if "S001-CO-0" in ask.sources for source in ask.sources}
    assert moves - {"S001-CO-0"} == {f"S001-CO-{n}" for n in range(1, 8)}


@pytest.mark.req("S003-FR-1")
def test_the_process_that_this_adds_to_is_asked_for() -> None:
    asked = [ask.text for ask in REVIEWS["containment-prepared"].questions if "S003-FR-1" in ask.sources]
    for words in ("paging rotation", "incident commander", "status page", "post-mortem"):
        assert any(words in text for text in asked), words


@pytest.mark.req("S004-RD-8")
def test_every_question_can_be_answered_no() -> None:
    """A question that is put as an either-or could not be marked; each one has what to do after a no."""
    assert "Every no is marked" in REVIEWS["readiness"].purpose
    yes_no = re.compile(r"(Is|Are|Can|Do|Does|Did|Was|Were|Have|Has) ")
    either_or = {"consequence"}
    assert [a.id for a in ASKS if not yes_no.match(a.text) and a.id not in either_or] == []
    assert all(ask.text.endswith("?") and ask.remedy.endswith(".") for ask in ASKS)


# ---------------------------------------------------------------- baselines and organisation


@pytest.mark.req("S000-BL-1", "S000-BL-2")
def test_the_external_baselines_with_their_dates_and_sources() -> None:
    rows = load.document(load.LIBRARY / "baselines.yaml", Baselines).baselines
    assert [row.source.split("/")[2] for row in rows] == ["owasp.org", "owasp.org", "www.pagerduty.com"]
    assert {"mcp-top-10" in rows[0].source, "agentic-skills-top-10" in rows[1].source} == {True}
    for row in rows:
        assert row.baseline >= dt.date(2026, 5, 17), "the first one; a later one was looked at again"
        assert row.recheck_by - row.baseline == dt.timedelta(days=30)


FILL_INS = {
    "S002-FI-1": ("on-call rotation", "link"),
    "S002-FI-2": ("status page", "link"),
    "S002-FI-3": ("channel of an incident named", "text"),
    "S002-FI-4": ("writes to customers", "contacts"),
    "S002-FI-5": ("legal and privacy", "contacts"),
    "S002-FI-6": ("dashboards", "list"),
}
ORGANISATION = load.document(load.LIBRARY / "organisation.yaml", Organisation)


@pytest.mark.parametrize(
    ("requirement", "words", "answer"),
    [pytest.param(key, *value, id=key, marks=pytest.mark.req(key)) for key, value in FILL_INS.items()],
)
def test_the_organisation_is_asked(requirement: str, words: str, answer: str) -> None:
    (fill_in,) = (each for each in ORGANISATION.fill_ins if requirement in each.sources)
    assert words in fill_in.ask
    assert fill_in.answer == answer
    assert fill_in.example


@pytest.mark.req("S003-FR-3")
def test_a_first_baseline_fits_into_60_to_90_minutes_inventories_included() -> None:
    minutes = {each.id: each.minutes for each in ORGANISATION.fill_ins}
    assert 60 <= sum(minutes.values()) <= 90
    assert minutes["inventory"] == max(minutes.values()), "the tools of each agent and task take longest"
    assert "agents" in minutes


@pytest.mark.req("X-21")
def test_the_business_calendar_and_the_time_zone_are_asked_for() -> None:
    asked = {each.id: each.ask for each in ORGANISATION.fill_ins if "X-21" in each.sources}
    assert set(asked) == {"time-zone", "business-calendar"}
    assert "holidays" in asked["business-calendar"]


# ---------------------------------------------------------------- legal clocks

LAWS = {
    document.id: document
    for document in (
        load.document(path, Regulation) for path in sorted((load.LIBRARY / "regulation").glob("*.yaml"))
    )
}
REVIEWED = {clock.id: law.last_review for law in LAWS.values() for clock in law.clocks}
CLOCKS: dict[str, RegulatoryClock] = {clock.id: clock for law in LAWS.values() for clock in law.clocks}
HOUR, DAY = 3600, 86_400


@pytest.mark.req("X-20")
def test_no_law_is_switched_on_by_itself() -> None:
    assert set(LAWS) == {"eu-ai-act", "gdpr", "nis2", "dora", "sec"}
    assert not any(law.enabled for law in LAWS.values())


@pytest.mark.req("X-20")
@pytest.mark.parametrize(
    ("clock", "article", "days"),
    [
        ("ai-act-73-2", "Article 73(2)", 15),
        ("ai-act-73-3", "Article 73(3)", 2),
        ("ai-act-73-4", "Article 73(4)", 10),
    ],
)
def test_the_deadlines_of_the_ai_act_are_those_of_article_73(clock: str, article: str, days: int) -> None:
    assert CLOCKS[clock].within == days * DAY
    assert (CLOCKS[clock].article, CLOCKS[clock].read) == (article, "text")
    assert "incomplete" in CLOCKS["ai-act-73-2"].note


@pytest.mark.req("X-20")
def test_article_26_has_the_deployer_tell_the_provider_first_and_has_no_number() -> None:
    clock = CLOCKS["ai-act-26-5"]
    assert (clock.within, clock.business_days) == (None, None)
    assert clock.tell.startswith("the provider first")
    assert clock.read != "text"


@pytest.mark.req("X-20")
@pytest.mark.parametrize(
    ("clock", "within"),
    [
        ("gdpr-33", 72 * HOUR),
        ("nis2-early-warning", 24 * HOUR),
        ("nis2-notification", 72 * HOUR),
        ("dora-initial", 4 * HOUR),
        ("dora-initial-latest", 24 * HOUR),
        ("dora-intermediate", 72 * HOUR),
    ],
)
def test_the_other_limits(clock: str, within: int) -> None:
    assert CLOCKS[clock].within == within
    assert CLOCKS[clock].read != "text", "nobody read it in the Official Journal"


@pytest.mark.req("X-20", "X-21")
def test_four_business_days_are_counted_as_business_days_from_the_determination() -> None:
    clock = CLOCKS["sec-8k-1-05"]
    assert (clock.business_days, clock.within) == (4, None)
    assert "determined" in clock.starts


@pytest.mark.parametrize("clock", CLOCKS.values(), ids=CLOCKS)
@pytest.mark.req("X-20")
def test_a_clock_says_where_it_stands_and_how_well_that_is_known(clock: RegulatoryClock) -> None:
    assert clock.citation
    assert clock.article.split("(")[0] in clock.citation
    assert clock.as_of <= REVIEWED[clock.id]
    assert "month" not in clock.note or clock.within == 28 * DAY, "never later than the shortest month"
