"""`warroom halt`, `move`, `restore` and `containment`: stopping things from any shell, and letting them go on."""

from __future__ import annotations

import asyncio
import sys
import time
from argparse import Namespace
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from console.cli import exits
from console.cli.context import Context, kept_mode
from console.cli.trouble import complain
from console.containment.ordering import Containing, find
from console.containment.points import VERBS
from console.containment.verdict import receipt, spoken, summary, title
from console.plain import many
from console.refusal import Refused
from console.shown import visible
from data.clock import iso

if TYPE_CHECKING:
    from console.containment.state import Order
    from console.desk import Desk
    from console.events import Mode, Target
    from console.room import Room

LOOK = 0.25
"""Seconds between looks at an order under way."""
WIDE = 100
WORST = 1
"""Severity of the incident that a halt opens when none is open."""


def halt(options: Namespace) -> int:
    """`warroom halt`."""
    return _run(options, _halt)


def move(options: Namespace) -> int:
    """`warroom move`."""
    return _run(options, _move)


def restore(options: Namespace) -> int:
    """`warroom restore`."""
    return _run(options, _restore)


def containment(options: Namespace) -> int:
    """`warroom containment`."""
    return _run(options, _containment)


def _run(options: Namespace, work: Any) -> int:
    context = Context(options)
    try:
        code: int = asyncio.run(work(context))
    except (KeyboardInterrupt, asyncio.CancelledError):
        complain("the order stands; `warroom containment --watch` goes on with it.")
        return exits.INTERRUPTED
    return code


class _Call:
    """One call: what carries orders out, and the way to the incident."""

    def __init__(self, context: Context, containing: Containing, stack: AsyncExitStack) -> None:
        self.context, self.containing, self._stack = context, containing, stack
        self._declared = ""

    async def room(self, heading: str = "", scope: str = "", subject: str = "") -> Room:
        """Enter the incident that is meant. `heading`: of the one that a halt of `subject` declares when none is open."""
        options = self.context.options
        desk: Desk = await self._stack.enter_async_context(self.context.desk(create=bool(heading)))
        if heading and not options.incident:
            with suppress(Refused):
                return await desk.enter((await desk.find()).case)
            room = await desk.declare(
                heading, WORST, alerts=desk.halted(scope, subject), reason="declared by a halt"
            )
            self._declared = room.code  # said when the line of the progress is gone
            return room
        return await desk.enter((await self.context.incident(desk)).case)

    async def seen_through(self, order: str) -> int:
        """Show an order until its verdict, and say what it came to."""
        began = time.monotonic()
        with _Line() as line:
            done = asyncio.create_task(self.containing.finished(order))
            while not done.done():
                if (found := self.containing.under_way(order)) is not None:
                    line.show(
                        f"{time.monotonic() - began:4.1f} s  {self.containing.trouble or spoken(found)}"
                    )
                await asyncio.wait([done], timeout=LOOK)
        if self._declared:
            complain(f"no incident was open: declared {self._declared}")
        found = self.containing.under_way(order)
        if found is None or found.judged is None:
            return exits.FAILED
        _conclude(self.context, found)
        if self.containing.trouble:
            complain(self.containing.trouble)
            return exits.STORE
        if found.judged.verdict == "fail":
            return exits.FAILED
        if found.body.scope and not found.body.lifts:
            complain('the rollback clocks start once it is confirmed: warroom contain "what shows it".')
        return exits.OK


@asynccontextmanager
async def _opened(context: Context) -> AsyncIterator[_Call]:
    mode: Mode = "drill" if kept_mode(context.directory) == "drill" else "live"
    containing = await asyncio.to_thread(
        Containing.configured, context.config, context.directory, mode, actor=context.actor
    )
    for name, problem in containing.problems.items():
        complain(f"{name}: {problem}")
    async with AsyncExitStack() as stack:
        try:
            yield _Call(context, containing, stack)
        finally:
            # Before the incident is left, so that what was said last is still written.
            await containing.close()


async def _halt(context: Context) -> int:
    options = context.options
    scope, subject = options.scope, " ".join(options.subject)
    if scope == "all" and subject:
        raise Refused("All agents are halted without a name.", f"One of them: warroom halt agent {subject}.")
    if scope != "all" and not subject:
        raise Refused(f"Which {scope}?", f"As in: warroom halt {scope} NAME.")
    return await _order(context, VERBS[scope], subject, {}, scope)


async def _move(context: Context) -> int:
    from playbooks import load

    options = context.options
    known = await asyncio.to_thread(load.moves)
    if not options.verb:
        async with _opened(context) as call:
            for each in known.values():
                if each.family != "record":
                    reached = len(call.containing.points.targets(each.verb))
                    context.say(
                        f"{each.verb:<26} {visible(each.title, 60):<60} {reached or 'by hand'}",
                        {"verb": each.verb, "title": each.title, "targets": reached},
                    )
        return exits.OK
    args: dict[str, str] = {}
    for given in options.arg:
        name, _, value = given.partition("=")
        if not value:
            raise Refused(f"{given} is no argument.", "As in --arg mode=read_only.")
        args[name] = value
    subject = " ".join(options.subject)
    found = known.get(options.verb)
    if found is not None and found.args and subject:
        args.setdefault(found.args[0], subject)
    return await _order(context, options.verb, subject, args, "")


async def _order(context: Context, verb: str, subject: str, args: Mapping[str, str], scope: str) -> int:
    options = context.options
    async with _opened(context) as call:
        planned = await asyncio.to_thread(call.containing.plan, verb, subject, args)
        if options.dry_run:
            _show(context, planned)
            return exits.OK
        what = f"{verb.replace('_', ' ')} {subject}".strip()
        if not _confirmed(context, f"{what}: {many(len(planned), 'target')}"):
            return exits.REFUSED
        heading = f"Halt of {subject or 'all agents'}" if scope else f"Containment: {what}"
        entering = call.room(heading, scope, subject)
        # A halt does not wait for the incident to be entered or declared; for other moves it says who may.
        room = asyncio.create_task(entering) if scope else await entering
        order = await call.containing.order(
            room, verb, scope=scope, subject=subject, args=args, reason=options.reason
        )
        return await call.seen_through(order)


async def _restore(context: Context) -> int:
    options = context.options
    async with _opened(context) as call:
        room = await call.room()
        found = find(room, options.order)
        count = len(options.only) or sum(not each.lifted for each in found.targets)
        if not _confirmed(context, f"let {many(count, 'target')} of {title(found)} go on"):
            return exits.REFUSED
        order = await call.containing.restore(room, options.order, options.only, options.reason)
        return await call.seen_through(order)


async def _containment(context: Context) -> int:
    options = context.options
    if options.watch or options.answer:
        async with _opened(context) as call:
            room = await call.room()
            if options.answer:
                await call.containing.answer(
                    room, options.order, options.answer, options.how, options.evidence
                )
                context.say(f"{options.answer}: dealt with", {"target": options.answer})
                return exits.OK
            return await _watch(call, room)
    async with context.room(reading=True) as room:
        if options.order:
            order = find(room, options.order)
            context.say(receipt(order), value(order))
            return exits.OK
        orders = sorted(room.incident.moves.orders.values(), key=lambda each: -each.at)
        for order in orders:
            context.say(_listed(order), value(order))
        if not orders:
            context.say("Nothing was halted or moved in this incident.")
        # What holds nothing any more, or was never sent, asks nobody for anything.
        return exits.FAILED if any(each.open for each in room.incident.moves.in_force) else exits.OK


async def _watch(call: _Call, room: Room) -> int:
    """Go on with what nobody carries, until all of it is held or somebody dealt with it."""
    containing = call.containing
    taken = await containing.resume(room)
    if not taken:
        call.context.say("Nothing waits to be taken up; another process may be at it.")
        return exits.OK
    for name in taken:
        await call.seen_through(name)
    with _Line() as line:
        while open_ := [
            each for name in taken if (order := containing.under_way(name)) is not None for each in order.open
        ]:
            line.show(f"{many(len(open_), 'target')} open: {', '.join(each.target.id for each in open_)}")
            await asyncio.sleep(LOOK)
            await room.refresh()
            await containing.resume(room)
    call.context.say("Everything is held or dealt with.")
    return exits.OK


def _confirmed(context: Context, what: str) -> bool:
    """Ask before something leaves. Without a terminal --yes says it; a halt takes no second person."""
    if context.options.yes:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        complain(f"nothing was done. To do it: --yes ({what})")
        return False
    print(f"{visible(what)}. Enter does it, Ctrl+C does not. ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline() != ""


def _show(context: Context, planned: list[tuple[Target, str]]) -> None:
    for target, what in planned:
        shown = "\n".join(f"    {line}" for line in what.splitlines())
        context.say(
            f"{target.id} ({target.actuator})\n{shown}",
            {"target": target.id, "point": target.point, "agent": target.agent, "plan": what},
        )
    complain(f"dry run: nothing was sent to {many(len(planned), 'target')}")


def _conclude(context: Context, order: Order) -> None:
    lines = [f"{spoken(order)}  (order {order.body.order}: {title(order)})"]
    for each in order.open:
        lines.append(f"  {each.target.id}: {each.state.upper()}{f' - {each.note}' if each.note else ''}")
    if order.open:
        lines.append(
            f"  Whoever deals with one of them: warroom containment {order.body.order} --answer TARGET --how WHAT"
        )
    context.say("\n".join(lines), value(order))


def _listed(order: Order) -> str:
    state = "lifted" if order.lifted else "dry run" if order.body.dry else "in force"
    state = "lets go on" if order.body.lifts else state
    lead = (
        f"{order.body.order}  {iso(order.at, 0)}  {state:<10} {title(order)} by {order.by}: {spoken(order)}"
    )
    open_ = ", ".join(f"{each.target.id} {each.state}" for each in order.open[:20])
    return lead + (f"\n  {summary(order)}\n  open: {open_}" if open_ and not order.body.dry else "")


def value(order: Order) -> dict[str, Any]:
    """Return an order for programs."""
    judged = order.judged
    return {
        "order": order.body.order,
        "verb": order.body.verb,
        "scope": order.body.scope,
        "subject": order.body.subject,
        "by": order.by,
        "at": iso(order.at, 9),
        "reason": order.body.reason,
        "dry": order.body.dry,
        "lifts": order.body.lifts,
        "lifted": order.lifted,
        "epoch": order.epoch,
        "verdict": judged.verdict if judged is not None else "",
        "ms": judged.ms if judged is not None else None,
        "held": order.held,
        "targets": [
            {
                "target": each.target.id,
                "agent": each.target.agent,
                "state": each.state,
                "ms": each.ms,
                "times": dict(each.times),
                "note": each.note,
                "open": each.open,
                "dealt_with": each.answered.how if each.answered is not None else "",
                "lifted": each.lifted,
            }
            for each in order.targets
        ],
    }


class _Line:
    """What is going on, on stderr: one line that is written over on a terminal, else a new line when it changed."""

    def __init__(self) -> None:
        self._shown, self._again = "", 0.0

    def __enter__(self) -> _Line:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown and sys.stderr.isatty():
            print("\r" + " " * len(self._shown) + "\r", end="", file=sys.stderr, flush=True)

    def show(self, text: str) -> None:
        """Show it, unless it is shown already."""
        text = visible(text, WIDE)
        if text == self._shown:
            return
        if sys.stderr.isatty():
            print(f"\r{text}{' ' * (len(self._shown) - len(text))}", end="", file=sys.stderr, flush=True)
            self._shown = text
            return
        now = asyncio.get_running_loop().time()
        if now >= self._again:
            self._again = now + 1.0
            print(text, file=sys.stderr, flush=True)
            self._shown = text
