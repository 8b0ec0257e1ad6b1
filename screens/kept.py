"""How safe the record is, in words: typed, saved, shared, sealed, and never a better word than was earned.

Saved: on the disk here. Shared: read back from a remote and found equal. Sealed: inside a checkpoint of another
console. What holds for the record as a whole is what holds for the worst kept entry that was written here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from screens.display import fit, many
from screens.times import MINUTE, SECOND, hm, hms, stamp
from screens.widgets.strips import FLEX, Piece

if TYPE_CHECKING:
    from console.desk import Desk
    from console.incident import Incident
    from console.room import Room
    from console.roster import Roster
    from console.sharing import Standing
    from data.envelope import Event
    from data.line import Line

SILENT = 90 * SECOND
"""A remote with which no exchange came to its end for so long is as good as unreachable, whatever it says."""
NARROW = 100
"""Columns below which the short words are used."""
ROOMY = 140
"""Columns from which on the words for a remote that is silent leave enough to the title."""


class Sight:
    """Knows which remotes have counted what was written here last.

    A turn that was under way when an entry was saved may have counted before it. So what a remote is said to hold is
    believed once two turns have ended since: the second began when the entry was there.
    """

    def __init__(self) -> None:
        self.damaged: set[str] = set()
        """Cases that were found damaged since the console was started, also where that cannot be recorded."""
        self._of: tuple[str, int] = ("", 0)
        self._ends: dict[str, tuple[int, int]] = {}

    def look(self, room: Room | None, standings: Sequence[Standing]) -> None:
        """Take in how things stand now."""
        of = ("", 0) if room is None else (room.case.id, room.saved_at)
        if of != self._of or (room is not None and room.pending):
            self._of, self._ends = of, {}
        for each in standings:
            turned, ends = self._ends.get(each.name, (each.turned, 0))
            self._ends[each.name] = (each.turned, ends + (each.turned != turned))

    def counted(self, standing: Standing) -> bool:
        """Return whether what `standing` says takes in everything that was written here."""
        return not standing.error and self._ends.get(standing.name, (0, 0))[1] >= 2


class Words(NamedTuple):
    """What is said of the record, in full and in short, and in which tone."""

    full: str
    short: str
    tone: str


def minutes(ns: int) -> str:
    """Return a duration roughly, as people say it: `under a minute`, `3 min`, `5 h`, `2 days`."""
    if ns < MINUTE:
        return "under a minute"
    if ns < 60 * MINUTE:
        return f"{ns // MINUTE} min"
    hours = ns // (60 * MINUTE)
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"


def alarms(state: Incident, damaged: bool) -> list[str]:
    """Return what is wrong with the record itself, a word each; it goes before everything else."""
    said = []
    if state.forks:
        said.append("FORK" + (f" ×{len(state.forks)}" if len(state.forks) > 1 else ""))
    if state.alarms:
        said.append("REMOTE ALARM" + (f" ×{len(state.alarms)}" if len(state.alarms) > 1 else ""))
    if damaged or (state.verified is not None and state.verified.damage):
        said.append("RECORD DAMAGED")
    return said


def late(standing: Standing, now: int) -> bool:
    """Return whether nothing was exchanged with a remote for longer than turns take."""
    return bool(standing.error) or (standing.turned > 0 and now - standing.turned > SILENT)


def silence(standing: Standing) -> str:
    """Return since when nothing was exchanged with a remote."""
    return f"no exchange since {hm(standing.turned)}" if standing.turned else "no exchange yet"


def branched(state: Incident, rep: str, inc: int) -> bool:
    """Return whether a strand is known to have gone on in two ways: a number does not say which event it means there.

    A console that learns of it goes on in a later incarnation; so whoever has left one may have left a branch.
    """
    forks = {(fork.rep, fork.body.inc) for fork in state.forks.values()}
    heads = [
        (head.inc, head.seq, head.hash, witness)
        for witness, checkpoint in state.checkpoints.items()
        for head in checkpoint.heads
        if head.rep == rep
    ]
    here = [each for each in heads if each[0] == inc]
    return (
        (rep, inc) in forks
        or any(each[0] > inc for each in heads)
        or len({witness for *_, witness in here}) < len(here)
        or len({(seq, digest) for _, seq, digest, _ in here}) > len({seq for _, seq, _, _ in here})
    )


def sealers(state: Incident, rep: str, inc: int, seq: int, digest: str = "") -> list[str]:
    """Return the replicas whose checkpoints hold event `seq` of a strand, other than the one that wrote it.

    `digest`: its hash, if that is known; a checkpoint over another event of that number seals nothing here.
    """
    if branched(state, rep, inc):
        return []
    return [
        witness
        for witness, checkpoint in state.checkpoints.items()
        if witness != rep
        and any(
            head.rep == rep
            and head.inc == inc
            and (head.seq > seq or (head.seq == seq and digest in ("", head.hash)))
            for head in checkpoint.heads
        )
    ]


def _incarnations(state: Incident, rep: str) -> set[int]:
    return {
        head.inc for checkpoint in state.checkpoints.values() for head in checkpoint.heads if head.rep == rep
    }


def kept(room: Room, desk: Desk, sight: Sight, now: int) -> Words:
    """Return what is true of everything that was written on this console."""
    standings = desk.standings
    if not standings:
        at = f" · {hms(room.saved_at)}" if room.saved_at else ""
        return Words(f"saved here only{at}", "saved here only", "ok")
    if not room.case.writer:
        # The other one counts; this one only hands its entries over.
        return Words("saved · another war room here shares it", "saved", "ok")
    sight.look(room, standings)  # a room that was entered this moment is drawn before the next beat looks
    # What a policy keeps back cannot be had from a remote, which is then no copy of the record.
    whole = [each for each in standings if not each.policy]
    counted = [each for each in whole or standings if sight.counted(each)]
    holders = [each for each in counted if not each.pending]
    if holders and not whole:
        name, withheld = holders[0].name, f"withholds {holders[0].withheld:,} by policy"
        return Words(
            f"saved · {name} {withheld}: no full copy", f"saved · {fit(name, 10).strip()} masked", ""
        )
    if holders:
        by = holders[0].name if len(standings) == 1 else f"{len(holders)} of {len(standings)}"
        sealed = _sealed(room.incident, desk.home.replica, max(each.shared for each in holders))
        more = f" · sealed by {sealed}" if sealed else ""
        return Words(f"shared to {by}{more}", f"shared {fit(by, 10).strip()}", "ok")
    if counted:
        best = min(counted, key=lambda each: each.pending)
        age = f" · oldest {minutes(now - best.oldest)}" if best.oldest is not None else ""
        old = best.oldest is not None and now - best.oldest >= 5 * MINUTE
        count = f"{best.pending:,} not shared"
        return Words(f"saved · {count}{age}", f"saved · {count}", "high" if old else "")
    if all(late(each, now) for each in standings):
        # What waits was counted when the exchange failed; more may have been written since.
        best = min(standings, key=lambda each: each.pending)
        count = f"{best.pending:,}+ not shared" if best.pending else "not shared"
        age = f" · oldest {minutes(now - best.oldest)}" if best.pending and best.oldest is not None else ""
        return Words(f"saved · {count}{age}", f"saved · {count}", "high")
    return Words("saved · being shared", "saved · sharing", "")


def _sealed(state: Incident, rep: str, seq: int) -> int:
    """How many seal everything that this console wrote: event `seq` is its last."""
    incarnations = _incarnations(state, rep)
    # After a fork a number alone does not say which strand it counts in.
    if len(incarnations) != 1:
        return 0
    inc = incarnations.pop()
    # Whoever saw more of it than was written here saw another continuation: a backup was put back here.
    if any(
        (head.rep, head.inc) == (rep, inc) and head.seq > seq
        for checkpoint in state.checkpoints.values()
        for head in checkpoint.heads
    ):
        return 0
    return len(sealers(state, rep, inc, seq))


def record_pieces(room: Room, desk: Desk, sight: Sight, now: int, width: int) -> list[Piece]:
    """Return the header's words on the record: what is wrong with it first, then how it is kept."""
    pieces: list[Piece] = []
    if wrong := alarms(room.incident, room.case.id in sight.damaged):
        words = " · ".join(wrong)
        pieces.append((f"✖ {words}" if width < NARROW else f" ✖ {words}: 5 shows it ", "alarm", 0))
    if room.read_only:
        return [*pieces, ("READ ONLY", "held", 0)]
    if room.trouble:
        # The words stay at any width; the reason takes what the others leave, before the title does.
        return [*pieces, ("NOT SAVED", "crit", 0), (fit(room.trouble, 60).strip(), "crit", FLEX)]
    if room.drafts.trouble:
        return [*pieces, ("DRAFTS NOT SAVED", "crit", 0)]
    if room.pending:
        return [*pieces, (f"saving {room.pending}", "high", 0)]
    words_ = kept(room, desk, sight, now)
    # Where little fits, what is wrong is said before what is well.
    short = words_.short.removeprefix("saved · ") if pieces else words_.short
    pieces.append((short if width < NARROW else words_.full, words_.tone, 0))
    if words := _unheard(room.incident.roster, desk.home.replica):
        pieces.append((words if width < NARROW else f"{words}: nothing counts", "high", 0))
    strangers = room.incident.strangers.keys() - room.incident.roster.members.keys() - {desk.home.replica}
    if strangers:
        pieces.append((f"{many(len(strangers), 'console')} NOT ON ROSTER", "high", 4))
    silent = [each for each in desk.standings if late(each, now)]
    if len(silent) == 1:
        name = fit(silent[0].name, 16).strip()
        since = f" since {hm(silent[0].turned)}" if silent[0].turned else ""
        words = f"{name} SILENT{since}" if width < ROOMY else f"remote {name}: {silence(silent[0])}"
        pieces.append((words, "high", 3))
    elif silent:
        words = f"{len(silent)} of {len(desk.standings)} remotes"
        pieces.append((f"{words} SILENT" if width < ROOMY else f"{words}: no exchange", "high", 3))
    return pieces


def _unheard(roster: Roster, rep: str) -> str:
    """Why nothing counts that a console writes now, in words for the header; empty when it does."""
    member = roster.members.get(rep)
    if member is not None and member.revoked is not None:
        return "YOUR KEY IS REVOKED"
    return "YOU ARE NOT ON THE ROSTER" if member is None or member.left is not None else ""


def on_roster(roster: Roster, line: Line) -> bool:
    """Return whether the entry of a line counts, as far as a line tells: the page of the entry is exact."""
    member = roster.members.get(line.rep)
    if member is None:
        return False
    if member.left is not None and (line.hlc, line.rep) > member.left[:2]:
        return False
    return member.revoked is None or (int(line.hlc, 16) >> 16) * 1_000_000 < member.revoked


def person(state: Incident, rep: str) -> str:
    """Return who works at a console, as it says itself; nothing = it has not said."""
    member, stranger = state.roster.members.get(rep), state.strangers.get(rep)
    return (member.person if member is not None else "") or (stranger.actor if stranger is not None else "")


def writer(room: Room, rep: str, actor: str = "") -> str:
    """Return how people know a console: who works at it, and the beginning of its id."""
    return f"{person(room.incident, rep) or actor or 'console'} ({rep[:8]})"


HOW = {
    "founder": "founded the incident",
    "first-use": "on the roster since it was first seen; nobody compared its words",
    "compared": "on the roster, its words compared by two people",
    "list": "on the roster, named by the list of the team",
    "rotated": "on the roster, under a new key of a member",
}


def membership(roster: Roster, rep: str) -> str:
    """Return how a console came to the roster, or that it is not on it."""
    member = roster.members.get(rep)
    if member is None:
        return "NOT ON THE ROSTER: what it writes is kept and checked, and does not count"
    if member.revoked is not None:
        if not member.revoked:
            return "KEY REVOKED: nothing counts that it ever wrote"
        return f"KEY REVOKED: nothing counts that it wrote, by its own clock, since {stamp(member.revoked)}"
    if member.left is not None:
        return "left the roster: what it wrote since, by its own clock, does not count"
    return HOW.get(member.how, member.how)


def entry_kept(room: Room, desk: Desk, sight: Sight, event: Event) -> str:
    """Return the state of one entry, in a sentence: saved, shared to whom, sealed by whom."""
    state, mine = room.incident, desk.home.replica
    if event.rep != mine:
        said = f"saved here; it came from {writer(room, event.rep, event.actor)}"
    elif not desk.standings:
        said = "saved here only"
    else:
        single = _incarnations(state, mine) <= {event.inc}
        names = [
            each.name + (" (masked)" if each.policy else "")
            for each in desk.standings
            if room.case.writer
            and ((sight.counted(each) and not each.pending) or (single and event.seq <= each.shared))
        ]
        count = f"{len(names)} of {many(len(desk.standings), 'remote')}"
        said = f"shared to {', '.join(names)} ({count})" if names else "saved here, not known to be shared"
    by = sealers(state, event.rep, event.inc, event.seq, event.hash)
    if by:
        said += f"; sealed by {', '.join(writer(room, rep) for rep in by)}"
    return said
