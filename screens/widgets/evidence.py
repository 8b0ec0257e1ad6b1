"""The list of the evidence screen: trouble, exhibits, what is missing, holds, remotes, roster, strands, checks."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from data.envelope import short
from screens.display import fit, many
from screens.kept import HOW, branched, late, minutes, silence
from screens.kept import person as _person
from screens.times import hm, stamp
from screens.widgets.rows import Cells, SectionRows

if TYPE_CHECKING:
    from console.desk import Desk
    from console.incident import Exhibit, Incident
    from console.room import Room
    from console.sharing import Standing
    from screens.checking import Checking

Kind = Literal[
    "heading", "fork", "alarm", "damage", "exhibit", "request", "finding", "hold",
    "remote", "member", "stranger", "strand", "check", "none",
]  # fmt: skip
DAMAGES = 50
"""Damages that are listed; the page of the check has more."""


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """One line. `id`: what it is about, unique within its kind."""

    kind: Kind
    id: str
    mark: str
    what: str
    name: str
    right: str = ""
    tone: str = ""


def size(count: int) -> str:
    """Return a number of bytes as people read it."""
    if count < 1024:
        return f"{count} B"
    value = count / 1024
    for unit in ("KiB", "MiB"):
        if value < 1024:
            return f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def bytes_of(exhibit: Exhibit) -> int:
    """Return how large an exhibit is, all its files together."""
    return sum(ref.size for ref in exhibit.refs)


def held(state: Incident, exhibit: Exhibit) -> bool:
    """Return whether a hold on the whole case, or on this event, stands."""
    return any(
        hold.scope == "case"
        or (hold.scope == "event" and hold.target and exhibit.hash.startswith(hold.target))
        for hold in state.holds.values()
    )


def evidence_rows(room: Room, desk: Desk, checking: Checking, now: int) -> list[EvidenceRow]:
    """Return everything that there is to know of the record, section by section, trouble first."""
    state = room.incident
    sections = (
        ("TROUBLE", list(_trouble(room, checking)), ""),
        (
            "EXHIBITS",
            [*_exhibits(state, desk, now)],
            "Nothing is kept yet: F attaches a file, K keeps telemetry.",
        ),
        ("MISSING", [EvidenceRow("finding", what, "!", "missing", what) for what in state.findings], ""),
        ("HOLDS", list(_holds(state)), "No legal hold stands: L sets one."),
        ("REMOTES", list(_remotes(desk, state, now)), "Shared with nobody: this disk holds the only copy."),
        ("ROSTER", list(_roster(state, desk.home.replica)), ""),
        ("STRANDS", list(_strands(room, checking)), "No checkpoint yet."),
        ("VERIFICATION", [_check(state, checking, room.case.id, now)], ""),
    )
    rows: list[EvidenceRow] = []
    for name, found, empty in sections:
        if not found and not empty:
            continue
        count = f"  {len(found)}" if name != "VERIFICATION" else ""
        rows.append(EvidenceRow("heading", name, "", "", f"{name}{count}", tone="strong"))
        rows += found or [EvidenceRow("none", name, "", "", empty, tone="quiet")]
    return rows


def person(state: Incident, rep: str) -> str:
    """Return who works at a console, in one word that is never empty."""
    return _person(state, rep) or "unnamed"


def _trouble(room: Room, checking: Checking) -> Iterator[EvidenceRow]:
    state = room.incident
    for name, fork in state.forks.items():
        yield EvidenceRow(
            "fork", name, "✖", "FORK",
            f"somebody else wrote as {person(state, fork.rep)} ({fork.rep[:8]}), from event {fork.body.seq:,} on",
            stamp(fork.at)[:16] + "Z", "crit",
        )  # fmt: skip
    for name, alarm in state.alarms.items():
        yield EvidenceRow(
            "alarm", name, "✖", "ALARM", f"remote {alarm.remote}: {alarm.reason}", alarm.name[-20:], "crit"
        )
    damages = checking.damage(room.case.id)
    for number, damage in enumerate(damages[:DAMAGES]):
        where = f"event {damage.n:,}" if damage.n else "the file"
        yield EvidenceRow(
            "damage", str(number), "✖", "DAMAGE", f"{damage.kind}, {where}: {damage.what}", tone="crit"
        )
    verified = state.verified
    if verified is not None and verified.damage and not damages:
        yield EvidenceRow(
            "damage", "", "✖", "DAMAGE", f"{many(verified.damage, 'place')} in the record; V lists them",
            f"{verified.by} {hm(verified.at)}", "crit",
        )  # fmt: skip


def _exhibits(state: Incident, desk: Desk, now: int) -> Iterator[EvidenceRow]:
    capture = desk.capture
    if capture is not None and capture.trouble:
        yield EvidenceRow("none", "capture", "✖", "", capture.trouble, tone="high")
    searching = capture.progress if capture is not None else None
    for name, request in state.requests.items():
        if request.done:
            continue
        ids = ", ".join(f"{known.name} {known.value}" for known in request.body.ids)
        if request.failed:
            yield EvidenceRow(
                "request", name, "✖", "request", f"FAILED {ids}: {request.failed}", request.by, "high"
            )
        else:
            # Of several open ones the oldest is being searched for.
            right = minutes(now - request.at)
            if searching is not None:
                right, searching = f"{searching.done * 100 // max(searching.total, 1)} % searched", None
            yield EvidenceRow("request", name, "…", "request", f"OPEN {ids}", right, "high")
    for exhibit in reversed(state.exhibits):
        body = exhibit.body
        count = f", {many(body.count, 'record')}" if body.count else ""
        lacks = f", {many(len(body.missing), 'field')} MISSING" if body.missing else ""
        on_hold = ", HELD" if held(state, exhibit) else ""
        yield EvidenceRow(
            "exhibit", exhibit.hash, "■", body.what, f"{body.title}{count}{lacks}{on_hold}",
            f"{size(bytes_of(exhibit))}  {short(exhibit.hash)}  {fit(exhibit.by, 10)} {hm(exhibit.at)}",
        )  # fmt: skip


def _holds(state: Incident) -> Iterator[EvidenceRow]:
    for name, hold in state.holds.items():
        target = f" {hold.target}" if hold.target else ""
        yield EvidenceRow(
            "hold", name, "■", "HOLD", f"{hold.scope}{target}: {hold.reason}", hold.authority, "held"
        )


def standing_words(standing: Standing, now: int) -> tuple[str, str]:
    """Return how the record stands with a remote, and the tone of it."""
    if late(standing, now):
        waits = f", {standing.pending:,}+ of ours wait" if standing.pending else ""
        return f"{silence(standing)}{waits}", "high"
    if not standing.turned:
        return "first exchange under way" if standing.working else "not exchanged yet", ""
    if standing.pending:
        age = f", the oldest {minutes(now - standing.oldest)}" if standing.oldest is not None else ""
        return f"{standing.pending:,} of ours wait{age}", ""
    if standing.policy:
        return f"withholds {many(standing.withheld, 'text')} by policy {standing.policy}: no full copy", ""
    return "has everything of ours", "ok"


def _remotes(desk: Desk, state: Incident, now: int) -> Iterator[EvidenceRow]:
    for standing in desk.standings:
        words, tone = standing_words(standing, now)
        found = state.remotes.get(standing.name)
        claim = "not probed" if found is None else f"create {found.create}"
        turned = hm(standing.turned) if standing.turned else "-"
        yield EvidenceRow(
            "remote", standing.name, "✖" if tone == "high" else "✓" if tone == "ok" else "…", standing.name,
            words, f"{claim}  {turned}", tone,
        )  # fmt: skip
    known = {standing.name for standing in desk.standings}
    for name, found in state.remotes.items():
        if name not in known:
            # Another console's; ours may call another place by the same name.
            yield EvidenceRow(
                "remote", name, " ", name, "a remote of another console", f"create {found.create}", "quiet"
            )


def _roster(state: Incident, mine: str) -> Iterator[EvidenceRow]:
    for rep, stranger in state.strangers.items():
        if rep not in state.roster.members:
            you = " (this console)" if rep == mine else ""
            yield EvidenceRow(
                "stranger", rep, "?", stranger.actor,
                f"NOT ON THE ROSTER{you}: {many(stranger.events, 'event')} not counted; M compares words",
                rep[:8], "high",
            )  # fmt: skip
    for rep, member in state.roster.members.items():
        you = ", this console" if rep == mine else ""
        mark, tone, how = "✓", "", HOW.get(member.how, member.how)
        if member.revoked is not None:
            since = f" since {stamp(member.revoked)[:16]}Z" if member.revoked else ""
            mark, tone, how = "✖", "med", f"KEY REVOKED{since}"
        elif member.left is not None:
            mark, tone, how = " ", "quiet", "left the roster"
        elif member.how == "first-use":
            mark, tone = "~", "high"
        yield EvidenceRow("member", rep, mark, person(state, rep), f"{how}{you}", rep[:8], tone)


def _strands(room: Room, checking: Checking) -> Iterator[EvidenceRow]:
    state, verdict = room.incident, checking.of(room.case.id)
    if verdict is not None:
        for place, strand in enumerate(verdict.strands):
            fork = ", A BRANCH: somebody else went on in this name" if strand.branch else ""
            sealed = f"sealed by others up to {strand.sealed:,}" if strand.sealed else "not sealed by others"
            yield EvidenceRow(
                "strand", f"{strand.rep}.{strand.inc}.{place}", "✖" if strand.branch else "│",
                person(state, strand.rep), f"{many(strand.seq, 'event')}, {sealed}{fork}",
                f"{strand.rep[:8]}.{strand.inc}", "crit" if strand.branch else "",
            )  # fmt: skip
        return
    seen: dict[tuple[str, int], dict[str, int]] = {}
    for witness, checkpoint in state.checkpoints.items():
        for head in checkpoint.heads:
            by = seen.setdefault((head.rep, head.inc), {})
            by[witness] = max(by.get(witness, 0), head.seq)
    for (rep, inc), by in seen.items():
        whole = not branched(state, rep, inc)
        others = {witness: seq for witness, seq in by.items() if whole and witness != rep}
        sealed = (
            f"sealed up to {max(others.values()):,} by {', '.join(person(state, each) for each in others)}"
            if others
            else "not sealed by others"
        )
        yield EvidenceRow(
            "strand", f"{rep}.{inc}", "│", person(state, rep),
            f"at least {many(max(by.values()), 'event')}, {sealed}", f"{rep[:8]}.{inc}",
        )  # fmt: skip


def _check(state: Incident, checking: Checking, case: str, now: int) -> EvidenceRow:
    if checking.since and checking.case == case:
        return EvidenceRow(
            "check", "", "…", "verifying", "every byte of the record is read; V ends it",
            f"{(now - checking.since) // 1_000_000_000} s", "high",
        )  # fmt: skip
    verified = state.verified
    if verified is None:
        return EvidenceRow(
            "check", "", " ", "verified", "never since it was declared: V verifies now", "", ""
        )
    missing = f", {verified.missing:,} seen by others are NOT HERE" if verified.missing else ""
    found = many(verified.damage, "damage").upper() if verified.damage else "sound"
    return EvidenceRow(
        "check", "", "✖" if verified.damage else "✓", "verified",
        f"{found}: {many(verified.events, 'event')}{missing}",
        f"{verified.by} {stamp(verified.at)[:16]}Z", "crit" if verified.damage else "ok",
    )  # fmt: skip


class EvidenceList(SectionRows[EvidenceRow]):
    """What there is to know of the record, section by section."""

    def key(self, row: EvidenceRow) -> Hashable:
        """Return what the row is about."""
        return (row.kind, row.id)

    def selectable(self, row: EvidenceRow | None) -> bool:
        """Return whether the cursor may stand there: not on a heading."""
        return row is not None and row.kind not in ("heading", "none")

    def empty(self) -> str:
        """Return what an empty pane says."""
        return "opening the record…"

    def update(self, rows: list[EvidenceRow]) -> None:
        """Show `rows`; what is the same is not drawn again."""
        if rows != self._rows:
            self.show(rows)

    def heads(self, row: EvidenceRow) -> bool:
        """Return whether a section begins with `row`."""
        return row.kind == "heading"

    def paint(self, row: EvidenceRow, width: int) -> Cells:
        """Return the line of one row."""
        if row.kind == "heading":
            return [(fit(row.name, width), "strong")]
        if row.kind == "none":
            return [(fit(f"{row.mark or ' '} {row.name}", width), row.tone)]
        what = 11 if width >= 60 else 8
        right = min(len(row.right), 36 if width >= 90 else 20 if width >= 60 else 10)
        name = max(width - 2 - what - right - 2, 8)
        return [
            (fit(row.mark, 1) + " ", row.tone),
            (fit(row.what, what - 1) + " ", row.tone or "strong"),
            (fit(row.name, name) + " ", row.tone if row.tone in ("crit", "high", "held", "med") else ""),
            (fit(row.right, right, right=True), "quiet"),
        ]
