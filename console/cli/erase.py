"""`warroom erase`: the text of entries goes, for good and on every console; what cannot be reached is said."""

from __future__ import annotations

import asyncio
from argparse import Namespace

from console.cli import exits
from console.cli.context import Context
from console.cli.trouble import complain
from console.evidence.holding import Outcome, erase
from data.clock import iso
from data.envelope import short

HONEST = (
    "Bundles, reports, backups, and copies on other people's disks cannot be recalled; other consoles erase when they"
    " take the entry in."
)


def run(options: Namespace) -> int:
    """`warroom erase`."""
    return asyncio.run(_erase(Context(options)))


async def _erase(context: Context) -> int:
    options = context.options
    async with context.room() as room:
        done = await erase(room, options.entries, options.reason, options.authority)
        carried = done.carried
        value = {
            "incident": room.code,
            "id": done.event.short,
            "hash": done.event.hash,
            "targets": list(done.targets),
            "bodies": carried.bodies if carried else None,
            "blobs": carried.blobs if carried else None,
            "waiting": carried.waiting if carried else {},
            "refused": carried.refused if carried else [],
            "elsewhere": done.elsewhere,
        }
        context.say(
            f"{room.code} saved {iso(room.saved_at, 0)}  {_said(done)} {done.event.short}\n"
            f"  {', '.join(map(short, done.targets))}",
            value,
        )
    if carried is not None:
        for target, holds in carried.waiting.items():
            complain(
                f"{short(target)} is still here: it waits for {', '.join(map(short, holds))} to be lifted"
            )
        for target in carried.refused:
            complain(f"{short(target)} is still here: the record would lose its meaning without it")
    complain(HONEST)
    for remote, names in done.elsewhere.items():
        complain(f"the remote {remote} still holds it; whoever may delete there deletes: {', '.join(names)}")
    return exits.FAILED if done.kept else exits.OK


def _said(done: Outcome) -> str:
    if done.carried is None:
        return f"the text of {_entries(len(done.targets))} is to go: the war room that has it open does that"
    blobs = done.carried.blobs
    files = "1 file" if blobs == 1 else f"{blobs:,} files"
    return f"the text of {_entries(done.carried.bodies)} and {files} are gone from here"


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count:,} entries"
