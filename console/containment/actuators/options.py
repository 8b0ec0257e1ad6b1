"""The options of actuators: what they have in common, and how a mistake in them is said.

An actuator reads its options once, when it is made: what is wrong shows in `warroom config check`, not in a halt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from msgspec import Meta, Struct

from console.refusal import Refused

_LINE = r"^[^\x00-\x1f\x7f-\x9f]*$"
_VARIABLE = "^[A-Za-z_][A-Za-z0-9_]{0,99}$"
_PLAIN = "^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
_IN_WORDS = {
    repr(_LINE): "one line of printable characters",
    repr(_VARIABLE): "the name of a variable, such as GATEWAY_TOKEN",
    repr(_PLAIN): "a name of letters, digits and . _ -",
}

Line = Annotated[str, Meta(max_length=2000, pattern=_LINE)]
Url = Annotated[str, Meta(min_length=1, max_length=2000, pattern=_LINE)]
Path_ = Annotated[str, Meta(max_length=4096, pattern=_LINE)]
Key = Annotated[str, Meta(min_length=1, max_length=200, pattern=_PLAIN)]
"""A name that stands in an address as it is."""
Variable = Annotated[str, Meta(pattern=_VARIABLE)]
Text = Annotated[str, Meta(max_length=65_536)]
Status = Annotated[int, Meta(ge=100, le=599)]
Statuses = Annotated[tuple[Status, ...], Meta(min_length=1, max_length=20)]

S = TypeVar("S", bound=Struct)


class Setting(NamedTuple):
    """Where an actuator is made.

    Attributes:
        secrets: the environment, which holds the secrets.
        directory: where relative paths of the configuration begin.
    """

    secrets: Mapping[str, str]
    directory: Path

    def path(self, text: str) -> Path:
        """Return the place that a path of the configuration names."""
        return self.directory / Path(text).expanduser()


class Access(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all that speak HTTP have in common.

    `cleartext` allows a secret to go out over http:// to another machine; nothing else does.
    """

    token_env: Variable | None = None
    token_file: Path_ = ""
    ca_file: Path_ = ""
    cleartext: bool = False


def read(kind: type[S], options: Mapping[str, object]) -> S:
    """Return the options as `kind` has them.

    Raises:
        Refused: one sentence, which begins with the name of the option.
    """
    try:
        return msgspec.convert(dict(options), kind)
    except msgspec.ValidationError as error:
        raise _said(str(error), kind) from None


def _said(error: str, kind: type[Struct]) -> Refused:
    what, _, where = error.partition(" - at `$")
    path = where.removesuffix("`").strip(".")
    if found := re.fullmatch(r"Object contains unknown field `(.*)`", what, re.DOTALL):
        name, known = found[1], _names(kind, path)
        near = get_close_matches(name, known, n=1, cutoff=0.6)
        shown = "".join(char if char.isprintable() else "?" for char in name[:80])
        return Refused(
            f"There is no option `{_dotted(path, shown)}`.",
            f"Did you mean `{near[0]}`?" if near else f"Known here: {', '.join(known)}.",
        )
    if found := re.fullmatch(r"Object missing required field `(.*)`", what):
        return Refused(f"The option `{_dotted(path, found[1])}` is missing.")
    for text, words in (
        ("`str`", "text"),
        ("`array`", "a list"),
        ("`object`", "a table"),
        ("`int`", "a number"),
    ):
        what = what.replace(text, words)
    for pattern, words in _IN_WORDS.items():
        what = what.replace(f"matching regex {pattern}", f"that is {words}")
    return Refused(f"The option `{path or 'options'}`: {what[:1].lower()}{what[1:]}.")


def _dotted(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _names(kind: Any, path: str) -> list[str]:
    """The options at a path of dots, as far as it leads through tables."""
    for part in filter(None, path.split(".")):
        at = {each.encode_name: each.type for each in msgspec.structs.fields(kind)}
        tables = [
            each for each in _members(at.get(part)) if isinstance(each, type) and issubclass(each, Struct)
        ]
        if not tables:
            return []
        kind = tables[0]
    return [each.encode_name for each in msgspec.structs.fields(kind)]


def _members(kind: Any) -> tuple[Any, ...]:
    return tuple(getattr(kind, "__args__", ())) or (kind,)
