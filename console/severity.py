"""The severity that the rules suggest, from what is on the record. People confirm it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from console import runbook
from console.forms import SEVERITY, Filled, fill, form
from playbooks.forms import Proposal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.incident import Incident
    from playbooks.guidance import Form


class Suggestion(NamedTuple):
    """A severity with the rule that fired and its reason.

    Attributes:
        severity: canonical, 1 to 5.
        label: as the profile of the incident names it.
        proposal: the rule, its reason, and what comes with it.
        filled: the form with the answers that were used.
        derived: answers that were taken from the record, with what they were taken from.
    """

    severity: int
    label: str
    proposal: Proposal
    filled: Filled
    derived: dict[str, str]


def suggest(incident: Incident, given: Mapping[str, str] | None = None) -> Suggestion:
    """Suggest a severity from what was answered, what the record says, and what is `given` now.

    What nobody knows counts as unsure, and unsure is SEV-2 (S002-SEV-7).

    Raises:
        Refused: an answer does not fit its question.
    """
    document = form(SEVERITY)
    derived = facts(incident, document)
    known = {name: text for name, (text, _) in derived.items()}
    filled = fill(document, incident, given or {}, known)
    if "type" in known and filled.answers["type"] == known["type"]:
        # An incident may have several types; the one that weighs most speaks for it.
        tries = [
            fill(document, incident, {**(given or {}), "type": tag}, known)
            for tag in incident.triage.types
            if _asks(document, tag)
        ]
        filled = min(tries, key=lambda each: each.proposal.proposes if each.proposal else "9")
        derived["type"] = (filled.answers["type"], derived["type"][1])
    proposal = filled.proposal
    unsure = _unsure(incident)
    if proposal is None:
        proposal = Proposal(str(unsure), "unsure", "No rule holds: when unsure, page as this.", (), (), ())
    severity = int(proposal.proposes)
    used = {name: why for name, (text, why) in derived.items() if filled.answers.get(name) == text}
    return Suggestion(severity, runbook.label(severity, incident.profile or "merged"), proposal, filled, used)


def facts(incident: Incident, document: Form) -> dict[str, tuple[str, str]]:
    """Answers that the record gives by itself: question to answer and what says so."""
    found: dict[str, tuple[str, str]] = {}
    asked = {question.id for question in document.questions}
    if incident.triage.led is not None:
        found["data-security"] = ("yes", "the security lead leads")
    elif book := _security_book(incident):
        found["data-security"] = ("yes", f"playbook {book} is open")
    if types := [tag for tag in incident.triage.types if _asks(document, tag)]:
        found["type"] = (types[0], "tagged so")
    return {name: fact for name, fact in found.items() if name in asked}


def _asks(document: Form, tag: str) -> bool:
    return any(question.id == "type" and question.allows(tag) for question in document.questions)


def _security_book(incident: Incident) -> str:
    from playbooks import load

    led = {book.id for book in load.playbooks() if book.security_led}
    return next((id for id, play in incident.plays.opened.items() if play.open and id in led), "")


def _unsure(incident: Incident) -> int:
    from playbooks import load

    try:
        return load.severity_scale(incident.profile or "merged").unsure
    except KeyError:
        return 2
