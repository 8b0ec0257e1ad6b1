"""The terminal driver: Textual's, but neither bytes that are no text nor a lost terminal confuse it."""

from __future__ import annotations

import os
import selectors
import sys
from codecs import getincrementaldecoder
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TextIO, cast

from textual import events
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message


class _Screen:
    """The stream that is drawn on; once the terminal is gone, what is written goes nowhere.

    The writer thread of the toolkit dies of the error instead, and everybody who draws then waits for it for ever.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text` if there is a terminal. Returns its length."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush if there is a terminal."""
        with suppress(OSError):
            self._stream.flush()

    def isatty(self) -> bool:
        """Return whether this is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._stream.fileno()


ESC = "\x1b"
INTRODUCERS = "[]OPX^_"
"""What begins a longer sequence after Esc."""
PASTE_BEGINS = "\x1b[200~"
PASTE_ENDS = "\x1b[201~"
ESC_PICTURE = "␛"


class _Keyboard(XTermParser):
    """Takes Esc and a character that arrive together for Esc, then the character; keeps a paste in one piece.

    Terminals send the same two bytes for Alt and a character, and the toolkit makes one character of them: `™`
    of Esc and 2. Whoever leaves the write bar in a hurry would find it on the record.

    The toolkit looks for keys inside a paste too: a colour in pasted output came out as keys, ahead of the words
    before it, and a line feed among them pressed Enter. Here everything up to the end of the paste is text.
    """

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._pasted: str | None = None
        self._before = ""

    def feed(self, data: str) -> Iterable[Message]:
        """Return the events of what the terminal sent; a paste may come in many pieces, cut anywhere."""
        while data:
            if self._pasted is None:
                begin = (self._before + data).find(PASTE_BEGINS)
                end = len(data) if begin < 0 else begin + len(PASTE_BEGINS) - len(self._before)
                yield from super().feed(data[:end])
                if begin < 0:
                    self._before = (self._before + data)[1 - len(PASTE_BEGINS) :]
                    return
                self._pasted, self._before, data = "", "", data[end:]
                continue
            seen = max(len(self._pasted) - len(PASTE_ENDS) + 1, 0)
            self._pasted += data
            end = self._pasted.find(PASTE_ENDS, seen)
            if end < 0:
                return
            text, data = self._pasted[:end], self._pasted[end + len(PASTE_ENDS) :]
            self._pasted = None
            yield from super().feed(text.replace(ESC, ESC_PICTURE) + PASTE_ENDS)

    def tick(self) -> Iterable[Message]:
        """Return the keys for which nothing followed in time: what comes later is no longer part of them."""
        for event in super().tick():
            self._before = ""
            yield event

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        together = len(sequence) == 2 and sequence[0] == ESC and sequence not in _EDITING
        if alt or (together and sequence[1] not in INTRODUCERS):
            yield events.Key("escape", ESC)
            sequence = sequence[-1]
        yield from super()._sequence_to_key_events(sequence)


_EDITING = frozenset({"\x1b\x1b", "\x1b\x7f", "\x1b\t", "\x1bb", "\x1bf"})
"""Twice Esc, and what terminals send for editing a word, or going back a field."""


class TolerantDriver(LinuxDriver):
    """Reads the keyboard with a decoder that puts `�` where bytes make no character.

    Old mouse reports beyond column 95, a wrong locale and pasted binaries all send such bytes, and the driver
    of the toolkit decodes strictly.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        assert sys.__stderr__ is not None  # noqa: S101 - the toolkit has just used it
        self._file = cast(Any, _Screen(sys.__stderr__))

    def run_input_thread(self) -> None:
        """Read the terminal until the application leaves it, or until the terminal is gone."""
        parser = _Keyboard(self._debug)
        decode = getincrementaldecoder("utf-8")(errors="replace").decode
        with selectors.DefaultSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(0.1):
                    try:
                        raw = os.read(self.fileno, 4096)
                    except OSError:
                        raw = b""
                    if not raw:
                        # The terminal went away, and asking again would spin.
                        self._app.call_later(self._app.exit, None, 129)
                        return
                    for event in parser.feed(decode(raw)):
                        self.process_message(event)
                for event in parser.tick():
                    self.process_message(event)
