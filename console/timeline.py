"""The timeline: what each event looks like as a line.

`project` is pure: the view may be deleted and is rebuilt from the log with it. Raise `VERSION` when a line
would look different, so that views made by an older version are rebuilt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from console.events import (
    AlertAcknowledged,
    AlertClosed,
    AlertFacts,
    AlertLinked,
    AlertMoved,
    AlertOpened,
    AlertSilenced,
    AuditClosed,
    AuditOpened,
    AutomationAnnounced,
    AutomationGranted,
    AutomationWithdrawn,
    BudgetMet,
    CadenceSet,
    ChecklistAdopted,
    Checkpointed,
    Closed,
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
    Erased,
    EscalationTold,
    EscalationWaived,
    EvidenceCaptured,
    EvidenceFailed,
    EvidenceRequested,
    EvidenceUnchanged,
    Exported,
    Forked,
    FormAnswered,
    FreezeExempted,
    FreezeLifted,
    FreezeSet,
    HoldLifted,
    HoldSet,
    ImpactStated,
    IncidentExtended,
    IntakeRefused,
    ItemClaimed,
    ItemSet,
    MessageApproved,
    MessageCancelled,
    MessageDrafted,
    MessageEdited,
    MessageFailed,
    MessageQueued,
    MessageSent,
    MessageSettled,
    MessageTrying,
    MessageWaived,
    MomentRecorded,
    MoveAnswered,
    MoveExtended,
    MoveJudged,
    MoveOrdered,
    MoveSeen,
    NoteWritten,
    ObservabilityFound,
    PlaybookClosed,
    PlaybookOpened,
    QuarantineCarriedOut,
    QuarantineDecided,
    QuarantineListed,
    ReadinessAnswered,
    ReadinessFounded,
    RecordVerified,
    RemoteAlarmed,
    RemoteProbed,
    RemoteWithheld,
    Reopened,
    RoleAssigned,
    RoleReleased,
    RollbackAdopted,
    RollbackMoved,
    RosterAdded,
    RosterAsked,
    RosterRemoved,
    RosterRevoked,
    RosterRotated,
    RoutingAdopted,
    SecurityLedSet,
    SeveritySet,
    StepApproved,
    StepDecided,
    StepFinished,
    StepSet,
    StepSettled,
    StepStarted,
    StopAsked,
    Style,
    TagRemoved,
    TagSet,
    Titled,
    Unknown,
    Unmasked,
    UpdatePromised,
    ValueFilled,
    WatchFounded,
    WatchStarted,
    WatchStopped,
    instant,
    read,
)
from console.roster import DECIDING, roster
from data.clock import iso
from data.envelope import Event, short
from data.line import SYSTEM, Counts, Patch, Put, Trust

VERSION = 8

CORRECTED, RETRACTED, BACKDATED, DISPUTED = 2, 4, 8, 16
"""Flags of a line, beside `SYSTEM`."""

LOW, NORMAL, HIGH, CRITICAL = 0, 1, 2, 3
"""Levels of a line: housekeeping, what people say, what needs a look, what pages."""

MARKS: dict[Style, str] = {
    "note": " ",
    "action": ">",
    "decision": "!",
    "hypothesis": "?",
    "question": "?",
    "comms": "+",
}
BOOKKEEPING = "·"
PAGING, OPENED = "✖", "▲"

STATES = {
    "open": "reopened",
    "done": "done",
    "not_applicable": "not applicable",
    "waived": "waived",
}


def alert_level(facts: AlertFacts) -> int:
    """Return the level of an alert: what pages is critical, what only crossed its literal limit is high."""
    return CRITICAL if facts.pages else HIGH


def project(event: Event) -> Sequence[Put | Patch]:
    """Return what `event` does to the timeline: usually one new line, for corrections a change of another."""
    body = read(event)
    match body:
        case NoteWritten():
            typed = instant(body.typed)
            backdated = BACKDATED if typed is not None and typed != event.at else 0
            return (
                Put(
                    text=body.text,
                    mark=MARKS[body.style],
                    level=HIGH if body.style == "decision" else NORMAL,
                    flags=backdated,
                    tags=" ".join([*(f"#{t}" for t in body.tags), *(f"@{m}" for m in body.mentions)]),
                ),
            )
        case EntryAmended():
            author = (event.actor, event.rep)
            patch = Patch(body.target, text=body.text, set_flags=CORRECTED, unless=RETRACTED, author=author)
            return (patch,)
        case EntryRetracted():
            return (Patch(body.target, set_flags=RETRACTED),)
        case EntryReinstated():
            return (Patch(body.target, clear_flags=RETRACTED),)
        case AlertOpened(alert=facts):
            return (_alert("", facts),)
        case AlertLinked(alert=facts, why="joined" | "paged"):
            return (_alert("" if body.why == "joined" else "now pages: ", facts),)
        case Forked():
            # Others read it too: whose name it is must stand there.
            text = f"FORK: somebody else wrote in the name of console {event.rep[:8]}"
            return (_line(body, f"{text} from event {body.seq} of incarnation {body.inc} on"),)
        case EntryDisputed():
            return (_line(body), Patch(body.target, set_flags=DISPUTED, unless=RETRACTED))
        case EntrySettled():
            return (_line(body), Patch(body.target, clear_flags=DISPUTED, unless=RETRACTED))
        case Erased():
            return (_line(body), *(Patch(target, text="(erased)") for target in body.targets))
        case Unknown() if event.body is None:
            # It stays in sight: erased, as the entry that did it says of it, or withheld from this console.
            return (Put(text=f"{event.kind}: its text is not here", mark=BOOKKEEPING, level=NORMAL),)
        case AlertMoved() | AlertClosed() | WatchFounded() | ReadinessFounded() | Checkpointed():
            return ()
        case ObservabilityFound(owner="", field=field) if field:
            # The line of the capture counts them; a dozen lines would push away what people wrote.
            return ()
        case MoveExtended(targets=()):
            return ()
        case MoveSeen() if not any(each.state == "leaking" for each in body.seen):
            # Several a second while a halt runs: the receipt and the screen show how far each target is.
            return ()
        case _:
            return (_line(body),)


def _line(body: object, text: str = "") -> Put:
    level = _level(body)
    return Put(
        text=text or sentence(body), mark=BOOKKEEPING, level=level, flags=SYSTEM if level == LOW else 0
    )


def _alert(lead: str, facts: AlertFacts) -> Put:
    mark = PAGING if facts.pages else OPENED
    return Put(
        text=lead + facts.sentence, mark=mark, level=alert_level(facts), tags=f"#{facts.rule} @{facts.agent}"
    )


_DECISIONS = (
    Declared, SeveritySet, ImpactStated, ContainmentConfirmed, Closed, Reopened,
    EntryDisputed, Erased, Forked, HoldLifted, HoldSet, RemoteAlarmed, RosterRevoked,
    AutomationAnnounced, AutomationGranted, AutomationWithdrawn, FreezeLifted, FreezeSet, StepDecided, StepSettled,
    SecurityLedSet, MoveJudged, MoveOrdered, MoveSeen, QuarantineDecided, EffectReconciled, IncidentExtended,
)  # fmt: skip
_DEEDS = (
    RoleAssigned, RollbackMoved, BudgetMet, ItemSet,
    EntrySettled, EvidenceCaptured, EvidenceFailed, Exported, RemoteWithheld, RosterAdded, RosterRemoved, RosterRotated, Unmasked,
    FreezeExempted, PlaybookClosed, PlaybookOpened, StepApproved, StepFinished, StepSet, StepStarted, StopAsked,
    EscalationTold, EscalationWaived, FormAnswered, TagRemoved, TagSet,
    AuditClosed, AuditOpened, EffectsClassed, EffectsEnded, EffectsListed, EffectsMoved, EffectsStarted,
    MessageApproved, MessageCancelled, MessageFailed, MessageQueued, MessageSent, MessageSettled, MessageWaived,
    MoveAnswered, MoveExtended,
    QuarantineCarriedOut, QuarantineListed,
    MoveAnswered,
)  # fmt: skip


def _level(body: object) -> int:
    if isinstance(body, _DECISIONS):
        return HIGH
    return NORMAL if isinstance(body, _DEEDS) else LOW


def _judge(deciding: Sequence[Event]) -> Counts:
    return roster((event, read(event)) for event in deciding).counts


project.version = VERSION  # type: ignore[attr-defined]
trust = Trust(frozenset(body.kind for body in DECIDING), _judge)
"""Whose corrections take effect: the fold's own judgement, for those who read the log without it."""
project.trust = trust  # type: ignore[attr-defined]


def _many(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _effects(ids: tuple[str, ...]) -> str:
    named = ", ".join(each[:8] for each in ids[:3])
    return f"{_many(len(ids), 'effect')} ({named}{', ...' if len(ids) > 3 else ''})"


def _listed(body: EffectsListed) -> str:
    counts = Counter(each.action_class or "no class" for each in body.rows)
    classes = ", ".join(f"{count:,} {name}" for name, count in counts.most_common(8))
    how = {"drafted": "", "downstream": ", found downstream", "added": ", written down by hand"}[body.why]
    return f"{_many(len(body.rows), 'effect')} listed{how}: {classes}" + (
        f"; {body.source}" if body.source else ""
    )


def _outcomes(body: EffectsEnded) -> str:
    counts = Counter(each.outcome.replace("_", " ") for each in body.results)
    return ", ".join(f"{count:,} {name}" for name, count in counts.most_common()) or "nothing was begun"


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _second(text: str) -> str:
    at = instant(text)
    return iso(at, 0) if at is not None else text


def _every(seconds: int, channel: str = "") -> str:
    if not seconds:
        return "no regular updates"
    return f"updates every {seconds // 60} min" + (f" on {channel}" if channel else "")


def _ordered(body: MoveOrdered) -> str:
    verb = body.verb.replace("_", " ")
    verb = verb if body.lifts or body.dry else verb.upper()
    lead = "dry run of " if body.dry else ""
    lifts = f" (takes order {body.lifts} back)" if body.lifts else ""
    return f"{lead}{verb}{' ' if body.subject else ''}{body.subject}{lifts}{_because(body.reason)}; order {body.order}"


def _quarantine(body: QuarantineListed | QuarantineDecided | QuarantineCarriedOut) -> str:
    match body:
        case QuarantineListed():
            held = f"{_many(len(body.actions), 'action')} held in {body.queue}" if body.actions else ""
            gone = f"{_many(len(body.gone), 'action')} left {body.queue}" if body.gone else ""
            return "; ".join(filter(None, (held, gone))) or f"nothing held in {body.queue}"
        case QuarantineDecided():
            more = len(body.actions) - 3
            some = ", ".join(body.actions[:3]) + (f" and {more:,} more" if more > 0 else "")
            word = "go on holding" if body.word == "hold" else body.word
            return f"decided to {word} {some} of {body.queue}{_because(body.reason)}"
        case QuarantineCarriedOut():
            became = {
                "done": "released" if body.word == "release" else "dropped",
                "refused": "REFUSED",
                "unknown": "of which NOBODY KNOWS whether it happened",
            }
            ends = [each.outcome for each in body.results]
            counts = [f"{ends.count(end):,} {became[end]}" for end in dict.fromkeys(ends)]
            return f"held actions of {body.queue}: {', '.join(counts)}"


def sentence(body: object) -> str:
    """Return what an event that is not typed text says, in our own words."""
    match body:
        case Declared():
            said = f"declared {body.label}: {body.title}" + (f" ({body.reason})" if body.reason else "")
            said += f"; {body.commander} is ic" if body.commander else ""
            return said + (f"; {_every(body.cadence)}" if body.cadence else "")
        case ImpactStated():
            parts = (("scope", body.scope), ("impact", body.impact))
            return "; ".join(f"{name}: {text}" for name, text in parts if text)
        case Titled():
            return f"title is now: {body.title}"
        case SeveritySet():
            return f"severity is now {body.label}{_because(body.reason)}"
        case RoleAssigned() if body.summary:
            by = f"{body.previous} hands {body.role} over" if body.previous else f"{body.role} is handed over"
            return f"{by} to {body.person}{_because(body.reason)}\n{body.summary}"
        case RoleAssigned():
            return f"{body.person} is {body.role}{_because(body.reason)}"
        case RoleReleased():
            return f"{body.person} is no longer {body.role}{_because(body.reason)}"
        case MomentRecorded():
            return f"{body.moment.replace('_', ' ')} at {body.at} ({body.confidence}){_because(body.source)}"
        case ContainmentConfirmed():
            return f"CONTAINED{_because(body.how)}; the rollback clocks run"
        case CadenceSet():
            return _every(body.every, body.channel)
        case UpdatePromised():
            due = instant(body.due)
            when = iso(due, 0) if due is not None else body.due
            return f"next update promised for {when}" + (f" on {body.channel}" if body.channel else "")
        case ChecklistAdopted():
            return f"checklist {body.profile} {body.version}: {_many(len(body.items), 'item')}"
        case ItemSet():
            shown = f" ({body.evidence})" if body.evidence else ""
            return f"checklist {body.item} {STATES[body.state]}{shown}{_because(body.reason)}"
        case ItemClaimed():
            return f"checklist {body.item} " + (f"taken by {body.person}" if body.person else "given back")
        case RollbackAdopted():
            return f"rollback classes {body.version}: {len(body.classes)}"
        case RollbackMoved():
            count = "" if body.effects is None else f", {_many(body.effects, 'effect')}"
            return f"rollback {body.action_class} {body.state}{count}{_because(body.note)}"
        case BudgetMet():
            return f"rollback {body.action_class}: {body.budget} finished{_because(body.note)}"
        case MoveOrdered():
            return _ordered(body)
        case MoveExtended():
            return f"order {body.order}: {_many(len(body.targets), 'further target')}"
        case MoveSeen():
            leaking = sum(each.state == "leaking" for each in body.seen)
            return f"LEAKING: {_many(leaking, 'target')} of order {body.order} acts although stopped"
        case MoveJudged():
            still = f"; open: {', '.join(body.open)}" if body.open else ""
            held = f"{body.held:,} of {_many(body.targets, 'target')} held"
            return f"{body.verdict.upper()} of order {body.order} after {body.ms / 1000:.1f} s: {held}{still}"
        case MoveAnswered():
            shown = f" ({body.evidence})" if body.evidence else ""
            return f"{body.target} of order {body.order} dealt with: {body.how}{shown}"
        case EffectsListed():
            return _listed(body)
        case EffectsClassed():
            return f"{_effects(body.ids)} belong to {body.action_class or 'no class'}{_because(body.note)}"
        case EffectsMoved():
            shown = f" ({body.evidence})" if body.evidence else ""
            instead = f"; instead: {body.substitute}" if body.substitute else ""
            said = "nothing to undo" if body.state == "nothing" else body.state
            return f"{body.action_class}: {_effects(body.ids)} {said}{shown}{instead}{_because(body.note)}"
        case EffectReconciled():
            what = "its reversal" if body.about == "reversal" else "it"
            word = "happened" if body.happened else "did NOT happen"
            return f"effect {body.effect[:8]} looked into: {what} {word}{_because(body.how)}"
        case EffectsStarted():
            deed = "reversal" if body.deed == "reverse" else "check"
            how = f"dry run of a {deed}" if body.dry else f"{deed} for real"
            return f"{body.action_class}: {how} of {_effects(body.ids)} ({body.run}){_because(body.reason)}"
        case EffectsEnded():
            return f"run {body.run}: {_outcomes(body)}{_because(body.note)}"
        case AuditOpened():
            return f"audit {body.audit} of {body.action_class} is open{_because(body.note)}"
        case AuditClosed():
            return f"audit {body.audit} of {body.action_class} closed ({body.evidence}){_because(body.note)}"
        case IncidentExtended():
            agents = ", ".join(each.agent for each in body.suspects[:5])
            more = f" and {len(body.suspects) - 5} more" if len(body.suspects) > 5 else ""
            return f"INCIDENT EXTENDED{' to ' + agents + more if agents else ''}{_because(body.reason)}"
        case Closed():
            return f"closed{_because(body.reason)}"
        case Reopened():
            return f"reopened{_because(body.reason)}"
        case AlertLinked(alert=facts):
            by = f" by {body.acknowledged_by}" if body.acknowledged_by else ""
            return f"alert {facts.id} ({facts.rule} of {facts.agent}) {body.why}{by}"
        case AlertAcknowledged():
            return f"acknowledged alert {body.alert}{_because(body.note)}"
        case AlertSilenced():
            until = f"until {body.until}" if body.until else "until it ends"
            return f"silenced alert {body.alert} {until}{_because(body.reason)}"
        case WatchStarted():
            return f"watcher started with rules {body.rules}" + _because(body.note)
        case WatchStopped():
            return f"watcher stopped{_because(body.reason)}"
        case IntakeRefused():
            return f"{_many(body.count, 'record')} refused from {body.source}{_because(body.reason)}"
        case EntryDisputed():
            return f"disputed entry {short(body.target)}{_because(body.reason)}"
        case EntrySettled():
            return f"settled the dispute about entry {short(body.target)}{_because(body.reason)}"
        case RosterAsked():
            return f"{body.person} joins from another console"
        case RosterAdded():
            return f"{body.person or 'console ' + body.replica[:8]} joins the roster ({body.how.replace('-', ' ')})"
        case RosterRemoved():
            return f"console {body.replica[:8]} leaves the roster{_because(body.reason)}"
        case RosterRevoked():
            wrote = f"wrote since {_second(body.since)}" if instant(body.since) else "ever wrote"
            return f"KEY REVOKED: nothing console {body.replica[:8]} {wrote} counts{_because(body.reason)}"
        case RosterRotated():
            return f"goes on under a new key, console {body.replica[:8]}{_because(body.reason)}"
        case EvidenceRequested():
            ids = ", ".join(f"{known.name} {known.value}" for known in body.ids[:5])
            return f"evidence asked for: {ids}" + (
                f" and {len(body.ids) - 5} more" if len(body.ids) > 5 else ""
            )
        case EvidenceCaptured():
            count = f", {_many(body.count, 'record')}" if body.count else ""
            missing = f"; {_many(len(body.missing), 'field')} not recorded" if body.missing else ""
            return f"kept {body.what}: {body.title}{count}{missing}"
        case EvidenceUnchanged():
            return f"looked for evidence again: exhibit {short(body.exhibit)} has all of it"
        case EvidenceFailed():
            return f"evidence not to be had: {body.reason}"
        case ObservabilityFound():
            owner = f" (owner: {body.owner})" if body.owner else " (no owner yet)"
            return f"not recorded: {body.what}{owner}"
        case HoldSet():
            target = short(body.target) if body.scope == "event" else body.target
            return f"LEGAL HOLD on the {body.scope}{' ' + target if target else ''}{_because(body.reason)}"
        case HoldLifted():
            return f"legal hold lifted{_because(body.reason)}"
        case Unmasked():
            return f"looked at masked entry {short(body.target)}{_because(body.reason)}"
        case Exported():
            withheld = f", {_many(body.withheld, 'value')} withheld" if body.withheld else ""
            return f"exported {body.what} {body.digest[:12]}{withheld}{_because(body.reason)}"
        case Erased():
            named = ", ".join(short(target) for target in body.targets[:5])
            more = f" and {len(body.targets) - 5:,} more" if len(body.targets) > 5 else ""
            count = _many(len(body.targets), "event")
            return f"ERASED the text of {count} ({named}{more}){_because(body.reason)}"
        case PlaybookOpened():
            return f"playbook {body.id} {body.version} opened: {body.title}{_because(body.why)}"
        case PlaybookClosed():
            return f"playbook {body.playbook} closed{_because(body.reason)}"
        case ValueFilled():
            return f"{body.playbook}: {body.name} is " + (body.value or "not known again")
        case StepApproved():
            return f"step {body.step} approved as {body.role}"
        case StepStarted():
            how = "dry run" if body.dry else "RUNS BY ITSELF" if body.automatic else "runs for real"
            what = " ".join(body.what)
            return f"step {body.step} {how} ({body.run}): {what if len(what) <= 500 else what[:499] + '…'}"
        case StepFinished():
            how = body.outcome.replace("_", " ")
            code = (
                f", exit {body.exit}" if body.exit is not None else f", {body.status}" if body.status else ""
            )
            return f"run {body.run} {how}{code}, {body.milliseconds / 1000:.1f} s{_because(body.note)}"
        case StopAsked():
            return f"run {body.run} is to stop{_because(body.reason)}"
        case StepSettled():
            word = {"happened": "took effect", "not": "had no effect", "repeat": "is to be repeated"}[
                body.word
            ]
            return f"step {body.step}: run {body.run} {word}{_because(body.reason)}"
        case StepSet():
            shown = f" ({body.evidence})" if body.evidence else ""
            return f"step {body.step} {STATES[body.state]}{shown}{_because(body.reason)}"
        case StepDecided():
            return f"decided {body.step}: {body.option}{_because(body.reason)}"
        case AutomationGranted():
            until = _second(body.until)
            return f"may run by itself until {until}: {', '.join(body.steps)} ({body.scope}){_because(body.reason)}"
        case AutomationWithdrawn():
            return f"nothing runs by itself any more{_because(body.reason)}"
        case AutomationAnnounced():
            return f"step {body.step} will run by itself at {_second(body.at)} unless somebody stops it"
        case FreezeSet():
            return f"CHANGES FROZEN{' in ' + body.scope if body.scope else ''}{_because(body.reason)}"
        case FreezeLifted():
            return f"change freeze lifted{_because(body.reason)}"
        case FreezeExempted():
            return f"the freeze lets step {body.step} through{_because(body.reason)}"
        case FormAnswered():
            rule = f" by rule {body.rule}: {body.because}" if body.rule else ""
            proposes = f" proposes {body.proposal}{rule}" if body.proposal else " answered"
            decided = f"; decided {body.decided}{_because(body.reason)}" if body.decided else ""
            return f"form {body.form}{proposes}{decided}"
        case ReadinessAnswered():
            owner = f" (owner {body.owner})" if body.owner else ""
            return f"readiness {body.question}: {body.answer}{owner}{_because(body.note)}"
        case TagSet():
            return f"tag {body.axis}: {body.tag}{_because(body.reason)}"
        case TagRemoved():
            return f"tag {body.axis}: {body.tag} taken off{_because(body.reason)}"
        case RoutingAdopted():
            return f"routing table {body.version}: {_many(len(body.routes), 'route')}"
        case EscalationTold():
            person = f" ({body.person})" if body.person else ""
            return f"told {body.who}{person}: {body.how}" + (f" - {body.reason}" if body.reason else "")
        case EscalationWaived():
            return f"{body.who} need not be told{_because(body.reason)}"
        case SecurityLedSet(led=True):
            clocks = f"; {_many(len(body.clocks), 'legal clock')} running" if body.clocks else ""
            return f"SECURITY LEADS, for responders only{_because(body.reason)}{clocks}"
        case SecurityLedSet():
            return f"the incident commander leads again{_because(body.reason)}"
        case MessageDrafted():
            return f"message {body.message[:8]} drafted: {body.title}" + _because(body.subject)
        case MessageEdited():
            return f"message {body.message[:8]} edited{_because(body.subject)}"
        case MessageWaived():
            return f"message {body.message[:8]} may go out with {body.finding}{_because(body.reason)}"
        case MessageApproved():
            return f"message {body.message[:8]} approved as {body.role}"
        case MessageQueued():
            return f"message {body.message[:8]} is to go to {body.sender}"
        case MessageTrying():
            return f"message {body.message[:8]} to {body.sender}: try {body.attempt}"
        case MessageSent():
            return f"message {body.message[:8]} went to {body.sender}{_because(body.reference)}"
        case MessageFailed():
            became = {
                "retry": "not taken, tried again",
                "refused": "REFUSED",
                "unknown": "NOBODY KNOWS whether it went out",
            }[body.outcome]
            return f"message {body.message[:8]} to {body.sender}: {became}{_because(body.reason)}"
        case MessageSettled():
            word = "went out" if body.word == "sent" else "did not go out"
            return f"message {body.message[:8]} to {body.sender} {word}{_because(body.reason)}"
        case MessageCancelled():
            where = f" to {body.sender}" if body.sender else ""
            return f"message {body.message[:8]}{where} is not to go out{_because(body.reason)}"
        case QuarantineListed() | QuarantineDecided() | QuarantineCarriedOut():
            return _quarantine(body)
        case RecordVerified():
            found = _many(body.damage, "damage") if body.damage else "sound"
            return f"record verified: {_many(body.events, 'event')}, {found}"
        case RemoteProbed():
            warned = f"; {body.warnings[0]}" if body.warnings else ""
            return f"remote {body.remote}: create is {body.create}{warned}"
        case RemoteWithheld():
            files = f" and {_many(len(body.blobs), 'file')}" if body.blobs else ""
            kinds = ", ".join(name.replace("_", " ") for name in sorted(body.kinds))
            return f"withheld from remote {body.remote} ({body.policy}): {_many(len(body.events), 'text')}{files} with {kinds}"
        case RemoteAlarmed():
            return f"ALARM: remote {body.remote} gave back something else than {body.name[-24:]}{_because(body.reason)}"
        case Forked():
            return f"FORK: somebody else wrote in a console's name from event {body.seq} of incarnation {body.inc} on"
        case Unknown():
            return f"{body.kind}: {body.why}"
        case _:
            return type(body).__name__
