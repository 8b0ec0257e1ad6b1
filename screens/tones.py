"""Tones: what a word means on the screen, looked up in the theme.

Not component classes: the toolkit styles each of those for each widget on every change of a class, and a dozen tones
on six panes were half of the time to the first frame.
"""

from __future__ import annotations

from collections.abc import Mapping

from rich.style import Style

TONES: dict[str, tuple[str, str]] = {
    "crit": ("bold", "crit"),
    "high": ("", "high"),
    "med": ("", "med"),
    "low": ("", "low"),
    "ok": ("", "ok"),
    "info": ("", "info"),
    "held": ("", "held"),
    "quiet": ("", "quiet"),
    "strong": ("bold", ""),
    "agent": ("", "agent-text"),
    "struck": ("strike", "quiet"),
}
"""Tone to text style and colour token."""
INVERSE = {"drill": "drill", "alarm": "crit"}
"""Tones that nobody may overlook, on a terminal without colours either: light and dark change places."""


def tone_style(theme: Mapping[str, str], tone: str) -> Style:
    """Return the style of `tone` in `theme` (token to colour)."""
    if tone in INVERSE:
        return Style.parse(f"bold {theme['background']} on {theme[INVERSE[tone]]}")
    style, token = TONES[tone]
    return Style.parse(f"{style} {theme[token] if token else ''}".strip())


def ground(theme: Mapping[str, str], token: str) -> Style:
    """Return the style of a background."""
    return Style.parse(f"on {theme[token]}")
