"""What a playbook must hold: when it is opened, what it proposes, and the steps that are walked through."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from playbooks.schema import Document, Id, Line, Part, Requirement, Seconds, Severity, unique

Sources = Annotated[tuple[Requirement, ...], Field(min_length=1)]
Word = Annotated[str, Field(min_length=1, max_length=2000)]
"""One element of a command, or a value; `{name}` stands for something that is filled in."""
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]

SECTIONS = ("triage", "mitigation", "recovery", "comms", "post")
"""The sections after the triggers, in the order in which they are worked."""
PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]{0,39})\}")


class Value(Part):
    """Something that is filled in before a step can run.

    Attributes:
        ask: what the person is asked for.
        pattern: a regular expression that the whole value must match; empty allows one line of text.
        known: which fact of the incident fills it in, if that is known.
    """

    name: Name
    ask: Line
    pattern: Annotated[str, Field(max_length=200)] = ""
    example: Annotated[str, Field(max_length=200)] = ""
    known: Literal["", "incident", "title", "severity", "workflow", "tenant", "agent", "commander", "now"] = (
        ""
    )

    @model_validator(mode="after")
    def _the_pattern_can_be_read(self) -> Value:
        from pydantic_core import SchemaError

        try:
            matches = self.accepts(self.example)
        except SchemaError:
            raise ValueError(
                f"the pattern of `{self.name}` is not a regular expression without look-around"
            ) from None
        if self.example and not matches:
            raise ValueError(f"the example of `{self.name}` does not match its own pattern")
        return self

    def accepts(self, text: str) -> bool:
        """Whether `text` may stand here: one line that matches the pattern as a whole.

        The engine is linear: no pattern of a document can hold the console up, whatever is typed.
        """
        if not self.pattern:
            return text.isprintable()
        from pydantic_core import SchemaValidator, core_schema

        for pattern in (self.pattern, f"^(?:{self.pattern})$"):  # the first alone sees unbalanced brackets
            validator = SchemaValidator(core_schema.str_schema(pattern=pattern))
        return validator.isinstance_python(text)


class Trigger(Part):
    """A sign that this playbook is the right one. It proposes a severity; the commander decides."""

    text: Line
    proposes: Severity
    tripwire: Annotated[str, Field(max_length=64)] = ""
    sources: Sources


class Command(Part):
    """A program with its arguments; never a line for a shell.

    Attributes:
        argv: the program and each argument by itself.
        dry_run: the same without its effect, if the program knows such a thing; else a dry run only shows `argv`.
    """

    argv: Annotated[tuple[Word, ...], Field(min_length=1, max_length=64)]
    dry_run: Annotated[tuple[Word, ...], Field(max_length=64)] = ()


class Http(Part):
    """One HTTP request.

    Attributes:
        headers: `env:NAME` as a value is read from the environment when it is sent, and never recorded.
        body: sent as JSON if it is one, else as text.
        expects: statuses that mean success.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    url: Word
    headers: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")], Word] = Field(default_factory=dict)
    body: Annotated[str, Field(max_length=20_000)] = ""
    expects: Annotated[tuple[Annotated[int, Field(ge=100, le=599)], ...], Field(min_length=1)] = (200,)


class Action(Part):
    """Something that the console itself does: a verb of the catalogue in `moves.yaml`, with its arguments."""

    verb: Name
    args: dict[Name, Word] = Field(default_factory=dict)


class Option(Part):
    """One way out of a decision; `then` names the step that follows, else the next one does."""

    id: Id
    text: Line
    then: Id | None = None


class Decision(Part):
    """A question that a person answers; the answer and its reason go on the record."""

    question: Line
    options: Annotated[tuple[Option, ...], Field(min_length=2, max_length=9)]


class Wait(Part):
    """Wait until something holds: `least` seconds at least, then until a person or `check` says that it does.

    Attributes:
        until: what must hold, in words.
        least: seconds that must pass first.
        most: seconds after which the step counts as failed.
        check: asked every `every` seconds; success means that it holds.
    """

    until: Line
    least: Seconds | None = None
    most: Seconds | None = None
    every: Seconds = 10
    check: Command | Http | None = None


class Step(Part):
    """One step. At most one of `command`, `http`, `action`, `decision` and `wait`; none means: done by hand.

    Attributes:
        role: id of the role that owns the step.
        expect: what should happen when it is done.
        verify: how it is seen that it did.
        destroys_evidence: whether something is gone afterwards that an inquiry may need.
        snapshot: the step that keeps a copy first; needed where evidence is destroyed.
        approval: at which severities somebody must approve it first; empty: never.
        approvers: ids of the roles that may.
        freeze_exempt: whether it is a change that the incident's change freeze lets through.
        automatic: whether it may run by itself once its scope was approved beforehand.
        reach: how much it touches; decides whether `automatic` may be used.
        then: the step that follows, where it is not the next one: the end of a branch that a decision opened.
        timeout: seconds.
    """

    id: Id
    text: Line
    role: Id
    command: Command | None = None
    http: Http | None = None
    action: Action | None = None
    decision: Decision | None = None
    wait: Wait | None = None
    expect: Annotated[str, Field(max_length=500)] = ""
    verify: Annotated[str, Field(max_length=500)] = ""
    help: Annotated[str, Field(max_length=1000)] = ""
    destroys_evidence: bool = False
    snapshot: Id | None = None
    approval: tuple[Severity, ...] = ()
    approvers: tuple[Id, ...] = ()
    freeze_exempt: bool = False
    automatic: bool = False
    reach: Literal["one tenant", "one agent", "one tool", "one workflow", "everything", "nothing"] = (
        "everything"
    )
    then: Id | None = None
    timeout: Seconds = 120
    sources: Sources

    @property
    def kind(self) -> Literal["manual", "command", "http", "action", "decision", "wait"]:
        """What sort of step it is."""
        for name in ("command", "http", "action", "decision", "wait"):
            if getattr(self, name) is not None:
                return name
        return "manual"

    def placeholders(self) -> tuple[str, ...]:
        """Names of the values that it needs, in the order in which they appear."""
        return tuple(dict.fromkeys(name for text in self._texts() for name in PLACEHOLDER.findall(text)))

    def _texts(self) -> list[str]:
        texts = [self.text, self.expect, self.verify]
        for command in (self.command, self.wait.check if self.wait else None):
            if isinstance(command, Command):
                texts += [*command.argv, *command.dry_run]
        for http in (self.http, self.wait.check if self.wait else None):
            if isinstance(http, Http):
                texts += [http.url, *http.headers.values(), http.body]
        if self.action:
            texts += self.action.args.values()
        return texts

    @model_validator(mode="after")
    def _one_thing_at_a_time(self) -> Step:
        kinds = [k for k in ("command", "http", "action", "decision", "wait") if getattr(self, k) is not None]
        if len(kinds) > 1:
            raise ValueError(f"step `{self.id}` is {' and '.join(kinds)} at once; make it two steps")
        if self.automatic and self.reach == "everything":
            raise ValueError(f"step `{self.id}` must not run by itself: its reach is not limited")
        if self.approval and not self.approvers:
            raise ValueError(f"step `{self.id}` needs approval, and `approvers` does not say whose")
        return self


class Section(Part):
    """A part of a playbook. Without steps it is taken over from the default playbook."""

    note: Annotated[str, Field(max_length=1000)] = ""
    steps: tuple[Step, ...] = ()


class Playbook(Document):
    """A response: to one kind of trouble (`scenario`), to a type of incident (`type`), or `default`.

    Attributes:
        number: its place among the scenarios; 0 for the others.
        severity: what it proposes when no trigger says otherwise.
        types: incident types of `tags.yaml` that it answers.
        codes: triage codes of `tags.yaml`.
        classes: ids of the rollback classes that it usually touches.
        security_led: whether the security lead takes it over at once.
        values: what is filled in before steps run.
    """

    kind: Literal["scenario", "type", "path", "default"]
    number: Annotated[int, Field(ge=0, le=99)] = 0
    severity: Severity
    summary: Line
    types: tuple[Id, ...] = ()
    codes: tuple[Name, ...] = ()
    classes: tuple[Id, ...] = ()
    security_led: bool = False
    values: tuple[Value, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    triage: Section = Section()
    mitigation: Section = Section()
    recovery: Section = Section()
    comms: Section = Section()
    post: Section = Section()

    def sections(self) -> tuple[tuple[str, Section], ...]:
        """Name and content, in the order in which they are worked."""
        return tuple((name, getattr(self, name)) for name in SECTIONS)

    def steps(self) -> tuple[Step, ...]:
        """All steps in order; not those that it takes over from the default."""
        return tuple(step for _, section in self.sections() for step in section.steps)

    def step(self, id: str) -> Step | None:
        """The step with an id."""
        return next((step for step in self.steps() if step.id == id), None)

    def completed(self, default: Playbook) -> Playbook:
        """The same with every empty section taken over from `default`."""
        taken = {
            name: getattr(default, name)
            for name, section in self.sections()
            if not section.steps and getattr(default, name).steps
        }
        # Only what the sections taken over need: nobody is asked at 03:00 for what no step uses.
        needed = {
            name for section in taken.values() for step in section.steps for name in step.placeholders()
        }
        values = {value.name: value for value in default.values if value.name in needed}
        values |= {value.name: value for value in self.values}
        return self.model_copy(update={**taken, "values": tuple(values.values())})

    @model_validator(mode="after")
    def _it_holds_together(self) -> Playbook:
        unique("step", [step.id for step in self.steps()])
        unique("value", [value.name for value in self.values])
        ids = {step.id for step in self.steps()}
        known = {value.name for value in self.values}
        for step in self.steps():
            if step.snapshot is not None and step.snapshot not in ids:
                raise ValueError(f"step `{step.id}` keeps a copy by `{step.snapshot}`, which is no step here")
            ways = [step.then, *(option.then for option in (step.decision.options if step.decision else ()))]
            if away := [then for then in ways if then is not None and then not in ids]:
                raise ValueError(f"step `{step.id}` goes on at `{away[0]}`, which is no step here")
            missing = [name for name in step.placeholders() if name not in known]
            if missing:
                raise ValueError(f"step `{step.id}` uses {{{missing[0]}}}, which `values` does not ask for")
        return self
