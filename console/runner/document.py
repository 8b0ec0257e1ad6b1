"""A playbook as an incident keeps it: the whole document in light structs, readable without the library.

The fields are those of `playbooks.response.Playbook`; what a later version adds is ignored here.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct

from data.canonical import encode

if TYPE_CHECKING:
    from playbooks.response import Playbook

Kind = Literal["manual", "command", "http", "action", "decision", "wait"]

SECTIONS = ("triage", "mitigation", "recovery", "comms", "post")
PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]{0,39})\}")
LIMITED = ("nothing", "one tenant", "one agent", "one tool", "one workflow")
"""How much a step touches, where that is little enough for it to run by itself (S000-AR-1)."""


class Value(Struct, frozen=True):
    """Something that is filled in before a step can run."""

    name: str
    ask: str = ""
    pattern: str = ""
    example: str = ""
    known: str = ""


class Command(Struct, frozen=True):
    """A program with its arguments, and the same without its effect."""

    argv: tuple[str, ...]
    dry_run: tuple[str, ...] = ()


class Http(Struct, frozen=True):
    """One HTTP request."""

    method: str
    url: str
    headers: dict[str, str] = {}
    body: str = ""
    expects: tuple[int, ...] = (200,)


class Action(Struct, frozen=True):
    """A verb of the catalogue, with its arguments."""

    verb: str
    args: dict[str, str] = {}


class Option(Struct, frozen=True):
    """One way out of a decision."""

    id: str
    text: str
    then: str | None = None


class Decision(Struct, frozen=True):
    """A question that a person answers."""

    question: str
    options: tuple[Option, ...]


class Check(Struct, frozen=True):
    """What says whether something holds: a command (`argv`) or a request (`url`)."""

    argv: tuple[str, ...] = ()
    method: str = "GET"
    url: str = ""
    headers: dict[str, str] = {}
    body: str = ""
    expects: tuple[int, ...] = (200,)


class Wait(Struct, frozen=True):
    """Wait until something holds; seconds."""

    until: str
    least: int | None = None
    most: int | None = None
    every: int = 10
    check: Check | None = None

    @property
    def command(self) -> Command | None:
        """The command that says whether it holds, if a command does."""
        return Command(self.check.argv) if self.check is not None and self.check.argv else None

    @property
    def http(self) -> Http | None:
        """The request that says whether it holds, if a request does."""
        check = self.check
        if check is None or not check.url:
            return None
        return Http(check.method, check.url, check.headers, check.body, check.expects)


class Step(Struct, frozen=True):
    """One step; see `playbooks.response.Step`."""

    id: str
    text: str
    role: str = ""
    command: Command | None = None
    http: Http | None = None
    action: Action | None = None
    decision: Decision | None = None
    wait: Wait | None = None
    expect: str = ""
    verify: str = ""
    help: str = ""
    destroys_evidence: bool = False
    snapshot: str | None = None
    approval: tuple[int, ...] = ()
    approvers: tuple[str, ...] = ()
    freeze_exempt: bool = False
    automatic: bool = False
    reach: str = "everything"
    then: str | None = None
    timeout: int = 120
    sources: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """What sort of step it is."""
        if self.command is not None:
            return "command"
        if self.http is not None:
            return "http"
        if self.action is not None:
            return "action"
        if self.decision is not None:
            return "decision"
        return "manual" if self.wait is None else "wait"

    @property
    def acts(self) -> bool:
        """Whether the console does something when it runs."""
        return self.command is not None or self.http is not None or self.action is not None


class Section(Struct, frozen=True):
    """A part of a playbook."""

    note: str = ""
    steps: tuple[Step, ...] = ()


class Trigger(Struct, frozen=True):
    """A sign that the playbook is the right one."""

    text: str
    proposes: int = 0


class Document(Struct, frozen=True):
    """A whole playbook."""

    id: str
    title: str
    version: str = ""
    summary: str = ""
    severity: int = 0
    security_led: bool = False
    owner: str = ""
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


def text_of(playbook: Playbook) -> str:
    """Return a playbook of the library as the text that the record keeps."""
    return encode(playbook.model_dump(mode="json")).decode()


def digest_of(text: str) -> str:
    """Return what names a document, whatever it is called."""
    return sha256(text.encode()).hexdigest()


@lru_cache(maxsize=64)
def document(text: str) -> Document | None:
    """Return a document as it stands on the record; None when it cannot be read (it came from outside)."""
    try:
        return msgspec.json.decode(text, type=Document)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
