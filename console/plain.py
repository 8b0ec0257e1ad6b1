"""The gate every text from outside passes before a terminal sees it.

Agents, webhooks and files write what they like into names, alerts and notes. A terminal obeys escapes,
so nothing that is not a printable character reaches it: it is shown as a visible mark instead, never dropped.
"""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

TAB = 4
# More marks than this on one letter are a flood that smears over the lines above and below.
MARKS = 2
# Printable to Unicode, yet drawn as nothing: fillers, the braille blank, the grapheme joiner.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")


class Shown(NamedTuple):
    """Text that is safe to print, and what had to be done to it.

    Attributes:
        text: printable characters only (and line feeds, when they were asked for).
        escaped: how many characters are shown as marks instead of being sent.
        cut: whether the text was longer than the limit.
    """

    text: str
    escaped: int
    cut: bool


def many(count: int, thing: str) -> str:
    """Return how many there are of a thing, as in `1 entry` and `1,204 entries`."""
    if count == 1:
        return f"1 {thing}"
    return f"{count:,} {thing.removesuffix('y') + 'ies' if thing.endswith('y') else thing + 's'}"


def visible(text: str, limit: int = 4096, *, lines: bool = False) -> str:
    """Return `text` as printable characters, at most `limit` terminal cells wide (see `show`)."""
    return show(text, limit, lines=lines).text


def show(text: str, limit: int = 4096, *, lines: bool = False) -> Shown:
    """Turn any string into one that a terminal can only draw.

    Args:
        text: anything, lone surrogates included.
        limit: the most terminal cells of the result, at least 1; a longer text ends in `…`.
        lines: keep line feeds (the limit then counts all lines together); otherwise they are marks too.
    """
    if text.isascii() and text.isprintable():
        return Shown(text, 0, False) if len(text) <= limit else Shown(text[: limit - 1] + "…", 0, True)
    pieces: list[tuple[str, int]] = []
    used = escaped = marks = column = 0
    for char in text:
        if char == "\n" and lines:
            pieces.append((char, 0))
            marks = column = 0
            continue
        if char == "\t":
            width = TAB - column % TAB
            piece, marks = " " * width, 0
        elif unicodedata.category(char) == "Zs":
            piece, width, marks = " ", 1, 0
        else:
            piece, width = char, _cells(char)
            marks = marks + 1 if width == 0 else 0
            if width < 0 or marks > MARKS:
                piece = _mark(char)
                width = len(piece)
                escaped += 1
        pieces.append((piece, width))
        used += width
        column += width
        if used > limit:
            while used > limit - 1:
                used -= pieces.pop()[1]
            return Shown("".join(piece for piece, _ in pieces) + "…", escaped, True)
    return Shown("".join(piece for piece, _ in pieces), escaped, False)


def _cells(char: str) -> int:
    """Cells that a printable character takes; -1 for one that must not be sent."""
    if "\x20" <= char < "\x7f":
        return 1
    selector = "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"
    if not char.isprintable() or char in _BLANK or selector:
        return -1
    # Imported late: most text is ASCII, and the tables cost more than the rest of a short command.
    from wcwidth import wcwidth

    return int(wcwidth(char))


def _mark(char: str) -> str:
    """The visible stand-in for a character that must not be sent."""
    point = ord(char)
    if point < 0x20:
        return chr(0x2400 + point)
    if point == 0x7F:
        return "␡"
    return f"\\u{{{point:x}}}"
