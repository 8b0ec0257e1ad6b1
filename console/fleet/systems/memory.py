"""Class 7: a small vector store. Undone by deleting the record; who had read it until then is kept for the audit."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from console.fleet.systems import effect as effects
from console.fleet.systems.effect import Effect, Left

FILE = "memory.db"
LATEST = 50
"""Records that a search compares."""
NEAREST = 2
"""Records that a search returns."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS vectors (
    id TEXT PRIMARY KEY, agent TEXT NOT NULL, at INTEGER NOT NULL, topic TEXT NOT NULL, text TEXT, vector TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS reads (
    vector TEXT NOT NULL, reader TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (vector, reader)
) STRICT
"""


def prepare(root: Path) -> None:
    """Make the tables."""
    effects.create(root / FILE, _SCHEMA)


def embed(text: str) -> list[int]:
    """Return the vector of a text: eight whole numbers of its hash, which is enough to have neighbours."""
    return list(sha256(text.encode()).digest()[:8])


def act(root: Path, effect: Effect) -> None:
    """Add one record."""
    row = (effect.id, effect.agent, effect.at, effect.to, effect.text, json.dumps(embed(effect.text)))
    with effects.database(root / FILE) as store:
        store.execute("INSERT OR IGNORE INTO vectors VALUES (?, ?, ?, ?, ?, ?)", row)


def search(root: Path, reader: str, at: int, words: str) -> list[str]:
    """Return the ids of the nearest records, and keep who read them."""
    wanted = embed(words)
    with effects.database(root / FILE) as store:
        rows = store.execute(
            "SELECT id, vector FROM vectors WHERE text IS NOT NULL ORDER BY at DESC LIMIT ?", (LATEST,)
        ).fetchall()
        distance = {
            id: sum((a - b) ** 2 for a, b in zip(wanted, json.loads(vector), strict=True))
            for id, vector in rows
        }
        found = sorted(distance, key=distance.__getitem__)[:NEAREST]
        store.executemany("INSERT OR IGNORE INTO reads VALUES (?, ?, ?)", [(id, reader, at) for id in found])
    return found


def left(root: Path, effect: str) -> Left:
    """Look the record up, and who read it."""
    with effects.database(root / FILE) as store:
        found = store.execute("SELECT text FROM vectors WHERE id = ?", (effect,)).fetchone()
        readers = store.execute("SELECT reader FROM reads WHERE vector = ? ORDER BY at", (effect,)).fetchall()
    if found is None:
        return Left("absent", "no such record")
    seen = tuple(reader for (reader,) in readers)
    if found[0] is None:
        return Left("undone", f"deleted; {len(seen)} agents had read it", seen)
    return Left("standing", f"{len(seen)} agents have read it", seen)


def undo(root: Path, effect: str) -> None:
    """Delete the text and the vector of a record; that it was there stays known."""
    with effects.database(root / FILE) as store:
        store.execute("UPDATE vectors SET text = NULL, vector = NULL WHERE id = ?", (effect,))
