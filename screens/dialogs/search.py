"""Search in the timeline: newest first, the chosen entry is shown where it stands."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input

from data.trouble import StoreTrouble
from data.view import Line, Lines
from screens.background import background
from screens.display import content, fit
from screens.times import stamp
from screens.widgets.rows import Cells, ListRows, Rows

MOST = 200


class Hits(ListRows[Line]):
    """The entries that were found."""

    def key(self, row: Line) -> Hashable:
        """Return the hash of the entry's event."""
        return row.hash

    def empty(self) -> str:
        """Return what an empty list says."""
        return "Type words; all of them must occur."

    def paint(self, row: Line, width: int) -> Cells:
        """Return the line of one entry."""
        return [
            (stamp(row.at)[5:19].replace("T", " "), "quiet"),
            (f" {fit(row.mark, 1)} ", "info"),
            (fit(row.actor, 10) + " ", "quiet"),
            (fit(f"[corrected by {row.editor}] " * bool(row.editor) + row.text, width - 28), ""),
        ]


class Search(ModalScreen[str]):
    """Returns the hash of the entry that was chosen, empty when it was left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back", show=False, priority=True),
        Binding("down", "step(1)", "Down", show=False, priority=True),
        Binding("up", "step(-1)", "Up", show=False, priority=True),
        Binding("enter", "choose", "Choose", show=False, priority=True),
    ]
    DEFAULT_CSS = """
    Search { align: center middle; background: $background 60%;
        Vertical { width: 110; max-width: 100%; height: 80%; background: $panel; }
        Input { border: none; height: 1; padding: 0 1; &:focus { border: none; } }
        Hits { height: 1fr; background: $panel; }
    }
    """

    def __init__(self, lines: Lines, words: str = "") -> None:
        super().__init__()
        self._lines, self._words = lines, words

    def compose(self) -> ComposeResult:
        """The words, and what they find."""
        with Vertical():
            field = Input(self._words, placeholder="words", max_length=200, select_on_focus=False)
            field.cursor_blink = False
            yield field
            yield Hits(id="hits")

    def on_mount(self) -> None:
        """Start typing."""
        self.set_focus(self.query_one(Input))
        self.query_one(Hits).title("Find", "Enter shows it · Esc back")
        if self._words:
            background(self, self._search, self._words, latest=True)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search again; an older search that still runs is forgotten."""
        background(self, self._search, event.value, latest=True)

    async def _search(self, words: str) -> None:
        hits = self.query_one(Hits)
        try:
            found = await self._lines.search(words, MOST) if words.strip() else []
        except StoreTrouble as trouble:
            hits.border_title = content(f"Find: {trouble}")
            return
        hits.show(found)
        more = "the newest " if len(found) == MOST else ""
        hits.border_title = Content(f"Find  {more}{len(found)}" if words.strip() else "Find")

    def action_step(self, by: int) -> None:
        """Move in the list without leaving the words."""
        self.query_one(Hits).action_step(by)

    def action_choose(self) -> None:
        """Return the selected entry."""
        line = self.query_one(Hits).selected
        if line is not None:
            self.dismiss(line.hash)

    def on_rows_opened(self, event: Rows.Opened) -> None:
        """Return the entry that was clicked twice."""
        event.stop()
        self.action_choose()

    def action_leave(self) -> None:
        """Return nothing."""
        self.dismiss("")
