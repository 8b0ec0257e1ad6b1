"""The timeline pane: range reads over a log of any length, three screens around what is seen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import TYPE_CHECKING

from screens.background import background
from screens.display import fit
from screens.times import DAY, MINUTE, hms, stamp
from screens.widgets.rows import Cells, Rows

if TYPE_CHECKING:
    from console.roster import Roster
    from data.line import Filter, Line
    from data.view import Lines

_TONES = {"✖": "crit", "▲": "high", "!": "strong", "?": "info", "+": "held", "·": "quiet"}


Mark = tuple[int, str, str, str]


def _mark(line: Line) -> Mark:
    """Return what sorts as the timeline does, and ends with the hash."""
    return line.at, line.hlc, line.rep, line.hash


class Timeline(Rows["Line"]):
    """Entries by event time. At its end it follows; anywhere else it stays put and counts what arrives."""

    def __init__(self) -> None:
        super().__init__(id="timeline")
        self.lines: Lines | None = None
        self.narrowed: Filter | None = None
        self.following = True
        self.frozen = False
        self._marked: set[Mark] = set()
        self._count = 0
        self._all = 0
        self._start = 0
        self._window: list[Line] = []
        self._anchor: str | None = None
        self._seen = 0
        self._today = 0
        self._stale = False
        self._asked = False
        self._loading = False
        self._dated = False
        self._roster: Roster | None = None
        self._contested: frozenset[str] = frozenset()
        self._judged: object = None

    # -- rows ------------------------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """How many entries fit the filter."""
        return self._count

    def row(self, index: int) -> Line | None:
        """Return the entry at `index` when its part of the log is loaded."""
        at = index - self._start
        return self._window[at] if 0 <= at < len(self._window) else None

    def key(self, row: Line) -> Hashable:
        """Return the hash of the entry's event."""
        return row.hash

    def empty(self) -> str:
        """Return what an empty pane says."""
        return "Nothing fits the filter; \\ clears it." if self.narrowed else "Nothing yet."

    @property
    def filter(self) -> Filter:
        """The filter in force."""
        from data.line import ALL  # brings the store's types in, which the first frame does not need

        return self.narrowed or ALL

    def judge(self, roster: Roster, contested: frozenset[str]) -> None:
        """Mark the entries that do not count and those of which two versions stand side by side."""
        judged = (
            contested,
            [(rep, member.left, member.revoked) for rep, member in roster.members.items()],
        )
        self._roster, self._contested = roster, contested
        if judged != self._judged:
            self._judged = judged
            self.refresh()

    # -- loading ---------------------------------------------------------------------------------------------

    def watch_log(self, lines: Lines) -> None:
        """Show `lines`, at their end."""
        self.lines = lines
        self.narrowed, self.following, self._anchor, self._seen = None, True, None, 0
        self.changed()

    def changed(self, today: int = 0) -> None:
        """Read again: the log has changed. `today`: now, ns UTC, to know which dates need showing."""
        self._today = today or self._today
        self._stale = True
        self._ask()

    def narrow(self, flt: Filter | None) -> None:
        """Show only what fits `flt`, None = everything; the selected entry stays selected when it does."""
        self.narrowed = flt
        self._seen = 0
        self.changed()

    def scrolled(self) -> None:
        """Fetch ahead before the reader arrives there."""
        margin = self.height
        last = min(self.top + 2 * margin, self._count)
        if (self.top - margin < self._start and self._start > 0) or last > self._start + len(self._window):
            self._ask()

    def go(self, index: int, *, step: int = 1) -> None:
        """Move the cursor; at the end the pane follows again."""
        super().go(index, step=step)
        self.following = not self.frozen and self.cursor >= self._count - 1
        line = self.row(self.cursor)
        self._anchor = line.hash if line is not None else None
        if self.following:
            self._seen = self._count
        self._label()

    def wheel(self, by: int) -> None:
        """Scroll; whoever scrolls up is reading and is not moved."""
        super().wheel(by)
        if by < 0 and self.following:
            self.following = False
            self._seen = self._count
            line = self.row(self.cursor)
            self._anchor = line.hash if line is not None else None
        elif not self.frozen and self.top >= self._count - self.height and self.cursor >= self._count - 1:
            self.following = True
        self._label()

    def action_tail(self) -> None:
        """Go to the last entry, and follow."""
        self.frozen = False
        super().action_tail()

    def freeze(self) -> None:
        """Hold still what is seen, or follow again."""
        if self.frozen:
            self.action_tail()
        else:
            self.frozen = True
            self._seen = self._count
            self.go(self.cursor)

    def mark(self) -> None:
        """Mark the selected entry, or take its mark off."""
        line = self.selected
        if line is not None:
            self._marked ^= {_mark(line)}
            self.refresh()

    def jump_mark(self) -> bool:
        """Go to the next marked entry, from the last one to the first. Returns whether there is one."""
        line = self.selected
        here = _mark(line) if line is not None else (0, "", "", "")
        marked = sorted(self._marked)
        if marked:
            self.jump_to(next((mark for mark in marked if mark > here), marked[0])[-1])
        return bool(marked)

    def _ask(self) -> None:
        """Have the window loaded; requests meanwhile become one."""
        self._asked = True
        if not self._loading and self.lines is not None:
            self._loading = True
            background(self, self._load, group="timeline")

    async def _load(self) -> None:
        try:
            while self._asked:
                self._asked = False
                await self._load_once()
        finally:
            self._loading = False

    async def _load_once(self) -> None:
        lines, flt = self.lines, self.filter
        if lines is None:
            return
        cursor, top, count = self.cursor, self.top, self._count
        if stale := self._stale:
            self._stale = False
            count = await lines.count(flt)
            everything = count if self.narrowed is None else await lines.count()
            if not self.following and self._anchor is not None:
                at = await lines.index_of(self._anchor, flt)
                if at is not None:
                    cursor, top = at, at - (cursor - top)
            self._all = everything
        if self.following:
            cursor, top = max(count - 1, 0), count - self.height
        top = min(max(top, 0), max(count - self.height, 0))
        margin = 3 * self.height
        start = max(top - margin, 0)
        window = await lines.window(start, self.height + 2 * margin, flt)
        moved_meanwhile = not stale and not self.following and self.top != top
        if flt != self.filter:
            self._stale = self._asked = True
            return
        before = (self._start, self._window, self._count, self.cursor, self.top, self._dated)
        self._start, self._window, self._count = start, window, count
        if not moved_meanwhile:
            self.cursor, self.top = min(cursor, max(count - 1, 0)), top
        else:
            self.scrolled()
        if self.following:
            self._seen = count
        if (self._anchor is None and (line := self.row(self.cursor)) is not None) or (
            self.following and (line := self.row(self.cursor)) is not None
        ):
            self._anchor = line.hash
        self._dated = bool(window) and (
            window[0].at // DAY != window[-1].at // DAY or window[-1].at // DAY != self._today // DAY
        )
        self._label()
        if before == (start, window, count, self.cursor, self.top, self._dated):
            return  # other parts of the record have changed; this one is painted already
        self.refresh()
        self.post_message(self.Moved(self))

    def _label(self) -> None:
        hidden = self._all - self._count
        words = f"{self._count:,}"
        if self.narrowed:
            words = f"{self._count:,} of {self._all:,} · {hidden:,} hidden by filter"
        new = self._count - self._seen
        foot = (
            f"▼ {new:,} new · G follow"
            if new > 0 and not self.following
            else ""
            if self.following
            else "G follow"
        )
        state = " · FROZEN" if self.frozen else " · follows" if self.following else ""
        self.title(f"2 Timeline  {words}{state}", foot)

    # -- going places ----------------------------------------------------------------------------------------

    def jump(self, where: Callable[[Lines], Awaitable[int | None]]) -> None:
        """Go to the entry whose position `where` finds."""
        lines = self.lines
        if lines is None:
            return

        async def find(lines: Lines) -> None:
            index = await where(lines)
            if index is not None:
                await self._land(index)

        background(self, find, lines, group="jump", latest=True)

    async def _land(self, index: int) -> None:
        """Put entry `index` in the middle of the pane, loaded."""
        self.following = False
        self.cursor = min(max(index, 0), max(self._count - 1, 0))
        self.top = min(max(self.cursor - self.height // 2, 0), max(self._count - self.height, 0))
        self._anchor = None
        if self.lines is not None:
            margin = 3 * self.height
            self._start = max(self.top - margin, 0)
            self._window = await self.lines.window(self._start, self.height + 2 * margin, self.filter)
        self.go(self.cursor)
        self.refresh()

    def jump_to(self, hash_: str) -> None:
        """Go to the entry of one event; a filter that hides it is taken off."""

        async def where(lines: Lines) -> int | None:
            index = await lines.index_of(hash_, self.filter)
            if index is None and self.narrowed:
                self.narrowed = None
                self._count = self._all = await lines.count()
                index = await lines.index_of(hash_)
            return index

        self.jump(where)

    def jump_time(self, at: int) -> None:
        """Go to the first entry at or after `at`, ns UTC."""
        self.jump(lambda lines: lines.position(at, self.filter))

    def jump_minutes(self, by: int) -> None:
        """Go `by` minutes on from the selected entry."""
        line = self.selected
        if line is not None:
            target = line.at // MINUTE * MINUTE + by * MINUTE
            self.jump_time(target)

    def jump_alert(self, by: int) -> None:
        """Go to the next (1) or previous (-1) entry that a tripwire wrote."""
        here = self.cursor

        async def where(lines: Lines) -> int | None:
            at, step = here + by, 200
            while 0 <= at < self._count:
                start = at if by > 0 else max(at - step + 1, 0)
                window = await lines.window(start, step if by > 0 else at - start + 1, self.filter)
                order = range(len(window)) if by > 0 else range(len(window) - 1, -1, -1)
                for i in order:
                    if window[i].mark in ("✖", "▲"):
                        return start + i
                if not window:
                    break
                at = start + len(window) if by > 0 else start - 1
            return None

        self.jump(where)

    # -- drawing ---------------------------------------------------------------------------------------------

    def paint(self, row: Line, width: int) -> Cells:
        """Return the line of one entry."""
        # Here and not above: the vocabulary is not needed for the first frame.
        from console.timeline import BACKDATED, CRITICAL, HIGH, RETRACTED

        retracted = bool(row.flags & RETRACTED)
        time = f"{stamp(row.at)[5:10]} {hms(row.at)}" if self._dated else hms(row.at)
        time = ("~" if row.flags & BACKDATED else " ") + time
        actor = 10 if width >= 70 else 7
        tail, loud = self._badges(row, width < 60)
        text = max(width - len(time) - 3 - actor - 1 - len(tail), 4)
        tone = _TONES.get(row.mark, "")
        said = "struck" if retracted else "quiet" if row.mark == "·" and row.level < HIGH else ""
        if row.mark == "✖" and row.level >= CRITICAL and not retracted:
            said = "strong"
        return [
            (time, "quiet"),
            (" " + fit(row.mark, 1), tone),
            ("*" if _mark(row) in self._marked else " ", "held"),
            (fit(row.actor, actor) + " ", "quiet"),
            (fit(row.text, text), said),
            (tail, "med" if loud else "quiet"),
        ]

    def _badges(self, row: Line, narrow: bool) -> tuple[str, bool]:
        """Return what is to be known of an entry besides its words, and whether it needs a look."""
        from console.timeline import CORRECTED, DISPUTED, RETRACTED
        from screens.kept import on_roster

        loud = []
        if self._roster is not None and not on_roster(self._roster, row):
            loud.append("OFF ROSTER" if narrow else "NOT ON ROSTER")
        if row.hash in self._contested:
            loud.append("CONTESTED")
        if row.flags & DISPUTED:
            loud.append("DISPUTED")
        if row.flags & RETRACTED:
            loud.append("RETRACTED")
        if row.editor:
            # Beside the name of who wrote the line stand the words of somebody else.
            by = fit(row.editor, 10 if narrow else 16).strip()
            loud = [
                f"{loud[0]}, text by {by}" if narrow and loud else " ".join([*loud, f"corrected by {by}"])
            ]
        elif narrow:
            # A narrow pane has room for the first; the page of the entry has them all.
            loud = loud[:1]
        if loud:
            return " " + " ".join(loud), True
        return (" corrected", False) if row.flags & CORRECTED else ("", False)
