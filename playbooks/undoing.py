"""How the effects of one class of agent actions are recognised and undone, or answered for where they cannot be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from playbooks.response import PLACEHOLDER, Command, Http
from playbooks.schema import Document, Id, Line, Part, Seconds, unique

FACTS = (
    "effect",
    "reversal",
    "key",
    "target",
    "action",
    "trace",
    "agent",
    "tenant",
    "principal",
    "approval",
    "tool",
    "amount",
)
"""What a reversal may say of an effect. `key` is that under which it was done, `reversal` that of its reversal."""
FIXED_HOST = re.compile(r"https?://[^/?#{}]+(?:[/?#].*)?")
"""An address of which no effect chooses the host: what stands in an effect was written by an agent."""
Glob = Annotated[str, Field(min_length=1, max_length=200)]


class Clock(Part):
    """One time budget of an action class, in seconds from containment.

    Attributes:
        audit: whether it is the clock of an audit, which opens by itself when the effects of the class are undone
            and stays until somebody closes it with evidence.
    """

    id: Id
    name: Line
    budget: Seconds
    audit: bool = False


class Sign(Part):
    """What effects of the class look like in telemetry that does not name a class itself.

    `*` stands for anything, and case does not matter; of several signs that fit the one with the most letters counts.

    Attributes:
        tool: the tool that was called, as in `payments/*`.
        endpoint: the endpoint, as in `POST payments.example/*`.
        artifact: the type of what was made, such as `email`.
        reversible: whether such an effect can be undone; else what the class says.
        done: whether a call that ended well took effect although its telemetry does not say so.
    """

    tool: Glob | None = None
    endpoint: Glob | None = None
    artifact: Glob | None = None
    reversible: Literal["yes", "no", "unknown"] | None = None
    done: bool = False

    @model_validator(mode="after")
    def _it_looks_at_something(self) -> Sign:
        if not (self.tool or self.endpoint or self.artifact):
            raise ValueError("a sign names a `tool`, an `endpoint` or an `artifact`")
        return self


class Reversal(Part):
    """What undoes one effect, run for each of them: a command or a request, and what shows that it worked.

    Attributes:
        command: a program; an effect's facts stand in it as `{key}`, `{target}` and so on.
        http: a request.
        check: succeeds when the effect is undone.
        warns: what somebody has to confirm first: it writes to another system of record.
        timeout: seconds for one effect.
    """

    command: Command | None = None
    http: Http | None = None
    check: Command | Http | None = None
    warns: Annotated[str, Field(max_length=500)] = ""
    timeout: Seconds = 60

    @model_validator(mode="after")
    def _it_is_one_thing_that_only_facts_fill_in(self) -> Reversal:
        if (self.command is None) == (self.http is None):
            raise ValueError("a reversal is a `command` or an `http` request")
        for part in (self.command, self.http, self.check):
            if isinstance(part, Http) and not FIXED_HOST.fullmatch(part.url):
                raise ValueError(f"`{part.url}` lets an effect choose the host")
            for name in _placeholders(part):
                if name not in FACTS:
                    raise ValueError(f"`{{{name}}}` is no fact of an effect; there are {', '.join(FACTS)}")
        if self.command is not None and PLACEHOLDER.search(self.command.argv[0]):
            raise ValueError("an effect must not choose the program")
        return self


class RollbackClass(Document):
    """How the effects of one class of agent actions are undone, or answered for where they cannot be.

    Attributes:
        number: the class's place in the source's table; classes added later go on counting.
        reversible: whether an action of this class can be undone at all.
        clocks: every budget of the class; all of them start at containment.
        operator: who may carry it out.
        needs: what the team must have written down before the first incident.
        substitute: what is done instead where reversal is impossible.
        verification: how it is shown that the rollback worked.
        recognise: what its effects look like in telemetry.
        reversal: what undoes one effect; without one it is done by hand.
    """

    number: Annotated[int, Field(ge=1, le=99)]
    name: Line
    examples: tuple[Line, ...]
    reversible: Literal["yes", "partly", "no"]
    clocks: Annotated[tuple[Clock, ...], Field(min_length=1)]
    procedure: Annotated[tuple[Line, ...], Field(min_length=1)]
    operator: Line
    needs: tuple[Line, ...]
    substitute: Annotated[tuple[Line, ...], Field(min_length=1)]
    verification: Annotated[tuple[Line, ...], Field(min_length=1)]
    recognise: Annotated[tuple[Sign, ...], Field(max_length=200)] = ()
    reversal: Reversal | None = None

    @model_validator(mode="after")
    def _ids_are_unique(self) -> RollbackClass:
        unique("clock", [clock.id for clock in self.clocks])
        return self


def _placeholders(part: Command | Http | None) -> Iterator[str]:
    texts: tuple[str, ...] = ()
    if isinstance(part, Command):
        texts = (*part.argv, *part.dry_run)
    elif isinstance(part, Http):
        texts = (part.url, *part.headers.values(), part.body)
    return (name for text in texts for name in PLACEHOLDER.findall(text))
