"""Deeds on evidence: look at it, keep more of it, hold it, erase it, verify the record."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Literal, cast

from console.incident import Exhibit
from console.refusal import Refused
from console.room import Room
from data.envelope import Ref, short
from screens.background import background
from screens.commands import BY_ID
from screens.console_screen import ConsoleScreen, does, refusal
from screens.deeds.alerts import selected_alert
from screens.dialogs.form import Choice, Form, Option, Text
from screens.dialogs.page import Page
from screens.display import many
from screens.evidence import EvidenceScreen
from screens.reading_record import about_row, about_words
from screens.widgets.evidence import EvidenceRow
from screens.widgets.sheet import Para
from screens.widgets.timeline import Timeline

PASTE = 200_000
"""Characters of a paste; what is longer is better attached as a file."""
KNOWN = (
    ("1", "alert", "alert"),
    ("2", "agent", "agent"),
    ("3", "session", "session or conversation"),
    ("4", "run", "run"),
    ("5", "trace", "trace"),
    ("6", "approval", "approval"),
)
"""Key, name in the evidence schema, and what people call it."""
SCOPES = (
    Option("1", "event", "this entry: what is selected, or the id below"),
    Option("2", "subject", "everything that speaks of a subject: its words below"),
    Option("3", "case", "the whole incident"),
)


@does("evidence.open")
def evidence(screen: ConsoleScreen, words: str = "") -> None:
    """Show the evidence; again: the room."""
    if isinstance(screen, EvidenceScreen):
        screen.console_app.back_to_room()
    else:
        screen.console_app.show_evidence()


PAGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "exhibit": ("Exhibit", ("exhibit.show", "entry.unmask", "hold", "evidence.erase", "copy")),
    "request": ("Request for evidence", ("evidence.preserve", "copy")),
    "finding": ("Not recorded", ()),
    "hold": ("Legal hold", ("hold", "copy")),
    "remote": ("Remote", ("record.share",)),
    "member": ("Console", ("roster.admit", "copy")),
    "stranger": ("Console that is not on the roster", ("roster.admit", "copy")),
    "fork": ("Fork", ("entry.retract", "copy")),
    "alarm": ("Alarm of a remote", ("entry.retract", "copy")),
    "strand": ("Strand", ("record.verify",)),
    "damage": ("Damage", ("record.verify",)),
    "check": ("Verification", ("record.verify",)),
}
"""Kind of row to the title of its page and what can be done from there."""


async def open_row(screen: EvidenceScreen) -> None:
    """Show everything about the selected row."""
    room, desk, row = screen.room, screen.desk, screen.selected
    if room is None or desk is None or row is None:
        return
    paras = about_row(row, room, desk, screen.console_app.checking, screen.now())
    if row.kind in ("member", "stranger"):
        mine = desk.home.replica
        theirs, ours = await room.key_words(row.id), await room.key_words(mine)
        paras[1:1] = about_words(theirs, ours, row.id == mine)
    elif row.kind == "exhibit" and (exhibit := selected_exhibit(screen)) is not None:
        absent = await asyncio.to_thread(_absent, room.case.directory, exhibit.refs)
        if absent:
            said = f"{many(absent, 'file')} of {len(exhibit.refs)} NOT HERE: on the way, or erased"
            paras.insert(2, Para(said, "state", "high"))
    title, commands = PAGES[row.kind]

    def chosen(name: str | None) -> None:
        if name:
            screen.command(name)

    screen.app.push_screen(Page(title, paras, [BY_ID[name] for name in commands], screen.keymap), chosen)


def _absent(directory: Path, refs: tuple[Ref, ...]) -> int:
    from console.evidence.material import Material

    return sum(not Material(directory, ref).here for ref in refs)


def _row(screen: ConsoleScreen) -> EvidenceRow | None:
    return screen.selected if isinstance(screen, EvidenceScreen) else None


def selected_exhibit(screen: ConsoleScreen) -> Exhibit | None:
    """Return the exhibit under the cursor of the evidence screen."""
    row, room = _row(screen), screen.room
    if row is None or room is None:
        return None
    return next((each for each in room.incident.exhibits if each.hash == row.id), None)


@does("exhibit.show")
def show(screen: ConsoleScreen, words: str = "") -> None:
    """Show what the exhibit holds."""
    exhibit, room = selected_exhibit(screen), screen.room
    if exhibit is not None and room is not None:
        show_files(screen, room, exhibit)


def show_files(screen: ConsoleScreen, room: Room, exhibit: Exhibit, *, unmasked: bool = False) -> None:
    """Show the files of an exhibit. `unmasked`: as they were kept, which is on the record."""
    from console.evidence.holding import copied
    from screens.dialogs.material import MaterialPage

    if not exhibit.refs:
        screen.say("This exhibit has no files: everything it says is on its page.", "high")
        return
    screen.app.push_screen(
        MaterialPage(room.case.directory, exhibit.refs, partial(copied, room), unmasked=unmasked)
    )


# -- keep more ----------------------------------------------------------------------------------------------

WHY = "Say why in one line: whoever reads it in a year was not here."


@does("evidence.attach")
def attach(screen: ConsoleScreen, words: str = "") -> None:
    """Ask for a file and why, then keep it."""
    room = screen.room
    if room is None:
        return

    async def submit(answers: Mapping[str, str]) -> None:
        from console.evidence.attach import About, attach_file

        path = await asyncio.to_thread(lambda: Path(answers["path"]).expanduser())
        event = await attach_file(room, path, About(answers["reason"], answers["title"]))
        screen.say(f"kept as {event.short}", "ok")

    fields = (
        Text("path", "File", words, "Give the path of a file.", limit=4096),
        Text("reason", "Why it is evidence", "", WHY),
        Text("title", "Title (may stay empty: the name of the file)", limit=200),
    )
    screen.app.push_screen(Form("Attach a file", fields, submit, verb="keep it"))


@does("evidence.paste")
def paste(screen: ConsoleScreen, words: str = "") -> None:
    """Ask for text and why, then keep it."""
    room = screen.room
    if room is None:
        return

    async def submit(answers: Mapping[str, str]) -> None:
        from console.evidence.attach import About, attach_text

        # Half of a pair of surrogates, which a paste may hold, must not be lost by being refused.
        text = answers["text"].encode("utf-8", "backslashreplace")
        event = await attach_text(room, text, About(answers["reason"], answers["title"]))
        screen.say(f"kept as {event.short}", "ok")

    fields = (
        Text("text", "The text", words, "Paste what is evidence.", limit=PASTE, lines=True),
        Text("reason", "Why it is evidence", "", WHY),
        Text("title", "Title (may stay empty: its first line)", limit=200),
    )
    screen.app.push_screen(Form("Attach pasted text", fields, submit, verb="keep it"))


@does("evidence.preserve")
def preserve(screen: ConsoleScreen, words: str = "") -> None:
    """Ask for an id and why, then have its telemetry kept."""
    room, desk = screen.room, screen.desk
    if room is None or desk is None:
        return
    alert = selected_alert(screen) if screen.situation().pane == "alerts" else None

    async def submit(answers: Mapping[str, str]) -> None:
        from console.evidence.capture import preserve as ask

        if answers["name"] == "alert":
            # What is kept in an incident belongs to it; one that is there already changes nothing.
            await room.link([desk.alert(answers["value"])])
        event = await ask(room, [(answers["name"], answers["value"])], answers["reason"])
        if desk.capture is None:
            screen.say(f"asked for, as {event.short}: a console with a watcher carries it out", "ok")
        else:
            desk.capture.tend(room, desk.board.alerts)
            screen.say(f"asked for, as {event.short}: the window is being searched", "ok")

    fields = (
        Choice("name", "What is known of it", tuple(Option(*each) for each in KNOWN), "alert"),
        Text("value", "Its id", words or (alert.id if alert is not None else ""), "Give the id.", limit=512),
        Text("reason", "Why", "", WHY),
    )
    screen.app.push_screen(Form("Keep telemetry", fields, submit, verb="keep it"))


# -- hold and erase -----------------------------------------------------------------------------------------


def _target(screen: ConsoleScreen) -> tuple[str, str]:
    """Return the hash of the entry that is meant, and how to call it."""
    row = _row(screen)
    if row is not None:
        return (row.id, f"{row.what}: {row.name}") if row.kind == "exhibit" else ("", "")
    if screen.situation().pane == "timeline" and (line := screen.query_one(Timeline).selected) is not None:
        return line.hash, line.text
    return "", ""


@does("hold")
def hold(screen: ConsoleScreen, words: str = "") -> None:
    """Set a hold; on a hold: lift it."""
    room, row = screen.room, _row(screen)
    if room is None:
        return
    if row is not None and row.kind == "hold":
        _lift(screen, row, words)
        return
    target, about = _target(screen)

    async def submit(answers: Mapping[str, str]) -> None:
        from console.evidence.holding import hold as set_hold

        scope = cast(Literal["case", "event", "subject"], answers["scope"])
        named = "" if scope == "case" else answers["target"] or (target if scope == "event" else "")
        event = await set_hold(room, scope, named, answers["reason"], answers["authority"])
        screen.say(f"held, as {event.short}: it goes to every console that shares this incident", "ok")

    fields = (
        Choice("scope", "What is held", SCOPES, "event" if target else "case"),
        Text(
            "target",
            "Id of the entry, or the words of the subject",
            short(target) if target else "",
            limit=512,
        ),
        Text("reason", "Why", words, "A hold needs a reason, in one line."),
        Text("authority", "Who asks for it, such as a court and its reference (may stay empty)", limit=512),
    )
    screen.app.push_screen(Form("Legal hold", fields, submit, about=about, verb="hold"))


def _lift(screen: ConsoleScreen, row: EvidenceRow, words: str) -> None:
    room = screen.room
    if room is None:
        return

    async def submit(answers: Mapping[str, str]) -> None:
        from console.evidence.holding import lift

        await lift(room, row.id, answers["reason"])
        screen.say("lifted; that it stood stays on the record", "ok")

    reason = Text("reason", "Why it is over", words, "Lifting a hold needs a reason, in one line.")
    screen.app.push_screen(Form("Lift the hold", (reason,), submit, about=row.name, verb="lift the hold"))


@does("evidence.erase")
def erase(screen: ConsoleScreen, words: str = "") -> None:
    """Ask why and by which authority, have the id typed, then erase."""
    room, (target, about) = screen.room, _target(screen)
    if room is None or not target:
        return
    name = short(target)

    async def submit(answers: Mapping[str, str]) -> None:
        from console.evidence.holding import erase as erase_for_good

        if answers["id"].upper() != name.upper():
            raise Refused(f"Type {name} to erase it.", "Esc leaves everything as it is.")
        outcome = await erase_for_good(room, [target], answers["reason"], answers["authority"])
        gone = len(outcome.targets) if outcome.carried is None else outcome.carried.bodies
        screen.say(_erased(gone, outcome.carried is not None, outcome.elsewhere), "high")

    fields = (
        Text("id", f"This cannot be undone. Type the id of the entry: {name}", "", f"Type {name}."),
        Text("reason", "Why, without repeating what is to go", words, "Erasing needs a reason."),
        Text("authority", "By which right or duty", "", "Erasing needs an authority.", limit=512),
    )
    screen.app.push_screen(Form("Erase for good", fields, submit, about=about, verb="erase for good"))


def _erased(targets: int, done: bool, elsewhere: Mapping[str, list[str]]) -> str:
    said = f"erased: {many(targets, 'text')}" + ("" if done else ", as soon as the writing war room does it")
    objects = sum(len(names) for names in elsewhere.values())
    if objects:
        said += f"; {many(objects, 'object')} at {', '.join(elsewhere)} still hold it: remove them there"
    return f"{said}. Copies elsewhere cannot be recalled."


# -- the record ---------------------------------------------------------------------------------------------


@does("record.verify")
def verify(screen: ConsoleScreen, words: str = "") -> None:
    """Check the record beside everything else; again: end that."""
    app = screen.console_app
    if app.checking.since:
        app.checking.end()
    else:
        background(app, _verify, screen, group="verify")


async def _verify(screen: ConsoleScreen) -> None:
    room, app = screen.room, screen.console_app
    if room is None:
        return
    screen.say("verifying every byte, beside everything else; V ends it")
    try:
        verdict = await app.checking.run(room.case.id, room.case.directory, screen.now())
        app.sight.damaged.discard(room.case.id)
        if verdict.damage:
            app.sight.damaged.add(room.case.id)
        if not room.read_only and screen.room is room:
            from console.events import RecordVerified

            await room.record(RecordVerified(verdict.events, len(verdict.damage), verdict.missing))
    except Exception as error:
        app.say(*refusal(error))
        return
    if verdict.damage:
        app.say(f"RECORD DAMAGED: {many(len(verdict.damage), 'place')}; 5 lists them", "crit")
    else:
        missing = f"; {verdict.missing:,} that others have seen are not here" if verdict.missing else ""
        app.say(f"the record is sound: {many(verdict.events, 'event')}{missing}", "ok")


@does("record.seal")
def seal(screen: ConsoleScreen, words: str = "") -> None:
    """Write a checkpoint."""
    room = screen.room
    if room is None:
        return

    async def witness() -> None:
        if await room.witness():
            screen.say(
                "a checkpoint is on the record; it seals the strands of others once it is shared", "ok"
            )
        else:
            screen.say("nothing is new since the last checkpoint, or another war room here writes", "high")

    background(screen, witness)


@does("record.share")
def share(screen: ConsoleScreen, words: str = "") -> None:
    """Take a turn with every remote now."""
    desk = screen.desk
    if desk is None or desk.sharing is None:
        screen.say("No remote is set up: `warroom remote add` names one.", "high")
        return
    desk.sharing.nudge()
    screen.say(f"asking {many(len(desk.standings), 'remote')} now")
