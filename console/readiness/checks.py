"""The questions that need nobody: what the configuration, the documents, dates and telemetry answer.

`CHECKS` is the one table. A check says yes or no with a reason, or nothing where it cannot tell; then a person is
asked. A check is never more lenient than the question: what it cannot see it leaves to people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

from console import authority
from console.containment.coverage import CYCLE, short
from console.evidence.window import NAME as WINDOW
from console.readiness.observed import Observed, observe
from data.clock import iso
from data.identity import FILE as KEY

if TYPE_CHECKING:
    from console.config import Agent, Config
    from console.containment.proof import Proof
    from console.containment.proving import Survey
    from data.home import Home
    from playbooks.library import Library
    from playbooks.schema import Document

DAY = 86_400_000_000_000
PROBED_DAYS = 30
"""A probe of a remote says something for so long."""
SHOWN = 8
"""Names in one sentence; further ones are counted."""


class Checked(NamedTuple):
    """What a check found."""

    answer: Literal["yes", "no"]
    said: str


class Probe(NamedTuple):
    """What a remote showed last: when (ns UTC), and whether it gave back and listed what was written."""

    at: int
    works: bool


@dataclass
class Facts:
    """What checks go by.

    Attributes:
        config: the configuration in force.
        library: the documents in force.
        home: None where there is none yet.
        now: ns UTC.
        probes: remote to what it showed last.
        survey: how well agents and tools are covered by stops; None: nobody looked.
    """

    config: Config
    library: Library
    home: Home | None
    now: int
    probes: Mapping[str, Probe] = field(default_factory=dict)
    survey: Survey | None = None

    @property
    def today(self) -> str:
        """The day, ISO 8601, UTC."""
        return iso(self.now, 0)[:10]

    @cached_property
    def standing(self) -> authority.Standing:
        """The authorities in force."""
        return authority.standing(self.config.authority)

    @cached_property
    def observed(self) -> Observed:
        """What telemetry of late shows; nothing where the watcher kept none."""
        return Observed() if self.home is None else observe(self.home.watch_dir / WINDOW)


Check = Callable[[Facts], Checked | None]


def yes(said: str) -> Checked:
    """A question that is answered."""
    return Checked("yes", said)


def no(said: str) -> Checked:
    """A gap."""
    return Checked("no", said)


def listed(names: Iterable[str]) -> str:
    """Names for a sentence, the first few; the rest is counted."""
    every = list(names)
    rest = len(every) - SHOWN
    return ", ".join(every[:SHOWN]) + (f" and {rest:,} more" if rest > 0 else "")


# -- who may, and who is reached ---------------------------------------------------------------------------


def _halts(facts: Facts) -> Checked:
    held = _held(facts, ("halt",), "every halt")
    if held.answer == "no" or facts.survey is None:
        return held
    # Being named is not yet having done it (S003-KS-3): who has is said beside.
    fired = dict.fromkeys(each.proof.by for each in facts.survey.points if each.proof is not None)
    return yes(f"{held.said}; a stop was tried by {listed(fired) or 'none of them'}")


def _containment(facts: Facts) -> Checked:
    return _held(facts, ("halt", "contain"), "every halt and every other containment")


def _held(facts: Facts, kinds: tuple[str, ...], what: str) -> Checked:
    few = authority.gaps(facts.standing, kinds)
    if few:
        return no(
            "; ".join(map(str, few[:SHOWN])) + (f"; {len(few) - SHOWN} more" if len(few) > SHOWN else "")
        )
    return yes(f"[authority] names enough people for {what}")


def _covered(facts: Facts) -> Checked | None:
    survey = facts.survey
    if survey is None or not survey.points:
        return no("no [[points]] is configured: nothing can be stopped from here")
    bare = [f"{each.kind} {each.name}" for each in survey.covers if each.state == "none"]
    if bare:
        return no(f"no point stops {listed(bare)}")
    wide = [each.name for each in survey.covers if each.wide]
    if wide:
        return no(f"only a halt of all agents stops {listed(wide)}")
    return yes(f"a point stops each of {len(survey.covers):,} agents and tools") if survey.covers else None


def _proven(facts: Facts) -> Checked:
    survey = facts.survey
    if survey is None or not survey.points:
        return no("no [[points]] is configured: there is no stop to try")
    broken = [each.name for each in survey.points if each.problem]
    if broken:
        return no(f"cannot be used as configured: {listed(broken)}")
    late = [
        f"{each.name} ({short(each.proof)})"
        for each in survey.points
        if not (each.state == "proven" or (each.state == "by-hand" and _of_late(each.proof, facts.now)))
    ]
    if late:
        return no(f"not seen to hold within {CYCLE // DAY} days: {listed(late)}")
    return yes(f"each of {len(survey.points):,} points was seen to hold within {CYCLE // DAY} days")


def _of_late(proof: Proof | None, now: int) -> bool:
    return proof is not None and proof.held and proof.at + CYCLE >= now


def _owned(facts: Facts) -> Checked:
    contain = [each for each in facts.standing.authorities.values() if each.kind in ("halt", "contain")]
    nobody = [each.id for each in contain if not facts.standing.people.get(each.id)]
    if nobody:
        return no(f"[authority] names nobody for {listed(nobody)}")
    return yes(f"[authority] names somebody for each of {len(contain)} containment actions")


def _senders(facts: Facts, audience: str) -> list[str]:
    """Senders that reach an audience and may be used: a file needs no leave."""
    return [
        each.name
        for each in facts.config.sender
        if audience in each.readers and (each.publish or each.type == "file")
    ]


def _paging(facts: Facts) -> Checked:
    pages = [each for each in facts.config.sender if "page" in each.readers and each.type != "file"]
    ready = [each.name for each in pages if each.publish]
    if ready:
        return yes(f"pages go out through {listed(ready)}")
    if pages:
        return no(f"{listed(each.name for each in pages)} is set up, but `publish` is off")
    return no("no [[sender]] takes pages; a page would reach nobody")


def _status_page(facts: Facts) -> Checked:
    ready = _senders(facts, "status-page")
    if not ready:
        return no("no [[sender]] with leave to publish reaches a status page")
    few = [gap for gap in authority.gaps(facts.standing) if gap.authority.id == "comms-approval"]
    return no(str(few[0])) if few else yes(f"{listed(ready)}, approved by the holders of comms-approval")


def _sends(facts: Facts) -> Checked:
    ready = [each.name for each in facts.config.sender if each.publish]
    if ready:
        return yes(f"messages go out through {listed(ready)}")
    off = [each.name for each in facts.config.sender if each.type != "file"]
    return no(f"`publish` is off for {listed(off)}" if off else "no [[sender]] beside files")


# -- the agents ----------------------------------------------------------------------------------------------


def _agents(facts: Facts) -> Checked:
    declared = facts.config.agent
    if not declared:
        return no("no [[agent]] is declared; the authorisation tripwire is blind")
    names = list(dict.fromkeys(each.name for each in declared))
    unowned = [name for name in names if not any(each.owner for each in declared if each.name == name)]
    bare = [name for name in names if not any(each.tools for each in declared if each.name == name)]
    said = []
    if unowned:
        said.append(f"no owner: {listed(unowned)}")
    if bare:
        said.append(f"no tool declared: {listed(bare)}")
    return no("; ".join(said)) if said else yes(f"each of {len(names)} has an owner and an inventory")


def _ownership(facts: Facts) -> Checked:
    declared = facts.config.agent
    if not declared:
        return no("no [[agent]] is declared")
    unowned = dict.fromkeys(
        each.name
        for each in declared
        if not any(other.owner for other in declared if other.name == each.name)
    )
    return no(f"no owner: {listed(unowned)}") if unowned else yes("every declared agent has an owner")


def _declared(facts: Facts) -> Checked | None:
    seen = facts.observed
    if not seen.actions:
        return None
    entries = facts.config.agent
    strangers, tools, endpoints = [], [], []
    for each in seen.agents.values():
        own = [entry for entry in entries if _concerns(entry, each.tenant, each.agent)]
        if not own:
            strangers.append(each.agent)
            continue
        tools += [f"{each.agent} {name}" for name in each.tools if not _allows(own, name)]
        reach = [glob for entry in own for glob in entry.endpoints]
        if reach:
            endpoints += [f"{each.agent} {name}" for name in each.endpoints if not _any(reach, name)]
    said = [
        f"{what}: {listed(names)}"
        for what, names in (
            ("agents without an entry", strangers),
            ("tools", tools),
            ("endpoints", endpoints),
        )
        if names
    ]
    if said:
        return no("telemetry shows what nobody declared: " + "; ".join(said))
    return yes(f"all that {seen.actions:,} actions of {len(seen.agents):,} agents show is declared")


def _concerns(entry: Agent, tenant: str, agent: str) -> bool:
    return fnmatchcase(agent, entry.name) and fnmatchcase(tenant, entry.tenant)


def _allows(entries: Sequence[Agent], tool: str) -> bool:
    return _any([glob for entry in entries for glob in entry.tools], tool) and not _any(
        [glob for entry in entries for glob in entry.deny], tool
    )


def _any(globs: Iterable[str], name: str) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


# -- what telemetry carries ----------------------------------------------------------------------------------


def _carried(part: int, whole: int, what: str, lacks: str) -> Checked | None:
    if not whole:
        return None
    if part < whole:
        return no(f"{whole - part:,} of the last {whole:,} {what} {lacks}")
    return yes(f"all of the last {whole:,} {what} do")


def _capture(facts: Facts) -> Checked | None:
    if not facts.config.window.enabled:
        return no("window.enabled is false: no telemetry is kept that could be captured")
    seen = facts.observed
    return _carried(seen.findable, seen.calls, "calls", "carry neither trace nor session")


def _reconstruct(facts: Facts) -> Checked | None:
    seen = facts.observed
    return _carried(seen.reconstructable, seen.calls, "calls", "lack trace, session, bundle or wave")


def _principal(facts: Facts) -> Checked | None:
    seen = facts.observed
    found = _carried(seen.with_principal, seen.tool_calls, "calls of tools", "name no principal")
    if found is None or found.answer == "no":
        return found
    by: dict[str, set[str]] = {}
    for each in seen.agents.values():
        for principal in each.principals:
            by.setdefault(principal, set()).add(each.agent)
    shared = [principal for principal, agents in by.items() if len(agents) > 1]
    return no(f"several agents act as {listed(shared)}") if shared else found


def _approvals(facts: Facts) -> Checked | None:
    seen = facts.observed
    return _carried(
        seen.whole_reviews,
        seen.reviews,
        "reviews",
        "lack the decision, the reviewer or when it was presented",
    )


def _traces(facts: Facts) -> Checked | None:
    calls = facts.observed.calls
    return yes(f"the watcher keeps them; it holds {calls:,} recent calls") if calls else None


# -- documents and dates ---------------------------------------------------------------------------------------


def _cycle(facts: Facts) -> Checked:
    from playbooks.library import KINDS

    late = [
        f"{each.document.title} ({_due(each.document)}, {each.document.owner})"
        for kind in KINDS
        for each in facts.library.entries(kind)
        if each.document.status != "retired" and each.document.review_due().isoformat() < facts.today
    ]
    return no(f"overdue: {listed(late)}") if late else yes("no document is beyond its review date")


def _due(document: Document) -> str:
    return f"by {document.review_due()}" if document.reviewed else "never reviewed"


def _front_matter(facts: Facts) -> Checked:
    broken = [str(problem) for problem in facts.library.problems]
    return no(f"not in force: {listed(broken)}") if broken else yes("a document without it is not taken in")


def _baselines(facts: Facts) -> Checked:
    from playbooks.guidance import Baselines

    late = [
        f"{each.item} (by {each.recheck_by})"
        for each in facts.library.only(Baselines).baselines
        if each.recheck_by.isoformat() < facts.today
    ]
    return no(f"to be looked at again: {listed(late)}") if late else yes("none is beyond its day")


# -- the console itself ------------------------------------------------------------------------------------------


def _fill_ins(facts: Facts) -> Checked:
    from console.readiness.fill_ins import missing

    absent = missing(facts.config, facts.library)
    return no(f"not filled in: {listed(absent)}") if absent else yes("everything is filled in")


def _remote(facts: Facts) -> Checked | None:
    remotes = facts.config.remote
    if not remotes:
        return no("no [[remote]] is configured: the record is on this machine alone")
    probes = [(each.name, facts.probes.get(each.name)) for each in remotes]
    broken = [name for name, probe in probes if probe is not None and not probe.works]
    if broken:
        return no(f"{listed(broken)} does not give back what was written")
    fresh = [name for name, probe in probes if probe and facts.now - probe.at <= PROBED_DAYS * DAY]
    return yes(f"{listed(fresh)} gave back what was written") if fresh else None


def _key(facts: Facts) -> Checked | None:
    if facts.home is None:
        return None
    if facts.home.place == "keyring":
        return yes("it is in the keyring of the operating system")
    try:
        with (facts.home.path / KEY).open("rb") as file:
            locked = b"ENCRYPTED" in file.read(64 * 1024)
    except OSError:
        return None
    return yes("the key file has a passphrase") if locked else no("whoever reads the key file can sign")


CHECKS: Mapping[str, Check] = {
    "containment-prepared/three-roles": _halts,
    "containment-prepared/covered": _covered,
    "containment-prepared/stops-proven": _proven,
    "containment-prepared/paging": _paging,
    "containment-prepared/status-page": _status_page,
    "health/authority": _containment,
    "health/capture": _capture,
    "review-inputs/traces": _traces,
    "review-inputs/ownership": _ownership,
    "readiness/reconstruct": _reconstruct,
    "readiness/principal": _principal,
    "readiness/approvals": _approvals,
    "readiness/ownership": _owned,
    "runbook-review/cycle": _cycle,
    "runbook-review/front-matter": _front_matter,
    "runbook-review/baselines": _baselines,
    "set-up/fill-ins": _fill_ins,
    "set-up/agents": _agents,
    "set-up/declared": _declared,
    "set-up/senders": _sends,
    "set-up/remote": _remote,
    "set-up/key": _key,
}
"""Question to what answers it. `control-review/owner` is answered by the other answers (`standing`)."""
