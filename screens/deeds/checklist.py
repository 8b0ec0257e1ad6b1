"""Deeds on checklist items; waiving also works on rollback classes."""

from __future__ import annotations

from collections.abc import Mapping

from console.incident import Check
from console.room import Room
from data.envelope import short
from screens.console_screen import ConsoleScreen, does
from screens.deeds import playbook
from screens.deeds.rollback import follows, selected_class
from screens.dialogs.form import Form, Text
from screens.times import hm
from screens.widgets.checklist import Checklist

OFFERED = 4
"""Exhibits that are offered when an item asks for evidence, the newest first."""


def selected_item(screen: ConsoleScreen) -> Check | None:
    """Return the item under the cursor."""
    row = screen.query_one(Checklist).selected
    return screen.room.incident.checklist.get(row.id) if row is not None and screen.room is not None else None


@does("check.done")
def done(screen: ConsoleScreen, words: str = "") -> None:
    """Tick, or open again."""
    if screen.situation().pane == "playbook":
        playbook.tick(screen, words)
        return
    check, room = selected_item(screen), screen.room
    if check is None or room is None:
        return
    if check.state == "open" and check.item.evidence:
        _with_evidence(screen, check, room, words)
        return
    ticked = check.state == "open"
    screen.start(
        room.tick(check.item.id, "done" if ticked else "open", words),
        f"{check.item.id} is {'done' if ticked else 'open again'}",
    )


def _with_evidence(screen: ConsoleScreen, check: Check, room: Room, words: str) -> None:
    """Ask what shows it; an item that asks for evidence is not done without."""
    kept = room.incident.exhibits[: -OFFERED - 1 : -1]

    async def submit(answers: Mapping[str, str]) -> None:
        said = answers["evidence"]
        if said.isdecimal() and 0 < int(said) <= len(kept):
            said = short(kept[int(said) - 1].hash)
        await room.tick(check.item.id, "done", "", said)
        screen.say(f"{check.item.id} is done: {said}", "ok")

    lines = tuple(
        f"{place}  {short(each.hash)} {hm(each.at)}Z {each.body.what}: {each.body.title}"
        for place, each in enumerate(kept, 1)
    )
    label = "What shows it: an exhibit, an entry or a link"
    if lines:
        label = f"What shows it: {'1' if len(lines) == 1 else f'1-{len(lines)}'} for one of these, or an entry or a link"
    none = ("No exhibit is kept yet: Esc, then F attaches a file and K keeps telemetry.",)
    field = Text("evidence", label, words, "Say what shows that it is done.")
    form = Form("Done", (field,), submit, about=check.item.text, lines=lines or none, verb="done")
    screen.app.push_screen(form)


@does("check.claim")
def claim(screen: ConsoleScreen, words: str = "") -> None:
    """Take the item on, or give it back."""
    check, room = selected_item(screen), screen.room
    if check is not None and room is not None:
        mine = check.claimed == room.actor
        screen.start(
            room.claim(check.item.id, "" if mine else room.actor),
            f"{check.item.id} is {'free again' if mine else 'yours'}",
        )


@does("check.skip")
def not_applicable(screen: ConsoleScreen, words: str = "") -> None:
    """Ask why, then mark it not applicable."""
    if screen.situation().pane == "playbook":
        playbook.leave_out(screen, "not_applicable", "Not applicable", words)
        return
    _settle(screen, "not_applicable", "Not applicable", "Why it does not apply", words)


@does("waive")
def waive(screen: ConsoleScreen, words: str = "") -> None:
    """Ask why, then waive the item, the step or the class in use."""
    if screen.situation().pane == "playbook":
        playbook.leave_out(screen, "waived", "Waive the step", words)
    elif screen.situation().pane == "checklist":
        _settle(screen, "waived", "Waive the item", "Why it is given up", words)
    else:
        _waive_class(screen, words)


def _settle(screen: ConsoleScreen, state: str, title: str, label: str, words: str) -> None:
    check, room = selected_item(screen), screen.room
    if check is None or room is None:
        return

    async def submit(answers: Mapping[str, str]) -> None:
        await room.tick(check.item.id, "waived" if state == "waived" else "not_applicable", answers["reason"])
        screen.say(f"{check.item.id} is {state.replace('_', ' ')}", "ok")

    reason = Text("reason", label, words, "A reason is needed, in one line.")
    screen.app.push_screen(Form(title, (reason,), submit, about=check.item.text, verb=title.lower()))


def _waive_class(screen: ConsoleScreen, words: str) -> None:
    """Waiving effects is for good: the name of the class is typed, so that no stray key does it."""
    row, room = selected_class(screen), screen.room
    if row is None or room is None or follows(screen):
        return
    kind = row.action_class

    async def submit(answers: Mapping[str, str]) -> None:
        from console.refusal import Refused

        if answers["name"] != kind.id:
            raise Refused(f"Type {kind.id} to waive it.", "Esc leaves everything as it is.")
        await room.move_rollback(kind.id, "waived", answers["reason"])
        screen.say(f"{kind.id} is waived", "ok")

    fields = (
        Text(
            "name",
            f"Its effects stay as they are. Type the name of the class: {kind.id}",
            "",
            f"Type {kind.id}.",
        ),
        Text("reason", "Why, and who accepts it", words, "Waiving needs a reason."),
    )
    screen.app.push_screen(Form("Waive the class", fields, submit, about=kind.name, verb="waive"))
