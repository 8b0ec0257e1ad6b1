"""One agent: a process that acts at its rate until it is halted, and ends when the fleet does."""

from __future__ import annotations

import math
import os
import select
import socket
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

from console.fleet import http
from console.fleet.control import CANARY, Control, Stopped
from console.fleet.plan import PAYOUT, Agent, Plan
from console.fleet.tally import Tally
from console.fleet.tools import ToolHalted, Tools

ROGUE_TIMES, ROGUE_RATE = 10.0, 20.0
"""A rogue agent acts that many times as often, and at least so many times a second."""


def run(root: Path, plan: Plan, row: int, tally: Tally, listener: socket.socket | None, life: int) -> None:
    """Be the agent in `row` of the plan until the fleet ends.

    Args:
        root: the fleet's directory.
        plan: the fleet.
        row: which agent.
        tally: of the fleet.
        listener: where it is told to halt; None = it is deaf.
        life: the end of a pipe that becomes readable when the fleet ends.
    """
    agent = plan.agents[row]
    tools = Tools(root, agent, row, tally, plan.seed)
    control = Control(agent, plan, row, tally, leave(root, plan, agent), tools.canary)
    if listener is not None:
        token = (root / http.TOKEN).read_text()
        Thread(target=http.serve, args=(listener, token, control.answer), daemon=True).start()
    tally.born(row, os.getpid())
    runs_away = time.monotonic() + plan.rogue_after if agent.rogue else math.inf
    # Not all in the same moment.
    wait = max(0.0, min(tools.wait(plan.rate) * (row % 100) / 100, runs_away - time.monotonic()))
    while not select.select([life], [], [], wait)[0]:
        rogue = time.monotonic() >= runs_away
        tool = tools.choose(rogue=rogue)
        try:
            control.check(tool)
            tools.use(tool, rogue=rogue)
        except (Stopped, ToolHalted):
            pass
        if rogue:
            wait = tools.wait(max(plan.rate * ROGUE_TIMES, ROGUE_RATE))
        else:
            wait = max(0.0, min(tools.wait(plan.rate), runs_away - time.monotonic()))
    tally.move(row, "ended")


def leave(root: Path, plan: Plan, agent: Agent) -> Callable[[str], None]:
    """Return what raises `Stopped` unless the warden lets the agent use a tool; without a warden it always may.

    A deaf agent asks the warden through the fleet's services, which pass leases on and nothing else: it is as if the
    line were cut at every halt.
    """
    if not plan.warden:
        return lambda tool: None
    from console.guard import Guard, Halted

    url = f"http://{(root / http.ADDRESS).read_text()}" if agent.behaviour == "deaf" else plan.warden
    guard = Guard(url, agent.name, plan.warden_key, tools=(*agent.tools, PAYOUT, CANARY)).start()

    def check(tool: str) -> None:
        try:
            guard.check(tool)
        except Halted as halted:
            raise Stopped(str(halted)) from None

    return check
