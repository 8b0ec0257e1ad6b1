"""`warroom`: opens the console, and starts a watcher for as long as it is open when none runs."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from console.cli.context import Context
from console.cli.trouble import complain
from console.config import Config
from console.refusal import Refused

if TYPE_CHECKING:
    from console.child import Child
    from console.comms.messenger import Messenger
    from console.comms.outbox import Outbox
    from console.containment.ordering import Containing
    from console.desk import Desk
    from console.rollback.reversal import Reversing
    from console.room import Room
    from data.home import Home


def run(options: Namespace) -> int:
    """`warroom open`, and `warroom` alone."""
    if not terminal():
        raise Refused(
            "The console needs a terminal.", "Without one: `warroom show`, `log`, `note`, `ack`; see --help."
        )
    context = Context(options)
    home = context.home(create=not options.read_only)
    if not options.read_only:
        unlock(home)

    async def open_desk() -> Desk:
        from console.desk import Desk
        from console.evidence.capture import Capture
        from console.sharing import meeting

        child = None if options.no_watch or options.read_only else _watcher(home)
        desk = await Desk.open(
            home, context.actor, context.role, child, context.config.profile,
            read_only=options.read_only, meeting=meeting(context.config, home), capture=Capture(home),
            outbox=_outbox(context, home),
        )  # fmt: skip
        desk.organise(context.config)
        return desk

    return console(open_desk, home, context.config, options.incident or "")


def _outbox(context: Context, home: Home) -> Outbox | None:
    if not context.config.sender:
        return None
    from console.comms.outbox import Outbox  # nobody waits for it who sends nothing

    return Outbox(home, context.config.sender, redaction=context.redaction)


def unlock(home: Home) -> None:
    """Ask for the passphrase of this console's key if it has one and nobody gave it.

    Raises:
        StoreTrouble: it was wrong three times.
    """
    from data.identity import FILE, Locked

    file = home.path / FILE
    if home.former:
        home.identity  # noqa: B018 - made now: before the screen is drawn, and once for all that write here
    if os.environ.get("WARROOM_PASSPHRASE") or not file.is_file() or b"ENCRYPTED" not in file.read_bytes():
        return
    from getpass import getpass

    for left in (2, 1, 0):
        try:
            given = getpass("Passphrase of this console's key: ")
        except EOFError:
            return  # nobody is there to be asked; whatever needs the key says so
        try:
            home.unlock(given)
        except Locked as trouble:
            if not left:
                raise
            complain(trouble.what)
        else:
            os.environ["WARROOM_PASSPHRASE"] = given  # the watcher is a process of its own and signs too
            return


def _watcher(home: Home) -> Child:
    if home.mode == "drill":
        from console.drills import demo

        return demo.watcher(home)
    from console.child import Child

    return Child(home)


def console(open_desk: Callable[[], Awaitable[Desk]], home: Home, config: Config, start: str = "") -> int:
    """Run the screens on `home` until they are left; returns the exit code."""
    from screens.app import run as run_screens

    def messenger(room: Room) -> Messenger:
        from console.comms.messenger import Messenger  # nobody waits for it who sends nothing

        return Messenger(room, config)

    def containing(desk: Desk) -> Containing:
        from console.containment.ordering import Containing  # nobody waits for it before the first frame

        return Containing.configured(config, home.path, home.mode, actor=desk.actor, clock=desk.clock)

    def reversing(room: Room, home: Home) -> Reversing:
        from console.rollback.reversal import Reversing

        return Reversing(room, home, config)

    return run_screens(
        open_desk,
        start=start,
        drill=home.mode == "drill",
        keys=config.screen.keys,
        theme=config.screen.theme,
        bell=config.screen.bell,
        problems=[str(problem) for problem in config.problems],
        runner=config.runner,
        constants=config.playbooks.values,
        messenger=messenger,
        containing=containing,
        reversing=reversing,
        expect_room=bool(home.cases()),
    )


def keys_wait() -> AbstractContextManager[None]:
    """What is typed before the screens are there waits for them, instead of being echoed or taken by the terminal."""
    from screens.app import early

    return early()


def checked(config: Config) -> Config:
    """Return `config` with what only its users can tell: themes and keys that there are not, leases that cannot be."""
    from console.warden.settings import limits
    from screens.app import unusable

    for path, what in unusable(config.screen.keys, config.screen.theme):
        config = config.refuse(("screen", *path), what)
    try:
        limits(config.warden)
    except Refused as refused:
        config = config.refuse(("warden", "lease"), str(refused))
    return config


def terminal() -> bool:
    """Whether there is a terminal to draw on and to read from."""
    return sys.stdin.isatty() and sys.stderr.isatty()
