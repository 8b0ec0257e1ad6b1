"""A fleet of agents on paper: seeded actions as JSON lines, for benchmarks and for trying things out.

    python -m tests.workload --actions 1000000 --agents 1000 --days 8 --out FILE

Traffic is spread over agents by Zipf's law (exponent 1.1); half work by day only. One action in 200 is
delivered twice, one in 100 arrives up to two minutes late, and on the last day incidents trip every wire.
"""

import argparse
import json
import sys
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

from console.tripwires.inventory import Entry, Inventory

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
START = 490_000 * HOUR
"""2025-11-24T16:00:00Z."""

TOOLS = (
    "crm/search",
    "crm/read",
    "crm/update",
    "mail/send",
    "docs/write",
    "tickets/close",
    "web/fetch",
    "sql/query",
)
ENDPOINTS = tuple(
    f"{method} {host}.example /{path}"
    for method, host, path in (
        ("POST", "api.models", "v1/chat"),
        ("GET", "crm", "customers/{id}"),
        ("POST", "crm", "customers"),
        ("GET", "tickets", "queue"),
        ("POST", "tickets", "{id}/close"),
        ("POST", "mail", "outbox"),
    )
)
MODELS = ("large-1", "small-1")

INVENTORY = Inventory((Entry(agent="*", allow=TOOLS, owner="fleet-team"),))
"""What the agents of the workload are allowed: everything but the tool of the third incident."""


def lines(actions: int, agents: int, days: int, seed: int = 1) -> Iterator[str]:
    """Yield about `actions` lines in the order of arrival."""
    random = Random(seed)
    weights = list(accumulate(1 / rank**1.1 for rank in range(1, agents + 1)))
    names = [f"agent-{n:05d}" for n in range(agents)]
    span = days * DAY
    held: list[tuple[int, str]] = []
    incidents = sorted(_incidents(names, START + (days - 1) * DAY))
    step = span / actions
    choose, uniform, bits = random.random, random.uniform, random.getrandbits
    for n in range(actions):
        at = START + int((n + choose()) * step)
        agent = bisect_left(weights, choose() * weights[-1])
        # Half of the agents work by day only: at night their calls are made by their neighbours.
        if agent % 2 and (at // HOUR) % 24 >= 12:
            agent -= 1
        line = _call(at, names[agent], bits(128), bits(64), choose())
        while incidents and incidents[0][0] <= at:
            yield incidents.pop(0)[1]
        while held and held[0][0] <= at:
            yield held.pop(0)[1]
        if n % 100 == 99:
            held.append((at + int(uniform(1, 120) * SECOND), line))
            held.sort()
            continue
        yield line
        if n % 200 == 0:
            yield line
    for _, line in [*incidents, *held]:
        yield line


def _call(at: int, agent: str, trace: int, span: int, dice: float) -> str:
    # By hand, since json.dumps would take longer than everything else.
    start = f'{{"at":{at},"agent":"{agent}","tenant":"acme","trace":"{trace:032x}","span":"{span:016x}"'
    if dice < 0.5:
        tokens = int(dice * 8000)
        return (
            f'{start},"kind":"model","model":"{MODELS[span % 2]}","endpoint":"{ENDPOINTS[0]}",'
            f'"tokens_in":{tokens},"tokens_out":{tokens // 4},"cost":{tokens * 2500}}}\n'
        )
    if dice < 0.8:
        return f'{start},"kind":"tool","tool":"{TOOLS[span % 8]}","cost":0,"side_effect":"none"}}\n'
    return f'{start},"kind":"api","endpoint":"{ENDPOINTS[1 + span % 5]}","cost":0,"side_effect":"done"}}\n'


def _incidents(names: list[str], at: int) -> Iterator[tuple[int, str]]:
    """Four incidents from `at` (ns UTC) on, an hour apart: spend and calls, endpoint, tool, artifacts."""

    def tell(when: int, number: int, **fields: Any) -> tuple[int, str]:
        common = {"at": when, "tenant": "acme", "id": f"incident-{number}-{when}"}
        return when, json.dumps({**common, **fields}, separators=(",", ":")) + "\n"

    for n in range(2000):
        yield tell(at + n * SECOND, 1, agent=names[0], kind="model", model="large-1", cost=SECOND)
    yield tell(at + HOUR, 2, agent=names[0], kind="api", endpoint="POST paste.example /api", cost=0)
    for n in range(20):
        yield tell(at + 2 * HOUR + n * SECOND, 3, agent=names[0], kind="tool", tool="shell/run", cost=0)
    for n in range(10):
        when, mail = at + 3 * HOUR + n * 60 * SECOND, f"mail-{n}"
        if n % 2:
            yield tell(
                when - SECOND,
                4,
                agent=names[0],
                kind="review",
                artifact=mail,
                decision="approved",
                presented_at=when - (4 if n % 4 == 1 else 90) * SECOND,
                reviewer="bob",
            )
        yield tell(
            when,
            4,
            agent=names[0],
            kind="artifact",
            artifact=mail,
            artifact_type="email",
            customer_visible=True,
        )


def write(path: Path, actions: int, agents: int, days: int, seed: int = 1) -> None:
    """Write a workload to a file."""
    with path.open("w", encoding="ascii") as file:
        file.writelines(lines(actions, agents, days, seed))


def main() -> None:
    """Write a workload as told on the command line."""
    parser = argparse.ArgumentParser(description="Write seeded agent actions as JSON lines.")
    parser.add_argument("--actions", type=int, default=100_000)
    parser.add_argument("--agents", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="a file; standard output if left out")
    args = parser.parse_args()
    if args.out is None:
        sys.stdout.writelines(lines(args.actions, args.agents, args.days, args.seed))
    else:
        write(args.out, args.actions, args.agents, args.days, args.seed)


if __name__ == "__main__":
    main()
