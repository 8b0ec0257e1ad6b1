"""A room beside the one on the screen, for work that goes on when that one is left. The same rules hold in it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from console.room import Room
    from data.home import Home


async def own_room(home: Home, shown: Room) -> Room:
    """Open the incident of `shown` once more; whoever asked for it closes it.

    Args:
        home: where the incident lies.
        shown: the room on the screen.
    """
    from console.room import Room
    from console.timeline import project
    from data.case import Case

    opened = await asyncio.to_thread(Case.open, home.case_dir(shown.case.id), home, project)
    room = await Room.open(home, opened, shown.actor, shown.role)
    room.regimes, room.authority, room.links = shown.regimes, shown.authority, shown.links
    return room
