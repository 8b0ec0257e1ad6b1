"""The terminal driver: Textual's, but bytes that are not UTF-8 do not end the program."""

from __future__ import annotations

import os
import selectors
from codecs import getincrementaldecoder

from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver


class TolerantDriver(LinuxDriver):
    """Reads the keyboard with a decoder that puts `�` where bytes make no character.

    Old mouse reports beyond column 95, a wrong locale and pasted binaries all send such bytes, and the driver
    of the toolkit decodes strictly.
    """

    def run_input_thread(self) -> None:
        """Read the terminal until the application leaves it, or until the terminal is gone."""
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")(errors="replace").decode
        with selectors.DefaultSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(0.1):
                    raw = os.read(self.fileno, 4096)
                    if not raw:
                        # End of file: the terminal went away, and asking again would spin.
                        self._app.call_later(self._app.exit, None, 129)
                        return
                    for event in parser.feed(decode(raw)):
                        self.process_message(event)
                for event in parser.tick():
                    self.process_message(event)
