"""The console's own watcher: there when nobody watches, gone when the console is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from console.child import Child
from console.watching.status import running
from data.home import Home

PARENT = """
import sys, time
from pathlib import Path
from console.child import Child
from data.home import Home
child = Child(Home.open(Path(sys.argv[1])), config=sys.argv[2])
print(child.ensure(), flush=True)
sys.stdin.read()
"""


def wait(for_: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not for_():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "home")


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "config.toml"
    path.write_text("[intake]\nport = 0\n")
    return str(path)


def test_it_starts_once_and_ends_with_close(home: Home, config: str) -> None:
    child = Child(home, config=config)
    assert child.ensure() == ""
    wait(lambda: running(home.watch_dir))
    holder = running(home.watch_dir)
    assert child.ensure() == ""
    second = Child(home, config=config)
    assert second.ensure() == ""
    second.close()
    assert running(home.watch_dir) == holder, "a console must not end a watcher that it did not start"
    child.close()
    assert running(home.watch_dir) is None


def test_a_killed_child_is_replaced(home: Home, config: str) -> None:
    child = Child(home, config=config)
    child.ensure()
    wait(lambda: running(home.watch_dir))
    first = running(home.watch_dir)
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    wait(
        lambda: child.ensure() == "" and (now := running(home.watch_dir)) is not None and now.pid != first.pid
    )
    child.close()


def test_a_killed_console_leaves_no_watcher_behind(home: Home, config: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(home.path), config], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with parent:
        wait(lambda: running(home.watch_dir))
        parent.kill()
        wait(lambda: running(home.watch_dir) is None)


def test_a_child_that_keeps_dying_is_reported_with_its_last_words(home: Home, tmp_path: Path) -> None:
    (home.watch_dir).mkdir(parents=True, exist_ok=True)
    (home.watch_dir / "log.db").write_bytes(b"not a database")
    child = Child(home, config=str(tmp_path / "none.toml"))
    wait(lambda: "keeps ending" in child.ensure())
    assert "log.db" in child.ensure()
    child.close()
