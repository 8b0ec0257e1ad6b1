"""Remotes for tests: one in memory, and a wrapper that makes any remote fail, lie, lose and disturb."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Literal

from data.remotes import Findings, Remote, limit, proper, troubles
from data.remotes.probing import probe

Fault = Literal[
    "down",  # any request: trouble, and nothing was done
    "lost answer",  # put: the object is there, and the answer is trouble
    "lying",  # put: says that it created, and stored nothing
    "overwriting",  # put: replaces what is there, and says that it created
    "conflict",  # put: says that there is one, and there is none
    "torn",  # get: the bytes end early
    "flipped",  # get: one bit is another
    "other",  # get: the bytes of another object
    "forgetful",  # get: says that there is none
    "stale",  # list: the newest names are missing
    "shuffled",  # list: in no order, and some twice
    "invented",  # list: names that nobody wrote, proper and improper
]


class Memory:
    """A remote in memory. Its objects are `objects`: take some away, or change them, as you like."""

    def __init__(self, url: str = "memory:") -> None:
        self.url = url
        self.objects: dict[str, bytes] = {}
        self._lock = Lock()

    def put(self, name: str, data: bytes) -> bool:
        """Create an object."""
        if not proper(name):
            raise ValueError(f"{name!r} cannot be the name of an object")
        with self._lock:
            if name in self.objects:
                return False
            self.objects[name] = bytes(data)
            return True

    def get(self, name: str) -> bytes:
        """Read an object."""
        if not proper(name):
            raise ValueError(f"{name!r} cannot be the name of an object")
        if name not in self.objects:
            raise troubles.absent(self.url, name)
        if len(self.objects[name]) > limit(name):
            raise troubles.too_big(self.url, name, limit(name))
        return self.objects[name]

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """Names in order."""
        names = sorted(self.objects)
        return (name for name in names if name.startswith(prefix) and name > after and proper(name))

    def probe(self) -> Findings:
        """The usual probe."""
        return probe(self)

    def close(self) -> None:
        """Nothing is held open."""


@dataclass
class Faulty:
    """Any remote, with faults. What is stored is stored in `inner`.

    Attributes:
        inner: The remote that does the work.
        rates: How often each fault happens, 0 to 1. May be changed at any time.
        chance: Decides; with a seed, a run can be repeated.
        lost: Names that `lose` took away; they count as absent until they are created again.
        happened: Every fault that happened, with the name or prefix that it happened to.
    """

    inner: Remote
    rates: Mapping[Fault, float] = field(default_factory=dict)
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    lost: set[str] = field(default_factory=set)
    happened: list[tuple[Fault, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.url = self.inner.url
        self._lock = Lock()
        self._replaced: dict[str, bytes] = {}
        self._recent: list[str] = []

    def lose(self, name: str) -> None:
        """Lose an object, as a remote does whose disk broke."""
        self.lost.add(name)
        self._replaced.pop(name, None)

    def put(self, name: str, data: bytes) -> bool:
        """Create an object, or not."""
        self._perhaps_down(name)
        if self._strikes("lying", name):
            return True
        if self._strikes("conflict", name):
            return False
        if self._strikes("overwriting", name) or name in self.lost:
            # The inner remote refuses to replace, so what is "there" now is kept here.
            self.lost.discard(name)
            self.inner.put(name, data)
            self._replaced[name] = data
            created = True
        else:
            created = self.inner.put(name, data)
        self._recent = [*self._recent[-3:], name]
        if self._strikes("lost answer", name):
            raise troubles.unreachable(self.url, "the answer got lost")
        return created

    def get(self, name: str) -> bytes:
        """Read an object, or something."""
        self._perhaps_down(name)
        if name in self.lost or self._strikes("forgetful", name):
            raise troubles.absent(self.url, name)
        data = self._replaced[name] if name in self._replaced else self.inner.get(name)
        if data and self._strikes("torn", name):
            return data[: self.chance.randrange(len(data))]
        if data and self._strikes("flipped", name):
            at = self.chance.randrange(len(data))
            return data[:at] + bytes([data[at] ^ 1 << self.chance.randrange(8)]) + data[at + 1 :]
        if self._strikes("other", name):
            others = [each for each in self.inner.list("") if each != name and each not in self.lost]
            return self.inner.get(self.chance.choice(others)) if others else data
        return data

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """Names, more or less."""
        self._perhaps_down(prefix)
        names = [name for name in self.inner.list(prefix, after) if name not in self.lost]
        if self._strikes("stale", prefix):
            names = [name for name in names if name not in self._recent]
        if self._strikes("invented", prefix):
            names += [
                f"{prefix}nobody-wrote-this",
                "../../etc/passwd",
                "\x1b]52;c;aGk=\x07",
                "a" * 10_000,
                "",
            ]
        if self._strikes("shuffled", prefix):
            names += self.chance.sample(names, len(names) // 2)
            self.chance.shuffle(names)
        return iter(names)

    def probe(self) -> Findings:
        """The usual probe, through the faults."""
        return probe(self)

    def close(self) -> None:
        """Close the inner one."""
        self.inner.close()

    def _perhaps_down(self, name: str) -> None:
        if self._strikes("down", name):
            raise troubles.unreachable(self.url, "it is down")

    def _strikes(self, fault: Fault, name: str) -> bool:
        with self._lock:
            struck = self.chance.random() < self.rates.get(fault, 0.0)
            if struck:
                self.happened.append((fault, name))
            return struck
