"""Sealing: an incident as a bundle, with what people need beside the evidence, and a bundle back into a home."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from console.events import Declared, Exported, read
from console.evidence.capture import tool
from console.evidence.redaction import Redaction, masked
from console.plain import many
from console.refusal import Refused
from console.reports import events as as_events
from console.reports.incident import report
from console.reports.markdown import inert, table
from console.roster import roster
from console.timeline import project, trust
from data import bundle
from data.bundle import Contents, Loaded, Written, write_bundle
from data.clock import iso
from data.envelope import Event
from data.home import Home
from data.identity import fingerprint
from data.log import EVENT_COLUMNS, connect, read_row
from data.log import NAME as LOG
from data.standalone_verify import Findings
from data.standalone_verify import canonical as canonical_json
from data.verify import Verdict, verify

if TYPE_CHECKING:
    from console.room import Room

CUSTODY = ("evidence.", "hold.", "roster.", "remote.", "record.erased", "record.forked", "record.verified")
"""Kinds of the custody log."""


async def seal(
    room: Room,
    home: Home,
    target: Path,
    redaction: Redaction,
    *,
    recipients: Sequence[str] = (),
    reason: str = "",
    force: bool = False,
) -> Written:
    """Write an incident into a sealed bundle, and put on the record that it left.

    Args:
        room: The incident.
        home: Whose key signs.
        target: The file to make.
        redaction: What is kept back.
        recipients: age recipients that alone can read it.
        reason: Why, for the record; not part of the bundle, so that the same case gives the same bytes.
        force: Replace the target.

    Raises:
        Refused: The record is damaged, or the target is there already.
        StoreTrouble: It cannot be written.
    """
    written = await asyncio.to_thread(
        _write, room.case.directory, home, target, redaction, tuple(recipients), force
    )
    left = sum(written.contents.fields.values())
    await room.record(
        Exported(
            "bundle",
            written.sha256,
            written.size,
            redaction.name,
            left,
            tuple(each[:512] for each in recipients[:100]),
            reason.strip(),
        )
    )
    return written


def _write(
    directory: Path, home: Home, target: Path, redaction: Redaction, recipients: Sequence[str], force: bool
) -> Written:
    verdict = verify(directory, trust=trust)
    if not verdict.sound:
        raise Refused(
            f"The record is damaged in {len(verdict.damage)} places, and a bundle says that it is not.",
            "`warroom verify` lists them; `warroom export --format jsonl` exports what can be read.",
        )
    with closing(connect(directory / LOG)) as db:
        query = f"SELECT {EVENT_COLUMNS} FROM events ORDER BY n"  # noqa: S608
        events = [read_row(row) for row in db.execute(query)]
    papers = _Papers(events, redaction, verdict)
    try:
        return write_bundle(
            directory,
            target,
            home.identity,
            censor=redaction if redaction.active else None,
            documents=papers.documents,
            recipients=recipients,
            force=force,
            trust=trust,
        )
    except FileExistsError:
        raise Refused(f"{target} exists already.", "Name another file, or replace it with --force.") from None


@dataclass
class _Papers:
    """What people read, made from the record alone, so that the same record gives the same papers."""

    events: list[Event]
    redaction: Redaction
    verdict: Verdict

    def documents(self, contents: Contents) -> dict[str, bytes]:
        shown = list(masked(self.events, self.redaction))
        last = max((event.wall for event in shown), default=0)
        sound = f"{self.verdict.events} events, sound. {self.verdict.note}"
        made = {
            "README.txt": _readme(contents, self.redaction),
            "report.md": "\n".join(report(shown, last, sound)) + "\n",
            "certificate.md": "\n".join(_certificate(contents)) + "\n",
            "custody.jsonl": "".join(
                canonical_json(as_events.value(event)).decode() + "\n"
                for event in sorted(shown, key=lambda event: event.order)
                if event.kind.startswith(CUSTODY)
            ),
            "roster.json": canonical_json(_roster(self.events, contents)).decode() + "\n",
        }
        return {name: text.encode(errors="backslashreplace") for name, text in made.items()}


def _roster(events: Sequence[Event], contents: Contents) -> list[dict[str, object]]:
    """Who is behind each key, as the record says, and the words by which two people compare it."""
    bodies = [(event, read(event)) for event in sorted(events, key=lambda event: event.order)]
    members = roster(bodies).members
    return [
        {
            "replica": replica,
            "public": public.hex(),
            "words": list(fingerprint(public)),
            "on_the_roster": replica in members,
            "person": members[replica].person if replica in members else "",
            "how": members[replica].how if replica in members else "",
            "left": bool(replica in members and members[replica].left),
            "revoked_since": _moment(members[replica].revoked) if replica in members else "",
        }
        for replica, public in sorted(contents.keys.items())
    ]


def _moment(ns: int | None) -> str:
    return "" if ns is None else iso(ns, 9)


def _readme(contents: Contents, redaction: Redaction) -> str:
    kept_back = "Nothing was kept back."
    if contents.withheld or contents.withheld_blobs:
        kinds = ", ".join(
            f"{count} {kind.replace('_', ' ')}" for kind, count in sorted(contents.fields.items())
        )
        kept_back = (
            f"Kept back under the policy `{redaction.name}`: the text of {many(len(contents.withheld), 'entry')} and"
            f" {many(len(contents.withheld_blobs), 'file')} ({kinds or 'withheld from the exporter too'}).\n"
            "redacted.jsonl shows each of these entries with marks in the place of what was masked, and its\n"
            "commitment: whoever gets to see the original can check that it is the one that was recorded.\n"
            "Names of actors stand in the headers that the chain is made of, and are not masked."
        )
    if redaction.unscanned:
        kept_back += f"\n{many(redaction.unscanned, 'file')} here as it was, not looked into: no text."
    if contents.erased:
        kept_back += (
            f"\nThe text of {many(len(contents.erased), 'entry')} was erased, as entries of the record say."
        )
    if contents.absent_blobs:
        kept_back += f"\n{many(len(contents.absent_blobs), 'file')} could not be had where this was made."
    return f"""\
A sealed copy of incident {contents.case}: {many(contents.events, "entry")}.

HOW TO CHECK IT
    python3 verify.py .             in this directory, or
    python3 verify.py FILE.tar      with the file that you were given
It needs Python 3.11 or newer and openssl 3, and no network. It says what is proven and what is not.
If you do not trust the verify.py in here, take the same file from a copy of warroom that you trust: it is
data/standalone_verify.py there, and its SHA-256 stands in certificate.md here.

WHAT IS IN IT
    report.md         the incident for people: what happened when, who did what
    certificate.md    a template for a person to sign: how this was made, and the hash of every file
    segments/         every entry, byte for byte as it was hashed and signed by the console that wrote it
    blobs/            files that were kept as evidence, each named by its SHA-256
    redacted.jsonl    what is shown in the place of entries that are kept back, if any
    redacted/         the same for files
    custody.jsonl     what was captured, held, erased, checked, shared and exported, by whom and when
    roster.json       the consoles that wrote, who is behind each, and words to compare their keys by
    manifest.json     the hash of every file, signed by the console that made this copy
    verify.py         checks all of it

WHAT WAS KEPT BACK
{kept_back}
"""


def _certificate(contents: Contents) -> Iterator[str]:
    yield "# Certification of records generated by an electronic process, and of a copy by digital identification"
    yield ""
    yield "Template for Federal Rules of Evidence 902(13) and 902(14). It has no effect until a qualified person has"
    yield "read it, corrected it and signed it. It is no legal advice."
    yield ""
    yield "1. My name is ______________________. I am employed by ______________________ as ______________________."
    yield "   I know how the records below were made and kept because ______________________."
    yield f"2. The records are those of incident {contents.case}: {many(contents.events, 'entry')} by"
    yield f"   {many(len(contents.keys), 'console')}. They were made by {inert(tool())}, which writes each entry when it is"
    yield "   made, hashes its header with SHA-256, binds it to the entry before it by that entry's hash, and signs it"
    yield "   with the Ed25519 key of the console (902(13)). The text of an entry is bound by a salted SHA-256."
    yield "   The system produces an accurate result because ______________________."
    yield "3. This copy was made from those records by the export of the same program. Every file in it is listed below"
    yield "   with its SHA-256; I verified with verify.py on ______________________ (date) that it is a true copy, and"
    yield "   the program answered SOUND (902(14))."
    yield f"4. Kept back from this copy: the text of {many(len(contents.withheld), 'entry')} and"
    yield f"   {many(len(contents.withheld_blobs), 'file')}. Erased from the records: the text of {many(len(contents.erased), 'entry')}."
    yield ""
    yield "I declare under penalty of perjury that the foregoing is true and correct."
    yield ""
    yield "Executed on ______________________ at ______________________. Signature: ______________________"
    yield ""
    yield "## Last entry of each console"
    yield ""
    yield from table(
        ("Console", "Incarnation", "Entries", "SHA-256 of the last"),
        [(rep, str(inc), f"{seq:,}", digest) for rep, inc, seq, digest in contents.ends],
    )
    yield "## Files"
    yield ""
    yield from table(
        ("File", "Bytes", "SHA-256"),
        [(inert(path), f"{size:,}", digest) for path, size, digest in contents.files],
    )


# -- back in ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Opened:
    """What importing a bundle did: what the check of it found, what was new, and how the record stands now."""

    findings: Findings
    loaded: Loaded
    verdict: Verdict
    words: tuple[str, ...]


def take_bundle(home: Home, path: Path) -> Opened:
    """Check a bundle and merge it into a home, as if it came from a remote. Blocks.

    Raises:
        BadBundle: It does not hold together; nothing was written.
        Refused: It belongs to a drill and this home does not, or the other way round.
        StoreTrouble: It is none, or something cannot be written.
    """
    with bundle.open_bundle(path) as opened:
        body = _founding(opened.founding.events[0].event(1))
        if body is not None and body.mode != home.mode:
            raise Refused(
                f"This bundle is {'from a drill' if body.mode == 'drill' else 'of a real incident'}, and the home"
                f" {home.path} is not for that.",
                "Name another home with --home.",
            )
        loaded = opened.take_in(home, project)
        findings = opened.findings
    return Opened(findings, loaded, verify(loaded.directory, trust=trust), fingerprint(findings.key))


def _founding(event: Event) -> Declared | None:
    body = read(event)
    return body if isinstance(body, Declared) else None
