"""The answers that people gave, in a case of the home's own: `HOME/readiness`, made with the first answer.

A case, because who said what, when, and what they said before is worth as much here as in an incident; of the home's
own, because answers belong to no incident and an incident's record goes to others, while a list of gaps stays here.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NamedTuple

from console.events import ReadinessAnswered, ReadinessFounded, entry, read
from console.timeline import project
from data.case import Case, CaseReader, found
from data.home import Home
from data.log import NAME as LOG

NAME = "readiness"
"""The directory of the case, under the home."""


class Given(NamedTuple):
    """The newest answer to a question: by whom, and when (ns UTC)."""

    body: ReadinessAnswered
    by: str
    at: int


def directory(home: Home) -> Path:
    """Where a home keeps its answers; it need not exist."""
    return home.path / NAME


async def given(home: Home) -> dict[str, Given]:
    """Return the newest answer to each question, by its id.

    Raises:
        StoreTrouble: the record cannot be read.
    """
    place = directory(home)
    if not (place / LOG).exists():
        return {}
    reader = await CaseReader.open(place)
    newest: dict[str, Given] = {}
    try:
        for event in await reader.of(frozenset({ReadinessAnswered.kind})):
            body = read(event)
            if isinstance(body, ReadinessAnswered):
                newest[body.question] = Given(body, event.actor, event.at)
    finally:
        await reader.close()
    return newest


async def give(home: Home, body: ReadinessAnswered, actor: str, role: str = "") -> None:
    """Put an answer on the record; returns when it is there.

    Raises:
        Refused: it is out of its bounds.
        StoreTrouble: it could not be written.
    """
    answer = entry(body, actor, role=role)

    def write() -> None:
        place = directory(home)
        founding = entry(ReadinessFounded(home.mode), actor)
        case = Case.open(place, home, project) if (place / LOG).exists() else None
        case = case or found(home, founding, project, directory=place)
        try:
            case.append(answer).result()
        finally:
            case.close()

    await asyncio.to_thread(write)
