"""Every command about messages: draft, edit, waive, approve, send, cancel, settle; and pages.

Sending only puts a message into the queue; `console.comms.outbox` takes it from there.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from console.authority import Who, who_can
from console.authority import standing as in_force
from console.comms.check import INSIDE, PAGE, REQUEST, Finding, check, standing
from console.comms.draft import Gap, Heard, clock, draft, missing, moment_of
from console.comms.state import OVER, WAITING, Message, Messages
from console.events import (
    Body,
    Given,
    MessageApproved,
    MessageCancelled,
    MessageDrafted,
    MessageEdited,
    MessageQueued,
    MessageSettled,
    MessageWaived,
    moment,
)
from console.refusal import Refused
from data.case import reading_only

if TYPE_CHECKING:
    from console.config import Config, Sender
    from console.room import Room
    from data.line import Line
    from playbooks.guidance import Cadence, Template
    from playbooks.guidance import Messages as Documents

SECOND = 1_000_000_000
NOTE = "note.written"
"""Kind of the lines that people write; an update that went out is none of them."""
SUBJECT = 512
"""Characters of a subject at most: what the record takes."""
PAGES: dict[str, str] = {"trigger": "Page", "acknowledge": "Page acknowledged", "resolve": "Page resolved"}
AUTHORITIES = {"incident-letter": "incident-letter", "board": "notify-board"}
"""Templates whose approval is an authority of its own."""


class Obstacle(NamedTuple):
    """What keeps a message from going to a sender, and what to do about it. `code`: names it to whoever says more."""

    what: str
    fix: str
    code: str = ""

    def __str__(self) -> str:
        return f"{self.what} {self.fix}".strip()


class Messenger:
    """The messages of one incident.

    Args:
        room: the incident.
        config: names the senders.
    """

    def __init__(self, room: Room, config: Config) -> None:
        self.room = room
        self.senders = {each.name: each for each in config.sender}
        self._config = config
        self._links = config.playbooks.links
        self._extra = config.redaction.extra

    @property
    def messages(self) -> Messages:
        """Every message of the incident."""
        return self.room.incident.messages

    @property
    def drill(self) -> bool:
        """Whether nothing may reach a real service."""
        return self.room.incident.mode == "drill"

    def message(self, name: str = "") -> Message:
        """Return the message that is meant by the beginning of its id; without one the newest.

        Raises:
            Refused: there is none, or more than one fits.
        """
        drafted = list(self.messages.drafted.values())
        if not name and drafted:
            return drafted[-1]
        fits = [each for each in drafted if name and each.id.startswith(name.lower())]
        if len(fits) != 1:
            what = f"Several messages begin with {name}." if fits else f"There is no message {name}."
            raise Refused(
                what if name else f"{self.room.code} has no message yet.",
                "`warroom message list` shows them, `warroom message draft TEMPLATE` begins one.",
            )
        return fits[0]

    def sender(self, name: str) -> Sender:
        """Return the sender of this name.

        Raises:
            Refused: there is none.
        """
        if name not in self.senders:
            known = ", ".join(self.senders) or "none"
            raise Refused(f"There is no sender {name}.", f"Configured: {known}. See docs/comms.md.")
        return self.senders[name]

    # -- drafting ----------------------------------------------------------------------------------------

    async def draft(
        self, template: str, given: Mapping[str, str] | None = None
    ) -> tuple[Message, tuple[Gap, ...]]:
        """Draft a message from the state as it is now, and put it on the record. Returns it with what it lacks.

        Raises:
            Refused: there is no such template, or a fact does not fit.
        """
        documents = await asyncio.to_thread(_documents)
        chosen = _template(documents, template)
        heard = await self.heard()
        made = draft(
            chosen, self.room.incident, self.room.clock.now(), _cadence(documents), heard, given, self._links
        )
        name = secrets.token_hex(8)
        body = MessageDrafted(
            name, chosen.id, chosen.title, chosen.audience, made.body, made.subject, chosen.state,
            moment(made.promises) if made.promises is not None else "", made.needs, _given(made.given),
        )  # fmt: skip
        await self._record(body)
        return self.messages.drafted[name], made.gaps

    async def heard(self) -> Heard:
        """What the timeline says newest, of lines that count: hypotheses that stand, and what was done."""
        from console.handover import newest
        from console.timeline import MARKS
        from data.line import Filter

        await self.room.caught_up()
        now = self.room.clock.now()
        doubts, actions = [
            [
                line
                for line in await newest(self.room, Filter(marks=frozenset({mark})), 0)
                if line.kind == NOTE
            ]
            for mark in (MARKS["question"], MARKS["action"])
        ]
        return Heard(
            [_told(line) for line in doubts],
            [f"{clock(line.at, now)} {_told(line)}" for line in actions],
        )

    async def edit(
        self,
        message: Message,
        *,
        subject: str | None = None,
        body: str | None = None,
        given: Mapping[str, str] | None = None,
    ) -> Message:
        """Give a message other words, or fill in facts where the text says that they are missing.

        Raises:
            Refused: it has gone out, nothing would change, or a fact has no place in the text.
        """
        if any(each.state not in OVER for each in message.deliveries.values()):
            raise Refused(
                f"{message.id[:8]} is on its way or has gone out.",
                "Draft a new one: that is a correction too.",
            )
        now = self.room.clock.now()
        new_subject = message.subject if subject is None else subject
        new_body = message.body if body is None else body
        promises = message.promises
        facts = dict(given or {})
        for name, text in facts.items():
            value = text.strip()
            if not value or len(value) > 2000:
                raise Refused(f"{name} is 1 to 2000 characters.")
            if name == "next_update":
                promises = moment_of(value, now)
                if promises is None:
                    raise Refused(f"{value} is no time.", "As in --set next_update=14:30 or +30min.")
                value = clock(promises, now)
            facts[name] = value
            words = _put(message, new_subject, new_body, name, value, now)
            if words is None:
                raise Refused(
                    f"The text has no place for {name}.",
                    f"Write it into the text: `warroom message edit {message.id[:8]} --text -`.",
                )
            new_subject, new_body = words
        if len(new_subject) > SUBJECT or len(new_body) > REQUEST:
            raise Refused(
                f"A message has at most {SUBJECT} characters of subject and {REQUEST:,} of text.",
                "Shorten it.",
            )
        if (new_subject, new_body, promises) == (message.subject, message.body, message.promises):
            raise Refused("Nothing would change.", "Say what: --text, --subject or --set NAME=VALUE.")
        promised = moment(promises) if promises is not None else ""
        await self._record(MessageEdited(message.id, new_subject, new_body, promised, _given(facts)))
        return self.messages.drafted[message.id]

    # -- checking and approving --------------------------------------------------------------------------

    async def findings(self, message: Message) -> list[Finding]:
        """Return everything that is wrong with a message, waived or not."""
        return self.judge(message, await asyncio.to_thread(vague_phrases))

    def judge(self, message: Message, vague: Sequence[str]) -> list[Finding]:
        """Return the same for whoever has read the phrases that say nothing, as while somebody types."""
        return check(message, self.room.clock.now(), vague, self._extra)

    async def waive(self, message: Message, code: str, reason: str) -> None:
        """Let a finding stand.

        Raises:
            Refused: there is no such finding, it cannot be waived, or there is no reason.
        """
        found = await self.findings(message)
        finding = next((each for each in found if each.code == code), None)
        if finding is None:
            codes = ", ".join(each.code for each in found) or "none"
            raise Refused(f"{message.id[:8]} has no finding {code}.", f"Its findings: {codes}.")
        if not finding.waivable:
            raise Refused(f"{finding.what} That cannot be waived.", finding.fix)
        if not reason.strip():
            raise Refused("Waiving needs a reason.", "Say why it may go out like this: --reason.")
        await self._record(MessageWaived(message.id, code, reason.strip()))

    async def approve(self, message: Message) -> Message:
        """Approve the words of a message as they are.

        Raises:
            Refused: something is wrong with it, it needs no approval, or the actor may not give it.
        """
        if message.audience in INSIDE:
            raise Refused("A message to responders needs no approval.", "Send it.")
        left = standing(message, await self.findings(message))
        if left:
            raise Refused(f"It cannot go out as it is: {left[0]}", "`warroom message show` lists everything.")
        who = await self.approvers(message)
        role = next((each.why for each in who.holders if each.person == self.room.actor), "")
        if not role:
            raise Refused(f"{self.room.actor} has no authority for this: {who.title}.", f"{who}")
        await self._record(MessageApproved(message.id, message.digest, role[:128]))
        return self.messages.drafted[message.id]

    async def approvers(self, message: Message) -> Who:
        """Who may approve a message: somebody has to, so that nobody named means nobody yet."""
        default = "notify-authorities" if message.audience == "regulator" else "comms-approval"
        wanted = AUTHORITIES.get(message.template, default)
        return await asyncio.to_thread(
            lambda: who_can(wanted, self.room.incident, in_force(self._config.authority))
        )

    # -- sending -----------------------------------------------------------------------------------------

    async def obstacles(self, message: Message, sender: Sender, *, publish: bool = True) -> list[Obstacle]:
        """Return what keeps a message from going to a sender, everything at once."""
        found: list[Obstacle] = []
        known = message.deliveries.get(sender.name)
        if known is not None and known.state not in OVER:
            fix = {
                "sent": "Nothing is to be done.",
                "unknown": f"Look there, then: warroom message settle {message.id[:8]} sent|not --to {sender.name} --reason WHAT-YOU-SAW.",
            }.get(known.state, "`warroom message list` says how far it is.")
            return [Obstacle(f"{message.id[:8]} is {known.state} for {sender.name}.", fix, known.state)]
        if message.cancelled is not None:
            found.append(Obstacle(f"{message.id[:8]} was cancelled.", "Draft a new one.", "cancelled"))
        if self.drill and sender.type != "file":
            found.append(
                Obstacle("A drill reaches no real service.", "Send it to a sender of type file.", "drill")
            )
        if message.audience not in sender.readers:
            found.append(
                Obstacle(
                    f"{sender.name} is not for {message.audience}, but for {', '.join(sender.readers)}.",
                    f"Choose another sender, or add `{message.audience}` to its audiences.",
                    "audience",
                )
            )
        for finding in standing(message, await self.findings(message)):
            fix = finding.fix
            if finding.waivable:
                fix += f" Or: warroom message waive {message.id[:8]} {finding.code} --reason WHY."
            found.append(Obstacle(finding.what, fix, finding.code))
        if message.audience not in INSIDE and message.approved is None:
            old = (
                "The words changed since it was approved." if message.approvals else "Nobody has approved it."
            )
            found.append(
                Obstacle(
                    old,
                    f"`warroom message approve {message.id[:8]}`. {await self.approvers(message)}",
                    "approval",
                )
            )
        if sender.type != "file" and not sender.publish:
            found.append(
                Obstacle(
                    f"Publishing to {sender.name} is off.",
                    "Set publish = true in its [[sender]] section.",
                    "publish",
                )
            )
        if not publish:
            found.append(
                Obstacle("Nothing was sent: this only shows what would be.", "Add --publish to send it.")
            )
        return found

    async def send(self, message: Message, names: Sequence[str], *, notify: bool = False) -> Message:
        """Queue a message for senders, all of them or none.

        Raises:
            Refused: something is in the way for one of them.
        """
        if not names:
            fits = [each.name for each in self.senders.values() if message.audience in each.readers]
            raise Refused(
                "To whom?", f"--to SENDER; for {message.audience}: {', '.join(fits) or 'none is configured'}."
            )
        chosen = [self.sender(name) for name in dict.fromkeys(names)]
        for sender in chosen:
            if found := await self.obstacles(message, sender):
                raise Refused(found[0].what, found[0].fix)
        await self._record(*(self._queued(message.id, message.digest, sender, notify) for sender in chosen))
        return self.messages.drafted[message.id]

    def _queued(self, message: str, digest: str, sender: Sender, notify: bool) -> MessageQueued:
        key = f"{self.room.case.id}:{message}:{sender.name}"
        return MessageQueued(message, sender.name, sender.type, digest, key, notify or sender.notify)

    async def cancel(self, message: Message, sender: str = "", reason: str = "") -> None:
        """Take a message back, from one sender or from all, as far as it has not gone out.

        Raises:
            Refused: there is nothing left that could be taken back.
        """
        concerned = [each for each in message.deliveries.values() if sender in ("", each.sender)]
        if sender and not concerned:
            raise Refused(f"{message.id[:8]} does not go to {sender}.")
        if concerned and not any(each.state in WAITING for each in concerned):
            states = ", ".join(f"{each.sender}: {each.state}" for each in concerned)
            raise Refused(
                f"Nothing of {message.id[:8]} can be taken back ({states}).",
                "If it was wrong, send a correction: warroom message draft.",
            )
        await self._record(MessageCancelled(message.id, sender, reason.strip()))

    async def settle(self, message: Message, sender: str, word: Literal["sent", "not"], reason: str) -> None:
        """Say what became of a message of which nobody knows whether it went out.

        Raises:
            Refused: that is known, or there is no reason.
        """
        delivery = message.deliveries.get(sender)
        lost = (
            delivery is not None
            and delivery.state == "trying"
            and self.room.clock.now() - delivery.at > 600 * SECOND
        )
        if delivery is None or (delivery.state != "unknown" and not lost):
            known = delivery.state if delivery is not None else "not for that sender"
            raise Refused(f"It is known what became of {message.id[:8]}: {known}.")
        if not reason.strip():
            raise Refused("Say what you saw.", "As in --reason 'it stands in the channel'.")
        await self._record(MessageSettled(message.id, sender, word, reason.strip()))

    # -- pages -------------------------------------------------------------------------------------------

    async def page(
        self,
        contacts: Sequence[str],
        reason: str,
        deed: Literal["trigger", "acknowledge", "resolve"] = "trigger",
        senders: Sequence[str] = (),
    ) -> tuple[Message, list[str]]:
        """Wake somebody, or say that they need not be woken any more. Returns the page, and whom no sender reaches.

        Args:
            contacts: contacts of the routing table or roles of the incident; none = whoever the senders reach.
            reason: why, in one line.
            deed: what becomes of the page.
            senders: which ones; none = all that reach one of the contacts.

        Raises:
            Refused: there is no reason, or nobody can be reached.
        """
        if not reason.strip():
            raise Refused("A page needs a reason.", "Say in one line why they are woken: --reason.")
        paging = [each for each in self.senders.values() if PAGE in each.readers]
        if senders:
            paging = [self.sender(name) for name in senders]
        fitting = [each for each in paging if not contacts or senders or set(contacts) & set(each.contacts)]
        if self.drill:
            fitting = [each for each in fitting if each.type == "file"]
        reached = {each for sender in fitting for each in sender.contacts}
        lost = [each for each in contacts if each not in reached and not senders]
        if not fitting:
            whom = ", ".join(contacts) or "anybody"
            why = (
                "A drill pages through a sender of type file."
                if self.drill
                else "Name them in contacts of a [[sender]]."
            )
            raise Refused(f"No sender here pages {whom}.", why)
        incident = self.room.incident
        name = secrets.token_hex(8)
        body = MessageDrafted(
            name, PAGE, PAGES[deed], "page", reason.strip(), f"[{incident.label}] {incident.title}: {reason.strip()}"[:500], deed,
            given=_given({"contacts": ", ".join(contacts)} if contacts else {}),
        )  # fmt: skip
        drafted = Message(
            name, PAGE, body.title, "page", deed, body.subject, body.body, None, (), {}, self.room.actor, 0
        )
        for sender in fitting:
            if found := await self.obstacles(drafted, sender):
                raise Refused(found[0].what, found[0].fix)
        await self._record(body, *(self._queued(name, drafted.digest, each, False) for each in fitting))
        return self.messages.drafted[name], lost

    async def _record(self, *bodies: Body) -> None:
        if self.room.read_only:
            raise reading_only()
        await self.room.record(*bodies)


def _put(
    message: Message, subject: str, body: str, name: str, value: str, now: int
) -> tuple[str, str] | None:
    """Return a text with a fact where it is missing or where another one stood; None: there is no such place."""
    before = [missing(name), message.given.get(name, "")]
    if name == "next_update" and message.promises is not None:
        before += [clock(message.promises, message.at), clock(message.promises, now)]
    old = next((each for each in before if each and each in f"{subject}\n{body}"), "")
    if old:
        return subject.replace(old, value), body.replace(old, value)
    label = next((need.label for need in message.needs if need.name == name and need.label), "")
    line = re.compile(rf"^({re.escape(label)}: *)[^\n]*$", re.MULTILINE)
    if label and line.search(body):
        return subject, line.sub(lambda found: found[1] + value, body, count=1)
    return (subject, body) if value in body else None


def _told(line: Line) -> str:
    """A line of the timeline as a message says it: on one line, and with whose words they are now."""
    from console.timeline import DISPUTED

    by = f" (corrected by {line.editor})" if line.editor else ""
    disputed = "DISPUTED: " if line.flags & DISPUTED else ""
    return f"{disputed}{' '.join(line.text.split())}{by}"


def vague_phrases() -> tuple[str, ...]:
    """The phrases that say nothing, of every document of messages in force."""
    return tuple(phrase for document in _documents() for phrase in document.vague)


def templates() -> list[Template]:
    """Every template in force."""
    return [each for document in _documents() for each in document.templates]


def _documents() -> tuple[Documents, ...]:
    from playbooks import library
    from playbooks.guidance import Messages as Model

    return library.in_force().documents(Model)


def _template(documents: Iterable[Documents], name: str) -> Template:
    known = [each for document in documents for each in document.templates]
    fits = [each for each in known if each.id == name] or [each for each in known if each.id.startswith(name)]
    if not name or len(fits) != 1:
        raise Refused(
            f"{'Several templates begin with' if name and fits else 'There is no template'} {name or 'without a name'}.",
            f"There are: {', '.join(each.id for each in fits or known)}.",
        )
    return fits[0]


def _cadence(documents: Iterable[Documents]) -> list[Cadence]:
    return [each for document in documents for each in document.cadence]


def _given(facts: Mapping[str, str]) -> tuple[Given, ...]:
    return tuple(Given(name, text) for name, text in facts.items())
