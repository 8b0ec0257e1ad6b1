"""The one evidence schema: what an incident's evidence should name, under one name for each thing.

Playbooks, trackers and post-mortems call the same thing by several names. Here each has one, every other name
that is in use is accepted when material comes in, and shown beside it when material goes out. The table is a document
of the runbook, `playbooks/evidence.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from playbooks import load

if TYPE_CHECKING:
    from playbooks.guidance import EvidenceField

VERSION = "1"


def fields() -> tuple[EvidenceField, ...]:
    """Everything that the evidence should name (raises PlaybookTrouble when the shipped document is broken)."""
    from playbooks.guidance import EvidenceSchema

    return load.only(EvidenceSchema).evidence


def by_name() -> Mapping[str, EvidenceField]:
    """The fields by their names on record."""
    return _index(fields()).by_name


def field(name: str) -> EvidenceField | None:
    """The field that a name means, whichever it is written by; case, blanks, `_`, `-` and `.` do not matter."""
    from playbooks.guidance import plain_name

    return _index(fields()).by_plain_name.get(plain_name(name))


class _Index(NamedTuple):
    fields: tuple[EvidenceField, ...]
    by_name: dict[str, EvidenceField]
    by_plain_name: dict[str, EvidenceField]


_made: _Index | None = None


def _index(known: tuple[EvidenceField, ...]) -> _Index:
    """Made once for the documents in force: a timeline that comes in asks for the same names in each of its rows."""
    from playbooks.guidance import plain_name

    global _made
    if _made is None or _made.fields is not known:
        every = {plain_name(name): each for each in known for name in (each.name, *each.aliases)}
        _made = _Index(known, {each.name: each for each in known}, every)
    return _made


def take_in(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sort foreign values by the names on record.

    Args:
        values: under whatever names they came.

    Returns:
        what the schema knows, under its names, and what it does not, as it was. Where one thing came under
        several names with different values, its own name wins, and the others are among the second.
    """
    known: dict[str, Any] = {}
    unknown: dict[str, Any] = {}
    named = by_name()
    for name, value in sorted(values.items(), key=lambda item: (item[0] not in named, item[0])):
        meant = field(name)
        if meant is None or (meant.name in known and known[meant.name] != value):
            unknown[name] = value
        else:
            known[meant.name] = value
    return known, unknown


def give_out(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the schema knows of `values`, each under its name and under every other that it goes by."""
    shown: dict[str, Any] = {}
    named = by_name()
    for name, value in values.items():
        meant = named.get(name)
        shown.update(dict.fromkeys((name, *(meant.aliases if meant else ())), value))
    return shown


def missing(present: Iterable[str], wanted: Iterable[str] = ()) -> tuple[str, ...]:
    """The fields that the evidence should name and does not: those always needed, and those asked for."""
    there, asked = set(present), set(wanted)
    return tuple(
        each.name
        for each in fields()
        if each.name not in there and (each.needed == "always" or each.name in asked)
    )
