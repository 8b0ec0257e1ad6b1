"""A warden: how fast a halt is with 10,000 open streams, how many leases it renews, how long a cut-off agent acts."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from console.guard import Guard, Halted
from console.warden.client import Warden, read_token
from console.warden.leases import Signer
from console.warden.protocol import Lease
from tests.bench.report import Report

NAME = "leases"
STREAMS = 10_000
ROUNDS = 3
CONNECTIONS = 64
SECONDS = 4.0
GUARDS = 40


class _Daemon:
    """A warden in a process of its own; ends with the `with`."""

    def __init__(self, folder: Path) -> None:
        self.place = folder / "warden"
        config = folder / "config.toml"
        config.write_text(f'[warden]\ndirectory = "{self.place}"\nport = 0\n')
        environment = {**os.environ, "WARROOM_CONFIG": str(config), "WARROOM_HOME": str(folder / "home")}
        command = [sys.executable, "-m", "console.cli", "warden", "run"]
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        while not (self.place / "address").exists():
            assert self.process.poll() is None, "the warden did not start"
            time.sleep(0.05)
        self.url = (self.place / "address").read_text().strip()
        self.host, self.port = "127.0.0.1", int(self.url.rpartition(":")[2])
        self.key = (self.place / "key.pub").read_text().strip()
        self.token = read_token(self.place / "token")

    def cpu(self) -> float:
        """Seconds of CPU that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self) -> _Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def run(report: Report) -> None:
    """Measure each on a warden of its own."""
    with tempfile.TemporaryDirectory() as folder, _Daemon(Path(folder)) as daemon:
        opened, answered, last = asyncio.run(_halt(daemon))
        report("open 10,000 streams, s", opened, "", "", None, "")
        report(
            "10,000 streams have the halt, s", last, "the warden's answer", answered, last / answered, "1 s"
        )
    with tempfile.TemporaryDirectory() as folder, _Daemon(Path(folder)) as daemon:
        rate, of_cpu = asyncio.run(_renew(daemon))
        bound = _signatures()
        report("leases renewed/s over HTTP", rate, "", "", None, "3,300/s")
        report(
            "leases renewed/s of the warden's CPU",
            of_cpu,
            "bare signatures",
            bound,
            bound / of_cpu,
            "3,300/s",
        )
    with tempfile.TemporaryDirectory() as folder, _Daemon(Path(folder)) as daemon:
        report("a check under a fresh lease, us", _check(daemon), "", "", None, "")
        last = _cut_off(daemon)
        report("last act after everything was cut off, s", last, "the lease", 10.0, last / 10.0, "12 s")


async def _halt(daemon: _Daemon) -> tuple[float, float, float]:
    """Return the seconds to open the streams, to the warden's answer, and until the last stream had the halt."""
    heard: list[float] = []
    ready = 0
    everybody, done = asyncio.Event(), asyncio.Event()

    class Listener(asyncio.Protocol):
        def __init__(self, number: int) -> None:
            self.number, self.open, self.left = number, False, b""

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            path = f"/stream?agent=agent-{self.number}&guard={self.number:032x}"
            transport.write(f"GET {path} HTTP/1.1\r\nHost: {daemon.host}\r\n\r\n".encode())

        def data_received(self, data: bytes) -> None:
            nonlocal ready
            if not self.open and b"200 OK" in data:
                self.open = True
                ready += 1
                if ready == STREAMS:
                    everybody.set()
            if b"halt" in data:
                heard.append(time.perf_counter())
                if len(heard) == STREAMS:
                    done.set()

    loop = asyncio.get_running_loop()
    begin = time.perf_counter()
    transports = []

    async def connect(number: int) -> None:
        transport, _ = await loop.create_connection(lambda: Listener(number), daemon.host, daemon.port)
        transports.append(transport)

    for start in range(0, STREAMS, 500):
        await asyncio.gather(*(connect(number) for number in range(start, start + 500)))
    async with asyncio.timeout(120):
        await everybody.wait()
    opened = time.perf_counter() - begin
    warden = Warden(daemon.url, daemon.token, timeout=60)
    await warden.standing()  # the connection is there, as it is in a console
    answers, lasts = [], []
    for _ in range(ROUNDS):
        heard.clear()
        done.clear()
        begin = time.perf_counter()
        await warden.raise_epoch("all", "", secrets.token_hex(8), "a drill")
        answers.append(time.perf_counter() - begin)
        async with asyncio.timeout(60):
            await done.wait()
        lasts.append(max(heard) - begin)
    await warden.close()
    for transport in transports:
        transport.abort()
    return opened, sorted(answers)[ROUNDS // 2], sorted(lasts)[ROUNDS // 2]


async def _renew(daemon: _Daemon) -> tuple[float, float]:
    """Return the leases a second, and a second of CPU, over `CONNECTIONS` connections that ask without a pause."""
    count = 0
    before = daemon.cpu()
    end = time.perf_counter() + SECONDS

    async def ask(number: int) -> None:
        nonlocal count
        reader, writer = await asyncio.open_connection(daemon.host, daemon.port)
        while time.perf_counter() < end:
            asked = {"agent": f"agent-{number}", "guard": f"{number:032x}", "nonce": secrets.token_hex(16)}
            body = json.dumps({**asked, "tools": ["crm/read", "crm/refund", "mail/send"]}).encode()
            head = f"POST /lease HTTP/1.1\r\nHost: {daemon.host}\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200"), answer
            length = next(
                line for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length")
            )
            await reader.readexactly(int(length.split(b":")[1]))
            count += 1
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    await asyncio.gather(*(ask(number) for number in range(CONNECTIONS)))
    return count / SECONDS, count / (daemon.cpu() - before)


def _signatures() -> float:
    """Return how many leases one second of CPU encodes and signs."""
    signer = Signer(Ed25519PrivateKey.generate())
    count, end = 0, time.process_time() + 1.0
    while time.process_time() < end:
        tools = ("crm/read", "crm/refund", "mail/send")
        signer.sign(Lease("agent-1", "0" * 32, secrets.token_hex(16), 101, 10_000, tools, ()))
        count += 1
    return float(count)


def _check(daemon: _Daemon) -> float:
    """Return the microseconds of CPU of a check under a fresh lease."""
    guard = Guard(daemon.url, "agent-1", daemon.key, tools=["refund"]).start()
    try:
        begin = time.thread_time()
        for _ in range(100_000):
            guard.check("refund")
        return (time.thread_time() - begin) * 10
    finally:
        guard.close()


def _cut_off(daemon: _Daemon) -> float:
    """Kill the warden under guards with usual leases. Returns the seconds until the last of them acted for the last time."""
    guards = [
        Guard(daemon.url, f"agent-{number}", daemon.key, tools=["refund"]).start() for number in range(GUARDS)
    ]
    try:
        time.sleep(6.0)  # so that renewals are spread as they are at work
        for guard in guards:
            guard.check("refund")
        daemon.process.kill()
        cut = last = time.perf_counter()
        acting = True
        while acting:
            acting = False
            for guard in guards:
                with suppress(Halted):
                    guard.check("refund")
                    acting, last = True, time.perf_counter()
            time.sleep(0.005)
        return last - cut
    finally:
        for guard in guards:
            guard.close()
