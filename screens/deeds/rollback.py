"""Deeds on action classes: where undoing their effects stands, and the clocks behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from console.events import RollbackState
from console.refusal import Refused
from console.rollback.state import Rollback
from screens.console_screen import ConsoleScreen, does
from screens.dialogs.form import Choice, Field, Form, Option, Text
from screens.widgets.rollback import STATE_WORDS, RollbackTracker

NEXT: dict[str, tuple[str, ...]] = {
    "untouched": ("open", "reversing", "held", "clear"),
    "open": ("reversing", "substituted", "reversed", "held", "clear"),
    "reversing": ("reversed", "substituted", "held", "open"),
    "reversed": ("verified", "reversing", "open"),
    "substituted": ("verified", "reversing", "open"),
    "held": ("open", "reversing", "substituted"),
    "verified": ("open",),
    "waived": ("open",),
    "clear": ("open",),
}
MEANING = {
    "clear": "clear: the agent did nothing in this class",
    "open": "open: there are effects to undo",
    "reversing": "reversing: somebody undoes them now",
    "reversed": "reversed: undone, not checked yet",
    "substituted": "substituted: cannot be undone, done instead (say what)",
    "held": "held: not for now (say why)",
    "verified": "verified: undone and checked (say how)",
}

FOLLOWS = "Its state follows from its effects: L opens them."


def selected_class(screen: ConsoleScreen) -> Rollback | None:
    """Return the class under the cursor."""
    row = screen.query_one(RollbackTracker).selected
    if row is None or screen.room is None:
        return None
    found = screen.room.incident.rollback.get(row.id)
    if found is None:
        screen.say(
            "These effects have no class yet: L opens the ledger, # says to which they belong.", "high"
        )
    return found


def follows(screen: ConsoleScreen) -> bool:
    """Say so where the state of the class under the cursor follows from its effects. Returns whether it does."""
    row, room = selected_class(screen), screen.room
    if row is None or room is None or room.incident.ledger.tally(row.action_class.id) is None:
        return False
    screen.say(FOLLOWS, "high")
    return True


@does("rollback.move")
def move(screen: ConsoleScreen, words: str = "") -> None:
    """Show what is known, then ask for the next state; a running clock can be finished here too."""
    row, room = selected_class(screen), screen.room
    if row is None or room is None:
        return
    kind = row.action_class
    listed = room.incident.ledger.tally(kind.id) is not None
    # The state of a class with listed effects follows from them: only holding it is a person's to say.
    next_ = (("open",) if row.state == "held" else ("held",)) if listed else NEXT[row.state]
    states = [(state, MEANING[state]) for state in next_]
    clocks = [(f"clock:{budget.id}", f"finish the clock: {budget.name}") for budget in row.running()]
    options = tuple(
        Option(str(number), value, text) for number, (value, text) in enumerate([*states, *clocks], 1)
    )

    async def submit(answers: Mapping[str, str]) -> None:
        if answers["state"].startswith("clock:"):
            await room.meet_budget(kind.id, answers["state"].removeprefix("clock:"), answers["note"])
            screen.say(f"{kind.id}: clock finished", "ok")
            return
        await room.move_rollback(
            kind.id,
            cast(RollbackState, answers["state"]),
            answers["note"],
            _count(answers.get("effects", "")),
        )
        screen.say(f"{kind.id} is {STATE_WORDS[answers['state']][0]}", "ok")

    fields: list[Field] = [
        Choice("state", "Next", options),
        Text("note", "Note: how, why, or by whom", words),
    ]
    if not listed:
        count = "" if row.effects is None else str(row.effects)
        fields.append(Text("effects", "How many effects need undoing (may stay empty)", count, limit=16))
    how = FOLLOWS if listed else " ".join(kind.procedure[:2])
    about = f"{kind.name}: now {STATE_WORDS[row.state][0]}. {how}"
    screen.app.push_screen(Form("Rollback", tuple(fields), submit, about=about, verb="record"))


def _count(text: str) -> int | None:
    if not text:
        return None
    digits = text.replace(",", "").replace(" ", "")
    if not digits.isascii() or not digits.isdigit():
        raise Refused(f"{text} is not a number of effects.", "Give a whole number, or leave it empty.")
    return int(digits)


@does("rollback.verify")
def verify(screen: ConsoleScreen, words: str = "") -> None:
    """Ask how it was checked, then record it."""
    if follows(screen):
        return
    _with_note(screen, "verified", "Verify the rollback", "How it was checked", words)


@does("rollback.hold")
def hold(screen: ConsoleScreen, words: str = "") -> None:
    """Ask why, then hold."""
    _with_note(screen, "held", "Hold the rollback", "Why it waits, and for what", words)


def _with_note(screen: ConsoleScreen, state: RollbackState, title: str, label: str, words: str) -> None:
    row, room = selected_class(screen), screen.room
    if row is None or room is None:
        return
    kind = row.action_class

    async def submit(answers: Mapping[str, str]) -> None:
        await room.move_rollback(kind.id, state, answers["note"])
        screen.say(f"{kind.id} is {state}", "ok")

    note = Text("note", label, words, "A note is needed, in one line.")
    about = " ".join(kind.verification) if state == "verified" and kind.verification else kind.name
    screen.app.push_screen(Form(title, (note,), submit, about=about, verb=state))
