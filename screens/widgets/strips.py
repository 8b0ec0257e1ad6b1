"""Single lines that are drawn directly and repainted only when their words change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

Piece = tuple[str, str, int]
"""Display text, tone, and rank: pieces with the highest rank leave first when the line is too narrow."""

TONES = ("crit", "high", "ok", "info", "held", "quiet", "strong", "drill")


class StripLines(Widget):
    """A fixed number of lines, each with pieces from the left and pieces that end at the right."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"strip--{tone}" for tone in TONES}
    DEFAULT_CSS = """
    StripLines {
        height: 1;
        .strip--crit { color: $crit; text-style: bold; }
        .strip--high { color: $high; text-style: bold; }
        .strip--ok { color: $ok; }
        .strip--info { color: $info; }
        .strip--held { color: $held; }
        .strip--quiet { color: $quiet; }
        .strip--strong { text-style: bold; }
        .strip--drill { color: $background; background: $drill; text-style: bold; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: Sequence[tuple[Sequence[Piece], Sequence[Piece]]] = ()
        self._styles_of: dict[str, Style] = {}

    def show(self, *lines: tuple[Sequence[Piece], Sequence[Piece]]) -> None:
        """Show `lines`, each as (left pieces, right pieces)."""
        if lines != self._lines:
            self._lines = lines
            self.refresh()

    @property
    def words(self) -> str:
        """What the lines say at full width."""
        return "\n".join("  ".join(text for text, _, _ in (*left, *right)) for left, right in self._lines)

    def notify_style_update(self) -> None:
        """Forget the styles of the old theme."""
        self._styles_of.clear()
        super().notify_style_update()

    def _style(self, tone: str) -> Style:
        style = self._styles_of.get(tone)
        if style is None:
            style = self.rich_style
            if tone:
                style += self.get_component_rich_style(f"strip--{tone}", partial=True)
            self._styles_of[tone] = style
        return style

    def render_line(self, y: int) -> Strip:
        """Draw one line; what has the highest rank is left out until the rest fits."""
        width = self.size.width
        left, right = self._lines[y] if y < len(self._lines) else ((), ())
        pieces = [*left, *right]
        ranks = sorted({rank for _, _, rank in pieces}, reverse=True)
        while ranks and sum(cell_len(text) + 2 for text, _, _ in pieces) > width:
            worst = ranks.pop(0)
            if worst == 0:
                break
            pieces = [piece for piece in pieces if piece[2] != worst]
        kept = set(map(id, pieces))
        segments = self._join([piece for piece in left if id(piece) in kept])
        tail = self._join([piece for piece in right if id(piece) in kept])
        used = sum(segment.cell_length for segment in segments) + sum(segment.cell_length for segment in tail)
        gap = max(width - used - 2, 0)
        blank = self._style("")
        return Strip(
            [Segment(" ", blank), *segments, Segment(" " * gap, blank), *tail, Segment(" ", blank)]
        ).adjust_cell_length(width, blank)

    def _join(self, pieces: Sequence[Piece]) -> list[Segment]:
        segments: list[Segment] = []
        for text, tone, _ in pieces:
            if segments:
                segments.append(Segment("  ", self._style("")))
            segments.append(Segment(text, self._style(tone)))
        return segments
