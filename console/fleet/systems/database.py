"""Class 1: rows of a ledger in SQLite. Undone by a compensating entry, so that the history stays."""

from __future__ import annotations

from pathlib import Path

from console.fleet.systems import effect as effects
from console.fleet.systems.effect import Effect, Left

FILE = "orders.db"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    id TEXT PRIMARY KEY, agent TEXT NOT NULL, tenant TEXT NOT NULL, at INTEGER NOT NULL,
    customer TEXT NOT NULL, text TEXT NOT NULL, cents INTEGER NOT NULL, compensates TEXT UNIQUE
) STRICT
"""


def prepare(root: Path) -> None:
    """Make the table."""
    effects.create(root / FILE, _SCHEMA)


def act(root: Path, effect: Effect) -> None:
    """Write one row."""
    row = (effect.id, effect.agent, effect.tenant, effect.at, effect.to, effect.text, effect.cents)
    with effects.database(root / FILE) as orders:
        orders.execute("INSERT OR IGNORE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, NULL)", row)


def left(root: Path, effect: str) -> Left:
    """Look the row up, and what compensates it."""
    with effects.database(root / FILE) as orders:
        found = orders.execute("SELECT cents FROM entries WHERE id = ?", (effect,)).fetchone()
        by = orders.execute("SELECT id FROM entries WHERE compensates = ?", (effect,)).fetchone()
    if found is None:
        return Left("absent", "no such entry")
    if by is None:
        return Left("standing", f"entry of {found[0]} cents")
    return Left("undone", f"compensated by {by[0]}")


def undo(root: Path, effect: str) -> None:
    """Write the entry that brings the sum back to what it was."""
    with effects.database(root / FILE) as orders:
        orders.execute(
            "INSERT OR IGNORE INTO entries SELECT 'undo-' || id, 'operator', tenant, at, customer,"
            " 'compensates ' || id, -cents, id FROM entries WHERE id = ? AND compensates IS NULL",
            (effect,),
        )
