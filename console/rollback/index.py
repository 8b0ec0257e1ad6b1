"""Finding effects among very many: one pass over lists that lie ready, no more than the filters that were asked for."""

from __future__ import annotations

from collections.abc import Collection
from itertools import compress
from typing import NamedTuple

from console.events import Effect, Progress
from console.rollback.ledger import Ledger


class Wanted(NamedTuple):
    """Which effects are looked for; what is empty does not narrow.

    Attributes:
        action_class: id of the class; None = any, "" = those of no class.
        states: how far they are.
        agent: part of the agent's name, whatever its case.
        principal: part of the principal's.
        text: every one of these words stands somewhere in the row, whatever the case.
        unclear: only those of which nobody knows whether they happened, or were reversed.
    """

    action_class: str | None = None
    states: Collection[Progress] = ()
    agent: str = ""
    principal: str = ""
    text: str = ""
    unclear: bool = False


class Index:
    """The effects of a ledger in a form that is quickly searched; `find` takes in what came since the last time.

    Args:
        ledger: whose; after a fold from the beginning there is another one, which needs an index of its own.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._rows: list[Effect] = []
        self._texts: list[str] = []

    def find(self, wanted: Wanted = Wanted()) -> list[Effect]:  # noqa: B008 - immutable
        """Return the effects that are wanted, in the order of the ledger."""
        self._follow()
        ledger = self.ledger
        found = self._rows
        if wanted.text:
            found = self._with(wanted.text.casefold().split())
        if wanted.agent:
            part = wanted.agent.casefold()
            found = [row for row in found if part in row.agent.casefold()]
        if wanted.principal:
            part = wanted.principal.casefold()
            found = [row for row in found if part in row.principal.casefold()]
        if (name := wanted.action_class) is not None:
            classed = ledger.classed
            found = [row for row in found if (classed.get(row.id) or row.action_class) == name]
        if wanted.states:
            marks, states = ledger.marks, frozenset(wanted.states)
            fresh = "open" in states
            nothing = "nothing" in states
            found = [
                row
                for row in found
                if (
                    mark.state in states
                    if (mark := marks.get(row.id)) is not None
                    else (nothing if row.state == "none" else fresh)
                )
            ]
        if wanted.unclear:
            found = [row for row in found if ledger.unclear(row.id)]
        return found if found is not self._rows else list(found)

    def _with(self, words: list[str]) -> list[Effect]:
        """The rows in whose texts all these words stand."""
        self.ready()
        rows, texts = self._rows, self._texts
        # Numbers and long words stand in the fewest rows.
        for word in sorted(words, key=lambda word: (word.isalpha(), -len(word))):
            hit = [word in text for text in texts]
            rows, texts = list(compress(rows, hit)), list(compress(texts, hit))
        return rows

    def _follow(self) -> None:
        rows = self.ledger.rows
        if len(self._rows) < len(rows):
            self._rows = list(rows.values())

    def ready(self) -> None:
        """Make the texts of the rows that have none yet, so that the first search for words need not."""
        self._follow()
        self._texts += [
            f"{row.id} {row.what} {row.agent} {row.target} {row.key} {row.tool} {row.principal} {row.approval}"
            f" {row.amount} {row.trace} {row.action} {row.tenant}".casefold()
            for row in self._rows[len(self._texts) :]
        ]
