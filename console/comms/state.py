"""What the events about messages add up to: what was drafted, who approved it, and what became of it where.

`Messages.apply` is pure and total, like the fold of the incident that calls it: what does not fit changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

from console.events import Audience, Body, Given, Lack, Stage, Unknown, instant
from console.events import messages as said
from data.canonical import encode
from data.envelope import Event

Standing = Literal["queued", "trying", "retry", "sent", "refused", "unknown", "cancelled"]
WAITING: frozenset[Standing] = frozenset({"queued", "retry"})
OUTSTANDING: frozenset[Standing] = frozenset({"queued", "retry", "trying"})
OVER: frozenset[Standing] = frozenset({"refused", "cancelled"})
"""What may be sent to the same place again: it is known that it did not go out, or a person took it back."""


@dataclass(slots=True)
class Delivery:
    """A message on its way to one sender. Times are ns UTC; 0 = not yet."""

    sender: str
    type: str
    key: str
    digest: str
    by: str
    role: str
    rep: str
    """The console that sends it."""
    at: int
    notify: bool = False
    state: Standing = "queued"
    attempts: int = 0
    part: int = 0
    """The part that is to be sent next: what came before was taken."""
    reason: str = ""
    again: int = 0
    reference: str = ""
    done_at: int = 0


@dataclass(slots=True)
class Approval:
    """A person let these words go out."""

    digest: str
    by: str
    role: str
    at: int


@dataclass(slots=True)
class Message:
    """A message and what became of it."""

    id: str
    template: str
    title: str
    audience: Audience
    state: Stage
    subject: str
    body: str
    promises: int | None
    needs: tuple[Lack, ...]
    given: dict[str, str]
    by: str
    at: int
    edits: int = 0
    waived: dict[str, str] = field(default_factory=dict)
    """Code of a finding to the reason why it may stand."""
    approvals: list[Approval] = field(default_factory=list)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    cancelled: str | None = None
    """Why it goes nowhere; None: it may."""

    @property
    def digest(self) -> str:
        """What an approval names: it changes with every word."""
        promised = self.promises or 0
        parts = [self.id, self.audience, self.state, self.subject, self.body, str(promised)]
        return sha256(encode(parts)).hexdigest()

    @property
    def approved(self) -> Approval | None:
        """The newest approval of the words as they are."""
        digest = self.digest
        return next((each for each in reversed(self.approvals) if each.digest == digest), None)

    @property
    def standing(self) -> str:
        """How far it is, in one word."""
        states = {each.state for each in self.deliveries.values()}
        for state in ("unknown", "trying", "retry", "queued", "refused", "sent"):
            if state in states:
                return state
        if self.cancelled is not None or states:
            return "cancelled"
        return "approved" if self.approved is not None else "draft"


@dataclass(slots=True)
class Messages:
    """Every message of one incident, in the order in which they were drafted."""

    drafted: dict[str, Message] = field(default_factory=dict)

    def deliveries(self) -> Iterator[tuple[Message, Delivery]]:
        """Every message with each place that it goes to."""
        for message in self.drafted.values():
            for delivery in message.deliveries.values():
                yield message, delivery

    @property
    def outstanding(self) -> int:
        """How many are on their way."""
        return sum(each.state in OUTSTANDING for _, each in self.deliveries())

    @property
    def unknown(self) -> int:
        """Of how many nobody knows whether they went out."""
        return sum(each.state == "unknown" for _, each in self.deliveries())

    def reference(self, sender: str, before: str) -> str:
        """What the incident goes by at a sender, as an earlier message than `before` learnt."""
        found = ""
        for message in self.drafted.values():
            delivery = message.deliveries.get(sender)
            if message.id == before:
                return found
            if delivery is not None and delivery.state == "sent" and delivery.reference:
                found = delivery.reference
        return found

    def apply(self, event: Event, body: Body | Unknown) -> None:
        """Change the state by one event that counts."""
        match body:
            case said.MessageDrafted():
                if body.message not in self.drafted:
                    self.drafted[body.message] = Message(
                        body.message, body.template, body.title, body.audience, body.state, body.subject,
                        body.body, instant(body.promises), body.needs, _facts(body.given), event.actor, event.at,
                    )  # fmt: skip
            case said.MessageEdited():
                if (message := self.drafted.get(body.message)) is not None:
                    message.subject, message.body = body.subject, body.body
                    message.promises = instant(body.promises)
                    message.given |= _facts(body.given)
                    message.edits += 1
            case said.MessageWaived():
                if (message := self.drafted.get(body.message)) is not None:
                    message.waived[body.finding] = body.reason
            case said.MessageApproved():
                if (message := self.drafted.get(body.message)) is not None:
                    message.approvals.append(Approval(body.digest, event.actor, body.role, event.at))
            case said.MessageQueued():
                if (message := self.drafted.get(body.message)) is not None:
                    _queue(message, event, body)
            case said.MessageCancelled():
                if (message := self.drafted.get(body.message)) is not None:
                    _cancel(message, event, body)
            case said.MessageTrying() | said.MessageSent() | said.MessageFailed() | said.MessageSettled():
                message = self.drafted.get(body.message)
                delivery = message.deliveries.get(body.sender) if message is not None else None
                if delivery is not None:
                    _move(delivery, event, body)
            case _:
                pass


def _facts(given: tuple[Given, ...]) -> dict[str, str]:
    return {each.name: each.value for each in given}


def _queue(message: Message, event: Event, body: said.MessageQueued) -> None:
    known = message.deliveries.get(body.sender)
    if known is not None and known.state not in OVER:
        return
    made = Delivery(
        body.sender,
        body.type,
        body.key,
        body.digest,
        event.actor,
        event.role,
        event.rep,
        event.at,
        body.notify,
    )
    if known is not None:
        # Counted on, so that no two tries are ever taken for one.
        made.attempts = known.attempts
        made.part = known.part if known.digest == body.digest else 0
    message.deliveries[body.sender] = made
    message.cancelled = None


def _cancel(message: Message, event: Event, body: said.MessageCancelled) -> None:
    for delivery in message.deliveries.values():
        if body.sender in ("", delivery.sender) and delivery.state in WAITING:
            delivery.state, delivery.reason, delivery.done_at = "cancelled", body.reason, event.at
    if not body.sender:
        message.cancelled = body.reason


def _move(
    delivery: Delivery,
    event: Event,
    body: said.MessageTrying | said.MessageSent | said.MessageFailed | said.MessageSettled,
) -> None:
    # What went out stays out, whatever anybody says after it.
    if delivery.state == "sent":
        return
    match body:
        case said.MessageTrying():
            delivery.attempts = max(delivery.attempts, body.attempt)
            delivery.state, delivery.part, delivery.again = "trying", body.part, 0
        case said.MessageSent():
            delivery.attempts = max(delivery.attempts, body.attempt)
            delivery.state, delivery.reference, delivery.reason = "sent", body.reference, body.note
            delivery.done_at = event.at
        case said.MessageFailed():
            # The answer to an earlier try than the newest says nothing about that one.
            if body.attempt < delivery.attempts:
                return
            delivery.attempts, delivery.part = body.attempt, body.part
            delivery.state, delivery.reason = body.outcome, body.reason
            delivery.again, delivery.done_at = instant(body.again) or 0, event.at
        case said.MessageSettled():
            if delivery.state not in ("unknown", "trying"):
                return
            delivery.state = "sent" if body.word == "sent" else "refused"
            delivery.reason, delivery.done_at = body.reason, event.at
