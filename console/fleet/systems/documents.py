"""Class 4: documents in a public folder. Undone by withdrawing them; the copy stays as evidence."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from console.fleet.systems.effect import Effect, Left, agent_of

PUBLIC, WITHDRAWN = "public", "withdrawn"


def prepare(root: Path) -> None:
    """Make the folders."""
    for folder in (PUBLIC, WITHDRAWN):
        (root / folder).mkdir(exist_ok=True)


def place(root: Path, folder: str, effect: str) -> Path:
    """Return where a document lies."""
    return root / folder / agent_of(effect) / f"{effect}.txt"


def act(root: Path, effect: Effect) -> None:
    """Publish one document."""
    if place(root, WITHDRAWN, effect.id).exists():
        return
    path = place(root, PUBLIC, effect.id)
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{effect.to}\n\n{effect.text}\n", "utf-8")


def left(root: Path, effect: str) -> Left:
    """Look where the document is."""
    if place(root, PUBLIC, effect).exists():
        return Left("standing", "public")
    if place(root, WITHDRAWN, effect).exists():
        return Left("undone", "withdrawn; its address answers 410")
    return Left("absent", "no such document")


def undo(root: Path, effect: str) -> None:
    """Withdraw a document."""
    path = place(root, WITHDRAWN, effect)
    path.parent.mkdir(exist_ok=True)
    with suppress(FileNotFoundError):
        place(root, PUBLIC, effect).rename(path)
