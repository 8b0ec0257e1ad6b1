"""Deeds on the incident: severity, roles, containment, cadence, title, close."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from console import runbook
from console.refusal import Refused
from console.room import Room
from console.scribe import parse
from screens.console_screen import ConsoleScreen, does
from screens.deeds.alerts import SEVERITIES
from screens.dialogs.form import Choice, Form, Option, Text
from screens.display import fit
from screens.times import DAY, MINUTE, day_hms

ROLES = (
    ("1", "ic", "incident commander: decides, owns severity and updates"),
    ("2", "ops", "operations lead: mitigates and rolls back"),
    ("3", "scribe", "scribe: keeps the timeline"),
    ("4", "comms", "communications lead: customers and stakeholders"),
    ("5", "security", "security lead: forensics and breach handling"),
)


@does("severity.set")
def severity(screen: ConsoleScreen, words: str = "") -> None:
    """Ask for severity and reason, then set it."""
    room = screen.room
    if room is None:
        return
    digit, _, why = words.partition(" ")

    async def submit(answers: Mapping[str, str]) -> None:
        import asyncio

        level = int(answers["severity"])
        if level == room.incident.severity:
            raise Refused(f"The severity is {level} already.", "Choose another, or leave with Esc.")
        label = await asyncio.to_thread(runbook.label, level, room.incident.profile or "merged")
        await room.set_severity(level, label, answers["reason"])
        screen.say(f"severity is now {label}", "ok")

    fields = (
        Choice("severity", "Severity: one digit", SEVERITIES, digit or str(room.incident.severity)),
        Text("reason", "Why", why, "A change of severity needs a reason, in one line."),
    )
    screen.app.push_screen(Form("Severity", fields, submit, verb="set"))


@does("role.assign")
def role(screen: ConsoleScreen, words: str = "") -> None:
    """Ask for role and person; the person who holds a shared role gives it up the same way."""
    room = screen.room
    if room is None:
        return
    given, _, person = words.partition(" ")
    held = room.incident.roles

    def option(key: str, name: str, text: str) -> Option:
        people = fit(", ".join(held.get(name, ())), 24).strip()
        return Option(key, name, f"{text}  [{people}]" if people else text)

    async def submit(answers: Mapping[str, str]) -> None:
        name, who = answers["role"], answers["person"]
        if who.startswith("-"):
            await room.release(name, who[1:].strip(), answers["reason"])
        else:
            await room.assign(name, who, answers["reason"])
        screen.say(f"{who.lstrip('-')} {'gives up' if who.startswith('-') else 'is'} {name}", "ok")

    fields = (
        Choice("role", "Role", tuple(option(*each) for each in ROLES), given),
        Text(
            "person",
            "Person; -name takes the role back",
            person or room.actor,
            "A role needs a person.",
            limit=128,
        ),
        Text("reason", "Why, or what is handed over (may stay empty)"),
    )
    screen.app.push_screen(Form("Roles", fields, submit, verb="assign"))


@does("containment.confirm")
def contain(screen: ConsoleScreen, words: str = "") -> None:
    """Ask how it is known, then confirm containment."""
    room = screen.room
    if room is None:
        return

    async def submit(answers: Mapping[str, str]) -> None:
        now = room.clock.now()
        # The grammar of the scribe gives the time: `14:05 text` or `-5m text`.
        said = parse(answers["how"], now, now)
        event = await room.contain(said.note.text, said.at if said.backdated else None)
        screen.say(f"contained at {day_hms(event.at, now)}Z; the rollback clocks run", "ok")

    from screens.reading_containment import proposal_words

    how = Text(
        "how",
        "What was stopped, and how you know; 14:05 or -5m in front gives the time",
        words or proposal_words(screen.console_app.moves(room)),
        "Containment needs the how, in one line.",
    )
    screen.app.push_screen(
        Form("Confirm containment", (how,), submit, verb="confirm: the rollback clocks start")
    )


@does("harm.confirm")
def harm(screen: ConsoleScreen, words: str = "") -> None:
    """Ask what harm is confirmed, then start the clock of the 30 seconds (S003-KS-1)."""
    room = screen.room
    if room is None:
        return

    async def submit(answers: Mapping[str, str]) -> None:
        now = room.clock.now()
        said = parse(answers["what"], now, now)
        await room.state_moment("harm_confirmed", said.at, "recorded", said.note.text[:512])
        screen.say(f"harm confirmed at {day_hms(said.at, now)}Z: 30 seconds to containment", "crit")

    what = Text(
        "what",
        "Which harm, and how you know; 14:05 or -5m in front gives the time",
        words,
        "Say in one line what harm is confirmed.",
    )
    screen.app.push_screen(Form("Confirm harm", (what,), submit, verb="confirm: 30 seconds to containment"))


@does("update.promise")
def promise(screen: ConsoleScreen, words: str = "") -> None:
    """Record when the next update was promised for: a time of day, or minutes from now."""
    _one_line(
        screen,
        "Next update",
        Text("due", "When: 14:30 (UTC), or 20 for in 20 minutes", "", "Give a time, as in 14:30.", limit=6),
        lambda room, said: room.promise_update(_soon(said, room.clock.now())),
        "next update promised",
        words,
    )


def _soon(text: str, now: int) -> int:
    """Return the next time of day that `text` names, or that many minutes from `now` (ns UTC)."""
    hours, colon, minutes = text.strip().rstrip("Z").partition(":")
    if not colon:
        return now + _minutes(hours) * MINUTE
    if not (hours.isdecimal() and minutes.isdecimal() and int(hours) < 24 and int(minutes) < 60):
        raise Refused(f"{text} is not a time of day.", "Write hours and minutes in UTC, as in 14:30.")
    at = now - now % DAY + (int(hours) * 60 + int(minutes)) * MINUTE
    return at if at > now else at + DAY


@does("cadence.set")
def cadence(screen: ConsoleScreen, words: str = "") -> None:
    """Set the update interval in minutes."""
    _one_line(
        screen,
        "Update interval",
        Text(
            "minutes",
            "Minutes between updates; 0 stops the clock",
            "",
            "Give whole minutes, as in 30.",
            limit=6,
        ),
        lambda room, said: room.set_cadence(_minutes(said) * 60),
        "update interval set",
        words,
    )


def _minutes(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 7 * 24 * 60:
        raise Refused(f"{text} is not a number of minutes.", "Give whole minutes up to a week, as in 30.")
    return int(text)


@does("incident.title")
def retitle(screen: ConsoleScreen, words: str = "") -> None:
    """Change the title."""
    room = screen.room
    title = room.incident.title if room is not None else ""
    field = Text("title", "What is wrong, one line", title, "An incident needs a title.", limit=200)
    _one_line(screen, "Title", field, lambda room, said: room.retitle(said), "title changed", words)


@does("incident.close")
def close(screen: ConsoleScreen, words: str = "") -> None:
    """Say what is unfinished, ask why it is over all the same, then close."""
    room = screen.room
    if room is None:
        return
    left = room.unfinished()

    async def submit(answers: Mapping[str, str]) -> None:
        await room.end(answers["reason"])
        screen.say("closed; the record stays open for corrections", "ok")

    reason = Text("reason", "Why the incident is over", words, "Closing needs a reason, in one line.")
    about = " ".join(("NOT FINISHED:", *left)) if left else ""
    verb = "close all the same" if left else "close"
    screen.app.push_screen(Form("Close the incident", (reason,), submit, about=about, verb=verb))


@does("incident.reopen")
def reopen(screen: ConsoleScreen, words: str = "") -> None:
    """Ask why, then go on."""
    field = Text("reason", "Why the response goes on", "", "A reason is needed, in one line.")
    _one_line(screen, "Reopen the incident", field, lambda room, said: room.reopen(said), "reopened", words)


def _one_line(
    screen: ConsoleScreen,
    title: str,
    field: Text,
    work: Callable[[Room, str], Awaitable[object]],
    done: str,
    words: str,
) -> None:
    """Do `work` with `words`, or with what is asked for when there are none."""
    room = screen.room
    if room is None:
        return

    async def submit(answers: Mapping[str, str]) -> None:
        await work(room, answers[field.name])
        screen.say(done, "ok")

    if words:
        screen.start(submit({field.name: words}))
    else:
        screen.app.push_screen(Form(title, (field,), submit))
