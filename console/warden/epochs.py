"""What is halted, and the epoch of every halt: a number that only rises, on the disk before anybody hears of it.

One counter serves all scopes, so that any two words are in an order: whoever has heard a higher number ignores a
lower one, and a resume that was under way for long cannot undo a halt that came after it.
"""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
from msgspec import Struct

from console.events import HaltScope
from console.refusal import Refused
from data import durable

NAME = "epochs.json"
GAP = 100
"""Each start begins so much higher: a number that a broken disk kept from being written is not given again."""
WORDS = 10_000
"""Scopes about which something was ever said."""
ORDERS = 10_000
MOST_BYTES = 64 * 2**20


class Stale(Exception):
    """A resume names an epoch that is not the newest: something was halted after it. The message says what."""


class Word(Struct, frozen=True, omit_defaults=True):
    """The newest word on one scope.

    Attributes:
        scope: all, agent, tool or queue.
        subject: which one; empty for all.
        epoch: its number.
        halted: whether it is a halt; else a resume.
        order: id of the order, 16 hex digits; empty for a resume.
        reason: why; for people.
        at: when, nanoseconds UTC; for people only, nothing is decided by it.
        exempts: a resume of an agent out of this halt of all, by its epoch; 0 = of its own halt only.
    """

    scope: HaltScope
    subject: str
    epoch: int
    halted: bool
    order: str = ""
    reason: str = ""
    at: int = 0
    exempts: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """What it is about."""
        return self.scope, self.subject


class _Kept(Struct):
    v: int
    epoch: int
    words: list[Word]
    orders: dict[str, int]


class Epochs:
    """The words in force. `halt` counts at once in memory; it may be told to others once `written` reaches it.

    Args:
        kept: what the file holds.
        path: the file.
    """

    def __init__(self, kept: _Kept, path: Path) -> None:
        self._path = path
        self._writing = threading.Lock()
        self._words = {word.key: word for word in kept.words}
        self._orders = kept.orders
        self.last = kept.epoch
        """The highest number that was given."""
        self.written = kept.epoch
        """The highest number that may leave this process: it is on the disk."""
        self.restarted = kept.epoch > GAP
        """Whether there was a warden here before, whose leases may still be held."""

    @classmethod
    def open(cls, path: Path, *, new: bool = False, after_loss: int = 0) -> Epochs:
        """Read the file and begin `GAP` higher, durably.

        Args:
            path: the file.
            new: there may be none: nobody has got a lease from here yet.
            after_loss: not 0: begin with everything halted, above this number, whatever the file says.

        Raises:
            Refused: it is gone or unreadable; which halts were in force cannot be known.
            OSError: the disk does not take it.
        """
        kept = _Kept(1, 0, [], {})
        if after_loss:
            kept = _Kept(1, after_loss, [], {})
        else:
            try:
                with path.open("rb") as file:
                    kept = msgspec.json.decode(file.read(MOST_BYTES), type=_Kept)
            except FileNotFoundError:
                if not new:
                    raise Refused(f"{path} is gone: which halts are in force is not known.", _LOST) from None
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                raise Refused(
                    f"{path} cannot be read: which halts are in force is not known.", _LOST
                ) from None
        kept.epoch += GAP
        made = cls(kept, path)
        if after_loss:
            made.halt(
                "all", "", "0" * 16, "begun again after a loss: which halts were in force is not known", 0
            )
        made.write(made.snapshot())
        return made

    def halt(self, scope: HaltScope, subject: str, order: str, reason: str, at: int) -> Word:
        """Halt in memory, under the next number. The same order again: what it came to, and nothing changes.

        Raises:
            Stale: the order was taken back since.
            Refused: there are too many scopes.
        """
        same = f"{order} {scope} {subject}"
        known = self._words.get((scope, subject))
        if (before := self._orders.get(same)) is not None:
            if known is not None and known.halted:
                return known
            raise Stale(f"this order was in force under epoch {before}, and was taken back since")
        if known is None and len(self._words) >= WORDS:
            raise Refused(f"The warden keeps {WORDS:,} scopes, and all are taken.", "Halt a wider one.")
        self.last += 1
        word = Word(scope, subject, self.last, True, order, reason, at)
        self._words[word.key] = word
        self._orders[same] = word.epoch
        while len(self._orders) > ORDERS:
            del self._orders[next(iter(self._orders))]
        return word

    def resumed(self, scope: HaltScope, subject: str, epoch: int, reason: str, at: int) -> Word:
        """Return the word that takes a halt back; it counts only once `apply` has it, after it was written.

        Args:
            scope: see `Word`.
            subject: see `Word`. An agent may be resumed out of a halt of all.
            epoch: that of the halt that is meant.
            reason: see `Word`.
            at: see `Word`.

        Returns:
            the new word; or the one in force, if nothing is halted there.

        Raises:
            Stale: a later halt, or another one than was meant, holds it.
            Refused: there are too many scopes.
        """
        known = self._words.get((scope, subject))
        own = known if known is not None and known.halted else None
        over = self._over(scope)
        if over is not None and known is not None and known.exempts >= over.epoch:
            over = None
        if own is None and over is None:
            return known or Word(scope, subject, self.written, False)
        newest = max(word.epoch for word in (own, over) if word is not None)
        if newest > epoch:
            raise Stale(f"it was halted again after that, under epoch {newest}")
        if newest != epoch:
            raise Stale(f"epoch {epoch} is none of this halt")
        if own is not None and epoch != own.epoch:
            raise Stale(f"it is halted on its own too, under epoch {own.epoch}: take that back first")
        if known is None and len(self._words) >= WORDS:
            raise Refused(f"The warden keeps {WORDS:,} scopes, and all are taken.", "Resume a wider one.")
        self.last += 1
        return Word(scope, subject, self.last, False, "", reason, at, 0 if own is not None else epoch)

    def apply(self, word: Word) -> None:
        """Let a resume count.

        Raises:
            Stale: a halt came while it was written.
        """
        known = self._words.get(word.key)
        over = self._over(word.scope)
        for each in (known, over):
            if each is not None and each.epoch > word.epoch and each.halted:
                raise Stale(f"it was halted again meanwhile, under epoch {each.epoch}")
        self._words[word.key] = word

    def stopped(self, agent: str) -> Word | None:
        """Return the newest halt that keeps an agent from acting at all, or None."""
        own, over = self._words.get(("agent", agent)), self.closed("all", "")
        if over is not None and own is not None and own.exempts >= over.epoch:
            over = None
        if own is not None and own.halted and (over is None or own.epoch > over.epoch):
            return own
        return over

    def closed(self, scope: HaltScope, subject: str) -> Word | None:
        """Return the halt of one scope, or None."""
        word = self._words.get((scope, subject))
        return word if word is not None and word.halted else None

    @property
    def in_force(self) -> list[Word]:
        """Every halt that holds, the oldest first."""
        return sorted((word for word in self._words.values() if word.halted), key=lambda word: word.epoch)

    @property
    def exempt(self) -> list[str]:
        """Agents that run although all are halted."""
        over = self._over("agent")
        if over is None:
            return []
        return sorted(
            word.subject
            for word in self._words.values()
            if word.scope == "agent" and not word.halted and word.exempts >= over.epoch
        )

    def snapshot(self, more: Word | None = None) -> tuple[int, bytes]:
        """Return the highest number, and the bytes of the file. `more`: a word that does not count yet."""
        words = {**self._words, more.key: more} if more is not None else self._words
        return self.last, msgspec.json.encode(_Kept(1, self.last, list(words.values()), self._orders))

    def write(self, snapshot: tuple[int, bytes]) -> None:
        """Put a snapshot on the disk. Blocks until it is durable; from any thread.

        Raises:
            OSError: the disk did not take it; the file is as it was.
        """
        epoch, raw = snapshot
        with self._writing:  # in the order in which they came, also when the disk hung
            durable.replace(self._path, raw)
        self.written = max(self.written, epoch)

    def _over(self, scope: HaltScope) -> Word | None:
        """The halt of all, for an agent."""
        return self.closed("all", "") if scope == "agent" else None


_LOST = "Begin with everything halted (warroom warden run --after-loss), then let go on what may."
