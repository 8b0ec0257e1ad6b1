"""The outbox: takes what is queued to its senders, on a thread of its own with a task for each of them.

Nothing waits for it. A sender that hangs, refuses or talks nonsense holds up nobody but itself. The order is what makes a
crash harmless: `message.trying` is on the disk before the request, its end after. A try without an end, left behind by a
console that is gone, is repeated where a repeat is harmless, looked for where the service lets us, and otherwise
unknown until a person says more.

Only the console that queued a message sends it, and only while it is the one that writes the case.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, NamedTuple

from console.comms import senders
from console.comms.formats import Letter
from console.comms.senders import Outcome, Sender
from console.events import (
    Body,
    MessageFailed,
    MessageSent,
    MessageTrying,
    UpdatePromised,
    UpdateSent,
    entry,
    moment,
)
from console.evidence.redaction import Redaction
from console.refusal import Refused
from data.trouble import StoreTrouble

if TYPE_CHECKING:
    from console.comms.state import Delivery, Message
    from console.config import Sender as Setting
    from console.incident import Incident
    from console.room import Room
    from data.case import Case
    from data.home import Home

SECOND = 1_000_000_000
PAUSE = 5.0
"""Seconds before the second try; each further one waits twice as long."""
PATIENCE = 300.0
"""Seconds between two tries at most, unless the service asks for more."""
LASTS = 2 * 3600 * SECOND
"""After that long a message that nobody took is given up: what it says is no longer so. A person may send it again."""
TRIES = 60
BETWEEN = 1.1
"""Seconds between the parts of one message: Slack takes one message a second."""
END = 2.0
"""Seconds for which the thread of the outbox is waited for at the end."""
RESTARTS = frozenset({"internal", "status-page"})
"""Audiences whose messages are the updates that the cadence is about."""


class Job(NamedTuple):
    """One try of one delivery, as the state says that it is due."""

    message: str
    sender: str
    attempt: int
    part: int
    due: int
    queued_at: int
    lost: bool
    letter: Letter
    by: str
    role: str
    update: tuple[Body, ...]

    @property
    def name(self) -> tuple[str, str, int]:
        """What no console ever does twice."""
        return self.message, self.sender, self.attempt


class Outbox:
    """Sends what the open incident has queued, until it is closed.

    Args:
        home: whose console this is; a drill's messages go to files only.
        settings: the senders.
        changed: called on the thread of the outbox whenever something became of a message.
        redaction: what is masked in messages that stay inside.
        patience: seconds for which requests under way are waited for when somebody leaves the incident.
    """

    def __init__(
        self,
        home: Home,
        settings: Iterable[Setting],
        changed: Callable[[], None] = lambda: None,
        redaction: Redaction | None = None,
        patience: float = 3.0,
    ) -> None:
        self._patience = patience
        self._drill, self._replica, self._clock = home.mode == "drill", home.replica, home.clock
        self.settings = {each.name: each for each in settings}
        self._changed = changed
        self._redaction = redaction or Redaction("secrets")
        self._guard = threading.Lock()
        self._case: Case | None = None
        self._jobs: dict[tuple[str, str], Job] = {}
        self._begun: set[tuple[str, str, int]] = set()
        self._busy = 0
        self._closed = False
        self._idle = threading.Condition(self._guard)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wakes: dict[str, asyncio.Event] = {}
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()

    # -- called by the desk ------------------------------------------------------------------------------

    def tend(self, room: Room) -> None:
        """Take up what the state of an open incident says is due; called after every change, and returns at once."""
        if room.read_only or self._closed:
            return
        jobs = {(job.message, job.sender): job for job in self._due(room.incident)}
        # Whoever wrote it may be gone; only the one that writes now may send.
        if jobs and not room.case.take_over():
            return
        with self._guard:
            self._case, self._jobs = room.case, jobs
        if jobs:
            self._start()
            self._wake(jobs)

    def leave(self) -> None:
        """Let go of the open incident. What is under way may end; what waits goes on when it is opened again."""
        with self._guard:
            self._jobs = {}
            self._idle.wait_for(lambda: not self._busy, self._patience)
            self._case = None

    def close(self) -> None:
        """End. A request that hangs is not waited for: its entry says that nobody knows."""
        self._closed = True
        self.leave()
        loop, self._loop = self._loop, None
        if loop is not None and self._thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            self._thread.join(END)

    def _due(self, incident: Incident) -> Iterable[Job]:
        for message, delivery in incident.messages.deliveries():
            if delivery.rep != self._replica or delivery.state not in ("queued", "retry", "trying"):
                continue
            name = (message.id, delivery.sender, delivery.attempts)
            lost = delivery.state == "trying"
            now = self._clock.now()
            if lost and name in self._begun:
                continue  # it is ours, and goes on
            yield Job(
                message.id, delivery.sender, delivery.attempts + 1, delivery.part, delivery.again, delivery.at, lost,
                letter(incident, message, delivery, drill=self._drill, redaction=self._redaction),
                delivery.by, delivery.role, _update(incident, message, delivery, now),
            )  # fmt: skip

    def _wake(self, jobs: Iterable[tuple[str, str]]) -> None:
        loop = self._loop
        if loop is None:
            return
        for sender in {sender for _, sender in jobs}:
            loop.call_soon_threadsafe(self._attend, sender)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
            self._thread.start()
            self._ready.wait()

    # -- on the thread of the outbox ---------------------------------------------------------------------

    def _run(self) -> None:
        loop = asyncio.new_event_loop()
        self._loop = loop
        loop.call_soon(self._ready.set)
        loop.run_forever()
        if tasks := asyncio.all_tasks(loop):
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.wait(tasks, timeout=1.0))
        loop.close()

    def _attend(self, sender: str) -> None:
        wake = self._wakes.get(sender)
        if wake is None:
            wake = self._wakes[sender] = asyncio.Event()
            asyncio.get_running_loop().create_task(self._serve(sender, wake))
        wake.set()

    async def _serve(self, sender: str, wake: asyncio.Event) -> None:
        """Do what is due for one sender, one after the other, for ever."""
        while True:
            wake.clear()
            job, pause = self._next(sender)
            if job is None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(wake.wait(), pause)
                continue
            try:
                await self._work(job)
            except asyncio.CancelledError:
                raise
            except Exception as error:  # a fault of ours must not end the sending of everything else
                await self._say(
                    job, [_failed(job, "unknown", f"An unforeseen error: {type(error).__name__}.", job.part)]
                )
            finally:
                with self._guard:
                    self._busy -= 1
                    self._idle.notify_all()
            self._changed()

    def _next(self, sender: str) -> tuple[Job | None, float | None]:
        """The job that is due, which then counts as begun; else seconds until the next is, None = nothing waits."""
        now = self._clock.now()
        with self._guard:
            waiting = [
                job for job in self._jobs.values() if job.sender == sender and job.name not in self._begun
            ]
            ready = min(
                (job for job in waiting if job.due <= now), key=lambda job: job.queued_at, default=None
            )
            if ready is not None and self._case is not None:
                self._begun.add(ready.name)
                self._busy += 1
                return ready, None
            if not waiting:
                return None, None
            # Looked at again in between: the clock of the machine may be set.
            return None, min(max((min(job.due for job in waiting) - now) / SECOND, 0.05), 30.0)

    async def _work(self, job: Job) -> None:
        sender = self._sender(job)
        if isinstance(sender, str):
            await self._say(job, [_failed(job, "unknown" if job.lost else "refused", sender, job.part)])
            return
        # Whether an earlier try may have come through after all.
        doubt = not sender.harmless and (job.lost or (job.attempt > 1 and sender.looks))
        if job.attempt > TRIES or self._clock.now() - job.queued_at > LASTS:
            why = "Given up: it says what was so hours ago."
            await self._say(job, [_failed(job, "unknown" if doubt else "refused", why, job.part)])
            return
        if doubt:
            found = await sender.find(job.letter) if sender.looks else None
            if found is not None and found.state == "sent":
                await self._sent(job, found)
                return
            if found is None and not sender.looks:
                why = "The console that sent it is gone, and the service does not tell whether it came."
                await self._say(job, [_failed(job, "unknown", why, job.part)])
                return
            if found is None:
                why = "The service could not be asked whether it is there already."
                await self._failed(job, Outcome("retry", why), job.part, given_up="unknown")
                return
        await self._send(job, sender)

    async def _send(self, job: Job, sender: Sender) -> None:
        count = sender.parts(job.letter)
        outcome = Outcome("sent")
        for part in range(min(job.part, count - 1), count):
            if part > job.part:
                await asyncio.sleep(BETWEEN)
            if not await self._say(job, [MessageTrying(job.message, job.sender, job.attempt, part)]):
                await asyncio.sleep(PAUSE)
                return
            outcome = await sender.send(job.letter, part)
            if outcome.state == "unknown":
                outcome = await self._looked(job, sender, outcome)
            if outcome.state != "sent":
                if count > 1:
                    outcome = outcome._replace(reason=f"Part {part + 1} of {count}: {outcome.reason}")
                await self._failed(job, outcome, part)
                return
        await self._sent(job, outcome)

    async def _looked(self, job: Job, sender: Sender, outcome: Outcome) -> Outcome:
        """Ask the service itself what became of a request whose answer said nothing."""
        found = await sender.find(job.letter) if sender.looks else None
        if found is None:
            return outcome
        # What is not there yet may still come, if the service was slow: the next try looks again before it sends.
        return found if found.state == "sent" else Outcome("retry", outcome.reason, after=outcome.after)

    async def _sent(self, job: Job, outcome: Outcome) -> None:
        sent = MessageSent(
            job.message, job.sender, job.attempt, outcome.reference[:512], outcome.reason[:512]
        )
        await self._say(job, [sent, *job.update])

    async def _failed(
        self, job: Job, outcome: Outcome, part: int, given_up: Literal["refused", "unknown"] = "refused"
    ) -> None:
        again = ""
        if outcome.state == "retry":
            # Jitter, so that consoles that a service turned away together do not come back to it together.
            pause = min(PAUSE * 2 ** min(job.attempt - 1, 10), PATIENCE) * random.uniform(0.7, 1.3)  # noqa: S311
            wait = max(pause, min(outcome.after, 24 * 3600.0))
            if self._clock.now() + int(wait * SECOND) - job.queued_at > LASTS:
                why = f"{outcome.reason} Given up: by the next try it would say what was so hours ago."
                outcome = Outcome(given_up, why)
            else:
                again = moment(self._clock.now() + int(wait * SECOND))
        body = MessageFailed(
            job.message,
            job.sender,
            job.attempt,
            "refused" if outcome.state == "sent" else outcome.state,
            outcome.reason[:512],
            part,
            again,
        )
        await self._say(job, [body])

    def _sender(self, job: Job) -> Sender | str:
        """The sender of a job, or why there is none."""
        setting = self.settings.get(job.sender)
        if setting is None:
            return f"No sender {job.sender} is configured any more."
        if self._drill and setting.type != "file":
            return "A drill reaches no real service."
        if setting.type != "file" and not setting.publish:
            return "Its publish is off."
        try:
            return senders.make(setting)
        except Refused as refused:
            return f"{refused.what} {refused.next_step}".strip()

    async def _say(self, job: Job, bodies: list[Body]) -> bool:
        """Put on the record what becomes of a job; False: the record does not take it."""
        trying = isinstance(bodies[0], MessageTrying)
        key = f"message:{bodies[0].kind}:{job.message}:{job.sender}:{job.attempt}"
        made = [
            entry(
                body, job.by, role=job.role,
                # The cadence starts anew once for a message, to however many places it goes.
                key=f"update:{body.kind}:{job.message}" if isinstance(body, UpdateSent | UpdatePromised) else "",
            )
            for body in bodies
        ]  # fmt: skip
        if not trying:
            made[0] = entry(bodies[0], job.by, role=job.role, key=key)
        pause = 0.2
        # Whoever went on to another incident meanwhile has that one open; this is nothing of its record.
        while (case := self._case) is not None and case.id == job.letter.case:
            try:
                await asyncio.wrap_future(case.append(*made))
            except (StoreTrouble, RuntimeError):
                # What was sent must get onto the record as soon as that takes anything; what was not, need not go.
                if trying:
                    break
                await asyncio.sleep(pause)
                pause = min(pause * 2, 10.0)
            else:
                return True
        with self._guard:
            # Nothing says how it ended: the state decides anew what is due, as after a crash.
            self._begun.discard(job.name)
        return False


def letter(
    incident: Incident, message: Message, delivery: Delivery, *, drill: bool, redaction: Redaction
) -> Letter:
    """Return a message as it leaves for one sender."""
    subject, body = message.subject, message.body
    if message.audience in ("internal", "channel", "page"):
        subject, body = redaction.mask(subject), redaction.mask(body)
    drill = drill or incident.mode == "drill"
    services = message.given.get("services", "")
    return Letter(
        delivery.key, incident.case, incident.code, incident.title, incident.severity,
        "drill" if drill else "live", message.audience, message.state,
        f"DRILL: {subject}" if drill else subject, f"DRILL, not a real incident.\n{body}" if drill else body,
        delivery.at, f"Incident: {services}" if services else subject,
        incident.messages.reference(delivery.sender, message.id), delivery.notify,
    )  # fmt: skip


def _update(incident: Incident, message: Message, delivery: Delivery, now: int) -> tuple[Body, ...]:
    """What goes on the record beside the fact that it was sent: when the next update is due from there on."""
    bodies: list[Body] = []
    due = incident.next_update_due
    if message.audience in RESTARTS:
        text = " ".join(f"{message.title} to {delivery.sender}: {message.subject} {message.body}".split())
        bodies.append(UpdateSent(text[:4000]))
        due = now + incident.cadence * SECOND if incident.cadence else None
    # Of what was promised to several the earliest counts.
    if message.promises is not None and (due is None or message.promises < due):
        bodies.append(UpdatePromised(moment(message.promises), delivery.sender))
    return tuple(bodies)


def _failed(job: Job, state: Literal["refused", "unknown"], why: str, part: int) -> MessageFailed:
    return MessageFailed(job.message, job.sender, job.attempt, state, why[:512], part)
