"""Standing authority: who may do something whichever role they have, and who can instead.

A role in an incident and a standing authority are two things (X-13). `authorities.yaml` says which authorities there
are and by which titles they are held; `[authority]` of the configuration says who these people are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from console.events import (
    Body,
    EffectsMoved,
    EffectsStarted,
    FreezeExempted,
    FreezeLifted,
    FreezeSet,
    QuarantineDecided,
    RollbackMoved,
    SecurityLedSet,
    StepApproved,
    StepSet,
)
from console.incident import COMMANDER, SECURITY_LEAD
from console.refusal import Refused

if TYPE_CHECKING:
    from console.incident import Incident
    from playbooks.guidance import Authority, Move
    from playbooks.schema import Role

WORST = "sev1-recovery"
RECOVER = "recover"
EVIDENCE = "waive-evidence"
FREEZE = "change-freeze"
OWN = {"publish": ("comms-approval",), "send": ("comms-approval",), "security_led_off": (WORST,)}
"""What the console does beside the verbs of the catalogue."""


class Standing(NamedTuple):
    """The authorities in force.

    Attributes:
        authorities: by id.
        moves: the catalogue of verbs, by verb.
        roles: the roles of an incident.
        people: who holds an authority, by its id, as the organisation has it.
    """

    authorities: Mapping[str, Authority]
    moves: Mapping[str, Move]
    roles: tuple[Role, ...]
    people: Mapping[str, tuple[str, ...]]


class Holder(NamedTuple):
    """Somebody who may: a person, and why; or a title for which nobody is named (`person` empty)."""

    person: str
    why: str


class Who(NamedTuple):
    """The answer to "who can?".

    Attributes:
        verb: what it is about.
        title: the same for people.
        authorities: ids of which one is needed; empty: no authority is needed.
        holders: who may, people first.
    """

    verb: str
    title: str
    authorities: tuple[str, ...]
    holders: tuple[Holder, ...]

    @property
    def people(self) -> tuple[str, ...]:
        """Those who are known by name."""
        return tuple(dict.fromkeys(each.person for each in self.holders if each.person))

    def may(self, person: str) -> bool | None:
        """Whether a person may; None when nobody is named, so that nobody can tell."""
        if not self.authorities or person in self.people:
            return True
        return None if not self.people else False

    def __str__(self) -> str:
        if not self.authorities:
            return "everybody in the incident can."
        named = [f"{each.person} ({each.why})" for each in self.holders if each.person]
        titles = [each.why for each in self.holders if not each.person]
        if named:
            also = f"; also whoever is {' or '.join(titles)}" if titles else ""
            return f"{', '.join(named)} can{also}."
        return f"whoever is {' or '.join(titles)} can; nobody is named under [authority] yet."


class Gap(NamedTuple):
    """An authority with fewer holders by name than there should be."""

    authority: Authority
    people: tuple[str, ...]

    def __str__(self) -> str:
        have = ", ".join(self.people) or "nobody"
        return f"{self.authority.id}: {len(self.people)} of at least {self.authority.least} holders named ({have})"


def standing(people: Mapping[str, tuple[str, ...]]) -> Standing:
    """Read the authorities from the library. `people`: who holds them by name, as the configuration has it."""
    from playbooks import load
    from playbooks.guidance import Authorities

    found = load.only(Authorities).authorities
    return Standing({each.id: each for each in found}, load.moves(), load.roles(), people)


def who_can(verb: str, incident: Incident | None, known: Standing) -> Who:
    """Say who may do `verb`, and in an incident who of those in it can instead.

    Args:
        verb: a verb of the catalogue, an authority, or `rollback CLASS`.
        incident: whose roles and severity count; None: none.
        known: the authorities in force.

    Raises:
        Refused: nothing is called so.
    """
    verb = "-".join(verb.split())
    move = known.moves.get(verb.replace("-", "_"))
    title = verb
    if verb in known.authorities:
        needed: tuple[str, ...] = (verb,)
    elif move is not None:
        verb, title, needed = move.verb, move.title, tuple(move.authority)
    elif verb in OWN:
        needed = OWN[verb]
    else:
        from difflib import get_close_matches

        names = [*known.moves, *known.authorities, *OWN]
        near = get_close_matches(verb, names, n=1, cutoff=0.5)
        raise Refused(
            f"Nothing is called {verb}.",
            f"Did you mean {near[0]}?" if near else "`warroom who-can` lists the verbs and the authorities.",
        )
    if RECOVER in needed and incident is not None and incident.severity == 1:
        # In the worst of incidents what was contained comes back only on the word of those named for it.
        needed = (WORST,)
    found = [known.authorities[each] for each in needed if each in known.authorities]
    if len(found) == 1 and title == verb:
        title = found[0].title
    holders = [holder for each in found for holder in _holders(each, incident, known)]
    kept: dict[object, Holder] = {}
    for each in sorted(holders, key=lambda each: not each.person):
        kept.setdefault(each.person or each, each)  # a person once, with the first reason
    return Who(verb, title, needed, tuple(kept.values()))


def refuse(verb: str, actor: str, incident: Incident | None, known: Standing, said: str = "") -> None:
    """Refuse what somebody has no authority for, saying who can instead.

    Where nobody is named for it nothing is refused: an incident does not wait for a list to be filled in. What is
    done on the word of somebody who may is not refused either: a scribe records what others decide.

    Args:
        verb: see `who_can`.
        actor: who does it.
        incident: in which; None: in none yet.
        known: the authorities in force.
        said: the reason that goes on the record with it.

    Raises:
        Refused: others are named for it, `actor` is not, and `said` names none of them.
    """
    who = who_can(verb, incident, known)
    if who.may(actor) is False and not any(_names(said, person) for person in who.people):
        raise Refused(
            f"{actor} has no authority for this: {who.title}.",
            f"{who} On their word: name them in the reason.",
        )


def _names(said: str, person: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(person)}(?!\w)", said, re.IGNORECASE) is not None


def asked_for(body: Body, incident: Incident) -> tuple[str, str]:
    """Return the authority that an entry needs, and the words that go on the record with it; "" when it needs none.

    What only states how things are needs none: whoever sees that something is contained or undone says so.
    """
    match body:
        case FreezeSet() | FreezeLifted() | FreezeExempted():
            return FREEZE, body.reason
        case RollbackMoved(state="reversing" | "waived"):
            return f"rollback-{body.action_class}", body.note
        case EffectsMoved(state="reversing" | "waived"):
            return f"rollback-{body.action_class}", body.note
        case EffectsStarted(deed="reverse", dry=False):
            return f"rollback-{body.action_class}", body.reason
        case SecurityLedSet(led=False):
            return WORST, body.reason
        case QuarantineDecided(word="release"):
            return (WORST if incident.severity == 1 else RECOVER), body.reason
        case StepApproved():
            step = incident.plays.step(body.playbook, body.step)
            recovers = step is not None and step.section == "recovery" and incident.severity == 1
            return (WORST, "") if recovers else ("", "")
        case StepSet(state="waived"):
            play = incident.plays.opened.get(body.playbook)
            steps = [each.step for each in play.steps.values()] if play is not None else []
            kept = any(each.destroys_evidence and each.snapshot == body.step for each in steps)
            return (EVIDENCE, body.reason) if kept else ("", "")
        case _:
            return "", ""


def gaps(known: Standing, kinds: tuple[str, ...] = ()) -> list[Gap]:
    """The authorities with too few holders by name; of these kinds, or of all."""
    found = []
    for each in known.authorities.values():
        people = tuple(dict.fromkeys(known.people.get(each.id, ())))
        if len(people) < each.least and (not kinds or each.kind in kinds):
            found.append(Gap(each, people))
    return found


def unknown(known: Standing) -> list[str]:
    """Ids under `[authority]` that are no authorities: what they grant, nobody gets."""
    return [each for each in known.people if each not in known.authorities]


def _holders(authority: Authority, incident: Incident | None, known: Standing) -> list[Holder]:
    named = known.people.get(authority.id, ())
    holders = [Holder(person, "named for it") for person in named]
    titles = {role.title.lower(): role.id for role in known.roles}
    for title in authority.holders:
        # "communications lead, after legal review": the condition stays in the title.
        role = titles.get(title.partition(",")[0].lower())
        people = _in_role(role, incident) if role and incident is not None else []
        if people:
            holders += [Holder(person, title) for person in people]
        elif role or not named:
            holders.append(Holder("", title))
    return holders


def _in_role(role: str, incident: Incident) -> list[str]:
    people = list(incident.roles.get(role, ()))
    if role == COMMANDER and incident.lead == SECURITY_LEAD:
        # Whoever leads decides what the commander decides; the commander goes on coordinating.
        people = [*incident.roles.get(SECURITY_LEAD, ()), *people]
    return people
