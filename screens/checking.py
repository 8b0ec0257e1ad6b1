"""Verifying a record beside everything else: a process of its own, so that no frame waits and it can be ended.

`python -m screens.checking DIRECTORY` prints the verdict as JSON.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from pathlib import Path

import msgspec

from console.refusal import Refused
from console.timeline import trust
from data.rows import Damage
from data.trouble import StoreTrouble
from data.verify import Verdict, verify

LIMIT = 2**26
"""Bytes of a verdict, at most: damages are a thousand sentences."""


class _Said(msgspec.Struct):
    verdict: Verdict | None = None
    trouble: tuple[str, str, str] | None = None


class Checking:
    """The verification that runs, and the last verdict.

    Attributes:
        case: the case that `verdict` or the running check is about.
        verdict: what was found; None = not checked since the console was started.
        at: when that was, ns UTC.
        since: when the running check began, ns UTC; 0 = none runs.
    """

    def __init__(self) -> None:
        self.case = ""
        self.verdict: Verdict | None = None
        self.at = self.since = 0
        self._process: Process | None = None
        self._ended = False

    def of(self, case: str) -> Verdict | None:
        """Return the last verdict on `case`."""
        return self.verdict if self.case == case else None

    def damage(self, case: str) -> list[Damage]:
        """Return what the last check of `case` found wrong."""
        verdict = self.of(case)
        return verdict.damage if verdict is not None else []

    async def run(self, case: str, directory: Path, now: int) -> Verdict:
        """Check a record.

        Raises:
            Refused: one runs already, or it was ended.
            StoreTrouble: there is no log that can be opened.
        """
        if self.since:
            raise Refused("The record is being verified already.", "The same command again ends that.")
        self.since, self._ended = now, False
        if case != self.case:
            self.case, self.verdict, self.at = case, None, 0
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "screens.checking", str(directory),
                stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, limit=LIMIT,
                start_new_session=True,  # Ctrl+C in the terminal is not for it, and its own helper ends with it
            )  # fmt: skip
            try:
                answer, _ = await process.communicate()
            finally:
                self.end()
                await process.wait()
        finally:
            self.since, self._process = 0, None
        return self._take(answer, now)

    def _take(self, answer: bytes, now: int) -> Verdict:
        if self._ended:
            raise Refused("The verification was ended.", "Nothing is known from it.")
        try:
            said = msgspec.json.decode(answer, type=_Said)
        except msgspec.DecodeError:
            raise Refused(
                "The verification broke off without an answer.", "Try it again, or run `warroom verify`."
            ) from None
        if said.trouble is not None:
            raise StoreTrouble(*said.trouble)
        assert said.verdict is not None  # noqa: S101 - it says one or the other
        self.verdict, self.at = said.verdict, now
        return said.verdict

    def end(self) -> None:
        """End the check that runs, if any; nothing comes of it."""
        process = self._process
        if process is not None and process.returncode is None:
            self._ended = True
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)


def main(directory: Path) -> None:
    """Print the verdict on a record."""
    try:
        said = _Said(verify(directory, trust=trust))
    except StoreTrouble as trouble:
        said = _Said(trouble=(trouble.what, trouble.meaning, trouble.next_step))
    sys.stdout.buffer.write(msgspec.json.encode(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
