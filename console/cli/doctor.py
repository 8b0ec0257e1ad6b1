"""`warroom doctor`."""

from __future__ import annotations

import shutil
import sys
from argparse import Namespace
from textwrap import wrap

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
        text = _folded(visible(finding.text, 8000), "")
        fix = f"\n{'':24}{_folded(visible(finding.fix, 1000), '-> ')}" if finding.fix else ""
        context.say(f"{finding.state:<7} {finding.about:<15} {text}{fix}", finding._asdict())
    return exits.FAILED if broken else exits.OK


def _folded(text: str, lead: str) -> str:
    """Text in the column of findings; on a terminal no word is broken."""
    if not sys.stdout.isatty():
        return lead + text  # one line is easier to search
    width = max(shutil.get_terminal_size().columns - 24, 20)
    folded = wrap(text, width, initial_indent=lead, subsequent_indent=" " * len(lead), break_on_hyphens=False)
    return f"\n{'':24}".join(folded)
