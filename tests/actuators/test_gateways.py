"""A ContextForge gateway: what is registered has an id and a name, and is enabled or not."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from console.containment.actuator import Declined
from tests.actuators.conftest import SECRET, TROUBLES, Make, Seen, Site, Start, call, said, survives

ID = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba98-7654-3210-fedc-ba9876543210"
PATHS = {"mcp-gateway": "gateways", "a2a-gateway": "a2a"}


class Gateway(Site):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.rows = {
            ID: {"id": ID, "name": "payments", "enabled": True, "reachable": True},
            OTHER: {"id": OTHER, "name": "mail", "enabled": True, "reachable": True},
        }
        self.deaf = self.leaves_tools = self.pages = False

    async def answer(self, request: Seen) -> web.Response:
        path, _, query = request.path.partition("?")
        if request.headers.get("Authorization") != f"Bearer {SECRET}":
            return said({"detail": "Invalid authentication credentials"}, 401)
        match request.method, path.removeprefix("/v1/").split("/"):
            case "GET", [self.path]:
                assert query == "include_inactive=true&limit=0"
                return said(
                    {"rows": [*self.rows.values()], "nextCursor": None}
                    if self.pages
                    else [*self.rows.values()]
                )
            case "GET", [self.path, name] if name in self.rows:
                return said(self.rows[name])
            case "POST", [self.path, name, "state"] if name in self.rows:
                assert query in ("activate=true", "activate=false")
                if not self.deaf:
                    self.rows[name]["enabled"] = query == "activate=true"
                return said({"status": "success", "message": "changed"})
            case "GET", ["tools"] if self.path == "gateways":
                offers = self.rows[query.removeprefix("gateway_id=")]["enabled"] or self.leaves_tools
                return said([{"name": "pay"}, {"name": "refund"}] if offers else [])
        return said({"detail": "Not found"}, 404)


@pytest.fixture(params=PATHS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def gateway(kind: str, start: Start[Any]) -> Any:
    return await start(Gateway(PATHS[kind]))


def options(gateway: Site, **more: object) -> dict[str, object]:
    return {"url": f"{gateway.url}/v1", "token_env": "TEST_TOKEN", **more}


VERBS = {
    "mcp-gateway": ("disable_mcp_server", "enable_mcp_server"),
    "a2a-gateway": ("block_a2a_peer", "unblock_a2a_peer"),
}


@pytest.mark.parametrize("target", [ID, "payments"])
@pytest.mark.parametrize("pages", [False, True])
async def test_it_is_disabled_by_id_or_name_and_enabled_again(
    target: str, pages: bool, kind: str, gateway: Any, made: Make
) -> None:
    gateway.pages = pages
    stop, restore = VERBS[kind]
    actuator = made(kind, options(gateway))
    assert (await actuator.probe(call(stop, target))).observed == "running"
    for _ in range(2):
        assert not (await actuator.apply(call(stop, target))).effective
    assert (await actuator.probe(call(stop, target))).observed == "stopped"
    assert gateway.rows[OTHER]["enabled"]
    await actuator.apply(call(restore, target))
    assert (await actuator.probe(call(restore, target))).observed == "running"


async def test_one_that_says_ok_and_does_nothing_is_seen(kind: str, gateway: Any, made: Make) -> None:
    gateway.deaf = True
    actuator = made(kind, options(gateway))
    await actuator.apply(call(target=ID))
    assert (await actuator.probe(call(target=ID))).observed == "running"


async def test_tools_that_are_still_offered_are_not_stopped(start: Start[Any], made: Make) -> None:
    gateway = await start(Gateway("gateways"))
    gateway.leaves_tools = True
    actuator = made("mcp-gateway", options(gateway))
    await actuator.apply(call(target=ID))
    reading = await actuator.probe(call(target=ID))
    assert reading.observed == "running"
    assert "2 of its tools" in reading.note


async def test_a_name_that_means_nothing_or_two_is_declined(kind: str, gateway: Any, made: Make) -> None:
    actuator = made(kind, options(gateway))
    with pytest.raises(Declined, match="knows no"):
        await actuator.apply(call(target="unheard"))
    gateway.rows[OTHER]["name"] = "payments"
    with pytest.raises(Declined, match="more than one"):
        await actuator.apply(call(target="payments"))
    gateway.rows[OTHER] |= {"name": "odd", "id": "../../tokens"}
    with pytest.raises(Declined):
        await actuator.apply(call(target="odd"))
    assert all(each.method == "GET" for each in gateway.seen)


async def test_the_dry_run_and_a_wrong_token(kind: str, gateway: Any, made: Make) -> None:
    plan = made(kind, options(gateway)).plan(call(target=ID))
    assert f"/v1/{PATHS[kind]}/{ID}/state?activate=false" in plan
    assert SECRET not in plan
    assert not gateway.seen
    with pytest.raises(Declined, match="check the secret"):
        await made(kind, options(gateway), TEST_TOKEN="another-0123456789").apply(call(target=ID))


@pytest.mark.parametrize("target", [ID, "payments"])
@pytest.mark.parametrize("trouble", TROUBLES)
async def test_whatever_it_does_is_said_in_time(
    trouble: str, target: str, kind: str, gateway: Any, made: Make
) -> None:
    timeout = 0.5 if trouble in ("hangs", "drips") else 5.0
    await survives(trouble, gateway, made(kind, options(gateway)), call(target=target, timeout=timeout))
    assert gateway.rows[ID]["enabled"]
