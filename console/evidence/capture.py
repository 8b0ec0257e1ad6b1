"""Captures: what an incident needs is copied out of the window into its record, before the window rolls over it.

What is asked for stands on the record before the work begins, so whoever opens the incident next goes on with
what a crash or a kill interrupted. The search is a process of its own (console/evidence/search.py): declaring
and containing never wait for it, and neither does the screen.
"""

from __future__ import annotations

import asyncio
import platform
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from console.alerts import Alert
from console.events import (
    AlertFacts,
    Body,
    EvidenceCaptured,
    EvidenceFailed,
    EvidenceRequested,
    EvidenceUnchanged,
    Known,
    ObservabilityFound,
    entry,
    instant,
    moment,
    read,
)
from console.evidence import schema, search
from console.evidence.window import NAME, reach, segments
from console.incident import Exhibit, Incident
from console.refusal import Refused
from console.room import Room
from data.blobs import Blobs
from data.clock import iso
from data.envelope import Event, Ref
from data.home import Home
from data.lock import Lock
from data.record import ACTOR
from data.trouble import StoreTrouble

HOUR = 3600 * 1_000_000_000
AFTER = 300 * 1_000_000_000
"""What an agent did until so long after the last violation belongs to an alert that is over."""
JOINED = "automatic: the alert joined the incident"
ENDED = "automatic: the alert is over"
CONTAINED = "automatic: containment was confirmed"
PAUSE = 30.0
"""Seconds between two automatic captures, at least: alerts that join in a row are captured together."""
LOOK = 0.2
"""Seconds between two looks for what another process captures."""
TRIES = 3
MOST = 200
"""Ids of one request."""
LOCK = "capture.lock"
INDEX = "application/vnd.warroom.evidence-index+json"

Tell = Callable[[search.Progress], None]


def window_of(home: Home) -> Path:
    """Where the watcher of a home keeps its window."""
    return home.watch_dir / NAME


def tool() -> str:
    """What captures, with its version."""
    from importlib.metadata import PackageNotFoundError, version  # slow to import, and seldom needed

    try:
        return f"warroom {version('warroom')}"
    except PackageNotFoundError:
        return "warroom (from a checkout)"


def host() -> str:
    """The machine that something was captured on."""
    return platform.node() or "(unnamed host)"


async def preserve(
    room: Room, ids: Iterable[tuple[str, str]], reason: str = "", *, whatever: bool = False
) -> Event:
    """Put on the record what is to be preserved; a capture carries it out.

    Args:
        room: the incident.
        ids: names of the evidence schema, or any other name that it knows, each with a value; without a value
            it is a field that the evidence should name. Without any value, all alerts of the incident are meant.
        reason: why.
        whatever: also when nothing is left to look for: then what is asked for is listed as missing.

    Raises:
        Refused: a name or an alert is not known, or nothing is left to look for; nothing was written.
    """
    known = [_known(room.incident, name, value) for name, value in ids]
    if not any(each.value for each in known):
        known += [Known("alert_id", name) for name in room.incident.alerts]
    known = list(dict.fromkeys(known))
    # What telemetry never carries is found missing all the same; an id that came out empty is a mistake.
    if not whatever and not any(each.value or not schema.by_name()[each.name].searched for each in known):
        raise Refused(
            f"{room.code} has no alerts, and nothing else was named.",
            "Name a trace, a session or an agent whose telemetry is to be kept.",
        )
    if len(known) > MOST:
        raise Refused(f"{len(known)} ids are more than {MOST}.", "Ask for them in several requests.")
    return (await room.record(EvidenceRequested(tuple(known), reason.strip())))[0]


def _known(state: Incident, name: str, value: str) -> Known:
    meant = schema.field(name)
    if meant is None:
        raise Refused(
            f"The evidence schema has no {name[:80]}.", "`warroom evidence --schema` lists its names."
        )
    value = value.strip()
    if not value:
        return Known(meant.name, "")
    if meant.name == "alert_id":
        fits = [alert for alert in state.alerts if alert.startswith(value.lower())]
        if len(fits) != 1:
            raise Refused(
                f"{len(fits) or 'No'} alerts of {state.code} begin with {value[:80]}.",
                "`warroom show` lists them.",
            )
        return Known(meant.name, fits[0])
    if not meant.searched:
        raise Refused(
            f"Telemetry carries no {meant.name}, so it cannot be searched for.",
            f"Attach what shows it: warroom attach FILE --field {meant.name}.",
        )
    return Known(meant.name, value)


async def finish(room: Room, home: Home, request: str, tell: Tell = lambda _: None) -> str:
    """Carry out a request, or wait for the process that does. Returns why nothing came, or "".

    Raises:
        StoreTrouble: the record cannot be written; the request stays open.
        Refused: the search was killed, again and again; the request stays open.
    """
    for _ in range(TRIES):
        with suppress(_Broken):
            return await _finish(room, home, request, tell)
    raise Refused(
        "The search through the window was ended from outside.", "`warroom preserve` takes it up again."
    )


async def _finish(room: Room, home: Home, request: str, tell: Tell) -> str:
    while True:
        lock = await asyncio.to_thread(Lock.take, room.case.directory / LOCK)
        try:
            await room.refresh()
            state = room.incident.requests[request]
            if state.done or state.failed:
                return state.failed
            if lock is not None:
                await _carry_out(room, home, await room.event(request), tell)
                return room.incident.requests[request].failed
        finally:
            if lock is not None:
                lock.release()
        await asyncio.sleep(LOOK)


async def unfinished(room: Room, home: Home) -> list[str]:
    """The requests of this home that nobody has carried out yet, the oldest first."""
    waiting = [
        name for name, request in room.incident.requests.items() if not (request.done or request.failed)
    ]
    # Another console's request is about another window.
    return [name for name in waiting if (await room.event(name)).rep == home.replica]


async def ask(room: Room, home: Home, board: dict[str, Alert]) -> list[Event]:
    """Put on the record what is captured without anybody asking for it. Repeats are harmless."""
    return [
        (await room.append(entry(request, ACTOR)))[0] for request in _automatic(room.incident, home, board)
    ]


def _automatic(state: Incident, home: Home, board: dict[str, Alert]) -> list[EvidenceRequested]:
    # Only what this home's watcher reported can be in its window.
    ours = [name for name in state.alerts if name in board]
    if not ours or not state.open or not window_of(home).is_dir():
        return []
    asked: dict[str, set[str]] = {JOINED: set(), ENDED: set(), CONTAINED: set()}
    for request in state.requests.values():
        if request.body.reason in asked:
            asked[request.body.reason].update(known.value for known in request.body.ids)
    wanted: list[tuple[str, list[str]]] = [
        (JOINED, [name for name in ours if name not in state.ended | asked[JOINED] | asked[ENDED]]),
        (ENDED, [name for name in ours if name in state.ended - asked[ENDED]]),
    ]
    if state.contained_at is not None and not asked[CONTAINED]:
        wanted.append((CONTAINED, [name for name in ours if name not in state.ended]))
    return [
        EvidenceRequested(tuple(Known("alert_id", name) for name in names[start : start + MOST]), reason)
        for reason, names in wanted
        for start in range(0, len(names), MOST)
    ]


class Capture:
    """Carries out, in the background, what is asked for in the room of a desk.

    Args:
        home: whose window is searched.

    Attributes:
        progress: how far the search is that runs now; None when none does.
        trouble: one sentence when the last one could not be carried out, else empty.
    """

    def __init__(self, home: Home) -> None:
        self.progress: search.Progress | None = None
        self.trouble = ""
        self._home = home
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._left: set[str] = set()

    def tend(self, room: Room, board: dict[str, Alert]) -> None:
        """See to it that what is asked for in `room` is captured. Returns at once."""
        if room.read_only or not self._waiting(room, board):
            return
        if self._open(room):
            # What a person asked for does not wait for the next automatic capture.
            self._wake.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work(room, board))

    async def leave(self) -> None:
        """End what runs, before the room closes; the next to open it goes on."""
        task, self._task = self._task, None
        self._left.clear()
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _waiting(self, room: Room, board: dict[str, Alert]) -> bool:
        return self._open(room) or bool(_automatic(room.incident, self._home, board))

    def _open(self, room: Room) -> bool:
        requests = room.incident.requests.items()
        return any(not (each.done or each.failed) for name, each in requests if name not in self._left)

    async def _work(self, room: Room, board: dict[str, Alert]) -> None:
        try:
            while self._waiting(room, board):
                self._wake.clear()
                await self._ask(room, board)
                for name in await unfinished(room, self._home):
                    if name not in self._left:
                        await finish(room, self._home, name, self._show)
                # What is open still is another console's to carry out.
                self._left.update(name for name, each in room.incident.requests.items() if not each.done)
                self.trouble, self.progress = "", None
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), PAUSE)
        except (StoreTrouble, Refused, OSError) as error:
            # The request stands on the record; the next change of the incident tries again.
            self.trouble = f"Evidence is not captured yet: {error}"
        finally:
            self.progress = None

    async def _ask(self, room: Room, board: dict[str, Alert]) -> None:
        lock = await asyncio.to_thread(Lock.take, room.case.directory / LOCK)
        if lock is None:
            return  # whoever has it asks for the same
        try:
            await room.refresh()
            await ask(room, self._home, board)
        finally:
            lock.release()

    def _show(self, progress: search.Progress) -> None:
        self.progress = progress


# -- one request ---------------------------------------------------------------------------------------


class _Broken(Exception):
    """The search ended without an answer."""


async def _carry_out(room: Room, home: Home, request: Event, tell: Tell) -> None:
    body = read(request)
    if not isinstance(body, EvidenceRequested):
        raise Refused(f"Entry {request.short} asks for no evidence.")
    window = window_of(home)
    query = _query(room, body)
    answer = await _run(window, room.case.directory, query, tell)
    if isinstance(answer, search.Failed):
        raise StoreTrouble(
            f"What was found could not be kept: {answer.reason}",
            "The request stands on the record, and nothing of the window was changed.",
            "Once that is mended, `warroom preserve` carries it out.",
        )
    found = answer.found
    shown = _shown(room.incident, body, found)
    attached = {known.name for exhibit in room.incident.exhibits for known in exhibit.body.fields}
    missing = schema.missing(shown.keys() | attached, (known.name for known in body.ids))
    findings = [
        ObservabilityFound(
            f"{schema.by_name()[name].meaning} ({name}) is in no telemetry that was captured", name
        )
        for name in missing
    ]
    if not found.count:
        reason = _nothing(room.incident, body, window, found)[:16_000]
        lack = ObservabilityFound(f"no telemetry could be kept: {reason}"[:16_000])
        await _append(room, request, EvidenceFailed(request.hash, reason), lack, *findings)
        return
    same = _same(room.incident, body, found)
    if same is not None:
        await _append(room, request, EvidenceUnchanged(request.hash, same.hash))
        return
    index = _index(room, request, body, found, shown, missing, window)
    ref = await asyncio.to_thread(Blobs(room.case.directory).put, index, INDEX)
    refs = (ref, *(Ref(media=search.MEDIA, sha256=blob.sha256, size=blob.size) for blob in found.blobs))
    captured = EvidenceCaptured(
        "telemetry",
        _title(found),
        request=request.hash,
        ids=body.ids,
        fields=tuple(Known(name, brief(values, found.more.get(name, 0))) for name, values in shown.items()),
        missing=missing,
        count=found.count,
        since=moment(found.since),
        until=moment(found.until),
        source=f"{host()}: the watcher's window, from {iso(found.begins, 0)} on"[:512],
        tool=tool(),
        reason=" ".join([body.reason, *found.notes]).strip(),
    )
    await _append(room, request, captured, *findings, refs=refs)


def _same(state: Incident, body: EvidenceRequested, found: search.Found) -> Exhibit | None:
    """The exhibit that keeps, for these ids, just what was found."""
    blobs = {blob.sha256 for blob in found.blobs}
    for exhibit in state.exhibits:
        telemetry = {ref.sha256 for ref in exhibit.refs if ref.media == search.MEDIA}
        if telemetry == blobs and set(body.ids) <= set(exhibit.body.ids):
            return exhibit
    return None


async def _append(
    room: Room, request: Event, first: Body, *findings: ObservabilityFound, refs: tuple[Ref, ...] = ()
) -> None:
    """Say what came of a request. Killed before, it is said again by the next; never twice."""
    case = room.case.id
    said = set(room.incident.findings)
    await room.append(
        entry(first, ACTOR, refs=refs, key=f"answer:{request.hash}"),
        *(
            entry(finding, ACTOR, key=f"finding:{case}:{finding.field or request.hash}")
            for finding in findings
            if finding.what not in said
        ),
    )


def _query(room: Room, body: EvidenceRequested) -> search.Query:
    state = room.incident
    query = search.query_for((known.name, known.value) for known in body.ids)
    named: list[tuple[str, str, str]] = []
    during: list[search.During] = []
    for known in body.ids:
        facts = state.alerts.get(known.value) if known.name == "alert_id" else None
        if facts is not None:
            named += ((facts.tenant, facts.agent, action) for action in facts.actions)
            during.append(_during(facts, room.clock.now(), over=facts.id in state.ended))
    return search.Query(query.values, named, during)


def _during(facts: AlertFacts, now: int, *, over: bool) -> search.During:
    """What the agent did from an hour before an alert, whose spend and calls it may rest on, to its end."""
    opened = instant(facts.opened_at) or 0
    last = instant(facts.last_at) or opened
    return search.During(
        facts.tenant, facts.agent, opened - HOUR, last + AFTER if over else max(last, now) + AFTER
    )


async def _run(window: Path, case: Path, query: search.Query, tell: Tell) -> search.Ended | search.Failed:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "console.evidence.search", str(window), str(case),
        stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=2**28,
        start_new_session=True,  # Ctrl+C in the terminal is for whoever waits, who then ends the search
    )  # fmt: skip
    try:
        return await _answer(process, query, tell)
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()


async def _answer(process: Process, query: search.Query, tell: Tell) -> search.Ended | search.Failed:
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None and stdout is not None  # noqa: S101, PT018 - both are pipes
    with suppress(BrokenPipeError, ConnectionResetError):
        stdin.write(msgspec.json.encode(query))
        await stdin.drain()
    stdin.close()
    async for line in stdout:
        said: search.Said = msgspec.json.decode(line, type=search.Said)
        if not isinstance(said, search.Progress):
            return said
        tell(said)
    raise _Broken


# -- what is said of it --------------------------------------------------------------------------------


def _title(found: search.Found) -> str:
    agents = found.fields.get("agent_id", [])
    rest = len(agents) - 3 + found.more.get("agent_id", 0)
    who = ", ".join(agents[:3]) + (f" and {rest:,} more agents" if rest > 0 else "")
    return f"telemetry of {who}"[:512]


def _shown(state: Incident, body: EvidenceRequested, found: search.Found) -> dict[str, list[str]]:
    """What the evidence names, by the schema's names and in their order."""
    own = {
        "incident_id": [state.code],
        "alert_id": [known.value for known in body.ids if known.name == "alert_id"],
        "workflow": [state.scope] if state.scope else [],
        "containment_action": [
            state.contained_how if state.contained_at is not None else "not contained yet"
        ],
    }
    values = found.fields | own
    return {each.name: values[each.name] for each in schema.fields() if values.get(each.name)}


def brief(values: list[str], more: int) -> str:
    """As many values as fit on the record; the index has them all."""
    shown, size = 0, 0
    for value in values:
        size += len(value) + 2
        if size > 480:
            break
        shown += 1
    if not shown:
        return (
            values[0][:480] + "…"
            if len(values) + more == 1
            else f"{values[0][:440]}… and {len(values) + more - 1:,} more"
        )
    rest = len(values) - shown + more
    return ", ".join(values[:shown]) + (f" and {rest:,} more" if rest else "")


def _index(
    room: Room, request: Event, body: EvidenceRequested, found: search.Found,
    shown: dict[str, list[str]], missing: tuple[str, ...], window: Path,
) -> bytes:  # fmt: skip
    """What a capture holds, for whoever has nothing but its blobs."""
    fields: list[dict[str, Any]] = [
        {
            "name": each.name,
            "aliases": list(each.aliases),
            "meaning": each.meaning,
            "requirements": list(each.sources),
            "needed": each.needed,
            "values": shown.get(each.name, []),
            "more": found.more.get(each.name, 0),
        }
        for each in schema.fields()
    ]
    value = {
        "schema": schema.VERSION,
        "incident": room.code,
        "case": room.case.id,
        "request": request.hash,
        "requested_by": request.actor,
        "reason": body.reason,
        "ids": [{"name": known.name, "value": known.value} for known in body.ids],
        "tool": tool(),
        "host": host(),
        "window": {"path": str(window), "begins": iso(found.begins, 9), "looked_at": found.looked, "unreadable": found.damaged},
        "records": found.count,
        "since": iso(found.since, 9),
        "until": iso(found.until, 9),
        "followed": found.links,
        "notes": found.notes,
        "blobs": [msgspec.to_builtins(blob) for blob in found.blobs],
        "fields": fields,
        "missing": list(missing),
    }  # fmt: skip
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def _nothing(state: Incident, body: EvidenceRequested, window: Path, found: search.Found) -> str:
    """Why nothing came, one sentence."""
    if not any(_valued(body)):
        names = ", ".join(known.name for known in body.ids)
        return f"{names} came without a value to search for; `warroom attach FILE --field NAME` brings what shows it"
    if not found.begins:
        return "the watcher's window holds no telemetry at all"
    begins = iso(found.begins, 0)
    opened = [
        instant(state.alerts[known.value].opened_at) or 0
        for known in body.ids
        if known.name == "alert_id" and known.value in state.alerts
    ]
    if opened and max(opened) < found.begins:
        return f"the window has rolled over it: it reaches back to {begins} only"
    names = ", ".join(f"{known.name} {known.value}" for known in list(_valued(body))[:5])
    return f"none of the {found.looked:,} records in the window, which reaches back to {begins}, has {names}"


def _valued(body: EvidenceRequested) -> Iterator[Known]:
    return (known for known in body.ids if known.value)


def detached(home: Home, case: str) -> None:
    """Carry out the open requests of a case in a process that outlives this one."""
    import subprocess

    if not segments(window_of(home)):
        return
    with suppress(OSError):
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "console.cli",
                "--home",
                str(home.path),
                "--incident",
                case,
                "preserve",
                "--open",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def window_reach(home: Home) -> str:
    """Since when the window of a home holds telemetry; empty when it holds none."""
    return reach(window_of(home))
