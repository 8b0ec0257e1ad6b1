"""The room: one incident on one screen."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from console.refusal import Refused
from data.trouble import StoreTrouble
from screens.background import background
from screens.commands import Pane, Situation
from screens.console_screen import ConsoleScreen, perhaps_leaving
from screens.display import fit
from screens.times import SECOND, day_hms, hms
from screens.widgets.alerts import AlertRow, Alerts, alert_rows
from screens.widgets.checklist import Checklist
from screens.widgets.header import Header
from screens.widgets.hints import Hints
from screens.widgets.playbook import PlaybookPane, PlayRow
from screens.widgets.rollback import RollbackTracker
from screens.widgets.rows import Rows
from screens.widgets.sheet import Para, Sheet
from screens.widgets.strips import Piece, StripLines
from screens.widgets.timeline import Timeline
from screens.widgets.writer import Writer

if TYPE_CHECKING:
    from console.alerts import Alert
    from console.room import Room
    from data.drafts import Draft

PANES: tuple[tuple[Pane, str], ...] = (
    ("alerts", "Alerts"),
    ("timeline", "Timeline"),
    ("checklist", "Checklist"),
    ("rollback", "Rollback"),
    ("playbook", "Play"),
)
NUMBERS: dict[Pane, int] = {"alerts": 1, "timeline": 2, "checklist": 3, "rollback": 4, "playbook": 6}
"""The key of each pane; 5 is the evidence."""
BESIDE = frozenset({"playbook", "timeline", "rollback"})
"""Panes that leave the playbooks where they are."""
WORDS = frozenset({"note.written", "update.sent"})
"""Kinds of entries that a person wrote."""
WRITING, SENDING = "write", "sending-"
MESSAGE = "message-"
"""Beginning of the draft of a message's words, which its own screen takes up."""
FORMS = "form:"
"""Beginning of the drafts of forms, which come back where they are asked for."""
BOXES = (SENDING, WRITING)
"""Drafts: the line that is typed, and one that is on its way to the record."""
PANES_EVERY = 5 * SECOND
SMALLEST = (40, 10)
"""Columns and rows under which only the write bar is offered."""


class RoomScreen(ConsoleScreen):
    """Alerts and checklist on the left, timeline and rollback on the right, the write bar under all of it."""

    CSS_PATH: ClassVar[str] = "room.tcss"
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - declared so by the toolkit
        (0, "-narrow"),
        (100, "-normal"),
        (160, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-low"), (12, "-short"), (24, "-tall")]  # noqa: RUF012 - as above

    def __init__(self) -> None:
        super().__init__(classes="-on-alerts")
        self.pane: Pane = "alerts"
        self._drafted = False
        self._panes_at = 0
        self._numbers = count()
        self._shown: Room | None = None

    def compose(self) -> ComposeResult:
        """Header, tabs (narrow only), panes, write bar, keys."""
        yield Header(id="header")
        yield StripLines(id="tabs")
        with Container(id="panes"):
            with Container(id="left"):
                yield Alerts(says="No alerts: the tripwires saw nothing.")
                yield Checklist()
                yield PlaybookPane()
                yield Sheet(id="step")
            with Container(id="middle"):
                yield Timeline()
            with Container(id="right"):
                yield Sheet(id="detail")
                yield RollbackTracker()
        yield Static(
            Content("Too small to show the room (40×10 at least).\nThe write bar works."), id="too-small"
        )
        yield Writer(self.now, self.enter)
        yield Hints(id="hints")

    def begin(self) -> None:
        """Draw the frame; the state follows once the record is open."""
        self.query_one("#detail", Sheet).can_focus = False
        self.query_one("#detail", Sheet).border_title = Content("Detail")
        self.query_one("#step", Sheet).can_focus = False
        self.query_one("#step", Sheet).border_title = Content("Step")
        for pane, name in PANES:
            self.query_one(f"#{pane}", Rows).title(f"{NUMBERS[pane]} {name}")
        self.focus_pane("alerts")
        self.show_state()

    # -- state ---------------------------------------------------------------------------------------------

    def show_state(self) -> None:
        """Draw the state of the room and of the board."""
        room, desk = self.room, self.desk
        if room is None or desk is None:
            self.query_one(Header).show(([("warroom", "strong", 0), ("opening the record…", "quiet", 0)], []))
            return
        timeline = self.query_one(Timeline)
        if room is not self._shown:
            self._shown, self._drafted = room, False
            timeline.watch_log(room.lines)
            background(self, self._adopt_drafts, room)
            background(self, self._look_for_unknown, room)
        state = room.incident
        if state.plays.grants:
            self.console_app.playing.tend(desk.home, room, self.console_app.say)
        timeline.judge(state.roster, frozenset(state.contested))
        timeline.changed(self.now())
        self._panes_at = 0
        self.show_clocks()

    def show_clocks(self) -> None:
        """Draw what changes with time alone: the header by the second, the panes in steps, since they show minutes."""
        room, desk = self.room, self.desk
        if room is None or desk is None:
            return
        now, state = self.now(), room.incident
        self.query_one(Header).update(room, desk, self.console_app.sight, now, self.console_app.moves(room))
        if 0 <= now - self._panes_at < PANES_EVERY:
            return
        self._panes_at = now
        alerts = self._alerts()
        self.query_one(Alerts).update(alert_rows(alerts, now, state.alerts), len(alerts))
        self.query_one(Checklist).update(state, now)
        self.query_one(RollbackTracker).update(state, now)
        self._show_playbooks()
        self._show_tabs()
        self._show_detail()
        self._show_hints()

    def _alerts(self) -> list[Alert]:
        """Return what the pane holds: the incident's alerts, and whatever else still asks for somebody."""
        room, desk = self.room, self.desk
        if room is None or desk is None:
            return []
        now, mine, held = self.now(), room.incident.alerts, self.query_one(Alerts).held
        on_board = [a for a in desk.board.alerts.values() if a.id in mine or a.asks(now) or a.id == held]
        known = {alert.id for alert in on_board}
        # A record that was brought from elsewhere stands alone: its alerts are on no board here.
        from console.alerts import Alert

        return on_board + [Alert(facts, "") for id_, facts in mine.items() if id_ not in known]

    def _show_tabs(self) -> None:
        pieces: list[Piece] = []
        for pane, text in self._tabs():
            here = pane == self.pane
            pieces.append((f"[{text}]" if here else f" {text} ", "strong" if here else "quiet", 0))
        self.query_one("#tabs", StripLines).show((pieces, []))

    def _tabs(self) -> list[tuple[Pane, str]]:
        """The panes with what their tabs say."""
        return [(pane, f"{NUMBERS[pane]} {name}{self._count(pane)}") for pane, name in PANES]

    def _count(self, pane: Pane) -> str:
        room = self.room
        if room is None:
            return ""
        state = room.incident
        match pane:
            case "alerts":
                asking = sum(row.asks for row in self.query_one(Alerts).all_rows)
                return f" {asking}!" if asking else ""
            case "checklist":
                return f" {state.checked}/{len(state.checklist)}"
            case "rollback":
                return f" {sum(row.finished for row in state.rollback.values())}/{len(state.rollback)}"
            case "playbook":
                states = [
                    each for play in state.plays.opened.values() if play.open for each in play.steps.values()
                ]
                if any(each.standing == "unclear" for each in states):
                    return " ?!"
                return " >" if any(each.running is not None for each in states) else ""
            case _:
                return ""

    def _show_playbooks(self) -> None:
        """Draw the playbooks, where they are shown: to say what is in the way of each step is not for nothing."""
        room = self.room
        if room is not None and self.has_class("-playbook"):
            playing = self.console_app.playing
            self.query_one(PlaybookPane).update(playing.player(room), playing.books(room.incident))

    async def _look_for_unknown(self, room: Room) -> None:
        """A run that was abandoned is looked for once; where there never was a playbook nothing is loaded."""
        if any(play.open for play in room.incident.plays.opened.values()):
            from screens.deeds.playbook import look_for_unknown

            await look_for_unknown(self, room)

    # -- selection -----------------------------------------------------------------------------------------

    @property
    def rows(self) -> Rows[object]:
        """The pane in use."""
        return self.query_one(f"#{self.pane}", Rows)

    @property
    def selected_alert(self) -> Alert | None:
        """The alert under the cursor."""
        row: AlertRow | None = self.query_one(Alerts).selected
        desk, room = self.desk, self.room
        if row is None or desk is None or room is None:
            return None
        from console.alerts import Alert

        on_board = desk.board.alerts.get(row.id)
        return on_board or (
            Alert(room.incident.alerts[row.id], "") if row.id in room.incident.alerts else None
        )

    def situation(self) -> Situation:
        """Return what decides which commands are possible."""
        room = self.room
        state = room.incident if room is not None else None
        line = self.query_one(Timeline).selected
        play = self.query_one(PlaybookPane).selected if self.pane == "playbook" else None
        return Situation(
            place="room",
            pane=self.pane,
            selected=self.rows.selected is not None,
            note=line is not None and line.kind in WORDS,
            row=play.kind if play is not None else "",
            step=self._can(play) if play is not None else frozenset(),
            running=state is not None and state.plays.stoppable(self.now()),
            contained=state is not None and state.contained_at is not None,
            closed=state is not None and not state.open,
            filtered=self.query_one(Timeline).narrowed is not None,
            writable=room is not None and not room.read_only,
            typing=self.query_one(Writer).box.has_focus,
        )

    def _can(self, row: PlayRow) -> frozenset[str]:
        """Return what can be done with a step."""
        room = self.room
        state = room.incident.plays.step(row.playbook, row.step) if room is not None else None
        if room is None or state is None:
            return frozenset()
        from console.runner.rules import approvers

        kind, standing = state.step.kind, state.standing
        acts = state.step.acts and not state.settled
        found = {
            "run": kind not in ("manual", "decision"),
            "decide": kind == "decision",
            "settle": standing == "unclear",
            "grant": acts and state.step.automatic and not state.step.destroys_evidence,
            "approve": acts and bool(approvers(state.step, state.section, room.incident.severity)),
        }
        return frozenset(name for name, can in found.items() if can)

    def _show_detail(self) -> None:
        """Follow the selection in the detail pane, where there is one."""
        for name in ("#detail", "#step"):
            sheet = self.query_one(name, Sheet)
            if sheet.display and sheet.size.height:
                sheet.read(self._step() if name == "#step" else self._detail())

    def _step(self) -> list[Para]:
        from screens.deeds.playbook import paragraphs

        return paragraphs(self)

    def _detail(self) -> list[Para]:
        from screens.reading import about_alert, about_class, about_item

        room = self.room
        if room is None:
            return []
        state, now = room.incident, self.now()
        match self.pane:
            case "alerts" if (alert := self.selected_alert) is not None:
                return about_alert(alert, now)
            case "checklist" if (item := self.query_one(Checklist).selected) is not None:
                return about_item(state.checklist[item.id], state, now)
            case "playbook":
                return self._step()
            case "rollback" if (row := self.query_one(RollbackTracker).selected) is not None:
                return about_class(row.id, state, now)
            case "timeline" if (line := self.query_one(Timeline).selected) is not None:
                return [
                    Para(
                        line.text,
                        f"{hms(line.at)} {line.actor}"
                        + (f", corrected by {line.editor}" if line.editor else ""),
                        agent=True,
                    ),
                    Para("Enter shows it with its history.", "", "quiet"),
                ]
            case _:
                return []

    def _show_hints(self) -> None:
        self.query_one(Hints).update(self.situation(), self.keymap)

    def on_rows_moved(self, event: Rows.Moved) -> None:
        """Follow the selection."""
        event.stop()
        if self.desk is not None and event.rows.id == self.pane:
            with perhaps_leaving():
                self._show_detail()
                self._show_hints()

    def on_rows_opened(self, event: Rows.Opened) -> None:
        """Open what was clicked."""
        event.stop()
        self.command("open")

    # -- panes ---------------------------------------------------------------------------------------------

    def focus_pane(self, pane: Pane) -> None:
        """Give `pane` the focus; on a narrow screen it is the one that is shown."""
        self._use(pane)
        self.set_focus(self.query_one(f"#{pane}", Rows))

    def set_focus(
        self, widget: Widget | None, scroll_visible: bool = True, from_app_focus: bool = False
    ) -> None:
        """Give the focus away, and know at once which pane is in use: the next key may be a command of it."""
        super().set_focus(widget, scroll_visible, from_app_focus)
        for pane, _ in PANES:
            if widget is not None and widget.id == pane:
                self._use(pane)

    def show_pane(self, pane: Pane) -> None:
        """Bring `pane` on the screen; the keys stay where they are."""
        self._use(pane)

    def _use(self, pane: Pane) -> None:
        if pane != self.pane:
            # At once: each change of a class styles the whole screen again.
            others = [name for name in self.classes if not name.startswith("-on-") and name != "-playbook"]
            beside = pane == "playbook" or (self.has_class("-playbook") and pane in BESIDE)
            self.set_classes([*others, f"-on-{pane}", *(["-playbook"] if beside else [])])
            self.pane = pane
            if pane == "playbook":
                self._show_playbooks()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Show what belongs to the pane in use."""
        self.call_after_refresh(self._follow_focus)

    def _follow_focus(self) -> None:
        with perhaps_leaving():
            if self.focused is None and not self.has_class("-tiny") and self.is_current:
                # What had the focus was hidden by a size; the keys belong to the pane in use again.
                self.focus_pane(self.pane)
            if self.desk is not None:
                self._show_tabs()
                self._show_detail()
                self._show_hints()

    def on_resize(self, event: events.Resize) -> None:
        """Say so when there is no room for the room."""
        columns, rows = SMALLEST
        self.set_class(event.size.width < columns or event.size.height < rows, "-tiny")
        self.call_after_refresh(self._follow_focus)

    def back(self) -> None:
        """Leave the zoom, then the filter."""
        if self.has_class("-zoom"):
            self.remove_class("-zoom")
        elif self.pane == "playbook":
            self.focus_pane("alerts")
        elif self.query_one(Timeline).narrowed:
            self.command("filter.clear")
        else:
            self.say("")

    @property
    def typed(self) -> str:
        """What is typed and not saved."""
        return self.query_one(Writer).text

    def keep(self, text: str) -> None:
        """Keep `text` as a draft beside the one in the write bar."""
        if self.room is not None:
            self.room.drafts.put(f"{SENDING}dialog", text, self.now())

    # -- writing -------------------------------------------------------------------------------------------

    def say(self, text: str, tone: str = "") -> None:
        """Show a message under the write bar."""
        with perhaps_leaving():
            self.query_one(Writer).say(text, tone)

    def unsay(self, about: str) -> None:
        """Take a message back that holds no more."""
        with perhaps_leaving():
            writer = self.query_one(Writer)
            if about in writer.message:
                writer.say("")

    async def _adopt_drafts(self, room: Room) -> None:
        """Put back what a console that died had not saved: its line in the box, and one that was on its way."""
        if room.read_only:
            return
        orphans = await asyncio.to_thread(room.drafts.orphans)
        texts: list[Draft] = []
        if any(orphan.box.startswith(MESSAGE) for orphan in orphans):
            self.say("Words of a message were typed and not saved: 7, then c goes on with them.", "high")
        for orphan in orphans:
            if (
                orphan.box.startswith(BOXES)
                and orphan.text.strip()
                and await asyncio.to_thread(room.drafts.adopt, orphan)
            ):
                texts.append(orphan)
        while not self.query("#box"):
            # The write bar comes a moment after its screen; or both are gone, and the drafts wait on disk.
            if not self.is_attached or not self.app.is_running:
                return
            await asyncio.sleep(0.01)
        writer = self.query_one(Writer)
        typed = writer.text
        if texts:
            writer.restore(
                "\n".join(filter(None, (*(draft.text for draft in texts), typed))), texts[0].started_at
            )
            # Kept as one before the parts are dropped.
            room.drafts.put(WRITING, writer.text, writer.typed)
            for draft in texts:
                if draft.box != WRITING:
                    room.drafts.clear(draft.box)
            self.set_focus(writer.box)
            self.say(
                f"A draft of {hms(texts[0].started_at)}Z is back: Enter twice saves it, Esc leaves it here.",
                "high",
            )
        elif any(orphan.box.startswith(FORMS) for orphan in orphans):
            self.say("A form was left half filled: :form goes on with it.", "high")
        self._drafted = True
        if typed and not texts:
            room.drafts.put(WRITING, typed, writer.typed)

    def on_writer_typed(self, event: Writer.Typed) -> None:
        """Keep the draft; it is durable within 50 ms without the keyboard waiting for it."""
        event.stop()
        room = self.room
        if room is None or not self._drafted:
            return
        if event.text:
            room.drafts.put(WRITING, event.text, event.typed)
        else:
            room.drafts.clear(WRITING)

    def on_writer_done(self, event: Writer.Done) -> None:
        """Go back to the pane that was in use."""
        event.stop()
        self.focus_pane(self.pane)

    def enter(self, text: str, typed: int) -> None:
        """Save a line, begun at `typed` (ns UTC)."""
        room = self.room
        box = f"{SENDING}{next(self._numbers)}"
        if room is not None:
            # Kept as a draft of its own until it is on disk: the box is free for the next line meanwhile.
            room.drafts.put(box, text, typed)
        background(self, self.save, text, typed, box)

    async def save(self, text: str, typed: int, box: str) -> None:
        """Save a line of the scribe; what cannot be saved comes back into the box with the reason."""
        room, writer = self.room, self.query_one(Writer)
        if room is None:
            writer.fill(text, typed)
            self.say("The record is not open yet; nothing was saved.", "crit")
            return
        self.say(f"saving: {text}")
        try:
            event = await room.note(text, typed or None)
        except (Refused, StoreTrouble) as trouble:
            writer.fill(f"{text}\n{writer.text}" if writer.text else text, typed)
            self.set_focus(writer.box)
            self.say(f"NOT SAVED: {trouble}", "crit" if isinstance(trouble, StoreTrouble) else "high")
        else:
            day = day_hms(event.at, room.saved_at)
            when = "" if day == hms(event.at) else f"  at {day}Z"
            if room.unheard:
                self.say(f"{event.short} {room.unheard}", "high")
            else:
                self.say(f"saved {hms(room.saved_at)}{when}  {event.short}  {fit(text, 60).strip()}", "ok")
        room.drafts.clear(box)

    def on_click(self, event: events.Click) -> None:
        """Tabs are buttons too."""
        if isinstance(event.widget, Widget) and event.widget.id == "tabs":
            cell = 1
            for pane, text in self._tabs():
                cell += len(text) + 4
                if event.x < cell:
                    self.focus_pane(pane)
                    return
