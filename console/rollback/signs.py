"""From what an agent did to the effect it had: which class, whether it took place, and what it was, in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import translate
from functools import lru_cache
from hashlib import sha256
from typing import Literal

from msgspec import Struct

from console.events import Effect, EffectId, moment
from console.telemetry.action import Action
from data.envelope import base32

READS = ("GET ", "HEAD ", "OPTIONS ")
"""Endpoints that change nothing, unless the telemetry says that they did."""
LONGEST = 512
Reversible = Literal["yes", "no", "unknown"]


class Sign(Struct, frozen=True):
    """What effects of a class look like; see `playbooks.undoing.Sign`."""

    action_class: str
    tool: str = ""
    endpoint: str = ""
    artifact: str = ""
    reversible: Reversible | Literal[""] = ""
    done: bool = False

    @property
    def weight(self) -> int:
        """How particular it is: its letters that stand for themselves."""
        return sum(len(each.replace("*", "")) for each in (self.tool, self.endpoint, self.artifact))

    def fits(self, action: Action) -> bool:
        """Return whether an action looks like that."""
        pairs = (
            (self.tool, action.tool),
            (self.endpoint, action.endpoint),
            (self.artifact, action.artifact_type),
        )
        return all(_pattern(glob).match(text) is not None for glob, text in pairs if glob)


class Rules(Struct, frozen=True):
    """How effects are recognised.

    Attributes:
        numbers: id of the class by the number that telemetry gives.
        reversible: whether effects of a class can be undone, by its id.
        signs: for telemetry that gives no number.
    """

    numbers: dict[int, str]
    reversible: dict[str, Reversible]
    signs: list[Sign]


def rules() -> Rules:
    """Return the rules of the library's action classes.

    Raises:
        PlaybookTrouble: a document is broken.
    """
    from playbooks import load

    documents = load.rollback_classes()
    signs = [
        Sign(each.id, one.tool or "", one.endpoint or "", one.artifact or "", one.reversible or "", one.done)
        for each in documents
        for one in each.recognise
    ]
    whole: Mapping[str, Reversible] = {"yes": "yes", "partly": "unknown", "no": "no"}
    return Rules(
        {each.number: each.id for each in documents},
        {each.id: whole[each.reversible] for each in documents},
        # Of those that fit the most particular counts; of equals the one of the class with the lower number.
        sorted(signs, key=lambda sign: -sign.weight),
    )


def effect(action: Action, known: Rules) -> Effect | None:
    """Return the side effect that an action had, or may have had; None when it had none.

    A call of which its telemetry says nothing counts only where a sign names its kind: it may have had an effect, and
    whether it did has to be looked up (S004-DU-3). See `unsaid`.
    """
    if action.side_effect == "none" or action.kind in ("review", "run"):
        return None
    if action.kind == "model" and action.side_effect != "done":
        return None
    sign = None
    name = known.numbers.get(action.action_class or 0, "")
    if not name:
        sign = next((each for each in known.signs if each.fits(action)), None)
        name = sign.action_class if sign is not None else ""
    state: Literal["done", "unknown"] = "done" if action.side_effect == "done" else "unknown"
    if state == "unknown":
        if not name or action.endpoint.startswith(READS):
            return None
        if sign is not None and sign.done and action.status == "ok":
            state = "done"
    said = sign.reversible if sign is not None else ""
    return Effect(
        id=identity(action),
        action_class=name,
        at=moment(action.at),
        agent=action.agent,
        what=words(action),
        tenant=action.tenant,
        state=state,
        reversible=said or known.reversible.get(name, "unknown"),
        principal=action.principal,
        approval=action.approval,
        tool=action.tool,
        target=target(action),
        key=action.idempotency_key,
        amount=action.amount,
        trace=action.trace,
        action=action.id,
    )


def unsaid(action: Action) -> bool:
    """Return whether nothing says if a call had an effect: neither its telemetry nor, where `effect` gave none, a sign."""
    return (
        action.side_effect == "unknown"
        and action.kind in ("tool", "api", "artifact")
        and not action.endpoint.startswith(READS)
    )


def identity(action: Action) -> EffectId:
    """Return the id of an action's effect: the same for one action whoever drafts it, and for repeats under one key."""
    parts: tuple[str, ...]
    if action.idempotency_key:
        # What is repeated under its key happens once; the rest keeps an agent from hiding calls behind one key.
        parts = ("key", action.idempotency_key, action.agent, action.tool, action.endpoint, action.artifact)
    elif action.span and action.trace:
        parts = ("span", action.trace, action.span)
    elif action.id:
        parts = ("id", action.id, action.agent)
    else:
        parts = (
            "at",
            str(action.at),
            action.agent,
            action.tool,
            action.endpoint,
            action.artifact,
            action.kind,
        )
    text = "\0".join((action.tenant, *parts))
    return base32(sha256(text.encode("utf-8", "surrogatepass")).digest(), 16)


def target(action: Action) -> str:
    """Return what an action changed, as far as its telemetry names it."""
    return action.artifact or action.change or action.endpoint


def words(action: Action) -> str:
    """Return what an action did, in words."""
    made = " ".join(filter(None, (action.artifact_type, action.artifact)))
    if action.kind == "artifact":
        said = f"made {made or 'something'}" + (f" with {action.tool}" if action.tool else "")
    else:
        called = action.tool or action.endpoint or action.model or "something"
        said = f"called {called}"
        if action.tool and action.endpoint:
            said += f" ({action.endpoint})"
        said += f" for {made}" if made else ""
    if action.change:
        said += f", change {action.change}"
    if action.customer_visible:
        said += ", seen by a customer"
    if action.status == "error":
        said += ", which failed"
    return said if len(said) <= LONGEST else said[: LONGEST - 1] + "…"


@lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[str]:
    literal = glob.replace("[", "[[]").replace("?", "[?]")  # only `*` is special
    return re.compile(translate(literal), re.IGNORECASE)
