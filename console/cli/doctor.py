"""`warroom doctor`."""

from __future__ import annotations

from argparse import Namespace

from msgspec.structs import replace

from console.cli import exits
from console.cli.context import Context, kept_mode
from console.cli.open import checked
from console.config import home_path, load
from console.doctor import examine
from console.drills.demo import CONFIG
from console.shown import visible
from data.clock import SystemClock


def run(options: Namespace) -> int:
    """`warroom doctor`."""
    context = Context(options)
    config = checked(load())
    path = home_path(config, options.home or "").absolute()
    mode = kept_mode(path)
    if mode == "drill":
        # A drill watches its own agents.
        config = replace(config, agent=load(path / CONFIG).agent)
    broken = False
    for finding in examine(config, path, mode, SystemClock().now()):
        broken = broken or finding.state == "BROKEN"
        fix = f"\n{'':24}-> {visible(finding.fix, 1000)}" if finding.fix else ""
        context.say(
            f"{finding.state:<7} {finding.about:<15} {visible(finding.text, 2000)}{fix}", finding._asdict()
        )
    return exits.FAILED if broken else exits.OK
