"""The tools of the agents: they carry calls out, count them and tell them, and refuse when a tool is halted.

This is where side effects happen. An agent that lies about its state lies above this layer, and a tool that is
halted is refused below it.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from console.fleet import http
from console.fleet.plan import PAYOUT, SEARCH, Agent
from console.fleet.systems import SYSTEMS, Effect, Unsure, memory
from console.fleet.tally import Tally
from console.fleet.telemetry import Telemetry

HALTED = "halted-tools.json"
"""File with the names of halted tools."""
QUEUED_FROM = 40_000
"""US cents from which a payment waits in the queue for somebody's veto."""
MODEL = "fleet-small-1"
PRICE = 2_000_000
"""nano-USD of the model call before each action."""
_CUSTOMERS = ("ada", "bela", "chen", "dara", "emil", "fatima")


class ToolHalted(Exception):
    """The tool is halted for every agent."""


def halted(root: Path) -> set[str]:
    """Return the names of halted tools."""
    try:
        return set(json.loads((root / HALTED).read_text("utf-8")))
    except (OSError, ValueError):
        return set()


def set_halted(root: Path, names: set[str]) -> None:
    """Keep which tools are halted; agents see it at their next call."""
    temporary = root / f"{HALTED}.new"
    temporary.write_text(json.dumps(sorted(names)), "utf-8")
    temporary.replace(root / HALTED)


class Tools:
    """The tools in the hand of one agent.

    Args:
        root: the fleet's directory.
        agent: whose.
        row: its place in the tally.
        tally: where calls are counted.
        seed: of its traffic.
    """

    def __init__(self, root: Path, agent: Agent, row: int, tally: Tally, seed: int) -> None:
        self._root, self._agent, self._row, self._tally = root, agent, row, tally
        self._telemetry = Telemetry(root)
        self._random = Random(f"{seed} {agent.name}")  # noqa: S311 - traffic, no secret
        self._run = f"{time.time_ns() // 1_000_000:x}"
        self._number = 0
        self._address = (root / http.ADDRESS).read_text().split(":")

    def choose(self, *, rogue: bool = False) -> str:
        """Return the tool that the agent wants next."""
        tools = (*self._agent.tools, PAYOUT, PAYOUT) if rogue else self._agent.tools
        return self._random.choice(tools)

    def wait(self, rate: float) -> float:
        """Return the seconds until the next action."""
        return self._random.uniform(0.5, 1.5) / rate

    def use(self, tool: str, *, rogue: bool = False) -> str:
        """Think, then call a tool for real. Returns the id of the action.

        Raises:
            ToolHalted: the tool is halted; nothing happened.
        """
        if tool in halted(self._root):
            raise ToolHalted(tool)
        self._number += 1
        id = f"{self._agent.name}.{self._run}.{self._number}"
        self._think(id, rogue=rogue)
        if tool == SEARCH:
            self._search(id)
        elif tool == PAYOUT:
            self._act(2, self._effect(id), rogue=True, tool=PAYOUT, endpoint="POST transfers.fleet /payouts")
        else:
            number = next(number for number, system in SYSTEMS.items() if system.tool == tool)
            self._act(number, self._effect(id), rogue=rogue)
        return id

    def canary(self, nonce: str) -> None:
        """Call a tool that does nothing but say at the fleet's services that the call went through."""
        host, port = self._address
        http.call(host, int(port), "POST", f"/canary/{self._agent.name}/{nonce}", timeout=2)

    def _effect(self, id: str) -> Effect:
        random = self._random
        return Effect(
            id=id,
            agent=self._agent.name,
            tenant=self._agent.tenant,
            at=time.time_ns(),
            to=f"{random.choice(_CUSTOMERS)}@customers.example",
            text=f"Change {random.getrandbits(32):08x} by {self._agent.name}",
            cents=random.randrange(500, 50_000),
        )

    def _think(self, id: str, *, rogue: bool) -> None:
        random = self._random
        self._tell(
            f"{id}.think",
            kind="model",
            model=MODEL,
            tokens_in=random.randrange(500, 2000),
            tokens_out=random.randrange(50, 400),
            cost=int(PRICE * random.uniform(0.5, 1.5)) * (10 if rogue else 1),
            side_effect="none",
        )

    def _search(self, id: str) -> None:
        self._tally.count(self._row, 0)
        with suppress(sqlite3.Error):
            memory.search(self._root, self._agent.name, time.time_ns(), id)
        endpoint = "POST memory.fleet /search"
        self._tell(id, kind="tool", tool=SEARCH, endpoint=endpoint, side_effect="none")

    def _act(self, number: int, effect: Effect, *, rogue: bool, tool: str = "", endpoint: str = "") -> None:
        system = SYSTEMS[number]
        fields: dict[str, Any] = {
            "kind": "tool",
            "tool": tool or system.tool,
            "endpoint": endpoint or system.endpoint,
            "action_class": number,
            "idempotency_key": effect.id,
            "principal": f"{effect.tenant}/operations",
        }
        if number in (1, 2):
            fields["amount"] = f"{effect.cents / 100:.2f} USD"
        if number in (2, 6) and not rogue:
            fields["approval"] = f"approval-{effect.id}"
        if number == 2 and effect.cents >= QUEUED_FROM and not rogue:
            self._queue(effect, fields)
            return
        if system.artifact:
            digest = sha256(effect.text.encode()).hexdigest()[:16]
            fields |= {"artifact": effect.id, "artifact_type": system.artifact, "content_hash": digest}
            fields |= {"kind": "artifact", "customer_visible": True}
            if not rogue:
                self._telemetry.review(
                    effect.at, effect.agent, effect.tenant, effect.id, system.artifact, digest
                )
        self._tally.count(self._row, number)
        try:
            system.act(self._root, effect)
        except (Unsure, OSError, sqlite3.Error, subprocess.SubprocessError):
            fields |= {"side_effect": "unknown", "status": "error"}
        except http.Refusal:
            fields |= {"side_effect": "none", "status": "error"}
        else:
            fields["side_effect"] = "done"
        self._tell(effect.id, **fields)

    def _queue(self, effect: Effect, fields: dict[str, Any]) -> None:
        """Ask for a payment that waits; whoever carries it out tells it."""
        self._tally.count(self._row, 0)
        host, port = self._address
        pending = {"at": effect.at, "payee": effect.to, "cents": effect.cents, "tenant": effect.tenant}
        try:
            http.call(
                host,
                int(port),
                "POST",
                "/queue",
                {**pending, "agent": effect.agent, "fields": fields},
                key=effect.id,
            )
        except (OSError, http.Refusal):
            self._tell(effect.id, **fields, side_effect="none", status="error")

    def _tell(self, id: str, **fields: Any) -> None:
        self._telemetry.tell(time.time_ns(), self._agent.name, self._agent.tenant, id, **fields)
