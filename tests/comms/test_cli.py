"""The commands, as somebody types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Warroom
from tests.comms.conftest import SECRET, Services
from tests.comms.test_crash import FACTS, SETTINGS


@pytest.fixture
def console(warroom: Warroom, services: Services, tmp_path: Path) -> Warroom:
    folder = tmp_path / "config" / "warroom"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(SETTINGS.format(url=services.url, folder=tmp_path))
    warroom.environment |= {
        "TEST_TOKEN": SECRET, "TEST_SLACK": f"{services.url}/slack/{SECRET}", "USER": "ana", "LOGNAME": "ana",
    }  # fmt: skip
    warroom.quick("--as", "ana", "declare", "refunds issued twice")
    return warroom


@pytest.mark.req("S001-CM-0", "S002-CK-8", "S003-PM-6")
def test_from_a_draft_with_gaps_to_a_message_on_the_record(console: Warroom, services: Services) -> None:
    drafted = console.quick("--as", "ana", "message", "draft", "internal-update")
    assert "[missing: impact]" in drafted.out
    assert '--set impact="…", or warroom impact' in " ".join(drafted.out.split())
    blocked = console.within("--as", "ana", "message", "send", "--to", "chat", "--publish")
    assert blocked.code == 3
    assert "message waive" in blocked.err
    console.quick("--as", "ana", "message", "edit", *FACTS)
    shown = console.within("--as", "ana", "message", "send", "--to", "chat")
    assert (shown.code, services.channel) == (3, [])
    assert "Known impact on users: 3 % fail" in shown.out
    assert "--publish" in shown.err
    sent = console.quick(
        "--as", "ana", "message", "send", "--to", "chat", "--to", "file", "--publish", "--json"
    )
    assert [each["state"] for each in sent.values] == ["sent", "sent"]
    (listed,) = console.quick("message", "list", "--json").values
    assert (listed["by"], listed["audience"], listed["standing"]) == ("ana", "internal", "sent")
    assert {each["sender"] for each in listed["deliveries"]} == {"chat", "file"}
    assert "Factual update" in console.quick("log").out
    again = console.within("message", "send", "--to", "chat", "--publish")
    assert again.code == 3
    assert "is sent for chat" in again.err


def test_a_finding_is_waived_a_message_approved_and_cancelled(console: Warroom) -> None:
    given = ("--set", "services=Checkout", "--set", "symptom=timeouts, over soon")
    console.quick("message", "draft", "status-identified", *given)
    assert console.within("--as", "ana", "message", "approve").code == 3
    (shown,) = console.quick("message", "show", "--json").values
    assert [each["code"] for each in shown["findings"]] == ["vague:soon"]
    name = shown["message"][:6]
    assert console.within("message", "waive", name, "vague:soon").code == 3
    console.quick("message", "waive", name, "vague:soon", "--reason", "quoted")
    refused = console.within("--as", "ben", "message", "approve")
    assert refused.code == 3
    assert "ana (incident commander) can" in refused.err
    console.quick("--as", "ana", "message", "approve")
    console.quick("message", "cancel", name, "--reason", "overtaken")
    assert console.within("message", "send", "--to", "status", "--publish").code == 3


def test_senders_are_listed_and_tried_without_sending(console: Warroom, services: Services) -> None:
    assert console.quick("sender").out.count("\n") == 5
    tried = console.within("sender", "test", more={"TEST_TOKEN": ""})
    assert tried.code == 1
    assert "TEST_TOKEN" in tried.out
    assert SECRET not in tried.out + tried.err
    assert console.quick("sender", "test", "pager").code == 0
    assert {each.method for each in services.taken} == {"HEAD"}
    assert console.within("sender", "test", "nobody").code == 3


def test_a_page_from_a_shell(console: Warroom, services: Services) -> None:
    paged = console.quick("page", "--reason", "double charges go on")
    assert "pager: sent" in paged.out
    console.quick("page", "--resolve", "--reason", "contained")
    (events,) = services.alerts.values()
    assert [each["event_action"] for each in events] == ["trigger", "resolve"]
    assert "double charges go on" in events[0]["payload"]["summary"]
    lost = console.within("page", "platform-oncall", "--reason", "3 errors")
    assert lost.code == 3
    assert "contacts of a [[sender]]" in lost.err


def test_each_message_can_be_seen_as_json_and_nothing_typed_is_lost(console: Warroom) -> None:
    listed = console.quick("message", "templates", "--json").values
    assert {"internal-update", "status-resolved", "incident-letter", "board"} <= {
        each["template"] for each in listed
    }
    console.quick("message", "draft", "pins")
    console.quick(
        "message",
        "edit",
        "--text",
        "-",
        stdin="Runbook: a\nDashboards: b\nOn-call rotation: c\nLatest status: d",
    )
    (shown,) = console.quick("message", "show", "--json").values
    assert (shown["body"].count("\n"), shown["findings"]) == (3, [])
    for wrong in (
        ["draft", "nothing"],
        ["draft"],
        ["show", "ffff"],
        ["edit"],
        ["settle"],
        ["edit", "--set", "x"],
    ):
        assert console.within("message", *wrong).code == 3, wrong
    assert json.loads(console.quick("show", "--json").out.splitlines()[0])["messages_unknown"] == 0


def test_without_senders_and_without_messages_the_next_step_is_said(warroom: Warroom) -> None:
    warroom.quick("declare", "refunds issued twice")
    assert "message templates" in warroom.quick("message").out
    assert "[[sender]]" in warroom.within("sender").err
    warroom.quick("message", "draft", "pins")
    refused = warroom.within("message", "send", "--to", "chat", "--publish")
    assert "There is no sender chat" in refused.err
