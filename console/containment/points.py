"""The points: everything that can be stopped, as it is configured, and what reaches it.

A drill has the points of its own configuration, the one in its home, and no others: whatever configuration its
console was started with, no real actuator is ever made for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from console.config import Config, Point, load
from console.containment.actuator import Actuator, Answer, Call, Reading
from console.events import HaltScope, MoveOrdered, Target
from console.refusal import Refused

if TYPE_CHECKING:
    from data.home import Home

Make = Callable[[Point, Path], Actuator]
"""Makes the actuator of a point; the path is the directory that relative files are looked for in. Raises `Refused`."""

DRILL_CONFIG = "config.toml"
"""The configuration in a drill's home."""
MOST = 20_000
FILE_BYTES = 4 << 20
LINE = 200

VERBS: Mapping[HaltScope, str] = {
    "all": "halt_all",
    "agent": "halt_agent",
    "tool": "halt_tool",
    "queue": "quarantine_actions",
}
"""The verb of each scope, in the priority order of S003."""
INSTEAD: Mapping[str, tuple[str, ...]] = {
    "halt_all": ("halt_agent", "scheduler_off", "quarantine_actions"),
    "restore_all": ("restore_agent", "scheduler_on", "release_actions"),
}
"""What a point does in an order to which its own verbs are narrower: all agents are also each one of them, what would
start further runs, and what waits to be carried out for them."""
OF_KIND: Mapping[str, tuple[str, ...]] = {
    "fleet": ("halt_all", "restore_all"),
    "agent": ("halt_agent", "restore_agent"),
    "tool": ("halt_tool", "restore_tool"),
    "queue": ("quarantine_actions", "release_actions"),
    "scheduler": ("scheduler_off", "scheduler_on"),
}
"""What a point of a kind carries out when its configuration names no verbs."""
_ABOUT: Mapping[str, Literal["agent", "tool", "queue"]] = {
    "halt_agent": "agent",
    "restore_agent": "agent",
    "halt_tool": "tool",
    "restore_tool": "tool",
    "quarantine_actions": "queue",
    "release_actions": "queue",
}


BY_HAND = "by-hand"
"""The point of what nothing configured can stop: a person does it, and the stopwatch runs all the same."""


class ByHand:
    """Sends nothing: a person does it, and says so."""

    verbs: frozenset[str] = frozenset()

    def plan(self, call: Call) -> str:
        """Return what is to be done."""
        return f"By hand: {call.verb.replace('_', ' ')} {call.target}; then say how it was seen."

    async def apply(self, call: Call) -> Answer:
        """Say that it waits for a person."""
        return Answer(False, "By hand: nothing that is configured reaches it. It waits for a person's word.")

    async def probe(self, call: Call) -> Reading:
        """See nothing."""
        return Reading("unknown")

    async def close(self) -> None:
        """There is nothing to let go of."""


class Row(NamedTuple):
    """One target as it is configured. `name`: what its actuator calls it."""

    point: Point
    target: Target
    name: str
    tool: str
    queue: str


@dataclass(slots=True)
class Known:
    """What was read at one time; replaced as a whole when a file changed."""

    points: dict[str, Point] = field(default_factory=dict)
    rows: dict[str, list[Row]] = field(default_factory=dict)
    by_id: dict[str, Row] = field(default_factory=dict)
    actuators: dict[str, Actuator] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    marks: tuple[object, ...] = ()


class Points:
    """What can be stopped.

    Args:
        config: where the points are; read again by `again` when its file, or one that it names, has changed.
        make: makes actuators; None = those of `console.containment.actuators`.
        mode: of the home that they are for.

    Attributes:
        mode: incidents of another mode are refused.
        problems: point to what is wrong with it, in words; it is not used, or not for all of it.
    """

    def __init__(
        self, config: Config, make: Make | None = None, mode: Literal["live", "drill"] = "live"
    ) -> None:
        self.mode = mode
        self._config = config
        self._make = _make if make is None else make
        self._left: list[Actuator] = []
        self._known = self._read(Known())

    @classmethod
    def of(cls, config: Config, home: Home) -> Points:
        """Return the points for the incidents of `home`; those of a drill are in its own home."""
        return cls.at(config, home.path, home.mode)

    @classmethod
    def at(cls, config: Config, directory: Path, mode: Literal["live", "drill"]) -> Points:
        """Return the points for the home in `directory`, which need not be there yet."""
        if mode == "drill":
            own = directory / DRILL_CONFIG
            return cls(load(own) if own.exists() else Config(), mode="drill")
        return cls(config)

    @property
    def config(self) -> Config:
        """The configuration that they are from: in a drill, that of its home."""
        return self._config

    @property
    def problems(self) -> dict[str, str]:
        """Point to what is wrong with it."""
        return self._known.problems

    @property
    def settings(self) -> list[Point]:
        """The points that can be used, in the order of the configuration."""
        return [each for name, each in self._known.points.items() if name in self._known.actuators]

    def again(self) -> bool:
        """Read the configuration and the files of targets again if one of them changed. Returns whether it did.

        Reads files: not for the thread of a screen.
        """
        if self._known.marks == self._marks(self._known.points.values()):
            return False
        if self._config.path:
            self._config = load(Path(self._config.path))
        self._known = self._read(self._known)
        return True

    def targets(self, verb: str, subject: str = "") -> list[Target]:
        """Return the targets that an order would reach, in the order of the configuration.

        A canary is reached only under its own name: it is there to prove the stop, not to be counted among agents.

        Args:
            verb: of the catalogue, such as `halt_agent`.
            subject: agent, tool or queue, a point, or the id of a target; empty = all.
        """
        found: dict[str, Target] = {}
        for point in self.settings:
            if self._verb(point, verb) and (not point.canary or subject.partition("/")[0] == point.name):
                rows = self._known.rows[point.name]
                for row in rows:
                    if not subject or subject in _names(verb, row):
                        found.setdefault(row.target.id, row.target)
                if not rows and subject not in ("", point.name):
                    target = _open(point, verb, subject)
                    found.setdefault(target.id, target)
                elif not rows and not _ABOUT.get(verb):
                    found.setdefault(point.name, Target(point.name, point.name, "", point.actuator))
        return list(found.values())

    def subjects(self, scope: str) -> list[str]:
        """Return the agents, tools or queues that points know. `scope`: `agent`, `tool` or `queue`."""
        names: dict[str, None] = {}
        for point in self.settings:
            for row in self._known.rows[point.name]:
                name = {"agent": row.target.agent, "tool": row.tool, "queue": row.queue}.get(scope, "")
                if name and not point.canary:
                    names[name] = None
        return list(names)

    def verbs(self, point: str) -> frozenset[str]:
        """Return the verbs that a point carries out; none when it cannot be used."""
        setting, actuator = self._known.points.get(point), self._known.actuators.get(point)
        if setting is None or actuator is None:
            return frozenset()
        return actuator.verbs & _limits(setting) if _limits(setting) else actuator.verbs

    def actuator(self, point: str) -> Actuator:
        """Return what reaches a point.

        Raises:
            Refused: there is no such point any more, or it is configured wrongly.
        """
        if point == BY_HAND:
            return ByHand()
        found = self._known.actuators.get(point)
        if found is None:
            raise Refused(
                self.problems.get(point, f"No point {point} is configured."),
                "`warroom config check` says what is wrong.",
            )
        return found

    def call(self, order: MoveOrdered, target: Target, *, epoch: int = 0, timeout: float = 2.0) -> Call:
        """Return what an order asks of one target: with the verb that its point knows for it."""
        row = self._known.by_id.get(target.id)
        setting = self._known.points.get(target.point)
        limited = not order.lifts  # whoever may stop something at a point may also let it go on
        verb = (self._verb(setting, order.verb, limited=limited) if setting is not None else "") or order.verb
        name = row.name if row is not None else target.id.removeprefix(f"{target.point}/")
        return Call(
            order.order, verb, name, target.agent, order.args, epoch or order.epoch, timeout, order.reason
        )

    async def close(self) -> None:
        """Let go of every actuator; called on the event loop that used them."""
        for actuator in (*self._left, *self._known.actuators.values()):
            await actuator.close()

    def _verb(self, point: Point, verb: str, *, limited: bool = True) -> str:
        """What a point does for `verb`; "" when it has no part in it."""
        actuator = self._known.actuators.get(point.name)
        if actuator is None:
            return ""
        able = actuator.verbs
        limits = _limits(point) if limited else frozenset()
        for each in (verb, *INSTEAD.get(verb, ())):
            if each in able and (not limits or each in limits):
                return each
        return ""

    def _marks(self, points: Iterable[Point]) -> tuple[object, ...]:
        files = [self._config.path, *(str(self._file(each)) for each in points if each.targets_file)]
        marks: list[object] = []
        for file in filter(None, files):
            try:
                found = os.stat(file)
                marks.append((found.st_mtime_ns, found.st_size, found.st_ino))
            except OSError:
                marks.append(None)
        return tuple(marks)

    def _file(self, point: Point) -> Path:
        return self._directory / Path(point.targets_file).expanduser()

    @property
    def _directory(self) -> Path:
        return Path(self._config.path or ".").absolute().parent

    def _read(self, before: Known) -> Known:
        known = Known(marks=self._marks(self._config.points))
        count = 0
        for point in self._config.points:
            if point.name in known.points:
                known.problems[point.name] = f"Two points are called {point.name}; the second is left out."
                continue
            try:
                rows = _rows(point, self._lines(point))
                if point == before.points.get(point.name) and point.name in before.actuators:
                    actuator = before.actuators[point.name]
                else:
                    actuator = self._make(point, self._directory)
                    if not _limits(point) and {"halt_all", "halt_tool"} <= actuator.verbs:
                        raise Refused(
                            f"Point {point.name} does not say what it stops.",
                            f"Give it `verbs`, or one of the kinds {', '.join(OF_KIND)}.",
                        )
            except Refused as refused:
                known.problems[point.name] = f"{refused.what} {refused.next_step}".strip()
                continue
            if cannot := sorted(set(point.verbs) - actuator.verbs):
                # Said, and no reason to leave out what it can.
                known.problems[point.name] = f"Its actuator cannot carry out {', '.join(cannot)[:200]}."
            count += len(rows)
            if count > MOST:
                known.problems[point.name] = f"These are more than {MOST:,} targets together."
                continue
            known.points[point.name], known.rows[point.name] = point, rows
            known.actuators[point.name] = actuator
            known.by_id.update((row.target.id, row) for row in rows)
        # Whoever uses one of them now goes on with it; all are closed at the end.
        kept = {id(each) for each in known.actuators.values()}
        self._left += [each for each in before.actuators.values() if id(each) not in kept]
        return known

    def _lines(self, point: Point) -> list[str]:
        lines = list(point.targets)
        if point.targets_file:
            file = self._file(point)
            try:
                with file.open("rb") as stream:
                    raw = stream.read(FILE_BYTES + 1)
                text = raw.decode()
            except OSError as error:
                raise Refused(
                    f"The targets_file of point {point.name} cannot be read ({error.strerror})."
                ) from None
            except UnicodeDecodeError:
                raise Refused(f"The targets_file of point {point.name} is not UTF-8 text.") from None
            if len(raw) > FILE_BYTES:
                raise Refused(
                    f"The targets_file of point {point.name} is larger than {FILE_BYTES >> 20} MiB."
                )
            lines += [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        for line in lines:
            if len(line) > LINE or not line.isprintable():
                raise Refused(
                    f"A target of point {point.name} is longer than {LINE} characters or not printable."
                )
        if len(lines) > MOST:
            raise Refused(f"Point {point.name} has more than {MOST:,} targets.")
        return lines


def _rows(point: Point, lines: list[str]) -> list[Row]:
    if not lines:
        if not (point.agent or point.tool or point.queue):
            return []
        name = point.agent or point.tool or point.queue
        target = Target(point.name, point.name, point.agent, point.actuator)
        return [Row(point, target, name, point.tool, point.queue)]
    rows: dict[str, Row] = {}
    for line in lines:
        name, _, agent = line.strip().partition(" ")
        agent = agent.strip() or point.agent or (name if point.kind == "agent" else "")
        tool = point.tool or (name if point.kind == "tool" else "")
        queue = point.queue or (name if point.kind == "queue" else "")
        target = Target(f"{point.name}/{name}"[:128], point.name, agent[:128], point.actuator)
        if len(point.name) + len(name) >= 128:
            raise Refused(f"A target of point {point.name} has a name that is too long: {name[:40]}...")
        rows.setdefault(target.id, Row(point, target, name, tool, queue))
    return list(rows.values())


def _limits(point: Point) -> frozenset[str]:
    """What a point carries out at most; nothing = whatever its actuator can."""
    return frozenset(point.verbs or OF_KIND.get(point.kind, ()))


def _names(verb: str, row: Row) -> set[str]:
    """The subjects that mean a target."""
    own = {row.point.name, row.target.id}
    match _ABOUT.get(verb):
        case "agent":
            return own | {row.target.agent}
        case "tool":
            return own | {row.tool}
        case "queue":
            return own | {row.queue}
        case _:
            return own | {row.name, row.target.agent, row.tool, row.queue}


def _open(point: Point, verb: str, subject: str) -> Target:
    """The target of a point that takes any."""
    agent = subject if _ABOUT.get(verb) == "agent" else ""
    return Target(f"{point.name}/{subject}"[:128], point.name, agent[:128], point.actuator)


def _make(point: Point, directory: Path) -> Actuator:
    # By name: heavy clients are imported when a point is there that needs them.
    registry = import_module("console.containment.actuators.registry")
    made: Actuator = registry.make(point.actuator, point.options, secrets=os.environ, config_dir=directory)
    return made
