"""All incidents, and the alerts that ask for somebody."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Container

from data.trouble import StoreTrouble
from screens.background import background
from screens.commands import Pane, Place, Situation
from screens.console_screen import ConsoleScreen, perhaps_leaving
from screens.display import content, fit
from screens.times import age, stamp
from screens.widgets.alerts import Alerts, alert_rows
from screens.widgets.header import alert_pieces, halt_pieces, mode_piece, watcher_piece
from screens.widgets.hints import Hints
from screens.widgets.rows import Cells, ListRows, Rows
from screens.widgets.strips import StripLines

if TYPE_CHECKING:
    from console.alerts import Alert
    from console.desk import Desk
    from console.incident import Incident


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """One incident as it is drawn."""

    case: str
    code: str
    severity: str
    tone: str
    title: str
    state: str
    since: str
    commander: str

    @classmethod
    def of(cls, state: Incident, now: int) -> IncidentRow:
        """Return how `state` looks at `now` (ns UTC)."""
        from console.incident import COMMANDER

        if not state.open:
            words, tone = f"closed {stamp(state.closed_at)[:10]}", "quiet"
        elif state.contained_at is None:
            words, tone = "NOT CONTAINED", "crit" if state.severity == 1 else "high"
        else:
            words, tone = "contained", "ok"
        return cls(
            state.case,
            state.code,
            f"SEV{state.severity}",
            tone,
            state.title,
            words,
            age(now - state.declared_at),
            " ".join(state.roles.get(COMMANDER, ())) or "NO COMMANDER",
        )


class Incidents(ListRows[IncidentRow]):
    """The list of incidents, open ones first."""

    loaded = False

    def key(self, row: IncidentRow) -> Hashable:
        """Return the case id."""
        return row.case

    def empty(self) -> str:
        """Return what an empty list says."""
        if not self.loaded:
            return "opening the record…"
        return "No incident was ever declared here. D declares one; 9 shows what is missing."

    def paint(self, row: IncidentRow, width: int) -> Cells:
        """Return the line of one incident."""
        commander = 14 if width >= 70 else 0
        title = max(width - 9 - 6 - 18 - 6 - commander, 8)
        cells = [
            (fit(row.code, 9), "strong"),
            (fit(row.severity, 5) + " ", row.tone),
            (fit(row.title, title - 1) + " ", "quiet" if row.tone == "quiet" else ""),
            (fit(row.state, 18), row.tone),
            (fit(row.since, 5, right=True) + " ", "quiet"),
        ]
        return [*cells, (fit(row.commander, commander), "quiet")] if commander else cells


class HomeScreen(ConsoleScreen):
    """Incidents above, alerts below."""

    place: Place = "home"
    CSS_PATH: ClassVar[str] = "home.tcss"

    def compose(self) -> ComposeResult:
        """Header, two lists, a message, keys."""
        yield StripLines(id="header")
        with Container(id="lists"):
            yield Incidents(id="incidents")
            yield Alerts(says="No alert asks for anybody.")
        yield StripLines(id="said")
        yield Hints(id="hints")

    def begin(self) -> None:
        """Draw the frame; the state follows."""
        self.query_one(Incidents).title("Incidents")
        self.query_one(Alerts).title("1 Alerts")
        self.set_focus(self.query_one(Incidents))
        self.show_state()

    def show_state(self) -> None:
        """Draw the board, and have the incidents read."""
        if self.desk is None:
            self.query_one("#header", StripLines).show(
                ([("warroom", "strong", 0), ("opening the record…", "quiet", 0)], [])
            )
            return
        background(self, self._read, group="incidents", latest=True)
        self.show_clocks()

    async def _read(self) -> None:
        desk = self.desk
        if desk is None:
            return
        try:
            incidents = await desk.incidents()
        except StoreTrouble as trouble:
            self.say(str(trouble), "crit")
            return
        with perhaps_leaving():
            self._list(desk, incidents)

    def _list(self, desk: Desk, incidents: list[Incident]) -> None:
        listing = self.query_one(Incidents)
        listing.loaded = True
        now = desk.clock.now()
        rows = [IncidentRow.of(state, now) for state in incidents]
        lost = len(desk.unreadable)
        listing.title(
            f"Incidents  {sum(state.open for state in incidents)} open of {len(rows)}"
            + (f" · {lost} CANNOT BE READ" if lost else "")
        )
        for damaged in desk.unreadable.values():
            self.say(str(damaged), "crit")
        if rows != listing.all_rows or not rows:
            listing.show(rows)
        self._show_hints()

    def show_clocks(self) -> None:
        """Draw what changes with time alone."""
        desk = self.desk
        if desk is None:
            return
        now = desk.clock.now()
        stopped = halt_pieces(self.console_app.moves(desk.room), now)
        self.query_one("#header", StripLines).show(
            (
                [
                    ("warroom", "strong", 0),
                    mode_piece(desk.home.mode),
                    *stopped,
                    (stamp(now)[:16] + "Z", "quiet", 1),
                    (f"as {fit(desk.actor, 20).strip()}", "quiet", 3),
                ],
                [watcher_piece(desk), *alert_pieces(desk.board, now)],
            )
        )
        listing = self.query_one(Alerts)
        shown = desk.board.asking(now) or desk.board.newest()[:50]
        held = desk.board.alerts.get(listing.held)
        listing.update(alert_rows(shown if held is None or held in shown else [*shown, held], now, ()))
        self._show_hints()

    @property
    def selected_alert(self) -> Alert | None:
        """The alert under the cursor, when the alerts have the focus."""
        listing = self.query_one(Alerts)
        row = listing.selected
        if not listing.has_focus or row is None or self.desk is None:
            return None
        return self.desk.board.alerts.get(row.id)

    @property
    def selected_case(self) -> str:
        """The case id of the incident under the cursor."""
        row = self.query_one(Incidents).selected
        return row.case if row is not None else ""

    def situation(self) -> Situation:
        """Return what decides which commands are possible."""
        alerts = self.query_one(Alerts)
        pane: Pane = "alerts" if alerts.has_focus else "incidents"
        rows: Rows[object] = self.query_one(f"#{pane}", Rows)
        return Situation(
            place="home",
            pane=pane,
            selected=rows.selected is not None,
            writable=self.desk is None or not self.desk.read_only,
        )

    def _show_hints(self) -> None:
        with perhaps_leaving():
            self.query_one(Hints).update(self.situation(), self.keymap)

    def say(self, text: str, tone: str = "") -> None:
        """Show a message above the keys."""
        with perhaps_leaving():
            self.query_one("#said", StripLines).show(([(content(text, 400).plain, tone, 0)], []))

    def on_rows_moved(self, event: Rows.Moved) -> None:
        """Follow the selection."""
        event.stop()
        self._show_hints()

    def on_rows_opened(self, event: Rows.Opened) -> None:
        """Open what was clicked."""
        event.stop()
        self.command("open")

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Show the keys of the list in use."""
        self.call_after_refresh(self._show_hints)

    def back(self) -> None:
        """Go back to the room that is open, if one is."""
        if self.room is not None:
            self.console_app.show_room()
