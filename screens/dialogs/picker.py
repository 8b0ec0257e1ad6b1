"""Which form: the library with what became of each, and what of it is half filled."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from console import forms
from screens.background import background
from screens.console_screen import refusal
from screens.dialogs.questions import BORDERS, Answers, Waiting
from screens.display import content, fit
from screens.keyboard import DialogReady, OrderedKeys
from screens.room import FORMS
from screens.times import hm
from screens.widgets.rows import Cells, ListRows, Rows
from screens.widgets.strips import StripLines

if TYPE_CHECKING:
    from console.room import Room
    from playbooks.guidance import Form


@dataclass(frozen=True, slots=True)
class FormLine:
    """A form to choose. `digit`: the key that does; `standing`: what became of it so far."""

    digit: str
    title: str
    standing: str
    waiting: Waiting


class FormLines(ListRows[FormLine]):
    """The forms of the library."""

    def key(self, row: FormLine) -> Hashable:
        """Return the id of the form."""
        return row.waiting.document.id

    def take(self, event: events.Key) -> bool:
        """Choose with one key."""
        return isinstance(self.screen, Picker) and self.screen.take(event)

    def paint(self, row: FormLine, width: int) -> Cells:
        """Return the line of one form."""
        right = min(40, width // 2)
        return [
            (f"{row.digit}  ", "strong"),
            (fit(row.title, width - right - 4) + " ", ""),
            (fit(row.standing, right), "high" if row.waiting.answers else "quiet"),
        ]


class Picker(ModalScreen[Waiting]):
    """Which form. The library and the drafts are read while it is open; keys that come before that wait.

    Args:
        room: the incident.
        name: the form that was named; empty = it is asked for.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Back", show=False)]
    DEFAULT_CSS = "Picker { " + BORDERS + " #asks { height: auto; } Rows { height: 5; } }"

    def __init__(self, room: Room, name: str = "") -> None:
        super().__init__()
        self._room, self._name = room, name
        self._early: events.Key | None = None
        self._ready = False

    def compose(self) -> ComposeResult:
        """The forms, and the keys."""
        with Vertical(id="asks") as box:
            box.border_title = Content("Forms")
            yield FormLines(id="forms")
            yield StripLines(id="asks-keys")

    def on_mount(self) -> None:
        """Read beside the keyboard."""
        self.set_focus(self.query_one(FormLines))
        self._say("reading the forms…")
        background(self, self._read)

    def _say(self, text: str, tone: str = "quiet") -> None:
        self.query_one("#asks-keys", StripLines).show(([(content(text, 400).plain, tone, 0)], []))

    async def _read(self) -> None:
        lines = self.query_one(FormLines)
        rows: list[FormLine] = []
        named = None
        try:
            rows = await asyncio.to_thread(_lines, self._room)
            if self._name:
                wanted = (await asyncio.to_thread(forms.form, self._name)).id
                named = next(row.waiting for row in rows if row.waiting.document.id == wanted)
        except Exception as error:
            self._say(*refusal(error))
        else:
            self._say("a digit or Enter answers it · Esc back")
        self._ready = True
        lines.styles.height = max(len(rows), 1)
        lines.show(rows)
        if named is not None:
            if self._early is not None and isinstance(self.app, OrderedKeys):
                self.app.give_back(self._early)  # it was meant for the form
            self._leave(named)
        elif self._early is None or not self.take(self._early):
            self.app.post_message(DialogReady())

    def decides(self, event: events.Key) -> bool:
        """Return whether the keys after `event` belong to the form that it picks, or come too early."""
        return not self._ready or self._picked(event) is not None

    def _picked(self, event: events.Key) -> FormLine | None:
        lines = self.query_one(FormLines)
        if event.key == "enter":
            return lines.selected
        return next((row for row in lines.all_rows if row.digit == event.character), None)

    def take(self, event: events.Key) -> bool:
        """Pick a form by its digit, or the one under the cursor with Enter."""
        if not self._ready:
            self._early = event
            return True
        picked = self._picked(event)
        if picked is not None:
            self._leave(picked.waiting)
        elif event.key == "escape" and event is self._early:
            self._leave(None)
        return picked is not None

    def on_rows_opened(self, event: Rows.Opened) -> None:
        """Pick what was clicked."""
        event.stop()
        if (row := self.query_one(FormLines).selected) is not None:
            self._leave(row.waiting)

    def action_leave(self) -> None:
        """Go back."""
        self._leave(None)

    def _leave(self, waiting: Waiting | None) -> None:
        if self.is_current:
            self.dismiss(waiting)


def _lines(room: Room) -> list[FormLine]:
    """Return the forms with what became of them. Reads the library and the drafts: waits for the disk."""
    orphans = [] if room.read_only else room.drafts.orphans()
    rows = []
    for number, document in enumerate(forms.every(), 1):
        # What is decided with it is read here too, and not while somebody answers.
        forms.decisions(document, room.incident.profile)
        box = FORMS + document.id
        for orphan in reversed(orphans):
            # The newest of a console that is gone; where this console has one of its own, that one counts.
            if orphan.box == box and room.drafts.adopt(orphan):
                break
        draft = room.drafts.get(box)
        answers = Answers.of(draft, document) if draft is not None else Answers()
        rows.append(
            FormLine(
                str(number), document.title, _standing(room, document, answers), Waiting(document, answers)
            )
        )
    return rows


def _standing(room: Room, document: Form, answers: Answers) -> str:
    if answers:
        return f"half filled, {hm(answers.begun)}Z"
    known = room.incident.triage.forms.get(document.id)
    if known is None:
        return "not answered"
    what = f"decided {known.body.decided}" if known.body.decided else "answered"
    return f"{hm(known.at)}Z {known.by}: {what}"
