"""What the queues have in common: reading a list of held actions that somebody else wrote."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from console.containment.actuator import Declined
from console.containment.actuators.canary import Headers
from console.containment.actuators.client import field
from console.containment.actuators.options import Key, Statuses, Text, Url
from console.events import HeldAction

MOST = 5000
"""Actions of one list that are read."""
_NAME, _TEXT = 128, 512


class Listing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request that changes nothing, and answers with a list of held actions."""

    method: Literal["GET", "POST"] = "GET"
    url: Url
    headers: Headers = {}
    body: Text = ""
    expect: Statuses = (200,)


class Fields(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where things stand in the answer, as paths of dots. `items`: the list; empty = the answer is the list.

    `what`: the fields that say what an action would do; they are shown one after the other.
    """

    items: Key | None = None
    id: Key = "id"
    what: Annotated[tuple[Key, ...], Meta(min_length=1, max_length=10)] = ("what",)
    agent: Key = "agent"
    tool: Key = "tool"
    since: Key = "since"


def held(answer: Any, fields: Fields) -> list[HeldAction]:
    """Return the actions of an answer.

    Raises:
        Declined: it is no such list, or one of its actions has no id that could be named to decide it.
    """
    items = field(answer, fields.items) if fields.items else answer
    if not isinstance(items, list):
        raise Declined(f"The answer has no list{f' at {fields.items}' if fields.items else ''}.")
    actions: dict[str, HeldAction] = {}
    for each in items[:MOST]:
        raw = field(each, fields.id)
        name = f"{raw}" if isinstance(raw, int | str) else ""
        if not name or len(name) > _NAME or not name.isprintable():
            raise Declined(f"One of {len(items):,} held actions has no usable {fields.id}.")
        actions[name] = HeldAction(
            name,
            " ".join(filter(None, (_text(field(each, part)) for part in fields.what)))[:_TEXT],
            _text(field(each, fields.agent))[:_NAME],
            _text(field(each, fields.tool))[:_NAME],
            _text(field(each, fields.since))[:32],
        )
    return list(actions.values())


def _text(value: object) -> str:
    """A value for people, in one line."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    return " ".join(text[: 4 * _TEXT].encode("utf-8", "replace").decode().split())
