"""Two consoles whose clocks differ: what is written after something was seen comes after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Warroom

AHEAD = """
import time, sys
real = time.time_ns
time.time_ns = lambda: real() + {seconds} * 10**9
from console.cli import run
raise SystemExit(run(sys.argv[1:]))
"""


@pytest.mark.parametrize("seconds", [600, 2 * 86_400])
def test_a_console_with_a_fast_clock_does_not_have_the_last_word(
    warroom: Warroom, tmp_path: Path, seconds: int
) -> None:
    shelf, folder = tmp_path / "shelf", tmp_path / "fast"
    shelf.mkdir()
    folder.mkdir()
    fast = Warroom(folder)
    for each in (warroom, fast):
        each.ok("remote", "add", "team", f"dir:{shelf}")
    fast.command = [fast.command[0], "-c", AHEAD.format(seconds=seconds)]
    code = warroom.quick("declare", "refunds in a loop").out.split()[0]
    for each in (warroom, fast):
        each.ok("sync")
    fast.ok("severity", "4", "it looks small")
    fast.ok("contain", "the key is revoked")
    fast.ok("close", "over")
    for each in (fast, warroom):
        each.ok("sync")
    assert "AHEAD of this console's clock" in warroom("show", "--incident", code).out
    warroom.quick("reopen", "it goes on", "--incident", code)
    warroom.quick("severity", "1", "it is large")
    shown = warroom("show").out
    assert "SEV-1" in shown
    assert "CLOSED" not in shown
    assert "CLOCKS" in shown
    for each in (warroom, fast):
        each.ok("sync")
    assert "SEV-1" in fast("show").out
