"""The ledger screen: effects listed, filtered, marked, reconciled, reversed for real, checked, waived; and their audits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Label

from console.config import Config, Reversal
from console.desk import Desk
from console.events import Effect, EffectsListed, EffectsStarted, moment
from console.rollback import deeds
from console.rollback.reversal import Reversing
from console.room import Room
from data.clock import ManualClock
from data.envelope import base32
from data.home import Home
from screens.dialogs.form import Form
from screens.ledger import LedgerScreen
from screens.room import RoomScreen
from screens.widgets.ledger import LedgerRows
from screens.widgets.rollback import RollbackTracker
from screens.widgets.sheet import Sheet
from screens.widgets.strips import StripLines
from tests.screens.stage import HOSTILE, MINUTE, NOW
from tests.screens.test_evidence import form, page_says, painted
from tests.screens.test_room import Opened, Stage


def id_of(number: int) -> str:
    return base32(number.to_bytes(10, "big"), 16)


def effect(number: int, name: str = "documents", **more: Any) -> Effect:
    """Something that an agent did."""
    plain: dict[str, Any] = {
        "at": moment(NOW - number * MINUTE),
        "agent": "writer-1",
        "what": f"published page {number}",
        "target": f"page-{number}",
        "key": f"key-{number}",
        "reversible": "yes",
    }
    return Effect(id_of(number), name, **(plain | more))


class Ledger(Opened):
    """`async with Ledger(path, effects) as book:` the ledger of an incident, open on the screen.

    Args:
        path: where.
        effects: what it lists.
        reversals: how the console reverses.
        options: of the console.
    """

    def __init__(
        self, path: Path, effects: list[Effect], *reversals: Reversal, size: tuple[int, int] = (120, 40)
    ) -> None:
        config = Config(reversal=reversals)

        def made(room: Room, home: Home) -> Reversing:
            return Reversing(room, home, config)

        super().__init__(path, size, reversing=made)
        self._effects = effects

    async def __aenter__(self) -> Book:  # type: ignore[override]
        stage = await super().__aenter__()
        for start in range(0, len(self._effects), 500):
            await stage.room.record(EffectsListed(tuple(self._effects[start : start + 500]), "drafted"))
        await stage.press("L")
        book = Book(stage)
        await stage.until(lambda: isinstance(stage.console.screen, LedgerScreen) and bool(book.rows.count))
        return book


class Book:
    """The ledger screen, and what a test asks of it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    @property
    def screen(self) -> LedgerScreen:
        base = self.stage.console.base
        assert isinstance(base, LedgerScreen)
        return base

    @property
    def rows(self) -> LedgerRows:
        return self.screen.query_one(LedgerRows)

    @property
    def said(self) -> str:
        return self.screen.query_one("#said", StripLines).words

    @property
    def narrowed(self) -> str:
        return self.screen.query_one("#narrowed", StripLines).words

    def state(self, number: int) -> str:
        return self.stage.room.incident.ledger.state(id_of(number))

    async def until_said(self, words: str) -> None:
        await self.stage.until(lambda: words in self.said, f"{words!r} is said, not {self.said!r}")

    async def answers(self, *keys: str, text: str = "") -> None:
        """Press keys in the form that opens, type, and send it off."""
        await form(self.stage)
        await self.stage.press(*keys)
        await self.stage.type(text)
        await self.stage.press("enter")
        await self.stage.until(lambda: self.stage.console.screen is self.screen, "no dialog is open")


def publishing(place: Path) -> Reversal:
    """Undoes a publication with programs."""
    return Reversal(
        action_class="documents",
        command=(
            "sh",
            "-c",
            'mv "$1/$2" "$1/.gone-$2" && echo "gone $2"',
            "unpublish",
            str(place),
            "{target}",
        ),
        dry_run=("test", "-e", f"{place}/{{target}}"),
        check=("test", "!", "-e", f"{place}/{{target}}"),
    )


@pytest.fixture
def public(tmp_path: Path) -> Path:
    """Pages 1 to 3, published."""
    place = tmp_path / "public"
    place.mkdir()
    for number in (1, 2, 3):
        (place / f"page-{number}").touch()
    return place


@pytest.mark.req("S003-RB-0")
async def test_marked_effects_are_rehearsed_reversed_for_real_and_checked_together(
    tmp_path: Path, public: Path
) -> None:
    async with Ledger(tmp_path, [effect(1), effect(2), effect(3)], publishing(public)) as book:
        stage = book.stage
        await stage.press("space", "space")
        assert "2 MARKED" in book.narrowed
        await stage.press("p")
        await page_says(stage, "would be done: page-2")
        await stage.press("escape")
        assert [book.state(each) for each in (1, 2, 3)] == ["open"] * 3
        assert (public / "page-1").exists()
        await stage.press("greater_than_sign")
        await form(stage)
        assert "unpublish" in painted(stage.console.screen.query_one("#form-shown", Sheet))
        await book.answers(text="finance asked for it")
        await book.until_said("reversing: 2 of 2 effects done")
        assert [book.state(each) for each in (1, 2, 3)] == ["reversed", "reversed", "open"]
        assert sorted(os.listdir(public)) == [".gone-page-1", ".gone-page-2", "page-3"]
        await stage.until(lambda: "MARKED" not in book.narrowed and "reversing" not in book.narrowed)
        await stage.press("g", "space", "space", "v")
        await book.answers()
        await book.until_said("checking: 2 of 2 effects done")
        assert [book.state(each) for each in (1, 2, 3)] == ["verified", "verified", "open"]


@pytest.mark.req("S004-DU-3")
@pytest.mark.parametrize("key", ["p", "greater_than_sign", "m"])
async def test_what_may_or_may_not_have_happened_is_looked_at_first_under_its_key(
    tmp_path: Path, public: Path, key: str
) -> None:
    async with Ledger(tmp_path, [effect(1, state="unknown"), effect(2)], publishing(public)) as book:
        stage = book.stage
        assert "UNCLEAR ?" in painted(book.rows)
        await stage.press(key)
        asked = await form(stage)
        shown = " ".join(str(each.content) for each in asked.query(Label))
        assert "nobody knows whether it happened; its idempotency key is key-1" in shown
        await stage.press("enter")
        assert isinstance(stage.console.screen, Form), "nobody says by accident whether it happened"
        await book.answers("y", "tab", text="the provider lists key-1")
        await book.until_said("1 effect looked into: happened")
        assert not stage.room.incident.ledger.unclear(effect(1).id)
        assert book.state(1) == "open"
        await stage.press("u")
        await book.until_said("Nothing is unclear about this")


async def test_a_reversal_that_writes_elsewhere_is_confirmed_by_the_name_of_its_class(
    tmp_path: Path, public: Path
) -> None:
    from msgspec.structs import replace

    warns = replace(publishing(public), warns="this writes into the archive")
    async with Ledger(tmp_path, [effect(1)], warns) as book:
        stage = book.stage
        await stage.press("greater_than_sign")
        await form(stage)
        assert "this writes into the archive" in painted(stage.console.screen.query_one("#form-shown", Sheet))
        await stage.type("yes")
        await stage.press("enter")
        await stage.pilot.pause()
        assert isinstance(stage.console.screen, Form)
        assert (public / "page-1").exists()
        await book.answers(*["backspace"] * 3, text="documents")
        await book.until_said("1 of 1 effect done")
        assert not (public / "page-1").exists()


async def test_what_went_wrong_is_listed_and_goes_first(tmp_path: Path, public: Path) -> None:
    effects = [effect(1), effect(9, target="never-there"), effect(2)]
    async with Ledger(tmp_path, effects, publishing(public)) as book:
        stage = book.stage
        await stage.press("asterisk", "greater_than_sign")
        await book.stage.until(lambda: isinstance(stage.console.screen, Form))
        await stage.press("enter")
        text = await page_says(stage, "done: page-1")
        assert text.index("FAILED: never-there") < text.index("done: page-1")
        await stage.press("escape")
        assert book.state(9) == "open"
        assert "3 MARKED" in book.narrowed, "whoever goes on goes on with these"


async def test_the_ledger_is_filtered_by_class_state_agent_and_words_and_says_what_it_hides(
    tmp_path: Path,
) -> None:
    effects = [
        effect(1),
        effect(2, "external-calls", agent="payer-7", what="refunded an order", amount="12.50 EUR"),
        effect(3, "external-calls", agent="payer-8", what="charged a card"),
        effect(4, "", what="did something"),
    ]
    async with Ledger(tmp_path, effects) as book:
        stage = book.stage
        assert "4 of 4 effects" in str(book.rows.border_title)
        await stage.press("right")
        await stage.until(lambda: book.rows.shown == 2)
        assert "2 of 4 effects · 2 filtered" in str(book.rows.border_title)
        await stage.press("f")
        await book.answers("tab", text="payer-8")
        assert book.rows.shown == 1
        assert "payer-8" in painted(book.rows)
        assert "agent payer-8" in book.narrowed
        await stage.press("backslash")
        assert book.rows.shown == 4
        await stage.press("slash")
        await book.answers(text="eur refunded")
        assert book.rows.shown == 1
        assert "12.50 EUR" in painted(book.rows)
        await stage.press("backslash", "left")
        assert "no class" in book.narrowed
        await stage.press("number_sign")
        await book.answers("4")
        assert stage.room.incident.ledger.class_of(effect(4).id) != ""


async def test_marks_outlive_a_filter_and_the_number_that_is_not_shown_is_said(tmp_path: Path) -> None:
    async with Ledger(tmp_path, [effect(number) for number in range(1, 8)]) as book:
        stage = book.stage
        await stage.press("asterisk")
        assert "7 MARKED" in book.narrowed
        await stage.press("slash")
        await book.answers(text="page-3")
        assert "7 MARKED, 6 not shown" in book.narrowed
        await stage.press("w")
        asked = await form(stage)
        assert "7 effects (6 of them not shown by the filter)" in str(
            asked.query_one(".about", Label).content
        )
        await stage.press("enter")
        assert isinstance(stage.console.screen, Form), "a reason is needed"
        await book.answers(text="nobody read them")
        assert {book.state(number) for number in range(1, 8)} == {"waived"}


@pytest.mark.req("S003-RB-00")
async def test_what_can_never_be_undone_is_waived_only_by_name_or_substituted(tmp_path: Path) -> None:
    async with Ledger(tmp_path, [effect(1, reversible="no"), effect(2, reversible="no")]) as book:
        stage = book.stage
        await stage.press("w")
        await form(stage)
        await stage.type("too late")
        await stage.press("tab")
        await stage.type("doc")
        await stage.press("enter")
        await stage.pilot.pause()
        assert book.state(1) == "open"
        await book.answers(text="uments")
        assert book.state(1) == "waived"
        await stage.press("j", "b")
        await book.answers(text="told the customers")
        assert book.state(2) == "substituted"
        assert stage.room.incident.ledger.marks[effect(2).id].substitute == "told the customers"


@pytest.mark.req("S003-RB-5a")
async def test_audits_are_rows_with_clocks_and_are_closed_with_evidence(tmp_path: Path) -> None:
    effects = [effect(1, "code"), effect(2, "code")]
    async with Ledger(tmp_path, effects) as book:
        stage = book.stage
        assert "waits" in painted(book.rows)
        await stage.press("asterisk", "m")
        await book.answers("2")
        await stage.until(lambda: "AUDIT OPEN" in painted(book.rows))
        await stage.press("g")
        assert "open: c closes it" in painted(book.screen.query_one("#detail", Sheet))
        await stage.press("c")
        await form(stage)
        await stage.press("enter")
        assert isinstance(stage.console.screen, Form), "evidence is needed"
        await book.answers(text="exhibit 3")
        await book.until_said("closed")
        assert not stage.room.incident.rollback["code"].open_audits
        await stage.press("space")
        await book.until_said("This is no effect.")


async def test_enter_on_a_class_with_effects_opens_them_and_escape_leads_back(tmp_path: Path) -> None:
    effects = [effect(1), effect(2, "external-calls")]
    async with Ledger(tmp_path, effects) as book:
        stage = book.stage
        await stage.press("escape")
        await stage.until(lambda: isinstance(stage.console.screen, RoomScreen))
        await stage.press("4")
        tracker = stage.screen.query_one(RollbackTracker)
        place = next(at for at, row in enumerate(tracker.all_rows) if row.id == "external-calls")
        tracker.go(place)
        assert "1 open" in painted(tracker)
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.console.base, LedgerScreen))
        assert book.rows.wanted.action_class == "external-calls"
        await stage.press("L")
        await stage.until(lambda: isinstance(stage.console.screen, RoomScreen))
        assert stage.screen.pane == "rollback"


@pytest.mark.req("X-22")
@pytest.mark.parametrize(
    ("minutes", "said", "title"),
    [
        (10, "49m", "finished"),
        (40, "66% 19m", "finished"),
        (50, "83%! 9m", "1 near their end"),
        (75, "OVER 15m", "1 over"),
    ],
)
async def test_a_budget_at_risk_is_seen_without_colours(
    tmp_path: Path, minutes: int, said: str, title: str
) -> None:
    """The class of documents has an hour from containment, which `incident` confirmed at its end."""
    async with Ledger(tmp_path, [effect(1), effect(2)]) as book:
        stage = book.stage
        await stage.press("escape", "4")
        await stage.until(lambda: isinstance(stage.console.screen, RoomScreen))
        clock = stage.desk.home.clock
        assert isinstance(clock, ManualClock)
        assert stage.room.incident.contained_at is not None
        clock.advance(stage.room.incident.contained_at + minutes * MINUTE + 1 - clock.now())
        stage.screen.show_state()
        tracker = stage.screen.query_one(RollbackTracker)
        row = next(row for row in tracker.all_rows if row.id == "documents")
        assert row.clock.startswith(said)
        assert row.counts == "2 open"
        tracker.go(tracker.all_rows.index(row))
        assert said in painted(tracker)
        assert title in str(tracker.border_title)
        assert "Undo 2 effects" in str(tracker.border_subtitle)


async def test_the_state_of_a_class_with_effects_is_that_of_its_effects(tmp_path: Path) -> None:
    async with Ledger(tmp_path, [effect(1)]) as book:
        stage = book.stage
        await stage.press("escape", "4")
        await stage.until(lambda: isinstance(stage.console.screen, RoomScreen))
        tracker = stage.screen.query_one(RollbackTracker)
        tracker.go(next(at for at, row in enumerate(tracker.all_rows) if row.id == "documents"))
        for key in ("v", "w"):
            await stage.press(key)
            await stage.until_said("Its state follows from its effects")
            stage.screen.say("")
        await stage.press("r")
        asked = await form(stage)
        assert len(asked.query("#field-effects")) == 0
        await stage.press("1", "tab")
        await stage.type("the vendor is asleep")
        await stage.press("enter")
        await stage.until(lambda: stage.room.incident.rollback["documents"].state == "held")


async def test_a_reversal_that_was_cut_short_is_said_when_the_ledger_opens(tmp_path: Path) -> None:
    async with Ledger(tmp_path, [effect(1)]) as book:
        stage = book.stage
        await stage.press("escape")
        await stage.until(lambda: isinstance(stage.console.screen, RoomScreen))
        await stage.room.record(
            EffectsStarted("a" * 16, "documents", "reverse", (effect(1).id,), ("x",), False)
        )
        stage.console.undoing._looked.clear()
        await stage.press("L")
        await book.stage.until(lambda: isinstance(stage.console.screen, LedgerScreen))
        await book.until_said("A reversal was cut short: of 1 effect nobody knows what became")
        assert "UNCLEAR ?" in painted(book.rows)


@pytest.mark.parametrize("how", ["stop", "quit"])
async def test_a_reversal_that_is_stopped_or_left_says_what_nobody_knows(tmp_path: Path, how: str) -> None:
    began = tmp_path / "began"
    endless = Reversal(
        action_class="documents", command=("sh", "-c", f"touch {began}; exec sleep 600"), width=1
    )
    async with Ledger(tmp_path, [effect(1), effect(2)], endless) as book:
        stage = book.stage
        await stage.press("asterisk", "greater_than_sign")
        await form(stage)
        await stage.press("enter")
        await stage.until(began.exists, "the first one runs")
        await stage.press("greater_than_sign")
        if how == "stop":
            await stage.until(lambda: isinstance(stage.console.screen, Form))
            await stage.press("escape", "minus")
            await book.until_said("reversing: stopped")
            await stage.until(lambda: book.state(2) == "open", "what was not begun waits as before")
            assert stage.room.incident.ledger.unclear(effect(1).id)
    reader = await Desk.open(Home.open(tmp_path / "home", clock=ManualClock(NOW)), "kim", read_only=True)
    ledger = (await reader.enter()).incident.ledger
    assert ledger.unclear(effect(1).id), "it was begun, and nobody saw its end"
    assert ledger.state(effect(2).id) == "open"
    assert not ledger.unclear(effect(2).id)
    assert ledger.running == []
    await reader.close()


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
async def test_what_agents_wrote_is_inert_at_every_size(tmp_path: Path, size: tuple[int, int]) -> None:
    effects = [
        effect(number, what=text[:500], agent=text[:100], key=text[:100], target=text[:100], tool=text[:100])
        for number, text in enumerate(
            (text.encode(errors="replace").decode() for text in HOSTILE.values() if text), 1
        )
    ]
    async with Ledger(tmp_path, effects, size=size) as book:
        stage = book.stage
        for _ in effects:
            text = painted(book.rows) + painted(book.screen.query_one("#detail", Sheet)) + book.said
            assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(text)
            await stage.press("j")
        await stage.press("w")
        await form(stage)
        await stage.press("escape", "enter")
        await page_says(stage, "as its telemetry says")
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(painted(stage.console.screen.query_one(Sheet)))


async def test_nothing_is_written_from_a_ledger_that_only_reads(tmp_path: Path) -> None:
    from screens.warroom import WarRoomApp
    from tests.screens.stage import ready

    async with Ledger(tmp_path, [effect(1)]) as book:
        assert book.rows.count
    home = Home.open(tmp_path / "home", clock=ManualClock(NOW))
    console = WarRoomApp(lambda: Desk.open(home, "kim", read_only=True))
    async with console.run_test(size=(120, 40)) as pilot:
        stage = Stage(pilot, await ready(pilot))
        await stage.press("L")
        await stage.until(lambda: isinstance(console.screen, LedgerScreen) and bool(Book(stage).rows.count))
        for key in ("p", "m", "w", "b", "v", "greater_than_sign", "l", "n"):
            await stage.press(key)
            await Book(stage).until_said("opened for reading only")
            Book(stage).screen.say("")


async def test_a_hundred_thousand_effects_are_shown_and_filtered_without_a_wait(tmp_path: Path) -> None:
    import time

    from console.incident import Incident

    async with Ledger(tmp_path, [effect(1)]) as book:
        stage = book.stage
        ledger = stage.room.incident.ledger
        for number in range(2, 100_001):
            row = effect(number)
            ledger.rows[row.id] = row
            ledger._count(row.id, 1)
        assert isinstance(stage.room.incident, Incident)
        began = time.perf_counter()
        book.screen.show_state()
        opened = time.perf_counter() - began
        began = time.perf_counter()
        for _ in range(10):
            await stage.press("pagedown")
        paged = (time.perf_counter() - began) / 10
        began = time.perf_counter()
        book.screen.narrow(book.rows.wanted._replace(text="page-99999"))
        filtered = time.perf_counter() - began
        assert book.rows.shown == 1
        assert (opened, paged, filtered) < (5.0, 2.0, 5.0), (opened, paged, filtered)
        print(f"opened {opened * 1000:.0f} ms, page {paged * 1000:.0f} ms, filtered {filtered * 1000:.0f} ms")


async def test_deeds_of_the_screen_are_those_of_the_shell() -> None:
    assert {"move", "reconcile", "classify", "add", "open_audit", "close_audit", "extend"} <= set(vars(deeds))
