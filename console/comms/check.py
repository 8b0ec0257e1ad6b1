"""Checking: what must not go out as it is, each finding with what to do about it.

A finding that can be waived is waived with a reason, on the record. What cannot: secrets, and what a sender would not take.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from console.comms.draft import clock, supply
from console.evidence.redaction import Redaction
from data.clock import iso

if TYPE_CHECKING:
    from console.comms.state import Message

INSIDE = frozenset({"internal", "channel", "page"})
"""Audiences that are responders; everybody else is outside."""
REPORTS = frozenset({"impact", "symptom", "summary", "feature", "claim"})
"""Facts by which a message reports the failure itself, so that it has to name one."""
REQUEST = 16_000
"""Characters of a message at most, whoever gets it."""

# The beginnings of words by which people name what can be observed to fail.
FAILURES = (
    "abort attack backlog block breach brok bypass charg compromis contamin corrupt crash deadlock delay degrad delet denied deny disclos doubl down duplicat drop empty exhaust egress error exceed "
    "expos exfiltrat fail fraud garbl hang halt| hung incorrect| injection interrupt invent lag| latenc leak loop los[est] "
    "missing mistak mixed misrout offline outage overcharg overload overspen overwr partial refus reject repeat retr "
    "rerout slow poison spend spik stale stall stolen stop stuck throttl timeout timed time[- ]out twice unable unauthori "
    "unapprov unavailab unexpected unintend unreach unregister unrespons without violat wrong| cost"
)
_FAILURE = re.compile(
    r"\b(?:" + "|".join(f"{word[:-1]}\\b" if word[-1] == "|" else word for word in FAILURES.split()) + ")"
    r"|\b[45](?:xx|\d\d)\b|\d ?%",
    re.IGNORECASE,
)
_TIME = re.compile(r"\b(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?\b(?!\s*UTC\b|Z\b|\s*GMT\b|\S*(?:Z|\+00:00)\b)")
_UTC = re.compile(r"\b(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?:\s*UTC\b|Z\b)")
_PLACE = re.compile(r"\{[a-z][a-z0-9_]{0,39}\}")
_GAP = re.compile(r"\[missing: ([a-z][a-z0-9_]{0,39})\]")


class Finding(NamedTuple):
    """Something about a message. `code` is what a waiver names."""

    code: str
    what: str
    fix: str
    waivable: bool = True

    def __str__(self) -> str:
        return f"{self.what} {self.fix}".strip()


def vague_words(text: str, phrases: Iterable[str]) -> list[tuple[str, int]]:
    """Return the phrases that say nothing and stand in `text`, with where each begins; nothing twice.

    Whole words in any case, over line ends as well; of two that overlap the one that begins first, then the longer.
    """
    longest = sorted({phrase for phrase in phrases if phrase.strip()}, key=len, reverse=True)
    if not longest:
        return []
    words = "|".join(r"\s+".join(map(re.escape, phrase.split())) for phrase in longest)
    found = re.finditer(rf"(?<![\w-])(?:{words})(?![\w-])", text, re.IGNORECASE)
    return [(" ".join(each[0].lower().split()), each.start()) for each in found]


def check(
    message: Message, now: int, vague: Sequence[str] = (), extra: tuple[str, ...] = ()
) -> list[Finding]:
    """Return everything that is wrong with a message, waived or not, the gravest first.

    Args:
        message: as it is now.
        now: ns UTC.
        vague: phrases that say nothing.
        extra: further text to treat as secret, as the configuration lists it.
    """
    if message.template == PAGE:
        return [*_lengths(message), *_secrets(message, extra)]
    return [
        *_lengths(message),
        *_secrets(message, extra),
        *_missing(message),
        *_promise(message, now),
        *_vague(message, vague),
        *_failure(message),
        *_zones(message),
        *_personal(message),
    ]


PAGE = "page"
"""Template of the messages that wake somebody; they carry a reason and no prose."""


def standing(message: Message, found: Iterable[Finding]) -> list[Finding]:
    """Return the findings that nobody waived: those that keep a message from going out."""
    return [each for each in found if not each.waivable or each.code not in message.waived]


def _text(message: Message) -> str:
    return f"{message.subject}\n{message.body}"


def _lengths(message: Message) -> list[Finding]:
    if not message.body.strip():
        return [Finding("empty", "It says nothing.", "Write it: `warroom message edit ID --text …`.", False)]
    if len(_text(message)) > REQUEST:
        what = f"It has {len(_text(message)):,} characters; {REQUEST:,} are possible."
        return [Finding("long", what, "Shorten it.", False)]
    return []


def _secrets(message: Message, extra: tuple[str, ...]) -> list[Finding]:
    # Responders get it masked; nobody outside shall learn that there was a key in it.
    if message.audience in INSIDE:
        return []
    kinds = sorted({each.kind.replace("_", " ") for each in Redaction("secrets", extra).find(_text(message))})
    if not kinds:
        return []
    return [
        Finding("secret", f"It holds what looks like a secret ({', '.join(kinds)}).", "Take it out.", False)
    ]


def _personal(message: Message) -> list[Finding]:
    if message.audience in INSIDE:
        return []
    text = _text(message)
    secrets = {(each.start, each.end) for each in Redaction("secrets").find(text)}
    found = [
        each for each in Redaction("secrets+personal").find(text) if (each.start, each.end) not in secrets
    ]
    return [
        Finding(
            f"personal:{kind}",
            f"It holds personal data ({kind.replace('_', ' ')}).",
            "Take it out, or waive it with a reason: the address that readers are to write to is one.",
        )
        for kind in sorted({each.kind for each in found})
    ]


def _missing(message: Message) -> list[Finding]:
    text, found = _text(message), []
    gaps = set(_GAP.findall(text))
    asked = {need.name: need.ask for need in message.needs}
    for need in message.needs:
        # Taking the line out supplies no fact.
        lost = need.label and not re.search(
            rf"^\s*{re.escape(need.label)}: *[^\s:][^\n]*$", text, re.MULTILINE | re.IGNORECASE
        )
        if need.name == "next_update" and not lost:
            lost = not _UTC.search(text)
        if lost:
            gaps.add(need.name)
    for name in [*asked, *sorted(gaps - asked.keys())]:
        if name in gaps:
            what = f"It does not say: {asked.get(name, name)}."
            found.append(Finding(f"missing:{name}", what, f"Supply it: {supply(name)}."))
    if (place := _PLACE.search(text)) is not None:
        found.append(Finding("place", f"{place[0]} is not filled in.", "Write what belongs there."))
    return found


def _promise(message: Message, now: int) -> list[Finding]:
    if message.promises is None:
        return []
    if message.promises > now:
        at = iso(message.promises, 0)[11:16]
        if f"{at} UTC" in _text(message) or f"{at}Z" in _text(message):
            return []
        what = f"The next update is promised for {at} UTC, and the text does not say that."
        return [Finding("promise", what, "Say when it comes: --set next_update=14:30.")]
    what = f"It promises the next update for {clock(message.promises, now)}, which has passed."
    return [Finding("promise", what, "Promise a later one: --set next_update=+30min.")]


def _vague(message: Message, phrases: Sequence[str]) -> list[Finding]:
    words = dict.fromkeys(phrase for phrase, _ in vague_words(_text(message), phrases))
    fix = "Name what can be observed: which calls fail, how many, since when."
    return [Finding(f"vague:{phrase}", f"“{phrase}” says nothing.", fix) for phrase in words]


def _failure(message: Message) -> list[Finding]:
    needs = {need.name for need in message.needs}
    body = _GAP.sub("", _text(message))
    letters = [char for char in body if char.isalpha()]
    foreign = sum(not char.isascii() for char in letters) > len(letters) / 2
    # In another script these words tell nothing; whoever approves it reads it.
    if not needs & REPORTS or foreign or _FAILURE.search(body):
        return []
    what = "It names no failure that anybody could observe."
    return [
        Finding("failure", what, "Say which: duplicate refunds, timeouts, wrong answers, spend over a limit.")
    ]


def _zones(message: Message) -> list[Finding]:
    times = dict.fromkeys(found[0] for found in _TIME.finditer(_text(message)))
    return (
        [Finding("zone", f"{', '.join(times)}: in which zone?", "Write times in UTC: 14:30 UTC.")]
        if times
        else []
    )
