"""The write bar: always one key away. What is typed is a draft at once and an entry when it is on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static, TextArea
from textual.widgets.text_area import Edit, EditResult

from console.refusal import Refused
from screens.display import content
from screens.times import day_hms, hms
from screens.widgets.strips import Piece, StripLines

LONGEST = 16_384
"""Characters of an entry, at most: what the scribe's grammar takes."""


class Box(TextArea):
    """A text box: Enter finishes, Esc leaves, a paste keeps all its lines and says when it was cut."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Leave", show=False, priority=True)]
    DEFAULT_CSS = """
    Box { height: auto; border: none; padding: 0; background: transparent; color: $foreground;
        &:focus { border: none; background: transparent; } }
    """

    class Finished(Message):
        """Enter was pressed. `text`: what the box held at that moment; `began`: when typing it began."""

        def __init__(self, text: str, began: int) -> None:
            super().__init__()
            self.text, self.began = text, began

    class Left(Message):
        """Esc was pressed."""

    class Held(Message):
        """Enter came first after a draft was put back, and saved nothing."""

    class Cut(Message):
        """A paste was longer than what is kept."""

        def __init__(self, kept: int, of: int) -> None:
            super().__init__()
            self.kept, self.of = kept, of

    def __init__(
        self,
        text: str = "",
        *,
        id: str | None = None,
        limit: int = LONGEST,
        lines: bool = True,
        enter: Callable[[str, int], None] | None = None,
        now: Callable[[], int] = lambda: 0,
    ) -> None:
        super().__init__(
            text, id=id, compact=True, soft_wrap=True, tab_behavior="focus", highlight_cursor_line=False
        )
        self.cursor_blink = False
        self.limit, self._lines, self._enter, self._now = limit, lines, enter, now
        self.began = 0
        self.restored = False
        """Whether the text was put back and no key has come since."""

    def on_mount(self) -> None:
        """Begin at the end of what is there."""
        self.move_cursor(self.document.end)

    def action_leave(self) -> None:
        """Let go of the keyboard at once, so that the next key is a command."""
        self.restored = False
        self.screen.set_focus(None)
        self.post_message(self.Left())

    async def _on_key(self, event: events.Key) -> None:
        """Take every key in its place: what is typed after Enter belongs to the next line, Backspace to this box.

        The toolkit looks keys that edit up when the letters after them are there already, and in whatever box has
        the focus by then.
        """
        edits = self._bindings.key_to_bindings.get(event.key, ())
        restored, self.restored = self.restored, False
        if event.key != "enter" and not edits:
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()
        if edits:
            await self.run_action(edits[0].action)
            return
        if restored:
            # Whoever pressed it may have meant what stood here before the draft came back.
            self.post_message(self.Held())
        elif self._enter is None:
            self.post_message(self.Finished(self.text, self.began))
        elif self.text.strip():
            # At once, not by a message: those still on their way read the box as it is when they arrive, and
            # would drop the draft of a line that nobody has taken yet.
            self._enter(self.text, self.began)
            self.fill("", 0)

    def fill(self, text: str, began: int) -> None:
        """Put `text` into the box, as begun at `began` (ns UTC), with the cursor at its end."""
        self.began = began
        self.load_text(text)
        self.move_cursor(self.document.end)

    def edit(self, edit: Edit) -> EditResult:
        """Change the text, and know when typing it began: at the first character of an empty box."""
        result = super().edit(edit)
        self._begin()
        return result

    def undo(self) -> None:
        """Take typing back; what is typed into the empty box begins anew."""
        super().undo()
        self._begin()

    def redo(self) -> None:
        """Type again what was taken back."""
        super().redo()
        self._begin()

    def _begin(self) -> None:
        if not self.text:
            self.began = 0
        elif not self.began:
            self.began = self._now()

    async def _on_paste(self, event: events.Paste) -> None:
        """Keep what fits, and say how much that was."""
        self.restored = False
        event.stop()
        event.prevent_default()
        text = event.text.replace("\r\n", "\n").replace("\r", "\n")
        if not self._lines:
            text = " ".join(text.split())
        room = max(self.limit - len(self.text), 0)
        if text[:room]:
            self.replace(text[:room], *self.selection, maintain_selection_offset=False)
        if len(text) > room:
            self.post_message(self.Cut(room, len(text)))


class Writer(Vertical):
    """The box, and a line under it that says what Enter will do or what happened last.

    Args:
        now: the clock, ns UTC.
        enter: takes a finished line and when typing it began; has it safe when it returns.
    """

    DEFAULT_CSS = """
    Writer { height: auto; background: $panel;
        #prompt { width: 12; color: $quiet; }
        Horizontal { height: auto; }
        Box { max-height: 5; width: 1fr; }
        #said { height: 1; }
    }
    """

    class Typed(Message):
        """The draft changed. `typed`: when typing it began, ns UTC; 0 when it is empty."""

        def __init__(self, text: str, typed: int) -> None:
            super().__init__()
            self.text, self.typed = text, typed

    def __init__(self, now: Callable[[], int], enter: Callable[[str, int], None]) -> None:
        super().__init__(id="writer")
        self._now, self._enter = now, enter
        self._filled = ""
        self._message: Piece = ("", "", 0)

    def compose(self) -> ComposeResult:
        """Prompt, box, and the line under them."""
        with Horizontal():
            yield Static(Content(" ›"), id="prompt")
            yield Box(id="box", enter=self._enter, now=self._now)
        yield StripLines(id="said")

    @property
    def box(self) -> Box:
        """The text box."""
        return self.query_one(Box)

    @property
    def text(self) -> str:
        """What is typed and not saved."""
        return self.box.text

    @property
    def typed(self) -> int:
        """When typing it began, ns UTC; 0 when nothing is typed."""
        return self.box.began

    def say(self, text: str, tone: str = "") -> None:
        """Show a message under the box until the next one. The text passes the gate here."""
        self._message = (content(text, 400).plain, tone, 0)
        self._explain()

    def restore(self, text: str, typed: int) -> None:
        """Put a draft back: the first Enter does not save it."""
        self.fill(text, typed)
        self.box.restored = True

    def on_box_held(self, event: Box.Held) -> None:
        """Say that nothing was saved."""
        event.stop()
        self.say(
            "NOT saved: this draft came back from before. Enter again saves it, Esc leaves it here.", "high"
        )

    @property
    def message(self) -> str:
        """The message that stands there."""
        return self._message[0]

    def fill(self, text: str, typed: int) -> None:
        """Put `text` into the box, as begun at `typed` (ns UTC), with the cursor at its end."""
        self._filled = text
        self.box.fill(text, typed)
        self._explain()

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Say what Enter will do, and hand the draft on."""
        event.stop()
        text = self.text
        if text != self._filled:
            # Whoever types on has read what was said about the text as it was.
            self._filled, self._message = text, ("", "", 0)
        self.query_one("#prompt", Static).update(Content(f" › {hms(self.typed)}" if self.typed else " ›"))
        self._explain()
        self.post_message(self.Typed(text, self.typed))

    def on_box_left(self, event: Box.Left) -> None:
        """Say that the person leaves."""
        event.stop()
        self.post_message(self.Done())

    class Done(Message):
        """The person leaves the write bar; what is typed stays."""

    def on_box_cut(self, event: Box.Cut) -> None:
        """Say how much of a paste was kept."""
        event.stop()
        self.say(
            f"The paste was cut: {event.kept:,} of {event.of:,} characters kept; an entry holds {LONGEST:,}.",
            "high",
        )

    def _explain(self) -> None:
        """Say what Enter will do while something is typed; otherwise the last message."""
        line = self.query_one("#said", StripLines)
        text = self.text
        if not text.strip():
            line.show(([self._message], []))
            return
        from console.scribe import AHEAD, parse  # the grammar is not needed for the first frame

        now = self._now()
        try:
            written = parse(text, self.typed or now, now, AHEAD)
        except Refused as refused:
            line.show(([self._message if self._message[0] else (str(refused), "high", 0)], []))
            return
        note = written.note
        pieces: list[Piece] = [(note.style.upper(), "strong", 0)]
        shift = ", ahead of this console's clock" if written.at > now else ", back-dated"
        pieces.append(
            (
                f"at {day_hms(written.at, now)}Z" + (shift if written.backdated else ""),
                "info" if written.backdated else "quiet",
                0,
            )
        )
        if written.doubt:
            doubt = f"{written.doubt} is not read as a time: -5m, -2h or 14:05 would be"
            pieces.append((content(doubt, 100).plain, "high", 0))
        if names := " ".join([*(f"@{name}" for name in note.mentions), *(f"#{tag}" for tag in note.tags)]):
            pieces.append((content(names, 40).plain, "info", 3))
        lines = text.strip().count("\n") + 1
        if lines > 1:
            pieces.append((f"{lines} lines: Enter saves one entry, F6 one per line", "", 2))
        line.show(([self._message] if self._message[1] in ("crit", "high") else pieces, []))
