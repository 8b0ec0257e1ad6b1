"""`warroom playbook`: read, print, begin and check the documents of the runbook."""

from __future__ import annotations

import datetime as dt
import re
from argparse import Namespace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from console.cli import exits
from console.cli.context import Context
from console.cli.trouble import complain
from console.refusal import Refused
from data.clock import SystemClock, iso

if TYPE_CHECKING:
    from playbooks.library import Entry, Library
    from playbooks.response import Playbook
    from playbooks.schema import Document


def run(options: Namespace) -> int:
    """`warroom playbook`."""
    context = Context(options)
    if options.action == "lint":
        return _lint(context)
    if options.action == "list":
        return _list(context)
    if len(options.names) != 1:
        raise Refused(f"`playbook {options.action}` takes one id.", "`warroom playbook list` shows them.")
    if options.action == "new":
        return _new(context, options.names[0])
    entry = _entry(context, options.names[0])
    return _print(context, entry) if options.action == "print" else _show(context, entry)


def _library() -> Library:
    from playbooks.library import in_force

    return in_force()


def _kind(name: str) -> str:
    from playbooks.library import KINDS

    if name and name not in KINDS:
        raise Refused(f"There is no kind `{name}`.", f"Kinds: {', '.join(KINDS)}.")
    return name


def _entry(context: Context, id: str) -> Entry:
    """The one document that is meant."""
    from playbooks.library import KINDS

    library = _library()
    found = library.find(id, _kind(context.options.kind))
    if not found:
        for kind in KINDS:
            for problem in library.problems_of(kind, id.rpartition("/")[2]):
                raise Refused(f"`{id}` is broken and not in force. {problem}.", problem.fix)
        ids = [entry.document.id for kind in KINDS for entry in library.entries(kind)]
        near = get_close_matches(id.rpartition("/")[2], ids, n=1)
        hint = f"Did you mean `{near[0]}`?" if near else "`warroom playbook list` shows all."
        raise Refused(f"There is no document `{id}`.", hint)
    if len(found) > 1:
        names = ", ".join(f"{entry.kind.name}/{entry.document.id}" for entry in found)
        raise Refused(f"Several documents are called `{id}`.", f"Name one of them: {names}.")
    return found[0]


def _today() -> dt.date:
    return dt.date.fromisoformat(iso(SystemClock().now(), 0)[:10])


def _default() -> Playbook | None:
    from playbooks.load import DEFAULT
    from playbooks.response import Playbook

    try:
        return _library().named(Playbook, DEFAULT)
    except KeyError:
        return None


def _list(context: Context) -> int:
    from playbooks.library import KINDS

    library, today = _library(), _today()
    if context.options.names:
        raise Refused("`playbook list` takes no id.", "--kind names a kind; `playbook show ID` shows one.")
    kind = _kind(context.options.kind)
    for each in (kind,) if kind else KINDS:
        for entry in library.entries(each):
            document = entry.document
            due = document.review_due()
            late = ", overdue" if due < today and document.status != "retired" else ""
            review = f"review by {due}{late}" if document.reviewed else "never reviewed"
            broken = library.problems_of(each, document.id)
            context.say(
                f"{each + '/' + document.id:<36} {document.version:>5}  {_origin(entry):<18} "
                f"{review}  {document.title}" + ("  (your version is broken)" if broken else ""),
                {
                    "kind": each,
                    "id": document.id,
                    "title": document.title,
                    "version": document.version,
                    "owner": document.owner,
                    "status": document.status,
                    "review_due": due.isoformat() if document.reviewed else "",
                    "overdue": bool(late),
                    "origin": _origin(entry),
                    "file": str(entry.path),
                    "problems": [str(problem) for problem in broken],
                },
            )
    _complain_of_broken(library)
    return exits.OK


def _origin(entry: Entry) -> str:
    if not entry.own:
        return "shipped"
    return "replaces shipped" if entry.replaces is not None else "yours"


def _complain_of_broken(library: Library) -> None:
    count = len({problem.file for problem in library.problems})
    if count:
        files = "1 of your documents is" if count == 1 else f"{count} of your documents are"
        complain(f"{files} broken and not in force; `warroom playbook lint` says why.")


def _notes(context: Context, entry: Entry) -> list[str]:
    """What whoever reads a document must know about it first."""
    from playbooks.lint import lint

    library, notes = _library(), []
    if entry.own:
        notes.append(f"{_origin(entry)}: {entry.path}")
    notes += [
        f"your version is broken, this is the shipped one: {problem}"
        for problem in library.problems_of(entry.kind.name, entry.document.id)
    ]
    if entry.own:
        found = lint(library, [entry.path], today=_today(), tripwires=_tripwires())
        errors = [each for each in found if each.level == "error"]
        notes += [f"{each.file}:{each.line}: {each.what}" for each in errors[:3]]
        if len(errors) > 3:
            notes.append(f"{len(errors) - 3} more mistakes; `warroom playbook lint` lists them")
    if entry.document.review_due() < _today() and entry.document.status != "retired":
        due = f"its review was due by {entry.document.review_due()}"
        notes.append(due if entry.document.reviewed else "it names no day of review")
    return notes


def _show(context: Context, entry: Entry) -> int:
    from playbooks.page import whole

    section = context.options.section
    try:
        lines = list(whole(entry, _default(), context.config.playbooks.links, section))
    except KeyError:
        raise Refused(
            f"`{entry.document.id}` has no part `{section}`.", "Without --section all of it is shown."
        ) from None
    notes = _notes(context, entry)
    values = {
        "kind": entry.kind.name,
        "origin": _origin(entry),
        "file": str(entry.path),
        "notes": notes,
        "document": entry.document.model_dump(mode="json"),
    }
    context.say("\n".join([*(f"! {note}" for note in notes), *lines]), values)
    return exits.OK


def _print(context: Context, entry: Entry) -> int:
    from playbooks import load
    from playbooks.page import sheet

    shown: Document | None = None
    if entry.kind.name == "checklists" and entry.document.id == "first-response":
        shown = load.checklist(context.config.profile)
    lines = sheet(entry, _default(), shown)
    notes = [f"! {note}" for note in _notes(context, entry)]
    context.say("\n".join([*notes, *lines]), {"id": entry.document.id, "lines": lines, "notes": notes})
    return exits.OK


def _lint(context: Context) -> int:
    from playbooks.lint import lint

    paths = [Path(name).expanduser() for name in context.options.names]
    counts = {"error": 0, "warning": 0, "note": 0}
    found = lint(
        _library(),
        paths,
        today=_today(),
        tripwires=_tripwires(),
        links=context.config.playbooks.links,
    )
    kind = _kind(context.options.kind)
    for each in found:
        if kind and kind not in (each.kind, ""):
            continue
        counts[each.level] += 1
        context.say(f"{each}" + (f"\n    -> {each.fix}" if each.fix else ""), each._asdict())
    said = [_many(count, level) for level, count in counts.items() if count]
    if not context.options.json:
        context.say(", ".join(said) or "nothing to complain about")
    return exits.FAILED if counts["error"] else exits.OK


def _many(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _tripwires() -> tuple[str, ...]:
    from console.tripwires.rules import RULES

    return RULES


_ID = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")


def _new(context: Context, id: str) -> int:
    """Begin a document of the team: a copy of another, or a playbook whose every text is still to be written."""
    from playbooks.library import KINDS

    if not _ID.fullmatch(id):
        raise Refused(f"`{id}` cannot be an id.", "Use small letters, digits, `-` and `.`, up to 64.")
    options = context.options
    if options.like:
        like = _entry(context, options.like)
        kind = like.kind
        try:
            text = _copied(like.path.read_text(encoding="utf-8-sig"), id, like.document.id)
        except OSError as error:
            raise Refused(
                f"{like.path} cannot be read ({error.strerror}).", "Mend its permissions."
            ) from None
    else:
        kind = KINDS[_kind(options.kind) or "responses"]
        if kind.name != "responses":
            raise Refused(
                f"A document of the kind `{kind.name}` begins with a copy.", "Name one with --like."
            )
        text = _SKELETON.format(id=id, today=_today())
    directory = context.overlays[-1] if context.overlays else context.directory / "playbooks"
    path = directory / (f"{kind.name}.yaml" if kind.parts else f"{kind.name}/{id}.yaml")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise Refused(f"{path} exists.", "Edit it, or choose another id.") from None
    except OSError as error:
        raise Refused(
            f"{path} cannot be written ({error.strerror}).", "Name a directory with --playbooks."
        ) from None
    context.say(
        f"{path}\nFill in what is marked TODO; `warroom playbook lint {path}` lists it.", {"file": str(path)}
    )
    return exits.OK


def _copied(text: str, id: str, like: str) -> str:
    """The text of a document with its front matter begun anew; its comments stay."""
    front = {
        "id": id,
        "owner": "TODO who keeps this document right",
        "version": '"0.1"',
        "last_review": f'"{_today()}"',
        "status": "template",
    }
    if id != like:
        front["title"] = "TODO what it is for"
    for key, value in front.items():
        text, count = re.subn(rf"(?m)^{key}:.*$", f"{key}: {value}", text, count=1)
        if not count:
            text = f"{key}: {value}\n{text}"
    return text


_SKELETON = """\
id: {id}
title: TODO what goes wrong, in a few words
owner: TODO the team that keeps this right
audience: responders and the on-call rotation
corrections: TODO where to report a mistake
version: "0.1"
last_review: "{today}"
review_every_days: 60
status: template
tags: []
references: []
requirements: []

kind: scenario
severity: 2
summary: TODO in one sentence, when this playbook is the right one
# Incident types and triage codes of tags.yaml, action classes of rollback/: `warroom playbook show tags`.
types: []
codes: []
classes: []

# What is filled in before a step runs. A pattern keeps an argument what it is meant to be.
values:
  - {{name: service, ask: Which service?, pattern: "[a-z0-9][a-z0-9-]{{0,62}}", example: checkout}}

triggers:
  - {{text: TODO a sign that somebody sees or a monitor measures, proposes: 2, sources: [OWN-1]}}

# Sections: triage, mitigation, recovery, comms, post. One that is left out is taken over from `default`.
mitigation:
  steps:
    - id: undo-release
      text: TODO what to do, as an order
      role: ops
      command:
        argv: [kubectl, rollout, undo, "deployment/{{service}}"]
        dry_run: [kubectl, rollout, undo, "deployment/{{service}}", --dry-run=server]
      expect: TODO what should happen
      verify: TODO how somebody sees that it did
      freeze_exempt: true
      sources: [OWN-1]
"""
