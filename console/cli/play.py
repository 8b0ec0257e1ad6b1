"""`warroom play`: working through a playbook from any shell."""

from __future__ import annotations

import asyncio
import shlex
import signal
import textwrap
from argparse import Namespace
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Literal, cast

from console.cli import exits
from console.cli.context import Context
from console.cli.output import printing
from console.cli.trouble import complain
from console.containment.ordering import Containing
from console.containment.steps import Steps
from console.refusal import Refused
from console.runner.automatic import Automation
from console.runner.document import Step
from console.runner.fill import Unfilled, fill, said
from console.runner.output import Progress
from console.runner.player import LOOK, Player, Settings
from console.runner.refusal import Code, Hindered, Refusal
from console.runner.rules import approvers, by_itself
from console.shown import masked, visible
from data.clock import iso
from playbooks import duration

if TYPE_CHECKING:
    from console.runner.state import Play, Run, StepState
    from playbooks.response import Playbook

WIDTH = 80
STOPPING = 15.0
"""Seconds that `stop` waits for the word that nothing is left: longer than a program is given to end."""
NEXT: dict[Code, str] = {
    "actuator": "Do it by hand and tick it: `warroom play tick {about}`.",
    "approval": "`warroom play approve {about}`.",
    "approver": "",
    "automatic": "",
    "closed": "`warroom play open {about}`.",
    "confirm": "Type its name once more: `--confirm {about}`.",
    "decision": "`warroom play decide {about} OPTION --reason WHY`.",
    "freeze": "If {about} belongs to this incident: `warroom play exempt {about} --reason WHY`.",
    "grant": "`warroom play grant STEP ... --for 1h --reason WHY`.",
    "grant_time": "As in --for 1h.",
    "grants": "`warroom play withdraw` ends all of them.",
    "least": "To go on without it: `warroom play skip {about} --waive --reason WHY`.",
    "manual": "`warroom play tick {about}` when it is.",
    "no_playbook": "`warroom play list` shows them, `warroom play open ID` opens one.",
    "no_step": "`warroom play show` lists them.",
    "option": "`warroom play decide {about} OPTION --reason WHY`.",
    "over": "`warroom reopen REASON` goes on with it.",
    "playbooks": "Name one with --playbook.",
    "reason": "Say why in one line: --reason.",
    "role": "",
    "running": "`warroom play stop {about}` ends it.",
    "saw": "As in --reason 'the flag reads off in the console'.",
    "settled": "To run it again: `warroom play tick {about} --open`.",
    "snapshot": "`warroom play run {about} --for-real`, or waive it: `warroom play skip {about} --waive --reason WHY`.",
    "snapshot_none": "Keep one (`warroom attach`), do it by hand, and tick it with --evidence.",
    "unclear": "Look, then say: `warroom play settle {about} happened|not|repeat --reason WHAT-YOU-SAW`.",
    "values": "`warroom play fill {about} VALUE`.",
    "view": "`warroom play show` says where it stands.",
}  # fmt: skip
"""What to type next, by what is in the way."""
MARKS = {
    "open": " ",
    "done": "x",
    "not_applicable": "-",
    "waived": "~",
    "running": ">",
    "unclear": "?",
    "failed": "!",
}


def run(options: Namespace) -> int:
    """`warroom play`."""
    context = Context(options)
    play = _Play(context)
    try:
        code = asyncio.run(play.do(options.action))
        if play.preserving:
            from console.evidence import capture

            # On record now, carried out by a process that nobody waits for.
            capture.detached(context.home(), play.preserving)
    except Hindered as hindered:
        for refusal in hindered.refusals:
            complain(masked(f"{refusal.what} {_instead(refusal)}".strip()))
        return exits.REFUSED
    except asyncio.CancelledError:
        return exits.INTERRUPTED
    return code


class _Play:
    def __init__(self, context: Context) -> None:
        self._context, self._options = context, context.options
        self._words: list[str] = list(context.options.words)
        self._player: Player
        self.preserving = ""
        """The case of which evidence was asked for."""

    async def do(self, action: str) -> int:
        if action == "list":
            return await self._list()
        async with self._opened(reading=action == "show") as self._player:
            deed = cast("Callable[[], Awaitable[int | None]]", getattr(self, f"_{action}"))
            code = await deed()
        return exits.OK if code is None else code

    @asynccontextmanager
    async def _opened(self, *, reading: bool = False) -> AsyncIterator[Player]:
        context = self._context
        settings = context.config.runner
        async with context.desk(reading=reading) as desk:
            room = await desk.enter((await context.incident(desk)).case)
            containing = await asyncio.to_thread(
                Containing.configured,
                context.config,
                desk.home.path,
                desk.home.mode,
                actor=desk.actor,
                clock=desk.clock,
            )
            player = Player(
                room,
                desk.home.replica,
                Settings(
                    settings.environment,
                    int(settings.announce),
                    settings.two_persons,
                    context.config.playbooks.values,
                ),
                Steps(room, containing),
            )
            for lost in await (player.abandoned() if reading else player.lost()):
                complain(
                    f"run {lost.id} of {lost.step} was abandoned, and nobody knows whether it took effect. "
                    f"Look, then: warroom play settle {lost.step} happened|not|repeat --reason WHAT-YOU-SAW"
                )
            try:
                yield player
            finally:
                await containing.close()

    # -- what there is -----------------------------------------------------------------------------------

    async def _list(self) -> int:
        from playbooks import library
        from playbooks.response import Playbook

        books = await asyncio.to_thread(library.in_force().documents, Playbook)
        opened: dict[str, Play] = {}
        # Looking through the library needs no incident.
        with suppress(Refused):
            async with self._opened(reading=True) as player:
                opened = dict(player.plays.opened)
        for book in sorted(books, key=lambda each: (each.kind != "scenario", each.number, each.id)):
            play = opened.get(book.id)
            where = "" if play is None else "open" if play.open else "closed"
            done = f"  {where}, {play.done} of {len(play.steps)} done" if play is not None else ""
            self._context.say(
                f"{book.id:<28} SEV-{book.severity}  {visible(book.title, 40)}{done}",
                {"id": book.id, "title": book.title, "kind": book.kind, "severity": book.severity,
                 "version": book.version, "state": where},
            )  # fmt: skip
        if not books:
            self._context.say("The library holds no playbooks.")
        return exits.OK

    async def _open(self) -> None:
        book = await asyncio.to_thread(
            _book, self._word(0, "Which playbook?", "`warroom play list` shows them.")
        )
        play = await self._player.open(book, self._options.reason)
        self._done(f"{play.id} {play.document.version} opened: {play.document.title}", playbook=play.id)
        self._next(play)

    async def _close(self) -> None:
        playbook = self._words[0] if self._words else self._options.playbook
        play = self._player.play(playbook)
        await self._player.close(play.id, self._options.reason)
        self._done(f"{play.id} closed, {play.done} of {len(play.steps)} steps done", playbook=play.id)

    async def _show(self) -> None:
        name = self._words[0] if self._words else ""
        player = self._player
        if name and not any(name == play.id for play in player.plays.opened.values()):
            play, state = player.step(name, self._options.playbook)
            self._say_step(play, state)
            return
        opened = [play for play in player.plays.opened.values() if play.open]
        if not name and not self._options.playbook and len(opened) > 1:
            for play in opened:
                self._context.say(
                    f"{play.id}: {play.done} of {len(play.steps)} steps done",
                    {"playbook": play.id, "done": play.done, "steps": len(play.steps),
                     "next": play.next.step.id if play.next is not None else ""},
                )  # fmt: skip
                self._next(play)
            return
        play = player.plays.opened[name] if name else player.play(self._options.playbook)
        if self._options.json:
            for state in play.steps.values():
                self._context.say("", self._value(play, state))
            return
        self._say_play(play)

    def _say_play(self, play: Play) -> None:
        player, say = self._player, self._context.say
        head = f"{play.id} {play.document.version}"
        say(f"{head}: {visible(play.document.title, WIDTH - len(head) - 2)}")
        say(f"  {play.done} of {len(play.steps)} steps done{'' if play.open else '; closed'}")
        for why in player.plays.freezes.values():
            say(_wrapped(f"CHANGES FROZEN: {why.reason}", "  "))
        for grant in player.plays.grants.values():
            steps = ", ".join(grant.body.steps)
            say(_wrapped(f"MAY RUN BY ITSELF until {iso(grant.until, 0)}: {steps}", "  "))
        given = player.given(play)
        known = {name: each.text for name, each in given.items()}
        for value in play.document.values:
            found = given.get(value.name)
            says = f"is not filled in: {value.ask}" if found is None else f"= {found.text} ({found.origin})"
            say(_wrapped(f"{value.name} {says}", "  "))
        due = play.next
        section = ""
        for state in play.steps.values():
            if state.section != section:
                section = state.section
                say(f"{section.upper()}")
            step = state.step
            here = "->" if state is due else "  "
            lead = f"{here}[{MARKS[state.standing]}] "
            about = [step.role, *([] if step.kind == "manual" else [step.kind]), *self._notes(state)]
            say(f"{lead}{step.id}  ({', '.join(about)})")
            say(_wrapped(said(step.text, known), " " * len(lead)))

    def _notes(self, state: StepState) -> Iterable[str]:
        step = state.step
        if state.standing != "open":
            yield state.standing.replace("_", " ")
        if state.option:
            yield state.option
        if step.destroys_evidence:
            yield "DESTROYS EVIDENCE"
        if not state.settled and approvers(step, state.section, self._player.incident.severity):
            yield "approved" if state.approvals else "needs approval"
        if state.announced is not None and not state.settled:
            yield f"BY ITSELF AT {iso(state.announced[0], 0)}"

    def _say_step(self, play: Play, state: StepState) -> None:
        player, step = self._player, state.step
        value = self._value(play, state)
        if self._options.json:
            self._context.say("", value)
            return
        say, known = self._context.say, player.values(play)
        say(f"{play.id} / {step.id}  ({state.section}, {step.role}, {step.kind}): {state.standing}")
        say(_wrapped(said(step.text, known), "  "))
        for name, text in (("expect", step.expect), ("verify", step.verify), ("help", step.help)):
            if text:
                say(_wrapped(f"{name}: {said(text, known)}", "  "))
        for name in ("would run", "dry run"):
            if text := cast("str", value[name.replace(" ", "_")]):
                say(f"  {name}:")
                # As it is, however long: a command that was wrapped cannot be copied.
                say(textwrap.indent(visible(text, 100_000, lines=True), "    "))
        if step.decision is not None:
            say(_wrapped(f"question: {said(step.decision.question, known)}", "  "))
            for option in step.decision.options:
                say(_wrapped(f"{option.id}: {said(option.text, known)}", "    "))
        if step.wait is not None:
            say(_wrapped(f"until: {said(step.wait.until, known)}", "  "))
        for run in state.runs:
            say(_wrapped(_run_line(run), "  "))
        for refusal in cast("list[dict[str, str]]", value["in_the_way"]):
            say(_wrapped(f"in the way: {refusal['what']} {refusal['instead']}".strip(), "  "))

    def _value(self, play: Play, state: StepState) -> dict[str, object]:
        player, step = self._player, state.step
        known = player.values(play)
        hindrances = player.hindrances(play, state) if step.kind not in ("manual", "decision") else []
        return {
            "playbook": play.id,
            "section": state.section,
            "step": step.id,
            "kind": step.kind,
            "role": step.role,
            "text": said(step.text, known),
            "standing": state.standing,
            "decided": state.option,
            "would_run": _filled(step, play, known, dry=False),
            "dry_run": _filled(step, play, known, dry=True) if step.command is not None else "",
            "in_the_way": [
                {"code": each.code, "what": each.what, "instead": _instead(each)} for each in hindrances
            ],
            "by_itself": by_itself(play, state, player.incident, player.room.clock.now()) is None,
            "runs": [_run_value(run) for run in state.runs],
        }

    # -- what people do ----------------------------------------------------------------------------------

    async def _fill(self) -> None:
        name = self._word(0, "Which value?", "As in `warroom play fill service checkout`.")
        value = " ".join(self._words[1:])
        event = await self._player.fill(name, value, self._options.playbook)
        self._done(f"{name} is {value}" if value else f"{name} is not known again", id=event.short)

    async def _approve(self) -> None:
        play, state = self._step()
        event = await self._player.approve(state.step.id, play.id)
        self._done(f"{state.step.id} approved, for one run as it is filled in now", id=event.short)

    async def _tick(self) -> None:
        play, state = self._step()
        mark: Literal["open", "done"] = "open" if self._options.open else "done"
        event = await self._player.mark(
            state.step.id, mark, self._options.reason, self._options.evidence, play.id
        )
        self._done(f"{state.step.id} {'is open again' if self._options.open else 'done'}", id=event.short)
        self._next(self._player.plays.opened[play.id])

    async def _skip(self) -> None:
        play, state = self._step()
        mark: Literal["waived", "not_applicable"] = "waived" if self._options.waive else "not_applicable"
        event = await self._player.mark(state.step.id, mark, self._options.reason, playbook=play.id)
        self._done(f"{state.step.id} {mark.replace('_', ' ')}", id=event.short)
        self._next(self._player.plays.opened[play.id])

    async def _decide(self) -> None:
        play, state = self._step()
        option = self._word(1, "Which option?", f"`warroom play show {state.step.id}` lists them.")
        event = await self._player.decide(state.step.id, option, self._options.reason, play.id)
        self._done(f"{state.step.id}: {option}", id=event.short)
        self._next(self._player.plays.opened[play.id])

    async def _settle(self) -> None:
        play, state = self._step()
        word = self._word(1, "What became of it?", "Say happened, not, or repeat.")
        if word not in ("happened", "not", "repeat"):
            raise Refused(f"{word} says nothing about it.", "Say happened, not, or repeat.")
        known = cast('Literal["happened", "not", "repeat"]', word)
        event = await self._player.settle(state.step.id, known, self._options.reason, play.id)
        self._done(f"{state.step.id}: {word}", id=event.short)

    async def _stop(self) -> int:
        name = self._words[0] if self._words else ""
        player = self._player
        announced = [
            (play, state)
            for play in player.plays.opened.values()
            for state in play.steps.values()
            if state.announced is not None and state.running is None and (not name or state.step.id == name)
        ]
        if announced and not any(run.running for run in player.plays.runs.values()):
            event = await player.withdraw(reason=self._options.reason or "stopped before it began")
            self._done("nothing runs by itself any more", id=event.short)
            return exits.OK
        run = player.run_named(name)
        left = await player.stop(run, self._options.reason)
        waited = 0.0
        while player.plays.runs[run.id].running and waited < STOPPING:
            await asyncio.sleep(LOOK)
            waited += LOOK
            await player.room.refresh()
        run = player.plays.runs[run.id]
        if run.running or left:
            what = (
                f"processes {', '.join(map(str, sorted(left)))} still run, and cannot be ended from here"
                if left
                else f"nothing has said within {STOPPING:.0f} s that it ended; look at the console of {run.by}"
            )
            complain(f"run {run.id} of {run.step} was told to stop: {what}.")
            return exits.FAILED
        self._context.say(_run_line(run), _run_value(run) | {"incident": player.room.code})
        return exits.OK

    async def _grant(self) -> None:
        if not self._options.duration:
            raise Refused("For how long may it run by itself?", "As in --for 1h.")
        try:
            until = self._player.room.clock.now() + duration.parse(self._options.duration)
        except ValueError as error:
            raise Refused(f"{self._options.duration} is not a duration: {error}.") from None
        event = await self._player.grant(self._words, until, self._options.reason, self._options.playbook)
        self._done(f"may run by itself until {iso(until, 0)}: {', '.join(self._words)}", id=event.short)
        complain("An open console carries it out, or `warroom play auto`, for as long as either runs.")

    async def _withdraw(self) -> None:
        event = await self._player.withdraw(self._words[0] if self._words else "", self._options.reason)
        self._done("withdrawn", id=event.short)

    async def _freeze(self) -> None:
        event = await self._player.freeze(self._options.reason or " ".join(self._words))
        self._done("changes are frozen", id=event.short)

    async def _lift(self) -> None:
        await self._player.lift(self._options.reason or " ".join(self._words))
        self._done("changes are no longer frozen")

    async def _exempt(self) -> None:
        play, state = self._step()
        event = await self._player.exempt(state.step.id, self._options.reason, play.id)
        self._done(f"the freeze lets {state.step.id} through", id=event.short)

    # -- running -----------------------------------------------------------------------------------------

    async def _run(self) -> int:
        play, state = self._step()
        player, real, confirm = self._player, self._options.for_real, self._options.confirm
        if refusals := player.hindrances(play, state, real=real, confirm=confirm):
            raise Hindered(*refusals)
        if not self._options.json:
            # Exactly what runs, before it does.
            text = _filled(state.step, play, player.values(play), dry=not real)
            self._context.say(f"{'FOR REAL' if real else 'DRY RUN'}: {state.step.id}")
            self._context.say(textwrap.indent(visible(text, 100_000, lines=True), "  "))
        with _ended_by_signals():
            try:
                run = await player.run(state.step.id, play.id, real=real, confirm=confirm, tell=self._tell)
            except asyncio.CancelledError:
                if (last := player.step(state.step.id, play.id)[1].real) is not None:
                    complain(_run_line(last))
                raise
            if run.running:
                run = await self._waited(state, run)
        if run.running:
            return exits.OK
        self._context.say(_run_line(run), _run_value(run) | {"incident": player.room.code})
        for ref in run.refs if not self._options.json else ():
            self._context.say(f"  kept {ref.size:,} bytes as {ref.sha256[:12]}; `warroom evidence` lists it")
        if run.outcome != "done":
            return exits.FAILED
        if real and state.step.action is not None and state.step.action.verb == "preserve_evidence":
            self.preserving = player.room.case.id
        if real:
            self._next(player.plays.opened[play.id])
        elif not self._options.json:
            self._context.say(f"  for real: warroom play run {state.step.id} --for-real")
        return exits.OK

    async def _waited(self, state: StepState, run: Run) -> Run:
        """Attend a wait that has a check; one without is over when a person says so."""
        wait = state.step.wait
        assert wait is not None  # noqa: S101 - nothing else goes on after it was run
        least = f", {wait.least} s at least" if wait.least else ""
        until = said(wait.until, self._player.values(self._player.plays.opened[run.playbook]))
        if wait.check is None:
            self._context.say(
                _wrapped(f"waits until {until}{least}; then: warroom play tick {state.step.id}", "  "),
                _run_value(run),
            )
            return run
        if not self._options.json:
            self._context.say(_wrapped(f"waits until {until}{least}; Ctrl+C leaves it waiting", "  "))
        return await self._player.attend(run.id, self._tell)

    async def _auto(self) -> int:
        automation = Automation(self._player, self._tell, self._announced)
        with _ended_by_signals():
            try:
                await automation.attend(lambda trouble: complain(masked(str(trouble or "goes on"))))
            finally:
                for run in await automation.leave():
                    complain(_run_line(run))
        self._context.say("Nothing is left that may run by itself.")
        return exits.OK

    def _announced(self, play: Play, state: StepState) -> None:
        at = f" at {iso(state.announced[0], 0)}" if state.announced is not None else ""
        complain(f"{state.step.id} of {play.id} will run by itself{at}. `warroom play stop` stops it.")

    def _tell(self, progress: Progress) -> None:
        if self._options.json:
            return
        with printing():
            if progress.skipped:
                print(f"  | ... {progress.skipped:,} lines ...")
            for line in progress.lines:
                print(f"  | {visible(line, 4000)}")

    # -- words -------------------------------------------------------------------------------------------

    def _step(self) -> tuple[Play, StepState]:
        return self._player.step(
            self._word(0, "Which step?", "`warroom play show` lists them."), self._options.playbook
        )

    def _word(self, at: int, what: str, next_step: str) -> str:
        if len(self._words) <= at:
            raise Refused(what, next_step)
        return self._words[at]

    def _done(self, what: str, **more: str) -> None:
        room = self._player.room
        event = f" {more['id']}" if "id" in more else ""
        self._context.say(
            f"{room.code} saved {iso(room.saved_at, 0)}  {visible(what, 400)}{event}",
            {"incident": room.code, "saved_at": iso(room.saved_at, 9), "done": what, **more},
        )

    def _next(self, play: Play) -> None:
        state = play.next
        if self._options.json:
            return
        if state is None:
            self._context.say(f"  every step of {play.id} is settled")
            return
        text = said(state.step.text, self._player.values(play))
        self._context.say(_wrapped(f"next: {state.step.id} ({state.step.role}): {text}", "  "))


def _book(name: str) -> Playbook:
    """A playbook of the library, with the sections that it takes over from the default one."""
    from playbooks import library
    from playbooks.response import Playbook

    books = library.in_force().documents(Playbook)
    fits = [book for book in books if book.id == name] or [book for book in books if book.id.startswith(name)]
    if len(fits) != 1:
        raise Refused(
            f"{'Several playbooks begin with' if fits else 'There is no playbook'} {name}.",
            "`warroom play list` shows them.",
        )
    default = next((book for book in books if book.kind == "default"), None)
    return fits[0].completed(default) if default is not None else fits[0]


def _instead(refusal: Refusal) -> str:
    """Who can, or what is asked for, and what to type next."""
    assign = f"`warroom assign {refusal.vacant} NAME`." if refusal.vacant else ""
    about = shlex.quote(refusal.about)
    # What is missing in the document itself is mended there, not here.
    command = (
        NEXT[refusal.code].replace("{about}", about) if refusal.about or "{" not in NEXT[refusal.code] else ""
    )
    return " ".join(filter(None, (refusal.instead, assign, command)))


def _filled(step: Step, play: Play, known: dict[str, str], *, dry: bool) -> str:
    """What would run, for people; what is missing stays a placeholder."""
    try:
        filled = fill(step, play, known, dry=dry)
    except Unfilled:
        if step.command is not None:
            return shlex.join(step.command.dry_run if dry else step.command.argv)
        return f"{step.http.method} {step.http.url}" if step.http is not None else ""
    if filled is None:
        return "" if step.command is None else f"(knows no dry run) {_filled(step, play, known, dry=False)}"
    return filled.text


def _run_line(run: Run) -> str:
    how = "dry run" if run.dry else "by itself" if run.automatic else "for real"
    code = f", exit {run.exit}" if run.exit is not None else f", status {run.status}" if run.status else ""
    ended = (run.outcome or "goes on").replace("_", " ")
    word = f"; settled: {run.word}" if run.word else ""
    note = f": {run.note}" if run.note else ""
    return f"run {run.id} {how} by {run.by}: {ended}{code}, {run.milliseconds / 1000:.1f} s{word}{note}"


def _run_value(run: Run) -> dict[str, object]:
    return {
        "run": run.id,
        "step": run.step,
        "dry": run.dry,
        "automatic": run.automatic,
        "by": run.by,
        "at": iso(run.at, 9),
        "what": list(run.what),
        "outcome": run.outcome or "running",
        "exit": run.exit,
        "status": run.status,
        "milliseconds": run.milliseconds,
        "note": run.note,
        "settled": run.word,
        "blobs": [ref.sha256 for ref in run.refs],
    }


def _wrapped(text: str, indent: str) -> str:
    return textwrap.fill(
        visible(text, 4000), WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )


class _ended_by_signals:
    """Within it Ctrl+C, SIGTERM and SIGHUP end the work in good order, however often they come.

    The program is ended and its end stands on the record before this process goes: half an end is none.
    """

    _NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __enter__(self) -> None:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        if task is not None:
            for number in self._NUMBERS:
                loop.add_signal_handler(number, task.cancel)

    def __exit__(self, *_: object) -> None:
        for number in self._NUMBERS:
            asyncio.get_running_loop().remove_signal_handler(number)
