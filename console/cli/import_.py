"""`warroom import`: a sealed bundle, or the timeline of another tool."""

from __future__ import annotations

import asyncio
import os
import stat
from argparse import Namespace
from pathlib import Path
from tempfile import TemporaryDirectory

from console.cli import exits
from console.cli.context import Context
from console.cli.trouble import complain
from console.evidence import schema
from console.evidence.exchange import take_timeline
from console.evidence.sealing import Opened, take_bundle
from console.plain import many
from console.refusal import Refused
from console.shown import visible
from data.blobs import MAX_BYTES
from data.bundle import AGE, BadBundle, unseal
from data.clock import iso

MAX_SECRET = 64 * 1024


def run(options: Namespace) -> int:
    """`warroom import`."""
    context = Context(options)
    path = Path(options.file)
    try:
        head = _head(path, 512)
        if head.startswith(AGE):
            return _sealed(context, path)
        if head[:8] == b"warroom-":
            return _bundle(context, path)
        return asyncio.run(_timeline(context, path))
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}.", "Name another file.") from error


def _head(path: Path, size: int) -> bytes:
    # O_NONBLOCK: opening a FIFO must not wait for ever.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Refused(
                f"{path} is not a plain file.",
                "Name a file; of a directory, import what it was unpacked from.",
            )
        return file.read(size)


def _sealed(context: Context, path: Path) -> int:
    if not context.options.identity:
        raise Refused(
            f"{path} was encrypted for its recipients.", "Name the file with your age key: --identity FILE."
        )
    lines = _head(Path(context.options.identity), MAX_SECRET).decode(errors="replace").splitlines()
    secret = next((line.strip() for line in lines if line.startswith("AGE-SECRET-KEY-")), "")
    home = context.home(create=True)
    # In the home, where what it holds lies readable anyway, and not in a directory that others share.
    with TemporaryDirectory(dir=home.path, prefix=".tmp-") as scratch:
        plain = Path(scratch) / "bundle.tar"
        with plain.open("xb") as file:
            unseal(path, secret, file)
        return _bundle(context, plain)


def _bundle(context: Context, path: Path) -> int:
    try:
        opened = take_bundle(context.home(create=True), path)
    except BadBundle as bad:
        problems = bad.findings.problems
        text = f"{context.options.file}: NOT SOUND, {len(problems)} findings; nothing was taken in"
        text += "".join(f"\n  {visible(problem, 400)}" for problem in problems)
        context.say(text, {"sound": False, "problems": problems})
        return exits.FAILED
    context.say(_said(opened), _told(opened))
    for refused in opened.loaded.refused:
        complain(f"a part was not taken in: {refused}")
    return exits.OK if opened.verdict.sound else exits.FAILED


def _said(opened: Opened) -> str:
    found, loaded, verdict = opened.findings, opened.loaded, opened.verdict
    code = f"INC-{loaded.case[:4].upper()}"
    lines = [
        f"{code}: {many(loaded.events, 'new event')} and {many(loaded.blobs, 'new file')}"
        + ("" if loaded.founded else ", into the record that was here"),
        f"sealed by console {found.exporter[:8]} under the policy {found.policy}; compare with them, word by word:"
        f" {' '.join(opened.words)}",
        f"now {many(verdict.events, 'event')}, {'sound' if verdict.sound else 'DAMAGED: warroom verify says where'}"
        + (f", the text of {verdict.withheld:,} withheld" if verdict.withheld else ""),
    ]
    return "\n  ".join(lines)


def _told(opened: Opened) -> dict[str, object]:
    found, loaded, verdict = opened.findings, opened.loaded, opened.verdict
    return {
        "incident": f"INC-{loaded.case[:4].upper()}",
        "case": loaded.case,
        "events": loaded.events,
        "blobs": loaded.blobs,
        "founded": loaded.founded,
        "exporter": found.exporter,
        "words": list(opened.words),
        "policy": found.policy,
        "withheld": found.withheld,
        "sound": verdict.sound,
    }


async def _timeline(context: Context, path: Path) -> int:
    data = await asyncio.to_thread(_head, path, MAX_BYTES + 1)
    async with context.room() as room:
        done = await take_timeline(room, data, path.name, context.options.reason)
        rows = done.rows
        text = (
            f"{room.code} saved {iso(room.saved_at, 0)}  {len(rows.good):,} line{'s' * (len(rows.good) != 1)} of {rows.format}"
            f"{', all known already' if done.again else ''}; the file is exhibit {done.exhibit.short}"
            + (f"\n  it names {', '.join(rows.known)}" if rows.known else "")
        )
        context.say(
            text,
            {
                "incident": room.code,
                "format": rows.format,
                "lines": len(rows.good),
                "bad": [{"line": line, "why": why} for line, why in rows.bad],
                "naive": rows.naive,
                "fields": schema.give_out({name: list(values) for name, values in rows.known.items()}),
                "again": done.again,
                "id": done.exhibit.short,
                "hash": done.exhibit.hash,
            },
        )
    if rows.naive:
        complain(f"{rows.naive:,} times had no offset and were taken as UTC.")
    for line, why in rows.bad[:100]:
        complain(f"{path.name}:{line}: {why}; it stands in the exhibit only.")
    if len(rows.bad) > 100:
        complain(f"{len(rows.bad) - 100:,} more lines were not understood; --json lists them.")
    return exits.OK
