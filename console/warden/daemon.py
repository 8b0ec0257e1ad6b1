"""The process around the warden: its directory, its socket, and what happens when it starts and ends.

key.pem, key.pub   the key (0600), and its public half in hex, which guards are given
token              what control verbs show (0600)
guard-token        what guards show, where the warden listens beyond loopback (0600)
epochs.json        what is halted, fsynced before anybody hears of it
guards.json        who may hold a lease, about a second old
flags.json         for flagd
address            where it listens
warden.lock        flock of the one that runs
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import secrets
import signal
import socket
import stat
from contextlib import suppress
from pathlib import Path

import msgspec
from aiohttp import web

from console.config import Config
from console.refusal import Refused
from console.warden.epochs import NAME as EPOCHS
from console.warden.epochs import Epochs
from console.warden.guards import Kept
from console.warden.leases import PUBLIC, Signer
from console.warden.server import Say, Server
from console.warden.settings import ADDRESS, TOKEN, limits
from data import durable
from data.clock import Clock, SystemClock
from data.lock import Lock
from playbooks.duration import SECOND

LOCK = "warden.lock"
GUARD_TOKEN = "guard-token"  # noqa: S105 - the name of a file
ROSTER = "guards.json"
FLAGS = "flags.json"
SPARE = 500
"""File descriptors that streams leave to everybody else."""
IDLE = 20.0
"""Seconds after which a connection that asks nothing is closed."""
TICK = 0.25
"""Seconds between looks at what is to be written down beside halts."""
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def run(
    config: Config, place: Path, *, after_loss: bool = False, say: Say, clock: Clock | None = None
) -> None:
    """Serve until told to stop (SIGTERM, SIGINT).

    Args:
        config: `[warden]` of it.
        place: see `directory`.
        after_loss: begin with everything halted, whatever was known.
        say: takes what operators should know, one line each.
        clock: time for people; None = the system's.

    Raises:
        Refused: another warden runs here, or what it needs is gone or wrong.
        OSError: the disk or the network does not give what it needs.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    checked = limits(config.warden, max(100, soft - SPARE))
    durable.make_directory(place)
    lock = Lock.take(place / LOCK)
    if lock is None:
        raise Refused(f"A warden runs on {place} already.", "`warroom warden status` asks it.")
    try:
        clock = clock or SystemClock()
        signer, new = Signer.open(place)
        epochs = Epochs.open(
            place / EPOCHS, new=new, after_loss=clock.now() // 1_000_000 if after_loss else 0
        )
        _publish(place / PUBLIC, signer.public + "\n")
        far = config.warden.host not in LOOPBACK
        tokens = token(place / TOKEN), token(place / GUARD_TOKEN) if far else ""
        flag_file = Path(config.warden.flags).expanduser() if config.warden.flags else place / FLAGS
        server = Server(epochs, signer, checked, flag_file, tokens, clock, say)
        server.guards.restore(_roster(place), lambda word: max(0.0, (clock.now() - word.at) / SECOND))
        if far:
            say(f"it listens beyond loopback, without TLS: guards show the token in {place / GUARD_TOKEN}")
        asyncio.run(_serve(server, config.warden.host, config.warden.port, place, say))
    finally:
        lock.release()


async def _serve(server: Server, host: str, port: int, place: Path, say: Say) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    quiet = logging.getLogger("warroom.warden")
    quiet.addHandler(logging.NullHandler())
    quiet.propagate = False
    door = web.Server(server.handle, access_log=None, keepalive_timeout=IDLE, logger=quiet)
    runner = web.ServerRunner(door, shutdown_timeout=2.0)
    await runner.setup()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=4096)
    except OSError as error:
        raise Refused(
            f"The warden cannot listen at {host}, port {port} ({error.strerror}).",
            "Set `warden.port` to a free one, in the configuration of the guards too.",
        ) from None
    tasks = [asyncio.create_task(each) for each in (server.writing_flags(), server.streams.watch())]
    try:
        await web.SockSite(runner, listening, backlog=4096).start()
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{listening.getsockname()[1]}"
        _publish(place / ADDRESS, url + "\n")
        say(f"listening at {url}")
        while not stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK):
                    await stop.wait()
            await server.again()
            if server.guards.changed:
                server.guards.changed = False
                await asyncio.to_thread(_keep, place, server.guards.kept())
    finally:
        for task in tasks:
            task.cancel()
        server.streams.close()
        await runner.cleanup()


def token(path: Path) -> str:
    """Return a token, made at the first start; only its owner can read it.

    Raises:
        Refused: there is one, and others can read it, or it is none.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        made = secrets.token_urlsafe(32)
        durable.publish(durable.write_temporary(path.parent, made.encode() + b"\n"), path)
        return token(path)
    with os.fdopen(handle, "rb") as file:
        if stat.S_IMODE(os.fstat(handle).st_mode) & 0o077:
            raise Refused(f"Others can read {path}.", f"As in: chmod 600 {path}, or delete it for a new one.")
        held = file.read(1024).decode("ascii", "replace").strip()
    if len(held) < 16:
        raise Refused(f"{path} holds no usable token.", "Delete it: the warden makes a new one.")
    return held


def _publish(path: Path, text: str) -> None:
    """Write a small file that others may read."""
    temporary = durable.write_temporary(path.parent, text.encode(), 0o644)
    os.replace(temporary, path)


def _keep(place: Path, kept: list[Kept]) -> None:
    """Write down who may hold a lease. It costs nothing but names in the standing if that fails."""
    temporary = place / f"{durable.TEMPORARY}{ROSTER}"
    with suppress(OSError):
        temporary.write_bytes(msgspec.json.encode(kept))
        os.replace(temporary, place / ROSTER)


def _roster(place: Path) -> list[Kept]:
    try:
        return msgspec.json.decode((place / ROSTER).read_bytes()[: 64 * 2**20], type=list[Kept])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return []
