"""Forms with keys, on a real record: answers, the live proposal, the decision, and what of it survives."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest
from textual.events import Paste

from console import forms
from console.incident import Incident
from console.room import Room
from data.drafts import Draft
from screens.dialogs import picker
from screens.dialogs.picker import FormLine, FormLines, Picker
from screens.dialogs.questions import UNKNOWN, Answers, QuestionLines, Questions
from screens.room import RoomScreen
from screens.widgets.sheet import Sheet
from screens.widgets.strips import StripLines
from tests.screens.stage import HOSTILE
from tests.screens.test_evidence import painted
from tests.screens.test_looks import SIZES
from tests.screens.test_room import Opened, Stage, burst


class Asking:
    """The form that is open on a stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    @property
    def screen(self) -> Questions:
        screen = self.stage.console.screen
        assert isinstance(screen, Questions)
        return screen

    @property
    def answers(self) -> dict[str, str]:
        """Question to the answer that stands there."""
        return {row.id or row.kind: row.answer for row in self.screen.query_one(QuestionLines).all_rows}

    @property
    def here(self) -> str:
        row = self.screen.query_one(QuestionLines).selected
        assert row is not None
        return row.id or row.kind

    @property
    def proposal(self) -> str:
        sheet = self.screen.query_one("#proposal", Sheet)
        return " ".join(f"{line.label} {line.text}" for line in sheet.all_rows)

    @property
    def says(self) -> str:
        return self.screen.query_one("#asks-keys", StripLines).words

    async def until(self, condition: object, what: str = "") -> None:
        await self.stage.until(condition, what)

    async def record(self) -> Incident:
        """Put it on the record by its last row."""
        await self.stage.press("end", "enter")
        await self.stage.until(lambda: isinstance(self.stage.console.screen, RoomScreen), "it is recorded")
        return self.stage.room.incident


async def opened(stage: Stage, digit: str) -> Asking:
    """Open a form by its digit, typed ahead."""
    await stage.press("I", digit)
    await stage.until(lambda: isinstance(stage.console.screen, Questions), "the questions")
    asking = Asking(stage)
    await stage.until(lambda: bool(asking.answers))
    return asking


@pytest.mark.req("S002-SEV-7")
async def test_a_severity_is_proposed_while_one_key_answers_each_question(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        asking = await opened(stage, "1")
        assert "2 SEV-2" in asking.proposal
        assert "unsure-data-security" in asking.proposal
        await stage.press("n", "n", "1", "2", "3", "4", "n")
        assert asking.answers["data-security"] == "no"
        assert asking.answers["type"] == "cost-spike"
        assert asking.answers["slo"] == "no"
        assert asking.here == "decision"
        assert "rule cost" in asking.proposal
        assert stage.room.incident.triage.forms == {}, "nothing is on the record before somebody says so"
        await stage.press("3")
        assert asking.here == "reason", "another decision than proposed is asked why"
        await stage.press("end", "enter")
        await asking.until(lambda: "Say why in one line" in asking.says, "a reason is needed")
        assert stage.room.incident.triage.forms == {}
        await stage.press("up")
        await stage.type("just our own tenant")
        await stage.press("enter")
        state = await asking.record()
        assert (state.severity, state.label) == (3, "SEV-3")
        known = state.triage.forms["severity-form"]
        assert (known.body.proposal, known.body.rule, known.body.decided) == ("2", "cost", "3")
        assert known.body.reason == "just our own tenant"
        assert known.answers["reach"] == "one feature or one tenant"
        await stage.until_said("decided 3")


@pytest.mark.req("S000-CL-4", "X-29")
async def test_a_yes_to_exposed_data_hands_over_to_security_and_says_so(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        asking = await opened(stage, "1")
        await stage.press("y")
        assert "security-led" in asking.proposal
        assert stage.room.incident.triage.led is None
        state = await asking.record()
        assert state.triage.led is not None
        assert state.severity == 1
        await stage.until_said("SECURITY LEADS")


@pytest.mark.req("S001-FT-0", "S001-FT-1", "S001-FT-3", "S001-FT-4", "S001-FT-5", "S001-FT-6", "S001-FT-7")
async def test_the_seven_facts_are_typed_and_answered_in_one_go(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        asking = await opened(stage, "3")
        # Letters that move in a list are letters here, and what follows Enter belongs to the next question.
        await stage.type("jkgG refunds")
        await stage.press("enter", "2")
        await stage.type("users see 500")
        await stage.press("enter", "question_mark", "y", "n", "u")
        await asking.until(lambda: asking.here == "decision")
        answers = asking.answers
        assert answers["workflow"] == "jkgG refunds"
        assert (answers["severity"], answers["impact"], answers["changes"]) == (
            "2",
            "users see 500",
            "unknown",
        )
        assert (answers["effects-possible"], answers["approvals-intact"]) == ("yes", "no")
        assert answers["fallback"] == "unknown"
        assert "stop the side effects now" in asking.proposal
        await stage.press("space")
        assert asking.here == "record", "as proposed needs no reason"
        state = await asking.record()
        assert state.triage.forms["first-facts"].body.decided == "stop the side effects now"
        assert state.triage.forms["first-facts"].answers["workflow"] == "jkgG refunds"


async def test_what_is_pasted_on_a_question_is_its_answer_and_survives(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        asking = await opened(stage, "3")
        asking.screen.post_message(Paste("checkout [red]flow[/]"))
        await asking.until(lambda: asking.answers["workflow"] == "checkout [red]flow[/]")
        await stage.press("enter")
        asking.screen.post_message(Paste("2"))
        await asking.until(lambda: "one key" in asking.says, "a severity is not pasted")
        assert asking.answers["severity"] == ""


@pytest.mark.req("S004-QI-8")
async def test_what_nobody_can_answer_becomes_a_finding(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        asking = await opened(stage, "5")
        await stage.press("down", "down", "question_mark")
        await asking.until(lambda: asking.answers["principal"] == "unknown")
        state = await asking.record()
        assert [text for text in state.findings if "principal" in text]
        await stage.until_said("1 observability finding")


@pytest.mark.req("S004-RL-5", "S001-RR-0")
async def test_what_is_not_known_counts_as_no_and_says_so(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        asking = await opened(stage, "4")
        await stage.press("n", "n", "n", "n", "n", "y")
        assert "full rollback" in asking.proposal
        assert "taken as no" in asking.proposal
        assert "blast-radius" in asking.proposal
        for question in ("blast-radius", "isolated", "bundle", "wave"):
            while asking.here != question:
                await stage.press("down")
            await stage.press("y")
        assert "PROPOSES restrict" in asking.proposal
        assert asking.here != "decision" or asking.answers["decision"] == "", "the form decides nothing"


async def test_a_half_filled_form_survives_escape_and_the_end_of_the_console(tmp_path: Path) -> None:
    stage_: Opened = Opened(tmp_path)
    async with stage_ as stage:
        await opened(stage, "3")
        await stage.type("refunds")
        await stage.press("enter", "2")
        await stage.type("half a sen")
        await stage.press("escape", "escape")
        await stage.until_said("half filled and kept")
        assert stage.room.incident.triage.forms == {}
        asking = await opened(stage, "3")
        assert asking.answers["impact"] == "half a sen"
        await stage.press("n")
        await asking.until(
            lambda: asking.answers["changes"] == "n", "typing began at the first open question"
        )
        # Left in the middle: nothing asks, because nothing is lost.
        await stage.press("ctrl+q")
    again = Opened.__new__(Opened)
    again.home, again._size, again._options = stage_.home, (80, 24), {}
    async with again as stage:
        await stage.press("I")
        await stage.until(lambda: isinstance(stage.console.screen, Picker))
        lines = stage.console.screen.query_one(FormLines)
        await stage.until(lambda: "half filled" in painted(lines))
        await stage.press("3")
        await stage.until(lambda: isinstance(stage.console.screen, Questions))
        asking = Asking(stage)
        assert asking.answers["workflow"] == "refunds"
        assert asking.answers["changes"] == "n"
        state = await asking.record()
        assert state.triage.forms["first-facts"].answers["impact"] == "half a sen"
        asking = await opened(stage, "3")
        assert asking.answers["record"] == ""
        assert "Nothing to put on the record" in painted(asking.screen.query_one(QuestionLines))


async def test_an_answer_can_be_taken_away_before_and_given_anew_after(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        asking = await opened(stage, "2")
        await stage.press("y", "up", "backspace")
        assert asking.answers["low-reach"] == ""
        await stage.press("n", "y")
        state = await asking.record()
        assert state.triage.forms["stop-scope"].answers == {"low-reach": "no", "clear": "yes"}
        asking = await opened(stage, "2")
        assert asking.answers["clear"] == "yes"
        assert asking.here == "blast-radius", "it goes on at the first open question"
        await stage.press("up", "n")
        state = await asking.record()
        assert state.triage.forms["stop-scope"].answers == {"low-reach": "no", "clear": "no"}


async def test_a_form_by_its_name_and_one_that_there_is_not(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("colon", *"form", "space", *"stop", "enter")
        await stage.until(lambda: isinstance(stage.console.screen, Questions))
        assert "low-reach" in Asking(stage).answers
        await stage.press("escape")
        await stage.until(lambda: isinstance(stage.console.screen, RoomScreen))
        await stage.press("colon", *"form", "space", *"nosuch", "enter")
        await stage.until(lambda: isinstance(stage.console.screen, Picker))
        says = stage.console.screen.query_one("#asks-keys", StripLines)
        await stage.until(lambda: "There is no form nosuch" in says.words)


@pytest.mark.parametrize("size", SIZES)
async def test_the_question_its_answers_and_the_proposal_are_in_sight(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with Opened(tmp_path, size=size) as stage:
        asking = await opened(stage, "1")
        await stage.press("n", "n")
        asked = asking.screen.query_one("#asked", Sheet)
        await asking.until(lambda: "4 bypassed with an effect" in " ".join(painted(asked).split()))
        assert "PROPOSES" in painted(asking.screen.query_one("#proposal", Sheet))
        assert "[x] Is data exposed" in painted(asking.screen.query_one(QuestionLines))
        keys = asking.screen.query_one("#asks-keys", StripLines)
        assert "1-4 choose  u unknown" in keys.render_line(0).text


async def test_hostile_words_stay_words(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        asking = await opened(stage, "3")
        await stage.press("x")
        for text in (each for name, each in HOSTILE.items() if name != "surrogate"):  # no terminal sends one
            asking.screen.query_one("#answer").post_message(Paste(text))
        await stage.pilot.pause()
        await stage.press("enter")
        state = await asking.record()
        kept = state.triage.forms["first-facts"].answers["workflow"]
        assert "pwned" in kept
        asking = await opened(stage, "3")
        assert "\x1b" not in painted(asking.screen.query_one(QuestionLines))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        "null",
        '{"given": []}',
        '{"given": {"workflow": 3}}',
        '{"given": {"nosuch": "x", "effects-possible": "perhaps"}, "decided": "", "reason": ""}',
    ],
)
def test_a_draft_that_fits_the_form_no_longer_holds_nothing(text: str) -> None:
    assert not Answers.of(Draft("form:first-facts", text, 7, 7, "x"), forms.form("first-facts"))


def test_a_draft_gives_back_what_was_answered() -> None:
    answers = Answers({"workflow": "refunds", "effects-possible": UNKNOWN}, "other", "because", 7)
    draft = Draft("form:first-facts", answers.text, 7, 7, "x")
    assert Answers.of(draft, forms.form("first-facts")) == answers


async def test_what_is_typed_ahead_of_a_form_that_was_named_is_all_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, may_read = picker._lines, Event()

    def slow(room: Room) -> list[FormLine]:
        may_read.wait(30)
        return read(room)

    monkeypatch.setattr(picker, "_lines", slow)
    async with Opened(tmp_path) as stage:
        stage.screen.command("form.answer", "severity-form")
        await burst(stage, "n", "u")
        picking = stage.console.screen
        assert isinstance(picking, Picker)
        await stage.until(lambda: picking._early is not None, "keys come before the form is read")
        may_read.set()
        await stage.until(lambda: isinstance(stage.console.screen, Questions), "the questions")
        asking = Asking(stage)
        await stage.until(lambda: bool(asking.answers))
        await stage.until(lambda: [*asking.answers.values()][:2] == ["no", UNKNOWN], "no key was lost")
