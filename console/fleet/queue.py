"""Payments that wait for somebody's veto: listed, held, released and dropped, and carried out once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from time import gmtime, strftime
from typing import Any, Literal

from console.fleet.http import Refusal, Values
from console.fleet.systems import payments
from console.fleet.telemetry import Telemetry

LISTED = 1_000
MOST = 10_000
"""Actions that the queue keeps, decided ones too."""
STEP = 0.2
"""Seconds between two looks for what is due."""

Fate = Literal["pending", "carried out", "dropped"]


@dataclass(slots=True)
class Pending:
    """One payment. `due`: monotonic seconds at which it is carried out unless the queue is held."""

    id: str
    agent: str
    tenant: str
    at: int
    payee: str
    cents: int
    fields: dict[str, Any]
    due: float
    fate: Fate = "pending"

    @property
    def values(self) -> Values:
        """As it is listed."""
        return {
            "id": self.id,
            "agent": self.agent,
            "tool": str(self.fields.get("tool", "")),
            "what": f"pay {self.cents / 100:.2f} USD to {self.payee}",
            "since": strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(self.at // 1_000_000_000)),
            "fate": self.fate,
        }


class Queue:
    """The queue of a fleet; called from many threads.

    Args:
        root: the fleet's directory.
        wait: seconds that a payment waits.
    """

    def __init__(self, root: Path, wait: float) -> None:
        self._root, self._wait = root, wait
        self._lock = Lock()
        self._all: dict[str, Pending] = {}
        self._held = False
        self._telemetry = Telemetry(root)

    def put(self, id: str, body: Values) -> Values:
        """Take a payment in; again under the same id it changes nothing."""
        try:
            pending = Pending(
                id,
                str(body["agent"]),
                str(body["tenant"]),
                int(body["at"]),
                str(body["payee"]),
                int(body["cents"]),
                dict(body["fields"]),
                time.monotonic() + self._wait,
            )
        except (KeyError, TypeError, ValueError):
            raise Refusal(400, "it is not a payment") from None
        with self._lock:
            if len(self._all) >= MOST:
                decided = next((id for id, each in self._all.items() if each.fate != "pending"), None)
                if decided is None:
                    raise Refusal(503, "the queue is full")
                del self._all[decided]
            self._all.setdefault(id, pending)
            return self._all[id].values

    def listed(self) -> Values:
        """Return what waits, the oldest first, and whether the queue is held."""
        with self._lock:
            waiting = [each.values for each in self._all.values() if each.fate == "pending"]
            return {"held": self._held, "count": len(waiting), "pending": waiting[:LISTED]}

    def hold(self, held: bool) -> Values:
        """Hold everything that waits and will come, or let it go on."""
        with self._lock:
            self._held = held
        return self.listed()

    def decide(self, id: str, word: Literal["release", "drop"]) -> Values:
        """Carry one payment out at once, or drop it for good.

        Raises:
            Refusal: there is none, or it was decided otherwise.
        """
        wanted: Fate = "carried out" if word == "release" else "dropped"
        with self._lock:
            pending = self._all.get(id)
            if pending is None:
                raise Refusal(404, "no such action")
            if pending.fate not in ("pending", wanted):
                raise Refusal(409, f"it was {pending.fate}")
            if pending.fate == "pending" and word == "release":
                self._carry_out(pending)
            pending.fate = wanted
            return pending.values

    def run(self) -> None:
        """Carry out what is due, for ever."""
        while True:
            time.sleep(STEP)
            with self._lock:
                if self._held:
                    continue
                now = time.monotonic()
                for pending in self._all.values():
                    if pending.fate == "pending" and pending.due <= now:
                        self._carry_out(pending)
                        pending.fate = "carried out"

    def _carry_out(self, pending: Pending) -> None:
        payments.pay(self._root, pending.id, pending.agent, pending.at, pending.payee, pending.cents)
        self._telemetry.tell(
            time.time_ns(), pending.agent, pending.tenant, pending.id, **pending.fields, side_effect="done"
        )
