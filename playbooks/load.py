"""What the documents of the library say, by name. Each is read and checked once per process."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from playbooks.library import SHIPPED as LIBRARY
from playbooks.library import Library, in_force
from playbooks.reading import PlaybookTrouble, Problem, document

if TYPE_CHECKING:
    from playbooks.guidance import Move
    from playbooks.response import Playbook
    from playbooks.schema import Checklist, Document, Level, Role, Scenario, SeverityScale
    from playbooks.undoing import RollbackClass

    D = TypeVar("D", bound=Document)

__all__ = ["LIBRARY", "PROFILES", "PlaybookTrouble", "Problem", "document"]

PROFILES = ("merged", "s001-10min", "s002-ics-15min", "s003-overlay", "s004-bundle")
DEFAULT = "default"
"""Id of the playbook from which the others take over the sections that they leave empty."""


def documents(model: type[D]) -> tuple[D, ...]:
    """All documents of a model (raises PlaybookTrouble when a shipped one is broken, as all of these do)."""
    return in_force().documents(model)


def named(model: type[D], id: str) -> D:
    """One document; KeyError: there is none with this id."""
    return in_force().named(model, id)


def only(model: type[D]) -> D:
    """The one document of a kind that has only one; KeyError: there is none."""
    return in_force().only(model)


def checklist(profile: str = "merged", library: Library | None = None) -> Checklist:
    """The first-response checklist, with the items that the profile shows.

    Raises:
        KeyError: no such profile.
        PlaybookTrouble: the document is broken.
    """
    from playbooks.schema import Checklist

    whole = (library or in_force()).named(Checklist, "first-response")
    keys = whole.profiles.get(_profile(profile))
    if keys is None:  # a team's own list need not know our profiles
        return whole
    shown = tuple(item for item in whole.items if any(source[:4] in keys for source in item.sources))
    return whole.model_copy(update={"items": shown})


def rollback_classes(library: Library | None = None) -> tuple[RollbackClass, ...]:
    """The action classes in the order of their numbers. A new class is a new file in `rollback/`.

    Raises:
        PlaybookTrouble: a document is broken, or two classes share an id or a number.
    """
    from playbooks.undoing import RollbackClass

    classes = (library or in_force()).documents(RollbackClass)
    return tuple(sorted(classes, key=lambda each: each.number))


def severity_scale(profile: str = "merged", library: Library | None = None) -> SeverityScale:
    """The severity scale of a profile.

    Raises:
        KeyError: no such profile, or no scale names it.
        PlaybookTrouble: a document is broken.
    """
    from playbooks.schema import SeverityScale

    # A scale that a team adds for a profile comes after ours; ours stands in for one that they take away.
    library = library or in_force()
    for each in (library, Library(root=library.root)):
        for scale in reversed(each.documents(SeverityScale)):
            if _profile(profile) in scale.profiles:
                return scale
    raise KeyError(profile)


def severities(profile: str = "merged") -> tuple[Level, ...]:
    """The levels of the profile's severity scale, worst first (raises as `severity_scale`)."""
    return severity_scale(profile).levels


def level(text: str, profile: str = "merged") -> Level | None:
    """The level that a person means by a number, a label or an alias (`2`, `SEV-2`, `sev2`, `P1`, `S2`)."""
    wanted = _plain(text)
    for each in severities(profile):
        if wanted in {str(each.severity), *map(_plain, (each.label, *each.aliases))}:
            return each
    return None


def roles() -> tuple[Role, ...]:
    """The roles that people take in an incident (raises PlaybookTrouble when the document is broken)."""
    from playbooks.schema import Roles

    return only(Roles).roles


def scenarios() -> tuple[str, ...]:
    """The names of the drill scenarios."""
    from playbooks.schema import Scenario

    return tuple(each.id for each in documents(Scenario))


def scenario(name: str) -> Scenario:
    """A drill scenario.

    Raises:
        KeyError: no such scenario.
        PlaybookTrouble: the document is broken.
    """
    from playbooks.schema import Scenario

    return named(Scenario, name)


def playbooks() -> tuple[Playbook, ...]:
    """The playbooks as they are written: a section without steps is empty."""
    from playbooks.response import Playbook

    return documents(Playbook)


def playbook(id: str) -> Playbook:
    """A playbook with every empty section taken over from the default one.

    Raises:
        KeyError: no such playbook.
        PlaybookTrouble: a document is broken.
    """
    from playbooks.response import Playbook

    found = named(Playbook, id)
    try:
        return found.completed(named(Playbook, DEFAULT))
    except KeyError:
        return found


def moves() -> dict[str, Move]:
    """The catalogue of verbs."""
    return in_force().moves()


def _profile(name: str) -> str:
    if name not in PROFILES:
        raise KeyError(name)
    return name


def _plain(text: str) -> str:
    return text.strip().lower().replace("-", "").replace(" ", "")
