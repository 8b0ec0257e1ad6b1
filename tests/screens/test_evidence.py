"""The evidence screen and the state of single entries, with keys, on real records."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from console.events import EntryAmended, EvidenceCaptured, Forked, ItemSet, NoteWritten, RosterAdded, entry
from console.evidence.material import Material
from console.refusal import Refused
from data.blobs import Blobs
from data.envelope import short
from data.trouble import StoreTrouble
from screens.dialogs.form import Form, Options
from screens.dialogs.material import MaterialPage, MaterialRows
from screens.dialogs.page import Page
from screens.evidence import EvidenceScreen
from screens.room import RoomScreen
from screens.widgets.evidence import EvidenceList, size
from screens.widgets.header import Header
from screens.widgets.rows import Rows
from screens.widgets.sheet import Sheet
from screens.widgets.strips import StripLines
from tests.screens.consoles import Console, carry
from tests.screens.stage import HOSTILE, until
from tests.screens.test_room import Opened, Stage


def painted(rows: Rows[Any]) -> str:
    """Return the text of a pane, line by line."""
    return "\n".join(rows.render_line(y).text for y in range(rows.size.height))


class Evidence:
    """The evidence screen of a stage, and what a test asks of it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    @property
    def screen(self) -> EvidenceScreen:
        base = self.stage.console.base
        assert isinstance(base, EvidenceScreen)
        return base

    @property
    def rows(self) -> EvidenceList:
        return self.screen.query_one(EvidenceList)

    @property
    def said(self) -> str:
        return self.screen.query_one("#said", StripLines).words

    def names(self, kind: str) -> list[str]:
        return [f"{row.what} {row.name}" for row in self.rows.all_rows if row.kind == kind]

    async def until(self, condition: Any, what: str = "") -> None:
        await until(self.stage.pilot, condition, what)

    async def until_said(self, words: str) -> None:
        await self.until(lambda: words in self.said, f"{words!r} is said, not {self.said!r}")

    async def choose(self, kind: str, number: int = 0) -> None:
        """Put the cursor on a row."""
        await self.until(lambda: len(self.names(kind)) > number, f"a row of kind {kind}")
        rows = [i for i, row in enumerate(self.rows.all_rows) if row.kind == kind]
        self.rows.go(rows[number])


async def opened(stage: Stage) -> Evidence:
    await stage.press("5")
    await stage.until(lambda: isinstance(stage.console.base, EvidenceScreen))
    evidence = Evidence(stage)
    await evidence.until(lambda: evidence.rows.count > 0)
    return evidence


async def page_says(stage: Stage, *words: str) -> str:
    await stage.until(lambda: isinstance(stage.console.screen, Page), "a page")
    await stage.until(lambda: stage.console.screen.query_one(Sheet).count > 0, "what it says")
    sheet = stage.console.screen.query_one(Sheet)
    text = " ".join(" ".join((line.label, line.text)) for line in sheet.all_rows)
    for each in words:
        assert each in text
    return text


async def form(stage: Stage) -> Form:
    await stage.until(lambda: isinstance(stage.console.screen, Form), "a form")
    await stage.until(lambda: bool(stage.console.screen.query("#form-says")), "its questions")
    screen = stage.console.screen
    assert isinstance(screen, Form)
    return screen


async def test_five_opens_the_evidence_and_five_or_escape_lead_back_to_the_same_place(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("2", "k", "k")
        at = stage.timeline.cursor
        evidence = await opened(stage)
        text = painted(evidence.rows)
        for heading in ("EXHIBITS", "HOLDS", "REMOTES", "ROSTER", "STRANDS", "VERIFICATION"):
            assert heading in text
        assert "this disk holds the only copy" in text
        await stage.press("5")
        await stage.until(lambda: isinstance(stage.console.screen, RoomScreen))
        assert stage.timeline.cursor == at
        await opened(stage)
        await stage.press("escape")
        await stage.until(lambda: isinstance(stage.console.screen, RoomScreen))
        await opened(stage)
        await stage.press("i", "x")
        await stage.until(lambda: stage.writer.text == "x", "the write bar is one key away")


async def test_keys_that_are_typed_ahead_reach_the_evidence_screen(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("5", "F", *"/x", "escape", "escape", "1")
        await stage.until(lambda: isinstance(stage.console.screen, RoomScreen))
        assert stage.screen.pane == "alerts"


async def test_a_command_of_the_room_says_where_it_belongs(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("o")
        await stage.until_said("belongs to the evidence screen: press 5")
        evidence = await opened(stage)
        await stage.press("slash")
        await evidence.until_said("belongs to the room: press Esc")


async def test_a_file_is_attached_shown_and_saved(tmp_path: Path) -> None:
    source = tmp_path / "agent.txt"
    lines = [f"{number} called pay.refund" for number in range(3000)]
    source.write_text("\n".join(lines) + "\n")
    copy = tmp_path / "copy.log"
    async with Opened(tmp_path) as stage:
        evidence = await opened(stage)
        await stage.press("F")
        await form(stage)
        await stage.type(str(source))
        await stage.press("tab")
        await stage.type("what it did")
        await stage.press("enter")
        await evidence.until_said("kept as")
        await evidence.choose("exhibit")
        assert evidence.names("exhibit")[0].startswith("file agent.txt")
        await stage.press("enter")
        await page_says(stage, "what it did", str(source), "text/")
        await stage.press("o")
        await stage.until(lambda: isinstance(stage.console.screen, MaterialPage))
        rows = stage.console.screen.query_one(MaterialRows)
        await stage.until(lambda: rows.count == 3000 and rows.row(0) is not None, "the checked lines")
        assert "0 called pay.refund" in painted(rows)
        await stage.press("G")
        await stage.until(lambda: "2999 called" in painted(rows), "the end of the file")
        await stage.press("enter")
        await page_says(stage, "2999 called pay.refund")
        await stage.press("escape", "s")
        saving = await form(stage)
        saving.query_one("#field-path").load_text(str(copy))  # type: ignore[attr-defined]
        await stage.press("enter")
        await stage.until(copy.exists)
        await stage.until(lambda: isinstance(stage.console.screen, MaterialPage))
        assert copy.read_bytes() == source.read_bytes()
        await stage.press("s")
        saving = await form(stage)
        saving.query_one("#field-path").load_text(str(copy))  # type: ignore[attr-defined]
        await stage.press("enter")
        await stage.until(lambda: "already" in saving.query_one("#form-says", StripLines).words)


async def test_pasted_text_is_attached_from_the_room(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("P")
        await form(stage)
        await stage.type("answer of the model")
        await stage.press("tab")
        await stage.type("it says so")
        await stage.press("enter")
        await stage.until_said("kept as")
        (exhibit,) = stage.room.incident.exhibits
        assert exhibit.body.what == "paste"
        assert Blobs(stage.room.case.directory).read(exhibit.refs[0]) == b"answer of the model"


async def test_a_changed_file_is_not_shown(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        ref = await asyncio.to_thread(Blobs(stage.room.case.directory).put, b"original\n", "text/plain")
        await stage.room.append(entry(EvidenceCaptured("file", "log"), "ana", refs=(ref,)))
        path = Blobs(stage.room.case.directory).path(ref.sha256)
        path.chmod(0o600)
        path.write_bytes(b"changed!\n")
        evidence = await opened(stage)
        await evidence.choose("exhibit")
        await stage.press("o")
        await stage.until(lambda: isinstance(stage.console.screen, MaterialPage))
        says = stage.console.screen.query_one("#material-says", StripLines)
        await stage.until(lambda: "not what was stored" in says.words)
        assert "changed!" not in painted(stage.console.screen.query_one(MaterialRows))


@pytest.mark.parametrize(
    "payload", ["sgr", "title", "clipboard", "c1-csi", "bidi", "markup", "overwrite", "surrogate"]
)
async def test_hostile_exhibits_are_shown_and_not_obeyed(tmp_path: Path, payload: str) -> None:
    text = HOSTILE[payload]
    raw = text.encode("utf-8", "surrogatepass") * 20
    async with Opened(tmp_path) as stage:
        ref = await asyncio.to_thread(Blobs(stage.room.case.directory).put, raw, "text/plain")
        clean = text.encode("utf-8", "replace").decode()
        body = EvidenceCaptured("file", clean[:200], source=clean[:200], reason=clean)
        await stage.room.append(entry(body, "ana", refs=(ref,)))
        evidence = await opened(stage)
        await evidence.choose("exhibit")
        await evidence.until(lambda: evidence.screen.query_one("#detail", Sheet).count > 0)
        await stage.press("enter")
        await page_says(stage)
        shown: list[Rows[Any]] = [evidence.rows, stage.console.screen.query_one(Sheet)]
        await stage.press("o")
        await stage.until(lambda: isinstance(stage.console.screen, MaterialPage))
        rows = stage.console.screen.query_one(MaterialRows)
        await stage.until(lambda: rows.count > 0 and rows.row(0) is not None)
        for pane in (*shown, rows):
            for y in range(max(pane.size.height, 1)):
                assert all(char.isprintable() for char in pane.render_line(y).text)


def test_lines_are_found_wherever_the_pieces_end(tmp_path: Path) -> None:
    rng = os.urandom
    for lengths in ([0, 1, 65_535, 65_536, 3, 70_000, 10], [5] * 40_000, [200_000]):
        lines = [rng(1).hex() * (length // 2) + "x" * (length % 2) for length in lengths]
        ref = Blobs(tmp_path).put("\n".join(lines).encode(), "text/plain")
        material = Material(tmp_path, ref)
        material.open()
        assert material.text
        assert material.count == len(lines)
        for index in (*range(min(7, len(lines))), len(lines) - 1):
            shown = material.rows(index, 1)[0]
            wanted = lines[index]
            assert shown == (wanted if len(wanted) <= 4096 else shown)
            assert shown.startswith(wanted[:4096])
            if len(wanted) > 4096 + 1:
                assert "more bytes" in shown


def test_what_is_no_text_is_shown_as_bytes(tmp_path: Path) -> None:
    ref = Blobs(tmp_path).put(bytes(range(256)) + b"\x00tail", "application/octet-stream")
    material = Material(tmp_path, ref)
    material.open()
    assert (material.text, material.count) == (False, 17)
    assert material.rows(4, 1) == ["00000040  " + bytes(range(64, 80)).hex(" ") + "  @ABCDEFGHIJKLMNO"]
    missing = Material(tmp_path, ref.__class__(media="x", sha256="0" * 64, size=3))
    assert not missing.here
    with pytest.raises(StoreTrouble, match="not here"):
        missing.open()


def test_a_check_can_be_ended_and_a_link_is_not_followed(tmp_path: Path) -> None:
    ref = Blobs(tmp_path).put(b"x" * 3_000_000, "text/plain")
    with pytest.raises(Refused, match="ended"):
        Material(tmp_path, ref).open(lambda _: False)
    (tmp_path / "target").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="already"):
        Material(tmp_path, ref).save(tmp_path / "target")
    assert not (tmp_path / "elsewhere").exists()


async def test_a_request_is_listed_as_open_until_something_came_of_it(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        evidence = await opened(stage)
        await stage.press("K", "tab")
        await form(stage)
        await stage.type(next(iter(stage.room.incident.alerts)))
        await stage.press("tab")
        await stage.type("before it rolls over")
        await stage.press("enter")
        await evidence.until_said("asked for")
        await evidence.until(lambda: "OPEN alert_id" in " ".join(evidence.names("request")))


async def test_a_hold_is_set_listed_and_lifted(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        evidence = await opened(stage)
        await stage.press("Z")
        await form(stage)
        await stage.press("3", "tab", "tab")
        await stage.type("court asks")
        await stage.press("enter")
        await evidence.until_said("held, as")
        await evidence.choose("hold")
        assert evidence.names("hold") == ["HOLD case: court asks"]
        await stage.press("enter")
        await page_says(stage, "nothing that it covers can be erased", "the whole incident")
        await stage.press("Z")
        await form(stage)
        await stage.type("settled")
        await stage.press("enter")
        await evidence.until_said("lifted")
        await evidence.until(lambda: evidence.names("hold") == [])


async def test_erasing_needs_the_id_typed_and_a_hold_stands_in_its_way(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        event = await stage.room.note("card 4111 1111 1111 1111")
        await stage.press("2")
        await stage.until(
            lambda: stage.timeline.selected is not None and stage.timeline.selected.hash == event.hash
        )
        await stage.press("colon", *"erase", "enter")
        asked = await form(stage)
        for text in ("nonsense", "a card number", "privacy law"):
            await stage.type(text)
            await stage.press("tab")
        await stage.press("enter")
        await stage.until(lambda: "Type " in asked.query_one("#form-says", StripLines).words)
        asked.query_one("#field-id").load_text(short(event.hash))  # type: ignore[attr-defined]
        await stage.press("enter")
        await stage.until_said("erased: 1 text")
        await stage.until(lambda: "(erased)" in painted(stage.timeline))
        stage.timeline.jump_to(event.hash)
        await stage.until(
            lambda: (line := stage.timeline.selected) is not None and line.text == "(erased)", "the row"
        )
        await stage.press("enter")
        await page_says(stage, "ERASED: its text is gone for good")


async def test_the_record_is_verified_beside_everything_else_and_says_so(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        evidence = await opened(stage)
        await evidence.choose("check")
        await stage.press("V")
        await evidence.until_said("the record is sound")
        await evidence.until(lambda: "sound" in evidence.names("check")[0])
        assert stage.room.incident.verified is not None
        await evidence.until(lambda: "not sealed by others" in " ".join(evidence.names("strand")))
        await stage.press("enter")
        await page_says(stage, "cannot see")


async def test_a_verification_can_be_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Opened(tmp_path) as stage:
        evidence = await opened(stage)
        started: list[Any] = []
        spawn = asyncio.create_subprocess_exec

        async def stuck(*_: Any, **options: Any) -> Any:
            process = await spawn("sleep", "600", **options)
            started.append(process)
            return process

        monkeypatch.setattr(asyncio, "create_subprocess_exec", stuck)
        await stage.press("V")
        await evidence.until(lambda: bool(started) and stage.console.checking.since)
        await evidence.until(lambda: stage.console.checking._process is not None)
        await stage.press("V")
        await evidence.until_said("was ended")
        assert started[0].returncode is not None
        assert stage.room.incident.verified is None


async def test_damage_wins_over_everything_in_the_header(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        ref = await asyncio.to_thread(Blobs(stage.room.case.directory).put, b"original\n", "text/plain")
        await stage.room.append(entry(EvidenceCaptured("file", "log"), "ana", refs=(ref,)))
        Blobs(stage.room.case.directory).path(ref.sha256).unlink()
        evidence = await opened(stage)
        await stage.press("V")
        await evidence.until_said("RECORD DAMAGED: 1 place")
        await evidence.until(lambda: "it is missing" in " ".join(evidence.names("damage")))
        assert evidence.rows.all_rows[0].name.startswith("TROUBLE")
        await evidence.until(lambda: "✖ RECORD DAMAGED" in evidence.screen.query_one(Header).words)
        await evidence.choose("damage")
        await stage.press("enter")
        await page_says(stage, "work on a copy")


async def test_a_fork_stands_first_until_somebody_says_what_it_was(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.room.record(Forked(1, 3, "0" * 64))
        await stage.until(lambda: "✖ FORK" in stage.screen.query_one(Header).words)
        evidence = await opened(stage)
        await evidence.choose("fork")
        await stage.press("enter")
        await page_says(stage, "a backup was restored or a home directory copied")
        await stage.press("t")
        await form(stage)
        await stage.type("I restored the backup of noon")
        await stage.press("enter")
        await evidence.until(lambda: evidence.names("fork") == [])
        await evidence.until(lambda: "FORK" not in evidence.screen.query_one(Header).words)


# -- other consoles -----------------------------------------------------------------------------------------


@asynccontextmanager
async def newcomer(stage: Stage, path: Path, name: str = "ben") -> AsyncIterator[Console]:
    """Another console that has written into the incident, on no roster yet."""
    case = stage.room.case
    with await asyncio.to_thread(Console, path, case, name) as console:
        await asyncio.to_thread(console.write, NoteWritten("I see it too"), ItemSet("nothing", "done"))
        await asyncio.to_thread(carry, console.case, case)
        yield console


async def test_a_new_console_is_introduced_with_its_words_compared_and_admitted(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        room = stage.room
        async with newcomer(stage, tmp_path) as ben:
            await stage.until_said("New console ben")
            words = await room.key_words(ben.home.replica)
            assert " ".join(words) in stage.said
            assert "NOT ON THE ROSTER" in stage.said
            await stage.until(lambda: "NOT ON ROSTER" in stage.screen.query_one(Header).words)
            await stage.until(lambda: "OFF ROSTER" in painted(stage.timeline), "the badge of its line")
            evidence = await opened(stage)
            await evidence.choose("stranger")
            await stage.press("enter")
            ours = await room.key_words(stage.desk.home.replica)
            await page_says(stage, " ".join(words), " ".join(ours))
            await stage.press("M")
            asked = await form(stage)
            await stage.press("enter")
            await stage.until(
                lambda: "Nothing was changed" in asked.query_one("#form-says", StripLines).words
            )
            await stage.press("y", "enter")
            await evidence.until_said("words compared")
            assert room.incident.roster.members[ben.home.replica].how == "compared"
            await evidence.until(lambda: evidence.names("stranger") == [])
            await stage.press("escape")
            # It is no stranger any more, and the introduction does not go on saying so.
            await stage.until(lambda: "New console" not in stage.said)
            await stage.until(lambda: "OFF ROSTER" not in painted(stage.timeline))


async def test_trust_on_first_sight_can_be_made_good_by_comparing(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        room = stage.room
        async with newcomer(stage, tmp_path) as ben:
            await room.record(RosterAdded(ben.home.replica, "ben", "first-use"))
            await stage.until_said("New console ben")
            evidence = await opened(stage)
            await evidence.until(lambda: "nobody compared" in " ".join(evidence.names("member")))
            await evidence.choose("member", 1)
            await stage.press("M")
            await form(stage)
            await stage.press("y", "enter")
            await evidence.until_said("words compared")
            assert room.incident.roster.members[ben.home.replica].how == "compared"


async def test_an_introduction_goes_once_it_is_not_true_any_more_or_with_escape(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        room = stage.room
        async with newcomer(stage, tmp_path) as ben:
            await room.record(RosterAdded(ben.home.replica, "ben", "first-use"))
            await stage.until_said("trusted on first sight")
            await room.revoke(ben.home.replica, 0, "the laptop is gone")
            await stage.until(lambda: "New console" not in stage.said)
            async with newcomer(stage, tmp_path, "mal"):
                await stage.until_said("New console mal")
                await stage.press("escape")
                await stage.until(lambda: "New console" not in stage.said)


async def test_whoever_does_not_count_is_told_at_every_entry_and_in_the_header(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        room = stage.room
        await room.revoke(room.replica, 0, "stolen")
        await stage.until(lambda: "REVOKED" in stage.screen.query_one(Header).words)
        await stage.press("i", *"hello", "enter")
        await stage.until_said("changes nothing")


@pytest.mark.parametrize("size", [(100, 30), (200, 50)])
async def test_a_line_whose_words_are_somebody_elses_says_whose(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with Opened(tmp_path, size) as stage:
        note = await stage.room.note("hold all refunds")
        stage.room.actor = "bo"
        await stage.room.amend(note.hash, "pay", "mistyped")
        await stage.until(lambda: "corrected by bo" in painted(stage.timeline), "whose words they are")
        await stage.room.dispute(note.hash, "not so")
        words = "DISPUTED, text by bo" if size[0] < 120 else "DISPUTED corrected by bo"
        await stage.until(lambda: words in painted(stage.timeline), "both")
        stage.timeline.jump_to(note.hash)
        await stage.press("2")
        await stage.until(lambda: (line := stage.timeline.selected) is not None and line.hash == note.hash)
        await stage.press("enter")
        await page_says(stage, "version 2 of 2 by bo", "version 1 by ana")


async def test_a_revoked_key_is_typed_and_marked(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        room = stage.room
        with await asyncio.to_thread(Console, tmp_path, room.case) as ben:
            await asyncio.to_thread(ben.write, NoteWritten("let it run"), ItemSet("nothing", "done"))
            await asyncio.to_thread(carry, ben.case, room.case)
            await room.record(RosterAdded(ben.home.replica, "ben", "compared"))
            await stage.until(lambda: "let it run" in painted(stage.timeline))
            assert "OFF ROSTER" not in painted(stage.timeline)
            evidence = await opened(stage)
            await evidence.choose("member", 1)
            await stage.press("colon", *"revoke", "enter")
            await form(stage)
            await stage.type(ben.home.replica[:8])
            await stage.press("tab", "tab")
            await stage.type("laptop stolen")
            await stage.press("enter")
            await evidence.until_said("revoked")
            await evidence.until(lambda: "KEY REVOKED" in evidence.names("member")[1])
            await stage.press("escape")
            await stage.until(lambda: "OFF ROSTER" in painted(stage.timeline))
            await stage.press("2", "G", "enter")
            await page_says(stage, "DOES NOT COUNT", "KEY REVOKED")


# -- entries ------------------------------------------------------------------------------------------------


async def test_the_page_of_an_entry_says_who_wrote_it_and_how_it_is_kept(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("2", "enter")
        await page_says(stage, "founded the incident", stage.desk.home.replica[:8], "saved here only")


async def test_an_entry_is_disputed_with_a_badge_and_settled(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        event = await stage.room.note("all refunds were stopped")
        await stage.press("2")
        await stage.until(
            lambda: stage.timeline.selected is not None and stage.timeline.selected.hash == event.hash
        )
        await stage.press("u")
        await stage.until_said("Nobody disputes this entry")
        await stage.press("d")
        await form(stage)
        await stage.type("two more went out")
        await stage.press("enter")
        await stage.until_said("disputed")
        await stage.until(lambda: "DISPUTED" in painted(stage.timeline))
        stage.timeline.jump_to(event.hash)
        await stage.until(
            lambda: stage.timeline.selected is not None and stage.timeline.selected.hash == event.hash
        )
        await stage.press("enter")
        await page_says(stage, "DISPUTED by ana: two more went out")
        await stage.press("u")
        await form(stage)
        await stage.type("they were test bookings")
        await stage.press("enter")
        await stage.until_said("settled")
        await stage.until(lambda: " DISPUTED" not in painted(stage.timeline))


async def test_rival_versions_stand_side_by_side_until_one_is_chosen(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        event = await stage.room.note("12 refunds")
        # As two consoles that do not see each other write them: none over the other.
        await stage.room.record(EntryAmended(event.hash, "13 refunds", "recounted"))
        await stage.room.record(EntryAmended(event.hash, "14 refunds", "counted too"))
        await stage.press("2")
        await stage.until(lambda: "CONTESTED" in painted(stage.timeline))
        await stage.until(
            lambda: stage.timeline.selected is not None and stage.timeline.selected.hash == event.hash
        )
        await stage.press("enter")
        await page_says(stage, "CONTESTED: 2 corrections")
        beside = [line.text for line in stage.console.screen.query_one(Sheet).all_rows if "│" in line.text]
        assert any("13 refunds" in line and "14 refunds" in line for line in beside)
        await stage.press("u")
        asked = await form(stage)
        options = asked.query_one("#field-version", Options).all_rows
        rival = next(option for option in options if "13" in option.text)
        await stage.press(rival.key, "tab", "tab")
        await stage.type("finance says so")
        await stage.press("enter")
        await stage.until_said("settled, as")
        assert stage.room.incident.contested == set()
        await stage.until(lambda: "CONTESTED" not in painted(stage.timeline))
        (line,) = await stage.room.lines.search("13 refunds")
        assert line.hash == event.hash


async def test_a_correction_by_a_stranger_is_not_taken_for_a_version(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        room = stage.room
        event = await room.note("hold the refunds until finance confirms")
        with await asyncio.to_thread(Console, tmp_path, room.case) as ben:
            await asyncio.to_thread(ben.write, EntryAmended(event.hash, "release the refunds"))
            await asyncio.to_thread(carry, ben.case, room.case)
            await stage.until(lambda: bool(room.incident.strangers))
            stage.timeline.jump_to(event.hash)
            await stage.until(
                lambda: (line := stage.timeline.selected) is not None and line.hash == event.hash
            )
            await stage.press("2")
            await stage.until(lambda: stage.screen.pane == "timeline")
            await stage.press("enter")
            text = await page_says(stage, "hold the refunds until finance confirms", "NOT COUNTED")
            assert "release the refunds" not in text


async def test_nothing_is_written_from_an_evidence_screen_that_only_reads(tmp_path: Path) -> None:
    from console.desk import Desk
    from screens.warroom import WarRoomApp
    from tests.screens.stage import ready, staged

    home = staged(tmp_path)
    console = WarRoomApp(lambda: Desk.open(home, "kim", read_only=True))
    async with console.run_test(size=(120, 40)) as pilot:
        stage = Stage(pilot, await ready(pilot))
        evidence = await opened(stage)
        for key in ("F", "P", "K", "Z"):
            await stage.press("t")
            await stage.press(key)
            await evidence.until_said("opened for reading only")
        await stage.press("V")
        await evidence.until_said("the record is sound")
        assert stage.room.incident.verified is None


def test_sizes_are_said_as_people_read_them() -> None:
    assert [size(count) for count in (12, 2048, 3 * 2**20, 5 * 2**30)] == [
        "12 B",
        "2.0 KiB",
        "3.0 MiB",
        "5.0 GiB",
    ]
