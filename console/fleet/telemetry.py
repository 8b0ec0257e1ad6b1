"""What agents did as lines of JSON, in the file that the watcher follows (docs/telemetry-jsonl.md)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

FILE = "actions.jsonl"
SECOND = 1_000_000_000
REVIEWED_BEFORE, READ_FOR = 20 * SECOND, 75 * SECOND
"""A mail or document was approved that long before it went out; the reviewer had had it that much longer."""


class Telemetry:
    """Appends lines; every process of the fleet has the file open.

    Each line is one write at the end of the file, which the system keeps whole.
    """

    def __init__(self, root: Path) -> None:
        self._file = os.open(root / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def tell(self, at: int, agent: str, tenant: str, id: str, **fields: Any) -> None:
        """Write one action. `at`: ns UTC, when it was over; `fields`: as in docs/telemetry-jsonl.md."""
        line = {"at": at, "agent": agent, "tenant": tenant, "id": id, **fields}
        os.write(self._file, json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def review(self, at: int, agent: str, tenant: str, artifact: str, kind: str, digest: str) -> None:
        """Write the approval of an artifact that goes out at `at`."""
        decided = at - REVIEWED_BEFORE
        self.tell(
            decided,
            agent,
            tenant,
            f"{artifact}.review",
            kind="review",
            artifact=artifact,
            artifact_type=kind,
            content_hash=digest,
            decision="approved",
            presented_at=decided - READ_FOR,
            reviewer="support-desk",
        )
