"""One halt through every kind of system at once, each a stand-in of its own: proven, and let go on."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from console.config import Config, Point
from console.containment.actuators.registry import KINDS
from console.containment.points import Points
from console.room import Room
from tests.actuators import test_flag_file
from tests.actuators.conftest import ENVIRONMENT, Start
from tests.actuators.test_cloud_run import CloudRun
from tests.actuators.test_command import FLAG
from tests.actuators.test_flags import LaunchDarkly, Unleash
from tests.actuators.test_gateways import ID
from tests.actuators.test_gateways import Gateway as ContextForge
from tests.actuators.test_http import Gateway, options
from tests.actuators.test_kubernetes import Cluster
from tests.actuators.test_litellm import Database, Instance
from tests.containment.conftest import Opened, containing, desk, room

__all__ = ["containing", "desk", "room"]


def point(kind: str, target: str, given: dict[str, Any]) -> Point:
    return Point(kind, kind, targets=(f"{target} refunds",), options=given)


@pytest.mark.req("S003-KS-1", "S003-KS-6")
async def test_every_kind_takes_part_in_one_halt(
    start: Start[Any], room: Room, containing: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    flags = tmp_path / "flags.json"
    flags.write_text(json.dumps(test_flag_file.FLAGS))
    gateway, cluster, run = await start(Gateway()), await start(Cluster()), await start(CloudRun())
    database = Database()
    models = [await start(Instance(database)) for _ in range(2)]
    dark, unleash = await start(LaunchDarkly()), await start(Unleash())
    servers, peers = await start(ContextForge("gateways")), await start(ContextForge("a2a"))
    token = {"token_env": "TEST_TOKEN"}
    flag = {**token, "environment": "production", "flag": "{agent}-enabled"}
    off = str(tmp_path / "{target}.off")
    known = [
        point("http", "refunds", options(gateway)),
        point("command", "worker", {
            "stop": [*FLAG, "off", off], "restore": [*FLAG, "on", off], "probe": ["test", "-e", off], "seconds": 20,
        }),
        point("flag-file", "refunds", {"path": str(flags)}),
        point("launchdarkly", "refunds", {**flag, "url": dark.url, "project": "agents"}),
        point("unleash", "refunds", {**flag, "url": unleash.url}),
        point("litellm", sha256(ENVIRONMENT["TEST_KEY"].encode()).hexdigest(), {
            **token, "instances": [each.url for each in models], "key": "TEST_KEY",
        }),
        point("kubernetes", "deployment/refunds", {**token, "url": cluster.url, "namespace": "agents"}),
        point("mcp-gateway", ID, {**token, "url": f"{servers.url}/v1"}),
        point("a2a-gateway", ID, {**token, "url": f"{peers.url}/v1"}),
        point("cloud-run", "refunds", {**token, "url": run.url, "project": "shop", "location": "europe-west1"}),
    ]  # fmt: skip
    # A person answers for a step by hand, and queues are held rather than stopped (tests/moves/test_queues.py).
    stopping = set(KINDS) - {"manual", "http-queue", "command-queue"}
    assert {each.actuator for each in known} == stopping
    carries = await containing(Points(Config(points=tuple(known))))

    name = await carries.order(
        room, "halt_agent", scope="agent", subject="refunds", reason="double refunds", budget=60
    )
    await carries.finished(name)
    order = room.incident.moves.orders[name]
    assert order.judged is not None
    assert order.judged.verdict == "pass", [(each.target.id, each.state, each.note) for each in order.targets]
    assert {each.state for each in order.targets} == {"verified"}
    assert {each.target.point for each in order.targets} == stopping
    assert cluster.objects["deployments", "refunds"]["replicas"] == 0
    assert gateway.halted
    assert not dark.on["production"]

    names = [each.target.id for each in order.targets]
    back = await carries.restore(room, name, names, "the fix is out")
    await carries.finished(back)
    restored = room.incident.moves.orders[back]
    assert restored.judged is not None
    assert restored.judged.verdict == "pass", [
        (each.target.id, each.state, each.note) for each in restored.targets
    ]
    assert cluster.objects["deployments", "refunds"]["replicas"] == 3
    assert json.loads(flags.read_text()) == test_flag_file.FLAGS
    assert dark.on["production"]
