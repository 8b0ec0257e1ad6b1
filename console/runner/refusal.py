"""What is in the way of a step, so that each front end can add its own next step: a command, or a key."""

from __future__ import annotations

from typing import Literal, NamedTuple

from console.refusal import Refused

Code = Literal[
    "actuator",
    "approval",
    "approver",
    "automatic",
    "closed",
    "confirm",
    "decision",
    "freeze",
    "grant",
    "grant_time",
    "grants",
    "least",
    "manual",
    "no_playbook",
    "no_step",
    "option",
    "over",
    "playbooks",
    "reason",
    "role",
    "running",
    "saw",
    "settled",
    "snapshot",
    "snapshot_none",
    "unclear",
    "values",
    "view",
]
"""What is in the way, for programs and for whoever says what to press or to type."""


class Refusal(NamedTuple):
    """One thing in the way.

    Attributes:
        code: what sort of thing it is; a front end says its own next step by it.
        what: one sentence.
        instead: who can, or what is asked for, in words that hold everywhere.
        about: what the next step is done to: a step, a value, a run, a playbook.
        vacant: a role that nobody holds and that could take it out of the way.
    """

    code: Code
    what: str
    instead: str = ""
    about: str = ""
    vacant: str = ""

    def __str__(self) -> str:
        return f"{self.what} {self.instead}".strip()


class Hindered(Refused):
    """Nothing happened; `refusals` says everything that is in the way."""

    def __init__(self, *refusals: Refusal) -> None:
        super().__init__(" ".join(map(str, refusals)))
        self.refusals = refusals
