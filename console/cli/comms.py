"""`warroom message`, `warroom page`, `warroom sender`: what goes to others, and what became of it."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from argparse import Namespace
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, cast

from console.cli import exits
from console.cli.context import Context
from console.cli.trouble import complain
from console.comms import senders
from console.comms.check import INSIDE, standing
from console.comms.messenger import Messenger, templates
from console.comms.outbox import Outbox
from console.comms.state import OUTSTANDING
from console.refusal import Refused
from console.shown import visible
from data.clock import iso

if TYPE_CHECKING:
    from console.comms.draft import Gap
    from console.comms.state import Delivery, Message

WAIT = 20.0
"""Seconds for which a command waits for what becomes of a message; the outbox goes on without it."""
LOOK = 0.1
WIDTH = 80


def message(options: Namespace) -> int:
    """`warroom message`."""
    return asyncio.run(_Messages(Context(options)).do(options.action))


def page(options: Namespace) -> int:
    """`warroom page`."""
    return asyncio.run(_Messages(Context(options)).page())


def sender(options: Namespace) -> int:
    """`warroom sender`."""
    context = Context(options)
    chosen = [each for each in context.config.sender if options.name in ("", each.name)]
    if not chosen:
        known = ", ".join(each.name for each in context.config.sender)
        raise Refused(
            f"There is no sender {options.name}." if options.name else "No sender is configured.",
            f"Configured: {known}." if known else "Add a [[sender]] section; docs/comms.md says how.",
        )
    drill = context.directory.is_dir() and context.home().mode == "drill"
    code = exits.OK
    for each in chosen:
        value: dict[str, Any] = {
            "sender": each.name,
            "type": each.type,
            "publish": each.publish,
            "audiences": list(each.readers),
            "contacts": list(each.contacts),
        }
        on = "publish is on" if each.publish or each.type == "file" else "publish is off"
        line = f"{each.name}  {each.type}, {on}, for {', '.join(each.readers)}"
        if options.action == "test":
            try:
                if drill and each.type != "file":
                    raise Refused("A drill reaches no real service.")
                value["works"] = asyncio.run(senders.make(each).probe())
                line += f": {value['works']}; nothing was sent"
            except Refused as refused:
                code = exits.FAILED
                value["trouble"] = str(refused)
                line += f": DOES NOT WORK. {refused}"
        context.say(line, value)
    return code


class _Messages:
    def __init__(self, context: Context) -> None:
        self._context, self._options = context, context.options
        self._words: list[str] = list(getattr(context.options, "words", ()))
        self._messenger: Messenger

    async def do(self, action: str) -> int:
        if action == "templates":
            return self._templates()
        reading = action in ("list", "show")
        async with self._opened(sends=action in ("send", "resume"), reading=reading) as self._messenger:
            deed = cast("Callable[[], Awaitable[int | None]]", getattr(self, f"_{action}"))
            code = await deed()
        return exits.OK if code is None else code

    async def page(self) -> int:
        options = self._options
        deed: Literal["trigger", "acknowledge", "resolve"] = (
            "acknowledge" if options.acknowledge else "resolve" if options.resolve else "trigger"
        )
        async with self._opened(sends=True) as self._messenger:
            paged, lost = await self._messenger.page(options.contacts, options.reason, deed, options.to)
            for each in lost:
                complain(f"no sender reaches {each}: call them, and write it down (warroom note).")
            code = await self._wait(paged, list(paged.deliveries))
        return exits.FAILED if lost else code

    @asynccontextmanager
    async def _opened(self, *, sends: bool, reading: bool = False) -> AsyncIterator[Messenger]:
        from console.desk import Desk

        context = self._context
        home = context.home()
        outbox = None
        if sends:
            # Whoever only looks must not begin what takes longer than looking.
            longest = max((each.timeout / 1e9 for each in context.config.sender), default=0.0)
            outbox = Outbox(home, context.config.sender, redaction=context.redaction, patience=longest)
        desk = await Desk.open(
            home,
            context.actor,
            context.role,
            profile=context.config.profile,
            read_only=reading,
            outbox=outbox,
        )
        try:
            room = await desk.enter((await context.incident(desk)).case)
            yield Messenger(room, context.config)
        finally:
            await desk.close()

    # -- what there is -----------------------------------------------------------------------------------

    def _templates(self) -> int:
        for each in templates():
            self._context.say(
                f"{each.id:<22} {each.audience:<12} {visible(each.title, 40)}",
                {
                    "template": each.id,
                    "audience": each.audience,
                    "title": each.title,
                    "needs": list(each.needs),
                    "asks": {value.name: value.ask for value in each.values},
                },
            )
        return exits.OK

    async def _list(self) -> None:
        drafted = self._messenger.messages.drafted.values()
        for each in drafted:
            self._context.say(
                f"{each.id[:8]}  {iso(each.at, 0)}  {each.standing:<9} {each.audience:<12} "
                f"{visible(each.subject or each.title, 60)} ({visible(each.by, 30)})",
                _value(each),
            )
            if not self._options.json:
                for delivery in each.deliveries.values():
                    self._context.say(_wrapped(_delivery(delivery), "          "))
        if not drafted:
            self._context.say("No message yet. `warroom message templates` lists what can be drafted.")

    async def _show(self) -> None:
        each = self._message()
        found = await self._messenger.findings(each)
        value = _value(each) | {
            "findings": [
                {"code": one.code, "what": one.what, "fix": one.fix, "waived": each.waived.get(one.code, "")}
                for one in found
            ]
        }
        if self._options.json:
            self._context.say("", value)
            return
        self._say_text(each)
        for one in found:
            waived = each.waived.get(one.code) if one.waivable else None
            lead = f"waived {one.code} ({waived})" if waived is not None else f"in the way {one.code}"
            self._context.say(_wrapped(f"{lead}: {one}", "  "))
        for delivery in each.deliveries.values():
            self._context.say(_wrapped(_delivery(delivery), "  "))

    # -- what people do ----------------------------------------------------------------------------------

    async def _draft(self) -> None:
        if not self._words:
            raise Refused("Which message?", "`warroom message templates` lists what can be drafted.")
        each, gaps = await self._messenger.draft(self._words[0], self._facts())
        await self._say_drafted(each, gaps)

    async def _say_drafted(self, each: Message, gaps: Iterable[Gap]) -> None:
        gaps = list(gaps)
        if self._options.json:
            missing = [
                {"name": gap.name, "ask": gap.ask, "supply": gap.supply, "needed": gap.needed} for gap in gaps
            ]
            self._context.say("", _value(each) | {"missing": missing})
            return
        self._say_text(each)
        for gap in gaps:
            need = "MISSING" if gap.needed else "not known"
            self._context.say(_wrapped(f"{need} {gap.name}: {gap.ask}. Supply it: {gap.supply}", "  "))
        left = standing(each, await self._messenger.findings(each))
        for one in left:
            if not one.code.startswith("missing:"):
                self._context.say(_wrapped(f"in the way {one.code}: {one}", "  "))
        name = each.id[:8]
        if left:
            complain(f'before it can go, mend that: warroom message edit {name} --set NAME="…", or --text -')
        elif each.audience not in INSIDE and each.approved is None:
            complain(f"next: warroom message approve {name}")
        else:
            complain(f"next: warroom message send {name} --to SENDER --publish")

    async def _edit(self) -> None:
        text = self._options.text
        if text == "-":
            text = sys.stdin.read()
        each = await self._messenger.edit(
            self._message(), subject=self._options.subject, body=text, given=self._facts()
        )
        await self._say_drafted(each, ())

    async def _waive(self) -> None:
        if len(self._words) != 2:
            raise Refused(
                "Which finding of which message?", "As in: warroom message waive ID vague:soon --reason WHY."
            )
        each = self._message()
        await self._messenger.waive(each, self._words[1], self._options.reason)
        self._done(each, f"{self._words[1]} may stand")

    async def _approve(self) -> None:
        each = await self._messenger.approve(self._message())
        self._done(each, "approved, in these words")
        complain(f"next: warroom message send {each.id[:8]} --to SENDER --publish")

    async def _send(self) -> int:
        each, names = self._message(), list(dict.fromkeys(self._options.to))
        if not self._options.publish:
            self._say_text(each)
        chosen = [self._messenger.sender(name) for name in names]
        hindered = False
        for one in chosen:
            for obstacle in await self._messenger.obstacles(each, one, publish=self._options.publish):
                complain(f"{one.name}: {obstacle}")
                hindered = True
        if hindered:
            return exits.REFUSED
        each = await self._messenger.send(each, names, notify=self._options.notify)
        return await self._wait(each, names)

    async def _resume(self) -> int:
        """Go on with everything that is on its way: what a console left when it was closed."""
        code = exits.OK
        for each in list(self._messenger.messages.drafted.values()):
            names = [one.sender for one in each.deliveries.values() if one.state in OUTSTANDING]
            if names:
                self._context.say(f"{each.id[:8]}  {visible(each.subject or each.title, 60)}")
                code = max(code, await self._wait(each, names))
        return code

    async def _settle(self) -> None:
        word = self._words[1] if len(self._words) == 2 else ""
        if word not in ("sent", "not") or len(self._options.to) != 1:
            raise Refused(
                "What became of which message where?",
                "As in: warroom message settle ID sent|not --to SENDER --reason WHAT-YOU-SAW.",
            )
        each = self._message()
        known = cast("Literal['sent', 'not']", word)
        await self._messenger.settle(each, self._options.to[0], known, self._options.reason)
        self._done(each, "it went out" if word == "sent" else "it did not go out; it may be sent again")

    async def _cancel(self) -> None:
        each = self._message()
        for name in self._options.to or [""]:
            await self._messenger.cancel(each, name, self._options.reason)
        self._done(each, "is not to go out")

    async def _wait(self, each: Message, names: list[str]) -> int:
        """Wait for what becomes of a message, for a while, and say it."""
        room = self._messenger.room
        ends = asyncio.get_running_loop().time() + (0.0 if self._options.no_wait else WAIT)
        while True:
            await room.refresh()
            each = self._messenger.messages.drafted[each.id]
            deliveries = [each.deliveries[name] for name in names]
            # A second try may be minutes away; whoever waits is told and can go.
            over = all(one.state not in ("queued", "trying") for one in deliveries)
            if over or asyncio.get_running_loop().time() >= ends:
                break
            await asyncio.sleep(LOOK)
        for one in deliveries:
            self._context.say(
                _wrapped(_delivery(one), ""), {"message": each.id, "sender": one.sender, "state": one.state,
                                              "reason": one.reason, "reference": one.reference}
            )  # fmt: skip
            if one.state in OUTSTANDING:
                complain("it goes on while a console has this incident open; else: warroom message resume.")
            elif one.state == "unknown":
                complain(
                    f"look there, then: warroom message settle {each.id[:8]} sent|not --to {one.sender} --reason WHAT-YOU-SAW"
                )
        return exits.OK if all(one.state in ("sent", *OUTSTANDING) for one in deliveries) else exits.FAILED

    # -- words -------------------------------------------------------------------------------------------

    def _message(self) -> Message:
        return self._messenger.message(self._words[0] if self._words else "")

    def _facts(self) -> dict[str, str]:
        facts: dict[str, str] = {}
        for each in self._options.set:
            name, sign, text = each.partition("=")
            if not sign or not name.strip():
                raise Refused(f"{each} is no fact.", "As in --set impact='3 % of checkouts fail'.")
            facts[name.strip()] = text
        return facts

    def _say_text(self, each: Message) -> None:
        say = self._context.say
        say(f"{each.id[:8]}  {each.template} for {each.audience}: {each.standing}")
        if each.subject:
            say(f"  Subject: {visible(each.subject, 500)}")
        # As it is: what goes out is read before it goes, word for word.
        say(textwrap.indent(visible(each.body, 100_000, lines=True), "  "))

    def _done(self, each: Message, text: str) -> None:
        self._context.say(f"{each.id[:8]}: {text}", {"message": each.id, "standing": each.standing})


def _delivery(one: Delivery) -> str:
    when = iso(one.done_at or one.at, 0)
    by = f"by {visible(one.by, 40)}"
    more = f": {visible(one.reason or one.reference, 400)}" if one.reason or one.reference else ""
    again = f"; again at {iso(one.again, 0)}" if one.state == "retry" and one.again else ""
    return f"{one.sender}: {one.state} {when} {by}{more}{again}"


def _value(each: Message) -> dict[str, Any]:
    return {
        "message": each.id,
        "template": each.template,
        "title": each.title,
        "audience": each.audience,
        "state": each.state,
        "standing": each.standing,
        "subject": each.subject,
        "body": each.body,
        "promises": iso(each.promises, 0) if each.promises is not None else "",
        "by": each.by,
        "at": iso(each.at, 9),
        "approved_by": each.approved.by if each.approved is not None else "",
        "waived": each.waived,
        "deliveries": [
            {
                "sender": one.sender,
                "type": one.type,
                "state": one.state,
                "by": one.by,
                "at": iso(one.at, 9),
                "done_at": iso(one.done_at, 9) if one.done_at else "",
                "attempts": one.attempts,
                "reason": one.reason,
                "reference": one.reference,
            }
            for one in each.deliveries.values()
        ],
    }


def _wrapped(text: str, indent: str) -> str:
    # A name that was cut in two cannot be copied.
    return textwrap.fill(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
