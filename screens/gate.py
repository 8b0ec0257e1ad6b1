"""Gate 2: the last step before the driver. Nothing that a terminal obeys leaves in the text of a segment.

Gate 1 makes such characters visible. This one is for what no gate was asked about: the text somebody pastes into
a box, a widget of the toolkit, a mistake of ours.
"""

from __future__ import annotations

import unicodedata

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter


class Printable(LineFilter):
    """Drops what is neither printable nor a blank; what took a cell leaves `�` behind, so that columns stay."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return `segments` with printable text only; untouched ones are passed on as they are."""
        if all(segment.text.isprintable() for segment in segments):
            return segments
        return [
            segment
            if segment.text.isprintable()
            else Segment("".join(map(_printable, segment.text)), segment.style, segment.control)
            for segment in segments
        ]


def _printable(char: str) -> str:
    if char.isprintable():
        return char
    if unicodedata.category(char) == "Zs":
        return " " * cell_len(char)
    return "�" * cell_len(char)
