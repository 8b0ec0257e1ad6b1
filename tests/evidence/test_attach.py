"""What people bring: files, pasted text, the output of commands; kept byte by byte, with custody."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from console import events as ev
from console.desk import Desk
from console.evidence import attach
from console.evidence.attach import About, attach_command, attach_file, attach_text
from console.incident import Exhibit
from console.refusal import Refused
from console.room import Room
from data.blobs import Blobs
from data.case import Case
from data.clock import ManualClock
from data.home import Home
from data.trouble import StoreTrouble
from data.verify import verify
from tests.room.strand import T0
from tests.watch.process import until

PYTHON = sys.executable


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    desk = await Desk.open(Home.open(tmp_path / "home", clock=ManualClock(T0)), "ana")
    yield await desk.declare("refunds")
    await desk.close()


def last(room: Room) -> tuple[Exhibit, list[bytes]]:
    """The newest exhibit and its blobs, read back with their hashes checked."""
    exhibit = room.incident.exhibits[-1]
    return exhibit, [Blobs(room.case.directory).read(ref) for ref in exhibit.refs]


@pytest.mark.req("S001-EV-0")
async def test_a_file_is_kept_as_it_is(room: Room, tmp_path: Path) -> None:
    file = tmp_path / "queue export.csv"
    file.write_bytes(b"id,amount\r\n1,\xff\x00\x1b[31m\n")
    event = await attach_file(room, file, About("the queue as it stood", field="Tool Configuration"))
    exhibit, (data,) = last(room)
    assert data == file.read_bytes()
    body = exhibit.body
    assert (exhibit.hash, exhibit.by, body.what, body.title) == (
        event.hash,
        "ana",
        "file",
        "queue export.csv",
    )
    assert body.source.endswith(str(file))
    assert (body.reason, body.fields) == (
        "the queue as it stood",
        (ev.Known("tool_configuration", "attached"),),
    )
    assert (exhibit.refs[0].media, exhibit.refs[0].size) == ("text/csv", len(data))
    assert verify(room.case.directory).sound


@pytest.mark.parametrize(
    "kind", ["fifo", "symlink", "directory", "device", "missing", "dangling", "unreadable"]
)
async def test_what_is_no_file_is_refused_at_once(room: Room, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "thing"
    match kind:
        case "fifo":
            os.mkfifo(path)  # to open it the usual way would wait for a writer, for ever
        case "symlink":
            (tmp_path / "target").write_text("x")
            path.symlink_to(tmp_path / "target")
        case "dangling":
            path.symlink_to(tmp_path / "nowhere")
        case "directory":
            path.mkdir()
        case "device":
            path = Path("/dev/zero")
        case "unreadable":
            path = tmp_path / ("x" * 300)
    with pytest.raises(Refused):
        await attach_file(room, path)
    assert room.incident.exhibits == []


async def test_a_file_that_is_too_large_is_refused_without_being_read(room: Room, tmp_path: Path) -> None:
    file = tmp_path / "huge"
    with file.open("wb") as sparse:
        sparse.truncate(300 * 2**20)
    with pytest.raises(Refused, match="larger than 256 MiB"):
        await attach_file(room, file)


async def test_a_file_that_is_being_written_says_so(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "log"
    file.write_text("one\n")
    measure, calls = os.fstat, []

    def growing(handle: int) -> os.stat_result:
        measured = measure(handle)
        calls.append(handle)
        if len(calls) == 1:
            with file.open("a") as more:
                more.write("two\n")
        return measured

    monkeypatch.setattr(os, "fstat", growing)
    await attach_file(room, file, About("why"))
    monkeypatch.undo()
    exhibit, (data,) = last(room)
    assert data == b"one\ntwo\n"
    assert exhibit.body.reason == "why The file was being written while it was read."


async def test_names_that_are_no_unicode_are_kept_readable(room: Room, tmp_path: Path) -> None:
    file = tmp_path / os.fsdecode(b"r\xff\x1b[2J.txt")
    file.write_text("x")
    await attach_file(room, file)
    assert last(room)[0].body.title == "r\\udcff\x1b[2J.txt"


async def test_pasted_text_is_kept_to_the_byte(room: Room) -> None:
    text = "Grüße\r\n\ttab \x1b[31m\n".encode()
    await attach_text(room, text, About("from the chat"))
    exhibit, (data,) = last(room)
    assert data == text
    assert (exhibit.body.what, exhibit.body.title) == ("paste", "Grüße")
    await attach_text(room, b"\xff\xfe", About(title="bytes"))
    assert last(room)[0].refs[0].media == "application/octet-stream"
    with pytest.raises(Refused, match="nothing to keep"):
        await attach_text(room, b" \n")


@pytest.mark.req("S001-EV-0")
async def test_a_command_is_kept_with_both_outputs_and_its_end(room: Room) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    await attach_command(room, [PYTHON, "-c", code], About("its state"))
    exhibit, parts = last(room)
    assert parts == [b"out\n", b"err\n"]
    assert exhibit.body.command == (PYTHON, "-c", code)
    assert (exhibit.body.exit, exhibit.body.reason) == (3, "its state")


async def test_no_shell_reads_the_command_and_it_gets_no_input(room: Room) -> None:
    await attach_command(
        room, [PYTHON, "-c", "import sys; print(sys.argv[1:], repr(sys.stdin.read()))", "$HOME;`id`", "*"]
    )
    assert last(room)[1] == [b"['$HOME;`id`', '*'] ''\n"]


async def test_its_environment_is_not_recorded(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2-very-secret")
    await attach_command(room, [PYTHON, "-c", "import os; print(len(os.environ['TOKEN']))"])
    assert last(room)[1] == [b"19\n"]
    secret = b"hunter2-very-secret"
    assert not [
        path for path in room.case.directory.rglob("*") if path.is_file() and secret in path.read_bytes()
    ]


async def test_a_command_that_does_not_end_is_ended_with_what_it_started(room: Room, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = (
        "import subprocess, sys, time; print('begun', flush=True);"
        f"p = subprocess.Popen(['sleep', '600']); open({str(pid)!r}, 'w').write(str(p.pid)); time.sleep(600)"
    )
    await attach_command(room, [PYTHON, "-c", code], seconds=2)
    exhibit, parts = last(room)
    assert parts == [b"begun\n"]
    assert exhibit.body.exit is None
    assert "did not end within 2 s" in exhibit.body.reason
    assert await asyncio.to_thread(gone, int(pid.read_text()))


def gone(pid: int) -> bool:
    """Whether a process ends (a zombie has ended)."""
    for _ in range(600):
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


async def test_a_flood_is_cut_and_said(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attach, "COMMAND_BYTES", 100_000)
    await attach_command(room, ["yes"])
    exhibit, (data,) = last(room)
    assert data == b"y\n" * 50_000
    assert "the rest is not kept" in exhibit.body.reason
    assert exhibit.body.exit is None


async def test_cancelled_it_is_ended_and_nothing_is_kept(room: Room, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    task = asyncio.create_task(attach_command(room, [PYTHON, "-c", code]))
    await asyncio.to_thread(until, lambda: pid.exists() and pid.read_text(), "it began")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(gone, int(pid.read_text()))
    assert room.incident.exhibits == []


@pytest.mark.parametrize(
    "argv", [[], ["no-such-program-here"], ["/etc/hostname"], ["ls", "x" * 513], ["a"] * 101, ["ls", "a\0b"]]
)
async def test_what_cannot_be_run_or_recorded_is_refused(room: Room, argv: list[str]) -> None:
    with pytest.raises(Refused):
        await attach_command(room, argv)
    assert room.incident.exhibits == []


async def test_a_field_nobody_knows_is_refused_before_anything_is_run(room: Room, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="has no colour"):
        await attach_command(room, ["touch", str(tmp_path / "ran")], About(field="colour"))
    assert not (tmp_path / "ran").exists()


async def test_read_only_nothing_is_stored(room: Room, tmp_path: Path) -> None:
    room.case.read_only = True
    assert isinstance(room.case, Case)
    with pytest.raises(StoreTrouble, match="reading only"):
        await attach_text(room, b"text")
    assert not (room.case.directory / "blobs").exists()
    room.case.read_only = False
