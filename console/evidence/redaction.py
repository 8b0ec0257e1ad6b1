"""Redaction: masks secrets and personal data in what is shown, exported or handed on. The original stays.

Precision goes before recall: a rule that cries wolf gets switched off. Every rule knows the shape of what it
looks for, and where a checksum exists it is checked. What no rule knows is not masked; docs/export.md states how
much the labelled corpus in the tests finds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import msgspec

from data.bundle import Rendering
from data.canonical import encode
from data.envelope import Event, Ref, Sealed

PolicyName = Literal["none", "secrets", "secrets+personal"]


class Rule(NamedTuple):
    """One thing to look for.

    Attributes:
        name: The name of its group, and what stands in the place of what was masked.
        pattern: Of the whole; a group `NAME_v` within it is masked instead, where there is one.
        check: Has the last word on a match.
    """

    name: str
    pattern: str
    check: Callable[[str], bool] = lambda _: True


class Found(NamedTuple):
    """Something to mask: what it is, and where."""

    kind: str
    start: int
    end: int


def luhn(text: str) -> bool:
    """Whether digits (with blanks or dashes) are the number of a payment card: length, issuer and check digit."""
    digits = re.sub(r"\D", "", text)
    if not _CARD(digits):
        return False
    doubled = [int(d) if i % 2 == 0 else sum(divmod(2 * int(d), 10)) for i, d in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


_CARD = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[3-6])\d{14}|22[2-9]\d{13}|27[01]\d{13}|2720\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[68]\d)\d{11}|35\d{14}|6(?:011|5\d\d|4[4-9]\d)\d{12}|62\d{14,17}"
).fullmatch

_LENGTHS = (
    "AD24 AE23 AT20 BE16 BG22 CH21 CY28 CZ24 DE22 DK18 EE20 ES24 FI18 FR27 GB22 GR27 HR21 HU28 IE22 IL23 IS26 IT27 "
    "LI21 LT20 LU20 LV21 MC27 MT31 NL18 NO15 PL28 PT25 RO24 RS22 SA24 SE24 SI19 SK24 SM27 TR26 UA29"
)
_IBAN = {each[:2]: int(each[2:]) for each in _LENGTHS.split()}


def iban(text: str) -> bool:
    """Whether this is the number of a bank account: country, length and check digits."""
    plain = text.replace(" ", "")
    if _IBAN.get(plain[:2]) != len(plain):
        return False
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def _telephone(text: str) -> bool:
    return 8 <= sum(char.isdigit() for char in text) <= 15


def _telling(text: str) -> bool:
    """Whether the value of `password: …` is one, and not the next word of a sentence or a place to fill."""
    _, _, value = text.partition("=") if "=" in text else text.partition(":")
    quoted = value.strip()[:1] in ("'", '"')
    value = value.strip().strip("\"'")
    if value.isdecimal() and len(value) < 6:
        return False  # counts of tokens
    if _PLACE.match(value) or value.lower() in _WORDS:
        return False
    # In a sentence a colon is followed by a word; a secret mixes letters with something else.
    return quoted or "=" in text or (not value.isalpha() and len(value) >= 6)


_PLACE = re.compile(r"[<\[({*$%]|x{3,}|\.{3}|\*{3}|REDACTED|CHANGEME|YOUR_", re.IGNORECASE)
_WORDS = {
    "none",
    "null",
    "true",
    "false",
    "undefined",
    "empty",
    "required",
    "unknown",
    "missing",
    "str",
    "string",
}
_NAMED = (
    r"(?:[a-z0-9]{1,32}[_.-]){0,4}(?:password|passwd|passphrase|pwd|secret|api[_-]?key|apikey|secret[_-]?key|access[_-]?key"
    r"|(?:access|auth|refresh|session|bearer|bot)[_-]?token|token|private[_-]?key|client[_-]?secret)"
)
_FILES = "png|jpe?g|gif|svg|webp|pdf|js|ts|py|css|html?|json|md|txt|zip|gz|so|exe"

SECRETS = (
    Rule(
        "private_key",
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----[\s\S]{16,8192}?"
        r"-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----",
    ),
    Rule("jwt", r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"),
    Rule("aws_key", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Za-z0-9])"),
    Rule("github_token", r"gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    Rule("gitlab_token", r"gl(?:pat|dt|rt|cbt|ptt|agent|oas)-[\w-]{20,}"),
    Rule("slack_token", r"xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{20,}"),
    Rule("slack_webhook", r"https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_-]{20,}"),
    Rule("model_api_key", r"sk-(?:(?:ant|proj|svcacct|admin|or-v1|lf)-)?(?=[\w-]{0,200}\d)[\w-]{20,200}"),
    Rule("google_key", r"AIza[\w-]{35}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{28}"),
    Rule("stripe_key", r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{24,}"),
    Rule("sendgrid_key", r"SG\.[\w-]{16,32}\.[\w-]{16,64}"),
    Rule("package_token", r"npm_[A-Za-z0-9]{36}|pypi-AgE[\w-]{50,}|dckr_pat_[\w-]{20,}"),
    Rule("huggingface_token", r"hf_[A-Za-z0-9]{30,}"),
    Rule(
        "cloud_token", r"dop_v1_[0-9a-f]{64}|dapi[0-9a-f]{32}|hv[sb]\.[\w-]{24,}|AGE-SECRET-KEY-1[0-9A-Z]{58}"
    ),
    Rule("twilio_key", r"SK[0-9a-f]{32}(?![A-Za-z0-9])"),
    Rule("telegram_token", r"\d{8,10}:AA[\w-]{33}(?![\w-])"),
    Rule(
        "url_password",
        r"[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"']{0,64}:(?P<url_password_v>[^\s/@\"'$<{*]{3,128})@",
    ),
    Rule(
        "bearer_token",
        r"(?i:bearer|basic)\s+(?P<bearer_token_v>(?=[\w.~+/-]{0,2048}\d)[\w.~+/-]{20,2048}={0,2})",
    ),
    Rule(
        "password",
        rf"(?i:{_NAMED})\\?[\"']?\s{{0,3}}[:=]\s{{0,3}}"
        r"(?P<password_v>\\?\"[^\"\\\n]{3,256}|\\?'[^'\\\n]{3,256}|[^\s\"',;&)\]}<\\]{4,256})",
        _telling,
    ),
)
PERSONAL = (
    Rule(
        "email",
        rf"[A-Za-z0-9][\w.%+-]{{0,63}}@(?:[A-Za-z0-9-]{{1,63}}\.)+(?!(?:{_FILES})(?![A-Za-z]))[A-Za-z]{{2,24}}"
        r"(?![\w@]|:[\w~/])",
    ),
    Rule(
        "card",
        r"[2-6]\d{3}(?:([ -]?)\d{4}\2\d{4}\2\d{1,7}|[ -]?\d{6}[ -]?\d{4,5})(?![A-Za-z0-9]|[.,]\d)",
        luhn,
    ),
    Rule("iban", r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])", iban),
    Rule(
        "phone",
        r"\+[1-9]\d{0,2}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]?\d{2,4}){2,4}(?![\w:]|[.-]\d)"
        r"|\([2-9]\d\d\) ?\d{3}-\d{4}(?!\w)|[2-9]\d\d-[2-9]\d\d-\d{4}(?![\w-])",
        _telephone,
    ),
    Rule("us_ssn", r"(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-])"),
)
_RULES: dict[str, tuple[Rule, ...]] = {
    "none": (),
    "secrets": SECRETS,
    "secrets+personal": SECRETS + PERSONAL,
}
_CHECKS = {rule.name: rule.check for rule in SECRETS + PERSONAL}


@lru_cache(maxsize=16)
def _compiled(name: str, extra: tuple[str, ...]) -> re.Pattern[str] | None:
    parts = [f"(?P<{rule.name}>{_renumbered(rule.pattern)})" for rule in _RULES[name]]
    alternatives = [rf"(?<![A-Za-z0-9])(?:{'|'.join(parts)})"] if parts else []
    if extra:
        # The longest first: of two patterns that begin alike the shorter would leave the rest in sight.
        words = "|".join(re.escape(word) for word in sorted(extra, key=len, reverse=True))
        alternatives.insert(0, f"(?P<listed>(?i:{words}))")
    return re.compile("|".join(alternatives)) if alternatives else None


def _renumbered(pattern: str) -> str:
    # Within the alternation a group has another number: the only one that is referred to gets a name.
    return pattern.replace("([ -]?)", "(?P<gap>[ -]?)").replace(r"\2", "(?P=gap)")


class Redaction:
    """A policy: what to mask. Serves display, exports and bundles alike.

    Args:
        name: `none`, `secrets` or `secrets+personal`.
        extra: Further text to mask, word for word, whatever its case.

    Attributes:
        name: What the policy is called on the record.
        unscanned: How many blobs it could not look into, as they are no text.
    """

    def __init__(self, name: PolicyName = "secrets", extra: tuple[str, ...] = ()) -> None:
        extra = tuple(word for word in extra if word)
        self.name = f"{name}+listed" if extra else str(name)
        self.unscanned = 0
        self._pattern = _compiled(name, extra)

    @property
    def active(self) -> bool:
        """Whether it masks anything at all."""
        return self._pattern is not None

    def find(self, text: str) -> Iterator[Found]:
        """Yield what is to be masked in `text`, from left to right."""
        if self._pattern is None:
            return
        at = 0
        while (match := self._pattern.search(text, at)) is not None:
            kind = match.lastgroup or ""
            check = _CHECKS.get(kind)
            if check is not None and not check(match[0]):
                at = match.start() + 1
                continue
            start, end = match.span(f"{kind}_v" if f"{kind}_v" in self._pattern.groupindex else kind)
            if text[start : start + 2] in ('\\"', "\\'"):
                start += 2
            elif text[start] in "\"'":
                start += 1
            yield Found(kind, start, end)
            at = max(end, match.start() + 1)

    def mask(self, text: str) -> str:
        """Return `text` with a mark in the place of everything that is to be masked."""
        return self._masked(text)[0]

    def _masked(self, text: str) -> tuple[str, list[str]]:
        pieces, kinds, at = [], [], 0
        for found in self.find(text):
            pieces += [text[at : found.start], f"[masked {found.kind.replace('_', ' ')}]"]
            kinds.append(found.kind)
            at = found.end
        return ("".join((*pieces, text[at:])), kinds) if kinds else (text, kinds)

    def value(self, value: Any, field: str = "") -> tuple[Any, list[tuple[str, str]]]:
        """Return a JSON value with every text in it masked, and the fields with what was masked there."""
        found: list[tuple[str, str]] = []
        if isinstance(value, str):
            masked, kinds = self._masked(value)
            return masked, [(field, kind) for kind in kinds]
        if isinstance(value, dict):
            made: dict[str, Any] = {}
            for key, item in value.items():
                made[key], more = self.value(item, f"{field}.{key}" if field else key)
                found += more
            return made, found
        if isinstance(value, list):
            items = []
            for index, item in enumerate(value):
                masked, more = self.value(item, f"{field}[{index}]")
                items.append(masked)
                found += more
            return items, found
        return value, found

    def body(self, raw: bytes) -> Rendering | None:
        """Return what to show of an event's body instead; None if there is nothing to mask in it."""
        if self._pattern is None:
            return None
        try:
            masked, found = self.value(msgspec.json.decode(raw))
            return Rendering(encode(masked), found) if found else None
        except (ValueError, RecursionError):
            # Masks are longer than some of what they hide: what no longer fits is kept back whole.
            return Rendering(b"{}", [("", "unreadable")])

    def event(self, event: Sealed) -> Rendering | None:
        """What a bundle shows of an event instead of its body."""
        return self.body(event.body)

    def blob(self, ref: Ref, data: bytes) -> Rendering | None:
        """What a bundle shows of a blob instead of its bytes. Only text can be looked into."""
        if self._pattern is None:
            return None
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self.unscanned += 1
            return None
        masked, kinds = self._masked(text)
        return Rendering(masked.encode(), [(ref.sha256, kind) for kind in kinds]) if kinds else None


def masked(events: Iterable[Event], redaction: Redaction) -> Iterator[Event]:
    """Yield events as a policy shows them."""
    for event in events:
        rendering = None if event.body is None else redaction.body(event.body)
        yield event if rendering is None else msgspec.structs.replace(event, body=rendering.shown)
