"""The classes of agent actions that an incident has to undo, and how far that is (S003-RB-0)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from console.events.body import Body, Count, Name, Seconds, Short, Text, kind

RollbackState = Literal[
    "untouched", "open", "reversing", "reversed", "substituted", "verified", "held", "waived", "clear"
]


class Budget(Struct, frozen=True, omit_defaults=True):
    """One clock of an action class. `seconds` run from containment (X-22).

    `audit`: it is the clock of an audit, which opens when the effects of the class are undone.
    """

    id: Name
    name: Short
    seconds: Seconds
    audit: bool = False


class ActionClass(Struct, frozen=True, omit_defaults=True):
    """One class of agent actions as the incident adopted it (S003-RB-0)."""

    id: Name
    name: Short
    budgets: tuple[Budget, ...]
    number: Count = 0
    reversible: Literal["yes", "partly", "no"] = "partly"
    examples: tuple[Short, ...] = ()
    procedure: tuple[Short, ...] = ()
    operator: Short = ""
    substitute: tuple[Short, ...] = ()
    verification: tuple[Short, ...] = ()
    sources: tuple[Name, ...] = ()


@kind("rollback.adopted")
class RollbackAdopted(Body, frozen=True):
    """The action classes that hold for this incident, copied like the checklist."""

    version: Name
    classes: Annotated[tuple[ActionClass, ...], Meta(max_length=100)]


@kind("rollback.moved")
class RollbackMoved(Body, frozen=True):
    """An action class changes state. `effects`: how many actions need undoing; null = not counted."""

    action_class: Name
    state: RollbackState
    effects: Count | None = None
    note: Text = ""


@kind("rollback.budget_met")
class BudgetMet(Body, frozen=True):
    """The work behind one clock of a class is finished, in time or late."""

    action_class: Name
    budget: Name
    note: Text = ""
