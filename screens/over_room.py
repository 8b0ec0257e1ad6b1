"""A screen that lies over the room and goes away with Esc; the room under it keeps its place, filter and draft."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events

from screens.console_screen import ConsoleScreen, perhaps_leaving
from screens.display import content
from screens.widgets.rows import Rows
from screens.widgets.strips import StripLines

if TYPE_CHECKING:
    from screens.room import RoomScreen


class OverRoom(ConsoleScreen):
    """What all of them have in common: a line for messages with the id `said`, and the way back."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal"), (160, "-wide")]  # noqa: RUF012 - declared so by the toolkit
    VERTICAL_BREAKPOINTS = [(0, "-low"), (12, "-short"), (24, "-tall")]  # noqa: RUF012 - as above
    _message = ""

    @property
    def under(self) -> RoomScreen | None:
        """The room that it lies over."""
        from screens.room import RoomScreen

        return next((each for each in self.app.screen_stack if isinstance(each, RoomScreen)), None)

    def show_state(self) -> None:
        """Draw what is known."""
        self.show_clocks()

    def say(self, text: str, tone: str = "") -> None:
        """Show a message above the keys."""
        self._message = content(text, 400).plain
        with perhaps_leaving():
            self.query_one("#said", StripLines).show(([(self._message, tone, 0)], []))

    def unsay(self, about: str) -> None:
        """Take a message back that holds no more."""
        if about in self._message:
            self.say("")

    @property
    def typed(self) -> str:
        """What is typed in the write bar of the room and not saved."""
        return self.under.typed if self.under is not None else ""

    def keep(self, text: str) -> None:
        """Keep `text` as a draft of the room."""
        if self.under is not None:
            self.under.keep(text)

    def back(self) -> None:
        """Go back to the room."""
        self.console_app.back_to_room()

    def on_rows_opened(self, event: Rows.Opened) -> None:
        """Open what was clicked."""
        event.stop()
        self.command("open")

    def on_resize(self, event: events.Resize) -> None:
        """Words are short where the screen is narrow."""
        self.call_after_refresh(self._show_at_this_size)

    def _show_at_this_size(self) -> None:
        with perhaps_leaving():
            self.show_clocks()
