"""The tripwires at work: agent actions in, changes of alerts out.

The answer depends on event times alone: the same actions give the same alerts in any batches, in any order
within the slack, and across a restart from a snapshot. What differs is when each could be known, and the
engine says that too. `feed` is one plain loop on purpose: each call inside it is paid a million times.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable
from functools import lru_cache
from heapq import heapify, heappop, heappush
from itertools import chain, islice
from typing import Concatenate, ParamSpec

from msgspec import DecodeError, Struct, msgpack

from console.refusal import Refused
from console.telemetry.action import CALLS, Action
from console.telemetry.endpoint import endpoint as templated
from console.tripwires.agent import NONE_YET, Agent, SavedAgent, Status
from console.tripwires.alert import MOST, SAMPLE, Alert, Change
from console.tripwires.baseline import Limiter
from console.tripwires.episode import Evidence, Point, Wire
from console.tripwires.inventory import Inventory
from console.tripwires.outcome import Outcome, Ruling
from console.tripwires.rules import (
    ACTION_RATE,
    AUTHORISATION,
    COST_RATE,
    DAY,
    NEW_ENDPOINT,
    OUTCOME,
    SLACK,
    Rules,
)
from console.tripwires.seen import SavedSeen, Seen, identity

REST = "*"
"""Stands for everything beyond a cap: endpoints, tools, agents."""
RECENT = 16_384
"""Actions of the whole fleet that are kept, to show what led to an alert about a rate."""
_FORMAT = 1
RATES = "spend and call rate"
P = ParamSpec("P")
Step = Callable[Concatenate["Engine", P], None]


def _apart(tripwire: str) -> Callable[[Step[P]], Step[P]]:
    """Keep a mistake within one tripwire, so that the others go on. It is tried again at the next action."""

    def keep(step: Step[P]) -> Step[P]:
        def kept(engine: "Engine", /, *args: P.args, **kwargs: P.kwargs) -> None:
            try:
                step(engine, *args, **kwargs)
            except Exception as error:
                engine.failed(tripwire, error)

        return kept

    return keep


class _Saved(Struct, frozen=True):
    format: int
    clock: int
    counters: dict[str, int]
    seen: SavedSeen
    outcome: Outcome
    recent: list[Action]
    agents: list[SavedAgent]


class Engine:
    """All tripwires over all agents.

    Args:
        rules: thresholds and routes.
        inventory: what agents may do; None = nothing is declared anywhere, so the authorisation wire is blind
            and says so in `blind`, instead of alerting on every call.
    """

    def __init__(self, rules: Rules, inventory: Inventory | None) -> None:
        self.rules = rules
        self.inventory = inventory
        self.limiter = Limiter(rules)
        self.watched: dict[tuple[str, str], Agent] = {}
        self.seen = Seen()
        self.outcome = Outcome()
        self.firing: dict[tuple[str, str, str, str], Wire] = {}
        # When to look at which of them again; never too late, sometimes too early.
        self.due: list[tuple[int, tuple[str, str, str, str]]] = []
        self.recent: deque[Action] = deque(maxlen=RECENT)
        self.clock = NONE_YET
        self.counters: Counter[str] = Counter()
        self._literal = rules.page_at == "literal"
        # Kept over an exception, so that what was found before it is told by the next feed.
        self._out: list[Change] = []
        self._failures: Counter[str] = Counter()
        self._mistakes: dict[str, str] = {}
        self._flushed = NONE_YET

    @property
    def blind(self) -> dict[str, str]:
        """Rules that cannot fire, with the reason."""
        return {AUTHORISATION: "no inventory"} if self.inventory is None else {}

    def failed(self, tripwire: str, error: Exception) -> None:
        """Take note of a mistake of ours in one tripwire."""
        self._failures[tripwire] += 1
        self._mistakes[tripwire] = f"{type(error).__name__}: {error}"[:300]

    def trouble(self) -> list[str]:
        """Return which tripwires failed since the start, one sentence each."""
        return [
            f"The tripwire {name} failed {count:,} times, last with {self._mistakes[name]}: alerts of it may be"
            " missing, the others go on. Look at the agents by hand, and report this."
            for name, count in self._failures.items()
        ]

    def feed(self, actions: Iterable[Action], received_at: int | None = None) -> list[Change]:
        """Take in actions and return what changes, in order.

        Args:
            actions: in the order of arrival.
            received_at: the receiver's clock, ns UTC; None takes every action as received when it happened,
                which replays a stored file.
        """
        out = self._out
        seen, outcome = self.seen, self.outcome
        young, old = seen.young, seen.old
        turn = seen.due()
        watched = self.watched
        limiter, inventory = self.limiter, self.inventory
        memory = self.rules.endpoint_memory
        clock = self.clock
        total = duplicates = 0
        batch = actions if isinstance(actions, list) else list(actions)
        for action in batch:
            total += 1
            known = identity(action)
            if known in young or known in old:
                duplicates += 1
                continue
            young.add(known)
            at = action.at
            agent = watched.get((action.tenant, action.agent))
            if agent is None:
                agent = self._meet(action)
            if received_at is None:
                now = at
            else:
                now = received_at
                if at > now + SLACK:
                    at = now
                    agent.skewed += 1
            if at >= turn or len(young) >= seen.most:
                seen.turn(at)
                young, old, turn = seen.young, seen.old, seen.due()
                young.add(known)
            if now > clock:
                clock = now
                if outcome.deadlines and outcome.deadlines[0][0] <= clock:
                    self._due(clock, out)
            kind = action.kind
            if kind in CALLS:
                cost = action.cost
                if cost is None:
                    cost = 0
                    agent.unknown_cost += 1
                elif cost < 0:
                    agent.refunds = True
                mark = agent.mark
                if at > mark or (at == mark and cost >= 0):
                    if at >= agent.hour_end:
                        agent.roll(at, limiter, inventory)
                    if agent.call(at, cost):
                        self._exceeded(agent, at, batch, total, now, out)
                elif at < mark - SLACK:
                    agent.count_late(at, cost, limiter, inventory)
                elif agent.insert(at, cost, limiter, inventory):
                    self._again(agent, at, batch, total, now, out)
                name = action.endpoint
                if name:
                    last = agent.endpoints.get(name)
                    if last is not None and 0 < at - last <= memory:
                        agent.endpoints[name] = at
                    else:
                        self._endpoint(agent, name, at, action, now, out)
                name = action.tool
                if name and inventory is not None and name not in agent.allowed:
                    self._authorise(agent, inventory, name, at, action, now, out)
                if action.sampled:
                    agent.sampled += 1
                if action.attributed == "provisional":
                    agent.provisional += 1
            elif kind == "artifact":
                if action.customer_visible:
                    ruling = outcome.publish(action, at, now, self.rules)
                    if ruling is not None:
                        self._rule(ruling, out)
            elif kind == "review":
                for ruling in outcome.review(action, at, now, self.rules):
                    self._rule(ruling, out)
        self.recent.extend(batch)
        self.clock = clock
        self.counters["actions"] += total
        self.counters["duplicate"] += duplicates
        self._out = []
        return out

    def advance(self, now: int) -> list[Change]:
        """Let time pass to `now` (ns UTC, the receiver's clock): grace periods end, episodes close."""
        out: list[Change] = []
        if now > self.clock:
            self.clock = now
        self._due(self.clock, out)
        due = set()
        while self.due and self.due[0][0] <= self.clock:
            due.add(heappop(self.due)[1])
        for key in sorted(due & self.firing.keys()):
            wire = self.firing[key]
            try:
                again = wire.expire(self.clock, out)
            except Exception as error:
                self.failed(wire.rule, error)
                again = self.clock + SLACK
            if again is not None:
                heappush(self.due, (again, key))
                continue
            del self.firing[key]
            del self.watched[wire.tenant, wire.agent].wires[wire.rule, wire.subject]
        if self.clock - self._flushed >= self.rules.moved_every // 4:
            self._flushed = self.clock
            for wire in self.firing.values():
                wire.flush(out, self.clock)
        return out

    def finish(self) -> list[Change]:
        """End the input: say what still waits for its grace period, and how far open alerts have come."""
        out: list[Change] = []
        for ruling in self.outcome.due(self.clock + self.rules.review_grace):
            self._rule(ruling, out)
        for key in sorted(self.firing):
            wire = self.firing[key]
            wire.expire(self.clock, out)
            wire.flush(out)
        return out

    def alerts(self) -> list[Alert]:
        """Return the alerts that are open or were not long ago, by the time they opened."""
        alerts = [wire.alert(f) for wire in self.firing.values() for f in wire.firings.values()]
        return sorted(alerts, key=lambda alert: (alert.opened_at, alert.id))

    def agents(self, now: int | None = None) -> list[Status]:
        """Return every agent's state, with the window that ends at `now` (ns UTC; default: latest time)."""
        now = self.clock if now is None else now
        return [agent.status(now, self.limiter) for agent in self.watched.values()]

    def snapshot(self) -> bytes:
        """Return everything the engine knows, in the byte order of this machine."""
        agents = [agent.save() for agent in self.watched.values()]
        saved = _Saved(
            _FORMAT,
            self.clock,
            dict(self.counters),
            self.seen.save(),
            self.outcome,
            list(self.recent),
            agents,
        )
        return msgpack.encode(saved)

    @classmethod
    def restore(cls, rules: Rules, inventory: Inventory | None, snapshot: bytes) -> "Engine":
        """Return an engine that goes on where the saved one was, under the rules given now.

        Raises:
            Refused: the bytes are not a snapshot that this version can read.
        """
        engine = cls(rules, inventory)
        try:
            saved = msgpack.decode(snapshot, type=_Saved)
            if saved.format != _FORMAT:
                raise ValueError(f"it has format {saved.format}, this version reads {_FORMAT}")
            agents = [Agent.load(one) for one in saved.agents]
        except (DecodeError, ValueError) as error:
            raise Refused(
                f"What the tripwires remember cannot be read: {error}.",
                "Restore it from a backup, or remove it: every agent is then learnt again.",
            ) from error
        engine.clock, engine.counters = saved.clock, Counter(saved.counters)
        engine.seen, engine.outcome = Seen.load(saved.seen), saved.outcome
        engine.recent.extend(saved.recent)
        for agent in agents:
            agent.set_limits(engine.limiter, inventory)
            engine.watched[agent.tenant, agent.name] = agent
            for wire in agent.wires.values():
                key = (agent.tenant, agent.name, wire.rule, wire.subject)
                engine.firing[key] = wire
                engine.due.append((0, key))
        heapify(engine.due)
        return engine

    def _meet(self, action: Action) -> Agent:
        """Return the state of an agent that is new, or the shared one once there are too many."""
        tenant, name = action.tenant, action.agent
        if len(self.watched) >= self.rules.agent_cap:
            self.counters["beyond-agent-cap"] += 1
            tenant = name = REST
        agent = self.watched.get((tenant, name))
        if agent is None:
            agent = self.watched[tenant, name] = Agent(tenant, name)
        return agent

    def _wire(self, agent: Agent, rule: str, subject: str) -> Wire:
        wire = agent.wires.get((rule, subject))
        if wire is None and subject and self._subjects(agent, rule) >= self.rules.subject_cap:
            subject = REST
            wire = agent.wires.get((rule, subject))
        if wire is None:
            wire = self._new_wire(agent, rule, subject)
        if not wire.scheduled:
            wire.scheduled = True
            heappush(self.due, (0, (agent.tenant, agent.name, rule, subject)))
        return wire

    def _new_wire(self, agent: Agent, rule: str, subject: str) -> Wire:
        route = self.rules.route(rule)
        if self.inventory is not None and "owner" in route:
            owner = self.inventory.owner(agent.tenant, agent.name)
            route = tuple(f"owner:{owner}" if owner and r == "owner" else r for r in route)
        wire = Wire(
            rule, self.rules.version, agent.tenant, agent.name, subject, route, self.rules.moved_every
        )
        agent.wires[rule, subject] = wire
        self.firing[agent.tenant, agent.name, rule, subject] = wire
        return wire

    def _subjects(self, agent: Agent, rule: str) -> int:
        recent = agent.mark - DAY
        return sum(1 for (r, _), wire in agent.wires.items() if r == rule and wire.last_at() > recent)

    def _cost_point(self, agent: Agent, at: int, spend: int, limit: int, page: int) -> Point:
        reason = "ceiling" if limit == agent.ceilings.cost else ""
        paged = self._literal or spend > page
        return Point(at, min(spend, MOST), min(limit, MOST), min(page, MOST), paged, reason)

    def _calls_point(self, agent: Agent, at: int, calls: int, limit: int, page: int) -> Point:
        reason = "ceiling" if limit == agent.ceilings.calls else ""
        paged = self._literal or calls > page
        return Point(at, calls, min(limit, MOST), min(page, MOST), paged, reason)

    @_apart(RATES)
    def _exceeded(
        self, agent: Agent, at: int, batch: list[Action], place: int, now: int, out: list[Change]
    ) -> None:
        """A call in order went beyond a limit."""
        limits = agent.limits
        calls = len(agent.times) - agent.head
        evidence = self._evidence(agent, batch, place, now)
        if agent.spend > limits.cost:
            point = self._cost_point(agent, at, agent.spend, limits.cost, limits.cost_page)
            self._wire(agent, COST_RATE, "").add(point, evidence, out)
        if calls > limits.calls:
            point = self._calls_point(agent, at, calls, limits.calls, limits.calls_page)
            self._wire(agent, ACTION_RATE, "").add(point, evidence, out)

    def _evidence(self, agent: Agent, batch: list[Action], place: int, now: int) -> Evidence:
        """Say what stands behind a rate: the action before `place`, and those of its agent before it."""
        calls = len(agent.times) - agent.head
        return Evidence(batch[place - 1], calls, now, now, lambda: self._before(agent, batch, place - 1))

    def _before(self, agent: Agent, batch: list[Action], place: int) -> list[Action]:
        found: list[Action] = []
        key = agent.tenant, agent.name
        older = chain(islice(reversed(batch), len(batch) - place, None), reversed(self.recent))
        for action in islice(older, RECENT):
            if (action.tenant, action.agent) == key and action.kind in CALLS and action not in found:
                found.append(action)
                if len(found) == SAMPLE - 1:
                    break
        return found[::-1]

    @_apart(RATES)
    def _again(
        self, agent: Agent, start: int, batch: list[Action], place: int, now: int, out: list[Change]
    ) -> None:
        """A call was put before others: make their evaluations again."""
        costs: list[Point] = []
        rates: list[Point] = []
        for at, spend, calls, limits in agent.evaluate(start, self.limiter, self.inventory):
            if spend > limits.cost:
                costs.append(self._cost_point(agent, at, spend, limits.cost, limits.cost_page))
            if calls > limits.calls:
                rates.append(self._calls_point(agent, at, calls, limits.calls, limits.calls_page))
        agent.tighten()
        evidence = self._evidence(agent, batch, place, now)
        for rule, points in ((COST_RATE, costs), (ACTION_RATE, rates)):
            if points or (rule, "") in agent.wires:
                self._wire(agent, rule, "").revise(start, points, evidence, out)

    @_apart(NEW_ENDPOINT)
    def _endpoint(
        self, agent: Agent, name: str, at: int, action: Action, now: int, out: list[Change]
    ) -> None:
        """Note the use of an endpoint, and fire if it is new."""
        endpoints = agent.endpoints
        last = endpoints.get(name)
        if last is None:
            name = _template(name)
            last = endpoints.get(name)
            if last is None and len(endpoints) >= self.rules.endpoint_cap:
                for stale in [e for e, t in endpoints.items() if at - t > self.rules.endpoint_memory]:
                    del endpoints[stale]
                if len(endpoints) >= self.rules.endpoint_cap:
                    self.counters["beyond-endpoint-cap"] += 1
                    name = REST
                    last = endpoints.get(name)
        if last is not None and at <= last:
            if name in agent.fresh:
                self._endpoint_earlier(agent, name, at, action, now, out)
            return
        endpoints[name] = at
        if last is None or at - last > self.rules.endpoint_memory:
            for old in [e for e, (opened, _) in agent.fresh.items() if opened < agent.mark - SLACK]:
                del agent.fresh[old]
            if at - agent.first >= self.rules.endpoint_age:
                agent.fresh[name] = (at, last)
                self._strike(agent, NEW_ENDPOINT, name, at, "new", action, now, out)

    def _endpoint_earlier(
        self, agent: Agent, name: str, at: int, action: Action, now: int, out: list[Change]
    ) -> None:
        """A call arrived late that was the first use of an endpoint which has already fired."""
        opened, before = agent.fresh[name]
        if not agent.mark - SLACK <= at < opened:
            return
        wire = self._wire(agent, NEW_ENDPOINT, name)
        points: tuple[Point, ...] = ()
        if (before is None or at - before > self.rules.endpoint_memory) and (
            at - agent.first >= self.rules.endpoint_age
        ):
            points = (Point(at, 1, 0, 0, True, "new"),)
            agent.fresh[name] = (at, before)
        else:
            del agent.fresh[name]
        wire.revise(at, points, Evidence(action, 1, now, now), out, end=opened)

    @_apart(AUTHORISATION)
    def _authorise(
        self,
        agent: Agent,
        inventory: Inventory,
        tool: str,
        at: int,
        action: Action,
        now: int,
        out: list[Change],
    ) -> None:
        """Judge a call of a tool, and keep the answer as long as it holds."""
        verdict = agent.verdicts.get(tool)
        if verdict is None or not verdict.start <= at < verdict.end:
            verdict = inventory.verdict(action.tenant, action.agent, tool, at)
            # The agents beyond the cap share one state, but not one inventory entry.
            if agent.name != REST:
                agent.keep(tool, verdict)
        if verdict.reason:
            self._strike(agent, AUTHORISATION, tool, at, verdict.reason, action, now, out)

    def _strike(
        self,
        agent: Agent,
        rule: str,
        subject: str,
        at: int,
        reason: str,
        action: Action,
        now: int,
        out: list[Change],
    ) -> None:
        """One violation of a rule that counts violations."""
        point = Point(at, 1, 0, 0, True, reason)
        self._wire(agent, rule, subject).add(point, Evidence(action, 1, now, now), out)

    def _due(self, now: int, out: list[Change]) -> None:
        for ruling in self.outcome.due(now):
            self._rule(ruling, out)

    @_apart(OUTCOME)
    def _rule(self, ruling: Ruling, out: list[Change]) -> None:
        """Open, correct or withdraw the alert about one publication."""
        publication = ruling.publication
        action, at = publication.action, publication.at
        subject = action.artifact or action.artifact_type or "artifact"
        agent = self.watched.get((action.tenant, action.agent)) or self._meet(action)
        if not ruling.reasons and (OUTCOME, subject) not in agent.wires:
            return
        points = [Point(at, 1, 0, 0, True, reason) for reason in ruling.reasons]
        evidence = Evidence(action, 1, publication.received_at, ruling.detected_at)
        self._wire(agent, OUTCOME, subject).revise(at, points, evidence, out, end=at)


@lru_cache(maxsize=16_384)
def _template(raw: str) -> str:
    """Return an endpoint with ids replaced; the sender may have done so, and then nothing changes."""
    method, _, rest = raw.partition(" ")
    host, _, path = rest.strip().partition("/")
    return templated(method, host=host.rstrip(), path="/" + path) if rest else raw
