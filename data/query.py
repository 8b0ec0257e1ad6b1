"""What a person typed into a search box, as SQL that means only what was typed."""

import re

from data.line import SYSTEM, Filter

MAX_CHARACTERS = 400
MAX_WORDS = 16

LISTED = "id IN (SELECT rowid FROM search WHERE search MATCH ?)"
PROBE = "EXISTS (SELECT 1 FROM search WHERE search MATCH ? AND rowid = lines.id)"
LIKE = "(text || ' ' || tags || ' ' || actor) LIKE ? ESCAPE '\\'"

_TOKEN = re.compile(r"\w", re.UNICODE)


def match(text: str, *, whole: bool = False) -> str | None:
    """A full-text expression: every word quoted, the last one as the start of a word.

    Args:
        text: What was typed.
        whole: Take the last word as it is; the index finds whole words without listing all that match.

    Returns:
        None if the text is too short, or has no letters or digits, for the index to be of use.
    """
    words = [word for word in _clean(text).split()[:MAX_WORDS] if _TOKEN.search(word.replace("_", ""))]
    if not words or (len(words) == 1 and len(words[0]) < 2):
        return None
    return " ".join(f'"{word}"' for word in words) + ("" if whole else "*")


def like(text: str) -> str:
    """A LIKE pattern for text that the index does not know; the backslash is its escape character."""
    escaped = re.sub(r"([\\%_])", r"\\\1", text[:MAX_CHARACTERS].replace("\0", ""))
    return f"%{escaped}%"


def _clean(text: str) -> str:
    return text[:MAX_CHARACTERS].replace("\0", " ").replace('"', " ")


def condition(flt: Filter, *, few: bool = False) -> tuple[str, list[object]]:
    """A filter as an SQL condition over `lines`, and its parameters.

    Args:
        flt: The filter.
        few: Whether it will be asked about a few lines, so that the index need not list all that match.
    """
    parts: list[str] = []
    values: list[object] = []
    if flt.text.strip():
        expression = match(flt.text)
        if expression is None:
            parts.append(LIKE)
            values.append(like(flt.text.strip()))
        else:
            parts.append(PROBE if few else LISTED)
            values.append(expression)
    if flt.marks:
        parts.append(f"mark IN ({', '.join('?' * len(flt.marks))})")
        values.extend(sorted(flt.marks))
    if flt.actor:
        parts.append("actor = ?")
        values.append(flt.actor)
    if flt.tag:
        parts.append("instr(' ' || tags || ' ', ' ' || ? || ' ') > 0")
        values.append(flt.tag)
    sql = " AND ".join(parts) or "1"
    if flt.inverse and parts:
        sql = f"NOT ({sql})"
    if not flt.system:
        sql = f"({sql}) AND flags & {SYSTEM} = 0"
    return sql, values
