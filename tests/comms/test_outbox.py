"""Sending: each service by its own rules, each sender for itself, and nothing twice that must not be twice."""

from __future__ import annotations

import asyncio
import json
import os
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from console import events as ev
from console.comms import formats, senders
from console.comms.formats import Letter
from console.comms.messenger import Messenger
from console.comms.outbox import Outbox
from console.comms.state import Delivery, Message
from console.config import Config, Sender
from console.desk import Desk
from console.refusal import Refused
from console.room import Room
from data.home import Home
from tests.comms.conftest import SECRET, Plan, Services
from tests.runner.conftest import until

FACTS = {
    "workflow": "refunds", "impact": "3 % of checkouts are charged twice", "contained": "nothing yet",
    "investigating": "the cache", "trace_ids": "4bf92f35",
}  # fmt: skip
ENDED = ("sent", "refused", "unknown", "cancelled")


async def drafted(messenger: Messenger, template: str = "internal-update", **facts: str) -> Message:
    given = facts or (FACTS if template == "internal-update" else {})
    return (await messenger.draft(template, given))[0]


async def status(messenger: Messenger, state: str) -> Message:
    given = {"services": "Checkout"} | (
        {"symptom": "double charges"} if state in ("identified", "investigating") else {}
    )
    made = (await messenger.draft(f"status-{state}", given))[0]
    return await messenger.approve(made)


async def gone(messenger: Messenger, message: Message, *names: str) -> dict[str, Delivery]:
    """Send a message, and wait until it is known what became of it everywhere."""
    await messenger.send(message, names)
    return await ended(messenger, message, *names)


async def ended(messenger: Messenger, message: Message, *names: str) -> dict[str, Delivery]:
    for _ in range(6000):
        await messenger.room.refresh()
        found = messenger.messages.drafted[message.id].deliveries
        if all(found[name].state in ENDED for name in names):
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(found)


# -- what each service gets ---------------------------------------------------------------------------------


@pytest.mark.req("S001-CK-5", "S002-CK-2")
async def test_a_factual_update_goes_to_chat_webhook_and_file_and_the_clock_starts_anew(
    messenger: Messenger, services: Services, tmp_path: Path
) -> None:
    message = await drafted(messenger)
    before = messenger.room.incident.updated_at
    found = await gone(messenger, message, "chat", "hook", "file")
    assert {name: each.state for name, each in found.items()} == dict.fromkeys(
        ("chat", "hook", "file"), "sent"
    )
    assert services.refused == []
    assert services.channel[0]["blocks"][1]["text"]["text"] == message.body
    assert next(iter(services.hooks.values()))["body"] == message.body
    (line,) = (tmp_path / "messages.jsonl").read_text().splitlines()
    assert json.loads(line)["body"] == message.body
    state = messenger.room.incident
    assert state.updated_at > before
    assert state.promised == message.promises
    kinds = [event.kind for _, event, _ in messenger.room._fold._kept]
    assert kinds.count("message.sent") == 3
    assert kinds.count("update.sent") == 1, "one update, however many places"


@pytest.mark.req("S002-PB1-C", "X-14", "S002-COM-3", "S002-COM-4")
async def test_a_status_page_goes_through_its_states_as_one_incident(
    messenger: Messenger, services: Services
) -> None:
    states = ["investigating", "identified", "monitoring", "resolved"]
    for state in states:
        if state == "resolved":
            made, _ = await messenger.draft(
                "status-resolved",
                {"services": "Checkout", "since": "14:30 UTC", "impact": "double charges", "customer_action": "nothing"},
            )  # fmt: skip
            made = await messenger.approve(made)
        else:
            made = await status(messenger, state)
        found = await gone(messenger, made, "status", "cachet")
        assert {each.state for each in found.values()} == {"sent"}, found
    assert services.refused == []
    (page,) = services.pages
    assert [each for each, _ in page["updates"]] == states
    assert page["name"] == "Incident: Checkout"
    assert page["deliver_notifications"] is False, "nobody chose to notify"
    (cachet,) = services.cachet
    assert [cachet["status"], *(each["status"] for each in cachet["updates"])] == [1, 2, 3, 4]
    assert cachet["notifications"] is False


async def test_subscribers_are_told_only_when_somebody_chose_that(
    messenger: Messenger, services: Services
) -> None:
    made = await status(messenger, "identified")
    await messenger.send(made, ["status"], notify=True)
    await ended(messenger, made, "status")
    assert services.pages[0]["deliver_notifications"] is True


async def test_a_page_is_one_alert_until_it_is_resolved(messenger: Messenger, services: Services) -> None:
    for deed in ("trigger", "trigger", "acknowledge", "resolve"):
        paged, lost = await messenger.page(["platform-oncall"], "charges <go> on " + "x" * 3000, deed)
        assert lost == []
        assert (await ended(messenger, paged, "pager"))["pager"].state == "sent"
    assert services.refused == []
    (events,) = services.alerts.values()
    assert [each["event_action"] for each in events] == ["trigger", "trigger", "acknowledge", "resolve"]
    assert messenger.room.incident.promised is None, "a page is no update"


async def test_whom_no_sender_reaches_is_said_and_a_page_to_nobody_is_refused(messenger: Messenger) -> None:
    paged, lost = await messenger.page(["platform-oncall", "finance"], "3 errors")
    assert lost == ["finance"]
    await ended(messenger, paged, "pager")
    with pytest.raises(Refused, match="No sender here pages finance"):
        await messenger.page(["finance"], "3 errors")
    with pytest.raises(Refused, match="needs a reason"):
        await messenger.page([], " ")


async def test_a_long_message_goes_to_slack_in_parts_within_its_limits(
    messenger: Messenger, services: Services
) -> None:
    message = await drafted(messenger)
    body = message.body + "\n" + "\n".join("a < b & c > d failed " * 40 for _ in range(15)) + "<" * 2000
    message = await messenger.edit(message, body=body[:15_900])
    found = await gone(messenger, message, "chat")
    assert found["chat"].state == "sent"
    assert services.refused == []
    assert len(services.channel) > 1
    pieces = [
        block["text"]["text"]
        for each in services.channel
        for block in each["blocks"]
        if block["type"] == "section"
    ]
    plain = "".join(pieces).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert plain == message.body


def letter(body: str, subject: str = "s") -> Letter:
    return Letter("k", "c", "INC-1", "t", 2, "live", "internal", "", subject, body, 0)


@pytest.mark.parametrize(
    "body", ["<" * 16_000, "x\n" * 8000, "&" * 2999 + "\n" + "y" * 9000, "é" * 16_000, "a"]
)
def test_no_split_loses_or_adds_a_character_or_goes_over_a_limit(body: str) -> None:
    parts = formats.slack(letter(body, "h" * 400))
    pieces = [b["text"]["text"] for part in parts for b in part["blocks"] if b["type"] == "section"]
    plain = "".join(pieces).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert plain == body
    for part in parts:
        assert len(part["blocks"]) <= 50
        assert sum(len(b["text"]["text"]) for b in part["blocks"]) <= 12_000
        assert all(len(b["text"]["text"]) <= (150 if b["type"] == "header" else 3000) for b in part["blocks"])


# -- what goes wrong ------------------------------------------------------------------------------------------


async def test_a_sender_that_hangs_fails_or_talks_nonsense_holds_up_no_other(
    messenger: Messenger, services: Services
) -> None:
    services.plan("slack", Plan(hangs=True))
    services.plan("pagerduty", Plan(status=202, body=b"<html>"), Plan(status=500))
    message = await drafted(messenger)
    await messenger.send(message, ["chat", "hook", "file"])
    paged, _ = await messenger.page(["platform-oncall"], "3 errors")
    found = await ended(messenger, message, "hook", "file")
    assert found["hook"].state == found["file"].state == "sent"
    assert (await ended(messenger, paged, "pager"))["pager"].state == "sent"
    assert services.channel == []
    await messenger.room.note("the room is usable")
    services.hang.set()
    assert (await ended(messenger, message, "chat"))["chat"].state == "unknown"


@pytest.mark.parametrize(
    ("plan", "state"),
    [
        (Plan(status=429, headers={"Retry-After": "0"}), "sent"),
        (Plan(status=500), "sent"),
        (Plan(status=503, body=b"x" * 100_000), "sent"),
        (Plan(status=202, body=b"not json"), "sent"),
        (Plan(cuts=True, status=202, takes=True), "sent"),
        (Plan(status=400, body=b'{"status":"invalid event"}'), "refused"),
        (Plan(status=302, headers={"Location": "http://127.0.0.1:1/"}), "refused"),
    ],
)
async def test_pagerduty_is_asked_again_but_after_400(
    messenger: Messenger, services: Services, plan: Plan, state: str
) -> None:
    services.plan("pagerduty", plan)
    paged, _ = await messenger.page(["platform-oncall"], "3 errors")
    found = (await ended(messenger, paged, "pager"))["pager"]
    assert found.state == state, found
    assert len(services.asked("pagerduty")) == (2 if state == "sent" else 1)
    if plan.takes:
        (events,) = services.alerts.values()
        assert len({each["dedup_key"] for each in events}) == 1, "a repeat is the same alert"


@pytest.mark.parametrize(
    ("plan", "state", "arrived"),
    [
        (Plan(status=429, headers={"Retry-After": "0.01"}), "sent", 1),
        (Plan(status=503, headers={"Retry-After": "0.01"}), "sent", 1),
        (Plan(status=404, body=b"no_service"), "refused", 0),
        (Plan(status=400, body=b"invalid_blocks"), "refused", 0),
        (Plan(status=500), "unknown", 0),
        (Plan(status=200, body=b"<html>captive portal</html>"), "unknown", 0),
        (Plan(cuts=True, status=200, takes=True), "unknown", 1),
    ],
)
async def test_slack_is_never_asked_again_where_it_may_have_taken_it(
    messenger: Messenger, services: Services, plan: Plan, state: str, arrived: int
) -> None:
    services.plan("slack", plan)
    found = (await gone(messenger, await drafted(messenger), "chat"))["chat"]
    assert (found.state, len(services.channel)) == (state, arrived)


async def test_a_retry_after_is_honoured_as_seconds_and_as_a_date(
    messenger: Messenger, services: Services
) -> None:
    services.plan("slack", Plan(status=429, headers={"Retry-After": "600"}))
    message = await drafted(messenger)
    await messenger.send(message, ["chat"])
    for _ in range(6000):
        await messenger.room.refresh()
        found = messenger.messages.drafted[message.id].deliveries["chat"]
        if found.state == "retry":
            break
        await asyncio.sleep(0.01)
    assert found.again - found.done_at > 590 * 1_000_000_000
    assert len(services.asked("slack")) == 1
    assert 0 < senders.retry_after(formatdate(time.time() + 60, usegmt=True)) <= 60
    for nonsense in ("", "soon", "-5", "1e400", "９", "Mon, 99 Foo 2026"):
        assert senders.retry_after(nonsense) == 0
    await messenger.cancel(message, "chat", "called them instead")
    assert messenger.messages.drafted[message.id].standing == "cancelled"


async def test_a_service_that_asks_for_longer_than_a_message_lasts_is_given_up(
    messenger: Messenger, services: Services
) -> None:
    services.plan("slack", Plan(status=429, headers={"Retry-After": "86400"}))
    found = (await gone(messenger, await drafted(messenger), "chat"))["chat"]
    assert found.state == "refused"
    assert "Given up" in found.reason


@pytest.mark.parametrize("kind", ["statuspage", "cachet"])
@pytest.mark.parametrize("took", [True, False])
async def test_a_status_page_is_looked_at_before_anything_is_repeated(
    messenger: Messenger, services: Services, kind: str, took: bool
) -> None:
    name = "status" if kind == "statuspage" else "cachet"
    services.plan(f"POST {kind}", Plan(status=502, takes=took))
    found = (await gone(messenger, await status(messenger, "identified"), name))[name]
    assert found.state == "sent"
    there = services.pages if kind == "statuspage" else services.cachet
    assert len(there) == 1
    assert len(services.asked(kind, "POST")) == (1 if took else 2)
    again = (await gone(messenger, await status(messenger, "monitoring"), name))[name]
    assert again.state == "sent"
    assert len(there) == 1, "the incident there was found again by its id"


async def test_one_of_which_nobody_knows_waits_for_a_word_and_is_not_repeated_without(
    messenger: Messenger, services: Services
) -> None:
    services.plan("slack", Plan(status=500))
    message = await drafted(messenger)
    assert (await gone(messenger, message, "chat"))["chat"].state == "unknown"
    with pytest.raises(Refused, match="is unknown for chat"):
        await messenger.send(message, ["chat"])
    with pytest.raises(Refused, match="Say what you saw"):
        await messenger.settle(message, "chat", "not", " ")
    await messenger.settle(message, "chat", "not", "it is not in the channel")
    assert (await gone(messenger, message, "chat"))["chat"].state == "sent"
    assert len(services.channel) == 1
    with pytest.raises(Refused, match="It is known"):
        await messenger.settle(message, "chat", "not", "x")


async def test_no_secret_gets_onto_the_record_or_into_an_error(
    messenger: Messenger, services: Services, room: Room
) -> None:
    services.plan("slack", Plan(status=404, body=f"no hook {SECRET}".encode()))
    services.plan("hook", Plan(status=400, body=f"bad {SECRET}\x1b[2J".encode()))
    services.plan("pagerduty", Plan(status=400, body=SECRET.encode()))
    message = await drafted(messenger)
    found = await gone(messenger, message, "chat", "hook")
    assert [each.state for each in found.values()] == ["refused", "refused"]
    paged, _ = await messenger.page(["platform-oncall"], "3 errors")
    await ended(messenger, paged, "pager")
    kept = b"".join((room.case.directory / name).read_bytes() for name in ("log.db", "log.db-wal"))
    assert SECRET.encode() not in kept
    assert "\x1b" not in found["hook"].reason


async def test_a_secret_in_a_message_to_responders_is_masked_on_its_way(
    messenger: Messenger, services: Services
) -> None:
    key = "sk-ant-api03-abcdefghij0123456789"
    message = await drafted(messenger, **{**FACTS, "investigating": f"leak of {key}"})
    await gone(messenger, message, "chat", "file")
    sent = json.dumps(services.channel)
    assert key not in sent
    assert "[masked model api key]" in sent


# -- what is not sent ------------------------------------------------------------------------------------------


@pytest.mark.req("S002-PB1-C")
async def test_outside_messages_wait_for_approval_of_exactly_their_words(
    messenger: Messenger, desk: Desk, config: Config
) -> None:
    made, _ = await messenger.draft(
        "status-identified", {"services": "Checkout", "symptom": "double charges"}
    )
    with pytest.raises(Refused, match="Nobody has approved it"):
        await messenger.send(made, ["status"])
    room = desk.room
    assert room is not None
    room.actor = "ben"
    with pytest.raises(Refused, match="ben has no authority for this") as refused:
        await messenger.approve(made)
    assert "ana (incident commander) can" in refused.value.next_step
    await room.assign("comms", "ben")
    made = await messenger.approve(made)
    assert made.approved is not None
    assert (made.approved.by, made.approved.role) == ("ben", "communications lead")
    made = await messenger.edit(made, body=made.body + " All cards are affected.")
    with pytest.raises(Refused, match="words changed"):
        await messenger.send(made, ["status"])


@pytest.mark.req("S002-PB4-N", "S003-PM-6")
async def test_a_notification_of_an_authority_takes_legal_or_the_security_lead(messenger: Messenger) -> None:
    facts = {"contact": "acme, ana", "legal_basis": "GDPR Art. 33", "aware_since": "13:00 UTC",
             "summary": "names were exposed", "contained": "the tool is blocked", "unknown": "how many"}  # fmt: skip
    made, _ = await messenger.draft("authority", facts)
    with pytest.raises(Refused, match="no authority for this") as refused:
        await messenger.approve(made)
    assert "legal and privacy" in refused.value.next_step
    await messenger.room.assign("security", "ana")
    assert (await messenger.approve(made)).approved is not None
    named = Messenger(messenger.room, Config(authority={"notify-authorities": ("maya",)}))
    made = await messenger.edit(made, body=made.body + "\nMore follows.")
    messenger.room.actor = "maya"
    approved = (await named.approve(made)).approved
    assert approved is not None
    assert approved.role == "named for it"


async def test_a_gap_blocks_until_it_is_filled_or_waived_with_a_reason(messenger: Messenger) -> None:
    made, gaps = await messenger.draft(
        "internal-update", {k: v for k, v in FACTS.items() if k != "trace_ids"}
    )
    assert [gap.name for gap in gaps] == ["trace_ids"]
    with pytest.raises(Refused, match="Trace IDs") as refused:
        await messenger.send(made, ["file"])
    assert "message waive" in refused.value.next_step
    with pytest.raises(Refused, match="needs a reason"):
        await messenger.waive(made, "missing:trace_ids", "")
    await messenger.waive(made, "missing:trace_ids", "the tracer is down")
    assert (await gone(messenger, made, "file"))["file"].state == "sent"
    other, _ = await messenger.draft("internal-update", {k: v for k, v in FACTS.items() if k != "impact"})
    other = await messenger.edit(other, given={"impact": "3 % of checkouts fail", "next_update": "+45min"})
    assert "Known impact on users: 3 % of checkouts fail" in other.body
    assert other.promises is not None
    assert await messenger.findings(other) == []


async def test_publishing_is_off_until_it_is_chosen_and_each_audience_has_its_senders(
    room: Room, config: Config
) -> None:
    off = Config(sender=tuple(Sender(each.name, each.type, url=each.url, token_env=each.token_env, page=each.page)
                              for each in config.sender if each.type != "file"))  # fmt: skip
    messenger = Messenger(room, off)
    message = await drafted(messenger)
    with pytest.raises(Refused, match="Publishing to chat is off"):
        await messenger.send(message, ["chat"])
    with pytest.raises(Refused, match="not for internal"):
        await messenger.send(message, ["status"])
    with pytest.raises(Refused, match="There is no sender"):
        await messenger.send(message, ["nowhere"])
    assert messenger.messages.drafted[message.id].deliveries == {}


async def test_all_or_nothing_is_queued(messenger: Messenger, services: Services) -> None:
    message = await drafted(messenger)
    with pytest.raises(Refused):
        await messenger.send(message, ["file", "status"])
    assert messenger.messages.drafted[message.id].deliveries == {}


@pytest.mark.parametrize("queued_anyhow", [False, True])
async def test_a_drill_reaches_no_real_service_even_if_something_was_queued(
    tmp_path: Path, config: Config, services: Services, queued_anyhow: bool
) -> None:
    home = Home.open(tmp_path / "drill", "drill")
    desk = await Desk.open(home, "ana", outbox=Outbox(home, config.sender))
    try:
        room = await desk.declare("refunds issued twice", 2)
        messenger = Messenger(room, config)
        message = await drafted(messenger)
        with pytest.raises(Refused, match="A drill reaches no real service"):
            await messenger.send(message, ["chat"])
        if queued_anyhow:
            await room.record(ev.MessageQueued(message.id, "chat", "slack", message.digest, "k"))
            assert (await ended(messenger, message, "chat"))["chat"].state == "refused"
        assert (await gone(messenger, message, "file"))["file"].state == "sent"
        with pytest.raises(Refused, match="A drill pages through"):
            await messenger.page(["platform-oncall"], "3 errors")
    finally:
        await desk.close()
    assert services.taken == []
    assert json.loads((tmp_path / "messages.jsonl").read_text())["subject"].startswith("DRILL: ")


async def test_what_another_console_queued_is_left_to_it(messenger: Messenger, services: Services) -> None:
    message = await drafted(messenger)
    outbox = Outbox(Home.open(messenger.room.case.directory.parents[1]), ())
    outbox._replica = "f" * 32
    await messenger.send(message, ["file"])
    assert list(outbox._due(messenger.room.incident)) == []
    await ended(messenger, message, "file")


# -- senders by themselves ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        (Sender("a", "slack"), "has no secret"),
        (Sender("a", "slack", token_env="NOT_SET_AT_ALL"), "NOT_SET_AT_ALL"),
        (Sender("a", "webhook", url="http://hooks.example.com/", token_env="TEST_TOKEN"), "in the clear"),
        (Sender("a", "webhook", url="https://u:p@hooks.example.com/", token_env="TEST_TOKEN"), "is none"),
        (Sender("a", "webhook", token_env="TEST_TOKEN"), "is none"),
        (Sender("a", "webhook", url="https://[x", token_env="TEST_TOKEN"), "is none"),
        (Sender("a", "statuspage", token_env="TEST_TOKEN"), "names no page"),
        (Sender("a", "file"), "names no file"),
        (Sender("a", "file", path="messages.jsonl"), "depends on where"),
    ],
)
def test_a_sender_that_cannot_work_says_why_without_its_secret(setting: Sender, why: str) -> None:
    with pytest.raises(Refused, match=why) as refused:
        senders.make(setting)
    assert SECRET not in str(refused.value)


def test_a_secret_is_read_from_a_file_that_nobody_else_can_read(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f"{SECRET}\n")
    path.chmod(0o644)
    setting = Sender("a", "pagerduty", token_file=str(path))
    with pytest.raises(Refused, match="Others can read"):
        senders.token(setting)
    path.chmod(0o600)
    assert senders.token(setting) == SECRET
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(Refused, match="cannot be read"):
        senders.token(Sender("a", "pagerduty", token_file=str(link)))
    path.write_bytes(b"a\nb\x00")
    with pytest.raises(Refused, match="one line of ASCII"):
        senders.token(setting)


async def test_the_file_takes_a_letter_once_and_heals_a_line_that_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    sender = senders.make(Sender("file", "file", path=str(path)))
    one = letter("3 errors")
    path.write_bytes(formats.encoded(formats.plain(one))[:40])
    assert (await sender.send(one, 0)).state == "sent"
    assert (await sender.send(one, 0)).reason == "It stands there already."
    lines = path.read_text().splitlines()
    assert len(lines) == 2
    assert json.loads(lines[1])["id"] == "k"
    path.unlink()
    await sender.send(one, 0)
    assert path.stat().st_mode & 0o077 == 0


async def test_a_file_that_is_a_pipe_or_has_no_folder_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "nowhere/messages.jsonl"):
        outcome = await senders.make(Sender("file", "file", path=str(tmp_path / name))).send(letter("x"), 0)
        assert outcome.state == "retry"


async def test_an_answer_without_end_and_a_server_that_is_gone(services: Services) -> None:
    endless = Plan(status=200, body=b"x" * (2 << 20))
    services.plan("hook", endless)
    hook = Sender("hook", "webhook", url=f"{services.url}/hook", token_env="TEST_TOKEN")
    outcome = await senders.make(hook).send(letter("x"), 0)
    assert (outcome.state, "no end" in outcome.reason) == ("retry", True)
    services.close()
    outcome = await senders.make(hook).send(letter("x"), 0)
    assert (outcome.state, outcome.reason) == ("retry", "Not sent: there is no connection.")


async def test_closing_a_desk_waits_for_no_sender_that_hangs(
    messenger: Messenger, desk: Desk, services: Services
) -> None:
    services.plan("slack", Plan(hangs=True))
    message = await drafted(messenger)
    await messenger.send(message, ["chat"])
    await until(lambda: bool(services.asked("slack")))
    await desk.close()
    assert not services.hang.is_set()


async def test_what_ends_after_its_incident_was_left_gets_onto_no_other_record(
    messenger: Messenger, desk: Desk, services: Services
) -> None:
    services.plan("slack", Plan(hangs=True))
    message, first = await drafted(messenger), messenger.room.case.id
    await messenger.send(message, ["chat"])
    await until(lambda: bool(services.asked("slack")))
    other = await desk.declare("answers are slow", 3)
    assert desk.outbox is not None
    services.hang.set()
    await until(lambda: desk.outbox is not None and not desk.outbox._busy)
    await other.refresh()
    assert [event.kind for _, event, _ in other._fold._kept if event.kind.startswith("message.")] == []
    messenger.room = await desk.enter(first)
    assert (await ended(messenger, message, "chat"))["chat"].state == "unknown"
    assert len(services.asked("slack")) == 1
