"""The envelope: what is hashed about an event, and how one event holds on to the one before it.

An event has a header and a body. The header carries a salted hash of the body, and the hash of the
header is the event's name in the world: the next header of the same strand repeats it. Body and salt
are stored beside the header, so a body that the law wants gone can go without breaking the chain.
"""

import os
import re
from base64 import b32encode
from functools import lru_cache
from hashlib import sha256

import msgspec

from data.canonical import NotCanonical, decode
from data.clock import MAX_NS, iso, parse_iso

VERSION = 1
DOMAIN = b"warroom event 1\n"
SALT_BYTES = 16
MAX_REFS = 256
MAX_INC = 2**32 - 1
MAX_GROUP = 10_000
MAX_GROUP_BYTES = 64 * 1024 * 1024

_KIND = re.compile(r"[a-z][a-z0-9_.-]{0,63}", re.ASCII)
_HEX64 = re.compile(r"[0-9a-f]{64}", re.ASCII)
# Control characters, line separators and lone surrogates: a name is one line of text.
_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]*")


class BadEntry(ValueError):
    """An entry is outside what the record accepts; the message says which part and why."""


class Ref(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A blob that an event speaks of. Fields stand in canonical order.

    Args:
        media: Its media type, at most 128 characters.
        sha256: 64 hex digits.
        size: Bytes.
    """

    media: str
    sha256: str
    size: int


class Entry(msgspec.Struct, frozen=True):
    """What a caller wants on the record.

    Args:
        kind: Lower-case word(s), 1 to 64 characters of a-z, 0-9, `_`, `.`, `-`.
        body: Canonical JSON bytes, at most 1 MiB.
        actor: Who, 1 to 128 characters without control characters.
        role: In which role, at most 64 characters.
        at: When it happened, nanoseconds UTC; None means now.
        refs: Blobs it speaks of, at most 256.
        key: A name for this entry, at most 200 characters; an entry whose key the log already has is
            not appended again.
    """

    kind: str
    body: bytes
    actor: str
    role: str = ""
    at: int | None = None
    refs: tuple[Ref, ...] = ()
    key: str = ""


class Event(msgspec.Struct, frozen=True, gc=False):
    """An entry on the record.

    Args:
        n: Arrival number in this file, from 1.
        case: Case id, 26 base32 characters.
        rep: Replica that wrote it, 32 hex digits.
        inc: Incarnation of that replica.
        seq: Number in that replica's strand, from 1.
        hlc: Hybrid logical clock, 16 hex digits.
        at: When it happened, nanoseconds UTC.
        wall: When it was written, nanoseconds UTC by the writer's clock.
        actor: Who.
        role: In which role, or "".
        kind: Which kind of event.
        prev: Hash of the event before it in the strand, 64 hex digits, or "".
        hash: Its own hash, 64 hex digits.
        body: Canonical JSON bytes; None if erased.
        refs: Blobs it speaks of.
        clk: Quality of the writer's clock.
    """

    n: int
    case: str
    rep: str
    inc: int
    seq: int
    hlc: str
    at: int
    wall: int
    actor: str
    role: str
    kind: str
    prev: str
    hash: str
    body: bytes | None
    refs: tuple[Ref, ...] = ()
    clk: str = ""

    @property
    def order(self) -> tuple[str, str, int, int, str]:
        """Where it stands in the total order of all events of a case."""
        return (self.hlc, self.rep, self.inc, self.seq, self.hash)

    @property
    def short(self) -> str:
        """Eight base32 characters of the hash, for people."""
        return short(self.hash)


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What is hashed. The fields stand in canonical order, so encoding it gives canonical bytes."""

    actor: str
    at: str
    body_h: str
    body_len: int
    case: str | None
    clk: str
    hlc: str
    inc: int
    kind: str
    prev: str | None
    refs: tuple[Ref, ...]
    rep: str
    role: str
    seq: int
    v: int
    wall: str


class Sealed(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An entry that has become an event, as it is kept: the bytes of its header, their hash (32 bytes), salt, body.

    Number and kind stand in the header too. Salt and body are empty where they were erased.
    """

    seq: int
    kind: str
    hash: bytes
    head: bytes
    salt: bytes
    body: bytes

    @property
    def header(self) -> Header:
        """The header, read anew each time: most of those who pass events on look into few of them."""
        return decode_header(self.head)

    def event(self, n: int) -> "Event":
        """The event as it arrives under number `n`."""
        return to_event(n, self.header, self.hash, self.body)


encode_header = msgspec.json.Encoder().encode
decode_header = msgspec.json.Decoder(Header, strict=True).decode


def base32(digest: bytes, length: int) -> str:
    """The first characters of a digest in lower-case base32."""
    return b32encode(digest).decode()[:length].lower()


def short(hash_hex: str) -> str:
    """Eight base32 characters of a hash, for people to read out."""
    return base32(bytes.fromhex(hash_hex[:10]), 8)


def case_id(founding_hash: bytes) -> str:
    """The id of a case: 26 base32 characters (130 bits) of its founding event's hash."""
    return base32(founding_hash, 26)


@lru_cache(maxsize=64)
def _written(ns: int) -> str:
    """A time as headers have it; the events of one batch share theirs."""
    return iso(ns, 9)


_read = lru_cache(maxsize=64)(parse_iso)
"""The same the other way."""


def commitment(salt: bytes, body: bytes) -> str:
    """The salted hash of a body that its header carries, 64 hex digits."""
    return sha256(salt + body).hexdigest()


def event_hash(head: bytes) -> bytes:
    """The hash of an event, 32 bytes."""
    return sha256(DOMAIN + head).digest()


def check(entry: Entry) -> None:
    """Refuse an entry that must not reach the record.

    Raises:
        BadEntry: With the part and the reason.
    """
    if not _KIND.fullmatch(entry.kind):
        raise BadEntry(f"kind {entry.kind[:80]!r}: 1 to 64 characters of a-z, 0-9, '_', '.', '-' are allowed")
    _name("actor", entry.actor, 1, 128)
    _name("role", entry.role, 0, 64)
    _name("key", entry.key, 0, 200)
    if entry.at is not None and not 0 <= entry.at <= MAX_NS:
        raise BadEntry("at: the time lies outside the years 1970 to 2262")
    if len(entry.refs) > MAX_REFS:
        raise BadEntry(f"refs: {len(entry.refs)} are more than the {MAX_REFS} allowed")
    for ref in entry.refs:
        if not _HEX64.fullmatch(ref.sha256) or not 0 <= ref.size < 2**53:
            raise BadEntry("refs: a blob is named by 64 lower-case hex digits and its size in bytes")
        _name("media type", ref.media, 0, 128)
    try:
        decode(entry.body)
    except NotCanonical as error:
        raise BadEntry(f"body: {error}") from None


def check_group(entries: tuple[Entry, ...]) -> None:
    """Refuse a group that must not reach the record.

    Raises:
        BadEntry: If it is empty, too large, or one of the entries is bad.
    """
    if not 0 < len(entries) <= MAX_GROUP:
        raise BadEntry(f"a group has 1 to {MAX_GROUP} entries, not {len(entries)}")
    if sum(len(entry.body) for entry in entries) > MAX_GROUP_BYTES:
        raise BadEntry(f"a group has at most {MAX_GROUP_BYTES} bytes of bodies")
    for entry in entries:
        check(entry)


def _name(what: str, text: str, least: int, most: int) -> None:
    if not least <= len(text) <= most:
        raise BadEntry(f"{what}: {least} to {most} characters are allowed, this has {len(text)}")
    if not _NAME.fullmatch(text):
        raise BadEntry(f"{what}: control characters and line breaks are not allowed")


def seal(
    entry: Entry,
    *,
    n: int = 1,
    case: str | None,
    rep: str,
    inc: int,
    seq: int,
    hlc: str,
    wall: int,
    clk: str,
    prev: bytes | None,
) -> tuple[Sealed, Event]:
    """Turn a checked entry into an event at the end of a strand.

    Args:
        entry: Already checked.
        n: Its arrival number.
        case: Case id; None in the founding event, whose hash makes the id.
        rep: Replica, 32 hex digits.
        inc: Incarnation.
        seq: Its number in the strand.
        hlc: A reading of the hybrid clock.
        wall: The writer's time, nanoseconds UTC.
        clk: Quality of the writer's clock.
        prev: Hash of the strand's last event, 32 bytes; None in the first.
    """
    salt = os.urandom(SALT_BYTES)
    at = wall if entry.at is None else entry.at
    header = Header(
        actor=entry.actor,
        at=_written(at),
        body_h=commitment(salt, entry.body),
        body_len=len(entry.body),
        case=case,
        clk=clk,
        hlc=hlc,
        inc=inc,
        kind=entry.kind,
        prev=None if prev is None else prev.hex(),
        refs=entry.refs,
        rep=rep,
        role=entry.role,
        seq=seq,
        v=VERSION,
        wall=_written(wall),
    )
    head = encode_header(header)
    sealed = Sealed(seq, entry.kind, event_hash(head), head, salt, entry.body)
    return sealed, _event(n, header, sealed.hash, entry.body, at, wall)


def to_event(n: int, header: Header, digest: bytes, body: bytes | None) -> Event:
    """Build the event that a stored row stands for.

    Raises:
        ValueError: If its times are not times.
    """
    return _event(n, header, digest, body, _read(header.at), _read(header.wall))


def _event(n: int, header: Header, digest: bytes, body: bytes | None, at: int, wall: int) -> Event:
    return Event(
        n=n,
        case=header.case or case_id(digest),
        rep=header.rep,
        inc=header.inc,
        seq=header.seq,
        hlc=header.hlc,
        at=at,
        wall=wall,
        actor=header.actor,
        role=header.role,
        kind=header.kind,
        prev=header.prev or "",
        hash=digest.hex(),
        body=body,
        refs=header.refs,
        clk=header.clk,
    )
