"""The console on a real terminal: what survives, what is restored, what never reaches it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from console.desk import Desk
from console.events import RoleAssigned
from data.home import Home
from tests.screens.stage import ALERTS, HOSTILE, facts, watch
from tests.terminal.pty_terminal import Terminal

ROOT = Path(__file__).parents[2]
LAUNCH = [sys.executable, "-m", "tests.terminal.launch"]


def record(path: Path, *notes: str, title: str = "refund agent books twice") -> Path:
    """Make a home with one open incident. Returns its path."""

    async def make() -> None:
        home = Home.open(path / "home")
        watch(home, *ALERTS)
        desk = await Desk.open(home, "ana")
        room = await desk.declare(title, 1, alerts=[ALERTS[0].id])
        for note in notes:
            await room.note(note)
        await desk.close()

    asyncio.run(make())
    return path / "home"


def console(home: Path, columns: int = 120, rows: int = 40, *more: str) -> Terminal:
    """Return the console on `home`, on a terminal of its own."""
    return Terminal([*LAUNCH, str(home), *more], columns, rows, PYTHONPATH=str(ROOT))


def test_a_draft_survives_kill_nine(tmp_path: Path) -> None:
    home = record(tmp_path)
    with console(home) as terminal:
        terminal.until_shows("unacked")
        terminal.send("i")
        terminal.until_shows("Esc  leave")
        terminal.send("!hold the refunds")
        terminal.until_shows("hold the refunds")
        kill_once_kept(terminal, home, "!hold the refunds")
    with console(home) as terminal:
        terminal.until_shows("is back")
        terminal.until_shows("!hold the refunds")
        # Whoever presses Enter the moment it comes back may have meant something else.
        terminal.send("\r")
        terminal.until_shows("NOT saved")
        terminal.send("\r")
        terminal.until_saved()
        terminal.until_shows("! ana")
    with console(home) as terminal:
        terminal.until_shows("! ana")
        assert "is back" not in terminal.text


def kill_once_kept(terminal: Terminal, home: Path, text: str) -> None:
    """`kill -9` the console as soon as `text` is among its drafts on disk."""
    drafts = next((home / "cases").iterdir()) / "drafts.db"
    terminal.until(lambda: _holds(drafts, text), "what was typed is on disk")
    terminal.process.send_signal(signal.SIGKILL)
    assert terminal.wait() == -signal.SIGKILL


def _holds(drafts: Path, text: str) -> bool:
    wal = drafts.with_name("drafts.db-wal")
    return any(path.exists() and text.encode() in path.read_bytes() for path in (drafts, wal))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_restores_the_terminal(tmp_path: Path, number: signal.Signals) -> None:
    home = record(tmp_path)
    with console(home) as terminal:
        terminal.until_shows("unacked")
        assert terminal.settings() != terminal.before
        terminal.process.send_signal(number)
        assert terminal.wait() == 128 + number
        terminal.until(lambda: terminal.raw.endswith(b"\x1b[?1004l") or b"\x1b[?1049l" in terminal.raw)
        assert terminal.settings() == terminal.before
        for restored in (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1000l", b"\x1b[?1003l", b"\x1b[?2004l"):
            assert restored in terminal.raw
        assert b"Traceback" not in terminal.raw


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    "moment",
    [b"opening the record", b"\x1b[22;2t", b"\x1b[?1003h"],
    ids=["first-ink", "app-begins", "mouse-on"],
)
def test_a_signal_before_the_first_screen_restores_the_terminal_too(
    tmp_path: Path, number: signal.Signals, moment: bytes
) -> None:
    with console(record(tmp_path)) as terminal:
        terminal.until(lambda: moment in terminal.raw)
        terminal.process.send_signal(number)
        assert terminal.wait() == 128 + number, terminal.text
        terminal.until(lambda: terminal.raw.rfind(b"\x1b[?1049l") > terminal.raw.rfind(b"\x1b[?1049h"))
        terminal.until(lambda: terminal.raw.rfind(b"\x1b[?25h") > terminal.raw.rfind(b"\x1b[?25l"))
        assert terminal.settings() == terminal.before
        assert b"Traceback" not in terminal.raw


def test_whoever_asks_twice_to_end_does_not_wait(tmp_path: Path) -> None:
    program = (
        "from screens.skeleton import keys_wait\nwith keys_wait():\n    print('waits', flush=True)\n"
        "    while True:\n        input()\n"
    )
    with Terminal([sys.executable, "-c", program], PYTHONPATH=str(ROOT)) as terminal:
        terminal.until_shows("waits")
        terminal.process.send_signal(signal.SIGTERM)
        terminal.process.send_signal(signal.SIGHUP)
        assert terminal.wait() in (-signal.SIGTERM, -signal.SIGHUP)


def test_quitting_restores_the_terminal_and_its_title(tmp_path: Path) -> None:
    home = record(tmp_path)
    with console(home) as terminal:
        terminal.until_shows("unacked")
        terminal.send(b"\x11")
        assert terminal.wait() == 0, terminal.text
        assert terminal.settings() == terminal.before
        terminal.until(lambda: b"\x1b[23;2t" in terminal.raw)


def test_bytes_that_are_no_text_do_not_end_the_program(tmp_path: Path) -> None:
    home = record(tmp_path)
    with console(home) as terminal:
        terminal.until_shows("unacked")
        terminal.send(b"\xff\xfe\x80\xc3\x28\xed\xa0\x80\xf5")
        terminal.send(b"\x1b[M\x20\xff\xff")
        terminal.send("i")
        terminal.until_shows("Esc  leave")
        terminal.send(b"still \xff here")
        terminal.until_shows("here")
        terminal.send("\r")
        terminal.until_saved()


def test_a_huge_paste_is_cut_with_a_word(tmp_path: Path) -> None:
    home = record(tmp_path)
    with console(home) as terminal:
        terminal.until_shows("unacked")
        terminal.send("i")
        terminal.until_shows("Esc  leave")
        terminal.send(b"\x1b[200~" + b"paste " * 100_000 + b"\x1b[201~")
        terminal.until_shows("16,384 of 600,000 characters kept")


def test_a_terminal_that_vanishes_ends_the_program(tmp_path: Path) -> None:
    home = record(tmp_path)
    with console(home) as terminal:
        terminal.until_shows("unacked")
        terminal.vanish()
        terminal.wait()


def test_resizes_while_typing_on_a_real_terminal(tmp_path: Path) -> None:
    home = record(tmp_path)
    with console(home, 80, 24) as terminal:
        terminal.until_shows("unacked")
        terminal.send("i")
        terminal.until_shows("Esc  leave")
        for columns, rows in ((20, 5), (200, 50), (1, 1), (120, 40), (3, 2), (300, 100), (80, 24)):
            terminal.resize(columns, rows)
            terminal.send("x")
        terminal.until_shows("xxxxxxx")
        terminal.resize(20, 5)
        terminal.until_shows("Too small")
        terminal.send("\r")
        terminal.resize(120, 40)
        terminal.until_saved()


FORBIDDEN = (
    b"\x1b[41m",
    b"\x1b[31m",
    b"\x1b[2J\x1b[H",
    b"pwned\x07",
    b"pwned\x1b",
    b"\x1b]8;",
    b"\x1b]52;",
    b"\x1bP",
    b"\xc2\x9b",
    b"\xc2\x9d",
    b"\x00",
    b"\x08",
    b"\x0b",
    b"\x0c",
    b"\x0e",
    b"\x7f",
    "\u202e".encode(),
    "\u2066".encode(),
    "\u200b".encode(),
    "\u2028".encode(),
    "\ufeff".encode(),
    "\U000e0041".encode(),
    ("\u0336\u0489\u20dd" * 3).encode(),
)
"""Byte sequences that only the hostile texts bring; the emulator's own title is the one OSC we send."""


def leaks(raw: bytes) -> list[bytes]:
    """Return which of the forbidden sequences are in `raw`."""
    return [sequence for sequence in FORBIDDEN if sequence in raw]


def hostile_home(path: Path) -> Path:
    """Make a home in which every text that anybody can write is hostile. Returns its path."""
    texts = [text for name, text in HOSTILE.items() if name != "surrogate"]

    async def make() -> None:
        home = Home.open(path / "home")
        watch(
            home,
            *(
                facts(
                    n,
                    sentence=text,
                    agent=text[:60],
                    rule=text[:60],
                    subject=text,
                    tenant=text[:60],
                    pages=True,
                )
                for n, text in enumerate(texts, 1)
            ),
        )
        desk = await Desk.open(home, "ana")
        await desk.refresh()
        first = next(iter(desk.board.alerts))
        room = await desk.declare("".join(texts)[:200], 1, alerts=[first], reason="".join(texts)[:400])
        item, action_class = next(iter(room.incident.checklist)), next(iter(room.incident.rollback))
        for text in texts:
            event = await room.note(f"> {text}")
            await room.amend(event.hash, f"{text} again", text)
        await room.tick(item, "waived", "".join(texts))
        await room.claim(list(room.incident.checklist)[1], texts[0][:60])
        await room.move_rollback(action_class, "held", "".join(texts))
        await room.record(RoleAssigned("ops", texts[3][:60], "".join(texts)[:400]))
        await desk.acknowledge(first, "".join(texts)[:400]) if desk.board.alerts[
            first
        ].acknowledged_at == 0 else None
        await room.contain("".join(texts)[:400])
        await desk.close()

    asyncio.run(make())
    return path / "home"


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
def test_hostile_text_reaches_no_terminal_from_any_screen(tmp_path: Path, size: tuple[int, int]) -> None:
    home = hostile_home(tmp_path)
    with console(home, *size) as terminal:
        terminal.until_shows("unacked")
        for pane, page in (
            ("1", "Alert"),
            ("2", "Timeline entry"),
            ("3", "Checklist item"),
            ("4", "Action class"),
        ):
            terminal.send(pane)
            terminal.send("j")
            terminal.send("\r")
            terminal.until_shows("Esc back")
            assert page in terminal.text
            terminal.send("G")
            terminal.send("q")
            terminal.until_gone("Esc back")
        for key, title in (
            ("1s", "Silence"),
            ("1D", "Declare"),
            ("2Gkc", ""),
            ("2t", "Retract"),
            ("4r", "Rollback"),
            ("R", "Roles"),
        ):
            terminal.send(key)
            if title:
                terminal.until_shows("Esc  cancel")
            terminal.send(b"\x1b[27u")
            terminal.until_gone("Esc  cancel")
        terminal.send("\x1b[15~")
        terminal.until_shows("Find")
        terminal.send("again")
        terminal.until_shows("Find  ")
        terminal.send(b"\x1b[27u")
        terminal.send("<")
        terminal.until_shows("Incidents  1 open")
        terminal.send(b"\x11")
        assert terminal.wait() == 0, terminal.text
        assert leaks(bytes(terminal.raw)) == []
        assert "␛".encode() in terminal.raw


def test_hostile_paste_reaches_no_terminal(tmp_path: Path) -> None:
    home = record(tmp_path)
    with console(home) as terminal:
        terminal.until_shows("unacked")
        terminal.send("i")
        terminal.until_shows("Esc  leave")
        text = "".join(text for name, text in HOSTILE.items() if name not in ("surrogate", "combining"))
        terminal.send(b"\x1b[200~" + text.encode() + b" the end\x1b[201~")
        terminal.until_shows("the end")
        terminal.send("\r")
        terminal.until_saved()
        assert [leak for leak in leaks(bytes(terminal.raw)) if leak != b"\xc2\x9b"] == []
        assert b"\xc2\x9b" not in terminal.raw


UNGUARDED = """
import sys
from rich.segment import Segment
from textual.app import App
from textual.strip import Strip
from textual.widget import Widget
from tests.screens.stage import HOSTILE

TEXTS = [text for name, text in HOSTILE.items() if name != "surrogate"]

class Bare(Widget):
    def render_line(self, y):
        return Strip([Segment(TEXTS[y].replace("\\n", " ") if y < len(TEXTS) else " ")])

class Control(App):
    def compose(self):
        yield Bare()
    def on_mount(self):
        self.set_timer(0.2, self.exit)

Control().run()
"""


def test_the_same_texts_do_reach_it_from_an_unguarded_widget(tmp_path: Path) -> None:
    with Terminal([sys.executable, "-c", UNGUARDED], PYTHONPATH=str(ROOT)) as terminal:
        assert terminal.wait() == 0, terminal.text
        terminal.until(lambda: b"\x1b[?1049l" in terminal.raw)
        assert {b"\x1b[41m", b"pwned\x07", b"\x1b]52;", b"\xc2\x9b", "\u202e".encode()} <= set(
            leaks(bytes(terminal.raw))
        )


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
def test_the_room_in_tmux(tmp_path: Path, size: tuple[int, int]) -> None:
    home = record(tmp_path, "!hold the refunds")
    socket = str(tmp_path / "tmux")

    def tmux(*words: str) -> str:
        return subprocess.run(
            ["tmux", "-S", socket, *words], capture_output=True, text=True, check=True
        ).stdout

    command = f"env -u COLUMNS -u LINES PYTHONPATH={ROOT} {sys.executable} -m tests.terminal.launch {home}"
    start: list[Any] = ["-x", str(size[0]), "-y", str(size[1])]
    subprocess.run(["tmux", "-f", os.devnull, "-S", socket, "new-session", "-d", *start, command], check=True)
    try:
        with Terminal(["tmux", "-S", socket, "attach"], *size) as terminal:
            terminal.until_shows("unacked")
            tmux("send-keys", "2")
            terminal.until_shows("hold the refunds")
            tmux("send-keys", "i", "seen in tmux", "Enter")
            terminal.until_saved()
            terminal.until_shows("seen in tmux")
            lines = tmux("capture-pane", "-p").splitlines()
            assert max(map(len, lines)) <= size[0]
            assert any("seen in tmux" in line for line in lines)
    finally:
        subprocess.run(["tmux", "-S", socket, "kill-server"], check=False)
