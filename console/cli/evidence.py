"""`warroom preserve`, `warroom attach` and `warroom evidence`: what is kept of what happened."""

from __future__ import annotations

import asyncio
import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.cli import exits
from console.cli.context import Context
from console.cli.progress import Progress
from console.cli.record import give_back
from console.cli.trouble import complain
from console.refusal import Refused
from console.shown import rows, visible
from data.clock import iso
from data.trouble import StoreTrouble

if TYPE_CHECKING:
    from console.desk import Desk
    from console.incident import Exhibit, Incident
    from console.room import Room
    from data.envelope import Event

SHOWN = 256 * 1024
"""Bytes of one blob that are printed."""
LINE = 4096
PIPED = 256 * 2**20
NAMED = ("trace", "session", "run", "agent", "approval", "alert")
"""Options of `preserve` that are named after what they mean in the evidence schema."""


# -- preserve ------------------------------------------------------------------------------------------


def preserve(options: Namespace) -> int:
    """`warroom preserve`."""
    context = Context(options)
    return asyncio.run(_preserve(context))


async def _preserve(context: Context) -> int:
    from console.evidence import capture

    options = context.options
    failed = ""
    async with context.desk() as desk:
        room = await desk.enter((await context.incident(desk)).case)
        requests = await capture.unfinished(room, desk.home)
        if not options.open:
            ids = await _ids(options, desk, room)
            requests.append((await capture.preserve(room, ids, options.reason)).hash)
        for request in requests:
            with Progress("searching the window") as progress:
                failed = await capture.finish(
                    room, desk.home, request, lambda found: progress.show(found.done, found.total)
                )
            _say_outcome(context, room, request, failed)
    return exits.FAILED if failed else exits.OK


async def _ids(options: Namespace, desk: Desk, room: Room) -> list[tuple[str, str]]:
    ids: list[tuple[str, str]] = []
    for name in NAMED:
        for value in getattr(options, name):
            if name == "alert":
                alert = desk.alert(value)
                # What is preserved in an incident belongs to it; one that is there already changes nothing.
                await room.link([alert])
                value = alert.id
            ids.append((name, value))
    for given in options.id:
        name, equals, value = given.partition("=")
        if not equals:
            value = ""  # a field that the evidence should name
        ids.append((name, value))
    return ids


def _say_outcome(context: Context, room: Room, request: str, failed: str) -> None:
    from data.envelope import short

    if failed:
        context.say(f"nothing was kept: {failed}", {"request": request, "failed": failed})
        return
    asked = room.incident.requests[request]
    if asked.same:
        context.say(
            f"nothing is added: exhibit {short(asked.same)} has all of it",
            {"request": request, "same": asked.same},
        )
        return
    made = next(each for each in reversed(room.incident.exhibits) if each.body.request == request)
    missing = f"; not recorded: {', '.join(made.body.missing)}" if made.body.missing else ""
    context.say(
        f"{short(made.hash)} kept {made.body.count:,} records, {made.body.since} to {made.body.until}{missing}",
        as_json(made),
    )


# -- attach --------------------------------------------------------------------------------------------


def attach(options: Namespace) -> int:
    """`warroom attach`."""
    context = Context(options)
    # Read before anything can fail, so that all of it can be given back: it may lie nowhere else.
    pasted = _piped() if options.what == ["-"] and not options.command_line else b""
    recorded = False

    async def run() -> None:
        nonlocal recorded
        from console.evidence import attach as attaching

        about = attaching.About(options.reason, options.title, options.field)
        async with context.room() as room:
            if options.command_line:
                seconds = options.seconds or attaching.SECONDS
                event = await attaching.attach_command(room, options.what, about, seconds=seconds)
            elif len(options.what) != 1:
                raise Refused(
                    "One file is attached at a time.", "To keep what a command prints: attach --command -- …"
                )
            elif options.what == ["-"]:
                event = await attaching.attach_text(room, pasted, about)
            else:
                event = await attaching.attach_file(room, Path(options.what[0]), about)
            recorded = True
            _say_attached(context, room, event)

    try:
        asyncio.run(run())
    except (StoreTrouble, Refused):
        if pasted.strip() and len(pasted) <= PIPED and not recorded:
            give_back(pasted.decode("utf-8", "backslashreplace"))
        raise
    return exits.OK


def _piped() -> bytes:
    if sys.stdin is None:
        raise Refused("There is no standard input.", "Name a file.")
    if sys.stdin.isatty():
        complain("paste what is evidence, then Ctrl+D")
    return sys.stdin.buffer.read(PIPED + 1)


def _say_attached(context: Context, room: Room, event: Event) -> None:
    made = next(each for each in room.incident.exhibits if each.hash == event.hash)
    ended = "" if made.body.exit is None else f", exit code {made.body.exit}"
    note = f" ({visible(made.body.reason, 300)})" if made.body.what == "command" and made.body.reason else ""
    size = sum(ref.size for ref in made.refs)
    context.say(
        f"{event.short} kept {made.body.what} {visible(made.body.title, 200)}, {size:,} bytes{ended}{note}",
        as_json(made),
    )


# -- evidence ------------------------------------------------------------------------------------------


def evidence(options: Namespace) -> int:
    """`warroom evidence`."""
    context = Context(options)
    if options.schema:
        _schema(context)
        return exits.OK
    match options.action:
        case "show":
            return asyncio.run(_show(context))
        case "own":
            return asyncio.run(_own(context))
        case _:
            return asyncio.run(_list(context))


def _schema(context: Context) -> None:
    from console.evidence import schema

    for each in schema.fields():
        also = f" (also: {', '.join(each.aliases)})" if each.aliases else ""
        context.say(
            f"{each.name:<24}  {each.needed:<16}  {each.meaning}{also}",
            {
                "name": each.name,
                "meaning": each.meaning,
                "aliases": list(each.aliases),
                "needed": each.needed,
                "sources": list(each.sources),
                "searchable": bool(each.searched),
            },
        )


async def _list(context: Context) -> int:
    from console.evidence.capture import window_reach

    async with context.desk() as desk:
        state = await context.incident(desk)
        begins = window_reach(desk.home)
        context.say("\n".join(_lines(state, begins)), _whole(state, begins))
    return exits.OK


def _lines(state: Incident, begins: str) -> Iterator[str]:
    from data.envelope import short

    yield f"{state.code}  {visible(state.title, 200)}"
    yield f"  window      {f'reaches back to {begins}' if begins else 'holds nothing here'}"
    yield ""
    yield f"Exhibits  {len(state.exhibits)}"
    for each in state.exhibits:
        body = each.body
        count = f", {body.count:,} records" if body.count else ""
        ended = "" if body.exit is None else f", exit code {body.exit}"
        size = sum(ref.size for ref in each.refs)
        yield (
            f"  {short(each.hash)}  {body.what:<9}  {iso(each.at, 0)}  {visible(each.by, 40)}  "
            f"{visible(body.title, 120)}{count}{ended}, {size:,} bytes"
        )
    asked = state.requests.items()
    waiting = [(name, each) for name, each in asked if not each.done]
    yield ""
    yield f"Requests  {len(state.requests)}, {sum(not each.failed for _, each in waiting)} open"
    for name, request in waiting:
        ids = ", ".join(f"{known.name} {visible(known.value, 80)}" for known in request.body.ids[:5])
        says = f"nothing was kept: {visible(request.failed, 300)}" if request.failed else "open"
        yield f"  {short(name)}  {iso(request.at, 0)}  {ids}: {says}"
    if state.holds:
        yield ""
        yield f"Legal holds  {len(state.holds)}"
        for name, hold in state.holds.items():
            yield f"  {short(name)}  {hold.scope} {visible(hold.target, 80)}  {visible(hold.reason, 200)}"
    gaps = _gaps(state)
    yield ""
    yield f"Not recorded  {len(gaps)}"
    for gap in gaps:
        owner = f"owner {visible(gap['owner'], 60)}" if gap["owner"] else "no owner yet"
        yield f"  {gap['name']:<24}  {owner:<20}  {gap['meaning']}"


def _gaps(state: Incident) -> list[dict[str, Any]]:
    """What the captures found missing and nothing that is kept names by now."""
    from console.evidence import schema

    if not state.exhibits and not state.gaps:
        return []
    named = {known.name for each in state.exhibits for known in each.body.fields}
    asked = {name for each in state.exhibits for name in each.body.missing} | state.gaps.keys()
    return [
        {
            "name": each.name,
            "meaning": each.meaning,
            "aliases": list(each.aliases),
            "sources": list(each.sources),
            "owner": state.gaps.get(each.name, ""),
        }
        for each in schema.fields()
        if each.name in asked and each.name not in named
    ]


def _whole(state: Incident, begins: str) -> dict[str, Any]:
    import msgspec

    return {
        "incident": state.code,
        "case": state.case,
        "window_begins": begins,
        "exhibits": [as_json(each) for each in state.exhibits],
        "requests": [
            {
                "request": name,
                "ids": [msgspec.to_builtins(known) for known in each.body.ids],
                "reason": each.body.reason,
                "by": each.by,
                "at": iso(each.at, 9),
                "state": "done" if each.done else "failed" if each.failed else "open",
                "failed": each.failed,
                "same": each.same,
            }
            for name, each in state.requests.items()
        ],
        "holds": [{"hold": name} | msgspec.to_builtins(hold) for name, hold in state.holds.items()],
        "missing": _gaps(state),
        "findings": state.findings,
    }


def as_json(exhibit: Exhibit) -> dict[str, Any]:
    """An exhibit as plain values, every field under each name that it goes by."""
    import msgspec

    from console.evidence import schema
    from data.envelope import short

    body: dict[str, Any] = msgspec.to_builtins(exhibit.body)
    return body | {
        "id": short(exhibit.hash),
        "hash": exhibit.hash,
        "by": exhibit.by,
        "at": iso(exhibit.at, 9),
        "fields": schema.give_out({known.name: known.value for known in exhibit.body.fields}),
        "blobs": [msgspec.to_builtins(ref) for ref in exhibit.refs],
    }


async def _own(context: Context) -> int:
    """Give a gap an owner (S001-RV-6)."""
    from console.events import ObservabilityFound
    from console.evidence import schema

    options = context.options
    meant = schema.field(options.subject)
    if meant is None or not options.person.strip():
        raise Refused(
            "Which gap, and who sees to it?",
            "As in: evidence own approval_policy kim. `warroom evidence` lists them.",
        )
    async with context.room() as room:
        if meant.name not in room.incident.gaps:
            raise Refused(
                f"Nothing on record says that {meant.name} is missing.", "`warroom evidence` lists the gaps."
            )
        what = f"{meant.meaning} ({meant.name}) is to be recorded from now on"
        await room.record(ObservabilityFound(what, meant.name, options.person.strip()[:128]))
        context.say(
            f"{visible(options.person.strip(), 60)} sees to {meant.name}",
            {"field": meant.name, "owner": options.person.strip()},
        )
    return exits.OK


async def _show(context: Context) -> int:
    from console.evidence.holding import copied
    from data.blobs import Blobs

    options = context.options
    async with context.desk() as desk:
        state = await context.incident(desk)
        exhibit = _one(state, options.subject)
        if not 0 <= options.part <= len(exhibit.refs):
            raise Refused(f"It has parts 1 to {len(exhibit.refs)}.", "Without --part, all of them are shown.")
        blobs = Blobs(desk.home.case_dir(state.case))
        parts = [options.part - 1] if options.part else list(range(len(exhibit.refs)))
        if options.raw:
            if len(parts) != 1:
                raise Refused(f"It has {len(parts)} parts.", "Name one: --part 1.")
            data = await asyncio.to_thread(blobs.read, exhibit.refs[parts[0]])
            await asyncio.to_thread(_write, options.raw, data)
            context.say(
                f"{len(data):,} bytes written to {options.raw}", {"file": options.raw, "size": len(data)}
            )
            if trouble := await copied(await desk.enter(state.case), exhibit.refs[parts[0]]):
                complain(trouble)
            return exits.OK
        for number in parts:
            ref = exhibit.refs[number]
            data = await asyncio.to_thread(blobs.read, ref)
            text = data[:SHOWN].decode("utf-8", "backslashreplace")
            if not options.json:
                context.say(
                    f"-- part {number + 1} of {len(exhibit.refs)}: {ref.media}, {ref.size:,} bytes, sha256 {ref.sha256}"
                )
                for line in rows(text.split("\n")):
                    context.say(visible(line.rstrip("\r"), LINE))
                if len(data) > SHOWN:
                    context.say(
                        f"-- {len(data) - SHOWN:,} more bytes; --part {number + 1} --raw FILE writes all of it"
                    )
            else:
                context.say(
                    "", as_json(exhibit) | {"part": number + 1, "text": text, "cut": len(data) > SHOWN}
                )
    return exits.OK


def _one(state: Incident, name: str) -> Exhibit:
    from data.envelope import short

    fits = [
        each
        for each in state.exhibits
        if name and (short(each.hash).startswith(name) or each.hash.startswith(name))
    ]
    if len(fits) != 1:
        raise Refused(
            f"{len(fits) or 'No'} exhibits of {state.code} begin with {name[:80]}."
            if name
            else "Which exhibit?",
            "`warroom evidence` lists them.",
        )
    return fits[0]


def _write(target: str, data: bytes) -> None:
    """Write a new file that only its owner can read."""
    if target == "-":
        raise Refused("Raw bytes go into a file only: a terminal would obey them.", "Name a file.")
    try:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    except FileExistsError:
        raise Refused(f"{target} exists already.", "Name another file.") from None
    except OSError as error:
        raise Refused(f"{target} cannot be written: {error.strerror}.", "Name another file.") from error
