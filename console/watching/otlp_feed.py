"""From an OTLP body to the tripwires, with every sender's counters."""

from __future__ import annotations

from collections.abc import Callable

from console.telemetry.action import Action
from console.telemetry.attribution import UNATTRIBUTED, Attribution
from console.telemetry.dialects import Span, read
from console.telemetry.intake import Busy, Taken
from console.telemetry.otlp import Content, decode
from console.telemetry.otlp_record import Rejected, Signal, Undecodable
from console.watching.detection import Detection, Overloaded
from console.watching.status import Sender, Senders

UNNAMED = "(no service.name)"


class OtlpFeed:
    """Takes unpacked bodies, on the detection thread.

    Args:
        detection: where the actions go.
        attribution: the memory of traces.
        senders: the counters, by `service.name`.
        now: the home's clock, nanoseconds UTC.
    """

    def __init__(
        self, detection: Detection, attribution: Attribution, senders: Senders, now: Callable[[], int]
    ) -> None:
        self._detection = detection
        self._attribution = attribution
        self._senders = senders
        self._now = now

    def take(self, body: bytes, signal: Signal, content: Content) -> Taken:
        """Take one body in; having returned, what was accepted survives a kill.

        Raises:
            Undecodable: it is no OTLP request.
            Busy: it cannot be taken now.
        """
        received_at = self._now()
        try:
            spans, rejected = decode(body, signal, content)
        except Undecodable:
            self._sender(UNNAMED).last_seen = received_at
            raise
        services = {id(span.resource): _service(span) for span in spans}
        actions = self._attribution.actions((span, read(span)) for span in spans)
        names = set(services.values())
        name = names.pop() if len(names) == 1 else ""
        by_service = {name: actions} if name or not names else _apart(spans, actions)
        try:
            for service, part in by_service.items():
                sender = self._sender(service or UNNAMED)
                self._detection.take(sender, part, journal=True, received_at=received_at)
                sender.unattributed += sum(action.agent == UNATTRIBUTED for action in part)
        except Overloaded as error:
            raise Busy(str(error), 5) from None
        sender = self._sender(next(iter(by_service), "") or UNNAMED)
        sender.last_seen = received_at
        for record in rejected:
            self._detection.refuse(sender, record.reason, record.raw)
        return Taken(len(rejected), _message(rejected))

    def _sender(self, service: str) -> Sender:
        return self._senders.of("otlp", service)


def _service(span: Span) -> str:
    return str(span.resource.get("service", "")) or UNNAMED


def _apart(spans: list[Span], actions: list[Action]) -> dict[str, list[Action]]:
    """Return the actions of a body that a collector put together, by the service they came from."""
    services = {(span.trace, span.span): _service(span) for span in spans if span.span}
    parts: dict[str, list[Action]] = {}
    for action in actions:
        parts.setdefault(services.get((action.trace, action.span), UNNAMED), []).append(action)
    return parts


def _message(rejected: list[Rejected]) -> str:
    if not rejected:
        return ""
    more = f" (and {len(rejected) - 1} more)" if len(rejected) > 1 else ""
    return f"{rejected[0].reason}{more}"[:512]
