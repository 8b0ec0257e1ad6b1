"""What the configuration says about the warden, checked; and where it keeps what it keeps."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from console.config import Config, home_path
from console.config import Warden as Settings
from console.refusal import Refused
from playbooks.duration import SECOND

TOKEN = "token"  # noqa: S105 - the name of a file
ADDRESS = "address"
SHORTEST, LONGEST, LONGER = 1.0, 60.0, 600.0
"""Seconds: the shortest lease, the longest usual one, and the longest for an agent of low risk."""


class Limits(Struct, frozen=True):
    """Leases in seconds, patterns of agents that may run, agents with longer leases, and the most streams."""

    lease: float = 10.0
    longer: dict[str, float] = {}
    agents: tuple[str, ...] = ("*",)
    streams: int = 15_000


def directory(config: Config, home: str = "") -> Path:
    """Where the warden keeps what it keeps. `home`: as given on the command line."""
    named = config.warden.directory
    return Path(named).expanduser() if named else home_path(config, home) / "warden"


def limits(settings: Settings, streams: int = 15_000) -> Limits:
    """Check what the configuration says about leases. `streams`: how many there may be.

    Raises:
        Refused: a lease is out of its bounds.
    """
    lease = settings.lease / SECOND
    if not SHORTEST <= lease <= LONGEST:
        raise Refused(
            f"`warden.lease` is {lease:g} s: agents would be halted by every hiccup, or far too late.",
            f"Set it from {SHORTEST:g} to {LONGEST:g} s; 10 s is usual.",
        )
    longer = {agent: each / SECOND for agent, each in settings.longer.items()}
    for agent, seconds in longer.items():
        if not lease <= seconds <= LONGER:
            raise Refused(
                f"`warden.longer` gives {agent} {seconds:g} s.",
                f"It may be from {lease:g} to {LONGER:g} s, and only for agents of low risk.",
            )
    return Limits(lease, longer, settings.agents, streams)
