"""What the watcher says of itself: intake.json, rewritten about once a second for whoever wants to know.

It imports nothing heavy, so that whoever reads it stays light.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from data.lock import Holder, holder

NAME = "intake.json"
LOCK = "watcher.lock"
"""Held by the watcher while it runs. Not the lock of its case, which a console may hold for a moment."""
SENDERS = 500
"""Senders that are counted apart; further ones are counted together as `others`."""
OTHERS = "others"


class Sender(msgspec.Struct):
    """One source of telemetry: an OTLP service, a file, or standard input. Counts since the watcher started.

    Attributes:
        name: as it calls itself, or the path of the file. Written by agents: clean it before it is shown.
        kind: otlp, jsonl or stdin.
        accepted: actions given to the tripwires.
        refused: records that could not be taken in, by reason.
        late: actions too late for their place in the hour.
        duplicate: actions that had been received before.
        skewed: actions stamped in the future.
        unknown_cost: model calls without a known cost.
        unattributed: calls that name no agent.
        provisional: actions whose agent is a guess.
        last_seen: when it last sent anything, nanoseconds UTC; 0 = not yet.
    """

    name: str
    kind: str
    accepted: int = 0
    refused: dict[str, int] = {}
    late: int = 0
    duplicate: int = 0
    skewed: int = 0
    unknown_cost: int = 0
    unattributed: int = 0
    provisional: int = 0
    last_seen: int = 0


class Status(msgspec.Struct):
    """The watcher at one moment. Times are nanoseconds UTC by the home's clock.

    Attributes:
        pid: the watcher's process.
        started_at: when it started.
        at: when this was written.
        addresses: URLs that take OTLP, without path; empty when none do.
        port: where OTLP was taken in, also after the end.
        senders: who sent what.
        agents: how many agents the tripwires know, by state: learning, armed, firing.
        blind: what the tripwires cannot see, and why. May name senders: clean it before it is shown.
        journal_bytes: what a restart would read again.
        saved_at: when the baselines were last written; 0 = not yet.
        trouble: what is wrong, one sentence each.
    """

    pid: int
    started_at: int
    at: int
    v: int = 1
    addresses: list[str] = []
    port: int = 0
    senders: list[Sender] = []
    agents: dict[str, int] = {}
    blind: list[str] = []
    journal_bytes: int = 0
    saved_at: int = 0
    trouble: list[str] = []


class Senders:
    """The counters of all senders, bounded."""

    def __init__(self) -> None:
        self._senders: dict[tuple[str, str], Sender] = {}

    def of(self, kind: str, name: str) -> Sender:
        """Return the counters of one sender, or those of `others` when there are too many."""
        sender = self._senders.get((kind, name))
        if sender is None:
            if len(self._senders) >= SENDERS:
                name = OTHERS
            sender = self._senders.setdefault((kind, name), Sender(name[:256], kind, refused={}))
        return sender

    def all(self) -> list[Sender]:
        """Return every sender, the one seen last first."""
        return sorted(self._senders.values(), key=lambda sender: -sender.last_seen)


def refuse(sender: Sender, reason: str, count: int = 1) -> None:
    """Count a refusal under its kind, which is what stands before the first colon; at most 50 kinds."""
    kind = reason.partition(":")[0]
    if kind not in sender.refused and len(sender.refused) >= 50:
        kind = OTHERS
    sender.refused[kind] = sender.refused.get(kind, 0) + count


def write(directory: Path, status: Status) -> None:
    """Replace intake.json in one step.

    Raises:
        OSError: it could not be written; the one before still stands.
    """
    temporary = directory / f".{NAME}.{os.getpid()}"
    raw = msgspec.json.format(msgspec.json.encode(status), indent=1)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
        temporary.replace(directory / NAME)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def read(directory: Path) -> Status | None:
    """Return what the watcher last said, or None when there is nothing readable."""
    try:
        with (directory / NAME).open("rb") as file:
            return msgspec.json.decode(file.read(4 * 2**20), type=Status)
    except (OSError, msgspec.DecodeError, RecursionError):
        return None


def running(directory: Path) -> Holder | None:
    """Return the process that watches, or None when none does. `directory`: the home's watch directory."""
    return holder(directory / LOCK)
