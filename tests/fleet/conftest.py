"""Fleets of real processes, ended by the process that started them."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from console.fleet import http
from tests.cli.conftest import Warroom

PATIENCE = 60.0


def until(done: Callable[[], Any], what: str = "it never happened") -> Any:
    """Wait for a condition, and return what it returned."""
    ends = time.monotonic() + PATIENCE
    while not (found := done()):
        assert time.monotonic() < ends, what
        time.sleep(0.02)
    return found


class Fleet:
    """`warroom fleet start` in the foreground, in a process of its own."""

    def __init__(self, warroom: Warroom, root: Path, *options: str) -> None:
        self.warroom, self.root = warroom, root
        (root / "ready").unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [*warroom.command, "fleet", "start", "--dir", str(root), *options],
            cwd=warroom.folder,
            env=warroom.environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        until(lambda: self.process.poll() is not None or (root / "ready").exists())
        assert self.process.poll() is None, self.process.communicate()
        host, port = (root / "address").read_text().split(":")
        self.host, self.port = host, int(port)
        self.token = (root / "token").read_text()
        self.agents: list[dict[str, Any]] = json.loads((root / "fleet.json").read_text())["agents"]

    def named(self, behaviour: str) -> str:
        return str(next(each["name"] for each in self.agents if each["behaviour"] == behaviour))

    def get(self, path: str, timeout: float = 10.0) -> dict[str, Any]:
        return http.call(self.host, self.port, "GET", path, timeout=timeout)

    def post(self, path: str, body: dict[str, Any] | None = None, timeout: float = 10.0) -> dict[str, Any]:
        return http.call(self.host, self.port, "POST", path, body, token=self.token, timeout=timeout)

    def halt(self, agent: str, timeout: float = 10.0, **body: Any) -> dict[str, Any]:
        return self.post(f"/agents/{agent}/halt", body or {"order": "00000000000000aa"}, timeout)

    def seen(self, agent: str, order: str = "00000000000000aa") -> str:
        return str(self.get(f"/agents/{agent}/probe?order={order}")["observed"])

    def calls(self, agent: str) -> int:
        return int(self.get(f"/agents/{agent}/counter")["calls"])

    def actions(self) -> list[dict[str, Any]]:
        lines = (self.root / "actions.jsonl").read_bytes().split(b"\n")[:-1]
        return [json.loads(line) for line in lines]

    @property
    def processes(self) -> list[int]:
        """The children, of which none may be left."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        if path.exists():
            return [int(each) for each in path.read_text().split()]
        return [each["pid"] for each in self.get("/agents")["agents"].values() if each["pid"]]

    def end(self, number: int = signal.SIGINT) -> str:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.communicate(timeout=PATIENCE)[1]


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits for its parent to look does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return False
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True
    return state != "Z"


@pytest.fixture
def warroom(tmp_path: Path) -> Warroom:
    return Warroom(tmp_path)


Start = Callable[..., Fleet]


@pytest.fixture
def start(warroom: Warroom, tmp_path: Path) -> Iterator[Start]:
    """Start fleets, which end with the test."""
    fleets: list[Fleet] = []

    def begin(*options: str, name: str = "fleet") -> Fleet:
        fleets.append(Fleet(warroom, tmp_path / name, *options))
        return fleets[-1]

    try:
        yield begin
    finally:
        for each in fleets:
            each.end()
