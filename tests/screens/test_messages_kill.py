"""kill -9 of a console in which the words of a message are typed: the next one goes on with them."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.terminal.test_terminal import console, record

WORDS = " charged twice since the deploy"


def test_the_words_of_a_message_survive_kill_nine(tmp_path: Path) -> None:
    home = record(tmp_path)
    with console(home) as terminal:
        terminal.until_shows("unacked")
        terminal.send("7")
        terminal.until_shows("TEMPLATES")
        terminal.send("N")
        terminal.until_shows("Which message")
        terminal.send("1\r")
        terminal.until_shows("TO MEND")
        terminal.send("c")
        terminal.until_shows("Subject")
        terminal.send(WORDS)
        terminal.until_shows(WORDS.strip())
        terminal.until_shows("draft saved")
        terminal.process.send_signal(signal.SIGKILL)
        terminal.process.wait()
    with console(home) as terminal:
        terminal.until_shows("typed and not saved: 7")
        terminal.send("7")
        terminal.until_shows("EDIT NOT SAVED")
        terminal.send("c")
        terminal.until_shows("is back")
        terminal.until_shows(WORDS.strip())
        terminal.send("\x1b[19~")
        terminal.until_shows("not approved any more")
        terminal.send(b"\x11")
        assert terminal.wait() == 0
