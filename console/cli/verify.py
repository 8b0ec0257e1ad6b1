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
    if options.bundle:
        return exits.OK if check_bundle(context, Path(options.bundle)) else exits.FAILED
    sound = True
    for name, directory in asyncio.run(_records(context)):
        sound = check(context, name, directory) and sound
    return exits.OK if sound else exits.FAILED


def check_bundle(context: Context, path: Path) -> bool:
    """Check a bundle, print what is proven and what is not, and return whether it is sound."""
    from data.bundle import check as check_file

    found = check_file(path)
    value = {
        "bundle": str(path),
        "sound": found.sound,
        "case": found.case,
        "exporter": found.exporter,
        "policy": found.policy,
        "events": found.events,
        "blobs": found.blobs,
        "erased": found.erased,
        "withheld": found.withheld,
        "withheld_blobs": found.withheld_blobs,
        "problems": found.problems,
    }
    if found.sound:
        proven, unproven = "\n  ".join(found.proven()), "\n  ".join(found.unproven())
        text = f"{path}: sound. What this proves:\n  {proven}\nWhat it does not prove:\n  {unproven}"
    else:
        text = f"{path}: NOT SOUND, {len(found.problems)} findings"
        text += "".join(f"\n  {visible(problem, 400)}" for problem in found.problems)
    context.say(text, value)
    return found.sound


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
        "erased": verdict.erased,
        "withheld": verdict.withheld,
        "strands": strands,
        "damage": damage,
        "note": verdict.note,
    }
    if verdict.sound:
        text = f"{name}: sound, {verdict.events:,} events, {verdict.blobs:,} blobs"
        text += f", {verdict.erased:,} erased" if verdict.erased else ""
        text += f", {verdict.withheld:,} withheld from this copy" if verdict.withheld else ""
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
