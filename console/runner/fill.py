"""Filling in: from a step with placeholders to exactly what runs.

A value never changes the shape of what it is put into: one element of a command stays one element, a part of a
URL stays that part, a text of a JSON body stays one text. What cannot be kept so is refused, never repaired.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import quote

from console import shown
from console.refusal import Refused
from console.runner.document import PLACEHOLDER, Command, Http, Step, Value
from console.runner.refusal import Hindered, Refusal
from data.canonical import encode
from data.clock import iso

if TYPE_CHECKING:
    from console.incident import Incident
    from console.runner.state import Play

LONGEST = 2000
"""Characters of a value."""
_ENV = re.compile(r"(?:^|(?<= ))env:([A-Za-z_][A-Za-z0-9_]{0,99})$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?")
_BASE = re.compile(r"https?://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?")
_SCALAR = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?|true|false|null")


class Unfilled(Hindered):
    """A step cannot be filled in. `name`: the value that is missing or does not fit; "": the playbook is wrong."""

    def __init__(self, what: str, ask: str = "", name: str = "") -> None:
        super().__init__(Refusal("values", what, ask, name))


class Filled(NamedTuple):
    """Exactly what runs.

    Attributes:
        kind: what sort of step it is.
        argv: program and arguments of a command.
        http: the request; its headers name variables of the environment, and never hold their values.
        environment: header to the variable of the environment that ends it.
        verb: of an action, with `args`.
    """

    kind: Literal["command", "http", "action"]
    argv: tuple[str, ...] = ()
    http: Http | None = None
    environment: Mapping[str, str] = {}
    verb: str = ""
    args: Mapping[str, str] = {}

    @property
    def parts(self) -> tuple[str, ...]:
        """All of it, one element each."""
        if self.kind == "command":
            return self.argv
        if self.http is not None:
            headers = (f"{name}: {value}" for name, value in self.http.headers.items())
            return (
                f"{self.http.method} {self.http.url}",
                *headers,
                *([self.http.body] if self.http.body else []),
            )
        return (self.verb, *(f"{name}={value}" for name, value in self.args.items()))

    @property
    def digest(self) -> str:
        """What an approval names: it changes with anything that would run differently."""
        return sha256(encode([self.kind, *self.parts])).hexdigest()

    @property
    def recorded(self) -> tuple[str, ...]:
        """The parts as they stand on the record: secrets are masked."""
        policy = shown.secrets()
        return tuple(policy.mask(part) for part in self.parts)

    @property
    def text(self) -> str:
        """One text for people; a command can be copied into a shell."""
        return shlex.join(self.argv) if self.kind == "command" else "\n".join(self.parts)


class Given(NamedTuple):
    """A value that is known, and where it comes from, in words."""

    text: str
    origin: Literal["filled in", "from the incident", "from the configuration"]


def given(
    play: Play, incident: Incident, now: int, constants: Mapping[str, str] = {}
) -> dict[str, Given]:  # fmt: skip
    """Return every value that is known: what was filled in, else what the incident says, else the organisation.

    Args:
        play: the playbook that asks.
        incident: the incident, whose facts fill in some.
        now: ns UTC.
        constants: what the configuration says is the same in every incident, by the name of the value.
    """
    known: dict[str, Given] = {}
    for each in play.document.values:
        if text := play.values.get(each.name, ""):
            known[each.name] = Given(text, "filled in")
        elif text := _fact(each.known, incident, now):
            known[each.name] = Given(text, "from the incident")
        elif text := constants.get(each.name, ""):
            known[each.name] = Given(text, "from the configuration")
    return known


def values(play: Play, incident: Incident, now: int, constants: Mapping[str, str] = {}) -> dict[str, str]:
    """Return the texts of `given`."""
    return {name: each.text for name, each in given(play, incident, now, constants).items()}


def check(value: Value, text: str) -> None:
    """Refuse a text that cannot stand for `value`.

    Raises:
        Refused: it is empty, too long, or not what the document asks for.
    """
    example = f"As in {value.example}." if value.example else value.ask
    if not text or len(text) > LONGEST or "\0" in text:
        raise Refused(f"{value.name} is 1 to {LONGEST} characters without NUL.", example)
    if value.pattern:
        try:
            fits = re.fullmatch(value.pattern, text) is not None
        except re.error:
            fits = False
        if not fits:
            raise Refused(f"That is no {value.name}: it does not match {value.pattern}.", example)
    elif _CONTROL.search(text):
        raise Refused(f"{value.name} is one line of printable characters.", example)


def fill(step: Step, play: Play, known: Mapping[str, str], *, dry: bool = False) -> Filled | None:
    """Return what a step runs, or None for a dry run of a command that knows none.

    Raises:
        Unfilled: a value is missing, or does not fit where it is to stand.
    """
    filler = _Filler(play, known)
    if step.command is not None:
        argv = step.command.dry_run if dry else step.command.argv
        return filler.command(Command(argv)) if argv else None
    if step.http is not None:
        return filler.http(step.http)
    if step.action is not None:
        action = step.action
        filler.missing(action.args.values())
        args = {name: filler.plain(text) for name, text in action.args.items()}
        return Filled("action", verb=action.verb, args=args)
    return None


def fill_check(step: Step, play: Play, known: Mapping[str, str]) -> Filled | None:
    """Return what a wait asks; None when it asks nothing (raises as `fill`)."""
    if step.wait is None:
        return None
    filler = _Filler(play, known)
    if (command := step.wait.command) is not None:
        return filler.command(command)
    return filler.http(request) if (request := step.wait.http) is not None else None


def said(text: str, known: Mapping[str, str]) -> str:
    """Return a sentence of a document with the values that are known in it."""
    return PLACEHOLDER.sub(lambda found: known.get(found[1], found[0]), text)


class _Filler:
    def __init__(self, play: Play, known: Mapping[str, str]) -> None:
        self._play, self._known = play, known
        self._asked = {each.name: each for each in play.document.values}

    def missing(self, templates: object) -> None:
        assert hasattr(templates, "__iter__")  # noqa: S101 - a list of texts
        names = dict.fromkeys(name for text in templates for name in PLACEHOLDER.findall(text))
        gone = tuple(name for name in names if name not in self._known)
        if gone:
            asked = self._asked.get(gone[0])
            raise Unfilled(
                f"{_list(gone)} {'is' if len(gone) == 1 else 'are'} not filled in.",
                f"{gone[0]}: {asked.ask}" if asked and asked.ask else "",
                gone[0],
            )

    def value(self, name: str) -> str:
        text = self._known[name]
        try:
            check(self._asked.get(name, Value(name)), text)
        except Refused as refused:
            raise Unfilled(refused.what, name=name) from None
        return text

    def plain(self, template: str) -> str:
        return PLACEHOLDER.sub(lambda found: self.value(found[1]), template)

    def command(self, command: Command) -> Filled:
        self.missing(command.argv)
        return Filled("command", tuple(self._element(each, at) for at, each in enumerate(command.argv)))

    def _element(self, template: str, at: int) -> str:
        begins = PLACEHOLDER.match(template)
        if begins is not None:
            name = begins[1]
            pattern = self._asked.get(name, Value(name)).pattern
            if at == 0 and not pattern:
                raise Unfilled(
                    f"{name} chooses the program, and nothing says which it may be.",
                    "Give the value a pattern in the playbook.",
                )
            # Otherwise it would be read as an option of the program.
            if self.value(name).startswith("-") and not pattern.lstrip("^(").startswith("-"):
                raise Unfilled(
                    f"{name} begins with a dash and would be taken for an option.",
                    name=name,
                )
        filled = self.plain(template)
        if "\0" in filled:
            raise Unfilled("No argument can hold a NUL.")
        return filled

    def http(self, http: Http) -> Filled:
        self.missing((http.url, *http.headers.values(), http.body))
        headers, environment = {}, {}
        for name, template in http.headers.items():
            # From the document only: a value must not be able to ask for a variable of the environment.
            if (variable := _ENV.search(template)) is not None:
                environment[name] = variable[1]
            headers[name] = self.plain(template)
            if variable is None and _ENV.search(headers[name]):
                raise Unfilled(f"The header {name} must not name a variable of the environment by a value.")
            if _CONTROL.search(headers[name]) or not headers[name].isascii():
                raise Unfilled(f"The header {name} would not be one line of ASCII.")
        body, kind = self._body(http)
        if kind and not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = kind
        return Filled(
            "http",
            http=Http(http.method, self._url(http.url), headers, body, http.expects),
            environment=environment,
        )

    def _url(self, template: str) -> str:
        def put(found: re.Match[str]) -> str:
            text, before = self.value(found[1]), template[: found.start()]
            if not before:
                if not _BASE.fullmatch(text) or "/.." in text:
                    raise Unfilled(
                        f"{found[1]} is the beginning of a URL, as in https://flags.example.com.",
                        name=found[1],
                    )
                return text.rstrip("/") if template[found.end() :].startswith("/") else text
            authority = before.partition("://")[2] if "://" in before else before
            if "/" not in authority and "?" not in authority:
                if not _HOST.fullmatch(text):
                    raise Unfilled(f"{found[1]} is a host, as in flags.example.com.", name=found[1])
                return text
            if text in (".", ".."):
                raise Unfilled(f"{found[1]} would lead to another place of the server.", name=found[1])
            return quote(text, safe="")

        url = PLACEHOLDER.sub(put, template)
        if not url.startswith(("http://", "https://")) or _CONTROL.search(url) or " " in url:
            raise Unfilled("Only http:// and https:// can be called.", "Mend the URL in the playbook.")
        return url

    def _body(self, http: Http) -> tuple[str, str]:
        """The body, and its media type where the document leaves it to us."""
        template = http.body
        kind = next((text for name, text in http.headers.items() if name.lower() == "content-type"), "")
        if not template:
            return "", ""
        if "x-www-form-urlencoded" in kind:
            return PLACEHOLDER.sub(lambda found: quote(self.value(found[1]), safe=""), template), ""
        if not _is_json(PLACEHOLDER.sub("0", template)):
            return self.plain(template), "" if kind else "text/plain; charset=utf-8"
        pieces: list[str] = []
        quoted, at = False, 0
        while at < len(template):
            found = PLACEHOLDER.match(template, at)
            if found is not None:
                text = self.value(found[1])
                if not quoted and not _SCALAR.fullmatch(text):
                    raise Unfilled(f"{found[1]} is a number, true, false or null here.", name=found[1])
                pieces.append(json.dumps(text)[1:-1] if quoted else text)
                at = found.end()
                continue
            char = template[at]
            if quoted and char == "\\":
                pieces.append(template[at : at + 2])
                at += 2
                continue
            quoted = quoted != (char == '"')
            pieces.append(char)
            at += 1
        return "".join(pieces), "" if kind else "application/json"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _list(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _fact(known: str, incident: Incident, now: int) -> str:
    agents = {(facts.tenant, facts.agent) for facts in incident.alerts.values()}
    match known:
        case "incident":
            return incident.code if incident.case else ""
        case "title":
            return incident.title
        case "severity":
            return str(incident.severity) if incident.severity else ""
        case "commander":
            return next(iter(incident.roles.get("ic", ())), "")
        case "now":
            return iso(now, 0)
        case "tenant" | "agent":
            # Of several the console must not choose one.
            names = {tenant if known == "tenant" else agent for tenant, agent in agents}
            return names.pop() if len(names) == 1 else ""
    return ""
