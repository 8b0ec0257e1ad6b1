"""One search through the window: a process of its own, so that the screen never waits for it.

Started with the directories of the window and of the case; the query comes on standard input. What it keeps it
writes as blobs of the case, and says on standard output, a line of JSON each, how far it is and what it found.
Killed at any moment it leaves at most blobs that nobody speaks of, and the next search writes the same ones.
"""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
from msgspec import Struct

from console.evidence import schema
from console.evidence.window import Segment, held
from console.telemetry.action import Action
from data.blobs import Blobs
from data.clock import iso
from data.envelope import Ref
from data.trouble import StoreTrouble

CHUNK = 1 << 18
LINE = 1 << 20
"""Bytes of the longest line; the watcher takes in no longer one."""
PART = 32 * 2**20
"""Bytes of one blob."""
PARTS = 250
"""Blobs of one capture; an event speaks of 256 at most."""
DEPTH = 3
"""How often traces and sessions of what was found are followed further."""
LINKS = 100_000
"""Traces and sessions that are followed."""
VALUES = 1_000
"""Values of one field that are listed; further ones are counted."""
REPEATS = 200_000
"""Lines back to which a repeated one is recognised."""
MEDIA = "application/x-ndjson"


class During(Struct, frozen=True, array_like=True):
    """All that an agent did from `since` to `until` (ns UTC, both included)."""

    tenant: str
    agent: str
    since: int
    until: int


class Query(Struct, frozen=True):
    """What is looked for: an action is found when any part of it fits.

    Attributes:
        values: by field of an action, the values that are wanted.
        named: (tenant, agent, id) of actions, as alerts name them.
        during: spans of agents.
        depth: how often the traces and sessions of what was found are followed further.
    """

    values: dict[str, list[str]] = {}
    named: list[tuple[str, str, str]] = []
    during: list[During] = []
    depth: int = DEPTH


class Kept(Struct, frozen=True):
    """A blob: its hash, its bytes, and how many records it holds."""

    sha256: str
    size: int
    records: int


class Found(Struct, frozen=True):
    """What a search found. Times are ns UTC; 0 = nothing was found.

    Attributes:
        count: records that are kept.
        since: end of the earliest action.
        until: and of the latest.
        blobs: where they are.
        fields: by field of the schema, values that they show; at most `VALUES` each.
        more: how many values a field has beyond those.
        links: traces and sessions that were followed.
        begins: when the oldest file of the window was begun.
        looked: records of the window that were looked at.
        damaged: lines and files that could not be read.
        notes: what people should know about it, one sentence each.
    """

    count: int = 0
    since: int = 0
    until: int = 0
    blobs: list[Kept] = []
    fields: dict[str, list[str]] = {}
    more: dict[str, int] = {}
    links: int = 0
    begins: int = 0
    looked: int = 0
    damaged: int = 0
    notes: list[str] = []


class Progress(Struct, frozen=True, tag_field="is", tag="progress"):
    """How far a search is: bytes read of all that will be read, as far as is known."""

    done: int
    total: int


class Ended(Struct, frozen=True, tag_field="is", tag="found"):
    """The search is over."""

    found: Found


class Failed(Struct, frozen=True, tag_field="is", tag="failed"):
    """The search came to no end."""

    reason: str


Said = Progress | Ended | Failed


class _Seen(Struct, frozen=True, gc=False):
    """What is looked at of every record."""

    at: int
    agent: str
    id: str = ""
    tenant: str = "default"
    session: str = ""
    trace: str = ""
    span: str = ""
    endpoint: str = ""
    artifact: str = ""
    principal: str = ""
    approval: str = ""
    agent_version: str = ""
    bundle: str = ""
    wave: str = ""
    change: str = ""
    idempotency_key: str = ""


SEARCHED = tuple(name for name in _Seen.__struct_fields__ if name != "at")


def search(
    window: Path,
    query: Query,
    keep: Callable[[bytes], Ref],
    tell: Callable[[Progress], None] = lambda _: None,
) -> Found:
    """Look through a window and keep what fits.

    Args:
        window: its directory, which need not exist.
        query: what is looked for.
        keep: stores the bytes of one blob.
        tell: told how far it is.

    Raises:
        StoreTrouble: what was found cannot be stored.
    """
    with held(window) as files:
        return _Search(files, query, keep, tell).run()


class _Search:
    def __init__(
        self,
        files: Sequence[Segment],
        query: Query,
        keep: Callable[[bytes], Ref],
        tell: Callable[[Progress], None],
    ) -> None:
        self._files = files
        self._fits = _Fits(query)
        self._depth = query.depth
        self._store, self._tell = keep, tell
        self._sizes = [each.path.stat().st_size for each in files]
        # The file that is still written is read as far as it went at the beginning, in every pass.
        self._passes_left = query.depth + 1
        self._done = 0
        self._damaged: set[object] = set()
        self._looked = 0

    def run(self) -> Found:
        for _ in range(self._depth):
            if not self._widen():
                break
        return self._write()

    def _widen(self) -> bool:
        """Follow the traces and sessions of what fits. Returns whether that may find more."""
        fits = self._fits
        before = fits.links
        traces: set[str] = set()
        sessions: set[str] = set()
        for _, seen in self._records():
            if fits(seen):
                traces.add(seen.trace)
                sessions.add(seen.session)
        fits.follow("trace", traces)
        fits.follow("session", sessions)
        return fits.links > before

    def _write(self) -> Found:
        writing = _Writing(self._store)
        self._looked = 0
        for line, seen in self._records():
            self._looked += 1
            if self._fits(seen):
                writing.take(line)
        writing.flush()
        summary = writing.summary
        notes = list(writing.notes)
        if self._fits.full:
            notes.append(
                f"More than {LINKS:,} traces and sessions hang together; the others were not followed."
            )
        damaged = len(self._damaged) + writing.unreadable
        if damaged:
            notes.append(f"{damaged:,} lines or files of the window could not be read.")
        return Found(
            count=writing.count,
            since=summary.since,
            until=summary.until,
            blobs=writing.blobs,
            fields={name: list(values) for name, values in summary.values.items()} | summary.sums(),
            more={name: more for name, more in summary.more.items() if more},
            links=self._fits.links,
            begins=self._files[0].start if self._files else 0,
            looked=self._looked,
            damaged=damaged,
            notes=notes,
        )

    def _records(self) -> Iterator[tuple[bytes, _Seen]]:
        """Every record of the window with its line, the oldest file first."""
        self._passes_left -= 1
        per_pass = sum(self._sizes)
        for each, size in zip(self._files, self._sizes, strict=True):
            try:
                yield from self._lines(each, size)
            except (OSError, EOFError, zlib.error):
                self._damaged.add(each.start)
            self._done += size
            self._tell(Progress(self._done, self._done + per_pass * self._passes_left + 1))

    def _lines(self, segment: Segment, size: int) -> Iterator[tuple[bytes, _Seen]]:
        rest = b""
        with segment.path.open("rb") as raw:
            packed = segment.path.suffix == ".gz"
            stream = cast("BinaryIO", gzip.GzipFile(fileobj=raw) if packed else raw)
            left = size
            while chunk := stream.read(CHUNK if packed else min(CHUNK, left)):
                left -= len(chunk)
                chunk = rest + chunk
                cut = chunk.rfind(b"\n") + 1
                rest = chunk[cut:]
                yield from self._decoded(segment, chunk[:cut])
                if len(rest) > LINE:
                    rest = b""
                    self._damaged.add((segment.start, "a long line"))
        # What is left has no end: it is being written now, or its writer was killed.

    def _decoded(self, segment: Segment, chunk: bytes) -> Iterator[tuple[bytes, _Seen]]:
        lines = chunk.split(b"\n")[:-1]
        try:
            seen = _LINES.decode_lines(chunk)
        except _UNREADABLE:
            seen = []
        if len(seen) == len(lines):
            yield from zip(lines, seen, strict=True)
            return
        for line in lines:
            try:
                yield line, _LINES.decode(line)
            except _UNREADABLE:
                self._damaged.add((segment.start, blake2b(line, digest_size=16).digest()))


_LINES = msgspec.json.Decoder(_Seen)
_ACTIONS = msgspec.json.Decoder(Action)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class _Fits:
    """Whether a record is looked for."""

    def __init__(self, query: Query) -> None:
        self._sets: dict[str, set[str]] = {name: set(values) for name, values in query.values.items()}
        for name in ("trace", "session"):
            self._sets.setdefault(name, set())
        self._named = set(query.named)
        self._during: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for each in query.during:
            self._during.setdefault((each.tenant, each.agent), []).append((each.since, each.until))
        self._given = sum(len(self._sets[name]) for name in ("trace", "session"))
        self.full = False
        self._compile()

    def _compile(self) -> None:
        self._wanted = [(attrgetter(name), values) for name, values in self._sets.items() if values]

    @property
    def links(self) -> int:
        """Traces and sessions that were followed, beside those that were asked for."""
        return len(self._sets["trace"]) + len(self._sets["session"]) - self._given

    def follow(self, name: str, values: set[str]) -> None:
        fresh = values - self._sets[name] - {""}
        room = LINKS - self.links
        self.full = self.full or len(fresh) > room
        self._sets[name].update(sorted(fresh)[:room])
        self._compile()

    def __call__(self, seen: _Seen) -> bool:
        for value, wanted in self._wanted:
            if value(seen) in wanted:
                return True
        if not self._during and not self._named:
            return False
        # Alerts cut names where the record does.
        tenant, agent = plain(seen.tenant, 128), plain(seen.agent, 128)
        for since, until in self._during.get((tenant, agent), ()):
            if since <= seen.at <= until:
                return True
        return (tenant, agent, plain(_name(seen), 128)) in self._named


def _name(seen: _Seen) -> str:
    """As alerts name an action (console/tripwires/alert.py)."""
    return seen.id or (f"{seen.trace}:{seen.span}" if seen.span else seen.trace)


def plain(text: str, limit: int) -> str:
    """`text` within `limit`, a cut marked: how the record holds names."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


class _Writing:
    """Lines on their way into blobs; bounded memory however many there are."""

    def __init__(self, keep: Callable[[bytes], Ref]) -> None:
        self._keep = keep
        self._part: list[bytes] = []
        self._size = 0
        self._repeats: OrderedDict[bytes, None] = OrderedDict()
        self._full = False
        self.unreadable = 0
        self.count = 0
        self.blobs: list[Kept] = []
        self.summary = _Summary()

    @property
    def notes(self) -> list[str]:
        """What did not fit in."""
        return (
            [f"There is more than {PARTS * PART // 2**20:,} MiB of it; the newest is not kept."]
            if self._full
            else []
        )

    def take(self, line: bytes) -> None:
        digest = blake2b(line, digest_size=16).digest()
        if digest in self._repeats:
            return
        if len(self.blobs) >= PARTS:
            self._full = True
            return
        try:
            action = _ACTIONS.decode(line)
        except _UNREADABLE:
            self.unreadable += 1
            return
        self._repeats[digest] = None
        if len(self._repeats) > REPEATS:
            self._repeats.popitem(last=False)
        self.summary.add(action)
        self.count += 1
        self._part.append(line)
        self._size += len(line) + 1
        if self._size >= PART:
            self.flush()

    def flush(self) -> None:
        if self._part:
            ref = self._keep(b"\n".join([*self._part, b""]))
            self.blobs.append(Kept(ref.sha256, ref.size, len(self._part)))
            self._part, self._size = [], 0


class _Summary:
    """What the kept records show of the schema."""

    def __init__(self) -> None:
        self.since = self.until = 0
        self.values: dict[str, dict[str, None]] = {}
        self.more: dict[str, int] = {}
        self._calls: dict[str, int] = {}
        self._effects: dict[str, int] = {}
        self._cost = self._priced = self._unpriced = 0

    def add(self, action: Action) -> None:
        at = action.at
        self.since = min(self.since, at) if self.since else at
        self.until = max(self.until, at)
        shown = self._show
        shown("run_id", action.id if action.kind == "run" and action.id else action.trace or action.session)
        shown("trace_id", action.trace)
        shown("session_id", action.session)
        shown("agent_id", action.agent if action.tenant == "default" else f"{action.tenant}/{action.agent}")
        shown("agent_version", action.agent_version)
        shown("bundle_id", action.bundle)
        shown("model_lane", action.model)
        shown("approval_id", action.approval)
        shown("tool_principal", action.principal)
        shown("idempotency_key", action.idempotency_key)
        shown("change_id", action.change)
        shown("rollout_wave", action.wave)
        shown("network_path", action.endpoint)
        if action.customer_visible and action.artifact:
            hashed = f" ({action.content_hash})" if action.content_hash else ""
            shown("user_visible_output", f"{action.artifact_type} {action.artifact}{hashed}".strip())
        if action.decision:
            by = f" by {action.reviewer}" if action.reviewer else ""
            shown(
                "approval_decisions", f"{action.decision}{by} at {iso(at, 0)}: {action.artifact or action.id}"
            )
            shown("reviewer_labels", f"{action.decision}{by}")
        if action.kind == "tool":
            self._calls[action.tool] = self._calls.get(action.tool, 0) + 1
            server, found, _ = action.tool.partition("/")
            shown("mcp_server_id", server if found else "")
        if action.kind != "run":
            self._effects[action.side_effect] = self._effects.get(action.side_effect, 0) + 1
            if action.cost is not None:
                self._cost += action.cost
                self._priced += 1
            elif action.kind == "model":
                self._unpriced += 1

    def _show(self, name: str, value: str) -> None:
        if not value:
            return
        values = self.values.setdefault(name, {})
        if value not in values:
            if len(values) < VALUES:
                values[value] = None
            else:
                self.more[name] = self.more.get(name, 0) + 1

    def sums(self) -> dict[str, list[str]]:
        """The fields that are counted, not listed."""
        found: dict[str, list[str]] = {}
        calls = sorted(self._calls.items(), key=lambda item: (-item[1], item[0]))
        if calls:
            found["tool_calls"] = [f"{tool or '(unnamed)'} {count:,} times" for tool, count in calls[:VALUES]]
        if self._effects.keys() - {"unknown"}:
            found["side_effects"] = [
                f"{state} {count:,} times" for state, count in sorted(self._effects.items())
            ]
        if self._priced:
            rest = f", {self._unpriced:,} model calls of unknown cost" if self._unpriced else ""
            whole, part = divmod(abs(self._cost), 10**9)
            sign = "-" if self._cost < 0 else ""
            found["cost"] = [f"{sign}{whole}.{part:09d} USD in {self._priced:,} calls{rest}"]
        return found


def query_for(ids: Iterable[tuple[str, str]]) -> Query:
    """What to look for, by the schema's names and values; names that no action carries find nothing."""
    values: dict[str, list[str]] = {}
    for name, value in ids:
        meant = schema.by_name().get(name)
        for searched in meant.searched if meant and value else ():
            values.setdefault(searched, []).append(value)
    return Query(values)


def main() -> int:
    """Search as told by argv (window, case directory) and standard input (a `Query`)."""
    out = sys.stdout.buffer

    def say(said: Said) -> None:
        out.write(msgspec.json.encode(said) + b"\n")
        out.flush()

    window, case = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        os.nice(5)  # whatever is done to contain the incident goes first
        query = msgspec.json.decode(sys.stdin.buffer.read(), type=Query)
        blobs = Blobs(case)
        say(Ended(search(window, query, lambda data: blobs.put(data, MEDIA), say)))
    except StoreTrouble as trouble:
        say(Failed(str(trouble)))
    except BrokenPipeError:
        # Nobody waits for it any more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
