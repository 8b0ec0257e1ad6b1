"""Class 2: payments through an HTTP service with idempotency keys. Undone by a refund under a key of its own."""

from __future__ import annotations

import sqlite3
from functools import cache
from pathlib import Path

from console.fleet import http
from console.fleet.systems import effect as effects
from console.fleet.systems.effect import Effect, Left, Unsure

FILE = "payments.db"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS payments (
    key TEXT PRIMARY KEY, agent TEXT NOT NULL, at INTEGER NOT NULL, payee TEXT NOT NULL, cents INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS refunds (key TEXT PRIMARY KEY, payment TEXT NOT NULL UNIQUE, cents INTEGER NOT NULL) STRICT
"""


class Conflict(Exception):
    """The key stands for another payment already."""


def prepare(root: Path) -> None:
    """Make the tables of the service."""
    effects.create(root / FILE, _SCHEMA)


def act(root: Path, effect: Effect) -> None:
    """Ask the service to pay.

    Raises:
        Unsure: no answer came.
        http.Refusal: it answered that it will not.
    """
    body = {"agent": effect.agent, "at": effect.at, "payee": effect.to, "cents": effect.cents}
    host, port = _service(root)
    try:
        http.call(host, port, "POST", "/payments", body, key=effect.id)
    except OSError as error:
        raise Unsure("the payment service did not answer") from error


@cache
def _service(root: Path) -> tuple[str, int]:
    host, port = (root / http.ADDRESS).read_text().split(":")
    return host, int(port)


def pay(root: Path, key: str, agent: str, at: int, payee: str, cents: int) -> bool:
    """Book a payment in the service's own books; whether it is new under this key.

    Raises:
        Conflict: the key was used for another one.
    """
    with effects.database(root / FILE) as books:
        try:
            books.execute("INSERT INTO payments VALUES (?, ?, ?, ?, ?)", (key, agent, at, payee, cents))
        except sqlite3.IntegrityError:
            booked = books.execute("SELECT payee, cents FROM payments WHERE key = ?", (key,)).fetchone()
            if booked != (payee, cents):
                raise Conflict(f"{key} is the key of another payment") from None
            return False
        return True


def left(root: Path, effect: str) -> Left:
    """Ask the books by the key."""
    with effects.database(root / FILE) as books:
        found = books.execute("SELECT payee, cents FROM payments WHERE key = ?", (effect,)).fetchone()
        back = books.execute("SELECT key FROM refunds WHERE payment = ?", (effect,)).fetchone()
    if found is None:
        return Left("absent", "no payment under this key")
    if back is None:
        return Left("standing", f"{found[1]} cents paid to {found[0]}")
    return Left("undone", f"refunded as {back[0]}")


def undo(root: Path, effect: str) -> None:
    """Refund a payment, once."""
    with effects.database(root / FILE) as books:
        books.execute(
            "INSERT OR IGNORE INTO refunds SELECT 'refund-' || key, key, cents FROM payments WHERE key = ?",
            (effect,),
        )
