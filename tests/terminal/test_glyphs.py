"""Every character that the screens draw takes the cells on a terminal that the layout reckons with."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Literal

import pytest
from rich.cells import cell_len
from textual._border import BORDER_CHARS
from wcwidth import wcwidth

from console.plain import visible
from tests.screens.stage import HOSTILE
from tests.terminal.pty_terminal import Terminal
from tests.terminal.test_terminal import ROOT

SOURCES = ("screens", "console/plain.py", "console/timeline.py", "playbooks")
BORDERS: tuple[Literal["round", "heavy"], ...] = ("round", "heavy")
MEASURE = """
import json, re, sys, termios, tty
texts = json.load(open(sys.argv[1]))
tty.setraw(0)
cells = []
for text in texts:
    sys.stdout.write("\\x1b[H" + text + "\\x1b[6n")
    sys.stdout.flush()
    answer = ""
    while not answer.endswith("R"):
        answer += sys.stdin.read(1)
    cells.append(int(re.search(r";(\\d+)R", answer)[1]) - 1)
json.dump(cells, open(sys.argv[2], "w"))
"""


def glyphs() -> list[str]:
    """Return every character beyond ASCII that the screens may draw of themselves."""
    files = [file for source in SOURCES for file in _files(ROOT / source)]
    written = {char for file in files for char in file.read_text() if not char.isascii()}
    borders = {char for name in BORDERS for row in BORDER_CHARS[name] for char in row if char.strip()}
    marks = {visible(chr(point)) for point in (*range(0x20), 0x7F)} - {"    "}
    return sorted(written | borders | marks)


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [*path.rglob("*.py"), *path.rglob("*.yaml")]


def on_tmux(texts: list[str], directory: Path) -> list[int]:
    """Return where the cursor of tmux stands after each of `texts`."""
    (directory / "texts").write_text(json.dumps(texts))
    (directory / "measure.py").write_text(MEASURE)
    command = [sys.executable, *(str(directory / name) for name in ("measure.py", "texts", "cells"))]
    session = ["tmux", "-u", "-f", "/dev/null", "-S", str(directory / "socket"), "new-session", *command]
    with Terminal(session, 400, 5, TMUX="") as terminal:
        assert terminal.wait() == 0, terminal.text
    return list(json.loads((directory / "cells").read_text()))


def test_ours_are_one_cell_wide() -> None:
    assert [
        (char, wcwidth(char), cell_len(char))
        for char in glyphs()
        if wcwidth(char) != 1 or cell_len(char) != 1
    ] == []


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_a_terminal_draws_them_as_wide_as_we_reckon(tmp_path: Path) -> None:
    texts = [
        *glyphs(),
        *(visible(text) for name, text in HOSTILE.items() if name not in ("wide", "combining")),
    ]
    drawn = on_tmux(texts, tmp_path)
    assert [(text, cells) for text, cells in zip(texts, drawn, strict=True) if cells != cell_len(text)] == []
