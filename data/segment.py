r"""Segments: runs of events on their way to other consoles, checkable by themselves.

The first line is a header in canonical JSON, every further line one event: its header, the salt of its body
in hex and the body, with tabs between. Canonical JSON holds neither tabs nor line breaks, so the exact bytes
that were hashed travel as they are. Where a body was erased both fields are empty.

A segment is named by its writer, the numbers of its first and last event, and the SHA-256 of its bytes, so
an object of a remote can never be replaced unseen, and nobody ever needs to replace one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

import msgspec

from data.canonical import MAX_BYTES as MAX_BODY
from data.canonical import NotCanonical, decode, encode
from data.clock import MAX_NS, iso, parse_iso
from data.envelope import (
    MAX_INC,
    SALT_BYTES,
    VERSION,
    BadEntry,
    Entry,
    Sealed,
    case_id,
    check,
    commitment,
    decode_header,
    encode_header,
    event_hash,
)
from data.identity import replica_id, signed_by

MAX_EVENTS = 1000
MAX_BYTES = 64 * 1024 * 1024
MAX_HEADER_BYTES = 256 * 1024

_NAME = re.compile(
    r"([a-z2-7]{26})/([0-9a-f]{32})\.([1-9][0-9]{0,15})/([0-9]{12})-([0-9]{12})-([0-9a-f]{64})\.seg",
    re.ASCII,
)
_HEADER = 1
_HLC = re.compile(r"[0-9a-f]{16}", re.ASCII).fullmatch
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII).fullmatch
CLOCK_QUALITY = re.compile(r"[a-z0-9_.+-]{0,64}", re.ASCII).fullmatch
"""What a header may say of its clock."""


class BadSegment(ValueError):
    """Bytes that are not the segment their name promises; the message says what is wrong."""


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    again: int
    case: str
    count: int
    first: int
    inc: int
    last: int
    public: str
    rep: str
    signature: str
    v: int


@dataclass(frozen=True)
class Parcel:
    """A run of events of one strand, in order, that hold together and are signed at the end.

    Attributes:
        case: Case id.
        rep: Who wrote them, 32 hex digits.
        inc: In which incarnation.
        public: The writer's public key, 32 bytes.
        signature: The writer's signature over the last event's hash, 64 bytes.
        events: At least one. Salt and body are empty where they were erased.
    """

    case: str
    rep: str
    inc: int
    public: bytes
    signature: bytes
    events: Sequence[Sealed]


@dataclass(frozen=True)
class Name:
    """What the name of a segment says."""

    case: str
    rep: str
    inc: int
    first: int
    last: int
    sha256: str

    @classmethod
    def read(cls, text: str) -> Name | None:
        """Read the name of an object; None if it is not that of a segment."""
        found = _NAME.fullmatch(text)
        if found is None:
            return None
        case, rep, inc, first, last, digest = found.groups()
        return cls(case, rep, int(inc), int(first), int(last), digest)


def prefix(case: str, rep: str = "", inc: int = 0) -> str:
    """Where the segments of a case, or of one strand of it, lie."""
    return f"{case}/{rep}.{inc}/" if rep else f"{case}/"


def pack(parcel: Parcel, again: int = 0) -> tuple[str, bytes]:
    """Return the name and the bytes of a segment; the same parcel always gives the same.

    Args:
        parcel: What it holds.
        again: Another number gives another name, for when a remote has something else under the first.
    """
    first, last = parcel.events[0].seq, parcel.events[-1].seq
    head = _Head(
        again=again,
        case=parcel.case,
        count=len(parcel.events),
        first=first,
        inc=parcel.inc,
        last=last,
        public=parcel.public.hex(),
        rep=parcel.rep,
        signature=parcel.signature.hex(),
        v=_HEADER,
    )
    lines = [encode(msgspec.to_builtins(head))]
    lines += [b"\t".join((each.head, each.salt.hex().encode(), each.body)) for each in parcel.events]
    raw = b"\n".join(lines) + b"\n"
    name = (
        f"{prefix(parcel.case, parcel.rep, parcel.inc)}{first:012d}-{last:012d}-{sha256(raw).hexdigest()}.seg"
    )
    return name, raw


def unpack(name: str, raw: bytes) -> Parcel:
    """Read a segment and check everything about it that can be checked without the rest of the case.

    Args:
        name: The object's name.
        raw: Its bytes, from anywhere.

    Raises:
        BadSegment: If anything is not as the name, the header, the hashes or the signature say.
    """
    named = Name.read(name)
    if named is None:
        raise BadSegment("its name is not that of a segment")
    if len(raw) > MAX_BYTES:
        raise BadSegment(f"it has {len(raw)} bytes, more than the {MAX_BYTES} allowed")
    if sha256(raw).hexdigest() != named.sha256:
        raise BadSegment("its bytes are not those that its name was made of")
    lines = raw.split(b"\n", MAX_EVENTS + 2)
    if len(lines) < 3 or lines.pop():
        raise BadSegment("it is cut off, or holds no event")
    head = _head(lines[0], named)
    if head.first < 1:
        raise BadSegment("its events are numbered from 0, and strands begin with 1")
    if len(lines) - 1 != head.count or head.count > MAX_EVENTS or head.last - head.first + 1 != head.count:
        raise BadSegment(f"it holds {len(lines) - 1} events where {head.count} are announced")
    try:
        public, signature = _hex(head.public), _hex(head.signature)
    except ValueError:
        raise BadSegment("its key or signature is not hexadecimal") from None
    if replica_id(public) != head.rep:
        raise BadSegment("its public key is not that of the replica it names")
    events: list[Sealed] = []
    hlc = ""
    for number, line in enumerate(lines[1:], head.first):
        event, hlc = _event(line, head, number, events[-1] if events else None, hlc)
        events.append(event)
    if not signed_by(public, events[-1].hash, signature):
        raise BadSegment("its signature is not one by the replica it names")
    return Parcel(head.case, head.rep, head.inc, public, signature, events)


def _head(line: bytes, named: Name) -> _Head:
    try:
        if len(line) > MAX_HEADER_BYTES:
            raise ValueError("it is too long")
        head = msgspec.json.decode(line, type=_Head)
        if encode(msgspec.to_builtins(head)) != line:
            raise ValueError("it is not in canonical form")
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadSegment(f"its header cannot be read: {error}") from None
    if head.v != _HEADER:
        raise BadSegment(f"it is of format {head.v}, and this program reads {_HEADER}")
    if (head.case, head.rep, head.inc, head.first, head.last) != (
        named.case, named.rep, named.inc, named.first, named.last,
    ):  # fmt: skip
        raise BadSegment("its header contradicts its name")
    return head


def _hex(text: str) -> bytes:
    raw = bytes.fromhex(text)
    if raw.hex() != text:
        raise ValueError("its hexadecimal digits are spelled otherwise")
    return raw


@lru_cache(maxsize=8192)
def _second(text: str) -> int:
    ns = parse_iso(text + "Z")
    if not 0 <= ns <= MAX_NS - 10**9 or iso(ns, 0) != text + "Z":
        raise ValueError("a time is not written as it should be")
    return ns


def _moment(text: str) -> int:
    """Read a time as headers have it, and in no other way: 30 characters, 9 of them after the second."""
    rest = text[20:29]
    if len(text) != 30 or text[19] != "." or text[29] != "Z" or not (rest.isascii() and rest.isdecimal()):
        raise ValueError("a time is not written as it should be")
    return _second(text[:19]) + int(rest)


@lru_cache(maxsize=1024)
def _names(kind: str, actor: str, role: str, clk: str) -> None:
    """Check what is the same in most events of a segment."""
    check(Entry(kind, b"{}", actor, role))
    if not CLOCK_QUALITY(clk):
        raise BadEntry("clock: its quality is no word")


def _event(line: bytes, segment: _Head, number: int, before: Sealed | None, clock: str) -> tuple[Sealed, str]:
    """Read and check an event that follows another, whose reading of the hybrid clock was `clock`; and its own."""
    try:
        head, salt_hex, body = line.split(b"\t", 2)
        header = decode_header(head)
        if len(head) > MAX_HEADER_BYTES or encode_header(header) != head:
            raise ValueError("its header is not in canonical form")
        salt = _hex(salt_hex.decode("ascii"))
        wall = _moment(header.wall)
        at = wall if header.at == header.wall else _moment(header.at)
        if not _HLC(header.hlc):
            raise ValueError("its hybrid clock cannot be read")
        # Nothing else would ever be held against what it says of a body that does not travel with it.
        if not 0 < header.body_len <= MAX_BODY or not (body or _HASH(header.body_h)):
            raise ValueError("what it says of its body cannot be")
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
        raise BadSegment(f"event {number} cannot be read: {error}") from None
    digest = event_hash(head)
    if header.v != VERSION:
        raise BadSegment(f"event {number} is of version {header.v}, and this program reads {VERSION}")
    if (header.rep, header.inc, header.seq) != (segment.rep, segment.inc, number):
        raise BadSegment(f"event {number} belongs elsewhere")
    if (header.case or case_id(digest)) != segment.case or (header.case is None) != (
        number == 1 and header.prev is None and case_id(digest) == segment.case
    ):
        raise BadSegment(f"event {number} belongs to another case")
    if before is not None:
        if header.prev != before.hash.hex() or header.hlc <= clock:
            raise BadSegment(f"event {number} does not follow the one before it")
    # What is stored is pushed on and sealed as it is: another spelling of a hash would stay for good.
    elif (header.prev is None) != (number == 1) or (header.prev is not None and not _HASH(header.prev)):
        raise BadSegment(f"event {number} does not say what it follows")
    erased = not salt and not body
    vouched = len(salt) == SALT_BYTES and len(body) == header.body_len
    if not erased and not (vouched and commitment(salt, body) == header.body_h):
        raise BadSegment(f"the body of event {number} is not the one that its header vouches for")
    if not 1 <= header.inc <= MAX_INC:
        raise BadSegment(f"event {number} has an incarnation that no console has")
    try:
        _names(header.kind, header.actor, header.role, header.clk)
        if header.refs:
            check(Entry(header.kind, b"{}", header.actor, header.role, at, header.refs))
        if not erased:
            decode(body)
    except (BadEntry, NotCanonical) as error:
        raise BadSegment(f"event {number}: {error}") from None
    return Sealed(number, header.kind, digest, head, salt, body), header.hlc
