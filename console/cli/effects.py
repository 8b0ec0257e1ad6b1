"""`warroom effects`: the ledger of what agents did outside, from any shell."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from console.cli import exits
from console.cli.context import Context
from console.cli.progress import Progress
from console.cli.trouble import complain
from console.refusal import Refused
from console.rollback import deeds
from console.rollback.index import Index, Wanted
from console.rollback.tracker import ClassStanding, Clock, standing
from console.scribe import parse
from console.shown import visible
from data.clock import iso

if TYPE_CHECKING:
    from console.desk import Desk
    from console.events import Effect
    from console.events import Progress as State
    from console.evidence.search import During
    from console.rollback.drafting import Drafted
    from console.rollback.ledger import Ledger
    from console.rollback.reversal import Outcome, Reversing
    from console.room import Room

SHOWN = 50
"""Effects that a list shows without --all."""


def run(options: Namespace) -> int:
    """`warroom effects`."""
    return asyncio.run(_Effects(Context(options)).do(options.action))


class _Effects:
    def __init__(self, context: Context) -> None:
        self._context, self._options = context, context.options
        self._words: list[str] = list(context.options.words)
        self._room: Room
        self._desk: Desk

    async def do(self, action: str) -> int:
        reading = action in ("list", "show", "classes")
        async with self._opened(reading=reading):
            deed = cast("Callable[[], Awaitable[int | None]]", getattr(self, f"_{action}"))
            code = await deed()
        return exits.OK if code is None else code

    @asynccontextmanager
    async def _opened(self, *, reading: bool) -> AsyncIterator[None]:
        async with self._context.desk(reading=reading) as self._desk:
            self._room = await self._desk.enter((await self._context.incident(self._desk)).case)
            yield

    @property
    def _ledger(self) -> Ledger:
        return self._room.incident.ledger

    # -- what there is -----------------------------------------------------------------------------------

    async def _list(self) -> None:
        found = self._found()
        shown = found if self._options.all or self._options.json else found[:SHOWN]
        for row in shown:
            self._context.say(_line(self._ledger, row), _value(self._ledger, row))
        if self._options.json:
            return
        if not found:
            self._context.say(
                "No effect fits."
                if len(self._ledger)
                else "No effect yet. `warroom effects draft` lists them."
            )
        elif len(found) > len(shown):
            complain(
                f"{len(found) - len(shown):,} more; --all lists them, --class, --state and --text narrow it."
            )

    async def _show(self) -> None:
        for each in deeds.find(self._room.incident, self._words or [""]):
            row = self._ledger.rows[each]
            value = _value(self._ledger, row)
            if self._options.json:
                self._context.say("", value)
                continue
            for name, text in value.items():
                if text not in ("", None, False, 0):
                    self._context.say(f"{name:<14} {visible(str(text), 600)}")

    async def _classes(self) -> None:
        for each in standing(self._room.incident, self._room.clock.now()):
            self._context.say(_standing(each), _standing_value(each))

    # -- what people do ----------------------------------------------------------------------------------

    async def _draft(self) -> int:
        from console.evidence.capture import window_of
        from console.rollback.drafting import draft

        with Progress("reading telemetry") as progress:
            drafted = await draft(
                self._room,
                window_of(self._desk.home),
                spans=self._spans(),
                tell=lambda said: progress.show(said.done, said.total),
            )
        self._say_drafted(drafted)
        return exits.OK

    def _spans(self) -> list[During]:
        from console.evidence.search import During

        since, now = self._since(), self._room.clock.now()
        begin = since if since is not None else self._room.incident.declared_at - deeds.HOUR
        return [During(self._options.tenant, name, begin, now) for name in self._options.agent]

    def _say_drafted(self, drafted: Drafted) -> None:
        answer = drafted.answer
        self._context.say(
            f"{drafted.new:,} new effects listed, {drafted.found - drafted.new:,} were known; "
            f"{answer.actions:,} actions of {answer.looked:,} records were theirs",
            {
                "found": drafted.found,
                "new": drafted.new,
                "downstream": drafted.downstream,
                "extended": list(drafted.extended),
                "unsaid": answer.unsaid,
                "readers": {each.agent: each.count for each in answer.readers},
                "actions": answer.actions,
                "looked": answer.looked,
                "damaged": answer.damaged,
                "begins": iso(answer.begins, 0) if answer.begins else "",
            },
        )
        if self._options.json:
            return
        if drafted.extended:
            complain(f"found downstream, the incident now includes: {', '.join(drafted.extended)}")
        if answer.readers:
            who = ", ".join(f"{each.agent} ({each.count:,})" for each in answer.readers[:10])
            complain(f"read what was written, to be audited: {who}")
        if answer.unsaid:
            named = ", ".join(f"{name} ({count:,})" for name, count in list(answer.unsaid.items())[:5])
            complain(
                f"of these calls nothing says whether they had an effect: {named}. "
                "Name them under `recognise` of a class, or let their telemetry say it (docs/rollback.md)."
            )
        if answer.damaged:
            complain(f"{answer.damaged:,} lines or files could not be read")
        if answer.begins and answer.begins > self._room.incident.declared_at - deeds.HOUR:
            complain(
                f"the window reaches back to {iso(answer.begins, 0)} only: earlier effects may be missing"
            )

    async def _move(self) -> None:
        from console.cli.arguments import EFFECT_STATES

        state = self._words.pop(0) if self._words else ""
        if state not in EFFECT_STATES:
            raise Refused(
                "Which state?",
                f"As in: warroom effects move reversed ID. There are {', '.join(EFFECT_STATES)}.",
            )
        options = self._options
        count = await deeds.move(
            self._room, self._meant(), cast("State", state), options.note,
            evidence=options.evidence, instead=options.instead,
        )  # fmt: skip
        self._did(count, "nothing to undo" if state == "nothing" else state)

    async def _reconcile(self) -> None:
        words = [each for each in self._words if each in ("yes", "no")]
        if len(words) != 1:
            raise Refused(
                "Did it happen, yes or no?", "As in: warroom effects reconcile ID yes --how WHAT-YOU-SAW."
            )
        self._words.remove(words[0])
        happened = words[0] == "yes"
        ids = self._meant()
        count = await deeds.reconcile(self._room, ids, happened, self._options.how or self._options.note)
        self._did(count, "looked into: happened" if happened else "looked into: did not happen")

    async def _classify(self) -> None:
        name = self._words.pop(0) if self._words else ""
        self._did(await deeds.classify(self._room, self._meant(), name, self._options.note), f"of {name}")

    async def _add(self) -> None:
        name, what = (self._words[0], " ".join(self._words[1:])) if self._words else ("", "")
        options = self._options
        id = await deeds.add(
            self._room, name, what, agent=" ".join(options.agent), target=options.target, key=options.key,
            at=self._since(),
        )  # fmt: skip
        self._context.say(f"{id[:8]} listed", {"effect": id})

    async def _reverse(self) -> int:
        reversing = await self._reversing()
        options = self._options
        ids = self._meant(("open",))
        with Progress("reversing" if options.for_real else "dry run") as progress:
            outcome = await reversing.reverse(
                ids, real=options.for_real, confirm=options.confirm, reason=options.note,
                tell=lambda now: progress.show(now.done, now.total),
            )  # fmt: skip
        self._say_outcome(outcome, "reversed" if options.for_real else "would be reversed")
        if not options.for_real and outcome.well:
            complain("nothing has changed; --for-real reverses them")
        return exits.OK if outcome.well else exits.FAILED

    async def _verify(self) -> int:
        reversing = await self._reversing()
        ids = self._meant(("reversed", "substituted"))
        with Progress("checking") as progress:
            outcome = await reversing.verify(
                ids, reason=self._options.note, tell=lambda now: progress.show(now.done, now.total)
            )
        self._say_outcome(outcome, "verified")
        return exits.OK if outcome.well else exits.FAILED

    async def _reversing(self) -> Reversing:
        from console.rollback.reversal import Reversing

        reversing = Reversing(self._room, self._desk.home, self._context.config)
        for each in await reversing.lost():
            complain(
                f"run {each.body.run} over {len(each.body.ids)} effects of {each.body.action_class} was abandoned, and "
                "nobody knows what became of them: `warroom effects --unclear` lists them."
            )
        return reversing

    def _say_outcome(self, outcome: Outcome, done: str) -> None:
        well = 0
        for each in outcome.results:
            fine = each.outcome == "done"
            well += fine
            self._context.say(
                f"{each.effect[:8]}  {done if fine else each.outcome.replace('_', ' ').upper():<18} {visible(each.note, 200)}",
                {
                    "effect": each.effect,
                    "outcome": each.outcome,
                    "note": each.note,
                    "exit": each.exit,
                    "status": each.status,
                    "milliseconds": each.milliseconds,
                },
            )
        for effect, why in outcome.skipped.items():
            self._context.say(f"{effect[:8]}  NOT BEGUN          {why}", {"effect": effect, "skipped": why})
        unknown = [each for each in outcome.results if each.outcome not in ("done", "failed")]
        complain(f"{well:,} of {len(outcome.results) + len(outcome.skipped):,} {done}")
        if unknown and done == "reversed":
            complain(
                f"of {len(unknown):,} nobody knows whether they were reversed. Look, then: "
                f"warroom effects reconcile {unknown[0].effect[:8]} yes|no --how WHAT-YOU-SAW"
            )

    async def _audit(self) -> None:
        if not self._words:
            self._audits()
            return
        deed, name, audit = (*self._words, "", "", "")[:3]
        if deed not in ("open", "close") or not audit:
            raise Refused(
                "Which audit?", "As in: warroom effects audit close code audit --evidence WHAT-SHOWS-IT."
            )
        if deed == "open":
            await deeds.open_audit(self._room, name, audit, self._options.note)
        else:
            await deeds.close_audit(self._room, name, audit, self._options.evidence, self._options.note)
        said = "is open" if deed == "open" else "closed"
        self._context.say(f"audit {audit} of {name} {said}", {"class": name, "audit": audit, "state": said})

    def _audits(self) -> None:
        now = self._room.clock.now()
        found = [
            (each, clock)
            for each in standing(self._room.incident, now)
            for clock in each.clocks
            if clock.audit
        ]
        for each, clock in found:
            audit = self._room.incident.rollback[each.id].audits.get(clock.id)
            state = "OPEN" if clock.open else "closed" if audit is not None else "not yet"
            shown = f" ({audit.evidence})" if audit is not None and audit.evidence else ""
            self._context.say(
                f"{each.id:<20} {clock.id:<10} {state:<8} {_clock(clock)}{shown}",
                {
                    "class": each.id,
                    "audit": clock.id,
                    "name": clock.name,
                    "state": state.lower(),
                    "evidence": audit.evidence if audit is not None else "",
                    **_clock_value(clock),
                },
            )

    async def _extend(self) -> None:
        options = self._options
        body = await deeds.extend(
            self._room, " ".join(self._words) or options.note, [(options.tenant, name) for name in options.agent],
            since=self._since(), action_class=options.action_class or "",
        )  # fmt: skip
        named = ", ".join(each.agent for each in body.suspects)
        self._context.say(
            f"the incident is extended{': ' + named if named else ''}",
            {"agents": [each.agent for each in body.suspects]},
        )
        if named:
            complain("`warroom effects draft` lists what they did")

    # -- words -------------------------------------------------------------------------------------------

    def _found(self) -> list[Effect]:
        options = self._options
        name = options.action_class
        wanted = Wanted(
            None if name is None else "" if name == "none" else name,
            options.state,
            options.agent[0] if options.agent else "",
            options.principal,
            options.text,
            options.unclear,
        )
        return Index(self._ledger).find(wanted)

    def _meant(self, states: tuple[State, ...] = ()) -> list[str]:
        """The effects that are meant: those named, else with --all those that fit.

        Args:
            states: what is meant where no state is asked for; what is in doubt or not to be undone is then left out,
                and that is said.
        """
        if self._words:
            return deeds.find(self._room.incident, self._words)
        if not self._options.all:
            raise Refused(
                "Which effects?", "Name them by their ids, or give --all with --class, --state or --text."
            )
        if states and not self._options.state:
            self._options.state = list(states)
        ledger = self._ledger
        found = self._found()
        if states != ("open",):
            return [row.id for row in found]
        ready = [row.id for row in found if not ledger.unclear(row.id) and row.reversible != "no"]
        if left := len(found) - len(ready):
            complain(f"{left:,} left out: nobody knows whether they happened, or they cannot be undone")
        return ready

    def _since(self) -> int | None:
        now = self._room.clock.now()
        return parse(f"{self._options.since} x", now, now).at if self._options.since else None

    def _did(self, count: int, what: str) -> None:
        self._context.say(
            f"{count:,} {'effect' if count == 1 else 'effects'} {what}", {"count": count, "state": what}
        )


def _line(ledger: Ledger, row: Effect) -> str:
    state = ledger.state(row.id)
    unclear = " ?" if ledger.unclear(row.id) else "  "
    return (
        f"{row.id[:8]}  {row.at[:19]}Z  {ledger.class_of(row.id) or '(no class)':<18} {state:<11}{unclear} "
        f"{visible(row.agent, 24)}: {visible(row.what, 70)}"
        + (f" [{visible(row.key, 40)}]" if row.key else "")
    )


def _value(ledger: Ledger, row: Effect) -> dict[str, Any]:
    mark = ledger.marks.get(row.id)
    return {
        "effect": row.id,
        "class": ledger.class_of(row.id),
        "progress": ledger.state(row.id),
        "unclear": ledger.unclear(row.id),
        "at": row.at,
        "agent": row.agent,
        "tenant": row.tenant,
        "what": row.what,
        "happened": row.state,
        "reversible": row.reversible,
        "target": row.target,
        "key": row.key,
        "amount": row.amount,
        "tool": row.tool,
        "principal": row.principal,
        "approval": row.approval,
        "trace": row.trace,
        "action": row.action,
        "downstream": row.id in ledger.downstream,
        "note": mark.note if mark else "",
        "evidence": mark.evidence if mark else "",
        "substitute": mark.substitute if mark else "",
        "seen": mark.seen if mark else "",
        "by": mark.by if mark else "",
        "tries": mark.tries if mark else 0,
    }


def _standing(each: ClassStanding) -> str:
    tally = each.tally
    counted = "not listed" if each.effects is None else (
        f"{each.effects:,} effects: {tally.open:,} open, {tally.reversing:,} reversing, {tally.reversed:,} reversed, "
        f"{tally.substituted:,} substituted, {tally.verified:,} verified, {tally.nothing + tally.waived:,} left"
    )  # fmt: skip
    unclear = f", {tally.unclear:,} UNCLEAR" if tally.unclear else ""
    clock = f"\n    {_clock(each.clock)}" if each.clock is not None else ""
    following = f"\n    next: {each.next}" if each.next else ""
    return f"{each.id or '(no class)':<20} {each.state:<11} {counted}{unclear}{clock}{following}"


def _clock(clock: Clock) -> str:
    ends = iso(clock.deadline, 0) if clock.deadline is not None else "waits for containment"
    used = f", {clock.share} % used" if clock.share is not None else ""
    risk = {"past": " PAST", "near": " at risk"}.get(clock.level, "")
    return f"{clock.name}: {ends}{used}{risk}"


def _clock_value(clock: Clock) -> dict[str, Any]:
    deadline = iso(clock.deadline, 0) if clock.deadline is not None else ""
    return {"clock": clock.id, "deadline": deadline, "share": clock.share, "level": clock.level}


def _standing_value(each: ClassStanding) -> dict[str, Any]:
    tally = each.tally
    names = ("open", "reversing", "reversed", "substituted", "verified", "nothing", "waived", "unclear")
    return {
        "class": each.id,
        "name": each.name,
        "state": each.state,
        "effects": each.effects,
        **{name: getattr(tally, name) for name in names},
        "clocks": [_clock_value(clock) | {"audit": clock.audit, "open": clock.open} for clock in each.clocks],
        "worst": each.clock.id if each.clock is not None else "",
        "next": each.next,
    }
