"""A reader for the part of YAML that documents need, and nothing that a hostile file could use.

libyaml finds the tokens; the values are built here: mappings with unique text keys, lists, text, whole
numbers, true, false and null. There are no tags, anchors, aliases, dates or objects. Every value keeps its
line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

MAX_BYTES = 1 << 20
MAX_DEPTH = 16
MAX_VALUES = 50_000

_INTEGER = re.compile(r"-?(0|[1-9]\d{0,15})")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}

Path = tuple[str | int, ...]


class BadYaml(ValueError):
    """The text is not a document that can be read.

    Args:
        line: where, counted from 1.
        what: one sentence.
    """

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}")
        self.line = line
        self.what = what


@dataclass(slots=True)
class Tree:
    """A document's value, and the line at which each part of it starts (keyed by its path from the root)."""

    value: Any
    lines: dict[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int:
        """Line of the value at `path`, or of the nearest enclosing one."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path, 1)

    def at(self, path: Path) -> Any:
        """The value at `path`; None where there is nothing."""
        value = self.value
        for key in path:
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError):
                return None
        return value


def read(raw: bytes) -> Tree:
    """Read one document.

    Raises:
        BadYaml: too large, too deep, not UTF-8, not YAML, a duplicate key, or a construct we refuse.
    """
    import yaml

    if len(raw) > MAX_BYTES:
        raise BadYaml(1, f"the document is larger than {MAX_BYTES // 1024} KiB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadYaml(raw[: error.start].count(b"\n") + 1, "the document is not UTF-8 text") from None
    try:
        return _Builder(yaml.parse(text, Loader=yaml.CSafeLoader)).tree()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise BadYaml(mark.line + 1 if mark else 1, f"not YAML: {error.problem or error}") from None
    except yaml.YAMLError as error:
        raise BadYaml(1, f"not YAML: {str(error).splitlines()[0]}") from None


class _Builder:
    """Builds values from parser events, so that what is refused is never built first."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._lines: dict[Path, int] = {}

    def tree(self) -> Tree:
        event = self._next()
        while type(event).__name__ in {"StreamStartEvent", "DocumentStartEvent"}:
            event = self._next()
        if type(event).__name__ == "StreamEndEvent":
            raise BadYaml(1, "the document is empty")
        value = self._value(event, (), 0)
        self._next()
        after = self._next()
        if type(after).__name__ != "StreamEndEvent":
            raise BadYaml(after.start_mark.line + 1, "a file holds one document; a second one starts here")
        return Tree(value, self._lines)

    def _next(self) -> Any:
        return next(self._events)

    def _value(self, event: Any, path: Path, depth: int) -> Any:
        line = event.start_mark.line + 1
        name = type(event).__name__
        if name == "AliasEvent" or event.anchor is not None:
            raise BadYaml(line, "anchors and aliases are not allowed; repeat the text")
        if event.tag not in (None, "!"):
            raise BadYaml(line, "tags are not allowed; quote the text if it starts with `!`")
        if depth > MAX_DEPTH:
            raise BadYaml(line, f"nested deeper than {MAX_DEPTH} levels")
        if len(self._lines) >= MAX_VALUES:
            raise BadYaml(line, f"more than {MAX_VALUES} values")
        self._lines[path] = line
        if name == "ScalarEvent":
            return _scalar(event)
        if name == "SequenceStartEvent":
            items: list[Any] = []
            while type(event := self._next()).__name__ != "SequenceEndEvent":
                items.append(self._value(event, (*path, len(items)), depth + 1))
            return items
        mapping: dict[str, Any] = {}
        while type(event := self._next()).__name__ != "MappingEndEvent":
            key_line = event.start_mark.line + 1
            if (
                type(event).__name__ != "ScalarEvent"
                or event.anchor is not None
                or event.tag not in (None, "!")
            ):
                raise BadYaml(key_line, "a key is plain text")
            if event.value in mapping:
                raise BadYaml(key_line, f"the key `{event.value[:60]}` appears twice")
            if event.value == "<<":
                raise BadYaml(key_line, "merge keys are not allowed; repeat the text")
            mapping[event.value] = self._value(self._next(), (*path, event.value), depth + 1)
            self._lines[(*path, event.value)] = key_line
        return mapping


def _scalar(event: Any) -> Any:
    text: str = event.value
    if event.style is not None and event.style != "":
        return text
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if _INTEGER.fullmatch(text) else text
