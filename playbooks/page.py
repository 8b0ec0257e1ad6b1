"""A document as plain lines that are also Markdown: for a screen, and on one sheet for paper."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import TYPE_CHECKING, Any, cast

from playbooks import duration
from playbooks.load import DEFAULT

if TYPE_CHECKING:
    from playbooks.library import Entry
    from playbooks.response import Playbook, Step
    from playbooks.schema import Checklist, Document

WIDTH = 96
"""Characters of a line, as many as fit on a sheet of A4 or Letter in a legible size."""
LINES = 66
"""Lines of one sheet."""
_FRONT = {"id", "title", "owner", "audience", "corrections", "version", "last_review", "review_every_days"}
_FRONT |= {"status", "tags", "references", "requirements"}


def whole(
    entry: Entry, default: Playbook | None, links: Mapping[str, str], section: str = ""
) -> Iterator[str]:
    """Everything that a document says.

    Args:
        entry: the document.
        default: the playbook from which others take over the sections that they leave empty.
        links: where the documents of the organisation are, by name.
        section: only this part of it.

    Raises:
        KeyError: the document has no such part.
    """
    document = entry.document
    if not section:
        yield from head(document)
        yield f"audience {document.audience}; corrections: {document.corrections}"
        if document.references:
            yield ""
            yield "See also:"
            yield from (f"- {reference(text, links)}" for text in document.references)
    if entry.kind.name == "responses":
        yield from _playbook(cast("Playbook", document), default, section, detail=3)
    elif entry.kind.name == "checklists" and section in ("", "items"):
        yield from _checklist(cast("Checklist", document), detail=3)
    else:
        values = document.model_dump(mode="json", exclude=_FRONT, exclude_defaults=True)
        if section and section not in values:
            raise KeyError(section)
        for name, value in values.items():
            if section in ("", name):
                yield from ["", f"## {_title(name)}", ""]
                yield from _value(value, 0)


def sheet(entry: Entry, default: Playbook | None, shown: Document | None = None) -> list[str]:
    """A document on one page: of its steps as much as there is room for, and of each at least what to do.

    Args:
        entry: the document.
        default: as in `whole`.
        shown: the document with only the parts that are wanted.
    """
    document = shown or entry.document
    lines: list[str] = []
    for detail in (2, 1, 0):
        lines = list(head(document))
        if entry.kind.name == "responses":
            lines += _playbook(cast("Playbook", document), default, "", detail)
        elif entry.kind.name == "checklists":
            lines += _checklist(cast("Checklist", document), detail)
        else:
            return list(whole(entry, default, {}))
        if len(lines) <= LINES:
            break
    return lines


def head(document: Document) -> Iterator[str]:
    """Title, age and owner: whoever holds a sheet in their hands must see whether it is still good."""
    yield f"# {document.title}"
    yield ""
    yield (
        f"{document.id} {document.version}, {document.status}; owner {document.owner}; "
        + (
            f"reviewed {document.last_review}, next by {document.review_due()}"
            if document.reviewed
            else "NEVER REVIEWED"
        )
    )


def reference(text: str, links: Mapping[str, str]) -> str:
    """A reference as it is shown; one that leads nowhere says so."""
    if text.startswith("org:"):
        return f"{text[4:]}: {links.get(text[4:]) or 'missing; playbooks.links says where it is'}"
    return text


def _playbook(playbook: Playbook, default: Playbook | None, section: str, detail: int) -> Iterator[str]:
    whole = playbook.completed(default) if default else playbook
    names = [name for name, _ in playbook.sections()]
    if section not in ("", "triggers", "values", *names):
        raise KeyError(section)
    if not section:
        yield ""
        yield from _wrapped(
            f"SEV-{playbook.severity}{', led by security' if playbook.security_led else ''}. {playbook.summary}",
            "",
        )
    if playbook.triggers and section in ("", "triggers"):
        yield from ["", "## Triggers", ""]
        for trigger in playbook.triggers:
            yield from _wrapped(f"- {trigger.text} -> SEV-{trigger.proposes}", "  ")
    if section == "values" or (not section and detail == 3):
        yield from ["", "## Values", ""]
        for value in whole.values:
            known = f", known from the {value.known}" if value.known else ""
            example = f", such as {value.example}" if value.example else ""
            yield from _wrapped(f"- {{{value.name}}}: {value.ask}{example}{known}", "  ")
    for (name, own), (_, content) in zip(playbook.sections(), whole.sections(), strict=True):
        if section not in ("", name) or not content.steps:
            continue
        taken = not own.steps
        yield from ["", f"## {_title(name)}{f' (from {DEFAULT})' if taken else ''}"]
        if detail == 3:
            yield ""
        if taken and detail == 0:
            yield f"As on the sheet `{DEFAULT}`, {len(content.steps)} steps."
            continue
        if content.note and detail > 1:
            yield from _wrapped(content.note, "")
            yield ""
        for number, step in enumerate(content.steps, 1):
            yield from _step(number, step, detail)


def _step(number: int, step: Step, detail: int) -> Iterator[str]:
    marks = [step.role]
    if step.approval:
        at = ", ".join(f"SEV-{severity}" for severity in step.approval)
        marks.append(f"approval{f' at {at}' if detail else ''} by {' or '.join(step.approvers)}")
    if step.destroys_evidence:
        marks.append("destroys evidence" + (f": first `{step.snapshot}`" if step.snapshot else ""))
    if step.freeze_exempt and detail:
        marks.append("allowed in the freeze")
    if step.automatic and detail:
        marks.append(f"may run by itself on {step.reach}")
    yield from _wrapped(f"[ ] {number}. {step.text} ({'; '.join(marks)})", "       ")
    if step.command:
        yield f"       $ {shlex.join(step.command.argv)}"
        if detail == 3 and step.command.dry_run:
            yield f"       dry run: $ {shlex.join(step.command.dry_run)}"
    if step.http:
        yield f"       {step.http.method} {step.http.url}"
        if step.http.body and detail > 1:
            yield f"       {step.http.body.strip()}"
    if step.action and detail > 0:
        yield f"       console: {step.action.verb} {' '.join(f'{k}={v}' for k, v in step.action.args.items())}".rstrip()
    if step.decision:
        yield from _wrapped(step.decision.question, "       ", "       ")
        for option in step.decision.options:
            yield from _wrapped(f"- {option.text}", "         ", "       ")
    if step.wait:
        least = f", for {duration.say(step.wait.least * duration.SECOND)} at least" if step.wait.least else ""
        yield from _wrapped(f"until {step.wait.until}{least}", "       ", "       ")
    for name in ("expect", "verify") if detail > 2 else ("verify",) if detail > 1 else ():
        if getattr(step, name):
            yield from _wrapped(f"{name}: {getattr(step, name)}", "       ", "       ")
    if detail == 3:
        if step.help:
            yield from _wrapped(step.help, "       ", "       ")
        yield f"       `{step.id}`, for {', '.join(step.sources)}"


def _checklist(checklist: Checklist, detail: int) -> Iterator[str]:
    due: int | None = -1
    for item in checklist.items:
        if item.due != due:
            due = item.due
            when = f"Within {duration.say(due * duration.SECOND)}" if due else "Before the incident is closed"
            since = " of confirmed harm" if item.since == "harm_confirmed" else ""
            yield from ["", f"## {when}{since}", ""]
        evidence = "; keep the evidence" if item.evidence else ""
        yield from _wrapped(f"[ ] {item.text} ({item.role}{evidence})  ____:____", "    ")
        if item.help and detail > 1:
            yield from _wrapped(item.help, "    ", "    ")
        if detail == 3:
            yield f"    `{item.id}`, for {', '.join(item.sources)}"


def _value(value: Any, depth: int) -> Iterator[str]:
    """Any other content as an outline."""
    blank = "  " * depth
    if isinstance(value, list):
        for each in value:
            if isinstance(each, dict):
                name = next(
                    (
                        str(each[key])
                        for key in ("title", "text", "ask", "name", "item", "id", "verb")
                        if key in each
                    ),
                    "",
                )
                yield from _wrapped(f"{blank}- {name}", f"{blank}  ")
                yield from _value({k: v for k, v in each.items() if v != name}, depth + 1)
            else:
                yield from _wrapped(f"{blank}- {each}", f"{blank}  ")
    elif isinstance(value, dict):
        for key, each in value.items():
            if isinstance(each, list) and not any(isinstance(part, dict | list) for part in each):
                yield from _wrapped(f"{blank}{key}: {', '.join(map(str, each))}", f"{blank}  ")
            elif isinstance(each, dict | list):
                yield f"{blank}{key}:"
                yield from _value(each, depth + 1)
            else:
                yield from _wrapped(f"{blank}{key}: {each}", f"{blank}  ")
    else:
        yield from _wrapped(f"{blank}{value}", blank)


def _wrapped(text: str, later: str, first: str = "") -> list[str]:
    """Lines of `text`; nothing that has to be copied is broken."""
    return wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=later,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [""]


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()
