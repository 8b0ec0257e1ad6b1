"""Keys in the order in which they were pressed.

The toolkit hands a key to the widget that has the focus when the key arrives, and acts on it later. Whoever types
ahead would have `j a` acknowledge the row above, and the words after `i` taken for commands. Here a command is done
before the next key is looked at, and keys that arrive while a dialog opens wait for it. The halt waits for nothing:
its key is done at once, whatever is open, and its dialog takes keys from the first moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from textual import events
from textual.app import App
from textual.message import Message
from textual.screen import ModalScreen, Screen
from textual.widgets import TextArea

from screens.commands import BY_ID, exists
from screens.console_screen import ConsoleScreen

HALT = "halt"
"""The command that stops agents."""


class DialogReady(Message):
    """A dialog has been drawn, or has acted on the key that decides, and takes keys."""


@runtime_checkable
class Decides(Protocol):
    """A dialog in which some keys decide where the following ones belong."""

    def decides(self, event: events.Key) -> bool:
        """Return whether the keys after `event` wait until the dialog posts `DialogReady`."""


@runtime_checkable
class TakesKeys(Protocol):
    """A widget that acts on some keys at once, before the next one is looked at."""

    def take(self, event: events.Key) -> bool:
        """Act on a key. Returns whether it was one for this widget."""


@runtime_checkable
class Urgent(Protocol):
    """A dialog that takes keys before it has been drawn; none of them waits for anything."""

    def press(self, event: events.Key) -> bool:
        """Act on a key. Returns whether it was one for this dialog, and not for a text box in it."""


class OrderedKeys(App[None], inherit_bindings=False):
    """An app whose keys keep their order. `commands_of`: key to the ids of commands, one for each place."""

    commands_of: Mapping[str, Sequence[str]]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._held: list[events.Key] | None = None
        self._aside: list[events.Key] = []
        """Keys that waited for a dialog when an urgent one came over it."""

    @property
    def base(self) -> ConsoleScreen | None:
        """The room or the list of incidents, under whatever dialog is open."""
        return next(
            (screen for screen in reversed(self.screen_stack) if isinstance(screen, ConsoleScreen)), None
        )

    def push_screen(self, screen: Any, *args: Any, **options: Any) -> Any:
        """Push a screen; keys wait until it can take them."""
        if isinstance(screen, Urgent):
            self._aside, self._held = [*self._aside, *(self._held or [])], None
        elif isinstance(screen, ModalScreen) or (isinstance(screen, ConsoleScreen) and self.base is not None):
            self._wait_for(screen)
        return super().push_screen(screen, *args, **options)

    def switch_screen(self, screen: Any) -> Any:
        """Put a screen in the place of the one on top; keys wait until it can take them."""
        self._wait_for(screen)
        return super().switch_screen(screen)

    def _wait_for(self, screen: Screen[Any]) -> None:
        self._held = self._held or []
        screen.call_after_refresh(self.post_message, DialogReady())

    def hold_keys(self) -> None:
        """Let keys wait until `DialogReady` is posted: there is nothing yet that could take them."""
        self._held = []

    def give_back(self, event: events.Key) -> None:
        """Put a key before those that wait, for the dialog that comes next."""
        self._held = [event, *(self._held or [])]

    def urgent_over(self, after: Sequence[events.Key] = ()) -> None:
        """An urgent dialog is gone: what was typed before it, and `after` it, goes where it was meant to."""
        waiting, self._aside = [*self._aside, *after], []
        if waiting:
            self._held = [*waiting, *(self._held or [])]
            self.post_message(DialogReady())

    async def on_dialog_ready(self) -> None:
        """Give the dialog what was typed meanwhile."""
        held, self._held = self._held or [], None
        for event in held:
            # One of them may open another dialog: `on_event` then holds the rest for that one.
            await self.on_event(event)

    async def on_event(self, event: events.Event) -> None:
        """Do a command at once; pass on everything else."""
        if isinstance(event, events.Key) and not event.is_forwarded:
            if self._held is not None and not self._is_urgent(event):
                self._held.append(event)
                return
            focused: object = self.focused
            screen: object = self.screen
            if isinstance(screen, Urgent) and screen.press(event):
                return
            if isinstance(screen, Decides) and screen.decides(event):
                self._held = []
            if self._command(self.screen, event) or (isinstance(focused, TakesKeys) and focused.take(event)):
                return
        await super().on_event(event)

    def _is_urgent(self, event: events.Key) -> bool:
        """Return whether `event` is the key that stops agents, and there is a screen to do it on."""
        base = self.base
        halts = HALT in self.commands_of.get(event.key, ()) and not event.is_printable
        return halts and base is not None and base.is_mounted

    def _command(self, screen: Screen[Any], event: events.Key) -> bool:
        names = self.commands_of.get(event.key, ())
        if self.base is not None and ("quit" in names or self._is_urgent(event)):
            # The two commands that a dialog does not take for itself.
            screen = self.base
        if not names or not isinstance(screen, ConsoleScreen):
            return False
        # What belongs elsewhere says where.
        name = next((each for each in names if exists(BY_ID[each], screen.place)), names[0])
        typing = isinstance(screen.focused, TextArea)
        if typing and (event.is_printable or not BY_ID[name].typing):
            return False
        self.app_focus = True
        screen.command(name)
        return True
