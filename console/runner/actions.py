"""The verbs of playbook steps: what the room does itself, and the door for what acts on agents and systems.

There is no actuator yet. A verb that nothing here can carry out is refused before anything is on the record, and a
person does it by hand: a step never looks done because nobody objected.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING, Protocol

from console.events import FreezeLifted, FreezeSet
from console.refusal import Refused
from console.runner.run import Ended
from playbooks import duration

if TYPE_CHECKING:
    from console.room import Room

Args = Mapping[str, str]


class Actuators(Protocol):
    """What carries out the verbs that act on agents and systems."""

    def verbs(self) -> Collection[str]:
        """The verbs that it can carry out now."""

    async def act(self, verb: str, args: Args, run: str) -> Ended:
        """Carry one out; `run` makes a repeat harmless where the other side knows such a thing."""


class NoActuators:
    """The only ones so far: they can do nothing, and say so."""

    def verbs(self) -> Collection[str]:
        """None."""
        return ()

    async def act(self, verb: str, args: Args, run: str) -> Ended:
        """Refuse."""
        raise Refused(f"No actuator is configured for {verb}.", "Do it by hand and tick it.")


async def _note(room: Room, args: Args) -> str:
    return f"entry {(await room.note(_need(args, 'text'))).short}"


async def _add_tag(room: Room, args: Args) -> str:
    tag = _need(args, "tag", "name").lstrip("#")
    event = await room.note(" ".join(filter(None, (f"#{tag}", args.get("reason", "")))))
    return f"entry {event.short}"


async def _freeze(room: Room, args: Args) -> str:
    reason = args.get("reason") or "the playbook asks for it"
    (event,) = await room.record(FreezeSet(reason, args.get("scope", args.get("target", ""))[:512]))
    return f"entry {event.short}"


async def _lift(room: Room, args: Args) -> str:
    freezes = list(room.incident.plays.freezes)
    if not freezes:
        raise Refused("Nothing is frozen.")
    await room.record(*(FreezeLifted(each, args.get("reason", "")) for each in freezes))
    return f"{len(freezes)} lifted"


async def _severity(room: Room, args: Args) -> str:
    from playbooks import load

    level = load.level(_need(args, "severity", "level"), room.incident.profile or "merged")
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

    # `items` are names of the evidence schema; any other argument is one, with values set apart by commas.
    ids = [
        (value.strip(), "") if name == "items" else (name, value.strip())
        for name, values in args.items()
        if name not in ("reason", "what")
        for value in values.split(",")
    ]
    event = await capture.preserve(room, ids, args.get("reason", ""))
    return f"asked for as {event.short}; `warroom preserve --open` carries it out where no console is open"


async def _rollback(room: Room, args: Args) -> str:
    classes = [each.strip() for each in _need(args, "classes", "action_class", "class").split(",")]
    for each in classes:
        await room.move_rollback(each, "open", args.get("reason", ""))
    return f"{', '.join(classes)} open"


async def _cadence(room: Room, args: Args) -> str:
    every = duration.parse(_need(args, "every")) // duration.SECOND
    await room.set_cadence(every, args.get("channel", ""))
    return f"updates every {every} s"


async def _impact(room: Room, args: Args) -> str:
    await room.state_impact(args.get("scope", ""), args.get("impact", ""))
    return "stated"


RECORD: dict[str, Callable[[Room, Args], Awaitable[str]]] = {
    "note": _note,
    "add_tag": _add_tag,
    "freeze_changes": _freeze,
    "lift_freeze": _lift,
    "set_severity": _severity,
    "assign_role": _assign,
    "preserve_evidence": _preserve,
    "open_rollback": _rollback,
    "set_cadence": _cadence,
    "state_impact": _impact,
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


def _need(args: Args, *names: str) -> str:
    """The first of some arguments that is there."""
    value = next((args[name] for name in names if args.get(name)), "")
    if not value:
        raise Refused(f"The step gives no {names[0]}.", "Mend it in the playbook.")
    return value
