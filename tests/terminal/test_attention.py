"""What calls somebody who looks elsewhere: bell, window title and desktop notification, in words of ours only."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from data.home import Home
from screens.attention import QUIET, Attention
from tests.screens.stage import facts, watch
from tests.terminal.pty_terminal import Terminal
from tests.terminal.test_terminal import LAUNCH, ROOT, hostile_home, record

OSC = re.compile(rb"\x1b\]([^\x07\x1b]*)(?:\x07|\x1b\\)")
OURS = re.compile(
    rb"2;(\(\d+!\) )?(DRILL )?(warroom|INC-[A-Z2-7]{4})|9;warroom: \d+ alerts? asks? for somebody|22;[a-z]+"
)
"""The last one is the toolkit's: the shape of the mouse pointer."""
AWAY = b"\x1b[O"
"""What a terminal sends when its window loses the focus."""


def console(home: Path, **environment: str) -> Terminal:
    """Return the console on `home`; `environment` says on which terminal it is."""
    return Terminal(
        [*LAUNCH, str(home)], 120, 40, TMUX="", VTE_VERSION="", PYTHONPATH=str(ROOT), **environment
    )


def page(home: Path, number: int) -> None:
    """Have the watcher page once more."""
    watch(Home.open(home), facts(number, pages=True))


def test_a_page_rings_and_counts_in_the_title(tmp_path: Path) -> None:
    with console(record(tmp_path)) as terminal:
        terminal.until(lambda: b"\x1b]2;(2!) INC-" in terminal.raw, "the title counts what pages")
        terminal.until_shows("unacked")
        assert OSC.sub(b"", bytes(terminal.raw)).count(b"\x07") == 1
        assert b"\x1b]9;" not in terminal.raw, "nobody is told what he looks at"


def test_who_is_away_is_notified(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home")
    watch(home, facts(1))
    with console(home.path) as terminal:
        terminal.until_shows("1 unacked")
        terminal.send(AWAY)
        page(home.path, 2)
        terminal.until(lambda: b"\x1b]9;warroom: 1 alert asks for somebody\x07" in terminal.raw, "notified")


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_a_notification_passes_through_tmux(tmp_path: Path) -> None:
    """Against tmux itself: what it hands on to the terminal outside is the notification, unwrapped."""
    socket = str(tmp_path / "tmux")

    def tmux(*words: str) -> None:
        subprocess.run(["tmux", "-f", "/dev/null", "-S", socket, *words], check=True)

    sequence = Attention(False, {"TMUX": socket}).look(frozenset("a"), "warroom", 0, focused=False)
    (tmp_path / "sequence").write_text(sequence)
    tmux("new-session", "-d", "-x", "80", "-y", "24", f"cat > {tmp_path}/typed")
    try:
        tmux("set-option", "-g", "allow-passthrough", "on")
        with Terminal(["tmux", "-S", socket, "attach"], 80, 24, TMUX="") as terminal:
            terminal.until_shows("[0]")
            tmux("respawn-pane", "-k", f"cat {tmp_path}/sequence; cat")
            terminal.until(lambda: b"\x1b]9;warroom: 1 alert asks for somebody\x07" in terminal.raw)
    finally:
        subprocess.run(["tmux", "-S", socket, "kill-server"], check=False)


def test_what_agents_write_reaches_neither_title_nor_notification(tmp_path: Path) -> None:
    home = hostile_home(tmp_path)
    with console(home) as terminal:
        terminal.until(lambda: b"!) INC-" in terminal.raw, "the title is set")
        terminal.send(AWAY)
        page(home, 99)
        terminal.until(lambda: b"\x1b]9;" in terminal.raw, "notified, once the first call is long enough ago")
        terminal.send(b"\x1b[I<")
        terminal.until_shows("Incidents  1 open")
        terminal.send(b"\x11")
        assert terminal.wait() == 0, terminal.text
        commands = [each for each in OSC.findall(bytes(terminal.raw)) if each[:1].isdigit()]
        assert commands
        assert [each for each in commands if not OURS.fullmatch(each)] == []


def test_one_that_comes_too_soon_waits_for_its_turn() -> None:
    attention = Attention(True, {})
    one, two = frozenset({"a"}), frozenset({"a", "b"})
    assert "\x07" in attention.look(one, "room", 0, focused=True)
    assert "\x1b]9;" not in attention.look(two, "room", QUIET - 1, focused=False)
    assert "\x1b]9;warroom: 2 alerts" in attention.look(two, "room", QUIET, focused=False)
    assert attention.look(two, "room", 2 * QUIET, focused=False) == "", "once for each"


def test_one_that_somebody_took_meanwhile_calls_nobody() -> None:
    attention = Attention(True, {})
    one, two = frozenset({"a"}), frozenset({"a", "b"})
    attention.look(one, "room", 0, focused=False)
    attention.look(two, "room", 1, focused=False)
    assert attention.look(one, "room", QUIET, focused=False) == "\x1b]2;(1!) room\x07"


@pytest.mark.parametrize("environment", [{"VTE_VERSION": "7200"}, {"TERM": "rxvt-unicode"}, {"TERM": "foot"}])
def test_terminals_that_know_the_other_notification_get_that(environment: dict[str, str]) -> None:
    sequence = Attention(False, environment).look(frozenset("a"), "room", 0, focused=False)
    assert sequence.endswith("\x1b]777;notify;warroom;1 alert asks for somebody\x07")
    assert "\x1b]9;" not in sequence
