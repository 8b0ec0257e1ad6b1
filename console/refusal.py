"""The one error for what a person asked and cannot have."""

from __future__ import annotations


class Refused(Exception):
    """Nothing happened, for a reason that a person can act on.

    Args:
        what: one sentence: what is not possible, and why.
        next_step: one sentence: what to do instead; may be empty.
    """

    def __init__(self, what: str, next_step: str = "") -> None:
        super().__init__(f"{what} {next_step}".strip())
        self.what = what
        self.next_step = next_step
