"""One reading of telemetry for effects: a process of its own, so that the screen never waits for it.

The query comes on standard input, with the directory of the window and the blobs of earlier captures. What is found
goes to standard output, a line of JSON each. It only reads: killed at any moment, nothing is lost.
"""

from __future__ import annotations

import gzip
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
from msgspec import Struct

from console.events import Effect
from console.evidence.search import CHUNK, LINE, During
from console.evidence.window import held
from console.rollback.signs import Rules, effect, unsaid
from console.telemetry.action import Action

BATCH = 500
TRACES = 200_000
"""Traces that are followed, and artifacts whose readers are looked for."""
NAMED = 20
"""Names of tools that are told in an answer."""


class Query(Struct, frozen=True):
    """What is looked for.

    Attributes:
        spans: whose effects, and from when to when.
        rules: how they are recognised.
        window: directory of the rolling window, which need not exist.
        blobs: files of telemetry that was captured before.
        downstream: whether effects of others in the same traces, and readers of what was written, are looked for.
    """

    spans: list[During]
    rules: Rules
    window: str
    blobs: list[str] = []
    downstream: bool = True


class Progress(Struct, frozen=True, tag_field="is", tag="progress"):
    """How far it is: bytes read of all that will be read, as far as is known."""

    done: int
    total: int


class Rows(Struct, frozen=True, tag_field="is", tag="rows"):
    """Effects that were found. `downstream`: of agents that the query does not name, in the traces of those it does."""

    rows: list[Effect]
    downstream: bool = False


class Touched(Struct, frozen=True):
    """An agent outside of the query that hangs together with it. `since`: its first such action, ns UTC."""

    tenant: str
    agent: str
    since: int
    count: int


class Ended(Struct, frozen=True, tag_field="is", tag="ended"):
    """It is over.

    Attributes:
        looked: records that were looked at.
        actions: those by the agents of the query in their spans.
        damaged: lines and files that could not be read.
        unsaid: calls of which nothing says whether they had an effect, by tool, the most frequent first.
        downstream: other agents with effects in the same traces.
        readers: other agents that read what was written.
        begins: when the oldest file of the window was begun, ns UTC; 0 = it is empty.
    """

    looked: int = 0
    actions: int = 0
    damaged: int = 0
    unsaid: dict[str, int] = {}
    downstream: list[Touched] = []
    readers: list[Touched] = []
    begins: int = 0


Said = Progress | Rows | Ended


class _Seen(Struct, frozen=True, gc=False):
    """What is looked at of every record."""

    at: int
    agent: str
    tenant: str = "default"
    trace: str = ""
    artifact: str = ""


_SEEN = msgspec.json.Decoder(_Seen)
_ACTION = msgspec.json.Decoder(Action)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def look(query: Query, tell: Callable[[Said], None]) -> None:
    """Read the telemetry and tell what is found; the last thing told is an `Ended`."""
    with held(Path(query.window)) as segments:
        files = [(each.path, each.path.stat().st_size) for each in segments]
        for name in query.blobs:
            with suppress(OSError):
                files.append((Path(name), Path(name).stat().st_size))
        _Reading(query, files, segments[0].start if segments else 0, tell).run()


class _Reading:
    def __init__(
        self, query: Query, files: list[tuple[Path, int]], begins: int, tell: Callable[[Said], None]
    ) -> None:
        self._query, self._files, self._begins, self._tell = query, files, begins, tell
        self._spans: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for each in query.spans:
            self._spans.setdefault((each.tenant, each.agent), []).append((each.since, each.until))
        self._passes = 2 if query.downstream else 1
        self._done = self._looked = self._damaged = self._actions = 0
        self._unsaid: Counter[str] = Counter()
        self._traces: set[str] = set()
        self._written: dict[str, int] = {}
        """Artifact to when it was first written, ns UTC."""

    def run(self) -> None:
        self._own()
        damaged = self._damaged  # the second reading meets the same
        downstream: dict[tuple[str, str], Touched] = {}
        readers: dict[tuple[str, str], Touched] = {}
        if self._query.downstream and (self._traces or self._written):
            self._others(downstream, readers)
        self._tell(
            Ended(
                self._looked,
                self._actions,
                damaged,
                dict(self._unsaid.most_common(NAMED)),
                list(downstream.values()),
                list(readers.values()),
                self._begins,
            )
        )

    def _own(self) -> None:
        """The effects of the agents that the query names."""
        found = _Found(self._tell)
        for seen, line in self._records():
            self._looked += 1
            if not self._within(seen):
                continue
            action = self._action(line)
            if action is None:
                continue
            self._actions += 1
            if seen.trace and len(self._traces) < TRACES:
                self._traces.add(seen.trace)
            row = effect(action, self._query.rules)
            if row is not None:
                found.take(row)
                if action.artifact and len(self._written) < TRACES:
                    self._written.setdefault(action.artifact, action.at)
            elif unsaid(action):
                self._unsaid[action.tool or action.endpoint or action.kind] += 1
        found.flush()

    def _others(
        self, downstream: dict[tuple[str, str], Touched], readers: dict[tuple[str, str], Touched]
    ) -> None:
        """What others did in the same traces, and who read what was written."""
        found = _Found(self._tell, downstream=True)
        for seen, line in self._records():
            who = (seen.tenant, seen.agent)
            if who in self._spans:
                continue
            if seen.trace and seen.trace in self._traces and (action := self._action(line)) is not None:
                row = effect(action, self._query.rules)
                if row is not None and found.take(row):
                    _touch(downstream, who, seen.at)
            # A read may name several records, with a comma between them.
            if seen.artifact and any(
                self._written.get(each, seen.at + 1) <= seen.at for each in seen.artifact.split(",")
            ):
                _touch(readers, who, seen.at)
        found.flush()

    def _within(self, seen: _Seen) -> bool:
        spans = self._spans.get((seen.tenant, seen.agent))
        return spans is not None and any(since <= seen.at <= until for since, until in spans)

    def _action(self, line: bytes) -> Action | None:
        try:
            return _ACTION.decode(line)
        except _UNREADABLE:
            self._damaged += 1
            return None

    def _records(self) -> Iterator[tuple[_Seen, bytes]]:
        """Every record with its line, file by file."""
        self._passes -= 1
        whole = sum(size for _, size in self._files)
        for path, size in self._files:
            try:
                yield from self._lines(path, size)
            except (OSError, EOFError, zlib.error):
                self._damaged += 1
            self._done += size
            self._tell(Progress(self._done, self._done + whole * self._passes + 1))

    def _lines(self, path: Path, size: int) -> Iterator[tuple[_Seen, bytes]]:
        rest = b""
        with path.open("rb") as raw:
            packed = path.suffix == ".gz"
            stream = cast("BinaryIO", gzip.GzipFile(fileobj=raw) if packed else raw)
            left = size
            while chunk := stream.read(CHUNK if packed else min(CHUNK, left)):
                left -= len(chunk)
                lines = (rest + chunk).split(b"\n")
                # What is left at the very end has no end: it is being written now, or its writer was killed.
                rest = lines.pop()
                for line in filter(None, lines):
                    try:
                        yield _SEEN.decode(line), line
                    except _UNREADABLE:
                        self._damaged += 1
                if len(rest) > LINE:
                    rest = b""
                    self._damaged += 1


class _Found:
    """Tells effects in batches, each once; of several attempts at one effect the one that took place counts."""

    def __init__(self, tell: Callable[[Said], None], *, downstream: bool = False) -> None:
        self._tell, self._downstream = tell, downstream
        self._rows: dict[str, Effect] = {}

    def take(self, row: Effect) -> bool:
        """Take an effect in. Returns whether it is new."""
        known = self._rows.get(row.id)
        if known is None or (known.state == "unknown" and row.state == "done"):
            self._rows[row.id] = row
        return known is None

    def flush(self) -> None:
        rows = list(self._rows.values())
        for start in range(0, len(rows), BATCH):
            self._tell(Rows(rows[start : start + BATCH], self._downstream))


def _touch(touched: dict[tuple[str, str], Touched], who: tuple[str, str], at: int) -> None:
    known = touched.get(who)
    if known is None:
        touched[who] = Touched(*who, at, 1)
    else:
        touched[who] = Touched(*who, min(known.since, at), known.count + 1)


def main() -> None:
    """Read one query from standard input and answer it on standard output."""
    query = msgspec.json.decode(sys.stdin.buffer.read(), type=Query)
    out = sys.stdout.buffer

    def tell(said: Said) -> None:
        out.write(msgspec.json.encode(said) + b"\n")
        out.flush()

    with suppress(BrokenPipeError):
        look(query, tell)


if __name__ == "__main__":
    main()
