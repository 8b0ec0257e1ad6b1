"""The exact shape of what each service takes, within the limits that it documents. Pure: nothing is sent here."""

from __future__ import annotations

import hmac
import json
from hashlib import sha256
from typing import Any, NamedTuple

from data.clock import iso

Json = dict[str, Any]

SLACK_BLOCKS = 50
SLACK_TOTAL = 12_000
"""Characters over all blocks of a message; a little more is refused."""
SLACK_SECTION = 3000
SLACK_HEADER = 150
PAGERDUTY_SUMMARY = 1024
PAGERDUTY_BYTES = 512 * 1024
DEDUP_KEY = 255
CACHET_NAME = 255

CACHET = {"investigating": 1, "identified": 2, "monitoring": 3, "resolved": 4}
"""Our four states as the numbers of Cachet 3, which calls them investigating, identified, watching and fixed."""
PAGERDUTY_SEVERITY = {1: "critical", 2: "error", 3: "warning"}


class Letter(NamedTuple):
    """A message as it leaves: masked where it stays inside, and marked where it is a drill.

    Attributes:
        key: makes a repeat harmless where the other side knows such a thing.
        incident: code of the incident, for people; `case` is its whole id.
        severity: canonical, 1 to 5.
        at: when it was put on its way, ns UTC.
        name: what a status page calls the incident; the title was written for responders.
        reference: what the incident goes by at this sender, from an earlier message; "" = none yet.
        notify: whether a status page tells its subscribers.
    """

    key: str
    case: str
    incident: str
    title: str
    severity: int
    mode: str
    audience: str
    state: str
    subject: str
    body: str
    at: int
    name: str = ""
    reference: str = ""
    notify: bool = False


def cut(text: str, longest: int) -> str:
    """Return `text` with an ellipsis where something of it is missing."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def plain(letter: Letter) -> Json:
    """The message for programs: what a webhook and a file get."""
    return {
        "version": 1,
        "id": letter.key,
        "incident": letter.incident,
        "case": letter.case,
        "title": letter.title,
        "severity": letter.severity,
        "mode": letter.mode,
        "audience": letter.audience,
        "state": letter.state,
        "subject": letter.subject,
        "body": letter.body,
        "at": iso(letter.at, 9),
    }


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """HMAC-SHA256 over `timestamp.body`: a signed body cannot be sent again later as if it were new."""
    return "v1=" + hmac.new(secret.encode(), f"{timestamp}.".encode() + body, sha256).hexdigest()


def pagerduty(letter: Letter, routing_key: str) -> Json:
    """An event of the Events API v2. All pages of an incident are one alert there."""
    action = letter.state if letter.state in ("acknowledge", "resolve") else "trigger"
    event: Json = {
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": f"warroom-{letter.case}"[:DEDUP_KEY],
        "client": "warroom",
    }
    if action == "trigger":
        event["payload"] = {
            "summary": cut(letter.subject or letter.body, PAGERDUTY_SUMMARY),
            "source": letter.incident,
            "severity": PAGERDUTY_SEVERITY.get(letter.severity, "info"),
            "timestamp": iso(letter.at, 3),
            "class": "agent incident",
            "custom_details": {"incident": letter.incident, "title": letter.title, "message": letter.body},
        }
    return event


def escape(text: str) -> str:
    """Text for Slack: the three characters that mean something there."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def slack(letter: Letter) -> list[Json]:
    """The message in as many parts as Slack's limits need."""
    sections: list[Json] = [
        {"type": "section", "text": {"type": "mrkdwn", "text": piece}}
        for piece in _pieces(letter.body, SLACK_SECTION)
    ]
    header: Json = {
        "type": "header",
        "text": {
            "type": "plain_text",
            "text": cut(letter.subject or letter.title, SLACK_HEADER),
            "emoji": False,
        },
    }
    parts: list[list[Json]] = [[header]]
    used = len(header["text"]["text"])
    for section in sections:
        size = len(section["text"]["text"])
        if used + size > SLACK_TOTAL or len(parts[-1]) >= SLACK_BLOCKS:
            parts.append([])
            used = 0
        parts[-1].append(section)
        used += size
    text = escape(cut(letter.subject or letter.body, 300))
    count = len(parts)
    return [
        {"text": text if count == 1 else f"{text} ({at}/{count})", "blocks": blocks}
        for at, blocks in enumerate(parts, 1)
    ]


def _pieces(text: str, longest: int) -> list[str]:
    """Escaped pieces of a text, cut at line ends where there are some; an escaped character is never cut."""
    pieces, piece = [], ""
    for line in text.splitlines(keepends=True):
        escaped = escape(line)
        if len(piece) + len(escaped) <= longest:
            piece += escaped
            continue
        if piece.strip():
            pieces.append(piece)
        piece = ""
        for char in line:
            one = escape(char)
            if len(piece) + len(one) > longest:
                pieces.append(piece)
                piece = ""
            piece += one
    if piece.strip():
        pieces.append(piece)
    return pieces


def statuspage(letter: Letter, components: tuple[str, ...] = ()) -> Json:
    """An incident of Atlassian Statuspage, new or updated. Our key stands in its metadata, which no reader sees."""
    incident: Json = {
        "status": letter.state or "investigating",
        "body": letter.body,
        "deliver_notifications": letter.notify,
        "metadata": {"warroom": {"incident": letter.case, "message": letter.key}},
    }
    if not letter.reference:
        incident["name"] = cut(letter.name or letter.incident, CACHET_NAME)
        if components:
            incident["component_ids"] = list(components)
    return {"incident": incident}


def cachet(letter: Letter) -> Json:
    """An incident of Cachet 3, or an update of one."""
    state = CACHET.get(letter.state, 0)
    if letter.reference:
        return {"status": state, "message": letter.body}
    return {
        "name": cut(letter.name or letter.incident, CACHET_NAME),
        "status": state,
        "message": letter.body,
        "visible": True,
        "stickied": False,
        "notifications": letter.notify,
        "occurred_at": iso(letter.at, 0)[:19].replace("T", " "),
    }


def encoded(value: Json) -> bytes:
    """The bytes that are sent, and signed."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
