"""The verbs of playbook steps: what the room does itself, and the door for what acts on agents and systems.

`console.containment.steps` is behind that door. A verb that nothing configured can carry out is refused before anything
is on the record, and a person does it by hand: a step never looks done because nobody objected.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING, Protocol

from console.events import FreezeLifted, FreezeSet
from console.refusal import Refused
from console.runner.run import Ended

if TYPE_CHECKING:
    from console.room import Room

Args = Mapping[str, str]


class Actuators(Protocol):
    """What carries out the verbs that act on agents and systems."""

    def verbs(self) -> Collection[str]:
        """The verbs that it can carry out now."""

    def ready(self, verb: str, args: Args) -> None:
        """Refuse what would reach nothing, while nothing is on the record (raises Refused)."""

    def plan(self, verb: str, args: Args) -> str:
        """Say what would be sent: the dry run."""

    async def act(self, verb: str, args: Args, run: str) -> Ended:
        """Carry one out; `run` makes a repeat harmless where the other side knows such a thing."""


class NoActuators:
    """They can do nothing, and say so."""

    def verbs(self) -> Collection[str]:
        """None."""
        return ()

    def ready(self, verb: str, args: Args) -> None:
        """Refuse."""
        raise _nothing(verb)

    def plan(self, verb: str, args: Args) -> str:
        """Say that nothing would be sent."""
        return str(_nothing(verb))

    async def act(self, verb: str, args: Args, run: str) -> Ended:
        """Refuse."""
        raise _nothing(verb)


def _nothing(verb: str) -> Refused:
    return Refused(f"No actuator is configured for {verb}.", "Do it by hand and tick it.")


async def _note(room: Room, args: Args) -> str:
    return f"entry {(await room.note(_need(args, 'text'))).short}"


async def _add_tag(room: Room, args: Args) -> str:
    tag = _need(args, "tag")
    await room.tag(tag, args.get("axis", ""), args.get("reason", ""))
    return f"tagged {tag}"


async def _security_led(room: Room, args: Args) -> str:
    if room.incident.triage.led is None:
        await room.lead_by_security(args.get("reason") or "the playbook asks for it")
    return "security leads"


async def _freeze(room: Room, args: Args) -> str:
    reason = args.get("reason") or "the playbook asks for it"
    (event,) = await room.record(FreezeSet(reason, args.get("scope", "")[:512]))
    return f"entry {event.short}"


async def _lift(room: Room, args: Args) -> str:
    freezes = list(room.incident.plays.freezes)
    if not freezes:
        return "nothing was frozen"  # a shared recovery lifts it in every incident; what it asks for is so
    await room.record(*(FreezeLifted(each, args.get("reason", "")) for each in freezes))
    return f"{len(freezes)} lifted"


async def _severity(room: Room, args: Args) -> str:
    from playbooks import load

    level = load.level(_need(args, "severity"), room.incident.profile or "merged")
    if level is None:
        raise Refused("There is no such severity.", "Severities go from 1 (worst) to 5.")
    await room.set_severity(level.severity, level.label, args.get("reason", ""))
    return f"severity is {level.label}"


async def _assign(room: Room, args: Args) -> str:
    role, person = _need(args, "role"), _need(args, "person")
    await room.assign(role, person, args.get("reason", ""))
    return f"{person} is {role}"


async def _preserve(room: Room, args: Args) -> str:
    from console.evidence import capture

    # Names of the evidence schema; a value may stand behind each: `trace_id=4bf9...`.
    items = [each.strip().partition("=") for each in _need(args, "items").split(",")]
    # A playbook asks for the same in every incident: what this one does not have is listed as missing.
    ids = [(name, value) for name, _, value in items]
    event = await capture.preserve(room, ids, args.get("reason", ""), whatever=True)
    if room.incident.alerts or any(value for _, value in ids):
        return f"asked for as {event.short}"
    return f"asked for as {event.short}; no alert says what to search for, so all of it is listed as missing"


async def _hold(room: Room, args: Args) -> str:
    from console.evidence import holding

    return f"entry {(await holding.hold(room, 'case', '', _need(args, 'reason'))).short}"


async def _contain(room: Room, args: Args) -> str:
    return f"entry {(await room.contain(_need(args, 'how'))).short}"


async def _rollback(room: Room, args: Args) -> str:
    name = _need(args, "class")
    await room.move_rollback(name, "open", args.get("reason", ""))
    return f"{name} is open"


async def _draft_update(room: Room, args: Args) -> str:
    from console.comms.messenger import Messenger
    from console.config import Config, Playbooks

    # Drafting needs no sender: nothing leaves before a person has read it and sends it.
    config = Config(playbooks=Playbooks(links=dict(room.links)))
    made, gaps = await Messenger(room, config).draft(_need(args, "template"))
    lacks = ", ".join(gap.name for gap in gaps if gap.needed)
    return f"drafted as message {made.id[:8]}, not sent" + (f"; it lacks {lacks}" if lacks else "")


RECORD: dict[str, Callable[[Room, Args], Awaitable[str]]] = {
    "note": _note,
    "add_tag": _add_tag,
    "freeze_changes": _freeze,
    "lift_freeze": _lift,
    "set_severity": _severity,
    "security_led": _security_led,
    "assign_role": _assign,
    "preserve_evidence": _preserve,
    "place_hold": _hold,
    "confirm_containment": _contain,
    "open_rollback": _rollback,
    "draft_update": _draft_update,
}
"""Verbs that change nothing but the record of this incident."""


async def act(room: Room, actuators: Actuators, verb: str, args: Args, run: str) -> Ended:
    """Carry out a verb: the room's own here, every other by the actuators."""
    deed = RECORD.get(verb)
    try:
        if deed is None:
            return await actuators.act(verb, args, run)
        return Ended("done", note=await deed(room, args))
    except (Refused, ValueError) as refused:
        return Ended("failed", note=str(refused))


def _need(args: Args, name: str) -> str:
    value = args.get(name, "").strip()
    if not value:
        raise Refused(f"The step gives no {name}.", "Mend it in the playbook.")
    return value
