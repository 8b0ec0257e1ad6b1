"""`warroom hold` and `warroom unmask`: what must not go, and looking behind a mask."""

from __future__ import annotations

import asyncio
from argparse import Namespace

from console.cli import exits
from console.cli.context import Context
from console.evidence import holding
from console.reports import events as as_events
from console.shown import visible
from console.timeline import project, sentence
from data.clock import iso
from data.envelope import short
from data.view import Put


def run(options: Namespace) -> int:
    """`warroom hold`."""
    context = Context(options)
    asyncio.run(_list(context) if options.list else _change(context))
    return exits.OK


async def _change(context: Context) -> None:
    options = context.options
    reason = " ".join(options.reason)
    async with context.room() as room:
        if options.lift:
            event, done = await holding.lift(room, options.lift, reason), "hold lifted"
        else:
            scope: holding.Scope = "event" if options.event else "subject" if options.subject else "case"
            target = options.event or options.subject
            event = await holding.hold(room, scope, target, reason, options.authority)
            done = f"hold on the {'incident' if scope == 'case' else scope}"
        context.say(
            f"{room.code} saved {iso(room.saved_at, 0)}  {done} {event.short}",
            {"incident": room.code, "done": done, "id": event.short, "hash": event.hash},
        )


async def _list(context: Context) -> None:
    async with context.desk() as desk:
        state = await context.incident(desk)
        directory = desk.home.case_dir(state.case)
        known = await asyncio.to_thread(holding.ledger, directory)
        for name, held in known.holds.items():
            by = f" ({held.authority})" if held.authority else ""
            context.say(
                f"{short(name)}  {visible(sentence(held), 400)}{visible(by, 200)}",
                {"id": short(name), "hash": name, "scope": held.scope, "target": held.target, "reason": held.reason,
                 "authority": held.authority},
            )  # fmt: skip
        waiting = await asyncio.to_thread(holding.waiting, directory)
        for target, holds in waiting.items():
            context.say(
                f"{short(target)}  is to be erased, and waits for {', '.join(map(short, holds))} to be lifted",
                {"waiting": target, "holds": holds},
            )
        if not known.holds:
            context.say(f"{state.code} has no holds.")


def unmask(options: Namespace) -> int:
    """`warroom unmask`."""
    context = Context(options)

    async def look() -> None:
        async with context.room() as room:
            event = await holding.unmask(room, options.entry, " ".join(options.reason))
            text = "\n".join(change.text for change in project(event) if isinstance(change, Put))
            context.say(f"{event.short}  {text}", as_events.value(event), unmasked=True)

    asyncio.run(look())
    return exits.OK
