"""What only the organisation knows: where each answer stands in the configuration, and which ones are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from console.config import Config
    from playbooks.library import Library

LEGAL_CONTACT = "legal-privacy"
DECISION_OWNERS = ("platform", "ml-platform-lead", "finance", "compliance", "support", "executives")
"""Contacts of the routing table that stand for the owners of a decision."""
RUNBOOK_LINKS = ("observability-runbook", "slos", "threat-model", "security-guidelines", "eval-plan")
"""What playbooks refer to as `org:NAME`."""


def held(config: Config, library: Library, fill_in: str) -> dict[str, tuple[str, ...]]:
    """Return what the configuration holds of a fill-in, by the name under which it stands; empty values are missing."""
    match fill_in:
        case "halt-holders":
            return {name: config.authority.get(name, ()) for name in halts(library)}
        case "legal-contacts":
            return {LEGAL_CONTACT: config.contacts.get(LEGAL_CONTACT, ())}
        case "decision-owners":
            return {name: config.contacts.get(name, ()) for name in DECISION_OWNERS}
        case "agents":
            owners: dict[str, tuple[str, ...]] = {}
            for each in config.agent:
                owners[each.name] = owners.get(each.name, ()) or ((each.owner,) if each.owner else ())
            return owners or {"agents": ()}
        case "inventory":
            tools: dict[str, tuple[str, ...]] = {}
            for each in config.agent:
                tools[each.name] = (*tools.get(each.name, ()), *each.tools)
            return tools or {"inventory": ()}
        case "thresholds":
            return {}  # every one of them has a default
        case "runbook-links":
            links = config.playbooks.links
            return {name: (links[name],) if name in links else () for name in RUNBOOK_LINKS}
        case _:
            return {fill_in: config.organisation.get(fill_in, ())}


def missing(config: Config, library: Library) -> list[str]:
    """Return the fill-ins that are not complete, by id, in the order in which they are asked."""
    from playbooks.guidance import Organisation

    asked = library.only(Organisation).fill_ins
    return [each.id for each in asked if not all(held(config, library, each.id).values())]


def halts(library: Library) -> tuple[str, ...]:
    """Return the authorities that halt agents."""
    from playbooks.guidance import Authorities

    return tuple(each.id for each in library.only(Authorities).authorities if each.kind == "halt")
