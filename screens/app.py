"""The door: what the command line calls. It draws first and loads the toolkit after."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from screens.skeleton import draw, keys_wait

if TYPE_CHECKING:
    from console.comms.messenger import Messenger
    from console.config import Runner
    from console.containment.ordering import Containing
    from console.desk import Desk
    from console.rollback.reversal import Reversing
    from console.room import Room
    from data.home import Home


def run(
    open_desk: Callable[[], Awaitable[Desk]],
    *,
    start: str = "",
    drill: bool = False,
    keys: Mapping[str, str] | None = None,
    theme: str = "",
    expect_room: bool = True,
    bell: bool = True,
    problems: Sequence[str] = (),
    runner: Runner | None = None,
    constants: Mapping[str, str] = {},
    messenger: Callable[[Room], Messenger] | None = None,
    containing: Callable[[Desk], Containing] | None = None,
    reversing: Callable[[Room, Home], Reversing] | None = None,
) -> int:
    """Run the console on this terminal until it is left. Returns the exit status.

    Args:
        open_desk: opens the record; awaited after the first frame.
        start: the code of an incident, `home` for the list, or nothing: the one left open here, else the newest.
        drill: whether the record is a drill's; only for the first ink.
        keys: overrides of the keymap, command id to keys.
        theme: the name of a theme; nothing = dark.
        expect_room: whether an incident is likely to be open, so that the frame of the room is drawn first.
        bell: whether an alert that pages rings the terminal's bell.
        problems: what is wrong with the configuration, one sentence each, said when the console opens.
        runner: what it says about steps of playbooks that run.
        constants: values of playbooks that are the same in every incident, by name.
        messenger: makes what drafts and sends the messages of an incident.
        containing: makes what carries halts and other moves out.
        reversing: makes what reverses effects of an incident.
    """
    # Threads that share and search take turns with the screen every millisecond instead of every five.
    sys.setswitchinterval(0.001)
    with keys_wait():
        draw(f"{'DRILL  ' if drill else ''}warroom  opening the record…")
        from screens.driver import TolerantDriver
        from screens.warroom import WarRoomApp

        app = WarRoomApp(
            open_desk,
            start=start,
            keys=keys,
            theme=theme,
            expect_room=expect_room,
            bell=bell,
            problems=problems,
            runner=runner,
            constants=constants,
            messenger=messenger,
            containing=containing,
            reversing=reversing,
            driver_class=TolerantDriver,
        )
        app.run()
        return app.return_code or 0


def early() -> AbstractContextManager[None]:
    """Let keys wait for the screens from now on, for whoever has much to do before it calls `run`."""
    return keys_wait()


def unusable(keys: Mapping[str, str], theme: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield what the console would complain about in these settings: where, below `screen`, and a sentence."""
    from screens.keymap import resolve
    from screens.themes import unknown

    if said := unknown(theme):
        yield ("theme",), said
    for said in resolve(keys)[1]:
        about = (
            name
            for name in keys
            if said.startswith((f"keys: {name}:", f"keys: there is no command {name[:64]!r}"))
        )
        yield ("keys", *about), said
