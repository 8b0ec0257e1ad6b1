"""Starts real wardens, in processes of their own, on directories of their own."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from console.warden.client import Warden, read_token
from console.warden.protocol import GuardStanding

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0


def until(what: Callable[[], object], seconds: float = PATIENCE) -> object:
    """Wait until something is so, and return it."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it never came to be so"
        time.sleep(0.01)
    return found


async def soon(what: Callable[[], object], seconds: float = PATIENCE) -> object:
    """Wait on an event loop until something is so, and return it."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it never came to be so"
        await asyncio.sleep(0.01)
    return found


async def standing(warden: Warden, what: Callable[[GuardStanding], object], agent: str = "") -> GuardStanding:
    """Wait until something is so of a guard (of an agent), and return how that one stands."""
    end = time.monotonic() + PATIENCE
    while True:
        found = [each for each in await warden.standing() if agent in ("", each.agent)]
        if met := [each for each in found if what(each)]:
            return met[0]
        assert time.monotonic() < end, found
        await asyncio.sleep(0.01)


class Daemon:
    """`warroom warden run` on a directory: starts, dies and starts again at the same port."""

    def __init__(self, folder: Path, settings: str = 'lease = "1 s"') -> None:
        self.folder, self.place = folder, folder / "warden"
        self.settings, self.port = settings, 0
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("WARROOM_")},
            "WARROOM_HOME": str(folder / "home"),
            "WARROOM_CONFIG": str(folder / "config.toml"),
            "PYTHONPATH": str(ROOT),
        }
        self.said = folder / "said.txt"

    def configure(self) -> None:
        """Write the configuration."""
        url = f'url = "http://127.0.0.1:{self.port}"\n' if self.port else ""
        text = f'[warden]\n{url}directory = "{self.place}"\nport = {self.port}\n{self.settings}\n'
        (self.folder / "config.toml").write_text(text)

    def start(self, *arguments: str) -> "Daemon":
        """Start it, and wait until it listens."""
        self.configure()
        address = self.place / "address"
        address.unlink(missing_ok=True)
        with self.said.open("ab") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "console.cli", "warden", "run", *arguments],
                env=self.environment,
                stderr=said,
            )
        process = self.process
        until(lambda: address.exists() or process.poll() is not None)
        assert process.poll() is None, self.said.read_text()
        self.port = int(address.read_text().strip().rpartition(":")[2])
        self.configure()
        return self

    def cli(self, *arguments: str, command: str = "warden") -> subprocess.CompletedProcess[str]:
        """Run `warroom warden`, or another command, with this configuration, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "console.cli", command, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def kill(self) -> None:
        """End it at once, as a crash does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it in order. Returns its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        return (self.place / "key.pub").read_text().strip()

    @property
    def token(self) -> str:
        return read_token(self.place / "token")

    def client(self) -> Warden:
        """A client of it, to be closed."""
        return Warden(self.url, self.token)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A warden that runs, with leases of a second."""
    made = Daemon(tmp_path).start()
    yield made
    made.stop()


@pytest.fixture
async def warden(daemon: Daemon) -> AsyncIterator[Warden]:
    """The console's side of it."""
    made = daemon.client()
    yield made
    await made.close()
