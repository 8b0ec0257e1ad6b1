"""Everything that a run started, and the end of it.

A program that is told to stop may ignore it, and what it started may have left its group and even its session. So
the whole machine is looked at for the mark that every child of a run inherits, and "stopped" is said once nothing is left.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

MARK = "WARROOM_RUN"
"""The variable of the environment that names the run."""
GRACE = 3.0
"""Seconds that a program is given to finish by itself."""
_LOOK = 0.05
_TRIES = 60
_PROC = Path("/proc")


class _Process(NamedTuple):
    pid: int
    state: str
    parent: int
    group: int
    session: int


def members(run: str, group: int = 0) -> set[int]:
    """Return the processes of a run that live: of its group or session, with its mark, and their children.

    Args:
        run: id of the run.
        group: the process group that the program was started in; 0 = not known any more.
    """
    table = _table()
    if table is None:
        return _elsewhere(group)
    ours = _ancestors(table)
    mark = f"{MARK}={run}".encode()
    found = {
        each.pid
        for each in table.values()
        if each.pid not in ours
        and ((group and group in (each.group, each.session)) or _marked(each.pid, mark))
    }
    while more := {each.pid for each in table.values() if each.parent in found} - found - ours:
        found |= more
    return {pid for pid in found if table[pid].state not in "ZX"}


async def end(run: str, group: int = 0, grace: float = GRACE) -> set[int]:
    """End every process of a run: ask first, then force. Returns those that live on; empty: it is over."""
    left = members(run, group)
    _signal(left, group, signal.SIGTERM)
    _signal(left, 0, signal.SIGCONT)  # a stopped process hears nothing else
    until = asyncio.get_running_loop().time() + grace
    while left and asyncio.get_running_loop().time() < until:
        await asyncio.sleep(_LOOK)
        left = members(run, group)
    for _ in range(_TRIES):
        if not left:
            break
        # Again and again: a process that forks between two looks would get away.
        _signal(left, group, signal.SIGKILL)
        await asyncio.sleep(_LOOK)
        left = members(run, group)
    return left


def _signal(pids: Iterable[int], group: int, number: int) -> None:
    if group:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _table() -> dict[int, _Process] | None:
    """Every process of the machine, or None where the system does not list them as files."""
    if not (_PROC / "self" / "stat").exists():
        return None
    table: dict[int, _Process] = {}
    for entry in os.scandir(_PROC):
        if not entry.name.isdigit():
            continue
        try:
            with open(f"/proc/{entry.name}/stat", "rb") as file:
                said = file.read()
        except OSError:
            continue  # gone meanwhile
        # The name of the program stands in brackets and may hold anything.
        fields = said[said.rfind(b")") + 2 :].split()
        state, parent, group, session = fields[0].decode(), int(fields[1]), int(fields[2]), int(fields[3])
        table[int(entry.name)] = _Process(int(entry.name), state, parent, group, session)
    return table


def _ancestors(table: dict[int, _Process]) -> set[int]:
    """This process and those that it comes from: a step may itself run a console."""
    found: set[int] = set()
    pid = os.getpid()
    while pid in table and pid not in found:
        found.add(pid)
        pid = table[pid].parent
    return found


def _marked(pid: int, mark: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return mark in file.read().split(b"\0")
    except OSError:
        return False  # another user's, or gone


def _elsewhere(group: int) -> set[int]:
    """Without a table of processes the group is all that can be asked."""
    if not group:
        return set()
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return set()
    except PermissionError:
        pass
    return {group}
