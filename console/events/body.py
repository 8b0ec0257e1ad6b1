"""What every kind of event is made of: the base, the bounds of its fields, and the way to the log and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from console.refusal import Refused
from data.canonical import NotCanonical, encode
from data.clock import iso, parse_iso
from data.envelope import BadEntry, Entry, Event, Ref, check

LARGEST = 2**53 - 1

Name = Annotated[str, Meta(max_length=128)]
Title = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(max_length=16_384)]
Short = Annotated[str, Meta(max_length=512)]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Replica = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
Moment = Annotated[str, Meta(max_length=32)]
Seconds = Annotated[int, Meta(ge=0, le=10 * 366 * 86_400)]
Severity = Annotated[int, Meta(ge=1, le=5)]
Count = Annotated[int, Meta(ge=0, le=LARGEST)]
Whole = Annotated[int, Meta(ge=-LARGEST, le=LARGEST)]

Mode = Literal["live", "drill"]


class Body(Struct, frozen=True, omit_defaults=True):
    """What an event says. Subclasses are registered by `kind` and never change meaning."""

    kind: ClassVar[str] = ""


KINDS: dict[str, type[Body]] = {}
"""Every kind this version knows."""

B = TypeVar("B", bound=type[Body])


def kind(name: str) -> Callable[[B], B]:
    """Register a body under the kind that its envelopes carry."""

    def register(body: B) -> B:
        if name in KINDS:
            raise ValueError(f"two bodies call themselves {name}")
        body.kind = name
        KINDS[name] = body
        return body

    return register


class Unknown(Struct, frozen=True):
    """An event of a kind, or with a body, that this version cannot read. Kept and shown, never dropped."""

    kind: str
    why: str


_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {}


def read(event: Event) -> Body | Unknown:
    """Return the body of `event`; whatever cannot be read becomes `Unknown`, never an error."""
    known = KINDS.get(event.kind)
    if known is None:
        return Unknown(event.kind, "written by a newer version")
    if event.body is None:
        return Unknown(event.kind, "its text was erased")
    decoder = _DECODERS.get(event.kind)
    if decoder is None:
        decoder = _DECODERS.setdefault(event.kind, msgspec.json.Decoder(known))
    try:
        body: Body = decoder.decode(event.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Unknown(event.kind, f"its body does not fit: {error}"[:500])
    return body


def entry(
    body: Body,
    actor: str,
    *,
    role: str = "",
    at: int | None = None,
    refs: tuple[Ref, ...] = (),
    key: str = "",
) -> Entry:
    """Return `body` as an entry for the log. `at`: nanoseconds UTC, None = now.

    Raises:
        Refused: a field is out of its bounds, or some text is no Unicode; nothing was written.
    """
    plain = msgspec.to_builtins(body)
    try:
        # Structs check on decoding only, and nothing unreadable may reach the log.
        msgspec.convert(plain, type(body))
        made = Entry(kind=body.kind, body=encode(plain), actor=actor, role=role, at=at, refs=refs, key=key)
        check(made)
    except msgspec.ValidationError as error:
        raise Refused(f"A value is out of its bounds: {error}.", "Nothing was written.") from None
    except NotCanonical:
        raise Refused(
            "This text is not valid Unicode and cannot stand on the record.", "Nothing was written."
        ) from None
    except BadEntry as error:
        raise Refused(f"{error}.", "Nothing was written.") from None
    return made


def moment(ns: int) -> str:
    """Return nanoseconds UTC as a `Moment`."""
    return iso(ns, 9)


def instant(text: str) -> int | None:
    """Return a `Moment` as nanoseconds UTC, or None when it is empty or unreadable (it came from outside)."""
    if not text:
        return None
    try:
        return parse_iso(text)
    except ValueError:
        return None


def held(value: int) -> int:
    """Return `value` held within what canonical bytes can carry."""
    return max(-LARGEST, min(LARGEST, value))
