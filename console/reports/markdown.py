"""Text from outside, made inert for Markdown: it cannot format, link, or pass for a part of the report."""

from __future__ import annotations

import re
from collections.abc import Sequence

from console.plain import visible

# Only what has a meaning within a line: foreign text never begins one.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#!|~&$^=@])|:(?=[a-z0-9_+-]*[a-z][a-z0-9_+-]*:)")
_LINK = re.compile(r"\b(h)(?=ttps?:)|\b(f)(?=tp:)|\b(m)(?=ailto:)|\b(w)(?=ww\.)", re.IGNORECASE)


def inert(text: str, limit: int = 20_000) -> str:
    """Return one line of `text` that every Markdown renderer shows as it was written.

    Punctuation is escaped where Markdown gives it a meaning (tables, HTML, mentions, names of emoji too), and
    controls and line feeds are visible marks, so that no heading, row or link can begin.
    """
    escaped = _SPECIAL.sub(lambda found: "\\" + found[0], visible(text, limit))
    # Bare addresses become links without any punctuation that could be escaped: their first letter is written
    # as a character reference instead.
    return _LINK.sub(lambda found: f"&#{ord(found[0])};", escaped)


def row(*cells: str) -> str:
    """Return a table row of cells that are Markdown already."""
    return f"| {' | '.join(cells)} |"


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the lines of a table, or one that says that there is nothing."""
    if not rows:
        return ["None.", ""]
    return [row(*head), row(*("---" for _ in head)), *(row(*each) for each in rows), ""]
