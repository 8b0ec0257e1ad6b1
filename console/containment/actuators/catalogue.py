"""Which verbs stop and which let go on, and what they are told beside: all of it from the catalogue in `moves.yaml`."""

from __future__ import annotations

from playbooks import load


def lifting() -> frozenset[str]:
    """Return the verbs that take another one back."""
    return frozenset(move.restore for move in load.moves().values() if move.restore is not None)


def stopping() -> frozenset[str]:
    """Return the verbs that hold agents and systems back."""
    outside = {verb for verb, move in load.moves().items() if move.family in ("halt", "contain")}
    return frozenset(outside - lifting())


def taking_back(verbs: frozenset[str]) -> frozenset[str]:
    """Return the verbs that take some of `verbs` back."""
    moves = load.moves()
    return frozenset(
        restore for verb in verbs if verb in moves and (restore := moves[verb].restore) is not None
    )


def args() -> frozenset[str]:
    """Return the names of everything that a verb is told beside."""
    return frozenset(name for move in load.moves().values() for name in move.args)
