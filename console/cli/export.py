"""`warroom export`: the report, or every event."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path

from console.cli import exits
from console.cli.context import Context, to_json
from console.cli.output import printing
from console.refusal import Refused
from console.reports import events as as_events
from console.reports.incident import report
from data import durable
from data.envelope import Event
from data.reader import CaseReader
from data.verify import verify


def run(options: Namespace) -> int:
    """`warroom export`."""
    context = Context(options)
    if options.output in (None, "-"):
        lines = _lines(options.format, *asyncio.run(_read(context)))
        with printing():
            for line in lines:
                print(line, end="")
        return exits.OK
    target = Path(options.output)
    _check(target, force=options.force)
    lines = _lines(options.format, *asyncio.run(_read(context)))
    _save(target, "".join(lines).encode(errors="backslashreplace"), force=options.force)
    return exits.OK


def _lines(form: str, directory: Path, made_at: int, events: Sequence[Event]) -> Iterator[str]:
    if form == "jsonl":
        return (to_json(as_events.value(event)) + "\n" for event in events)
    verdict = verify(directory)
    sound = f"{verdict.events} events, {'sound' if verdict.sound else 'DAMAGED'}. {verdict.note}"
    return (line + "\n" for line in report(events, made_at, sound))


async def _read(context: Context) -> tuple[Path, int, Sequence[Event]]:
    async with context.desk() as desk:
        state = await context.incident(desk)
        directory = desk.home.case_dir(state.case)
        reader = await CaseReader.open(directory)
        try:
            events: list[Event] = []
            while page := await reader.since(events[-1].n if events else 0, limit=5000):
                events += page
        finally:
            await reader.close()
        return directory, desk.clock.now(), events


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
