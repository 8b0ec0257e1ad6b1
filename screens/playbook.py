"""What the console does with playbooks: it reads the library, and what it runs goes on whatever is looked at."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from console.refusal import Refused
from data.trouble import StoreTrouble
from screens.own_room import own_room
from screens.times import SECOND
from screens.widgets.playbook import Book

if TYPE_CHECKING:
    from console.config import Runner
    from console.incident import Incident
    from console.room import Room
    from console.runner.actions import Actuators
    from console.runner.automatic import Automation, Trouble
    from console.runner.output import Progress
    from console.runner.player import Player
    from console.runner.state import Play, Run, StepState
    from data.home import Home
    from playbooks.response import Playbook

LINES = 400
"""Lines of a run that are kept for the screen; the record keeps more."""
RUNS = 20
"""Runs whose lines are kept for the screen."""


class Playing:
    """The playbooks at work on this console.

    Args:
        runner: what the configuration says about runs; None = the defaults.
        news: called when a run printed something.
        constants: values of playbooks that are the same in every incident, by name.
        actuators: gives what carries out the steps of an incident that halt or contain; None: people do them.

    Attributes:
        output: the last lines of a run by its id, as they came: they pass the gate before a terminal sees them.
    """

    def __init__(
        self,
        runner: Runner | None = None,
        news: Callable[[], None] = lambda: None,
        constants: Mapping[str, str] = {},
        actuators: Callable[[Room], Actuators | None] | None = None,
    ) -> None:
        self._actuators = actuators
        self.output: dict[str, deque[str]] = {}
        self._runner, self._constants, self._news = runner, constants, news
        self._library: tuple[Playbook, ...] | None = None
        self._player: Player | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._tended: dict[str, asyncio.Task[None]] = {}
        self._untended: dict[str, str] = {}
        """What was said of incidents that cannot be opened for what runs by itself, until that goes well again."""
        self._automatic: set[Automation] = set()
        self._working: set[tuple[str, str, str]] = set()

    def player(self, room: Room) -> Player:
        """Return what works through the playbooks of `room`."""
        if self._player is None or self._player.room is not room:
            self._player = self._made(room)
        return self._player

    def renew(self) -> None:
        """Make the player anew when it is asked for: what carries steps out is known only now."""
        self._player = None

    def _made(self, room: Room) -> Player:
        from console.runner.player import Player, Settings

        settings, said = Settings(constants=self._constants), self._runner
        if said is not None:
            settings = Settings(said.environment, int(said.announce), said.two_persons, self._constants)
        actuators = self._actuators(room) if self._actuators is not None else None
        return Player(room, room.replica, settings, actuators)

    # -- the library -------------------------------------------------------------------------------------

    @property
    def read(self) -> bool:
        """Whether the library was read."""
        return self._library is not None

    async def read_library(self) -> None:
        """Read the library, once.

        Raises:
            PlaybookTrouble: a document is broken.
        """
        if self._library is None:
            self._library = await asyncio.to_thread(_library)

    def books(self, incident: Incident) -> list[Book] | None:
        """Return the library for an incident, what speaks for itself first; None while it is not read."""
        if self._library is None:
            return None
        from console.tagging import PLAYBOOK, TYPE, proposals

        types = incident.triage.tags.get(TYPE, {})
        said = {
            book.id: f"the incident is tagged {', '.join(shared)}"
            for book in self._library
            if (shared := [each for each in book.types if each in types])
        }
        said |= dict.fromkeys(incident.triage.tags.get(PLAYBOOK, {}), "the incident is tagged so")
        said |= {each.tag: each.reason for each in proposals(incident) if each.axis == PLAYBOOK}
        order = sorted(
            (book for book in self._library if book.kind != "default"),
            key=lambda book: (book.id not in said, book.kind != "scenario", book.number, book.id),
        )
        return [
            Book(
                book.id,
                book.title,
                book.severity,
                book.summary,
                said.get(book.id, ""),
                tuple(trigger.text for trigger in book.triggers),
            )
            for book in order
        ]

    def book(self, id: str) -> Playbook:
        """Return a playbook of the library, with the sections that it takes over.

        Raises:
            Refused: there is none.
        """
        books = self._library or ()
        found = next((book for book in books if book.id == id), None)
        if found is None:
            raise Refused(f"There is no playbook {id}.", "The pane lists them.")
        default = next((book for book in books if book.kind == "default"), None)
        return found.completed(default) if default is not None else found

    # -- runs --------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether something runs here."""
        return bool(self._tasks) or any(each.busy for each in self._automatic)

    def run(
        self,
        home: Home,
        room: Room,
        playbook: str,
        step: str,
        done: Callable[[Exception | Run], None],
        *,
        real: bool,
        confirm: str = "",
    ) -> None:
        """Run a step to its end in a room of its own: the one on the screen may be left meanwhile.

        Args:
            home: where the incident lies.
            room: the incident.
            playbook: id of the playbook.
            step: id of the step.
            done: called at the end with the run, or with what was in the way.
            real: whether it is to take effect.
            confirm: the id of the step once more, where it destroys something.
        """
        key = room.case.id, playbook, step
        work = partial(self._run, home, room, playbook, step, real, confirm)
        task = asyncio.ensure_future(self._told(work, done))
        self._tasks.add(task)
        self._working.add(key)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: self._working.discard(key))

    def unattended(self, room: Room) -> list[tuple[Play, StepState]]:
        """Return the waits that this console began, and for which nothing looks any more whether they are over."""
        player = self.player(room)
        return [
            (play, state)
            for play in player.plays.opened.values()
            for state in play.steps.values()
            if play.open
            and state.step.wait is not None
            and state.step.wait.check is not None
            and (run := state.running) is not None
            and run.rep == room.replica
            and (room.case.id, play.id, state.step.id) not in self._working
        ]

    # -- what runs by itself -------------------------------------------------------------------------------

    def tend(self, home: Home, room: Room, say: Callable[[str, str], None]) -> None:
        """See to it that what may run by itself in `room` does, also when the room is left. Returns at once.

        Args:
            home: where the incident lies.
            room: the incident.
            say: gets what was announced and what is in the way, in words, with a tone.
        """
        case, now = room.case.id, room.clock.now()
        grants = room.incident.plays.grants.values()
        ours = any(grant.rep == room.replica and now < grant.until for grant in grants)
        if ours and not room.read_only and case not in self._tended:
            self._tended[case] = asyncio.ensure_future(self._attend(home, room, say))

    async def _attend(self, home: Home, shown: Room, say: Callable[[str, str], None]) -> None:
        from console.runner.automatic import Automation
        from screens.console_screen import refusal
        from screens.reading_playbook import named

        def announced(play: Play, state: StepState) -> None:
            left = max(state.announced[0] - player.room.clock.now(), 0) // SECOND if state.announced else 0
            say(
                f"BY ITSELF in {left} s: {named(player, play, state)}. T stops it.  {player.room.code}",
                "high",
            )

        def hindered(trouble: Trouble | None) -> None:
            if trouble is not None:
                step = named(player, trouble.play, trouble.state) if trouble.play and trouble.state else ""
                what = refusal(trouble.error)[0]
                say(f"{step} does not run by itself: {what}" if step else what, "high")

        try:
            async with self._own_room(home, shown) as player:
                self._untended.pop(shown.case.id, None)
                automation = Automation(player, self._tell, announced)
                self._automatic.add(automation)
                try:
                    await automation.attend(hindered)
                finally:
                    await automation.leave()
                    self._automatic.discard(automation)
        except StoreTrouble as trouble:
            # It is tried again with every change on the record.
            if self._untended.get(shown.case.id) != str(trouble):
                self._untended[shown.case.id] = str(trouble)
                say(f"Nothing runs by itself: {trouble}", "crit")
        except Exception as error:
            # It stays in the table: what broke once is not begun again and again without a word.
            say(
                f"Nothing runs by itself, by a fault of the console ({type(error).__name__}: {error}).",
                "crit",
            )
            return
        del self._tended[shown.case.id]

    async def _told(
        self, work: Callable[[], Awaitable[Run]], done: Callable[[Exception | Run], None]
    ) -> None:
        try:
            ended = await work()
        except Exception as error:
            done(error)
        else:
            done(ended)

    async def _run(self, home: Home, shown: Room, playbook: str, step: str, real: bool, confirm: str) -> Run:
        async with self._own_room(home, shown) as player:
            ended = await player.run(step, playbook, real=real, confirm=confirm, tell=self._tell)
            state = player.plays.step(playbook, step)
            wait = state.step.wait if state is not None else None
            if ended.running and wait is not None and wait.check is not None:
                ended = await player.attend(ended.id, self._tell)
            return ended

    @asynccontextmanager
    async def _own_room(self, home: Home, shown: Room) -> AsyncIterator[Player]:
        room = await own_room(home, shown)
        try:
            yield self._made(room)
        finally:
            await room.close()

    def _tell(self, progress: Progress) -> None:
        lines = self.output.pop(progress.run, None) or deque(maxlen=LINES)
        if progress.skipped:
            lines.append(f"... {progress.skipped:,} lines ...")
        lines.extend(progress.lines)
        # The newest last: the oldest run makes room.
        self.output[progress.run] = lines
        while len(self.output) > RUNS:
            del self.output[next(iter(self.output))]
        self._news()

    async def leave(self) -> None:
        """End what runs, and see its end on the record."""
        tasks = [*self._tasks, *self._tended.values()]
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


def _library() -> tuple[Playbook, ...]:
    from playbooks import load

    books = load.playbooks()
    # Read with it, in the same thread: what speaks for a playbook asks for these.
    load.rollback_classes()
    from playbooks.guidance import Tags

    load.only(Tags)
    return books
