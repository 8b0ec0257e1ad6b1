"""What an exhibit holds: checked against its hash, then read a screen at a time, whatever its size."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.css.query import NoMatches
from textual.screen import ModalScreen

from console.evidence.material import Material
from console.refusal import Refused
from console.shown import rows
from data.envelope import Ref
from data.trouble import StoreTrouble
from screens.background import background
from screens.dialogs.form import Form, Text
from screens.dialogs.page import Page
from screens.display import content, fit
from screens.widgets.evidence import size
from screens.widgets.rows import Cells, Rows
from screens.widgets.sheet import Para
from screens.widgets.strips import StripLines

Numbered = tuple[int, str]
Copied = Callable[[Ref], Awaitable[str]]
"""Puts on the record that a copy was made; returns why it is not there."""
ABOVE = 150
"""Lines above what is shown in which a secret may begin that goes on there: a private key has up to 130."""


class MaterialRows(Rows[Numbered]):
    """The lines of one file; three screens around what is seen are in memory."""

    def __init__(self, unmasked: bool) -> None:
        super().__init__(id="material")
        self.unmasked = unmasked
        self.material: Material | None = None
        self.says = ""
        self._start = 0
        self._window: list[str] = []

    @property
    def count(self) -> int:
        """How many lines there are."""
        return self.material.count if self.material is not None else 0

    def row(self, index: int) -> Numbered | None:
        """Return a line when its part of the file is loaded."""
        at = index - self._start
        return (index, self._window[at]) if 0 <= at < len(self._window) else None

    def key(self, row: Numbered) -> Hashable:
        """Return the number of the line."""
        return row[0]

    def empty(self) -> str:
        """Return what is said before there is something to show, or instead of it."""
        return self.says

    def read(self, material: Material | None, says: str = "") -> None:
        """Show a checked file from its first line, or say why none is shown."""
        self.material, self.says = material, says or "It is empty."
        self.top = self.cursor = self._start = 0
        self._window = []
        self.scrolled()
        self.refresh()

    def scrolled(self) -> None:
        """Load what is seen, ahead of whoever reads on."""
        first, last = max(self.top - self.height // 2, 0), min(self.top + 3 * self.height // 2, self.count)
        if first < self._start or last > self._start + len(self._window):
            background(self, self._load, group="material", latest=True)

    async def _load(self) -> None:
        material = self.material
        if material is None:
            return
        start = max(self.top - self.height, 0)
        try:
            window = await asyncio.to_thread(material.rows, start, 3 * self.height)
            if not self.unmasked:
                window = await asyncio.to_thread(_masked, material, start, window)
        except StoreTrouble as trouble:
            self.read(None, str(trouble))
            return
        if material is self.material:
            self._start, self._window = start, window
            self.refresh()

    def paint(self, row: Numbered, width: int) -> Cells:
        """Return one line, with its number when it is text."""
        if self.material is not None and not self.material.text:
            return [(fit(row[1], width, unmasked=self.unmasked), "agent")]
        digits = max(len(str(self.count)), 3)
        return [
            (f"{row[0] + 1:>{digits}} ", "quiet"),
            (fit(row[1], width - digits - 1, unmasked=self.unmasked), "agent"),
        ]


def _masked(material: Material, start: int, lines: list[str]) -> list[str]:
    """Return lines of a file that begin at `start`, masked; a secret that began above them is one here, too."""
    first = max(start - ABOVE, 0) if material.text else start
    # Those lines are short; looking through long ones would keep the screen waiting.
    above = [line[:ABOVE] for line in material.rows(first, start - first)]
    return rows([*above, *lines])[len(above) :]


class MaterialPage(ModalScreen[None]):
    """Shows the files of one exhibit, one after the other."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Back", show=False),
        Binding("enter", "whole", "Whole line", show=False),
        Binding("s", "save", "Save", show=False),
        Binding("n", "file(1)", "Next file", show=False),
        Binding("p", "file(-1)", "Previous file", show=False),
    ]
    DEFAULT_CSS = """
    MaterialPage { align: center middle; background: $background 60%;
        #material-page { width: 95%; max-width: 100%; height: 90%; background: $panel; }
        MaterialRows { height: 1fr; background: $panel; }
        #material-says, #material-keys { background: $panel; }
    }
    """

    def __init__(
        self, directory: Path, refs: Sequence[Ref], copied: Copied, *, unmasked: bool = False
    ) -> None:
        super().__init__()
        self._copied = copied
        self._unmasked = unmasked
        self._directory, self._refs, self._at = directory, refs, 0
        self._leaving = False

    def compose(self) -> ComposeResult:
        """The lines, a message, and the keys."""
        with Vertical(id="material-page"):
            yield MaterialRows(self._unmasked)
            yield StripLines(id="material-says")
            yield StripLines(id="material-keys")

    def on_mount(self) -> None:
        """Check the first file, then show it."""
        self.set_focus(self.query_one(MaterialRows))
        more = [("n p other files", "", 1)] if len(self._refs) > 1 else []
        keys = [("Esc back", "quiet", 0), ("Enter whole line", "", 2), ("s save to a file", "", 0), *more]
        self.query_one("#material-keys", StripLines).show((keys, []))
        self._open()

    @property
    def ref(self) -> Ref:
        """The file that is shown."""
        return self._refs[self._at]

    def _open(self) -> None:
        rows, ref = self.query_one(MaterialRows), self.ref
        place = f"file {self._at + 1} of {len(self._refs)}  " if len(self._refs) > 1 else ""
        rows.border_title = content(
            f"{'NOT MASKED  ' * self._unmasked}{place}{ref.media}  {size(ref.size)}  {ref.sha256[:12]}", 120
        )
        rows.read(None, "Checking it against its hash…")
        self._say("")
        background(self, self._check, ref, group="check", latest=True)

    async def _check(self, ref: Ref) -> None:
        material, loop = Material(self._directory, ref), asyncio.get_running_loop()

        def told(done: int) -> bool:
            if not self._leaving:
                loop.call_soon_threadsafe(self._progress, ref, done)
            return not self._leaving and self.ref is ref

        try:
            await asyncio.to_thread(material.open, told)
        except (StoreTrouble, Refused) as trouble:
            if self.ref is ref and not self._leaving:
                self.query_one(MaterialRows).read(None, "NOT SHOWN")
                self._say(str(trouble), "crit")
            return
        if self.ref is ref and not self._leaving:
            kind = "lines" if material.text else "rows of 16 bytes: it is no text"
            self._say(f"checked: it is what was stored. {material.count:,} {kind}", "ok")
            self.query_one(MaterialRows).read(material)

    def _progress(self, ref: Ref, done: int) -> None:
        if self.ref is ref and not self._leaving:
            self._say(f"checking it against its hash: {done * 100 // max(ref.size, 1)} %")

    def _say(self, text: str, tone: str = "quiet") -> None:
        try:
            self.query_one("#material-says", StripLines).show(([(content(text, 400).plain, tone, 0)], []))
        except NoMatches:
            return

    def action_file(self, by: int) -> None:
        """Show another file of the exhibit."""
        if 0 <= self._at + by < len(self._refs):
            self._at += by
            self._open()

    def action_whole(self) -> None:
        """Show the selected line in full, on a page of its own."""
        rows = self.query_one(MaterialRows)
        material, index = rows.material, rows.cursor
        if material is not None and index < material.count:
            background(self, self._whole, material, index)

    async def _whole(self, material: Material, index: int) -> None:
        try:
            text = await asyncio.to_thread(material.whole, index)
            if not self._unmasked:
                (text,) = await asyncio.to_thread(_masked, material, index, [text])
        except StoreTrouble as trouble:
            self._say(str(trouble), "crit")
            return
        para = Para(text, "content", agent=True, unmasked=self._unmasked)
        self.app.push_screen(Page(f"Line {index + 1:,}", [para]))

    def action_save(self) -> None:
        """Ask where to, then copy it there."""
        ref = self.ref

        async def submit(answers: Mapping[str, str]) -> None:
            await asyncio.to_thread(Material(self._directory, ref).save, Path(answers["path"]))
            trouble = await self._copied(ref)
            said = f"saved, and checked, as {answers['path']}" + (f"; {trouble}" if trouble else "")
            self._say(said, "high" if trouble else "ok")

        path = Text(
            "path",
            "New file",
            f"~/{ref.sha256[:12]}",
            "Give the path of a file that is not there yet.",
            limit=4096,
        )
        self.app.push_screen(Form("Save to a file", (path,), submit, verb="save a copy"))

    def on_rows_opened(self, event: Rows.Opened) -> None:
        """A second click shows the whole line."""
        event.stop()
        self.action_whole()

    def action_leave(self) -> None:
        """Go back."""
        if not self._leaving:
            self._leaving = True
            self.dismiss(None)
