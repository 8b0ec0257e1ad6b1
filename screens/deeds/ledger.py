"""Deeds on the ledger of effects: list, mark, filter, reconcile, reverse, check, move, waive, and the audits that follow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from console.refusal import Refused
from console.rollback import deeds
from console.rollback.index import Wanted
from screens.background import background
from screens.commands import BY_ID, reason
from screens.console_screen import ConsoleScreen, does, refusal
from screens.dialogs.form import Choice, Field, Form, Option, Submit, Text
from screens.dialogs.page import Page
from screens.display import many
from screens.ledger import LedgerScreen
from screens.reading_ledger import about_outcome, doubt
from screens.room import RoomScreen
from screens.widgets.ledger import STATE_WORDS
from screens.widgets.rollback import RollbackTracker
from screens.widgets.sheet import Para

if TYPE_CHECKING:
    from console.events import Progress
    from console.rollback.drafting import Drafted
    from console.rollback.ledger import Ledger
    from console.rollback.procedure import Procedure
    from console.rollback.reversal import Outcome, Reversing
    from console.rollback.reversal import Progress as Done
    from console.room import Room
    from data.home import Home

T = TypeVar("T")
KEYS = "123456789abcdefgh"
"""Keys that pick one of many: none of them moves in a list."""
EFFECT = ("effects.reconcile", "effects.dry", "effects.reverse", "effects.substitute", "effects.verify", "effects.move",
          "effects.waive", "effects.classify", "copy")  # fmt: skip
AUDIT = ("effects.audit", "effects.extend")
BY_HAND: dict[str, str] = {
    "reversing": "being undone: somebody undoes them now",
    "reversed": "reversed: undone, not checked yet",
    "open": "open again (say why)",
    "nothing": "nothing to undo (say how that is known)",
}


class Chosen(NamedTuple):
    """The effects that a deed is about, with all that it takes."""

    screen: LedgerScreen
    room: Room
    home: Home
    ids: list[str]

    @property
    def ledger(self) -> Ledger:
        """The ledger as it is now."""
        return self.room.incident.ledger

    @property
    def about(self) -> str:
        """Which effects these are, in a line."""
        first = self.ledger.rows[self.ids[0]]
        if len(self.ids) == 1:
            return f"{first.agent}: {first.what}"
        hidden = self.screen.rows.hidden
        more = f" ({hidden:,} of them not shown by the filter)" if hidden else ""
        return f"{many(len(self.ids), 'effect')}{more}, such as {first.agent}: {first.what}"

    @property
    def unclear(self) -> list[str]:
        """Those of which nobody knows whether they, or their reversal, happened."""
        return [each for each in self.ids if self.ledger.unclear(each)]

    def done(self, count: int, what: str) -> None:
        """Say it, and take the marks away: the next deed is about something else."""
        self.screen.rows.unmark(self.ids)
        self.screen.say(f"{many(count, 'effect')} {what}", "ok")
        self.screen.show_state()


def chosen(screen: ConsoleScreen) -> Chosen | None:
    """Return what a deed is about: the marked effects, else the selected one."""
    room, desk = screen.room, screen.desk
    if not isinstance(screen, LedgerScreen) or room is None or desk is None or not (ids := screen.rows.meant):
        return None
    return Chosen(screen, room, desk.home, ids)


@does("focus.ledger")
def focus(screen: ConsoleScreen, words: str = "") -> None:
    """Show the ledger, on a rollback class its effects only; again: the room."""
    if isinstance(screen, LedgerScreen):
        screen.console_app.back_to_room()
        return
    name = None
    if isinstance(screen, RoomScreen) and screen.pane == "rollback" and screen.room is not None:
        row = screen.query_one(RollbackTracker).selected
        if row is not None and screen.room.incident.ledger.tally(row.id) is not None:
            name = row.id
    screen.console_app.show_ledger(name)


def open_row(screen: LedgerScreen) -> None:
    """Show everything about the selected row, and what can be done with it."""
    row = screen.selected
    if row is None:
        return
    now = screen.situation()
    names = AUDIT if row.kind == "audit" else EFFECT
    commands = [BY_ID[name] for name in names if not reason(BY_ID[name], now)]

    def leave(name: str | None) -> None:
        if name:
            screen.command(name)

    title = "Audit" if row.kind == "audit" else "Effect"
    screen.app.push_screen(Page(title, screen.paragraphs(), commands, screen.keymap), leave)


# -- which are shown, which are meant -------------------------------------------------------------------


@does("effects.mark")
def mark(screen: ConsoleScreen, words: str = "") -> None:
    """Mark the selected effect."""
    if isinstance(screen, LedgerScreen):
        screen.rows.mark()
        screen.show_clocks()


@does("effects.mark_all")
def mark_all(screen: ConsoleScreen, words: str = "") -> None:
    """Mark every effect that is shown, or none."""
    if isinstance(screen, LedgerScreen):
        screen.rows.mark_all()
        screen.show_clocks()


@does("effects.find")
def find(screen: ConsoleScreen, words: str = "") -> None:
    """Show only effects in which all of these words stand."""
    if not isinstance(screen, LedgerScreen):
        return
    wanted = screen.rows.wanted
    if words:
        screen.narrow(wanted._replace(text=words))
        return

    async def submit(answers: Mapping[str, str]) -> None:
        screen.narrow(screen.rows.wanted._replace(text=answers["text"]))

    field = Text("text", "Words that all stand in the effect; empty: any", wanted.text, limit=200)
    screen.app.push_screen(Form("Words in the ledger", (field,), submit, verb="show"))


@does("effects.filter")
def narrow(screen: ConsoleScreen, words: str = "") -> None:
    """Ask which effects to show."""
    room = screen.room
    if not isinstance(screen, LedgerScreen) or room is None:
        return
    wanted = screen.rows.wanted
    states = [("any", "in any state"), ("unclear", "of which nobody knows whether they happened")]
    states += [(name, said.lower()) for name, (said, _) in STATE_WORDS.items()]
    options = tuple(Option(key, value, text) for key, (value, text) in zip(KEYS, states, strict=False))
    now = "unclear" if wanted.unclear else next(iter(wanted.states), "any")

    async def submit(answers: Mapping[str, str]) -> None:
        state = answers["state"]
        screen.narrow(
            screen.rows.wanted._replace(
                states=() if state in ("any", "unclear") else (cast("Progress", state),),
                unclear=state == "unclear",
                agent=answers["agent"],
                principal=answers["principal"],
                text=answers["text"],
            )
        )

    fields: tuple[Field, ...] = (
        Choice("state", "Effects", options, now),
        Text("agent", "Agent, a part of its name", wanted.agent, limit=128),
        Text("principal", "Principal, a part of its name", wanted.principal, limit=128),
        Text("text", "Words that all stand in the effect", wanted.text, limit=200),
    )
    screen.app.push_screen(
        Form("Filter the ledger", fields, submit, about="← → choose the class.", verb="show")
    )


@does("effects.clear")
def clear(screen: ConsoleScreen, words: str = "") -> None:
    """Show every effect."""
    if isinstance(screen, LedgerScreen):
        screen.narrow(Wanted())


# -- what people say ------------------------------------------------------------------------------------


def _ask(
    one: Chosen,
    title: str,
    fields: tuple[Field, ...],
    submit: Submit,
    *,
    verb: str,
    lines: tuple[str, ...] = (),
) -> None:
    one.screen.app.push_screen(Form(title, fields, submit, about=one.about, lines=lines, verb=verb))


@does("effects.reconcile")
def reconcile(screen: ConsoleScreen, words: str = "") -> None:
    """Ask what was seen at the other side; the key under which it is looked for is shown."""
    if (one := chosen(screen)) is None:
        return
    if not (meant := one.unclear):
        screen.say("Nothing is unclear about these: it is known whether they happened.", "high")
        return
    one = one._replace(ids=meant)
    reversal = (mark := one.ledger.marks.get(meant[0])) is not None and mark.doubt
    what = "the reversal took effect" if reversal else "it happened"

    async def submit(answers: Mapping[str, str]) -> None:
        happened = answers["happened"] == "yes"
        count = await deeds.reconcile(one.room, one.ids, happened, answers["how"])
        one.done(count, f"looked into: {'happened' if happened else 'did not happen'}")

    fields = (
        Choice(
            "happened",
            f"Look at the other side: {what}?",
            (Option("y", "yes", "yes, it is there"), Option("n", "no", "no, it is not there")),
            required="Nobody says this by accident: y or n.",
        ),
        Text("how", "What you saw", words, "Say how it was seen, in one line."),
    )
    lines = tuple(f"{each[:8]}: {doubt(one.ledger, each)}" for each in meant[:3])
    more = (f"and {many(len(meant) - 3, 'effect')} more",) if len(meant) > 3 else ()
    _ask(one, "Did it happen?", fields, submit, verb="record", lines=(*lines, *more))


def _clear_first(one: Chosen) -> bool:
    """Ask about what is unclear before anything is repeated or reversed. Returns whether nothing was."""
    if one.unclear:
        reconcile(one.screen, "")
    return not one.unclear


@does("effects.move")
def move(screen: ConsoleScreen, words: str = "") -> None:
    """Ask how far undoing is, for what is undone by hand."""
    one = chosen(screen)
    if one is None or not _clear_first(one):
        return

    async def submit(answers: Mapping[str, str]) -> None:
        state = cast("Progress", answers["state"])
        count = await deeds.move(one.room, one.ids, state, answers["note"], evidence=answers["evidence"])
        one.done(count, BY_HAND[state].partition(":")[0].partition(" (")[0])

    options = tuple(
        Option(key, value, text) for key, (value, text) in zip(KEYS, BY_HAND.items(), strict=False)
    )
    fields = (
        Choice("state", "How far", options),
        Text("note", "How, why, or by whom", words),
        Text("evidence", "What shows it (may stay empty)"),
    )
    _ask(one, "Move on by hand", fields, submit, verb="record")


@does("effects.substitute")
def substitute(screen: ConsoleScreen, words: str = "") -> None:
    """Ask what was done instead."""
    if (one := chosen(screen)) is None:
        return
    row = one.room.incident.rollback.get(one.ledger.class_of(one.ids[0]))
    lines = tuple(row.action_class.substitute[:3]) if row is not None else ()

    async def submit(answers: Mapping[str, str]) -> None:
        count = await deeds.move(
            one.room, one.ids, "substituted", instead=answers["instead"], evidence=answers["evidence"]
        )
        one.done(count, "substituted; v says how that was checked")

    fields = (
        Text("instead", "What was done instead", words, "Say what was done, in one line."),
        Text("evidence", "What shows it (may stay empty)"),
    )
    _ask(one, "Done instead", fields, submit, verb="record", lines=lines)


@does("effects.waive")
def waive(screen: ConsoleScreen, words: str = "") -> None:
    """Ask why; where something cannot be undone at all, ask for the name of its class too."""
    if (one := chosen(screen)) is None:
        return
    lasting = sorted(
        {one.ledger.class_of(each) for each in one.ids if one.ledger.rows[each].reversible == "no"}
    )
    fields: list[Field] = [Text("reason", "Why it stays as it is", words, "A reason is needed, in one line.")]
    if lasting:
        label = f"It can never be undone: type {lasting[0] or 'no class'} to go on"
        fields.append(Text("confirm", label, required="Type the name of the class."))

    async def submit(answers: Mapping[str, str]) -> None:
        if lasting and answers["confirm"] != (lasting[0] or "no class"):
            raise Refused(f"That is not {lasting[0] or 'no class'}.", "Nothing was written.")
        one.done(await deeds.move(one.room, one.ids, "waived", answers["reason"]), "waived")

    _ask(one, "Leave as it is", tuple(fields), submit, verb="waive")


@does("effects.classify")
def classify(screen: ConsoleScreen, words: str = "") -> None:
    """Ask to which class they belong."""
    if (one := chosen(screen)) is None:
        return
    classes = [row.action_class for row in one.room.incident.rollback.values()]
    options = tuple(Option(key, each.id, each.name) for key, each in zip(KEYS, classes, strict=False))

    async def submit(answers: Mapping[str, str]) -> None:
        count = await deeds.classify(one.room, one.ids, answers["class"], answers["note"])
        one.done(count, f"of {answers['class']}")

    fields = (
        Choice("class", "Which class", options, one.ledger.class_of(one.ids[0])),
        Text("note", "Why (may stay empty)", words),
    )
    _ask(one, "Put into a class", fields, submit, verb="record")


@does("effects.add")
def add(screen: ConsoleScreen, words: str = "") -> None:
    """Ask for an effect that no telemetry tells of."""
    room = screen.room
    if not isinstance(screen, LedgerScreen) or room is None:
        return
    classes = [row.action_class for row in room.incident.rollback.values()]
    options = tuple(Option(key, each.id, each.name) for key, each in zip(KEYS, classes, strict=False))

    async def submit(answers: Mapping[str, str]) -> None:
        id = await deeds.add(
            room,
            answers["class"],
            answers["what"],
            agent=answers["agent"],
            target=answers["target"],
            key=answers["key"],
        )
        screen.say(f"{id[:8]} listed", "ok")

    fields = (
        Choice("class", "Class", options, screen.rows.wanted.action_class or ""),
        Text("what", "What was done", words, "Say in one line what was done."),
        Text("agent", "By which agent (may stay empty)", limit=128),
        Text("target", "What was changed (may stay empty)", limit=500),
        Text("key", "Its idempotency key (may stay empty)", limit=500),
    )
    screen.app.push_screen(Form("Write an effect down", fields, submit, verb="list it"))


# -- audits ---------------------------------------------------------------------------------------------


@does("effects.audit")
def audit(screen: ConsoleScreen, words: str = "") -> None:
    """Close an open audit with evidence; open one that waits."""
    room = screen.room
    if not isinstance(screen, LedgerScreen) or room is None or (row := screen.selected) is None:
        return
    known = room.incident.rollback.get(row.action_class)
    if row.kind != "audit" or known is None:
        return
    opened = row.id in known.audits

    async def submit(answers: Mapping[str, str]) -> None:
        if opened:
            await deeds.close_audit(room, row.action_class, row.id, answers["evidence"], answers["note"])
        else:
            await deeds.open_audit(room, row.action_class, row.id, answers["note"])
        screen.say(f"audit {row.id} of {row.action_class} {'closed' if opened else 'is open'}", "ok")

    note = Text("note", "Note (may stay empty)", "" if opened else words)
    evidence = Text("evidence", "What shows that it is complete", words, "Name the exhibit, report or query.")
    about = next((each.name for each in known.action_class.budgets if each.id == row.id), row.id)
    screen.app.push_screen(
        Form(
            "Close the audit" if opened else "Open the audit",
            (evidence, note) if opened else (note,),
            submit,
            about=f"{known.action_class.name}: {about}",
            verb="close" if opened else "open",
        )
    )


@does("effects.extend")
def extend(screen: ConsoleScreen, words: str = "") -> None:
    """Ask what was found, and which agents belong to the incident from then on."""
    room = screen.room
    if not isinstance(screen, LedgerScreen) or room is None:
        return
    row = screen.selected
    found_by = (row.action_class, row.id) if row is not None and row.kind == "audit" else ("", "")

    async def submit(answers: Mapping[str, str]) -> None:
        agents = [("default", name) for name in answers["agents"].replace(",", " ").split()]
        name, by = found_by
        await deeds.extend(room, answers["reason"], agents, action_class=name, audit=by)
        screen.say("the incident is extended; l lists what they did", "ok")

    fields = (
        Text("reason", "What was found", words, "Say in one line what was found."),
        Text("agents", "Agents that belong to the incident too, apart by blanks (may stay empty)"),
    )
    screen.app.push_screen(Form("Extend the incident", fields, submit, verb="extend"))


# -- what takes its time --------------------------------------------------------------------------------


@does("effects.draft")
def draft(screen: ConsoleScreen, words: str = "") -> None:
    """List what telemetry tells of, in the background."""
    room, desk = screen.room, screen.desk
    if not isinstance(screen, LedgerScreen) or room is None or desk is None:
        return

    async def work(own: Room, tell: Callable[[int, int], None]) -> Drafted:
        from console.evidence.capture import window_of
        from console.rollback.drafting import draft

        return await draft(own, window_of(desk.home), tell=lambda now: tell(now.done, now.total))

    def said(drafted: Drafted) -> None:
        more = f"; the incident now includes {', '.join(drafted.extended)}" if drafted.extended else ""
        unsaid = sum(drafted.answer.unsaid.values())
        calls = f"; of {many(unsaid, 'call')} nothing says whether it had an effect" if unsaid else ""
        screen.console_app.say(
            f"{many(drafted.new, 'new effect')} listed, {drafted.found - drafted.new:,} were known{more}{calls}",
            "ok",
        )

    _begin(screen, room, desk.home, "reading telemetry", work, said)


@does("effects.dry")
def dry(screen: ConsoleScreen, words: str = "") -> None:
    """Show what reversing would do, effect by effect."""
    one = chosen(screen)
    if one is not None and _clear_first(one):
        _reverse(one, real=False)


@does("effects.reverse")
def reverse(screen: ConsoleScreen, words: str = "") -> None:
    """Show what would run, then reverse for real; what writes elsewhere too is confirmed by the name of the class."""
    one = chosen(screen)
    if one is not None and _clear_first(one):
        background(screen, _confirm, one, words)


async def _confirm(one: Chosen, words: str) -> None:
    classes = {one.ledger.class_of(each) for each in one.ids}
    if len(classes) > 1:
        one.screen.say(
            f"These are of {len(classes)} classes, and each has a way of its own: ← → shows one.", "high"
        )
        return
    (name,) = classes
    found: Procedure | None = None

    async def read() -> None:
        nonlocal found
        found = await _reversing(one, one.room).procedure(name)

    if not await one.screen.attempt(read()) or found is None:
        return
    warns = found.warns

    async def submit(answers: Mapping[str, str]) -> None:
        if warns and answers["confirm"] != name:
            raise Refused(f"That is not {name}.", "Nothing was begun.")
        _reverse(one, real=True, reason=answers["reason"], confirm=name if warns else "")

    shown = [Para(" ".join(found.words), "each runs"), Para(found.origin, "from", "quiet")]
    fields: list[Field] = [Text("reason", "Why (may stay empty)", words)]
    if warns:
        shown.append(Para(warns, "WARNING", "crit"))
        fields.insert(0, Text("confirm", f"Type {name} to go on", required="Type the name of the class."))
    if found.check is None:
        shown.append(Para("there is no check: somebody looks, then v", "check", "quiet"))
    title = f"Reverse {many(len(one.ids), 'effect')} FOR REAL"
    one.screen.app.push_screen(
        Form(title, tuple(fields), submit, about=one.about, shown=shown, verb="REVERSE")
    )


@does("effects.verify")
def verify(screen: ConsoleScreen, words: str = "") -> None:
    """Run the check of the class, or ask how somebody checked."""
    if (one := chosen(screen)) is None:
        return
    row = one.room.incident.rollback.get(one.ledger.class_of(one.ids[0]))
    lines = tuple(row.action_class.verification[:3]) if row is not None else ()
    options = (
        Option("1", "run", "run the check of the class"),
        Option("2", "seen", "somebody looked (say how)"),
    )

    async def submit(answers: Mapping[str, str]) -> None:
        if answers["way"] == "run":
            _work(one, "checking", "Checked", _checked)
            return
        count = await deeds.move(one.room, one.ids, "verified", answers["how"], evidence=answers["evidence"])
        one.done(count, "verified")

    fields = (
        Choice("way", "How", options, "seen" if words else "run"),
        Text("how", "How it was checked, where somebody looked", words),
        Text("evidence", "What shows it (may stay empty)"),
    )
    _ask(one, "Verify", fields, submit, verb="verify", lines=lines)


@does("effects.stop")
def stop(screen: ConsoleScreen, words: str = "") -> None:
    """Begin no further effect."""
    if screen.console_app.undoing.stop():
        screen.say("stopped: no further effect is begun", "high")


Run = Callable[["Reversing", list[str], Callable[["Done"], None]], "Awaitable[Outcome]"]


def _checked(reversing: Reversing, ids: list[str], tell: Callable[[Done], None]) -> Awaitable[Outcome]:
    return reversing.verify(ids, tell=tell)


def _reverse(one: Chosen, *, real: bool, reason: str = "", confirm: str = "") -> None:
    def run(reversing: Reversing, ids: list[str], tell: Callable[[Done], None]) -> Awaitable[Outcome]:
        return reversing.reverse(ids, real=real, confirm=confirm, reason=reason, tell=tell)

    title = "Reversal" if real else "Dry run: nothing has changed"
    _work(one, "reversing" if real else "dry run", title, run, real=real)


def _work(one: Chosen, what: str, title: str, run: Run, *, real: bool = True) -> None:
    """Reverse or check in the background; what did not go well is shown as a page."""

    async def work(own: Room, tell: Callable[[int, int], None]) -> Outcome:
        return await run(_reversing(one, own), one.ids, lambda now: tell(now.done, now.total))

    def said(outcome: Outcome) -> None:
        well = sum(each.outcome == "done" for each in outcome.results)
        words = f"{what}: {well:,} of {many(len(one.ids), 'effect')} {'done' if real else 'would be done'}"
        one.screen.console_app.say(words, "ok" if outcome.well else "crit")
        if not one.screen.is_current:
            return
        if outcome.well and real:
            one.screen.rows.unmark(one.ids)
        else:
            paras = about_outcome(one.ledger, outcome.results, outcome.skipped, real=real)
            one.screen.app.push_screen(Page(title, [Para(words, "", "strong"), *paras]))

    _begin(one.screen, one.room, one.home, what, work, said)


def _reversing(one: Chosen, room: Room) -> Reversing:
    return one.screen.console_app.undoing.reversing(room, one.home)


def _begin(
    screen: LedgerScreen,
    room: Room,
    home: Home,
    what: str,
    work: Callable[[Room, Callable[[int, int], None]], Awaitable[T]],
    said: Callable[[T], None],
) -> None:
    app = screen.console_app

    def done(came: T | None, error: Exception | None) -> None:
        if error is not None:
            app.say(*refusal(error))
        elif came is None:
            app.say(f"{what}: stopped; what was not begun stays as it was", "high")
        else:
            said(came)
        if app.base is screen:
            screen.show_state()

    if not app.undoing.start(home, room, what, work, done):
        screen.say(f"Something else goes on from here: {app.undoing.says} - stops it.", "high")
