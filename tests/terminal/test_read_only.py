"""A console that only reads: everything can be read, nothing is changed, also beside a console that writes."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.terminal.pty_terminal import Terminal
from tests.terminal.test_terminal import ROOT, console, record


def reading(home: Path) -> Terminal:
    """Return a console on `home` that only reads, opened as a person opens it."""
    command = [sys.executable, "-m", "console.cli", "--home", str(home), "--as", "kim", "open", "--read-only"]
    return Terminal(command, 120, 40, PYTHONPATH=str(ROOT))


def contents(home: Path) -> dict[str, bytes]:
    """Return every file of `home`, without what SQLite keeps beside a database while somebody reads it."""
    files = (path for path in home.rglob("*") if path.is_file() and path.suffix not in (".db-shm", ".db-wal"))
    return {str(path.relative_to(home)): path.read_bytes() for path in files}


def test_it_refuses_what_would_write_and_leaves_no_trace(tmp_path: Path) -> None:
    home = record(tmp_path, "!hold the refunds")
    before = contents(home)
    with reading(home) as terminal:
        terminal.until_shows("READ ONLY")
        terminal.until_shows("hold the refunds")
        for keys in ("a", "i", "D", "3 ", "4r", "2t", "z", "S"):
            terminal.send("\\")  # says something else
            terminal.until_gone("opened for reading only")
            terminal.send(keys)
            terminal.until_shows("opened for reading only")
        terminal.send("2\r")
        terminal.until_shows("Esc back")
        terminal.send("q")
        terminal.until_gone("Esc back")
        terminal.send("<")
        terminal.until_shows("Incidents  1 open")
        terminal.send("D")
        terminal.until_shows("opened for reading only")
        terminal.send(b"\x11")
        assert terminal.wait() == 0, terminal.text
    assert contents(home) == before


def test_it_follows_a_console_that_writes(tmp_path: Path) -> None:
    home = record(tmp_path)
    with console(home) as writer, reading(home) as reader:
        writer.until_shows("unacked")
        reader.until_shows("READ ONLY")
        writer.send("i")
        writer.until_shows("Esc  leave")
        writer.send("seen from both\r")
        reader.until_shows("seen from both")
        writer.until_saved()
        assert "READ ONLY" not in writer.text
