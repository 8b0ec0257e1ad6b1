"""Working through a playbook: every command of a person, and the runs, each with its start and its end on the record.

The order is what makes a crash harmless: the lock of the run, then its start on the disk, then the program, then what
it printed, then its end. Whoever opens the incident later and finds a start without an end and without a lock
knows that nobody knows, and says so; only a person can say more.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from console.events import (
    AutomationGranted,
    AutomationWithdrawn,
    Body,
    EvidenceCaptured,
    FreezeExempted,
    FreezeLifted,
    FreezeSet,
    PlaybookClosed,
    PlaybookOpened,
    StepApproved,
    StepDecided,
    StepFinished,
    StepMark,
    StepSet,
    StepSettled,
    StepStarted,
    StopAsked,
    ValueFilled,
    entry,
    moment,
)
from console.refusal import Refused
from console.runner import actions, processes, run
from console.runner.document import LIMITED, digest_of, text_of
from console.runner.fill import Filled, Given, check, fill, fill_check, given, said
from console.runner.output import Progress, Tell, left
from console.runner.refusal import Code, Hindered, Refusal
from console.runner.rules import Asked, approvers, obstacles, snapshot_missing, who
from console.runner.run import Ended, Keep, clear, in_memory, unbroken
from console.runner.state import Play, Plays, Run, StepState
from data.blobs import Blobs
from data.case import reading_only
from data.clock import iso
from data.durable import make_directory
from data.envelope import Event, Ref
from data.lock import Lock, holder
from data.trouble import StoreTrouble

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

    from console.incident import Incident
    from console.room import Room
    from playbooks.response import Playbook

SECOND = 1_000_000_000
RUNS = "runs"
"""Folder in a case with a lock for every step that ran here: held while somebody attends a run of it."""
AUTOMATION = "automation"
"""Who acts when a step runs by itself."""
LOOK = 0.25
"""Seconds between two looks whether somebody asked for the end of a run."""
TEXT = "text/plain; charset=utf-8"
LONGEST_GRANT = 24 * 3600 * SECOND


class Settings(NamedTuple):
    """What the configuration says about runs.

    Attributes:
        environment: further variables that programs may see, such as KUBECONFIG.
        announce: ns between the announcement of an automatic step and its start.
        two_persons: whether recovery is approved by somebody else than who runs it.
        constants: values that are the same in every incident, by name; who fills one in for an incident goes first.
    """

    environment: tuple[str, ...] = ()
    announce: int = 30 * SECOND
    two_persons: bool = False
    constants: Mapping[str, str] = {}


class Player:
    """The playbooks of one incident.

    Args:
        room: the incident.
        replica: this console, as the record knows it.
        settings: what the configuration says.
        actuators: what carries out verbs that act on agents and systems.
    """

    def __init__(
        self,
        room: Room,
        replica: str,
        settings: Settings = Settings(),  # noqa: B008 - immutable
        actuators: actions.Actuators | None = None,
    ) -> None:
        self.room, self.replica, self.settings = room, replica, settings
        self.actuators: actions.Actuators = actuators or actions.NoActuators()

    # -- state out ---------------------------------------------------------------------------------------

    @property
    def plays(self) -> Plays:
        """Everything about playbooks in this incident."""
        return self.room.incident.plays

    @property
    def incident(self) -> Incident:
        """The incident."""
        return self.room.incident

    @property
    def verbs(self) -> Collection[str]:
        """The actions that something here can carry out."""
        return {*actions.RECORD, *self.actuators.verbs()}

    def asked(self, *, real: bool = False, automatic: bool = False, confirm: str = "") -> Asked:
        """Return how the actor of this room asks for a step."""
        actor = AUTOMATION if automatic else self.room.actor
        settings = self.settings
        return Asked(
            actor, self.roles, real, automatic, confirm, settings.two_persons, self.verbs, settings.constants
        )

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that the actor of this room holds in the incident."""
        return tuple(role for role, people in self.incident.roles.items() if self.room.actor in people)

    def play(self, name: str = "") -> Play:
        """Return the open playbook that is meant: by its id or the beginning of it; the only one without a name.

        Raises:
            Refused: there is none, or more than one fits.
        """
        opened = [play for play in self.plays.opened.values() if play.open]
        fits = [play for play in opened if play.id == name] or [p for p in opened if p.id.startswith(name)]
        if len(fits) == 1:
            return fits[0]
        if not opened:
            raise _refused("no_playbook", f"No playbook is open in {self.room.code}.")
        names = ", ".join(play.id for play in opened)
        what = "Several playbooks are open" if fits else f"{name} is not open"
        raise _refused("playbooks", f"{what}: {names}.")

    def step(self, name: str, playbook: str = "") -> tuple[Play, StepState]:
        """Return the step that is meant, by its id or the beginning of it, with its playbook.

        Raises:
            Refused: there is none, or more than one fits.
        """
        if not playbook:
            found = [play for play in self.plays.opened.values() if play.open and name in play.steps]
            if len(found) == 1:
                return found[0], found[0].steps[name]
        play = self.play(playbook)
        fits = (
            [name] if name in play.steps else [each for each in play.steps if name and each.startswith(name)]
        )
        if len(fits) != 1:
            few = f"Several steps of {play.id} begin with" if fits else f"No step of {play.id} is"
            raise _refused("no_step", f"{few} {name}.")
        return play, play.steps[fits[0]]

    def hindrances(
        self, play: Play, state: StepState, *, real: bool = True, confirm: str = ""
    ) -> list[Refusal]:
        """Return what is in the way of a step for the actor of this room."""
        return obstacles(
            play, state, self.incident, self.asked(real=real, confirm=confirm), self.room.clock.now()
        )

    def values(self, play: Play) -> dict[str, str]:
        """Return every value that is known now."""
        return {name: each.text for name, each in self.given(play).items()}

    def given(self, play: Play) -> dict[str, Given]:
        """Return every value that is known now, with where it comes from."""
        return given(play, self.incident, self.room.clock.now(), self.settings.constants)

    def run_named(self, name: str = "") -> Run:
        """Return the run that is meant, by the beginning of its id or its step; without a name the one that goes on.

        Raises:
            Refused: there is none, or more than one fits.
        """
        runs = list(self.plays.runs.values())
        fits = [each for each in runs if each.running] if not name else []
        if name:
            fits = [each for each in runs if each.id.startswith(name)]
            fits = fits or [each for each in runs if each.step == name and each.running]
        if len(fits) != 1:
            going = ", ".join(f"{each.id} ({each.step})" for each in runs if each.running) or "none"
            raise Refused(
                f"{'Several runs fit' if fits else 'There is no such run'}.", f"Going on now: {going}."
            )
        return fits[0]

    # -- opening, filling in -----------------------------------------------------------------------------

    async def open(self, playbook: Playbook, why: str = "") -> Play:
        """Open a completed playbook of the library: the record keeps all of it as it reads now.

        Raises:
            Refused: it is open already, in the same words.
        """
        text = text_of(playbook)
        digest = digest_of(text)
        known = self.plays.opened.get(playbook.id)
        if known is not None and known.open and known.digest == digest:
            raise _refused("view", f"{playbook.id} is open already.")
        await self._record(
            PlaybookOpened(playbook.id, playbook.title, playbook.version, digest, text, why.strip())
        )
        return self.plays.opened[playbook.id]

    async def close(self, playbook: str = "", reason: str = "") -> None:
        """Close a playbook; what was done with it stays.

        Raises:
            Refused: a step of it goes on.
        """
        play = self.play(playbook)
        going = [state for state in play.steps.values() if state.running is not None]
        if going:
            still = going[0].running
            raise _refused(
                "running", f"{going[0].step.id} still runs.", still.id if still is not None else ""
            )
        await self._record(PlaybookClosed(play.id, reason.strip()))

    async def fill(self, name: str, value: str, playbook: str = "") -> Event:
        """Fill in a value; an empty one is not known again.

        Raises:
            Refused: the playbook does not ask for it, or the value is not what it asks for.
        """
        asking = [
            play
            for play in self.plays.opened.values()
            if play.open and any(each.name == name for each in play.document.values)
        ]
        play = asking[0] if len(asking) == 1 and not playbook else self.play(playbook)
        asked = next((each for each in play.document.values if each.name == name), None)
        if asked is None:
            names = ", ".join(each.name for each in play.document.values) or "none"
            raise Refused(f"{play.id} asks for no {name}.", f"Its values: {names}.")
        if value:
            check(asked, value)
        return (await self._record(ValueFilled(play.id, name, value)))[0]

    # -- what people decide ------------------------------------------------------------------------------

    async def approve(self, step: str, playbook: str = "") -> Event:
        """Approve a step as it would run now, once.

        Raises:
            Refused: it needs no approval, a value is missing, or the actor holds no role that may.
        """
        play, state = self.step(step, playbook)
        roles = approvers(state.step, state.section, self.incident.severity)
        if not roles:
            raise Refused(f"{state.step.id} needs no approval at {self.incident.label}.", "Run it.")
        mine = next((role for role in roles if role in self.roles), "")
        if not mine:
            can, vacant = who(self.incident, roles)
            what = f"{state.step.id} is approved by {' or '.join(roles)}, which {self.room.actor} is not."
            raise Hindered(Refusal("approver", what, can, state.step.id, vacant))
        filled = fill(state.step, play, self.values(play))
        if filled is None:
            raise Refused(f"{state.step.id} runs nothing that could be approved.")
        return (await self._record(StepApproved(play.id, state.step.id, filled.digest, mine)))[0]

    async def mark(
        self, step: str, mark: StepMark, reason: str = "", evidence: str = "", playbook: str = ""
    ) -> Event:
        """Say that a step is done, not applicable or waived (with a reason), or open again.

        Raises:
            Refused: there is no reason, it runs, it is a decision, or evidence would be gone without a copy.
        """
        play, state = self.step(step, playbook)
        name, reason = state.step.id, reason.strip()
        running = state.running
        if mark in ("waived", "not_applicable") and not reason:
            raise _refused("reason", f"Leaving {name} out needs a reason.")
        if mark == "done" and state.step.kind == "decision":
            raise _refused("decision", f"{name} is a decision.", name)
        if state.mark == mark and state.standing == mark:
            raise Refused(f"{name} is {mark.replace('_', ' ')} already.")
        bodies: list[Body] = []
        if running is not None:
            if state.step.wait is None:
                raise _refused("running", f"{name} runs ({running.id}).", running.id)
            bodies.append(self._wait_over(state, running, mark))
        if mark == "done" and not (evidence and state.step.snapshot is None):
            missing = snapshot_missing(play, state)
            if missing is not None:
                raise Hindered(missing)
        bodies.append(StepSet(play.id, name, mark, reason, evidence.strip()))
        return (await self._record(*bodies))[-1]

    def _wait_over(self, state: StepState, running: Run, mark: StepMark) -> StepFinished:
        wait, now = state.step.wait, self.room.clock.now()
        passed = (now - running.at) // 1_000_000
        if mark == "done" and wait is not None and wait.least and passed < wait.least * 1000:
            until = iso(running.at + wait.least * SECOND, 0)
            raise _refused("least", f"{state.step.id} lasts until {until} at least.", state.step.id)
        outcome: Literal["done", "cancelled"] = "done" if mark == "done" else "cancelled"
        return StepFinished(running.id, outcome, milliseconds=max(0, passed), note="said by a person")

    async def decide(self, step: str, option: str, reason: str, playbook: str = "") -> Event:
        """Answer a decision.

        Raises:
            Refused: it is none, has no such option, or there is no reason.
        """
        play, state = self.step(step, playbook)
        decision = state.step.decision
        if decision is None:
            raise _refused("view", f"{state.step.id} is no decision.", state.step.id)
        if option not in {each.id for each in decision.options}:
            names = ", ".join(each.id for each in decision.options)
            what = (
                f"{state.step.id} has no option {option}." if option else f"{state.step.id} is not answered."
            )
            raise _refused("option", f"{what} There are: {names}.", state.step.id)
        if not reason.strip():
            raise _refused("reason", "A decision needs a reason.")
        return (await self._record(StepDecided(play.id, state.step.id, option, reason.strip())))[0]

    async def settle(
        self, step: str, word: Literal["happened", "not", "repeat"], reason: str, playbook: str = ""
    ) -> Event:
        """Say what became of a run whose effect nobody knows.

        Raises:
            Refused: nothing is unknown about the step, it still runs, or there is no reason.
        """
        play, state = self.step(step, playbook)
        await self.lost()
        play, state = self.step(step, playbook)
        real = state.real
        abandoned = real is not None and real.running and real.rep != self.replica
        if real is None or not (abandoned or state.standing == "unclear"):
            if real is not None and real.running:
                raise _refused("running", f"Run {real.id} still goes on.", real.id)
            raise _refused("view", f"Nothing is unknown about {state.step.id}.", state.step.id)
        if not reason.strip():
            raise _refused("saw", "Say what you saw.")
        return (await self._record(StepSettled(play.id, state.step.id, real.id, word, reason.strip())))[0]

    async def grant(self, steps: Iterable[str], until: int, reason: str, playbook: str = "") -> Event:
        """Let steps run by themselves on this console until `until` (ns UTC).

        Raises:
            Refused: a step must not, they reach differently far, or there is no reason or no such time.
        """
        play = self.play(playbook)
        chosen = [self.step(each, play.id)[1] for each in steps]
        now = self.room.clock.now()
        if not chosen:
            raise _refused("grant", "Which steps may run by themselves?")
        if not reason.strip():
            raise _refused("reason", "Letting something run by itself needs a reason.")
        if not now < until <= now + LONGEST_GRANT:
            raise _refused("grant_time", "A grant lasts up to a day.")
        for state in chosen:
            step = state.step
            if not step.automatic or step.reach not in LIMITED or step.destroys_evidence or not step.acts:
                raise Refused(
                    f"{step.id} must not run by itself: "
                    + (
                        "it destroys evidence."
                        if step.destroys_evidence
                        else f"it reaches {step.reach}, or needs a person."
                    ),
                    "A person runs it.",
                )
            if state.section == "recovery" and self.incident.severity <= 1:
                raise Refused(
                    f"{step.id} is recovery, and at {self.incident.label} that waits for a person.", "Run it."
                )
        reaches = {state.step.reach for state in chosen} - {"nothing"}
        if len(reaches) > 1:
            raise Refused(f"These steps reach {' and '.join(sorted(reaches))}.", "Grant them one by one.")
        scope = reaches.pop() if reaches else "nothing"
        names = tuple(dict.fromkeys(state.step.id for state in chosen))
        return (await self._record(AutomationGranted(play.id, scope, names, moment(until), reason.strip())))[
            0
        ]

    async def withdraw(self, grant: str = "", reason: str = "") -> Event:
        """Let nothing run by itself any more, at once: anybody may, and without a reason."""
        name = ""
        if grant:
            name = (await self.room.event(grant)).hash
            if name not in self.plays.grants:
                raise _refused("grants", f"{grant} is no grant that stands.")
        elif not self.plays.grants:
            raise Refused("Nothing may run by itself.")
        return (await self._record(AutomationWithdrawn(name, reason.strip())))[0]

    async def freeze(self, reason: str, scope: str = "") -> Event:
        """Freeze changes, but for those that this incident needs."""
        if not reason.strip():
            raise _refused("reason", "A change freeze needs a reason.")
        return (await self._record(FreezeSet(reason.strip(), scope.strip())))[0]

    async def lift(self, reason: str) -> None:
        """Lift every change freeze of this incident."""
        if not self.plays.freezes:
            raise Refused("No changes are frozen.")
        await self._record(*(FreezeLifted(each, reason.strip()) for each in self.plays.freezes))

    async def exempt(self, step: str, reason: str, playbook: str = "") -> Event:
        """Let a step through the change freeze of this incident."""
        play, state = self.step(step, playbook)
        if not reason.strip():
            raise _refused("reason", "An exemption needs a reason.", state.step.id)
        return (await self._record(FreezeExempted(play.id, state.step.id, reason.strip())))[0]

    # -- running -----------------------------------------------------------------------------------------

    async def run(
        self,
        step: str,
        playbook: str = "",
        *,
        real: bool = False,
        confirm: str = "",
        grant: str = "",
        tell: Tell | None = None,
    ) -> Run:
        """Run a step to its end; a dry run unless `real`.

        A wait only begins; `attend` goes on asking whether it holds. Cancelled, the program is ended with all that
        it started, its end is put on the record, and only then the cancellation goes on.

        Args:
            step: id of the step, or the beginning of it.
            playbook: id of its playbook; not needed when only one is open.
            real: whether it is to take effect.
            confirm: the id of the step once more, where it destroys something.
            grant: the grant under which it runs by itself.
            tell: gets the output as it comes.

        Raises:
            Hindered: something is in the way; nothing was written and nothing ran.
            StoreTrouble: the record does not take its start (nothing ran) or its end.
        """
        if self.room.read_only:
            raise reading_only()
        await self.lost()
        play, state = self.step(step, playbook)
        place = self._place(play.id, state.step.id)
        # Before the look at the state: of two that start the same step at once, one finds the other at it.
        lock = await asyncio.to_thread(_lock, place)
        if lock is None:
            running = state.running
            about = running.id if running is not None else state.step.id
            raise _refused("running", f"{state.step.id} runs already.", about)
        try:
            await self.room.refresh()
            return await self._run(play.id, state.step.id, real, confirm, grant, tell or _nobody)
        finally:
            lock.release()

    async def _run(self, playbook: str, step: str, real: bool, confirm: str, grant: str, tell: Tell) -> Run:
        play, state = self.step(step, playbook)
        asked = self.asked(real=real, automatic=bool(grant), confirm=confirm)
        refusals = obstacles(play, state, self.incident, asked, self.room.clock.now())
        if refusals:
            raise Hindered(*refusals)
        if state.step.wait is not None:
            return await self._begin_wait(play, state, real=real)
        filled = fill(state.step, play, self.values(play), dry=not real)
        if not real and (filled is None or filled.kind != "command"):
            return await self._show(play, state)
        assert filled is not None  # noqa: S101 - a step that acts has something to run
        name = secrets.token_hex(8)
        run.ready(filled, name)
        if filled.kind == "action" and filled.verb not in actions.RECORD:
            self.actuators.ready(filled.verb, filled.args)
        bodies: list[Body] = [self._started(play, state, name, filled, real=real, automatic=bool(grant))]
        through = self.plays.freezes and state.step.freeze_exempt and filled.kind != "action"
        if real and through and (play.id, state.step.id) not in self.plays.exempted:
            why = f"playbook {play.id} exempts it for {self.room.code}"
            bodies.insert(0, FreezeExempted(play.id, state.step.id, why))
        await self._say(*bodies, automatic=bool(grant))
        return await self._carry_out(play, state, name, filled, grant, tell)

    async def stop(self, run: Run, reason: str = "") -> set[int]:
        """Ask for the end of a run, wherever it goes on; of one that nobody attends any more, end what is left.

        Returns:
            Processes of it on this machine that could not be ended, when nobody else attends the run.
        """
        state = self.plays.step(run.playbook, run.step)
        if state is not None and state.step.wait is not None and not run.outcome:
            # Nothing runs: it is over with the word.
            passed = max(0, (self.room.clock.now() - run.at) // 1_000_000)
            await self._record(StepFinished(run.id, "cancelled", milliseconds=passed, note=reason.strip()))
            return set()
        if not run.outcome:
            await self._record(StopAsked(run.id, reason.strip()))
        if run.rep != self.replica or holder(self._place(run.playbook, run.step)) is not None:
            return set()
        left = await unbroken(processes.end(run.id))
        if not left:
            await asyncio.to_thread(clear, run.id)
        await self.lost()
        return left

    async def abandoned(self) -> list[Run]:
        """Return the runs of this console that nobody attends any more, and whose end is not on the record."""
        gone: list[Run] = []
        for each in list(self.plays.runs.values()):
            state = self.plays.step(each.playbook, each.step)
            waits = state is not None and state.step.wait is not None
            if not each.running or waits or each.rep != self.replica:
                continue
            place = self._place(each.playbook, each.step)
            if holder(place) is not None:
                continue
            # Its end was on the record before its lock was given back; perhaps it is not read yet.
            await self.room.refresh()
            if self.plays.runs[each.id].running:
                gone.append(each)
        return gone

    async def lost(self) -> list[Run]:
        """Say on the record which runs of this console nobody attends any more. Nothing is repeated."""
        gone: list[Run] = []
        for each in await self.abandoned() if not self.room.read_only else ():
            alive = await asyncio.to_thread(processes.members, each.id)
            note = "The console that ran it is gone."
            if alive:
                note += f" {len(alive)} of its processes still run; stopping the run ends them."
            else:
                await asyncio.to_thread(clear, each.id)
            printed = [
                (name, await asyncio.to_thread(left, self._kept(each.id, name))) for name in run.OUTPUTS
            ]
            outputs = tuple((name, data) for name, data in printed if data)
            # Whoever comes second says the same: by its key it stands there once.
            await self._ended(each, Ended("unknown", note=note, outputs=outputs), key=f"lost:{each.id}")
            gone.append(self.plays.runs.get(each.id, each))
        return gone

    async def attend(self, run_id: str, tell: Tell | None = None) -> Run:
        """Wait until a wait is over: its check holds, its longest time is over, or a person says so.

        It goes on counting from its start, whatever was closed meanwhile. Cancelled, the wait itself goes on.
        """
        while (run_state := self.plays.runs[run_id]).running:
            if run_state.stop is not None:
                ended = Ended("cancelled", note=run_state.stop)
            else:
                ended = await self._look(run_state, tell or _nobody)
            now = self.room.clock.now()
            if ended.outcome != "unknown":
                ended = ended._replace(milliseconds=max(0, (now - run_state.at) // 1_000_000))
                await unbroken(self._ended(run_state, ended))
                break
            await asyncio.sleep(self._pause(run_state))
            await self.room.refresh()
        return self.plays.runs[run_id]

    def _pause(self, going: Run) -> float:
        """Seconds until the next look; without a check only a person or the clock ends a wait."""
        state = self.plays.step(going.playbook, going.step)
        wait = state.step.wait if state is not None else None
        return wait.every if wait is not None and wait.check is not None else LOOK

    async def _look(self, going: Run, tell: Tell) -> Ended:
        """One look at a wait; `unknown`: it is not over."""
        state = self.plays.step(going.playbook, going.step)
        play = self.plays.opened.get(going.playbook)
        if state is None or play is None or (wait := state.step.wait) is None:
            return Ended("cancelled", note="The step is gone.")
        passed = self.room.clock.now() - going.at
        if wait.most is not None and passed >= wait.most * SECOND:
            return Ended("failed", note=f"It did not hold within {wait.most} s.")
        if wait.check is None or (wait.least and passed < wait.least * SECOND):
            return Ended("unknown")
        filled = fill_check(state.step, play, self.values(play))
        if filled is None:
            return Ended("unknown")
        run.ready(filled, going.id)
        looked = await self._execute(
            filled, secrets.token_hex(8), min(state.step.timeout, wait.most or 10**9), tell
        )
        if (task := asyncio.current_task()) is not None and task.cancelling():
            # The check took the cancellation for its own end; it was meant for whoever waits, not for the wait.
            raise asyncio.CancelledError
        return looked._replace(exit=None) if looked.outcome == "done" else Ended("unknown")

    async def _begin_wait(self, play: Play, state: StepState, *, real: bool) -> Run:
        if (going := state.running) is not None:
            return going
        filled = fill_check(state.step, play, self.values(play))
        wait = state.step.wait
        until = said(wait.until, self.values(play)) if wait is not None else ""
        what = (f"wait until {until}", *(filled.recorded if filled is not None else ()))
        name = secrets.token_hex(8)
        body = StepStarted(play.id, state.step.id, name, len(state.runs) + 1, not real, False, what)
        if real:
            await self._record(body)
        else:
            await self._record(body, StepFinished(name, "done", note="shown only"))
        return self.plays.runs[name]

    async def _show(self, play: Play, state: StepState) -> Run:
        """A dry run of what knows none: what would happen is shown, and that it was."""
        filled = fill(state.step, play, self.values(play))
        assert filled is not None  # noqa: S101 - a step that acts has something to run
        name = secrets.token_hex(8)
        started = self._started(play, state, name, filled, real=False, automatic=False)
        note = (
            "Shown only: nothing was sent."
            if filled.kind != "command"
            else "Shown only: it knows no dry run."
        )
        if filled.kind == "action" and filled.verb not in actions.RECORD:
            note = f"{note} {self.actuators.plan(filled.verb, filled.args)}"
        await self._record(started, StepFinished(name, "done", note=note))
        return self.plays.runs[name]

    def _started(
        self, play: Play, state: StepState, name: str, filled: Filled, *, real: bool, automatic: bool
    ) -> StepStarted:
        attempt = sum(each.dry != real for each in state.runs) + 1
        return StepStarted(
            play.id, state.step.id, name, attempt, not real, automatic, filled.recorded, filled.digest
        )

    async def _carry_out(
        self, play: Play, state: StepState, name: str, filled: Filled, grant: str, tell: Tell
    ) -> Run:
        going = self.plays.runs[name]
        why = ""
        work = asyncio.ensure_future(
            self._execute(
                filled,
                name,
                state.step.timeout,
                tell,
                lambda: f"It was stopped: {why}" if why else "",
                partial(self._kept, name),
            )
        )
        watch = asyncio.ensure_future(self._asked_to_end(name, grant))
        cancelled = False
        try:
            await asyncio.wait([work, watch], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            cancelled, why = True, "the console was told to end."
        if not work.done():
            why = why or (watch.result() if watch.done() and not watch.cancelled() else "")
            work.cancel()
        watch.cancel()
        ended = await unbroken(_result(work))
        await unbroken(self._ended(going, ended))
        if cancelled:
            raise asyncio.CancelledError
        return self.plays.runs[name]

    async def _execute(
        self,
        filled: Filled,
        name: str,
        seconds: float,
        tell: Tell,
        why: Callable[[], str] = str,
        keep: Keep = in_memory,
    ) -> Ended:
        if filled.kind == "command":
            return await run.command(
                filled.argv, name, seconds, tell, names=self.settings.environment, why=why, keep=keep
            )
        if filled.http is not None:
            sent = run.headers(filled, name)
            return await run.request(filled.http, sent, name, seconds, tell, why=why, keep=keep)
        return await actions.act(self.room, self.actuators, filled.verb, filled.args, name)

    async def _asked_to_end(self, name: str, grant: str) -> str:
        """Return once somebody wants the end of a run, with the reason."""
        while True:
            await asyncio.sleep(LOOK)
            with suppress(StoreTrouble):
                await self.room.refresh()
            going = self.plays.runs.get(name)
            if going is not None and going.stop is not None:
                return going.stop or "somebody asked for it."
            if grant and grant not in self.plays.grants:
                return "the grant was withdrawn."

    async def _ended(self, going: Run, ended: Ended, key: str = "") -> None:
        """Put the end of a run on the record: first what it printed, then the exhibit and the end together."""
        blobs = Blobs(self.room.case.directory)
        refs: list[Ref] = []
        note = ended.note
        for _, data in ended.outputs:
            try:
                refs.append(await asyncio.to_thread(blobs.put, data, TEXT))
            except StoreTrouble as trouble:
                # That it ended is worth more than what it said; a full disk must not keep both back.
                note = f"{note} What it printed could not be kept: {trouble.what}".strip()
        by = AUTOMATION if going.automatic else self.room.actor
        role = "" if going.automatic else self.room.role
        entries = []
        if refs:
            from console.evidence.capture import host, tool

            kind = "dry run" if going.dry else "run"
            words = tuple(part.encode("utf-8", "replace").decode()[:512] for part in going.what[:100])
            captured = EvidenceCaptured(
                "command",
                f"{going.step}: {kind} {going.id} ({', '.join(name for name, _ in ended.outputs)})"[:512],
                source=f"{host()}: playbook {going.playbook}"[:512],
                tool=tool(),
                command=words,
                exit=ended.exit,
                reason=note[:16_000],
            )
            exhibit = f"{key}:output" if key else ""
            entries.append(entry(captured, by, role=role, refs=tuple(refs), key=exhibit))
        finished = StepFinished(
            going.id, ended.outcome, ended.exit, ended.status, ended.milliseconds, note[:16_000]
        )
        entries.append(entry(finished, by, role=role, refs=tuple(refs), key=key))
        await self.room.append(*entries)
        for name in run.OUTPUTS:
            self._kept(going.id, name).unlink(missing_ok=True)

    def _place(self, playbook: str, step: str) -> Path:
        # Named by a hash: an id may come from another console, and be anything.
        name = sha256(f"{playbook}\0{step}".encode("utf-8", "backslashreplace")).hexdigest()[:32]
        return self.room.case.directory / RUNS / f"{name}.lock"

    def _kept(self, run_id: str, name: str) -> Path:
        """Where the output of a run is kept until its end is on the record."""
        named = sha256(run_id.encode("utf-8", "backslashreplace")).hexdigest()[:32]
        return self.room.case.directory / RUNS / f"{named}.{name}"

    async def _say(self, *bodies: Body, automatic: bool) -> None:
        if automatic:
            await self.room.append(*(entry(body, AUTOMATION) for body in bodies))
        else:
            await self.room.record(*bodies)

    async def _record(self, *bodies: Body) -> tuple[Event, ...]:
        if self.room.read_only:
            raise reading_only()
        return await self.room.record(*bodies)


def _lock(place: Path) -> Lock | None:
    make_directory(place.parent)
    return Lock.take(place)


def _refused(code: Code, what: str, about: str = "") -> Hindered:
    return Hindered(Refusal(code, what, about=about))


def _nobody(_: Progress) -> None:
    pass


async def _result(work: asyncio.Future[Ended]) -> Ended:
    try:
        return await work
    except asyncio.CancelledError:
        return Ended("cancelled", note="It was stopped.")
