"""From the documents of the library to the events that adopt them into an incident."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from console.config import Config
from console.events import (
    ActionClass,
    Budget,
    ChecklistAdopted,
    Contact,
    Item,
    LegalClock,
    RollbackAdopted,
    Route,
    RoutingAdopted,
)

CADENCE = {1: 1800, 2: 1800}
"""Seconds between updates by severity; the others have none until somebody sets it (S002-CK-2)."""


def overlays(config: Config, home: Path, given: str = "") -> tuple[Path, ...]:
    """The directories whose documents lie over the shipped ones; of two with the same document the later counts.

    Args:
        config: names one in `playbooks.directory`.
        home: the home directory; `playbooks` in it is one, if it exists.
        given: one on the command line.
    """
    beside = home / "playbooks"
    named = [Path(each).expanduser() for each in (config.playbooks.directory, given) if each]
    return (*([beside] if beside.is_dir() else []), *named)


def checklist(profile: str = "merged") -> ChecklistAdopted:
    """Return the first-response checklist of `profile`, ready to adopt."""
    from playbooks import load  # pydantic and YAML are not on the path of those who only read

    document = load.checklist(profile)
    return ChecklistAdopted(
        profile=profile,
        version=document.version,
        items=tuple(
            Item(
                id=item.id,
                text=item.text,
                phase=item.phase,
                due=item.due or 0,
                since=item.since,
                help=item.help,
                role=item.role,
                evidence=item.evidence,
                sources=tuple(item.sources),
            )
            for item in document.items
        ),
    )


def rollback_classes() -> RollbackAdopted:
    """Return the action classes of the library, ready to adopt."""
    from playbooks import load

    documents = load.rollback_classes()
    return RollbackAdopted(
        version=max(document.version for document in documents),
        classes=tuple(
            ActionClass(
                id=document.id,
                name=document.name,
                budgets=tuple(
                    Budget(clock.id, clock.name, clock.budget, clock.audit) for clock in document.clocks
                ),
                number=document.number,
                reversible=document.reversible,
                examples=document.examples,
                procedure=document.procedure,
                operator=document.operator,
                substitute=document.substitute,
                verification=document.verification,
                sources=tuple(document.requirements),
            )
            for document in documents
        ),
    )


def routing() -> RoutingAdopted:
    """Return the routing table of the library, ready to adopt."""
    from playbooks import load
    from playbooks.guidance import Routing

    document = load.only(Routing)
    return RoutingAdopted(
        version=document.version,
        contacts=tuple(Contact(each.id, each.title) for each in document.contacts),
        routes=tuple(
            Route(
                id=each.id,
                tell=each.tell,
                reason=each.reason,
                types=each.types,
                severities=each.severities,
                tripwires=each.tripwires,
                security=each.security,
                page=each.page,
            )
            for each in document.routes
        ),
    )


def legal_clocks(regimes: Collection[str]) -> tuple[LegalClock, ...]:
    """Return the time limits of the regimes that the organisation switched on; unknown names give none."""
    from playbooks import load
    from playbooks.guidance import Regulation

    return tuple(
        LegalClock(
            id=clock.id,
            regime=clock.regime,
            article=clock.article,
            starts=clock.starts,
            tell=clock.tell,
            seconds=clock.within or 0,
            business_days=clock.business_days or 0,
        )
        for document in load.documents(Regulation)
        if document.id in regimes
        for clock in document.clocks
    )


def label(severity: int, profile: str = "merged") -> str:
    """Return how `profile` names a canonical severity."""
    from playbooks import load

    return next(
        (each.label for each in load.severities(profile) if each.severity == severity), f"SEV-{severity}"
    )
