"""What every command needs first: the configuration, the home, who acts, and the way to print."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console import plain, shown
from console.cli.output import printing
from console.cli.trouble import complain
from console.config import Config, home_path, load
from console.refusal import Refused
from playbooks import library

if TYPE_CHECKING:
    from console.desk import Desk
    from console.evidence.redaction import Redaction
    from console.incident import Incident
    from console.room import Room
    from data.home import Home

WIDE = 100_000


class Context:
    """One call of the command line.

    Args:
        options: the parsed command line.
    """

    def __init__(self, options: Namespace) -> None:
        self.options = options
        shown.mask_by(lambda: self.redaction)
        library.overlay_by(lambda: self.overlays)

    @cached_property
    def config(self) -> Config:
        """The configuration; its mistakes are counted on stderr, once."""
        config = load()
        if config.problems:
            mistakes = "1 mistake" if len(config.problems) == 1 else f"{len(config.problems)} mistakes"
            complain(
                f"the configuration has {mistakes}; defaults stand in. `warroom config check` lists them."
            )
        return config

    @cached_property
    def redaction(self) -> Redaction:
        """What is masked: --policy, else the configuration."""
        from console.evidence.redaction import Redaction

        settings = self.config.redaction
        return Redaction(getattr(self.options, "policy", None) or settings.policy, settings.extra)

    @property
    def unmasks(self) -> bool:
        """Whether --policy shows what the configuration masks."""
        order = ("none", "secrets", "secrets+personal")
        asked = getattr(self.options, "policy", None) or self.config.redaction.policy
        return order.index(asked) < order.index(self.config.redaction.policy)

    @cached_property
    def directory(self) -> Path:
        """The home directory, which need not exist."""
        return home_path(self.config, self.options.home or "")

    @cached_property
    def overlays(self) -> tuple[Path, ...]:
        """The directories with the team's own documents of the runbook."""
        from console.runbook import overlays

        return overlays(self.config, self.directory, getattr(self.options, "playbooks", None) or "")

    @cached_property
    def actor(self) -> str:
        """Who acts: --as, else me.name of the configuration, else the login."""
        name = (getattr(self.options, "actor", None) or self.config.me.name or _login()).strip()
        if not name.isprintable() or not 1 <= len(name) <= 128:
            raise Refused(
                "That name cannot stand on the record.", "Use 1 to 128 printable characters with --as."
            )
        return name

    @cached_property
    def role(self) -> str:
        """The role to write where the actor holds none in the incident."""
        role = (getattr(self.options, "role", None) or self.config.me.role).strip()
        if not (role.isprintable() or not role) or len(role) > 64:
            raise Refused(
                "That role cannot stand on the record.", "Use up to 64 printable characters with --role."
            )
        return role

    def home(self, *, create: bool = False) -> Home:
        """Open the home directory, as a drill when that is what it is.

        Args:
            create: make it when there is none.

        Raises:
            Refused: there is none, and it is not to be made.
            StoreTrouble: it cannot be used.
        """
        from data.home import Home

        mode = kept_mode(self.directory)
        if mode is None and not create:
            raise Refused(
                f"There is no war room in {self.directory}.",
                'Declare an incident (warroom declare "…"), or name another home with --home.',
            )
        home = Home.open(self.directory, "drill" if mode == "drill" else "live")
        if home.former:
            complain(
                "the key of this console is gone (identity.pem): the next entry makes a new one, which is on no"
                f" roster; what {home.former[:8]} wrote stays. To go on as {home.former[:8]}, put the old"
                f" identity.pem back into {home.path}."
            )
        if home.mode == "drill":
            complain("DRILL - not a real incident")
        return home

    @asynccontextmanager
    async def desk(self, *, create: bool = False, reading: bool = False) -> AsyncIterator[Desk]:
        """Open the desk of the home, and close it at the end. `reading`: nothing is written, and no key made."""
        from console.desk import Desk

        desk = await Desk.open(
            self.home(create=create), self.actor, self.role, profile=self.config.profile, read_only=reading
        )
        desk.organise(self.config)
        try:
            yield desk
        finally:
            await desk.close()

    @asynccontextmanager
    async def room(self, *, reading: bool = False) -> AsyncIterator[Room]:
        """Open the room of the incident that is meant. `reading`: as in `desk`."""
        async with self.desk(reading=reading) as desk:
            yield await desk.enter((await self.incident(desk)).case)

    async def incident(self, desk: Desk) -> Incident:
        """Find the incident that is meant."""
        state = await desk.find(self.options.incident or "")
        if not self.options.incident:
            # The newest open one that can be read: it may not be the one that was meant.
            self.say_unreadable(desk)
        return state

    def say_unreadable(self, desk: Desk) -> None:
        """Say which incidents were left out because they cannot be read."""
        for case, trouble in desk.unreadable.items():
            complain(f"INC-{case[:4].upper()} is left out: {trouble}")

    def say(self, text: str, value: Mapping[str, Any] | None = None, *, unmasked: bool = False) -> None:
        """Print a line: `text` for people, or `value` as JSON when that was asked for.

        Args:
            text: masked on the way, as `value` is; what is cut before it gets here is masked before that.
            value: the same for programs.
            unmasked: as it is on the record, because an entry says that somebody looks at it.
        """
        with printing():
            if not getattr(self.options, "json", False):
                print((plain.visible if unmasked else shown.visible)(text, WIDE, lines=True))
            elif value is not None:
                print(to_json(value if unmasked else shown.values(value)))


def to_json(value: Mapping[str, Any]) -> str:
    """One line of ASCII: whatever is in `value`, a terminal cannot take it for a command."""
    import json

    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace("\x7f", "\\u007f")


def kept_mode(directory: Path) -> str | None:
    """What a home directory is for, `live` or `drill`; None when there is no home."""
    import msgspec

    try:
        kept = msgspec.json.decode((directory / "home.json").read_bytes()[: 1 << 16])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return "unreadable"
    return "drill" if isinstance(kept, dict) and kept.get("mode") == "drill" else "live"


def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
