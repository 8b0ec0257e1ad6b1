"""Reversing effects, and checking that they are undone: one run of the playbook runner for each, many at once.

The order is that of a playbook step: the lock, then the start on the disk, then the runs, then what came of each.
Whoever finds a start without an end and without a lock knows that nobody knows; such an effect is neither repeated nor
reversed before a person looked. Rolling a release back is another thing altogether (X-9): a containment move, which
nothing here can order.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from console import shown
from console.events import (
    Deed,
    EffectsEnded,
    EffectsStarted,
    EvidenceCaptured,
    Result,
    entry,
)
from console.refusal import Refused
from console.rollback import deeds
from console.rollback.ledger import Attempt
from console.rollback.procedure import Procedure, facts, filled, procedure, reversal_key
from console.runner import processes, run
from console.runner.fill import Filled, Unfilled
from console.runner.run import Ended, clear, unbroken
from data.blobs import Blobs
from data.case import reading_only
from data.durable import make_directory
from data.envelope import Ref
from data.lock import Lock, holder
from data.trouble import StoreTrouble

if TYPE_CHECKING:
    from console.config import Config
    from console.room import Room
    from console.runner.output import Progress as Printed
    from data.home import Home

BATCH = 50
"""Effects of one start: so many at most are in doubt when the console is killed."""
PLACE = "runs/effects.lock"
"""In a case, held while somebody reverses or checks effects of it here."""
DRILL_CONFIG = "config.toml"
"""The configuration in a drill's home."""
SAID = 300
"""Characters of what a run printed that stand on the record as its note; all of it is kept as evidence."""
MEDIA = "application/x-ndjson"


class Progress(NamedTuple):
    """How far a reversal is: effects of which the outcome is known, of all, and how many did not end well."""

    done: int
    total: int
    failed: int


class Outcome(NamedTuple):
    """What became of it.

    Attributes:
        results: of each effect that was begun.
        skipped: effect to why it was not begun.
        cancelled: whether somebody stopped it before its end.
        runs: ids of the runs on the record.
    """

    results: tuple[Result, ...]
    skipped: dict[str, str]
    cancelled: bool
    runs: tuple[str, ...]

    @property
    def well(self) -> bool:
        """Whether all of it was done."""
        return (
            not self.cancelled and not self.skipped and all(each.outcome == "done" for each in self.results)
        )


class _Printed(msgspec.Struct, omit_defaults=True):
    """What was run for one effect and what it said; text where it is text, else base64."""

    effect: str
    what: list[str]
    outcome: str
    exit: int | None = None
    status: int = 0
    outputs: dict[str, str] = {}
    base64: dict[str, str] = {}


Tell = Callable[[Progress], None]


class Reversing:
    """Reverses effects of one incident, and checks them.

    A drill has the reversals of the configuration in its own home, and no others: whatever the documents and the
    configuration of its console say, it reaches no real system.

    Args:
        room: the incident.
        home: whose console this is; of another mode than the incident it reverses nothing.
        config: names the reversals, and what programs may see of the environment.
    """

    def __init__(self, room: Room, home: Home, config: Config) -> None:
        self.room, self.replica, self._mode = room, home.replica, home.mode
        self._config = _of_drill(home) if home.mode == "drill" else config
        self._stop = False
        self._inflight: set[asyncio.Future[Ended]] = set()

    async def procedure(self, action_class: str) -> Procedure:
        """Return how effects of a class are reversed.

        Raises:
            Refused: nothing says how, or what is configured makes no sense.
        """
        drill = self._mode == "drill" or self.room.incident.mode == "drill"
        if drill and self._mode != self.room.incident.mode:
            raise Refused("A drill reaches no real system, and a real incident none of a drill.")
        found = await asyncio.to_thread(procedure, action_class, self._config, documents=not drill)
        if found is None:
            row = self.room.incident.rollback.get(action_class)
            by_hand = " ".join(row.action_class.procedure[:2]) if row is not None else ""
            raise Refused(
                f"Nothing says how the console reverses effects of {action_class or 'no class'}.",
                f"By hand: {by_hand} Then: warroom effects move reversed. "
                "Or configure it under [[reversal]] (docs/rollback.md).",
            )
        return found

    async def reverse(
        self,
        ids: Sequence[str],
        *,
        real: bool,
        confirm: str = "",
        reason: str = "",
        tell: Tell = lambda _: None,
    ) -> Outcome:
        """Reverse effects of one class, or show what would be done. Cancelled, it ends what goes on and says so.

        Args:
            ids: whole ids.
            real: whether it takes effect; else a dry run, where the procedure knows one, or what would be sent.
            confirm: id of the class, typed once more, where the procedure warns.
            reason: goes on the record.
            tell: told how far it is.

        Raises:
            Refused: they are of several classes, not to be undone, in doubt, or being worked on; a warning is not
                confirmed; somebody else has the authority.
            StoreTrouble: the record did not take the start, so nothing was begun.
        """
        return await self._work("reverse", ids, real, confirm, reason, tell)

    async def verify(self, ids: Sequence[str], *, reason: str = "", tell: Tell = lambda _: None) -> Outcome:
        """Check that effects of one class are undone; those of which the check holds are verified.

        Raises:
            Refused: as for `reverse`; the procedure knows no check.
        """
        return await self._work("verify", ids, True, "", reason, tell)

    async def lost(self) -> list[Attempt]:
        """Say on the record of which runs of this console nobody knows the end any more. Nothing is repeated."""
        mine = [each for each in self.room.incident.ledger.running if each.rep == self.replica]
        if self.room.read_only or not mine or holder(self._place) is not None:
            return []
        await self.room.refresh()
        gone = []
        for each in mine:
            if self.room.incident.ledger.attempts[each.body.run].ended_at:
                continue
            alive = await asyncio.to_thread(_alive, each.body.ids)
            note = "The console that ran it is gone." + (
                f" {alive} of its processes still run." if alive else ""
            )
            results = tuple(Result(effect, "unknown", note) for effect in each.body.ids)
            # Whoever comes second says the same: by its key it stands there once.
            ended = entry(
                EffectsEnded(each.body.run, results, note), self.room.actor, key=f"lost:{each.body.run}"
            )
            await self.room.append(ended)
            gone.append(self.room.incident.ledger.attempts[each.body.run])
        return gone

    async def _work(
        self, deed: Deed, ids: Sequence[str], real: bool, confirm: str, reason: str, tell: Tell
    ) -> Outcome:
        if self.room.read_only:
            raise reading_only()
        place = self._place
        make_directory(place.parent)
        lock = await asyncio.to_thread(Lock.take, place)
        if lock is None:
            raise Refused("Effects of this incident are being reversed here already.", "Wait for its end.")
        try:
            await self.room.refresh()
            name = self._class(ids)
            found = await self.procedure(name)
            if deed == "reverse":
                self._may_reverse(found, ids, real, confirm)
            else:
                self._may_check(found, ids)
            return await self._batches(deed, found, list(dict.fromkeys(ids)), real, reason, tell)
        finally:
            lock.release()

    # -- what is in the way ------------------------------------------------------------------------------

    def _class(self, ids: Sequence[str]) -> str:
        if not ids:
            raise Refused("No effect is named.", "`warroom effects` lists them.")
        ledger = self.room.incident.ledger
        classes = {ledger.class_of(each) for each in ids}
        if len(classes) > 1:
            raise Refused(
                f"These effects are of {len(classes)} classes: {', '.join(sorted(filter(None, classes)))}.",
                "Each class has a way of its own: name one with --class.",
            )
        return classes.pop()

    def _may_reverse(self, found: Procedure, ids: Collection[str], real: bool, confirm: str) -> None:
        incident = self.room.incident
        ledger = incident.ledger
        deeds.certain(incident, ids)
        for each in ids:
            state = ledger.state(each)
            if state != "open":
                raise Refused(f"Effect {each[:8]} is {state}.", "Only what is open is reversed.")
            if ledger.rows[each].reversible == "no":
                row = incident.rollback.get(found.action_class)
                instead = row.action_class.substitute[:1] if row is not None else ()
                raise Refused(
                    f"Effect {each[:8]} cannot be undone.",
                    f"{' '.join(instead)} Then: warroom effects move substituted {each[:8]} --instead WHAT.".strip(),
                )
        if real and found.warns and confirm != found.action_class:
            raise Refused(
                f"WARNING: {found.warns}",
                f"To go on, type the class once more: --confirm {found.action_class}.",
            )

    def _may_check(self, found: Procedure, ids: Collection[str]) -> None:
        if found.check is None:
            raise Refused(
                f"{found.origin.capitalize()} knows no check for {found.action_class}.",
                "Look yourself, then: warroom effects move verified --evidence WHAT-SHOWS-IT.",
            )
        ledger = self.room.incident.ledger
        for each in ids:
            if (state := ledger.state(each)) not in ("reversed", "substituted"):
                raise Refused(
                    f"Effect {each[:8]} is {state}: there is nothing to check yet.", "Reverse it first."
                )

    # -- doing it ----------------------------------------------------------------------------------------

    async def _batches(
        self, deed: Deed, found: Procedure, ids: list[str], real: bool, reason: str, tell: Tell
    ) -> Outcome:
        results: list[Result] = []
        skipped: dict[str, str] = {}
        runs: list[str] = []
        # Shown before, not started after: what cannot be filled in never begins.
        ready = list(self._ready(deed, found, ids, real, skipped))
        self._stop = False
        queue = iter(ready)
        try:
            while (batch := dict(islice(queue, BATCH))) and not self._stop:
                name = secrets.token_hex(8)
                what = tuple(shown.secrets().mask(each)[:512] for each in self._template(deed, found))[:100]
                await self.room.record(
                    EffectsStarted(
                        name, found.action_class, deed, tuple(batch), what, not real, reason.strip()
                    )
                )
                runs.append(name)
                say = partial(_say, tell, tuple(results), len(ready))
                results += await self._batch(name, found, batch, real, say)
        except asyncio.CancelledError:
            self._stop = True
            raise
        return Outcome(tuple(results), skipped, self._stop, tuple(runs))

    def _template(self, deed: Deed, found: Procedure) -> tuple[str, ...]:
        return found.words if deed == "reverse" else found.checked_by

    def _ready(
        self, deed: Deed, found: Procedure, ids: list[str], real: bool, skipped: dict[str, str]
    ) -> Iterator[tuple[str, Filled | None]]:
        """What runs for each effect; why it does not for the others goes into `skipped`."""
        ledger = self.room.incident.ledger
        step = found.reverse if deed == "reverse" or found.check is None else found.check
        undone = {
            (row.key, row.target): each
            for each, mark in ledger.marks.items()
            if (row := ledger.rows[each]).key
            and ledger.class_of(each) == found.action_class
            and (mark.state in ("reversing", "reversed", "verified"))
        }
        for each in ids:
            row = ledger.rows[each]
            twin = undone.get((row.key, row.target)) if deed == "reverse" and row.key else None
            if twin is not None and twin != each:
                skipped[each] = f"effect {twin[:8]} has the same key {row.key} and is {ledger.state(twin)}"
                continue
            try:
                made = filled(step, facts(row), dry=not real and step.command is not None)
                if made is not None:
                    run.ready(made, reversal_key(each))
                yield each, made if real or (made is not None and made.kind == "command") else None
            except (Unfilled, Refused) as refused:
                skipped[each] = str(refused)
                continue
            if row.key and deed == "reverse" and real:
                undone[row.key, row.target] = each

    async def _batch(
        self,
        name: str,
        found: Procedure,
        batch: dict[str, Filled | None],
        real: bool,
        say: Callable[[list[Result]], None],
    ) -> list[Result]:
        results: list[Result] = []
        printed: list[_Printed] = []
        waiting = iter(batch.items())

        async def work() -> None:
            for each, made in waiting:
                if self._stop:
                    return
                ended = await self._one(each, made, found)
                results.append(_result(each, ended))
                printed.append(_printed(each, made, ended))
                say(results)

        workers = [asyncio.ensure_future(work()) for _ in range(min(found.width, len(batch)))]
        cancelled = False
        try:
            await asyncio.wait(workers)
        except asyncio.CancelledError:
            cancelled, self._stop = True, True
            for task in self._inflight:
                task.cancel()
            await unbroken(_all(workers))
        # What could not be begun stands in no result; what was begun stands there, whatever became of it.
        note = "It was stopped." if cancelled else ""
        if not real:
            note = f"{note} A dry run.".strip()
        await unbroken(self._ended(name, found, results, printed, note))
        if cancelled:
            raise asyncio.CancelledError
        return results

    async def _one(self, each: str, made: Filled | None, found: Procedure) -> Ended:
        if made is None:
            return Ended("done", note="Shown only: nothing was sent.")
        task = asyncio.ensure_future(self._execute(made, reversal_key(each), found.timeout))
        self._inflight.add(task)
        try:
            return await unbroken(_outcome(task))
        finally:
            self._inflight.discard(task)

    async def _execute(self, made: Filled, key: str, seconds: float) -> Ended:
        if made.http is not None:
            return await run.request(made.http, run.headers(made, key), key, seconds, _nobody)
        names = self._config.runner.environment
        return await run.command(made.argv, key, seconds, _nobody, names=names)

    async def _ended(
        self, name: str, found: Procedure, results: list[Result], printed: list[_Printed], note: str
    ) -> None:
        """Put on the record what became of a batch: first what it printed, then the exhibit and the end together."""
        refs: list[Ref] = []
        if any(each.outputs or each.base64 for each in printed):
            data = msgspec.json.Encoder().encode_lines(printed)
            try:
                refs.append(await asyncio.to_thread(Blobs(self.room.case.directory).put, data, MEDIA))
            except StoreTrouble as trouble:
                # What became of it is worth more than what it said; a full disk must not keep both back.
                note = f"{note} What it printed could not be kept: {trouble.what}".strip()
        entries = []
        if refs:
            from console.evidence.capture import host, tool

            captured = EvidenceCaptured(
                "command",
                f"{found.action_class}: run {name} over {len(printed):,} effects",
                source=f"{host()}: {found.origin}"[:512],
                tool=tool(),
                count=len(printed),
            )
            entries.append(
                entry(captured, self.room.actor, role=self.room.role, refs=tuple(refs), key=f"printed:{name}")
            )
        ended = EffectsEnded(name, tuple(results), note)
        entries.append(
            entry(ended, self.room.actor, role=self.room.role, refs=tuple(refs), key=f"ended:{name}")
        )
        await self.room.append(*entries)
        await deeds.announce(self.room)

    @property
    def _place(self) -> Path:
        return self.room.case.directory / PLACE


def _of_drill(home: Home) -> Config:
    from console.config import Config, load

    own = home.path / DRILL_CONFIG
    return load(own) if own.exists() else Config()


def _say(tell: Tell, before: Sequence[Result], total: int, now: Sequence[Result]) -> None:
    failed = sum(each.outcome != "done" for each in (*before, *now))
    tell(Progress(len(before) + len(now), total, failed))


def _result(each: str, ended: Ended) -> Result:
    printed = dict(ended.outputs)
    # What went well says its reference first; what went wrong says why at the end, and by itself.
    names = ("stdout", "answer", "stderr") if ended.outcome == "done" else ("stderr", "answer", "stdout")
    said = next((lines for name in names if (lines := printed.get(name, b"").strip().splitlines())), [b""])
    line = said[0 if ended.outcome == "done" else -1].decode("utf-8", "replace")
    note = shown.secrets().mask(" ".join(filter(None, (ended.note, line))))[:SAID]
    return Result(each, ended.outcome, note, ended.exit, ended.status, ended.milliseconds)


def _printed(each: str, made: Filled | None, ended: Ended) -> _Printed:
    what = list(made.recorded) if made is not None else []
    printed = _Printed(each, what, ended.outcome, ended.exit, ended.status, {}, {})
    for name, data in ended.outputs:
        try:
            printed.outputs[name] = data.decode()
        except UnicodeDecodeError:
            printed.base64[name] = base64.b64encode(data).decode()
    return printed


def _alive(ids: Sequence[str]) -> int:
    """How many processes of abandoned reversals are left; where there is none, clear up behind it."""
    alive = 0
    for each in ids:
        left = processes.members(reversal_key(each))
        alive += len(left)
        if not left:
            with suppress(OSError):
                clear(reversal_key(each))
    return alive


async def _outcome(work: asyncio.Future[Ended]) -> Ended:
    try:
        return await work
    except asyncio.CancelledError:
        return Ended("cancelled", note="It was stopped.")


async def _all(workers: Collection[asyncio.Future[None]]) -> None:
    await asyncio.wait(workers)


def _nobody(_: Printed) -> None:
    pass
