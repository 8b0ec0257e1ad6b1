"""Messages: drafted, approved, and sent by an outbox."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from console.events.body import Body, Count, Digest, Moment, Name, Short, Text, kind

MessageId = Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
Audience = Literal[
    "internal", "channel", "support", "executives", "customers", "status-page", "regulator", "page"
]
Stage = Literal[
    "", "investigating", "identified", "monitoring", "resolved", "trigger", "acknowledge", "resolve"
]
"""What a status page is set to, or what becomes of a page."""
Wording = Annotated[str, Meta(max_length=16_000)]


class Given(Struct, frozen=True, omit_defaults=True):
    """A fact that a person supplied for a message."""

    name: Name
    value: Annotated[str, Meta(max_length=2000)]


class Lack(Struct, frozen=True, omit_defaults=True):
    """A fact that a message needs and that nobody supplied. `ask`: what is asked for."""

    name: Name
    ask: Short = ""
    label: Short = ""
    """What stands before it in the text, where it has a line of its own."""


@kind("message.drafted")
class MessageDrafted(Body, frozen=True):
    """A message as it was drafted from the state. `promises`: when it says that the next one comes.

    `needs`: the facts without which it must not go out, whether they are in it or not.
    """

    message: MessageId
    template: Name
    title: Short
    audience: Audience
    body: Wording
    subject: Short = ""
    state: Stage = ""
    promises: Moment = ""
    needs: Annotated[tuple[Lack, ...], Meta(max_length=50)] = ()
    given: Annotated[tuple[Given, ...], Meta(max_length=50)] = ()


@kind("message.edited")
class MessageEdited(Body, frozen=True):
    """A message in other words; approvals of the words before are over."""

    message: MessageId
    subject: Short
    body: Wording
    promises: Moment = ""
    given: Annotated[tuple[Given, ...], Meta(max_length=50)] = ()


@kind("message.waived")
class MessageWaived(Body, frozen=True):
    """A message may go out although a check found something. `finding`: its code, such as `missing:impact`."""

    message: MessageId
    finding: Short
    reason: Text


@kind("message.approved")
class MessageApproved(Body, frozen=True):
    """A person lets a message go out in exactly the words that `digest` names."""

    message: MessageId
    digest: Digest
    role: Name


@kind("message.queued")
class MessageQueued(Body, frozen=True):
    """A message is to go to a sender, by the console that wrote this. `key` makes a repeat harmless."""

    message: MessageId
    sender: Name
    type: Name
    digest: Digest
    key: Short
    notify: bool = False
    """Whether a status page tells its subscribers."""


@kind("message.trying")
class MessageTrying(Body, frozen=True):
    """A request is about to be made. On the disk before, so that a crash leaves no effect without an entry."""

    message: MessageId
    sender: Name
    attempt: Count
    part: Count = 0


@kind("message.sent")
class MessageSent(Body, frozen=True):
    """The other side took it. `reference`: what it goes by there."""

    message: MessageId
    sender: Name
    attempt: Count
    reference: Short = ""
    note: Short = ""


@kind("message.failed")
class MessageFailed(Body, frozen=True):
    """A try that came to nothing. `unknown`: nobody can say whether it went out. `again`: when it is tried anew."""

    message: MessageId
    sender: Name
    attempt: Count
    outcome: Literal["retry", "refused", "unknown"]
    reason: Short
    part: Count = 0
    again: Moment = ""


@kind("message.settled")
class MessageSettled(Body, frozen=True):
    """A person looked what became of a message of which nobody knew: it went out, or it did not."""

    message: MessageId
    sender: Name
    word: Literal["sent", "not"]
    reason: Text


@kind("message.cancelled")
class MessageCancelled(Body, frozen=True):
    """A message is not to go to a sender, or to none (without a sender). What went out, went out."""

    message: MessageId
    sender: Annotated[str, Meta(max_length=128)] = ""
    reason: Text = ""
