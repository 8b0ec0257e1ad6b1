"""`warroom watch`: the watcher in the foreground, or one pass over stored actions."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from console.cli import exits
from console.cli.context import Context
from console.cli.trouble import complain
from console.config import Config, load
from console.refusal import Refused

if TYPE_CHECKING:
    from console.telemetry.jsonl import Refusal

STDIN = Path("-")


def run(options: Namespace) -> int:
    """`warroom watch`."""
    context = Context(options)
    paths = [Path(name).expanduser() for name in options.jsonl]
    if options.until_end:
        _complain(context.config)
        return _until_end(context, paths)
    from console.watch import run as watch

    files = [path for path in paths if path != STDIN]
    home, config = context.home(create=True), context.config
    if home.mode == "drill":
        from console.drills import demo

        config = load(home.path / demo.CONFIG)
        files.append(home.path / demo.ACTIONS)
    _complain(config)
    watch(home, config, files=files, stdin=STDIN in paths, say=complain)
    return exits.OK


def _complain(config: Config) -> None:
    for problem in config.problems:
        complain(str(problem))


def _until_end(context: Context, paths: list[Path]) -> int:
    """Read to the end and print every alert. Stateless: needs no home and leaves none behind."""
    if not paths:
        raise Refused("Which actions?", "Name files with --jsonl FILE; - is standard input.")
    from console.watching.replay import watch_until_end

    def refuse(refusal: Refusal) -> None:
        where = f"{refusal.source}:{refusal.line}" if refusal.line else refusal.source
        complain(f"{where}: {refusal.reason}")

    done = watch_until_end(
        None, paths, context.config, lambda alert: context.say(alert["sentence"], alert), refuse
    )
    for rule, why in done.blind.items():
        complain(f"the tripwire {rule} is blind: {why}.")
    complain(
        f"{done.actions:,} actions, {done.alerts:,} alerts; {done.refused:,} records refused, "
        f"{done.duplicates:,} duplicates, {done.late:,} too late for their hour."
    )
    return exits.OK
