"""A drill from a scenario: a home of its own, agents that write into a file, and a watcher that reads it."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from console.child import Child
from console.desk import Desk
from console.drills import scenario as traffic
from console.drills.feeder import Feeder, write
from console.evidence.capture import Capture
from console.refusal import Refused
from data.clock import ScaledClock, SystemClock
from data.home import Home

if TYPE_CHECKING:
    from playbooks.schema import Scenario


ACTIONS, CONFIG = "actions.jsonl", "config.toml"
"""What a drill's home holds beside its record: what the agents did, and what they are declared to do."""


def watcher(home: Home) -> Child:
    """Return the watcher of a drill's home, kept ones too: it goes by the drill, not by this user's settings."""
    return Child(home, config=str(home.path / CONFIG), files=[home.path / ACTIONS])


class Drill:
    """A running drill; leave it with `close`.

    Args:
        scenario: what happens.
        speed: drill seconds for each real second.
        seed: other traffic for another number.
        keep: the directory to use and keep; None = a temporary one.

    Raises:
        Refused: `keep` is in use already.
        StoreTrouble: the home cannot be made, or is one for real incidents.
    """

    def __init__(self, scenario: Scenario, speed: float, seed: int, keep: Path | None = None) -> None:
        self.scenario, self.kept = scenario, keep is not None
        self._halted = Event()
        if keep is not None and keep.exists() and any(keep.iterdir()):
            raise Refused(
                f"{keep} is not empty.", "Name a new directory; a kept drill is opened with `warroom --home`."
            )
        self.path = keep or Path(tempfile.mkdtemp(prefix="warroom-drill-"))
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            actions = self.path / ACTIONS
            self.past = write(actions, traffic.history(scenario, seed))
            (self.path / CONFIG).write_text(_configuration(scenario))
            # The clock starts last: preparing must not use up the quiet minutes before the loop.
            clock = ScaledClock(traffic.start(scenario), SystemClock().now(), speed)
            self.home = Home.open(self.path, "drill", clock)
            self.watcher = watcher(self.home)
            self._feeder = Feeder(actions, traffic.live(scenario, seed, self._halted.is_set), self.home.clock)
            self._feeder.start()
        except BaseException:
            self._remove()
            raise

    async def desk(self, actor: str, role: str = "") -> Desk:
        """Open the desk of the drill. Once an incident is contained there, the simulated loop stops."""
        desk = await Desk.open(self.home, actor, role, self.watcher, capture=Capture(self.home))

        def obey() -> None:
            if desk.room is not None and desk.room.incident.contained_at is not None:
                self._halted.set()

        desk.listen(obey)
        return desk

    def close(self) -> None:
        """End the agents and the watcher; remove the home unless it is kept."""
        self._feeder.stop()
        self.watcher.close()
        self._remove()

    def _remove(self) -> None:
        if not self.kept:
            shutil.rmtree(self.path, ignore_errors=True)


def _configuration(scenario: Scenario) -> str:
    """The inventory of the scenario's agents, and no intake: a drill listens on nothing."""
    lines = ["[intake]", "enabled = false"]
    for agent in scenario.agents:
        # A JSON string is a TOML string.
        lines += ["", "[[agent]]", f"name = {json.dumps(agent.name)}", f"owner = {json.dumps(agent.owner)}"]
        lines += [f"tools = {json.dumps(agent.tools)}", f"deny = {json.dumps(agent.deny)}"]
    return "\n".join(lines) + "\n"
