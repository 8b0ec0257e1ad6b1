"""What an agent changes somewhere, and what is left of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

BUSY = 10.0
"""Seconds that a writer waits for its turn at a database."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One side effect.

    Attributes:
        id: its identity everywhere, and its idempotency key.
        agent: who causes it.
        tenant: whose agent that is.
        at: ns UTC.
        to: the customer, file, principal or topic that it is about.
        text: what it says.
        cents: amount of money in US cents; 0 = none.
    """

    id: str
    agent: str
    tenant: str
    at: int
    to: str
    text: str
    cents: int = 0


@dataclass(frozen=True, slots=True)
class Left:
    """What is there of an effect. `absent`: it never happened. `seen`: who used or read it meanwhile, for the audit."""

    state: Literal["absent", "standing", "undone", "substituted"]
    note: str
    seen: tuple[str, ...] = ()


class Unsure(Exception):
    """The call left and no answer came: whether the effect happened must be looked up before it is repeated or undone."""


def agent_of(effect: str) -> str:
    """Return the agent in the id of an effect."""
    return effect.partition(".")[0]


@contextmanager
def database(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database for one transaction, which is committed unless the block raises."""
    with closing(sqlite3.connect(path, timeout=BUSY)) as connection, connection:
        yield connection


def create(path: Path, schema: str) -> None:
    """Make a database that many processes write to."""
    with closing(sqlite3.connect(path, timeout=BUSY)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(schema)
