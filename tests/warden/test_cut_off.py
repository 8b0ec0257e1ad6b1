"""Nobody can be reached: real agents in processes of their own, a warden that dies, hangs or comes back."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.warden.conftest import Daemon, standing, until

FORMS = ("decorator", "asgi", "mcp", "clock")
LEASE = 2.0
ORDER = "00000000000000c1"


class Agent:
    """A process that acts all the time, as far as its guard lets it; see tests/warden/agent.py."""

    def __init__(self, form: str, daemon: Daemon) -> None:
        self.log = daemon.folder / f"{form}.log"
        self.log.touch()
        command = [sys.executable, "-m", "tests.warden.agent", form, daemon.url, daemon.key, str(self.log)]
        if form == "mcp":
            proxy = [sys.executable, "-m", "console.guard.mcp", "--url", daemon.url, "--agent", "refunds"]
            command = [*proxy, "--key-file", str(daemon.place / "key.pub"), "--", *command]
        self.process = subprocess.Popen(
            command,
            env=daemon.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if form == "mcp" else subprocess.DEVNULL,
            start_new_session=True,
        )
        self._threads: list[threading.Thread] = []
        if form == "mcp":
            self._threads = [threading.Thread(target=each) for each in (self._call, self._read)]
            for thread in self._threads:
                thread.start()

    def _call(self) -> None:
        assert self.process.stdin is not None
        call = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "refund", "arguments": {}},
        }
        try:
            while self.process.poll() is None:
                self.process.stdin.write(json.dumps(call).encode() + b"\n")
                self.process.stdin.flush()
                time.sleep(0.02)
        except OSError:
            pass

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.log.open("a", buffering=1) as log:
            for line in self.process.stdout:
                if "error" in json.loads(line):
                    log.write(f"halted {time.monotonic()}\n")

    def times(self, what: str) -> list[float]:
        """When it acted, or was halted, by the monotonic clock that all processes share."""
        lines = [line.split() for line in self.log.read_text().splitlines()]
        return [float(at) for said, at in (line for line in lines if len(line) == 2) if said == what]

    def acts_after(self, moment: float) -> bool:
        return any(at > moment for at in self.times("acted"))

    def halted_after(self, moment: float) -> bool:
        return any(at > moment for at in self.times("halted"))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Daemon]:
    """A warden whose leases last for two seconds."""
    made = Daemon(tmp_path, 'lease = "2 s"').start()
    yield made
    made.kill()


@pytest.fixture
def agents(slow: Daemon) -> Iterator[list[Agent]]:
    """One of each form, all acting."""
    made = [Agent(form, slow) for form in FORMS]
    try:
        until(lambda: all(agent.times("acted") for agent in made))
        yield made
    finally:
        for agent in made:
            agent.close()


@pytest.mark.req("S003-KS-1")
@pytest.mark.req("S003-KS-2")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "hangs"])
def test_every_agent_refuses_within_its_lease_and_two_seconds_when_the_warden(
    slow: Daemon, agents: list[Agent], how: signal.Signals
) -> None:
    assert slow.process is not None
    cut = time.monotonic()
    slow.process.send_signal(how)
    # No console ever ran here, and from now on nobody else is there either.
    until(lambda: all(agent.halted_after(cut) for agent in agents))
    settled = max(at for agent in agents for at in agent.times("acted"))
    assert settled <= cut + LEASE + 2.0
    seen = time.monotonic()
    until(lambda: all(agent.halted_after(seen + 0.5) for agent in agents))
    assert not any(agent.acts_after(cut + LEASE + 2.0) for agent in agents)


async def test_a_warden_killed_in_the_middle_of_a_halt_holds_it_when_it_is_back(
    slow: Daemon, agents: list[Agent]
) -> None:
    roster = slow.place / "guards.json"
    until(lambda: roster.exists() and len(json.loads(roster.read_bytes())) == len(FORMS))
    warden = slow.client()
    epoch = await warden.raise_epoch("agent", "refunds", ORDER, "it loops")
    slow.kill()
    cut = time.monotonic()
    until(lambda: all(agent.halted_after(cut) for agent in agents))
    slow.start()
    back = time.monotonic()
    found = await warden.report()
    assert [(word.scope, word.subject, word.epoch) for word in found.halts] == [("agent", "refunds", epoch)]
    assert len(found.guards) == len(FORMS)  # it knows of whom it may have to expect something
    assert await warden.raise_epoch("agent", "refunds", ORDER, "it loops") == epoch
    until(lambda: all(agent.halted_after(back + LEASE) for agent in agents))
    held = await standing(warden, lambda each: each.state == "lease_expired")
    assert held.epoch == epoch
    assert not any(agent.acts_after(back) for agent in agents)
    assert await warden.resume("agent", "refunds", epoch, "mended") > epoch
    until(lambda: all(agent.acts_after(back) for agent in agents))
    await warden.close()
