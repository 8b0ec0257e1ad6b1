"""One form: questions answered with one key each, what the rules propose meanwhile, and what a person decides.

What is answered is a draft at once, so that a form which is left half filled, by Esc or by the end of the process,
goes on where it was. Nothing is on the record before the last row says so.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import TextArea

from console import forms
from screens.background import background
from screens.console_screen import FIELD_BY_FIELD, refusal
from screens.display import content, fit, many
from screens.keyboard import DialogReady
from screens.room import FORMS
from screens.times import hms
from screens.widgets.rows import Cells, ListRows, Rows
from screens.widgets.sheet import Para, Sheet
from screens.widgets.strips import Piece, StripLines
from screens.widgets.writer import Box

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.room import Room
    from data.drafts import Draft
    from playbooks.guidance import Form, Question

UNKNOWN = "unknown"
YES_NO = {"y": "yes", "n": "no"}
LONGEST = 2000
KEPT_AFTER = 0.1
"""Seconds after a key until it is looked up whether its draft is on the disk."""
BORDERS = """
    align: center middle; background: $background 60%;
    #asks { width: 110; max-width: 100%; background: $panel; border: heavy $edge-focus; padding: 0;
        border-title-style: bold; border-subtitle-color: $quiet; }
    Rows { border: none; background: $panel; &:focus { border: none; } }
"""


@dataclass(slots=True)
class Answers:
    """What somebody answered and has not put on the record yet. `begun`: ns UTC, 0 = nothing."""

    given: dict[str, str] = field(default_factory=dict)
    decided: str = ""
    reason: str = ""
    begun: int = 0

    def __bool__(self) -> bool:
        return bool(self.given or self.decided or self.reason)

    @property
    def text(self) -> str:
        """The same as the text of a draft."""
        return json.dumps({"given": self.given, "decided": self.decided, "reason": self.reason})

    @classmethod
    def of(cls, draft: Draft, document: Form) -> Answers:
        """Return what a draft holds, as far as the form still asks for it; a broken one holds nothing."""
        asked = {question.id: question for question in document.questions}
        try:
            kept = json.loads(draft.text)
            given = {name: str(text)[:LONGEST] for name, text in kept["given"].items() if name in asked}
            decided, reason = str(kept["decided"])[:LONGEST], str(kept["reason"])[:LONGEST]
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls()
        fits = {name: text for name, text in given.items() if asked[name].allows(text)}
        return cls(fits, decided, reason, draft.started_at)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A form, and what of it is half filled."""

    document: Form
    answers: Answers


@dataclass(frozen=True, slots=True)
class Row:
    """One line: a question, or what comes after them.

    Attributes:
        id: the question's; empty for what is no question.
        kind: how it is answered, or `decision`, `reason`, `record`.
        tone: of the answer.
    """

    id: str
    kind: str
    text: str
    answer: str
    tone: str


class QuestionLines(ListRows[Row]):
    """The questions, the decision, and the row that puts them on the record."""

    def key(self, row: Row) -> Hashable:
        """Return what is asked."""
        return (row.kind, row.id)

    def take(self, event: events.Key) -> bool:
        """Answer with one key."""
        return isinstance(self.screen, Questions) and self.screen.take(event)

    def paint(self, row: Row, width: int) -> Cells:
        """Return the line of one question."""
        if row.kind == "record":
            return [(fit(row.text, width), row.tone)]
        right = {"yes-no": 8, "decision": width - 20}.get(row.kind, min(36, width // 3))
        mark = "[?]" if row.answer == UNKNOWN else "[x]" if row.answer else "[ ]"
        return [
            (f"{mark} ", row.tone),
            (fit(row.text, width - right - 6) + " ", ""),
            (fit(row.answer or "-", right, right=True) + " ", row.tone),
        ]


class Questions(ModalScreen[None]):
    """One form.

    Args:
        room: the incident.
        waiting: the form, and what is half filled of it.
        say: says what was put on the record, once it is.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave", show=False),
        *FIELD_BY_FIELD,
    ]
    DEFAULT_CSS = (
        "Questions { "
        + BORDERS
        + """
        #asks { height: auto; max-height: 100%; }
        QuestionLines { height: auto; }
        #asked, #proposal { padding: 0 1; border-top: solid $edge; }
        Box { background: $background; max-height: 3; padding: 0 1; &:focus { background: $background; } }
    }"""
    )

    def __init__(self, room: Room, waiting: Waiting, say: Callable[[str, str], None]) -> None:
        super().__init__()
        self._room, self._say_to = room, say
        self._document, self._answers = waiting.document, waiting.answers
        self._decisions = forms.decisions(self._document, room.incident.profile)
        self._filled = forms.fill(self._document, room.incident, self._answers.given)
        self._shown: tuple[str, str] = ("", "")
        self._busy = False

    def compose(self) -> ComposeResult:
        """The questions, the one in use in full with its answers, what is proposed, the keys."""
        with Vertical(id="asks") as box:
            box.border_title = content(self._document.title, 60)
            yield QuestionLines(id="questions")
            yield Sheet(id="asked")
            yield Box(id="answer", limit=LONGEST, lines=False)
            yield Sheet(id="proposal")
            yield StripLines(id="asks-keys")

    def on_mount(self) -> None:
        """Begin at the first question that has no answer."""
        for name in ("#asked", "#proposal"):
            self.query_one(name, Sheet).can_focus = False
        lines = self.query_one(QuestionLines)
        self._fit()
        self._show()
        asked = len(self._document.questions)
        lines.go(next((i for i, row in enumerate(lines.all_rows[:asked]) if not row.answer), asked))
        self.set_focus(lines)
        self._look()
        self._show_kept()

    def on_resize(self) -> None:
        """Give the questions what the rest leaves."""
        self._fit()

    def _fit(self) -> None:
        height = self.app.size.height
        asked, proposed = (6, 5) if height < 32 else (8, 8)
        self.query_one("#asked").styles.height = asked
        self.query_one("#proposal").styles.height = proposed if self._document.rules else 0
        # Border, the box for words and the keys take the rest.
        room = height - asked - (proposed if self._document.rules else 0) - 4
        lines = self.query_one(QuestionLines)
        lines.styles.height = max(min(len(self._rows()), room), 3)

    # -- what is shown -------------------------------------------------------------------------------------

    def _rows(self) -> list[Row]:
        given, filled = self._answers.given, self._filled
        rows = []
        for question in self._document.questions:
            answer = filled.answers.get(question.id, "")
            tone = (
                "quiet"
                if not answer
                else "held"
                if answer == UNKNOWN
                else "strong"
                if question.id in given
                else "info"
            )
            rows.append(Row(question.id, question.answer, question.text, answer, tone))
        if self._decisions:
            decided = self._answers.decided
            named = " ".join(filter(None, (decided, self._decisions.get(decided, ""))))
            rows.append(Row("", "decision", "YOUR DECISION", named, "strong" if decided else "quiet"))
            why = self._answers.reason
            rows.append(Row("", "reason", "Why, if another one", why, "strong" if why else "quiet"))
        rows.append(Row("", "record", self._what(), "", "strong" if self._answers else "quiet"))
        return rows

    def _what(self) -> str:
        answers = self._answers
        if not answers:
            return "Nothing to put on the record yet"
        parts = [many(len(answers.given), "answer")] if answers.given else []
        parts += [f"the decision {answers.decided}"] if answers.decided else []
        undecided = "" if answers.decided or not self._decisions else "; nobody decides yet"
        return f"ENTER HERE: put {' and '.join(parts) or 'it'} on the record{undecided}"

    def _show(self) -> None:
        self.query_one(QuestionLines).show(self._rows())
        done = len(self._document.questions) - len(self._filled.open)
        asks = self.query_one("#asks")
        asks.border_title = content(f"{self._document.title}  {done}/{len(self._document.questions)}", 70)
        self.query_one("#proposal", Sheet).read(list(self._proposal()))

    def _proposal(self) -> Iterator[Para]:
        proposal = self._filled.proposal
        if proposal is None:
            if self._document.rules:
                yield Para("nothing: no rule holds", "PROPOSES", "quiet")
            return
        title = self._decisions.get(proposal.proposes, "")
        brings = f", brings {' and '.join(proposal.also)}" if proposal.also else ""
        proposes = " ".join(filter(None, (proposal.proposes, title))) + brings
        yield Para(proposes, "PROPOSES", "crit" if proposal.also else "strong")
        yield Para(f"{proposal.reason} (rule {proposal.rule})", "because")
        if proposal.counted_as_no:
            yield Para(f"{', '.join(proposal.counted_as_no)}: not known", "taken as no", "held")
        if self._document.id != forms.SEVERITY:  # a second severity would say nothing
            for rule in proposal.further:
                yield Para(f"{rule.proposes}: {rule.reason}", "then maybe", "quiet")

    @property
    def _row(self) -> Row | None:
        return self.query_one(QuestionLines).selected

    def _question(self, row: Row) -> Question | None:
        return next((each for each in self._document.questions if each.id == row.id), None)

    def _choices(self, row: Row) -> Sequence[str]:
        if row.kind == "decision":
            return list(self._decisions)
        question = self._question(row)
        return question.choices if question is not None else ()

    def _look(self) -> None:
        """Show the question under the cursor in full, and its keys."""
        row = self._row
        if row is None:
            return
        question = self._question(row)
        paras = [Para(row.text, "", "strong")]
        if row.kind == "decision":
            paras = [Para("What do you decide? The form only proposes.", "", "strong")]
        if question is not None and question.help:
            paras.append(Para(question.help, "", "quiet"))
        choices = [
            f"{place} {' '.join(filter(None, (each, title))) if each != str(place) else title or each}"
            for place, each in enumerate(self._choices(row), 1)
            for title in [self._decisions.get(each, "") if row.kind == "decision" else ""]
        ]
        if choices:
            paras.append(Para("   ".join(choices)))
        if question is not None and question.id in self._filled.derived:
            paras.append(Para(f"{row.answer}: {self._filled.derived[question.id]}", "the record", "info"))
        if question is not None and self._document.unanswerable and row.answer == UNKNOWN:
            paras.append(
                Para("becomes a finding: what nobody can answer should have been recorded", "", "held")
            )
        self.query_one("#asked", Sheet).read(paras)
        box = self.query_one(Box)
        words = row.kind in ("text", "number", "reason")
        box.display = words
        if words and (row.kind, row.id) != self._shown:
            answer = self._answers.reason if row.kind == "reason" else row.answer
            box.fill("" if answer == UNKNOWN else answer, 0)
        self._shown = (row.kind, row.id)
        self._keys(row)

    def _keys(self, row: Row) -> None:
        keys: dict[str, str] = {
            "yes-no": "y yes  n no  u unknown",
            "choice": f"1-{len(self._choices(row))} choose  u unknown",
            "decision": f"1-{len(self._choices(row))} decide  Space as proposed",
            "record": "Enter puts it on the record",
            "reason": "type it",
        }
        said = keys.get(row.kind, "type it  ? unknown")
        pieces: list[Piece] = [(said, "strong", 0)]
        if row.kind != "record":
            pieces += [("Enter next", "quiet", 2), ("End record", "quiet", 1)]
        pieces += [("Backspace clear", "quiet", 3), ("Esc leave, kept", "quiet", 0)]
        self.query_one("#asks-keys", StripLines).show((pieces, []))

    def _say(self, text: str, tone: str = "") -> None:
        self.query_one("#asks-keys", StripLines).show(([(content(text, 400).plain, tone, 0)], []))

    def on_rows_moved(self, event: Rows.Moved) -> None:
        """Show what is asked there."""
        event.stop()
        if event.rows.id == "questions":
            self._look()

    # -- answering -----------------------------------------------------------------------------------------

    def decides(self, event: events.Key) -> bool:
        """Return whether only then is it known whom the next keys are for."""
        row = self._row
        if isinstance(self.focused, Box):
            return event.key in ("enter", "escape")
        return event.key == "enter" and row is not None and row.kind == "record"

    def take(self, event: events.Key) -> bool:
        """Answer the question under the cursor. Returns whether the key was an answer."""
        row = self._row
        if row is None:
            return False
        if event.key == "enter":
            if row.kind == "record":
                self._submit()
            else:
                self._next()
            return True
        if event.key in ("backspace", "delete"):
            self._clear(row)
            return True
        if row.kind in ("text", "number", "reason"):
            return self._type(row, event)
        return self._pick(row, event.character or "")

    def _pick(self, row: Row, key: str) -> bool:
        choices = self._choices(row)
        if row.kind == "decision":
            proposal = self._filled.proposal
            if key == " " and proposal is not None:
                self._decide(proposal.proposes)
                return True
            if key.isdecimal() and 0 < int(key) <= len(choices):
                self._decide(choices[int(key) - 1])
                return True
            return False
        if row.kind == "record":
            return False
        answer = UNKNOWN if key in ("u", "?") else ""
        if row.kind == "yes-no":
            answer = answer or YES_NO.get(key, "")
        elif key.isascii() and key.isdigit() and 0 < int(key) <= len(choices):
            answer = choices[int(key) - 1]
        if answer:
            self._set(row, answer)
            self._next()
        return bool(answer)

    def _type(self, row: Row, event: events.Key) -> bool:
        """Begin to type, or say that nobody knows."""
        if event.character == "?" and row.kind != "reason" and not self.query_one(Box).text:
            self._set(row, UNKNOWN)
            self._next()
            return True
        if event.is_printable and event.character:
            box = self.query_one(Box)
            self.set_focus(box)
            box.insert(event.character)
            return True
        return False

    def on_paste(self, event: events.Paste) -> None:
        """What is pasted on a question that is answered in words is the answer."""
        event.stop()
        box = self.query_one(Box)
        if box.display:
            self.set_focus(box)
            box.post_message(events.Paste(event.text))
        else:
            self._say("Nothing was pasted: this is answered with one key.", "high")

    def _decide(self, decided: str) -> None:
        self._answers.decided = decided
        self._changed()
        proposal = self._filled.proposal
        # As proposed needs no reason: what is left is to put it on the record.
        self._next(2 if proposal is not None and proposal.proposes == decided else 1)

    def _set(self, row: Row, answer: str) -> None:
        """Take an answer; an empty one is none."""
        if row.kind == "reason":
            self._answers.reason = answer
        elif row.kind == "decision":
            self._answers.decided = answer
        elif answer:
            self._answers.given[row.id] = answer
        else:
            self._answers.given.pop(row.id, None)
        self._changed()

    def _clear(self, row: Row) -> None:
        self._set(row, "")
        self._shown = ("", "")
        self._look()

    def _changed(self) -> None:
        """Keep the draft, and see what the rules say now."""
        room, answers = self._room, self._answers
        box = FORMS + self._document.id
        if answers:
            answers.begun = answers.begun or room.clock.now()
            room.drafts.put(box, answers.text, answers.begun)
        else:
            room.drafts.clear(box)
        self._filled = forms.fill(self._document, room.incident, self._fitting())
        self._show()
        self.set_timer(KEPT_AFTER, self._show_kept)

    def _fitting(self) -> dict[str, str]:
        """The answers that are whole: a number that is being typed may not be one yet."""
        asked = {question.id: question for question in self._document.questions}
        return {name: text for name, text in self._answers.given.items() if asked[name].allows(text)}

    def _show_kept(self) -> None:
        drafts = self._room.drafts
        at = drafts.saved_at(FORMS + self._document.id)
        said = f"NOT KEPT: {drafts.trouble}" if drafts.trouble else f"kept as a draft {hms(at)}" if at else ""
        self.query_one("#asks").border_subtitle = content(said, 90)

    def _next(self, by: int = 1) -> None:
        lines = self.query_one(QuestionLines)
        lines.go(lines.cursor + by)
        self._look()

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """What is typed is the answer."""
        event.stop()
        row, text = self._row, event.text_area.text.strip()
        if row is None or row.kind not in ("text", "number", "reason") or (row.kind, row.id) != self._shown:
            return
        now = self._answers.reason if row.kind == "reason" else self._answers.given.get(row.id, "")
        known = "" if row.kind == "reason" else self._filled.answers.get(row.id, "")
        if text != now and not (not now and text == known) and not (not text and now == UNKNOWN):
            self._set(row, text)

    def on_box_finished(self, event: Box.Finished) -> None:
        """Enter in the box goes on with the next question."""
        event.stop()
        row = self._row
        question = self._question(row) if row is not None else None
        if question is not None and event.text.strip() and not question.allows(event.text.strip()):
            self._say("That is no answer to this: digits only.", "high")
        else:
            self.set_focus(self.query_one(QuestionLines))
            self._next()
        self.app.post_message(DialogReady())

    def on_box_left(self, event: Box.Left) -> None:
        """Esc in the box goes back to the questions; what is typed stays."""
        event.stop()
        self.set_focus(self.query_one(QuestionLines))
        self.app.post_message(DialogReady())

    def on_box_cut(self, event: Box.Cut) -> None:
        """Say how much of a paste was kept."""
        event.stop()
        self._say(f"The paste was cut: {event.kept:,} of {event.of:,} characters kept.", "high")

    def on_rows_opened(self, event: Rows.Opened) -> None:
        """A second click on the last row puts it on the record."""
        event.stop()
        if self._row is not None and self._row.kind == "record":
            self._submit()

    def action_leave(self) -> None:
        """Leave it as it is: what was answered is kept."""
        if not self._busy and self.is_current:
            if self._answers:
                self._say_to(
                    f"{self._document.id} is half filled and kept; nothing of it is on the record", "high"
                )
            self.dismiss(None)

    # -- on the record -------------------------------------------------------------------------------------

    def _submit(self) -> None:
        if not self._busy:
            self._busy = True
            background(self, self._record)

    async def _record(self) -> None:
        room, answers = self._room, self._answers
        led, found = room.incident.triage.led, len(room.incident.findings)
        try:
            await forms.answer(
                room, self._document, self._fitting(), decided=answers.decided, reason=answers.reason
            )
        except Exception as error:
            self._busy = False
            self._say(*refusal(error))
            self.app.post_message(DialogReady())
            return
        room.drafts.clear(FORMS + self._document.id)
        parts = [f"{self._document.id} is on the record"]
        if answers.decided:
            parts.append(f"decided {answers.decided}")
        if led is None and room.incident.triage.led is not None:
            parts.append(f"SECURITY LEADS, {room.incident.label}")
        if new := len(room.incident.findings) - found:
            parts.append(f"{many(new, 'observability finding')}: evidence screen (5)")
        self._say_to("; ".join(parts), "crit" if len(parts) > 1 and "SECURITY" in parts[-1] else "ok")
        self.dismiss(None)
        self.app.post_message(DialogReady())
