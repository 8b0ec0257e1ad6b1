"""The command line: a command by name, completed with Tab."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Input

from screens.commands import BY_NAME, Place, commands_for
from screens.widgets.strips import StripLines


class CommandLine(ModalScreen[str]):
    """Returns the line that was typed, empty when it was left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back", show=False, priority=True),
        Binding("tab", "complete", "Complete", show=False, priority=True),
    ]
    DEFAULT_CSS = """
    CommandLine { align: left bottom; background: $background 0%;
        Vertical { height: 2; background: $panel; }
        Input { border: none; height: 1; padding: 0 1; background: $panel; &:focus { border: none; } }
    }
    """

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._names = sorted(command.name for command in commands_for(place) if command.name)

    def compose(self) -> ComposeResult:
        """The line, and what the name under the cursor does."""
        with Vertical():
            field = Input(
                placeholder="command, then Enter",
                suggester=SuggestFromList(self._names),
                max_length=300,
                select_on_focus=False,
            )
            field.cursor_blink = False
            yield field
            yield StripLines(id="command-help")

    def on_mount(self) -> None:
        """Start typing."""
        self.set_focus(self.query_one(Input))
        self._explain("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say what the command does."""
        self._explain(event.value.partition(" ")[0].removeprefix(":"))

    def _explain(self, name: str) -> None:
        command = BY_NAME.get(name)
        fits = [known for known in self._names if known.startswith(name)]
        text = (
            f"{command.title}. {command.help}"
            if command is not None
            else "  ".join(fits) or "no command begins so"
        )
        self.query_one("#command-help", StripLines).show(([(text, "quiet", 0)], []))

    def action_complete(self) -> None:
        """Complete the name as far as it is certain."""
        field = self.query_one(Input)
        fits = [name for name in self._names if name.startswith(field.value)]
        if fits:
            field.value = fits[0] + " "
            field.cursor_position = len(field.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Return the line."""
        self.dismiss(event.value)

    def action_leave(self) -> None:
        """Return nothing."""
        self.dismiss("")
