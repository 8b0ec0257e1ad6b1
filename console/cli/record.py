"""Commands that write: each is one call of the desk or the room, and one line of what is on record."""

from __future__ import annotations

import asyncio
import sys
from argparse import Namespace
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from console import plain
from console.cli import exits
from console.cli.context import Context
from console.cli.trouble import complain
from console.refusal import Refused
from console.scribe import LONGEST, parse
from console.shown import visible
from data.clock import iso
from data.trouble import StoreTrouble
from playbooks import duration

if TYPE_CHECKING:
    from typing import TypeAlias

    from console.desk import Desk
    from console.events import CheckState, MomentName, RollbackState
    from console.incident import Incident
    from console.room import Room
    from data.envelope import Event

    # The event that a command made, and what it says beyond the command's own words.
    Outcome: TypeAlias = Event | tuple[Event, str] | None


def declare(options: Namespace) -> int:
    """`warroom declare`."""
    context = Context(options)
    severity = _level(options.severity)
    captured: list[str] = []

    async def run() -> None:
        async with context.desk(create=True) as desk:
            room = await desk.declare(
                " ".join(options.title),
                severity,
                alerts=options.alert,
                reason=options.reason,
                commander=options.commander,
            )
            if options.scope or options.impact:
                await room.state_impact(options.scope, options.impact)
            state = room.incident
            context.say(
                f"{state.code} {state.label} declared {iso(state.declared_at, 0)}: {visible(state.title)}",
                {
                    "incident": state.code,
                    "case": state.case,
                    "mode": state.mode,
                    "severity": state.severity,
                    "label": state.label,
                    "title": state.title,
                    "declared_at": iso(state.declared_at, 9),
                },
            )
            if options.alert:
                from console.evidence import capture

                # On record now, carried out by a process that nobody waits for.
                if await capture.ask(room, desk.home, desk.board.alerts):
                    captured.append(room.case.id)

    asyncio.run(run())
    if captured:
        from console.evidence import capture

        capture.detached(context.home(), captured[0])
    return exits.OK


def note(options: Namespace) -> int:
    """`warroom note`."""
    text = " ".join(word.removeprefix(" ") for word in options.text)
    if text in ("", "-"):
        text = _piped()

    from console.events import instant, read

    async def write(room: Room) -> Outcome:
        event = await room.note(text)
        # With its date: a time of day that has not come yet is one of the day before.
        backdated = event.at != instant(getattr(read(event), "typed", ""))
        return event, f"at {iso(event.at, 0)}" if backdated else ""

    return in_room(options, write, "noted", typed=text)


def amend(options: Namespace) -> int:
    """`warroom amend`."""
    text = " ".join(options.text)
    return in_room(
        options, lambda room: room.amend(options.entry, text, options.reason), "corrected", typed=text
    )


def retract(options: Namespace) -> int:
    """`warroom retract`."""
    return in_room(options, lambda room: room.retract(options.entry, _text(options.reason)), "retracted")


def reinstate(options: Namespace) -> int:
    """`warroom reinstate`."""
    return in_room(options, lambda room: room.reinstate(options.entry, _text(options.reason)), "counts again")


def dispute(options: Namespace) -> int:
    """`warroom dispute`."""
    return in_room(options, lambda room: room.dispute(options.entry, _text(options.reason)), "disputed")


def settle(options: Namespace) -> int:
    """`warroom settle`."""
    return in_room(options, lambda room: room.settle(options.entry, _text(options.reason)), "settled")


def seal(options: Namespace) -> int:
    """`warroom seal`."""

    async def write(room: Room) -> None:
        if not await room.witness():
            raise Refused(
                "There is nothing new to seal here, or another war room writes this incident.",
                "Seal it there, or after the next exchange.",
            )

    return in_room(options, write, "sealed: what was seen of each console stands in a checkpoint")


def undo(options: Namespace) -> int:
    """`warroom undo`."""
    return in_room(options, lambda room: room.undo(), "took back:")


def tick(options: Namespace) -> int:
    """`warroom tick`."""
    state = cast("CheckState", options.state.replace("-", "_"))
    reason = _text(options.reason)
    return in_room(
        options,
        lambda room: room.tick(_item(room.incident, options.item), state, reason, options.evidence),
        f"{options.item} {options.state}",
    )


def claim(options: Namespace) -> int:
    """`warroom claim`."""
    return in_room(
        options,
        lambda room: room.claim(_item(room.incident, options.item), "" if options.release else room.actor),
        f"{options.item} {'given back' if options.release else 'taken'}",
    )


def severity(options: Namespace) -> int:
    """`warroom severity`."""
    if options.level == "suggest":
        from console.cli.triage import suggest

        return suggest(options)
    if options.answer:
        raise Refused(
            "--answer goes with `severity suggest`.", "`warroom form severity` puts answers on the record."
        )
    from console import runbook

    level = _level(options.level)

    async def change(room: Room) -> None:
        label = runbook.label(level, room.incident.profile or "merged")
        await room.set_severity(level, label, _text(options.reason))

    return in_room(options, change, f"severity is now {level}")


def assign(options: Namespace) -> int:
    """`warroom assign`."""
    role, person = options.assigned, options.person
    if options.release:
        return in_room(options, lambda room: room.release(role, person), f"{person} is no longer {role}")
    return in_room(options, lambda room: room.assign(role, person), f"{person} is {role}")


def contain(options: Namespace) -> int:
    """`warroom contain`."""

    async def run(room: Room) -> Event:
        return await room.contain(_text(options.how), _time(room, options.at))

    return in_room(options, run, "containment confirmed, the rollback clocks run:")


def rollback(options: Namespace) -> int:
    """`warroom rollback`."""
    name, text = options.action_class, _text(options.note)
    if options.state == "met":
        if not options.clock:
            raise Refused("Which clock is finished?", "Name it with --clock; `warroom show` lists them.")
        return in_room(
            options,
            lambda room: room.meet_budget(name, options.clock, text),
            f"{name}: {options.clock} finished",
        )
    state = cast("RollbackState", options.state)
    return in_room(
        options, lambda room: room.move_rollback(name, state, text, options.effects), f"{name} is {state}"
    )


def updates(options: Namespace) -> int:
    """`warroom updates`."""
    if options.next:
        ahead = _span(options.next)
        return in_room(
            options,
            lambda room: room.promise_update(room.clock.now() + ahead, options.channel),
            f"next update promised for in {options.next}",
        )
    if not options.every:
        raise Refused("How often do updates go out?", "As in `warroom updates 30min`, or `--next 15min`.")
    every = 0 if options.every == "off" else _span(options.every) // duration.SECOND
    said = f"updates every {options.every}" if every else "no regular updates"
    return in_room(options, lambda room: room.set_cadence(every, options.channel), said)


def moment(options: Namespace) -> int:
    """`warroom moment`."""

    async def run(room: Room) -> None:
        at = _time(room, options.at) or room.clock.now()
        name = cast("MomentName", options.moment.replace("-", "_"))
        await room.state_moment(name, at, options.confidence, _text(options.source))

    return in_room(options, run, f"{options.moment} recorded")


def title(options: Namespace) -> int:
    """`warroom title`."""
    return in_room(options, lambda room: room.retitle(_text(options.title)), "titled")


def scope(options: Namespace) -> int:
    """`warroom scope`."""
    return in_room(options, lambda room: room.state_impact(scope=_text(options.text)), "scope stated")


def impact(options: Namespace) -> int:
    """`warroom impact`."""
    return in_room(options, lambda room: room.state_impact(impact=_text(options.text)), "impact stated")


def close(options: Namespace) -> int:
    """`warroom close`."""

    async def run(room: Room) -> None:
        unfinished = room.unfinished()
        await room.end(_text(options.reason))
        for each in unfinished:
            complain(f"closed unfinished: {each}")

    return in_room(options, run, "closed")


def reopen(options: Namespace) -> int:
    """`warroom reopen`."""
    return in_room(options, lambda room: room.reopen(_text(options.reason)), "reopened")


def ack(options: Namespace) -> int:
    """`warroom ack`."""
    context = Context(options)

    async def run(desk: Desk) -> str:
        if options.ended:
            # With --ended every word is the note: no alert is named.
            words = " ".join(filter(None, (options.alert, _text(options.note))))
            return f"{await desk.acknowledge_ended(words):,} ended alerts"
        name = options.alert or _newest(desk)
        alert = await desk.acknowledge(name, _text(options.note))
        return alert.id

    return _at_desk(context, run, "acknowledged")


def silence(options: Namespace) -> int:
    """`warroom silence`."""
    context = Context(options)

    async def run(desk: Desk) -> str:
        until = None
        if options.duration:
            until = desk.clock.now() + _span(options.duration)
        alert = await desk.silence(options.alert, until, _text(options.reason))
        return alert.id

    return _at_desk(
        context, run, f"silenced {'for ' + options.duration if options.duration else 'until it ends'}"
    )


def in_room(
    options: Namespace, act: Callable[[Room], Awaitable[Outcome]], done: str, *, typed: str = ""
) -> int:
    """Do one thing in the room of the incident that is meant, and say that it is on the record.

    Args:
        options: the command line.
        act: does it; returns the event that it made, if there is one to name.
        done: what was done, in words.
        typed: what is given back when the record did not take it.
    """
    context = Context(options)
    recorded = False

    async def run() -> None:
        nonlocal recorded
        async with context.room() as room:
            outcome = await act(room)
            recorded = True
            event, more = outcome if isinstance(outcome, tuple) else (outcome, "")
            words = f"{done} {more}".rstrip()
            line = f"{room.code} saved {iso(room.saved_at, 0)}  {visible(words, 400)}"
            value: dict[str, object] = {
                "incident": room.code,
                "saved_at": iso(room.saved_at, 9),
                "done": words,
            }
            if event is not None:
                line += f" {event.short}"
                value |= {"id": event.short, "hash": event.hash, "at": iso(event.at, 9), "kind": event.kind}
            context.say(line, value | {"counts": room.counts})
            if unheard := room.unheard:
                complain(unheard)

    try:
        asyncio.run(run())
    except StoreTrouble:
        if typed and not recorded:
            give_back(typed)
        raise
    return exits.OK


def give_back(text: str) -> None:
    """Print what could not be recorded, whole and as its author wrote it: what was piped in lies nowhere else."""
    if sys.stderr.isatty():
        text = plain.visible(text, 16 * len(text), lines=True)
    with suppress(OSError):  # nobody is left to be told
        print(f"warroom: this is not on the record:\n{text.rstrip()}", file=sys.stderr)


def _at_desk(context: Context, act: Callable[[Desk], Awaitable[str]], done: str) -> int:
    async def run() -> None:
        async with context.desk() as desk:
            alert = await act(desk)
            context.say(f"alert {alert} {done}", {"alert": alert, "done": done})

    asyncio.run(run())
    return exits.OK


def _newest(desk: Desk) -> str:
    asking = desk.board.asking(desk.clock.now())
    if not asking:
        if desk.board_trouble is not None:
            raise desk.board_trouble
        raise Refused("No alert asks for anybody.", "`warroom alerts --all` lists those that are over.")
    return next((alert for alert in asking if alert.facts.pages), asking[0]).id


def _item(state: Incident, name: str) -> str:
    """The id of the item that `name` begins, when only one does."""
    fits = [item for item in state.checklist if item.startswith(name)]
    return fits[0] if len(fits) == 1 and name not in state.checklist else name


def _piped() -> str:
    """Standard input as text; other bytes come as escapes, which is said."""
    # One character more than fits, in the widest encoding, so that the scribe refuses instead of cutting.
    return said(sys.stdin.buffer.read(4 * LONGEST + 4))


def said(raw: bytes) -> str:
    """Bytes as text; other bytes come as escapes, which is said."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        text = raw.decode(errors="backslashreplace")
        complain("not all of this is UTF-8 text: the other bytes stand in the entry as \\xNN.")
        return text


def _level(text: str) -> int:
    if text in ("1", "2", "3", "4", "5"):
        return int(text)
    from playbooks import load

    found = load.level(text)
    if found is None:
        labels = ", ".join(each.label for each in load.severities())
        raise Refused(f"There is no severity {text}.", f"Use 1 (worst) to 5, or {labels}; when unsure, 2.")
    return found.severity


def _span(text: str) -> int:
    try:
        return duration.parse(text)
    except ValueError as error:
        raise Refused(f"{text} is not a duration: {error}.") from None


def _time(room: Room, text: str) -> int | None:
    """The time that `text` means, ns UTC; None when it says none."""
    now = room.clock.now()
    return parse(f"{text} x", now, now).at if text else None


def _text(words: list[str]) -> str:
    return " ".join(words)
