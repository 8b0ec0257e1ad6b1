"""An incident with everything that can go into a bundle, written by the real desk."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from console.desk import Desk
from console.events import EvidenceCaptured, entry
from console.room import Room
from data.blobs import Blobs
from data.case import Case, adopt
from data.clock import ManualClock
from data.envelope import Event
from data.home import Home
from data.parcels import parcels, spans
from data.segment import pack, unpack

START = 1_795_000_000_000_000_000


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "ana", clock=ManualClock(START))


@pytest.fixture
async def room(home: Home) -> AsyncIterator[Room]:
    desk = await Desk.open(home, "ana")
    try:
        yield await desk.declare("refunds in a loop", 2)
    finally:
        await desk.close()


async def keep(room: Room, data: bytes, title: str = "transcript") -> Event:
    """Attach a blob to the incident."""
    ref = await asyncio.to_thread(Blobs(room.case.directory).put, data, "text/plain")
    body = EvidenceCaptured("paste", title)
    (event,) = await room._append([entry(body, room.actor, role=room.role, refs=(ref,))])
    return event


def carry(source: Path, target: Home, project: object) -> Case:
    """Take all that a case holds into another home, through the bytes that would travel."""
    with closing(sqlite3.connect(source / "log.db")) as db:
        sent = [unpack(*pack(parcel)) for span in spans(db) for parcel in parcels(db, span)]
    if not (target.case_dir(sent[0].case) / "log.db").exists():
        adopt(target, next(p for p in sent if p.events[0].header.case is None))
    case = Case.open(target.case_dir(sent[0].case), target, project)  # type: ignore[arg-type]
    for parcel in sent:
        assert case.merge(parcel).result(10).after is None
    return case


def bytes_of(directory: Path) -> bytes:
    """Every byte that lies in a case directory now."""
    return b"".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())
