"""Reads the documents of the runbook. Each is read and checked once per process."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from playbooks import yaml

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

    from playbooks.schema import Checklist, Level, Role, RollbackClass, Scenario, SeverityScale

PROFILES = ("merged", "s001-10min", "s002-ics-15min", "s003-overlay", "s004-bundle")
LIBRARY = Path(__file__).parent

M = TypeVar("M", bound="BaseModel")


class Problem(NamedTuple):
    """One mistake in a document: the file's name, the line (from 1), and one sentence."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}"


class PlaybookTrouble(ValueError):
    """A document cannot be used; `problems` names every mistake in it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def document(source: Path, model: type[M]) -> M:
    """Read one YAML document and check it against its model.

    Raises:
        PlaybookTrouble: the file is missing, is not the YAML we read, or breaks the model.
    """
    from pydantic import ValidationError

    name = source.name
    try:
        with source.open("rb") as stream:
            tree = yaml.read(stream.read(yaml.MAX_BYTES + 1))
    except OSError as error:
        raise PlaybookTrouble([Problem(name, 1, f"cannot be read: {error.strerror or error}")]) from None
    except yaml.BadYaml as error:
        raise PlaybookTrouble([Problem(name, error.line, error.what)]) from None
    try:
        return model.model_validate(tree.value)
    except ValidationError as error:
        problems = []
        mistakes = error.errors(include_url=False, include_input=False)
        for mistake in mistakes:
            if mistake["type"] == "too_short" and _has_parts(mistake["loc"], mistakes):
                continue
            where = ".".join(map(str, mistake["loc"]))
            said = mistake["msg"].removeprefix("Value error, ")
            problems.append(Problem(name, tree.line(mistake["loc"]), f"{where}: {said}" if where else said))
        raise PlaybookTrouble(problems) from None


def _has_parts(path: tuple[str | int, ...], mistakes: list[ErrorDetails]) -> bool:
    """Whether a mistake lies inside `path`: that bad part was counted as missing, which says nothing new."""
    return any(len(other["loc"]) > len(path) and other["loc"][: len(path)] == path for other in mistakes)


def _folder(root: Path, name: str) -> list[Path]:
    """The YAML files of a folder of the library, by name."""
    return sorted((root / name).glob("*.yaml"))


@cache
def checklist(profile: str = "merged", root: Path = LIBRARY) -> Checklist:
    """The first-response checklist, with the items that the profile shows.

    Raises:
        KeyError: no such profile.
        PlaybookTrouble: the document is broken.
    """
    from playbooks.schema import Checklist

    whole = document(root / "checklists" / "first-response.yaml", Checklist)
    keys = dict(whole.profiles)[_profile(profile)]
    shown = tuple(item for item in whole.items if any(source[:4] in keys for source in item.sources))
    return whole.model_copy(update={"items": shown})


@cache
def rollback_classes(root: Path = LIBRARY) -> tuple[RollbackClass, ...]:
    """The action classes in the order of their numbers. A new class is a new file in `rollback/`.

    Raises:
        PlaybookTrouble: a document is broken, or two classes share an id or a number.
    """
    from playbooks.schema import RollbackClass

    classes = [document(source, RollbackClass) for source in _folder(root, "rollback")]
    for name in ("id", "number"):
        taken: dict[object, str] = {}
        for each in classes:
            value = getattr(each, name)
            if value in taken:
                raise PlaybookTrouble(
                    [Problem("rollback", 1, f"`{each.title}` and `{taken[value]}` share the {name} {value}")]
                )
            taken[value] = each.title
    return tuple(sorted(classes, key=lambda each: each.number))


@cache
def severity_scale(profile: str = "merged", root: Path = LIBRARY) -> SeverityScale:
    """The severity scale of a profile.

    Raises:
        KeyError: no such profile, or no scale names it.
        PlaybookTrouble: a document is broken.
    """
    from playbooks.schema import SeverityScale

    for source in _folder(root, "severity"):
        scale = document(source, SeverityScale)
        if _profile(profile) in scale.profiles:
            return scale
    raise KeyError(profile)


def severities(profile: str = "merged", root: Path = LIBRARY) -> tuple[Level, ...]:
    """The levels of the profile's severity scale, worst first (raises as `severity_scale`)."""
    return severity_scale(profile, root).levels


def level(text: str, profile: str = "merged", root: Path = LIBRARY) -> Level | None:
    """The level that a person means by a number, a label or an alias (`2`, `SEV-2`, `sev2`, `P1`, `S2`)."""
    wanted = _plain(text)
    for each in severities(profile, root):
        if wanted in {str(each.severity), *map(_plain, (each.label, *each.aliases))}:
            return each
    return None


@cache
def roles(root: Path = LIBRARY) -> tuple[Role, ...]:
    """The roles that people take in an incident (raises PlaybookTrouble when the document is broken)."""
    from playbooks.schema import Roles

    return document(root / "roles.yaml", Roles).roles


def scenarios(root: Path = LIBRARY) -> tuple[str, ...]:
    """The names of the drill scenarios."""
    return tuple(path.stem for path in _folder(root, "scenarios"))


@cache
def scenario(name: str, root: Path = LIBRARY) -> Scenario:
    """A drill scenario.

    Raises:
        KeyError: no such scenario.
        PlaybookTrouble: the document is broken.
    """
    from playbooks.schema import Scenario

    if name not in scenarios(root):
        raise KeyError(name)
    return document(root / "scenarios" / f"{name}.yaml", Scenario)


def _profile(name: str) -> str:
    if name not in PROFILES:
        raise KeyError(name)
    return name


def _plain(text: str) -> str:
    return text.strip().lower().replace("-", "").replace(" ", "")
