"""Tags: the axes on which an incident is sorted, and what speaks for a tag. The program proposes, people confirm.

The axes are independent of each other, and an incident may have several tags on each (X-24).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

from console.refusal import Refused

if TYPE_CHECKING:
    from console.incident import Incident
    from playbooks.guidance import Tag
    from playbooks.response import Playbook

PLAYBOOK, CLASS, TYPE, CODE = "playbook", "class", "type", "code"
"""Axes of our own. The first two have documents as their lists."""
_WORD = re.compile(r"[^\W\d_]{4,}")
_COMMON = re.compile(
    "about|after|again|agents?|already|also|before|been|calls?|came|comes|could|data|does|done|down|each|every|from|given|goes"
    "|have|hits|incident|into|less|like|made|model|more|most|much|never|none|nobody|once|only|other|outside|over|path|server"
    "|some|something|such|system|tasks?|than|that|their|them|then|there|these|they|thing|this|tools?|under|unknown"
    "|wants|wave|were|what|when|where|which|while|with|without|work|wrong|wrongly"
)
"""Words that say nothing about the kind of an incident."""


class Proposed(NamedTuple):
    """A tag that something speaks for, and what."""

    axis: str
    tag: str
    title: str
    reason: str


def axes() -> dict[str, dict[str, str]]:
    """Return every axis with its tags and their titles."""
    from playbooks import load
    from playbooks.guidance import Tags

    found = {axis.id: {tag.id: tag.title for tag in axis.tags} for axis in load.only(Tags).axes}
    books = {book.id: book.title for book in load.playbooks() if book.kind in ("scenario", "path")}
    classes = {each.id: each.name for each in load.rollback_classes()}
    return {
        TYPE: found.pop(TYPE, {}),
        CODE: found.pop(CODE, {}),
        PLAYBOOK: books,
        CLASS: classes,
        **found,
    }


def checked(axis: str, tag: str) -> tuple[str, str]:
    """Return an axis and a tag as they are called; without an axis, the one that has the tag.

    Raises:
        Refused: there is no such axis or tag, or several axes have it.
    """
    known, tag = axes(), tag.strip().lower()
    if axis and axis not in known:
        raise Refused(f"There is no axis {axis}.", f"Axes: {', '.join(known)}.")
    fits = [name for name, tags in known.items() if tag in tags and axis in ("", name)]
    if len(fits) == 1:
        return fits[0], tag
    if fits:
        raise Refused(f"{tag} is a tag of {' and of '.join(fits)}.", f"Name the axis: `{fits[0]}:{tag}`.")
    near = get_close_matches(tag, [each for name in known if axis in ("", name) for each in known[name]], n=1)
    hint = f"Did you mean {near[0]}?" if near else "`warroom tag --list` shows all."
    raise Refused(f"There is no tag {tag}{f' on axis {axis}' if axis else ''}.", hint)


def proposals(incident: Incident) -> list[Proposed]:
    """Return the tags that the alerts, the open playbooks or the words of the incident speak for.

    What it has already is not proposed again.
    """
    has = incident.triage.tags
    found: dict[tuple[str, str], Proposed] = {}
    for each in _proposals(incident):
        if each.tag not in has.get(each.axis, ()):
            found.setdefault((each.axis, each.tag), each)
    order = (TYPE, CODE, PLAYBOOK, CLASS)
    return sorted(found.values(), key=lambda each: order.index(each.axis))


def _proposals(incident: Incident) -> Iterator[Proposed]:
    from playbooks import load
    from playbooks.guidance import Tags

    axes = {axis.id: axis.tags for axis in load.only(Tags).axes}
    books = [book for book in load.playbooks() if book.kind != "default"]
    rules = incident.triage.tripwires
    for axis in (TYPE, CODE):
        for tag in axes.get(axis, ()):
            if fired := [rule for rule in tag.tripwires if rule in rules]:
                yield Proposed(axis, tag.id, tag.title, f"tripwire {' and '.join(fired)} fired")
    for book in books:
        fired = list(dict.fromkeys(each.tripwire for each in book.triggers if each.tripwire in rules))
        play = incident.plays.opened.get(book.id)
        if play is not None and play.open:
            yield from _of_book(book, axes, f"playbook {book.id} is open")
        elif fired:
            yield from _of_book(book, {}, f"tripwire {' and '.join(fired)} is one of its triggers")
    for axis, texts in _described(axes, books):
        for name, title, words in _said(incident, texts):
            yield Proposed(axis, name, title, f"the incident says {', '.join(words)}")


def _of_book(book: Playbook, axes: Mapping[str, tuple[Tag, ...]], why: str) -> Iterator[Proposed]:
    if book.kind in ("scenario", "path"):
        yield Proposed(PLAYBOOK, book.id, book.title, why)
    for axis, tags in ((TYPE, book.types), (CODE, book.codes)):
        titles = {tag.id: tag.title for tag in axes.get(axis, ())}
        for tag in tags:
            if tag in titles:
                yield Proposed(axis, tag, titles[tag], why)
    if axes:
        for tag in book.classes:
            yield Proposed(CLASS, tag, tag, why)


Texts = dict[str, tuple[str, str]]
"""Tag to its title and everything that describes it."""


def _described(axes: Mapping[str, tuple[Tag, ...]], books: Iterable[Playbook]) -> Iterator[tuple[str, Texts]]:
    from playbooks import load

    for axis in (TYPE, CODE):
        yield axis, {tag.id: (tag.title, " ".join((tag.title, *tag.signs))) for tag in axes.get(axis, ())}
    yield PLAYBOOK, {book.id: (book.title, book.title) for book in books if book.kind in ("scenario", "path")}
    yield CLASS, {each.id: (each.name, each.name) for each in load.rollback_classes()}


def _said(incident: Incident, texts: Texts) -> Iterator[tuple[str, str, list[str]]]:
    """The tags of which the incident uses two words, or one of the title that no other tag of the axis has."""
    facts = incident.triage.forms.values()
    told = [incident.title, incident.reason, incident.scope, incident.impact]
    told += [answer for form in facts for answer in form.answers.values()]
    said = {_stem(word): word for word in _words(" ".join(told))}
    described = {tag: {_stem(word) for word in _words(text)} for tag, (_, text) in texts.items()}
    often = Counter(stem for stems in described.values() for stem in stems)
    for tag, stems in described.items():
        shared = sorted(stems & said.keys())
        own = {_stem(word) for word in _words(texts[tag][0]) if often[_stem(word)] == 1}
        if len(shared) > 1 or own & said.keys():
            yield tag, texts[tag][0], [said[stem] for stem in shared]


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(text.lower()) if not _COMMON.fullmatch(word)]


def _stem(word: str) -> str:
    """`refunds` and `refund`, `leaked` and `leaks` are one word."""
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word.removesuffix(ending).rstrip("e")
    return word.rstrip("e")
