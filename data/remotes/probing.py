"""The probe that all remotes share: what does it do when several want to create the same name?"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from data.clock import SystemClock
from data.remotes import Absent, Findings, Grade, Remote, RemoteTrouble

RACES = 4
RACERS = 8

OVERWRITES = "It overwrites what is there: whoever can write to it can replace what was shared, unseen until it is read."
RACY = "It lets several creates of one name succeed at once; read back before you rely on it."
LOSES = "What was just written did not come back as it was; do not rely on it."
HIDES = "What was just written is missing from its listing; other consoles find it later, or not at all."
SKEWED = 60_000


def probe(
    remote: Remote,
    *,
    clock: Callable[[], int | None] = lambda: None,
    durable: str = "",
    locked: str = "",
    warnings: tuple[str, ...] = (),
) -> Findings:
    """Find out what a remote does, with objects of its own.

    Args:
        remote: The remote. Its objects stay: a remote that can delete is not wanted.
        clock: Asks the remote for its time, nanoseconds UTC; None if it tells none. Called after the writes.
        durable: What the remote says of durability; see `Findings`.
        locked: What it says of versions and locks.
        warnings: What else the remote's own checks found.
    """
    home = f"probe/{secrets.token_hex(8)}"
    first, mine, other = f"{home}/b", secrets.token_bytes(512), secrets.token_bytes(512)
    created = remote.put(first, mine)
    reads_back = created and _read(remote, first) == mine
    remote.put(f"{home}/a", mine)
    grade: Grade = "none"
    if created and not remote.put(first, other) and _read(remote, first) == mine:
        grade = "atomic" if all(_race(remote, f"{home}/race-{i}") for i in range(RACES)) else "sequential"
    names = list(remote.list(f"{home}/"))
    listed = {first, f"{home}/a"} <= set(names)
    skew = _skew(clock)
    found: list[str] = []
    if not reads_back:
        found.append(LOSES)
    if not listed:
        found.append(HIDES)
    if grade == "none":
        found.append(OVERWRITES)
    elif grade == "sequential":
        found.append(RACY)
    if skew is not None and abs(skew) > SKEWED:
        found.append(f"Its clock differs from ours by {abs(skew) // 1000} seconds; one of the two is wrong.")
    return Findings(
        grade, reads_back, listed, names == sorted(names), skew, durable, locked, (*found, *warnings)
    )


def _read(remote: Remote, name: str) -> bytes | None:
    try:
        return remote.get(name)
    except Absent:
        return None


def _race(remote: Remote, name: str) -> bool:
    """Whether at most one of several creates at once succeeds, and its bytes are those that stay."""
    bids = [secrets.token_bytes(512) for _ in range(RACERS)]

    def bid(data: bytes) -> bool:
        try:
            return remote.put(name, data)
        except RemoteTrouble:  # a store may answer a race with an error; what it kept is what counts
            return False

    with ThreadPoolExecutor(RACERS, "probe") as pool:
        won = [data for data, winner in zip(bids, pool.map(bid, bids), strict=True) if winner]
    kept = _read(remote, name)
    return len(won) <= 1 and kept in (won or bids)


def _skew(clock: Callable[[], int | None]) -> int | None:
    ours = SystemClock()
    before = ours.now()
    theirs = clock()
    return None if theirs is None else (theirs - (before + ours.now()) // 2) // 1_000_000
