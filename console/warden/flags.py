"""The same word for those who have no guard: one flag, `may-run`, as a flagd file and over OFREP.

The flag is true only for an agent that is known and not halted, with a tool and a queue that are not halted; in every
other case, and as its default, it is false: unknown is halted. The context names the agent as `targetingKey`, and
may name `tool` and `queue`. What reads flags goes on with what it read last when it hears nothing more, so that only
a guard with a lease stops by itself.
"""

from __future__ import annotations

import hashlib
import os
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from console.warden.epochs import Epochs, Word
from data import durable

FLAG = "may-run"
VARIANTS = {"run": True, "halted": False}


class Evaluated(NamedTuple):
    """An answer in the terms of OFREP: HTTP status and body."""

    status: int
    body: dict[str, Any]


def known(agent: str, patterns: tuple[str, ...]) -> bool:
    """Whether an agent may run at all, by the patterns of the configuration."""
    return any(fnmatchcase(agent, pattern) for pattern in patterns)


def evaluate(key: str, context: Any, epochs: Epochs, patterns: tuple[str, ...]) -> Evaluated:
    """Evaluate one flag as OFREP has it.

    Args:
        key: the flag.
        context: of the request, as it came.
        epochs: what is halted.
        patterns: the agents that may run.
    """
    if key != FLAG:
        said = {"key": key[:128], "errorCode": "FLAG_NOT_FOUND", "errorDetails": f"the only flag is {FLAG}"}
        return Evaluated(404, said)
    if not isinstance(context, dict):
        return Evaluated(
            400, {"key": key, "errorCode": "INVALID_CONTEXT", "errorDetails": "no context object"}
        )
    agent = context.get("targetingKey", "")
    if not agent:
        said = {
            "key": key,
            "errorCode": "TARGETING_KEY_MISSING",
            "errorDetails": "targetingKey names the agent",
        }
        return Evaluated(400, said)
    names = (agent, context.get("tool", ""), context.get("queue", ""))
    if not all(isinstance(name, str) and len(name) <= 128 for name in names):
        said = {
            "key": key,
            "errorCode": "INVALID_CONTEXT",
            "errorDetails": "names are text of up to 128 characters",
        }
        return Evaluated(400, said)
    halt = _halt(epochs, *names)
    runs = halt is None and known(agent, patterns)
    body: dict[str, Any] = {
        "key": key,
        "value": runs,
        "variant": "run" if runs else "halted",
        "reason": "TARGETING_MATCH" if runs or halt is not None else "DEFAULT",
        "metadata": {"epoch": epochs.written} | ({"scope": halt.scope} if halt is not None else {}),
    }
    return Evaluated(200, body)


def bulk(context: Any, epochs: Epochs, patterns: tuple[str, ...]) -> tuple[Evaluated, str]:
    """Evaluate all flags for one context. Returns the answer and its entity tag."""
    one = evaluate(FLAG, context, epochs, patterns)
    if one.status != 200:
        failed = {name: value for name, value in one.body.items() if name != "key"}
        return Evaluated(one.status, failed), ""
    body = {"flags": [one.body]}
    # Of the value alone: an epoch that changes nothing for this agent is nothing to fetch.
    same = {name: value for name, value in one.body.items() if name != "metadata"}
    tag = hashlib.sha256(msgspec.json.encode([same, context])).hexdigest()[:32]
    return Evaluated(200, body), f'"{tag}"'


def document(epochs: Epochs, patterns: tuple[str, ...]) -> dict[str, Any]:
    """Return flagd's flag definition of what is halted now."""
    words = epochs.in_force
    named: dict[str, list[str]] = {"agent": [], "tool": [], "queue": []}
    for word in words:
        if word.scope != "all":
            named[word.scope].append(word.subject)
    agent, who = {"var": "targetingKey"}, {"var": ["targetingKey", ""]}
    runs: list[Any] = [{"!!": [agent]}]
    if epochs.closed("all", ""):
        runs.append({"in": [who, epochs.exempt]})
    runs.append(_matches(who, patterns))
    runs.append({"!": {"in": [who, named["agent"]]}})
    for scope in ("tool", "queue"):
        runs.append({"!": {"in": [{"var": [scope, ""]}, named[scope]]}})
    flag = {
        "state": "ENABLED",
        "variants": VARIANTS,
        "defaultVariant": "halted",
        "targeting": {"if": [{"and": runs}, "run", "halted"]},
        "metadata": {"epoch": epochs.written},
    }
    return {"$schema": "https://flagd.dev/schema/v0/flags.json", "flags": {FLAG: flag}}


def write(path: Path, value: dict[str, Any]) -> None:
    """Replace flagd's file in one step; others may read it.

    Raises:
        OSError: it could not be written; the one before still stands.
    """
    raw = msgspec.json.format(msgspec.json.encode(value), indent=1)
    temporary = durable.write_temporary(path.parent, raw, 0o644)
    os.replace(temporary, path)
    durable.sync_directory(path.parent)


def _halt(epochs: Epochs, agent: str, tool: str, queue: str) -> Word | None:
    return (
        epochs.stopped(agent)
        or (epochs.closed("tool", tool) if tool else None)
        or (epochs.closed("queue", queue) if queue else None)
    )


def _matches(who: Any, patterns: tuple[str, ...]) -> Any:
    """JsonLogic for the patterns: flagd knows whole names, and beginnings that end in `*`."""
    either: list[Any] = []
    for pattern in patterns:
        if pattern == "*":
            return True
        start = pattern.removesuffix("*")
        if not set(start) & set("*?["):
            either.append({"starts_with": [who, start]} if start != pattern else {"==": [who, pattern]})
    return {"or": either} if either else False
