"""The app: opens the desk behind the first frame, keeps the screens up to date, and gives the terminal back."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import SystemCommand
from textual.binding import BindingType
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.filter import LineFilter
from textual.screen import Screen

from console.refusal import Refused
from data.trouble import StoreTrouble
from screens.attention import Attention
from screens.background import background
from screens.commands import OVER, Command, commands_for, reason
from screens.console_screen import ConsoleScreen, perhaps_leaving, refusal
from screens.gate import Printable
from screens.home import HomeScreen
from screens.kept import Sight, membership, writer
from screens.keyboard import DialogReady, OrderedKeys
from screens.keymap import resolve, shown
from screens.room import RoomScreen
from screens.skeleton import ENDS, asked_to_end
from screens.themes import DEFAULT, NAMES, THEMES, TOKENS, unknown
from screens.times import SECOND

if TYPE_CHECKING:
    from console.comms.messenger import Messenger
    from console.config import Runner
    from console.containment.ordering import Containing
    from console.containment.state import Moves
    from console.desk import Desk
    from console.rollback.reversal import Reversing
    from console.room import Room
    from console.runner.actions import Actuators
    from data.home import Home
    from screens.checking import Checking
    from screens.correspondence import Correspondence
    from screens.playbook import Playing
    from screens.stopping import Stopping
    from screens.undoing import Undoing

LAST_VIEWED = "last-viewed"
"""File in the home directory: the case id of the incident that was on the screen last."""
BEAT = 0.1
"""Seconds between looks at the log: what arrives in between is drawn together."""


class Commands(Provider):
    """The palette: every command that is possible now."""

    def _possible(self) -> Iterable[Command]:
        screen = self.screen
        if isinstance(screen, ConsoleScreen):
            now = screen.situation()
            for command in commands_for(screen.place):
                if not reason(command, now):
                    yield command

    def _run(self, command: Command) -> Callable[[], None]:
        screen = self.screen
        assert isinstance(screen, ConsoleScreen)  # noqa: S101 - `_possible` yields nothing on other screens
        return lambda: screen.command(command.id)

    def _help(self, command: Command) -> str:
        keys = " ".join(shown(key) for key in self._keys(command))
        return f"{command.help}{f'  ({keys})' if keys else ''}"

    def _keys(self, command: Command) -> tuple[str, ...]:
        screen = self.screen
        return screen.keymap[command.id] if isinstance(screen, ConsoleScreen) else ()

    async def discover(self) -> Hits:
        """Yield all of them."""
        for command in self._possible():
            yield DiscoveryHit(
                Content(command.title), self._run(command), help=Content(self._help(command)).plain
            )

    async def search(self, query: str) -> Hits:
        """Yield those whose title or name fits."""
        matcher = self.matcher(query)
        for command in self._possible():
            score = max(matcher.match(command.title), matcher.match(command.name))
            if score > 0:
                yield Hit(
                    score, matcher.highlight(command.title), self._run(command), help=self._help(command)
                )


class WarRoomApp(OrderedKeys, inherit_bindings=False):
    """The console on a terminal.

    Args:
        open_desk: opens the record; awaited once the first frame is drawn.
        start: the code of the incident to enter, `home` for the list, or nothing: the one left open here, else the newest.
        keys: overrides of the keymap, command id to keys.
        theme: the name of a theme; nothing = dark.
        runner: what the configuration says about steps that run.
        constants: values of playbooks that are the same in every incident, by name.
        messenger: makes what drafts and sends the messages of an incident; None = there are no senders.
        containing: makes what carries halts and other moves out; None = nothing is configured that could be stopped.
        reversing: makes what reverses effects of an incident; None = as the documents say.
        expect_room: draw the frame of the room first, because an incident is likely to be open.
    """

    TITLE = "warroom"
    BINDINGS: ClassVar[list[BindingType]] = []
    COMMANDS: ClassVar[set[Any]] = {Commands}
    ENABLE_COMMAND_PALETTE = True
    CSS = """
    CommandPalette { background: $background 60%; }
    SearchIcon { display: none; }
    """

    def __init__(
        self,
        open_desk: Callable[[], Awaitable[Desk]],
        *,
        start: str = "",
        keys: Mapping[str, str] | None = None,
        theme: str = "",
        expect_room: bool = True,
        bell: bool = True,
        problems: Sequence[str] = (),
        runner: Runner | None = None,
        constants: Mapping[str, str] = {},
        messenger: Callable[[Room], Messenger] | None = None,
        containing: Callable[[Desk], Containing] | None = None,
        reversing: Callable[[Room, Home], Reversing] | None = None,
        driver_class: Any = None,
    ) -> None:
        super().__init__(driver_class=driver_class)
        self.desk: Desk | None = None
        self.keymap_in_force, self._problems = resolve(keys or {})
        self._problems.extend(problems)
        self._standing = self._unrecorded = ""
        self.sight = Sight()
        self._runner, self._constants = runner, constants
        self._messenger, self._containing, self._reversing = messenger, containing, reversing
        self._attention = Attention(bell, os.environ)
        self.commands_of: dict[str, list[str]] = {}
        for name, keys_ in self.keymap_in_force.items():
            for key in keys_:
                self.commands_of.setdefault(key, []).append(name)
        self._open_desk, self._start, self._expect_room = open_desk, start, expect_room
        self.animation_level = "none"
        for known in THEMES:
            self.register_theme(known)
        self._problems.extend(filter(None, [unknown(theme)]))
        self.theme = theme if theme in NAMES else DEFAULT
        self._opening: asyncio.Future[Desk] | None = None
        self._uncovered: list[Callable[[], None]] = []
        self._changed = False
        self._consoles: tuple[str, set[str]] = ("", set())
        self._introduced: tuple[str, str] | None = None
        """The console that was introduced last, and how it stood then."""
        self._rested = 0
        self._second = 0

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Return our tokens, for themes that do not set them."""
        return TOKENS

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return the filters; the gate is the last."""
        return [*super().get_line_filters(), Printable()]

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Return nothing: the palette holds our commands only."""
        return ()

    def _fatal_error(self) -> None:
        """Print the traceback without the values of variables: they may hold an agent's words and secrets."""
        from rich.segment import Segments
        from rich.traceback import Traceback

        traceback = Traceback(show_locals=False, width=None)
        self._exit_renderables.append(Segments(self.console.render(traceback, self.console.options)))
        self._close_messages_no_wait()

    # -- life ------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Draw the first frame, then open the record."""
        if not self.is_headless:
            loop = asyncio.get_running_loop()
            for number in ENDS:
                # Left to itself the terminal would stay in the alternate screen with the mouse captured.
                loop.add_signal_handler(number, self.exit, None, 128 + number)
            if asked := asked_to_end():
                self.exit(None, 128 + asked)
                return
            self._write("\x1b[22;2t")
        self.hold_keys()
        room_first = self._expect_room and self._start != "home"
        self.push_screen(RoomScreen() if room_first else HomeScreen())
        self.call_after_refresh(self._after_first_frame)

    def _after_first_frame(self) -> None:
        self.post_message(DialogReady())
        background(self, self._live, group="live")

    def _left(self) -> bool:
        return not self.is_running

    async def _live(self) -> None:
        if self._left():
            return  # before the first frame
        try:
            desk = await self.opened()
        except (Refused, StoreTrouble) as trouble:
            self.exit(return_code=1, message=Content(str(trouble)).plain)
            return
        if self._left():
            return
        # Only now: a key between the opening and the first screen would lead to one that the first then replaces.
        self.desk = desk
        await self._show_first(desk)
        self._state()
        if self._problems and isinstance(self.screen, ConsoleScreen):
            self.screen.say("  ".join(self._problems), "high")
        # Dialogs and pages are loaded while the person reads, not when they press the first key.
        await asyncio.to_thread(importlib.import_module, "screens.deeds")
        background(self, self._prepare_to_stop, desk)
        if not self.is_headless:
            gc.freeze()  # what is loaded by now stays; each search for cycles in it stopped the screen for 30 ms
        while True:
            await asyncio.sleep(BEAT)
            await self._beat(desk)

    async def _prepare_to_stop(self, desk: Desk) -> None:
        """Know what can be stopped before anybody asks for it."""
        try:
            await self.stopping.ready(desk)
            if "playing" in vars(self):
                self.playing.renew()
            self._mark()  # what an earlier console left behind goes on
        except Exception as error:
            self.say(f"Nothing can be stopped from here: {refusal(error)[0]}", "crit")

    async def opened(self) -> Desk:
        """Return the desk as soon as it is open: whoever stops agents waits for nothing else."""
        if self.desk is not None:
            return self.desk
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._open())
        return await asyncio.shield(self._opening)

    async def _open(self) -> Desk:
        """Open the record, and the room to begin with."""
        desk = await self._open_desk()
        desk.listen(self._mark)
        try:
            if self._start != "home":
                await desk.enter(self._start or await self._left_open(desk))
        except Refused as refused:
            if self._start:
                self._problems.append(str(refused))
        except StoreTrouble as trouble:
            self._problems.append(str(trouble))
        except BaseException:
            await desk.close()
            raise
        return desk

    async def _show_first(self, desk: Desk) -> None:
        if desk.room is None:
            self.show_home()
            return
        self.show_room()
        here = desk.room.case.id
        others = [] if self._start else [s for s in await desk.incidents() if s.open and s.case != here]
        if others:
            codes = ", ".join(state.code for state in others[:3])
            self._problems.append(f"This is {desk.room.code}; open too: {codes}. < lists all.")

    async def _left_open(self, desk: Desk) -> str:
        """Return the case that was on the screen last, if that incident is still open; empty = the newest."""
        try:
            case = await asyncio.to_thread((desk.home.path / LAST_VIEWED).read_text, "ascii")
            return case if (await desk.find(case)).open else ""
        except (OSError, ValueError, Refused, StoreTrouble):
            return ""

    async def _remember(self, desk: Desk, case: str) -> None:
        if desk.read_only:
            return
        # A convenience: where it cannot be written, the next console opens the newest incident.
        with suppress(OSError):
            await asyncio.to_thread((desk.home.path / LAST_VIEWED).write_text, case, "ascii")

    def say(self, text: str, tone: str = "") -> None:
        """Show a message on the screen that is looked at, or on the one under its dialog."""
        if self.base is not None:
            self.base.say(text, tone)

    def _mark(self) -> None:
        self._changed = True

    async def _beat(self, desk: Desk) -> None:
        try:
            if await desk.poll():
                self._changed = True
            standing = desk.watch_trouble
        except StoreTrouble as trouble:
            standing = str(trouble)
        if standing != self._standing:
            # Said once; the header goes on saying it in a word.
            self._standing = standing
            if standing:
                self.say(standing, "crit")
        second = desk.clock.now() // SECOND
        self._rested += 1
        if self._changed and (self._rested > 1 or self._new_pages(desk)):
            # In a storm every other beat is left to the keyboard; what pages does not wait.
            self._changed, self._second, self._rested = False, second, 0
            self._state()
        elif second != self._second:
            self._second = second
            self._call_for_attention()
            self._draw(lambda screen: screen.show_clocks())

    def _new_pages(self, desk: Desk) -> bool:
        now, known = desk.clock.now(), self._attention.paging
        alerts = desk.board.alerts.items()
        return any(alert.facts.pages and name not in known and alert.asks(now) for name, alert in alerts)

    def _state(self) -> None:
        self._draw(lambda screen: screen.show_state())
        self._call_for_attention()
        self._look_for_newcomers()
        self._look_for_verdicts()

    def _look_for_newcomers(self) -> None:
        """Introduce every console that writes here for the first time: now is when its words are compared."""
        desk = self.desk
        room = desk.room if desk is not None else None
        if desk is None or room is None:
            return
        here = {desk.home.replica, *room.incident.roster.members, *room.incident.strangers}
        case, known = self._consoles
        self._consoles = (room.case.id, here)
        if case == room.case.id:
            for replica in sorted(here - known):
                background(self, self._introduce, room, replica)
        introduced = self._introduced
        if introduced and introduced[1] != membership(room.incident.roster, introduced[0]):
            # It was true when it was said.
            self._introduced = None
            for screen in self.screen_stack:
                if isinstance(screen, ConsoleScreen):
                    screen.unsay(f"({introduced[0][:8]}): ")

    def _look_for_verdicts(self) -> None:
        """Say what an order came to, whoever gave it."""
        room = self.desk.room if self.desk is not None else None
        if self.desk is None or "stopping" not in vars(self):
            return
        if room is not None:
            for order in self.stopping.news(room):
                from screens.reading_containment import verdict

                self.say(*verdict(order, room.incident))
        trouble = self.stopping.trouble
        if trouble and trouble != self._unrecorded:
            self.say(f"The halt goes on all the same: {trouble}", "crit")
        self._unrecorded = trouble
        background(self, self._tend, self.desk)

    async def _tend(self, desk: Desk) -> None:
        """Go on with what an earlier console was stopping when it ended, and say so."""
        taken = await self.stopping.tend(desk, desk.room)
        if taken and desk.room is not None:
            from screens.reading_containment import resumes

            orders = self.stopping.moves(desk.room).orders
            self.say(*resumes([orders[name] for name in taken if name in orders]))

    def moves(self, room: Room | None) -> Moves:
        """Return what is being stopped in an incident, as far as it is known here; without one, what is from here."""
        if "stopping" in vars(self):
            return self.stopping.moves(room)
        from console.containment.state import Moves

        return room.incident.moves if room is not None else Moves()

    async def _introduce(self, room: Room, replica: str) -> None:
        try:
            words = " ".join(await room.key_words(replica))
        except StoreTrouble:
            return  # the room was left; its evidence screen has the words
        roster = room.incident.roster
        how = membership(roster, replica)
        member = roster.members.get(replica)
        if member is not None and (member.left is not None or member.revoked is not None):
            return  # what it was once is no news
        self._introduced = replica, how
        trust = "NOT ON THE ROSTER, nothing of it counts" if member is None else how.split(";")[0]
        if member is not None and member.how == "first-use":
            trust = "trusted on first sight"
        self.say(f"New console {writer(room, replica)}: {words}  {trust}; 5 and M compare the words", "high")

    def _draw(self, show: Callable[[ConsoleScreen], None]) -> None:
        if self.desk is not None:
            self.sight.look(self.desk.room, self.desk.standings)
        for screen in self.screen_stack:
            if isinstance(screen, ConsoleScreen) and screen.is_mounted:
                with perhaps_leaving():
                    show(screen)

    async def on_unmount(self) -> None:
        """Finish what is pending, and give the terminal its title back."""
        self._write("\x1b[23;2t")
        if "checking" in vars(self):
            self.checking.end()
        if "playing" in vars(self):
            await self.playing.leave()
        if "stopping" in vars(self):
            await self.stopping.close()
        if "undoing" in vars(self):
            await self.undoing.leave()
        desk, self.desk = self.desk, None
        if self._opening is not None:
            # Not cut off in the middle: the threads of what is half open would keep the process from ending.
            with suppress(Exception):
                desk = await self._opening
        if desk is not None:
            await desk.close()

    # -- screens ---------------------------------------------------------------------------------------------

    def show_room(self) -> None:
        """Show the open room, and remember which it is: whoever comes back after a crash looks at the same one."""
        if self.desk is not None and self.desk.room is not None:
            background(self, self._remember, self.desk, self.desk.room.case.id)
        self._mark()
        self._show(RoomScreen)

    def show_home(self) -> None:
        """Show all incidents."""
        self._show(HomeScreen)

    @cached_property
    def checking(self) -> Checking:
        """The verification of the record; its parts are not needed for the first frame."""
        from screens.checking import Checking

        return Checking()

    @cached_property
    def playing(self) -> Playing:
        """The playbooks at work here; what runs goes on whatever is looked at."""
        from screens.playbook import Playing

        return Playing(self._runner, self._mark, self._constants, self._steps)

    def _steps(self, room: Room) -> Actuators | None:
        """What carries out steps that halt or contain, once it is known what can be stopped."""
        known = self.stopping.known
        if known is None:
            return None
        from console.containment.steps import Steps

        return Steps(room, known)

    @cached_property
    def stopping(self) -> Stopping:
        """What can be stopped and what is being stopped from here; orders go on whatever is looked at."""
        from screens.stopping import Stopping

        return Stopping(self._containing, self._mark)

    @cached_property
    def correspondence(self) -> Correspondence:
        """The messages of the open incident."""
        from screens.correspondence import Correspondence

        return Correspondence(self._messenger)

    def show_evidence(self) -> None:
        """Show the evidence over the room."""
        from screens.evidence import EvidenceScreen

        self._lay_over(EvidenceScreen())

    @cached_property
    def undoing(self) -> Undoing:
        """What is worked on the effects of the open incident."""
        from screens.undoing import Undoing

        return Undoing(self._reversing, self._mark)

    def show_ledger(self, action_class: str | None = None) -> None:
        """Show the ledger over the room; `action_class`: only the effects of that class."""
        from screens.ledger import LedgerScreen

        self._lay_over(LedgerScreen(action_class))

    def show_messages(self, chosen: str = "", said: str = "", tone: str = "") -> None:
        """Show the messages over the room, with the cursor on one of them by its id, and say something there."""
        from screens.messages import MessagesScreen

        if isinstance(self.base, MessagesScreen):
            self.base.choose(chosen)
            self.base.say(said, tone)
        else:
            self._lay_over(MessagesScreen(chosen, said, tone))

    def show_containment(self) -> None:
        """Show what is stopped over the room."""
        from screens.containment import ContainmentScreen

        self._lay_over(ContainmentScreen())

    def _lay_over(self, screen: ConsoleScreen) -> None:
        if self.base is not self.screen:
            self._uncovered.append(partial(self._lay_over, screen))
        elif self._over_room:
            self.switch_screen(screen)
        else:
            self.push_screen(screen)

    @property
    def _over_room(self) -> bool:
        return isinstance(self.screen, ConsoleScreen) and self.screen.place in OVER

    def back_to_room(self) -> RoomScreen | None:
        """Go back to the room from what lies over it; returns the room."""
        if self._over_room:
            self.pop_screen()
        base = self.base
        return base if isinstance(base, RoomScreen) else None

    def uncovered(self) -> None:
        """Go to the screens that waited until no dialog lay over the one that was there."""
        waiting, self._uncovered = self._uncovered, []
        for go in waiting:
            go()

    def _show(self, kind: type[ConsoleScreen]) -> None:
        if self._left():
            return  # there are no screens any more
        self.back_to_room()
        base = self.base
        if isinstance(base, kind):
            base.show_state()
        elif base is self.screen:
            self.switch_screen(kind())
        else:
            self._uncovered.append(partial(self._show, kind))

    @property
    def selected_case(self) -> str:
        """The incident under the cursor of the list."""
        base = self.base
        return base.selected_case if isinstance(base, HomeScreen) else ""

    def enter_selected(self) -> None:
        """Enter the incident under the cursor of the list."""
        desk, base, case = self.desk, self.base, self.selected_case
        if desk is None or base is None or not case:
            return

        async def enter() -> None:
            if await base.attempt(desk.enter(case)):
                self.show_room()

        background(self, enter)

    # -- attention -------------------------------------------------------------------------------------------

    def _call_for_attention(self) -> None:
        desk = self.desk
        if desk is None:
            return
        now = desk.clock.now()
        paging = frozenset(alert.id for alert in desk.board.asking(now) if alert.facts.pages)
        drill = "DRILL " if desk.home.mode == "drill" else ""
        name = drill + (desk.room.code if desk.room is not None else "warroom")
        room = desk.room
        late = (
            frozenset(check.item.id for check in room.incident.overdue(now))
            if room is not None
            else frozenset()
        )
        case = room.case.id if room is not None else ""
        self._write(self._attention.look(paging, name, now, focused=self.app_focus, case=case, late=late))

    def _write(self, sequence: str) -> None:
        driver = self._driver
        if sequence and driver is not None and not self.is_headless:
            driver.write(sequence)
