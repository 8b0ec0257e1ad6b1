"""The vocabulary: every kind of event that the program writes, readable in one sitting.

A body is a frozen msgspec Struct. Its kind lives in the envelope, not in the body. Three rules keep the
vocabulary readable for ever:

- a kind is never renamed or removed, and its fields are only ever added, with a default;
- a kind that this version does not know is kept, hashed and shown as `Unknown`;
- canonical bytes hold no floats and no integer beyond 2^53-1, so moments travel as ISO 8601 text in UTC
  with nanoseconds (`Moment`) and money as whole nano-USD, held at the largest integer when beyond it.

msgspec rather than pydantic: these types are on the path to the first paint and to every plain CLI command
(see docs/decisions.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from console.refusal import Refused
from data import record
from data.canonical import NotCanonical, encode
from data.clock import iso, parse_iso
from data.envelope import BadEntry, Entry, Event, Ref, check

LARGEST = 2**53 - 1

Name = Annotated[str, Meta(max_length=128)]
Title = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(max_length=16_384)]
Short = Annotated[str, Meta(max_length=512)]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Replica = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
Moment = Annotated[str, Meta(max_length=32)]
Seconds = Annotated[int, Meta(ge=0, le=10 * 366 * 86_400)]
Severity = Annotated[int, Meta(ge=1, le=5)]
Count = Annotated[int, Meta(ge=0, le=LARGEST)]
Whole = Annotated[int, Meta(ge=-LARGEST, le=LARGEST)]

Style = Literal["note", "action", "decision", "hypothesis", "question", "comms"]
Mode = Literal["live", "drill"]
MomentName = Literal[
    "action",
    "signal",
    "trigger",
    "page",
    "acknowledgement",
    "harm_confirmed",
    "contained",
    "recovered",
    "resolved",
]
Confidence = Literal["recorded", "claimed", "estimated"]
CheckState = Literal["open", "done", "not_applicable", "waived"]
RollbackState = Literal[
    "untouched", "open", "reversing", "reversed", "substituted", "verified", "held", "waived", "clear"
]


class Body(Struct, frozen=True, omit_defaults=True):
    """What an event says. Subclasses are registered by `kind` and never change meaning."""

    kind: ClassVar[str] = ""


KINDS: dict[str, type[Body]] = {}
"""Every kind this version knows."""

B = TypeVar("B", bound=type[Body])


def kind(name: str) -> Callable[[B], B]:
    """Register a body under the kind that its envelopes carry."""

    def register(body: B) -> B:
        if name in KINDS:
            raise ValueError(f"two bodies call themselves {name}")
        body.kind = name
        KINDS[name] = body
        return body

    return register


# -- the incident --------------------------------------------------------------------------------------


@kind("incident.declared")
class Declared(Body, frozen=True):
    """Founds an incident's case. `label` is the severity as the profile named it then (X-1).

    Who commands and how often updates go out (seconds, 0 = no clock) are part of it, so that no crash can
    come between the declaration and them.
    """

    title: Title
    severity: Severity
    label: Name
    profile: Name = "merged"
    mode: Mode = "live"
    clock_basis: Literal["action", "consequence"] = "action"
    reason: Text = ""
    commander: Name = ""
    cadence: Seconds = 0


@kind("incident.titled")
class Titled(Body, frozen=True):
    """A better title."""

    title: Title


@kind("incident.closed")
class Closed(Body, frozen=True):
    """The incident is over for the responders; the record stays open for corrections."""

    reason: Text


@kind("incident.reopened")
class Reopened(Body, frozen=True):
    """A closed incident goes on."""

    reason: Text


@kind("severity.set")
class SeveritySet(Body, frozen=True):
    """A confirmed change of severity, with the label shown at the time."""

    severity: Severity
    label: Name
    reason: Text = ""


@kind("impact.stated")
class ImpactStated(Body, frozen=True):
    """Whom it reaches and what they see (S002-TK-4, S002-TK-5); an empty field leaves what was said before."""

    scope: Text = ""
    """Tenants, regions, features."""
    impact: Text = ""
    """What users see, or the share of traffic."""


@kind("role.assigned")
class RoleAssigned(Body, frozen=True):
    """A role in this incident goes to a person.

    Handover is the same event with `previous`, who gives the role up by it, and `summary`, what they handed over.
    """

    role: Name
    person: Name
    reason: Text = ""
    previous: Name = ""
    summary: Text = ""


@kind("role.released")
class RoleReleased(Body, frozen=True):
    """A person gives up a role that nobody else takes."""

    role: Name
    person: Name
    reason: Text = ""


@kind("moment.recorded")
class MomentRecorded(Body, frozen=True):
    """One time of the detection chain or of the response, with how sure we are of it (A.7)."""

    moment: MomentName
    at: Moment
    confidence: Confidence = "claimed"
    source: Short = ""


@kind("containment.confirmed")
class ContainmentConfirmed(Body, frozen=True):
    """The harm is contained, a person says. The envelope's `at` starts the rollback clocks (S003-KS-9)."""

    how: Text


@kind("cadence.set")
class CadenceSet(Body, frozen=True):
    """How often an update goes out; the next one is due that long after the last (S002-CK-2)."""

    every: Seconds
    channel: Short = ""


@kind("update.promised")
class UpdatePromised(Body, frozen=True):
    """The time that somebody was told for the next update; wins over the cadence until an update went out."""

    due: Moment
    channel: Short = ""


# -- the timeline --------------------------------------------------------------------------------------


@kind("note.written")
class NoteWritten(Body, frozen=True):
    """A line of the scribe. The envelope's `at` is when typing began, or the back-dated time."""

    text: Annotated[str, Meta(min_length=1, max_length=16_384)]
    style: Style = "note"
    tags: tuple[Name, ...] = ()
    mentions: tuple[Name, ...] = ()
    typed: Moment = ""


@kind("update.sent")
class UpdateSent(NoteWritten, frozen=True):
    """A communication that went out; the next update is due from here on. Its style is always comms."""

    style: Style = "comms"


@kind("entry.amended")
class EntryAmended(Body, frozen=True):
    """A new version of a line's text. The original stays one key away.

    `over`: the amendments that its author saw and replaces; none = the line as it was written. Two versions
    of which neither was written over the other are contested, until one is written over both.
    """

    target: Digest
    text: Annotated[str, Meta(min_length=1, max_length=16_384)]
    reason: Text = ""
    over: Annotated[tuple[Digest, ...], Meta(max_length=100)] = ()


@kind("entry.retracted")
class EntryRetracted(Body, frozen=True):
    """The event no longer counts; it stays on the record, struck through. Undo is this."""

    target: Digest
    reason: Text = ""


@kind("entry.reinstated")
class EntryReinstated(Body, frozen=True):
    """A retracted event counts again."""

    target: Digest
    reason: Text = ""


@kind("entry.disputed")
class EntryDisputed(Body, frozen=True):
    """Somebody holds that an event is not so; it goes on counting, with a badge, until that is settled."""

    target: Digest
    reason: Text = ""


@kind("entry.settled")
class EntrySettled(Body, frozen=True):
    """The dispute about an event is over."""

    target: Digest
    reason: Text = ""


# -- the checklist -------------------------------------------------------------------------------------


class Item(Struct, frozen=True, omit_defaults=True):
    """One checklist item as it stood when the incident adopted it.

    `due`: seconds after `since`; 0 = no clock, but before the incident is closed.
    """

    id: Name
    text: Short
    phase: Name = ""
    due: Seconds = 0
    since: Literal["declared", "harm_confirmed"] = "declared"
    help: Annotated[str, Meta(max_length=1000)] = ""
    role: Name = ""
    evidence: bool = False
    sources: tuple[Name, ...] = ()


@kind("checklist.adopted")
class ChecklistAdopted(Body, frozen=True):
    """The items that hold for this incident, copied so that the record needs no library to be read."""

    profile: Name
    version: Name
    items: Annotated[tuple[Item, ...], Meta(max_length=500)]


@kind("item.set")
class ItemSet(Body, frozen=True):
    """An item is done, not applicable, waived (with a reason), or open again. `evidence`: what shows it."""

    item: Name
    state: CheckState
    reason: Text = ""
    evidence: Short = ""


@kind("item.claimed")
class ItemClaimed(Body, frozen=True):
    """Somebody works on an item; an empty person gives it back."""

    item: Name
    person: Name = ""


# -- the rollback of effects ---------------------------------------------------------------------------


class Budget(Struct, frozen=True, omit_defaults=True):
    """One clock of an action class. `seconds` run from containment (X-22)."""

    id: Name
    name: Short
    seconds: Seconds


class ActionClass(Struct, frozen=True, omit_defaults=True):
    """One class of agent actions as the incident adopted it (S003-RB-0)."""

    id: Name
    name: Short
    budgets: tuple[Budget, ...]
    number: Count = 0
    reversible: Literal["yes", "partly", "no"] = "partly"
    examples: tuple[Short, ...] = ()
    procedure: tuple[Short, ...] = ()
    operator: Short = ""
    substitute: tuple[Short, ...] = ()
    verification: tuple[Short, ...] = ()
    sources: tuple[Name, ...] = ()


@kind("rollback.adopted")
class RollbackAdopted(Body, frozen=True):
    """The action classes that hold for this incident, copied like the checklist."""

    version: Name
    classes: Annotated[tuple[ActionClass, ...], Meta(max_length=100)]


@kind("rollback.moved")
class RollbackMoved(Body, frozen=True):
    """An action class changes state. `effects`: how many actions need undoing; null = not counted."""

    action_class: Name
    state: RollbackState
    effects: Count | None = None
    note: Text = ""


@kind("rollback.budget_met")
class BudgetMet(Body, frozen=True):
    """The work behind one clock of a class is finished, in time or late."""

    action_class: Name
    budget: Name
    note: Text = ""


# -- alerts: written by the watcher into its own case, and copied into incidents ----------------------------


class SampledAction(Struct, frozen=True, omit_defaults=True):
    """One action behind an alert, for people: enough to recognise it, never its content."""

    id: Short
    at: Moment
    kind: Name = ""
    name: Short = ""
    """The tool, endpoint, artefact or model, whichever the action is about."""
    cost: Whole | None = None
    status: Name = ""
    side_effect: Name = ""


class AlertFacts(Struct, frozen=True, omit_defaults=True):
    """What a tripwire saw. Money in nano-USD.

    `limit` is the literal limit that opened the alert, `page_limit` the one that pages.
    """

    id: Name
    rule: Name
    version: Name
    tenant: Name
    agent: Name
    opened_at: Moment
    last_at: Moment
    detected_at: Moment
    received_at: Moment
    sentence: Text
    subject: Short = ""
    value: Whole = 0
    limit: Whole = 0
    page_limit: Whole = 0
    peak: Whole = 0
    unit: Name = ""
    reason: Name = ""
    pages: bool = False
    paged_at: Moment = ""
    route: tuple[Name, ...] = ()
    count: Count = 0
    actions: Annotated[tuple[Short, ...], Meta(max_length=1000)] = ()
    sample: Annotated[tuple[SampledAction, ...], Meta(max_length=20)] = ()


@kind("watch.founded")
class WatchFounded(Body, frozen=True):
    """Founds the watcher's own case."""

    mode: Mode = "live"


@kind("watch.started")
class WatchStarted(Body, frozen=True):
    """A watcher takes over: which rules, which sources, since when its baselines reach back."""

    rules: Name
    sources: tuple[Short, ...] = ()
    note: Text = ""


@kind("watch.stopped")
class WatchStopped(Body, frozen=True):
    """A watcher ended in good order; its absence after a start means that it died."""

    reason: Short = ""


@kind("intake.refused")
class IntakeRefused(Body, frozen=True):
    """Records that could not be taken in: kept in the store of refused records, counted here."""

    source: Short
    reason: Short
    count: Count
    since: Moment = ""


@kind("alert.opened")
class AlertOpened(Body, frozen=True):
    """A tripwire fired."""

    alert: AlertFacts


@kind("alert.moved")
class AlertMoved(Body, frozen=True):
    """An open alert went on: later `last_at`, higher `peak`, or it now pages."""

    alert: AlertFacts


@kind("alert.closed")
class AlertClosed(Body, frozen=True):
    """The episode is over: nothing violated the rule for its episode time."""

    alert: AlertFacts


@kind("alert.acknowledged")
class AlertAcknowledged(Body, frozen=True):
    """A person works on the alert; closes the detection chain (S003-MT-5)."""

    alert: Name
    note: Text = ""


@kind("alert.silenced")
class AlertSilenced(Body, frozen=True):
    """The alert asks for no attention until `until`; empty = until it closes."""

    alert: Name
    until: Moment = ""
    reason: Text = ""


@kind("alert.linked")
class AlertLinked(Body, frozen=True):
    """An alert belongs to this incident: a copy, so that the incident's record stands alone.

    `why` says what is new: it joined, it now pages, somebody acknowledged it, its episode ended.
    """

    alert: AlertFacts
    why: Literal["joined", "paged", "acknowledged", "ended"] = "joined"
    acknowledged_at: Moment = ""
    acknowledged_by: Name = ""


# -- who may write: the founder's key is on the roster from the founding event on -----------------------


@kind("roster.asked")
class RosterAsked(Body, frozen=True):
    """A console that is not on the roster begins to write, and says whose it is. Nobody needs to believe it."""

    person: Name


@kind("roster.added")
class RosterAdded(Body, frozen=True):
    """The events of a replica count from now on, the earlier ones too.

    `how`: trusted on first sight, words compared by two people, or named by a signed list of the team.
    """

    replica: Replica
    person: Name = ""
    how: Literal["first-use", "compared", "list"] = "compared"


@kind("roster.removed")
class RosterRemoved(Body, frozen=True):
    """A replica leaves; what it wrote before goes on counting, what it writes after does not."""

    replica: Replica
    reason: Text = ""


@kind("roster.revoked")
class RosterRevoked(Body, frozen=True):
    """A key is not its owner's alone: nothing counts that was written with it from `since` on."""

    replica: Replica
    since: Moment
    reason: Text = ""


@kind("roster.rotated")
class RosterRotated(Body, frozen=True):
    """The replica that writes this goes on under a new key; the old one leaves the roster."""

    replica: Replica
    reason: Text = ""


# -- evidence ------------------------------------------------------------------------------------------


class Known(Struct, frozen=True, omit_defaults=True):
    """One name under which something is known: `trace_id` and its value, as the evidence schema has them."""

    name: Name
    value: Short


@kind("evidence.requested")
class EvidenceRequested(Body, frozen=True):
    """What is to be preserved, by its ids. Stands on the record before the work begins, so none is lost."""

    ids: Annotated[tuple[Known, ...], Meta(max_length=200)]
    reason: Text = ""


@kind("evidence.captured")
class EvidenceCaptured(Body, frozen=True):
    """Material that is kept from now on: the envelope's refs are its blobs.

    Custody stands here: from where, with what, between which moments, and why; who and when are on the
    envelope. `missing`: fields of the evidence schema that nothing had; each is an observability finding.
    """

    what: Literal["telemetry", "file", "paste", "command", "import"]
    title: Short
    request: Digest | Literal[""] = ""
    ids: Annotated[tuple[Known, ...], Meta(max_length=200)] = ()
    fields: Annotated[tuple[Known, ...], Meta(max_length=200)] = ()
    missing: Annotated[tuple[Name, ...], Meta(max_length=200)] = ()
    count: Count = 0
    since: Moment = ""
    until: Moment = ""
    source: Short = ""
    tool: Short = ""
    command: Annotated[tuple[Short, ...], Meta(max_length=100)] = ()
    exit: Whole | None = None
    reason: Text = ""


@kind("evidence.failed")
class EvidenceFailed(Body, frozen=True):
    """A request that found nothing, or could not be carried out; it stays open to another try."""

    request: Digest
    reason: Text


@kind("evidence.unchanged")
class EvidenceUnchanged(Body, frozen=True):
    """A request that found just what an exhibit keeps already: it was looked again, and nothing is added."""

    request: Digest
    exhibit: Digest


@kind("observability.found")
class ObservabilityFound(Body, frozen=True):
    """Something that should have been recorded and was not; work for afterwards, with an owner (S001-RV-6)."""

    what: Text
    field: Name = ""
    owner: Name = ""


@kind("hold.set")
class HoldSet(Body, frozen=True):
    """Legal hold: while it stands nothing of `scope` may be erased, here or on any console that knows of it."""

    scope: Literal["case", "event", "subject"]
    reason: Text
    target: Short = ""
    authority: Short = ""


@kind("hold.lifted")
class HoldLifted(Body, frozen=True):
    """A hold is over. `hold`: the event that set it."""

    hold: Digest
    reason: Text = ""


@kind("evidence.unmasked")
class Unmasked(Body, frozen=True):
    """Somebody looked at what the policy masks."""

    target: Digest
    reason: Text


@kind("evidence.exported")
class Exported(Body, frozen=True):
    """A copy left: what it was, under which policy, how much was withheld, and for whom."""

    what: Literal["bundle", "report", "events", "timesketch", "iris", "exhibit"]
    digest: Digest
    size: Count
    policy: Name = ""
    withheld: Count = 0
    recipients: Annotated[tuple[Short, ...], Meta(max_length=100)] = ()
    reason: Text = ""


@kind("record.verified")
class RecordVerified(Body, frozen=True):
    """The record was checked byte by byte."""

    events: Count
    damage: Count = 0
    missing: Count = 0


# -- playbooks -----------------------------------------------------------------------------------------

RunId = Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
Word = Annotated[str, Meta(max_length=8192)]
"""A value, or one element of a command with its values in it."""
StepMark = Literal["open", "done", "not_applicable", "waived"]
RunOutcome = Literal["done", "failed", "timed_out", "cancelled", "unknown"]


@kind("playbook.opened")
class PlaybookOpened(Body, frozen=True):
    """A playbook is worked through from here on, as it reads now: `document` is all of it, as canonical JSON."""

    id: Name
    title: Short
    version: Name
    digest: Digest
    document: Annotated[str, Meta(max_length=500_000)]
    why: Text = ""


@kind("playbook.closed")
class PlaybookClosed(Body, frozen=True):
    """Nobody works through the playbook any more; what was done with it stays."""

    playbook: Name
    reason: Text = ""


@kind("value.filled")
class ValueFilled(Body, frozen=True):
    """What stands for `{name}` in the steps of a playbook from here on; empty: not known again."""

    playbook: Name
    name: Name
    value: Annotated[str, Meta(max_length=2000)]


@kind("step.approved")
class StepApproved(Body, frozen=True):
    """A person lets a step run, once. `digest` names what would run: with another value it is no approval."""

    playbook: Name
    step: Name
    digest: Digest
    role: Name


@kind("step.started")
class StepStarted(Body, frozen=True):
    """A step runs. On the disk before anything happens, so that no crash leaves an effect without an entry.

    `what`: exactly what runs, one element each, with values in it and secrets masked. `dry`: without effect.
    """

    playbook: Name
    step: Name
    run: RunId
    attempt: Count = 1
    dry: bool = True
    automatic: bool = False
    what: Annotated[tuple[Annotated[str, Meta(max_length=40_000)], ...], Meta(max_length=200)] = ()
    digest: Digest | Literal[""] = ""


@kind("step.finished")
class StepFinished(Body, frozen=True):
    """How a run ended; the envelope's refs are what it printed or answered.

    `unknown`: whoever ran it is gone, and nobody can say whether it took effect.
    """

    run: RunId
    outcome: RunOutcome
    exit: Whole | None = None
    status: Count = 0
    milliseconds: Count = 0
    note: Text = ""


@kind("step.stop_asked")
class StopAsked(Body, frozen=True):
    """A run is to end, wherever it runs; what came of it says its `step.finished`."""

    run: RunId
    reason: Text = ""


@kind("step.settled")
class StepSettled(Body, frozen=True):
    """A person looked what became of a run whose effect nobody knew: it took effect, it did not, or: repeat it."""

    playbook: Name
    step: Name
    run: RunId
    word: Literal["happened", "not", "repeat"]
    reason: Text


@kind("step.set")
class StepSet(Body, frozen=True):
    """A step is done, not applicable, waived (with a reason), or open again. `evidence`: what shows it."""

    playbook: Name
    step: Name
    state: StepMark
    reason: Text = ""
    evidence: Short = ""


@kind("step.decided")
class StepDecided(Body, frozen=True):
    """The answer to a decision of a playbook, and why."""

    playbook: Name
    step: Name
    option: Name
    reason: Text


@kind("automation.granted")
class AutomationGranted(Body, frozen=True):
    """Steps may run by themselves, on the console that wrote this, until `until`.

    `scope`: how much they may touch at most, in the words of the document (`one tenant`).
    """

    playbook: Name
    scope: Name
    steps: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=100)]
    until: Moment
    reason: Text


@kind("automation.withdrawn")
class AutomationWithdrawn(Body, frozen=True):
    """Nothing runs by itself under a grant any more; without one: under none. What runs so is stopped."""

    grant: Digest | Literal[""] = ""
    reason: Text = ""


@kind("automation.announced")
class AutomationAnnounced(Body, frozen=True):
    """A step will run by itself at `at`, unless somebody stops it."""

    playbook: Name
    step: Name
    at: Moment
    grant: Digest


@kind("freeze.set")
class FreezeSet(Body, frozen=True):
    """No changes but those that this incident needs (X-18)."""

    reason: Text
    scope: Short = ""


@kind("freeze.lifted")
class FreezeLifted(Body, frozen=True):
    """A change freeze is over. `freeze`: the event that set it."""

    freeze: Digest
    reason: Text = ""


@kind("freeze.exempted")
class FreezeExempted(Body, frozen=True):
    """One step of this incident may change something although changes are frozen."""

    playbook: Name
    step: Name
    reason: Text


# -- triage: what kind of incident it is, who must be told, who leads -------------------------------------


class Answer(Struct, frozen=True):
    """The answer to one question of a form; `unknown` answers every question."""

    question: Name
    answer: Annotated[str, Meta(max_length=2000)]


@kind("form.answered")
class FormAnswered(Body, frozen=True):
    """The answers to a form, what its rules propose and why (`because`), and what a person decided.

    `decided` is empty while nobody has; `reason` is needed where it is not what was proposed.
    """

    form: Name
    answers: Annotated[tuple[Answer, ...], Meta(max_length=100)]
    proposal: Short = ""
    rule: Name = ""
    because: Short = ""
    also: Annotated[tuple[Name, ...], Meta(max_length=20)] = ()
    decided: Short = ""
    reason: Text = ""
    version: Name = ""


@kind("tag.set")
class TagSet(Body, frozen=True):
    """The incident has a tag on an axis; it may have several on each, and none follows from another (X-24)."""

    axis: Name
    tag: Name
    reason: Text = ""


@kind("tag.removed")
class TagRemoved(Body, frozen=True):
    """The incident has a tag no longer."""

    axis: Name
    tag: Name
    reason: Text = ""


class Contact(Struct, frozen=True):
    """Somebody outside the incident's roles who may have to be told."""

    id: Name
    title: Short


class Route(Struct, frozen=True, omit_defaults=True):
    """Who must be told, and why. All conditions that are given must hold; an empty one always holds."""

    id: Name
    tell: Annotated[tuple[Name, ...], Meta(max_length=50)]
    reason: Short
    types: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()
    severities: Annotated[tuple[Severity, ...], Meta(max_length=5)] = ()
    tripwires: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()
    security: bool | None = None
    page: bool = True


@kind("routing.adopted")
class RoutingAdopted(Body, frozen=True):
    """The routing table that holds for this incident, copied like the checklist."""

    version: Name
    contacts: Annotated[tuple[Contact, ...], Meta(max_length=200)]
    routes: Annotated[tuple[Route, ...], Meta(max_length=500)]


@kind("escalation.told")
class EscalationTold(Body, frozen=True):
    """A contact, a role or an authority was told: `who` as the routing table or a legal clock names it."""

    who: Name
    how: Short
    person: Name = ""
    reason: Text = ""


@kind("escalation.waived")
class EscalationWaived(Body, frozen=True):
    """Somebody who was to be told need not be."""

    who: Name
    reason: Text


class LegalClock(Struct, frozen=True, omit_defaults=True):
    """A legal time limit that somebody switched on; `seconds` or `business_days`, neither: without delay."""

    id: Name
    regime: Short
    article: Short
    starts: Short
    tell: Short
    seconds: Seconds = 0
    business_days: Annotated[int, Meta(ge=0, le=90)] = 0


@kind("security_led.set")
class SecurityLedSet(Body, frozen=True):
    """The security lead leads from here on, or no longer (S000-CL-4, X-29). `aware`: since when it is known."""

    reason: Text
    led: bool = True
    aware: Moment = ""
    clocks: Annotated[tuple[LegalClock, ...], Meta(max_length=50)] = ()


# -- messages ------------------------------------------------------------------------------------------

MessageId = Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
Audience = Literal[
    "internal", "channel", "support", "executives", "customers", "status-page", "regulator", "page"
]
Stage = Literal[
    "", "investigating", "identified", "monitoring", "resolved", "trigger", "acknowledge", "resolve"
]
"""What a status page is set to, or what becomes of a page."""
Wording = Annotated[str, Meta(max_length=16_000)]


class Given(Struct, frozen=True, omit_defaults=True):
    """A fact that a person supplied for a message."""

    name: Name
    value: Annotated[str, Meta(max_length=2000)]


class Lack(Struct, frozen=True, omit_defaults=True):
    """A fact that a message needs and that nobody supplied. `ask`: what is asked for."""

    name: Name
    ask: Short = ""
    label: Short = ""
    """What stands before it in the text, where it has a line of its own."""


@kind("message.drafted")
class MessageDrafted(Body, frozen=True):
    """A message as it was drafted from the state. `promises`: when it says that the next one comes.

    `needs`: the facts without which it must not go out, whether they are in it or not.
    """

    message: MessageId
    template: Name
    title: Short
    audience: Audience
    body: Wording
    subject: Short = ""
    state: Stage = ""
    promises: Moment = ""
    needs: Annotated[tuple[Lack, ...], Meta(max_length=50)] = ()
    given: Annotated[tuple[Given, ...], Meta(max_length=50)] = ()


@kind("message.edited")
class MessageEdited(Body, frozen=True):
    """A message in other words; approvals of the words before are over."""

    message: MessageId
    subject: Short
    body: Wording
    promises: Moment = ""
    given: Annotated[tuple[Given, ...], Meta(max_length=50)] = ()


@kind("message.waived")
class MessageWaived(Body, frozen=True):
    """A message may go out although a check found something. `finding`: its code, such as `missing:impact`."""

    message: MessageId
    finding: Short
    reason: Text


@kind("message.approved")
class MessageApproved(Body, frozen=True):
    """A person lets a message go out in exactly the words that `digest` names."""

    message: MessageId
    digest: Digest
    role: Name


@kind("message.queued")
class MessageQueued(Body, frozen=True):
    """A message is to go to a sender, by the console that wrote this. `key` makes a repeat harmless."""

    message: MessageId
    sender: Name
    type: Name
    digest: Digest
    key: Short
    notify: bool = False
    """Whether a status page tells its subscribers."""


@kind("message.trying")
class MessageTrying(Body, frozen=True):
    """A request is about to be made. On the disk before, so that a crash leaves no effect without an entry."""

    message: MessageId
    sender: Name
    attempt: Count
    part: Count = 0


@kind("message.sent")
class MessageSent(Body, frozen=True):
    """The other side took it. `reference`: what it goes by there."""

    message: MessageId
    sender: Name
    attempt: Count
    reference: Short = ""
    note: Short = ""


@kind("message.failed")
class MessageFailed(Body, frozen=True):
    """A try that came to nothing. `unknown`: nobody can say whether it went out. `again`: when it is tried anew."""

    message: MessageId
    sender: Name
    attempt: Count
    outcome: Literal["retry", "refused", "unknown"]
    reason: Short
    part: Count = 0
    again: Moment = ""


@kind("message.settled")
class MessageSettled(Body, frozen=True):
    """A person looked what became of a message of which nobody knew: it went out, or it did not."""

    message: MessageId
    sender: Name
    word: Literal["sent", "not"]
    reason: Text


@kind("message.cancelled")
class MessageCancelled(Body, frozen=True):
    """A message is not to go to a sender, or to none (without a sender). What went out, went out."""

    message: MessageId
    sender: Annotated[str, Meta(max_length=128)] = ""
    reason: Text = ""


# -- remotes -------------------------------------------------------------------------------------------


@kind("remote.probed")
class RemoteProbed(Body, frozen=True):
    """What a remote was found to do. Decides what the screen may claim, never whether the record is right."""

    remote: Name
    url: Short
    create: Literal["atomic", "sequential", "none"]
    reads_back: bool
    lists: bool
    skew_ms: Whole | None = None
    durable: Short = ""
    locked: Short = ""
    warnings: Annotated[tuple[Short, ...], Meta(max_length=20)] = ()


@kind("remote.alarmed")
class RemoteAlarmed(Body, frozen=True):
    """A remote gave back something else than what its name says. `kept`: its bytes are in quarantine here."""

    remote: Name
    name: Short
    reason: Short
    kept: bool = False


# -- what the log writes about itself (data/record.py) ------------------------------------------------------


@kind(record.CHECKPOINT)
class Checkpointed(Body, record.Checkpoint, frozen=True):
    """A checkpoint: where every strand ended that this console had seen."""


@kind(record.FORKED)
class Forked(Body, record.Forked, frozen=True):
    """Somebody else wrote in this console's name; it goes on in a new incarnation."""


@kind(record.ERASED)
class Erased(Body, record.Erased, frozen=True):
    """Bodies that are gone for good, by duty or by right."""


@kind(record.WITHHELD)
class RemoteWithheld(Body, record.Withheld, frozen=True):
    """What a policy keeps from a remote: the text of events, and whole files."""


class Unknown(Struct, frozen=True):
    """An event of a kind, or with a body, that this version cannot read. Kept and shown, never dropped."""

    kind: str
    why: str


_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {}


def read(event: Event) -> Body | Unknown:
    """Return the body of `event`; whatever cannot be read becomes `Unknown`, never an error."""
    known = KINDS.get(event.kind)
    if known is None:
        return Unknown(event.kind, "written by a newer version")
    if event.body is None:
        return Unknown(event.kind, "its text was erased")
    decoder = _DECODERS.get(event.kind)
    if decoder is None:
        decoder = _DECODERS.setdefault(event.kind, msgspec.json.Decoder(known))
    try:
        body: Body = decoder.decode(event.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Unknown(event.kind, f"its body does not fit: {error}"[:500])
    return body


def entry(
    body: Body,
    actor: str,
    *,
    role: str = "",
    at: int | None = None,
    refs: tuple[Ref, ...] = (),
    key: str = "",
) -> Entry:
    """Return `body` as an entry for the log. `at`: nanoseconds UTC, None = now.

    Raises:
        Refused: a field is out of its bounds, or some text is no Unicode; nothing was written.
    """
    plain = msgspec.to_builtins(body)
    try:
        # Structs check on decoding only, and nothing unreadable may reach the log.
        msgspec.convert(plain, type(body))
        made = Entry(kind=body.kind, body=encode(plain), actor=actor, role=role, at=at, refs=refs, key=key)
        check(made)
    except msgspec.ValidationError as error:
        raise Refused(f"A value is out of its bounds: {error}.", "Nothing was written.") from None
    except NotCanonical:
        raise Refused(
            "This text is not valid Unicode and cannot stand on the record.", "Nothing was written."
        ) from None
    except BadEntry as error:
        raise Refused(f"{error}.", "Nothing was written.") from None
    return made


def moment(ns: int) -> str:
    """Return nanoseconds UTC as a `Moment`."""
    return iso(ns, 9)


def instant(text: str) -> int | None:
    """Return a `Moment` as nanoseconds UTC, or None when it is empty or unreadable (it came from outside)."""
    if not text:
        return None
    try:
        return parse_iso(text)
    except ValueError:
        return None


def held(value: int) -> int:
    """Return `value` held within what canonical bytes can carry."""
    return max(-LARGEST, min(LARGEST, value))
