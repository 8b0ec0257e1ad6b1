"""Where a warden keeps what it keeps; the files are listed in `daemon`."""

from __future__ import annotations

from pathlib import Path

from console.config import Config, home_path

TOKEN = "token"  # noqa: S105 - the name of a file
ADDRESS = "address"


def directory(config: Config, home: str = "") -> Path:
    """Where the warden keeps what it keeps. `home`: as given on the command line."""
    named = config.warden.directory
    return Path(named).expanduser() if named else home_path(config, home) / "warden"
