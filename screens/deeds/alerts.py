"""Deeds on alerts: acknowledge, silence, add to the incident, declare."""

from __future__ import annotations

from collections.abc import Mapping

from console.alerts import Alert
from screens.console_screen import ConsoleScreen, does
from screens.dialogs.form import Choice, Form, Option, Text
from screens.display import fit, many
from screens.times import MINUTE, hm

QUIET = (
    Option("1", "15", "15 minutes"),
    Option("2", "60", "1 hour"),
    Option("3", "240", "4 hours"),
    Option("4", "0", "until it ends"),
)
SEVERITIES = tuple(
    Option(str(level), str(level), text)
    for level, text in (
        (1, "SEV1  harm, data exposure or many customers: everybody now"),
        (2, "SEV2  wrong outcomes repeat, or when unsure"),
        (3, "SEV3  one feature or one tenant"),
        (4, "SEV4  minor, there is a way around"),
        (5, "SEV5  cosmetic"),
    )
)


def selected_alert(screen: ConsoleScreen) -> Alert | None:
    """Return the alert that a deed on alerts means."""
    alert: Alert | None = getattr(screen, "selected_alert", None)
    return alert


@does("alert.ack")
def acknowledge(screen: ConsoleScreen, words: str = "") -> None:
    """Acknowledge at once; words after the command are the note."""
    alert, desk = selected_alert(screen), screen.desk
    if alert is not None and desk is not None:
        screen.start(
            desk.acknowledge(alert.id, words), f"acknowledged {alert.facts.rule} of {alert.facts.agent}"
        )


@does("alert.ack_note")
def acknowledge_with_note(screen: ConsoleScreen, words: str = "") -> None:
    """Ask for the note, then acknowledge."""
    alert, desk = selected_alert(screen), screen.desk
    if alert is None or desk is None:
        return

    async def submit(answers: Mapping[str, str]) -> None:
        await desk.acknowledge(alert.id, answers["note"])

    note = Text("note", "What you do about it", words, "Say in one line what you do about it.")
    screen.app.push_screen(
        Form("Acknowledge", (note,), submit, about=alert.facts.sentence, verb="acknowledge")
    )


@does("alert.ack_ended")
def acknowledge_ended(screen: ConsoleScreen, words: str = "") -> None:
    """Ask for one note, then acknowledge all alerts that ended unseen."""
    desk = screen.desk
    if desk is None:
        return

    async def submit(answers: Mapping[str, str]) -> None:
        count = await desk.acknowledge_ended(answers["note"])
        screen.say(f"acknowledged {many(count, 'ended alert')}", "ok")

    note = Text("note", "Who looked at them, and what they were", words, "Say it in one line.")
    screen.app.push_screen(Form("Acknowledge all that ended", (note,), submit, verb="acknowledge"))


@does("alert.silence")
def silence(screen: ConsoleScreen, words: str = "") -> None:
    """Ask how long and why, then silence."""
    alert, desk = selected_alert(screen), screen.desk
    if alert is None or desk is None:
        return

    async def submit(answers: Mapping[str, str]) -> None:
        minutes = int(answers["long"])
        until = desk.clock.now() + minutes * MINUTE if minutes else None
        await desk.silence(alert.id, until, answers["reason"])
        screen.say(f"silenced until {hm(until)}Z" if until else "silenced until it ends", "ok")

    fields = (
        Choice("long", "For how long", QUIET, "15"),
        Text("reason", "Why nobody needs to look", words, "Silencing needs a reason, in one line."),
    )
    screen.app.push_screen(Form("Silence", fields, submit, about=alert.facts.sentence, verb="silence"))


@does("alert.link")
def link(screen: ConsoleScreen, words: str = "") -> None:
    """Copy the alert into the incident."""
    alert, room = selected_alert(screen), screen.room
    if alert is not None and room is not None:
        screen.start(room.link([alert]), f"{alert.facts.rule} of {alert.facts.agent} belongs to {room.code}")


def _title(alert: Alert) -> str:
    """Return the part of an alert's sentence that says what happened, without since when and whom it pages."""
    return fit(alert.facts.sentence.partition(", since ")[0], 120).strip()


@does("incident.declare")
def declare(screen: ConsoleScreen, words: str = "") -> None:
    """Ask for severity and title, then declare; the selected alert gives the title and belongs to the incident."""
    alert, desk = selected_alert(screen), screen.desk
    if desk is None:
        return
    app = screen.console_app

    async def submit(answers: Mapping[str, str]) -> None:
        await desk.declare(
            answers["title"],
            int(answers["severity"]),
            alerts=[alert.id] if alert is not None else [],
            reason=answers["reason"],
        )

    def declared(done: bool | None) -> None:
        if done:
            app.show_room()

    fields = (
        Choice("severity", "Severity: one digit", SEVERITIES, "2"),
        Text(
            "title",
            "What is wrong, one line",
            words or (_title(alert) if alert is not None else ""),
            "An incident needs a title: say what is wrong in one line.",
            limit=200,
        ),
        Text("reason", "Why this severity (may stay empty)"),
    )
    about = f"With alert {alert.facts.rule} of {alert.facts.agent}" if alert is not None else ""
    app.push_screen(Form("Declare an incident", fields, submit, about=about, verb="declare"), declared)
