"""The list of the messages screen: every message and where it went, what can be drafted, and who sends."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message as Said
from textual.widgets import Label, TextArea

from screens.display import fit
from screens.times import hm
from screens.widgets.rows import Cells, SectionRows
from screens.widgets.sheet import Para, Sheet
from screens.widgets.writer import Box

if TYPE_CHECKING:
    from console.comms.check import Finding
    from console.comms.state import Delivery, Message
    from console.config import Sender
    from console.room import Room
    from playbooks.guidance import Template
    from screens.correspondence import Correspondence

Kind = Literal["heading", "message", "delivery", "template", "sender", "none"]
WIDE = 11
"""Cells of the word that says how a message stands."""
ON_ITS_WAY: dict[str, tuple[str, str]] = {
    "unknown": ("UNKNOWN", "crit"),
    "trying": ("SENDING", "info"),
    "queued": ("SENDING", "info"),
    "retry": ("TRIES AGAIN", "high"),
    "refused": ("FAILED", "crit"),
    "sent": ("SENT", "ok"),
    "cancelled": ("taken back", "quiet"),
}
"""How a message stands that was put on its way, and its tone."""


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One line. `id`: of the message or template; `sender`: of a delivery, or the sender that the line is about."""

    kind: Kind
    id: str
    what: str = ""
    name: str = ""
    right: str = ""
    tone: str = ""
    sender: str = ""


def word(message: Message, left: Sequence[Finding]) -> tuple[str, str]:
    """Return how far a message is, in a word, and its tone. `left`: the findings that nobody waived."""
    from console.comms.check import INSIDE

    standing = message.standing
    if standing in ON_ITS_WAY:
        return ON_ITS_WAY[standing]
    if left:
        return f"{len(left)} TO MEND", "high"
    if standing == "approved":
        return "APPROVED", "ok"
    return ("READY", "ok") if message.audience in INSIDE else ("TO APPROVE", "high")


def message_rows(
    room: Room, known: Correspondence, senders: Sequence[Sender], unsaved: frozenset[str]
) -> list[MessageRow]:
    """Return the list: messages, the newest first, each with where it goes; then templates and senders.

    `unsaved`: ids of messages whose words somebody typed here and did not save.
    """
    drafted = list(room.incident.messages.drafted.values())
    rows = [MessageRow("heading", "MESSAGES", name=f"MESSAGES  {len(drafted)}")]
    if not drafted:
        rows.append(
            MessageRow("none", "MESSAGES", name="No message yet: N drafts one, or Enter on a template.")
        )
    for message in reversed(drafted):
        rows += _message(room, known, message, message.id in unsaved)
    rows.append(MessageRow("heading", "TEMPLATES", name="TEMPLATES"))
    if known.templates is None:
        rows.append(MessageRow("none", "TEMPLATES", name="being read…"))
    rows += [_template(each) for each in known.templates or ()]
    rows.append(MessageRow("heading", "SENDERS", name=f"SENDERS  {len(senders)}"))
    if not senders:
        rows.append(MessageRow("none", "SENDERS", name="None is configured: nothing leaves from here."))
    rows += [_sender(each) for each in senders]
    return rows


def _message(room: Room, known: Correspondence, message: Message, unsaved: bool) -> Iterator[MessageRow]:
    left = known.standing(room, message)
    what, tone = word(message, left)
    name = message.title
    if unsaved:
        name = f"EDIT NOT SAVED  {name}"
    elif left and not message.deliveries and message.cancelled is None:
        name = f"{name}: {left[0].what}"
    yield MessageRow("message", message.id, what, name, f"{message.audience} {hm(message.at)}", tone)
    for delivery in message.deliveries.values():
        yield _delivery(message, delivery)


def _delivery(message: Message, delivery: Delivery) -> MessageRow:
    what, tone = ON_ITS_WAY[delivery.state]
    why = f": {delivery.reason}" if delivery.reason else ""
    at = f"again {hm(delivery.again)}" if delivery.state == "retry" and delivery.again else ""
    at = at or hm(delivery.done_at or delivery.at)
    return MessageRow(
        "delivery", message.id, what, f"→ {delivery.sender}{why}", at, tone, sender=delivery.sender
    )


def _template(template: Template) -> MessageRow:
    return MessageRow("template", template.id, "", template.title, template.audience)


def _sender(sender: Sender) -> MessageRow:
    on = sender.publish or sender.type == "file"
    state, tone = ("on", "ok") if on else ("OFF", "high")
    return MessageRow("sender", sender.name, state, sender.name, sender.type, tone, sender=sender.name)


class MessageList(SectionRows[MessageRow]):
    """Messages, templates and senders."""

    def key(self, row: MessageRow) -> Hashable:
        """Return what the row is about."""
        return row.kind, row.id, row.sender

    def selectable(self, row: MessageRow | None) -> bool:
        """Return whether the cursor may stand there: not on a heading."""
        return row is not None and row.kind not in ("heading", "none")

    def empty(self) -> str:
        """Return what an empty pane says."""
        return "opening the record…"

    def update(self, rows: list[MessageRow]) -> None:
        """Show `rows`; what is the same is not drawn again."""
        if rows != self._rows:
            self.show(rows)

    def choose(self, message: str) -> bool:
        """Put the cursor on a message. Returns whether it is there."""
        for place, row in enumerate(self._rows):
            if (row.kind, row.id) == ("message", message):
                self.go(place)
                return True
        return False

    def heads(self, row: MessageRow) -> bool:
        """Return whether a section begins with `row`."""
        return row.kind == "heading"

    def paint(self, row: MessageRow, width: int) -> Cells:
        """Return the line of one row."""
        if row.kind in ("heading", "none"):
            return [(fit(row.name, width), "strong" if row.kind == "heading" else "quiet")]
        right = min(len(row.right), 20 if width >= 60 else 12)
        indent = "  " if row.kind == "delivery" else ""
        what = WIDE if row.what or row.kind != "template" else 0
        name = max(width - what - right - 2 * bool(what) - 1, 8)
        cells = [(fit(row.what, what) + "  ", row.tone)] if what else []
        return [
            *cells,
            (fit(indent + row.name, name) + " ", "quiet" if row.kind == "delivery" else ""),
            (fit(row.right, right, right=True), "quiet"),
        ]


class Words(Box):
    """The text of a message: Enter is a line of it, unlike in the write bar."""

    async def _on_key(self, event: events.Key) -> None:
        if event.key != "enter":
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()
        self.insert("\n")


class MessageEditor(Vertical):
    """Subject and text of one message, and under them what is in its way as it stands there."""

    DEFAULT_CSS = """
    MessageEditor { display: none; height: 1fr; width: 100%; border: heavy $edge-focus; padding: 0 1;
        border-title-style: bold; border-subtitle-color: $quiet;
        .label { color: $quiet; width: 100%; }
        #subject { height: auto; max-height: 3; }
        #words { height: 2fr; }
        #findings { height: 1fr; min-height: 3; border: none; border-top: solid $edge; }
    }
    """

    _title = ""

    class Typed(Said):
        """The words changed."""

    class Left(Said):
        """The person leaves; what is typed stays a draft."""

    def compose(self) -> ComposeResult:
        """Subject, text, findings."""
        from console.comms.check import REQUEST
        from console.comms.messenger import SUBJECT

        yield Label(Content("Subject"), classes="label")
        yield Box(id="subject", lines=False, limit=SUBJECT)
        yield Label(Content("Text"), classes="label")
        yield Words(id="words", limit=REQUEST)
        yield Sheet(id="findings")

    def on_mount(self) -> None:
        """The findings are read, not entered."""
        self.query_one("#findings", Sheet).can_focus = False

    @property
    def subject(self) -> Box:
        """The box of the subject."""
        return self.query_one("#subject", Box)

    @property
    def words(self) -> Words:
        """The box of the text."""
        return self.query_one("#words", Words)

    @property
    def text(self) -> str:
        """Both, the subject as the first line."""
        return f"{self.subject.text}\n{self.words.text}"

    def fill(self, title: str, subject: str, body: str) -> None:
        """Put the words of a message into the boxes; `title` in words of our own."""
        self._title = title
        self.border_title = Content(title)
        self.subject.fill(subject, 0)
        self.words.fill(body, 0)

    def find(self, paragraphs: list[Para]) -> None:
        """Show what is in the way, and how much on the border: a low screen has room for no more."""
        self.query_one("#findings", Sheet).read(paragraphs)
        count = sum(para.tone == "high" for para in paragraphs)
        self.border_title = Content(
            f"{self._title}  {count} in the way" if count else f"{self._title}  READY"
        )

    def note(self, text: str) -> None:
        """Say on the border how safe the words are."""
        self.border_subtitle = Content(text)

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Hand the words on."""
        event.stop()
        self.post_message(self.Typed())

    def on_box_finished(self, event: Box.Finished) -> None:
        """Enter in the subject goes to the text."""
        event.stop()
        self.screen.set_focus(self.words)

    def on_box_left(self, event: Box.Left) -> None:
        """Esc leaves."""
        event.stop()
        self.post_message(self.Left())
