"""`warroom quarantine`: the actions that are held, and what is decided about each."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from typing import TYPE_CHECKING

from console.cli import exits
from console.cli.context import Context
from console.cli.trouble import complain
from console.containment.points import Points
from console.containment.review import Review
from console.refusal import Refused
from data.clock import iso

if TYPE_CHECKING:
    from console.containment.quarantine import Held
    from console.room import Room

WORDS = {
    "held": "held",
    "deciding": "DECIDED, not carried out",
    "released": "released",
    "dropped": "dropped",
    "refused": "REFUSED by its queue",
    "unknown": "NOBODY KNOWS",
    "gone": "gone",
}


def run(options: Namespace) -> int:
    """`warroom quarantine`."""
    return asyncio.run(_run(Context(options)))


async def _run(context: Context) -> int:
    options = context.options
    async with context.desk() as desk:
        room = await desk.enter((await context.incident(desk)).case)
        points = await asyncio.to_thread(Points.of, context.config, desk.home)
        review = Review(points)
        try:
            if options.action == "list":
                return await _list(context, room, review)
            return await _decide(context, room, review)
        finally:
            await points.close()


async def _list(context: Context, room: Room, review: Review) -> int:
    if context.options.actions:
        raise Refused(
            "`quarantine list` takes no id.", "`warroom quarantine release ID --reason WHY` decides one."
        )
    held = _chosen(context, await review.look(room, context.options.queue))
    for each in held:
        _say(context, each)
    for queue, why in review.troubles.items():
        complain(f"{queue} was not asked: {why} What it held when it was asked last is shown.")
    for point in review.blind():
        complain(f"{point} holds actions and cannot say which: look into it by hand.")
    if not held and not context.options.json:
        context.say("No action is held, as far as anybody here knows.")
    return exits.FAILED if review.troubles else exits.OK


async def _decide(context: Context, room: Room, review: Review) -> int:
    options = context.options
    names: list[str] = list(options.actions)
    if options.all or options.queue or options.agent:
        if names:
            raise Refused("Name the actions, or say which with --all, --queue or --agent.")
        # As it is now: what came after the last look is decided by nobody who has not seen it.
        names = ["/".join(each.place) for each in _chosen(context, room.incident.quarantine.waiting)]
    if not names:
        raise Refused("Which actions?", "`warroom quarantine` lists them; --all means all of those.")
    decided = await review.decide(room, names, options.action, options.reason)
    for each in decided:
        _say(context, each)
    lost = [each for each in decided if each.state in ("unknown", "refused", "deciding")]
    if any(each.state == "unknown" for each in lost):
        complain("some answers got lost; `warroom quarantine` asks the queue what became of them.")
    return exits.FAILED if lost else exits.OK


def _chosen(context: Context, held: list[Held]) -> list[Held]:
    queue, agent = context.options.queue, context.options.agent
    return [
        each
        for each in held
        if (not queue or queue in (each.queue, each.point)) and (not agent or each.action.agent == agent)
    ]


def _say(context: Context, each: Held) -> None:
    action = each.action
    of = " ".join(
        filter(
            None, (f"by {action.agent}" if action.agent else "", f"({action.tool})" if action.tool else "")
        )
    )
    said = f"{each.id}  {WORDS[each.state]}: {action.what or 'its queue does not say what it would do'}"
    lines = [f"{said} {of}".rstrip()]
    if each.word:
        why = f": {each.reason}" if each.reason else ""
        lines.append(f"  {each.by} decided to {each.word} at {iso(each.decided_at, 0)}{why}")
    if each.note:
        lines.append(f"  {each.note}")
    context.say(
        "\n".join(lines),
        {
            "id": each.id,
            "point": each.point,
            "queue": each.queue,
            "action": action.id,
            "what": action.what,
            "agent": action.agent,
            "tool": action.tool,
            "since": action.since,
            "state": each.state,
            "word": each.word,
            "by": each.by,
            "reason": each.reason,
            "note": each.note,
            "returned": each.back,
        },
    )
