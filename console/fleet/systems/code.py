"""Class 5: commits in a bare git repository, a file each. Undone by a commit that reverts it."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from console.fleet.systems.effect import Effect, Left, agent_of

REPOSITORY = "code.git"
_LOCK = "code.lock"
_BRANCH = "refs/heads/main"
PATIENCE = 30
"""Seconds for one call of git."""


def prepare(root: Path) -> None:
    """Make the repository."""
    if not (root / REPOSITORY / "HEAD").exists():
        _git(root, "init", "--quiet", "--bare", "--initial-branch=main", str(root / REPOSITORY), bare=False)


def act(root: Path, effect: Effect) -> None:
    """Commit one file."""
    with _turn(root):
        if not _last(root, effect.id):
            _commit(
                root,
                effect.agent,
                effect.at,
                effect.text,
                f"M 100644 inline {_path(effect.id)}\n" + _data(effect.to),
            )


def left(root: Path, effect: str) -> Left:
    """Look for the commit and for what reverts it."""
    last = _last(root, effect)
    if not last:
        return Left("absent", "no such commit")
    there = _git(root, "ls-tree", "--name-only", _BRANCH, _path(effect))
    return Left("standing", f"commit {last[:10]}") if there else Left("undone", f"reverted by {last[:10]}")


def undo(root: Path, effect: str) -> None:
    """Commit the revert, once."""
    with _turn(root):
        if left(root, effect).state != "standing":
            return
        commit, at = _git(root, "log", "-1", "--format=%H %at", _BRANCH, "--", _path(effect)).split()
        text = f"Revert {effect}\n\nThis reverts commit {commit}.\n"
        _commit(root, "operator", int(at) * 1_000_000_000, text, f"D {_path(effect)}\n")


@contextmanager
def _turn(root: Path) -> Iterator[None]:
    """One writer at a time: git would refuse the second."""
    with (root / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _commit(root: Path, author: str, at: int, message: str, change: str) -> None:
    who = f"{author} <{author}@fleet.example> {at // 1_000_000_000} +0000"
    parent = f"from {_BRANCH}^0\n" if (root / REPOSITORY / _BRANCH).exists() else ""
    stream = f"commit {_BRANCH}\nauthor {who}\ncommitter {who}\n{_data(message)}{parent}{change}"
    _git(root, "fast-import", "--quiet", stdin=stream)


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}\n"


def _last(root: Path, effect: str) -> str:
    """The latest commit that touched the effect's file; empty when there is none."""
    if not (root / REPOSITORY / _BRANCH).exists():
        return ""
    return _git(root, "log", "-1", "--format=%H", _BRANCH, "--", _path(effect)).strip()


def _path(effect: str) -> str:
    return f"{agent_of(effect)}/{effect}.txt"


def _git(root: Path, *arguments: str, stdin: str = "", bare: bool = True) -> str:
    where = ("--git-dir", str(root / REPOSITORY)) if bare else ()
    # Nobody's own settings, hooks or signing keys take part.
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "LC_ALL": "C",
    }
    done = subprocess.run(
        ["git", *where, *arguments],
        input=stdin.encode(),
        capture_output=True,
        timeout=PATIENCE,
        check=True,
        env=environment,
    )
    return done.stdout.decode()
