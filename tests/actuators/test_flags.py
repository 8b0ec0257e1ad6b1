"""LaunchDarkly and Unleash: servers with their state that refuse what the real ones would."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from console.containment.actuator import Declined
from console.refusal import Refused
from tests.actuators.conftest import SECRET, TROUBLES, Make, Seen, Site, Start, call, said, survives


class LaunchDarkly(Site):
    """REST API v2: one flag in two environments."""

    def __init__(self) -> None:
        super().__init__()
        self.on = {"production": True, "staging": True}
        self.comments: list[str] = []
        self.deaf = False

    async def answer(self, request: Seen) -> web.Response:
        path, _, query = request.path.partition("?")
        if request.headers.get("Authorization") != SECRET:
            return said({"code": "unauthorized", "message": "Invalid account ID header"}, 401)
        if path != "/api/v2/flags/agents/refunds-enabled":
            return said({"code": "not_found", "message": "Unknown flag key"}, 404)
        if request.method == "GET":
            return said(
                {"key": "refunds-enabled", "environments": {n: {"on": on} for n, on in self.on.items()}}
            )
        assert query == "ignoreConflicts=true"
        if request.headers["Content-Type"] != "application/json; domain-model=launchdarkly.semanticpatch":
            return said({"code": "invalid_request", "message": "json patch expected"}, 400)
        patch: dict[str, Any] = request.value
        for each in patch["instructions"]:
            if each["kind"] not in ("turnFlagOff", "turnFlagOn"):
                return said({"code": "invalid_request", "message": "unknown instruction"}, 400)
            if not self.deaf:
                self.on[patch["environmentKey"]] = each["kind"] == "turnFlagOn"
        self.comments.append(patch["comment"])
        return said({"key": "refunds-enabled"})


class Unleash(Site):
    """The admin API: one flag."""

    def __init__(self) -> None:
        super().__init__()
        self.on = {"production": True}
        self.deaf = False

    async def answer(self, request: Seen) -> web.Response:
        if request.headers.get("Authorization") != SECRET:
            return said({"name": "AuthenticationRequired"}, 401)
        start = "/api/admin/projects/default/features/refunds-enabled/environments/production"
        match request.method, request.path.removeprefix(start):
            case "GET", "":
                return said({"name": "production", "enabled": self.on["production"], "type": "production"})
            case "POST", "/off" | "/on" as to:
                if not self.deaf:
                    self.on["production"] = to == "/on"
                return web.Response(status=200)
        return said({"name": "NotFoundError", "message": "Could not find feature"}, 404)


SITES: dict[str, type[LaunchDarkly] | type[Unleash]] = {"launchdarkly": LaunchDarkly, "unleash": Unleash}


@pytest.fixture(params=SITES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def site(kind: str, start: Start[Any]) -> Any:
    return await start(SITES[kind]())


def options(kind: str, site: Site, **more: object) -> dict[str, object]:
    own = {"project": "agents"} if kind == "launchdarkly" else {}
    named = {"environment": "production", "flag": "{target}-enabled"}
    return {"url": site.url, "token_env": "TEST_TOKEN", **named, **own, **more}


async def test_a_flag_is_turned_off_read_back_and_turned_on(kind: str, site: Any, made: Make) -> None:
    actuator = made(kind, options(kind, site))
    assert (await actuator.probe(call())).observed == "running"
    for _ in range(2):
        answer = await actuator.apply(call())
        assert not answer.effective
    assert not site.on["production"]
    assert site.on.get("staging", True)
    assert (await actuator.probe(call())).observed == "stopped"
    await actuator.apply(call("restore_agent"))
    assert site.on["production"]
    assert (await actuator.probe(call("restore_agent"))).observed == "running"


async def test_a_flag_may_stop_by_being_on(kind: str, site: Any, made: Make) -> None:
    site.on["production"] = False
    actuator = made(kind, options(kind, site, stopped="on"))
    assert (await actuator.probe(call())).observed == "running"
    await actuator.apply(call())
    assert site.on["production"]
    assert (await actuator.probe(call())).observed == "stopped"


async def test_one_that_says_ok_and_does_nothing_is_seen(kind: str, site: Any, made: Make) -> None:
    site.deaf = True
    actuator = made(kind, options(kind, site))
    await actuator.apply(call())
    assert (await actuator.probe(call())).observed == "running"


async def test_the_order_and_the_reason_stand_in_the_comment(start: Start[Any], made: Make) -> None:
    site = await start(LaunchDarkly())
    actuator = made("launchdarkly", options("launchdarkly", site))
    await actuator.apply(call(reason='double "refunds"\n'))
    assert site.comments == ['halt_agent, order 00112233445566aa: double "refunds"']


async def test_the_dry_run_shows_the_request_and_no_secret(kind: str, site: Any, made: Make) -> None:
    plan = made(kind, options(kind, site)).plan(call())
    assert "refunds-enabled" in plan
    assert "TEST_TOKEN" in plan
    assert SECRET not in plan
    assert not site.seen


async def test_a_canary_that_still_gets_through_overrules_the_flag(
    kind: str, site: Any, start: Start[Any], made: Make
) -> None:
    class Tool(Site):
        denies = False

        async def answer(self, request: Seen) -> web.Response:
            assert "Authorization" not in request.headers, "the secret is for the system only"
            return said({}, 403 if self.denies else 200)

    tool = await start(Tool())
    canary = {
        "url": f"{tool.url}/call?agent={{agent}}",
        "stopped": {"status": [403]},
        "running": {"status": [200]},
    }
    actuator = made(kind, options(kind, site, canary=canary))
    await actuator.apply(call())
    assert (await actuator.probe(call())).observed == "running"
    tool.denies = True
    assert (await actuator.probe(call())).observed == "stopped"
    tool.trouble = "500"
    assert (await actuator.probe(call())).observed == "unknown"
    tool.trouble, site.on["production"] = "", True
    assert (await actuator.probe(call())).observed == "running"


async def test_no_target_leads_to_another_flag_or_place(kind: str, site: Any, made: Make) -> None:
    actuator = made(kind, options(kind, site, flag="{target}"))
    for target in ("../../x", "a/b", "..", "", "x y\n"):
        with pytest.raises(Declined):
            await actuator.apply(call(target=target))
    assert not site.seen
    with pytest.raises(Declined, match="404"):
        await actuator.apply(call(target="refunds-enabled?x=1#y%2f"))
    assert "%3Fx%3D1%23y%252f" in site.seen[0].path


async def test_a_wrong_token_is_said(kind: str, site: Any, made: Make) -> None:
    actuator = made(kind, options(kind, site), TEST_TOKEN="another-0123456789")
    with pytest.raises(Declined, match="check the secret"):
        await actuator.apply(call())
    assert (await actuator.probe(call())).observed == "unknown"
    assert site.on["production"]


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_whatever_it_does_is_said_in_time(trouble: str, kind: str, site: Any, made: Make) -> None:
    timeout = 0.5 if trouble in ("hangs", "drips") else 5.0
    await survives(trouble, site, made(kind, options(kind, site)), call(timeout=timeout))
    assert site.on["production"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "gateway"}, "`url` is no address"),
        ({"url": "http://flags.example.com"}, "in the clear"),
        ({"environment": "a/b"}, "`environment`"),
        ({"stopped": "paused"}, "`stopped`"),
        ({"token_env": None}, "`token_env` is missing"),
        ({"canary": {"url": "https://a/"}}, "`canary`"),
    ],
)
def test_a_mistake_is_said(change: dict[str, object], words: str, kind: str, made: Make) -> None:
    site = Site()
    site.url = "https://flags.example.com"
    with pytest.raises(Refused, match=words):
        made(kind, options(kind, site, **change))
