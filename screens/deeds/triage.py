"""Deeds of triage: forms, and who must be told."""

from __future__ import annotations

from screens.console_screen import ConsoleScreen, does
from screens.dialogs.escalation import Escalations
from screens.dialogs.picker import Picker
from screens.dialogs.questions import Questions, Waiting


@does("form.answer")
def answer(screen: ConsoleScreen, words: str = "") -> None:
    """Ask which form, or take the one that is named; then its questions."""
    room = screen.room
    if room is None:
        return

    def chosen(waiting: Waiting | None) -> None:
        if waiting is not None and screen.room is room:
            screen.app.push_screen(Questions(room, waiting, screen.say))

    screen.app.push_screen(Picker(room, words.strip()), chosen)


@does("escalation.open")
def escalations(screen: ConsoleScreen, words: str = "") -> None:
    """Show who must be told, and record who was."""
    room, desk = screen.room, screen.desk
    if room is not None and desk is not None:
        screen.app.push_screen(Escalations(room, desk.contacts, screen.say))
