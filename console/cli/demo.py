"""`warroom demo`: a rehearsal on a synthetic incident, on the console or as plain lines."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from argparse import Namespace
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from console.cli import exits
from console.cli.context import Context
from console.cli.open import console, keys_wait, terminal
from console.cli.trouble import complain
from console.refusal import Refused

if TYPE_CHECKING:
    from console.drills.demo import Drill
    from playbooks.schema import Scenario

HEADLESS_SPEED = 60.0
PATIENCE = 50.0
"""Real seconds that a headless drill gets at its usual speed."""


def run(options: Namespace) -> int:
    """`warroom demo`."""
    headless = options.headless or not terminal()
    # Everything that takes time comes after this, also what has to be imported.
    with nullcontext() if headless else keys_wait():
        return _rehearse(Context(options), headless=headless)


def _rehearse(context: Context, *, headless: bool) -> int:
    from console.drills.demo import Drill
    from playbooks import library, load

    options = context.options
    try:
        scenario = load.scenario(options.scenario)
    except KeyError:
        raise Refused(
            f"There is no scenario {options.scenario}.", f"Known: {', '.join(load.scenarios())}."
        ) from None
    if headless and not library.in_force().find(f"scenarios/{scenario.id}")[0].own:
        library.overlay_by(tuple)  # its script names items of the shipped documents
    speed = options.speed or (HEADLESS_SPEED if headless else 1.0)
    if headless:
        # Ended from outside, a drill still has to end its agents and to remove its home.
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    keep = Path(options.keep).expanduser() if options.keep else None
    drill = Drill(scenario, speed, options.seed, keep)
    try:
        return _plain(context, drill, speed) if headless else _on_screen(context, drill)
    finally:
        drill.close()
        if drill.path.exists():
            complain(f"the drill is kept in {drill.path}; look at it with `warroom --home {drill.path}`.")
        else:
            complain("the drill's store is removed; `--keep DIR` would keep it.")


def _on_screen(context: Context, drill: Drill) -> int:
    return console(lambda: drill.desk(context.actor, context.role), drill.home, context.config, "home")


def _plain(context: Context, drill: Drill, speed: float) -> int:
    from console.cli.log import arrived
    from console.cli.verify import check
    from console.drills.script import Player

    scenario: Scenario = drill.scenario
    context.say(f"DRILL - not a real incident. {scenario.title}, {speed:g} times as fast as it happened.")
    context.say(
        f"{len(scenario.agents)} agents had {scenario.history // 86_400} quiet days: {drill.past:,} actions."
    )
    # A slower drill may take longer; what is waited for lies within its first ten minutes.
    ends = time.monotonic() + max(PATIENCE, 600 / speed)
    trouble = asyncio.run(
        Player(drill, context.say, lambda event: arrived(context, event)).play(
            lambda: time.monotonic() > ends
        )
    )
    for case in drill.home.cases():
        if not check(context, f"INC-{case[:4].upper()}", drill.home.case_dir(case)):
            trouble = trouble or "The record is damaged."
    if not check(context, "watch", drill.home.watch_dir):
        trouble = trouble or "The record is damaged."
    if trouble:
        complain(trouble)
        return exits.FAILED
    context.say("DRILL over: every tripwire paged, the response is on the record, and the record is sound.")
    return exits.OK
