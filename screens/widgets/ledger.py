"""The list of the ledger: audits with their clocks, and one row per effect, drawn from the ledger as it is now."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from textual.binding import Binding, BindingType
from textual.message import Message

from console.rollback.index import Index, Wanted
from screens.display import fit
from screens.times import hms
from screens.widgets.rollback import at_risk
from screens.widgets.rows import Cells, Rows

if TYPE_CHECKING:
    from console.events import Effect
    from console.incident import Incident
    from console.rollback.ledger import Ledger

STATE_WORDS: dict[str, tuple[str, str]] = {
    "open": ("OPEN", "crit"),
    "reversing": ("REVERSING", "high"),
    "reversed": ("reversed", "med"),
    "substituted": ("substituted", "med"),
    "verified": ("VERIFIED", "ok"),
    "nothing": ("nothing", "quiet"),
    "waived": ("waived", "held"),
}
UNCLEAR = ("UNCLEAR ?", "high")
"""Of an effect of which somebody has to look first whether it, or its reversal, happened."""


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What a line is about: an effect by its id, or the audit `id` of the class `action_class`."""

    kind: Literal["effect", "audit"]
    id: str
    action_class: str = ""


@dataclass(frozen=True, slots=True)
class Audit:
    """An audit as it is drawn."""

    row: LedgerRow
    word: str
    tone: str
    name: str
    clock: str
    clock_tone: str


def audits(incident: Incident, wanted: Wanted, now: int) -> list[Audit]:
    """Return the audits of the classes that are shown at `now` (ns UTC), the open ones first."""
    from console.rollback.tracker import standing

    found = []
    for each in standing(incident, now):
        if wanted.action_class not in (None, each.id):
            continue
        for clock in each.clocks:
            if not clock.audit or (each.effects is None and not clock.open):
                continue
            closed = clock.level in ("met", "met late")
            word, tone = (
                ("AUDIT OPEN", "high") if clock.open else ("closed", "ok") if closed else ("waits", "quiet")
            )
            said, clock_tone = ("", "") if closed else at_risk(clock, now)
            said = said.removesuffix(clock.name).strip()
            found.append(
                Audit(LedgerRow("audit", clock.id, each.id), word, tone, f"{each.name}: {clock.name}", said, clock_tone)
            )  # fmt: skip
    return sorted(found, key=lambda each: each.word != "AUDIT OPEN")


def word(ledger: Ledger, effect: str) -> tuple[str, str]:
    """Return how far an effect is, in a word, and its tone."""
    return UNCLEAR if ledger.unclear(effect) else STATE_WORDS[ledger.state(effect)]


class LedgerRows(Rows[LedgerRow]):
    """Audits and effects; a frame costs the rows that are on the screen, however many there are.

    Attributes:
        wanted: which effects are shown.
        marked: ids of the effects that somebody marked; marks outlive a filter.
        hidden: how many of them the filter hides.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "turn(-1)", "Previous class", show=False, priority=True),
        Binding("right", "turn(1)", "Next class", show=False, priority=True),
    ]

    class Turned(Message):
        """Another class is wanted: the next (1) or the one before (-1)."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    def __init__(self) -> None:
        super().__init__(id="ledger")
        self.wanted = Wanted()
        self.marked: set[str] = set()
        self.hidden = 0
        self._index: Index | None = None
        self._known: object = None
        self._audits: list[Audit] = []
        self._effects: list[Effect] = []

    # -- what there is -------------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self._audits) + len(self._effects)

    @property
    def shown(self) -> int:
        """How many effects fit the filter."""
        return len(self._effects)

    def row(self, index: int) -> LedgerRow | None:
        """Return what the line at `index` is about."""
        if index < len(self._audits):
            return self._audits[index].row
        return LedgerRow("effect", self._effects[index - len(self._audits)].id)

    def key(self, row: LedgerRow) -> Hashable:
        """Return what the row is about."""
        return row

    def empty(self) -> str:
        """Return what an empty list says."""
        if self._index is None:
            return "opening the record…"
        narrowed = "No effect fits the filter: \\ shows all."
        return narrowed if len(self._index.ledger) else "No effect is listed: l drafts them from telemetry."

    def update(self, incident: Incident, now: int) -> None:
        """Show the ledger of `incident` at `now` (ns UTC)."""
        ledger, chosen = incident.ledger, self.selected
        if self._index is None or self._index.ledger is not ledger:
            self._index, self._known = Index(ledger), None
        offset = self.cursor - self.top
        before, self._audits = len(self._audits), audits(incident, self.wanted, now)
        known = self._signature(ledger)
        moved = before != len(self._audits)
        if known != self._known:
            self._known, moved = known, True
            self._effects = self._index.find(self.wanted)
            self.marked.intersection_update(ledger.rows)
            self._marks_changed()
        if moved:
            self._keep(chosen, offset)
        self.refresh()

    def _signature(self, ledger: Ledger) -> object:
        """What changes whenever other effects fit the filter."""
        counts = tuple(
            (name, tally.open, tally.reversing, tally.reversed, tally.substituted, tally.verified, tally.nothing,
             tally.waived, tally.unclear)
            for name, tally in ledger.tallies.items()
        )  # fmt: skip
        wanted = self.wanted
        follows = wanted.states or wanted.unclear or wanted.action_class is not None
        return wanted, len(ledger.rows), counts if follows else ()

    def _keep(self, chosen: LedgerRow | None, offset: int) -> None:
        """Keep the cursor on `chosen`, on its line of the screen."""
        if chosen is not None and (place := self._place(chosen)) is not None:
            self.cursor, self.top = place, place - offset
        self.cursor = min(max(self.cursor, 0), max(self.count - 1, 0))
        self.top = min(max(self.top, 0), max(self.count - self.height, 0))
        self.post_message(self.Moved(self))

    def _place(self, row: LedgerRow) -> int | None:
        if row.kind == "audit":
            return next((at for at, each in enumerate(self._audits) if each.row == row), None)
        at = self.cursor - len(self._audits)
        if 0 <= at < len(self._effects) and self._effects[at].id == row.id:
            return self.cursor
        found = (at for at, each in enumerate(self._effects) if each.id == row.id)
        return next((at + len(self._audits) for at in found), None)

    def action_turn(self, by: int) -> None:
        """Ask for another class."""
        self.post_message(self.Turned(by))

    # -- marks -----------------------------------------------------------------------------------------------

    @property
    def meant(self) -> list[str]:
        """The effects that a deed is about: those that are marked, in the order of the ledger, else the selected one."""
        if self._index is not None and self.marked:
            return [name for name in self._index.ledger.rows if name in self.marked]
        row = self.selected
        return [row.id] if row is not None and row.kind == "effect" else []

    def mark(self) -> None:
        """Mark the selected effect, or take its mark away, and go on to the next."""
        row = self.selected
        if row is not None and row.kind == "effect":
            self.marked.symmetric_difference_update({row.id})
            self.go(self.cursor + 1)
            self.refresh()  # what is selected is shown, so that as many are hidden as before

    def mark_all(self) -> None:
        """Mark every effect that is shown; where all are marked already, none any more."""
        shown = {each.id for each in self._effects}
        self.marked = set() if shown <= self.marked else self.marked | shown
        self._marks_changed()

    def unmark(self, ids: Iterable[str] | None = None) -> None:
        """Take marks away, of all effects or of these."""
        self.marked = set() if ids is None else self.marked.difference(ids)
        self._marks_changed()

    def _marks_changed(self) -> None:
        self.hidden = len(self.marked) - sum(each.id in self.marked for each in self._effects)
        self.refresh()

    def listed_classes(self) -> Iterator[str]:
        """The classes that have effects."""
        if self._index is not None:
            yield from (name for name, tally in self._index.ledger.tallies.items() if tally.total)

    # -- drawing ---------------------------------------------------------------------------------------------

    def paint(self, row: LedgerRow, width: int) -> Cells:
        """Return the line of an audit or of an effect."""
        if row.kind == "audit":
            each = next(each for each in self._audits if each.row == row)
            clock = min(len(each.clock), width // 3)
            return [
                ("  ", ""),
                (fit(each.word, 11) + " ", each.tone),
                (fit(each.name, max(width - 15 - clock, 6)) + " ", ""),
                (fit(each.clock, clock, right=True), each.clock_tone),
            ]
        assert self._index is not None  # noqa: S101 - there are effects
        ledger = self._index.ledger
        marked, every = row.id in self.marked, self.wanted.action_class is None and len(ledger.tallies) > 1
        return list(_effect(ledger, ledger.rows[row.id], width, marked=marked, classes=every))


def _effect(
    ledger: Ledger, row: Effect, width: int, *, marked: bool, classes: bool
) -> Iterator[tuple[str, str]]:
    from console.events import instant

    said, tone = word(ledger, row.id)
    right = row.amount or row.target
    columns = [
        (8 if width >= 60 else 0, hms(instant(row.at) or 0), "quiet"),
        (12 if width >= 50 else 0, row.agent, "agent"),
        (
            17 if width >= 110 and classes else 0,
            ledger.class_of(row.id) or "no class",
            "quiet",
        ),
    ]
    extra = min(len(right), width // 4) if width >= 72 else 0
    yield ("* " if marked else "  ", "strong")
    yield (fit(said, 11) + " ", tone)
    left = width - 14 - (extra + 1 if extra else 0)
    for cells, text, shade in columns:
        if cells:
            yield (fit(text, cells) + " ", shade)
            left -= cells + 1
    yield (fit(row.what, max(left, 4)), "agent")
    if extra:
        yield (" " + fit(right, extra, right=True), "agent")
