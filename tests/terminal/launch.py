"""`python -m tests.terminal.launch HOME`: the console on this terminal, as the command line opens it."""

from __future__ import annotations

import sys
from pathlib import Path

from console.desk import Desk
from data.home import Home
from screens.app import run


async def open_desk() -> Desk:
    return await Desk.open(Home.open(Path(sys.argv[1])), "ana")


if __name__ == "__main__":
    sys.exit(run(open_desk, start=sys.argv[2] if len(sys.argv) > 2 else ""))
