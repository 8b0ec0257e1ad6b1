"""What only the organisation knows: where each answer stands in the configuration, and which ones are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from console.config import Config
    from playbooks.guidance import Authority
    from playbooks.library import Library

CONTACTS = {"on-call": "on-call", "legal-contacts": "legal-privacy"}
"""Fill-ins that say who or what is behind a contact of the routing table: an escalation shows it."""
DECISION_OWNERS = (
    "operations",
    "security",
    "platform",
    "ml-platform-lead",
    "finance",
    "compliance",
    "support",
    "executives",
)
"""Contacts of the routing table that stand for the owners of a decision."""
RUNBOOK_LINKS = ("observability-runbook", "slos", "threat-model", "security-guidelines", "eval-plan")
"""What playbooks refer to as `org:NAME`."""


def held(config: Config, library: Library, fill_in: str) -> dict[str, tuple[str, ...]]:
    """Return what the configuration holds of a fill-in, by the name under which it stands; empty values are missing."""
    match fill_in:
        case "halt-holders":
            return {each.id: config.authority.get(each.id, ()) for each in halts(library)}
        case "contain-holders":
            return {each.id: config.authority.get(each.id, ()) for each in containments(library)}
        case "on-call" | "legal-contacts":
            name = CONTACTS[fill_in]
            return {name: config.contacts.get(name, ())}
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


def halts(library: Library) -> list[Authority]:
    """Return the authorities that halt agents."""
    return _authorities(library, ("halt",))


def containments(library: Library) -> list[Authority]:
    """Return the authorities that contain, take containment back, or approve messages."""
    return _authorities(library, ("contain", "recover", "comms"))


def _authorities(library: Library, kinds: tuple[str, ...]) -> list[Authority]:
    from playbooks.guidance import Authorities

    return [each for each in library.only(Authorities).authorities if each.kind in kinds]


def known(config: Config, library: Library) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return what the organisation filled in, for whoever looks for it at night: headings with names and values."""
    from playbooks.guidance import Authorities, Routing

    contacts = {each.id: each.title for each in library.only(Routing).contacts}
    authorities = {each.id: each.title for each in library.only(Authorities).authorities}
    sections = (
        ("Who is told", {contacts.get(name, name): values for name, values in config.contacts.items()}),
        ("Links and customs", dict(config.organisation)),
        ("Documents of ours", {name: (place,) for name, place in config.playbooks.links.items()}),
        ("Who may", {authorities.get(name, name): values for name, values in config.authority.items()}),
    )
    return [
        (title, [(name, ", ".join(values)) for name, values in held.items()])
        for title, held in sections
        if held
    ]
