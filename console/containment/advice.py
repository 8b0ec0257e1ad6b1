"""How much to stop: what the form `stop-scope` proposes for an incident, and what it is about (X-7).

High reach and an unclear failure: everything. Else the narrowest scope that is shown to cover the harm; what nobody
knows counts as no. It proposes, and a person decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, NamedTuple

from console.containment.points import VERBS
from playbooks.forms import decide

if TYPE_CHECKING:
    from console.containment.catalogue import Reach
    from console.events import HaltScope
    from console.incident import Incident

FORM = "stop-scope"
Narrower = Literal["agent", "tool", "queue"]


class Advice(NamedTuple):
    """What is proposed.

    Attributes:
        scope: how much.
        subject: which agent, tool or queue; empty: all, or a person has to say which.
        reason: why, in one sentence for people.
        rule: id of the rule of the form.
        unknown: ids of its questions that nobody answered, each taken for a no.
        candidates: what else the subject may be, the likeliest first.
        unreachable: whether no point carries this out for the subject: by hand, or a wider scope.
    """

    scope: HaltScope
    subject: str
    reason: str
    rule: str
    unknown: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    unreachable: bool = False

    @property
    def words(self) -> str:
        """What goes on the record with an order (`MoveOrdered.advice`)."""
        of = f" {self.subject}" if self.subject else ""
        return f"{self.scope}{of} (rule {self.rule}: {self.reason})"[:512]


def advise(incident: Incident | None, reach: Reach, agents: Iterable[str] = ()) -> Advice:
    """Return what to stop. Without an incident, or with nothing answered: everything.

    Args:
        incident: whose answers to the form, and whose alerts, count.
        reach: what is configured.
        agents: names of agents that are known, for an incident whose alerts name none.
    """
    from playbooks import load
    from playbooks.guidance import Form

    form = load.named(Form, FORM)
    asked = {question.id: question for question in form.questions}
    told = incident.triage.forms.get(FORM) if incident is not None else None
    # What is on the record may come from another console, or be about the form as it once was.
    answers = {
        name: text
        for name, text in (told.answers if told is not None else {}).items()
        if name in asked and asked[name].allows(text)
    }
    proposal = decide(form, answers)
    scopes = {verb: scope for scope, verb in VERBS.items()}
    if proposal is None or proposal.proposes not in scopes:
        return Advice("all", "", "Nobody said that less covers the harm.", "none")
    scope = scopes[proposal.proposes]
    if scope == "all":
        reaches = bool(reach.targets(VERBS["all"]))
        return Advice(
            "all", "", proposal.reason, proposal.rule, proposal.counted_as_no, unreachable=not reaches
        )
    subjects = _subjects(scope, incident, reach, agents)
    # Of one alone it is clear which; between several a person chooses.
    subject = subjects[0] if len(subjects) == 1 else ""
    reaches = bool(reach.targets(VERBS[scope], subject))
    return Advice(
        scope, subject, proposal.reason, proposal.rule, proposal.counted_as_no, tuple(subjects), not reaches
    )


def _subjects(scope: Narrower, incident: Incident | None, reach: Reach, agents: Iterable[str]) -> list[str]:
    """What it may be about: what the alerts name, those of the newest first."""
    alerts = list(incident.alerts.values()) if incident is not None else []
    if scope == "agent":
        named = [each.agent for each in reversed(alerts)]
        return list(dict.fromkeys(filter(None, named or agents)))
    if scope == "tool":
        calls = [action.name for each in reversed(alerts) for action in each.sample if action.kind == "tool"]
        return list(dict.fromkeys(filter(None, calls)))
    return reach.subjects("queue")
