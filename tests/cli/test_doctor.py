"""What doctor says of a watcher and its window, and that its advice fits."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from console import doctor
from console.config import Config
from console.config import Window as Settings
from console.evidence.window import Window
from console.telemetry.action import Action
from console.watching import status
from data.clock import ManualClock, iso
from data.home import Home
from data.lock import Lock


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[tuple[Home, ManualClock]]:
    """A home in which this process says that it watches, ten minutes ago for the last time."""
    clock = ManualClock(1_795_000_000_000_000_000)
    home = Home.open(tmp_path / "home", clock=clock)
    home.watch_dir.mkdir()
    taken = Lock.take(home.watch_dir / status.LOCK)
    assert taken is not None
    now = clock.now()
    status.write(home.watch_dir, status.Status(os.getpid(), now, now))
    clock.advance(600_000_000_000)
    yield home, clock
    taken.release()


def examined(home: Home, clock: ManualClock, config: Config | None = None) -> dict[str, doctor.Finding]:
    with mock.patch.object(Home, "open", return_value=home):
        found = doctor.examine(config or Config(), home.path, home.mode, clock.now())
        return {each.about: each for each in found}


def test_doctor_ends_no_watcher_that_is_only_kept_from_speaking(
    watched: tuple[Home, ManualClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = examined(*watched)["watcher"]
    assert (hangs.state, f"kill {os.getpid()}" in hangs.fix) == ("BROKEN", True)
    usage = shutil.disk_usage(watched[0].path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    full = examined(*watched)
    assert full["disk"].state == "BROKEN"
    assert "its disk is full" in full["watcher"].text
    assert "kill" not in full["watcher"].fix
    assert "Leave it running" in full["watcher"].fix


def test_doctor_says_how_far_back_the_window_reaches_and_what_bounds_it(
    watched: tuple[Home, ManualClock],
) -> None:
    home, clock = watched
    settings = Config(window=Settings(max_mib=1))
    assert (
        "no telemetry is kept yet; it holds at most 1 MiB and 7 d"
        in examined(*watched, settings)["window"].text
    )
    window = Window(home.watch_dir / "window", clock, most=2**20, keep=7 * 24 * 3600 * 10**9)
    began = clock.now()
    window.append([Action(began, "agent", str(number)) for number in range(10)])
    clock.advance(3 * 3600 * 10**9 + 1)
    found = examined(*watched, settings)["window"]
    assert found.state == "ok"
    assert f"since {iso(began, 0)}, for 3 h" in found.text
    window.append([Action(clock.now(), "agent", os.urandom(500).hex()) for _ in range(600)])
    soon = examined(*watched, settings)["window"]
    assert (soon.state, "Raise window.max_mib" in soon.fix) == ("note", True)
    off = examined(*watched, Config(window=Settings(enabled=False)))["window"]
    assert (off.state, iso(began, 0) in off.text) == ("note", True)
    window.close()
