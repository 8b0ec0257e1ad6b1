"""The moves on one screen, in the order of containment: what each does, who may, what can carry it out, what proved it.

Nothing is left out because nothing can carry it out: then people do it by hand, with a stopwatch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from console import authority
from console.containment.proof import Proof, latest

if TYPE_CHECKING:
    from console.authority import Who
    from console.events import Target
    from console.incident import Incident
    from playbooks.guidance import Move, Stage

STAGES: dict[Stage, str] = {
    "narrow": "Narrow the blast radius",
    "side-effects": "Stop side effects",
    "revoke": "Revoke tokens and connections",
    "fall-back": "Fall back",
    "preserve": "Preserve evidence",
}
"""The steps of containment in their order, and what they are called (S000-CO-1 to -5)."""


class Reach(Protocol):
    """What is configured to be stopped. `Points` is one."""

    def targets(self, verb: str, subject: str = "") -> list[Target]:
        """Return what is reached by a verb; for an agent, a tool or a queue, or for all."""
        ...

    def subjects(self, scope: str) -> list[str]:
        """Return the agents, tools or queues that are known. `scope`: `agent`, `tool` or `queue`."""
        ...


class Offer(NamedTuple):
    """One move as it can be made now.

    Attributes:
        move: its entry in the catalogue.
        stage: the step of containment that it is part of.
        who: who may make it, and who of them is known by name.
        points: the configured points that carry it out; none: by hand.
        proof: when it was last tried, and whether it held; None: never.
    """

    move: Move
    stage: Stage
    who: Who
    points: tuple[str, ...]
    proof: Proof | None

    @property
    def by_hand(self) -> bool:
        """Whether only people can make it: the stopwatch runs from the order on."""
        return not self.points and self.move.family != "record"

    @property
    def value(self) -> dict[str, object]:
        """The same for programs."""
        move = self.move
        return {
            "verb": move.verb,
            "title": move.title,
            "stage": self.stage,
            "target": move.target,
            "args": list(move.args),
            "reversible": move.reversible,
            "destroys_evidence": move.destroys_evidence,
            "authority": list(move.authority),
            "holders": list(self.who.people),
            "expect": move.expect,
            "verify": move.verify,
            "restore": move.restore or "",
            "brings": list(move.brings),
            "spares": move.spares,
            "points": list(self.points),
            "by_hand": self.by_hand,
            "proven": None if self.proof is None else self.proof.value,
        }


def catalogue(
    reach: Reach,
    known: authority.Standing,
    incident: Incident | None = None,
    proofs: Iterable[Proof] = (),
) -> list[Offer]:
    """Return every move, in the order of containment, with what can carry it out now.

    Verbs that take another back stand with that one (`Move.restore`), and not by themselves.

    Args:
        reach: what is configured.
        known: the authorities in force, with the verbs.
        incident: whose roles count; None: none.
        proofs: what was tried.
    """
    tried = list(proofs)
    place = {stage: number for number, stage in enumerate(STAGES)}
    restores = {move.restore for move in known.moves.values()}
    offers = [
        Offer(
            move,
            stage,
            authority.who_can(move.verb, incident, known),
            carrying(reach, move.verb),
            latest(tried, move.verb),
        )
        for move in known.moves.values()
        if move.verb not in restores and (stage := _stage(move)) is not None
    ]
    return sorted(offers, key=lambda each: place[each.stage])


def _stage(move: Move) -> Stage | None:
    # A verb that a team added and gave no stage narrows something, unless it only writes on the record.
    return move.stage or (None if move.family == "record" else "narrow")


def carrying(reach: Reach, verb: str, subject: str = "") -> tuple[str, ...]:
    """Return the names of the points that carry a verb out, each once."""
    return tuple(dict.fromkeys(target.point for target in reach.targets(verb, subject)))
