"""Deeds on playbooks: opening, filling in, running, approving, and saying how it went."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from console.refusal import Refused
from console.runner.fill import said
from playbooks import duration
from screens.background import background
from screens.commands import BY_ID
from screens.console_screen import ConsoleScreen, does, refusal
from screens.dialogs.form import Choice, Form, Option, Text
from screens.dialogs.page import Page
from screens.reading_playbook import about_book, about_play, about_step, in_keys, named, run_end, would_run
from screens.room import RoomScreen
from screens.times import hms
from screens.widgets.playbook import PlaybookPane, PlayRow
from screens.widgets.sheet import Para

if TYPE_CHECKING:
    from console.events import StepMark
    from console.room import Room
    from console.runner.document import Value
    from console.runner.fill import Given
    from console.runner.player import Player
    from console.runner.state import Play, Run, StepState

Settled = Literal["happened", "not", "repeat"]


class Chosen(NamedTuple):
    """A step, with all that it takes to do something with it."""

    screen: RoomScreen
    room: Room
    player: Player
    play: Play
    state: StepState

    @property
    def id(self) -> str:
        """The id of the step."""
        return self.state.step.id

    @property
    def named(self) -> str:
        """The step in words, for a sentence about it."""
        return named(self.player, self.play, self.state)

    @property
    def output(self) -> list[str]:
        """What its newest run here printed."""
        return output_of(self.screen, self.state)


def output_of(screen: ConsoleScreen, state: StepState) -> list[str]:
    """Return the last lines of what the newest run of a step printed on this console."""
    return list(screen.console_app.playing.output.get(state.runs[-1].id, ())) if state.runs else []


def selected_row(screen: ConsoleScreen) -> PlayRow | None:
    """Return the row under the cursor of the playbook pane."""
    return screen.query_one(PlaybookPane).selected if isinstance(screen, RoomScreen) else None


def chosen(screen: ConsoleScreen) -> Chosen | None:
    """Return the step under the cursor."""
    row, room = selected_row(screen), screen.room
    if row is None or room is None or row.kind != "step" or not isinstance(screen, RoomScreen):
        return None
    player = screen.console_app.playing.player(room)
    play, state = player.plays.opened.get(row.playbook), player.plays.step(row.playbook, row.step)
    return Chosen(screen, room, player, play, state) if play is not None and state is not None else None


def paragraphs(screen: RoomScreen) -> list[Para]:
    """Return what there is to read about the selected row."""
    row, room = selected_row(screen), screen.room
    if row is None or room is None:
        return []
    if (step := chosen(screen)) is not None:
        return about_step(step.player, step.play, step.state, step.output)
    playing = screen.console_app.playing
    player = playing.player(room)
    if row.kind == "play" and (play := player.plays.opened.get(row.playbook)) is not None:
        return about_play(player, play)
    book = next((each for each in playing.books(room.incident) or () if each.id == row.playbook), None)
    return about_book(book) if book is not None else []


def open_row(screen: RoomScreen) -> None:
    """Show everything about the selected row, and what can be done with it."""
    row = selected_row(screen)
    if row is None:
        return
    titles = {"step": "Step", "play": "Playbook", "book": "Playbook of the library"}
    names = {
        "step": ("play.dry", "play.run", "check.done", "play.fill", "play.approve", "play.decide", "entry.settle",
                 "play.stop", "check.skip", "waive"),
        "play": ("play.fill",),
        "book": ("play.open",),
    }[row.kind]  # fmt: skip
    _page(screen, titles[row.kind], paragraphs(screen), names)


def _page(screen: RoomScreen, title: str, paras: list[Para], names: tuple[str, ...]) -> None:
    from screens.commands import reason

    now = screen.situation()
    commands = [command for name in names if not reason(command := BY_ID[name], now)]

    def leave(name: str | None) -> None:
        if name:
            screen.command(name)

    screen.app.push_screen(Page(title, paras, commands, screen.keymap), leave)


def _ask(
    step: Chosen,
    title: str,
    fields: tuple[Text | Choice, ...],
    submit: Callable[[Mapping[str, str]], Awaitable[None]],
    *,
    verb: str,
    shown: list[Para] | None = None,
) -> None:
    about = said(step.state.step.text, step.player.values(step.play)) if shown is None else ""
    step.screen.app.push_screen(Form(title, fields, submit, about=about, verb=verb, shown=shown or []))


# -- open, close, fill in -----------------------------------------------------------------------------------


@does("focus.playbook")
def focus(screen: ConsoleScreen, words: str = "") -> None:
    """Go to the playbooks; again: full screen."""
    room = screen.console_app.back_to_room() or screen
    if not isinstance(room, RoomScreen):
        return
    if room.pane == "playbook" and room.rows.has_focus:
        room.toggle_class("-zoom")
    else:
        room.focus_pane("playbook")
    background(room, _read, room)


async def _read(screen: RoomScreen) -> None:
    if not screen.console_app.playing.read:
        await screen.attempt(screen.console_app.playing.read_library())
        screen.show_state()


@does("play.open")
def open_book(screen: ConsoleScreen, words: str = "") -> None:
    """Open the selected playbook of the library, or the one that is named."""
    row, room = selected_row(screen), screen.room
    if not isinstance(screen, RoomScreen) or room is None:
        return
    name = words.strip() or (row.playbook if row is not None and row.kind == "book" else "")
    if not name:
        # On a step: the library is further down.
        focus_library(screen)
        return
    background(screen, _open, screen, room, name)


def focus_library(screen: RoomScreen) -> None:
    """Put the cursor on the first playbook that is not open, the one that fits best."""
    if screen.pane != "playbook":
        screen.command("focus.playbook")
    pane = screen.query_one(PlaybookPane)
    book = next((place for place, row in enumerate(pane.all_rows) if row.kind == "book"), None)
    if book is not None:
        pane.go(book)
        screen.say("O opens the playbook under the cursor; Enter shows it")


async def _open(screen: RoomScreen, room: Room, name: str) -> None:
    playing = screen.console_app.playing

    async def work() -> None:
        await playing.read_library()
        book = playing.book(name)
        reason = next((each.reason for each in playing.books(room.incident) or () if each.id == name), "")
        play = await playing.player(room).open(book, reason)
        screen.focus_pane("playbook")
        screen.show_state()
        _choose(screen, play, play.next)
        screen.say(f"{play.document.title} is open", "ok")

    await screen.attempt(work())


def _choose(screen: RoomScreen, play: Play, state: StepState | None) -> None:
    """Put the cursor on a step."""
    if state is not None:
        screen.query_one(PlaybookPane).choose(play.id, state.step.id)


@does("play.next")
def due(screen: ConsoleScreen, words: str = "") -> None:
    """Go to the step that is due; from one that is settled, to the open one below it."""
    row, room = selected_row(screen), screen.room
    play = room.incident.plays.opened.get(row.playbook) if row is not None and room is not None else None
    if play is None or row is None or not isinstance(screen, RoomScreen):
        return
    if play.next is None:
        screen.say(f"Nothing is left to do in {play.document.title}; :closeplaybook closes it.", "ok")
    here = play.steps.get(row.step)
    _choose(screen, play, play.after(row.step) if here is not None and here.settled else play.next)


def _go_on(step: Chosen, done: str) -> None:
    """Say what became of a step, and go on below it, unless the person went elsewhere meanwhile."""
    step.screen.show_state()
    play = step.player.plays.opened.get(step.play.id)
    if play is None:
        return
    row = selected_row(step.screen)
    if row is not None and (row.playbook, row.step) == (play.id, step.id) and play.steps[step.id].settled:
        _choose(step.screen, play, play.after(step.id))
    left = "" if play.next is not None else "  Nothing is left to do; :closeplaybook closes it."
    step.screen.say(f"{done}{left}", "ok")


@does("play.close")
def close(screen: ConsoleScreen, words: str = "") -> None:
    """Close the playbook under the cursor, with a reason."""
    row, room = selected_row(screen), screen.room
    if row is None or room is None or row.kind not in ("play", "step"):
        return
    player = screen.console_app.playing.player(room)

    title = player.plays.opened[row.playbook].document.title

    async def submit(answers: Mapping[str, str]) -> None:
        await player.close(row.playbook, answers["reason"])
        screen.say(f"{title} is closed; what was done with it stays", "ok")

    reason = Text("reason", "Why it is closed", words, "Say why in one line.")
    screen.app.push_screen(Form("Close the playbook", (reason,), submit, about=title, verb="close it"))


@does("play.fill")
def fill_in(screen: ConsoleScreen, words: str = "") -> None:
    """Ask for the values of the selected step, or for all of the playbook."""
    row, room = selected_row(screen), screen.room
    if row is None or room is None:
        return
    player = screen.console_app.playing.player(room)
    play = player.plays.opened.get(row.playbook)
    if play is None:
        return
    given = player.given(play)
    known = {name: each.text for name, each in given.items()}
    needed = _needed(play, row.step)
    asked = [value for value in play.document.values if not row.step or value.name in needed]
    if not asked:
        screen.say("This step needs no values; on the head of the playbook = asks for all of them.", "high")
        return
    asked.sort(key=lambda value: value.name in known)
    fields = tuple(
        Text(
            value.name,
            f"{value.name}: {value.ask}" + _beside(value, given.get(value.name)),
            known.get(value.name, ""),
        )
        for value in asked
    )

    async def submit(answers: Mapping[str, str]) -> None:
        from console.runner.fill import check

        changed = [value for value in asked if answers[value.name] != known.get(value.name, "")]
        for value in changed:
            if answers[value.name]:
                check(value, answers[value.name])
        for value in changed:
            await player.fill(value.name, answers[value.name], row.playbook)
        names = ", ".join(value.name for value in changed)
        screen.say(f"filled in: {names}" if names else "nothing was changed", "ok")

    screen.app.push_screen(Form("Values", fields, submit, about=play.document.title, verb="fill in"))


def _beside(value: Value, given: Given | None) -> str:
    """Return where a value comes from, or what one looks like."""
    if given is not None and given.origin != "filled in":
        return f" ({given.origin})"
    return f" (as in {value.example})" if value.example else ""


def _needed(play: Play, step: str) -> set[str]:
    """Return the names of the values that a step uses, in its words and in what it runs."""
    from console.runner.document import PLACEHOLDER
    from data.canonical import encode

    state = play.steps.get(step)
    if state is None:
        return set()
    import msgspec

    return set(PLACEHOLDER.findall(encode(msgspec.to_builtins(state.step)).decode()))


# -- running ------------------------------------------------------------------------------------------------


@does("play.dry")
def dry_run(screen: ConsoleScreen, words: str = "") -> None:
    """Run the selected step without its effect; what knows no dry run is shown and not run."""
    if (step := chosen(screen)) is not None and not _hindered(step, real=False):
        _run(step, real=False)


@does("play.run")
def run(screen: ConsoleScreen, words: str = "") -> None:
    """Show exactly what would run and what it does, and run it once that was confirmed."""
    step = chosen(screen)
    if step is None or _hindered(step, real=True):
        return
    plan = step.state.step
    what = would_run(step.player, step.play, step.state)
    if not what and plan.wait is not None:
        what = f"wait until {plan.wait.until}"
    known = step.player.values(step.play)
    shown = [
        Para(what, "runs", "strong"),
        Para(said(plan.expect, known) or "the playbook does not say", "effect"),
        Para(said(plan.verify, known) or "the playbook does not say", "verify"),
        Para(plan.reach, "reaches"),
    ]
    fields: tuple[Text, ...] = ()
    if plan.destroys_evidence:
        shown.append(Para("What it takes away is gone for good.", "DESTROYS", "crit"))
        fields = (Text("confirm", f"Type the name of the step: {plan.id}", "", f"Type {plan.id}."),)

    async def submit(answers: Mapping[str, str]) -> None:
        typed = answers.get("confirm", "")
        if plan.destroys_evidence and typed != plan.id:
            raise Refused(f"Type {plan.id} to run it.", "Esc leaves everything as it is.")
        now = would_run(step.player, step.play, step.state)
        if plan.wait is None and now != what:
            raise Refused("Meanwhile something else would run.", "Esc, then look at it again.")
        _run(step, real=True, confirm=typed)

    _ask(step, f"Run for real: {plan.id}", fields, submit, verb="run it FOR REAL", shown=shown)


def _hindered(step: Chosen, *, real: bool) -> bool:
    """Show what is in the way, if anything is."""
    refusals = step.player.hindrances(step.play, step.state, real=real, confirm=step.id)
    if refusals:
        words = in_keys(refusals, step.play, step.state)
        step.screen.say(words[0], "high")
        if len(words) > 1:
            open_row(step.screen)
    return bool(refusals)


def _run(step: Chosen, *, real: bool, confirm: str = "") -> None:
    how = "for real" if real else "dry run"
    step.screen.say(f"{step.named}: {how}; T ends it, and it goes on whatever you look at", "")
    _start(step.screen, step.room, step.play, step.state, real=real, confirm=confirm)


def _start(
    screen: ConsoleScreen, room: Room, play: Play, state: StepState, *, real: bool, confirm: str = ""
) -> None:
    app, desk = screen.console_app, screen.desk
    if desk is None:
        return
    words = named(app.playing.player(room), play, state)

    def done(ended: Exception | Run) -> None:
        if app.desk is None:
            return  # the console is being left: the record has its end
        if isinstance(ended, Exception):
            app.say(*_broke_off(words, ended))
        else:
            app.say(run_end(ended, words), "ok" if ended.outcome in ("done", "") else "crit")
        if isinstance(app.base, RoomScreen):
            app.base.show_state()
            if isinstance(ended, Exception) and app.base.room is room:
                # Its end may be missing on the record: then nobody knows, and that is said.
                background(app.base, look_for_unknown, app.base, room)

    app.playing.run(desk.home, room, play.id, state.step.id, done, real=real, confirm=confirm)


def _broke_off(words: str, error: Exception) -> tuple[str, str]:
    """Return what to say about a run that did not come to an end of its own, whatever the reason."""
    try:
        return refusal(error)
    except Exception:
        return f"{words} broke off by a fault of the console ({type(error).__name__}: {error}).", "crit"


@does("play.stop")
def stop(screen: ConsoleScreen, words: str = "") -> None:
    """End the run of the selected step, or the one that goes on; what would run by itself never begins."""
    room = screen.room
    if room is None:
        return
    player = screen.console_app.playing.player(room)
    step = chosen(screen) if isinstance(screen, RoomScreen) else None
    plays, here = player.plays, step.state if step is not None else None
    coming = [
        (play, state)
        for play in plays.opened.values()
        for state in play.steps.values()
        if state.announced is not None and state.running is None and not state.settled
    ]
    coming = [each for each in coming if each[1] is here] or coming
    if coming and (here is None or here.running is None):
        # What has not begun comes first: to hold it back harms nothing.
        screen.start(_withdraw(screen, player, coming, words))
        return
    if plays.grants and not any(run.running for run in plays.runs.values()):
        screen.start(player.withdraw(reason=words), "Nothing runs by itself any more")
        return

    async def work() -> None:
        going = here.running if here is not None else None
        going = going or player.run_named()
        left = await player.stop(going, words)
        if left:
            raise Refused(f"Processes {', '.join(map(str, sorted(left)))} of it cannot be ended from here.")
        screen.say("told to end: " + _named_run(player, going), "high")

    screen.start(work())


async def _withdraw(
    screen: ConsoleScreen, player: Player, coming: list[tuple[Play, StepState]], why: str
) -> None:
    words = "; ".join(named(player, play, state) for play, state in coming)
    for name in {state.announced[1] for _, state in coming if state.announced is not None}:
        await player.withdraw(name, why)
    screen.say(f"does not run by itself: {words}", "ok")


@does("play.grant")
def grant(screen: ConsoleScreen, words: str = "") -> None:
    """Let the step run by itself for a time, with a reason."""
    step = chosen(screen)
    if step is None:
        return

    async def submit(answers: Mapping[str, str]) -> None:
        try:
            until = step.room.clock.now() + duration.parse(answers["for"])
        except ValueError as error:
            raise Refused(f"{answers['for']} is not a duration: {error}.", "As in 1 h.") from None
        await step.player.grant([step.id], until, answers["reason"], step.play.id)
        screen.show_state()
        screen.say(f"{step.named}: may run by itself until {hms(until)}Z; T stops it", "ok")

    fields = (
        Text("for", "For how long, up to a day", "1 h", "Say for how long, as in 1 h."),
        Text("reason", "Why it need not wait for a person", words, "A reason is needed, in one line."),
    )
    shown = [
        Para(would_run(step.player, step.play, step.state), "runs", "strong"),
        Para(step.state.step.reach, "reaches"),
        Para("announced before, with a countdown; recorded after; once", "how"),
    ]
    _ask(step, "Let it run by itself", fields, submit, verb="grant it", shown=shown)


def _named_run(player: Player, run: Run) -> str:
    play, state = player.plays.opened.get(run.playbook), player.plays.step(run.playbook, run.step)
    return named(player, play, state) if play is not None and state is not None else run.step


# -- what people say ----------------------------------------------------------------------------------------


@does("play.approve")
def approve(screen: ConsoleScreen, words: str = "") -> None:
    """Show exactly what would run, and approve it for one run."""
    step = chosen(screen)
    if step is None:
        return
    what = would_run(step.player, step.play, step.state)
    shown = [
        Para(what, "approves", "strong"),
        Para(
            said(step.state.step.expect, step.player.values(step.play)) or "the playbook does not say",
            "effect",
        ),
        Para(step.state.step.reach, "reaches"),
    ]

    async def submit(answers: Mapping[str, str]) -> None:
        if would_run(step.player, step.play, step.state) != what:
            raise Refused("Meanwhile something else would run.", "Esc, then look at it again.")
        await step.player.approve(step.id, step.play.id)
        screen.say(f"{step.named}: approved, for one run as it is filled in now", "ok")

    _ask(step, f"Approve: {step.id}", (), submit, verb="approve it", shown=shown)


def tick(screen: ConsoleScreen, words: str = "") -> None:
    """Say that the step is done and what shows it, or open it again; a decision is answered."""
    step = chosen(screen)
    if step is None:
        return
    if step.state.settled:
        screen.start(step.player.mark(step.id, "open", "", "", step.play.id), f"{step.named}: open again")
        return
    if step.state.step.decision is not None:
        decide(screen, words)
        return
    plan = step.state.step
    known = step.player.values(step.play)

    async def submit(answers: Mapping[str, str]) -> None:
        await step.player.mark(step.id, "done", answers["reason"], answers["evidence"], step.play.id)
        _go_on(step, f"{step.named}: done")

    fields = (
        Text("evidence", "What shows it: an exhibit, an entry or a link (may stay empty)", words),
        Text("reason", "Note (may stay empty)"),
    )
    shown = [
        Para(said(plan.text, known), "done", "strong"),
        Para(said(plan.verify, known) or "the playbook does not say", "verify"),
    ]
    _ask(step, "Done", fields, submit, verb="done", shown=shown)


def leave_out(screen: ConsoleScreen, mark: StepMark, title: str, words: str) -> None:
    """Leave the step out, with a reason."""
    step = chosen(screen)
    if step is None:
        return

    async def submit(answers: Mapping[str, str]) -> None:
        await step.player.mark(step.id, mark, answers["reason"], "", step.play.id)
        _go_on(step, f"{step.named}: {mark.replace('_', ' ')}")

    reason = Text("reason", "Why", words, "A reason is needed, in one line.")
    _ask(step, title, (reason,), submit, verb=title.lower())


@does("play.decide")
def decide(screen: ConsoleScreen, words: str = "") -> None:
    """Answer the decision, with a reason."""
    step = chosen(screen)
    decision = step.state.step.decision if step is not None else None
    if step is None or decision is None:
        return
    known = step.player.values(step.play)
    options = tuple(
        Option(str(place), each.id, f"{each.id}: {said(each.text, known)}")
        for place, each in enumerate(decision.options, 1)
    )

    async def submit(answers: Mapping[str, str]) -> None:
        await step.player.decide(step.id, answers["option"], answers["reason"], step.play.id)
        _go_on(step, f"decided: {chosen_text(answers['option'])}")

    def chosen_text(option: str) -> str:
        return next(said(each.text, known) for each in decision.options if each.id == option)

    fields = (
        Choice("option", said(decision.question, known), options, step.state.option, "Choose one first."),
        Text("reason", "Why", words, "A decision needs a reason."),
    )
    _ask(step, "Decide", fields, submit, verb="decide")


def settle(screen: ConsoleScreen, words: str = "") -> None:
    """Say what became of a run whose effect nobody knows."""
    step = chosen(screen)
    if step is None:
        return
    options = (
        Option("h", "happened", "it happened: the step is done"),
        Option("n", "not", "it did not happen: the step is open"),
        Option("r", "repeat", "not known, and doing it again does no harm"),
    )

    async def submit(answers: Mapping[str, str]) -> None:
        word = cast("Settled", answers["word"])
        await step.player.settle(step.id, word, answers["reason"], step.play.id)
        became = {"happened": "it took effect", "not": "it had no effect", "repeat": "it may run again"}
        _go_on(step, f"{step.named}: {became[word]}")

    fields = (
        Choice("word", "What became of it", options, required="Choose one first."),
        Text("reason", "What you saw", words, "Say what you saw, in one line."),
    )
    _ask(step, "Unknown effect", fields, submit, verb="settle it")


@does("play.exempt")
def exempt(screen: ConsoleScreen, words: str = "") -> None:
    """Let the step through the change freeze of this incident, with a reason."""
    step = chosen(screen)
    if step is None:
        return

    async def submit(answers: Mapping[str, str]) -> None:
        await step.player.exempt(step.id, answers["reason"], step.play.id)
        screen.say(f"{step.named}: the freeze lets it through", "ok")

    reason = Text("reason", "How it belongs to this incident", words, "An exemption needs a reason.")
    _ask(step, "Exempt from the freeze", (reason,), submit, verb="exempt it")


# -- after a crash ------------------------------------------------------------------------------------------


async def look_for_unknown(screen: RoomScreen, room: Room) -> None:
    """Show a run whose effect nobody knows before anything else; what is typed keeps the keyboard."""
    player = screen.console_app.playing.player(room)

    async def look() -> None:
        await room.refresh()
        await player.lost()

    await screen.attempt(look())
    if screen.room is not room:
        return
    if not room.read_only:
        for play, waiting in screen.console_app.playing.unattended(room):
            _start(screen, room, play, waiting, real=True)
    unclear = [
        (play, state)
        for play in player.plays.opened.values()
        for state in play.steps.values()
        if play.open and state.standing == "unclear"
    ]
    if not unclear:
        return
    play, state = unclear[0]
    if screen.typed:
        screen.show_pane("playbook")
    else:
        screen.focus_pane("playbook")
    screen.show_state()
    screen.query_one(PlaybookPane).choose(play.id, state.step.id)
    more = f", and {len(unclear) - 1} more" if len(unclear) > 1 else ""
    screen.say(f"UNKNOWN EFFECT: {named(player, play, state)}{more}. Look, then u.", "crit")
    await _read(screen)
