"""Forms: answers on the record, what the rules propose, and what a person decides. The form proposes, never more."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from console import runbook
from console.events import Answer, Body, FormAnswered, ObservabilityFound, SeveritySet, TagSet
from console.refusal import Refused
from playbooks.forms import UNKNOWN, Proposal, decide, unanswered

if TYPE_CHECKING:
    from console.incident import Incident
    from console.room import Room
    from data.envelope import Event
    from playbooks.guidance import Form, Question

SEVERITY = "severity-form"
WORKED = (SEVERITY, "stop-scope", "first-facts", "rollback-or-restrict", "seven-questions")
"""The forms of the library in the order in which a responder needs them; those of a team come after them."""


class Filled(NamedTuple):
    """A form with the answers so far and what they lead to.

    Attributes:
        answers: question to answer, only of those that have one.
        proposal: what the rules propose; None for a form that only asks.
        open: the questions that have no answer, or that nobody could answer.
        derived: answers among them that nobody gave, with what of the record they were taken from.
    """

    form: Form
    answers: dict[str, str]
    proposal: Proposal | None
    open: tuple[Question, ...]
    derived: dict[str, str]


def every() -> list[Form]:
    """Return every form of the library."""
    from playbooks import load
    from playbooks.guidance import Form

    place = {name: number for number, name in enumerate(WORKED)}
    return sorted(load.documents(Form), key=lambda each: place.get(each.id, len(WORKED)))


def form(name: str) -> Form:
    """Return a form by its id, or the beginning of it.

    Raises:
        Refused: none or several fit.
    """
    known = {each.id: each for each in every()}
    fits = [name] if name in known else [each for each in known if name and each.startswith(name)]
    if len(fits) != 1:
        raise Refused(
            f"Several forms begin with {name}." if fits else f"There is no form {name}.",
            f"Forms: {', '.join(fits or known)}.",
        )
    return known[fits[0]]


def fill(form: Form, incident: Incident, given: Mapping[str, str]) -> Filled:
    """Return a form with what the state says, what was answered before, and what is `given` now, which wins.

    Raises:
        Refused: an answer is to no question, or not one that the question takes.
    """
    before = incident.triage.forms.get(form.id)
    asked = {question.id: question for question in form.questions}
    kept = before.answers if before is not None else {}
    # What is on the record may come from another console, or be about the form as it once was.
    told = {name: text for name, text in kept.items() if name in asked and asked[name].allows(text)}
    told.update(given)
    try:
        found = _facts(form, incident, told) if form.id == SEVERITY else {}
        answers = {name: text for name, (text, _) in found.items()} | told
        derived = {name: why for name, (_, why) in found.items() if name not in told}
        return Filled(form, answers, decide(form, answers), unanswered(form, answers), derived)
    except ValueError as error:
        raise Refused(
            f"{str(error)[0].upper()}{str(error)[1:]}.", "`unknown` answers every question."
        ) from None


def _facts(form: Form, incident: Incident, told: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Answers that the record gives by itself: question to answer and what says so."""
    asked = {question.id: question for question in form.questions}
    found: dict[str, tuple[str, str]] = {}
    if incident.triage.led is not None and "data-security" in asked:
        found["data-security"] = ("yes", "the security lead leads")
    kind = asked.get("type")
    if kind is not None and (types := [tag for tag in incident.triage.types if kind.allows(tag)]):
        # An incident may have several types; the one that weighs most speaks for it.
        known = {**{name: text for name, (text, _) in found.items()}, **told}
        weight = {tag: decide(form, {**known, "type": tag}) for tag in types}
        worst = min(types, key=lambda tag: each.proposes if (each := weight[tag]) is not None else "9")
        found["type"] = (worst, "tagged so")
    return found


def decisions(form: Form, profile: str) -> dict[str, str]:
    """Return what can be decided with a form, and what that is called: severities by `profile`, else what it proposes."""
    from playbooks import load

    if form.id == SEVERITY:
        return {str(each.severity): each.label for each in load.severities(profile or "merged")}
    moves = load.moves()
    proposed = dict.fromkeys(rule.proposes for rule in form.rules)
    return {each: moves[each].title if each in moves else "" for each in proposed}


async def answer(
    room: Room,
    form: Form,
    given: Mapping[str, str],
    *,
    decided: str = "",
    reason: str = "",
) -> tuple[Event, Filled]:
    """Put the answers to a form on the record, with what they lead to and what was decided, as one transaction.

    A decision about the severity sets it. A question that nobody can answer is a finding where the form says so.

    Args:
        room: the incident.
        form: the document.
        given: question to answer; those of before go on counting.
        decided: what was decided; empty: nothing yet.
        reason: why, where it is not what the form proposes.

    Raises:
        Refused: an answer or the decision does not fit, or a decision against the proposal has no reason.
    """
    filled = await asyncio.to_thread(fill, form, room.incident, given)
    proposal = filled.proposal
    proposes = proposal.proposes if proposal is not None else ""
    decided, reason = decided.strip(), reason.strip()
    if not given and not decided:
        raise Refused("Nothing was answered and nothing decided.", "As in: --answer harm=no, or --decide 2.")
    level = await _level(room, decided) if form.id == SEVERITY and decided else None
    if level is not None:
        decided = str(level[0])
    if decided and decided != proposes and not reason:
        raise Refused(
            f"The form proposes {proposes or 'nothing'}, and you decide {decided}.",
            "Say why in one line (--reason): it is what others will ask.",
        )
    bodies: list[Body] = [_answered(filled, decided, reason)]
    why = reason or (proposal.reason if proposal is not None else "")
    if level is not None:
        severity, label = level
        if severity != room.incident.severity or label != room.incident.label:
            bodies.append(SeveritySet(severity, label, why))
        bodies += _type(room.incident, filled)
    if form.unanswerable:
        bodies += _findings(room.incident, filled, given)
    return (await room.record(*bodies))[0], filled


def _answered(filled: Filled, decided: str, reason: str) -> FormAnswered:
    proposal = filled.proposal
    return FormAnswered(
        form=filled.form.id,
        answers=tuple(Answer(name, text) for name, text in filled.answers.items()),
        proposal=proposal.proposes if proposal is not None else "",
        rule=proposal.rule if proposal is not None else "",
        because=proposal.reason if proposal is not None else "",
        also=proposal.also if proposal is not None else (),
        decided=decided,
        reason=reason,
        version=filled.form.version,
    )


async def _level(room: Room, decided: str) -> tuple[int, str]:
    from playbooks import load

    profile = room.incident.profile or "merged"
    level = await asyncio.to_thread(load.level, decided, profile)
    if level is None and decided in ("1", "2", "3", "4", "5"):
        return int(decided), runbook.label(int(decided), profile)
    if level is None:
        raise Refused(f"There is no severity {decided}.", "Use 1 (worst) to 5; when unsure, 2.")
    return level.severity, level.label


def _type(incident: Incident, filled: Filled) -> list[Body]:
    """The type that a person gave in the form is confirmed by that."""
    kind = filled.answers.get("type", UNKNOWN)
    if kind in (UNKNOWN, "other") or kind in incident.triage.types:
        return []
    return [TagSet("type", kind, f"form {filled.form.id}")]


def _findings(incident: Incident, filled: Filled, given: Mapping[str, str]) -> list[Body]:
    """What nobody can answer should have been recorded (S001-CO-7): only of questions that were asked now."""
    found = [
        f"{question.text} Nobody could answer it."
        for question in filled.open
        if given.get(question.id) == UNKNOWN
    ]
    return [ObservabilityFound(text) for text in found if text not in incident.findings]
