"""Who asks for leases, and how far each guard is with the halts that concern it.

All of it is the guards' own word, except for when leases run out: the warden gave them, and gives no other. So
`acked` proves nothing, `lease_expired` does, and `verified` and `leaking` are what somebody else saw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct

from console.warden.epochs import Epochs, Word
from console.warden.protocol import Ask, GuardState, Hex, Named, Saw
from console.warden.protocol import GuardStanding as GuardStanding

_STRONGEST: tuple[GuardState, ...] = ("leaking", "verified", "lease_expired", "acked")
MOST = 20_000
"""Guards that are known at once; further ones get no lease."""
NAMES = 1_000_000
"""Names of tools and queues of all guards together; beyond them a guard that asks for more gets no lease."""
FORGET = 3600.0
"""Seconds after which a guard without a lease may be forgotten."""
SILENT = 2.0
"""Seconds after a halt in which a guard is expected to show itself; then it is unreachable."""


class Kept(Struct, frozen=True):
    """A guard on the disk: who may still hold a lease when the warden starts again."""

    agent: Named
    guard: Hex
    valid: float
    tools: tuple[Named, ...] = ()
    queues: tuple[Named, ...] = ()


class _Halted:
    """How far one guard is with one halt. `until`: when what it held at the halt runs out."""

    __slots__ = ("epoch", "times", "until")

    def __init__(self, epoch: int, until: float) -> None:
        self.epoch, self.until = epoch, until
        self.times: dict[str, int] = {}


class _Guard:
    __slots__ = ("agent", "guard", "halts", "obeys", "queues", "seen", "streams", "tools", "until", "valid")

    def __init__(self, agent: str, guard: str) -> None:
        self.agent, self.guard = agent, guard
        self.tools: frozenset[str] = frozenset()
        self.queues: frozenset[str] = frozenset()
        self.valid = 0.0
        self.until = 0.0
        self.seen = -1.0
        self.streams = 0
        self.obeys = 0
        self.halts: dict[tuple[str, str], _Halted] = {}


class Guards:
    """The guards, by agent and id.

    Args:
        epochs: what is halted.
        now: a monotonic clock, seconds.
        usual: the usual length of a lease, seconds.
    """

    def __init__(self, epochs: Epochs, now: Callable[[], float], usual: float) -> None:
        self._epochs, self._now, self._usual = epochs, now, usual
        self._guards: dict[tuple[str, str], _Guard] = {}
        self._began: dict[tuple[str, str], tuple[int, float]] = {}
        self._names = 0
        self.changed = False
        """Whether somebody came since this was last set to False, so that `kept` is worth writing."""

    def __len__(self) -> int:
        return len(self._guards)

    def restore(self, kept: Iterable[Kept], since: Callable[[Word], float]) -> None:
        """Take back who was known before a restart: each may hold a lease that was given a moment ago.

        Args:
            kept: the guards.
            since: seconds since a halt that is in force.
        """
        now = self._now()
        for each in kept:
            guard = _Guard(each.agent, each.guard)
            guard.tools, guard.queues = frozenset(each.tools), frozenset(each.queues)
            guard.valid, guard.until = each.valid, now + each.valid
            self._names += len(guard.tools) + len(guard.queues)
            self._guards[each.agent, each.guard] = guard
        for word in self._epochs.in_force:
            self.halted(word, now - since(word))

    def kept(self) -> list[Kept]:
        """Return what a restart needs."""
        return [
            Kept(each.agent, each.guard, each.valid, tuple(each.tools), tuple(each.queues))
            for each in self._guards.values()
        ]

    def meet(self, agent: str, guard: str) -> _Guard | None:
        """Return a guard, known or new; None when there are too many."""
        known = self._guards.get((agent, guard))
        if known is None:
            if len(self._guards) >= MOST:
                self._forget()
            if len(self._guards) >= MOST:
                return None
            known = self._guards[agent, guard] = _Guard(agent, guard)
            self.changed = True
        known.seen = self._now()
        return known

    def asked(self, ask: Ask) -> bool:
        """Note a question, and with it what the guard obeys. Returns False when there are too many of them."""
        guard = self.meet(ask.agent, ask.guard)
        if guard is None:
            return False
        tools, queues = frozenset(ask.tools), frozenset(ask.queues)
        if (tools, queues) != (guard.tools, guard.queues):
            more = len(tools) + len(queues) - len(guard.tools) - len(guard.queues)
            if more > 0 and self._names + more > NAMES:
                return False
            self._names += more
            guard.tools, guard.queues = tools, queues
            self.changed = True
        self._obeys(guard, ask.epoch)
        return True

    def granted(self, ask: Ask, valid: float) -> None:
        """Note that a lease of `valid` seconds is given now."""
        guard = self._guards[ask.agent, ask.guard]
        self.changed = self.changed or guard.valid != valid
        guard.valid = valid
        guard.until = self._now() + valid

    def acked(self, agent: str, guard: str, epoch: int) -> bool:
        """Note that a guard says that it obeys `epoch`. Returns False if there is no such guard."""
        known = self._guards.get((agent, guard))
        if known is None:
            return False
        known.seen = self._now()
        self._obeys(known, epoch)
        return True

    def stream(self, agent: str, guard: str, change: int) -> bool:
        """Note that a guard opened (1) or lost (-1) a stream. Returns False when there are too many guards."""
        known = self.meet(agent, guard) if change > 0 else self._guards.get((agent, guard))
        if known is None:
            return False
        known.streams += change
        return True

    def halted(self, word: Word, began: float | None = None) -> None:
        """Note a halt, and until when each guard that it concerns may still act. `began`: by the monotonic clock."""
        now = self._now()
        self._began[word.key] = (word.epoch, now if began is None else began)
        for guard in self._guards.values():
            if _concerns(word, guard):
                guard.halts[word.key] = _Halted(word.epoch, guard.until)

    def resumed(self, word: Word) -> None:
        """Note that a halt is over."""
        self._began.pop(word.key, None)
        for guard in self._guards.values():
            guard.halts.pop(word.key, None)

    def saw(self, agent: str, guard: str, epoch: int, what: Saw) -> int:
        """Note what somebody else saw of the guards of an agent. Returns of how many.

        Args:
            agent: whose.
            guard: which one; empty = all of them.
            epoch: under which halt, or a later one.
            what: that it stands still, or that it acts.
        """
        count = 0
        for each in self._guards.values():
            if each.agent != agent or guard not in ("", each.guard):
                continue
            for word in self._concerning(each):
                if word.epoch <= epoch:
                    halted = self._with(each, word)
                    halted.times.pop("verified" if what == "leaking" else "leaking", None)
                    halted.times.setdefault(what, self._since(word))
                    count += 1
        return count

    def standing(self, longer: Callable[[str], bool]) -> list[GuardStanding]:
        """Return every guard, by agent and id. `longer`: whether an agent's leases are longer than usual."""
        return [self._stands(self._guards[key], longer) for key in sorted(self._guards)]

    def _stands(self, guard: _Guard, longer: Callable[[str], bool]) -> GuardStanding:
        now = self._now()
        state: GuardState = "running" if guard.until > now else "lapsed"
        until, times, word = guard.until, {}, Word("all", "", 0, False)
        if words := self._concerning(guard):
            word = max(words, key=lambda each: each.epoch)
            halted, began = self._with(guard, word), self._began[word.key][1]
            until, times = halted.until, {"requested": 0, **halted.times}
            if until <= now:
                times["lease_expired"] = max(0, round((until - began) * 1000))
            heard = guard.streams or guard.seen >= began or now - began <= SILENT
            reached = (each for each in _STRONGEST if each in times)
            state = next(reached, "requested" if heard else "unreachable")
        return GuardStanding(
            agent=guard.agent,
            guard=guard.guard,
            state=state,
            scope=word.scope if word.epoch else "",
            subject=word.subject,
            epoch=word.epoch,
            at=word.at,
            times=times,
            lease_ms=max(0, round((until - now) * 1000)),
            valid_ms=round(guard.valid * 1000),
            longer=longer(guard.agent),
            stream=guard.streams > 0,
            obeys=guard.obeys,
            seen_ms=round((now - guard.seen) * 1000) if guard.seen >= 0 else -1,
        )

    def _concerning(self, guard: _Guard) -> list[Word]:
        """The halts that concern a guard."""
        found = []
        if (word := self._epochs.stopped(guard.agent)) is not None:
            found.append(word)
        for scope, subjects in (("tool", guard.tools), ("queue", guard.queues)):
            for subject in sorted(subjects):
                if (word := self._epochs.closed(scope, subject)) is not None:  # type: ignore[arg-type]
                    found.append(word)
        return [word for word in found if word.key in self._began]

    def _with(self, guard: _Guard, word: Word) -> _Halted:
        """How far a guard is with a halt: one that came after it holds no leave from before it."""
        halted = guard.halts.get(word.key)
        if halted is None or halted.epoch != word.epoch:
            halted = guard.halts[word.key] = _Halted(word.epoch, self._began[word.key][1])
        return halted

    def _obeys(self, guard: _Guard, epoch: int) -> None:
        guard.obeys = max(guard.obeys, min(epoch, self._epochs.written))
        for word in self._concerning(guard):
            if word.epoch <= guard.obeys:
                self._with(guard, word).times.setdefault("acked", self._since(word))

    def _since(self, word: Word) -> int:
        return max(0, round((self._now() - self._began[word.key][1]) * 1000))

    def _forget(self) -> None:
        now = self._now()
        gone = [
            key
            for key, each in self._guards.items()
            if not each.streams and each.until + FORGET < now and each.seen + FORGET < now
        ]
        for key in gone:
            guard = self._guards.pop(key)
            self._names -= len(guard.tools) + len(guard.queues)


def _concerns(word: Word, guard: _Guard) -> bool:
    match word.scope:
        case "all":
            return True
        case "agent":
            return guard.agent == word.subject
        case "tool":
            return word.subject in guard.tools
        case _:
            return word.subject in guard.queues
