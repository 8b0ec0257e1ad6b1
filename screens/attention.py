"""Calling somebody who looks elsewhere: window title, bell, desktop notification.

The words are ours only, made of ids and counts: what an agent wrote never reaches the terminal by these ways.
"""

from __future__ import annotations

from collections.abc import Mapping

from screens.times import SECOND

QUIET = 10 * SECOND
"""The least time between two calls."""


class Attention:
    """Knows what it has called for. Made with the environment, which says on which terminal this is.

    Args:
        audible: whether the bell may ring.
        environment: the variables of the process.

    Attributes:
        paging: ids of the alerts that it was last told of.
    """

    def __init__(self, audible: bool, environment: Mapping[str, str]) -> None:
        self._audible = audible
        self._tmux = bool(environment.get("TMUX"))
        # These know OSC 777 and either not OSC 9 or take it for something else.
        self._by_777 = bool(environment.get("VTE_VERSION")) or environment.get("TERM", "").startswith(
            ("rxvt", "foot")
        )
        self.paging: frozenset[str] = frozenset()
        self._uncalled: frozenset[str] = frozenset()
        self._late: dict[str, frozenset[str]] = {}
        self._uncalled_late: frozenset[str] = frozenset()
        self._called_at = -QUIET
        self._label = ""

    def look(
        self,
        paging: frozenset[str],
        name: str,
        now: int,
        *,
        focused: bool,
        case: str = "",
        late: frozenset[str] = frozenset(),
    ) -> str:
        """Return what to send to the terminal, usually nothing.

        Args:
            paging: ids of the alerts that page and that nobody has yet.
            case: the incident that is open.
            late: its overdue checklist items. Each calls once; what was late when the incident was opened does not.
            name: what the window is called, in words of ours.
            now: ns UTC.
            focused: whether the window is being looked at.
        """
        sequence = ""
        label = f"({len(paging)}!) {name}" if paging else name
        if label != self._label:
            self._label = label
            sequence = f"\x1b]2;{label}\x07"
        # One that came too soon after a call is not forgotten: it waits for its turn, or for an acknowledgement.
        self._uncalled = (self._uncalled | (paging - self.paging)) & paging
        self.paging = paging
        known = self._late.get(case, late)
        self._uncalled_late = (self._uncalled_late | (late - known)) & late
        self._late[case] = known | late
        if (self._uncalled or self._uncalled_late) and now - self._called_at >= QUIET:
            words = (
                f"{_many(len(paging), 'alert asks', 'alerts ask')} for somebody"
                if self._uncalled
                else f"{_many(len(late), 'checklist item is', 'checklist items are')} overdue"
            )
            self._called_at, self._uncalled, self._uncalled_late = now, frozenset(), frozenset()
            sequence += "\x07" if self._audible else ""
            sequence += "" if focused else self._notification(words)
        return sequence

    def _notification(self, words: str) -> str:
        sequence = f"\x1b]777;notify;warroom;{words}\x07" if self._by_777 else f"\x1b]9;warroom: {words}\x07"
        if not self._tmux:
            return sequence
        # tmux passes on only what is wrapped so, with each escape doubled.
        return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"


def _many(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"
