"""What people bring as evidence: a file, pasted text, or what a command printed.

Kept as it was, byte by byte, with where it came from, with what, and why; who and when stand on the event.
"""

from __future__ import annotations

import asyncio
import errno
import mimetypes
import os
import shutil
import signal
import stat
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from console.events import EvidenceCaptured, Known, entry
from console.evidence import schema
from console.evidence.capture import host, tool
from console.plain import visible
from console.refusal import Refused
from console.room import Room
from data.blobs import MAX_BYTES, Blobs
from data.case import reading_only
from data.envelope import Event

COMMAND_BYTES = 64 * 2**20
"""Bytes that are kept of what a command prints, on each of its two outputs."""
SECONDS = 60.0
LONGEST = 3600.0
WORD = 512
"""Characters of one word of a command that can stand on the record."""
TEXT = "text/plain; charset=utf-8"


class About(NamedTuple):
    """What the person says of it: why it is kept, a title, and which field of the evidence schema it shows."""

    reason: str = ""
    title: str = ""
    field: str = ""


_NOTHING = About()


async def attach_file(room: Room, path: Path, about: About = _NOTHING) -> Event:
    """Keep a file.

    Raises:
        Refused: it is no regular file, is larger than a blob may be, or cannot be read.
        StoreTrouble: it cannot be stored.
    """
    fields = _fields(about)
    data, changed, where = await asyncio.to_thread(_read, path)
    media = mimetypes.guess_type(path.name, strict=False)[0] or "application/octet-stream"
    reason = about.reason.strip()
    if changed:
        reason = f"{reason} The file was being written while it was read.".strip()
    return await _keep(
        room,
        EvidenceCaptured(
            "file",
            _title(about, path.name),
            fields=fields,
            source=_source(where),
            tool=tool(),
            reason=reason,
        ),
        (data, media),
    )


async def attach_text(room: Room, text: bytes, about: About = _NOTHING) -> Event:
    """Keep pasted text, or whatever came on standard input.

    Raises:
        Refused: it is empty or larger than a blob may be.
        StoreTrouble: it cannot be stored.
    """
    fields = _fields(about)
    if not text.strip():
        raise Refused("There is nothing to keep.", "Paste or pipe the text that is evidence.")
    if len(text) > MAX_BYTES:
        raise Refused(_too_large("This text"), "Split it, or keep the part that matters.")
    try:
        first = visible(text.decode().strip().splitlines()[0], 80)
        media = TEXT
    except UnicodeDecodeError:
        first, media = f"{len(text):,} bytes", "application/octet-stream"
    return await _keep(
        room,
        EvidenceCaptured(
            "paste",
            _title(about, first),
            fields=fields,
            source=_source("standard input or paste"),
            tool=tool(),
            reason=about.reason.strip(),
        ),
        (text, media),
    )


async def attach_command(
    room: Room,
    argv: Sequence[str],
    about: About = _NOTHING,
    *,
    seconds: float = SECONDS,
) -> Event:
    """Run a command, never through a shell, and keep what it printed and how it ended.

    It gets no input. What it prints beyond `COMMAND_BYTES`, or after `seconds`, is not waited for: it is ended
    with everything that it started, and the record says so. Cancelled, it is ended and nothing is kept.

    Raises:
        Refused: it cannot be run, or cannot stand on the record.
        StoreTrouble: what it printed cannot be stored.
    """
    fields = _fields(about)
    if not argv or len(argv) > 100 or any(len(word) > WORD or "\0" in word for word in argv):
        raise Refused(
            f"A command of 1 to 100 words of up to {WORD} characters can be kept.",
            "Put it into a script, attach the script, and run that.",
        )
    if not 0 < seconds <= LONGEST:
        raise Refused(f"A command gets up to {LONGEST:.0f} seconds.")
    done = await _run(argv, seconds)
    parts = [(done.out, TEXT), *([(done.err, TEXT)] if done.err else [])]
    return await _keep(
        room,
        EvidenceCaptured(
            "command",
            _title(about, f"{' '.join(argv)}"),
            fields=fields,
            source=_source(f"in {Path.cwd()}"),
            tool=tool(),
            command=tuple(argv),
            exit=done.exit,
            reason=" ".join([about.reason.strip(), *done.notes]).strip(),
        ),
        *parts,
    )


class _Done(NamedTuple):
    out: bytes
    err: bytes
    exit: int | None
    notes: list[str]


async def _run(argv: Sequence[str], seconds: float) -> _Done:
    program = shutil.which(argv[0])
    if program is None:
        raise Refused(f"There is no program {argv[0][:80]}.", "Check its name, or name it with its path.")
    try:
        process = await asyncio.create_subprocess_exec(
            program, *argv[1:], stdin=DEVNULL, stdout=PIPE, stderr=PIPE, start_new_session=True
        )
    except OSError as error:
        raise Refused(f"{argv[0][:80]} cannot be run: {error.strerror}.") from error
    out, err = bytearray(), bytearray()
    notes: list[str] = []
    ended = False
    try:
        assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018 - both are pipes
        async with asyncio.timeout(seconds):
            async with asyncio.TaskGroup() as both:
                both.create_task(_take(process.stdout, out))
                both.create_task(_take(process.stderr, err))
            await process.wait()
        ended = True
    except* _Flood:
        notes.append(f"It printed more than {COMMAND_BYTES // 2**20} MiB; the rest is not kept.")
    except* TimeoutError:
        notes.append(f"It did not end within {seconds:g} s and was ended.")
    finally:
        await _end(process, kill=not ended)
    # Its own end only: after being ended by us, the code would say nothing about the command.
    return _Done(bytes(out), bytes(err), process.returncode if ended else None, notes)


class _Flood(Exception):
    """A command prints more than is kept."""


async def _take(stream: asyncio.StreamReader, into: bytearray) -> None:
    while chunk := await stream.read(1 << 16):
        room = COMMAND_BYTES - len(into)
        into += chunk[:room]
        if len(chunk) > room:
            raise _Flood


async def _end(process: Process, *, kill: bool) -> None:
    """Let go of a command; `kill`: with all that it started and that did not leave its session."""
    if kill:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    transport = process._transport  # type: ignore[attr-defined] # a grandchild may hold the pipes open for ever
    transport.close()
    await process.wait()


def _read(path: Path) -> tuple[bytes, bool, str]:
    """A file's bytes, whether it changed meanwhile, and where it is."""
    name = visible(str(path), 200)
    handle = -1
    try:
        # Non-blocking: to open a FIFO would wait for somebody who writes into it.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        before = os.fstat(handle)
        if not stat.S_ISREG(before.st_mode):
            raise Refused(
                f"{name} is not a regular file.", "To keep what it gives, attach a command that reads it."
            )
        if before.st_size > MAX_BYTES:
            raise Refused(_too_large(name), "Split it, or attach its hash and say where it is kept.")
        with os.fdopen(handle, "rb", closefd=False) as file:
            data = file.read(MAX_BYTES + 1)
        after = os.fstat(handle)
    except OSError as error:
        if error.errno == errno.ELOOP:
            target = visible(os.path.realpath(path), 300)
            raise Refused(f"{name} is a symbolic link.", f"Name what it points to: {target}.") from None
        raise Refused(
            f"{name} cannot be read: {error.strerror}.", "Name another file, or mend its permissions."
        ) from None
    finally:
        if handle >= 0:
            os.close(handle)
    if len(data) > MAX_BYTES:
        raise Refused(_too_large(name), "Split it, or attach its hash and say where it is kept.")
    changed = (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)
    return data, changed or len(data) != after.st_size, str(path.absolute())


def _too_large(what: str) -> str:
    return f"{what} is larger than {MAX_BYTES // 2**20} MiB."


def _fields(about: About) -> tuple[Known, ...]:
    if not about.field:
        return ()
    meant = schema.field(about.field)
    if meant is None:
        raise Refused(
            f"The evidence schema has no {about.field[:80]}.", "`warroom evidence --schema` lists its names."
        )
    return (Known(meant.name, "attached"),)


def _title(about: About, otherwise: str) -> str:
    title = " ".join((about.title or otherwise).split())
    # A name of a file may be no Unicode, and the record holds nothing else.
    return title.encode("utf-8", "backslashreplace").decode()[:512] or "(unnamed)"


def _source(where: str) -> str:
    return f"{host()}: {where}".encode("utf-8", "backslashreplace").decode()[:512]


async def _keep(room: Room, body: EvidenceCaptured, *parts: tuple[bytes, str]) -> Event:
    if room.read_only:
        raise reading_only()
    blobs = Blobs(room.case.directory)
    refs = [await asyncio.to_thread(blobs.put, data, media) for data, media in parts]
    # The record's bounds are checked when the entry is made; what was stored before is then spoken of by nobody.
    return (await room.append(entry(body, room.actor, role=room.role, refs=tuple(refs))))[0]
