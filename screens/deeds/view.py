"""Deeds that change what is looked at: panes, pages, palette, command line, themes, leaving."""

from __future__ import annotations

from collections.abc import Mapping

from screens.commands import BY_ID, Pane
from screens.console_screen import ConsoleScreen, does
from screens.containment import ContainmentScreen
from screens.deeds.alerts import selected_alert
from screens.deeds.containment import open_row as open_hold
from screens.deeds.evidence import open_row
from screens.deeds.ledger import open_row as open_effect
from screens.deeds.messages import open_row as open_message
from screens.deeds.playbook import open_row as open_play
from screens.deeds.timeline import history
from screens.dialogs.form import Choice, Form, Option
from screens.dialogs.page import Page
from screens.display import many
from screens.evidence import EvidenceScreen
from screens.ledger import LedgerScreen
from screens.messages import MessagesScreen
from screens.over_room import OverRoom
from screens.reading import about_alert, about_class, about_item
from screens.room import RoomScreen
from screens.widgets.alerts import Alerts
from screens.widgets.checklist import Checklist
from screens.widgets.rollback import RollbackTracker
from screens.widgets.sheet import Para
from screens.widgets.timeline import Timeline


def _focus(screen: ConsoleScreen, pane: Pane) -> None:
    if isinstance(screen, OverRoom):
        if (room := screen.console_app.back_to_room()) is not None:
            room.focus_pane(pane)
    elif isinstance(screen, RoomScreen):
        if screen.pane == pane and screen.rows.has_focus:
            screen.toggle_class("-zoom")
        else:
            screen.focus_pane(pane)
    elif pane == "alerts":
        screen.set_focus(screen.query_one("#alerts"))


@does("focus.alerts")
def focus_alerts(screen: ConsoleScreen, words: str = "") -> None:
    """Go to the alerts; again: full screen."""
    _focus(screen, "alerts")


@does("focus.timeline")
def focus_timeline(screen: ConsoleScreen, words: str = "") -> None:
    """Go to the timeline; again: full screen."""
    _focus(screen, "timeline")


@does("focus.checklist")
def focus_checklist(screen: ConsoleScreen, words: str = "") -> None:
    """Go to the checklist; again: full screen."""
    _focus(screen, "checklist")


@does("focus.rollback")
def focus_rollback(screen: ConsoleScreen, words: str = "") -> None:
    """Go to the rollback tracker; again: full screen."""
    _focus(screen, "rollback")


@does("view.zoom")
def zoom(screen: ConsoleScreen, words: str = "") -> None:
    """Give the pane in use the whole screen, or all panes their places."""
    screen.toggle_class("-zoom")


@does("view.freeze")
def freeze(screen: ConsoleScreen, words: str = "") -> None:
    """Hold a list still, or let it go on."""
    rows = screen.rows if isinstance(screen, RoomScreen) else None
    if isinstance(rows, Alerts | Timeline):
        rows.freeze()
        screen.say("frozen: what arrives is counted; the same key goes on" if rows.frozen else "goes on")


@does("home")
def home(screen: ConsoleScreen, words: str = "") -> None:
    """Show all incidents."""
    screen.console_app.show_home()


@does("open")
def open_selection(screen: ConsoleScreen, words: str = "") -> None:
    """Show everything about the selection."""
    room, now = screen.room, screen.now()
    pane = screen.situation().pane
    if pane == "incidents":
        screen.console_app.enter_selected()
        return
    if isinstance(screen, EvidenceScreen):
        screen.start(open_row(screen))
        return
    if isinstance(screen, MessagesScreen):
        open_message(screen)
        return
    if isinstance(screen, ContainmentScreen):
        open_hold(screen)
        return
    if isinstance(screen, LedgerScreen):
        open_effect(screen)
        return
    if pane == "alerts" and (alert := selected_alert(screen)) is not None:
        names = ["alert.ack", "alert.ack_note", "alert.silence", "incident.declare", "copy"]
        if isinstance(screen, RoomScreen):
            names.insert(3, "alert.link")
        _page(screen, "Alert", about_alert(alert, now), names)
    if room is None:
        return
    if pane == "playbook" and isinstance(screen, RoomScreen):
        open_play(screen)
        return
    state = room.incident
    if pane == "timeline" and (line := screen.query_one(Timeline).selected) is not None:
        screen.start(history(screen, line.hash))
    elif pane == "checklist" and (item := screen.query_one(Checklist).selected) is not None:
        names = ["check.done", "check.claim", "check.skip", "waive"]
        _page(screen, "Checklist item", about_item(state.checklist[item.id], state, now), names)
    elif pane == "rollback" and (row := screen.query_one(RollbackTracker).selected) is not None:
        if state.ledger.tally(row.id) is not None:
            screen.console_app.show_ledger(row.id)
            return
        names = ["rollback.move", "rollback.verify", "rollback.hold", "waive"]
        _page(screen, "Action class", about_class(row.id, state, now), names)


def _page(screen: ConsoleScreen, title: str, paragraphs: list[Para], names: list[str]) -> None:
    def chosen(name: str | None) -> None:
        if name:
            screen.command(name)

    screen.app.push_screen(Page(title, paragraphs, [BY_ID[name] for name in names], screen.keymap), chosen)


@does("copy")
def copy(screen: ConsoleScreen, words: str = "") -> None:
    """Copy the id of the selection: an id of ours holds nothing that a terminal or a shell obeys."""
    pane = screen.situation().pane
    if pane == "timeline" and (line := screen.query_one(Timeline).selected) is not None:
        _copy(screen, line.hash)
    elif pane == "alerts" and (alert := selected_alert(screen)) is not None:
        _copy(screen, alert.id)
    elif pane == "checklist" and (item := screen.query_one(Checklist).selected) is not None:
        _copy(screen, item.id)
    elif pane == "rollback" and (row := screen.query_one(RollbackTracker).selected) is not None:
        _copy(screen, row.id)
    elif pane == "incidents" and (case := screen.console_app.selected_case):
        _copy(screen, case)
    elif isinstance(screen, EvidenceScreen) and (entry := screen.selected) is not None:
        _copy(screen, entry.id)
    elif isinstance(screen, ContainmentScreen) and (hold := screen.selected) is not None:
        _copy(screen, hold.id)
    elif isinstance(screen, MessagesScreen) and (message := screen.selected) is not None:
        _copy(screen, message.id)
    elif isinstance(screen, LedgerScreen) and (effect := screen.selected) is not None:
        _copy(screen, effect.id)


def _copy(screen: ConsoleScreen, text: str) -> None:
    safe = "".join(char for char in text if char.isascii() and char.isprintable())
    screen.app.copy_to_clipboard(safe)
    screen.say(f"copied {safe}", "ok")


@does("command.line")
def command_line(screen: ConsoleScreen, words: str = "") -> None:
    """Ask for a command by name."""
    from screens.dialogs.command_line import CommandLine

    def given(line: str | None) -> None:
        name, _, rest = (line or "").strip().removeprefix(":").partition(" ")
        if not name:
            return
        from screens.commands import BY_NAME

        if name in BY_NAME:
            screen.command(BY_NAME[name].id, rest.strip())
        else:
            screen.say(f"There is no command {name[:32]}; ? lists them.", "high")

    screen.app.push_screen(CommandLine(screen.place), given)


@does("command.palette")
def palette(screen: ConsoleScreen, words: str = "") -> None:
    """Search all commands."""
    screen.app.action_command_palette()


@does("theme")
def theme(screen: ConsoleScreen, words: str = "") -> None:
    """Choose a theme."""
    from screens.themes import NAMES

    async def submit(answers: Mapping[str, str]) -> None:
        screen.app.theme = answers["theme"]

    if words in NAMES:
        screen.app.theme = words
        return
    options = tuple(Option(str(number), name, name) for number, name in enumerate(NAMES, 1))
    screen.app.push_screen(
        Form("Theme", (Choice("theme", "Theme", options, screen.app.theme),), submit, verb="use")
    )


@does("help")
def help_page(screen: ConsoleScreen, words: str = "") -> None:
    """Show the keys and what they do here."""
    from screens.help import paragraphs

    screen.app.push_screen(Page("Help", paragraphs(screen.place, screen.situation(), screen.keymap)))


@does("quit")
def leave(screen: ConsoleScreen, words: str = "") -> None:
    """Quit; ask first when something runs, or is typed and not saved, here or in the dialog that is open."""
    app = screen.console_app
    form = app.screen if isinstance(app.screen, Form) else None
    answers = form.typed if form is not None else ""
    text = "\n".join(filter(None, (screen.typed.strip(), answers)))
    if app.screen.id == "quit" or not (text or app.playing.busy or app.stopping.busy):
        app.exit()
        return
    if not text:
        _ask_to_end_runs(screen)
        return

    async def submit(chosen: Mapping[str, str]) -> None:
        if chosen["what"] == "leave":
            if answers:
                screen.keep(answers)
            app.exit()
        elif form is None:
            screen.command("write.note")

    room = screen.room
    kept = isinstance(screen, RoomScreen | OverRoom) and room is not None and not room.drafts.trouble
    options = (
        Option("s", "stay", "stay and finish it"),
        Option("q", "leave", "quit; it is in the write bar next time" if kept else "quit; it is lost"),
    )
    choice = Choice("what", f"Typed and not saved: {many(len(text), 'character')}", options, "stay")
    app.push_screen(Form("Quit", (choice,), submit, about=text, verb="do it", id="quit"))


def _ask_to_end_runs(screen: ConsoleScreen) -> None:
    """A step that is ended in the middle has an effect that nobody knows."""

    async def submit(chosen: Mapping[str, str]) -> None:
        if chosen["what"] == "leave":
            screen.console_app.exit()

    what, end = "A step of a playbook runs on this console", "end it and quit; its effect is unknown then"
    if screen.console_app.stopping.busy:
        what, end = "A halt is under way from this console", "quit; the next console goes on with it"
    options = (Option("s", "stay", "stay until it is over"), Option("q", "leave", end))
    choice = Choice("what", what, options, "stay")
    screen.app.push_screen(Form("Quit", (choice,), submit, verb="do it", id="quit"))
