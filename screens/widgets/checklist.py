"""The checklist pane: phases, items, who has done what."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from console.shown import visible
from screens.display import fit
from screens.times import HOUR, MINUTE, hm
from screens.widgets.rows import Cells, ListRows

if TYPE_CHECKING:
    from console.incident import Check, Incident

_BOXES = {"done": ("[x]", "ok"), "not_applicable": ("[-]", "quiet"), "waived": ("[w]", "held")}


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One line of the checklist as it is drawn; `id` is empty for the heading of a phase.

    `asks`: whether it is done only with evidence.
    """

    id: str
    box: str
    tone: str
    text: str
    right: str
    right_tone: str
    asks: bool = False


def check_rows(state: Incident, now: int) -> list[CheckRow]:
    """Return the checklist of `state` at `now` (ns UTC), in its order, with a heading where the phase changes."""
    rows: list[CheckRow] = []
    for phase, group in groupby(state.checklist.values(), key=lambda check: check.item.phase):
        members = list(group)
        settled = sum(check.state != "open" for check in members)
        heading = phase.upper() or "FIRST RESPONSE"
        rows.append(CheckRow("", heading, "strong", "", f"{settled}/{len(members)}", "quiet"))
        rows += [_row(check, state.due_at(check) if state.open else None, now) for check in members]
    return rows


def _row(check: Check, due: int | None, now: int) -> CheckRow:
    item = check.item
    if check.state != "open":
        box, tone = _BOXES[check.state]
        return CheckRow(item.id, box, tone, item.text, f"{hm(check.at)} {check.by}", "quiet")
    box = "[~]" if check.claimed else "[ ]"
    right = [check.claimed] if check.claimed else [item.role]
    late = due is not None and due < now
    if due is not None:
        # What is late comes first: where there is no room for all, it is the owner's name that is cut.
        right.insert(0 if late else 1, _due(due - now))
    tone = "crit" if late else "quiet" if due is not None else ""
    mark = "crit" if late else "info" if check.claimed else ""
    return CheckRow(
        item.id,
        "[!]" if late else box,
        mark,
        item.text,
        "  ".join(filter(None, right)),
        tone,
        item.evidence,
    )


def _due(left: int) -> str:
    """Return the time left in words that change once a minute."""
    late, left = left < 0, abs(left)
    text = (
        f"{left // HOUR}h{left % HOUR // MINUTE:02}"
        if left >= HOUR
        else f"{left // MINUTE}m"
        if left >= MINUTE
        else "<1m"
    )
    return f"LATE {text}" if late else f"due {text}"


class Checklist(ListRows[CheckRow]):
    """The checklist of the incident."""

    def __init__(self) -> None:
        super().__init__(id="checklist")

    def key(self, row: CheckRow) -> Hashable:
        """Return the item's id, or the phase of a heading."""
        return row.id or f"phase {row.box} {row.right}"

    def selectable(self, row: CheckRow | None) -> bool:
        """Return whether `row` is an item."""
        return row is not None and bool(row.id)

    def empty(self) -> str:
        """Return what an empty pane says."""
        return "No checklist was adopted."

    def update(self, state: Incident, now: int) -> None:
        """Show the checklist of `state` at `now` (ns UTC)."""
        first = not self._rows
        rows = check_rows(state, now)
        ahead, late = state.next_item, len(state.overdue(now))
        overdue = f" · {late} OVERDUE" if late else ""
        self.title(
            f"3 Checklist  {state.checked}/{len(state.checklist)}{overdue}",
            f"* with evidence · next: {visible(ahead.item.id, 20)}" if ahead else "all settled",
        )
        if rows != self._rows:
            self.show(rows)
            if first and ahead is not None:
                self.go(next(i for i, row in enumerate(rows) if row.id == ahead.item.id))

    def paint(self, row: CheckRow, width: int) -> Cells:
        """Return the line of one item or phase."""
        if not row.id:
            return [(fit(row.box, width - 8), row.tone), (fit(row.right, 8, right=True), row.right_tone)]
        right = min(22, max(width // 3, 10))
        shown = fit(row.right, right, right=True)
        blank = len(shown) - len(shown.lstrip())
        text = max(width - 4 - right + blank - 1, 4)
        return [
            (row.box + ("*" if row.asks else " "), row.tone),
            (fit(row.text, text), "quiet" if row.box in ("[x]", "[-]", "[w]") else ""),
            (" " + shown.lstrip(), row.right_tone),
        ]
