"""A form: choices and lines of text, checked and done before it closes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Label

from screens.background import background
from screens.console_screen import FIELD_BY_FIELD, refusal
from screens.display import block, content, fit
from screens.keyboard import DialogReady
from screens.widgets.rows import Cells, ListRows, Rows
from screens.widgets.sheet import LABEL, Para, Sheet
from screens.widgets.strips import StripLines
from screens.widgets.writer import Box


@dataclass(frozen=True, slots=True)
class Option:
    """One answer. `key`: the single key that picks it."""

    key: str
    value: str
    text: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A question with given answers.

    `required`: the sentence shown while nothing is chosen, for answers that nobody must give by accident; empty = it
    begins with the first of them.
    """

    name: str
    label: str
    options: tuple[Option, ...]
    value: str = ""
    required: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """A question answered in words. `required`: the sentence shown while it is empty; empty = optional."""

    name: str
    label: str
    value: str = ""
    required: str = ""
    limit: int = 2000
    lines: bool = False


Field = Choice | Text
Submit = Callable[[Mapping[str, str]], Awaitable[None]]


class Options(ListRows[Option]):
    """The answers of one choice; the one under the cursor is chosen."""

    def __init__(self, choice: Choice) -> None:
        super().__init__(id=f"field-{choice.name}")
        self._rows = list(choice.options)
        first = -1 if choice.required else 0
        self.cursor = next(
            (i for i, option in enumerate(choice.options) if option.value == choice.value), first
        )
        self._before = self.cursor
        self._picked = ""
        """The keys that chose, one directly after the other, since the cursor stood at `_before`."""

    @property
    def value(self) -> str:
        """The chosen answer; empty while there is none."""
        return self._rows[self.cursor].value if self.cursor >= 0 else ""

    def key(self, row: Option) -> Hashable:
        """Return the answer's value."""
        return row.value

    def paint(self, row: Option, width: int) -> Cells:
        """Return the line of one answer."""
        mark = "(•)" if row.value == self.value else "( )"
        return [(f"{mark} ", "info"), (f"{row.key}  ", "strong"), (fit(row.text, width - 7), "")]

    def go(self, index: int, *, step: int = 1) -> None:
        """Choose; the mark moves, so all lines are drawn again."""
        super().go(index, step=step)
        self.refresh()

    def take(self, event: events.Key) -> bool:
        """Pick an answer by its key, and submit with Enter; what else is typed is for the words that are missing.

        Whoever begins with the words would choose by the `j` and the `k` in them, as in a pane.
        """
        form = self.screen
        if not isinstance(form, Form):
            return False
        if event.key == "enter":
            form.action_submit()
            return True
        for index, option in enumerate(self._rows):
            if event.character == option.key:
                if not self._picked:
                    self._before = self.cursor
                self._picked += option.key
                self.go(index)
                return True
        typed, picked, self._picked = event.character or "", self._picked, ""
        if not event.is_printable:
            return False
        # `1refunds` chooses and begins the words; in `3 customers`, `40 % of` and `5xx` the words began with the digit.
        if picked and (not typed.isalpha() or typed == "x") and form.missing is not None:
            self.go(self._before)
            typed = picked + typed
        return form.type_ahead(typed)


class Form(ModalScreen[bool]):
    """Asks, then does it. What is refused is said here and the form stays open; nothing is lost.

    Args:
        title: what this is about, in our own words.
        fields: the questions, in order.
        submit: does it; raises `Refused` with the reason when it cannot be done.
        about: display text shown above the questions, such as the entry that is meant.
        lines: lines of our own shown there, one below the other.
        shown: what to read in full before anything is decided; what is long scrolls.
        verb: what Enter does.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", show=False),
        Binding("enter", "submit", "Submit", show=False),
        *FIELD_BY_FIELD,
    ]
    DEFAULT_CSS = """
    Form { align: center middle; background: $background 60%;
        #form { width: 76; max-width: 100%; height: auto; max-height: 100%; background: $panel; border: heavy $edge-focus; padding: 0 1;
            border-title-style: bold; overflow-y: auto; }
        .about { color: $agent-text; width: 100%; height: auto; max-height: 6; padding: 0 0 1 2; }
        .line { width: 100%; height: auto; max-height: 4; }
        .label { width: 100%; color: $quiet; }
        Rows { border: none; background: transparent; height: auto; &:focus { border: none; } }
        Box { background: $background; max-height: 6; padding: 0 1; &:focus { background: $background; } }
    }
    """

    def __init__(
        self,
        title: str,
        fields: tuple[Field, ...],
        submit: Submit,
        *,
        about: str = "",
        lines: tuple[str, ...] = (),
        shown: Sequence[Para] = (),
        verb: str = "save",
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._title, self._fields, self._submit_to, self._about, self._verb = (
            title,
            fields,
            submit,
            about,
            verb,
        )
        self._lines, self._shown = lines, list(shown)
        self._busy = False

    def compose(self) -> ComposeResult:
        """Questions in order, and a line that says what is wrong."""
        with Vertical(id="form") as form:
            form.border_title = Content(f"{self._title}")
            if self._about:
                yield Label(content(self._about, 2000), classes="about")
            for line in self._lines:
                yield Label(content(line, 400), classes="line")
            if self._shown:
                yield self._sheet()
            for field in self._fields:
                yield Label(content(field.label), classes="label")
                if isinstance(field, Choice):
                    options = Options(field)
                    options.styles.height = len(field.options)
                    yield options
                else:
                    yield Box(field.value, id=f"field-{field.name}", limit=field.limit, lines=field.lines)
            yield StripLines(id="form-says")

    def _sheet(self) -> Sheet:
        """What is shown in full: as high as it is, as far as the questions leave room."""
        width = min(self.app.size.width, 76) - 4
        folded = (block(para.text, width - (LABEL if para.label else 0) - 3)[0] for para in self._shown)
        asked = sum(len(field.options) + 1 if isinstance(field, Choice) else 2 for field in self._fields)
        sheet = Sheet(id="form-shown")
        sheet.styles.height = min(sum(map(len, folded)), max(self.app.size.height - asked - 4, 3))
        return sheet

    def on_mount(self) -> None:
        """Go to the first question."""
        if self._shown:
            sheet = self.query_one("#form-shown", Sheet)
            sheet.read(self._shown)
            # It takes the keys only where there is nothing to type: what is long can be scrolled then.
            sheet.can_focus = not self._fields
            self.set_focus(sheet if sheet.can_focus else None)
        if self._fields:
            self.set_focus(self.query_one(f"#field-{self._fields[0].name}"))
        self._say("")

    @property
    def typed(self) -> str:
        """What was typed here and is not done: the answers that are others than those offered."""
        answers = self.values
        texts = [field for field in self._fields if isinstance(field, Text)]
        return "\n".join(answers[field.name] for field in texts if answers[field.name] != field.value.strip())

    @property
    def values(self) -> dict[str, str]:
        """The answers so far."""
        answers: dict[str, str] = {}
        for field in self._fields:
            widget = self.query_one(f"#field-{field.name}")
            if isinstance(widget, Options):
                answers[field.name] = widget.value
            elif isinstance(widget, Box):
                answers[field.name] = widget.text.strip()
        return answers

    @property
    def missing(self) -> Text | None:
        """The first question that wants words and has none."""
        answers = self.values
        texts = (field for field in self._fields if isinstance(field, Text))
        return next((field for field in texts if field.required and not answers[field.name]), None)

    def type_ahead(self, text: str) -> bool:
        """Type `text`, meant for no choice, where words are missing. Returns whether the form asks for words."""
        box = self._box()
        if box is not None:
            self.set_focus(box)
            box.insert(text)
        return box is not None

    def _box(self) -> Box | None:
        """Where words go that were meant for no choice: where they are missing, else where there are none yet."""
        answers = self.values
        texts = [field for field in self._fields if isinstance(field, Text)]
        empty = [field for field in texts if not answers[field.name]]
        field = self.missing or next(iter(empty or texts), None)
        return self.query_one(f"#field-{field.name}", Box) if field is not None else None

    def on_paste(self, event: events.Paste) -> None:
        """Words that are pasted while a choice has the keys are words too."""
        event.stop()
        box = self._box()
        if box is not None:
            self.set_focus(box)
            box.post_message(events.Paste(event.text))

    def _say(self, wrong: str) -> None:
        keys = [
            ("Enter", "strong", 0),
            (self._verb, "quiet", 0),
            ("Tab", "strong", 3),
            ("next", "quiet", 3),
            ("Esc", "strong", 0),
            ("cancel", "quiet", 0),
        ]
        self.query_one("#form-says", StripLines).show(
            ([(content(wrong, 400).plain, "high", 0)] if wrong else keys, [])
        )

    def on_box_finished(self, event: Box.Finished) -> None:
        """Enter in a box submits."""
        event.stop()
        self.action_submit()

    def on_box_left(self, event: Box.Left) -> None:
        """Esc in a box cancels."""
        event.stop()
        self.action_cancel()

    def on_box_cut(self, event: Box.Cut) -> None:
        """Say how much of a paste was kept."""
        event.stop()
        self._say(f"The paste was cut: {event.kept:,} of {event.of:,} characters kept.")

    def on_rows_opened(self, event: Rows.Opened) -> None:
        """A second click on an answer submits."""
        event.stop()
        self.action_submit()

    def action_cancel(self) -> None:
        """Close without doing anything."""
        if not self._busy:
            self.dismiss(False)

    def decides(self, event: events.Key) -> bool:
        """Return whether `event` submits: only then is it known whom the next keys are for."""
        return event.key == "enter"

    def _decided(self) -> None:
        self.app.post_message(DialogReady())

    def action_submit(self) -> None:
        """Do it, once, when nothing is missing; otherwise go to what is missing."""
        answers = self.values
        for field in self._fields:
            if field.required and not answers[field.name]:
                widget = self.query_one(f"#field-{field.name}")
                if self.focused is widget or widget.has_focus:
                    self._say(field.required)
                else:
                    self.set_focus(widget)
                    self._say("")
                self._decided()
                return
        if not self._busy:
            self._busy = True
            background(self, self._do, answers)

    async def _do(self, answers: Mapping[str, str]) -> None:
        try:
            await self._submit_to(answers)
        except Exception as error:
            said, _ = refusal(error)
            self._busy = False
            self._say(said)
        else:
            self.dismiss(True)
        self._decided()
