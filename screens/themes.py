"""Themes as tokens: what a colour means, never which colour it is. Words and shapes carry every meaning as well."""

from __future__ import annotations

from textual.theme import Theme

TOKENS: dict[str, str] = {
    "crit": "#ff6b6b",
    "high": "#ffb454",
    "med": "#e6db74",
    "low": "#8f9bb3",
    "ok": "#7fd88f",
    "info": "#79c0ff",
    "held": "#c9a0ff",
    "drill": "#ffd866",
    "agent-text": "#d7c9a7",
    "quiet": "#8f9bb3",
    "edge": "#4b5468",
    "edge-focus": "#79c0ff",
    "chosen": "#2b3a55",
    "chosen-idle": "#232833",
}
"""The dark palette, and the fallback of every theme that does not know our tokens."""


def _theme(name: str, *, dark: bool, ground: str, ink: str, bar: str, **tokens: str) -> Theme:
    values = {**TOKENS, **{key.replace("_", "-"): value for key, value in tokens.items()}}
    return Theme(
        name=name,
        primary=values["info"],
        secondary=values["held"],
        accent=values["info"],
        warning=values["high"],
        error=values["crit"],
        success=values["ok"],
        foreground=ink,
        background=ground,
        surface=ground,
        panel=bar,
        dark=dark,
        variables=values,
    )


THEMES: tuple[Theme, ...] = (
    _theme("warroom-dark", dark=True, ground="#14171f", ink="#d7dce6", bar="#1f2430"),
    _theme(
        "warroom-light",
        dark=False,
        ground="#fbfbf8",
        ink="#1c2230",
        bar="#e6e8ee",
        crit="#b00020",
        high="#8a4b00",
        med="#6b5d00",
        low="#5a6275",
        ok="#1d6b2f",
        info="#0b5394",
        held="#6a2ca0",
        drill="#8a4b00",
        agent_text="#5c4a1f",
        quiet="#5a6275",
        edge="#a6adbb",
        edge_focus="#0b5394",
        chosen="#cfe0f5",
        chosen_idle="#e9ecf2",
    ),
    _theme(
        "warroom-contrast",
        dark=True,
        ground="#000000",
        ink="#ffffff",
        bar="#1a1a1a",
        crit="#ff8080",
        high="#ffc04d",
        med="#ffff66",
        low="#d0d0d0",
        ok="#80ff80",
        info="#80d0ff",
        held="#e0b0ff",
        drill="#ffff00",
        agent_text="#ffffff",
        quiet="#d0d0d0",
        edge="#b0b0b0",
        edge_focus="#ffffff",
        chosen="#004080",
        chosen_idle="#303030",
    ),
    _theme(
        # Blue against orange: told apart without red and green.
        "warroom-deuteranopia",
        dark=True,
        ground="#14171f",
        ink="#e2e6ee",
        bar="#1f2430",
        crit="#ff9e3d",
        high="#ffd08a",
        med="#f2e6c9",
        ok="#6db6ff",
        info="#6db6ff",
        held="#b8c7ff",
    ),
    _theme(
        # Red against cyan: told apart without blue and yellow.
        "warroom-tritanopia",
        dark=True,
        ground="#14171f",
        ink="#e2e6ee",
        bar="#1f2430",
        crit="#ff6b6b",
        high="#ff9d9d",
        med="#ffd0d0",
        ok="#5fdede",
        info="#5fdede",
        held="#a8f0f0",
        drill="#ff9d9d",
        edge_focus="#5fdede",
    ),
)
DEFAULT = "warroom-dark"
NAMES: tuple[str, ...] = (*(theme.name for theme in THEMES), "ansi-dark", "ansi-light")


def unknown(name: str) -> str:
    """Return what to say of a theme that there is not; an empty text of one that there is, and of none."""
    if not name or name in NAMES:
        return ""
    return f"theme: there is no theme {name[:64]!r}; there are {', '.join(NAMES)}."
