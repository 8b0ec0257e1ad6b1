"""Deeds on the timeline: write, correct, retract, filter, find, move in time."""

from __future__ import annotations

from collections.abc import Mapping

from console.events import EntryAmended, NoteWritten, read
from console.refusal import Refused
from console.room import Room
from console.scribe import LONGEST
from console.shown import masked
from console.timeline import MARKS, RETRACTED
from data.line import Filter, Line
from screens.console_screen import ConsoleScreen, does
from screens.deeds import playbook
from screens.deeds.evidence import selected_exhibit, show_files
from screens.dialogs.form import Choice, Form, Option, Text
from screens.display import fit
from screens.evidence import EvidenceScreen
from screens.room import RoomScreen
from screens.times import DAY, MINUTE, hms
from screens.widgets.timeline import Timeline
from screens.widgets.writer import Writer


def _write(screen: ConsoleScreen, lead: str) -> None:
    screen = screen.console_app.back_to_room() or screen
    if not isinstance(screen, RoomScreen):
        screen.say("Open an incident first: its timeline takes the entry.", "high")
        return
    writer = screen.query_one(Writer)
    if lead and not writer.text:
        writer.fill(lead, screen.now())
    screen.set_focus(writer.box)


@does("write.note")
def write(screen: ConsoleScreen, words: str = "") -> None:
    """Go to the write bar."""
    _write(screen, words)


@does("write.decision")
def decide(screen: ConsoleScreen, words: str = "") -> None:
    """Go to the write bar with the decision mark."""
    _write(screen, "!" + words)


@does("write.stamp")
def stamp(screen: ConsoleScreen, words: str = "") -> None:
    """Put the time of now where the cursor is."""
    if isinstance(screen, RoomScreen):
        box = screen.query_one(Writer).box
        screen.set_focus(box)
        box.insert(f"{hms(screen.now())} ")


@does("update.write")
def update(screen: ConsoleScreen, words: str = "") -> None:
    """Go to the write bar with the communication mark."""
    _write(screen, "+" + words)


@does("write.lines")
def write_lines(screen: ConsoleScreen, words: str = "") -> None:
    """Save each line of the box as an entry of its own."""
    if not isinstance(screen, RoomScreen):
        return
    writer = screen.query_one(Writer)
    for line in writer.text.splitlines():
        if line.strip():
            screen.enter(line, writer.typed)
    writer.fill("", 0)


def _line(screen: ConsoleScreen) -> Line | None:
    return screen.query_one(Timeline).selected


@does("entry.amend")
def amend(screen: ConsoleScreen, words: str = "") -> None:
    """Ask for the right text and why, then write a new version."""
    line = _line(screen)
    if line is not None:
        _amend(screen, line.hash, line.text)


def _amend(screen: ConsoleScreen, target: str, text: str) -> None:
    room = screen.room
    if room is None:
        return
    if masked(text) == text:
        _correct(screen, room, target, text)
        return

    async def look() -> None:
        # A box holds what will be saved, so it cannot mask: whoever corrects the entry sees it.
        from console.evidence.holding import unmask

        await unmask(room, target, "to correct it")
        _correct(screen, room, target, text)

    screen.start(look())


def _correct(screen: ConsoleScreen, room: Room, target: str, text: str) -> None:

    async def submit(answers: Mapping[str, str]) -> None:
        if answers["text"] == text.strip():
            raise Refused("The text is still the same.", "Change it, or leave with Esc.")
        event = await room.amend(target, answers["text"], answers["reason"])
        screen.say(f"corrected, as {event.short}; both versions stay", "ok")

    fields = (
        Text("text", "The right text", text, "A correction needs the right text.", limit=LONGEST, lines=True),
        Text("reason", "Why", "", "A correction needs a reason, in one line."),
    )
    screen.app.push_screen(Form("Correct the entry", fields, submit, about=text, verb="correct"))


@does("entry.amend_last")
def amend_last(screen: ConsoleScreen, words: str = "") -> None:
    """Correct what this person wrote last."""
    room = screen.room
    if room is None:
        return

    async def find() -> None:
        mine = Filter(actor=room.actor, marks=frozenset(MARKS.values()), system=False)
        count = await room.lines.count(mine)
        lines = await room.lines.window(count - 1, 1, mine) if count else []
        if not lines:
            raise Refused("You have not written anything here yet.")
        _amend(screen, lines[0].hash, lines[0].text)

    screen.start(find())


@does("entry.retract")
def retract(screen: ConsoleScreen, words: str = "") -> None:
    """Ask why, then strike through; a struck entry counts again."""
    room = screen.room
    if room is None:
        return
    if isinstance(screen, EvidenceScreen):
        if (row := screen.selected) is not None:
            _retract(screen, room, row.id, f"{row.what}: {row.name}", back=False, words=words)
    elif (line := _line(screen)) is not None:
        _retract(screen, room, line.hash, line.text, back=bool(line.flags & RETRACTED), words=words)


def _retract(screen: ConsoleScreen, room: Room, target: str, about: str, *, back: bool, words: str) -> None:
    async def submit(answers: Mapping[str, str]) -> None:
        await (room.reinstate if back else room.retract)(target, answers["reason"])
        screen.say("the entry counts again" if back else "the entry is retracted; it stays readable", "ok")

    title = "Reinstate the entry" if back else "Retract the entry"
    reason = Text("reason", "Why", words, "A reason is needed, in one line.")
    screen.app.push_screen(
        Form(title, (reason,), submit, about=about, verb="reinstate" if back else "retract")
    )


@does("undo")
def undo(screen: ConsoleScreen, words: str = "") -> None:
    """Say what this person's last change of state was, and retract it after Enter."""
    room = screen.room
    if room is None:
        return
    undoable = room.undoable
    if undoable is None:
        screen.say("There is nothing of yours to undo here; entries are corrected or retracted.", "high")
        return
    event, deed = undoable

    async def submit(_: Mapping[str, str]) -> None:
        now = room.undoable
        if now is None or now[0].hash != event.hash:
            raise Refused("Your last change is another one by now.", "Esc, then undo again.")
        undone = (await room.undo())[1]
        screen.say(f"undone: {undone}; the record keeps both", "ok")

    about = f"{hms(event.at)}Z you: {deed}"
    screen.app.push_screen(Form("Undo your last change", (), submit, about=about, verb="undo it"))


# -- filter and search --------------------------------------------------------------------------------------

STYLE_MARKS = {"decision": "!", "hypothesis": "?", "action": ">", "comms": "+", "alert": "✖", "system": "·"}


def parse_filter(text: str) -> Filter:
    """Return the filter that `text` means.

    `@ana` entries by a person, `#tag`, `:decision` and the other styles, `!` first = everything else, the rest = words.

    Raises:
        Refused: a style that does not exist.
    """
    text = text.strip()
    inverse = text.startswith("!")
    words: list[str] = []
    marks: set[str] = set()
    actor = tag = ""
    for word in text.removeprefix("!").split():
        if word[0] == "@" and len(word) > 1:
            actor = word[1:]
        elif word[0] == "#" and len(word) > 1:
            tag = word[1:]
        elif word[0] == ":":
            if word[1:] not in STYLE_MARKS:
                raise Refused(f"There is no style {word[1:][:32]}.", f"Styles: {', '.join(STYLE_MARKS)}.")
            marks |= {"✖", "▲"} if word == ":alert" else {STYLE_MARKS[word[1:]]}
        else:
            words.append(word)
    return Filter(text=" ".join(words), marks=frozenset(marks), actor=actor, tag=tag, inverse=inverse)


@does("filter.set")
def set_filter(screen: ConsoleScreen, words: str = "") -> None:
    """Ask for the filter; words after the command are the filter."""
    timeline = screen.query_one(Timeline)
    if words:
        try:
            timeline.narrow(parse_filter(words))
        except Refused as refused:
            screen.say(str(refused), "high")
        return

    async def submit(answers: Mapping[str, str]) -> None:
        timeline.narrow(parse_filter(answers["filter"]) if answers["filter"] else None)

    field = Text(
        "filter",
        "Words, @person, #tag, :decision :hypothesis :action :comms :alert :system; ! in front turns it round",
        limit=200,
    )
    screen.app.push_screen(Form("Filter the timeline", (field,), submit, verb="filter"))


@does("filter.clear")
def clear_filter(screen: ConsoleScreen, words: str = "") -> None:
    """Show everything."""
    screen.query_one(Timeline).narrow(None)


@does("find")
def find(screen: ConsoleScreen, words: str = "") -> None:
    """Search all entries; the one that is chosen is shown in the timeline."""
    from screens.dialogs.search import Search

    room = screen.room
    if room is None:
        return

    def found(hash_: str | None) -> None:
        if hash_:
            screen.query_one(Timeline).jump_to(hash_)
            screen.set_focus(screen.query_one(Timeline))

    screen.app.push_screen(Search(room.lines, words), found)


# -- time ---------------------------------------------------------------------------------------------------


@does("time.next")
def next_alert(screen: ConsoleScreen, words: str = "") -> None:
    """Go to the next alert line."""
    screen.query_one(Timeline).jump_alert(1)


@does("time.previous")
def previous_alert(screen: ConsoleScreen, words: str = "") -> None:
    """Go to the previous alert line."""
    screen.query_one(Timeline).jump_alert(-1)


@does("mark.set")
def mark(screen: ConsoleScreen, words: str = "") -> None:
    """Mark the selected entry, or take its mark off."""
    screen.query_one(Timeline).mark()


@does("mark.next")
def next_mark(screen: ConsoleScreen, words: str = "") -> None:
    """Go to the next marked entry."""
    if not screen.query_one(Timeline).jump_mark():
        screen.say("No entry is marked; m marks the selected one.", "high")


@does("time.minute_back")
def minute_back(screen: ConsoleScreen, words: str = "") -> None:
    """Go a minute back."""
    screen.query_one(Timeline).jump_minutes(-1)


@does("time.minute_on")
def minute_on(screen: ConsoleScreen, words: str = "") -> None:
    """Go a minute on."""
    screen.query_one(Timeline).jump_minutes(1)


@does("time.at")
def at_time(screen: ConsoleScreen, words: str = "") -> None:
    """Go to a time of day, the last one that has passed."""
    hours, _, minutes = words.strip().rstrip("Z").partition(":")
    if not (hours.isdecimal() and minutes.isdecimal() and int(hours) < 24 and int(minutes) < 60):
        screen.say("Give a time of day in UTC, as in :at 14:05.", "high")
        return
    now = screen.now()
    at = now - now % DAY + (int(hours) * 60 + int(minutes)) * MINUTE
    screen.query_one(Timeline).jump_time(at if at <= now else at - DAY)


# -- disputes -----------------------------------------------------------------------------------------------


@does("entry.dispute")
def dispute(screen: ConsoleScreen, words: str = "") -> None:
    """Ask what is not so, then dispute the entry."""
    line, room = _line(screen), screen.room
    if line is None or room is None:
        return

    async def submit(answers: Mapping[str, str]) -> None:
        await room.dispute(line.hash, answers["reason"])
        screen.say("disputed; the entry goes on counting until that is settled", "ok")

    reason = Text("reason", "What is not so", words, "A dispute needs a reason, in one line.")
    screen.app.push_screen(Form("Dispute the entry", (reason,), submit, about=line.text, verb="dispute"))


@does("entry.settle")
def settle(screen: ConsoleScreen, words: str = "") -> None:
    """End the dispute about an entry, or write one version over all; of a step: say what became of it."""
    if screen.situation().pane == "playbook":
        playbook.settle(screen, words)
        return
    line, room = _line(screen), screen.room
    if line is None or room is None:
        return
    if line.hash in room.incident.contested:
        screen.start(_choose(screen, room, line, words))
        return
    if line.hash not in room.incident.disputed:
        screen.say("Nobody disputes this entry, and it has no rival versions.", "high")
        return

    async def submit(answers: Mapping[str, str]) -> None:
        await room.settle(line.hash, answers["reason"])
        screen.say("settled; dispute and answer stay readable", "ok")

    about = f"{line.text}  DISPUTED: {room.incident.disputed[line.hash]}"
    reason = Text("reason", "What was found", words, "Settling needs a reason, in one line.")
    screen.app.push_screen(Form("Settle the dispute", (reason,), submit, about=about, verb="settle"))


async def _choose(screen: ConsoleScreen, room: Room, line: Line, words: str) -> None:
    """Ask which of the versions holds, or for a better one."""
    rivals = []
    for hash_ in sorted(room.incident.versions[line.hash]):
        event = await room.event(hash_)
        body = read(event)
        text = body.text if isinstance(body, EntryAmended) else "(erased)"
        rivals.append((event.actor, text))
    options = [
        Option(str(number), str(number), f"{fit(actor, 10).strip()}: {fit(text, 300).strip()}")
        for number, (actor, text) in enumerate(rivals[:8], 1)
    ]
    options.append(Option("0", "0", "neither: the text below"))

    async def submit(answers: Mapping[str, str]) -> None:
        chosen = int(answers["version"])
        text = rivals[chosen - 1][1] if chosen else answers["text"]
        if not text:
            raise Refused("Write the text that holds, or choose a version.", "Esc leaves both standing.")
        event = await room.amend(line.hash, text, answers["reason"])
        screen.say(f"settled, as {event.short}; all versions stay readable", "ok")

    fields = (
        Choice("version", "Which version holds", tuple(options), "1"),
        Text("text", "The right text, when it is neither", "", limit=LONGEST, lines=True),
        Text("reason", "Why", words, "Settling needs a reason, in one line."),
    )
    lines = tuple(f"{number} {actor}: {text}" for number, (actor, text) in enumerate(rivals, 1))
    screen.app.push_screen(Form("Settle which version holds", fields, submit, lines=lines, verb="settle"))


@does("entry.unmask")
def unmask(screen: ConsoleScreen, words: str = "") -> None:
    """Ask why, put that on the record, then show the entry or the exhibit as it was written."""
    room, line = screen.room, None
    exhibit = selected_exhibit(screen)
    if exhibit is None:
        line = _line(screen)
    if room is None or (exhibit is None and line is None):
        return
    target = exhibit.hash if exhibit is not None else line.hash if line is not None else ""

    async def submit(answers: Mapping[str, str]) -> None:
        from console.evidence.holding import unmask as look

        await look(room, target, answers["reason"])

    def looked(done: bool | None) -> None:
        if not done:
            return
        if exhibit is not None and exhibit.refs:
            show_files(screen, room, exhibit, unmasked=True)
        else:
            screen.start(history(screen, target, unmasked=True))

    about = exhibit.body.title if exhibit is not None else line.text if line is not None else ""
    reason = Text("reason", "What you look at it for", words, "Looking at masked text needs a reason.")
    screen.app.push_screen(
        Form("Look behind the mask", (reason,), submit, about=about, verb="look; this goes on the record"),
        looked,
    )


async def history(screen: ConsoleScreen, hash_: str, *, unmasked: bool = False) -> None:
    """Open the page of one entry, with its history. `unmasked`: as it was written, which is on the record."""
    from screens.commands import BY_ID
    from screens.dialogs.page import Page
    from screens.kept import entry_kept, membership, writer
    from screens.reading import Standing, about_entry

    room, desk = screen.room, screen.desk
    if room is None or desk is None:
        return
    events = await room.history(hash_)
    first, state = events[0], room.incident
    commands = [BY_ID[name] for name in ("entry.retract", "entry.dispute", "entry.unmask", "copy")]
    contested = first.hash in state.contested
    if contested or first.hash in state.disputed:
        commands.insert(0, BY_ID["entry.settle"])
    if isinstance(read(first), NoteWritten) and not contested:
        commands.insert(0, BY_ID["entry.amend"])
    standing = Standing(
        entry_kept(room, desk, screen.console_app.sight, first),
        writer(room, first.rep, first.actor),
        membership(state.roster, first.rep),
        state.roster.counts,
        frozenset(state.versions.get(first.hash, ())) if contested else frozenset(),
    )

    def chosen(name: str | None) -> None:
        if name:
            screen.command(name)

    paras = about_entry(events, standing)
    title = "Timeline entry"
    if unmasked:
        title += ", NOT MASKED"
        paras = [para._replace(unmasked=True) for para in paras]
        commands.remove(BY_ID["entry.unmask"])
    screen.app.push_screen(Page(title, paras, commands, screen.keymap), chosen)
