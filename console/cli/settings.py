"""The configuration as a person wrote it, changed by a command: comments and order stay, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.config import Problem, load
from console.refusal import Refused
from console.shown import visible

if TYPE_CHECKING:
    from tomlkit import TOMLDocument


def document(path: Path) -> TOMLDocument:
    """Read the configuration to be changed; empty when there is none.

    Raises:
        Refused: it cannot be read, or is no TOML: nobody could add to it without losing something.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        return tomlkit.parse(path.read_bytes().decode())
    except FileNotFoundError:
        return tomlkit.document()
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}.", "Check its owner and mode.") from error
    except (TOMLKitError, ValueError, RecursionError) as error:
        raise Refused(
            f"{path} is not TOML: {visible(str(error), 200)}.",
            "Mend it first (`warroom config check` names the line); nothing was changed.",
        ) from error


def write(path: Path, text: str) -> None:
    """Write the configuration, whole or not at all, and only if nothing is wrong with it that was not before.

    Raises:
        Refused: a value does not fit; the file is as it was.
        OSError: it cannot be written; the file is as it was.
    """
    from data.durable import make_directory, replace

    # What a link points to is changed, and not the link: it may lie among somebody's dotfiles.
    path = path.resolve()
    make_directory(path.parent)
    before = path.read_bytes() if path.exists() else None
    known = _wrong(path) if before is not None else []
    replace(path, text.encode())
    new = [problem for problem in load(path).problems if _said(problem) not in known]
    if not new:
        return
    if before is None:
        path.unlink()
    else:
        replace(path, before)
    raise Refused(f"{new[0].what} {new[0].fix}".strip(), "Nothing was changed.")


def _wrong(path: Path) -> list[tuple[str, str]]:
    return [_said(problem) for problem in load(path).problems]


def _said(problem: Problem) -> tuple[str, str]:
    # The line moves with what is written above it.
    return problem.what, problem.fix


def get(tree: Mapping[str, Any], path: Sequence[str]) -> Any:
    """What stands at a path of keys, as plain values; None where nothing does."""
    value: Any = tree
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return value.unwrap() if hasattr(value, "unwrap") else value


def put(tree: TOMLDocument, path: Sequence[str], value: object) -> None:
    """Set what stands at a path of keys; sections are made where there are none.

    Raises:
        Refused: a value stands where a section is needed.
    """
    import tomlkit

    here: Any = tree
    for number, key in enumerate(path[:-1]):
        if key not in here:
            here[key] = tomlkit.table(is_super_table=number < len(path) - 2)
        here = here[key]
        if not isinstance(here, Mapping):
            raise Refused(f"`{'.'.join(path[: number + 1])}` is a value, not a section.", "Mend it first.")
    here[path[-1]] = value


def entries(tree: TOMLDocument, section: str) -> list[Any]:
    """The sections of a list such as [[agent]], to be changed in place."""
    found = tree.get(section, [])
    if not isinstance(found, Sequence) or not all(isinstance(each, Mapping) for each in found):
        raise Refused(f"`{section}` is no list of sections.", f"Write [[{section}]] for each one.")
    return list(found)


def add(tree: TOMLDocument, section: str, values: Mapping[str, object]) -> None:
    """Add a section to a list such as [[agent]]."""
    import tomlkit
    from tomlkit.items import AoT

    entries(tree, section)
    if section not in tree:
        if tree.body:
            tree.add(tomlkit.nl())
        tree.append(section, tomlkit.aot())
    held = tree[section]
    if isinstance(held, AoT):
        if held.body:
            held.body[-1].add(tomlkit.nl())
        table = tomlkit.table()
        table.update(values)
        held.append(table)
    else:
        row = tomlkit.inline_table()
        row.update(values)
        held.append(row)
