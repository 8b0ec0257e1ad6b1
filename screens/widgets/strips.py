"""Single lines that are drawn directly and repainted only when their words change."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from screens.display import fit
from screens.tones import tone_style

Piece = tuple[str, str, int]
"""Display text, tone, and rank: 0 always stays; of the others, the lower the rank the sooner there is room for it."""

FLEX = -1
"""The rank of a piece that is cut to what the others leave, and goes when that is next to nothing.

Of several, those at the right are served first.
"""
NARROWEST = 8


class StripLines(Widget):
    """A fixed number of lines, each with pieces from the left and pieces that end at the right."""

    DEFAULT_CSS = """
    StripLines {
        height: 1;
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: Sequence[tuple[Sequence[Piece], Sequence[Piece]]] = ()
        self._styles_of: dict[str, Style] = {}

    def show(self, *lines: tuple[Sequence[Piece], Sequence[Piece]]) -> None:
        """Show `lines`, each as (left pieces, right pieces)."""
        if lines == self._lines:
            return
        changed = [y for y, (old, new) in enumerate(zip_longest(self._lines, lines)) if old != new]
        self._lines = lines
        self.refresh(*(Region(0, y, max(self.size.width, 1), 1) for y in changed))

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
                style += tone_style(self.app.theme_variables, tone)
            self._styles_of[tone] = style
        return style

    def render_line(self, y: int) -> Strip:
        """Draw one line; of what does not fit, what has the lowest rank stays."""
        width = self.size.width
        left, right = self._lines[y] if y < len(self._lines) else ((), ())
        left, right = _fitting(left, right, width)
        segments, tail = self._join(left), self._join(right)
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


def _fitting(left: Sequence[Piece], right: Sequence[Piece], width: int) -> tuple[list[Piece], list[Piece]]:
    """Return the pieces that fit: what ranks lowest comes first, and what is flexible is cut."""
    sides = [[piece for piece in side if piece[0]] for side in (left, right)]
    room = width - sum(cell_len(text) + 2 for side in sides for text, _, rank in side if rank == 0)
    out = set()
    for rank, at, place in sorted(
        (piece[2], at, place) for at, side in enumerate(sides) for place, piece in enumerate(side)
    ):
        if rank > 0:
            needs = cell_len(sides[at][place][0]) + 2
            # What is too long does not keep away what is shorter and ranks higher.
            if needs <= room:
                room -= needs
            else:
                out.add((at, place))
    shown = [
        [piece for place, piece in enumerate(side) if (at, place) not in out] for at, side in enumerate(sides)
    ]
    spare = room - 2
    for side in reversed(shown):
        for place, (text, tone, rank) in enumerate(side):
            if rank == FLEX:
                cut = fit(text, min(spare, cell_len(text))) if spare >= NARROWEST else ""
                side[place] = (cut, tone, rank)
                spare -= cell_len(cut) + 2 if cut else 0
    return [piece for piece in shown[0] if piece[0]], [piece for piece in shown[1] if piece[0]]
