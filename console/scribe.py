r"""What the scribe types: one line in, one timeline entry out.

    !hold the refunds until finance confirms      a decision
    ?planner-3 still has the old key              a hypothesis
    >revoked the egress token                     an action taken
    +status page says identified                  a communication
    \!starts with a bang, \-5m with a time        a plain note
    14:05 first refund seen                       back-dated to the last 14:05 UTC; typed at 14:03 it means this day:
                                                  clocks differ by some minutes
    14:05:20 …   2026-11-20T23:50Z …              to the second; to a date
    -5m …   -90s …   -2h …   -5 min …             back-dated by that much

`@name` mentions a person or a role, `#tag` tags the entry; both stay in the text. Time and sigil may come in
either order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from console.events import NoteWritten, Style, UpdateSent, moment
from console.refusal import Refused
from data.clock import iso, parse_iso

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
LONGEST = 16_384
AHEAD = 300 * SECOND
"""How far ahead of this console's clock a time of day in an entry may be: the scribe reads another clock."""
SIGILS: dict[str, Style] = {"!": "decision", "?": "hypothesis", ">": "action", "+": "comms"}

_AGO = re.compile(
    r"-(\d{1,6}) ?(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)\s+(?=\S)", re.IGNORECASE
)
_DOUBT = re.compile(r"-\d\S*")
_CLOCK = re.compile(r"~?(\d{1,2}):(\d{2})(?::(\d{2}))?Z?\s+(?=\S)")
_DATED = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2}))\s+(?=\S)")
_TAG = re.compile(r"(?<!\S)#([A-Za-z0-9][\w.-]{0,63})")
_MENTION = re.compile(r"(?<!\S)@([A-Za-z0-9][\w.-]{0,63})")
_UNITS = {"s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": DAY}


@dataclass(frozen=True, slots=True)
class Written:
    """A parsed entry. `at`: when it happened; `typed`: when typing began; both ns UTC."""

    note: NoteWritten
    at: int
    typed: int
    doubt: str = ""
    """What may have been meant as a time and is not one; it stays in the text."""

    @property
    def backdated(self) -> bool:
        """Whether the scribe gave another time than that of typing."""
        return self.at != self.typed


def parse(line: str, typed: int, now: int, ahead: int = 0) -> Written:
    """Return what `line`, begun at `typed`, says. `typed`, `now`: ns UTC.

    A time of day is the last one before `now`, or one that is at most `ahead` nanoseconds after it.

    Raises:
        Refused: the line is empty, too long, or its time lies in the future or cannot be.
    """
    text = line.strip()
    literal = text.startswith("\\")
    style, text, sigil = _sigil(text)
    at, text = (typed, text) if literal else _time(text, typed, now, ahead)
    found = None if literal or at != typed else _DOUBT.match(text)
    if not sigil:
        style, text, _ = _sigil(text)
    if not text:
        raise Refused("There is nothing to write yet.", "Type what happened, then Enter.")
    if len(text) > LONGEST:
        raise Refused(
            f"The entry has {len(text):,} characters; the longest is {LONGEST:,}.",
            "Split it, or attach it as a file.",
        )
    note = (UpdateSent if style == "comms" else NoteWritten)(
        text=text,
        style=style,
        tags=tuple(dict.fromkeys(_TAG.findall(text)))[:32],
        mentions=tuple(dict.fromkeys(_MENTION.findall(text)))[:32],
        typed=moment(typed),
    )
    return Written(note, at, typed, found[0][:32] if found else "")


def _sigil(text: str) -> tuple[Style, str, bool]:
    if text[:1] == "\\":
        return "note", text[1:], True
    style = SIGILS.get(text[:1])
    return (style, text[1:].lstrip(), True) if style else ("note", text, False)


def _time(text: str, typed: int, now: int, ahead: int) -> tuple[int, str]:
    """Return the time that `text` begins with (else `typed`) and the rest of it."""
    if found := _AGO.match(text):
        ago = int(found[1]) * _UNITS[found[2][0].lower()]
        if ago > 366 * DAY:
            raise Refused(
                f"{found[0].strip()} is more than a year ago.",
                "Write the full time, as in 2026-11-20T23:50Z.",
            )
        return typed - ago, text[found.end() :]
    if found := _DATED.match(text):
        try:
            at = parse_iso(found[1])
        except ValueError:
            raise Refused(f"{found[1]} is not a time.", "Write it as 2026-11-20T23:50Z.") from None
        if at > now:
            raise Refused(f"{iso(at, 0)} lies in the future.", "An entry says what has happened.")
        return at, text[found.end() :]
    if found := _CLOCK.match(text):
        hours, minutes, seconds = int(found[1]), int(found[2]), int(found[3] or 0)
        if hours > 23 or minutes > 59 or seconds > 59:
            raise Refused(
                f"{found[0].strip()} is not a time of day.", "Write hours and minutes in UTC, as in 14:05."
            )
        at = typed - typed % DAY + (hours * 3600 + minutes * 60 + seconds) * SECOND
        # Just after midnight 23:58 means yesterday, and just before it 00:01 may be by a clock that is ahead.
        if at + DAY <= typed + ahead:
            at += DAY
        elif at > now + ahead:
            at -= DAY
        return at, text[found.end() :]
    return typed, text
