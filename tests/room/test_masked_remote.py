"""A remote that does not get everything: what it gets, what it does not, and who can tell."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest

from console.desk import Desk
from console.evidence.attach import About, attach_text
from console.evidence.redaction import Redaction
from console.sharing import Meeting
from data.blobs import Blobs
from data.clock import SystemClock
from data.home import Home
from data.log import NAME, connect
from data.remotes.opening import open_remote
from data.verify import verify
from tests.room.test_sharing import joined, until

SECRET = "hunter2x9"
LINE = f"the agent printed password={SECRET}"


class Consoles:
    """People who share through one directory."""

    def __init__(self, path: Path) -> None:
        self.path, self.share = path, path / "share"
        self.share.mkdir()
        self.opened: list[Desk] = []

    async def open(self, person: str, mask: Redaction | None = None) -> Desk:
        home = Home.open(self.path / person, clock=SystemClock())
        url = f"dir:{self.share}"
        meeting = Meeting(
            (("share", url, lambda: open_remote(url)),), masks={} if mask is None else {"share": mask}
        )
        desk = await Desk.open(home, person, meeting=meeting)
        self.opened.append(desk)
        return desk

    async def close(self, desk: Desk) -> None:
        self.opened.remove(desk)
        await desk.close()

    def there(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted(self.share.rglob("*")) if path.is_file())


@pytest.fixture
async def consoles(tmp_path: Path) -> AsyncIterator[Consoles]:
    made = Consoles(tmp_path)
    yield made
    for desk in made.opened:
        await desk.close()


def done(desk: Desk) -> bool:
    (standing,) = desk.standings
    return bool(standing.turned) and not standing.pending and not standing.error


def withheld(desk: Desk) -> int:
    return desk.standings[0].withheld


def said(desk: Desk, case: str) -> list[bytes]:
    db = connect(desk.home.case_dir(case) / NAME)
    try:
        return [body for (body,) in db.execute("SELECT body FROM events WHERE kind = 'remote.withheld'")]
    finally:
        db.close()


async def test_what_the_policy_masks_does_not_get_there_and_the_record_says_so(consoles: Consoles) -> None:
    ana = await consoles.open("ana", Redaction())
    room = await ana.declare("refund loop", 1)
    note = await room.note(LINE)
    await room.note("nothing to hide")
    file = await attach_text(room, f"first line\n{LINE}\n".encode(), About("what it printed"))
    await until(lambda: done(ana) and withheld(ana) == 2, ana)
    assert SECRET.encode() not in consoles.there()
    assert b"nothing to hide" in consoles.there()
    # One entry, or two if a turn came between the note and the file.
    body = b"".join(said(ana, room.case.id))
    assert note.hash.encode() in body
    assert file.refs[0].sha256.encode() in body
    assert sum(map(int, re.findall(rb'"kinds":{"password":(\d)}', body))) == 2
    assert (await room.event(note.hash)).body == note.body
    assert verify(ana.home.case_dir(room.case.id)).sound

    ben = await consoles.open("ben")
    await joined(ben, room.code)
    assert ben.room is not None
    await until(lambda: said(ben, room.case.id) == said(ana, room.case.id), ana, ben)
    assert (await ben.room.event(note.hash)).body is None
    assert [line.text for line in await ben.room.lines.search("text is not here")] != []
    verdict = verify(ben.home.case_dir(room.case.id))
    assert verdict.sound, verdict.damage
    assert verdict.withheld == 1


async def test_pushes_that_withhold_nothing_new_write_nothing(consoles: Consoles) -> None:
    ana = await consoles.open("ana", Redaction())
    room = await ana.declare("refund loop", 1)
    await room.note(LINE)
    await until(lambda: done(ana) and withheld(ana) == 1, ana)
    await consoles.close(ana)
    ana = await consoles.open("ana", Redaction())
    room = await ana.enter(room.code)
    for number in range(3):
        await room.note(f"harmless {number}")
        await until(lambda: done(ana), ana)
    await until(lambda: b"harmless 2" in consoles.there(), ana)
    assert len(said(ana, room.case.id)) == 1
    await room.note(f"again token={SECRET}")
    await until(lambda: done(ana) and withheld(ana) == 2, ana)
    assert len(said(ana, room.case.id)) == 2


async def test_a_policy_that_is_lifted_sends_the_text(consoles: Consoles) -> None:
    ana = await consoles.open("ana", Redaction())
    room = await ana.declare("refund loop", 1)
    note = await room.note(LINE)
    await attach_text(room, LINE.encode(), About("what it printed"))
    ben = await consoles.open("ben")
    await joined(ben, room.code)
    # The file, its entry (the title is its first line), and the note.
    await until(lambda: done(ana) and withheld(ana) == 3, ana, ben)
    await consoles.close(ana)
    assert SECRET.encode() not in consoles.there()

    ana = await consoles.open("ana")
    await ana.enter(room.code)
    await until(lambda: done(ana) and SECRET.encode() in consoles.there(), ana)
    assert withheld(ana) == 0
    assert ben.room is not None
    case = ben.home.case_dir(room.case.id)
    digest = sha256(LINE.encode()).hexdigest()
    # The file comes after the events.
    await until(lambda: Blobs(case).path(digest).exists() and verify(case).withheld == 0, ana, ben)
    assert verify(case).sound
    assert (await ben.room.event(note.hash)).body is not None
    assert Blobs(case).path(digest).read_bytes() == LINE.encode()


async def test_a_text_that_nobody_says_was_kept_back_is_damage(consoles: Consoles) -> None:
    """What a console keeps from a remote it has itself: its own word is no excuse for a body that is gone here."""
    ana = await consoles.open("ana", Redaction())
    room = await ana.declare("refund loop", 1)
    note = await room.note(LINE)
    await until(lambda: done(ana) and withheld(ana) == 1, ana)
    case = room.case.id
    await consoles.close(ana)
    directory = consoles.path / "ana" / "cases" / case
    db = sqlite3.connect(directory / NAME, isolation_level=None)
    db.execute("UPDATE events SET body = NULL, salt = NULL WHERE hash = ?", (bytes.fromhex(note.hash),))
    db.close()
    verdict = verify(directory)
    assert [each.kind for each in verdict.damage] == ["body"]
