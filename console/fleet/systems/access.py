"""Class 6: rights in a JSON file for each agent that grants them. Undone by revoking; its use is kept for the audit."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from console.fleet.systems.effect import Effect, Left, agent_of

FOLDER = "access"


def prepare(root: Path) -> None:
    """Make the folder."""
    (root / FOLDER).mkdir(exist_ok=True)


def act(root: Path, effect: Effect) -> None:
    """Grant a right to somebody, who uses it at once."""
    with _grants(root, effect.agent) as grants:
        grants.setdefault(
            effect.id,
            {"to": effect.to, "right": effect.text, "at": effect.at, "revoked": False, "used": [effect.to]},
        )


def left(root: Path, effect: str) -> Left:
    """Look the grant up."""
    with _grants(root, agent_of(effect)) as grants:
        grant = grants.get(effect)
    if grant is None:
        return Left("absent", "no such grant")
    used = tuple(str(each) for each in grant["used"])
    if grant["revoked"]:
        return Left("undone", f"revoked from {grant['to']}", used)
    return Left("standing", f"{grant['right']} granted to {grant['to']}", used)


def undo(root: Path, effect: str) -> None:
    """Revoke a grant."""
    with _grants(root, agent_of(effect)) as grants:
        if effect in grants:
            grants[effect]["revoked"] = True


def allowed(root: Path, effect: str) -> bool:
    """Whether a right that was granted can be used: the denied probe of a revoked one."""
    return left(root, effect).state == "standing"


@contextmanager
def _grants(root: Path, agent: str) -> Iterator[dict[str, Any]]:
    """Read an agent's grants, let them be changed, and replace the file when they were."""
    path = root / FOLDER / f"{agent}.json"
    with (root / FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = path.read_text("utf-8") if path.exists() else "{}"
        grants = json.loads(before)
        yield grants
        after = json.dumps(grants, indent=1)
        if after != before:
            temporary = path.with_suffix(".new")
            temporary.write_text(after, "utf-8")
            temporary.replace(path)
