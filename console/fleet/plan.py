"""What a fleet is: which agents there are, what each does, how fast, and which of them misbehave on a bad day."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Literal, get_args

from console.fleet.systems import SYSTEMS

FILE = "fleet.json"
MOST = 2_000
"""Agents of one fleet."""
SEARCH = "memory/search"
"""The tool of every agent, which changes nothing."""
PAYOUT = "payments/payout"
"""The tool that rogue agents use and nobody declared."""

Behaviour = Literal["obey", "hang", "refuse", "lie", "slow", "revive", "late", "deaf"]
BEHAVIOURS: tuple[Behaviour, ...] = get_args(Behaviour)
TRADES = ("billing", "outreach", "platform", "research", "refunds", "docs", "identity")
"""What agents are called after; each trade has the tools of two classes, so that four agents act in all seven."""


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent of the plan. `rogue`: it runs away after the plan's `rogue_after`."""

    name: str
    tenant: str
    classes: tuple[int, ...]
    behaviour: Behaviour = "obey"
    rogue: bool = False

    @property
    def tools(self) -> tuple[str, ...]:
        """The tools that it is declared to use."""
        return (*(SYSTEMS[number].tool for number in self.classes), SEARCH)


@dataclass(frozen=True, slots=True)
class Plan:
    """A fleet.

    Attributes:
        agents: all of them; a `late` one is started while others are halted.
        rate: actions of one agent a second, at rest.
        seed: other traffic for another number.
        rogue_after: seconds from the start until rogue agents run away.
        revive_after: seconds from its halt until an agent that revives acts again.
        late_after: seconds from the first halt until agents that come late appear.
        slow_for: seconds that a slow agent takes for its first answer.
        queue_wait: seconds that a big payment waits for somebody's veto.
        warden: URL of the warden whose leave the agents need; empty = none.
        warden_key: its public key, hex.
        warden_directory: where it keeps that, and its token.
        direct: the configuration names the port of each agent, instead of the fleet's own endpoint for all.
        drill: the directory is the home of a drill; else a home for real incidents lies in it.
    """

    agents: tuple[Agent, ...]
    rate: float = 0.1
    seed: int = 1
    rogue_after: float = 30.0
    revive_after: float = 5.0
    late_after: float = 2.0
    slow_for: float = 3.0
    queue_wait: float = 60.0
    warden: str = ""
    warden_key: str = ""
    warden_directory: str = ""
    direct: bool = False
    drill: bool = False

    def save(self, root: Path) -> None:
        """Write the plan into the fleet's directory."""
        (root / FILE).write_text(json.dumps(asdict(self), indent=1) + "\n", "utf-8")

    @classmethod
    def load(cls, root: Path) -> Plan:
        """Read the plan of a directory that `save` wrote.

        Raises:
            OSError: there is none.
        """
        values = json.loads((root / FILE).read_text("utf-8"))
        agents = (Agent(**{**each, "classes": tuple(each["classes"])}) for each in values.pop("agents"))
        return cls(agents=tuple(agents), **values)


def crew(count: int, behaviours: Mapping[Behaviour, int], rogue: int, seed: int = 1) -> tuple[Agent, ...]:
    """Return `count` agents, of which as many as `behaviours` says misbehave and `rogue` others run away.

    The same numbers and seed give the same agents.

    Raises:
        ValueError: there are more of those than agents.
    """
    odd = [behaviour for behaviour, share in behaviours.items() for _ in range(share)]
    if len(odd) + rogue > count:
        raise ValueError(f"{len(odd) + rogue} of {count} agents cannot misbehave")
    places = Random(f"{seed} crew").sample(range(count), len(odd) + rogue)  # noqa: S311 - traffic, no secret
    behaviour_at = dict(zip(places, odd, strict=False))
    rogues = set(places[len(odd) :])
    return tuple(
        Agent(
            name=f"{TRADES[n % 7]}-{n + 1:03}",
            tenant=("acme", "globex", "initech")[n % 3],
            classes=classes(n % 7),
            behaviour=behaviour_at.get(n, "obey"),
            rogue=n in rogues,
        )
        for n in range(count)
    )


def classes(trade: int) -> tuple[int, int]:
    """Return the two classes of rollback in which a trade acts, by its place in `TRADES`."""
    return 2 * trade % 7 + 1, (2 * trade + 1) % 7 + 1
