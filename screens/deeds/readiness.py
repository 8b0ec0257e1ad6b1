"""The deed that shows what is ready for an incident and what is not."""

from __future__ import annotations

from screens.console_screen import ConsoleScreen, does


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
