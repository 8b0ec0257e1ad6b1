"""A record to show: one incident under way, alerts on the board, and words that are not kind to a terminal."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any

from textual.pilot import Pilot

from console.comms.outbox import Outbox
from console.desk import Desk
from console.events import (
    AlertFacts,
    AlertOpened,
    ItemSet,
    SampledAction,
    WatchFounded,
    WatchStarted,
    entry,
    moment,
)
from console.sharing import Meeting
from console.timeline import project
from console.watching.status import LOCK as WATCHER_LOCK
from data.case import Case, found
from data.clock import ManualClock, parse_iso
from data.home import Home
from data.lock import Lock
from screens.warroom import WarRoomApp

NOW = parse_iso("2026-11-21T14:02:31Z")
MINUTE = 60_000_000_000
PATIENCE = 60
"""Seconds for anything to come about: what takes that long is not slow but wrong, on the busiest machine too."""

HOSTILE: dict[str, str] = {
    "sgr": "\x1b[41mred\x1b[0m",
    "clear": "\x1b[2J\x1b[H",
    "title": "\x1b]0;pwned\x07",
    "title-st": "\x1b]2;pwned\x1b\\",
    "link": "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;cHduZWQ=\x07",
    "dcs": "\x1bPq#0;2;0;0;0\x1b\\",
    "c1-csi": "\x9b31mred",
    "c1-osc": "\x9d0;pwned\x9c",
    "controls": "\x00\x07\x08\x0b\x0c\x0e\x0f\x7f",
    "overwrite": "all is well\rALL IS LOST\nsecond",
    "bidi": "\u202e\u2066exe.gnp\u2069\u202c",
    "invisible": "a\u200bb\u2060c\ufeffd\u00ade",
    "tags": "\U000e0041\U000e0042 hidden",
    "combining": "z" + "\u0336\u0489\u20dd" * 40,
    "markup": "[red]x[/red] [@click=app.quit]press[/] [/nothing] [b",
    "separators": "one\u2028two\u2029three\x85four",
    "wide": "漢字テキスト 👩‍👩‍👧‍👦 ﷽",
    "surrogate": "\ud800 alone",
}
"""Name to text: what an agent may write anywhere."""


def facts(number: int, **other: Any) -> AlertFacts:
    """Return what a tripwire saw, with the fields that a test cares about."""
    at = moment(NOW - number * 7 * MINUTE)
    values: dict[str, Any] = {
        "id": f"{number:04x}c0de",
        "rule": "cost-rate",
        "version": "1",
        "tenant": "acme",
        "agent": "planner-3",
        "opened_at": at,
        "last_at": at,
        "detected_at": at,
        "received_at": at,
        "paged_at": at if other.get("pages") else "",
        "sentence": "spent $41.20 in an hour, 3.1 times its median of seven days",
        "route": ("owner",),
        "count": 4,
        "sample": (
            SampledAction(id="a1", at=at, kind="tool", name="pay.refund", cost=12_000_000, status="ok"),
        ),
    }
    return AlertFacts(**{**values, **other})


ALERTS = (
    facts(1, pages=True),
    facts(
        2,
        pages=True,
        rule="authorisation",
        agent="etl-7",
        sentence="called db.drop_table, which it never declared",
    ),
    facts(3, rule="action-rate", agent="buyer-1", sentence="made 940 calls in an hour, 2.2 times its median"),
    facts(4, rule="new-endpoint", agent="triage-2", sentence="called paste.example for the first time"),
    facts(
        5,
        pages=True,
        rule="outcome",
        agent="mailer-1",
        sentence="sent 12 mails with reviews under two seconds",
    ),
)


def home(path: Path) -> Home:
    """Return a home whose clock stands still."""
    return Home.open(path / "home", clock=ManualClock(NOW))


def watch(home_: Home, *alerts: AlertFacts) -> None:
    """Append `alerts` to the watcher's case, which is founded when there is none."""
    if (home_.watch_dir / "log.db").exists():
        case = Case.open(home_.watch_dir, home_, project)
    else:
        case = found(home_, entry(WatchFounded(), "watcher"), project, directory=home_.watch_dir)
        case.append(entry(WatchStarted(rules="1"), "watcher")).result()
    try:
        for alert in alerts:
            case.append(entry(AlertOpened(alert), "watcher")).result()
    finally:
        case.close()


async def incident(home_: Home, title: str = "refund agent books twice") -> None:
    """Declare an incident that is under way, and leave it."""
    watch(home_, *ALERTS)
    desk = await Desk.open(home_, "ana")
    try:
        room = await desk.declare(title, 1, alerts=[ALERTS[0].id])
        await room.assign("scribe", "dee")
        await room.assign("ops", "ben")
        await room.note("-12m planner-3 books refunds twice")
        await room.note("!hold the refunds until finance confirms #refund @ben")
        await room.note("?is triage-2 on the same key")
        await room.note(">revoked the egress token of planner-3")
        await room.note("+status page says identified")
        items = list(room.incident.checklist)
        await room.record(ItemSet(items[0], "done"))
        await room.claim(items[2], "ben")
        classes = list(room.incident.rollback)
        await room.move_rollback(classes[0], "open", "finance counts", 1204)
        await room.contain("token revoked, calls are denied")
        await room.move_rollback(classes[1], "reversing", "", 31)
    finally:
        await desk.close()


@cache
def _template(mode: str) -> Path:
    """Return a home with `incident` in it, made once per process."""
    directory = Path(tempfile.mkdtemp(prefix="warroom-stage-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    made = Home.open(directory / "home", "drill" if mode == "drill" else "live", ManualClock(NOW))
    # A loop of its own in a thread of its own: the test's loop is running.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(incident(made))).result()
    return made.path


def staged(path: Path, mode: str = "live") -> Home:
    """Return a home below `path` in which an incident is under way."""
    shutil.copytree(_template(mode), path / "home")
    return Home.open(path / "home", "drill" if mode == "drill" else "live", ManualClock(NOW))


WATCHERS: list[Lock | None] = []
"""Locks that stand in for a watcher, held until the process ends."""


def app(
    home_: Home,
    *,
    watched: bool = True,
    meeting: Meeting | None = None,
    outbox: Outbox | None = None,
    **options: Any,
) -> WarRoomApp:
    """Return the console on `home_`, with or without somebody holding the watcher's lock, remotes, or senders."""
    if watched:
        home_.watch_dir.mkdir(parents=True, exist_ok=True)
        WATCHERS.append(Lock.take(home_.watch_dir / WATCHER_LOCK))
    return WarRoomApp(lambda: Desk.open(home_, "ana", meeting=meeting, outbox=outbox), **options)


async def until(pilot: Pilot[Any], condition: Callable[[], bool], what: str = "") -> None:
    """Wait until `condition` holds; fail when it does not come about."""
    given_up = monotonic() + PATIENCE
    while monotonic() < given_up:
        await pilot.pause(0.01)
        try:
            if condition():
                return
        except Exception:
            continue
    raise AssertionError(f"never came about: {what or condition}")


async def ready(pilot: Pilot[Any], *, room: bool = True) -> WarRoomApp:
    """Wait until the console has opened the record, and the newest incident when there is one."""
    console = pilot.app
    assert isinstance(console, WarRoomApp)
    await until(pilot, lambda: console.desk is not None, "the desk is open")
    if room:
        await until(
            pilot, lambda: console.desk is not None and console.desk.room is not None, "the room is open"
        )
    return console
