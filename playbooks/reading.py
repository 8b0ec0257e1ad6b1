"""From a file to a checked document, or to the list of its mistakes. Nothing of a broken file is used."""

from __future__ import annotations

import datetime as dt
import os
import re
import stat
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from playbooks import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

    from playbooks.guidance import Move

MOST_MISTAKES = 100
"""More of one document are not listed: whoever mends those looks again."""

M = TypeVar("M", bound="BaseModel")


class Problem(NamedTuple):
    """One mistake in a document: the file, the line (from 1), one sentence, and what to do."""

    file: str
    line: int
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}"


class PlaybookTrouble(ValueError):
    """A document cannot be used; `problems` names every mistake in it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def tree(source: Path, name: str = "") -> yaml.Tree:
    """Read one YAML file. At most `yaml.MAX_BYTES` of it are looked at, whatever it is.

    Args:
        source: the file.
        name: what to call it in problems; its own name, if empty.

    Raises:
        PlaybookTrouble: it cannot be read, or is not the YAML that we read.
    """
    name = name or source.name
    try:
        raw = _bytes(source)
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error)
        fix = "Put a readable file of text there, or take it away."
        raise PlaybookTrouble([Problem(name, 1, f"cannot be read: {said}", fix)]) from None
    try:
        return _flat(raw) or yaml.read(raw)
    except yaml.BadYaml as error:
        fix = "Mend it; docs/playbooks.md says what a document may hold."
        raise PlaybookTrouble([Problem(name, error.line, error.what, fix)]) from None


def _bytes(source: Path) -> bytes:
    """The beginning of a regular file. Anything else that has a name (a pipe, a device) could block for ever."""
    descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is not a regular file")
        return stream.read(yaml.MAX_BYTES + 1)


def document(source: Path, model: type[M], name: str = "") -> M:
    """Read one document and check it against its model.

    Raises:
        PlaybookTrouble: the file is missing, is not the YAML we read, or breaks the model.
    """
    return checked(tree(source, name), model, name or source.name)


def checked(tree: yaml.Tree, model: type[M], name: str) -> M:
    """Check a tree against its model.

    Raises:
        PlaybookTrouble: it breaks the model.
    """
    from pydantic import ValidationError

    try:
        return model.model_validate(tree.value)
    except ValidationError as error:
        problems = []
        mistakes = error.errors(include_url=False, include_input=False)[:MOST_MISTAKES]
        for mistake in mistakes:
            if mistake["type"] == "too_short" and _has_parts(mistake["loc"], mistakes):
                continue
            where = ".".join(map(str, mistake["loc"]))
            said = mistake["msg"].removeprefix("Value error, ")
            what = f"{where}: {said}" if where else said
            problems.append(Problem(name, _line(tree, mistake["loc"], said), what, _fix(mistake, model)))
        raise PlaybookTrouble(problems) from None


def _has_parts(path: tuple[str | int, ...], mistakes: list[ErrorDetails]) -> bool:
    """Whether a mistake lies inside `path`: that bad part was counted as missing, which says nothing new."""
    return any(len(other["loc"]) > len(path) and other["loc"][: len(path)] == path for other in mistakes)


def _line(tree: yaml.Tree, path: tuple[str | int, ...], said: str) -> int:
    """The line of a mistake. One that a whole document makes names the part that it is about in backquotes."""
    named = re.search(r"`([^`]+)`", said)
    if named and isinstance(value := tree.at(path), dict):
        found = list(_named(value, named[1], path))
        if found:
            return tree.line(found[-1] if "twice" in said else found[0])
    return tree.line(path)


def _named(value: Any, name: str, path: yaml.Path) -> Iterator[yaml.Path]:
    """Paths of the parts that go by `name`."""
    if isinstance(value, dict):
        if path and name in (value.get("id"), value.get("name"), value.get("verb")):
            yield path
        for key, each in value.items():
            yield from _named(each, name, (*path, key))
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from _named(each, name, (*path, at))


def _fix(mistake: ErrorDetails, model: type[BaseModel]) -> str:
    """What to do about what a model complains of."""
    last = str(mistake["loc"][-1]) if mistake["loc"] else ""
    match mistake["type"]:
        case "missing":
            return f"Add `{last}`."
        case "extra_forbidden":
            near = get_close_matches(last, _keys(model, set()), n=1)
            return f"Did you mean `{near[0]}`?" if near else f"Remove `{last}`."
        case "literal_error":
            return "Use one of these words."
        case "string_too_long" | "too_long":
            return "Make it shorter."
        case _:
            return "Mend it; docs/playbooks.md says what belongs here."


def _keys(model: type[BaseModel], seen: set[type[BaseModel]]) -> set[str]:
    """The keys that a model and its parts know."""
    from typing import get_args

    from pydantic import BaseModel

    seen.add(model)
    keys = set(model.model_fields)
    pending: list[Any] = [field.annotation for field in model.model_fields.values()]
    while pending:
        part = pending.pop()
        pending += get_args(part)
        if isinstance(part, type) and issubclass(part, BaseModel) and part not in seen:
            keys |= _keys(part, seen)
    return keys


CONTAINMENT = "containment_playbook"
_DASHED = re.compile(r"- *(\S.*)")


def _flat(raw: bytes) -> yaml.Tree | None:
    """Read a containment playbook whose indentation was lost on its way, as happens in documents and chats.

    Lines keep their numbers: only blanks are put before them.
    """
    if len(raw) > yaml.MAX_BYTES or not re.search(
        rb"(?m)^containment_playbook:\s*\n(#.*\n|\s*\n)*trigger:", raw
    ):
        return None
    lines: list[str] = []
    inside = stepping = mapping = open_step = False
    for line in raw.decode("utf-8-sig", "replace").splitlines():
        text = line.strip()
        if line.startswith(f"{CONTAINMENT}:"):
            inside = True
        elif not inside or not text or text.startswith("#"):
            text = line
        elif (dashed := _DASHED.fullmatch(text)) and open_step and ":" not in text:
            text = f"        - {dashed[1]}"
        elif dashed:
            stepping, mapping, open_step = True, False, text.endswith(":")
            text = f"    - {dashed[1]}"
        elif stepping:
            # What follows a step without a value is its mapping, or else its list.
            mapping = mapping or re.match(r"[\w-]+: ", text) is not None
            text = f"        {text}" if mapping else f"        - {text}"
        else:
            text = f"  {text}"
        lines.append(text)
    return yaml.read("\n".join(lines).encode())


def containment(tree: yaml.Tree, stem: str, moves: Mapping[str, Move]) -> yaml.Tree:
    """Return a containment playbook (`trigger` and `steps`, each a verb with what it is for) as a playbook.

    Args:
        tree: its key is `containment_playbook`; keys beside it are front matter.
        stem: name of the file, which is its id if it says none.
        moves: the catalogue of verbs.
    """
    front = {key: value for key, value in tree.value.items() if key != CONTAINMENT}
    body = tree.value[CONTAINMENT]
    lines = {path: line for path, line in tree.lines.items() if path[:1] != (CONTAINMENT,)}
    whole = body if isinstance(body, dict) else {}
    trigger = whole.get("trigger")
    said = trigger.replace("_", " ") if isinstance(trigger, str) else trigger
    severity = front.get("severity", 2)  # "if unsure, page as SEV-2"
    steps: list[Any] = []
    copy = ""
    given = whole.get("steps")
    for at, each in enumerate(given if isinstance(given, list) else ()):
        line = tree.line((CONTAINMENT, "steps", at))
        lines[("mitigation", "steps", at)] = line
        steps.append(_step(at, each, moves, copy))
        if isinstance(each, dict) and PRESERVE in each:
            copy = steps[-1]["id"]
    unknown = {key: whole[key] for key in whole if key not in ("trigger", "steps")}
    for key in unknown:
        lines[(key,)] = tree.line((CONTAINMENT, key))
    lines[("triggers", 0)] = tree.line((CONTAINMENT, "trigger"))
    lines[("mitigation",)] = tree.line((CONTAINMENT, "steps"))
    id = re.sub(r"[^a-z0-9.-]+", "-", stem.lower()).strip("-.") or "containment"
    value = {
        "id": id[:64],
        "title": f"Containment: {said}",
        "owner": NOBODY,
        "audience": "responders",
        "corrections": NOBODY,
        "version": "0.0",
        "last_review": NEVER.isoformat(),
        "review_every_days": 60,
        "status": "template",
        "summary": f"Contain {said}: the steps below, in their order.",
        "kind": "path",
        "severity": severity,
        "triggers": [{"text": said, "proposes": severity, "sources": ["S000-CP-1"]}],
        "mitigation": {"steps": steps},
        **front,
        **unknown,
    }
    return yaml.Tree(value, lines)


PRESERVE = "preserve_evidence"
NOBODY = "nobody yet"
NEVER = dt.date(1970, 1, 1)
"""Day of review of a document that names none."""
"""Stands where a containment playbook names no owner; the linter asks for one."""


def _step(at: int, given: Any, moves: Mapping[str, Move], copy: str) -> Any:
    """One step; `copy` is the step before it that preserved evidence."""
    if isinstance(given, str):
        given = {given: None}
    if not isinstance(given, dict) or len(given) != 1:
        return given  # the model says what is wrong with it
    ((verb, value),) = given.items()
    move = moves.get(verb)
    if isinstance(value, dict):
        args = {key: _word(each) for key, each in value.items()}
    elif value is None:
        args = {}
    else:
        args = {move.args[0] if move and move.args else "target": _word(value)}
    shown = ", ".join(str(each) for each in args.values())
    return {
        "id": f"{at + 1}-{re.sub('[^a-z0-9]+', '-', verb.lower())}"[:64],
        "text": f"{verb.replace('_', ' ').capitalize()}{f': {shown}' if shown else ''}"[:500],
        "role": "ops",
        "action": {"verb": verb, "args": args},
        "expect": move.expect if move else "",
        "verify": move.verify if move else "",
        "destroys_evidence": move.destroys_evidence if move else False,
        "snapshot": copy or None if move and move.destroys_evidence else None,
        "sources": ["S000-CP-1"],
    }


def _word(value: Any) -> Any:
    """A value as the one piece of text that an argument is."""
    if isinstance(value, list) and all(isinstance(each, str | int) for each in value):
        return ", ".join(map(str, value))
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
