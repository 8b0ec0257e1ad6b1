"""What the fleet offers on one loopback port: the payment service, the queue, control of agents, probes and undo."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from threading import Lock
from urllib.parse import urlsplit

from console.fleet import http, systems, tools
from console.fleet.http import Dropped, Refusal, Request, Values
from console.fleet.plan import SEARCH, Plan
from console.fleet.queue import Queue
from console.fleet.systems import EFFECT_ID, SYSTEMS, documents, payments
from console.fleet.tally import Row, Tally

PORTS = "ports.json"
"""File with the control port of each agent that has one."""
LOST_IN = 40
"""One in so many payments is answered by silence: every other one of those was made all the same."""
FLAT = 1.0
"""Seconds for which the counters of an agent that denies calls must not move, until it counts as stopped."""
SILENT = 4
"""An agent that answers nothing counts as stopped when its counters have not moved for so many of its intervals."""
LOOKS = 20_000
"""Looks that are remembered."""


class Services:
    """The answers; called from many threads.

    Args:
        root: the fleet's directory.
        plan: the fleet.
        tally: of the fleet.
    """

    def __init__(self, root: Path, plan: Plan, tally: Tally) -> None:
        self._root, self._plan, self._tally = root, plan, tally
        self._rows = {agent.name: row for row, agent in enumerate(plan.agents)}
        self._token = (root / http.TOKEN).read_text()
        self.queue = Queue(root, plan.queue_wait)
        self._lock = Lock()
        self._canaries: set[str] = set()
        self._looks: dict[tuple[str, str], int] = {}
        """Agent and order to the calls that had been counted at the last look."""

    def answer(self, request: Request) -> Values:
        """Answer one request; docs/fleet.md lists them."""
        match request.method, request.path:
            case "POST", ("payments",):
                return self._pay(request)
            case "POST", ("queue",):
                return self.queue.put(_effect(request.key), request.body)
            case "POST", ("canary", _, nonce):
                with self._lock:
                    self._canaries.add(nonce)
                return {}
            case "POST", ("lease",):
                return self._lease(request)
            case "GET", _:
                return self._read(request)
            case "POST", _ if not request.trusted:
                raise Refusal(401, "the token is missing or wrong")
            case _:
                return self._change(request)

    def _read(self, request: Request) -> Values:
        match request.path:
            case ("agents",):
                return {"agents": {name: self._counter(name) for name in self._rows}}
            case ("agents", name, "counter"):
                return self._counter(name)
            case ("agents", name, "state"):
                return self._ask(name, "GET", "/state")
            case ("agents", name, "probe"):
                return self._probe(name, request.query.get("order", ""))
            case ("tools", tool):
                return self._tool(tool)
            case ("queue",):
                return self.queue.listed()
            case ("effects", number, effect):
                return {"id": effect, **asdict(_system(number).left(self._root, _effect(effect)))}
            case ("public", effect):
                return self._document(_effect(effect))
            case _:
                raise Refusal(404, "there is no such thing")

    def _change(self, request: Request) -> Values:
        match request.path:
            case ("agents", name, "halt" | "resume" as word):
                return self._ask(name, "POST", f"/{word}", request.body)
            case ("tools", tool, "halt" | "resume" as word):
                with self._lock:
                    names = tools.halted(self._root)
                    tools.set_halted(self._root, names | {tool} if word == "halt" else names - {tool})
                return self._tool(tool)
            case ("queue", "hold" | "open" as word):
                return self.queue.hold(word == "hold")
            case ("queue", effect, "release" | "drop" as word):
                return self.queue.decide(_effect(effect), word)
            case ("effects", number, effect, "undo"):
                system = _system(number)
                system.undo(self._root, _effect(effect))
                return {"id": effect, **asdict(system.left(self._root, effect))}
            case _:
                raise Refusal(404, "there is no such thing")

    def _pay(self, request: Request) -> Values:
        key, body = _effect(request.key), request.body
        agent, at, payee, cents = (body.get(name) for name in ("agent", "at", "payee", "cents"))
        if not (
            isinstance(agent, str)
            and isinstance(at, int)
            and isinstance(payee, str)
            and isinstance(cents, int)
        ):
            raise Refusal(400, "a payment has agent, at, payee and cents")
        lost = sha256(key.encode()).digest()[0] % LOST_IN
        if lost == 1:
            raise Dropped
        try:
            new = payments.pay(self._root, key, agent, at, payee, cents)
        except payments.Conflict as conflict:
            raise Refusal(409, str(conflict)) from None
        if lost == 0:
            raise Dropped
        return {"key": key, "new": new}

    def _lease(self, request: Request) -> Values:
        """Pass a deaf agent's question on to the warden, and the answer back if it is leave to act."""
        warden = urlsplit(self._plan.warden)
        try:
            said = http.call(warden.hostname or "", warden.port or 80, "POST", "/lease", request.body)
            leased = json.loads(said["signed"])["kind"] == "lease"
        except (OSError, Refusal, ValueError, KeyError, TypeError):
            leased = False
        if not leased:
            raise Dropped
        return said

    def _document(self, effect: str) -> Values:
        left = documents.left(self._root, effect)
        if left.state == "standing":
            text = documents.place(self._root, documents.PUBLIC, effect).read_text("utf-8")
            return {"id": effect, "text": text}
        raise Refusal(410 if left.state == "undone" else 404, left.note)

    def _row(self, name: str) -> Row:
        row = self._rows.get(name)
        if row is None or self._tally[row].state == "absent":
            raise Refusal(404, "no such agent")
        return self._tally[row]

    def _counter(self, name: str) -> Values:
        row = self._tally[self._rows[name]] if name in self._rows else self._row(name)
        idle = (time.monotonic_ns() - row.at) // 1_000_000 if row.at else None
        return {"agent": name, "state": row.state, "pid": row.pid, "calls": row.calls, "idle_ms": idle}

    def _ask(
        self, name: str, method: str, path: str, body: Values | None = None, patience: float = 30.0
    ) -> Values:
        self._row(name)
        port = json.loads((self._root / PORTS).read_text()).get(name)
        if port is None:
            raise Refusal(504, "the agent has no control channel")
        try:
            return http.call("127.0.0.1", port, method, path, body, token=self._token, timeout=patience)
        except OSError:
            raise Refusal(504, "the agent does not answer") from None

    def _probe(self, name: str, order: str) -> Values:
        """See whether an agent acts, without taking its word: by a canary call and by its counters."""
        row = self._row(name)
        with self._lock:
            # Taken out and put in: the oldest goes when there are too many.
            before = self._looks.pop((name, order), row.calls)
            self._looks[name, order] = row.calls
            if len(self._looks) > LOOKS:
                del self._looks[next(iter(self._looks))]
        nonce = token_hex(8)
        try:
            said = self._ask(name, "POST", f"/canary/{nonce}", patience=1.0).get("canary")
        except Refusal:
            said = None
        with self._lock:
            through = nonce in self._canaries
            self._canaries.discard(nonce)
        flat = (time.monotonic_ns() - row.at) / 1e9
        if through or row.calls > before:
            seen, note = "running", "a canary call went through" if through else "its counters went up"
        elif said == "denied":
            seen, note = (
                ("stopped" if flat >= FLAT else "unknown"),
                f"denied a canary call, idle for {flat:.1f} s",
            )
        else:
            enough = flat >= max(2 * FLAT, SILENT / self._plan.rate)
            seen, note = ("stopped" if enough else "unknown"), f"answers nothing, idle for {flat:.1f} s"
        return {"agent": name, "observed": seen, "note": note}

    def _tool(self, tool: str) -> Values:
        numbers = {system.tool: number for number, system in SYSTEMS.items()} | {SEARCH: 0}
        if tool not in numbers:
            raise Refusal(404, "no such tool")
        calls = sum(self._tally[row].tools[numbers[tool]] for row in range(self._tally.rows))
        halted = tool in tools.halted(self._root)
        return {"tool": tool, "observed": "stopped" if halted else "running", "calls": calls}


def _effect(id: str) -> str:
    if not EFFECT_ID.fullmatch(id):
        raise Refusal(400, "that is not the id of an effect")
    return id


def _system(number: str) -> systems.System:
    if not number.isascii() or not number.isdigit() or int(number[:2]) not in SYSTEMS:
        raise Refusal(404, "classes go from 1 to 7")
    return SYSTEMS[int(number[:2])]
