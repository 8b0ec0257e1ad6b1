"""Readiness: every question with its answer, each answered with one key."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import ModalScreen

from console.config import load
from console.readiness.standing import UNOWNED, Row, answer, standing, summary
from data.clock import iso
from screens.background import background
from screens.console_screen import refusal
from screens.dialogs.form import Choice, Form, Option, Text
from screens.display import content, fit
from screens.widgets.rows import Cells, ListRows, Rows
from screens.widgets.sheet import Para, Sheet
from screens.widgets.strips import StripLines

if TYPE_CHECKING:
    from console.desk import Desk

KEYS = {"y": "yes", "n": "no", "u": "unknown"}
TONES = {"yes": "ok", "no": "crit", "unknown": "high"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the list: a question, or the heading of its review."""

    row: Row | None
    heading: str = ""


class Questions(ListRows[Line]):
    """The questions under the reviews that ask them. Left and right go from review to review."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "review(-1)", "Previous review", show=False, priority=True),
        Binding("right", "review(1)", "Next review", show=False, priority=True),
    ]
    loaded = False

    def key(self, row: Line) -> Hashable:
        """Return the id of the question."""
        return row.row.id if row.row is not None else row.heading

    def selectable(self, row: Line | None) -> bool:
        """Return whether the cursor may stand there: not on a heading."""
        return row is not None and row.row is not None

    def empty(self) -> str:
        """Return what an empty list says."""
        return "No review asks anything." if self.loaded else "looking…"

    def action_review(self, by: int) -> None:
        """Go to the first question of the next review (1), or of this or the previous one (-1)."""
        firsts = [place + 1 for place, line in enumerate(self.all_rows) if line.row is None]
        beyond = [place for place in firsts if (place > self.cursor if by > 0 else place < self.cursor)]
        if beyond:
            self.go(beyond[0] if by > 0 else beyond[-1])

    def paint(self, row: Line, width: int) -> Cells:
        """Return the line of one question."""
        asked = row.row
        if asked is None:
            return [(fit(row.heading, width), "strong")]
        owner = (
            "owner NOBODY" if asked.unowned else f"owner {asked.owner}" if asked.gap and asked.owner else ""
        )
        right = min(len(owner), 20)
        word = asked.answer.upper() if asked.answer == "no" else asked.answer
        text = max(width - 9 - right - 1, 8)
        return [
            (fit(word, 8) + " ", TONES[asked.answer]),
            (fit(asked.text, text) + " ", "" if asked.gap else "quiet"),
            (fit(owner, right), "crit" if asked.unowned else "quiet"),
        ]

    def take(self, event: events.Key) -> bool:
        """Answer with one key, and open with Enter."""
        screen = self.screen
        if not isinstance(screen, ReadinessScreen) or self.selected is None:
            return False
        if event.character in KEYS:
            screen.answer(KEYS[event.character])
            return True
        if event.key == "enter":
            screen.ask("")
            return True
        return False


class ReadinessScreen(ModalScreen[None]):
    """All questions, and what is known of the one under the cursor.

    Args:
        desk: whose home it is, and who answers.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "leave", "Back", show=False)]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012 - declared so by the toolkit
    DEFAULT_CSS = """
    ReadinessScreen { layout: vertical; background: $background;
        #readiness { height: 1fr; layout: vertical; }
        #questions { height: 1fr; width: 100%; }
        #about { height: 9; width: 100%; }
        #readiness-says { background: $panel; }
        #readiness-keys { background: $panel; color: $quiet; }
    }
    ReadinessScreen.-wide {
        #readiness { layout: horizontal; }
        #questions { width: 3fr; }
        #about { width: 2fr; height: 100%; }
    }
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._turn = asyncio.Lock()

    def compose(self) -> ComposeResult:
        """The list, the detail of what is selected, a message, the keys."""
        with Container(id="readiness"):
            yield Questions(id="questions")
            yield Sheet(id="about")
        yield StripLines(id="readiness-says")
        yield StripLines(id="readiness-keys")

    def on_mount(self) -> None:
        """Draw the frame; the answers follow."""
        about = self.query_one("#about", Sheet)
        about.can_focus = False
        about.title("Question")
        rows = self.query_one(Questions)
        rows.title("9 Readiness", "← → review")
        self.set_focus(rows)
        keys = (("y", "yes"), ("n", "no"), ("u", "unknown"), ("Enter", "note and owner"), ("Esc", "back"))
        self.query_one("#readiness-keys", StripLines).show(
            ([piece for key, word in keys for piece in ((key, "strong", 0), (word, "quiet", 0))], [])
        )
        background(self, self._look)

    async def _look(self) -> None:
        """Read how everything stands."""
        from playbooks.load import PlaybookTrouble

        desk = self._desk
        try:
            config = await asyncio.to_thread(load)
            found = await standing(config, desk.home, desk.clock.now())
        except PlaybookTrouble as error:
            self.say(f"The runbook cannot be used. {error}", "crit")
            return
        lines: list[Line] = []
        for row in found:
            if not lines or lines[-1].row is None or lines[-1].row.review != row.review:
                lines.append(Line(None, row.review))
            lines.append(Line(row))
        rows = self.query_one(Questions)
        rows.loaded = True
        rows.title(f"9 Readiness  {summary(found)}", "← → review")
        rows.show(lines)

    def say(self, text: str, tone: str = "") -> None:
        """Show a message above the keys."""
        self.query_one("#readiness-says", StripLines).show(([(content(text, 400).plain, tone, 0)], []))

    def on_rows_moved(self, event: Rows.Moved) -> None:
        """Follow the selection."""
        event.stop()
        if event.rows.id != "questions":
            return
        line = self.query_one(Questions).selected
        self.query_one("#about", Sheet).read(_about(line.row) if line is not None and line.row else [])

    def on_rows_opened(self, event: Rows.Opened) -> None:
        """Open what was clicked."""
        event.stop()
        if event.rows.id == "questions":
            self.ask("")

    def answer(self, word: str) -> None:
        """Answer the question under the cursor and go to the next; a no asks who closes the gap."""
        row = self._row
        if row is None:
            return
        if word == "no" and not row.owner:
            self.ask(word)
            return
        background(self, self._give, row, word, {})
        self.query_one(Questions).action_step(1)

    def ask(self, word: str) -> None:
        """Ask for the answer with its note and owner."""
        row = self._row
        if row is None:
            return
        note = row.given.body.note if row.given is not None and not row.stale else ""
        options = tuple(Option(key, value, value) for key, value in KEYS.items())
        fields = (
            Choice("word", row.text, options, word or row.answer),
            Text("owner", "Who closes the gap? Empty: nobody", row.owner, limit=128),
            Text("note", "What does the answer rest on?", note, limit=16_000),
        )

        async def submit(answers: Mapping[str, str]) -> None:
            await self._put(row, answers["word"], answers)

        form = Form("Readiness", fields, submit, lines=(f"{row.because}.",), verb="record it")
        self.app.push_screen(form)

    @property
    def _row(self) -> Row | None:
        line = self.query_one(Questions).selected
        return line.row if line is not None else None

    async def _give(self, row: Row, word: str, more: Mapping[str, str]) -> None:
        try:
            await self._put(row, word, more)
        except Exception as error:
            self.say(*refusal(error))

    async def _put(self, row: Row, word: str, more: Mapping[str, str]) -> None:
        from data.case import reading_only

        desk = self._desk
        if desk.read_only:
            raise reading_only()
        async with self._turn:
            note, owner = more.get("note", ""), more.get("owner", "")
            await answer(desk.home, row, word, actor=desk.actor, role=desk.role, note=note, owner=owner)
            await self._look()
        self.say(f"{row.id}: {word}", "ok")

    def action_leave(self) -> None:
        """Go back."""
        self.dismiss(None)


def _about(row: Row) -> list[Para]:
    """What is known of a question, to be read."""
    word = row.answer.upper() if row.answer == "no" else row.answer
    paras = [Para(row.text, "", "strong"), Para(f"{word}: {row.because}", "answer", TONES[row.answer])]
    if row.gap:
        paras.append(Para(row.remedy, "what to do"))
        paras.append(Para(row.owner or "nobody", "owner", "crit" if row.unowned else ""))
    if row.unowned:
        paras.append(Para(UNOWNED, "", "crit"))
    if row.due is not None and not row.stale:
        paras.append(Para(f"until {iso(row.due, 0)[:10]}", "holds", "quiet"))
    paras.append(Para(row.id, "name", "quiet"))
    return paras
