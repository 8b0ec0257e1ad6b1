"""The playbook pane: the steps of every open playbook, then the library, what fits the incident first."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal, NamedTuple

from screens.display import fit
from screens.times import hm
from screens.widgets.rows import Cells, ListRows

if TYPE_CHECKING:
    from console.runner.player import Player
    from console.runner.refusal import Refusal
    from console.runner.state import Play, StepState

BOXES: dict[str, tuple[str, str]] = {
    "open": ("[ ]", ""),
    "done": ("[x]", "ok"),
    "not_applicable": ("[-]", "quiet"),
    "waived": ("[w]", "held"),
    "running": ("[>]", "info"),
    "unclear": ("[?]", "crit"),
    "failed": ("[!]", "crit"),
}
"""How far a step is: the same shapes as on the checklist, and three more."""
ASKS_NOTHING = frozenset({"manual", "decision", "confirm", "unclear", "settled", "running", "closed", "over"})
"""Obstacles that the row says in another way, or that are asked for when the step runs."""


class Book(NamedTuple):
    """A playbook of the library. `reason`: why it is proposed, else nothing."""

    id: str
    title: str
    severity: int
    summary: str = ""
    reason: str = ""
    triggers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlayRow:
    """One line of the pane. `kind`: an open playbook, one of its steps, one of the library, or a heading.

    `right` of a step is empty: what its line ends with is looked up when the line is drawn (`ending`).
    """

    kind: Literal["heading", "play", "step", "book"]
    playbook: str
    step: str = ""
    box: str = ""
    tone: str = ""
    text: str = ""
    right: str = ""
    right_tone: str = "quiet"


def number(play: Play, step: str) -> int:
    """Return the place of a step in its playbook, from 1."""
    return next((place for place, each in enumerate(play.steps, 1) if each == step), 0)


def in_the_way(player: Player, play: Play, state: StepState) -> list[Refusal]:
    """Return what must be settled before the step can run; what its row or its dialog says anyway is left out."""
    if state.step.kind in ("manual", "decision") or state.settled or not play.open:
        return []
    return [each for each in player.hindrances(play, state) if each.code not in ASKS_NOTHING]


def play_rows(player: Player, books: Sequence[Book] | None) -> list[PlayRow]:
    """Return the pane's lines. `books`: the library, what is proposed first; None while it is being read."""
    rows: list[PlayRow] = []
    opened = {play.id: play for play in player.plays.opened.values()}
    for play in opened.values():
        if play.open:
            rows += _play(player, play)
    if books is None:
        return [*rows, PlayRow("heading", "library", text="LIBRARY", right="being read…")]
    shut = [book for book in books if book.id not in opened or not opened[book.id].open]
    for proposed, group in groupby(shut, key=lambda book: bool(book.reason)):
        members = list(group)
        name = "PROPOSED" if proposed else "LIBRARY"
        rows.append(PlayRow("heading", name.lower(), text=name, right=str(len(members))))
        rows += [_book(book, opened) for book in members]
    return rows


def _book(book: Book, opened: Mapping[str, Play]) -> PlayRow:
    play = opened.get(book.id)
    right = f"closed, {play.done}/{len(play.steps)}" if play is not None else f"SEV-{book.severity}"
    text = f"{book.title}: {book.reason}" if book.reason else book.title
    return PlayRow("book", book.id, box=" + ", tone="info", text=text, right=right)


def _play(player: Player, play: Play) -> list[PlayRow]:
    unclear = sum(state.standing == "unclear" for state in play.steps.values())
    done = f"{play.done}/{len(play.steps)}"
    rows = [
        PlayRow(
            "play",
            play.id,
            box="",
            tone="strong",
            text=play.document.title,
            right=f"{unclear} UNKNOWN  {done}" if unclear else done,
            right_tone="crit" if unclear else "quiet",
        )
    ]
    due = play.next
    known = player.values(play)
    for section, group in groupby(play.steps.values(), key=lambda state: state.section):
        members = list(group)
        settled = f"{sum(state.settled for state in members)}/{len(members)}"
        rows.append(PlayRow("heading", f"{play.id} {section}", text=section.upper(), right=settled))
        rows += [_step(play, state, state is due, known) for state in members]
    return rows


def _step(play: Play, state: StepState, due: bool, known: Mapping[str, str]) -> PlayRow:
    from console.runner.fill import said

    box, tone = BOXES[state.standing]
    lead = "→" if due else " "
    text = f"{lead}{number(play, state.step.id)} {said(state.step.text, known)}"
    return PlayRow("step", play.id, state.step.id, box, tone, text)


def ending(player: Player, play: Play, state: StepState) -> tuple[str, str]:
    """Return what the row says at its end, and its tone: how it stands, else what is in the way, else whose it is."""
    step = state.step
    match state.standing:
        case "unclear":
            return "UNKNOWN EFFECT", "crit"
        case "failed":
            return "FAILED", "crit"
        case "running":
            run = state.running
            dry = "DRY RUN" if run is not None and run.dry else "WAITS" if step.kind == "wait" else "RUNS"
            return f"{dry} since {hm(run.at)}" if run is not None else dry, "info"
        case "done" | "waived" | "not_applicable":
            return f"{state.option or ''} {hm(state.at)} {state.by}".strip(), "quiet"
        case _:
            pass
    if state.announced is not None:
        return f"BY ITSELF {hm(state.announced[0])}", "high"
    refusals = in_the_way(player, play, state)
    if refusals:
        copy = number(play, step.snapshot or "")
        words = {
            "values": "values missing",
            "approval": "needs approval",
            "snapshot": f"snapshot first: {copy}" if copy else "snapshot first",
            "snapshot_none": "no snapshot",
            "freeze": "CHANGES FROZEN",
            "actuator": "by hand",
            "role": f"{step.role} only",
        }
        return words.get(refusals[0].code, "in the way"), "high"
    kind = "" if step.kind == "manual" else f" {step.kind}"
    return f"{step.role}{kind}", "quiet"


class PlaybookPane(ListRows[PlayRow]):
    """The playbooks of the incident."""

    def __init__(self) -> None:
        super().__init__(id="playbook")
        self._player: Player | None = None
        self._endings: dict[PlayRow, tuple[str, str]] = {}

    def key(self, row: PlayRow) -> Hashable:
        """Return what the row is about."""
        return row.kind, row.playbook, row.step

    def selectable(self, row: PlayRow | None) -> bool:
        """Return whether `row` is more than a heading."""
        return row is not None and row.kind != "heading"

    def update(self, player: Player, books: Sequence[Book] | None) -> None:
        """Show the playbooks as they stand."""
        first = not any(row.kind == "step" for row in self._rows)
        rows = play_rows(player, books)
        opened = [play for play in player.plays.opened.values() if play.open]
        states = [state for play in opened for state in play.steps.values()]
        done = f"  {sum(state.settled for state in states)}/{len(states)}" if states else ""
        frozen = "  CHANGES FROZEN" if player.plays.freezes else ""
        running = sum(state.running is not None for state in states)
        self.title(f"6 Playbook{done}{frozen}", f"{running} running" if running else "O opens a playbook")
        shown, self._player, self._endings = self._endings, player, {}
        if rows != self._rows:
            self.show(rows)
            if first and opened and (state := opened[0].next) is not None:
                self.choose(opened[0].id, state.step.id)
        elif any(
            row.kind == "step" and shown.get(row) != self._ending(row)
            for row in rows[self.top : self.top + self.height]
        ):
            self.refresh()

    def _ending(self, row: PlayRow) -> tuple[str, str]:
        """Return the end of a row. To say what is in the way of a step is not for nothing: only lines in sight ask."""
        if row.kind != "step" or self._player is None:
            return row.right, row.right_tone
        known = self._endings.get(row)
        if known is None:
            play = self._player.plays.opened.get(row.playbook)
            state = self._player.plays.step(row.playbook, row.step)
            known = ending(self._player, play, state) if play is not None and state is not None else ("", "")
            self._endings[row] = known
        return known

    def choose(self, playbook: str, step: str = "") -> bool:
        """Put the cursor on a step, or on the head of an open playbook. Returns whether it is there."""
        kinds = ("step",) if step else ("play", "book")
        for place, row in enumerate(self._rows):
            if row.kind in kinds and (row.playbook, row.step) == (playbook, step):
                self.go(place)
                return True
        return False

    def paint(self, row: PlayRow, width: int) -> Cells:
        """Return one line."""
        if row.kind in ("heading", "play"):
            right = min(max(len(row.right) + 1, 8), width // 2)
            tone = "strong" if row.kind == "play" else "quiet"
            return [(fit(row.text, width - right), tone), (fit(row.right, right, right=True), row.right_tone)]
        right = min(22, max(width // 3, 10))
        said, tone = self._ending(row)
        shown = fit(said, right, right=True)
        blank = len(shown) - len(shown.lstrip())
        text = max(width - 4 - right + blank - 1, 4)
        settled = row.box in ("[x]", "[-]", "[w]")
        return [
            (row.box + " ", row.tone),
            (fit(row.text, text), "quiet" if settled else ""),
            (" " + shown.lstrip(), tone),
        ]
