"""Deeds on messages: draft, fill in, edit, waive, approve, send, take back, settle; and waking somebody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from console.comms.state import WAITING
from console.refusal import Refused
from screens.background import background
from screens.commands import BY_ID, reason
from screens.console_screen import ConsoleScreen, does
from screens.dialogs.form import Choice, Field, Form, Option, Text
from screens.dialogs.page import Page
from screens.messages import MessagesScreen
from screens.reading_messages import hindrance
from screens.times import hm
from screens.widgets.sheet import Para

if TYPE_CHECKING:
    from console.comms.messenger import Messenger
    from console.comms.state import Message
    from console.config import Sender
    from console.room import Room

KEYS = "123456789abcdefghilmnopqrtuvwxyz"
"""Keys that pick one of many: none of them moves in a list."""
CHANGED = "Meanwhile the words are others."
PAGES = ("message.edit", "message.fill", "message.waive", "message.approve", "message.send", "message.settle",
         "message.cancel", "copy")  # fmt: skip


class Chosen(NamedTuple):
    """A message, with all that it takes to do something with it."""

    screen: MessagesScreen
    room: Room
    messenger: Messenger
    message: Message

    @property
    def newest(self) -> Message:
        """The message as it is now."""
        return self.messenger.messages.drafted[self.message.id]

    def unchanged(self) -> None:
        """Raise `Refused` if the words are no longer those that were shown."""
        if self.newest.digest != self.message.digest:
            raise Refused(CHANGED, "Esc, then look at it again.")


def chosen(screen: ConsoleScreen) -> Chosen | None:
    """Return the message under the cursor, as it is at this moment."""
    from dataclasses import replace

    room = screen.room
    if not isinstance(screen, MessagesScreen) or room is None or (message := screen.message) is None:
        return None
    return Chosen(screen, room, screen.known.messenger(room), replace(message))


def words(message: Message) -> list[Para]:
    """Return the words of a message as they would go out."""
    return [Para(message.subject, "subject", "strong"), Para(message.body, "text")]


@does("focus.messages")
def focus(screen: ConsoleScreen, words: str = "") -> None:
    """Show the messages; again: the room."""
    if isinstance(screen, MessagesScreen):
        screen.console_app.back_to_room()
    else:
        screen.console_app.show_messages()


def open_row(screen: MessagesScreen) -> None:
    """Draft the template under the cursor, or show everything about the row."""
    row = screen.selected
    if row is None:
        return
    if row.kind == "template":
        screen.command("message.draft", row.id)
        return
    now = screen.situation()
    titles = {"message": "Message", "delivery": "Message", "sender": "Sender"}
    commands = [BY_ID[name] for name in PAGES if row.kind != "sender" and not reason(BY_ID[name], now)]

    def leave(name: str | None) -> None:
        if name:
            screen.command(name)

    screen.app.push_screen(Page(titles[row.kind], screen.paragraphs(), commands, screen.keymap), leave)


# -- words --------------------------------------------------------------------------------------------------


@does("message.draft")
def draft(screen: ConsoleScreen, words: str = "") -> None:
    """Draft the template that is named, or ask which."""
    if (room := screen.room) is not None:
        background(screen, _draft, screen, room, words.strip())


async def _draft(screen: ConsoleScreen, room: Room, name: str) -> None:
    known = screen.console_app.correspondence
    if not await screen.attempt(known.read()):
        return
    if name:
        await screen.attempt(_drafted(screen, room, name))
        return
    options = tuple(
        Option(key, each.id, f"{each.title}, for {each.audience}")
        for key, each in zip(KEYS, known.templates or (), strict=False)
    )

    async def submit(answers: Mapping[str, str]) -> None:
        await _drafted(screen, room, answers["template"])

    field = Choice("template", "Which message", options)
    screen.app.push_screen(Form("Draft a message", (field,), submit, verb="draft it"))


async def _drafted(screen: ConsoleScreen, room: Room, name: str) -> None:
    made, gaps = await screen.console_app.correspondence.messenger(room).draft(name)
    needed = [gap.name for gap in gaps if gap.needed]
    said = (
        f"drafted; = supplies what is missing: {', '.join(needed)}"
        if needed
        else "drafted; nothing is missing"
    )
    screen.console_app.show_messages(made.id, said, "high" if needed else "ok")


@does("message.edit")
def edit(screen: ConsoleScreen, words: str = "") -> None:
    """Change the words."""
    if (one := chosen(screen)) is not None:
        one.screen.edit(one.message)


@does("message.save")
def save(screen: ConsoleScreen, words: str = "") -> None:
    """Save the words that are being edited."""
    if isinstance(screen, MessagesScreen):
        screen.save()


@does("message.fill")
def fill(screen: ConsoleScreen, words: str = "") -> None:
    """Ask for the facts that the message needs, what is missing first."""
    one = chosen(screen)
    if one is None:
        return
    message = one.message
    asks = {need.name: need.ask for need in message.needs}
    names = [*asks, *(name for name in message.given if name not in asks)]
    lacks = {each.code for each in one.screen.known.standing(one.room, message)}
    names.sort(key=lambda name: f"missing:{name}" not in lacks)
    fields = tuple(
        Text(
            name,
            f"{'MISSING ' if f'missing:{name}' in lacks else ''}{name}: {asks.get(name, name)}",
            message.given.get(name, ""),
        )
        for name in names
    )

    async def submit(answers: Mapping[str, str]) -> None:
        changed = {
            name: said for name, said in answers.items() if said and said != message.given.get(name, "")
        }
        if not changed:
            raise Refused("Nothing would change.", "Type what is so, or Esc.")
        await one.messenger.edit(one.newest, given=changed)
        one.screen.say(f"filled in: {', '.join(changed)}", "ok")

    one.screen.app.push_screen(
        Form("Facts of the message", fields, submit, about=message.title, verb="fill in")
    )


@does("message.waive")
def waive(screen: ConsoleScreen, words: str = "") -> None:
    """Let a finding of the check stand, with a reason."""
    one = chosen(screen)
    if one is None:
        return
    left = [each for each in one.screen.known.standing(one.room, one.message) if each.waivable]
    options = tuple(Option(key, each.code, each.what) for key, each in zip(KEYS, left, strict=False))

    async def submit(answers: Mapping[str, str]) -> None:
        await one.messenger.waive(one.newest, answers["code"], answers["reason"])
        one.screen.say(f"{answers['code']} may stand", "ok")

    fields = (
        Choice("code", "What may stand", options),
        Text("reason", "Why it may go out like this", words, "Waiving needs a reason."),
    )
    one.screen.app.push_screen(Form("Let it stand", fields, submit, about=one.message.title, verb="waive"))


@does("message.approve")
def approve(screen: ConsoleScreen, _: str = "") -> None:
    """Show exactly the words, and approve them."""
    one = chosen(screen)
    if one is None:
        return
    if left := one.screen.known.standing(one.room, one.message):
        one.screen.say(f"It cannot be approved as it is: {left[0].what} Enter shows everything.", "high")
        return

    async def submit(answers: Mapping[str, str]) -> None:
        one.unchanged()
        await one.messenger.approve(one.newest)
        one.screen.say("approved, in these words; > sends it", "ok")

    shown = [Para(one.message.audience, "goes to", "strong"), *words(one.message)]
    one.screen.app.push_screen(Form("Approve these words", (), submit, verb="approve", shown=shown))


# -- sending ------------------------------------------------------------------------------------------------


@does("message.send")
def send(screen: ConsoleScreen, words: str = "") -> None:
    """Show the words and what is in the way for each sender, and send it to those that are chosen."""
    if (one := chosen(screen)) is not None:
        background(one.screen, _send, one, words.split())


async def _send(one: Chosen, named: Sequence[str]) -> None:
    message, screen = one.message, one.screen
    fitting = [each for each in one.messenger.senders.values() if message.audience in each.readers]
    if named:
        fitting = [each for each in fitting if each.name in named]
    if not fitting:
        screen.say(
            f"No sender is configured for {message.audience}: [[sender]] in the configuration adds one.",
            "high",
        )
        return
    found = {each.code: each for each in screen.known.judge(one.room, message)}
    free: list[Sender] = []
    shown: list[Para] = []
    for sender in fitting:
        obstacles = await one.messenger.obstacles(message, sender)
        if not obstacles:
            free.append(sender)
            continue
        shown += [Para(hindrance(each, found.get(each.code)), sender.name, "high") for each in obstacles]
    if not free:
        screen.say(shown[0].text, "high")
        if len(shown) > 1:
            screen.app.push_screen(Page("It cannot go yet", shown, (), screen.keymap))
        return
    _ask_where(one, free, [*words(message), *shown])


def _ask_where(one: Chosen, free: Sequence[Sender], shown: list[Para]) -> None:
    names = [each.name for each in free]
    options = [
        Option(key, each.name, f"{each.name} ({each.type})") for key, each in zip(KEYS, free, strict=False)
    ]
    if len(names) > 1:
        options.append(Option("0", " ".join(names), f"all of them: {', '.join(names)}"))
    wanted = "Choose to whom it goes." if len(names) > 1 else ""
    fields: list[Field] = [Choice("senders", "To whom", tuple(options), required=wanted)]
    if any(each.type in ("statuspage", "cachet") for each in free):
        told = (Option("n", "no", "subscribers are not told"), Option("y", "yes", "subscribers are told"))
        fields.append(Choice("notify", "Status page", told))

    async def submit(answers: Mapping[str, str]) -> None:
        one.unchanged()
        chosen_ = answers["senders"].split()
        await one.messenger.send(one.newest, chosen_, notify=answers.get("notify") == "yes")
        one.screen.say(f"on its way to {', '.join(chosen_)}; the list says when it is there", "ok")

    drill = "a drill: files only" if one.messenger.drill else "for real"
    one.screen.app.push_screen(Form(f"Send, {drill}", tuple(fields), submit, verb="SEND it", shown=shown))


@does("message.cancel")
def cancel(screen: ConsoleScreen, words: str = "") -> None:
    """Take a message back, as far as it has not gone out."""
    one = chosen(screen)
    if one is None:
        return
    row = one.screen.selected
    sender = row.sender if row is not None and row.kind == "delivery" else ""
    where = f"from {sender}" if sender else "from everywhere"

    async def submit(answers: Mapping[str, str]) -> None:
        await one.messenger.cancel(one.newest, sender, answers["reason"])
        one.screen.say("taken back; what went out stays out", "ok")

    why = Text("reason", f"Why it is taken back {where}", words, "Say why in one line.")
    one.screen.app.push_screen(
        Form("Take the message back", (why,), submit, about=one.message.subject, verb="take it back")
    )


@does("message.settle")
def settle(screen: ConsoleScreen, words: str = "") -> None:
    """Say what became of a message of which nobody knows whether it went out."""
    one = chosen(screen)
    if one is None:
        return
    unknown = [each for each in one.message.deliveries.values() if each.state in ("unknown", "trying")]
    row = one.screen.selected
    if row is not None and row.kind == "delivery":
        unknown = [each for each in unknown if each.sender == row.sender] or unknown
    senders = tuple(
        Option(key, each.sender, f"{each.sender}: {each.reason or each.state}")
        for key, each in zip(KEYS, unknown, strict=False)
    )
    became = (
        Option("y", "sent", "it went out: it stands there"),
        Option("n", "not", "it did not go out: it may be sent again"),
    )

    async def submit(answers: Mapping[str, str]) -> None:
        word = cast("Literal['sent', 'not']", answers["word"])
        sender = answers.get("sender") or unknown[0].sender
        await one.messenger.settle(one.newest, sender, word, answers["reason"])
        one.screen.say("settled: it went out" if word == "sent" else "settled: > may send it again", "ok")

    fields: tuple[Field, ...] = (
        Choice("word", f"What became of it at {senders[0].text}" if len(senders) == 1 else "What became of it",
               became, required="Choose what became of it."),
        Text("reason", "What you saw there", words, "Say what you saw, in one line."),
    )  # fmt: skip
    if len(senders) > 1:
        fields = (Choice("sender", "Where", senders, required="Choose where."), *fields)
    one.screen.app.push_screen(
        Form("Unknown delivery", fields, submit, about=one.message.subject, verb="settle")
    )


@does("message.resume")
def resume(screen: ConsoleScreen, words: str = "") -> None:
    """Go on with everything that is on its way, and say how far it is."""
    room, desk = screen.room, screen.desk
    if room is None or desk is None:
        return
    going = [
        (message, each)
        for message, each in room.incident.messages.deliveries()
        if each.state in (*WAITING, "trying")
    ]
    if not going:
        screen.say("Nothing is on its way.")
        return
    mine = [each for _, each in going if each.rep == room.replica]
    if desk.outbox is None or not mine:
        where = (
            "no sender is configured here"
            if desk.outbox is None
            else "another console queued it and sends it"
        )
        screen.say(f"{len(going)} on the way: {where}.", "high")
        return
    desk.outbox.tend(room)
    again = [each.again for each in mine if each.again]
    when = f"; the next try at {hm(min(again))}Z" if again else ""
    screen.say(f"{len(mine)} on the way from here{when}")


# -- waking somebody ----------------------------------------------------------------------------------------


@does("message.page")
def page(screen: ConsoleScreen, words: str = "") -> None:
    """Wake somebody, or say that they need not be woken any more."""
    room = screen.room
    if room is None:
        return
    messenger = screen.console_app.correspondence.messenger(room)
    reached = sorted({each for sender in messenger.senders.values() for each in sender.contacts})
    deeds = (
        Option("w", "trigger", "wake them"),
        Option("a", "acknowledge", "acknowledge: somebody works on it"),
        Option("r", "resolve", "resolve: they need not come any more"),
    )

    async def submit(answers: Mapping[str, str]) -> None:
        deed = cast("Literal['trigger', 'acknowledge', 'resolve']", answers["deed"])
        contacts = answers["contacts"].replace(",", " ").split()
        made, lost = await messenger.page(contacts, answers["reason"], deed)
        said = f"page on its way to {', '.join(made.deliveries)}"
        if lost:
            said = f"NOBODY PAGES {', '.join(lost)}: call them, and write it down."
        screen.console_app.show_messages(made.id, said, "crit" if lost else "ok")

    fields = (
        Choice("deed", "What", deeds),
        Text("contacts", f"Whom (senders reach: {', '.join(reached) or 'nobody is named'}; empty = all)"),
        Text("reason", "Why, in one line", words, "A page needs a reason."),
    )
    screen.app.push_screen(Form("Page", fields, submit, verb="do it"))
