"""Act only under a fresh lease. One file, to be copied or ported.

    guard = Guard("http://127.0.0.1:4320", "refunds", key="5f0c...")   # the key: `warroom warden key`

    @guard.tool("refund")
    def refund(order: str) -> None: ...
    refund("A-17")        # raises Halted unless a lease for this tool is fresh

What it keeps to: no lease, no act. A lease counts from when it was asked for, on a clock that nobody can set. Only what
the warden signed counts: a lease only as the answer to the question just asked, and if it is no older than anything
that was heard; a halt if it is no older than the lease. Anything unknown, malformed or unreachable is a halt.
"""

from __future__ import annotations

import functools
import http.client
import inspect
import json
import os
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from typing import Any, NamedTuple, TypeVar, cast
from urllib.parse import quote, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

DOMAIN = b"warroom-warden-1\n"
LINE = 64 * 1024
"""Bytes of one answer or line of the warden."""
TOOLS, QUEUES = 256, 64
"""How many names a guard may ask for."""
RENEW = 0.3
"""A lease is renewed when this part of its time is over: every 3 s of 10."""
SILENCE = 30.0
"""Seconds without a sign of life after which a stream is opened anew."""
BOOT = getattr(time, "CLOCK_BOOTTIME", None)
TROUBLE = (OSError, http.client.HTTPException, ValueError)
"""All that a question to the warden may end in, beside its answer."""

F = TypeVar("F", bound=Callable[..., Any])


class Halted(RuntimeError):
    """The agent may not do this now, and has not. `epoch`: the newest that the guard knows."""

    def __init__(self, why: str, epoch: int) -> None:
        super().__init__(why)
        self.epoch = epoch


class _Lease(NamedTuple):
    epoch: int
    until: float
    tools: frozenset[str]
    queues: frozenset[str]


def steady() -> float:
    """Seconds on a clock that nobody sets; where there is one (Linux), it goes on while the machine is suspended."""
    return time.clock_gettime(BOOT) if BOOT is not None else time.monotonic()


class Guard:
    """Leave to act for one agent in one process. Starts at the first check; survives a fork as a guard of its own.

    Args:
        url: of the warden.
        agent: who acts; named by whoever runs the agent, never by the agent.
        key: the warden's public key, 64 hex digits.
        tools, queues: for which leave is asked from the start; `tool` and `check` add others.
        token: what guards have to show, where the warden listens beyond loopback.
        longest: seconds; no lease is taken for longer, whatever it says.
        timeout: seconds for one question to the warden.
        clock: seconds; see `steady`.
    """

    def __init__(
        self,
        url: str,
        agent: str,
        key: str,
        *,
        tools: Iterable[str] = (),
        queues: Iterable[str] = (),
        token: str = "",
        longest: float = 600.0,
        timeout: float = 2.0,
        clock: Callable[[], float] = steady,
    ) -> None:
        self._url, self.agent = urlsplit(url), agent
        self._pid, self._headers = 0, {"Authorization": f"Bearer {token}"} if token else {}
        self._key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        self._tools, self._queues = set(tools), set(queues)
        self._longest, self._timeout, self._clock = longest, timeout, clock
        self._lease: _Lease | None = None
        self._line: http.client.HTTPConnection | None = None
        self._stream: http.client.HTTPConnection | None = None
        self._due, self._closed = threading.Event(), threading.Event()
        self._starting, self._state = threading.Lock(), threading.Lock()
        self._reset()

    def check(self, tool: str = "", queue: str = "") -> None:
        """Return if the agent may act now, with this tool and this queue; the tool is asked for if it never was.

        Raises:
            Halted: it may not, or nobody knows.
        """
        if self._pid != os.getpid():
            self.start()
        lease = self._fresh()
        if not self.covers(tool, queue):
            self._cover(tool, queue)
            lease = self._fresh()
        if tool and tool not in lease.tools:
            raise Halted(f"the tool {tool[:128]} is halted", self._epoch)
        if queue and queue not in lease.queues:
            raise Halted(f"the queue {queue[:128]} is halted", self._epoch)

    def covers(self, tool: str = "", queue: str = "") -> bool:
        """Whether `check` answers at once, without asking the warden first."""
        tools, queues = self._asked
        return self._pid == os.getpid() and (not tool or tool in tools) and (not queue or queue in queues)

    def tool(self, name: str) -> Callable[[F], F]:
        """Decorate a function or coroutine function that acts: it is checked before every call."""
        self._tools = self._tools | {name}

        def guarded(act: F) -> F:
            if inspect.isgeneratorfunction(act) or inspect.isasyncgenfunction(act):
                raise TypeError("a generator acts long after it is called: guard what it does at each step")

            async def later(*args: Any, **named: Any) -> Any:
                return await now(*args, **named)

            def now(*args: Any, **named: Any) -> Any:
                self.check(name)
                return act(*args, **named)

            return cast("F", functools.wraps(act)(later if inspect.iscoroutinefunction(act) else now))

        return guarded

    def start(self) -> Guard:
        """Ask for the first lease, and go on asking and listening in the background. `check` does it by itself."""
        with self._starting:
            if self._pid != os.getpid():
                self._reset()
                self._ask()
                self._pid = os.getpid()
                for run in (self._renewing, self._listening):
                    threading.Thread(target=run, args=(self._closed,), name="guard", daemon=True).start()
        return self

    def close(self) -> None:
        """Stop asking. From here on every check is refused."""
        self._closed.set()
        self._due.set()
        with self._state:
            self._lease, self._why = None, "the guard was closed"
        for line in (self._line, self._stream):
            with suppress(OSError, AttributeError):
                line.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]

    def _reset(self) -> None:
        """Begin as a new guard, without leave: after a fork nothing of the parent counts."""
        self.id = secrets.token_hex(16)
        self._lease, self._line = None, None
        self._asked: tuple[frozenset[str], frozenset[str]] = frozenset(), frozenset()
        self._epoch, self._acked, self._every, self._why = 0, 0, 1.0, ""
        self._state, self._asking = threading.Lock(), threading.Lock()
        self._due, self._closed = threading.Event(), threading.Event()

    def _fresh(self) -> _Lease:
        lease = self._lease
        if lease is None or self._clock() >= lease.until:
            raise Halted(self._why or "there is no fresh lease: the warden cannot be reached", self._epoch)
        return lease

    def _cover(self, tool: str, queue: str) -> None:
        tools, queues = self._tools | ({tool} - {""}), self._queues | ({queue} - {""})
        if (
            len(tools) <= TOOLS and len(queues) <= QUEUES
        ):  # for what is too much nobody asks, and no lease has it
            self._tools, self._queues = tools, queues
            self._ask()

    def _renewing(self, closed: threading.Event) -> None:
        while not closed.is_set():
            # Not all at once: a fleet that was started together asks all the time, not every three seconds.
            self._due.wait(self._every * random.uniform(0.8, 1.0))  # noqa: S311 - no secret
            heard = self._due.is_set()
            self._due.clear()
            if heard and self._epoch > self._acked:
                self._acknowledge()
            elif not closed.is_set():
                self._ask()
        if self._line is not None:
            self._line.close()

    def _listening(self, closed: threading.Event) -> None:
        """Read notices as they come. Whatever goes wrong here costs time, never safety: the lease runs out."""
        path = f"/stream?agent={quote(self.agent, safe='')}&guard={self.id}"
        while not closed.is_set():
            line = self._stream = self._connect(SILENCE)
            with suppress(*TROUBLE), closing(line):
                line.request("GET", path, headers=self._headers)
                answer = line.getresponse()
                while answer.status == 200 and (raw := answer.readline(LINE)) and not closed.is_set():
                    if raw.strip():
                        self._take(raw, "", 0.0)
                        self._due.set()
            closed.wait(random.uniform(0.5, 1.5))  # noqa: S311 - no secret

    def _ask(self) -> None:
        with self._asking:
            nonce, asked, epoch = secrets.token_hex(16), self._clock(), self._epoch
            tools, queues = frozenset(self._tools), frozenset(self._queues)
            body = {"agent": self.agent, "guard": self.id, "nonce": nonce, "epoch": epoch}
            try:
                raw = self._post("/lease", {**body, "tools": sorted(tools), "queues": sorted(queues)})
            except TROUBLE:
                self._every = min(self._every, 1.0)
                return
            self._asked = tools, queues
            self._acked = max(self._acked, epoch)
            self._take(raw, nonce, asked)
        if self._epoch > self._acked:
            self._due.set()

    def _acknowledge(self) -> None:
        with self._asking, suppress(*TROUBLE):
            epoch = self._epoch
            self._post("/ack", {"agent": self.agent, "guard": self.id, "epoch": epoch})
            self._acked = epoch  # where it fails, the next question says it

    def _take(self, raw: bytes, nonce: str, asked: float) -> None:
        """Take what the warden says, if it is signed and no older than what is known. `nonce`: "" = no lease."""
        try:
            outer = json.loads(raw)
            text = outer["signed"].encode()
            self._key.verify(bytes.fromhex(outer["signature"]), DOMAIN + text)
            said = json.loads(text)
            kind, epoch = said["kind"], said["epoch"]
            with self._state:
                if kind == "lease":
                    mine = (said["agent"], said["guard"], said["nonce"]) == (self.agent, self.id, nonce)
                    if not mine or not nonce or epoch < self._epoch or self._closed.is_set():
                        return
                    valid = min(said["valid_ms"] / 1000, self._longest)
                    lease = _Lease(epoch, asked + valid, frozenset(said["tools"]), frozenset(said["queues"]))
                    self._lease, self._every, self._why = lease, max(0.1, valid * RENEW), ""
                elif kind == "halt":
                    self._halt(said["scope"], said["subject"], epoch)
                elif kind == "resume":  # nothing to acknowledge, but to ask
                    self._acked = max(self._acked, epoch)
                self._epoch = max(self._epoch, epoch)
        except (InvalidSignature, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return  # not the warden's word

    def _halt(self, scope: str, subject: str, epoch: int) -> None:
        lease = self._lease
        if lease is not None and epoch < lease.epoch:
            return  # the warden knew of it when it signed the lease
        if scope == "all" or (scope == "agent" and subject == self.agent):
            self._lease, self._why = None, f"halted under epoch {epoch}"
        elif lease is not None and scope == "tool":
            self._lease = lease._replace(tools=lease.tools - {subject})
        elif lease is not None and scope == "queue":
            self._lease = lease._replace(queues=lease.queues - {subject})

    def _post(self, path: str, body: dict[str, Any]) -> bytes:
        """Return the warden's answer. A kept connection that it closed meanwhile is opened again, once."""
        headers, raw = {**self._headers, "Content-Type": "application/json"}, json.dumps(body)
        while True:
            kept = self._line is not None
            self._line = self._line or self._connect(self._timeout)
            try:
                self._line.request("POST", path, raw, headers)
                answer = self._line.getresponse()
                said = answer.read(LINE)
                if answer.status != 200 or not answer.isclosed():
                    raise ValueError("the warden refuses, or says too much")
                return said
            except BaseException as error:
                self._line.close()
                self._line = None
                if not kept or isinstance(error, TimeoutError) or not isinstance(error, OSError):
                    raise

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        return kind(self._url.hostname or "", self._url.port, timeout=timeout)
