"""The fan-out: an order at thousands of targets at once, on a thread of its own with an event loop of its own.

No target waits for another: every first attempt leaves before any second one, an attempt has two seconds, and how many
are under way at once follows from how many could hang. Nothing here knows the record, or waits for it: what became of
the targets is handed over in batches, as the bodies of events.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import os
import resource
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from console.containment.actuator import Actuator, Call, Declined, Reading, Unreachable, patience
from console.containment.state import HELD
from console.events import Body, MoveExtended, MoveOrdered, MoveSeen, Reached, Seen, Target
from console.refusal import Refused

if TYPE_CHECKING:
    from console.containment.state import Standing

ATTEMPT = 2.0
"""Seconds for one attempt, and for one look, from which the number of requests under way follows."""
LONGEST = 10.0
"""Seconds for one at most, whatever an actuator asks for."""
SLACK = 0.25
"""Seconds after which an actuator is cut off that does not keep to its time."""
ATTEMPTS = 3
"""Attempts that follow one another at once; later ones come every `AGAIN` seconds."""
SHARE, WITHIN = 0.3, 12.0
"""How many of the targets may hang, and within how many seconds all attempts at them shall be over all the same."""
LEAST = 64
"""Requests under way at once, however few targets there are."""
SPARE = 200
"""File descriptors that are left for everything else."""
FIRST = 0.02
"""Seconds for which the first request waits for the record and for the fencing token."""
FLUSH = 0.15
"""Seconds between two batches."""
GROUP = 250
"""Targets in one event: who draws the screen must not wait while a long one is taken in."""
GRACE = 3.0
"""Seconds that a target has from its word to its deed; whoever is seen running after that goes on although stopped."""
LOOKS = (0.0, 0.3, 0.6, 1.2, 2.0)
"""Seconds between looks at a target that has taken the order; the last goes on."""
AGAIN = 5.0
"""Seconds between later attempts, and between looks at what nobody can see."""
WATCH = 5.0
"""Seconds between looks at a target that is held, if there are few."""
PACE = 200
"""Looks in a second at what is held, over all."""
NEW = 2.0
"""Seconds between looks for targets that appear."""
BURST = 50
"""Requests begun in one go, so that the first of them leaves at once."""
WARDEN = "warden"
"""The point of the guards that a warden keeps: asked and looked at by it, not from here."""
NOTE = 300
"""Characters of what is said of a target."""
MOST_NOTES = 20
"""Looks after which a target that stays in its state makes no further entries."""

Work = Literal["apply", "probe"]


class Way(Protocol):
    """How targets are reached; `console.containment.points.Points` is one."""

    def actuator(self, point: str) -> Actuator:
        """Return what reaches a point; raises `Refused`."""
        ...

    def call(self, order: MoveOrdered, target: Target, *, epoch: int = 0, timeout: float = 2.0) -> Call:
        """Return what an order asks of one target."""
        ...

    def targets(self, verb: str, subject: str = "") -> list[Target]:
        """Return what an order reaches now."""
        ...

    def again(self) -> bool:
        """Read anew what may have changed."""
        ...


def width(count: int) -> int:
    """Return how many requests are under way at once for so many targets.

    What hangs holds a connection for `ATTEMPT` seconds in each attempt, so that all of it is over after
    hanging x attempt x attempts / connections seconds at the earliest.
    """
    needed = math.ceil(count * SHARE * ATTEMPT * ATTEMPTS / WITHIN)
    return max(min(max(needed, LEAST), count, descriptors()), 1)


def descriptors() -> int:
    """Return how many connections can be open beside what is open already, having asked for as many as are allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft == resource.RLIM_INFINITY:
        return 65_536
    try:
        used = len(os.listdir("/proc/self/fd"))
    except OSError:
        used = 0
    return max(soft - used - SPARE, 1)


@dataclass(slots=True)
class Progress:
    """How far one target is, as the fan-out goes by it."""

    target: Target
    state: Reached = "requested"
    note: str = ""
    attempts: int = 0
    looks: int = 0
    told: float = -1.0
    """When it took the order, monotonic seconds; -1 = it has not."""
    running: int = 0
    """How often in a row it was seen running."""
    let_go: bool = False
    """Taken back, or dealt with by a person: it is left alone."""


@dataclass
class Course:
    """One order under way.

    Args:
        body: the order.
        way: how its targets are reached.
        targets: those that are known, in the order of the record.
        began: when the order was given, monotonic seconds.
        deliver: takes the bodies of events; called on the thread of the fan-out, in the order of what happened.
        grows: whether targets that appear are taken in.
        repeats: whether it may be asked again of a target that said nothing; else such a one is only looked at.
        gate: set on the thread of the fan-out once the order is on the record.
        fence: set there once the fencing token is known.
    """

    body: MoveOrdered
    way: Way
    targets: Sequence[Target]
    began: float
    deliver: Callable[[list[Body]], None]
    grows: bool = False
    repeats: bool = True
    beside: Callable[[Course], Coroutine[None, None, None]] | None = None
    """What goes on beside it, such as the warden; started with it and ended with it."""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    fence: asyncio.Event = field(default_factory=asyncio.Event)
    epoch: int = 0
    waiting: set[str] = field(default_factory=set)
    """What has to be known before everything can count as proven: what the warden says, or a look at what was left."""

    def __post_init__(self) -> None:
        self.progress = [Progress(each) for each in self.targets]
        self._places = {each.id: at for at, each in enumerate(self.targets)}
        self._heap: list[tuple[int, int, Work, int]] = []
        self._pushed = self._busy = 0
        self._pumping = False
        self._batch: list[Seen] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()
        self._width = width(len(self.progress))
        self._told_epoch = self.epoch
        self._unseen: set[int] = set()
        self._resumed = False

    def resume(self, standings: Sequence[Standing]) -> None:
        """Take over how far the targets were when another process left off."""
        self._resumed = True
        self.waiting.add("looks")
        for progress, standing in zip(self.progress, standings, strict=True):
            progress.state, progress.note = standing.state, standing.note
            progress.let_go = bool(standing.lifted) or standing.answered is not None
            if standing.state in ("accepted", "effective", "leaking", *HELD):
                progress.told = self.began + standing.ms / 1000

    # -- on the thread of the fan-out --------------------------------------------------------------------

    async def run(self) -> None:
        """Go on until `stop`."""
        if self.beside is not None:
            self._spawn(self.beside(self))
        await self._ready()
        if self._resumed:
            for at, progress in enumerate(self.progress):
                if not progress.let_go and progress.target.point != WARDEN:
                    self._unseen.add(at)
                    fresh = progress.told < 0 and self.repeats
                    self._push(0, "apply" if fresh else "probe", at)
            if not self._unseen:
                self.knows("looks")
        else:
            for at in range(len(self.progress)):
                self._push(0, "apply", at)
        self._spawn(self._flushing())
        if self.grows:
            self._spawn(self._growing())
        try:
            await self._over.wait()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self.flush()

    async def _ready(self) -> None:
        """Wait a moment for the record and the fencing token, and for no more than that."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST):
                await self.gate.wait()
                if self.beside is not None and not self.body.lifts:
                    await self.fence.wait()

    def stop(self) -> None:
        """End it; what is under way is cut off."""
        self._over.set()

    def let_go(self, targets: Iterable[str]) -> None:
        """Leave targets alone from here on."""
        names = set(targets)
        for progress in self.progress:
            if progress.target.id in names:
                progress.let_go = True

    def place(self, target: str) -> int | None:
        """Return the place of a target among those of the order; None: it has none."""
        return self._places.get(target)

    def extend(self, targets: Iterable[Target]) -> None:
        """Take further targets in."""
        new = [each for each in targets if each.id not in self._places]
        if not new:
            return
        first = len(self.progress)
        self._places.update((each.id, at) for at, each in enumerate(new, first))
        self.progress += [Progress(each) for each in new]
        self.flush()
        for at in range(0, len(new), GROUP):
            self.deliver([MoveExtended(self.body.order, tuple(new[at : at + GROUP]))])
        self._width = max(self._width, width(len(self.progress)))
        for at in range(first, len(self.progress)):
            self._push(0, "apply", at)

    @property
    def whole(self) -> bool:
        """Whether everything is known that a verdict needs."""
        return not self.waiting

    def knows(self, what: str) -> None:
        """Say that something need not be waited for any more."""
        if what in self.waiting:
            self.flush()
            self.waiting.discard(what)
            self.deliver([])

    def fenced(self, epoch: int) -> None:
        """Take the fencing token in; calls from here on carry it."""
        self.epoch = max(self.epoch, epoch)
        self.fence.set()
        if self.epoch != self._told_epoch:
            self._told_epoch = self.epoch
            self.deliver([MoveExtended(self.body.order, (), self.epoch)])

    def see(self, at: int, state: Reached, note: str = "") -> None:
        """Note that a target is in a state, unless that is known. What is said of a lasting state is said once."""
        progress = self.progress[at]
        note = note[:NOTE]
        lasting = state in (*HELD, "leaking") or progress.looks > MOST_NOTES or note == progress.note
        if progress.state == state and lasting and (progress.attempts or progress.looks):
            return
        progress.state, progress.note = state, note
        self._batch.append(Seen(at, state, self.elapsed, note))

    @property
    def elapsed(self) -> int:
        """Milliseconds since the order."""
        return max(int((time.monotonic() - self.began) * 1000), 0)

    def flush(self) -> None:
        """Hand over what was seen."""
        batch, self._batch = self._batch, []
        if batch:
            self.deliver(
                [
                    MoveSeen(self.body.order, tuple(batch[at : at + GROUP]))
                    for at in range(0, len(batch), GROUP)
                ]
            )

    async def _flushing(self) -> None:
        while True:
            await asyncio.sleep(FLUSH)
            self.flush()

    async def _growing(self) -> None:
        while True:
            await asyncio.sleep(NEW)
            if await asyncio.to_thread(self.way.again):
                self.extend(self.way.targets(self.body.verb, self.body.subject))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _push(self, priority: int, work: Work, at: int) -> None:
        heapq.heappush(self._heap, (priority, self._pushed, work, at))
        self._pushed += 1
        if not self._pumping:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _later(self, seconds: float, priority: int, work: Work, at: int) -> None:
        asyncio.get_running_loop().call_later(seconds, self._push, priority, work, at)

    def _pump(self) -> None:
        self._pumping = False
        begun = 0
        while self._heap and self._busy < self._width and not self._over.is_set():
            if begun == BURST:
                self._pumping = True
                asyncio.get_running_loop().call_soon(self._pump)
                return
            _, _, work, at = heapq.heappop(self._heap)
            if self.progress[at].let_go or self.progress[at].target.point == WARDEN:
                continue
            self._busy += 1
            begun += 1
            self._spawn(self._do(work, at))

    async def _do(self, work: Work, at: int) -> None:
        try:
            if work == "apply":
                await self._apply(at)
            else:
                await self._probe(at)
        finally:
            self._busy -= 1
            if self._heap and not self._pumping:
                self._pumping = True
                asyncio.get_running_loop().call_soon(self._pump)

    async def _apply(self, at: int) -> None:
        progress = self.progress[at]
        if not progress.attempts and progress.state == "requested":
            self.see(at, "requested")
        progress.attempts += 1
        state: Reached
        pause = 0.0
        try:
            actuator, call = self._call(progress.target)
            async with asyncio.timeout(call.timeout + SLACK):
                answer = await actuator.apply(call)
            state, note = ("effective" if answer.effective else "accepted"), answer.note
        except Unreachable as error:
            state, note, pause = "unreachable", str(error), error.after
        except TimeoutError:
            state, note = "unreachable", "no answer in time"
        except Declined as error:
            state, note = "refused", str(error)
        except Refused as refused:
            state, note = "refused", f"{refused.what} {refused.next_step}".strip()
        except Exception as error:  # a fault of one actuator must not cost the other targets
            state, note = "unreachable", f"an unforeseen error: {type(error).__name__}"
        if progress.let_go:
            return
        if state in ("accepted", "effective"):
            if progress.told < 0:
                progress.told = time.monotonic()
            if progress.state not in HELD and progress.state != "leaking":
                self.see(at, state, note)
            progress.looks = 0
            self._push(1, "probe", at)
            return
        if progress.state in HELD:
            self._later(self._slow, 6, "probe", at)
            return
        if progress.state != "leaking":
            tries = f" (attempt {progress.attempts})" if progress.attempts > 1 else ""
            if progress.attempts in (1, ATTEMPTS) or progress.state != state:
                self.see(at, state, note[: NOTE - 20] + tries)
        if progress.attempts < ATTEMPTS and self.repeats:
            if pause:
                self._later(min(pause, AGAIN), 2, "apply", at)
            else:
                self._push(1 + progress.attempts, "apply", at)
        else:
            # Nobody can reach it; somebody may see all the same what it does.
            self._push(5, "probe", at)

    async def _probe(self, at: int) -> None:
        progress = self.progress[at]
        try:
            actuator, call = self._call(progress.target)
            async with asyncio.timeout(call.timeout + SLACK):
                reading = await actuator.probe(call)
        except (TimeoutError, Refused, Unreachable, Declined) as error:
            reading = Reading("unknown", str(error) or "nothing to be seen in time")
        except Exception as error:
            reading = Reading("unknown", f"an unforeseen error: {type(error).__name__}")
        if progress.let_go:
            return
        progress.looks += 1
        wanted = "running" if self.body.lifts else "stopped"
        if self._unseen and not (
            reading.observed == "running" and progress.state in HELD and not progress.running
        ):
            self._unseen.discard(at)
        if reading.observed == wanted:
            progress.running = 0
            self.see(at, "verified", reading.note)
            self._later(self._slow, 6, "probe", at)
        elif reading.observed == "running" and not self.body.lifts:
            self._running(at, reading)
        else:
            self._unclear(at, reading)
        if not self._unseen:
            self.knows("looks")

    def _running(self, at: int, reading: Reading) -> None:
        """It was seen to act."""
        progress = self.progress[at]
        progress.running += 1
        since = time.monotonic() - progress.told if progress.told >= 0 else -1.0
        if progress.state in HELD and progress.running < 2:
            # Somebody may be letting it go on this moment: looked at once more before it is said.
            self._later(1.0, 4, "probe", at)
        elif progress.told >= 0 and (since >= GRACE or progress.state in (*HELD, "leaking")):
            back = progress.state in HELD
            self.see(at, "leaking", reading.note)
            self._later(0.0 if back else AGAIN, 2, "apply", at)
        elif progress.told >= 0:
            self._later(self._pause(progress), 1, "probe", at)
        elif self.repeats:
            self._later(AGAIN, 5, "apply", at)
        else:
            self._later(AGAIN, 5, "probe", at)

    def _unclear(self, at: int, reading: Reading) -> None:
        """Nobody could tell, or it has not come to pass yet."""
        progress = self.progress[at]
        progress.running = 0
        if progress.told < 0 and self.repeats:
            self._later(AGAIN, 5, "apply", at)
            return
        if progress.state in ("accepted", "effective") and reading.note and progress.looks > 1:
            self.see(at, progress.state, reading.note)
        slow = progress.state in HELD
        self._later(
            max(WATCH, len(self.progress) / PACE) if slow else self._pause(progress),
            6 if slow else 3,
            "probe",
            at,
        )

    @property
    def _slow(self) -> float:
        """Seconds between looks at what is held."""
        return max(WATCH, len(self.progress) / PACE)

    def _pause(self, progress: Progress) -> float:
        return LOOKS[min(progress.looks, len(LOOKS) - 1)]

    def _call(self, target: Target) -> tuple[Actuator, Call]:
        actuator = self.way.actuator(target.point)
        seconds = min(patience(actuator), LONGEST)
        return actuator, self.way.call(self.body, target, epoch=self.epoch, timeout=seconds)


class Fanout:
    """The thread on which orders are carried out; started with the first."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Start the thread, unless it runs."""
        if self._thread is None:
            ready = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(ready,), name="containment", daemon=True)
            self._thread.start()
            ready.wait()

    def submit(self, course: Course) -> None:
        """Carry an order out from now on; returns at once."""
        self.start()
        self.call(self._begin, course)

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Call something on the thread, soon."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(function, *args)

    def close(self, last: Callable[[], Coroutine[None, None, None]]) -> None:
        """End everything; `last` lets go of what was used on the thread. Waits for it a moment."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._end(last), loop)
        thread.join(2 * ATTEMPT)
        self._thread = self._loop = None

    def _run(self, ready: threading.Event) -> None:
        self._loop = loop = asyncio.new_event_loop()
        loop.call_soon(ready.set)
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    def _begin(self, course: Course) -> None:
        task = asyncio.get_running_loop().create_task(course.run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self, last: Callable[[], Coroutine[None, None, None]]) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await asyncio.wait_for(last(), ATTEMPT)
        finally:
            asyncio.get_running_loop().stop()
