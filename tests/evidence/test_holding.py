"""Who may hold and erase: what nobody would obey is refused, a claimed role gives nothing, and what is said was done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import pytest

from console.cli import exits
from console.desk import Desk
from console.events import Erased, HoldLifted, HoldSet, RosterAdded, entry
from console.evidence import holding
from console.evidence.holding import carry_out, erase, hold, ledger, lift
from console.refusal import Refused
from console.room import Room
from console.timeline import project
from data import quarantine
from data.case import Case
from data.clock import ManualClock
from data.home import Home
from data.segment import pack
from data.sync import Sync
from tests.bundle.conftest import START, bytes_of, carry, keep
from tests.cli.conftest import Warroom
from tests.data.test_merge import shipped

SECRET = "the card of Maria Musterfrau"
ERASE = ("--reason", "asked", "--authority", "GDPR Art. 17")

T = TypeVar("T")


def in_room(home: Path, act: Callable[[Room], Awaitable[T]], actor: str = "ana") -> T:
    """Do something in the one incident of a home, beside its command line."""

    async def run() -> T:
        desk = await Desk.open(Home.open(home), actor)
        try:
            return await act(await desk.enter(desk.home.cases()[0]))
        finally:
            await desk.close()

    return asyncio.run(run())


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "ana", clock=ManualClock(START))


# -- consoles that do not count ------------------------------------------------------------------------------


def test_a_console_that_is_not_on_the_roster_neither_erases_nor_holds(
    declared: Warroom, tmp_path: Path
) -> None:
    shelf, folder = tmp_path / "shelf", tmp_path / "ben"
    shelf.mkdir()
    folder.mkdir()
    other = Warroom(folder)
    for each in (declared, other):
        path = each.folder / "config" / "warroom" / "config.toml"
        path.parent.mkdir(parents=True)
        path.write_text('[trust]\npolicy = "list"\n')
        each.quick("remote", "add", "team", f"dir:{shelf}")
    line = declared.quick("note", SECRET, "--json").values[0]["id"]
    for each in (declared, other):
        each.quick("sync")
    founder = declared.quick("roster", "--json").values[0]["replica"]
    for command in (("erase", line, *ERASE), ("hold", "lawsuit"), ("hold", "--lift", line, "over")):
        refused = other.within("--as", "ana", "--role", "legal", *command)
        assert refused.code == exits.REFUSED, refused
        assert "is not on the roster" in refused.err
        assert f"ana ({founder[:8]}) can" in refused.err
        assert refused.out == ""
    kinds = {each["kind"] for each in other.quick("export", "--format", "jsonl").values}
    assert not any(kind.startswith(("hold.", "record.erased")) for kind in kinds)
    # Put on the roster, the same person may.
    other.quick("note", "hello")
    for each in (other, declared):
        each.quick("sync")
    (ben,) = [each["replica"] for each in declared.quick("roster", "--json").values if not each["how"]]
    declared.quick("roster", "add", ben)
    for each in (declared, other):
        each.quick("sync")
    assert (
        "the text of 1 entry and 0 files are gone from here"
        in other.quick("--as", "ana", "erase", line, *ERASE).out
    )
    declared.quick("roster", "remove", ben, "left")
    for each in (declared, other):
        each.quick("sync")
    assert "no longer on the roster" in other.within("--as", "ana", "hold", "lawsuit").err


# -- roles ---------------------------------------------------------------------------------------------------


async def test_a_role_that_is_only_claimed_erases_nothing_and_lifts_nothing(home: Home) -> None:
    desk = await Desk.open(home, "ana", "legal")
    try:
        room = await desk.declare("refunds in a loop", 2, commander="dee")
        assert room.role == "legal"
        line, held = await room.note(SECRET), await hold(room, "subject", "Berta", "lawsuit")
        for act in (erase(room, [line.hash], "asked", "court"), lift(room, held.hash, "over")):
            with pytest.raises(Refused, match="ana is none of") as refused:
                await act
            assert "dee (ic) can." in str(refused.value)
        # The same past the command: no console obeys it, this one included.
        await room.record(HoldLifted(held.hash, "over"), Erased((line.hash,), "gone"))
        assert (list(ledger(room.case.directory).holds), carry_out(room.case).bodies) == ([held.hash], 0)
        # A role that was given and is gone again, or was given by mistake, is none either.
        await room.assign("legal", "ana")
        await room.release("legal", "ana")
        await room.assign("privacy", "ana")
        await room.undo()
        await room.record(HoldLifted(held.hash, "over"), Erased((line.hash,), "gone"))
        assert (list(ledger(room.case.directory).holds), carry_out(room.case).bodies) == ([held.hash], 0)
        await room.assign("privacy", "ana")
        await lift(room, held.hash, "over")
        assert (await erase(room, [line.hash], "asked", "court")).kept == ()
        await room.release("privacy", "ana")
        assert len(ledger(room.case.directory).erasures) == 1
    finally:
        await desk.close()
    assert SECRET.encode() not in bytes_of(room.case.directory)


async def test_who_was_given_a_role_elsewhere_may_on_every_console(home: Home, tmp_path: Path) -> None:
    """The commander of the declaration erases here, and a console that only merges obeys."""
    desk, other = await Desk.open(home, "ana"), Home.open(tmp_path / "ben", clock=ManualClock(START))
    try:
        room = await desk.declare("refunds in a loop", 2)
        line = await room.note(SECRET)
        await room.record(RosterAdded(other.replica, "ben"))
        await erase(room, [line.hash], "asked", "court")
        case = carry(room.case.directory, other, project)
    finally:
        await desk.close()
    try:
        assert len(ledger(case.directory).erasures) == 1
        # On the roster, but with no role: what this console erases is obeyed by nobody.
        case.append(entry(Erased((line.hash,), "gone"), "ben", role="ic")).result(10)
        assert len(ledger(case.directory).erasures) == 1
    finally:
        case.close()


# -- what is said was done -----------------------------------------------------------------------------------


def test_what_waits_for_a_hold_is_said_beside_what_is_gone(declared: Warroom) -> None:
    async def prepare(room: Room) -> tuple[str, str, str]:
        held, free = await room.note(SECRET), await room.note("nothing about anybody")
        lawsuit = await hold(room, "event", held.hash, "lawsuit")
        # As it comes in from a console that does not know of the hold.
        await room.record(Erased((held.hash,), "asked"))
        return held.short, free.short, lawsuit.short

    held, free, lawsuit = in_room(declared.home, prepare)
    done = declared.quick("--as", "ana", "erase", free, *ERASE)
    assert "the text of 1 entry and 0 files are gone from here" in done.out
    assert f"{held} is still here: it waits for {lawsuit} to be lifted" in done.err


def test_an_erasure_that_a_hold_overtakes_is_said_to_wait_and_fails(
    declared: Warroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = declared.quick("note", SECRET, "--json").values[0]["id"]

    def overtaken(case: Case) -> holding.Carried:
        case.append(entry(HoldSet("case", "lawsuit"), "cem")).result(10)
        return carry_out(case)

    monkeypatch.setattr(holding, "carry_out", overtaken)
    done = declared.within("--as", "ana", "erase", line, *ERASE)
    assert done.code == exits.FAILED
    assert "the text of 0 entries" in done.out
    assert f"{line} is still here: it waits for" in done.err
    assert SECRET.encode() in bytes_of(declared.home)


# -- what lies elsewhere -------------------------------------------------------------------------------------


async def test_the_blobs_of_what_was_erased_are_named_where_they_were_shared(
    home: Home, tmp_path: Path
) -> None:
    from data.remotes.directory import Directory

    shelf = tmp_path / "shelf"
    shelf.mkdir()
    desk = await Desk.open(home, "ana")
    try:
        room = await desk.declare("refunds in a loop", 2)
        mine, both = await keep(room, SECRET.encode()), await keep(room, b"of two", "one")
        await keep(room, b"of two", "another")
        remote = Directory(shelf)
        with closing(remote):
            await asyncio.to_thread(Sync(room.case, remote, "team", home.replica).turn)
        done = await erase(room, [mine.hash, both.hash], "asked", "court")
    finally:
        await desk.close()
    (named,) = done.elsewhere.values()
    blobs = [name for name in named if "/blobs/" in name]
    assert blobs == [f"{room.case.id}/blobs/{mine.refs[0].sha256}"]
    assert (shelf / blobs[0]).read_bytes() == SECRET.encode()
    for name in named:
        (shelf / name).unlink()
    assert SECRET.encode() not in bytes_of(shelf)


async def test_what_a_remote_garbled_goes_with_what_was_erased(home: Home) -> None:
    desk = await Desk.open(home, "ana")
    try:
        room = await desk.declare("refunds in a loop", 2)
        line = await room.note(SECRET)
        (torn,) = (raw[:-1] for _, raw in map(pack, shipped(room.case)) if SECRET.encode() in raw)
        assert await asyncio.to_thread(quarantine.keep, room.case.directory, torn)
        assert SECRET.encode() in bytes_of(room.case.directory / quarantine.NAME)
        await erase(room, [line.hash], "asked", "court")
        assert SECRET.encode() not in bytes_of(room.case.directory / quarantine.NAME)
    finally:
        await desk.close()
