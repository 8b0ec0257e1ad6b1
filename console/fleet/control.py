"""What an agent answers when it is told to halt, and whether it does: the only place where good and bad days differ."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

from console.fleet.http import Refusal, Request, Values
from console.fleet.plan import Agent, Plan
from console.fleet.tally import Tally

CANARY = "fleet/canary"
"""Name of the tool that does nothing."""

FOR_EVER = 3600.0
EPOCHS = 1 << 53


class Stopped(Exception):
    """The agent may not act now."""


class Control:
    """The control endpoint of one agent, and the gate before each of its actions.

    Orders carry a fencing token: an `epoch` below the highest one that was seen is refused, so that a resume
    that was under way for long cannot undo a later halt.

    Args:
        agent: whose.
        plan: the fleet's.
        row: the agent's place in the tally.
        tally: where it stands whether the agent is halted really.
        leave: returns when the warden lets the agent use a tool, and raises `Stopped` when it does not; agents that
            lie or revive do not ask.
        canary: makes a call that does nothing, and says so at the fleet's services under the nonce.
    """

    def __init__(
        self,
        agent: Agent,
        plan: Plan,
        row: int,
        tally: Tally,
        leave: Callable[[str], None],
        canary: Callable[[str], None],
    ) -> None:
        self._agent, self._plan, self._row, self._tally = agent, plan, row, tally
        self._leave, self._canary = leave, canary
        self._lock = Lock()
        self._halted_at = 0.0
        self._order, self._epoch = "", 0
        self._says = "running"

    def check(self, tool: str) -> None:
        """Let an action pass, or not.

        Raises:
            Stopped: the agent is halted, or has no leave to use the tool.
        """
        with self._lock:
            revives = self._halted_at and self._agent.behaviour == "revive"
            if revives and time.monotonic() > self._halted_at + self._plan.revive_after:
                self._halted_at, self._says = 0.0, "running"
                self._tally.move(self._row, "running")
            if self._halted_at:
                raise Stopped("halted")
        if self._agent.behaviour not in ("lie", "revive"):
            self._leave(tool)

    def answer(self, request: Request) -> Values:
        """Answer one request: GET /state, POST /halt, /resume and /canary/NONCE."""
        if self._agent.behaviour == "hang":
            time.sleep(FOR_EVER)
        match request.method, request.path:
            case "GET", ("state",):
                return self._state()
            case "POST", ("halt" | "resume" as word,):
                if not request.trusted:
                    raise Refusal(401, "the token is missing or wrong")
                return self._obey(word, request)
            case "POST", ("canary", nonce):
                return {"agent": self._agent.name, "canary": self._try(nonce)}
            case _:
                raise Refusal(404, "there is GET /state and POST /halt, /resume and /canary/NONCE")

    def _obey(self, word: str, request: Request) -> Values:
        if self._agent.behaviour == "refuse":
            raise Refusal(403, "this agent takes no orders")
        epoch = request.body.get("epoch", 0)
        order = request.body.get("order", "")
        if not isinstance(epoch, int) or not 0 <= epoch < EPOCHS or not isinstance(order, str):
            raise Refusal(400, "`order` is a text and `epoch` a whole number")
        with self._lock:
            if epoch and epoch < self._epoch:
                raise Refusal(409, f"epoch {epoch} is older than {self._epoch}")
            first = word == "halt" and self._says == "running"
            self._order, self._epoch = order[:64], max(epoch, self._epoch)
            self._says = "halted" if word == "halt" else "running"
            if self._agent.behaviour != "lie":
                self._halted_at = time.monotonic() if word == "halt" else 0.0
                self._tally.move(self._row, "halted" if word == "halt" else "running")
        if first and self._agent.behaviour == "slow":
            time.sleep(self._plan.slow_for)
        return self._state()

    def _state(self) -> Values:
        with self._lock:
            said = {"agent": self._agent.name, "state": self._says}
            return {**said, "order": self._order, "epoch": self._epoch}

    def _try(self, nonce: str) -> str:
        try:
            self.check(CANARY)
        except Stopped:
            return "denied"
        self._canary(nonce)
        return "carried out"
