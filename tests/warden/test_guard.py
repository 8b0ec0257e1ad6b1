"""The guard: what it takes for leave, what it does not, and its three forms."""

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

import console.guard
from console.guard import Guard, Halted
from console.guard.asgi import Guarded
from console.guard.mcp import passes
from console.warden.client import Warden
from console.warden.leases import Signer
from console.warden.protocol import Lease, Notice, Saw
from tests.warden.conftest import ROOT, Daemon, soon, standing

ORDER = "00000000000000b1"
SOURCES = sorted(Path(console.guard.__file__).parent.glob("*.py"))


def may(guard: Guard, tool: str = "refund", queue: str = "") -> bool:
    try:
        guard.check(tool, queue)
    except Halted:
        return False
    return True


class Scripted:
    """A warden of the test: answers leases as `answer` says, and streams nothing."""

    def __init__(self) -> None:
        self.signer = Signer(Ed25519PrivateKey.generate())
        self.asked: list[dict[str, Any]] = []
        self.answer: Callable[[dict[str, Any]], bytes] = self.lease
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                ask = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                raw = b"{}"
                if self.path == "/lease":
                    outer.asked.append(ask)
                    raw = outer.answer(ask)
                self.send_response(200)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def do_GET(self) -> None:
                self.send_error(404)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                pass  # a guard that has gone

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def lease(self, ask: dict[str, Any], **other: Any) -> bytes:
        said = {name: ask[name] for name in ("agent", "guard", "nonce", "tools", "queues")}
        return self.signer.sign(Lease(**{"epoch": 5, "valid_ms": 60_000, **said, **other}))

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    made = Scripted()
    yield made
    made.close()


@pytest.fixture
def guards() -> Iterator[list[Guard]]:
    """Guards to be closed."""
    made: list[Guard] = []
    yield made
    for guard in made:
        guard.close()


def test_it_acts_under_a_fresh_lease_and_not_a_moment_longer(scripted: Scripted, guards: list[Guard]) -> None:
    now = [100.0]
    scripted.answer = lambda ask: scripted.lease(ask, valid_ms=10_000)
    guards.append(guard := Guard(scripted.url, "refunds", scripted.signer.public, clock=lambda: now[0]))
    assert may(guard)
    scripted.answer = lambda ask: b"nothing that anybody signed"
    now[0] = 109.99
    assert may(guard)
    now[0] = 110.0
    assert not may(guard)


def test_the_time_of_a_lease_runs_from_when_it_was_asked_for(scripted: Scripted, guards: list[Guard]) -> None:
    now = [100.0]

    def late(ask: dict[str, Any]) -> bytes:
        now[0] += 8.0  # on its way for eight seconds
        return scripted.lease(ask, valid_ms=10_000)

    scripted.answer = late
    guards.append(
        guard := Guard(
            scripted.url, "refunds", scripted.signer.public, clock=lambda: now[0], tools=["refund"]
        )
    )
    assert may(guard)
    scripted.answer = lambda ask: b""
    now[0] = 110.0
    assert not may(guard)


FORGED: dict[str, Callable[[Scripted, dict[str, Any]], bytes]] = {
    "signed by somebody else": lambda it, ask: Scripted.lease(
        type("Other", (), {"signer": Signer(Ed25519PrivateKey.generate())})(), ask
    ),
    "changed after it was signed": lambda it, ask: it.lease(ask, tools=[]).replace(
        b'\\"tools\\":[]', b'\\"tools\\":[\\"refund\\"]'
    ),
    "the answer to another question": lambda it, ask: it.lease(ask, nonce="0" * 32),
    "for another agent": lambda it, ask: it.lease(ask, agent="search"),
    "for another process": lambda it, ask: it.lease(ask, guard="0" * 32),
    "without a signature": lambda it, ask: json.dumps(
        {"signed": json.loads(it.lease(ask))["signed"]}
    ).encode(),
    "for no time": lambda it, ask: it.lease(ask, valid_ms=0),
    "for less than no time": lambda it, ask: it.lease(ask, valid_ms=-1),
    "for another tool": lambda it, ask: it.lease(ask, tools=["mail"]),
    "no JSON": lambda it, ask: b"\xff{",
    "deep": lambda it, ask: b"[" * 60_000,
    "too long": lambda it, ask: it.lease(ask) + b" " * 100_000,
    "a word that is unknown": lambda it, ask: it.lease(ask).replace(b"lease", b"leave"),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_what_is_no_lease_for_it_gives_no_leave(
    scripted: Scripted, guards: list[Guard], forged: Callable[[Scripted, dict[str, Any]], bytes]
) -> None:
    scripted.answer = lambda ask: forged(scripted, ask)
    guards.append(guard := Guard(scripted.url, "refunds", scripted.signer.public, tools=["refund"]))
    assert not may(guard)
    assert scripted.asked
    scripted.answer = scripted.lease
    guards.append(other := Guard(scripted.url, "refunds", scripted.signer.public, tools=["refund"]))
    assert may(other)


def test_a_lease_that_was_heard_before_is_no_leave(scripted: Scripted, guards: list[Guard]) -> None:
    now = [100.0]
    kept: list[bytes] = []

    def once(ask: dict[str, Any]) -> bytes:
        kept.append(kept[0] if kept else scripted.lease(ask, valid_ms=1000))
        return kept[0]

    scripted.answer = once
    guards.append(
        guard := Guard(
            scripted.url, "refunds", scripted.signer.public, clock=lambda: now[0], tools=["refund"]
        )
    )
    assert may(guard)
    now[0] = 101.0
    for _ in range(3):
        guard._ask()
    assert len(kept) >= 4
    assert not may(guard)


def test_a_lower_epoch_is_ignored_whatever_it_says(scripted: Scripted, guards: list[Guard]) -> None:
    guards.append(guard := Guard(scripted.url, "refunds", scripted.signer.public, tools=["refund"]))
    assert may(guard)
    halt, resume = (Notice(kind, "all", "", epoch) for kind, epoch in (("halt", 9), ("resume", 8)))  # type: ignore[arg-type]
    guard._take(scripted.signer.sign(Notice("halt", "all", "", 4)), "", 0.0)
    assert may(guard)  # from before its lease
    guard._take(scripted.signer.sign(halt), "", 0.0)
    guard._take(scripted.signer.sign(resume), "", 0.0)
    scripted.answer = lambda ask: scripted.lease(ask, epoch=8)
    guard._ask()
    assert not may(guard)
    scripted.answer = lambda ask: scripted.lease(ask, epoch=10)
    guard._ask()
    assert may(guard)
    guard._take(scripted.signer.sign(halt), "", 0.0)
    assert may(guard)  # the halt again, after what came later


Said = tuple[str, str, int]
said = st.tuples(
    st.sampled_from(["lease", "halt", "resume"]), st.sampled_from(["all", "agent", "tool"]), st.integers(1, 8)
)
SIGNER = Signer(Ed25519PrivateKey.generate())


@given(st.lists(said, max_size=12))
def test_in_whatever_order_it_hears_things_no_lease_is_older_than_a_halt_that_it_heard(
    heard: list[Said],
) -> None:
    guard = Guard("http://127.0.0.1:1", "refunds", SIGNER.public, clock=lambda: 1.0)
    subjects = {"all": "", "agent": "refunds", "tool": "refund"}
    highest = 0
    taken = 0
    for at, (kind, scope, epoch) in enumerate(heard):
        before = guard._lease
        if kind == "lease":
            lease = Lease("refunds", guard.id, "f" * 32, epoch, 10_000, ("refund", "mail"), ())
            guard._take(SIGNER.sign(lease), "f" * 32, 0.0)
        else:
            guard._take(SIGNER.sign(Notice(kind, scope, subjects[scope], epoch)), "", 0.0)  # type: ignore[arg-type]
        if guard._lease is not before and kind == "lease":
            taken = epoch
        highest = max(highest, epoch)
        assert guard._epoch == highest
        halts = {each[1] for each in heard[: at + 1] if each[0] == "halt" and each[2] > taken}
        if halts & {"all", "agent"}:
            assert guard._lease is None
        if "tool" in halts:
            assert guard._lease is None or "refund" not in guard._lease.tools


def test_a_resume_by_itself_gives_no_leave(scripted: Scripted, guards: list[Guard]) -> None:
    guards.append(guard := Guard(scripted.url, "refunds", scripted.signer.public, tools=["refund"]))
    assert may(guard)
    scripted.answer = lambda ask: b""
    guard._take(scripted.signer.sign(Notice("halt", "agent", "refunds", 6)), "", 0.0)
    guard._take(scripted.signer.sign(Notice("resume", "agent", "refunds", 7)), "", 0.0)
    assert not may(guard)


def test_names_are_bounded_and_what_is_too_much_is_halted(scripted: Scripted, guards: list[Guard]) -> None:
    guards.append(guard := Guard(scripted.url, "refunds", scripted.signer.public))
    assert all(may(guard, f"tool-{number}") for number in range(256))
    before = len(scripted.asked)
    assert not any(may(guard, f"more-{number}") for number in range(50))
    assert len(scripted.asked) <= before + 2  # its own renewal; nobody made it ask
    assert may(guard, "tool-7")


@pytest.mark.req("S003-KS-2")
@pytest.mark.req("S003-KS-7")
async def test_a_halt_reaches_it_at_once_and_it_says_so(
    warden: Warden, daemon: Daemon, guards: list[Guard]
) -> None:
    guards.append(
        guard := Guard(daemon.url, "refunds", daemon.key, tools=["refund", "mail"], queues=["payouts"])
    )
    assert await asyncio.to_thread(may, guard)

    await standing(warden, lambda each: each.stream and each.state == "running")
    epoch = await warden.raise_epoch("tool", "refund", ORDER, "")
    await soon(lambda: not may(guard))
    await soon(lambda: may(guard, "mail"))
    assert (await standing(warden, lambda each: each.state != "requested")).scope == "tool"
    queue = await warden.raise_epoch("queue", "payouts", "00000000000000b2", "")
    await soon(lambda: not may(guard, "", "payouts"))
    await soon(lambda: may(guard, "mail"))
    every = await warden.raise_epoch("all", "", "00000000000000b3", "")
    await soon(lambda: not may(guard, "mail"))
    await standing(warden, lambda each: "acked" in each.times)
    found = await standing(warden, lambda each: each.state == "lease_expired")
    assert (found.scope, found.epoch, found.obeys) == ("all", every, every)
    assert found.times["lease_expired"] <= 1000
    for scope, subject, which in (("all", "", every), ("queue", "payouts", queue), ("tool", "refund", epoch)):
        await warden.resume(scope, subject, which, "over")  # type: ignore[arg-type]
    await soon(lambda: may(guard) and may(guard, "", "payouts"))
    await standing(warden, lambda each: each.state == "running")


async def test_what_somebody_else_saw_is_told_apart_from_what_the_guard_says(
    warden: Warden, daemon: Daemon, guards: list[Guard]
) -> None:
    guards.append(guard := Guard(daemon.url, "refunds", daemon.key).start())
    epoch = await warden.raise_epoch("agent", "refunds", ORDER, "")
    seen: tuple[Saw, ...] = ("verified", "leaking", "verified")
    for state in seen:
        await warden.saw("refunds", epoch, state)
        assert [each.state for each in await warden.standing()] == [state]
    await warden.saw("search", epoch, "leaking")
    assert (await warden.standing())[0].state == "verified"
    assert not may(guard)


def test_a_forked_process_is_a_guard_of_its_own(daemon: Daemon, guards: list[Guard]) -> None:
    code = """
import os, sys
from console.guard import Guard
guard = Guard(sys.argv[1], "refunds", sys.argv[2], tools=["refund"])
guard.check("refund")
parent = guard.id
if os.fork() == 0:
    guard.check("refund")
    print(guard.id != parent, flush=True)
    os._exit(0)
os.wait()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, daemon.url, daemon.key],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
        check=True,
    )
    assert done.stdout == "True\n", done.stderr


async def test_a_coroutine_is_checked_when_it_runs_and_a_generator_is_not_taken(
    scripted: Scripted, guards: list[Guard]
) -> None:
    guards.append(guard := Guard(scripted.url, "refunds", scripted.signer.public))

    @guard.tool("refund")
    async def refund(order: str) -> str:
        return order

    assert await refund("A-17") == "A-17"
    asked = refund("A-18")
    guard.close()
    with pytest.raises(Halted, match="closed"):
        await asked
    with pytest.raises(TypeError):

        @guard.tool("each")
        def each() -> Iterator[int]:
            yield 1


async def test_asgi_answers_503_while_halted_and_lets_the_operators_in(
    scripted: Scripted, guards: list[Guard]
) -> None:
    guards.append(guard := Guard(scripted.url, "refunds", scripted.signer.public))
    reached: list[str] = []
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope.get("path", scope["type"]))

    async def receive() -> dict[str, Any]:
        return {}

    async def send(message: Any) -> None:
        sent.append(message)

    guarded = Guarded(app, guard, tool="refund", open_paths=["/health"])
    await guarded({"type": "http", "path": "/refund"}, receive, send)
    assert reached == ["/refund"]
    guard.close()
    for scope in (
        {"type": "http", "path": "/refund"},
        {"type": "http", "path": "/health/../refund"},
        {"type": "websocket", "path": "/refund"},
        {"type": "http", "path": "/health"},
        {"type": "lifespan"},
    ):
        await guarded(scope, receive, send)
    assert reached == ["/refund", "/health", "lifespan"]
    assert [each.get("status", each.get("code")) for each in sent] == [503, None, 503, None, 1013]


PASSES = {
    "a call under a lease": ({"id": 1, "method": "tools/call", "params": {"name": "refund"}}, True),
    "another method": ({"id": 1, "method": "tools/list"}, True),
    "an answer": ({"id": 1, "result": {}}, True),
    "a call of a halted tool": ({"id": "x", "method": "tools/call", "params": {"name": "mail"}}, False),
    "a call without a name": ({"id": 1, "method": "tools/call", "params": {}}, False),
    "a call with an odd name": ({"id": 1, "method": "tools/call", "params": {"name": ["refund"]}}, False),
    "not a message": ("tools/call", False),
}


@pytest.mark.parametrize(("message", "through"), PASSES.values(), ids=PASSES)
def test_mcp_calls_pass_only_under_a_lease(
    scripted: Scripted, guards: list[Guard], message: Any, through: bool
) -> None:
    scripted.answer = lambda ask: scripted.lease(ask, tools=["refund"])
    guards.append(guard := Guard(scripted.url, "refunds", scripted.signer.public))
    onward, answer = passes(guard, json.dumps(message).encode())
    assert (json.loads(onward) == message) if through else (onward == b"")
    assert bool(answer) != through
    if not through and isinstance(message, dict):
        said = json.loads(answer)
        assert (said["id"], said["jsonrpc"]) == (message["id"], "2.0")
        assert said["error"]["code"] in (-32003, -32700)


def test_what_an_mcp_server_gets_is_what_was_judged(scripted: Scripted, guards: list[Guard]) -> None:
    scripted.answer = lambda ask: scripted.lease(ask, tools=["refund"])
    guards.append(guard := Guard(scripted.url, "refunds", scripted.signer.public))
    twice = b'{"id":1,"method":"tools/call","method":"ping","params":{"name":"mail"}}'
    assert json.loads(passes(guard, twice)[0])["method"] == "ping"
    assert b"tools/call" not in passes(guard, twice)[0]
    for unreadable in (b"{", b"\xff", b'{"id": NaN}', b"[" * 100_000):
        assert passes(guard, unreadable)[0] == b""
    many = [{"id": 1, "method": "ping"}, {"id": 2, "method": "tools/call", "params": {"name": "mail"}}]
    onward, answer = passes(guard, json.dumps(many).encode())
    assert ([each["id"] for each in json.loads(onward)], [each["id"] for each in json.loads(answer)]) == (
        [1],
        [2],
    )
    silent = b'{"method":"tools/call","params":{"name":"mail"}}'
    assert passes(guard, silent) == (b"", b"")


def test_the_guard_is_small_stands_alone_and_never_looks_at_the_wall_clock() -> None:
    (guard,) = (path for path in SOURCES if path.name == "guard.py")
    assert len(guard.read_text().splitlines()) < 300
    for path in SOURCES:
        text = path.read_text()
        named = re.findall(r"^(?:from|import) ([\w.]+)", text, re.MULTILINE)
        foreign = {name.partition(".")[0] for name in named} - set(sys.stdlib_module_names)
        assert foreign <= {"cryptography", "console"}
        assert all(name.startswith("console.guard") for name in named if name.startswith("console"))
        assert not re.search(r"time\.time|datetime|localtime|gmtime", text)
