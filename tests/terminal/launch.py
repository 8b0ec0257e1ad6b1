"""`python -m tests.terminal.launch HOME`: the console on this terminal, as the command line opens it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from screens.app import run

if TYPE_CHECKING:
    from console.desk import Desk


async def open_desk() -> Desk:
    from pathlib import Path

    from console.desk import Desk
    from data.home import Home

    return await Desk.open(Home.open(Path(sys.argv[1])), "ana")


if __name__ == "__main__":
    sys.exit(run(open_desk, start=sys.argv[2] if len(sys.argv) > 2 else ""))
