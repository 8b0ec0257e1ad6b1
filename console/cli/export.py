"""`warroom export`: the report, or every event."""

from __future__ import annotations

import asyncio
import os
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from console.cli import exits
from console.cli.context import Context, to_json
from console.reports import events as as_events
from console.reports.incident import report
from data.envelope import Event
from data.reader import CaseReader
from data.verify import verify


def run(options: Namespace) -> int:
    """`warroom export`."""
    context = Context(options)
    directory, made_at, events = asyncio.run(_read(context))
    with _target(options.output) as out:
        if options.format == "jsonl":
            for event in events:
                out.write(to_json(as_events.value(event)) + "\n")
        else:
            verdict = verify(directory)
            sound = f"{verdict.events} events, {'sound' if verdict.sound else 'DAMAGED'}. {verdict.note}"
            for line in report(events, made_at, sound):
                out.write(line + "\n")
    return exits.OK


async def _read(context: Context) -> tuple[Path, int, Sequence[Event]]:
    async with context.desk() as desk:
        state = await desk.find(context.options.incident or "")
        directory = desk.home.case_dir(state.case)
        reader = await CaseReader.open(directory)
        try:
            events: list[Event] = []
            while page := await reader.since(events[-1].n if events else 0, limit=5000):
                events += page
        finally:
            await reader.close()
        return directory, desk.clock.now(), events


@contextmanager
def _target(output: str | None) -> Iterator[TextIO]:
    """Standard output, or a new file that only its owner can read; an existing one is never overwritten."""
    if not output:
        yield sys.stdout
        return
    handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        yield file
        file.flush()
        os.fsync(handle)
