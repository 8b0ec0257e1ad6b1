"""The incident: what its events add up to.

`Fold` takes events in any order of arrival and keeps `Fold.incident` equal to the full fold of everything it
was given, in the total order of the log. Lines of the timeline change nothing here (they live in the view),
so the state of an incident stays small however long its timeline is.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field

from msgspec.structs import replace

from console.comms.state import Messages
from console.containment.quarantine import Quarantine
from console.containment.state import Moves
from console.events import (
    AlertFacts,
    AlertLinked,
    AuditClosed,
    AuditOpened,
    AutomationGranted,
    Body,
    Budget,
    BudgetMet,
    CadenceSet,
    ChecklistAdopted,
    Checkpointed,
    CheckState,
    Closed,
    Confidence,
    ContainmentConfirmed,
    Declared,
    EffectReconciled,
    EffectsClassed,
    EffectsEnded,
    EffectsListed,
    EffectsMoved,
    EffectsStarted,
    EntryAmended,
    EntryDisputed,
    EntryReinstated,
    EntryRetracted,
    EntrySettled,
    EscalationTold,
    EscalationWaived,
    EvidenceCaptured,
    EvidenceFailed,
    EvidenceRequested,
    EvidenceUnchanged,
    Forked,
    FormAnswered,
    FreezeExempted,
    FreezeLifted,
    FreezeSet,
    HoldLifted,
    HoldSet,
    ImpactStated,
    IncidentExtended,
    Item,
    ItemClaimed,
    ItemSet,
    MessageApproved,
    MessageDrafted,
    MessageFailed,
    MessageQueued,
    MessageSent,
    MessageTrying,
    MessageWaived,
    Mode,
    MomentRecorded,
    NoteWritten,
    ObservabilityFound,
    PlaybookClosed,
    PlaybookOpened,
    QuarantineCarriedOut,
    QuarantineDecided,
    QuarantineListed,
    RecordVerified,
    RemoteAlarmed,
    RemoteProbed,
    Reopened,
    RoleAssigned,
    RoleReleased,
    RollbackAdopted,
    RollbackMoved,
    RosterAsked,
    SecurityLedSet,
    SeveritySet,
    StepApproved,
    StepDecided,
    StepFinished,
    StepSet,
    StepSettled,
    StepStarted,
    TagRemoved,
    TagSet,
    Titled,
    Unknown,
    UpdatePromised,
    UpdateSent,
    ValueFilled,
    instant,
    read,
)
from console.rollback.ledger import Ledger
from console.rollback.state import Rollback
from console.roster import ROSTER, Roster, founds, roster
from console.runner.state import Plays
from console.triage import Triage
from data.envelope import Event, Ref
from data.hlc import milliseconds
from data.record import ACTOR

SECOND = 1_000_000_000
CLOCKS_DIFFER = 60 * SECOND
"""From here on people are told that the clocks of two consoles differ."""
COMMANDER = "ic"
"""Id of the role that only one person holds at a time."""
SECURITY_LEAD = "security"
FIRST_RESPONSE = 15 * 60
"""Seconds from the declaration within which every item of the first response is due (X-5, S004-M15-1)."""


@dataclass(slots=True)
class Stamp:
    """One time of the detection chain or the response. `at`: nanoseconds UTC."""

    at: int
    source: str
    confidence: Confidence
    actor: str


@dataclass(slots=True)
class Check:
    """A checklist item and where it stands."""

    item: Item
    state: CheckState = "open"
    by: str = ""
    at: int = 0
    reason: str = ""
    claimed: str = ""
    evidence: str = ""
    """What shows that it is done."""


@dataclass(slots=True)
class Request:
    """Evidence that somebody asked for. `failed`: why nothing came, "" while it is open or done.

    `same`: the exhibit that kept all of it already, if one did.
    """

    body: EvidenceRequested
    by: str
    at: int
    done: bool = False
    failed: str = ""
    same: str = ""


@dataclass(slots=True)
class Exhibit:
    """Material that is kept: its event, what it says of itself, and its blobs."""

    hash: str
    body: EvidenceCaptured
    by: str
    at: int
    refs: tuple[Ref, ...]


@dataclass(slots=True)
class Stranger:
    """A console that writes here and does not count: whom it says it is, and how many events it left.

    `actor` is empty while it has written only what nobody decided, such as the probe of a remote.
    """

    actor: str
    events: int = 0


@dataclass(slots=True)
class Verified:
    """The last check of the whole record: when (ns UTC), by whom, and what it found."""

    at: int
    by: str
    events: int
    damage: int
    missing: int


@dataclass(slots=True)
class Fork:
    """Somebody wrote in the name of console `rep`, which found out at `at` (ns UTC)."""

    rep: str
    at: int
    body: Forked


@dataclass(slots=True)
class Incident:
    """The state of one incident. Times are nanoseconds UTC; 0 or None = not yet."""

    case: str = ""
    title: str = ""
    mode: Mode = "live"
    severity: int = 0
    label: str = ""
    profile: str = ""
    reason: str = ""
    scope: str = ""
    """Tenants, regions, features (S002-TK-4)."""
    impact: str = ""
    """What users see, or the share of traffic (S002-TK-5)."""
    declared_at: int = 0
    declared_by: str = ""
    closed_at: int = 0
    roles: dict[str, list[str]] = field(default_factory=dict)
    stamps: dict[str, Stamp] = field(default_factory=dict)
    contained_at: int | None = None
    contained_how: str = ""
    cadence: int = 0
    channel: str = ""
    updated_at: int = 0
    promised: int | None = None
    checklist: dict[str, Check] = field(default_factory=dict)
    checklist_version: str = ""
    shelved: dict[str, Check] = field(default_factory=dict)
    """Items that the profile in use does not show, as they stand: they come back with another one."""
    rollback: dict[str, Rollback] = field(default_factory=dict)
    alerts: dict[str, AlertFacts] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    """Ids of linked alerts whose acknowledgement is on this record."""
    ended: set[str] = field(default_factory=set)
    """Ids of linked alerts whose episode is over."""
    unknown: dict[str, int] = field(default_factory=dict)
    """Kinds that this version could not read, and how often they came."""
    roster: Roster = field(default_factory=Roster)
    strangers: dict[str, Stranger] = field(default_factory=dict)
    """Replicas whose events do not count, as they are not on the roster or no longer."""
    versions: dict[str, set[str]] = field(default_factory=dict)
    """Corrected line to the amendments that no other was written over; more than one: contested."""
    disputed: dict[str, str] = field(default_factory=dict)
    """Event that somebody says is not so, and the reason."""
    requests: dict[str, Request] = field(default_factory=dict)
    """Event that asked for evidence, and what came of it."""
    exhibits: list[Exhibit] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    """What should have been recorded and was not."""
    gaps: dict[str, str] = field(default_factory=dict)
    """Field of the evidence schema that nothing recorded, and who sees to that; "" = nobody yet."""
    holds: dict[str, HoldSet] = field(default_factory=dict)
    """Event that set a legal hold, while it stands."""
    remotes: dict[str, RemoteProbed] = field(default_factory=dict)
    """Remote to what its last probe found."""
    verified: Verified | None = None
    forks: dict[str, Fork] = field(default_factory=dict)
    """Event that tells of somebody writing in a console's name; taken back, it was looked into."""
    alarms: dict[str, RemoteAlarmed] = field(default_factory=dict)
    """Event that tells of a remote giving back something else; taken back, it was looked into."""
    clocks: dict[str, int] = field(default_factory=dict)
    """Replica that wrote after it had seen a later time than its own, and by how much later, ns: clocks differ."""
    checkpoints: dict[str, Checkpointed] = field(default_factory=dict)
    """Replica to its newest checkpoint: what it is a witness of."""
    plays: Plays = field(default_factory=Plays)
    """The playbooks that were opened, and everything that ran."""
    moves: Moves = field(default_factory=Moves)
    """Halts and other moves: what was ordered, and how far each target got."""
    quarantine: Quarantine = field(default_factory=Quarantine)
    """Actions that are held, and what was decided about each."""
    ledger: Ledger = field(default_factory=Ledger)
    """What the agents did outside, and how far undoing each effect is."""
    messages: Messages = field(default_factory=Messages)
    """What was drafted for others, and what became of it."""
    triage: Triage = field(default_factory=Triage)
    """Tags, forms, who was told, who leads."""

    @property
    def lead(self) -> str:
        """Id of the role that leads: the commander, or the security lead once somebody took that on (X-29)."""
        return SECURITY_LEAD if self.triage.led and self.roles.get(SECURITY_LEAD) else COMMANDER

    @property
    def contested(self) -> set[str]:
        """Lines of which two corrections stand side by side, neither written over the other."""
        return {target for target, versions in self.versions.items() if len(versions) > 1}

    @property
    def code(self) -> str:
        """The name that people say: `INC-` and four characters of the case id."""
        return f"INC-{self.case[:4].upper()}"

    @property
    def open(self) -> bool:
        """Whether responders still work on it."""
        return bool(self.declared_at) and not self.closed_at

    @property
    def next_update_due(self) -> int | None:
        """When the next update is due, ns UTC: what was promised, else the cadence after the last update."""
        if not self.open:
            return None
        if self.promised is not None:
            return self.promised
        return self.updated_at + self.cadence * SECOND if self.cadence else None

    @property
    def checked(self) -> int:
        """How many checklist items are settled (done, not applicable or waived)."""
        return sum(check.state != "open" for check in self.checklist.values())

    @property
    def next_item(self) -> Check | None:
        """The first open item: the list stands in the order in which a responder works."""
        return next((check for check in self.checklist.values() if check.state == "open"), None)

    def overdue(self, now: int) -> list[Check]:
        """Return the open items whose time is over at `now` (ns UTC), the longest overdue first."""
        late = [
            (due, check)
            for check in self.checklist.values()
            if check.state == "open" and (due := self.due_at(check)) is not None and due < now
        ]
        return [check for _, check in sorted(late, key=lambda each: each[0])] if self.open else []

    def due_at(self, check: Check) -> int | None:
        """Return when a checklist item is due (ns UTC); None when it has no clock."""
        if not check.item.due or not self.declared_at:
            return None
        if check.item.since == "declared":
            return self.declared_at + check.item.due * SECOND
        harm = self.stamps.get("harm_confirmed")
        # Until harm is confirmed, stopping the path is due within the first response like everything else.
        return harm.at + check.item.due * SECOND if harm else self.declared_at + FIRST_RESPONSE * SECOND

    def deadline(self, budget: Budget) -> int | None:
        """Return when `budget` runs out (ns UTC); clocks start at containment (S003-KS-9), None before."""
        return None if self.contained_at is None else self.contained_at + budget.seconds * SECOND

    def worst(self, rollback: Rollback) -> tuple[Budget, int] | None:
        """Return the running budget of a class that ends first, with its deadline, or None."""
        if self.contained_at is None:
            return None
        running = rollback.running()
        return (running[0], self.contained_at + running[0].seconds * SECOND) if running else None


def apply(state: Incident, event: Event, body: Body | Unknown) -> None:
    """Change `state` by one event. Total: what does not fit the state changes nothing."""
    match body:
        case Declared() if founds(event):
            state.case = event.case
            state.title, state.mode, state.profile = body.title, body.mode, body.profile
            state.severity, state.label, state.reason = body.severity, body.label, body.reason
            state.declared_at, state.declared_by = event.at, event.actor
            state.triage.severities.append((event.at, body.severity))
            state.updated_at, state.cadence = event.at, body.cadence
            if body.commander:
                state.roles[COMMANDER] = [body.commander]
        case ImpactStated():
            state.scope, state.impact = body.scope or state.scope, body.impact or state.impact
        case Titled():
            state.title = body.title
        case SeveritySet():
            state.severity, state.label = body.severity, body.label
            state.triage.severities.append((event.at, body.severity))
            if body.severity <= 1:
                state.plays.hold_recovery()
        case RoleAssigned():
            # Command is held by one person; every other role may be shared.
            people = [] if body.role == COMMANDER else state.roles.get(body.role, [])
            state.roles[body.role] = [p for p in people if p not in (body.person, body.previous)] + [
                body.person
            ]
            state.triage.apply(event, body)
        case RoleReleased():
            left = [p for p in state.roles.get(body.role, []) if p != body.person]
            if left:
                state.roles[body.role] = left
            else:
                state.roles.pop(body.role, None)
        case MomentRecorded():
            at = instant(body.at)
            if at is not None:
                state.stamps[body.moment] = Stamp(at, body.source or "stated", body.confidence, event.actor)
        case ContainmentConfirmed():
            if state.contained_at is None:
                state.contained_at, state.contained_how = event.at, body.how
                state.stamps["contained"] = Stamp(event.at, "confirmed", "recorded", event.actor)
        case CadenceSet():
            state.cadence, state.channel = body.every, body.channel
        case UpdatePromised():
            state.promised, state.channel = instant(body.due), body.channel or state.channel
        case UpdateSent():
            state.updated_at, state.promised = event.at, None
        case ChecklistAdopted():
            kept = state.shelved | state.checklist
            state.checklist = {item.id: kept.get(item.id) or Check(item) for item in body.items}
            state.shelved = {id: check for id, check in kept.items() if id not in state.checklist}
            for item in body.items:
                state.checklist[item.id].item = item
            state.checklist_version = f"{body.profile} {body.version}"
        case ItemSet():
            check = state.checklist.get(body.item) or state.shelved.get(body.item)
            if check is not None:
                check.state, check.reason, check.evidence = body.state, body.reason, body.evidence
                check.by, check.at = event.actor, event.at
        case ItemClaimed():
            check = state.checklist.get(body.item) or state.shelved.get(body.item)
            if check is not None:
                check.claimed = body.person
        case RollbackAdopted():
            held = state.rollback
            state.rollback = {c.id: held.get(c.id, Rollback(c)) for c in body.classes}
            for c in body.classes:
                state.rollback[c.id].action_class = c
                if c.id not in held:
                    state.rollback[c.id].follow(event, state.ledger.tally(c.id))
        case RollbackMoved():
            row = state.rollback.get(body.action_class)
            if row is not None:
                row.move(event, body, state.ledger.tally(body.action_class))
        case AuditOpened():
            if (row := state.rollback.get(body.action_class)) is not None:
                row.open_audit(event, body)
        case AuditClosed():
            if (row := state.rollback.get(body.action_class)) is not None:
                row.close_audit(event, body)
        case BudgetMet():
            row = state.rollback.get(body.action_class)
            if row is not None:
                row.met.setdefault(body.budget, event.at)
        case AlertLinked():
            state.alerts[body.alert.id] = body.alert
            state.triage.tripwires.setdefault(body.alert.rule, event.wall)
            if body.acknowledged_at:
                state.acknowledged.add(body.alert.id)
            if body.why == "ended":
                state.ended.add(body.alert.id)
            _stamp_chain(state, event, body)
        case EntryAmended():
            versions = state.versions.setdefault(body.target, set())
            versions.difference_update(body.over)
            versions.add(event.hash)
        case EntryDisputed():
            state.disputed[body.target] = body.reason
        case EntrySettled():
            state.disputed.pop(body.target, None)
        case EvidenceRequested():
            state.requests[event.hash] = Request(body, event.actor, event.at)
        case EvidenceCaptured():
            state.exhibits.append(Exhibit(event.hash, body, event.actor, event.at, event.refs))
            if (request := state.requests.get(body.request)) is not None:
                request.done, request.failed = True, ""
        case EvidenceUnchanged():
            if (request := state.requests.get(body.request)) is not None:
                request.done, request.failed, request.same = True, "", body.exhibit
        case EvidenceFailed():
            if (request := state.requests.get(body.request)) is not None and not request.done:
                request.failed = body.reason
        case ObservabilityFound():
            if body.what not in state.findings:
                state.findings.append(body.what)
            if body.field:
                state.gaps[body.field] = body.owner or state.gaps.get(body.field, "")
        case HoldSet():
            state.holds[event.hash] = body
        case HoldLifted():
            state.holds.pop(body.hold, None)
        case RemoteProbed():
            state.remotes[body.remote] = body
        case RecordVerified():
            state.verified = Verified(event.at, event.actor, body.events, body.damage, body.missing)
        case Forked():
            state.forks[event.hash] = Fork(event.rep, event.at, body)
        case RemoteAlarmed():
            state.alarms[event.hash] = body
        case Checkpointed():
            state.checkpoints[event.rep] = body
        case Closed():
            state.closed_at = event.at
        case Reopened():
            state.closed_at = 0
        case Unknown():
            state.unknown[body.kind] = state.unknown.get(body.kind, 0) + 1
        case _:
            state.plays.apply(event, body)
            state.moves.apply(event, body)
            state.quarantine.apply(event, body)
            for name in state.ledger.apply(event, body):
                if (row := state.rollback.get(name)) is not None:
                    row.follow(event, state.ledger.tally(name))
            state.messages.apply(event, body)
            state.triage.apply(event, body)


def _stamp_chain(state: Incident, event: Event, linked: AlertLinked) -> None:
    """Take the detection chain from an alert where it is earlier than what is known (S003-MT-1 to -5)."""
    facts = linked.alert
    for name, text in (
        ("action", facts.opened_at),
        ("signal", facts.received_at),
        ("trigger", facts.detected_at),
        ("page", facts.paged_at),
        ("acknowledgement", linked.acknowledged_at),
    ):
        at = instant(text)
        known = state.stamps.get(name)
        if at is None or (known is not None and (known.confidence != "recorded" or known.at <= at)):
            continue
        state.stamps[name] = Stamp(at, f"alert {facts.id}", "recorded", event.actor)


def _meet(state: Incident, event: Event, body: Body | Unknown) -> None:
    """Take note of an event that does not count."""
    stranger = state.strangers.setdefault(event.rep, Stranger(""))
    if not stranger.actor and event.actor != ACTOR:
        stranger.actor = event.actor
    if isinstance(body, RosterAsked):
        stranger.actor = body.person
    else:
        stranger.events += 1


def _bears_state(body: Body | Unknown) -> bool:
    return type(body) is not NoteWritten


Order = tuple[str, str, int, int, str]


def _compare_clocks(state: Incident, event: Event) -> None:
    # The hybrid clock is ahead of the writer's own only after it has seen somebody's that was.
    ahead = milliseconds(event.hlc) * 1_000_000 - event.wall
    if ahead > CLOCKS_DIFFER:
        state.clocks[event.rep] = ahead
    else:
        state.clocks.pop(event.rep, None)


class Fold:
    """Keeps an `Incident` equal to the full fold of all events added so far, in whatever order they came.

    Events that bear state are few (ticks, roles, alerts) and are kept; a late arrival or a retraction folds
    them again, which makes incremental = full by construction.
    """

    def __init__(self) -> None:
        self.incident = Incident()
        self._kept: list[tuple[Order, Event, Body | Unknown]] = []
        self._hashes: set[str] = set()
        self._withdrawn: dict[str, bool] = {}

    def add(self, events: Iterable[Event]) -> Incident:
        """Take more events in; repeats are harmless. Returns the state."""
        again = False
        for event in events:
            body = read(event)
            if not _bears_state(body) or event.hash in self._hashes:
                continue
            self._hashes.add(event.hash)
            if isinstance(body, EffectsListed):
                # Read already, and by far the largest of what is kept.
                event = replace(event, body=None)
            order = event.order
            late = bool(self._kept) and order < self._kept[-1][0]
            if late:
                insort(self._kept, (order, event, body), key=lambda kept: kept[0])
            else:
                self._kept.append((order, event, body))
            again = again or late or isinstance(body, (EntryRetracted, EntryReinstated, *ROSTER))
            if not again:
                self._take(event, body)
        if again:
            self._refold()
        return self.incident

    def _take(self, event: Event, body: Body | Unknown) -> None:
        state = self.incident
        state.roster.add(event, body)
        if state.roster.counts(event):
            _compare_clocks(state, event)
            apply(state, event, body)
        else:
            _meet(state, event, body)

    def _refold(self) -> None:
        # The roster first: a key that is added late counts from its first event on.
        members = roster((event, body) for _, event, body in self._kept)
        withdrawn: dict[str, bool] = {}
        for _, event, body in self._kept:
            if not members.counts(event):
                continue
            if isinstance(body, EntryRetracted):
                withdrawn[body.target] = True
            elif isinstance(body, EntryReinstated):
                withdrawn[body.target] = False
        state = Incident(roster=members)
        for _, event, body in self._kept:
            if not members.counts(event):
                _meet(state, event, body)
                continue
            _compare_clocks(state, event)
            if not withdrawn.get(event.hash) or isinstance(body, LASTING):
                apply(state, event, body)
        self.incident, self._withdrawn = state, withdrawn

    def foresee(self, event: Event) -> Incident:
        """Return the state as it would be with one event more, which comes after all that are known."""
        ahead = Fold()
        ahead._kept = [*self._kept, (event.order, event, read(event))]
        ahead._refold()
        return ahead.incident

    def latest(self, actor: str) -> tuple[Event, Body | Unknown] | None:
        """Return the newest change of state by `actor` that still counts: what undo would retract."""
        for _, event, body in reversed(self._kept):
            if event.actor == actor and not self._withdrawn.get(event.hash) and isinstance(body, UNDOABLE):
                return event, body
        return None


UNDOABLE = (
    ItemSet,
    ItemClaimed,
    RollbackMoved,
    BudgetMet,
    EffectsMoved,
    EffectsClassed,
    EffectReconciled,
    AuditClosed,
    IncidentExtended,
    SeveritySet,
    RoleAssigned,
    RoleReleased,
    CadenceSet,
    UpdatePromised,
    Titled,
    ImpactStated,
    MomentRecorded,
    ContainmentConfirmed,
    Closed,
    Reopened,
    PlaybookClosed,
    ValueFilled,
    StepApproved,
    StepSet,
    StepDecided,
    StepSettled,
    MessageApproved,
    MessageWaived,
    AutomationGranted,
    FreezeSet,
    FreezeLifted,
    FreezeExempted,
    FormAnswered,
    TagSet,
    TagRemoved,
    EscalationTold,
    EscalationWaived,
    SecurityLedSet,
)
"""What undo takes back: decisions about the state. What the program or a declaration brought with it stays."""

LASTING = (
    Declared,
    PlaybookOpened,
    StepStarted,
    StepFinished,
    EffectsListed,
    EffectsStarted,
    EffectsEnded,
    MessageDrafted,
    MessageQueued,
    MessageTrying,
    MessageSent,
    MessageFailed,
    QuarantineListed,
    QuarantineDecided,
    QuarantineCarriedOut,
)
"""What nobody can take back: without the first there is no incident to be right about, what ran, ran, and what
went out, went out."""


def fold(events: Iterable[Event]) -> Incident:
    """Return the state that `events` add up to, whatever order they are given in."""
    return Fold().add(events)
