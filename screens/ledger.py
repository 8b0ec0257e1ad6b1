"""The ledger screen: every effect of the incident, how far undoing it is, and the audits that follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content

from console.rollback.index import Wanted
from screens.background import background
from screens.commands import Place, Situation
from screens.console_screen import perhaps_leaving
from screens.display import many
from screens.over_room import OverRoom
from screens.reading_ledger import about_audit, about_effect
from screens.widgets.header import Header
from screens.widgets.hints import Hints
from screens.widgets.ledger import LedgerRow, LedgerRows
from screens.widgets.rows import Rows
from screens.widgets.sheet import Para, Sheet
from screens.widgets.strips import Piece, StripLines

if TYPE_CHECKING:
    from console.room import Room

FOOT = "← → class · Space marks · Enter opens · Esc room"


class LedgerScreen(OverRoom):
    """A filter, audits and effects, and the detail of what is selected.

    Args:
        action_class: id of the class whose effects are shown first; None = all.
    """

    place: Place = "ledger"
    CSS_PATH: ClassVar[str] = "ledger.tcss"

    def __init__(self, action_class: str | None = None) -> None:
        super().__init__()
        self._first = Wanted(action_class)

    def compose(self) -> ComposeResult:
        """Header, what is shown, the list, the detail of what is selected, a message, keys."""
        yield Header(id="header")
        yield StripLines(id="narrowed")
        with Container(id="lists"):
            yield LedgerRows()
            yield Sheet(id="detail")
        yield StripLines(id="said")
        yield Hints(id="hints")

    def begin(self) -> None:
        """Draw the frame and the state."""
        self.query_one("#detail", Sheet).can_focus = False
        self.query_one("#detail", Sheet).border_title = Content("Detail")
        self.rows.wanted = self._first
        self.set_focus(self.rows)
        self.show_state()
        if self.room is not None:
            background(self, self._look_for_lost, self.room)

    async def _look_for_lost(self, room: Room) -> None:
        """Reversals of a console that died are looked for once."""
        desk = self.desk
        if desk is None:
            return
        lost = 0

        async def look() -> None:
            nonlocal lost
            lost = await self.console_app.undoing.lost(desk.home, room)

        if await self.attempt(look()) and lost:
            said = f"A reversal was cut short: of {many(lost, 'effect')} nobody knows what became. u says what you saw."
            self.say(said, "high")

    # -- state -------------------------------------------------------------------------------------------

    @property
    def rows(self) -> LedgerRows:
        """The list."""
        return self.query_one(LedgerRows)

    @property
    def selected(self) -> LedgerRow | None:
        """The row under the cursor."""
        return self.rows.selected

    def show_state(self) -> None:
        """Draw the ledger as it is now."""
        room, desk = self.room, self.desk
        if room is None or desk is None:
            return
        self.rows.update(room.incident, self.now())
        self.show_clocks()

    def show_clocks(self) -> None:
        """Draw what changes with time: the header, how far a reversal is, the clocks of audits."""
        room, desk = self.room, self.desk
        if room is None or desk is None:
            return
        self.query_one(Header).update(
            room, desk, self.console_app.sight, self.now(), self.console_app.moves(room)
        )
        self.rows.update(room.incident, self.now())
        self._show_filter()
        self._show_detail()
        self._show_hints()

    def narrow(self, wanted: Wanted) -> None:
        """Show only the effects that are wanted; marks stay."""
        self.rows.wanted = wanted
        self.show_state()

    def _show_filter(self) -> None:
        room, rows = self.room, self.rows
        if room is None:
            return
        wanted, ledger = rows.wanted, room.incident.ledger
        name = "all classes"
        if wanted.action_class is not None:
            row = room.incident.rollback.get(wanted.action_class)
            name = row.action_class.name if row is not None else "no class"
        pieces: list[Piece] = [(name, "strong", 0)]
        for text, what in (
            (", ".join(wanted.states), ""), (wanted.agent, "agent "), (wanted.principal, "principal "), (wanted.text, "words "),
        ):  # fmt: skip
            if text:
                pieces.append((f"{what}{text}", "info", 0))
        if wanted.unclear:
            pieces.append(("only unclear", "info", 0))
        says = self.console_app.undoing.says
        marked = len(rows.marked)
        hidden = f", {rows.hidden:,} not shown" if marked and rows.hidden else ""
        right: list[Piece] = [(says, "high", 0)] if says else []
        if marked:
            right.append((f"{marked:,} MARKED{hidden}", "strong", 0))
        self.query_one("#narrowed", StripLines).show((pieces, right))
        left = len(ledger) - rows.shown
        rows.title(
            f"Ledger  {rows.shown:,} of {len(ledger):,} effects" + (f" · {left:,} filtered" if left else ""),
            FOOT,
        )

    def situation(self) -> Situation:
        """Return what decides which commands are possible."""
        room, row = self.room, self.selected
        state = room.incident if room is not None else None
        return Situation(
            place="ledger",
            pane="ledger",
            selected=row is not None,
            row=row.kind if row is not None else "",
            effect=self._can(row),
            contained=state is not None and state.contained_at is not None,
            closed=state is not None and not state.open,
            running=state is not None and state.plays.stoppable(self.now()),
            filtered=self.rows.wanted != Wanted(),
            writable=room is not None and not room.read_only,
        )

    def _can(self, row: LedgerRow | None) -> frozenset[str]:
        room = self.room
        if room is None:
            return frozenset()
        audit = row is not None and row.kind == "audit"
        closed = False
        if row is not None and audit and (found := room.incident.rollback.get(row.action_class)) is not None:
            closed = row.id in found.met
        can = {
            "mark": row is not None and row.kind == "effect",
            "work": bool(self.rows.marked) or (row is not None and row.kind == "effect"),
            "audit": audit and not closed,
            "reconcile": self._unclear(room, row),
            "stop": self.console_app.undoing.busy,
        }
        return frozenset(name for name, possible in can.items() if possible)

    def _unclear(self, room: Room, row: LedgerRow | None) -> bool:
        """Whether something may have to be looked at; of very many marked effects not each is asked at every key."""
        ledger = room.incident.ledger
        if self.rows.marked:
            return any(tally.unclear for tally in ledger.tallies.values())
        return row is not None and row.kind == "effect" and ledger.unclear(row.id)

    def paragraphs(self) -> list[Para]:
        """Return what there is to read about the selected row."""
        room, row = self.room, self.selected
        if room is None or row is None:
            return []
        if row.kind == "audit":
            return about_audit(room.incident, row, self.now())
        return about_effect(room.incident, row.id)

    def _show_detail(self) -> None:
        sheet = self.query_one("#detail", Sheet)
        if sheet.display and sheet.size.height:
            sheet.read(self.paragraphs())

    def _show_hints(self) -> None:
        self.query_one(Hints).update(self.situation(), self.keymap)

    def on_rows_moved(self, event: Rows.Moved) -> None:
        """Follow the selection."""
        event.stop()
        if self.desk is not None and event.rows.id == "ledger":
            with perhaps_leaving():
                self._show_filter()
                self._show_detail()
                self._show_hints()

    # -- classes -----------------------------------------------------------------------------------------

    def on_ledger_rows_turned(self, event: LedgerRows.Turned) -> None:
        """Show the effects of the class before or of the next one; behind the last: all."""
        event.stop()
        room, rows = self.room, self.rows
        if room is None:
            return
        known = set(rows.listed_classes())
        classes = [
            None,
            *(name for name in room.incident.rollback if name in known),
            *(known - set(room.incident.rollback)),
        ]
        place = classes.index(rows.wanted.action_class) if rows.wanted.action_class in classes else 0
        self.narrow(rows.wanted._replace(action_class=classes[(place + event.by) % len(classes)]))
