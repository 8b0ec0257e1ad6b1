"""The containment screen: what was ordered to stop, how far each target is, and which moves there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content

from screens.background import background
from screens.commands import Place, Situation
from screens.over_room import OverRoom
from screens.reading_containment import (
    about_cover,
    about_held,
    about_move,
    about_order,
    about_point,
    about_target,
    verdict_lines,
)
from screens.widgets.containment import HoldList, HoldRow, hold_rows, is_canary
from screens.widgets.header import Header
from screens.widgets.hints import Hints
from screens.widgets.rows import Rows
from screens.widgets.sheet import Para, Sheet
from screens.widgets.strips import StripLines

if TYPE_CHECKING:
    from console.containment.catalogue import Offer
    from console.containment.proving import Survey
    from console.containment.state import Moves
    from console.desk import Desk
    from console.incident import Incident


class ContainmentScreen(OverRoom):
    """The verdict, the list, and what is selected."""

    place: Place = "containment"
    CSS_PATH: ClassVar[str] = "containment.tcss"

    def __init__(self) -> None:
        super().__init__()
        self._offers: list[Offer] | None = None
        self._survey: Survey | None = None
        self._mark: object = None
        """What was shown last; the list is made anew only when that has changed."""

    def compose(self) -> ComposeResult:
        """Header, verdict, the list, what is selected, a message, keys."""
        yield Header(id="header")
        yield StripLines(id="verdict")
        with Container(id="lists"):
            yield HoldList(id="containment")
            yield Sheet(id="detail")
        yield StripLines(id="said")
        yield Hints(id="hints")

    def begin(self) -> None:
        """Draw the frame and the state."""
        detail = self.query_one("#detail", Sheet)
        detail.can_focus = False
        detail.border_title = Content("Detail")
        self.rows.title("0 Containment", "← → section · Space marks · Esc room")
        self.set_focus(self.rows)
        self.show_state()
        background(self, self._read)

    async def _read(self) -> None:
        """Read the catalogue, and who may what."""
        room, desk = self.room, self.desk
        if room is None or desk is None:
            return
        await self.attempt(self._take(room.incident))
        self.show_state()
        if not room.read_only:
            await self.attempt(self.console_app.stopping.ask_queues(desk, room))
            self.show_state()
        await self.look_at_coverage()

    async def look_at_coverage(self) -> None:
        """Look which agents and tools have a working stop, and which points were tried."""
        if self.desk is not None:
            await self.attempt(self._look(self.desk))
            self.show_state()

    async def _look(self, desk: Desk) -> None:
        self._survey = await self.console_app.stopping.survey(desk)

    async def _take(self, incident: Incident) -> None:
        desk, room = self.desk, self.room
        if desk is not None and room is not None:
            self._offers = await self.console_app.stopping.offers(desk, incident, room.authority)

    # -- state -------------------------------------------------------------------------------------------

    @property
    def rows(self) -> HoldList:
        """The list."""
        return self.query_one(HoldList)

    @property
    def selected(self) -> HoldRow | None:
        """The row under the cursor."""
        return self.rows.selected

    @property
    def chosen(self) -> list[HoldRow]:
        """The rows that are marked, else the one under the cursor."""
        rows = self.rows
        marked = [row for row in rows.all_rows if row.key in rows.marks] if rows.marks else []
        return marked or [row for row in [rows.selected] if row is not None]

    def show_clocks(self) -> None:
        """Draw what changed: the stopwatch by the second, the list when something became of a target."""
        room, desk = self.room, self.desk
        if room is None or desk is None:
            return
        now, state, moves = self.now(), room.incident, self.console_app.moves(room)
        self.query_one(Header).update(room, desk, self.console_app.sight, now, moves)
        low = self.has_class("-short") or self.has_class("-low")
        self.query_one("#verdict", StripLines).show(
            *verdict_lines(moves, now, contained=state.contained_at is not None, low=low)
        )
        waiting, unseen = state.quarantine.waiting, self.console_app.stopping.unseen
        mark = (
            room.case.id,
            _mark(moves),
            self._offers,
            self._survey,
            [(e.place, e.state, e.note) for e in waiting],
            unseen,
        )
        if mark != self._mark:
            self._mark = mark
            self.rows.show(hold_rows(moves, self._offers, waiting, unseen, self._survey))
        self._show_detail()
        self._show_hints()

    def situation(self) -> Situation:
        """Return what decides which commands are possible."""
        room, row = self.room, self.selected
        state = room.incident if room is not None else None
        return Situation(
            place="containment",
            pane="containment",
            selected=row is not None,
            row=row.kind if row is not None else "",
            holding=self._can(),
            contained=state is not None and state.contained_at is not None,
            closed=state is not None and not state.open,
            running=state is not None and state.plays.stoppable(self.now()),
            writable=room is not None and not room.read_only,
        )

    def _can(self) -> frozenset[str]:
        """Return what can be done with the chosen rows."""
        row, rows = self.selected, self.chosen
        if row is None:
            return frozenset()
        holds = [
            each
            for each in rows
            if each.of is not None and not (each.of.lifted or each.of.body.lifts or each.of.body.dry)
        ]
        found = {
            "mark": row.kind in ("target", "held"),
            "decide": any(each.held is not None and each.held.open for each in rows),
            "answer": any(each.standing is not None and each.standing.open for each in rows),
            "restore": bool(holds)
            and len({each.of.body.order for each in holds if each.of is not None}) == 1,
            "receipt": row.of is not None,
            "carry": row.offer is not None,
            "fire": row.point is not None and is_canary(row.point) and not row.point.problem,
        }
        return frozenset(name for name, can in found.items() if can)

    def paragraphs(self) -> list[Para]:
        """Return what there is to read about the selected row."""
        row = self.selected
        if row is None:
            return []
        if row.of is not None and row.standing is not None:
            return about_target(row.standing, row.of, self.now())
        if row.of is not None:
            return about_order(row.of, self.now())
        if row.held is not None:
            return about_held(row.held, self.now())
        if row.cover is not None:
            return about_cover(row.cover)
        if row.point is not None:
            return about_point(row.point)
        return about_move(row.offer) if row.offer is not None else []

    def mark(self) -> None:
        """Mark the selected row and go on to the next; again: no mark."""
        row, rows = self.selected, self.rows
        if row is not None:
            rows.marks ^= {row.key}
            rows.refresh()
            rows.action_step(1)
            self.show_marks()

    def unmark(self) -> None:
        """Take all marks away: what they were for is done."""
        self.rows.marks.clear()
        self.rows.refresh()
        self.show_marks()

    def show_marks(self) -> None:
        """Say on the border how many rows are marked."""
        count = len(self.rows.marks)
        marked = f"  {count:,} marked" if count else ""
        self.rows.title(f"0 Containment{marked}", "← → section · Space marks · Esc room")
        self._show_hints()

    def back(self) -> None:
        """Take the marks away, then go back to the room."""
        if self.rows.marks:
            self.unmark()
        else:
            super().back()

    def _show_detail(self) -> None:
        sheet = self.query_one("#detail", Sheet)
        if sheet.display and sheet.size.height:
            sheet.read(self.paragraphs())

    def _show_hints(self) -> None:
        self.query_one(Hints).update(self.situation(), self.keymap)

    def on_rows_moved(self, event: Rows.Moved) -> None:
        """Follow the selection."""
        event.stop()
        if self.desk is not None and event.rows.id == "containment":
            self._show_detail()
            self._show_hints()


def _holds(row: HoldRow) -> bool:
    """Return whether an order, or a target of it, can be let go on."""
    body, over = (row.of.body, row.of.lifted) if row.of is not None else (None, "")
    lifted = row.standing is not None and row.standing.lifted
    return body is not None and not (over or lifted or body.lifts or body.dry)


def _mark(moves: Moves) -> object:
    """Return what the list shows of the orders, short enough to be compared every second."""
    return tuple(
        (name, order.judged is None, order.lifted, len(order.targets), sum(each.ms for each in order.targets),
         sum(hash(each.state) for each in order.targets),
         sum((each.answered is not None) + 2 * bool(each.lifted) for each in order.targets))
        for name, order in moves.orders.items()
    )  # fmt: skip
