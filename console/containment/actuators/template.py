"""Templates: requests and commands with places that a call fills in.

A template is taken apart once. Each place knows what it stands in, and quotes its value for that, so that no value
can change the shape of the whole: a part of an address stays that part, a text of a JSON body that text, an argument
of a program that argument. What cannot be quoted is declined; only the reason, a remark for people, is smoothed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote

from console.containment.actuator import Call, Declined
from console.containment.actuators import catalogue
from console.refusal import Refused

NAMES = ("target", "agent", "order", "epoch", "reason", "verb")
"""What every call has; beside these the names in `args` of the catalogue."""
LONGEST = 2000
"""Characters of a value; of the reason 500."""
_PLACE = re.compile(r"\{([a-z][a-z0-9_]{0,39})\}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_HOST = re.compile(r"([A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")
_SCALAR = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?|true|false|null")
_SPELLED = re.compile(r"[A-Za-z0-9_./:=@,+%-]*")
_INTERPRETER = re.compile(
    r"(ba|da|z|k|c|tc|fi)?sh|busybox|env|sudo|su|xargs|python[0-9.]*|perl|ruby|node|awk"
)
_REMOTE = re.compile(r"ssh|rsh|mosh|eval|parallel")
"""Programs that put all their arguments into one line for a shell."""
_SCRIPT = re.compile(r"-[A-Za-z]*[ce]")
"""Options of interpreters behind which a script stands."""

Values = Mapping[str, str]
Encode = Callable[[str, str], str]
"""Name and value to what stands in the place; raises Declined."""


def values(call: Call) -> dict[str, str]:
    """Return what a call fills in.

    Raises:
        Declined: a value is too long or no text.
    """
    given = {
        **call.args,
        "target": call.target,
        "agent": call.agent,
        "order": call.order,
        "epoch": str(call.epoch),
        "verb": call.verb,
        "reason": _smoothed(call.reason),
    }
    for name, value in given.items():
        if len(value) > LONGEST or not (value.isascii() or _is_text(value)):
            raise Declined(f"The value of {{{name}}} is longer than {LONGEST} characters, or no text.")
    return given


@lru_cache(16)
def _smoothed(reason: str) -> str:
    """A reason as one line; the same for all targets of an order."""
    text = " ".join(reason[:LONGEST].split())
    return "".join(char for char in text if char.isprintable())[:500] or "no reason was given"


def idempotency_key(call: Call) -> str:
    """Return what is the same for every attempt at one target under one order, and else different."""
    what = "\0".join((call.verb, call.target, call.agent))
    return f"{call.order}-{sha256(what.encode('utf-8', 'replace')).hexdigest()[:16]}"


class Template(NamedTuple):
    """Literal texts, and between them places with the way in which each is quoted."""

    pieces: tuple[str | tuple[str, Encode], ...]

    def fill(self, known: Values) -> str:
        """Return the text with its places filled in (raises Declined)."""
        return "".join(
            piece if isinstance(piece, str) else piece[1](piece[0], _given(piece[0], known))
            for piece in self.pieces
        )

    @property
    def names(self) -> list[str]:
        """The places, in their order."""
        return [piece[0] for piece in self.pieces if not isinstance(piece, str)]


def _given(name: str, known: Values) -> str:
    if name not in known:
        raise Declined(f"The order says nothing of {{{name}}}.")
    return known[name]


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _compiled(option: str, text: str, choose: Callable[[re.Match[str]], Encode]) -> Template:
    """Take a text apart; `choose` says how the place that was found is quoted (raises Refused)."""
    pieces: list[str | tuple[str, Encode]] = []
    at = 0
    for found in _PLACE.finditer(text):
        _known(option, found[1])
        pieces += [text[at : found.start()], (found[1], choose(found))]
        at = found.end()
    return Template((*pieces, text[at:]))


def _known(option: str, name: str) -> None:
    if name in NAMES:
        return
    more = catalogue.args()
    if name not in more:
        raise Refused(
            f"The option `{option}` has the place {{{name}}}, which nothing fills.",
            f"There are: {', '.join(f'{{{each}}}' for each in (*NAMES, *sorted(more - {*NAMES})))}.",
        )


def line(option: str, text: str) -> Template:
    """Take apart a text for people."""
    return _compiled(option, text, lambda _: lambda name, value: _CONTROL.sub(" ", value))


def address(option: str, text: str) -> Template:
    """Take apart an address. Its host may be, or end with, `{target}`; every other place is behind the host.

    Raises:
        Refused: it is none, or a place stands where it could lead to another host.
    """
    scheme, _, rest = text.partition("://")
    host = re.split("[/?]", rest, maxsplit=1)[0]
    named = [*_PLACE.findall(host)]
    odd = not text.isascii() or "@" in host or any(char in text for char in "#\\ ")
    if scheme not in ("http", "https") or not host or odd:
        raise Refused(
            f"The option `{option}` is no address.", "As in https://gateway.example.com/agents/{target}."
        )
    if any(name != "target" for name in named):
        raise Refused(
            f"The option `{option}` lets {{{named[0]}}} choose the host.", "Only {target} can stand there."
        )
    if not _HOST.fullmatch(_PLACE.sub("x", host)):
        raise Refused(f"The option `{option}` names no host.", "As in https://gateway.example.com/.")
    if any(segment in (".", "..") for segment in rest.split("?")[0].split("/")):
        raise Refused(f"The option `{option}` leads through `..`.", "Name the whole path.")
    begins = len(scheme) + 3 + len(host)
    return _compiled(option, text, lambda found: _of_host if found.start() < begins else _of_path)


def _of_host(name: str, value: str) -> str:
    if not _HOST.fullmatch(value):
        raise Declined(f"{value[:100]!r} is no host for {{{name}}}.")
    return value


def _of_path(name: str, value: str) -> str:
    if name == "reason":
        value = re.sub(r"[/\\.]+", " ", value).strip() or "-"
    # Also when quoted: there are servers that take the quotes off before they walk the path.
    if not value or any(part in (".", "..") for part in re.split(r"[/\\]", value)):
        raise Declined(f"{value[:100]!r} cannot be a part of an address for {{{name}}}.")
    if _CONTROL.search(value):
        raise Declined(f"The value of {{{name}}} holds control characters.")
    return quote(value, safe="")


def header(option: str, text: str) -> Template:
    """Take apart the value of a header."""
    if _CONTROL.search(text) or not text.isascii():
        raise Refused(f"The option `{option}` is not one line of ASCII.")
    return _compiled(option, text, lambda _: _of_header)


def _of_header(name: str, value: str) -> str:
    if name == "reason":
        return value.encode("ascii", "replace").decode()
    if _CONTROL.search(value) or not value.isascii():
        raise Declined(f"The value of {{{name}}} is not one line of ASCII, as a header needs it.")
    return value


def body(option: str, text: str, kind: str) -> Template:
    """Take apart the body of a request of a media type: JSON, a form, or anything that has no places.

    Raises:
        Refused: it has places, and is neither JSON nor a form.
    """
    if not text or not _PLACE.search(text):
        return Template((text,))
    if kind.partition(";")[0].strip() == "application/x-www-form-urlencoded":
        return _compiled(option, text, lambda _: lambda name, value: quote(value, safe=""))
    bare = [found.start() for found in _PLACE.finditer(text) if not _within_text(text, found.start())]
    pieces = list(text)
    for found in reversed(list(_PLACE.finditer(text))):
        pieces[found.start() : found.end()] = ["0" if found.start() in bare else found[0]]
    try:
        json.loads("".join(pieces), object_pairs_hook=lambda pairs: _no_places(option, pairs))
    except (ValueError, RecursionError):
        raise Refused(
            f"The option `{option}` has places, and is not JSON.", 'As in {"reason": "{reason}"}.'
        ) from None
    return _compiled(option, text, lambda found: _of_json if found.start() in bare else _of_json_text)


def _no_places(option: str, pairs: list[tuple[str, object]]) -> dict[str, object]:
    if any(_PLACE.search(name) for name, _ in pairs):
        raise Refused(f"The option `{option}` has a place in the name of a field.", "Use it as a value.")
    return dict(pairs)


def _within_text(text: str, at: int) -> bool:
    return len(re.findall(r'(?<!\\)(?:\\\\)*"', text[:at])) % 2 == 1


def _of_json(name: str, value: str) -> str:
    if not _SCALAR.fullmatch(value):
        raise Declined(f"The value of {{{name}}} is a number, true, false or null there.")
    return value


def _of_json_text(name: str, value: str) -> str:
    return json.dumps(value)[1:-1]


def argv(option: str, elements: tuple[str, ...]) -> tuple[Template, ...]:
    """Take apart a program with its arguments. There is no shell, and none can be smuggled in.

    Raises:
        Refused: a place chooses the program, stands in the middle of a script, or is one.
    """
    if _PLACE.search(elements[0]):
        raise Refused(f"The option `{option}` lets a place choose the program.", "Name the program.")
    for at, element in enumerate(elements):
        if not _PLACE.search(element):
            continue
        if not _SPELLED.fullmatch(_PLACE.sub("", element)):
            raise Refused(
                f"The option `{option}` has a place in the middle of a script: {element[:80]}.",
                'Give it as an argument, as in ["sh", "-c", \'stop "$1"\', "stop", "{target}"].',
            )
        if _is_script(elements[:at]):
            raise Refused(
                f"The option `{option}` makes a script out of a place: {element[:80]}.",
                'Give it as an argument, as in ["sh", "-c", \'stop "$1"\', "stop", "{target}"].',
            )
    return tuple(
        _compiled(option, each, lambda found: _of_argument if found.start() else _of_beginning)
        for each in elements
    )


def _is_script(before: tuple[str, ...]) -> bool:
    """Whether the next element is read as a script by an interpreter that stands before it."""
    programs = [each.rpartition("/")[2] for each in before]
    if any(_REMOTE.fullmatch(each) for each in programs):
        return True
    if not any(_INTERPRETER.fullmatch(each) for each in programs):
        return False
    return bool(_INTERPRETER.fullmatch(programs[-1]) or _SCRIPT.fullmatch(before[-1]))


def _of_argument(name: str, value: str) -> str:
    if "\0" in value:
        raise Declined(f"The value of {{{name}}} holds a NUL, which no argument can.")
    return value


def _of_beginning(name: str, value: str) -> str:
    if name == "reason":
        value = value.lstrip("- ") or "none"
    if value.startswith("-"):
        raise Declined(f"The value of {{{name}}} begins with a dash, and would be taken for an option.")
    return _of_argument(name, value)
