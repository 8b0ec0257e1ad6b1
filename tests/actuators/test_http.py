"""The HTTP template against a gateway of agents that keeps its state, and lies when it is told to."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from urllib.parse import unquote

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.containment.actuator import Declined, Unreachable
from console.refusal import Refused
from tests.actuators.conftest import (
    ENVIRONMENT,
    SECRET,
    TROUBLES,
    Make,
    Seen,
    Site,
    Start,
    call,
    said,
    survives,
)


class Gateway(Site):
    """Agents by name; /agents/NAME/halt and /resume tell them, /status/NAME shows them, /canary/NAME calls one."""

    def __init__(self) -> None:
        super().__init__()
        self.halted: dict[str, str] = {}
        self.lies = False
        self.calls = 0

    async def answer(self, request: Seen) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {SECRET}":
            return said({"error": "bad token"}, 401)
        name, _, what = request.path.partition("?")[0].strip("/").partition("/")
        agent, _, verb = what.partition("/")
        if (name, verb) in (("agents", "halt"), ("agents", "resume")):
            key = request.headers["Idempotency-Key"]
            if verb == "halt" and not self.lies:
                self.halted[unquote(agent)] = key
            elif verb == "resume" and not self.lies:
                self.halted.pop(unquote(agent), None)
            return said({"ok": True}, 202)
        if name == "status":
            self.calls += unquote(agent) not in self.halted
            state = "halted" if unquote(agent) in self.halted else "running"
            return said({"agents": [{"state": state}], "calls": self.calls})
        if name == "canary":
            return said({}, 403 if unquote(agent) in self.halted else 200)
        return said({}, 404)


class Elsewhere(Site):
    """Another system, which nobody gave the secret of the gateway."""

    async def answer(self, request: Seen) -> web.Response:
        return said({"state": "halted"})


@pytest.fixture
async def gateway(start: Start[Gateway]) -> Gateway:
    return await start(Gateway())


def options(site: Site, **more: object) -> dict[str, object]:
    return {
        "token_env": "TEST_TOKEN",
        "stop": {
            "url": f"{site.url}/agents/{{target}}/halt?by={{agent}}",
            "body": '{"reason": "{reason}", "epoch": {epoch}, "order": "{order}"}',
            "headers": {"X-Reason": "{reason}", "X-Key": "env:TEST_KEY"},
        },
        "restore": {"url": f"{site.url}/agents/{{target}}/resume"},
        "probe": {
            "url": f"{site.url}/status/{{target}}",
            "stopped": {"field": "agents.0.state", "equals": "halted"},
            "running": {"field": "agents.0.state", "equals": "running"},
        },
        **more,
    }


@pytest.mark.req("S003-KS-2")
async def test_it_stops_an_agent_proves_it_and_lets_it_go_on(gateway: Gateway, made: Make) -> None:
    actuator = made("http", options(gateway))
    assert (await actuator.probe(call())).observed == "running"
    answer = await actuator.apply(call())
    assert not answer.effective
    assert "202" in answer.note
    reading = await actuator.probe(call())
    assert reading.observed == "stopped"
    assert "halted" in reading.note
    assert (await actuator.probe(call(target="billing"))).observed == "running"
    await actuator.apply(call("restore_agent"))
    assert (await actuator.probe(call("restore_agent"))).observed == "running"


async def test_the_request_is_what_the_template_says(gateway: Gateway, made: Make) -> None:
    await made("http", options(gateway)).apply(call(reason="two\nlines “quoted”"))
    (request,) = gateway.seen
    assert request.method == "POST"
    assert request.path == "/agents/refunds/halt?by=refunds"
    assert request.value == {"reason": "two lines “quoted”", "epoch": 7, "order": "00112233445566aa"}
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["X-Reason"] == "two lines ?quoted?"
    assert request.headers["X-Key"] == ENVIRONMENT["TEST_KEY"]
    assert request.headers["X-Warroom-Epoch"] == "7"
    assert request.headers["X-Warroom-Order"] == "00112233445566aa"


async def test_a_repeat_has_the_same_key_and_another_target_another(gateway: Gateway, made: Make) -> None:
    actuator = made("http", options(gateway))
    for target in ("refunds", "refunds", "billing"):
        await actuator.apply(call(target=target))
    keys = [each.headers["Idempotency-Key"] for each in gateway.seen]
    assert keys[0] == keys[1] != keys[2]
    assert keys[0].startswith("00112233445566aa")


async def test_the_dry_run_sends_nothing_and_shows_no_secret(gateway: Gateway, made: Make) -> None:
    plan = made("http", options(gateway)).plan(call())
    assert f"POST {gateway.url}/agents/refunds/halt?by=refunds" in plan
    assert "double refunds" in plan
    assert "TEST_TOKEN" in plan
    assert not gateway.seen
    for secret in ENVIRONMENT.values():
        assert secret not in plan


@pytest.mark.req("S003-KS-1")
async def test_one_that_says_ok_and_goes_on_is_seen_running(gateway: Gateway, made: Make) -> None:
    gateway.lies = True
    actuator = made("http", options(gateway))
    await actuator.apply(call())
    assert (await actuator.probe(call())).observed == "running"


async def test_a_denied_canary_call_is_proof(gateway: Gateway, made: Make) -> None:
    probe = {
        "url": f"{gateway.url}/canary/{{target}}",
        "method": "POST",
        "stopped": {"status": [403]},
        "running": {"status": [200]},
    }
    actuator = made("http", options(gateway, probe=probe))
    assert (await actuator.probe(call())).observed == "running"
    await actuator.apply(call())
    assert (await actuator.probe(call())).observed == "stopped"


async def test_a_counter_that_stands_still_is_proof(gateway: Gateway, made: Make) -> None:
    probe = {"url": f"{gateway.url}/status/{{target}}", "counter": "calls", "flat_seconds": 0.1}
    actuator = made("http", options(gateway, probe=probe))
    assert (await actuator.probe(call())).observed == "running"
    await actuator.apply(call())
    assert (await actuator.probe(call())).observed == "stopped"
    hurried = made("http", options(gateway, probe=probe | {"flat_seconds": 20}))
    assert (await hurried.probe(call(timeout=0.5))).observed == "unknown"


async def test_an_answer_like_neither_proves_nothing(gateway: Gateway, made: Make) -> None:
    probe = {"url": f"{gateway.url}/status/{{target}}", "stopped": {"contains": "terminated"}}
    reading = await made("http", options(gateway, probe=probe)).probe(call())
    assert reading.observed == "unknown"
    assert (await made("http", options(gateway) | {"probe": None}).probe(call())).observed == "unknown"


async def test_a_wrong_token_is_said(gateway: Gateway, made: Make) -> None:
    actuator = made("http", options(gateway), TEST_TOKEN="another-0123456789")
    with pytest.raises(Declined, match="check the secret"):
        await actuator.apply(call())
    assert (await actuator.probe(call())).observed == "unknown"
    assert not gateway.halted


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_whatever_it_does_is_said_in_time(trouble: str, gateway: Gateway, made: Make) -> None:
    timeout = 0.5 if trouble in ("hangs", "drips") else 5.0
    await survives(trouble, gateway, made("http", options(gateway)), call(timeout=timeout))


async def test_a_verb_without_a_request_is_declined(gateway: Gateway, made: Make) -> None:
    actuator = made("http", {key: value for key, value in options(gateway).items() if key != "restore"})
    assert "halt_agent" in actuator.verbs
    assert "restore_agent" not in actuator.verbs
    with pytest.raises(Declined, match="restore_agent"):
        await actuator.apply(call("restore_agent"))
    assert "Nothing is sent" in actuator.plan(call("restore_agent"))
    assert "Nothing is sent" in actuator.plan(call(target=".."))
    assert not gateway.seen


async def test_the_secret_goes_to_no_other_host(
    gateway: Gateway, start: Start[Elsewhere], made: Make
) -> None:
    other = await start(Elsewhere())
    probe = {
        "url": f"{other.url}/look",
        "headers": {"X-Key": "env:TEST_KEY"},
        "stopped": {"field": "state", "equals": "halted"},
    }
    restore = {"url": f"{other.url}/restore"}
    actuator = made("http", options(gateway, probe=probe, restore=restore))
    assert (await actuator.probe(call())).observed == "stopped"
    await actuator.apply(call("restore_agent"))
    assert "TEST_TOKEN" not in actuator.plan(call("restore_agent"))
    assert len(other.seen) == 2
    assert not [each for each in other.seen if "Authorization" in each.headers]
    assert other.seen[0].headers["X-Key"] == ENVIRONMENT["TEST_KEY"]


async def test_each_target_may_have_its_own_address(gateway: Gateway, made: Make) -> None:
    actuator = made("http", {"stop": {"url": "http://{target}/agents/a/halt"}})
    with pytest.raises(Declined, match="check the secret"):  # it was reached, without a secret
        await actuator.apply(call(target=f"127.0.0.1:{gateway.port}"))
    for bad in ("evil@127.0.0.1", "127.0.0.1/x", "a b", "127.0.0.1:1:2", "", "[::1", "a\r\nb"):
        with pytest.raises((Declined, Unreachable)):
            await actuator.apply(call(target=bad))
    assert len(gateway.seen) == 1


async def test_a_secret_never_goes_out_in_the_clear_to_a_host_of_a_target(made: Make) -> None:
    actuator = made("http", {"token_env": "TEST_TOKEN", "stop": {"url": "http://{target}/halt"}})
    with pytest.raises(Declined, match="in the clear"):
        await actuator.apply(call(target="agent-7.example.com"))


HOSTILE = st.text(max_size=60) | st.sampled_from(
    [
        "../../admin",
        "a/../..",
        "x?y=1&z",
        "x#y",
        '"},{"a":"',
        "\\",
        "a\r\nX-Evil: 1",
        "%2e%2e",
        "{order}",
        "\udfff",
        "-rf",
    ]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(target=HOSTILE, agent=HOSTILE, reason=HOSTILE)
async def test_no_value_changes_the_shape_of_a_request(
    gateway: Gateway, made: Make, target: str, agent: str, reason: str
) -> None:
    before = len(gateway.seen)
    what = call(target=target, agent=agent, reason=reason)
    try:
        await made("http", options(gateway)).apply(what)
    except Declined:
        assert len(gateway.seen) == before
        return
    (request,) = gateway.seen[before:]
    shape = re.fullmatch(r"/agents/([^/?#&]+)/halt\?by=([^/?#&]+)", request.path)
    assert shape is not None
    assert [unquote(each) for each in shape.groups()] == [target, agent]
    body = json.loads(request.body)
    assert list(body) == ["reason", "epoch", "order"]
    assert isinstance(body["reason"], str)
    assert "X-Evil" not in request.headers


async def test_no_value_asks_for_a_variable_of_the_environment(gateway: Gateway, made: Make) -> None:
    await made("http", options(gateway)).apply(call(reason="env:TEST_KEY", agent="env:TEST_TOKEN"))
    (request,) = gateway.seen
    assert request.headers["X-Reason"] == "env:TEST_KEY"
    assert "by=env%3ATEST_TOKEN" in request.path


async def test_a_reason_never_keeps_a_halt_from_going_out(gateway: Gateway, made: Make) -> None:
    everywhere = {
        "url": f"{gateway.url}/agents/{{target}}/halt?why={{reason}}",
        "body": '{"reason": "{reason}"}',
        "headers": {"X-Reason": "{reason}"},
    }
    actuator = made("http", options(gateway, stop=everywhere))
    reasons = ["", "../..", "-rf", "a\0b", "é\n“”", "\udfff" * 3, "x" * 100_000, "{target}", "\x1b[31m"]
    for reason in reasons:
        await actuator.apply(call(reason=reason))
    assert len(gateway.seen) == len(reasons)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stop": {"url": "ftp://a/"}}, "`stop.url` is no address"),
        ({"stop": {"url": "https://{agent}/x"}}, "choose the host"),
        ({"stop": {"url": "https://u:p@a/x"}}, "no address"),
        ({"stop": {"url": "https://a/{tagret}"}}, r"\{tagret\}"),
        ({"stop": {"url": "https://a/../{target}"}}, "`..`"),
        ({"stop": {"url": "http://a.example.com/"}}, "in the clear"),
        ({"stop": {"url": "https://a/", "body": "<x>{agent}</x>"}}, "not JSON"),
        ({"stop": {"url": "https://a/", "body": '{"{agent}": 1}'}}, "name of a field"),
        ({"stop": {"url": "https://a/", "headers": {"X-A": "env:TEST_NONE"}}}, "TEST_NONE"),
        ({"stop": {"url": "https://a/", "headers": {"X A": "b"}}}, "no header"),
        ({"stop": {"url": "https://a/", "methd": "PUT"}}, "`stop.methd`.*Did you mean `method`"),
        ({"stop": {"url": "https://a/", "method": "BREW"}}, "`stop.method`"),
        ({"stop": {"url": "https://a/", "expect": [7]}}, "stop.expect"),
        ({"stop": {}}, "`stop.url` is missing"),
        ({"stop": None, "restore": None}, "`stop` is missing"),
        ({"probe": {"url": "https://a/"}}, "how an answer looks"),
        ({"probe": {"url": "https://a/", "stopped": {}}}, "fits every answer"),
        ({"probe": {"url": "https://a/", "stopped": {"field": "x"}}}, "together"),
        ({"token_env": "TEST_NONE"}, "TEST_NONE"),
        ({"token_file": "none", "token_env": None}, "cannot be read"),
        ({"token_file": "none"}, "both set"),
        ({"ca_file": "none"}, "ca_file"),
        ({"tokn_env": "X"}, "Did you mean `token_env`"),
    ],
)  # fmt: skip
def test_a_mistake_is_said_before_anything_happens(change: dict[str, object], words: str, made: Make) -> None:
    base: dict[str, object] = {"token_env": "TEST_TOKEN", "stop": {"url": "https://a/{target}"}}
    with pytest.raises(Refused, match=words):
        made("http", base | change)


async def test_a_secret_of_a_file_is_read_again(gateway: Gateway, made: Make, tmp_path: object) -> None:
    from pathlib import Path

    from console.containment.actuators import client

    file = Path(str(tmp_path)) / "token"
    file.write_text("old-0123456789")
    file.chmod(0o600)
    changed = {key: value for key, value in options(gateway).items() if key != "token_env"}
    actuator = made("http", changed | {"token_file": "token"})
    with pytest.raises(Declined):
        await actuator.apply(call())
    file.write_text(f"{SECRET}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "FRESH", 0.0)
        await actuator.apply(call())
    assert gateway.halted
    file.chmod(0o644)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "FRESH", 0.0)
        with pytest.raises(Declined, match="Others can read"):
            await actuator.apply(replace(call(), target="billing"))
