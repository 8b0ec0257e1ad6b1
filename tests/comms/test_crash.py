"""Kill -9 between request and answer, and what the next console makes of it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Warroom
from tests.comms.conftest import SECRET, Plan, Services
from tests.runner.conftest import until

SETTINGS = """
[[sender]]
name = "pager"
type = "pagerduty"
publish = true
url = "{url}/pagerduty"
token_env = "TEST_TOKEN"
timeout = "60 s"

[[sender]]
name = "chat"
type = "slack"
publish = true
token_env = "TEST_SLACK"
timeout = "60 s"

[[sender]]
name = "hook"
type = "webhook"
publish = true
url = "{url}/hook"
token_env = "TEST_TOKEN"
timeout = "60 s"

[[sender]]
name = "status"
type = "statuspage"
publish = true
url = "{url}/statuspage"
page = "p1"
token_env = "TEST_TOKEN"
timeout = "60 s"

[[sender]]
name = "file"
type = "file"
path = "{folder}/messages.jsonl"
"""
FACTS = [
    word
    for fact in (
        "workflow=refunds",
        "impact=3 % fail",
        "contained=nothing yet",
        "investigating=cache",
        "trace_ids=4bf",
    )
    for word in ("--set", fact)
]


@pytest.fixture
def console(warroom: Warroom, services: Services, tmp_path: Path) -> Warroom:
    folder = tmp_path / "config" / "warroom"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(SETTINGS.format(url=services.url, folder=tmp_path))
    warroom.environment |= {"TEST_TOKEN": SECRET, "TEST_SLACK": f"{services.url}/slack/{SECRET}"}
    warroom.ok("--as", "ana", "declare", "refunds issued twice")
    return warroom


async def killed(console: Warroom, services: Services, kind: str, *words: str) -> None:
    """Run a command that sends, and kill its process while the service has the request and does not answer."""
    before = len(services.asked(kind))
    process = subprocess.Popen(  # noqa: ASYNC220
        [*console.command, "--as", "ana", *words], env=console.environment, cwd=console.folder,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    await until(lambda: len(services.asked(kind)) > before)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def state(console: Warroom) -> dict[str, str]:
    """The newest message: sender to what became of it."""
    newest = console.ok("message", "list", "--json").values[-1]
    return {each["sender"]: each["state"] for each in newest["deliveries"]}


async def settled(console: Warroom, *words: str) -> dict[str, str]:
    """Go on until nothing is on its way any more; looking alone starts nothing."""
    assert "trying" in state(console).values()
    found: dict[str, str] = {}

    def over() -> bool:
        nonlocal found
        console("message", "resume")
        found = state(console)
        return not {"trying", "queued", "retry"} & set(found.values())

    await until(over)
    return found


@pytest.mark.parametrize("took", [True, False])
async def test_a_page_whose_console_was_killed_is_repeated_and_is_the_same_alert(
    console: Warroom, services: Services, took: bool
) -> None:
    services.plan("pagerduty", Plan(hangs=True, takes=took))
    await killed(console, services, "pagerduty", "page", "--to", "pager", "--reason", "3 errors")
    assert await settled(console) == {"pager": "sent"}
    (events,) = services.alerts.values()
    assert len(events) == 1 + took


async def test_a_webhook_gets_the_same_key_again(console: Warroom, services: Services) -> None:
    console.ok("message", "draft", "internal-update", *FACTS)
    services.plan("hook", Plan(hangs=True, takes=True))
    await killed(console, services, "hook", "message", "send", "--to", "hook", "--to", "file", "--publish")
    assert await settled(console) == {"hook": "sent", "file": "sent"}
    assert len(services.asked("hook", "POST")) == 2
    assert len(services.hooks) == 1
    assert len((console.folder / "messages.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize("took", [True, False])
async def test_slack_is_not_asked_again_and_a_person_is(
    console: Warroom, services: Services, took: bool
) -> None:
    console.ok("message", "draft", "internal-update", *FACTS)
    services.plan("slack", Plan(hangs=True, takes=took))
    await killed(console, services, "slack", "message", "send", "--to", "chat", "--publish")
    assert await settled(console) == {"chat": "unknown"}
    assert len(services.asked("slack")) == 1
    refused = console("message", "send", "--to", "chat", "--publish")
    assert refused.code == 3
    assert "message settle" in refused.err
    assert "NOBODY KNOWS" in console.ok("show").out
    word = "sent" if took else "not"
    newest = console.ok("message", "list", "--json").values[-1]["message"]
    console.ok("message", "settle", newest, word, "--to", "chat", "--reason", "looked into the channel")
    if not took:
        console.ok("message", "send", "--to", "chat", "--publish")
    assert state(console) == {"chat": "sent"}
    assert len(services.channel) == 1


@pytest.mark.parametrize("took", [True, False])
async def test_a_status_page_is_looked_at_and_gets_one_incident(
    console: Warroom, services: Services, took: bool
) -> None:
    console.ok(
        "message", "draft", "status-identified", "--set", "services=Checkout", "--set", "symptom=timeouts"
    )
    console.ok("--as", "ana", "message", "approve")
    services.plan("POST statuspage", Plan(hangs=True, takes=took))
    await killed(console, services, "statuspage", "message", "send", "--to", "status", "--publish")
    assert await settled(console) == {"status": "sent"}
    assert len(services.pages) == 1
    assert len(services.asked("statuspage", "POST")) == 2 - took
