"""`warroom roster`, `warroom identity`: whose events count in an incident, and who this console is."""

from __future__ import annotations

import asyncio
import os
from argparse import Namespace

from console.cli import exits
from console.cli.context import Context
from console.cli.open import unlock
from console.cli.trouble import complain
from console.events import RosterAdded, RosterRemoved, RosterRevoked
from console.refusal import Refused
from console.room import Foreseen, Room
from console.roster import Member
from console.scribe import parse
from console.shown import visible
from data.clock import iso


def run(options: Namespace) -> int:
    """`warroom roster`."""
    return asyncio.run(_run(Context(options)))


async def _run(context: Context) -> int:
    options = context.options
    listing = options.action == "list"
    async with context.room(reading=listing) as room:
        if listing:
            await _list(context, room)
            return exits.OK
        change, since = _change(context, room)
        foreseen = await room.foresee(change)
        ours = change.replica == room.replica
        effect = _effect(room, change.replica, foreseen)
        if (foreseen.changes or ours) and not options.yes:
            raise Refused(effect, "Nothing was written: the same with --yes does it.")
        await room.record(change)
        value = {"incident": room.code, "replica": change.replica, "done": options.action}
        context.say(f"{room.code}: on the record. {effect}", value | foreseen._asdict())
        if since:
            complain(
                "--since goes by the clock of that console, and whoever has its key can date entries back;"
                " if that is to be feared, revoke it again without --since: then nothing of it counts."
            )
    return exits.OK


def _change(context: Context, room: Room) -> tuple[RosterAdded | RosterRemoved | RosterRevoked, int]:
    """What is to be written, and since when (ns UTC) a key is to be revoked; 0 = ever."""
    options = context.options
    reason = options.why or " ".join(options.reason)
    match options.action:
        case "add":
            return room.admission(_replica(options), options.person), 0
        case "remove":
            return room.removal(_replica(options), reason), 0
    now = room.clock.now()
    since = parse(f"{options.since} x", now, now).at if options.since else 0
    return room.revocation(_replica(options), since, reason), since


def _effect(room: Room, replica: str, foreseen: Foreseen) -> str:
    """What a change of the roster does, in sentences."""
    state = room.incident
    known = state.roster.members.get(replica) or state.strangers.get(replica)
    who = (known.person if isinstance(known, Member) else known.actor) if known else ""
    name = f"{visible(who, 40)} ({replica[:8]})" if who else f"console {replica[:8]}"
    said = f"Of {foreseen.events:,} {'entry' if foreseen.events == 1 else 'entries'} of {name},"
    said += f" {foreseen.will_count:,} then {'counts' if foreseen.will_count == 1 else 'count'}"
    said += f"; now {foreseen.counted:,} {'does' if foreseen.counted == 1 else 'do'}."
    if foreseen.changes:
        said += f" What changes: {'; '.join(visible(each, 200) for each in foreseen.changes)}."
    if replica == room.replica:
        said += " That is this console: what it writes from then on counts for nothing."
    return said


def _replica(options: Namespace) -> str:
    if not options.replica:
        raise Refused("Which console?", "`warroom roster` lists them; the first characters are enough.")
    return str(options.replica)


async def _list(context: Context, room: Room) -> None:
    state = room.incident
    for replica, member in state.roster.members.items():
        words = " ".join(await room.key_words(replica))
        left = " LEFT" if member.left else ""
        revoked = "" if member.revoked is None else " REVOKED, nothing of it counts"
        if member.revoked:
            revoked = f" REVOKED since {iso(member.revoked, 0)}"
        ours = " (this console)" if replica == room.replica else ""
        context.say(
            f"{replica[:8]}  {visible(member.person, 40)}  {member.how}{left}{revoked}{ours}\n          {words}",
            {
                "replica": replica,
                "person": member.person,
                "how": member.how,
                "words": words,
                "left": member.left is not None,
                "revoked": None if member.revoked is None else iso(member.revoked, 9),
            },
        )
    for replica, stranger in state.strangers.items():
        if replica in state.roster.members:
            continue
        words = " ".join(await room.key_words(replica))
        written = await room.written_by(replica)
        context.say(
            f"{replica[:8]}  {visible(stranger.actor, 40)}  NOT ON THE ROSTER, "
            f"{_uncounted(written)}\n          {words}",
            {
                "replica": replica,
                "person": stranger.actor,
                "how": "",
                "words": words,
                "events": written,
            },
        )


def _uncounted(events: int) -> str:
    return "1 entry does not count" if events == 1 else f"{events:,} entries do not count"


def identity(options: Namespace) -> int:
    """`warroom identity`: the key of this console, and its passphrase."""
    from data import identity as keys

    context = Context(options)
    home = context.home(create=True)
    if home.former and options.action == "show":
        return exits.OK  # what can be said of a key that is gone was said, and looking at it makes none
    unlock(home)
    mine = home.identity
    words = " ".join(keys.fingerprint(mine.public))
    if options.action == "passphrase":
        import getpass

        new = os.environ.get("WARROOM_NEW_PASSPHRASE")
        if new is None:
            try:
                new = getpass.getpass("New passphrase (empty takes it off): ")
                again = getpass.getpass("Once more: ")
            except EOFError:
                raise Refused(
                    "There is nobody to ask for the passphrase, and nothing was changed.",
                    "Give it in WARROOM_NEW_PASSPHRASE, or run this at a terminal.",
                ) from None
            if again != new:
                raise Refused("The two are not the same.", "Nothing was changed.")
        home.keep_key("file", new)
        context.say(
            "The key is protected by the new passphrase." if new else "The key has no passphrase now."
        )
        return exits.OK
    if options.action == "keyring":
        home.keep_key("keyring")
        context.say("The key is in the keyring of the operating system now, and no longer in a file.")
        return exits.OK
    context.say(
        f"{mine.replica}\n  {words}\n  public key {mine.public.hex()}",
        {"replica": mine.replica, "words": words, "public": mine.public.hex()},
    )
    return exits.OK
