"""`warroom verify`: is the record whole and unaltered?"""

from __future__ import annotations

import asyncio
from argparse import Namespace
from pathlib import Path

from console.cli import exits
from console.cli.context import Context
from console.plain import visible
from data.verify import verify


def run(options: Namespace) -> int:
    """`warroom verify`."""
    context = Context(options)
    sound = True
    for name, directory in asyncio.run(_records(context)):
        sound = check(context, name, directory) and sound
    return exits.OK if sound else exits.FAILED


async def _records(context: Context) -> list[tuple[str, Path]]:
    """The records to check: name and directory. Read without the desk, which a damaged record could stop."""
    home = context.home()
    if context.options.all:
        records = [(f"INC-{case[:4].upper()}", home.case_dir(case)) for case in home.cases()]
        if (home.watch_dir / "log.db").exists():
            records.append(("watch", home.watch_dir))
        return records
    wanted = (context.options.incident or "").removeprefix("INC-").removeprefix("inc-").lower()
    fits = [case for case in home.cases() if wanted and case.startswith(wanted)]
    if len(fits) == 1:
        return [(f"INC-{fits[0][:4].upper()}", home.case_dir(fits[0]))]
    async with context.desk() as desk:
        state = await context.incident(desk)
        return [(state.code, desk.home.case_dir(state.case))]


def check(context: Context, name: str, directory: Path) -> bool:
    """Check one record, print the verdict, and return whether it is sound."""
    verdict = verify(directory)
    damage = [{"kind": each.kind, "n": each.n, "rep": each.rep, "what": each.what} for each in verdict.damage]
    strands = [{"rep": s.rep, "inc": s.inc, "seq": s.seq, "last": s.last} for s in verdict.strands]
    value = {
        "record": name,
        "sound": verdict.sound,
        "events": verdict.events,
        "blobs": verdict.blobs,
        "strands": strands,
        "damage": damage,
        "note": verdict.note,
    }
    if verdict.sound:
        text = f"{name}: sound, {verdict.events:,} events, {verdict.blobs:,} blobs"
        text += "".join(
            f"\n  strand {s.rep[:8]}.{s.inc} ends at {s.seq:,} with {s.last}" for s in verdict.strands
        )
        text += f"\n  {verdict.note}"
    else:
        text = f"{name}: DAMAGED, {len(verdict.damage)} places in {verdict.events:,} events"
        for each in verdict.damage:
            where = f"event {each.n}" if each.n else "the file"
            where += f" of {each.rep[:8]}" if each.rep else ""
            text += f"\n  {each.kind}: {where}: {visible(each.what, 400)}"
        text += (
            "\n  Nothing was changed. Keep this directory as it is, and work on a copy; what the damage does"
            " not touch can still be read with `warroom log` and `warroom export`."
        )
    context.say(text, value)
    return verdict.sound
