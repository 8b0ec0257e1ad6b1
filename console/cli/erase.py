"""`warroom erase`: the text of entries goes, for good and on every console; what cannot be reached is said."""

from __future__ import annotations

import asyncio
from argparse import Namespace

from console.cli import exits
from console.cli.context import Context
from console.cli.trouble import complain
from console.evidence.holding import erase
from data.clock import iso
from data.envelope import short

HONEST = (
    "Bundles, reports, backups, and copies on other people's disks cannot be recalled; other consoles erase when they"
    " take the entry in."
)


def run(options: Namespace) -> int:
    """`warroom erase`."""
    context = Context(options)
    asyncio.run(_erase(context))
    return exits.OK


async def _erase(context: Context) -> None:
    options = context.options
    async with context.room() as room:
        done = await erase(room, options.entries, options.reason, options.authority)
        texts = "1 entry" if len(done.targets) == 1 else f"{len(done.targets)} entries"
        now = (
            f"and {done.carried.blobs:,} files are gone from here"
            if done.carried is not None
            else "go as soon as the war room that has this incident open takes notice"
        )
        value = {
            "incident": room.code,
            "id": done.event.short,
            "hash": done.event.hash,
            "targets": list(done.targets),
            "bodies": done.carried.bodies if done.carried else None,
            "blobs": done.carried.blobs if done.carried else None,
            "elsewhere": done.elsewhere,
        }
        context.say(
            f"{room.code} saved {iso(room.saved_at, 0)}  the text of {texts} {now} {done.event.short}\n"
            f"  {', '.join(map(short, done.targets))}",
            value,
        )
    complain(HONEST)
    for remote, names in done.elsewhere.items():
        complain(f"the remote {remote} still holds it; whoever may delete there deletes: {', '.join(names)}")
