"""What the watcher's window shows of the agents: which there are, what they call, and what their telemetry carries.

Names in it were written by agents: data, to be cleaned before it is shown. Reading changes nothing.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from console.evidence.window import segments
from console.telemetry.action import CALLS, Action

RECENT = 4 * 2**20
"""Bytes that a look takes in, of the newest files: some ten thousand actions, a fraction of a second."""
ALL = 1 << 30
AGENTS, NAMES = 5_000, 1_000
"""Agents, and names of one agent, that are kept apart; further ones are only counted."""
LINE = 1 << 20


@dataclass(slots=True)
class Use:
    """How often something was used, and when first and last (ns UTC)."""

    count: int = 0
    first: int = 0
    last: int = 0

    def add(self, at: int) -> None:
        """Count one more."""
        self.count += 1
        self.first = min(self.first, at) if self.first else at
        self.last = max(self.last, at)


@dataclass(slots=True)
class Seen:
    """What one agent was seen to do."""

    tenant: str
    agent: str
    use: Use = field(default_factory=Use)
    tools: dict[str, Use] = field(default_factory=dict)
    endpoints: dict[str, Use] = field(default_factory=dict)
    principals: set[str] = field(default_factory=set)
    beyond: int = 0
    """Calls of tools and endpoints beyond those that are kept apart."""

    def _name(self, kept: dict[str, Use], name: str, at: int) -> None:
        if name in kept or len(kept) < NAMES:
            kept.setdefault(name, Use()).add(at)
        else:
            self.beyond += 1

    def add(self, action: Action) -> None:
        """Take one action in."""
        self.use.add(action.at)
        if action.kind not in CALLS:
            return
        if action.tool:
            self._name(self.tools, action.tool, action.at)
        if action.endpoint:
            self._name(self.endpoints, action.endpoint, action.at)
        if action.principal and len(self.principals) < NAMES:
            self.principals.add(action.principal)


@dataclass(slots=True)
class Observed:
    """What a look at the window found. Counts are of actions.

    Attributes:
        agents: by tenant and name.
        beyond: actions of further agents than are kept apart.
        calls: actions that are calls.
        tool_calls: calls of a tool.
        whole: whether everything that the window holds was read.
    """

    agents: dict[tuple[str, str], Seen] = field(default_factory=dict)
    beyond: int = 0
    actions: int = 0
    calls: int = 0
    findable: int = 0
    """Calls that carry a trace or a session."""
    reconstructable: int = 0
    """Calls that carry trace, session, bundle and wave."""
    tool_calls: int = 0
    with_principal: int = 0
    reviews: int = 0
    whole_reviews: int = 0
    """Reviews that say the decision, who decided and since when it was presented."""
    whole: bool = True

    def add(self, action: Action) -> None:
        """Take one action in."""
        self.actions += 1
        key = (action.tenant, action.agent)
        seen = self.agents.get(key)
        if seen is None and len(self.agents) < AGENTS:
            seen = self.agents[key] = Seen(*key)
        if seen is None:
            self.beyond += 1
        else:
            seen.add(action)
        if action.kind in CALLS:
            self.calls += 1
            self.findable += bool(action.trace or action.session)
            self.reconstructable += bool(action.trace and action.session and action.bundle and action.wave)
            if action.tool:
                self.tool_calls += 1
                self.with_principal += bool(action.principal)
        elif action.kind == "review":
            self.reviews += 1
            self.whole_reviews += bool(action.decision and action.reviewer and action.presented_at)


def observe(directory: Path, most: int = RECENT) -> Observed:
    """Look at a window, its newest files first.

    Args:
        directory: the window.
        most: bytes to read, after decompression; the file that goes beyond is read to this bound only.
    """
    found = Observed()
    decoder = msgspec.json.Decoder(Action)
    left = most
    for segment in reversed(segments(directory)):
        if left <= 0:
            found.whole = False
            break
        for raw in _lines(segment.path):
            left -= len(raw)
            if left < 0:
                found.whole = False
                break
            try:
                found.add(decoder.decode(raw))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                continue  # the line that is being written, or a damaged one
    return found


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a file; one that goes away or is damaged on the way ends early."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            while raw := file.readline(LINE):
                yield raw
    except (OSError, EOFError, zlib.error):
        return
