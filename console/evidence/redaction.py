"""Redaction: masks secrets and personal data in what is shown, exported or handed on. The original stays.

Precision goes before recall: a rule that cries wolf gets switched off. Every rule knows the shape of what it
looks for, and where a checksum exists it is checked. What no rule knows is not masked; docs/export.md states how
much the labelled corpus in the tests finds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from data.canonical import encode
from data.envelope import Event, Ref, Sealed
from data.withholding import Rendering

if TYPE_CHECKING:
    from console.evidence.masking import Apart

PolicyName = Literal["none", "secrets", "secrets+personal"]


class Rule:
    """One thing to look for.

    Args:
        name: What stands in the place of what was masked, with blanks for `_`.
        hints: In small letters; a text that holds none of them is not searched. Empty: it always is.
        pattern: Of the whole; a group `value` within it is masked instead, where there is one.
        check: Has the last word on a match.
        within: Whether it may begin in the middle of a word.
        signs: A text with none of these is not searched either; for a pattern that takes long.
    """

    def __init__(
        self,
        name: str,
        hints: str,
        pattern: str,
        check: Callable[[str], bool] | None = None,
        *,
        within: bool = False,
        signs: str = "",
    ) -> None:
        self.name, self.hints = name, tuple(hints.split("|")) if hints else ()
        self._source, self._check, self._within = pattern, check, within
        self._signs = signs
        self._group = "value" if "(?P<value>" in pattern else 0

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        # All of them together take longer to compile than most commands take; few texts need any.
        return re.compile(self._source)

    def find(self, text: str) -> Iterator[tuple[int, int, int]]:
        """Yield where it begins, and from where to where it is to be masked."""
        if self._signs and not any(sign in text for sign in self._signs):
            return
        at = 0
        while (match := self._pattern.search(text, at)) is not None:
            begin, end = match.span()
            inside = not self._within and begin and text[begin - 1].isalnum()
            if inside or (self._check is not None and not self._check(match[0])):
                at = begin + 1
                continue
            yield (begin, *match.span(self._group))
            at = max(end, begin + 1)


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


def _issued(text: str) -> bool:
    return text[:3] not in ("000", "666")


def _telephone(text: str) -> bool:
    return 8 <= sum(char.isdigit() for char in text) <= 15


def _telling(text: str) -> bool:
    """Whether the value of `password: …` is one, and not the next word of a sentence, code, or a place to fill."""
    found = _ASSIGNED(text)
    if found is None:
        return False
    name, sign, value = found.groups()
    quoted = value[:1] in ("'", '"') or value[:2] in ('\\"', "\\'")
    value = value.strip("\\\"'")
    if (value.isdecimal() and len(value) < 6) or "(" in value:
        return False  # a count of tokens; a call
    if _PLACE.match(value) or value.lower() in _WORDS:
        return False
    digits = any(char.isdigit() for char in value)
    if name.lower() in value.lower() and not digits:
        return False  # the name of a variable, or of the field itself
    if quoted:
        return True
    if sign == "=":
        return re.search(r"[^A-Za-z_.]", value) is not None or (value.isalpha() and "= " not in text)
    # In a sentence a colon is followed by a word; a secret mixes letters with digits and signs.
    return len(value) >= 6 and re.search(r"\d.*\d|[!@#$%^&*+/=~]", value) is not None


_ASSIGNED = re.compile(r"([\w-]+)[\"'\\]*\s*([:=])\s*(.*)", re.DOTALL).fullmatch
_PLACE = re.compile(r"[<\[({*$%]|x{3,}|\.{3}|REDACTED|CHANGEME|YOUR_", re.IGNORECASE)
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
    r"(?i:password|passwd|passphrase|pwd|secret(?:[_-]?key)?|(?:api|access|private)[_-]?key|apikey|client[_-]?secret"
    r"|token)"
)
_FILES = "png|jpe?g|gif|svg|webp|pdf|js|ts|py|css|html?|json|md|txt|zip|gz|so|exe"

SECRETS = (
    Rule(
        "private_key",
        "private key",
        # One whose end was cut off is as secret.
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:[\s\S]{16,8192}?"
        r"-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        r"|(?:\\[nr]|\s)*[A-Za-z0-9+/=]{16,}(?:(?:\\[nr]|\s)+[A-Za-z0-9+/=]{16,})*(?:\s+[A-Za-z0-9+/=]+(?:…|\Z))?)",
        within=True,
    ),
    Rule("jwt", "eyj", r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"),
    Rule("aws_key", "akia|asia|abia|acca", r"A(?:KIA|SIA|BIA|CCA)[A-Z2-7]{16}(?![A-Za-z0-9])"),
    Rule(
        "github_token",
        "ghp_|gho_|ghu_|ghs_|ghr_|github_pat_",
        r"g(?:h[pousr]_[A-Za-z0-9]{36,255}|ithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})",
    ),
    Rule("gitlab_token", "gl", r"gl(?:pat|dt|rt|cbt|ptt|agent|oas)-[\w-]{20,}"),
    Rule("slack_token", "xox|xapp-", r"x(?:ox[abeoprs]-[A-Za-z0-9-]{10,}|app-\d-[A-Za-z0-9-]{20,})"),
    Rule(
        "slack_webhook",
        "hooks.slack.com",
        r"https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_-]{20,}",
    ),
    Rule(
        "model_api_key",
        "sk-",
        r"sk-(?:(?:ant|proj|svcacct|admin|or-v1|lf)-)?(?=[\w-]{0,200}\d)[\w-]{20,200}",
    ),
    Rule("google_key", "aiza|ya29.|gocspx-", r"(?:AIza[\w-]{35}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{28})"),
    Rule(
        "stripe_key",
        "k_live_|k_test_|whsec_",
        r"(?:[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{24,})",
    ),
    Rule("sendgrid_key", "sg.", r"SG\.[\w-]{16,32}\.[\w-]{16,64}"),
    Rule(
        "package_token",
        "npm_|pypi-age|dckr_pat_",
        r"(?:npm_[A-Za-z0-9]{36}|pypi-AgE[\w-]{50,}|dckr_pat_[\w-]{20,})",
    ),
    Rule("huggingface_token", "hf_", r"hf_[A-Za-z0-9]{30,}"),
    Rule(
        "cloud_token",
        "dop_v1_|dapi|hvs.|hvb.|age-secret-key-1",
        r"(?:dop_v1_[0-9a-f]{64}|dapi[0-9a-f]{32}|hv[sb]\.[\w-]{24,}|AGE-SECRET-KEY-1[0-9A-Z]{58})",
    ),
    Rule("twilio_key", "sk", r"SK[0-9a-f]{32}(?![A-Za-z0-9])"),
    Rule("telegram_token", ":aa", r"\d{8,10}:AA[\w-]{33}(?![\w-])"),
    Rule(
        "url_password",
        "://",
        r"://[^\s/:@\"']{0,64}:(?P<value>[^\s/@\"'$<{*]{3,128})@",
        within=True,
    ),
    Rule(
        "bearer_token",
        "bearer|basic",
        r"(?i:bearer|basic)\s+(?P<value>(?=[\w.~+/-]{0,2048}\d)[\w.~+/-]{20,2048}={0,2})",
    ),
    Rule(
        "password",
        "passw|passph|pwd|secret|apikey|accesskey|privatekey|_key|-key|token",
        # Asking for the first letter before all the names takes a third of the time.
        rf"(?=[pPsSaAcCtT]){_NAMED}\\?[\"']?\s{{0,3}}[:=]\s{{0,3}}"
        r"(?:\\?[\"'](?=[^\"'\\\n]{3}))?(?P<value>(?<=[\"'])[^\"'\\\n]{3,256}|[^\s\"',;&)\]}<\\]{4,256})",
        _telling,
        within=True,
        signs="=:",
    ),
)
PERSONAL = (
    Rule(
        "email",
        "@",
        rf"(?<![\w.%+-])[A-Za-z0-9][\w.%+-]{{0,63}}@(?:[A-Za-z0-9-]{{1,63}}\.)+(?!(?:{_FILES})(?![A-Za-z]))[A-Za-z]{{2,24}}"
        r"(?![\w@]|:[\w~/])",
    ),
    Rule(
        "card",
        "",
        r"[2-6]\d{3}(?:([ -]?)\d{4}\1\d{4}\1\d{1,7}|[ -]?\d{6}[ -]?\d{4,5})(?![A-Za-z0-9]|[.,]\d)",
        luhn,
    ),
    Rule("iban", "", r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])", iban),
    Rule(
        "phone",
        "+",
        r"\+[1-9]\d{0,2}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]?\d{2,4}){2,4}(?![\w:]|[.-]\d)",
        _telephone,
    ),
    Rule("phone", "-", r"[2-9]\d\d(?:\) ?|-)[2-9]\d\d-\d{4}(?![\w-])"),
    Rule("us_ssn", "-", r"[0-8]\d\d-(?!00)\d\d-(?!0000)\d{4}(?![\w-])", _issued),
)
_RULES: dict[str, tuple[Rule, ...]] = {
    "none": (),
    "secrets": SECRETS,
    "secrets+personal": SECRETS + PERSONAL,
}


@lru_cache(maxsize=16)
def _rules(name: str, extra: tuple[str, ...]) -> tuple[Rule, ...]:
    if not extra:
        return _RULES[name]
    # The longest first: of two that begin alike the shorter would leave the rest in sight.
    words = "|".join(re.escape(word) for word in sorted(extra, key=len, reverse=True))
    return (Rule("listed", "", f"(?i:{words})", within=True), *_RULES[name])


def _mark(kind: str) -> str:
    return f"[masked {kind.replace('_', ' ')}]"


class Redaction:
    """A policy: what to mask. Serves display, exports and bundles alike.

    Args:
        name: `none`, `secrets` or `secrets+personal`.
        extra: Further text to mask, word for word, whatever its case.

    Attributes:
        name: What the policy is called on the record.
        id: Another policy has another one, also when only the further text differs.
        given: Name and further text as they were given.
        unscanned: How many blobs it could not look into, as they are no text.
    """

    def __init__(self, name: PolicyName = "secrets", extra: tuple[str, ...] = ()) -> None:
        extra = tuple(word for word in extra if word)
        self.given = name, extra
        self.name = f"{name}+listed" if extra else str(name)
        words = sha256("\n".join(sorted(extra)).encode("utf-8", "backslashreplace")).hexdigest()
        self.id = f"{self.name}-{words[:8]}" if extra else self.name
        self.unscanned = 0
        self._rules = _rules(name, extra)
        self._always = [order for order, rule in enumerate(self._rules) if not rule.hints]
        self._hints = [(hint, order) for order, rule in enumerate(self._rules) for hint in rule.hints]

    @property
    def active(self) -> bool:
        """Whether it masks anything at all."""
        return bool(self._rules)

    def find(self, text: str) -> list[Found]:
        """Return what is to be masked in `text`, from left to right, nothing twice."""
        small = text.lower()
        # Looking for the hints is much quicker than looking for the patterns, and most lines hold none.
        worth = {order for hint, order in self._hints if hint in small}
        if not worth and not self._always:
            return []
        hits = [
            (begin, order, start, end)
            for order in (*worth, *self._always)
            for begin, start, end in self._rules[order].find(text)
        ]
        found: list[Found] = []
        at = 0
        for _, order, start, end in sorted(hits):
            if start >= at:
                found.append(Found(self._rules[order].name, start, end))
                at = end
        return found

    def mask(self, text: str) -> str:
        """Return `text` with a mark in the place of everything that is to be masked."""
        return self._masked(text)[0]

    def _masked(self, text: str) -> tuple[str, list[str]]:
        pieces, kinds, at = [], [], 0
        for found in self.find(text):
            pieces += [text[at : found.start], _mark(found.kind)]
            kinds.append(found.kind)
            at = found.end
        return ("".join((*pieces, text[at:])), kinds) if kinds else (text, kinds)

    def lines(self, lines: Sequence[str]) -> list[str]:
        """Return as many lines, masked: what goes over several of them has a mark in each."""
        text = "\n".join(lines)
        pieces, at = [], 0
        for found in self.find(text):
            mark = _mark(found.kind)
            pieces += [text[at : found.start], "\n".join([mark] * (text.count("\n", *found[1:]) + 1))]
            at = found.end
        return "".join((*pieces, text[at:])).split("\n") if pieces else list(lines)

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
        if not self._rules:
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
        if not self._rules:
            return None
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self.unscanned += 1
            return None
        masked, kinds = self._masked(text)
        return Rendering(masked.encode(), [(ref.sha256, kind) for kind in kinds]) if kinds else None

    def apart(self) -> Apart:
        """The same policy, which looks into big files in a process of its own."""
        from console.evidence.masking import Apart

        return Apart(self)


def masked(events: Iterable[Event], redaction: Redaction) -> Iterator[Event]:
    """Yield events as a policy shows them."""
    for event in events:
        rendering = None if event.body is None else redaction.body(event.body)
        yield event if rendering is None else msgspec.structs.replace(event, body=rendering.shown)
