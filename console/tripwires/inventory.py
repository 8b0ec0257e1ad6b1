"""The declared inventory: which tools an agent may call, since when, and who owns it."""

from fnmatch import translate
from re import Pattern, compile
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

BEGINNING = -(1 << 63)
END = (1 << 63) - 1

Glob = Annotated[str, Meta(min_length=1, max_length=512)]


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one agent, or all agents that match a glob, may do. All entries that match an agent add up.

    Attributes:
        agent: glob of agent names, case-sensitive.
        tenant: glob of tenants.
        allow: globs of the tools it may call, qualified `server/tool`.
        deny: globs of tools it may not call; they win over every `allow`.
        start: in force from this time on, nanoseconds UTC; None = always has been.
        end: no longer in force from this time on; None = for good.
        owner: who is paged for this agent.
        cost_ceiling: nano-USD that it may spend in any hour, baseline or not.
        calls_ceiling: calls that it may make in any hour, baseline or not.
    """

    agent: Glob
    tenant: Glob = "*"
    allow: tuple[Glob, ...] = ()
    deny: tuple[Glob, ...] = ()
    start: int | None = None
    end: int | None = None
    owner: str = ""
    cost_ceiling: Annotated[int, Meta(ge=0, le=10**18)] | None = None
    calls_ceiling: Annotated[int, Meta(ge=0, le=10**12)] | None = None


class Verdict(NamedTuple):
    """Whether a call is declared: an empty `reason` is yes. Holds for event times in `[start, end)`."""

    reason: str
    start: int
    end: int


class Ceilings(NamedTuple):
    """Declared ceilings per hour, None = none: nano-USD and calls. Hold for event times in `[start, end)`."""

    cost: int | None
    calls: int | None
    start: int
    end: int


NO_CEILINGS = Ceilings(None, None, BEGINNING, END)


class _Compiled(NamedTuple):
    entry: Entry
    tenant: Pattern[str]
    agent: Pattern[str]
    allow: Pattern[str]
    deny: Pattern[str]
    start: int
    end: int

    def allows(self, tool: str) -> bool:
        return self.allow.match(tool) is not None and not self.denies(tool)

    def denies(self, tool: str) -> bool:
        return self.deny.match(tool) is not None


class Inventory:
    """Declared entries, ready to be asked. An agent without any entry may call nothing."""

    def __init__(self, entries: tuple[Entry, ...] = ()) -> None:
        self.entries = entries
        self._compiled = tuple(
            _Compiled(
                entry,
                _glob(entry.tenant),
                _glob(entry.agent),
                _glob(*entry.allow),
                _glob(*entry.deny),
                BEGINNING if entry.start is None else entry.start,
                END if entry.end is None else entry.end,
            )
            for entry in entries
        )

        self._any_ceiling = any(e.cost_ceiling is not None or e.calls_ceiling is not None for e in entries)

    def _of(self, tenant: str, agent: str) -> list[_Compiled]:
        return [e for e in self._compiled if e.agent.match(agent) and e.tenant.match(tenant)]

    def verdict(self, tenant: str, agent: str, tool: str, at: int) -> Verdict:
        """Judge a call of `tool` at event time `at` (ns UTC).

        Reasons: `no-entry` (nothing is declared for the agent), `undeclared`, `denied`, `expired` (it was
        allowed once), `not-yet-valid`.
        """
        entries = self._of(tenant, agent)
        start, end = _holds(entries, at)
        reason = "no-entry"
        if entries:
            valid = [e for e in entries if e.start <= at < e.end]
            others = [e for e in entries if e not in valid and e.allows(tool)]
            if any(e.denies(tool) for e in valid):
                reason = "denied"
            elif any(e.allows(tool) for e in valid):
                reason = ""
            elif any(e.end <= at for e in others):
                reason = "expired"
            else:
                reason = "not-yet-valid" if others else "undeclared"
        return Verdict(reason, start, end)

    def ceilings(self, tenant: str, agent: str, at: int) -> Ceilings:
        """Return the lowest ceilings declared for the agent at event time `at` (ns UTC)."""
        if not self._any_ceiling:
            return NO_CEILINGS
        entries = self._of(tenant, agent)
        valid = [e.entry for e in entries if e.start <= at < e.end]
        costs = [e.cost_ceiling for e in valid if e.cost_ceiling is not None]
        calls = [e.calls_ceiling for e in valid if e.calls_ceiling is not None]
        return Ceilings(min(costs, default=None), min(calls, default=None), *_holds(entries, at))

    def owner(self, tenant: str, agent: str) -> str:
        """Return who owns the agent by the first entry that says so, or ''."""
        return next((e.entry.owner for e in self._of(tenant, agent) if e.entry.owner), "")


def _holds(entries: list[_Compiled], at: int) -> tuple[int, int]:
    """The time around `at` in which no entry begins or ends."""
    edges = {edge for e in entries for edge in (e.start, e.end)}
    start = max((edge for edge in edges if edge <= at), default=BEGINNING)
    return start, min((edge for edge in edges if edge > at), default=END)


def _glob(*texts: str) -> Pattern[str]:
    """One pattern for what any of the globs matches; for no globs, one that matches nothing."""
    return compile("|".join(map(translate, texts)) or r"(?!)")
