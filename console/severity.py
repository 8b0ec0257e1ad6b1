"""The severity that the rules suggest, from what is on the record. People confirm it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from console import runbook
from console.forms import SEVERITY, Filled, fill, form
from playbooks.forms import Proposal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.incident import Incident


class Suggestion(NamedTuple):
    """A severity with the rule that fired and its reason.

    Attributes:
        severity: canonical, 1 to 5.
        label: as the profile of the incident names it.
        proposal: the rule, its reason, and what comes with it.
        filled: the form with the answers that were used.
    """

    severity: int
    label: str
    proposal: Proposal
    filled: Filled


def suggest(incident: Incident, given: Mapping[str, str] | None = None) -> Suggestion:
    """Suggest a severity from what was answered, what the record says, and what is `given` now.

    What nobody knows counts as unsure, and unsure is SEV-2 (S002-SEV-7).

    Raises:
        Refused: an answer does not fit its question.
    """
    filled = fill(form(SEVERITY), incident, given or {})
    proposal = filled.proposal
    unsure = _unsure(incident)
    if proposal is None:
        proposal = Proposal(str(unsure), "unsure", "No rule holds: when unsure, page as this.", (), (), ())
    severity = int(proposal.proposes)
    return Suggestion(severity, runbook.label(severity, incident.profile or "merged"), proposal, filled)


def _unsure(incident: Incident) -> int:
    from playbooks import load

    try:
        return load.severity_scale(incident.profile or "merged").unsure
    except KeyError:
        return 2
