"""A configuration of warroom that sees the fleet: its telemetry, what its agents are declared to do, and its points."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from console.fleet import http
from console.fleet.plan import SEARCH, TRADES, Plan, classes
from console.fleet.systems import SYSTEMS
from console.fleet.telemetry import FILE as ACTIONS
from console.fleet.telemetry import SECOND, Telemetry
from console.fleet.tools import MODEL, PRICE
from console.fleet.undo import SCRIPT

FILE = "config.toml"
AGENTS = "agents.targets"
"""File with the targets of the point for agents, one a line; those that come late are added."""
CLASSES = {
    1: "database-writes",
    2: "external-calls",
    3: "customer-messages",
    4: "documents",
    5: "code",
    6: "access",
    7: "knowledge",
}
"""Ids of the documents in `playbooks/rollback`."""
ROOM = 3
"""A ceiling is that many times what an agent spends or calls in an hour at rest."""
KNOWN_FOR = 26 * 3600 * SECOND
"""How long the agents have been known to the tripwires when the fleet starts for the first time, ns."""


def write(root: Path, plan: Plan) -> None:
    """Write the configuration, once the services have an address."""
    lines = [*_house(root, plan), *_inventory(plan), *_points(root, plan), *_reversals(root)]
    (root / FILE).write_text("\n".join(lines) + "\n", "utf-8")


def targets(root: Path, plan: Plan, started: Iterable[str], ports: Mapping[str, int]) -> None:
    """Write who can be halted now: `TARGET AGENT` a line, as `targets_file` of a point takes it."""
    if plan.direct:
        lines = [f"127.0.0.1:{ports[name]} {name}" for name in started if name in ports]
    else:
        lines = [f"{name} {name}" for name in started]
    temporary = root / f"{AGENTS}.new"
    temporary.write_text("\n".join(lines) + "\n", "utf-8")
    temporary.replace(root / AGENTS)


def _house(root: Path, plan: Plan) -> list[str]:
    lines = [f"home = {_text(root if plan.drill else root / 'home')}", "", "[intake]", "enabled = false"]
    # A drill's watcher reads this file of its home by itself.
    if not plan.drill:
        lines += ["", "[[source]]", f"path = {_text(root / ACTIONS)}"]
    if plan.warden:
        lines += [
            "",
            "[warden]",
            f"url = {_text(plan.warden)}",
            f"directory = {_text(plan.warden_directory)}",
        ]
    return lines


def _inventory(plan: Plan) -> list[str]:
    """What each trade is declared to do. Thinking and acting are two calls."""
    hourly = plan.rate * 3600 * ROOM
    lines = []
    for place, trade in enumerate(TRADES):
        tools = [*(SYSTEMS[number].tool for number in classes(place)), SEARCH]
        lines += ["", "[[agent]]", f"name = {_text(f'{trade}-*')}", 'owner = "fleet operations"']
        lines += [f"tools = {json.dumps(tools)}"]
        lines += [f"cost_ceiling = {max(0.01, hourly * PRICE / 1e9):.2f}"]
        lines += [f"calls_ceiling = {max(10, int(hourly * 2))}"]
    return lines


def _points(root: Path, plan: Plan) -> list[str]:
    """The points: every agent, every tool, and the queue."""
    base = f"http://{(root / http.ADDRESS).read_text()}"
    agent = "http://{target}" if plan.direct else f"{base}/agents/{{agent}}"
    order = '{"order":"{order}","epoch":{epoch},"reason":"{reason}"}'
    observed = ('field = "observed", equals = "stopped"', 'field = "observed", equals = "running"')
    held = ('field = "held", equals = "true"', 'field = "held", equals = "false"')
    agents = f"{base}/agents/{{agent}}/probe?order={{order}}"
    tools = [*(system.tool for system in SYSTEMS.values()), SEARCH]
    return [
        *_point("agents", "agent", [f"targets_file = {_text(AGENTS)}"], ["halt_agent", "restore_agent"]),
        *_requests(f"{agent}/halt", f"{agent}/resume", agents, observed, order),
        *_point("tools", "tool", [f"targets = {json.dumps(tools)}"], ["halt_tool", "restore_tool"]),
        *_requests(
            f"{base}/tools/{{target}}/halt",
            f"{base}/tools/{{target}}/resume",
            f"{base}/tools/{{target}}",
            observed,
        ),
        *_point("queue", "queue", ['queue = "payments"'], ["quarantine_actions", "release_actions"]),
        *_requests(f"{base}/queue/hold", f"{base}/queue/open", f"{base}/queue", held),
        *("[points.options.list]", f"url = {_text(f'{base}/queue')}"),
        *("[points.options.fields]", 'items = "pending"'),
        *("[points.options.release]", f"url = {_text(f'{base}/queue/{{target}}/release')}", "body = '{}'"),
        *("[points.options.drop]", f"url = {_text(f'{base}/queue/{{target}}/drop')}", "body = '{}'"),
    ]


def _point(name: str, kind: str, targets: list[str], verbs: list[str]) -> list[str]:
    actuator = "http-queue" if kind == "queue" else "http"
    head = [
        "",
        "[[points]]",
        f"name = {_text(name)}",
        f"kind = {_text(kind)}",
        f"actuator = {_text(actuator)}",
    ]
    return [
        *head,
        *targets,
        f"verbs = {json.dumps(verbs)}",
        "[points.options]",
        f"token_file = {_text(http.TOKEN)}",
    ]


def _requests(stop: str, restore: str, probe: str, looks: tuple[str, str], body: str = "{}") -> list[str]:
    lines = []
    for name, url in (("stop", stop), ("restore", restore)):
        lines += [
            f"[points.options.{name}]",
            f"url = {_text(url)}",
            f"body = {_text(body)}",
            "effective = true",
        ]
    lines += ["[points.options.probe]", f"url = {_text(probe)}"]
    return [*lines, f"stopped = {{ {looks[0]} }}", f"running = {{ {looks[1]} }}"]


def _reversals(root: Path) -> list[str]:
    """What undoes one effect of each class. The ledger knows the classes by the ids of their documents."""
    lines = []
    for number, name in CLASSES.items():
        program = [str(root / SCRIPT), str(number), "{key}"]
        lines += ["", "[[reversal]]", f"class = {_text(name)}", f"command = {json.dumps(program)}"]
        for setting, option in (("dry_run", "--dry-run"), ("check", "--check")):
            lines.append(f"{setting} = {json.dumps([program[0], option, *program[1:]])}")
        if number == 2:
            lines.append('warns = "it refunds money in the books of the payment service"')
    return lines


def past(root: Path, plan: Plan) -> None:
    """Before the first start: let the agents be known for a day, with the endpoints that they use."""
    if (root / ACTIONS).exists():
        return
    telemetry = Telemetry(root)
    at = time.time_ns() - KNOWN_FOR
    for agent in plan.agents:
        name, tenant = agent.name, agent.tenant
        telemetry.tell(
            at, name, tenant, f"{name}.past", kind="model", model=MODEL, side_effect="none", cost=PRICE
        )
        endpoints = {SYSTEMS[number].tool: SYSTEMS[number].endpoint for number in agent.classes}
        for tool, endpoint in {**endpoints, SEARCH: "POST memory.fleet /search"}.items():
            telemetry.tell(
                at,
                name,
                tenant,
                f"{name}.past.{tool}",
                kind="tool",
                tool=tool,
                endpoint=endpoint,
                side_effect="none",
                cost=0,
            )


def _text(value: object) -> str:
    # A JSON string is a TOML string.
    return json.dumps(str(value))
