"""Deeds of triage: forms, and who must be told."""

from __future__ import annotations

from screens.console_screen import ConsoleScreen, does
from screens.dialogs.questions import Picker, Questions, Waiting


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
