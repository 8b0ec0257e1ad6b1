"""Drafting the ledger: what telemetry tells of the agents of an incident, put on the record once."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from console.events import (
    Body,
    Effect,
    EffectsListed,
    IncidentExtended,
    RollbackAdopted,
    Suspect,
    instant,
    moment,
)
from console.evidence.search import MEDIA, During
from console.refusal import Refused
from console.rollback import reading
from console.rollback.signs import Rules, rules
from data.blobs import Blobs
from data.clock import iso

if TYPE_CHECKING:
    from console.incident import Incident
    from console.room import Room

HOUR = 3600 * 1_000_000_000
ROWS = 500
"""Effects of one event."""
BYTES = 400_000
"""Bytes of one event's effects; an entry of the record holds a MiB."""
EVENTS = 50
"""Events of one transaction."""
Tell = Callable[[reading.Progress], None]


class Drafted(NamedTuple):
    """What a draft came to.

    Attributes:
        found: effects that telemetry tells of.
        new: how many of them the ledger did not have.
        downstream: how many of the new ones are of agents that the incident did not name before.
        extended: the agents to which it was extended by that, by name.
        answer: what else the reading found.
    """

    found: int
    new: int
    downstream: int
    extended: tuple[str, ...]
    answer: reading.Ended


async def draft(
    room: Room,
    window: Path,
    *,
    spans: Iterable[During] = (),
    known: Rules | None = None,
    tell: Tell = lambda _: None,
) -> Drafted:
    """List the effects of the agents of an incident, from the rolling window and from what was captured of it.

    What is listed already stays as it is; repeats are harmless. Agents that acted in the same traces belong to the
    incident from then on, which is put on the record.

    Args:
        room: the incident.
        window: directory of the rolling window.
        spans: further agents, or other times than the incident's.
        known: how effects are recognised; None = by the library.
        tell: told how far it is.

    Raises:
        Refused: the incident names no agent, or the reading was ended from outside; nothing was written.
        StoreTrouble: the record did not take them; drafting again goes on.
    """
    asked = [*spans, *of_incident(room.incident, room.clock.now())]
    if not asked:
        raise Refused(
            f"{room.code} names no agent: it has no alerts.",
            "Name one: `warroom effects draft --agent NAME`.",
        )
    how = await asyncio.to_thread(rules) if known is None else known
    blobs = Blobs(room.case.directory)
    kept = dict.fromkeys(
        str(blobs.path(ref.sha256))
        for exhibit in room.incident.exhibits
        for ref in exhibit.refs
        if ref.media == MEDIA
    )
    rows: dict[str, Effect] = {}
    downstream: dict[str, Effect] = {}
    answer = None
    async for said in _said(reading.Query(asked, how, str(window), list(kept))):
        match said:
            case reading.Progress():
                tell(said)
            case reading.Rows():
                (downstream if said.downstream else rows).update((each.id, each) for each in said.rows)
            case reading.Ended():
                answer = said
    if answer is None:
        raise Refused("The reading of telemetry was ended from outside.", "Draft again: nothing was written.")
    return await _list(room, rows, downstream, answer)


def of_incident(incident: Incident, now: int) -> list[During]:
    """Return whose effects are an incident's, and in which time: its alerts' agents, from an hour before each."""
    spans: dict[tuple[str, str], int] = {}
    for facts in incident.alerts.values():
        since = (instant(facts.opened_at) or now) - HOUR
        who = (facts.tenant, facts.agent)
        spans[who] = min(spans.get(who, since), since)
    for extension in incident.ledger.extensions:
        for each in extension.suspects:
            who = (each.tenant, each.agent)
            since = instant(each.since) or now
            spans[who] = min(spans.get(who, since), since)
    return [During(tenant, agent, since, now) for (tenant, agent), since in spans.items()]


async def _list(
    room: Room, rows: dict[str, Effect], downstream: dict[str, Effect], answer: reading.Ended
) -> Drafted:
    ledger = room.incident.ledger
    new = [each for id, each in rows.items() if id not in ledger.rows]
    also = [each for id, each in downstream.items() if id not in ledger.rows and id not in rows]
    bodies: list[Body] = []
    classes = {each.action_class for each in (*new, *also)} - room.incident.rollback.keys() - {""}
    if classes:
        bodies.append(await asyncio.to_thread(_adopted, room.incident, classes))
    suspects = _suspects(room.incident, answer.downstream) if also else ()
    if suspects:
        reason = f"{len(also):,} effects of theirs stand in the same traces"
        bodies.append(IncidentExtended(reason, suspects))
    begins = f", which reaches back to {iso(answer.begins, 0)}" if answer.begins else ""
    source = f"telemetry of the window{begins}: {answer.looked:,} records"
    bodies += [EffectsListed(part, "drafted", source) for part in _parts(new)]
    bodies += [EffectsListed(part, "downstream", source) for part in _parts(also)]
    for start in range(0, len(bodies), EVENTS):
        await room.record(*bodies[start : start + EVENTS])
    return Drafted(
        len(rows) + len(downstream),
        len(new) + len(also),
        len(also),
        tuple(each.agent for each in suspects),
        answer,
    )


def _suspects(incident: Incident, touched: Iterable[reading.Touched]) -> tuple[Suspect, ...]:
    known = {(during.tenant, during.agent) for during in of_incident(incident, 0)}
    fresh = [each for each in touched if (each.tenant, each.agent) not in known]
    return tuple(Suspect(each.tenant, each.agent, moment(each.since)) for each in fresh[:100])


def _adopted(incident: Incident, classes: set[str]) -> RollbackAdopted:
    """The classes of the incident with those of the library that it did not have."""
    from console import runbook

    library = runbook.rollback_classes()
    fresh = [each for each in library.classes if each.id in classes]
    return RollbackAdopted(
        library.version, (*(row.action_class for row in incident.rollback.values()), *fresh)
    )


def _parts(rows: list[Effect]) -> Iterable[tuple[Effect, ...]]:
    """Effects as they fit into one event each."""
    part: list[Effect] = []
    size = 0
    for row in rows:
        bytes_ = len(msgspec.json.encode(row)) * 2  # canonical bytes may escape what plain JSON does not
        if part and (len(part) == ROWS or size + bytes_ > BYTES):
            yield tuple(part)
            part, size = [], 0
        part.append(row)
        size += bytes_
    if part:
        yield tuple(part)


async def _said(query: reading.Query) -> AsyncIterator[reading.Said]:
    """What a reading says, as it comes."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "console.rollback.reading",
        stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=2**28,
        start_new_session=True,  # Ctrl+C in the terminal is for whoever waits, who then ends the reading
    )  # fmt: skip
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None and stdout is not None  # noqa: S101, PT018 - both are pipes
    try:
        with suppress(BrokenPipeError, ConnectionResetError):
            stdin.write(msgspec.json.encode(query))
            await stdin.drain()
        stdin.close()
        async for line in stdout:
            said: reading.Said = msgspec.json.decode(line, type=reading.Said)
            yield said
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()
