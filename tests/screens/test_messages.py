"""The messages screen, with keys, on a real record and with a server that answers as the services do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.comms import outbox as outboxes
from console.comms.messenger import Messenger
from console.comms.outbox import Outbox
from console.comms.state import Message
from console.config import Config
from console.events import UpdatePromised, moment
from console.room import Room
from data.drafts import Drafts
from screens.dialogs.form import Form
from screens.messages import MessagesScreen
from screens.room import MESSAGE, RoomScreen
from screens.widgets.header import Header
from screens.widgets.messages import MessageList
from screens.widgets.sheet import Sheet
from screens.widgets.strips import StripLines
from tests.comms.conftest import SECRET, Plan, Services, settings
from tests.screens.stage import HOSTILE, MINUTE, until
from tests.screens.test_evidence import form, page_says, painted
from tests.screens.test_playbook import shown
from tests.screens.test_room import Opened, Stage, burst

FACTS = {
    "workflow": "refunds", "impact": "3 % of checkouts are charged twice", "contained": "nothing yet",
    "investigating": "the cache", "trace_ids": "4bf92f35",
}  # fmt: skip


class Post:
    """The messages screen of a stage, and what a test asks of it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    @property
    def screen(self) -> MessagesScreen:
        base = self.stage.console.base
        assert isinstance(base, MessagesScreen)
        return base

    @property
    def rows(self) -> MessageList:
        return self.screen.query_one(MessageList)

    @property
    def said(self) -> str:
        return self.screen.query_one("#said", StripLines).words

    @property
    def message(self) -> Message:
        """The newest."""
        return list(self.stage.room.incident.messages.drafted.values())[-1]

    @property
    def findings(self) -> str:
        return " ".join(line.text for line in self.screen.query_one("#findings", Sheet).all_rows)

    def what(self, kind: str = "message") -> list[str]:
        return [row.what for row in self.rows.all_rows if row.kind == kind]

    async def until(self, condition: Any, what: str = "") -> None:
        await until(self.stage.pilot, condition, what)

    async def until_said(self, words: str) -> None:
        await self.until(lambda: words in self.said, f"{words!r} is said, not {self.said!r}")

    async def until_what(self, *words: str, kind: str = "message") -> None:
        await self.until(lambda: self.what(kind) == list(words), f"{words}, not {self.what(kind)}")

    async def drafted(self, template: str = "internal-update", **facts: str) -> Message:
        """Draft a message with all that it needs, and put the cursor on it."""
        given = facts or (FACTS if template == "internal-update" else {})
        made, _ = await self.screen.known.messenger(self.stage.room).draft(template, given)
        await self.until(lambda: self.rows.choose(made.id), "it is on the list")
        return made

    async def gone(self) -> None:
        """Wait until the dialog is gone."""
        await self.until(lambda: self.stage.console.screen is self.stage.console.base, "no dialog is open")

    async def answers(self, *fields: str) -> None:
        """Fill in the form that opens, field by field, and send it off; "" leaves a field as it is."""
        await form(self.stage)
        for number, text in enumerate(fields):
            if number:
                await self.stage.press("tab")
            await self.stage.type(text)
        await self.stage.press("enter")
        await self.gone()


class Posting(Opened):
    """`async with Posting(path, services) as post:` the messages screen, with one sender of each type."""

    def __init__(
        self, path: Path, services: Services, size: tuple[int, int] = (120, 40), **more: Any
    ) -> None:
        self.config = Config(sender=settings(services, path, more.pop("seconds", 5.0)))
        super().__init__(path, size, **more)
        self._options |= {
            "outbox": Outbox(self.home, self.config.sender, patience=0.2),
            "messenger": self._messenger,
        }

    def _messenger(self, room: Room) -> Messenger:
        return Messenger(room, self.config)

    async def __aenter__(self) -> Post:  # type: ignore[override]
        stage = await super().__aenter__()
        await stage.press("7")
        await stage.until(lambda: isinstance(stage.console.base, MessagesScreen), "the screen")
        post = Post(stage)
        await post.until(lambda: "template" in {row.kind for row in post.rows.all_rows}, "the templates")
        await post.until(lambda: post.screen._adopted, "what was typed before")
        return post


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """The services, their secrets, and an outbox that waits for nothing."""
    made = Services()
    monkeypatch.setenv("TEST_TOKEN", SECRET)
    monkeypatch.setenv("TEST_SLACK", f"{made.url}/slack/{SECRET}")
    monkeypatch.setattr(outboxes, "PAUSE", 0.02)
    monkeypatch.setattr(outboxes, "BETWEEN", 0.0)
    yield made
    made.close()


async def test_the_next_update_counts_down_by_the_clock_of_the_header(
    tmp_path: Path, services: Services
) -> None:
    async with Posting(tmp_path, services) as post:
        clock = post.screen.query_one("#promise", StripLines)
        room = post.stage.room
        await room.promise_update(post.screen.now() + 12 * MINUTE, "bridge")
        await post.until(lambda: "update in 00:12:00" in clock.words)
        assert "update in 00:12:00" in post.screen.query_one(Header).words
        assert "promised for 14:14:31 UTC" in clock.words
        assert "on bridge" in clock.words
        await room.record(UpdatePromised(moment(post.screen.now() - MINUTE), "bridge"))
        await post.until(lambda: "UPDATE OVERDUE 00:01:00" in clock.words)
        assert "UPDATE OVERDUE 00:01:00" in post.screen.query_one(Header).words
        await post.stage.press("7")
        await post.until(lambda: isinstance(post.stage.console.screen, RoomScreen), "the room again")


@pytest.mark.req("S001-CM-0")
async def test_a_key_drafts_what_is_missing_is_filled_in_and_it_goes_to_whom_was_chosen(
    tmp_path: Path, services: Services
) -> None:
    async with Posting(tmp_path, services) as post:
        stage = post.stage
        await stage.press("1", "N")
        await form(stage)
        await stage.press("1", "enter")
        await post.until(lambda: post.message.template == "internal-update", "the draft")
        await post.until(lambda: isinstance(stage.console.base, MessagesScreen), "the messages are shown")
        await post.until_said("supplies what is missing: impact, trace_ids")
        await post.until_what("2 TO MEND")
        await stage.press("greater_than_sign")
        await page_says(stage, "It does not say", "= supplies facts")
        await stage.press("escape")
        await post.gone()
        assert services.taken == []
        await stage.press("equals_sign")
        await post.answers("3 % of checkouts are charged twice", "4bf92f35")
        await post.until_what("READY")
        await stage.press("greater_than_sign")
        assert post.message.body.splitlines()[0] in await shown(stage)
        await stage.press("enter")
        assert isinstance(stage.console.screen, Form), "nothing is chosen by accident"
        await stage.press("0", "enter")
        await post.gone()
        await post.until_what("SENT", "SENT", "SENT", kind="delivery")
        assert len(services.channel) == 1
        assert services.hooks
        (line,) = (tmp_path / "messages.jsonl").read_text().splitlines()
        assert "charged twice" in json.loads(line)["body"]


async def test_a_sender_that_hangs_holds_up_neither_the_screen_nor_another_sender(
    tmp_path: Path, services: Services
) -> None:
    services.plan("slack", Plan(hangs=True))
    async with Posting(tmp_path, services, seconds=60.0) as post:
        made = await post.drafted()
        await post.screen.known.messenger(post.stage.room).send(made, ["chat", "file"])
        await post.until(lambda: post.what("delivery") == ["SENDING", "SENT"], "one is sent")
        await post.stage.press("N")
        await form(post.stage)
        await post.stage.press("escape")
        await post.gone()
        assert post.what() == ["SENDING"]
        services.hang.set()


@pytest.mark.req("S002-PB1-C")
async def test_what_leaves_the_team_waits_for_approval_of_exactly_its_words(
    tmp_path: Path, services: Services
) -> None:
    async with Posting(tmp_path, services) as post:
        stage = post.stage
        await post.drafted("status-identified", services="Checkout", symptom="double charges")
        await post.until_what("TO APPROVE")
        await stage.press("greater_than_sign")
        await post.until_said("Nobody has approved it. Y approves")
        await stage.press("escape")
        await post.gone()
        await stage.press("Y")
        assert "double charges in Checkout" in await shown(stage)
        messenger = post.screen.known.messenger(stage.room)
        await messenger.edit(post.message, body=post.message.body + " All cards.")
        await stage.press("enter")
        await stage.until(lambda: "others" in stage.console.screen.query_one("#form-says", StripLines).words)
        assert post.message.approved is None
        await stage.press("escape")
        await post.gone()
        await stage.press("Y")
        await form(stage)
        await stage.press("enter")
        await post.gone()
        await post.until_what("APPROVED")
        await messenger.edit(post.message, body=post.message.body + " More follows.")
        await post.until_what("TO APPROVE")


async def test_findings_follow_what_is_typed_and_what_is_typed_is_kept(
    tmp_path: Path, services: Services
) -> None:
    async with Posting(tmp_path, services) as post:
        stage = post.stage
        made = await post.drafted()
        before = made.digest
        await stage.press("c")
        await post.until(lambda: post.screen.editing == made.id)
        await post.until(lambda: "Nothing is in the way" in post.findings)
        await stage.type(" back soon at 14:05")
        await post.until(lambda: "“soon” says nothing" in post.findings and "in which zone" in post.findings)
        kept = stage.room.drafts.get(MESSAGE + made.id)
        assert kept is not None
        assert kept.text.endswith(" back soon at 14:05")
        await post.until(lambda: stage.room.drafts.saved_at(MESSAGE + made.id) > 0, "it is on the disk")
        assert post.message.digest == before
        await stage.press("escape")
        await post.until(lambda: "EDIT NOT SAVED" in painted(post.rows))
        await stage.press("c")
        await post.until(lambda: post.screen.editor.words.text.endswith("14:05"))
        await stage.press(*["backspace"] * len(" back soon at 14:05"), "f8")
        await post.until(lambda: not post.screen.editing)
        assert stage.room.drafts.get(MESSAGE + made.id) is None
        assert post.message.digest == before, "there was nothing to save"
        await stage.press("c", "enter")
        await stage.type("More follows")
        await stage.press("f8")
        await post.until(lambda: post.message.body.endswith("\nMore follows"), "it is on the record")
        assert stage.room.drafts.get(MESSAGE + made.id) is None


async def test_what_somebody_else_changed_meanwhile_is_not_written_over_unseen(
    tmp_path: Path, services: Services
) -> None:
    async with Posting(tmp_path, services) as post:
        stage = post.stage
        made = await post.drafted()
        await stage.press("c", "x")
        await post.until(lambda: post.screen.editor.words.text.endswith("x"))
        await post.screen.known.messenger(stage.room).edit(made, body=made.body + " theirs")
        await stage.press("f8")
        await post.until_said("somebody changed it meanwhile")
        assert post.message.body.endswith(" theirs")
        assert stage.room.drafts.get(MESSAGE + made.id) is not None
        await stage.press("f8")
        await post.until(lambda: post.message.body.endswith("x"), "the second time it is meant")


async def test_what_a_console_that_is_gone_had_not_saved_is_there_again(
    tmp_path: Path, services: Services
) -> None:
    async with Posting(tmp_path, services) as post:
        made = await post.drafted()
        room, stage = post.stage.room, post.stage
        await stage.press("escape")
        await post.until(lambda: isinstance(stage.console.screen, RoomScreen))
        gone = Drafts.open(room.case.directory, room.clock)
        gone.put(MESSAGE + made.id, "subject\nwords of another time", room.clock.now())
        await asyncio.to_thread(gone.close)
        await stage.press("7")
        await post.until(lambda: "EDIT NOT SAVED" in painted(post.rows))
        await post.until(lambda: post.rows.choose(made.id))
        await stage.press("c")
        await post.until(lambda: post.screen.editor.words.text == "words of another time")
        assert post.screen.editor.subject.text == "subject"


async def test_an_unknown_delivery_waits_for_a_word_and_may_then_be_sent_again(
    tmp_path: Path, services: Services
) -> None:
    services.plan("slack", Plan(status=500))
    async with Posting(tmp_path, services) as post:
        stage = post.stage
        made = await post.drafted()
        await post.screen.known.messenger(stage.room).send(made, ["chat"])
        await post.until_what("UNKNOWN")
        await stage.press("u")
        await form(stage)
        await stage.press("enter")
        assert isinstance(stage.console.screen, Form), "nobody says by accident what became of it"
        await stage.press("n", "tab")
        await stage.type("not in the channel")
        await stage.press("enter")
        await post.gone()
        await post.until_what("FAILED")
        await stage.press("greater_than_sign")
        await form(stage)
        await stage.press("1", "enter")
        await post.gone()
        await post.until_what("SENT", kind="delivery")


async def test_a_finding_is_waived_with_a_reason_and_a_message_taken_back(
    tmp_path: Path, services: Services
) -> None:
    async with Posting(tmp_path, services) as post:
        stage = post.stage
        await post.drafted("internal-update", **{**FACTS, "impact": "3 % fail, over soon"})
        await post.until_what("1 TO MEND")
        assert "Factual update: “soon” says no" in painted(post.rows)
        await stage.press("w")
        await form(stage)
        await stage.press("enter")
        assert isinstance(stage.console.screen, Form), "a reason is needed"
        await stage.press("tab")
        await stage.type("the words of the vendor")
        await stage.press("enter")
        await post.gone()
        await post.until_what("READY")
        assert post.message.waived == {"vague:soon": "the words of the vendor"}
        await stage.press("minus")
        await post.answers("said by telephone")
        await post.until_what("taken back")
        await stage.press("greater_than_sign")
        await post.until_said("It was taken back")
        assert services.taken == []


@pytest.mark.req("S003-PM-6")
async def test_somebody_is_woken_and_whom_nobody_reaches_is_said(tmp_path: Path, services: Services) -> None:
    async with Posting(tmp_path, services) as post:
        stage = post.stage
        await stage.press("B")
        await post.answers("", "security nobody", "refunds go on")
        await post.until_said("NOBODY PAGES nobody")
        await post.until(lambda: post.what("delivery") == ["SENT"])
        ((event,),) = services.alerts.values()
        assert "refunds go on" in event["payload"]["summary"]


async def test_words_from_outside_are_inert_on_the_list_and_in_the_editor(
    tmp_path: Path, services: Services
) -> None:
    async with Posting(tmp_path, services) as post:
        made = await post.drafted()
        body = "\n".join([made.body, *HOSTILE.values()]).encode(errors="replace").decode()
        messenger = post.screen.known.messenger(post.stage.room)
        await messenger.edit(made, subject=HOSTILE["title"] + HOSTILE["markup"], body=body)
        await post.until(lambda: "pwned" in painted(post.screen.query_one("#detail", Sheet)))
        text = painted(post.rows) + painted(post.screen.query_one("#detail", Sheet))
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(text)
        await post.stage.press("c")
        await post.until(lambda: post.screen.editing == made.id and "“" not in post.findings)
        assert not {"\x1b", "\x9b", "\u202e"} & set(painted(post.screen.query_one("#findings", Sheet)))
        assert post.stage.room.drafts.get(MESSAGE + made.id) is None, "nobody typed anything"


@pytest.mark.parametrize("size", [(80, 24), (40, 10), (200, 50), (120, 12)])
async def test_the_screen_works_at_every_size(
    tmp_path: Path, services: Services, size: tuple[int, int]
) -> None:
    async with Posting(tmp_path, services, size) as post:
        made = await post.drafted()
        await post.until(lambda: "READY" in painted(post.rows))
        await post.stage.press("c")
        await post.until(lambda: post.screen.editing == made.id)
        await post.stage.press("x")
        await post.until(lambda: post.screen.editor.words.text.endswith("x"))
        assert post.screen.editor.words.size.height > 0
        await post.stage.press("escape")
        await post.until(lambda: post.screen.focused is post.rows)


async def test_keys_typed_ahead_from_one_screen_over_the_room_to_another_reach_it(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await burst(stage, "5", "7", "5", "7", "j", "k")
        await stage.until(lambda: isinstance(stage.console.screen, MessagesScreen), "the messages")
        await burst(stage, "5", "F", *"/x")
        await stage.until(lambda: isinstance(stage.console.screen, Form), "the form of the evidence screen")
        await burst(stage, "escape")
