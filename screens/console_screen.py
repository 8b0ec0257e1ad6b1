"""What the room and the list of incidents share: keys become commands, commands become deeds, and every answer is said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.screen import Screen

from console.refusal import Refused
from data.trouble import StoreTrouble
from screens.background import background
from screens.commands import BY_ID, Place, Situation, reason

if TYPE_CHECKING:
    from console.desk import Desk
    from console.room import Room
    from screens.warroom import WarRoomApp

Deed = Callable[["ConsoleScreen", str], None]
"""Does a command on a screen; the text is what the command line gave after the name, usually nothing."""

DEEDS: dict[str, Deed] = {}
"""Command id to what it does. `screens.deeds` fills it when it is imported, after the first frame."""

AT_ONCE = frozenset({"halt", "quit", "help", "write.note", "write.decision"})
"""Commands that do not wait for the record: nobody keeps a thought until a disk is ready."""


FIELD_BY_FIELD = (
    Binding("tab", "app.focus_next", "Next", show=False, priority=True),
    Binding("shift+tab", "app.focus_previous", "Previous", show=False, priority=True),
)
"""At once, before the next key is looked at: what is typed after Tab belongs to where Tab leads."""


def refusal(error: Exception) -> tuple[str, str]:
    """Return what to say about an error that a person or a store can cause, and its tone; raise any other."""
    # Neither is on the path to the first frame.
    from console.runner.refusal import Hindered
    from playbooks.load import PlaybookTrouble

    match error:
        case Hindered():
            from screens.reading_playbook import in_keys

            return " ".join(in_keys(error.refusals)), "high"
        case Refused():
            return str(error), "high"
        case StoreTrouble():
            return f"NOT SAVED: {error}", "crit"
        case PlaybookTrouble():
            return f"NOT SAVED: the runbook cannot be used. {error}", "crit"
        case _:
            raise error


def perhaps_leaving() -> suppress:
    """Bear with missing widgets: a screen on its way out has lost some of them already, and nobody sees it any more."""
    return suppress(NoMatches)


def does(name: str) -> Callable[[Deed], Deed]:
    """Register a deed under the id of its command."""

    def register(deed: Deed) -> Deed:
        DEEDS[name] = deed
        return deed

    return register


class ConsoleScreen(Screen[None]):
    """A screen of the console. Subclasses say in which situation they are and show the state."""

    AUTO_FOCUS = None
    BINDINGS: ClassVar[list[BindingType]] = [*FIELD_BY_FIELD]
    place: Place = "room"

    @property
    def console_app(self) -> WarRoomApp:
        """The app."""
        app = self.app
        assert hasattr(app, "keymap_in_force")  # noqa: S101 - told to the type checker, true by construction
        return app  # type: ignore[return-value]

    def on_mount(self) -> None:
        """Begin; an app that is told to end before its first frame has mounted the screen and not its widgets."""
        with perhaps_leaving():
            self.begin()

    def begin(self) -> None:
        """Draw the frame, and what of the state is known."""

    def on_screen_resume(self) -> None:
        """The dialog over it is gone."""
        self.app.call_later(self.console_app.uncovered)

    @property
    def desk(self) -> Desk | None:
        """The desk, once it is open."""
        return self.console_app.desk

    @property
    def room(self) -> Room | None:
        """The open room, if any."""
        desk = self.desk
        return desk.room if desk is not None else None

    @property
    def keymap(self) -> Mapping[str, tuple[str, ...]]:
        """The keys in force, by command id."""
        return self.console_app.keymap_in_force

    @property
    def typed(self) -> str:
        """What is typed here and not saved."""
        return ""

    def keep(self, text: str) -> None:
        """Keep `text`, typed in a dialog, for the next time; where there is no record it cannot be kept."""

    def now(self) -> int:
        """Return now, ns UTC, by the clock of the desk; 0 while there is none."""
        return self.desk.clock.now() if self.desk is not None else 0

    def situation(self) -> Situation:
        """Return what decides which commands are possible."""
        raise NotImplementedError

    def say(self, text: str, tone: str = "") -> None:
        """Show a message; text from outside passes the gate on the way."""
        raise NotImplementedError

    def unsay(self, about: str) -> None:
        """Take a message back that has `about` in it and holds no more; another one stays."""

    def show_state(self) -> None:
        """Draw the state of the desk and of the room."""
        raise NotImplementedError

    def show_clocks(self) -> None:
        """Draw what changes with time alone."""
        raise NotImplementedError

    async def attempt(self, work: Awaitable[object], done: str = "") -> bool:
        """Await `work`; say `done` afterwards, or why it could not be done. Returns whether it was done."""
        try:
            await work
        except Exception as error:
            self.say(*refusal(error))
        else:
            if done:
                self.say(done, "ok")
            return True
        return False

    def start(self, work: Awaitable[object], done: str = "") -> None:
        """Attempt `work` without making the keyboard wait."""
        background(self, self.attempt, work, done)

    def command(self, name: str, words: str = "") -> None:
        """Do the command `name`, or say why it is not possible now."""
        # Dialogs and pages are not on the path to the first frame.
        import screens.deeds  # noqa: F401

        command = BY_ID[name]
        if self.desk is None:
            if name in AT_ONCE:
                DEEDS[name](self, words)
            else:
                self.say("The record is being opened; one moment.")
            return
        why = reason(command, self.situation())
        if why:
            self.say(why, "high")
        else:
            DEEDS[name](self, words)

    def key_escape(self) -> None:
        """Go one step back."""
        self.back()

    def back(self) -> None:
        """Go one step back; never quits."""
