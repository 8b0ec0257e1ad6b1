"""What makes an incident one of data security: the one rule behind the switch to the security lead (S000-CL-4, X-29)."""

from __future__ import annotations

from console.events import Body, FormAnswered, PlaybookOpened, TagSet
from console.runner.document import document

SECURITY_LED = "security-led"
"""What the rule of a form brings along when it speaks of data security."""
SIGNS = (FormAnswered, PlaybookOpened, TagSet)
"""Events that may say it; the switch comes with them, not after a decision: what protects is never too early."""


def switches(body: Body) -> str:
    """Return why an event makes the incident one of data security; "" when it does not."""
    match body:
        case FormAnswered(also=also) if SECURITY_LED in also:
            return body.because
        case PlaybookOpened():
            opened = document(body.document)
            return _led_by_security(body.title) if opened is not None and opened.security_led else ""
        case TagSet(axis="playbook"):
            from playbooks import load

            book = next((each for each in load.playbooks() if each.id == body.tag), None)
            return _led_by_security(book.title) if book is not None and book.security_led else ""
        case _:
            return ""


def _led_by_security(title: str) -> str:
    return f"{title}: led by the security lead"
