"""`warroom coverage`: what has no stop that works, who may fire each, when each was last tried; and trying one."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Iterator

from console import authority
from console.cli import exits
from console.cli.context import Context, kept_mode
from console.containment.catalogue import STAGES, catalogue
from console.containment.coverage import Cover, PointCover, short
from console.containment.points import Points
from console.containment.proving import Fired, canary, fire, ground, proofs, survey
from console.containment.verdict import receipt, spoken
from console.refusal import Refused
from data.clock import SystemClock
from data.home import Home

WORDS = {
    "none": "NO STOP",
    "failed": "FAILED",
    "by-hand": "by hand",
    "unproven": "UNPROVEN",
    "stale": "stale",
    "proven": "proven",
}


def run(options: Namespace) -> int:
    """`warroom coverage`."""
    context = Context(options)
    return asyncio.run(_fire(context) if options.fire else _show(context))


async def _show(context: Context) -> int:
    home = context.home() if kept_mode(context.directory) is not None else None
    now = home.clock.now() if home is not None else SystemClock().now()
    points = await asyncio.to_thread(_points, context, home)
    try:
        if context.options.moves:
            return await _moves(context, home, points)
        found = await survey(points, context.config, home, now)
    finally:
        await points.close()
    if context.options.json:
        for value in [*(each.value for each in found.covers), *(each.value for each in found.points)]:
            context.say("", value)
    else:
        for line in told(found.covers, found.points, everything=context.options.list):
            context.say(line)
    lacking = [each for each in found.covers if not each.works] + [
        each for each in found.points if each.problem
    ]
    return exits.FAILED if lacking or not found.points else exits.OK


async def _moves(context: Context, home: Home | None, points: Points) -> int:
    """The catalogue: every move in the order of containment, with who may, what can, and what proved it."""
    known = await asyncio.to_thread(authority.standing, context.config.authority)
    made = await proofs(home) if home is not None else []
    stage = ""
    for each in catalogue(points, known, None, made):
        if each.stage != stage:
            stage = each.stage
            context.say(f"{STAGES[each.stage]}")
        move = each.move
        through = ", ".join(each.points) or ("by hand" if each.by_hand else "the console")
        marks = "".join(
            (
                "" if move.reversible else "; cannot be taken back",
                "; destroys evidence" if move.destroys_evidence else "",
                f"; taken back by {move.restore}" if move.restore else "",
            )
        )
        lines = [
            f"  {move.verb}: {move.title} ({move.target})",
            f"{'':6}{through}; {short(each.proof)}{marks}",
        ]
        context.say("\n".join([*lines, f"{'':6}{each.who}"]), each.value)
    return exits.OK


def told(covers: list[Cover], points: list[PointCover], *, everything: bool) -> Iterator[str]:
    """The lines for people: what has no stop that works, by name; the others on request."""
    lacking = [each for each in covers if not each.works]
    if not points:
        yield "No point is configured: nothing can be stopped from here. docs/stops.md says how to add one."
    yield f"{len(lacking):,} of {len(covers):,} agents and tools have no stop that was seen to work of late."
    for each in covers if everything else lacking:
        yield f"  {WORDS[each.state]:<9}{each.kind} {each.name}"
        through = ", ".join(each.points) or "no point reaches it"
        yield f"{'':11}{through}{' (only by a halt of all agents)' if each.wide else ''}; {short(each.proof)}"
        yield f"{'':11}{each.who}"
    if points:
        yield "Points, and when each was last tried:"
    for row in points:
        canary = " (canary)" if not isinstance(row.point, str) and row.point.canary else ""
        yield f"  {'BROKEN' if row.problem else WORDS[row.state]:<9}{row.name}{canary}: {row.problem or short(row.proof)}"
        if row.vendor:
            yield f"{'':11}{row.vendor}"
    if covers and not everything and len(lacking) < len(covers):
        yield "`warroom coverage --list` also shows what is proven."


async def _fire(context: Context) -> int:
    home = context.home(create=True)
    points = await asyncio.to_thread(_points, context, home)
    for name in context.options.fire:
        canary(points, name)
    async with ground(home, context.actor, context.role) as room:
        fired = await fire(room, points, context.options.fire, context.options.verb, context.options.budget)
    for each in fired:
        context.say(said(each), _value(each))
    return exits.OK if all(each.works for each in fired) else exits.FAILED


def said(each: Fired) -> str:
    """The lines for people about one trial."""
    lines = [receipt(each.order)]
    if each.restored is not None:
        lines.append(f"  let go:   {spoken(each.restored)}")
        if each.restored.judged is None or each.restored.judged.verdict == "fail":
            lines.append("  THE CANARY WAS NOT SEEN TO RUN AGAIN: see to it by hand.")
    else:
        lines.append("  let go:   it cannot be taken back from here")
    return "\n".join(lines)


def _value(each: Fired) -> dict[str, object]:
    judged = each.order.judged
    back = each.restored.judged if each.restored is not None else None
    return {
        "verb": each.verb,
        "order": each.order.body.order,
        "verdict": judged.verdict if judged is not None else "",
        "ms": judged.ms if judged is not None else None,
        "restored": back.verdict if back is not None else "",
        "works": each.works,
    }


def _points(context: Context, home: Home | None) -> Points:
    points = Points(context.config) if home is None else Points.of(context.config, home)
    if not points.settings and context.options.fire:
        raise Refused("No point is configured.", "docs/stops.md says how to add a canary.")
    return points
