"""A page: everything about one thing, and the commands that work on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from screens.commands import Command
from screens.keymap import shown
from screens.widgets.sheet import Para, Sheet
from screens.widgets.strips import Piece, StripLines


class Page(ModalScreen[str]):
    """Shows paragraphs; the key of a command closes the page and returns the command's id, Esc returns nothing.

    Args:
        title: in our own words, never an agent's.
        paragraphs: what to read.
        commands: what can be done from here.
        keymap: the keys in force.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "leave", "Back", show=False)]
    DEFAULT_CSS = """
    Page { align: center middle; background: $background 60%;
        #page { width: 100; max-width: 100%; height: 80%; background: $panel; }
        Sheet { height: 1fr; background: $panel; }
        #page-keys { background: $panel; }
    }
    """

    def __init__(
        self,
        title: str,
        paragraphs: list[Para],
        commands: Sequence[Command] = (),
        keymap: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        super().__init__()
        self._title, self._paragraphs, self._commands = title, paragraphs, commands
        self._keymap = keymap or {}
        self._left = False

    def compose(self) -> ComposeResult:
        """The sheet, and the keys under it."""
        with Vertical(id="page"):
            yield Sheet(id="sheet")
            yield StripLines(id="page-keys")

    def on_mount(self) -> None:
        """Fill the sheet."""
        sheet = self.query_one(Sheet)
        sheet.border_title = Content(f"{self._title}")
        sheet.read(self._paragraphs)
        self.set_focus(sheet)
        keys: list[Piece] = [
            (f"{shown(self._keymap[command.id][0])} {command.hint or command.title.lower()}", "", place)
            for place, command in enumerate(self._commands)
            if self._keymap.get(command.id)
        ]
        self.query_one("#page-keys", StripLines).show(([("Esc back", "quiet", 0), *keys], []))

    def on_key(self, event: events.Key) -> None:
        """Run a command by its key."""
        for command in self._commands:
            if event.key in self._keymap.get(command.id, ()) or event.character in self._keymap.get(
                command.id, ()
            ):
                event.stop()
                self._leave(command.id)
                return

    def action_leave(self) -> None:
        """Go back."""
        self._leave("")

    def _leave(self, command: str) -> None:
        # A key that repeats arrives again before the page is gone.
        if not self._left:
            self._left = True
            self.dismiss(command)
