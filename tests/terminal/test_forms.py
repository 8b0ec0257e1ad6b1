"""A form on a real terminal: what was answered is there after kill -9."""

from __future__ import annotations

from pathlib import Path

from tests.terminal.test_terminal import console, kill_once_kept, record


def test_a_half_filled_form_survives_kill_nine(tmp_path: Path) -> None:
    home = record(tmp_path)
    with console(home) as terminal:
        terminal.until_shows("unacked")
        terminal.send("I3")
        terminal.until_shows("Which workflow is affected?")
        terminal.send("refunds of the week\r2half a sen")
        terminal.until_shows("half a sen")
        kill_once_kept(terminal, home, "half a sen")
    with console(home) as terminal:
        terminal.until_shows("A form was left half filled")
        terminal.send("I")
        terminal.until_shows("half filled")
        terminal.send("3")
        terminal.until_shows("refunds of the week")
        terminal.until_shows("half a sen")
        terminal.until_shows("3/7")
