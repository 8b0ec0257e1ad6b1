"""The console on a real pseudo terminal: first paint, key echo, idle, and a timeline of a million entries."""

from __future__ import annotations

import asyncio
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from console.desk import Desk
from console.events import NoteWritten, entry
from console.timeline import project
from data.case import Case
from data.home import Home
from tests.bench.report import Report
from tests.screens.stage import ALERTS, watch
from tests.terminal.pty_terminal import Terminal

NAME = "screen"
ROOT = Path(__file__).parents[2]
STARTS, KEYS, IDLE_SECONDS = 7, 100, 10
MANY = int(os.environ.get("WARROOM_BENCH_ENTRIES", "1000000"))

HELLO = """
from textual.app import App
from textual.widgets import Static
class Hello(App):
    def compose(self):
        yield Static("hello world")
Hello().run()
"""
BARE = """
from textual.app import App
from textual.widgets import TextArea
class Bare(App):
    def compose(self):
        area = TextArea(compact=True)
        area.cursor_blink = False
        yield area
Bare().run()
"""


def run(report: Report) -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory) / "home"
        asyncio.run(_declare(home))
        _first_paint(report, home)
        _echo(report, home)
        _idle(report, home)
        _million(report, home)


async def _declare(home: Path) -> None:
    opened = Home.open(home)
    watch(opened, *ALERTS)
    desk = await Desk.open(opened, "ana")
    room = await desk.declare("refund agent books twice", 1, alerts=[ALERTS[0].id])
    for number in range(200):
        await room.note(f"-{200 - number}m note {number}")
    await desk.close()


def _console(home: Path) -> Terminal:
    return Terminal([sys.executable, "-m", "tests.terminal.launch", str(home)], PYTHONPATH=str(ROOT))


def _code(source: str) -> Terminal:
    return Terminal([sys.executable, "-c", source], PYTHONPATH=str(ROOT))


def _until_ms(make: Callable[[], Terminal], marker: bytes) -> float:
    started = time.perf_counter()
    with make() as terminal:
        terminal.emulate = False
        terminal.until(lambda: marker in terminal.raw, marker.decode())
        return (time.perf_counter() - started) * 1000


def _best(make: Callable[[], Terminal], marker: bytes) -> float:
    return statistics.median(_until_ms(make, marker) for _ in range(STARTS))


def _first_paint(report: Report, home: Path) -> None:
    hello = _best(lambda: _code(HELLO), b"hello world")
    frame = _best(lambda: _console(home), b"4 Rollback")
    ink = _best(lambda: _console(home), b"warroom")
    shown = _best(lambda: _console(home), b"unacked")
    report("first ink, ms", ink, "Textual hello world", hello, ink / hello, "<= 0.5x")
    report("frame of the room, ms", frame, "Textual hello world", hello, frame / hello, "<= 1.5x")
    report("state of the room, ms", shown, "Textual hello world", hello, shown / hello, "<= 2x")


def _echoes(terminal: Terminal) -> list[float]:
    """Type letters one by one. Returns the milliseconds from key to screen of each."""
    times = []
    terminal.emulate = False
    for number in range(KEYS):
        # A letter that is not on the screen yet cannot be taken for another one.
        glyph = chr(0x0E01 + number % 40) if number % 40 < 40 else "x"
        before = terminal.raw.count(glyph.encode())
        started = time.perf_counter()
        terminal.send(glyph)
        terminal.until(lambda glyph=glyph, before=before: terminal.raw.count(glyph.encode()) > before)  # type: ignore[misc]
        times.append((time.perf_counter() - started) * 1000)
        time.sleep(0.03)
    return sorted(times)


def _percentile(times: list[float], part: float) -> float:
    return times[min(int(len(times) * part), len(times) - 1)]


def _echo(report: Report, home: Path) -> None:
    with _code(BARE) as terminal:
        terminal.until(lambda: b"\x1b[?2004h" in terminal.raw)
        time.sleep(0.5)
        bare = _echoes(terminal)
    for name, arrivals in (("idle", 0), ("100 arrivals/s", 100)):
        with _console(home) as terminal:
            terminal.until_shows("unacked")
            terminal.send("i")
            terminal.until_shows("leave")
            stop = _arrive(home, arrivals) if arrivals else (lambda: None)
            try:
                ours = _echoes(terminal)
            finally:
                stop()
        for part in (0.5, 0.95):
            mine, floor = _percentile(ours, part), _percentile(bare, part)
            goal = "p50 <= 5 ms, p95 <= 25 ms"
            report(
                f"key echo p{part * 100:.0f}, {name}, ms", mine, "bare TextArea", floor, mine / floor, goal
            )


def _arrive(home: Path, rate: int) -> Callable[[], None]:
    """Let another process append alerts to the watcher's case. Returns what stops it."""
    import subprocess

    source = f"""
import time
from pathlib import Path
from data.home import Home
from data.case import Case
from console.timeline import project
from console.events import AlertOpened, entry
from tests.screens.stage import facts
home = Home.open(Path({str(home)!r}))
case = Case.open(home.watch_dir, home, project)
number = 100
while True:
    case.append(entry(AlertOpened(facts(number % 60000, agent=f"agent-{{number}}")), "watcher"))
    number += 1
    time.sleep({1 / rate})
"""
    process = subprocess.Popen([sys.executable, "-c", source], cwd=ROOT)

    def stop() -> None:
        process.kill()
        process.wait()

    return stop


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _idle(report: Report, home: Path) -> None:
    def rest(make: Callable[[], Terminal], marker: bytes) -> tuple[float, float]:
        with make() as terminal:
            terminal.until(lambda: marker in terminal.raw)
            time.sleep(2)
            cpu, sent, started = _cpu(terminal.process.pid), len(terminal.raw), time.perf_counter()
            time.sleep(IDLE_SECONDS)
            spent = time.perf_counter() - started
            return (_cpu(terminal.process.pid) - cpu) / spent * 100, (len(terminal.raw) - sent) / spent

    cpu, sent = rest(lambda: _console(home), b"unacked")
    bare_cpu, bare_sent = rest(lambda: _code(HELLO), b"hello world")
    report("idle, % of one CPU", cpu, "Textual hello world", bare_cpu, None, "< 1%")
    report(
        "idle, bytes/s to the terminal", sent, "Textual hello world", bare_sent, None, "the clock line only"
    )


def _fill(home: Path) -> None:
    """Bring the timeline of the only case to `MANY` entries."""
    opened = Home.open(home)
    case = Case.open(opened.case_dir(opened.cases()[0]), opened, project)
    at = opened.clock.now() - MANY * 1_000_000
    for start in range(0, MANY, 1000):
        lines = range(start, min(start + 1000, MANY))
        notes = [entry(NoteWritten(text=f"entry {n}"), "ben", at=at + n * 1_000_000) for n in lines]
        case.append(*notes).result()
    case.close()


def _million(report: Report, home: Path) -> None:
    small = _best(lambda: _console(home), b"unacked")
    _fill(home)
    opened = _best(lambda: _console(home), b"unacked")
    report(f"open with {MANY:,} entries, ms", opened, "with 200 entries", small, opened / small, "<= 1.3x")
    with _console(home) as terminal:
        terminal.until_shows("unacked")
        terminal.until_shows("entry")
        terminal.send("22")
        pages = []
        for _ in range(30):
            before = terminal.text
            started = time.perf_counter()
            terminal.send("\x1b[5~")
            terminal.until(lambda before=before: terminal.text != before and "┃ …" not in terminal.text)  # type: ignore[misc]
            pages.append((time.perf_counter() - started) * 1000)
        rss = (
            int(Path(f"/proc/{terminal.process.pid}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024
        )
    page = statistics.median(pages)
    report("page up there, ms", page, "a frame at 60 Hz", 16.7, page / 16.7, "<= 25 ms")
    floor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report("RSS there, MB", rss, "this process", floor, None, "<= 60 MB")
