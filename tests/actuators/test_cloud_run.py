"""Cloud Run: a service that settles some time after it was changed, and only changes what the mask names."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from console.containment.actuator import Declined
from console.refusal import Refused
from tests.actuators.conftest import SECRET, TROUBLES, Make, Seen, Site, Start, call, said, survives


class CloudRun(Site):
    def __init__(self) -> None:
        super().__init__()
        self.scaling: dict[str, Any] = {"minInstanceCount": 2, "scalingMode": "AUTOMATIC"}
        self.traffic: list[dict[str, Any]] = [
            {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}
        ]
        self.served = "refunds-00007-new"
        self.generation = self.observed = 7
        self.settles = True

    async def answer(self, request: Seen) -> web.Response:
        path, _, query = request.path.partition("?")
        if request.headers.get("Authorization") != f"Bearer {SECRET}":
            return said({"error": {"code": 401, "status": "UNAUTHENTICATED"}}, 401)
        if path != "/v2/projects/shop/locations/europe-west1/services/refunds":
            return said({"error": {"code": 404, "status": "NOT_FOUND"}}, 404)
        if request.method == "GET":
            return said(self._service())
        assert request.method == "PATCH"
        self.generation += 1
        self.observed += self.settles
        match query:
            case "updateMask=scaling.scalingMode,scaling.manualInstanceCount":
                self.scaling.pop("manualInstanceCount", None)
                self.scaling |= request.value["scaling"]
            case "updateMask=traffic":
                self.traffic = request.value["traffic"]
                (one,) = self.traffic
                self.served = one.get("revision", "refunds-00007-new")
            case _:
                return said({"error": {"code": 400, "status": "INVALID_ARGUMENT"}}, 400)
        return said({"name": "projects/shop/locations/europe-west1/operations/1", "done": False})

    def _service(self) -> dict[str, Any]:
        settled = self.generation == self.observed
        return {
            "generation": str(self.generation),
            "observedGeneration": str(self.observed),
            **({} if settled else {"reconciling": True}),
            "terminalCondition": {"state": "CONDITION_SUCCEEDED" if settled else "CONDITION_RECONCILING"},
            "scaling": self.scaling,
            "traffic": self.traffic,
            "trafficStatuses": [{"revision": self.served, "percent": 100}],
        }


@pytest.fixture
async def run(start: Start[Any]) -> Any:
    return await start(CloudRun())


def options(site: Site, **more: object) -> dict[str, object]:
    known = {"project": "shop", "location": "europe-west1"}
    return {"url": site.url, "token_env": "TEST_TOKEN", **known, **more}


TRAFFIC = {"how": "traffic", "revision": "refunds-00003-old"}


@pytest.mark.parametrize("more", [{}, TRAFFIC, {"instances": 3}])
async def test_it_stops_settles_and_comes_back(more: dict[str, Any], run: Any, made: Make) -> None:
    actuator = made("cloud-run", options(run, **more))
    assert (await actuator.probe(call())).observed == "running"
    for _ in range(2):
        assert not (await actuator.apply(call())).effective
    assert (await actuator.probe(call())).observed == "stopped"
    await actuator.apply(call("restore_agent"))
    assert (await actuator.probe(call("restore_agent"))).observed == "running"
    assert run.scaling["minInstanceCount"] == 2, "what the mask does not name stays"
    assert run.scaling.get("manualInstanceCount") == more.get("instances")


@pytest.mark.parametrize("more", [{}, TRAFFIC])
async def test_one_that_has_not_settled_is_not_proven(more: dict[str, Any], run: Any, made: Make) -> None:
    run.settles = False
    actuator = made("cloud-run", options(run, **more))
    await actuator.apply(call())
    reading = await actuator.probe(call())
    assert reading.observed == "unknown"
    assert "not settled" in reading.note
    run.observed = run.generation
    assert (await actuator.probe(call())).observed == "stopped"


async def test_a_version_of_the_verb_goes_before_the_configured_one(run: Any, made: Make) -> None:
    actuator = made("cloud-run", options(run, how="traffic"))
    with pytest.raises(Declined, match="no revision"):
        await actuator.apply(call("roll_back_release"))
    await actuator.apply(call("roll_back_release", args={"name": "refunds", "version": "refunds-00002-abc"}))
    assert run.served == "refunds-00002-abc"
    with pytest.raises(Declined, match="no revision"):
        await actuator.apply(call("roll_back_release", args={"version": '"}],"x":[{"'}))


async def test_the_dry_run_names_and_a_wrong_token(run: Any, made: Make) -> None:
    actuator = made("cloud-run", options(run))
    plan = actuator.plan(call())
    assert "updateMask=scaling.scalingMode" in plan
    assert SECRET not in plan
    for target in ("../x", "a/b", "", "Refunds", "x" * 64):
        with pytest.raises(Declined):
            await actuator.apply(call(target=target))
    assert not run.seen
    with pytest.raises(Declined, match="404"):
        await actuator.apply(call(target="unheard"))
    with pytest.raises(Declined, match="check the secret"):
        await made("cloud-run", options(run), TEST_TOKEN="another-0123456789").apply(call())


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_whatever_it_does_is_said_in_time(trouble: str, run: Any, made: Make) -> None:
    timeout = 0.5 if trouble in ("hangs", "drips") else 5.0
    await survives(trouble, run, made("cloud-run", options(run)), call(timeout=timeout))
    assert run.scaling["scalingMode"] == "AUTOMATIC"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"how": "delete"}, "`how`"),
        ({"revision": "refunds-1"}, "for traffic"),
        ({"how": "traffic", "instances": 1}, "for scaling"),
        ({"revision": "A"}, "`revision`"),
        ({"instances": 0}, "`instances`"),
        ({"project": "a/b"}, "`project`"),
        ({"token_env": None}, "`token_env` is missing"),
    ],
)
def test_a_mistake_is_said(change: dict[str, Any], words: str, made: Make) -> None:
    site = Site()
    site.url = "https://run.googleapis.com"
    with pytest.raises(Refused, match=words):
        made("cloud-run", options(site, **change))
