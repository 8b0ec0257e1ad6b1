"""Canonical bytes: RFC 8785 cut down until a fast encoder produces exactly that.

Without floats, with whole numbers within 2^53-1, ASCII keys and no lone surrogates, orjson's sorted
output is the JCS form. The exact bytes are stored and hashed; only this door compares encodings.
"""

from collections.abc import Sequence
from typing import Any, NoReturn

import msgspec
import orjson

MAX_DEPTH = 32
MAX_BYTES = 1024 * 1024
MAX_INT = 2**53 - 1

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER


class NotCanonical(ValueError):
    """A value or its bytes are outside the canonical form."""


def _no_float(text: str) -> NoReturn:
    raise NotCanonical(f"the number {text[:40]} is not a whole number; write it as text")


_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=_no_float)


def encode(value: object) -> bytes:
    """Encode a value of dicts, lists, strings, whole numbers, booleans and None.

    Args:
        value: At most 32 levels deep and 1 MiB long when encoded.

    Raises:
        NotCanonical: If it cannot be written in canonical form; the message names the place.
    """
    _check(value, "", 0)
    try:
        raw = orjson.dumps(value, option=_OPTIONS)
    except TypeError as error:
        raise NotCanonical(str(error)) from None
    if len(raw) > MAX_BYTES:
        raise NotCanonical(f"{len(raw)} bytes are more than the {MAX_BYTES} allowed")
    return raw


def decode(raw: bytes) -> Any:
    """Decode canonical bytes and refuse every other spelling of the same value.

    Encoding the result again must give the same bytes, which refuses duplicate keys, white space,
    wrong order, floats and needless escapes in one comparison.

    Args:
        raw: At most 1 MiB.

    Raises:
        NotCanonical: If the bytes are not the canonical form of a value.
    """
    if len(raw) > MAX_BYTES:
        raise NotCanonical(f"{len(raw)} bytes are more than the {MAX_BYTES} allowed")
    try:
        value = _decoder.decode(raw)
        same = orjson.dumps(value, option=_OPTIONS) == raw
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise NotCanonical(str(error)) from None
    if not same:
        raise NotCanonical("these bytes are not the canonical form of what they say")
    # The walk is slow, and ASCII text with few brackets cannot break what is left to check.
    if not raw.isascii() or raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
        _check(value, "", 0)
    return value


def check_all(raws: Sequence[bytes]) -> None:
    """Refuse what `decode` refuses of any of these, in fewer calls.

    Raises:
        NotCanonical: At least one is not the canonical form of a value; `decode` says which, and why.
    """
    try:
        values = [_decoder.decode(raw) for raw in raws]
        # Each is a whole value, so it ends in the one text where it ends in the other: equal together, equal each.
        text = b",".join(raws)
        same = orjson.dumps(values, option=_OPTIONS) == b"[" + text + b"]"
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise NotCanonical(str(error)) from None
    if not same or max(map(len, raws), default=0) > MAX_BYTES:
        raise NotCanonical("one of these is not the canonical form of what it says")
    # See `decode`. Where each has a bracket of its own, those of all together tell about each.
    brackets = text.count(b"{") + text.count(b"[")
    if (
        not text.isascii()
        or not {dict, list}.issuperset(map(type, values))
        or brackets >= len(raws) + MAX_DEPTH
    ):
        for raw, value in zip(raws, values, strict=True):
            if not raw.isascii() or raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
                _check(value, "", 0)


def _check(value: object, where: str, depth: int) -> None:
    if value is None or isinstance(value, (str, bool)):
        return
    if isinstance(value, int):
        if not -MAX_INT <= value <= MAX_INT:
            raise NotCanonical(f"{where or 'the value'}: the number is outside 2^53-1; write it as text")
        return
    if isinstance(value, (dict, list, tuple)) and depth == MAX_DEPTH:
        raise NotCanonical(f"{where[:200]}: more than {MAX_DEPTH} levels deep")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise NotCanonical(f"{where or 'the value'}: the key {str(key)[:40]!r} is not ASCII text")
            _check(item, f"{where}.{key}", depth + 1)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check(item, f"{where}[{index}]", depth + 1)
    else:
        raise NotCanonical(
            f"{where or 'the value'}: {type(value).__name__} has no canonical form; write it as text"
        )
