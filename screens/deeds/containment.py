"""Deeds on containment: halt, deal with a target, let go on, read the receipt, carry a move out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from console.containment.verdict import spoken
from console.refusal import Refused
from screens.background import background
from screens.commands import BY_ID, reason
from screens.console_screen import ConsoleScreen, does, refusal
from screens.containment import ContainmentScreen
from screens.dialogs.form import Field, Form, Text
from screens.dialogs.halt import SCOPES, Halt
from screens.dialogs.page import Page
from screens.display import many
from screens.reading_containment import receipt_page
from screens.widgets.containment import title
from screens.widgets.sheet import Para

if TYPE_CHECKING:
    from console.containment.catalogue import Offer
    from console.desk import Desk
    from console.events import HeldWord
    from console.room import Room

SHOWN = 40
"""Targets of which a dry run shows what would be sent."""


@does("halt")
def halt(screen: ConsoleScreen, words: str = "") -> None:
    """Ask how much, with a digit; Enter halts. `words`: the scope and the name, as in `agent planner-3`."""
    app = screen.console_app
    if any(isinstance(each, Halt) for each in app.screen_stack):
        return
    dialog = Halt(app, app.urgent_over)
    app.push_screen(dialog)
    named, _, subject = words.strip().partition(" ")
    for scope in SCOPES:
        if named == scope:
            dialog.choose(scope)
            dialog.named(subject.strip())


@does("focus.containment")
def focus(screen: ConsoleScreen, words: str = "") -> None:
    """Show what is stopped; again: the room."""
    if isinstance(screen, ContainmentScreen):
        screen.console_app.back_to_room()
    else:
        screen.console_app.show_containment()


@does("containment.mark")
def mark(screen: ConsoleScreen, words: str = "") -> None:
    """Mark the row."""
    if isinstance(screen, ContainmentScreen):
        screen.mark()


def open_row(screen: ContainmentScreen) -> None:
    """Show everything about the row, with what can be done."""
    now = screen.situation()
    names = (
        "containment.release",
        "containment.drop",
        "containment.hold",
        "containment.fire",
        "containment.answer",
        "containment.restore",
        "containment.receipt",
        "containment.carry",
        "containment.plan",
    )
    commands = [BY_ID[name] for name in names if not reason(BY_ID[name], now)]

    def leave(name: str | None) -> None:
        if name:
            screen.command(name)

    screen.app.push_screen(Page("Containment", screen.paragraphs(), commands, screen.keymap), leave)


@does("containment.receipt")
def receipt(screen: ConsoleScreen, words: str = "") -> None:
    """Show the receipt of the selected order."""
    row = screen.selected if isinstance(screen, ContainmentScreen) else None
    if row is not None and row.of is not None:
        screen.app.push_screen(Page("Receipt", receipt_page(row.of), (), screen.keymap))


@does("containment.answer")
def answer(screen: ConsoleScreen, words: str = "") -> None:
    """Ask how the chosen targets were dealt with, and what shows it."""
    room, desk = screen.room, screen.desk
    if not isinstance(screen, ContainmentScreen) or room is None or desk is None:
        return
    rows = [row for row in screen.chosen if row.standing is not None and row.standing.open]

    async def submit(answers: Mapping[str, str]) -> None:
        stopping = screen.console_app.stopping
        containing, own = await stopping.ready(desk), await stopping.own(desk, room)
        for row in rows:
            await containing.answer(own, row.order, row.id, answers["how"], answers["evidence"])
        screen.unmark()
        screen.say(f"{many(len(rows), 'target')} dealt with", "ok")

    fields = (
        Text("how", "How it was dealt with", words, "Say in one line how it was dealt with."),
        Text("evidence", "What shows it (may stay empty)", limit=500),
    )
    about = ", ".join(row.id for row in rows[:10])
    screen.app.push_screen(Form("Deal with it", fields, submit, about=about, verb="record it"))


@does("containment.restore")
def restore(screen: ConsoleScreen, words: str = "") -> None:
    """Ask why the chosen targets may go on, then let them."""
    room, desk = screen.room, screen.desk
    if not isinstance(screen, ContainmentScreen) or room is None or desk is None:
        return
    rows = [row for row in screen.chosen if row.of is not None and not (row.standing and row.standing.lifted)]
    order = rows[0].of if rows else None
    if order is None:
        return
    # On the order itself: all of it.
    targets = () if any(row.kind == "order" for row in rows) else tuple(row.id for row in rows)
    count = len(targets) or len(order.targets)

    async def submit(answers: Mapping[str, str]) -> None:
        stopping = screen.console_app.stopping
        containing, own = await stopping.ready(desk), await stopping.own(desk, room)
        await containing.restore(own, order.body.order, targets, answers["reason"])
        screen.unmark()
        screen.say(f"{many(count, 'target')} may go on; it is looked whether they do", "high")

    why = Text("reason", "Why they may go on", words, "Letting something go on needs a reason, in one line.")
    named = ", ".join(targets[:10]) or "everything that it stopped"
    lines = (f"{title(order)[:120]}: {many(count, 'target')} of {len(order.targets):,} may go on.",)
    screen.app.push_screen(Form("Let go on", (why,), submit, about=named, lines=lines, verb="LET THEM GO ON"))


# -- held actions -------------------------------------------------------------------------------------------


@does("containment.release")
def release(screen: ConsoleScreen, words: str = "") -> None:
    """Ask why the chosen actions may be carried out."""
    _decide(screen, "release", "Release", "Why they may be carried out", words)


@does("containment.drop")
def drop(screen: ConsoleScreen, words: str = "") -> None:
    """Ask why the chosen actions must never be carried out."""
    _decide(screen, "drop", "Drop", "Why they must never be carried out", words)


@does("containment.hold")
def hold(screen: ConsoleScreen, words: str = "") -> None:
    """Hold the chosen actions on."""
    _decide(screen, "hold", "Hold on", "What they wait for (may stay empty)", words)


def _decide(screen: ConsoleScreen, word: HeldWord, title_: str, ask: str, words: str) -> None:
    room, desk = screen.room, screen.desk
    if not isinstance(screen, ContainmentScreen) or room is None or desk is None:
        return
    held = [row.held for row in screen.chosen if row.held is not None and row.held.open]

    async def submit(answers: Mapping[str, str]) -> None:
        names = ["/".join(each.place) for each in held]
        stopping = screen.console_app.stopping
        ends = await stopping.decide(desk, room, names, word, answers["reason"])
        screen.unmark()
        bad = [each for each in ends if each.state in ("refused", "unknown")]
        said = f"{many(len(ends) - len(bad), 'action')}: {word}"
        screen.say(f"{said}; {len(bad)} NOT: {bad[0].note}" if bad else said, "crit" if bad else "ok")

    required = "" if word == "hold" else f"To {word} a held action needs a reason, in one line."
    shown = [
        Para(each.action.what or "its queue does not say", each.id[:40], agent=True) for each in held[:SHOWN]
    ]
    lines = (f"{title_} {many(len(held), 'held action')}",)
    why = Text("reason", ask, words, required)
    screen.app.push_screen(Form(title_, (why,), submit, lines=lines, shown=shown, verb=title_.upper()))


@does("containment.look")
def look(screen: ConsoleScreen, words: str = "") -> None:
    """Ask the queues."""
    if screen.room is not None and screen.desk is not None:
        stopping = screen.console_app.stopping
        screen.start(stopping.ask_queues(screen.desk, screen.room), "every queue was asked")


# -- moves --------------------------------------------------------------------------------------------------


@does("containment.plan")
def plan(screen: ConsoleScreen, words: str = "") -> None:
    """Show what the selected move would send."""
    row = screen.selected if isinstance(screen, ContainmentScreen) else None
    if screen.desk is not None and row is not None and row.offer is not None:
        screen.start(_plan(screen, screen.desk, row.offer, words.strip()))


async def _plan(screen: ConsoleScreen, desk: Desk, offer: Offer, subject: str) -> None:
    found = await _foreseen(screen, desk, offer, subject, {})
    if found:
        screen.app.push_screen(Page(f"Dry run: {offer.move.verb}", found, (), screen.keymap))


async def _foreseen(
    screen: ConsoleScreen, desk: Desk, offer: Offer, subject: str, args: Mapping[str, str]
) -> list[Para]:
    containing = await screen.console_app.stopping.ready(desk)
    found = await asyncio.to_thread(containing.plan, offer.move.verb, subject, args)
    paras = [Para(words, target.id[:40]) for target, words in found[:SHOWN]]
    if len(found) > SHOWN:
        paras.append(Para(f"and {len(found) - SHOWN:,} more", "", "quiet"))
    return paras


@does("containment.carry")
def carry(screen: ConsoleScreen, words: str = "") -> None:
    """Ask for what the move needs, show what it would send, and carry it out."""
    room, desk = screen.room, screen.desk
    row = screen.selected if isinstance(screen, ContainmentScreen) else None
    if room is None or desk is None or row is None or row.offer is None:
        return
    if row.offer.move.family == "record":
        screen.say("This is done on the record, with a key of its own: ? lists them.", "high")
        return
    background(screen, _carry, screen, desk, room, row.offer)


def subject_of(offer: Offer) -> str:
    """Return the argument that names what a move is about; empty when none of them does."""
    return next((arg for arg in offer.move.args if arg in offer.move.target.split()), "")


async def _carry(screen: ConsoleScreen, desk: Desk, room: Room, offer: Offer) -> None:
    move, about = offer.move, subject_of(offer)
    shown = await _foreseen(screen, desk, offer, "", {})
    fields: list[Field] = []
    if not about:
        fields.append(Text("subject", f"Which {move.target} (empty: all that the points know)", limit=200))
    fields += [
        Text(arg, arg, required=f"It needs: {arg}.", limit=500) for arg in move.args if arg != "reason"
    ]
    fields.append(Text("reason", "Why (may stay empty)"))

    async def submit(answers: Mapping[str, str]) -> None:
        stopping = screen.console_app.stopping
        containing = await stopping.ready(desk)
        args = {arg: answers[arg] for arg in move.args if answers.get(arg)}
        if "reason" in move.args and not answers["reason"]:
            raise Refused("It needs a reason.", "Say why in one line.")
        order = await containing.order(
            await stopping.own(desk, room), move.verb, subject=answers[about or "subject"], args=args,
            reason=answers["reason"],
        )  # fmt: skip
        screen.say(f"{move.verb} is under way: {order}", "high")

    warn = [Para("It destroys evidence: keep what is needed first (K).", "", "crit")] * move.destroys_evidence
    warn += [Para("It cannot be taken back.", "", "crit")] * (not move.reversible)
    screen.app.push_screen(
        Form(move.title, tuple(fields), submit, shown=[*warn, *shown], verb="CARRY IT OUT")
    )


# -- live fire ----------------------------------------------------------------------------------------------


@does("containment.fire")
def fire(screen: ConsoleScreen, words: str = "") -> None:
    """Ask once more, then stop the selected canary for real and let it go on."""
    desk = screen.desk
    row = screen.selected if isinstance(screen, ContainmentScreen) else None
    if not isinstance(screen, ContainmentScreen) or desk is None or row is None or row.point is None:
        return
    name = row.point.name

    async def submit(answers: Mapping[str, str]) -> None:
        screen.say(f"live fire on canary {name} is under way", "high")
        # Of the app: it goes on when this screen is left.
        background(screen.console_app, _fire, screen, desk, name)

    lines = (f"Canary {name} is stopped for real, seen to stand still, and let go on.",)
    screen.app.push_screen(Form("Live fire", (), submit, lines=lines, verb="FIRE"))


async def _fire(screen: ContainmentScreen, desk: Desk, name: str) -> None:
    app = screen.console_app
    try:
        fired = await app.stopping.fire(desk, name)
    except Exception as error:
        app.say(*refusal(error))
        return
    good = all(each.works for each in fired)
    said = "; ".join(f"{each.verb}: {spoken(each.order)}" for each in fired)
    app.say(f"canary {name} {'holds' if good else 'DID NOT HOLD'}: {said}", "ok" if good else "crit")
    if screen.is_attached:
        await screen.look_at_coverage()
