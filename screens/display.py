"""Gate 1: every string from outside becomes display text here, before any widget sees it.

A `str` given to a widget may be read as markup; a `Content` never is. Both kinds of result hold printable
characters only: what a terminal would obey is shown as a visible mark, and so is what the policy masks. `unmasked`
is for text of which an entry says that somebody looks at it.
"""

from __future__ import annotations

from functools import lru_cache

from rich.cells import cell_len
from textual.content import Content

from console import plain
from console.shown import show, visible

LONGEST = 4096
"""Terminal cells of one line of text, at most."""


@lru_cache(maxsize=8192)
def fit(text: str, cells: int, *, right: bool = False, unmasked: bool = False) -> str:
    """Return `text` as display text of exactly `cells` terminal cells: cut with `…` or padded with blanks."""
    if cells <= 0:
        return ""
    shown = plain.visible(text, cells) if unmasked else visible(text, cells)
    blanks = " " * (cells - cell_len(shown))
    return blanks + shown if right else shown + blanks


def content(text: str, cells: int = LONGEST) -> Content:
    """Return one line of display text, at most `cells` wide, that no widget reads as markup."""
    return Content(visible(text, cells))


def many(count: int, thing: str) -> str:
    """Return `count` and `thing` in the number that it needs: `1 action`, `2,000 actions`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def block(text: str, width: int, rows: int = 200, *, unmasked: bool = False) -> tuple[list[str], int]:
    """Return `text` folded into lines of at most `width` cells, and how many characters are shown as marks.

    Args:
        text: anything; its own line breaks are kept.
        width: terminal cells; less than 1 is taken for 1: there is no room yet, or not any more.
        rows: the most lines; what does not fit is said in the last line, never dropped in silence.
        unmasked: as it is on the record.
    """
    shown, width = (plain.show if unmasked else show)(text, 65_536, lines=True), max(width, 1)
    lines = [piece for line in shown.text.split("\n") for piece in _fold(line, width)]
    if len(lines) > rows:
        lines[rows - 1 :] = [visible(f"… {many(len(lines) - rows + 1, 'more line')}", width)]
    return lines, shown.escaped


def _fold(line: str, width: int) -> list[str]:
    """Break one line at blanks where possible, inside a word where not."""
    pieces: list[str] = []
    while cell_len(line) > width:
        cut, used = 0, 0
        for char in line:
            used += cell_len(char)
            if used > width:
                break
            cut += 1
        cut = max(cut, 1)
        blank = line.rfind(" ", 0, cut + 1)
        at = blank if blank > 0 else cut
        pieces.append(line[:at])
        line = line[at:].lstrip(" ") if blank > 0 else line[at:]
    return [*pieces, line]
