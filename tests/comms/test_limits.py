"""The limits that each service documents: the server of these tests enforces them, and no letter goes over one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from console.comms import formats, senders
from console.comms import outbox as outboxes
from console.comms.formats import Json, Letter
from console.comms.messenger import Messenger
from console.config import Sender
from tests.comms.conftest import SECRET, Plan, Services, Taken
from tests.comms.test_outbox import drafted, ended, status

BETWEEN = outboxes.BETWEEN
"""Seconds between two parts, as they are outside of these tests."""
BEARER = {"Authorization": f"Bearer {SECRET}"}
OAUTH = {"Authorization": f"OAuth {SECRET}"}
PLAIN = Letter(
    "k", "c" * 26, "INC-1", "refunds", 2, "live", "internal", "identified", "subject", "3 % fail", 1_795_269_600_000_000_000,
    name="Incident: Checkout",
)  # fmt: skip
LONG = PLAIN._replace(subject="s" * 2000, name="n" * 2000, case="c" * 400, body="b" * 16_000)


def incident(value: Json, **changes: Any) -> Json:
    """The same incident of a status page with other fields."""
    return {"incident": value["incident"] | changes}


def event(**payload: Any) -> Json:
    """An event of PagerDuty with another payload."""
    made = formats.pagerduty(PLAIN, SECRET)
    return made | {"payload": made["payload"] | payload}


def blocks(*sizes: int, kind: str = "section") -> Json:
    """A message to Slack whose blocks have texts of these lengths."""
    text = "plain_text" if kind == "header" else "mrkdwn"
    return {
        "text": "t",
        "blocks": [{"type": kind, "text": {"type": text, "text": "x" * size}} for size in sizes],
    }


class Request(NamedTuple):
    """A request that breaks one rule."""

    path: str
    value: Json
    headers: Mapping[str, str] = MappingProxyType({})


BROKEN = {
    "pagerduty: summary of 1,025": Request("/pagerduty/v2/enqueue", event(summary="x" * 1025)),
    "pagerduty: no summary": Request("/pagerduty/v2/enqueue", event(summary="")),
    "pagerduty: no source": Request("/pagerduty/v2/enqueue", event(source="")),
    "pagerduty: another severity": Request("/pagerduty/v2/enqueue", event(severity="sev1")),
    "pagerduty: a time without its zone": Request("/pagerduty/v2/enqueue", event(timestamp="2026-11-21T14:00:00")),
    "pagerduty: an unknown field": Request("/pagerduty/v2/enqueue", event(colour="red")),
    "pagerduty: dedup_key of 256": Request("/pagerduty/v2/enqueue", event() | {"dedup_key": "x" * 256}),
    "pagerduty: another action": Request("/pagerduty/v2/enqueue", event() | {"event_action": "page"}),
    "pagerduty: another key": Request("/pagerduty/v2/enqueue", event() | {"routing_key": "other"}),
    "pagerduty: more than 512 KB": Request("/pagerduty/v2/enqueue", event(custom_details={"x": "y" * 524_288})),
    "slack: 51 blocks": Request(f"/slack/{SECRET}", blocks(*[1] * 51)),
    "slack: section of 3,001": Request(f"/slack/{SECRET}", blocks(3001)),
    "slack: header of 151": Request(f"/slack/{SECRET}", blocks(151, kind="header")),
    "slack: 13,201 characters in all": Request(f"/slack/{SECRET}", blocks(3000, 3000, 3000, 3000, 1201)),
    "slack: an empty block": Request(f"/slack/{SECRET}", blocks(0)),
    "slack: another address": Request("/slack/other", blocks(1)),
    "statuspage: no key": Request("/statuspage/v1/pages/p1/incidents", formats.statuspage(PLAIN)),
    "statuspage: another page": Request("/statuspage/v1/pages/p2/incidents", formats.statuspage(PLAIN), OAUTH),
    "statuspage: another state": Request(
        "/statuspage/v1/pages/p1/incidents", incident(formats.statuspage(PLAIN), status="fixed"), OAUTH),
    "statuspage: no name": Request(
        "/statuspage/v1/pages/p1/incidents", incident(formats.statuspage(PLAIN), name=""), OAUTH),
    "statuspage: nobody said whether to tell": Request(
        "/statuspage/v1/pages/p1/incidents", incident(formats.statuspage(PLAIN), deliver_notifications=None), OAUTH),
    "cachet: no token": Request("/cachet/api/incidents", formats.cachet(PLAIN)),
    "cachet: name of 256": Request("/cachet/api/incidents", formats.cachet(PLAIN) | {"name": "n" * 256}, BEARER),
    "cachet: another state": Request("/cachet/api/incidents", formats.cachet(PLAIN) | {"status": 5}, BEARER),
    "cachet: no message": Request("/cachet/api/incidents", formats.cachet(PLAIN) | {"message": ""}, BEARER),
    "webhook: another signature": Request("/hook", formats.plain(PLAIN), {
        "X-Warroom-Timestamp": "1", "X-Warroom-Signature": "v1=" + "0" * 64, "Idempotency-Key": "k"}),
    "webhook: another time than was signed": Request("/hook", formats.plain(PLAIN), {
        "X-Warroom-Timestamp": "2", "Idempotency-Key": "k",
        "X-Warroom-Signature": formats.signature(SECRET, 1, formats.encoded(formats.plain(PLAIN)))}),
}  # fmt: skip


@pytest.mark.parametrize("rule", BROKEN)
def test_the_server_refuses_what_breaks_a_rule(services: Services, rule: str) -> None:
    path, value, headers = BROKEN[rule]
    code, _, _ = services.take(Taken("POST", path, dict(headers), formats.encoded(value)))
    assert code == 400
    assert len(services.refused) == 1


@pytest.mark.parametrize("letter", [PLAIN, LONG])
@pytest.mark.parametrize(
    ("path", "headers", "made"),
    [
        ("/pagerduty/v2/enqueue", {}, lambda each: [formats.pagerduty(each, SECRET)]),
        (f"/slack/{SECRET}", {}, formats.slack),
        ("/statuspage/v1/pages/p1/incidents", OAUTH, lambda each: [formats.statuspage(each, ("api", "web"))]),
        ("/cachet/api/incidents", BEARER, lambda each: [formats.cachet(each)]),
    ],
)
def test_no_letter_goes_over_a_limit_however_long_it_is(
    services: Services,
    path: str,
    headers: dict[str, str],
    made: Callable[[Letter], list[Json]],
    letter: Letter,
) -> None:
    for value in made(letter):
        code, _, _ = services.take(Taken("POST", path, headers, formats.encoded(value)))
        assert code < 300, services.refused


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_every_severity_is_one_of_pagerduty(services: Services, severity: int) -> None:
    body = formats.encoded(formats.pagerduty(PLAIN._replace(severity=severity), SECRET))
    assert services.take(Taken("POST", "/pagerduty/v2/enqueue", {}, body))[0] == 202


async def test_an_event_over_512_kb_is_not_even_sent(services: Services) -> None:
    setting = Sender("pager", "pagerduty", url=f"{services.url}/pagerduty", token_env="TEST_TOKEN")
    outcome = await senders.make(setting).send(PLAIN._replace(body="x" * 530_000), 0)
    assert (outcome.state, services.taken) == ("refused", [])
    assert "more than PagerDuty takes" in outcome.reason


async def test_each_part_reaches_the_channel_once_at_the_pace_that_it_takes(
    messenger: Messenger, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: list[float] = []
    sleep = asyncio.sleep

    async def recorded(seconds: float) -> None:
        paused.append(seconds)
        await sleep(0 if seconds == BETWEEN else seconds)

    monkeypatch.setattr(asyncio, "sleep", recorded)
    monkeypatch.setattr(outboxes, "BETWEEN", BETWEEN)
    wait = Plan(status=429, headers={"Retry-After": "0"})
    services.plan("slack", Plan(), wait, wait)
    message = await drafted(messenger)
    message = await messenger.edit(message, body=message.body + "\n" + "3 errors\n" * 1700)
    await messenger.send(message, ["chat"])
    found = await ended(messenger, message, "chat")
    assert found["chat"].state == "sent"
    said = [
        block["text"]["text"]
        for each in services.channel
        for block in each["blocks"]
        if block["type"] == "section"
    ]
    assert "".join(said) == message.body
    assert len(services.channel) == 2
    assert len(services.asked("slack")) == 4, "one part was turned away twice"
    assert BETWEEN >= 1.0, "Slack takes one message a second"
    assert BETWEEN in paused


@pytest.mark.parametrize("name", ["status", "cachet"])
@pytest.mark.parametrize(
    ("code", "state", "there"), [(429, "sent", 1), (401, "refused", 0), (422, "refused", 0)]
)
async def test_a_status_page_that_asks_to_wait_is_asked_again_and_one_that_refuses_is_not(
    messenger: Messenger, services: Services, name: str, code: int, state: str, there: int
) -> None:
    kind = "statuspage" if name == "status" else "cachet"
    services.plan(f"POST {kind}", Plan(status=code, headers={"Retry-After": "0"}))
    made = await status(messenger, "identified")
    await messenger.send(made, [name])
    assert (await ended(messenger, made, name))[name].state == state
    assert len(services.asked(kind, "POST")) == (2 if there else 1)
    assert len(services.pages if name == "status" else services.cachet) == there
