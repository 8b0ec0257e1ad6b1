"""What the other documents must hold: verbs, tags, severity rules, routing, messages, forms, reviews, clocks."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field, model_validator

from playbooks.response import Name, Sources, Value
from playbooks.schema import Date, Document, Id, Line, Part, Seconds, Severity, unique

Searched = Literal[
    "id", "tenant", "span", "trace", "session", "agent", "agent_version", "bundle", "approval", "artifact", "principal",
    "idempotency_key", "change", "wave", "endpoint",
]  # fmt: skip
"""The fields of an action that can be searched for."""

Paragraph = Annotated[str, Field(min_length=1, max_length=4000)]
Stage = Literal["narrow", "side-effects", "revoke", "fall-back", "preserve"]
"""The steps of containment in their order (S000-CO-1 to -5)."""


class Move(Part):
    """A verb that the console knows: a halt, another containment move, or something it does to the record.

    Attributes:
        family: `halt` and `contain` act on agents and systems; `record` acts on the incident.
        stage: the step of containment that it is part of; None: it is none, or takes one back.
        target: what it is applied to, such as `mcp server`.
        args: names of what it needs.
        reversible: whether `restore` brings back what was before.
        authority: ids of the standing authorities of which one is needed; empty: everybody.
        expect: what should happen.
        verify: how somebody independent sees that it did.
        restore: the verb that takes it back.
        brings: verbs that are carried out with it, where a point can: what would start again behind its back.
        spares: what it leaves alone, whatever it stops.
    """

    verb: Name
    title: Line
    family: Literal["halt", "contain", "record"]
    stage: Stage | None = None
    target: Line
    args: tuple[Name, ...] = ()
    reversible: bool = True
    destroys_evidence: bool = False
    authority: tuple[Id, ...] = ()
    expect: Line
    verify: Line
    restore: Name | None = None
    brings: tuple[Name, ...] = ()
    spares: Annotated[str, Field(max_length=500)] = ""
    sources: Sources


class Moves(Document):
    """The catalogue of verbs. A playbook can use no other."""

    moves: Annotated[tuple[Move, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _verbs_are_unique(self) -> Moves:
        unique("verb", [move.verb for move in self.moves])
        verbs = {move.verb for move in self.moves}
        for move in self.moves:
            if move.restore is not None and move.restore not in verbs:
                raise ValueError(f"`{move.verb}` is taken back by `{move.restore}`, which is no verb here")
            for verb in move.brings:
                if verb not in verbs or verb == move.verb:
                    raise ValueError(f"`{move.verb}` brings `{verb}`, which is no other verb here")
        return self


class Tag(Part):
    """One value of an axis on which incidents are sorted. `tripwires`: those whose alerts speak for it."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    title: Line
    signs: tuple[Line, ...] = ()
    tripwires: tuple[Annotated[str, Field(max_length=64)], ...] = ()
    sources: tuple[Annotated[str, Field(min_length=1, max_length=40)], ...] = ()


class Axis(Part):
    """An axis; an incident can have several values on each, and none is derived from another."""

    id: Id
    title: Line
    tags: Annotated[tuple[Tag, ...], Field(min_length=1)]


class Tags(Document):
    """The axes: incident type, triage code, and those of public lists. Playbooks and action classes are the others."""

    axes: Annotated[tuple[Axis, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Tags:
        unique("axis", [axis.id for axis in self.axes])
        for axis in self.axes:
            unique("tag", [tag.id for tag in axis.tags])
        return self


class Question(Part):
    """A question with a short answer. `yes-no` is answered yes, no or unknown; `choice` by one of `choices`."""

    id: Id
    text: Line
    answer: Literal["yes-no", "text", "choice", "number"] = "yes-no"
    choices: tuple[Line, ...] = ()
    help: Annotated[str, Field(max_length=1000)] = ""
    sources: Sources

    def allows(self, answer: str) -> bool:
        """Whether it can be answered like this; `unknown` answers every question."""
        match self.answer:
            case "yes-no":
                return answer in ("yes", "no", "unknown")
            case "choice":
                return answer in (*self.choices, "unknown")
            case "number":
                return answer == "unknown" or (answer.isascii() and answer.isdigit())
            case "text":
                return bool(answer.strip())

    @model_validator(mode="after")
    def _a_choice_has_choices(self) -> Question:
        unique("choice", list(self.choices))
        if (self.answer == "choice") != bool(self.choices) or "unknown" in self.choices:
            raise ValueError(f"`{self.id}`: `choices` belong to a choice, and unknown is always one of them")
        return self


Answer = Annotated[str, Field(min_length=1, max_length=200)]


class Rule(Part):
    """If all of `when` hold (question: one of these answers), then `proposes`, because of `reason`.

    Attributes:
        when: empty: always; used as the last rule.
        also: what else comes with the proposal, such as `security-led`.
    """

    id: Id
    when: dict[Id, tuple[Answer, ...]] = Field(default_factory=dict)
    proposes: Answer
    also: tuple[Id, ...] = ()
    reason: Line
    sources: Sources


class Form(Document):
    """Questions whose answers lead, by rules in order, to a proposal; the first rule that holds decides.

    `unknown` counts as no where `unknown_is_no` says so. The form proposes; a person decides.
    """

    questions: Annotated[tuple[Question, ...], Field(min_length=1)]
    rules: tuple[Rule, ...] = ()
    unknown_is_no: bool = False
    unanswerable: Literal["", "observability"] = ""

    @model_validator(mode="after")
    def _rules_ask_known_questions(self) -> Form:
        unique("question", [question.id for question in self.questions])
        unique("rule", [rule.id for rule in self.rules])
        questions = {question.id: question for question in self.questions}
        for rule in self.rules:
            for asked, expected in rule.when.items():
                if asked not in questions:
                    raise ValueError(f"rule `{rule.id}` asks for `{asked}`, which is no question here")
                if wrong := [answer for answer in expected if not questions[asked].allows(answer)]:
                    raise ValueError(f"rule `{rule.id}` waits for `{wrong[0]}`, which answers no `{asked}`")
        return self


class Route(Part):
    """Who must be told, and why. All conditions that are given must hold; an empty one always holds.

    Attributes:
        types: incident types.
        severities: canonical severities.
        tripwires: ids or families of tripwires.
        tell: ids of `Contacts` or roles.
        page: whether they are woken, or only told.
    """

    id: Id
    types: tuple[Id, ...] = ()
    severities: tuple[Severity, ...] = ()
    tripwires: tuple[Annotated[str, Field(max_length=64)], ...] = ()
    security: bool | None = None
    tell: Annotated[tuple[Id, ...], Field(min_length=1)]
    page: bool = True
    reason: Line
    sources: Sources


class Contact(Part):
    """Somebody outside the incident's roles, to be filled in by the organisation."""

    id: Id
    title: Line


class Routing(Document):
    """The routing table."""

    contacts: Annotated[tuple[Contact, ...], Field(min_length=1)]
    routes: Annotated[tuple[Route, ...], Field(min_length=1)]


class Authority(Part):
    """A standing authority: who may do something, whichever role they have in an incident.

    Attributes:
        holders: titles of those who hold it unless the organisation says otherwise.
        least: how many different holders there should be.
    """

    id: Id
    title: Line
    kind: Literal["halt", "contain", "rollback", "comms", "recover", "notify"]
    holders: Annotated[tuple[Line, ...], Field(min_length=1)]
    least: Annotated[int, Field(ge=1, le=9)] = 1
    sources: Sources


class Authorities(Document):
    """Who may do what, apart from roles in an incident."""

    authorities: Annotated[tuple[Authority, ...], Field(min_length=1)]


class Template(Part):
    """A message that is drafted from the state of the incident; a person reads it before it goes anywhere.

    Attributes:
        state: the state of a status page that it announces.
        next_update: seconds within which it promises the next one; None: by the cadence of the severity.
        needs: names of the facts without which it must not go out.
    """

    id: Id
    title: Line
    audience: Literal["internal", "status-page", "support", "customers", "executives", "regulator", "channel"]
    state: Literal["", "investigating", "identified", "monitoring", "resolved"] = ""
    subject: Annotated[str, Field(max_length=200)] = ""
    body: Paragraph
    next_update: Seconds | None = None
    needs: tuple[Name, ...] = ()
    values: tuple[Value, ...] = ()
    sources: Sources


class Cadence(Part):
    """How often updates go out at a severity."""

    severity: Severity
    every: Seconds


class NamedDuration(Part):
    """A length of time with a name, so that two which happen to be equal are never taken for one."""

    id: Id
    title: Line
    lasts: Seconds
    sources: Sources


class Messages(Document):
    """Message templates, the rhythm of updates, named durations, and words that say nothing."""

    templates: Annotated[tuple[Template, ...], Field(min_length=1)]
    cadence: tuple[Cadence, ...] = ()
    durations: tuple[NamedDuration, ...] = ()
    vague: tuple[Line, ...] = ()

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Messages:
        unique("template", [template.id for template in self.templates])
        unique("duration", [duration.id for duration in self.durations])
        unique("severity", [str(cadence.severity) for cadence in self.cadence])
        return self


class Review(Document):
    """A list of questions about readiness, which a person answers; what to do about a "no" is the `remedy`."""

    class Ask(Part):
        """One question. `every_days`: how long an answer holds, where that is not the review cycle of the document."""

        id: Id
        text: Line
        remedy: Line
        every_days: Annotated[int, Field(ge=1, le=366)] | None = None
        sources: Sources

    purpose: Line
    questions: Annotated[tuple[Ask, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Review:
        unique("question", [question.id for question in self.questions])
        return self


class Baseline(Part):
    """Something outside that the runbook was measured against."""

    id: Id
    item: Line
    baseline: Date
    recheck_by: Date
    source: Line
    sources: Sources


class Baselines(Document):
    """External baselines with the day by which somebody looks again."""

    baselines: Annotated[tuple[Baseline, ...], Field(min_length=1)]


class EvidenceField(Part):
    """One thing that the evidence of an incident should name.

    Attributes:
        name: the name on record.
        meaning: what it is, for people.
        aliases: the other names that it goes by.
        needed: `always`, or only where the incident has such a thing.
        searched: the fields of an action that hold its value; () = telemetry does not carry it.
        sources: the requirements that ask for it.
    """

    name: Name
    meaning: Line
    aliases: tuple[Line, ...] = ()
    needed: Literal["always", "where it applies"] = "always"
    searched: tuple[Searched, ...] = ()
    sources: Sources


@lru_cache(1024)
def plain_name(name: str) -> str:
    """What is the same however a name is written: case, blanks, `_`, `-` and `.` do not matter."""
    return re.sub(r"[\s_.-]+", "", name).lower()


class EvidenceSchema(Document):
    """One name for each thing that evidence names."""

    evidence: Annotated[tuple[EvidenceField, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _a_name_means_one_thing(self) -> EvidenceSchema:
        unique("name", [each.name for each in self.evidence])
        meant: dict[str, str] = {}
        for each in self.evidence:
            for name in (each.name, *each.aliases):
                first = meant.setdefault(plain_name(name), each.name)
                if first != each.name:
                    raise ValueError(f"`{name}` means `{first}` and `{each.name}`")
        return self


class FillIn(Part):
    """Something that only the organisation knows."""

    id: Id
    ask: Line
    answer: Literal["link", "text", "contacts", "list"] = "text"
    example: Annotated[str, Field(max_length=200)] = ""
    minutes: Annotated[int, Field(ge=1, le=60)] = 5
    sources: Sources


class Organisation(Document):
    """What a team fills in before its first incident."""

    fill_ins: Annotated[tuple[FillIn, ...], Field(min_length=1)]


class RegulatoryClock(Part):
    """A legal time limit. Not legal advice: a person who knows the law switches it on.

    Attributes:
        starts: what starts it.
        within: as text such as `72 h`, held in seconds; None for "without delay".
        business_days: counted instead of seconds where the law counts business days.
        read: how well the text is known: read in the source, or from others.
    """

    id: Id
    regime: Line
    article: Line
    case: Line
    starts: Line
    within: Seconds | None = None
    business_days: Annotated[int, Field(ge=1, le=90)] | None = None
    tell: Line
    note: Annotated[str, Field(max_length=1000)] = ""
    as_of: Date
    citation: Line
    read: Literal["text", "secondary", "unverified"]


class Regulation(Document):
    """The clocks of one legal regime. Off unless the configuration names it."""

    enabled: Literal[False] = False
    clocks: Annotated[tuple[RegulatoryClock, ...], Field(min_length=1)]
