"""Deeds on consoles: compare words, put on the roster, take off, revoke."""

from __future__ import annotations

from collections.abc import Mapping

from console.refusal import Refused
from screens.console_screen import ConsoleScreen, does
from screens.dialogs.form import Choice, Form, Option, Text
from screens.evidence import EvidenceScreen
from screens.times import hms, stamp
from screens.widgets.evidence import person

HEARD = (
    Option("n", "no", "not compared, or they are other words: change nothing"),
    Option("y", "yes", "all eight words are the same, read to me by a way that I trust"),
)


def _replica(screen: ConsoleScreen) -> str:
    row = screen.selected if isinstance(screen, EvidenceScreen) else None
    return row.id if row is not None and row.kind in ("member", "stranger") else ""


@does("roster.admit")
def admit(screen: ConsoleScreen, words: str = "") -> None:
    """Show the words of both consoles; after they were compared the other one is on the roster."""
    replica = _replica(screen)
    if replica:
        screen.start(_compare(screen, replica))


async def _compare(screen: ConsoleScreen, replica: str) -> None:
    room, desk = screen.room, screen.desk
    if room is None or desk is None:
        return
    if replica == desk.home.replica:
        raise Refused("This is this console.", "The others compare its words: Enter shows them.")
    theirs, ours = await room.key_words(replica), await room.key_words(desk.home.replica)
    if not theirs:
        raise Refused(
            f"The key of console {replica[:8]} has not come here yet.", "Try after the next exchange."
        )
    name = person(room.incident, replica)

    async def submit(answers: Mapping[str, str]) -> None:
        if answers["heard"] != "yes":
            raise Refused("Nothing was changed.", "Esc leaves; y says that the words are the same.")
        await room.admit(replica, answers["person"], how="compared")
        screen.say(f"{answers['person']} ({replica[:8]}) is on the roster, words compared", "ok")

    fields = (
        Choice("heard", "What did you hear?", HEARD, "no"),
        Text("person", "Who works at it", name, "Say who it is.", limit=128),
    )
    lines = (
        f"Call {name} by a way that you trust. They read their words to you:",
        "  " + " ".join(theirs),
        "You read yours to them:",
        "  " + (" ".join(ours) or "(this console has not written here yet)"),
    )
    screen.app.push_screen(Form("Compare words", fields, submit, lines=lines, verb="go on"))


@does("roster.expel")
def expel(screen: ConsoleScreen, words: str = "") -> None:
    """Ask why, then take the console off the roster."""
    room, replica = screen.room, _replica(screen)
    if room is None or not replica:
        return

    async def submit(answers: Mapping[str, str]) -> None:
        await room.expel(replica, answers["reason"])
        screen.say(f"console {replica[:8]} is off the roster; what it wrote before goes on counting", "ok")

    reason = Text("reason", "Why", words, "Taking a console off the roster needs a reason, in one line.")
    about = f"{person(room.incident, replica)} ({replica[:8]})"
    screen.app.push_screen(Form("Take off the roster", (reason,), submit, about=about, verb="take off"))


@does("roster.revoke")
def revoke(screen: ConsoleScreen, words: str = "") -> None:
    """Ask since when and why, have the id typed, then revoke: a key that was copied stays copied."""
    room, replica = screen.room, _replica(screen)
    if room is None or not replica:
        return

    async def submit(answers: Mapping[str, str]) -> None:
        from console.scribe import parse

        if answers["id"].lower() != replica[:8]:
            raise Refused(f"Type {replica[:8]} to revoke its key.", "Esc leaves everything as it is.")
        now = room.clock.now()
        since = 0
        if answers["since"]:
            said = parse(f"{answers['since']} since", now, now)
            if not said.backdated or said.at is None:
                raise Refused(
                    f"{answers['since']} is no time.", "Write 14:05 or -2h; empty = everything it wrote."
                )
            since = said.at
        await room.revoke(replica, since, answers["reason"])
        if since:
            when = f"since {stamp(since)[:10]} {hms(since)}Z"
            # The time of an event is what its console's clock said, and now somebody else may set that clock.
            screen.say(
                f"revoked {when} by its own clock; a thief can date back: without a time nothing counts", "ok"
            )
        else:
            screen.say(f"revoked: nothing that {replica[:8]} wrote at all counts", "ok")

    fields = (
        Text(
            "id",
            f"This cannot be taken back. Type the id of the console: {replica[:8]}",
            "",
            f"Type {replica[:8]}.",
        ),
        Text(
            "since",
            "Since when, as in 14:05 or -2h (a thief can date back); empty = ever",
            "",
            limit=32,
        ),
        Text("reason", "Why", words, "Revoking a key needs a reason, in one line."),
    )
    about = f"{person(room.incident, replica)} ({replica[:8]})"
    screen.app.push_screen(Form("Revoke the key", fields, submit, about=about, verb="revoke"))
