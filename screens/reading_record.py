"""What there is to read about one row of the evidence screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.events import instant
from data.envelope import short
from screens.display import many
from screens.kept import minutes, sealers
from screens.times import stamp
from screens.widgets.evidence import EvidenceRow, bytes_of, held, person, size, standing_words
from screens.widgets.sheet import Para

if TYPE_CHECKING:
    from console.desk import Desk
    from console.events import HoldSet, RemoteProbed
    from console.incident import Exhibit, Fork, Incident, Request
    from console.room import Room
    from console.sharing import Standing
    from data.verify import Verdict
    from screens.checking import Checking

CREATE = {
    "atomic": "a second object of a name is refused, also when two come at once",
    "sequential": "a second object of a name is refused when it comes later, not in a race",
    "none": "WRITES OVER what is there: nothing is lost by that, since names hold hashes, but it is no safe keeper",
}


def about_row(row: EvidenceRow, room: Room, desk: Desk, checking: Checking, now: int) -> list[Para]:
    """Return everything about a row that is known without reading more."""
    state = room.incident
    match row.kind:
        case "exhibit":
            found = next((each for each in state.exhibits if each.hash == row.id), None)
            return about_exhibit(found, room) if found is not None else []
        case "request" if row.id in state.requests:
            return about_request(state.requests[row.id], now)
        case "finding":
            return [
                Para(row.id, "no record", "strong"),
                Para("Something that evidence of such an incident should hold and that nothing recorded. It is work"
                     " for afterwards, with an owner.", "means"),
            ]  # fmt: skip
        case "hold" if row.id in state.holds:
            return about_hold(row.id, state.holds[row.id])
        case "remote":
            standing = next((each for each in desk.standings if each.name == row.id), None)
            return about_remote(row.id, standing, state.remotes.get(row.id), now)
        case "member" | "stranger":
            return about_console(row.id, room, desk.home.replica)
        case "fork" if row.id in state.forks:
            return about_fork(state.forks[row.id], state)
        case "alarm" if row.id in state.alarms:
            alarm = state.alarms[row.id]
            return [
                Para(f"Remote {alarm.remote} gave back something else than what was put there.", "alarm", "crit"),
                Para(alarm.reason, "reason", agent=True),
                Para(alarm.name, "object", agent=True),
                Para(("The bytes are kept in quarantine beside the record, and nothing" if alarm.kept else "Nothing")
                     + " of them was taken in. Whoever has the right ones puts them there again under a new name. Find out who may write to this"
                     " remote; then t takes the alarm back, with what you found.", "do"),
            ]  # fmt: skip
        case "strand":
            return about_strand(row, state)
        case "damage" | "check":
            return about_check(state, checking.of(room.case.id), row)
        case _:
            return []


def about_exhibit(exhibit: Exhibit, room: Room) -> list[Para]:
    """Return what is kept, from where, and how."""
    body, state = exhibit.body, room.incident
    paras = [
        Para(body.title, "title", agent=True),
        Para(f"{body.what}, {many(len(exhibit.refs), 'file')}, {size(bytes_of(exhibit))}", "what", "strong"),
    ]
    if held(state, exhibit):
        paras.append(Para("under legal hold: it cannot be erased", "hold", "held"))
    if body.count:
        since, until = instant(body.since), instant(body.until)
        span = f", {stamp(since)} to {stamp(until)}" if since is not None and until is not None else ""
        paras.append(Para(f"{many(body.count, 'record')}{span}", "records"))
    paras += [
        Para(f"{exhibit.by} {stamp(exhibit.at)}", "kept by"),
        Para(body.reason or "no reason given", "why"),
        Para(body.source or "-", "from where"),
        Para(body.tool or "-", "with what"),
    ]
    if body.command:
        paras.append(Para(" ".join(body.command), "command", agent=True))
    if body.exit is not None:
        paras.append(Para(str(body.exit), "exit status"))
    for known in body.ids:
        paras.append(Para(f"{known.name} {known.value}", "asked for"))
    for known in body.fields:
        paras.append(Para(f"{known.name}: {known.value}", "holds", agent=True))
    if body.missing:
        paras.append(Para(", ".join(body.missing), "MISSING", "med"))
    for number, ref in enumerate(exhibit.refs, 1):
        paras.append(Para(f"{number}. {ref.media}, {size(ref.size)}", "file"))
        paras.append(Para(ref.sha256, "SHA-256", "quiet"))
    paras.append(Para(f"{short(exhibit.hash)}  {exhibit.hash}", "entry", "quiet"))
    return paras


def about_request(request: Request, now: int) -> list[Para]:
    """Return what was asked for, and what came of it."""
    ids = [Para(f"{known.name} {known.value}", "asked for", agent=True) for known in request.body.ids]
    return [
        Para(f"FAILED: {request.failed}", "state", "high")
        if request.failed
        else Para(
            f"open for {minutes(now - request.at)}: it is carried out where the telemetry is", "state", "high"
        ),
        *ids,
        Para(request.body.reason or "no reason given", "why"),
        Para(f"{request.by} {stamp(request.at)}", "asked by"),
    ]


def about_hold(name: str, hold: HoldSet) -> list[Para]:
    """Return what a hold covers."""
    scope = {
        "case": "the whole incident",
        "event": f"entry {hold.target}",
        "subject": f"all about {hold.target}",
    }
    return [
        Para(
            "LEGAL HOLD: nothing that it covers can be erased, on any console that knows of it",
            "state",
            "held",
        ),
        Para(scope[hold.scope], "covers"),
        Para(hold.reason, "why"),
        Para(hold.authority or "-", "authority"),
        Para(name, "entry", "quiet"),
    ]


def about_remote(name: str, standing: Standing | None, found: RemoteProbed | None, now: int) -> list[Para]:
    """Return how the record stands with a remote, and what its probe earned it."""
    paras: list[Para] = [Para(name, "remote", "strong")]
    if standing is not None:
        words, tone = standing_words(standing, now)
        paras += [
            Para(standing.url, "where"),
            Para(words, "state", tone),
            Para(stamp(standing.turned) if standing.turned else "never", "last turn"),
            Para(f"our strand was read back from there up to event {standing.shared:,}", "shared"),
        ]
        if standing.error:
            paras.append(Para(standing.error, "last error", agent=True))
    else:
        paras.append(Para("It is set up on another console, not on this one.", "state", "quiet"))
    if found is None:
        return [*paras, Para("not yet: nothing is claimed for it beyond what was read back", "probe")]
    skew = "tells no time" if found.skew_ms is None else f"{found.skew_ms:,} ms off ours"
    paras += [
        Para(CREATE[found.create], "creates", "med" if found.create == "none" else ""),
        Para("byte for byte" if found.reads_back else "NOT what was written", "reads back", "" if found.reads_back else "crit"),
        Para("what was written is listed at once" if found.lists else "NOT listed at once", "lists", "" if found.lists else "med"),
        Para(found.durable or "it says nothing about that", "durable"),
        Para(found.locked or "no lock or retention seen", "locked"),
        Para(skew, "clock"),
    ]  # fmt: skip
    return paras + [Para(warning, "warning", "med") for warning in found.warnings]


def about_console(rep: str, room: Room, mine: str) -> list[Para]:
    """Return who a console is, how it came here, and what it vouches for. Its words come later."""
    state = room.incident
    member, stranger = state.roster.members.get(rep), state.strangers.get(rep)
    paras = [Para(person(state, rep) + (", this console" if rep == mine else ""), "person", "strong")]
    if member is None:
        paras.append(
            Para("NOT ON THE ROSTER. What it writes is kept and checked, and changes nothing until somebody who is on"
                 " it puts it there. Its name is only what it says of itself: compare the words.", "state", "high")
        )  # fmt: skip
    else:
        from screens.kept import membership

        tone = "high" if member.how == "first-use" and member.left is None else ""
        paras += [
            Para(membership(state.roster, rep), "state", "med" if member.revoked is not None else tone),
            Para(f"{member.by} {stamp(member.at)}", "added by"),
        ]
    if stranger is not None:
        paras.append(
            Para(f"{many(stranger.events, 'event')} of it not counted, notes aside", "not counted", "high")
        )
    checkpoint = state.checkpoints.get(rep)
    if checkpoint is not None:
        others = sum(head.rep != rep for head in checkpoint.heads)
        paras.append(
            Para(f"its newest checkpoint holds the ends of {many(others, 'strand')} of others", "witness")
        )
    paras.append(Para(rep, "console", "quiet"))
    return paras


def about_words(theirs: tuple[str, ...], ours: tuple[str, ...], mine: bool) -> list[Para]:
    """Return the words of two keys, to be read to each other."""
    if mine:
        return [Para(" ".join(ours) or "this console has not written here yet", "our words", "strong")]
    return [
        Para(" ".join(theirs) or "its key has not come here", "their words", "strong"),
        Para(" ".join(ours) or "this console has not written here yet", "our words", "strong"),
        Para("Call them by a way that you trust: they read theirs to you, you read ours to them. All eight words in"
             " their order, or it is not their key.", "compare"),
    ]  # fmt: skip


def about_fork(fork: Fork, state: Incident) -> list[Para]:
    """Return what a fork means, and what to do."""
    seen = {"write": "when it wrote", "apply": "when it took in what others wrote"}[fork.body.seen]
    return [
        Para(f"Somebody else wrote in the name of {person(state, fork.rep)} ({fork.rep[:8]}).", "FORK", "crit"),
        Para(f"from event {fork.body.seq:,} of incarnation {fork.body.inc} on; found out {seen}", "where"),
        Para("Either a backup was restored or a home directory copied, or somebody has the key. Both continuations"
             " are kept and shown; the console goes on under a new incarnation.", "means"),
        Para("Ask who restored or copied it. If nobody did, the key is stolen: revoke it from the moment before."
             " Otherwise t takes this entry back, with what you found.", "do"),
        Para(stamp(fork.at), "found"),
        Para(fork.body.theirs, "their event", "quiet"),
        Para(fork.body.ours or "-", "our event", "quiet"),
    ]  # fmt: skip


def about_strand(row: EvidenceRow, state: Incident) -> list[Para]:
    """Return who wrote a strand and who vouches for it."""
    rep, inc = row.id.split(".")[:2]
    witnesses = {
        witness: max(head.seq for head in checkpoint.heads if (head.rep, head.inc) == (rep, int(inc)))
        for witness, checkpoint in state.checkpoints.items()
        if witness in sealers(state, rep, int(inc), 1)
    }
    return [
        Para(f"{person(state, rep)}, console {rep[:8]}, incarnation {inc}", "strand", "strong"),
        Para(row.name, "state", row.tone),
        *(Para(f"{person(state, each)} ({each[:8]}) up to event {seq:,}", "sealed by") for each, seq in witnesses.items()),
        Para("What nobody else has sealed could still be rewritten by whoever has its key.", "means"),
        Para(rep, "console", "quiet"),
    ]  # fmt: skip


def about_check(state: Incident, verdict: Verdict | None, row: EvidenceRow) -> list[Para]:
    """Return what the last verification found, and what it cannot see."""
    if row.kind == "damage" and verdict is not None and row.id:
        damage = verdict.damage[int(row.id)] if int(row.id) < len(verdict.damage) else None
        if damage is not None:
            return [
                Para(damage.what, "damage", "crit"),
                Para(damage.kind, "kind"),
                Para(f"event {damage.n:,} of this record" if damage.n else "the file as a whole", "where"),
                Para(person(state, damage.rep) + f" ({damage.rep[:8]})" if damage.rep else "-", "written by"),
                Para("Keep this directory as it is and work on a copy. What the damage does not touch can be read;"
                     " another console or a remote may hold the whole.", "do"),
            ]  # fmt: skip
    verified = state.verified
    if verified is None and verdict is None:
        return [
            Para(
                "not since the incident was declared; `warroom verify` checks too, and leaves no entry",
                "verified",
            ),
            Para("V reads every byte of it.", "do"),
        ]
    paras: list[Para] = []
    if verified is not None:
        found = f"{many(verified.damage, 'damage').upper()}" if verified.damage else "sound"
        paras += [
            Para(found, "found", "crit" if verified.damage else "ok"),
            Para(f"{many(verified.events, 'event')}", "read"),
            Para(f"{verified.by} {stamp(verified.at)}", "by"),
        ]
        if verified.missing:
            paras.append(
                Para(f"{many(verified.missing, 'event')} that other consoles have seen", "NOT HERE", "high")
            )
    if verdict is not None:
        paras += [
            Para(
                f"{many(verdict.blobs, 'file')} of exhibits, {many(verdict.erased, 'text')} erased"
                + (f", {many(verdict.missing_blobs, 'file')} not here yet" if verdict.missing_blobs else ""),
                "besides",
            ),
            *(Para(damage.what, damage.kind, "crit") for damage in verdict.damage[:200]),
            Para(verdict.note, "cannot see"),
        ]
    return paras
