"""The evidence screen: what is kept, where, by whom, and whether it holds together."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content

from screens.commands import Place, Situation
from screens.console_screen import perhaps_leaving
from screens.over_room import OverRoom
from screens.widgets.evidence import EvidenceList, EvidenceRow, evidence_rows
from screens.widgets.header import Header
from screens.widgets.hints import Hints
from screens.widgets.rows import Rows
from screens.widgets.sheet import Para, Sheet
from screens.widgets.strips import StripLines


class EvidenceScreen(OverRoom):
    """A list of all that there is to know of the record, and the detail of what is selected."""

    place: Place = "evidence"
    CSS_PATH: ClassVar[str] = "evidence.tcss"

    def compose(self) -> ComposeResult:
        """Header, the list, the detail of what is selected, a message, keys."""
        yield Header(id="header")
        with Container(id="lists"):
            yield EvidenceList(id="evidence")
            yield Sheet(id="detail")
        yield StripLines(id="said")
        yield Hints(id="hints")

    def begin(self) -> None:
        """Draw the frame and the state."""
        self.query_one("#detail", Sheet).can_focus = False
        self.query_one("#detail", Sheet).border_title = Content("Detail")
        rows = self.query_one(EvidenceList)
        rows.title("5 Evidence", "← → section · Enter opens · Esc room")
        self.set_focus(rows)
        self.show_state()

    def show_clocks(self) -> None:
        """Draw it again: ages and states change with time."""
        room, desk = self.room, self.desk
        if room is None or desk is None:
            return
        app, now = self.console_app, self.now()
        self.query_one(Header).update(room, desk, app.sight, now, app.moves(room))
        rows = self.query_one(EvidenceList)
        rows.update(evidence_rows(room, desk, app.checking, now))
        self._show_detail()
        self._show_hints()

    @property
    def selected(self) -> EvidenceRow | None:
        """The row under the cursor."""
        return self.query_one(EvidenceList).selected

    def situation(self) -> Situation:
        """Return what decides which commands are possible."""
        room, row = self.room, self.selected
        state = room.incident if room is not None else None
        return Situation(
            place="evidence",
            pane="evidence",
            selected=row is not None,
            row=row.kind if row is not None else "",
            contained=state is not None and state.contained_at is not None,
            closed=state is not None and not state.open,
            running=state is not None and state.plays.stoppable(self.now()),
            writable=room is not None and not room.read_only,
        )

    def _show_detail(self) -> None:
        sheet = self.query_one("#detail", Sheet)
        if sheet.display and sheet.size.height:
            sheet.read(self._detail())

    def _detail(self) -> list[Para]:
        from screens.reading_record import about_row

        room, desk, row = self.room, self.desk, self.selected
        if room is None or desk is None or row is None:
            return []
        return about_row(row, room, desk, self.console_app.checking, self.now())

    def _show_hints(self) -> None:
        self.query_one(Hints).update(self.situation(), self.keymap)

    def on_rows_moved(self, event: Rows.Moved) -> None:
        """Follow the selection."""
        event.stop()
        if self.desk is not None and event.rows.id == "evidence":
            with perhaps_leaving():
                self._show_detail()
                self._show_hints()
