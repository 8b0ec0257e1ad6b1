"""What is wrong with documents, or will be at the worst moment: file, line, and what to do about it.

A model says whether a document can be read at all. What is looked at here is whether it will do: whether what it
names exists, whether somebody owns each step, and whether a step would destroy what an inquiry needs.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast
from urllib.parse import urlsplit

from playbooks import reading, requirements, yaml
from playbooks.library import KINDS, Entry, Library, files
from playbooks.load import DEFAULT
from playbooks.reading import PlaybookTrouble, Problem

if TYPE_CHECKING:
    from playbooks.guidance import Baselines, Messages, Move, Moves, Routing
    from playbooks.response import Command, Playbook, Step
    from playbooks.schema import Checklist

Level = Literal["error", "warning", "note"]
MOST = 100
"""Findings of one document that are listed one by one."""


NEVER_READ = "Read it, then write `last_review:` with the day, above `containment_playbook:`."


class Finding(NamedTuple):
    """One thing that was found.

    Attributes:
        level: `error`: it will not work; `warning`: somebody should look; `note`: good to know.
        line: from 1.
        rule: what was looked at, in one word.
        fix: what to do.
        kind: of the document; empty where nothing tells it.
    """

    level: Level
    file: str
    line: int
    rule: str
    what: str
    fix: str = ""
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.level}: {self.what}"


def lint(
    library: Library,
    paths: Iterable[Path] = (),
    *,
    today: dt.date,
    tripwires: Collection[str] = (),
    links: Collection[str] = (),
) -> list[Finding]:
    """Look at documents; changes nothing.

    Args:
        library: the documents in force.
        paths: files and directories to look at, as if they lay over the library; none: the library itself.
        today: by which reviews are overdue.
        tripwires: the ids that a document may name; none: they are not checked.
        links: names of the organisation's documents of which it is known where they are.
    """
    paths = tuple(paths)
    whole = Library(*library.overlays, *paths, root=library.root)
    try:
        problems = whole.problems
        return _Lint(whole, paths, problems, today, tripwires, links).findings()
    except PlaybookTrouble as trouble:
        # A shipped document is broken: nothing that refers to it can be judged.
        return [_broken(problem) for problem in trouble.problems]


def _broken(problem: Problem) -> Finding:
    return Finding("error", problem.file, problem.line, "document", problem.what, problem.fix)


class _Lint:
    def __init__(
        self,
        library: Library,
        paths: tuple[Path, ...],
        problems: tuple[Problem, ...],
        today: dt.date,
        tripwires: Collection[str],
        links: Collection[str],
    ) -> None:
        self.library = library
        self.problems = problems
        self.today = today
        self.tripwires = tripwires
        self.links = links
        self.scope = {name for path in paths for name in (str(path), *_names(path))}

    def findings(self) -> list[Finding]:
        found = [
            each
            for problem in self.problems
            if not self.scope or problem.file in self.scope
            for each in self._mistake(problem)
        ]
        for kind in KINDS:
            for entry in self.library.entries(kind):
                if not self.scope or str(entry.path) in self.scope:
                    listed = list(self._document(entry))
                    found += listed[:MOST]
                    if len(listed) > MOST:
                        more = f"{len(listed) - MOST} more findings in this document"
                        found.append(
                            self._at(entry, (), "warning", "document", more, "Mend the first ones first.")
                        )
        return sorted(set(found), key=lambda each: (each.file, each.line, each.level, each.what))

    def _mistake(self, problem: Problem) -> Iterator[Finding]:
        """A problem; of placeholders that nobody asks for, all instead of the first."""
        if not problem.what.endswith("which `values` does not ask for"):
            yield _broken(problem)
            return
        for line, step, name in _unasked(reading.tree(Path(problem.file))):
            what = f"step `{step}` uses {{{name}}}, which `values` does not ask for"
            fix = f"Add `- {{name: {name}, ask: …, pattern: …}}` to `values`, or write what is meant."
            yield Finding("error", problem.file, line, "placeholder", what, fix)

    def _at(self, entry: Entry, path: yaml.Path, level: Level, rule: str, what: str, fix: str) -> Finding:
        return Finding(level, _file(entry), entry.tree.line(path), rule, what, fix, entry.kind.name)

    def _document(self, entry: Entry) -> Iterator[Finding]:
        yield from self._age(entry)
        yield from self._owner(entry)
        yield from self._references(entry)
        yield from self._requirements(entry)
        yield from self._unfinished(entry)
        of_kind: dict[str, Callable[[Entry], Iterator[Finding]]] = {
            "responses": self._playbook,
            "checklists": self._checklist,
            "routing": self._routing,
            "moves": self._moves,
            "baselines": self._baselines,
            "messages": self._messages,
        }
        if entry.kind.name in of_kind:
            yield from of_kind[entry.kind.name](entry)

    # Every document

    def _age(self, entry: Entry) -> Iterator[Finding]:
        document = entry.document
        if document.status == "retired":
            return
        where: yaml.Path = ("last_review",)
        if not document.reviewed:
            if document.owner != reading.NOBODY:  # of which more is said than this
                yield self._at(entry, (), "warning", "review", "it names no day of review", NEVER_READ)
            return
        due = document.review_due()
        if document.last_review > self.today:
            what = f"it was last reviewed on {document.last_review}, which is yet to come"
            yield self._at(entry, where, "error", "review", what, "Write the day on which somebody read it.")
        elif due < self.today:
            what = f"its review was due by {due}"
            yield self._at(
                entry,
                where,
                "warning",
                "review",
                what,
                f"{_start(document.owner)}: read it, then set `last_review`.",
            )

    def _owner(self, entry: Entry) -> Iterator[Finding]:
        if entry.document.owner == reading.NOBODY:
            what = "it names no owner" + ("" if entry.document.reviewed else " and no day of review")
            fix = (
                "Write `owner:`, `corrections:`, `last_review:` and `version:` above `containment_playbook:`."
            )
            yield self._at(entry, (), "warning", "owner", what, fix)

    def _references(self, entry: Entry) -> Iterator[Finding]:
        for at, text in enumerate(entry.document.references):
            level, what, fix = self._reference(entry, text)
            if what:
                yield self._at(entry, ("references", at), level, "reference", f"`{text}` {what}", fix)

    def _reference(self, entry: Entry, text: str) -> tuple[Level, str, str]:
        if text.startswith("org:"):
            name = text[4:]
            if name in self.links:
                return "note", "", ""
            return (
                "note",
                "is missing: nothing says where it is",
                f"Set playbooks.links.{name} in the configuration.",
            )
        name, colon, rest = text.partition(": ")
        target = rest.strip() if colon else name.strip()
        if "://" in target:
            if _is_url(target):
                return "note", "", ""
            return "error", "is not an address", "Write the whole address, such as https://host/path."
        if not re.fullmatch(r"[\w./-]+", target) or not ("/" in target or PurePosixPath(target).suffix):
            if not colon and self.library.find(target):
                return "note", "", ""
            return "error", "leads nowhere", "Write `org:name` for a document of yours, or its address."
        if self._resolves(entry, target):
            return "note", "", ""
        return (
            "error",
            "leads nowhere",
            "Name a document as `kind/id` or by its path from here, or remove it.",
        )

    def _resolves(self, entry: Entry, target: str) -> bool:
        if self.library.find(target) or (entry.path.parent / target).exists():
            return True
        # The copy of a document in a team's directory keeps its references into the library.
        folder = "" if entry.kind.parts else entry.kind.name
        place = normpath(f"{folder}/{target}" if folder else target)
        return not place.startswith("..") and any(
            (root / place).exists() for root in (self.library.root, *self.library.overlays)
        )

    def _requirements(self, entry: Entry) -> Iterator[Finding]:
        own = entry.own or entry.kind.name == "tags"  # a tag may also come from a public list
        for path, text in _scalars(entry.tree.value):
            if len(path) > 1 and path[-2] in ("requirements", "sources"):
                wrong = requirements.wrong(str(text), own=own)
                if wrong:
                    fix = "Correct it, or name a requirement of your own, such as OPS-12."
                    yield self._at(entry, path, "error", "requirement", f"`{text}` {wrong}", fix)

    def _unfinished(self, entry: Entry) -> Iterator[Finding]:
        for path, text in _scalars(entry.tree.value):
            if isinstance(text, str) and path[-1:] != ("pattern",) and (mark := _UNFINISHED.search(text)):
                what = f"`{mark[0]}` is still to be filled in"
                fix = "Write what is meant; what changes with each incident is a {placeholder} with a value."
                yield self._at(entry, path, "error", "placeholder", what, fix)

    # Playbooks

    def _playbook(self, entry: Entry) -> Iterator[Finding]:
        from playbooks.response import Playbook

        playbook = cast("Playbook", entry.document)
        try:
            default = self.library.named(Playbook, DEFAULT)
        except KeyError:
            default = None
        if playbook.id != DEFAULT and playbook.kind != "path":
            yield from self._sections(entry, playbook, default)
        others = [each for each in self._scenarios[playbook.number] if each != playbook.id]
        if playbook.number and others:
            what = f"the number {playbook.number} is that of `{others[0]}` too"
            yield self._at(entry, ("number",), "error", "id", what, "Give it a number of its own.")
        yield from self._names(entry, "types", playbook.types, self._tags("type"), "an incident type")
        yield from self._names(entry, "codes", playbook.codes, self._tags("code"), "a triage code")
        yield from self._names(entry, "classes", playbook.classes, self._classes, "an action class")
        for at, trigger in enumerate(playbook.triggers):
            if trigger.tripwire and self.tripwires and trigger.tripwire not in self.tripwires:
                yield self._unknown(
                    entry, ("triggers", at, "tripwire"), trigger.tripwire, self.tripwires, "a tripwire"
                )
        order = [step.id for step in playbook.steps()]
        for section, content in playbook.sections():
            for at, step in enumerate(content.steps):
                path: yaml.Path = (section, "steps", at)
                yield from self._step(entry, path, step)
                yield from self._evidence(entry, path, step, order)
                if step.automatic and section == "recovery" and playbook.severity == 1:
                    what = f"step `{step.id}` recovers by itself at SEV-1"
                    fix = "Remove `automatic`: at SEV-1 a person recovers."
                    yield self._at(entry, (*path, "automatic"), "error", "automatic", what, fix)
        whole = playbook.completed(default) if default else playbook
        used = {name for step in whole.steps() for name in step.placeholders()}
        for at, value in enumerate(playbook.values):
            if value.name not in used:
                what = f"nothing uses the value `{value.name}`"
                yield self._at(entry, ("values", at), "warning", "placeholder", what, "Use it or remove it.")

    def _sections(self, entry: Entry, playbook: Playbook, default: Playbook | None) -> Iterator[Finding]:
        if not playbook.triggers:
            what = "it has no triggers: nobody is led to it"
            yield self._at(
                entry, (), "warning", "section", what, "Add `triggers` with a `text` and what it `proposes`."
            )
        for name, section in playbook.sections():
            if section.steps:
                continue
            inherited = bool(default and getattr(default, name).steps)
            if inherited:
                what = f"`{name}` is taken over from `{DEFAULT}`"
                yield self._at(
                    entry, (name,), "note", "section", what, f"Add steps to `{name}` to have its own."
                )
            else:
                what = f"`{name}` has no steps, and `{DEFAULT}` has none to take over"
                yield self._at(entry, (name,), "warning", "section", what, f"Add steps to `{name}`.")

    def _step(self, entry: Entry, path: yaml.Path, step: Step) -> Iterator[Finding]:
        for key, names in (("role", (step.role,)), ("approvers", step.approvers)):
            for name in names:
                if name not in self._roles:
                    yield self._unknown(entry, (*path, key), name, self._roles, "a role")
        yield from self._action(entry, path, step)
        for place, command in _commands(path, step):
            yield from self._command(entry, place, step, command)
        if (step.command or step.http) and not (step.expect and step.verify):
            lacks = " and ".join(name for name in ("expect", "verify") if not getattr(step, name))
            what = f"step `{step.id}` acts, and `{lacks.replace(' and ', '` and `')}` is empty"
            fix = "Say what should happen, and how somebody sees that it did."
            yield self._at(entry, path, "warning", "step", what, fix)

    def _action(self, entry: Entry, path: yaml.Path, step: Step) -> Iterator[Finding]:
        if step.action is None:
            return
        move = self._verbs.get(step.action.verb)
        if move is None:
            yield self._unknown(
                entry,
                (*path, "action", "verb"),
                step.action.verb,
                self._verbs,
                "a verb of the catalogue",
                "verb",
            )
            return
        for name in move.args:
            if name not in step.action.args:
                what = f"step `{step.id}` does not say `{name}`, which `{move.verb}` needs"
                yield self._at(
                    entry, (*path, "action"), "error", "verb", what, f"Add `{name}` to its `args`."
                )
        if items := step.action.args.get("items") if move.verb == reading.PRESERVE else None:
            yield from self._preserved(entry, (*path, "action", "args", "items"), items)
        for name in step.action.args:
            if name not in move.args:
                yield self._unknown(
                    entry,
                    (*path, "action", "args", name),
                    name,
                    move.args,
                    f"an argument of `{move.verb}`",
                    "verb",
                )

    def _preserved(self, entry: Entry, path: yaml.Path, items: str) -> Iterator[Finding]:
        """What a step asks to be preserved is listed as missing for ever when nothing goes by its name."""
        from playbooks.guidance import EvidenceSchema, plain_name

        named = {
            plain_name(name): each.name
            for each in self.library.only(EvidenceSchema).evidence
            for name in (each.name, *each.aliases)
        }
        for item in items.split(","):
            name = item.partition("=")[0].strip()
            if not _placeholders(name) and plain_name(name) not in named:
                yield self._unknown(entry, path, name, set(named.values()), "a field of the evidence schema")

    def _command(self, entry: Entry, path: yaml.Path, step: Step, argv: tuple[str, ...]) -> Iterator[Finding]:
        why = shell(argv)
        if why:
            fix = "Write the program and each argument as an element of its own; make a pipe two steps."
            yield self._at(entry, path, "error", "shell", f"step `{step.id}` {why}", fix)
        playbook = cast("Playbook", entry.document)
        free = {value.name for value in playbook.values if not value.pattern}
        for before, word in zip(("", *argv), argv, strict=False):
            for name in _placeholders(word):
                if name in free and (word.startswith("{") or before in _CODE):
                    what = f"step `{step.id}` takes any text for {{{name}}}, also one that begins with `-`"
                    fix = f"Give the value `{name}` a pattern."
                    yield self._at(entry, path, "warning", "placeholder", what, fix)

    def _evidence(self, entry: Entry, path: yaml.Path, step: Step, order: list[str]) -> Iterator[Finding]:
        move = self._verbs.get(step.action.verb) if step.action else None
        fix = "Put a step that keeps a copy before it, and name that as its `snapshot`."
        if step.destroys_evidence or (move is not None and move.destroys_evidence):
            if step.snapshot is None:
                what = f"step `{step.id}` destroys evidence, and nothing keeps a copy before"
                yield self._at(entry, path, "error", "evidence", what, fix)
            elif order.index(step.snapshot) >= order.index(step.id):
                what = f"step `{step.id}` destroys evidence before `{step.snapshot}` keeps a copy"
                yield self._at(entry, (*path, "snapshot"), "error", "evidence", what, fix)
            if not step.destroys_evidence:
                what = f"step `{step.id}` does not say that `{move.verb if move else ''}` destroys evidence"
                yield self._at(entry, path, "error", "evidence", what, "Add `destroys_evidence: true`.")
        elif step.command and (word := _destroys(step.command)):
            what = f"step `{step.id}` runs `{word}` and does not say that it destroys evidence"
            yield self._at(
                entry,
                (*path, "command"),
                "warning",
                "evidence",
                what,
                "Add `destroys_evidence: true` and a `snapshot`.",
            )

    # Other kinds

    def _checklist(self, entry: Entry) -> Iterator[Finding]:
        for at, item in enumerate(cast("Checklist", entry.document).items):
            if item.role not in self._roles:
                yield self._unknown(entry, ("items", at, "role"), item.role, self._roles, "a role")

    def _routing(self, entry: Entry) -> Iterator[Finding]:
        from playbooks.guidance import Routing

        told = {*self._roles, *(contact.id for contact in self.library.only(Routing).contacts)}
        for at, route in enumerate(cast("Routing", entry.document).routes):
            path: yaml.Path = ("routes", at)
            yield from self._names(entry, "types", route.types, self._tags("type"), "an incident type", path)
            yield from self._names(entry, "tell", route.tell, told, "a contact or a role", path)
            if self.tripwires:
                yield from self._names(
                    entry, "tripwires", route.tripwires, self.tripwires, "a tripwire", path
                )

    def _moves(self, entry: Entry) -> Iterator[Finding]:
        for at, move in enumerate(cast("Moves", entry.document).moves):
            path: yaml.Path = ("moves", at)
            yield from self._names(
                entry, "authority", move.authority, self._authorities, "a standing authority", path
            )

    def _messages(self, entry: Entry) -> Iterator[Finding]:
        for at, template in enumerate(cast("Messages", entry.document).templates):
            asked = {value.name for value in template.values}
            said = [(("templates", at, key), name) for key in ("subject", "body")
                    for name in _placeholders(getattr(template, key))]  # fmt: skip
            needed = [(("templates", at, "needs", place), name) for place, name in enumerate(template.needs)]
            for path, name in (*said, *needed):
                if name not in asked:
                    what = f"template `{template.id}` uses {{{name}}}, which its `values` do not ask for"
                    fix = f"Add `- {{name: {name}, ask: …}}` to its `values`, or write what is meant."
                    yield self._at(entry, path, "error", "placeholder", what, fix)
            for place, value in enumerate(template.values):
                if value.name not in {name for _, name in said}:
                    what = f"template `{template.id}` asks for `{value.name}` and does not say it"
                    path = ("templates", at, "values", place)
                    yield self._at(entry, path, "warning", "placeholder", what, "Use it or remove it.")

    def _baselines(self, entry: Entry) -> Iterator[Finding]:
        for at, each in enumerate(cast("Baselines", entry.document).baselines):
            if each.recheck_by < self.today:
                what = f"the baseline `{each.id}` was to be looked at again by {each.recheck_by}"
                fix = f"Look at {each.source}, then set `baseline` and `recheck_by`."
                yield self._at(entry, ("baselines", at, "recheck_by"), "warning", "review", what, fix)

    # What there is

    def _names(
        self,
        entry: Entry,
        key: str,
        names: Iterable[str],
        known: Collection[str],
        what: str,
        path: yaml.Path = (),
    ) -> Iterator[Finding]:
        for at, name in enumerate(names):
            if name not in known:
                yield self._unknown(entry, (*path, key, at), name, known, what)

    def _unknown(
        self,
        entry: Entry,
        path: yaml.Path,
        name: str,
        known: Collection[str],
        what: str,
        rule: str = "name",
    ) -> Finding:
        near = get_close_matches(name, known, n=1)
        listed = ", ".join(sorted(known)[:12]) + (", …" if len(known) > 12 else "")
        fix = f"Did you mean `{near[0]}`?" if near else f"There are: {listed or 'none'}."
        return self._at(entry, path, "error", rule, f"`{name}` is not {what}", fix)

    @cached_property
    def _roles(self) -> frozenset[str]:
        from playbooks.schema import Roles

        return frozenset(role.id for role in self.library.only(Roles).roles)

    @cached_property
    def _verbs(self) -> dict[str, Move]:
        return self.library.moves()

    @cached_property
    def _authorities(self) -> frozenset[str]:
        from playbooks.guidance import Authorities

        return frozenset(each.id for each in self.library.only(Authorities).authorities)

    @cached_property
    def _classes(self) -> frozenset[str]:
        return frozenset(entry.document.id for entry in self.library.entries("rollback"))

    @cached_property
    def _scenarios(self) -> dict[int, list[str]]:
        from playbooks.response import Playbook

        numbers: dict[int, list[str]] = {}
        for playbook in self.library.documents(Playbook):
            numbers.setdefault(playbook.number, []).append(playbook.id)
        return numbers

    def _tags(self, axis: str) -> frozenset[str]:
        from playbooks.guidance import Tags

        axes = self.library.only(Tags).axes
        return frozenset(tag.id for each in axes if each.id == axis for tag in each.tags)


_UNFINISHED = re.compile(r"\b(?:TODO|FIXME|TBD|XXX)\b|<[a-z][a-z0-9 _-]{0,40}>")
_SHELLS = {
    "sh",
    "bash",
    "dash",
    "zsh",
    "ksh",
    "fish",
    "csh",
    "tcsh",
    "ash",
    "cmd",
    "cmd.exe",
    "powershell",
    "pwsh",
}
_SYNTAX = {"|", "||", "&&", ";", "&", ">", ">>", "<", "<<", "2>", "2>&1", "|&"}
_CODE = {"-c", "-e", "--eval", "--command"}
_GONE = {"flushdb", "flushall", "purge", "truncate", "shred", "rm", "unlink"}


def shell(argv: tuple[str, ...]) -> str:
    """Why a command is one for a shell, as half a sentence; empty if it is not."""
    if _placeholders(argv[0]):
        return "lets a value choose the program that runs"
    if re.search(r"\s", argv[0]):
        return f"has a whole line as its program: `{argv[0][:60]}`"
    for at, word in enumerate(argv):
        name = word.rpartition("/")[2].lower()
        if name in _SHELLS and (at == 0 or any(re.match(r"[-/]\w*c", each, re.I) for each in argv[at + 1 :])):
            return f"goes through a shell (`{word}`)"
        if word in _SYNTAX:
            return f"has `{word}`, which only a shell understands"
        if "$(" in word or "`" in word:
            return f"has `{word[:60]}`, of which only a shell would run a part"
    return ""


def _commands(path: yaml.Path, step: Step) -> Iterator[tuple[yaml.Path, tuple[str, ...]]]:
    """Every command line of a step and where it is."""
    from playbooks.response import Command

    for place, command in (
        (("command",), step.command),
        (("wait", "check"), step.wait.check if step.wait else None),
    ):
        if isinstance(command, Command):
            yield (*path, *place, "argv"), command.argv
            if command.dry_run:
                yield (*path, *place, "dry_run"), command.dry_run


def _destroys(command: Command) -> str:
    return next((word for word in command.argv if word.lower() in _GONE), "")


def _placeholders(text: str) -> list[str]:
    from playbooks.response import PLACEHOLDER

    return PLACEHOLDER.findall(text)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return bool(re.fullmatch(r"\S+", text) and parts.scheme in ("http", "https") and parts.hostname)


def _scalars(value: Any, path: yaml.Path = ()) -> Iterator[tuple[yaml.Path, Any]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _scalars(each, (*path, key))
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from _scalars(each, (*path, at))
    else:
        yield path, value


def _unasked(tree: yaml.Tree) -> Iterator[tuple[int, str, str]]:
    """Placeholders of steps that `values` does not ask for: line, step, name."""
    values = tree.at(("values",))
    asked = (
        {each.get("name") for each in values if isinstance(each, dict)} if isinstance(values, list) else set()
    )
    for path, text in _scalars(tree.value):
        if (
            len(path) > 3
            and path[1] == "steps"
            and path[3] not in ("help", "decision")
            and isinstance(text, str)
        ):
            step = tree.at((*path[:3], "id")) or path[3]  # a step of the short form goes by its verb
            for name in _placeholders(text):
                if name not in asked:
                    yield tree.line(path), str(step), name


def _names(path: Path) -> Iterator[str]:
    try:
        for file in files(path):
            yield file.name
    except PlaybookTrouble:
        return


def _file(entry: Entry) -> str:
    return (
        str(entry.path)
        if entry.own
        else f"{entry.kind.name}/{entry.path.name}"
        if not entry.kind.parts
        else entry.path.name
    )


def _start(text: str) -> str:
    return text[:1].upper() + text[1:]
