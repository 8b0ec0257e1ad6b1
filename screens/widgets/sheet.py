"""Text to read: paragraphs with a label, folded to the width they get."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from itertools import zip_longest
from typing import NamedTuple

from screens.display import block, fit
from screens.widgets.rows import Cells, ListRows

LABEL = 12
ABREAST = 60
"""Cells from which on two texts have room beside each other."""


class Para(NamedTuple):
    """One paragraph.

    `agent`: words of an agent, shown in a block of their own, so that nobody takes them for ours. `beside`: a second
    text with its label, shown to the right of the first where there is room, else under it. `unmasked`: as it is on
    the record, because an entry says that somebody looks at it.
    """

    text: str
    label: str = ""
    tone: str = ""
    agent: bool = False
    beside: tuple[str, str] | None = None
    unmasked: bool = False


class SheetLine(NamedTuple):
    """One folded line."""

    number: int
    label: str
    text: str
    tone: str
    unmasked: bool = False


class Sheet(ListRows[SheetLine]):
    """A page of paragraphs that scrolls and has no cursor."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._paragraphs: list[Para] = []

    def read(self, paragraphs: list[Para]) -> None:
        """Show `paragraphs` from the top, unless they are the ones already shown."""
        if paragraphs != self._paragraphs:
            self._paragraphs = paragraphs
            self.top = 0
            self._fold()

    def _fold(self) -> None:
        width = max(self.size.width - 3, 10)
        lines: list[SheetLine] = []
        for para in self._flat(width):
            if para.beside is not None:
                lines += _abreast(para, *para.beside, width)
                continue
            label = LABEL if para.label and width > 3 * LABEL else 0
            if para.agent:
                folded, escaped = block(para.text, width - 2, unmasked=para.unmasked)
                marks = f", {escaped} control characters shown as marks" if escaped else ""
                lines.append(
                    SheetLine(len(lines), "", f"{para.label or 'words from outside'}, inert{marks}:", "quiet")
                )
                lines += [SheetLine(0, "", f"│ {line}", "agent", para.unmasked) for line in folded]
                continue
            folded, _ = block(para.text, width - label, unmasked=para.unmasked)
            for place, line in enumerate(folded):
                lines.append(
                    SheetLine(
                        0,
                        para.label if label and not place else " " * bool(label),
                        line,
                        para.tone,
                        para.unmasked,
                    )
                )
        self.show([line._replace(number=number) for number, line in enumerate(lines)])

    def _flat(self, width: int) -> Iterator[Para]:
        """Yield the paragraphs; what has no room beside another comes after it."""
        for para in self._paragraphs:
            if para.beside is None or width >= ABREAST:
                yield para
            else:
                yield para._replace(beside=None)
                yield para._replace(text=para.beside[0], label=para.beside[1], beside=None)

    def on_resize(self) -> None:
        """Fold again."""
        self._fold()

    def key(self, row: SheetLine) -> Hashable:
        """Return the line's number."""
        return row.number

    def selectable(self, row: SheetLine | None) -> bool:
        """Return False: there is nothing to select on a sheet."""
        return False

    def action_step(self, by: int) -> None:
        """Scroll by one line."""
        self.scroll_rows(self.top + by)

    def action_page(self, by: int) -> None:
        """Scroll by one screen."""
        self.scroll_rows(self.top + by * (self.height - 1))

    def action_top(self) -> None:
        """Go to the first line."""
        self.scroll_rows(0)

    def action_tail(self) -> None:
        """Go to the last line."""
        self.scroll_rows(self.count)

    def paint(self, row: SheetLine, width: int) -> Cells:
        """Return one folded line."""
        if row.label:
            return [
                (fit(row.label, LABEL), "quiet"),
                (fit(row.text, width - LABEL, unmasked=row.unmasked), row.tone),
            ]
        return [(fit(row.text, width, unmasked=row.unmasked), row.tone)]


def _abreast(para: Para, other: str, other_label: str, width: int) -> list[SheetLine]:
    """Return two texts folded side by side, each under its label."""
    half, unmasked = (width - 3) // 2, para.unmasked
    left = block(para.text, half, unmasked=unmasked)[0]
    right = block(other, half, unmasked=unmasked)[0]
    lines = [SheetLine(0, "", f"{fit(para.label, half)} │ {fit(other_label, half)}", "quiet")]
    lines += [
        SheetLine(0, "", f"{fit(a, half, unmasked=unmasked)} │ {b}", "agent", unmasked)
        for a, b in zip_longest(left, right, fillvalue="")
    ]
    return lines
