"""The halt: a digit for how much, Enter. What it would reach is shown meanwhile; nothing has to be waited for.

Keys are acted on before the dialog is drawn, by what is known and not by what has the focus, so that `F9`, a digit
and Enter do the same at any speed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Label

from console.containment.points import VERBS
from console.events import HaltScope
from screens.background import background
from screens.console_screen import refusal
from screens.display import content, fit, many
from screens.stopping import Foreseen, what
from screens.widgets.rows import Cells, ListRows
from screens.widgets.strips import Piece, StripLines
from screens.widgets.writer import Box

if TYPE_CHECKING:
    from console.containment.advice import Advice
    from screens.warroom import WarRoomApp

SCOPES: tuple[HaltScope, ...] = cast("tuple[HaltScope, ...]", tuple(VERBS))
TITLES: dict[HaltScope, str] = {
    "all": "ALL AGENTS, and restore selectively",
    "agent": "one AGENT; the others go on",
    "tool": "one TOOL, for every agent",
    "queue": "QUEUED ACTIONS are held for review",
}
SUBJECTS = 9
"""Subjects that are on the screen at once: each has a digit."""
LONGEST = 128
"""Characters of a name."""
REASON = 2000


class ScopeLines(ListRows[HaltScope]):
    """The four scopes, widest first."""

    can_focus = False

    def key(self, row: HaltScope) -> Hashable:
        """Return the scope."""
        return row

    def selectable(self, row: HaltScope | None) -> bool:
        """Return False: the dialog marks what is chosen."""
        return False

    def paint(self, row: HaltScope, width: int) -> Cells:
        """Return the line of one scope."""
        halt = self.screen
        assert isinstance(halt, Halt)  # noqa: S101 - nothing else shows it
        chosen = row == halt.scope
        proposed = halt.proposal is not None and halt.proposal.scope == row
        said = " ◂ proposed" if proposed else ""
        return [
            ("(•) " if chosen else "( ) ", "info"),
            (f"{SCOPES.index(row) + 1}  ", "strong"),
            (fit(TITLES[row], max(width - 7 - len(said), 8)), "strong" if chosen else ""),
            (said, "info"),
        ]

    def on_click(self, event: events.Click) -> None:
        """Choose."""
        offset = event.get_content_offset(self)
        if offset is not None and offset.y < len(SCOPES) and isinstance(self.screen, Halt):
            event.stop()
            self.screen.choose(SCOPES[offset.y])


class SubjectLines(ListRows[str]):
    """What the halt can be about; names from outside."""

    can_focus = False

    def key(self, row: str) -> Hashable:
        """Return the name."""
        return row

    def selectable(self, row: str | None) -> bool:
        """Return False: the dialog marks what is chosen."""
        return False

    def empty(self) -> str:
        """Return what an empty list says."""
        halt = self.screen
        return "type its name" if isinstance(halt, Halt) and halt.scope != "all" else ""

    def paint(self, row: str, width: int) -> Cells:
        """Return the line of one subject."""
        halt = self.screen
        assert isinstance(halt, Halt)  # noqa: S101 - nothing else shows it
        place = halt.shown.index(row)
        digit = str(place + 1) if not halt.typed else " "
        return [
            ("    (•) " if row == halt.subject else "    ( ) ", "info"),
            (f"{digit}  ", "strong"),
            (fit(row or "all of them", width - 11), ""),
        ]

    def on_click(self, event: events.Click) -> None:
        """Choose."""
        offset = event.get_content_offset(self)
        if offset is not None and isinstance(self.screen, Halt):
            event.stop()
            self.screen.pick(offset.y)


class Halt(ModalScreen[None]):
    """How much to stop, and what that would reach.

    Args:
        app_: the console.
        over: called when the dialog is gone, with the keys that came after Enter.
    """

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Back", show=False)]
    DEFAULT_CSS = """
    Halt { align: center middle; background: $background 60%;
        #halt { width: 90; max-width: 100%; height: auto; max-height: 100%; background: $panel; border: heavy $crit; padding: 0 1;
            border-title-style: bold; border-title-color: $crit; border-subtitle-color: $quiet; }
        Rows { border: none; background: transparent; height: 4; }
        #subjects { display: none; }
        .label { width: 100%; color: $quiet; }
        #advice, #reach { height: auto; }
        #reach { height: 4; }
        Box { background: $background; max-height: 3; padding: 0 1; &:focus { background: $background; } }
    }
    """

    def __init__(self, app_: WarRoomApp, over: Callable[[Sequence[events.Key]], None]) -> None:
        super().__init__()
        self._main, self._over = app_, over
        self.scope: HaltScope | None = None
        self.proposal: Advice | None = None
        self.typed = ""
        """What was typed of the name of a subject."""
        self._place = 0
        self._names: list[str] = []
        self._asked: tuple[HaltScope | None, str, int] = (None, "", 0)
        self._fits: list[str] = []
        self._naming = False
        """Whether keys go to the name of the subject."""
        self._reason = ""
        self._early = True
        """Whether there is no box yet that takes the words of the reason."""
        self._foreseen: Foreseen | None = None
        self._busy = self._gone = False
        self._after: list[events.Key] = []

    # -- what is chosen ----------------------------------------------------------------------------------

    @property
    def shown(self) -> list[str]:
        """The subjects that fit what was typed; what fits none of them is a name of its own."""
        asked = self.scope, self.typed, len(self._names)
        if asked != self._asked:
            self._asked, self._fits = asked, self._fitting()
        return self._fits

    def _fitting(self) -> list[str]:
        typed = self.typed.casefold()
        fits = [each for each in self._names if typed in each.casefold()]
        if self.typed and self.typed not in fits:
            fits = [*fits[: SUBJECTS - 1], self.typed]
        return fits[:SUBJECTS]

    @property
    def subject(self) -> str:
        """The subject that is chosen; empty = all, or none yet."""
        if self.scope in (None, "all"):
            return ""
        shown = self.shown
        return shown[min(self._place, len(shown) - 1)] if shown else ""

    @property
    def reason(self) -> str:
        """Why, as it was typed so far."""
        return self._reason if self._early else self.query_one(Box).text.strip()

    def choose(self, scope: HaltScope) -> None:
        """Choose how much; for less than everything the next keys say which."""
        console, desk = self._main, self._main.desk
        room = desk.room if desk is not None else None
        alerts = desk.board.asking(desk.clock.now()) if desk is not None else []
        self.scope, self.typed, self._place = scope, "", 0
        self._names = console.stopping.subjects(scope, room, alerts) if scope != "all" else []
        if scope == "queue":
            self._names.insert(0, "")
        if (
            self.proposal is not None
            and self.proposal.scope == scope
            and self.proposal.subject in self._names
        ):
            self._names.remove(self.proposal.subject)
            self._names.insert(0, self.proposal.subject)
        self._asked = (None, "", 0)
        self._naming = scope != "all"
        self._changed()

    def pick(self, place: int) -> None:
        """Choose a subject by its place among those shown."""
        if 0 <= place < len(self.shown):
            self._place = place
            self._changed()

    def named(self, subject: str) -> None:
        """Name the subject, as if it was typed."""
        if self._naming and subject:
            self.typed, self._place = subject[:LONGEST], 0
            self._place = self.shown.index(self.typed)
            self._changed()

    # -- keys --------------------------------------------------------------------------------------------

    def press(self, event: events.Key) -> bool:
        """Act on a key at once. Returns False for what belongs to the box of the reason."""
        if self._gone:
            return False
        if self._busy:
            self._after.append(event)  # meant for what comes next
            return True
        typing = not self._early and self.query_one(Box).has_focus
        match event.key:
            case "enter":
                self._submit()
            case "escape" | "f9":
                if event.key == "escape":
                    self._step_back(typing)
            case "tab" | "shift+tab":
                if typing:
                    self.set_focus(None)
                elif not self._early:
                    self.set_focus(self.query_one(Box))
            case _ if typing:
                return False
            case "up" | "down":
                self._move(1 if event.key == "down" else -1)
            case "backspace" | "delete":
                self._erase()
            case _:
                return self._character(event.character or "") if event.is_printable else False
        return True

    def _character(self, char: str) -> bool:
        if self._reason and self._early:
            self._reason = (self._reason + char)[:REASON]
        elif self._naming and char.isdecimal() and not self.typed and int(char) <= len(self.shown):
            self.pick(int(char) - 1)
        elif self._naming:
            self.typed, self._place = (self.typed + char)[:LONGEST], 0
            self._changed()
        elif char.isdecimal() and 0 < int(char) <= len(SCOPES):
            self.choose(SCOPES[int(char) - 1])
        elif self.scope == "all" and char.isalpha():
            self._begin_reason(char)
        else:
            self._say("1 to 4 says how much is stopped.", "high")
        return True

    def _begin_reason(self, char: str) -> None:
        if self._early:
            self._reason += char
            return
        box = self.query_one(Box)
        self.set_focus(box)
        box.insert(char)

    def _erase(self) -> None:
        if self.typed:
            self.typed, self._place = self.typed[:-1], 0
        else:
            self._naming = False
        self._changed()

    def _move(self, by: int) -> None:
        if self._naming:
            self.pick(self._place + by)
        else:
            place = SCOPES.index(self.scope) + by if self.scope is not None else 0
            scope = SCOPES[min(max(place, 0), len(SCOPES) - 1)]
            self.choose(scope)
            self._naming = False

    def _step_back(self, typing: bool) -> None:
        if typing:
            self.set_focus(None)
        elif self._naming and self.typed:
            self.typed, self._place = "", 0
            self._changed()
        else:
            self.action_leave()

    # -- drawing -----------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """The scopes, which one of them, what it would reach, why, and the keys."""
        with Vertical(id="halt"):
            yield ScopeLines(id="scopes")
            yield SubjectLines(id="subjects")
            yield StripLines(id="advice")
            yield StripLines(id="reach")
            yield Label(Content("Reason (may stay empty; Tab)"), classes="label")
            yield Box(self._reason, id="reason", limit=REASON, lines=False)
            yield StripLines(id="halt-keys")

    def on_mount(self) -> None:
        """Draw what was chosen meanwhile, and look at what can be reached beside the keyboard."""
        box, desk = self.query_one(Box), self._main.desk
        self._early = False
        if self._reason:
            box.fill(self._reason, 0)
            self.set_focus(box)
        room = desk.room if desk is not None else None
        where = room.code if room is not None and room.incident.open else "opens an incident, SEV1"
        drill = "DRILL  " if desk is not None and desk.home.mode == "drill" else ""
        self.query_one("#halt").border_title = Content(f"{drill}HALT  {where}")
        self.query_one(ScopeLines).show(list(SCOPES))
        self._show()
        background(self, self._prepare)

    async def _prepare(self) -> None:
        console = self._main
        try:
            desk = await console.opened()
            incident = desk.room.incident if desk.room is not None else None
            await console.stopping.ready(desk)
            self._name_more()
            self._look()
            room = desk.room
            if room is not None and room.incident.open:
                await console.stopping.own(desk, room)  # what the order is written in, before it is given
            agents = sorted({agent for _, agent in room.agents}) if room is not None else []
            self.proposal = await asyncio.to_thread(console.stopping.advise, incident, agents)
        except Exception as error:
            self._say(*refusal(error))
            return
        self._show()

    def _name_more(self) -> None:
        """Add what points know to the names, which did not at the time of the choice; none of the others moves."""
        if self.scope is None or self.scope == "all":
            return
        known = self._main.stopping.subjects(self.scope, None, ())
        self._names += [each for each in known if each not in set(self._names)]

    def _changed(self) -> None:
        """Draw the choice, and look anew at what it would reach."""
        self._foreseen = None
        if not self._early:
            self._show()
            self._look()

    def _look(self) -> None:
        if self.scope is not None and self._main.stopping.known is not None:
            background(self, self._foresee, self.scope, self.subject, group="foresee", latest=True)

    async def _foresee(self, scope: HaltScope, subject: str) -> None:
        desk = self._main.desk
        room = desk.room if desk is not None else None
        agents = sorted({agent for _, agent in room.agents}) if room is not None else []
        if scope in ("agent", "tool") and not subject:
            return
        foreseen = await asyncio.to_thread(self._main.stopping.foresee, scope, subject, agents)
        if (scope, subject) == (self.scope, self.subject):
            self._foreseen = foreseen
            self._show()

    def _show(self) -> None:
        if self._early or self._gone:
            return
        subjects = self.query_one(SubjectLines)
        shown = self.shown if self.scope not in (None, "all") else []
        subjects.styles.height = max(min(len(shown), max(self.app.size.height - 17, 2)), 1)
        subjects.display = self.scope not in (None, "all")
        subjects.show(shown)
        self.query_one(ScopeLines).refresh()
        said = f"name: {fit(self.typed, 40).strip()}_" if self.typed else ""
        self.query_one("#halt").border_subtitle = Content(said)
        advice = self.proposal
        self.query_one("#advice", StripLines).show(
            ([(f"proposed: {advice.reason}" if advice else "the decision aid is being read…", "info" if advice else "quiet", 0)], [])
        )  # fmt: skip
        self.query_one("#reach", StripLines).show(*reach(self.scope, self.subject, self._foreseen))
        self._say("")

    def _say(self, text: str, tone: str = "") -> None:
        if self._early or self._gone:
            return
        keys: list[Piece] = [
            ("Enter HALTS", "crit", 0),
            ("Esc back", "quiet", 0),
            ("1-4 how much", "", 1),
            ("1-9 or its name: which", "", 2),
            ("Backspace: how much again", "quiet", 3),
        ]
        self.query_one("#halt-keys", StripLines).show(
            ([(content(text, 400).plain, tone, 0)] if text else keys, [])
        )

    def on_box_finished(self, event: Box.Finished) -> None:
        """Enter in the box halts too."""
        event.stop()
        self._submit()

    def on_box_left(self, event: Box.Left) -> None:
        """Esc in the box goes back to the choice."""
        event.stop()

    # -- doing it ----------------------------------------------------------------------------------------

    def action_leave(self) -> None:
        """Go back; nothing was stopped."""
        if not self._busy:
            self._leave()

    def _leave(self) -> None:
        if not self._gone:
            self._gone = True
            self.dismiss(None)
            self._over(self._after)

    def _submit(self) -> None:
        if self._busy:
            return
        if self.scope is None:
            self._say("1 to 4 says how much is stopped: nothing was yet.", "high")
        elif self.scope in ("agent", "tool") and not self.subject:
            self._say(f"Which {self.scope}? A digit, or type its name.", "high")
        else:
            self._busy = True
            # Of the app: it goes on when this dialog is gone.
            background(self._main, self._halt, self.scope, self.subject)

    async def _halt(self, scope: HaltScope, subject: str) -> None:
        console, reason = self._main, self.reason
        advice = self.proposal.words if self.proposal is not None else ""
        try:
            desk = await console.opened()
            await console.stopping.halt(
                desk, scope, subject, reason=reason, advice=advice, opened=console.show_room
            )
        except Exception as error:
            self._busy = False
            self._after.clear()  # nothing is done with them before the reason was read
            said, tone = refusal(error)
            self._say(said, tone)
            if self._gone:
                console.say(f"NOT HALTED: {said}", "crit")
            return
        self._leave()
        console.say(
            f"HALT of {fit(what(scope, subject), 60).strip()} is under way; 0 shows each target", "crit"
        )


def reach(
    scope: HaltScope | None, subject: str, foreseen: Foreseen | None
) -> Sequence[tuple[list[Piece], list[Piece]]]:
    """Return what is said of an order before it is given: how many targets, through what, and who is not reached."""
    if scope is None:
        return [([("Nothing is chosen yet: 1 to 4.", "quiet", 0)], [])]
    if foreseen is None:
        waits = (
            "Which one? A digit, or type its name."
            if not subject and scope in ("agent", "tool")
            else "looking what it reaches…"
        )
        return [([(waits, "quiet", 0)], [])]  # fmt: skip
    points = ", ".join(f"{fit(name, 24).strip()} {count:,}" for name, count in foreseen.points)
    lines: list[tuple[list[Piece], list[Piece]]] = []
    if foreseen.targets:
        lines.append(([(f"reaches {many(foreseen.targets, 'target')}", "strong", 0), (f"through {points}", "", -1)], []))  # fmt: skip
    else:
        lines.append(
            ([("NO POINT STOPS THIS: a person does it by hand, and the stopwatch runs", "crit", 0)], [])
        )
    if foreseen.unreached:
        names = content(", ".join(foreseen.unreached), 200).plain
        lines.append(([(f"NOT REACHED, {len(foreseen.unreached)}:", "crit", 0), (names, "crit", -1)], []))
    lines += [([(content(each, 300).plain, "high", 0)], []) for each in foreseen.troubles]
    lines += [([(content(" ".join(each.split()), 300).plain, "quiet", 0)], []) for each in foreseen.sends]
    return lines[:4]
