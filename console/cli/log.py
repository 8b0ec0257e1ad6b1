"""`warroom log`: the timeline as lines, and what is added to it as it comes."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from console.cli import exits, output
from console.cli.context import Context
from console.events import read
from console.refusal import Refused
from console.roster import roster
from console.shown import visible
from console.timeline import BACKDATED, CORRECTED, DISPUTED, RETRACTED, project, trust
from data.clock import iso
from data.envelope import Event, short
from data.line import Counts
from data.projector import bring_on
from data.reader import CaseReader
from data.trouble import StoreTrouble
from data.view import SYSTEM, Filter, Line, Patch, Put, ViewLost

PAGE = 5000
POLL = 0.1
"""Seconds between two looks at whether the log has grown."""
PATIENCE = 300
"""Looks that a view gets to catch up with the log."""


def run(options: Namespace) -> int:
    """`warroom log`."""
    context = Context(options)
    asyncio.run(_run(context))
    return exits.OK


async def _run(context: Context) -> None:
    options = context.options
    async with context.desk(reading=True) as desk:
        state = await context.incident(desk)
        async with _reader(desk.home.case_dir(state.case)) as reader:
            seen = await reader.last()
            if options.history:
                await _history(context, reader, options.history)
            else:
                async for page in _pages(reader, options):
                    outside = await _outside(reader, page)
                    for line in page:
                        _print(context, line, counts=line.id not in outside)
                    if output.lost():
                        break
            counts = await _counts(reader)
            while options.follow and not output.lost():
                while events := await reader.since(seen):
                    if any(event.kind in trust.kinds for event in events):
                        counts = await _counts(reader)
                    for event in events:
                        arrived(context, event, system=options.system, counts=counts)
                    seen = events[-1].n
                await asyncio.sleep(POLL)


async def _pages(reader: CaseReader, options: Namespace) -> AsyncIterator[list[Line]]:
    """The lines that were asked for. A view that turns out to be damaged is made again, once."""
    lines, start, lost = reader.lines, -1, False
    inverse = options.filter.startswith("!")
    flt = Filter(text=options.filter.removeprefix("!"), inverse=inverse, system=options.system)
    await _catch_up(reader)
    while True:
        try:
            if options.search:
                page = await lines.search(options.search, 10_000 if options.all else options.limit)
            else:
                if start < 0:
                    start = 0 if options.all else max(0, await lines.count(flt) - options.limit)
                page = await lines.window(start, PAGE, flt)
        except ViewLost:
            if lost:
                raise
            lost = True
            await _catch_up(reader)
            continue
        if page:
            yield page
        if options.search or not page:
            return
        start += len(page)


async def _history(context: Context, reader: CaseReader, name: str) -> None:
    """Print one entry as it was written, and every correction of it."""
    event = await reader.event(name)
    if event is None:
        raise Refused(
            f"There is no entry {name}.", "`warroom log --system` lists the entries with their ids."
        )
    counts = await _counts(reader)
    for each in [event, *await reader.about(event.hash)]:
        arrived(context, each, system=True, counts=counts)


async def _counts(reader: CaseReader) -> Counts:
    """Whose entries count, as the roster stands now."""
    return trust.judge(await reader.of(trust.kinds))


async def _outside(reader: CaseReader, page: Sequence[Line]) -> Collection[int]:
    """The lines (by arrival number) of consoles that do not count."""
    known = roster((event, read(event)) for event in await reader.of(trust.kinds))
    # Most incidents have only members, who count whatever they wrote: their entries need not be read for that.
    members = {rep for rep, each in known.members.items() if each.left is None and each.revoked is None}
    doubtful = [line.id for line in page if line.rep not in members]
    return {event.n for event in await reader.numbered(doubtful) if not known.counts(event)}


@asynccontextmanager
async def _reader(directory: Path) -> AsyncIterator[CaseReader]:
    """Open a case for reading."""
    reader = await CaseReader.open(directory)
    try:
        yield reader
    finally:
        await reader.close()


async def _catch_up(reader: CaseReader) -> None:
    """Wait until the view has everything that the log has.

    Raises:
        StoreTrouble: it does not get there, because nothing can be written here.
    """
    last = await reader.last()
    if await reader.lines.upto() >= last:
        return
    # Its writer is a moment behind, or there is none: whoever reads then brings it up to date.
    with suppress(StoreTrouble):
        for _ in range(PATIENCE):
            await asyncio.to_thread(bring_on, reader.directory, project)
            if await reader.lines.upto() >= last:
                return
            await asyncio.sleep(POLL)
    if await reader.lines.upto() < last:
        raise StoreTrouble(
            "The index of the timeline is not up to date, and could not be made so.",
            "The evidence log is not affected.",
            "`warroom export` reads the log itself.",
        )


OFF = "OFF ROSTER: does not count"


def _print(context: Context, line: Line, *, counts: bool) -> None:
    by = f"corrected by {visible(line.editor, 60)}" if line.editor else "corrected"
    flags = ((CORRECTED, by), (DISPUTED, "DISPUTED"), (RETRACTED, "RETRACTED"))
    marks = [*([] if counts else [OFF]), *(name for flag, name in flags if line.flags & flag)]
    context.say(
        _line(line.at, short(line.hash), line.mark, line.actor, line.text, marks),
        _value(line.at, line.hash, line.kind, line.actor, line.mark, line.text, line.tags, line.flags)
        | {"corrected_by": line.editor, "counts": counts},
    )


def arrived(context: Context, event: Event, *, system: bool = False, counts: Counts = lambda _: True) -> None:
    """Print what one event does to the timeline; a correction is printed with the id of what it corrects."""
    for change in project(event):
        if isinstance(change, Put):
            if change.flags & SYSTEM and not system:
                continue
            effect = counts(event)
            context.say(
                _line(event.at, event.short, change.mark, event.actor, change.text, [] if effect else [OFF]),
                _value(
                    event.at,
                    event.hash,
                    event.kind,
                    event.actor,
                    change.mark,
                    change.text,
                    change.tags,
                    change.flags,
                )
                | {"counts": effect},
            )
        elif isinstance(change, Patch):
            done = event.kind.removeprefix("entry.")
            text = f"{done} {short(change.target)}" + (f": {change.text}" if change.text else "")
            effect = counts(event)
            marks = [] if effect else ["without effect: its console is not on the roster"]
            context.say(
                _line(event.at, event.short, "·", event.actor, text, marks),
                _value(event.at, event.hash, event.kind, event.actor, "·", text, "", 0)
                | {"target": change.target, "counts": effect},
            )


def _line(at: int, name: str, mark: str, actor: str, text: str, marks: list[str]) -> str:
    flags = f"  [{', '.join(marks)}]" if marks else ""
    # Further lines of a pasted text stand under the first, so that none can pass for an entry of its own.
    body = visible(text, 20_000, lines=True).replace("\n", "\n" + " " * 30)
    return f"{iso(at, 0)}  {name}  {mark or ' '} {visible(actor, 40)}: {body}{flags}"


def _value(
    at: int, digest: str, kind: str, actor: str, mark: str, text: str, tags: str, flags: int
) -> dict[str, Any]:
    return {
        "at": iso(at, 9),
        "id": short(digest),
        "hash": digest,
        "kind": kind,
        "actor": actor,
        "mark": mark.strip(),
        "text": text,
        "tags": tags.split(),
        "corrected": bool(flags & CORRECTED),
        "retracted": bool(flags & RETRACTED),
        "disputed": bool(flags & DISPUTED),
        "backdated": bool(flags & BACKDATED),
    }
