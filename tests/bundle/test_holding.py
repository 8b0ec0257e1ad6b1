"""Hold and erase: what is held stays, what has to go is gone from every file, and the record still holds together."""

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from console.desk import Desk
from console.events import Erased, RosterAdded, Unmasked, read
from console.evidence.holding import Scope, carry_out, erase, hold, ledger, lift, unmask, waiting
from console.refusal import Refused
from console.room import Room
from console.timeline import project
from data.clock import ManualClock
from data.home import Home
from data.log import connect
from data.parcels import parcels, spans
from data.record import ERASED, entry
from data.record import Erased as Body
from data.verify import verify
from tests.bundle.conftest import START, bytes_of, carry, keep

SECRET = "the card of Maria Musterfrau"


async def said(room: Room) -> list[str]:
    """The texts of the timeline once the view has caught up with the log."""
    for _ in range(500):
        if await room.lines.upto() >= await room._reader.last():
            break
        await room.lines.changed()
        await asyncio.sleep(0.02)
    return [line.text for line in await room.lines.window(0, 500)]


async def test_what_is_erased_is_in_no_file_and_the_record_is_sound(room: Room) -> None:
    line = await room.note(SECRET)
    # So long that it spills over into pages of its own.
    better = await room.amend(line.hash, f"{SECRET}, corrected " * 300, "typing mistake")
    blob = await keep(room, SECRET.encode() + b" transcript")
    other = await room.note("something else")
    assert any(SECRET in text for text in await said(room))
    assert SECRET.encode() in bytes_of(room.case.directory)

    outcome = await erase(room, [line.hash, blob.short], "data subject asked", "GDPR Art. 17")
    assert set(outcome.targets) == {line.hash, better.hash, blob.hash}
    assert outcome.carried is not None
    assert (outcome.carried.bodies, outcome.carried.blobs) == (3, 1)
    texts = await said(room)
    assert not any(SECRET in text for text in texts)
    assert "something else" in texts
    assert SECRET.encode() not in bytes_of(room.case.directory)
    verdict = verify(room.case.directory)
    assert verdict.sound, verdict.damage
    assert verdict.erased == 3
    assert (await room.event(other.hash)).body is not None


async def test_erasing_again_and_the_indispensable_are_refused(room: Room) -> None:
    line = await room.note(SECRET)
    await erase(room, [line.hash], "asked", "court")
    founding = (await room._reader.since(0, 1))[0]
    held = await hold(room, "subject", "Berta", "lawsuit")
    for name, why in (
        (line.hash, "gone already"),
        (founding.hash, "cannot be erased"),
        (held.hash, "cannot be erased"),
    ):
        with pytest.raises(Refused, match=why):
            await erase(room, [name], "asked", "court")
    with pytest.raises(Refused, match="reason and an authority"):
        await erase(room, [founding.hash], "asked", " ")


async def test_only_some_roles_erase_and_lift(home: Home) -> None:
    desk = await Desk.open(home, "ana")
    try:
        room = await desk.declare("refunds in a loop", 2, commander="dee")
        line = await room.note(SECRET)
        held = await hold(room, "case", "", "lawsuit")
        with pytest.raises(Refused, match="may not erase"):
            await erase(room, [line.hash], "asked", "court")
        with pytest.raises(Refused, match="may not lift"):
            await lift(room, held.hash, "over")
        await room.assign("security", "ana")
        await lift(room, held.hash, "over")
        await erase(room, [line.hash], "asked", "court")
    finally:
        await desk.close()


@pytest.mark.parametrize(
    ("scope", "target"), [("case", ""), ("event", "LINE"), ("subject", "maria musterFRAU")]
)
async def test_a_hold_stands_in_the_way_until_it_is_lifted(room: Room, scope: Scope, target: str) -> None:
    line = await room.note(SECRET)
    held = await hold(room, scope, line.short if target == "LINE" else target, "lawsuit")
    with pytest.raises(Refused, match="legal hold"):
        await erase(room, [line.hash], "asked", "court")
    # Retracting the entry is no way around it.
    await room.retract(held.hash, "not needed")
    with pytest.raises(Refused, match="legal hold"):
        await erase(room, [line.hash], "asked", "court")
    assert not any(isinstance(read(event), Erased) for event in await room._reader.since(0, 1000))
    await lift(room, held.hash, "settled")
    await erase(room, [line.hash], "asked", "court")
    assert SECRET.encode() not in bytes_of(room.case.directory)


async def test_a_subject_in_a_blob_holds_it_and_others_are_free(room: Room) -> None:
    blob = await keep(room, SECRET.encode())
    line = await room.note("nothing about anybody")
    await hold(room, "subject", "Musterfrau", "lawsuit")
    with pytest.raises(Refused, match="legal hold"):
        await erase(room, [blob.hash], "asked", "court")
    assert (await erase(room, [line.hash], "asked", "court")).carried is not None


async def test_a_blob_that_another_entry_speaks_of_stays(room: Room) -> None:
    one = await keep(room, b"shared by two")
    await keep(room, b"shared by two", "again")
    outcome = await erase(room, [one.hash], "asked", "court")
    assert outcome.carried is not None
    assert outcome.carried.blobs == 0
    assert verify(room.case.directory).sound


async def test_another_console_erases_too_unless_it_holds(room: Room, tmp_path: Path) -> None:
    line = await room.note(SECRET)
    free, holding = (Home.open(tmp_path / name, clock=ManualClock(START)) for name in ("ben", "cem"))
    for home in (free, holding):
        carry(room.case.directory, home, project).close()
        assert SECRET.encode() in bytes_of(home.case_dir(room.case.id))
    # The hold is set by the second console, which is on the roster, and has not reached the first yet.
    await room.record(RosterAdded(holding.replica, "cem"))
    carry(room.case.directory, holding, project).close()
    desk = await Desk.open(holding, "cem", "security")
    other = await desk.enter(room.case.id)
    held = await hold(other, "subject", "Musterfrau", "lawsuit")
    await other.assign("security", "cem")
    await desk.close()

    await erase(room, [line.hash], "asked", "court")
    case = carry(room.case.directory, free, project)
    assert carry_out(case).bodies == 1
    case.close()
    assert SECRET.encode() not in bytes_of(case.directory)
    assert verify(case.directory).sound

    case = carry(room.case.directory, holding, project)
    carried = carry_out(case)
    case.close()
    assert carried.bodies == 0
    assert carried.waiting == {line.hash: [held.hash]} == waiting(case.directory)
    assert SECRET.encode() in bytes_of(case.directory)
    # Lifted there, it is carried out as soon as the incident is opened.
    desk = await Desk.open(holding, "cem", "security")
    other = await desk.enter(room.case.id)
    await lift(other, held.hash, "settled")
    await desk.refresh()
    await desk.close()
    assert SECRET.encode() not in bytes_of(case.directory)
    assert verify(case.directory).sound


async def test_what_a_stranger_or_a_role_without_the_right_erases_stays(room: Room, tmp_path: Path) -> None:
    line = await room.note(SECRET)
    stranger = Home.open(tmp_path / "eve", clock=ManualClock(START))
    case = carry(room.case.directory, stranger, project)
    case.append(entry(ERASED, Body((line.hash,), "gone"), "ana", "ic")).result(10)
    case.close()
    with closing(connect(case.directory / "log.db")) as db:
        for span in spans(db):
            for parcel in parcels(db, span):
                await asyncio.wrap_future(room.case.merge(parcel))
    assert carry_out(room.case).bodies == 0
    await room.record(Erased((line.hash,), "gone"))  # by ic: this one counts
    assert len(ledger(room.case.directory).erasures) == 1
    assert carry_out(room.case).bodies == 1


async def test_looking_behind_the_mask_is_on_the_record(room: Room) -> None:
    line = await room.note(SECRET)
    with pytest.raises(Refused, match="needs a reason"):
        await unmask(room, line.hash, " ")
    assert (await unmask(room, line.short, "the bank asked")).body == line.body
    last = (await room._reader.since(0, 1000))[-1]
    assert read(last) == Unmasked(line.hash, "the bank asked")
