"""The gate of display: text from outside is masked by policy, and only then made safe for a terminal and cut.

The one place where the screens and the commands mask what they show. The record keeps what was written; what is
typed in a box is not masked; looking at the original is an entry on the record (`console.evidence.holding.unmask`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from console import plain

if TYPE_CHECKING:
    from console.evidence.redaction import Redaction

REACH = 10_000
"""Characters behind the end of what is shown that are looked at: a secret that begins in sight may end there."""


def secrets() -> Redaction:
    """The policy of a process that was given none."""
    from console.evidence.redaction import Redaction

    return Redaction()


_policy: Callable[[], Redaction] = secrets


def mask_by(policy: Callable[[], Redaction]) -> None:
    """Say by which policy this process masks; until then it masks secrets.

    Args:
        policy: Called whenever something is shown.
    """
    global _policy
    _policy = policy


def masked(text: str) -> str:
    """Return `text` with a mark in the place of everything that the policy masks."""
    return _policy().mask(text)


def values(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return plain values for a program, with every text in them masked."""
    shown: Mapping[str, Any] = _policy().value(value)[0]
    return shown


def rows(lines: list[str]) -> list[str]:
    """Return lines that stand under each other, masked; a secret may go over several of them."""
    return _policy().lines(lines)


def visible(text: str, limit: int = 4096, *, lines: bool = False) -> str:
    """Return `text` masked and as printable characters, at most `limit` terminal cells wide."""
    return show(text, limit, lines=lines).text


def show(text: str, limit: int = 4096, *, lines: bool = False) -> plain.Shown:
    """Mask `text`, then do what `console.plain.show` does with it."""
    # Before it is cut: half a secret is no longer one that a rule knows, and still half a secret.
    reach = limit * (plain.MARKS + 1) + REACH
    return plain.show(masked(text if len(text) <= reach else text[:reach]), limit, lines=lines)
