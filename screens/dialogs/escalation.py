"""Who must be told of the incident: who, why, and by when; that somebody was told is one key and how."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from console.refusal import Refused
from console.routing import Escalation, Limit, escalations, limits, minutes, people
from screens.dialogs.form import Choice, Form, Option, Text
from screens.display import fit
from screens.times import hm, stamp
from screens.widgets.rows import Cells, ListRows, Rows
from screens.widgets.sheet import Para, Sheet
from screens.widgets.strips import StripLines

if TYPE_CHECKING:
    from console.incident import Incident
    from console.room import Room

HOW = (
    Option("c", "called", "called"),
    Option("p", "paged", "paged, and they answered"),
    Option("m", "in the channel", "in the channel or by mail, and they answered"),
    Option("i", "in person", "in person"),
)
EVERY = 5.0
"""Seconds between looks at what others did and how long somebody waits."""


@dataclass(frozen=True, slots=True)
class ToldRow:
    """Somebody who must be told, as one line. `people`: who they are by name, as far as that is known."""

    id: str
    mark: str
    title: str
    people: tuple[str, ...]
    standing: str
    tone: str
    each: Escalation | Limit


def told_rows(state: Incident, contacts: Mapping[str, tuple[str, ...]], now: int) -> list[ToldRow]:
    """Return everybody who must be told at `now` (ns UTC): who is to be woken first, they say what else applies."""
    rows = []
    for each in escalations(state):
        known = people(each.who, state, contacts)
        waits = f"{'WAKE NOW, ' if each.page else ''}waits {minutes(now - each.since)}"
        mark, standing, tone = _standing(each, waits, "high" if each.page else "")
        rows.append(ToldRow(each.who, mark, each.title, known, standing, tone, each))
    woken = sum(isinstance(row.each, Escalation) and row.each.page for row in rows)
    rows[woken:woken] = [_limit(each, now) for each in limits(state)]
    return sorted(rows, key=lambda row: row.mark != "[ ]")


def _limit(each: Limit, now: int) -> ToldRow:
    left = None if each.due is None else each.due - now
    waits = (
        "WITHOUT DELAY"
        if left is None
        else f"{minutes(left)} left"
        if left >= 0
        else f"LATE by {minutes(-left)}"
    )
    mark, standing, tone = _standing(each, waits, "crit" if left is None or left < 0 else "high")
    title = f"{each.clock.tell}: {each.clock.regime} {each.clock.article}"
    return ToldRow(each.clock.id, mark, title, (), standing, tone, each)


def _standing(each: Escalation | Limit, waits: str, tone: str) -> tuple[str, str, str]:
    if each.told is not None:
        who = each.told.body.person or each.told.body.how
        return "[x]", f"{hm(each.told.at)}Z {who}, by {each.told.by}", "quiet"
    if each.waived is not None:
        return "[-]", f"need not be, {each.waived.by}", "quiet"
    return "[ ]", waits, tone


class ToldLines(ListRows[ToldRow]):
    """Everybody who must be told."""

    def key(self, row: ToldRow) -> Hashable:
        """Return the contact, the role or the time limit."""
        return row.id

    def empty(self) -> str:
        """Return what an empty list says."""
        return "Nobody: this incident keeps no routing table."

    def take(self, event: events.Key) -> bool:
        """Act with one key."""
        return isinstance(self.screen, Escalations) and self.screen.take(event)

    def paint(self, row: ToldRow, width: int) -> Cells:
        """Return the line of one."""
        right = min(36, width // 2 - 4)
        named = f"{row.title} ({', '.join(row.people)})" if row.people else row.title
        return [
            (f"{row.mark} ", row.tone),
            (fit(named, width - right - 6) + " ", "quiet" if row.mark != "[ ]" else ""),
            (fit(row.standing, right, right=True) + " ", row.tone),
        ]


class Escalations(ModalScreen[None]):
    """The list.

    Args:
        room: the incident.
        contacts: who a contact is by name, as the configuration has it.
        say: says what was put on the record.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "leave", "Back", show=False)]
    DEFAULT_CSS = """
    Escalations { align: center middle; background: $background 60%;
        #told { width: 110; max-width: 100%; height: auto; max-height: 100%; background: $panel; border: heavy $edge-focus;
            border-title-style: bold; }
        Rows { border: none; background: $panel; &:focus { border: none; } }
        #why { height: 7; border-top: solid $edge; padding: 0 1; }
    }
    """

    def __init__(
        self, room: Room, contacts: Mapping[str, tuple[str, ...]], say: Callable[[str, str], None]
    ) -> None:
        super().__init__()
        self._room, self._contacts, self._say = room, contacts, say
        self._order: list[str] = []

    def compose(self) -> ComposeResult:
        """The list, why the selected one must be told, the keys."""
        with Vertical(id="told"):
            yield ToldLines(id="told-lines")
            yield Sheet(id="why")
            yield StripLines(id="told-keys")

    def on_mount(self) -> None:
        """Begin with who waits longest."""
        self.query_one("#why", Sheet).can_focus = False
        keys = [("t told", "strong", 0), ("w need not be", "", 1), ("Esc back", "quiet", 0)]
        if self._room.read_only:
            keys = keys[2:]
        self.query_one("#told-keys", StripLines).show((keys, []))
        self._show()
        self.set_focus(self.query_one(ToldLines))
        self.set_interval(EVERY, self._show)

    def _show(self) -> None:
        state = self._room.incident
        rows = self._in_place(told_rows(state, self._contacts, self._room.clock.now()))
        lines, box = self.query_one(ToldLines), self.query_one("#told")
        waiting = sum(row.mark == "[ ]" for row in rows)
        leads = "SECURITY LEADS, for responders only: " if state.triage.led is not None else ""
        box.border_title = Content(f"Who must be told  {leads}{waiting} of {len(rows)} still to tell")
        if rows != lines.all_rows:
            lines.styles.height = max(min(len(rows), self.app.size.height - 10), 1)
            lines.show(rows)
        self._look()

    def _in_place(self, rows: list[ToldRow]) -> list[ToldRow]:
        """Return `rows` where they stood before: whoever was told does not move away under the cursor."""
        self._order += [row.id for row in rows if row.id not in self._order]
        return sorted(rows, key=lambda row: self._order.index(row.id))

    def on_resize(self) -> None:
        """Fit again."""
        rows = self.query_one(ToldLines).count
        self.query_one(ToldLines).styles.height = max(min(rows, self.app.size.height - 10), 1)

    def on_rows_moved(self, event: Rows.Moved) -> None:
        """Say why."""
        event.stop()
        if event.rows.id == "told-lines":
            self._look()

    def _look(self) -> None:
        row = self.query_one(ToldLines).selected
        self.query_one("#why", Sheet).read([] if row is None else list(_why(row, self._room.incident)))

    def take(self, event: events.Key) -> bool:
        """Told, or need not be."""
        row = self.query_one(ToldLines).selected
        if row is None or self._room.read_only:
            return False
        if event.key in ("t", "space", "enter"):
            self._tell(row)
            return True
        if event.key == "w":
            self._waive(row)
            return True
        return False

    def on_rows_opened(self, event: Rows.Opened) -> None:
        """A second click tells."""
        event.stop()
        if (row := self.query_one(ToldLines).selected) is not None and not self._room.read_only:
            self._tell(row)

    def _tell(self, row: ToldRow) -> None:
        async def submit(answers: Mapping[str, str]) -> None:
            await self._room.tell(row.id, answers["how"], answers["person"], answers["note"])
            self._say(f"{row.id} was told", "ok")
            self._next()

        fields = (
            Choice("how", "How: one key", HOW, "", "Say how they were told: one key."),
            Text("person", "Who it was, by name", row.people[0] if row.people else "", limit=128),
            Text("note", "Note (may stay empty)"),
        )
        self._ask(Form(f"Told: {row.id}", fields, submit, about=row.title, verb="told"))

    def _waive(self, row: ToldRow) -> None:
        async def submit(answers: Mapping[str, str]) -> None:
            if row.id in self._room.incident.triage.told:
                raise Refused(f"{row.id} was told already.", "Nothing is to be waived.")
            await self._room.waive_telling(row.id, answers["reason"])
            self._say(f"{row.id} need not be told", "ok")
            self._next()

        reason = Text(
            "reason", "Why they need not be told", "", "Leaving somebody out needs a reason, in one line."
        )
        self._ask(
            Form(f"Need not be told: {row.id}", (reason,), submit, about=row.title, verb="leave them out")
        )

    def _next(self) -> None:
        """Go to the next one who waits, if anybody does."""
        self._show()
        lines = self.query_one(ToldLines)
        rows, here = lines.all_rows, lines.cursor
        waiting = [index for index, row in enumerate(rows) if row.mark == "[ ]"]
        if waiting:
            lines.go(next((index for index in waiting if index > here), waiting[0]))

    def _ask(self, form: Form) -> None:
        self.app.push_screen(form, lambda _: self._show())

    def action_leave(self) -> None:
        """Go back."""
        if self.is_current:
            self.dismiss(None)


def _why(row: ToldRow, state: Incident) -> list[Para]:
    each = row.each
    paras = [Para(row.title, "who", "strong")]
    if row.people:
        paras.append(Para(", ".join(row.people), "by name"))
    if isinstance(each, Escalation):
        paras += [Para(reason, "because") for reason in each.reasons]
        paras.append(Para(f"{stamp(each.since)}", "since"))
        if row.id == "security" and state.triage.led is not None and not state.roles.get("security"):
            paras.append(
                Para("Security leads, and nobody is security lead yet: R gives the role.", "", "high")
            )
    else:
        due = "without delay" if each.due is None else stamp(each.due)
        paras.append(Para(due, "by", "strong"))
        paras.append(Para(f"{each.clock.starts}; known since {stamp(each.since)}", "from"))
        paras.append(Para("Legal and privacy say whether it applies.", "", "quiet"))
    if each.told is not None:
        said = each.told.body
        note = f"; {said.reason}" if said.reason else ""
        who = f"{said.person} " if said.person else ""
        paras.append(Para(f"{who}{said.how}, by {each.told.by} {stamp(each.told.at)}{note}", "told", "ok"))
    elif each.waived is not None:
        paras.append(Para(f"{each.waived.by} {stamp(each.waived.at)}: {each.waived.reason}", "need not be"))
    return paras
