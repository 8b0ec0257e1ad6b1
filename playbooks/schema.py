"""What each kind of playbook document must hold. The documents are the runbook; these models check them.

Durations are written as text (`10 min`) and held in whole seconds.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from playbooks import duration
from playbooks.reading import NEVER

Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]
Requirement = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{0,15}(-[0-9A-Za-z.]{1,32}){1,4}$")]
"""An id of our list (`playbooks/ids.txt`), or one of the organisation's own, such as `OPS-12`."""
Line = Annotated[str, Field(min_length=1, max_length=500)]
Profile = Literal["merged", "s001-10min", "s002-ics-15min", "s003-overlay", "s004-bundle"]
Severity = Annotated[int, Field(ge=1, le=5)]


def _seconds(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("a duration is text such as `10 min`")
    ns = duration.parse(value)
    if ns % duration.SECOND:
        raise ValueError("a duration in a playbook is whole seconds")
    return ns // duration.SECOND


def _date(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("a date is text such as 2026-11-21")
    return dt.date.fromisoformat(value)


Seconds = Annotated[int, BeforeValidator(_seconds), Field(ge=1, le=366 * 86_400)]
Date = Annotated[dt.date, BeforeValidator(_date)]


class Part(BaseModel):
    """Base of everything in a document: an unknown key is a mistake, and nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Document(Part):
    """The front matter that every document carries, so that its age and owner are never a guess."""

    id: Id
    title: Line
    owner: Line
    audience: Line
    corrections: Line
    version: Annotated[str, Field(pattern=r"^\d+\.\d+$")]
    last_review: Date
    review_every_days: Annotated[int, Field(ge=1, le=366)]
    status: Literal["template", "reviewed", "retired"]
    tags: tuple[Id, ...] = ()
    references: tuple[Line, ...] = ()
    requirements: tuple[Requirement, ...] = ()

    @property
    def reviewed(self) -> bool:
        """Whether it names a day of review at all; the short form of a playbook need not."""
        return self.last_review != NEVER

    def review_due(self) -> dt.date:
        """The day by which somebody must read the document again."""
        return self.last_review + dt.timedelta(days=self.review_every_days)


class Item(Part):
    """One thing to do or to know.

    Attributes:
        due: seconds after `since`; None: no clock, but before the incident is closed.
        since: what starts the clock: the declaration, or the moment harm was confirmed.
        role: id of the role that owns the item.
        evidence: whether ticking it asks for a reference to what was captured.
        sources: the requirements that the item covers; overlapping ones are merged and all kept.
    """

    id: Id
    text: Line
    phase: Literal["contain", "declare", "assess", "preserve", "communicate", "recover", "learn"]
    due: Seconds | None
    since: Literal["declared", "harm_confirmed"] = "declared"
    role: Id
    evidence: bool = False
    help: Annotated[str, Field(max_length=1000)] = ""
    sources: Annotated[tuple[Requirement, ...], Field(min_length=1)]


class Checklist(Document):
    """The merged checklist. `profiles` names, for each profile, the source keys whose items it shows."""

    profiles: dict[str, tuple[Annotated[str, Field(pattern=r"^S\d{3}$")], ...]]
    items: Annotated[tuple[Item, ...], Field(min_length=1, max_length=500)]  # an incident keeps that many

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Checklist:
        unique("item", [item.id for item in self.items])
        return self


class Level(Part):
    """One severity: the canonical number, and what a profile calls it.

    Attributes:
        severity: 1 (worst) to 5.
        label: the name on screen and on the record.
        aliases: other names that people type for it.
    """

    severity: Severity
    label: Annotated[str, Field(min_length=1, max_length=12)]
    aliases: tuple[Annotated[str, Field(min_length=1, max_length=12)], ...] = ()
    impact: Line
    scope: Line
    slo: Line
    criteria: Annotated[tuple[Line, ...], Field(min_length=1)]
    examples: tuple[Line, ...] = ()
    sources: Annotated[tuple[Requirement, ...], Field(min_length=1)]


class SeverityScale(Document):
    """A severity scale and the profiles that use it. `unsure` is the level to page at when in doubt."""

    profiles: Annotated[tuple[Profile, ...], Field(min_length=1)]
    unsure: Severity
    levels: Annotated[tuple[Level, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_are_unique(self) -> SeverityScale:
        unique("level", [str(level.severity) for level in self.levels])
        unique("name", [name.lower() for level in self.levels for name in (level.label, *level.aliases)])
        if self.unsure not in {level.severity for level in self.levels}:
            raise ValueError(f"`unsure` names severity {self.unsure}, which the scale does not have")
        return self


class Role(Part):
    """One role of the incident command system.

    Attributes:
        short: the word in the header.
        needed: `always`, or only when the incident calls for it.
    """

    id: Id
    title: Line
    short: Annotated[str, Field(min_length=1, max_length=8)]
    duties: Annotated[tuple[Line, ...], Field(min_length=1)]
    needed: Literal["always", "as-needed"]
    sources: Annotated[tuple[Requirement, ...], Field(min_length=1)]


class Roles(Document):
    """The roles that people take in an incident."""

    roles: Annotated[tuple[Role, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Roles:
        unique("role", [role.id for role in self.roles])
        return self


def unique(what: str, names: list[str]) -> None:
    """Raise ValueError at the first name that appears twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"the {what} `{name}` appears twice")
        seen.add(name)


Text = Annotated[str, Field(max_length=200)]


class Call(Part):
    """One kind of action in a scenario's traffic.

    Attributes:
        share: how often it comes up, relative to the other calls of the same list.
        cost: micro-USD of one call, give or take a fifth; None for calls that cost nothing by themselves.
        artifact: for `artifact`, its type; it is then visible to customers.
        reviewed: whether a human approves the artifact before it goes out.
    """

    kind: Literal["model", "tool", "api", "artifact"]
    share: Annotated[int, Field(ge=1, le=1000)]
    tool: Text = ""
    endpoint: Text = ""
    model: Text = ""
    cost: Annotated[int, Field(ge=0, le=10**9)] | None = None
    artifact: Text = ""
    reviewed: bool = True
    side_effect: Literal["none", "done", "unknown"] = "none"
    action_class: Annotated[int, Field(ge=1, le=7)] | None = None


class ScenarioAgent(Part):
    """A simulated agent: what it is declared to do, and how it behaves on a quiet day.

    Attributes:
        per_hour: actions in a busy hour.
        night: percent of that at 03:00 UTC.
    """

    name: Id
    owner: Line
    principal: Text = ""
    tools: tuple[Line, ...]
    deny: tuple[Line, ...] = ()
    per_hour: Annotated[int, Field(ge=1, le=100_000)]
    night: Annotated[int, Field(ge=1, le=100)]
    calls: Annotated[tuple[Call, ...], Field(min_length=1)]


class Loop(Part):
    """What goes wrong: beside its usual work, `agent` repeats `calls`, from `after` the start on."""

    agent: Id
    after: Seconds
    lasts: Seconds
    per_minute: Annotated[int, Field(ge=1, le=10_000)]
    calls: Annotated[tuple[Call, ...], Field(min_length=1)]


class Response(Part):
    """What the responders of a headless drill do: one command of the room, `after` the first page."""

    after: Seconds
    actor: Line
    do: Literal[
        "declare", "assign", "note", "tick", "contain", "rollback", "budget", "update", "acknowledge", "close"
    ]
    args: tuple[Line, ...] = ()


class Scenario(Document):
    """A synthetic incident.

    Attributes:
        starts: the drill's time at its start, ISO 8601; everything before is history.
        history: how far the quiet past reaches back.
        lasts: how long agents go on acting after the start.
        expects: ids of the tripwires that the loop must set off.
        response: the script that a headless drill plays.
    """

    starts: Line
    history: Seconds
    lasts: Seconds
    expects: Annotated[tuple[Id, ...], Field(min_length=1)]
    agents: Annotated[tuple[ScenarioAgent, ...], Field(min_length=1)]
    loop: Loop
    response: tuple[Response, ...] = ()

    @model_validator(mode="after")
    def _the_loop_has_its_agent(self) -> Scenario:
        unique("agent", [agent.name for agent in self.agents])
        if self.loop.agent not in {agent.name for agent in self.agents}:
            raise ValueError(f"the loop is about `{self.loop.agent}`, which is not one of the agents")
        return self
