"""The list of requirements that documents may name as their sources: ids, kinds, homes, parts."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

LIST = Path(__file__).parent / "ids.txt"
IN_RUNBOOK = frozenset({"KILL", "SEV", "ROLE", "CHK", "PLAY", "COMM", "AUTO", "CONF"})
"""Homes whose requirements the documents and the rules about them carry."""
_RESERVED = re.compile(r"S\d{3}-|X-")


class Requirement(NamedTuple):
    """One requirement.

    Attributes:
        kind: R rule, D decision rule, F field, T time budget, C checklist item, A action, G signal,
            L role or authority, M template, E example; empty for those that settle where sources differ.
        home: the part of the program that it is about; empty for the same.
        parts: how many parts it has; `ID.2` is the second.
    """

    id: str
    kind: str = ""
    home: str = ""
    parts: int = 1

    @property
    def part_ids(self) -> tuple[str, ...]:
        """The ids of its parts; of itself when it has one only."""
        if self.parts == 1:
            return (self.id,)
        return tuple(f"{self.id}.{number}" for number in range(1, self.parts + 1))


@cache
def known() -> dict[str, Requirement]:
    """Every requirement by its id."""
    found = {}
    for line in LIST.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            id, kind, home, parts, *_ = [*line.split(), "", "", ""]
            found[id] = Requirement(id, kind, home, int(parts or 1))
    return found


def whole(id: str) -> str:
    """The requirement that an id, perhaps of a part, belongs to."""
    return id.partition(".")[0]


def wrong(id: str, *, own: bool = False) -> str:
    """What is wrong with an id, as half a sentence; empty if it exists.

    Args:
        id: of a requirement or a part of one.
        own: whether the document may name requirements of its organisation, whose ids we cannot know.
    """
    if own and not _RESERVED.match(id):
        return ""
    requirement = known().get(whole(id))
    if requirement is None:
        return "is not in the list of requirements"
    _, dot, part = id.partition(".")
    # The X rows are settled by several rules each; their parts are numbered where they are carried.
    if not dot or (requirement.home == "" and part.isdecimal()):
        return ""
    if not part.isdecimal() or part[0] == "0" or int(part) > requirement.parts:
        return f"names a part that {requirement.id} does not have"
    return ""
