"""A list drawn line by line: the cost of a frame is the height of the pane, never the length of the list."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from screens.display import fit
from screens.tones import ground, tone_style

T = TypeVar("T")

Cells = Sequence[tuple[str, str]]
"""One line: pieces of display text, each with its tone (see `screens.tones`), or nothing for plain text."""

WHEEL = 3


class Rows(Widget, Generic[T], can_focus=True):
    """A pane with a cursor. Subclasses give `count`, `row`, `key` and `paint`.

    Nothing under the cursor moves: the selection is the key of a row, not its number, and a change of the list
    keeps the selected row on its line of the screen.
    """

    DEFAULT_CSS = """
    Rows {
        border: round $edge;
        border-title-color: $text;
        border-title-style: bold;
        border-subtitle-color: $quiet;
        padding: 0;
        &:focus { border: heavy $edge-focus; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "step(-1)", "Up", show=False, priority=True),
        Binding("down,j", "step(1)", "Down", show=False, priority=True),
        Binding("pageup", "page(-1)", "Page up", show=False, priority=True),
        Binding("pagedown", "page(1)", "Page down", show=False, priority=True),
        Binding("home,g", "top", "Top", show=False, priority=True),
        Binding("end,G", "tail", "End", show=False, priority=True),
    ]

    class Moved(Message):
        """Another row is selected, or the selected row changed."""

        def __init__(self, rows: Rows[Any]) -> None:
            super().__init__()
            self.rows = rows

    class Opened(Message):
        """The selected row was clicked a second time."""

        def __init__(self, rows: Rows[Any]) -> None:
            super().__init__()
            self.rows = rows

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.top = 0
        self.cursor = 0
        self._styles_of: dict[tuple[str, int], Style] = {}
        self._titles = ("", "")

    # -- what a subclass says ------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """How many rows there are."""
        raise NotImplementedError

    def row(self, index: int) -> T | None:
        """Return the row at `index`, or None while it is not loaded or when it is no row."""
        raise NotImplementedError

    def key(self, row: T) -> Hashable:
        """Return the identity of `row`."""
        raise NotImplementedError

    def paint(self, row: T, width: int) -> Cells:
        """Return the line of `row`, `width` cells wide, without the cursor column."""
        raise NotImplementedError

    def selectable(self, row: T | None) -> bool:
        """Return whether the cursor may stand on `row`."""
        return True

    def empty(self) -> str:
        """Return what an empty pane says."""
        return ""

    # -- state -----------------------------------------------------------------------------------------------

    @property
    def height(self) -> int:
        """Rows of the list that are on the screen at once, at least 1."""
        return max(self.size.height, 1)

    @property
    def selected(self) -> T | None:
        """The row under the cursor."""
        if not 0 <= self.cursor < self.count:
            return None
        row = self.row(self.cursor)
        return row if row is not None and self.selectable(row) else None

    def title(self, title: str, foot: str = "") -> None:
        """Set the words on the border; display text only, and repainted only when they change."""
        if (title, foot) != self._titles:
            self._titles = (title, foot)
            self.border_title = Content(title)
            self.border_subtitle = Content(foot)

    def go(self, index: int, *, step: int = 1) -> None:
        """Put the cursor on `index`, or on the next row in the direction of `step` that may be selected."""
        count = self.count
        if not count:
            return
        index = min(max(index, 0), count - 1)
        for direction in (step, -step):
            probe = index
            while 0 <= probe < count and not self.selectable(self.row(probe)):
                probe += direction
            if 0 <= probe < count:
                index = probe
                break
        old, self.cursor = self.cursor, index
        top = self.top
        # A heading above the first row comes into view with it.
        lead = 1 if index == 1 and not self.selectable(self.row(0)) else 0
        if index - lead < top:
            top = index - lead
        elif index >= top + self.height:
            top = index - self.height + 1
        if top != self.top:
            self.scroll_rows(top)
        elif index != old:
            self._repaint(old)
            self._repaint(index)
        self.post_message(self.Moved(self))

    def scroll_rows(self, top: int) -> None:
        """Make `top` the first row on the screen."""
        self.top = min(max(top, 0), max(self.count - self.height, 0))
        self.scrolled()
        self.refresh()

    def scrolled(self) -> None:
        """Do what is needed after `top` changed."""

    def _repaint(self, index: int) -> None:
        if self.top <= index < self.top + self.height:
            self.refresh(Region(0, index - self.top, self.size.width, 1))

    # -- keys and mouse --------------------------------------------------------------------------------------

    def action_step(self, by: int) -> None:
        """Move the cursor by one row."""
        self.go(self.cursor + by, step=by)

    def action_page(self, by: int) -> None:
        """Move by one screen."""
        self.scroll_rows(self.top + by * (self.height - 1))
        self.go(self.cursor + by * (self.height - 1), step=by)

    def action_top(self) -> None:
        """Go to the first row."""
        self.go(0)

    def action_tail(self) -> None:
        """Go to the last row."""
        self.go(self.count - 1, step=-1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll without moving the selection."""
        event.stop()
        self.wheel(WHEEL)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll without moving the selection."""
        event.stop()
        self.wheel(-WHEEL)

    def wheel(self, by: int) -> None:
        """Scroll by `by` rows."""
        self.scroll_rows(self.top + by)

    def on_click(self, event: events.Click) -> None:
        """Select the row under the mouse; a click on the selected row opens it; the bar at the right scrolls."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        event.stop()
        if self._overflows and offset.x == self.size.width - 1:
            self.wheel(offset.y * self.count // self.height - self.height // 2 - self.top)
            return
        index = self.top + offset.y
        if index >= self.count or not self.selectable(self.row(index)):
            return
        if index == self.cursor:
            self.post_message(self.Opened(self))
        else:
            self.go(index)

    def on_focus(self) -> None:
        """Show the cursor in its strong colour."""
        self.refresh()

    def on_blur(self) -> None:
        """Show the cursor in its weak colour."""
        self.refresh()

    def on_resize(self) -> None:
        """Keep the selected row on the screen."""
        if not self.count:
            return
        inside = min(max(self.top, self.cursor - self.height + 1), self.cursor)
        self.scroll_rows(inside)

    # -- drawing ---------------------------------------------------------------------------------------------

    @property
    def _overflows(self) -> bool:
        return self.count > self.height

    def notify_style_update(self) -> None:
        """Forget the styles of the old theme."""
        self._styles_of.clear()
        super().notify_style_update()

    def _style(self, tone: str, chosen: int) -> Style:
        style = self._styles_of.get((tone, chosen))
        if style is None:
            style = self.rich_style
            theme = self.app.theme_variables
            if chosen:
                style += ground(theme, "chosen" if chosen == 2 else "chosen-idle")
            if tone:
                style += tone_style(theme, tone)
            self._styles_of[(tone, chosen)] = style
        return style

    def render_line(self, y: int) -> Strip:
        """Draw one line of the pane."""
        width = self.size.width
        index = self.top + y
        if index >= self.count:
            says = self.empty() if not self.count and y == 0 else ""
            return Strip([Segment(fit(f" {says}" if says else "", width), self._style("quiet", 0))], width)
        row = self.row(index)
        here = index == self.cursor and (row is None or self.selectable(row))
        chosen = (2 if self.has_focus else 1) if here else 0
        bar = 1 if self._overflows else 0
        cells: Cells = self.paint(row, width - 1 - bar) if row is not None else [("…", "quiet")]
        segments = [Segment("›" if here else " ", self._style("strong" if here else "", chosen))]
        segments += [Segment(text, self._style(tone, chosen)) for text, tone in cells]
        strip = Strip(segments).adjust_cell_length(width - bar, self._style("", chosen))
        if bar:
            strip = Strip.join([strip, Strip([Segment(self._bar(y), self._style("quiet", 0))], 1)])
        return strip

    def _bar(self, y: int) -> str:
        """Return the scroll bar's cell beside line `y`."""
        height, count = self.height, self.count
        size = max(height * height // count, 1)
        start = round((height - size) * self.top / max(count - height, 1))
        return "┃" if start <= y < start + size else " "


class ListRows(Rows[T]):
    """Rows held in memory: for lists that people work through, tens to hundreds long."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: list[T] = []

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    @property
    def all_rows(self) -> list[T]:
        """All rows, in the order on the screen."""
        return self._rows

    def row(self, index: int) -> T | None:
        """Return the row at `index`."""
        return self._rows[index] if 0 <= index < len(self._rows) else None

    def show(self, rows: list[T]) -> None:
        """Show `rows`; the selected row stays selected and stays on its line of the screen."""
        chosen = self.selected
        offset = self.cursor - self.top
        self._rows = rows
        if chosen is not None:
            key = self.key(chosen)
            self.cursor = next((i for i, row in enumerate(rows) if self.key(row) == key), self.cursor)
            self.top = self.cursor - offset
        self.cursor = min(self.cursor, max(len(rows) - 1, 0))
        if rows and not self.selectable(rows[self.cursor]):
            self.cursor = next((i for i, row in enumerate(rows) if self.selectable(row)), 0)
        self.top = min(max(self.top, 0), max(len(rows) - self.height, 0))
        self.refresh()
        self.post_message(self.Moved(self))


class SectionRows(ListRows[T]):
    """One list with headings. Left and right go from section to section."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "section(-1)", "Previous section", show=False, priority=True),
        Binding("right", "section(1)", "Next section", show=False, priority=True),
    ]

    def heads(self, row: T) -> bool:
        """Return whether a section begins with `row`."""
        raise NotImplementedError

    def action_section(self, by: int) -> None:
        """Go to the first row of the next section (1), or of this or the previous one (-1)."""
        firsts = [
            place + 1
            for place, row in enumerate(self._rows[:-1])
            if self.heads(row) and self.selectable(self._rows[place + 1])
        ]
        beyond = [each for each in firsts if (each > self.cursor if by > 0 else each < self.cursor)]
        if beyond:
            self.go(beyond[0] if by > 0 else beyond[-1])
