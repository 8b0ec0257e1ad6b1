"""The seven systems in which the agents act: what each does, what is left of it, and how it is undone."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from console.fleet.systems import access, code, database, documents, mail, memory, payments
from console.fleet.systems.effect import Effect, Left, Unsure

__all__ = ["EFFECT_ID", "SYSTEMS", "Effect", "Left", "System", "Unsure", "prepare"]

EFFECT_ID = re.compile(r"[a-z]{2,20}-[0-9]{3,5}\.[0-9a-f]{1,16}\.[0-9]{1,9}")
"""Id of an effect: the agent, its start, a number. Also its idempotency key and the id of its action in the telemetry."""


@dataclass(frozen=True, slots=True)
class System:
    """One system. All functions take the fleet's directory and may be called from any process at any time.

    Attributes:
        number: class of rollback, 1 to 7.
        tool: name by which agents declare and use it.
        endpoint: as the telemetry says it.
        artifact: type of what a customer sees of it; empty = nothing.
        act: carries an effect out; again under the same id it changes nothing. Raises `Unsure` when nobody knows.
        left: what is there of an effect now; never changes anything.
        undo: takes an effect back, or makes the substitute; again it changes nothing.
    """

    number: int
    tool: str
    endpoint: str
    artifact: str
    act: Callable[[Path, Effect], None]
    left: Callable[[Path, str], Left]
    undo: Callable[[Path, str], None]


SYSTEMS: dict[int, System] = {
    each.number: each
    for each in (
        System(1, "orders/write", "POST orders.fleet /entries", "", database.act, database.left, database.undo),
        System(2, "payments/pay", "POST payments.fleet /payments", "", payments.act, payments.left, payments.undo),
        System(3, "mail/send", "POST mail.fleet /messages", "email", mail.act, mail.left, mail.undo),
        System(
            4,
            "documents/publish",
            "PUT documents.fleet /public/{id}",
            "document",
            documents.act,
            documents.left,
            documents.undo,
        ),
        System(5, "code/commit", "POST git.fleet /code.git/git-receive-pack", "", code.act, code.left, code.undo),
        System(6, "access/grant", "POST access.fleet /grants", "", access.act, access.left, access.undo),
        System(7, "memory/add", "POST memory.fleet /vectors", "", memory.act, memory.left, memory.undo),
    )
}  # fmt: skip


def prepare(root: Path) -> None:
    """Make what is missing of all systems in the fleet's directory."""
    for system in (database, payments, mail, documents, code, access, memory):
        system.prepare(root)
