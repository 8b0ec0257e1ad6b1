"""Coverage: which agent and which tool has no stop that works, who may fire each, and when each was last proven. Pure.

A stop that nobody has tried is not called one that works. A canary proves every point with the same actuator and the
same options: they differ in their targets only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import msgspec

from console import authority
from console.containment.fanout import WARDEN
from console.containment.proof import MILLISECOND, Proof
from data.clock import iso

if TYPE_CHECKING:
    from console.authority import Who
    from console.config import Agent, Point
    from console.containment.points import Points
    from console.events import Target

CYCLE = 91 * 86_400_000_000_000
"""How long a proof says something, ns: a stop is tried at least once a quarter (S003-DR-1, S003-DR-2)."""
ANY = "(any)"
"""A name that nothing has: only points that take any are reached under it."""
Coverage = Literal["none", "failed", "by-hand", "unproven", "stale", "proven"]
"""How well something can be stopped, the worst first. `none`: no point reaches it. `failed`: the last try did not hold.
`by-hand`: only a person can. `unproven`: nobody tried. `stale`: the last proof is older than `CYCLE`."""
RANK: dict[Coverage, int] = {each: place for place, each in enumerate(get_args(Coverage))}


class Cover(NamedTuple):
    """One agent or tool, and how it can be stopped.

    Attributes:
        kind: what it is.
        name: as it is declared, seen, or configured.
        declared: whether the configuration declares it.
        seen: whether telemetry of late shows it.
        verb: what stops it.
        wide: whether only a halt of everything does.
        points: through which points.
        who: who may fire it.
        state: how well it is covered.
        proof: the newest proof that held; where the last try failed, that one.
    """

    kind: Literal["agent", "tool"]
    name: str
    declared: bool
    seen: bool
    verb: str
    wide: bool
    points: tuple[str, ...]
    who: Who
    state: Coverage
    proof: Proof | None

    @property
    def works(self) -> bool:
        """Whether there is a stop that was seen to work of late."""
        return self.state == "proven"

    @property
    def value(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "kind": self.kind,
            "name": self.name,
            "declared": self.declared,
            "seen": self.seen,
            "verb": self.verb,
            "wide": self.wide,
            "points": list(self.points),
            "holders": list(self.who.people),
            "authorities": list(self.who.authorities),
            "state": self.state,
            "works": self.works,
            "proven": None if self.proof is None else self.proof.value,
        }


class PointCover(NamedTuple):
    """One point, and when it was last tried.

    Attributes:
        point: as it is configured.
        verbs: what it carries out.
        state: as of a cover; a point itself is never `none`.
        proof: what was tried last: on it, or on a canary that is reached in the same way.
        problem: why it cannot be used; empty: it can.
    """

    point: Point | str
    verbs: tuple[str, ...]
    state: Coverage
    proof: Proof | None
    problem: str = ""

    @property
    def name(self) -> str:
        """Its name."""
        return self.point if isinstance(self.point, str) else self.point.name

    @property
    def vendor(self) -> str:
        """What the vendor promises beside what was measured, in words; empty where nothing is promised (S003-KS-4)."""
        if isinstance(self.point, str) or not self.point.vendor_sla:
            return ""
        promise = self.point.vendor_sla // MILLISECOND
        promised = f"{self.point.vendor or 'the vendor'} promises {promise / 1000:g} s"
        if self.proof is None or not self.proof.held:
            return f"{promised}; not measured"
        late = ", LATER than promised" if self.proof.ms > promise else ""
        return f"{promised}; {self.proof.ms / 1000:.1f} s were measured{late}"

    @property
    def value(self) -> dict[str, object]:
        """The same for programs."""
        named = None if isinstance(self.point, str) else self.point
        return {
            "point": self.name,
            "actuator": named.actuator if named is not None else "",
            "canary": named.canary if named is not None else False,
            "verbs": list(self.verbs),
            "state": self.state,
            "problem": self.problem,
            "vendor": self.vendor,
            "tested": None if self.proof is None else self.proof.value,
        }


def coverage(
    points: Points,
    agents: Sequence[Agent],
    seen: Mapping[str, Collection[str]],
    known: authority.Standing,
    proofs: Iterable[Proof],
    now: int,
    guarded: Collection[str] = (),
) -> list[Cover]:
    """Return every agent and tool with its stop, the worst covered first.

    Args:
        points: what can be stopped.
        agents: what the configuration declares.
        seen: agent to the tools that telemetry of late shows it call.
        known: the authorities in force.
        proofs: what was tried.
        now: ns UTC.
        guarded: agents with a guard that asks the warden for leave: they stop when that ends, whoever reaches them.
    """
    trials = _Trials(points, proofs, now)
    callers: dict[str, set[str]] = {}
    for agent, tools in [*seen.items(), *((each.name, each.tools) for each in agents)]:
        for tool in tools:
            callers.setdefault(tool, set()).add(agent)
    declared = {
        "agent": dict.fromkeys(each.name for each in agents),
        "tool": dict.fromkeys(tool for each in agents for tool in each.tools),
    }
    shown = {
        "agent": dict.fromkeys(seen),
        "tool": dict.fromkeys(tool for tools in seen.values() for tool in tools),
    }
    found: list[Cover] = []
    for kind, verb in (("agent", "halt_agent"), ("tool", "halt_tool")):
        reached = _Reached(points, kind, verb)
        who = {each: authority.who_can(each, None, known) for each in (verb, "halt_all")}
        names = _names(declared[kind], {**shown[kind], **dict.fromkeys(points.subjects(kind))})
        for name in names:
            through, wide = reached.through(name)
            # A guard refuses its agent everything, or one tool: where each caller has one, the tool is covered.
            asking = {name} if kind == "agent" else callers.get(name, set())
            if asking and asking.issubset(guarded):
                through, wide = (*(() if wide else through), WARDEN), False
            stops = "halt_all" if wide else verb
            state, proof = trials.of(through)
            found.append(
                Cover(
                    "agent" if kind == "agent" else "tool",
                    name,
                    any(fnmatchcase(name, each) for each in declared[kind]),
                    name in shown[kind],
                    stops,
                    wide,
                    through,
                    who[stops],
                    state,
                    proof,
                )
            )
    return sorted(found, key=lambda each: (RANK[each.state], each.kind, each.name))


def point_covers(points: Points, proofs: Iterable[Proof], now: int) -> list[PointCover]:
    """Return every point with when it was last tried, as they are configured; those that cannot be used come last."""
    trials = _Trials(points, proofs, now)
    rows = []
    for each in points.settings:
        state, proof = trials.of((each.name,))
        rows.append(PointCover(each, tuple(sorted(points.verbs(each.name))), state, proof))
    return rows + [PointCover(name, (), "none", None, why) for name, why in points.problems.items()]


def short(proof: Proof | None) -> str:
    """Say in a few words when something was last tried, and what came of it."""
    if proof is None:
        return "never tried"
    took = f"held after {proof.ms / 1000:.1f} s" if proof.held else f"did NOT hold ({proof.note})"
    return f"{iso(proof.at, 0)[:10]} {proof.how} by {proof.by}: {took}"


class _Trials:
    """What was tried, by the point that it says something about."""

    def __init__(self, points: Points, proofs: Iterable[Proof], now: int) -> None:
        self._now = now
        self._settings = {each.name: each for each in points.settings}
        ways = {name: _way(each) for name, each in self._settings.items()}
        canaries: dict[bytes, list[str]] = {}
        for name, each in self._settings.items():
            if each.canary:
                canaries.setdefault(ways[name], []).append(name)
        by: dict[str, list[Proof]] = {}
        for proof in sorted(proofs, key=lambda each: each.at):
            by.setdefault(proof.point, []).append(proof)
        self._by = {name: own for name, own in by.items() if name not in ways}
        for name, way in ways.items():
            from_ = dict.fromkeys((name, *canaries.get(way, ())))
            self._by[name] = sorted((p for each in from_ for p in by.get(each, ())), key=lambda p: p.at)

    def of(self, points: Collection[str]) -> tuple[Coverage, Proof | None]:
        """How well what these points reach is covered: one that failed last spoils it, one that is proven is enough."""
        if not points:
            return "none", None
        last = [own[-1] for each in points if (own := self._by.get(each))]
        if failed := [each for each in last if not each.held]:
            return "failed", max(failed, key=lambda each: each.at)
        if all(each in self._settings and self._settings[each].actuator == "manual" for each in points):
            return "by-hand", max(last, key=lambda each: each.at, default=None)
        if not last:
            return "unproven", None
        newest = max(last, key=lambda each: each.at)
        return ("proven" if newest.at + CYCLE >= self._now else "stale"), newest


class _Reached:
    """Through which points each agent, or each tool, is reached: read once, for any number of names."""

    def __init__(self, points: Points, kind: str, verb: str) -> None:
        own = points.targets(verb)
        self._by: dict[str, dict[str, None]] = {}
        if kind == "agent":
            for target in own:
                self._by.setdefault(target.agent, {})[target.point] = None
        else:
            for name in points.subjects(kind):
                self._by[name] = dict.fromkeys(each.point for each in points.targets(verb, name))
        self._any = dict.fromkeys(each.point for each in points.targets(verb, ANY))
        # A halt of all reaches an agent through what names it, or through what names none.
        wide = points.targets("halt_all") if kind == "agent" else []
        self._wide = dict.fromkeys(each.point for each in wide if not each.agent and _stops_all(points, each))

    def through(self, name: str) -> tuple[tuple[str, ...], bool]:
        """Return the points for a name (for a glob: for all of its names), and whether only a halt of all does it."""
        own = dict(self._by.get(name, ()))
        if not own and _is_glob(name):
            for other, through in self._by.items():
                if other and fnmatchcase(other, name):
                    own.update(through)
        own |= self._any
        return (tuple(own), False) if own else (tuple(self._wide), bool(self._wide))


def _stops_all(points: Points, target: Target) -> bool:
    return "halt_all" in points.verbs(target.point)


def _names(declared: Iterable[str], others: Iterable[str]) -> list[str]:
    """Every name once; a glob that names somebody known stands for itself no more."""
    known = dict.fromkeys(others)
    globs = [each for each in declared if _is_glob(each)]
    plain = [each for each in declared if not _is_glob(each)]
    bare = [glob for glob in globs if not any(fnmatchcase(each, glob) for each in known)]
    return list(dict.fromkeys([*plain, *known, *bare]))


def _is_glob(name: str) -> bool:
    return any(char in name for char in "*?[")


def _way(point: Point) -> bytes:
    return msgspec.json.encode([point.actuator, point.options], order="deterministic")
