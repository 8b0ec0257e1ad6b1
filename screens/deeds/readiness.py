"""What was settled before an incident: readiness, and whom and what the organisation filled in."""

from __future__ import annotations

import asyncio

from console.config import load
from console.readiness.fill_ins import known
from screens.console_screen import ConsoleScreen, does
from screens.dialogs.page import Page
from screens.widgets.sheet import Para


@does("readiness.open")
def open_readiness(screen: ConsoleScreen, words: str = "") -> None:
    """Show every question of the reviews with its answer."""
    desk = screen.desk
    if desk is None:
        return
    if desk.home.mode == "drill":
        screen.say(
            "A drill has no readiness of its own; `warroom readiness` shows that of the real home.", "high"
        )
        return
    from screens.readiness import ReadinessScreen

    screen.app.push_screen(ReadinessScreen(desk))


@does("contacts.open")
def open_contacts(screen: ConsoleScreen, words: str = "") -> None:
    """Show who is told, who may, and the links."""
    screen.start(_contacts(screen))


async def _contacts(screen: ConsoleScreen) -> None:
    from playbooks.library import in_force

    found = await asyncio.to_thread(lambda: known(load(), in_force()))
    paras: list[Para] = []
    for title, held in found:
        paras.append(Para(title, "", "strong"))
        paras += [Para(f"{name}: {value}") for name, value in held]
    screen.app.push_screen(
        Page("Links and contacts", paras or [Para("Nothing is filled in yet: `warroom init` asks for it.")])
    )
