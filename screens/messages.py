"""The messages screen: what others are told, how far each message is, and when the next one is due."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content

from console.comms.check import INSIDE
from console.comms.draft import trace_ids
from console.comms.state import OVER, WAITING
from screens.background import background
from screens.commands import Place, Situation
from screens.console_screen import perhaps_leaving
from screens.over_room import OverRoom
from screens.reading_messages import about_message, about_sender, about_template, in_the_way, promise
from screens.room import MESSAGE
from screens.times import SECOND, hms
from screens.widgets.header import Header
from screens.widgets.hints import Hints
from screens.widgets.messages import MessageEditor, MessageList, MessageRow, message_rows
from screens.widgets.rows import Rows
from screens.widgets.sheet import Para, Sheet
from screens.widgets.strips import StripLines
from screens.widgets.writer import Box

if TYPE_CHECKING:
    from console.comms.state import Message
    from console.room import Room
    from screens.correspondence import Correspondence

JUDGE = 0.15
"""Seconds within which the findings follow what is typed: reading a long text must not hold up its letters."""
LOST = 600 * SECOND
"""After that long a try of which nothing was heard may be settled like one that ended in doubt."""


class MessagesScreen(OverRoom):
    """The messages of the incident, and the editor of one of them."""

    place: Place = "messages"
    CSS_PATH: ClassVar[str] = "messages.tcss"

    def __init__(self, chosen: str = "", said: str = "", tone: str = "") -> None:
        super().__init__()
        self._first = (said, tone)
        self.editing = ""
        """Id of the message whose words are edited."""
        self._wanted = chosen
        self._base = ""
        """The words from which the edit began, as a digest."""
        self._recorded = ""
        """The same words as the boxes hold them: they take no control characters."""
        self._judging = False
        self._adopted = False
        """Whether it is known what was typed here before and not saved."""

    def compose(self) -> ComposeResult:
        """Header, the clock of the next update, the list, what is selected or edited, a message, keys."""
        yield Header(id="header")
        yield StripLines(id="promise")
        with Container(id="lists"):
            yield MessageList(id="messages")
            yield Sheet(id="detail")
            yield MessageEditor(id="editor")
        yield StripLines(id="said")
        yield Hints(id="hints")

    def begin(self) -> None:
        """Draw the frame and the state."""
        detail = self.query_one("#detail", Sheet)
        detail.can_focus = False
        detail.border_title = Content("Message")
        rows = self.query_one(MessageList)
        rows.title("7 Messages", "← → section · Enter opens · Esc room")
        self.set_focus(rows)
        self.say(*self._first)
        self.show_state()
        background(self, self._read)
        if self.room is not None:
            background(self, self._adopt, self.room)

    async def _read(self) -> None:
        if self.known.templates is None:
            await self.attempt(self.known.read())
            self.show_state()
            self._judge()
            if self.message is None and not self._wanted:
                # What stood under the cursor was all that there was.
                self.query_one(MessageList).go(0)

    async def _adopt(self, room: Room) -> None:
        """Take over the words that a console which is gone had not saved: nobody else goes on with them."""
        if room.read_only:
            self._adopted = True
            return
        # The newest words first: after two crashes those count, and the first that is taken over stays.
        for orphan in reversed(await asyncio.to_thread(room.drafts.orphans)):
            if orphan.box.startswith(MESSAGE):
                await asyncio.to_thread(room.drafts.adopt, orphan)
        self._adopted = True
        self.show_state()

    # -- state -------------------------------------------------------------------------------------------

    @property
    def known(self) -> Correspondence:
        """What this console knows about messages."""
        return self.console_app.correspondence

    @property
    def selected(self) -> MessageRow | None:
        """The row under the cursor."""
        return self.query_one(MessageList).selected

    @property
    def message(self) -> Message | None:
        """The message under the cursor, or the one to which the delivery under it belongs."""
        row, room = self.selected, self.room
        if row is None or room is None or row.kind not in ("message", "delivery"):
            return None
        return room.incident.messages.drafted.get(row.id)

    def unsaved(self, room: Room) -> frozenset[str]:
        """Return the messages whose words were typed here and not saved."""
        drafted = room.incident.messages.drafted
        return frozenset(name for name in drafted if room.drafts.get(MESSAGE + name) is not None)

    def show_clocks(self) -> None:
        """Draw it again: promises run out, and messages go out by themselves."""
        room, desk = self.room, self.desk
        if room is None or desk is None:
            return
        now = self.now()
        self.query_one(Header).update(room, desk, self.console_app.sight, now, self.console_app.moves(room))
        self.query_one("#promise", StripLines).show((promise(room.incident, now), []))
        rows = self.query_one(MessageList)
        senders = list(self.known.messenger(room).senders.values())
        rows.update(message_rows(room, self.known, senders, self.unsaved(room)))
        if self._wanted and rows.choose(self._wanted):
            self._wanted = ""
        self._show_detail()
        self._show_hints()

    def choose(self, message: str) -> None:
        """Put the cursor on a message, as soon as it is on the list."""
        self._wanted = message
        self.show_state()

    def situation(self) -> Situation:
        """Return what decides which commands are possible."""
        room, row = self.room, self.selected
        state = room.incident if room is not None else None
        return Situation(
            place="messages",
            pane="messages",
            selected=row is not None,
            row=row.kind if row is not None else "",
            message=self._can(),
            contained=state is not None and state.contained_at is not None,
            closed=state is not None and not state.open,
            writable=room is not None and not room.read_only,
            typing=isinstance(self.focused, Box),
        )

    def _can(self) -> frozenset[str]:
        """Return what can be done with the selected message."""
        room, message = self.room, self.message
        if room is None or message is None:
            return frozenset()
        left, goes = self.known.standing(room, message), list(message.deliveries.values())
        still = not any(each.state not in OVER for each in goes)
        open_ = still and message.cancelled is None
        lost = any(each.state == "trying" and self.now() - each.at > LOST for each in goes)
        found = {
            "edit": still and message.audience != "page",
            "fill": still and bool(message.needs or message.given) and message.audience != "page",
            "waive": open_ and any(each.waivable for each in left),
            "approve": open_ and message.audience not in INSIDE and message.approved is None,
            "send": message.cancelled is None,
            "cancel": any(each.state in WAITING for each in goes) or (not goes and message.cancelled is None),
            "settle": lost or any(each.state == "unknown" for each in goes),
        }
        return frozenset(name for name, can in found.items() if can)

    def paragraphs(self) -> list[Para]:
        """Return what there is to read about the selected row."""
        room, row, message = self.room, self.selected, self.message
        if room is None or row is None:
            return []
        if message is not None:
            return about_message(
                message, self.known.judge(room, message), self.known.standing(room, message), self.now(),
                unsaved=message.id in self.unsaved(room),
            )  # fmt: skip
        if row.kind == "template":
            return about_template(self.known.template(row.id))
        return about_sender(self.known.messenger(room).sender(row.sender))

    def _show_detail(self) -> None:
        sheet = self.query_one("#detail", Sheet)
        if sheet.display and sheet.size.height:
            sheet.read(self.paragraphs())

    def _show_hints(self) -> None:
        self.query_one(Hints).update(self.situation(), self.keymap)

    def on_rows_moved(self, event: Rows.Moved) -> None:
        """Follow the selection."""
        event.stop()
        if self.desk is not None and event.rows.id == "messages":
            with perhaps_leaving():
                self._show_detail()
                self._show_hints()

    def on_descendant_focus(self) -> None:
        """The keys are others while somebody types."""
        self.call_after_refresh(self._follow_focus)

    def _follow_focus(self) -> None:
        if self.desk is not None:
            with perhaps_leaving():
                self._show_hints()

    # -- editing -----------------------------------------------------------------------------------------

    @property
    def editor(self) -> MessageEditor:
        """Where the words of a message are typed."""
        return self.query_one(MessageEditor)

    def edit(self, message: Message) -> None:
        """Open the words of a message; what was typed before and not saved comes back."""
        room = self.room
        if room is None:
            return
        if not self._adopted:
            self.say("What was typed here before is being looked for; one moment.")
            return
        self.editing, self._base = "", message.digest
        editor, kept = self.editor, room.drafts.get(MESSAGE + message.id)
        editor.fill(f"Edit: {message.title} for {message.audience}", message.subject, message.body)
        self._recorded = editor.text
        if kept is not None:
            subject, _, body = kept.text.partition("\n")
            editor.fill(f"Edit: {message.title} for {message.audience}", subject, body)
        editor.note("F8 saves · Esc leaves")
        self.add_class("-editing")
        self.editing = message.id
        self.set_focus(self.editor.words)
        if kept is not None:
            self.say(f"What was typed at {hms(kept.started_at)}Z is back. F8 saves it.", "high")
        self._judge()

    def on_message_editor_typed(self, event: MessageEditor.Typed) -> None:
        """Keep the draft, which is durable within 50 ms, and look at it."""
        event.stop()
        room, editor = self.room, self.editor
        message = self._edited()
        if room is None or message is None:
            return
        box, words = MESSAGE + message.id, editor.text
        if words == self._recorded:
            room.drafts.clear(box)
            editor.note("on the record · Esc leaves")
        elif (known := room.drafts.get(box)) is None or known.text != words:
            room.drafts.put(box, words, known.started_at if known is not None else self.now())
            editor.note("draft NOT on the disk yet")
        self._look_again()

    def _look_again(self) -> None:
        if not self._judging:
            self._judging = True
            self.set_timer(JUDGE, self._judge)

    def _edited(self) -> Message | None:
        room = self.room
        return room.incident.messages.drafted.get(self.editing) if room is not None else None

    def _judge(self) -> None:
        """Say what is in the way of the words as they stand there now."""
        self._judging = False
        room, message = self.room, self._edited()
        if room is None or message is None or not self.is_attached:
            return
        editor, box = self.editor, MESSAGE + message.id
        if room.drafts.trouble:
            editor.note(f"DRAFT NOT SAVED: {room.drafts.trouble}")
        elif room.drafts.get(box) is not None:
            if at := room.drafts.saved_at(box):
                editor.note(f"draft saved {hms(at)} · F8 saves · Esc leaves it here")
            else:
                self._look_again()
        typed = replace(message, subject=editor.subject.text, body=editor.words.text)
        traces = [] if message.audience == "customers" else trace_ids(room.incident)
        editor.find(in_the_way(self.known.judge(room, typed), message, traces))

    def on_message_editor_left(self, event: MessageEditor.Left) -> None:
        """Leave the words as they are typed."""
        event.stop()
        self._close()

    def _close(self) -> None:
        left = self.editing
        self.editing = ""
        self.remove_class("-editing")
        self.set_focus(self.query_one(MessageList))
        self.choose(left)

    def save(self) -> None:
        """Put the words on the record."""
        room, message = self.room, self._edited()
        if room is not None and message is not None:
            background(self, self._save, room, message)

    async def _save(self, room: Room, message: Message) -> None:
        editor = self.editor
        subject, body = editor.subject.text, editor.words.text
        if message.digest != self._base:
            self._base = message.digest
            self.say("NOT SAVED: somebody changed it meanwhile. F8 again saves yours over that.", "high")
            return
        if editor.text == self._recorded:
            room.drafts.clear(MESSAGE + message.id)
            self._close()
            return
        work = self.known.messenger(room).edit(message, subject=subject, body=body)
        if not await self.attempt(work, "saved; what was approved before is not approved any more"):
            return
        # What was typed while it was being saved stays a draft.
        if (editor.subject.text, editor.words.text) == (subject, body):
            room.drafts.clear(MESSAGE + message.id)
            self._close()
        else:
            self._base, self._recorded = (
                room.incident.messages.drafted[message.id].digest,
                f"{subject}\n{body}",
            )

    def back(self) -> None:
        """Leave the words, then the screen."""
        if self.editing:
            self._close()
        else:
            super().back()

    def on_box_cut(self, event: Box.Cut) -> None:
        """Say how much of a paste was kept."""
        event.stop()
        self.say(f"The paste was cut: {event.kept:,} of {event.of:,} characters kept.", "high")
