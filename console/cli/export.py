"""`warroom export`: the report, every event, a timeline for another tool, or a sealed bundle."""

from __future__ import annotations

import asyncio
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from console.cli import exits
from console.cli.context import Context, to_json
from console.cli.output import printing
from console.cli.trouble import complain
from console.events import Exported
from console.evidence import exchange
from console.evidence.redaction import masked
from console.evidence.sealing import seal
from console.plain import many
from console.refusal import Refused
from console.reports import events as as_events
from console.reports.incident import report
from console.timeline import trust
from data import durable
from data.envelope import Event
from data.reader import CaseReader
from data.trouble import StoreTrouble
from data.verify import verify

if TYPE_CHECKING:
    from console.desk import Desk
    from console.evidence.redaction import Redaction

What = Literal["bundle", "report", "events", "timesketch", "iris"]
WHAT: dict[str, What] = {"md": "report", "jsonl": "events", "timesketch": "timesketch", "iris": "iris"}


def run(options: Namespace) -> int:
    """`warroom export`."""
    context = Context(options)
    if options.to and options.format != "bundle":
        raise Refused("Only bundles can be encrypted for recipients.", "Add --bundle, or leave --to out.")
    return asyncio.run(_bundle(context) if options.format == "bundle" else _export(context))


async def _export(context: Context) -> int:
    options = context.options
    target = None if options.output in (None, "-") else Path(options.output)
    if target is not None:
        _check(target, force=options.force)
    async with context.desk() as desk:
        state = await context.incident(desk)
        directory = desk.home.case_dir(state.case)
        events = await _read(directory)
        lines = _lines(context, directory, desk.clock.now(), events)
        if target is None and not context.unmasks and sys.stdout is not None and sys.stdout.isatty():
            # Looking at it is no copy that leaves; looking behind the mask stands on the record all the same.
            _print(lines)
            return exits.OK
        text = list(lines)
        data = "".join(text).encode(errors="backslashreplace")
        if target is not None:
            _save(target, data, force=options.force)
        await _record(context, desk, state.case, data, events)
    if target is None:
        _print(text)
    return exits.OK


def _print(lines: Sequence[str] | Iterator[str]) -> None:
    with printing():
        for line in lines:
            print(line, end="")


async def _bundle(context: Context) -> int:
    options = context.options
    if options.output in (None, "-"):
        raise Refused("A bundle is a file.", "Name it with --output, as in --output incident.tar.")
    target = Path(options.output)
    _check(target, force=options.force)
    async with context.desk() as desk:
        room = await desk.enter((await context.incident(desk)).case)
        written = await seal(
            room,
            desk.home,
            target,
            context.redaction,
            recipients=options.to,
            reason=options.reason,
            force=options.force,
        )
        contents = written.contents
        kept_back = len(contents.withheld) + len(contents.withheld_blobs)
        text = (
            f"{room.code} sealed in {target}: {many(contents.events, 'event')}, {many(written.size, 'byte')}, {kept_back:,} kept"
            f" back (policy {context.redaction.name})\n  SHA-256 {written.sha256}"
        )
        if options.to:
            text += f"\n  Encrypted for {many(len(options.to), 'recipient')}; nobody else can read it, you neither."
        else:
            text += f"\n  Anybody checks it with: python3 verify.py {target}   (verify.py is in it)"
        value = {
            "incident": room.code,
            "file": str(target),
            "sha256": written.sha256,
            "size": written.size,
            "events": contents.events,
            "policy": context.redaction.name,
            "withheld": len(contents.withheld),
            "withheld_blobs": len(contents.withheld_blobs),
            "masked": contents.fields,
        }
        context.say(text, value)
    return exits.OK


def _lines(context: Context, directory: Path, made_at: int, events: Sequence[Event]) -> Iterator[str]:
    redaction, form = context.redaction, context.options.format
    if form == "jsonl":
        return (to_json(_value(event, redaction)) + "\n" for event in events)
    shown = list(masked(events, redaction))
    code = f"INC-{directory.name[:4].upper()}"
    if form == "iris":
        return (line + "\n" for line in exchange.iris_csv(shown, code))
    if form == "timesketch":
        write = exchange.timesketch_jsonl
        if str(context.options.output or "").lower().endswith(".csv"):
            write = exchange.timesketch_csv
        return (line + "\n" for line in write(shown, code))
    verdict = verify(directory, trust=trust)
    sound = f"{verdict.events} events, {'sound' if verdict.sound else 'DAMAGED'}. {verdict.note}"
    return (line + "\n" for line in report(shown, made_at, sound))


def _value(event: Event, redaction: Redaction) -> dict[str, object]:
    """An event as plain values; one with something masked says what, so that nobody tries to hash it."""
    rendering = None if event.body is None else redaction.body(event.body)
    if rendering is None:
        return as_events.value(event)
    (shown,) = masked([event], redaction)
    return as_events.value(shown) | {
        "withheld": [{"field": name, "kind": kind} for name, kind in rendering.withheld]
    }


async def _record(context: Context, desk: Desk, case: str, data: bytes, events: Sequence[Event]) -> None:
    """Put on the record that a copy left. Where that cannot be, the export was all the same, and that is said."""
    redaction = context.redaction
    bodies = (event.body for event in events if event.body is not None)
    withheld = sum(len(found.withheld) for found in map(redaction.body, bodies) if found is not None)
    body = Exported(
        WHAT[context.options.format],
        sha256(data).hexdigest(),
        len(data),
        redaction.name,
        withheld,
        reason=context.options.reason,
    )
    try:
        await (await desk.enter(case)).record(body)
    except (StoreTrouble, Refused) as trouble:
        complain(f"this export is not on the record: {trouble}")
    if withheld:
        values = "1 value is" if withheld == 1 else f"{withheld:,} values are"
        complain(f"{values} masked under the policy {redaction.name}; --policy none masks none.")


async def _read(directory: Path) -> list[Event]:
    reader = await CaseReader.open(directory)
    try:
        events: list[Event] = []
        while page := await reader.since(events[-1].n if events else 0, limit=5000):
            events += page
    finally:
        await reader.close()
    return events


def _check(target: Path, *, force: bool) -> None:
    """Refuse a file that is there already, before the record is read.

    Raises:
        Refused: it is there and `force` is not given, or it is no file that could be replaced.
    """
    if target.exists() and not target.is_file():
        raise Refused(f"{target} is not a file.", "Name a file, or print to stdout without --output.")
    if not force and (target.exists() or target.is_symlink()):
        raise Refused(f"{target} exists already.", "Name another file, or replace it with --force.")


def _save(target: Path, data: bytes, *, force: bool) -> None:
    """Write a file that only its owner can read, whole or not at all.

    Raises:
        Refused: it cannot be written there.
    """
    try:
        if force:
            durable.replace(target, data)
        elif not durable.publish(durable.write_temporary(target.parent, data), target):
            raise Refused(f"{target} has just been made by somebody else.", "Name another file.")
    except OSError as error:
        raise Refused(f"{target} cannot be written: {error.strerror}.", "Name another file.") from error
